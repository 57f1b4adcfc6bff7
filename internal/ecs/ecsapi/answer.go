package ecsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/shenscan/shenscan/rules"
)

// Real answers spell the same field in different types: a number or a string,
// a boolean or a string, a list or a single value, an object or "", null or
// nothing. unmarshal takes every spelling that was seen and refuses the rest.
// It reads an answer in one pass and makes nothing of the members that nobody
// asked for, which are most of it.
//
// The fields of T are strings (a number or a boolean as it is written), ints,
// float64s, rules.Tris (a word that means yes or no), structs, pointers to
// them and slices. A field's key is its name, or what its json tag says, in
// any case. null and "" leave a field zero, a pointer nil; so a slice is nil
// where there was no list, and empty where the list was.
func unmarshal[T any](body []byte, v *T) error {
	n := len(body)
	a := input{b: append(make([]byte, 0, n+padding), body...)[:n+padding]}
	i := readerOf(reflect.TypeFor[T]())(&a, skipSpace(a.b, 0), 0, reflect.ValueOf(v).Elem())
	if a.err != nil {
		return a.err
	}
	if i >= 0 && skipSpace(a.b, i) == n {
		return nil
	}
	if err := json.Unmarshal(body, new(json.RawMessage)); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return errors.New("the answer nests too deeply")
}

var errType = errors.New("a value of an unexpected type")

func missing(key string) error { return fmt.Errorf("the answer has no %s", key) }

// input is a body that is read, with padding behind it.
type input struct {
	b   []byte
	err error // what was wrong with a value, which then ended at -1
}

// reader reads the value at i into v, which is zero, and returns the index
// behind it, or -1.
type reader func(a *input, i, depth int, v reflect.Value) int

var readers sync.Map // reflect.Type to reader

func readerOf(t reflect.Type) reader {
	if r, ok := readers.Load(t); ok {
		return r.(reader)
	}
	r := newReader(t)
	readers.Store(t, r)
	return r
}

func newReader(t reflect.Type) reader {
	if t == reflect.TypeFor[rules.Tri]() {
		return scalar("a boolean", func(s string, v reflect.Value) bool {
			tri, ok := parseTri(s)
			v.Set(reflect.ValueOf(tri))
			return ok
		})
	}
	switch t.Kind() {
	case reflect.String:
		return scalar("a string", func(s string, v reflect.Value) bool { v.SetString(s); return true })
	case reflect.Int:
		return scalar("a whole number", func(s string, v reflect.Value) bool {
			n, err := parseInt(s)
			v.SetInt(n)
			return err == nil || s == ""
		})
	case reflect.Float64:
		return scalar("a number", func(s string, v reflect.Value) bool {
			f, err := strconv.ParseFloat(s, 64)
			v.SetFloat(f)
			return err == nil || s == ""
		})
	case reflect.Pointer:
		elem := readerOf(t.Elem())
		return func(a *input, i, depth int, v reflect.Value) int {
			if end := a.nothing(i); end >= 0 {
				return end
			}
			v.Set(reflect.New(t.Elem()))
			return elem(a, i, depth, v.Elem())
		}
	case reflect.Slice:
		return sliceReader(t)
	case reflect.Struct:
		return structReader(t)
	default:
		panic(fmt.Sprintf("ecsapi: an answer has no %s", t))
	}
}

// nothing returns the index behind a null or "" at i, or -1.
func (a *input) nothing(i int) int {
	if string(a.b[i:i+4]) == "null" {
		return i + 4
	}
	if string(a.b[i:i+2]) == `""` {
		return i + 2
	}
	return -1
}

// wanted ends the reading of a value of another type.
func (a *input) wanted(what string) int {
	a.err = fmt.Errorf("%w: wanted %s", errType, what)
	return -1
}

func scalar(what string, set func(string, reflect.Value) bool) reader {
	return func(a *input, i, depth int, v reflect.Value) int {
		if c := a.b[i]; c == '{' || c == '[' {
			if skipValue(a.b, i, depth) < 0 {
				return -1
			}
			return a.wanted(what)
		}
		s, end := a.text(i)
		if end >= 0 && !set(s, v) {
			return a.wanted(what)
		}
		return end
	}
}

