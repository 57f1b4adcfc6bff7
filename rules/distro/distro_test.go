package distro_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/rules/distro"
)

// Strings that no public corpus holds: synthetic, spelt as ECS and the systems
// themselves spell theirs.
func TestSynthetic(t *testing.T) {
	for _, c := range []struct{ in, family, version, sp, arch string }{
		{"CentOS  5.9 64位", "centos", "5.9", "", "x86_64"},
		{"CentOS  5.11 64位", "centos", "5.11", "", "x86_64"},
		{"centos5u11_64_40G_aliaegis_20160120.vhd", "centos", "5.11", "", "x86_64"},
		{"centos_5_11_64_40G_alibase_20170710.vhd", "centos", "5.11", "", "x86_64"},
		{"CentOS release 5.8 (Final)", "centos", "5.8", "", ""},
		{"CentOS Linux release 7.9.2009 (Core)", "centos", "7.9", "", ""},
		{"CentOS Linux 7 (Core)", "centos", "7", "", ""},
		{"CentOS 4.9 32位", "centos", "4.9", "", "i386"},
		{"centos4u8_32_20G_alibase_20100101.vhd", "centos", "4.8", "", "i386"},
		{"CENTOS5", "centos", "5", "", ""},
		{"CentOS Stream release 10", "centos", "10", "", ""},
		{"Centos65", "centos", "6.5", "", ""},
		{"mycentos7", "centos", "7", "", ""},
		{"CentOS 5.x", "centos", "5", "", ""},
		{"Red Hat Enterprise Linux Server release 5.9 (Tikanga)", "rhel", "5.9", "", ""},
		{"Red Hat Enterprise Linux AS release 4 (Nahant Update 8)", "rhel", "4", "", ""},
		{"RHEL 5.11", "rhel", "5.11", "", ""},
		{"rhel_5_9_64_20G", "rhel", "5.9", "", "x86_64"},
		{"红帽企业版 Linux 6.5 64位", "rhel", "6.5", "", "x86_64"},
		{"Alibaba Cloud Linux (Aliyun Linux) release 2.1903 LTS (Hunting Beagle)", "alinux", "2.1903", "", ""},
		{"Alibaba Cloud Linux release 3 (Soaring Falcon)", "alinux", "3", "", ""},
		{"Aliyun Linux  5.7 64位", "alinux", "5.7", "", "x86_64"},
		{"Scientific Linux release 5.8 (Boron)", "other-linux", "5.8", "", ""},
		{"Oracle Linux Server release 5.9", "oracle", "5.9", "", ""},
		{"Oracle Linux 7.9 64位", "oracle", "7.9", "", "x86_64"},
		{"Oracle Database 11.2 on CentOS 6.5", "centos", "6.5", "", ""},
		{"Rocky Linux release 9.4 (Blue Onyx)", "rocky", "9.4", "", ""},
		{"AlmaLinux release 8.10 (Cerulean Leopard)", "almalinux", "8.10", "", ""},
		{"openEuler release 22.03 (LTS-SP3)", "openeuler", "22.03", "3", ""},
		{"openEuler 20.03 64位", "openeuler", "20.03", "", "x86_64"},
		{"Flatcar Container Linux by Kinvolk 3510.2.1 (Oklo)", "flatcar", "3510.2.1", "", ""},
		{"Flatcar 3510.2.1", "flatcar", "3510.2.1", "", ""},
		{"Kylin Linux Advanced Server release V10 (Tercel)", "kylin", "V10", "", ""},
		{"银河麒麟 V10 SP1 64位", "kylin", "V10", "1", "x86_64"},
		{"UOS Server 20", "uos", "20", "", ""},
		{"Debian GNU/Linux 5.0.10", "debian", "5.0.10", "", ""},
		{"Debian GNU/Linux 6.0 (squeeze)", "debian", "6.0", "", ""},
		{"Debian GNU/Linux squeeze", "debian", "6", "", ""},
		{"Debian 6.09", "debian", "6.0.9", "", ""},
		{"Debian 6.10", "debian", "6.0.10", "", ""},
		{"debian6010_64_20G_alibase_20150101.vhd", "debian", "6.0.10", "", "x86_64"},
		{"debian608_32_20G_alibase_20131121.vhd", "debian", "6.0.8", "", "i386"},
		{"debian_13_5_x64_20G_alibase_20260513.vhd", "debian", "13.5", "", "x86_64"},
		{"Ubuntu 10.04.4 LTS", "ubuntu", "10.04", "", ""},
		{"ubuntu1010_64_20G_alibase_20110101.vhd", "ubuntu", "10.10", "", "x86_64"},
		{"Ubuntu 8.04", "ubuntu", "8.04", "", ""},
		{"Ubuntu 6.06", "ubuntu", "6.06", "", ""},
		{"Ubuntu 11.10 64位", "ubuntu", "11.10", "", "x86_64"},
		{"Ubuntu 12.4", "ubuntu", "12.04", "", ""},
		{"Ubuntu: 20.04 64-bit (AMD-compatible)", "ubuntu", "20.04", "", "x86_64"},
		{"SUSE Linux Enterprise Server 10 SP4 64位", "sles", "10", "4", "x86_64"},
		{"SUSE Linux Enterprise Server 11 (x86_64) SP4", "sles", "11", "4", "x86_64"},
		{"SLES 11.4", "sles", "11", "4", ""},
		{"sles_15_sp6_x64_20G_alibase_20250101.vhd", "sles", "15", "6", "x86_64"},
		{"openSUSE 12.3 (x86_64)", "opensuse", "12.3", "", "x86_64"},
		{"openSUSE Leap 15.6", "opensuse", "15.6", "", ""},
		{"openSUSE Tumbleweed 20240101", "opensuse", "20240101", "", ""},
		{"FreeBSD 11.2-RELEASE-p9", "freebsd", "11.2", "", ""},
		{"freebsd_9_3_64_20G", "freebsd", "9.3", "", "x86_64"},
		{"Gentoo Base System release 2.15", "gentoo", "2.15", "", ""},
		{"Fedora 32", "fedora", "32", "", ""},
		{"Fedora 32 x86_64", "fedora", "32", "", "x86_64"},
		{"Fedora 32位", "fedora", "", "", "i386"},
		{"Fedora 20 32", "fedora", "20", "", "i386"},
		{"Fedora_32", "fedora", "", "", "i386"},
		{"Windows XP Professional SP3", "windows-client", "xp", "", ""},
		{"WindowsXP_32", "windows-client", "xp", "", "i386"},
		{"Windows Vista", "windows-client", "vista", "", ""},
		{"Windows 11 64位", "windows-client", "11", "", "x86_64"},
		{"Windows NT 4.0 Server", "windows-server", "nt4", "", ""},
		{"Windows 2000 Server", "windows-server", "2000", "", ""},
		{"Microsoft(R) Windows(R) Server 2003, Standard Edition", "windows-server", "2003", "", ""},
		{"Microsoft Windows Server 2003 R2 Enterprise x64 Edition", "windows-server", "2003r2", "", "x86_64"},
		{"Microsoft® Windows Server® 2008 Standard", "windows-server", "2008", "", ""},
		{"Windows Server 2008 Enterprise R2", "windows-server", "2008r2", "", ""},
		{"Microsoft Windows Server 2022 Datacenter", "windows-server", "2022", "", ""},
		{"Windows Server 20H2 Datacenter", "windows-server", "20h2", "", ""},
		{"Windows Server 2008/2012/2016", "windows-server", "2008", "", ""},
		{"LNMP on Windows Server 2012", "windows-server", "2012", "", ""},
		{"Template on win32 toolchain", "", "", "", ""},
		{"windy 2008", "", "", "", ""},
		{"m-bp1win7ux0centos5z8", "", "", "", ""},
		{"M-BP1WIN7UX0CENTOS5Z8", "", "", "", ""},
		{"m-Windows2008", "windows-server", "2008", "", ""},
		{"m-centos_7_9_x64", "centos", "7.9", "", "x86_64"},
		{"Oracle_DTS", "", "", "", ""},
		{"6.0.9", "", "6.0.9", "", ""},
		{"5.8 G", "", "", "", ""},
	} {
		g := distro.Identify(c.in)
		if g.Family != c.family || g.Version != c.version || g.ServicePack != c.sp || g.Arch != c.arch {
			t.Errorf("%q: got %q %q sp %q %q, want %q %q sp %q %q", c.in, g.Family, g.Version, g.ServicePack, g.Arch, c.family, c.version, c.sp, c.arch)
		}
	}
}

