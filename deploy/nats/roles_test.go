package nats

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// with returns the lines that hold text.
func (l *lines) with(text string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}

func options(url, seed, role string, log *slog.Logger) bus.Options {
	o := bus.DefaultOptions()
	o.URL, o.NKey, o.Name, o.Inbox, o.Log = url, seed, "shenscan-"+role, role, log
	return o
}

// A worker or a sink that finds no stream says who has to make it.
func TestWhoMayNotMakeStreamsSaysWhoMust(t *testing.T) {
	t.Parallel()
	url, seeds := start(t)
	for _, role := range []string{"worker", "sink"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			o := options(url, seeds[role], role, slog.New(slog.DiscardHandler))
			o.Declare = false
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			b, err := bus.Open(ctx, o)
			if err == nil {
				b.Close()
			}
			for _, part := range []string{"SHENSCAN_WORK", "does not exist", "may not create it", "start a producer"} {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want one with %q", err, part)
				}
			}
		})
	}
}

// The whole pipeline runs with its users, each process with its own, and
// is refused nothing but to make the streams and buckets that the producer makes. Worker
// and sink come first: they wait for it.
func TestTheUsersMayDoAllThatTheirRolesNeed(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", ecssim.DemoAccessKeyID)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", ecssim.DemoAccessKeySecret)
	sim, err := ecssim.Start(ecssim.Options{Instances: 600, Regions: 4, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	url, seeds := start(t)
	var logged lines
	log := slog.New(slog.NewTextHandler(&logged, nil))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	run := func(role string, roles app.Role) {
		running.Go(func() {
			cloud := ecsapi.DefaultOptions()
			cloud.Endpoint = sim.URL
			a, err := app.New(ctx, app.Options{
				Roles: roles, NATS: options(url, seeds[role], role, log), Cloud: cloud, Store: t.TempDir(),
				SinkName: "a", Distributed: true, Concurrency: 8, ScanIdle: time.Hour, Log: log, Now: time.Now,
			})
			if err == nil {
				err = a.Run(ctx)
				a.Close()
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", role, err)
				stop()
			}
		})
	}
	run("worker", app.Worker)
	run("sink", app.Sink)
	wait(ctx, t, "worker and sink wait", func() bool { return len(logged.with("waiting for a producer")) == 2 })
	run("producer", app.Producer)

	operator, err := bus.Dial(ctx, options(url, seeds["operator"], "operator", log))
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	complete := func(subject string, request any) (scan record.Scan) {
		t.Helper()
		var asked struct {
			ScanID string `json:"scan_id"`
		}
		wait(ctx, t, "an answer on "+subject, func() bool { return operator.Call(ctx, subject, request, &asked) == nil })
		wait(ctx, t, "the end of "+asked.ScanID, func() bool {
			err := operator.Call(ctx, event.SubjectQueryScan, map[string]string{"scan_id": asked.ScanID}, &scan)
			return err == nil && scan.State != record.ScanRunning
		})
		return scan
	}
	if scan := complete(event.SubjectScan, struct{}{}); scan.State != record.ScanComplete || scan.Instances != 600 {
		t.Errorf("scan %+v", scan)
	}
	var one string
	if err := sim.EachTruth(func(x *ecssim.Truth) error { one = x.InstanceID; return nil }); err != nil {
		t.Fatal(err)
	}
	if scan := complete(event.SubjectRescan, map[string][]string{"instance_ids": {one}}); scan.State != record.ScanComplete || scan.Instances != 1 {
		t.Errorf("rescan of %s: %+v", one, scan)
	}
	for _, line := range logged.with("permissions violation") {
		if !strings.Contains(strings.ToLower(line), "$js.api.stream.create.") {
			t.Errorf("refused: %s", line)
		}
	}
}

func wait(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("did not happen: " + what)
		case <-tick.C:
		}
	}
}