// text reads a string, or a number or a boolean as it is written; null is "".
func (a *input) text(i int) (string, int) {
	b := a.b
	if b[i] != '"' {
		end := skipValue(b, i, 0)
		if end < 0 || b[i] == 'n' {
			return "", end
		}
		return string(b[i:end]), end
	}
	if from, to, next, _ := quoted(b, i); next >= 0 && valid(b, from, to) {
		return string(b[from:to]), next
	}
	end := skipString(b, i+1)
	var s string
	if end < 0 || json.Unmarshal(b[i:end], &s) != nil {
		return "", -1
	}
	return s, end
}

func sliceReader(t reflect.Type) reader {
	elem := readerOf(t.Elem())
	return func(a *input, i, depth int, v reflect.Value) int {
		if end := a.nothing(i); end >= 0 {
			return end
		}
		v.Set(reflect.MakeSlice(t, 0, 0))
		if a.b[i] != '[' { // the only one, bare
			v.Grow(1)
			v.SetLen(1)
			return elem(a, i, depth, v.Index(0))
		}
		if depth++; depth > maxDepth {
			return -1
		}
		if i = skipSpace(a.b, i+1); a.b[i] == ']' {
			return i + 1
		}
		for n := 0; ; n++ {
			if n == v.Cap() {
				v.Grow(n + 1)
			}
			v.SetLen(n + 1)
			if i = elem(a, i, depth, v.Index(n)); i < 0 {
				return -1
			}
			var more bool
			if i, more = a.next(i, ']'); !more {
				return i
			}
		}
	}
}

// next returns where the next element or member begins, and true; behind the
// last one the index behind the list or object, and false, or -1.
func (a *input) next(i int, closing byte) (int, bool) {
	switch i = skipSpace(a.b, i); a.b[i] {
	case ',':
		return skipSpace(a.b, i+1), true
	case closing:
		return i + 1, false
	}
	return -1, false
}

// member is a field of a struct.
type member struct {
	index int
	read  reader
}

// memberFilter tells most keys that are no field's from those that may be, by
// their length and first letter.
func memberFilter(key []byte) uint64 {
	if len(key) == 0 {
		return 0
	}
	return 1 << ((uint(len(key))*7 + uint(key[0]|0x20)) & 63)
}

func structReader(t reflect.Type) reader {
	members := make(map[string]member, 2*t.NumField())
	var filter uint64
	for k := range t.NumField() {
		f := t.Field(k)
		name := f.Name
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" {
			name = tag
		}
		m := member{k, readerOf(f.Type)}
		members[name], members[strings.ToLower(name)] = m, m
		filter |= memberFilter([]byte(name))
	}
	find := func(key []byte) (member, bool) {
		if filter&memberFilter(key) == 0 {
			return member{}, false
		}
		m, ok := members[string(key)]
		if !ok {
			m, ok = members[strings.ToLower(string(key))]
		}
		return m, ok
	}
	return func(a *input, i, depth int, v reflect.Value) int {
		if end := a.nothing(i); end >= 0 {
			return end
		}
		if a.b[i] != '{' {
			if skipValue(a.b, i, depth) < 0 {
				return -1
			}
			return a.wanted("an object")
		}
		if depth++; depth > maxDepth {
			return -1
		}
		if i = skipSpace(a.b, i+1); a.b[i] == '}' {
			return i + 1
		}
		for {
			end, key := a.key(i)
			if end < 0 {
				return -1
			}
			if i = colon(a.b, end); i < 0 {
				return -1
			}
			if m, ok := find(key); ok {
				field := v.Field(m.index)
				field.SetZero() // of equal keys the last one counts
				i = m.read(a, i, depth, field)
				if a.err != nil {
					a.err = fmt.Errorf("%s: %w", key, a.err)
				}
			} else {
				i = skipValue(a.b, i, depth)
			}
			if i < 0 {
				return -1
			}
			var more bool
			if i, more = a.next(i, '}'); !more {
				return i
			}
		}
	}
}

// key reads a key and returns the index behind its closing quote.
func (a *input) key(i int) (int, []byte) {
	if end, key := plainKey(a.b, i); end >= 0 {
		return end, key
	}
	if a.b[i] != '"' {
		return -1, nil
	}
	s, end := a.text(i)
	return end, []byte(s)
}
