package producer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
)

// listOnce walks the whole scope as one lane and returns how that ended.
func listOnce(t *testing.T, c producer.Cloud) *event.LaneEnded {
	t.Helper()
	o := options()
	j := &journal{}
	p := producer.New(o, c, accounts(c, "1"), j, nil)
	n, err := c.CountInstances(t.Context(), scope, ecs.Query{})
	if err != nil {
		t.Fatal(err)
	}
	counted := &n
	if n == ecs.NoCount {
		counted = nil
	}
	if err := p.HandleLane(t.Context(), &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0", Epoch: o.Now().Add(-time.Minute), Counted: counted}, "1"); err != nil {
		t.Fatal(err)
	}
	return of[*event.LaneEnded](j)[0]
}

// TestWhatIsCreatedInTheFutureHidesNothing lists 60 of 100 instances, of which
// 40 say that they will be created: they are no reason for which 40 may be
// missing.
func TestWhatIsCreatedInTheFutureHidesNothing(t *testing.T) {
	c := &cloud{instances: fleet(100, time.Hour), pageSize: 100, short: 40}
	for i := 20; i < 100; i++ {
		c.instances[i].CreationTime = "2099-01-01T00:00Z"
	}
	if e := listOnce(t, c); e.Failure == nil || e.Failure.Class != ecs.Contradicted.String() {
		t.Errorf("%d of 100 instances were listed and nothing is wrong: %+v", e.Listed, e.Failure)
	}
}

// twice lists an instance again on the second page, changed.
type twice struct {
	*cloud
	change func(*ecs.Instance)
}

func (c *twice) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	p, err := c.cloud.Instances(ctx, s, q)
	if err == nil && q.NextToken != "" {
		again := c.instances[0]
		c.change(&again)
		p.Instances = append(p.Instances, again)
	}
	return p, err
}

// TestAnInstanceThatIsListedTwiceIsOne unless the two are not the same machine.
func TestAnInstanceThatIsListedTwiceIsOne(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*ecs.Instance)
		same   bool
	}{
		"as it was":           {func(*ecs.Instance) {}, true},
		"stopped and renamed": {func(x *ecs.Instance) { x.Status, x.Name = "Stopped", "other" }, true},
		"of another system":   {func(x *ecs.Instance) { x.OSName = "CentOS  5.8 64位" }, false},
		"of another type":     {func(x *ecs.Instance) { x.Type = "ecs.g8y.large" }, false},
		"of another family":   {func(x *ecs.Instance) { x.Family = "ecs.g8y" }, false},
		"of another image":    {func(x *ecs.Instance) { x.ImageID = "m-2" }, false},
		"of another NVMe":     {func(x *ecs.Instance) { x.OSNVMe = rules.Yes }, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := listOnce(t, &twice{&cloud{instances: fleet(150, time.Hour), pageSize: 100}, tc.change})
			if e.Listed != 150 || (e.Failure == nil) != tc.same {
				t.Errorf("%d of 150 instances, %+v", e.Listed, e.Failure)
			}
			if !tc.same && !strings.Contains(e.Failure.Error, "listed twice") {
				t.Errorf("the cause is %q", e.Failure.Error)
			}
		})
	}
}

// TestIDsThatDifferInCapitalsAreOfOneInstance lists half of a fleet, and in place of the other
// half the same again in capitals: as many rows come as are counted.
func TestIDsThatDifferInCapitalsAreOfOneInstance(t *testing.T) {
	list := fleet(150, time.Hour)
	for i := range 75 {
		list[75+i].ID = strings.ToUpper(list[i].ID)
	}
	e := listOnce(t, &cloud{instances: list, pageSize: 100})
	if e.Listed != 75 || e.Failure == nil || !strings.Contains(e.Failure.Error, "150 instances are counted") {
		t.Errorf("%d listed, %+v", e.Listed, e.Failure)
	}
}

// boastful counts far more than it lists, of every part.
type boastful struct {
	*sick
	asked int
}

func (b *boastful) ListsUpTo(_ context.Context, _ ecs.Scope, n int) (int, error) {
	b.asked++
	return max((n-1)/ecs.MaxPage*ecs.MaxPage, min(len(b.instances), (n+ecs.MaxPage-1)/ecs.MaxPage*ecs.MaxPage)), nil
}

// forgetful counts now and then.
type forgetful struct {
	*cloud
	says []int // what each count says, one after the other
}

func (f *forgetful) CountInstances(context.Context, ecs.Scope, ecs.Query) (int, error) {
	n := f.says[0]
	f.says = f.says[min(1, len(f.says)-1):]
	return n, nil
}

// TestOneCountIsEnoughToDoubt lists 35 of 45 instances, where some counts are
// missing.
func TestOneCountIsEnoughToDoubt(t *testing.T) {
	const no = ecs.NoCount
	for name, says := range map[string][]int{
		"before alone": {45, no, 45, no}, "after alone": {no, 45, no, 45}, "when asked once more": {no, no, 45, no, no, 45},
	} {
		t.Run(name, func(t *testing.T) {
			c := &forgetful{&cloud{instances: fleet(45, time.Hour), pageSize: 100, short: 10}, says}
			if e := listOnce(t, c); e.Failure == nil {
				t.Errorf("%d of 45 instances are listed, and nothing is wrong", e.Listed)
			}
		})
	}
}

// paged is a cloud whose list by page number reaches to so many instances.
type paged struct {
	*cloud
	pages int
}

func (p *paged) ListsUpTo(context.Context, ecs.Scope, int) (int, error) { return p.pages, nil }

// obliging counts what is there once, and from then on what its lists hold.
type obliging struct {
	paged
	counts int
}

