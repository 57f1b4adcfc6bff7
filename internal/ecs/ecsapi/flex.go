package ecsapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/rules"
)

func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// textOf is what a value says: a string, a number or a boolean as it is
// written, nothing for null.
func textOf(raw []byte) (string, error) {
	switch {
	case isNull(raw):
		return "", nil
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case raw[0] == '{' || raw[0] == '[':
		return "", fmt.Errorf("%w: wanted a string", errType)
	}
	return string(raw), nil
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

// listOf are the values of a list, or the single value that stands for one.
func listOf(raw []byte) ([]json.RawMessage, error) {
	if raw[0] != '[' {
		return []json.RawMessage{raw}, nil
	}
	var list []json.RawMessage
	err := json.Unmarshal(raw, &list)
	return list, err
}
