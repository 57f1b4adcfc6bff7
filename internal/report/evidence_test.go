package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

func TestEvidenceNamesACauseOnceOverAllRegions(t *testing.T) {
	now := reporttest.Now()
	old, older := now.Add(-3*time.Hour), now.AddDate(0, 0, -5)
	denied := record.EvidenceSkipped{Count: 2, Cause: "not permitted", Mend: "grant it"}
	lines := report.EvidenceLines([]record.Evidence{
		{Source: "platform", Account: "1", Region: "a", About: "images", Asked: 5, Answered: 3, Calls: 1, Oldest: &old, Skipped: []record.EvidenceSkipped{denied}},
		{Source: "heartbeat", Account: "1", Region: "a", About: "instances", Asked: 7, Answered: 7, Calls: 1},
		{Source: "platform", Account: "1", Region: "b", About: "images", Asked: 4, Answered: 2, Calls: 2, Oldest: &older, Skipped: []record.EvidenceSkipped{denied}},
	}, now)
	if len(lines) != 2 || lines[0].Source != "platform" || lines[1].Source != "heartbeat" {
		t.Fatalf("lines are %+v; want one of the platform and one of heartbeats", lines)
	}
	if want := "answers for 5 of 9 images, the oldest 5 days old, 3 calls"; lines[0].Text != want {
		t.Errorf("text is %q; want %q", lines[0].Text, want)
	}
	if want := "4 of 9 images in 1 / a and 1 more region: not permitted; grant it"; strings.Join(lines[0].Missing, "|") != want {
		t.Errorf("missing is %q; want %q", lines[0].Missing, want)
	}
	if len(lines[1].Missing) != 0 {
		t.Errorf("missing is %q; want nothing", lines[1].Missing)
	}
}

func TestEvidenceBoundsItsCauses(t *testing.T) {
	var skipped []record.EvidenceSkipped
	for i := range 9 {
		skipped = append(skipped, record.EvidenceSkipped{Count: i + 1, Cause: "cause " + string(rune('a'+i))})
	}
	lines := report.EvidenceLines([]record.Evidence{{Source: "platform", About: "images", Asked: 45, Skipped: skipped}}, reporttest.Now())
	missing := lines[0].Missing
	if len(missing) != 6 || !strings.Contains(missing[0], "9 of 45 images") || !strings.Contains(missing[5], "4 more causes") {
		t.Errorf("missing is %q; want the five most frequent causes and the number of the others", missing)
	}
}
