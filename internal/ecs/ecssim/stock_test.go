package ecssim

import (
	"encoding/json"
	"strings"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

// stockOf is what the simulator says of a region's zones: zone -> type -> category.
func stockOf(t *testing.T, s *Server, kv ...string) map[string]map[string]string {
	t.Helper()
	r := ask(t, s, "DescribeAvailableResource", append([]string{"RegionId", "cn-hangzhou", "DestinationResource", "InstanceType"}, kv...)...)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	var m ecs.DescribeAvailableResourceResponseBody
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, z := range m.AvailableZones.AvailableZone {
		types := map[string]string{}
		for _, res := range z.AvailableResources.AvailableResource {
			for _, v := range res.SupportedResources.SupportedResource {
				types[*v.Value] = *v.StatusCategory
			}
		}
		out[*z.ZoneId] = types
	}
	return out
}

func TestStockIsSeededAndSoldOutSomewhere(t *testing.T) {
	o := Options{Instances: 100, Regions: 1, Seed: 7}
	s, again := start(t, o), start(t, o)
	o.Seed = 8
	other := start(t, o)
	zones, same, differs := stockOf(t, s), stockOf(t, again), stockOf(t, other)
	categories, apart := map[string]int{}, 0
	for z, types := range zones {
		for _, family := range []string{"ecs.c1.large", "ecs.t1.small"} {
			if types[family] != "" {
				t.Errorf("%s sells %s, which is retired", z, family)
			}
		}
		for id, category := range types {
			categories[category]++
			if same[z][id] != category {
				t.Fatalf("%s in %s: %s, with the same seed %s", id, z, category, same[z][id])
			}
			if differs[z][id] != category {
				apart++
			}
		}
	}
	if categories["WithStock"] < 5*categories["WithoutStock"]/2 || categories["WithoutStock"] == 0 || categories["ClosedWithStock"] == 0 || apart == 0 {
		t.Errorf("stock %v, %d differ with another seed", categories, apart)
	}
}

func TestStockRefusesWhatTheAPIRefuses(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	for _, tt := range []struct {
		name, code string
		kv         []string
	}{
		{"no_resource", "MissingParameter", []string{"RegionId", "cn-hangzhou"}},
		{"a_charge_type_that_is_none", "InvalidParameter", []string{"RegionId", "cn-hangzhou", "DestinationResource", "InstanceType", "InstanceChargeType", "Free"}},
		{"a_zone_elsewhere", "InvalidZoneId.NotFound", []string{"RegionId", "cn-hangzhou", "DestinationResource", "InstanceType", "ZoneId", "cn-beijing-a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := ask(t, s, "DescribeAvailableResource", tt.kv...)
			var e struct{ Code string }
			if err := json.Unmarshal(r.body, &e); err != nil || e.Code != tt.code {
				t.Errorf("%d %s, %v", r.status, r.body, err)
			}
		})
	}
}

// A type of the vendor's private cloud is no type of this one.
func TestNoTypeOfAPrivateCloud(t *testing.T) {
	d, err := loadData()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range d.types {
		if strings.HasPrefix(typ.id, "ecs.s7-k") || typ.family == "ecs.n4v2" || typ.family == "ecs.s7" {
			t.Errorf("the catalogue offers %s", typ.id)
		}
	}
}
