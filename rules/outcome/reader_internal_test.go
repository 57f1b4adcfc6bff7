package outcome

import (
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// A Reader of a large fleet does not grow for ever: with one pair too many it
// begins anew, and what it says stays the same. What it remembers says as what it
// found out whether a verdict hangs on whether the guest is up.
func TestAReaderForgetsWhatIsTooMuch(t *testing.T) {
	set, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := set.NewClassifier(nil)
	r := NewReader(c)
	system := "nobody's system"
	ask := func(running rules.Tri) (class Class, hangs bool) {
		facts := rules.Facts{OSName: system, OSType: "linux", ImageID: "m-1", InstanceType: "ecs.g7.large", InstanceFamily: "ecs.g7", Running: running}
		of, hangs := r.ClassHangs(c.System(&facts), c.Host(facts.Hardware()))
		return *of, hangs
	}
	class, hangs := ask(rules.Yes)
	other, otherHangs := ask(rules.No)
	if !hangs || otherHangs {
		t.Fatalf("a verdict hangs on a guest that is up: %t, on one that is stopped: %t", hangs, otherHangs)
	}
	for i := uint64(0); len(r.known) < maxKnown; i++ { // of no pair
		r.known[^i] = 0
	}
	again := func(running rules.Tri, want Class, wantHangs bool, known int) {
		t.Helper()
		if got, gotHangs := ask(running); got != want || gotHangs != wantHangs || len(r.known) != known {
			t.Errorf("running %v: %+v hangs %t, want %+v %t; %d pairs are known, want %d", running, got, gotHangs, want, wantHangs, len(r.known), known)
		}
	}
	again(rules.Yes, class, true, maxKnown)
	again(rules.No, other, false, maxKnown)
	system = "CentOS  5.8 64位"
	if ask(rules.No); len(r.known) != 1 || len(r.list) != 1 || len(r.same) != 1 {
		t.Errorf("%d pairs of %d classes are known behind the bound", len(r.known), len(r.list))
	}
	system = "nobody's system"
	again(rules.Yes, class, true, 2)
	again(rules.No, other, false, 3)
	again(rules.Yes, class, true, 3)
}
