//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// disturbed is the story that the fault tests share: a fault-free scan to
// compare with, a first scan, changes in the fleet, a scan while disturb does
// its worst, and the comparison.
func disturbed(t *testing.T, r *rig, disturb func(id string)) {
	t.Helper()
	before := r.faultless()
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	r.change(before, 120)
	after := r.faultless()
	r.truth(after)
	want := moved(before, after)
	r.slow()
	began, flowed := time.Now(), r.flow()
	id := r.request()
	disturb(id)
	during := r.flow().results - flowed.results
	scans, err := r.complete(id, 4*time.Minute)
	if err != nil {
		t.Error(err)
	}
	gone := 0
	var states []record.ScanState
	for i := range scans {
		gone += scans[i].Gone
		states = append(states, scans[i].State)
	}
	t.Logf("scans %v after %s; %d results flowed during the faults; %d page deliveries beyond the first", states, time.Since(began).Round(time.Second), during, r.flow().redelivered)
	if gone > 0 {
		t.Errorf("%d instances were taken for gone", gone)
	}
	if least := uint64(r.o.instances / event.MaxInstances / 4); during < least {
		t.Errorf("only %d results flowed during the faults, less than %d: the run proves nothing", during, least)
	}
	r.events(want)
	r.healthy()
	if !r.equal("after the faults", after, r.reported(0)) {
		t.Error("the store is not what a fault-free run's is")
	}
}

// TestCutConnections resets, stalls and slows the connections between the
// roles and NATS.
func TestCutConnections(t *testing.T) {
	s := seed(t)
	r := newRig(t, s, setup{instances: 20_000, latency: 60 * time.Millisecond, lanes: 1, workers: 2})
	p := newProxy(t, strings.TrimPrefix(r.natsURL, "nats://"))
	r.o.natsURL = "nats://" + p.l.Addr().String()
	disturbed(t, r, func(string) {
		for n := range 16 {
			time.Sleep(time.Duration(r.rng.Int64N(int64(2 * time.Second))))
			switch n % 4 {
			case 3:
				p.stall.Store(time.Now().Add(2 * time.Second).UnixNano())
			case 2:
				p.delay.Store(int64(20 * time.Millisecond))
			default:
				p.delay.Store(0)
				p.cut()
			}
		}
		p.delay.Store(0)
	})
	t.Logf("%d times every connection was reset", p.cuts)
}

// TestSlowLanesAreWalkedOnce has lanes that take longer than the broker waits
// for a dead producer: a producer may hold only what it works on, or lanes that
// wait their turn are given to another and walked twice, at the quota's cost.
func TestSlowLanesAreWalkedOnce(t *testing.T) {
	s := seed(t)
	r := newRig(t, s, setup{instances: 20_000, latency: 1200 * time.Millisecond, lanes: 4, producers: 2, workers: 1})
	before := r.faultless()
	r.slow()
	r.start()
	if _, err := r.complete(r.request(), 4*time.Minute); err != nil {
		t.Fatal(err)
	}
	c, err := r.js.Consumer(t.Context(), bus.StreamWork, bus.ConsumeLanes.Name)
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	pages, needed := r.flow().pages, uint64(r.o.instances/ecs.MaxPage) // calls are too slow for pages to hold more than one
	t.Logf("%d lanes delivered; %d pages published, %d are needed and a few that are not full", info.Delivered.Consumer, pages, needed)
	if pages > needed+15 {
		t.Errorf("%d pages were read where %d do: lanes were walked twice", pages, needed)
	}
	r.healthy()
	if !r.equal("after the slow lanes", before, r.reported(0)) {
		t.Error("the store is not what a fault-free run's is")
	}
}

// TestPauses stops processes for longer than the broker waits for them: their
// work is given to others, and then they go on with it as if nothing had been.
func TestPauses(t *testing.T) {
	s := seed(t)
	r := newRig(t, s, setup{instances: 20_000, latency: 150 * time.Millisecond, lanes: 1, producers: 2, workers: 2})
	disturbed(t, r, func(string) {
		var paused sync.WaitGroup
		for i, name := range []string{"worker0", "producer0", "sink0"} {
			for _, m := range r.roles {
				if m.name != name {
					continue
				}
				paused.Go(func() {
					time.Sleep(time.Duration(i)*3*time.Second + 500*time.Millisecond)
					m.signal(syscall.SIGSTOP)
					time.Sleep(18 * time.Second)
					m.signal(syscall.SIGCONT)
				})
			}
		}
		paused.Wait()
	})
}

// TestRepeatsLongAfter publishes every page and result of an old scan again,
// with ids that no duplicate window knows, behind a newer scan.
func TestRepeatsLongAfter(t *testing.T) {
	s := seed(t)
	r := newRig(t, s, setup{instances: 10_000, latency: 0, lanes: 8, workers: 1})
	repeats(t, r)
}

