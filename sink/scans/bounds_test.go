package scans

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

var (
	beijing  = ecs.Scope{Account: "1", Region: "cn-beijing"}
	shanghai = ecs.Scope{Account: "2", Region: "cn-shanghai"}
)

func cause(text string) record.Failure {
	return record.Failure{Account: "1", Region: "cn-hangzhou", API: "DescribeInstances", Error: text}
}

// walked is a walk of so many listed instances, all of which were stored unless
// one is said to be missing.
func walked(p *Scope, lane, name string, n int, done bool) {
	p.Page(lane, name, 0, &Tally{Rows: n, Stored: n, IDs: uint64(n)})
	listed := n
	if !done {
		listed++
	}
	p.Walk(lane, name).End(&event.LaneEnded{Pages: 1, Listed: listed, Instances: n, IDs: uint64(n)})
}

// What a rescan says of a single instance is kept, of whatever kind it is.
func TestAWalkSaysOfOneInstanceWhatBecameOfIt(t *testing.T) {
	one := []string{"i-1"}
	for name, c := range map[string]struct {
		end  event.LaneEnded
		says bool
	}{
		"nothing": {event.LaneEnded{}, false}, "found": {event.LaneEnded{Found: one}, true}, "not found": {event.LaneEnded{NotFound: one}, true}, "not read": {event.LaneEnded{NotRead: one}, true},
		"found and not found": {event.LaneEnded{Found: one, NotFound: one}, true}, "found and not read": {event.LaneEnded{Found: one, NotRead: one}, true},
	} {
		if got := askedOf(&c.end); (got != nil) != c.says {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p := NewScope(hangzhou, 1)
	p.Walk("a", "lists").End(&event.LaneEnded{})
	p.Walk("a", "asks").End(&event.LaneEnded{Found: one})
	if got := p.outcomes()["i-1"]; got.Outcome != record.Found {
		t.Errorf("behind a walk that asks for none: %+v", got)
	}
}

// An answer is awaited as long as its question is open, and no longer.
func TestOnlyAnOpenQuestionAwaitsAnAnswer(t *testing.T) {
	_, p := listing(t, 10, 10, 0)
	question := &event.ScopeCheck{Question: "q"}
	if p.Awaits(question) || p.AwaitsAnswers() {
		t.Error("an answer is awaited, and nothing was asked")
	}
	p.Check = &Check{Question: "q", Plan: "p", Parts: 1}
	if !p.Awaits(question) || !p.AwaitsAnswers() {
		t.Error("no answer is awaited")
	}
	if p.Awaits(&event.ScopeCheck{Question: "another"}) {
		t.Error("an answer to another question is awaited")
	}
	p.Check.Plan = "another"
	if p.AwaitsAnswers() {
		t.Error("the scope waits for answers about another plan")
	}
	p.Whole = true
	if p.Awaits(question) {
		t.Error("a scope that is whole awaits an answer")
	}
}

// Counts are asked for, and held against a listing, where it was made in several
// lanes and counted before.
func TestOnlyAListingInLanesIsHeldAgainstCounts(t *testing.T) {
	ten := 10
	for name, c := range map[string]struct {
		r     reading
		after *int
		want  bool
	}{
		"both":         {reading{lanes: 2, before: &ten}, &ten, true},
		"one lane":     {reading{lanes: 1, before: &ten}, &ten, false},
		"not before":   {reading{lanes: 2}, &ten, false},
		"not after":    {reading{lanes: 2, before: &ten}, nil, false},
		"not counted":  {reading{lanes: 2}, nil, false},
		"one, neither": {reading{lanes: 1}, nil, false},
	} {
		c.r.Listed = 5
		if got := c.r.disagrees(c.after); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, c := range map[string]struct {
		lanes   []int
		counted bool
		settled bool
	}{
		"one lane":               {[]int{5}, true, true},
		"two lanes":              {[]int{5, 5}, true, false},
		"two lanes, not counted": {[]int{5, 5}, false, true},
		"one lane, not counted":  {[]int{5}, false, true},
	} {
		s, p := listing(t, 10, c.lanes...)
		if !c.counted {
			p.Plans["p"].Counted = nil
		}
		if settled, questions := s.Settle(p, nil, false); settled != c.settled || len(questions) != map[bool]int{false: 1}[settled] {
			t.Errorf("%s: settled %t with %d questions", name, settled, len(questions))
		}
	}
}

// A question has as many parts as its ids need, each id once; the count is asked
// for with the first.
func TestAQuestionIsCutIntoParts(t *testing.T) {
	const most = event.MaxCheckIDs
	for n, parts := range map[int]int{1: 1, most - 1: 1, most: 1, most + 1: 2, 2 * most: 2, 2*most + 1: 3} {
		missing := make([]string, n)
		for i := range missing {
			missing[i] = fmt.Sprint("i-", i)
		}
		for _, lanes := range [][]int{{10}, {5, 5}} {
			for _, counted := range []bool{true, false} {
				s, p := listing(t, 10, lanes...)
				if !counted {
					p.Plans["p"].Counted = nil
				}
				_, questions := s.Settle(p, missing, false)
				var ids []string
				for i, q := range questions {
					ids = append(ids, q.InstanceIDs...)
					if q.Part != i || q.Parts != parts || q.Count != (i == 0 && len(lanes) > 1 && counted) {
						t.Errorf("%d ids, %d lanes: %+v", n, len(lanes), q)
					}
				}
				if len(questions) != parts || !slices.Equal(ids, missing) {
					t.Errorf("%d ids have %d parts of %d ids, want %d", n, len(questions), len(ids), parts)
				}
			}
		}
	}
}

// A cause names at most three instances, from however many answers.
func TestACauseNamesThreeInstances(t *testing.T) {
	p := NewScope(hangzhou, 1)
	p.Check = &Check{Question: "q", Parts: 3}
	for part, examples := range [][]string{{"a", "b"}, {"c", "d"}, {"e"}} {
		p.Answer(&event.ScopeChecked{Question: "q", Part: part, Found: 1, Examples: examples})
	}
	if !slices.Equal(p.Check.Examples, []string{"a", "b", "c"}) || p.Check.Found != 3 {
		t.Errorf("%+v", p.Check)
	}
}

// An account is awaited from where the announcement names it as pending to where it
// names it again.
func TestAccountsAreAwaitedUntilTheirRegionsAreKnown(t *testing.T) {
	s := New("s", event.KindScan)
	part := func(more bool, accounts ...event.PlannedAccount) {
		m := planned(100)
		m.More, m.Accounts = more, accounts
		s.Plan(m, 0)
	}
	check := func(what string, want ...string) {
		t.Helper()
		var planning []string
		for _, a := range s.Report().Accounts {
			if a.Planning {
				planning = append(planning, a.Account)
			}
		}
		if !slices.Equal(s.Awaited, want) || !slices.Equal(planning, want) {
			t.Errorf("%s: %v are awaited and %v shown so, want %v", what, s.Awaited, planning, want)
		}
	}
	part(true, event.PlannedAccount{ID: "2", Pending: true}, event.PlannedAccount{ID: "1", Pending: true}, event.PlannedAccount{ID: "3", Pending: true}, event.PlannedAccount{ID: "4"}, event.PlannedAccount{ID: "5", Excluded: true, Pending: true})
	check("the first part", "1", "2", "3")
	part(true, event.PlannedAccount{ID: "2"})
	check("one is known", "1", "3")
	part(true, event.PlannedAccount{ID: "1", Pending: true}, event.PlannedAccount{ID: "4", Pending: true}, event.PlannedAccount{ID: "2", Pending: true})
	check("what is known stays so", "1", "3")
	if !s.Names("4") || s.Names("5") || s.Names("6") {
		t.Error("other accounts are named than were announced")
	}
	if s.Ended() {
		t.Error("a scan ended whose announcement has not")
	}
	part(false)
	check("the last part")
}

// A scan has ended where every planned scope is decided, and a scope that is whole
// or not planned is not decided again.
func TestAScanEndsWithItsLastScope(t *testing.T) {
	s := New("s", event.KindScan)
	m := planned(100, hangzhou, beijing)
	m.Failed = []record.Failure{{Account: "3", Error: "no access"}}
	s.Plan(m, 0)
	for i, key := range []ecs.Scope{hangzhou, beijing} {
		if s.Ended() {
			t.Errorf("it ended when %d scopes were known", i)
		}
		p := NewScope(key, uint32(i))
		s.Progress[key] = p
		if s.Ended() {
			t.Errorf("it ended with %v pending", key)
		}
		p.State, p.Decided = record.ScopeComplete, time.Unix(100+int64(10*i), 0).UnixNano()
	}
	if !s.Ended() {
		t.Error("it has not ended")
	}
	s.Progress[beijing].Whole = true
	if _, open := s.Decide(s.Progress[beijing]); open {
		t.Error("a scope that is whole is decided again")
	}
	if _, open := s.Decide(NewScope(shanghai, 3)); open {
		t.Error("a scope that is not planned is decided")
	}
}

// The report counts scopes, and accounts, by what they came to.
func TestAReportCountsWhatScopesCameTo(t *testing.T) {
	s := New("s", event.KindScan)
	m := planned(100)
	states := []record.Completeness{record.ScopeComplete, record.ScopeComplete, record.ScopePartial, record.ScopePartial, record.ScopeFailed, record.ScopeFailed, record.ScopePending}
	for i := range states {
		m.Scopes = append(m.Scopes, ecs.Scope{Account: "1", Region: fmt.Sprint("r", i)})
	}
	m.Failed = []record.Failure{{Account: "1", Region: "s"}, {Account: "2"}}
	s.Plan(m, 0)
	for i, state := range states[:6] {
		p := NewScope(m.Scopes[i], uint32(i))
		p.State, p.Instances, p.Pages = state, 10, 2
		s.Progress[p.Key] = p
	}
	s.Progress[m.Scopes[1]].Decided = time.Unix(130, 0).UnixNano()
	s.Progress[m.Scopes[2]].Decided = time.Unix(120, 0).UnixNano()
	r := s.Report()
	if r.Regions != 9 || r.Done != 8 || r.Instances != 60 || r.Pages != 12 {
		t.Errorf("%+v", r)
	}
	if a := r.Accounts[0]; a.Account != "1" || a.Regions != 8 || a.Complete != 2 || a.Partial != 2 || a.Failed != 3 || a.Seconds != 30 || a.Instances != 60 {
		t.Errorf("%+v", a)
	}
	if a := r.Accounts[1]; a.Account != "2" || a.Regions != 1 || a.Failed != 1 || a.Seconds != 0 {
		t.Errorf("%+v", a)
	}
}

// What is kept of a scope is bounded, and what is at its bound is kept.
func TestAScopeKeepsToItsBounds(t *testing.T) {
	p := NewScope(hangzhou, 1)
	p.Walks = make([]*Walk, maxWalks-1)
	for i := range p.Walks {
		p.Walks[i] = &Walk{}
	}
	last := p.Walk("a", "last")
	if last == nil || p.Walk("a", "one more") != nil || p.Walk("a", "last") != last {
		t.Errorf("%d walks are kept", len(p.Walks))
	}
	if p.Page("a", "one more", 0, &Tally{}) {
		t.Error("a page of a walk that is not kept counts")
	}
	var w Walk
	if w.End(&event.LaneEnded{Pages: maxPages + 1}); w.Ended {
		t.Error("a walk of too many pages ended")
	}
	if w.End(&event.LaneEnded{Pages: maxPages}); !w.Ended {
		t.Error("a walk of as many pages as may be has not ended")
	}
	p = NewScope(hangzhou, 1)
	for i := range maxFailures + 1 {
		p.Refuse(cause(fmt.Sprint("refused ", i)))
		p.Doubt(cause(fmt.Sprint("doubt ", i)))
	}
	if n := len(p.Failures()); n != maxFailures {
		t.Errorf("%d causes are told", n)
	}
}

// A page behind the last that was announced takes no other's place.
func TestAPageThatWasNotAnnouncedCountsForNone(t *testing.T) {
	s := New("s", event.KindScan)
	s.Plan(planned(100, hangzhou), 0)
	p := NewScope(hangzhou, 1)
	p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
	w := p.Walk("a", "w")
	w.End(&event.LaneEnded{Pages: 2})
	p.Page("a", "w", 0, &Tally{})
	p.Page("a", "w", 2, &Tally{})
	p.Page("a", "w", 2, &Tally{})
	if s.Decide(p); p.State != record.ScopePending {
		t.Errorf("%s, and its second page never came", p.State)
	}
	p.Page("a", "w", 1, &Tally{})
	if s.Decide(p); p.State != record.ScopeComplete {
		t.Errorf("%s, and all its pages came", p.State)
	}
}

// A scope that was refused is partial where anything of it was read, and else
// failed; one of which nothing is known is pending.
func TestWhatARefusedScopeCameTo(t *testing.T) {
	s := New("s", event.KindScan)
	s.Plan(planned(100, hangzhou), 0)
	state := func(f func(p *Scope)) record.Completeness {
		p := NewScope(hangzhou, 1)
		f(p)
		s.Decide(p)
		return p.State
	}
	for name, c := range map[string]struct {
		f    func(p *Scope)
		want record.Completeness
	}{
		"nothing came":         {func(*Scope) {}, record.ScopePending},
		"refused":              {func(p *Scope) { p.Refuse(cause("no")) }, record.ScopeFailed},
		"refused after a page": {func(p *Scope) { p.Page("a", "w", 0, &Tally{}); p.Refuse(cause("no")) }, record.ScopePartial},
		"planned":              {func(p *Scope) { p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}}) }, record.ScopePending},
		"its plan was disputed": {func(p *Scope) {
			walked(p, "a", "w", 3, true)
			p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
			p.Disputed = []string{"p"}
		}, record.ScopePending},
		"disputed and refused": {func(p *Scope) {
			walked(p, "a", "w", 3, true)
			p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
			p.Disputed = []string{"p"}
			p.Refuse(cause("no"))
		}, record.ScopePartial},
	} {
		if got := state(c.f); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Of several walks of a lane one that is done counts, else the one that stored
// most, else the first.
func TestTheBestWalkOfALaneCounts(t *testing.T) {
	type walk struct {
		n    int
		done bool
	}
	for name, c := range map[string]struct {
		walks []walk
		want  int // stored
	}{
		"one":                           {[]walk{{5, true}}, 5},
		"done after one that is not":    {[]walk{{5, false}, {3, true}}, 3},
		"done before one that has more": {[]walk{{3, true}, {5, false}}, 3},
		"done before another":           {[]walk{{3, true}, {5, true}}, 3},
		"the one that has more":         {[]walk{{3, false}, {5, false}}, 5},
		"the one that has less":         {[]walk{{5, false}, {3, false}}, 5},
	} {
		p := NewScope(hangzhou, 1)
		p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"none", "a"}})
		for i, w := range c.walks {
			walked(p, "a", fmt.Sprint(i), w.n, w.done)
		}
		if got := p.numbers().Stored; got != c.want {
			t.Errorf("%s: %d stored, want %d", name, got, c.want)
		}
	}
	p := NewScope(hangzhou, 1)
	p.Plan(&event.ScopePlanned{Plan: "p", Lanes: []string{"a"}})
	for _, created := range []int{1, 2} { // two walks that are alike but for this
		walked(p, "a", fmt.Sprint(created), 5, false)
		p.Walk("a", fmt.Sprint(created)).Created = created
	}
	if best, _ := p.best(); best.created != 1 {
		t.Errorf("of two alike the one that came second counts: %+v", best)
	}
}

