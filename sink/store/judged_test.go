package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/sink/store/format"
)

// A rule set without targets judges nothing, and one of more than a class can hold is
// refused as well, wherever it is put in.
func TestTargetsAreAsManyAsMayBe(t *testing.T) {
	of := func(n int) *judge {
		j := newJudge(fmt.Sprint("of ", n), oldOnes)
		j.targets = nil
		for i := range n {
			j.targets = append(j.targets, fmt.Sprint("target-", i))
		}
		return j
	}
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8"})...))
	for n, good := range map[int]bool{0: false, 1: true, format.MaxTargets: true, format.MaxTargets + 1: false} {
		opened, opening := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: of(n)})
		if opening == nil {
			opening = opened.Close()
		}
		view, viewing := db.View(t.Context(), of(n), store.Filter{})
		if viewing == nil {
			viewing = view.Close()
		}
		_, judging := db.Reclassify(t.Context(), of(n))
		for what, err := range map[string]error{"opening": opening, "a view": viewing, "judging": judging} {
			if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "name 1 to 32") {
				t.Errorf("%s by %d targets: %v", what, n, err)
			}
		}
		if sum := db.Summary(); good && (sum.Ruleset != fmt.Sprint("of ", n) || sum.Verdicts[fmt.Sprint("target-", n-1)]["incompatible"]+sum.Verdicts[fmt.Sprint("target-", n-1)]["needs-action"] != 1) {
			t.Errorf("by %s: %v", sum.Ruleset, sum.Verdicts)
		}
	}
}

// A preview counts every instance whose verdict would move, by what it would move from and
// to, and shows as many of them as it is asked for; the store stays as it is.
func TestAPreviewShowsAsManyAsItIsAskedFor(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	before := db.Summary()
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	other.targets, other.milder = []string{"shenlong-7", "kvm", "new"}, "shenlong-7"
	for limit, want := range map[int]int{0: 0, 1: 1, 19: 19, 20: 20, 99: 20} {
		got, err := db.Preview(t.Context(), other, limit)
		if err != nil {
			t.Fatal(err)
		}
		if got.Instances != 30 || got.Changed != 20 || len(got.Examples) != want {
			t.Errorf("of at most %d: %d instances, %d would change, %d are shown", limit, got.Instances, got.Changed, len(got.Examples))
		}
		moves := map[store.ChangeKey]int{
			{Target: "shenlong-7", From: "compatible", To: "needs-action"}: 10, {Target: "shenlong-7", From: "incompatible", To: "needs-action"}: 10,
			{Target: "kvm", From: "compatible", To: "incompatible"}: 10,
		}
		if diff := cmp.Diff(moves, got.Moves); diff != "" {
			t.Error(diff)
		}
		for _, c := range got.Examples {
			if c.Before.Ruleset != "a" || c.After.Ruleset != "b" || c.Cause != "ruleset" || c.Before.Verdicts[0].Reason != "a test says so" {
				t.Errorf("%+v became %+v", c.Before, c.After)
			}
		}
	}
	if diff := cmp.Diff(before, db.Summary()); diff != "" {
		t.Error(diff)
	}
}

