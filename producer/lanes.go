package producer

import (
	"context"
	"fmt"
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
	counted, cuts, err := p.cut(probe, job.Scope)
	span.End(err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.o.Log.WarnContext(ctx, "scope failed", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "err", err)
		return p.bus.Publish(ctx, &event.ScopeFailed{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Failure: failure(job.Scope, "DescribeInstances", err)})
	}
	return p.plan(ctx, job, try, said(counted), cuts)
}

// plan hands out the lanes between the cuts and then announces them.
func (p *Producer) plan(ctx context.Context, job *event.ScopeJob, name string, counted *int, cuts []time.Time) error {
	plan := &event.ScopePlanned{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Plan: name, Counted: counted}
	jobs := lanes(job, plan.Plan, cuts)
	if len(jobs) == 1 {
		jobs[0].Counted = plan.Counted
	}
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

// span is a part of the creation times and how many instances are in it.
type span struct {
	from, to time.Time // [from, to), whole minutes
	n        int
}

// cut counts the scope and returns the creation times at which it is to be cut.
// A small scope, and one that the cloud does not count, is not cut. Sizes come from page-number probes: beside a token
// TotalCount means nothing.
func (p *Producer) cut(ctx context.Context, s ecs.Scope) (counted int, cuts []time.Time, err error) {
	n, err := p.cloud.CountInstances(ctx, s, ecs.Query{})
	if err != nil || n <= p.o.LaneSize*3/2 {
		return n, nil, err
	}
	whole := span{firstECS, p.o.Now().UTC().Truncate(time.Minute).Add(time.Hour), n}
	spans, err := p.split(ctx, s, whole)
	if err != nil {
		return n, nil, err
	}
	size := 0
	for i, sp := range spans {
		if i > 0 && size+sp.n > p.o.LaneSize {
			cuts = append(cuts, sp.from)
			size = 0
		}
		size += sp.n
	}
	p.o.Log.DebugContext(ctx, "scope cut", "account", s.Account, "region", s.Region, "instances", n, "lanes", len(cuts)+1)
	return n, cuts, nil
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
