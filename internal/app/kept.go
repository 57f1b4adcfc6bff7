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

// Bounds of the answers that are kept for the next reader. A plan of 100,000
// instances takes a second or more to make, and about 5 MB of memory.
const (
	keptAnswers = 8
	keptItems   = 1_000_000       // in all plans
	keptFor     = 5 * time.Minute // after the last question
)

// answerKey is everything that an answer depends on. Its Moment is the state of the
// store that the answer was made from: after the next commit the key differs, so an
// older answer is never returned.
type answerKey struct {
	store.Moment
	ruleset, types, target, filter, owners string
	keepOS                                 bool
}

// answered is a cache of the answers that were asked for last. Several callers that
// ask for the same answer at the same time wait for one of them to make it.
type answered[A any] struct {
	mu     sync.Mutex
	kept   []keptAnswer[A] // the one that was asked for last first
	making map[answerKey]*making[A]
	forget *time.Timer
	held   answerKey // is not forgotten by itself
}

type keptAnswer[A any] struct {
	key    answerKey
	answer A
}

// making is an answer that one caller makes while others may wait for it.
type making[A any] struct {
	done   chan struct{} // closed when the others are set
	answer A
	err    error
}

// of returns the answer for the current key, from the cache or made by build. key is
// called again before each look, because a commit to the store changes it. build
// returns the key that its answer belongs to, which is a newer one if a commit came
// in between. The answer is shared between callers, who must not change it.
func (p *answered[A]) of(ctx context.Context, key func() answerKey, build func(context.Context) (A, answerKey, error)) (A, error) {
	for {
		answerKey := key()
		found, other, mine := p.claim(answerKey)
		switch {
		case found != nil:
			return found.answer, nil
		case mine != nil:
			p.make(ctx, answerKey, mine, build)
			return mine.answer, mine.err
		}
		select {
		case <-ctx.Done():
			var none A
			return none, fmt.Errorf("wait for the answer: %w", ctx.Err())
		case <-other.done:
		}
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.answer, other.err
		} // who made it went away, and somebody else has to
	}
}

// claim returns the kept answer of the key, or the one that another caller makes
// now, or else registers the caller as the one who makes it. Exactly one of the
// results is not nil.
func (p *answered[A]) claim(key answerKey) (found *keptAnswer[A], other, mine *making[A]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.kept {
		if p.kept[i].key == key {
			hit := p.kept[i]
			p.kept = slices.Insert(slices.Delete(p.kept, i, i+1), 0, hit)
			p.forget.Reset(keptFor)
			return &hit, nil, nil
		}
	}
	if other = p.making[key]; other != nil {
		return nil, other, nil
	}
	mine = &making[A]{done: make(chan struct{}), err: context.Canceled}
	if p.making == nil {
		p.making = map[answerKey]*making[A]{}
	}
	p.making[key] = mine
	return nil, nil, mine
}

// make makes the answer that was claimed as key.
func (p *answered[A]) make(ctx context.Context, key answerKey, mine *making[A], build func(context.Context) (A, answerKey, error)) {
	var of answerKey
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.making, key)
		if mine.err == nil {
			p.keep(of, mine.answer)
		}
		close(mine.done)
	}()
	mine.answer, of, mine.err = build(ctx)
}

// keep adds an answer to the cache and removes what exceeds the bounds. Answers from
// an older state of the store are removed, too: nobody can ask for them any more.
func (p *answered[A]) keep(k answerKey, made A) {
	p.kept = slices.DeleteFunc(p.kept, func(have keptAnswer[A]) bool { return have.key == k || have.key.Moment != k.Moment })
	p.kept = slices.Insert(p.kept, 0, keptAnswer[A]{k, made})
	items := 0
	for i := range p.kept {
		if whole, ok := any(p.kept[i].answer).(*plan.Plan); ok {
			items += whole.Instances
		}
		if items > keptItems || i == keptAnswers {
			clear(p.kept[i:])
			p.kept = p.kept[:i]
			break
		}
	}
	if p.forget == nil {
		p.forget = time.AfterFunc(keptFor, p.clear)
	}
	p.forget.Reset(keptFor)
}

// clear forgets the kept answers, all but the one that is held.
func (p *answered[A]) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(have keptAnswer[A]) bool { return have.key != p.held })
}

// hold keeps the answer of a key until one of another commit is kept, however long
// nobody asks for it.
func (p *answered[A]) hold(key answerKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = key
}
