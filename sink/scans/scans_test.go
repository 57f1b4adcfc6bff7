package scans

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

var hangzhou = ecs.Scope{Account: "1", Region: "cn-hangzhou"}

func planned(epoch int64, scopes ...ecs.Scope) *event.ScanPlanned {
	return &event.ScanPlanned{ScanID: "s", Kind: event.KindScan, Reason: "test", Epoch: time.Unix(epoch, 0), Scopes: scopes}
}

// listing is a scan of one scope in lanes of so many instances each, all of
// which were stored: its lanes have ended and it was counted before.
func listing(t *testing.T, before int, lanes ...int) (*Scan, *Scope) {
	t.Helper()
	s := New("s", event.KindScan)
	s.Plan(planned(100, hangzhou), 0)
	p := NewScope(hangzhou, 1)
	s.Progress[hangzhou] = p
	names := make([]string, len(lanes))
	for i := range lanes {
		names[i] = fmt.Sprint("lane", i)
	}
	if !p.Plan(&event.ScopePlanned{Plan: "p", Lanes: names, Counted: &before}) {
		t.Fatal("the plan is refused")
	}
	for i, n := range lanes {
		if !p.Page(names[i], "w", 0, &Tally{Rows: n, Stored: n, IDs: uint64(n)}) {
			t.Fatal("the page is refused")
		}
		p.Walk(names[i], "w").End(&event.LaneEnded{Pages: 1, Listed: n, Instances: n, IDs: uint64(n)})
		p.Instances += n
	}
	return s, p
}

func TestAWalkIsDoneOnlyWhereEveryStageHadTheSameInstances(t *testing.T) {
	for name, c := range map[string]struct {
		end   event.LaneEnded
		tally Tally
		want  record.Completeness
	}{
		"all_agree":            {event.LaneEnded{Pages: 1, Listed: 2, Instances: 2, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 7}, record.ScopeComplete},
		"one_not_published":    {event.LaneEnded{Pages: 1, Listed: 3, Instances: 2, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 7}, record.ScopePartial},
		"one_not_classified":   {event.LaneEnded{Pages: 1, Listed: 3, Instances: 3, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 7}, record.ScopePartial},
		"one_not_stored":       {event.LaneEnded{Pages: 1, Listed: 3, Instances: 3, IDs: 7}, Tally{Rows: 3, Stored: 2, IDs: 7}, record.ScopePartial},
		"one_for_another":      {event.LaneEnded{Pages: 1, Listed: 2, Instances: 2, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 8}, record.ScopePartial},
		"a_page_outstanding":   {event.LaneEnded{Pages: 2, Listed: 2, Instances: 2, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 7}, record.ScopePending},
		"more_pages_than_said": {event.LaneEnded{Pages: 0, Listed: 2, Instances: 2, IDs: 7}, Tally{Rows: 2, Stored: 2, IDs: 7}, record.ScopeComplete},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pageFirst := range []bool{true, false} {
				s := New("s", event.KindScan)
				s.Plan(planned(100, hangzhou), 0)
				p := NewScope(hangzhou, 1)
				p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
				if pageFirst {
					p.Page("a", "w", 0, &c.tally)
				}
				p.Walk("a", "w").End(&c.end)
				if !pageFirst {
					p.Page("a", "w", 0, &c.tally)
				}
				if _, open := s.Decide(p); !open || p.State != c.want {
					t.Errorf("page first %t: %s, want %s", pageFirst, p.State, c.want)
				}
				if causes := p.Failures(); (len(causes) > 0) != (c.want == record.ScopePartial) {
					t.Errorf("page first %t: causes %+v", pageFirst, causes)
				}
			}
		})
	}
}

