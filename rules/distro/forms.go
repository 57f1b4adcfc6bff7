package distro

import (
	"strconv"
	"strings"
)

// How each family writes its versions.

// parts are the numbers that may make a version.
type parts struct {
	at, n int
	v     [4]uint32
	tok   [4]int // tokens
	next  int    // token after them
	u     bool   // the second is said to be a minor release: 5u8, 5 update 8
}

// release reads the numbers at token i as a version of the open mention and
// returns the token after them.
func (sc *scan) release(i int, possible bool) int {
	m := &sc.mention
	if next := sc.guestType(i); next > 0 {
		m.read = true
		return next
	}
	p := sc.collect(i)
	before := len(sc.found)
	switch m.family {
	case Debian:
		sc.debian(&p, possible)
	case Ubuntu:
		sc.ubuntu(&p, possible)
	case CoreOS, Flatcar:
		sc.build(&p)
	case Kylin:
		sc.kylin(&p, possible)
	case OpenSUSE:
		if m.edition == "tumbleweed" && sc.digits(i) == 8 {
			sc.add(OpenSUSE, "tumbleweed", sc.word(i), "", possible)
			break
		}
		sc.minor(&p, possible)
	default:
		sc.minor(&p, possible)
	}
	if len(sc.found) > before {
		m.read = true
		sc.beforeMoment(&p)
	} else if !m.read {
		sc.unreal = true
		sc.beforeOther(i)
	}
	return p.next
}

// beforeMoment keeps what may be left of a version whose last digits may be the hour
// of a time or the day of a date: CentOS68:05, RedHatLinux91/1/2019.
func (sc *scan) beforeMoment(p *parts) {
	after := p.next
	clock := sc.sep(after) == ':' && sc.isNum(after) && sc.digits(after) == 2
	day := sc.sep(after) == '/' && sc.isNum(after) && sc.sep(after+1) == '/' && sc.isNum(after+1) && sc.digits(after+1) == 4
	switch {
	case !clock && !day || isWindows(sc.mention.family):
	case p.n == 1:
		sc.heads(sc.word(p.at))
	case sc.sep(p.at) == '.': // CentOS.6.8:05
		if major := (level{major: p.v[0], parts: 1}); sc.exists(major) {
			sc.keep(major, true)
		}
	}
}

// guestType reads the numbers of a hypervisor's guest type, "CentOS 4/5/6/7
// (64-bit)" or "Oracle Linux 4/5 or later": whoever chose it among its like said
// no more than the family. It returns the token after them, or 0.
func (sc *scan) guestType(i int) int {
	if sc.word(i) != "4" || sc.word(i+1) != "5" || sc.sep(i+1) != '/' {
		return 0
	}
	for i++; sc.isNum(i) && sc.sep(i) == '/' && sc.digits(i) == 1; {
		i++
	}
	if sc.is(i, "or") && sc.is(i+1, "later") || sc.width(i) && sc.sep(i) == ';' {
		return i
	}
	return 0
}

// collect gathers the numbers that may belong together.
func (sc *scan) collect(i int) parts {
	m := &sc.mention
	want := 2
	switch m.family {
	case Debian, Flatcar:
		want = 3
	case CoreOS:
		want = 4
		if sc.t[i].val > 100 {
			want = 3
		}
	case Fedora, UOS:
		want = 1
	}
	p := parts{at: i, next: i}
	for sc.isNum(p.next) && p.n < want && (p.n == 0 || sc.joins(p.next)) {
		p.v[p.n], p.tok[p.n] = sc.t[p.next].val, p.next
		p.n++
		p.next++
		if p.n == want {
			break
		}
		if j := sc.updateAt(p.next); j > 0 {
			p.next, p.u = j, true
			p.v[p.n], p.tok[p.n] = sc.t[j].val, j
			p.n++
			p.next++
			break
		}
	}
	for sc.isNum(p.next) && sc.sep(p.next) == '.' { // 7.9.2009
		p.next++
	}
	return p
}

