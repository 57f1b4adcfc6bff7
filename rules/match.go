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
func (m *matcher) os(k *candidate, p *profile, remaining interval) (outcome, string) {
	if !m.family(k) {
		return outcomeNo, "family"
	}
	if m.missing && k.spanned {
		return outcomeNo, "version"
	}
	if len(m.edition) > 0 && !listed(m.edition, k.edition) {
		return outcomeNo, "edition"
	}
	if len(m.arch) > 0 && !listed(m.arch, p.os.Arch) {
		return outcomeNo, "arch"
	}
	if why := m.kernels(k); why != "" {
		return outcomeNo, why
	}
	if len(m.owner) > 0 && !listed(m.owner, p.owner) {
		return outcomeNo, "owner"
	}
	for i := range m.facts {
		if f := &m.facts[i]; !f.allowed[p.facts[f.fact]] {
			return outcomeNo, factNames[f.fact]
		}
	}
	for i := range m.except {
		if e := &m.except[i]; e.holds(k) && k.spanned && k.span.within(e.versions) {
			return outcomeNo, "except"
		}
	}
	versions, versioned := m.releases(k, remaining)
	switch {
	case !versioned:
		return outcomeCertain, ""
	case !k.spanned:
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
func (m *matcher) releases(k *candidate, remaining interval) (versions interval, versioned bool) {
	if m.systems == nil {
		return m.versions, m.versioned
	}
	found := interval{lo: version.Key{1}} // empty
	for i := range m.systems {
		if s := &m.systems[i]; s.holds(k) {
			if found = s.versions; remaining.overlaps(found) {
				break
			}
		}
	}
	return found, true
}

func (m *matcher) family(k *candidate) bool {
	if m.any {
		return true
	}
	if m.systems != nil {
		return slices.ContainsFunc(m.systems, func(s system) bool { return s.match.family(k) })
	}
	if m.windows != Unobserved && k.family != distro.Unknown {
		return isWindows(k.family) == (m.windows == Yes)
	}
	for i := range m.families {
		if f := &m.families[i]; f.family == k.family && (f.edition == "" || f.edition == k.edition) {
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

func (m *matcher) kernels(k *candidate) string {
	if m.kernel == nil && m.kernelNot == nil && m.flavours == nil {
		return ""
	}
	if !k.kernel.OK {
		return "kernel"
	}
	if m.kernel != nil && !m.kernel.contains(k.kernel) {
		return "kernel"
	}
	if m.kernelNot != nil && k.kernel.Base == *m.kernelNot {
		return "kernel"
	}
	if m.flavours != nil && !slices.Contains(m.flavours, k.kernel.Flavour) {
		return "kernel_flavour"
	}
	return ""
}

// listed says whether v is in the list, where "none" stands for "".
func listed(list []string, v string) bool {
	return slices.Contains(list, v) || v == "" && slices.Contains(list, "none")
}

// machines matches the parts of a rule that look at source and target.
func (m *matcher) machines(p *profile, t *Target) string {
	if m.source != nil && !m.source.source(p) {
		return "source_machine"
	}
	if m.target != nil && !m.target.target(t) {
		return "target_machine"
	}
	if m.mismatch != "" && !mismatch(m.mismatch, p, t) {
		return "mismatch"
	}
	return ""
}

func (m *machineMatcher) source(p *profile) bool {
	if p.machine.Family == "" {
		return false
	}
	return m.machine(p.machine.Family, p.machine.Virtualization, p.nvme, "", p.machine.Generation, 0)
}

func (m *machineMatcher) target(t *Target) bool {
	if t.Family == "" {
		return false
	}
	virt := "shenlong"
	if t.Class == ClassKVM {
		virt = "kvm"
	}
	if len(m.Arch) > 0 && !listed(m.Arch, t.Arch) || m.Unlisted && !t.Unlisted || len(m.BootModes) > 0 && !slices.Equal(m.BootModes, t.BootModes) {
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
		m.MemoryMiB > 0 && memory < m.MemoryMiB,
		m.ranged && (generation == 0 || !m.generation.contains(version.Key{uint32(generation)})):
		return false
	}
	return true
}

// fleet says whether the rule looks at other instances of the image.
func (m *matcher) fleet() bool { return m.mismatch == "fleet-up" || m.mismatch == "fleet-kernel" }

// mismatch compares the image or the source machine with the target.
func mismatch(kind string, p *profile, t *Target) bool {
	switch kind {
	case "arch":
		arch := p.machine.Arch // what is on a machine is built for it, whatever a name says
		if arch == "" {
			arch = p.os.Arch
		}
		return t.Arch != "" && arch != "" && (t.Arch == "arm64") != (arch == "arm64")
	case "boot-mode":
		return (p.boot == "BIOS" || p.boot == "UEFI") && len(t.BootModes) > 0 && !slices.Contains(t.BootModes, p.boot)
	case "type-change":
		return p.machine.Family != "" && !p.changesTo(t)
	case "to-nvme":
		return p.machine.Family != "" && !p.attachesNVMe() && t.AttachesNVMe()
	case "platform-offers":
		return p.offers(t)
	case "platform-refuses":
		return p.refuses(t)
	case "fleet-up":
		return p.siblings(t).Up > 0
	case "fleet-kernel":
		return p.siblings(t).Own >= enoughSiblings
	case "to-virtio":
		return p.attachesNVMe() && !t.AttachesNVMe()
	}
	return false
}
