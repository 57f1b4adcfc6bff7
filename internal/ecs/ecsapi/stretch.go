package ecsapi

// stretch is what a run of members of no use looks like, from the first key to
// the last value: nearly all of it is the same text in instance after
// instance. What differs are a few values, its holes. Comparing the text
// between them and passing over one value at each is several times as fast as
// passing over every key and value, and as strict: the text was whole members
// when it was read, and with any other value in a hole it is whole members
// again.
type stretch struct {
	text    []byte // members as they once were, and padding
	holes   []span // in order, none within another
	pieces  [][]byte
	tail    []byte // of text, before and behind the holes
	members int
	worth   int // falls as it fails to match
}

type span struct{ from, to int }

const (
	maxStretch = 8 << 10 // bytes of one text
	// One in missCost may be of another shape before it pays to give up what
	// the others have in common, and a few in a row.
	missCost = 8
	maxWorth = 64 * missCost
	// A shape that was given up is tried again after so many pages.
	pagesOfStretch = 256
)

// match returns the index behind the stretch at i, or -1.
func (s *stretch) match(b []byte, i int) int {
	for _, p := range s.pieces {
		if len(b)-i < len(p) || string(b[i:i+len(p)]) != string(p) {
			return -1
		}
		if i += len(p); b[i] == '"' {
			i = skipString(b, i+1)
		} else {
			i = skipValue(b, i, 4)
		}
		if i < 0 {
			return -1
		}
	}
	if len(b)-i < len(s.tail) || string(b[i:i+len(s.tail)]) != string(s.tail) {
		return -1
	}
	// Behind its text a number could go on.
	if i += len(s.tail); b[i] != ',' && b[i] != '}' {
		return -1
	}
	s.worth = min(s.worth+1, maxWorth)
	return i
}

// learn takes in b[from:to], members that were passed over one by one because
// the stretch did not match: values that differ become holes. When it is
// another shape that differs, and not for once, the stretch ends before it or
// the object or list around it becomes a hole. It returns what is now the
// stretch, if there is one. The holes are put together in buf, which it
// returns, too.
func (s *stretch) learn(b []byte, r run, buf []span) (*stretch, []span) {
	from, to := r.from, r.to
	if to-from > maxStretch {
		return s, buf
	}
	if s == nil {
		s = &stretch{members: r.members, worth: 8 * missCost}
		s.text = append(append(make([]byte, 0, to-from+padding), b[from:to]...), make([]byte, padding)...)
		s.cut(to-from, nil)
		return s, buf
	}
	n := len(s.text) - padding
	c := differ{a: s.text, b: b, old: s.holes, holes: buf[:0]}
	end, _, common := c.common(0, n, from, to, true)
	if end < n || c.shape {
		if s.worth -= missCost; s.worth >= 0 {
			return s, c.holes
		}
		s.worth = 8 * missCost
	}
	if s.members = common; common == 0 {
		return nil, c.holes
	}
	clear(s.text[end:])
	s.text = s.text[:end+padding]
	s.cut(end, c.holes)
	return s, c.holes
}

// cut divides the n bytes of text at its holes.
func (s *stretch) cut(n int, holes []span) {
	s.holes, s.pieces = append(s.holes[:0], holes...), s.pieces[:0]
	at := 0
	for _, h := range holes {
		s.pieces = append(s.pieces, s.text[at:h.from])
		at = h.to
	}
	s.tail = s.text[at:n]
}

// differ walks two pieces of JSON side by side, both known to be sound, and
// notes the values of a that differ in b. Holes of before stay.
type differ struct {
	a, b       []byte
	old, holes []span
	shape      bool // an object or a list differs not only in its values
}

// common compares the members or elements a[i:n] with b[j:m]. It returns the
// ends of those that both have, and their number.
func (c *differ) common(i, n, j, m int, keyed bool) (int, int, int) {
	for count := 0; ; count++ {
		v := nextValue(c.a, i, keyed)
		w := j + v - i
		if v >= n || w >= m || string(c.a[i:v]) != string(c.b[j:w]) || c.b[w] <= ' ' {
			return i, j, count
		}
		i, j = c.value(v, w)
	}
}

// nextValue returns the index of the first value at or behind i in an object
// or a list; at its end something that is not within.
func nextValue(b []byte, i int, keyed bool) int {
	if i = skipSpace(b, i); b[i] == ',' {
		i = skipSpace(b, i+1)
	}
	if !keyed {
		return i
	}
	if b[i] != '"' {
		return len(b)
	}
	return skipSpace(b, skipSpace(b, skipString(b, i+1))+1) // key, colon
}

// value compares the value at a[i] with that at b[j] and returns their ends.
func (c *differ) value(i, j int) (int, int) {
	n, m, mark := skipValue(c.a, i, 0), skipValue(c.b, j, 0), len(c.holes)
	for len(c.old) > 0 && c.old[0].from < i {
		c.old = c.old[1:]
	}
	hole := len(c.old) > 0 && c.old[0].from == i
	switch open := c.a[i]; {
	case hole:
	case open == c.b[j] && (open == '{' || open == '['):
		k, l, _ := c.common(i+1, n-1, j+1, m-1, open == '{')
		if string(c.a[k:n]) == string(c.b[l:m]) {
			return n, m
		}
		c.shape = true
	case string(c.a[i:n]) == string(c.b[j:m]):
		return n, m
	}
	c.holes = append(c.holes[:mark], span{i, n})
	return n, m
}
