package distro

import "strconv"

// release is what stands after an operating system's name.
type release struct {
	version, sp, edition string
	several              bool
	next                 int
}

// release reads the version that follows keyword k.
func (sc *scan) release(k keyword) release {
	if k.family == WindowsServer || k.family == WindowsClient {
		return sc.windowsRelease(k)
	}
	r := release{edition: k.edition, next: k.next}
	i := sc.fillers(k, &r)
	if !k.vague {
		sc.version(k.family, i, &r)
		sc.edition(k.family, &r)
	}
	return r
}

// fillers skips the words that may stand between a name and its version.
func (sc *scan) fillers(k keyword, r *release) int {
	i := k.next
	for ; i < sc.n && !sc.t[i].num; i++ {
		switch sc.word(i) {
		case "linux", "gnu", "os", "release", "enterprise", "server", "servers", "advanced", "platform", "workstation",
			"client", "desktop", "host", "for", "sap", "applications", "leap", "version", "hpc", "computenode", "as", "es", "container", "base", "system", "by", "kinvolk":
		case "tumbleweed":
			r.edition = "tumbleweed"
		case "stream":
			if k.family == CentOS {
				r.edition = "stream"
			}
		case "v":
			if k.family != Kylin && k.family != UOS {
				return i
			}
		default:
			if v := codename(k.family, sc.word(i)); v != "" {
				r.version, r.next = v, i+1
			}
			return i
		}
	}
	return i
}

func codename(family, w string) string {
	switch family {
	case Ubuntu:
		switch w {
		case "hardy":
			return "8.04"
		case "lucid":
			return "10.04"
		case "maverick":
			return "10.10"
		case "natty":
			return "11.04"
		case "oneiric":
			return "11.10"
		case "precise":
			return "12.04"
		case "trusty":
			return "14.04"
		case "xenial":
			return "16.04"
		case "bionic":
			return "18.04"
		case "focal":
			return "20.04"
		case "jammy":
			return "22.04"
		case "noble":
			return "24.04"
		}
	case Debian:
		switch w {
		case "lenny":
			return "5"
		case "squeeze":
			return "6"
		case "wheezy":
			return "7"
		case "jessie":
			return "8"
		case "stretch":
			return "9"
		case "buster":
			return "10"
		case "bullseye":
			return "11"
		case "bookworm":
			return "12"
		case "trixie":
			return "13"
		}
	}
	return ""
}

// version reads the numbers at token i by the customs of the family.
func (sc *scan) version(family string, i int, r *release) {
	if r.version != "" || !sc.isNum(i) || sc.isSize(i) || sc.t[i].sep == '/' && i > 0 {
		return
	}
	if v := sc.t[i].val; (v == 64 || v == 32) && sc.isWidth(i) {
		return
	}
	var c [4]int
	n, next := sc.numbers(family, i, &c)
	if n == 0 {
		return
	}
	if next < sc.n && sc.t[next].sep == '/' && sc.t[next].num {
		r.several, r.next = true, next+1
		return
	}
	r.next = next
	switch family {
	case CentOS, RHEL, Oracle, Rocky, AlmaLinux, Anolis, OtherLinux:
		r.version = sc.elVersion(family, i, n, c)
	case Debian:
		r.version = sc.debianVersion(i, n, c)
	case Ubuntu:
		r.version, r.next = sc.ubuntuVersion(i, n, c, next)
	case Alinux:
		r.version = alinuxVersion(sc.digits(i), n, c)
	case SLES:
		r.version, r.sp = slesVersion(sc.digits(i), n, c)
		if sp, ok := sc.servicePack(next); ok {
			r.sp = sp
		}
	case OpenSUSE, FreeBSD:
		r.version = pairVersion(sc.digits(i), n, c)
	case Kylin:
		r.version = kylinVersion(sc.is(i-1, "v"), n, c)
		if sp, ok := sc.servicePack(next); ok {
			r.sp = sp
		}
	case OpenEuler:
		r.version = paddedVersion(n, c)
		if sp, ok := sc.servicePack(next); ok {
			r.sp = sp
		}
	default:
		r.version = join(c[:n]...)
	}
}

