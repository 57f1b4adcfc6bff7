package rules

import (
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/version"
)

// fact is a three-valued observation that a rule can match, raw or derived.
type fact uint8

const (
	factVirtio       fact = iota // virtio drivers can be loaded at boot, by whatever evidence
	factNVMe                     // NVMe drivers can be loaded at boot, by whatever evidence
	factXenSource                // the instance runs on Xen
	factImageIO                  // IsSupportIoOptimized
	factSupported                // the platform's own image check
	factXenResidue               // Windows: Xen packages or registry values
	factDeviceNames              // fstab or boot loader name devices by kernel name
	factSecuritySoft             // Windows: third-party security software
	factFreeBSDPatch             // FreeBSD: patch or setting in place
	factImageMissing             // the image is gone
	factDeprecated               // the image is deprecated
	factAMD                      // the image is made for AMD families
	factNotR2                    // Windows: R2 is ruled out
	factVirtioSeen               // an image check or the guest itself vouches for virtio
	factOutOfSupport             // the release is past its standard support
	numFacts
)

var factNames = [numFacts]string{
	"virtio", "nvme", "xen_source", "image_io_optimized", "platform_check", "xen_residue", "device_names",
	"security_software", "freebsd_patch", "image_missing", "image_deprecated", "amd_image", "not_r2", "virtio_proven", "out_of_support",
}

func factNamed(name string) (fact, bool) {
	for i, n := range factNames {
		if n == name {
			return fact(i), true
		}
	}
	return 0, false
}

// profile is everything that rules look at: two Facts with equal profiles get
// equal verdicts. It is comparable.
type profile struct {
	os       OS
	machine  Machine
	nvme     string // of the machine's family
	facts    [numFacts]Tri
	running  bool
	free     bool
	noChange bool
	support  string // the last day of standard support, where it is past
	boot     string // BIOS, UEFI, UEFI-Preferred
	owner    string
}

func yes(b bool) Tri {
	if b {
		return Yes
	}
	return Unobserved
}

func first(t ...Tri) Tri {
	for _, v := range t {
		if v != Unobserved {
			return v
		}
	}
	return Unobserved
}

// profile derives what the rules look at.
func (r *Ruleset) profile(f *Facts, id *identity) profile {
	info := r.families.Lookup(f.InstanceType, f.InstanceFamily)
	p := profile{os: id.os, free: id.free, nvme: info.NVMe, noChange: info.NoTypeChange, running: f.Running == Yes, owner: strings.ToLower(f.Image.Owner)}
	p.machine = Machine{
		Family: info.Family, Generation: info.Generation, Virtualization: info.Virt(uint8(f.IoOptimized)), Arch: info.Arch,
		Retired: info.Lifecycle == "retired",
	}
	xen := p.machine.Virtualization == family.Xen || f.IoOptimized == No && p.machine.Family == ""
	onVirtio := p.running && (p.machine.Virtualization == family.KVM || p.machine.Virtualization == family.Shenlong)
	g, im := &f.Guest, &f.Image
	proven := first(g.Virtio, im.CheckVirtio)
	p.facts = [numFacts]Tri{
		factVirtio:       first(proven, yes(onVirtio)),
		factNVMe:         first(g.NVMe, f.OSNVMe, im.CheckNVMe, im.NVMe),
		factXenSource:    yes(xen),
		factImageIO:      im.IoOptimized,
		factSupported:    im.CheckSupported,
		factXenResidue:   g.XenResidue,
		factDeviceNames:  first(g.DeviceNames, not(im.CheckFstab), not(im.CheckGRUB)),
		factSecuritySoft: g.SecuritySoft,
		factFreeBSDPatch: g.FreeBSDPatch,
		factImageMissing: yes(im.Presence == ImageMissing),
		factDeprecated:   yes(strings.EqualFold(im.Status, "Deprecated")),
		factAMD:          yes(id.amd),
		factNotR2:        yes(id.notR2),
		factVirtioSeen:   proven,
	}
	if im.CheckGRUB == No || im.CheckFstab == No {
		p.facts[factDeviceNames] = first(g.DeviceNames, Yes)
	}
	p.support = r.endOfSupport(&p.os)
	p.facts[factOutOfSupport] = yes(p.support != "")
	switch {
	case strings.EqualFold(im.BootMode, "BIOS"):
		p.boot = "BIOS"
	case strings.EqualFold(im.BootMode, "UEFI"):
		p.boot = "UEFI"
	}
	return p
}

// endOfSupport is the last day of standard support of a release, "" where that
// is not known to be past.
func (r *Ruleset) endOfSupport(os *OS) string {
	byVersion := r.def.EndOfSupport[os.Family]
	if os.Edition != "" {
		if m, ok := r.def.EndOfSupport[os.Family+"/"+os.Edition]; ok {
			byVersion = m
		}
	}
	v := os.Version
	if os.ServicePack != "" {
		v += "." + os.ServicePack
	}
	for v != "" && byVersion != nil {
		if day, ok := byVersion[v]; ok {
			return day
		}
		i := strings.LastIndexByte(v, '.')
		if i < 0 {
			break
		}
		v = v[:i]
	}
	return ""
}

func not(t Tri) Tri {
	switch t {
	case Yes:
		return No
	case No:
		return Yes
	default:
		return Unobserved
	}
}

// class is the class of machine that the instance runs on; ok is false when
// its family does not tell.
func (m *Machine) class() (c Class, ok bool) {
	switch {
	case m.Virtualization == family.KVM:
		return ClassKVM, true
	case m.Virtualization != family.Shenlong:
	case m.Generation >= 7:
		return ClassShenlong7, true
	case m.Generation == 6:
		return ClassShenlong6, true
	}
	return 0, false
}

// candidate is one identity that the rules judge: the chosen one, or one that
// contradicts it.
type candidate struct {
	family, version, sp, edition string
	kernel                       version.Kernel
	span                         interval // the releases that it may be
	stated                       interval // those that the version alone leaves open
	spanned                      bool
}

func newCandidate(family, v, sp, edition, kernel string) candidate {
	c := candidate{family: family, version: v, sp: sp, edition: edition}
	c.kernel = version.ParseKernel(kernel)
	c.span, c.spanned = known(family, v, sp)
	c.stated = c.span
	if !c.kernel.OK || !(elFamily(family) || family == distro.OtherLinux) {
		return c
	}
	if name, n := c.kernel.TagNumber(); name != "el" || n == 0 {
		return c
	}
	narrow, ok := elKernel(c.kernel)
	if ok && c.spanned && !strings.Contains(v, ".") && narrow.within(c.span) {
		c.span = narrow
	}
	return c
}
