package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// ErrConflict is what Shared.Store returns when the revision is not the
// expected one.
var ErrConflict = errors.New("the limiter's state was changed by another process")

// Shared keeps limiter states for several processes, so that together they
// stay within one account's quota. Implementations are safe for concurrent
// use. Keys hold letters, digits and . _ - only; values are under 1 KiB.
// Writes are optimistic: a Store whose expected revision is stale changes
// nothing.
type Shared interface {
	// Load returns the value of key and its revision; nil and 0 when absent.
	Load(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Store writes value if key's revision is still expect (0: absent), else
	// returns ErrConflict.
	Store(ctx context.Context, key string, value []byte, expect uint64) error
}

// bucket is the limiter of one key in this process. With a Shared it leases
// slots from the common state, 60 ms worth at a time; without one, or while
// that fails, it keeps the state itself.
type bucket struct {
	key     string
	bounds  rateBounds
	shared  Shared
	penalty float64
	notify  func(rate float64)
	log     *slog.Logger

	leasing ctxLock // held by the one caller who reserves

	mu     sync.Mutex
	local  rateState
	good   int // good answers not yet told
	left   int // slots left of the lease
	next   time.Time
	every  time.Duration
	epoch  uint64
	wanted int // size of the next lease
	shown  float64
	alone  bool // the last talk with shared failed
	retry  time.Time

	closed time.Time     // nobody is to ask before; later than a call may wait
	shut   chan struct{} // closed when that is set: those who sleep then need not

	doubtful uint64    // the epoch that a refusal without a hint ended
	refusal  time.Time // when the refused call had started
}

func newBucket(key string, b rateBounds, shared Shared, penalty int, notify func(float64), log *slog.Logger) *bucket {
	return &bucket{key: key, bounds: b, shared: shared, penalty: float64(penalty), notify: notify, log: log, wanted: 1, leasing: newCtxLock(), shut: make(chan struct{})}
}

// grant is leave to make one call.
type grant struct {
	epoch uint64
	at    time.Time
}

// closedError says that the API asked not to be asked again before a time that
// is further away than a call may wait.
type closedError struct{ until time.Time }

func (e *closedError) Error() string {
	return "the API asks not to be asked before " + e.until.UTC().Format(time.RFC3339)
}

// closeUntil makes every wait end with a closedError until then.
func (b *bucket) closeUntil(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.After(b.closed) {
		b.closed = at
		close(b.shut)
		b.shut = make(chan struct{})
	}
}

func (b *bucket) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Now().Before(b.closed) {
		return &closedError{b.closed}
	}
	return nil
}

// sleep sleeps until then, or until the bucket is closed.
func (b *bucket) sleep(ctx context.Context, at time.Time) error {
	b.mu.Lock()
	shut := b.shut
	b.mu.Unlock()
	if err := b.open(); err != nil {
		return err
	}
	if d := time.Until(at); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-shut:
		case <-t.C:
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.open()
}

// wait blocks until a call may start.
func (b *bucket) wait(ctx context.Context) (grant, error) {
	for {
		slot, epoch, err := b.slot(ctx)
		if err != nil {
			return grant{}, err
		}
		if err := b.sleep(ctx, slot); err != nil {
			return grant{}, err
		}
		b.mu.Lock()
		same := epoch == b.epoch
		b.mu.Unlock()
		if same { // else it was refused meanwhile: ask again
			return grant{epoch, time.Now()}, nil
		}
	}
}

