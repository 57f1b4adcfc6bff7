package bus_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
)

// What a process is about to run is awaited until it has begun: a service until
// requests arrive there, and again once it has ended; a consumer until it reads.
func TestWhatHasNotBegunIsAwaited(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	b.Await("a-service", bus.ConsumeScans.Name)
	if got := b.Awaited(); !slices.Equal(got, []string{"a-service", bus.ConsumeScans.Name}) {
		t.Fatalf("awaited are %q", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() {
		ended <- b.Serve(ctx, "a-service", "answers", "1.0.0", 1, []bus.Endpoint{
			{Name: "one", Subject: "shenscan.test.one", Handle: func(context.Context, bus.Request) (any, error) { return "yes", nil }},
		})
	}()
	go func() {
		ended <- b.Consume(ctx, bus.ConsumeScans, func(context.Context, bus.Delivery) error { return nil }, nil)
	}()
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("did not happen: %s; awaited are %q", what, b.Awaited())
			}
		}
	}
	until("both have begun", func() bool { return len(b.Awaited()) == 0 })
	var answer string
	if err := b.Call(t.Context(), "shenscan.test.one", nil, &answer); err != nil || answer != "yes" {
		t.Errorf("the first request is answered by %q, %v", answer, err)
	}
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := b.Awaited(); !slices.Equal(got, []string{"a-service"}) {
		t.Errorf("after its end awaited are %q", got)
	}
}
