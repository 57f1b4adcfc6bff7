package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

var (
	testStart = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	hangzhou  = ecs.Scope{Account: "a", Region: "cn-hangzhou"}
)

// sinkTest is a sink whose parts a test calls by itself, at times of its own.
type sinkTest struct {
	*Sink
	t       *testing.T
	now     time.Time
	logged  logged
	aborted []Aborted
	at      event.Position // of the last message that was applied
	seen    marks
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waiving is the built-in rule set with waivers, each a line of YAML.
func waiving(t *testing.T, waivers ...string) store.Classifier {
	t.Helper()
	overlay := "version: 1\n"
	if len(waivers) > 0 {
		overlay += "waivers:\n  - " + strings.Join(waivers, "\n  - ") + "\n"
	}
	rs, err := catalog.Load([]byte(overlay))
	if err != nil {
		t.Fatal(err)
	}
	return rs.NewClassifier(rules.DefaultTargets())
}

// waivedHere hides the verdicts of all instances of the tests.
const waivedHere = `{id: test, scope: {regions: [cn-hangzhou]}, as: compatible, until: "2026-12-31", reason: A test says so.}`

func newSinkTest(t *testing.T, o Options) *sinkTest {
	t.Helper()
	out := &sinkTest{t: t, now: testStart}
	db, err := store.Open(t.Context(), store.Options{
		Path: filepath.Join(t.TempDir(), "store.db"), Classifier: waiving(t), Today: func() string { return out.now.Format(time.DateOnly) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	settings := bus.DefaultOptions()
	settings.Dir, settings.Sync, settings.Listen = t.TempDir(), bus.SyncInterval, "127.0.0.1:0"
	b, err := bus.Open(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	st, err := b.State(t.Context(), bus.StreamResults)
	if err != nil {
		t.Fatal(err)
	}
	out.at = event.Position{Stream: st.Created}
	o.Name, o.Log = "x", slog.New(slog.NewTextHandler(&out.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Now = func() time.Time { return out.now }
	o.OnAborted = func(why Aborted) { out.aborted = append(out.aborted, why) }
	out.Sink = New(db, b, o)
	return out
}

// saysTwice waits until a line was logged twice.
func (s *sinkTest) saysTwice(line string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); strings.Count(s.logged.String(), line) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not logged twice:\n%s", line, s.logged.String())
		}
	}
}

// batch gives messages the next places in the results stream.
func (s *sinkTest) batch(messages ...event.Message) (batch []event.Received) {
	for _, m := range messages {
		s.at.Seq++
		batch = append(batch, event.Received{Position: s.at, Stored: s.now.UnixNano(), Msg: m})
	}
	return batch
}

func (s *sinkTest) took(messages ...event.Message) {
	s.t.Helper()
	if err := s.apply(s.t.Context(), s.batch(messages...)); err != nil {
		s.t.Fatal(err)
	}
}

// token takes the token of a channel and says whether there was one.
func token(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func planOf(id string, scopes ...ecs.Scope) *event.ScanPlanned {
	return &event.ScanPlanned{ScanID: id, Kind: event.KindScan, Epoch: testStart, Scopes: scopes}
}

// pageOf is a page with one instance of that operating system.
func pageOf(scan string, os string, order time.Time) *event.InstancesClassified {
	facts := rules.Facts{OSName: os, OSType: "linux", InstanceType: "ecs.c5.large", InstanceFamily: "ecs.c5"}
	page := &event.InstancesClassified{
		Walk:  event.Walk{ScanID: scan, Kind: event.KindScan, Scope: hangzhou, Lane: "1.0", Walk: "1.0"},
		Order: order.UnixNano(),
	}
	page.Software, page.Hardware = append(page.Software, facts.Software()), append(page.Hardware, facts.Hardware())
	page.Profiles = append(page.Profiles, event.Profile{})
	page.Rows = event.RowsOf([]event.Row{{ID: "i-1", Name: "one", Status: "Running"}})
	return page
}

func endOf(scan string, ids ...string) *event.LaneEnded {
	out := &event.LaneEnded{ScanID: scan, Kind: event.KindScan, Scope: hangzhou, Lane: "1.0", Walk: "1.0", Pages: min(1, len(ids)), Instances: len(ids), Listed: len(ids)}
	for _, id := range ids {
		out.IDs += event.IDSum(id)
	}
	return out
}

func lanesOf(scan string) *event.ScopePlanned {
	return &event.ScopePlanned{ScanID: scan, Kind: event.KindScan, Scope: hangzhou, Plan: "1", Lanes: []string{"1.0"}}
}

// stream calls do with a stream of the bus.
func (s *sinkTest) stream(name string, do func(jetstream.Stream) error) {
	s.t.Helper()
	nc, err := nats.Connect(s.bus.ClientURL())
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	held, err := js.Stream(s.t.Context(), name)
	if err == nil {
		err = do(held)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// raw is the last message of a stream as it is, nil where there is none.
func (s *sinkTest) raw(name string) (body []byte) {
	s.t.Helper()
	s.stream(name, func(held jetstream.Stream) error {
		state := held.CachedInfo().State
		if state.Msgs == 0 {
			return nil
		}
		msg, err := held.GetMsg(s.t.Context(), state.LastSeq)
		if err == nil {
			body = msg.Data
		}
		return err
	})
	return body
}

// last is the last message of a stream, and how many it has.
func (s *sinkTest) last(name string) (event.Message, uint64) {
	s.t.Helper()
	body := s.raw(name)
	if body == nil {
		return nil, 0
	}
	message, err := event.Decode(body)
	if err != nil {
		s.t.Fatal(err)
	}
	st, err := s.bus.State(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return message, st.Messages
}

func (s *sinkTest) purge(name string) {
	s.t.Helper()
	s.stream(name, func(held jetstream.Stream) error { return held.Purge(s.t.Context()) })
}

// What fails beside the work that was to settle it is not settled with it.
func TestWhatFailsMeanwhileIsStillOwed(t *testing.T) {
	failed := errors.New("no room")
	for name, c := range map[string]struct {
		beside, fails, want bool
	}{
		"it is done":                  {},
		"it fails":                    {fails: true, want: true},
		"another one fails beside it": {beside: true, want: true},
		"both fail":                   {beside: true, fails: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			var o owed
			o.Store(true)
			err := o.settle(func() error {
				if c.beside {
					o.Store(true)
				}
				if c.fails {
					return failed
				}
				return nil
			})
			if o.Load() != c.want || errors.Is(err, failed) != c.fails {
				t.Errorf("still owed: %t, %v", o.Load(), err)
			}
		})
	}
}

// Other rules are in use at once, and what they moved is published. Where telling of it
// fails, the sink owes it, and tells it when it looks next.
func TestWhatOtherRulesMovedIsToldInTheEnd(t *testing.T) {
	t.Parallel()
	s := newSinkTest(t, Options{})
	s.took(planOf("s-1", hangzhou), lanesOf("s-1"), pageOf("s-1", "CentOS 5.8", testStart), endOf("s-1", "i-1"))
	token(s.drain)
	if moved, err := s.Judge(t.Context(), waiving(t, waivedHere), func() {}); err != nil || moved != 1 || !token(s.drain) || s.untold.Load() {
		t.Fatalf("%d moved, %v, owed: %t", moved, err, s.untold.Load())
	}
	ctx, stop := context.WithCancel(t.Context())
	if _, err := s.Judge(ctx, waiving(t), stop); !errors.Is(err, context.Canceled) || !s.untold.Load() {
		t.Fatalf("telling did not fail: %v", err)
	}
	if err := s.settle(ctx); !errors.Is(err, context.Canceled) || !s.untold.Load() {
		t.Fatalf("it is owed no more, though it failed again: %v", err)
	}
	if err := s.settle(t.Context()); err != nil || s.untold.Load() || !token(s.drain) || s.db.NeedsReclassify() {
		t.Fatalf("it was not told: %v", err)
	}
	// A change that fails before anything is judged by it owes nothing.
	if _, err := s.Judge(ctx, waiving(t, waivedHere), func() {}); err == nil || s.untold.Load() {
		t.Errorf("owed: %t, %v", s.untold.Load(), err)
	}
}

// A day on which nothing can be judged is tried again, and said aloud each time.
func TestADayThatCannotBeginIsTriedAgain(t *testing.T) {
	t.Parallel()
	days := 0
	s := newSinkTest(t, Options{OnDay: func() { days++ }})
	ctx, stop := context.WithCancel(t.Context())
	if _, err := s.Judge(ctx, waiving(t, waivedHere), stop); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.keepDay(ctx) }()
	s.saysTwice("was not judged for the new day; trying again")
	stop()
	if err := <-ended; err != nil || days > 0 {
		t.Errorf("%d days began, %v", days, err)
	}
}

// A failure after a long time is the first of its kind, and tried again soon.
func TestAFailureAfterALongTimeIsTriedAgainSoon(t *testing.T) {
	wait := retryWaits()
	wait.RandomizationFactor = 0
	for range 20 {
		after(wait, time.Minute)
	}
	if long := after(wait, time.Minute); long != 5*time.Second {
		t.Errorf("the twentieth failure waits %s", long)
	}
	if soon := after(wait, time.Minute+1); soon != 100*time.Millisecond {
		t.Errorf("the first failure after a long time waits %s", soon)
	}
}

// Whoever waits is woken by a change, and by nothing else.
func TestAChangeWakesWhoWaits(t *testing.T) {
	var c caughtUp
	wakes := make(chan struct{})
	c.changed = wakes
	c.Store(false)
	if c.changed != wakes {
		t.Fatal("they were woken though nothing changed")
	}
	c.Store(true)
	if _, open := <-wakes; open || c.changed != nil {
		t.Error("they were not woken")
	}
}

// Each batch wakes those for whom it holds something: the outbox for changes, ends of
// scans and questions, and those who follow scans for scans.
func TestABatchWakesWhoIsConcerned(t *testing.T) {
	s := newSinkTest(t, Options{})
	page := pageOf("s-1", "CentOS 5.8", testStart)
	for _, step := range []struct {
		name        string
		message     []event.Message
		drain, scan bool
	}{
		{"a scan begins", []event.Message{planOf("s-1", hangzhou)}, true, true},
		{"lanes", []event.Message{lanesOf("s-1")}, false, false},
		{"an instance appears", []event.Message{page}, false, false},
		{"the scan ends", []event.Message{endOf("s-1", "i-1")}, true, true},
		{"another begins", []event.Message{&event.ScanPlanned{ScanID: "s-2", Kind: event.KindScan, Epoch: testStart.Add(time.Minute), Scopes: []ecs.Scope{hangzhou}}, lanesOf("s-2")}, true, true},
		{"an instance changes", []event.Message{pageOf("s-2", "Debian 12", testStart.Add(2*time.Minute))}, true, false},
		{"a third begins and it changes back", []event.Message{planOf("s-3"), pageOf("s-2", "CentOS 5.8", testStart.Add(3*time.Minute))}, true, true},
	} {
		s.now = s.now.Add(time.Minute)
		s.took(step.message...)
		if drain, scan := token(s.drain), token(s.moved); drain != step.drain || scan != step.scan {
			t.Errorf("%s: the outbox %t, scans %t", step.name, drain, scan)
		}
	}
	// A scan that lists nothing asks for the instance first: nothing ends yet.
	s.now = s.now.Add(time.Minute)
	s.took(&event.ScanPlanned{ScanID: "s-4", Kind: event.KindScan, Epoch: s.now, Scopes: []ecs.Scope{hangzhou}}, lanesOf("s-4"))
	token(s.drain)
	s.took(endOf("s-4"))
	if asked, err := s.db.Questions(9); err != nil || len(asked) == 0 || !token(s.drain) {
		t.Errorf("%d questions wait and nobody puts them: %v", len(asked), err)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.apply(t.Context(), s.batch(planOf("s-5"))); err == nil || !token(s.drain) {
		t.Errorf("a batch of which a part may be stored woke nobody: %v", err)
	}
}

// Operators read from the log what a scan left out, and that a rule or a worker is wrong.
func TestTheLogSaysWhatOperatorsMustKnow(t *testing.T) {
	t.Parallel()
	five := 5
	for name, c := range map[string]struct {
		does func(*sinkTest)
		want []string // of the lines, in order: what each holds
	}{
		"moves": {
			func(s *sinkTest) {
				s.warnNotUp(t.Context(), []record.Move{{InstanceID: "i-1", Verdict: "compatible"}, {InstanceID: "i-2", Verdict: "needs-action"}})
			},
			[]string{`level=ERROR msg="AN INSTANCE THAT WAS JUDGED COMPATIBLE DID NOT COME UP`, `level=ERROR msg="an instance did not come up after its move, as was to be feared"`},
		},
		"another judge, once": {
			func(s *sinkTest) {
				other := map[store.JudgedBy]int{{Ruleset: "other"}: 1}
				s.warnAnew(t.Context(), other)
				other[store.JudgedBy{Ruleset: "third"}] = 1
				s.warnAnew(t.Context(), other)
				s.warnAnew(t.Context(), other)
			},
			[]string{"ruleset=other", "ruleset=third"},
		},
		"a forger": {
			func(s *sinkTest) { s.warnAnew(t.Context(), map[store.JudgedBy]int{{Ruleset: "x", Unsound: true}: 1}) },
			[]string{`level=ERROR msg="pages came with verdicts that no rule set gives`},
		},
		"a scan that ended": {
			func(s *sinkTest) {
				s.logScopes(t.Context(), &record.Scan{ID: "s", Kind: "scan", State: record.ScanPartial, Scopes: []record.ScanScope{
					{Region: "whole", Completeness: record.ScopeComplete, Numbers: record.Numbers{Counted: &five}},
					{Region: "part", Completeness: record.ScopePartial, Failures: []record.Failure{{Error: "refused"}}},
				}})
			},
			[]string{`level=INFO msg="scope ended" scan=s account="" region=whole completeness=complete counted=5 `, `level=WARN msg="scope ended" scan=s account="" region=part completeness=partial counted="not told" `},
		},
		"a scan that runs": {
			func(s *sinkTest) {
				s.logScopes(t.Context(), &record.Scan{Kind: "scan", State: record.ScanRunning, Scopes: make([]record.ScanScope, 1)})
			}, nil,
		},
		"a rescan": {
			func(s *sinkTest) {
				s.logScopes(t.Context(), &record.Scan{Kind: "rescan", State: record.ScanComplete, Scopes: make([]record.ScanScope, 1)})
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sinkTest{}
			db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: waiving(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s.Sink = New(db, nil, Options{Log: slog.New(slog.NewTextHandler(&s.logged, nil))})
			c.does(s)
			got := strings.Split(strings.TrimSpace(s.logged.String()), "\n")
			if c.want == nil && s.logged.String() == "" {
				return
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d lines:\n%s", len(got), s.logged.String())
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("line %d is %s", i, got[i])
				}
			}
			if name == "a scan that ended" && (strings.Contains(got[0], "cause=") || !strings.Contains(got[1], "cause=refused")) {
				t.Errorf("causes:\n%s", s.logged.String())
			}
		})
	}
}

// What is stored is dropped when there is enough of it, and never what is not stored.
func TestWhatIsStoredIsDroppedByTheHundreds(t *testing.T) {
	s := newSinkTest(t, Options{DropApplied: true})
	for n := range 2*dropEvery + 10 {
		if err := s.bus.Publish(t.Context(), planOf(fmt.Sprint("p-", n))); err != nil {
			t.Fatal(err)
		}
	}
	first := func() uint64 {
		st, err := s.bus.State(t.Context(), bus.StreamResults)
		if err != nil {
			t.Fatal(err)
		}
		return st.FirstSeq
	}
	for _, step := range []struct{ seq, first uint64 }{
		{dropEvery - 1, 1},
		{dropEvery, 1},
		{dropEvery + 1, dropEvery + 1}, // what was stored before this batch is enough
		{dropEvery + 2, dropEvery + 1},
		{2*dropEvery - 1, dropEvery + 1},
		{2*dropEvery + 1, dropEvery + 1},
		{2*dropEvery + 2, 2*dropEvery + 2},
	} {
		s.at.Seq = step.seq - 1
		s.took(planOf("s-1"))
		if got := first(); got != step.first {
			t.Errorf("at %d the stream begins at %d, want %d", step.seq, got, step.first)
		}
	}
	if strings.Contains(s.logged.String(), "not dropped") {
		t.Error(s.logged.String())
	}
	// Of a stream that was made anew nothing is dropped by the numbers of the old one.
	s.at = event.Position{Stream: s.at.Stream + 1, Seq: 3 * dropEvery}
	s.took(planOf("s-2"))
	s.took(planOf("s-3"))
	if got := first(); got != 2*dropEvery+2 || !strings.Contains(s.logged.String(), "not dropped") {
		t.Errorf("the stream begins at %d:\n%s", got, s.logged.String())
	}
}

// looked lets the sink look at times after the start.
func (s *sinkTest) looked(progress map[string]standing, seen *marks, after ...time.Duration) {
	for _, d := range after {
		s.now = testStart.Add(d)
		s.look(s.t.Context(), progress, seen)
	}
}

// A scan without progress ends after ScanIdle and not before, once, and is asked for
// again with its accounts and regions.
func TestAScanThatStandsStillEndsWhenItsTimeIsOver(t *testing.T) {
	s := newSinkTest(t, Options{ScanIdle: 10 * time.Minute, LostAfter: 100 * time.Hour})
	s.took(planOf("s-1", ecs.Scope{Account: "b", Region: "r2"}, ecs.Scope{Account: "a", Region: "r2"}, ecs.Scope{Account: "b", Region: "r1"}))
	s.took(planOf("s-0"), &event.ScanAborted{ScanID: "s-0", Kind: event.KindScan, Reason: "a test says so"})
	progress, seen := map[string]standing{"old": {}}, marks{}
	s.looked(progress, &seen, 0, 10*time.Minute)
	if _, said := s.last(bus.StreamResults); said != 0 || !s.CaughtUp() || len(progress) != 1 {
		t.Fatalf("%d messages after ten minutes, caught up: %t, %d scans are watched", said, s.CaughtUp(), len(progress))
	}
	s.looked(progress, &seen, 10*time.Minute+1)
	s.looked(progress, &seen, 10*time.Minute+2)
	said, n := s.last(bus.StreamResults)
	if end, ok := said.(*event.ScanAborted); !ok || n != 1 || end.ScanID != "s-1" || !strings.Contains(end.Reason, "no progress for 10m0s") {
		t.Fatalf("%d messages, the last is %+v", n, said)
	}
	if diff := cmp.Diff([]Aborted{AbortedIdle}, s.aborted); diff != "" {
		t.Error(diff)
	}
	asked, n := s.last(bus.StreamWork)
	want := &event.ScanRequested{ScanID: "s-1-again", Kind: event.KindScan, Reason: "again, since s-1 was lost", Accounts: []string{"a", "b"}, Regions: []string{"r1", "r2"}}
	if diff := cmp.Diff(event.Message(want), asked); diff != "" || n != 1 {
		t.Errorf("%d requests: %s", n, diff)
	}
}

// Whatever a scan did since the last look is progress.
func TestEveryKindOfProgressCounts(t *testing.T) {
	s := newSinkTest(t, Options{ScanIdle: time.Minute, LostAfter: 100 * time.Hour})
	s.took(planOf("s-1", hangzhou), planOf("s-2", hangzhou))
	long := testStart.Add(-time.Hour)
	for _, was := range []standing{{pages: 1}, {done: 1}, {asked: 1}} {
		was.since = long
		progress := map[string]standing{"s-1": was}
		s.looked(progress, new(marks), 0)
		if now := progress["s-1"]; now != (standing{since: testStart}) {
			t.Errorf("from %+v to %+v", was, now)
		}
	}
	if len(s.aborted) > 0 {
		t.Error("the scan was ended")
	}
	// A scan that goes on does not keep others alive, in whatever order they come.
	for _, c := range []map[string]standing{{"s-1": {since: long}, "s-2": {pages: 1}}, {"s-2": {since: long}, "s-1": {pages: 1}}} {
		s.aborted = nil
		s.looked(c, new(marks), 0)
		if len(s.aborted) != 1 {
			t.Errorf("%d scans were ended", len(s.aborted))
		}
	}
}

// A scan of which nothing is on its way ends when that was so for LostAfter: half of it
// while the scan stands still, and half of it from the first look at the streams.
func TestALostScanEndsAfterLostAfter(t *testing.T) {
	s := newSinkTest(t, Options{ScanIdle: time.Hour})
	s.took(planOf("s-1", hangzhou))
	progress, seen := map[string]standing{}, marks{}
	s.looked(progress, &seen, 0, 10*time.Second, 20*time.Second-1)
	if len(s.aborted) > 0 {
		t.Fatal("it ended too early")
	}
	s.looked(progress, &seen, 20*time.Second)
	if diff := cmp.Diff([]Aborted{AbortedWork}, s.aborted); diff != "" {
		t.Error(diff)
	}
}

// Scans are left alone where that was asked for, and while the store is behind.
func TestWhoDoesNotKnowEndsNoScan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		idle   time.Duration
		behind bool
		want   int
	}{
		"it ends":                  {time.Minute, false, 1},
		"not where it is never to": {0, false, 0},
		"not where it is behind":   {time.Minute, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSinkTest(t, Options{ScanIdle: c.idle})
			s.took(planOf("s-1", hangzhou))
			if c.behind {
				for _, id := range []string{"s-2", "s-3"} {
					if err := s.bus.Publish(t.Context(), planOf(id)); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.looked(map[string]standing{"s-1": {since: testStart.Add(-time.Hour)}}, new(marks), 0)
			if len(s.aborted) != c.want || s.CaughtUp() == c.behind {
				t.Errorf("%d scans were ended, caught up: %t", len(s.aborted), s.CaughtUp())
			}
		})
	}
}

// A store behind an older copy of its stream lacks what is new there, and serves it as all
// that there is. Two looks in a row say so: one may meet a server that does not know its end.
func TestTwoLooksInARowTellAnOlderCopy(t *testing.T) {
	t.Parallel()
	reads := func(seq uint64) func(*sinkTest) {
		return func(s *sinkTest) {
			s.at.Seq = seq - 1
			s.took(planOf("s-1", hangzhou))
		}
	}
	holds := func(scan string) func(*sinkTest) {
		return func(s *sinkTest) {
			if err := s.bus.Publish(s.t.Context(), planOf(scan, hangzhou)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	of := func(streams int64) func(*sinkTest) { return func(s *sinkTest) { s.at.Stream += streams } }
	looks := func(want bool) func(*sinkTest) {
		return func(s *sinkTest) {
			s.looked(map[string]standing{}, &s.seen, 0)
			if s.CaughtUp() != want {
				s.t.Errorf("the store is at %d and has caught up: %t", s.db.Position().Seq, !want)
			}
		}
	}
	away := func(s *sinkTest) {
		ended, stop := context.WithCancel(s.t.Context())
		stop()
		s.look(ended, map[string]standing{}, &s.seen)
		if s.CaughtUp() {
			s.t.Error("the server did not say where the stream ends, and the store has caught up")
		}
	}
	for name, steps := range map[string][]func(*sinkTest){
		"the stream ends where the store is":       {holds("s-1"), reads(1), looks(true), looks(true), looks(true)},
		"it ends before":                           {holds("s-1"), reads(2), looks(true), looks(false), looks(false)},
		"it is empty":                              {reads(2), looks(true), looks(true), looks(true)},
		"it ends before once":                      {holds("s-1"), reads(2), looks(true), holds("s-2"), looks(true), reads(3), looks(true), looks(false)},
		"it ends before, and nobody says so again": {holds("s-1"), reads(2), looks(true), away, looks(true), looks(false)},
		"it was another stream that ended before":  {holds("s-1"), of(1), reads(9), looks(false), of(-1), reads(2), looks(true), looks(false)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSinkTest(t, Options{})
			for _, step := range steps {
				step(s)
			}
		})
	}
}

// An older stream is read from its start by a store that began again. One that could not
// would take all of it for repeats, so that nothing is read and it is tried again.
func TestAnOlderStreamIsNotReadByAStoreThatKeptItsPlace(t *testing.T) {
	s := newSinkTest(t, Options{EndLost: true})
	s.took(planOf("s-1", hangzhou), planOf("s-2", hangzhou))
	s.caughtUp.Store(true)
	if err := s.startOver(t.Context(), 1); err != nil || s.CaughtUp() || s.db.Position().Seq != 0 || len(s.lost) != 2 {
		t.Errorf("%v; caught up: %t, the store is at %d, %d scans are to end", err, s.CaughtUp(), s.db.Position().Seq, len(s.lost))
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.startOver(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "begin the results stream again") {
		t.Errorf("it says nothing of why the store keeps its place: %v", err)
	}
}

// A scan that was asked for again ends without a third try, and a rescan without a
// second: its caller waits for the answer.
func TestWhatIsLostIsAskedForAgainOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   string
		kind event.Kind
		want uint64
	}{
		{"s-1", event.KindScan, 1},
		{"s-1-again", event.KindScan, 0},
		{"s-1", event.KindRescan, 0},
		{"e-1-again", event.KindRescan, 0},
	} {
		t.Run(c.id+" "+string(c.kind), func(t *testing.T) {
			s := newSinkTest(t, Options{})
			if !s.abort(t.Context(), &record.Scan{ID: c.id, Kind: string(c.kind)}, AbortedStreams, "a test says so") {
				t.Fatal("it was not said")
			}
			if _, n := s.last(bus.StreamWork); n != c.want {
				t.Errorf("%d requests, want %d", n, c.want)
			}
			if strings.Contains(s.logged.String(), "not asked for again") {
				t.Error(s.logged.String())
			}
			if end, _ := s.last(bus.StreamResults); end.(*event.ScanAborted).ScanID != c.id {
				t.Errorf("the end is of %+v", end)
			}
		})
	}
}

// The scans that ran when NATS lost its streams are noted once, and stay noted until
// their end was published. Scans that ended are none of them.
func TestLostScansAreNotedUntilTheirEndIsPublished(t *testing.T) {
	s := newSinkTest(t, Options{EndLost: true})
	s.took(planOf("s-1", hangzhou), planOf("s-2", hangzhou), planOf("s-3", hangzhou), &event.ScanAborted{ScanID: "s-3", Kind: event.KindScan, Reason: "a test says so"})
	s.noteLost(t.Context())
	s.noteLost(t.Context())
	var noted []string
	for i := range s.lost {
		noted = append(noted, s.lost[i].ID)
	}
	slices.Sort(noted)
	if diff := cmp.Diff([]string{"s-1", "s-2"}, noted); diff != "" {
		t.Fatal(diff)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	s.endLost(ended)
	if len(s.lost) != 2 || len(s.aborted) > 0 {
		t.Fatalf("%d scans are noted, though no end of one was published", len(s.lost))
	}
	s.look(t.Context(), map[string]standing{}, new(marks))
	if diff := cmp.Diff([]Aborted{AbortedStreams, AbortedStreams}, s.aborted); diff != "" || len(s.lost) != 0 {
		t.Errorf("%d scans are noted: %s", len(s.lost), diff)
	}
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	s.noteLost(t.Context())
	if !strings.Contains(s.logged.String(), "scans were not read") {
		t.Error("nobody is told that lost scans are not known")
	}
}

// Results that left the stream before the store had them are missed by their number,
// and those that it had are not.
func TestWhatIsMissedOfTheStreamIsCounted(t *testing.T) {
	t.Parallel()
	for dropped, want := range map[uint64]string{1: "", 2: "", 3: "missed=1\n", 5: "missed=3\n"} {
		s := newSinkTest(t, Options{MaxBatch: 1})
		for n := range 6 {
			if err := s.bus.Publish(t.Context(), planOf(fmt.Sprint("s-", n))); err != nil {
				t.Fatal(err)
			}
		}
		s.took(planOf("s-0"), planOf("s-1"))
		if err := s.bus.DropResults(t.Context(), event.Position{Stream: s.at.Stream, Seq: dropped}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.follow(ctx) }()
		for deadline := time.Now().Add(2 * time.Minute); s.db.Position().Seq != 6; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the rest was not read")
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if logged := s.logged.String(); strings.Contains(logged, "missed=") != (want != "") || !strings.Contains(logged, want) {
			t.Errorf("%d dropped: want %q:\n%s", dropped, want, logged)
		}
	}
}

// What options leave open is filled in, and what they say is kept.
func TestOptionsAreFilledIn(t *testing.T) {
	for _, c := range []struct{ said, want Options }{
		{Options{}, Options{LostAfter: 20 * time.Second, MaxBatch: 128, Linger: 20 * time.Millisecond}},
		{Options{LostAfter: 1, MaxBatch: 2, Linger: 3}, Options{LostAfter: 1, MaxBatch: 2, Linger: 3}},
	} {
		heard := false
		c.said.OnAborted = func(Aborted) { heard = true }
		c.said.fill()
		c.said.OnAborted(AbortedIdle)
		if got := (Options{LostAfter: c.said.LostAfter, MaxBatch: c.said.MaxBatch, Linger: c.said.Linger}); got.LostAfter != c.want.LostAfter || got.MaxBatch != c.want.MaxBatch || got.Linger != c.want.Linger || !heard {
			t.Errorf("%+v, heard: %t", got, heard)
		}
	}
	var nobody Options
	nobody.fill()
	nobody.OnAborted(AbortedIdle)
}

// An event of a scan is named after what became of it.
func TestEventsOfScansAreNamedAfterTheirState(t *testing.T) {
	for state, want := range map[record.ScanState]string{record.ScanRunning: "started", record.ScanComplete: "complete", record.ScanPartial: "partial", record.ScanAborted: "aborted"} {
		subject, body, err := scanEvent(&store.Event{Scan: &record.Scan{ID: "s-1", State: state}})
		if err != nil || subject != "shenscan.events.scan."+want || !strings.Contains(string(body), `"type":"dev.shenscan.scan.`+want+`.v1"`) {
			t.Errorf("%s: %s %s, %v", state, subject, body, err)
		}
	}
}

// An event of an observation is named after its place in the results stream, so that
// whichever sink derives it, it is one event.
func TestAnObservedChangeIsNamedAfterItsPlace(t *testing.T) {
	s := newSinkTest(t, Options{})
	s.took(planOf("s-1", hangzhou), lanesOf("s-1"), pageOf("s-1", "CentOS 5.8", testStart), endOf("s-1", "i-1"))
	s.now = s.now.Add(time.Minute)
	s.took(pageOf("s-2", "Debian 12", testStart.Add(time.Second)))
	at := fmt.Sprintf(`"id":"%x-%d-0"`, s.at.Stream, s.at.Seq)
	if err := s.empty(t.Context(), s.bus.NewEmitter()); err != nil {
		t.Fatal(err)
	}
	if body := string(s.raw(bus.StreamEvents)); !strings.Contains(body, at) || !strings.Contains(body, typeVerdictChanged) {
		t.Errorf("the last event is not %s: %s", at, body)
	}
}

// A question that is answered, or whose scan is over, is put to nobody; the others are.
func TestQuestionsThatNobodyWaitsForAreNotPut(t *testing.T) {
	s := newSinkTest(t, Options{})
	s.took(planOf("s-1", hangzhou), lanesOf("s-1"), pageOf("s-1", "CentOS 5.8", testStart), endOf("s-1", "i-1"))
	if _, nothing := s.nothingOnItsWay(t.Context()); !nothing {
		t.Fatal("something is on its way before anything is asked")
	}
	for _, id := range []string{"s-2", "s-3"} {
		s.now = s.now.Add(time.Minute)
		s.took(&event.ScanPlanned{ScanID: id, Kind: event.KindScan, Epoch: s.now, Scopes: []ecs.Scope{hangzhou}}, lanesOf(id), endOf(id))
		if _, nothing := s.nothingOnItsWay(t.Context()); nothing {
			t.Error("a question waits, and nothing is said to be on its way")
		}
		if id == "s-2" {
			s.took(&event.ScanAborted{ScanID: id, Kind: event.KindScan, Reason: "a test says so"})
		}
	}
	if err := s.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	put, n := s.last(bus.StreamWork)
	if check, ok := put.(*event.ScopeCheck); !ok || n != 1 || check.ScanID != "s-3" {
		t.Errorf("%d questions were put, the last is %+v", n, put)
	}
	if left, err := s.db.Questions(9); err != nil || len(left) != 0 {
		t.Errorf("%d questions wait: %v", len(left), err)
	}
	// Of another stream than the store has read nothing is known.
	s.took(&event.ScanAborted{ScanID: "s-3", Kind: event.KindScan, Reason: "a test says so"})
	s.at = event.Position{Stream: s.at.Stream + 1}
	s.took(planOf("s-9"))
	s.purge(bus.StreamWork)
	if _, nothing := s.nothingOnItsWay(t.Context()); nothing {
		t.Error("nothing is on its way by a stream that the store has not read")
	}
}

// All that waits is published at once, however much it is, and none of it twice.
func TestAllThatWaitsIsPublished(t *testing.T) {
	t.Parallel()
	const plans = 600
	s := newSinkTest(t, Options{})
	var messages []event.Message
	for n := range plans {
		messages = append(messages, planOf(fmt.Sprint("s-", n), hangzhou))
	}
	s.took(messages...)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.emit(ctx) }()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		st, err := s.bus.State(ctx, bus.StreamEvents)
		left, outErr := s.db.Outbox(0, 1)
		if err == nil && outErr == nil && st.Messages == plans && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are published: %v", st.Messages, err)
		}
	}
	stop()
	if err := <-ended; err != nil || strings.Contains(s.logged.String(), "trying again") {
		t.Errorf("%v:\n%s", err, s.logged.String())
	}
}

// An event that its stream takes at another time is no dead letter: it waits, is tried
// again, and said aloud each time.
func TestAnEventThatIsNotRefusedWaits(t *testing.T) {
	s := newSinkTest(t, Options{})
	LimitEvents(t, s.bus, func(c *jetstream.StreamConfig) { c.Sealed = true })
	s.took(planOf("s-1", hangzhou))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.emit(ctx) }()
	s.saysTwice("events or questions were not published; trying again")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left, err := s.db.Outbox(0, 9)
	if dead, deadErr := s.bus.State(t.Context(), bus.StreamDead); err != nil || deadErr != nil || len(left) != 1 || dead.Messages != 0 {
		t.Errorf("%d events wait, %d are dead letters: %v, %v", len(left), dead.Messages, err, deadErr)
	}
}

// Of two changes of judgement in the outbox the first is forgotten before the second is
// told: told of again after a crash, it would be one more occurrence.
func TestAJudgementIsForgottenBeforeTheNextIsTold(t *testing.T) {
	t.Parallel()
	s := newSinkTest(t, Options{})
	s.took(planOf("s-1", hangzhou), lanesOf("s-1"), pageOf("s-1", "CentOS 5.8", testStart), endOf("s-1", "i-1"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	emitter := s.bus.NewEmitter()
	if err := s.empty(ctx, emitter); err != nil {
		t.Fatal(err)
	}
	before, err := s.bus.State(ctx, bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	LimitEvents(t, s.bus, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = int64(before.Messages)+1, jetstream.DiscardNew })
	for _, c := range []store.Classifier{waiving(t, waivedHere), waiving(t)} {
		if _, err := s.Judge(ctx, c, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	waits, err := s.db.Outbox(0, 9)
	if err != nil || len(waits) != 2 {
		t.Fatalf("%d events wait: %v", len(waits), err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.empty(ctx, emitter) }()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		left, err := s.db.Outbox(0, 9)
		if err == nil && len(left) == 1 && left[0].Judgement == waits[1].Judgement {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are left: %v", len(left), err)
		}
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("both were published: the run proves nothing")
	}
}
