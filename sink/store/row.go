package store

import (
	"encoding/binary"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// rowCodec encodes rows. Words have a number in a page and another one here;
// each is looked up once a page.
type rowCodec struct {
	dict  *dict
	words []pageWord // by their number in the page at hand, from 1
}

// pageWord is what a word of a page is here. Numbers of the dict are plus two:
// 0 was not looked up yet, 1 has none.
type pageWord struct {
	word  uint32
	key   uint32 // the tag key that it was last a value of
	value uint32 // what it is as that
}

const notNumbered = 1

func numbered(n uint32, ok bool) uint32 {
	if !ok {
		return notNumbered
	}
	return n + 2
}

// page begins a page with n words.
func (c *rowCodec) page(n int) {
	c.words = slices.Grow(c.words[:0], n)[:n]
	clear(c.words)
}

// append appends the row that in has gone to: id, name, profile, then the rest.
// Equal rows have equal bytes.
func (c *rowCodec) append(b []byte, in *event.RowReader, profile uint32) []byte {
	b = appendStr(b, in.ID)
	b = appendStr(b, in.Name)
	b = binary.AppendUvarint(b, uint64(profile))
	for _, w := range [...]event.Word{in.Zone, in.Status, in.NetworkType} {
		b = appendNumbered(b, c.word(in, w), in, w)
	}
	b = binary.AppendUvarint(b, in.Created)
	if in.Created == 0 {
		b = appendStr(b, in.String(in.CreatedText))
	}
	b = binary.AppendVarint(b, int64(in.CPU))
	b = binary.AppendVarint(b, int64(in.MemoryMiB))
	b = binary.AppendUvarint(b, uint64(len(in.Tags)))
	for i := range in.Tags {
		t := &in.Tags[i]
		key := c.word(in, t.Key)
		b = appendNumbered(b, key, in, t.Key)
		b = appendNumbered(b, c.value(in, key, t.Value), in, t.Value)
	}
	return b
}

// appendNumbered writes a word by its number here, or in full behind a 0.
func appendNumbered(b []byte, n uint32, in *event.RowReader, w event.Word) []byte {
	if n == notNumbered {
		return appendStr(append(b, 0), in.String(w))
	}
	return binary.AppendUvarint(b, uint64(n)-1)
}

func (c *rowCodec) word(in *event.RowReader, w event.Word) uint32 {
	if w.N == 0 {
		return numbered(c.dict.word(in.String(w)))
	}
	p := &c.words[w.N-1]
	if p.word == 0 {
		p.word = numbered(c.dict.word(in.Words[w.N-1]))
	}
	return p.word
}

// value is word for a value of a tag key, which is numbered too or has none.
func (c *rowCodec) value(in *event.RowReader, key uint32, w event.Word) uint32 {
	if key == notNumbered {
		return notNumbered
	}
	if w.N == 0 {
		return numbered(c.dict.value(key-2, in.String(w)))
	}
	p := &c.words[w.N-1]
	if p.key != key {
		p.key, p.value = key, numbered(c.dict.value(key-2, in.Words[w.N-1]))
	}
	return p.value
}

func readCreated(d *dec) string {
	v := d.uint()
	if v == 0 {
		return d.str()
	}
	return event.UnpackMinute(v)
}

// rowID returns the id that a row begins with.
func rowID(row []byte) []byte {
	d := dec{b: row}
	return d.bytes()
}

// rowProfile returns the profile of a row.
func rowProfile(row []byte) (uint32, bool) {
	d := dec{b: row}
	d.bytes()
	d.bytes()
	p := d.uint()
	return uint32(p), !d.bad && p <= maxProfile
}

// words resolves the numbers of interned strings.
type words []string

func (w words) read(d *dec) string {
	n := d.uint()
	if n == 0 {
		return d.str()
	}
	if n > uint64(len(w)) {
		d.fail()
		return ""
	}
	return w[n-1][4:]
}

// readRow decodes a row. Strings that are not interned share one copy of it.
func readRow(row []byte, w words) (event.Row, uint32, error) {
	d := dec{b: row, text: string(row)}
	r := event.Row{ID: d.str(), Name: d.str()}
	profile := d.uint()
	r.Zone, r.Status, r.NetworkType = w.read(&d), w.read(&d), w.read(&d)
	r.CreationTime = readCreated(&d)
	cpu, mem := d.int(), d.int()
	r.CPU, r.MemoryMiB = int32(cpu), int32(mem)
	if n := d.count(2); n > 0 {
		r.Tags = make([]ecs.Tag, n)
		for i := range r.Tags {
			r.Tags[i] = ecs.Tag{Key: w.read(&d), Value: w.read(&d)}
		}
	}
	if d.more() || profile > maxProfile || int64(r.CPU) != cpu || int64(r.MemoryMiB) != mem {
		d.fail()
	}
	return r, uint32(profile), d.err()
}
