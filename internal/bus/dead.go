package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
)

// DeadLetter is a message that could not be processed, as it stands on
// shenscan.dead.<stream>.<consumer>.
type DeadLetter struct {
	Cause      string    `json:"cause"`
	Stream     string    `json:"stream"`
	Consumer   string    `json:"consumer"`
	Subject    string    `json:"subject"` // where the message was
	Seq        uint64    `json:"seq"`
	Deliveries int       `json:"deliveries"`
	At         time.Time `json:"at"`
	Payload    []byte    `json:"payload"` // the original bytes, base64 in JSON
}

// StoredDeadLetter is a dead letter with its place in the dead stream.
type StoredDeadLetter struct {
	ID uint64 `json:"id"` // sequence in the dead stream
	DeadLetter
}

// bury publishes the dead letter of a message, which is nil where it does not decode, as of
// now, then tells onDead. Only then may the original be taken off its stream.
func (b *Bus) bury(ctx context.Context, letter DeadLetter, message event.Message, onDead func(context.Context, Dead) error) error {
	letter.At = time.Now().UTC()
	dead := Dead{Msg: message, Stream: letter.Stream, Cause: letter.Cause}
	id := fmt.Sprintf("dead/%s/%d/%d", letter.Stream, b.streamCreated(letter.Stream), letter.Seq)
	if err := b.buryLetter(ctx, &letter, id); err != nil {
		return err
	}
	b.log.ErrorContext(ctx, "message was dead-lettered; see `shenscan dead list`", append(event.AboutOf(message).LogArgs(),
		"message", id, "stream", letter.Stream, "consumer", letter.Consumer, "seq", letter.Seq, "subject", letter.Subject, "attempt", letter.Deliveries, "cause", dead.Cause)...)
	b.onBury(letter.Stream)
	if onDead == nil {
		return nil
	}
	return onDead(ctx, dead)
}

// letterOf is the letter of a message that was delivered, with why it is dead.
func letterOf(stream, consumer string, msg jetstream.Msg, meta *jetstream.MsgMetadata, cause error) DeadLetter {
	return DeadLetter{
		Cause: cause.Error(), Stream: stream, Consumer: consumer, Subject: msg.Subject(),
		Seq: meta.Sequence.Stream, Deliveries: int(meta.NumDelivered), Payload: msg.Data(),
	}
}

func (b *Bus) buryLetter(ctx context.Context, letter *DeadLetter, id string) error {
	body, err := json.Marshal(letter)
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	msg := &nats.Msg{Subject: event.SubjectDead + "." + event.Token(letter.Stream) + "." + event.Token(letter.Consumer), Data: body, Header: nats.Header{}}
	if err = b.publish(ctx, msg, id); IsRefused(err) {
		// A server with a smaller limit than ours: the letter without its payload
		// is better than a message that comes back for ever.
		letter.Cause, letter.Payload = fmt.Sprintf("%s (its %d bytes did not fit into a dead letter and are gone)", letter.Cause, len(letter.Payload)), nil
		if msg.Data, err = json.Marshal(letter); err != nil {
			return fmt.Errorf("encode dead letter: %w", err)
		}
		err = b.publish(ctx, msg, id)
	}
	return err
}

// MoveDead takes messages that were delivered too often, which stay in their
// stream for ever otherwise, to the dead letters, until ctx ends. It is the
// road for messages that kill their worker before it can say a word.
func (b *Bus) MoveDead(ctx context.Context, onDead func(context.Context, Dead) error) error {
	b.keepReading(ctx, moverName, func(ctx context.Context) error {
		cons, err := b.js.CreateOrUpdateConsumer(ctx, StreamAdvisories, jetstream.ConsumerConfig{
			Durable: moverName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second,
		})
		if err != nil {
			return fmt.Errorf("create consumer %s: %w", moverName, err)
		}
		iter, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullWait))
		if err != nil {
			return fmt.Errorf("pull advisories: %w", err)
		}
		defer iter.Stop()
		stop := context.AfterFunc(ctx, iter.Stop)
		defer stop()
		b.isUp(ctx, moverName)
		for {
			msg, err := iter.Next()
			if err != nil {
				return fmt.Errorf("pull advisories: %w", err)
			}
			if err := b.move(ctx, msg.Data(), onDead); err != nil {
				b.log.WarnContext(ctx, "dead message was not moved yet", "err", err)
				_ = msg.NakWithDelay(5 * time.Second)
				continue
			}
			_ = msg.Ack()
		}
	})
	return nil
}

// moverName is the consumer of the advisories.
const moverName = "mover"

