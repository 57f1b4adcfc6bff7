// Package version orders operating system versions and kernel releases. It
// knows no operating system: what "6.09" of Debian or "2004" of Windows Server
// means is decided by who reads the string, not here. It never compares
// versions as strings or floats: 5.10 is after 5.9.
package version

// Key is a version as up to four numbers, ordered like a list: 5.8 < 5.8.1 <
// 5.10. The zero Key is before every version.
type Key [4]uint32

// maxNumber bounds one number of a version; longer runs of digits saturate.
const maxNumber = 1<<31 - 1

// Parse reads the numbers of s ("5.8", "2008r2", "1465.8.0", "V10") and says
// how many there were; numbers after the fourth are ignored. Anything that is
// not a digit separates numbers. A string without digits has no numbers.
func Parse(s string) (k Key, n int) {
	in := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			in = false
			continue
		}
		if !in {
			if n == len(k) {
				return k, n
			}
			in = true
			n++
		}
		k[n-1] = addDigit(k[n-1], c)
	}
	return k, n
}

func addDigit(v uint32, c byte) uint32 {
	if v > (maxNumber-9)/10 {
		return maxNumber
	}
	return v*10 + uint32(c-'0')
}

// Cmp orders two keys: -1, 0 or 1.
func (k Key) Cmp(o Key) int {
	for i := range k {
		switch {
		case k[i] < o[i]:
			return -1
		case k[i] > o[i]:
			return 1
		}
	}
	return 0
}

// Next returns the first key after every version that starts with the first n
// numbers of k: Next of 5.8 with n 2 is 5.9.
func (k Key) Next(n int) Key {
	if n < 1 {
		return Key{maxNumber, maxNumber, maxNumber, maxNumber}
	}
	n = min(n, len(k))
	k[n-1]++
	for i := n; i < len(k); i++ {
		k[i] = 0
	}
	return k
}

// Compare orders two version strings the way rpm orders them: runs of digits
// as numbers, runs of letters as text, a number after any letters, and more
// is later ("2008" < "2008r2"). Case is ignored.
func Compare(a, b string) int {
	for {
		a, b = trimSeparators(a), trimSeparators(b)
		if a == "" || b == "" {
			return min(1, len(a)) - min(1, len(b))
		}
		var x, y string
		x, a = run(a)
		y, b = run(b)
		if c := compareRuns(x, y); c != 0 {
			return c
		}
	}
}

func trimSeparators(s string) string {
	for s != "" && !isDigit(s[0]) && !isLetter(s[0]) {
		s = s[1:]
	}
	return s
}

// run splits off the leading run of digits or of letters.
func run(s string) (head, tail string) {
	i, digits := 1, isDigit(s[0])
	for i < len(s) && isDigit(s[i]) == digits && (digits || isLetter(s[i])) {
		i++
	}
	return s[:i], s[i:]
}

func compareRuns(x, y string) int {
	dx, dy := isDigit(x[0]), isDigit(y[0])
	switch {
	case dx && !dy:
		return 1
	case !dx && dy:
		return -1
	case dx:
		for len(x) > 1 && x[0] == '0' {
			x = x[1:]
		}
		for len(y) > 1 && y[0] == '0' {
			y = y[1:]
		}
		if len(x) != len(y) {
			if len(x) < len(y) {
				return -1
			}
			return 1
		}
	}
	for i := 0; i < len(x) && i < len(y); i++ {
		if p, q := lower(x[i]), lower(y[i]); p != q {
			if p < q {
				return -1
			}
			return 1
		}
	}
	switch {
	case len(x) < len(y):
		return -1
	case len(x) > len(y):
		return 1
	}
	return 0
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { c = lower(c); return c >= 'a' && c <= 'z' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
