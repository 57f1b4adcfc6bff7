package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

// judge judges facts for one target.
func judge(t *testing.T, r *rules.Ruleset, o rules.Observation, target string) *rules.Verdict {
	t.Helper()
	f := o.Facts()
	return &classifierOf(t, r, target).Classify(&f).Verdicts[0]
}

// classifierOf judges for the targets alone.
func classifierOf(t *testing.T, r *rules.Ruleset, targets ...string) *rules.Classifier {
	t.Helper()
	var list []rules.Target
	for _, name := range targets {
		tg, err := r.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, tg)
	}
	return r.NewClassifier(list)
}

func hasRemedy(v *rules.Verdict, id string) bool {
	return slices.ContainsFunc(v.Remedies, func(m rules.Remedy) bool { return m.ID == id })
}

func hasFinding(v *rules.Verdict, id string) bool {
	return slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == id })
}

// neighbour is an operating system beside a boundary, with its verdicts.
type neighbour struct{ name, kernel, kvm, six, seven string }

// probed are neighbours that the machine itself tells apart.
func probed() []struct {
	o               rules.Observation
	kvm, six, seven string
} {
	return []struct {
		o               rules.Observation
		kvm, six, seven string
	}{
		{rules.Observation{OSName: "FreeBSD 11.2", FreeBSDPatch: rules.Yes}, "compatible", "compatible", "compatible"},
		{rules.Observation{OSName: "FreeBSD 10.4", FreeBSDPatch: rules.Yes}, "compatible", "incompatible", "incompatible"},
		{rules.Observation{OSName: "FreeBSD", FreeBSDPatch: rules.Yes}, "unknown", "unknown", "unknown"},
		{rules.Observation{OSName: "Windows Server 2008 Standard", XenResidue: rules.No}, "compatible", "compatible", "unknown"},
		{rules.Observation{OSName: "Windows Server 2003", XenResidue: rules.No}, "needs-action", "incompatible", "incompatible"},
	}
}

func TestProbed(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, b := range probed() {
		f := b.o.Facts()
		for i, want := range []string{b.kvm, b.six, b.seven} {
			if v := &c.Classify(&f).Verdicts[i]; v.Level.String() != want {
				t.Errorf("%s on %s: %s by %s, want %s", b.o.String(), v.Target, v.Level, v.Rule, want)
			}
		}
	}
}

