package store_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// What was seen in the very moment in which a scan began is there: other rules judge it,
// and what they move is told of it, as of all others; of what was seen before it is gone,
// nothing is told.
func TestOtherRulesJudgeWhatWasSeenAsAScanBegan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := reopen(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 9, machine{id: "i-gone", os: "debian 12"})))
	msgs := whole("s1", hangzhou, 10, machine{id: "i-there", os: "debian 12"})
	msgs[2].(*event.InstancesClassified).Order = at(10).UnixNano()
	apply(t, db, s.put(msgs...))
	if sum := db.Summary(); sum.Instances != 1 || sum.Gone != 1 {
		t.Fatalf("%d instances, %d gone", sum.Instances, sum.Gone)
	}
	// The first target is one that is not judged yet.
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})
	other.targets = []string{"new", "shenlong-7", "kvm"}
	preview, err := db.Preview(t.Context(), other, 10)
	if err != nil || preview.Instances != 1 || preview.Changed != 1 || len(preview.Examples) != 1 {
		t.Errorf("%+v, %v", preview, err)
	}
	done, err := db.Reclassify(t.Context(), other)
	if err != nil || done.Moved != 1 || len(done.Changes) != 1 || done.Changes[0].After.InstanceID != "i-there" {
		t.Errorf("%d moved, %+v, %v", done.Moved, done.Changes, err)
	}
	points, err := db.Points(1)
	if err != nil {
		t.Fatal(err)
	}
	opened := map[string]int{}
	for target, moves := range points[0].Moves {
		opened[target] = moves.OpenedByRules
	}
	if diff := cmp.Diff(map[string]int{"new": 0, "shenlong-7": 1, "kvm": 1}, opened); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[string][]string{"i-there": {"ruleset"}, "i-gone": {"gone"}} {
		found, err := db.Get("prod", "cn-hangzhou", id)
		if err != nil {
			t.Fatal(err)
		}
		var causes []string
		for _, change := range found.History {
			causes = append(causes, change.Cause)
		}
		if diff := cmp.Diff(want, causes); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
	if point := points[0]; point.Kind != record.PointRules {
		t.Errorf("%+v", point)
	}
}
