package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// freshWith is a new store with options.
func freshWith(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	o.Path, o.Classifier = filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync()
	t.Cleanup(func() { db.Close() })
	return db
}

func idsOf(t *testing.T, db *store.DB) (out []string) {
	t.Helper()
	for _, r := range all(t, db, store.Filter{}) {
		out = append(out, r.InstanceID)
	}
	return out
}

func checked(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A message of which nothing can be kept is counted as such, once, and changes nothing.
func TestEachMessageThatCannotBeKeptIsCounted(t *testing.T) {
	long := strings.Repeat("x", 201)
	nowhere := ecs.Scope{Account: "prod", Region: long}
	lost := refused("denied")
	many := make([]string, 20_001)
	for i := range many {
		many[i] = fmt.Sprint("i-", i)
	}
	asked := func(n int) *event.ScanPlanned {
		m := planned("r1", rescanKind, 10, hangzhou)
		m.InstanceIDs = many[:n]
		return m
	}
	answered := func(found, not, unread int) *event.LaneEnded {
		return &event.LaneEnded{
			ScanID: "r1", Kind: rescanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0",
			Found: many[:found], NotFound: many[:not], NotRead: many[:unread],
		}
	}
	for name, c := range map[string]struct {
		message event.Message
		want    int
	}{
		"a plan":                                {planned("s1", scanKind, 10, hangzhou), 0},
		"a plan of no scan":                     {planned("", scanKind, 10, hangzhou), 1},
		"a plan of a kind that is none":         {planned("s1", "other", 10, hangzhou), 1},
		"a plan of a scan with no name":         {planned(long, rescanKind, 10, hangzhou), 1},
		"a plan with a region that has no name": {planned("s1", scanKind, 10, nowhere), 1},
		"as many instances as may be asked":     {asked(20_000), 0},
		"one more":                              {asked(20_001), 1},
		"lanes of no scan":                      {scopePlanned(long, scanKind, hangzhou, "1", "1.0"), 1},
		"lanes of no region":                    {scopePlanned("s1", scanKind, nowhere, "1", "1.0"), 1},
		"no lanes":                              {scopePlanned("s1", scanKind, hangzhou, "1"), 1},
		"the end of a lane":                     {laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 0), 0},
		"the end of a lane of no region":        {laneEnded("s1", scanKind, nowhere, "1.0", "1.0", 0), 1},
		"as many answers as may be":             {answered(10_000, 5_000, 5_000), 0},
		"one more that was found":               {answered(10_001, 5_000, 5_000), 1},
		"one more that was not":                 {answered(10_000, 5_001, 5_000), 1},
		"one more that was not read":            {answered(10_000, 5_000, 5_001), 1},
		"a failure":                             {&event.ScopeFailed{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Failure: lost}, 0},
		"a failure of no region":                {&event.ScopeFailed{ScanID: "s1", Kind: scanKind, Scope: nowhere, Failure: lost}, 1},
		"a lost page":                           {&event.PageFailed{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Failure: lost}, 0},
		"a lost page of no region":              {&event.PageFailed{ScanID: "s1", Kind: scanKind, Scope: nowhere, Lane: "1.0", Walk: "1.0", Failure: lost}, 1},
		"a lost page of no number":              {&event.PageFailed{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Page: -1, Failure: lost}, 1},
		"a page of no region":                   {page("s1", scanKind, nowhere, "1.0", "1.0", 0, 10), 1},
		"a page of no account":                  {page("s1", scanKind, ecs.Scope{Region: "cn-hangzhou"}, "1.0", "1.0", 0, 10), 1},
		"a page of no scan":                     {page("", scanKind, hangzhou, "1.0", "1.0", 0, 10), 1},
		"a page of no number":                   {page("s1", scanKind, hangzhou, "1.0", "1.0", -1, 10), 1},
		"an answer of no region":                {&event.ScopeChecked{ScanID: "s1", Kind: scanKind, Scope: nowhere}, 1},
		"the end of no scan":                    {&event.ScanAborted{Kind: scanKind}, 1},
		"what is no result":                     {&event.ScanRequested{ScanID: "s1", Kind: scanKind}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 20
			if got := apply(t, db, s.put(c.message)); got.Invalid != c.want {
				t.Errorf("%d are invalid, want %d", got.Invalid, c.want)
			}
			if c.want == 0 {
				return
			}
			// What comes behind it is taken.
			apply(t, db, s.put(whole("s9", hangzhou, 15, machine{id: "i-1"})...))
			if n := db.Summary().Instances; n != 1 {
				t.Errorf("%d instances", n)
			}
			checked(t, db)
		})
	}
}

