package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

const (
	scanKind   = event.KindScan
	rescanKind = event.KindRescan
)

func refused(text string) record.Failure {
	return record.Failure{Account: "prod", Region: "cn-hangzhou", API: "DescribeInstances", Class: "permission", Error: text}
}

func failedLane(scan, lane, walk string, pages int) *event.LaneEnded {
	m := laneEnded(scan, scanKind, hangzhou, lane, walk, pages)
	f := refused("denied")
	m.Failure = &f
	return m
}

// TestScopeDecisions starts with two known instances and plays what a second
// scan of their scope may bring.
func TestScopeDecisions(t *testing.T) {
	one, two := machine{id: "i-1", os: "centos 5.8"}, machine{id: "i-2", os: "debian 12"}
	plan := planned("s2", scanKind, 100, hangzhou)
	lanes := func(plan string, names ...string) event.Message {
		return scopePlanned("s2", scanKind, hangzhou, plan, names...)
	}
	pg := func(lane, walk string, n int, at int64, m ...machine) event.Message {
		return page("s2", scanKind, hangzhou, lane, walk, n, at, m...)
	}
	end := func(lane, walk string, pages int) event.Message {
		return laneEnded("s2", scanKind, hangzhou, lane, walk, pages)
	}
	broken := page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 110, one, two)
	broken.Failures = []record.Failure{{Account: "prod", Region: "cn-hangzhou", API: "DescribeImages", Class: "permission", Error: "denied"}}
	brokenOne := page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 110, one)
	brokenOne.Failures = broken.Failures
	pageFailed := &event.PageFailed{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Page: 1, Failure: refused("poison")}
	for name, c := range map[string]struct {
		msgs  []event.Message
		state record.ScanState
		scope record.Completeness
		gone  int
		pages int
	}{
		"every_page_in":              {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), end("1.0", "1.0", 1)}, "complete", "complete", 1, 1},
		"nothing_there":              {[]event.Message{plan, lanes("1", "1.0"), end("1.0", "1.0", 0)}, "complete", "complete", 2, 0},
		"announced_page_outstanding": {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), end("1.0", "1.0", 2)}, "running", "pending", 0, 1},
		"end_before_its_pages":       {[]event.Message{plan, end("1.0", "1.0", 1), lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one)}, "complete", "complete", 1, 1},
		"everything_before_the_plan": {[]event.Message{end("1.0", "1.0", 1), pg("1.0", "1.0", 0, 110, one), lanes("1", "1.0"), plan}, "complete", "complete", 1, 1},
		"page_repeated":              {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), pg("1.0", "1.0", 0, 110, one), end("1.0", "1.0", 2)}, "running", "pending", 0, 1},
		"walk_restarted": {[]event.Message{
			plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), pg("1.0", "1.1", 0, 120, two), end("1.0", "1.1", 1),
		}, "complete", "complete", 0, 2},
		"pages_of_two_walks_do_not_add_up": {[]event.Message{
			plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), pg("1.0", "1.1", 1, 120, two), end("1.0", "1.1", 2),
		}, "running", "pending", 0, 2},
		"plan_redelivered": {[]event.Message{
			plan, lanes("1", "1.0", "1.1"), pg("1.0", "1.0", 0, 110, one), lanes("2", "2.0"), pg("2.0", "2.0", 0, 120, one, two), end("2.0", "2.0", 1),
		}, "complete", "complete", 0, 2},
		"lanes_of_two_plans_do_not_add_up": {[]event.Message{
			plan, lanes("1", "1.0", "1.1"), lanes("2", "2.0", "2.1"), end("1.0", "1.0", 0), end("2.1", "2.1", 0),
		}, "running", "pending", 0, 0},
		"lane_failed_after_some_pages": {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), failedLane("s2", "1.0", "1.0", 1)}, "partial", "partial", 0, 1},
		"lane_failed_at_once":          {[]event.Message{plan, lanes("1", "1.0"), failedLane("s2", "1.0", "1.0", 0)}, "partial", "failed", 0, 0},
		"lane_failed_others_run":       {[]event.Message{plan, lanes("1", "1.0", "1.1"), failedLane("s2", "1.0", "1.0", 0)}, "running", "pending", 0, 0},
		"later_walk_heals": {[]event.Message{
			plan, lanes("1", "1.0", "1.1"), failedLane("s2", "1.0", "1.0", 0), pg("1.0", "1.1", 0, 120, one, two), end("1.0", "1.1", 1), end("1.1", "1.0", 0),
		}, "complete", "complete", 0, 1},
		"scope_failed": {[]event.Message{plan, &event.ScopeFailed{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Failure: refused("denied")}}, "partial", "failed", 0, 0},
		"page_dead_lettered": {[]event.Message{
			plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), pageFailed, end("1.0", "1.0", 2),
		}, "partial", "partial", 0, 1},
		"images_not_read": {[]event.Message{plan, lanes("1", "1.0"), broken, end("1.0", "1.0", 1)}, "partial", "partial", 0, 1},
		"images_not_read_one_gone": {[]event.Message{
			plan, lanes("1", "1.0"), brokenOne, end("1.0", "1.0", 1),
		}, "partial", "partial", 1, 1},
		"aborted":               {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), &event.ScanAborted{ScanID: "s2", Reason: "no producer"}}, "aborted", "partial", 0, 1},
		"aborted_after_its_end": {[]event.Message{plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one, two), end("1.0", "1.0", 1), &event.ScanAborted{ScanID: "s2", Reason: "late"}}, "complete", "complete", 0, 1},
		"rescan_meanwhile_is_not_gone": {[]event.Message{
			plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one),
			planned("r1", rescanKind, 111, hangzhou), page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 112, two), end("1.0", "1.0", 1),
		}, "complete", "complete", 0, 1},
		"rescan_before_the_epoch_is_gone": {[]event.Message{
			page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 99, two), plan, lanes("1", "1.0"), pg("1.0", "1.0", 0, 110, one), end("1.0", "1.0", 1),
		}, "complete", "complete", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, oneByOne := range []bool{false, true} {
				db := fresh(t)
				s := newStream()
				s.now = 50
				apply(t, db, s.put(whole("s1", hangzhou, 10, one, two)...))
				s.now = 500
				batch := s.put(c.msgs...)
				if oneByOne {
					for i := range batch {
						apply(t, db, batch[i:i+1])
					}
				} else {
					apply(t, db, batch)
				}
				got, err := db.Scan("s2")
				if err != nil {
					t.Fatal(err)
				}
				sc := got.Scopes[0]
				if got.State != c.state || sc.Completeness != c.scope || sc.Pages != c.pages || db.Summary().Gone != c.gone || sc.Gone != c.gone {
					t.Errorf("scan %s, scope %+v, %d gone in all; want %s, %s, %d pages, %d gone", got.State, sc, db.Summary().Gone, c.state, c.scope, c.pages, c.gone)
				}
				if c.scope == record.ScopePartial || c.scope == record.ScopeFailed {
					if len(sc.Failures) == 0 {
						t.Error("no failure says why")
					}
				}
				if st := db.Summary().Scopes[0]; c.state != "running" && st.Completeness != c.scope {
					t.Errorf("the scope's standing is %+v, want %s", st, c.scope)
				}
				if (got.EndedAt != nil) != (c.state != "running") {
					t.Errorf("ended at %v", got.EndedAt)
				}
			}
		})
	}
}

