package distro

// keyword is a name of an operating system found at a token.
type keyword struct {
	family, edition string
	at, next        int  // tokens [at, next) are the name
	vague           bool // says no more than "some Linux" or "some SUSE"
	weak            bool // counts only when nothing else does
}

// keyword reads the name of an operating system that starts at token i.
func (sc *scan) keyword(i int) (keyword, bool) {
	w := sc.word(i)
	if k, ok := plain(w); ok {
		k.at, k.next = i, i+1
		return sc.refine(k), true
	}
	k, ok := sc.phrase(i, w)
	if !ok {
		k, ok = sc.windows(i, w)
	}
	k.at = i
	return k, ok
}

// plain knows the names that are one word and never mean anything else.
func plain(w string) (k keyword, ok bool) {
	switch w {
	case "centos", "centoslinux":
		k.family = CentOS
	case "rhel", "redhat", "redhatenterpriselinux", "rhels":
		k.family = RHEL
	case "alinux", "aliyunlinux", "alibabacloudlinux", "aliyunos":
		k.family = Alinux
	case "anolis", "anolisos":
		k.family = Anolis
	case "openanolis":
		k.family, k.weak = Anolis, true
	case "debian":
		k.family = Debian
	case "ubuntu":
		k.family = Ubuntu
	case "sles", "sled", "slessap":
		k.family = SLES
	case "suse", "suselinux":
		k.family, k.vague = SLES, true
	case "opensuse":
		k.family = OpenSUSE
	case "fedora":
		k.family = Fedora
	case "fedoracoreos", "fcos":
		k.family, k.edition = CoreOS, "fedora-coreos"
	case "coreos":
		k.family = CoreOS
	case "flatcar":
		k.family = Flatcar
	case "freebsd":
		k.family = FreeBSD
	case "gentoo":
		k.family = Gentoo
	case "rockylinux":
		k.family = Rocky
	case "almalinux":
		k.family = AlmaLinux
	case "oraclelinux", "oel":
		k.family = Oracle
	case "openeuler":
		k.family = OpenEuler
	case "kylin", "kylinos":
		k.family = Kylin
	case "neokylin":
		k.family, k.edition = Kylin, "neokylin"
	case "uos", "uniontechos":
		k.family = UOS
	default:
		return otherLinux(w)
	}
	return k, true
}

// otherLinux knows distributions that have no family of their own: the edition
// names them.
func otherLinux(w string) (k keyword, ok bool) {
	k.family = OtherLinux
	switch w {
	case "scientificlinux":
		k.edition = "scientific"
	case "lifsea", "lifseaos":
		k.edition = "lifseaos"
	case "gardenlinux":
		k.edition = "gardenlinux"
	case "cloudlinux", "asianux", "alpine", "archlinux", "mandriva", "slackware", "turbolinux", "tencentos",
		"opencloudos", "deepin", "euleros", "alios", "amzn", "mageia", "photon", "bottlerocket":
		k.edition = w
	case "customizedlinux", "otherlinux", "otherslinux":
		k.vague = true
	default:
		return keyword{}, false
	}
	return k, true
}

// refine looks at the words around a plain name.
func (sc *scan) refine(k keyword) keyword {
	switch {
	case k.family == Fedora && sc.is(k.next, "coreos"):
		k.family, k.edition, k.next = CoreOS, "fedora-coreos", k.next+1
	case k.family == SLES && k.vague:
		if sc.is(k.next, "linux") {
			k.next++
		}
		k.vague = !sc.is(k.next, "enterprise") && !sc.isNum(k.next) && !sc.is(k.next, "sles")
	}
	return k
}