// A batch is committed in parts of about TxRows rows: whoever is stopped between two
// keeps what was committed, and begins after it.
func TestABatchIsCommittedInParts(t *testing.T) {
	db := freshWith(t, store.Options{TxRows: 4})
	s := newStream()
	s.now = 100
	var messages []event.Message
	for n := range 6 {
		messages = append(messages, page("s1", scanKind, hangzhou, "1.0", "1.0", n, 50, machine{id: fmt.Sprint("i-", n)}, machine{id: fmt.Sprint("j-", n)}))
	}
	batch := s.put(messages...)
	if got, err := db.Apply(cut(t, 2), batch); !errors.Is(err, context.Canceled) || db.Position() != batch[3].Position || got.New != 8 {
		t.Fatalf("at %v: %+v, %v", db.Position(), got, err)
	}
	if got, err := db.Apply(t.Context(), batch); err != nil || got.Skipped != 4 || got.New != 4 {
		t.Errorf("again: %+v, %v", got, err)
	}
	if got, err := db.Apply(t.Context(), batch); err != nil || got.Skipped != 6 || got.Rows != 0 {
		t.Errorf("once more: %+v, %v", got, err)
	}
	if got, err := db.Apply(t.Context(), append(s.put(page("s1", scanKind, hangzhou, "1.0", "1.0", 6, 50, machine{id: "i-7"})), batch[2])); err != nil || got.Skipped != 1 || got.New != 1 {
		t.Errorf("one that is known behind one that is not: %+v, %v", got, err)
	}
	if got, err := db.Apply(t.Context(), append(batch[2:3:3], s.put(page("s1", scanKind, hangzhou, "1.0", "1.0", 7, 50, machine{id: "i-8"}))...)); err != nil || got.Skipped != 1 || got.New != 1 {
		t.Errorf("one that is known before one that is not: %+v, %v", got, err)
	}
}

