package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// Follow says how the results stream is read in batches.
type Follow struct {
	Name     string // of the sink; its consumers are called sink-<Name>
	MaxBatch int    // messages a batch
	// Linger is how long a batch waits for more after its first message; behind a
	// batch that was a quarter full or fuller ten times as long.
	Linger time.Duration
	// Gap hears of results that were dropped by age or size before this sink
	// read them.
	Gap func(missed uint64)
	// Replaced hears, before anything of it is read, that the stream is another
	// one than the position is in.
	Replaced func(context.Context)
	// Back hears, before anything is read, that the stream ends before the position:
	// NATS came back from an older copy, and gives numbers that were applied to other
	// results. All of it is read then, from its start, unless Back returns an error.
	Back func(ctx context.Context, ends uint64) error
}

// The ways in which following ends without an error of the server or of handle.
var (
	errStreamReplaced = errors.New("the results stream was made anew: what was in the old one is lost")
	errStreamBack     = errors.New("the results stream ends before results that were read of it: NATS came back from an older copy")
	errFollowEnded    = errors.New("the server handed out no more results though nobody stopped it")
)

// streamCheck is how often a follower makes sure that the stream is still the
// one that it follows.
const streamCheck = 3 * time.Second

// FollowerName is the name under which Lives and Awaited know the sink that
// follows the results.
func FollowerName(sink string) string { return "sink-" + event.Token(sink) }

// FollowResults hands the results stream to handle in order, without a gap and
// in batches, until ctx ends: only then it returns nil. from says where to go
// on: the position is the store's and not the consumer's, so that a store that
// was deleted, restored or moved gets what it lacks. The end of the stream is
// an error like any other: call it again, with the position of then.
func (b *Bus) FollowResults(ctx context.Context, f Follow, from event.Position, handle func(context.Context, []event.Received) error) error {
	name := FollowerName(f.Name)
	err := b.follow(ctx, name, f, from, handle)
	if ctx.Err() != nil {
		b.lives.forget(name)
		return nil
	}
	if err == nil {
		err = errFollowEnded
	}
	b.hasEnded(ctx, name, err)
	return err
}

// DropResults removes the results up to a position from the stream, which must
// still be the one that the position is in. Nobody can read them then: it is
// for an embedded server whose one sink has stored them.
func (b *Bus) DropResults(ctx context.Context, upTo event.Position) error {
	stream, err := b.js.Stream(ctx, StreamResults)
	if err != nil {
		return fmt.Errorf("drop results: %w", err)
	}
	if stream.CachedInfo().Created.UnixNano() != upTo.Stream {
		return fmt.Errorf("drop results: the stream was made anew since")
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo.Seq+1)); err != nil {
		return fmt.Errorf("drop results: %w", err)
	}
	return nil
}

