package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// worstFirst sorts by what a machine could do on the last target.
func worstFirst(c *store.Class) string { return fmt.Sprint(9-int(c.Levels["shenlong-7"]), c.OSFamily) }

func worstFirstOf(r *record.Record) string {
	return worstFirst(&store.Class{OSFamily: r.OS.Family, Levels: map[string]rules.Level{"shenlong-7": r.Verdicts[2].Level}})
}

// sortings are the orders, and the value of a record in each.
func sortings() map[string]struct {
	by    store.Sort
	value func(*record.Record) string
} {
	return map[string]struct {
		by    store.Sort
		value func(*record.Record) string
	}{
		"id":    {store.Sort{By: store.SortByID}, func(r *record.Record) string { return r.InstanceID }},
		"name":  {store.Sort{By: store.SortByName}, func(r *record.Record) string { return r.InstanceName[:min(128, len(r.InstanceName))] }},
		"type":  {store.Sort{By: store.SortByType}, func(r *record.Record) string { return r.InstanceType }},
		"class": {store.Sort{By: store.SortByClass, Class: worstFirst}, worstFirstOf},
	}
}

// mixedStore holds three scopes with gone instances, a scan that is half
// through, waived instances, and names that are equal, long and not text.
func mixedStore(t *testing.T, j *judge, perScope int) *store.DB {
	t.Helper()
	r := rand.New(rand.NewPCG(7, uint64(perScope)))
	db := open(t, filepath.Join(t.TempDir(), "store.db"), j)
	s := newStream()
	s.now = 5000
	scopes := []ecs.Scope{hangzhou, {Account: "prod", Region: "cn-beijing"}, {Account: "test", Region: "cn-beijing"}}
	for i, sc := range scopes {
		fleet := fleetOf(r, perScope)
		for k := range fleet {
			fleet[k].name = []string{"web", "WEB-1", "网站", strings.Repeat("long", 60), "\xff\xfe", fleet[k].id}[r.IntN(6)]
			if r.IntN(5) == 0 {
				fleet[k].tags = []ecs.Tag{{Key: "waive", Value: "yes"}}
			}
			if k%7 == 0 {
				fleet[k].id = fmt.Sprint("i-same-", k) // in every scope
			}
		}
		apply(t, db, s.put(whole(fmt.Sprint("a", i), sc, 100, fleet...)...))
		apply(t, db, s.put(whole(fmt.Sprint("b", i), sc, 1000, fleet[:perScope-perScope/10]...)...)) // the others are gone
		id := fmt.Sprint("c", i)
		apply(t, db, s.put(planned(id, event.KindScan, 2000, sc), scopePlanned(id, event.KindScan, sc, "1", "1.0")))
		part := append(fleetOf(r, perScope/5), fleet[:perScope/3]...)
		for k := range part {
			if r.IntN(4) == 0 {
				part[k].os, part[k].name = "debian 7", "renamed"
			}
		}
		apply(t, db, s.put(page(id, event.KindScan, sc, "1.0", "1.0", 0, 2001, part...)))
	}
	return db
}

func TestSortedPagesAreTheSortedWhole(t *testing.T) {
	t.Parallel()
	yes := true
	filters := map[string]store.Filter{
		"all": {}, "gone_too": {Gone: true}, "one_region": {Account: "prod", Region: "cn-beijing"}, "query": {Query: "web"},
		"verdict": {Target: "shenlong-7", Verdict: "incompatible"}, "any_verdict": {Verdict: "compatible"}, "legacy": {Legacy: &yes},
		"system": {OSFamily: "debian", OSVersion: "7"}, "since": {ObservedSince: at(1500)}, "nothing": {OSFamily: "none"},
	}
	for _, waivers := range []bool{false, true} {
		j := newJudge("a", oldOnes)
		if waivers {
			j.waive, j.until = map[string]string{"waive": "yes"}, "2026-12-31"
		}
		db := mixedStore(t, j, 150)
		for name, f := range filters {
			recs := listed(t, db, f)
			for order, s := range sortings() {
				for _, down := range []bool{false, true} {
					want := sortedWhole(recs, s.value, down)
					if len(want) == 0 && name != "nothing" {
						t.Fatalf("the filter %s lets nothing through", name)
					}
					for _, limit := range []int{13, 200} {
						t.Run(fmt.Sprintf("waivers=%v/%s/%s/down=%v/%d", waivers, name, order, down, limit), func(t *testing.T) {
							s.by.Down = down
							if got := paged(t, db, f, s.by, limit); !slices.Equal(got, want) {
								t.Errorf("%d instances came page by page, %d as a whole, or in another order", len(got), len(want))
							}
						})
					}
				}
			}
		}
	}
}

