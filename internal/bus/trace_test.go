package bus_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/internal/trace/tracetest"
)

func TestNothingIsSpentOnMessagesWhileTracingIsOff(t *testing.T) {
	b := open(t, nil)
	header := nats.Header{nats.MsgIdHdr: {"page/s-1"}}
	m := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1"}}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { b.TraceOff(ctx, m, header) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
	if len(header) != 1 {
		t.Errorf("headers %v", header)
	}
}

func BenchmarkTracingOff(b *testing.B) {
	o := bus.DefaultOptions()
	o.Dir = b.TempDir()
	off, err := bus.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer off.Close()
	header := nats.Header{nats.MsgIdHdr: {"page/s-1"}}
	m := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1"}}
	b.ReportAllocs()
	for b.Loop() {
		off.TraceOff(b.Context(), m, header)
	}
}

func tracing(t *testing.T) (*trace.Tracer, *tracetest.Collector) {
	t.Helper()
	c := tracetest.Start()
	tr, err := trace.Open(t.Context(), trace.Options{Endpoint: c.URL, Ratio: 1, Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close(context.WithoutCancel(t.Context())); c.Close() })
	return tr, c
}

func TestTracesFollowMessagesAndHostileHeadersDoNot(t *testing.T) {
	t.Parallel()
	tr, c := tracing(t)
	b := open(t, func(o *bus.Options) { o.Tracer = tr })
	ctx, root := tr.Begin(t.Context(), trace.Server, "root")
	if err := b.Publish(ctx, lane(1)); err != nil {
		t.Fatal(err)
	}
	payload, err := event.Encode(lane(2))
	if err != nil {
		t.Fatal(err)
	}
	const stranger = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, h := range []nats.Header{
		{trace.ParentHeader: {"00-zz-zz-zz"}},
		{trace.ParentHeader: {stranger, stranger}}, // two are nobody's
		{trace.ParentHeader: {}},
		{trace.ParentHeader: {"", stranger}, trace.StateHeader: {"\xff\x00"}},
	} {
		if err := b.PublishRaw(t.Context(), &nats.Msg{Subject: "shenscan.work.lane.a.r", Data: payload, Header: h}); err != nil {
			t.Fatal(err)
		}
	}
	handled := make(chan string, 10)
	stop := consume(t, b, bus.ConsumeLanes, func(ctx context.Context, _ bus.Delivery) error {
		handled <- traceID(ctx)
		return nil
	}, nil)
	own := 0
	for range 5 {
		switch <-handled {
		case traceID(ctx):
			own++
		case "0af7651916cd43dd8448eb211c80319c", "":
			t.Error("a malformed header was followed, or a trace is missing")
		}
	}
	stop()
	root.End(nil)
	if own != 1 {
		t.Errorf("%d of 5 messages are in the trace of the publisher, want 1", own)
	}
	tr.Close(t.Context())
	spans := map[string]int{}
	for _, s := range c.Spans() {
		spans[s.Name]++
		if s.Name == "publish lane.job" && (s.Attrs["shenscan.scan"] != "s-1" || s.Attrs["shenscan.account"] != "a" || s.Attrs["shenscan.region"] != "r" || s.Attrs["messaging.message.id"] == "") {
			t.Errorf("attributes %v", s.Attrs)
		}
	}
	if spans["publish lane.job"] != 1 || spans["process lane.job"] != 5 {
		t.Errorf("spans %v", spans)
	}
}

// traceID is the trace that ctx is in, "" for none.
func traceID(ctx context.Context) string {
	parent := trace.Of(ctx).Parent // 00-trace-span-flags
	if len(parent) < 35 {
		return ""
	}
	return parent[3:35]
}