func TestScanOfManyScopes(t *testing.T) {
	db := fresh(t)
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	s := newStream()
	s.now = 500
	plan := planned("s1", scanKind, 100, hangzhou, beijing)
	got := apply(t, db, s.put(
		plan, scopePlanned("s1", scanKind, hangzhou, "1", "1.0"), page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 110, machine{id: "i-1"}), laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 1),
	))
	if len(got.Scans) != 1 || got.Scans[0].State != record.ScanRunning {
		t.Fatalf("%+v", got.Scans)
	}
	if sc, _ := db.Scan("s1"); sc.Done != 1 || sc.Regions != 2 || sc.Instances != 1 {
		t.Errorf("under way: %+v", sc)
	}
	got = apply(t, db, s.put(scopePlanned("s1", scanKind, beijing, "1", "1.0"), laneEnded("s1", scanKind, beijing, "1.0", "1.0", 0)))
	if len(got.Scans) != 1 || got.Scans[0].State != record.ScanComplete {
		t.Fatalf("%+v", got.Scans)
	}
	plan = planned("s2", scanKind, 600, hangzhou)
	plan.Failed = []record.Failure{{Account: "other", Class: "credentials", Error: "bad key"}}
	s.now = 700
	got = apply(t, db, s.put(append([]event.Message{plan}, whole("s2", hangzhou, 600, machine{id: "i-1"})[1:]...)...))
	if n := len(got.Scans); n != 2 || got.Scans[1].State != record.ScanPartial || got.Scans[1].Done != 2 {
		t.Fatalf("%+v", got.Scans)
	}
	var names []string
	for _, sc := range db.Summary().Scopes {
		names = append(names, sc.Account+"/"+sc.Region+" "+string(sc.Completeness))
	}
	want := []string{"other/ failed", "prod/cn-beijing complete", "prod/cn-hangzhou complete"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if acc := db.Stats().Accounts["other"]; acc.FailedRegions != 1 || len(acc.Failures) != 1 {
		t.Errorf("account %+v", acc)
	}
	trend, err := db.Trend(10)
	if err != nil || len(trend) != 2 || trend[1].Instances != 1 {
		t.Errorf("trend %+v, %v", trend, err)
	}
}

