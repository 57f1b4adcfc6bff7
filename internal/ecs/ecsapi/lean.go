package ecsapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// unmarshal reads an answer into v by encoding/json, without the members that
// v has no field for: nearly all of an answer, which encoding/json passes over
// once for each value that they are within.
func unmarshal[T any](body []byte, v *T) error {
	if keys := keysOf(reflect.TypeFor[T]()); keys != nil {
		body = lean(body, keys)
	}
	return json.Unmarshal(body, v)
}

// keySet are the keys that a type reads, in lower case: encoding/json matches
// them without regard to case. It is nil for a type that may read any.
type keySet map[string]bool

var keySets sync.Map // by reflect.Type

func keysOf(t reflect.Type) keySet {
	if keys, ok := keySets.Load(t); ok {
		return keys.(keySet)
	}
	keys := keySet{}
	if !keys.add(t) {
		keys = nil
	}
	keySets.Store(t, keys)
	return keys
}

// add takes in the keys of t and of what it is made of, unexported fields
// included: the flex types unmarshal into theirs. It returns false for a type
// that keeps members of any key.
func (k keySet) add(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Map, reflect.Interface:
		return false
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return t != reflect.TypeFor[json.RawMessage]() && k.add(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				k[strings.ToLower(name)] = true
			} else if f.IsExported() {
				k[strings.ToLower(f.Name)] = true
			}
			if !k.add(f.Type) {
				return false
			}
		}
	default: // a value without keys
	}
	return true
}

// has reports whether key may be one of k. One that is not plain ASCII may: in
// other letters, too, encoding/json finds equal what differs in case.
func (k keySet) has(key []byte) bool {
	if k[string(key)] {
		return true
	}
	var low [64]byte
	if len(key) > len(low) {
		return !ascii(key)
	}
	for i, c := range key {
		if c >= 0x80 {
			return true
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	return k[string(low[:len(key)])]
}

func ascii(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return c >= 0x80 })
}

// lean returns body without the members whose keys are not in keys, or body
// itself when anything about it is out of the ordinary.
func lean(body []byte, keys keySet) []byte {
	n := len(body)
	b := append(make([]byte, 0, n+padding), body...)[:n+padding]
	l := leaner{keys: keys, b: b, out: make([]byte, 0, n/4)}
	if i := l.value(skipSpace(b, 0), 0); i < 0 || skipSpace(b, i) != n {
		return body
	}
	return l.out
}

type leaner struct {
	keys   keySet
	b, out []byte // b is padded
}

// value copies what is kept of the value at i and returns the index behind
// it, or -1 on any surprise.
func (l *leaner) value(i, depth int) int {
	b := l.b
	if c := b[i]; c != '{' && c != '[' {
		end := skipValue(b, i, depth)
		if end >= 0 {
			l.out = append(l.out, b[i:end]...)
		}
		return end
	}
	if depth++; depth > maxDepth {
		return -1
	}
	keyed, closing := b[i] == '{', b[i]+2 // in ASCII, for both
	l.out = append(l.out, b[i])
	if i = skipSpace(b, i+1); b[i] == closing {
		l.out = append(l.out, closing)
		return i + 1
	}
	for first := true; ; {
		keep := true
		from := len(l.out)
		if !first {
			l.out = append(l.out, ',')
		}
		if keyed {
			end, key := plainKey(b, i)
			if end < 0 {
				return -1
			}
			if keep = l.keys.has(key); keep {
				l.out = append(append(l.out, b[i:end]...), ':')
			}
			if i = colon(b, end); i < 0 {
				return -1
			}
		}
		if keep {
			i, first = l.value(i, depth), false
		} else {
			i, l.out = skipValue(b, i, depth), l.out[:from]
		}
		if i < 0 {
			return -1
		}
		switch i = skipSpace(b, i); b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case closing:
			l.out = append(l.out, closing)
			return i + 1
		default:
			return -1
		}
	}
}
