package rules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// claim is what one piece of evidence says.
type claim struct {
	distro.Guess
	evidence Evidence
	field    string // where the text was seen: "os_name", "image_id", ...
	text     string
	kernel   bool // read from a kernel release
	el       int  // the Enterprise Linux major release that a kernel is built for
	free     bool // text that a person wrote freely
}

// alternative is an identity that contradicts the chosen one and could not be
// ruled out.
type alternative struct {
	family, version, sp, edition string
}

// identity is what all the evidence together says.
type identity struct {
	os    OS
	notR2 bool
	amd   bool
	// kernelFrom is where the kernel was seen.
	kernelFrom Evidence
	// otherKernel is the kernel that the console log shows, where the machine
	// answered with another; "" else.
	otherKernel string
	free        bool // rests on freely written text: family, version or kernel
	newest      distro.Standing
	several     bool     // one text names several releases: all are in alts, none is chosen
	settled     bool     // the machine itself said it: contradictions are history
	archFrom    Evidence // where the architecture was seen
	twoArchs    bool     // one thing says that it is built for Arm, another for x86, and the machine itself says nothing
	conflicts   []Conflict
	alts        []alternative
}

const maxClaims = 32

// named is a text of facts that names a system, or a kernel.
type named struct {
	evidence     Evidence
	field, text  string
	free, kernel bool
}

// texts are the texts that name a system, the strongest evidence first. What
// repeats another is "".
func (f *Facts) texts() [16]named {
	guest, im := &f.Guest, &f.Image
	once := func(text string, others ...string) string {
		if slices.Contains(others, text) {
			return ""
		}
		return text
	}
	return [...]named{
		{EvidenceGuest, "guest.release", guest.Release, false, false},
		{EvidenceGuest, "guest.kernel", guest.Kernel, false, true},
		{EvidenceGuest, "guest.console_kernel", guest.ConsoleKernel, false, true},
		{EvidenceImage, "image.tag_os_version", im.TagOSVersion, false, false},
		{EvidenceImage, "image.check_os_version", im.CheckOSVersion, false, false},
		{EvidenceImage, "image.tag_kernel_version", im.TagKernelVersion, false, true},
		{EvidenceImage, "image.check_kernel", im.CheckKernel, false, true},
		{EvidenceImage, "image.os_name", im.OSName, false, false},
		{EvidenceImage, "image.os_name_en", once(im.OSNameEn, im.OSName), false, false},
		{EvidenceImage, "image.family", im.Family, false, false},
		{EvidenceImage, "platform", im.Platform, false, false},
		{EvidenceInstance, "os_name", once(f.OSName, im.OSName), false, false},
		{EvidenceInstance, "os_name_en", once(f.OSNameEn, f.OSName, im.OSNameEn), false, false},
		{EvidenceName, "image_id", f.ImageID, false, false},
		{EvidenceName, "image_name", im.Name, true, false},
		{EvidenceName, "name", f.Name, false, false},
	}
}

// claims collects what the facts say, the strongest evidence first.
func (f *Facts) claims(out []claim) []claim {
	texts := f.texts()
	for i := range texts {
		if n := &texts[i]; n.text != "" {
			out = n.claim(out)
		}
	}
	if windows(f.OSType) || windows(f.Image.OSType) {
		evidence := EvidenceInstance
		if windows(f.Image.OSType) {
			evidence = EvidenceImage
		}
		out = append(out, claim{Guess: distro.Guess{Family: distro.WindowsServer, Vague: true}, evidence: evidence, field: "os_type", text: "windows"})
	}
	return out
}

// claim adds what the text says, if anything.
func (n *named) claim(out []claim) []claim {
	claimed := claim{evidence: n.evidence, field: n.field, text: n.text, free: n.free, kernel: n.kernel}
	if n.kernel {
		k := distro.IdentifyKernel(n.text)
		claimed.Family, claimed.Version, claimed.el = k.Family, k.Version, k.EL
		if k.Family == "" && k.EL == 0 {
			return out
		}
	} else if claimed.Guess = distro.Identify(n.text); claimed.silent() {
		return out
	}
	out = append(out, claimed)
	if k := distro.IdentifyKernel(claimed.Kernel); (k.EL > 0 || k.Version != "") && (claimed.Family == "" || claimed.Vague) { // a line of uname -a where a name is expected
		out = append(out, claim{Guess: distro.Guess{Family: k.Family, Version: k.Version}, el: k.EL, evidence: n.evidence, field: n.field, text: n.text, free: n.free, kernel: true})
	}
	return out
}