func TestLateObservationChangesNothing(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"})...))
	got := apply(t, db, s.put(
		page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 50, machine{id: "i-1", os: "centos 5.8"}),
		page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 50, machine{id: "i-2", os: "centos 5.8"}),
	))
	if got.Stale != 2 || len(got.Changes) != 0 || got.New != 0 {
		t.Errorf("%+v", got)
	}
	if n := db.Summary().Instances; n != 1 {
		t.Errorf("%d instances: one that a complete scan missed came to life", n)
	}
}

// TestWhatIsSeenInTheMomentAScanBeginsIsThere: at its epoch a scan may already
// read, so an instance that was last observed in that very moment is neither
// gone nor asked for.
func TestWhatIsSeenInTheMomentAScanBeginsIsThere(t *testing.T) {
	for observed, gone := range map[int64]int{99: 1, 100: 0, 101: 0} {
		db, s := fresh(t), newStream()
		s.now = 500
		apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
		apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, observed, machine{id: "i-2"})))
		batch := s.put(whole("s2", hangzhou, 100, machine{id: "i-1"})...)
		if _, err := db.Apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		asked := questions(t, db)
		if len(asked) != gone {
			t.Errorf("observed at %d: asked %+v, want %d questions", observed, asked, gone)
		}
		for _, q := range asked {
			apply(t, db, s.put(&event.ScopeChecked{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Question: q.Question}))
		}
		if sum := db.Summary(); sum.Gone != gone || sum.Instances != 2-gone {
			t.Errorf("observed at %d: %d gone of %d, want %d", observed, sum.Gone, sum.Instances, gone)
		}
	}
}

// TestTwoScansOfOneMomentLeaveOneStore: whichever of their pages arrives last,
// the instance belongs to the scan whose id sorts last.
func TestTwoScansOfOneMomentLeaveOneStore(t *testing.T) {
	for _, order := range [][]string{{"r1", "r2"}, {"r2", "r1"}} {
		db, s := fresh(t), newStream()
		s.now = 500
		apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
		for _, scan := range order {
			apply(t, db, s.put(page(scan, rescanKind, hangzhou, "1.0", "1.0", 0, 100, machine{id: "i-1"})))
		}
		got, err := db.Get("prod", "cn-hangzhou", "i-1")
		if err != nil {
			t.Fatal(err)
		}
		if got.Record.ScanID != "r2" {
			t.Errorf("%v arrived: the instance belongs to %s, want r2", order, got.Record.ScanID)
		}
	}
}

