package distro

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxText   = 1024 // normalised bytes that are looked at
	maxTokens = 192  // and up to two more of the last run, which may be several
)

// token is a run of letters or of digits in the normalised text.
type token struct {
	start, end uint16
	sep        byte // what stands before it: 0 glued, one of " ._-/:", ',' for whatever separates a list, ';' for any other
	num        bool
	no         bool // a number that is no version: an address, a date, a size
	arch       bool // a part of x86_64, amd64, i386, arm64
	sized      bool // a number that goes on a dotted one and has a unit glued to it: 5.840G
	version    bool // a 32 that is a version and no word size
	year       bool // 2k8, which has the value 2008
	val        uint32
}

// scan is the normalised text: ASCII, lower case, one space between words, the
// Chinese words that matter in English.
type scan struct {
	n    int
	len  int
	cut  bool // the text is longer than what is looked at
	t    [maxTokens + 2]token
	b    [maxText]byte
	s    string
	kern string // a kernel release within the text

	found   []reading
	noted   int // readings that were noted, those that were there before too
	buf     [8]reading
	mention mention // the name that numbers belong to now
	named   named
	loose   [4]int
	looseN  int
	ranged  bool // the text tells of a change from one to another, and the number of the other is still to come
	// looseRange says that it tells so of the loose numbers.
	looseRange bool
	unreal     bool // a version was read that the table of releases does not list
	twin       bool // an older system has the name and the number, too
}

// reset empties the scan; tokens and text are overwritten by what is read next.
func (sc *scan) reset() {
	sc.n, sc.len, sc.s, sc.kern = 0, 0, "", ""
	sc.cut, sc.unreal, sc.looseN = false, false, 0
	sc.ranged, sc.looseRange, sc.twin = false, false, false
	sc.mention, sc.named = mention{}, named{}
	sc.found = sc.buf[:0]
}

// read normalises s and splits it into tokens.
func (sc *scan) read(s string) {
	at := 0
	for at < len(s) && sc.len < maxText {
		c := s[at]
		if c < utf8.RuneSelf {
			sc.put(c)
			at++
			continue
		}
		char, size := utf8.DecodeRuneInString(s[at:])
		switch {
		case char >= 0xFF01 && char <= 0xFF5E: // full width
			sc.put(byte(char - 0xFF01 + '!'))
		case char >= 0x3400 && char <= 0x9FFF || char >= 0x3040 && char <= 0x30FF || char >= 0xAC00 && char <= 0xD7A3:
			text, n := han(s[at:])
			sc.putWord(text)
			size = max(size, n)
		default:
			c, ok := mark(char)
			if c == '.' && (at+size == len(s) || s[at+size] < '0' || s[at+size] > '9') {
				c = ' ' // the end of a sentence
			}
			if ok {
				sc.put(c)
			}
		}
		at += size
	}
	sc.cut = at < len(s)
	sc.s = string(sc.b[:sc.len])
	sc.split()
}

// mark is the ASCII that a rune stands for; ok is false for one that is not
// seen.
func mark(char rune) (c byte, ok bool) {
	if unseen(char) {
		return 0, false
	}
	switch char {
	case '、', '→', '⇒', '←', '⇐', '↔', '⇔', '➜', '➔', '➡', '⟶', '»', '›', '丨':
		return ',', true
	case '。', '．', '｡':
		return '.', true
	case '‐', '‑', '‒', '–', '—', '―', '−':
		return '-', true
	}
	return ' ', true
}

// unseen says whether a rune takes no room: a zero-width space, a byte order
// mark, a soft hyphen.
func unseen(r rune) bool {
	switch r {
	case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD:
		return true
	}
	return false
}

func (sc *scan) put(char byte) {
	switch {
	case char >= 'A' && char <= 'Z':
		char += 'a' - 'A'
	case char == '\n':
		char = ','
	case char <= ' ' || char == 0x7F:
		char = ' '
		if sc.len == 0 || sc.b[sc.len-1] == ' ' {
			return
		}
	}
	if sc.len < maxText {
		sc.b[sc.len] = char
		sc.len++
	}
}

// putWord puts an English word for a Chinese one. Of unknown words in a row one
// is enough.
func (sc *scan) putWord(text string) {
	if text[0] != ' ' { // a measure
		n := sc.len
		if text == "core " && n > 1 && sc.b[n-1] == ' ' {
			n--
		}
		if n > 0 && sc.b[n-1] >= '0' && sc.b[n-1] <= '9' {
			sc.len = n
		} else {
			text = unknownHan
		}
	}
	if text == unknownHan && strings.HasSuffix(string(sc.b[max(0, sc.len-len(unknownHan)):sc.len]), unknownHan) {
		return
	}
	for j := range len(text) {
		sc.put(text[j])
	}
}

