package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain_text_stays", "web-01 网站 é 👩\u200d💻", "web-01 网站 é 👩\u200d💻"},
		{"escape_sequences_are_spelled", "\x1b[31mx\x07", `\x1b[31mx\x07`},
		{"c1_is_spelled", "\u009b31m", `\x9b31m`},
		{"line_breaks_are_spelled", "a\nb\r\tc", `a\nb\r\tc`},
		{"bidi_is_spelled", "\u202egnp\u2066", `\u202egnp\u2066`},
		{"invisible_is_spelled", "a\u200bb\ufeff\u00ad", `a\u200bb\ufeff\xad`},
		{"tags_are_spelled", "\U000e0041", `\U000e0041`},
		{"broken_bytes_are_replaced", "a\xffb", "a\ufffdb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := report.Clean(c.in); got != c.want {
				t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestShortCutsAtColumns(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"exactly-10", 10, "exactly-10"},
		{"eleven chars", 10, "eleven ch…"},
		{"汉字汉字汉字", 7, "汉字汉…"},
		{"汉字汉字汉字", 8, "汉字汉…"},
		{"x", 0, ""},
	} {
		if got := report.Short(c.in, c.n); got != c.want || report.Width(got) > c.n {
			t.Errorf("Short(%q, %d) = %q (%d columns), want %q", c.in, c.n, got, report.Width(got), c.want)
		}
	}
	if got := report.Short(strings.Repeat("\u0301", 1<<20)+"x", 20); len(got) > 1000 {
		t.Errorf("a megabyte of combining marks became %d bytes", len(got))
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range reporttest.Hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := report.Clean(s)
		if report.Clean(once) != once && !strings.Contains(once, "\ufffd") {
			t.Errorf("Clean is not stable on %q", s)
		}
		if n := report.Width(report.Short(s, 20)); n > 20 {
			t.Errorf("Short(%q, 20) takes %d columns", s, n)
		}
	})
}

func TestFormulaSafe(t *testing.T) {
	for in, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": `'\t=1`, "\r=1": `'\r=1`, "＝1": "'＝1", "  =1": "'  =1",
		"web": "web", "": "", "a=b": "a=b",
	} {
		if got := report.FormulaSafe(in); got != want {
			t.Errorf("FormulaSafe(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumbersRead(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := report.Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
	for _, c := range []struct {
		n, of int
		want  string
	}{{0, 10, "0%"}, {10, 10, "100%"}, {1, 100000, "<0.1%"}, {99999, 100000, ">99.9%"}, {1, 3, "33.3%"}, {1, 0, "0%"}} {
		if got := report.Percent(c.n, c.of); got != c.want {
			t.Errorf("Percent(%d, %d) = %q, want %q", c.n, c.of, got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{900 * time.Millisecond: "0.9 s", 95 * time.Second: "95 s", 3 * time.Minute: "3 min", 5 * time.Hour: "5 h", 72 * time.Hour: "3 days"} {
		if got := report.Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCompletenessNeverReadsAsZero(t *testing.T) {
	for _, c := range []struct {
		name   string
		scopes []record.Completeness
		want   string
		all    bool
	}{
		{"nothing_read", nil, "nothing was read yet", false},
		{"all_read", []record.Completeness{record.ScopeComplete, record.ScopeComplete}, "complete: 2 regions read to the end", true},
		{"failed", []record.Completeness{record.ScopeComplete, record.ScopeFailed}, "partial: 1 of 2 regions read to the end, 1 failed", false},
		{"pending", []record.Completeness{record.ScopePending}, "1 not read yet", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s record.Summary
			for _, x := range c.scopes {
				s.Scopes = append(s.Scopes, record.ScopeStatus{Completeness: x})
			}
			whole := report.NewDigest(&s).Whole
			if got := report.Completeness(whole); !strings.Contains(got, c.want) || whole.All() != c.all {
				t.Errorf("Completeness = %q, all %v; want %q, %v", got, whole.All(), c.want, c.all)
			}
		})
	}
}
