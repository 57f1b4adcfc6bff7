package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/sink/store"
)

// A plan is made once for a moment of the store, and never shown at another.
func TestPlanIsMadeOnceAMoment(t *testing.T) {
	var p plans
	commit, built := 1, 0
	ask := func(target string) *plan.Plan {
		t.Helper()
		key := planKey{Moment: store.Moment{Commit: commit, Day: "2026-11-29"}, target: target}
		got, err := p.of(t.Context(), func() planKey { return key }, func(context.Context) (*plan.Plan, planKey, error) {
			built++
			return &plan.Plan{Target: target, Instances: commit}, key, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if a, b := ask("shenlong-6"), ask("shenlong-6"); a != b || built != 1 {
		t.Errorf("made %d times", built)
	}
	ask("shenlong-8")
	commit++
	if got := ask("shenlong-6"); got.Instances != 2 || built != 3 {
		t.Errorf("after a commit there is the plan of commit %d, made %d times", got.Instances, built)
	}
	if len(p.kept) != 1 {
		t.Errorf("%d plans are kept, also those of an older commit", len(p.kept))
	}
	if p.clear(); len(p.kept) != 0 {
		t.Error("a plan is kept for ever")
	}
}

// A plan of a commit that came while it was made is kept as what it is.
func TestPlanOfALaterCommitIsKeptAsThat(t *testing.T) {
	var p plans
	before, after := planKey{Moment: store.Moment{Commit: 1}}, planKey{Moment: store.Moment{Commit: 2}}
	if _, err := p.of(t.Context(), func() planKey { return before }, func(context.Context) (*plan.Plan, planKey, error) { return &plan.Plan{}, after, nil }); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[planKey]bool{before: false, after: true} {
		if found, _, _ := p.claim(key); (found != nil) != want {
			t.Errorf("%+v: kept %v", key.Moment, found != nil)
		}
	}
}

// What is kept has a bound, in plans and in instances.
func TestKeptPlansAreBounded(t *testing.T) {
	var p plans
	for _, size := range []int{keptPlanItems / 2, keptPlanItems / 2, 1, keptPlanItems, keptPlanItems + 1} {
		p.keep(planKey{target: string(rune('a' + len(p.kept))), filter: t.Name() + string(rune(size%7))}, &plan.Plan{Instances: size})
		items := 0
		for i := range p.kept {
			items += p.kept[i].plan.Instances
		}
		if items > keptPlanItems {
			t.Errorf("%d instances are kept", items)
		}
	}
	for n := range 3 * keptPlans {
		p.keep(planKey{target: string(rune('a' + n))}, &plan.Plan{})
	}
	if len(p.kept) > keptPlans {
		t.Errorf("%d plans are kept", len(p.kept))
	}
}

// Those who ask at once share one plan; where who makes it goes away, another
// makes it.
func TestPlanIsSharedByThoseWhoAskAtOnce(t *testing.T) {
	var p plans
	var built atomic.Int32
	making, gone := make(chan struct{}), make(chan struct{})
	first, leave := context.WithCancel(t.Context())
	key := func() planKey { return planKey{} }
	var all sync.WaitGroup
	all.Go(func() {
		_, err := p.of(first, key, func(ctx context.Context) (*plan.Plan, planKey, error) {
			close(making)
			<-ctx.Done()
			close(gone)
			return nil, planKey{}, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
	})
	<-making
	for range 8 {
		all.Go(func() {
			got, err := p.of(t.Context(), key, func(context.Context) (*plan.Plan, planKey, error) {
				<-gone
				built.Add(1)
				return &plan.Plan{Instances: 7}, planKey{}, nil
			})
			if err != nil || got.Instances != 7 {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	leave()
	all.Wait()
	if built.Load() != 1 {
		t.Errorf("made %d times", built.Load())
	}
	// Who only waits can go away too, and errors are everybody's.
	if _, _, mine := p.claim(planKey{target: "x"}); mine == nil {
		t.Fatal("nobody was let make it")
	}
	if _, err := p.of(first, func() planKey { return planKey{target: "x"} }, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waited on: %v", err)
	}
	bad := errors.New("no")
	if _, err := p.of(t.Context(), func() planKey { return planKey{target: "y"} }, func(context.Context) (*plan.Plan, planKey, error) { return nil, planKey{}, bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
}