// updateAt reads "u8", "update 8" and returns the token of the number, or 0.
func (sc *scan) updateAt(i int) int {
	j := i + 1
	if !sc.isNum(j) || sc.digits(j) > 2 || sc.t[j].no && !sc.t[j].sized {
		return 0
	}
	switch sc.word(i) {
	case "u":
		if sc.sep(j) == 0 && (sc.sep(i) == 0 || sc.sep(i) == ' ' || sc.sep(i) == '_' || sc.sep(i) == '-') {
			return j
		}
	case "r":
		if sc.sep(i) == 0 && sc.sep(j) == 0 && sc.mention.family == Debian {
			return j
		}
	case "update":
		return j
	}
	return 0
}

// joins says whether number i continues the version before it.
func (sc *scan) joins(i int) bool {
	t := &sc.t[i]
	limit := 4
	if sc.mention.family == CoreOS {
		limit = 8
	}
	switch t.sep {
	case '.':
		return true
	case '_', '-':
		if t.no {
			return limit == 8 && sc.digits(i) == 8
		}
		return sc.digits(i) <= limit && !sc.width(i)
	}
	return false
}

// loosely says whether the last of the numbers hangs on by a mark that also
// joins the index of a machine, and the same mark does not join all of the name up
// to the word size: centos_6_10_64.
func (sc *scan) loosely(p *parts) bool {
	s := sc.sep(p.tok[p.n-1])
	if s != '_' && s != '-' || p.u {
		return false
	}
	before := sc.sep(p.at)
	return !sc.pinned(p.next) || sc.sep(p.next) != s || before != s && !(before == 0 && s == '_')
}

func (sc *scan) rows() []line {
	m := &sc.mention
	if m.edition == "red-hat-linux" && m.family == RHEL {
		return releases[RHEL]
	}
	return releases.rows(m.family, m.edition)
}

// keep keeps a version of the open mention.
func (sc *scan) keep(v level, possible bool) {
	m := &sc.mention
	version, sp := spell(m.family, v)
	if m.family == RHEL && m.edition == "red-hat-linux" {
		sc.redHatLinux(v, version, possible)
		return
	}
	sc.add(m.family, m.edition, version, sp, possible)
}

// redHatLinux tells Red Hat Linux, which ended with 9 and ran on 32 bits, from
// Red Hat Enterprise Linux, which many call so too. Where both are possible both
// are kept: that the machine or the image has 64 bits says little of the system.
func (sc *scan) redHatLinux(v level, version string, possible bool) {
	const edition = "red-hat-linux"
	old, _ := stands(releases.rows(OtherLinux, edition), v)
	enterprise, _ := stands(releases[RHEL], v)
	code := false
	for i := 0; i < sc.n; i++ {
		if w := words[sc.word(i)]; w != nil && w.role == roleCode && w.edition == edition {
			code = true
		}
	}
	if old != NoRelease && (code || enterprise == NoRelease || v.parts == 1 && v.major >= 7 && sc.arch("") != "x86_64") {
		if sc.named.family == RHEL {
			sc.named.family, sc.named.edition = OtherLinux, edition
		}
		sc.add(OtherLinux, edition, version, "", possible)
		return
	}
	if old != NoRelease {
		sc.add(OtherLinux, edition, version, "", possible)
	}
	if enterprise != NoRelease {
		sc.add(RHEL, "", version, "", possible)
	}
}

// spell writes a version as the family does.
func spell(family string, v level) (version, sp string) {
	if v.name != "" {
		return v.name, ""
	}
	switch {
	case family == SLES:
		if v.parts > 1 && v.minor > 0 {
			sp = strconv.Itoa(int(v.minor))
		}
		return strconv.Itoa(int(v.major)), sp
	case (family == Ubuntu || family == OpenEuler) && v.parts > 1:
		version = strconv.Itoa(int(v.major)) + "." + string([]byte{'0' + byte(v.minor/10), '0' + byte(v.minor%10)})
		if v.parts > 2 && family == OpenEuler {
			sp = strconv.Itoa(int(v.point))
		}
		return version, sp
	}
	switch v.parts {
	case 1:
		return strconv.Itoa(int(v.major)), ""
	case 2:
		return join(int(v.major), int(v.minor)), ""
	}
	return join(int(v.major), int(v.minor), int(v.point)), ""
}

