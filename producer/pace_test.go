package producer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// ackWait is after how long without a word a job is taken for lost.
const ackWait = 15 * time.Second

// queue is a cloud behind the ceiling of an account: calls wait for their turn,
// and then take a moment.
type queue struct {
	*cloud
	every time.Duration

	mu      sync.Mutex
	next    time.Time
	longest time.Duration // that a call waited
	calls   int
}

func (q *queue) wait(ctx context.Context) error {
	q.mu.Lock()
	now := time.Now()
	if q.next.Before(now) {
		q.next = now
	}
	turn := q.next
	q.next = turn.Add(q.every)
	q.longest = max(q.longest, turn.Sub(now))
	q.calls++
	q.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(turn)):
		return nil
	}
}

func (q *queue) Instances(ctx context.Context, s ecs.Scope, query ecs.Query) (*ecs.Page, error) {
	if err := q.wait(ctx); err != nil {
		return nil, err
	}
	page, err := q.cloud.Instances(ctx, s, query)
	time.Sleep(300 * time.Millisecond)
	return page, err
}

func (q *queue) CountInstances(ctx context.Context, s ecs.Scope, query ecs.Query) (int, error) {
	if err := q.wait(ctx); err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond)
	return q.cloud.CountInstances(ctx, s, query)
}

// TestNoCallWaitsLongerThanAJob scans many regions at a rate at which their calls,
// all at once, would wait for minutes.
func TestNoCallWaitsLongerThanAJob(t *testing.T) {
	for name, tc := range map[string]struct {
		rate    float64
		regions int
	}{
		"0.4 a second, 30 regions":                {0.4, 30},
		"0.15 a second, 3 regions of many lanes":  {0.15, 3},
		"2 a second, 30 regions of several lanes": {2, 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{cloud: &cloud{instances: fleet(40, time.Hour), pageSize: 10}, every: time.Duration(float64(time.Second) / tc.rate)}
				o := options()
				o.LaneSize, o.Rate = 10, tc.rate
				j := &journal{}
				p := producer.New(o, q, accounts(q, "1"), j, nil)
				sideBySide(t, tc.regions, func(i int) error {
					return p.HandleScope(t.Context(), &event.ScopeJob{ScanID: "s", Kind: event.KindScan, Scope: ecs.Scope{Account: "1", Region: fmt.Sprint("r", i)}}, "1")
				})
				lanes := of[*event.LaneJob](j)
				sideBySide(t, len(lanes), func(i int) error { return p.HandleLane(t.Context(), lanes[i], "1") })
				for _, e := range of[*event.LaneEnded](j) {
					if e.Failure != nil {
						t.Fatalf("%s: %+v", e.Scope, e.Failure)
					}
				}
				if ended := len(of[*event.LaneEnded](j)); ended != len(lanes) || len(lanes) < tc.regions {
					t.Errorf("%d of %d lanes ended", ended, len(lanes))
				}
				// One turn at the least: at 0.15 a second that is seven seconds.
				if limit := max(ackWait, q.every); q.longest >= limit {
					t.Errorf("a call waited %s for its turn, a job is taken for lost after %s", q.longest, limit)
				}
				t.Logf("%d lanes, %d calls, the longest wait %s", len(lanes), q.calls, q.longest)
			})
		})
	}
}

func sideBySide(t *testing.T, n int, work func(int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := work(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
