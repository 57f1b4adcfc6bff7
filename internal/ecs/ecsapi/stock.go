package ecsapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
)

// maxZones bounds the zones of one answer; the largest regions have twelve.
const maxZones = 200

// Stock implements ecs.API.
func (c *Client) Stock(ctx context.Context, scope ecs.Scope, stockQuery ecs.StockQuery) ([]ecs.ZoneStock, error) {
	req := ecsRequest(actStock, "RegionId", scope.Region, "DestinationResource", "InstanceType", "ResourceType", "instance", "IoOptimized", "optimized",
		"InstanceChargeType", stockQuery.ChargeType, "ZoneId", stockQuery.Zone)
	return ask(ctx, c, scope, req, decoding((*wireZones).zones))
}

func (m *wireZones) zones() ([]ecs.ZoneStock, error) {
	zones := m.AvailableZones.v.AvailableZone
	if zones == nil && m.RequestID == "" { // a region that sells nothing names no zones
		return nil, missing("AvailableZones.AvailableZone")
	}
	if len(zones) > maxZones {
		return nil, fmt.Errorf("the answer names %d zones", len(zones))
	}
	var out []ecs.ZoneStock
	for _, z := range zones {
		if z.ZoneID == "" {
			return nil, missing("ZoneId")
		}
		zone := ecs.ZoneStock{Zone: z.ZoneID, Types: map[string]ecs.Stock{}}
		closed := stockOf(z.Status, z.StatusCategory) == ecs.SoldOut
		for _, r := range z.AvailableResources.v.AvailableResource {
			if r.Type != "InstanceType" && r.Type != "" {
				continue
			}
			for _, t := range r.SupportedResources.v.SupportedResource {
				if t.Value == "" {
					return nil, missing("Value")
				}
				stock := stockOf(t.Status, t.StatusCategory)
				if closed {
					stock = ecs.SoldOut
				}
				zone.Types[t.Value] = max(zone.Types[t.Value], stock)
			}
		}
		out = append(out, zone)
	}
	return out, nil
}

// stockOf reads the two fields, of which older answers have the first alone.
// Words that are not known do not make something sold out that is Available.
func stockOf(status, category string) ecs.Stock {
	if strings.EqualFold(status, "SoldOut") {
		return ecs.SoldOut
	}
	switch strings.ToLower(category) {
	case "withoutstock", "closedwithoutstock":
		return ecs.SoldOut
	case "closedwithstock":
		return ecs.LowStock
	}
	return ecs.InStock
}