// follow reads with an ordered consumer of nats.go: it is made again from the
// last message on where it is lost, where a delivery is, and where a reconnect
// may have cost one. Whether the stream is still the same, it does not look.
func (b *Bus) follow(ctx context.Context, name string, following Follow, from event.Position, handle func(context.Context, []event.Received) error) error {
	created, start, err := b.startOf(ctx, following, from)
	if err != nil {
		return err
	}
	reader := &resultsReader{bus: b, name: name, created: created, handle: handle}
	cons, err := b.js.OrderedConsumer(ctx, StreamResults, jetstream.OrderedConsumerConfig{
		// No two consumers are alike: what an earlier process left lingers for a while.
		NamePrefix: name + consumerMark + rand.Text()[:8], DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start,
		// One try: what is wrong is for the caller to show, and to look at anew.
		MaxResetAttempts: 1, InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("create consumer %s on %s: %w", name, StreamResults, err)
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(following.MaxBatch), jetstream.PullExpiry(pullWait), jetstream.PullHeartbeat(pullWait/2))
	if err != nil {
		return fmt.Errorf("pull results: %w", err)
	}
	stop := context.AfterFunc(ctx, iter.Stop)
	defer stop()
	msgs := make(chan jetstream.Msg, following.MaxBatch)
	pumped := make(chan error, 1)
	go func() {
		defer close(msgs)
		pumped <- b.pump(ctx, iter, reader, msgs)
	}()
	defer func() {
		iter.Stop()
		for range msgs { // the pump may be waiting to hand one over
		}
	}()
	b.isUp(ctx, name)
	linger := following.Linger
	for {
		batch, open := gather(msgs, following.MaxBatch, linger)
		linger = following.lingerBehind(len(batch))
		if len(batch) > 0 {
			if err := reader.apply(ctx, batch); err != nil {
				return err
			}
		}
		if !open {
			return <-pumped
		}
	}
}

// consumerMark stands between the name of a sink and what tells its consumers
// apart.
const consumerMark = "--"

// startOf finds out which stream there is and where in it a store goes on.
func (b *Bus) startOf(ctx context.Context, follow Follow, from event.Position) (created int64, start uint64, err error) {
	state, err := b.State(ctx, StreamResults)
	if err != nil {
		return 0, 0, err
	}
	created, start = state.Created, 1
	if from.Stream != 0 && from.Stream != created && follow.Replaced != nil {
		follow.Replaced(ctx)
	}
	switch {
	case from.Stream != created:
	case from.Seq <= state.LastSeq:
		start = from.Seq + 1
	default:
		if state, err = b.back(ctx, follow, from); err != nil {
			return 0, 0, err
		}
		from.Seq = 0 // nothing is missing before what there is
	}
	if start < state.FirstSeq {
		if follow.Gap != nil && from.Seq > 0 {
			follow.Gap(state.FirstSeq - start)
		}
		start = state.FirstSeq
	}
	return created, max(start, 1), nil
}

// back tells that the stream ends before a position. It looks a second time: a server
// that has just become the leader of a stream may not know its end yet.
func (b *Bus) back(ctx context.Context, follow Follow, from event.Position) (StreamState, error) {
	if !Pause(ctx, streamCheck) {
		return StreamState{}, ctx.Err()
	}
	state, err := b.State(ctx, StreamResults)
	switch {
	case err != nil:
		return state, err
	case state.Created != from.Stream:
		return state, errStreamReplaced
	case state.LastSeq >= from.Seq || follow.Back == nil:
		return state, errStreamBack
	}
	return state, follow.Back(ctx, state.LastSeq)
}

// stillThere makes sure that the results stream is the one that is read, and that it
// holds what was read of it.
func (b *Bus) stillThere(ctx context.Context, reader *resultsReader) error {
	read := reader.read.Load()
	state, err := b.State(ctx, StreamResults)
	switch {
	case err != nil:
		return err
	case state.Created != reader.created:
		return errStreamReplaced
	case state.LastSeq < read:
		return errStreamBack
	}
	return nil
}

// pump hands over what arrives, until the iterator ends or fails, or the stream
// is another one.
//
// It waits for each message without a limit of its own: a server that ends says
// nothing of the consumers that it had, and all that tells is that their
// heartbeats stay away. nats.go counts those from the call of Next on, and misses
// them after five seconds: calls that return sooner never miss any.
func (b *Bus) pump(ctx context.Context, iter jetstream.MessagesContext, reader *resultsReader, msgs chan<- jetstream.Msg) error {
	reading, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer end(nil)
	watching.Go(func() {
		for Pause(reading, streamCheck) {
			if !b.nc.IsConnected() { // the client connects again
				continue
			}
			if err := b.stillThere(reading, reader); err != nil {
				end(err)
			}
		}
	})
	for {
		msg, err := iter.Next(jetstream.NextContext(reading))
		switch {
		case ctx.Err() != nil:
			return nil
		case reading.Err() != nil:
			return context.Cause(reading)
		case err != nil:
			return fmt.Errorf("pull results: %w", err)
		}
		select {
		case msgs <- msg:
		case <-reading.Done():
			if ctx.Err() != nil {
				return nil
			}
			return context.Cause(reading)
		}
	}
}

// lingerBehind is how long a batch waits for more when the one before held so many.
// Each batch is one transaction, which writes pages of the store that the next one
// writes again: in a flood larger ones are worth waiting for, and where little comes
// nothing waits long.
func (f *Follow) lingerBehind(held int) time.Duration {
	if held >= max(f.MaxBatch/4, 1) {
		return 10 * f.Linger
	}
	return f.Linger
}

// gather waits for a first message, then for more until there are most or linger
// has passed.
func gather(msgs <-chan jetstream.Msg, most int, linger time.Duration) (batch []jetstream.Msg, open bool) {
	first, open := <-msgs
	if !open {
		return nil, false
	}
	batch = append(batch, first)
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(batch) < most {
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

// resultsReader decodes batches of the results stream that was made at created.
type resultsReader struct {
	bus      *Bus
	name     string
	created  int64
	consumer string        // the consumer whose messages are known to be of that stream
	read     atomic.Uint64 // number of the last message that was handled
	handle   func(context.Context, []event.Received) error
}

func (r *resultsReader) apply(ctx context.Context, batch []jetstream.Msg) error {
	conn := r.bus
	received := make([]event.Received, 0, len(batch))
	var spans fold
	defer func() { spans.end(errFollowEnded) }() // of what was read before the batch was given up
	for _, msg := range batch {
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("results message without metadata: %w", err)
		}
		// A consumer goes with its stream. One that is new may have been made on
		// a new stream, whose messages are no continuation of the old one's.
		if meta.Consumer != r.consumer {
			if err := conn.stillThere(ctx, r); err != nil {
				return err
			}
			if r.consumer != "" {
				conn.log.InfoContext(ctx, "results are read on as another consumer: the server of the one before had ended or did not answer", "consumer", r.name)
			}
			r.consumer = meta.Consumer
		}
		message, err := event.Decode(msg.Data())
		if errors.Is(err, event.ErrNewer) {
			return fmt.Errorf("results message %d: %w; upgrade this sink, or set the message aside: shenscan dead aside %d", meta.Sequence.Stream, err, meta.Sequence.Stream)
		}
		if err != nil {
			if err := conn.bury(ctx, letterOf(StreamResults, r.name, msg, meta, err), nil, nil); err != nil {
				return err
			}
			continue
		}
		spans.add(ctx, conn, msg, message)
		received = append(received, event.Received{
			Position: event.Position{Stream: r.created, Seq: meta.Sequence.Stream},
			Stored:   meta.Timestamp.UnixNano(), Msg: message,
		})
	}
	if len(received) == 0 {
		return nil
	}
	err := r.handle(spans.begin(ctx, r.name, len(received)), received)
	spans.end(err)
	if err == nil {
		r.read.Store(received[len(received)-1].Seq)
	}
	return err
}
