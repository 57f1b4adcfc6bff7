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
func (sc *scope) mislabel(s *slot, h uint64) {
	if s.public || !s.present || !s.kind.plain() || share(hash(h, 'w')) >= sc.fleet.wrongNames {
		return
	}
	labels := sc.fleet.data.labels(s.kind, func(k *osKind) bool { return k.vague() && k.family == s.kind.family })
	if len(labels) == 0 {
		labels = sc.fleet.data.labels(s.kind, func(k *osKind) bool { return k.vague() && k.family == "other-linux" })
	}
	if wrong := mix(h^'l')%2 == 0; wrong || len(labels) == 0 {
		labels = sc.fleet.data.labels(s.kind, func(k *osKind) bool {
			return k.plain() && k.offeredTo() >= s.kind.offeredTo() && k.release() != s.kind.release()
		})
	}
	if len(labels) > 0 {
		s.kind, s.inside = labels[mix(h^'m')%uint64(len(labels))], s.kind
		s.nvme = s.kind.hosts == "new" || s.kind.hosts == "arm"
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
	s := in.slot
	switch {
	case s.inside != nil && s.kind.vague():
		return s.inside, nameVague
	case s.inside != nil:
		return s.inside, nameWrong
	case s.kind.vague():
		return sc.fleet.data.concrete(s.kind, hashString(s.imageID)), nameVague
	case s.public && s.kind.plain() && share(hash(in.h, 'w')) < sc.fleet.wrongNames:
		others := sc.fleet.data.labels(s.kind, func(k *osKind) bool { return k.plain() && k.release() != s.kind.release() && k.hosts == s.kind.hosts })
		if len(others) > 0 {
			return others[hash(in.h, 'o')%uint64(len(others))], nameStale
		}
	}
	return s.kind, nameRight
}
