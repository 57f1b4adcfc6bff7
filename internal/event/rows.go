package event

import (
	"encoding/binary"
	"iter"
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Row is one instance of a page: what is not shared with others.
type Row struct {
	ID, Name, Zone, Status, CreationTime, NetworkType string
	CPU, MemoryMiB                                    int32
	Tags                                              []ecs.Tag
	Profile                                           int // index into Profiles
}

// Rows are the instances of a page as they travel. Whoever reads the page from
// the cloud encodes them, and only the sink looks into them: workers, who judge
// what the instances have in common, pass them on as they are.
//
// Their encoding is the number of rows, the words that stand in them, each
// once, and the rows, which name words by number. It is part of the message's.
type Rows struct {
	s        string // complete and sound: Decode has checked it
	n        int
	nameless bool
}

// Len is the number of rows.
func (r Rows) Len() int { return r.n }

// Nameless reports whether a row has no instance id.
func (r Rows) Nameless() bool { return r.nameless }

// Equal reports whether both hold the same rows.
func (r Rows) Equal(o Rows) bool {
	if r.s == o.s {
		return true
	}
	if r.n != o.n {
		return false
	}
	a, b := r.Reader(nil), o.Reader(nil)
	for a.Next() && b.Next() {
		if x, y := a.Row(), b.Row(); !x.equal(&y) {
			return false
		}
	}
	return true
}

func (r *Row) equal(o *Row) bool {
	if len(r.Tags) != len(o.Tags) {
		return false
	}
	for i := range r.Tags {
		if r.Tags[i] != o.Tags[i] {
			return false
		}
	}
	return r.ID == o.ID && r.Name == o.Name && r.Zone == o.Zone && r.Status == o.Status && r.CreationTime == o.CreationTime &&
		r.NetworkType == o.NetworkType && r.CPU == o.CPU && r.MemoryMiB == o.MemoryMiB && r.Profile == o.Profile
}

// All decodes every row. Strings are parts of the message.
func (r Rows) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for in := r.Reader(nil); in.Next(); {
			if !yield(in.Row()) {
				return
			}
		}
	}
}

// RowsOf encodes rows.
func RowsOf(rows []Row) Rows {
	w := newRowWriter()
	defer w.release()
	for i := range rows {
		w.row(&rows[i])
	}
	return w.rows()
}

// rowWriter encodes rows. It has a place of its own for each word of a row, as
// neighbours have the same in most.
type rowWriter struct {
	writer
	last     [rowPlaces]lastWord
	n        int
	nameless bool
}

type lastWord struct {
	text   string
	number int
}

// rowPlaces are how many words of a row have a place of their own: three and
// the first tags.
const rowPlaces = 3 + 2*8

var rowWriters = sync.Pool{New: func() any { return new(rowWriter) }}

func newRowWriter() *rowWriter {
	w := rowWriters.Get().(*rowWriter)
	w.speller = spellers.Get().(*speller)
	return w
}

// release gives the writer back.
func (w *rowWriter) release() {
	w.reset()
	w.speller.release()
	w.speller = nil
	rowWriters.Put(w)
}

// reset begins anew; the writer holds no string of what it wrote any more.
func (w *rowWriter) reset() {
	w.speller.reset()
	*w = rowWriter{writer: writer{b: w.b[:0], speller: w.speller}}
}

// size is about how many bytes the rows take.
func (w *rowWriter) size() int { return len(w.b) + w.speller.size }

func (w *rowWriter) row(x *Row) {
	w.n++
	w.nameless = w.nameless || x.ID == ""
	b := w.b // the field is written once: every such write is one of a pointer
	b = appendStr(b, x.ID)
	b = appendStr(b, x.Name)
	b = appendUint(b, uint64(x.Profile))
	b = w.at(b, 0, x.Zone)
	b = w.at(b, 1, x.Status)
	b = w.at(b, 2, x.NetworkType)
	b = appendMinute(b, x.CreationTime)
	b = binary.AppendVarint(b, int64(x.CPU))
	b = binary.AppendVarint(b, int64(x.MemoryMiB))
	b = appendUint(b, uint64(len(x.Tags)))
	for i := range x.Tags {
		place := 3 + 2*i
		b = w.at(b, place, x.Tags[i].Key)
		b = w.at(b, place+1, x.Tags[i].Value)
	}
	w.b = b
}

// at appends the number of a word, or 0 and the word where it has none. place
// is where it stands in the row.
func (w *rowWriter) at(b []byte, place int, s string) []byte {
	if place < rowPlaces {
		if last := &w.last[place]; last.number != 0 && last.text == s {
			return appendUint(b, uint64(last.number))
		}
	}
	n := w.speller.number(s)
	b = appendUint(b, uint64(n))
	if n == 0 {
		b = appendStr(b, s)
	}
	if place < rowPlaces {
		w.last[place] = lastWord{s, n}
	}
	return b
}

// rows puts the encoding together.
func (w *rowWriter) rows() Rows {
	head := writer{b: make([]byte, 0, 8+w.size())}
	head.uint(uint64(w.n))
	head.uint(uint64(len(w.speller.words)))
	for _, s := range w.speller.words {
		head.str(s)
	}
	return Rows{textOf(append(head.b, w.b...)), w.n, w.nameless}
}

// appendMinute appends a time such as "2017-12-10T04:04Z" as a number, and
// anything else as it is behind a 0.
func appendMinute(b []byte, s string) []byte {
	v, ok := PackMinute(s)
	b = appendUint(b, v)
	if !ok {
		b = appendStr(b, s)
	}
	return b
}

const minuteShape = "0000-00-00T00:00Z"

