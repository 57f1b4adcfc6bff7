package app_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// fleetOfOptions is how many instances the fleet of options has.
const fleetOfOptions = 40

// deployment is a NATS server without streams, on which a test starts roles as
// processes of their own, and somebody who asks them.
type deployment struct {
	t    *testing.T
	base app.Options
	ask  *bus.Bus
}

func deploy(t *testing.T) *deployment {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not listen")
	}
	base := options(t)
	base.NATS.URL, base.Distributed, base.Store = srv.ClientURL(), true, ""
	caller := base.NATS
	caller.Declare = false
	ask, err := bus.Open(t.Context(), caller)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ask.Close)
	return &deployment{t, base, ask}
}

// process is one that runs, until stop.
type process struct {
	*app.App
	stop func()
}

// start runs a role on the deployment; store and name are a sink's.
func (d *deployment) start(role app.Role, store, name string) process {
	d.t.Helper()
	o := d.base
	o.Roles, o.Store, o.SinkName = role, store, name
	a, err := app.New(d.t.Context(), o)
	if err != nil {
		d.t.Fatalf("%s: %v", role, err)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); err != nil {
			d.t.Errorf("the process of the %s ended: %v", role, err)
		}
	}()
	stop := sync.OnceFunc(func() { cancel(); <-ended; a.Close() })
	d.t.Cleanup(stop)
	return process{a, stop}
}

// role starts the one role, a sink with a store of its own.
func (d *deployment) role(role app.Role) process {
	if role == app.Sink {
		return d.start(role, d.t.TempDir(), "a")
	}
	return d.start(role, "", "")
}

func (d *deployment) ready(p process) {
	d.t.Helper()
	within(d.t, "it is ready", func() bool { ok, _ := p.Ready(); return ok })
}

// scan asks for a scan, as soon as a producer answers.
func (d *deployment) scan() (id string) {
	d.t.Helper()
	within(d.t, "a producer answers", func() bool {
		var reply record.ScanReply
		err := d.ask.Call(d.t.Context(), event.SubjectScan, record.ScanRequest{}, &reply)
		id = reply.ScanID
		return err == nil
	})
	return id
}

// query asks the sinks for a scan.
func (d *deployment) query(id string) (scan record.Scan, err error) {
	err = d.ask.Call(d.t.Context(), event.SubjectQueryScan, map[string]string{"scan_id": id}, &scan)
	return scan, err
}

// whole waits until the scan ended, and wants it complete with every instance.
func (d *deployment) whole(id string) {
	d.t.Helper()
	var scan record.Scan
	within(d.t, "the scan ends", func() bool {
		var err error
		scan, err = d.query(id)
		return err == nil && scan.State != record.ScanRunning
	})
	if scan.State != record.ScanComplete || scan.Instances != fleetOfOptions {
		d.t.Errorf("the scan is %s with %d of %d instances: %s", scan.State, scan.Instances, fleetOfOptions, scan.Reason)
	}
}

// Whoever comes first makes the streams, and nobody has to wait for another one
// to start.
func TestRolesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, order := range [][]app.Role{
		{app.Producer, app.Worker, app.Sink},
		{app.Producer, app.Sink, app.Worker},
		{app.Worker, app.Producer, app.Sink},
		{app.Worker, app.Sink, app.Producer},
		{app.Sink, app.Producer, app.Worker},
		{app.Sink, app.Worker, app.Producer},
	} {
		names := make([]string, len(order))
		for i, role := range order {
			names[i] = role.String()
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			t.Parallel()
			d := deploy(t)
			for _, role := range order {
				d.ready(d.role(role)) // alone, and without those that are still to come
			}
			d.whole(d.scan())
		})
	}
}

// Two roles without the third do what they can, say who is missing to those who
// ask, and finish the scan once it is there.
func TestPairsOfRolesWaitForTheThird(t *testing.T) {
	t.Parallel()
	roles := []app.Role{app.Producer, app.Worker, app.Sink}
	for _, missing := range roles {
		t.Run("without a "+missing.String(), func(t *testing.T) {
			t.Parallel()
			d := deploy(t)
			for _, role := range slices.DeleteFunc(slices.Clone(roles), func(role app.Role) bool { return role == missing }) {
				d.ready(d.role(role))
			}
			var id string
			switch missing {
			case app.Producer:
				err := d.ask.Call(t.Context(), event.SubjectScan, record.ScanRequest{}, new(record.ScanReply))
				if !errors.Is(err, bus.ErrNobody) || !strings.Contains(err.Error(), "is a shenscan running on this NATS?") {
					t.Errorf("a scan without a producer: %v", err)
				}
			case app.Worker:
				id = d.scan()
				within(t, "the sink knows of the scan", func() bool { _, err := d.query(id); return err == nil })
				if scan, err := d.query(id); err != nil || scan.State != record.ScanRunning || scan.Instances != 0 {
					t.Errorf("a scan that no worker reads: %+v, %v", scan, err)
				}
			default:
				id = d.scan()
				if _, err := d.query(id); !errors.Is(err, bus.ErrNobody) {
					t.Errorf("a scan that no sink stores: %v", err)
				}
			}
			d.ready(d.role(missing))
			if id == "" {
				id = d.scan()
			}
			d.whole(id)
		})
	}
}

// A role that is stopped while a scan runs and started again loses nothing of it.
func TestARoleIsStartedAgainInAScan(t *testing.T) {
	t.Parallel()
	for _, restarted := range []app.Role{app.Producer, app.Worker, app.Sink} {
		t.Run(restarted.String(), func(t *testing.T) {
			t.Parallel()
			d := deploy(t)
			store, running := t.TempDir(), map[app.Role]process{}
			for _, role := range []app.Role{app.Producer, app.Worker, app.Sink} {
				running[role] = d.start(role, map[bool]string{true: store}[role == app.Sink], "a")
				d.ready(running[role])
			}
			id := d.scan()
			running[restarted].stop()
			d.ready(d.start(restarted, map[bool]string{true: store}[restarted == app.Sink], "a"))
			d.whole(id)
		})
	}
}

// Two of each role share the work of the first two and not that of sinks: each
// sink has the whole scan, and the fleet is scanned once.
func TestTwoOfEachRole(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	var sinks []process
	for _, name := range []string{"a", "b"} {
		d.ready(d.start(app.Producer, "", ""))
		d.ready(d.start(app.Worker, "", ""))
		sinks = append(sinks, d.start(app.Sink, t.TempDir(), name))
		d.ready(sinks[len(sinks)-1])
	}
	id := d.scan()
	for i, sink := range sinks {
		var scan *record.Scan
		within(t, "each sink has the end of the scan", func() bool {
			var err error
			scan, err = sink.Scan(id)
			return err == nil && scan.EndedAt != nil
		})
		if scan.State != record.ScanComplete || scan.Instances != fleetOfOptions || scan.New != fleetOfOptions || scan.Changed != 0 {
			t.Errorf("sink %d: the scan is %s with %d instances, %d new, %d changed", i, scan.State, scan.Instances, scan.New, scan.Changed)
		}
	}
}
