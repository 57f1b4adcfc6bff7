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
func (sc *scan) release(at int, possible bool) int {
	mention := &sc.mention
	if next := sc.guestType(at); next > 0 {
		mention.read = true
		return next
	}
	parts := sc.collect(at)
	possible = possible || parts.n == 1 && sc.counts(at)
	before := sc.noted
	switch mention.family {
	case Debian:
		sc.debian(&parts, possible)
	case Ubuntu:
		sc.ubuntu(&parts, possible)
	case CoreOS, Flatcar:
		sc.build(&parts)
	case Kylin:
		sc.kylin(&parts, possible)
	case OpenSUSE:
		if mention.edition == "tumbleweed" && sc.digits(at) == 8 {
			sc.add(OpenSUSE, "tumbleweed", sc.word(at), "", possible)
			break
		}
		sc.minor(&parts, possible)
	default:
		sc.minor(&parts, possible)
	}
	if sc.noted > before {
		mention.read = true
		sc.beforeMoment(&parts)
	} else if !mention.read {
		sc.unreal = true
		sc.beforeOther(at)
	}
	return parts.next
}

// counts says whether number i may count machines, generations, or the updates or
// service packs of a release that is not told: "Ubuntu #12", "RHEL ES Update 6".
func (sc *scan) counts(i int) bool {
	switch sc.word(i - 1) {
	case "no", "update", "gen", "sp", "pack":
		return true
	}
	start := sc.t[i].start
	return start > 0 && sc.s[start-1] == '#'
}

// beforeMoment keeps what may be left of a version whose last digits may be the hour
// of a time or the day of a date: CentOS68:05, RedHatLinux91/1/2019.
func (sc *scan) beforeMoment(parts *parts) {
	after := parts.next
	clock := sc.sep(after) == ':' && sc.isNum(after) && sc.digits(after) == 2
	day := sc.sep(after) == '/' && sc.isNum(after) && sc.sep(after+1) == '/' && sc.isNum(after+1) && sc.digits(after+1) == 4
	switch {
	case !clock && !day:
	case parts.n == 1:
		sc.heads(sc.word(parts.at))
	case sc.sep(parts.at) == '.': // CentOS.6.8:05
		if major := (level{major: parts.v[0], parts: 1}); sc.exists(major) {
			sc.keep(major, true)
		}
	}
}

// guestType reads the numbers of a hypervisor's guest type, "CentOS 4/5/6/7
// (64-bit)" or "Oracle Linux 4/5 or later": whoever chose it among its like said
// no more than the family. It returns the token after them, or 0.
func (sc *scan) guestType(at int) int {
	if sc.word(at) != "4" || sc.word(at+1) != "5" || sc.sep(at+1) != '/' {
		return 0
	}
	for at++; sc.isNum(at) && sc.sep(at) == '/' && sc.digits(at) == 1; {
		at++
	}
	if sc.is(at, "or") && sc.is(at+1, "later") || sc.width(at) && sc.sep(at) == ';' {
		return at
	}
	return 0
}

// collect gathers the numbers that may belong together.
func (sc *scan) collect(at int) parts {
	m := &sc.mention
	want := 2
	switch m.family {
	case Debian, Flatcar:
		want = 3
	case CoreOS:
		want = 4
		if sc.t[at].val >= 90 { // Container Linux, see build
			want = 3
		}
	case Fedora, UOS:
		want = 1
	}
	found := parts{at: at, next: at}
	for sc.isNum(found.next) && (found.n == 0 || sc.joins(found.next)) {
		found.v[found.n], found.tok[found.n] = sc.t[found.next].val, found.next
		found.n++
		found.next++
		if found.n == want {
			break
		}
		if j := sc.updateAt(found.next); j > 0 {
			found.next, found.u = j, true
			found.v[found.n], found.tok[found.n] = sc.t[j].val, j
			found.n++
			found.next++
			break
		}
	}
	if m.family == Fedora && sc.sep(found.next) == '-' && sc.dotted(found.next) { // Fedora-Cloud-Base-40-1.14: what it was composed as
		found.next++
	}
	for sc.isNum(found.next) && sc.sep(found.next) == '.' { // 7.9.2009
		found.next++
	}
	return found
}

// updateAt reads "u8", "update 8" and returns the token of the number, or 0.
func (sc *scan) updateAt(at int) int {
	next := at + 1
	if !sc.isNum(next) || sc.digits(next) > 2 || sc.t[next].no && !sc.t[next].sized {
		return 0
	}
	switch sc.word(at) {
	case "u":
		if sc.sep(next) == 0 && (sc.sep(at) == 0 || sc.sep(at) == ' ' || sc.sep(at) == '_' || sc.sep(at) == '-') {
			return next
		}
	case "r":
		if sc.sep(at) == 0 && sc.sep(next) == 0 && sc.mention.family == Debian {
			return next
		}
	case "update":
		return next
	}
	return 0
}

