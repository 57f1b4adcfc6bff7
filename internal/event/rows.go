package event

import (
	"encoding/binary"
	"iter"
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Row is one instance of a page: what it does not share with the others. What it
// does share is in the profile that it refers to.
type Row struct {
	ID, Name, Zone, Status, CreationTime, NetworkType string
	CPU, MemoryMiB                                    int32
	Tags                                              []ecs.Tag
	Profile                                           int    // index into Profiles
	Started                                           uint64 // when it was started last, as PackMinute has it; 0 where that is not known
}

// Rows are the instances of a page in their encoding. The producer encodes them
// and only the sink decodes them. Workers judge profiles, which many instances
// share, and pass the rows on unread.
//
// The encoding is the number of rows, then what is asked of each most (RowHead),
// then every word that occurs in them once, then the rest of each row, which refers
// to words by number. It is the last part of a message.
type Rows struct {
	s        string // the encoding, checked by Decode: readers need not check it again
	n        int
	nameless bool
}

// Len is the number of rows.
func (r Rows) Len() int { return r.n }

// Nameless reports whether some row has no instance id, which no stage may store.
func (r Rows) Nameless() bool { return r.nameless }

// Equal reports whether both hold the same rows, which are written in one way.
func (r Rows) Equal(rows Rows) bool { return r.encoding() == rows.encoding() }

// All decodes every row. The strings share memory with the message: who keeps one
// for longer must clone it.
func (r Rows) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for in := r.Reader(nil); in.Next(); {
			if !yield(in.Row()) {
				return
			}
		}
	}
}

// RowHead is what is asked of a row most.
type RowHead struct {
	ID      string
	Profile int    // index into Profiles
	Started uint64 // see Row
	// Where the encoding has the number of the profile.
	at, behind int
}

// Heads reads the heads of the rows alone, without allocating.
func (r Rows) Heads() iter.Seq[RowHead] {
	return func(yield func(RowHead) bool) {
		in := reader{s: r.encoding()}
		for range in.uint() {
			if !yield(in.head()) {
				return
			}
		}
	}
}

func (r *reader) head() RowHead {
	id, at := r.str(), r.off
	profile, behind := int(r.uint()), r.off
	return RowHead{ID: id, Profile: profile, Started: r.uint(), at: at, behind: behind}
}

// WithProfiles returns the same rows with other profiles: those that of says.
func (r Rows) WithProfiles(of func(RowHead) int) Rows {
	all := r.encoding()
	out, copied := make([]byte, 0, len(all)+r.n), 0
	for head := range r.Heads() {
		if profile := of(head); profile != head.Profile {
			out = appendUint(append(out, all[copied:head.at]...), uint64(profile))
			copied = head.behind
		}
	}
	return Rows{textOf(append(out, all[copied:]...)), r.n, r.nameless}
}

// RowsOf encodes rows.
func RowsOf(rows []Row) Rows {
	rowWriter := newRowWriter()
	defer rowWriter.release()
	for i := range rows {
		rowWriter.row(&rows[i])
	}
	return rowWriter.rows()
}

// rowWriter encodes rows. For each place in a row it remembers the word that stood
// there last, because neighbouring rows mostly have the same one, and comparing it
// is cheaper than looking the word up.
type rowWriter struct {
	writer   // writes what is behind the heads
	heads    []byte
	last     [rowPlaces]lastWord
	n        int
	nameless bool
}

type lastWord struct {
	text   string
	number int
	fresh  int // words in a row that the page did not have before
}

// mostFresh is how many words that are new to the page may follow each other in one
// place of its rows until the next ones are written in full and not looked up: a tag
// that tells instances apart has another value in each.
const mostFresh = 64

// rowPlaces is the number of places whose last word is remembered: zone, status,
// network type, and the keys and values of the first eight tags.
const rowPlaces = 3 + 2*8

var rowWriters = sync.Pool{New: func() any { return new(rowWriter) }}

func newRowWriter() *rowWriter {
	w := rowWriters.Get().(*rowWriter)
	w.speller = spellers.Get().(*speller)
	return w
}

// release returns the writer to the pool.
func (w *rowWriter) release() {
	w.reset()
	w.speller.release()
	w.speller = nil
	rowWriters.Put(w)
}

// reset empties the writer. It keeps its buffer and drops every string of the rows
// it wrote, so that the pool keeps no message alive.
func (w *rowWriter) reset() {
	w.speller.reset()
	*w = rowWriter{writer: writer{b: w.b[:0], speller: w.speller}, heads: w.heads[:0]}
}