// TestCountsAtTheirBounds holds a listing in two lanes against counts before and
// after it that are at, and one beyond, what churn explains.
func TestCountsAtTheirBounds(t *testing.T) {
	for name, c := range map[string]struct {
		before, after, listed, created int
		agrees                         bool
	}{
		"all_the_same":               {10, 10, 10, 0, true},
		"as_many_as_the_lower_count": {10, 8, 8, 0, true},
		"one_below_the_lower_count":  {10, 8, 7, 0, false},
		"as_many_as_the_higher":      {8, 10, 10, 0, true},
		"one_above_the_higher":       {8, 10, 11, 0, false},
		"above_by_the_new_ones":      {10, 10, 12, 2, true},
		"above_by_one_more":          {10, 10, 13, 2, false},
		"below_by_the_new_ones":      {10, 10, 8, 2, true},
		"below_by_one_more":          {10, 10, 7, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := listing(t, c.before, c.listed, 0)
			p.Walk("lane0", "w").Created = c.created
			settled, questions := s.Settle(p, nil, false)
			if settled || len(questions) != 1 || !questions[0].Count {
				t.Fatalf("settled %t with questions %+v, want the count asked for", settled, questions)
			}
			if p.Awaits(questions[0]) != true || !p.AwaitsAnswers() {
				t.Error("no answer is awaited")
			}
			if !p.Answer(&event.ScopeChecked{Question: questions[0].Question, Counted: &c.after}) {
				t.Fatal("the answer is refused")
			}
			if p.Awaits(questions[0]) || p.AwaitsAnswers() {
				t.Error("an answer is still awaited")
			}
			settled, questions = s.Settle(p, nil, false)
			if settled != c.agrees || len(p.Doubts) != 0 {
				t.Errorf("settled %t with doubts %+v, want %t", settled, p.Doubts, c.agrees)
			}
			if !c.agrees && (len(questions) != 1 || !questions[0].Again) {
				t.Errorf("asked %+v, want another listing", questions)
			}
		})
	}
}

func TestAScopeIsAskedInPartsBeforeAnythingIsGone(t *testing.T) {
	s, p := listing(t, 0, 0)
	missing := make([]string, event.MaxCheckIDs+1)
	for i := range missing {
		missing[i] = fmt.Sprintf("i-%05d", i)
	}
	settled, questions := s.Settle(p, missing, false)
	if settled || len(questions) != 2 || len(questions[0].InstanceIDs) != event.MaxCheckIDs || len(questions[1].InstanceIDs) != 1 {
		t.Fatalf("settled %t, %d questions", settled, len(questions))
	}
	for i, q := range questions {
		if q.Part != i || q.Parts != 2 || q.ScanID != "s" || q.Scope != hangzhou || !q.Epoch.Equal(s.Epoch) {
			t.Errorf("part %d is %+v", i, q)
		}
	}
	answer := func(part, found int, examples ...string) bool {
		return p.Answer(&event.ScopeChecked{Question: questions[0].Question, Part: part, Found: found, Examples: examples})
	}
	if answer(-1, 0) || answer(2, 0) || p.Answer(&event.ScopeChecked{Question: "another"}) {
		t.Error("an answer to something else is taken")
	}
	if !answer(1, 0) || answer(1, 1) {
		t.Error("an answer is not taken exactly once")
	}
	if got := p.Report().AskedByID; got != event.MaxCheckIDs {
		t.Errorf("%d asked by id, want %d", got, event.MaxCheckIDs)
	}
	if !p.AwaitsAnswers() {
		t.Fatal("the first part is not awaited")
	}
	answer(0, 4, "i-00000", "i-00001", "i-00002", "i-00003")
	if settled, _ = s.Settle(p, missing, false); !settled || len(p.Doubts) != 1 {
		t.Fatalf("settled %t with doubts %+v, want one", settled, p.Doubts)
	}
	if text := p.Doubts[0].Error; !strings.Contains(text, "i-00002") || strings.Contains(text, "i-00003") {
		t.Errorf("%q names not exactly three instances", text)
	}
	p.Close()
	if p.State != record.ScopePartial || !p.Whole || len(p.Report().Failures) != 1 {
		t.Errorf("closed as %+v", p.Report())
	}
}

