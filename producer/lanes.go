package producer

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// HandleScope cuts a scope into lanes, hands them out as jobs and then announces the
// plan. The announcement is last because sinks wait for every lane that a plan names:
// where this process dies half-way, no plan is announced, and the job is delivered
// again. try names this delivery of the job, and with it the plan: fewer or more
// instances may be counted the next time, so that another plan cuts elsewhere, and
// lanes of two plans are not to be taken for those of one.
func (p *Producer) HandleScope(ctx context.Context, job *event.ScopeJob, try string) error {
	pace := p.paces.of(job.Scope.Account)
	if err := pace.begin(ctx); err != nil {
		return err
	}
	defer pace.end()
	probe, span := trace.Start(ctx, "cut scope")
	by, err := p.cut(probe, job.Scope)
	span.End(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.o.Log.WarnContext(ctx, "scope failed", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "err", err)
		return p.bus.Publish(ctx, &event.ScopeFailed{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Failure: failure(job.Scope, "DescribeInstances", err)})
	}
	return p.plan(ctx, job, try, by)
}

// cutting is where a scope is cut into lanes, and how many calls that may take.
type cutting struct {
	counted int         // instances of the scope, or ecs.NoCount
	cuts    []time.Time // creation times at which one lane ends and the next begins, ascending
	sizes   []int       // instances of each lane: one more than there are cuts
	may     int         // calls that cutting and all lanes together may take
	took    int         // calls of these that cutting took
}

// plan hands out the lanes between the cuts and then announces them.
func (p *Producer) plan(ctx context.Context, job *event.ScopeJob, name string, by *cutting) error {
	plan := &event.ScopePlanned{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Plan: name, Counted: said(by.counted)}
	jobs := lanes(job, plan.Plan, by.cuts)
	if len(jobs) == 1 {
		jobs[0].Counted, by.sizes = plan.Counted, []int{1}
	}
	share(jobs, by.sizes, by.may, by.took)
	for _, lane := range jobs {
		plan.Lanes = append(plan.Lanes, lane.Lane)
	}
	for _, lane := range jobs {
		if err := p.bus.Publish(ctx, lane); err != nil {
			return err
		}
	}
	if p.o.Templates != nil { // before the announcement, without which no scan ends
		if err := p.o.Templates.Read(ctx, job.Scope); err != nil {
			return err
		}
	}
	return p.bus.Publish(ctx, plan)
}

// said is a count as messages carry it: nil where the cloud did not say.
func said(n int) *int {
	if n == ecs.NoCount {
		return nil
	}
	return &n
}

// lanes turns sorted cuts into lanes that are disjoint and leave no gap: each
// begins where the one before ends, and the outer two are unbounded.
func lanes(job *event.ScopeJob, plan string, cuts []time.Time) []*event.LaneJob {
	var out []*event.LaneJob
	var from time.Time
	for i := range len(cuts) + 1 {
		var to time.Time
		if i < len(cuts) {
			to = cuts[i]
		}
		out = append(out, &event.LaneJob{
			ScanID: job.ScanID, Scope: job.Scope, Epoch: job.Epoch,
			Lane: fmt.Sprintf("%s.%d", plan, i), From: from, To: to,
		})
		from = to
	}
	return out
}

// firstECS is before any instance was created.
var firstECS = time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC)

// period is a part of the creation times and how many instances are in it.
type period struct {
	from, to time.Time // [from, to), whole minutes
	n        int
}

