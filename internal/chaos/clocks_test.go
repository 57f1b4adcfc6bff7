//go:build chaos

package chaos

import (
	"testing"
	"time"
)

// TestClocksThatJump gives two producers clocks that are hours apart and sets
// them forward and back while they walk.
func TestClocksThatJump(t *testing.T) {
	r := newRig(t, seed(t), setup{bin: mutate(t, wrongClock), instances: 20_000, latency: 100 * time.Millisecond, lanes: 2, producers: 2, workers: 1})
	r.setClock(0, 5*time.Hour)
	r.setClock(1, -5*time.Hour)
	disturbed(t, r, func(string) {
		for range 12 {
			time.Sleep(time.Duration(r.rng.Int64N(int64(700 * time.Millisecond))))
			for i := range 2 {
				r.setClock(i, time.Duration(r.rng.Int64N(int64(48*time.Hour)))-24*time.Hour)
			}
		}
	})
}

// TestRepeatsDatedByAFastClock is TestRepeatsLongAfter with a producer whose
// clock is five hours ahead.
func TestRepeatsDatedByAFastClock(t *testing.T) {
	r := newRig(t, seed(t), setup{bin: mutate(t, wrongClock), instances: 10_000, lanes: 8, workers: 1})
	r.setClock(0, 5*time.Hour)
	repeats(t, r)
}
