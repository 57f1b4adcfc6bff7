package distro

import "strings"

// measure finds the numbers that are no versions: addresses, dates, times,
// sizes, counts, and the parts of architecture names and kernel releases.
func (sc *scan) measure() {
	for i := 0; i < sc.n; i++ {
		token := &sc.t[i]
		if !token.num {
			if token.sep != 0 || i == 0 || !sc.t[i-1].num {
				i = sc.archName(i)
			}
			continue
		}
		if token.no {
			continue
		}
		switch {
		case sc.kernelAt(i), sc.address(i), sc.date(i), sc.clock(i):
		case token.val == 2 && sc.digits(i) == 1 && sc.is(i+1, "k") && sc.sep(i+1) == 0:
			sc.twoK(i)
		case token.val == 2 && sc.digits(i) == 1 && sc.sep(i+1) == 0 && sc.kAndEdition(i):
			sc.t[i].val, sc.t[i].year = 2000, true
		case sc.unit(i):
			if token.sep == '.' && sc.isNum(i-1) && !sc.t[i-1].no || sc.isNum(i-1) && sc.is(i-2, "u") || sc.yearAndMore(i) {
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
	if len(text) < 5 || len(text) > 9 {
		return false
	}
	_, ok := mainYear(text[:4])
	return ok
}

// unit says whether number i is a size or a count.
func (sc *scan) unit(i int) bool {
	if i+1 >= sc.n || sc.t[i+1].num {
		return false
	}
	text := sc.word(i + 1)
	word := words[text]
	if word == nil || !word.unit {
		return false
	}
	switch sc.t[i+1].sep {
	case 0:
		switch text {
		case "h":
			return !(sc.t[i].val <= 25 && sc.isNum(i+2) && sc.sep(i+2) == 0) // 20H2
		case "core", "c", "pcs":
			_, year := mainYear(sc.word(i))
			return !year
		}
		return true
	case ' ', '-':
		_, year := mainYear(sc.word(i))
		return word.apart && !year
	}
	return false
}

// archName marks the numbers of the architecture named at token i.
func (sc *scan) archName(i int) int {
	last := i
	take := func(j int, v ...uint32) {
		if !sc.isNum(j) || sc.sep(j) != 0 && sc.sep(j) != '_' && sc.sep(j) != '-' && sc.sep(j) != ' ' {
			return
		}
		for _, x := range v {
			if sc.t[j].val == x {
				sc.t[j].arch, sc.t[j].no, last = true, true, j
			}
		}
	}
	switch sc.word(i) {
	case "x":
		if sc.sep(i+1) != 0 {
			return i
		}
		take(i+1, 64, 86, 32)
		if last == i+1 && sc.t[last].val == 86 {
			take(i+2, 64, 32)
		}
	case "amd", "arm", "aarch", "ppc", "loong", "loongarch", "mips", "sw", "riscv", "win":
		if sc.sep(i+1) == 0 {
			take(i+1, 64, 32)
		}
	case "i", "ia":
		if sc.sep(i+1) == 0 {
			take(i+1, 386, 486, 586, 686, 64, 32)
		}
	case "armv", "arm v":
		if sc.isNum(i + 1) {
			sc.t[i+1].no = true
			return i + 1
		}
	}
	return last
}

// address finds four dotted numbers, or four joined otherwise that start like
// a private network.
func (sc *scan) address(i int) bool {
	if i+3 >= sc.n || sc.sep(i) == '.' && sc.isNum(i-1) || sc.debianRelease(i) {
		return false
	}
	sep := sc.sep(i + 1)
	if sep != '.' && sep != '_' && sep != '-' {
		return false
	}
	for j := i; j < i+4; j++ {
		t := &sc.t[j]
		if !t.num || t.val > 255 || sc.digits(j) > 3 || j > i && t.sep != sep {
			return false
		}
	}
	if sep != '.' {
		switch sc.t[i].val {
		case 10, 172, 192:
		default:
			return false
		}
		if v := sc.t[i+2].val; v == 64 || v == 32 || v == 86 || sc.unit(i+3) {
			return false
		}
	}
	end := i + 4
	if sc.is(end, "bit") || sc.unit(i+3) || sc.isNum(end) && (sc.sep(end) == '.' || sc.sep(end) == sep && sc.t[end].val <= 255) {
		return false // five numbers are no address
	}
	if sc.isNum(end) && (sc.sep(end) == '/' || sc.sep(end) == ':') {
		end++
	}
	sc.skip(i, end)
	return true
}

func (sc *scan) skip(i, end int) {
	for ; i < end && i < sc.n; i++ {
		sc.t[i].no = true
	}
}

// date finds a day or a month in any of the usual writings.
func (sc *scan) date(i int) bool {
	token := &sc.t[i]
	switch d := sc.digits(i); {
	case d >= 8: // 20180101, 201801011230
		token.no = true
		return true
	case d == 6 && sc.is(i+1, "r") && sc.sep(i+1) == 0: // win201202r2
	case d == 6 && token.val >= 199501 && token.val <= 209912 && token.val%100 >= 1 && token.val%100 <= 12:
		token.no = true
		return true
	case d == 4 && token.val >= 1995 && token.val <= 2099:
		return sc.yearFirst(i)
	case d <= 2 && token.val >= 1 && token.val <= 31:
		return sc.yearLast(i)
	}
	return false
}

// yearFirst finds 2018-01-01, 2018_1_1, 2018.01.01, 2018/01, 2018年1月.
func (sc *scan) yearFirst(i int) bool {
	sep := sc.sep(i + 1)
	if sc.is(i+1, "day") && sep == 0 {
		sc.t[i].no = true
		return true
	}
	_, year := mainYear(sc.word(i))
	if year && sc.t[i].val < 2016 && sc.windowsBefore(i) {
		return false // older than any date that a name would have
	}
	if !sc.isNum(i+1) || sc.t[i+1].start != sc.t[i].end+1 || sep != '-' && sep != '_' && sep != '.' && sep != '/' || !sc.between(i+1, 1, 12) {
		return false
	}
	if sc.isNum(i+2) && sc.sep(i+2) == sep && sc.between(i+2, 1, 31) && !sc.unit(i+2) {
		sc.skip(i, i+3)
		return true
	}
	if sc.digits(i+1) == 2 && sep != '_' && (!year || sc.t[i+1].val < 10) {
		sc.skip(i, i+2)
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
	if len(digits) < 5 {
		return false
	}
	y, ok := mainYear(digits[:4])
	if !ok || y > "2008" && len(digits) >= 6 && isMonth(digits[:6]) {
		return false
	}
	return sc.windowsBefore(sc.n)
}

// yearLast finds 01-05-2018 and 1/5/2018.
func (sc *scan) yearLast(i int) bool {
	sep := sc.sep(i + 1)
	if sep != '-' && sep != '_' && sep != '.' && sep != '/' || sc.sep(i+2) != sep || !sc.isNum(i+1) || !sc.isNum(i+2) {
		return false
	}
	if sc.digits(i+1) > 2 || sc.digits(i+2) != 4 || sc.t[i+2].val < 1995 || sc.t[i+2].val > 2099 || !sc.between(i+1, 1, 31) {
		return false
	}
	if sep != '/' && (sc.digits(i) != 2 || sc.digits(i+1) != 2) { // CentOS 7.9.2009
		return false
	}
	if sc.is(i-1, "ubuntu") && (sc.t[i+1].val == 4 || sc.t[i+1].val == 10) {
		return false // Ubuntu 10-04-2019
	}
	if sc.t[i].val > 12 && sc.t[i+1].val > 12 || sc.sep(i) == '.' && sc.isNum(i-1) {
		return false
	}
	sc.skip(i, i+3)
	return true
}

func (sc *scan) between(i int, lo, hi uint32) bool {
	return sc.digits(i) <= 2 && sc.t[i].val >= lo && sc.t[i].val <= hi
}

// clock finds 12:30 and 12:30:45.
func (sc *scan) clock(i int) bool {
	if sc.sep(i) == ':' || sc.sep(i+1) != ':' || !sc.isNum(i+1) || sc.digits(i) > 2 || sc.digits(i+1) != 2 || sc.t[i].val > 23 || sc.t[i+1].val > 59 {
		return false
	}
	end := i + 2
	if sc.isNum(end) && sc.sep(end) == ':' {
		end++
	}
	sc.skip(i, end)
	return true
}

// twoK reads 2k8 as 2008.
func (sc *scan) twoK(i int) {
	j := i + 2
	if sc.isNum(j) && sc.sep(j) == 0 && sc.digits(j) <= 2 {
		if _, ok := shortYear(sc.t[j].val); !ok {
			return
		}
		sc.t[i].val, sc.t[i].year = 2000+sc.t[j].val, true
		sc.remove(i+1, 2)
		return
	}
	if (sc.is(i-1, "w") || sc.is(i-1, "win") || sc.is(i-1, "windows")) && !(sc.isNum(j) && sc.sep(j) == 0) {
		sc.t[i].val, sc.t[i].year = 2000, true
		sc.remove(i+1, 1)
	}
}

// kAndEdition says whether a k with the name of an edition glued to it follows
// token i, which stands for Windows 2000: w2ksp4, win2kadv. It cuts the k off.
func (sc *scan) kAndEdition(i int) bool {
	text := sc.word(i + 1)
	if len(text) < 3 || text[0] != 'k' || !sc.is(i-1, "w") && !sc.is(i-1, "win") && !sc.is(i-1, "windows") {
		return false
	}
	if w := words[text[1:]]; w == nil || w.role != roleFiller {
		return false
	}
	sc.t[i+1].start++
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
func (sc *scan) kernelAt(i int) bool {
	if sc.sep(i) == '.' || sc.sep(i) == 0 || sc.t[i].val < 2 || sc.t[i].val > 7 || sc.digits(i) != 1 {
		return false
	}
	if !sc.isNum(i+1) || sc.sep(i+1) != '.' || !sc.isNum(i+2) || sc.sep(i+2) != '.' {
		return false
	}
	j := i + 3
	for sc.isNum(j) && sc.sep(j) == '.' {
		j++
	}
	if sc.debianRelease(i) {
		return false
	}
	old := sc.t[i].val == 2 && (sc.t[i+1].val == 6 || sc.t[i+1].val == 4)
	if !old && (sc.t[i].val < 3 || !sc.isNum(j) || sc.sep(j) != '-') {
		return false
	}
	tagged := old
	for j < sc.n && (sc.sep(j) == 0 || sc.sep(j) == '.' || sc.sep(j) == '-' || sc.sep(j) == '_') {
		switch sc.word(j) {
		case "el", "al", "an", "fc", "oe", "ky", "generic", "xen", "uek", "virtual", "amd", "default", "azure", "aws", "kvm":
			tagged = true
		}
		j++
	}
	if !tagged {
		return false
	}
	from := i
	if sep := sc.sep(i); sep == '-' && (sc.is(i-1, "xen") || sc.is(i-1, "uek")) { // kernel-xen-2.6.18-398.el5
		from--
	}
	sc.kern = sc.s[sc.t[from].start:sc.t[j-1].end]
	sc.skip(i, j)
	return true
}
