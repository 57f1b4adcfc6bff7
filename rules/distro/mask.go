package distro

import "strings"

// measure finds the numbers that are no versions: addresses, dates, times,
// sizes, counts, and the parts of architecture names and kernel releases.
func (sc *scan) measure() {
	for at := 0; at < sc.n; at++ {
		token := &sc.t[at]
		if !token.num {
			at = sc.archName(at)
			continue
		}
		if token.no {
			continue
		}
		switch {
		case sc.kernelAt(at), sc.address(at), sc.date(at), sc.clock(at):
		case token.val == 2 && sc.digits(at) == 1 && sc.is(at+1, "k") && sc.sep(at+1) == 0:
			sc.twoK(at)
		case token.val == 2 && sc.digits(at) == 1 && sc.sep(at+1) == 0 && sc.kAndEdition(at):
			sc.t[at].val, sc.t[at].year = 2000, true
		case sc.unit(at):
			if token.sep == '.' && sc.isNum(at-1) && !sc.t[at-1].no || sc.isNum(at-1) && sc.is(at-2, "u") || sc.yearAndMore(at) {
				token.sized = true // the last number of a version that a size is glued to
			} else {
				token.no = true
			}
		}
	}
}

// yearAndMore says whether number i begins with a release of Windows Server:
// 200340G.
func (sc *scan) yearAndMore(i int) bool {
	text := sc.word(i)
	return len(text) > 4 && beginsWithYear(text)
}

// unit says whether number i is a size or a count.
func (sc *scan) unit(at int) bool {
	if at+1 >= sc.n || sc.t[at+1].num {
		return false
	}
	text := sc.word(at + 1)
	word := words[text]
	if word == nil || !word.unit {
		return false
	}
	switch sc.t[at+1].sep {
	case 0:
		switch text {
		case "h":
			return !(sc.t[at].val <= 25 && sc.isNum(at+2) && sc.sep(at+2) == 0) // 20H2
		case "core", "c", "pcs":
			return !mainYear(sc.word(at))
		}
		return true
	case ' ', '-':
		return word.apart && !mainYear(sc.word(at))
	}
	return false
}

// archName marks the numbers of the architecture named at token i.
func (sc *scan) archName(at int) int {
	last := at
	take := func(next int, v ...uint32) {
		if !sc.isNum(next) || sc.sep(next) != 0 && sc.sep(next) != '_' && sc.sep(next) != '-' && sc.sep(next) != ' ' {
			return
		}
		for _, x := range v {
			if sc.t[next].val == x {
				sc.t[next].arch, sc.t[next].no, last = true, true, next
			}
		}
	}
	switch sc.word(at) {
	case "x":
		if sc.sep(at+1) != 0 {
			return at
		}
		take(at+1, 64, 86, 32)
		if last == at+1 && sc.t[last].val == 86 {
			take(at+2, 64, 32)
		}
	case "amd", "arm", "aarch", "ppc", "loong", "loongarch", "mips", "sw", "riscv", "win":
		if sc.sep(at+1) == 0 {
			take(at+1, 64, 32)
		}
	case "i", "ia":
		if sc.sep(at+1) == 0 {
			take(at+1, 386, 486, 586, 686, 64, 32)
		}
	case "armv", "arm v":
		if sc.isNum(at + 1) {
			sc.t[at+1].no = true
			return at + 1
		}
	}
	return last
}

// address finds four dotted numbers, or four joined otherwise that start like
// a private network.
func (sc *scan) address(at int) bool {
	if at+3 >= sc.n || sc.sep(at) == '.' && sc.isNum(at-1) || sc.debianRelease(at) {
		return false
	}
	sep := sc.sep(at + 1)
	if sep != '.' && sep != '_' && sep != '-' {
		return false
	}
	for j := at; j < at+4; j++ {
		t := &sc.t[j]
		if !t.num || t.val > 255 || sc.digits(j) > 3 || j > at && t.sep != sep {
			return false
		}
	}
	if sep != '.' {
		switch sc.t[at].val {
		case 10, 172, 192:
		default:
			return false
		}
		if v := sc.t[at+2].val; v == 64 || v == 32 || v == 86 || sc.unit(at+3) {
			return false
		}
	}
	end := at + 4
	if sc.is(end, "bit") || sc.unit(at+3) || sc.isNum(end) && (sc.sep(end) == '.' || sc.sep(end) == sep && sc.t[end].val <= 255) {
		return false // five numbers are no address
	}
	if sc.isNum(end) && (sc.sep(end) == '/' || sc.sep(end) == ':') {
		end++
	}
	sc.skip(at, end)
	return true
}

