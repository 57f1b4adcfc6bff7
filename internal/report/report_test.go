package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fleet is a small fleet with failures and changes.
func fleet() *report.Report {
	f := reporttest.New(24, 11)
	failures := f.Fail()
	s := changes(f)
	s.New, s.Unlisted = s.New+7, 7
	groups := f.Started()
	return &report.Report{
		Scan: f.Scan, Summary: f.Summary, Failures: failures, Evidence: evidence(), Instances: f.All(), Since: s,
		StartGroups: func() (*record.StartGroups, error) { return groups, nil },
	}
}

// changes plays one change of each kind on the fleet's first instances.
func changes(f *reporttest.Fleet) *report.Since {
	var list []*report.Change
	for i, c := range []record.Change{
		{Cause: "observation", OS: "centos 5.11", OSBefore: "centos 5.8", Before: map[string]string{"kvm": "compatible", "shenlong-6": "incompatible"}, After: map[string]string{"kvm": "compatible", "shenlong-6": "compatible"}},
		{Cause: "observation", OS: "windows-server 2012r2", Type: "ecs.c1.large", TypeBefore: "ecs.c5.large", Before: map[string]string{"shenlong-6": "compatible", "shenlong-7": "compatible"}, After: map[string]string{"shenlong-6": "needs-action", "shenlong-7": "needs-action"}},
		{Cause: "ruleset", OS: "debian 6.0.6", Before: map[string]string{"shenlong-6": "unknown"}, After: map[string]string{"shenlong-6": "incompatible"}},
		{Cause: "observation", OS: "debian 12", OSBefore: "debian 11", Before: map[string]string{"shenlong-6": "compatible"}, After: map[string]string{"shenlong-6": "compatible"}},
		{Cause: "appeared", OS: "centos 5.8", After: map[string]string{"shenlong-6": "incompatible"}},
		{Cause: "gone", OS: "ubuntu 22.04", Before: map[string]string{"shenlong-6": "compatible"}},
		{Cause: "returned", OS: "ubuntu 22.04", After: map[string]string{"shenlong-6": "compatible"}},
		{Cause: "observation", OS: "centos 7.9", Before: map[string]string{"shenlong-7": "unknown"}, After: map[string]string{"shenlong-7": "compatible"}},
	} {
		at := f.Records[i]
		c.At, c.ScanID = reporttest.Now().Add(-time.Duration(i)*time.Minute), "20261123T012000Z-demo"
		list = append(list, &report.Change{Account: at.Account, Region: at.Region, InstanceID: at.InstanceID, InstanceName: at.InstanceName, Change: c})
	}
	s, err := report.NewSince(report.Since{ScanID: "20261122T012000Z-demo", At: reporttest.Now().Add(-24 * time.Hour)}, func(yield func(*report.Change, error) bool) {
		for _, c := range list {
			if !yield(c, nil) {
				return
			}
		}
	})
	if err != nil {
		panic(err)
	}
	return s
}

// evidence is of two regions, in one of which it is missing for two causes.
func evidence() []record.Evidence {
	oldest := reporttest.Now().AddDate(0, 0, -12)
	return []record.Evidence{
		{Source: "platform", Account: "1234567890123456", Region: "cn-hangzhou", About: "images", Asked: 24, Answered: 24, Calls: 2, Oldest: &oldest},
		{Source: "platform", Account: "1234567890123456", Region: "cn-beijing", About: "images", Asked: 4, Calls: 1, Skipped: []record.EvidenceSkipped{
			{Count: 3, Cause: "DescribeImageSupportInstanceTypes is not permitted", Mend: "grant ecs:DescribeImageSupportInstanceTypes"},
			{Count: 1, Cause: "the answer is about another image: <script>alert(1)</script>"},
		}},
		{Source: "heartbeat", Account: "1234567890123456", Region: "cn-beijing", About: "instances", Asked: 10, Answered: 10, Calls: 1},
	}
}

func options() report.Options { return report.Options{Now: reporttest.Now(), Width: 120} }

func render(t *testing.T, f report.Format, r *report.Report, o report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, f, r, o); err != nil {
		t.Fatalf("Write(%s): %v", f, err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), run with -update if that is meant:\n%s", path, diff)
	}
}

func TestWriteGolden(t *testing.T) {
	for _, f := range report.Formats() {
		t.Run(string(f), func(t *testing.T) {
			golden(t, "report."+string(f), render(t, f, fleet(), options()))
		})
	}
	for _, f := range report.Formats() {
		t.Run("since_"+string(f), func(t *testing.T) {
			r := fleet()
			r.Since.Asked = true
			if f == report.HTML || f == report.Markdown || f == report.Table {
				return // as where nobody asked
			}
			golden(t, "since."+string(f), render(t, f, r, options()))
		})
	}
	t.Run("color", func(t *testing.T) {
		o := options()
		o.Color, o.Width = true, 80
		golden(t, "report.color", render(t, report.Table, fleet(), o))
	})
	t.Run("empty", func(t *testing.T) {
		golden(t, "empty.table", render(t, report.Table, &report.Report{}, options()))
	})
}