func (sc *scan) exists(v level) bool {
	rows := sc.rows()
	s, _ := stands(rows, v)
	if s == NoRelease && sc.mention.edition == "red-hat-linux" {
		s, _ = stands(releases.rows(OtherLinux, "red-hat-linux"), v)
	}
	return s != NoRelease
}

// isEL says whether a family counts its minor releases without a leading zero,
// as Red Hat does: 6.05 is no 6.5, but 6.0 with something behind it. The ids of
// public images are spelt centos_6_08_…, with no point.
func isEL(family string) bool {
	switch family {
	case CentOS, RHEL, Oracle, Rocky, AlmaLinux:
		return true
	}
	return false
}

// minor reads the versions of most families: a major and a minor release.
func (sc *scan) minor(p *parts, possible bool) {
	m := &sc.mention
	major := level{major: p.v[0], parts: 1}
	if p.n > 1 {
		v := level{major: p.v[0], minor: p.v[1], parts: 2}
		if sc.word(p.tok[1])[0] == '0' && (sc.t[p.tok[1]].sized || sc.digits(p.tok[1]) == 3 || isEL(m.family) && sc.digits(p.tok[1]) == 2 && sc.sep(p.tok[1]) == '.') { // 5.08 GB, 6.010.0.0.5, 6.05Mbox
			v.minor = 0
		}
		switch {
		case sc.digits(p.tok[1]) > 4:
		case sc.sizeTakesAll(p.tok[1]): // 5.10M: a size has a digit of its own at least
		case sc.exists(v) && (!sc.loosely(p) || v.minor > 999):
			sc.keep(sc.servicePack(v, p), possible)
			return
		case sc.exists(v) && sc.exists(major):
			sc.keep(sc.servicePack(major, p), possible)
			return
		case sc.exists(v):
			sc.keep(v, possible)
			return
		}
		minor, ok := sc.strip(p.tok[1], func(n uint32) bool { return sc.exists(level{major: p.v[0], minor: n, parts: 2}) })
		// "9_0164位" is machine 01 of release 9, as "9-164" is machine 1; "CentOS 6_932位"
		// may be 6.9 and machine 9 of 6.
		counted := sc.sep(p.tok[1]) == '-' || sc.sep(p.tok[1]) == '_' && sc.word(p.tok[1])[0] == '0'
		if ok && !(sc.exists(major) && counted) {
			if before := sc.sep(p.at); sc.sep(p.tok[1]) == '_' && before != '_' && before != 0 && sc.exists(major) {
				sc.keep(major, true)
			}
			sc.keep(level{major: p.v[0], minor: minor, parts: 2}, possible)
			return
		}
		if sc.exists(major) {
			sc.unreal = sc.unreal || sc.sep(p.tok[1]) == '.' || p.u
			sc.keep(sc.servicePack(major, p), possible)
			return
		}
		if sc.sep(p.tok[1]) == '.' || p.u {
			sc.unreal = true
			return
		}
		p.n, p.next = 1, p.tok[1]
		if sc.sep(p.at) == ' ' && sc.digits(p.at) > 2 {
			sc.heads(sc.word(p.at))
		}
	}
	leading := sc.s[sc.t[p.at].start] == '0'
	if sc.exists(major) && !leading {
		sc.keep(sc.servicePack(major, p), possible || sc.t[p.at].sized)
		return
	}
	if m.family == WindowsServer || m.family == WindowsClient {
		return
	}
	sc.compact(p, possible || leading)
}

// sizeTakesAll says whether a size is glued to number i, so that not all of its
// digits can be the version's. A zero in front is no part of a size.
func (sc *scan) sizeTakesAll(i int) bool { return sc.t[i].sized && sc.word(i)[0] != '0' }

// strip tries the digits of token i without a word size or a disk size that is
// glued to them.
func (sc *scan) strip(i int, exists func(uint32) bool) (uint32, bool) {
	text := sc.word(i)
	if len(text) < 2 {
		return 0, false
	}
	if sc.t[i].sized { // 5.1140G: the shorter version is the older one
		for n := 1; n < len(text); n++ {
			if v := uint32(atoi(text[:n])); text[n] != '0' && exists(v) {
				return v, true
			}
		}
		return 0, false
	}
	if len(text) < 3 {
		return 0, false
	}
	head, tail := text[:len(text)-2], text[len(text)-2:]
	if tail == "64" || tail == "32" {
		if v := uint32(atoi(head)); exists(v) {
			return v, true
		}
	}
	return 0, false
}

