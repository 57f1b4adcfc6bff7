package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsgo "github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// The commands under test, which TestMain puts into PATH.
const shenscan, natsServer = "shenscan", "nats-server"

// simulator starts an ECS simulator in the test's process.
func simulator(t *testing.T, o ecssim.Options) *ecssim.Server {
	t.Helper()
	sim, err := ecssim.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	open := sim
	t.Cleanup(func() {
		if err := open.Close(); err != nil {
			t.Error(err)
		}
		open = nil // the testing package keeps this function to the end of all tests
	})
	return sim
}

// callsOf counts the simulator's calls of some actions.
func callsOf(sim *ecssim.Server, actions ...string) (n int) {
	for _, call := range sim.Stats().Calls {
		if slices.Contains(actions, call.Action) {
			n += call.Calls
		}
	}
	return n
}

// planJSON is the plan that the store gives while the simulator answers.
func planJSON[T any](t *testing.T, sim *ecssim.Server, store string, args ...string) (out T, stderr string) {
	t.Helper()
	r := run(t, env("SHENSCAN_ENDPOINT="+sim.URL), append([]string{"plan", "--store", store, "--output", "json"}, args...)...)
	if r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatal(err)
	}
	return out, r.stderr
}

// env is a clean environment with the simulator's keys. The simulator takes
// calls as fast as they come, so nobody waits for a limiter to get going.
func env(extra ...string) []string {
	return append([]string{
		"SHENSCAN_START_RATE=2000",
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent",
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + ecssim.DemoAccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + ecssim.DemoAccessKeySecret,
	}, extra...)
}

// process is a long-running one; its output is kept for a failing test.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
	err  error
}

func start(t *testing.T, environ []string, bin string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(bin, args...), done: make(chan struct{})}
	p.cmd.Env = environ
	p.cmd.Dir = t.TempDir()
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.mu.Lock()
			fmt.Fprintln(&p.log, lines.Text())
			p.mu.Unlock()
		}
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(bin), strings.Join(args, " "), p.output())
		}
	})
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop ends the process as an operator would and wants exit code 0.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(45 * time.Second):
		p.t.Fatalf("did not stop within 45 s of SIGTERM:\n%s", p.output())
	}
	if p.err != nil {
		p.t.Errorf("after SIGTERM: %v\n%s", p.err, p.output())
	}
}

// nextPort is the last port that freePort gave away. Its ports are below those
// that systems give to connections, so that nothing takes one before its
// process listens; where it begins depends on the process.
var nextPort = func() *atomic.Int64 {
	var p atomic.Int64
	p.Store(11_000 + int64(os.Getpid())*53%18_000)
	return &p
}()

// freePort is a port that nobody listens on and that no other test gets.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		port := int(nextPort.Add(1))
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		} else if port > 32_000 {
			t.Fatal(err)
		}
	}
}

