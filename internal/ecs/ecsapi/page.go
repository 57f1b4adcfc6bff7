package ecsapi

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// The page reader is the hot path of a scan: it reads the usual shape of an
// answer of DescribeInstances in one pass over its 300 KB, and makes nothing of
// the four fifths that nobody asks for. Whatever is out of the ordinary (a number
// in quotes, a key that comes twice, an error's code) it leaves to unmarshal, which
// is ten times slower: it must never read anything otherwise than unmarshal does,
// which a fuzz test holds. Only of members that nobody asks for it takes one that
// comes twice, which unmarshal refuses.
//
// The text ends in padding zero bytes, which are in no JSON text, so that every loop
// stops there. What is out of the ordinary puts the place behind the end of the answer,
// where nothing is found that is ever expected: no step has to look whether the one
// before it went well, and the answer was read if the place is at its end at last.
type pageReader struct {
	text  []byte // the answer and padding
	size  int    // of the answer
	place int    // of what is read next

	region    string // that was asked for
	instance  wireInstance
	tags      []ecs.Tag             // every tag of the page
	room      int                   // for tags, by those of the page before
	texts     strings.Builder       // texts that hardly any two instances share, in one piece
	words     [1 << wordBits]string // texts that many do, of the pages before, too, where wordPlace says
	last      [64]known             // members of the last instance
	lastTag   [20][2]known          // members of its tags
	lastImage [4]known              // members of its ImageOptions
	unlike    known                 // a member that no last one is like
}

const (
	padding     = 16
	deepest     = 64  // lists and objects within each other; unmarshal takes more
	wordBits    = 12  // 4,096 words are remembered from page to page
	longestWord = 256 // bytes of each
)

// zeros is the padding.
var zeros [padding]byte

var pageReaders = sync.Pool{New: func() any { return new(pageReader) }}

// readPage reads an answer; false means that something was out of the ordinary.
func readPage(body []byte, region string) (*listing, bool) {
	r := pageReaders.Get().(*pageReader)
	defer pageReaders.Put(r)
	return r.page(body, region)
}

func (r *pageReader) page(body []byte, region string) (*listing, bool) {
	answer := &listing{total: ecs.NoCount}
	r.region, r.tags = region, make([]ecs.Tag, 0, r.room)
	r.texts.Grow(len(body) / 32)
	ok := readWhole(r, body, answerMembers, answer)
	r.texts.Reset()
	r.room = len(r.tags) + len(r.tags)/8
	r.tags, r.instance = nil, wireInstance{}
	clear(r.last[:])
	clear(r.lastTag[:])
	clear(r.lastImage[:])
	return answer, ok && answer.instances != nil
}

// readWhole reads an answer that is an object. What is behind body in its memory, up to
// padding bytes, is written over.
func readWhole[T any](r *pageReader, body []byte, m *members[T], into *T) bool {
	r.text, r.size, r.place = append(body, zeros[:]...), len(body), 0
	r.space()
	m.read(r, into, nil)
	r.space()
	r.text = nil
	return r.place == r.size
}

// members are those of an object that are read into a T.
type members[T any] struct {
	list   []member[T]
	number map[string]int // in the list from 1 on, by the keys
	// odd says whether a member that is not in the list is out of the ordinary;
	// where it is nil none is.
	odd func(key string) bool
}

// member is read by one of two functions.
type member[T any] struct {
	key  string
	word func(into *T) *string // where a text belongs that many objects share
	read func(r *pageReader, into *T)
}

func membersOf[T any](odd func(key string) bool, list ...member[T]) *members[T] {
	m := &members[T]{list: list, number: map[string]int{}, odd: odd}
	for i, member := range list {
		m.number[member.key] = i + 1
	}
	return m
}

