package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// brokenRules fail where they are asked to judge.
type brokenRules struct {
	store.Classifier
	fail func()
}

func (b brokenRules) Classify(f *rules.Facts) *rules.Classification {
	b.fail()
	return b.Classifier.Classify(f)
}

// TestAPanicOfTheRulesIsNoDamage: a mistake in the program is told as what it
// is, and nobody is sent to look for a broken disk.
func TestAPanicOfTheRulesIsNoDamage(t *testing.T) {
	t.Parallel()
	var nothing *rules.Facts
	var none []int
	for want, fail := range map[string]func(){
		"a mistake in the rules": func() { panic("a mistake in the rules") },
		"nil pointer":            func() { nothing.OSName = "x" },
		"out of range":           func() { none[len(t.Name())] = 1 },
	} {
		t.Run(want, func(t *testing.T) {
			db := open(t, filled(t), newJudge("a", oldOnes))
			caught := func() (v string) {
				defer func() { v += fmt.Sprint(recover()) }()
				_, err := db.Preview(t.Context(), brokenRules{newJudge("b", oldOnes), fail}, 3)
				return fmt.Sprintf("no panic, but %v; ", err)
			}()
			if !strings.Contains(caught, want) || strings.HasPrefix(caught, "no panic") {
				t.Errorf("got %q", caught)
			}
			if err := db.Check(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
