//go:build soak

package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
)

var soakFlag = flag.Duration("soak", 30*time.Minute, "how long TestSoak runs")

// sample is what a process takes of its machine at one moment.
type sample struct {
	at         time.Duration
	rss, anon  float64 // MiB, of which anon is not the mapped store
	files      int
	goroutines int
	scans      int
}

// TestSoak keeps `serve` busy on a NATS of its own: a scan every minute, one
// instance of a hundred changed before each, rescans, scrapes and questions all
// the time; after a third NATS is restarted, after two thirds it comes back
// empty. What the process takes stays flat, nothing is doubled, and the store
// ends as the cloud is.
func TestSoak(t *testing.T) {
	whole := *soakFlag
	every := min(max(whole/30, 5*time.Second), time.Minute).Round(time.Second)
	const instances = 20_000
	r := newRig(t, seed(t), setup{instances: instances})
	listen := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	config := filepath.Join(r.dir, "soak.yaml")
	cron := fmt.Sprintf("*/%d * * * * *", int(every.Seconds()))
	if every >= time.Minute {
		cron = "0 * * * * *"
	}
	if err := os.WriteFile(config, []byte(fmt.Sprintf("schedules: [{name: soak, cron: %q}]\n", cron)), 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(r.dir, "store")
	serve := newMember(t, r.dir, "serve", bins.shenscan, r.env, "serve", "--config", config, "--nats-url", r.natsURL, "--endpoint", r.sim,
		"--start-rate", "2000", "--store", store, "--sink-name", "soak", "--listen", listen, "--log-level", "warn", "--scan-idle", "2m")
	r.roles = append(r.roles, serve)
	page := "http://" + listen
	within(t, time.Minute, "it is ready", func() bool { return status(page+"/readyz") == http.StatusOK })

	var samples []sample
	var scrapes, rescans, churned int
	restarted, emptied := false, false
	begun := time.Now()
	next := map[string]time.Time{}
	due := func(what string, every time.Duration) bool {
		if time.Now().Before(next[what]) {
			return false
		}
		next[what] = time.Now().Add(every)
		return true
	}
	for time.Since(begun) < whole {
		at := time.Since(begun)
		if due("churn", every) {
			churned += r.churn(instances / 100)
		}
		if due("rescan", every/10) && r.rescanSome() {
			rescans++
		}
		if due("scrape", every/12) {
			if status(page+"/metrics") == http.StatusOK && status(page+"/api/v1/summary") == http.StatusOK && status(page+"/") == http.StatusOK {
				scrapes++
			}
		}
		switch {
		case at > whole/3 && !restarted:
			restarted = true
			t.Logf("%s: NATS is restarted", at.Round(time.Second))
			r.nats[0].kill()
		case at > 2*whole/3 && !emptied:
			emptied = true
			t.Logf("%s: NATS comes back empty", at.Round(time.Second))
			for i, arg := range r.nats[0].args {
				if arg == "-sd" {
					r.nats[0].args[i+1] = filepath.Join(r.dir, "emptied")
				}
			}
			r.nats[0].kill()
		}
		if due("sample", max(whole/120, time.Second)) {
			if s, ok := measure(serve, page, at); ok {
				samples = append(samples, s)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.table(samples, whole)
	t.Logf("%d instances changed, %d rescans, %d rounds of scrapes, %d starts of the process", churned, rescans, scrapes, serve.starts)
	flat(t, samples)
	if serve.own > 0 || serve.starts != 1 {
		t.Errorf("the process ended %d times by itself", serve.own)
	}
	r.healthy()
	r.singular()
	// The last word: a whole scan of what is there now.
	id := r.request()
	scans, err := r.complete(id, 3*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the last scan: %s, %d instances", scans[len(scans)-1].State, scans[len(scans)-1].Instances)
	if err := serve.terminate(); err != nil {
		t.Error(err)
	}
	out, err := r.shenscan("report", "--store", store, "--output", "jsonl")
	if err != nil {
		t.Fatal(err)
	}
	r.truth(r.records(out))
	if out, err := r.shenscan("store", "check", "--store", store); err != nil {
		t.Errorf("store check: %v\n%s", err, out)
	}
}

// status is how a page answers, 0 where it does not.
func status(url string) int {
	c := http.Client{Timeout: 10 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// churn has something happen to n instances: a fifth each is born, gone,
// stopped, reimaged and of another type. It returns to how many.
func (r *rig) churn(n int) int {
	r.t.Helper()
	resp, err := http.Post(r.sim+"/_sim/churn", "application/json", strings.NewReader(fmt.Sprintf(`{"born":%[1]d,"gone":%[1]d,"stopped":%[1]d,"reimaged":%[1]d,"retyped":%[1]d}`, n/5)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var report map[string][]string
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("churn: %d %v", resp.StatusCode, err)
	}
	done := 0
	for what, ids := range report {
		done += len(ids)
		if what == "reimaged" {
			r.recent = ids
		}
	}
	return done
}

// rescanSome asks for a few instances that changed; while NATS is away nobody
// answers.
func (r *rig) rescanSome() bool {
	if len(r.recent) == 0 {
		return false
	}
	var ids []string
	for range 5 {
		ids = append(ids, r.recent[r.rng.IntN(len(r.recent))])
	}
	slices.Sort(ids)
	var reply record.RescanReply
	return r.call(0, event.SubjectRescan, record.RescanRequest{InstanceIDs: slices.Compact(ids), Reason: "soak"}, &reply) == nil
}

// measure reads what the process takes.
func measure(m *member, page string, at time.Duration) (s sample, ok bool) {
	m.mu.Lock()
	pid := m.cmd.Process.Pid
	m.mu.Unlock()
	proc := fmt.Sprintf("/proc/%d/", pid)
	text, err := os.ReadFile(proc + "status")
	if err != nil {
		return s, false
	}
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		return s, false
	}
	c := http.Client{Timeout: 10 * time.Second}
	resp, err := c.Get(page + "/metrics")
	if err != nil {
		return s, false
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, false
	}
	s = sample{at: at, rss: field(string(text), "VmRSS:") / 1024, anon: field(string(text), "RssAnon:") / 1024, files: len(files), goroutines: int(field(string(metrics), "go_goroutines "))}
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "shenscan_schedule_ticks_total{") && strings.Contains(line, `"started"`) {
			s.scans, _ = strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]))
		}
	}
	return s, true
}

func field(text, name string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			v, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return v
		}
	}
	return 0
}

