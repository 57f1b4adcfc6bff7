package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

// From the moment at which the store is judged by other rules, pages and API
// explain verdicts by those, though the rest of the process goes by the ones
// before; and what the change moved is told to its end, though telling it failed.
func TestAnswersAreOfTheRulesThatJudged(t *testing.T) {
	t.Parallel()
	m := newMover(t, EvidenceOptions{})
	overlay := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(overlay, []byte("version: 1\nwaivers:\n  - {id: all, scope: {regions: ["+m.scope.Region+"]}, as: compatible, until: \"2999-12-31\", reason: a test}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := Classifier([]string{overlay}, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := answers{m.App}
	// What a reader has open is of the moment before.
	before, err := pageStore{m.App}.View(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	ctx, cut := context.WithCancel(t.Context())
	_, err = m.sink.Judge(ctx, other, func() {
		defer cut()
		now, err := pageStore{m.App}.View(t.Context(), store.Filter{})
		if err != nil {
			t.Error(err)
			return
		}
		defer now.Close()
		for name, view := range map[string]httpapi.View{m.classifier.Load().Digest(): before, other.Digest(): now} {
			rec, _, err := view.Instance("", "", m.moved[0])
			if err != nil {
				t.Error(err)
				return
			}
			explained, err := view.Explain("", "", m.moved[0])
			if err != nil || rec.Ruleset != name || explained.Digest != name || view.Summary().Ruleset != name {
				t.Errorf("of %s: the record is of %s, the totals of %s, the explanation of %s: %v", name, rec.Ruleset, view.Summary().Ruleset, explained.Digest, err)
			}
		}
		if got := whole.a.storeRules().Digest(); got != other.Digest() {
			t.Errorf("the page of rules shows %s", got)
		}
		if got, err := whole.Explain(t.Context(), "", "", m.moved[0], nil); err != nil || got.Digest != other.Digest() {
			t.Errorf("the API explains by %s: %v", got.Digest, err)
		}
		for _, target := range []string{"shenlong-7", "ecs.g8i.large"} { // judged by the store, and for this answer alone
			_, _, judged, err := whole.buildPlan(t.Context(), filter.Filter{}, httpapi.PlanRequest{Target: target})
			if err != nil || judged != other.Digest() {
				t.Errorf("a plan for %s is of %s: %v", target, judged, err)
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("telling did not fail: %v", err)
	}
	m.until(t, "all is told", func() bool { return !m.db.NeedsReclassify() })
	if got := m.db.Classifier().(*rules.Classifier); got != other {
		t.Error("another rule set is in use")
	}
}