// split cuts the text into runs of letters and of digits.
func (sc *scan) split() {
	sep := byte(' ')
	for at := 0; at < sc.len; {
		kind := kindOf(sc.b[at])
		if kind == 0 {
			sep = separator(sc.b[at], sep)
			at++
			continue
		}
		if sc.n >= maxTokens {
			sc.cut = true
			return
		}
		if sc.n == 0 {
			sep = ' '
		}
		end := 0
		if sep != 0 {
			end = sc.drawn(at)
		}
		if end > 0 {
			sc.push(token{start: uint16(at), end: uint16(end), sep: sep})
		} else {
			end = at + 1
			for end < sc.len && kindOf(sc.b[end]) == kind {
				end++
			}
			run := token{start: uint16(at), end: uint16(end), sep: sep, num: kind == '0'}
			if run.num {
				sc.pushNumber(run)
			} else {
				sc.pushWord(run)
			}
		}
		at, sep = end, 0
	}
}

// kindOf is 'a' for letters, '0' for digits, and 0 for what stands between them.
func kindOf(char byte) byte {
	switch {
	case char >= '0' && char <= '9':
		return '0'
	case char >= 'a' && char <= 'z':
		return 'a'
	}
	return 0
}

func (sc *scan) push(token token) {
	if token.num {
		token.val = value(sc.s[token.start:token.end])
	}
	sc.t[sc.n] = token
	sc.n++
}

// pushNumber cuts a year of Windows off before other digits, and a date behind them.
func (sc *scan) pushNumber(run token) {
	if sc.yearGlued(sc.s[run.start:run.end]) {
		year := run
		year.end = run.start + 4
		sc.push(year)
		run.start, run.sep = year.end, 0
	}
	if head := gluedDate(sc.s[run.start:run.end], strings.HasPrefix(sc.s[run.end:], "day")); head > 0 {
		date := token{start: run.start + uint16(head), end: run.end, sep: ' ', num: true, no: true}
		run.end = date.start
		sc.push(run)
		run = date
	}
	sc.push(run)
}

// pushWord cuts a measure of the number before it off a name.
func (sc *scan) pushWord(run token) {
	if run.sep == 0 && sc.nameAfterUnit(sc.s[run.start:run.end]) {
		sc.push(token{start: run.start, end: run.start + 1})
		run.start++
	}
	sc.push(run)
}

// nameAfterUnit says whether a letter that measures what stands before it has a
// name glued to it: 16GRed Hat, 8GWin2003.
func (sc *scan) nameAfterUnit(text string) bool {
	if words[text] != nil {
		return false
	}
	switch text[1:] {
	case "x", "amd", "i": // 5Mx64
		return words[text[:1]] != nil && words[text[:1]].unit
	}
	if len(text) < 3 {
		return false
	}
	unit, name := words[text[:1]], words[text[1:]]
	return unit != nil && unit.unit && name != nil && (name.role == roleOS || name.role == roleOther || name.role == roleNumbered || name.role == roleRange || len(name.longer) > 0)
}

// drawn returns the end of an id whose letters are drawn by lot and that begins at
// i, or 0: sixteen or more hexadecimal digits of both kinds, which name no Fedora
// (…04fc0bc8…). It looks no further than a name can be long.
func (sc *scan) drawn(at int) int {
	run := sc.s[at:min(at+128, sc.len)]
	if end := strings.IndexFunc(run, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') }); end >= 0 {
		run = run[:end]
	}
	if len(run) >= 16 && strings.ContainsAny(run, "0123456789") && strings.ContainsAny(run, "abcdef") && strings.Trim(run, "0123456789abcdef") == "" {
		return at + len(run)
	}
	return 0
}

// value is the number that digits write; of one that is too long to mean anything
// the first digits.
func value(digits string) uint32 { return uint32(atoi(digits[:min(len(digits), 9)])) }

// gluedDate says how many digits stand before a date that is glued to them: 1 of
// "620190512", 4 of "2008201905"; 0 where there is none. year says that the
// digits end with a year.
func gluedDate(digits string, year bool) int {
	length := len(digits)
	switch {
	case year && length > 4 && length <= 8 && likelyYear(digits[length-4:]):
		return length - 4
	case length > 12 && length <= 24 && isDate(digits[length-8:]):
		return gluedDate(digits[:length-8], false)
	case length > 12 && length <= 24 && isMonth(digits[length-6:]):
		return gluedDate(digits[:length-6], false)
	case length < 7 || length > 12 || length >= 8 && isDate(digits[:8]):
	case length > 8 && isDate(digits[length-8:]):
		return length - 8
	case length <= 10 && isMonth(digits[length-6:]):
		return length - 6
	case length > 9 && (digits[length-2:] == "64" || digits[length-2:] == "32"):
		return gluedDate(digits[:length-2], false)
	}
	return 0
}

func likelyYear(s string) bool { return s >= "2000" && s <= "2039" }

func isMonth(s string) bool { return likelyYear(s[:4]) && s[4:6] >= "01" && s[4:6] <= "12" }

func isDate(s string) bool { return isMonth(s) && s[6:8] >= "01" && s[6:8] <= "31" }

