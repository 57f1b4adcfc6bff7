// Package waves sorts verdicts into the waves of a migration plan: what is to be
// done with an instance before it can move, which may be nothing. It is pure; it
// knows no instance and makes no plan.
package waves

import (
	"slices"

	"github.com/shenscan/shenscan/rules"
)

// ID names a wave.
type ID string

// The waves, in the order in which they are worked on.
const (
	Ready        ID = "ready"
	AfterChecks  ID = "after-checks"
	Repair       ID = "repair"
	MinorUpgrade ID = "minor-upgrade"
	ReplaceOS    ID = "replace-os"
	StayGen5     ID = "stay-gen5"
	Unknown      ID = "unknown"
	Waived       ID = "waived"
	AlreadyThere ID = "already-there"
)

var order = [...]ID{Ready, AfterChecks, Repair, MinorUpgrade, ReplaceOS, StayGen5, Unknown, Waived, AlreadyThere}

// All are the waves in their order.
func All() []ID { return slices.Clone(order[:]) }

// Number is the place of a wave in that order, and len(All()) for what is none.
func (id ID) Number() int {
	if i := slices.Index(order[:], id); i >= 0 {
		return i
	}
	return len(order)
}

// Open tells whether instances of the wave still need something before they can
// move. A waived one does: nothing was mended.
func (id ID) Open() bool { return id != Ready && id != AlreadyThere }

// Title names the wave for people.
func (id ID) Title() string {
	switch id {
	case Ready:
		return "Ready now"
	case AfterChecks:
		return "Ready after checks"
	case Repair:
		return "Driver or registry repair"
	case MinorUpgrade:
		return "OS minor upgrade"
	case ReplaceOS:
		return "OS replacement"
	case StayGen5:
		return "Stay where they are or on a 5th-generation family"
	case Unknown:
		return "Unknown, with the question to settle"
	case Waived:
		return "Waived"
	case AlreadyThere:
		return "Already there"
	}
	return string(id)
}

// Repairs are the remedies inside a machine that keep its operating system, in
// the order in which they are done: what the new machine needs is there before
// what the old one used is taken away.
func Repairs() []string { return slices.Clone(repairs) }

var repairs = []string{"install-virtio", "install-nvme", "set-nvme-flag", "apply-freebsd-patch", "upgrade-gentoo", "update-kernel", "fix-boot-config", "clear-xen-registry"}

func has(v *rules.Verdict, ids ...string) bool {
	return slices.ContainsFunc(v.Remedies, func(m rules.Remedy) bool { return slices.Contains(ids, m.ID) })
}

// Of finds the wave of a verdict. there says that the instance runs on hardware
// of the target already, keepOS that a 5th-generation family is preferred to
// another operating system where both are offered.
func Of(verdict *rules.Verdict, there, keepOS bool) ID {
	if verdict.Waiver != nil { // whatever the verdict was made to be, nobody has mended anything
		return Waived
	}
	another := ReplaceOS
	if keepOS && has(verdict, "stay-gen5", "stay-family") {
		another = StayGen5
	}
	switch verdict.Level {
	case rules.Compatible:
		switch {
		case there:
			return AlreadyThere
		case verdict.Confidence == rules.Low || slices.Contains(verdict.Checks, "confirm-version") || slices.Contains(verdict.Checks, "verify-virtio"):
			return AfterChecks
		}
		return Ready
	case rules.NeedsAction:
		switch {
		case has(verdict, repairs...):
			return Repair
		case has(verdict, "minor-upgrade"):
			return MinorUpgrade
		case has(verdict, "replace-os", "change-arch"):
			return another
		case has(verdict, "stay-gen5", "stay-family"):
			return StayGen5
		}
		return AfterChecks
	case rules.Incompatible:
		switch {
		case has(verdict, "minor-upgrade"):
			return MinorUpgrade
		case has(verdict, "replace-os", "change-arch"):
			return another
		case has(verdict, "stay-gen5", "stay-family"):
			return StayGen5
		}
		return ReplaceOS
	default:
		return Unknown
	}
}