// nats starts a nats-server with JetStream and returns its URL.
func nats(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	start(t, env(), natsServer, "-a", "127.0.0.1", "-p", fmt.Sprint(port), "-js", "-sd", t.TempDir())
	eventually(t, "nats-server listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return fmt.Sprintf("nats://127.0.0.1:%d", port)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}

// records reads JSON Lines; the line that says how complete they are is none.
func records(t *testing.T, jsonl string) []record.Record {
	t.Helper()
	var out []record.Record
	dec := json.NewDecoder(strings.NewReader(jsonl))
	for {
		var r struct {
			record.Record
			Report *json.RawMessage
		}
		err := dec.Decode(&r)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Report == nil {
			out = append(out, r.Record)
		}
	}
}

// same drops what two scans of the same fleet may differ in.
func same(rs []record.Record) []record.Record {
	rs = slices.Clone(rs)
	for i := range rs {
		rs[i].ObservedAt, rs[i].ScanID = time.Time{}, ""
	}
	return rs
}

// difference is cmp.Diff, which is slow to say of thousands of records that they
// are equal.
func difference(before, after []record.Record) string {
	if reflect.DeepEqual(before, after) {
		return ""
	}
	return cmp.Diff(before, after)
}

func TestScanEqualsTheTruth(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 3000, Regions: 16, Seed: 7})
	store := t.TempDir()
	r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl")
	if r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	got := map[string]record.Record{}
	for _, rec := range records(t, r.stdout) {
		key := rec.Account + "/" + rec.Region + "/" + rec.InstanceID
		if _, twice := got[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		got[key] = rec
	}
	n, wrong := 0, 0
	err := sim.EachTruth(func(tr *ecssim.Truth) error {
		n++
		rec, ok := got[tr.Account+"/"+tr.Region+"/"+tr.InstanceID]
		if !ok {
			t.Errorf("%s is missing", tr.InstanceID)
			return nil
		}
		for _, v := range rec.Verdicts {
			if want := tr.Verdicts[slices.Index(ecssim.Targets(), v.Target)]; want != v.Level.String() && wrong < 20 {
				wrong++
				t.Errorf("%s (%s, image %s, %+v): %s on %s by %s, the truth is %s", tr.InstanceID, rec.InstanceType, rec.ImageID, rec.OS, v.Level, v.Target, v.Rule, want)
			}
		}
		if rec.OS.Family != tr.Family || rec.OS.Version != tr.Version || rec.OS.ServicePack != tr.OS.ServicePack {
			if wrong++; wrong < 20 {
				t.Errorf("%s is %s %q, the truth is %s %q", tr.InstanceID, rec.OS.Family, rec.OS.Version, tr.Family, tr.Version)
			}
		}
		return nil
	})
	if err != nil || n != 3000 || len(got) != n {
		t.Errorf("%d instances in the truth, %d reported (%v)", n, len(got), err)
	}
	for _, rec := range got {
		e := run(t, env(), "rules", "explain", rec.InstanceID, "--store", store)
		if e.code != 0 || !strings.Contains(e.stdout, "by "+rec.Verdicts[0].Rule) {
			t.Errorf("explain %s: exit %d, not decided by %s:\n%s", rec.InstanceID, e.code, rec.Verdicts[0].Rule, e.stdout)
		}
		break
	}
}

func TestRolesOnAnExternalServerGiveTheSameReport(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 800, Regions: 15, Seed: 3})
	whole := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--output", "jsonl")
	if whole.code != 0 {
		t.Fatalf("scan: exit %d", whole.code)
	}
	url := nats(t)
	store := t.TempDir()
	common := []string{"--nats-url", url, "--log-level", "info"}
	sinkProc := start(t, env(), shenscan, append([]string{"sink", "--store", store, "--listen", ""}, common...)...)
	worker := start(t, env(), shenscan, append([]string{"worker", "--endpoint", sim.URL}, common...)...)
	producerProc := start(t, env(), shenscan, append([]string{"producer", "--endpoint", sim.URL}, common...)...)
	var done result
	eventually(t, "the producer answers", func() bool {
		done = run(t, env(), "rescan", "--all", "--nats-url", url)
		return done.code == 0
	})
	sinkProc.stop()
	worker.stop()
	producerProc.stop()
	apart := run(t, env(), "report", "--store", store, "--output", "jsonl")
	if diff := difference(same(records(t, whole.stdout)), same(records(t, apart.stdout))); diff != "" {
		t.Errorf("roles apart report something else (-one process +three):\n%.4000s", diff)
	}
}