func TestTwoSystemsInOneString(t *testing.T) {
	g := distro.Identify("Ubuntu 16.04 (was CentOS 5.8)")
	if g.Family != "ubuntu" || g.Version != "16.04" || len(g.Also) != 1 || g.Also[0].Family != "centos" || g.Also[0].Version != "5.8" {
		t.Errorf("%+v", g)
	}
	g = distro.Identify("CentOS 7.4/7.3/7.2 64位")
	if g.Version != "7.2" || len(g.Also) != 2 {
		t.Errorf("%+v", g)
	}
}

// A number is a version where nothing speaks against it: not behind the name of another
// system, not with a size glued to it, and not because it ends like one.
func TestNumbersThatAreNoVersionOfTheNameBefore(t *testing.T) {
	for _, c := range []struct {
		in, family, version string
		listed              bool
	}{
		{"windows openanolis 11", "windows-server", "", false},
		{"windows 8164", "windows-server", "", false},
		{"Debian 5u8/7GB", "debian", "5.0.8", false}, // 7 may be a size: it is no second version of a list
		{"Debian 5u8/7", "debian", "5.0.8", true},
		{"debian 102019010120190101201901", "debian", "10", false}, // two dates and a month behind it
		{"debian 102019012019010120190101", "debian", "10", false}, // a month and two dates
	} {
		guess := distro.Identify(c.in)
		if guess.Family != c.family || guess.Version != c.version || guess.Listed != c.listed {
			t.Errorf("%q: %+v, want %s %q, listed %v", c.in, guess, c.family, c.version, c.listed)
		}
	}
}

