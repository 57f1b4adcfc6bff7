package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shenscan/shenscan/sink/store"
)

// The answers that are kept: a plan of 100,000 instances takes a second or more to
// make, and some 5 MB to hold.
const (
	keptAnswers = 8
	keptItems   = 1_000_000       // in all plans
	keptFor     = 5 * time.Minute // after the last question
)

// answerKey is all that an answer depends on. Moment is that of the store, so that an
// answer of an older commit is never found.
type answerKey struct {
	store.Moment
	ruleset, types, target, filter, owners string
	keepOS                                 bool
}

// answered keeps the answers that were asked for last, and makes each once for all
// who ask for it at the same time.
type answered[A any] struct {
	size func(A) int // items of an answer; nil: none

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

// making is an answer that somebody makes.
type making[A any] struct {
	done   chan struct{} // closed when the others are set
	answer A
	err    error
}

// of returns the answer of the key that key finds out whenever it counts. build
// makes it and says of which key it came to be: a commit may come in between. The
// answer is shared: nobody changes it.
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

// claim finds the kept answer of a key, else who makes it, else lets the caller.
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

// keep keeps an answer within the bounds. Those of other commits are never asked for
// again.
func (p *answered[A]) keep(k answerKey, made A) {
	p.kept = slices.DeleteFunc(p.kept, func(have keptAnswer[A]) bool { return have.key == k || have.key.Moment != k.Moment })
	p.kept = slices.Insert(p.kept, 0, keptAnswer[A]{k, made})
	items := 0
	for i := range p.kept {
		if p.size != nil {
			items += p.size(p.kept[i].answer)
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
