package sink_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
)

// running is a store in which a scan runs by what an earlier results stream
// said, and a bus whose streams are new.
func running(t *testing.T) (*store.DB, *bus.Bus) {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	plan := &event.ScanPlanned{ScanID: "s-1", Kind: event.KindScan, Epoch: time.Unix(100, 0), Scopes: []ecs.Scope{{Account: "a", Region: "r"}}}
	if _, err := db.Apply(t.Context(), []event.Received{{Position: event.Position{Stream: 1, Seq: 700}, Stored: 100e9, Msg: plan}}); err != nil {
		t.Fatal(err)
	}
	o := bus.DefaultOptions()
	o.Dir, o.Sync, o.Listen = t.TempDir(), bus.SyncInterval, "127.0.0.1:0"
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return db, b
}

func run(t *testing.T, s *sink.Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ran sync.WaitGroup
	ran.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("the sink ended: %v", err)
		}
	})
	return func() { cancel(); ran.Wait() }
}

func deleteResults(t *testing.T, b *bus.Bus) {
	t.Helper()
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		err = js.DeleteStream(t.Context(), bus.StreamResults)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}

// A server that came back empty has lost what a running scan had on its way.
// The scan ends by name and is asked for again; it does not run for ever.
func TestAScanThatNATSLostEndsAndIsAskedForAgain(t *testing.T) {
	t.Parallel()
	db, b := running(t)
	s := sink.New(db, b, sink.Options{Name: "x", EndLost: true, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	defer run(t, s)()
	within(t, "the scan ends", func() bool {
		sc, err := db.Scan("s-1")
		return err == nil && sc.State == record.ScanAborted && strings.Contains(sc.Reason, "NATS lost its streams")
	})
	within(t, "it is asked for again", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages == 1
	})
}

// A stream that came back from an older copy gives numbers that the store has applied to
// other results. They are none that it has: it reads them, and has not caught up before.
func TestAnOlderStreamIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	db, b := running(t)
	st, err := b.State(t.Context(), bus.StreamResults)
	if err != nil {
		t.Fatal(err)
	}
	ahead := event.Position{Stream: st.Created, Seq: 900}
	if _, err := db.Apply(t.Context(), []event.Received{{Position: ahead, Stored: 100e9, Msg: &event.ScanAborted{ScanID: "s-1", Kind: event.KindScan, Reason: "before"}}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(t.Context(), &event.ScanAborted{ScanID: "s-2", Kind: event.KindScan, Reason: "after"}); err != nil {
		t.Fatal(err)
	}
	s := sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	defer run(t, s)()
	within(t, "it is seen that the store has not caught up", func() bool { return db.Position() == ahead && !s.CaughtUp() })
	within(t, "the stream is read", func() bool { return db.Position().Seq == 1 })
	within(t, "the store has caught up", s.CaughtUp)
	for id, reason := range map[string]string{"s-1": "before", "s-2": "after"} {
		if sc, err := db.Scan(id); err != nil || sc.Reason != reason {
			t.Errorf("%s: %+v, %v", id, sc, err)
		}
	}
	if at := db.Position(); at != (event.Position{Stream: st.Created, Seq: 1}) {
		t.Errorf("the store is at %+v", at)
	}
}

// A scan of one process whose streams go with it is not asked for again by the
// next one.
func TestAScanOfAServerThatPassesIsLeftAlone(t *testing.T) {
	db, b := running(t)
	s := sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	stop := run(t, s)
	within(t, "the sink has looked", s.CaughtUp)
	stop()
	if sc, err := db.Scan("s-1"); err != nil || sc.State != record.ScanRunning {
		t.Errorf("the scan is %+v, %v", sc, err)
	}
}

// What serves while the store has caught up does not serve before, stops when
// it falls behind and serves again.
func TestNobodyIsServedBeforeTheStoreHasCaughtUp(t *testing.T) {
	t.Parallel()
	db, b := running(t)
	s := sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	serving := make(chan bool, 8)
	done := make(chan error, 1)
	go func() {
		done <- s.WhileCaughtUp(ctx, func(ctx context.Context) error {
			serving <- true
			<-ctx.Done()
			serving <- false
			return nil
		})
	}()
	select {
	case <-serving:
		t.Fatal("it serves though nothing was looked at yet")
	case <-time.After(50 * time.Millisecond):
	}
	stop := run(t, s)
	next := func(want bool, what string) {
		t.Helper()
		select {
		case got := <-serving:
			if got != want {
				t.Errorf("serving %v: %s", got, what)
			}
		case <-time.After(2 * time.Minute):
			t.Fatal("did not happen: " + what)
		}
	}
	next(true, "it has caught up and serves")
	deleteResults(t, b)
	next(false, "its stream is gone and it stops")
	next(true, "the stream is there again and it serves")
	stop()
	cancel()
	next(false, "it was stopped")
	if err := <-done; err != nil {
		t.Error(err)
	}
}
