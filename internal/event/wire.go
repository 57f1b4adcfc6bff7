package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// ErrMalformed is returned by Decode for bytes that are not a message of this
// version. Such a message can never be processed.
var ErrMalformed = errors.New("malformed message")

// ErrNewer is returned by Decode for a message of a version that this binary
// does not know: a newer shenscan is on the same bus. The message is fine and
// must be left for that one.
var ErrNewer = errors.New("message of a newer version")

// writer appends the flat encoding: unsigned varints, zig-zag varints and
// length-prefixed strings.
type writer struct {
	b       []byte
	speller *speller // nil writes words as strings
}

func (w *writer) uint(v uint64) { w.b = appendUint(w.b, v) }
func (w *writer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) byte(v byte)   { w.b = append(w.b, v) }
func (w *writer) str(s string)  { w.b = appendStr(w.b, s) }

func (w *writer) bool(v bool) {
	if v {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

func appendUint(b []byte, v uint64) []byte {
	if v < 0x80 { // nearly all
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}

func appendStr(b []byte, s string) []byte { return append(appendUint(b, uint64(len(s))), s...) }

// reader reads the flat encoding. Strings alias s. The first error sticks and
// everything after it reads as zero, so that callers check once.
type reader struct {
	s     string
	off   int
	err   error
	spelt *spelt // the words that were spelt out so far; nil reads words as strings
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, r.off)
	}
	r.off = len(r.s)
}

// end returns the first error; bytes that nobody read are one.
func (r *reader) end() error {
	if r.err == nil && r.off != len(r.s) {
		r.fail("bytes after the end")
	}
	return r.err
}

func (r *reader) uint() uint64 {
	if r.off < len(r.s) && r.s[r.off] < 0x80 { // nearly all
		r.off++
		return uint64(r.s[r.off-1])
	}
	return r.longUint()
}

func (r *reader) longUint() uint64 {
	var value uint64
	for shift := uint(0); shift <= 63; shift += 7 {
		if r.off >= len(r.s) {
			r.fail("number cut short")
			return 0
		}
		c := r.s[r.off]
		r.off++
		value |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return value
		}
	}
	r.fail("number too long")
	return 0
}

func (r *reader) int() int64 {
	u := r.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) byte() byte {
	if r.off >= len(r.s) {
		r.fail("byte missing")
		return 0
	}
	c := r.s[r.off]
	r.off++
	return c
}

func (r *reader) str() string {
	n := r.skip()
	return r.s[r.off-n : r.off]
}

// skip goes past a string and returns its length. It is most of what a page is
// decoded with, and takes a third less time than str.
func (r *reader) skip() int {
	n := r.uint()
	if n > uint64(len(r.s)-r.off) {
		r.fail("string longer than the message")
		return 0
	}
	r.off += int(n)
	return int(n)
}

// count reads a number of elements of at least least bytes each, so that a
// hostile count cannot make the reader allocate more than the message holds.
func (r *reader) count(least int) int {
	n := r.uint()
	if n > uint64((len(r.s)-r.off)/least) {
		r.fail("more elements than bytes")
		return 0
	}
	return int(n)
}

func (r *reader) int32() int32 {
	v := r.int()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.fail("number out of range")
		return 0
	}
	return int32(v)
}

// enum reads one byte that must be at most most.
func (r *reader) enum(most byte) byte {
	v := r.byte()
	if v > most {
		r.fail("unknown enumeration value")
		return 0
	}
	return v
}

// textOf is b as a string, which nobody may write to from then on.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
