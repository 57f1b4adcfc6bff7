package event

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Everything that a message may hold comes back, up to the bounds, and nothing
// beyond them is read.
func TestNumbersAndTimesHaveBounds(t *testing.T) {
	for _, want := range []int64{0, 1, -1, 63, -64, 64, math.MaxInt64, math.MinInt64} {
		w := &writer{}
		w.int(want)
		r := &reader{s: string(w.b)}
		if got := r.int(); got != want || r.end() != nil {
			t.Errorf("%d comes back as %d, %v", want, got, r.err)
		}
	}
	for text, want := range map[string]uint64{"\x7f": 127, "\x80\x01": 128, strings.Repeat("\xff", 9) + "\x01": math.MaxUint64} {
		r := &reader{s: text}
		if got := r.uint(); got != want || r.end() != nil {
			t.Errorf("%x is read as %d, %v", text, got, r.err)
		}
	}
	for _, text := range []string{"", "\x80", strings.Repeat("\x80", 10) + "\x01"} {
		r := &reader{s: text}
		if got := r.uint(); got != 0 || !errors.Is(r.end(), ErrMalformed) {
			t.Errorf("%x is read as %d, %v", text, got, r.err)
		}
	}
	for want, ok := range map[int64]bool{math.MaxInt32: true, math.MinInt32: true, math.MaxInt32 + 1: false, math.MinInt32 - 1: false} {
		w := &writer{}
		w.int(want)
		r := &reader{s: string(w.b)}
		if got := r.int32(); (r.end() == nil) != ok || ok && int64(got) != want || !ok && got != 0 {
			t.Errorf("%d is read as %d, %v", want, got, r.err)
		}
	}
	first, last := time.Unix(firstSecond, 1).UTC(), time.Unix(lastSecond, 999_999_999).UTC()
	if first.Year() != 1 || last.Year() != 9999 || first.Add(-time.Second).Year() == 1 || last.Add(time.Second).Year() == 9999 {
		t.Errorf("times are in %d to %d", first.Year(), last.Year())
	}
	for want, ok := range map[time.Time]bool{first: true, last: true, first.Add(-time.Second): false, last.Add(time.Second): false} {
		w := &writer{}
		w.time(want)
		r := &reader{s: string(w.b)}
		if got := r.time(); (r.end() == nil) != ok || ok && !got.Equal(want) || !ok && !got.IsZero() {
			t.Errorf("%v is read as %v, %v", want, got, r.err)
		}
	}
	w := &writer{}
	w.bool(true)
	w.int(0)
	w.uint(uint64(time.Second))
	if r := (&reader{s: string(w.b)}); !r.time().IsZero() || r.err == nil {
		t.Error("a second has a billionth too many")
	}
}

// A count takes no memory that the message has no bytes for.
func TestCountsAreBoundByWhatFollows(t *testing.T) {
	for _, c := range []struct {
		text  string
		least int
		ok    bool
	}{{"\x00", 1, true}, {"\x04aaaa", 1, true}, {"\x05aaaa", 1, false}, {"\x02aaaa", 2, true}, {"\x03aaaa", 2, false}, {"\x02aaa", 2, false}, {"\x02aaaaa", 3, false}} {
		r := &reader{s: c.text}
		got := r.count(c.least)
		if (r.err == nil) != c.ok || c.ok && got != int(c.text[0]) || !c.ok && got != 0 {
			t.Errorf("%d elements of %d bytes in %d bytes: %d, %v", c.text[0], c.least, len(c.text)-1, got, r.err)
		}
	}
}

// A string ends with the message at the latest, whether it is read or skipped.
func TestStringsEndWithTheMessage(t *testing.T) {
	for text, want := range map[string]int{"\x00": 0, "\x04aaaa": 4, "\x05aaaa": -1, "\x06aaaa": -1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01aaaa": -1} {
		skips, reads := &reader{s: text}, &reader{s: text}
		if skipped, read := skips.skip(), reads.str(); (skips.end() == nil) != (want >= 0) || (reads.end() == nil) != (want >= 0) || skipped != max(0, want) || len(read) != skipped {
			t.Errorf("%q: %d bytes are skipped (%v), %q is read (%v)", text, skipped, skips.err, read, reads.err)
		}
	}
}

