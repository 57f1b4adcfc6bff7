// Package trace makes OpenTelemetry spans of what the pipeline does and sends
// them to a collector. It is off unless it is configured, and then costs
// neither a header nor an allocation. It is the only package that knows
// OpenTelemetry, it never makes the pipeline wait for a collector or fail
// because of one, and it takes no tag of an instance and no key as attribute.
package trace

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// scopeName is the instrumentation scope of every span.
const scopeName = "github.com/shenscan/shenscan"

// Attr is an attribute of a span. It is a value, so that naming attributes
// costs nothing while tracing is off.
type Attr struct {
	key, str string
	num      int64
	isNum    bool
}

// Str is an attribute that holds text; an empty one is left out.
func Str(key, value string) Attr { return Attr{key: key, str: value} }

// Int is an attribute that holds a number.
func Int(key string, value int) Attr { return Attr{key: key, num: int64(value), isNum: true} }

// maxText bounds the text of an attribute or of a failure, in bytes: error
// texts quote what others wrote.
const maxText = 512

func keyValues(attrs []Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(attrs))
	for _, attr := range attrs {
		switch {
		case attr.isNum:
			out = append(out, attribute.Int64(attr.key, attr.num))
		case attr.str != "":
			// A copy: the text is often a part of a whole message, which a
			// waiting span would keep in memory.
			out = append(out, attribute.String(attr.key, strings.Clone(clip(attr.str))))
		}
	}
	return out
}

func clip(s string) string { return s[:min(len(s), maxText)] }

// Kind is the part that a span has in an exchange.
type Kind = oteltrace.SpanKind

// The kinds of span.
const (
	Internal Kind = oteltrace.SpanKindInternal
	Server   Kind = oteltrace.SpanKindServer
	Client   Kind = oteltrace.SpanKindClient
	Producer Kind = oteltrace.SpanKindProducer
	Consumer Kind = oteltrace.SpanKindConsumer
)

// Span is one thing that was done. The zero Span is none: every method of it
// does nothing.
type Span struct{ s oteltrace.Span }

// Recording reports whether anybody will see the span.
func (s Span) Recording() bool { return s.s != nil }

// Set adds attributes.
func (s Span) Set(attrs ...Attr) {
	if s.s != nil {
		s.s.SetAttributes(keyValues(attrs)...)
	}
}

// Link says that other belongs to s, too.
func (s Span) Link(other Span) {
	if s.s != nil && other.s != nil {
		s.s.AddLink(oteltrace.Link{SpanContext: other.s.SpanContext()})
	}
}

// End ends the span; a failure is part of it.
func (s Span) End(err error) {
	if s.s == nil {
		return
	}
	if err != nil {
		s.s.SetStatus(codes.Error, clip(err.Error()))
	}
	s.s.End()
}

// Current is the span that ctx is in.
func Current(ctx context.Context) Span {
	if s := oteltrace.SpanFromContext(ctx); s.IsRecording() {
		return Span{s}
	}
	return Span{}
}

// Start begins a span below the one that ctx is in. Where that is none, or one
// that nobody records, there is none either.
func Start(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	return startKind(ctx, Internal, name, attrs)
}

// StartClient is Start for a question to somebody else.
func StartClient(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	return startKind(ctx, Client, name, attrs)
}

func startKind(ctx context.Context, kind Kind, name string, attrs []Attr) (context.Context, Span) {
	parent := oteltrace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	return begin(ctx, parent.TracerProvider().Tracer(scopeName), kind, name, attrs)
}

// Join begins a span for what is done for all of spans at once: it is a child
// of the first and linked with each. Without a span there is none.
func Join(ctx context.Context, name string, spans []Span, attrs ...Attr) (context.Context, Span) {
	var first Span
	for _, s := range spans {
		if s.s != nil {
			first = s
			break
		}
	}
	if first.s == nil {
		return ctx, Span{}
	}
	ctx, joined := begin(oteltrace.ContextWithSpan(ctx, first.s), first.s.TracerProvider().Tracer(scopeName), Internal, name, attrs)
	for _, s := range spans {
		joined.Link(s)
		s.Link(joined)
	}
	return ctx, joined
}

func begin(ctx context.Context, t oteltrace.Tracer, kind Kind, name string, attrs []Attr) (context.Context, Span) {
	ctx, span := t.Start(ctx, name, oteltrace.WithSpanKind(kind), oteltrace.WithAttributes(keyValues(attrs)...))
	if !span.IsRecording() {
		return ctx, Span{} // ctx still says that nobody records what follows
	}
	return ctx, Span{span}
}

// Begin begins a span below the one that ctx is in, or a trace of its own where
// ctx is in none. A nil Tracer begins nothing.
func (t *Tracer) Begin(ctx context.Context, kind Kind, name string, attrs ...Attr) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return begin(ctx, t.tracer, kind, name, attrs)
}

// Receive begins a span for a message or request that came with header: below the
// sender's, or a trace of its own where header names none. A nil Tracer begins
// nothing, but what is sent on still names the trace of header.
func (t *Tracer) Receive(ctx context.Context, header Header, kind Kind, name string, attrs ...Attr) (context.Context, Span) {
	if t == nil && header.Parent == "" {
		return ctx, Span{}
	}
	if sc := header.spanContext(); sc.IsValid() {
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, sc)
	}
	return t.Begin(ctx, kind, name, attrs...)
}

// flushTime bounds how long Close waits for a collector.
const flushTime = 3 * time.Second
