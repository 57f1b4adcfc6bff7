package distro

import (
	"unicode/utf8"
)

const (
	maxText   = 512 // normalised bytes that are looked at
	maxTokens = 96
)

// token is a run of letters or of digits in the normalised text.
type token struct {
	start, end uint16
	sep        byte // what stands before it: 0 glued, ' ', '.', '_', '-', '/', or ';' for any other
	num        bool
	val        uint32 // of the digits, saturated
}

// scan is the normalised text: ASCII, lower case, one space between words, the
// Chinese words that matter in English. It lives on the stack.
type scan struct {
	n   int
	len int
	t   [maxTokens]token
	b   [maxText]byte
	s   string
}

// read normalises s and splits it into tokens.
func (sc *scan) read(s string) {
	for i := 0; i < len(s) && sc.len < maxText; {
		c := s[i]
		if c < utf8.RuneSelf {
			sc.put(c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r >= 0xFF01 && r <= 0xFF5E: // full width
			sc.put(byte(r - 0xFF01 + '!'))
		case r == '、':
			sc.put('/')
		case r >= 0x4E00 && r <= 0x9FFF:
			word, n := han(s[i:])
			for j := 0; j < len(word); j++ {
				sc.put(word[j])
			}
			size = max(size, n)
		default:
			sc.put(' ')
		}
		i += size
	}
	sc.s = string(sc.b[:sc.len])
	sc.split()
}

func (sc *scan) put(c byte) {
	switch {
	case c >= 'A' && c <= 'Z':
		c += 'a' - 'A'
	case c <= ' ' || c == 0x7F:
		c = ' '
		if sc.len == 0 || sc.b[sc.len-1] == ' ' {
			return
		}
	}
	if sc.len < maxText {
		sc.b[sc.len] = c
		sc.len++
	}
}

func (sc *scan) split() {
	sep := byte(' ')
	for i := 0; i < sc.len && sc.n < maxTokens; {
		c := sc.b[i]
		digit := c >= '0' && c <= '9'
		if !digit && (c < 'a' || c > 'z') {
			sep = separator(c, sep)
			i++
			continue
		}
		t := token{start: uint16(i), sep: sep, num: digit}
		for i < sc.len {
			c = sc.b[i]
			if digit && c >= '0' && c <= '9' {
				if t.val < 200_000_000 {
					t.val = t.val*10 + uint32(c-'0')
				}
			} else if digit || c < 'a' || c > 'z' {
				break
			}
			i++
		}
		t.end = uint16(i)
		sc.t[sc.n] = t
		sc.n++
		sep = 0
	}
}

// separator merges c into what stood before it: the strongest one counts, and
// spaces around a mark do not.
func separator(c, before byte) byte {
	switch c {
	case ' ', '\'', '"':
		if before == 0 {
			return ' '
		}
		return before
	case '.', '_', '-', '/':
		if before == 0 || before == ' ' && c == '/' {
			return c
		}
		if before == c {
			return c
		}
		return ';'
	}
	return ';'
}

func (sc *scan) word(i int) string {
	if i < 0 || i >= sc.n {
		return ""
	}
	return sc.s[sc.t[i].start:sc.t[i].end]
}

func (sc *scan) isNum(i int) bool { return i >= 0 && i < sc.n && sc.t[i].num }

func (sc *scan) digits(i int) int { return int(sc.t[i].end - sc.t[i].start) }

// is says whether token i is the word w.
func (sc *scan) is(i int, w string) bool { return i < sc.n && sc.word(i) == w }

// has says whether the words w1 w2 stand in a row anywhere.
func (sc *scan) has(w string) bool {
	for i := 0; i < sc.n; i++ {
		if sc.word(i) == w {
			return true
		}
	}
	return false
}

// hanWords are the Chinese words that matter, longest first where one starts
// another.
var hanWords = [...]struct{ han, word string }{
	{"数据中心", " datacenter "},
	{"标准", " standard "},
	{"企业", " enterprise "},
	{"基础", " foundation "},
	{"网络", " web "},
	{"位", " bit "},
	{"不含", " without "},
	{"图形化桌面", " ui "},
	{"容器", " container "},
	{"其他", " other "},
	{"其它", " other "},
	{"中标麒麟", " neokylin "},
	{"麒麟", " kylin "},
	{"统信", " uos "},
	{"龙蜥", " anolis "},
	{"欧拉", " openeuler "},
	{"红帽", " redhat "},
	{"阿里云", " aliyun "},
	{"定制", " customized "},
}

// han returns the English word for the Chinese one that s starts with and its
// length in bytes, or a space and 0.
func han(s string) (word string, n int) {
	for i := range hanWords {
		w := &hanWords[i]
		if len(s) >= len(w.han) && s[:len(w.han)] == w.han {
			return w.word, len(w.han)
		}
	}
	return " ", 0
}