// silent says whether nothing was read.
func (c *claim) silent() bool {
	return c.Family == "" && c.Version == "" && c.Arch == "" && c.Kernel == "" && !c.Cut && !c.Failed
}

// unread names the part of the text that was not read and may say anything, "" where
// all of it was.
func (c *claim) unread() string {
	switch {
	case c.Cut:
		return "whatever stands beyond the part of the text that is read"
	case c.Failed:
		return "whatever the text says, which could not be read"
	}
	return ""
}

func windows(osType string) bool { return strings.EqualFold(osType, "windows") }

// identify combines the evidence. It never guesses: what nothing says is "".
func (f *Facts) identify() identity {
	var buf [maxClaims]claim
	claims := f.claims(buf[:0])
	var id identity
	id.os.Family = distro.Unknown
	id.family(claims)
	id.linuxType(f)
	id.strangeKernel(f)
	id.versions(claims)
	id.rest(f, claims)
	id.newest = id.standing()
	return id
}

// family chooses the family: the strongest evidence that names one, a
// catch-all only when nothing else does.
func (id *identity) family(claims []claim) {
	pick := -1
	for i := range claims {
		c := &claims[i]
		if c.Family == "" {
			continue
		}
		if pick < 0 || claims[pick].Vague && !c.Vague {
			pick = i
		}
	}
	switch {
	case pick >= 0:
		id.os.Family, id.os.Evidence, id.free = claims[pick].Family, claims[pick].evidence, claims[pick].free
		id.settled = claims[pick].evidence == EvidenceGuest && !claims[pick].kernel // a kernel of another make can be installed anywhere
		if claims[pick].Vague && id.os.Family == distro.OtherLinux && slices.ContainsFunc(claims, func(c claim) bool { return c.el > 0 }) {
			id.os.Edition = "el" // "Linux", and a kernel of Enterprise Linux
		}
	default:
		kernel := slices.IndexFunc(claims, func(c claim) bool { return c.el > 0 })
		if kernel < 0 {
			return
		}
		id.os.Family, id.os.Edition, id.os.Evidence = distro.OtherLinux, "el", claims[kernel].evidence // an Enterprise Linux of unknown make
	}
	for i := range claims {
		claim := &claims[i]
		id.familyConflict(claim, claim.Twin && saidInFull(claims, claim))
	}
}

// saidInFull says whether another text has the full name of the system that a text
// names by what an older one is called, too: SUSE Linux Enterprise Server 12 SP3 for
// SUSE 12.3.
func saidInFull(claims []claim, short *claim) bool {
	return slices.ContainsFunc(claims, func(c claim) bool {
		return c.Family == short.Family && !c.kernel && !c.Vague && !c.Twin && c.Version != "" && major(c.Version) == major(short.Version)
	})
}

// olderTwin says whether a system is the older one that has the name and the number of
// what a text says.
func olderTwin(said *claim, system *distro.System) bool {
	switch said.Family {
	case distro.SLES:
		return system.Family == distro.OpenSUSE && (system.Version == said.Version+"."+cmp.Or(said.ServicePack, "0") || said.ServicePack == "" && system.Version == said.Version)
	default:
		return system.Edition == "red-hat-linux" && system.Version == said.Version
	}
}

// linuxType keeps what an os_type of "linux" contradicts. DescribeInstances and
// DescribeImages know two types, "windows" and "linux", and FreeBSD has the second,
// so that it names no system and is no claim of its own; but no Windows has it.
func (id *identity) linuxType(f *Facts) {
	if id.settled || id.os.Family != distro.WindowsServer && id.os.Family != distro.WindowsClient {
		return
	}
	said := claim{Guess: distro.Guess{Family: distro.OtherLinux, Vague: true}, field: "os_type", text: "linux"}
	switch {
	case strings.EqualFold(f.Image.OSType, "linux"):
		said.evidence = EvidenceImage
	case strings.EqualFold(f.OSType, "linux"):
		said.evidence = EvidenceInstance
	default:
		return
	}
	id.familyConflict(&said, false)
}

