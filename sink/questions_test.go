package sink_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
)

// A scope ends when the question about an instance that it no longer lists is
// answered. Events that cannot be published, or many of them that take their
// time, hold up neither the question nor with it the end of the scan.
func TestEventsThatWaitHoldUpNoQuestion(t *testing.T) {
	t.Parallel()
	db, b := running(t)
	sink.LimitEvents(t, b, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 1, jetstream.DiscardNew })
	facts := rules.Facts{OSName: "CentOS 5.8", OSType: "linux", InstanceType: "ecs.c5.large", InstanceFamily: "ecs.c5"}
	for i, ids := range [][]string{{"i-1", "i-2"}, {"i-1"}} {
		scan, epoch := []string{"s-10", "s-11"}[i], time.Unix(int64(200+100*i), 0)
		walk := event.Walk{ScanID: scan, Kind: event.KindScan, Scope: lostScope, Lane: "1.0", Walk: "1.0"}
		page := &event.InstancesClassified{Walk: walk, Order: epoch.UnixNano() + 1}
		page.Software, page.Hardware = append(page.Software, facts.Software()), append(page.Hardware, facts.Hardware())
		page.Profiles = append(page.Profiles, event.Profile{})
		ended := &event.LaneEnded{ScanID: scan, Kind: event.KindScan, Scope: lostScope, Lane: "1.0", Walk: "1.0", Pages: 1, Instances: len(ids), Listed: len(ids)}
		var rows []event.Row
		for _, id := range ids {
			ended.IDs += event.IDSum(id)
			rows = append(rows, event.Row{ID: id})
		}
		page.Rows = event.RowsOf(rows)
		for _, m := range []event.Message{
			&event.ScanPlanned{ScanID: scan, Kind: event.KindScan, Epoch: epoch, Scopes: []ecs.Scope{lostScope}},
			&event.ScopePlanned{ScanID: scan, Kind: event.KindScan, Scope: lostScope, Plan: "1", Lanes: []string{"1.0"}},
			page,
			ended,
		} {
			publish(t, b, m)
		}
		if i == 0 { // what comes of the second scan is asked while events of the first one wait
			defer run(t, sink.New(db, b, sink.Options{Name: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now}))()
			within(t, "events fill their stream", func() bool {
				st, err := b.State(t.Context(), bus.StreamEvents)
				return err == nil && st.Messages > 0 && len(outbox(t, db)) > 0
			})
		}
	}
	within(t, "the question is put to a producer", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages > 0
	})
	if len(outbox(t, db)) == 0 {
		t.Error("no event waits: nothing is shown")
	}
	within(t, "what was asked is forgotten", func() bool {
		left, err := db.Questions(1)
		return err == nil && len(left) == 0
	})
}

// outbox is what waits first.
func outbox(t *testing.T, db *store.DB) []store.Event {
	t.Helper()
	events, err := db.Outbox(0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return events
}
