//go:build soak

package chaos

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	of   string   // folder of another store than the service's
}

type answered struct {
	text string
	code int
}

// passing is what two scans of one fleet differ in: times, ids of scans, sizes.
var passing = regexp.MustCompile(`"(observed_at|scan_id|last_scan|last_end|last_complete|as_of|at|started_at|ended_at|made_at|since|from|generated_at|since_scan|duration_seconds|pages|seconds)":\s*("[^"]*"|[0-9.]+)|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}Z?|[sr]-[0-9]{8}T[0-9]{6}-[0-9a-z]+|[0-9]+ (second|minute)s? old|at [0-9:]{8} UTC|[0-9.]+ (s|min|h) before|complete after [0-9.]+ s|in [0-9]+ pages`)

// sinceBegin is what a process counts since it began: pages that it had to judge
// anew.
var sinceBegin = regexp.MustCompile(`"judged_anew":\[.*?\}\],`)

func lasting(b []byte) string {
	return passing.ReplaceAllString(sinceBegin.ReplaceAllString(string(b), ""), "~")
}

var answersFlag = flag.Int("answers", 1500, "size of the fleet of TestAnswersUnderLoad")

// wrongDay gives that clock to whoever judges by the day, commands too.
var wrongDay = patch{"sink/store/db.go", "j.today = o.Today()", `text, _ := os.ReadFile(os.Getenv("CLOCK"))
		wrong, _ := time.ParseDuration(string(text))
		j.today = time.Now().Add(wrong).UTC().Format(time.DateOnly)`}

// TestAnswersUnderLoad asks `serve` everything that it can be asked while scans
// and rescans go on, and asks its store the same when it is at rest: the answers
// are equal. Before that one instance changes again and again, for the events,
// the service is reloaded, and a day ends. What processes think the day is
// hangs on a file, so that midnight comes when the test has it come.
func TestAnswersUnderLoad(t *testing.T) {
	bin := mutate(t, wrongClock, wrongDay)
	r := newRig(t, seed(t), setup{instances: *answersFlag})
	r.env = append(r.env, "CLOCK="+r.clockFile(0))
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)
	today := time.Until(noon) // to be ahead of the machine's clock
	r.setClock(0, today)
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
	serve := newMember(t, r.dir, "serve", bin, r.env, "serve", "--config", config, "--nats-url", r.natsURL, "--endpoint", r.sim,
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
	complete := func(more int) {
		t.Helper()
		already := completed()
		within(t, 2*time.Minute, "more scans were complete", func() bool { return completed() >= already+more })
	}
	complete(1)
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
		"version: 1\nwaivers:\n  - {id: load, scope: {regions: [cn-hangzhou, cn-beijing, cn-shanghai]}, as: compatible, until: \"2999-12-31\", reason: a test}\n"+
			"  - {id: tonight, scope: {regions: ["+tonight+"]}, as: compatible, until: \""+noon.Format(time.DateOnly)+"\", reason: a test}\n")
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
			args = append(slices.Clone(args), "--store", cmp.Or(q.of, dir))
		}
		cmd := exec.Command(bin, args...)
		cmd.Env, cmd.Dir = r.env, r.dir
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		// Commands that are proposed name the store that was asked.
		return answered{strings.ReplaceAll(lasting(out), cmp.Or(q.of, dir), "STORE"), cmd.ProcessState.ExitCode()}
	}
	lastDay := []question{
		{name: "3 the last day of a waiver: CSV", args: []string{"report", "--output", "csv", "--rules", rules, "--region", tonight}},
		{name: "3 the last day of a waiver: compact rows", args: []string{"report", "--output", "jsonl", "--compact", "--rules", rules, "--region", tonight}},
		{name: "3 the last day of a waiver: a gate", args: []string{"report", "--output", "csv", "--fail-on", "incompatible", "--target", "shenlong-8", "--rules", rules, "--region", tonight}},
	}
	complete(2) // one before failed everywhere
	beforeMidnight := midnightUnderLoad(t, r, page, today, func() (out []answered) {
		for i := range lastDay {
			out = append(out, ask(&lastDay[i]))
		}
		return out
	})
	// A report tells what changed since the scan before: the reload is to be behind
	// that.
	complete(3)

	asked := one(t, page, "verdict=shenlong-8=incompatible")
	id.Store(asked.InstanceID)
	waived, unhidden := one(t, page, "region=cn-hangzhou"), one(t, page, "region="+tonight+"&verdict=shenlong-8=incompatible")
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
		{name: "6 plan as CSV", args: []string{"plan", "--output", "csv", "--target", "shenlong-8", "--rules", rules}},
		{name: "6 plan as a table, for one region", args: []string{"plan", "--target", "shenlong-7", "--region", asked.Region, "--rules", rules}},
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
		{name: "9 a gate that passes", args: []string{"report", "--output", "csv", "--fail-on", "incompatible", "--target", "shenlong-8", "--rules", rules, "--region", "cn-hangzhou"}},
		{name: "3 explain what a waiver that counts hides", args: []string{"rules", "explain", waived.InstanceID, "--rules", rules}},
		{name: "3 explain what a waiver hid", get: "/api/v1/explain/" + unhidden.InstanceID},
		{name: "7 the remedies of the API", get: "/api/v1/remedies?target=shenlong-8"},
		{name: "11 compact, one object", args: []string{"report", "--output", "json", "--compact", "--rules", rules}},
		{name: "11 CSV for Excel", args: []string{"report", "--output", "csv", "--excel", "--rules", rules}},
		{name: "11 CSV for Excel, of the API", get: "/api/v1/instances.csv?excel=true&os=centos&region=" + asked.Region},
		{name: "11 CSV of another target, of the API", get: "/api/v1/instances.csv?target=ecs.g8i"},
		{name: "11 compact", args: []string{"report", "--output", "jsonl", "--compact", "--rules", rules}},
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
	copied := copyDuringScan(t, r, page)
	close(load)
	loading.Wait()
	// At rest: the process is stopped, and another one holds the store that is told
	// of no scan.
	if err := serve.terminate(); err != nil {
		t.Error(err)
	}
	// Copies of under load answer as the store does, by the day that it is now; by
	// the day before it answers as the service did then.
	of := func(q question, dir string) *question { q.of = dir; return &q }
	for i := range questions {
		if q := &questions[i]; q.get == "" && !q.asks {
			if got := ask(of(*q, copied)); got != busy[i] {
				t.Errorf("%s, of a copy: exit %d of the service, %d of the copy; %s", q.name, busy[i].code, got.code, firstDifference(busy[i].text, got.text))
			}
		}
	}
	r.setClock(0, today)
	for i := range lastDay {
		if got := ask(&lastDay[i]); got != beforeMidnight[i] {
			t.Errorf("%s: exit %d under load, %d at rest; %s", lastDay[i].name, beforeMidnight[i].code, got.code, firstDifference(beforeMidnight[i].text, got.text))
		}
	}
	r.setClock(0, today+24*time.Hour)
	for i := range lastDay {
		if got := ask(&lastDay[i]); got == beforeMidnight[i] {
			t.Errorf("%s: it says the same when the waiver has ended: the run proves nothing", lastDay[i].name)
		}
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
	t.Logf("%d questions, %d rescans meanwhile", len(questions)+len(lastDay), rescans)
	if rescans == 0 {
		t.Error("there was no load")
	}
	r.healthy()
}

