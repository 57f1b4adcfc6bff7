package ecsapi

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// quotaServer refuses calls beyond a quota in fixed windows, as the API does,
// and any share of the others.
type quotaServer struct {
	quota  int
	window time.Duration
	random float64
	hints  bool

	mu      sync.Mutex
	start   time.Time
	used    int
	windows []windowCount
}

type windowCount struct{ taken, refused int }

func (q *quotaServer) call() (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if start := now.Truncate(q.window); !start.Equal(q.start) {
		for !q.start.IsZero() && q.start.Before(start) && len(q.windows) < 10000 {
			q.start = q.start.Add(q.window)
			q.windows = append(q.windows, windowCount{})
		}
		if q.start.IsZero() {
			q.windows = append(q.windows, windowCount{})
		}
		q.start, q.used = start, 0
	}
	w := &q.windows[len(q.windows)-1]
	if q.quota > 0 && q.used >= q.quota {
		w.refused++
		if q.hints {
			return q.start.Add(q.window).Sub(now), false
		}
		return 0, false
	}
	q.used++
	if rand.Float64() < q.random {
		w.refused++
		return 0, false
	}
	w.taken++
	return 0, true
}

// drive lets callers call through buckets for some virtual time.
func drive(t *testing.T, q *quotaServer, buckets []*bucket, callers int, latency, total time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), total)
	defer cancel()
	var wg sync.WaitGroup
	for _, b := range buckets {
		for range callers {
			wg.Go(func() {
				for {
					g, err := b.wait(ctx)
					if err != nil {
						return
					}
					hint, ok := q.call()
					if sleepUntil(ctx, time.Now().Add(latency)) != nil {
						return
					}
					if ok {
						b.succeeded(ctx, g)
					} else {
						b.refused(ctx, g, hint)
					}
				}
			})
		}
	}
	wg.Wait()
}

func testBucket(shared Shared) *bucket {
	return newBucket("k", rateBounds{start: 10, min: 1}, shared, 4, func(float64) {}, slog.New(slog.DiscardHandler))
}

func TestTheLimiterSettlesUnderTheQuota(t *testing.T) {
	for name, tc := range map[string]struct {
		q       *quotaServer
		clients int
		total   time.Duration
		settle  time.Duration
		atLeast float64 // share of the quota that is used
	}{
		"20 a second, hints":               {&quotaServer{quota: 20, window: time.Second, hints: true}, 1, 2 * time.Minute, 20 * time.Second, 0.7},
		"20 a second, no hints":            {&quotaServer{quota: 20, window: time.Second}, 1, 2 * time.Minute, 20 * time.Second, 0.6},
		"20 a second, 4 clients":           {&quotaServer{quota: 20, window: time.Second, hints: true}, 4, 2 * time.Minute, 20 * time.Second, 0.7},
		"100 a second, 4 clients":          {&quotaServer{quota: 100, window: time.Second}, 4, 2 * time.Minute, 30 * time.Second, 0.6},
		"600 a minute, hints":              {&quotaServer{quota: 600, window: time.Minute, hints: true}, 1, 10 * time.Minute, 2 * time.Minute, 0.9},
		"600 a minute, no hints":           {&quotaServer{quota: 600, window: time.Minute}, 1, 10 * time.Minute, 2 * time.Minute, 0.9},
		"1200 a minute, 4 clients":         {&quotaServer{quota: 1200, window: time.Minute, hints: true}, 4, 10 * time.Minute, 2 * time.Minute, 0.9},
		"3000 a minute, 4 clients no hint": {&quotaServer{quota: 3000, window: time.Minute}, 4, 10 * time.Minute, 2 * time.Minute, 0.85},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var shared Shared
				if tc.clients > 1 {
					shared = newMemoryShared()
				}
				var buckets []*bucket
				for range tc.clients {
					buckets = append(buckets, testBucket(shared))
				}
				q := tc.q
				drive(t, q, buckets, 8, 50*time.Millisecond, tc.total)
				skip := int(tc.settle / q.window)
				settled := q.windows[skip : len(q.windows)-1]
				taken, refused := 0, 0
				for i, w := range settled {
					taken += w.taken
					refused += w.refused
					if sum := w.taken + w.refused; sum > q.quota*110/100+1 {
						t.Errorf("window %d: %d calls for a quota of %d", skip+i, sum, q.quota)
					}
				}
				used := float64(taken) / float64(q.quota*len(settled))
				t.Logf("%.0f %% of the quota used, %d of %d calls refused", 100*used, refused, taken+refused)
				if used < tc.atLeast {
					t.Errorf("%.0f %% of the quota used", 100*used)
				}
			})
		})
	}
}

func TestTheLimiterOutlivesRandomRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quotaServer{window: time.Second, random: 0.05}
		drive(t, q, []*bucket{testBucket(nil)}, 8, 300*time.Millisecond, 5*time.Minute)
		taken := 0
		for _, w := range q.windows {
			taken += w.taken
		}
		perSecond := float64(taken) / 300
		t.Logf("%.1f calls a second", perSecond)
		if perSecond < 5 {
			t.Errorf("%.1f calls a second with 5 %% refused at random", perSecond)
		}
	})
}

func TestTheLimiterRisesWhileItGoesWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quotaServer{window: time.Second}
		drive(t, q, []*bucket{testBucket(nil)}, 64, 50*time.Millisecond, 10*time.Second)
		if last := q.windows[len(q.windows)-2].taken; last < 500 {
			t.Errorf("%d calls a second after 10 s without a refusal", last)
		}
	})
}

// brokenShared fails after some calls.
type brokenShared struct {
	*memoryShared
	mu    sync.Mutex
	after int
}

var errBroken = errors.New("broken")

func (s *brokenShared) Load(ctx context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after--; s.after < 0 {
		return nil, 0, errBroken
	}
	return s.memoryShared.Load(ctx, key)
}

func TestWithoutTheSharedStateTheLimiterIsCautious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &brokenShared{memoryShared: newMemoryShared(), after: 5}
		q := &quotaServer{window: time.Second}
		b := newBucket("k", rateBounds{start: 40, min: 1}, shared, 4, func(float64) {}, slog.New(slog.DiscardHandler))
		drive(t, q, []*bucket{b}, 8, 10*time.Millisecond, 10*time.Second)
		if n := q.windows[2].taken; n > 20 || n < 5 {
			t.Errorf("%d calls a second without the shared state", n)
		}
	})
}

// hangingShared answers no more.
type hangingShared struct{ *memoryShared }

func (hangingShared) Load(ctx context.Context, _ string) ([]byte, uint64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func TestASharedStateThatHangsDoesNotStopTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket("k", rateBounds{start: 40, min: 1, fixed: true}, hangingShared{}, 4, func(float64) {}, slog.New(slog.DiscardHandler))
		q := &quotaServer{window: time.Second}
		drive(t, q, []*bucket{b}, 4, time.Millisecond, 30*time.Second)
		calls := 0
		for _, w := range q.windows {
			calls += w.taken
		}
		if calls < 100 || calls > 310 {
			t.Errorf("%d calls in 30 s with a share of 10 a second", calls)
		}
	})
}

func TestTheCeilingOfAnAccountHoldsOverItsRegions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.MaxRate, o.StartRate = 20, 1000
		l := newLimiter(&o)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		calls := 0
		for _, region := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				for {
					b, g, err := l.wait(ctx, limitKey{"acc", region, "DescribeInstances"})
					if err != nil {
						return
					}
					b.succeeded(ctx, g)
					mu.Lock()
					calls++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if calls < 180 || calls > 210 {
			t.Errorf("%d calls in 10 s with a ceiling of 20 a second", calls)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket("k", rateBounds{start: 0.01, min: 0.01}, nil, 4, func(float64) {}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 20 {
			if _, err := b.wait(ctx); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("err = %v", err)
				}
				return
			}
		}
		t.Error("the wait did not end")
	})
}

func TestMemorySharedRefusesStaleWrites(t *testing.T) {
	s := newMemoryShared()
	ctx := t.Context()
	if err := s.Store(ctx, "k", []byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Store(ctx, "k", []byte("b"), 0); !errors.Is(err, ErrConflict) {
		t.Errorf("err = %v", err)
	}
	if v, rev, err := s.Load(ctx, "k"); string(v) != "a" || rev != 1 || err != nil {
		t.Errorf("%s %d %v", v, rev, err)
	}
}

func TestAGarbledSharedStateIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, raw := range []string{"not JSON", `{"rate":-1}`, `{"rate":1e999}`, `{"rate":5,"next":9223372036854775807,"paused":9223372036854775807}`} {
			s := newMemoryShared()
			if err := s.Store(t.Context(), "k", []byte(raw), 0); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := testBucket(s).wait(t.Context()); err != nil || time.Since(began) > time.Second {
				t.Errorf("%s: %v after %v", raw, err, time.Since(began))
			}
		}
	})
}
