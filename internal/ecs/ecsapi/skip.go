package ecsapi

import (
	"encoding/binary"
	"math/bits"
)

// The functions here pass over JSON without building anything. They work on a
// buffer that ends in at least padding zero bytes, which are in no JSON text:
// every loop stops there. They accept what jsontext accepts, nesting beyond
// maxDepth and keys that come twice apart, and return the index behind what was
// read, or -1 on any surprise.

const (
	padding  = 16
	maxDepth = 64

	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd returns the index of the first byte at or after i that ends a plain
// run of a string: a quote, a backslash or a control character. Eight bytes
// are looked at a time.
func plainEnd(b []byte, i int) int {
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

// skipString passes over a string whose opening quote is before i.
func skipString(b []byte, i int) int {
	for {
		i = plainEnd(b, i)
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i = skipEscape(b, i+1); i < 0 {
				return -1
			}
		default:
			return -1
		}
	}
}

func skipEscape(b []byte, i int) int {
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for k := 1; k <= 4; k++ {
			if c := b[i+k] | 0x20; (c < '0' || c > '9' || b[i+k] < '0') && (c < 'a' || c > 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

// skipSpace passes over white space.
func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// object reads an object: member is called with each key and the index of its
// value, and returns the index behind that. A key with an escape is a surprise.
func object(b []byte, i int, member func(key []byte, i int) int) int {
	if b[i] != '{' {
		return -1
	}
	if i = skipSpace(b, i+1); b[i] == '}' {
		return i + 1
	}
	for {
		if b[i] != '"' {
			return -1
		}
		end := plainEnd(b, i+1)
		if b[end] != '"' {
			return -1
		}
		at := colon(b, end+1)
		if at < 0 {
			return -1
		}
		if i = member(b[i+1:end], at); i < 0 {
			return -1
		}
		var more bool
		if i, more = next(b, i, '}'); !more {
			return i
		}
	}
}

// array reads a list: element is called with the index of each element and
// returns the one behind it.
func array(b []byte, i int, element func(i int) int) int {
	if b[i] != '[' {
		return -1
	}
	if i = skipSpace(b, i+1); b[i] == ']' {
		return i + 1
	}
	for {
		if i = element(i); i < 0 {
			return -1
		}
		var more bool
		if i, more = next(b, i, ']'); !more {
			return i
		}
	}
}

// colon passes over the colon behind a key and the space around it.
func colon(b []byte, i int) int {
	if b[i] != ':' {
		if i = skipSpace(b, i); b[i] != ':' {
			return -1
		}
	}
	if i++; b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	return i
}

// next returns where the next element or member begins, and true; behind the
// last one the index behind the list or object, and false, or -1.
func next(b []byte, i int, closing byte) (int, bool) {
	if b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	switch b[i] {
	case ',':
		if i++; b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		return i, true
	case closing:
		return i + 1, false
	}
	return -1, false
}

// skipValue passes over one value that begins at i.
func skipValue(b []byte, i, depth int) int {
	switch c := b[i]; c {
	case '"':
		return skipString(b, i+1)
	case '{':
		return skipObject(b, i+1, depth+1)
	case '[':
		return skipArray(b, i+1, depth+1)
	case 't':
		if string(b[i:i+4]) == "true" {
			return i + 4
		}
	case 'f':
		if string(b[i:i+5]) == "false" {
			return i + 5
		}
	case 'n':
		if string(b[i:i+4]) == "null" {
			return i + 4
		}
	default:
		return skipNumber(b, i)
	}
	return -1
}

func skipObject(b []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	if i = skipSpace(b, i); b[i] == '}' {
		return i + 1
	}
	for {
		if b[i] != '"' {
			return -1
		}
		if i = skipString(b, i+1); i < 0 {
			return -1
		}
		if i = colon(b, i); i < 0 {
			return -1
		}
		if b[i] == '"' { // the commonest value, without the call
			i = skipString(b, i+1)
		} else {
			i = skipValue(b, i, depth)
		}
		if i < 0 {
			return -1
		}
		var more bool
		if i, more = next(b, i, '}'); !more {
			return i
		}
	}
}

func skipArray(b []byte, i, depth int) int {
	if depth > maxDepth {
		return -1
	}
	if i = skipSpace(b, i); b[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(b, i, depth); i < 0 {
			return -1
		}
		var more bool
		if i, more = next(b, i, ']'); !more {
			return i
		}
	}
}

// skipNumber passes over a number: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
func skipNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	switch {
	case b[i] == '0':
		i++
	case b[i] >= '1' && b[i] <= '9':
		i = skipDigits(b, i)
	default:
		return -1
	}
	if b[i] == '.' {
		if i = skipSomeDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if b[i] == 'e' || b[i] == 'E' {
		i++
		if b[i] == '+' || b[i] == '-' {
			i++
		}
		return skipSomeDigits(b, i)
	}
	return i
}

func skipDigits(b []byte, i int) int {
	for b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

func skipSomeDigits(b []byte, i int) int {
	if j := skipDigits(b, i); j > i {
		return j
	}
	return -1
}
