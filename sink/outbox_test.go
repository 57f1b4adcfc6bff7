package sink_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
)

// An event that cannot be published now, here because its stream is not there,
// must not end the sink: it stays in the outbox.
func TestSinkOutlivesAnEventThatCannotBePublished(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets())})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plan := &event.ScanPlanned{ScanID: "s-1", Kind: event.KindScan, Epoch: time.Unix(100, 0)}
	if _, err := db.Apply(t.Context(), []event.Received{{Position: event.Position{Stream: 1, Seq: 1}, Stored: 100e9, Msg: plan}}); err != nil {
		t.Fatal(err)
	}
	o := bus.DefaultOptions()
	o.Dir = t.TempDir()
	b, err := bus.Dial(t.Context(), o) // no streams
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now}).Run(ctx); err != nil {
		t.Errorf("the sink ended: %v", err)
	}
	if ctx.Err() == nil {
		t.Error("the sink ended before it was stopped")
	}
	if out, err := db.Outbox(0, 10); err != nil || len(out) == 0 {
		t.Errorf("the outbox holds %d events (%v)", len(out), err)
	}
}

// An event that its stream refuses, here because it is larger than the stream
// takes, is kept as a dead letter with the cause; what stands behind it in the
// outbox is published.
func TestAnEventThatIsRefusedHoldsUpNobody(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets())})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i, reason := range []string{strings.Repeat("too much ", 400), "short"} {
		plan := &event.ScanPlanned{ScanID: fmt.Sprintf("s-%d", i), Kind: event.KindScan, Reason: reason, Epoch: time.Unix(int64(100+i), 0)}
		if _, err := db.Apply(t.Context(), []event.Received{{Position: event.Position{Stream: 1, Seq: uint64(i + 1)}, Stored: int64(100+i) * 1e9, Msg: plan}}); err != nil {
			t.Fatal(err)
		}
	}
	o := bus.DefaultOptions()
	o.Dir, o.Listen, o.Declare = t.TempDir(), "127.0.0.1:0", true
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	sink.LimitEvents(t, b, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now}).Run(ctx)
	}()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		out, err := db.Outbox(0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events still wait", len(out))
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	letters, err := b.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) == 0 || letters[0].Stream != bus.StreamEvents || letters[0].Cause == "" || !strings.Contains(string(letters[0].Payload), "s-0") {
		t.Errorf("dead letters: %+v, %v", letters, err)
	}
	if st, err := b.State(t.Context(), bus.StreamEvents); err != nil || st.Messages == 0 {
		t.Errorf("no event behind it was published: %+v, %v", st, err)
	}
}
