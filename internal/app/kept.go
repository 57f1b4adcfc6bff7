package app

import (
	"context"
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

// answered is a cache of the answers that were asked for last. One is made at a time:
// who asks meanwhile waits, and then finds it where it is the one that is wanted.
type answered[A any] struct {
	mu     sync.Mutex
	kept   []keptAnswer[A] // the one that was asked for last first
	turn   chan struct{}   // holds a token while an answer is made
	forget *time.Timer
	held   answerKey // is not forgotten by itself
}

type keptAnswer[A any] struct {
	key    answerKey
	answer A
}

// of returns the answer for the current key, from the cache or made by build. key is
// called again after each wait, because a commit to the store changes it. build
// returns the key that its answer belongs to, which is a newer one if a commit came
// in between. The answer is shared between callers, who must not change it.
func (p *answered[A]) of(ctx context.Context, key func() answerKey, build func(context.Context) (A, answerKey, error)) (A, error) {
	answer, found := p.find(key())
	if found {
		return answer, nil
	}
	select {
	case <-ctx.Done():
		return answer, fmt.Errorf("wait for the answer: %w", ctx.Err())
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	}
	if answer, found = p.find(key()); found { // somebody else made it meanwhile
		return answer, nil
	}
	answer, made, err := build(ctx)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.keep(made, answer)
	}
	return answer, err
}

// find returns the kept answer of a key.
func (p *answered[A]) find(key answerKey) (answer A, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn == nil {
		p.turn = make(chan struct{}, 1)
	}
	i := slices.IndexFunc(p.kept, func(have keptAnswer[A]) bool { return have.key == key })
	if i < 0 {
		return answer, false
	}
	hit := p.kept[i]
	p.kept = slices.Insert(slices.Delete(p.kept, i, i+1), 0, hit)
	p.forget.Reset(keptFor)
	return hit.answer, true
}

// keep adds an answer to the cache and removes what exceeds the bounds. Answers from
// an older state of the store are removed, too: nobody can ask for them any more. The
// caller holds mu.
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