// compact reads a version without its dot: centos65, sles94, debian609,
// freebsd91, and with a word size glued to it: fedora2064, debian7464.
func (sc *scan) compact(p *parts, possible bool) {
	text := sc.word(p.at)
	if len(text) > 6 {
		sc.unreal = true
		return
	}
	glued := sc.sep(p.at) == 0
	possible = possible || !glued && !sc.pinned(p.next)
	v, ok := sc.dot(text)
	for head := text; !ok && len(head) > 2 && (strings.HasSuffix(head, "64") || strings.HasSuffix(head, "32")); {
		head = head[:len(head)-2]
		if major := (level{major: uint32(atoi(head)), parts: 1}); head[0] != '0' && sc.exists(major) {
			v, ok = major, true
		} else {
			v, ok = sc.dot(head)
		}
	}
	if ok {
		sc.keep(sc.servicePack(v, p), possible)
		if !glued && (sc.sep(p.at) == ' ' && len(text) > 2 || sc.maybeUnit(p.at+1)) { // "Red Hat Linux 940": 9.40 and 9 with a size
			sc.heads(text)
		}
		return
	}
	sc.unreal = true
	if !glued {
		return
	}
	for n := min(2, len(text)-1); n > 0; n-- { // debian640G: it may begin with a major release
		if major := (level{major: uint32(atoi(text[:n])), parts: 1}); sc.exists(major) {
			sc.keep(major, true)
			return
		}
	}
}

// maybeUnit says whether an unknown word that may begin with a unit is glued to the
// number before token i: 65Mbeijing.
func (sc *scan) maybeUnit(i int) bool {
	if i >= sc.n || sc.t[i].num || sc.sep(i) != 0 {
		return false
	}
	text := sc.word(i)
	first := words[text[:1]]
	return words[text] == nil && first != nil && first.unit
}

// dot puts a dot into digits where the table has such a release.
func (sc *scan) dot(text string) (level, bool) {
	var second level
	for n := min(2, len(text)-1); n > 0; n-- {
		head, tail := text[:n], text[n:]
		if head[0] == '0' || len(tail) > 4 {
			continue
		}
		v := level{major: uint32(atoi(head)), minor: uint32(atoi(tail)), parts: 2}
		switch {
		case sc.exists(v) && (tail[0] != '0' || len(tail) == 1):
			return v, true
		case sc.exists(v) && second.parts == 0:
			second = v // centos708
		case len(tail) == 2 && tail[1] == '0' && second.parts == 0:
			if v.minor /= 10; sc.exists(v) { // debian750
				second = v
			}
		}
	}
	return second, second.parts > 0
}

// servicePack adds the service pack that stands after a version of SUSE.
func (sc *scan) servicePack(v level, p *parts) level {
	m := &sc.mention
	if m.family != SLES && m.family != OpenEuler {
		return v
	}
	if n, ok := sc.packAfter(p.next); ok {
		w := v
		if m.family == SLES {
			w.parts = 1
		}
		w.put(n)
		if sc.exists(w) {
			return w
		}
		sc.unreal = true
	}
	return v
}

// packAfter finds SP4 after token i, up to the next name.
func (sc *scan) packAfter(i int) (uint32, bool) {
	for ; i < sc.n-1; i++ {
		if sc.t[i].num {
			if !sc.width(i) && !sc.t[i].no {
				return 0, false
			}
			continue
		}
		j := 0
		switch w, next := sc.lookup(i); {
		case sc.is(i, "sp"), sc.is(i, "patchlevel"):
			j = i + 1
		case sc.is(i, "service") && sc.is(i+1, "pack"):
			j = i + 2
		case w.role != roleFiller && !sc.is(i, "x") && !sc.is(i, "amd") && !sc.is(i, "patch"):
			return 0, false
		default:
			i = next - 1
			continue
		}
		if !sc.isNum(j) || sc.digits(j) > 2 && !sc.t[j].sized {
			return 0, false
		}
		n := sc.t[j].val
		if sc.digits(j) == 3 || sc.digits(j) == 4 { // SP364位
			if v, ok := sc.strip(j, func(uint32) bool { return true }); ok {
				n = v
			}
		}
		return n, true
	}
	return 0, false
}

