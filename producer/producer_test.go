package producer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

var scope = ecs.Scope{Account: "1", Region: "cn-x"}

// cloud is a fleet in memory that pages like the API.
type cloud struct {
	mu        sync.Mutex
	regions   []string
	instances []ecs.Instance // sorted as the API would list them
	pageSize  int
	// fail, when set, may refuse a call.
	fail func(call int, q ecs.Query) error
	// doubt, when set, may find a contradiction in what a call read.
	doubt  func(call int) *ecs.Error
	calls  int
	probes int
	denied bool
	bounds bounds
	// uncounted answers without a TotalCount; short leaves the last instances
	// out of every listing that it does not answer by id.
	uncounted bool
	short     int
	counted   func(probe, n int) int // what the server says it counts; nil: the truth
	matched   []int                  // what matching returned last
}

func (c *cloud) Regions(_ context.Context, account string) ([]ecs.Region, error) {
	if account == "broken" {
		return nil, &ecs.Error{Action: "DescribeRegions", Class: ecs.Credentials, Code: "InvalidAccessKeyId.NotFound"}
	}
	var out []ecs.Region
	for _, r := range c.regions {
		out = append(out, ecs.Region{ID: r})
	}
	return out, nil
}

// bounds is what a server makes of the times of a filter.
type bounds int

const (
	inclusive bounds = iota // at both ends, as far as the API's documentation goes
	halfOpen
	exclusive
)

// matcher returns what says whether a query asks for an instance.
func (c *cloud) matcher(q ecs.Query) func(*ecs.Instance) bool {
	if len(q.InstanceIDs) > 0 {
		return func(x *ecs.Instance) bool { return slices.Contains(q.InstanceIDs, x.ID) }
	}
	const minute = "2006-01-02T15:04Z"
	from, to := q.CreatedFrom, q.CreatedTo
	if c.bounds == exclusive && !from.IsZero() {
		from = from.Add(time.Minute)
	}
	if c.bounds != inclusive && !to.IsZero() {
		to = to.Add(-time.Minute)
	}
	first, last := from.Format(minute), to.Format(minute) // ordered like the times
	return func(x *ecs.Instance) bool {
		return (from.IsZero() || x.CreationTime >= first) && (to.IsZero() || x.CreationTime <= last)
	}
}

// matching returns the places of the instances that a query asks for, until it is
// called again. Thousands of calls list a region of 10,000 in some tests: to copy
// all that match for a page of one would be most of their time.
func (c *cloud) matching(q ecs.Query) []int {
	c.matched = c.matched[:0]
	matches := c.matcher(q)
	for i := range c.instances {
		if matches(&c.instances[i]) {
			c.matched = append(c.matched, i)
		}
	}
	return c.matched
}

func (c *cloud) Instances(_ context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.fail != nil {
		if err := c.fail(c.calls, q); err != nil {
			return nil, err
		}
	}
	hit := c.matching(q)
	if len(q.InstanceIDs) == 0 {
		hit = hit[:max(0, len(hit)-c.short)]
	}
	from := 0
	if q.NextToken != "" {
		if _, err := fmt.Sscanf(q.NextToken, "t%d", &from); err != nil {
			return nil, err
		}
	}
	size := c.pageSize
	if len(q.InstanceIDs) > 0 {
		size = len(hit) + 1
	}
	if len(hit) == 0 && c.denied {
		return nil, &ecs.Error{Action: "DescribeInstances", Scope: s, Class: ecs.Permission, Code: "Forbidden.RAM"}
	}
	page := &ecs.Page{Asked: time.Now()}
	for _, i := range hit[min(from, len(hit)):min(from+size, len(hit))] {
		page.Instances = append(page.Instances, c.instances[i])
	}
	if c.doubt != nil {
		page.Doubt = c.doubt(c.calls)
	}
	if from+size < len(hit) {
		page.NextToken = fmt.Sprintf("t%d", from+size)
	}
	return page, nil
}

func (c *cloud) CountInstances(_ context.Context, _ ecs.Scope, q ecs.Query) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probes++
	if c.uncounted {
		return ecs.NoCount, nil
	}
	n := len(c.matching(q))
	if c.counted != nil {
		n = c.counted(c.probes, n)
	}
	return n, nil
}

// journal keeps what was published.
type journal struct {
	mu   sync.Mutex
	msgs []event.Message
	err  error
}

func (j *journal) Publish(_ context.Context, m event.Message) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	j.msgs = append(j.msgs, m)
	return nil
}

