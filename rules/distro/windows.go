package distro

import (
	"strconv"
	"strings"
)

// windowsScope is what a name of Windows and the words that belong to it say.
type windowsScope struct {
	server  bool
	nt      bool // a kernel version follows
	release string
	client  bool
	spTwo   bool // service pack 2
	denied  bool // R2 is said not to be
	at      int  // the reading in sc.found, -1 before there is one
	again   bool // that reading was there before
}

// mainYear says whether digits are a Windows Server release that is named by a year.
func mainYear(digits string) bool {
	switch digits {
	case "2000", "2003", "2008", "2012", "2016", "2019", "2022", "2025", "2028":
		return true
	}
	return false
}

// beginsWithYear says whether digits begin with such a release.
func beginsWithYear(digits string) bool { return len(digits) >= 4 && mainYear(digits[:4]) }

// shortYear reads the two digits of ws08, w2k3.
func shortYear(v uint32) (string, bool) {
	switch v {
	case 0, 3, 8:
		return "200" + strconv.Itoa(int(v)), true
	case 12, 16, 19, 22, 25:
		return "20" + strconv.Itoa(int(v)), true
	}
	return "", false
}

func semiAnnual(y string) bool {
	switch y {
	case "1709", "1803", "1809", "1903", "1909", "2004", "20h2", "23h2":
		return true
	}
	return false
}

func isClient(v uint32) bool {
	switch v {
	case 7, 8, 9, 10, 11, 12, 95, 98:
		return true
	}
	return false
}

// builds are the releases of Windows by the build of their kernel.
var builds = map[uint32]System{
	1381: {Family: WindowsServer, Version: "nt4"}, 2195: {Family: WindowsServer, Version: "2000"},
	2600: {Family: WindowsClient, Version: "xp"}, 3790: {Family: WindowsServer, Version: "2003"},
	6000: {Family: WindowsClient, Version: "vista"}, 6001: {Family: WindowsServer, Version: "2008"},
	6002: {Family: WindowsServer, Version: "2008"}, 6003: {Family: WindowsServer, Version: "2008"},
	7600: {Family: WindowsServer, Version: "2008r2"}, 7601: {Family: WindowsServer, Version: "2008r2"},
	9200: {Family: WindowsServer, Version: "2012"}, 9600: {Family: WindowsServer, Version: "2012r2"},
	10240: {Family: WindowsClient, Version: "10"}, 10586: {Family: WindowsClient, Version: "10"}, 14393: {Family: WindowsServer, Version: "2016"},
	15063: {Family: WindowsClient, Version: "10"}, 16299: {Family: WindowsServer, Version: "1709"}, 17134: {Family: WindowsServer, Version: "1803"},
	17763: {Family: WindowsServer, Version: "2019"}, 18362: {Family: WindowsServer, Version: "1903"}, 18363: {Family: WindowsServer, Version: "1909"},
	19041: {Family: WindowsServer, Version: "2004"}, 19042: {Family: WindowsServer, Version: "20h2"},
	19043: {Family: WindowsClient, Version: "10"}, 19044: {Family: WindowsClient, Version: "10"}, 19045: {Family: WindowsClient, Version: "10"},
	20348: {Family: WindowsServer, Version: "2022"}, 22000: {Family: WindowsClient, Version: "11"}, 22621: {Family: WindowsClient, Version: "11"},
	22631: {Family: WindowsClient, Version: "11"}, 25398: {Family: WindowsServer, Version: "23h2"}, 26100: {Family: WindowsServer, Version: "2025"},
}

// kernels are the releases of Windows by the version of their kernel: that of
// the server where client and server share it.
func ntRelease(major, minor uint32) (System, bool) {
	switch {
	case major == 3:
		return System{Family: WindowsServer, Version: "nt3"}, true
	case major == 4:
		return System{Family: WindowsServer, Version: "nt4"}, true
	case major == 5 && minor == 0:
		return System{Family: WindowsServer, Version: "2000"}, true
	case major == 5 && minor == 1:
		return System{Family: WindowsClient, Version: "xp"}, true
	case major == 5 && minor == 2:
		return System{Family: WindowsServer, Version: "2003"}, true
	case major == 6 && minor == 0:
		return System{Family: WindowsServer, Version: "2008"}, true
	case major == 6 && minor == 1:
		return System{Family: WindowsServer, Version: "2008r2"}, true
	case major == 6 && minor == 2:
		return System{Family: WindowsServer, Version: "2012"}, true
	case major == 6 && minor == 3:
		return System{Family: WindowsServer, Version: "2012r2"}, true
	}
	return System{}, false
}

