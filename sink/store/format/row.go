package format

import (
	"encoding/binary"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// AppendRow appends the row at which in stands: id, name and profile, which readers
// ask for most, then the rest. In a page a row refers to its words (zones, states,
// tags) by their numbers in that page; in the store it refers to them by their numbers
// in dict. Equal rows have equal bytes, so that comparing the hashes of two tells
// whether a row changed.
func AppendRow(b []byte, dict *Dict, in *event.RowReader, profile uint32) []byte {
	b = AppendString(b, in.ID)
	b = AppendString(b, in.Name)
	b = binary.AppendUvarint(b, uint64(profile))
	for _, w := range [...]event.Word{in.Zone, in.Status, in.NetworkType} {
		text := in.String(w)
		n, numbered := dict.Word(text)
		b = appendWord(b, n, numbered, text)
	}
	b = binary.AppendUvarint(b, in.Created)
	if in.Created == 0 {
		b = AppendString(b, in.String(in.CreatedText))
	}
	b = binary.AppendVarint(b, int64(in.CPU))
	b = binary.AppendVarint(b, int64(in.MemoryMiB))
	b = binary.AppendUvarint(b, uint64(len(in.Tags)))
	for i := range in.Tags {
		text, value := in.String(in.Tags[i].Key), in.String(in.Tags[i].Value)
		key, numbered := dict.Word(text)
		b = appendWord(b, key, numbered, text)
		var n uint32
		if numbered { // a value of a key without a number has none itself
			n, numbered = dict.Value(key, value)
		}
		b = appendWord(b, n, numbered, value)
	}
	return b
}

// appendWord appends a word as its number in the dictionary plus 1, or, where it has
// none, as 0 and the word in full.
func appendWord(b []byte, n uint32, numbered bool, text string) []byte {
	if !numbered {
		return AppendString(append(b, 0), text)
	}
	return binary.AppendUvarint(b, uint64(n)+1)
}

func readCreated(dec *dec) string {
	v := dec.uint()
	if v == 0 {
		return dec.str()
	}
	return event.UnpackMinute(v)
}

// RowID returns the id that a row begins with.
func RowID(row []byte) []byte {
	d := dec{b: row}
	return d.bytes()
}

// RowHead returns what a row begins with: id, name and profile.
func RowHead(row []byte) (id, name []byte, profile uint32) {
	d := dec{b: row}
	return d.bytes(), d.bytes(), uint32(d.uint())
}

// RowProfile returns the profile of a row, and whether the row has one.
func RowProfile(row []byte) (uint32, bool) {
	decoder := dec{b: row}
	decoder.bytes()
	decoder.bytes()
	p := decoder.uint()
	return uint32(p), !decoder.bad && p <= MaxProfile
}

// RowStatus is the status in a row. It decodes nothing else.
func RowStatus(row []byte, words Words) string {
	decoder := dec{b: row}
	decoder.bytes()
	decoder.bytes()
	decoder.uint()
	words.skip(&decoder) // zone
	return words.read(&decoder)
}

// RowTags sets values to those of the tags of a row that have the keys, "" for a
// key that it has not; found counts these tags. created is when it was created as
// event.PackMinute packs it, 0 where that is not known.
func RowTags(row []byte, words Words, keys, values []string) (found int, created uint64, err error) {
	clear(values)
	decoder := dec{b: row}
	decoder.bytes()
	decoder.bytes()
	decoder.uint()
	for range 3 { // zone, status, network type
		words.skip(&decoder)
	}
	if created = decoder.uint(); created == 0 { // in full
		decoder.bytes()
	}
	decoder.int()
	decoder.int()
	for range decoder.count(2) {
		at := slices.Index(keys, words.read(&decoder))
		if at < 0 {
			words.skip(&decoder)
			continue
		}
		found++
		values[at] = words.read(&decoder)
	}
	return found, created, decoder.err()
}

// skip passes over a word.
func (w Words) skip(d *dec) {
	if d.uint() == 0 {
		d.bytes()
	}
}

// Words resolves the numbers of interned strings.
type Words []string

func (w Words) read(dec *dec) string {
	number := dec.uint()
	if number == 0 {
		return dec.str()
	}
	if number > uint64(len(w)) {
		dec.fail()
		return ""
	}
	return w[number-1][4:]
}

// ReadRow decodes a row and its profile. Strings that are not interned share one copy of it.
func ReadRow(row []byte, words Words) (event.Row, uint32, error) {
	decoder := dec{b: row, text: string(row)}
	received := event.Row{ID: decoder.str(), Name: decoder.str()}
	profile := decoder.uint()
	received.Zone, received.Status, received.NetworkType = words.read(&decoder), words.read(&decoder), words.read(&decoder)
	received.CreationTime = readCreated(&decoder)
	cpu, mem := decoder.int(), decoder.int()
	received.CPU, received.MemoryMiB = int32(cpu), int32(mem)
	if n := decoder.count(2); n > 0 {
		received.Tags = make([]ecs.Tag, n)
		for i := range received.Tags {
			received.Tags[i] = ecs.Tag{Key: words.read(&decoder), Value: words.read(&decoder)}
		}
	}
	if decoder.more() || profile > MaxProfile || int64(received.CPU) != cpu || int64(received.MemoryMiB) != mem {
		decoder.fail()
	}
	return received, uint32(profile), decoder.err()
}