// Of several plans one that is whole and not disputed counts, of two such and of
// two that are neither the one that stored more, else the first by its name.
func TestTheBestPlanCounts(t *testing.T) {
	type plan struct {
		n    int
		done bool
	}
	for name, c := range map[string]struct {
		first, second plan
		disputed      []string
		want          string
		whole         bool
	}{
		"both whole, the second has more": {plan{3, true}, plan{5, true}, nil, "q", true},
		"both whole, the first has more":  {plan{5, true}, plan{3, true}, nil, "p", true},
		"both whole and alike":            {plan{5, true}, plan{5, true}, nil, "p", true},
		"the second is whole":             {plan{5, false}, plan{3, true}, nil, "q", true},
		"the first is whole":              {plan{3, true}, plan{5, false}, nil, "p", true},
		"neither, the second has more":    {plan{3, false}, plan{5, false}, nil, "q", false},
		"neither, the first has more":     {plan{5, false}, plan{3, false}, nil, "p", false},
		"neither and alike":               {plan{5, false}, plan{5, false}, nil, "p", false},
		"the first is disputed":           {plan{5, true}, plan{3, true}, []string{"p"}, "q", true},
		"the second is disputed":          {plan{3, true}, plan{5, true}, []string{"q"}, "p", true},
		"both are disputed":               {plan{3, true}, plan{5, true}, []string{"p", "q"}, "q", false},
	} {
		p := NewScope(hangzhou, 1)
		for i, pl := range []plan{c.first, c.second} {
			name := string(rune('p' + i))
			p.Plan(&event.ScopePlanned{Plan: name, Lanes: []string{name}})
			walked(p, name, "w", pl.n, pl.done)
		}
		p.Disputed = c.disputed
		if best, whole := p.best(); best.plan != c.want || whole != c.whole {
			t.Errorf("%s: %s, whole %t", name, best.plan, whole)
		}
	}
}