func TestRescanByMessageChangesTheRecord(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 4, Seed: 5})
	natsPort, httpPort := freePort(t), freePort(t)
	natsURL, page := fmt.Sprintf("nats://127.0.0.1:%d", natsPort), fmt.Sprintf("http://127.0.0.1:%d", httpPort)
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", t.TempDir(),
		"--nats-listen", fmt.Sprintf("127.0.0.1:%d", natsPort), "--listen", fmt.Sprintf("127.0.0.1:%d", httpPort))
	eventually(t, "a scan is complete", func() bool { return run(t, env(), "rescan", "--all", "--nats-url", natsURL).code == 0 })

	// An instance that runs on SHENLONG boots there whatever its image says, so
	// the change is made to one on a KVM family.
	var victim record.Record
	for _, rec := range instances(t, page) {
		if rec.OS.Family == "centos" && rec.Virtualization == "kvm" && rec.Verdicts[1].Level.String() == "compatible" {
			victim = rec
		}
	}
	if victim.InstanceID == "" {
		t.Fatal("no modern CentOS on KVM in the fleet")
	}
	events := make(chan *natsgo.Msg, 10)
	nc, err := natsgo.Connect(natsURL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.ChanSubscribe("shenscan.events.verdict.>", events); err != nil {
		t.Fatal(err)
	}
	before := scrape(t, page)
	change := `{"image_id":"centos5u8_64_20G_aliaegis_20131231.vhd","os_name":"CentOS  5.8 64位"}`
	resp, err := http.Post(sim.URL+"/_sim/instances/"+victim.InstanceID, "application/json", strings.NewReader(change))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("change the instance: %v %v", resp, err)
	}
	_ = resp.Body.Close()

	r := run(t, env(), "rescan", victim.InstanceID, "--nats-url", natsURL, "--output", "jsonl")
	got := records(t, r.stdout)
	if r.code != 0 || len(got) != 1 || got[0].OS.Version != "5.8" || got[0].Verdicts[1].Level.String() != "incompatible" {
		t.Fatalf("exit %d, %+v", r.code, got)
	}
	for range 2 { // a repeat changes nothing and says nothing
		if again := run(t, env(), "rescan", victim.InstanceID, "--nats-url", natsURL, "--output", "jsonl"); again.code != 0 {
			t.Errorf("repeat: exit %d", again.code)
		}
	}
	if missing := run(t, env(), "rescan", "i-bp1nobodyhasthis00", "--nats-url", natsURL); missing.code != 4 || !strings.Contains(missing.stderr, "i-bp1nobodyhasthis00") {
		t.Errorf("rescan of an instance that does not exist: exit %d, want 4 and its id", missing.code)
	}
	var got1 struct {
		Type string
		Data struct{ Before, After record.Record }
	}
	select {
	case m := <-events:
		if err := json.Unmarshal(m.Data, &got1); err != nil || got1.Type != "dev.shenscan.verdict.changed.v1" ||
			got1.Data.After.OS.Version != "5.8" || got1.Data.Before.OS.Version != victim.OS.Version {
			t.Errorf("event %s on %s", m.Data, m.Subject)
		}
	case <-time.After(time.Minute):
		t.Error("no event")
	}
	if len(events) != 0 {
		t.Errorf("%d events too many", len(events))
	}
	after := scrape(t, page)
	series := regexp.MustCompile(`(?m)^shenscan_legacy_os_instances\{.*os_family="centos",os_version="5.8".*region="` + victim.Region + `".*\} (\d+)`)
	if diff := cmp.Diff(series.FindString(before), series.FindString(after)); diff == "" {
		t.Errorf("the metric of CentOS 5.8 did not move: %q", series.FindString(after))
	}
	// A released instance is not found: the verdict that the store still has of
	// it is no answer. Nor is it one where the call is refused.
	post := func(path, body string) {
		t.Helper()
		resp, err := http.Post(sim.URL+path, "application/json", strings.NewReader(body))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: %v %v", path, resp, err)
		}
		_ = resp.Body.Close()
	}
	post("/_sim/instances/"+victim.InstanceID, `{"gone":true}`)
	r = run(t, env(), "rescan", victim.InstanceID, "--nats-url", natsURL, "--output", "jsonl")
	if r.code != 4 || !strings.Contains(r.stderr, "not found in "+victim.Account+"/"+victim.Region) || strings.Contains(r.stdout, "verdicts") || !strings.Contains(r.stdout, `"outcome":"not-found"`) {
		t.Errorf("rescan of a released instance: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	post("/_sim/faults", `{"kind":"unauthorized-empty","action":"DescribeInstances"}`)
	r = run(t, env(), "rescan", victim.InstanceID, "--nats-url", natsURL, "--output", "jsonl")
	if r.code != 4 || !strings.Contains(r.stderr, "not read: ") || !strings.Contains(r.stdout, `"outcome":"not-read"`) {
		t.Errorf("rescan that is refused: exit %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	for _, misspelt := range [][]string{{"--region", "cn-hangzou"}, {"--account", "nobody"}} {
		r = run(t, env(), append([]string{"rescan", victim.InstanceID, "--nats-url", natsURL}, misspelt...)...)
		if r.code != 2 || !strings.Contains(r.stderr, misspelt[1]) {
			t.Errorf("rescan %s: exit %d\n%s", misspelt, r.code, r.stderr)
		}
	}
	if m := scrape(t, page); strings.Contains(m, "cn-hangzou") || strings.Contains(m, `account="nobody"`) {
		t.Error("a misspelt name became a metric")
	}
	p.stop()
}

// A store that is named by a relative path is told from what a killed scan left.
func TestScanIntoARelativeFolder(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 50, Regions: 2, Seed: 7})
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", "./x", "--output", "jsonl"); r.code != 0 || len(records(t, r.stdout)) != 50 {
		t.Errorf("exit %d, %d instances of 50", r.code, len(records(t, r.stdout)))
	}
}