// numbers collects up to as many numbers as a version of the family has.
func (sc *scan) numbers(family string, i int, c *[4]int) (n, next int) {
	want := 2
	switch family {
	case Fedora, UOS:
		want = 1
	case Debian, Flatcar:
		want = 3
	case CoreOS:
		want = 4
		if sc.t[i].val > 100 {
			want = 3
		}
	}
	for n < want && sc.isNum(i) && (n == 0 || sc.joins(family, i)) {
		c[n] = int(sc.t[i].val)
		n++
		i++
		if n < want && (sc.is(i, "u") || sc.is(i, "r")) && sc.t[i].sep == 0 && sc.isNum(i+1) && sc.t[i+1].sep == 0 && elTail(family) {
			i++ // centos5u8
		}
	}
	if family == CoreOS && want == 3 && n == 2 { // "coreos_2303_3_x64" is 2303.3.0
		n = 3
	}
	for sc.isNum(i) && sc.t[i].sep == '.' { // 7.9.2009
		i++
	}
	return n, i
}

func elTail(family string) bool {
	switch family {
	case CentOS, RHEL, Oracle, Rocky, AlmaLinux, Anolis, OtherLinux, Alinux, Debian:
		return true
	}
	return false
}

// joins says whether number i continues the version before it.
func (sc *scan) joins(family string, i int) bool {
	t := &sc.t[i]
	switch t.sep {
	case '.':
		return true
	case 0:
		return sc.is(i-1, "u") || sc.is(i-1, "r")
	case '_', '-':
		if sc.isSize(i) {
			return false
		}
		if (t.val == 64 || t.val == 32) && sc.digits(i) == 2 {
			return false
		}
		if family == CoreOS {
			return sc.digits(i) <= 8
		}
		return sc.digits(i) <= 4
	}
	return false
}

// isSize says whether number i is a disk size such as 20G.
func (sc *scan) isSize(i int) bool {
	if i+1 >= sc.n || sc.t[i+1].num || sc.t[i+1].sep != 0 {
		return false
	}
	switch sc.word(i + 1) {
	case "g", "gb", "gib", "m", "mb", "k", "h":
		return true
	}
	return false
}

// isWidth says whether a 64 or 32 at token i is a word size and no version.
func (sc *scan) isWidth(i int) bool {
	return !(sc.isNum(i+1) && sc.t[i+1].sep == '.')
}

func join(c ...int) string {
	var b [40]byte
	out := b[:0]
	for i, v := range c {
		if i > 0 {
			out = append(out, '.')
		}
		out = strconv.AppendInt(out, int64(v), 10)
	}
	return string(out)
}

func atoi(s string) int {
	v := 0
	for i := 0; i < len(s); i++ {
		v = v*10 + int(s[i]-'0')
	}
	return v
}

// edition finds the editions that are told apart, for the families that have
// them.
func (sc *scan) edition(family string, r *release) {
	if r.edition != "" && r.edition != "server" {
		return
	}
	r.edition = ""
	for i := 0; i < sc.n; i++ {
		w := sc.word(i)
		switch {
		case family == Alinux && (w == "lts" || w == "pro"),
			family == OpenEuler && w == "lts",
			family == Anolis && (w == "anck" || w == "rhck"),
			family == SLES && w == "sap":
			r.edition = w
			return
		case family == SLES && w == "slessap":
			r.edition = "sap"
			return
		}
	}
}

// bareVersion reads a string that is nothing but a version ("6.0.9", the whole
// of /etc/debian_version).
func (sc *scan) bareVersion(g Guess) (version, sp string) {
	if g.Family != "" || sc.n == 0 || sc.n > 4 {
		return "", ""
	}
	for i := 0; i < sc.n; i++ {
		if !sc.t[i].num || sc.digits(i) > 4 || i > 0 && sc.t[i].sep != '.' {
			return "", ""
		}
	}
	return sc.s[sc.t[0].start:sc.t[sc.n-1].end], ""
}
