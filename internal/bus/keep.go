package bus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// RetryWaits are how long to wait between tries: from first to most, half as much
// again each time, none alike, without an end.
func RetryWaits(first, most time.Duration) *backoff.ExponentialBackOff {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = first, most
	waits.Reset()
	return waits
}

// Pause waits, and reports false where ctx ended first.
func Pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

// ConsumerLife is how reading as a consumer goes in this process.
type ConsumerLife struct {
	Up       bool   // it reads; otherwise it is being made again
	Restarts uint64 // how often it ended and was made again
	Err      error  // why it ended last
}

// lives holds the life of each consumer of this process, and the names of the
// consumers and services that have not begun.
type lives struct {
	mu      sync.Mutex
	of      map[string]ConsumerLife
	awaited map[string]bool
}

// change changes the life of a consumer and returns what it was before.
func (l *lives) change(name string, apply func(*ConsumerLife)) (before ConsumerLife) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]ConsumerLife{}
	}
	before = l.of[name]
	after := before
	apply(&after)
	l.of[name] = after
	return before
}

func (l *lives) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, name)
}

// Lives is how reading goes as each consumer that this process runs.
func (b *Bus) Lives() map[string]ConsumerLife {
	b.lives.mu.Lock()
	defer b.lives.mu.Unlock()
	return maps.Clone(b.lives.of)
}

// Await notes the consumers and services, by name, that this process is about to
// run. Until each has begun it is named by Awaited: a process that said it is
// ready before would leave the first request without an answer.
func (b *Bus) Await(names ...string) {
	b.lives.mu.Lock()
	defer b.lives.mu.Unlock()
	if b.lives.awaited == nil {
		b.lives.awaited = map[string]bool{}
	}
	for _, name := range names {
		b.lives.awaited[name] = true
	}
}

// Awaited are the names, sorted, of what was announced by Await and has not begun,
// and of services that have ended.
func (b *Bus) Awaited() []string {
	b.lives.mu.Lock()
	defer b.lives.mu.Unlock()
	return slices.Sorted(maps.Keys(b.lives.awaited))
}

func (l *lives) begun(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.awaited, name)
}

// isUp notes that a consumer reads.
func (b *Bus) isUp(ctx context.Context, name string) {
	b.lives.begun(name)
	if was := b.lives.change(name, func(l *ConsumerLife) { l.Up, l.Err = true, nil }); !was.Up && was.Restarts > 0 {
		b.log.InfoContext(ctx, "reading again", "consumer", name)
	}
}

// hasEnded notes that a consumer stopped reading though nobody stopped it. The
// streams are looked at: one of them may be what is missing.
func (b *Bus) hasEnded(ctx context.Context, name string, err error) {
	was := b.lives.change(name, func(l *ConsumerLife) { l.Up, l.Err, l.Restarts = false, err, l.Restarts+1 })
	if was.Up || was.Restarts == 0 {
		b.log.WarnContext(ctx, "reading ended and is begun again", "consumer", name, "err", err)
	} else {
		b.log.DebugContext(ctx, "reading was not begun again yet", "consumer", name, "err", err)
	}
	b.lookSoon()
}

// keepReading runs read again and again until ctx ends: a consumer that was
// deleted, a stream that is gone and a server that came back empty end a read
// without an error of ours, and none of them is the end of the work. read calls
// isUp when it reads.
func (b *Bus) keepReading(ctx context.Context, name string, read func(context.Context) error) {
	defer b.lives.forget(name)
	wait := RetryWaits(100*time.Millisecond, 5*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		err := read(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			wait.Reset()
		}
		b.hasEnded(ctx, name, err)
		Pause(ctx, wait.NextBackOff())
	}
}