// A verdict that stayed is not counted as one that changed, and one for a target that
// was not judged before is none that changed either.
func TestOnlyVerdictsThatChangedAreCounted(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 7"})...))
	s.now = 150
	apply(t, db, s.put(whole("s2", hangzhou, 110, machine{id: "i-1", os: "centos 5.8"})...))
	want := map[store.ChangeKey]uint64{{Target: "shenlong-6", From: "needs-action", To: "incompatible"}: 1, {Target: "shenlong-7", From: "needs-action", To: "incompatible"}: 1}
	if diff := cmp.Diff(want, db.Stats().Changes); diff != "" {
		t.Error(diff)
	}
	more := newJudge("b", nil)
	more.targets = []string{"kvm", "shenlong-7", "shenlong-8"}
	if _, err := db.Reclassify(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	want[store.ChangeKey{Target: "kvm", From: "needs-action", To: "compatible"}]++
	want[store.ChangeKey{Target: "shenlong-7", From: "incompatible", To: "compatible"}]++
	if diff := cmp.Diff(want, db.Stats().Changes); diff != "" {
		t.Error(diff)
	}
}

// However many parts a batch has, no more than a thousand of its changes are returned.
func TestAThousandChangesAreReturned(t *testing.T) {
	db := freshWith(t, store.Options{TxRows: 600})
	s := newStream()
	s.now = 500
	fleet := func(scan string, seconds int64, os string) (out []event.Message) {
		for p := range 4 {
			machines := make([]machine, 600)
			for i := range machines {
				machines[i] = machine{id: fmt.Sprintf("i-%d-%03d", p, i), os: os}
			}
			out = append(out, page(scan, scanKind, hangzhou, "1.0", "1.0", p, seconds, machines...))
		}
		return out
	}
	apply(t, db, s.put(fleet("s1", 100, "debian 12")...))
	if got := apply(t, db, s.put(fleet("s2", 200, "centos 5.8")...)); got.Moved != 2400 || len(got.Changes) != 1000 {
		t.Errorf("%d moved, and %d of them are returned", got.Moved, len(got.Changes))
	}
}

// The index of the region that was used longest ago leaves memory first, and only where
// the others are too many; what a scan has seen of the region is not lost with it.
func TestIndexesLeaveMemoryInTheOrderOfTheirUse(t *testing.T) {
	db := freshWith(t, store.Options{IndexRows: 3})
	s := newStream()
	s.now = 1000
	var scopes []ecs.Scope
	for _, region := range []string{"a", "b", "c", "d", "e"} {
		scopes = append(scopes, ecs.Scope{Account: "prod", Region: region})
	}
	apply(t, db, s.put(planned("s1", scanKind, 10, scopes...)))
	for n, step := range []struct {
		region int
		want   string
	}{
		{0, "a"}, {1, "a b"}, {2, "a b c"}, {0, "a b c"}, {3, "a c d"}, {0, "a c d"}, {4, "a d e"}, {1, "a b e"}, {2, "b c e"}, {3, "b c d"}, {0, "a c d"},
	} {
		apply(t, db, s.put(page("s1", scanKind, scopes[step.region], "1.0", "1.0", n, 20+int64(n), machine{id: "i-" + scopes[step.region].Region})))
		if got := strings.Join(db.InMemory(), " "); got != step.want {
			t.Fatalf("step %d: %s are in memory, want %s", n, got, step.want)
		}
	}
	got, err := db.Scan("s1")
	if err != nil || got.Instances != 5 {
		t.Errorf("%d instances, %v", got.Instances, err)
	}
}

// What one scan has seen of a region is not forgotten when the end of another writes
// the region anew: an instance that it sees again is one instance.
func TestWhatAScanHasSeenOutlivesTheEndOfAnother(t *testing.T) {
	for name, between := range map[string]func(*store.DB, *stream){
		"at once": func(*store.DB, *stream) {},
		"after the index was read again": func(db *store.DB, s *stream) {
			apply(t, db, s.put(page("s3", scanKind, ecs.Scope{Account: "prod", Region: "other"}, "1.0", "1.0", 0, 30, machine{id: "i-other"})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := freshWith(t, store.Options{IndexRows: 1})
			s := newStream()
			s.now = 100
			machines := []machine{{id: "i-3"}, {id: "i-1"}, {id: "i-2"}}
			apply(t, db, s.put(planned("s2", scanKind, 20, hangzhou), scopePlanned("s2", scanKind, hangzhou, "1", "1.0"),
				page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 21, machines[:2]...)))
			apply(t, db, s.put(whole("s1", hangzhou, 10, append([]machine{{id: "i-0"}}, machines...)...)...))
			between(db, s)
			apply(t, db, s.put(page("s2", scanKind, hangzhou, "1.0", "1.1", 0, 22, machines...)))
			if got, err := db.Scan("s2"); err != nil || got.Instances != 3 {
				t.Errorf("%d instances, %v", got.Instances, err)
			}
			between(db, s)
			apply(t, db, s.put(page("s2", scanKind, hangzhou, "1.0", "1.1", 1, 23, machine{id: "i-2"}, machine{id: "i-4"})))
			if got, err := db.Scan("s2"); err != nil || got.Instances != 4 {
				t.Errorf("%d instances, %v", got.Instances, err)
			}
		})
	}
}

// The store's time is the broker's: it goes back where that was corrected, and not for
// messages that overtook each other, or that have no time.
func TestTheStoresTimeIsTheBrokers(t *testing.T) {
	for name, c := range map[string]struct{ stored, want int64 }{
		"later":                   {1001, 1001},
		"overtaken":               {996, 1000},
		"as far as clocks differ": {995, 1000},
		"corrected":               {994, 994},
		"no time":                 {-t0 / second, 1000},
		"before all time":         {-t0/second - 1, 1000},
	} {
		db, s := fresh(t), newStream()
		s.now = 1000
		apply(t, db, s.put(planned("s1", scanKind, 10)))
		s.now = c.stored
		apply(t, db, s.put(planned("s2", scanKind, 10)))
		if got := (db.Stats().Observed.UnixNano() - t0) / second; got != c.want {
			t.Errorf("%s: the time is %d, want %d", name, got, c.want)
		}
	}
}

// Of more changes of an instance than are remembered, the newest are.
func TestTheNewestChangesAreRemembered(t *testing.T) {
	db := freshWith(t, store.Options{HistoryPerInstance: 3})
	s := newStream()
	apply(t, db, s.put(page("s0", rescanKind, hangzhou, "1.0", "1.0", 0, 0, machine{id: "i-1", os: "debian 12"})))
	for n := int64(1); n < 9; n++ {
		s.now = 10 * n
		apply(t, db, s.put(page(fmt.Sprint("r", n), rescanKind, hangzhou, "1.0", "1.0", 0, 10*n, machine{id: "i-1", os: []string{"debian 12", "centos 5.8"}[n%2]})))
		found, err := db.Find("i-1")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		history := found[0].History
		if len(history) != int(min(n, 3)) || history[len(history)-1].ScanID != fmt.Sprint("r", n) {
			t.Fatalf("after %d changes: %+v", n, history)
		}
	}
}

// Rows are found by their ids, and listed in the order of these, whatever ids have in
// common.
func TestRowsAreSortedByTheirIDs(t *testing.T) {
	for name, ids := range map[string][]string{
		"prefixes of each other":       {"i-10", "i-1", "i-1000000000", "i-100000000", "i-", "i-2"},
		"the shortest first":           {"i-1", "i-10", "i-", "i-1000000000"},
		"nothing in common":            {"a1", "b1", "c0", "d2"},
		"different after eight bytes":  {"i-12345678b", "i-12345678a", "i-12345678c", "j-12345678a"},
		"alike but for the last bytes": {"i-aaaaaaaaaaaaaaaab", "i-aaaaaaaaaaaaaaaaa", "i-aaaaaaaaaaaaaaaac"},
	} {
		t.Run(name, func(t *testing.T) {
			for range len(ids) {
				db, s := fresh(t), newStream()
				s.now = 50
				ids = append(ids[1:], ids[0])
				var machines []machine
				for _, id := range ids {
					machines = append(machines, machine{id: id})
				}
				apply(t, db, s.put(whole("s1", hangzhou, 10, machines[:1]...)...))
				apply(t, db, s.put(whole("s2", hangzhou, 20, machines...)...))
				if diff := cmp.Diff(slices.Sorted(slices.Values(ids)), idsOf(t, db)); diff != "" {
					t.Errorf("%v: %s", ids, diff)
				}
				for _, id := range ids {
					if _, err := db.Get("prod", "cn-hangzhou", id); err != nil {
						t.Error(err)
					}
				}
				checked(t, db)
			}
		})
	}
}

// An instance is forgotten when it is gone for longer than GoneRetention, with all that
// was known of it, and nothing else is.
func TestWhatIsGoneForTooLongIsForgottenAndNothingElse(t *testing.T) {
	const keep = 1000
	forgetful := func(t *testing.T) (*store.DB, *stream) {
		return freshWith(t, store.Options{GoneRetention: keep * time.Second}), newStream()
	}
	t.Run("at its last second it is there", func(t *testing.T) {
		for late, want := range []int{1, 0} {
			db, s := forgetful(t)
			s.now = 50
			apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"}, machine{id: "i-2"})...))
			apply(t, db, s.put(whole("s2", hangzhou, 40, machine{id: "i-2"})...))
			s.now = 40 + keep + int64(late)
			apply(t, db, s.put(whole("s3", hangzhou, 1000, machine{id: "i-2"})...))
			if got := db.Summary().Gone; got != want {
				t.Errorf("%d gone instances %d seconds later, want %d", got, late, want)
			}
		}
	})
	t.Run("a sink that was away for long", func(t *testing.T) {
		db, s := forgetful(t)
		s.now = 5000 // all of it is read much later
		rescan := page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 5, machine{id: "i-0"}, machine{id: "i-1"})
		apply(t, db, s.put(append([]event.Message{rescan}, whole("s1", hangzhou, 10, machine{id: "i-2"}, machine{id: "i-3"})...)...))
		if diff := cmp.Diff([]string{"i-2", "i-3"}, idsOf(t, db)); diff != "" || db.Summary().Gone != 0 {
			t.Errorf("%d gone: %s", db.Summary().Gone, diff)
		}
		checked(t, db)
	})
	t.Run("everything", func(t *testing.T) {
		db, s := forgetful(t)
		s.now = 50
		apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"}, machine{id: "i-2"})...))
		apply(t, db, s.put(whole("s2", hangzhou, 40)...))
		s.now = 5000
		apply(t, db, s.put(whole("s3", hangzhou, 4000)...))
		if rows, stamps := db.Blocks(); rows+stamps != 0 || len(idsOf(t, db)) != 0 || db.Summary().Gone != 0 {
			t.Errorf("%d blocks of rows, %d of stamps, %d gone", rows, stamps, db.Summary().Gone)
		}
		apply(t, db, s.put(whole("s4", hangzhou, 4500, machine{id: "i-3"})...))
		if diff := cmp.Diff([]string{"i-3"}, idsOf(t, db)); diff != "" {
			t.Error(diff)
		}
		checked(t, db)
	})
	t.Run("its history goes with it", func(t *testing.T) {
		db, s := forgetful(t)
		for n, os := range []string{"debian 12", "centos 5.8", "debian 12"} {
			s.now = int64(50 + n)
			apply(t, db, s.put(whole(fmt.Sprint("s", n), hangzhou, int64(10+n), machine{id: "i-1", os: os}, machine{id: "i-2"})...))
		}
		apply(t, db, s.put(whole("s3", hangzhou, 45, machine{id: "i-2"})...))
		s.now = 5000
		apply(t, db, s.put(whole("s4", hangzhou, 4000, machine{id: "i-2"})...))
		if rows, stamps := db.Blocks(); rows != 1 || stamps != 1 {
			t.Errorf("%d blocks of rows, %d of stamps", rows, stamps)
		}
		apply(t, db, s.put(whole("s5", hangzhou, 4500, machine{id: "i-1"}, machine{id: "i-2"})...))
		found, err := db.Find("i-1")
		if err != nil || len(found) != 1 || len(found[0].History) != 1 || found[0].History[0].Cause != "appeared" {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

// A region of a multiple of what a block takes has that many blocks and no empty one.
func TestBlocksAreFull(t *testing.T) {
	for n, want := range map[int]int{255: 1, 256: 1, 257: 2, 512: 2, 513: 3} {
		machines := make([]machine, n)
		for i := range machines {
			machines[i] = machine{id: fmt.Sprintf("i-%05d", i)}
		}
		for name, first := range map[string]int{"at once": n, "a block that grows": 200} {
			db, s := fresh(t), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", hangzhou, 10, machines[:first]...)...))
			apply(t, db, s.put(whole("s2", hangzhou, 20, machines...)...))
			if rows, stamps := db.Blocks(); rows != want || stamps != want {
				t.Errorf("%d rows, %s: %d blocks of rows and %d of stamps, want %d", n, name, rows, stamps, want)
			}
		}
	}
}

// Of scans of which only messages are known and no plan, the one that was heard of
// longest ago is forgotten when they are too many.
func TestTheOldestScanWithoutAPlanIsForgotten(t *testing.T) {
	const most = 1024
	db, s := fresh(t), newStream()
	apply(t, db, s.put(planned("plan", scanKind, 1, hangzhou)))
	failed := func(n int) event.Message {
		return &event.ScopeFailed{ScanID: fmt.Sprintf("s-%04d", n), Kind: scanKind, Scope: hangzhou, Failure: refused("denied")}
	}
	var batch []event.Received
	for n := range most {
		s.now = int64(100 + (n*7)%most) // not in the order of their names
		batch = append(batch, s.put(failed(n))...)
	}
	s.now = 5000
	batch = append(batch, s.put(failed(0))...) // heard of again
	apply(t, db, batch)
	// What is known of a scan ends it when its plan comes.
	known := func(id string) bool {
		apply(t, db, s.put(planned(id, scanKind, 1, hangzhou)))
		sc, err := db.Scan(id)
		if err != nil {
			t.Fatal(err)
		}
		return sc.State != record.ScanRunning
	}
	heard := func(at int) string { // the scan that was heard of at that place
		for n := range most {
			if (n*7)%most == at {
				return fmt.Sprintf("s-%04d", n)
			}
		}
		return ""
	}
	apply(t, db, s.put(failed(most)))
	if !known("s-0000") || known(heard(1)) || !known(heard(2)) || !known(heard(3)) || !known(fmt.Sprintf("s-%04d", most)) {
		t.Error("another one than the oldest was forgotten")
	}
	if sc, err := db.Scan("plan"); err != nil || sc.State != record.ScanRunning {
		t.Errorf("the planned scan is %+v, %v", sc, err)
	}
}

// As many as may be are all remembered.
func TestAsManyScansWithoutAPlanAsMayBeAreKept(t *testing.T) {
	db, s := fresh(t), newStream()
	var batch []event.Received
	for n := range 1024 {
		s.now++
		batch = append(batch, s.put(&event.ScopeFailed{ScanID: fmt.Sprint("s-", n), Kind: scanKind, Scope: hangzhou, Failure: refused("denied")})...)
	}
	apply(t, db, batch)
	apply(t, db, s.put(planned("s-0", scanKind, 1, hangzhou)))
	if sc, err := db.Scan("s-0"); err != nil || sc.State == record.ScanRunning {
		t.Errorf("the first is forgotten: %+v, %v", sc, err)
	}
}

// A scan that is forgotten may run again; one that is remembered does not.
func TestOnlyARememberedScanIsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := newStream()
	with := func(keep int) *store.DB {
		db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes), KeepScans: keep})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	ends := func(db *store.DB, n int64) {
		s.now = 100 * n
		apply(t, db, s.put(whole(fmt.Sprint("s", n), hangzhou, 100*n-10, machine{id: "i-1"})...))
	}
	runs := func(db *store.DB, ids ...string) {
		t.Helper()
		got := map[string]bool{}
		for _, id := range []string{"s1", "s2", "s3", "s4", "s5"} {
			apply(t, db, s.put(planned(id, scanKind, 1000, hangzhou)))
			if sc, err := db.Scan(id); err == nil && sc.State == record.ScanRunning {
				got[id] = true
			}
		}
		if diff := cmp.Diff(ids, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Error(diff)
		}
	}
	db := with(5)
	for n := range int64(4) {
		ends(db, n+1)
	}
	runs(db, "s5")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = with(2) // fewer are remembered from now on
	apply(t, db, s.put(&event.ScanAborted{ScanID: "s5", Kind: scanKind, Reason: "a test says so"}))
	runs(db, "s1", "s2", "s3")
}

// A later scan decides how an account stands, and one that is as old decides last.
func TestTheNewestScanSaysHowAnAccountStands(t *testing.T) {
	db, s := fresh(t), newStream()
	for _, c := range []struct {
		scan  string
		epoch int64
		want  string
	}{{"s1", 100, "s1"}, {"s2", 50, "s1"}, {"s3", 100, "s3"}, {"s4", 101, "s4"}} {
		s.now += 200
		apply(t, db, s.put(planned(c.scan, scanKind, c.epoch, hangzhou), &event.ScopeFailed{ScanID: c.scan, Kind: scanKind, Scope: hangzhou, Failure: refused("denied")}))
		if got := db.Stats().Accounts["prod"]; got.ScanID != c.want || got.FailedRegions != 1 || got.Duration <= 0 || got.Duration > time.Hour {
			t.Errorf("after %s: %+v", c.scan, got)
		}
	}
}

// What an account as a whole lacks is told beside its regions, whatever comes first.
func TestEveryPartOfAnEndedScanIsTold(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	beijing, shenzhen := ecs.Scope{Account: "prod", Region: "cn-beijing"}, ecs.Scope{Account: "prod", Region: "cn-shenzhen"}
	m := planned("s1", scanKind, 10, beijing, hangzhou, shenzhen)
	denied := record.Failure{Account: "prod", API: "DescribeRegions", Class: "permission", Error: "denied"}
	m.Failed = []record.Failure{{Account: "", API: "DescribeRegions", Class: "permission", Error: "whose?"}, denied}
	apply(t, db, s.put(m))
	apply(t, db, s.put(scopePlanned("s1", scanKind, beijing, "1", "1.0"), page("s1", scanKind, beijing, "1.0", "1.0", 0, 11, machine{id: "i-1"}), laneEnded("s1", scanKind, beijing, "1.0", "1.0", 1)))
	apply(t, db, s.put(page("s1", scanKind, shenzhen, "1.0", "1.0", 0, 12, machine{id: "i-2"}), &event.ScanAborted{ScanID: "s1", Kind: scanKind, Reason: "a test says so"}))
	if got := db.Stats().Accounts["prod"]; len(got.Failures) != 1 || got.Failures[0].Error != "denied" {
		t.Errorf("%+v", got)
	}
	if got := standings(db); got != "/ 0 failed, prod/ 0 failed, prod/cn-beijing 1 complete, prod/cn-hangzhou 0 failed, prod/cn-shenzhen 1 partial" {
		t.Error(got)
	}
	if rows, _ := db.Blocks(); rows != 2 {
		t.Errorf("%d blocks of rows: the end of a scan leaves some in the journal", rows)
	}
	checked(t, db)
}

// Sums of evidence leave out answers of machines and moves, and nothing behind them.
func TestSumsOfEvidenceGoOnBehindMovesAndMachines(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(
		&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceProbe, At: asked, Items: []event.EvidenceItem{{ID: "i-1", Asked: asked}}},
		&event.EvidenceRead{Scope: ecs.Scope{Account: "prod", Region: "cn-shenzhen"}, Source: event.EvidenceTemplates, At: asked, Items: []event.EvidenceItem{{ID: "lt-1", Asked: asked}}},
	))
	if rows := evidenceOf(t, db, store.Filter{}, asked); len(rows) != 1 || rows[0].Source != event.EvidenceTemplates {
		t.Errorf("%+v", rows)
	}
	heard := event.EvidenceItem{ID: "i-9", Asked: asked, Heard: asked}
	apply(t, db, s.put(&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceProbe, At: asked, Items: []event.EvidenceItem{heard}}))
	for ahead, want := range map[time.Duration]bool{0: true, 5 * time.Minute: true, 5*time.Minute + 1: false} {
		told, err := db.GuestEvidence(hangzhou, "i-9", asked.Add(-ahead))
		if err != nil || len(told) != 1 || (told[0].AgeSeconds != nil) != want {
			t.Errorf("heard of %s from now: %+v, %v", ahead, told, err)
		}
	}
}

