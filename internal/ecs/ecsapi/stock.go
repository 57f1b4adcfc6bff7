package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
)

// maxZones bounds the zones of one answer; the largest regions have twelve.
const maxZones = 200

// Stock implements ecs.API.
func (c *Client) Stock(ctx context.Context, scope ecs.Scope, stockQuery ecs.StockQuery) ([]ecs.ZoneStock, error) {
	req := ecsRequest(actStock, "RegionId", scope.Region, "DestinationResource", "InstanceType", "ResourceType", "instance", "IoOptimized", "optimized",
		"InstanceChargeType", stockQuery.ChargeType, "ZoneId", stockQuery.Zone)
	return ask(ctx, c, scope, req, decodingRest(func(answer *wireZones, rest present) ([]ecs.ZoneStock, error) {
		return answer.zones(scope.Region, rest)
	}))
}

// zones are those of a region. What is said of a type twice counts as the worse of both,
// in one zone that comes twice, too: whoever counts on stock plans a move with it.
func (m *wireZones) zones(region string, rest present) ([]ecs.ZoneStock, error) {
	zones := m.AvailableZones.v.AvailableZone
	if zones == nil && m.RequestID == "" { // a region that sells nothing names no zones
		return nil, missing("AvailableZones.AvailableZone")
	}
	if len(zones) > maxZones {
		return nil, fmt.Errorf("the answer names %d zones", len(zones))
	}
	if _, err := m.ended(rest); err != nil {
		return nil, err
	}
	if m.cut != "" {
		return nil, errors.New(m.cut)
	}
	var out []ecs.ZoneStock
	for _, z := range zones {
		switch {
		case z.ZoneID == "":
			return nil, missing("ZoneId")
		case isForeign(z.RegionID, z.ZoneID, region):
			return nil, fmt.Errorf("the answer is about zone %s of another region", clip(z.ZoneID, 60))
		}
		at := slices.IndexFunc(out, func(zone ecs.ZoneStock) bool { return zone.Zone == z.ZoneID })
		if at < 0 {
			at, out = len(out), append(out, ecs.ZoneStock{Zone: z.ZoneID, Types: map[string]ecs.Stock{}})
		}
		types := out[at].Types
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
				if odd := changeOf(t.Status, t.StatusCategory).Odd; odd != "" && odd != noStatus { // a word that nobody knows is no full stock
					stock = min(stock, ecs.LowStock)
				}
				if closed {
					stock = ecs.SoldOut
				}
				if had, twice := types[t.Value]; twice {
					stock = min(stock, had)
				}
				types[t.Value] = stock
			}
		}
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
