package plan

import (
	"fmt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// ItemGroup names the group that started an instance.
type ItemGroup struct {
	Kind record.StartGroupKind `json:"kind"`
	ID   string                `json:"id"`
}

type groupKey struct {
	account, region string
	kind            record.StartGroupKind
	id              string
}

// group is a group and what is said of its instances.
type group struct {
	item   *ItemGroup
	note   string
	remedy *rules.Remedy // what is to be done with the group first; nil: nothing
}

func groupsOf(o *Options) map[groupKey]*group {
	if o.StartGroups == nil {
		return nil
	}
	out := make(map[groupKey]*group, len(o.StartGroups.Groups))
	for i := range o.StartGroups.Groups {
		g := &o.StartGroups.Groups[i]
		if g.Kind == record.LaunchTemplate || len(g.Images) == 0 { // which instances are of it is not known
			continue
		}
		starts, verdict := &g.Images[0], g.On(o.Target.ID)
		if verdict == nil {
			continue
		}
		is := &group{
			item: &ItemGroup{g.Kind, g.ID},
			note: fmt.Sprintf("It belongs to %s %s, which started its newest instance from image %s: %s on this target.", g.Kind.Words(), report.Short(g.ID, 80), report.Short(starts.ImageID, 80), verdict.Verdict),
		}
		if verdict.Verdict != rules.Compatible {
			is.remedy = groupRemedy(g.Kind)
		}
		out[groupKey{g.Account, g.Region, g.Kind, g.ID}] = is
	}
	return out
}

// groupRemedy is what is to be done with a group whose image does not boot on the
// target as it is.
func groupRemedy(kind record.StartGroupKind) *rules.Remedy {
	if kind == record.ScalingGroup {
		return &rules.Remedy{
			ID:   "change-scaling-group",
			Text: "Change what the scaling group starts before you touch its instances: the next one that it adds or replaces is of the old image again, whatever was done to the others.",
			Steps: []string{
				"Make an image that boots on the target: mend one instance, or install another system, and create a custom image of it.",
				"Give the group a scaling configuration, or a version of its launch template, with that image and an instance type of the target, and make it the one in use.",
				"Start one instance from it and see that it serves.",
				"Replace the other instances a few at a time, by an instance refresh or by raising and lowering the capacity.",
			},
			Drawback: "Instances that are mended by hand are lost at the next replacement by the group.",
		}
	}
	return &rules.Remedy{
		ID:   "change-node-pool",
		Text: "Change what the node pool starts before you touch its nodes: the next one that it adds or heals is of the old image again, whatever was done to the others.",
		Steps: []string{
			"Choose an operating system of the cluster, or a custom image, that boots on the target, and set it and an instance type of the target in the node pool; or make a new pool with them.",
			"Add one node and see that it becomes ready and runs its workload.",
			"Drain the old nodes one by one, and remove each from the pool.",
		},
		Drawback: "Nodes that are mended by hand are lost when the pool heals or replaces them.",
	}
}

// start says which group the instance belongs to, and what is to be done with
// that first.
func (b *builder) start(item *Item, rec *record.Record, id waves.ID) {
	if b.groups == nil {
		return
	}
	keys := record.StartTagKeys()
	values := make([]string, len(keys))
	for i, key := range keys {
		values[i] = rec.Tags[key]
	}
	kind, name := record.StartGroupOf(values)
	if kind == "" {
		return
	}
	g := b.groups[groupKey{rec.Account, rec.Region, kind, name}]
	if g == nil {
		return
	}
	item.StartGroup = g.item
	if id == waves.AlreadyThere {
		return
	}
	item.groupNote = g.note
	if g.remedy != nil {
		solution := b.solution(id, g.remedy)
		solution.Instances++
		item.Solutions = append([]string{solution.Name}, item.Solutions...)
	}
}