func TestARegionThatIsNotListedAnyMore(t *testing.T) {
	t.Parallel()
	fleet := ecssim.Options{Instances: 90, Regions: 3, Seed: 5}
	before := simulator(t, fleet)
	dir := t.TempDir()
	scan := func(url string, args ...string) result {
		return run(t, env(), append([]string{"scan", "--endpoint", url, "--store", dir, "--output", "json"}, args...)...)
	}
	if r := scan(before.URL); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	lost := before.Regions()[2]
	fleet.Regions = 2
	after := simulator(t, fleet)
	for _, when := range []string{"at first", "and again"} {
		r := scan(after.URL)
		if r.code != 4 || !strings.Contains(r.stderr, lost) || !strings.Contains(r.stderr, "store forget --account "+after.Accounts()[0].ID+" --region "+lost) {
			t.Errorf("%s: exit %d, want 4 and %s\n%s", when, r.code, lost, r.stderr)
		}
		if !strings.Contains(r.stdout, `"unlisted":`) {
			t.Errorf("%s: the report does not say since when", when)
		}
	}
	forget := []string{"store", "forget", "--store", dir, "--account", after.Accounts()[0].ID, "--region"}
	if r := run(t, env(), append(forget, lost+"x")...); r.code != 2 || !strings.Contains(r.stderr, lost) {
		t.Errorf("forget of a misspelt region: exit %d\n%s", r.code, r.stderr)
	}
	if r := run(t, env(), append(forget, lost)...); r.code != 0 || !strings.Contains(r.stderr, lost) {
		t.Errorf("forget: exit %d\n%s", r.code, r.stderr)
	}
	r := scan(after.URL)
	if r.code != 0 || !strings.Contains(r.stdout, `"forgotten":[{"account":"`+after.Accounts()[0].ID+`","region":"`+lost+`"`) {
		t.Errorf("after forget: exit %d\n%s", r.code, r.stderr)
	}
	if r := run(t, env(), "report", "--store", dir); r.code != 0 || !strings.Contains(r.stdout, "was forgotten on") {
		t.Errorf("report: exit %d\n%s", r.code, r.stdout)
	}
}

