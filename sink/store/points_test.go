package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// ownedBy is an instance with the tag that names its owner.
func ownedBy(id, team string) machine {
	return machine{id: id, os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: team}}}
}

// carriedBy spells what a point says is of an earlier scan than its own.
func carriedBy(p *record.Progress) string {
	out := []string{fmt.Sprintf("%d scopes, %d others, carried %d with %d instances:", p.Scopes, p.Others, p.CarriedScopes, p.CarriedInstances)}
	for _, sc := range p.Carried {
		out = append(out, fmt.Sprintf("%s/%s %d %s", sc.Account, sc.Region, sc.Instances, sc.Completeness))
	}
	return strings.Join(out, " ")
}

// A point says of how many accounts and regions its counts are not of its scan: of which
// of them by name, the largest first, and of how many it was not about. What was forgotten is none
// of them, and hides none.
func TestAPointNamesWhatItsScanDidNotRead(t *testing.T) {
	scope := func(account, region string) ecs.Scope { return ecs.Scope{Account: account, Region: region} }
	machines := func(sc ecs.Scope, n int) (out []machine) {
		for i := range n {
			out = append(out, machine{id: fmt.Sprint("i-", sc.Account, sc.Region, i), os: "debian 12"})
		}
		return out
	}
	db, s := fresh(t), newStream()
	s.now = 50
	var old []ecs.Scope
	for i := range 8 {
		old = append(old, scope("old", fmt.Sprint("cn-", i)))
	}
	sizes := map[ecs.Scope]int{hangzhou: 1, beijing: 2, scope("prod", "cn-shenzhen"): 3, scope("test", "cn-a"): 4, scope("closed", "cn-b"): 5}
	all := old
	for sc := range sizes {
		all = append(all, sc)
	}
	apply(t, db, s.put(planned("s1", scanKind, 10, all...)))
	for _, sc := range all {
		apply(t, db, s.put(read("s1", sc, 10, machines(sc, max(1, sizes[sc]))...)...))
	}
	if _, now := latest(t, db); carriedBy(now) != "13 scopes, 0 others, carried 0 with 0 instances:" {
		t.Errorf("at first: %s", carriedBy(now))
	}
	if _, err := db.Forget(t.Context(), "old", "", at(60)); err != nil {
		t.Fatal(err)
	}
	plan := about("s2", 100, []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}, {ID: "test", Excluded: true}, {ID: "shut", AllRegions: true}}, hangzhou, beijing)
	plan.Failed = []record.Failure{
		{Account: "shut", API: "DescribeRegions", Class: "permission", Error: "denied"},
		{Account: "prod", API: "DescribeAccountAttributes", Class: "permission", Error: "denied"}, // and its regions are there
	}
	plan.Accounts[0].AllRegions = false
	s.now = 200
	apply(t, db, s.put(plan))
	apply(t, db, s.put(read("s2", hangzhou, 100, machines(hangzhou, 1)...)...))
	apply(t, db, s.put(&event.ScopeFailed{ScanID: "s2", Kind: scanKind, Scope: beijing, Failure: refused("denied")}))
	_, now := latest(t, db)
	if want := "5 scopes, 2 others, carried 3 with 6 instances: test/cn-a 4 complete prod/cn-beijing 2 failed shut/ 0 failed"; carriedBy(now) != want {
		t.Errorf("the point says\n%s, want\n%s", carriedBy(now), want)
	}
	// Other rules are about no scan: nothing is beside it.
	if _, err := db.Reclassify(t.Context(), newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})); err != nil {
		t.Fatal(err)
	}
	_, now = latest(t, db)
	if want := "5 scopes, 0 others, carried 3 with 6 instances: test/cn-a 4 complete prod/cn-beijing 2 failed shut/ 0 failed"; carriedBy(now) != want || now.Instances != 15 {
		t.Errorf("by other rules the point says of %d instances\n%s, want\n%s", now.Instances, carriedBy(now), want)
	}
}

// What has none of the tags is its account's where that was asked for, and nobody's
// where it was not; a point says which of them it counted.
func TestWhatNobodyOwnsIsItsAccountsWhereThatIsAsked(t *testing.T) {
	db, s := fresh(t), newStream()
	for i, c := range []struct {
		tags    []string
		account bool
		says    bool // the point, that accounts are owners
		owners  map[string]int
	}{
		{[]string{"team"}, true, true, map[string]int{"blue": 2, "account prod": 1, "account test": 1}},
		{[]string{"team"}, false, false, map[string]int{"blue": 2, "": 2}},
		{nil, true, false, nil},
		{nil, false, false, nil},
	} {
		db.OwnBy(c.tags, c.account)
		id, other := fmt.Sprint("s", i), ecs.Scope{Account: "test", Region: "cn-beijing"}
		s.now += 100
		apply(t, db, s.put(planned(id, scanKind, s.now-10, hangzhou, other)))
		apply(t, db, s.put(append(read(id, hangzhou, s.now-10, ownedBy("i-1", "blue"), ownedBy("i-2", "")), read(id, other, s.now-10, ownedBy("i-3", "blue"), ownedBy("i-4", ""))...)...))
		_, now := latest(t, db)
		var got map[string]int
		if now.Owners != nil {
			got = map[string]int{}
			for _, o := range now.Owners.Largest {
				got[o.Name] = o.Instances
			}
		}
		if diff := cmp.Diff(c.owners, got); diff != "" || now.OwnerAccount != c.says {
			t.Errorf("by %v, accounts %t: the point says accounts %t: %s", c.tags, c.account, now.OwnerAccount, diff)
		}
	}
}