// How many the API counts is what was said last: after the listing, by its only
// lane, before it was cut.
func TestWhatIsShownAsCounted(t *testing.T) {
	before, walk, after := 10, 11, 12
	for name, c := range map[string]struct {
		lanes []string
		walk  *int
		check *Check
		want  *int
	}{
		"before":                   {[]string{"a"}, nil, nil, &before},
		"by its only lane":         {[]string{"a"}, &walk, nil, &walk},
		"by one of two lanes":      {[]string{"a", "b"}, &walk, nil, &before},
		"after":                    {[]string{"a"}, &walk, &Check{Plan: "p", Counted: &after}, &after},
		"not counted after":        {[]string{"a"}, &walk, &Check{Plan: "p"}, &walk},
		"after of another listing": {[]string{"a"}, &walk, &Check{Plan: "q", Counted: &after}, &walk},
	} {
		p := NewScope(hangzhou, 1)
		p.Plan(&event.ScopePlanned{Plan: "p", Lanes: c.lanes, Counted: &before})
		for _, lane := range c.lanes {
			p.Walk(lane, "w").End(&event.LaneEnded{Counted: c.walk})
		}
		p.Check = c.check
		if got := p.numbers().Counted; got != c.want {
			t.Errorf("%s: %v, want %d", name, got, *c.want)
		}
	}
}

