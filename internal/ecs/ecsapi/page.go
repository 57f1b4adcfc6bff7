package ecsapi

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// The page reader is the hot path of a scan: it reads the usual shape of an
// answer of DescribeInstances in one pass over its 300 KB, and makes nothing of
// the four fifths that nobody asks for. Whatever is out of the ordinary (an
// escaped key, a number in quotes, a key that comes twice, an error's code) it
// leaves to unmarshal, which is twenty times slower: it must never read
// anything otherwise than unmarshal does, which a fuzz test holds.
//
// Every function takes the index where something begins and returns the index
// behind it, or -1 where it is not what was expected; see skip.go.
type pageReader struct {
	b      []byte // the answer and padding
	region string
	out    *listing
	own    strings.Builder // every different string of the page, in one piece
	room   *pageRoom
	words  [512]string // some of them and of the pages before, by a hash of their text; see word
	spelt  int         // bytes of the pages that words may be parts of
	tags   []ecs.Tag   // every tag of the page
	// passed are members of the last instance, by the place of the first, that were
	// passed over; skipped says that the last one was. See members.
	passed  [64]run
	skipped bool

	// How much room the last pages took.
	instances, tagRoom, textRoom int
}

// mostSpelt bounds how many bytes of pages stay in memory for the words that are
// parts of them: some sixty pages.
const mostSpelt = 512 << 10

var pageReaders = sync.Pool{New: func() any { return new(pageReader) }}

// pageRoom is memory for the instances and tags of a page, which serves for another
// page once nobody uses them any more.
type pageRoom struct {
	instances []ecs.Instance
	tags      []ecs.Tag
}

var pageRooms = sync.Pool{New: func() any { return new(pageRoom) }}

// readPage reads an answer; false means that something was out of the ordinary.
// body needs padding bytes of room behind it, else it is copied.
func readPage(body []byte, region string) (*listing, bool) {
	r := pageReaders.Get().(*pageReader)
	defer pageReaders.Put(r)
	return r.read(body, region)
}

func (r *pageReader) read(body []byte, region string) (*listing, bool) {
	size := len(body)
	if cap(body)-size < padding {
		body = append(make([]byte, 0, size+padding), body...)
	}
	r.b, r.region, r.out = body[:size+padding:size+padding], region, &listing{total: ecs.NoCount}
	clear(r.b[size:])
	r.own.Grow(r.textRoom)
	r.room = pageRooms.Get().(*pageRoom)
	r.tags = slices.Grow(r.room.tags[:0], r.tagRoom)
	answer, end := r.out, r.envelope(skipSpace(r.b, 0))
	ok := end >= 0 && skipSpace(r.b, end) == size && answer.instances != nil
	r.instances, r.tagRoom, r.textRoom = len(answer.instances), room(r.tagRoom, len(r.tags)), room(r.textRoom, r.own.Len())
	memory := r.room
	memory.instances, memory.tags = answer.instances, r.tags
	answer.release = func() { pageRooms.Put(memory) }
	r.b, r.out, r.room, r.tags, r.passed = nil, nil, nil, nil, [64]run{}
	if r.spelt += r.own.Len(); r.spelt > mostSpelt {
		r.spelt = 0
		clear(r.words[:])
	}
	r.own.Reset()
	return answer, ok
}

// room is how much to make room for after a page that took n, where before it
// was had: enough for one a little larger, and less again page by page.
func room(had, n int) int { return max(n+n/8, had-had/16) }

// once takes note of a field, and reports whether it came before.
func once(seen *uint32, field int) bool {
	before := *seen
	*seen |= 1 << field
	return *seen != before
}

func (r *pageReader) envelope(i int) int {
	var seen uint32
	return object(r.b, i, func(key []byte, i int) int {
		field := 0
		switch string(key) {
		case "Instances":
			field, i = 1, object(r.b, i, r.instanceList)
		case "NextToken":
			field, r.out.chained = 2, r.b[i] == '"'
			r.out.next, i = r.text(i)
		case "RequestId":
			field = 3
			r.out.requestID, i = r.text(i)
		case "TotalCount":
			var total int32
			field = 4
			total, i = number(r.b, i)
			r.out.total = int(total)
		case "Code", "Message", "code", "message": // of an error
			return -1
		case "PageNumber", "PageSize":
			return skipValue(r.b, i, 1)
		default:
			if telling(string(key)) {
				return -1
			}
			return skipValue(r.b, i, 1)
		}
		if !once(&seen, field) {
			return -1
		}
		return i
	})
}

func (r *pageReader) instanceList(key []byte, i int) int {
	if string(key) != "Instance" || r.out.instances != nil {
		return -1
	}
	r.out.instances = slices.Grow(r.room.instances[:0], max(r.instances, 1))
	return array(r.b, i, r.instance)
}

