package ecssim

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// guest is what really runs in an instance: what the machine itself would say.
// For most it is what the instance shows; a name that is vague hides a system
// that is not.
type guest struct {
	kind    *osKind
	naming  naming // what the names that the instance shows tell of it
	kernel  string
	virtio  bool // the drivers can be loaded at boot
	nvme    bool
	names   int // lines of the boot configuration that name disks as the kernel numbers them
	residue bool
	agent   bool // Cloud Assistant is installed
	answers bool // and its machine answers
	slow    bool // it answers, but not at once
	failed  bool // its last start failed
	oddity  oddity
}

// oddity is what is wrong with a guest's answer.
type oddity uint8

const (
	oddNone oddity = iota
	oddCut
	oddGarbled
	oddTimeout
	oddExit
	oddKinds
)

// guest computes what runs in an instance. The caller holds mu.
func (sc *scope) guest(in *instance) guest {
	sum := hash(sc.fleet.seed, 'g', in.h)
	drawn := guest{names: int(mix(sum^1) % 16 / 15)}
	drawn.kind, drawn.naming = sc.runs(in)
	drawn.kernel = drawn.kind.kernel()
	machineClass := in.typ.class(in.ioOptimized)
	drawn.virtio = machineClass != classXen || in.slot.virtio
	windows := drawn.kind.osType() == "windows"
	switch {
	case windows:
		drawn.nvme = in.typ.nvme == "required"
		drawn.residue = machineClass == classXen
	case in.typ.nvme == "required":
		drawn.nvme = true
	default:
		drawn.nvme = in.slot.nvme || drawn.kind.holdsNVMe()
	}
	opt := sc.fleet.guests
	drawn.agent = drawn.kind.runsAgent()
	drawn.answers = drawn.agent && share(mix(sum^2)) >= opt.offline
	drawn.failed = in.status == statusRunning && share(mix(sum^6)) < opt.failed
	drawn.answers = drawn.answers && !drawn.failed
	drawn.slow = mix(sum^3)%8 == 0
	if share(mix(sum^4)) < opt.odd {
		drawn.oddity = oddCut + oddity(mix(sum^5)%uint64(oddKinds-1))
	}
	return drawn
}

// guestOptions are the shares of machines that do not answer as asked.
type guestOptions struct{ offline, odd, failed float64 }

// concrete is a system that a vague label may stand for; others stand for
// themselves. Instances of one image have the same.
func (d *data) concrete(kind *osKind, sum uint64) *osKind {
	if !kind.vague() {
		return kind
	}
	var fit []*osKind
	for _, c := range d.kinds {
		same := c.family == kind.family || kind.family == "other-linux" || kind.family == "unknown"
		older := kind.version == "" || strings.HasPrefix(c.version, kind.version+".")
		if !c.vague() && same && older && c.osType() == kind.osType() && c.arch == "x86_64" && c.family != "other-linux" {
			fit = append(fit, c)
		}
	}
	if len(fit) == 0 {
		return kind
	}
	return fit[sum%uint64(len(fit))]
}

// vague says whether the label leaves open which release it is.
func (k *osKind) vague() bool {
	switch k.family {
	case "centos", "rhel", "debian":
		return !strings.Contains(k.version, ".") && k.version != "9"
	}
	return k.version == ""
}

// major is the first number of the version, 0 where there is none.
func (k *osKind) major() int {
	first, _, _ := strings.Cut(k.version, ".")
	n, _ := strconv.Atoi(first)
	return n
}

// runsAgent says whether the agent of Cloud Assistant runs there: it needs Linux
// 2.6.32 or Windows Server 2008 R2, and was never made for Gentoo.
func (k *osKind) runsAgent() bool {
	switch k.family {
	case "centos", "rhel", "oracle":
		return k.major() >= 6
	case "alinux":
		return k.version != "5.4" && k.version != "5.7"
	case "debian":
		return k.major() >= 8
	case "ubuntu":
		return k.major() >= 12
	case "sles", "opensuse":
		return k.major() >= 11
	case "windows-server":
		return k.version != "2003" && k.version != "2003r2" && k.version != "2008" && k.version != ""
	case "gentoo", "unknown", "other-linux", "freebsd":
		return false
	}
	return true
}

// holdsNVMe says whether the system's initramfs holds the NVMe driver by
// default, whatever the machine is that it was made on.
func (k *osKind) holdsNVMe() bool {
	return k.family == "debian" && k.major() >= 9 || k.family == "ubuntu" && k.major() >= 16
}