// A page is dated no later than the broker took it. One that is taken a second
// time, dated by a clock that runs ahead, would be as new as the repeat is.
func TestRepeatDatedByAFastClockIsNoNewerThanItsScan(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 110
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"})...))
	s.now = 210
	apply(t, db, s.put(whole("s2", hangzhou, 200, machine{id: "i-1", os: "centos 5.8"})...))
	s.now = 310
	got := apply(t, db, s.put(page("s1", event.KindScan, hangzhou, "1.0", "1.0", 0, 310, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"})))
	if got.Stale != 1 || len(got.Changes) != 0 {
		t.Errorf("%+v", got)
	}
	if sum := db.Summary(); sum.Instances != 1 || sum.Gone != 1 {
		t.Errorf("%d instances and %d gone, want 1 and 1", sum.Instances, sum.Gone)
	}
}

func TestGoneComesBack(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"})...))
	apply(t, db, s.put(whole("s2", hangzhou, 200)...))
	if sum := db.Summary(); sum.Instances != 0 || sum.Gone != 1 {
		t.Fatalf("%+v", sum)
	}
	got := apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 300, machine{id: "i-1", os: "debian 12"})))
	if sum := db.Summary(); sum.Instances != 1 || sum.Gone != 0 || got.New != 0 || len(got.Changes) != 0 {
		t.Errorf("%+v after %+v", sum, got)
	}
	f, err := db.Find("i-1")
	if err != nil || len(f) != 1 {
		t.Fatal(f, err)
	}
	var causes []string
	for _, h := range f[0].History {
		causes = append(causes, h.Cause)
	}
	if diff := cmp.Diff([]string{"gone", "returned"}, causes); diff != "" {
		t.Error(diff)
	}
}

func TestGoneIsForgottenInTheEnd(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2"})...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, machine{id: "i-2"})...))
	const year = 365 * 86400
	s.now = year + 10
	apply(t, db, s.put(whole("s3", hangzhou, year, machine{id: "i-2"})...))
	if got := lines(all(t, db, store.Filter{})); len(got) != 1 || db.Summary().Gone != 0 {
		t.Errorf("%v, %d gone", got, db.Summary().Gone)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNewStreamStartsOver(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	batch := s.put(whole("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"})...)
	apply(t, db, batch)
	if got := apply(t, db, batch); got.Rows != 0 || db.Position() != batch[3].Position {
		t.Errorf("again %+v", got)
	}
	other := stream{id: t0 + second, now: 2000}
	got := apply(t, db, other.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 1500, machine{id: "i-1", os: "centos 5.8"})))
	if got.Rows != 1 || len(got.Changes) != 1 || db.Position() != (event.Position{Stream: other.id, Seq: between}) {
		t.Errorf("%+v at %v", got, db.Position())
	}
}

