package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// Where the clock ran ahead for a while, and what it dated is corrected, the instances that
// were gone are gone still and those that were there are there, whenever each was seen: at
// the very moment of the scan, before it, or just before the observation that shows that
// the clock was wrong.
func TestWhatAFastClockDatedIsCorrectedAndNothingElse(t *testing.T) {
	const ahead = 10 * 365 * 86400
	for name, c := range map[string]struct {
		messages []event.Message
		want     map[string]string // instances -> when they were seen, or that they are gone
	}{
		"by a rescan": {
			[]event.Message{page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 900, machine{id: "i-new"})},
			map[string]string{"i-new": "15m0s", "a-first": "14m59.999999999s", "i-there": "14m59.999999999s", "i-then": "14m59.999999999s", "i-before": "gone", "i-old": "gone", "i-just": "gone"},
		},
		"by a rescan of one that was there": {
			[]event.Message{page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 900, machine{id: "i-there", os: "centos 5.8"})},
			map[string]string{"a-first": "14m59.999999999s", "i-there": "15m0s", "i-then": "14m59.999999999s", "i-before": "gone", "i-old": "gone", "i-just": "gone"},
		},
		"by a planned rescan": {
			[]event.Message{planned("r2", rescanKind, 850, hangzhou), page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 900, machine{id: "i-new"})},
			map[string]string{"i-new": "15m0s", "a-first": "14m9.999999999s", "i-there": "14m9.999999999s", "i-then": "14m9.999999999s", "i-before": "gone", "i-old": "gone", "i-just": "gone"},
		},
		"by an observation that the clock of a worker dated ahead": {
			[]event.Message{page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 1004, machine{id: "i-new"})},
			map[string]string{"i-new": "16m44s", "a-first": "16m39.999999999s", "i-there": "16m39.999999999s", "i-then": "16m39.999999999s", "i-before": "gone", "i-old": "gone", "i-just": "gone"},
		},
		"by a scan that lists one of them": {
			whole("s3", hangzhou, 890, machine{id: "i-there", os: "centos 5.8"}),
			map[string]string{"a-first": "gone", "i-there": "14m51s", "i-then": "gone", "i-before": "gone", "i-old": "gone", "i-just": "gone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			s.now = 950
			just := page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 900, machine{id: "i-just"})
			just.Order--
			apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 1, 100, machine{id: "i-old"}), just))
			s.now = ahead + 100
			apply(t, db, s.put(whole("s1", hangzhou, ahead-100, machine{id: "i-there"}, machine{id: "i-then"}, machine{id: "i-before"})...))
			second := whole("s2", hangzhou, ahead, machine{id: "i-then"})
			second[2].(*event.InstancesClassified).Order = at(ahead).UnixNano()
			second = append(second[:3:3], page("s2", scanKind, hangzhou, "1.0", "1.0", 1, ahead+1, machine{id: "i-there"}), laneEnded("s2", scanKind, hangzhou, "1.0", "1.0", 2))
			apply(t, db, s.put(second...))
			apply(t, db, s.put(page("r9", rescanKind, hangzhou, "1.0", "1.0", 0, ahead+2, machine{id: "a-first"})))
			if sum := db.Summary(); sum.Instances != 3 || sum.Gone != 3 {
				t.Fatalf("%d instances, %d gone", sum.Instances, sum.Gone)
			}
			s.now = 1000
			apply(t, db, s.put(c.messages...))
			db = kept(t, db, path)
			got, gone := map[string]string{}, 0
			for _, r := range all(t, db, store.Filter{}) {
				got[r.InstanceID] = r.ObservedAt.Sub(at(0)).String()
				if r.GoneAt != nil {
					got[r.InstanceID] = "gone"
					gone++
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || db.Summary().Gone != gone {
				t.Errorf("%d gone are counted: %s", db.Summary().Gone, diff)
			}
			// The next scan of right time decides.
			s.now = 1100
			apply(t, db, s.put(whole("s4", hangzhou, 1050, machine{id: "i-there"}, machine{id: "i-old"})...))
			if sum := db.Summary(); sum.Instances != 2 || sum.Scopes[0].LastScan != "s4" || sum.Scopes[0].Completeness != record.ScopeComplete {
				t.Errorf("%d instances, %+v", sum.Instances, sum.Scopes)
			}
			kept(t, db, path)
		})
	}
}

