//go:build chaos

package chaos

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
)

// TestConsumersAreDeleted deletes every consumer in the middle of a scan, as an
// operator does by mistake: nothing stands still, nothing is lost or doubled.
func TestConsumersAreDeleted(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 60 * time.Millisecond, lanes: 1, workers: 2})
	deleted := 0
	disturbed(t, r, func(string) {
		for range 3 {
			time.Sleep(2 * time.Second)
			for _, stream := range []string{bus.StreamWork, bus.StreamPages, bus.StreamResults, bus.StreamAdvisories} {
				s, err := r.js.Stream(t.Context(), stream)
				if err != nil {
					t.Fatal(err)
				}
				names := s.ConsumerNames(t.Context())
				for name := range names.Name() {
					if s.DeleteConsumer(t.Context(), name) == nil {
						deleted++
					}
				}
			}
		}
	})
	t.Logf("%d consumers deleted", deleted)
	if deleted < 12 {
		t.Errorf("only %d consumers were deleted: the run proves nothing", deleted)
	}
}

// TestEmptiedBroker gives NATS an empty disk in the middle of a scan. The scan
// that was lost in it ends aborted, by name, is asked for again, and every role
// goes on without a restart.
func TestEmptiedBroker(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 120 * time.Millisecond, lanes: 1, workers: 1})
	before := r.faultless()
	r.start()
	r.slow()
	id := r.request()
	within(t, time.Minute, "results flow", func() bool { return r.flow().results > 10 })
	for i, arg := range r.nats[0].args {
		if arg == "-sd" {
			r.nats[0].args[i+1] = filepath.Join(r.dir, "emptied")
		}
	}
	emptied := time.Now()
	r.nats[0].kill()
	within(t, time.Minute, "the streams are there again", func() bool {
		_, err := r.js.Stream(t.Context(), bus.StreamSchedules)
		return err == nil
	})
	t.Logf("the streams were there again %s after the kill", time.Since(emptied).Round(100*time.Millisecond))
	lost, ok := r.await(id, time.Minute)
	if !ok || lost.State != record.ScanAborted || !strings.Contains(lost.Reason, "NATS lost its streams") {
		t.Errorf("the lost scan is %s: %q", lost.State, lost.Reason)
	}
	if _, err := r.complete(id+"-again", 3*time.Minute); err != nil {
		t.Error(err)
	}
	for _, m := range r.roles {
		if m.own > 0 {
			t.Errorf("%s ended %d times by itself", m.name, m.own)
		}
	}
	r.healthy()
	if !r.equal("after the emptied broker", before, r.reported(0)) {
		t.Error("the store is not what a fault-free run's is")
	}
}

// TestTwoSinksOfOneNameInProcesses starts a second sink under a name that is
// taken: it ends with a message that says so, and the first goes on.
func TestTwoSinksOfOneNameInProcesses(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1})
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	out, err := r.shenscan("sink", "--nats-url", r.natsURL, "--sink-name", "s0", "--store", filepath.Join(r.dir, "second"), "--listen", "")
	if err == nil || !strings.Contains(err.Error(), "runs on this NATS already") {
		t.Errorf("the second sink: %v %s", err, out)
	}
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Error(err)
	}
	r.healthy()
}

// TestReadyzMeansIt takes from a sink what it needs, one after the other: NATS,
// what NATS held, the file of its store. It says so, and that it is ready again.
func TestReadyzMeansIt(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1})
	r.start()
	listen, dir := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t)), filepath.Join(r.dir, "watched")
	sink := newMember(t, r.dir, "watched", bins.shenscan, r.env, "sink", "--nats-url", r.natsURL, "--sink-name", "watched", "--store", dir, "--listen", listen)
	r.roles = append(r.roles, sink)
	is := func(want int) func() bool {
		return func() bool {
			c := http.Client{Timeout: 5 * time.Second}
			resp, err := c.Get("http://" + listen + "/readyz")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == want
		}
	}
	within(t, time.Minute, "it is ready", is(http.StatusOK))
	r.nats[0].stop(syscall.SIGKILL)
	within(t, time.Minute, "it misses NATS", is(http.StatusServiceUnavailable))
	for i, arg := range r.nats[0].args {
		if arg == "-sd" {
			r.nats[0].args[i+1] = filepath.Join(r.dir, "emptied")
		}
	}
	r.nats[0].revive(t)
	within(t, 2*time.Minute, "it is ready on an emptied NATS", is(http.StatusOK))
	if err := os.Remove(filepath.Join(dir, "store.db")); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "it misses the file of its store", is(http.StatusServiceUnavailable))
	if sink.own > 0 {
		t.Error("it ended by itself")
	}
}

// TestTwoProducersOnASmallServer starts two producers on a server whose memory
// holds no more than 256 MB: both work.
func TestTwoProducersOnASmallServer(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1, producers: 2, memory: "256MB"})
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, m := range r.roles {
		if m.own > 0 {
			t.Errorf("%s ended %d times by itself:\n%s", m.name, m.own, tail(m.log, 1000))
		}
	}
	r.healthy()
}
