package distro

import "strings"

// reading is one operating system that the text names.
type reading struct {
	System
	order    uint64 // place in the order of the family's releases
	possible bool   // the text may mean it, and may mean something else
	aside    bool   // said in brackets or by a code name: it agrees with what it stands beside
}

// mention is a name of an operating system that numbers may belong to.
type mention struct {
	family, edition string
	at, next        int  // tokens [at, next) are the name
	read            bool // it has a version
	aside           bool // it stands in brackets
	plain           bool // the name is one that two families had: SUSE, Red Hat
}

// named is the first name of each kind.
type named struct {
	family, edition, version string // of an operating system
	vague, vagueEdition      string
	weak                     word
	code                     *word
}

// owner says whom the next number belongs to.
type owner uint8

const (
	ownerNone owner = iota
	ownerSystem
	ownerUnknown
	ownerOther
)

// walk goes through the text once: names open a mention, numbers belong to
// what was named last.
func (sc *scan) walk() {
	own, listed := ownerNone, false
	for at := 0; at < sc.n; {
		if sc.t[at].num {
			at, own = sc.number(at, own, listed)
			listed, sc.ranged = false, false
			continue
		}
		word, next := sc.lookup(at)
		switch sc.roleOf(word, at, next) {
		case roleOS:
			if isWindows(word.family) {
				next, own = sc.windows(word, at, next)
			} else {
				sc.name(word, at, next)
				own = ownerSystem
			}
			listed, sc.ranged = false, false
		case roleVague:
			if own != ownerSystem || sc.mention.read {
				next, own = sc.vague(word, at, next, own)
			}
		case roleWeak:
			if sc.named.weak.role == roleUnknown {
				sc.named.weak = *word
			}
			next, own = sc.weak(word, at, next, own)
		case roleCode:
			sc.codeName(word, own)
		case roleFiller:
			own = sc.filler(at, own)
		case roleList:
			listed = true
		case roleRange:
			listed, sc.ranged = true, true
			sc.looseRange = sc.looseRange || sc.looseN > 0 && sc.named.family == ""
		case roleOther:
			if !sc.releaseMark(at, own) {
				own = ownerOther
			}
			listed, sc.ranged = false, false
		case roleUnknown:
			own, listed = sc.unknown(at, &next, own), sc.ranged || listed && own == ownerNone
		default:
		}
		at = next
	}
}

// releaseMark says whether token i is the R that Oracle puts before its releases:
// OracleLinux-R5-U8.
func (sc *scan) releaseMark(i int, own owner) bool {
	return own == ownerSystem && sc.mention.family == Oracle && !sc.mention.read && sc.is(i, "r") && sc.isNum(i+1) && sc.sep(i+1) == 0
}

func isWindows(family string) bool { return family == WindowsServer || family == WindowsClient }

// roleOf is the role of a word where it stands.
func (sc *scan) roleOf(word *word, at, next int) role {
	if word.role != roleNumbered {
		return word.role
	}
	if !sc.isNum(next) || sc.t[next].no {
		return roleUnknown
	}
	switch word.family {
	case WindowsServer:
		if !sc.windowsNumber(sc.word(at), next) {
			return roleUnknown
		}
	case Fedora, Debian: // fc33 and deb6, and no other fc or deb
		if sc.sep(next) != 0 {
			return roleUnknown
		}
	default:
		if sep := sc.sep(next); sep == ',' || sep == ';' || sep == '/' {
			return roleUnknown
		}
	}
	return roleOS
}

// name opens a mention.
func (sc *scan) name(word *word, i, next int) {
	sc.mention = mention{family: word.family, edition: word.edition, at: i, next: next, plain: sc.plain(word), aside: sc.named.family != "" && !sc.ranged && sc.sep(i) == ';' && !sc.listWord(i-1) && sc.bracketed(i)}
	edition := word.edition
	if word.family == RHEL {
		edition = "" // until the version tells Red Hat Linux from Red Hat Enterprise Linux
	}
	if sc.named.family == "" {
		sc.named.family, sc.named.edition = word.family, edition
	} else if word.family != sc.named.family {
		sc.note(reading{System: System{Family: word.family, Edition: edition}})
	}
}

// plain says whether a name may be that of the older of two families: SUSE is not
// only SUSE Linux Enterprise, which is called so or SLES, but openSUSE too, and Red
// Hat was a Linux before it was an Enterprise Linux.
func (sc *scan) plain(name *word) bool {
	return name.family == SLES && name.role == roleVague || name.family == RHEL && !sc.has("enterprise") && !sc.has(RHEL)
}

