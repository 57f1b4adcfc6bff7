package rules

import (
	"strings"
	"testing"
)

// Ids of rules and waivers are small letters, digits, points and hyphens, begin
// with a letter or digit and have at most 64 bytes: they are labels of metrics
// and parts of addresses.
func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "z9": true, "0": true, "9": true, "el6.late-x": true, strings.Repeat("a", 64): true,
		"": false, "A": false, ".a": false, "-a": false, "a b": false, "a`": false, "a{": false, "a/": false, "a:": false, "ä": false, strings.Repeat("a", 65): false,
	} {
		if got := validID(id); got != want {
			t.Errorf("%q: %t", id, got)
		}
	}
}

// No class is milder than the one before it, up to the last.
func TestEveryPairOfClassesIsHeld(t *testing.T) {
	for later := ClassShenlong6 + 1; later < classes; later++ {
		milder := &rule{src: &Rule{ID: "r"}}
		for class := range classes {
			milder.has[class], milder.level[class] = true, Incompatible
		}
		c := &compiler{r: &Ruleset{rules: []*rule{milder}}}
		if c.monotone(); len(c.problems) != 0 {
			t.Fatalf("as bad on all classes: %v", c.problems)
		}
		for class := later; class < classes; class++ {
			milder.level[class] = NeedsAction
		}
		if c.monotone(); len(c.problems) != 1 || !strings.Contains(c.problems[0].String(), "milder on "+later.String()) {
			t.Errorf("milder on %s: %v", later, c.problems)
		}
	}
}
