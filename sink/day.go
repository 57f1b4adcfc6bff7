package sink

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/sink/store"
)

// keepDay judges the stored fleet anew when a day begins, as far as waivers
// make a difference: one ends at midnight (UTC) after its last day, also in a
// process that nobody restarts.
func (s *Sink) keepDay(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wait := retryWaits()
	day := ""
	for {
		if today := s.o.Now().UTC().Format(time.DateOnly); today != day || s.untold.Load() {
			if err := s.settle(ctx); err == nil {
				day = today
				if s.o.OnDay != nil {
					s.o.OnDay()
				}
				wait.Reset()
			} else if ctx.Err() == nil {
				s.o.Log.ErrorContext(ctx, "the stored fleet was not judged for the new day; trying again", "day", today, "err", err)
				if !bus.Pause(ctx, wait.NextBackOff()) {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// owed is a mark that something is left to be done.
type owed struct{ atomic.Bool }

// settle takes the mark away, works, and sets the mark again where that failed. It is
// away before the work begins: what fails beside it sets it, and must not be forgotten
// when the work ends.
func (o *owed) settle(work func() error) error {
	o.Store(false)
	err := work()
	if err != nil {
		o.Store(true)
	}
	return err
}

// settle tells the rest of what a change of rule set, targets or day moved.
func (s *Sink) settle(ctx context.Context) error {
	return s.untold.settle(func() error {
		if !s.db.NeedsReclassify() {
			return nil
		}
		told, err := s.db.Rejudge(ctx)
		if err != nil {
			return err
		}
		s.o.Log.InfoContext(ctx, "what the change of rules or of the day moved is known", "changed", told.Moved)
		s.mayHold()
		return nil
	})
}

// Judge has the stored fleet judged by c from now on, calls inUse once it is, and
// says how many instances have other verdicts. Where it fails before that, the one
// before stays in use; where it fails afterwards, Run goes on telling what moved,
// and reads no results before that is done.
func (s *Sink) Judge(ctx context.Context, c store.Classifier, inUse func()) (moved int, err error) {
	switched := false
	applied, err := s.db.Judge(ctx, c, func() {
		switched = true
		inUse()
	})
	if err != nil {
		if switched {
			s.untold.Store(true)
		}
		return 0, err
	}
	s.mayHold()
	return applied.Moved, nil
}
