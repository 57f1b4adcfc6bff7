package format

import (
	"encoding/binary"
	"fmt"
	"iter"
	"sync/atomic"
)

// Dict interns strings that repeat over a fleet. It only grows and is bounded,
// so that a string either always or never has a number: equal rows stay equal
// bytes. Readers see published strings without a lock.
type Dict struct {
	byText map[string]uint32   // plain words: zones, states, tag keys
	values []map[string]uint32 // by the number of a tag key: its values
	list   atomic.Pointer[[]string]
	fresh  int // strings at the end of list that are not stored yet
}

const (
	maxWords  = 8192
	maxValues = 256 // a tag key
	maxList   = 65536
	maxWord   = 128 // bytes
)

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
	for int(key) >= len(d.values) {
		d.values = append(d.values, nil)
	}
	if n, ok := d.values[key][text]; ok {
		return n, true
	}
	if len(text) > maxWord || len(d.values[key]) >= maxValues {
		return 0, false
	}
	n, ok := d.add(text, key+1)
	if ok {
		if d.values[key] == nil {
			d.values[key] = map[string]uint32{}
		}
		d.values[key][d.At(n)] = n
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
	for int(owner) > len(d.values) {
		d.values = append(d.values, nil)
	}
	if d.values[owner-1] == nil {
		d.values[owner-1] = map[string]uint32{}
	}
	d.values[owner-1][entry[4:]] = n
	return nil
}