// TestAQuestionIsAskedAnewWhereItsSubjectChanged: what is missing may change
// while it is asked for, by late pages and rescans, but not for ever.
func TestAQuestionIsAskedAnewWhereItsSubjectChanged(t *testing.T) {
	s, p := listing(t, 0, 0)
	missing := []string{"i-0"}
	rounds := 0
	for {
		settled, questions := s.Settle(p, missing, false)
		if settled {
			break
		}
		if rounds++; rounds > maxRounds+1 {
			t.Fatal("asked without end")
		}
		p.Answer(&event.ScopeChecked{Question: questions[0].Question})
		missing = []string{fmt.Sprint("i-", rounds)} // as many, but another one
	}
	if rounds != maxRounds || len(p.Doubts) != 1 {
		t.Errorf("%d rounds with doubts %+v, want %d and one", rounds, p.Doubts, maxRounds)
	}
}

func TestAnOlderScanThatEndsLateChangesNothing(t *testing.T) {
	v := Standing{Account: "1", Region: "cn-hangzhou"}
	say := func(id string, epoch, end int64, c record.Completeness) {
		v.End(id, epoch, &record.ScanScope{Completeness: c}, end)
	}
	say("b", 20, 25, record.ScopePartial)
	say("a", 10, 30, record.ScopeComplete)
	if st := v.Status; st.LastScan != "b" || st.Completeness != record.ScopePartial || !st.LastEnd.Equal(unixNano(25)) || !st.LastComplete.Equal(unixNano(30)) {
		t.Errorf("standing %+v", st)
	}
	say("b-again", 20, 40, record.ScopeComplete) // of one epoch the later word counts
	if st := v.Status; st.LastScan != "b-again" || st.Completeness != record.ScopeComplete || !st.LastComplete.Equal(unixNano(40)) {
		t.Errorf("standing %+v", st)
	}
	say("c", 15, 50, record.ScopeComplete)
	if st := v.Status; st.LastScan != "b-again" || !st.LastComplete.Equal(unixNano(40)) {
		t.Errorf("a complete scan from before the last complete one is its last: %+v", st)
	}
}

func TestGoneAtTheBounds(t *testing.T) {
	v := Standing{}
	if v.Floor() >= 0 {
		t.Error("something is gone before any complete scan")
	}
	if _, gone := v.GoneAt(5); gone {
		t.Error("gone without a complete scan")
	}
	for _, e := range []int64{30, 10, 20, 20} {
		v.AddEpoch(e)
	}
	if !slices.Equal(v.Epochs, []int64{10, 20, 30}) || v.Floor() != 30 {
		t.Fatalf("epochs %v", v.Epochs)
	}
	for observed, want := range map[int64]int64{9: 10, 10: 20, 19: 20, 29: 30, 30: 0, 31: 0} {
		if at, gone := v.GoneAt(observed); at != want || gone != (want != 0) {
			t.Errorf("observed at %d: gone at %d (%t), want %d", observed, at, gone, want)
		}
	}
	v.Prune(20)
	if !slices.Equal(v.Epochs, []int64{20, 30}) {
		t.Errorf("pruned before 20: %v", v.Epochs)
	}
	v.Prune(99)
	if !slices.Equal(v.Epochs, []int64{30}) {
		t.Errorf("the newest epoch is kept: %v", v.Epochs)
	}
	v.Epochs = nil
	for e := range int64(maxEpochs + 5) {
		v.AddEpoch(e)
	}
	if v.Prune(0); len(v.Epochs) != maxEpochs || v.Floor() != maxEpochs+4 {
		t.Errorf("%d epochs kept up to %d", len(v.Epochs), v.Floor())
	}
}

