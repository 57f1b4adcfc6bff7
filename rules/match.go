package rules

import (
	"slices"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// outcome says how a rule relates to an identity.
type outcome uint8

const (
	outcomeNo       outcome = iota
	outcomePossible         // the boundary lies inside what is known
	outcomeCertain
)

func isWindows(family string) bool {
	return family == distro.WindowsServer || family == distro.WindowsClient
}

// os matches the parts of a rule that look at the operating system. remaining
// is what earlier rules have left of the releases that the identity may be. It
// names the first part that does not hold.
func (m *matcher) os(candidate *candidate, profile *profile, remaining interval) (outcome, string) {
	if !m.family(candidate) {
		return outcomeNo, "family"
	}
	if m.missing && candidate.spanned {
		return outcomeNo, "version"
	}
	if len(m.edition) > 0 && !listed(m.edition, candidate.edition) {
		return outcomeNo, "edition"
	}
	if len(m.arch) > 0 && !listed(m.arch, profile.os.Arch) {
		return outcomeNo, "arch"
	}
	if why := m.kernels(candidate); why != "" {
		return outcomeNo, why
	}
	if len(m.owner) > 0 && !listed(m.owner, profile.owner) {
		return outcomeNo, "owner"
	}
	for i := range m.facts {
		if f := &m.facts[i]; !f.allowed[profile.facts[f.fact]] {
			return outcomeNo, factNames[f.fact]
		}
	}
	for i := range m.except {
		if e := &m.except[i]; e.holds(candidate) && candidate.spanned && candidate.span.within(e.versions) {
			return outcomeNo, "except"
		}
	}
	versions, versioned := m.releases(candidate, remaining)
	switch {
	case !versioned:
		return outcomeCertain, ""
	case !candidate.spanned:
		return outcomeNo, "version"
	case remaining.within(versions):
		return outcomeCertain, ""
	case remaining.overlaps(versions):
		return outcomePossible, ""
	}
	return outcomeNo, "version"
}

// holds says whether the system is of the family and, where that is asked, runs
// the kernel.
func (s *system) holds(k *candidate) bool {
	return s.match.family(k) && s.match.kernels(k) == ""
}

// releases are those of the candidate's family that the rule is about; versioned
// is false when it is about all.
func (m *matcher) releases(candidate *candidate, remaining interval) (versions interval, versioned bool) {
	if m.systems == nil {
		return m.versions, m.versioned
	}
	found := interval{lo: version.Key{1}} // empty
	for i := range m.systems {
		if s := &m.systems[i]; s.holds(candidate) {
			if found = s.versions; remaining.overlaps(found) {
				break
			}
		}
	}
	return found, true
}

func (m *matcher) family(candidate *candidate) bool {
	if m.any {
		return true
	}
	if m.systems != nil {
		for i := range m.systems { // a copy of each would take memory of its own
			if m.systems[i].match.family(candidate) {
				return true
			}
		}
		return false
	}
	if m.windows != Unobserved && candidate.family != distro.Unknown {
		return isWindows(candidate.family) == (m.windows == Yes)
	}
	for i := range m.families {
		if f := &m.families[i]; f.family == candidate.family && (f.edition == "" || f.edition == candidate.edition) {
			return true
		}
	}
	return false
}

// mayBe says whether the rule can match any edition of a family.
func (m *matcher) mayBe(family string) bool {
	if m.family(&candidate{family: family}) || slices.ContainsFunc(m.systems, func(s system) bool { return s.match.mayBe(family) }) {
		return true
	}
	return slices.ContainsFunc(m.families, func(f famEdition) bool { return f.family == family })
}

// looksAt says whether the rule has a condition on a fact.
func (m *matcher) looksAt(f fact) bool {
	return slices.ContainsFunc(m.facts, func(fm factMatch) bool { return fm.fact == f })
}

func (m *matcher) kernels(candidate *candidate) string {
	if m.kernel == nil && m.kernelNot == nil && m.flavours == nil {
		return ""
	}
	if !candidate.kernel.OK {
		return "kernel"
	}
	if m.kernel != nil && !m.kernel.contains(candidate.kernel) {
		return "kernel"
	}
	if m.kernelNot != nil && candidate.kernel.Base == *m.kernelNot {
		return "kernel"
	}
	if m.flavours != nil && !slices.Contains(m.flavours, candidate.kernel.Flavour) {
		return "kernel_flavour"
	}
	return ""
}

// listed says whether v is in the list, where "none" stands for "".
func listed(list []string, v string) bool {
	return slices.Contains(list, v) || v == "" && slices.Contains(list, "none")
}

// machines matches the parts of a rule that look at source and target.
func (m *matcher) machines(profile *profile, target *Target) string {
	if m.source != nil && !m.source.source(profile) {
		return "source_machine"
	}
	if m.target != nil && !m.target.target(target) {
		return "target_machine"
	}
	if m.mismatch != "" && !mismatch(m.mismatch, profile, target) {
		return "mismatch"
	}
	return ""
}

func (m *machineMatcher) source(profile *profile) bool {
	if profile.machine.Family == "" {
		return false
	}
	return m.machine(profile.machine.Family, profile.machine.Virtualization, profile.nvme, "", profile.machine.Generation, 0)
}

func (m *machineMatcher) target(t *Target) bool {
	if t.Family == "" {
		return false
	}
	virt := "shenlong"
	if t.Class == ClassKVM {
		virt = "kvm"
	}
	if len(m.Arch) > 0 && !listed(m.Arch, t.Arch) || m.Unlisted && !t.Unlisted || len(m.BootModes) > 0 && !slices.Equal(m.BootModes, t.BootModes) || len(m.Disks) > 0 && !slices.Contains(m.Disks, t.Disks) {
		return false
	}
	return m.machine(t.Family, virt, t.NVMe, t.Vendor, t.Generation, t.MemoryMiB)
}

func (m *machineMatcher) machine(family, virt, nvme, vendor string, generation, memory int) bool {
	switch {
	case len(m.Family) > 0 && !slices.Contains(m.Family, family),
		slices.Contains(m.NotFamily, family),
		len(m.Virtualization) > 0 && !slices.Contains(m.Virtualization, virt),
		len(m.NVMe) > 0 && !slices.Contains(m.NVMe, nvme),
		len(m.Vendor) > 0 && !slices.Contains(m.Vendor, vendor),
		memory < m.MemoryMiB,
		m.ranged && (generation == 0 || !m.generation.contains(version.Key{uint32(generation)})):
		return false
	}
	return true
}

// fleet says whether the rule looks at other instances of the image.
func (m *matcher) fleet() bool {
	return m.mismatch == "fleet-up" || m.mismatch == "fleet-settles" || m.mismatch == "fleet-kernel"
}

// mismatch compares the image or the source machine with the target.
func mismatch(kind string, profile *profile, target *Target) bool {
	switch kind {
	case "arch":
		arch := profile.builtFor()
		return target.Arch != "" && (profile.twoArchs && profile.machine.Arch == "" || arch != "" && (target.Arch == arm) != (arch == arm))
	case "arch-not-told":
		return target.Arch == arm && profile.builtFor() == ""
	case "boot-mode":
		return (profile.boot == "BIOS" || profile.boot == "UEFI") && len(target.BootModes) > 0 && !slices.Contains(target.BootModes, profile.boot)
	case "boot-mode-not-told":
		return profile.boot == "UEFI" && target.Family != "" && len(target.BootModes) == 0 && profile.machine.Family != target.Family
	case "type-change":
		return profile.machine.Family != "" && !profile.changesTo(target)
	case "to-nvme":
		return profile.machine.Family != "" && !profile.attachesNVMe() && target.AttachesNVMe()
	case "platform-offers":
		return profile.offers(target)
	case "platform-refuses":
		return profile.refuses(target)
	case "fleet-up":
		return profile.siblings(target).Up > 0
	case "fleet-settles":
		return profile.siblings(target).settle(&profile.os)
	case "fleet-kernel":
		return profile.siblings(target).Own >= enoughSiblings
	case "to-virtio":
		return profile.mayAttachNVMe() && !target.AttachesNVMe()
	}
	return false
}
