package trace

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// The names of the headers, as the W3C recommendation "Trace Context" spells
// them. NATS tells upper case from lower.
const (
	ParentHeader = "traceparent"
	StateHeader  = "tracestate"
)

// Header is what a message says of its trace; both are "" for none.
type Header struct{ Parent, State string }

// Bounds of what is read. A traceparent of version 00 has 55 bytes, later ones
// may be longer; a tracestate may be cut at 512.
const (
	maxParent = 256
	maxState  = 512
)

// Of is what a message that is sent from ctx says of its trace.
func Of(ctx context.Context) Header {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return Header{}
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return Header{carrier[ParentHeader], carrier[StateHeader]}
}

// spanContext reads h. What is malformed, hostile or too long is no trace; it
// is never an error.
func (h Header) spanContext() oteltrace.SpanContext {
	if h.Parent == "" || len(h.Parent) > maxParent {
		return oteltrace.SpanContext{}
	}
	carrier := propagation.MapCarrier{ParentHeader: h.Parent}
	if len(h.State) <= maxState {
		carrier[StateHeader] = h.State
	}
	//nolint:forbidigo // an empty context to read headers into; nothing waits on it
	return oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
