package ecsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shenscan/shenscan/rules"
)

// Real answers spell the same field in different types: a number or a string,
// a boolean or a string, a list or a single value, null or nothing. The flex
// types take every spelling that was seen and refuse the rest.

func missing(key string) error { return fmt.Errorf("the answer has no %s", key) }

var errType = errors.New("a value of an unexpected type")

func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// flexString takes a string, a number or a boolean as written; null is "".
type flexString string

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexString) UnmarshalJSON(raw []byte) error {
	*f = ""
	switch {
	case isNull(raw):
		return nil
	case plainText(raw):
		*f = flexString(raw[1 : len(raw)-1])
		return nil
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*f = flexString(s)
		return nil
	case raw[0] == '{' || raw[0] == '[':
		return fmt.Errorf("%w: wanted a string", errType)
	}
	*f = flexString(raw)
	return nil
}

// plainText reports whether raw is a string in quotes that means what it says:
// ASCII without escapes.
func plainText(raw []byte) bool {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return false
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// flexInt takes a whole number or a string that holds one; null and "" are 0.
type flexInt int64

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexInt) UnmarshalJSON(raw []byte) error {
	var s flexString
	*f = 0
	if err := s.UnmarshalJSON(raw); err != nil || s == "" {
		return err
	}
	n, err := parseInt(string(s))
	*f = flexInt(n)
	return err
}

func parseInt(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	v, err := strconv.ParseFloat(s, 64) // "8192.0"
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return 0, fmt.Errorf("%w: wanted a whole number", errType)
	}
	return int64(v), nil
}

// flexFloat takes a number or a string that holds one; null and "" are 0.
type flexFloat float64

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexFloat) UnmarshalJSON(raw []byte) error {
	var s flexString
	*f = 0
	if err := s.UnmarshalJSON(raw); err != nil || s == "" {
		return err
	}
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return fmt.Errorf("%w: wanted a number", errType)
	}
	*f = flexFloat(v)
	return nil
}

// flexTri takes a boolean or a word that means one; null and "" are not
// observed.
type flexTri rules.Tri

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexTri) UnmarshalJSON(raw []byte) error {
	var s flexString
	*f = flexTri(rules.Unobserved)
	if err := s.UnmarshalJSON(raw); err != nil {
		return err
	}
	t, ok := parseTri(string(s))
	if !ok {
		return fmt.Errorf("%w: wanted a boolean", errType)
	}
	*f = flexTri(t)
	return nil
}

func parseTri(s string) (rules.Tri, bool) {
	switch strings.ToLower(s) {
	case "":
		return rules.Unobserved, true
	case "true", "optimized", "supported", "required", "1":
		return rules.Yes, true
	case "false", "none", "unsupported", "0":
		return rules.No, true
	}
	return rules.Unobserved, false
}

// flexList takes a list, a single value, null, "" or {}, bare or wrapped in
// an object whose only list it is.
type flexList[T any] struct {
	items []T
	found bool // a list or a value was there, be it empty
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexList[T]) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	f.items, f.found = nil, false
	switch {
	case isNull(raw) || string(raw) == `""`:
		return nil
	case raw[0] == '[':
		f.found = true
		return json.Unmarshal(raw, &f.items)
	}
	var one T
	if err := json.Unmarshal(raw, &one); err != nil {
		return err
	}
	f.items, f.found = []T{one}, true
	return nil
}

// loose takes a T, null or "" (an object that is not there).
type loose[T any] struct{ v T }

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose[T]) UnmarshalJSON(raw []byte) error {
	*l = loose[T]{}
	if isNull(raw) || string(raw) == `""` {
		return nil
	}
	return json.Unmarshal(raw, &l.v)
}
