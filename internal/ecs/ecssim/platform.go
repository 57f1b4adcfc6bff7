package ecssim

import (
	"slices"
	"strings"
)

// describeImageSupport answers DescribeImageSupportInstanceTypes: every type of
// the catalogue on which the image is offered, in one answer.
func (s *Simulator) describeImageSupport(call *call, sc *scope) (object, *apiError) {
	if s.opt.NoPlatform {
		return nil, errForbidden
	}
	id := call.params.get("ImageId")
	switch action := call.params.get("ActionType"); {
	case id == "":
		return nil, errMissing("ImageId")
	case action != "" && action != "CreateEcs" && action != "ChangeOS":
		return nil, errInvalid("ActionType")
	}
	img := sc.image(id)
	if img == nil || !img.present {
		return nil, &apiError{404, "InvalidImageId.NotFound", "The specified ImageId does not exist."}
	}
	s.stats.ask(&s.stats.offered, call.caller.account.ID, sc.region.id, id)
	if s.against(OfferedOfOthers) {
		id = "m-" + sc.region.prefix + "anotherimage00000"
	}
	var rows []offeredType
	for _, t := range s.fleet.data.types {
		if img.offeredOn(t) && !s.against(OfferedEmpty) && (!s.against(OfferedOldAlone) || t.newer() < 6 || img.public) {
			rows = append(rows, offeredType{t.id, t.family, t.vcpu, t.memoryGiB})
		}
	}
	if s.against(OfferedUnknown) {
		rows = append(rows, offeredType{"ecs.zz99x.large", "ecs.zz99x", 2, 8})
	}
	body := object{"RegionId": sc.region.id, "ImageId": id, "InstanceTypes": list("InstanceType", rows)}
	if s.against(OfferedCut) {
		body["NextToken"] = "AAAAAdDWBF2rubbJsW1UXhJRqFk4xvhpPbzGXpu7LF8="
	}
	return body, nil
}

// offeredType is one of the many rows of that answer.
type offeredType struct {
	ID           string `json:"InstanceTypeId"`
	Family       string `json:"InstanceTypeFamily"`
	CPUCoreCount int    `json:"CpuCoreCount"`
	MemorySize   float64
}

// image is the image of an id: one that the scope has, or a public one that
// nothing in it was made from.
func (sc *scope) image(id string) *slot {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if s := sc.images[id]; s != nil {
		return s
	}
	if at := slices.IndexFunc(sc.fleet.data.public, func(s *slot) bool { return s.imageID == id }); at >= 0 {
		return sc.fleet.data.public[at]
	}
	return nil
}

// newer is the number in the family's name, which for the families that say it
// is the generation; those of ecs.u2 are of the 8th.
func (t *instanceType) newer() int {
	if strings.HasPrefix(t.family, "ecs.u2") {
		return 8
	}
	return int(t.generation() - '0')
}

// oldest and newest families by which the simulated platform goes: systems of
// the time of Xen are offered up to the 6th generation, those of the time of
// KVM up to the 7th. The real platform's list is documented nowhere.
func (k *osKind) offeredTo() int {
	switch k.hosts {
	case "xen", "old":
		return 6
	case "mid", "midnx":
		return 7
	}
	return 9
}

// offeredOn says whether the platform offers the image on a type: by its
// architecture, its boot mode, the age of its system, and whether it is made
// for I/O optimized machines.
func (s *slot) offeredOn(instanceType *instanceType) bool {
	boot := s.boot
	if boot == "" {
		boot = "BIOS"
	}
	return (s.kind.arch == "arm64") == (instanceType.arch == "ARM") && slices.Contains(instanceType.bootModes, boot) &&
		instanceType.newer() <= s.kind.offeredTo() && (!s.noIO || instanceType.pool == "xen" || instanceType.pool == "byio")
}

// answers says what the platform's answer for the image comes to on a class: it
// is offered there, refused, or neither. It is refused on what a current public
// image of the same architecture is offered on; for i386 there is none.
func (s *slot) answers(target machineClass) (offered, refused bool) {
	generation := map[machineClass]int{classShenlong6: 6, classShenlong7: 7, classShenlong8: 8}[target]
	if generation == 0 || s.kind.arch == "arm64" && generation == 7 { // there are no such machines
		return false, false
	}
	offered = !s.noIO && generation <= s.kind.offeredTo()
	return offered, !offered && s.kind.arch != "i386"
}