func (o *obliging) CountInstances(context.Context, ecs.Scope, ecs.Query) (int, error) {
	if o.counts++; o.counts == 1 {
		return 250, nil
	}
	return len(o.instances) - o.short, nil
}

// TestCountsThatFollowAListAreHeldAgainstPages lists 100 of 250 instances. Counts agree
// with that as soon as it was listed once, and it is the number of before that is right:
// the list by page number tells that from instances that were released meanwhile.
func TestCountsThatFollowAListAreHeldAgainstPages(t *testing.T) {
	for name, tc := range map[string]struct {
		there, short, pages int
		failed              bool
	}{
		"lists are cut":             {250, 150, 250, true},
		"lists and pages are cut":   {250, 150, 200, true},
		"most are released":         {100, 0, 100, false},
		"nobody knows page numbers": {250, 150, ecs.NoCount, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &obliging{paged: paged{&cloud{instances: fleet(tc.there, time.Hour), pageSize: 100, short: tc.short}, tc.pages}}
			e := listOnce(t, c)
			if (e.Failure != nil) != tc.failed || e.Listed != 100 {
				t.Errorf("%d of 250 instances are listed: %+v", e.Listed, e.Failure)
			}
		})
	}
}

// TestAsManyAsAreNewMayNotBeMissing lists 95 of 100 instances, of which 5 were created just
// now: as many may have been released since they were counted, and are on no page then.
func TestAsManyAsAreNewMayNotBeMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		pages  int
		failed bool
	}{"missing": {100, true}, "released": {95, false}, "nobody knows page numbers": {ecs.NoCount, false}} {
		t.Run(name, func(t *testing.T) {
			c := &paged{&cloud{instances: fleet(100, time.Hour), pageSize: 100, short: 5}, tc.pages}
			for i := range 5 {
				c.instances[i].CreationTime = options().Now().UTC().Format("2006-01-02T15:04Z")
			}
			if e := listOnce(t, c); (e.Failure != nil) != tc.failed || e.Created != 5 {
				t.Errorf("95 of 100 instances are listed, %d of them new: %+v", e.Created, e.Failure)
			}
		})
	}
}

// TestAChainThatNothingCountsIsHeldAgainstPages cuts lists short where there is
// no TotalCount.
func TestAChainThatNothingCountsIsHeldAgainstPages(t *testing.T) {
	for name, short := range map[string]int{"whole": 0, "cut short": 5} {
		t.Run(name, func(t *testing.T) {
			c := &boastful{sick: &sick{cloud: &cloud{instances: fleet(45, time.Hour), pageSize: 100, uncounted: true, short: short}}}
			if e := listOnce(t, c); (e.Failure == nil) != (short == 0) {
				t.Errorf("%d of 45 instances are listed: %+v", e.Listed, e.Failure)
			}
		})
	}
}

// TestACountThatIsFarTooHighCutsNothing holds a count against what is listed
// before it makes hundreds of lanes.
func TestACountThatIsFarTooHighCutsNothing(t *testing.T) {
	for name, times := range map[string]int{"right": 1, "500 times too high": 500} {
		t.Run(name, func(t *testing.T) {
			c := &boastful{sick: &sick{cloud: &cloud{instances: fleet(1000, 5*time.Hour), pageSize: 100}, count: func(n int, _ ecs.Query) int { return n * times }}}
			j := &journal{}
			scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
			lanes := len(of[*event.LaneJob](j))
			if c.asked != 1 || (lanes > 1) != (times == 1) || len(seen(j)) != 1000 {
				t.Errorf("%s", fmt.Sprint(lanes, " lanes, ", c.lists+c.counts, " calls, ", len(seen(j)), " instances"))
			}
			wrong := false
			for _, e := range of[*event.LaneEnded](j) {
				wrong = wrong || e.Failure != nil
			}
			if wrong != (times > 1) {
				t.Errorf("failed: %v", wrong)
			}
		})
	}
}

// crossed answers every token with the next page of the first list that anybody
// asked for, whatever is asked for beside it.
type crossed struct {
	*cloud
	first *ecs.Query
}

func (c *crossed) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	if c.first == nil {
		c.first = &q
	}
	if q.NextToken != "" {
		q.CreatedFrom, q.CreatedTo = c.first.CreatedFrom, c.first.CreatedTo
	}
	return c.cloud.Instances(ctx, s, q)
}

// TestTokensThatLeadToAnotherLaneAreNoticed reads lanes whose tokens all go on
// with the list of the first one.
func TestTokensThatLeadToAnotherLaneAreNoticed(t *testing.T) {
	c, j := &crossed{cloud: &cloud{instances: fleet(1000, 40*time.Hour), pageSize: 10}}, &journal{}
	scan(t, producer.New(options(), c, accounts(c, "1"), j, nil), j)
	failed := map[string]bool{}
	for _, e := range of[*event.LaneEnded](j) {
		failed[e.Lane] = e.Failure != nil
	}
	listed, wrong := seen(j), 0
	for _, lane := range of[*event.LaneJob](j) {
		for i := range c.instances {
			at, err := time.Parse("2006-01-02T15:04Z", c.instances[i].CreationTime)
			if err != nil {
				t.Fatal(err)
			}
			if at.Before(lane.From) || !lane.To.IsZero() && !at.Before(lane.To) || listed[c.instances[i].ID] > 0 {
				continue
			}
			if wrong++; !failed[lane.Lane] {
				t.Fatalf("%s is not listed, and nothing is wrong with lane %s", c.instances[i].ID, lane.Lane)
			}
		}
	}
	if wrong < 500 {
		t.Errorf("%d instances are not listed: tokens led where they should", wrong)
	}
}
