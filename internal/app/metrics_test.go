package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What alerts about waivers and about the age of the knowledge ask for is there
// as soon as the process is.
func TestMetricsShowTheAgeOfTheKnowledgeAndTheEndOfWaivers(t *testing.T) {
	t.Parallel()
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	text := "version: 1\nwaivers:\n  - {id: shop, scope: {regions: [cn-hangzhou]}, until: \"2027-03-31\", reason: the work is planned}\n"
	if err := os.WriteFile(overlay, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	classifier, err := Classifier([]string{overlay}, nil)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	newMetrics(registry, classifier.Ruleset())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if m := f.GetMetric(); len(m) == 1 {
			values[f.GetName()] = m[0].GetGauge().GetValue()
		}
	}
	day, err := time.Parse(time.DateOnly, classifier.Ruleset().Definition().AsOf)
	if err != nil {
		t.Fatal(err)
	}
	if got := values["shenscan_knowledge_timestamp_seconds"]; got != float64(day.Unix()) {
		t.Errorf("the knowledge is of %v, want %v", got, day.Unix())
	}
	end := time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) // it counts on its last day
	if got := values["shenscan_waiver_end_timestamp_seconds"]; got != float64(end.Unix()) {
		t.Errorf("the waiver ends at %v, want %v", got, end.Unix())
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}
