package format

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"sync/atomic"
)

// Dict interns strings that repeat over a fleet. It only grows and is bounded,
// so that a string either always or never has a number: equal rows stay equal
// bytes. Readers see published strings without a lock.
type Dict struct {
	byText map[string]uint32 // plain words: zones, states, tag keys
	values []*keyValues      // by the number of a tag key: its values
	list   atomic.Pointer[[]string]
	fresh  int // strings at the end of list that are not stored yet
}

const (
	maxWords  = 8192
	maxValues = 256 // a tag key
	maxList   = 65536
	maxWord   = 128 // bytes
)

// keyValues are the values of one tag key. Where a tag tells instances apart hardly
// any value is among them, which mayHave says of most without hashing all of it.
type keyValues struct {
	byText map[string]uint32
	marks  [32]uint64 // a bit for each value, and for others that look alike
}

// mark is the place of a value's bit: it goes by the length, the beginning and the
// end of the value.
func mark(text string) (word int, bit uint64) {
	h := uint64(len(text))
	if n := len(text); n >= 8 {
		h ^= bits.RotateLeft64(load64(text[:8]), 23) ^ load64(text[n-8:])
	} else {
		for i := range n {
			h = h<<8 ^ uint64(text[i])
		}
	}
	h *= 0x9E3779B97F4A7C15
	return int(h >> 59), 1 << (h >> 53 & 63)
}

func load64(text string) uint64 {
	_ = text[7]
	return uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 | uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
}

func (v *keyValues) mayHave(text string) bool {
	word, bit := mark(text)
	return v.marks[word]&bit != 0
}

// put adds a value that is not there.
func (v *keyValues) put(text string, n uint32) {
	word, bit := mark(text)
	v.marks[word] |= bit
	v.byText[text] = n
}

// valuesOf are the values of a tag key, which may be new.
func (d *Dict) valuesOf(key uint32) *keyValues {
	for int(key) >= len(d.values) {
		d.values = append(d.values, nil)
	}
	if d.values[key] == nil {
		d.values[key] = &keyValues{byText: map[string]uint32{}}
	}
	return d.values[key]
}

// NewDict returns an empty Dict.
func NewDict() *Dict {
	d := &Dict{byText: map[string]uint32{}}
	d.list.Store(&[]string{})
	return d
}

// Word returns the number of s, giving it one where there is room.
func (d *Dict) Word(text string) (uint32, bool) {
	if n, ok := d.byText[text]; ok {
		return n, true
	}
	if len(text) > maxWord || len(d.byText) >= maxWords {
		return 0, false
	}
	n, ok := d.add(text, 0)
	if ok {
		d.byText[d.At(n)] = n
	}
	return n, ok
}

// Value is Word for the values of one tag key.
func (d *Dict) Value(key uint32, text string) (uint32, bool) {
	values := d.valuesOf(key)
	if values.mayHave(text) {
		if n, ok := values.byText[text]; ok {
			return n, true
		}
	}
	if len(text) > maxWord || len(values.byText) >= maxValues {
		return 0, false
	}
	n, ok := d.add(text, key+1)
	if ok {
		values.put(d.At(n), n)
	}
	return n, ok
}

// add appends s, which belongs to the words (owner 0) or to the values of tag
// key owner-1. The owner is a prefix of what is listed, four bytes long.
func (d *Dict) add(text string, owner uint32) (uint32, bool) {
	old := *d.list.Load()
	if len(old) >= maxList {
		return 0, false
	}
	list := append(old, string(binary.BigEndian.AppendUint32(nil, owner))+text)
	d.list.Store(&list)
	d.fresh++
	return uint32(len(list) - 1), true
}

// Fresh ranges over the strings that are not stored yet, by their numbers.
func (d *Dict) Fresh() iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		list := *d.list.Load()
		for n := len(list) - d.fresh; n < len(list); n++ {
			if !yield(uint32(n), list[n]) {
				return
			}
		}
	}
}

// Stored says that those of Fresh are stored now.
func (d *Dict) Stored() { d.fresh = 0 }

// Words are for decoding; they stay valid.
func (d *Dict) Words() Words { return *d.list.Load() }

// Plain lists the words that are no values of tags: tag keys, zones, states. It
// returns nil where there were too many to keep all, or none.
func (d *Dict) Plain() []string {
	var out []string
	for _, entry := range *d.list.Load() {
		if entry[:4] == "\x00\x00\x00\x00" {
			out = append(out, entry[4:])
		}
	}
	if len(out) >= maxWords {
		return nil
	}
	return out
}

// At is the string with a number.
func (d *Dict) At(n uint32) string { return (*d.list.Load())[n][4:] }

// Restore takes a stored entry; entries come in the order of their numbers.
func (d *Dict) Restore(n uint32, entry string) error {
	list := *d.list.Load()
	if int(n) != len(list) || len(entry) < 4 {
		return fmt.Errorf("%w: interned string %d is out of order", ErrCorrupt, n)
	}
	list = append(list, entry)
	d.list.Store(&list)
	owner := binary.BigEndian.Uint32([]byte(entry[:4]))
	if owner == 0 {
		d.byText[entry[4:]] = n
		return nil
	}
	if owner > n {
		return fmt.Errorf("%w: interned string %d belongs to none", ErrCorrupt, n)
	}
	d.valuesOf(owner-1).put(entry[4:], n)
	return nil
}