// A region that a scan reads again is no longer told to be settled as gone, and the other
// regions that were settled still are.
func TestOnlyTheRegionThatIsReadAgainIsBack(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	scopes := []ecs.Scope{hangzhou, {Account: "prod", Region: "cn-beijing"}, {Account: "test", Region: "cn-hangzhou"}}
	for i, scope := range scopes {
		apply(t, db, s.put(whole(fmt.Sprint("s", i), scope, 10, machine{id: fmt.Sprint("i-", i)})...))
	}
	for _, account := range []string{"prod", "test"} {
		if _, err := db.Forget(t.Context(), account, "", at(60)); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, db, s.put(whole("s9", hangzhou, 40, machine{id: "i-0"})...))
	var left []string
	for _, f := range db.Summary().Forgotten {
		left = append(left, f.Account+"/"+f.Region)
	}
	if diff := cmp.Diff([]string{"prod/cn-beijing", "test/cn-hangzhou"}, left); diff != "" {
		t.Error(diff)
	}
}

// A region whose plan is not complete is not decided by what a later part of another
// kind says, and a second plan of a scan that has its plan changes nothing.
func TestAPlanThatIsWholeTakesNoMore(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	apply(t, db, s.put(planned("s1", scanKind, 10, hangzhou), planned("s1", scanKind, 10, hangzhou, beijing)))
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})[1:]...))
	if got, err := db.Scan("s1"); err != nil || got.State != record.ScanComplete || len(got.Scopes) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := standings(db); got != "prod/cn-hangzhou 1 complete" {
		t.Error(got)
	}
	if got := db.Summary().Verdicts["shenlong-7"][rules.Unknown.String()]; got != 1 {
		t.Errorf("%d unknown", got)
	}
}