// Where the clock ran ahead for a while, the scans after it count though they bring no
// page that would show it: one that is refused, one that finds nothing and one that does
// not find the region. Nothing is said to be of a time that has not come.
func TestAFastClockSilencesNoLaterScan(t *testing.T) {
	const ahead = 365 * 86400
	for name, c := range map[string]struct {
		messages []event.Message
		want     record.Completeness
		gone     int
		unlisted bool
		failed   int // regions of the account that could not be read
	}{
		"one that is refused": {
			[]event.Message{planned("s2", scanKind, 900, hangzhou), &event.ScopeFailed{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Failure: refused("denied")}},
			record.ScopeFailed, 0, false, 1,
		},
		"one that finds nothing": {whole("s2", hangzhou, 900), record.ScopeComplete, 1, false, 0},
		"one whose account does not name the region": {
			[]event.Message{&event.ScanPlanned{ScanID: "s2", Kind: scanKind, Epoch: at(900), Accounts: []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}, AllAccounts: true}},
			record.ScopeFailed, 0, true, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			s.now = ahead
			apply(t, db, s.put(whole("s0", hangzhou, ahead-200, machine{id: "i-1"})...))
			apply(t, db, s.put(whole("s1", hangzhou, ahead-100, machine{id: "i-1"})...))
			s.now = 1000
			apply(t, db, s.put(c.messages...))
			questions, err := db.Questions(10)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range questions {
				apply(t, db, s.put(&event.ScopeChecked{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Question: q.Check.Question, Part: q.Check.Part}))
			}
			db = kept(t, db, path)
			got := db.Summary()
			sc := got.Scopes[0]
			if sc.LastScan != "s2" || sc.Completeness != c.want || got.Gone != c.gone || (sc.Unlisted != nil) != c.unlisted {
				t.Errorf("%d gone, %+v", got.Gone, sc)
			}
			if sc.LastComplete == nil || sc.LastComplete.After(at(1000)) || sc.LastEnd.After(at(1000)) || c.want != record.ScopeComplete && !sc.LastComplete.Before(at(900)) {
				t.Errorf("read to its end at %v, ended at %v: the time is 1000 seconds", sc.LastComplete, sc.LastEnd)
			}
			if acc := db.Figures().Stats.Accounts["prod"]; acc.ScanID != "s2" || acc.FailedRegions != c.failed || acc.EndedAt.After(at(1000)) {
				t.Errorf("account %+v", acc)
			}
		})
	}
}

// A scan corrects what was dated later than clocks may differ, in every scope of which that
// is so, and only where its own time is none that has not come.
func TestAScanCorrectsWhatIsDatedBeyondTheTolerance(t *testing.T) {
	regions := []ecs.Scope{hangzhou}
	for i := range 6 {
		regions = append(regions, ecs.Scope{Account: fmt.Sprint("other-", i), Region: "cn-hangzhou"})
	}
	for _, c := range []struct {
		dated, epoch int64 // of what is there, and of the scan
		corrected    bool
	}{{1005, 900, false}, {1000, 900, false}, {1006, 900, true}, {1006, 1000, true}, {1006, 1005, true}, {1006, 1006, false}, {1006, -t0 / second, false}} {
		db, s := fresh(t), newStream()
		for i, region := range slices.Backward(regions) {
			dated := int64(500)
			if i == 0 { // the last, or a scan of before would correct it
				dated = c.dated
			}
			s.now = dated + 100
			apply(t, db, s.put(whole(fmt.Sprint("s1-", i), region, dated, machine{id: fmt.Sprint("i-", i)})...))
		}
		s.now = 1000
		apply(t, db, s.put(planned("s2", scanKind, c.epoch, hangzhou)))
		for _, sc := range db.Summary().Scopes {
			want := at(600)
			if sc.Account == hangzhou.Account {
				want = at(c.dated + 100)
				if c.corrected {
					want = at(min(1000, c.epoch)).Add(-1)
				}
				if acc := db.Figures().Stats.Accounts[sc.Account]; !acc.EndedAt.Equal(want) {
					t.Errorf("%+v: the account is said to have ended at %s, want %s", c, acc.EndedAt, want)
				}
			}
			if !sc.LastComplete.Equal(want) {
				t.Errorf("%+v: %s was read to its end at %s, want %s", c, sc.Account, sc.LastComplete, want)
			}
		}
	}
}

// A plan that names no time, as none that a producer makes, dates nothing by that.
func TestAPlanWithoutATimeCorrectsNothing(t *testing.T) {
	const ahead = 365 * 86400
	db, s := fresh(t), newStream()
	s.now = ahead
	apply(t, db, s.put(whole("s1", hangzhou, ahead-100, machine{id: "i-1"})...))
	s.now = 1000
	apply(t, db, s.put(&event.ScanPlanned{ScanID: "s2", Kind: scanKind, Scopes: []ecs.Scope{hangzhou}}))
	if sc := db.Summary().Scopes[0]; !sc.LastComplete.Equal(at(ahead)) {
		t.Errorf("read to its end at %s", sc.LastComplete)
	}
}

// A broker that tells no time shows no clock to be wrong.
func TestWithoutATimeNothingIsCorrected(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = -t0 / second
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 500, machine{id: "i-1"}), page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 400, machine{id: "i-2"})))
	for _, r := range all(t, db, store.Filter{}) {
		if want := map[string]int64{"i-1": 500, "i-2": 400}[r.InstanceID]; !r.ObservedAt.Equal(at(want)) {
			t.Errorf("%s was seen at %s", r.InstanceID, r.ObservedAt)
		}
	}
}