func TestASecondPlanMovesTheEpochBackOnly(t *testing.T) {
	s := New("s", event.KindScan)
	if s.Ended() {
		t.Error("a scan without its plan has ended")
	}
	if !s.Plan(planned(100, hangzhou, hangzhou), 0) || len(s.Scopes) != 1 {
		t.Errorf("scopes %v", s.Scopes)
	}
	other := ecs.Scope{Account: "2", Region: "cn-beijing"}
	if s.Plan(planned(90, other), 0) || s.Epoch.Unix() != 90 || s.Plans(other) || !s.Plans(hangzhou) {
		t.Errorf("after a second plan: epoch %v, scopes %v", s.Epoch, s.Scopes)
	}
	if s.Plan(planned(95), 0); s.Epoch.Unix() != 90 {
		t.Errorf("the epoch went forward to %v", s.Epoch)
	}
	if s.Start.Unix() != 100 {
		t.Errorf("started at %v", s.Start)
	}
	dateless := New("t", event.KindScan)
	dateless.Plan(planned(0), 7e9)
	if dateless.Start.Unix() != 7 {
		t.Errorf("a scan without a date starts at %v, want the broker's time", dateless.Start)
	}
	if !dateless.Ended() {
		t.Error("a scan of no scope has not ended")
	}
}

func TestBoundsOfAScope(t *testing.T) {
	p := NewScope(hangzhou, 1)
	if p.Plan(&event.ScopePlanned{Plan: "none"}) || p.Plan(&event.ScopePlanned{Plan: "many", Lanes: make([]string, maxLanes+1)}) || len(p.Plans) != 0 {
		t.Errorf("plans %v", p.Plans)
	}
	for i := range maxPlans + 3 {
		if !p.Plan(&event.ScopePlanned{Plan: fmt.Sprint(i), Lanes: make([]string, maxLanes)}) {
			t.Fatal("a plan at the bound is refused")
		}
	}
	if len(p.Plans) != maxPlans {
		t.Errorf("%d plans kept, want %d", len(p.Plans), maxPlans)
	}
	for page, want := range map[int]bool{-1: false, 0: true, maxPages - 1: true, maxPages: false} {
		if got := p.Page("a", "w", page, &Tally{}); got != want {
			t.Errorf("page %d counted: %t", page, got)
		}
		if got := p.Walk("a", "w").Lose(page, record.Failure{Error: "x"}); got != want {
			t.Errorf("page %d lost: %t", page, got)
		}
	}
	w := p.Walk("a", "w")
	w.End(&event.LaneEnded{Pages: maxPages + 1})
	w.End(&event.LaneEnded{Pages: -1})
	if w.Ended {
		t.Error("an end out of bounds is taken")
	}
	for i := range maxFailures + 5 {
		p.Refuse(record.Failure{Error: fmt.Sprint(i), RequestID: "differs"})
		p.Refuse(record.Failure{Error: fmt.Sprint(i), RequestID: "as often"})
	}
	if len(p.Refused) != maxFailures || p.Refused[0].RequestID != "" {
		t.Errorf("%d failures kept, the first %+v", len(p.Refused), p.Refused[0])
	}
}

// TestAWalkThatEndedWellStaysSo: a repeat of an end that failed does not undo one
// that did not, and the other way round the good word wins.
func TestAWalkThatEndedWellStaysSo(t *testing.T) {
	bad := &event.LaneEnded{Pages: 1, Failure: &record.Failure{Error: "refused"}}
	good := &event.LaneEnded{Pages: 1, Listed: 1, Instances: 1, IDs: 3}
	for _, ends := range [][]*event.LaneEnded{{bad, good}, {good, bad}, {good, bad, good}} {
		w := &Walk{Lane: "a", Name: "w"}
		for _, m := range ends {
			w.End(m)
		}
		if w.Failure != nil || w.Listed != 1 {
			t.Errorf("ended as %+v", w)
		}
	}
}

