package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

// mixed is a group of 150 CentOS 5.8: the first one is replaced, all others are
// upgraded, and one of another system has no remedy at all.
func mixed() *report.Report {
	var records []*record.Record
	one := func(n int, level rules.Level, remedies ...rules.Remedy) {
		records = append(records, &record.Record{
			Account: "1", Region: "cn-hangzhou", InstanceID: fmt.Sprintf("i-%03d", n),
			Classification: rules.Classification{OS: rules.OS{Family: "centos", Version: "5.8"}, Legacy: true, Verdicts: []rules.Verdict{{Target: "shenlong-6", Level: level, Remedies: remedies}}},
		})
	}
	one(0, rules.NeedsAction, rules.Remedy{ID: "replace-os"})
	for n := range 149 {
		one(n+1, rules.NeedsAction, rules.Remedy{ID: "minor-upgrade", To: "5.11"}, rules.Remedy{ID: "replace-os"})
	}
	return &report.Report{
		Summary: record.Summary{
			Instances: 150, Legacy: 150, Targets: []string{"shenlong-6"}, Verdicts: map[string]map[string]int{"shenlong-6": {"needs-action": 150}}, CaughtUp: true,
			Groups: []record.Group{{Account: "1", Region: "cn-hangzhou", Target: "shenlong-6", Verdict: "needs-action", OSFamily: "centos", OSVersion: "5.8", Legacy: true, Instances: 150}},
			Scopes: []record.ScopeStatus{{Account: "1", Region: "cn-hangzhou", Instances: 150, Completeness: record.ScopeComplete}},
		},
		Instances: func(yield func(*record.Record, error) bool) {
			for _, r := range records {
				if !yield(r, nil) {
					return
				}
			}
		},
	}
}

// The first remedy of a group is the one that fits most of it, not that of its
// first instance.
func TestFirstRemedyOfAGroup(t *testing.T) {
	const want = "minor-upgrade to 5.11: 149; replace-os: 1"
	for _, f := range []report.Format{report.Table, report.HTML} {
		var out strings.Builder
		if err := report.Write(&out, f, mixed(), report.Options{Width: 140}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s does not say %q", f, want)
		}
	}
	systems, err := mixed().Remedies()
	if err != nil || len(systems) != 1 || len(systems[0].Remedies) != 2 || systems[0].Remedies[0] != (report.RemedyCount{Remedy: "minor-upgrade to 5.11", Instances: 149}) {
		t.Errorf("%+v, %v", systems, err)
	}
}

// A remedy in a few words does not list two dozen families: the legend and the
// rule's page do.
func TestRemedyLineIsAFewWords(t *testing.T) {
	for want, m := range map[string]rules.Remedy{
		"minor-upgrade to 5.11": {ID: "minor-upgrade", To: "5.11"},
		"stay: ecs.n4, ecs.g5":  {ID: "stay", Families: []string{"ecs.n4", "ecs.g5"}},
		"lift on 7 families":    {ID: "lift", Families: make([]string, 7)},
		"replace-os":            {ID: "replace-os"},
	} {
		if got := report.RemedyLine(&m); got != want {
			t.Errorf("%+v is %q, want %q", m, got, want)
		}
	}
}
