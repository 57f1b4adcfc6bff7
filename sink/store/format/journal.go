package format

import (
	"encoding/binary"
	"fmt"
)

// Section is one page as the journal keeps it.
type Section struct {
	Scan     string
	Order    int64
	Rows     [][]byte // rows that were new or changed
	Ordinals []uint32 // their ordinals
	Offsets  []uint32 // where the length of each stands in the value
	Seen     []uint32 // ordinals of rows that were as before, or newer than the page
}

// SectionWriter collects a section. Ordinals count the rows of the scope's
// blocks in order of ids, then new rows in the order in which the journal first
// has them.
type SectionWriter struct {
	head      []byte
	Rows      []byte // new and changed rows so far
	Changed   int    // number of them
	seen      []byte
	Unchanged int // rows that Saw was told of
	lastR     uint32
	lastS     uint32
}

// Reset begins the section of a page of a scan that was observed at order.
func (w *SectionWriter) Reset(scan string, order int64) {
	w.head = AppendString(Start(w.head[:0]), scan)
	w.head = binary.AppendVarint(w.head, order)
	w.Rows, w.seen, w.Changed, w.Unchanged, w.lastR, w.lastS = w.Rows[:0], w.seen[:0], 0, 0, 0, 0
}

// Row adds a new or changed row and returns where its length stands within Rows.
func (w *SectionWriter) Row(ordinal uint32, row []byte) int {
	w.Rows = binary.AppendVarint(w.Rows, int64(ordinal)-int64(w.lastR))
	w.lastR = ordinal
	off := len(w.Rows)
	w.Rows = binary.AppendUvarint(w.Rows, uint64(len(row)))
	w.Rows = append(w.Rows, row...)
	w.Changed++
	return off
}

// Saw adds a row that is as before, or newer than the page.
func (w *SectionWriter) Saw(ordinal uint32) {
	w.seen = binary.AppendVarint(w.seen, int64(ordinal)-int64(w.lastS))
	w.lastS = ordinal
	w.Unchanged++
}

// Value returns the journal value, which the caller may keep, and how far into
// it the rows begin.
func (w *SectionWriter) Value() (value []byte, rowsAt int) {
	value = make([]byte, 0, len(w.head)+len(w.Rows)+len(w.seen)+2*binary.MaxVarintLen64)
	value = append(value, w.head...)
	value = binary.AppendUvarint(value, uint64(w.Changed))
	rowsAt = len(value)
	value = append(value, w.Rows...)
	value = binary.AppendUvarint(value, uint64(w.Unchanged))
	value = append(value, w.seen...)
	return Seal(value), rowsAt
}

// ReadSection decodes a journal value into s, whose slices it reuses. Rows
// alias value.
func ReadSection(value []byte, section *Section) error {
	body, err := Unseal("journal entry", value)
	if err != nil {
		return err
	}
	base := len(value) - len(body)
	decoder := dec{b: body}
	section.Scan, section.Order = decoder.str(), decoder.int()
	section.Rows, section.Ordinals, section.Offsets, section.Seen = section.Rows[:0], section.Ordinals[:0], section.Offsets[:0], section.Seen[:0]
	last := int64(0)
	for range decoder.count(3) {
		section.Ordinals = append(section.Ordinals, decoder.ordinal(&last))
		section.Offsets = append(section.Offsets, uint32(base+decoder.off))
		section.Rows = append(section.Rows, decoder.bytes())
	}
	last = 0
	for range decoder.count(1) {
		section.Seen = append(section.Seen, decoder.ordinal(&last))
	}
	if decoder.bad || decoder.more() {
		return fmt.Errorf("%w: journal entry has another shape", ErrCorrupt)
	}
	return nil
}

// ordinal reads an ordinal as its distance from the last one.
func (d *dec) ordinal(last *int64) uint32 {
	step := d.int()
	if *last += step; *last < 0 || *last > maxOrdinal {
		d.fail()
		*last = 0
	}
	return uint32(*last)
}

// MaxProfile is the largest number of a profile, of software and of hardware.
const MaxProfile = 1<<31 - 1

// maxOrdinal is the largest ordinal of a row.
const maxOrdinal = 1<<31 - 1

// RowAt returns the row whose length stands at off of a journal value.
func RowAt(v []byte, off uint32) ([]byte, error) {
	d := dec{b: v, off: min(int(off), len(v))}
	row := d.bytes()
	if d.bad {
		return nil, fmt.Errorf("%w: journal entry has no row where its index says", ErrCorrupt)
	}
	return row, nil
}