// joins says whether number i continues the version before it.
func (sc *scan) joins(at int) bool {
	token := &sc.t[at]
	limit := 4
	if sc.mention.family == CoreOS {
		limit = 8
	}
	switch token.sep {
	case '.':
		return true
	case '_', '-':
		if token.no {
			return limit == 8 && sc.digits(at) == 8
		}
		return sc.digits(at) <= limit && !sc.width(at)
	}
	return false
}

// loosely says whether the last of the numbers hangs on by a mark that also
// joins the index of a machine, and the same mark does not join all of the name up
// to the word size: centos_6_10_64.
func (sc *scan) loosely(parts *parts) bool {
	s := sc.sep(parts.tok[parts.n-1])
	if s != '_' && s != '-' || parts.u {
		return false
	}
	before := sc.sep(parts.at)
	return !sc.pinned(parts.next) || sc.sep(parts.next) != s || before != s && !(before == 0 && s == '_')
}

// keep keeps a version of the open mention.
func (sc *scan) keep(level level, possible bool) {
	mention := &sc.mention
	version, sp := spell(mention.family, level)
	if mention.family == RHEL && (mention.edition == "red-hat-linux" || mention.plain && (sc.redHatCode(version) || level.major >= 7 && sc.says32Bits())) {
		sc.redHatLinux(level, version, possible)
		return
	}
	sc.add(mention.family, mention.edition, version, sp, possible)
}

// redHatCode says whether the text has the code name of a release of Red Hat Linux
// that the version may be: 9 (Shrike). Machines have such names, too.
func (sc *scan) redHatCode(version string) bool {
	for at := range sc.n {
		if w := words[sc.word(at)]; w != nil && w.role == roleCode && w.edition == "red-hat-linux" && (w.version == version || coarser(version, w.version) || coarser(w.version, version)) {
			return true
		}
	}
	return false
}

// redHatLinux tells Red Hat Linux, which ended with 9 and ran on 32 bits, from
// Red Hat Enterprise Linux, which many call so too. Where both are possible both
// are kept: that the machine or the image has 64 bits says little of the system.
func (sc *scan) redHatLinux(level level, version string, possible bool) {
	const edition = "red-hat-linux"
	old, _ := stands(releases.rows(OtherLinux, edition), level)
	enterprise, _ := stands(releases[RHEL], level)
	if old != NoRelease && (sc.redHatCode(version) || enterprise == NoRelease || level.parts == 1 && level.major >= 7 && sc.arch() != "x86_64") {
		if sc.named.family == RHEL {
			sc.named.family, sc.named.edition = OtherLinux, edition
		}
		sc.add(OtherLinux, edition, version, "", possible)
		return
	}
	if old != NoRelease {
		sc.twin = sc.mention.edition != edition
		sc.add(OtherLinux, edition, version, "", possible)
	}
	if enterprise != NoRelease {
		sc.add(RHEL, "", version, "", possible)
	}
}

// spell writes a version as the family does.
func spell(family string, level level) (version, sp string) {
	if level.name != "" {
		return level.name, ""
	}
	switch {
	case family == SLES:
		if level.minor > 0 {
			sp = strconv.Itoa(int(level.minor))
		}
		return strconv.Itoa(int(level.major)), sp
	case (family == Ubuntu || family == OpenEuler) && level.parts > 1:
		version = strconv.Itoa(int(level.major)) + "." + string([]byte{'0' + byte(level.minor/10), '0' + byte(level.minor%10)})
		if level.parts > 2 && family == OpenEuler {
			sp = strconv.Itoa(int(level.point))
		}
		return version, sp
	}
	switch level.parts {
	case 1:
		return strconv.Itoa(int(level.major)), ""
	case 2:
		return join(int(level.major), int(level.minor)), ""
	}
	return join(int(level.major), int(level.minor), int(level.point)), ""
}

