package producer

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// secondsUnderWay is how many seconds' worth of calls of an account may be under way
// or in the queue of its ceiling. A job whose calls wait for longer could as well
// begin later.
const secondsUnderWay = 10

// pace bounds how many scopes and lanes of an account are worked on side by
// side. A nil pace bounds nothing.
type pace struct{ turns *semaphore.Weighted }

// begin waits for a turn, first come, first served.
func (p *pace) begin(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.turns.Acquire(ctx, 1)
}

// another takes one more turn if there is one to spare.
func (p *pace) another() bool { return p == nil || p.turns.TryAcquire(1) }

func (p *pace) end() {
	if p != nil {
		p.turns.Release(1)
	}
}

// maxPaces bounds what is remembered of accounts that messages name.
const maxPaces = 10_000

// paces are those of all accounts.
type paces struct {
	rate float64 // calls a second of an account; 0 is no ceiling

	mu sync.Mutex
	m  map[string]*pace
}

// of returns the pace of an account.
func (ps *paces) of(account string) *pace {
	if ps.rate <= 0 {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.m == nil {
		ps.m = map[string]*pace{}
	}
	p := ps.m[account]
	if p == nil {
		if len(ps.m) >= maxPaces { // those in use stay in use
			clear(ps.m)
		}
		p = &pace{semaphore.NewWeighted(max(1, int64(ps.rate*secondsUnderWay)))}
		ps.m[account] = p
	}
	return p
}
