package report_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

var rowBlock = regexp.MustCompile(`(?s)<script type="application/json" class="rows">(.*?)</script>`)

// listedRows are the ids in the table of an HTML report.
func listedRows(t *testing.T, page string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, m := range rowBlock.FindAllStringSubmatch(page, -1) {
		var rows [][]any
		if err := json.Unmarshal([]byte(m[1]), &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			id, _ := row[2].(string)
			out[id] = true
		}
	}
	return out
}

func TestHTMLKeepsTheWorstAndSaysSo(t *testing.T) {
	f := reporttest.New(600, 5)
	r := &report.Report{Scan: f.Scan, Summary: f.Summary, Instances: f.All()}
	o := options()
	whole := render(t, report.HTML, r, o)
	if n := len(listedRows(t, whole)); n != 600 || strings.Contains(whole, "worst of 600 instances are listed here") {
		t.Fatalf("%d rows", n)
	}
	o.Rows = 100
	page := render(t, report.HTML, r, o)
	listed := listedRows(t, page)
	if len(listed) < 100 || len(listed) >= 200 || !strings.Contains(page, "worst of 600 instances are listed here") {
		t.Errorf("%d rows are listed", len(listed))
	}
	rank := func(rec *record.Record) string { return report.WorstVerdict(rec).Level.String() }
	mildest := map[string]int{}
	for _, rec := range f.Records {
		if !listed[rec.InstanceID] {
			mildest[rank(rec)]++
		}
	}
	for _, rec := range f.Records {
		if listed[rec.InstanceID] && rank(rec) == "compatible" && mildest["incompatible"]+mildest["unknown"] > 0 {
			t.Fatalf("%s is compatible and listed, %v are not", rec.InstanceID, mildest)
		}
	}
}
