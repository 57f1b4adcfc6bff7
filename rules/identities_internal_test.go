package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/distro"
)

// told is an identity in a line: what it is, what else it may be, and what
// contradicts it.
func told(id *identity) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", id.os.Family, id.os.Version)
	for _, part := range []struct{ name, text string }{{"sp", id.os.ServicePack}, {"edition", id.os.Edition}, {"arch", id.os.Arch}, {"kernel", id.os.Kernel}, {"from", id.os.Evidence.String()}} {
		if part.text != "" {
			fmt.Fprintf(&b, " %s %s", part.name, part.text)
		}
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{id.free, "free"}, {id.several, "several"}, {id.settled, "settled"}, {id.notR2, "not R2"}, {id.amd, "AMD"}} {
		if flag.on {
			b.WriteString(" " + flag.name)
		}
	}
	for _, a := range id.alts {
		fmt.Fprintf(&b, " | or %s %q", a.family, a.version)
		if a.sp != "" {
			b.WriteString(" sp " + a.sp)
		}
		if a.edition != "" {
			b.WriteString(" edition " + a.edition)
		}
	}
	for _, k := range id.conflicts {
		fmt.Fprintf(&b, " | %s: %s, not %s, by %s", k.Field, k.Other, k.Chosen, k.Evidence)
	}
	return b.String()
}

