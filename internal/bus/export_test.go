package bus

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// TakeAndForget takes messages as a consumer and never settles them, as a
// process does that dies of them.
func (b *Bus) TakeAndForget(ctx context.Context, c Consumer, times int) error {
	cons, err := b.js.CreateOrUpdateConsumer(ctx, c.Stream, jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubject: c.Filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxDeliver: c.MaxDeliver,
	})
	if err != nil {
		return err
	}
	for range times {
		batch, err := cons.Fetch(1, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return err
		}
		for range batch.Messages() {
		}
	}
	return nil
}

// TraceOff is what tracing adds to the way of one message.
func (b *Bus) TraceOff(ctx context.Context, m event.Message, h nats.Header) {
	ctx, sent := b.traceSend(ctx, m, "subject", "id")
	setTrace(ctx, h)
	sent.End(nil)
	msg := received{h}
	ctx, work := b.traceWork(ctx, "pages", msg, m, 1)
	work.End(nil)
	var f fold
	f.add(ctx, b, msg, m)
	_ = f.begin(ctx, "sink", 1)
	f.end(nil)
}

// received is a delivery of which only the headers matter.
type received struct{ h nats.Header }

func (r received) Headers() nats.Header                    { return r.h }
func (received) Metadata() (*jetstream.MsgMetadata, error) { return nil, nil }
func (received) Data() []byte                              { return nil }
func (received) Subject() string                           { return "" }
func (received) Reply() string                             { return "" }
func (received) Ack() error                                { return nil }
func (received) DoubleAck(context.Context) error           { return nil }
func (received) Nak() error                                { return nil }
func (received) NakWithDelay(time.Duration) error          { return nil }
func (received) InProgress() error                         { return nil }
func (received) Term() error                               { return nil }
func (received) TermWithReason(string) error               { return nil }

// PublishRaw stores msg as it is.
func (b *Bus) PublishRaw(ctx context.Context, msg *nats.Msg) error {
	_, err := b.js.PublishMsg(ctx, msg)
	return err
}

// JetStream is the embedded server's JetStream, to make streams by hand.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Declarations are the streams as they are to be.
func Declarations(o Options) map[string]jetstream.StreamConfig {
	out := map[string]jetstream.StreamConfig{}
	for _, cfg := range declarations(o.Limits, o.Replicas) {
		out[cfg.Name] = cfg
	}
	return out
}

// Refusal says why a stream is not brought to its declaration, "" where it is.
func Refusal(info *jetstream.StreamInfo, want *jetstream.StreamConfig) string {
	for _, d := range differences(info, want) {
		if d.refusal != "" {
			return d.refusal + ": " + d.mend
		}
	}
	return ""
}

// PutDead stores a dead letter.
func (b *Bus) PutDead(ctx context.Context, d *DeadLetter) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return b.publish(ctx, &nats.Msg{Subject: event.SubjectDead + ".X.y", Data: body, Header: nats.Header{}}, "dead/"+d.Cause)
}

// Deafen subscribes to a subject and answers nothing.
func (b *Bus) Deafen(subject string) error {
	_, err := b.nc.Subscribe(subject, func(*nats.Msg) {})
	return err
}

// SetCallWait changes how long Call waits, and returns what undoes it.
func SetCallWait(d time.Duration) (undo func()) {
	before := callWait
	callWait = d
	return func() { callWait = before }
}

// Sent is how many messages this connection has sent.
func (b *Bus) Sent() uint64 { return b.nc.Stats().OutMsgs }

// Purge empties a stream.
func (b *Bus) Purge(ctx context.Context, name string) error {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	return stream.Purge(ctx)
}

// DeadCount is the number of dead letters held.
func (b *Bus) DeadCount(ctx context.Context) (uint64, error) {
	st, err := b.State(ctx, StreamDead)
	return st.Messages, err
}