// windowsNumber says whether the number at token i makes Windows of a short
// word before it: win2008, ws08, w2k3, nt 5.2.
func (sc *scan) windowsNumber(short string, at int) bool {
	token := &sc.t[at]
	if token.sep != 0 && token.sep != '_' && token.sep != '-' && token.sep != ' ' {
		return false
	}
	if token.year {
		return true
	}
	text := sc.word(at)
	switch short {
	case "w":
		return false
	case "nt", "winnt":
		if _, ok := ntRelease(token.val, 0); ok || sc.dotted(at) || short == "nt" {
			return ok || sc.dotted(at)
		}
	}
	if mainYear(text) || semiAnnual(text) {
		return true
	}
	if _, ok := shortYear(token.val); ok && len(text) == 2 && (token.sep == 0 || text[0] == '0') {
		return true
	}
	if short == "ws" {
		return false
	}
	return beginsWithYear(text) || len(text) <= 4 && isClient(token.val) || text == "81"
}

// windows reads a name of Windows and what belongs to it, up to the next name
// of something else, and returns the token after that.
func (sc *scan) windows(word *word, i, next int) (int, owner) {
	ws := windowsScope{at: -1, nt: word.edition == "nt", server: word.edition == "server" || word.edition == "core"}
	sc.mention = mention{family: WindowsServer, at: i, next: next}
	first := sc.named.family == ""
	if first {
		sc.named.family = word.family
	}
	if word.version != "" {
		ws.keep(sc, word.family, word.version)
	} else if !first && !isWindows(sc.named.family) {
		sc.note(reading{System: System{Family: word.family}})
	}
	return sc.scope(&ws, next)
}

// scope reads the words and numbers that belong to a name of Windows.
func (sc *scan) scope(ws *windowsScope, at int) (int, owner) {
	listed := false
	for at < sc.n {
		if sc.t[at].num {
			s := sc.sep(at)
			at = sc.windowsNumberAt(ws, at, listed || s == ',' || s == '/')
			listed, sc.ranged = false, false
			continue
		}
		if release, ok := sc.r2At(at); ok {
			if sc.takesR2(ws, release) {
				ws.release += "r2"
				if ws.again { // "2012 and 2012 R2"
					ws.keep(sc, WindowsServer, ws.release)
				} else {
					sc.renew(ws)
				}
			}
			at, ws.denied = release, false
			continue
		}
		word, next := sc.lookup(at)
		switch {
		case sc.is(at, "server"), sc.is(at, "srv"), sc.is(at, "svr"), sc.is(at, "serv"), sc.is(at, "servguest"), sc.is(at, "advservguest"):
			client, guest := ws.release, sc.sep(at) == 0 && sc.has("guest")
			if sc.serverAfter(ws) && !guest { // "Windows 10 server": it may be what the machine is for
				sc.add(WindowsClient, "", client, "", true)
			}
		case sc.is(at, "nt"):
			ws.nt = true
		case sc.is(at, "build") || sc.is(at, "r") || sc.is(at, "svrnext") || sc.is(at, "srvguest"):
		case sc.is(at, "sp") || sc.is(at, "service"):
			at = sc.windowsPack(ws, at)
			continue
		case clientName(sc.word(at)) != "":
			if ws.at < 0 || listed {
				ws.keep(sc, WindowsClient, clientName(sc.word(at)))
			}
		case word.role == roleOS && isWindows(word.family) && word.version == "" && ws.at < 0:
			ws.server = ws.server || word.edition == "server"
			ws.nt = ws.nt || word.edition == "nt"
		case word.role == roleFiller, word.role == roleWeak && word.edition == "year":
		case word.role == roleList:
			listed = true
		case word.role == roleRange:
			listed, sc.ranged = true, true
		case word.role == roleUnknown && sc.ranged && sc.rangeGoesOn(next):
		case word.role == roleDeny, word.role == roleExcept: // of what follows, or of what stood before
			ws.denied = true
		default:
			return at, ownerUnknown
		}
		at = next
	}
	return at, ownerUnknown
}

// rangeGoesOn says whether the year of another release follows within a few
// words, in a text that tells of a change to or from it.
func (sc *scan) rangeGoesOn(i int) bool {
	for end := min(i+4, sc.n); i < end; i++ {
		if sc.t[i].num {
			return mainYear(sc.word(i)) && !sc.t[i].no
		}
	}
	return false
}

// keep adds the release that was read.
func (ws *windowsScope) keep(sc *scan, family, version string) {
	ws.release, ws.client = version, family == WindowsClient
	before := len(sc.found)
	ws.at = sc.add(family, "", version, "", false)
	ws.again = len(sc.found) == before
	sc.mention.read = true
	if sc.named.family == WindowsServer && sc.named.version == "" {
		sc.named.family, sc.named.version = family, version
	}
}

