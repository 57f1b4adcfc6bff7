package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// Whoever writes a rule behind one that already decides sees which it is.
func TestAFixtureThatDoesNotFireSaysWhichRulesDo(t *testing.T) {
	def := *ruleset(t).Definition()
	def.Rules = slices.Clone(def.Rules)
	var other string
	at := slices.IndexFunc(def.Rules, func(r rules.Rule) bool { return r.ID == "observed.failed" })
	up := slices.IndexFunc(def.Rules, func(r rules.Rule) bool { return r.ID == "observed.up" })
	def.Rules[at].Fire, other = slices.Concat(def.Rules[at].Fire, def.Rules[up].Fire[:1]), def.Rules[up].ID
	r, err := rules.Compile(def, family.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	_, failed := r.Test()
	if len(failed) != 1 || failed[0].Rule != "observed.failed" || !slices.Contains(failed[0].Instead, other) {
		t.Fatalf("%+v", failed)
	}
	if text := failed[0].String(); !strings.Contains(text, "must fire on") || !strings.Contains(text, other) {
		t.Error(text)
	}
}