// listWord says whether token i joins several systems.
func (sc *scan) listWord(i int) bool {
	w := words[sc.word(i)]
	return w != nil && w.role == roleList
}

// bracketed says whether token i begins a name that stands in brackets by itself.
func (sc *scan) bracketed(pos int) bool {
	at := int(sc.t[pos].start) - 1
	if at < 0 || sc.s[at] != '(' && sc.s[at] != '[' {
		return false
	}
	end := at + strings.IndexAny(sc.s[at:], ")]")
	for j := pos; j < sc.n && int(sc.t[j].start) < end; j++ { // nothing but the name
		if w := words[sc.word(j)]; !sc.t[j].num && (w == nil || w.role == roleOther || w.role == roleUnknown) {
			return false
		}
	}
	return end > at
}

// vague reads names that say no more than a kind.
func (sc *scan) vague(word *word, i, next int, own owner) (int, owner) {
	if word.family == SLES && sc.isNum(next) && !sc.t[next].no && !sc.width(next) || word.family == SLES && sc.is(next, "sles") {
		sc.name(word, i, next)
		return next, ownerSystem
	}
	if sc.named.vague == "" || sc.named.vague == OtherLinux {
		sc.named.vague, sc.named.vagueEdition = word.family, word.edition
	}
	if own == ownerOther {
		return next, own
	}
	return next, ownerUnknown
}

// codeName reads the code name of a release.
func (sc *scan) codeName(word *word, own owner) {
	if own == ownerSystem && sc.mention.family == word.family || sc.named.family == word.family {
		sc.addCode(word)
		if own == ownerSystem && sc.mention.family == word.family && !sc.mention.read {
			sc.mention.read = true
		}
		return
	}
	if sc.named.code == nil {
		sc.named.code = word
	}
}

// filler looks at the words that may stand between a name and its version.
func (sc *scan) filler(i int, own owner) owner {
	mention := &sc.mention
	switch sc.word(i) {
	case "v", "ver", "version":
		if own == ownerSystem && mention.read && sc.isNum(i+1) && sc.sep(i+1) == 0 || own == ownerNone {
			return ownerOther // "CentOS 7.2 V2.0": the version of something else
		}
	case "cloud", "generic", "genericcloud", "iot": // Rocky-8-GenericCloud-Base-8.8
		if own == ownerSystem && mention.read {
			return ownerUnknown
		}
	case "stream":
		sc.line(CentOS, "stream")
	case "tumbleweed":
		sc.line(OpenSUSE, "tumbleweed")
	}
	return own
}

// line says which line of a family the open mention is of, where it is of that family:
// CentOS Stream. The first name is of it only where it is of the same family.
func (sc *scan) line(family, edition string) {
	if sc.mention.family != family {
		return
	}
	sc.mention.edition = edition
	if sc.named.family == family {
		sc.named.edition = edition
	}
}

// unknown looks at a word that is not in the table.
func (sc *scan) unknown(at int, next *int, own owner) owner {
	text := sc.word(at)
	if text == "aliyun" || text == "alibaba" || text == "alicloud" {
		if sc.aliyun(at) {
			sc.name(words["alinux"], at, at+1)
			return ownerSystem
		}
		if sc.is(at+1, "customized") {
			sc.named.vague = OtherLinux
		}
		return ownerUnknown
	}
	if text == "customized" || text == "other" || text == "others" || text == "customizd" {
		return own
	}
	if word, after, ends := sc.within(at); word != nil && (word.family != sc.named.family || sc.mention.read) {
		*next = after
		if isWindows(word.family) {
			var o owner
			*next, o = sc.windows(word, at, *next)
			return o
		}
		sc.name(word, at, *next)
		sc.alsoWithin(text, word.family)
		if ends {
			return ownerSystem
		}
	}
	if own == ownerOther || endsWithProduct(text) {
		return ownerOther
	}
	return ownerUnknown
}

// endsWithProduct says whether a word ends with the name of another product, which
// owns the numbers after it: myphp7, vmsql2008.
func endsWithProduct(text string) bool {
	for k := max(1, len(text)-12); k+3 <= len(text); k++ {
		if w := words[text[k:]]; w != nil && w.role == roleOther {
			return true
		}
	}
	return false
}

