package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

// Bounds of an answer. The scripts stay far below: the longest that was seen
// has 70 lines and 2 KB. The platform cuts an output at 24 KB.
const (
	maxOutput  = 16 << 10
	maxLines   = 120
	maxLine    = 360
	maxKernels = 5
)

// UnreadError says why an answer is no evidence. It never holds text of the
// machine.
type UnreadError struct{ Cause string }

// Error names the cause.
func (e *UnreadError) Error() string { return "answer not read: " + e.Cause }

func unread(format string, args ...any) error { return &UnreadError{fmt.Sprintf(format, args...)} }

// Read reads what the script of a platform printed. The error is an
// *UnreadError.
func Read(platform, output string) (rules.GuestFacts, error) {
	answer, err := parse(platform, output)
	if err != nil {
		return rules.GuestFacts{}, err
	}
	read := answer.unix
	if platform == Windows {
		read = answer.windows
	}
	guest, err := read()
	if err != nil {
		return rules.GuestFacts{}, err // not the half that was read before the fault
	}
	return guest, nil
}

// answer is an output whose form is sound: values by key.
type answer map[string]string

// parse holds the form of an output against what the script prints: the header,
// keys that it knows, each once, and a last line that counts the others.
func parse(platform, output string) (answer, error) {
	if len(output) > maxOutput {
		return nil, unread("%d bytes, more than the script prints", len(output))
	}
	for i := range len(output) {
		if c := output[i]; (c < ' ' || c > '~') && c != '\n' && (c != '\r' || i+1 < len(output) && output[i+1] != '\n') {
			return nil, unread("garbled: byte %d is no printable character", i)
		}
	}
	lines := strings.Split(strings.ReplaceAll(strings.TrimRight(output, "\r\n"), "\r\n", "\n"), "\n")
	switch {
	case output == "":
		return nil, unread("it is empty")
	case len(lines) > maxLines:
		return nil, unread("garbled: %d lines, more than the script prints", len(lines))
	}
	name, version, ok := strings.Cut(strings.TrimPrefix(lines[0], "shenscan-probe "), " ")
	switch {
	case lines[0] == fmt.Sprintf("shenscan-probe %d %s", Version, platform):
	case ok && strings.HasPrefix(lines[0], "shenscan-probe ") && name != strconv.Itoa(Version) && version == platform:
		return nil, unread("it has another version of the format")
	default:
		return nil, unread("garbled: it does not begin as the script does")
	}
	out := answer{}
	for i, line := range lines[1:] {
		key, value, ok := strings.Cut(line, "=")
		if !ok || len(line) > maxLine {
			if i == len(lines)-2 {
				break // the last line, and it is not whole
			}
			return nil, unread("garbled: line %d is no key and value", i+2)
		}
		if key == "end" {
			switch {
			case value != strconv.Itoa(len(out)):
				return nil, unread("its lines are not as many as it says")
			case i != len(lines)-2:
				return nil, unread("garbled: it goes on behind its end")
			}
			return out, nil
		}
		if _, twice := out[key]; twice || !known(platform, key) {
			return nil, unread("garbled: line %d is none of the script's, or there twice", i+2)
		}
		out[key] = value
	}
	return nil, unread("it is cut short")
}

// releaseFiles are the files below /etc whose first line names a release, the
// most telling first: Oracle's and others' systems also have a redhat-release.
var releaseFiles = []string{
	"release.alinux-release", "release.anolis-release", "release.openEuler-release", "release.kylin-release", "release.oracle-release",
	"release.centos-release", "release.redhat-release", "release.SuSE-release", "release.gentoo-release",
}

var (
	unixKeys = slices.Concat(releaseFiles, []string{
		"system", "kernel", "machine", "release.debian_version", "release.patchlevel", "release.lsb", "os.ID", "os.VERSION_ID", "os.PRETTY_NAME",
		"freebsd", "maxphys", "default", "kernels", "fstab", "bootloader",
	})
	windowsKeys = []string{
		"caption", "version", "csd", "machine", "viostor.start", "viostor.override", "viostor.file", "stornvme.start", "stornvme.override", "stornvme.file",
		"xen.services", "xen.hidden", "xen.packages", "security", "sfc",
	}
	kernelKeys = []string{"initramfs", "virtio", "virtio_ring", "virtio_pci", "virtio_blk", "nvme", "nvme_core"}
)

func known(platform, key string) bool {
	if platform == Windows {
		return slices.Contains(windowsKeys, key)
	}
	rest, ok := strings.CutPrefix(key, "kernel.")
	if !ok {
		return slices.Contains(unixKeys, key)
	}
	n, what, more := strings.Cut(rest, ".")
	return len(n) == 1 && n[0] >= '1' && n[0] <= '0'+maxKernels && (!more || slices.Contains(kernelKeys, what))
}

