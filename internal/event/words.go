package event

import (
	"hash/maphash"
	"sync"
	"unsafe"
)

// Most strings of a page stand in it again and again: zones, states, names of
// operating systems, keys of tags. Such a string, a word, is spelt out where it
// comes first and is a number from then on: n > 0 stands for the n-th word that
// was spelt out, and 0 is before one that is. Only the first maxWords have a
// number. A page of 100 instances with six tags each is 17 KB that way instead
// of 33, one of 500 67 KB.

const (
	maxWords = 1024
	slots    = 2 * maxWords
	places   = 512
)

// speller numbers the words of the message that is written.
type speller struct {
	slots [slots]wordSlot // open addressing
	// places holds, by where a string lies in memory, the number of the word it
	// is. Whoever decoded the page gave equal words the same place, so that most
	// are found without a look at their text.
	places [places]uint16
	words  []string
	size   int // bytes that the words take, spelt out
}

// wordSlot holds the number of a word, 0 for none, and enough of its hash that
// the text of another word is hardly ever looked at.
type wordSlot struct{ number, tag uint16 }

// number returns the word's number, giving it one if there is one left: 0 is
// none.
func (s *speller) number(word string) int {
	// Only a hint of where to look: == decides, and is quick for the same place.
	place := &s.places[uint64(uintptr(unsafe.Pointer(unsafe.StringData(word))))*0x9E3779B97F4A7C15>>(64-9)]
	if n := *place; n != 0 && s.words[n-1] == word {
		return int(n)
	}
	h := maphash.String(seed, word)
	at, tag := h%slots, uint16(h>>48)
	for ; s.slots[at].number != 0; at = (at + 1) % slots {
		if is := s.slots[at]; is.tag == tag && s.words[is.number-1] == word {
			*place = is.number
			return int(is.number)
		}
	}
	if len(s.words) == maxWords {
		return 0
	}
	s.words = append(s.words, word)
	s.size += len(word) + 2
	n := uint16(len(s.words))
	s.slots[at], *place = wordSlot{n, tag}, n
	return int(n)
}

var spellers = sync.Pool{New: func() any {
	return &speller{words: make([]string, 0, maxWords)}
}}

func newWriter(b []byte) *writer { return &writer{b: b, speller: spellers.Get().(*speller)} }

// release gives the speller back.
func (s *speller) release() {
	if len(s.words) > 0 {
		s.reset()
	}
	spellers.Put(s)
}

// reset begins anew; the speller holds no string of the message any more.
func (s *speller) reset() {
	clear(s.words)
	s.words, s.size = s.words[:0], 0
	s.slots, s.places = [slots]wordSlot{}, [places]uint16{}
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
