package ecsapi

import (
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

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
	default: // a field that is not kept
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
	if !valid(b, from, to) {
		return "", -1
	}
	return d.keep(b[from:to]), next
}

// valid reports whether b[from:to] is UTF-8. b is padded.
func valid(b []byte, from, to int) bool {
	var all uint64
	i := from
	for ; to-i >= 8; i += 8 {
		all |= binary.LittleEndian.Uint64(b[i:])
	}
	all |= binary.LittleEndian.Uint64(b[i:]) & (1<<(8*uint(to-i)) - 1)
	return all&highs == 0 || utf8.Valid(b[from:to])
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
	s, h, ok := d.common.find(b, from, to)
	if ok {
		return s, next
	}
	if !valid(b, from, to) {
		return "", -1
	}
	if s, ok := d.common.add(b, from, to, h); ok {
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
		t, next := d.alike(b, i, len(d.slab)-from)
		if next < 0 {
			if t, next = d.tag(b, i, len(d.slab)-from); next < 0 {
				return nil, -1
			}
		}
		i = next
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

// tagHead is how a tag begins, `{"TagKey":"env","TagValue":`, and its key.
// Instances tend to have tags of the same keys in the same order.
type tagHead struct {
	text []byte
	key  string
}

// alike reads a tag that begins as the nth of an earlier list did and ends
// with its value; -1 for any other.
func (d *pageDecoder) alike(b []byte, i, nth int) (t ecs.Tag, next int) {
	if nth >= len(d.heads) {
		return t, -1
	}
	h := &d.heads[nth]
	n := len(h.text)
	if n == 0 || len(b)-i < n || string(b[i:i+n]) != string(h.text) {
		return t, -1
	}
	t.Key = h.key
	if t.Value, i = d.shared(b, i+n); i < 0 || b[i] != '}' {
		return t, -1
	}
	return t, i + 1
}

// remember takes b[from:to] as the head of an nth tag whose key is at key, if
// that key is a common one: another would keep its page in memory.
func (d *pageDecoder) remember(b []byte, from, to, key, nth int) {
	k, end, next, _ := quoted(b, key)
	if next < 0 || to-from > maxCommon || nth >= len(d.heads) {
		return
	}
	if s, _, ok := d.common.find(b, k, end); ok {
		h := &d.heads[nth]
		h.key, h.text = s, append(h.text[:0], b[from:to]...)
	}
}

func (d *pageDecoder) tag(b []byte, i, nth int) (t ecs.Tag, next int) {
	if b[i] != '{' {
		return t, -1
	}
	var seen uint8
	from, atKey := i, 0
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
			bit, atKey = 1, i
			t.Key, i = d.shared(b, i)
		case "TagValue":
			if bit = 2; seen == 1 {
				d.remember(b, from, i, atKey, nth)
			}
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
