package ecsapi

import (
	"strings"
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
)

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
	run    run // members of no use that no stretch matches
	spans  []span
	common internTable
	heads  [16]tagHead // of the first tags of a list
	pages  int
	count  int // instances of the last page
	tags   int // room for tags and bytes of strings of the next
	bytes  int

	slab []ecs.Tag
	own  strings.Builder // the page's own strings, in one piece
}

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
	d.own.Grow(d.bytes)
	d.slab = make([]ecs.Tag, 0, d.tags)
	d.run = run{}
	if d.pages++; d.pages%pagesOfStretch == 0 {
		for i := range d.order {
			d.order[i].stretch = nil
		}
	}
	p := new(ecs.Page)
	ok := d.top(b, n, p)
	if ok {
		d.count, d.tags, d.bytes = max(len(p.Instances), 1), room(d.tags, len(d.slab)), room(d.bytes, d.own.Len())
	}
	d.slab = nil
	d.own.Reset()
	return p, ok
}

// room is how much to make room for after a page that took n, where before it
// was had: enough for one a little larger, and less again page by page.
func room(had, n int) int { return max(n+n/8, had-had/16) }

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
		from := i
		if i, at, f = d.key(b, i, at); i < 0 {
			return -1
		}
		if f == other {
			i, at = d.pass(b, from, i, at)
		} else {
			if seen&(1<<f) != 0 { // twice the same key: the last one counts
				return -1
			}
			seen |= 1 << f
			d.endRun(b)
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
			d.endRun(b)
			return i + 1
		default:
			return -1
		}
	}
}
