package ecsapi

import (
	"encoding/binary"
)

// keyAt is a key at its place in an instance.
type keyAt struct {
	text       string // `"InstanceId":`
	head, tail uint64 // its first and last eight bytes; mask cuts head to a shorter key
	mask       uint64
	field      field
	stretch    *stretch // that begins with this key, if one does
}

func newKeyAt(b []byte, i, end int, f field) keyAt {
	k := keyAt{text: string(b[i:end]), field: f, mask: 1<<(8*uint(min(end-i, 8))) - 1}
	if end-i >= 8 {
		k.mask = ^uint64(0)
		k.tail = binary.LittleEndian.Uint64(b[end-8:])
	}
	k.head = binary.LittleEndian.Uint64(b[i:]) & k.mask
	return k
}

// at reports whether the key is what b has at i. b is padded.
func (k *keyAt) at(b []byte, i int) bool {
	n := len(k.text)
	if binary.LittleEndian.Uint64(b[i:])&k.mask != k.head {
		return false
	}
	if n <= 8 {
		return true
	}
	if i+n > len(b) || binary.LittleEndian.Uint64(b[i+n-8:]) != k.tail {
		return false
	}
	return n <= 16 || string(b[i+8:i+n-8]) == k.text[8:n-8]
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

// run is a run of members of no use that were passed over one by one, to be
// learned from.
type run struct {
	at       int // its place in the order
	from, to int
	members  int // 0: there is none
}

// pass passes over the member that begins at from and whose value is at i, at
// place at of the order, and over those that follow it in a known stretch. It
// returns the index behind the last of them and its place.
func (d *pageDecoder) pass(b []byte, from, i, at int) (int, int) {
	if at < len(d.order) {
		if s := d.order[at].stretch; s != nil {
			d.endRun(b)
			if end := s.match(b, from); end >= 0 {
				return end, at + s.members - 1
			}
		}
		if d.run.members == 0 {
			d.run = run{at: at, from: from}
		}
		d.run.members++
	}
	i = skipValue(b, i, 4)
	d.run.to = i
	return i, at
}

// endRun learns from the run, if there is one, that is over.
func (d *pageDecoder) endRun(b []byte) {
	if d.run.members > 0 {
		d.learn(b)
	}
}

func (d *pageDecoder) learn(b []byte) {
	d.order[d.run.at].stretch, d.spans = d.order[d.run.at].stretch.learn(b, d.run, d.spans)
	d.run = run{}
}

// colon passes over the colon behind a key and the space around it.
func colon(b []byte, i int) int {
	if b[i] != ':' {
		if i = skipSpace(b, i); b[i] != ':' {
			return -1
		}
	}
	if i++; b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	return i
}

// key reads the key at i, which is expected to be the at-th of the order that
// was seen before or one of the few after it. It returns the index of its value
// and its place in the order.
func (d *pageDecoder) key(b []byte, i, at int) (int, int, field) {
	for k := at; k < len(d.order) && k < at+4; k++ {
		if q := &d.order[k]; q.at(b, i) {
			if i += len(q.text); b[i] <= ' ' {
				i = skipSpace(b, i)
			}
			return i, k, q.field
		}
	}
	end, key := plainKey(b, i)
	if end < 0 {
		return -1, at, other
	}
	if end = colon(b, end); end < 0 {
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