// What other rules move is told with the reasons of the verdicts before as long as the
// process knows them, and by the name of the rule set where it does not: never with the
// reasons of another one.
func TestVerdictsBeforeAreToldAsTheyWereJudged(t *testing.T) {
	stricter := func() *judge {
		return newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	}
	for name, c := range map[string]struct {
		between func(db *store.DB, path string) *store.DB
		reason  string
	}{
		"in one process": {func(db *store.DB, _ string) *store.DB { return db }, "a test says so"},
		"by the next process": {func(db *store.DB, path string) *store.DB {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return reopen(t, path, stricter())
		}, "judged by rule set a, which is no longer in use"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db := c.between(rejudged(t, path, newJudge("a", oldOnes)), path)
			done, err := db.Reclassify(t.Context(), stricter())
			if err != nil || len(done.Changes) != 20 {
				t.Fatalf("%d changes, %v", len(done.Changes), err)
			}
			for _, change := range done.Changes {
				before := change.Before
				if before.Ruleset != "a" || len(before.Verdicts) != 3 || before.OS.Family == "" || change.After.Verdicts[2].Reason != "a test says so" {
					t.Errorf("%+v", before)
				}
				for i, target := range []string{"kvm", "shenlong-6", "shenlong-7"} {
					want := rules.Compatible
					if before.OS.Family == "centos" {
						want = []rules.Level{rules.NeedsAction, rules.Incompatible, rules.Incompatible}[i]
					}
					if v := before.Verdicts[i]; v.Reason != c.reason || v.Target != target || v.Level != want {
						t.Errorf("%s was %+v", before.InstanceID, v)
					}
				}
			}
			point, err := db.Points(1)
			if err != nil {
				t.Fatal(err)
			}
			// On kvm ten were open that are so still, and ten come to it.
			if diff := cmp.Diff(map[string]int{"kvm": 10, "shenlong-6": 10, "shenlong-7": 10}, map[string]int{
				"kvm": point[0].Moves["kvm"].OpenedByRules, "shenlong-6": point[0].Moves["shenlong-6"].OpenedByRules, "shenlong-7": point[0].Moves["shenlong-7"].OpenedByRules,
			}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A verdict that moves on the first target alone is told like any other.
func TestAMoveOnTheFirstTargetAloneIsTold(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.Incompatible})
	other.targets = other.targets[:1]
	preview, err := db.Preview(t.Context(), other, 0)
	if err != nil || preview.Changed != 10 {
		t.Errorf("%d would change, %v", preview.Changed, err)
	}
	done, err := db.Reclassify(t.Context(), other)
	if err != nil || done.Moved != 10 || len(done.Changes) != 10 {
		t.Fatalf("%d moved, %v", done.Moved, err)
	}
	for _, change := range done.Changes {
		if change.Before.OS.Family != "debian" || change.Before.Verdicts[0].Level != rules.Compatible || change.After.Verdicts[0].Level != rules.NeedsAction {
			t.Errorf("%+v became %+v", change.Before, change.After)
		}
	}
}

// What other rules move is told in transactions of so many instances that moved, or of a
// hundred times as many that did not.
func TestAChangeOfRulesIsToldInBoundedParts(t *testing.T) {
	for name, c := range map[string]struct{ moved, still, parts int }{
		"none":                       {0, 1, 1},
		"one less than a part":       {1, 0, 1},
		"a part":                     {2, 0, 2},
		"one more":                   {3, 0, 2},
		"two parts":                  {4, 0, 3},
		"a part that did not move":   {0, 200, 2},
		"one less that did not move": {0, 199, 1},
		"one more that did not move": {0, 201, 2},
		"two parts that did not":     {0, 400, 3},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := reopen(t, path, newJudge("a", oldOnes)), newStream()
			s.now = 50
			var fleet []machine
			for i := range c.moved {
				fleet = append(fleet, machine{id: fmt.Sprintf("i-%03d", i), os: "debian 12"})
			}
			for i := range c.still {
				fleet = append(fleet, machine{id: fmt.Sprintf("j-%03d", i), os: "debian 13"})
			}
			apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 10, fleet...)))
			other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.Incompatible, "debian 7": rules.NeedsAction, "windows-server 2003": rules.Incompatible})
			if err := db.Switch(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			before := db.Stats().Commits
			done, err := db.Reclassify(t.Context(), other)
			if err != nil || done.Moved != c.moved {
				t.Errorf("%d moved, %v", done.Moved, err)
			}
			if parts := int(db.Stats().Commits - before); parts != c.parts {
				t.Errorf("%d transactions, want %d", parts, c.parts)
			}
		})
	}
}

// More profiles than one value holds are all judged, and stay so in the next process, also
// where verdicts are numbered otherwise than before.
func TestManyProfilesAreAllJudgedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db, s := open(t, path, waiving), newStream()
	s.now = 50
	stricter := newJudge("b", map[string]rules.Level{})
	// Its waived verdict has a number of its own, which other rules do not give.
	fleet := []machine{{id: "a-000", os: "debian 7", tags: tags("waive", "yes")}}
	for i := range 2*format.MaxChunk + 10 {
		os := fmt.Sprint("suse ", i)
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%03d", i), os: os})
		if i%3 == 0 {
			stricter.old[os] = rules.Incompatible
		}
	}
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 10, fleet...)))
	done, err := db.Reclassify(t.Context(), stricter)
	if err != nil || done.Moved != len(stricter.old) {
		t.Errorf("%d of %d moved, %v", done.Moved, len(stricter.old), err)
	}
	checked(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, stricter)
	if n := db.Summary().Verdicts["shenlong-7"]["incompatible"]; n != len(stricter.old) || db.NeedsReclassify() {
		t.Errorf("%d are incompatible in the next process, of %d", n, len(stricter.old))
	}
	for _, r := range all(t, db, store.Filter{}) {
		if (r.Verdicts[2].Level == rules.Incompatible) != (stricter.old[r.OS.Family+" "+r.OS.Version] == rules.Incompatible) {
			t.Errorf("%s with %s is %s", r.InstanceID, r.OS.Version, r.Verdicts[2].Level)
		}
	}
}