// neighbours are both sides of every boundary.
func neighbours() []neighbour {
	const I, U, A, C = "incompatible", "unknown", "needs-action", "compatible"
	list := []neighbour{
		{"CentOS 4.9", "", A, I, I},
		{"CentOS 5.0", "", A, I, I},
		{"CentOS 5.2", "", A, I, I},
		{"CentOS 5.3", "", C, I, I},
		{"CentOS 5", "", A, I, I},
		{"CentOS 5.8", "", C, I, I},
		{"CentOS 5.9", "", C, I, I},
		{"CentOS 5.10", "", C, C, U},
		{"CentOS 5.11", "", C, C, U},
		{"CentOS 6.0", "", C, C, U},
		{"CentOS 7.5", "", C, C, U},
		{"CentOS 7.6", "", C, C, C},
		{"CentOS 7", "", C, C, U},
		{"Red Hat Enterprise Linux 5.8", "", C, I, I},
		{"Red Hat Enterprise Linux 5.9", "", C, I, I},
		{"Red Hat Enterprise Linux 5.11", "", C, C, U},
		{"Oracle Linux 5.8", "", C, I, I},
		{"Oracle Linux 5.11", "", C, C, U},
		{"Aliyun Linux 5.7", "", C, I, I},
		{"Debian 6.0.8", "", A, I, I},
		{"Debian 6.0.9", "", C, C, U},
		{"Debian 6.0.10", "", C, C, U},
		{"Debian 6", "", A, I, I},
		{"Debian 8.11", "", C, C, U},
		{"Debian 9.0", "", C, C, C},
		{"Ubuntu 10.10", "", C, I, I},
		{"Ubuntu 7.10", "", A, I, I},
		{"Ubuntu 8.04", "", C, I, I},
		{"Ubuntu 11.04", "", C, U, U},
		{"Ubuntu 11.10", "", C, U, U},
		{"Ubuntu 12.04", "", C, C, U},
		{"Ubuntu 15.10", "", C, C, U},
		{"Ubuntu 16.04", "", C, C, C},
		{"SUSE Linux Enterprise Server 10 SP4", "", A, I, I},
		{"SUSE Linux Enterprise Server 11", "", C, C, U},
		{"SUSE Linux Enterprise Server 12 SP3", "", C, C, U},
		{"SUSE Linux Enterprise Server 12 SP4", "", C, C, C},
		{"openSUSE 10.3", "", A, I, I},
		{"openSUSE 11.0", "", C, I, I},
		{"openSUSE 12.3", "", C, I, I},
		{"openSUSE 13.1", "", C, C, U},
		{"openSUSE 42.3", "", C, C, U},
		{"openSUSE 15.0", "", C, C, C},
		{"FreeBSD 9.1", "", A, I, I},
		{"FreeBSD 9.2", "", C, I, I},
		{"FreeBSD 10.4", "", C, I, I},
		{"FreeBSD 11.0", "", C, A, A},
		{"FreeBSD 12.4", "", C, A, A},
		{"FreeBSD 13.0", "", C, A, A},
		{"Fedora 9", "", A, U, U},
		{"Fedora 10", "", C, U, U},
		{"Fedora 13", "", C, U, U},
		{"Fedora 14", "", C, C, U},
		{"Fedora 27", "", C, C, U},
		{"Fedora 28", "", C, C, C},
		{"Windows Server 2003 R2", "", A, I, I},
		{"Windows Server 2008 Standard", "", A, A, U},
		{"Windows Server 2008 R2", "", C, C, U},
		{"Windows Server 2012 Standard", "", C, C, U},
		{"Windows Server 2012 R2", "", C, C, C},
		{"Windows Server Version 1709", "", C, C, C},
		{"Windows XP", "", A, I, I},
		{"Windows Vista", "", U, U, U},
		{"Windows 7", "", C, C, U},
		{"Gentoo 13", "", A, I, I},
		{"Aliyun Linux 15.01", "", U, U, U},
		{"Aliyun Linux 17.1", "", C, C, U},
		{"Kylin V10", "", U, U, U},
		{"openEuler 22.03", "", U, U, U},
		{"Flatcar 3510.2.1", "", U, U, U},
		{"CentOS 6.5", "2.6.32-431.el6.x86_64", C, C, U},
		{"Oracle Linux 5.10", "2.6.39-300.17.1.el5uek", U, U, U},
		{"CentOS 5.5", "2.6.18-194.el5xen", A, I, I},
		{"CentOS 5.0", "2.6.18-8.el5xen", A, I, I},
		{"CentOS 5.8", "2.6.18-398.el5", C, I, I},
		{"CentOS 5.9", "2.6.18-348.el5", C, I, I},
		{"CentOS 5.9", "2.6.18-348.18.1.el5", C, I, I},
		{"CentOS 5.9", "2.6.18-349.el5", C, C, U},
		{"CentOS 5.9", "2.6.18-371.el5", C, C, U},
		{"Ubuntu 12.04", "3.2.0-23-generic", C, C, U},
		{"Ubuntu 12.04", "3.0.0-12-generic", C, U, U},
		{"Ubuntu 13.04", "3.0.0-12-generic", C, U, U},
		{"Ubuntu 16.04", "3.13.0-24-generic", C, C, U},
		{"Ubuntu 16.04", "2.6.22-14-server", A, I, I},
		{"Debian 9.0", "3.16.0-4-amd64", C, C, U},
		{"Debian 9.0", "4.9.0-3-amd64", C, C, C},
		{"CentOS 7.9", "3.10.0-327.el7.x86_64", C, C, U},
		{"CentOS 7.9", "3.10.0-957.el7.x86_64", C, C, C},
		{"CentOS 7.2", "3.10.0-1160.el7.x86_64", C, C, U},
		{"CentOS 7.9", "2.6.32-754.el6.x86_64", C, C, U},
		{"SUSE Linux Enterprise Server 12 SP4", "3.12.28-4-default", C, C, U},
		{"openSUSE 42.3", "4.4.76-1-default", C, C, U},
		{"openSUSE 15.1", "4.4.76-1-default", C, C, U},
		{"Alibaba Cloud Linux 2.1903", "4.4.95-3.al7.x86_64", C, C, U},
		{"CentOS 5.11", "2.6.18-127.el5", A, I, I},
		{"CentOS 5.11", "2.6.18.8", A, I, I}, // a patch of 2.6.18, which has no virtio
		{"CentOS 5.11", "'2.6.18-308.el5'", C, I, I},
		{"CentOS 5.11", "CentOS release 5.8 (Final) Kernel 2.6.18-308.el5 on an x86_64", C, I, I},
		{"CentOS 7.9", "[    0.000000] Linux version 3.10.0-1160.el7.x86_64", C, C, C},
		{"CentOS 5.11", "2.6.18-128.el5", C, I, I},
		{"CentOS 5.10", "kernel-2.6.18-274.el5", C, I, I},
		{"CentOS 5.10", "Linux web-1.5.10 2.6.18-274.el5 #1 SMP", C, I, I},
		{"CentOS 5.11", "2.6.18-398.el5.centos.plusxen", A, I, I},
		{"SUSE Linux Enterprise Server 11", "2.6.16.33-xenU", A, I, I},
		{"Ubuntu 8.04", "2.6.24-19-xen", A, I, I},
		{"Ubuntu 12.04", "3.2.0-xenU", A, I, I},
		{"Ubuntu 14.04", "3.12.74-60.64.40-xen", A, I, I},
		{"Fedora 12", "2.6.31-xenU", A, I, I},
		{"Fedora 8", "2.6.21.7-2.fc8xen", A, I, I},
		{"Rocky Linux 8.5", "4.18.0-348.el8xen", A, I, I},
		{"Anolis OS 7.7", "3.10.0-1160.an7xen", A, I, I},
		{"Linux", "2.6.18.8-xenU", U, I, I},
		{"Debian 6.0.10", "2.6.32-5-xen-amd64", C, C, U}, // starts without Xen, too
		{"Debian 7", "2.6.26-2-xen-amd64", A, I, I},
		{"Fedora CoreOS 44.20260601.3.0", "", C, C, C},
		{"CoreOS 94.0.0", "", C, C, U}, // the first of Container Linux
		{"CoreOS 199.0.0", "", C, C, U},
		{"openSUSE 43.0", "", U, U, U},
		{"openSUSE Tumbleweed 19999999", "", U, U, U},
		{"openSUSE Tumbleweed 20000000", "", C, C, U},
		{"SUSE Linux Enterprise Server 11 SP4", "", C, C, U},
		{"SUSE Linux Enterprise Server 12 SP1", "", C, C, U},
		{"Alibaba Cloud Linux 2.1903", "", C, C, C},
		{"Alibaba Cloud Linux 4", "", C, C, C},
		{"Aliyun Linux 14.1", "", U, U, U},
		{"Aliyun Linux 16.1", "", U, U, U},
		{"Aliyun Linux 18.1", "", U, U, U},
		{"Aliyun Linux 5.10", "", C, C, U},
		{"Rocky Linux 8.5", "", C, C, C},
		{"Anolis OS 7.7", "", C, C, C},
		{"Anolis OS 6.9", "", U, U, U},
		{"Windows 8", "", C, C, U},
		{"Windows 8.1", "", C, C, C},
		{"Windows 10", "", C, C, C},
		{"Windows Server 2008", "", A, A, U},
		{"Windows Server 2016", "", C, C, C},
		{"FreeBSD 14.1", "", C, A, A},
		{"CentOS 8.0", "", C, C, C},
		{"CentOS 9", "", C, C, C},
		{"CentOS 5.10", "2.6.39-300.17.1.el5uek", U, U, U},
		{"", "2.6.18-194.el5", C, I, I},
		{"", "2.6.18-348.1.1.el5", C, I, I},
		{"", "2.6.18-398.el5", C, C, U},
		{"", "2.6.32-754.el6", C, C, U},
		{"", "3.10.0-862.el7.x86_64", C, C, U},
		{"", "3.10.0-957.el7.x86_64", C, C, C},
		{"", "4.18.0-348.el8.x86_64", C, C, C},
		{"Aliyun Linux 5.9", "", C, I, I},
		{"Aliyun Linux 1.0", "", U, U, U},
		{"Red Hat Linux release 9 (Shrike)", "", A, I, I},
		{"m-bp1xxxxxxxxxxxxxxxxx", "", U, U, U},
		{"Fedora", "", U, U, U},
		{"CoreOS", "", U, U, U},
		{"Windows Server", "", U, U, U},
	}
	// The rebuilds of Enterprise Linux are judged like CentOS.
	for _, b := range slices.Clone(list) {
		if b.name == "CentOS 7.9" && strings.HasPrefix(b.kernel, "2.6.32") {
			continue // a kernel of another major release is looked at once
		}
		if rest, ok := strings.CutPrefix(b.name, "CentOS "); ok && rest != "9" {
			for _, name := range []string{"Red Hat Enterprise Linux ", "Oracle Linux ", "Scientific Linux "} {
				if name == "Scientific Linux " && rest[0] == '8' {
					continue // there was none
				}
				b.name = name + rest
				list = append(list, b)
			}
		}
	}
	return list
}

// differs says how a classifier for the default targets judges otherwise.
func (b *neighbour) differs(c *rules.Classifier) string {
	f := rules.Facts{OSName: b.name}
	f.Guest.Kernel = b.kernel
	cl := c.Classify(&f)
	for i, want := range []string{b.kvm, b.six, b.seven} {
		if v := &cl.Verdicts[i]; v.Level.String() != want {
			return b.name + " " + b.kernel + " on " + v.Target + ": " + v.Level.String() + " by " + v.Rule + ", want " + want
		}
	}
	return ""
}

func TestNeighbours(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, b := range neighbours() {
		if diff := b.differs(c); diff != "" {
			t.Error(diff)
		}
	}
}