// strangeKernel keeps a kernel that the system cannot run: one of Linux under Windows
// or FreeBSD, one of Windows under anything else. The builders of kernels that are told
// by name are claims of their own.
func (id *identity) strangeKernel(f *Facts) {
	windows := id.os.Family == distro.WindowsServer || id.os.Family == distro.WindowsClient
	if id.settled || id.os.Family == distro.Unknown {
		return
	}
	for i, text := range f.kernels() {
		if k := distro.IdentifyKernel(text); text == "" || k.Family != "" || k.EL > 0 {
			continue
		}
		system := distro.KernelOf(text)
		if system.Family == "" || windows != (system.Family == distro.OtherLinux) && id.os.Family != distro.FreeBSD {
			continue
		}
		said := claim{Guess: distro.Guess{Family: system.Family, Version: system.Version}, evidence: kernelEvidence(i), field: "kernel", text: text}
		id.familyConflict(&said, false)
	}
}

// standing says whether the release, or one that contradicts it, may have come
// after the table of releases was made: the one of which least is known counts.
func (id *identity) standing() distro.Standing {
	newest := distro.StandingOf(id.os.Family, id.os.Edition, id.os.Version, id.os.ServicePack)
	if id.settled {
		return newest
	}
	for _, a := range id.alts {
		newest = max(newest, distro.StandingOf(a.family, a.edition, a.version, a.sp))
	}
	return newest
}

// familyConflict keeps a claim of another family. inFull says that the older system of
// the same name is not meant.
func (id *identity) familyConflict(claim *claim, inFull bool) {
	if unread := claim.unread(); unread != "" {
		id.conflict("family", id.os.Family, unread, claim)
		id.alternative(alternative{family: distro.Unknown})
	}
	for i := range claim.Also {
		if a := &claim.Also[i]; a.Family != id.os.Family && !(inFull && olderTwin(claim, a)) {
			id.conflict("family", id.os.Family, osName(a.Family, a.Version, a.ServicePack), claim)
			id.alternative(alternative{family: a.Family, version: a.Version, sp: a.ServicePack, edition: a.Edition})
		}
	}
	switch {
	case claim.kernel && claim.el > 0:
		if !elFamily(id.os.Family) && id.os.Family != distro.OtherLinux && id.os.Family != distro.Alinux {
			id.conflict("family", id.os.Family, "an Enterprise Linux kernel", claim)
			id.alternative(alternative{family: distro.OtherLinux, version: claim.Version, edition: "el"})
		}
	case claim.Family == "" || claim.Family == id.os.Family || sameSystem(id.os.Family, claim):
	default:
		id.conflict("family", id.os.Family, claim.Family, claim)
		id.alternative(alternative{family: claim.Family, version: claim.Version, sp: claim.ServicePack, edition: claim.Edition})
	}
}

// sameSystem says whether a claim of another family name is no contradiction:
// a catch-all, a bare "SUSE" for openSUSE, the image id rhel5uN of Aliyun
// Linux 5, a Windows client where only "windows" is said.
func sameSystem(family string, claim *claim) bool {
	isWindows := family == distro.WindowsServer || family == distro.WindowsClient
	switch {
	case claim.Vague && claim.Family == distro.OtherLinux:
		return !isWindows && family != distro.FreeBSD
	case claim.Vague && claim.Family == distro.WindowsServer:
		return isWindows
	case claim.Vague && claim.Family == distro.SLES:
		return family == distro.OpenSUSE
	case family == distro.Alinux && claim.Family == distro.RHEL:
		return strings.HasPrefix(claim.Version, "5.")
	case claim.kernel && family == distro.OtherLinux:
		return true
	}
	return false
}

// versions chooses the version: the strongest evidence that gives one, made
// finer by weaker evidence that agrees with it.
func (id *identity) versions(claims []claim) {
	from := EvidenceNone
	for i := range claims {
		claim := &claims[i]
		said := claim.Version
		switch {
		case said == "":
			continue
		case claim.kernel && claim.el > 0:
			if !elFamily(id.os.Family) && !(id.os.Family == distro.OtherLinux && id.os.Edition == "el") {
				continue
			}
		case claim.Family == "":
			said = bareVersion(id.os.Family, id.os.Edition, said)
			if said == "" {
				continue
			}
		case claim.Family != id.os.Family:
			if !sameSystem(id.os.Family, claim) || claim.Vague || claim.kernel { // a kernel of another family says nothing of this one's releases
				continue
			}
		}
		id.version(said, claim, &from)
	}
	for i := range claims {
		id.listed(&claims[i])
	}
}