// A doubt is new once, and changes the report of a scope that is closed.
func TestADoubtChangesAFixedReport(t *testing.T) {
	p := NewScope(hangzhou, 1)
	if !p.Doubt(cause("one")) || p.Doubt(cause("one")) {
		t.Error("a doubt is not new once")
	}
	if p.State != record.ScopePending || p.Seal != nil {
		t.Errorf("a scope that is open is %s", p.State)
	}
	p = NewScope(hangzhou, 1)
	p.State, p.Gone = record.ScopeComplete, 3
	p.Close()
	if p.Report().Completeness != record.ScopeComplete || p.Report().Gone != 3 {
		t.Errorf("%+v", p.Report())
	}
	p.Doubt(cause("one"))
	if r := p.Report(); p.State != record.ScopePartial || r.Completeness != record.ScopePartial || len(r.Failures) != 1 {
		t.Errorf("%+v", r)
	}
	p.Ungone()
	if p.Gone != 0 || p.Report().Gone != 0 {
		t.Errorf("%d are gone", p.Report().Gone)
	}
	p = NewScope(hangzhou, 1)
	p.Gone = 3
	if p.Ungone(); p.Gone != 0 {
		t.Errorf("%d are gone", p.Gone)
	}
}

// A set takes a bit for each number up to its largest, in whatever order they come.
func TestASetTakesABitANumber(t *testing.T) {
	var s Set
	for _, n := range []int{100, 5, 0, 203} {
		if s.Has(n) || !s.Add(n) || s.Add(n) || !s.Has(n) {
			t.Errorf("%d", n)
		}
	}
	if s.Len() != 4 || len(s) != 26 || s.Has(8*26) {
		t.Errorf("%d numbers in %d bytes", s.Len(), len(s))
	}
}

