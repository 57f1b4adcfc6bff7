package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// Follow says how the results stream is read in batches.
type Follow struct {
	Name     string // of the sink: its durable consumer is sink-<Name>
	MaxBatch int    // messages a batch
	// Linger is how long a batch waits for more after its first message.
	Linger time.Duration
	// Gap hears of results that were dropped by age or size before this sink
	// read them.
	Gap func(missed uint64)
}

// errGap means that a delivery was lost on its way: the consumer is made anew
// from the store's position, since a late redelivery would come out of order.
var errGap = errors.New("a delivery was lost")

// FollowResults hands the results stream to handle in order, without a gap and
// in batches, until ctx ends, and acknowledges a batch when handle returned
// nil. from is asked where to go on: the position is the store's and not the
// consumer's, so that a store that was deleted, restored or moved gets what it
// lacks.
func (b *Bus) FollowResults(ctx context.Context, f Follow, from func() event.Position, handle func(context.Context, []event.Received) error) error {
	for ctx.Err() == nil {
		err := b.follow(ctx, f, from(), handle)
		if !errors.Is(err, errGap) {
			return err
		}
		b.log.Info("results are read again from the store's position", "err", err)
	}
	return nil
}

// DropResults removes the results up to a position from the stream, which must
// still be the one that the position is in. Nobody can read them then: it is
// for an embedded server whose one sink has stored them.
func (b *Bus) DropResults(ctx context.Context, upTo event.Position) error {
	s, err := b.js.Stream(ctx, StreamResults)
	if err != nil {
		return fmt.Errorf("drop results: %w", err)
	}
	if s.CachedInfo().Created.UnixNano() != upTo.Stream {
		return fmt.Errorf("drop results: the stream was made anew since")
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(upTo.Seq+1)); err != nil {
		return fmt.Errorf("drop results: %w", err)
	}
	return nil
}

func (b *Bus) follow(ctx context.Context, f Follow, from event.Position, handle func(context.Context, []event.Received) error) error {
	cons, created, err := b.followConsumer(ctx, f, from)
	if err != nil {
		return err
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(f.MaxBatch), jetstream.PullExpiry(5*time.Second))
	if err != nil {
		return fmt.Errorf("pull results: %w", err)
	}
	stop := context.AfterFunc(ctx, iter.Stop)
	defer stop()
	msgs := make(chan jetstream.Msg, f.MaxBatch)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		b.pump(ctx, iter, msgs)
	}()
	defer func() {
		iter.Stop()
		for range msgs { // the pump may be waiting to hand one over
		}
		<-pumped
	}()
	next := uint64(1) // consumer sequence
	for {
		batch, open := gather(msgs, f)
		if len(batch) > 0 {
			if err := b.apply(ctx, batch, created, &next, handle); err != nil {
				return err
			}
		}
		if !open {
			return nil
		}
	}
}

func (b *Bus) followConsumer(ctx context.Context, f Follow, from event.Position) (jetstream.Consumer, int64, error) {
	s, err := b.js.Stream(ctx, StreamResults)
	if err != nil {
		return nil, 0, fmt.Errorf("look at stream %s: %w", StreamResults, err)
	}
	info := s.CachedInfo()
	created := info.Created.UnixNano()
	start := uint64(1)
	if from.Stream == created && from.Seq <= info.State.LastSeq {
		start = from.Seq + 1
	}
	if start < info.State.FirstSeq {
		if f.Gap != nil && from.Seq > 0 {
			f.Gap(info.State.FirstSeq - start)
		}
		start = info.State.FirstSeq
	}
	// Always made anew: what an earlier process was handed and did not
	// acknowledge would otherwise come late and out of order.
	name := "sink-" + event.Token(f.Name)
	if err := s.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, 0, fmt.Errorf("reset consumer %s: %w", name, err)
	}
	cons, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: name, AckPolicy: jetstream.AckAllPolicy, AckWait: 2 * time.Minute, MaxAckPending: 50_000,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(start, 1),
	})
	if err != nil {
		return nil, 0, fmt.Errorf("create consumer %s: %w", name, err)
	}
	return cons, created, nil
}

func (b *Bus) pump(ctx context.Context, iter jetstream.MessagesContext, msgs chan<- jetstream.Msg) {
	defer close(msgs)
	for {
		msg, err := iter.Next()
		switch {
		case errors.Is(err, jetstream.ErrMsgIteratorClosed) || ctx.Err() != nil:
			return
		case err != nil:
			b.log.Debug("pull results", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
		default:
			select {
			case msgs <- msg:
			case <-ctx.Done():
				return
			}
		}
	}
}

// gather waits for a first message, then for more until the batch is full or
// f.Linger has passed.
func gather(msgs <-chan jetstream.Msg, f Follow) (batch []jetstream.Msg, open bool) {
	first, open := <-msgs
	if !open {
		return nil, false
	}
	batch = append(batch, first)
	timer := time.NewTimer(f.Linger)
	defer timer.Stop()
	for len(batch) < f.MaxBatch {
		select {
		case msg, open := <-msgs:
			if !open {
				return batch, false
			}
			batch = append(batch, msg)
		case <-timer.C:
			return batch, true
		}
	}
	return batch, true
}

func (b *Bus) apply(ctx context.Context, batch []jetstream.Msg, created int64, next *uint64, handle func(context.Context, []event.Received) error) error {
	received := make([]event.Received, 0, len(batch))
	var spans fold
	defer func() { spans.end(errGap) }() // of what was read before the batch was given up
	var consumer string
	for _, msg := range batch {
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("results message without metadata: %w", err)
		}
		if meta.Sequence.Consumer != *next || meta.NumDelivered != 1 {
			return fmt.Errorf("%w: delivery %d of message %d where %d was due", errGap, meta.Sequence.Consumer, meta.Sequence.Stream, *next)
		}
		*next++
		m, err := event.Decode(msg.Data())
		if errors.Is(err, event.ErrNewer) {
			return fmt.Errorf("results message %d: %w; upgrade this sink", meta.Sequence.Stream, err)
		}
		if err != nil {
			d := Dead{Stream: StreamResults, Cause: err.Error()}
			if err := b.bury(ctx, StreamResults, meta.Consumer, meta.Sequence.Stream, int(meta.NumDelivered), msg.Subject(), msg.Data(), d, nil); err != nil {
				return err
			}
			continue
		}
		spans.add(ctx, b, msg, m)
		consumer = meta.Consumer
		received = append(received, event.Received{
			Position: event.Position{Stream: created, Seq: meta.Sequence.Stream},
			Stored:   meta.Timestamp.UnixNano(), Msg: m,
		})
	}
	if len(received) > 0 {
		err := handle(spans.begin(ctx, consumer, len(received)), received)
		spans.end(err)
		if err != nil {
			return err
		}
	}
	if err := batch[len(batch)-1].Ack(); err != nil && ctx.Err() == nil {
		// The store's own position decides what is read after a restart.
		b.log.Debug("acknowledge results", "err", err)
	}
	return nil
}