// size is roughly the length of the encoding in bytes.
func (w *rowWriter) size() int { return len(w.heads) + len(w.b) + w.speller.size }

func (w *rowWriter) row(instance *Row) {
	w.n++
	w.nameless = w.nameless || instance.ID == ""
	w.heads = appendUint(appendUint(appendStr(w.heads, instance.ID), uint64(instance.Profile)), instance.Started)
	b := w.b // appended to locally: every store into the field costs the garbage collector's write barrier
	b = appendStr(b, instance.Name)
	b = w.at(b, 0, instance.Zone)
	b = w.at(b, 1, instance.Status)
	b = w.at(b, 2, instance.NetworkType)
	b = appendMinute(b, instance.CreationTime)
	b = binary.AppendVarint(b, int64(instance.CPU))
	b = binary.AppendVarint(b, int64(instance.MemoryMiB))
	b = appendUint(b, uint64(len(instance.Tags)))
	for i := range instance.Tags {
		place := 3 + 2*i
		b = w.at(b, place, instance.Tags[i].Key)
		b = w.at(b, place+1, instance.Tags[i].Value)
	}
	w.b = b
}

// at appends the number of the word s, or 0 and the word itself where the table
// of words is full. place is its place in the row.
func (w *rowWriter) at(b []byte, place int, text string) []byte {
	if place >= rowPlaces {
		return w.numbered(b, w.speller.number(text), text)
	}
	last := &w.last[place]
	if last.number != 0 && last.text == text {
		last.fresh = 0
		return appendUint(b, uint64(last.number))
	}
	if last.fresh == mostFresh {
		return w.numbered(b, 0, text)
	}
	words := len(w.speller.words)
	n := w.speller.number(text)
	fresh := 0
	if len(w.speller.words) > words {
		fresh = last.fresh + 1
	}
	*last = lastWord{text, n, fresh}
	return w.numbered(b, n, text)
}

// numbered appends the number of a word, and the word itself where it has none.
func (w *rowWriter) numbered(b []byte, n int, text string) []byte {
	b = appendUint(b, uint64(n))
	if n == 0 {
		b = appendStr(b, text)
	}
	return b
}

// rows returns the encoding: the number of rows, their heads, the table of words,
// the rest of the rows.
func (w *rowWriter) rows() Rows {
	head := writer{b: make([]byte, 0, 8+w.size())}
	head.uint(uint64(w.n))
	head.b = append(head.b, w.heads...)
	head.uint(uint64(len(w.speller.words)))
	for _, s := range w.speller.words {
		head.str(s)
	}
	return Rows{textOf(append(head.b, w.b...)), w.n, w.nameless}
}

// appendMinute appends a time such as "2017-12-10T04:04Z" as a number, and any
// other text as 0 followed by the text.
func appendMinute(b []byte, text string) []byte {
	v, ok := PackMinute(text)
	b = appendUint(b, v)
	if !ok {
		b = appendStr(b, text)
	}
	return b
}

const minuteShape = "0000-00-00T00:00Z"

// PackMinute turns a time that is spelt like "2017-12-10T04:04Z" into a number, by
// its digits alone: 0000-00-00T00:00Z is 1. It returns 0 and false for any other
// text.
func PackMinute(text string) (uint64, bool) {
	if len(text) != len(minuteShape) {
		return 0, false
	}
	number := uint64(0)
	for i := range len(minuteShape) {
		switch digit := text[i]; {
		case minuteShape[i] != '0':
			if digit != minuteShape[i] {
				return 0, false
			}
		case digit < '0' || digit > '9':
			return 0, false
		default:
			number = number*10 + uint64(digit-'0')
		}
	}
	return number + 1, true
}

// UnpackMinute returns the text that PackMinute turned into v.
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

// Word refers to a string of a row: to the N-th of RowReader.Words, counted from
// 1, or, where N is 0, to bytes of the encoding. RowReader.String resolves it.
type Word struct{ N, from, to int32 }

// RowReader reads the rows of a page one by one without allocating. Its fields
// describe the row that Next went to.
type RowReader struct {
	Words []string // the words of the page, which Word refers to

	ID, Name                  string
	Profile                   int
	Zone, Status, NetworkType Word
	Created                   uint64 // the creation time by PackMinute; 0: it is spelt otherwise, see CreatedText
	CreatedText               Word
	Started                   uint64 // the same of the last start, or 0
	CPU, MemoryMiB            int32
	Tags                      []TagWords // reused by the next call of Next

	heads reader
	r     reader // of the rest of the rows
}

