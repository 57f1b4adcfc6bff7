//go:build chaos

package chaos

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// killing is what a run of kills came to.
type killing struct {
	kills   map[string]int
	scans   []record.Scan
	during  flow // what flowed while members were killed
	all     flow
	lasted  time.Duration
	scanned time.Duration
}

// killDuringScan kills random members at random moments of a scan until there
// were kills of them, then waits for the scan's end. Where the scan ends
// earlier another one is asked for: every kill hits a running scan.
func (r *rig) killDuringScan(kills int, pause time.Duration) (killing, error) {
	k := killing{kills: map[string]int{}}
	began, before := time.Now(), r.flow()
	id := r.request()
	var ended atomic.Bool
	watch := func(id string) {
		ended.Store(false)
		go func() {
			s, ok := r.await(id, 5*time.Minute)
			if ok {
				k.scans = append(k.scans, s)
			}
			ended.Store(true)
		}()
	}
	victims := append(append([]*member{}, r.roles...), r.nats...)
	watch(id)
	for range kills {
		time.Sleep(time.Duration(r.rng.Int64N(int64(2 * pause))))
		if ended.Load() {
			id = r.request()
			watch(id)
		}
		m := victims[r.rng.IntN(len(victims))]
		m.kill()
		k.kills[m.name]++
	}
	k.lasted = time.Since(began)
	k.during = r.flow()
	k.during.results -= before.results
	k.during.pages -= before.pages
	if !happens(5*time.Minute, ended.Load) {
		return k, fmt.Errorf("scan %s did not end within five minutes of the last kill: %+v", id, r.state(id))
	}
	k.scanned = time.Since(began)
	k.all = r.flow()
	k.all.results -= before.results
	k.all.pages -= before.pages
	return k, nil
}

// TestKills is the heart of the harness: random members of the pipeline are
// killed at random moments of a scan, and afterwards the store is what a
// fault-free run's is, every verdict change was announced once, and nothing
// was taken for gone.
func TestKills(t *testing.T) {
	first := seed(t)
	for i := range *seedsFlag {
		s := first + uint64(i)
		t.Run(fmt.Sprint(s), func(t *testing.T) {
			r := newRig(t, s, setup{instances: *instancesFlag, latency: killLatency(), lanes: 1, producers: 1, workers: 3})
			kills(t, r, *killsFlag)
		})
	}
}

// killLatency makes the scan last about as long as the kills take.
func killLatency() time.Duration {
	calls := *instancesFlag / ecs.MaxPage
	kills := time.Duration(*killsFlag) * killPause
	return min(max(kills*2/time.Duration(calls), 20*time.Millisecond), 60*time.Millisecond)
}

const killPause = 700 * time.Millisecond

func kills(t *testing.T, r *rig, n int) {
	t.Helper()
	began := time.Now()
	step := func(what string) { t.Logf("%6.1f s: %s", time.Since(began).Seconds(), what) }
	before := r.faultless()
	r.truth(before)
	step("fault-free scan")
	r.start()
	if _, err := r.complete(r.request(), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	step("first scan")
	r.change(before, 200)
	after := r.faultless()
	r.truth(after)
	want := moved(before, after)
	step("fault-free scan after the changes")

	r.slow()
	k, err := r.killDuringScan(n, killPause)
	if err != nil {
		t.Error(err)
	}
	scans := k.scans
	if len(scans) == 0 || scans[len(scans)-1].State != record.ScanComplete {
		more, err := r.complete(r.request(), 3*time.Minute)
		if err != nil {
			t.Error(err)
		}
		scans = append(scans, more...)
	}
	gone := 0
	var states []record.ScanState
	for _, s := range scans {
		gone += s.Gone
		states = append(states, s.State)
	}
	own := 0
	for _, m := range r.roles {
		own += m.own
	}
	t.Logf("%d kills %v in %s while %d pages and %d results flowed; scans %v after %s; %d results in all, %d page deliveries beyond the first, %d restarts because NATS was down",
		n, k.kills, k.lasted.Round(time.Second), k.during.pages, k.during.results, states, k.scanned.Round(time.Second), k.all.results, k.all.redelivered, own)
	if gone > 0 {
		t.Errorf("%d instances were taken for gone", gone)
	}
	if least := uint64(r.o.instances / event.MaxInstances / 4); k.during.results < least {
		t.Errorf("only %d results flowed during the kills, less than %d: the run proves nothing", k.during.results, least)
	}
	step("scan under kills")
	r.events(want)
	r.healthy()
	step("events")
	if got := r.reported(0); !r.equal("after the kills", after, got) {
		t.Error("the store is not what a fault-free run's is")
	}
}
