package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// mover is a process beside a simulated fleet of which some instances moved.
type mover struct {
	*App
	sim   *ecssim.Server
	scope ecs.Scope
	moved []string // Running on another class than in the scan before
	still string   // moved, and stopped by its owner
}

func newMover(t *testing.T, evidence EvidenceOptions) *mover {
	t.Helper()
	sim, err := ecssim.Start(ecssim.Options{Instances: 150, Regions: 1, Seed: 5, FailedStarts: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	cloud := ecsapi.DefaultOptions()
	cloud.Endpoint = sim.URL
	cloud.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	options := Options{
		Roles: All, NATS: bus.DefaultOptions(), Cloud: cloud, Store: t.TempDir(), SinkName: "a", Evidence: evidence,
		Concurrency: 4, ScanIdle: time.Minute, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(20 * time.Minute) }, // the broker's clock is behind: what was just seen is long ago
	}
	options.NATS.Sync = bus.SyncInterval
	a, err := New(t.Context(), options)
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
	m := &mover{App: a, sim: sim}
	m.until(t, "it is ready", func() bool { ok, _ := a.Ready(); return ok })
	m.scan(t, 1)
	view, err := a.db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range view.Instances(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Virtualization != "kvm" || rec.Status != "Running" || rec.OS.Arch != "x86_64" || len(m.moved) == 3 && m.still != "" {
			continue
		}
		m.scope = ecs.Scope{Account: rec.Account, Region: rec.Region}
		change := ecssim.Change{InstanceType: "ecs.g6.large"}
		if m.still == "" {
			m.still, change.Status = rec.InstanceID, "Stopped"
		} else {
			m.moved = append(m.moved, rec.InstanceID)
		}
		if err := sim.Apply(rec.InstanceID, change); err != nil {
			t.Fatal(err)
		}
	}
	if err := view.Close(); err != nil {
		t.Fatal(err)
	}
	if len(m.moved) < 3 {
		t.Fatalf("%d moved", len(m.moved))
	}
	m.scan(t, 2)
	return m
}

func (m *mover) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}

// scan scans for the nth time.
func (m *mover) scan(t *testing.T, n int) {
	t.Helper()
	var reply record.ScanReply
	if err := m.bus.Call(t.Context(), event.SubjectScan, record.ScanRequest{}, &reply); err != nil {
		t.Fatal(err)
	}
	m.until(t, fmt.Sprintf("scan %d has ended", n), func() bool {
		scan, err := m.db.Scan(reply.ScanID)
		return err == nil && scan.State == record.ScanComplete
	})
}

// calls is how often an action was called.
func (m *mover) calls(action string) (n int) {
	for _, c := range m.sim.Stats().Calls {
		if c.Action == action {
			n += c.Calls
		}
	}
	return n
}

// rescans are those that ask whether moves worked.
func (m *mover) rescans(t *testing.T) (ended int) {
	t.Helper()
	scans, err := m.db.Scans(50)
	if err != nil {
		t.Fatal(err)
	}
	for i := range scans {
		if scans[i].Kind == string(event.KindRescan) && scans[i].State != record.ScanRunning {
			ended++
		}
	}
	return ended
}

// Instances that moved are asked for and scanned again, one that its owner
// stopped is not; what their agents and, where that was opted for, their console
// logs say is kept.
func TestInstancesThatMovedAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	m := newMover(t, EvidenceOptions{HeartbeatShare: 0.05, ConsoleShare: 0.05})
	waiting, err := m.db.Unsettled(m.o.Now(), maxMoves)
	if err != nil || len(waiting[m.scope]) != len(m.moved) {
		t.Fatalf("%v wait, %v; moved were %v", waiting, err, m.moved)
	}
	asked, began := m.calls("DescribeCloudAssistantStatus"), m.o.Now()
	if err := m.tellMoves(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.calls("DescribeCloudAssistantStatus") - asked; got != 1 {
		t.Errorf("%d calls for three instances, want 1", got)
	}
	m.until(t, "they were scanned again", func() bool { return m.rescans(t) == 1 })
	beats, err := m.db.Evidence(m.scope, event.EvidenceHeartbeat, append([]string{m.still}, m.moved...))
	if err != nil {
		t.Fatal(err)
	}
	logs, err := m.db.Evidence(m.scope, event.EvidenceConsole, append([]string{m.still}, m.moved...))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range m.moved {
		beat, there := beats[id]
		if !there || beat.Asked.Before(began) {
			t.Errorf("%s: no agent was asked: %+v", id, beat)
		}
		if silent := m.o.Now().Sub(beat.Heard) > movesEvery; silent != (logs[id].Console != nil) {
			t.Errorf("%s: silent %v, its log: %+v", id, silent, logs[id])
		}
	}
	if beats[m.still].Asked.After(began) || logs[m.still].Asked.After(began) {
		t.Errorf("one that its owner stopped was asked: %+v %+v", beats[m.still], logs[m.still])
	}
}

// Nobody is asked where nobody may be; the instances are scanned all the same.
func TestMovesAreLookedAtWithoutEvidence(t *testing.T) {
	t.Parallel()
	m := newMover(t, EvidenceOptions{})
	if err := m.tellMoves(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.until(t, "they were scanned again", func() bool { return m.rescans(t) == 1 })
	if n := m.calls("DescribeCloudAssistantStatus") + m.calls("GetInstanceConsoleOutput"); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// An agent or a log that cannot be asked for is no reason to ask nothing else.
func TestMovesAreLookedAtThoughAskingIsRefused(t *testing.T) {
	t.Parallel()
	m := newMover(t, EvidenceOptions{HeartbeatShare: 0.05, ConsoleShare: 0.05})
	for _, action := range []string{"DescribeCloudAssistantStatus", "GetInstanceConsoleOutput"} {
		if err := m.sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	logs := m.calls("GetInstanceConsoleOutput")
	if err := m.tellMoves(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.until(t, "they were scanned again", func() bool { return m.rescans(t) == 1 })
	if n := m.calls("GetInstanceConsoleOutput") - logs; n != 1 {
		t.Errorf("%d logs were asked for although the first was refused", n)
	}
}