// Every overlay of the compatibility notes, on a machine and target of its own.
func TestOverlays(t *testing.T) {
	r := ruleset(t)
	for _, c := range []struct {
		name   string
		o      rules.Observation
		target string
		want   rules.Level
		rule   string // among the findings
		remedy string
		check  string
	}{
		{"virtio.unverified", rules.Observation{OSName: "CentOS 6.8", InstanceType: "ecs.t1.small"}, "shenlong-6", rules.NeedsAction, "virtio.unverified", "install-virtio", "verify-virtio"},
		{"virtio.unverified on plain KVM", rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.s2.large", IoOptimized: rules.No}, "kvm", rules.NeedsAction, "virtio.unverified", "install-virtio", "verify-virtio"},
		{"virtio verified by the image check", rules.Observation{OSName: "CentOS 6.8", InstanceType: "ecs.t1.small", CheckVirtio: rules.Yes}, "shenlong-6", rules.Compatible, "el6", "", ""},
		{"virtio.missing", rules.Observation{OSName: "CentOS 6.8", CheckVirtio: rules.No}, "shenlong-6", rules.NeedsAction, "virtio.missing", "install-virtio", "verify-virtio"},
		{"image not I/O optimized", rules.Observation{OSName: "Debian 9.2", ImageIO: rules.No}, "shenlong-7", rules.NeedsAction, "virtio.io-optimized-unsupported", "install-virtio", "verify-virtio"},
		{"Windows on Xen", rules.Observation{OSName: "Windows Server 2012 R2", InstanceType: "ecs.s1.large", CheckVirtio: rules.Yes}, "shenlong-6", rules.NeedsAction, "windows.xen-residue", "clear-xen-registry", "sfc"},
		{"Windows with Xen drivers", rules.Observation{OSName: "Windows Server 2016", XenResidue: rules.Yes}, "shenlong-6", rules.NeedsAction, "windows.xen-found", "clear-xen-registry", "sfc"},
		{"Windows with security software", rules.Observation{OSName: "Windows Server 2016", SecuritySoft: rules.Yes}, "shenlong-6", rules.NeedsAction, "windows.security-software", "", "remove-security-software"},
		{"device names", rules.Observation{OSName: "CentOS 7.9", CheckFstab: rules.No}, "shenlong-6", rules.NeedsAction, "boot.device-names", "fix-boot-config", ""},
		{"NVMe not supported by the image", rules.Observation{OSName: "CentOS 7.9", ImageNVMe: rules.No}, "ecs.g8i", rules.NeedsAction, "nvme.dracut", "install-nvme", "verify-nvme-initramfs"},
		{"Windows from virtio to NVMe", rules.Observation{OSName: "Windows Server 2019", InstanceType: "ecs.g7.large"}, "ecs.g8i.large", rules.NeedsAction, "nvme.windows", "install-nvme", ""},
		{"a patch of 2.6.32 without NVMe", rules.Observation{OSName: "CentOS 6.8", Kernel: "2.6.32.71"}, "ecs.g8i", rules.Incompatible, "nvme.el6-kernel-old", "", ""},
		{"NVMe timeout is advice", rules.Observation{OSName: "CentOS 7.9"}, "ecs.g8i", rules.NeedsAction, "nvme.io-timeout", "", "nvme-io-timeout"},
		{"boot mode", rules.Observation{OSName: "CentOS 7.9", BootMode: "BIOS", Architecture: "arm64"}, "ecs.g8y", rules.Incompatible, "boot.mode", "fix-boot-config", ""},
		{"boot mode UEFI-Preferred fits", rules.Observation{OSName: "CentOS 7.9", BootMode: "UEFI-Preferred"}, "ecs.g7a", rules.Compatible, "el7.late", "", ""},
		{"UEFI, and no page tells what the family does", rules.Observation{OSName: "CentOS 8.5", BootMode: "UEFI"}, "ecs.g6", rules.Unknown, "boot.not-told", "", "custom-image-trial"},
		{"UEFI, and the family is plain KVM", rules.Observation{OSName: "CentOS 8.5", BootMode: "UEFI"}, "ecs.g5", rules.Unknown, "boot.not-told", "", "custom-image-trial"},
		{"UEFI, and it is of the family already", rules.Observation{OSName: "CentOS 8.5", BootMode: "UEFI", InstanceType: "ecs.g6.large"}, "ecs.g6", rules.Compatible, "el8", "", ""},
		{"UEFI-Preferred starts either way", rules.Observation{OSName: "CentOS 8.5", BootMode: "UEFI-Preferred"}, "ecs.g6", rules.Compatible, "el8", "", ""},
		{"x86 to Arm", rules.Observation{OSName: "CentOS 7.9 64位"}, "ecs.c8y.large", rules.Incompatible, "arch.mismatch", "change-arch", ""},
		{"Arm to x86", rules.Observation{OSName: "Alibaba Cloud Linux 3.2104 LTS 64位 ARM版"}, "ecs.g7", rules.Incompatible, "arch.mismatch", "change-arch", ""},
		{"32 bits on 4 GiB", rules.Observation{OSName: "CentOS 6.8 32位"}, "ecs.c6.large", rules.NeedsAction, "arch.i386", "change-arch", ""},
		{"AMD, not listed", rules.Observation{OSName: "CentOS 7.5"}, "ecs.g6a", rules.Unknown, "amd.rome", "", ""},
		{"AMD, listed", rules.Observation{OSName: "CentOS 8.3"}, "ecs.g6a", rules.Compatible, "el8", "", ""},
		{"AMD bare metal without an AMD image", rules.Observation{OSName: "CentOS 8.2 64位"}, "ecs.ebmc6a", rules.Incompatible, "amd.rome-bare-metal", "replace-os", ""},
		{"RHEL licence", rules.Observation{OSName: "Red Hat Enterprise Linux 7.6"}, "ecs.c6", rules.NeedsAction, "rhel.policy", "replace-os", ""},
		{"ESSD only", rules.Observation{OSName: "CentOS 7.9"}, "ecs.g7", rules.Compatible, "disk.essd-only", "", "essd-disks"},
		{"ESSD only, the enhanced 6th generation", rules.Observation{OSName: "CentOS 7.9"}, "ecs.g6e", rules.Compatible, "disk.essd-only", "", "essd-disks"},
		{"ESSD Entry, too, of no known generation", rules.Observation{OSName: "CentOS 7.9"}, "ecs.u1", rules.Compatible, "disk.essd-entry", "", "essd-entry-disks"},
		{"ESSD Entry, too, of the 8th generation", rules.Observation{OSName: "CentOS 7.9", ImageNVMe: rules.Yes}, "ecs.u2i", rules.Unknown, "disk.essd-entry", "", "essd-entry-disks"},
		{"no page says which disks", rules.Observation{OSName: "CentOS 7.9"}, "ecs.gn7i", rules.Compatible, "disk.not-known", "", "disks-taken"},
		{"Generation I has no type change", rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.s2.large", IoOptimized: rules.Yes}, "shenlong-6", rules.Compatible, "path.no-type-change", "", "new-instance"},
		{"local disks have no type change", rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.d1.2xlarge"}, "shenlong-6", rules.Compatible, "path.no-type-change", "", "new-instance"},
		{"the platform's own check", rules.Observation{OSName: "CentOS 7.9", CheckSupported: rules.No}, "shenlong-6", rules.Incompatible, "platform.check-failed", "replace-os", ""},
		{"panic on hfg6", rules.Observation{OSName: "CentOS 8.3", Kernel: "4.18.0-240.22.1.el8_3.x86_64"}, "ecs.hfg6", rules.NeedsAction, "kernel.hfg6-el8", "", ""},
		{"hang on E5-2682 v4", rules.Observation{OSName: "openSUSE 15.1"}, "ecs.n4", rules.NeedsAction, "kernel.e5-idle-opensuse", "fix-boot-config", ""},
		{"image gone", rules.Observation{OSName: "CentOS 7.9", ImageMissing: true}, "shenlong-6", rules.Compatible, "image.missing", "", "snapshot"},
		{"image deprecated", rules.Observation{OSName: "CentOS 7.9", ImageStatus: "Deprecated"}, "shenlong-6", rules.Compatible, "image.deprecated", "", "snapshot"},
		{"an overlay never lowers", rules.Observation{OSName: "CentOS 5.8", InstanceType: "ecs.t1.small"}, "shenlong-6", rules.Incompatible, "virtio.unverified", "replace-os", "verify-virtio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(t, r, c.o, c.target)
			if v.Level != c.want {
				t.Errorf("%s by %s, want %s", v.Level, v.Rule, c.want)
			}
			if !hasFinding(v, c.rule) {
				t.Errorf("no finding %s in %+v", c.rule, v.Findings)
			}
			if c.remedy != "" && !hasRemedy(v, c.remedy) {
				t.Errorf("no remedy %s in %+v", c.remedy, v.Remedies)
			}
			if c.check != "" && !slices.Contains(v.Checks, c.check) {
				t.Errorf("no check %s in %v", c.check, v.Checks)
			}
		})
	}
}

func TestConflictsAreKept(t *testing.T) {
	r := ruleset(t)
	for _, c := range []struct {
		name     string
		facts    rules.Facts
		os       string
		want     rules.Level // shenlong-6
		low      bool
		conflict string // field of a conflict; "" for none
	}{
		{"image against instance", rules.Facts{OSName: "CentOS  7.4 64位", Image: rules.ImageFacts{OSName: "CentOS  5.8 64位"}}, "centos 5.8", rules.Incompatible, true, "version"},
		{"the milder one is stronger and does not win", rules.Facts{OSName: "CentOS  5.8 64位", Image: rules.ImageFacts{OSName: "CentOS  7.4 64位"}}, "centos 7.4", rules.Incompatible, true, "version"},
		{"image id against instance", rules.Facts{OSName: "CentOS 7.9", ImageID: "centos5u8_64_20G_aliaegis_20131231.vhd"}, "centos 7.9", rules.Incompatible, true, "version"},
		{"family against family", rules.Facts{OSName: "Ubuntu 16.04", ImageID: "debian606_64_20G_alibase_20131121.vhd"}, "ubuntu 16.04", rules.Incompatible, true, "family"},
		{"os type against name", rules.Facts{OSName: "CentOS 7.9", OSType: "windows"}, "centos 7.9", rules.Unknown, true, "family"},
		{"a Windows name of OS type linux", rules.Facts{OSName: "Windows Server  2019 数据中心版 64位中文版", OSType: "linux"}, "windows-server 2019", rules.Unknown, true, "family"},
		{"a Windows name, an image of OS type linux", rules.Facts{OSName: "Windows Server  2019 数据中心版 64位中文版", OSType: "windows", Image: rules.ImageFacts{OSType: "Linux"}}, "windows-server 2019", rules.Unknown, true, "family"},
		{"OS types that contradict each other", rules.Facts{OSType: "linux", Image: rules.ImageFacts{OSType: "windows"}}, "windows-server ", rules.Unknown, true, "family"},
		{"the machine itself says that it is Windows", rules.Facts{OSType: "linux", Guest: rules.GuestFacts{Release: "Microsoft Windows Server 2019 Datacenter"}}, "windows-server 2019", rules.Compatible, false, ""},
		{"two names in one string", rules.Facts{Name: "Ubuntu 16.04 (was CentOS 5.8)"}, "ubuntu 16.04", rules.Incompatible, true, "family"},
		{"the machine itself decides", rules.Facts{OSName: "CentOS 5.8", Guest: rules.GuestFacts{Release: "CentOS release 5.11 (Final)", Kernel: "2.6.18-398.el5"}}, "centos 5.11", rules.Compatible, false, "version"},
		{"the machine itself decides for the worse", rules.Facts{OSName: "CentOS 7.9", Guest: rules.GuestFacts{Release: "CentOS release 5.8 (Final)"}}, "centos 5.8", rules.Incompatible, false, "version"},
		{"kernel of another major release", rules.Facts{OSName: "CentOS 7.9", Guest: rules.GuestFacts{Kernel: "2.6.18-194.el5"}}, "centos 5", rules.Incompatible, true, "version"},
		{"Platform is coarser, no contradiction", rules.Facts{OSName: "Windows Server  2008 R2 企业版 64位中文版", Image: rules.ImageFacts{Platform: "Windows Server 2008"}}, "windows-server 2008r2", rules.Compatible, false, ""},
		{"Platform against what rules R2 out", rules.Facts{OSName: "Windows Server 2008 R2", ImageID: "win2008_32_stand_sp2_cn_40G_alibase_v01.vhd"}, "windows-server 2008r2", rules.NeedsAction, true, "version"},
		{"FreeBSD is of OS type linux", rules.Facts{OSName: "FreeBSD 12.1", OSType: "linux"}, "freebsd 12.1", rules.NeedsAction, false, ""},
		{"Aliyun Linux 5 has a rhel5 image", rules.Facts{OSName: "Aliyun Linux  5.4 64位", ImageID: "rhel5u4_64_20G_aliaegis_20131121.vhd"}, "alinux 5.4", rules.Incompatible, false, ""},
		{"a catch-all gives way", rules.Facts{OSName: "CentOS 7.9", Image: rules.ImageFacts{Platform: "Customized Linux"}}, "centos 7.9", rules.Compatible, false, ""},
		{"bare SUSE for openSUSE", rules.Facts{OSName: "openSUSE 15.2", Image: rules.ImageFacts{Platform: "SUSE"}}, "opensuse 15.2", rules.Compatible, false, ""},
		{"debian_version is a bare number", rules.Facts{Image: rules.ImageFacts{Platform: "Debian"}, Guest: rules.GuestFacts{Release: "6.0.10"}}, "debian 6.0.10", rules.Compatible, false, ""},
		{"two counts of Alibaba Cloud Linux 3", rules.Facts{OSName: "Alibaba Cloud Linux  3.2104 LTS 64位", ImageID: "aliyun_3_9_x64_20G_alibase_20231219.vhd"}, "alinux 3.2104", rules.Compatible, false, ""},
		{"service packs", rules.Facts{OSName: "SUSE Linux Enterprise Server 12 SP4", Image: rules.ImageFacts{OSName: "SUSE Linux Enterprise Server 12 SP2"}}, "sles 12", rules.Compatible, true, "version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := r.NewClassifier(nil).Classify(&c.facts)
			if got := cl.OS.Family + " " + cl.OS.Version; got != c.os {
				t.Errorf("identity %s, want %s", got, c.os)
			}
			v := verdict(cl, "shenlong-6")
			if v.Level != c.want || (v.Confidence == rules.Low) != c.low {
				t.Errorf("%s, confidence %s, by %s: %s", v.Level, v.Confidence, v.Rule, v.Reason)
			}
			if has := slices.ContainsFunc(cl.Conflicts, func(k rules.Conflict) bool { return k.Field == c.conflict }); has != (c.conflict != "") || c.conflict == "" && len(cl.Conflicts) > 0 {
				t.Errorf("conflicts %+v, want %q", cl.Conflicts, c.conflict)
			}
		})
	}
}

func TestObservedRunning(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	f := rules.Facts{OSName: "CentOS 5.8", InstanceType: "ecs.g6.large", Running: rules.Yes}
	cl := c.Classify(&f)
	if v := verdict(cl, "shenlong-6"); v.Level != rules.Compatible || v.Rule != "observed.running" || v.Confidence != rules.Low || !strings.Contains(v.Reason, "incompatible") {
		t.Errorf("runs there and is against the list: %+v", v)
	}
	if v := verdict(cl, "shenlong-7"); v.Level != rules.Incompatible {
		t.Errorf("runs on the 6th generation only: %+v", v)
	}
	if !cl.Legacy {
		t.Error("it is on the legacy list all the same")
	}
	f.Running = rules.No
	if v := verdict(c.Classify(&f), "shenlong-6"); v.Level != rules.Incompatible {
		t.Errorf("does not run: %+v", v)
	}
	// On bare metal of the 5th generation, which is SHENLONG, nothing follows.
	f = rules.Facts{OSName: "CentOS 5.8", InstanceType: "ecs.ebmg5.24xlarge", Running: rules.Yes}
	if v := verdict(c.Classify(&f), "shenlong-6"); v.Level != rules.Incompatible {
		t.Errorf("bare metal of the 5th generation: %+v", v)
	}
	r := ruleset(t)
	if v := judge(t, r, rules.Observation{OSName: "CentOS 7.9 64位", InstanceType: "ecs.g8i.large", Running: rules.Yes}, "ecs.g8y"); v.Level != rules.Incompatible {
		t.Errorf("running on x86 says nothing of Arm: %+v", v)
	}
}

// That the last start failed on a class counts for that class, whatever the
// system, and never makes anything milder.
func TestObservedFailure(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for os, want := range map[string]rules.Level{"CentOS 5.8": rules.Incompatible, "CentOS 7.4": rules.Unknown, "CentOS 7.9": rules.Unknown, "Debian 12": rules.Unknown} {
		f := rules.Facts{OSName: os, InstanceType: "ecs.g7.large", Running: rules.Yes}
		before := c.Classify(&f)
		f.Guest.Up = rules.No
		cl := c.Classify(&f)
		if v := verdict(cl, "shenlong-7"); v.Level != want || !slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == "observed.failed" }) {
			t.Errorf("%s: %s by %s; want %s, with what was observed", os, v.Level, v.Rule, want)
		}
		for _, target := range []string{"kvm", "shenlong-6", "shenlong-8"} {
			if a, b := verdict(before, target), verdict(cl, target); a.Level != b.Level || a.Rule != b.Rule {
				t.Errorf("%s on %s is %s by %s and was %s by %s", os, target, b.Level, b.Rule, a.Level, a.Rule)
			}
		}
	}
}