// kernels are the releases that public images of a system were made with, from
// their release notes and those of the distributions.
var kernels = map[string]string{
	"el5.4": "2.6.18-164.el5", "el5.7": "2.6.18-274.el5", "el5.8": "2.6.18-308.el5", "el5.9": "2.6.18-348.el5", "el5.10": "2.6.18-371.el5", "el5.11": "2.6.18-398.el5",
	"el6.3": "2.6.32-279.el6", "el6.5": "2.6.32-431.el6", "el6.8": "2.6.32-642.el6", "el6.9": "2.6.32-696.el6", "el6.10": "2.6.32-754.el6",
	"el7.0": "3.10.0-123.el7", "el7.2": "3.10.0-327.el7", "el7.3": "3.10.0-514.el7", "el7.4": "3.10.0-693.el7", "el7.5": "3.10.0-862.el7",
	"el7.6": "3.10.0-957.el7", "el7.7": "3.10.0-1062.el7", "el7.8": "3.10.0-1127.el7", "el7.9": "3.10.0-1160.el7",
	"el8.0": "4.18.0-80.el8", "el8.2": "4.18.0-193.el8", "el8.4": "4.18.0-305.el8", "el8.5": "4.18.0-348.el8", "el8.8": "4.18.0-477.el8", "el8.10": "4.18.0-553.el8_10",
	"el9": "5.14.0-362.el9", "el9.3": "5.14.0-362.8.1.el9_3", "el9.6": "5.14.0-570.12.1.el9_6", "el9.7": "5.14.0-611.5.1.el9_7",
	"alinux17.1": "4.4.95-1.al7", "alinux2.1903": "4.19.91-26.al7", "alinux3.2104": "5.10.134-16.1.al8", "alinux4": "6.6.88-4.2.alnx4",
	"anolis8.8": "5.10.134-13.an8", "anolis8.10": "5.10.134-18.an8",
	"debian6.0.6": "2.6.32-5-amd64", "debian6.0.9": "2.6.32-5-amd64", "debian7.5": "3.2.0-4-amd64", "debian8.8": "3.16.0-4-amd64", "debian8.9": "3.16.0-4-amd64",
	"debian9.9": "4.9.0-9-amd64", "debian10.9": "4.19.0-16-amd64", "debian11.0": "5.10.0-8-amd64", "debian12.8": "6.1.0-28-amd64", "debian13.5": "6.12.88+deb13-amd64",
	"ubuntu10.04": "2.6.32-38-server", "ubuntu11.10": "3.0.0-12-server", "ubuntu12.04": "3.2.0-29-generic", "ubuntu14.04": "3.13.0-32-generic", "ubuntu16.04": "4.4.0-117-generic",
	"ubuntu18.04": "4.15.0-42-generic", "ubuntu20.04": "5.4.0-77-generic", "ubuntu22.04": "5.15.0-40-generic", "ubuntu24.04": "6.8.0-40-generic",
	"sles10": "2.6.16.60-0.85.1-default", "sles11": "3.0.76-0.11-default", "sles12.2": "4.4.21-69-default", "sles12.4": "4.12.14-94.41-default", "sles15.6": "6.4.0-150600.21-default",
	"opensuse11": "2.6.37.1-1.2-default", "opensuse12.3": "3.7.10-1.1-default", "opensuse13.1": "3.11.6-4-default", "opensuse42.3": "4.4.76-1-default", "opensuse15.6": "6.4.0-150600.21-default",
	"fedora33": "5.8.15-301.fc33.x86_64", "fedora41": "6.11.4-301.fc41.x86_64", "coreos1465.8.0": "4.12.14-coreos", "coreos1745.7.0": "4.14.48-coreos-r2",
}

// kernel is the release of the kernel that runs.
func (k *osKind) kernel() string {
	if k.tagKernel != "" {
		return k.tagKernel
	}
	key, arch := k.family+k.version, map[string]string{"arm64": "aarch64"}[k.arch]
	switch k.family {
	case "centos", "rhel", "almalinux", "rocky":
		key = "el" + k.version
	case "sles":
		key = cmp.Or(map[bool]string{true: key + "." + k.servicePack}[k.major() >= 12], key)
	}
	release := kernels[key]
	if strings.Contains(release, ".el") || strings.Contains(release, ".al") || strings.Contains(release, ".an8") {
		if arch == "" {
			arch = map[bool]string{true: "i686", false: "x86_64"}[k.arch == "i386"]
		}
		if !strings.HasSuffix(release, ".el5") || arch == "i686" {
			release += "." + arch
		}
	}
	return release
}

// releaseLines are where systems say their release, and how, their version put in.
var releaseLines = map[string][2]string{
	"rhel":      {"release.redhat-release", "Red Hat Enterprise Linux Server release %s"},
	"alinux":    {"os.PRETTY_NAME", "Alibaba Cloud Linux %s LTS"},
	"anolis":    {"release.anolis-release", "Anolis OS release %s"},
	"almalinux": {"release.redhat-release", "AlmaLinux release %s"},
	"rocky":     {"release.redhat-release", "Rocky Linux release %s"},
	"fedora":    {"release.redhat-release", "Fedora release %s"},
	"debian":    {"release.debian_version", "%s"},
	"ubuntu":    {"os.PRETTY_NAME", "Ubuntu %s LTS"},
	"sles":      {"release.SuSE-release", "SUSE Linux Enterprise Server %s (x86_64)"},
	"opensuse":  {"os.PRETTY_NAME", "openSUSE %s (x86_64)"},
	"coreos":    {"os.PRETTY_NAME", "Container Linux by CoreOS %s"},
}

