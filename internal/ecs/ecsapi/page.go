package ecsapi

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

func trailingByte(hit uint64) int { return bits.TrailingZeros64(hit) >> 3 }

// field is a key of an instance that is kept; other is any other key.
type field uint8

const (
	other field = iota
	fieldID
	fieldName
	fieldType
	fieldFamily
	fieldImageID
	fieldOSName
	fieldOSNameEn
	fieldOSType
	fieldStatus
	fieldZone
	fieldCreation
	fieldNetwork
	fieldIoOptimized
	fieldImageOptions
	fieldCPU
	fieldMemory
	fieldTags
)

func fieldOf(key []byte) field {
	switch string(key) {
	case "InstanceId":
		return fieldID
	case "InstanceName":
		return fieldName
	case "InstanceType":
		return fieldType
	case "InstanceTypeFamily":
		return fieldFamily
	case "ImageId":
		return fieldImageID
	case "OSName":
		return fieldOSName
	case "OSNameEn":
		return fieldOSNameEn
	case "OSType":
		return fieldOSType
	case "Status":
		return fieldStatus
	case "ZoneId":
		return fieldZone
	case "CreationTime":
		return fieldCreation
	case "InstanceNetworkType":
		return fieldNetwork
	case "IoOptimized":
		return fieldIoOptimized
	case "ImageOptions":
		return fieldImageOptions
	case "Cpu":
		return fieldCPU
	case "Memory":
		return fieldMemory
	case "Tags":
		return fieldTags
	}
	return other
}

// decodePage reads an answer of DescribeInstances. The scanner for the usual
// shape does nearly all of them; whatever surprises it goes through
// encoding/json, and what that does not understand either is an error. body
// needs padding bytes of room behind it, else it is copied.
func decodePage(body []byte) (*ecs.Page, error) {
	d := decoders.Get().(*pageDecoder)
	defer decoders.Put(d)
	if p, ok := d.decode(body); ok {
		return p, nil
	}
	return decodePageSlow(body)
}

var decoders = sync.Pool{New: func() any { return new(pageDecoder) }}

// pageDecoder remembers what pages have in common: the order of an instance's
// keys, strings that come again and again, and how much room a page takes.
type pageDecoder struct {
	order  []keyAt
	common internTable
	count  int // instances, tags and bytes of strings in the last page
	tags   int
	bytes  int

	slab []ecs.Tag
	own  strings.Builder // the page's own strings, in one piece
}

type keyAt struct {
	quoted string // `"InstanceId"`
	field  field
}

const maxKeys = 256

// decode is the fast path; false means that something was out of the
// ordinary.
func (d *pageDecoder) decode(body []byte) (*ecs.Page, bool) {
	n := len(body)
	if cap(body)-n < padding {
		body = append(make([]byte, 0, n+padding), body...)
	}
	b := body[: n+padding : n+padding]
	clear(b[n:])
	d.own.Reset()
	d.own.Grow(d.bytes + 256)
	d.slab = make([]ecs.Tag, 0, d.tags)
	p := new(ecs.Page)
	ok := d.top(b, n, p)
	if ok {
		d.count, d.tags, d.bytes = max(len(p.Instances), 1), len(d.slab), d.own.Len()
	}
	d.slab = nil
	d.own.Reset()
	return p, ok
}

// top reads the envelope.
func (d *pageDecoder) top(b []byte, n int, p *ecs.Page) bool {
	i := skipSpace(b, 0)
	if b[i] != '{' {
		return false
	}
	var seen uint8
	for i++; ; i++ {
		i = skipSpace(b, i)
		end, key := plainKey(b, i)
		if end < 0 {
			return false
		}
		if i = skipSpace(b, end); b[i] != ':' {
			return false
		}
		i = skipSpace(b, i+1)
		bit := uint8(0)
		switch string(key) {
		case "Instances":
			bit, i = 1, d.instances(b, i, p)
		case "NextToken":
			bit = 2
			p.NextToken, i = d.str(b, i)
		case "RequestId":
			bit = 4
			p.RequestID, i = d.str(b, i)
		default:
			i = skipValue(b, i, 1)
		}
		if i < 0 || seen&bit != 0 {
			return false
		}
		seen |= bit
		i = skipSpace(b, i)
		if b[i] == '}' {
			return seen&1 != 0 && skipSpace(b, i+1) == n
		}
		if b[i] != ',' {
			return false
		}
	}
}