func TestRemedies(t *testing.T) {
	r := ruleset(t)
	c := r.NewClassifier(nil)
	for _, row := range rows(t, "devset.tsv") {
		cl := c.Classify(asFacts(row["kind"], row["string"]))
		for i := range cl.Verdicts {
			v := &cl.Verdicts[i]
			if v.Level == rules.Incompatible && !hasRemedy(v, "replace-os") {
				t.Errorf("%q on %s: incompatible without replace-os", row["string"], v.Target)
			}
			if v.Remedies == nil || len(v.Checks) < 3 {
				t.Errorf("%q on %s: remedies %v, checks %v", row["string"], v.Target, v.Remedies, v.Checks)
			}
			for _, m := range v.Remedies {
				remedyHelps(t, r, cl, v, &m)
			}
		}
	}
	for name, upgrade := range map[string]bool{"CentOS 5.8": true, "Aliyun Linux 5.7": false, "Debian 6.0.6": true, "Debian 5.0.10": false, "FreeBSD 10.1": false, "openSUSE 12.3": false} {
		v := verdict(c.Classify(&rules.Facts{OSName: name}), "shenlong-6")
		if hasRemedy(v, "minor-upgrade") != upgrade {
			t.Errorf("%s: minor-upgrade offered: %v", name, !upgrade)
		}
	}
	for name, gen5 := range map[string]bool{"CentOS 5.8": true, "Debian 6.0.6": false, "Gentoo 13": false, "Windows Server 2003": true, "CentOS 4.9": false} {
		v := verdict(c.Classify(&rules.Facts{OSName: name}), "shenlong-6")
		if hasRemedy(v, "stay-gen5") != gen5 {
			t.Errorf("%s: stay-gen5 offered: %v", name, !gen5)
		}
	}
}

