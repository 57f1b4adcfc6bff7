package distro

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxInput bounds the bytes of a string that are looked at.
const maxInput = 8 << 10

// decode undoes what a name may have suffered on its way: percent-encoding,
// HTML entities, \u escapes, one over the other at most four times.
func decode(text string) string {
	if len(text) > maxInput && strings.ContainsAny(text, "%&\\") {
		text = strings.TrimLeft(text, " \t\r\n")
		text = text[:min(len(text), maxInput)]
	}
	if !ascii(text) {
		text = strings.Map(halfWidth, text)
	}
	for range 4 {
		before := text
		text = replaced(text, '%', percent)
		text = replaced(text, '&', entity)
		text = replaced(text, '\\', escape)
		if text == before {
			break
		}
	}
	return text
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// halfWidth maps the full-width forms of ASCII to ASCII, and what is not seen to
// nothing.
func halfWidth(char rune) rune {
	if unseen(char) {
		return -1
	}
	if char >= 0xFF01 && char <= 0xFF5E {
		return char - 0xFF01 + '!'
	}
	return char
}

// replaced decodes what begins with a mark. read says for what is left of the text
// what it begins with and how long that is, 0 where it is nothing encoded.
func replaced(text string, mark byte, read func(string) (string, int)) string {
	if strings.IndexByte(text, mark) < 0 {
		return text
	}
	var out strings.Builder
	for text != "" {
		decoded, n := text[:1], 1
		if text[0] == mark {
			if d, m := read(text); m > 0 {
				decoded, n = d, m
			}
		}
		out.WriteString(decoded)
		text = text[n:]
	}
	return out.String()
}

// percent reads %20.
func percent(text string) (string, int) {
	if len(text) >= 3 {
		if v, err := strconv.ParseUint(text[1:3], 16, 8); err == nil {
			return string([]byte{byte(v)}), 3
		}
	}
	return "", 0
}

// entity reads an HTML entity that is whole: "&CentOS;" and "&cent" are none.
func entity(text string) (string, int) {
	name, _, whole := strings.Cut(text[:min(len(text), 12)], ";")
	lower := strings.ToLower(name) + ";"
	if decoded := html.UnescapeString(lower); whole && decoded != lower && (len(decoded) == 1 || !strings.HasSuffix(decoded, ";")) {
		return decoded, len(name) + 1
	}
	return "", 0
}

// escape reads \u4f4d, also where case was changed (\U4F4D), and \U00004f4d.
func escape(text string) (string, int) {
	for _, digits := range []int{8, 4} {
		if len(text) < 2+digits || text[1] != 'U' && (text[1] != 'u' || digits == 8) {
			continue
		}
		if v, err := strconv.ParseUint(text[2:2+digits], 16, 32); err == nil && utf8.ValidRune(rune(v)) {
			return string(rune(v)), 2 + digits
		}
	}
	return "", 0
}
