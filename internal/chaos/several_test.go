//go:build chaos

package chaos

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestTwoSinks lets one of two sinks miss a whole scan, and later loses its
// file: each time it catches up by itself, and both stores say the same.
func TestTwoSinks(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 10_000, latency: 20 * time.Millisecond, lanes: 4, workers: 1, sinks: 2})
	before := r.faultless()
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	r.sinks[1].stop(syscall.SIGKILL)
	r.change(before, 120)
	after := r.faultless()
	want := moved(before, after)
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(1, func() { r.sinks[1].revive(t) })
	r.events(want) // the late one derives every event anew, and none appears twice
	if !r.equal("the sink that missed a scan", after, r.reported(1)) {
		t.Error("the sink that missed a scan differs")
	}
	if err := os.Remove(filepath.Join(r.stores[1], "store.db")); err != nil {
		t.Fatal(err)
	}
	r.caughtUp(1, func() { r.sinks[1].revive(t) })
	r.events(want)
	r.healthy()
	if !r.equal("the sink that lost its file", after, r.reported(1)) || !r.equal("the sink that always ran", after, r.reported(0)) {
		t.Error("the two stores differ")
	}
}

// caughtUp revives a sink and waits until its consumer, which it makes anew,
// has handed out everything.
func (r *rig) caughtUp(i int, revive func()) {
	r.t.Helper()
	since := time.Now()
	revive()
	within(r.t, 2*time.Minute, "the sink catches up", func() bool { return r.handedOut(i, since) })
	time.Sleep(2 * time.Second) // what it was handed is stored meanwhile
}

// TestCluster kills each of three nodes in turn while a scan runs on streams
// with three replicas.
func TestCluster(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 120 * time.Millisecond, lanes: 1, workers: 2, nodes: 3})
	disturbed(t, r, func(string) {
		for _, node := range r.nats {
			time.Sleep(time.Duration(1+r.rng.IntN(2)) * time.Second)
			node.kill()
			time.Sleep(5 * time.Second)
		}
	})
	for _, node := range r.nats {
		if node.kills != 1 || node.starts != 2 {
			t.Errorf("%s was killed %d times and started %d times", node.name, node.kills, node.starts)
		}
	}
}
