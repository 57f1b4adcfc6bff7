package distro

// windowsRelease reads what follows "Windows", "Windows Server", "win".
func (sc *scan) windowsRelease(k keyword) release {
	r := release{next: k.next}
	server := k.edition == "server" || k.edition == "core"
	if w := sc.word(k.at); k.family == WindowsClient {
		r.version = "xp"
		if w == "windowsvista" {
			r.version = "vista"
		}
		return r
	}
	i := k.next
	for ; i < sc.n && !sc.t[i].num; i++ {
		switch sc.word(i) {
		case "server":
			server = true
		case "tm", "version", "r", "nt", "embedded", "release", "professional":
		case "xp", "vista":
			r.version, r.next = sc.word(i), i+1
			return r
		case "standard", "enterprise", "datacenter", "dtcc", "dtc", "hyper", "v":
		default:
			return r
		}
	}
	if k.edition == "server" && sc.word(k.at) == "winsvr" { // winsvr_64_dtcC_1809
		for j := i; j < sc.n; j++ {
			if sc.isNum(j) && semiAnnual(sc.word(j)) {
				i = j
				break
			}
		}
	}
	if !sc.isNum(i) {
		return r
	}
	y, ok := windowsYear(sc.word(i))
	switch {
	case ok:
		r.version, r.next = y, i+1
		if sc.isNum(i+1) && sc.t[i+1].sep == '/' {
			r.version, r.several = "", true
		} else if sc.r2(i+1) && (y == "2003" || y == "2008" || y == "2012") {
			r.version = y + "r2"
		}
	case sc.t[i].val == 20 && sc.is(i+1, "h") && sc.isNum(i+2) && sc.t[i+1].sep == 0:
		r.version, r.next = "20h2", i+3
	case !server && sc.t[i].val == 8 && sc.isNum(i+1) && sc.t[i+1].sep == '.' && sc.t[i+1].val == 1:
		r.version, r.next = "8.1", i+2
	case !server && isClient(sc.t[i].val):
		r.version, r.next = join(int(sc.t[i].val)), i+1
	case sc.is(i-1, "nt") && sc.t[i].val == 4:
		r.version, r.next = "nt4", i+1
	}
	return r
}

// r2 says whether "R2" stands at token i or later.
func (sc *scan) r2(i int) bool {
	for ; i < sc.n-1; i++ {
		if sc.is(i, "r") && sc.isNum(i+1) && sc.t[i+1].val == 2 && sc.digits(i+1) == 1 && sc.t[i+1].sep == 0 {
			return true
		}
	}
	return false
}

// windowsFacts settles family, edition and what rules out R2, which need the
// whole string.
func (sc *scan) windowsFacts(g *Guess) {
	if g.Family != WindowsServer {
		if g.Family == WindowsClient {
			g.Edition = sc.windowsEdition()
		}
		return
	}
	switch g.Version {
	case "7", "8", "8.1", "10", "11", "xp", "vista":
		g.Family = WindowsClient
		g.Edition = sc.windowsEdition()
		return
	case "":
		g.Vague = true
	}
	edition := sc.windowsEdition()
	core := sc.has("wincore") || sc.has("core") || sc.has("dtcc") || sc.has("without") || semiAnnual(g.Version)
	if edition == "datacenter" && core {
		edition = "datacenter-core"
	}
	if edition != "" && sc.has("container") {
		edition += "-container"
	}
	g.Edition = edition
	if g.Version == "2008" || g.Version == "2003" || g.Version == "2012" {
		g.NotR2 = edition != "" || g.Arch == "i386" && g.Version == "2008"
	}
}

func (sc *scan) windowsEdition() string {
	for i := 0; i < sc.n; i++ {
		switch sc.word(i) {
		case "standard", "std", "stand":
			return "standard"
		case "enterprise", "ent":
			return "enterprise"
		case "datacenter", "dtc", "dtcc", "dc", "datactr":
			return "datacenter"
		case "data":
			if sc.is(i+1, "center") {
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