// listed keeps the further releases of the family that one string names: none
// makes another finer, each may be what runs.
func (id *identity) listed(claim *claim) {
	for i := range claim.Also {
		system := &claim.Also[i]
		if system.Family != id.os.Family || id.os.Version != "" && system.Version == id.os.Version && (system.ServicePack == id.os.ServicePack || system.ServicePack == "") ||
			system.ServicePack == "" && finer(system.Version, id.os.Version) && claim.Version != id.os.Version {
			continue
		}
		id.conflict("version", sayVersion(id.os.Version, id.os.ServicePack), sayVersion(system.Version, system.ServicePack), claim)
		id.alternative(alternative{family: system.Family, version: system.Version, sp: system.ServicePack, edition: system.Edition})
	}
}

// bareVersion reads a version that stands alone, the whole of
// /etc/debian_version, as a release of the family; "" when it has no such one.
func bareVersion(family, edition, value string) string {
	if family == distro.Debian && strings.HasPrefix(value, "6.") && strings.Count(value, ".") == 1 && value != "6.0" {
		value = "6.0." + strings.TrimLeft(value[2:], "0")
	}
	return distro.Existing(family, edition, value)
}

func sayVersion(value, sp string) string {
	if sp != "" {
		return value + " sp" + sp
	}
	return value
}

func osName(family, v, sp string) string { return strings.TrimSpace(family + " " + sayVersion(v, sp)) }

// version merges one version into the identity.
func (id *identity) version(value string, claim *claim, from *Evidence) {
	have := id.os.Version
	switch {
	case id.several:
		another := alternative{family: id.os.Family, version: value, sp: claim.ServicePack, edition: claim.Edition}
		if !slices.Contains(id.alts, another) {
			id.conflict("version", "", sayVersion(value, claim.ServicePack), claim)
		}
		id.alternative(another)
	case have == "" && claim.Listed: // none is chosen, each counts
		id.several, id.notR2 = true, claim.NotR2
		id.alternative(alternative{family: id.os.Family, version: value, sp: claim.ServicePack, edition: claim.Edition})
		id.conflict("version", "", sayVersion(value, claim.ServicePack), claim)
		*from = claim.evidence
		id.os.Evidence = claim.evidence
		id.free = id.free || claim.free
	case have == "" || finer(have, value) && !(id.notR2 && strings.HasSuffix(value, "r2")):
		id.os.Version, id.os.ServicePack, id.notR2 = value, claim.ServicePack, claim.NotR2
		*from = claim.evidence
		id.os.Evidence = claim.evidence
		id.free = id.free || claim.free
		id.settled = id.settled && (claim.evidence == EvidenceGuest || have != "")
	case have == value:
		if claim.ServicePack != "" && id.os.ServicePack == "" {
			id.os.ServicePack = claim.ServicePack
			id.free = id.free || claim.free
		} else if claim.ServicePack != "" && claim.ServicePack != id.os.ServicePack {
			id.conflict("version", sayVersion(have, id.os.ServicePack), sayVersion(value, claim.ServicePack), claim)
			id.alternative(alternative{family: id.os.Family, version: value, sp: claim.ServicePack, edition: claim.Edition})
		}
		id.notR2 = id.notR2 || claim.NotR2
	case finer(value, have) && !(claim.NotR2 && strings.HasSuffix(have, "r2")):
	case id.os.Family == distro.Alinux && major(value) == major(have) && (len(value) == len("3.2104")) != (len(have) == len("3.2104")):
		// Two counts of the same line: image aliyun_3_9 has the name 3.2104.
	default:
		id.conflict("version", have, value, claim)
		id.alternative(alternative{family: id.os.Family, version: value, sp: claim.ServicePack, edition: claim.Edition})
	}
}

// finer says whether b is a, told more exactly: 7 and 7.9, 2008 and 2008r2.
func finer(a, b string) bool {
	return len(b) > len(a) && strings.HasPrefix(b, a) && (b[len(a)] == '.' || b[len(a)] == 'r')
}

func major(v string) string {
	head, _, _ := strings.Cut(v, ".")
	return head
}

