package app

import (
	"context"
	"errors"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

// What the pages open with is made before anybody asks: who comes first in the
// morning does not wait for a plan of the whole fleet.
const (
	// readyEvery is how often it is looked whether the store has come to rest.
	readyEvery = 5 * time.Second
	// readyShare bounds what making it costs: one part in so many of the time.
	readyShare = 50
	// readyInstances is the largest fleet whose plan is made so: it is held in
	// memory, some 60 bytes an instance, while nobody looks at it.
	readyInstances = 300_000
)

// rest says when the store has come to rest since what is ready was made.
type rest struct {
	seen, ready store.Moment
	next        time.Time // not before
}

// due says whether it is time to make what is ready anew.
func (r *rest) due(at store.Moment, busy bool, now time.Time) bool {
	rests := at == r.seen
	r.seen = at
	return rests && at != r.ready && !busy && !now.Before(r.next)
}

// made notes what was made ready, from when until when.
func (r *rest) made(of store.Moment, from, until time.Time) {
	r.ready, r.next = of, until.Add(readyShare*until.Sub(from))
}

// keepReady makes the plan and the remedies that the pages open with whenever the
// store has come to rest.
func (a *App) keepReady(ctx context.Context) error {
	if a.listener == nil {
		return nil
	}
	var resting rest
	return every(ctx, readyEvery, func() {
		summary := a.db.Summary()
		busy := !a.sink.CaughtUp() || summary.Instances == 0 || summary.Instances > readyInstances || summary.Rejudging != nil
		if running, err := a.db.Running(); err != nil || len(running) > 0 {
			busy = true // a scan's own end makes it due
		}
		now := time.Now()
		if at := a.db.Moment(); resting.due(at, busy, now) {
			if err := a.makeReady(ctx, summary.Targets); err != nil && !errors.Is(err, context.Canceled) {
				a.log.Warn("the plan that the page opens with was not made ahead; whoever asks for it waits", "err", err)
			}
			resting.made(at, now, time.Now())
		}
	})
}

// makeReady makes what the pages open with, and holds it.
func (a *App) makeReady(ctx context.Context, targets []string) error {
	answers := answers{a}
	first := httpapi.FirstPlan(targets)
	if _, err := answers.Plan(ctx, filter.Filter{}, first); err != nil {
		return err
	}
	a.plans.hold(answers.planKey(a.db.Moment(), filter.Filter{}, first))
	if _, err := answers.Remedies(ctx); err != nil {
		return err
	}
	a.remedies.hold(answers.remediesKey(a.db.Moment()))
	if _, err := answers.StartGroups(ctx); err != nil {
		return err
	}
	a.groups.hold(answers.remediesKey(a.db.Moment()))
	return nil
}
