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
func decode(s string) string {
	if len(s) > maxInput && strings.ContainsAny(s, "%&\\") {
		s = strings.TrimLeft(s, " \t\r\n")
		s = s[:min(len(s), maxInput)]
	}
	if strings.Contains(s, "％") || strings.Contains(s, "＆") || strings.Contains(s, "＼") || strings.ContainsAny(s, `%&\`) && !ascii(s) {
		s = strings.Map(halfWidth, s)
	}
	for range 4 {
		before := s
		if strings.IndexByte(s, '%') >= 0 {
			s = percent(s)
		}
		if strings.IndexByte(s, '&') >= 0 && strings.IndexByte(s, ';') >= 0 {
			s = entities(s)
		}
		if strings.Contains(s, `\u`) || strings.Contains(s, `\U`) {
			s = escapes(s)
		}
		if s == before {
			break
		}
	}
	return s
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
func halfWidth(r rune) rune {
	if unseen(r) {
		return -1
	}
	if r >= 0xFF01 && r <= 0xFF5E {
		return r - 0xFF01 + '!'
	}
	return r
}

// percent decodes what is percent-encoded and leaves any other "%" alone.
func percent(s string) string {
	if !encoded(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '&' {
			if end := strings.IndexByte(s[i:min(len(s), i+12)], ';'); end > 1 {
				entity := strings.ToLower(s[i : i+end+1])
				if text := html.UnescapeString(entity); text != entity && (len(text) == 1 || !strings.HasSuffix(text, ";")) {
					b.WriteString(text)
					i += end
					continue
				}
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escapes decodes \u4f4d, also where case was changed (\U4F4D), and
// \U00004f4d.
func escapes(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if r, n := escaped(s[i:]); n > 0 {
			b.WriteRune(r)
			i += n - 1
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escaped reads the escape that s begins with, and says how long it is; 0 where
// there is none.
func escaped(s string) (r rune, n int) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' && s[1] != 'U' {
		return 0, 0
	}
	for _, digits := range []int{8, 4} {
		if digits == 8 && (s[1] != 'U' || len(s) < 10) {
			continue
		}
		if v, err := strconv.ParseUint(s[2:2+digits], 16, 32); err == nil && v <= utf8.MaxRune && utf8.ValidRune(rune(v)) {
			return rune(v), 2 + digits
		}
	}
	return 0, 0
}
