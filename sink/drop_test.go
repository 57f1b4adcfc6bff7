package sink_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
)

// A sink that nobody follows drops what it has stored, nothing else, and goes
// on; another one leaves the stream alone.
func TestAppliedResultsAreDropped(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	const pages = 5000
	for name, drop := range map[string]bool{"dropped": true, "kept": false} {
		t.Run(name, func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets())})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			o := bus.DefaultOptions()
			o.Dir, o.Sync = t.TempDir(), bus.SyncInterval
			b, err := bus.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			page := &event.InstancesClassified{Walk: event.Walk{
				ScanID: "s-1", Kind: event.KindScan, Scope: ecs.Scope{Account: "a", Region: "cn-hangzhou"}, Lane: "1.0", Walk: "1.0",
			}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ran := make(chan error, 1)
			s := sink.New(db, b, sink.Options{Name: "x", MaxBatch: 64, DropApplied: drop, Log: slog.New(slog.DiscardHandler), Now: time.Now})
			go func() { ran <- s.Run(ctx) }()
			for page.Page = range pages {
				if err := b.Publish(t.Context(), page); err != nil {
					t.Fatal(err)
				}
			}
			for db.Position().Seq < pages {
				select {
				case err := <-ran:
					t.Fatal("the sink ended:", err)
				case <-time.After(time.Millisecond):
				}
			}
			stop()
			if err := <-ran; err != nil {
				t.Error(err)
			}
			st, err := b.State(t.Context(), bus.StreamResults)
			if err != nil {
				t.Fatal(err)
			}
			if dropped := st.FirstSeq > 1; dropped != drop || st.LastSeq != pages || st.FirstSeq > pages {
				t.Errorf("the stream holds %d to %d", st.FirstSeq, st.LastSeq)
			}
		})
	}
}