func TestIdentifyKernel(t *testing.T) {
	for _, c := range []struct {
		in   string
		want distro.KernelGuess
	}{
		{"2.6.18-348.el5", distro.KernelGuess{EL: 5, Version: "5"}},
		{"4.18.0-240.22.1.el8_3.x86_64", distro.KernelGuess{EL: 8, Version: "8"}},
		{"4.19.91-23.al7.x86_64", distro.KernelGuess{Family: "alinux", Version: "2"}},
		{"5.10.23-5.al8.x86_64", distro.KernelGuess{Family: "alinux", Version: "3"}},
		{"5.11.7-200.fc33.x86_64", distro.KernelGuess{Family: "fedora", Version: "33"}},
		{"11.2-RELEASE-p9", distro.KernelGuess{Family: "freebsd", Version: "11.2"}},
		{"5.4.0-74-generic", distro.KernelGuess{}},
		{"3.10.0-1.el0.x86_64", distro.KernelGuess{}},
		{"3.10.0-1.el1000.x86_64", distro.KernelGuess{}},
		{"", distro.KernelGuess{}},
	} {
		if got := distro.IdentifyKernel(c.in); got != c.want {
			t.Errorf("%q: %+v", c.in, got)
		}
	}
}

// A kernel's number says whether it is one of Windows, which counts builds, or of Linux:
// a release of Windows and its build are of one system, and Linux is at 2 to 9.
func TestWhichKindOfSystemAKernelIsOf(t *testing.T) {
	linux := distro.System{Family: distro.OtherLinux}
	for kernel, want := range map[string]distro.System{
		"2.6.32-431.el6":       linux,
		"9.1.0-12-generic":     linux,
		"10.1.0-12-generic":    {},
		"1.2.13":               {},
		"6.1.999":              linux,
		"6.1.1000":             {},
		"6.1.7601":             {Family: distro.WindowsServer, Version: "2008r2"},
		"6.1.9200":             {},
		"11.2-RELEASE-p9":      {},
		"no kernel of any one": {},
	} {
		got := distro.KernelOf(kernel)
		if got.Family != want.Family || got.Version != want.Version && want.Version != "" {
			t.Errorf("%q: %+v, want %+v", kernel, got, want)
		}
	}
}