func of[T event.Message](j *journal) []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []T
	for _, m := range j.msgs {
		if t, ok := m.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

func options() producer.Options {
	o := producer.DefaultOptions()
	o.LaneSize, o.PageWait = 50, time.Hour
	o.Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	return o
}

// listed are accounts by their ids.
type listed []string

func (l listed) Accounts(context.Context) ([]ecs.Account, error) {
	var out []ecs.Account
	for _, id := range l {
		out = append(out, ecs.Account{ID: id, Name: "name-of-" + id})
	}
	return out, nil
}

func accounts(c producer.Cloud, ids ...string) *producer.Roster {
	return producer.NewRoster(listed(ids), c, nil, time.Now)
}

func fleet(n int, spread time.Duration) []ecs.Instance {
	base := time.Date(2015, 6, 1, 0, 0, 0, 0, time.UTC)
	out := make([]ecs.Instance, n)
	for i := range out {
		out[i] = ecs.Instance{ID: fmt.Sprintf("i-%06d", i), CreationTime: base.Add(time.Duration(i) * spread).Format("2006-01-02T15:04Z")}
	}
	return out
}

// scan runs every job that the plan hands out.
func scan(t *testing.T, p *producer.Producer, j *journal) {
	t.Helper()
	if err := p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope}, "1"); err != nil {
		t.Fatal(err)
	}
	for _, lane := range of[*event.LaneJob](j) {
		if err := p.HandleLane(t.Context(), lane, "1"); err != nil {
			t.Fatal(err)
		}
	}
}

func seen(j *journal) map[string]int {
	out := map[string]int{}
	for _, m := range of[*event.InstancesListed](j) {
		for r := range m.Rows.All() {
			out[r.ID]++
		}
	}
	return out
}

func TestLanesNeitherOverlapNorLeaveAGap(t *testing.T) {
	for name, tc := range map[string]struct {
		n         int
		spread    time.Duration
		leastLane int
		mostLane  int
	}{
		"empty":                         {0, time.Hour, 1, 1},
		"small":                         {60, time.Hour, 1, 1},
		"spread over years":             {1000, 40 * time.Hour, 15, 40},
		"several a minute":              {1000, 20 * time.Second, 10, 40},
		"all in one minute":             {300, 0, 1, 3}, // the probes count a minute on a cut on both sides
		"a crowd of minutes at the end": {500, time.Minute, 8, 20},
	} {
		t.Run(name, func(t *testing.T) {
			c, j := &cloud{instances: fleet(tc.n, tc.spread), pageSize: 10}, &journal{}
			scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
			lanes := of[*event.LaneJob](j)
			if len(lanes) < tc.leastLane || len(lanes) > tc.mostLane {
				t.Errorf("%d lanes, want %d to %d", len(lanes), tc.leastLane, tc.mostLane)
			}
			got := seen(j)
			if len(got) != tc.n {
				t.Errorf("%d of %d instances seen", len(got), tc.n)
			}
			for id, times := range got {
				if times != 1 {
					t.Errorf("%s seen %d times", id, times)
				}
			}
			rows, pages := 0, 0
			for _, e := range of[*event.LaneEnded](j) {
				rows, pages = rows+e.Instances, pages+e.Pages
				if e.Failure != nil {
					t.Errorf("lane %s failed: %+v", e.Lane, e.Failure)
				}
			}
			if rows != tc.n || pages != len(of[*event.InstancesListed](j)) {
				t.Errorf("announced %d rows in %d pages, published %d in %d", rows, pages, tc.n, len(of[*event.InstancesListed](j)))
			}
		})
	}
}

func TestLanesLoseNothingWhateverTheBoundsMean(t *testing.T) {
	for name, b := range map[string]bounds{"inclusive": inclusive, "half-open": halfOpen, "exclusive": exclusive} {
		t.Run(name, func(t *testing.T) {
			c, j := &cloud{instances: fleet(1000, 20*time.Second), pageSize: 10, bounds: b}, &journal{}
			scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
			if n := len(of[*event.LaneJob](j)); n < 10 {
				t.Errorf("%d lanes", n)
			}
			got := seen(j)
			for id, times := range got {
				if times != 1 {
					t.Errorf("%s seen %d times", id, times)
				}
			}
			if len(got) != 1000 {
				t.Errorf("%d of 1000 instances seen", len(got))
			}
			for _, e := range of[*event.LaneEnded](j) {
				if e.Failure != nil || e.Listed != e.Instances {
					t.Errorf("lane %s listed %d, published %d: %+v", e.Lane, e.Listed, e.Instances, e.Failure)
				}
			}
		})
	}
}