// What refers to something refers to something that is there: whoever reads a page
// takes it by its number and looks no further.
func TestWhatRefersToNothingIsRefused(t *testing.T) {
	for _, c := range []struct {
		software, hardware uint64
		ok                 bool
	}{{0, 0, true}, {1, 2, true}, {2, 0, false}, {0, 3, false}, {2, 3, false}} {
		w := &writer{}
		w.uint(1)
		w.uint(c.software)
		w.uint(c.hardware)
		r := &reader{s: string(w.b)}
		if got := r.profiles(2, 3, false); (r.end() == nil) != c.ok || len(got) == 1 != c.ok {
			t.Errorf("a profile of software %d of 2 on machine %d of 3: %v, %v", c.software, c.hardware, got, r.err)
		}
	}
	row := func(profile, started, created, word uint64, tail ...byte) string {
		w := &writer{}
		w.uint(1)
		w.str("i-1")
		w.uint(profile)
		w.uint(started)
		w.uint(2) // words
		w.str("a")
		w.str("b")
		w.str("name")
		w.uint(word)
		w.uint(1)
		w.uint(1)
		w.uint(created)
		w.b = append(w.b, 0, 0, 0)
		return string(append(w.b, tail...))
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"all there":         {row(1, maxMinute, maxMinute, 2), true},
		"no such profile":   {row(2, 1, 1, 1), false},
		"started too late":  {row(1, maxMinute+1, 1, 1), false},
		"created too late":  {row(1, 1, maxMinute+1, 1), false},
		"no such word":      {row(1, 1, 1, 3), false},
		"a byte behind":     {row(1, 1, 1, 1, 0), false},
		"a word far beyond": {row(1, 1, 1, 200), false},
	} {
		r := &reader{s: c.text}
		if rows := r.rows(2); (r.end() == nil) != c.ok || (rows.Len() == 1) != c.ok {
			t.Errorf("%s: %d rows, %v", name, rows.Len(), r.err)
		}
	}
	// The shortest message of a newer version is left for who knows it.
	if _, err := Decode([]byte{flatListed, flatVersion + 1}); !errors.Is(err, ErrNewer) {
		t.Errorf("two bytes of a newer message: %v", err)
	}
}

// A page is full with the byte that fills it.
func TestAPageIsFullOfBytes(t *testing.T) {
	filled := func(name int) *PageWriter {
		page := NewPageWriter()
		page.Add(&ecs.Instance{ID: "i-1", Name: strings.Repeat("x", name)})
		return page
	}
	page := filled(pageSize / 2)
	rest := page.rows.size() - pageSize/2
	page.Close()
	for size, want := range map[int]bool{pageSize - 1: false, pageSize: true} {
		page := filled(size - rest)
		if page.rows.size() != size || page.Full() != want {
			t.Errorf("a page of %d bytes: full %t", page.rows.size(), page.Full())
		}
		page.Close()
	}
}

// Values keep their numbers however many there are and whatever their hashes: of one
// hash, of the last there is, and of hashes that follow each other. A page begins anew.
func TestValuesAreNumberedOnce(t *testing.T) {
	for name, hash := range map[string]func(int) uint64{
		"one hash":        func(int) uint64 { return 0 },
		"the last hash":   func(int) uint64 { return math.MaxUint64 },
		"hashes in a row": func(i int) uint64 { return uint64(i / 2) },
		"other hashes":    func(i int) uint64 { return uint64(i) << 10 },
	} {
		var n numbered[int]
		for range 2 {
			for range 2 {
				for i := range 700 {
					if got := n.number(&i, hash(i)); got != i {
						t.Fatalf("%s: value %d has the number %d", name, i, got)
					}
				}
			}
			n.reset()
		}
	}
}

// Words have one number each as long as there are any, and words of one hash are
// told apart.
func TestWordsHaveOneNumberEach(t *testing.T) {
	s := spellers.Get().(*speller)
	defer s.release()
	byHash := map[uint64]string{}
	for i := 0; ; i++ {
		word := fmt.Sprint("word-", i)
		h := maphash.String(seed, word)
		key := h%slots | h>>48<<16
		if other, ok := byHash[key]; ok {
			if a, b := s.number(other), s.number(word); a != 1 || b != 2 {
				t.Errorf("%q and %q of one hash have the numbers %d and %d", other, word, a, b)
			}
			break
		}
		byHash[key] = word
	}
	s.reset()
	for range 2 {
		for i := range maxWords + 10 {
			want := i + 1
			if want > maxWords {
				want = 0
			}
			if got := s.number(fmt.Sprint("word-", i)); got != want {
				t.Fatalf("word %d has the number %d", i, got)
			}
		}
	}
}

// Who reads counts the words as who wrote them did, else one name would be read as
// another: a word that comes twice in a row, and the last that has a number.
func TestWordsAreCountedAlikeOnBothSides(t *testing.T) {
	words := []string{"a", "a", "b", "a", "b", "b", "c", "a"}
	for i := range maxWords + 3 {
		words = append(words, fmt.Sprint("word-", i))
	}
	words = append(words, "a", "b", "c", words[len(words)-1], fmt.Sprint("word-", maxWords-4))
	w := newWriter(nil)
	defer w.speller.release()
	for _, word := range words {
		w.word(word)
	}
	if most := bytes.Count(w.b, []byte("word-")); most != maxWords+4 {
		t.Errorf("%d words are spelt out", most)
	}
	r := &reader{s: string(w.b), spelt: &spelt{}}
	for i, word := range words {
		if got := r.word(); got != word {
			t.Fatalf("word %d of %d is read as %q, not %q: %v", i, len(words), got, word, r.err)
		}
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	// None has a number behind the last.
	r = &reader{s: string(appendUint(w.b, maxWords+1)), spelt: &spelt{}}
	for range words {
		r.word()
	}
	if got := r.word(); got != "" || !errors.Is(r.err, ErrMalformed) {
		t.Errorf("a word without a number is read as %q, %v", got, r.err)
	}
}
