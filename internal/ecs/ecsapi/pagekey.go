package ecsapi

import (
	"encoding/binary"
)

// keyAt is a key at its place in an instance.
type keyAt struct {
	quoted     string // `"InstanceId"`
	head, tail uint64 // its first and last eight bytes; mask cuts head to a shorter key
	mask       uint64
	field      field
	from, to   int // where the page last had its value, when that is of no use
}

func newKeyAt(b []byte, i, end int, f field) keyAt {
	k := keyAt{quoted: string(b[i:end]), field: f, mask: 1<<(8*uint(min(end-i, 8))) - 1}
	if end-i >= 8 {
		k.mask = ^uint64(0)
		k.tail = binary.LittleEndian.Uint64(b[end-8:])
	}
	k.head = binary.LittleEndian.Uint64(b[i:]) & k.mask
	return k
}

// at reports whether the key is what b has at i. b is padded.
func (k *keyAt) at(b []byte, i int) bool {
	n := len(k.quoted)
	if binary.LittleEndian.Uint64(b[i:])&k.mask != k.head {
		return false
	}
	if n <= 8 {
		return true
	}
	if i+n > len(b) || binary.LittleEndian.Uint64(b[i+n-8:]) != k.tail {
		return false
	}
	return n <= 16 || string(b[i+8:i+n-8]) == k.quoted[8:n-8]
}

const maxKeys = 256

// plainKey reads a key without escapes at i and returns the index behind its
// closing quote.
func plainKey(b []byte, i int) (int, []byte) {
	if b[i] != '"' {
		return -1, nil
	}
	end := plainEnd(b, i+1)
	if b[end] != '"' {
		return -1, nil
	}
	return end + 1, b[i+1 : end]
}

// pass passes over a value of no use at place at of the order. Most such
// values are the same in instance after instance: what was a whole value
// before is one again, and comparing is faster than scanning.
func (d *pageDecoder) pass(b []byte, i, at int) int {
	if at >= len(d.order) {
		return skipValue(b, i, 4)
	}
	k := &d.order[at]
	if n := k.to - k.from; n > 0 && i+n < len(b) && (b[i+n] == ',' || b[i+n] == '}') && string(b[i:i+n]) == string(b[k.from:k.to]) {
		return i + n
	}
	end := skipValue(b, i, 4)
	k.from, k.to = i, end
	return end
}

// key reads the key at i, which is expected to be the at-th of the order that
// was seen before or one of the few after it. It returns the index behind the
// key and its place in the order.
func (d *pageDecoder) key(b []byte, i, at int) (int, int, field) {
	for k := at; k < len(d.order) && k < at+4; k++ {
		if q := &d.order[k]; q.at(b, i) {
			return i + len(q.quoted), k, q.field
		}
	}
	end, key := plainKey(b, i)
	if end < 0 {
		return -1, at, other
	}
	f := fieldOf(key)
	switch {
	case at < len(d.order):
		d.order[at] = newKeyAt(b, i, end, f)
	case at < maxKeys:
		d.order = append(d.order, newKeyAt(b, i, end, f))
	}
	return end, at, f
}
