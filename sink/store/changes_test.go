package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// changes spells what the store says to have changed since second n.
func changes(t *testing.T, db *store.DB, n int64) []string {
	t.Helper()
	var out []string
	for m, err := range db.ChangesSince(t.Context(), at(n)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %s os=%q->%q %s->%s at %d", m.InstanceID, m.InstanceName, m.Cause, m.OSBefore, m.OS, m.Before["shenlong-7"], m.After["shenlong-7"], m.At.Unix()-at(0).Unix()))
	}
	return out
}

func TestChangesSinceTellsWhatAppearedChangedAndWent(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	steady, moves, goes := machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "centos 5.8"}, machine{id: "i-3", os: "debian 12"}
	apply(t, db, s.put(whole("s1", hangzhou, 100, steady, moves, goes)...))
	if got := changes(t, db, 0); got != nil {
		t.Errorf("the first reading of a scope is news: %v", got)
	}
	moves.os = "debian 12"
	apply(t, db, s.put(whole("s2", hangzhou, 200, steady, moves, machine{id: "i-4", os: "centos 5.8"})...))
	got := changes(t, db, 150)
	if diff := cmp.Diff([]string{
		`i-2 name of i-2 observation os="centos 5.8"->"debian 12" incompatible->compatible at 201`,
		`i-3 name of i-3 gone os=""->"debian 12" compatible-> at 200`,
		`i-4 name of i-4 appeared os=""->"centos 5.8" ->incompatible at 201`,
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(got, changes(t, db, 100)); diff != "" {
		t.Error(diff)
	}
	if late := changes(t, db, 100_000); late != nil {
		t.Errorf("changes of the future: %v", late)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range db.ChangesSince(ctx, at(0)) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

// Other rules take effect behind the last message, at its time: who asks what changed since
// then is told what they moved, and not what that message itself said.
func TestWhatRulesMovedIsToldSinceTheMessageBefore(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 201
	moves, still := machine{id: "i-moves", os: "debian 12"}, machine{id: "i-still", os: "debian 13"}
	apply(t, db, s.put(whole("s1", hangzhou, 100, moves, machine{id: "i-still", os: "centos 5.8"})...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, moves, still)...))
	if _, err := db.Reclassify(t.Context(), newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})); err != nil {
		t.Fatal(err)
	}
	for since, want := range map[int64][]string{
		200: {
			`i-moves name of i-moves ruleset os=""->"debian 12" compatible->incompatible at 201`,
			`i-still name of i-still observation os="centos 5.8"->"debian 13" incompatible->compatible at 201`,
		},
		201: {`i-moves name of i-moves ruleset os=""->"debian 12" compatible->incompatible at 201`},
		202: nil,
	} {
		if diff := cmp.Diff(want, changes(t, db, since)); diff != "" {
			t.Errorf("since %d: %s", since, diff)
		}
	}
}

// Who asks for one region is told of its changes, whatever stands before it, and of no
// other's.
func TestChangesOfOneRegionAreToldAlone(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 1000
	for i, scope := range []ecs.Scope{hangzhou, beijing, {Account: "prod", Region: "cn-shenzhen"}} {
		id := "i-" + scope.Region
		apply(t, db, s.put(whole(fmt.Sprint("s", i, "a"), scope, 100, machine{id: id, os: "centos 5.8"})...))
		apply(t, db, s.put(whole(fmt.Sprint("s", i, "b"), scope, 200, machine{id: id, os: "debian 12"})...))
	}
	view, err := db.View(t.Context(), nil, store.Filter{Region: "cn-hangzhou"}) // the second of them
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var got []string
	for moved, err := range view.ChangesSince(t.Context(), at(150)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, moved.InstanceID)
	}
	if diff := cmp.Diff([]string{"i-cn-hangzhou"}, got); diff != "" {
		t.Error(diff)
	}
}

// What is listed of a scan adds up to what the scan counted, whatever others found
// before and after it.
func TestChangesOfAScanAddUpToItsCounts(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	fleet := func(os string, ids ...int) (out []machine) {
		for _, id := range ids {
			out = append(out, machine{id: fmt.Sprintf("i-%d", id), os: os})
		}
		return out
	}
	old, modern := "centos 5.8", "debian 12"
	apply(t, db, s.put(whole("s1", hangzhou, 100, append(fleet(old, 1, 2, 3, 4), fleet(modern, 5, 6)...)...)...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, append(fleet(modern, 1, 2, 5), fleet(old, 3, 7)...)...)...)) // 1, 2 changed; 7 new; 4, 6 gone
	apply(t, db, s.put(whole("s3", hangzhou, 300, append(fleet(old, 1, 2, 3, 6), fleet(modern, 5, 8)...)...)...))
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	for id, want := range map[string]map[string]int{
		"s1": {}, "s2": {"observation": 2, "appeared": 1, "gone": 2}, "s3": {"observation": 2, "appeared": 1, "gone": 1, "returned": 1},
	} {
		scan, err := view.Scan(id)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for moved, err := range view.ChangesOf(t.Context(), scan) {
			if err != nil || moved.ScanID != id {
				t.Fatalf("%s: %+v, %v", id, moved, err)
			}
			got[moved.Cause]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		if id != "s1" && (scan.Changed != got["observation"] || scan.New != got["appeared"] || scan.Gone != got["gone"]) {
			t.Errorf("%s counted %d changed, %d new, %d gone; listed are %v", id, scan.Changed, scan.New, scan.Gone, got)
		}
	}
}

func TestChangesSinceReadsAHistoryOfManyChunksOnce(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-0", os: "debian 12"})...))
	fleet := []machine{{id: "i-0", os: "debian 12"}}
	for i := range 9000 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%05d", i+1), os: "debian 12"})
	}
	apply(t, db, s.put(whole("s2", hangzhou, 200, fleet...)...))
	seen := map[string]bool{}
	for m, err := range db.ChangesSince(t.Context(), at(150)) {
		if err != nil || m.Cause != "appeared" || seen[m.InstanceID] {
			t.Fatalf("%+v, %v", m, err)
		}
		seen[m.InstanceID] = true
	}
	if len(seen) != 9000 {
		t.Errorf("%d changes, want 9000", len(seen))
	}
}

// An entry of the history that cannot be read is an error: were it taken for an old one,
// what changed would be left out and nobody told.
func TestADamagedHistoryIsNamed(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "centos 5.8"})...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, machine{id: "i-1", os: "debian 12"})...))
	base := compacted(t, db)
	for name, damage := range map[string]func(part){
		"a value that is cut short": func(p part) { k, v := p.first(); p.put(k, v[:len(v)-1]) },
		"a value of another byte": func(p part) {
			k, v := p.first()
			v = slices.Clone(v)
			v[len(v)-1] ^= 1
			p.put(k, v)
		},
		"a time that is none":          func(p part) { p.text(`{"at":"2`, `{"at":"x`) },
		"a key without a whole number": func(p part) { k, _ := p.first(); p.renamed(k[:12]) },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, changed(t, base, func(tx *bbolt.Tx) { damage(part{tx.Bucket([]byte("history")), t}) }), newJudge("a", oldOnes))
			var got error
			for moved, err := range db.ChangesSince(t.Context(), at(150)) {
				if got = err; err == nil {
					t.Errorf("%+v", moved)
				}
			}
			if !errors.Is(got, store.ErrCorrupt) {
				t.Errorf("got %v", got)
			}
		})
	}
	if got := changes(t, open(t, changed(t, base, func(*bbolt.Tx) {}), newJudge("a", oldOnes)), 150); len(got) != 1 {
		t.Errorf("without damage: %q", got)
	}
}