// What was published is forgotten up to its key and not beyond, wherever that lies among
// the entries that share a value; what is published before it happens is not forgotten.
func TestTheOutboxIsForgottenUpToAKey(t *testing.T) {
	const events = 130
	waiting := func(db *store.DB, after uint64, limit int) (first, last uint64, n int) {
		entries, err := db.Outbox(after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return 0, 0, 0
		}
		return entries[0].Key, entries[len(entries)-1].Key, len(entries)
	}
	for _, upto := range []uint64{0, 1, 63, 64, 65, 127, 128, 129, 130, 131, 999} {
		db, s := fresh(t), newStream()
		s.now = 50
		var plans []event.Message
		for n := range events {
			plans = append(plans, planned(fmt.Sprint("s-", n), scanKind, 10, hangzhou))
		}
		apply(t, db, s.put(plans...))
		for _, key := range []uint64{upto, upto / 2} { // the second was said before
			if err := db.Delivered(key); err != nil {
				t.Fatal(err)
			}
		}
		left := events - int(min(upto, events))
		first, last, n := waiting(db, 0, 1000)
		if n != left || left > 0 && (first != upto+1 || last != events) {
			t.Errorf("up to %d: %d events from %d to %d", upto, n, first, last)
		}
		for _, limit := range []int{1, 63, 64, 65} {
			if _, _, n := waiting(db, 0, limit); n != min(limit, left) {
				t.Errorf("up to %d: %d events of at most %d", upto, n, limit)
			}
		}
		if first, _, n := waiting(db, 100, 1000); n != min(left, 30) || n > 0 && first != max(101, upto+1) {
			t.Errorf("up to %d: behind 100 there are %d from %d", upto, n, first)
		}
		apply(t, db, s.put(planned("late", scanKind, 10, hangzhou)))
		if first, last, n := waiting(db, events, 1000); n != 1 || first != events+1 || last != events+1 {
			t.Errorf("up to %d: of what happened afterwards %d events wait, from %d to %d", upto, n, first, last)
		}
	}
}

