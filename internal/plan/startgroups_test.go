package plan_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// An instance whose group starts an image that does not boot on the target is to
// be mended through the group first, whatever is said of itself; one whose group
// starts what boots only names it.
func TestTheGroupOfAnInstanceIsChangedFirst(t *testing.T) {
	for name, c := range map[string]struct {
		kind  record.StartGroupKind
		tags  map[string]string
		image rules.Level
		want  string // the first solution, "" where none is of the group
	}{
		"scaling group, incompatible": {record.ScalingGroup, map[string]string{"acs:autoscaling:scalingGroupId": "g-1"}, rules.Incompatible, "change-scaling-group"},
		"scaling group, unknown":      {record.ScalingGroup, map[string]string{"acs:autoscaling:scalingGroupId": "g-1"}, rules.Unknown, "change-scaling-group"},
		"node pool over its scaling group": {
			record.NodePool,
			map[string]string{"ack.aliyun.com": "c1", "ack.alibabacloud.com/nodepool-id": "g-1", "acs:autoscaling:scalingGroupId": "asg-9"},
			rules.NeedsAction, "change-node-pool",
		},
		"cluster without a pool":   {record.Cluster, map[string]string{"ack.aliyun.com": "g-1"}, rules.Incompatible, "change-node-pool"},
		"an image that boots":      {record.ScalingGroup, map[string]string{"acs:autoscaling:scalingGroupId": "g-1"}, rules.Compatible, ""},
		"a group of other regions": {record.ScalingGroup, map[string]string{"acs:autoscaling:scalingGroupId": "g-2"}, rules.Incompatible, ""},
		"no group":                 {record.ScalingGroup, map[string]string{"env": "prod"}, rules.Incompatible, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, "shenlong-6", nil)
			group := func(id, region string) record.StartGroup {
				return record.StartGroup{Kind: c.kind, ID: id, Account: "1234567890123456", Region: region, Instances: 1, Images: []record.StartImage{
					{ImageID: "m-starts", Verdicts: []record.ImageVerdict{{Target: "shenlong-6", Verdict: c.image}}},
					{ImageID: "m-before", Verdicts: []record.ImageVerdict{{Target: "shenlong-6", Verdict: rules.Incompatible}}},
				}}
			}
			o.StartGroups = &record.StartGroups{Groups: []record.StartGroup{group("g-1", "cn-hangzhou"), group("g-2", "cn-beijing")}}
			it := only(t, build(t, one(t, facts("CentOS  5.8 64位", "linux", "ecs.g5.large"), func(rec *record.Record) {
				rec.Account, rec.Region, rec.Tags = "1234567890123456", "cn-hangzhou", c.tags
			}), o))
			if c.want == "" && strings.HasPrefix(it.Solutions[0], "change-") || c.want != "" && (it.Solutions[0] != c.want || len(it.Solutions) < 2) {
				t.Errorf("solutions %v, want %q first", it.Solutions, c.want)
			}
			member := strings.HasPrefix(name, "a group of") || name == "no group"
			if (it.StartGroup == nil) != member {
				t.Errorf("group %+v", it.StartGroup)
			}
			if it.StartGroup != nil && (it.StartGroup.ID != "g-1" || it.StartGroup.Kind != c.kind || !strings.Contains(it.Note, "from image m-starts: "+c.image.String())) {
				t.Errorf("%+v: %s", it.StartGroup, it.Note)
			}
		})
	}
}

// A machine that is on the target already is not to be moved, and its group is
// named all the same.
func TestTheGroupOfAnInstanceThatIsThereIsNamed(t *testing.T) {
	f := reporttest.New(200, 3)
	o := options(t, "shenlong-6", &f.Summary)
	o.StartGroups = f.Started()
	named := 0
	for _, w := range build(t, f.All(), o).Waves {
		for it := range w.Items {
			if it.StartGroup != nil && w.ID == waves.AlreadyThere {
				named++
				if it.Note != "" || len(it.Solutions) > 0 {
					t.Errorf("%+v", it)
				}
			}
		}
	}
	if named == 0 {
		t.Error("none is there already")
	}
}

// Every owner's part of a plan has the solutions of the groups of its instances,
// and not the list of everybody's groups.
func TestThePartsOfAPlanKeepTheGroupsOfTheirInstances(t *testing.T) {
	f := reporttest.New(200, 3)
	o := options(t, "shenlong-6", &f.Summary)
	o.StartGroups = f.Started()
	parts, err := build(t, f.All(), o).Split()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, part := range parts {
		if part.Plan.StartGroups != nil {
			t.Errorf("%s has the groups of all", part.Owner)
		}
		for _, w := range part.Plan.Waves {
			for it := range w.Items {
				for _, name := range it.Solutions {
					at := false
					for _, s := range w.Solutions {
						at = at || s.Name == name
					}
					if !at {
						t.Errorf("%s: %s is no solution of %s", part.Owner, name, w.ID)
					}
					if strings.HasPrefix(name, "change-") {
						found++
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("no part has a group to change")
	}
}
