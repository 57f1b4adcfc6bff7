package distro

// arch reads the CPU architecture. Arm wins over a word size ("64 bit ARM
// Edition"), a spelt-out name over a bare number.
func (sc *scan) arch() string {
	bare := ""
	for at := range sc.n {
		switch w := sc.word(at); w {
		case "arm", "aarch":
			if w != "arm" || !sc.isNum(at+1) || sc.t[at+1].val != 32 {
				return "arm64"
			}
		case "x":
			if sc.isNum(at+1) && sc.t[at+1].sep == 0 {
				switch val := sc.t[at+1].val; {
				case val == 64:
					bare = "x86_64"
				case val == 86 && sc.isNum(at+2) && sc.t[at+2].val == 64:
					bare = "x86_64"
				case val == 86 && bare == "":
					bare = sc.plain86()
				}
			}
		case "amd":
			if sc.isNum(at+1) && sc.t[at+1].sep == 0 && sc.t[at+1].val == 64 {
				bare = "x86_64"
			}
		case "i":
			if sc.isNum(at+1) && sc.t[at+1].sep == 0 && (sc.t[at+1].val == 386 || sc.t[at+1].val == 586 || sc.t[at+1].val == 686) {
				bare = "i386"
			}
		default:
			if sc.t[at].num && bare == "" {
				bare = sc.bareWidth(at)
			}
		}
	}
	return bare
}

// plain86 reads an "x86" alone: 32 bits, except in the newer public image ids
// of 64-bit systems that were spelt so (freebsd_13_0_x86_30G_alibase_…).
func (sc *scan) plain86() string {
	if sc.has("alibase") {
		return "x86_64"
	}
	return "i386"
}

// says32Bits says whether the text has 32 bits in so many words. Many say x86 of what
// is not Arm.
func (sc *scan) says32Bits() bool {
	for at := range sc.n {
		if t := &sc.t[at]; sc.width(at) && (t.val == 32 || t.val == 386 || t.val == 586 || t.val == 686) && !(t.val == 32 && sc.is(at-1, "arm")) {
			return true
		}
	}
	return false
}

// bareWidth reads a bare 64 or 32 at token i, also one glued to a version.
func (sc *scan) bareWidth(at int) string {
	token := &sc.t[at]
	if token.version {
		return ""
	}
	if sc.digits(at) == 4 && sc.is(at+1, "bit") && token.sep == '.' { // Ubuntu14.0464位
		if token.val%100 == 64 {
			return "x86_64"
		}
		if token.val%100 == 32 {
			return "i386"
		}
		return ""
	}
	if sc.digits(at) != 2 || token.val != 64 && token.val != 32 || sc.unit(at) {
		return ""
	}
	bit := sc.is(at+1, "bit") || sc.is(at+1, "bits")
	if token.sep == '.' && !bit || token.sep == 0 && !bit {
		return ""
	}
	if !bit && sc.isNum(at+1) && sc.t[at+1].sep == '.' {
		return ""
	}
	if token.val == 64 {
		return "x86_64"
	}
	return "i386"
}

// amd says whether the string marks an image for AMD families ("AMD版",
// "_amd"); amd64 is no such mark.
func (sc *scan) amd() bool {
	for i := range sc.n {
		if sc.is(i, "amd") && !(sc.isNum(i+1) && sc.t[i+1].sep == 0) {
			return true
		}
	}
	return false
}
