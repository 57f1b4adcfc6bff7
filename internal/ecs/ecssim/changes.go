package ecssim

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// typechange.tsv is the vendor's matrix of type changes of 2026-11-01
// (https://help.aliyun.com/zh/ecs/user-guide/instance-families-that-support-instance-type-changes),
// of the families of types.tsv alone.
//
//go:embed data/typechange.tsv
var typeChangeTSV string

// changesFrom are the families to which a family changes.
var changesFrom = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for line := range strings.Lines(typeChangeTSV) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && !strings.HasPrefix(line, "#") {
			out[from] = strings.Fields(to)
		}
	}
	return out
})

// generation is the digit of the generation in the family's name, near enough; '0'
// where it has none.
func (t *instanceType) generation() byte {
	at := strings.IndexAny(t.family, "123456789")
	if at < 0 {
		return '0'
	}
	return t.family[at]
}

// takesDisk says whether a type takes disks of the category. ESSD and ESSD AutoPL disks
// are taken by all; that some families take ESSD Entry disks, too, is in the API's pages
// about these families alone.
func (t *instanceType) takesDisk(category string) bool {
	switch category {
	case "cloud_essd", "cloud_auto":
		return true
	case "cloud_essd_entry":
		return !t.needsESSD() || t.family == "ecs.u1" || t.family == "ecs.u2i"
	}
	return !t.needsESSD()
}

// needsESSD says whether a type takes ESSDs alone.
func (t *instanceType) needsESSD() bool {
	return t.generation() >= '7' || slices.Contains([]string{"ecs.g6e", "ecs.c6e", "ecs.r6e", "ecs.u1"}, t.family)
}

// farCluster says whether a change of the instance to a family of another generation
// leads to another cluster: that of one in twenty.
func (in *instance) farCluster() bool { return mix(in.h^'m')%20 == 0 }

// describeChanges answers DescribeResourcesModification: to which types an
// instance can be changed where it is. Its disks may have to be others first.
func (s *Simulator) describeChanges(call *call, sc *scope) (object, *apiError) {
	p := call.params
	id, operation := p.get("ResourceId"), p.get("OperationType")
	switch {
	case id == "":
		return nil, errMissing("ResourceId")
	case p.get("DestinationResource") == "":
		return nil, errMissing("DestinationResource")
	case p.get("DestinationResource") != "InstanceType": // no other is needed
		return nil, errInvalid("DestinationResource")
	case operation != "" && operation != "Upgrade":
		return nil, errInvalid("OperationType")
	}
	conditions := p.list("Conditions")
	if slices.ContainsFunc(conditions, func(c string) bool { return c != "DiskCategory" }) {
		return nil, errInvalid("Conditions")
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	in, ok := sc.find(id)
	if !ok {
		return nil, &apiError{404, "InvalidResourceId.NotFound", "The specified ResourceId is not found in our records."}
	}
	zone := sc.zones[in.zone(sc)]
	if s.against(ChangesElsewhere) {
		zone += "x"
	}
	plain, after := s.changes(sc, &in, zone, p.bool("MigrateAcrossZone"))
	if len(conditions) == 0 {
		after = nil
	}
	if s.against(ChangesEmpty) {
		plain, after = nil, nil
	}
	return object{"AvailableZones": list("AvailableZone", []object{zoneOf(sc, zone, object{
		"Type": "InstanceType", "SupportedResources": list("SupportedResource", plain), "ConditionSupportedResources": list("ConditionSupportedResource", after),
	})})}, nil
}

// changes are the types that the instance can be changed to as it is, and once its
// disks are others.
func (s *Simulator) changes(sc *scope, in *instance, zone string, acrossClusters bool) (plain, after []object) {
	charge := "PostPaid"
	if in.h>>50&1 == 1 {
		charge = "PrePaid"
	}
	disks := sc.disks(in)
	families := changesFrom()[in.typ.family]
	for _, to := range s.fleet.data.types {
		stock := s.stock(zone, to, charge)
		switch {
		case stock == "" || !slices.Contains(families, to.family):
			continue
		case in.farCluster() && !acrossClusters && to.generation() != in.typ.generation():
			continue
		case s.against(ChangesFewer) && to.generation() >= '8':
			continue
		}
		row := soldAs(to, stock)
		if slices.ContainsFunc(disks, func(d TruthOfDisk) bool { return !to.takesDisk(d.Category) }) {
			row["Conditions"] = list("Condition", []object{{"Key": "DiskCategory"}})
			after = append(after, row)
			continue
		}
		plain = append(plain, row)
	}
	return plain, after
}