// read reads an object. last is what the last such object had in the same places, nil for
// objects that are not much like each other: more than half of the members of an instance
// are the same, byte by byte, as in the one before, and comparing them is much quicker than
// reading them. Those in a row that are not in the list are compared as one from then on.
func (m *members[T]) read(r *pageReader, into *T, last []known) {
	var seen uint32
	var run *known // the first of the members right before that are not in the list and are the same
	for place, more := 0, r.begin('{'); more; place, more = place+1, r.next('{') {
		var had *known
		if place < len(last) {
			had = &last[place]
		} else {
			r.unlike = known{}
			had = &r.unlike
		}
		from := r.place
		same := r.has(had.from, had.end) && (r.text[r.place] == ',' || r.text[r.place] == '}')
		if !same {
			if r.place = from; !r.has(had.from, had.value) {
				key := r.key()
				*had = known{member: m.number[string(key)]}
				if had.member == 0 && m.odd != nil && m.odd(string(key)) {
					r.fail()
				}
			}
			had.from, had.value, had.end = from, r.place, from
		}
		if had.member == 0 {
			switch {
			case !same:
				run = nil
				r.skip(deepest)
				had.end, had.more = r.place, 0
			case run == nil:
				run = had
				had.from, had.value, had.end = from, from+had.value-had.from, r.place
				place += had.more
			default:
				place += had.more
				run.end, run.more = r.place, run.more+1+had.more
			}
			continue
		}
		run = nil
		if seen&(1<<had.member) != 0 {
			r.fail()
		}
		seen |= 1 << had.member
		member := &m.list[had.member-1]
		if member.read != nil {
			member.read(r, into)
			continue
		}
		if !same {
			had.word = r.word()
			had.end = r.place
		}
		*member.word(into) = had.word
	}
}

// known is where a member stands that was read before.
type known struct {
	member      int    // its number in the list from 1 on, or 0
	from, value int    // where its key and its value begin
	end         int    // where its value ends, if it is a word or not in the list; or from
	more        int    // members behind it, up to end, that are not in the list either
	word        string // its value
}

// has passes over a part of the answer if it stands here again.
func (r *pageReader) has(from, end int) bool {
	if from == end || !bytes.HasPrefix(r.text[r.place:], r.text[from:end]) {
		return false
	}
	r.place += end - from
	return true
}

// anyKey is for objects in which every other member is out of the ordinary.
func anyKey(string) bool { return true }

var answerMembers = membersOf(
	telling,
	member[listing]{key: "Instances", read: func(r *pageReader, l *listing) { instancesMembers.read(r, l, nil) }},
	member[listing]{key: "NextToken", read: func(r *pageReader, l *listing) {
		l.chained = r.text[r.place] == '"'
		l.next = r.own()
	}},
	member[listing]{key: "RequestId", read: func(r *pageReader, l *listing) { l.requestID = r.own() }},
	member[listing]{key: "TotalCount", read: func(r *pageReader, l *listing) { l.total = int(r.whole()) }},
	member[listing]{key: "PageNumber", read: func(r *pageReader, _ *listing) { r.number() }},
	member[listing]{key: "PageSize", read: func(r *pageReader, _ *listing) { r.number() }},
)

var instancesMembers = membersOf(anyKey, member[listing]{key: "Instance", read: func(r *pageReader, l *listing) {
	l.instances = make([]ecs.Instance, 0, ecs.MaxPage)
	for more := r.begin('['); more; more = r.next('[') {
		r.instance = wireInstance{}
		instanceMembers.read(r, &r.instance, r.last[:])
		switch {
		case !usableID(r.instance.ID):
			r.fail()
		case isForeign(r.instance.Region, r.instance.Zone, r.region):
			l.foreign++
		default:
			l.instances = append(l.instances, r.instance.Instance)
		}
	}
}})