// A complete scan that is taken back leaves the one before it, and nothing else
// changes.
func TestACompleteScanIsTakenBack(t *testing.T) {
	complete := &record.ScanScope{Completeness: record.ScopeComplete}
	at := func(n int64) *time.Time { x := time.Unix(0, n).UTC(); return &x }
	build := func() *Standing {
		v := &Standing{Account: "1", Region: "cn-hangzhou"}
		for _, epoch := range []int64{100, 200, 300} {
			v.AddEpoch(epoch)
			v.End(fmt.Sprint("scan ", epoch), epoch, complete, epoch+50)
		}
		return v
	}
	v := build()
	if v.WholeEpoch != 300 || v.BeforeEpoch != 200 || !v.Status.LastComplete.Equal(*at(350)) {
		t.Fatalf("%+v", v)
	}
	held := v.Status
	if !v.DropEpoch(300) || v.WholeEpoch != 200 || v.BeforeEpoch != 0 || !v.Status.LastComplete.Equal(*at(250)) || !slices.Equal(v.Epochs, []int64{100, 200}) {
		t.Errorf("the last is taken back: %+v, %v", v, v.Status.LastComplete)
	}
	if !held.LastComplete.Equal(*at(350)) {
		t.Error("what a reader holds was changed")
	}
	v = build()
	if !v.DropEpoch(200) || v.WholeEpoch != 300 || !v.Status.LastComplete.Equal(*at(350)) || !slices.Equal(v.Epochs, []int64{100, 300}) {
		t.Errorf("the second is taken back: %+v", v)
	}
	if v.DropEpoch(250) {
		t.Error("one that never was is taken back")
	}
	bare := &Standing{Epochs: []int64{5}, WholeEpoch: 5}
	if !bare.DropEpoch(5) || len(bare.Epochs) != 0 || bare.Floor() != math.MinInt64 {
		t.Errorf("%+v", bare)
	}
	v = build()
	v.End("again", 300, complete, 400)
	if v.BeforeEpoch != 200 || !v.Status.LastComplete.Equal(*at(400)) {
		t.Errorf("the last ends twice: %+v, %v", v, v.Status.LastComplete)
	}
	v.End("late", 250, complete, 500)
	if v.WholeEpoch != 300 || v.StatusEpoch != 300 || !v.Status.LastComplete.Equal(*at(400)) || v.Status.LastScan != "again" {
		t.Errorf("an older one ends late: %+v", v)
	}
}