// ownFields is the number of the last field that hardly any two instances have
// the same in.
const ownFields = 4

func (r *pageReader) instance(i int) int {
	listing := r.out
	listing.instances = append(listing.instances, ecs.Instance{})
	machine := &listing.instances[len(listing.instances)-1]
	var region string
	var seen uint32
	i = r.members(i, func(key []byte, i int) int {
		var text *string
		field := 0
		switch string(key) {
		case "InstanceId":
			field, text = 1, &machine.ID
		case "InstanceName":
			field, text = 2, &machine.Name
		case "CreationTime":
			field, text = 3, &machine.CreationTime
		case "StartTime":
			field, text = ownFields, &machine.StartTime
		case "RegionId":
			field, text = 12, &region
		case "ZoneId":
			field, text = 19, &machine.Zone
		case "InstanceType":
			field, text = 5, &machine.Type
		case "InstanceTypeFamily":
			field, text = 6, &machine.Family
		case "ImageId":
			field, text = 7, &machine.ImageID
		case "OSName":
			field, text = 8, &machine.OSName
		case "OSNameEn":
			field, text = 9, &machine.OSNameEn
		case "OSType":
			field, text = 10, &machine.OSType
		case "Status":
			field, text = 11, &machine.Status
		case "InstanceNetworkType":
			field, text = 13, &machine.NetworkType
		case "Cpu":
			field = 14
			machine.CPU, i = number(r.b, i)
		case "Memory":
			field = 15
			machine.MemoryMiB, i = number(r.b, i)
		case "IoOptimized":
			field = 16
			machine.IoOptimized, i = boolean(r.b, i)
		case "ImageOptions":
			field = 17
			machine.OSNVMe, i = r.imageOptions(i)
		case "Tags":
			field = 18
			machine.Tags, i = r.tagList(i)
		default:
			r.skipped = true
			return skipValue(r.b, i, 4)
		}
		if !once(&seen, field) {
			return -1
		}
		switch {
		case text == nil:
		case field <= ownFields:
			*text, i = r.text(i)
		default:
			*text, i = r.word(i)
		}
		return i
	})
	if i >= 0 && !usableID(machine.ID) {
		return -1
	}
	if isForeign(region, machine.Zone, r.region) {
		listing.instances = listing.instances[:len(listing.instances)-1]
		listing.foreign++
	}
	return i
}

// run is one member of an instance or several in a row, each with the comma behind it.
type run struct{ from, to, members int }

// members reads an instance as object does. More than half of the members are
// passed over and are the same in one instance after the other, byte by byte: what
// was found to be members and commas is that wherever it stands again, and
// comparing it is quicker than reading it. Those in a row are compared as one.
func (r *pageReader) members(i int, member func(key []byte, i int) int) int {
	b := r.b
	if b[i] != '{' {
		return -1
	}
	if i = skipSpace(b, i+1); b[i] == '}' {
		return i + 1
	}
	// The place of the first of the last members that stood there again, and where it is.
	since, from := 0, i
	for place := 0; ; {
		had := &r.passed[place%len(r.passed)]
		if end := i + had.to - had.from; end > i && end <= len(b) && string(b[i:end]) == string(b[had.from:had.to]) {
			i, place = skipSpace(b, end), place+had.members
			continue
		}
		if place > since {
			r.passed[since%len(r.passed)] = run{from, i, place - since}
		}
		if b[i] != '"' {
			return -1
		}
		begin, end := i, plainEnd(b, i+1)
		if b[end] != '"' {
			return -1
		}
		at := colon(b, end+1)
		if at < 0 {
			return -1
		}
		r.skipped = false
		if i = member(b[begin+1:end], at); i < 0 {
			return -1
		}
		if *had = (run{}); r.skipped && b[i] == ',' {
			*had = run{begin, i + 1, 1}
		}
		var more bool
		if i, more = next(b, i, '}'); !more {
			return i
		}
		place++
		since, from = place, i
	}
}

// imageOptions reads CurrentOSNVMeSupported out of an ImageOptions object.
func (r *pageReader) imageOptions(i int) (tri rules.Tri, end int) {
	var seen uint32
	end = object(r.b, i, func(key []byte, i int) int {
		if string(key) != "CurrentOSNVMeSupported" {
			return skipValue(r.b, i, 5)
		}
		if !once(&seen, 1) {
			return -1
		}
		tri, i = boolean(r.b, i)
		return i
	})
	return tri, end
}

// tagList reads {"Tag":[{"TagKey":"k","TagValue":"v"}]}.
func (r *pageReader) tagList(i int) ([]ecs.Tag, int) {
	from := len(r.tags)
	var seen uint32
	i = object(r.b, i, func(key []byte, i int) int {
		if string(key) != "Tag" || !once(&seen, 1) {
			return -1
		}
		return array(r.b, i, r.tag)
	})
	if len(r.tags) == from {
		return nil, i
	}
	return r.tags[from:len(r.tags):len(r.tags)], i
}

