package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// Scans and rescans are listed those that run first, then those that ended, the newest
// first and as many as are asked for; the trend is of the last scans alone, the oldest
// first.
func TestAsManyScansAreListedAsAreAskedFor(t *testing.T) {
	db, s := fresh(t), newStream()
	if id, err := db.LastScan(); err != nil || id != "" {
		t.Errorf("the last scan of none is %q, %v", id, err)
	}
	for n := int64(1); n <= 5; n++ {
		s.now = 100 * n
		id := fmt.Sprint("s", n)
		if n%2 == 0 {
			id = fmt.Sprint("r", n)
			apply(t, db, s.put(planned(id, rescanKind, s.now-50, hangzhou), page(id, rescanKind, hangzhou, "1.0", "1.0", 0, s.now-49, machine{id: "i-1"}), &event.ScanAborted{ScanID: id, Kind: rescanKind, Reason: "a test says so"}))
			continue
		}
		apply(t, db, s.put(whole(id, hangzhou, s.now-50, machine{id: "i-1"})...))
	}
	s.now = 600
	apply(t, db, s.put(planned("s8", scanKind, 580, hangzhou), planned("s9", scanKind, 590, hangzhou)))
	apply(t, db, s.put(&event.ScopeFailed{ScanID: "s7", Kind: scanKind, Scope: beijing, Failure: refused("denied")})) // it has no plan yet
	ids := func(scans []record.Scan, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for i := range scans {
			out = append(out, scans[i].ID)
		}
		return out
	}
	ended, trend := []string{"s5", "r4", "s3", "r2", "s1"}, []string{"s1", "s3", "s5"}
	for n := range 7 {
		if diff := cmp.Diff(append([]string{"s9", "s8"}, ended[:min(n, 5)]...), ids(db.Scans(n))); diff != "" {
			t.Errorf("%d: %s", n, diff)
		}
		points, err := db.Trend(n)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range points {
			got = append(got, p.ScanID)
			if p.Instances != 1 || p.State != record.ScanComplete || p.Verdicts["kvm"]["unknown"] != 1 {
				t.Errorf("%+v", p)
			}
		}
		if diff := cmp.Diff(trend[max(0, 3-n):], got, cmp.Transformer("empty", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
			t.Errorf("the trend of %d: %s", n, diff)
		}
		progress, err := db.Points(n)
		if err != nil || len(progress) != min(n, 3) || n > 0 && progress[len(progress)-1].ScanID != "s5" {
			t.Errorf("%d points of progress, %v", len(progress), err)
		}
	}
	if diff := cmp.Diff([]string{"s9", "s8"}, ids(db.Running())); diff != "" {
		t.Error(diff)
	}
	if id, err := db.LastScan(); err != nil || id != "s5" {
		t.Errorf("the last scan is %q, %v", id, err)
	}
	for _, id := range []string{"", "s4", strings.Repeat("s", 200), strings.Repeat("s", 201)} {
		if _, err := db.Scan(id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"s1", "s5", "r2", "s9"} {
		if got, err := db.Scan(id); err != nil || got.ID != id {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
	for number, want := range map[uint64]string{1: "s1", 3: "s5"} {
		if got, err := db.Progress(number); err != nil || got.ScanID != want || got.Accounts.Names != 1 || got.Regions.Largest[0].Name != "cn-hangzhou" {
			t.Errorf("point %d: %+v, %v", number, got, err)
		}
	}
	if _, err := db.Progress(4); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("point 4: %v", err)
	}
}

// Of an instance that was asked for by a rescan it is told what that came to; of one that was
// not, that it was not; of a scan, or of a rescan that did not end, nothing.
func TestOnlyAnEndedRescanTellsOfInstances(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	asked := planned("r1", rescanKind, 10, hangzhou)
	asked.InstanceIDs = []string{"i-1", "i-2"}
	running := planned("r2", rescanKind, 20, hangzhou)
	running.InstanceIDs = []string{"i-1"}
	apply(t, db, s.put(asked, running, &event.ScanAborted{ScanID: "r1", Kind: rescanKind, Reason: "a test says so"}))
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
	got, err := db.Asked("r1", []string{"i-2", "i-9"})
	if err != nil || len(got) != 2 || got[0].InstanceID != "i-2" || got[0].Outcome != record.NotRead || got[1].InstanceID != "i-9" || got[1].Cause != "a test says so" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []string{"", "r2", "s1", "r9"} {
		if got, err := db.Asked(id, []string{"i-1"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
}

// An instance is found by its id in every account and region, or in those that are named; its
// facts are those of the first one.
func TestAnInstanceIsFoundWhereItIs(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	other := ecs.Scope{Account: "test", Region: "cn-hangzhou"}
	apply(t, db, s.put(
		page("r1", rescanKind, beijing, "1.0", "1.0", 0, 10, machine{id: "i-1", os: "debian 7"}, machine{id: "i-2", os: "debian 8"}),
		page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 10, machine{id: "i-1", os: "debian 9"}),
		page("r3", rescanKind, other, "1.0", "1.0", 0, 10, machine{id: "i-1", os: "debian 10"}, machine{id: "i-3", os: "debian 11"}),
	))
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	for _, c := range []struct {
		account, region, id, os string
		in                      ecs.Scope
	}{
		{"", "", "i-1", "debian 7", beijing},
		{"prod", "", "i-1", "debian 7", beijing},
		{"", "cn-hangzhou", "i-1", "debian 9", hangzhou},
		{"test", "", "i-1", "debian 10", other},
		{"test", "cn-hangzhou", "i-1", "debian 10", other},
		{"", "", "i-2", "debian 8", beijing},
		{"", "", "i-3", "debian 11", other},
		{"", "cn-beijing", "i-3", "", ecs.Scope{}},
		{"prod", "", "i-3", "", ecs.Scope{}},
		{"", "", "i-4", "", ecs.Scope{}},
		{"test", "cn-beijing", "i-1", "", ecs.Scope{}},
		{"", "", "", "", ecs.Scope{}},
	} {
		facts, in, err := db.Found(c.account, c.region, c.id)
		same, viewed := view.Facts(c.account, c.region, c.id)
		if c.os == "" {
			if !errors.Is(err, store.ErrNotFound) || !errors.Is(viewed, store.ErrNotFound) {
				t.Errorf("%+v: %v, in a view %v", c, err, viewed)
			}
			continue
		}
		if err != nil || viewed != nil || facts.OSName != c.os || facts.InstanceType != "ecs.c5.large" || in != c.in || *same != *facts {
			t.Errorf("%+v: %+v in %s, %v; in a view %v", c, facts, in, err, viewed)
		}
	}
	if facts, err := db.Facts("i-1"); err != nil || facts.OSName != "debian 7" {
		t.Errorf("%+v, %v", facts, err)
	}
	found, err := db.Find("i-1")
	if err != nil || len(found) != 3 {
		t.Errorf("%d are found, %v", len(found), err)
	}
	for _, in := range []ecs.Scope{{Account: "prod", Region: "cn-shenzhen"}, {Account: "a", Region: "cn-beijing"}} {
		if _, err := db.Get(in.Account, in.Region, "i-1"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", in, err)
		}
	}
	// What is gone is found and not located.
	apply(t, db, s.put(whole("s1", beijing, 20, machine{id: "i-2", os: "debian 8"})...))
	where, err := db.Locate([]string{"i-1", "i-2", "i-9"})
	if err != nil || len(where) != 2 || where["i-2"] != beijing || where["i-1"] == beijing {
		t.Errorf("%v, %v", where, err)
	}
	if gone, err := db.Get("prod", "cn-beijing", "i-1"); err != nil || gone.Record.GoneAt == nil || len(gone.History) != 1 {
		t.Errorf("%+v, %v", gone, err)
	}
}

// Figures add up to the rows, by wave, by confidence and by what was waived; what nobody has
// is 0 there; and each commit is in one place of its histogram.
func TestFiguresAddUpToTheRows(t *testing.T) {
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db, s := open(t, t.TempDir()+"/store.db", waiving), newStream()
	if got := db.Stats(); !got.Observed.IsZero() || !db.Summary().AsOf.IsZero() {
		t.Errorf("an empty store is of %s", got.Observed)
	}
	s.now = 50
	tags := []ecs.Tag{{Key: "waive", Value: "yes"}}
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8", tags: tags}, machine{id: "i-2", os: "centos 5.8"}, machine{id: "i-3", os: "ubuntu 22.04"}, machine{id: "i-4", os: "alinux 3"}, machine{id: "i-5"})...))
	s.now = 60
	apply(t, db, s.put(page("r1", rescanKind, beijing, "1.0", "1.0", 0, 11, machine{id: "i-6", os: "debian 7", tags: tags}, machine{id: "i-7", os: "debian 7"})))
	figures := db.Figures()
	waves, sure := map[string]int{}, map[string]int{}
	for key, n := range figures.Standings.Waves {
		if n <= 0 {
			t.Errorf("%d instances of %+v", n, key)
		}
		waves[key.Region+" "+key.Target] += n
	}
	for target, verdicts := range figures.Summary.Confidence {
		for verdict, counts := range verdicts {
			for confidence, n := range counts {
				sure[target+" "+verdict+" "+confidence] += n
			}
		}
	}
	rows := all(t, db, store.Filter{})
	for _, r := range rows {
		for _, v := range r.Verdicts {
			waves[r.Region+" "+v.Target]--
			sure[v.Target+" "+v.Level.String()+" "+v.Confidence.String()]--
		}
	}
	for what, n := range waves {
		if n != 0 {
			t.Errorf("%s: %+d by wave", what, n)
		}
	}
	for what, n := range sure {
		if n != 0 {
			t.Errorf("%s: %+d by confidence", what, n)
		}
	}
	waived := map[store.WaivedKey]int{}
	for _, target := range waiving.targets {
		for _, level := range []rules.Level{rules.NeedsAction, rules.Incompatible, rules.Unknown} {
			waived[store.WaivedKey{Target: target, Verdict: level.String()}] = 0
		}
	}
	waived[store.WaivedKey{Target: "kvm", Verdict: "needs-action"}] = 2
	for _, target := range waiving.targets[1:] {
		waived[store.WaivedKey{Target: target, Verdict: "incompatible"}] = 1
		waived[store.WaivedKey{Target: target, Verdict: "needs-action"}] = 1
	}
	if diff := cmp.Diff(waived, figures.Standings.Waived); diff != "" {
		t.Error(diff)
	}
	stats := figures.Stats
	if stats.Commits == 0 || stats.CommitSeconds <= 0 || stats.CommitBuckets[10] != stats.Commits || !stats.Observed.Equal(at(60)) || !figures.Summary.AsOf.Equal(at(60)) {
		t.Errorf("%+v", stats)
	}
	last := uint64(0)
	var bounds []float64
	for bound := range stats.CommitBuckets {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		if n := stats.CommitBuckets[bound]; n < last {
			t.Errorf("%d commits took at most %v seconds, and more less", n, bound)
		} else {
			last = n
		}
	}
}

// What the names of a filter are held against is what the store has seen, gone instances and
// accounts that could not be read included, each once and in order.
func TestKnownNamesAreWhatTheStoreHasSeen(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: "a"}}}, machine{id: "i-2", os: "debian 7"})...))
	apply(t, db, s.put(whole("s2", hangzhou, 20, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: "a"}}})...))
	apply(t, db, s.put(page("r1", rescanKind, beijing, "1.0", "1.0", 0, 11, machine{id: "i-6", os: "debian 7"})))
	denied := planned("s3", scanKind, 30, ecs.Scope{Account: "new", Region: "cn-shenzhen"})
	denied.Failed = []record.Failure{{Account: "shut", API: "DescribeRegions", Class: "permission", Error: "denied"}}
	denied.Accounts = []event.PlannedAccount{{ID: "new"}, {ID: "shut", AllRegions: true}}
	apply(t, db, s.put(denied))
	names := db.Known()
	if diff := cmp.Diff([][]string{{"prod"}, {"cn-beijing", "cn-hangzhou"}, {"ecs.c5"}, {"centos", "centos 5.8", "debian", "debian 7"}, {"kvm", "shenlong-6", "shenlong-7"}},
		[][]string{names.Accounts, names.Regions, names.Families, names.Systems, names.Targets}); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(names.Tags, "team") {
		t.Errorf("tags are %v", names.Tags)
	}
	// A view knows of what a scan that runs is to read as well.
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if names := view.Known(); !slices.Equal(names.Accounts, []string{"new", "prod", "shut"}) || !slices.Equal(names.Regions, []string{"cn-beijing", "cn-hangzhou", "cn-shenzhen"}) {
		t.Errorf("%v, %v", names.Accounts, names.Regions)
	}
	// Other rules may see other systems.
	other, err := db.View(t.Context(), newJudge("b", nil), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if names := other.Known(); len(names.Systems) > 0 {
		t.Errorf("%v", names.Systems)
	}
	apply(t, db, s.put(&event.ScopeFailed{ScanID: "s3", Kind: scanKind, Scope: ecs.Scope{Account: "new", Region: "cn-shenzhen"}, Failure: record.Failure{Account: "new", Region: "cn-shenzhen", API: "DescribeInstances", Class: "permission", Error: "denied"}}))
	if names := db.Known(); !slices.Equal(names.Accounts, []string{"new", "prod", "shut"}) {
		t.Errorf("%v", names.Accounts)
	}
}
