package cloudevents

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// gatherer merges what is asked of one scope at about the same time into one
// rescan, and knows the events of the last moments again. A machine that starts
// sends several events, a group of a hundred some hundreds: one call of the
// cloud answers them. Nothing rests on it: what it does not merge or recognise
// is one more rescan.
type gatherer struct {
	rescanner     Rescanner
	wait, timeout time.Duration
	repeat        time.Duration
	now           func() time.Time

	mu   sync.Mutex
	open map[ecs.Scope]*gathering

	// Two generations: an event is remembered for one to two lives of them.
	recent, older map[identity]string // scan ids
	born          time.Time
}

// identity tells events apart; the instances belong to it, since a careless
// sender may use one id for many events.
type identity [sha256.Size]byte

// maxRecent bounds a generation of remembered events.
const maxRecent = 10_000

// gathering is a rescan that waits for company.
type gathering struct {
	request Request
	seen    map[string]bool
	stored  chan struct{} // closed when outcome is there
	outcome outcome
}

type outcome struct {
	scanID string
	err    error
}

var errInterrupted = errors.New("cloudevents: interrupted while storing a rescan")

func newGatherer(options Options) *gatherer {
	return &gatherer{
		rescanner: options.Rescanner, wait: options.Gather, timeout: options.Timeout, repeat: options.Repeat, now: options.Now,
		open: map[ecs.Scope]*gathering{}, recent: map[identity]string{}, born: options.Now(),
	}
}

func (c *Change) identity() identity {
	h := sha256.New()
	fmt.Fprintf(h, "%q%q%q%q%q", c.Source, c.ID, c.Scope.Account, c.Scope.Region, c.InstanceIDs)
	return identity(h.Sum(nil))
}

// repeated reports whether the rescan of the same event was stored a moment
// ago, and which it was.
func (g *gatherer) repeated(c *Change, now time.Time) (scanID string, ok bool) {
	id := c.identity()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.age(now)
	if scanID, ok = g.recent[id]; !ok {
		scanID, ok = g.older[id]
	}
	return scanID, ok
}

func (g *gatherer) age(now time.Time) {
	switch alive := now.Sub(g.born); {
	case alive >= 2*g.repeat:
		g.older, g.recent, g.born = nil, map[identity]string{}, now
	case alive >= g.repeat || len(g.recent) >= maxRecent:
		g.older, g.recent, g.born = g.recent, map[identity]string{}, now
	}
}

func (g *gatherer) remember(c *Change, scanID string) {
	id, now := c.identity(), g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.age(now)
	g.recent[id] = scanID
}

// rescan stores the rescans of changes, all of one scope, and returns what
// became of each.
func (g *gatherer) rescan(ctx context.Context, changes []*Change) []outcome {
	out := make([]outcome, len(changes))
	joined := make([]*gathering, len(changes))
	var mine []*gathering
	for i, c := range changes {
		b, first := g.join(c)
		joined[i] = b
		if first {
			mine = append(mine, b)
		}
	}
	// Whoever opened a gathering stores it, whatever becomes of its own caller:
	// others wait for it.
	for _, b := range mine {
		g.store(context.WithoutCancel(ctx), b)
	}
	for index, b := range joined {
		select {
		case <-b.stored:
			out[index] = b.outcome
		case <-ctx.Done():
			out[index].err = ctx.Err()
		}
		if out[index].err == nil {
			g.remember(changes[index], out[index].scanID)
		}
	}
	return out
}

// join adds a change to the open gathering of its scope, or opens one.
func (g *gatherer) join(change *Change) (joined *gathering, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	joined = g.open[change.Scope]
	if joined == nil || len(joined.seen)+len(change.InstanceIDs) > maxInstances {
		joined = &gathering{
			request: Request{Scope: change.Scope, Reason: change.Reason}, seen: map[string]bool{},
			stored: make(chan struct{}), outcome: outcome{err: errInterrupted},
		}
		g.open[change.Scope], first = joined, true
	}
	for _, id := range change.InstanceIDs {
		if !joined.seen[id] {
			joined.seen[id] = true
			joined.request.InstanceIDs = append(joined.request.InstanceIDs, id)
		}
	}
	return joined, first
}

// store waits for company, closes the gathering and stores it.
func (g *gatherer) store(ctx context.Context, gathering *gathering) {
	defer close(gathering.stored)
	if g.wait > 0 {
		time.Sleep(g.wait)
	}
	g.mu.Lock()
	if g.open[gathering.request.Scope] == gathering {
		delete(g.open, gathering.request.Scope)
	}
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	gathering.outcome.scanID, gathering.outcome.err = g.rescanner.Rescan(ctx, gathering.request)
}