// A walk whose end is announced again with fewer instances is not done with those: which
// of the two ends is right nobody knows.
func TestAWalkThatEndsTwiceOtherwiseIsNotDone(t *testing.T) {
	all := event.LaneEnded{Pages: 2, Listed: 2, Instances: 2, IDs: 7}
	for name, other := range map[string]event.LaneEnded{
		"fewer pages": {Pages: 1, Listed: 1, Instances: 1, IDs: 3}, "more pages": {Pages: 3, Listed: 3, Instances: 3, IDs: 9},
		"more listed": {Pages: 2, Listed: 3, Instances: 2, IDs: 7}, "more published": {Pages: 2, Listed: 2, Instances: 3, IDs: 7},
		"other instances": {Pages: 2, Listed: 2, Instances: 2, IDs: 8}, "the same": all,
	} {
		s := New("s", event.KindScan)
		s.Plan(planned(100, hangzhou), 0)
		p := NewScope(hangzhou, 1)
		p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
		p.Page("a", "w", 0, &Tally{Rows: 1, Stored: 1, IDs: 3})
		w := p.Walk("a", "w")
		w.End(&all)
		w.End(&other)
		if w.done() {
			t.Errorf("%s: it is done before its second page", name)
		}
		p.Page("a", "w", 1, &Tally{Rows: 1, Stored: 1, IDs: 4})
		p.Page("a", "w", 2, &Tally{})
		s.Decide(p)
		want := record.ScopePartial
		if name == "the same" {
			want = record.ScopeComplete
		}
		if p.State != want || want == record.ScopePartial && (len(p.Failures()) != 1 || !strings.Contains(p.Failures()[0].Error, "announced twice")) {
			t.Errorf("%s: %s, %+v", name, p.State, p.Failures())
		}
	}
}

