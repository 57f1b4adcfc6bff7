package sink_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
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

// Waivers end at midnight after their last day while the process runs, one day
// after the other, and the verdicts that they hid are back with events.
func TestWaiverEndsInARunningProcess(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Load([]byte("version: 1\nwaivers:\n  - {id: test, scope: {regions: [cn-hangzhou]}, as: compatible, until: \"2026-11-29\", reason: A test says so.}\n" +
		"  - {id: test.longer, scope: {regions: [cn-beijing]}, as: compatible, until: \"2026-11-30\", reason: A test says so.}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var clock atomic.Int64
	clock.Store(time.Date(2026, 11, 29, 23, 59, 59, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()).UTC() }
	db, err := store.Open(t.Context(), store.Options{
		Path: filepath.Join(t.TempDir(), "store.db"), Classifier: rs.NewClassifier(rules.DefaultTargets()),
		Today: func() string { return now().Format(time.DateOnly) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	scopes := []ecs.Scope{{Account: "1", Region: "cn-beijing"}, {Account: "1", Region: "cn-hangzhou"}}
	facts := rules.Facts{OSName: "CentOS 5.8", OSType: "linux", InstanceType: "ecs.c5.large", InstanceFamily: "ecs.c5"}
	msgs := []event.Message{&event.ScanPlanned{ScanID: "s-1", Kind: event.KindScan, Epoch: now().Add(-time.Minute), Scopes: scopes}}
	for _, sc := range scopes {
		page := &event.InstancesClassified{
			Walk:  event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: sc, Lane: "1.0", Walk: "1.0"},
			Order: clock.Load(), Ruleset: rs.Digest(), Targets: []string{"kvm", "shenlong-6", "shenlong-7", "shenlong-8"},
		}
		page.Software, page.Hardware = append(page.Software, facts.Software()), append(page.Hardware, facts.Hardware())
		page.Profiles = append(page.Profiles, event.Profile{})
		page.Rows = event.RowsOf([]event.Row{{ID: "i-" + sc.Region, Name: "one", Zone: sc.Region + "-b", Status: "Running"}})
		msgs = append(msgs, page)
	}
	for i, m := range msgs {
		if _, err := db.Apply(t.Context(), []event.Received{{Position: event.Position{Stream: 1, Seq: uint64(i + 1)}, Stored: clock.Load(), Msg: m}}); err != nil {
			t.Fatal(err)
		}
	}
	hidden := func() int { return db.Summary().Verdicts["shenlong-7"]["compatible"] }
	if hidden() != 2 {
		t.Fatalf("the waivers hide nothing: %+v", db.Summary().Verdicts)
	}
	if entries, err := db.Outbox(0, 10); err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	} else if err := db.Delivered(entries[len(entries)-1].Key); err != nil {
		t.Fatal(err)
	}
	o := bus.DefaultOptions()
	o.Dir, o.Sync = t.TempDir(), bus.SyncInterval
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var days atomic.Int32
	go func() {
		ended <- sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: now, OnDay: func() { days.Add(1) }}).Run(ctx)
	}()
	within(t, "the first day begins", func() bool { return days.Load() == 1 })
	for day, left := range []int{1, 0} {
		clock.Store(time.Date(2026, 11, 30+day, 0, 0, 0, 0, time.UTC).UnixNano())
		within(t, "a waiver ends", func() bool { return hidden() == left })
		within(t, "another day begins, and what moved is published", func() bool {
			waits, err := db.Outbox(0, 1)
			st, stateErr := b.State(t.Context(), bus.StreamEvents)
			return err == nil && len(waits) == 0 && stateErr == nil && st.Messages == uint64(day+1) && days.Load() == int32(day+2)
		})
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