func TestClockThatRanAheadHeals(t *testing.T) {
	db := fresh(t)
	s := newStream()
	const future = 10 * 365 * 86400
	s.now = future + 10
	apply(t, db, s.put(whole("s1", hangzhou, future-100, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"}, machine{id: "i-3"})...))
	apply(t, db, s.put(whole("s2", hangzhou, future, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"})...))
	s.now = 1000
	got := apply(t, db, s.put(whole("s3", hangzhou, 900, machine{id: "i-1", os: "centos 5.8"})...))
	if len(got.Changes) != 1 {
		t.Errorf("%+v", got)
	}
	if sum := db.Summary(); sum.Instances != 1 || sum.Gone != 2 {
		t.Errorf("%d instances, %d gone: %v", sum.Instances, sum.Gone, lines(all(t, db, store.Filter{})))
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestScansAreForgotten(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	s := newStream()
	for i := range 450 {
		s.now += 100
		apply(t, db, s.put(whole("s"+string(rune('a'+i/26))+string(rune('a'+i%26)), hangzhou, s.now-50, machine{id: "i-1"})...))
	}
	scans, err := db.Scans(1000)
	if err != nil || len(scans) != 200 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
	if !slices.IsSortedFunc(scans, func(a, b record.Scan) int { return b.EndedAt.Compare(*a.EndedAt) }) {
		t.Error("they are not the newest first")
	}
	if _, err := db.Scan("saa"); err == nil {
		t.Error("the first is still there")
	}
}

func TestHostileMessages(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 1000
	long := string(make([]byte, 5000))
	bad := page("s1", scanKind, hangzhou, "1.0", "1.0", 1<<40, 10, machine{id: "i-1"})
	row := page("s1", scanKind, hangzhou, "1.0", "1.0", -1, 10, machine{id: long}, machine{id: ""}, machine{id: "i\x00"}, machine{id: "i-2", name: "\xff\xfe"})
	got := apply(t, db, s.put(
		bad, row, page(long, scanKind, hangzhou, "1.0", "1.0", 0, 10), page("", scanKind, hangzhou, "1.0", "1.0", 0, 10),
		page("s1", scanKind, ecs.Scope{Account: "a\x00b", Region: "r"}, "1.0", "1.0", 0, 10), planned("s1", "other", 1), planned(long, scanKind, 1),
		&event.LaneEnded{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Pages: -5},
		&event.LaneEnded{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Pages: 1 << 50},
		scopePlanned("s1", scanKind, hangzhou, "1", make([]string, 1<<15)...), &event.ScanAborted{}, &event.ScanRequested{},
	))
	if got.Invalid == 0 || got.New != 2 {
		t.Errorf("%+v", got)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARescanIsAnsweredForEveryInstance(t *testing.T) {
	one := machine{id: "i-1", os: "centos 5.8"}
	rescanned := func(s ecs.Scope, try string, pages int, found, notFound, notRead []string) *event.LaneEnded {
		m := laneEnded("r1", rescanKind, s, try, try, pages)
		m.Found, m.NotFound, m.NotRead = found, notFound, notRead
		if notRead != nil {
			f := refused("denied")
			m.Failure = &f
		}
		return m
	}
	plan := func(s ...ecs.Scope) *event.ScanPlanned {
		m := planned("r1", rescanKind, 100, s...)
		m.InstanceIDs = []string{"i-2", "i-1"}
		return m
	}
	lost := &event.PageFailed{ScanID: "r1", Kind: rescanKind, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Page: 0, Failure: refused("poison")}
	in := page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 101, one)
	both := []string{"i-1", "i-2"}
	unlisted := plan(hangzhou)
	unlisted.Failed = []record.Failure{refused("no regions")}
	for name, c := range map[string]struct {
		msgs []event.Message
		want string
	}{
		"one is there and one is released": {[]event.Message{in, rescanned(hangzhou, "1.0", 1, both[:1], both[1:], nil), scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), plan(hangzhou)}, "i-1 found, i-2 not-found"},
		"a refused call":                   {[]event.Message{rescanned(hangzhou, "1.0", 0, nil, nil, both), scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), plan(hangzhou)}, "i-1 not-read denied, i-2 not-read denied"},
		"not there in one place, and the other is not read": {[]event.Message{
			in, rescanned(hangzhou, "1.0", 1, both[:1], both[1:], nil), scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"),
			rescanned(beijing, "1.0", 0, nil, nil, both), scopePlanned("r1", rescanKind, beijing, "1", "1.0"), plan(hangzhou, beijing),
		}, "i-1 found, i-2 not-read denied"},
		"seen and not stored":             {[]event.Message{rescanned(hangzhou, "1.0", 1, both[:1], both[1:], nil), lost, scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), plan(hangzhou)}, "i-1 not-read it was seen, and what was seen of it was not stored: poison, i-2 not-found"},
		"a second delivery reads it":      {[]event.Message{rescanned(hangzhou, "0.0", 0, nil, nil, both), in, rescanned(hangzhou, "1.0", 1, both[:1], both[1:], nil), scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), plan(hangzhou)}, "i-1 found, i-2 not-found"},
		"regions that were not listed":    {[]event.Message{in, rescanned(hangzhou, "1.0", 1, both[:1], both[1:], nil), scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), unlisted}, "i-1 found, i-2 not-read no regions"},
		"no place to look at":             {[]event.Message{plan()}, "i-1 not-read no account and region was asked for it, i-2 not-read no account and region was asked for it"},
		"a request that is dead-lettered": {[]event.Message{&event.ScanAborted{ScanID: "r1", Kind: rescanKind, Reason: "poison"}}, "i-1 not-read poison, i-2 not-read poison"},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 200
			apply(t, db, s.put(whole("s1", hangzhou, 10, one)...))
			apply(t, db, s.put(c.msgs...))
			asked, err := db.Asked("r1", []string{"i-1", "i-2"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range asked {
				got = append(got, strings.TrimSpace(x.InstanceID+" "+string(x.Outcome)+" "+x.Cause))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("asked %q, want %q", strings.Join(got, ", "), c.want)
			}
			// Nobody but a scan marks anything gone, is a scan of the trend, or
			// makes a region known in which nothing was found.
			trend, err := db.Trend(9)
			if sum := db.Summary(); err != nil || len(trend) != 1 || sum.Gone != 0 || len(sum.Scopes) != 1 {
				t.Errorf("%d scans of the trend, %+v, %v", len(trend), db.Summary().Scopes, err)
			}
		})
	}
}

func TestARegionThatOnlyARescanAskedIsToldOfOnceThereIsSomething(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 200
	nothing := laneEnded("r1", rescanKind, hangzhou, "1.0", "1.0", 0)
	nothing.NotFound = []string{"i-1"}
	apply(t, db, s.put(nothing, scopePlanned("r1", rescanKind, hangzhou, "1", "1.0"), planned("r1", rescanKind, 100, hangzhou)))
	if got := db.Summary().Scopes; len(got) != 0 {
		t.Fatalf("scopes %+v", got)
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10)...))
	if got := db.Summary().Scopes; len(got) != 1 || got[0].Completeness != record.ScopeComplete {
		t.Errorf("scopes %+v", got)
	}
}

func TestARowThatCannotBeStoredIsNamed(t *testing.T) {
	for name, id := range map[string]string{"none": "", "too long": strings.Repeat("i", 201), "with a NUL": "i-1\x00"} {
		t.Run(name, func(t *testing.T) {
			db := fresh(t)
			s := newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-0"}, machine{id: "i-1"})...))
			s.now = 500
			apply(t, db, s.put(whole("s2", hangzhou, 100, machine{id: "i-1"}, machine{id: id})...))
			got, err := db.Scan("s2")
			if err != nil {
				t.Fatal(err)
			}
			sc := got.Scopes[0]
			if sc.Completeness != record.ScopePartial || len(sc.Failures) != 1 || sc.Listed != 2 || sc.Classified != 2 || sc.Stored != 1 || sc.Gone != 0 {
				t.Fatalf("scope %+v", sc)
			}
			if f := sc.Failures[0]; f.Class != "contradicted" || !strings.Contains(f.Error, "2 classified, 1 stored") || !strings.Contains(f.Error, "id") {
				t.Errorf("cause %+v", f)
			}
		})
	}
}

func TestAScopeThatTheStoreCannotNameIsAFailure(t *testing.T) {
	db := fresh(t)
	s := newStream()
	s.now = 50
	apply(t, db, s.put(append([]event.Message{planned("s1", scanKind, 10, hangzhou, ecs.Scope{Account: "prod", Region: strings.Repeat("r", 300)})}, whole("s1", hangzhou, 10, machine{id: "i-1"})[1:]...)...))
	if got, err := db.Scan("s1"); err != nil || got.State != record.ScanPartial || len(got.Scopes) != 2 {
		t.Errorf("scan %+v, %v", got, err)
	}
}

// TestNothingIsGoneBeforeItWasAskedFor plays a listing that lacks two instances
// of before, and what a producer may answer about them.
func TestNothingIsGoneBeforeItWasAskedFor(t *testing.T) {
	denied := refused("denied")
	for name, c := range map[string]struct {
		answer func(*event.ScopeChecked)
		scope  record.Completeness
		gone   int
		says   string
	}{
		"neither is there":  {func(*event.ScopeChecked) {}, record.ScopeComplete, 2, ""},
		"one is there":      {func(m *event.ScopeChecked) { m.Found, m.Examples = 1, []string{"i-2"} }, record.ScopePartial, 0, "1 of 2 instances that no list had are there when they are asked for by id, such as i-2"},
		"nobody can answer": {func(m *event.ScopeChecked) { m.Failure = &denied }, record.ScopePartial, 0, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			j := newJudge("a", oldOnes)
			db, s := open(t, path, j), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"}, machine{id: "i-2"}, machine{id: "i-3"})...))
			s.now = 500
			batch := s.put(whole("s2", hangzhou, 100, machine{id: "i-1"})...)
			if _, err := db.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			// Neither a kill nor a repeat makes the store forget what it asked.
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, path, j)
			if _, err := db.Apply(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			asked := questions(t, db)
			if len(asked) != 1 || !slices.Equal(asked[0].InstanceIDs, []string{"i-2", "i-3"}) || asked[0].Count || asked[0].ScanID != "s2" {
				t.Fatalf("asked %+v", asked)
			}
			if sc, err := db.Scan("s2"); err != nil || sc.State != record.ScanRunning || db.Summary().Gone != 0 {
				t.Fatalf("before the answer %+v, %v", sc, err)
			}
			stray := &event.ScopeChecked{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Question: "another", Found: 9}
			answer := &event.ScopeChecked{ScanID: "s2", Kind: scanKind, Scope: hangzhou, Question: asked[0].Question}
			c.answer(answer)
			if _, err := db.Apply(t.Context(), s.put(stray, answer, answer)); err != nil {
				t.Fatal(err)
			}
			got, err := db.Scan("s2")
			if err != nil {
				t.Fatal(err)
			}
			sc := got.Scopes[0]
			if sc.Completeness != c.scope || sc.Gone != c.gone || db.Summary().Gone != c.gone || sc.AskedByID != 2 {
				t.Errorf("scope %+v, %d gone in all", sc, db.Summary().Gone)
			}
			if c.says != "" && (len(sc.Failures) != 1 || !strings.Contains(sc.Failures[0].Error, c.says)) {
				t.Errorf("causes %+v", sc.Failures)
			}
			if len(questions(t, db)) != 0 {
				t.Error("it is asked again")
			}
		})
	}
}

// A scope that had many instances and has none by lists and by ids is not believed
// before a second scan finds the same: what the scan may see can have been narrowed.
func TestAScopeIsNotEmptyAtOnce(t *testing.T) {
	fleet := func(n int) (out []machine) {
		for i := range n {
			out = append(out, machine{id: fmt.Sprintf("i-%02d", i)})
		}
		return out
	}
	for name, c := range map[string]struct {
		had   int
		then  []int // instances of the scans behind the first
		state []record.Completeness
		gone  []int // in all, behind each of them
	}{
		"few":                       {19, []int{0}, []record.Completeness{record.ScopeComplete}, []int{19}},
		"many":                      {20, []int{0, 0}, []record.Completeness{record.ScopePartial, record.ScopeComplete}, []int{0, 20}},
		"all but one":               {20, []int{1}, []record.Completeness{record.ScopeComplete}, []int{19}},
		"they are there again":      {20, []int{0, 20, 0, 0}, []record.Completeness{record.ScopePartial, record.ScopeComplete, record.ScopePartial, record.ScopeComplete}, []int{0, 0, 0, 20}},
		"none is left to be missed": {20, []int{0, 0, 0}, []record.Completeness{record.ScopePartial, record.ScopeComplete, record.ScopeComplete}, []int{0, 20, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s", hangzhou, 10, fleet(c.had)...)...))
			for i, n := range c.then {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, path, newJudge("a", oldOnes))
				s.now = int64(1000 * (i + 1))
				id := fmt.Sprint("then-", i)
				apply(t, db, s.put(whole(id, hangzhou, s.now, fleet(n)...)...))
				got, err := db.Scan(id)
				if err != nil {
					t.Fatal(err)
				}
				scope := got.Scopes[0]
				if scope.Completeness != c.state[i] || db.Summary().Gone != c.gone[i] {
					t.Errorf("scan %d: %+v, %d gone in all, want %s and %d", i, scope, db.Summary().Gone, c.state[i], c.gone[i])
				}
				doubted := slices.ContainsFunc(scope.Failures, func(f record.Failure) bool {
					return strings.Contains(f.Error, "all 20 instances that were here before are gone at once") && strings.Contains(f.Mend, "scan again")
				})
				if doubted != (c.state[i] == record.ScopePartial) {
					t.Errorf("scan %d: causes %+v", i, scope.Failures)
				}
			}
		})
	}
}

