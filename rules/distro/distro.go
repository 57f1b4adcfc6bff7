// Package distro reads an operating system's identity out of one string: an
// OSName in English or Chinese, an image id, an image family, a Platform
// value, a release line of a guest, a kernel release. It never guesses: what
// the string does not say stays "", and a version that no release ever had is
// never said. It judges nothing and combines nothing; package rules does both.
package distro

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

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

// System is an operating system that a string names.
type System struct {
	Family, Version, ServicePack, Edition string
}

// Guess is what one string says. The zero value says nothing.
type Guess struct {
	Family      string // "" when the string names no operating system
	Version     string // canonical: "5.8", "6.0.9", "2008r2"; a release that exists, or ""
	ServicePack string // of SUSE and Kylin releases, whose version it completes
	Edition     string
	Arch        string // "i386", "x86_64", "arm64"
	Kernel      string // a kernel release that stands in the string
	Vague       bool   // Family is a catch-all that any other string may refine
	NotR2       bool   // Windows: the string rules out an R2 release
	AMD         bool   // an image made for AMD families
	Unreal      bool   // a version was read that the table of releases does not list
	Cut         bool   // the text is longer than what is read
	Failed      bool   // the text could not be read, by a fault of this package
	Listed      bool   // several releases of Family are named, any of which may be meant
	Twin        bool   // Also has what an older system of the same name and number is: SUSE 11.4
	// Also are the other operating systems and releases that the string names
	// or may mean. Version is the oldest of those that it names of Family.
	Also []System
}

// Identify reads s. It takes time linear in len(s), never panics, and ignores
// case and the amount of white space.
func Identify(text string) Guess {
	if Opaque(text) {
		return Guess{}
	}
	return identify(scans.Get().(*scan), text)
}

// identify reads the text with sc. Names are free text of whoever made an image, and
// they are stored: a panic over one of them would end whoever is given its page, and
// every sink that judges its store again. Its guess says that nothing is known
// instead, and the scan, whose state nobody knows, is not used again.
func identify(sc *scan, text string) (guess Guess) {
	defer func() {
		if recover() != nil {
			guess = Guess{Failed: true}
		}
	}()
	sc.reset()
	sc.read(decode(text))
	sc.measure()
	sc.walk()
	guess = sc.guess()
	scans.Put(sc)
	return guess
}

// scans are used again: a Guess holds nothing of the scan that it comes from.
var scans = sync.Pool{New: func() any { return new(scan) }}

// Opaque says whether s is the id of a custom image, whose letters are drawn by
// lot: m-bp1win7ux0centos5z8 names no operating system.
func Opaque(text string) bool {
	if len(text) < 12 || text[0] != 'm' && text[0] != 'M' || text[1] != '-' {
		return false
	}
	for i := 2; i < len(text); i++ {
		if c := text[i] | 0x20; (c < 'a' || c > 'z') && (text[i] < '0' || text[i] > '9') {
			return false
		}
	}
	if text[2:4] == "iZ" { // m-iZ2ze…: as the cloud names hosts, not drawn by lot
		return false
	}
	for _, name := range glued { // m-Windows2008
		if len(text) >= 2+len(name) && strings.EqualFold(text[2:2+len(name)], name) {
			return false
		}
	}
	return !strings.EqualFold(text[2:5], "win") || text[5] != '2' && text[5] != 'n' && text[5] != 's' // m-win2008x64, m-winnt4server
}

// guess makes one answer of all that was read.
func (sc *scan) guess() Guess {
	guessed := Guess{Kernel: sc.kern, Unreal: sc.unreal, Cut: sc.cut, Twin: sc.twin, AMD: sc.amd(), Arch: sc.arch()}
	sc.family(&guessed)
	switch {
	case isWindows(guessed.Family):
		sc.looseYears()
		sc.wordReleases()
	default:
		sc.looseVersions(&guessed)
	}
	if guessed.Arch == "i386" {
		sc.noR2Of32Bits()
	}
	pick := -1
	for at := range sc.found {
		reading := &sc.found[at]
		if reading.Family != guessed.Family || reading.Version == "" || reading.possible || reading.Family == OtherLinux && reading.Edition != guessed.Edition {
			continue
		}
		if pick < 0 || reading.order < sc.found[pick].order {
			pick = at
		}
	}
	if pick >= 0 {
		f := &sc.found[pick]
		guessed.Version, guessed.ServicePack = f.Version, f.ServicePack
		guessed.Vague = false
	}
	sc.also(&guessed)
	sc.edition(&guessed)
	sc.windowsFacts(&guessed)
	if guessed.Family == "" {
		guessed.Version = sc.bareVersion()
	}
	return guessed
}

// family chooses the family: the first that is named, a code name or a
// catch-all only where there is no other.
func (sc *scan) family(guess *Guess) {
	named := &sc.named
	switch {
	case named.family != "":
		guess.Family, guess.Edition = named.family, named.edition
		if named.code != nil && named.code.family == named.family {
			sc.addCode(named.code)
		}
	case named.code != nil:
		guess.Family, guess.Edition = named.code.family, named.code.edition
		sc.addCode(named.code)
	case named.weak.role != roleUnknown && named.weak.edition != "year":
		guess.Family = named.weak.family
		if named.weak.version != "" {
			sc.add(guess.Family, "", named.weak.version, "", false)
		}
	case named.vague != "":
		guess.Family, guess.Edition, guess.Vague = named.vague, named.vagueEdition, true
	default:
		for i := range sc.found { // "file server 2019": it may be Windows
			guess.Family, guess.Vague = sc.found[i].Family, true
		}
	}
}

