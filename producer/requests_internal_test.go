package producer

import (
	"context"
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
)

// stored keeps requests.
type stored struct{ requests []*event.ScanRequested }

func (s *stored) Publish(_ context.Context, m event.Message) error {
	s.requests = append(s.requests, m.(*event.ScanRequested))
	return nil
}

// Rescans are stored as one while they hold no more instances than one request may;
// an instance that several ask for counts once. Each caller hears of the request that
// holds its instances.
func TestABatchIsStoredInRequestsOfTenThousand(t *testing.T) {
	bus := &stored{}
	q := NewRequests(DefaultRequestOptions(), nil, bus, nil, "test")
	var batch []*asked
	for _, span := range [][2]int{{0, 4000}, {4000, maxIDs}, {maxIDs - 1, maxIDs + 1}, {0, maxIDs}, {7, 8}} {
		req := &event.ScanRequested{Kind: event.KindRescan}
		for i := span[0]; i < span[1]; i++ {
			req.InstanceIDs = append(req.InstanceIDs, fmt.Sprintf("i-%08d", i))
		}
		batch = append(batch, &asked{req: req, answer: make(chan answered, 1)})
	}
	q.storeBatch(t.Context(), batch)
	sizes := map[string]int{}
	for i, want := range []int{maxIDs, 2, maxIDs} {
		if i >= len(bus.requests) || len(bus.requests[i].InstanceIDs) != want {
			t.Fatalf("request %d of %d does not hold %d instances", i, len(bus.requests), want)
		}
		sizes[bus.requests[i].ScanID] = want
	}
	for i, want := range []int{maxIDs, maxIDs, 2, maxIDs} {
		if got := <-batch[i].answer; got.err != nil || sizes[got.scanID] != want {
			t.Errorf("caller %d hears of %s of %d instances: %v", i, got.scanID, sizes[got.scanID], got.err)
		}
	}
}