// TestAnInstanceInTwoLanesHidesNoneThatIsInNeither: what two lanes list counts twice, so
// that counts agree with lanes that lack another instance.
func TestAnInstanceInTwoLanesHidesNoneThatIsInNeither(t *testing.T) {
	for name, c := range map[string]struct {
		again []machine
		want  record.Completeness
		says  string
	}{
		"one lane has all":       {[]machine{{id: "i-1"}, {id: "i-2"}, {id: "i-3"}}, record.ScopeComplete, ""},
		"one lane has one twice": {[]machine{{id: "i-1"}, {id: "i-2"}, {id: "i-2"}}, record.ScopePartial, "of 3 instances that are listed, 1 were listed before, as others of the same list"},
		"one lane has no third":  {[]machine{{id: "i-1"}, {id: "i-2"}}, record.ScopeComplete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 50
			plan := scopePlanned("s1", scanKind, hangzhou, "1", "1.0", "1.1")
			plan.Counted = new(3)
			settle := func(messages ...event.Message) (again bool) {
				t.Helper()
				for len(messages) > 0 {
					if _, err := db.Apply(t.Context(), s.put(messages...)); err != nil {
						t.Fatal(err)
					}
					messages = nil
					for _, q := range questions(t, db) {
						if q.Again {
							return true
						}
						messages = append(messages, &event.ScopeChecked{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Question: q.Question, Part: q.Part, Counted: new(3)})
					}
				}
				return false
			}
			if !settle(
				planned("s1", scanKind, 10, hangzhou), plan,
				page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, machine{id: "i-1"}), laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 1),
				page("s1", scanKind, hangzhou, "1.1", "1.0", 0, 11, machine{id: "i-1"}, machine{id: "i-2"}), laneEnded("s1", scanKind, hangzhou, "1.1", "1.0", 1),
			) {
				t.Fatal("the scope is not listed again")
			}
			settle(scopePlanned("s1", scanKind, hangzhou, "2", "2.0"), page("s1", scanKind, hangzhou, "2.0", "2.0", 0, 12, c.again...), laneEnded("s1", scanKind, hangzhou, "2.0", "2.0", 1))
			got, err := db.Scan("s1")
			if err != nil {
				t.Fatal(err)
			}
			sc := got.Scopes[0]
			if sc.Completeness != c.want || c.says != "" && (len(sc.Failures) != 1 || sc.Failures[0].Error != c.says) {
				t.Errorf("scope %+v", sc)
			}
		})
	}
}