// tonight is the region of a waiver that ends at midnight.
const tonight = "cn-shenzhen"

// midnightUnderLoad is point 3 while scans and rescans go on: on its last day a
// waiver hides what it is for, and ask asks then; when midnight has come, the
// process that runs hides it no more, and says so in events.
func midnightUnderLoad(t *testing.T, r *rig, page string, today time.Duration, ask func() []answered) []answered {
	t.Helper()
	counts := func() map[string]int {
		var sum record.Summary
		body, err := fetch(page + "/api/v1/summary?region=" + tonight)
		if err == nil {
			err = json.Unmarshal(body, &sum)
		}
		if err != nil {
			t.Fatal(err)
		}
		return sum.Verdicts["shenlong-8"]
	}
	within(t, time.Minute, "the waiver of today hides what is incompatible", func() bool { now := counts(); return now["incompatible"] == 0 && now["compatible"] > 0 })
	hidden := counts()["compatible"]
	answers := ask()
	_, from := r.eventsFrom(1)
	r.setClock(0, today+24*time.Hour)
	within(t, time.Minute, "the waiver has ended in the process that runs", func() bool { return counts()["incompatible"] > 0 })
	left := counts()
	told := 0
	within(t, time.Minute, "its end is told", func() bool {
		told = 0
		events, _ := r.eventsFrom(from)
		for i := range events {
			var change record.VerdictChanged
			if strings.HasPrefix(events[i].on, event.SubjectVerdictEvents+".") && json.Unmarshal(events[i].Data, &change) == nil && change.Cause == "ruleset" && change.After.Region == tonight {
				told++
			}
		}
		return told >= hidden-left["compatible"]
	})
	t.Logf("3 midnight: of %d that were hidden %d are incompatible again, %d events", hidden, left["incompatible"], told)
	return answers
}

// copyDuringScan takes copies of the store over HTTP until one was taken while a
// scan ran, and returns its folder.
func copyDuringScan(t *testing.T, r *rig, page string) string {
	t.Helper()
	running := func() string {
		var got struct{ Scans []record.Scan }
		body, err := fetch(page + "/api/v1/scans?limit=20")
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got.Scans {
			if s.Kind == "scan" && s.State == record.ScanRunning {
				return s.ID
			}
		}
		return ""
	}
	dir := filepath.Join(r.dir, "copied")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tries := 0
	within(t, 2*time.Minute, "a copy is taken while a scan runs", func() bool {
		began := running()
		if began == "" {
			return false
		}
		tries++
		body, err := fetch(page + "/api/v1/snapshot")
		if err != nil {
			t.Fatal(err)
		}
		if running() != began {
			return false
		}
		types, err := fetch(page + "/api/v1/instance-types") // what plans rest on lies beside a store
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "store.db"), body, 0o600), os.WriteFile(filepath.Join(dir, "types.json"), types, 0o600)); err != nil {
			t.Fatal(err)
		}
		return true
	})
	t.Logf("6 copy: try %d", tries)
	return dir
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