// notSaid is what a script prints of what it could not look at.
const notSaid = "unread"

// count reads a number, or that it was not read.
func (a answer) count(key string) (n int, ok bool, err error) {
	text, there := a[key]
	if !there || text == notSaid {
		return 0, false, nil
	}
	n, e := strconv.Atoi(text)
	if e != nil || n < 0 {
		return 0, false, unread("garbled: %s is no number", key)
	}
	return n, true, nil
}

func (a answer) unix() (rules.GuestFacts, error) {
	guest := rules.GuestFacts{Kernel: a["kernel"], Architecture: a["machine"]}
	if a["kernel"] == "" || a["system"] == "" {
		return guest, unread("the machine names no kernel")
	}
	var err error
	if a["system"] == "FreeBSD" {
		err = a.freebsd(&guest)
	} else {
		err = a.linux(&guest)
	}
	if err != nil {
		return guest, err
	}
	fstab, fstabRead, err := a.count("fstab")
	if err != nil {
		return guest, err
	}
	loader, loaderRead, err := a.count("bootloader")
	switch {
	case err != nil:
		return guest, err
	case fstab+loader > 0:
		guest.DeviceNames = rules.Yes
	case fstabRead && loaderRead:
		guest.DeviceNames = rules.No
	}
	return guest, nil
}

