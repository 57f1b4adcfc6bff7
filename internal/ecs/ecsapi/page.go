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

	region            string // that was asked for
	instance          wireInstance
	tags              []ecs.Tag             // every tag of the page
	texts             strings.Builder       // every text of the page that was copied, in one piece
	words             [1 << wordBits]string // texts that many instances share, of the pages before, too
	last              [64]known             // members of the last instance
	tagRoom, textRoom int                   // by those of the page before
	spelt             int                   // bytes of the pages that words may be parts of
}

const (
	padding   = 16
	deepest   = 64        // lists and objects within each other; unmarshal takes more
	wordBits  = 9         // 512 words are remembered
	mostSpelt = 512 << 10 // bytes of pages that words may be parts of
)

var pageReaders = sync.Pool{New: func() any { return new(pageReader) }}

// page reads an answer; false means that something was out of the ordinary.
func (r *pageReader) page(body []byte, region string) (*listing, bool) {
	answer := &listing{total: ecs.NoCount}
	r.region, r.tags = region, make([]ecs.Tag, 0, r.tagRoom)
	r.texts.Grow(r.textRoom)
	ok := readWhole(r, body, answerMembers, answer)
	if r.spelt += r.texts.Len(); r.spelt > mostSpelt {
		r.spelt = 0
		clear(r.words[:])
	}
	r.tagRoom, r.textRoom = len(r.tags)+len(r.tags)/8, r.texts.Len()+r.texts.Len()/8
	r.texts.Reset()
	r.tags, r.instance = nil, wireInstance{}
	clear(r.last[:])
	return answer, ok && answer.instances != nil
}

// readWhole reads an answer that is an object. What is behind body in its memory, up to
// padding bytes, is written over.
func readWhole[T any](r *pageReader, body []byte, m *members[T], into *T) bool {
	r.text, r.size, r.place = append(body, make([]byte, padding)...), len(body), 0
	r.space()
	m.read(r, into, nil)
	r.space()
	r.text = nil
	return r.place == r.size
}

// members are those of an object that are read into a T.
type members[T any] struct {
	list   []member[T]
	number map[string]int        // in the list from 1 on, by the keys
	odd    func(key string) bool // whether one that is not in the list is out of the ordinary; nil where none is
}

type member[T any] struct {
	key  string
	read func(r *pageReader, into *T)
}

func membersOf[T any](odd func(key string) bool, list ...member[T]) *members[T] {
	m := &members[T]{list: list, number: map[string]int{}, odd: odd}
	for i, member := range list {
		m.number[member.key] = i + 1
	}
	return m
}

// read reads an object. last is what the last such object had in the same 2^n places, nil
// for objects that are not much like each other. More than half of the members of an
// instance are not in the list and the same, byte by byte, as in the one before: comparing
// them is much quicker than reading them, and those in a row are compared as one then.
func (m *members[T]) read(r *pageReader, into *T, last []known) {
	var seen uint32
	var run *known // the first of the members right before that are not in the list and are the same
	if last == nil {
		last = make([]known, 1)
	}
	for place, more := 0, r.begin('{'); more; place, more = place+1, r.next('{') {
		had, from := &last[place&(len(last)-1)], r.place
		if r.has(had.from, had.end) && (r.text[r.place] == ',' || r.text[r.place] == '}') {
			if run == nil {
				run = had
				run.from, run.value, run.end = from, from+had.value-had.from, r.place
			} else {
				run.end, run.more = r.place, run.more+1+had.more
			}
			place += had.more
			continue
		}
		run = nil
		if r.place = from; !r.has(had.from, had.value) {
			key := r.key()
			*had = known{member: m.number[string(key)]}
			if had.member == 0 && m.odd != nil && m.odd(string(key)) {
				r.fail()
			}
		}
		had.from, had.value, had.end = from, r.place, from
		if had.member == 0 {
			r.place = r.behind(r.place, deepest)
			had.end, had.more = r.place, 0
			continue
		}
		if seen&(1<<had.member) != 0 {
			r.fail()
		}
		seen |= 1 << had.member
		m.list[had.member-1].read(r, into)
	}
}

// known is where a member stands that was read before.
type known struct {
	member      int // its number in the list from 1 on, or 0
	from, value int // where its key and its value begin
	end         int // where its value ends, if it is not in the list; or from
	more        int // members behind it, up to end, that are not in the list either
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
	l.instances = ecs.NewInstances()
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
	member[wireInstance]{key: "RegionId", read: func(r *pageReader, m *wireInstance) { m.Region = r.word() }},
	member[wireInstance]{key: "ZoneId", read: func(r *pageReader, m *wireInstance) { m.Zone = r.word() }},
	member[wireInstance]{key: "InstanceType", read: func(r *pageReader, m *wireInstance) { m.Type = r.word() }},
	member[wireInstance]{key: "InstanceTypeFamily", read: func(r *pageReader, m *wireInstance) { m.Family = r.word() }},
	member[wireInstance]{key: "ImageId", read: func(r *pageReader, m *wireInstance) { m.ImageID = r.word() }},
	member[wireInstance]{key: "OSName", read: func(r *pageReader, m *wireInstance) { m.OSName = r.word() }},
	member[wireInstance]{key: "OSNameEn", read: func(r *pageReader, m *wireInstance) { m.OSNameEn = r.word() }},
	member[wireInstance]{key: "OSType", read: func(r *pageReader, m *wireInstance) { m.OSType = r.word() }},
	member[wireInstance]{key: "Status", read: func(r *pageReader, m *wireInstance) { m.Status = r.word() }},
	member[wireInstance]{key: "InstanceNetworkType", read: func(r *pageReader, m *wireInstance) { m.NetworkType = r.word() }},
	member[wireInstance]{key: "Cpu", read: func(r *pageReader, m *wireInstance) { m.CPU = r.whole() }},
	member[wireInstance]{key: "Memory", read: func(r *pageReader, m *wireInstance) { m.MemoryMiB = r.whole() }},
	member[wireInstance]{key: "IoOptimized", read: func(r *pageReader, m *wireInstance) { m.IoOptimized = r.boolean() }},
	member[wireInstance]{key: "ImageOptions", read: func(r *pageReader, m *wireInstance) { imageOptionMembers.read(r, m, nil) }},
	member[wireInstance]{key: "Tags", read: func(r *pageReader, m *wireInstance) { tagsMembers.read(r, m, nil) }},
)