func TestAnExcludedAccountStandsInTheReport(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 90, Regions: 2, Accounts: 3, Seed: 5})
	out, tried := sim.Accounts()[1], sim.Accounts()[2]
	file := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(file, []byte("accounts:\n  exclude: [\""+out.ID+"\"]\nresource_directory:\n  role_name: shenscan\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	scan := run(t, env(), "scan", "--config", file, "--endpoint", sim.URL, "--store", dir, "--output", "jsonl")
	accounts := map[string]int{}
	for _, rec := range records(t, scan.stdout) {
		accounts[rec.Account]++
	}
	if scan.code != 0 || len(accounts) != 2 || accounts[out.ID] != 0 || accounts[tried.ID] == 0 {
		t.Errorf("exit %d, accounts %v\n%s", scan.code, accounts, scan.stderr)
	}
	r := run(t, env(), "report", "--store", dir)
	if r.code != 0 || !strings.Contains(r.stdout, "account "+out.ID) || !strings.Contains(r.stdout, "accounts.exclude") {
		t.Errorf("exit %d, the report does not name the excluded account\n%s", r.code, r.stdout)
	}
}

func TestSchedulesFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 2, Seed: 5})
	dir, page := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file := filepath.Join(t.TempDir(), "shenscan.yaml")
	serve := func(schedules string) *process {
		if err := os.WriteFile(file, []byte("schedules: "+schedules+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return start(t, env(), shenscan, "serve", "--config", file, "--endpoint", sim.URL, "--store", dir, "--listen", page)
	}
	const never = "0 0 0 1 1 *"
	p := serve(`[{name: first, cron: "` + never + `"}]`)
	eventually(t, "it is up", func() bool { return strings.Contains(p.output(), "is running") })
	eventually(t, "a new service scans at its first start", func() bool { return strings.Contains(scrape(t, "http://"+page), "shenscan_scan_complete{") })
	if m := scrape(t, "http://"+page); !strings.Contains(m, `shenscan_schedule_ticks_total{outcome="started",schedule="first"} 1`) {
		t.Error("the tick is not counted")
	}
	p.stop()
	p = serve(`[{name: first, cron: "` + never + `"}]`)
	eventually(t, "it is up again", func() bool { return strings.Contains(p.output(), "is running") })
	if m := scrape(t, "http://"+page); strings.Contains(m, "shenscan_schedule_ticks_total{") {
		t.Error("a restart is no tick")
	}
	p.stop()
	p = serve(`[{name: renamed, cron: "` + never + `"}]`)
	eventually(t, "the old schedule ends", func() bool {
		return strings.Contains(p.output(), "ended") && strings.Contains(p.output(), "schedule=first")
	})
	p.stop()
}

// instances reads all instances from the API, page by page.
func instances(t *testing.T, page string) []record.Record {
	t.Helper()
	var out []record.Record
	for cursor := ""; ; {
		resp, err := http.Get(page + "/api/v1/instances?limit=150&cursor=" + cursor)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Instances  []record.Record `json:"instances"`
			NextCursor string          `json:"next_cursor"`
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("instances: %d %v", resp.StatusCode, err)
		}
		out = append(out, got.Instances...)
		if cursor = got.NextCursor; cursor == "" {
			return out
		}
	}
}

func scrape(t *testing.T, page string) string {
	t.Helper()
	resp, err := http.Get(page + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %d %v", resp.StatusCode, err)
	}
	return string(body)
}

func TestDoctorSaysWhatIsMissingAndWhere(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 4, Seed: 1})
	well := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir())
	if well.code != 0 || strings.Contains(well.stdout, "FAIL") || !strings.Contains(well.stdout, "ok    clock") {
		t.Errorf("exit %d:\n%s", well.code, well.stdout)
	}
	region := sim.Regions()[1]
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultEmpty, Region: region}); err != nil {
		t.Fatal(err)
	}
	ill := run(t, env(), "doctor", "--endpoint", sim.URL, "--store", t.TempDir())
	if ill.code != 1 || !strings.Contains(ill.stdout, "FAIL  ecs:DescribeInstances "+ecssim.DemoAccountID+"/"+region) || !strings.Contains(ill.stdout, "ram-policy.json") {
		t.Errorf("exit %d:\n%s", ill.code, ill.stdout)
	}
}