func repeats(t *testing.T, r *rig) {
	t.Helper()
	before := r.faultless()
	r.start()
	same, err := r.repeated(before)
	if err != nil {
		t.Error(err)
	}
	if !same {
		t.Error("the store is not what it was before the repeats")
	}
	r.events(r.want)
	r.healthy()
}

// repeated scans twice with changes in between, publishes every page and result
// of the first scan again and reports whether the store is as it was. It ends
// the sink.
func (r *rig) repeated(before map[string]record.Record) (bool, error) {
	r.t.Helper()
	var mu sync.Mutex
	var old []*nats.Msg
	keep := func(m *nats.Msg) { mu.Lock(); old = append(old, m); mu.Unlock() }
	var subs []*nats.Subscription
	for _, subject := range []string{"shenscan.pages.>", "shenscan.results.>"} {
		sub, err := r.nc.Subscribe(subject, keep)
		if err != nil {
			return false, err
		}
		subs = append(subs, sub)
	}
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		return false, err
	}
	for _, sub := range subs {
		_ = sub.Unsubscribe()
	}
	r.change(before, 120)
	after := r.faultless()
	r.want = moved(before, after)
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		return false, err
	}
	if err := r.forget(); err != nil {
		return false, err
	}
	for n, i := range r.rng.Perm(len(old)) {
		m := &nats.Msg{Subject: old[i].Subject, Data: old[i].Data, Header: nats.Header{"Nats-Msg-Id": {fmt.Sprintf("again/%d", n)}}}
		if _, err := r.nc.RequestMsg(m, 5*time.Second); err != nil {
			return false, err
		}
	}
	// How many instances a page holds is the producer's affair: each must have come
	// again as listed and as classified.
	listed, classified := 0, 0
	for _, m := range old {
		switch m, _ := event.Decode(m.Data); m := m.(type) {
		case *event.InstancesListed:
			listed += m.Rows.Len()
		case *event.InstancesClassified:
			classified += m.Rows.Len()
		}
	}
	r.t.Logf("%d messages of an ended scan were published again, with %d instances listed and %d classified", len(old), listed, classified)
	if min(listed, classified) < r.o.instances {
		return false, fmt.Errorf("only %d and %d of %d instances were repeated: the run proves nothing", listed, classified, r.o.instances)
	}
	if err := r.drained(); err != nil {
		return false, err
	}
	return r.equal("after the repeats", after, r.reported(0)), nil
}

// forget makes the results stream forget the ids that it has seen, as after two
// minutes: what workers make of repeated pages has the same ones.
func (r *rig) forget() error {
	s, err := r.js.Stream(r.t.Context(), bus.StreamResults)
	if err != nil {
		return err
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		return err
	}
	time.Sleep(time.Second)
	return nil
}

// drained waits until no page waits and the sink has everything.
func (r *rig) drained() error {
	done := happens(time.Minute, func() bool {
		c, err := r.js.Consumer(r.t.Context(), bus.StreamPages, bus.ConsumeBulkPages.Name)
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0 && r.handedOut(0, time.Time{})
	})
	if !done {
		return errors.New("the repeats were not worked off within a minute")
	}
	time.Sleep(time.Second)
	return nil
}

// TestFullDisk lets the disk of the sink's store fill up in mid-scan and makes
// room again: nothing that was not stored may have been acknowledged.
func TestFullDisk(t *testing.T) {
	s := seed(t)
	disk := smallDisk(t)
	r := newRig(t, s, setup{instances: 20_000, latency: 40 * time.Millisecond, lanes: 2, workers: 1, storeDir: filepath.Join(disk, "store")})
	ballast := filepath.Join(disk, "ballast")
	before := r.faultless()
	r.start()
	sink := r.sinks[0]
	within(t, 30*time.Second, "the sink has made its store", func() bool {
		_, err := os.Stat(filepath.Join(disk, "store", "store.db"))
		return err == nil && strings.Contains(tail(sink.log, 10_000), "running")
	})
	fill(t, ballast)
	r.slow()
	id := r.request()
	within(t, time.Minute, "the store says that there is no room", func() bool {
		return strings.Contains(tail(sink.log, 20_000), "no room")
	})
	time.Sleep(5 * time.Second) // it tries again meanwhile, and finds no room
	if sc := r.state(id); sc.State != record.ScanRunning {
		t.Errorf("a scan that could not be stored is %s", sc.State)
	}
	if sink.own > 0 {
		t.Errorf("the sink ended %d times by itself on a full disk", sink.own)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	if _, err := r.complete(id, 3*time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("the scan was complete %s after there was room again", time.Since(freed).Round(time.Second))
	r.healthy()
	if !r.equal("after the full disk", before, r.reported(0)) {
		t.Error("the store is not what a fault-free run's is")
	}
}

// smallDisk is a disk of 64 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a small tmpfs and needs root; leave it out with -skip TestFullDisk")
	}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for size := len(block); size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(block[:size])
		}
	}
}
