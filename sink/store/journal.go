package store

import (
	"encoding/binary"
	"fmt"
)

// section is one page as the journal keeps it.
type section struct {
	scan  string
	order int64
	rows  [][]byte // rows that were new or changed
	ords  []uint32 // their ordinals
	offs  []uint32 // where the length of each stands in the value
	seen  []uint32 // ordinals of rows that were as before, or newer than the page
}

// sectionWriter collects a section. Ordinals count the rows of the scope's
// blocks in order of ids, then new rows in the order in which the journal first
// has them.
type sectionWriter struct {
	head  []byte
	rows  []byte
	nRows int
	seen  []byte
	nSeen int
	lastR uint32
	lastS uint32
}

func (w *sectionWriter) reset(scan string, order int64) {
	w.head = appendStr(startValue(w.head[:0]), scan)
	w.head = binary.AppendVarint(w.head, order)
	w.rows, w.seen, w.nRows, w.nSeen, w.lastR, w.lastS = w.rows[:0], w.seen[:0], 0, 0, 0, 0
}

// row adds a row and returns where its length stands within the rows.
func (w *sectionWriter) row(ordinal uint32, row []byte) int {
	w.rows = binary.AppendVarint(w.rows, int64(ordinal)-int64(w.lastR))
	w.lastR = ordinal
	off := len(w.rows)
	w.rows = binary.AppendUvarint(w.rows, uint64(len(row)))
	w.rows = append(w.rows, row...)
	w.nRows++
	return off
}

func (w *sectionWriter) saw(ordinal uint32) {
	w.seen = binary.AppendVarint(w.seen, int64(ordinal)-int64(w.lastS))
	w.lastS = ordinal
	w.nSeen++
}

// value returns the journal value, which the caller may keep, and how far into
// it the rows begin.
func (w *sectionWriter) value() (v []byte, rowsAt int) {
	v = make([]byte, 0, len(w.head)+len(w.rows)+len(w.seen)+20)
	v = append(v, w.head...)
	v = binary.AppendUvarint(v, uint64(w.nRows))
	rowsAt = len(v)
	v = append(v, w.rows...)
	v = binary.AppendUvarint(v, uint64(w.nSeen))
	v = append(v, w.seen...)
	return seal(v), rowsAt
}

// readSection decodes a journal value into s, whose slices it reuses. Rows
// alias v.
func readSection(v []byte, s *section) error {
	body, err := unseal("journal entry", v)
	if err != nil {
		return err
	}
	base := len(v) - len(body)
	d := dec{b: body}
	s.scan, s.order = d.str(), d.int()
	s.rows, s.ords, s.offs, s.seen = s.rows[:0], s.ords[:0], s.offs[:0], s.seen[:0]
	last := int64(0)
	for range d.count(3) {
		s.ords = append(s.ords, d.ordinal(&last))
		s.offs = append(s.offs, uint32(base+d.off))
		s.rows = append(s.rows, d.bytes())
	}
	last = 0
	for range d.count(1) {
		s.seen = append(s.seen, d.ordinal(&last))
	}
	if d.bad || d.more() {
		return fmt.Errorf("%w: journal entry has another shape", ErrCorrupt)
	}
	return nil
}

// ordinal reads an ordinal as its distance from the last one.
func (d *dec) ordinal(last *int64) uint32 {
	step := d.int()
	if step < -maxOrdinal || step > maxOrdinal {
		d.fail()
		return 0
	}
	if *last += step; *last < 0 || *last > maxOrdinal {
		d.fail()
		*last = 0
	}
	return uint32(*last)
}

const (
	maxOrdinal = 1<<31 - 1
	maxProfile = 1<<31 - 1
)

// rowAt returns the row whose length stands at off of a journal value.
func rowAt(v []byte, off uint32) ([]byte, error) {
	d := dec{b: v, off: min(int(off), len(v))}
	row := d.bytes()
	if d.bad {
		return nil, fmt.Errorf("%w: journal entry has no row where its index says", ErrCorrupt)
	}
	return row, nil
}
