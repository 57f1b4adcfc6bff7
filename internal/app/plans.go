package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/sink/store"
)

// The plans that are kept: one of 100,000 instances takes a second or more to make,
// and some 5 MB to hold.
const (
	keptPlans     = 8
	keptPlanItems = 1_000_000       // in all of them
	keptPlansFor  = 5 * time.Minute // after the last question
)

// planKey is all that a plan depends on. Moment is that of the store, so that a
// plan of an older commit is never found.
type planKey struct {
	store.Moment
	ruleset, types, target, filter, owners string
	keepOS                                 bool
}

// plans keeps the plans that were asked for last, and makes each once for all who
// ask for it at the same time.
type plans struct {
	mu     sync.Mutex
	kept   []keptPlan // the one that was asked for last first
	making map[planKey]*planMade
	forget *time.Timer
}

type keptPlan struct {
	key  planKey
	plan *plan.Plan
}

// planMade is a plan that somebody makes.
type planMade struct {
	done chan struct{} // closed when the others are set
	plan *plan.Plan
	err  error
}

// of returns the plan of the key that key finds out whenever it counts. build
// makes it and says of which key it came to be: a commit may come in between. The
// plan is shared: nobody changes it.
func (p *plans) of(ctx context.Context, key func() planKey, build func(context.Context) (*plan.Plan, planKey, error)) (*plan.Plan, error) {
	for {
		k := key()
		found, other, mine := p.claim(k)
		switch {
		case found != nil:
			return found, nil
		case mine != nil:
			p.make(ctx, k, mine, build)
			return mine.plan, mine.err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the plan: %w", ctx.Err())
		case <-other.done:
		}
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.plan, other.err
		} // who made it went away, and somebody else has to
	}
}

// claim finds the kept plan of a key, else who makes it, else lets the caller.
func (p *plans) claim(k planKey) (found *plan.Plan, other, mine *planMade) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.kept {
		if p.kept[i].key == k {
			hit := p.kept[i]
			p.kept = slices.Insert(slices.Delete(p.kept, i, i+1), 0, hit)
			p.forget.Reset(keptPlansFor)
			return hit.plan, nil, nil
		}
	}
	if other = p.making[k]; other != nil {
		return nil, other, nil
	}
	mine = &planMade{done: make(chan struct{}), err: context.Canceled}
	if p.making == nil {
		p.making = map[planKey]*planMade{}
	}
	p.making[k] = mine
	return nil, nil, mine
}

// make makes the plan that was claimed as k.
func (p *plans) make(ctx context.Context, k planKey, mine *planMade, build func(context.Context) (*plan.Plan, planKey, error)) {
	var of planKey
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.making, k)
		if mine.err == nil {
			p.keep(of, mine.plan)
		}
		close(mine.done)
	}()
	mine.plan, of, mine.err = build(ctx)
}

// keep keeps a plan within the bounds. Those of other commits are never asked for
// again.
func (p *plans) keep(k planKey, made *plan.Plan) {
	p.kept = slices.DeleteFunc(p.kept, func(have keptPlan) bool { return have.key == k || have.key.Moment != k.Moment })
	p.kept = slices.Insert(p.kept, 0, keptPlan{k, made})
	items := 0
	for i := range p.kept {
		if items += p.kept[i].plan.Instances; items > keptPlanItems || i == keptPlans {
			clear(p.kept[i:])
			p.kept = p.kept[:i]
			break
		}
	}
	if p.forget == nil {
		p.forget = time.AfterFunc(keptPlansFor, p.clear)
	}
	p.forget.Reset(keptPlansFor)
}

// clear forgets the kept plans.
func (p *plans) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.kept)
	p.kept = nil
}