// freebsd reads what FreeBSD alone says. What releases 11 and 12 need is a patch
// that leaves no trace to look for; later ones need a setting.
func (a answer) freebsd(guest *rules.GuestFacts) error {
	guest.Release, guest.Kernel = "FreeBSD "+a["freebsd"], ""
	if a["freebsd"] == "" {
		guest.Release = "FreeBSD " + a["kernel"]
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(guest.Release, "FreeBSD "), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 13 {
		return nil
	}
	text, there := a["maxphys"]
	if !there || text == notSaid {
		return nil
	}
	guest.FreeBSDPatch = rules.No
	if n, err := strconv.Atoi(text); err == nil && n > 0 && n <= 65536 {
		guest.FreeBSDPatch = rules.Yes
	}
	return nil
}

func (a answer) linux(guest *rules.GuestFacts) error {
	var err error
	if guest.Release, err = a.release(); err != nil {
		return err
	}
	kernels, ok, err := a.count("kernels")
	if err != nil || !ok {
		return unread("garbled: the number of kernels is missing")
	}
	if def := a["default"]; def != "" && kernels > 0 {
		guest.Kernel = def // it is the one that starts on the new machine
	}
	guest.Virtio, guest.NVMe = rules.Unobserved, rules.Unobserved
	for n := 1; n <= min(kernels, maxKernels); n++ {
		virtio, nvme, err := a.drivers(n)
		if err != nil {
			return err
		}
		if n == 1 {
			guest.Virtio, guest.NVMe = virtio, nvme
			continue
		}
		// Any of several may be the one that starts.
		guest.Virtio, guest.NVMe = agreed(guest.Virtio, virtio), agreed(guest.NVMe, nvme)
	}
	if kernels > maxKernels || a["default"] == "" && !a.among(min(kernels, maxKernels)) {
		// Those that were not looked at, or one that the boot loader has from
		// elsewhere, may lack a driver.
		guest.Virtio, guest.NVMe = agreed(guest.Virtio, rules.Unobserved), agreed(guest.NVMe, rules.Unobserved)
	}
	return nil
}

// among says whether the kernel that runs is one of the first n.
func (a answer) among(n int) bool {
	for i := 1; i <= n; i++ {
		if a["kernel."+strconv.Itoa(i)] == a["kernel"] {
			return true
		}
	}
	return false
}

// agreed is what both say, and not observed where they differ: of two kernels it is
// not known then which one starts on the new machine.
func agreed(a, b rules.Tri) rules.Tri {
	if a == b {
		return a
	}
	return rules.Unobserved
}

// drivers says which drivers kernel n can load at boot. A driver that is neither
// built in nor in the initramfs comes too late.
func (a answer) drivers(n int) (virtio, nvme rules.Tri, err error) {
	prefix := "kernel." + strconv.Itoa(n)
	if a[prefix] == "" {
		return 0, 0, unread("garbled: kernel %d has no release", n)
	}
	state := map[string]rules.Tri{}
	for _, name := range kernelKeys[1:] {
		switch a[prefix+"."+name] {
		case "builtin", "initramfs":
			state[name] = rules.Yes
		case "module", "absent":
			state[name] = rules.No
		case notSaid:
		default:
			return 0, 0, unread("garbled: kernel %d says nothing of %s that the script says", n, name)
		}
	}
	virtio = all(state["virtio"], state["virtio_ring"], state["virtio_pci"], state["virtio_blk"])
	nvme = state["nvme"]
	// Before 4.4 the driver was one piece.
	if a[prefix+".nvme_core"] != "absent" {
		nvme = all(nvme, state["nvme_core"])
	}
	return virtio, nvme, nil
}

// all is Yes where every one is, and No where any is.
func all(parts ...rules.Tri) rules.Tri {
	out := rules.Yes
	for _, tri := range parts {
		if tri == rules.No {
			return rules.No
		}
		if tri == rules.Unobserved {
			out = rules.Unobserved
		}
	}
	return out
}

// release is the line that names the release best. Where two of the machine's
// own files name different systems, one was left behind, and neither is
// believed.
func (a answer) release() (string, error) {
	line := ""
	for _, key := range releaseFiles {
		if a[key] != "" {
			line = a[key]
			break
		}
	}
	if patch := a["release.patchlevel"]; patch != "" && line == a["release.SuSE-release"] {
		line += " SP" + patch
	}
	pretty := a["os.PRETTY_NAME"]
	debian := a["release.debian_version"]
	switch {
	case line != "":
	case a["os.ID"] == "debian" || a["os.ID"] == "" && a["release.lsb"] == "":
		if debian != "" && debian[0] >= '0' && debian[0] <= '9' {
			line = "Debian GNU/Linux " + debian
		} else {
			line = pretty
		}
	case pretty != "":
		line = pretty
	default:
		line = a["release.lsb"]
	}
	if line != "" && pretty != "" {
		x, y := distro.Identify(line), distro.Identify(pretty)
		if x.Family != "" && y.Family != "" && !x.Vague && !y.Vague && x.Family != y.Family {
			return "", unread("two of its release files name different systems")
		}
	}
	return line, nil
}

// architectures are the words of Windows for what uname calls otherwise.
var architectures = map[string]string{"AMD64": "x86_64", "x86": "i386", "ARM64": "arm64"}

func (a answer) windows() (rules.GuestFacts, error) {
	guest := rules.GuestFacts{Release: a["caption"], Architecture: architectures[a["machine"]]}
	if guest.Release == "" {
		return guest, unread("the machine names no release")
	}
	if a["csd"] != "" {
		guest.Release += " " + a["csd"]
	}
	var err error
	if guest.Virtio, err = a.bootDriver("viostor"); err != nil {
		return guest, err
	}
	if guest.NVMe, err = a.bootDriver("stornvme"); err != nil {
		return guest, err
	}
	packages, packagesRead, err := a.count("xen.packages")
	if err != nil {
		return guest, err
	}
	services, servicesThere := a["xen.services"]
	hidden, hiddenThere := a["xen.hidden"]
	servicesRead, hiddenRead := servicesThere && services != notSaid, hiddenThere && hidden != notSaid
	switch {
	case packages > 0, servicesRead && services != "", hiddenRead && hidden != "":
		guest.XenResidue = rules.Yes
	case packagesRead && servicesRead && hiddenRead:
		guest.XenResidue = rules.No
	}
	// That none of a few names runs does not prove that there is none.
	if s := a["security"]; s != "" && s != notSaid {
		guest.SecuritySoft = rules.Yes
	}
	switch a["sfc"] {
	case "whole":
		guest.SystemFiles = rules.Yes
	case "damaged":
		guest.SystemFiles = rules.No
	case "none", notSaid, "":
	default:
		return guest, unread("garbled: SFC's result is none of those that there are")
	}
	return guest, nil
}

// bootDriver says whether Windows loads a driver at boot: its Start is 0, nothing
// overrides that, and its file is there.
func (a answer) bootDriver(name string) (rules.Tri, error) {
	start, override, file := a[name+".start"], a[name+".override"], a[name+".file"]
	switch start {
	case "absent":
		return rules.No, nil
	case notSaid:
		return rules.Unobserved, nil
	}
	if _, _, err := a.count(name + ".start"); err != nil || start == "" {
		return 0, unread("garbled: the start type of %s is no number", name)
	}
	if override != "none" && override != notSaid {
		if _, _, err := a.count(name + ".override"); err != nil || override == "" {
			return 0, unread("garbled: the StartOverride of %s is no number", name)
		}
	}
	switch {
	case start != "0", override != "none" && override != "0" && override != notSaid, file == "no":
		return rules.No, nil
	case override == notSaid || file != "yes":
		return rules.Unobserved, nil
	}
	return rules.Yes, nil
}
