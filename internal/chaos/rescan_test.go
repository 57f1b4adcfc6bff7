//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// TestRescansDuringAScan asks for single instances while a large scan runs,
// and then for ten thousand at once of which a fifth is garbage.
func TestRescansDuringAScan(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 100_000, latency: 100 * time.Millisecond, lanes: 2, workers: 2})
	before := r.faultless()
	r.start()
	if _, err := r.complete(r.request(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	r.slow()
	id := r.request()
	within(t, time.Minute, "the scan is under way", func() bool { return r.state(id).Pages > 5 })
	var ids []string
	for key := range before {
		ids = append(ids, key[strings.LastIndexByte(key, '/')+1:])
	}
	slices.Sort(ids)
	r.rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })

	var took []time.Duration
	for _, one := range ids[:60] {
		began := time.Now()
		var reply record.RescanReply
		if err := r.call(5*time.Second, event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{one}}, &reply); err != nil {
			t.Fatal(err)
		}
		if s, ok := r.awaitFast(reply.ScanID, 20*time.Second); !ok || s.State != record.ScanComplete || s.Instances != 1 {
			t.Errorf("rescan of %s: %+v", one, s)
		}
		took = append(took, time.Since(began))
	}
	running := r.state(id).State
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)-1]
	t.Logf("%d rescans during a %s scan of %d: median %s, slowest %s", len(took), running, r.o.instances, p50.Round(time.Millisecond), p99.Round(time.Millisecond))
	if running != record.ScanRunning {
		t.Error("the scan ended before the rescans did: nothing was measured")
	}
	if p50 > 2*time.Second || p99 > 5*time.Second {
		t.Error("rescans are slower than 2 s at the median or 5 s at the worst")
	}
	r.flood(ids)
	if scans, err := r.complete(id, 4*time.Minute); err != nil || len(scans) != 1 {
		t.Errorf("the scan under the flood: %+v %v", scans, err)
	}
	r.healthy()
	if !r.equal("after the flood", before, r.reported(0)) {
		t.Error("the store is not what it was")
	}
}

// garbage are requests that must be refused by name.
var garbage = []string{`{"instance_ids":["../../etc/passwd"]}`, `{"instance_ids":[]}`, `{"instance":"i-abc"}`, "\x00\xff\xfe", `{"instance_ids":["i-` + strings.Repeat("x", 300) + `"]}`}

// flood sends ten thousand rescan requests at once.
func (r *rig) flood(ids []string) {
	r.t.Helper()
	const all = 10_000
	var mu sync.Mutex
	answered, refused, unanswered, wrong := 0, 0, 0, 0
	scans := map[string]bool{}
	var group sync.WaitGroup
	slots := make(chan struct{}, 2_000)
	began := time.Now()
	for n := range all {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			bad := n%5 == 0
			body := []byte(fmt.Sprintf(`{"instance_ids":[%q]}`, ids[n%500]))
			if bad {
				body = []byte(garbage[n/5%len(garbage)])
			}
			msg, err := r.nc.Request(event.SubjectRescan, body, 30*time.Second)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				unanswered++
				return
			}
			var reply record.RescanReply
			code := msg.Header.Get("Nats-Service-Error-Code")
			_ = json.Unmarshal(msg.Data, &reply)
			switch {
			case bad && (code == "400" || len(reply.Rejected) == 1 && reply.Accepted == 0):
				refused++
			case !bad && code == "" && reply.Accepted == 1 && reply.ScanID != "":
				answered++
				scans[reply.ScanID] = true
			default:
				wrong++
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	ended := 0
	for id := range scans {
		if s, ok := r.await(id, time.Minute); ok && s.State == record.ScanComplete {
			ended++
		}
	}
	r.t.Logf("%d requests in %s: %d answered, %d refused by name, %d not answered, %d answered wrongly; merged into %d rescans, %d complete %s after the first request",
		all, took.Round(time.Millisecond), answered, refused, unanswered, wrong, len(scans), ended, time.Since(began).Round(time.Second))
	if answered != all*4/5 || refused != all/5 || ended != len(scans) || len(scans) >= answered {
		r.t.Error("not every valid request was answered and merged, or not every bad one refused")
	}
}
