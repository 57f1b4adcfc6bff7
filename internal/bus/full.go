package bus

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// streamFull is the server's word that a stream takes no more for now.
const streamFull jetstream.ErrorCode = 10077

// takenInARow is how many messages a stream must take one after the other, since
// it was full, for its publishers to publish side by side again.
const takenInARow = 64

// queue lets publishers to a full stream try one after the other. A message that
// is refused costs the server as much as one that is taken, and a page has 60 KB:
// where every publisher tries again and again, most of what is sent is refused.
type queue struct {
	full  atomic.Bool // the stream was full, and has not taken takenInARow since
	taken atomic.Int32
	turn  *semaphore.Weighted // of one publisher, in the order of their arrival
}

// queueFor is the queue of messages of one kind: what the first three tokens of
// their subjects are, so that rescans do not wait behind the pages of a scan.
func (b *Bus) queueFor(subject string) *queue {
	end := 0
	for range 3 {
		dot := strings.IndexByte(subject[end:], '.')
		if dot < 0 {
			end = len(subject) + 1
			break
		}
		end += dot + 1
	}
	kind := subject[:end-1]
	if q, known := b.queues.Load(kind); known {
		return q.(*queue)
	}
	q, _ := b.queues.LoadOrStore(strings.Clone(kind), &queue{turn: semaphore.NewWeighted(1)})
	return q.(*queue)
}

// publication is one message on its way through a queue.
type publication struct {
	queue *queue
	turn  bool // it has its turn: no other tries
}

// wait returns when the message may be tried: at once, unless the stream is full
// and others came before.
func (p *publication) wait(ctx context.Context) error {
	if p.turn || !p.queue.full.Load() {
		return nil
	}
	if err := p.queue.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	p.turn = true
	if !p.queue.full.Load() { // there is room again: nobody waits for anybody
		p.end()
	}
	return nil
}

// refused takes note that the stream is full, and reports whether the message had
// its turn and is to wait for room; otherwise it is to wait for its turn.
func (p *publication) refused() (hadTurn bool) {
	p.queue.taken.Store(0)
	p.queue.full.Store(true)
	return p.turn
}

// accepted takes note that the stream took the message.
func (p *publication) accepted() {
	if p.queue.full.Load() && p.queue.taken.Add(1) >= takenInARow {
		p.queue.full.Store(false)
	}
}

// end lets the next one try.
func (p *publication) end() {
	if p.turn {
		p.turn = false
		p.queue.turn.Release(1)
	}
}