// remedyHelps holds the remedies to what they promise.
func remedyHelps(t *testing.T, r *rules.Ruleset, cl *rules.Classification, v *rules.Verdict, m *rules.Remedy) {
	t.Helper()
	switch m.ID {
	case "minor-upgrade":
		names := map[string]string{"centos": "CentOS ", "rhel": "RHEL ", "alinux": "CentOS ", "debian": "Debian ", "opensuse": "openSUSE ", "freebsd": "FreeBSD ", "sles": "SLES "}
		after := judge(t, r, rules.Observation{OSName: names[cl.OS.Family] + m.To}, v.Target)
		if after.Level.AtLeast(rules.Unknown) {
			t.Errorf("%s %s on %s: after the upgrade to %s it is %s", cl.OS.Family, cl.OS.Version, v.Target, m.To, after.Level)
		}
		if m.Drawback == "" {
			t.Errorf("minor-upgrade without its drawback")
		}
	case "stay-gen5":
		if k := verdict(cl, "kvm"); k.Level.AtLeast(rules.Unknown) || v.Target == "kvm" || cl.OS.Arch == "arm64" {
			t.Errorf("%s %s on %s: stay-gen5 although plain KVM is %s", cl.OS.Family, cl.OS.Version, v.Target, k.Level)
		}
		for _, f := range m.Families {
			if i := r.Families().Lookup("", f); i.Virtualization != "kvm" || i.Generation > 5 {
				t.Errorf("stay-gen5 names %s, which is %s", f, i.Virtualization)
			}
		}
	}
}