// looseVersions reads the dotted numbers that stand neither after the name nor
// after anything else that is known, where the name has none of its own, or the
// text tells of a change from one to another: "5.8 upgraded to CentOS 7.9".
func (sc *scan) looseVersions(g *Guess) {
	if sc.looseN == 0 || sc.mention.family != g.Family ||
		!sc.looseRange && slices.ContainsFunc(sc.found, func(r reading) bool { return r.Family == g.Family && r.Version != "" }) {
		return
	}
	at := sc.mention.at
	for _, pos := range sc.loose[:sc.looseN] {
		if !sc.dotted(max(pos, -pos-1)) { // a year, which only Windows has for a name
			continue
		}
		possible := true
		if pos < 0 { // nothing stands before it
			pos = -pos - 1
			possible = !sc.besideName(pos+2, at) || sc.looseRange
		}
		sc.release(pos, possible)
	}
}

// besideName says whether nothing but words without a meaning of their own stands
// between token i and the name at token at: "6.5版 CentOS".
func (sc *scan) besideName(pos, at int) bool {
	for ; pos < at; pos++ {
		if w := words[sc.word(pos)]; sc.t[pos].num || w == nil || w.role != roleFiller {
			return false
		}
	}
	return pos == at
}

// looseYears reads the years before the name of Windows in a text that tells of
// a change from one to another: "2003 upgraded to Windows 2012".
func (sc *scan) looseYears() {
	if !sc.looseRange {
		return
	}
	for _, i := range sc.loose[:sc.looseN] {
		if y := sc.word(max(i, -i-1)); mainYear(y) {
			sc.add(WindowsServer, "", y, "", true)
		}
	}
}

// wordReleases keeps the releases of Windows that are words and stand beside others,
// before their name or behind it: "XP upgraded to Windows 10", "Windows 2008 R2, XP".
// Office had a release of the name, too: Office XP.
func (sc *scan) wordReleases() {
	for at := range sc.n {
		release := words[sc.word(at)]
		if release == nil || release.role != roleWeak || !isWindows(release.family) || release.version == "" {
			continue
		}
		if sc.word(at-1) != "office" || !strings.ContainsRune("\x00 -_", rune(sc.sep(at))) {
			sc.add(release.family, "", release.version, "", true)
		}
	}
}

// also lists what else was read. A release in brackets or by its code name that
// agrees with the chosen one makes it finer, or says the same.
func (sc *scan) also(guess *Guess) {
	finer := -1
	for at := range sc.found {
		other := &sc.found[at]
		switch {
		case other.Family != guess.Family && other.Version == "" && slices.ContainsFunc(sc.found, func(o reading) bool { return o.Family == other.Family && o.Version != "" }),
			other.Family == guess.Family && other.Version == "",
			other.Family == guess.Family && other.aside && other.ServicePack == "" && coarser(other.Version, guess.Version), // "10.0 (Coughlan)"
			other.Family == guess.Family && other.Version == guess.Version && other.ServicePack == guess.ServicePack && (other.Family != OtherLinux || other.Edition == guess.Edition):
			continue
		case other.Family == guess.Family && !other.possible && coarser(guess.Version, other.Version) && guess.ServicePack == "" && (other.aside || sc.chosenAside(guess)):
			if finer < 0 {
				finer = at
				continue
			}
		}
		if other.Family == guess.Family && !other.possible && other.Version != guess.Version {
			guess.Listed = true
		}
		guess.Also = append(guess.Also, other.System)
	}
	switch {
	case finer < 0:
	case len(guess.Also) == 0: // "CentOS 7 (CentOS 7.9)"
		guess.Version, guess.ServicePack = sc.found[finer].Version, sc.found[finer].ServicePack
	default:
		guess.Also, guess.Listed = append(guess.Also, sc.found[finer].System), true
	}
	slices.SortStableFunc(guess.Also, func(a, b System) int { return cmp.Compare(a.Family, b.Family) })
}

// chosenAside says whether the chosen release was read aside alone.
func (sc *scan) chosenAside(g *Guess) bool {
	return slices.ContainsFunc(sc.found, func(f reading) bool { return f.Family == g.Family && f.Version == g.Version && f.aside })
}

// coarser says whether b is a, told more exactly: 6 and 6.0.9.
func coarser(a, b string) bool {
	return len(b) > len(a) && b[:len(a)] == a && b[len(a)] == '.'
}

// edition finds the editions that are told apart, for the families that have
// them.
func (sc *scan) edition(guess *Guess) {
	if guess.Edition != "" && guess.Edition != "server" {
		return
	}
	guess.Edition = ""
	for i := range sc.n {
		word := sc.word(i)
		switch {
		case guess.Family == Alinux && (word == "lts" || word == "pro"),
			guess.Family == OpenEuler && word == "lts",
			guess.Family == Anolis && (word == "anck" || word == "rhck"),
			guess.Family == SLES && word == "sap":
			guess.Edition = word
			return
		case guess.Family == SLES && word == "slessap":
			guess.Edition = "sap"
			return
		}
	}
}

// bareVersion reads a string that is nothing but a version ("6.0.9", the whole
// of /etc/debian_version).
func (sc *scan) bareVersion() string {
	if sc.n == 0 || sc.n > 4 {
		return ""
	}
	for i := range sc.n {
		if !sc.t[i].num || sc.t[i].no || sc.digits(i) > 4 || i > 0 && sc.t[i].sep != '.' {
			return ""
		}
	}
	return sc.s[sc.t[0].start:sc.t[sc.n-1].end]
}
