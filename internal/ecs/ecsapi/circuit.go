package ecsapi

import (
	"errors"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// ErrGivenUp is in the chain of the error for a scope whose calls keep
// failing: it is left alone for a while so that others are not held up.
var ErrGivenUp = errors.New("given up after repeated failures")

// circuit counts, for one scope, calls that failed in a row after all their
// retries.
type circuit struct {
	after int
	pause time.Duration

	mu     sync.Mutex
	fails  int
	until  time.Time
	trying bool
	last   error
}

// allow reports whether a call may be made. Once the pause is over a single
// call is let through to try.
func (c *circuit) allow(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails < c.after {
		return nil
	}
	if now.Before(c.until) || c.trying {
		return c.last
	}
	c.trying = true
	return nil
}

// abandon takes note that a call that was allowed ended without an answer of
// either kind: its caller gave it up.
func (c *circuit) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
}

// done takes note of how a call that was allowed ended.
func (c *circuit) done(now time.Time, err *ecs.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	if err == nil || (err.Class != ecs.Transient && err.Class != ecs.BadAnswer) {
		if err == nil {
			c.fails = 0
		}
		return
	}
	c.fails++
	c.last = err
	if c.fails >= c.after {
		c.until = now.Add(c.pause)
	}
}

// circuitKey tells circuits apart: calls that gather evidence aside of a scan
// have one of their own, so that their failures hold no listing up.
type circuitKey struct {
	scope ecs.Scope
	aside bool
}

// kept are values that are each made when they are first asked for.
type kept[K comparable, V any] struct {
	make func(K) V

	mu sync.Mutex
	m  map[K]V
}

func keep[K comparable, V any](create func(K) V) *kept[K, V] {
	return &kept[K, V]{make: create, m: map[K]V{}}
}

func (k *kept[K, V]) get(key K) V {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, there := k.m[key]
	if !there {
		value = k.make(key)
		k.m[key] = value
	}
	return value
}