// What a kernel is built for stands in it as a word of its own, in whatever capitals.
func TestWhatAKernelIsBuiltFor(t *testing.T) {
	for kernel, want := range map[string]string{
		"4.18.0-348.el8.aarch64": "arm64",
		"5.10.0-8-AMD64":         "x86_64",
		"3.10.0-957.el7.X86_64":  "x86_64",
		"2.6.18-8.el5.i686":      "i386",
		"3.13.0-32-generic":      "",
		"0i386":                  "",
		"i3860":                  "",
		"i3869":                  "",
		"i386a":                  "",
		"i386z":                  "",
		"i386A":                  "",
		"i386Z":                  "",
		"内核3.10.0-1.el7.x86_64版": "x86_64",
	} {
		if got := distro.KernelArch(kernel); got != want {
			t.Errorf("%q is built for %q, want %q", kernel, got, want)
		}
	}
}

// canonical spells an identity so that it reads back as itself.
func canonical(g distro.Guess) string {
	names := map[string]string{
		"centos": "CentOS", "rhel": "RHEL", "alinux": "Alibaba Cloud Linux", "anolis": "Anolis OS", "debian": "Debian", "ubuntu": "Ubuntu",
		"sles": "SLES", "opensuse": "openSUSE", "fedora": "Fedora", "coreos": "CoreOS", "flatcar": "Flatcar", "freebsd": "FreeBSD",
		"gentoo": "Gentoo", "windows-server": "Windows Server", "windows-client": "Windows", "rocky": "Rocky Linux",
		"almalinux": "AlmaLinux", "oracle": "Oracle Linux", "openeuler": "openEuler", "kylin": "Kylin", "uos": "UOS",
	}
	name := names[g.Family]
	switch g.Edition {
	case "fedora-coreos":
		name = "Fedora CoreOS"
	case "tumbleweed":
		name += " Tumbleweed"
	}
	s := name + " " + g.Version
	if g.ServicePack != "" {
		s += " SP" + g.ServicePack
	}
	return s
}

func FuzzIdentify(f *testing.F) {
	for _, s := range []string{
		"CentOS  5.8 64位", "win2008r2_64_ent_sp1_en-us_40G_alibase_20170622.vhd", "debian609_64_40G_aliaegis_20160222.vhd",
		"Ubuntu14.0464位", "SUSE Linux  Enterprise Server 11 SP3 64位", "acs:fedora_coreos_33_20210217_3_0_3_x64", "CoreOS  1745.7.0 64位",
		"PHP运行环境（CentOS7.1 64位 | Apache2.2 | PHP5.3 |Mysql5.1）", "Windows Server Version 20H2", "openSUSE Tumbleweed 20240101",
		"centos99999999999999999999", "Debian 6.000009", "Ubuntu 4.", "win", "红帽", "\xff\xfe", "Kylin V", "centos5u", "FreeBSD 0.0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g := distro.Identify(s)
		if g.Failed {
			t.Errorf("%q: reading it panics", s)
		}
		for _, r := range append([]distro.System{{Family: g.Family, Version: g.Version, ServicePack: g.ServicePack, Edition: g.Edition}}, g.Also...) {
			if r.Family != "" && r.Version != "" && distro.StandingOf(r.Family, r.Edition, r.Version, r.ServicePack) == distro.NoRelease {
				t.Errorf("%q: %s %s %s sp %q was never released", s, r.Family, r.Edition, r.Version, r.ServicePack)
			}
		}
		if k := distro.IdentifyKernel(s); k.Family != "" && k.Version != "" && distro.StandingOf(k.Family, "", k.Version, "") == distro.NoRelease {
			t.Errorf("kernel %q: %s %s was never released", s, k.Family, k.Version)
		}
		if ascii(s) {
			for _, v := range []string{strings.ToUpper(s), strings.ToLower(s), strings.ReplaceAll(s, " ", "  "), " \t" + s + "\r\n "} {
				if got := distro.Identify(v); !reflect.DeepEqual(got, g) && len(s) < 200 {
					t.Errorf("%q: %+v, but %q: %+v", s, g, v, got)
				}
			}
		}
		if g.Family == "" || g.Family == "other-linux" || g.Version == "" {
			return
		}
		again := distro.Identify(canonical(g))
		if again.Family != g.Family || again.Version != g.Version || again.ServicePack != g.ServicePack {
			t.Errorf("%q is %s %s sp %s; %q reads back as %s %s sp %s", s, g.Family, g.Version, g.ServicePack, canonical(g), again.Family, again.Version, again.ServicePack)
		}
	})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Reading a megabyte takes no longer than a few thousand times a kilobyte: the