// separator merges char into what stood before it: the strongest one counts, and
// spaces around a mark do not.
func separator(char, before byte) byte {
	switch char {
	case ' ', '\'', '"', '`', '*', '\\':
		if before == 0 {
			return ' '
		}
		return before
	case ',', ';', '|', '&', '+', '>', '<', '~':
		return ','
	}
	if before == ',' {
		return ','
	}
	switch char {
	case '/':
		return '/'
	case '.', '_', '-':
		if before == 0 || before == char && char != '.' || before == ' ' && char == '.' {
			return char
		}
	case ':', '=':
		if before == 0 || before == ' ' || before == ':' {
			return ':'
		}
	}
	if before == '/' {
		return '/'
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
func (sc *scan) is(i int, w string) bool { return sc.word(i) == w }

// sep is what stands before token i.
func (sc *scan) sep(i int) byte {
	if i < 0 || i >= sc.n {
		return ';'
	}
	return sc.t[i].sep
}

// has says whether the word w stands anywhere.
func (sc *scan) has(w string) bool {
	for i := range sc.n {
		if sc.word(i) == w {
			return true
		}
	}
	return false
}

// unknownHan stands for Chinese text that says nothing of an operating system.
const unknownHan = " han "

// hanWords are the Chinese words that matter. A measure is glued to its number.
var hanWords = [...]struct{ english, han string }{
	{" datacenter ", "数据中心 資料中心"},
	{" standard ", "标准 標準"},
	{" enterprise ", "企业 企業"},
	{" foundation ", "基础"},
	{" web ", "网络"},
	{" professional ", "专业 專業"},
	{" bit ", "位"},
	{" without ", "不含"},
	{" ui ", "图形化桌面"},
	{" container ", "容器"},
	{" other ", "其他 其它"},
	{" neokylin ", "中标麒麟"},
	{" kylin ", "麒麟 银河麒麟"},
	{" uos ", "统信"},
	{" anolis ", "龙蜥"},
	{" openeuler ", "欧拉"},
	{" redhat ", "红帽 紅帽"},
	{" redflag ", "红旗"},
	{" aliyun ", "阿里云 阿里雲"},
	{" customized ", "定制"},
	{" server ", "服务器 伺服器"},
	{" edition ", "操作系统 系统 作業系統 系統 版本 版 正式 官方 原版 公共镜像 镜像 鏡像 中文 英文 简体 繁体 日文 激活 自动 个人 個人 已激活 未激活 最新 纯净 旗舰 家庭 高级 第 精简 安装 版的 的 発行 リリース サーバー"},
	{" and ", "和 与 與 及 以及 或 或者 还有 并 還有"},
	{" upgrade ", "到 至 升级 升级到 升级至 升到 升至 升級 升 原 曾 由 从 從 自 迁移 迁自 迁到 迁至 遷移 更新 重装 变更 變更 更换 更換 替换 替換 转换 轉換 转 改 换 換 而是 并非 並非 降级 降級 降到 降至 回退 回滚 切换 变成 变为 变 现 現 目前 当前 當前 之前 以前 旧 舊 之后 以后 而来 取代 代替 替代 实际 實際 实际上 实际是 实际为 实为 實為 实是 其实 其实是 真实 应为 應為 应是"},
	{" the ", "为 爲 為 是 之 的 了 前 后 後 成 于 於 来 來 在 有 已 经 已经 仍 还是 就 才 只"},
	{" non ", "非 不是 没有 无 不带 不支持 沒有 無"},
	{" excluded ", "以外 之外 除外"},
	{" dengbao ", "等保 安全加固 宝塔 寶塔 金蝶 用友 致远 泛微 护卫神 帝国 织梦 数据库 環境 运行环境 面板 内核"},
	{"core ", "核 核心"},
	{"day ", "年 月 日 号"},
	{"pcs ", "天 小时 分钟 秒 周 个 個 台 块 元 兆 次 套 级 級 倍 条 條 人"},
}

// hanWord is an entry of hanWords.
type hanWord struct{ han, english string }

// hanIndex holds hanWords by their first character, the longest first.
var hanIndex = indexHan()

func indexHan() map[string][]hanWord {
	table := map[string][]hanWord{}
	for _, w := range hanWords {
		for h := range strings.FieldsSeq(w.han) {
			_, size := utf8.DecodeRuneInString(h)
			table[h[:size]] = append(table[h[:size]], hanWord{h, w.english})
		}
	}
	for _, list := range table {
		slices.SortStableFunc(list, func(a, b hanWord) int { return len(b.han) - len(a.han) })
	}
	return table
}

// han returns the English word for the Chinese one that s starts with and its
// length in bytes.
func han(text string) (english string, n int) {
	_, size := utf8.DecodeRuneInString(text)
	for _, w := range hanIndex[text[:size]] {
		if strings.HasPrefix(text, w.han) {
			return w.english, len(w.han)
		}
	}
	return unknownHan, size
}
