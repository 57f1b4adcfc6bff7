package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Clean makes a string that somebody else wrote harmless on a terminal and in
// a line of text: control characters (C0, DEL, C1), line breaks, invisible
// characters and those that turn the direction of text around are spelled as
// escapes such as \x1b or \u202e, and bytes that are not UTF-8 become U+FFFD.
// Everything else, Chinese and emoji included, stays as it is.
func Clean(text string) string {
	at := plain(text)
	if at == len(text) {
		return text
	}
	first := strings.IndexFunc(text[at:], unsafeRune)
	if first < 0 {
		return text
	}
	first += at
	var builder strings.Builder
	builder.Grow(len(text) + 8)
	builder.WriteString(text[:first])
	for _, r := range text[first:] {
		writeClean(&builder, r)
	}
	return builder.String()
}

// plain is how much of s is printable ASCII.
func plain[T string | []byte](text T) int {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] >= 0x7f {
			return i
		}
	}
	return len(text)
}

func writeClean(text *strings.Builder, char rune) {
	switch {
	case char == utf8.RuneError: // also what a byte that is no UTF-8 decodes to
		text.WriteRune(utf8.RuneError)
	case !unsafeRune(char):
		text.WriteRune(char)
	case char == '\n':
		text.WriteString(`\n`)
	case char == '\r':
		text.WriteString(`\r`)
	case char == '\t':
		text.WriteString(`\t`)
	case char < 0x100:
		fmt.Fprintf(text, `\x%02x`, char)
	case char > 0xffff:
		fmt.Fprintf(text, `\U%08x`, char)
	default:
		fmt.Fprintf(text, `\u%04x`, char)
	}
}

// unsafeRune tells what may not reach a terminal. RuneError is in it so that
// broken UTF-8 is found.
func unsafeRune(char rune) bool {
	switch {
	case char < 0x20, char >= 0x7f && char < 0xa0, char == utf8.RuneError:
		return true
	case char < 0x300:
		return char == 0xad // soft hyphen
	case char == 0x200d: // joins emoji
		return false
	case char == 0x2028, char == 0x2029, char >= 0xfff9 && char <= 0xfffb:
		return true
	}
	// Bidirectional controls, zero-width characters, tags and the byte order
	// mark are all of the class Cf.
	return unicode.Is(unicode.Cf, char)
}

// Short is Clean cut to at most n columns, the last of them an ellipsis when
// something was cut.
func Short(text string, n int) string {
	if n <= 0 {
		return ""
	}
	// No more than four bytes and a few marks a column are ever looked at:
	// names may be kilobytes long.
	if limit := n*16 + 64; len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "\uFFFD") + " "
	}
	text = Clean(text)
	if Width(text) <= n {
		return strings.TrimRight(text, " ")
	}
	used := 0
	for i, r := range text {
		w := runeWidth(r)
		if used+w > n-1 {
			return text[:i] + "…"
		}
		used += w
	}
	return text
}

// Width is the number of terminal columns of a cleaned string: Chinese,
// Japanese, Korean and emoji take two, combining marks none.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(char rune) int {
	switch {
	case char < 0x300:
		return 1
	case unicode.In(char, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	if kind := width.LookupRune(char).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
		return 2
	}
	return 1
}
