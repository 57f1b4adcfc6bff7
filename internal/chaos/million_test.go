//go:build scale

package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// TestRescansDuringAScanOfAMillion asks for one instance after another while a
// scan of a million runs, and for each waits until its new verdict can be read.
func TestRescansDuringAScanOfAMillion(t *testing.T) {
	const instances, rescans = 1_000_000, 150
	r := newRig(t, seed(t), setup{instances: instances, latency: 100 * time.Millisecond, lanes: 16, producers: 1, workers: 2})
	r.start()
	if _, err := r.complete(r.request(), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	ids := r.someInstances(rescans, instances)
	r.slow()
	id := r.request()
	within(t, time.Minute, "the scan is under way", func() bool { return r.state(id).Instances > 10_000 })
	began, stored := time.Now(), r.state(id).Instances
	var took []time.Duration
	for _, one := range ids {
		asked := time.Now()
		var reply record.RescanReply
		if err := r.call(10*time.Second, event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{one}}, &reply); err != nil {
			t.Fatal(err)
		}
		if s, ok := r.awaitFast(reply.ScanID, 30*time.Second); !ok || s.State != record.ScanComplete || s.Instances != 1 {
			t.Errorf("rescan of %s: %+v", one, s)
		}
		var found struct {
			Instances []record.Record `json:"instances"`
		}
		if err := r.call(5*time.Second, event.SubjectQueryInstance, map[string]string{"instance_id": one}, &found); err != nil {
			t.Fatal(err)
		}
		if len(found.Instances) != 1 || len(found.Instances[0].Verdicts) == 0 || found.Instances[0].ObservedAt.Before(asked.Add(-time.Second)) {
			t.Errorf("the verdict of %s after its rescan: %+v", one, found)
		}
		took = append(took, time.Since(asked))
	}
	state := r.state(id)
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1)+0.5)].Round(time.Millisecond) }
	t.Logf("%d rescans in %.0f s while %d instances of a scan of %d were read: median %s, 90th %s, 99th %s, slowest %s",
		len(took), time.Since(began).Seconds(), state.Instances-stored, instances, at(0.5), at(0.9), at(0.99), at(1))
	if state.State != record.ScanRunning {
		t.Error("the scan ended before the rescans did: the last of them prove nothing")
	}
	if at(0.5) >= 2*time.Second || at(0.99) >= 5*time.Second {
		t.Error("rescans take 2 s at the median or 5 s at the 99th percentile")
	}
	if scans, err := r.complete(id, 15*time.Minute); err != nil || len(scans) != 1 || scans[0].Instances != instances {
		t.Errorf("the scan around the rescans: %v %.500v", err, fmt.Sprint(scans))
	}
	r.healthy()
}

// someInstances takes n ids from all over the fleet.
func (r *rig) someInstances(n, fleet int) []string {
	r.t.Helper()
	resp, err := http.Get(r.sim + "/_sim/truth")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	wanted := r.rng.Perm(fleet)[:n]
	slices.Sort(wanted)
	var ids []string
	dec := json.NewDecoder(resp.Body)
	for i := 0; len(ids) < n; i++ {
		var tr struct {
			InstanceID string `json:"instance_id"`
		}
		if err := dec.Decode(&tr); err != nil {
			r.t.Fatal(err)
		}
		if i == wanted[len(ids)] {
			ids = append(ids, strings.Clone(tr.InstanceID))
		}
	}
	r.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}
