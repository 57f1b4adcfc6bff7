package ecsapi

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
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
					if sleepUntil(ctx, time.Now().Add(latency), nil) != nil {
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
	t.Parallel()
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

// A refusal in ten may come at random. Three of them in a row cost seconds and
// nothing is taken for the minute's quota; the fourth is, and its pause ends
// after the minute does.
func TestTheRestOfTheMinuteIsWaitedOutAfterFourRefusalsInARow(t *testing.T) {
	bounds := rateBounds{start: 10, min: 1}
	start := time.Date(2026, 11, 23, 1, 40, 7, 0, time.UTC)
	now := start
	var state rateState
	for n := range 3 {
		now, _ = state.take(bounds, now, 1, 0)
		if !state.refuse(bounds, now, state.Epoch, 0, 0) {
			t.Fatalf("refusal %d changed nothing", n+1)
		}
		now = time.Unix(0, state.Paused)
	}
	if waited := now.Sub(start); waited > 5*time.Second {
		t.Errorf("three refusals in a row cost %s", waited)
	}
	now, _ = state.take(bounds, now, 1, 0)
	state.refuse(bounds, now, state.Epoch, 0, 0)
	if until := time.Unix(0, state.Paused); until.Before(start.Truncate(time.Minute).Add(time.Minute)) {
		t.Errorf("after four refusals in a row the next call is at %s", until.UTC())
	}
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

// TestSlotsAreTakenOneAfterTheOther lets more callers wait than a far-away slot
// would allow: with a rate of 0.15 a second the twentieth is two minutes behind,
// which looked like the work of a wrong clock, and all were let go at once.
func TestSlotsAreTakenOneAfterTheOther(t *testing.T) {
	for name, shared := range map[string]Shared{"alone": nil, "shared": newMemoryShared()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := DefaultOptions()
				o.MaxRate, o.Shared = 0.15, shared
				l := newLimiter(&o)
				calls := make(chan time.Time, 64)
				var wg sync.WaitGroup
				for i := range 64 {
					wg.Go(func() {
						b, g, err := l.wait(t.Context(), limitKey{"acc", string(rune('a' + i%30)), "DescribeInstances"})
						if err != nil {
							t.Error(err)
							return
						}
						b.succeeded(t.Context(), g)
						calls <- time.Now()
					})
				}
				wg.Wait()
				close(calls)
				last := <-calls
				for at := range calls {
					if gap := at.Sub(last); gap < 6*time.Second {
						t.Fatalf("two calls within %s at a rate of 0.15 a second", gap)
					}
					last = at
				}
			})
		})
	}
}

// TestALongHintIsWaitedForOrEndsTheCalls refuses one of forty callers with a
// hint of minutes. Up to the longest wait all of them wait; beyond, all of them
// end at once and say until when.
func TestALongHintIsWaitedForOrEndsTheCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		hint, longest time.Duration
		waits         bool
	}{
		"110 s":               {110 * time.Second, 5 * time.Minute, true},
		"300 s":               {300 * time.Second, 5 * time.Minute, true},
		"300 s, at most 60 s": {300 * time.Second, time.Minute, false},
		"an hour":             {time.Hour, 5 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBucket("k", rateBounds{start: 1000, min: 1, longest: tc.longest}, nil, 4, func(float64) {}, slog.New(slog.DiscardHandler))
				g, err := b.wait(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				var wg sync.WaitGroup
				for range 40 {
					wg.Go(func() {
						time.Sleep(time.Second) // behind the refusal
						_, err := b.wait(t.Context())
						held, closed := errors.AsType[*closedError](err)
						switch took := time.Since(began); {
						case tc.waits && (err != nil || took < tc.hint || took > tc.hint*11/10+2*time.Minute):
							t.Errorf("a call after %s: %v", took, err)
						case !tc.waits && (!closed || took > 2*time.Second || held.until.Sub(began) != tc.hint):
							t.Errorf("%v after %s", err, took)
						}
					})
				}
				b.refused(t.Context(), g, tc.hint)
				if tc.hint > tc.longest {
					b.closeUntil(time.Now().Add(tc.hint))
				}
				wg.Wait()
			})
		})
	}
}

// A call that only gathers evidence bears being throttled for a quarter of the time of
// others, and for no less than what the API asks for.
func TestEvidenceIsWaitedForLessLong(t *testing.T) {
	for name, tc := range map[string]struct {
		aside bool
		since time.Duration
		hint  time.Duration
		again bool
	}{
		"a list":                     {since: 7 * time.Minute, again: true},
		"a list for too long":        {since: 8 * time.Minute},
		"evidence":                   {aside: true, since: 119 * time.Second, again: true},
		"evidence for too long":      {aside: true, since: 2 * time.Minute},
		"evidence, by a hint":        {aside: true, since: time.Second, hint: 3 * time.Minute, again: true},
		"evidence, by a longer hint": {aside: true, since: time.Second, hint: 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			options := Options{MaxThrottled: 8 * time.Minute, ThrottleWait: 5 * time.Minute, MaxThrottles: 40}
			k := call{c: &Client{o: options}, req: &request{aside: tc.aside}, throttles: 1, sincePause: time.Now().Add(-tc.since)}
			if _, again := k.retry(&ecs.Error{Class: ecs.Throttled}, tc.hint); again != tc.again {
				t.Errorf("it is made again: %t", again)
			}
		})
	}
}

func TestEveryHintIsRead(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	for want, h := range map[time.Duration]map[string]string{
		110 * time.Second:       {"Retry-After": "110"},
		300 * time.Second:       {"Retry-After": "300"},
		200 * time.Millisecond:  {"X-Acs-Retry-After": "200"},
		90 * time.Second:        {"Retry-After": "Fri, 20 Nov 2026 04:01:30 GMT", "Date": "Fri, 20 Nov 2026 04:00:00 GMT"},
		30 * time.Second:        {"Retry-After": "Fri, 20 Nov 2026 03:00:30 GMT"},
		1500 * time.Millisecond: {"X-Ratelimit-User-Api": "TotalRemain:0,TimeLeft:1500", "Retry-After": "1"},
		longestHint:             {"Retry-After": "99999999999"},
		0:                       {"Retry-After": "-5", "X-Acs-Retry-After": "soon"},
	} {
		header := http.Header{}
		for k, v := range h {
			header.Set(k, v)
		}
		if got := retryHint(header, now); got != want {
			t.Errorf("%v is read as %s, want %s", h, got, want)
		}
	}
}

// TestAnAnswerIsAsOldAsItsCall lets calls wait for their turns, a fifth of a
// second each: what an answer shows is as old as its call, and not as the wait.
func TestAnAnswerIsAsOldAsItsCall(t *testing.T) {
	t.Parallel()
	const calls, rate = 8, 5
	f := newFake(t, nil)
	c := newTestClient(t, f, func(o *Options) { o.MaxRate = rate })
	var mu sync.Mutex
	var asked []time.Time
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			page, err := c.Instances(t.Context(), ecs.Scope{Account: testAccount, Region: "cn-" + string(rune('a'+i))}, ecs.Query{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, page.Asked)
		})
	}
	wg.Wait()
	slices.SortFunc(asked, time.Time.Compare)
	// The last one left when seven turns had passed, however slow the machine is.
	if span := asked[len(asked)-1].Sub(asked[0]); span < (calls-2)*time.Second/rate {
		t.Errorf("%d calls at %d a second were asked within %s", calls, rate, span)
	}
}