// clientName reads a release of a Windows client that has no number, and what is
// glued to it: XPx64.
func clientName(text string) string {
	switch {
	case text == "me":
		return text
	case strings.HasPrefix(text, "vista"):
		return "vista"
	case strings.HasPrefix(text, "xp") && text != "xps":
		return "xp"
	}
	return ""
}

// renew changes the release that was read last.
func (sc *scan) renew(ws *windowsScope) {
	family := WindowsServer
	if ws.client {
		family = WindowsClient
	}
	reading := &sc.found[ws.at]
	if sc.named.version == reading.Version && sc.named.family == reading.Family {
		sc.named.family, sc.named.version = family, ws.release
	}
	reading.Family, reading.Version = family, ws.release
	reading.order = orderOf(family, "", ws.release, "")
}

// r2At says whether R2 stands at token i.
func (sc *scan) r2At(i int) (next int, ok bool) {
	return i + 2, sc.is(i, "r") && sc.isNum(i+1) && sc.t[i+1].val == 2 && sc.digits(i+1) == 1 && sc.sep(i+1) == 0
}

// takesR2 says whether the release that was read last has an R2, and nothing
// speaks against this one being it. next is the token after R2.
func (sc *scan) takesR2(ws *windowsScope, next int) bool {
	if w, _ := sc.lookup(next); ws.denied || w.role == roleExcept {
		return false
	}
	switch ws.release {
	case "2003", "2012":
		return true
	case "2008":
		return !ws.spTwo
	}
	return false
}

// noR2Of32Bits takes 2008 R2 for 2008 in a text that says 32 bits: there is no
// such R2, so one of the two words is wrong, and 2008 is the worse release.
func (sc *scan) noR2Of32Bits() {
	for i := range sc.found {
		if f := &sc.found[i]; f.Family == WindowsServer && f.Version == "2008r2" {
			f.Version = "2008"
		}
	}
}

// windowsPack reads a service pack: 2008 had a second one, 2008 R2 has not.
func (sc *scan) windowsPack(ws *windowsScope, i int) int {
	next := i + 1
	if sc.is(next, "pack") {
		next++
	}
	if !sc.isNum(next) || sc.digits(next) > 3 {
		return next
	}
	if ws.at >= 0 && sc.t[next].val == 2 {
		ws.spTwo = true
		if ws.release == "2008r2" {
			ws.release = "2008"
			sc.renew(ws)
		}
	}
	return next + 1
}

// serverAfter reads "server" after a number: the client's name of a server. It says
// whether it made a server of a client.
func (sc *scan) serverAfter(ws *windowsScope) bool {
	ws.server = true
	release := ""
	switch ws.release {
	case "7":
		release = "2008r2"
	case "8":
		release = "2012"
	case "8.1":
		release = "2012r2"
	case "9", "10":
		release = "2016"
	default:
		return false
	}
	ws.release, ws.client = release, false
	sc.renew(ws)
	return true
}

// windowsNumberAt reads the number at token i within a scope and returns the
// token after it.
func (sc *scan) windowsNumberAt(ws *windowsScope, at int, listed bool) int {
	token := &sc.t[at]
	if token.no && ws.at < 0 && !ws.server && (sc.unit(at) || at == sc.mention.next) {
		sc.clientBeforeSize(at)
		if isClient(token.val) && token.val != 9 && !sc.unit(at) && sc.word(at)[0] != '0' { // Windows 7:22
			sc.add(WindowsClient, "", sc.word(at), "", true)
		}
		if ws.nt {
			sc.kernelBeforeSize(at)
		}
	}
	if token.no || sc.width(at) && !sc.isNum(at+1) {
		if text := sc.word(at); len(text) > 4 && ws.at < 0 && beginsWithYear(text) { // 201212个月: the date begins with a release
			sc.add(WindowsServer, "", text[:4], "", true)
		}
		return at + 1
	}
	if next, ok := sc.windowsKernel(ws, at); ok {
		return next
	}
	if n := sc.halfYear(ws, at); n > 0 {
		return n
	}
	text := sc.word(at)
	if token.year {
		text = strconv.Itoa(int(token.val))
	}
	if n := len(text); n > 2 && (text[n-2:] == "64" || text[n-2:] == "32") && !token.year && (n > 4 || isClient(uint32(atoi(text[:n-2])))) {
		text = text[:n-2] // 732 bit
	}
	if beginsWithYear(text) {
		if rest := text[4:]; rest != "" && rest != "64" && rest != "32" {
			sc.unreal = sc.unreal || ws.at >= 0
		}
		sc.windowsYear(ws, text[:4])
		return at + 1
	}
	if ws.at >= 0 && !listed {
		return at + 1 // win2019_1809: the version of the image
	}
	if semiAnnual(text) {
		ws.keep(sc, WindowsServer, text)
		return at + 1
	}
	if y, ok := shortYear(token.val); ok && len(text) == 2 && (token.sep == 0 && ws.at < 0 && !sc.is(at-1, "windows") || text[0] == '0') {
		ws.keep(sc, WindowsServer, y)
		return at + 1
	}
	return sc.clientAt(ws, at, text, listed)
}

