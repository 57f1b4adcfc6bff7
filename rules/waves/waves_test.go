package waves_test

import (
	"slices"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/waves"
)

// verdict has a level, with remedies of these identifiers.
func verdict(level rules.Level, remedies ...string) rules.Verdict {
	v := rules.Verdict{Level: level, Confidence: rules.High}
	for _, id := range remedies {
		v.Remedies = append(v.Remedies, rules.Remedy{ID: id})
	}
	return v
}

func TestTheWaveFollowsFromVerdictAndRemedies(t *testing.T) {
	waived := verdict(rules.Compatible)
	waived.Waiver = &rules.Waiver{}
	low := verdict(rules.Compatible)
	low.Confidence = rules.Low
	medium := verdict(rules.Compatible)
	medium.Confidence = rules.Medium
	confirm, virtio, other := verdict(rules.Compatible), verdict(rules.Compatible), verdict(rules.Compatible)
	confirm.Checks, virtio.Checks, other.Checks = []string{"fstab-uuid", "confirm-version"}, []string{"verify-virtio"}, []string{"fstab-uuid"}
	for name, c := range map[string]struct {
		v      rules.Verdict
		there  bool
		keepOS bool
		want   waves.ID
	}{
		"compatible is ready":                            {v: verdict(rules.Compatible), want: waves.Ready},
		"medium confidence is ready":                     {v: medium, want: waves.Ready},
		"low confidence is checked first":                {v: low, want: waves.AfterChecks},
		"a version to be confirmed is checked first":     {v: confirm, want: waves.AfterChecks},
		"a driver to be verified is checked first":       {v: virtio, want: waves.AfterChecks},
		"another check holds nothing up":                 {v: other, want: waves.Ready},
		"who is there needs no check":                    {v: low, there: true, want: waves.AlreadyThere},
		"who is there and not compatible is not done":    {v: verdict(rules.Incompatible, "replace-os"), there: true, want: waves.ReplaceOS},
		"a waived one was not mended":                    {v: waived, want: waves.Waived},
		"a waived one that is there was not mended":      {v: waived, there: true, want: waves.Waived},
		"a repair comes before a new system":             {v: verdict(rules.NeedsAction, "replace-os", "install-virtio"), want: waves.Repair},
		"a repair comes before a new release":            {v: verdict(rules.NeedsAction, "minor-upgrade", "clear-xen-registry"), want: waves.Repair},
		"a new release comes before a new system":        {v: verdict(rules.NeedsAction, "replace-os", "minor-upgrade"), want: waves.MinorUpgrade},
		"a new system":                                   {v: verdict(rules.NeedsAction, "replace-os"), want: waves.ReplaceOS},
		"another architecture is another system":         {v: verdict(rules.NeedsAction, "change-arch"), want: waves.ReplaceOS},
		"to stay where nothing else helps":               {v: verdict(rules.NeedsAction, "stay-gen5"), want: waves.StayGen5},
		"to stay in the family where nothing else helps": {v: verdict(rules.NeedsAction, "stay-family"), want: waves.StayGen5},
		"action that has no remedy is checks":            {v: verdict(rules.NeedsAction), want: waves.AfterChecks},
		"who keeps the system stays, if it may":          {v: verdict(rules.NeedsAction, "replace-os", "stay-gen5"), keepOS: true, want: waves.StayGen5},
		"who keeps the system replaces it, if it must":   {v: verdict(rules.NeedsAction, "replace-os"), keepOS: true, want: waves.ReplaceOS},
		"who would stay is not asked to":                 {v: verdict(rules.NeedsAction, "replace-os", "stay-gen5"), want: waves.ReplaceOS},
		"incompatible: a new release":                    {v: verdict(rules.Incompatible, "replace-os", "minor-upgrade"), want: waves.MinorUpgrade},
		"incompatible: a new system":                     {v: verdict(rules.Incompatible, "stay-gen5", "replace-os"), want: waves.ReplaceOS},
		"incompatible: keep the system":                  {v: verdict(rules.Incompatible, "stay-family", "replace-os"), keepOS: true, want: waves.StayGen5},
		"incompatible: stay":                             {v: verdict(rules.Incompatible, "stay-gen5"), want: waves.StayGen5},
		"incompatible is no repair":                      {v: verdict(rules.Incompatible, "install-virtio", "replace-os"), want: waves.ReplaceOS},
		"incompatible without a remedy":                  {v: verdict(rules.Incompatible), want: waves.ReplaceOS},
		"unknown":                                        {v: verdict(rules.Unknown, "replace-os"), want: waves.Unknown},
		"unknown, and there":                             {v: verdict(rules.Unknown), there: true, want: waves.Unknown},
		"a level of nobody's":                            {v: verdict(rules.Level(9)), want: waves.Unknown},
	} {
		if got := waves.Of(&c.v, c.there, c.keepOS); got != c.want {
			t.Errorf("%s: %s, not %s", name, got, c.want)
		}
	}
	for _, id := range waves.Repairs() {
		v := verdict(rules.NeedsAction, id)
		if got := waves.Of(&v, false, false); got != waves.Repair {
			t.Errorf("%s is %s", id, got)
		}
	}
}

