package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// observed spells the first column of boundary-2026.tsv.
func observed(t *testing.T, text string) *rules.Facts {
	t.Helper()
	var o rules.Observation
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	f := o.Facts()
	return &f
}

// boundary2026 says how a rule set judges the cases of boundary-2026.tsv
// otherwise, up to the first that it does.
func boundary2026(t *testing.T, r *rules.Ruleset) string {
	t.Helper()
	for _, row := range rows(t, "boundary-2026.tsv") {
		if diff := differs2026(t, r, row); diff != "" {
			return diff
		}
	}
	return ""
}

func differs2026(t *testing.T, r *rules.Ruleset, row map[string]string) string {
	t.Helper()
	target, err := r.ParseTarget(row["target"])
	if err != nil {
		return err.Error()
	}
	v := r.Explain(observed(t, row["observation"]), []rules.Target{target}).Classification.Verdicts[0]
	if v.Level.String() != row["verdict"] {
		return row["observation"] + " on " + row["target"] + ": " + v.Level.String() + " by " + v.Rule + ", want " + row["verdict"] + " (" + row["why"] + ")"
	}
	return ""
}

func TestBoundaryOf2026(t *testing.T) {
	r := ruleset(t)
	for _, row := range rows(t, "boundary-2026.tsv") {
		if diff := differs2026(t, r, row); diff != "" {
			t.Error(diff)
		}
	}
}
