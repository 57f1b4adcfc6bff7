package plan_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// said is a plan with everything that may stand in one, and the words that its
// fleet brings along.
func said(t *testing.T) (*plan.Plan, []string) {
	t.Helper()
	f := reporttest.New(300, 5)
	f.Fail()
	o := options(t, "shenlong-8", &f.Summary)
	o.StartGroups = f.Started()
	p := build(t, f.All(), o)
	data := append(append(f.Words(), reporttest.StartWords(o.StartGroups)...), "owner", "plan", "new-instance-from-image", "type-change", "DescribeResourcesModification", "DescribeDisks", "--availability", "--disks", "--offered", "ESSD", "AutoPL", "essd")
	for _, w := range p.Waves {
		data = append(data, string(w.ID))
		for it := range w.Items {
			data = append(data, it.Owner, it.OS)
		}
	}
	return p, data
}

func written(t *testing.T, f report.Format, p *plan.Plan, in lang.Language, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := plan.Write(&b, f, p, report.Options{Now: reporttest.Now(), Width: width, Language: in}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheTextPlanIsChineseAsAWhole(t *testing.T) {
	p, data := said(t)
	for _, width := range []int{60, 100} {
		var prose strings.Builder // without commands
		for line := range strings.Lines(written(t, report.Table, p, lang.Chinese, width)) {
			if strings.Contains(line, "shenscan plan") {
				continue
			}
			prose.WriteString(line)
			if n := report.Width(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d of %d columns: %s", n, width, line)
			}
		}
		for _, left := range reporttest.English(strings.ReplaceAll(prose.String(), "<", "("), data...) {
			t.Error(left)
		}
	}
}

func TestTheHTMLPlanIsChineseAsAWhole(t *testing.T) {
	p, data := said(t)
	got := written(t, report.HTML, p, lang.Chinese, 0)
	if !strings.Contains(got, `<html lang="zh-CN">`) {
		t.Error("the page does not say that it is Chinese")
	}
	for _, left := range reporttest.English(got, data...) {
		t.Error(left)
	}
	// What its script lists stands in the page as data.
	_, listed, _ := strings.Cut(got, `<script type="application/json" id="data">`)
	listed, _, ok := strings.Cut(listed, "</script>")
	if !ok {
		t.Fatal("the page holds no data")
	}
	listed = strings.NewReplacer(`","`, "\n", `\u003c`, "(", `\u003e`, ")", `\\`, `\`).Replace(listed)
	for _, left := range reporttest.English(listed, append(data, "texts lists waves id rows compatible needs-action incompatible unknown")...) {
		t.Error(left)
	}
}

func TestTheChinesePackHoldsChineseWorkbooksAndTheSameCSV(t *testing.T) {
	p, data := said(t)
	dirs := map[lang.Language]string{}
	for _, in := range lang.Languages() {
		dirs[in] = filepath.Join(t.TempDir(), "pack")
		if _, err := plan.WritePack(dirs[in], p, in); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dirs[lang.Chinese], "*"))
	if err != nil || len(names) < 6 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		chinese, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		english, err := os.ReadFile(filepath.Join(dirs[lang.English], filepath.Base(name)))
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(name) {
		case ".csv":
			if !bytes.Equal(chinese, english) {
				t.Errorf("%s differs", filepath.Base(name))
			}
		case ".html":
			for _, left := range reporttest.English(string(chinese), data...) {
				t.Errorf("%s: %s", filepath.Base(name), left)
			}
		case ".xlsx":
			for _, left := range reporttest.English(textOf(t, name), data...) {
				t.Errorf("%s: %s", filepath.Base(name), left)
			}
		}
	}
}

// textOf is the texts of a workbook, with the names of its sheets.
func textOf(t *testing.T, name string) string {
	t.Helper()
	book, err := excelize.OpenFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	var out strings.Builder
	for _, sheet := range book.GetSheetList() {
		out.WriteString(sheet + "\n")
		rows, err := book.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			out.WriteString(strings.ReplaceAll(strings.Join(row, "\n"), "<", "(") + "\n")
		}
	}
	return out.String()
}

// What programs read is the same in every language, byte for byte.
func TestWhatProgramsReadOfAPlanSpeaksNoLanguage(t *testing.T) {
	p, _ := said(t)
	for _, format := range []report.Format{report.JSON, report.CSV, report.Markdown} {
		if written(t, format, p, lang.English, 0) != written(t, format, p, lang.Chinese, 0) {
			t.Errorf("%s: Chinese changes it", format)
		}
	}
}

// The burn-down in the terminal is Chinese as a whole; CSV, Markdown and JSON are
// what they are in English.
func TestTheProgressIsChineseAsAWhole(t *testing.T) {
	b := &burndown{owners: map[uint64]*record.Shares{}}
	many := map[string]int{"payments": 5, "": 3}
	for i := range 14 {
		many["team-"+strings.Repeat("x", i+1)] = 1
	}
	b.add(0, 40, record.Moves{})
	b.owners[1] = owners(map[string]int{"payments": 4, "web": 2, "": 9})
	b.add(7, 30, record.Moves{Closed: 9, ClosedByRules: 2, OpenedByEvidence: 1, Came: 1, Went: 1, Opened: 1})
	b.owners[2] = owners(many)
	last := &b.points[1]
	last.Carried, last.CarriedScopes, last.CarriedInstances, last.State = []record.CarriedScope{{Account: "1", Region: "cn-hangzhou"}}, 1, 5, record.ScanPartial
	b.points = append(b.points[:1:1], record.ProgressPoint{
		Number: 3, At: last.At.AddDate(0, 0, -1), Kind: "rules", Targets: last.Targets, Instances: 100, Scopes: 4, On: last.On, Moves: last.Moves, Ruleset: "b",
	}, *last)
	progress := progressOf(t, b, plan.Beginning{})
	write := func(f report.Format, in lang.Language, width int) string {
		t.Helper()
		var out bytes.Buffer
		if err := plan.WriteProgress(&out, f, progress, report.Options{Now: reporttest.Now(), Width: width, Language: in}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, width := range []int{60, 120} {
		got := write(report.Table, lang.Chinese, width)
		for _, left := range reporttest.English(got, "payments web cn-hangzhou output csv team shenlong-", strings.Join(slices.Collect(maps.Keys(many)), " ")) {
			t.Error(left)
		}
		if !strings.Contains(got, "负责人") || !strings.Contains(got, "payments") {
			t.Errorf("no owners:\n%s", got)
		}
	}
	for _, f := range []report.Format{report.JSON, report.CSV, report.Markdown} {
		if write(f, lang.Chinese, 0) != write(f, lang.English, 0) {
			t.Errorf("%s differs by language", f)
		}
	}
}

func TestTheQuestionsAreChineseAsAWhole(t *testing.T) {
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	to, err := rs.ParseTarget("shenlong-8")
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range plan.AllQuestions(rs.NewClassifier([]rules.Target{to})) {
		settle := &plan.Settle{Target: "shenlong-8", Unknown: 7, Questions: []plan.Question{ask}, Rest: 2}
		var out bytes.Buffer
		if err := plan.WriteSettle(&out, report.Table, settle, report.Options{Width: 100, Language: lang.Chinese}); err != nil {
			t.Fatal(err)
		}
		var prose strings.Builder
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, "     ") { // commands
				prose.WriteString(line)
			}
		}
		for _, left := range reporttest.English(prose.String(), "custom-image-trial plan shenlong- "+strings.Join(ask.Needs, " ")) {
			t.Error(left)
		}
	}
}