// Never milder on shenlong-7 than on shenlong-6, whatever is known besides.
func TestMonotone(t *testing.T) {
	t.Parallel()
	r := ruleset(t)
	var targets []rules.Target
	for _, n := range []string{"kvm", "shenlong-6", "shenlong-7", "shenlong-8"} {
		tg, err := r.ParseTarget(n)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, tg)
	}
	c := r.NewClassifier(targets)
	types := []string{"", "ecs.t1.small", "ecs.s2.large", "ecs.n4.small", "ecs.g5.large", "ecs.ebmg5.24xlarge", "ecs.g6.large", "ecs.g7.large", "ecs.g8y.large", "ecs.e-c1m1.large"}
	n := 0
	for i, row := range rows(t, "devset.tsv") {
		for j, id := range types {
			f := asFacts(row["kind"], row["string"])
			f.InstanceType = id
			// A spread of the other facts, different for every string.
			f.Running, f.IoOptimized = rules.Tri((i+j)%3), rules.Tri((i/3)%3)
			f.Image.CheckVirtio, f.Image.CheckFstab = rules.Tri((i/9+j)%3), rules.Tri((i/27)%3)
			f.Image.CheckSupported, f.Image.IoOptimized = rules.Tri((i/2)%3), rules.Tri((i/5+j)%3)
			f.Guest.XenResidue, f.Guest.FreeBSDPatch = rules.Tri(j%3), rules.Tri((i+2*j)%3)
			cl := c.Classify(f)
			six, seven, eight := verdict(cl, "shenlong-6"), verdict(cl, "shenlong-7"), verdict(cl, "shenlong-8")
			if f.Running != rules.Yes && rules.Worse(seven.Level, eight.Level) != eight.Level {
				t.Fatalf("%q on %s: %s (%s) on shenlong-7, %s (%s) on shenlong-8", row["string"], id, seven.Level, seven.Rule, eight.Level, eight.Rule)
			}
			if f.Running != rules.Yes && rules.Worse(six.Level, seven.Level) != seven.Level { // running proves one class alone
				t.Fatalf("%q on %s: %s (%s) on shenlong-6, %s (%s) on shenlong-7", row["string"], id, six.Level, six.Rule, seven.Level, seven.Rule)
			}
			for k := range cl.Verdicts {
				v := &cl.Verdicts[k]
				for _, fd := range v.Findings {
					if rules.Worse(v.Level, fd.Level) != v.Level {
						t.Fatalf("%q: %s is milder than its finding %s", row["string"], v.Level, fd.Rule)
					}
				}
			}
			n++
		}
	}
	t.Logf("%d combinations", n)
}

// An operating system that no rule names is never compatible.
func TestCompatibleNeedsARule(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, s := range []string{"", "m-bp1xxxxxxxxxxxxxxxxx", "TempleOS 5.03", "Arch Linux 2024", "Customized Linux", "Solaris 10", "Amazon Linux 2", "Windows", "CentOS", "Ubuntu_64", "Debian 64位", "其他 2.4.x Linux (32 位)", "esxi", "NetBSD 9", "Kylin"} {
		cl := c.Classify(&rules.Facts{Name: s})
		for i := range cl.Verdicts {
			if v := &cl.Verdicts[i]; v.Level != rules.Unknown {
				t.Errorf("%q on %s: %s by %s", s, v.Target, v.Level, v.Rule)
			}
		}
	}
}

func TestParseTarget(t *testing.T) {
	r := ruleset(t)
	for _, c := range []struct {
		in    string
		class rules.Class
		arch  string
		nvme  string
	}{
		{"kvm", rules.ClassKVM, "", ""},
		{"SHENLONG-6", rules.ClassShenlong6, "", ""},
		{"shenlong-7", rules.ClassShenlong7, "", ""},
		{"ecs.g5", rules.ClassKVM, "x86_64", "unsupported"},
		{"ecs.ebmg5", rules.ClassShenlong6, "x86_64", "unsupported"},
		{"ecs.g6.large", rules.ClassShenlong6, "x86_64", "unsupported"},
		{"ecs.g8i", rules.ClassShenlong8, "x86_64", "required"},
		{"ecs.g8y.large", rules.ClassShenlong8, "arm64", "required"},
		{"ecs.gn7i-c16g1.4xlarge", rules.ClassShenlong7, "x86_64", "unknown"},
		{"ecs.u1", rules.ClassShenlong7, "x86_64", "unsupported"}, // hosts vary
		{"ecs.n1.tiny", rules.ClassKVM, "x86_64", "unsupported"},
		{"ecs.zz9", rules.ClassShenlong8, "", "required"}, // nobody knows it: the newest
	} {
		got, err := r.ParseTarget(c.in)
		if err != nil || got.Class != c.class || got.Arch != c.arch || got.NVMe != c.nvme {
			t.Errorf("%s: %+v, %v", c.in, got, err)
		}
	}
	for _, s := range []string{"", "g8i", "shenlong", "ecs.t1", "ecs.s2.large", "ecs.zz", "ecs.t1.xsmall", "ecs.g6.4xlage", "ecs.c9i.lar", "kvm;", "ecs.", strings.Repeat("ecs.g6", 50)} {
		if got, err := r.ParseTarget(s); err == nil {
			t.Errorf("%q: accepted as %+v", s, got)
		}
	}
}