func TestJSONIsWholeAndJSONLIsSorted(t *testing.T) {
	r := fleet()
	var doc struct {
		Scan      map[string]any   `json:"scan"`
		Summary   map[string]any   `json:"summary"`
		Failures  []any            `json:"failures"`
		Evidence  []any            `json:"evidence"`
		Instances []map[string]any `json:"instances"`
	}
	if err := json.Unmarshal([]byte(render(t, report.JSON, r, options())), &doc); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(render(t, report.JSONL, r, options())), "\n")
	lines = lines[:len(lines)-1] // the last one says how complete they are
	if len(doc.Instances) != 24 || len(lines) != 24 || len(doc.Failures) != 2 {
		t.Fatalf("%d instances, %d lines, %d failures; want 24, 24, 2", len(doc.Instances), len(lines), len(doc.Failures))
	}
	if len(doc.Evidence) != 3 {
		t.Errorf("%d rows of evidence; want 3", len(doc.Evidence))
	}
	var keys []string
	for i, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if diff := cmp.Diff(doc.Instances[i], row); diff != "" {
			t.Fatalf("json and jsonl differ:\n%s", diff)
		}
		keys = append(keys, row["account"].(string)+row["region"].(string)+row["instance_id"].(string))
	}
	if !slices.IsSorted(keys) {
		t.Error("records are not sorted by account, region, instance id")
	}
}

func TestHostileNamesStayText(t *testing.T) {
	f := reporttest.New(len(reporttest.Hostile()), 3)
	r := &report.Report{Scan: f.Scan, Summary: f.Summary, Failures: f.Fail(), Instances: f.All()}
	for _, format := range report.Formats() {
		t.Run(string(format), func(t *testing.T) {
			out := render(t, format, r, options())
			if !utf8.ValidString(out) {
				t.Error("output is not UTF-8")
			}
			for i, c := range out {
				if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
					t.Fatalf("raw control character %U in %q", c, out[max(0, i-40):i+10])
				}
			}
			switch format {
			case report.HTML, report.Markdown:
				for _, bad := range []string{"<img", "<script>document", "</script><script>doc"} {
					if strings.Contains(out, bad) {
						t.Errorf("markup %q got through", bad)
					}
				}
			case report.CSV:
				noFormulas(t, out)
			default:
			}
		})
	}
}

func noFormulas(t *testing.T, out string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if first, _ := utf8.DecodeRuneInString(strings.TrimSpace(cell)); strings.ContainsRune("=+-@＝＋－＠", first) {
				t.Errorf("cell %.40q is a formula", cell)
			}
		}
	}
}

func TestJSONKeepsHostileNamesAsTheyAre(t *testing.T) {
	f := reporttest.New(len(reporttest.Hostile()), 3)
	want := map[string]bool{}
	for _, name := range reporttest.Hostile() {
		want[strings.ToValidUTF8(name, "\uFFFD")] = true
	}
	out := render(t, report.JSONL, &report.Report{Summary: f.Summary, Instances: f.All()}, options())
	for line := range strings.Lines(out) {
		var rec struct {
			Name string `json:"instance_name"`
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatal(err)
		}
		if !want[rec.Name] && !strings.Contains(rec.Name, "\uFFFD") {
			t.Errorf("name %.60q is not one of those put in", rec.Name)
		}
	}
}

func TestTableFitsItsWidth(t *testing.T) {
	for _, width := range []int{80, 100, 160} {
		o := options()
		o.Width = width
		for line := range strings.Lines(render(t, report.Table, fleet(), o)) {
			if n := report.Width(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: a line takes %d columns: %s", width, n, line)
			}
		}
	}
}

func TestErrorsAreReturned(t *testing.T) {
	broken := errors.New("page is torn")
	r := fleet()
	r.Instances = func(yield func(*record.Record, error) bool) { yield(nil, broken) }
	for _, f := range report.Formats() {
		if err := report.Write(&bytes.Buffer{}, f, r, options()); !errors.Is(err, broken) {
			t.Errorf("Write(%s) = %v, want the stream's error", f, err)
		}
	}
	full := errors.New("disk full")
	for _, f := range report.Formats() {
		if err := report.Write(writerFunc(func([]byte) (int, error) { return 0, full }), f, fleet(), options()); !errors.Is(err, full) {
			t.Errorf("Write(%s) = %v, want the writer's error", f, err)
		}
	}
	if err := report.Write(&bytes.Buffer{}, "pdf", fleet(), options()); !errors.Is(err, report.ErrFormat) {
		t.Errorf("Write(pdf) = %v, want ErrFormat", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestParseFormat(t *testing.T) {
	for in, want := range map[string]report.Format{"table": report.Table, "JSON": report.JSON, " md ": report.Markdown, "text": report.Table} {
		if got, err := report.ParseFormat(in); err != nil || got != want {
			t.Errorf("ParseFormat(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := report.ParseFormat("xls\x1b"); !errors.Is(err, report.ErrFormat) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("ParseFormat(xls) = %v, want a clean ErrFormat", err)
	}
}

// A file is written in the format that its name ends in, of every format there is.
func TestFileFormatIsWhatTheNameEndsIn(t *testing.T) {
	endings := map[string]report.Format{"a.b/plan.HTM": report.HTML, "x.md": report.Markdown, "csv": "", "fleet.csv.gz": "", "": ""}
	for _, format := range report.Formats() {
		endings["fleet."+string(format)] = format
	}
	for name, want := range endings {
		if got := report.FileFormat(name); got != want {
			t.Errorf("FileFormat(%q) = %q, want %q", name, got, want)
		}
	}
}