func keyText(r *record.Record) string {
	return r.Account + "/" + r.Region + "/" + r.InstanceID
}

func listed(t *testing.T, db *store.DB, f store.Filter) (recs []*record.Record) {
	t.Helper()
	for r, err := range db.Instances(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, r)
	}
	return recs
}

// sortedWhole puts recs into an order and names them.
func sortedWhole(recs []*record.Record, value func(*record.Record) string, down bool) []string {
	slices.SortFunc(recs, func(a, b *record.Record) int {
		by := cmp.Compare(value(a), value(b))
		if down {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
	})
	var out []string
	for _, r := range recs {
		out = append(out, keyText(r))
	}
	return out
}

func paged(t *testing.T, db *store.DB, f store.Filter, by store.Sort, limit int) []string {
	t.Helper()
	var out []string
	for after := (*store.Place)(nil); ; {
		got, err := db.Sorted(t.Context(), f, by, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			out = append(out, keyText(p.Record))
		}
		if len(got) < limit {
			return out
		}
		after = &got[limit-1].Place
	}
}

// While a scan writes, pages neither repeat an instance nor leave one out.
func TestSortedPagesHoldWhileAScanWrites(t *testing.T) {
	t.Parallel()
	const n = 3000
	j := newJudge("a", oldOnes)
	db := open(t, filepath.Join(t.TempDir(), "store.db"), j)
	s := newStream()
	fleet := fleetOf(rand.New(rand.NewPCG(1, 2)), n)
	s.now = 5000
	apply(t, db, s.put(whole("a", hangzhou, 100, fleet...)...))
	for order, c := range sortings() {
		t.Run(order, func(t *testing.T) {
			scan := "scan-" + order
			s.now += 1000
			apply(t, db, s.put(planned(scan, event.KindScan, s.now, hangzhou), scopePlanned(scan, event.KindScan, hangzhou, "1", "1.0")))
			seen := map[string]int{}
			pages := 0
			for after := (*store.Place)(nil); ; pages++ {
				got, err := db.Sorted(t.Context(), store.Filter{}, c.by, after, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range got {
					seen[p.Record.InstanceID]++
				}
				if len(got) < 100 {
					break
				}
				after = &got[99].Place
				from := pages * 100
				apply(t, db, s.put(page(scan, event.KindScan, hangzhou, "1.0", "1.0", pages, s.now+1, fleet[from:min(from+100, n)]...)))
			}
			apply(t, db, s.put(laneEnded(scan, event.KindScan, hangzhou, "1.0", "1.0", pages)))
			for id, times := range seen {
				if times != 1 {
					t.Errorf("%s came %d times", id, times)
				}
			}
			if len(seen) != n {
				t.Errorf("%d instances came, want %d", len(seen), n)
			}
		})
	}
}

func BenchmarkSorted(b *testing.B) {
	n := benchRows(b)
	f := newBenchFleet(n)
	db := open(b, filepath.Join(b.TempDir(), "store.db"), newJudge("a", oldOnes))
	measured(b, db, f, "first")
	for order, s := range sortings() {
		for _, down := range []bool{false, true} {
			for _, q := range []string{"", "web-ab", "nothing like it"} {
				b.Run(fmt.Sprintf("%s/down=%v/q=%s", order, down, q), func(b *testing.B) {
					s.by.Down = down
					for b.Loop() {
						if _, err := db.Sorted(b.Context(), store.Filter{Query: q}, s.by, nil, 51); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
