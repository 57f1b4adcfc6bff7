package ecssim

// naming says how far the names that an instance shows can be trusted.
type naming uint8

const (
	nameRight naming = iota
	nameVague        // they leave open which release it is
	nameWrong        // the image is registered as another system than the one in it
	nameStale        // the machine's system was replaced since it was made from the image
)

func (n naming) String() string { return [...]string{"right", "vague", "wrong", "stale"}[n] }

// plain says whether a label describes a system completely and needs nothing
// of the image, so that it may be exchanged for another.
func (k *osKind) plain() bool { return !k.vague() && len(k.flags) == 1 && k.flags[""] }

// release is what the label says in one word.
func (k *osKind) release() string { return k.family + " " + k.version + " " + k.servicePack }

// mislabel gives an image that is not public another label than what is in it,
// in the share of Options.WrongNames: half of them are vague, half are those of
// another system that is as new at least, for which the platform offers machines
// as it would for a real one.
func (sc *scope) mislabel(slot *slot, sum uint64) {
	if slot.public || !slot.present || !slot.kind.plain() || share(hash(sum, 'w')) >= sc.fleet.wrongNames {
		return
	}
	labels := sc.fleet.data.labels(slot.kind, func(k *osKind) bool { return k.vague() && k.family == slot.kind.family })
	if len(labels) == 0 {
		labels = sc.fleet.data.labels(slot.kind, func(k *osKind) bool { return k.vague() && k.family == "other-linux" })
	}
	if wrong := mix(sum^'l')%2 == 0; wrong || len(labels) == 0 {
		labels = sc.fleet.data.labels(slot.kind, func(k *osKind) bool {
			return k.plain() && k.offeredTo() >= slot.kind.offeredTo() && k.release() != slot.kind.release()
		})
	}
	if len(labels) > 0 {
		slot.kind, slot.inside = labels[mix(sum^'m')%uint64(len(labels))], slot.kind
		slot.nvme = slot.kind.hosts == "new" || slot.kind.hosts == "arm"
	}
}

// labels are those that an image of a system may carry: of the same kind of
// system and architecture.
func (d *data) labels(of *osKind, fit func(*osKind) bool) []*osKind {
	var out []*osKind
	for _, k := range d.kinds {
		if k.osType() == of.osType() && k.arch == of.arch && !k.flags[flagMissing] && fit(k) {
			out = append(out, k)
		}
	}
	return out
}

// hosts says on which machines instances of the image are: those of what is in
// it, and of what its label says.
func (s *slot) hosts() string {
	if s.inside != nil && s.inside.offeredTo() <= s.kind.offeredTo() {
		return s.inside.hosts
	}
	return s.kind.hosts
}

// runs is the system that runs in an instance, and what its names tell of that.
func (sc *scope) runs(in *instance) (*osKind, naming) {
	slot := in.slot
	switch {
	case slot.inside != nil && slot.kind.vague():
		return slot.inside, nameVague
	case slot.inside != nil:
		return slot.inside, nameWrong
	case slot.kind.vague():
		return sc.fleet.data.concrete(slot.kind, hashString(slot.imageID)), nameVague
	case slot.public && slot.kind.plain() && share(hash(in.h, 'w')) < sc.fleet.wrongNames:
		others := sc.fleet.data.labels(slot.kind, func(k *osKind) bool {
			return k.plain() && k.release() != slot.kind.release() && k.hosts == slot.kind.hosts
		})
		if len(others) > 0 {
			return others[hash(in.h, 'o')%uint64(len(others))], nameStale
		}
	}
	return slot.kind, nameRight
}
