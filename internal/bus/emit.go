package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

const positionHeader = "Shenscan-Position"

// Emitter publishes public events exactly once each, also when several sinks
// derive the same event from the same results or one of them does so again
// after a crash: every event carries its position in the results stream, and
// per subject positions only grow. It is for one goroutine.
type Emitter struct {
	b    *Bus
	last map[string]emitted
}

type emitted struct {
	seq uint64 // of the last event on the subject, in the events stream
	pos position
}

type position struct {
	stream int64
	seq    uint64
	index  int
}

func (p position) String() string { return fmt.Sprintf("%d.%d.%d", p.stream, p.seq, p.index) }

// notAfter reports whether p comes no later than q. A younger stream is later
// than any place in an older one.
func (p position) notAfter(q position) bool {
	if p.stream != q.stream {
		return p.stream < q.stream
	}
	if p.seq != q.seq {
		return p.seq < q.seq
	}
	return p.index <= q.index
}

func parsePosition(s string) position {
	var p position
	if parts := strings.Split(s, "."); len(parts) == 3 {
		p.stream, _ = strconv.ParseInt(parts[0], 10, 64)
		p.seq, _ = strconv.ParseUint(parts[1], 10, 64)
		p.index, _ = strconv.Atoi(parts[2])
	}
	return p
}

// NewEmitter returns an Emitter on b.
func (b *Bus) NewEmitter() *Emitter { return &Emitter{b: b, last: map[string]emitted{}} }

// Emit publishes body on subject unless an event of the same or a later
// position is there already. It waits out outages until ctx ends.
func (e *Emitter) Emit(ctx context.Context, subject string, at event.Position, index int, body []byte) error {
	pos := position{at.Stream, at.Seq, index}
	wait := patience(50*time.Millisecond, 2*time.Second)
	for {
		err := e.try(ctx, subject, pos, body)
		if err == nil {
			return nil
		}
		delete(e.last, subject)
		if !isAPIError(err, jetstream.JSErrCodeStreamWrongLastSequence) && !retryable(err) {
			return fmt.Errorf("publish event on %s: %w", subject, err)
		}
		if !pause(ctx, wait.NextBackOff()) {
			return fmt.Errorf("publish event on %s: %w", subject, err)
		}
	}
}

// EmitOnce publishes body on subject; id keeps repeats out within the stream's
// duplicate window. It is for events that have no place in the results stream.
func (e *Emitter) EmitOnce(ctx context.Context, subject, id string, body []byte) error {
	delete(e.last, subject)
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	if last, err := e.lastPosition(ctx, subject); err == nil && last != "" {
		// The positions of the subject go on behind this event.
		msg.Header.Set(positionHeader, last)
	}
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	return e.b.publish(ctx, msg, "event/"+id)
}

func (e *Emitter) lastPosition(ctx context.Context, subject string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := e.b.js.Stream(ctx, StreamEvents)
	if err != nil {
		return "", err
	}
	raw, err := s.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return "", err
	}
	return raw.Header.Get(positionHeader), nil
}

func (e *Emitter) try(ctx context.Context, subject string, pos position, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	last, ok := e.last[subject]
	if !ok {
		s, err := e.b.js.Stream(ctx, StreamEvents)
		if err != nil {
			return err
		}
		raw, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		if err == nil {
			last = emitted{raw.Sequence, parsePosition(raw.Header.Get(positionHeader))}
		}
		e.last[subject] = last
	}
	if last.seq > 0 && pos.notAfter(last.pos) {
		return nil
	}
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	msg.Header.Set(positionHeader, pos.String())
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	ack, err := e.b.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last.seq),
		jetstream.WithMsgID("event/"+subject+"/"+pos.String()))
	if err != nil {
		return err
	}
	e.last[subject] = emitted{ack.Sequence, pos}
	return nil
}

// Listen hands every event from now on to handle until ctx ends.
func (b *Bus) Listen(ctx context.Context, subject string, handle func(subject string, body []byte)) error {
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) { handle(m.Subject, m.Data) })
	if err != nil {
		return fmt.Errorf("listen to %s: %w", subject, err)
	}
	<-ctx.Done()
	return sub.Unsubscribe()
}
