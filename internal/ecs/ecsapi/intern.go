package ecsapi

import (
	"encoding/binary"
	"math/bits"
)

// internTable holds strings that come often. A string enters it when it comes
// a second time, so that what comes once costs no memory of its own.
type internTable struct {
	slots   [2048]interned // a fleet in twenty regions has about that many names of types, images and systems, and tag values
	refused int
}

type interned struct {
	s    string
	came uint32 // hash of what last came by and is not in the table
	hot  bool   // s was found since it was put here
}

func hashBytes(b []byte, from, to int) uint64 {
	n := to - from
	h := uint64(n) * 0x9e3779b97f4a7c15
	if n >= 8 {
		h ^= binary.LittleEndian.Uint64(b[from:]) * 0xff51afd7ed558ccd
		h = bits.RotateLeft64(h, 29)
		h ^= binary.LittleEndian.Uint64(b[to-8:])
		if n > 16 {
			h = bits.RotateLeft64(h*0x9e3779b97f4a7c15, 31) ^ binary.LittleEndian.Uint64(b[from+n/2-4:])
		}
	} else {
		h ^= binary.LittleEndian.Uint64(b[from:]) & (1<<(8*uint(n)) - 1)
	}
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>32
}

const maxCommon = 256 // bytes of a string that is worth keeping

// find looks in the two places where a string may be. It returns the hash for
// add, too.
func (t *internTable) find(b []byte, from, to int) (s string, h uint64, ok bool) {
	if from == to {
		return "", 0, true
	}
	h = hashBytes(b, from, to)
	slot := h % uint64(len(t.slots))
	e := &t.slots[slot]
	if e.s != string(b[from:to]) {
		if e = &t.slots[slot^1]; e.s != string(b[from:to]) {
			return "", h, false
		}
	}
	e.hot = true
	return e.s, h, true
}

// add makes a string common if it was seen before and one of its two places
// holds nothing that is in use; the caller has checked it.
func (t *internTable) add(b []byte, from, to int, h uint64) (string, bool) {
	slot := h % uint64(len(t.slots))
	e := &t.slots[slot]
	if came := uint32(h >> 16); e.came != came || to-from > maxCommon {
		e.came = came
		return "", false
	}
	if e.hot {
		e = &t.slots[slot^1]
	}
	if e.hot {
		if t.refused++; t.refused%256 == 0 { // what is hot today may not be tomorrow
			t.slots[slot].hot, e.hot = false, false
		}
		return "", false
	}
	e.s, e.hot = string(b[from:to]), true
	return e.s, true
}
