//go:build chaos

package chaos

import (
	"os"
	"testing"
	"time"
)

// wrongClock gives the processes a clock that is wrong by what a file says at
// that moment. It is built in for these tests alone: the product has no such
// thing. Signatures of calls keep the machine's clock, since the cloud refuses
// others.
var wrongClock = patch{"cmd/shenscan/serve.go", "Now: time.Now,", `Now: func() time.Time {
			text, _ := os.ReadFile(os.Getenv("CLOCK"))
			wrong, _ := time.ParseDuration(string(text))
			return time.Now().Add(wrong)
		},`}

// setClock makes a producer's clock wrong from now on.
func (r *rig) setClock(producer int, wrong time.Duration) {
	r.t.Helper()
	if err := os.WriteFile(r.clockFile(producer), []byte(wrong.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

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