// plainKey reads a key without escapes at i and returns the index behind its
// closing quote.
func plainKey(b []byte, i int) (int, []byte) {
	if b[i] != '"' {
		return -1, nil
	}
	end := plainEnd(b, i+1)
	if b[end] != '"' {
		return -1, nil
	}
	return end + 1, b[i+1 : end]
}

// instances reads {"Instance":[...]}.
func (d *pageDecoder) instances(b []byte, i int, p *ecs.Page) int {
	if b[i] != '{' {
		return -1
	}
	end, key := plainKey(b, skipSpace(b, i+1))
	if end < 0 || string(key) != "Instance" {
		return -1
	}
	if i = skipSpace(b, end); b[i] != ':' {
		return -1
	}
	if i = skipSpace(b, i+1); b[i] != '[' {
		return -1
	}
	i = skipSpace(b, i+1)
	p.Instances = make([]ecs.Instance, 0, max(d.count, 1))
	for b[i] != ']' {
		if b[i] != '{' {
			return -1
		}
		if len(p.Instances) == cap(p.Instances) {
			p.Instances = append(make([]ecs.Instance, 0, max(2*len(p.Instances), ecs.MaxPage)), p.Instances...)
		}
		p.Instances = p.Instances[:len(p.Instances)+1]
		inst := &p.Instances[len(p.Instances)-1]
		if i = d.instance(b, i+1, inst); i < 0 || inst.ID == "" {
			return -1
		}
		i = skipSpace(b, i)
		if b[i] == ',' {
			if i = skipSpace(b, i+1); b[i] != '{' {
				return -1
			}
		} else if b[i] != ']' {
			return -1
		}
	}
	if i = skipSpace(b, i+1); b[i] != '}' {
		return -1
	}
	return i + 1
}

