package sink

import (
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
)

func TestCaughtUp(t *testing.T) {
	at := func(stream int64, seq uint64) event.Position { return event.Position{Stream: stream, Seq: seq} }
	type look struct {
		after    time.Duration // since the look before
		pos, end event.Position
		want     bool
	}
	for name, looks := range map[string][]look{
		"an empty stream":         {{0, at(0, 0), at(1, 0), true}},
		"all of it":               {{0, at(1, 3), at(1, 3), true}},
		"one message is missing":  {{0, at(1, 2), at(1, 3), false}, {time.Second, at(1, 2), at(1, 3), false}, {time.Minute, at(1, 2), at(1, 3), false}, {time.Minute, at(1, 2), at(1, 3), false}},
		"another stream":          {{0, at(1, 3), at(2, 1), false}},
		"a scan that is kept up":  {{0, at(1, 1), at(1, 1), true}, {5 * time.Second, at(1, 900), at(1, 1000), true}, {5 * time.Second, at(1, 1900), at(1, 2000), true}, {time.Second, at(1, 2100), at(1, 2200), true}},
		"a scan that runs away":   {{0, at(1, 1), at(1, 1), true}, {5 * time.Second, at(1, 100), at(1, 1000), true}, {5 * time.Second, at(1, 200), at(1, 2000), false}},
		"a sink that stops":       {{0, at(1, 1), at(1, 1), true}, {5 * time.Second, at(1, 1), at(1, 2), true}, {5 * time.Second, at(1, 1), at(1, 2), false}},
		"a stream made once more": {{0, at(1, 9), at(1, 9), true}, {5 * time.Second, at(1, 9), at(1, 9), true}, {5 * time.Second, at(1, 9), at(2, 1), false}},
	} {
		t.Run(name, func(t *testing.T) {
			var m marks
			now := time.Unix(0, 0)
			for i, l := range looks {
				now = now.Add(l.after)
				if got := m.reached(l.pos, l.end, now); got != l.want {
					t.Errorf("look %d: %t", i, got)
				}
			}
		})
	}
}