func (sc *scan) exists(level level) bool {
	standing, _ := stands(releases.rows(sc.mention.family, sc.mention.edition), level)
	if standing == NoRelease && sc.mention.edition == "red-hat-linux" {
		standing, _ = stands(releases.rows(OtherLinux, "red-hat-linux"), level)
	}
	return standing != NoRelease
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
func (sc *scan) minor(parts *parts, possible bool) {
	mention := &sc.mention
	major := level{major: parts.v[0], parts: 1}
	if parts.n > 1 {
		depth := level{major: parts.v[0], minor: parts.v[1], parts: 2}
		if sc.word(parts.tok[1])[0] == '0' && (sc.t[parts.tok[1]].sized || sc.digits(parts.tok[1]) == 3 || isEL(mention.family) && sc.digits(parts.tok[1]) == 2 && sc.sep(parts.tok[1]) == '.') { // 5.08 GB, 6.010.0.0.5, 6.05Mbox
			depth.minor = 0
		}
		switch {
		case sc.digits(parts.tok[1]) > 4:
		case sc.sizeTakesAll(parts.tok[1]): // 5.10M: a size has a digit of its own at least
		case sc.exists(depth) && (!sc.loosely(parts) || depth.minor > 999):
			sc.keep(sc.servicePack(depth, parts), possible)
			sc.orOpenSUSE(depth)
			return
		case sc.exists(depth) && sc.exists(major):
			sc.keepMajor(major, parts, possible)
			return
		case sc.exists(depth):
			sc.keep(depth, possible)
			return
		}
		minor, ok := sc.strip(parts.tok[1], func(n uint32) bool { return sc.exists(level{major: parts.v[0], minor: n, parts: 2}) })
		// "9_0164位" is machine 01 of release 9, as "9-164" is machine 1; "CentOS 6_932位"
		// may be 6.9 and machine 9 of 6.
		counted := sc.sep(parts.tok[1]) == '-' || sc.sep(parts.tok[1]) == '_' && sc.word(parts.tok[1])[0] == '0'
		if ok && !(sc.exists(major) && counted) {
			if before := sc.sep(parts.at); sc.sep(parts.tok[1]) == '_' && before != '_' && before != 0 && sc.exists(major) {
				sc.keep(major, true)
			}
			depth.minor = minor
			sc.keep(depth, possible)
			sc.orOpenSUSE(depth)
			return
		}
		if sc.exists(major) {
			sc.unreal = sc.unreal || sc.sep(parts.tok[1]) == '.' || parts.u
			sc.keepMajor(major, parts, possible)
			return
		}
		if sc.sep(parts.tok[1]) == '.' || parts.u {
			sc.unreal = true
			return
		}
		parts.n, parts.next = 1, parts.tok[1]
		if sc.sep(parts.at) == ' ' && sc.digits(parts.at) > 2 {
			sc.heads(sc.word(parts.at))
		}
	}
	if sc.exists(major) && sc.s[sc.t[parts.at].start] != '0' {
		sc.keepMajor(major, parts, possible || sc.t[parts.at].sized)
		return
	}
	sc.compact(parts, possible)
}

// keepMajor keeps a major release with the service pack that stands after it.
func (sc *scan) keepMajor(major level, parts *parts, possible bool) {
	version := sc.servicePack(major, parts)
	sc.keep(version, possible)
	if version == major { // with a service pack it is no openSUSE
		sc.orOpenSUSE(version)
	}
}

// orOpenSUSE keeps the release of openSUSE that a version of SUSE without a service
// pack may be: SUSE 11.4 is openSUSE 11.4, or what is 11 SP4 by its full name, and
// SUSE 11 any of that line. From 15 on openSUSE is built of SUSE Linux Enterprise.
func (sc *scan) orOpenSUSE(version level) {
	if sc.mention.family != SLES || !sc.mention.plain || version.parts > 2 || version.major >= 15 {
		return
	}
	if standing, _ := stands(releases[OpenSUSE], version); standing != NoRelease {
		spelt, _ := spell(OpenSUSE, version)
		sc.twin = true
		sc.add(OpenSUSE, "", spelt, "", true)
	}
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
func (sc *scan) compact(parts *parts, possible bool) {
	text := sc.word(parts.at)
	if len(text) > 6 {
		sc.unreal = true
		return
	}
	glued := sc.sep(parts.at) == 0
	possible = possible || !glued && !sc.pinned(parts.next)
	depth, ok := sc.dot(text)
	for head := text; !ok && len(head) > 2 && (strings.HasSuffix(head, "64") || strings.HasSuffix(head, "32")); {
		head = head[:len(head)-2]
		if major := (level{major: uint32(atoi(head)), parts: 1}); head[0] != '0' && sc.exists(major) {
			depth, ok = major, true
		} else {
			depth, ok = sc.dot(head)
		}
	}
	if ok {
		sc.keep(sc.servicePack(depth, parts), possible)
		sc.orOpenSUSE(depth)
		if !glued && (sc.sep(parts.at) == ' ' && len(text) > 2 || sc.maybeUnit(parts.at+1)) { // "Red Hat Linux 940": 9.40 and 9 with a size
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
	text := sc.word(i)
	if text == "" || sc.sep(i) != 0 {
		return false
	}
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
		depth := level{major: uint32(atoi(head)), minor: uint32(atoi(tail)), parts: 2}
		switch {
		case sc.exists(depth):
			return depth, true
		case len(tail) == 2 && tail[1] == '0' && second.parts == 0:
			if depth.minor /= 10; sc.exists(depth) { // debian750
				second = depth
			}
		}
	}
	return second, second.parts > 0
}

// servicePack adds the service pack that stands after a version of SUSE.
func (sc *scan) servicePack(level level, parts *parts) level {
	mention := &sc.mention
	if mention.family != SLES && mention.family != OpenEuler {
		return level
	}
	if n, ok := sc.packAfter(parts.next); ok {
		wanted := level
		if mention.family == SLES {
			wanted.parts = 1
		}
		wanted.put(n)
		if sc.exists(wanted) {
			return wanted
		}
		sc.unreal = true
	}
	return level
}

// packAfter finds SP4 after token i, up to the next name.
func (sc *scan) packAfter(at int) (uint32, bool) {
	for ; at < sc.n-1; at++ {
		if sc.t[at].num {
			if !sc.width(at) && !sc.t[at].no {
				return 0, false
			}
			continue
		}
		end := 0
		switch word, next := sc.lookup(at); {
		case sc.is(at, "sp"), sc.is(at, "patchlevel"):
			end = at + 1
		case sc.is(at, "service") && sc.is(at+1, "pack"):
			end = at + 2
		case word.role != roleFiller && !sc.is(at, "x") && !sc.is(at, "amd") && !sc.is(at, "patch"):
			return 0, false
		default:
			at = next - 1
			continue
		}
		if !sc.isNum(end) || sc.digits(end) > 2 && !sc.t[end].sized {
			return 0, false
		}
		return sc.t[end].val, true
	}
	return 0, false
}

// debian knows "6.09", "debian609" and "debian_8_09_64". Debian 5 and 6 have
// point releases 5.0.N and 6.0.N.
func (sc *scan) debian(parts *parts, possible bool) {
	major := level{major: parts.v[0], parts: 1}
	three := parts.v[0] == 5 || parts.v[0] == 6
	if parts.n == 1 {
		if sc.exists(major) && sc.s[sc.t[parts.at].start] != '0' {
			sc.keep(major, possible || sc.t[parts.at].sized)
			return
		}
		sc.debianCompact(parts, possible)
		return
	}
	depth := level{major: parts.v[0], minor: parts.v[1], parts: 2}
	exists := func(n uint32) bool { return sc.exists(level{major: parts.v[0], minor: n, parts: 2}) }
	switch {
	case three && parts.n == 2 && parts.v[1] > 0 && parts.v[1] < 100: // 6.09
		depth = level{major: parts.v[0], point: parts.v[1], parts: 3}
		if sc.digits(parts.tok[1]) > 2 { // 6.010: it may be 6.0 and something else
			sc.keep(level{major: parts.v[0], parts: 2}, true)
		}
	case three && parts.n == 3 && sc.digits(parts.tok[2]) <= 2:
		depth = level{major: parts.v[0], minor: parts.v[1], point: parts.v[2], parts: 3}
	}
	if before := sc.sep(parts.at); sc.sep(parts.tok[1]) == '_' && before != '_' && before != 0 && sc.exists(major) && !sc.exists(depth) {
		sc.keep(major, true) // "Debian 6_964位" may be 6.0.9 and machine 9 of 6
	}
	switch {
	case sc.sizeTakesAll(parts.tok[parts.n-1]), !sc.exists(depth):
		sc.debianRepair(parts, major, exists, possible)
	case sc.loosely(parts) && sc.exists(major):
		sc.keep(major, possible)
	default:
		sc.keep(depth, possible)
	}
}

func (sc *scan) debianRepair(parts *parts, major level, exists func(uint32) bool, possible bool) {
	last := parts.tok[parts.n-1]
	three := parts.v[0] == 5 || parts.v[0] == 6
	if n, ok := sc.strip(last, exists); ok && (parts.n == 2 || !three) {
		sc.keep(level{major: parts.v[0], minor: n, parts: 2}, possible)
		return
	}
	if n, ok := sc.strip(last, func(n uint32) bool { return sc.exists(level{major: parts.v[0], point: n, parts: 3}) }); ok && three {
		sc.keep(level{major: parts.v[0], point: n, parts: 3}, possible)
		return
	}
	if sc.exists(major) {
		sc.unreal = true
		sc.keep(major, possible)
		return
	}
	if sc.sep(parts.tok[1]) != '.' {
		parts.n, parts.next = 1, parts.tok[1]
		sc.debianCompact(parts, possible)
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
	depth := level{major: uint32(text[0] - '0'), parts: 2}
	if len(text) > 2 {
		depth.parts, depth.point = 3, uint32(atoi(text[2:]))
	}
	return depth, sc.exists(depth)
}

// debianCompact splits "606", "609", "6010", "750", "804", "1106", "60".
func (sc *scan) debianCompact(parts *parts, possible bool) {
	text := sc.word(parts.at)
	for {
		if v, ok := sc.debianUndotted(text); ok {
			sc.keep(v, possible || sc.sep(parts.at) != 0 && !sc.pinned(parts.next))
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
	sc.compact(parts, possible)
}

// ubuntu knows "12.04", "1204", "140405", "16_0402", "14.0464", "12.4".
func (sc *scan) ubuntu(parts *parts, possible bool) {
	year, month := parts.v[0], uint32(0)
	text := sc.word(parts.at)
	if n := len(text); (n == 5 || n == 7) && (text[n-2:] == "64" || text[n-2:] == "32") { // 91064
		text = text[:n-2]
	}
	switch digits := len(text); {
	case digits >= 4 && digits%2 == 0: // 1204, 140405, 120464; eight digits are a date
		year, month = uint32(atoi(text[:2])), uint32(atoi(text[2:4]))
		parts.n, parts.next = 1, parts.at+1
	case digits == 3: // 804, 910
		year, month = uint32(atoi(text[:1])), uint32(atoi(text[1:]))
		parts.n = 1
	case digits > 2:
		sc.unreal = true
		return
	case parts.n > 1:
		s := sc.word(parts.tok[1])
		if len(s) > 2 {
			s = s[:2]
		}
		month = uint32(atoi(s))
		if s == "1" {
			month = 10
		}
	}
	depth := level{major: year, minor: month, parts: 2}
	if month > 0 && sc.exists(depth) {
		sc.keep(depth, possible)
		return
	}
	sc.unreal = sc.unreal || month > 0
	if depth = (level{major: year, parts: 1}); len(text) <= 2 && sc.exists(depth) {
		sc.keep(depth, possible)
	} else if len(text) == 4 && sc.sep(parts.at) == 0 { // ubuntu1264
		sc.compact(parts, possible)
	}
}

// build knows the releases of CoreOS and Flatcar, which count builds.
func (sc *scan) build(parts *parts) {
	mention := &sc.mention
	if mention.family == CoreOS && parts.n == 1 && parts.v[0] < 90 && sc.sep(parts.at) == ' ' {
		mention.edition = "fedora-coreos" // Container Linux counted days, its first release was 94
	}
	if mention.family == CoreOS && mention.edition != "fedora-coreos" && parts.v[0] < 90 || mention.edition == "fedora-coreos" && parts.v[0] > 90 {
		sc.unreal = true
		return
	}
	if mention.family == CoreOS && parts.v[0] > 100 && parts.n == 2 { // coreos_2303_3_x64 is 2303.3.0
		parts.n, parts.v[2] = 3, 0
	}
	if v := (level{major: parts.v[0], minor: parts.v[1], parts: min(parts.n, 2)}); !sc.exists(v) {
		sc.unreal = true
		return
	}
	c := make([]int, 0, 4)
	for _, n := range parts.v[:parts.n] {
		c = append(c, int(n))
	}
	sc.add(mention.family, "", join(c...), "", false)
}

// kylin knows "V10 SP1" and "7.0".
func (sc *scan) kylin(parts *parts, possible bool) {
	name := "v" + strconv.Itoa(int(parts.v[0]))
	depth := level{name: name, parts: 1}
	if !sc.is(parts.at-1, "v") && (parts.n > 1 || !sc.exists(depth)) {
		sc.minor(parts, possible)
		return
	}
	if !sc.exists(depth) {
		sc.unreal = true
		return
	}
	sp := ""
	if n, ok := sc.packAfter(parts.tok[0] + 1); ok && sc.exists(level{name: name, parts: 3, point: n}) {
		sp = strconv.Itoa(int(n))
	}
	parts.next = parts.at + 1
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

// atoi reads a text of digits alone, which its callers have made sure of, few enough
// not to overflow. It is not strconv.Atoi because it has no error that could occur.
func atoi(text string) int {
	v := 0
	for i := 0; i < len(text); i++ {
		v = v*10 + int(text[i]-'0')
	}
	return v
}
