package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// The row that an instance had is found in whichever block it stands, first and last ones too,
// and in the journal where it was replaced since; what is told of the change is of that instance.
func TestTheRowBeforeIsFoundInItsBlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	var fleet []machine
	for i := range 600 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%03d", i), os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	if rows, _ := db.Blocks(); rows != 3 {
		t.Fatalf("%d blocks", rows)
	}
	var some []machine
	for _, i := range []int{0, 1, 199, 200, 201, 399, 400, 401, 598, 599} {
		some = append(some, machine{id: fleet[i].id, os: "centos 5.8", name: "renamed " + fleet[i].id})
	}
	some = append(some, machine{id: "j-new", os: "centos 5.8"})
	for round, os := range []string{"centos 5.8", "debian 7", "debian 12"} {
		for i := range some {
			some[i].os = os
		}
		got := apply(t, db, s.put(page(fmt.Sprint("r", round), rescanKind, hangzhou, "1.0", "1.0", 0, 20+int64(round), some...)))
		if want := len(some) - 1 + min(round, 1); got.Moved != want || len(got.Changes) != want {
			t.Fatalf("%d moved, want %d", got.Moved, want)
		}
		for i, c := range got.Changes {
			name := "renamed " + some[i].id
			if round == 0 || some[i].name == "" {
				name = "name of " + some[i].id
			}
			if c.Before.InstanceID != some[i].id || c.After.InstanceID != some[i].id || c.Before.InstanceName != name {
				t.Errorf("round %d: %s, %q became %s", round, c.Before.InstanceID, c.Before.InstanceName, c.After.InstanceID)
			}
		}
		db = kept(t, db, path)
	}
}

// What waivers made of instances is read in step with their rows, in whichever block and
// scope they stand: each is listed by its own verdict, also from the middle on.
func TestWaivedInstancesAreReadInStep(t *testing.T) {
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), waiving), newStream()
	s.now = 50
	var fleet []machine
	for i := range 600 {
		m := machine{id: fmt.Sprintf("i-%03d", i), os: "centos 5.8"}
		if i%200 == 0 || i%200 == 199 || i == 300 {
			m.tags = []ecs.Tag{{Key: "waive", Value: "yes"}}
		}
		fleet = append(fleet, m)
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	apply(t, db, s.put(whole("s2", beijing, 10, fleet[0], machine{id: "i-000a", os: "centos 5.8"})...))
	waived := 0
	for _, f := range []store.Filter{{Verdict: "compatible", Target: "shenlong-7"}, {Verdict: "incompatible", Target: "shenlong-7"}} {
		found := all(t, db, f)
		for _, r := range found {
			if r.Verdicts[2].Level.String() != f.Verdict || (r.Verdicts[2].Waiver != nil) != (r.Tags["waive"] == "yes") {
				t.Errorf("%s/%s is %s", r.Region, r.InstanceID, r.Verdicts[2].Level)
			}
			if r.Verdicts[2].Level == rules.Compatible {
				waived++
			}
		}
		// The same from each of them on.
		for i := range found {
			if i%50 != 0 && i > 3 {
				continue
			}
			if got := lines(someAfter(t, db, f, found[i], 2)); len(got) != min(2, len(found)-i-1) || len(got) > 0 && got[0] != lines(found[i+1 : i+2])[0] {
				t.Errorf("behind %s: %v", found[i].InstanceID, got)
			}
		}
	}
	if sum := db.Summary(); waived != sum.Verdicts["shenlong-7"]["compatible"] || waived != 8 {
		t.Errorf("%d are waived, of %d", waived, sum.Verdicts["shenlong-7"]["compatible"])
	}
}
