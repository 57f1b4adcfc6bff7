package ecsapi

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
)

var _ ecs.ChangeAPI = (*Client)(nil)

// Bounds of one answer: types, of which the catalogue has some thousand, and bytes of
// a status.
const (
	maxChanges = 20_000
	maxStatus  = 40
)

// TypeChanges implements ecs.ChangeAPI.
func (c *Client) TypeChanges(ctx context.Context, scope ecs.Scope, query ecs.ChangeQuery) (map[string]ecs.TypeChange, error) {
	if !usableID(query.Instance) {
		return nil, badRequest(actChanges, scope, fmt.Errorf("no instance can have the id %q", clip(query.Instance, 60)))
	}
	across := ""
	if query.AcrossClusters {
		across = "true"
	}
	req := asideRequest(actChanges, "RegionId", scope.Region, "ResourceId", query.Instance, "DestinationResource", "InstanceType", "OperationType", "Upgrade",
		"Conditions.1", "DiskCategory", "MigrateAcrossZone", across)
	answer, err := ask(ctx, c, scope, req, decodingRest((*wireZones).ended))
	if err != nil {
		return nil, err
	}
	out, doubt := answer.types(scope.Region, query.Zone)
	if doubt != "" {
		return nil, notBelieved(actChanges, scope, answer.RequestID, "plans do without it", "the answer about %s is not believed: %s", query.Instance, doubt)
	}
	return out, nil
}

// wireZones is an answer of DescribeResourcesModification or DescribeAvailableResource.
type wireZones struct {
	RequestID      string `json:"RequestId"`
	Ending         ending `json:",inline"`
	cut            string // why there may be other zones, or more of one
	AvailableZones maybe[struct {
		AvailableZone list[struct {
			RegionID           string `json:"RegionId"`
			ZoneID             string `json:"ZoneId"`
			Status             string
			StatusCategory     string
			AvailableResources maybe[struct {
				AvailableResource list[wireResource]
			}]
		}]
	}]
}

type wireResource struct {
	Type                        string
	SupportedResources          maybe[struct{ SupportedResource list[wireSupported] }]
	ConditionSupportedResources maybe[struct{ ConditionSupportedResource list[wireSupported] }]
}

// wireSupported is one type of either list.
type wireSupported struct {
	Value, Status, StatusCategory string
	Conditions                    maybe[struct {
		Condition list[struct{ Key string }]
	}]
}

// ended notes whether the answer says that it is not all.
func (m *wireZones) ended(rest present) (out wireZones, err error) {
	m.cut, err = m.Ending.cut(rest, len(m.AvailableZones.v.AvailableZone), "zones")
	return *m, err
}

// types are those of the instance's own zone. One that is offered as it is and
// after a condition is offered as it is; of one that stands twice in a list the worse
// counts.
func (m *wireZones) types(region, zone string) (out map[string]ecs.TypeChange, doubt string) {
	zones := m.AvailableZones.v.AvailableZone
	switch {
	case len(zones) == 0:
		return nil, "it names no zone"
	case m.cut != "":
		return nil, m.cut
	case zone == "" && len(zones) > 1:
		return nil, "it names several zones, and that of the instance is not known"
	}
	out, after, there := map[string]ecs.TypeChange{}, map[string]ecs.TypeChange{}, false
	for i := range zones {
		found := &zones[i]
		if isForeign(found.RegionID, found.ZoneID, region) {
			return nil, "it is about another region"
		}
		if zone != "" && found.ZoneID != zone {
			continue
		}
		there = true
		whole := changeOf(found.Status, found.StatusCategory)
		for _, resource := range found.AvailableResources.v.AvailableResource {
			if resource.Type != "InstanceType" && resource.Type != "" {
				continue
			}
			for k := range resource.SupportedResources.v.SupportedResource {
				resource.SupportedResources.v.SupportedResource[k].join(out, whole)
			}
			for k := range resource.ConditionSupportedResources.v.ConditionSupportedResource {
				// A condition that nobody knows of is none that was met.
				if row := &resource.ConditionSupportedResources.v.ConditionSupportedResource[k]; row.onlyDisks() {
					row.join(after, whole)
				}
			}
		}
	}
	for value, change := range after {
		if _, plain := out[value]; !plain {
			change.AfterDisks = true
			out[value] = change
		}
	}
	switch {
	case !there:
		return nil, "it is about another zone than that of the instance"
	case len(out) == 0:
		return nil, "it names no type at all"
	case len(out) > maxChanges:
		return nil, fmt.Sprintf("it names %d types", len(out))
	}
	return out, ""
}

// join notes the type, which is no better than its zone as a whole and than what was
// said of it before.
func (w *wireSupported) join(types map[string]ecs.TypeChange, whole ecs.TypeChange) {
	if w.Value == "" {
		return
	}
	value := clip(w.Value, 64)
	said := worse(changeOf(w.Status, w.StatusCategory), whole)
	if before, again := types[value]; again {
		said = worse(said, before)
	}
	types[value] = said
}

// noStatus is the odd word of what has none at all, as rows of older answers.
const noStatus = "none"

func worse(a, b ecs.TypeChange) ecs.TypeChange {
	return ecs.TypeChange{Stock: min(a.Stock, b.Stock), Odd: cmp.Or(a.Odd, b.Odd)}
}

// changeOf is what a status and its category say.
func changeOf(status, category string) ecs.TypeChange {
	change := ecs.TypeChange{Stock: stockOf(status, category)}
	switch strings.ToLower(category) {
	case "", "withstock", "closedwithstock", "withoutstock", "closedwithoutstock":
	default:
		change.Odd = clip(category, maxStatus)
	}
	switch known := strings.EqualFold(status, "Available") || strings.EqualFold(status, "SoldOut"); {
	case status == "" && category == "":
		change.Odd = noStatus
	case status != "" && !known:
		change.Odd = clip(status, maxStatus)
	}
	return change
}

// onlyDisks says whether a change of the disks' category is all that is asked for.
func (w *wireSupported) onlyDisks() bool {
	conditions := w.Conditions.v.Condition
	for _, condition := range conditions {
		if condition.Key != "DiskCategory" {
			return false
		}
	}
	return len(conditions) > 0
}