func TestAScopeThatTheCloudDoesNotCountIsOneLane(t *testing.T) {
	c, j := &cloud{instances: fleet(1000, time.Hour), pageSize: 100, uncounted: true}, &journal{}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	plans, ended := of[*event.ScopePlanned](j), of[*event.LaneEnded](j)
	if len(plans) != 1 || plans[0].Counted != nil || len(ended) != 1 || ended[0].Failure != nil || ended[0].Counted != nil || ended[0].Listed != 1000 {
		t.Errorf("planned %+v, ended %+v", plans, ended)
	}
}

func TestAListingThatDisagreesWithTheCountIsReadOnceMore(t *testing.T) {
	for name, tc := range map[string]struct {
		shortFor int // walks
		failed   bool
	}{"once": {1, false}, "for ever": {100, true}} {
		t.Run(name, func(t *testing.T) {
			c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 100, short: 10}, &journal{}
			c.fail = func(call int, _ ecs.Query) error {
				if call > tc.shortFor {
					c.short = 0
				}
				return nil
			}
			scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
			ended := of[*event.LaneEnded](j)
			if len(ended) != 1 || c.calls != 2 || (ended[0].Failure != nil) != tc.failed {
				t.Fatalf("%d calls ended %+v", c.calls, ended)
			}
			if f := ended[0].Failure; f != nil && (f.Class != "contradicted" || !strings.Contains(f.Error, "45 instances are counted before and 45 after a listing of 35")) {
				t.Errorf("failure %+v", f)
			}
		})
	}
}

// Two counts between which a whole answer could be missing are not believed,
// though the listing lies between them: a probe that was refused counts nothing.
func TestCountsThatLieFarApartAgreeWithNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		size, short int
		counted     func(probe, n int) int
		failed      bool
		calls       int
	}{
		"the second count is empty once": {45, 0, func(probe, n int) int {
			if probe == 2 {
				return 0
			}
			return n
		}, false, 2},
		"the first count is empty and the list is short for ever": {250, 100, func(probe, n int) int {
			if probe%2 == 1 {
				return 0
			}
			return n
		}, true, 4},
		"few, of which one was released": {40, 1, func(probe, n int) int { return n - min(1, probe-1) }, false, 1},
		"few, of which most are missing": {40, 30, func(probe, n int) int { return n * (probe % 2) }, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c, j := &cloud{instances: fleet(tc.size, time.Hour), pageSize: 100, short: tc.short, counted: tc.counted}, &journal{}
			scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
			ended := of[*event.LaneEnded](j)
			if len(ended) != 1 || c.calls != tc.calls || (ended[0].Failure != nil) != tc.failed {
				t.Fatalf("%d calls ended %+v", c.calls, ended)
			}
			if f := ended[0].Failure; f != nil && f.Class != "contradicted" {
				t.Errorf("failure %+v", f)
			}
		})
	}
}

func TestWhatIsCreatedWhileAScopeIsReadRaisesNoDoubt(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 10}, &journal{}
	c.fail = func(call int, _ ecs.Query) error {
		// One is created and an old one released behind each call.
		c.instances = append(c.instances[1:], ecs.Instance{ID: fmt.Sprintf("i-new%d", call), CreationTime: now.Format("2006-01-02T15:04Z")})
		return nil
	}
	p := producer.New(options(), c, accounts(c, "1"), j, nil)
	if err := p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope, Epoch: now}, "1"); err != nil {
		t.Fatal(err)
	}
	if err := p.HandleLane(t.Context(), of[*event.LaneJob](j)[0], "1"); err != nil {
		t.Fatal(err)
	}
	if ended := of[*event.LaneEnded](j); len(ended) != 1 || ended[0].Failure != nil || ended[0].Created == 0 {
		t.Errorf("ended %+v", ended)
	}
}

func TestUnreadableCreationTimeIsNotLost(t *testing.T) {
	c := &cloud{instances: append(fleet(500, time.Hour), ecs.Instance{ID: "i-odd", CreationTime: "soon"}), pageSize: 10}
	// The odd one comes with every unfiltered answer only; the outer lanes are
	// unbounded on one side, so let the fake list it there.
	c.instances[len(c.instances)-1].CreationTime = "2031-01-01T00:00Z" // beyond the clock's idea of now
	j := &journal{}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	if got := seen(j); got["i-odd"] != 1 || len(got) != 501 {
		t.Errorf("instance with a creation time in the future seen %d times, %d in all", got["i-odd"], len(got))
	}
}

