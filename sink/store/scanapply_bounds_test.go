package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// An announcement that comes when the last part was there changes nothing: what it does not
// name is not taken for a region that the cloud names no more.
func TestAnAnnouncementBehindTheLastPartTakesNoRegionAway(t *testing.T) {
	prod := []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}
	one := machine{id: "i-1", os: "debian 12"}
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", beijing, 10, one)...))
	apply(t, db, s.put(about("s2", 40, prod, hangzhou, beijing), about("s2", 40, prod, hangzhou)))
	for _, sc := range db.Summary().Scopes {
		if sc.Unlisted != nil {
			t.Errorf("%s counts as not named any more since %s", sc.Region, sc.Unlisted)
		}
	}
	apply(t, db, s.put(read("s2", hangzhou, 40, machine{id: "i-2", os: "debian 12"})...))
	apply(t, db, s.put(read("s2", beijing, 40, one)...))
	if got, err := db.Scan("s2"); err != nil || got.State != record.ScanComplete || len(got.Scopes) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A rescan asks for some instances and lists no region: that it finds one which another
// region lists too speaks against neither.
func TestARescanSpeaksAgainstNoRegion(t *testing.T) {
	both := machine{id: "i-both", os: "debian 12"}
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", beijing, 10, both)...))
	apply(t, db, s.put(whole("s2", hangzhou, 10, machine{id: "i-own", os: "debian 12"})...))
	s.now = 100
	apply(t, db, s.put(
		planned("r1", event.KindRescan, 60, hangzhou), scopePlanned("r1", event.KindRescan, hangzhou, "1", "1.0"),
		page("r1", event.KindRescan, hangzhou, "1.0", "1.0", 0, 61, both), laneEnded("r1", event.KindRescan, hangzhou, "1.0", "1.0", 1)))
	if got, err := db.Scan("r1"); err != nil || got.State != record.ScanComplete || len(got.Scopes) != 1 || len(got.Scopes[0].Failures) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, sc := range db.Summary().Scopes {
		if sc.Completeness != record.ScopeComplete || len(sc.Failures) != 0 {
			t.Errorf("%+v", sc)
		}
	}
}

// What is found in two regions is one cause, though pages go on coming where a region was
// found partial: who reads two of them, with two numbers, looks for two troubles.
func TestOneContradictionIsOneCause(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", beijing, 10, machine{id: "i-a", os: "debian 12"}, machine{id: "i-b", os: "debian 12"})...))
	// Another region keeps the scan from ending.
	apply(t, db, s.put(planned("s2", scanKind, 40, hangzhou, ecs.Scope{Account: "prod", Region: "cn-shenzhen"}), scopePlanned("s2", scanKind, hangzhou, "1", "1.0")))
	end := laneEnded("s2", scanKind, hangzhou, "1.0", "1.0", 1)
	end.Instances, end.Listed = 9, 9
	apply(t, db, s.put(page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 41, machine{id: "i-a", os: "debian 12"}), end))
	apply(t, db, s.put(page("s2", scanKind, hangzhou, "1.0", "1.0", 1, 42, machine{id: "i-b", os: "debian 12"})))
	for _, sc := range db.Summary().Scopes {
		said := 0
		for _, f := range sc.Failures {
			if strings.Contains(f.Error, "are listed here and in") {
				said++
			}
		}
		if said != 1 || sc.Completeness != record.ScopePartial {
			t.Errorf("%s is %s: %+v", sc.Region, sc.Completeness, sc.Failures)
		}
	}
}

// A region of many instances that has none any more is doubted at first, also where the
// scan before could not read it: a refusal has not found it empty, and what it was taken for
// would be gone at once.
func TestARefusedScanHasNotFoundARegionEmpty(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	var fleet []machine
	for i := range 20 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%02d", i), os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	s.now = 1000
	apply(t, db, s.put(planned("s2", scanKind, 900, hangzhou), &event.ScopeFailed{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Failure: record.Failure{API: "DescribeInstances", Class: "permission", Error: "denied"}}))
	if got, err := db.Scan("s2"); err != nil || got.State != record.ScanPartial || got.Scopes[0].Completeness != record.ScopeFailed {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []struct {
		completeness record.Completeness
		gone         int
	}{{record.ScopePartial, 0}, {record.ScopeComplete, 20}} {
		s.now = int64(2000 + 1000*i)
		id := fmt.Sprint("empty-", i)
		apply(t, db, s.put(whole(id, hangzhou, s.now-100)...))
		got, err := db.Scan(id)
		if err != nil || got.Scopes[0].Completeness != want.completeness || db.Summary().Gone != want.gone {
			t.Errorf("%s: %+v, %d gone, %v", id, got, db.Summary().Gone, err)
		}
	}
}
