package event

import (
	"sync"
	"unsafe"
)

// Most strings of a page stand in it again and again: zones, states, names of
// operating systems, keys of tags. Such a string, a word, is spelt out where it
// comes first and is a number from then on: n > 0 stands for the n-th word that
// was spelt out, and 0 is before one that is. Only the first maxWords have a
// number. A page of 100 instances with six tags each is 17 KB that way instead
// of 33, one of 500 67 KB.

const maxWords = 1024

// speller numbers the words of the message that is written.
type speller struct {
	numbers map[string]int
	words   []string
	size    int // bytes that the words take, spelt out
	// hints hold, by where a word lies in memory, the number that it is likely to
	// have: whoever decoded the page gave equal words one place, so that most are
	// found without a look at their text.
	hints [512]uint16
}

// number returns the word's number, giving it one if there is one left: 0 is
// none.
func (s *speller) number(word string) int {
	hint := &s.hints[whereabouts(word)%uint64(len(s.hints))]
	if n := int(*hint); n > 0 && n <= len(s.words) && s.words[n-1] == word {
		return n
	}
	n := s.numbers[word]
	if n == 0 && len(s.words) < maxWords {
		s.words = append(s.words, word)
		s.size += len(word) + 2
		n = len(s.words)
		s.numbers[word] = n
	}
	*hint = uint16(n)
	return n
}

// whereabouts is a number made of the place of a text in memory. It is a hint alone:
// equal texts may lie in several places.
func whereabouts(text string) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.StringData(text)))) * 0x9E3779B97F4A7C15 >> 32
}

var spellers = sync.Pool{New: func() any { return &speller{numbers: map[string]int{}} }}

func newWriter(b []byte) *writer { return &writer{b: b, speller: spellers.Get().(*speller)} }

// release gives the speller back.
func (s *speller) release() {
	s.reset()
	spellers.Put(s)
}

// reset begins anew; the speller holds no string of the message any more.
func (s *speller) reset() {
	clear(s.numbers)
	clear(s.words)
	s.words, s.size = s.words[:0], 0
}

// spelt are the words of the message that is read.
type spelt struct{ words []string }

var spelts = sync.Pool{New: func() any { return &spelt{make([]string, 0, maxWords)} }}

func (s *spelt) release() {
	clear(s.words)
	s.words = s.words[:0]
	spelts.Put(s)
}

// word writes a string that is likely to come again.
func (w *writer) word(text string) {
	if w.speller == nil {
		w.str(text)
		return
	}
	spelt := len(w.speller.words)
	n := w.speller.number(text)
	if n > spelt { // just now
		n = 0
	}
	w.uint(uint64(n))
	if n == 0 {
		w.str(text)
	}
}

// word reads what word wrote.
func (r *reader) word() string {
	if r.spelt == nil {
		return r.str()
	}
	number := r.uint()
	if number == 0 {
		s := r.str()
		if len(r.spelt.words) < maxWords {
			r.spelt.words = append(r.spelt.words, s)
		}
		return s
	}
	if number > uint64(len(r.spelt.words)) {
		r.fail("word that was not spelt out")
		return ""
	}
	return r.spelt.words[number-1]
}
