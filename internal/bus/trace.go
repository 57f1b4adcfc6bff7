package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// headerOf reads what a message says of its trace. Several values of one header
// are nobody's; they are ignored like malformed ones.
func headerOf(h map[string][]string) trace.Header {
	var header trace.Header
	if v := h[trace.ParentHeader]; len(v) == 1 {
		header.Parent = v[0]
		if v := h[trace.StateHeader]; len(v) == 1 {
			header.State = v[0]
		}
	}
	return header
}

// setTrace names the trace of ctx in a message; without one it does nothing.
func setTrace(ctx context.Context, header nats.Header) {
	t := trace.Of(ctx)
	if t.Parent == "" {
		return
	}
	header.Set(trace.ParentHeader, t.Parent)
	if t.State != "" {
		header.Set(trace.StateHeader, t.State)
	}
}

// attrs are the attributes of every span about a message; the names follow
// OpenTelemetry's conventions for messaging where there is one.
func attrs(m event.Message, operation, subject, id string) []trace.Attr {
	about := event.AboutOf(m)
	out := []trace.Attr{
		trace.Str("messaging.system", "nats"), trace.Str("messaging.operation.type", operation),
		trace.Str("messaging.destination.name", subject), trace.Str("messaging.message.id", id),
		trace.Str("shenscan.scan", about.Scan), trace.Str("shenscan.account", about.Scope.Account),
		trace.Str("shenscan.region", about.Scope.Region),
	}
	if about.Instances > 0 {
		out = append(out, trace.Int("shenscan.instances", about.Instances))
	}
	return out
}

func (b *Bus) traceSend(ctx context.Context, message event.Message, subject, id string) (context.Context, trace.Span) {
	if b.o.Tracer == nil {
		return ctx, trace.Span{}
	}
	return b.o.Tracer.Begin(ctx, trace.Producer, "publish "+event.AboutOf(message).Type, attrs(message, "send", subject, id)...)
}

// traceWork begins the span of one delivery, below that of whoever published
// it.
func (b *Bus) traceWork(ctx context.Context, consumer string, msg jetstream.Msg, message event.Message, attempt int) (context.Context, trace.Span) {
	header := headerOf(msg.Headers())
	if b.o.Tracer == nil {
		if header.Parent != "" { // of a process that traces: what follows stays in its trace
			ctx, _ = b.o.Tracer.Receive(ctx, header, trace.Consumer, "")
		}
		return ctx, trace.Span{}
	}
	what := event.AboutOf(message).Type
	if what == "" {
		what = "unreadable message"
	}
	ctx, span := b.o.Tracer.Receive(ctx, header, trace.Consumer, "process "+what, attrs(message, "process", msg.Subject(), msg.Headers().Get(nats.MsgIdHdr))...)
	span.Set(trace.Str("messaging.consumer.group.name", consumer), trace.Int("shenscan.attempt", attempt))
	return ctx, span
}

func (b *Bus) traceRequest(ctx context.Context, subject string, r micro.Request) (context.Context, trace.Span) {
	header := headerOf(r.Headers())
	if b.o.Tracer == nil && header.Parent == "" {
		return ctx, trace.Span{}
	}
	return b.o.Tracer.Receive(ctx, header, trace.Server, "answer "+subject,
		trace.Str("messaging.system", "nats"), trace.Str("messaging.destination.name", subject))
}

// fold is the span of a batch that is committed at once, and one for each of
// its messages, in that message's own trace.
type fold struct {
	commit trace.Span
	each   []trace.Span
}

// add begins the span of one message of the batch.
func (f *fold) add(ctx context.Context, conn *Bus, msg jetstream.Msg, message event.Message) {
	if conn.o.Tracer == nil {
		return
	}
	_, span := conn.o.Tracer.Receive(ctx, headerOf(msg.Headers()), trace.Consumer, "fold "+event.AboutOf(message).Type,
		attrs(message, "process", msg.Subject(), msg.Headers().Get(nats.MsgIdHdr))...)
	if span.Recording() {
		f.each = append(f.each, span)
	}
}

// begin begins the commit: in the trace of the first message, linked with the
// others.
func (f *fold) begin(ctx context.Context, consumer string, messages int) context.Context {
	if len(f.each) == 0 {
		return ctx
	}
	ctx, f.commit = trace.Join(ctx, "commit results", f.each,
		trace.Str("messaging.system", "nats"), trace.Str("messaging.consumer.group.name", consumer), trace.Int("messaging.batch.message_count", messages))
	return ctx
}

// end ends all of them.
func (f *fold) end(err error) {
	f.commit.End(err)
	for _, span := range f.each {
		span.End(err)
	}
	f.each = nil
}

// about are the attributes of a log line about a stored message: its scan and
// scope, its id and its place in its stream.
func about(m event.Message, msg jetstream.Msg, more ...any) []any {
	out := append(event.AboutOf(m).LogArgs(), "message", msg.Headers().Get(nats.MsgIdHdr))
	if meta, err := msg.Metadata(); err == nil {
		out = append(out, "stream", meta.Stream, "consumer", meta.Consumer, "seq", meta.Sequence.Stream)
	}
	return append(append(out, "subject", msg.Subject()), more...)
}
