package report_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

func inChinese() report.Options {
	o := options()
	o.Language = lang.Chinese
	return o
}

// wordsOf are the words that the fleet of the tests brings along.
func wordsOf(t *testing.T, r *report.Report) []string {
	t.Helper()
	f := reporttest.New(24, 11)
	f.Fail()
	out := append(f.Words(), reporttest.StartWords(f.Started())...)
	for i := range r.Evidence {
		e := &r.Evidence[i]
		out = append(out, e.Source)
		for _, s := range e.Skipped {
			out = append(out, s.Cause, s.Mend)
		}
	}
	for _, x := range r.Failures {
		out = append(out, x.API, x.Error, x.RequestID, x.Code, x.Mend)
	}
	return append(out, "demo", "replace-os", "minor-upgrade", "shenscan serve, shenscan rescan INSTANCE_ID")
}

func TestTheTextReportIsChineseAsAWhole(t *testing.T) {
	r := fleet()
	for _, width := range []int{60, 100, 120} {
		o := inChinese()
		o.Width = width
		got := render(t, report.Table, r, o)
		if width == 100 {
			golden(t, "report.table.zh", got)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimRight(line, "\n")
			if report.Width(line) > width && !strings.Contains(line, "shenscan ") {
				t.Errorf("%d of %d columns: %s", report.Width(line), width, line)
			}
		}
		var prose strings.Builder // without commands
		for line := range strings.Lines(got) {
			if !strings.Contains(line, "shenscan ") {
				prose.WriteString(line)
			}
		}
		for _, left := range reporttest.English(strings.ReplaceAll(prose.String(), "<", "("), wordsOf(t, r)...) {
			t.Error(left)
		}
	}
}

func TestTheHTMLReportIsChineseAsAWhole(t *testing.T) {
	r := fleet()
	got := render(t, report.HTML, r, inChinese())
	for _, want := range []string{`<html lang="zh-CN">`, `data-texts="{`, "能否迁移到", "最严重的在前"} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, left := range reporttest.English(got, wordsOf(t, r)...) {
		t.Error(left)
	}
}

// What programs read is the same in every language, byte for byte.
func TestWhatProgramsReadOfAReportSpeaksNoLanguage(t *testing.T) {
	for _, format := range []report.Format{report.JSON, report.JSONL, report.CSV, report.Markdown} {
		for _, compact := range []bool{false, true} {
			english, chinese := options(), inChinese()
			english.Compact, chinese.Compact = compact, compact
			if render(t, format, fleet(), english) != render(t, format, fleet(), chinese) {
				t.Errorf("%s: Chinese changes it", format)
			}
		}
	}
}

func TestChineseBreaksBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"当前运行的内核早于该版本，以两者中较旧的为准。", 20, "当前运行的内核早于该/版本，以两者中较旧的/为准。"},
		{"迁移到 shenlong-8 的实例", 12, "迁移到/shenlong-8/的实例"},
		{"（例如 el5xen）只能在 Xen 上启动", 15, "（例如 el5xen）/只能在 Xen 上启/动"},
		{"plain words break at spaces alone", 12, "plain words/break at/spaces alone"},
		{"没有宽度限制", 0, "没有宽度限制"},
	} {
		if got := strings.Join(report.Wrap(c.text, c.width), "/"); got != c.want {
			t.Errorf("%s in %d columns became %s, want %s", c.text, c.width, got, c.want)
		}
	}
}