// What is observed at the very moment at which a complete scan began is there, and its
// owner is counted.
func TestOwnersAreCountedOfWhatWasSeenAsTheScanBegan(t *testing.T) {
	db, s := openFor(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes), "team"), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, ownedBy("i-1", "blue"), ownedBy("i-gone", "red"))...))
	apply(t, db, s.put(planned("s2", scanKind, 20, hangzhou), scopePlanned("s2", scanKind, hangzhou, "1", "1.0"),
		page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 20, ownedBy("i-1", "blue")), laneEnded("s2", scanKind, hangzhou, "1.0", "1.0", 1)))
	_, now := latest(t, db)
	if len(now.Owners.Largest) != 1 || now.Owners.Largest[0].Name != "blue" || now.Owners.Largest[0].Instances != 1 {
		t.Errorf("owners are %+v", now.Owners.Largest)
	}
}

// An instance that is renamed stays its owner's. Each pair of owners is counted by
// itself, and only so many of them are named; how many instances were handed over is
// told in full.
func TestHandoversAreCountedByPairsOfOwners(t *testing.T) {
	db, s := openFor(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes), "team"), newStream()
	var before, after []machine
	for i := range 52 {
		id := fmt.Sprintf("i-%02d", i)
		before, after = append(before, ownedBy(id, "a")), append(after, ownedBy(id, fmt.Sprintf("b%02d", i)))
	}
	before[1].tags[0].Value, after[1].tags[0].Value = "c", "b00" // to the same owner as the one before
	after[51].tags[0].Value = "b49"                              // as another one, and behind more than are named
	renamed := ownedBy("i-same", "a")
	before = append(before, renamed)
	renamed.name = "renamed"
	after = append(after, renamed)
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, before...)...))
	apply(t, db, s.put(whole("s2", hangzhou, 20, after...)...))
	_, now := latest(t, db)
	var want []record.Handover
	for i := range 50 {
		h := record.Handover{From: "a", To: fmt.Sprintf("b%02d", i), Instances: 1}
		switch i {
		case 1:
			h.From, h.To = "c", "b00"
		case 49:
			h.Instances = 2
		}
		want = append(want, h)
	}
	if diff := cmp.Diff(want, now.Handovers); diff != "" || now.HandedOver != 52 {
		t.Errorf("%d are handed over: %s", now.HandedOver, diff)
	}
}

// The owners of the last point are there again in the next process, before any scan ends.
func TestOwnersAreKnownInTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := openFor(t, path, newJudge("a", oldOnes), "team"), newStream()
	if db.Figures().Standings.Owners != nil {
		t.Error("an empty store has owners")
	}
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, ownedBy("i-1", "blue"), ownedBy("i-2", "red"))...))
	before := db.Figures().Standings.Owners
	if before == nil || before.Names != 2 {
		t.Fatalf("owners are %+v", before)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openFor(t, path, newJudge("a", oldOnes), "team")
	if diff := cmp.Diff(before, db.Figures().Standings.Owners); diff != "" {
		t.Errorf("opened again: %s", diff)
	}
}

// Rules that move nothing have a point, since their digest is another one, and only one
// though a change of rules has two parts; the same rules again have none, and neither has a store
// in which no scan ended. What rescans left in the journal is merged for it, which the
// next process finds so.
func TestOtherRulesHaveOnePointThoughNothingMoves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := openFor(t, path, newJudge("a", oldOnes), "team"), newStream()
	turn := func(j *judge, points int) {
		t.Helper()
		for range 2 {
			if err := db.Switch(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openFor(t, path, j, "team")
			checked(t, db)
			if _, err := db.Reclassify(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.Points(10)
		if err != nil || len(got) != points || points > 0 && got[points-1].Ruleset != j.digest {
			t.Errorf("judged by %s: %d points, want %d: %+v, %v", j.digest, len(got), points, got, err)
		}
		checked(t, db)
	}
	turn(newJudge("a", oldOnes), 0)
	turn(newJudge("b", oldOnes), 0)
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, ownedBy("i-1", "blue"))...))
	turn(newJudge("b", oldOnes), 1)
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 20, ownedBy("i-1", "red"), ownedBy("i-2", "blue"))))
	turn(newJudge("c", oldOnes), 2)
	if _, now := latest(t, db); now.Instances != 2 || now.Owners.Names != 2 || now.Kind != record.PointRules {
		t.Errorf("the point is %+v", now)
	}
	fewer := newJudge("c", oldOnes)
	fewer.targets = []string{"kvm", "shenlong-7"}
	turn(fewer, 3)
}
