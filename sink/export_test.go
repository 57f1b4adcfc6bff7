package sink

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
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

// LimitEvents lets the stream of events take less than it would.
func LimitEvents(t *testing.T, b *bus.Bus, change func(*jetstream.StreamConfig)) {
	t.Helper()
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	change(&config)
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}
