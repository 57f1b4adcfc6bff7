package producer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// HandleScope cuts a scope into lanes, hands them out and then announces them:
// a plan whose maker dies half-way is never announced, and nobody waits for
// lanes that were never handed out. try names this delivery of
// the job: a repeated plan has a name of its own, since it may cut elsewhere.
func (p *Producer) HandleScope(ctx context.Context, job *event.ScopeJob, try string) error {
	probe, span := trace.Start(ctx, "cut scope")
	cuts, err := p.cut(probe, job.Scope)
	span.End(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.o.Log.WarnContext(ctx, "scope failed", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "err", err)
		return p.bus.Publish(ctx, &event.ScopeFailed{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Failure: failure(job.Scope, "DescribeInstances", err)})
	}
	plan := &event.ScopePlanned{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Plan: try}
	jobs := lanes(job, plan.Plan, cuts)
	for _, lane := range jobs {
		plan.Lanes = append(plan.Lanes, lane.Lane)
	}
	for _, lane := range jobs {
		if err := p.bus.Publish(ctx, lane); err != nil {
			return err
		}
	}
	return p.bus.Publish(ctx, plan)
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

// span is a part of the creation times and how many instances are in it.
type span struct {
	from, to time.Time // [from, to), whole minutes
	n        int
}

// cut returns the creation times at which the scope is to be cut. A small
// scope is not cut. Sizes come from page-number probes: beside a token
// TotalCount means nothing.
func (p *Producer) cut(ctx context.Context, s ecs.Scope) ([]time.Time, error) {
	n, err := p.cloud.CountInstances(ctx, s, ecs.Query{})
	if err != nil {
		return nil, err
	}
	if n <= p.o.LaneSize*3/2 {
		return nil, nil
	}
	whole := span{firstECS, p.o.Now().UTC().Truncate(time.Minute).Add(time.Hour), n}
	spans, err := p.split(ctx, s, whole)
	if err != nil {
		return nil, err
	}
	var cuts []time.Time
	size := 0
	for i, sp := range spans {
		if i > 0 && size+sp.n > p.o.LaneSize {
			cuts = append(cuts, sp.from)
			size = 0
		}
		size += sp.n
	}
	p.o.Log.DebugContext(ctx, "scope cut", "account", s.Account, "region", s.Region, "instances", n, "lanes", len(cuts)+1)
	return cuts, nil
}

// split divides sp until every part is small enough for a lane or a minute
// short. Parts come back in order.
func (p *Producer) split(ctx context.Context, s ecs.Scope, sp span) ([]span, error) {
	const ways = 8
	step := (sp.to.Sub(sp.from) / ways).Truncate(time.Minute)
	if sp.n <= p.o.LaneSize || step < time.Minute {
		return []span{sp}, nil
	}
	parts := make([][]span, ways)
	group, ctx := errgroup.WithContext(ctx)
	for i := range ways {
		part := span{from: sp.from.Add(time.Duration(i) * step), to: sp.from.Add(time.Duration(i+1) * step)}
		if i == ways-1 {
			part.to = sp.to
		}
		group.Go(func() error {
			var err error
			// Both bounds of the filter may be inclusive: a minute counted
			// twice only makes a lane a little smaller.
			if part.n, err = p.cloud.CountInstances(ctx, s, ecs.Query{CreatedFrom: part.from, CreatedTo: part.to}); err != nil {
				return err
			}
			parts[i], err = p.split(ctx, s, part)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(parts...), nil
}

// HandleLane walks one token chain to its end and announces how it ended. A
// walk that cannot go on ends the lane with its cause; only a stop or a bus
// that refuses is an error. try names
// this delivery of the job.
func (p *Producer) HandleLane(ctx context.Context, job *event.LaneJob, try string) error {
	ended := &event.LaneEnded{ScanID: job.ScanID, Kind: event.KindScan, Scope: job.Scope, Lane: job.Lane}
	for restart := 0; ; restart++ {
		w := &walk{p: p, job: job, Walk: event.Walk{
			ScanID: job.ScanID, Kind: event.KindScan, Scope: job.Scope,
			Lane: job.Lane, Walk: fmt.Sprintf("%s.%d", try, restart),
		}}
		err := w.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && w.busErr != nil {
			return w.busErr
		}
		ended.Walk, ended.Pages, ended.Instances = w.Walk.Walk, w.pages, w.rows
		if err != nil && ecs.ClassOf(err) == ecs.TokenExpired && restart < p.o.Restarts {
			p.o.Log.InfoContext(ctx, "token expired, lane starts over", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "lane", job.Lane)
			continue
		}
		if err != nil {
			f := failure(job.Scope, "DescribeInstances", err)
			ended.Failure = &f
			p.o.Log.WarnContext(ctx, "lane failed", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "lane", job.Lane, "err", err)
		}
		return p.bus.Publish(ctx, ended)
	}
}

// walk is one attempt to read one lane.
type walk struct {
	event.Walk
	p             *Producer
	job           *event.LaneJob
	after, before uint64 // creation times between these are the lane's, see event.PackMinute
	pages         int
	rows          int
	busErr        error
}

func (w *walk) run(ctx context.Context) error {
	w.bounds()
	answers, chained := make(chan answer), make(chan error, 1)
	// The calls are made on the short stack: the SDK prints the whole of it into
	// each one's nonce.
	go func() {
		defer close(answers)
		chained <- w.chain(ctx, answers)
	}()
	w.busErr = w.gather(ctx, answers)
	err := <-chained
	if w.busErr != nil {
		return w.busErr
	}
	return err
}

// answer is what one call returned.
type answer struct {
	instances []ecs.Instance
	observed  time.Time
}

// stale bounds how long ago a call may have left when its answer is taken: an
// older answer is read again rather than passed off as new. What the call spent
// in the queue of the rate limit before it left does not count.
const stale = time.Minute

// chain reads the lane, call by call, to its end. A doubt in a page is the
// error once the end is reached, so that the lane has all that could be read
// and is not complete.
func (w *walk) chain(ctx context.Context, answers chan<- answer) error {
	q := ecs.Query{CreatedFrom: w.job.From, CreatedTo: w.job.To}
	seen := map[string]bool{}
	var doubt error
	for {
		fetch, span := trace.Start(ctx, "fetch page", trace.Int("shenscan.page", len(seen)))
		page, err := w.p.cloud.Instances(fetch, w.job.Scope, q)
		span.End(err)
		if err != nil {
			return err
		}
		observed := w.p.o.Now()
		if time.Since(page.Asked) > stale { // both by this machine's monotonic clock
			// The process was held up; the answer's age is not known.
			continue
		}
		answers <- answer{page.Instances, observed}
		if page.Doubt != nil && doubt == nil {
			doubt = page.Doubt
		}
		if page.NextToken == "" {
			return doubt
		}
		if seen[page.NextToken] {
			return &ecs.Error{
				Action: "DescribeInstances", Scope: w.job.Scope, Class: ecs.BadAnswer, RequestID: page.RequestID,
				Err: fmt.Errorf("the token chain runs in a circle after %d pages", len(seen)+1),
			}
		}
		seen[page.NextToken] = true
		q.NextToken = page.NextToken
	}
}

// gather makes pages of the answers and publishes them, while the next call is
// under way, until there are no more. The error is the bus's.
func (w *walk) gather(ctx context.Context, answers <-chan answer) error {
	var publishing errgroup.Group
	publishing.SetLimit(w.p.o.PagesInFlight)
	page := event.NewLister()
	defer page.Close()
	var observed time.Time
	wait := time.NewTimer(w.p.o.PageWait)
	flush := func() {
		wait.Stop()
		if page.Len() == 0 {
			return
		}
		m := &event.InstancesListed{Walk: w.Walk, Page: w.pages, Epoch: w.job.Epoch.UnixNano(), Observed: observed.UnixNano()}
		w.pages++
		w.rows += page.Len()
		page.Put(m)
		publishing.Go(func() error { return w.p.bus.Publish(ctx, m) })
	}
	for {
		select {
		case a, open := <-answers:
			if !open {
				flush()
				return publishing.Wait()
			}
			for i := range a.instances {
				if !w.within(&a.instances[i]) {
					continue
				}
				if page.Len() == 0 {
					// The page is as old as the oldest that is in it.
					observed = a.observed
					wait.Reset(w.p.o.PageWait)
				}
				page.Add(&a.instances[i])
				if page.Full() {
					flush()
				}
			}
		case <-wait.C:
			flush()
		}
	}
}

// minute is how ECS spells a creation time.
const minute = "2006-01-02T15:04Z"

// bounds sets what within compares with.
func (w *walk) bounds() {
	w.before = math.MaxUint64
	if !w.job.From.IsZero() {
		w.after, _ = event.PackMinute(w.job.From.UTC().Format(minute))
	}
	if !w.job.To.IsZero() {
		w.before, _ = event.PackMinute(w.job.To.UTC().Format(minute))
	}
}

// within says whether an instance was created in the lane's own time. Whether
// the API's bounds are inclusive then does not matter: a row on a cut belongs
// to one lane only. A row whose creation time cannot be read is kept.
func (w *walk) within(x *ecs.Instance) bool {
	if at, ok := event.PackMinute(x.CreationTime); ok && at > w.after && at < w.before {
		return true // times of that shape are ordered like their digits
	}
	t, err := time.Parse(minute, x.CreationTime)
	if err != nil {
		return true
	}
	return !t.Before(w.job.From) && (w.job.To.IsZero() || t.Before(w.job.To))
}
