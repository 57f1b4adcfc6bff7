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

// valuesOf are the values of a tag key, which may be new.
func (d *Dict) valuesOf(key uint32) map[string]uint32 {
	for int(key) >= len(d.values) {
		d.values = append(d.values, nil)
	}
	if d.values[key] == nil {
		d.values[key] = map[string]uint32{}
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
	return d.number(d.byText, maxWords, 0, text)
}

// Value is Word for the values of one tag key.
func (d *Dict) Value(key uint32, text string) (uint32, bool) {
	return d.number(d.valuesOf(key), maxValues, key+1, text)
}

// number is that of a text among the words (owner 0) or the values of tag key
// owner-1, of which there may be most. The owner is a prefix of what is listed, four
// bytes long.
func (d *Dict) number(numbers map[string]uint32, most int, owner uint32, text string) (uint32, bool) {
	if n, ok := numbers[text]; ok {
		return n, true
	}
	old := *d.list.Load()
	if len(text) > maxWord || len(numbers) >= most || len(old) >= maxList {
		return 0, false
	}
	list := append(old, string(binary.BigEndian.AppendUint32(nil, owner))+text)
	d.list.Store(&list)
	d.fresh++
	n := uint32(len(old))
	numbers[d.At(n)] = n
	return n, true
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
	d.valuesOf(owner - 1)[entry[4:]] = n
	return nil
}
