package producer_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// TestLanesShareTheCallsOfTheirScope adds the shares of the lanes and what
// finding the cuts took up: together they are what the scope may take.
func TestLanesShareTheCallsOfTheirScope(t *testing.T) {
	for _, size := range []int{0, 40, 3_000, 10_000, 40_000} {
		c, j := &cloud{instances: fleet(size, 5*time.Hour), pageSize: 100}, &journal{}
		o := options()
		o.LaneSize = 2_000
		p := producer.New(o, c, accounts(c, "1"), j, nil)
		if err := p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: scope}, "1"); err != nil {
			t.Fatal(err)
		}
		lanes := of[*event.LaneJob](j)
		sum := c.probes
		for _, lane := range lanes {
			sum += lane.Calls
			if lane.ScopeCalls != lanes[0].ScopeCalls || lane.Calls < 100 {
				t.Errorf("of %d instances, lane %s may take %d calls of %d", size, lane.Lane, lane.Calls, lane.ScopeCalls)
			}
		}
		if may := lanes[0].ScopeCalls; sum > may || sum < may-2*len(lanes) {
			t.Errorf("%d instances in %d lanes: %d calls are shared out, of %d", size, len(lanes), sum, may)
		}
		if may := lanes[0].ScopeCalls; len(lanes) > 1 && may > 3*size/10 {
			t.Errorf("%d instances may take %d calls", size, may)
		}
	}
}

// TestARepeatedLaneGoesOnWithWhatIsLeft hands a lane out again and again, since
// its end cannot be published: it takes no more calls than once.
func TestARepeatedLaneGoesOnWithWhatIsLeft(t *testing.T) {
	c := &sick{cloud: &cloud{instances: fleet(1000, time.Hour), pageSize: 100}, tiny: 100, token: func(_ int, p *ecs.Page) { p.NextToken = "" }}
	j := &journal{err: errors.New("the bus is away")}
	p := producer.New(options(), c, accounts(c, "1"), j, nil)
	n := 1000
	job := &event.LaneJob{ScanID: "s", Scope: scope, Lane: "1.0", Counted: &n, Calls: 60, ScopeCalls: 500}
	for range 100 {
		if err := p.HandleLane(t.Context(), job, "1"); err == nil {
			t.Fatal("a lane ended without the bus")
		}
	}
	if calls := c.lists + c.counts; calls > job.Calls {
		t.Errorf("%d calls were made, of %d", calls, job.Calls)
	}
	j.err = nil
	if err := p.HandleLane(t.Context(), job, "2"); err != nil {
		t.Fatal(err)
	}
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 || ended[0].Failure == nil || !strings.Contains(ended[0].Failure.Error, "may take 60 of the 500 calls") {
		t.Errorf("the lane ended as %+v", ended)
	}
}
