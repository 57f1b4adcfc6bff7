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
func Parse(text string) (key Key, length int) {
	in := false
	for i := 0; i < len(text); i++ {
		char := text[i]
		if char < '0' || char > '9' {
			in = false
			continue
		}
		if !in {
			if length == len(key) {
				return key, length
			}
			in = true
			length++
		}
		key[length-1] = addDigit(key[length-1], char)
	}
	return key, length
}

func addDigit(v uint32, c byte) uint32 {
	if v > (maxNumber-9)/10 {
		return maxNumber
	}
	return v*10 + uint32(c-'0')
}

// Cmp orders two keys: -1, 0 or 1.
func (k Key) Cmp(key Key) int {
	for i := range k {
		switch {
		case k[i] < key[i]:
			return -1
		case k[i] > key[i]:
			return 1
		}
	}
	return 0
}

// Next returns the first key after every version that starts with the first parts
// numbers of k: Next of 5.8 with parts 2 is 5.9.
func (k Key) Next(parts int) Key {
	if parts < 1 {
		return Key{maxNumber, maxNumber, maxNumber, maxNumber}
	}
	parts = min(parts, len(k))
	k[parts-1]++
	for i := parts; i < len(k); i++ {
		k[i] = 0
	}
	return k
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { c = lower(c); return c >= 'a' && c <= 'z' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