// skip marks the tokens from i to before end as no part of a version.
func (sc *scan) skip(i, end int) {
	for ; i < end; i++ {
		sc.t[i].no = true
	}
}

// date finds a day or a month in any of the usual writings.
func (sc *scan) date(at int) bool {
	token := &sc.t[at]
	switch digits := sc.digits(at); {
	case digits >= 8: // 20180101, 201801011230
		token.no = true
		return true
	case digits == 6 && sc.is(at+1, "r") && sc.sep(at+1) == 0: // win201202r2
	case digits == 6 && token.val >= 199501 && token.val <= 209912 && token.val%100 >= 1 && token.val%100 <= 12:
		token.no = true
		return true
	case digits == 4 && token.val >= 1995 && token.val <= 2099:
		return sc.yearFirst(at)
	case digits <= 2 && token.val >= 1 && token.val <= 31:
		return sc.yearLast(at)
	}
	return false
}

// yearFirst finds 2018-01-01, 2018_1_1, 2018.01.01, 2018/01, 2018年1月, where the token
// at the place can be a year, and marks all of it as no part of a version. A year that
// is a main release of Windows (2008, 2012) and stands behind that word is none.
func (sc *scan) yearFirst(at int) bool {
	sep := sc.sep(at + 1)
	if sc.is(at+1, "day") && sep == 0 {
		sc.t[at].no = true
		return true
	}
	year := mainYear(sc.word(at))
	if year && sc.t[at].val < 2016 && sc.windowsBefore(at) {
		return false // older than any date that a name would have
	}
	if !sc.isNum(at+1) || sc.t[at+1].start != sc.t[at].end+1 || sep != '-' && sep != '_' && sep != '.' && sep != '/' || !sc.between(at+1, 1, 12) {
		return false
	}
	if sc.isNum(at+2) && sc.sep(at+2) == sep && sc.between(at+2, 1, 31) && !sc.unit(at+2) {
		sc.skip(at, at+3)
		return true
	}
	if sc.digits(at+1) == 2 && sep != '_' && (!year || sc.t[at+1].val < 10) {
		sc.skip(at, at+2)
		return true
	}
	return false
}

// windowsBefore says whether token i follows a name of Windows, and no more than
// an edition stands between.
func (sc *scan) windowsBefore(i int) bool {
	for back := 1; back <= 5 && back <= i; back++ {
		text := sc.word(i - back)
		switch text {
		case "server", "ws", "w", "winsvr", "svr", "srv", "sbs":
			return true
		}
		if strings.HasSuffix(text, "windows") || strings.HasSuffix(text, "win") || strings.HasSuffix(text, "winserver") || strings.HasSuffix(text, "windowsserver") {
			return true
		}
		if w := words[text]; w == nil || w.role != roleFiller {
			return false
		}
	}
	return false
}

// yearGlued says whether digits, which follow what was read so far, begin with the
// year of a Windows release and go on with something else: 20038 and 200864, of a
// release that is newer than the first images of ECS only where they are no date.
func (sc *scan) yearGlued(digits string) bool {
	if len(digits) < 5 || !beginsWithYear(digits) || digits[:4] > "2008" && len(digits) >= 6 && isMonth(digits[:6]) {
		return false
	}
	return sc.windowsBefore(sc.n)
}

// yearLast finds 01-05-2018 and 1/5/2018.
func (sc *scan) yearLast(at int) bool {
	sep := sc.sep(at + 1)
	if sep != '-' && sep != '_' && sep != '.' && sep != '/' || sc.sep(at+2) != sep || !sc.isNum(at+1) || !sc.isNum(at+2) {
		return false
	}
	if sc.digits(at+1) > 2 || sc.digits(at+2) != 4 || sc.t[at+2].val < 1995 || sc.t[at+2].val > 2099 || !sc.between(at+1, 1, 31) {
		return false
	}
	if sep != '/' && (sc.digits(at) != 2 || sc.digits(at+1) != 2) { // CentOS 7.9.2009
		return false
	}
	if sc.is(at-1, "ubuntu") && (sc.t[at+1].val == 4 || sc.t[at+1].val == 10) {
		return false // Ubuntu 10-04-2019
	}
	if sc.t[at].val > 12 && sc.t[at+1].val > 12 || sc.sep(at) == '.' && sc.isNum(at-1) {
		return false
	}
	sc.skip(at, at+3)
	return true
}

func (sc *scan) between(i int, lo, hi uint32) bool {
	return sc.digits(i) <= 2 && sc.t[i].val >= lo && sc.t[i].val <= hi
}