// cut counts the scope and says at which creation times it is to be cut. A small
// scope is not cut, nor is one whose counts are no use: the cloud does not give them,
// or they contradict each other. All counts come from calls that ask for a page by its
// number, because the TotalCount in an answer to a call with a token means nothing.
func (p *Producer) cut(ctx context.Context, scope ecs.Scope) (*cutting, error) {
	count, err := p.cloud.CountInstances(ctx, scope, ecs.Query{})
	by := &cutting{counted: count, may: uncutCalls(count), took: 1}
	if err != nil || count <= p.o.LaneSize*3/2 || !believable(count) {
		return by, err
	}
	if cloud, ok := p.cloud.(pager); ok {
		by.took++
		// A few instances may have gone meanwhile.
		if reaches, err := cloud.ListsUpTo(ctx, scope, count-count/8); err != nil || reaches != ecs.NoCount && reaches < count-count/8 {
			if err == nil {
				p.o.Log.WarnContext(ctx, "scope is read in one lane: more instances are counted than listed", "account", scope.Account, "region", scope.Region, "counted", count)
			}
			return by, err
		}
	}
	probes := min(maxProbes, 64+32*(count/p.o.LaneSize))
	c := &cutter{p: p, pace: p.paces.of(scope.Account), scope: scope, probes: probes}
	periods := []period{{firstECS, p.o.Now().UTC().Truncate(time.Minute).Add(time.Hour), count}}
	for more := true; more; {
		if periods, more, err = c.divide(ctx, periods); err != nil {
			return by, err
		}
	}
	by.took += probes - c.probes
	if c.contradicted != "" {
		p.o.Log.WarnContext(ctx, "scope is read in one lane: its counts contradict each other", "account", scope.Account, "region", scope.Region, "instances", count, "err", c.contradicted)
		return by, nil
	}
	by.may, by.sizes = listingCalls(count, p.o.LaneSize), []int{0}
	for i, part := range periods {
		last := len(by.sizes) - 1
		if i > 0 && by.sizes[last]+part.n > p.o.LaneSize {
			by.cuts, by.sizes = append(by.cuts, part.from), append(by.sizes, 0)
			last++
		}
		by.sizes[last] += part.n
	}
	p.o.Log.DebugContext(ctx, "scope cut", "account", scope.Account, "region", scope.Region, "instances", count, "lanes", len(by.sizes))
	return by, nil
}

const (
	// maxScope is more instances than one account has in one region. A count
	// beyond is not believed and no reason to cut.
	maxScope = 5_000_000
	// maxProbes bounds the probes of one scope. Cutting ends with larger lanes
	// where they are used up.
	maxProbes = 4096
	// probesAtOnce bounds those in flight.
	probesAtOnce = 16
	// ways is how many parts a period is divided into.
	ways = 8
)

// cutter divides the creation times of a scope.
type cutter struct {
	p            *Producer
	pace         *pace
	scope        ecs.Scope
	probes       int    // that may still be made
	contradicted string // why the counts are no use
}

// divide divides every period that is too large for a lane and longer than a few
// minutes. Parts come back in order; more says that it may be worth another
// pass. The depth is bounded by the minutes of a period.
func (c *cutter) divide(ctx context.Context, periods []period) (out []period, more bool, err error) {
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	parts := make([][]period, len(periods))
	for i, whole := range periods {
		step := (whole.to.Sub(whole.from) / ways).Truncate(time.Minute)
		if whole.n <= c.p.o.LaneSize || step < time.Minute || c.probes < ways {
			parts[i] = periods[i : i+1]
			continue
		}
		c.probes -= ways
		more = true
		parts[i] = make([]period, ways)
		for k := range ways {
			part := &parts[i][k]
			part.from, part.to = whole.from.Add(time.Duration(k)*step), whole.from.Add(time.Duration(k+1)*step)
			if k == ways-1 {
				part.to = whole.to
			}
			count := func() (err error) {
				part.n, err = c.p.cloud.CountInstances(ctx, c.scope, ecs.Query{CreatedFrom: part.from, CreatedTo: part.to})
				return err
			}
			if !c.pace.another() { // none is to spare: what this scope has carries one call after another
				if err := count(); err != nil {
					_ = group.Wait() // one cause is enough
					return nil, false, err
				}
				continue
			}
			group.Go(func() error {
				defer c.pace.end()
				return count()
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	for i := range periods {
		c.compare(&periods[i], parts[i])
		out = append(out, parts[i]...)
	}
	return out, more && c.contradicted == "", nil
}

// compare holds the parts of a period against it. Both bounds of the filter may
// be inclusive or exclusive, so that a minute at a cut counts twice or not at
// all, and instances come and go: only what cannot be right is a contradiction.
func (c *cutter) compare(whole *period, parts []period) {
	sum := 0
	for i := range parts {
		n := parts[i].n
		if n == ecs.NoCount {
			c.contradicted = "a part is not counted"
			return
		}
		if n > whole.n+whole.n/8+ecs.MaxPage {
			c.contradicted = fmt.Sprintf("%d instances are counted from %s to %s and %d in a part of that time", whole.n, whole.from.Format(minute), whole.to.Format(minute), n)
			return
		}
		sum += n
	}
	if sum < whole.n/2 || sum > 2*whole.n+c.p.o.LaneSize {
		c.contradicted = fmt.Sprintf("%d instances are counted from %s to %s and %d in its parts", whole.n, whole.from.Format(minute), whole.to.Format(minute), sum)
	}
}
