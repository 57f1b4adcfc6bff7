package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// A page of a listing by id, or by a class that many instances have, is read from the few
// blocks in which it stands: of a large fleet the first page of either comes at once. Any other
// reads each row once.
func TestAPageIsReadFromFewBlocks(t *testing.T) {
	const n, few = 2000, 500 // eight blocks, and two
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("b", map[string]rules.Level{"aix 1": rules.Incompatible, "centos 5.8": rules.Incompatible})), newStream()
	var fleet []machine
	for i := range n {
		m := machine{id: fmt.Sprintf("i-%04d", i), os: []string{"centos 5.8", "debian 12"}[i%2]}
		if i < 80 {
			m.os = "aix 1"
		}
		fleet = append(fleet, m)
	}
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	view := viewOf(t, db, store.Filter{})
	place := func(value string, i int) *store.Place {
		return &store.Place{Value: value, Account: hangzhou.Account, Region: hangzhou.Region, InstanceID: fleet[i].id}
	}
	byID, byClass := store.Sort{By: store.SortByID}, store.Sort{By: store.SortByClass, Class: worstFirst}
	idDown, classDown, classBack := byID, byClass, byClass
	idDown.Down, classDown.Down, classBack.Back = true, true, true
	for name, c := range map[string]struct {
		by    store.Sort
		after *store.Place
		limit int
		first int // place in the fleet of the first one
		most  int // rows read
		least int
	}{
		"by id":                                   {byID, nil, 50, 0, few, 200},
		"by id, from the middle":                  {byID, place("i-1234", 1234), 50, 1235, few, 200},
		"by id, from before the first":            {byID, place("", 0), 50, 0, few, 200},
		"by id, the last ones":                    {byID, place("i-1997", 1997), 50, 1998, few, 1},
		"by id, downwards":                        {idDown, nil, 50, n - 1, n, n},
		"by key":                                  {store.Sort{By: store.SortByKey}, place("", 1234), 50, 1235, few, 50},
		"by name":                                 {store.Sort{By: store.SortByName}, nil, 50, 0, n, n},
		"by class, four times as many as a page":  {byClass, nil, 20, 0, few, 80},
		"by class, fewer":                         {byClass, nil, 21, 0, n, n},
		"by class, from the middle of many":       {byClass, place("6centos", 1000), 50, 1002, few, 100},
		"by class, behind the last of few":        {byClass, place("6aix", 79), 50, 80, n, n},
		"by class, downwards":                     {classDown, nil, 50, 81, few, 100},
		"by class, backwards":                     {classBack, nil, 50, n - 1, n, n},
		"by class, the last of many fill no page": {byClass, place("6centos", 1980), 50, 1982, 2 * n, n},
	} {
		got, rows, err := view.SortedReading(t.Context(), c.by, c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || got[0].Record.InstanceID != fleet[c.first].id || rows > c.most || rows < c.least {
			t.Errorf("%s: %d rows are read, want %d to %d; the page begins with %v", name, rows, c.least, c.most, got[:min(len(got), 1)])
		}
	}
}

// What stands before a place is listed from it on backwards: a page before is the page
// that was there, turned round.
func TestWhatStandsBeforeAPlaceIsTheListingBackwards(t *testing.T) {
	db := mixedStore(t, newJudge("a", oldOnes), 60)
	view := viewOf(t, db, store.Filter{})
	orders := sortings()
	orders["key"] = struct {
		by    store.Sort
		value func(*record.Record) string
	}{store.Sort{By: store.SortByKey}, func(*record.Record) string { return "" }}
	for order, c := range orders {
		for _, down := range []bool{false, true} {
			c.by.Down = down
			whole, err := view.Sorted(t.Context(), c.by, nil, 10_000)
			if err != nil || len(whole) < 150 {
				t.Fatal(len(whole), err)
			}
			back := c.by
			back.Back = true
			for _, at := range []int{0, 1, 5, 70, len(whole) - 1} {
				for _, limit := range []int{2, 13} {
					got, err := view.Sorted(t.Context(), back, &whole[at].Place, limit)
					if err != nil {
						t.Fatal(err)
					}
					want := slices.Clone(whole[max(0, at-limit):at])
					slices.Reverse(want)
					if !slices.EqualFunc(got, want, func(a, b store.Placed) bool { return a.Place == b.Place }) {
						t.Errorf("by %s, down %t: before the place %d stand %d, want %d, or in another order", order, down, at, len(got), len(want))
					}
				}
			}
		}
	}
}

// Where instances that are gone are listed too, they stand in their place, though what
// is counted by class does not count them.
func TestWhatIsGoneStandsInItsPlaceToo(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	fleet := []machine{{id: "i-00", os: "centos 5.8"}}
	for i := range 20 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%02d", i+1), os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	apply(t, db, s.put(whole("s2", hangzhou, 20, fleet[1:]...)...))
	by := store.Sort{By: store.SortByClass, Class: worstFirst}
	for gone, want := range map[bool]string{true: "i-00", false: "i-01"} {
		got, err := viewOf(t, db, store.Filter{Gone: gone}).Sorted(t.Context(), by, nil, 3)
		if err != nil || len(got) != 3 || got[0].Record.InstanceID != want {
			t.Errorf("gone %t: the first is not %s, %v", gone, want, err)
		}
	}
}

// A page has one instance at least and 10,000 at most, whatever is asked for.
func TestAPageHoldsAtLeastOneInstance(t *testing.T) {
	view := viewOf(t, mixedStore(t, newJudge("a", oldOnes), 20), store.Filter{})
	for order, c := range sortings() {
		for limit, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2} {
			got, err := view.Sorted(t.Context(), c.by, nil, limit)
			if err != nil || len(got) != want {
				t.Errorf("by %s, at most %d: %d, %v", order, limit, len(got), err)
			}
		}
	}
}