func (r *pageReader) tag(i int) int {
	if t, end := r.plainTag(i); end >= 0 && t != (ecs.Tag{}) {
		r.tags = append(r.tags, t)
		return end
	}
	var t ecs.Tag
	var seen uint32
	i = object(r.b, i, func(key []byte, i int) int {
		field := 0
		switch string(key) {
		case "TagKey":
			field = 1
			t.Key, i = r.word(i)
		case "TagValue":
			field = 2
			t.Value, i = r.word(i)
		case "Key", "Value": // an older spelling
			return -1
		default:
			return skipValue(r.b, i, 7)
		}
		if !once(&seen, field) {
			return -1
		}
		return i
	})
	if t == (ecs.Tag{}) {
		return -1
	}
	r.tags = append(r.tags, t)
	return i
}

// plainTag reads a tag as the API writes it: the key and the value, in this order and
// without white space. -1 is any other.
func (r *pageReader) plainTag(i int) (t ecs.Tag, end int) {
	const key, value = `{"TagKey":`, `,"TagValue":`
	if string(r.b[i:i+len(key)]) != key {
		return t, -1
	}
	if t.Key, i = r.word(i + len(key)); i < 0 || string(r.b[i:i+len(value)]) != value {
		return t, -1
	}
	if t.Value, i = r.word(i + len(value)); i < 0 || r.b[i] != '}' {
		return t, -1
	}
	return t, i + 1
}

// word reads a string, or null, that is likely to be in the page, or in the next
// ones, more than once: it is copied and checked only where it is new. Equal strings
// that lie in one place are also what makes writing the page cheap.
func (r *pageReader) word(i int) (string, int) {
	b := r.b
	if b[i] != '"' {
		return r.text(i)
	}
	end := plainEnd(b, i+1)
	if b[end] != '"' {
		return r.text(i)
	}
	known := &r.words[hash(b, i+1, end)%uint64(len(r.words))]
	if *known == string(b[i+1:end]) {
		return *known, end + 1
	}
	s, end := r.text(i)
	if end >= 0 {
		*known = s
	}
	return s, end
}

// hash is a hash of b[from:to], of its length, beginning and end. b is padded.
func hash(b []byte, from, to int) uint64 {
	n := to - from
	h := binary.LittleEndian.Uint64(b[from:])
	if n < 8 {
		h &= 1<<(8*uint(n)) - 1
	} else {
		h = bits.RotateLeft64(h, 23) ^ binary.LittleEndian.Uint64(b[to-8:])
	}
	h = (h ^ uint64(n)) * 0x9E3779B97F4A7C15
	return h ^ h>>32
}

// text reads a string, or null. It is copied: the answer's buffer is used again.
func (r *pageReader) text(i int) (string, int) {
	b := r.b
	if b[i] != '"' {
		if string(b[i:i+4]) == "null" {
			return "", i + 4
		}
		return "", -1
	}
	at, end := r.own.Len(), plainEnd(b, i+1)
	switch b[end] {
	case '"':
		if !valid(b, i+1, end) {
			return "", -1
		}
		r.own.Write(b[i+1 : end])
		end++
	case '\\':
		if end = skipString(b, i+1); end < 0 {
			return "", -1
		}
		s, err := jsontext.AppendUnquote(nil, b[i:end])
		if err != nil {
			return "", -1
		}
		r.own.Write(s)
	default:
		return "", -1
	}
	return r.own.String()[at:], end
}

// valid reports whether b[from:to] is UTF-8, as far as possible by eight bytes
// at a time. b is padded.
func valid(b []byte, from, to int) bool {
	var all uint64
	i := from
	for ; to-i >= 8; i += 8 {
		all |= binary.LittleEndian.Uint64(b[i:])
	}
	all |= binary.LittleEndian.Uint64(b[i:]) & (1<<(8*uint(to-i)) - 1)
	return all&highs == 0 || utf8.Valid(b[from:to])
}

// boolean reads a boolean that is one.
func boolean(b []byte, i int) (rules.Tri, int) {
	if string(b[i:i+4]) == "true" {
		return rules.Yes, i + 4
	}
	if string(b[i:i+5]) == "false" {
		return rules.No, i + 5
	}
	return rules.Unobserved, -1
}

// number reads a whole number that is not negative and below a billion.
func number(b []byte, i int) (int32, int) {
	v, j := int32(0), i
	for ; b[j] >= '0' && b[j] <= '9' && j-i < 10; j++ {
		v = v*10 + int32(b[j]-'0')
	}
	if n := j - i; n == 0 || n > 9 || (n > 1 && b[i] == '0') || b[j] == '.' || b[j] == 'e' || b[j] == 'E' {
		return 0, -1
	}
	return v, j
}
