package ecsapi

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// unmarshal reads an answer of any action. Real answers spell the same field in
// different types; this is what is taken for each type of a field:
//
//	string               a string, or a number or a boolean as it is written
//	int, int32, float64  a number, also in quotes; an int32 is not negative
//	rules.Tri            a boolean, or a word that means yes or no
//	list[T]              a list, or a single value that stands for one
//	maybe[T]             an object, or a T
//
// null and "" leave any of them zero. Keys are matched by case, and a key that
// comes twice is refused: which of the two is true cannot be known. An answer
// that carries the code of an error is one, whatever stands beside it.
func unmarshal[T any](body []byte, into *T) error {
	_, err := unmarshalRest(body, into)
	return err
}

// present are members of an answer by their keys.
type present map[string]jsontext.Value

// any reports whether one of the keys is there, be it null.
func (p present) any(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return p[key] != nil })
}

// unmarshalRest is unmarshal and returns the members that a T has no field for.
func unmarshalRest[T any](body []byte, into *T) (present, error) {
	var answer struct {
		Code, Message string
		LowCode       string  `json:"code"`
		LowMessage    string  `json:"message"`
		Body          T       `json:",inline"`
		Rest          present `json:",inline"`
	}
	if err := json.Unmarshal(body, &answer, spellings); err != nil {
		return nil, err
	}
	*into = answer.Body
	for key, value := range answer.Rest {
		if tellsOfFailure(key, value) {
			return nil, fmt.Errorf("%w: %s is %s", errFailure, clip(key, 40), scrub(clip(string(value), 200)))
		}
	}
	// Behind a code of success it is no matter what the message says.
	if said := cmp.Or(answer.Code, answer.LowCode, answer.Message, answer.LowMessage); said != "" && !meansSuccess(said) {
		return nil, fmt.Errorf("%w: %s", errFailure, scrub(clip(said, 200)))
	}
	return answer.Rest, nil
}

var errType = errors.New("a value of an unexpected type")

func missing(key string) error { return fmt.Errorf("the answer has no %s", key) }

// count is a number of things, where an answer has one.
type count = maybe[int]

// orNone is a number of things, or ecs.NoCount where there is none.
func orNone(c count) int {
	if !c.there {
		return ecs.NoCount
	}
	return max(c.v, ecs.NoCount)
}

// spellings are the options of unmarshal. Text that is not UTF-8 is read with
// the replacement character: names and tags are cut off by all kinds of tools.
var spellings = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	json.WithUnmarshalers(json.JoinUnmarshalers(
		scalar("a string", func(s string) (string, bool) { return s, true }),
		scalar("a whole number", func(s string) (int, bool) { n, ok := whole(s); return int(n), ok }),
		scalar("a whole number that is not negative", func(s string) (int32, bool) {
			n, ok := whole(s)
			return int32(n), ok && n >= 0 && n <= math.MaxInt32
		}),
		scalar("a number", func(s string) (float64, bool) { f, err := strconv.ParseFloat(s, 64); return f, err == nil }),
		scalar("a boolean", triOf),
	)),
)

// scalar makes the reader of a type from the one of its text. The text is never
// empty.
func scalar[T any](what string, parse func(string) (T, bool)) *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, value *T) error {
		switch decoder.PeekKind() {
		case '{', '[':
			return fmt.Errorf("%w: wanted %s", errType, what)
		}
		token, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		text := token.String()
		if token.Kind() == 'n' || text == "" {
			*value = *new(T)
			return nil
		}
		var ok bool
		if *value, ok = parse(text); !ok {
			return fmt.Errorf("%w: wanted %s", errType, what)
		}
		return nil
	})
}

// whole reads a whole number, also one that is written like 8192.0.
func whole(value string) (int64, bool) {
	f, err := strconv.ParseFloat(value, 64)
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53
}

func triOf(s string) (rules.Tri, bool) {
	switch strings.ToLower(s) {
	case "true", "optimized", "supported", "required", "1":
		return rules.Yes, true
	case "false", "none", "unsupported", "0":
		return rules.No, true
	}
	return rules.Unobserved, false
}

// list is nil where the answer has none, and not nil where it has one.
type list[T any] []T

// UnmarshalJSONFrom reads a list, or the only value of one without brackets.
func (l *list[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() == '[' {
		*l = list[T]{}
		return json.UnmarshalDecode(decoder, (*[]T)(l))
	}
	raw, err := decoder.ReadValue()
	if *l = nil; err != nil || isNothing(raw) {
		return err
	}
	*l = make(list[T], 1)
	return json.Unmarshal(raw, &(*l)[0], spellings)
}

// maybe is an object, or a number, that may be null or "".
type maybe[T any] struct {
	there bool
	v     T
}

// UnmarshalJSONFrom reads the object.
func (m *maybe[T]) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	*m = maybe[T]{there: true}
	if decoder.PeekKind() == '{' {
		return json.UnmarshalDecode(decoder, &m.v)
	}
	raw, err := decoder.ReadValue()
	switch {
	case err != nil:
		return err
	case isNothing(raw):
		m.there = false
	case json.Unmarshal(raw, &m.v, spellings) != nil:
		return fmt.Errorf("%w: wanted an object or a whole number", errType)
	}
	return nil
}

func isNothing(raw jsontext.Value) bool { return string(raw) == "null" || string(raw) == `""` }