// alsoWithin notes the systems that a word names beside the one that was found in
// it: gentootoubuntu.
func (sc *scan) alsoWithin(text, family string) {
	for _, name := range glued {
		if len(text) < len(name)+6 { // no room for another
			continue
		}
		at := strings.Index(text, name)
		if word := words[name]; at >= 0 && word.role == roleOS && word.family != family {
			if client := clientName(text[at+len(name):]); isWindows(word.family) && client != "" {
				sc.add(WindowsClient, "", client, "", true)
			} else {
				sc.note(reading{System: System{Family: word.family}})
			}
		}
	}
}

// aliyun tells the operating system from the company: the image id
// aliyun_3_x64_20G_alibase_20240101.vhd names a system, aliyun-3 does not.
func (sc *scan) aliyun(at int) bool {
	if sc.n == 1 {
		return true // Platform "Aliyun"
	}
	if !sc.isNum(at+1) || sc.t[at+1].no || sc.sep(at+1) != '_' && sc.sep(at+1) != 0 {
		return false
	}
	next := at + 2
	if sc.digits(at+1) == 4 { // aliyun1501_64
		return sc.pinned(next)
	}
	if sc.isNum(next) && !sc.t[next].no && (sc.sep(next) == '_' || sc.sep(next) == '.') && !sc.width(next) {
		next++
	}
	return sc.pinned(next) || sc.digits(next-1) == 4
}

// number reads the number at token i, whoever it belongs to, and returns the
// token after what it read.
func (sc *scan) number(at int, own owner, listed bool) (int, owner) {
	token := &sc.t[at]
	mention := &sc.mention
	sep := token.sep
	if token.no && !(own == ownerSystem && (mention.family == CoreOS || mention.edition == "tumbleweed") && sc.digits(at) == 8) {
		switch {
		case own != ownerSystem || mention.read:
		case sc.unit(at):
			sc.beforeSize(at)
		case at == mention.next && sc.sep(at+1) == ':' && sc.sep(at) != ':':
			sc.beforeClock(at)
		case at == mention.next && (sc.sep(at+1) == '-' || sc.sep(at+1) == '_') && sc.sep(at+3) == sc.sep(at+1): // SLES 10-10-0-0-5
			sc.heads(sc.word(at))
			if major := (level{major: token.val, parts: 1}); sc.exists(major) {
				sc.keep(major, true)
			}
		case at == mention.next && (sep == '.' || sep == 0) && sc.isNum(at+1): // "Ubuntu.10.10.2.0", "CentOS5.91.0.0": it may be an address
			text := sc.word(at + 1)
			for n := 1; n <= len(text); n++ {
				if v := (level{major: token.val, minor: value(text[:n]), parts: 2}); sc.exists(v) {
					sc.keep(v, true)
				}
			}
		case at == mention.next && sc.digits(at) >= 8 && !isDate(sc.word(at)[:8]): // SLES 10190101
			sc.heads(sc.word(at))
		}
		return at + 1, own
	}
	listed = listed || sep == ',' || sep == '/'
	switch {
	case own == ownerSystem && !mention.read:
		if sc.width(at) && !sc.isVersion32(at) {
			if v, ok := sc.dot(sc.word(at)); ok && !token.arch && !sc.is(at+1, "bit") && !sc.is(at+1, "bits") && !sc.is(at+1, "guest") {
				sc.keep(v, true) // CentOS_64 may be 6.4
			}
			return at + 1, own
		}
		next := sc.release(at, false)
		if !mention.read {
			return next, ownerUnknown
		}
		return next, own
	case sc.width(at):
		return at + 1, own
	case own == ownerSystem && listed:
		return sc.release(at, false), own
	case (own == ownerSystem || own == ownerUnknown && listed) && sc.dotted(at) && mention.family != "" && !isWindows(mention.family):
		return sc.release(at, own == ownerUnknown), own
	case own == ownerNone || own == ownerUnknown:
		if next, ok := sc.bareYear(at, own); ok {
			return next, ownerUnknown
		}
		if sc.ranged && isWindows(mention.family) && mainYear(sc.word(at)) { // Windows 2019 rolled back to 2003
			sc.add(WindowsServer, "", sc.word(at), "", true)
			return at + 1, ownerUnknown
		}
		if (sc.dotted(at) || mainYear(sc.word(at)) && sc.named.family == "") && sc.looseN < len(sc.loose) {
			sc.looseRange = sc.looseRange || sc.ranged
			sc.loose[sc.looseN] = at
			if own == ownerNone {
				sc.loose[sc.looseN] = -at - 1
			}
			sc.looseN++
		}
	}
	next := at + 1
	for sc.isNum(next) && sc.sep(next) == '.' {
		next++
	}
	return next, own
}