// text that is looked at is bounded, and white space is skipped in passing.
func TestLongStrings(t *testing.T) {
	for _, unit := range []string{"a", " ", "centos ", "5.", "位", "windows server ", "r2 ", "linux other ", "_64"} {
		long := strings.Repeat(unit, 1<<20/len(unit))
		start := time.Now()
		distro.Identify(long)
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%q repeated to a megabyte took %v", unit, d)
		}
	}
	if g := distro.Identify(strings.Repeat(" ", 100000) + "CentOS 5.8"); g.Version != "5.8" {
		t.Errorf("leading space hides the name: %+v", g)
	}
}

func TestEscapesOfEitherCase(t *testing.T) {
	for _, s := range []string{`\u0043entOS 6.4`, `\U0043entOS 6.4`, `\U00000043entOS 6.4`, `\u0043\U0065ntOS 6.4`} {
		if g := distro.Identify(s); g.Family != distro.CentOS || g.Version != "6.4" {
			t.Errorf("%s: %+v", s, g)
		}
	}
	for _, s := range []string{`\U`, `\Uzzzz`, `\u004`, `\U00110000 x`} {
		if g := distro.Identify(s); g.Family != distro.Unknown && g.Family != "" {
			t.Errorf("%s: %+v", s, g)
		}
	}
}

// A machine's number behind "_" is no minor release, also with a word size glued
// to it.
func TestAMachineNumberIsNoMinorRelease(t *testing.T) {
	for s, want := range map[string]string{
		"CentOS 7_0164位": "7", "CentOS 5_0264": "5", "CentOS 7_01": "7", "CentOS 5_864位": "5.8", "CentOS 5.864位": "5.8", "Ubuntu 12_0464位": "12.04",
	} {
		if g := distro.Identify(s); g.Version != want {
			t.Errorf("%s: version %q, want %q", s, g.Version, want)
		}
	}
}

// Where a text tells of a change from one release to another, both are meant; who
// reads one of them alone reads the wrong one half of the time.
func TestBothSidesOfAChangeAreRead(t *testing.T) {
	for _, c := range []struct{ in, family, older, newer string }{
		{"CentOS 7.9升级前5.8", "centos", "5.8", "7.9"},
		{"CentOS 7.9升级前为5.8", "centos", "5.8", "7.9"},
		{"CentOS 7.9（由5.8升级而来）", "centos", "5.8", "7.9"},
		{"从 5.8 升级到 CentOS 7.9", "centos", "5.8", "7.9"},
		{"CentOS7.9(原5.8)", "centos", "5.8", "7.9"},
		{"CentOS not 5.8 but 7.9", "centos", "5.8", "7.9"},
		{"CentOS 7.9, previously on release 5.8", "centos", "5.8", "7.9"},
		{"CentOS 7 <- 5", "centos", "5", "7"},
		{"Windows 2012R2（原2003迁移）", "windows-server", "2003", "2012r2"},
		{"windows server 2003 升到 2016", "windows-server", "2003", "2016"},
		{"由2003升级到Windows 2008 R2", "windows-server", "2003", "2008r2"},
		{"Debian 11 (ex-squeeze)", "debian", "6", "11"},
		{"XP升级到Windows 10", "windows-client", "xp", "10"},
		{"原Vista现Windows 10", "windows-client", "vista", "10"},
		{"Windows 7/XP", "windows-client", "xp", "7"},
	} {
		g := distro.Identify(c.in)
		read := map[string]bool{g.Version: true}
		for _, a := range g.Also {
			read[a.Version] = true
		}
		if g.Family != c.family || !read[c.older] || !read[c.newer] {
			t.Errorf("%s: %+v, want %s %s and %s", c.in, g, c.family, c.older, c.newer)
		}
	}
}

