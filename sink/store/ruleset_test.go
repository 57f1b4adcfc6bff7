package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// TestAWaiverThatIsTakenAwayIsAChange takes the waivers out of the rule set, in
// the running process or with the next one: the verdicts behind them come back,
// and are told.
func TestAWaiverThatIsTakenAwayIsAChange(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		t.Run(fmt.Sprint("reopened_", reopen), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			waiving, plain := newJudge("a", oldOnes), newJudge("b", oldOnes)
			waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
			db := open(t, path, waiving)
			s := newStream()
			s.now = 1000
			apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}})...))
			if reopen {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, path, plain)
			}
			got, err := db.Reclassify(t.Context(), plain)
			if err != nil || len(got.Changes) != 1 {
				t.Fatalf("%+v, %v", got.Changes, err)
			}
			if sum := db.Summary(); sum.Verdicts["shenlong-7"]["incompatible"] != 1 {
				t.Errorf("%v", sum.Verdicts)
			}
		})
	}
}

func TestReclassify(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		t.Run(fmt.Sprint("reopened_", reopen), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db := open(t, path, newJudge("a", oldOnes))
			s := newStream()
			s.now = 1000
			apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "centos 5.8"}, machine{id: "i-3", os: "debian 12"})...))
			apply(t, db, s.put(whole("s2", hangzhou, 200, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "centos 5.8"})...))
			stricter := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.Incompatible})
			preview, err := db.Preview(t.Context(), stricter, 10)
			if err != nil {
				t.Fatal(err)
			}
			if preview.Changed != 1 || preview.Instances != 2 || len(preview.Examples) != 1 || preview.Moves[store.ChangeKey{Target: "kvm", From: "compatible", To: "needs-action"}] != 1 {
				t.Errorf("preview %+v", preview)
			}
			if reopen {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, path, stricter)
				if !db.NeedsReclassify() {
					t.Error("it does not know that the rule set is another one")
				}
				if _, err := db.Apply(t.Context(), s.put(planned("s3", scanKind, 1))); !errors.Is(err, store.ErrReclassify) {
					t.Errorf("got %v", err)
				}
				s.seq -= between
			}
			got, err := db.Reclassify(t.Context(), stricter)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Changes) != 1 || got.Changes[0].Cause != "ruleset" || got.Changes[0].Before.InstanceID != "i-1" {
				t.Fatalf("%+v", got.Changes)
			}
			before, after := got.Changes[0].Before, got.Changes[0].After
			if before.Ruleset != "a" || before.Verdicts[2].Level != rules.Compatible || after.Ruleset != "b" || after.Verdicts[2].Level != rules.Incompatible {
				t.Errorf("before %+v after %+v", before, after)
			}
			if sum := db.Summary(); sum.Ruleset != "b" || sum.Verdicts["shenlong-7"]["incompatible"] != 2 || sum.Legacy != 2 {
				t.Errorf("%+v", sum)
			}
			if again, err := db.Reclassify(t.Context(), stricter); err != nil || len(again.Changes) != 0 {
				t.Errorf("again: %+v, %v", again, err)
			}
			events, err := db.Outbox(0, 100)
			if err != nil || events[len(events)-1].Judgement != "b" {
				t.Errorf("%+v, %v", events, err)
			}
			if got := apply(t, db, s.put(whole("s3", hangzhou, 300, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "centos 5.8"})...)); len(got.Changes) != 0 || got.New != 0 {
				t.Errorf("the next scan: %+v", got)
			}
			if err := db.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewTargetIsNoChange(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "centos 5.8"})...))
	more := newJudge("a", oldOnes)
	more.targets = append(more.targets, "ecs.g8i")
	got, err := db.Reclassify(t.Context(), more)
	if err != nil || len(got.Changes) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if n := db.Summary().Verdicts["ecs.g8i"]["incompatible"]; n != 1 {
		t.Errorf("%d instances are incompatible with the new target", n)
	}
}

