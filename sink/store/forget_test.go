package store_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

// What is forgotten is what was named: another account, and another region of the
// account, stay as they are.
func TestForgetTakesWhatIsNamedAndNothingElse(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	both := []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}, {ID: "test", AllRegions: true, Listed: true}}
	other := ecs.Scope{Account: "test", Region: "cn-hangzhou"}
	msgs := []event.Message{about("s1", 10, both, hangzhou, beijing, other)}
	for i, scope := range []ecs.Scope{hangzhou, beijing, other} {
		msgs = append(msgs, read("s1", scope, 10, machine{id: "i-" + string(rune('1'+i)), os: "debian 12"})...)
	}
	apply(t, db, s.put(msgs...))
	check := func(when, scopes string, accounts ...string) {
		t.Helper()
		if got := standings(db); got != scopes {
			t.Errorf("%s: %s, want %s", when, got, scopes)
		}
		if got := slices.Sorted(maps.Keys(db.Stats().Accounts)); !slices.Equal(got, accounts) {
			t.Errorf("%s: accounts %v, want %v", when, got, accounts)
		}
		if err := db.Check(t.Context()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	forget := func(account, region string, n int) {
		t.Helper()
		got, err := db.Forget(t.Context(), account, region, at(300))
		if len(got) != n || err != nil {
			t.Errorf("Forget of %s %s = %+v, %v", account, region, got, err)
		}
	}
	const stays = "test/cn-hangzhou 1 complete"
	check("before", "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete, "+stays, "prod", "test")
	forget("prod", "cn-beijing", 1)
	check("a region", "prod/cn-hangzhou 1 complete, "+stays, "prod", "test")
	for _, region := range []string{"cn-beijing", "cn-shanghai"} {
		if got, err := db.Forget(t.Context(), "prod", region, at(300)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Forget of %s = %+v, %v", region, got, err)
		}
	}
	if got, err := db.Forget(t.Context(), "none", "", at(300)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Forget of an account that never was = %+v, %v", got, err)
	}
	forget("prod", "", 1)
	check("the rest of an account", stays, "test")
}

// What a scan plans to read, and what a page of it came from before its plan, is
// not forgotten while it runs.
func TestWhatAScanReadsIsNotForgotten(t *testing.T) {
	scanned := func(t *testing.T) (*store.DB, *stream) {
		t.Helper()
		db, s := fresh(t), newStream()
		s.now = 50
		apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"})...))
		return db, s
	}
	for name, msg := range map[string]event.Message{
		"planned":        planned("s2", event.KindScan, 40, hangzhou),
		"read unplanned": page("s2", event.KindScan, hangzhou, "1.0", "1.0", 0, 41, machine{id: "i-1", os: "debian 12"}),
	} {
		t.Run(name, func(t *testing.T) {
			db, s := scanned(t)
			apply(t, db, s.put(msg))
			if got, err := db.Forget(t.Context(), "prod", "cn-hangzhou", at(60)); !errors.Is(err, store.ErrRunning) {
				t.Errorf("Forget = %+v, %v", got, err)
			}
			if n := db.Summary().Instances; n != 1 {
				t.Errorf("%d instances", n)
			}
		})
	}
}
