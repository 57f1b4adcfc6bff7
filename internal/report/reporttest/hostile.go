package reporttest

import "strings"

// Hostile are instance names that try to be more than text.
func Hostile() []string {
	return []string{
		`<script>document.title='owned'</script>`,
		`"><img src=x onerror=document.title='owned'>`,
		`</script><script>document.title='owned'</script>`,
		`<!--<script>`,
		`{{.}}${7*7}<%= 7*7 %>`,
		`javascript:alert(1)`,
		`=cmd|'/c calc'!A0`,
		`=HYPERLINK("http://127.0.0.1:1/?x="&A1,"click")`,
		`+1+1`, `-2+3`, `@SUM(A1)`, "\t=1+1", "\r=1+1", `＝1+1`, ` =1+1`,
		"\x1b[31mred\x1b[0m\x1b]0;owned\x07",
		"\u009b31mc1\u0085next",
		"bell\x07 back\x08\x08 null\x00 del\x7f",
		"line\nbreak\r\nand\ttab",
		"\u202egnp.exe\u202c \u2066iso\u2069 \u200f\u200e\u061c",
		"zero\u200bwidth\ufeff\u00adsoft\u2028sep\u2029par",
		"broken \xff\xfe utf8 \xc3(",
		"tag\U000e0041\U000e0042",
		`| a | b | [x](http://127.0.0.1:1) **bold** ` + "`code`" + ` @someone # head`,
		`'; DROP TABLE instances; --`,
		"网站-生产-数据库服务器一号",
		"emoji 👩‍💻 名前 e\u0301",
		"__proto__", "constructor", "null", "undefined", "NaN",
		strings.Repeat("long-", 2048),
		strings.Repeat("汉", 3400),
	}
}
