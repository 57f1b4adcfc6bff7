package ecsapi

import (
	"context"
	"fmt"

	"github.com/shenscan/shenscan/internal/ecs"
)

var _ ecs.ChangeAPI = (*Client)(nil)

// maxChanges bounds the types of one answer; the catalogue has some thousand.
const maxChanges = 20_000

// TypeChanges implements ecs.ChangeAPI.
func (c *Client) TypeChanges(ctx context.Context, scope ecs.Scope, query ecs.ChangeQuery) (map[string]ecs.TypeChange, error) {
	if !usableID(query.Instance) {
		return nil, badRequest(actChanges, scope, fmt.Errorf("no instance can have the id %q", clip(query.Instance, 60)))
	}
	req := newRequest(ecsVersion, actChanges)
	req.set("RegionId", scope.Region)
	req.set("ResourceId", query.Instance)
	req.set("DestinationResource", "InstanceType")
	req.set("OperationType", "Upgrade")
	req.set("Conditions.1", "DiskCategory")
	if query.AcrossClusters {
		req.set("MigrateAcrossZone", "true")
	}
	var answer wireChanges
	if err := c.doAside(ctx, scope, req, func(body []byte) error {
		answer = wireChanges{}
		return unmarshal(body, &answer)
	}); err != nil {
		return nil, err
	}
	out, doubt := answer.types(scope.Region, query.Zone)
	if doubt != "" {
		return nil, &ecs.Error{
			Action: actChanges, Scope: scope, Class: ecs.Contradicted, RequestID: clip(answer.RequestID, 64), Err: fmt.Errorf("the answer about %s is not believed: %s", query.Instance, doubt),
			Mend: "plans do without it; if it stays so, show it to the cloud's support",
		}
	}
	return out, nil
}

// wireChanges is an answer of DescribeResourcesModification.
type wireChanges struct {
	RequestID      string `json:"RequestId"`
	AvailableZones maybe[struct {
		AvailableZone list[struct {
			RegionID           string `json:"RegionId"`
			ZoneID             string `json:"ZoneId"`
			Status             string
			StatusCategory     string
			AvailableResources maybe[struct {
				AvailableResource list[wireChangeResource]
			}]
		}]
	}]
}

type wireChangeResource struct {
	Type               string
	SupportedResources maybe[struct {
		SupportedResource list[wireChange]
	}]
	ConditionSupportedResources maybe[struct {
		ConditionSupportedResource list[wireChange]
	}]
}

// wireChange is one type of either list.
type wireChange struct {
	Value, Status, StatusCategory string
	Conditions                    maybe[struct {
		Condition list[struct{ Key string }]
	}]
}

// types are those of the instance's own zone. One that is offered as it is and
// after a condition is offered as it is.
func (m *wireChanges) types(region, zone string) (out map[string]ecs.TypeChange, doubt string) {
	out = map[string]ecs.TypeChange{}
	zones := m.AvailableZones.v.AvailableZone
	if len(zones) == 0 {
		return nil, "it names no zone"
	}
	there := false
	for i := range zones {
		z := &zones[i]
		if isForeign(z.RegionID, z.ZoneID, region) {
			return nil, "it is about another region"
		}
		if zone != "" && z.ZoneID != zone {
			continue
		}
		there = true
		closed := stockOf(z.Status, z.StatusCategory) == ecs.SoldOut
		for _, resource := range z.AvailableResources.v.AvailableResource {
			if resource.Type != "InstanceType" && resource.Type != "" {
				continue
			}
			for _, after := range []bool{true, false} { // the unconditional list is the last word
				list := resource.SupportedResources.v.SupportedResource
				if after {
					list = resource.ConditionSupportedResources.v.ConditionSupportedResource
				}
				for k := range list {
					change := &list[k]
					if change.Value == "" || after && !change.onlyDisks() {
						continue // a condition that nobody knows of is none that was met
					}
					stock := stockOf(change.Status, change.StatusCategory)
					if closed {
						stock = ecs.SoldOut
					}
					out[clip(change.Value, 64)] = ecs.TypeChange{Stock: stock, AfterDisks: after}
				}
			}
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

// onlyDisks says whether a change of the disks' category is all that is asked for.
func (w *wireChange) onlyDisks() bool {
	conditions := w.Conditions.v.Condition
	for _, condition := range conditions {
		if condition.Key != "DiskCategory" {
			return false
		}
	}
	return len(conditions) > 0
}