// debian knows "6.09", "debian609" and "debian_8_09_64". Debian 5 and 6 have
// point releases 5.0.N and 6.0.N.
func (sc *scan) debian(p *parts, possible bool) {
	major := level{major: p.v[0], parts: 1}
	three := p.v[0] == 5 || p.v[0] == 6
	if p.n == 1 {
		if sc.exists(major) && sc.s[sc.t[p.at].start] != '0' {
			sc.keep(major, possible || sc.t[p.at].sized)
			return
		}
		sc.debianCompact(p, possible)
		return
	}
	v := level{major: p.v[0], minor: p.v[1], parts: 2}
	exists := func(n uint32) bool { return sc.exists(level{major: p.v[0], minor: n, parts: 2}) }
	switch {
	case three && p.n == 2 && p.v[1] > 0 && p.v[1] < 100: // 6.09
		v = level{major: p.v[0], point: p.v[1], parts: 3}
		if sc.digits(p.tok[1]) > 2 { // 6.010: it may be 6.0 and something else
			sc.keep(level{major: p.v[0], parts: 2}, true)
		}
	case three && p.n == 3 && sc.digits(p.tok[2]) <= 2:
		v = level{major: p.v[0], minor: p.v[1], point: p.v[2], parts: 3}
	}
	if before := sc.sep(p.at); sc.sep(p.tok[1]) == '_' && before != '_' && before != 0 && sc.exists(major) && !sc.exists(v) {
		sc.keep(major, true) // "Debian 6_964位" may be 6.0.9 and machine 9 of 6
	}
	if three && v.parts == 3 && !sc.exists(v) {
		if n, ok := sc.strip(p.tok[p.n-1], func(n uint32) bool { return sc.exists(level{major: p.v[0], point: n, parts: 3}) }); ok && n > 0 {
			sc.keep(level{major: p.v[0], point: n, parts: 3}, possible)
			return
		}
	}
	switch {
	case sc.sizeTakesAll(p.tok[p.n-1]):
		sc.debianRepair(p, v, major, exists, possible)
	case sc.exists(v) && !sc.loosely(p):
		sc.keep(v, possible)
	case sc.exists(v):
		if sc.exists(major) {
			v = major
		}
		sc.keep(v, possible)
	default:
		sc.debianRepair(p, v, major, exists, possible)
	}
}

func (sc *scan) debianRepair(p *parts, v, major level, exists func(uint32) bool, possible bool) {
	last := p.tok[p.n-1]
	three := p.v[0] == 5 || p.v[0] == 6
	if n, ok := sc.strip(last, exists); ok && (p.n == 2 || !three) {
		v = level{major: p.v[0], minor: n, parts: 2}
		sc.keep(v, possible)
		return
	}
	if n, ok := sc.strip(last, func(n uint32) bool { return sc.exists(level{major: p.v[0], point: n, parts: 3}) }); ok && three {
		sc.keep(level{major: p.v[0], point: n, parts: 3}, possible)
		return
	}
	if p.n == 3 && v.parts == 2 { // 10.4.0
		v.parts = 2
	}
	if sc.exists(major) {
		sc.unreal = true
		sc.keep(major, possible)
		return
	}
	if sc.sep(p.tok[1]) != '.' {
		p.n, p.next = 1, p.tok[1]
		sc.debianCompact(p, possible)
	}
}

// undotted reads a version of the open mention that is written without its dots.
func (sc *scan) undotted(text string) (level, bool) {
	if sc.mention.family == Debian {
		if v, ok := sc.debianUndotted(text); ok {
			return v, true
		}
	}
	return sc.dot(text)
}

// debianUndotted reads the releases of Debian that have three numbers: "606",
// "6010", "60".
func (sc *scan) debianUndotted(text string) (level, bool) {
	if len(text) < 2 || len(text) > 4 || text[0] != '5' && text[0] != '6' || text[1] != '0' {
		return level{}, false
	}
	v := level{major: uint32(text[0] - '0'), parts: 2}
	if len(text) > 2 {
		v.parts, v.point = 3, uint32(atoi(text[2:]))
	}
	return v, sc.exists(v)
}

