package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

var errFull = errors.New("no space on the stream")

// full is a bus that takes some messages and refuses those after them.
type full struct {
	journal
	room atomic.Int64
}

func (f *full) Publish(ctx context.Context, m event.Message) error {
	if f.room.Add(-1) < 0 {
		return errFull
	}
	return f.journal.Publish(ctx, m)
}

// A job of which any message is refused is not done: it comes again, and what was
// taken twice is harmless. One that is taken for done would leave out what the
// refused message said.
func TestAJobWhoseMessageIsRefusedComesAgain(t *testing.T) {
	fleet := fleet(40, time.Hour)
	named := []string{"1"}
	for i := range 100 { // more failures than one message holds
		named = append(named, fmt.Sprint("typo", i))
	}
	for name, work := range map[string]func(ctx context.Context, p *producer.Producer) error{
		"a scan": func(ctx context.Context, p *producer.Producer) error {
			return p.HandleScan(ctx, &event.ScanRequested{ScanID: "s", Kind: event.KindScan, Accounts: named}, time.Unix(100, 0))
		},
		"a rescan": func(ctx context.Context, p *producer.Producer) error {
			return p.HandleRescan(ctx, &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{"1"}, InstanceIDs: []string{fleet[0].ID}}, time.Unix(100, 0), "1")
		},
		"a scope": func(ctx context.Context, p *producer.Producer) error {
			return p.HandleScope(ctx, &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope}, "1")
		},
		"a lane": func(ctx context.Context, p *producer.Producer) error {
			return p.HandleLane(ctx, &event.LaneJob{ScanID: "s", Scope: scope, Lane: "all"}, "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			try := func(room int64) (int, error) {
				c, bus := &cloud{regions: []string{"a", "cn-x"}, instances: fleet, pageSize: 10}, &full{}
				bus.room.Store(room)
				o := options()
				o.LaneSize = 20
				err := work(t.Context(), producer.New(o, c, accounts(c, "1"), bus, nil))
				return len(bus.msgs), err
			}
			all, err := try(1 << 30)
			if err != nil || all == 0 {
				t.Fatalf("%d messages, %v", all, err)
			}
			for room := range all {
				if taken, err := try(int64(room)); taken != room || !errors.Is(err, errFull) {
					t.Errorf("%d of %d messages are taken, %d when they are counted: %v", room, all, taken, err)
				}
			}
		})
	}
}

// The line on a planned scan tells how many accounts and regions could not be planned.
func TestTheLineOnAPlanCountsWhatFailed(t *testing.T) {
	var log bytes.Buffer
	o, c := options(), &cloud{regions: []string{"a", "b"}}
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := producer.New(o, c, accounts(c, "1", "2"), &journal{}, nil)
	if err := p.HandleScan(t.Context(), &event.ScanRequested{ScanID: "s", Kind: event.KindScan, Accounts: []string{"1", "2", "typo"}, Regions: []string{"a", "nowhere"}}, time.Unix(100, 0)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "scopes=2 failed=3") {
		t.Errorf("the log says %s; an account is not there, and a region of two", log.String())
	}
}