// Of two rows that were observed at one time the one stays that knows more of its image,
// else the larger one, and it belongs to the scan whose id sorts last: whichever arrived
// last, whoever reads it, and also when it was written into its block.
func TestOfTwoRowsOfOneTimeTheBetterOneStays(t *testing.T) {
	row := func(scan, name string, image rules.ImagePresence) event.Message {
		m := page(scan, rescanKind, hangzhou, "1.0", "1.0", 0, 20, machine{id: "i-1", os: "debian 12", name: name})
		facts := m.Facts(0)
		facts.Image.Presence = image
		m.Software[0] = facts.Software()
		return m
	}
	for name, c := range map[string]struct {
		one, other event.Message // the other one stays
		want       string
	}{
		"an image that was asked for":   {row("r2", "z", rules.ImageNotAsked), row("r1", "a", rules.ImageFound), "a of r2"},
		"it, of the scan that is later": {row("r1", "z", rules.ImageNotAsked), row("r2", "a", rules.ImageFound), "a of r2"},
		"both were":                     {row("r2", "a", rules.ImageFound), row("r1", "z", rules.ImageFound), "z of r2"},
		"neither was":                   {row("r2", "a", rules.ImageNotAsked), row("r1", "z", rules.ImageNotAsked), "z of r2"},
	} {
		for _, order := range [][]event.Message{{c.one, c.other}, {c.other, c.one}} {
			for _, inBlocks := range []bool{false, true} {
				path := filepath.Join(t.TempDir(), "store.db")
				db, s := open(t, path, newJudge("a", oldOnes)), newStream()
				s.now = 50
				if inBlocks {
					apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
				}
				is := func(when string) {
					t.Helper()
					got, err := db.Get("prod", "cn-hangzhou", "i-1")
					listed := all(t, db, store.Filter{})
					if err != nil || len(listed) != 1 {
						t.Fatal(listed, err)
					}
					for how, r := range map[string]*record.Record{"alone": got.Record, "in the list": listed[0]} {
						if is := r.InstanceName + " of " + r.ScanID; is != c.want {
							t.Errorf("%s, %s, %s (known before: %t): %s stayed, want %s", name, when, how, inBlocks, is, c.want)
						}
					}
				}
				stale := 0
				if order[0] == c.other {
					stale = 1
				}
				if got := apply(t, db, s.put(order...)); got.Stale != stale {
					t.Errorf("%s: %d are stale, want %d", name, got.Stale, stale)
				}
				is("at once")
				apply(t, db, s.put(whole("s2", hangzhou, 11, machine{id: "i-1"})...))
				is("in its block")
			}
		}
	}
}

