package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// kept opens the store again and fails where it is another one than it was, or unsound.
func kept(t *testing.T, db *store.DB, path string) *store.DB {
	t.Helper()
	checked(t, db)
	rows, sum := lines(all(t, db, store.Filter{})), db.Summary()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, newJudge("a", oldOnes))
	if diff := cmp.Diff(rows, lines(all(t, db, store.Filter{}))); diff != "" {
		t.Errorf("opened again: %s", diff)
	}
	if diff := cmp.Diff(sum, db.Summary(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("opened again: %s", diff)
	}
	return db
}

// A complete scan began at 20 and did not list i-gone. What is observed at that very
// moment is there, what was observed before is not: counts, rows and history agree on it,
// at once and in the next process.
func TestWhatIsObservedAsACompleteScanBeganIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		id, os  string
		seconds int64
		there   int // instances
		gone    int
		applied string   // rows, and of them new, same, stale and moved ones
		history []string // causes
	}{
		"gone, a moment before":            {"i-gone", "debian 12", 19, 1, 1, "2 0 1 1 0", []string{"gone"}},
		"gone, then as it was":             {"i-gone", "debian 12", 20, 2, 0, "2 0 2 0 0", []string{"gone", "returned"}},
		"gone, as it was, later":           {"i-gone", "debian 12", 21, 2, 0, "2 0 2 0 0", []string{"gone", "returned"}},
		"gone, otherwise, a moment before": {"i-gone", "centos 5.8", 19, 1, 1, "2 0 0 2 0", []string{"gone"}},
		"gone, then otherwise":             {"i-gone", "centos 5.8", 20, 2, 0, "2 0 1 0 0", []string{"gone", "returned"}},
		"there, as it was":                 {"i-1", "debian 12", 21, 1, 1, "2 0 2 0 0", nil},
		"there, otherwise":                 {"i-1", "centos 5.8", 21, 1, 1, "2 0 1 0 1", []string{"observation"}},
		"there, other patch":               {"i-1", "debian 13", 21, 1, 1, "2 0 1 0 0", []string{"observation"}},
		"new, a moment before":             {"i-new", "debian 12", 19, 1, 2, "2 0 0 2 0", nil},
		"new, then":                        {"i-new", "debian 12", 20, 2, 1, "2 1 1 0 0", []string{"appeared"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"}, machine{id: "i-gone", os: "debian 12"})...))
			second := whole("s2", hangzhou, 20, machine{id: "i-1", os: "debian 12"})
			second[2].(*event.InstancesClassified).Order = at(20).UnixNano() // i-1 is seen in the moment as well
			apply(t, db, s.put(second...))
			got := apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, c.seconds, machine{id: c.id, os: c.os}, machine{id: "i-1", os: map[bool]string{true: c.os, false: "debian 12"}[c.id == "i-1"]})))
			if got := fmt.Sprint(got.Rows, got.New, got.Same, got.Stale, got.Moved); got != c.applied {
				t.Errorf("rows, new, same, stale and moved ones are %s, want %s", got, c.applied)
			}
			if sum := db.Summary(); sum.Instances != c.there || sum.Gone != c.gone {
				t.Errorf("%d instances, %d gone; want %d and %d", sum.Instances, sum.Gone, c.there, c.gone)
			}
			db = kept(t, db, path)
			found, err := db.Get("prod", "cn-hangzhou", c.id)
			if err != nil {
				t.Fatal(err)
			}
			var causes []string
			for _, change := range found.History {
				causes = append(causes, change.Cause)
			}
			if diff := cmp.Diff(c.history, causes); diff != "" {
				t.Error(diff)
			}
			if is := found.Record.OS.Family + " " + found.Record.OS.Version; is != c.os {
				t.Errorf("it is %s", is)
			}
		})
	}
}

// An observation is dated by its scan where that is of a plan, not where it is asked for
// alone, and by nothing else where the broker tells no time.
func TestOnlyAPlannedScanDatesItsObservations(t *testing.T) {
	for name, c := range map[string]struct {
		plan   event.Message
		scan   string
		stored int64
		want   int64
	}{
		"a planned scan":                {planned("s1", scanKind, 40, hangzhou), "s1", 100, 40},
		"a planned rescan":              {planned("r1", rescanKind, 40, hangzhou), "r1", 100, 30},
		"a rescan without a plan":       {planned("s1", scanKind, 40, hangzhou), "r1", 100, 30},
		"a broker that tells no time":   {planned("r1", rescanKind, 40, hangzhou), "r1", -t0 / second, 30},
		"a broker whose time is behind": {planned("r1", rescanKind, 40, hangzhou), "r1", 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 100
			kind := scanKind
			if c.scan == "r1" {
				kind = rescanKind
			}
			apply(t, db, s.put(c.plan))
			s.now = c.stored
			apply(t, db, s.put(page(c.scan, kind, hangzhou, "1.0", "1.0", 0, 30, machine{id: "i-1"})))
			got, err := db.Get("prod", "cn-hangzhou", "i-1")
			if err != nil || !got.Record.ObservedAt.Equal(at(c.want)) {
				t.Errorf("%v, %v", got.Record.ObservedAt, err)
			}
		})
	}
}

