package bus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// Every line about a message names it by the same keys, and its trace.
func TestLogLinesAboutAMessageNameItAlike(t *testing.T) {
	t.Parallel()
	tr, _ := tracing(t)
	var mu sync.Mutex
	var log bytes.Buffer
	b := open(t, func(o *bus.Options) {
		o.Tracer = tr
		o.Log = slog.New(trace.LogHandler(slog.NewJSONHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), nil)))
	})
	if err := b.Publish(t.Context(), lane(1)); err != nil {
		t.Fatal(err)
	}
	c := bus.ConsumeLanes
	c.MaxDeliver = 2
	dead := make(chan struct{})
	stop := consume(t, b, c, func(context.Context, bus.Delivery) error {
		return event.RetryAfter(errors.New("later"), time.Millisecond)
	}, func(context.Context, bus.Dead) error {
		close(dead)
		return nil
	})
	<-dead
	stop()
	if err := b.Publish(t.Context(), lane(2)); err != nil {
		t.Fatal(err)
	}
	tried := make(chan struct{})
	var once sync.Once
	consume(t, b, bus.ConsumeLanes, func(_ context.Context, d bus.Delivery) error {
		if d.Attempt == 1 {
			return errors.New("not yet")
		}
		once.Do(func() { close(tried) })
		return nil
	}, nil)
	<-tried
	mu.Lock()
	defer mu.Unlock()
	found := map[string]bool{}
	for dec := json.NewDecoder(&log); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		text, _ := line["msg"].(string)
		if line["consumer"] == nil {
			continue
		}
		found[text] = true
		for _, key := range []string{"scan", "account", "region", "message", "stream", "seq", "subject", "attempt", "trace_id"} {
			if v, ok := line[key]; !ok || v == "" {
				t.Errorf("%q says no %s: %v", text, key, line)
			}
		}
	}
	for _, text := range []string{"message is tried again", "message was dead-lettered; see `shenscan dead list`"} {
		if !found[text] {
			t.Errorf("no line %q in %v", text, found)
		}
	}
}