func TestWaivers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	today := "2026-11-23"
	start := func() *store.DB {
		db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: waiving, Today: func() string { return today }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	db := start()
	s := newStream()
	s.now = 1000
	waived := machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}}
	bare := waived
	bare.tags = nil
	other := machine{id: "i-2", os: "centos 5.8"}
	count := func(db *store.DB) int { return db.Summary().Verdicts["shenlong-7"]["incompatible"] }
	apply(t, db, s.put(whole("s1", hangzhou, 100, waived, other)...))
	if n := count(db); n != 1 {
		t.Errorf("%d incompatible, one is waived", n)
	}
	if n := len(all(t, db, store.Filter{Verdict: "incompatible", Target: "shenlong-7"})); n != 1 {
		t.Errorf("%d are listed", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = start()
	if n := count(db); n != 1 || db.NeedsReclassify() {
		t.Errorf("%d incompatible after reopening", n)
	}
	if got := apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 300, bare))); len(got.Changes) != 1 || count(db) != 2 {
		t.Errorf("tag taken off: %+v, %d incompatible", got, count(db))
	}
	if got := apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 1, 310, waived))); len(got.Changes) != 1 || count(db) != 1 {
		t.Errorf("tag put on: %+v, %d incompatible", got, count(db))
	}
	today = "2027-01-01"
	if !db.NeedsReclassify() {
		t.Error("a new day is not noticed")
	}
	got, err := db.Reclassify(t.Context(), waiving)
	if err != nil || len(got.Changes) != 1 || count(db) != 2 {
		t.Errorf("waiver ran out: %+v, %v, %d incompatible", got, err, count(db))
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFilterPageByPage(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	r := rand.New(rand.NewPCG(5, 5))
	s := newStream()
	s.now = 1000
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	apply(t, db, s.put(whole("s1", hangzhou, 100, fleetOf(r, 6000)...)...))
	apply(t, db, s.put(whole("s2", beijing, 100, fleetOf(r, 3000)...)...))
	// Some rows are in the journal only.
	apply(t, db, s.put(page("r1", rescanKind, beijing, "1.0", "1.0", 0, 300, append(fleetOf(r, 500), machine{id: "i-zz", os: "centos 5.8", name: "Needle 针"})...)))
	whole := all(t, db, store.Filter{})
	if len(whole) != 9501 {
		t.Fatalf("%d instances", len(whole))
	}
	legacy := true
	for name, c := range map[string]struct {
		f    store.Filter
		pass func(family, version, region string, legacy bool, level rules.Level, kvm rules.Level) bool
	}{
		"region":  {store.Filter{Region: "cn-beijing"}, func(_, _, region string, _ bool, _, _ rules.Level) bool { return region == "cn-beijing" }},
		"account": {store.Filter{Account: "other"}, func(string, string, string, bool, rules.Level, rules.Level) bool { return false }},
		"family":  {store.Filter{OSFamily: "debian"}, func(f, _, _ string, _ bool, _, _ rules.Level) bool { return f == "debian" }},
		"version": {store.Filter{OSFamily: "debian", OSVersion: "7"}, func(f, v, _ string, _ bool, _, _ rules.Level) bool { return f == "debian" && v == "7" }},
		"legacy":  {store.Filter{Legacy: &legacy}, func(_, _, _ string, l bool, _, _ rules.Level) bool { return l }},
		"verdict": {store.Filter{Verdict: "needs-action", Target: "shenlong-7"}, func(_, _, _ string, _ bool, l, _ rules.Level) bool { return l == rules.NeedsAction }},
		"any_target": {store.Filter{Verdict: "needs-action"}, func(_, _, _ string, _ bool, l, k rules.Level) bool {
			return l == rules.NeedsAction || k == rules.NeedsAction
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, r := range whole {
				if c.pass(r.OS.Family, r.OS.Version, r.Region, r.Legacy, r.Verdicts[2].Level, r.Verdicts[0].Level) {
					want = append(want, r.Region+" "+r.InstanceID)
				}
			}
			var got []string
			for after := (*record.Record)(nil); ; {
				page := someAfter(t, db, c.f, after, 777)
				for _, r := range page {
					got = append(got, r.Region+" "+r.InstanceID)
				}
				if len(page) < 777 {
					break
				}
				after = page[len(page)-1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, q := range []string{"needle", "针", "I-ZZ"} {
		if got := all(t, db, store.Filter{Query: q}); len(got) != 1 || got[0].InstanceID != "i-zz" {
			t.Errorf("query %q: %v", q, lines(got))
		}
	}
	if got := all(t, db, store.Filter{ObservedSince: at(300)}); len(got) != 501 {
		t.Errorf("%d observed since", len(got))
	}
	found, err := db.Locate([]string{"i-zz", whole[5].InstanceID, "i-none"})
	if err != nil || len(found) != 2 || found["i-zz"] != beijing {
		t.Errorf("%v, %v", found, err)
	}
}