func TestWavesStandInTheirOrder(t *testing.T) {
	all := waves.All()
	for i, id := range all {
		if id.Number() != i {
			t.Errorf("%s is number %d, not %d", id, id.Number(), i)
		}
		if id.Title() == string(id) {
			t.Errorf("%s has no title", id)
		}
		if open := !slices.Contains([]waves.ID{waves.Ready, waves.AlreadyThere}, id); id.Open() != open {
			t.Errorf("%s is open: %v", id, id.Open())
		}
	}
	if nobody := waves.ID("nobody's"); nobody.Number() != len(all) || nobody.Title() != "nobody's" {
		t.Errorf("%q is number %d, %q", nobody, nobody.Number(), nobody.Title())
	}
	all[0] = "changed"
	if waves.All()[0] != waves.Ready {
		t.Error("a caller can change the order")
	}
}

func TestThereIsTheHardwareOfTheTarget(t *testing.T) {
	kvm, seven := rules.Target{Class: rules.ClassKVM}, rules.Target{Class: rules.ClassShenlong7}
	family7, type7 := rules.Target{Family: "ecs.g7", Class: rules.ClassShenlong7}, rules.Target{Family: "ecs.g7", Type: "ecs.g7.large", Class: rules.ClassShenlong7}
	machine := func(name, virtualization string, generation int) *rules.Machine {
		return &rules.Machine{Family: name, Virtualization: virtualization, Generation: generation}
	}
	for name, c := range map[string]struct {
		target       rules.Target
		instanceType string
		machine      *rules.Machine
		want         bool
	}{
		"the type":                           {type7, "ecs.g7.large", machine("ecs.g7", family.Shenlong, 7), true},
		"another size is not the type":       {type7, "ecs.g7.xlarge", machine("ecs.g7", family.Shenlong, 7), false},
		"any size of the family":             {family7, "ecs.g7.xlarge", machine("ecs.g7", family.Shenlong, 7), true},
		"another family":                     {family7, "ecs.c7.large", machine("ecs.c7", family.Shenlong, 7), false},
		"the generation":                     {seven, "ecs.c7.large", machine("ecs.c7", family.Shenlong, 7), true},
		"a later generation":                 {seven, "ecs.g8i.large", machine("ecs.g8i", family.Shenlong, 8), true},
		"an earlier generation":              {seven, "ecs.g6.large", machine("ecs.g6", family.Shenlong, 6), false},
		"KVM is not SHENLONG":                {seven, "ecs.g5.large", machine("ecs.g5", family.KVM, 5), false},
		"KVM is the class of KVM":            {kvm, "ecs.g5.large", machine("ecs.g5", family.KVM, 5), true},
		"SHENLONG is not the class of KVM":   {kvm, "ecs.g6.large", machine("ecs.g6", family.Shenlong, 6), false},
		"Xen is neither":                     {kvm, "ecs.n1.large", machine("ecs.n1", family.Xen, 1), false},
		"hardware that nobody knows is none": {seven, "ecs.new.large", machine("ecs.new", family.Unknown, 0), false},
	} {
		if got := c.target.There(c.instanceType, c.machine); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