func TestExpiredTokenRestartsTheLaneAlone(t *testing.T) {
	c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 10}, &journal{}
	c.fail = func(call int, q ecs.Query) error {
		if call == 3 {
			return &ecs.Error{Action: "DescribeInstances", Scope: scope, Class: ecs.TokenExpired}
		}
		return nil
	}
	p := producer.New(options(), c, accounts(c, "1"), j, nil)
	scan(t, p, j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Failure != nil || ended[0].Walk != "1.1" || ended[0].Instances != 45 || ended[0].Pages != 1 {
		t.Errorf("ended %+v", ended)
	}
	walks := map[string]int{}
	for _, m := range of[*event.InstancesListed](j) {
		walks[m.Walk.Walk] += m.Rows.Len()
	}
	if diff := cmp.Diff(map[string]int{"1.0": 20, "1.1": 45}, walks); diff != "" {
		t.Error(diff)
	}
}

func TestTokenThatExpiresForEverEndsTheLane(t *testing.T) {
	c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 10}, &journal{}
	c.fail = func(_ int, q ecs.Query) error {
		if q.NextToken != "" {
			return &ecs.Error{Action: "DescribeInstances", Scope: scope, Class: ecs.TokenExpired}
		}
		return nil
	}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Failure == nil || ended[0].Failure.Class != "token-expired" {
		t.Errorf("ended %+v", ended)
	}
}

func TestEmptyAnswerIsVerified(t *testing.T) {
	c, j := &cloud{pageSize: 10, denied: true}, &journal{}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Failure == nil || ended[0].Failure.Code != "Forbidden.RAM" {
		t.Errorf("an empty answer that RAM may have made ended %+v", ended)
	}
}

func TestFailureInTheMiddleNamesCauseAndKeepsPages(t *testing.T) {
	c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 10}, &journal{}
	c.fail = func(call int, _ ecs.Query) error {
		if call >= 4 {
			return &ecs.Error{Action: "DescribeInstances", Scope: scope, Class: ecs.Transient, Code: "InternalError", RequestID: "R1", Mend: "wait"}
		}
		return nil
	}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Pages != 1 || ended[0].Instances != 30 || ended[0].Failure == nil || ended[0].Failure.RequestID != "R1" || ended[0].Failure.Mend != "wait" {
		t.Errorf("ended %+v", ended)
	}
}

func contradicted() *ecs.Error {
	return &ecs.Error{Action: "DescribeInstances", Scope: scope, Class: ecs.Contradicted, Err: errors.New("54 counted, 32 listed")}
}

func TestADoubtInOnePageEndsTheLanePartialWithAllThatWasRead(t *testing.T) {
	c, j := &cloud{instances: fleet(45, time.Hour), pageSize: 10}, &journal{}
	c.doubt = func(call int) *ecs.Error {
		if call == 2 {
			return contradicted()
		}
		return nil
	}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Instances != 45 || ended[0].Failure == nil || ended[0].Failure.Class != "contradicted" {
		t.Errorf("ended %+v", ended)
	}
	if n := len(seen(j)); n != 45 {
		t.Errorf("%d of 45 instances were published", n)
	}
}

func TestADoubtfulAnswerSaysOfNoInstanceThatItIsNotThere(t *testing.T) {
	c, j := &cloud{instances: fleet(3, time.Hour), doubt: func(int) *ecs.Error { return contradicted() }}, &journal{}
	req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{scope.Account}, Regions: []string{scope.Region}, InstanceIDs: []string{"i-000001", "i-away"}}
	if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleRescan(t.Context(), req, time.Now(), "1"); err != nil {
		t.Fatal(err)
	}
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || len(ended[0].NotFound) != 0 || ended[0].Failure == nil || len(seen(j)) != 1 {
		t.Errorf("ended %+v with %d instances", ended, len(seen(j)))
	}
}

// queued waits two minutes for its turn before it asks.
type queued struct{ *cloud }

func (c queued) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	time.Sleep(2 * time.Minute)
	return c.cloud.Instances(ctx, s, q)
}

