package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/sink/store"
)

// A plan is made once for a moment of the store, and never shown at another.
func TestPlanIsMadeOnceAMoment(t *testing.T) {
	t.Parallel()
	p := answered[*plan.Plan]{}
	commit, built := 1, 0
	ask := func(target string) *plan.Plan {
		t.Helper()
		key := answerKey{Moment: store.Moment{Commit: commit, Day: "2026-11-29"}, target: target}
		got, err := p.of(t.Context(), func() answerKey { return key }, func(context.Context) (*plan.Plan, answerKey, error) {
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
	t.Parallel()
	p := answered[*plan.Plan]{}
	before, after := answerKey{Moment: store.Moment{Commit: 1}}, answerKey{Moment: store.Moment{Commit: 2}}
	if _, err := p.of(t.Context(), func() answerKey { return before }, func(context.Context) (*plan.Plan, answerKey, error) { return &plan.Plan{}, after, nil }); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[answerKey]bool{before: false, after: true} {
		if found, _, _ := p.claim(key); (found != nil) != want {
			t.Errorf("%+v: kept %v", key.Moment, found != nil)
		}
	}
}

// What is kept has a bound, in plans and in instances.
func TestKeptPlansAreBounded(t *testing.T) {
	t.Parallel()
	p := answered[*plan.Plan]{}
	for _, size := range []int{keptItems / 2, keptItems / 2, 1, keptItems, keptItems + 1} {
		p.keep(answerKey{target: string(rune('a' + len(p.kept))), filter: t.Name() + string(rune(size%7))}, &plan.Plan{Instances: size})
		items := 0
		for i := range p.kept {
			items += p.kept[i].answer.Instances
		}
		if items > keptItems {
			t.Errorf("%d instances are kept", items)
		}
	}
	for n := range 3 * keptAnswers {
		p.keep(answerKey{target: string(rune('a' + n))}, &plan.Plan{})
	}
	if len(p.kept) > keptAnswers {
		t.Errorf("%d plans are kept", len(p.kept))
	}
}

// Those who ask at once share one plan; where who makes it goes away, another
// makes it.
func TestPlanIsSharedByThoseWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	p := answered[*plan.Plan]{}
	var built atomic.Int32
	making, gone := make(chan struct{}), make(chan struct{})
	first, leave := context.WithCancel(t.Context())
	key := func() answerKey { return answerKey{} }
	var all sync.WaitGroup
	all.Go(func() {
		_, err := p.of(first, key, func(ctx context.Context) (*plan.Plan, answerKey, error) {
			close(making)
			<-ctx.Done()
			close(gone)
			return nil, answerKey{}, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
	})
	<-making
	for range 8 {
		all.Go(func() {
			got, err := p.of(t.Context(), key, func(context.Context) (*plan.Plan, answerKey, error) {
				<-gone
				built.Add(1)
				return &plan.Plan{Instances: 7}, answerKey{}, nil
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
	if _, _, mine := p.claim(answerKey{target: "x"}); mine == nil {
		t.Fatal("nobody was let make it")
	}
	if _, err := p.of(first, func() answerKey { return answerKey{target: "x"} }, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waited on: %v", err)
	}
	bad := errors.New("no")
	if _, err := p.of(t.Context(), func() answerKey { return answerKey{target: "y"} }, func(context.Context) (*plan.Plan, answerKey, error) { return nil, answerKey{}, bad }); !errors.Is(err, bad) {
		t.Error(err)
	}
}

// What is held is not forgotten by itself, and what stands beside it is.
func TestAHeldAnswerIsKept(t *testing.T) {
	t.Parallel()
	p := answered[*plan.Plan]{}
	held, other := answerKey{target: "shenlong-8"}, answerKey{target: "shenlong-6"}
	p.keep(held, &plan.Plan{})
	p.keep(other, &plan.Plan{})
	p.hold(held)
	p.clear()
	for key, want := range map[answerKey]bool{held: true, other: false} {
		if found, _, _ := p.claim(key); (found != nil) != want {
			t.Errorf("%s is kept: %v", key.target, found != nil)
		}
	}
	later := answerKey{Moment: store.Moment{Commit: 2}, target: "shenlong-8"}
	if p.keep(later, &plan.Plan{}); len(p.kept) != 1 {
		t.Error("what was held is kept after a commit")
	}
}

// What the pages open with is made once the store rests: not while something
// comes in, not twice for one commit, and not so often that it costs much.
func TestReadyOnceTheStoreRests(t *testing.T) {
	t.Parallel()
	at := func(commit int) store.Moment { return store.Moment{Commit: commit} }
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	var r rest
	for i, step := range []struct {
		commit int
		busy   bool
		after  time.Duration
		want   bool
	}{
		{1, false, 0, false},           // it was another a moment ago
		{1, true, 0, false},            // a scan runs
		{1, false, 0, true},            // it rests
		{1, false, time.Hour, false},   // it is ready
		{2, false, time.Hour, false},   // a commit came
		{2, false, time.Hour, true},    // and no other
		{3, false, time.Second, false}, // again
		{3, false, time.Second, false}, // too soon after what took a second
		{3, false, 2 * readyShare * time.Second, true},
	} {
		now = now.Add(step.after)
		got := r.due(at(step.commit), step.busy, now)
		if got != step.want {
			t.Errorf("step %d: due %v", i, got)
		}
		if got {
			r.made(at(step.commit), now, now.Add(time.Second))
		}
	}
}