func sleepUntil(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// slot takes the next free slot. Callers take theirs one after the other, each
// when the one before is due: what was reserved far ahead would outlive a
// refusal, would be lost with its caller, and in the shared state would look
// like the work of a wrong clock.
func (b *bucket) slot(ctx context.Context) (time.Time, uint64, error) {
	if err := b.open(); err != nil {
		return time.Time{}, 0, err
	}
	if at, epoch, ok, _ := b.leased(); ok {
		return at, epoch, nil
	}
	if err := b.leasing.take(ctx); err != nil {
		return time.Time{}, 0, err
	}
	defer b.leasing.give()
	if at, epoch, ok, _ := b.leased(); ok { // the caller before this one leased
		return at, epoch, nil
	}
	for {
		b.mu.Lock()
		last := b.next.Add(-b.every)
		b.mu.Unlock()
		if err := b.sleep(ctx, last); err != nil {
			return time.Time{}, 0, err
		}
		b.lease(ctx)
		if err := ctx.Err(); err != nil {
			return time.Time{}, 0, err
		}
		switch at, epoch, ok, late := b.leased(); {
		case ok:
			return at, epoch, nil
		case late: // a lease far too old to be used: take its last slot
			return time.Now(), epoch, nil
		}
		// A caller that just came took it: without a slot nobody goes.
	}
}

// leased takes a slot of the current lease. Slots that nobody used in time
// are dropped, lest they be used in a burst; late says that there were some.
func (b *bucket) leased() (slot time.Time, epoch uint64, ok, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stale := time.Now().Add(-burst)
	for b.left > 0 {
		at := b.next
		b.left--
		b.next = b.next.Add(b.every)
		if at.After(stale) {
			return at, b.epoch, true, late
		}
		late = true
	}
	return time.Time{}, b.epoch, false, late
}

// lease reserves slots in the shared state, or in the local one while that
// fails. Only the end of ctx keeps it from that.
func (b *bucket) lease(ctx context.Context) {
	b.mu.Lock()
	good, n, alone := b.good, b.wanted, b.shared == nil || b.alone && time.Now().Before(b.retry)
	b.good = 0
	b.mu.Unlock()
	if alone {
		b.leaseAlone(good)
		return
	}
	var first time.Time
	var every time.Duration
	st, err := b.update(ctx, func(s *rateState) bool {
		now := time.Now()
		s.init(b.bounds, now)
		n = min(n, max(1, int(s.Rate*leaseWorth.Seconds())))
		first, every = s.take(b.bounds, now, n, good)
		return true
	})
	switch {
	case ctx.Err() != nil: // the caller's end says nothing about the state
	case err != nil:
		b.goAlone(ctx, err)
		b.leaseAlone(good)
	default:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.alone, b.local = false, st
		b.leaseOf(st, first, every, n)
	}
}

func (b *bucket) leaseOf(st rateState, first time.Time, every time.Duration, n int) {
	b.epoch, b.left, b.next, b.every = st.Epoch, n, first, every
	b.wanted = min(2*n, 4096)
	b.show(st.Rate)
}

// leaseAlone reserves one slot in the local state.
func (b *bucket) leaseAlone(good int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, every := b.local.take(b.aloneBounds(), time.Now(), 1, good)
	b.leaseOf(b.local, first, every, 1)
}

// aloneBounds are this process's cautious share, or all where nobody shares.
func (b *bucket) aloneBounds() rateBounds {
	out := b.bounds
	if b.shared != nil {
		out.start, out.min = out.start/b.penalty, out.min/b.penalty
	}
	return out
}

const retryShared = 5 * time.Second // how often a failing shared state is tried again

// goAlone makes the local state a cautious copy of what was last shared.
func (b *bucket) goAlone(ctx context.Context, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retry = time.Now().Add(retryShared)
	if b.alone {
		return
	}
	b.alone = true
	b.log.WarnContext(ctx, "the shared rate limit is out of reach, this process keeps to a part of it", "key", b.key, "err", err)
	b.local.init(b.aloneBounds(), time.Now())
	b.local.Rate = max(b.bounds.min, b.local.Rate) / b.penalty
	b.local.Threshold = b.local.Rate
}

// update changes the shared state by change, again when another process was
// faster. change reports whether there is anything to write.
func (b *bucket) update(ctx context.Context, change func(*rateState) bool) (rateState, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for try := 0; ; try++ {
		var s rateState
		raw, rev, err := b.shared.Load(ctx, b.key)
		if err != nil {
			return s, err
		}
		if len(raw) > 0 && json.Unmarshal(raw, &s) != nil {
			s = rateState{} // whatever it was, begin anew
		}
		if !change(&s) {
			return s, nil
		}
		raw, err = json.Marshal(s)
		if err != nil {
			return s, err
		}
		if err = b.shared.Store(ctx, b.key, raw, rev); err == nil {
			return s, nil
		}
		if !errors.Is(err, ErrConflict) || try == 15 {
			return s, err
		}
		if err := sleepUntil(ctx, time.Now().Add(jitter(time.Millisecond<<min(try, 5)))); err != nil {
			return s, err
		}
	}
}

// succeeded takes note of a good answer.
func (b *bucket) succeeded(ctx context.Context, g grant) {
	b.mu.Lock()
	if g.epoch == b.epoch {
		b.good++
	}
	// Quotas are counted in whole seconds or minutes: within one second a
	// later call is not answered because a new window began.
	late := g.epoch == b.doubtful && g.at.After(b.refusal) && g.at.Unix() == b.refusal.Unix()
	epoch := b.epoch
	b.mu.Unlock()
	if late && epoch == g.epoch+1 {
		b.change(ctx, func(s *rateState) bool { return s.forgive(b.bounds, time.Now(), epoch) })
	}
}

// refused takes note of a throttled call.
func (b *bucket) refused(ctx context.Context, g grant, hint time.Duration) {
	b.mu.Lock()
	stale, good := g.epoch != b.epoch, b.good
	b.mu.Unlock()
	if stale {
		return
	}
	if !b.change(ctx, func(s *rateState) bool { return s.refuse(b.bounds, time.Now(), g.epoch, good, hint) }) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if hint == 0 {
		b.doubtful, b.refusal = g.epoch, g.at
	} else {
		b.refusal = time.Time{}
	}
}

// change changes the state after an answer, here or where it is shared, and
// reports whether it did.
func (b *bucket) change(ctx context.Context, f func(*rateState) bool) bool {
	b.mu.Lock()
	if b.shared == nil || b.alone {
		defer b.mu.Unlock()
		changed := f(&b.local)
		if changed {
			b.after(b.local)
		}
		return changed
	}
	b.mu.Unlock()
	changed := false
	st, err := b.update(ctx, func(s *rateState) bool {
		changed = f(s)
		return changed
	})
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if changed || st.Epoch != b.epoch { // another process may have been faster
		b.local = st
		b.after(st)
	}
	return changed
}

// after makes callers ask for new slots after a change.
func (b *bucket) after(st rateState) {
	b.epoch, b.left, b.good, b.wanted, b.next = st.Epoch, 0, 0, 1, time.Time{}
	b.show(st.Rate)
}

// show tells the observer of a rate that is noticeably another one.
func (b *bucket) show(rate float64) {
	if d := rate - b.shown; b.shown == 0 || d > 0.05*b.shown || d < -0.05*b.shown {
		b.shown = rate
		b.notify(rate)
	}
}

// limiter hands out the buckets.
type limiter struct {
	o  *Options
	mu sync.Mutex
	m  map[limitKey]*bucket
}

type limitKey struct{ account, region, action string }

func newLimiter(o *Options) *limiter { return &limiter{o: o, m: map[limitKey]*bucket{}} }

func (l *limiter) get(k limitKey) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.m[k]
	if b == nil {
		bounds := rateBounds{start: l.o.StartRate, min: l.o.MinRate}
		if l.o.MaxRate > 0 {
			bounds.start = min(bounds.start, l.o.MaxRate)
			bounds.min = min(bounds.min, l.o.MaxRate)
		}
		bounds.longest = l.o.ThrottleWait
		if k.action == "" {
			bounds = rateBounds{start: l.o.MaxRate, min: l.o.MaxRate, fixed: true}
		}
		b = newBucket(k.String(), bounds, l.o.Shared, l.o.SharedPenalty, func(r float64) {
			if k.action != "" {
				l.o.Observer.Rate(k.account, k.region, k.action, r)
			}
		}, l.o.Logger)
		l.m[k] = b
	}
	return b
}

// String is the key in a Shared.
func (k limitKey) String() string {
	if k.action == "" {
		return "rate." + keyToken(k.account)
	}
	return "rate." + keyToken(k.account) + "." + keyToken(k.region) + "." + k.action
}

// keyToken makes a token that a NATS key may hold.
func keyToken(s string) string {
	if s == "" {
		return "_"
	}
	out := []byte(s)
	for i, c := range out {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			out[i] = '_'
		}
	}
	return string(out)
}

// wait blocks until a call may start under the action's limit and the
// account's ceiling.
func (l *limiter) wait(ctx context.Context, k limitKey) (*bucket, grant, error) {
	b := l.get(k)
	if err := b.open(); err != nil {
		return nil, grant{}, err
	}
	if l.o.MaxRate > 0 {
		if _, err := l.get(limitKey{account: k.account}).wait(ctx); err != nil {
			return nil, grant{}, err
		}
	}
	g, err := b.wait(ctx)
	return b, g, err
}