func TestAScopeSurvivesItsJSONForm(t *testing.T) {
	s, p := listing(t, 3, 2, 1)
	s.Decide(p)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Scope
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	back.Recount()
	if diff := cmp.Diff(p, &back, cmp.AllowUnexported(Walk{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if was, _ := s.Decide(&back); was != record.ScopeComplete || back.State != record.ScopeComplete {
		t.Errorf("read back it is %s", back.State)
	}
}

func TestASetCountsItsNumbers(t *testing.T) {
	var s Set
	for _, n := range []int{0, 7, 8, 63, 7} {
		if had := s.Has(n); s.Add(n) == had {
			t.Errorf("adding %d says the wrong thing", n)
		}
	}
	if s.Len() != 4 || s.Has(1) || s.Has(1000) || !s.Has(63) {
		t.Errorf("set %v", s)
	}
}

func TestAnAbortedScanNamesWhatItDidNotRead(t *testing.T) {
	other := ecs.Scope{Account: "2", Region: "cn-beijing"}
	s, p := listing(t, 1, 1)
	s.Scopes = append(s.Scopes, other)
	s.Decide(p)
	p.Close()
	got := s.Final(200e9, "no producer")
	if got.State != record.ScanAborted || got.Reason != "no producer" || got.Done != got.Regions || got.EndedAt.Unix() != 200 {
		t.Errorf("%+v", got)
	}
	if got.Scopes[0].Completeness != record.ScopeComplete || got.Scopes[1].Completeness != record.ScopeFailed || len(got.Scopes[1].Failures) != 1 {
		t.Errorf("scopes %+v", got.Scopes)
	}
	if got := s.Final(200e9, ""); got.State != record.ScanPartial {
		t.Errorf("with a scope that nobody decided the state is %s", got.State)
	}
	s.Scopes = s.Scopes[:1]
	if got := s.Final(200e9, ""); got.State != record.ScanComplete {
		t.Errorf("with nothing against it the state is %s", got.State)
	}
}

// TestOutcomesOfARescan: of what several accounts and regions say of an instance
// the strongest counts, and "not found" only where everybody says so.
func TestOutcomesOfARescan(t *testing.T) {
	beijing := ecs.Scope{Account: "2", Region: "cn-beijing"}
	rescan := func(failed ...record.Failure) *Scan {
		s := New("r", event.KindRescan)
		s.Plan(&event.ScanPlanned{ScanID: "r", Kind: event.KindRescan, Epoch: time.Unix(100, 0), Scopes: []ecs.Scope{hangzhou, beijing}, InstanceIDs: []string{"i-2", "i-1", "i-1"}, Failed: failed}, 0)
		return s
	}
	said := func(s *Scan, key ecs.Scope, walk string, m event.LaneEnded) {
		p := s.Progress[key]
		if p == nil {
			p = NewScope(key, 1)
			s.Progress[key] = p
		}
		p.Walk("a", walk).End(&m)
	}
	found, notFound, notRead := event.LaneEnded{Found: []string{"i-1"}}, event.LaneEnded{NotFound: []string{"i-1"}}, event.LaneEnded{NotRead: []string{"i-1"}}
	outstanding := event.LaneEnded{Found: []string{"i-1"}, Pages: 1}
	lacking := event.LaneEnded{Found: []string{"i-1"}, Listed: 1, Instances: 1, IDs: event.IDSum("i-1")} // which a worker dropped
	refused := notRead
	refused.Failure = &record.Failure{Error: "denied"}
	for name, c := range map[string]struct {
		here, again, there *event.LaneEnded
		failed             []record.Failure
		abort              string
		want               record.AskedInstance
	}{
		"found_here":                   {here: &found, there: &notFound, want: record.AskedInstance{Outcome: record.Found, Account: "1", Region: "cn-hangzhou"}},
		"found_there":                  {here: &notRead, there: &found, want: record.AskedInstance{Outcome: record.Found, Account: "2", Region: "cn-beijing"}},
		"found_and_not_stored":         {here: &outstanding, there: &notFound, want: record.AskedInstance{Outcome: record.NotRead, Account: "1", Region: "cn-hangzhou", Cause: "it was seen, and what was seen of it was not stored"}},
		"found_and_stored_in_part":     {here: &lacking, there: &notFound, want: record.AskedInstance{Outcome: record.NotRead, Account: "1", Region: "cn-hangzhou", Cause: "it was seen, and what was seen of it may not be stored: lane a: 1 instances listed, 1 published, 0 classified, 0 stored"}},
		"found_by_a_later_walk":        {here: &notRead, again: &found, there: &notFound, want: record.AskedInstance{Outcome: record.Found, Account: "1", Region: "cn-hangzhou"}},
		"found_by_an_earlier_walk":     {here: &found, again: &notRead, there: &notFound, want: record.AskedInstance{Outcome: record.Found, Account: "1", Region: "cn-hangzhou"}},
		"nowhere":                      {here: &notFound, there: &notFound, want: record.AskedInstance{Outcome: record.NotFound}},
		"nowhere_else_asked":           {here: &notFound, want: record.AskedInstance{Outcome: record.NotFound, Account: "1", Region: "cn-hangzhou"}},
		"not_read_in_one_place":        {here: &refused, there: &notFound, want: record.AskedInstance{Outcome: record.NotRead, Account: "1", Region: "cn-hangzhou", Cause: "denied"}},
		"nobody_asked":                 {want: record.AskedInstance{Outcome: record.NotRead, Cause: "no account and region was asked for it"}},
		"nobody_asked_for_a_failure":   {failed: []record.Failure{{Error: "no role"}}, want: record.AskedInstance{Outcome: record.NotRead, Cause: "no role"}},
		"nowhere_but_one_place_failed": {here: &notFound, failed: []record.Failure{{Error: "no role"}}, want: record.AskedInstance{Outcome: record.NotRead, Cause: "no role"}},
		"nowhere_but_aborted":          {here: &notFound, abort: "stopped", want: record.AskedInstance{Outcome: record.NotRead, Cause: "stopped"}},
		"found_though_aborted":         {here: &found, abort: "stopped", want: record.AskedInstance{Outcome: record.Found, Account: "1", Region: "cn-hangzhou"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := rescan(c.failed...)
			if c.here != nil {
				said(s, hangzhou, "w", *c.here)
			}
			if c.again != nil {
				said(s, hangzhou, "w2", *c.again)
			}
			if c.there != nil {
				said(s, beijing, "w", *c.there)
			}
			got := s.Outcomes(c.abort)
			if len(got) != 2 || got[0].InstanceID != "i-1" || got[1].InstanceID != "i-2" {
				t.Fatalf("outcomes %+v, want one of each id", got)
			}
			c.want.InstanceID = "i-1"
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Error(diff)
			}
			if got[1].Outcome != record.NotRead {
				t.Errorf("of i-2 nobody said anything, and it is %s", got[1].Outcome)
			}
		})
	}
	if got := CountOutcomes([]record.AskedInstance{{Outcome: record.Found}, {Outcome: record.NotFound}, {Outcome: record.NotRead}, {Outcome: record.Found}, {Outcome: "else"}}); *got != (record.AskedTotals{Instances: 5, Found: 2, NotFound: 1, NotRead: 2}) {
		t.Errorf("counted %+v", got)
	}
}

// TestAnswersThatSpeakAgainstAScope: a question that could not be answered, and
// counts that still disagree after another listing.
func TestAnswersThatSpeakAgainstAScope(t *testing.T) {
	s, p := listing(t, 0, 0)
	_, questions := s.Settle(p, []string{"i-1"}, false)
	p.Answer(&event.ScopeChecked{Question: questions[0].Question, Failure: &record.Failure{Error: "denied"}})
	if settled, _ := s.Settle(p, []string{"i-1"}, false); !settled || len(p.Doubts) != 1 || p.Doubts[0].Error != "denied" {
		t.Errorf("settled %t with doubts %+v", settled, p.Doubts)
	}

	before, after := 10, 10
	s, p = listing(t, before, 3, 4)
	_, questions = s.Settle(p, nil, false)
	p.Answer(&event.ScopeChecked{Question: questions[0].Question, Counted: &after})
	if n := p.numbers(); *n.Counted != after || n.Listed != 7 {
		t.Errorf("numbers %+v", n)
	}
	_, questions = s.Settle(p, nil, false)
	if !questions[0].Again || len(p.Disputed) != 1 {
		t.Fatalf("asked %+v, want another listing", questions[0])
	}
	if _, open := s.Decide(p); !open || p.State != record.ScopePending {
		t.Errorf("while it is listed again the scope is %s", p.State)
	}
	// The other listing cannot be had.
	p.Answer(&event.ScopeChecked{Question: questions[0].Question, Failure: &record.Failure{Error: "denied"}})
	if s.Decide(p); p.State != record.ScopePartial {
		t.Errorf("without another listing the scope is %s", p.State)
	}
	// It came after all, in lanes that disagree again.
	p.Plan(&event.ScopePlanned{Plan: "q", Lanes: []string{"b", "c"}, Counted: &before})
	for _, lane := range []string{"b", "c"} {
		p.Page(lane, "w", 0, &Tally{Rows: 2, Stored: 2})
		p.Walk(lane, "w").End(&event.LaneEnded{Pages: 1, Listed: 2, Instances: 2})
	}
	if s.Decide(p); p.State != record.ScopeComplete {
		t.Fatalf("with another plan read the listing is %s", p.State)
	}
	_, questions = s.Settle(p, nil, false)
	p.Answer(&event.ScopeChecked{Question: questions[0].Question, Counted: &after})
	if settled, again := s.Settle(p, nil, false); !settled || len(again) != 0 || len(p.Doubts) != 1 {
		t.Errorf("settled %t asking %+v with doubts %+v, want one doubt and no third listing", settled, again, p.Doubts)
	}
}

func TestADisagreementNamesItsCause(t *testing.T) {
	for name, c := range map[string]struct {
		tally Tally
		want  string
	}{
		"a_row_refused":   {Tally{Rows: 2, Stored: 1, IDs: 7, Refused: "too long"}, "1 stored; too long"},
		"a_row_missing":   {Tally{Rows: 2, Stored: 1, IDs: 7}, "2 classified, 1 stored"},
		"one_for_another": {Tally{Rows: 2, Stored: 2, IDs: 8}, "2 stored, but not the same ones"},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewScope(hangzhou, 1)
			p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
			p.Page("a", "w", 0, &c.tally)
			p.Page("a", "w", 1, &Tally{Refused: c.tally.Refused})
			w := p.Walk("a", "w")
			w.End(&event.LaneEnded{Pages: 2, Listed: 2, Instances: 2, IDs: 7})
			if !strings.HasSuffix(w.disagreement(), c.want) {
				t.Errorf("%q, want it to end in %q", w.disagreement(), c.want)
			}
		})
	}
}