func TestAnAnswersAgeIsCountedFromTheCallAndNotFromTheQueueBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Now = time.Now
		j, c := &journal{}, &cloud{instances: fleet(45, time.Hour), pageSize: 10}
		c.fail = func(call int, _ ecs.Query) error {
			if call > 20 {
				return &ecs.Error{Action: "DescribeInstances", Scope: scope, Class: ecs.BadRequest, Err: errors.New("the same page is read over and over")}
			}
			return nil
		}
		if err := producer.New(o, queued{c}, accounts(queued{c}, "1"), j, nil).HandleLane(t.Context(), &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0"}, "1"); err != nil {
			t.Fatal(err)
		}
		if ended := of[*event.LaneEnded](j); len(ended) != 1 || ended[0].Failure != nil || ended[0].Instances != 45 || c.calls != 5 {
			t.Errorf("%d calls ended %+v", c.calls, ended)
		}
	})
}

func TestAnswersFillPages(t *testing.T) {
	o := options()
	o.LaneSize = 5000
	c, j := &cloud{instances: fleet(2*event.MaxInstances+7, time.Hour), pageSize: 100}, &journal{}
	scan(t, producer.New(o, c, accounts(c, "1"), j, nil), j)
	var sizes, numbers []int
	for _, m := range of[*event.InstancesListed](j) {
		sizes, numbers = append(sizes, m.Rows.Len()), append(numbers, m.Page)
	}
	slices.Sort(numbers) // they are published side by side
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{7, event.MaxInstances, event.MaxInstances}) || !slices.Equal(numbers, []int{0, 1, 2}) {
		t.Errorf("%d instances came in pages of %v, numbered %v", len(c.instances), sizes, numbers)
	}
	if got := seen(j); len(got) != len(c.instances) {
		t.Errorf("%d instances were published, want %d", len(got), len(c.instances))
	}
}

// slow takes a second for every answer.
type slow struct{ *cloud }

func (c slow) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	time.Sleep(time.Second)
	return c.cloud.Instances(ctx, s, q)
}

func TestInstancesWaitForOthersForAMomentOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Now, o.PageWait = time.Now, 250*time.Millisecond
		j := &journal{}
		begun, done := time.Now(), make(chan error)
		go func() {
			c := slow{&cloud{instances: fleet(45, time.Hour), pageSize: 10}}
			done <- producer.New(o, c, accounts(c, "1"), j, nil).HandleLane(t.Context(), &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0"}, "1")
		}()
		time.Sleep(3*time.Second + 251*time.Millisecond)
		pages := of[*event.InstancesListed](j)
		if len(pages) != 3 {
			t.Fatalf("%d pages are out a moment after the third answer", len(pages))
		}
		for i, m := range pages {
			if at := begun.Add(time.Duration(i+1) * time.Second); m.Rows.Len() != 10 || m.Observed != at.UnixNano() {
				t.Errorf("page %d holds %d instances of %s, want 10 of %s", i, m.Rows.Len(), time.Unix(0, m.Observed).UTC(), at.UTC())
			}
		}
		if err := <-done; err != nil || len(seen(j)) != 45 {
			t.Errorf("lane ended with %v and %d instances", err, len(seen(j)))
		}
	})
}

func TestPageIsAsOldAsItsOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Now, o.PageWait = time.Now, time.Minute
		j := &journal{}
		first := time.Now().Add(time.Second)
		c := slow{&cloud{instances: fleet(45, time.Hour), pageSize: 10}}
		if err := producer.New(o, c, accounts(c, "1"), j, nil).HandleLane(t.Context(), &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0"}, "1"); err != nil {
			t.Fatal(err)
		}
		pages := of[*event.InstancesListed](j)
		if len(pages) != 1 || pages[0].Rows.Len() != 45 || pages[0].Observed != first.UnixNano() {
			t.Errorf("pages %+v", pages)
		}
	})
}

// Tags can make instances so large that 100 of them are more than a message
// holds.
func TestLargeInstancesAreSentInSmallerPages(t *testing.T) {
	c, j := &cloud{instances: fleet(200, time.Hour), pageSize: 100}, &journal{}
	for i := range c.instances {
		for k := range 20 {
			c.instances[i].Tags = append(c.instances[i].Tags, ecs.Tag{Key: fmt.Sprintf("%0128d", k), Value: strings.Repeat("界", 128) + fmt.Sprint(i, k)})
		}
	}
	o := options()
	o.LaneSize = 5000
	scan(t, producer.New(o, c, accounts(c, "1"), j, nil), j)
	pages := of[*event.InstancesListed](j)
	for _, m := range pages {
		if _, err := event.Append(nil, m); err != nil {
			t.Errorf("page %d of %d instances: %v", m.Page, m.Rows.Len(), err)
		}
	}
	if got := seen(j); len(got) != 200 || len(pages) < 4 {
		t.Errorf("%d instances in %d pages", len(got), len(pages))
	}
}

