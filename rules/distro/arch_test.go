package distro_test

import (
	"testing"

	"github.com/shenscan/shenscan/rules/distro"
)

// The architecture decides whether a system can run on a family at all: it is read
// where it is spelt out, and from a bare 64 or 32 only where that can be nothing
// else.
func TestArchitectures(t *testing.T) {
	for name, want := range map[string]string{
		// Arm wins over a word size, and is no Arm of 32 bits.
		"CentOS 7.9 ARM": "arm64", "CentOS 7.9 arm64": "arm64", "CentOS 7.9 aarch64": "arm64", "CentOS 7.9 64 bit ARM Edition": "arm64",
		"CentOS 7.9 x86_64 aarch64": "arm64", "CentOS 7.9 arm32": "", "CentOS arm32": "", "CentOS 7.9 arm32 x86_64": "x86_64", "CentOS 7.9 arm 7": "arm64", "CentOS 7.9 aarch32": "arm64",
		// Spelt out.
		"CentOS 7.9 x64": "x86_64", "CentOS 7.9 x32": "", "CentOS 7.9 x32.64": "", "CentOS 7.9 x86_64": "x86_64", "CentOS 7.9 x86-64": "x86_64", "CentOS 7.9 x86 64": "x86_64", "CentOS 7.9 x86": "i386",
		"CentOS 7.9 x86_32": "i386", "CentOS 7.9 x 86": "", "CentOS 7.9 64位 x86": "x86_64", "CentOS 7.9 32位 x86_64": "x86_64", "CentOS 7.9 32位 x64": "x86_64",
		"centos_7_9_x86_30G_alibase_20250101.vhd": "x86_64", "centos_7_9_x86_30G_20250101.vhd": "i386",
		"CentOS 7.9 amd64": "x86_64", "CentOS 7.9 amd32": "", "CentOS 7.9 AMD": "", "CentOS 7.9 amd 64": "x86_64", "CentOS 7.9 amd 32位": "i386", "CentOS 7.9 32位 amd64": "x86_64", "CentOS 7.9 32位 amd 64": "i386",
		"CentOS 6.5 i386": "i386", "CentOS 6.5 i586": "i386", "CentOS 6.5 i686": "i386", "CentOS 6.5 i 386": "", "CentOS 6.5 i7": "", "CentOS 6.5 i64": "", "CentOS 6.5 i686 64位": "i386", "CentOS 6.5 64位 i686": "i386",
		// Bare: apart from the version, or with the word for bits.
		"CentOS 6.5 64": "x86_64", "CentOS 6.5 64 bits": "x86_64", "CentOS 6.5 64bit": "x86_64", "CentOS 6.5 32 bits": "i386", "CentOS 6.5-64": "x86_64", "CentOS 6.5_64_20G": "x86_64",
		"CentOS 6.5 64_1": "x86_64", "CentOS 6.5 64 32位": "x86_64", "CentOS 6.5 32位 64位": "i386", "CentOS 6.5.32位": "i386", "CentOS 6.5.64bits": "x86_64", "centos_6_5_64.vhd": "x86_64", "CentOS 6.5 final 64.1": "",
		"CentOS 6.5.64": "", "CentOS 6.5 64.1": "", "CentOS 6.5 64G": "", "CentOS 6.5a64": "", "CentOS 6.5 96位": "", "CentOS 6.5 0064位": "", "CentOS 6.5 3264位": "",
		// Glued to the version of Ubuntu.
		"Ubuntu14.0464位": "x86_64", "Ubuntu14.0432位": "i386", "Ubuntu14.0416位": "", "Ubuntu14.0464": "", "Ubuntu 10.1064位": "x86_64", "Ubuntu 14 0464位": "",
	} {
		if got := distro.Identify(name); got.Arch != want {
			t.Errorf("%s: architecture %q, want %q", name, got.Arch, want)
		}
	}
	// An image that is made for families of AMD is no statement on the word size.
	for name, want := range map[string]bool{"CentOS 7.9 64位 AMD版": true, "centos_7_9_x64_amd": true, "CentOS 7.9 AMD 64位": true, "CentOS 7.9 amd64": false, "centos amd64": false, "CentOS 7.9": false, "AMD": true} {
		if got := distro.Identify(name); got.AMD != want {
			t.Errorf("%s: for AMD %t", name, got.AMD)
		}
	}
}