// PackMinute makes a number of a time that is spelt like "2017-12-10T04:04Z",
// by its digits. Other text has none; its number is 0.
func PackMinute(s string) (uint64, bool) {
	if len(s) != len(minuteShape) {
		return 0, false
	}
	v := uint64(0)
	for i := range len(minuteShape) {
		switch c := s[i]; {
		case minuteShape[i] != '0':
			if c != minuteShape[i] {
				return 0, false
			}
		case c < '0' || c > '9':
			return 0, false
		default:
			v = v*10 + uint64(c-'0')
		}
	}
	return v + 1, true
}

// UnpackMinute is the text of a number that PackMinute gave.
func UnpackMinute(v uint64) string {
	b := []byte(minuteShape)
	v--
	for i := len(b) - 1; i >= 0; i-- {
		if minuteShape[i] == '0' {
			b[i] = byte('0' + v%10)
			v /= 10
		}
	}
	return string(b)
}

// Word is a string of a row: the N-th of the reader's Words, counted from 1, or
// a text of its own where N is 0. RowReader.String returns it.
type Word struct{ N, from, to int32 }

// RowReader walks the rows of a page without making anything of them. The
// fields tell of the row that Next went to.
type RowReader struct {
	Words []string

	ID, Name                  string
	Profile                   int
	Zone, Status, NetworkType Word
	Created                   uint64 // what PackMinute gave, or 0: then CreatedText has it
	CreatedText               Word
	CPU, MemoryMiB            int32
	Tags                      []TagWords // valid until the next row

	r    reader
	left int
}

// TagWords is a tag of a row.
type TagWords struct{ Key, Value Word }

// Reader begins to read the rows. words is room for Words; it may be nil.
func (r Rows) Reader(words []string) *RowReader {
	in := &RowReader{Words: words}
	in.Reset(r)
	return in
}

// Reset begins to read other rows in the same room.
func (in *RowReader) Reset(rows Rows) {
	in.r, in.left, in.Words = reader{s: rows.s}, rows.n, in.Words[:0]
	if rows.s == "" {
		return
	}
	in.r.uint()
	for range in.r.uint() {
		in.Words = append(in.Words, in.r.str())
	}
}

// Next goes to the next row; false means that there is none.
func (in *RowReader) Next() bool {
	if in.left == 0 {
		return false
	}
	in.left--
	in.read()
	return in.r.err == nil
}

func (in *RowReader) read() {
	r := &in.r
	in.ID, in.Name = r.str(), r.str()
	in.Profile = int(r.uint())
	in.Zone, in.Status, in.NetworkType = in.word(), in.word(), in.word()
	in.Created, in.CreatedText = r.uint(), Word{}
	if in.Created == 0 {
		in.CreatedText = in.text()
	}
	in.CPU, in.MemoryMiB = r.int32(), r.int32()
	in.Tags = in.Tags[:0]
	for range r.count(2) {
		in.Tags = append(in.Tags, TagWords{in.word(), in.word()})
	}
}

const maxMinute = 1e12 // 9999-99-99T99:99Z, plus one

func (in *RowReader) word() Word {
	if n := in.r.uint(); n != 0 {
		return Word{N: int32(n)}
	}
	return in.text()
}

// text reads a word that is spelt out.
func (in *RowReader) text() Word {
	n := in.r.skip()
	return Word{from: int32(in.r.off - n), to: int32(in.r.off)}
}

// String returns the text of a word of the row.
func (in *RowReader) String(w Word) string {
	if w.N > 0 {
		return in.Words[w.N-1]
	}
	return in.r.s[w.from:w.to]
}

// Row makes a Row of the row that Next went to.
func (in *RowReader) Row() Row {
	x := Row{
		ID: in.ID, Name: in.Name, Profile: in.Profile, Zone: in.String(in.Zone), Status: in.String(in.Status), NetworkType: in.String(in.NetworkType),
		CreationTime: in.String(in.CreatedText), CPU: in.CPU, MemoryMiB: in.MemoryMiB,
	}
	if in.Created > 0 {
		x.CreationTime = UnpackMinute(in.Created)
	}
	if len(in.Tags) > 0 {
		x.Tags = make([]ecs.Tag, len(in.Tags))
		for i, t := range in.Tags {
			x.Tags[i] = ecs.Tag{Key: in.String(t.Key), Value: in.String(t.Value)}
		}
	}
	return x
}

// rows checks the rows, which end the message, so that whoever reads them later
// needs not.
func (r *reader) rows(profiles int) Rows {
	out := Rows{s: r.s[r.off:], n: r.count(10)}
	words := r.count(1)
	if words > maxWords {
		r.fail("more words than have a number")
	}
	for range words {
		r.skip()
	}
	for range out.n {
		if r.skip() == 0 {
			out.nameless = true
		}
		r.row(uint64(profiles), uint64(words))
	}
	if r.end() != nil {
		return Rows{}
	}
	return out
}

// row checks what comes behind the id of a row.
func (r *reader) row(profiles, words uint64) {
	r.skip()
	if r.uint() >= profiles {
		r.fail("row refers to a profile that is not there")
	}
	for range 3 {
		r.skipWord(words)
	}
	if created := r.uint(); created == 0 {
		r.skip()
	} else if created > maxMinute {
		r.fail("time out of range")
	}
	r.int32()
	r.int32()
	for range 2 * r.count(2) {
		r.skipWord(words)
	}
}

// skipWord checks a word of a row.
func (r *reader) skipWord(words uint64) {
	if n := r.uint(); n == 0 {
		r.skip()
	} else if n > words {
		r.fail("word that was not spelt out")
	}
}