// A doubt about the last scan makes what was complete partial, and is told once.
func TestADoubtOfAStanding(t *testing.T) {
	v := &Standing{}
	if v.Doubt(cause("one")); v.Status != nil {
		t.Error("of no scan there is no doubt")
	}
	for was, want := range map[record.Completeness]record.Completeness{record.ScopeComplete: record.ScopePartial, record.ScopePartial: record.ScopePartial, record.ScopeFailed: record.ScopeFailed} {
		v := &Standing{Status: &record.ScopeStatus{Completeness: was}}
		v.Doubt(cause("one"))
		first := v.Status
		v.Doubt(cause("one"))
		if v.Status != first || v.Status.Completeness != want || len(v.Status.Failures) != 1 {
			t.Errorf("%s: %+v", was, v.Status)
		}
	}
}

// A walk failed where everything that it announced has come or is lost, and
// something speaks against it.
func TestWhenAWalkFailed(t *testing.T) {
	failure := cause("interrupted")
	end := func(pages int, failure *record.Failure) func(w *Walk) {
		return func(w *Walk) { w.End(&event.LaneEnded{Pages: pages, Failure: failure}) }
	}
	got := func(page int) func(w *Walk) { return func(w *Walk) { w.Got.Add(page); w.recount() } }
	lost := func(page int) func(w *Walk) { return func(w *Walk) { w.Lose(page, failure) } }
	for name, c := range map[string]struct {
		steps []func(w *Walk)
		want  bool
	}{
		"it has not ended":                      {[]func(*Walk){lost(0)}, false},
		"it is whole":                           {[]func(*Walk){got(0), end(1, nil)}, false},
		"it was interrupted":                    {[]func(*Walk){got(0), end(1, &failure)}, true},
		"it was interrupted, a page is to come": {[]func(*Walk){got(0), end(2, &failure)}, false},
		"its page is lost":                      {[]func(*Walk){lost(0), end(1, nil)}, true},
		"one is lost and one to come":           {[]func(*Walk){lost(0), end(2, nil)}, false},
		"what was lost came all the same":       {[]func(*Walk){lost(0), got(0), end(1, nil)}, false},
		"stages disagree":                       {[]func(*Walk){got(0), end(1, nil), func(w *Walk) { w.Listed++ }}, true},
	} {
		var w Walk
		for _, step := range c.steps {
			step(&w)
		}
		if got := w.failed(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		var w Walk
		for _, text := range order {
			w.Lose(0, cause(text))
		}
		if w.Losses.Error != "a" {
			t.Errorf("of %v %s is told", order, w.Losses.Error)
		}
	}
}

// Which stages disagree is told; that they have others, only where their numbers
// agree.
func TestADisagreementNamesTheStages(t *testing.T) {
	const others = "but not the same ones"
	for _, c := range []struct {
		listed, published, classified, stored int
		refused                               string
		want                                  string
	}{
		{2, 2, 2, 2, "", others},
		{3, 2, 2, 2, "", ""},
		{2, 2, 3, 3, "", ""},
		{3, 3, 3, 2, "", ""},
		{3, 3, 3, 2, "row 7 has no id", "; row 7 has no id"},
	} {
		w := &Walk{Lane: "a", Ended: true, Listed: c.listed, Published: c.published, Classified: c.classified, Stored: c.stored, IDs: 1, Refused: c.refused}
		got := w.disagreement()
		numbers := fmt.Sprintf("lane a: %d instances listed, %d published, %d classified, %d stored", c.listed, c.published, c.classified, c.stored)
		if !strings.HasPrefix(got, numbers) || !strings.HasSuffix(got, c.want) || strings.Contains(got, others) != (c.want == others) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What a clock that ran ahead dated is dated at the limit, and nothing else; who holds the
// status of before keeps it as it was.
func TestWhatIsDatedLaterThanALimitIsDatedAtIt(t *testing.T) {
	at := func(second int64) *time.Time { return new(time.Unix(second, 0).UTC()) }
	second := int64(time.Second)
	v := &Standing{
		Epochs: []int64{5 * second, 10 * second, 20 * second}, StatusEpoch: 20 * second, WholeEpoch: 20 * second, BeforeEpoch: 9 * second, BeforeComplete: at(30), EmptyEpoch: 10 * second, Unlisted: 11 * second,
		Status: &record.ScopeStatus{LastEnd: at(21), LastComplete: at(10)},
	}
	before := v.Status
	v.NotAfter(10 * second)
	want := &Standing{
		Epochs: []int64{5 * second, 10 * second, 10 * second}, StatusEpoch: 10 * second, WholeEpoch: 10 * second, BeforeEpoch: 9 * second, BeforeComplete: at(10), EmptyEpoch: 10 * second, Unlisted: 10 * second,
		Status: &record.ScopeStatus{LastEnd: at(10), LastComplete: at(10)},
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !before.LastEnd.Equal(*at(21)) {
		t.Error("the status that a reader holds is another one")
	}
	bare := &Standing{Epochs: []int64{5}}
	if bare.NotAfter(10); bare.Status != nil || bare.BeforeComplete != nil || bare.Floor() != 5 {
		t.Errorf("%+v", bare)
	}
	// What never was has no time, however early the limit is.
	if bare.NotAfter(-10); bare.Unlisted != 0 || bare.EmptyEpoch != 0 || bare.Floor() != -10 {
		t.Errorf("%+v", bare)
	}
}

// An announcement that comes in parts names its accounts where one part says so, and a
// failure has the name of an account only where that is the failure which was told of it.
func TestAnAccountWithoutAnIDHasTheNameOfItsOwnFailure(t *testing.T) {
	s := New("s", event.KindScan)
	lab, other := record.Failure{API: "GetCallerIdentity", Error: "refused"}, record.Failure{API: "AssumeRole", Error: "refused"}
	first := planned(100)
	first.More, first.Named, first.Failed = true, true, []record.Failure{lab, other}
	first.Unidentified = []event.Unidentified{{Name: "lab", Failure: lab}}
	s.Plan(first, 0)
	if s.Plan(planned(100), 0); !s.Named {
		t.Error("a later part took back that the accounts were named")
	}
	names := map[string]string{}
	for _, row := range s.Report().Scopes {
		names[row.Failures[0].API] = row.AccountName
	}
	if len(names) != 2 || names["GetCallerIdentity"] != "lab" || names["AssumeRole"] != "" {
		t.Errorf("names by failure: %v", names)
	}
}