// releaseLine is where a system says its release, and how: the file and its
// first line.
func (k *osKind) releaseLine() (file, line string) {
	switch major := k.major(); {
	case k.family == "centos" && k.version == "9":
		return "release.centos-release", "CentOS Stream release 9"
	case k.family == "centos" && major >= 7:
		return "release.centos-release", "CentOS Linux release " + k.version + " (Core)"
	case k.family == "centos":
		return "release.redhat-release", "CentOS release " + k.version + " (Final)"
	case k.family == "alinux" && (major == 5 || major == 17):
		return "release.redhat-release", "Aliyun Linux release " + k.version
	case k.family == "alinux" && major == 2:
		return "release.alinux-release", "Alibaba Cloud Linux (Aliyun Linux) release " + k.version + " LTS (Hunting Beagle)"
	case k.family == "sles" && major >= 12:
		return "os.PRETTY_NAME", "SUSE Linux Enterprise Server " + k.version + " SP" + k.servicePack
	}
	if says, known := releaseLines[k.family]; known {
		return says[0], fmt.Sprintf(says[1], k.version)
	}
	return "os.PRETTY_NAME", k.osNameEn
}

// captions are what Windows calls itself.
var captions = map[string]string{
	"2008r2": "Microsoft Windows Server 2008 R2 Enterprise", "2012": "Microsoft Windows Server 2012 Standard", "2012r2": "Microsoft Windows Server 2012 R2 Datacenter",
	"2016": "Microsoft Windows Server 2016 Datacenter", "2019": "Microsoft Windows Server 2019 Datacenter", "2022": "Microsoft Windows Server 2022 Datacenter", "2025": "Microsoft Windows Server 2025 Datacenter",
}

// says is what the guest prints when it is asked as shenscan asks: the format of
// the product's scripts, written down here a second time.
func (g *guest) says() string {
	var text strings.Builder
	lines := 0
	say := func(key, value string) {
		lines++
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	if g.kind.osType() == "windows" {
		text.WriteString("shenscan-probe 1 windows\n")
		g.sayWindows(say)
	} else {
		text.WriteString("shenscan-probe 1 unix\n")
		g.sayLinux(say)
	}
	fmt.Fprintf(&text, "end=%d\n", lines)
	return g.bent(text.String())
}

func (g *guest) sayLinux(say func(key, value string)) {
	osKind := g.kind
	say("system", "Linux")
	say("kernel", g.kernel)
	say("machine", map[string]string{"arm64": "aarch64", "i386": "i686"}[osKind.arch]+map[bool]string{true: "x86_64"}[osKind.arch == "x86_64"])
	file, line := osKind.releaseLine()
	say(file, line)
	if osKind.family == "sles" && osKind.major() < 12 {
		say("release.patchlevel", osKind.servicePack)
	}
	if osKind.family == "debian" && osKind.major() >= 7 {
		say("os.ID", "debian")
	}
	say("default", g.kernel)
	say("kernel.1", g.kernel)
	say("kernel.1.initramfs", "read")
	for _, d := range []struct {
		name string
		held bool
	}{{"virtio", g.virtio}, {"virtio_ring", g.virtio}, {"virtio_pci", g.virtio}, {"virtio_blk", g.virtio}, {"nvme", g.nvme}, {"nvme_core", g.nvme}} {
		say("kernel.1."+d.name, map[bool]string{true: "initramfs", false: "module"}[d.held])
	}
	say("kernels", "1")
	say("fstab", strconv.Itoa(g.names))
	say("bootloader", "0")
}

func (g *guest) sayWindows(say func(key, value string)) {
	say("caption", captions[g.kind.version])
	say("csd", "")
	say("machine", map[bool]string{true: "x86", false: "AMD64"}[g.kind.arch == "i386"])
	for _, driver := range []struct {
		name string
		held bool
	}{{"viostor", g.virtio}, {"stornvme", g.nvme}} {
		say(driver.name+".start", "0")
		say(driver.name+".override", map[bool]string{true: "none", false: "3"}[driver.held])
		say(driver.name+".file", "yes")
	}
	say("xen.services", map[bool]string{true: "xenvbd,xennet"}[g.residue])
	say("xen.hidden", "")
	say("xen.packages", map[bool]string{true: "2", false: "0"}[g.residue])
	say("security", "")
	say("sfc", "none")
}

// bent is the answer with what is wrong with it.
func (g *guest) bent(text string) string {
	if g.oddity == oddCut {
		return text[:len(text)*2/3]
	}
	if g.oddity == oddGarbled {
		return strings.Replace(text, "=", "=\x1b[31m", 1)
	}
	return text
}
