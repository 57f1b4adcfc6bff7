// Package distro reads an operating system's identity out of one string: an
// OSName in English or Chinese, an image id, an image family, a Platform
// value, a release line of a guest, a kernel release. It never guesses: what
// the string does not say stays "". It judges nothing and combines nothing;
// package rules does both.
package distro

// The operating system families that Identify tells apart.
const (
	CentOS        = "centos"
	RHEL          = "rhel"
	Alinux        = "alinux"
	Anolis        = "anolis"
	Debian        = "debian"
	Ubuntu        = "ubuntu"
	SLES          = "sles"
	OpenSUSE      = "opensuse"
	Fedora        = "fedora"
	CoreOS        = "coreos"
	Flatcar       = "flatcar"
	FreeBSD       = "freebsd"
	Gentoo        = "gentoo"
	WindowsServer = "windows-server"
	WindowsClient = "windows-client"
	Rocky         = "rocky"
	AlmaLinux     = "almalinux"
	Oracle        = "oracle"
	OpenEuler     = "openeuler"
	Kylin         = "kylin"
	UOS           = "uos"
	OtherLinux    = "other-linux"
	Unknown       = "unknown"
)

// Families lists every family that Identify can return.
func Families() []string {
	return []string{
		CentOS, RHEL, Alinux, Anolis, Debian, Ubuntu, SLES, OpenSUSE, Fedora, CoreOS, Flatcar, FreeBSD, Gentoo,
		WindowsServer, WindowsClient, Rocky, AlmaLinux, Oracle, OpenEuler, Kylin, UOS, OtherLinux, Unknown,
	}
}

// Guess is what one string says. The zero value says nothing.
type Guess struct {
	Family      string // "" when the string names no operating system
	Version     string // canonical: "5.8", "6.0.9", "2008r2"
	ServicePack string // of SUSE and Kylin releases, whose version it completes
	Edition     string
	Arch        string // "i386", "x86_64", "arm64"
	Vague       bool   // Family is a catch-all that any other string may refine
	NotR2       bool   // Windows: the string rules out an R2 release
	AMD         bool   // an image made for AMD families
	Several     bool   // several versions are named, so none is chosen
	// AlsoFamily and AlsoVersion are a second, different operating system that
	// the same string names.
	AlsoFamily, AlsoVersion string
}

// Identify reads s. It takes time linear in len(s), never fails, and ignores
// case and the amount of white space.
func Identify(s string) Guess {
	if opaque(s) {
		return Guess{}
	}
	var sc scan
	sc.read(s)
	return sc.identify()
}

// opaque says whether s is the id of a custom image, whose letters are drawn by
// lot: m-bp1win7ux0centos5z8 names no operating system.
func opaque(s string) bool {
	if len(s) < 12 || s[0] != 'm' && s[0] != 'M' || s[1] != '-' {
		return false
	}
	for i := 2; i < len(s); i++ {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

func (sc *scan) identify() Guess {
	var g Guess
	for i := 0; i < sc.n; i++ {
		if sc.t[i].num {
			continue
		}
		k, ok := sc.keyword(i)
		if !ok {
			continue
		}
		i = max(i, sc.take(&g, k)-1)
	}
	if g.Family == "" {
		sc.contained(&g)
	}
	if g.Family == "" || g.Vague {
		g.Version, g.ServicePack = sc.bareVersion(g)
	}
	g.Arch = sc.arch(g.Family)
	g.AMD = sc.amd()
	sc.windowsFacts(&g)
	return g
}

// take merges a keyword into g and returns the index after what it used.
func (sc *scan) take(g *Guess, k keyword) int {
	r := sc.release(k)
	switch {
	case g.Family == "" || g.Vague && !k.vague:
		g.Family, g.Vague = k.family, k.vague
		g.Version, g.ServicePack, g.Several = r.version, r.sp, r.several
		g.Edition = r.edition
	case k.vague || k.weak:
	case k.family == g.Family:
		// "Alibaba Cloud Linux (Aliyun Linux) release 2.1903".
		if g.Version == "" && !g.Several {
			g.Version, g.ServicePack, g.Several = r.version, r.sp, r.several
		} else if r.version != "" && r.version != g.Version && g.AlsoFamily == "" {
			g.AlsoFamily, g.AlsoVersion = k.family, r.version
		}
		if g.Edition == "" {
			g.Edition = r.edition
		}
	case g.AlsoFamily == "":
		g.AlsoFamily, g.AlsoVersion = k.family, r.version
	}
	return r.next
}

// contained is the second look, for keywords glued into longer words
// ("mycentos7"). It finds only names that are parts of no other word.
func (sc *scan) contained(g *Guess) {
	for i := 0; i < sc.n; i++ {
		if sc.t[i].num {
			continue
		}
		if family := suffixFamily(sc.word(i)); family != "" {
			sc.take(g, keyword{family: family, at: i, next: i + 1})
			return
		}
	}
}

func suffixFamily(w string) string {
	for _, f := range [...]string{CentOS, Ubuntu, Debian, FreeBSD, OpenSUSE, Gentoo, RHEL} {
		if len(w) > len(f) && w[len(w)-len(f):] == f {
			return f
		}
	}
	if len(w) > 7 && w[len(w)-7:] == "windows" {
		return WindowsServer
	}
	return ""
}