var imageOptionMembers = membersOf(nil, member[wireInstance]{key: "CurrentOSNVMeSupported", read: func(r *pageReader, m *wireInstance) { m.OSNVMe = r.boolean() }})

var tagsMembers = membersOf(anyKey, member[wireInstance]{key: "Tag", read: func(r *pageReader, m *wireInstance) {
	first := len(r.tags)
	for more := r.begin('['); more; more = r.next('[') {
		r.tags = append(r.tags, ecs.Tag{})
		tag := &r.tags[len(r.tags)-1]
		if r.plainTag(tag) {
			continue
		}
		*tag = ecs.Tag{}
		if tagMembers.read(r, tag, nil); *tag == (ecs.Tag{}) {
			r.fail()
		}
	}
	m.Instance.Tags = r.tags[first:len(r.tags):len(r.tags)]
}})

var tagMembers = membersOf(
	func(key string) bool { return key == "Key" || key == "Value" }, // an older spelling
	member[ecs.Tag]{key: "TagKey", read: func(r *pageReader, t *ecs.Tag) { t.Key = r.word() }},
	member[ecs.Tag]{key: "TagValue", read: func(r *pageReader, t *ecs.Tag) { t.Value = r.word() }},
)

// plainTag reads a tag as the API writes it; false is any other.
func (r *pageReader) plainTag(tag *ecs.Tag) bool {
	from := r.place
	if r.literal(`{"TagKey":`) {
		if tag.Key = r.word(); r.literal(`,"TagValue":`) {
			if tag.Value = r.word(); r.literal("}") && *tag != (ecs.Tag{}) {
				return true
			}
		}
	}
	r.place = from
	return false
}

// fail says that something is out of the ordinary.
func (r *pageReader) fail() { r.place = r.size + 1 }

// space passes over white space.
func (r *pageReader) space() { r.place = behindSpace(r.text, r.place) }

func behindSpace(b []byte, i int) int {
	for b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
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

// behind returns the index behind the value at i. Most bytes of an answer are in objects
// and lists that nobody asks for: an escape in a key of one is out of the ordinary.
func (r *pageReader) behind(i, deep int) int {
	b, opening := r.text, r.text[i]
	switch {
	case opening == '"':
		if end := plainEnd(b, i+1); b[end] == '"' {
			return end + 1
		}
		r.place = i
		r.quoted()
		return r.place
	case opening != '{' && opening != '[' || deep == 0:
		r.place = i
		if opening <= '9' {
			r.number()
		} else if !r.literal("true") && !r.literal("false") && !r.literal("null") {
			r.fail()
		}
		return r.place
	}
	if i = behindSpace(b, i+1); b[i] == opening+2 {
		return i + 1
	}
	for {
		if opening == '{' {
			end := plainEnd(b, i+1)
			colon := behindSpace(b, end+1)
			if b[i] != '"' || b[end] != '"' || b[colon] != ':' {
				return r.size + 1
			}
			i = behindSpace(b, colon+1)
		}
		i = behindSpace(b, r.behind(i, deep-1))
		switch b[i] {
		case ',':
			i = behindSpace(b, i+1)
		case opening + 2:
			return i + 1
		default:
			return r.size + 1
		}
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

// own reads a string that hardly any two instances share, or null.
func (r *pageReader) own() string { return r.copied(r.unchecked()) }

// copied copies a text behind those of the page: the memory of the answer is used again.
func (r *pageReader) copied(text []byte) string {
	if !utf8.Valid(text) {
		r.fail()
		return ""
	}
	at := r.texts.Len()
	r.texts.Write(text)
	return r.texts.String()[at:]
}

// word reads a string that is likely to be in the page, or in the next ones, more than
// once: it is copied only where it is new. Equal strings that lie in one place are also
// what makes writing the page cheap. A word is remembered by its last eight bytes, at which
// words differ most, in the place of another one that was there.
func (r *pageReader) word() string {
	text := r.unchecked()
	// They stand before the quote at its end; what is before a shorter one is shifted out.
	tail := binary.LittleEndian.Uint64(r.text[r.place-9:]) >> (64 - 8*min(8, len(text)))
	word := &r.words[(tail+uint64(len(text)))*0xD6E8FEB86659FD93>>(64-wordBits)]
	if *word != string(text) {
		*word = r.copied(text)
	}
	return *word
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
