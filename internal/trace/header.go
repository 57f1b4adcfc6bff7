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
	var h Header
	propagation.TraceContext{}.Inject(ctx, (*carrier)(&h))
	return h
}

// spanContext reads h. What is malformed, hostile or too long is no trace; it
// is never an error.
func (h Header) spanContext() oteltrace.SpanContext {
	if h.Parent == "" || len(h.Parent) > maxParent {
		return oteltrace.SpanContext{}
	}
	if len(h.State) > maxState {
		h.State = ""
	}
	//nolint:forbidigo // an empty context to read headers into; nothing waits on it
	ctx := propagation.TraceContext{}.Extract(context.Background(), (*carrier)(&h))
	return oteltrace.SpanContextFromContext(ctx)
}

// carrier lets the propagator read and write a Header.
type carrier Header

// Get implements propagation.TextMapCarrier.
func (c *carrier) Get(key string) string {
	switch key {
	case ParentHeader:
		return c.Parent
	case StateHeader:
		return c.State
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	switch key {
	case ParentHeader:
		c.Parent = value
	case StateHeader:
		c.State = value
	}
}

// Keys implements propagation.TextMapCarrier.
func (c *carrier) Keys() []string { return []string{ParentHeader, StateHeader} }