// What of a page cannot be stored is counted, the scope says why it is not whole, and
// the rest of the page is stored.
func TestRowsThatCannotBeStoredAreTold(t *testing.T) {
	long := "i-" + strings.Repeat("x", 198)
	for name, c := range map[string]struct{ id, says string }{
		"the longest id":          {long, ""},
		"a longer one":            {long + "x", "is longer than 200 bytes or has a NUL"},
		"none":                    {"", "an instance has no id"},
		"a NUL at its end":        {"i-\x00", "is longer than 200 bytes or has a NUL"},
		"a NUL as its first":      {"\x00i", "is longer than 200 bytes or has a NUL"},
		"facts that did not come": {"i-2", "came without its facts"},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 50
			m := page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, machine{id: "i-1", os: "debian 12"}, machine{id: c.id, os: "centos 5.8"}, machine{id: "i-3", os: "debian 12"})
			if strings.Contains(c.says, "facts") {
				m.Profiles, m.Software, m.Hardware, m.Classes = m.Profiles[:1], m.Software[:1], m.Hardware[:1], m.Classes[:1]
			}
			got := apply(t, db, s.put(planned("s1", scanKind, 10, hangzhou), scopePlanned("s1", scanKind, hangzhou, "1", "1.0"), m, laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 1)))
			stored, scan := idsOf(t, db), record.ScanComplete
			if want := 2; c.says != "" {
				scan = record.ScanPartial
				if len(stored) != want || got.Invalid != 1 || got.Rows != want {
					t.Errorf("%v are stored, %d are invalid", stored, got.Invalid)
				}
			} else if len(stored) != 3 || got.Invalid != 0 {
				t.Errorf("%v are stored, %d are invalid", stored, got.Invalid)
			}
			is, err := db.Scan("s1")
			if err != nil || is.State != scan || !strings.Contains(fmt.Sprint(is.Scopes[0].Failures), c.says) {
				t.Errorf("%+v, %v", is, err)
			}
			checked(t, db)
		})
	}
}

// The history of an instance names what changed of it beside its verdicts: the system or
// the type that it had before, where it has another one now.
func TestHistoryNamesWhatWasThereBefore(t *testing.T) {
	typed := func(scan string, seconds int64, os, instanceType string) event.Message {
		m := page(scan, rescanKind, hangzhou, "1.0", "1.0", 0, seconds, machine{id: "i-1", os: os})
		m.Hardware[0].InstanceType = instanceType
		return m
	}
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(typed("r1", 10, "debian 12", "ecs.c5.large"), typed("r2", 11, "centos 5.8", "ecs.c5.large"), typed("r3", 12, "debian 12", "ecs.c6.large"), typed("r4", 13, "debian 13", "ecs.c6.large")))
	found, err := db.Find("i-1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found[0].History {
		got = append(got, fmt.Sprintf("%s: %s before, types %q and %q", c.ScanID, c.OSBefore, c.TypeBefore, c.Type))
	}
	want := []string{
		`r2: debian 12 before, types "" and ""`,
		`r3: centos 5.8 before, types "ecs.c5.large" and "ecs.c6.large"`,
		`r4: debian 12 before, types "" and ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An instance that was gone and comes back with another owner was not handed over, and
// neither was one that is observed late; one that is there is.
func TestOnlyInstancesThatAreThereAreHandedOver(t *testing.T) {
	owned := func(id, owner string) machine {
		return machine{id: id, os: "debian 12", tags: []ecs.Tag{{Key: "owner", Value: owner}}}
	}
	db, s := freshWith(t, store.Options{OwnerTags: []string{"owner"}}), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, owned("i-1", "a"), owned("i-2", "a"))...))
	apply(t, db, s.put(whole("s2", hangzhou, 20, owned("i-1", "b"))...))
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 15, owned("i-2", "c"))))
	apply(t, db, s.put(whole("s3", hangzhou, 30, owned("i-1", "b"), owned("i-2", "d"))...))
	points, err := db.Points(9)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range points {
		got = append(got, fmt.Sprint(points[i].ScanID, " ", points[i].HandedOver, " ", points[i].Handovers))
	}
	if diff := cmp.Diff([]string{"s1 0 []", "s2 1 [{a b 1}]", "s3 0 []"}, got); diff != "" {
		t.Error(diff)
	}
}