// rest fills in edition, architecture and kernel.
func (id *identity) rest(facts *Facts, claims []claim) {
	for i := range claims {
		claim := &claims[i]
		id.amd = id.amd || claim.AMD
		if id.os.Edition == "" && claim.Family == id.os.Family {
			id.os.Edition = claim.Edition
		}
	}
	id.arch(facts, claims)
	for i, k := range facts.kernels() {
		if version.ParseKernel(k).OK {
			id.os.Kernel, id.kernelFrom = k, kernelEvidence(i)
			id.twoKernels(facts.Guest.ConsoleKernel)
			return
		}
	}
	for i := range claims {
		if c := &claims[i]; version.ParseKernel(c.Kernel).OK {
			id.os.Kernel, id.kernelFrom, id.free = c.Kernel, c.evidence, id.free || c.free
			return
		}
	}
}

// kernels are the texts that name a kernel, the strongest evidence first.
func (f *Facts) kernels() [4]string {
	return [...]string{f.Guest.Kernel, f.Guest.ConsoleKernel, f.Image.TagKernelVersion, f.Image.CheckKernel}
}

// kernelEvidence is where the kernel at a place of kernels comes from.
func kernelEvidence(place int) Evidence {
	if place < 2 {
		return EvidenceGuest
	}
	return EvidenceImage
}

// twoKernels keeps the kernel that a console log shows where the machine answered
// with another: what its boot loader names may not be what it starts.
func (id *identity) twoKernels(console string) {
	if id.kernelFrom != EvidenceGuest || !version.ParseKernel(console).OK || strings.TrimSpace(console) == strings.TrimSpace(id.os.Kernel) {
		return
	}
	id.otherKernel = console
	id.conflicts = append(id.conflicts, Conflict{Field: "kernel", Chosen: id.os.Kernel, Other: console, Evidence: EvidenceGuest, Text: "the console log"})
}

// arch chooses the CPU architecture: what the machine answered, else what the image
// says, else the first of the claims, else what a kernel is built for. What names another is kept as a conflict; where
// one is Arm and the other x86, and the machine did not answer, both stay possible.
func (id *identity) arch(facts *Facts, claims []claim) {
	id.os.Arch, id.archFrom = archName(facts.Guest.Architecture), EvidenceGuest
	seen := func(arch string, evidence Evidence, text string) {
		switch {
		case arch == "":
		case id.os.Arch == "":
			id.os.Arch, id.archFrom = arch, evidence
		case arch != id.os.Arch:
			id.conflicts = append(id.conflicts, Conflict{Field: "arch", Chosen: id.os.Arch, Other: arch, Evidence: evidence, Text: text})
			id.twoArchs = id.twoArchs || archName(facts.Guest.Architecture) == "" && (arch == arm) != (id.os.Arch == arm)
		}
	}
	seen(archName(facts.Image.Architecture), EvidenceImage, facts.Image.Architecture)
	for i := range claims {
		seen(claims[i].Arch, claims[i].evidence, claims[i].text)
	}
	for i, text := range facts.kernels() {
		arch := distro.KernelArch(text)
		if (arch == arm) == (id.os.Arch == arm) && id.os.Arch != "" {
			continue // 32 bits run under a kernel of 64, too
		}
		seen(arch, kernelEvidence(i), text)
	}
}

// arm is what every other architecture is told apart from: a family runs systems
// that are built for it, or those that are not.
const arm = "arm64"

func archName(text string) string {
	switch {
	case strings.EqualFold(text, "i386"), strings.EqualFold(text, "i686"), strings.EqualFold(text, "i586"), strings.EqualFold(text, "x86"):
		return "i386"
	case strings.EqualFold(text, "x86_64"), strings.EqualFold(text, "amd64"), strings.EqualFold(text, "x64"):
		return "x86_64"
	case strings.EqualFold(text, "arm64"), strings.EqualFold(text, "aarch64"):
		return arm
	}
	return distro.Identify(text).Arch
}

func (id *identity) conflict(field, chosen, other string, claim *claim) {
	for _, k := range id.conflicts {
		if k.Field == field && k.Other == other && k.Evidence == claim.evidence {
			return
		}
	}
	id.conflicts = append(id.conflicts, Conflict{Field: field, Chosen: chosen, Other: other, Evidence: claim.evidence, Text: strings.Clone(claim.text)})
}

func (id *identity) alternative(a alternative) {
	if slices.Contains(id.alts, a) {
		return
	}
	id.alts = append(id.alts, a)
}

// elFamily says whether the family is a build of Enterprise Linux.
func elFamily(family string) bool {
	switch family {
	case distro.CentOS, distro.RHEL, distro.Oracle, distro.Rocky, distro.AlmaLinux, distro.Anolis:
		return true
	}
	return false
}
