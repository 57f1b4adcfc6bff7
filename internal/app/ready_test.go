package app_test

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// A process that cannot begin in one role ends what it began in others before it says so:
// whoever runs it closes the connection and the store then.
func TestAProcessThatCannotBeginEndsWhatItBegan(t *testing.T) {
	o := options(t)
	o.NATS.Listen = "127.0.0.1:0"
	first := serve(t, o)
	second := options(t)
	second.NATS.URL, second.Distributed = first.NATSURL(), true
	a, err := app.New(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	begun := func() int {
		stacks := make([]byte, 8<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "app.(*App).start")
	}
	before := begun()
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--sink-name") {
		t.Errorf("a second process of one name: %v", err)
	}
	if after := begun(); before == 0 || after > before {
		t.Errorf("%d functions of roles run, %d before", after, before)
	}
}

// options are those of one process that does everything, on a small simulated
// fleet.
func options(t *testing.T) app.Options {
	t.Helper()
	sim, err := ecssim.Start(ecssim.Options{Instances: 40, Regions: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	cloud := ecsapi.DefaultOptions()
	cloud.Endpoint = sim.URL
	cloud.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	o := app.Options{
		Roles: app.All, NATS: bus.DefaultOptions(), Cloud: cloud, Store: t.TempDir(), SinkName: "a",
		Concurrency: 4, ScanIdle: time.Minute, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	o.NATS.Sync, o.NATS.Dir = bus.SyncInterval, t.TempDir() // not beside the sources where a process has no store
	return o
}

// serve runs an App until the test ends.
func serve(t *testing.T, o app.Options) *app.App {
	t.Helper()
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait(); a.Close() })
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Errorf("the process ended: %v", err)
		}
	})
	within(t, "it is ready", func() bool { ok, _ := a.Ready(); return ok })
	return a
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}

// A process whose roles do not run yet is not ready, however well its NATS is.
func TestNothingIsReadyBeforeItsRolesRun(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Roles, o.Store = app.Producer|app.Worker, ""
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if ok, why := a.Ready(); ok || !strings.Contains(why, "still starting") {
		t.Errorf("ready %v: %s", ok, why)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- a.Run(ctx) }()
	within(t, "it is ready", func() bool { ok, _ := a.Ready(); return ok })
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestReadyMeansThatNothingStandsStill(t *testing.T) {
	t.Parallel()
	t.Run("a store whose file was deleted", func(t *testing.T) {
		o := options(t)
		a := serve(t, o)
		if err := os.Remove(app.StoreFile(o.Store)); err != nil {
			t.Fatal(err)
		}
		if ok, why := a.Ready(); ok || !strings.Contains(why, "store's file is gone") {
			t.Errorf("ready %v: %s", ok, why)
		}
	})
	t.Run("a stream that is gone", func(t *testing.T) {
		o := options(t)
		o.NATS.Listen = "127.0.0.1:0"
		a := serve(t, o)
		nc, err := nats.Connect(a.NATSURL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err == nil {
			err = js.DeleteStream(t.Context(), bus.StreamResults)
		}
		if err != nil {
			t.Fatal(err)
		}
		within(t, "it says so", func() bool { ok, why := a.Ready(); return !ok && strings.Contains(why, "consumer sink-a") })
		within(t, "it made the stream again and reads it", func() bool { ok, _ := a.Ready(); return ok })
	})
}

// Two sinks of one name cannot be told apart: the second is refused, and says
// who is there.
func TestTwoSinksOfOneNameRefuseEachOther(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.NATS.Listen = "127.0.0.1:0"
	first := serve(t, o)
	second := options(t)
	second.NATS.URL, second.Roles, second.Distributed = first.NATSURL(), app.Sink, true
	refused := func(name string) error {
		second.SinkName, second.Store = name, t.TempDir()
		a, err := app.New(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		go func() {
			for ok := false; !ok && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				ok, _ = a.Ready()
			}
			cancel()
		}()
		return a.Run(ctx)
	}
	if err := refused("a"); err == nil || !strings.Contains(err.Error(), "--sink-name") || !strings.Contains(err.Error(), "process ") {
		t.Errorf("the second sink of one name: %v", err)
	}
	if err := refused("b"); err != nil {
		t.Errorf("a sink of another name: %v", err)
	}
}
