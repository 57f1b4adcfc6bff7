package sink

import (
	"context"
	"time"

	"github.com/shenscan/shenscan/internal/event"
)

// NothingOnItsWay is nothingOnItsWay.
func (s *Sink) NothingOnItsWay(ctx context.Context) (event.Position, bool) {
	return s.nothingOnItsWay(ctx)
}

// Quiet is quiet.
type Quiet struct{ q quiet }

// Since is since.
func (q *Quiet) Since(at event.Position, nothing bool, now time.Time) time.Duration {
	return q.q.since(at, nothing, now)
}
