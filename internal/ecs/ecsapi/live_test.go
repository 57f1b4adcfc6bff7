//go:build live

package ecsapi

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// Four processes that share a limiter state stay within the quota together.
// The bound of 10 % is held in virtual time by
// TestTheLimiterSettlesUnderTheQuota; here the clock and the load are real.
func TestFourClientsShareOneQuota(t *testing.T) {
	t.Parallel()
	shared := newMemoryShared()
	const quota = 20
	sim, first := simulate(t, ecssim.Options{Instances: 8000, Regions: 1, Seed: 5, Quota: ecssim.Quota{Calls: quota, Window: ecssim.Duration(time.Second)}}, func(o *Options) {
		o.Shared, o.StartRate = shared, 40
	})
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	clients := []*Client{first}
	for range 3 {
		c, err := New(first.o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		clients = append(clients, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range clients {
		for range 4 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := c.Instances(ctx, s, ecs.Query{}); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	st := sim.Stats()
	if st.Throttled*4 > st.Total {
		t.Errorf("%d of %d calls were refused", st.Throttled, st.Total)
	}
	if st.Throttled == 0 {
		t.Error("the quota was never reached")
	}
}