func TestLegacy(t *testing.T) {
	c := ruleset(t).NewClassifier([]rules.Target{{ID: "kvm"}})
	for name, want := range map[string]bool{
		"CentOS 5.8": true, "CentOS 5": true, "CentOS 5.9": true, "CentOS 5.11": false, "CentOS 6.0": false, "Debian 6.0.8": true, "Debian 6.0.9": false,
		"Ubuntu 10.10": true, "Ubuntu 11.04": false, "FreeBSD 10.1": true, "FreeBSD 12.1": true, "FreeBSD 13.0": false, "Gentoo": true,
		"SLES 10": true, "SLES 11": false, "openSUSE 12.3": true, "openSUSE 13.1": false, "Windows Server 2003 R2": true,
		"Windows Server 2008 Standard": true, "Windows Server 2008 R2": false, "Aliyun Linux 5.4": true, "CentOS": false, "": false,
	} {
		if got := c.Classify(&rules.Facts{OSName: name}).Legacy; got != want {
			t.Errorf("%q: legacy %v", name, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	all := rows(t, "devset.tsv")
	done := make(chan bool)
	for g := range 4 {
		go func() {
			defer func() { done <- true }()
			for i := range all {
				row := all[(i+g*100)%len(all)]
				cl := c.Classify(asFacts(row["kind"], row["string"]))
				if got := verdict(cl, "shenlong-6").Level.String(); got != row["verdict"] && got != row["also_ok"] {
					t.Errorf("%q: %s", row["string"], got)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("CentOS  5.8 64位", "centos_7_9_x64_20G_alibase_20211130.vhd", "2.6.18-348.el5", "ecs.t1.small", "CentOS", uint8(9))
	f.Add("Windows Server 2008", "m-bp1", "", "ecs.g6.large", "Windows Server 2008", uint8(200))
	f.Add("", "", "", "", "", uint8(0))
	r := ruleset(f)
	c := r.NewClassifier(nil)
	f.Fuzz(func(t *testing.T, name, image, kernel, typ, platform string, bits uint8) {
		facts := rules.Facts{OSName: name, ImageID: image, InstanceType: typ, Running: rules.Tri(bits % 3), IoOptimized: rules.Tri(bits / 3 % 3)}
		facts.Image.Platform, facts.Guest.Kernel, facts.Guest.Virtio = platform, kernel, rules.Tri(bits/9%3)
		cl := c.Classify(&facts)
		if o := &cl.OS; o.Version != "" && distro.StandingOf(o.Family, o.Edition, o.Version, o.ServicePack) == distro.NoRelease {
			t.Errorf("%s %s %s sp %q was never released", o.Family, o.Edition, o.Version, o.ServicePack)
		}
		if len(cl.Verdicts) != len(rules.Classes()) {
			t.Errorf("%+v", cl.Verdicts)
		}
		for i := 2; i < len(cl.Verdicts) && facts.Running != rules.Yes; i++ { // running proves one class alone
			if rules.Worse(cl.Verdicts[i-1].Level, cl.Verdicts[i].Level) != cl.Verdicts[i].Level {
				t.Errorf("milder on %s than on %s: %+v", cl.Verdicts[i].Target, cl.Verdicts[i-1].Target, cl.Verdicts)
			}
		}
		// What came twice is remembered.
		if again := c.Classify(&facts); again != c.Classify(&facts) {
			t.Error("known facts are judged anew")
		}
		r.Explain(&facts, nil)
	})
}

// Every remedy says what speaks for it and what against, and what is offered
// depends on where the instance runs.
func TestRemediesSayWhatSpeaksForAndAgainstThem(t *testing.T) {
	r := ruleset(t)
	for id, d := range r.Definition().Remedies {
		if d.Benefit == "" || d.Drawback == "" || len(d.Steps) == 0 {
			t.Errorf("remedy %s lacks benefit, drawback or steps", id)
		}
	}
	for _, c := range []struct{ typ, target, has, hasNot string }{
		{"ecs.g5.large", "shenlong-6", "stay-gen5", "stay-family"},
		{"", "shenlong-6", "stay-gen5", "stay-family"},
		{"ecs.g6.large", "shenlong-7", "stay-family", "stay-gen5"},
		{"ecs.g7.large", "ecs.g8i", "stay-family", "stay-gen5"},
		{"ecs.g6.large", "shenlong-6", "after-failed-move", "stay-gen5"},
	} {
		v := judge(t, r, rules.Observation{OSName: "CentOS 5.8", InstanceType: c.typ}, c.target)
		if !hasRemedy(v, c.has) || hasRemedy(v, c.hasNot) {
			t.Errorf("%s to %s: %+v", c.typ, c.target, v.Remedies)
		}
		for _, m := range v.Remedies {
			if m.Benefit == "" || m.Drawback == "" {
				t.Errorf("%s comes without benefit or drawback", m.ID)
			}
		}
	}
}

// TestWhatIsPastItsSupportIsReplacedBeforeARestrictionIsLifted holds the order of
// remedies where the platform refuses a system, or may.
func TestWhatIsPastItsSupportIsReplacedBeforeARestrictionIsLifted(t *testing.T) {
	c := classifierOf(t, ruleset(t), "ecs.g8i")
	for _, tc := range []struct {
		o     rules.Observation
		first string
	}{
		{rules.Observation{OSName: "CentOS 7.9"}, "replace-os"},
		{rules.Observation{OSName: "CentOS 7.5", ImageNVMe: rules.Yes}, "replace-os"},
		{rules.Observation{OSName: "Ubuntu 24.04"}, "lift-restriction"},
	} {
		f := tc.o.Facts()
		f.Image.Presence, f.Image.Refused = rules.ImageFound, "ecs.g8i"
		v := &c.Classify(&f).Verdicts[0]
		var of []string
		for _, m := range v.Remedies {
			if m.ID == "replace-os" || m.ID == "lift-restriction" {
				of = append(of, m.ID)
			}
		}
		if len(of) != 2 || of[0] != tc.first {
			t.Errorf("%s: %s by %s, %v", tc.o.String(), v.Level, v.Rule, of)
		}
	}
}

// TestAYearBehindGentooHarmsNothing reads names of Gentoo in which a year stands
// for a release: every one is judged as Gentoo.
func TestAYearBehindGentooHarmsNothing(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	plain := rules.Observation{OSName: "Gentoo"}
	f := plain.Facts()
	want := c.Classify(&f)
	for _, name := range []string{"gentoo2012", "gentoo 2012.1", "Gentoo 13", "gentoo_2012_64_20G_aliaegis.vhd", "Gentoo Base System release 2.15", "gentoo20120229"} {
		o := rules.Observation{OSName: name}
		f := o.Facts()
		got := c.Classify(&f)
		if got.OS.Family != "gentoo" || got.Legacy != want.Legacy {
			t.Errorf("%s is %+v", name, got.OS)
		}
		for i := range got.Verdicts {
			if got.Verdicts[i].Level != want.Verdicts[i].Level || got.Verdicts[i].Rule != want.Verdicts[i].Rule {
				t.Errorf("%s on %s: %s by %s, Gentoo alone is %s by %s", name, got.Verdicts[i].Target, got.Verdicts[i].Level, got.Verdicts[i].Rule, want.Verdicts[i].Level, want.Verdicts[i].Rule)
			}
		}
	}
}

// What a system is built for is told by the machine it is on, and by itself. Where
// neither does and two names contradict each other, each of them may be right.
func TestArchitecturesThatContradictEachOther(t *testing.T) {
	r := ruleset(t)
	for _, c := range []struct {
		name       string
		facts      rules.Facts
		x86, onArm rules.Level
		confidence rules.Confidence // of what is incompatible
	}{
		{"name against image", rules.Facts{OSName: "Ubuntu  22.04 64位 ARM版", Image: rules.ImageFacts{Architecture: "x86_64"}}, rules.Incompatible, rules.Incompatible, rules.Low},
		{"image id against image", rules.Facts{OSName: "Ubuntu  22.04", ImageID: "ubuntu_22_04_arm64_20G_alibase_20230515.vhd", Image: rules.ImageFacts{Architecture: "x86_64"}}, rules.Incompatible, rules.Incompatible, rules.Low},
		{"Windows of an image for Arm", rules.Facts{OSName: "Windows Server  2019 数据中心版 64位中文版", Image: rules.ImageFacts{Architecture: "arm64"}}, rules.Incompatible, rules.Incompatible, rules.Low},
		{"the machine it is on decides", rules.Facts{OSName: "Ubuntu  22.04 64位 ARM版", InstanceType: "ecs.g5.large", Image: rules.ImageFacts{Architecture: "x86_64"}}, rules.Compatible, rules.Incompatible, rules.High},
		{"the system itself decides", rules.Facts{OSName: "Ubuntu  22.04 64位 ARM版", Guest: rules.GuestFacts{Architecture: "x86_64"}}, rules.Compatible, rules.Incompatible, rules.High},
		{"32 and 64 bits are both x86", rules.Facts{OSName: "Ubuntu  16.04 32位", Image: rules.ImageFacts{Architecture: "x86_64"}}, rules.Compatible, rules.Incompatible, rules.High},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := classifierOf(t, r, "ecs.g7", "ecs.g6r").Classify(&c.facts)
			for target, want := range map[string]rules.Level{"ecs.g7": c.x86, "ecs.g6r": c.onArm} {
				v := verdict(cl, target)
				if v.Level != want || want == rules.Incompatible && v.Confidence != c.confidence {
					t.Errorf("%s: %s, confidence %s, by %s: %s", target, v.Level, v.Confidence, v.Rule, v.Reason)
				}
			}
		})
	}
}

// A system that is told to be built for Arm is on a machine that is not: the machine
// decides, and what is said is no firmer than low.
func TestAnArchitectureThatItsMachineContradicts(t *testing.T) {
	c := classifierOf(t, ruleset(t), "ecs.g7")
	for _, seen := range []struct {
		architecture string
		from         rules.Facts
		confidence   rules.Confidence
		conflicts    []rules.Conflict
	}{
		{"arm64", rules.Facts{OSName: "CentOS  8.5", Image: rules.ImageFacts{Architecture: "arm64"}}, rules.Low, []rules.Conflict{{Field: "arch", Chosen: "x86_64", Other: "arm64", Evidence: rules.EvidenceImage, Text: "arm64"}}},
		{"arm64, by its name", rules.Facts{OSName: "CentOS  8.5 64位 ARM版"}, rules.Low, []rules.Conflict{{Field: "arch", Chosen: "x86_64", Other: "arm64", Evidence: rules.EvidenceInstance, Text: "arm64"}}},
		{"x86_64", rules.Facts{OSName: "CentOS  8.5", Image: rules.ImageFacts{Architecture: "x86_64"}}, rules.Medium, nil},
	} {
		t.Run(seen.architecture, func(t *testing.T) {
			seen.from.InstanceType = "ecs.g5.large"
			cl := c.Classify(&seen.from)
			if v := cl.Verdicts[0]; v.Level != rules.Compatible || v.Confidence != seen.confidence {
				t.Errorf("%s, confidence %s, by %s: %s", v.Level, v.Confidence, v.Rule, v.Reason)
			}
			if !slices.Equal(cl.Conflicts, seen.conflicts) {
				t.Errorf("conflicts %+v, want %+v", cl.Conflicts, seen.conflicts)
			}
		})
	}
}

// What is known of one of the two alone contradicts nothing.
func TestAnArchitectureAloneIsNoContradiction(t *testing.T) {
	c := classifierOf(t, ruleset(t), "ecs.g6r")
	for _, facts := range []rules.Facts{
		{OSName: "CentOS  8.5", InstanceType: "ecs.g6r.large"},
		{OSName: "CentOS  8.5", Image: rules.ImageFacts{Architecture: "arm64"}},
	} {
		if cl := c.Classify(&facts); len(cl.Conflicts) > 0 || cl.Verdicts[0].Confidence == rules.Low {
			t.Errorf("%+v: %s, confidence %s, conflicts %+v", facts, cl.Verdicts[0].Level, cl.Verdicts[0].Confidence, cl.Conflicts)
		}
	}
}

// Where nothing says what a system is built for, nothing promises that it starts on Arm:
// most are built for x86, and Windows Server is for nothing else.
func TestNoArchitectureIsNoPromiseOnArm(t *testing.T) {
	for _, k := range []struct {
		o         rules.Observation
		arm       rules.Level
		rule      string
		otherwise rules.Level // on x86
	}{
		{rules.Observation{OSName: "CentOS 7.9"}, rules.Unknown, "arch.not-told", rules.Compatible},
		{rules.Observation{OSName: "Alibaba Cloud Linux 3", ImageName: "golden"}, rules.Unknown, "arch.not-told", rules.Compatible},
		{rules.Observation{OSName: "FreeBSD 13.2"}, rules.Unknown, "arch.not-told", rules.NeedsAction},
		{rules.Observation{OSName: "Windows 10"}, rules.Unknown, "arch.not-told", rules.Compatible},
		{rules.Observation{OSName: "Windows Server 2022"}, rules.Incompatible, "arch.mismatch", rules.Compatible},
		{rules.Observation{OSName: "CentOS 7.9", Architecture: "arm64"}, rules.Compatible, "el7.late", rules.Incompatible},
		{rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g6r.large"}, rules.Compatible, "el7.late", rules.Incompatible},
		{rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g6.large"}, rules.Incompatible, "arch.mismatch", rules.Compatible},
	} {
		for target, want := range map[string]rules.Level{"ecs.g6r": k.arm, "ecs.g7": k.otherwise} {
			facts := k.o.Facts()
			v := verdict(classifierOf(t, ruleset(t), target).Classify(&facts), target)
			if v.Level != want || target == "ecs.g6r" && v.Rule != k.rule {
				t.Errorf("%s on %s: %s by %s, want %s", k.o.String(), target, v.Level, v.Rule, want)
			}
		}
	}
}

// The kernel that runs tells what the machine is built for where nothing else does,
// and speaks up where another text says otherwise.
func TestAKernelTellsTheArchitecture(t *testing.T) {
	for _, k := range []struct {
		o         rules.Observation
		arch      string
		x86, arm  rules.Level
		conflicts int
	}{
		{rules.Observation{OSName: "CentOS 8.5", Kernel: "4.18.0-348.el8.aarch64"}, "arm64", rules.Incompatible, rules.Compatible, 0},
		{rules.Observation{OSName: "CentOS 8.5", ImageKernel: "4.18.0-348.el8.x86_64"}, "x86_64", rules.Compatible, rules.Incompatible, 0},
		{rules.Observation{OSName: "Debian 12", ConsoleKernel: "6.1.0-18-arm64"}, "arm64", rules.Incompatible, rules.Compatible, 0},
		{rules.Observation{OSName: "Debian 12", Kernel: "6.1.0-18-cloud-amd64"}, "x86_64", rules.Compatible, rules.Incompatible, 0},
		{rules.Observation{OSName: "Ubuntu 22.04", Kernel: "Linux h 5.15.0-91-generic #101-Ubuntu SMP Tue Nov 14 13:29:11 UTC 2023 aarch64 aarch64 aarch64 GNU/Linux"}, "arm64", rules.Incompatible, rules.Compatible, 0},
		{rules.Observation{OSName: "Ubuntu 22.04 64位", Kernel: "5.15.0-91-generic"}, "x86_64", rules.Compatible, rules.Incompatible, 0},
		{rules.Observation{OSName: "Ubuntu 14.04", Kernel: "3.13.0-32-generic"}, "", rules.Unknown, rules.Unknown, 0}, // its build, and no word size
		{rules.Observation{OSName: "CentOS 8.5 64位", Kernel: "4.18.0-348.el8.aarch64"}, "x86_64", rules.Incompatible, rules.Incompatible, 1},
		{rules.Observation{OSName: "CentOS 8.5 64位 ARM版", Kernel: "4.18.0-348.el8.aarch64"}, "arm64", rules.Incompatible, rules.Compatible, 0},
		{rules.Observation{OSName: "Debian 9 32位", Kernel: "4.9.0-19-amd64"}, "i386", rules.NeedsAction, rules.Incompatible, 0}, // a kernel of 64 bits under a system of 32
	} {
		for target, want := range map[string]rules.Level{"ecs.g7": k.x86, "ecs.g6r": k.arm} {
			facts := k.o.Facts()
			cl := classifierOf(t, ruleset(t), target).Classify(&facts)
			if v := verdict(cl, target); v.Level != want || cl.OS.Arch != k.arch || len(cl.Conflicts) != k.conflicts {
				t.Errorf("%s on %s: %s by %s, arch %s, conflicts %+v; want %s, %s, %d conflicts", k.o.String(), target, v.Level, v.Rule, cl.OS.Arch, cl.Conflicts, want, k.arch, k.conflicts)
			}
		}
	}
}
