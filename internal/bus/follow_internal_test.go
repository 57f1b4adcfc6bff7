package bus

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Messages that come a little apart are in one batch in a flood, and in batches of
// their own otherwise.
func TestABatchWaitsLongerInAFlood(t *testing.T) {
	follow := &Follow{MaxBatch: 16, Linger: 20 * time.Millisecond}
	for held, want := range map[int]int{0: 1, 1: 1, 3: 1, 4: 3, 16: 3} {
		synctest.Test(t, func(t *testing.T) {
			msgs := make(chan jetstream.Msg)
			go func() {
				defer close(msgs)
				for range 3 {
					msgs <- nil
					time.Sleep(90 * time.Millisecond)
				}
			}()
			batch, open := gather(msgs, follow.MaxBatch, follow.lingerBehind(held))
			if len(batch) != want || !open {
				t.Errorf("behind a batch of %d the next one holds %d (the stream goes on: %t), want %d", held, len(batch), open, want)
			}
			for range msgs { // the sender ends
			}
		})
	}
}
