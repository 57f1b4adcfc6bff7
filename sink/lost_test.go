package sink_test

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink"
)

var lostScope = ecs.Scope{Account: "a", Region: "cn-hangzhou"}

func announced(id string) *event.ScanPlanned {
	return &event.ScanPlanned{ScanID: id, Kind: event.KindScan, Epoch: time.Unix(100, 0), Scopes: []ecs.Scope{lostScope}}
}

func publish(t *testing.T, b *bus.Bus, m event.Message) {
	t.Helper()
	if err := b.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// A scan is announced, and the job that was handed out for it is nowhere. The sink
// finds that out by itself, long before ScanIdle, and asks for the scan again.
func TestAScanWhoseJobsWereLostEndsAndIsAskedForAgain(t *testing.T) {
	t.Parallel()
	db, b := running(t)
	var aborted atomic.Int32
	s := sink.New(db, b, sink.Options{
		Name: "x", ScanIdle: time.Hour, LostAfter: time.Second, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		OnAborted: func(why sink.Aborted) {
			if why == sink.AbortedWork {
				aborted.Add(1)
			}
		},
	})
	publish(t, b, announced("s-2"))
	defer run(t, s)()
	within(t, "the scan ends", func() bool {
		sc, err := db.Scan("s-2")
		return err == nil && sc.State == record.ScanAborted && strings.Contains(sc.Reason, "its jobs or pages were lost")
	})
	within(t, "it is asked for again", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages > 0
	})
	if aborted.Load() == 0 {
		t.Error("the end was not counted")
	}
}

// As long as anything of a scan is on its way, in whichever stream, or the store
// has not taken what arrived, nothing is lost.
func TestNothingIsLostWhileSomethingIsOnItsWay(t *testing.T) {
	t.Parallel()
	for name, onItsWay := range map[string]event.Message{
		"nothing":           nil,
		"a request":         &event.ScanRequested{ScanID: "s-3", Kind: event.KindScan},
		"a scope":           &event.ScopeJob{ScanID: "s-2", Kind: event.KindScan, Scope: lostScope},
		"a lane":            &event.LaneJob{ScanID: "s-2", Scope: lostScope, Lane: "1.0"},
		"a page":            &event.InstancesListed{Walk: event.Walk{ScanID: "s-2", Kind: event.KindScan, Scope: lostScope, Lane: "1.0", Walk: "1.0"}},
		"a result":          &event.ScopeFailed{ScanID: "s-2", Kind: event.KindScan, Scope: lostScope},
		"an end of a lane":  &event.LaneEnded{ScanID: "s-2", Kind: event.KindScan, Scope: lostScope, Lane: "1.0", Walk: "1.0"},
		"a check of a lane": &event.ScopeCheck{ScanID: "s-2", Scope: lostScope},
	} {
		t.Run(name, func(t *testing.T) {
			db, b := running(t)
			s := sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now})
			publish(t, b, announced("s-2"))
			stop := run(t, s)
			within(t, "the plan is stored and told", func() bool {
				waits, err := db.Outbox(0, 1)
				_, scanErr := db.Scan("s-2")
				return err == nil && scanErr == nil && len(waits) == 0
			})
			stop()
			if onItsWay != nil {
				publish(t, b, onItsWay)
			}
			if _, nothing := s.NothingOnItsWay(t.Context()); nothing != (onItsWay == nil) {
				t.Errorf("nothing is on its way: %v", nothing)
			}
		})
	}
}

// Only what stays so counts: a look that finds something, or another position,
// begins anew.
func TestQuietBeginsAnewWhenSomethingArrives(t *testing.T) {
	var q sink.Quiet
	at := time.Unix(1000, 0)
	one, two := event.Position{Stream: 1, Seq: 1}, event.Position{Stream: 1, Seq: 2}
	for i, step := range []struct {
		at      event.Position
		nothing bool
		after   time.Duration
		want    time.Duration
	}{
		{one, true, 0, 0},
		{one, true, 5 * time.Second, 5 * time.Second},
		{one, false, 6 * time.Second, 0},
		{one, true, 7 * time.Second, 0},
		{one, true, 9 * time.Second, 2 * time.Second},
		{two, true, 10 * time.Second, 0},
		{two, true, 14 * time.Second, 4 * time.Second},
	} {
		if got := q.Since(step.at, step.nothing, at.Add(step.after)); got != step.want {
			t.Errorf("step %d: quiet for %s, want %s", i, got, step.want)
		}
	}
}