// Three of many regions fail in different ways: the rest is right, the three
// are named with cause and mend, and nothing of theirs is gone.
func TestFailedRegionsAreNamedAndLoseNothing(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 900, Regions: 30, Seed: 9})
	store := t.TempDir()
	whole := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl", "--heartbeat-share", "0")
	if whole.code != 0 {
		t.Fatalf("exit %d", whole.code)
	}
	regions := sim.Regions()[:3]
	for i, kind := range []string{ecssim.FaultForbidden, ecssim.FaultEmpty, ecssim.FaultMalformed} {
		if err := sim.AddFault(ecssim.Fault{Kind: kind, Region: regions[i], Action: "DescribeInstances"}); err != nil {
			t.Fatal(err)
		}
	}
	partial := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl", "--heartbeat-share", "0")
	if partial.code != 4 {
		t.Errorf("exit %d, want 4", partial.code)
	}
	for _, region := range regions {
		if !strings.Contains(partial.stderr, region) {
			t.Errorf("%s is not named:\n%s", region, partial.stderr)
		}
	}
	if diff := difference(same(records(t, whole.stdout)), same(records(t, partial.stdout))); diff != "" {
		t.Errorf("records changed (-before +after):\n%.3000s", diff)
	}
}

func TestAssumedRolesWhoseKeysExpire(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 1200, Regions: 6, Accounts: 3, Seed: 4, ExternalID: "ext", SessionTTL: 60 * time.Second})
	var accounts strings.Builder
	accounts.WriteString("accounts:\n")
	for _, a := range sim.Accounts()[1:] {
		fmt.Fprintf(&accounts, "  - {role_arn: \"acs:ram::%s:role/shenscan\", external_id: ext}\n", a.ID)
	}
	path := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(path, []byte(accounts.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, env(), "scan", "--endpoint", sim.URL, "--config", path, "--store", t.TempDir(), "--output", "jsonl")
	want := 0
	for _, a := range sim.Accounts()[1:] {
		for _, region := range sim.Regions() {
			want += sim.ScopeSize(a.ID, region)
		}
	}
	if got := len(records(t, r.stdout)); r.code != 0 || got != want {
		t.Errorf("exit %d, %d instances of two accounts, want %d", r.code, got, want)
	}
}

