//go:build soak

package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
)

// question is what is asked of a service under load and of its store at rest.
// What a command prints is compared without what differs from scan to scan.
type question struct {
	name string
	args []string // of shenscan; --store is added, unless it asks the cloud by itself
	asks bool     // the cloud
	get  string   // path of the API, asked of the service that runs and of one that only holds the store
}

// passing is what two scans of one fleet differ in: times, ids of scans, sizes.
var passing = regexp.MustCompile(`"(observed_at|scan_id|last_scan|last_end|last_complete|as_of|at|started_at|ended_at|made_at|since|from|generated_at|since_scan|duration_seconds|pages|seconds)":\s*("[^"]*"|[0-9.]+)|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}Z?|[sr]-[0-9]{8}T[0-9]{6}-[0-9a-z]+|[0-9]+ (second|minute)s? old|complete after [0-9.]+ s`)

func lasting(b []byte) string { return passing.ReplaceAllString(string(b), "~") }

var answersFlag = flag.Int("answers", 1500, "size of the fleet of TestAnswersUnderLoad")

// TestAnswersUnderLoad asks `serve` everything that it can be asked while scans
// and rescans go on, and asks its store the same when it is at rest: the answers
// are equal. Before that one instance changes again and again, for the events,
// and the service is reloaded.
func TestAnswersUnderLoad(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: *answersFlag})
	listen := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	page := "http://" + listen
	config, rules, none := filepath.Join(r.dir, "serve.yaml"), filepath.Join(r.dir, "rules.yaml"), filepath.Join(r.dir, "none.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, "version: 1\n")
	write(none, "version: 1\n")
	write(config, "rules: ["+rules+"]\nschedules: [{name: load, cron: \"*/3 * * * * *\"}]\n")
	dir := filepath.Join(r.dir, "store")
	serve := newMember(t, r.dir, "serve", bins.shenscan, r.env, "serve", "--config", config, "--nats-url", r.natsURL, "--endpoint", r.sim,
		"--start-rate", "2000", "--store", dir, "--sink-name", "load", "--listen", listen, "--log-level", "warn")
	r.roles = append(r.roles, serve)
	within(t, time.Minute, "it is ready", func() bool { return status(page+"/readyz") == http.StatusOK })
	completed := func() int {
		var got struct{ Scans []record.Scan }
		body, _ := fetch(page + "/api/v1/scans?limit=500")
		_ = json.Unmarshal(body, &got) // nothing then
		n := 0
		for _, s := range got.Scans {
			if s.Kind == "scan" && s.State == record.ScanComplete {
				n++
			}
		}
		return n
	}
	within(t, 2*time.Minute, "a scan was complete", func() bool { return completed() > 0 })
	victim := one(t, page, "verdict=shenlong-8=compatible")
	var id atomic.Value // of the instance that is rescanned
	id.Store(victim.InstanceID)
	load := make(chan struct{})
	var loading sync.WaitGroup
	rescans := 0
	loading.Go(func() {
		for {
			select {
			case <-load:
				return
			case <-time.After(200 * time.Millisecond):
			}
			var reply record.RescanReply
			if r.call(0, event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{id.Load().(string)}, Reason: "load"}, &reply) == nil {
				rescans++
			}
		}
	})
	eventsUnderLoad(t, r, page, victim)
	// A waiver by a reload (18.10, 18.3): everything below is asked of it.
	reloadsUnderLoad(t, page, serve, write, config, rules,
		"version: 1\nwaivers:\n  - {id: load, scope: {regions: [cn-hangzhou, cn-beijing, cn-shanghai]}, as: compatible, until: \"2999-12-31\", reason: a test}\n")
	// A report tells what changed since the scan before: the reload is to be behind
	// that.
	already := completed()
	within(t, 2*time.Minute, "three more scans were complete", func() bool { return completed() >= already+3 })

	asked := one(t, page, "verdict=shenlong-8=incompatible")
	id.Store(asked.InstanceID)
	questions := []question{
		{name: "1 judged once: rows by the rule set in use", args: []string{"report", "--output", "jsonl", "--rules", rules}},
		{name: "2 one answer: CSV", args: []string{"report", "--output", "csv", "--rules", rules}},
		{name: "2 one answer: another target", args: []string{"report", "--output", "jsonl", "--rules", rules, "--target", "ecs.g8i"}},
		{name: "2 one answer: the API's CSV", get: "/api/v1/instances.csv"},
		{name: "3 the day counts: waivers", args: []string{"report", "--output", "markdown", "--rules", rules}},
		{name: "4 preview of another rule set", args: []string{"rules", "preview", none}},
		{name: "6 explain", args: []string{"rules", "explain", asked.InstanceID, "--rules", rules}},
		{name: "6 plan", args: []string{"plan", "--output", "json", "--target", "shenlong-8", "--rules", rules}},
		{name: "6 what changed", args: []string{"report", "--output", "jsonl", "--since", "1h", "--rules", rules}},
		{name: "7 what changed, of the API", get: "/api/v1/changes?since=1h"},
		{name: "7 the last point of the trend", get: "/api/v1/trend?limit=1"},
		{name: "7 the description of the API", get: "/api/v1/openapi.json"},
		{name: "7 the totals of the API", get: "/api/v1/summary"},
		{name: "8 totals under the filter", get: "/api/v1/summary?os=centos&verdict=shenlong-8=incompatible"},
		{name: "12 one move, go or no go", args: []string{"check", asked.InstanceID, "--target", "ecs.g8i", "--endpoint", r.sim, "--output", "json", "--rules", rules}, asks: true},
		{name: "7 the API's plan", get: "/api/v1/plan?target=shenlong-8"},
		{name: "7 the API's explanation", get: "/api/v1/explain/" + asked.InstanceID},
		{name: "7 an instance", get: "/api/v1/instances?limit=500&region=" + asked.Region},
		{name: "8 one filter", args: []string{"report", "--output", "jsonl", "--rules", rules, "--os", "centos", "--verdict", "shenlong-8=incompatible"}},
		{name: "8 one filter of the API", get: "/api/v1/instances?os=centos&verdict=shenlong-8=incompatible&limit=500"},
		{name: "9 a gate", args: []string{"report", "--output", "csv", "--fail-on", "incompatible", "--target", "shenlong-8", "--rules", rules}},
		{name: "11 compact", args: []string{"report", "--output", "jsonl", "--compact", "--rules", rules}},
	}
	type answered struct {
		text string
		code int
	}
	ask := func(q *question) answered {
		t.Helper()
		if q.get != "" {
			body, err := fetch(page + q.get)
			if err != nil {
				t.Errorf("%s: %v", q.name, err)
			}
			return answered{lasting(body), 0}
		}
		args := q.args
		if !q.asks {
			args = append(args, "--store", dir)
		}
		cmd := exec.Command(bins.shenscan, args...)
		cmd.Env, cmd.Dir = r.env, r.dir
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		return answered{lasting(out), cmd.ProcessState.ExitCode()}
	}
	busy := make([]answered, len(questions))
	for i := range questions {
		busy[i] = ask(&questions[i])
	}
	// What would be another judgement is seen: rows without the waiver are others.
	if other := ask(&question{name: "control", args: []string{"report", "--output", "jsonl"}}); other.text == busy[0].text {
		t.Error("rows by other rules compare as equal: the run proves nothing")
	}
	for what, c := range map[string]struct {
		method, path, said string
		status             int
	}{
		"7 an unknown parameter": {http.MethodGet, "/api/v1/instances?regoin=cn-beijing", "region", http.StatusBadRequest},
		"8 an unknown region":    {http.MethodGet, "/api/v1/instances?region=cn-bejing", "cn-beijing", http.StatusBadRequest},
		"7 another method":       {http.MethodDelete, "/api/v1/summary", "", http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequest(c.method, page+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(said), c.said) {
			t.Errorf("%s: %d %s %v", what, resp.StatusCode, said, err)
		}
	}
	for what, args := range map[string][]string{"6 store check": {"store", "check"}, "6 store backup": {"store", "backup", filepath.Join(r.dir, "copy.db")}} {
		if out, err := r.shenscan(append(args, "--store", dir)...); err != nil {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	if out, err := r.shenscan("store", "check", filepath.Join(r.dir, "copy.db")); err != nil {
		t.Errorf("the copy: %v %s", err, out)
	}
	close(load)
	loading.Wait()
	// At rest: the process is stopped, and another one holds the store that is told
	// of no scan.
	if err := serve.terminate(); err != nil {
		t.Error(err)
	}
	compare := func(get bool) {
		for i := range questions {
			q := &questions[i]
			if (q.get != "") != get {
				continue
			}
			rest := ask(q)
			if rest != busy[i] {
				t.Errorf("%s: exit %d under load, %d at rest; %s", q.name, busy[i].code, rest.code, firstDifference(busy[i].text, rest.text))
			} else if len(rest.text) < 50 {
				t.Errorf("%s: the answer is %q", q.name, rest.text)
			}
		}
	}
	compare(false)
	write(config, "rules: ["+rules+"]\nschedules: []\n")
	serve.revive(t)
	within(t, time.Minute, "it is ready again", func() bool { return status(page+"/readyz") == http.StatusOK })
	compare(true)
	t.Logf("%d questions, %d rescans meanwhile", len(questions), rescans)
	if rescans == 0 {
		t.Error("there was no load")
	}
	r.healthy()
}

// one is an instance that the filter lets through.
func one(t *testing.T, page, query string) *record.Record {
	t.Helper()
	body, err := fetch(page + "/api/v1/instances?limit=1&" + query)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Instances []record.Record }
	if err := json.Unmarshal(body, &list); err != nil || len(list.Instances) == 0 {
		t.Fatalf("no instance is %s: %v %.300s", query, err, body)
	}
	return &list.Instances[0]
}

// firstDifference shows where two texts part.
func firstDifference(a, b string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-150)
	return fmt.Sprintf("under load %q, at rest %q (%d and %d bytes)", a[from:min(len(a), i+150)], b[from:min(len(b), i+150)], len(a), len(b))
}

func fetch(url string) ([]byte, error) {
	c := http.Client{Timeout: time.Minute}
	resp, err := c.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %.300s", url, resp.StatusCode, body)
	}
	return body, err
}