// An observation is of the time that it says, as far as clocks may differ from the
// broker's, and of the broker's beyond that; one of a planned scan is no older than it.
func TestAnObservationIsOfItsTimeWithinBounds(t *testing.T) {
	for _, c := range []struct {
		scan          string
		seconds, want int64
	}{{"r1", 90, 90}, {"r1", 105, 105}, {"r1", 106, 100}, {"s1", 10, 40}, {"s1", 40, 40}, {"s1", 41, 41}} {
		db, s := fresh(t), newStream()
		s.now = 100
		apply(t, db, s.put(planned("s1", scanKind, 40, hangzhou), page(c.scan, scanKind, hangzhou, "1.0", "1.0", 0, c.seconds, machine{id: "i-1"})))
		got, err := db.Get("prod", "cn-hangzhou", "i-1")
		if err != nil || !got.Record.ObservedAt.Equal(at(c.want)) {
			t.Errorf("at %d in %s: %v, %v", c.seconds, c.scan, got, err)
		}
		// What is within those bounds is no clock that ran ahead: it is not taken back.
		if late := apply(t, db, s.put(page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 30, machine{id: "i-1", os: "centos 5.8"}))); late.Stale != 1 {
			t.Errorf("at %d in %s: an older observation replaced it: %+v", c.seconds, c.scan, late)
		}
	}
}