func TestBadInputIsOneClearLine(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 3, Seed: 1})
	locked := t.TempDir()
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", locked, "--listen", "")
	eventually(t, "the store is taken", func() bool { return strings.Contains(p.output(), "is running") })
	file := func(name, body string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	notAFolder := file("store", "x")
	scan := func(args ...string) []string {
		return append([]string{"scan", "--endpoint", sim.URL, "--store", t.TempDir()}, args...)
	}
	for name, tc := range map[string]struct {
		args []string
		env  []string
		code int
		want []string
	}{
		"unknown command":         {[]string{"scna"}, nil, 2, []string{"scna", "--help"}},
		"unknown flag":            {scan("--regoin", "x"), nil, 2, []string{"regoin"}},
		"unknown region":          {scan("--region", "cn-nowhere"), nil, 2, []string{"cn-nowhere", "there are", "cn-hangzhou"}},
		"misspelt region":         {scan("--region", "cn-hangzou", "--region", "cn-beijing"), nil, 2, []string{`did you mean "cn-hangzhou"`}},
		"unknown account":         {scan("--account", "prod"), nil, 2, []string{"--account prod"}},
		"unknown account id":      {scan("--account", "42"), nil, 2, []string{"--account 42"}},
		"unknown target":          {scan("--target", "shenlong-5"), nil, 2, []string{"shenlong-5", "shenlong-6"}},
		"unknown output":          {scan("--output", "xml"), nil, 2, []string{"xml", "jsonl"}},
		"unknown verdict":         {scan("--fail-on", "bad"), nil, 2, []string{"bad", "incompatible"}},
		"wrong key":               {scan(), []string{"ALIBABA_CLOUD_ACCESS_KEY_SECRET=wrong"}, 1, []string{"SignatureDoesNotMatch"}},
		"unknown key":             {scan(), []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=LTAINOBODY"}, 1, []string{"InvalidAccessKeyId"}},
		"endpoint down":           {[]string{"scan", "--endpoint", "http://127.0.0.1:1", "--store", t.TempDir()}, nil, 1, []string{"127.0.0.1:1", "refused"}},
		"endpoint abroad":         {[]string{"scan", "--endpoint", "http://ecs.example.com", "--store", t.TempDir()}, nil, 2, []string{"ecs.example.com"}},
		"locked store":            {[]string{"scan", "--endpoint", sim.URL, "--store", locked}, nil, 1, []string{locked, "another"}},
		"store is a file":         {[]string{"scan", "--endpoint", sim.URL, "--store", notAFolder}, nil, 1, []string{notAFolder, "--store"}},
		"no config file":          {scan("--config", "/nonexistent.yaml"), nil, 2, []string{"/nonexistent.yaml"}},
		"broken config file":      {scan("--config", file("a.yaml", "store: [")), nil, 2, []string{"a.yaml"}},
		"misspelt setting":        {scan("--config", file("b.yaml", "region: [cn-hangzhou]\nstroe: x\n")), nil, 2, []string{"b.yaml:2", "stroe"}},
		"misspelt account key":    {scan("--config", file("c.yaml", "accounts:\n  - rolearn: x\n")), nil, 2, []string{"c.yaml", "rolearn"}},
		"wrong value":             {scan("--config", file("d.yaml", "concurrency: many\n")), nil, 2, []string{"d.yaml", "concurrency"}},
		"less than no memory":     {scan("--memory-mib", "-5"), nil, 2, []string{"--memory-mib -5"}},
		"results of no age":       {scan(), []string{"SHENSCAN_RESULTS_AGE=-1h"}, 2, []string{"--results-age -1h"}},
		"less than one at a time": {scan("--config", file("e.yaml", "concurrency: -1\n")), nil, 2, []string{"--concurrency -1"}},
		"wrong environment":       {scan(), []string{"SHENSCAN_RATE=fast"}, 2, []string{"SHENSCAN_RATE"}},
		"open to the world":       {scan("--listen", "0.0.0.0:0"), nil, 2, []string{"0.0.0.0", "--insecure-listen"}},
		"role without a server":   {[]string{"worker"}, nil, 2, []string{"--nats-url"}},
		"nobody answers":          {[]string{"rescan", "i-abc1234567", "--nats-url", "nats://127.0.0.1:1"}, nil, 1, []string{"127.0.0.1:1"}},
		"rescan of nothing":       {[]string{"rescan"}, nil, 2, []string{"--all"}},
		"report of an empty dir":  {[]string{"report", "--store", t.TempDir()}, nil, 1, []string{"scan"}},
		"keys on the wire":        {scan(), []string{"DEBUG=dara"}, 2, []string{"DEBUG"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, env(tc.env...), tc.args...)
			if r.code != tc.code {
				t.Errorf("exit %d, want %d", r.code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("stderr does not name %q:\n%s", want, r.stderr)
				}
			}
			if strings.Contains(r.stderr+r.stdout, ecssim.DemoAccessKeySecret) || strings.Contains(r.stderr, "goroutine ") {
				t.Errorf("a secret or a stack is shown:\n%s", r.stderr)
			}
		})
	}
}
