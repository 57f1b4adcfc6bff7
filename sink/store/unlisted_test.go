package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// readBoth has a first scan of two regions, of which the second one is read to its end or not.
func readBoth(t *testing.T, whole bool) (*store.DB, *stream) {
	t.Helper()
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(about("s1", 10, []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}, hangzhou, beijing)))
	apply(t, db, s.put(read("s1", hangzhou, 10, machine{id: "i-1"})...))
	if whole {
		apply(t, db, s.put(read("s1", beijing, 10, machine{id: "i-2"})...))
		return db, s
	}
	apply(t, db, s.put(page("s1", scanKind, beijing, "1.0", "1.0", 0, 11, machine{id: "i-2"}),
		&event.ScopeFailed{ScanID: "s1", Kind: scanKind, Scope: beijing, Failure: refused("denied")}))
	return db, s
}

// scanned has a scan of all regions of prod, of which these are named, and returns its failures.
func scanned(t *testing.T, db *store.DB, s *stream, scan string, epoch int64, scopes ...ecs.Scope) []record.Failure {
	t.Helper()
	apply(t, db, s.put(about(scan, epoch, []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}, scopes...)))
	for _, scope := range scopes {
		apply(t, db, s.put(read(scan, scope, epoch, map[ecs.Scope]machine{hangzhou: {id: "i-1"}, beijing: {id: "i-2"}}[scope])...))
	}
	got, err := db.Scan(scan)
	if err != nil {
		t.Fatal(err)
	}
	var failures []record.Failure
	for _, scope := range got.Scopes {
		failures = append(failures, scope.Failures...)
	}
	return failures
}

// A region is told to be named no more since the first scan that missed it, until one
// names it again; the scan after that begins anew.
func TestARegionIsUnlistedSinceTheFirstScanThatMissedIt(t *testing.T) {
	db, s := readBoth(t, true)
	for i, c := range []struct {
		scopes []ecs.Scope
		want   string
	}{
		{[]ecs.Scope{hangzhou}, "prod/cn-beijing 1 failed unlisted 100, prod/cn-hangzhou 1 complete"},
		{[]ecs.Scope{hangzhou}, "prod/cn-beijing 1 failed unlisted 100, prod/cn-hangzhou 1 complete"},
		{[]ecs.Scope{hangzhou, beijing}, "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete"},
		{[]ecs.Scope{hangzhou}, "prod/cn-beijing 1 failed unlisted 400, prod/cn-hangzhou 1 complete"},
	} {
		s.now = int64(100*i + 150)
		scanned(t, db, s, fmt.Sprint("s", i+2), int64(100*i+100), c.scopes...)
		if got := standings(db); got != c.want {
			t.Errorf("scan %d: %s", i, got)
		}
	}
}

// Of what is not named any more it is told when it was last read to its end, or that it
// never was.
func TestWhatIsNotNamedTellsWhenItWasRead(t *testing.T) {
	for whole, want := range map[bool]string{true: "it was last read to its end at 2026-11-23T00:00:50Z", false: "it was never read to its end"} {
		db, s := readBoth(t, whole)
		s.now = 150
		failures := scanned(t, db, s, "s2", 100, hangzhou)
		if len(failures) != 1 || !strings.HasSuffix(failures[0].Error, "its 1 instances are kept as they were: "+want) || !strings.Contains(failures[0].Error, "since the scan of 2026-11-23T00:01:40Z") {
			t.Errorf("read to its end: %t: %+v", whole, failures)
		}
	}
}

// A scan of the same moment as the last one that looked at a region speaks for it; an older
// one, whose plan comes late, says nothing of what has been seen since.
func TestAnOlderPlanSaysNothingOfWhatIsNotNamed(t *testing.T) {
	for epoch, want := range map[int64]int{9: 0, 10: 1, 11: 1} {
		db, s := readBoth(t, true)
		s.now = 150
		if failures := scanned(t, db, s, "s2", epoch, hangzhou); len(failures) != want {
			t.Errorf("a plan of %d: %+v", epoch, failures)
		}
	}
}

// Only where an account was to be read as a whole, and could not be listed as a whole, is
// each of its regions one that was not read.
func TestAFailureIsOfEachRegionOnlyWhereItIsOfTheAccount(t *testing.T) {
	for name, c := range map[string]struct {
		account event.PlannedAccount
		region  string // of the failure
		want    string
	}{
		"of the account":                {event.PlannedAccount{ID: "prod", AllRegions: true}, "", "prod/cn-beijing 1 failed, prod/cn-hangzhou 1 failed"},
		"of another region":             {event.PlannedAccount{ID: "prod", AllRegions: true}, "cn-shenzhen", "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete, prod/cn-shenzhen 0 failed"},
		"of an account of some regions": {event.PlannedAccount{ID: "prod"}, "", "prod/ 0 failed, prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete"},
	} {
		db, s := readBoth(t, true)
		s.now = 150
		plan := about("s2", 100, []event.PlannedAccount{c.account})
		plan.Failed = []record.Failure{{Account: "prod", Region: c.region, API: "DescribeRegions", Class: "permission", Error: "denied"}}
		apply(t, db, s.put(plan))
		if got := standings(db); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// An account that is left alone is listed once, however often a plan in parts names it, and
// nothing that is known of it is taken for gone.
func TestAnAccountThatIsLeftAloneIsListedOnce(t *testing.T) {
	db, s := readBoth(t, true)
	s.now = 150
	alone := []event.PlannedAccount{{ID: "prod", Name: "shop", Excluded: true}, {ID: "test", Excluded: true}}
	for i, accounts := range [][]event.PlannedAccount{alone, alone[1:], nil} {
		m := about("s2", 100, accounts)
		m.Part, m.More, m.AllAccounts = fmt.Sprint("part-", i), i < 2, true
		apply(t, db, s.put(m))
	}
	want := []record.AccountLabel{{Account: "prod", Name: "shop"}, {Account: "test"}}
	if diff := cmp.Diff(want, db.Summary().Excluded); diff != "" {
		t.Error(diff)
	}
	if got := standings(db); got != "prod/cn-beijing 1 complete unlisted 100, prod/cn-hangzhou 1 complete unlisted 100" {
		t.Error(got)
	}
}

// A name of an account that is too long is refused and counted; those beside it count.
func TestANameOfAnAccountThatIsTooLongIsRefused(t *testing.T) {
	longest := strings.Repeat("x", 200)
	db, s := readBoth(t, true)
	plan := about("s2", 100, []event.PlannedAccount{{ID: "a", Name: longest + "x"}, {ID: "", Name: "none"}, {ID: "prod", Name: longest}}, hangzhou)
	if got := apply(t, db, s.put(plan)); got.Invalid != 2 {
		t.Errorf("%d are invalid", got.Invalid)
	}
	names := map[string]bool{}
	for _, r := range all(t, db, store.Filter{}) {
		names[r.AccountName] = true
	}
	if len(names) != 1 || !names[longest] {
		t.Errorf("the account is named %v", names)
	}
	if scopes := db.Summary().Scopes; slices.ContainsFunc(scopes, func(sc record.ScopeStatus) bool { return sc.AccountName != longest }) {
		t.Errorf("%+v", scopes)
	}
}