func TestAnInstanceThatFitsIntoNoMessageIsNamed(t *testing.T) {
	c, j := &cloud{instances: fleet(30, time.Hour), pageSize: 100}, &journal{}
	c.instances[7].Name = strings.Repeat("x", 1<<20)
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Listed != 30 || ended[0].Instances != 29 || ended[0].Failure == nil || !strings.Contains(ended[0].Failure.Error, `"i-000007" takes more than a message holds`) {
		t.Errorf("ended %+v", ended)
	}
	for _, m := range of[*event.InstancesListed](j) {
		if _, err := event.Append(nil, m); err != nil {
			t.Error(err)
		}
	}
}

func TestBusErrorIsReturnedForAnotherTry(t *testing.T) {
	c, j := &cloud{instances: fleet(5, time.Hour), pageSize: 10}, &journal{err: errors.New("bus is down")}
	err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleLane(t.Context(), &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0"}, "1")
	if err == nil || !errors.Is(err, j.err) {
		t.Errorf("HandleLane = %v", err)
	}
}

func TestScanPlanNamesWhatCannotBeScanned(t *testing.T) {
	o := options()
	c, j := &cloud{regions: []string{"cn-x", "cn-y"}}, &journal{}
	req := &event.ScanRequested{ScanID: "s", Kind: event.KindScan, Regions: []string{"cn-y", "cn-nowhere"}}
	if err := producer.New(o, c, accounts(c, "1", "broken"), j, nil).HandleScan(t.Context(), req, time.Unix(100, 0)); err != nil {
		t.Fatal(err)
	}
	plan := whole(t, j)
	if diff := cmp.Diff([]ecs.Scope{{Account: "1", Region: "cn-y"}}, plan.Scopes); diff != "" {
		t.Error(diff)
	}
	if len(plan.Failed) != 2 || plan.Failed[0].Region != "" || !strings.Contains(plan.Failed[0].Error, "cn-nowhere") || plan.Failed[1].Account != "broken" {
		t.Errorf("failed %+v", plan.Failed)
	}
	if jobs := of[*event.ScopeJob](j); len(jobs) != 1 || !jobs[0].Epoch.Equal(time.Unix(100, 0)) {
		t.Errorf("jobs %+v", jobs)
	}
}

type known map[string]ecs.Scope

func (k known) Locate(context.Context, []string) (map[string]ecs.Scope, error) { return k, nil }

func TestRescanAsksWhereTheInstanceIs(t *testing.T) {
	c, j := &cloud{regions: []string{"cn-x", "cn-y"}, instances: fleet(3, time.Hour)}, &journal{}
	p := producer.New(options(), c, accounts(c, "1"), j, known{"i-000001": scope})
	req := &event.ScanRequested{ScanID: "r", Kind: event.KindRescan, InstanceIDs: []string{"i-000001", "i-000001"}}
	if err := p.HandleRescan(t.Context(), req, time.Unix(5, 0), "1"); err != nil {
		t.Fatal(err)
	}
	pages := of[*event.InstancesListed](j)
	if c.calls != 1 || len(pages) != 1 || pages[0].Rows.Len() != 1 || pages[0].Kind != event.KindRescan {
		t.Errorf("%d calls, pages %+v", c.calls, pages)
	}
}

func TestRescanOfAnUnknownInstanceAsksEverywhere(t *testing.T) {
	c, j := &cloud{regions: []string{"cn-x", "cn-y"}}, &journal{}
	p := producer.New(options(), c, accounts(c, "1"), j, known{})
	if err := p.HandleRescan(t.Context(), &event.ScanRequested{ScanID: "r", Kind: event.KindRescan, InstanceIDs: []string{"i-gone"}}, time.Unix(5, 0), "2"); err != nil {
		t.Fatal(err)
	}
	ended := of[*event.LaneEnded](j)
	if len(ended) != 2 || !slices.Equal(ended[0].NotFound, []string{"i-gone"}) || ended[0].Failure != nil {
		t.Errorf("ended %+v", ended)
	}
}