// beforeSize keeps what the digits may begin with where a size or a count is
// glued to a version: CentOS 6 and 40G in "CentOS 640G". A round number of two
// digits is the size of a disk.
func (sc *scan) beforeSize(i int) {
	text := sc.word(i)
	if sc.sep(i) == ',' && sc.s[sc.t[i].start-1] == ' ' || len(text) == 2 && text[1] == '0' { // "CentOS, 512G"
		return
	}
	sc.heads(text)
}

// heads keeps the releases of the open mention that digits may begin with.
func (sc *scan) heads(text string) {
	for n := 1; n < len(text) && n <= 2; n++ {
		if major := (level{major: uint32(atoi(text[:n])), parts: 1}); text[n] != '0' && sc.exists(major) {
			sc.keep(major, true)
		}
	}
	for n := 2; n < len(text) && n <= 4; n++ {
		if v, ok := sc.undotted(text[:n]); ok && text[n] != '0' { // Ubuntu 80440G
			sc.keep(v, true)
		}
	}
}

// beforeOther keeps what number i may begin with where it is no release as it
// stands: CentOS 5 and a date, a time or an address in "CentOS 5190101". The
// number of a machine is left alone.
func (sc *scan) beforeOther(i int) {
	text := sc.word(i)
	s, after := sc.sep(i), sc.sep(i+1)
	if (s == '-' || s == '_') && len(text) <= 3 && after != ':' && after != '.' || text[0] == '0' {
		return
	}
	sc.heads(text)
}

// beforeClock keeps the release that the hour of a time may be: CentOS 5:22.
func (sc *scan) beforeClock(i int) {
	if major := (level{major: sc.t[i].val, parts: 1}); sc.s[sc.t[i].start] != '0' && sc.exists(major) {
		sc.keep(major, true)
	}
	sc.heads(sc.word(i))
}

// dotted says whether the number at token i goes on after a dot.
func (sc *scan) dotted(i int) bool {
	return sc.isNum(i+1) && sc.sep(i+1) == '.' && !sc.t[i+1].no
}

// width says whether number i is a bare word size: 64, 32.
func (sc *scan) width(at int) bool {
	if !sc.isNum(at) {
		return false
	}
	t := &sc.t[at]
	return t.arch || (t.val == 64 || t.val == 32) && sc.digits(at) == 2 && !(sc.isNum(at+1) && sc.sep(at+1) == '.') && t.sep != '.' &&
		(t.sep != 0 || sc.is(at+1, "bit") || sc.is(at+1, "bits") || sc.is(at+1, "guest"))
}

// isVersion32 tells Fedora 32 from a 32-bit Fedora.
func (sc *scan) isVersion32(i int) bool {
	t := &sc.t[i]
	t.version = sc.mention.family == Fedora && t.val == 32 && t.sep == ' ' && !t.arch && !sc.is(i+1, "bit") && !sc.is(i+1, "bits")
	return t.version
}

// pinned says whether what stands at token i follows a whole version: a word
// size, an architecture, a disk size, a boot mode.
func (sc *scan) pinned(at int) bool {
	if sc.sep(at) == ',' {
		return false
	}
	if sc.isNum(at) {
		return sc.width(at) || sc.t[at].no && sc.unit(at)
	}
	switch sc.word(at) {
	case "x", "i":
		return sc.isNum(at+1) && sc.t[at+1].arch
	case "amd", "arm", "aarch", "uefi", "bit", "bits", "scc", "anck", "rhck", "lts", "stream":
		return true
	}
	return false
}

// note keeps a reading, and returns its place; one that is there already keeps its own.
func (sc *scan) note(reading reading) int {
	sc.noted++
	for i := range sc.found {
		if f := &sc.found[i]; f.System == reading.System {
			f.possible, f.aside = f.possible && reading.possible, f.aside && reading.aside
			return i
		}
	}
	sc.found = append(sc.found, reading)
	return len(sc.found) - 1
}

// addCode keeps the release that a code name stands for.
func (sc *scan) addCode(word *word) {
	aside := sc.mention.aside
	sc.mention.aside = true
	sc.add(word.family, word.edition, word.version, "", false)
	sc.mention.aside = aside
}

// add keeps a reading of a release that the table has, and returns its place.
func (sc *scan) add(family, edition, version, sp string, possible bool) int {
	added := reading{System: System{Family: family, Version: version, ServicePack: sp, Edition: edition}, possible: possible, aside: sc.mention.aside}
	if family != OtherLinux && edition != "tumbleweed" && edition != "stream" {
		added.Edition = ""
	}
	added.order = orderOf(family, edition, version, sp)
	return sc.note(added)
}
