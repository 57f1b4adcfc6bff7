package ecsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/semaphore"
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

// bucket limits the calls that this process makes under one key. A slot is the
// time at which one call may start. With a Shared, the bucket reserves slots in
// the state that all processes share, as many as fall due within leaseWorth;
// without one, or while the shared state cannot be reached, it counts in a state
// of its own.
type bucket struct {
	key     string
	bounds  rateBounds
	shared  Shared
	penalty float64
	notify  func(rate float64)
	log     *slog.Logger

	leasing *semaphore.Weighted // held by the one caller that is reserving slots

	mu     sync.Mutex
	local  rateState
	good   int           // good answers since the last lease, which raise the rate when it is next updated
	left   int           // reserved slots that nobody has taken yet
	next   time.Time     // the first of them
	every  time.Duration // the distance between two of them
	epoch  uint64        // counts refusals: slots of an earlier epoch were reserved at a rate that was too high
	wanted int           // how many slots to reserve next; doubles with every lease
	shown  float64       // the rate that the observer was last told, calls a second
	alone  bool          // the shared state could not be reached: count locally until retry
	retry  time.Time     // when to try the shared state again

	closed time.Time     // the API asked for no call before this time, and a call may not wait that long
	shut   chan struct{} // closed whenever closed is set, so that waiting callers return at once

	doubtful uint64    // the epoch that ended with a refusal which named no time to wait
	refusal  time.Time // when the call that was refused so had started
}

func newBucket(key string, b rateBounds, shared Shared, penalty int, notify func(float64), log *slog.Logger) *bucket {
	return &bucket{key: key, bounds: b, shared: shared, penalty: float64(penalty), notify: notify, log: log, wanted: 1, leasing: semaphore.NewWeighted(1), shut: make(chan struct{})}
}

// grant permits one call. Its epoch and start tell later whether an answer
// speaks of the current rate.
type grant struct {
	epoch uint64
	at    time.Time
}

// closedError says that the API wants no call before a certain time, and that
// this is longer than a call may wait (Options.ThrottleWait).
type closedError struct{ until time.Time }

func (e *closedError) Error() string {
	return "the API asks not to be asked before " + e.until.UTC().Format(time.RFC3339)
}

// closeUntil makes every wait, those in progress included, fail with a
// closedError until the time has come.
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

// sleep waits until at. It fails early when ctx ends or the bucket is closed.
func (b *bucket) sleep(ctx context.Context, at time.Time) error {
	b.mu.Lock()
	shut := b.shut
	b.mu.Unlock()
	if err := b.open(); err != nil {
		return err
	}
	if err := sleepUntil(ctx, at, shut); err != nil {
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
		if same { // otherwise a call was refused meanwhile, and the slot is of a rate that was too high
			return grant{epoch, time.Now()}, nil
		}
	}
}

// sleepUntil waits until at, or until somebody closes enough. It is an error that ctx ends.
func sleepUntil(ctx context.Context, at time.Time, enough <-chan struct{}) error {
	if d := time.Until(at); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-enough:
		case <-timer.C:
		}
	}
	return ctx.Err()
}

// slot takes the next free slot, and reserves more when none is left. One caller
// at a time reserves, and only once the last reserved slot is due. Slots reserved
// far ahead would still be used after the API has refused a call, would be lost
// if their caller gave up, and would look to other processes as if this one's
// clock were wrong.
func (b *bucket) slot(ctx context.Context) (time.Time, uint64, error) {
	if err := b.open(); err != nil {
		return time.Time{}, 0, err
	}
	if at, epoch, ok, _ := b.leased(); ok {
		return at, epoch, nil
	}
	if err := b.leasing.Acquire(ctx, 1); err != nil {
		return time.Time{}, 0, err
	}
	defer b.leasing.Release(1)
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
		case late: // the reservation itself took so long that every slot is past: go on the last of them
			return time.Now(), epoch, nil
		}
		// Another caller has taken the new slots meanwhile. Going without one would
		// exceed the rate, so reserve again.
	}
}

