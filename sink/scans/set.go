package scans

import "math/bits"

// Set is a set of small numbers: one bit a number. Its JSON form is base64.
type Set []byte

// Has reports whether n is in the set.
func (s Set) Has(n int) bool { return n/8 < len(s) && s[n/8]>>(n%8)&1 == 1 }

// Add puts n into the set and reports whether it was not there.
func (s *Set) Add(n int) bool {
	if s.Has(n) {
		return false
	}
	if n/8 >= len(*s) {
		*s = append(*s, make([]byte, n/8+1-len(*s))...)
	}
	(*s)[n/8] |= 1 << (n % 8)
	return true
}

// Len counts the numbers in the set.
func (s Set) Len() int {
	n := 0
	for _, x := range s {
		n += bits.OnesCount8(x)
	}
	return n
}