var instanceMembers = membersOf(nil,
	member[wireInstance]{key: "InstanceId", read: func(r *pageReader, m *wireInstance) { m.ID = r.own() }},
	member[wireInstance]{key: "InstanceName", read: func(r *pageReader, m *wireInstance) { m.Name = r.own() }},
	member[wireInstance]{key: "CreationTime", read: func(r *pageReader, m *wireInstance) { m.CreationTime = r.own() }},
	member[wireInstance]{key: "StartTime", read: func(r *pageReader, m *wireInstance) { m.StartTime = r.own() }},
	member[wireInstance]{key: "RegionId", word: func(m *wireInstance) *string { return &m.Region }},
	member[wireInstance]{key: "ZoneId", word: func(m *wireInstance) *string { return &m.Zone }},
	member[wireInstance]{key: "InstanceType", word: func(m *wireInstance) *string { return &m.Type }},
	member[wireInstance]{key: "InstanceTypeFamily", word: func(m *wireInstance) *string { return &m.Family }},
	member[wireInstance]{key: "ImageId", word: func(m *wireInstance) *string { return &m.ImageID }},
	member[wireInstance]{key: "OSName", word: func(m *wireInstance) *string { return &m.OSName }},
	member[wireInstance]{key: "OSNameEn", word: func(m *wireInstance) *string { return &m.OSNameEn }},
	member[wireInstance]{key: "OSType", word: func(m *wireInstance) *string { return &m.OSType }},
	member[wireInstance]{key: "Status", word: func(m *wireInstance) *string { return &m.Status }},
	member[wireInstance]{key: "InstanceNetworkType", word: func(m *wireInstance) *string { return &m.NetworkType }},
	member[wireInstance]{key: "Cpu", read: func(r *pageReader, m *wireInstance) { m.CPU = r.whole() }},
	member[wireInstance]{key: "Memory", read: func(r *pageReader, m *wireInstance) { m.MemoryMiB = r.whole() }},
	member[wireInstance]{key: "IoOptimized", read: func(r *pageReader, m *wireInstance) { m.IoOptimized = r.boolean() }},
	member[wireInstance]{key: "ImageOptions", read: func(r *pageReader, m *wireInstance) { imageOptionMembers.read(r, m, r.lastImage[:]) }},
	member[wireInstance]{key: "Tags", read: func(r *pageReader, m *wireInstance) { tagsMembers.read(r, m, nil) }},
)

var imageOptionMembers = membersOf(nil, member[wireInstance]{key: "CurrentOSNVMeSupported", read: func(r *pageReader, m *wireInstance) { m.OSNVMe = r.boolean() }})

var tagsMembers = membersOf(anyKey, member[wireInstance]{key: "Tag", read: func(r *pageReader, m *wireInstance) {
	first := len(r.tags)
	for more := r.begin('['); more; more = r.next('[') {
		last := &r.lastTag[(len(r.tags)-first)%len(r.lastTag)]
		r.tags = append(r.tags, ecs.Tag{})
		tag := &r.tags[len(r.tags)-1]
		if tagMembers.read(r, tag, last[:]); *tag == (ecs.Tag{}) {
			r.fail()
		}
	}
	m.Instance.Tags = r.tags[first:len(r.tags):len(r.tags)]
}})

var tagMembers = membersOf(
	func(key string) bool { return key == "Key" || key == "Value" }, // an older spelling
	member[ecs.Tag]{key: "TagKey", word: func(t *ecs.Tag) *string { return &t.Key }},
	member[ecs.Tag]{key: "TagValue", word: func(t *ecs.Tag) *string { return &t.Value }},
)

// fail says that something is out of the ordinary.
func (r *pageReader) fail() { r.place = r.size + 1 }

// space passes over white space.
func (r *pageReader) space() {
	for r.text[r.place] <= ' ' && strings.IndexByte(" \n\t\r", r.text[r.place]) >= 0 {
		r.place++
	}
}

// begin enters an object or a list, whose opening byte it is given, and reports whether
// anything is in it.
func (r *pageReader) begin(opening byte) bool {
	if r.text[r.place] != opening {
		r.fail()
		return false
	}
	r.place++
	r.space()
	if r.text[r.place] != opening+2 { // in ASCII the closing bytes stand two behind the opening ones
		return true
	}
	r.place++
	return false
}

// next passes over the comma behind a member or an element and reports true, or over the
// end of the object or list.
func (r *pageReader) next(opening byte) bool {
	if r.text[r.place] == ',' && r.text[r.place+1] > ' ' { // as nearly everywhere
		r.place++
		return true
	}
	r.space()
	switch r.text[r.place] {
	case ',':
		r.place++
		r.space()
		return true
	case opening + 2:
		r.place++
	default:
		r.fail()
	}
	return false
}

// key reads the key of a member and passes over the colon behind it.
func (r *pageReader) key() []byte {
	key := r.quoted()
	if r.space(); r.text[r.place] != ':' {
		r.fail()
		return nil
	}
	r.place++
	r.space()
	return key
}

// skip passes over a value, in which there may be so many lists and objects within each
// other.
func (r *pageReader) skip(deep int) {
	switch opening := r.text[r.place]; {
	case opening == '"':
		r.quoted()
	case opening <= '9':
		r.number()
	case deep > 0 && (opening == '{' || opening == '['):
		for more := r.begin(opening); more; more = r.next(opening) {
			if opening == '{' {
				r.key()
			}
			r.skip(deep - 1)
		}
	case !r.literal("true") && !r.literal("false") && !r.literal("null"):
		r.fail()
	}
}

