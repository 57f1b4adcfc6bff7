package ecsapi

import (
	"encoding/binary"
	"math/bits"
)

// internTable holds strings that come often. A string enters it when it comes
// a second time, so that what comes once costs no memory of its own.
type internTable struct {
	strings [512]string
	pending [512]uint64
	hot     [512]bool // found since it was put there
	refused int
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

// find looks in the two places where a string may be.
func (t *internTable) find(b []byte, from, to int) (string, bool) {
	if from == to {
		return "", true
	}
	slot := hashBytes(b, from, to) % uint64(len(t.strings))
	if s := t.strings[slot]; s == string(b[from:to]) {
		t.hot[slot] = true
		return s, true
	}
	slot ^= 1
	s := t.strings[slot]
	if s == string(b[from:to]) {
		t.hot[slot] = true
		return s, true
	}
	return "", false
}

// add makes a string common if it was seen before and one of its two places
// holds nothing that is in use; the caller has checked it.
func (t *internTable) add(b []byte, from, to int) (string, bool) {
	h := hashBytes(b, from, to)
	slot := h % uint64(len(t.strings))
	if t.pending[slot] != h || to-from > maxCommon {
		t.pending[slot] = h
		return "", false
	}
	if t.hot[slot] {
		slot ^= 1
	}
	if t.hot[slot] {
		if t.refused++; t.refused%256 == 0 { // what is hot today may not be tomorrow
			t.hot[slot], t.hot[slot^1] = false, false
		}
		return "", false
	}
	s := string(b[from:to])
	t.strings[slot], t.hot[slot] = s, true
	return s, true
}