// What all evidence together says: the strongest that names a family and a release,
// made finer by weaker evidence that agrees, and beside it what contradicts it.
func TestWhatAllEvidenceTogetherSays(t *testing.T) {
	for _, c := range []struct {
		o    Observation
		want string
	}{
		{Observation{OSName: "Linux web 3.10.0-957.el7.x86_64"}, `other-linux "7" edition el arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance`},
		{Observation{OSName: "3.10.0-957.el7.x86_64"}, `other-linux "7" edition el arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance`},
		{Observation{OSName: "CentOS Linux 3.10.0-957.el7.x86_64"}, `centos "" arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance`},
		{Observation{OSName: "Linux web 5.15.0-58-generic #1 SMP"}, `other-linux "" kernel 5.15.0-58-generic from instance`},
		{Observation{OSName: "Linux", Kernel: "3.10.0-957.el7.x86_64"}, `other-linux "7" edition el arch x86_64 kernel 3.10.0-957.el7.x86_64 from guest`},
		{Observation{OSName: "Windows", Kernel: "3.10.0-957.el7.x86_64"}, `windows-server "" arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance | or other-linux "7" edition el | family: an Enterprise Linux kernel, not windows-server, by guest`},
		{Observation{OSName: "Linux", Kernel: "5.15.0-58-generic"}, `other-linux "" kernel 5.15.0-58-generic from instance`},
		{Observation{Release: "7.9"}, `unknown ""`},
		{Observation{Kernel: "3.10.0-957.el7.x86_64"}, `other-linux "7" edition el arch x86_64 kernel 3.10.0-957.el7.x86_64 from guest`},
		{Observation{OSName: "CentOS 7.9", Kernel: "3.13.0-32-generic"}, `centos "7.9" kernel 3.13.0-32-generic from instance`},
		{Observation{Kernel: "10.0.17763"}, `unknown "" kernel 10.0.17763`},
		{Observation{Release: "CentOS Linux release 7.9", Kernel: "10.0.17763"}, `centos "7.9" kernel 10.0.17763 from guest settled`},
		{Observation{Kernel: "11.2-RELEASE-p9", ImageKernel: "5.11.7-200.fc33.x86_64"}, `freebsd "11.2" arch x86_64 kernel 11.2-RELEASE-p9 from guest | or fedora "33" | family: fedora, not freebsd, by image`},
		{Observation{OSName: "CentOS 7.9", Kernel: "3.13.0-32-generic", ImageKernel: "10.0.17763"}, `centos "7.9" kernel 3.13.0-32-generic from instance | or windows-server "2019" | family: windows-server, not centos, by image`},
		{Observation{OSName: "CentOS 7.9 64位", Kernel: "3.10.0-957.el7.x86_64", ImageKernel: "3.10.0-957.el7.aarch64"}, `centos "7.9" arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance | arch: arm64, not x86_64, by image`},
		{Observation{OSName: "Debian 9", Kernel: "3.10.0-957.el7.x86_64"}, `debian "9" arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance | or other-linux "7" edition el | family: an Enterprise Linux kernel, not debian, by guest`},
		{Observation{OSName: "Alibaba Cloud Linux 2", Kernel: "4.19.91-23.el7.x86_64"}, `alinux "2" arch x86_64 kernel 4.19.91-23.el7.x86_64 from instance`},
		{Observation{OSName: "CentOS 7", Kernel: "3.10.0-957.el7.x86_64"}, `centos "7" arch x86_64 kernel 3.10.0-957.el7.x86_64 from guest`},
		{Observation{OSName: "Windows 10", Platform: "Linux"}, `windows-client "10" from instance | or other-linux "" | family: other-linux, not windows-client, by image`},
		{Observation{OSName: "Windows Server 2016", Platform: "Linux"}, `windows-server "2016" from instance | or other-linux "" | family: other-linux, not windows-server, by image`},
		{Observation{OSName: "Windows 10", OSType: "windows"}, `windows-client "10" from instance`},
		{Observation{OSName: "FreeBSD 13.0", Platform: "Linux"}, `freebsd "13.0" from instance | or other-linux "" | family: other-linux, not freebsd, by image`},
		{Observation{OSName: "FreeBSD 13.0", OSType: "linux"}, `freebsd "13.0" from instance`},
		{Observation{OSName: "CentOS 7.9", Platform: "Linux"}, `centos "7.9" from instance`},
		{Observation{OSName: "openSUSE 15.1", Platform: "SUSE"}, `opensuse "15.1" from instance`},
		{Observation{OSName: "CentOS 7.9", Platform: "SUSE"}, `centos "7.9" from instance | or sles "" | family: sles, not centos, by image`},
		{Observation{OSName: "openSUSE 15.1", ImageName: "SLES 12 SP4"}, `opensuse "15.1" from instance | or sles "12" sp 4 | family: sles, not opensuse, by name`},
		{Observation{OSName: "Aliyun Linux 5.7", ImageID: "rhel5u7_64_40G_aliaegis_20130816.vhd"}, `alinux "5.7" arch x86_64 from instance`},
		{Observation{OSName: "CentOS 5.7", ImageID: "rhel5u7_64_40G_aliaegis_20130816.vhd"}, `centos "5.7" arch x86_64 from instance | or rhel "5.7" | family: rhel, not centos, by name`},
		{Observation{OSName: "Aliyun Linux 5.7", ImageName: "RHEL 7.6"}, `alinux "5.7" from instance | or rhel "7.6" | family: rhel, not alinux, by name`},
		{Observation{OSName: "Scientific Linux 7.4", Kernel: "5.15.0-58-generic"}, `other-linux "7.4" edition scientific kernel 5.15.0-58-generic from instance`},
		{Observation{OSName: "Scientific Linux", ImageName: "CentOS 7"}, `other-linux "" edition scientific from instance | or centos "7" | family: centos, not other-linux, by name`},
		{Observation{OSName: "Scientific Linux", Kernel: "3.10.0-957.el7.x86_64"}, `other-linux "" edition scientific arch x86_64 kernel 3.10.0-957.el7.x86_64 from instance`},
		{Observation{OSName: "CentOS", Kernel: "3.10.0-957.el7.x86_64"}, `centos "7" arch x86_64 kernel 3.10.0-957.el7.x86_64 from guest`},
		{Observation{ImageOSName: "Debian 9.3", Kernel: "3.10.0-957.el7.x86_64"}, `debian "9.3" arch x86_64 kernel 3.10.0-957.el7.x86_64 from image | or other-linux "7" edition el | family: an Enterprise Linux kernel, not debian, by guest`},
		{Observation{Release: "CentOS Linux release 7", Kernel: "3.10.0-957.el7.x86_64", ImageOSName: "CentOS 7.9"}, `centos "7.9" arch x86_64 kernel 3.10.0-957.el7.x86_64 from image settled`},
		{Observation{Release: "99", ImageOSName: "Debian 9.3"}, `debian "9.3" from image`},
		{Observation{Release: "9.3", ImageOSName: "Debian"}, `debian "9.3" from guest`},
		{Observation{OSName: "CentOS 6.5 or 7.9", Release: "CentOS Linux release 7.9"}, `centos "7.9" from guest settled | or centos "6.5" | version: 6.5, not 7.9, by instance`},
		{Observation{OSName: "CentOS 7.9 or 7.8", ImageName: "CentOS 7.8"}, `centos "" from instance several | or centos "7.8" | or centos "7.9" | version: 7.8, not , by instance | version: 7.9, not , by instance`},
		{Observation{OSName: "SLES 12 SP3 or SP4"}, `sles "12" sp 3 from instance`},
		{Observation{OSName: "SLES 11 SP3 or 12 SP4"}, `sles "" from instance several | or sles "11" sp 3 | or sles "12" sp 4 | version: 11 sp3, not , by instance | version: 12 sp4, not , by instance`},
		{Observation{Release: "SLES 12 SP4", OSName: "SLES 12 or 11 SP4"}, `sles "12" sp 4 from guest settled | or sles "11" sp 4 | version: 11, not 12, by instance`},
		{Observation{Release: "CentOS 7.9", OSName: "CentOS 7 or 6"}, `centos "7.9" from guest settled | or centos "6" | version: 6, not 7.9, by instance`},
		{Observation{ImageName: "CentOS 6.5 or 7.9"}, `centos "" from name free several | or centos "6.5" | or centos "7.9" | version: 6.5, not , by name | version: 7.9, not , by name`},
		{Observation{OSName: "CentOS", ImageName: "CentOS 7.9"}, `centos "7.9" from name free`},
		{Observation{Release: "CentOS Linux", OSName: "CentOS 7.9"}, `centos "7.9" from instance`},
		{Observation{Release: "CentOS Linux 7", OSName: "CentOS 7.9"}, `centos "7.9" from instance settled`},
		{Observation{OSName: "SLES 12", ImageName: "SLES 12 SP4"}, `sles "12" sp 4 from instance free`},
		{Observation{OSName: "SLES 12 SP4", ImageName: "SLES 12"}, `sles "12" sp 4 from instance`},
		{Observation{OSName: "SLES 12 SP4", ImageName: "SLES 12 SP3"}, `sles "12" sp 4 from instance | or sles "12" sp 3 | version: 12 sp3, not 12 sp4, by name`},
		{Observation{OSName: "SLES 12 SP4", ImageName: "SLES 12 SP4"}, `sles "12" sp 4 from instance`},
		{Observation{OSName: "Windows Server 2012 Standard", ImageName: "Windows Server 2012 R2"}, `windows-server "2012" edition standard from instance not R2 | or windows-server "2012r2" | version: 2012r2, not 2012, by name`},
		{Observation{OSName: "Windows Server 2012 R2", ImageName: "Windows Server 2012 Standard"}, `windows-server "2012r2" edition standard from instance | or windows-server "2012" edition standard | version: 2012, not 2012r2, by name`},
		{Observation{OSName: "Windows Server 2012", ImageName: "Windows Server 2012 R2"}, `windows-server "2012r2" from name free`},
		{Observation{OSName: "Alibaba Cloud Linux 3.2104", ImageID: "aliyun_3_9_x64_20G_alibase_20231219.vhd"}, `alinux "3.2104" arch x86_64 from instance`},
		{Observation{OSName: "Alibaba Cloud Linux 2.1903", ImageID: "aliyun_3_9_x64_20G_alibase_20231219.vhd"}, `alinux "2.1903" arch x86_64 from instance | or alinux "3.9" | version: 3.9, not 2.1903, by name`},
		{Observation{OSName: "CentOS 7.9", ImageName: "CentOS 7.2009"}, `centos "7.9" from instance`},
		{Observation{OSName: "CentOS", ImageName: "CentOS 8 Stream"}, `centos "8" edition stream from name free`},
		{Observation{OSName: "CentOS Stream 8"}, `centos "8" edition stream from instance`},
		{Observation{OSName: "Windows Server 2016 Datacenter", ImageName: "CentOS 8 Stream"}, `windows-server "2016" edition datacenter from instance | or centos "8" edition stream | family: centos, not windows-server, by name`},
		{Observation{OSName: "Ubuntu 16.04", Kernel: "3.13.0-32-generic"}, `ubuntu "16.04" kernel 3.13.0-32-generic from instance`},
		{Observation{OSName: "Ubuntu 16.04", ImageKernel: "3.13.0-32-generic"}, `ubuntu "16.04" kernel 3.13.0-32-generic from instance`},
		{Observation{OSName: "Ubuntu 16.04", ImageName: "ubuntu kernel 4.4.0-21-generic"}, `ubuntu "16.04" kernel 4.4.0-21-generic from instance free`},
		{Observation{OSName: "Ubuntu 16.04", Kernel: "none", ImageKernel: "4.4.0-21-generic"}, `ubuntu "16.04" kernel 4.4.0-21-generic from instance`},
		{Observation{OSName: "CentOS 7.9", ImageName: "CentOS 7.8", Name: "CentOS 7.8"}, `centos "7.9" from instance | or centos "7.8" | version: 7.8, not 7.9, by name`},
		{Observation{OSName: "CentOS 7.9", ImageOSName: "CentOS 7.8", Name: "CentOS 7.8"}, `centos "7.8" from image | or centos "7.9" | version: 7.9, not 7.8, by instance`},
		{Observation{Release: "CentOS 7.9", ImageOSName: "Debian 9", OSName: "debian 8"}, `centos "7.9" from guest settled | or debian "9" | or debian "8" | family: debian, not centos, by image | family: debian, not centos, by instance`},
		{Observation{Release: "CentOS Linux release 7.9", Kernel: "4.19.91-26.al7.x86_64"}, `centos "7.9" arch x86_64 kernel 4.19.91-26.al7.x86_64 from guest settled | or alinux "2" | family: alinux, not centos, by guest`},
		{Observation{Release: "Scientific Linux release 7.4", Kernel: "4.19.91-26.al7.x86_64"}, `other-linux "7.4" edition scientific arch x86_64 kernel 4.19.91-26.al7.x86_64 from guest settled`},
		{Observation{OSName: "CentOS 6.5, 7.8 or 7.9", Release: "CentOS Linux release 7.8"}, `centos "7.8" from guest settled | or centos "6.5" | or centos "7.9" | version: 6.5, not 7.8, by instance | version: 7.9, not 7.8, by instance`},
		{Observation{OSName: "SLES 11 SP4 or 12 SP4", Release: "SLES 12 SP4"}, `sles "12" sp 4 from guest settled | or sles "11" sp 4 | version: 11, not 12, by instance`},
		{Observation{OSName: "SLES 11 SP4 or 12 SP3", Release: "SLES 12 SP4"}, `sles "12" sp 4 from guest settled | or sles "11" sp 4 | or sles "12" sp 3 | version: 11, not 12, by instance | version: 12 sp3, not 12 sp4, by instance`},
		{Observation{OSName: "CentOS", ImageName: "CentOS 6.5 or 7.9"}, `centos "" from name free several | or centos "6.5" | or centos "7.9" | version: 6.5, not , by name | version: 7.9, not , by name`},
		{Observation{OSName: "Windows Server 2012", ImageName: "Windows Server 2012 Standard"}, `windows-server "2012" edition standard from instance not R2`},
		{Observation{OSName: "Windows Server 2012 R2", ImageName: "Windows Server 2012"}, `windows-server "2012r2" from instance`},
	} {
		f := c.o.Facts()
		id := f.identify()
		if got := told(&id); got != c.want {
			t.Errorf("%s\n    %s\nwant %s", c.o.String(), got, c.want)
		}
	}
}