// table prints ten moments of the run.
func (r *rig) table(samples []sample, whole time.Duration) {
	r.t.Helper()
	var b strings.Builder
	b.WriteString("\n| after | RSS MiB | of it anonymous | descriptors | goroutines | scans started |\n| --- | --- | --- | --- | --- | --- |\n")
	for i := range 10 {
		from, to := whole*time.Duration(i)/10, whole*time.Duration(i+1)/10
		part := between(samples, from, to)
		if len(part) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.0f | %.0f | %d |\n", to.Round(time.Second), middle(part, func(s sample) float64 { return s.rss }),
			middle(part, func(s sample) float64 { return s.anon }), middle(part, func(s sample) float64 { return float64(s.files) }),
			middle(part, func(s sample) float64 { return float64(s.goroutines) }), part[len(part)-1].scans)
	}
	r.t.Log(b.String())
}

func between(samples []sample, from, to time.Duration) (out []sample) {
	for _, s := range samples {
		if s.at >= from && s.at < to {
			out = append(out, s)
		}
	}
	return out
}

// middle is the median of what the samples say.
func middle(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i := range samples {
		values[i] = of(samples[i])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// flat fails the test where the last fifth of the run took more than the second:
// the first is that of a process that fills its caches.
func flat(t *testing.T, samples []sample) {
	t.Helper()
	if len(samples) < 10 {
		t.Fatalf("%d samples", len(samples))
	}
	n := len(samples)
	early, late := samples[n/5:2*n/5], samples[4*n/5:]
	for _, x := range []struct {
		what           string
		of             func(sample) float64
		factor, beyond float64
	}{
		{"anonymous memory (MiB)", func(s sample) float64 { return s.anon }, 1.25, 24},
		{"descriptors", func(s sample) float64 { return float64(s.files) }, 1, 12},
		{"goroutines", func(s sample) float64 { return float64(s.goroutines) }, 1, 24},
	} {
		was, is := middle(early, x.of), middle(late, x.of)
		t.Logf("%s: %.0f, then %.0f", x.what, was, is)
		if is > was*x.factor+x.beyond {
			t.Errorf("%s grew from %.0f to %.0f", x.what, was, is)
		}
	}
}

// singular looks through the verdict events that NATS still has: no id comes
// twice, and of each instance every event goes on from the one before.
func (r *rig) singular() {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), bus.StreamEvents)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := s.Info(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	cons, err := s.OrderedConsumer(r.t.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{event.SubjectVerdictEvents + ".>"}})
	if err != nil {
		r.t.Fatal(err)
	}
	ids, last := map[string]bool{}, map[string]string{}
	doubled, broken, n := 0, 0, 0
	for {
		batch, err := cons.Fetch(500, jetstream.FetchMaxWait(3*time.Second))
		if err != nil {
			r.t.Fatal(err)
		}
		got := 0
		for msg := range batch.Messages() {
			got++
			var e struct {
				ID   string               `json:"id"`
				Data event.VerdictChanged `json:"data"`
			}
			if err := json.Unmarshal(msg.Data(), &e); err != nil || e.Data.After == nil {
				r.t.Fatalf("an event cannot be read: %v", err)
			}
			n++
			if ids[e.ID] {
				doubled++
			}
			ids[e.ID] = true
			key := e.Data.After.Account + "/" + e.Data.After.Region + "/" + e.Data.After.InstanceID
			if was, ok := last[key]; ok && e.Data.Before != nil && was != levels(e.Data.Before) {
				broken++
			}
			last[key] = levels(e.Data.After)
		}
		if got == 0 {
			break
		}
	}
	r.t.Logf("%d verdict events of %d instances (the stream holds %d messages): %d doubled, %d that do not go on from the one before", n, len(last), info.State.Msgs, doubled, broken)
	if n == 0 || doubled+broken > 0 {
		r.t.Error("the verdict events are not one for each change")
	}
}
