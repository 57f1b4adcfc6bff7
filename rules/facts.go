package rules

import (
	"slices"
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
	factSystemFiles              // Windows: SFC's last result
	factImageMissing             // the image is gone
	factDeprecated               // the image is deprecated
	factAMD                      // the image is made for AMD families
	factNotR2                    // Windows: R2 is ruled out
	factVirtioSeen               // an image check or the guest itself vouches for virtio
	factOutOfSupport             // the release is past its standard support
	factNVMeProven               // NVMe drivers are loaded at boot: the guest says so, or it runs from such a disk
	factNVMeRuns                 // it runs on a machine that attaches disks by NVMe
	factImageKernel              // the kernel that runs is the image's own
	factBootMode                 // the image tells its boot mode
	factGuestUp                  // the guest was heard of since it started
	factNewRelease               // the release may have come after the table of releases was made
	factVirtioGuest              // virtio drivers are loaded at the next start: the guest says so
	numFacts
)

// factNames are the facts as rules spell them.
var factNames = [numFacts]string{
	factVirtio:       "virtio",
	factNVMe:         "nvme",
	factXenSource:    "xen_source",
	factImageIO:      "image_io_optimized",
	factSupported:    "platform_check",
	factXenResidue:   "xen_residue",
	factDeviceNames:  "device_names",
	factSecuritySoft: "security_software",
	factFreeBSDPatch: "freebsd_patch",
	factSystemFiles:  "system_files",
	factImageMissing: "image_missing",
	factDeprecated:   "image_deprecated",
	factAMD:          "amd_image",
	factNotR2:        "not_r2",
	factVirtioSeen:   "virtio_proven",
	factOutOfSupport: "out_of_support",
	factNVMeProven:   "nvme_proven",
	factNVMeRuns:     "runs_on_nvme",
	factImageKernel:  "kernel_of_image",
	factBootMode:     "boot_mode_known",
	factGuestUp:      "guest_up",
	factNewRelease:   "new_release",
	factVirtioGuest:  "virtio_of_guest",
}

func factNamed(name string) (fact, bool) {
	i := slices.Index(factNames[:], name)
	return fact(max(i, 0)), i >= 0
}