// All scans that one transaction changes are stored, and run on in the next process.
func TestEveryRunningScanRunsOnInTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	want := []string{"s1", "s2", "s3", "s4", "s5", "s6"}
	var plans []event.Message
	for _, id := range want {
		plans = append(plans, planned(id, scanKind, 10, hangzhou))
	}
	apply(t, db, s.put(plans...))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	running, err := open(t, path, newJudge("a", oldOnes)).Running()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range running {
		got = append(got, running[i].ID)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A region is decided once: what repeats its end later does not move it.
func TestARegionIsDecidedOnce(t *testing.T) {
	db, s := fresh(t), newStream()
	apply(t, db, s.put(planned("s1", scanKind, 0, hangzhou, ecs.Scope{Account: "prod", Region: "cn-beijing"})))
	for _, now := range []int64{100, 200, 300} {
		s.now = now
		apply(t, db, s.put(&event.ScopeFailed{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Failure: refused("denied")}))
		for _, sc := range db.Summary().Scopes {
			if sc.Region == "cn-hangzhou" && !sc.LastEnd.Equal(at(100)) {
				t.Errorf("at %d it ended at %s", now, sc.LastEnd)
			}
		}
	}
	s.now = 400
	apply(t, db, s.put(&event.ScanAborted{ScanID: "s1", Kind: scanKind, Reason: "a test says so"}))
	if got := db.Stats().Accounts["prod"].Duration; got != 100*time.Second {
		t.Errorf("the account took %s", got)
	}
}

// The end of a rescan, and that of a scan that never had a plan, are no points of progress.
func TestOnlyScansArePointsOfProgress(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
	apply(t, db, s.put(planned("r1", rescanKind, 20, hangzhou), &event.ScanAborted{ScanID: "r1", Kind: rescanKind, Reason: "a test says so"},
		&event.ScanAborted{ScanID: "s2", Kind: scanKind, Reason: "a test says so"}))
	if points, err := db.Points(9); err != nil || len(points) != 1 || points[0].ScanID != "s1" {
		t.Errorf("%+v, %v", points, err)
	}
}

// A process that begins without the waivers of the one before takes back what they hid.
func TestWaiversThatTheNextProcessDoesNotHaveAreTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	if err := rejudged(t, path, waiving).Close(); err != nil {
		t.Fatal(err)
	}
	plain := newJudge("b", oldOnes)
	db := reopen(t, path, plain)
	done, err := db.Reclassify(t.Context(), plain)
	if err != nil || done.Moved != 10 {
		t.Fatalf("%d moved, %v", done.Moved, err)
	}
	for _, c := range done.Changes {
		if before, after := c.Before.Verdicts[2].Level, c.After.Verdicts[2].Level; before != rules.Compatible || after != rules.Incompatible {
			t.Errorf("%s went from %s to %s", c.After.InstanceID, before, after)
		}
	}
	checked(t, db)
}

// Events are written when there are many of them, not one more.
func TestFewEventsAreHeldAtATime(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	var plans []event.Message
	for n := range 1100 {
		plans = append(plans, planned(fmt.Sprint("s-", n), scanKind, 10, hangzhou))
	}
	if held, err := db.HeldEvents(s.put(plans...)); err != nil || held != 1023 {
		t.Errorf("%d events in memory between two messages, %v", held, err)
	}
}
