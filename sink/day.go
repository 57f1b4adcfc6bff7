package sink

import (
	"context"
	"time"

	"github.com/shenscan/shenscan/sink/store"
)

// keepDay judges the stored fleet anew when a day begins, as far as waivers
// make a difference: one ends at midnight (UTC) after its last day, also in a
// process that nobody restarts.
func (s *Sink) keepDay(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wait := patience()
	day := ""
	for {
		if today := s.o.Now().UTC().Format(time.DateOnly); today != day || s.untold.Load() {
			if err := s.newDay(ctx, today); err == nil {
				day = today
				if s.o.OnDay != nil {
					s.o.OnDay()
				}
				wait.Reset()
			} else if ctx.Err() == nil {
				s.o.Log.ErrorContext(ctx, "the stored fleet was not judged for the new day; trying again", "day", today, "err", err)
				if !pause(ctx, wait.NextBackOff()) {
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

func (s *Sink) newDay(ctx context.Context, today string) error {
	s.untold.Store(false) // before it is looked at: a change that fails meanwhile says so again
	if !s.db.NeedsReclassify() {
		return nil
	}
	applied, err := s.db.Rejudge(ctx)
	if err != nil {
		s.untold.Store(true)
		return err
	}
	s.o.Log.InfoContext(ctx, "stored fleet judged anew for a new day", "day", today, "changed", applied.Moved)
	if applied.Moved > 0 {
		s.mayHold()
	}
	return nil
}

// Judge has the stored fleet judged by c from now on, calls inUse once it is, and
// says how many instances have other verdicts. Where it fails before that, the one
// before stays in use; where it fails afterwards, Run goes on telling what moved,
// and reads no results before that is done.
func (s *Sink) Judge(ctx context.Context, c store.Classifier, inUse func()) (moved int, err error) {
	turned := false
	applied, err := s.db.Judge(ctx, c, func() {
		turned = true
		inUse()
	})
	if err != nil {
		if turned {
			s.untold.Store(true)
		}
		return 0, err
	}
	if applied.Moved > 0 {
		s.mayHold()
	}
	return applied.Moved, nil
}