// phrase knows the names that are several words.
func (sc *scan) phrase(i int, w string) (keyword, bool) {
	second, third := sc.word(i+1), sc.word(i+2)
	switch w {
	case "red":
		if second == "hat" {
			return keyword{family: RHEL, next: i + 2}, true
		}
	case "alibaba", "alicloud":
		j := i + 1
		if sc.is(j, "cloud") {
			j++
		}
		if sc.is(j, "enterprise") {
			j++
		}
		if sc.is(j, "linux") {
			return keyword{family: Alinux, next: j + 1}, true
		}
	case "aliyun":
		return sc.aliyun(i)
	case "open":
		if second == "suse" {
			return keyword{family: OpenSUSE, next: i + 2}, true
		}
	case "fedora":
		return keyword{family: Fedora, next: i + 1}, true
	case "rocky":
		if second == "linux" || sc.isNum(i+1) {
			return keyword{family: Rocky, next: i + 1}, true
		}
	case "alma":
		if second == "linux" || sc.isNum(i+1) {
			return keyword{family: AlmaLinux, next: i + 1}, true
		}
	case "oracle":
		if second == "linux" || second == "enterprise" && third == "linux" {
			return keyword{family: Oracle, next: i + 1}, true
		}
	case "scientific", "amazon", "garden", "arch", "alpine":
		if second == "linux" {
			edition := w
			if w == "garden" {
				edition = "gardenlinux"
			}
			return keyword{family: OtherLinux, edition: edition, next: i + 2}, true
		}
	case "linux", "customized", "customizd", "other", "others":
		return keyword{family: OtherLinux, vague: true, next: i + 1}, w == "linux" || sc.linuxNear(i)
	}
	return keyword{}, false
}

// linuxNear says whether the word linux follows within a few tokens.
func (sc *scan) linuxNear(i int) bool {
	for j := i + 1; j < min(i+6, sc.n); j++ {
		if sc.is(j, "linux") {
			return true
		}
	}
	return false
}

// aliyun tells the operating system from the company: an image called
// "aliyun-centos" is no Aliyun Linux.
func (sc *scan) aliyun(i int) (keyword, bool) {
	switch {
	case sc.is(i+1, "customized"):
		return keyword{family: OtherLinux, vague: true, next: i + 2}, true
	case sc.is(i+1, "linux"):
		return keyword{family: Alinux, next: i + 2}, true
	case sc.isNum(i+1) && sc.t[i+1].sep != '/' && sc.t[i+1].sep != ';', sc.n == 1:
		return keyword{family: Alinux, next: i + 1}, true
	}
	return keyword{}, false
}

// windows knows the many spellings of Windows.
func (sc *scan) windows(i int, w string) (keyword, bool) {
	k := keyword{family: WindowsServer, next: i + 1}
	switch w {
	case "windows", "microsoftwindows":
		if sc.is(i+1, "nt") {
			k.next++
		}
		for sc.is(k.next, "r") && !sc.isNum(k.next+1) { // Windows(R)
			k.next++
		}
		if sc.is(k.next, "server") {
			k.next++
			k.edition = "server"
		}
		return k, true
	case "windowsserver", "winserver", "winsvr":
		k.edition = "server"
		return k, true
	case "wincore":
		k.edition = "core"
		return k, true
	case "windowsxp", "winxp", "windowsvista":
		k.family = WindowsClient
		return k, true
	case "win":
		return k, sc.winNumber(i + 1)
	}
	return k, false
}

// winNumber says whether "win" before token i means Windows: an image id such
// as win2008_64 or acs:win_2019, a name such as Win7.
func (sc *scan) winNumber(i int) bool {
	if !sc.isNum(i) {
		return sc.is(i, "xp") || sc.is(i, "server") || sc.is(i, "vista")
	}
	if sc.t[i].sep != 0 && sc.t[i].sep != '_' && sc.t[i].sep != '-' && sc.t[i].sep != ' ' {
		return false
	}
	_, ok := windowsYear(sc.word(i))
	return ok || isClient(sc.t[i].val)
}

func isClient(v uint32) bool { return v == 7 || v == 8 || v == 10 || v == 11 }

// windowsYear reads a Windows Server release: a year, or a semi-annual version
// such as 1709 or 20H2. A longer run of digits counts by its first four
// ("201202" is 2012).
func windowsYear(digits string) (string, bool) {
	if len(digits) < 4 || len(digits) == 8 {
		return "", false // eight digits are a date
	}
	y := digits[:4]
	switch y {
	case "2000", "2003", "2008", "2012", "2016", "2019", "2022", "2025":
		return y, true
	case "1709", "1803", "1809", "1903", "1909", "2004":
		return y, len(digits) == 4
	}
	if y[:2] == "20" && y > "2025" && y < "2060" {
		return y, len(digits) == 4
	}
	return "", false
}

func semiAnnual(y string) bool {
	switch y {
	case "1709", "1803", "1809", "1903", "1909", "2004", "20h2":
		return true
	}
	return false
}
