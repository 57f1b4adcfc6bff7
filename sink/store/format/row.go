package format

import (
	"encoding/binary"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// RowCodec encodes the rows of pages as the store keeps them. In a page a row refers
// to its words (zones, states, tags) by their numbers in that page; in the store it
// refers to them by their numbers in Dict. Which number of the store a word has is
// looked up once for each page, however many of its rows have the word.
type RowCodec struct {
	Dict  *Dict
	words []pageWord // of the page at hand; number 1 of the page is at index 0
}

// pageWord is what is known of a word of the page at hand. Its fields hold numbers
// of Dict plus 2, so that 0 says that the word was not looked up yet, and
// notNumbered that Dict has no number for it.
type pageWord struct {
	word  uint32 // as a word
	key   uint32 // the tag key as whose value it was looked up last
	value uint32 // as a value of that key: values are numbered for each key
}

// notNumbered stands for a word that has no number, because Dict is full or does not
// number it: rows have it in full.
const notNumbered = 1

// numbered is what a pageWord holds of what Dict answered.
func numbered(n uint32, ok bool) uint32 {
	if !ok {
		return notNumbered
	}
	return n + 2
}

// Page begins a page with n words: what was looked up for the page before is
// forgotten.
func (c *RowCodec) Page(n int) {
	c.words = slices.Grow(c.words[:0], n)[:n]
	clear(c.words)
}

// Append appends the row at which in stands: id, name and profile, which readers ask
// for most, then the rest. Equal rows have equal bytes, so that comparing the hashes
// of two tells whether a row changed.
func (c *RowCodec) Append(b []byte, in *event.RowReader, profile uint32) []byte {
	b = AppendString(b, in.ID)
	b = AppendString(b, in.Name)
	b = binary.AppendUvarint(b, uint64(profile))
	for _, w := range [...]event.Word{in.Zone, in.Status, in.NetworkType} {
		b = appendNumbered(b, c.word(in, w), in, w)
	}
	b = binary.AppendUvarint(b, in.Created)
	if in.Created == 0 {
		b = AppendString(b, in.String(in.CreatedText))
	}
	b = binary.AppendVarint(b, int64(in.CPU))
	b = binary.AppendVarint(b, int64(in.MemoryMiB))
	b = binary.AppendUvarint(b, uint64(len(in.Tags)))
	for i := range in.Tags {
		tagWords := &in.Tags[i]
		key := c.word(in, tagWords.Key)
		b = appendNumbered(b, key, in, tagWords.Key)
		b = appendNumbered(b, c.value(in, key, tagWords.Value), in, tagWords.Value)
	}
	return b
}

// appendNumbered appends a word as its number in Dict plus 1, or, where it has none,
// as 0 and the word in full. n is what numbered returned.
func appendNumbered(b []byte, n uint32, in *event.RowReader, w event.Word) []byte {
	if n == notNumbered {
		return AppendString(append(b, 0), in.String(w))
	}
	return binary.AppendUvarint(b, uint64(n)-1)
}

// word is the number of a word of the page.
func (c *RowCodec) word(in *event.RowReader, w event.Word) uint32 {
	if w.N == 0 {
		return numbered(c.Dict.Word(in.String(w)))
	}
	pageWord := &c.words[w.N-1]
	if pageWord.word == 0 {
		pageWord.word = numbered(c.Dict.Word(in.Words[w.N-1]))
	}
	return pageWord.word
}

// value is the number of a tag's value among the values of its key; key is the number
// of that key. A value of a key without a number has none itself.
func (c *RowCodec) value(in *event.RowReader, key uint32, word event.Word) uint32 {
	if key == notNumbered {
		return notNumbered
	}
	if word.N == 0 {
		return numbered(c.Dict.Value(key-2, in.String(word)))
	}
	pageWord := &c.words[word.N-1]
	if pageWord.key != key {
		pageWord.key, pageWord.value = key, numbered(c.Dict.Value(key-2, in.Words[word.N-1]))
	}
	return pageWord.value
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