// Where systems were forgotten, those that came later are judged anew like all others, and
// what moved of them is told.
func TestWhatStandsBehindForgottenSystemsIsJudgedAnew(t *testing.T) {
	path := profiled(t, 10, 2*format.MaxChunk)
	db := open(t, path, newJudge("a", oldOnes)) // which forgets
	s := &stream{id: t0, seq: 1_000_000, now: 100}
	apply(t, db, s.put(page("r3", rescanKind, hangzhou, "1.0", "1.0", 0, 30, machine{id: "i-0001", os: "debian 12"})))
	if n := db.Profiles(); n != 11 {
		t.Fatalf("%d systems", n)
	}
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})
	done, err := db.Reclassify(t.Context(), other)
	if err != nil || done.Moved != 1 || len(done.Changes) != 1 {
		t.Fatalf("%d moved, %v", done.Moved, err)
	}
	if change := done.Changes[0]; change.Before.Verdicts[2].Level != rules.Compatible || change.After.Verdicts[2].Level != rules.Incompatible || change.After.InstanceID != "i-0001" {
		t.Errorf("%+v became %+v", change.Before, change.After)
	}
	checked(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, other)
	if got := db.Summary(); got.Verdicts["shenlong-7"]["incompatible"] != 1 || got.Verdicts["shenlong-7"]["compatible"] != got.Instances-1 || db.NeedsReclassify() {
		t.Errorf("the next process counts %v", got.Verdicts["shenlong-7"])
	}
	if got := all(t, db, store.Filter{Verdict: "incompatible"}); len(got) != 1 || got[0].InstanceID != "i-0001" {
		t.Errorf("incompatible are %q", lines(got))
	}
}

// What was judged before, and is not told to its end, must fit what is stored: where it
// does not, that is damage, and nothing is told that was not so.
func TestWhatWasJudgedBeforeMustFit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := rejudged(t, path, newJudge("a", oldOnes))
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	if err := db.TurnAlone(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	base := compacted(t, db)
	for name, damage := range map[string]func(tx *bbolt.Tx, before part){
		"nothing of it": func(tx *bbolt.Tx, _ part) {
			if err := tx.DeleteBucket([]byte("before")); err != nil {
				t.Fatal(err)
			}
		},
		"no classes": func(_ *bbolt.Tx, before part) {
			k, _ := before.first()
			before.drop(k)
			k, _ = before.first()
			before.drop(k)
		},
		"one class less": func(_ *bbolt.Tx, before part) {
			cursor := before.Cursor()
			cursor.Seek([]byte{'p'})
			k, _ := cursor.Prev()
			before.drop(k)
		},
		"a class that is none": func(_ *bbolt.Tx, before part) { k, _ := before.first(); before.put(k, format.Sealed("none")) },
		"profiles that are none": func(_ *bbolt.Tx, before part) {
			k, _ := before.Cursor().Seek([]byte{'p'})
			before.put(k, format.Sealed("none"))
		},
		"profiles that are missing": func(_ *bbolt.Tx, before part) {
			k, _ := before.Cursor().Seek([]byte{'p'})
			before.drop(k)
		},
		"a profile that was none": func(_ *bbolt.Tx, before part) {
			k, v := before.Cursor().Seek([]byte{'p'})
			list, err := format.ReadProfiles(v, nil)
			if err != nil {
				t.Fatal(err)
			}
			list[0].Class = format.NoClass
			before.put(k, format.ProfilesValue(list))
		},
		"profiles of no number": func(_ *bbolt.Tx, before part) { before.renamed([]byte{'p', 0, 1}) },
		"profiles of too large a number": func(_ *bbolt.Tx, before part) {
			before.renamed(append([]byte{'p'}, format.Key32(format.MaxProfile/format.MaxChunk+1)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := reopen(t, changed(t, base, func(tx *bbolt.Tx) { damage(tx, part{tx.Bucket([]byte("before")), t}) }), other)
			if _, err := db.Reclassify(t.Context(), other); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			if events, err := db.Outbox(0, 100); err != nil || len(events) != 0 {
				t.Errorf("%d events are told, %v", len(events), err)
			}
		})
	}
	// Without damage it is told.
	whole := reopen(t, changed(t, base, func(*bbolt.Tx) {}), other)
	if done, err := whole.Reclassify(t.Context(), other); err != nil || done.Moved != 20 {
		t.Errorf("%d moved, %v", done.Moved, err)
	}
}
