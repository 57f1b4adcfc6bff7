package sink_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

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