// TestLanesThatTogetherDisagreeWithTheCountsAreListedAgain plays a cut that
// loses an instance between two lanes.
func TestLanesThatTogetherDisagreeWithTheCountsAreListedAgain(t *testing.T) {
	three := []machine{{id: "i-1"}, {id: "i-2"}, {id: "i-3"}}
	cut := func(s *stream) []event.Received {
		plan := scopePlanned("s1", scanKind, hangzhou, "1", "1.0", "1.1")
		plan.Counted = new(3)
		return s.put(
			planned("s1", scanKind, 10, hangzhou), plan,
			page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, three[0]), laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 1),
			page("s1", scanKind, hangzhou, "1.1", "1.0", 0, 11, three[1]), laneEnded("s1", scanKind, hangzhou, "1.1", "1.0", 1),
		)
	}
	answer := func(t *testing.T, db *store.DB, counted int) event.Message {
		t.Helper()
		asked := questions(t, db)
		if len(asked) != 1 || !asked[0].Count || asked[0].Again {
			t.Fatalf("asked %+v", asked)
		}
		return &event.ScopeChecked{ScanID: "s1", Kind: scanKind, Scope: hangzhou, Question: asked[0].Question, Counted: new(counted)}
	}
	again := func(plan string, machines ...machine) []event.Message {
		lane := plan + ".0"
		planned := scopePlanned("s1", scanKind, hangzhou, plan, lane)
		planned.Counted = new(3)
		return []event.Message{planned, page("s1", scanKind, hangzhou, lane, lane, 0, 12, machines...), laneEnded("s1", scanKind, hangzhou, lane, lane, 1)}
	}
	for name, c := range map[string]struct {
		counted int
		then    []event.Message
		scope   record.Completeness
		listed  int
	}{
		"one was released meanwhile": {2, nil, record.ScopeComplete, 2},
		"one lane has it":            {3, again("2", three...), record.ScopeComplete, 3},
		"the other listing fails":    {3, []event.Message{scopePlanned("s1", scanKind, hangzhou, "2", "2.0"), failedLane("s1", "2.0", "2.0", 0)}, record.ScopePartial, 2},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 50
			if _, err := db.Apply(t.Context(), cut(s)); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Apply(t.Context(), s.put(answer(t, db, c.counted))); err != nil {
				t.Fatal(err)
			}
			if c.then != nil {
				if asked := questions(t, db); len(asked) != 1 || !asked[0].Again {
					t.Fatalf("asked %+v", asked)
				}
				if _, err := db.Apply(t.Context(), s.put(c.then...)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := db.Scan("s1")
			if err != nil {
				t.Fatal(err)
			}
			if sc := got.Scopes[0]; sc.Completeness != c.scope || sc.Listed != c.listed || sc.Counted == nil {
				t.Errorf("scope %+v", sc)
			}
		})
	}
}
