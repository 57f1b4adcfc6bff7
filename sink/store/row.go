package store

import (
	"encoding/binary"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// rowCodec encodes rows. It remembers the last words it saw, since
// neighbouring instances share them.
type rowCodec struct {
	dict              *dict
	zone, status, net memo
	tags              [8]tagMemo
}

type memo struct {
	text string
	n    uint32
	ok   bool
}

type tagMemo struct{ key, value memo }

// append appends the row: id, name, profile, then the rest. Equal rows have
// equal bytes.
func (c *rowCodec) append(b []byte, r *event.Row, profile uint32) []byte {
	b = appendStr(b, r.ID)
	b = appendStr(b, r.Name)
	b = binary.AppendUvarint(b, uint64(profile))
	b = c.word(b, &c.zone, r.Zone)
	b = c.word(b, &c.status, r.Status)
	b = c.word(b, &c.net, r.NetworkType)
	b = appendCreated(b, r.CreationTime)
	b = binary.AppendVarint(b, int64(r.CPU))
	b = binary.AppendVarint(b, int64(r.MemoryMiB))
	b = binary.AppendUvarint(b, uint64(len(r.Tags)))
	for i := range r.Tags {
		b = c.tag(b, i, &r.Tags[i])
	}
	return b
}

func (c *rowCodec) word(b []byte, m *memo, s string) []byte {
	if !m.ok || m.text != s {
		n, ok := c.dict.word(s)
		if !ok {
			m.ok = false
			return appendStr(append(b, 0), s)
		}
		*m = memo{c.dict.at(n), n, true}
	}
	return binary.AppendUvarint(b, uint64(m.n)+1)
}

func (c *rowCodec) tag(b []byte, i int, t *ecs.Tag) []byte {
	m := &c.tags[i%len(c.tags)]
	if !m.key.ok || m.key.text != t.Key {
		m.value.ok = false
	}
	b = c.word(b, &m.key, t.Key)
	if !m.key.ok {
		return appendStr(append(b, 0), t.Value)
	}
	if !m.value.ok || m.value.text != t.Value {
		n, ok := c.dict.value(m.key.n, t.Value)
		if !ok {
			m.value.ok = false
			return appendStr(append(b, 0), t.Value)
		}
		m.value = memo{c.dict.at(n), n, true}
	}
	return binary.AppendUvarint(b, uint64(m.value.n)+1)
}

// appendCreated packs "2017-12-10T04:04Z" into a number; anything else is
// kept as it is.
func appendCreated(b []byte, s string) []byte {
	const shape = "0000-00-00T00:00Z"
	if len(s) != len(shape) {
		return appendStr(append(b, 0), s)
	}
	for i := range len(shape) {
		if shape[i] == '0' {
			if s[i] < '0' || s[i] > '9' {
				return appendStr(append(b, 0), s)
			}
		} else if s[i] != shape[i] {
			return appendStr(append(b, 0), s)
		}
	}
	two := func(i int) uint64 { return uint64(s[i]-'0')*10 + uint64(s[i+1]-'0') }
	v := two(0)*100 + two(2)
	for _, i := range []int{5, 8, 11, 14} {
		v = v*100 + two(i)
	}
	return binary.AppendUvarint(b, v+1)
}

func readCreated(d *dec) string {
	v := d.uint()
	if v == 0 {
		return d.str()
	}
	v--
	b := []byte("0000-00-00T00:00Z")
	for _, i := range []int{14, 11, 8, 5, 2, 0} {
		b[i], b[i+1] = byte('0'+v/10%10), byte('0'+v%10)
		v /= 100
	}
	return string(b)
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