// A kernel that shows in a name of no make is a claim of its own; a version that
// stands alone is read as the family has it.
func TestKernelsAndVersionsThatStandAlone(t *testing.T) {
	for text, want := range map[string]int{
		"Linux web 3.10.0-957.el7.x86_64": 2, "3.10.0-957.el7.x86_64": 2, "CentOS Linux 3.10.0-957.el7.x86_64": 1, "Linux web 5.15.0-58-generic #1 SMP": 1, "Linux": 1, "": 0, "flurb": 0,
	} {
		if got := (&Facts{OSName: text}).claims(nil); len(got) != want {
			t.Errorf("%q makes %d claims, want %d: %+v", text, len(got), want, got)
		}
	}
	for _, c := range []struct{ family, value, want string }{
		{distro.Debian, "6.0", "6.0"}, {distro.Debian, "6.9", "6.0.9"}, {distro.Debian, "6.0.9", "6.0.9"}, {distro.Debian, "7.9", "7.9"}, {distro.CentOS, "6.9", "6.9"}, {distro.CentOS, "6.0", "6.0"},
	} {
		if got := bareVersion(c.family, "", c.value); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.value, c.family, got, c.want)
		}
	}
	for text, want := range map[string]string{"": "", "i686": "i386", "AMD64": "x86_64", "aarch64": "arm64", "pdp11": ""} {
		if got := archName(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whose kernel it is that contradicts a name is said.
func TestWhoseKernelContradictsIsSaid(t *testing.T) {
	for _, c := range []struct {
		o    Observation
		want Evidence
	}{
		{Observation{OSName: "Ubuntu 16.04", Kernel: "3.13.0-32-generic"}, EvidenceGuest},
		{Observation{OSName: "Ubuntu 16.04", ImageKernel: "3.13.0-32-generic"}, EvidenceImage},
		{Observation{OSName: "Ubuntu 16.04", ImageName: "ubuntu kernel 3.13.0-32-generic"}, EvidenceName},
	} {
		f := c.o.Facts()
		if id := f.identify(); id.kernelFrom != c.want {
			t.Errorf("%s: by %s", c.o.String(), id.kernelFrom)
		}
	}
}

// The full name of a system is one that says its family and its release, by a text and not
// by a kernel, and of the release that the short name says.
func TestWhatIsSaidInFull(t *testing.T) {
	short := claim{Guess: distro.Guess{Family: distro.SLES, Version: "12", ServicePack: "3", Twin: true}}
	for name, c := range map[string]struct {
		claim claim
		want  bool
	}{
		"the full name":      {claim{Guess: distro.Guess{Family: distro.SLES, Version: "12"}}, true},
		"another release":    {claim{Guess: distro.Guess{Family: distro.SLES, Version: "15"}}, false},
		"no release":         {claim{Guess: distro.Guess{Family: distro.SLES}}, false},
		"a kernel":           {claim{Guess: distro.Guess{Family: distro.SLES, Version: "12"}, kernel: true}, false},
		"a family that may":  {claim{Guess: distro.Guess{Family: distro.SLES, Version: "12", Vague: true}}, false},
		"another short name": {short, false},
		"another family":     {claim{Guess: distro.Guess{Family: distro.Debian, Version: "12"}}, false},
	} {
		if got := saidInFull([]claim{short, c.claim}, &short); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The older twin of a system has its name and its number: nothing else that a text says is
// set aside by the full name.
func TestWhichSystemIsTheOlderTwin(t *testing.T) {
	suse, red := claim{Guess: distro.Guess{Family: distro.SLES, Version: "12", ServicePack: "3"}}, claim{Guess: distro.Guess{Family: distro.RHEL, Version: "9"}}
	bare := claim{Guess: distro.Guess{Family: distro.SLES, Version: "12"}}
	for name, c := range map[string]struct {
		said   *claim
		system distro.System
		want   bool
	}{
		"openSUSE of the number":       {&suse, distro.System{Family: distro.OpenSUSE, Version: "12.3"}, true},
		"openSUSE without its minor":   {&suse, distro.System{Family: distro.OpenSUSE, Version: "12"}, false},
		"openSUSE of a bare number":    {&bare, distro.System{Family: distro.OpenSUSE, Version: "12"}, true},
		"openSUSE of another number":   {&bare, distro.System{Family: distro.OpenSUSE, Version: "11"}, false},
		"openSUSE of another":          {&suse, distro.System{Family: distro.OpenSUSE, Version: "12.2"}, false},
		"another system of the number": {&suse, distro.System{Family: distro.Debian, Version: "12.3"}, false},
		"Red Hat Linux of the number":  {&red, distro.System{Family: distro.OtherLinux, Edition: "red-hat-linux", Version: "9"}, true},
		"Red Hat Linux of another":     {&red, distro.System{Family: distro.OtherLinux, Edition: "red-hat-linux", Version: "8"}, false},
		"another of the same number":   {&red, distro.System{Family: distro.Debian, Version: "9"}, false},
	} {
		if got := olderTwin(c.said, &c.system); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A text that was not read, or not all of it, may say that it is another system, also
// where only a kernel says which.
func TestATextThatIsNotReadMaySayAnything(t *testing.T) {
	long := strings.Repeat("x ", 2000)
	kernel := claim{Guess: distro.Guess{Version: "7"}, evidence: EvidenceGuest, field: "guest.kernel", kernel: true, el: 7}
	for name, c := range map[string]struct {
		claims []claim
		want   string
	}{
		"too long, beside a name": {
			[]claim{{Guess: distro.Identify("CentOS 7.9"), evidence: EvidenceImage}, {Guess: distro.Identify(long), evidence: EvidenceInstance}},
			`centos "" from image | or unknown "" | family: whatever stands beyond the part of the text that is read, not centos, by instance`,
		},
		"too long, beside a kernel": {
			[]claim{{Guess: distro.Identify(long), evidence: EvidenceInstance}, kernel},
			`other-linux "" edition el from guest | or unknown "" | family: whatever stands beyond the part of the text that is read, not other-linux, by instance`,
		},
		"reading it failed": {
			[]claim{{Guess: distro.Identify("CentOS 7.9"), evidence: EvidenceImage}, {Guess: distro.Guess{Failed: true}, evidence: EvidenceInstance}},
			`centos "" from image | or unknown "" | family: whatever the text says, which could not be read, not centos, by instance`,
		},
	} {
		var id identity
		id.os.Family = distro.Unknown
		id.family(c.claims)
		if got := told(&id); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	failed := claim{Guess: distro.Guess{Failed: true}}
	if failed.silent() {
		t.Error("a text whose reading failed is taken for one that says nothing")
	}
	if why := whyUnread(&failed.Guess, "CentOS 7.9"); !strings.Contains(why, "report it") {
		t.Errorf("why it is not read: %q", why)
	}
}