// leased takes one of the reserved slots, if there is one. Slots that are long
// past are dropped, since using them up would be a burst of calls; late says
// that there were such slots.
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

// lease reserves slots in the shared state, or in the local one while the shared
// state cannot be reached. It reserves none only when ctx ends.
func (b *bucket) lease(ctx context.Context) {
	b.mu.Lock()
	good, wanted, alone := b.good, b.wanted, b.shared == nil || b.alone && time.Now().Before(b.retry)
	b.good = 0
	b.mu.Unlock()
	if alone {
		b.leaseAlone(good)
		return
	}
	var first time.Time
	var every time.Duration
	st, err := b.update(ctx, func(state *rateState) bool {
		now := time.Now()
		state.init(b.bounds, now)
		wanted = min(wanted, max(1, int(state.Rate*leaseWorth.Seconds())))
		first, every = state.take(b.bounds, now, wanted, good)
		return true
	})
	switch {
	case ctx.Err() != nil: // the caller gave up, which does not mean that the shared state is out of reach
	case err != nil:
		b.goAlone(ctx, err)
		b.leaseAlone(good)
	default:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.alone, b.local = false, st
		b.leaseOf(st, first, every, wanted)
	}
}

// leaseOf takes over n slots that were reserved in a state.
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

// aloneBounds are the rates for counting alone. Where other processes may be
// calling too and cannot be asked, they are a cautious part of the quota.
func (b *bucket) aloneBounds() rateBounds {
	out := b.bounds
	if b.shared != nil {
		out.start, out.min = out.start/b.penalty, out.min/b.penalty
	}
	return out
}

const retryShared = 5 * time.Second // how long to count alone before the shared state is tried again

// goAlone begins to count in the local state, at a cautious part of the rate that
// was shared last.
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