// What is certain of a run of digits stays, whatever is glued to it.
func TestWhatIsCertainOfGluedDigitsStays(t *testing.T) {
	for _, c := range []struct{ in, version string }{
		{"myWindows 2003-02box", "2003"},
		{"Windows Server 20032019051264", "2003"},
		{"Win20036432", "2003"},
		{"WindowsServer200312:30", "2003"},
		{"Win2003201905128核16G", "2003"},
		{"m-Win2008x64", "2008"},
		{"Windows Server 20083232位", "2008"},
		{"Windows200310M带宽", "2003"},
		{"Windows20032018/01/01", "2003"},
		{"Debian 5088核16G", "5.0.8"},
		{"Scientific_Linux_64", "6.4"},
		{"CentOS+64", "6.4"},
		{"Red+Hat+Linux+98核16G", "9"},
		{"CentOS+540G", "5"},
		{"CentOS 5.06440G", "5.0"},
		{"Debian 5.0.8-201905-amd64", "5.0.8"},
		{"CentOS 6_932位", "6"},
		{"CentOS6.010.0.0.5", "6.0"},
		{"Ubuntu 91064位", "9.10"},
		{"w2ksp4", "2000"},
		{"CentOS 65Mbeijing", "6"},
		{"Windows NT 402019.01.01", "nt4"},
		{"CentOS68:05", "6"},
		{"2003服务器", "2003"},
	} {
		g := distro.Identify(c.in)
		read := map[string]bool{g.Version: true}
		for _, a := range g.Also {
			read[a.Version] = true
		}
		if !read[c.version] {
			t.Errorf("%s: %+v, which says nothing of %s", c.in, g, c.version)
		}
	}
	if g := distro.Identify("a699494373c04fc0bc8f2bb1389d6106__Windows-Server-2012-R2"); g.Family != distro.WindowsServer || len(g.Also) > 0 {
		t.Errorf("an id of hexadecimal digits names a system: %+v", g)
	}
}

// Reading takes time linear in the length of what is read, whatever is repeated.
func TestReadingIsLinear(t *testing.T) {
	pieces := []string{
		"CentOS ", "centos", "5.8", "5.8 ", "5,", "2003", "win2003", "Windows ", "20031", "升级前", "原5.8", "R2", "8核16G", "4G", "deadbeef01", "a1", "&amp;", "%25", `\u0035`, "１", "\u200b", "2019-01-01", "10.0.0.5.", "12:30",
		"red,hat,", "old ", "from ", "w2k", "(", "2.6.18-", ".el5", "gred", "gentooto", "SP4 ", "/", "、", "{", "xp", "\n", "aliyun_", "5.06440G",
	}
	took := func(s string) time.Duration {
		best := time.Duration(0)
		for range 5 {
			start := time.Now()
			distro.Identify(s)
			if d := time.Since(start); best == 0 || d < best {
				best = d
			}
		}
		return best
	}
	for _, piece := range pieces {
		short, long := strings.Repeat(piece, 8<<10/len(piece)), strings.Repeat(piece, 512<<10/len(piece))
		if a, b := took(short), took(long); b > 64*8*a+20*time.Millisecond {
			t.Errorf("%q: %v for 8 KiB, %v for 512 KiB", piece, a, b)
		}
	}
}