// instance reads the members of one instance, from behind its brace.
func (d *pageDecoder) instance(b []byte, i int, inst *ecs.Instance) int {
	var seen uint32
	for at := 0; ; at++ {
		if b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		var f field
		if i, at, f = d.key(b, i, at); i < 0 {
			return -1
		}
		if b[i] != ':' {
			if i = skipSpace(b, i); b[i] != ':' {
				return -1
			}
		}
		if i++; b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		if f == other {
			if b[i] == '"' {
				i = skipString(b, i+1)
			} else {
				i = skipValue(b, i, 4)
			}
		} else {
			if seen&(1<<f) != 0 { // twice the same key: the last one counts
				return -1
			}
			seen |= 1 << f
			i = d.value(b, i, f, inst)
		}
		if i < 0 {
			return -1
		}
		if b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		switch b[i] {
		case ',':
			i++
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

// key reads the key at i, which is expected to be the at-th of the order that
// was seen before or one of the few after it. It returns the index behind the
// key and its place in the order.
func (d *pageDecoder) key(b []byte, i, at int) (int, int, field) {
	for k := at; k < len(d.order) && k < at+4; k++ {
		q := d.order[k].quoted
		if end := i + len(q); end <= len(b) && string(b[i:end]) == q {
			return end, k, d.order[k].field
		}
	}
	end, key := plainKey(b, i)
	if end < 0 {
		return -1, at, other
	}
	f := fieldOf(key)
	switch {
	case at < len(d.order):
		d.order[at] = keyAt{string(b[i:end]), f}
	case at < maxKeys:
		d.order = append(d.order, keyAt{string(b[i:end]), f})
	}
	return end, at, f
}

func (d *pageDecoder) value(b []byte, i int, f field, inst *ecs.Instance) int {
	switch f {
	case fieldID:
		inst.ID, i = d.str(b, i)
	case fieldName:
		inst.Name, i = d.str(b, i)
	case fieldType:
		inst.Type, i = d.shared(b, i)
	case fieldFamily:
		inst.Family, i = d.shared(b, i)
	case fieldImageID:
		inst.ImageID, i = d.shared(b, i)
	case fieldOSName:
		inst.OSName, i = d.shared(b, i)
	case fieldOSNameEn:
		inst.OSNameEn, i = d.shared(b, i)
	case fieldOSType:
		inst.OSType, i = d.shared(b, i)
	case fieldStatus:
		inst.Status, i = d.shared(b, i)
	case fieldZone:
		inst.Zone, i = d.shared(b, i)
	case fieldCreation:
		inst.CreationTime, i = d.str(b, i)
	case fieldNetwork:
		inst.NetworkType, i = d.shared(b, i)
	case fieldIoOptimized:
		inst.IoOptimized, i = tri(b, i)
	case fieldImageOptions:
		inst.OSNVMe, i = imageOptions(b, i)
	case fieldCPU:
		inst.CPU, i = count(b, i)
	case fieldMemory:
		inst.MemoryMiB, i = count(b, i)
	case fieldTags:
		inst.Tags, i = d.tagList(b, i)
	}
	return i
}

// quoted reads a string value at i: its bytes are b[from:to], the next index
// is next. An escaped string has next < 0 and escaped true.
func quoted(b []byte, i int) (from, to, next int, escaped bool) {
	if b[i] != '"' {
		return 0, 0, -1, false
	}
	to = plainEnd(b, i+1)
	switch b[to] {
	case '"':
		return i + 1, to, to + 1, false
	case '\\':
		return 0, 0, -1, true
	}
	return 0, 0, -1, false
}

// str reads a string that is likely to be this page's own.
func (d *pageDecoder) str(b []byte, i int) (string, int) {
	from, to, next, escaped := quoted(b, i)
	if next < 0 {
		return d.oddString(b, i, escaped)
	}
	if !utf8.Valid(b[from:to]) {
		return "", -1
	}
	return d.keep(b[from:to]), next
}

// keep copies s into the page's piece of strings.
func (d *pageDecoder) keep(s []byte) string {
	at := d.own.Len()
	d.own.Write(s)
	return d.own.String()[at:]
}

// shared reads a string that is likely to have been seen before.
func (d *pageDecoder) shared(b []byte, i int) (string, int) {
	from, to, next, escaped := quoted(b, i)
	if next < 0 {
		return d.oddString(b, i, escaped)
	}
	s, hit := d.common.find(b, from, to)
	if hit {
		return s, next
	}
	if !utf8.Valid(b[from:to]) {
		return "", -1
	}
	if s, ok := d.common.add(b, from, to); ok {
		return s, next
	}
	return d.keep(b[from:to]), next
}

// oddString reads a string with escapes, or null.
func (d *pageDecoder) oddString(b []byte, i int, escaped bool) (string, int) {
	if !escaped {
		if string(b[i:i+4]) == "null" {
			return "", i + 4
		}
		return "", -1
	}
	end := skipString(b, i+1)
	if end < 0 {
		return "", -1
	}
	var s string
	if json.Unmarshal(b[i:end], &s) != nil {
		return "", -1
	}
	return s, end
}

// tri reads a boolean, or one in quotes.
func tri(b []byte, i int) (rules.Tri, int) {
	if b[i] == '"' {
		t, next := tri(b, i+1)
		if next < 0 || b[next] != '"' || b[i+1] == '"' {
			return rules.Unobserved, -1
		}
		return t, next + 1
	}
	if string(b[i:i+4]) == "true" {
		return rules.Yes, i + 4
	}
	if string(b[i:i+5]) == "false" {
		return rules.No, i + 5
	}
	return rules.Unobserved, -1
}

// count reads a whole number that is not negative and below a billion.
func count(b []byte, i int) (int32, int) {
	v, j := int32(0), i
	for ; b[j] >= '0' && b[j] <= '9' && j-i < 10; j++ {
		v = v*10 + int32(b[j]-'0')
	}
	if n := j - i; n == 0 || n > 9 || (n > 1 && b[i] == '0') || b[j] == '.' || b[j] == 'e' || b[j] == 'E' {
		return 0, -1
	}
	return v, j
}

// imageOptions reads CurrentOSNVMeSupported out of an ImageOptions object.
func imageOptions(b []byte, i int) (t rules.Tri, next int) {
	if b[i] != '{' {
		return t, -1
	}
	if i = skipSpace(b, i+1); b[i] == '}' {
		return t, i + 1
	}
	for seen := false; ; i = skipSpace(b, i+1) {
		end, key := plainKey(b, i)
		if end < 0 {
			return t, -1
		}
		if i = skipSpace(b, end); b[i] != ':' {
			return t, -1
		}
		i = skipSpace(b, i+1)
		if string(key) == "CurrentOSNVMeSupported" {
			if seen {
				return t, -1
			}
			seen = true
			t, i = tri(b, i)
		} else {
			i = skipValue(b, i, 5)
		}
		if i < 0 {
			return t, -1
		}
		switch i = skipSpace(b, i); b[i] {
		case ',':
		case '}':
			return t, i + 1
		default:
			return t, -1
		}
	}
}

// tagList reads {"Tag":[{"TagKey":"k","TagValue":"v"}]}.
func (d *pageDecoder) tagList(b []byte, i int) ([]ecs.Tag, int) {
	if b[i] != '{' {
		return nil, -1
	}
	end, key := plainKey(b, skipSpace(b, i+1))
	if end < 0 || string(key) != "Tag" {
		return nil, -1
	}
	if i = skipSpace(b, end); b[i] != ':' {
		return nil, -1
	}
	if i = skipSpace(b, i+1); b[i] != '[' {
		return nil, -1
	}
	from := len(d.slab)
	for i = skipSpace(b, i+1); b[i] != ']'; {
		var t ecs.Tag
		if t, i = d.tag(b, i); i < 0 {
			return nil, -1
		}
		d.slab = append(d.slab, t)
		i = skipSpace(b, i)
		if b[i] == ',' {
			if i = skipSpace(b, i+1); b[i] != '{' {
				return nil, -1
			}
		} else if b[i] != ']' {
			return nil, -1
		}
	}
	if i = skipSpace(b, i+1); b[i] != '}' {
		return nil, -1
	}
	if len(d.slab) == from {
		return nil, i + 1
	}
	return d.slab[from:len(d.slab):len(d.slab)], i + 1
}

func (d *pageDecoder) tag(b []byte, i int) (t ecs.Tag, next int) {
	if b[i] != '{' {
		return t, -1
	}
	var seen uint8
	for i = skipSpace(b, i+1); ; i = skipSpace(b, i+1) {
		end, key := plainKey(b, i)
		if end < 0 {
			return t, -1
		}
		if i = skipSpace(b, end); b[i] != ':' {
			return t, -1
		}
		i = skipSpace(b, i+1)
		bit := uint8(0)
		switch string(key) {
		case "TagKey":
			bit = 1
			t.Key, i = d.shared(b, i)
		case "TagValue":
			bit = 2
			t.Value, i = d.shared(b, i)
		case "Key", "Value": // an older spelling
			return t, -1
		default:
			i = skipValue(b, i, 7)
		}
		if i < 0 || seen&bit != 0 {
			return t, -1
		}
		seen |= bit
		switch i = skipSpace(b, i); b[i] {
		case ',':
		case '}':
			return t, i + 1
		default:
			return t, -1
		}
	}
}

// internTable holds strings that come often. A string enters it when it comes
// a second time, so that what comes once costs no memory of its own.
type internTable struct {
	strings [512]string
	pending [512]uint64
	hot     [512]bool // found since it was put there
	refused int
}

func hashBytes(b []byte, from, to int) uint64 {
	n := to - from
	h := uint64(n) * 0x9e3779b97f4a7c15
	if n >= 8 {
		h ^= binary.LittleEndian.Uint64(b[from:]) * 0xff51afd7ed558ccd
		h = bits.RotateLeft64(h, 29)
		h ^= binary.LittleEndian.Uint64(b[to-8:])
		if n > 16 {
			h = bits.RotateLeft64(h*0x9e3779b97f4a7c15, 31) ^ binary.LittleEndian.Uint64(b[from+n/2-4:])
		}
	} else {
		h ^= binary.LittleEndian.Uint64(b[from:]) & (1<<(8*uint(n)) - 1)
	}
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>32
}

const maxCommon = 256 // bytes of a string that is worth keeping

// find looks in the two places where a string may be.
func (t *internTable) find(b []byte, from, to int) (string, bool) {
	if from == to {
		return "", true
	}
	slot := hashBytes(b, from, to) % uint64(len(t.strings))
	if s := t.strings[slot]; s == string(b[from:to]) {
		t.hot[slot] = true
		return s, true
	}
	slot ^= 1
	s := t.strings[slot]
	if s == string(b[from:to]) {
		t.hot[slot] = true
		return s, true
	}
	return "", false
}

// add makes a string common if it was seen before and one of its two places
// holds nothing that is in use; the caller has checked it.
func (t *internTable) add(b []byte, from, to int) (string, bool) {
	h := hashBytes(b, from, to)
	slot := h % uint64(len(t.strings))
	if t.pending[slot] != h || to-from > maxCommon {
		t.pending[slot] = h
		return "", false
	}
	if t.hot[slot] {
		slot ^= 1
	}
	if t.hot[slot] {
		if t.refused++; t.refused%256 == 0 { // what is hot today may not be tomorrow
			t.hot[slot], t.hot[slot^1] = false, false
		}
		return "", false
	}
	s := string(b[from:to])
	t.strings[slot], t.hot[slot] = s, true
	return s, true
}