// literal passes over a word without quotes, if it is that one.
func (r *pageReader) literal(word string) bool {
	if string(r.text[r.place:r.place+len(word)]) != word {
		return false
	}
	r.place += len(word)
	return true
}

// quoted reads a string; that it is UTF-8 is not checked. The text is that of the answer
// itself where nothing in it is escaped.
func (r *pageReader) quoted() []byte {
	b, from := r.text, r.place+1
	if b[from-1] != '"' {
		r.fail()
		return nil
	}
	end := plainEnd(b, from)
	if b[end] == '"' {
		r.place = end + 1
		return b[from:end]
	}
	for b[end] == '\\' {
		end = plainEnd(b, end+2)
	}
	text, err := jsontext.AppendUnquote(nil, b[from-1:end+1]) // which looks at what is escaped, and for the quote at the end
	if r.place = end + 1; err != nil {
		r.fail()
	}
	return text
}

// plainEnd returns the index of the first byte at or after i that ends a plain
// run of a string: a quote, a backslash or a control character. Eight bytes
// are looked at a time.
func plainEnd(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i <= len(b)-8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i : i+8])
		// With one bit flipped a quote comes next to the control characters,
		// and one comparison finds both. The lowest marked byte is right;
		// bytes above a true hit may be marked wrongly, but only the lowest
		// one is used. No byte from 0x80 on is marked.
		low := w ^ ('"'^' ')*ones
		slash := w ^ '\\'*ones
		hit := ((low - (' '+1)*ones) | (slash - ones)) &^ w
		if hit &= highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	return len(b) - 1
}

// own reads a string that hardly any two instances share, or null. The memory of the
// answer is used again: it is copied.
func (r *pageReader) own() string {
	text := r.unchecked()
	if !utf8.Valid(text) {
		r.fail()
	}
	at := r.texts.Len()
	r.texts.Write(text)
	return r.texts.String()[at:]
}

// word reads a string that is likely to be in the page, or in the next ones, more than
// once: it is copied only where it is new. Equal strings that lie in one place are also
// what makes writing the page cheap.
func (r *pageReader) word() string {
	text := r.unchecked()
	word := &r.words[wordPlace(text)]
	if *word == string(text) {
		return *word
	}
	if !utf8.Valid(text) {
		r.fail()
		return ""
	}
	if len(text) > longestWord {
		return string(text)
	}
	*word = string(text)
	return *word
}

// wordPlace is where a word is remembered, in the place of another one that was there:
// words differ most at their ends.
func wordPlace(text []byte) uint64 {
	var end [8]byte
	copy(end[:], text[max(0, len(text)-8):])
	return (binary.LittleEndian.Uint64(end[:]) + uint64(len(text))) * 0xD6E8FEB86659FD93 >> (64 - wordBits)
}

// unchecked reads a string whose UTF-8 its caller checks, or null.
func (r *pageReader) unchecked() []byte {
	if r.text[r.place] != '"' && r.literal("null") {
		return nil
	}
	return r.quoted()
}

// boolean reads a boolean that is one.
func (r *pageReader) boolean() rules.Tri {
	if r.literal("true") {
		return rules.Yes
	}
	if !r.literal("false") {
		r.fail()
	}
	return rules.No
}

// whole reads a whole number that is not negative.
func (r *pageReader) whole() int32 {
	n, err := strconv.ParseInt(string(r.number()), 10, 32)
	if err != nil || n < 0 {
		r.fail()
	}
	return int32(n)
}

// number reads a number.
func (r *pageReader) number() jsontext.Value {
	from := r.place
	for r.text[r.place]-'0' <= 9 {
		r.place++
	}
	// Most are of digits alone, which takes no look at the grammar.
	if r.place > from && r.text[from] != '0' && !strings.ContainsRune(".eE", rune(r.text[r.place])) {
		return r.text[from:r.place]
	}
	for strings.IndexByte("+-.0123456789eE", r.text[r.place]) >= 0 {
		r.place++
	}
	number := jsontext.Value(r.text[from:r.place])
	if !number.IsValid() {
		r.fail()
	}
	return number
}