func (b *Bus) move(ctx context.Context, advisory []byte, onDead func(context.Context, Dead) error) error {
	var notice struct {
		Stream     string `json:"stream"`
		Consumer   string `json:"consumer"`
		StreamSeq  uint64 `json:"stream_seq"`
		Deliveries int    `json:"deliveries"`
	}
	if err := json.Unmarshal(advisory, &notice); err != nil || notice.Stream == "" {
		return nil // not an advisory; nothing can be made of it
	}
	err := b.buryStored(ctx, DeadLetter{
		Stream: notice.Stream, Consumer: notice.Consumer, Seq: notice.StreamSeq, Deliveries: notice.Deliveries,
		Cause: fmt.Sprintf("delivered %d times and never settled: whoever took it died or hung", notice.Deliveries),
	}, onDead)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // settled meanwhile
	}
	return err
}

// buryStored moves the message that a stream holds under the letter's number to the dead
// letters; its subject and bytes it reads there. A schedule's tick stays where it is, until
// the next one replaces it.
func (b *Bus) buryStored(ctx context.Context, letter DeadLetter, onDead func(context.Context, Dead) error) error {
	stream, err := b.stream(ctx, letter.Stream)
	if err != nil {
		return err
	}
	raw, err := stream.GetMsg(ctx, letter.Seq)
	if err != nil {
		return fmt.Errorf("read message %d of %s: %w", letter.Seq, letter.Stream, err)
	}
	letter.Subject, letter.Payload = raw.Subject, raw.Data
	message, err := event.Decode(raw.Data)
	if err != nil {
		message, letter.Cause = nil, letter.Cause+" ("+err.Error()+")"
	}
	if err := b.bury(ctx, letter, message, onDead); err != nil || letter.Stream == StreamSchedules {
		return err
	}
	if err := stream.DeleteMsg(ctx, letter.Seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("delete message %d of %s: %w", letter.Seq, letter.Stream, err)
	}
	return nil
}

// SetAside moves one message of the results stream to the dead letters, so that
// sinks which cannot read it go on behind it. The letter keeps it for a sink that
// can.
func (b *Bus) SetAside(ctx context.Context, seq uint64, onDead func(context.Context, Dead) error) error {
	return b.buryStored(ctx, DeadLetter{Stream: StreamResults, Consumer: "operator", Seq: seq, Deliveries: 1, Cause: "set aside by an operator"}, onDead)
}

// DeadLetters lists at most limit dead letters after an id, oldest first.
func (b *Bus) DeadLetters(ctx context.Context, after uint64, limit int) ([]StoredDeadLetter, error) {
	stream, err := b.stream(ctx, StreamDead)
	if err != nil {
		return nil, err
	}
	var out []StoredDeadLetter
	for seq := max(stream.CachedInfo().State.FirstSeq, after+1); len(out) < limit; seq++ {
		raw, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(event.SubjectDead+".>")) // the next one that is there
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read dead letters from %d on: %w", seq, err)
		}
		seq = raw.Sequence
		storedDeadLetter := StoredDeadLetter{ID: seq}
		if err := json.Unmarshal(raw.Data, &storedDeadLetter.DeadLetter); err != nil {
			storedDeadLetter.Cause = "unreadable dead letter: " + err.Error()
		}
		out = append(out, storedDeadLetter)
	}
	return out, nil
}

// RetryDead puts a dead letter's message back on its subject and drops the
// letter.
func (b *Bus) RetryDead(ctx context.Context, id uint64) error {
	stream, letter, err := b.deadLetter(ctx, id)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(letter.Subject, "shenscan.") {
		return fmt.Errorf("dead letter %d came from %q, which is not a subject of shenscan", id, letter.Subject)
	}
	if len(letter.Payload) == 0 {
		return fmt.Errorf("dead letter %d holds no message: %s", id, letter.Cause)
	}
	msg := &nats.Msg{Subject: letter.Subject, Data: letter.Payload, Header: nats.Header{}}
	if err := b.publish(ctx, msg, "retry/"+strconv.FormatUint(id, 10)+"/"+strconv.FormatInt(b.streamCreated(StreamDead), 36)); err != nil {
		return err
	}
	return stream.DeleteMsg(ctx, id)
}

// DropDead deletes the dead letter with a number of SHENSCAN_DEAD for good. One that is not
// there, or cannot be read, is an error.
func (b *Bus) DropDead(ctx context.Context, id uint64) error {
	stream, _, err := b.deadLetter(ctx, id)
	if err != nil {
		return err
	}
	return stream.DeleteMsg(ctx, id)
}

// deadLetter reads a dead letter by its number in the stream that it returns, too.
func (b *Bus) deadLetter(ctx context.Context, id uint64) (jetstream.Stream, *DeadLetter, error) {
	stream, err := b.stream(ctx, StreamDead)
	if err != nil {
		return nil, nil, err
	}
	raw, err := stream.GetMsg(ctx, id)
	if err != nil {
		return nil, nil, fmt.Errorf("read dead letter %d: %w", id, err)
	}
	var letter DeadLetter
	if err := json.Unmarshal(raw.Data, &letter); err != nil {
		return nil, nil, fmt.Errorf("decode dead letter %d: %w", id, err)
	}
	return stream, &letter, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 200)]
}
