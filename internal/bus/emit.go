package bus

import (
	"cmp"
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

const (
	positionHeader = "Shenscan-Position"
	// judgementHeader names the last change of judgement that an event of the
	// subject told of, as one occurrence.
	judgementHeader = "Shenscan-Judgement"
)

// Emitter publishes public events exactly once each, also when several sinks
// derive the same event from the same results or one of them does so again
// after a crash: every event carries its position in the results stream, and
// per subject positions only grow. It is for one goroutine.
type Emitter struct {
	b    *Bus
	last map[string]emitted
}

type emitted struct {
	seq       uint64 // of the last event on the subject, in the events stream
	pos       position
	judgement string // name@occurrence
}

type position struct {
	stream int64
	seq    uint64
	index  int
}

func (p position) String() string { return fmt.Sprintf("%d.%d.%d", p.stream, p.seq, p.index) }

// notAfter reports whether p comes no later than another. A younger stream is later
// than any place in an older one.
func (p position) notAfter(other position) bool {
	return cmp.Or(cmp.Compare(p.stream, other.stream), cmp.Compare(p.seq, other.seq), cmp.Compare(p.index, other.index)) <= 0
}

// parsePosition reads what String wrote; what is no position is before all.
func parsePosition(s string) (p position) {
	if _, err := fmt.Sscanf(s, "%d.%d.%d", &p.stream, &p.seq, &p.index); err != nil {
		return position{}
	}
	return p
}

// NewEmitter returns an Emitter on b.
func (b *Bus) NewEmitter() *Emitter { return &Emitter{b: b, last: map[string]emitted{}} }

// Emit publishes body on subject unless an event of the same or a later
// position is there already. It waits out outages until ctx ends.
func (e *Emitter) Emit(ctx context.Context, subject string, at event.Position, index int, body []byte) error {
	pos := position{at.Stream, at.Seq, index}
	return e.patiently(ctx, subject, func(ctx context.Context, last emitted) error {
		if last.seq > 0 && pos.notAfter(last.pos) {
			return nil
		}
		return e.send(ctx, subject, "event/"+subject+"/"+pos.String(), body, emitted{last.seq, pos, last.judgement})
	})
}

// EmitJudged publishes an event that has no place in the results stream: a
// verdict that moved because the rule set did, or the day. judgement names what
// it moved to. Sinks that make the same change tell of one occurrence: the first
// event of it names the occurrence, which the subject remembers until it is told
// of another judgement. body makes the event with an id for the occurrence.
func (e *Emitter) EmitJudged(ctx context.Context, subject, judgement, key string, body func(id string) ([]byte, error)) error {
	return e.patiently(ctx, subject, func(ctx context.Context, last emitted) error {
		name, _, _ := strings.Cut(last.judgement, "@")
		if name != judgement {
			last.judgement = judgement + "@" + strconv.FormatInt(time.Now().UnixNano(), 36)
		}
		id := "judgement-" + last.judgement + "-" + key
		b, err := body(id)
		if err != nil {
			return err
		}
		return e.send(ctx, subject, "event/"+id, b, last)
	})
}

// patiently tries to publish an event behind the last one of its subject. Where
// another sink was faster it looks again, and it waits out outages.
func (e *Emitter) patiently(ctx context.Context, subject string, try func(context.Context, emitted) error) error {
	wait := RetryWaits(50*time.Millisecond, 2*time.Second)
	for {
		err := e.once(ctx, subject, try)
		if err == nil {
			return nil
		}
		delete(e.last, subject)
		if !isAPIError(err, jetstream.JSErrCodeStreamWrongLastSequence) && !retryable(err) {
			return fmt.Errorf("publish event on %s: %w", subject, err)
		}
		if !Pause(ctx, wait.NextBackOff()) {
			return fmt.Errorf("publish event on %s: %w", subject, err)
		}
	}
}

func (e *Emitter) once(ctx context.Context, subject string, try func(context.Context, emitted) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	last, ok := e.last[subject]
	if !ok {
		stream, err := e.b.js.Stream(ctx, StreamEvents)
		if err != nil {
			return err
		}
		raw, err := stream.GetLastMsgForSubject(ctx, subject)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return err
		}
		if err == nil {
			last = emitted{raw.Sequence, parsePosition(raw.Header.Get(positionHeader)), raw.Header.Get(judgementHeader)}
		}
		e.last[subject] = last
	}
	return try(ctx, last)
}

// send publishes an event right behind that of is.seq; is is what its subject
// then remembers.
func (e *Emitter) send(ctx context.Context, subject, id string, body []byte, is emitted) error {
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	msg.Header.Set(positionHeader, is.pos.String())
	if is.judgement != "" {
		msg.Header.Set(judgementHeader, is.judgement)
	}
	msg.Header.Set("Content-Type", "application/cloudevents+json")
	ack, err := e.b.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(is.seq), jetstream.WithMsgID(id))
	if err != nil {
		return err
	}
	if ack.Duplicate { // the position of the subject's last event is another one
		delete(e.last, subject)
		return nil
	}
	is.seq = ack.Sequence
	e.last[subject] = is
	return nil
}

// IsRefused says that an error of publishing is about the message itself: it
// would be refused again.
func IsRefused(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode == messageTooLarge
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrInvalidMsg) || errors.Is(err, nats.ErrBadSubject)
}

// messageTooLarge is the server's word that a message is larger than its stream
// takes.
const messageTooLarge jetstream.ErrorCode = 10054

// BuryEvent keeps an event that cannot be published as a dead letter with its
// cause.
func (b *Bus) BuryEvent(ctx context.Context, sink, subject, id string, body []byte, cause error) error {
	letter := DeadLetter{Cause: cause.Error(), Stream: StreamEvents, Consumer: "sink-" + sink, Subject: subject, Deliveries: 1, At: time.Now().UTC(), Payload: body}
	return b.buryLetter(ctx, &letter, "dead/"+StreamEvents+"/"+id)
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
