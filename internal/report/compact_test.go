package report_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
)

// compactEntry is a line of compact JSON Lines: an entry of the legend, or a row.
type compactEntry struct {
	Legend   string `json:"legend"`
	Number   int    `json:"number"`
	Complete bool   `json:"complete"`
	Scopes   []record.ScopeStatus

	record.Record
	Verdicts map[string]string `json:"verdicts"`
	Because  map[string]int    `json:"because"`
	Waived   []string          `json:"waived"`

	raw json.RawMessage
}

// expand makes whole records of compact rows and the legend.
func expand(t *testing.T, entries []compactEntry) []*record.Record {
	t.Helper()
	remedies, verdicts := map[int]rules.Remedy{}, map[int]rules.Verdict{}
	var out []*record.Record
	for i := range entries {
		e := &entries[i]
		switch e.Legend {
		case "remedy":
			var r rules.Remedy
			if err := json.Unmarshal(e.raw, &r); err != nil {
				t.Fatal(err)
			}
			remedies[e.Number] = r
		case "verdict":
			var v struct {
				rules.Verdict
				Remedies []int `json:"remedies"`
			}
			if err := json.Unmarshal(e.raw, &v); err != nil {
				t.Fatal(err)
			}
			v.Verdict.Remedies = []rules.Remedy{}
			for _, n := range v.Remedies {
				r, ok := remedies[n]
				if !ok {
					t.Fatalf("verdict %d refers to remedy %d, which stands nowhere before it", e.Number, n)
				}
				v.Verdict.Remedies = append(v.Verdict.Remedies, r)
			}
			verdicts[e.Number] = v.Verdict
		case "":
			rec := e.Record
			for _, target := range []string{"kvm", "shenlong-6", "shenlong-7", "shenlong-8"} {
				n, ok := e.Because[target]
				if !ok {
					continue
				}
				v, ok := verdicts[n]
				if !ok || v.Target != target || v.Level.String() != e.Verdicts[target] {
					t.Fatalf("%s: verdict %q on %s rests on %d, which is %+v", rec.InstanceID, e.Verdicts[target], target, n, v)
				}
				rec.Classification.Verdicts = append(rec.Classification.Verdicts, v)
			}
			out = append(out, &rec)
		}
	}
	return out
}

func compactLines(t *testing.T, text string) []compactEntry {
	t.Helper()
	var out []compactEntry
	for line := range strings.Lines(text) {
		var e compactEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		e.raw = json.RawMessage(line)
		out = append(out, e)
	}
	return out
}

// Nothing is lost: with the legend the rows say what the plain records say.
func TestCompactSaysTheSame(t *testing.T) {
	f := reporttest.New(500, 3)
	r := &report.Report{Scan: f.Scan, Summary: f.Summary, Instances: f.All()}
	plain := render(t, report.JSONL, r, options())
	var want []*record.Record
	for line := range strings.Lines(plain) {
		rec := &record.Record{}
		if err := json.Unmarshal([]byte(line), rec); err != nil {
			t.Fatal(err)
		}
		rec.Ruleset = "" // stands in the last line
		want = append(want, rec)
	}
	o := options()
	o.Compact = true
	lines := render(t, report.JSONL, r, o)
	entries := compactLines(t, lines)
	if diff := cmp.Diff(want, expand(t, entries)); diff != "" {
		t.Errorf("jsonl (-plain +compact):\n%.2000s", diff)
	}
	last := entries[len(entries)-1]
	if last.Legend != "report" || !last.Complete || last.Ruleset == "" || len(last.Scopes) == 0 {
		t.Errorf("the last line is %+v", last)
	}
	var whole struct {
		Legend, Instances []json.RawMessage
	}
	text := render(t, report.JSON, r, o)
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, part := range append(whole.Legend, whole.Instances...) {
		b.Write(part)
		b.WriteByte('\n')
	}
	if diff := cmp.Diff(want, expand(t, compactLines(t, b.String()))); diff != "" {
		t.Errorf("json (-plain +compact):\n%.2000s", diff)
	}
	t.Logf("%d instances: plain %d bytes a record, compact %d (legend and last line included), rows alone %d", len(want), len(plain)/len(want), len(lines)/len(want), rowBytes(entries)/len(want))
	if 5*len(lines) > 2*len(plain) {
		t.Errorf("compact takes %d bytes, plain %d", len(lines), len(plain))
	}
}

func rowBytes(entries []compactEntry) (n int) {
	for _, e := range entries {
		if e.Legend == "" {
			n += len(e.raw)
		}
	}
	return n
}

// Where not everything was read to its end, lists that programs read say so too.
func TestListsForProgramsSayHowCompleteTheyAre(t *testing.T) {
	r := fleet()
	r.Since = nil
	lines := strings.Split(strings.TrimSpace(render(t, report.JSONL, r, options())), "\n")
	var last struct {
		Report *struct {
			Complete  bool
			Instances int
			Scopes    []record.ScopeStatus
			Failures  []record.Failure
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if x := last.Report; x == nil || x.Complete || x.Instances != len(lines)-1 || len(x.Failures) == 0 {
		t.Errorf("the last line is %s", lines[len(lines)-1])
	}
	rows, err := csv.NewReader(strings.NewReader(render(t, report.CSV, r, options()))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := len(rows[0]) - 1
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		seen[row[at]] = true
	}
	if rows[0][at] != "completeness" || !seen["complete"] || seen[""] {
		t.Errorf("column %s holds %v", rows[0][at], seen)
	}
}

// Excel takes UTF-8 without a byte order mark for the code page of the machine,
// and rounds numbers of more than 15 digits.
func TestCSVForExcel(t *testing.T) {
	f := reporttest.New(4, 3)
	f.Records[0].Account, f.Records[0].InstanceName = "1234567890123456", "数据库=1+1"
	f.Records[1].InstanceName = "=cmd|' /C calc'!A0"
	r := &report.Report{Scan: f.Scan, Summary: f.Summary, Instances: f.All()}
	o := options()
	o.Excel = true
	text := render(t, report.CSV, r, o)
	if !strings.HasPrefix(text, "\ufeffaccount,") || strings.Contains(text[3:], "\ufeff") {
		t.Errorf("it begins with %q", text[:12])
	}
	rows, err := csv.NewReader(strings.NewReader(text[3:])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if rows[1][0] != "\t1234567890123456" || rows[1][4] != "数据库=1+1" {
		t.Errorf("account %q, name %q", rows[1][0], rows[1][4])
	}
	if !strings.HasPrefix(rows[2][4], "'=") {
		t.Errorf("a formula: %q", rows[2][4])
	}
	if plain := render(t, report.CSV, r, options()); strings.ContainsAny(plain, "\ufeff\t") {
		t.Error("the plain form is not plain")
	}
}
