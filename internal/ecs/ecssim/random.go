package ecssim

import "math/bits"

// mix is a strong 64-bit hash step (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hash combines numbers into one random-looking number.
func hash(parts ...uint64) uint64 {
	h := uint64(0x5368656e7363616e)
	for _, p := range parts {
		h = mix(h ^ p)
	}
	return h
}

// hashString folds a string into a number (FNV-1a, then mix).
func hashString(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return mix(h)
}

// share turns a random number into one of [0,1).
func share(r uint64) float64 { return float64(r>>11) / (1 << 53) }

// bijection is a keyed one-to-one map of 64-bit numbers, so that an instance
// id can be turned back into the index that it was made from.
type bijection struct {
	add        [3]uint64
	mul, unmul [3]uint64
}

func newBijection(seed uint64) *bijection {
	var drawn bijection
	for i := range drawn.mul {
		drawn.add[i] = hash(seed, 'b', uint64(i))
		drawn.mul[i] = hash(seed, 'm', uint64(i)) | 1
		drawn.unmul[i] = inverse(drawn.mul[i])
	}
	return &drawn
}

// inverse is the multiplicative inverse of an odd number modulo 2^64.
func inverse(a uint64) uint64 {
	x := a
	for range 6 {
		x *= 2 - a*x
	}
	return x
}

func (b *bijection) do(value uint64) uint64 {
	for i := range b.mul {
		value = (value + b.add[i]) * b.mul[i]
		value ^= value >> 32
		value = bits.RotateLeft64(value, 17)
	}
	return value
}

func (b *bijection) undo(value uint64) uint64 {
	for i := len(b.mul) - 1; i >= 0; i-- {
		value = bits.RotateLeft64(value, -17)
		value ^= value >> 32
		value = value*b.unmul[i] - b.add[i]
	}
	return value
}

const base36 = "0123456789abcdefghijklmnopqrstuvwxyz"

// appendBase36 appends x as exactly n lower-case base 36 digits, cutting what
// does not fit.
func appendBase36(out []byte, x uint64, n int) []byte {
	at := len(out)
	out = append(out, "0000000000000000"[:n]...)
	for i := n - 1; i >= 0; i-- {
		out[at+i] = base36[x%36]
		x /= 36
	}
	return out
}