// debianCompact splits "606", "609", "6010", "750", "804", "1106", "60".
func (sc *scan) debianCompact(p *parts, possible bool) {
	text := sc.word(p.at)
	for {
		if v, ok := sc.debianUndotted(text); ok {
			sc.keep(v, possible || sc.sep(p.at) != 0 && !sc.pinned(p.next))
			return
		}
		tail := ""
		if len(text) > 3 {
			tail = text[len(text)-2:]
		}
		if tail != "64" && tail != "32" {
			break
		}
		text = text[:len(text)-2]
	}
	sc.compact(p, possible)
}

// ubuntu knows "12.04", "1204", "140405", "16_0402", "14.0464", "12.4".
func (sc *scan) ubuntu(p *parts, possible bool) {
	year, month := p.v[0], uint32(0)
	text := sc.word(p.at)
	if n := len(text); (n == 5 || n == 7) && (text[n-2:] == "64" || text[n-2:] == "32") { // 91064
		text = text[:n-2]
	}
	switch d := len(text); {
	case d >= 4 && d <= 8 && d%2 == 0: // 1204, 140405, 120464
		year, month = uint32(atoi(text[:2])), uint32(atoi(text[2:4]))
		p.n, p.next = 1, p.at+1
	case d == 3 && text[1] != '0': // 804, 910
		year, month = uint32(atoi(text[:1])), uint32(atoi(text[1:]))
		p.n = 1
	case d == 3:
		year, month = uint32(atoi(text[:1])), uint32(atoi(text[1:]))
		p.n = 1
	case d > 2:
		sc.unreal = true
		return
	case p.n > 1:
		s := sc.word(p.tok[1])
		if len(s) > 2 {
			s = s[:2]
		}
		month = uint32(atoi(s))
		if s == "1" {
			month = 10
		}
	}
	v := level{major: year, minor: month, parts: 2}
	if month > 0 && sc.exists(v) {
		sc.keep(v, possible)
		return
	}
	sc.unreal = sc.unreal || month > 0
	if v = (level{major: year, parts: 1}); len(text) <= 2 && sc.exists(v) {
		sc.keep(v, possible)
	} else if len(text) == 4 && sc.sep(p.at) == 0 { // ubuntu1264
		sc.compact(p, possible)
	}
}

// build knows the releases of CoreOS and Flatcar, which count builds.
func (sc *scan) build(p *parts) {
	m := &sc.mention
	if m.family == CoreOS && p.n == 1 && p.v[0] < 90 && sc.sep(p.at) == ' ' {
		m.edition = "fedora-coreos" // Container Linux counted days, its first release was 94
	}
	if m.family == CoreOS && m.edition != "fedora-coreos" && p.v[0] < 90 || m.edition == "fedora-coreos" && p.v[0] > 90 {
		sc.unreal = true
		return
	}
	if m.family == CoreOS && p.v[0] > 100 && p.n == 2 { // coreos_2303_3_x64 is 2303.3.0
		p.n, p.v[2] = 3, 0
	}
	if v := (level{major: p.v[0], minor: p.v[1], parts: min(p.n, 2)}); !sc.exists(v) {
		sc.unreal = true
		return
	}
	c := make([]int, 0, 4)
	for _, n := range p.v[:p.n] {
		c = append(c, int(n))
	}
	sc.add(m.family, "", join(c...), "", false)
}

// kylin knows "V10 SP1" and "7.0".
func (sc *scan) kylin(p *parts, possible bool) {
	name := "v" + strconv.Itoa(int(p.v[0]))
	v := level{name: name, parts: 1}
	if !sc.is(p.at-1, "v") && (p.n > 1 || !sc.exists(v)) {
		sc.minor(p, possible)
		return
	}
	if !sc.exists(v) {
		sc.unreal = true
		return
	}
	sp := ""
	if n, ok := sc.packAfter(p.tok[0] + 1); ok && sc.exists(level{name: name, parts: 3, point: n}) {
		sp = strconv.Itoa(int(n))
	}
	p.next = p.at + 1
	sc.add(Kylin, "", "V"+name[1:], sp, possible)
}

func join(c ...int) string {
	var b [48]byte
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