// update applies change to the shared state and stores it. When another process
// stored a state in between, it loads that one and applies change again, up to
// sixteen times. change reports whether there is anything to store.
func (b *bucket) update(ctx context.Context, change func(*rateState) bool) (rateState, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	pauses := &backoff.ExponentialBackOff{InitialInterval: time.Millisecond, MaxInterval: 32 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.5}
	return backoff.Retry(ctx, func() (rateState, error) {
		var state rateState
		raw, rev, err := b.shared.Load(ctx, b.key)
		if err != nil {
			return state, backoff.Permanent(err)
		}
		if len(raw) > 0 && json.Unmarshal(raw, &state) != nil {
			state = rateState{} // not a state that this version reads: start from the configured rate
		}
		if !change(&state) {
			return state, nil
		}
		if raw, err = json.Marshal(state); err != nil {
			return state, backoff.Permanent(err)
		}
		if err = b.shared.Store(ctx, b.key, raw, rev); err != nil && !errors.Is(err, ErrConflict) {
			err = backoff.Permanent(err)
		}
		return state, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(16), backoff.WithMaxElapsedTime(0))
}

// succeeded counts a good answer. One to a call that started after a refused call
// and in the same second shows that the refusal was about something else than the
// rate, and takes it back.
func (b *bucket) succeeded(ctx context.Context, grant grant) {
	b.mu.Lock()
	if grant.epoch == b.epoch {
		b.good++
	}
	// The API counts quotas in whole seconds or minutes. A later call in the same
	// second was therefore not answered because a new window had begun.
	late := grant.epoch == b.doubtful && grant.at.After(b.refusal) && grant.at.Unix() == b.refusal.Unix()
	epoch := b.epoch
	b.mu.Unlock()
	if late && epoch == grant.epoch+1 {
		b.change(ctx, func(s *rateState) bool { return s.forgive(b.bounds, time.Now(), epoch) })
	}
}

// refused lowers the rate after a throttled call. hint is how long the API asked
// to wait, or 0. Refusals of calls from before the last refusal change nothing:
// the rate was lowered for them already.
func (b *bucket) refused(ctx context.Context, grant grant, hint time.Duration) {
	b.mu.Lock()
	stale, good := grant.epoch != b.epoch, b.good
	b.mu.Unlock()
	if stale {
		return
	}
	if !b.change(ctx, func(s *rateState) bool { return s.refuse(b.bounds, time.Now(), grant.epoch, good, hint) }) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if hint == 0 {
		b.doubtful, b.refusal = grant.epoch, grant.at
	} else {
		b.refusal = time.Time{}
	}
}

// change applies f, which follows from an answer, to the state in use, and reports
// whether f changed anything.
func (b *bucket) change(ctx context.Context, apply func(*rateState) bool) bool {
	b.mu.Lock()
	if b.shared == nil || b.alone {
		defer b.mu.Unlock()
		changed := apply(&b.local)
		if changed {
			b.after(b.local)
		}
		return changed
	}
	b.mu.Unlock()
	changed := false
	state, err := b.update(ctx, func(s *rateState) bool {
		changed = apply(s)
		return changed
	})
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if changed || state.Epoch != b.epoch { // another process may have lowered the rate first
		b.local = state
		b.after(state)
	}
	return changed
}

// after drops the reserved slots, which were of the rate before the change.
func (b *bucket) after(st rateState) {
	b.epoch, b.left, b.good, b.wanted, b.next = st.Epoch, 0, 0, 1, time.Time{}
	b.show(st.Rate)
}

// show tells the observer the rate when it has changed by more than 5 %.
func (b *bucket) show(rate float64) {
	if d := rate - b.shown; b.shown == 0 || d > 0.05*b.shown || d < -0.05*b.shown {
		b.shown = rate
		b.notify(rate)
	}
}

// limiter has a bucket for each action of an account in a region, and one for
// each account as a whole.
type limiter struct {
	o *Options
	*kept[limitKey, *bucket]
}

// limitKey names a bucket; without region and action it is the account's.
type limitKey struct{ account, region, action string }

func newLimiter(o *Options) *limiter {
	return &limiter{o, keep(func(key limitKey) *bucket {
		bounds := rateBounds{start: o.StartRate, min: o.MinRate, longest: o.ThrottleWait}
		if o.MaxRate > 0 {
			bounds.start, bounds.min = min(bounds.start, o.MaxRate), min(bounds.min, o.MaxRate)
		}
		if key.action == "" {
			bounds = rateBounds{start: o.MaxRate, min: o.MaxRate, fixed: true}
		}
		return newBucket(key.String(), bounds, o.Shared, o.SharedPenalty, func(rate float64) {
			if key.action != "" {
				o.Observer.Rate(key.account, key.region, key.action, rate)
			}
		}, o.Logger)
	})}
}

// String is the key of the bucket's state in a Shared.
func (k limitKey) String() string {
	if k.action == "" {
		return "rate." + keyToken(k.account)
	}
	return "rate." + keyToken(k.account) + "." + keyToken(k.region) + "." + k.action
}

// keyToken replaces every character that a token of a NATS key may not hold.
func keyToken(value string) string {
	return cmp.Or(strings.Map(func(char rune) rune {
		if strings.ContainsRune(letterDigits+"-_", char) {
			return char
		}
		return '_'
	}, value), "_")
}

// wait blocks until a call may start under the action's limit and the
// account's ceiling.
func (l *limiter) wait(ctx context.Context, key limitKey) (*bucket, grant, error) {
	bucket := l.get(key)
	if err := bucket.open(); err != nil {
		return nil, grant{}, err
	}
	if l.o.MaxRate > 0 {
		if _, err := l.get(limitKey{account: key.account}).wait(ctx); err != nil {
			return nil, grant{}, err
		}
	}
	g, err := bucket.wait(ctx)
	return bucket, g, err
}
