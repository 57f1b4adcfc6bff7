//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
)

// TestFullDiskOfTheBroker lets the disk of the server's streams fill up in
// mid-scan. A server whose write failed keeps its streams closed, also when
// there is room again, until it is restarted: its health check says so, and
// whoever runs it restarts it. Until then the scan waits.
func TestFullDiskOfTheBroker(t *testing.T) {
	disk := smallDisk(t)
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 150 * time.Millisecond, lanes: 1, workers: 1, natsDir: filepath.Join(disk, "js")})
	before := r.faultless()
	r.start()
	r.slow()
	id := r.request()
	within(t, time.Minute, "results flow", func() bool { return r.flow().results > 10 })
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	time.Sleep(15 * time.Second) // longer than AckWait: everything is tried again, and fails
	if s := r.state(id); s.State != record.ScanRunning {
		t.Errorf("a scan whose pages could not be stored is %s", s.State)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	was := r.results()
	by := "by itself"
	if !happens(20*time.Second, func() bool { return r.results() > was }) {
		by = "after the server was restarted"
		r.nats[0].kill()
	}
	if _, err := r.complete(id, 4*time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("the scan went on %s and was complete %s after there was room again", by, time.Since(room).Round(time.Second))
	r.healthy()
	if !r.equal("after the broker's full disk", before, r.reported(0)) {
		t.Error("the store is not what a fault-free run's is")
	}
}

// TestFullDiskOfServe is the same for the one process that does everything: its
// disk holds the store and the embedded server, which nobody but itself restarts.
func TestFullDiskOfServe(t *testing.T) {
	disk := smallDisk(t)
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 150 * time.Millisecond})
	before := r.faultless()
	addr, store := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t)), filepath.Join(disk, "store")
	serve := newMember(t, r.dir, "serve", r.o.bin, r.env, "serve", "--endpoint", r.sim, "--store", store, "--nats-listen", addr,
		"--listen", "", "--concurrency", "1", "--start-rate", "2000", "--log-level", "info", "--sink-name", "s0")
	within(t, 30*time.Second, "serve listens", listens(addr))
	r.sinks, r.stores, r.roles = []*member{serve}, []string{store}, []*member{serve}
	var err error
	if r.nc, err = nats.Connect("nats://"+addr, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.nc.Close)
	if r.js, err = jetstream.New(r.nc); err != nil {
		t.Fatal(err)
	}
	r.slow()
	id := r.request()
	within(t, time.Minute, "results flow", func() bool { return r.results() > 10 })
	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast)
	time.Sleep(15 * time.Second)
	if s := r.state(id); s.State != record.ScanRunning {
		t.Errorf("a scan whose pages could not be stored is %s", s.State)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	if _, err := r.complete(id, 4*time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("the scan was complete %s after there was room again; serve ended %d times by itself", time.Since(room).Round(time.Second), serve.own)
	r.healthy()
	if serve.own > 0 || !r.equal("after the full disk of serve", before, r.reported(0)) {
		t.Error("serve ended, or the store is not what a fault-free run's is")
	}
}

// results is how many messages the results stream has had, 0 where the server
// does not say.
func (r *rig) results() uint64 {
	s, err := r.js.Stream(r.t.Context(), bus.StreamResults)
	if err != nil {
		return 0
	}
	return s.CachedInfo().State.LastSeq
}

// TestScheduleSurvivesItsProducers holds a schedule with two producers and
// kills one, or the server, in the middle of every scan.
func TestScheduleSurvivesItsProducers(t *testing.T) {
	const slot, slots = 30 * time.Second, 5
	config := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(config, []byte("schedules:\n  - name: often\n    cron: \"*/30 * * * * *\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, seed(t), setup{instances: 5_000, latency: 100 * time.Millisecond, lanes: 1, producers: 2, workers: 1, config: config})
	r.slow()
	r.start()
	// A schedule that is new to the server ticks at once.
	within(t, time.Minute, "the scan of the first start ends", func() bool {
		states, err := r.scanStates()
		return err == nil && len(states) > 0 && states[0][record.ScanComplete] == 1
	})
	first := time.Now().Truncate(slot).Add(slot)
	for n := range slots {
		at := first.Add(time.Duration(n) * slot)
		time.Sleep(time.Until(at) + 500*time.Millisecond + time.Duration(r.rng.Int64N(int64(2*time.Second))))
		victims := []*member{r.roles[1], r.roles[2], r.nats[0]}
		victims[n%len(victims)].kill()
	}
	within(t, time.Minute, "the last scan ends", func() bool {
		states, err := r.scanStates()
		return err == nil && len(states) >= slots && states[slots-1][record.ScanComplete] == 1
	})
	states, err := r.scanStates()
	if err != nil {
		t.Fatal(err)
	}
	for n := range slots {
		if s := states[n]; s[record.ScanRunning] != 1 || s[record.ScanComplete] != 1 || len(s) != 2 {
			t.Errorf("slot %d: %v, want one scan started and complete", n, s)
		}
	}
	t.Logf("%d slots, each scanned once: %v", slots, states)
	r.healthy()
}

// scanStates counts the events of scans by the slot in which they started, the
// first slot that had a scan being 0.
func (r *rig) scanStates() ([]map[record.ScanState]int, error) {
	s, err := r.js.Stream(r.t.Context(), bus.StreamEvents)
	if err != nil {
		return nil, err
	}
	var out []map[record.ScanState]int
	var first time.Time
	info := s.CachedInfo()
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		raw, err := s.GetMsg(r.t.Context(), seq, jetstream.WithGetMsgSubject("shenscan.events.scan.>"))
		if err != nil {
			break // none is left
		}
		seq = raw.Sequence
		var e struct {
			Data record.Scan `json:"data"`
		}
		if err := json.Unmarshal(raw.Data, &e); err != nil {
			return nil, fmt.Errorf("event %d: %w", seq, err)
		}
		at := e.Data.StartedAt.Truncate(30 * time.Second)
		if first.IsZero() {
			first = at
		}
		for len(out) <= int(at.Sub(first)/(30*time.Second)) {
			out = append(out, map[record.ScanState]int{})
		}
		out[int(at.Sub(first)/(30*time.Second))][e.Data.State]++
	}
	return out, nil
}