// TagWords is a tag of a row.
type TagWords struct{ Key, Value Word }

// Reader returns a reader of the rows. words, which may be nil, is a slice whose
// memory is used for RowReader.Words.
func (r Rows) Reader(words []string) *RowReader {
	in := &RowReader{Words: words}
	in.Reset(r)
	return in
}

// Reset makes the reader read other rows, in the memory that it has.
func (in *RowReader) Reset(rows Rows) {
	in.heads, in.r, in.Words = reader{s: rows.s}, reader{s: rows.s}, in.Words[:0]
	if rows.s == "" {
		return
	}
	in.heads.uint()
	in.r.uint()
	for range rows.n {
		in.r.head()
	}
	for range in.r.uint() {
		in.Words = append(in.Words, in.r.str())
	}
}

// Next goes to the next row and reports whether there is one.
func (in *RowReader) Next() bool {
	if in.r.off == len(in.r.s) { // the last row ends where the encoding does
		return false
	}
	in.read()
	return in.r.err == nil
}

func (in *RowReader) read() {
	head, reader := in.heads.head(), &in.r
	in.ID, in.Profile, in.Started = head.ID, head.Profile, head.Started
	in.Name = reader.str()
	in.Zone, in.Status, in.NetworkType = in.word(), in.word(), in.word()
	in.Created, in.CreatedText = reader.uint(), Word{}
	if in.Created == 0 {
		in.CreatedText = in.text()
	}
	in.CPU, in.MemoryMiB = reader.int32(), reader.int32()
	in.Tags = in.Tags[:0]
	for range reader.count(2) {
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

// text refers to a word that stands in the row itself.
func (in *RowReader) text() Word {
	n := in.r.skip()
	return Word{from: int32(in.r.off - n), to: int32(in.r.off)}
}

// String returns the text of a word of the row.
func (in *RowReader) String(word Word) string {
	if word.N > 0 {
		return in.Words[word.N-1]
	}
	return in.r.s[word.from:word.to]
}

// Row returns the row that Next went to, in memory of its own but for the strings.
func (in *RowReader) Row() Row {
	row := Row{
		ID: in.ID, Name: in.Name, Profile: in.Profile, Zone: in.String(in.Zone), Status: in.String(in.Status), NetworkType: in.String(in.NetworkType),
		CreationTime: in.String(in.CreatedText), CPU: in.CPU, MemoryMiB: in.MemoryMiB, Started: in.Started,
	}
	if in.Created > 0 {
		row.CreationTime = UnpackMinute(in.Created)
	}
	if len(in.Tags) > 0 {
		row.Tags = make([]ecs.Tag, len(in.Tags))
		for i, t := range in.Tags {
			row.Tags[i] = ecs.Tag{Key: in.String(t.Key), Value: in.String(t.Value)}
		}
	}
	return row
}

// rows takes the rest of the message as rows and checks all of it: counts, numbers
// of words and profiles, and times. RowReader relies on that and checks nothing.
func (r *reader) rows(profiles int) Rows {
	out := Rows{s: r.s[r.off:], n: r.count(11)}
	for range out.n {
		head := r.head()
		if head.ID == "" {
			out.nameless = true
		}
		if uint64(head.Profile) >= uint64(profiles) {
			r.fail("row refers to a profile that is not there")
		}
		if head.Started > maxMinute {
			r.fail("time out of range")
		}
	}
	words := r.count(1)
	if words > maxWords {
		r.fail("more words than have a number")
	}
	for range words {
		r.skip()
	}
	for range out.n {
		r.row(uint64(words))
	}
	if r.end() != nil {
		return Rows{}
	}
	return out
}

// row checks what follows the head of a row.
func (r *reader) row(words uint64) {
	r.skip()
	r.skipWords(3, words)
	if created := r.uint(); created == 0 {
		r.skip()
	} else if created > maxMinute {
		r.fail("time out of range")
	}
	r.int32()
	r.int32()
	r.skipWords(2*r.count(2), words)
}

// skipWords checks words of a row: numbers of the table, or texts.
func (r *reader) skipWords(count int, words uint64) {
	for range count {
		if n := r.uint(); n == 0 {
			r.skip()
		} else if n > words {
			r.fail("word that was not spelt out")
		}
	}
}
