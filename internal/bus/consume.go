package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// Consumer names a durable pull consumer of a work stream and its bounds.
type Consumer struct {
	Stream, Name string
	Filter       string
	Concurrency  int           // messages handled at once by this process
	AckWait      time.Duration // extended by heartbeats while a handler runs
	MaxDeliver   int           // then the message is dead-lettered
}

// The consumers of the work streams. AckWait is how long a message stays with
// a process that died; MaxDeliver bounds how many processes a message may kill.
var (
	ConsumeScans     = Consumer{Stream: StreamWork, Name: "scans", Filter: "shenscan.work.scan.*", Concurrency: 4, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeRescans   = Consumer{Stream: StreamWork, Name: "rescans", Filter: "shenscan.work.rescan.*", Concurrency: 16, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeScopes    = Consumer{Stream: StreamWork, Name: "scopes", Filter: "shenscan.work.scope.*.*", Concurrency: 32, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeLanes     = Consumer{Stream: StreamWork, Name: "lanes", Filter: "shenscan.work.lane.*.*", Concurrency: 32, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeChecks    = Consumer{Stream: StreamWork, Name: "checks", Filter: "shenscan.work.check.*.*", Concurrency: 8, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeBulkPages = Consumer{Stream: StreamPages, Name: "pages-bulk", Filter: "shenscan.pages.bulk.*.*", Concurrency: 8, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeFastPages = Consumer{Stream: StreamPages, Name: "pages-fast", Filter: "shenscan.pages.fast.*.*", Concurrency: 4, AckWait: 15 * time.Second, MaxDeliver: 10}
	ConsumeTicks     = Consumer{Stream: StreamSchedules, Name: "ticks", Filter: subjectTick + "*", Concurrency: 1, AckWait: 15 * time.Second, MaxDeliver: 10}
)

// pullWait is how long one pull waits for a message at the server.
const pullWait = 5 * time.Second

// pull returns what waits for the next message, and what ends that.
//
// Nothing tells the server that a message which waits here for its turn is in
// good hands: a job that waits for longer than AckWait is given to another
// process as well, and its calls to the cloud are made twice. Jobs take
// minutes, so each is asked for by itself, when it can be handled at once. An
// iterator that holds one message cannot do that: where the message arrives
// before the request for it has returned, nats.go asks for the next one only
// after a missed heartbeat, which is five seconds. Pages take milliseconds.
func (c Consumer) pull(ctx context.Context, cons jetstream.Consumer) (next func() (jetstream.Msg, error), stop func(), err error) {
	if c.Stream != StreamPages {
		return func() (jetstream.Msg, error) {
			wait, cancel := context.WithTimeout(ctx, pullWait)
			defer cancel()
			return cons.Next(jetstream.FetchContext(wait))
		}, func() {}, nil
	}
	iter, err := cons.Messages(jetstream.PullMaxMessages(c.Concurrency), jetstream.PullExpiry(pullWait))
	if err != nil {
		return nil, nil, err
	}
	ended := context.AfterFunc(ctx, iter.Stop)
	return func() (jetstream.Msg, error) { return iter.Next() }, func() { ended(); iter.Stop() }, nil
}

// Delivery is a message on its way to a handler.
type Delivery struct {
	Msg     event.Message
	Subject string
	Seq     uint64
	Stored  time.Time // broker time when the stream took it
	Attempt int       // 1 for the first delivery
}

// Try names this delivery of this stored message like no other: also where the
// same job was stored twice. It holds no dot.
func (d Delivery) Try() string {
	return strconv.FormatUint(d.Seq, 36) + "-" + strconv.Itoa(d.Attempt)
}

// Dead is a message that was given up.
type Dead struct {
	Msg    event.Message // nil when the payload does not decode
	Stream string
	Cause  string
}

// softStop is how long handlers may finish what they hold after a stop, where
// nobody says.
const softStop = 8 * time.Second

func (b *Bus) softStop() time.Duration { return cmp.Or(b.o.SoftStop, softStop) }

// Consume hands the consumer's messages to handle, consumer.Concurrency at a time,
// until ctx ends, then waits for the running ones. The error of handle decides
// the message's fate: nil acknowledges it, event.Terminal dead-letters it,
// event.RetryAfter delays it, anything else backs off. onDead hears of what
// this process dead-lettered. A consumer or a stream that is gone is made or
// waited for again.
func (b *Bus) Consume(ctx context.Context, consumer Consumer, handle func(context.Context, Delivery) error, onDead func(context.Context, Dead) error) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	hard := context.AfterFunc(ctx, func() { time.AfterFunc(b.softStop(), cancel) })
	defer hard()

	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, consumer.Concurrency)
	b.keepReading(ctx, consumer.Name, func(ctx context.Context) error {
		cons, err := b.js.CreateOrUpdateConsumer(ctx, consumer.Stream, jetstream.ConsumerConfig{
			Durable: consumer.Name, FilterSubject: consumer.Filter, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: consumer.AckWait, MaxDeliver: consumer.MaxDeliver, MaxAckPending: 4096,
		})
		if err != nil {
			return fmt.Errorf("create consumer %s on %s: %w", consumer.Name, consumer.Stream, err)
		}
		next, stop, err := consumer.pull(ctx, cons)
		if err != nil {
			return fmt.Errorf("pull from %s: %w", consumer.Name, err)
		}
		defer stop()
		b.isUp(ctx, consumer.Name)
		for {
			slots <- struct{}{}
			msg, err := next()
			switch {
			case ctx.Err() != nil:
				if msg != nil {
					_ = msg.Nak()
				}
				return nil
			case errors.Is(err, nats.ErrTimeout):
				<-slots // the server says that nothing waits
				continue
			case isSilence(err):
				<-slots // the server or this process was away for a moment, or the consumer has no leader
				if b.nc.IsConnected() && !stillConsumer(ctx, cons) {
					return fmt.Errorf("pull from %s: the server said nothing for %s, nor what the consumer is: %w", consumer.Name, pullWait, err)
				}
				continue
			case err != nil:
				<-slots
				return fmt.Errorf("pull from %s: %w", consumer.Name, err)
			}
			running.Go(func() {
				defer func() { <-slots }()
				b.handle(work, consumer, msg, handle, onDead)
			})
		}
	})
	return nil
}

// isSilence reports whether a pull ended without a word of the server, which says
// so where nothing waits.
func isSilence(err error) bool {
	return errors.Is(err, jetstream.ErrNoHeartbeat) || errors.Is(err, context.DeadlineExceeded)
}

// stillConsumer reports whether the server has the consumer.
func stillConsumer(ctx context.Context, cons jetstream.Consumer) bool {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	_, err := cons.Info(ctx)
	return err == nil
}

func (b *Bus) handle(ctx context.Context, consumer Consumer, msg jetstream.Msg, handle func(context.Context, Delivery) error, onDead func(context.Context, Dead) error) {
	meta, err := msg.Metadata()
	if err != nil {
		b.log.ErrorContext(ctx, "message without metadata", "subject", msg.Subject(), "err", err)
		return
	}
	attempt := int(meta.NumDelivered)
	message, err := event.Decode(msg.Data())
	ctx, span := b.traceWork(ctx, consumer.Name, msg, message, attempt)
	switch {
	case errors.Is(err, event.ErrNewer):
		// Another process may know it; after MaxDeliver it waits among the dead letters.
		err = event.RetryAfter(fmt.Errorf("%w; upgrade every process, then run `shenscan dead retry`", err), 30*time.Second)
	case err != nil:
		err = event.Terminal(err)
	default:
		beat := b.heartbeat(ctx, msg, consumer.AckWait/3)
		err = handle(ctx, Delivery{Msg: message, Subject: msg.Subject(), Seq: meta.Sequence.Stream, Stored: meta.Timestamp, Attempt: attempt})
		beat()
	}
	span.End(err)
	b.settle(ctx, consumer, msg, meta, message, err, onDead)
}

// settle turns a handler's error into the message's fate.
func (b *Bus) settle(ctx context.Context, consumer Consumer, msg jetstream.Msg, meta *jetstream.MsgMetadata, message event.Message, err error, onDead func(context.Context, Dead) error) {
	attempt := int(meta.NumDelivered)
	delay, later := event.RetryDelay(err)
	var settled error
	switch {
	case err == nil:
		settled = msg.Ack()
	case ctx.Err() != nil:
		settled = msg.Nak() // stopped, not failed: the next process takes it at once
	case event.IsTerminal(err) || attempt >= consumer.MaxDeliver:
		if settled = b.bury(ctx, letterOf(consumer.Stream, consumer.Name, msg, meta, err), message, onDead); settled == nil {
			settled = msg.TermWithReason(firstLine(err.Error()))
		}
	case later:
		settled = msg.NakWithDelay(delay)
	default:
		b.log.WarnContext(ctx, "message is tried again", about(message, msg, "attempt", attempt, "err", err)...)
		settled = msg.NakWithDelay(redeliveryDelay(attempt))
	}
	if settled != nil && !errors.Is(settled, nats.ErrConnectionClosed) {
		// Not settled means delivered again: every handler stands that.
		b.log.WarnContext(ctx, "message was not settled", about(message, msg, "attempt", attempt, "err", settled)...)
	}
}

// heartbeat tells the server that the message is being worked on, until the
// returned function is called.
func (b *Bus) heartbeat(ctx context.Context, msg jetstream.Msg, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for Pause(ctx, every) {
			if err := msg.InProgress(); err != nil {
				b.log.DebugContext(ctx, "heartbeat", about(nil, msg, "err", err)...)
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// redeliveryDelay is exponential from 200 ms to 30 s with full jitter above half.
func redeliveryDelay(attempt int) time.Duration {
	d := min(200*time.Millisecond<<min(attempt-1, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}
