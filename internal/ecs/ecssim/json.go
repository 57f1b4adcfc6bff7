package ecssim

import (
	"strconv"
	"unicode/utf8"
)

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, text string) []byte {
	b = append(b, '"')
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(text[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}

// appendMinute appends a minute since 1970 as "2017-12-10T04:04Z".
func appendMinute(b []byte, m int64) []byte {
	days, rest := m/1440, m%1440
	y, mo, d := civil(days)
	b = append(b, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-')
	b = append(two(b, mo), '-')
	b = append(two(b, d), 'T')
	b = append(two(b, int(rest/60)), ':')
	return append(two(b, int(rest%60)), 'Z')
}

func two(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// civil turns days since 1970 into a date (H. Hinnant's algorithm; days must
// not be negative).
func civil(days int64) (y, m, d int) {
	z := days + 719468
	era := z / 146097
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy - (153*mp+2)/5 + 1)
	m = int(mp + 3)
	if m > 12 {
		m -= 12
	}
	y = int(yoe + era*400)
	if m <= 2 {
		y++
	}
	return y, m, d
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// appendIP appends 172.16-31.x.y made from a random number.
func appendIP(b []byte, r uint64) []byte {
	b = append(b, "172."...)
	b = appendInt(b, 16+int(r%16))
	b = append(b, '.')
	b = appendInt(b, int(r>>8&255))
	b = append(b, '.')
	return appendInt(b, 1+int(r>>16%250))
}

const hexDigits = "0123456789abcdef"

// appendHex appends the low 4n bits of x.
func appendHex(b []byte, x uint64, n int) []byte {
	for i := n - 1; i >= 0; i-- {
		b = append(b, hexDigits[x>>(4*i)&15])
	}
	return b
}