// clientBeforeSize keeps the Windows clients that the digits may begin with where
// a size is glued to them: Windows 740G.
func (sc *scan) clientBeforeSize(i int) {
	text := sc.word(i)
	if s := sc.sep(i); s != 0 && s != ' ' || len(text) == 2 && text[1] == '0' {
		return
	}
	for n := 1; n < len(text) && n <= 2; n++ {
		if v := uint32(atoi(text[:n])); isClient(v) && v != 9 && text[n] != '0' {
			sc.add(WindowsClient, "", text[:n], "", true)
		}
	}
}

// kernelBeforeSize keeps what the digits may begin with after "NT": 4.0 in
// "NT 4010台".
func (sc *scan) kernelBeforeSize(i int) {
	text := sc.word(i)
	if s, ok := ntRelease(uint32(text[0]-'0'), 0); ok && text[0] < '5' {
		sc.add(s.Family, "", s.Version, "", true)
	} else if len(text) > 1 {
		if s, ok := ntRelease(uint32(text[0]-'0'), uint32(text[1]-'0')); ok {
			sc.add(s.Family, "", s.Version, "", true)
		}
	}
}

// windowsYear keeps a release that is named by a year.
func (sc *scan) windowsYear(ws *windowsScope, year string) {
	ws.at, ws.release, ws.spTwo = -1, "", false
	if year == "2028" && !ws.server {
		return // and what follows says nothing of what was read before: Windows 7 2028 server
	}
	ws.server = true
	ws.keep(sc, WindowsServer, year)
}

// clientAt reads the number of a Windows client.
func (sc *scan) clientAt(ws *windowsScope, at int, text string, listed bool) int {
	t, value := &sc.t[at], uint32(atoi(text))
	switch {
	case text == "81", t.val == 8 && sc.dotted(at) && sc.t[at+1].val == 1:
		ws.keep(sc, WindowsClient, "8.1")
		if text == "8" {
			return at + 2
		}
		return at + 1
	case text[0] == '0':
	case !isClient(value):
		if ws.at < 0 && !ws.server {
			sc.clientBeforeSize(at)
		}
		if ws.at < 0 && ws.nt { // NT 402019.01.01
			sc.kernelBeforeSize(at)
		}
	case ws.server && !listed: // Windows Server 7 is no release
		sc.unreal = true
	case value == 9: // what became Windows 10
		if !sc.is(at+1, "server") && !sc.is(at+1, "guest") && !sc.width(at+1) {
			break
		}
		ws.keep(sc, WindowsClient, "10")
	case sc.counts(at), sc.is(at-1, "r") && t.sep == 0: // "Windows r8" has no year before it
		sc.add(WindowsClient, "", join(int(value)), "", true)
	default:
		ws.keep(sc, WindowsClient, join(int(value)))
	}
	next := at + 1
	for sc.isNum(next) && sc.sep(next) == '.' {
		next++
	}
	return next
}

// windowsKernel reads "NT 6.1", "6.0.6002", "10.0.17763.1", "7601", and returns the
// token after it.
func (sc *scan) windowsKernel(ws *windowsScope, at int) (int, bool) {
	system, next, ok := sc.kernelRelease(ws, at)
	if ok && ws.at < 0 {
		ws.keep(sc, system.Family, system.Version)
	}
	return next, ok
}

func (sc *scan) kernelRelease(ws *windowsScope, at int) (system System, next int, ok bool) {
	token := &sc.t[at]
	if system, ok = builds[token.val]; ok && !token.year {
		return system, at + 1, true
	}
	if !sc.dotted(at) {
		kernel := token.val
		if sc.digits(at) == 4 && (kernel%100 == 32 || kernel%100 == 64) { // NT 4032位
			kernel /= 100
		}
		switch {
		case !ws.nt || ws.at >= 0:
			return system, 0, false
		case kernel == 3 || kernel == 4:
			system, ok = ntRelease(kernel, 0)
		default: // NT 40
			system, ok = ntRelease(kernel/10, kernel%10)
		}
		return system, at + 1, ok
	}
	next = at + 2
	for sc.isNum(next) && sc.sep(next) == '.' {
		next++
	}
	if next > at+2 {
		if system, ok = builds[sc.t[at+2].val]; ok {
			return system, next, true
		}
	}
	system, ok = ntRelease(token.val, sc.t[at+1].val)
	return system, next, ok && (ws.nt || token.val >= 5) && sc.digits(at) == 1
}