// profile is everything that rules look at: two Facts with equal profiles get
// equal verdicts.
type profile struct {
	os       OS
	machine  Machine
	nvme     string // of the machine's family
	facts    [numFacts]Tri
	running  bool
	twoArchs bool           // see identity
	archFrom Evidence       // where the architecture of the system was seen
	unsure   bool           // no verdict is firmer than medium: freely written text decides, a release that nobody has seen yet, or the image is gone
	routes   *family.Routes // from the machine's family; nil: none that are known
	counts   string         // the class that the machine's family counts as
	support  string         // the last day of standard support, where it is past
	boot     string         // BIOS, UEFI, UEFI-Preferred
	owner    string
	// What the platform answered for the image: families, and the classes that
	// follow from them.
	offered, refused               string
	offeredClasses, refusedClasses [classes]bool
	fleet                          fleet // what other instances of the image tell of it
	said                           said
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

// software is the half of a profile that tells what runs.
type software struct {
	profile
	guestNVMe, checkNVMe, imageNVMe Tri
}

// machine is the half that tells what it runs on.
type machine struct {
	Machine
	nvme     string
	osNVMe   Tri
	routes   *family.Routes
	counts   string
	running  bool
	xen      bool
	onVirtio bool // it runs, and on virtio
}

// software derives what the rules look at from everything but the machine.
func (r *Ruleset) software(facts *Facts, id *identity) software {
	guest, im := &facts.Guest, &facts.Image
	proven := first(guest.Virtio, im.CheckVirtio)
	system := software{guestNVMe: guest.NVMe, checkNVMe: im.CheckNVMe, imageNVMe: im.NVMe}
	system.twoArchs, system.archFrom = id.twoArchs, id.archFrom
	system.os, system.unsure, system.owner = id.os, id.free || id.newest == distro.NextMinor || facts.lostImage(id), strings.ToLower(im.Owner)
	system.facts = [numFacts]Tri{
		factImageIO:      im.IoOptimized,
		factSupported:    im.CheckSupported,
		factXenResidue:   guest.XenResidue,
		factSecuritySoft: guest.SecuritySoft,
		factFreeBSDPatch: guest.FreeBSDPatch,
		factSystemFiles:  guest.SystemFiles,
		factImageMissing: yes(im.Presence == ImageMissing),
		factDeprecated:   yes(strings.EqualFold(im.Status, "Deprecated")),
		factAMD:          yes(id.amd),
		factNotR2:        yes(id.notR2),
		factVirtioSeen:   proven,
		factGuestUp:      guest.Up,
		factVirtioGuest:  guest.Virtio,
	}
	imageNames := first(not(im.CheckFstab), not(im.CheckGRUB))
	if im.CheckGRUB == No {
		imageNames = Yes
	}
	system.facts[factDeviceNames] = first(guest.ConsoleNames, guest.DeviceNames, imageNames)
	system.said = said{
		saidVirtio: {guest.Virtio, im.CheckVirtio},
		saidNVMe:   {guest.NVMe, Unobserved, im.CheckNVMe, Unobserved, im.NVMe},
		saidNames:  {guest.ConsoleNames, guest.DeviceNames, imageNames},
	}
	system.support = r.endOfSupport(&system.os)
	system.facts[factOutOfSupport] = yes(system.support != "")
	system.facts[factNewRelease] = yes(id.newest == distro.NewMajor)
	switch {
	case strings.EqualFold(im.BootMode, "BIOS"):
		system.boot = "BIOS"
	case strings.EqualFold(im.BootMode, "UEFI"):
		system.boot = "UEFI"
	}
	system.facts[factBootMode] = yes(system.boot != "" || strings.EqualFold(im.BootMode, "UEFI-Preferred"))
	system.offered, system.refused = im.Offered, im.Refused
	system.offeredClasses, system.refusedClasses = r.answered(im)
	system.facts[factImageKernel] = facts.kernelOfImage()
	system.fleet = facts.fleet(&id.os)
	return system
}

// lostImage says whether the image that would tell more of the system is gone:
// what it would say against the verdict is not known. The id of a public image
// tells as much as the image, and a machine that was asked tells more.
func (f *Facts) lostImage(id *identity) bool {
	return f.Image.Presence == ImageMissing && id.os.Evidence < EvidenceGuest && distro.Identify(f.ImageID).Family == ""
}

// answered is what the platform's answer for an image says of whole classes: a
// class is offered where some of its families are and none is refused, and
// refused where some of them are refused and none is offered. Where its
// families disagree nothing is said of the class, and a family whose generation
// is not known says nothing of any.
func (r *Ruleset) answered(im *ImageFacts) (offered, refused [classes]bool) {
	mark := func(families string, in *[classes]bool) {
		for name := range strings.FieldsSeq(families) {
			info := r.families.Lookup("", name)
			if info.Generation == 0 {
				continue // it counts as the newest that it may be of, and proves nothing for that
			}
			for c := range classes {
				in[c] = in[c] || c.String() == info.Class
			}
		}
	}
	var some, none [classes]bool
	mark(im.Offered, &some)
	mark(im.Refused, &none)
	for c := range classes {
		offered[c], refused[c] = some[c] && !none[c], none[c] && !some[c]
	}
	return offered, refused
}

// offers says whether the platform answered that it offers the image there.
func (p *profile) offers(target *Target) bool {
	if target.Family != "" {
		return hasWord(p.offered, target.Family)
	}
	return p.offeredClasses[target.Class]
}

// refuses says whether the platform answered that it does not offer the image
// there, where it offers others.
func (p *profile) refuses(target *Target) bool {
	if target.Family != "" {
		return hasWord(p.refused, target.Family)
	}
	return p.refusedClasses[target.Class]
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// machine derives what the rules look at from the machine alone.
func (r *Ruleset) machine(hardware Hardware) machine {
	info := r.families.Lookup(hardware.InstanceType, hardware.InstanceFamily)
	host := machine{nvme: info.NVMe, osNVMe: hardware.OSNVMe, routes: r.families.Routes(info.Family), counts: info.Class, running: hardware.Running == Yes}
	host.Machine = Machine{
		Family: info.Family, Generation: info.Generation, Virtualization: info.Virt(uint8(hardware.IoOptimized)), Arch: info.Arch,
		Retired: info.Lifecycle == "retired",
	}
	host.xen = host.Virtualization == family.Xen || hardware.IoOptimized == No && host.Family == ""
	p := profile{machine: host.Machine, nvme: host.nvme, counts: host.counts}
	host.onVirtio = host.running && (host.Virtualization == family.KVM || host.Virtualization == family.Shenlong) && !p.mayAttachNVMe()
	return host
}

// on puts the halves together.
func (s *software) on(machine *machine) profile {
	profile := s.profile
	profile.machine, profile.nvme, profile.routes, profile.counts, profile.running = machine.Machine, machine.nvme, machine.routes, machine.counts, machine.running
	proves := !profile.otherArch()
	virtio, runs := yes(proves && machine.onVirtio), yes(proves && machine.running && profile.attachesNVMe())
	profile.facts[factVirtio] = first(profile.facts[factVirtioSeen], virtio)
	profile.facts[factNVMeProven] = first(s.guestNVMe, runs)
	profile.facts[factNVMe] = first(s.guestNVMe, runs, s.checkNVMe, machine.osNVMe, s.imageNVMe)
	profile.facts[factNVMeRuns] = runs
	profile.facts[factXenSource] = yes(machine.xen)
	profile.said[saidVirtio][2] = virtio
	profile.said[saidNVMe][1], profile.said[saidNVMe][3] = runs, machine.osNVMe
	return profile
}

// profile derives what the rules look at.
func (r *Ruleset) profile(f *Facts, id *identity) profile {
	s, m := r.software(f, id), r.machine(f.Hardware())
	return s.on(&m)
}

// hardware is what a rule set tells machines apart by: machines with equal
// ones get equal verdicts, whatever runs on them.
type hardware struct {
	sources              string // a byte for each rule that asks for the source machine, and for each target whether a type change leads there
	class                Class
	known, classed       bool
	arch                 string
	shenlong             bool
	nvmeSource, nvmeMay  bool
	osNVMe               Tri
	running, xen, virtio bool
	there                uint32 // see Host.There
}

func (r *Ruleset) hardware(machine *machine, targets []Target) hardware {
	seen := profile{machine: machine.Machine, nvme: machine.nvme, routes: machine.routes, counts: machine.counts}
	var sources strings.Builder
	for _, rl := range r.rules {
		if rl.match.source == nil {
			continue
		}
		if rl.match.source.source(&seen) {
			sources.WriteByte('1')
		} else {
			sources.WriteByte('0')
		}
	}
	for i := range targets {
		switch {
		case seen.isThere(&targets[i]):
			sources.WriteByte('2')
		case seen.changesTo(&targets[i]):
			sources.WriteByte('1')
		default:
			sources.WriteByte('0')
		}
	}
	h := hardware{
		sources: sources.String(), known: machine.Family != "", arch: machine.Arch, shenlong: machine.Virtualization == family.Shenlong, nvmeSource: seen.attachesNVMe(), nvmeMay: seen.mayAttachNVMe(),
		osNVMe: machine.osNVMe, running: machine.running, xen: machine.xen, virtio: machine.onVirtio,
	}
	h.class, h.classed = machine.class()
	return h
}

// isThere says whether the machine is of the target already.
func (p *profile) isThere(target *Target) bool {
	if target.Family != "" {
		return p.machine.Family == target.Family
	}
	return p.counts == target.Class.String()
}

// changesTo says whether a change of the instance type leads from the machine
// to the target, or it is there already.
func (p *profile) changesTo(target *Target) bool {
	if target.Family != "" {
		return p.isThere(target) || p.routes.ToFamily(target.Family)
	}
	return p.isThere(target) || p.routes.ToClass(target.Class.String())
}

// attachesNVMe says whether the machine attaches disks by NVMe, as all of the
// 8th generation and later do.
func (p *profile) attachesNVMe() bool {
	return p.nvme == "required" || p.nvme == family.Unknown && p.machine.Generation >= ClassShenlong8.Generation()
}

// mayAttachNVMe says whether the machine attaches disks by NVMe, or may: it
// counts as one of the 8th generation and later, and its own generation is not
// known, or it is of one of two families. Such a machine proves neither driver.
func (p *profile) mayAttachNVMe() bool {
	return p.attachesNVMe() || p.nvme == family.Perhaps || p.nvme == family.Unknown && p.machine.Generation == 0 && p.counts == family.Shenlong8
}

// builtFor is the architecture that the system is built for, "" where nothing tells.
func (p *profile) builtFor() string {
	switch {
	case p.machine.Arch != "": // what is on a machine is built for it, whatever a name says
		return p.machine.Arch
	case p.os.Arch == "" && p.os.Family == distro.WindowsServer: // there is none for Arm
		return "x86_64"
	}
	return p.os.Arch
}

// otherArch says whether the system is told to be built for another architecture
// than that of the machine it is on.
func (p *profile) otherArch() bool { return p.machine.Contradicts(&p.os) }

// Contradicts says whether a system is told to be built for another architecture than the
// machine's: one of the two is not what it is said to be, so that nothing that is seen of
// the instance proves its system or its drivers.
func (m *Machine) Contradicts(os *OS) bool {
	return m.Arch != "" && os.Arch != "" && (m.Arch == arm) != (os.Arch == arm)
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
	release := os.Version
	if os.ServicePack != "" {
		release += "." + os.ServicePack
	}
	for release != "" {
		if day, ok := byVersion[release]; ok {
			return day
		}
		release = release[:max(strings.LastIndexByte(release, '.'), 0)]
	}
	return byVersion["*"]
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
func (m *Machine) class() (c Class, ok bool) { return ClassOf(m.Virtualization, m.Generation) }

// candidate is one identity that the rules judge: the chosen one, or one that
// contradicts it.
type candidate struct {
	family, version, sp, edition string
	kernel                       version.Kernel
	source                       string   // the text that the kernel was read from
	span                         interval // the releases that it may be
	stated                       interval // those that the version alone leaves open
	spanned                      bool
	byKernel                     bool // what the kernel belongs to, not what a name says
	byConsole                    bool // with the kernel that the console log shows, which is another one
}

func newCandidate(family, value, sp, edition, kernel string) candidate {
	reading := candidate{family: family, version: value, sp: sp, edition: edition}
	reading.kernel, reading.source = version.ParseKernel(kernel), kernel
	reading.span, reading.spanned = known(family, value, sp)
	reading.stated = reading.span
	if !reading.kernel.OK || !(elFamily(family) || family == distro.OtherLinux) {
		return reading
	}
	if name, n := reading.kernel.TagNumber(); name != "el" || n == 0 {
		return reading
	}
	if narrow, ok := elKernel(reading.kernel); ok && narrow.within(reading.span) {
		reading.span = narrow
	}
	return reading
}

// contradicts says whether it is another system than the chosen identity, and not
// the same with another kernel or as old as its kernel.
func (k *candidate) contradicts() bool { return !k.byKernel && !k.byConsole }

// most is the firmest that a verdict can be that rests on k in place of the chosen
// identity.
func (k *candidate) most() Confidence {
	if k.contradicts() {
		return Low
	}
	return Medium
}
