package ecssim

import (
	"encoding/json"
	"strings"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

// changesOf are the types that an instance can be changed to, as it is and after a
// change of its disks, with their status.
func changesOf(t *testing.T, s *Server, id string, kv ...string) (plain, after map[string]string, zone string) {
	t.Helper()
	r := ask(t, s, "DescribeResourcesModification", append([]string{"RegionId", here, "ResourceId", id, "DestinationResource", "InstanceType"}, kv...)...)
	var body ecs.DescribeResourcesModificationResponseBody
	if err := json.Unmarshal(r.body, &body); err != nil || r.status != 200 {
		t.Fatalf("%d %s, %v", r.status, r.body, err)
	}
	plain, after = map[string]string{}, map[string]string{}
	for _, z := range body.AvailableZones.AvailableZone {
		zone = *z.ZoneId
		for _, resource := range z.AvailableResources.AvailableResource {
			for _, o := range resource.SupportedResources.SupportedResource {
				plain[*o.Value] = *o.Status
			}
			for _, o := range resource.ConditionSupportedResources.ConditionSupportedResource {
				after[*o.Value] = *o.Status + *o.Conditions.Condition[0].Key
			}
		}
	}
	return plain, after, zone
}

// Changes follow the matrix and the stock, and ask for other disks where a type
// takes ESSDs alone and the instance has others.
func TestChangesFollowTheMatrixTheDisksAndTheStock(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Instances: 600, Regions: 1, Seed: 5})
	families := map[string]*instanceType{}
	for _, typ := range s.fleet.data.types {
		families[typ.id] = typ
	}
	if n := len(changesFrom()); n < 100 {
		t.Fatalf("%d families change", n)
	}
	saw := map[string]int{}
	sc := s.fleet.scopes[0]
	for i := range 200 {
		in := sc.at(i)
		id := in.id(sc)
		plain, after, zone := changesOf(t, s, id, "OperationType", "Upgrade", "Conditions.1", "DiskCategory")
		bare, none, _ := changesOf(t, s, id)
		across, acrossAfter, _ := changesOf(t, s, id, "MigrateAcrossZone", "true", "Conditions.1", "DiskCategory")
		if zone != sc.zones[in.zone(sc)] || len(none) != 0 || len(bare) != len(plain) || len(across)+len(acrossAfter) < len(plain)+len(after) {
			t.Errorf("%s: %s, %d without the condition, %d with it, %d across clusters", id, zone, len(bare), len(plain), len(across))
		}
		if len(across)+len(acrossAfter) > len(plain)+len(after) {
			saw["across clusters"]++
		}
		others, entry := 0, 0
		for _, d := range sc.disks(&in) {
			switch d.Category {
			case "cloud_essd", "cloud_auto":
			case "cloud_essd_entry":
				entry++
			default:
				others++
			}
		}
		for _, list := range []map[string]string{plain, after} {
			for typ, status := range list {
				to := families[typ]
				if !strings.Contains(" "+strings.Join(changesFrom()[in.typ.family], " ")+" ", " "+to.family+" ") {
					t.Errorf("%s changes from %s to %s", id, in.typ.family, typ)
				}
				if _, conditional := after[typ]; conditional != (to.needsESSD() && (others > 0 || entry > 0 && to.family != "ecs.u1" && to.family != "ecs.u2i")) {
					t.Errorf("%s with %d ESSD Entry disks and %d others changes to %s %s", id, entry, others, typ, status)
				}
				saw[status]++
			}
		}
	}
	for _, want := range []string{"Available", "SoldOut", "AvailableDiskCategory", "SoldOutDiskCategory", "across clusters"} {
		if saw[want] == 0 {
			t.Errorf("no change is %s: %v", want, saw)
		}
	}
}

func TestChangesRefuseWhatIsNotImplemented(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 2})
	id := probe{t, s}.ask("MaxResults", "10").page(t).ids()[0]
	for _, c := range []struct {
		code string
		kv   []string
	}{
		{"MissingParameter", []string{"DestinationResource", "InstanceType"}},
		{"MissingParameter", []string{"ResourceId", id}},
		{"InvalidParameter", []string{"ResourceId", id, "DestinationResource", "SystemDisk"}},
		{"InvalidParameter", []string{"ResourceId", id, "DestinationResource", "InstanceType", "OperationType", "Downgrade"}},
		{"InvalidParameter", []string{"ResourceId", id, "DestinationResource", "InstanceType", "Conditions.1", "Moon"}},
		{"UnsupportedParameter", []string{"ResourceId", id, "DestinationResource", "InstanceType", "Cores", "2"}},
		{"UnsupportedParameter", []string{"ResourceId", id, "DestinationResource", "InstanceType", "ZoneId", "cn-hangzhou-b"}},
		{"InvalidResourceId.NotFound", []string{"ResourceId", "i-nobodys", "DestinationResource", "InstanceType"}},
	} {
		if r := ask(t, s, "DescribeResourcesModification", append([]string{"RegionId", here}, c.kv...)...); r.code() != c.code {
			t.Errorf("%v: %s", c.kv, r.body)
		}
	}
}

// changes asks what instances can be changed to, until one can to the 8th
// generation in truth.
func (p probe) changes() result {
	sc := p.s.fleet.byName[scopeName{DemoAccountID, here}]
	for i := range sc.count() {
		in := sc.at(i)
		if in.typ.family == "ecs.g6" && !in.farCluster() {
			return ask(p.T, p.s, "DescribeResourcesModification", "RegionId", here, "ResourceId", in.id(sc), "DestinationResource", "InstanceType", "Conditions.1", "DiskCategory")
		}
	}
	p.Fatal("no instance is of ecs.g6")
	return result{}
}
