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
	if strings.Contains(text, "％") || strings.Contains(text, "＆") || strings.Contains(text, "＼") || strings.ContainsAny(text, `%&\`) && !ascii(text) {
		text = strings.Map(halfWidth, text)
	}
	for range 4 {
		before := text
		if strings.IndexByte(text, '%') >= 0 {
			text = percent(text)
		}
		if strings.IndexByte(text, '&') >= 0 && strings.IndexByte(text, ';') >= 0 {
			text = entities(text)
		}
		if strings.Contains(text, `\u`) || strings.Contains(text, `\U`) {
			text = escapes(text)
		}
		if text == before {
			break
		}
	}
	return text
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
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

// percent decodes what is percent-encoded and leaves any other "%" alone.
func percent(text string) string {
	if !encoded(text) {
		return text
	}
	var builder strings.Builder
	builder.Grow(len(text))
	for at := 0; at < len(text); at++ {
		if text[at] == '%' && at+2 < len(text) {
			if v, err := strconv.ParseUint(text[at+1:at+3], 16, 8); err == nil {
				builder.WriteByte(byte(v))
				at += 2
				continue
			}
		}
		builder.WriteByte(text[at])
	}
	return builder.String()
}

func encoded(s string) bool {
	for i := 0; i+2 < len(s); i++ {
		if s[i] == '%' && hex(s[i+1]) && hex(s[i+2]) {
			return true
		}
	}
	return false
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// entities decodes HTML entities that are whole: "&CentOS;" and "&cent" are none.
func entities(s string) string {
	var builder strings.Builder
	builder.Grow(len(s))
	for at := 0; at < len(s); at++ {
		if s[at] == '&' {
			if end := strings.IndexByte(s[at:min(len(s), at+12)], ';'); end > 1 {
				entity := strings.ToLower(s[at : at+end+1])
				if text := html.UnescapeString(entity); text != entity && (len(text) == 1 || !strings.HasSuffix(text, ";")) {
					builder.WriteString(text)
					at += end
					continue
				}
			}
		}
		builder.WriteByte(s[at])
	}
	return builder.String()
}

// escapes decodes \u4f4d, also where case was changed (\U4F4D), and
// \U00004f4d.
func escapes(text string) string {
	var builder strings.Builder
	builder.Grow(len(text))
	for at := 0; at < len(text); at++ {
		if r, n := escaped(text[at:]); n > 0 {
			builder.WriteRune(r)
			at += n - 1
			continue
		}
		builder.WriteByte(text[at])
	}
	return builder.String()
}

// escaped reads the escape that s begins with, and says how long it is; 0 where
// there is none.
func escaped(text string) (r rune, n int) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' && text[1] != 'U' {
		return 0, 0
	}
	for _, digits := range []int{8, 4} {
		if digits == 8 && (text[1] != 'U' || len(text) < 10) {
			continue
		}
		if v, err := strconv.ParseUint(text[2:2+digits], 16, 32); err == nil && v <= utf8.MaxRune && utf8.ValidRune(rune(v)) {
			return rune(v), 2 + digits
		}
	}
	return 0, 0
}