// halfYear reads 20H2 and returns the token after it, or 0.
func (sc *scan) halfYear(ws *windowsScope, at int) int {
	if !sc.is(at+1, "h") || sc.sep(at+1) != 0 || !sc.isNum(at+2) || sc.sep(at+2) != 0 || sc.digits(at) != 2 || sc.digits(at+2) != 1 {
		return 0
	}
	if v := sc.word(at) + "h" + sc.word(at+2); semiAnnual(v) && ws.at < 0 {
		ws.keep(sc, WindowsServer, v)
	}
	return at + 3
}

// bareYear reads a server release in a text that does not say Windows:
// "server 2008 r2", "2008R2", or that says no release of it so far: "Windows Unified
// Data Storage Server 2003". Where an unknown word stands before it, it may be any
// other server.
func (sc *scan) bareYear(at int, own owner) (int, bool) {
	said := sc.named.family != ""
	if said && (sc.named.family != WindowsServer || sc.named.version != "") {
		return 0, false
	}
	year := sc.word(at)
	if sc.t[at].year {
		year = strconv.Itoa(int(sc.t[at].val))
	} else if !mainYear(year) {
		return 0, false
	}
	_, r2 := sc.r2At(at + 1)
	r2 = r2 && (year == "2003" || year == "2008" || year == "2012")
	if year <= "2008" && sc.is(at+1, "server") { // "2003 server"
		sc.add(WindowsServer, "", year, "", true)
		return at + 1, true
	}
	server := sc.is(at-1, "server") || sc.is(at-1, "essentials") || sc.is(at-1, "edition") && sc.is(at-2, "server")
	if !server && !r2 {
		return 0, false
	}
	ws := windowsScope{at: -1, server: true}
	if !said && (own == ownerNone || r2) {
		sc.named.family = WindowsServer
		sc.mention = mention{family: WindowsServer, at: at, next: at}
		next, _ := sc.scope(&ws, at)
		return next, true
	}
	sc.add(WindowsServer, "", year, "", true)
	return at + 1, true
}

// weak reads a name that counts only where there is no other.
func (sc *scan) weak(word *word, i, next int, own owner) (int, owner) {
	if word.edition != "year" || own == ownerOther || !sc.isNum(next) || sc.named.family != "" {
		return next, own
	}
	if y := sc.word(next); mainYear(y) && (y <= "2008" || own == ownerNone) {
		return sc.windows(word, i, next)
	}
	return next, own
}

// windowsEdition finds the edition in the words that are Windows' own.
func (sc *scan) windowsEdition() string {
	for at := range sc.n {
		if w := words[sc.word(at)]; w != nil && w.role == roleOther && at > 0 && !sc.is(at, "net") {
			return ""
		}
		switch sc.word(at) {
		case "standard", "std", "stand":
			return "standard"
		case "enterprise", "ent", "ee":
			return "enterprise"
		case "datacenter", "dtc", "dtcc", "dc", "datactr":
			return "datacenter"
		case "data":
			if sc.is(at+1, "center") {
				return "datacenter"
			}
		case "web":
			return "web"
		case "foundation":
			return "foundation"
		case "essentials":
			return "essentials"
		case "professional", "pro":
			return "professional"
		}
	}
	return ""
}

// windowsFacts settles edition and what rules out R2, which need the whole
// string.
func (sc *scan) windowsFacts(guess *Guess) {
	switch {
	case guess.Family == WindowsClient:
		guess.Edition = sc.windowsEdition()
		return
	case guess.Family != WindowsServer:
		return
	case guess.Version == "":
		guess.Vague = true
	}
	edition := sc.windowsEdition()
	core := sc.has("wincore") || sc.has("core") || sc.has("dtcc") || sc.has("without") || semiAnnual(guess.Version)
	if edition == "datacenter" && core {
		edition = "datacenter-core"
	}
	if edition != "" && sc.has("container") {
		edition += "-container"
	}
	guess.Edition = edition
	if guess.Version == "2008" || guess.Version == "2003" || guess.Version == "2012" {
		guess.NotR2 = edition != "" || guess.Arch == "i386" && guess.Version == "2008"
	}
}