// clock finds 12:30 and 12:30:45.
func (sc *scan) clock(at int) bool {
	if sc.sep(at) == ':' || sc.sep(at+1) != ':' || !sc.isNum(at+1) || sc.digits(at) > 2 || sc.digits(at+1) != 2 || sc.t[at].val > 23 || sc.t[at+1].val > 59 {
		return false
	}
	end := at + 2
	if sc.isNum(end) && sc.sep(end) == ':' {
		end++
	}
	sc.skip(at, end)
	return true
}

// twoK reads 2k8 as 2008.
func (sc *scan) twoK(at int) {
	next := at + 2
	if sc.isNum(next) && sc.sep(next) == 0 && sc.digits(next) <= 2 {
		if _, ok := shortYear(sc.t[next].val); !ok {
			return
		}
		sc.t[at].val, sc.t[at].year = 2000+sc.t[next].val, true
		sc.remove(at+1, 2)
		return
	}
	if (sc.is(at-1, "w") || sc.is(at-1, "win") || sc.is(at-1, "windows")) && !(sc.isNum(next) && sc.sep(next) == 0) {
		sc.t[at].val, sc.t[at].year = 2000, true
		sc.remove(at+1, 1)
	}
}

// kAndEdition says whether a k with the name of an edition glued to it follows
// token i, which stands for Windows 2000: w2ksp4, win2kadv. It cuts the k off.
func (sc *scan) kAndEdition(at int) bool {
	text := sc.word(at + 1)
	if len(text) < 3 || text[0] != 'k' || !sc.is(at-1, "w") && !sc.is(at-1, "win") && !sc.is(at-1, "windows") {
		return false
	}
	if w := words[text[1:]]; w == nil || w.role != roleFiller {
		return false
	}
	sc.t[at+1].start++
	return true
}

func (sc *scan) remove(i, n int) {
	copy(sc.t[i:sc.n], sc.t[i+n:sc.n])
	sc.n -= n
}

// debianRelease says whether the three numbers at token i follow the name of
// Debian and begin like its releases 5.0 and 6.0: Debian 5.0.8-201905-amd64. It had
// no such kernel.
func (sc *scan) debianRelease(i int) bool {
	return strings.HasSuffix(sc.word(i-1), Debian) && (sc.t[i].val == 5 || sc.t[i].val == 6) && sc.t[i+1].val == 0
}

// kernelAt finds a kernel release such as 2.6.18-348.el5 and keeps it.
func (sc *scan) kernelAt(at int) bool {
	if sc.sep(at) == '.' || sc.sep(at) == 0 || sc.t[at].val < 2 || sc.t[at].val > 7 || sc.digits(at) != 1 {
		return false
	}
	if !sc.isNum(at+1) || sc.sep(at+1) != '.' || !sc.isNum(at+2) || sc.sep(at+2) != '.' {
		return false
	}
	next := at + 3
	for sc.isNum(next) && sc.sep(next) == '.' {
		next++
	}
	if sc.debianRelease(at) {
		return false
	}
	if sc.kernelPackage(at, next) {
		return true
	}
	old := sc.t[at].val == 2 && (sc.t[at+1].val == 6 || sc.t[at+1].val == 4)
	if !old && (sc.t[at].val < 3 || !sc.isNum(next) || sc.sep(next) != '-') {
		return false
	}
	tagged := old
	for next < sc.n && (sc.sep(next) == 0 || sc.sep(next) == '.' || sc.sep(next) == '-' || sc.sep(next) == '_') {
		switch sc.word(next) {
		case "el", "al", "alnx", "an", "fc", "oe", "ky", "generic", "xen", "uek", "virtual", "amd", "default", "azure", "aws", "kvm":
			tagged = true
		}
		next++
	}
	if !tagged {
		return false
	}
	from := at
	if sep := sc.sep(at); sep == '-' && (sc.is(at-1, "xen") || sc.is(at-1, "uek")) { // kernel-xen-2.6.18-398.el5
		from--
	}
	sc.kern = sc.s[sc.t[from].start:sc.t[next-1].end]
	sc.skip(at, next)
	return true
}

// kernelPackage finds the version of the package that a kernel of Debian comes from,
// which uname -a has after the kernel itself: "6.1.0-18-amd64 … Debian 6.1.76-1". It is
// no release of Debian. next is the token after its dotted numbers.
func (sc *scan) kernelPackage(at, next int) bool {
	if sc.kern == "" || !sc.is(at-1, Debian) || !strings.HasPrefix(sc.kern, sc.word(at)+"."+sc.word(at+1)+".") {
		return false
	}
	for next < sc.n {
		switch sep := sc.sep(next); {
		case sep == ' ', sep == ';', sep == ',' && sc.s[sc.t[next].start-1] != '~' && sc.s[sc.t[next].start-1] != '+':
			sc.skip(at, next)
			return true
		}
		next++
	}
	sc.skip(at, next)
	return true
}
