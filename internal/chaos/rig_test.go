//go:build chaos || powercut || scale || soak

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
)

// setup says what a rig consists of.
type setup struct {
	bin        string // the shenscan that the roles run; "" for the one of this tree
	instances  int
	accounts   int           // of the fleet; 0 for one
	images     int           // that the simulated API knows; 0 for its own choice
	latency    time.Duration // of the simulated API
	imageDelay time.Duration // of DescribeImages, on top
	lanes      int           // that a producer walks side by side
	producers  int
	workers    int
	sinks      int
	nodes      int    // nats-servers: 1, or 3 for a cluster
	idle       string // --scan-idle of the sinks
	natsURL    string // where the roles find NATS; "" for the servers themselves
	natsDir    string // of the server's streams; "" for a folder of the test's
	config     string // of producers and workers; "" for none
	memory     string // of the server's streams in memory; "" for its own choice
	storeDir   string // of the first sink; "" for a folder of the test's
}

// rig is shenscan as it is deployed, on a simulated fleet.
type rig struct {
	t         *testing.T
	o         setup
	rng       *rand.Rand
	dir       string
	env       []string
	sim       string // URL
	simulator *member
	natsURL   string
	nats      []*member
	roles     []*member // producers, workers, sinks
	sinks     []*member
	stores    []string
	want      map[string]bool // instances whose verdict changed
	nc        *nats.Conn
	js        jetstream.JetStream
	recent    []string //nolint:unused // instances that the last churn reimaged; the soak, behind a tag of its own, asks for them
}

func environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent",
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + ecssim.DemoAccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + ecssim.DemoAccessKeySecret,
		// Which guests are asked whether they are up hangs on who asks when, and what
		// the fleet tells of an image on that: no two runs would be alike.
		"SHENSCAN_HEARTBEAT_SHARE=0",
	}
}

// newRig starts the simulator and the servers; start starts the roles.
func newRig(t *testing.T, seed uint64, o setup) *rig {
	t.Helper()
	if o.bin == "" {
		o.bin = bins.shenscan
	}
	r := &rig{t: t, o: o, rng: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), env: environ()}
	port := proctest.FreePort(t)
	r.sim = fmt.Sprintf("http://127.0.0.1:%d", port)
	args := []string{
		"simulate", "--listen", fmt.Sprintf("127.0.0.1:%d", port),
		"--instances", fmt.Sprint(o.instances), "--regions", "12", "--seed", "11", "--images", fmt.Sprint(o.images),
		"--accounts", fmt.Sprint(max(o.accounts, 1)),
	}
	if o.imageDelay > 0 {
		args = append(args, "--fault", "kind=slow,action=DescribeImages,delay="+o.imageDelay.String())
	}
	r.simulator = newMember(t, r.dir, "simulator", bins.shenscan, r.env, args...)
	within(t, 30*time.Second, "the simulator listens", listens(fmt.Sprintf("127.0.0.1:%d", port)))
	r.startNATS()
	return r
}

func (r *rig) startNATS() {
	r.t.Helper()
	var urls, routes []string
	ports, clusters := make([]int, max(r.o.nodes, 1)), make([]int, max(r.o.nodes, 1))
	for i := range ports {
		ports[i], clusters[i] = proctest.FreePort(r.t), proctest.FreePort(r.t)
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", clusters[i]))
	}
	for i, port := range ports {
		if r.o.natsDir != "" {
			r.startBroker(port)
			continue
		}
		args := []string{"-a", "127.0.0.1", "-p", fmt.Sprint(port), "-js", "-sd", filepath.Join(r.dir, fmt.Sprintf("js%d", i))}
		if r.o.memory != "" {
			conf := filepath.Join(r.dir, "small.conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, "jetstream { store_dir: %q, max_memory_store: %s }\n", filepath.Join(r.dir, "small"), r.o.memory), 0o600); err != nil {
				r.t.Fatal(err)
			}
			args = []string{"-a", "127.0.0.1", "-p", fmt.Sprint(port), "-c", conf}
		}
		if len(ports) > 1 {
			args = append(args, "--name", fmt.Sprintf("n%d", i), "--cluster_name", "chaos",
				"--cluster", fmt.Sprintf("nats://127.0.0.1:%d", clusters[i]), "--routes", strings.Join(routes, ","))
		}
		r.nats = append(r.nats, newMember(r.t, r.dir, fmt.Sprintf("nats%d", i), bins.nats, r.env, args...))
	}
	for _, port := range ports {
		within(r.t, 30*time.Second, "nats-server listens", listens(fmt.Sprintf("127.0.0.1:%d", port)))
	}
	r.natsURL = strings.Join(urls, ",")
	var err error
	if r.nc, err = nats.Connect(r.natsURL, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.nc.Close)
	if r.js, err = jetstream.New(r.nc); err != nil {
		r.t.Fatal(err)
	}
	if len(ports) > 1 {
		within(r.t, 60*time.Second, "the cluster has a JetStream leader", func() bool {
			ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Second)
			defer cancel()
			_, err := r.js.AccountInfo(ctx)
			return err == nil
		})
	}
}

// startBroker starts a server whose streams are on a disk of their own. It may
// promise more than the disk has, as servers do.
func (r *rig) startBroker(port int) {
	r.t.Helper()
	conf := filepath.Join(r.dir, "nats.conf")
	body := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream { store_dir: %q, max_file_store: 40GB }\n", port, r.o.natsDir)
	if err := os.WriteFile(conf, []byte(body), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.nats = append(r.nats, newMember(r.t, r.dir, "nats0", bins.nats, r.env, "-c", conf))
}

// clockFile says by how much the clock of a process is wrong, if its binary
// asks.
func (r *rig) clockFile(i int) string { return filepath.Join(r.dir, fmt.Sprintf("clock%d", i)) }

// slow makes the simulated API as slow as the setup says.
func (r *rig) slow() {
	r.t.Helper()
	resp, err := http.Post(r.sim+"/_sim/latency", "application/json", strings.NewReader(fmt.Sprintf("%q", r.o.latency)))
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("slow the simulator down: %v %v", resp, err)
	}
	_ = resp.Body.Close()
}

// start starts the roles.
func (r *rig) start() {
	r.t.Helper()
	url := r.o.natsURL
	if url == "" {
		url = r.natsURL
	}
	common := []string{"--nats-url", url, "--log-level", "info", "--nats-replicas", fmt.Sprint(max(1, r.o.nodes))}
	cloud := []string{"--endpoint", r.sim, "--concurrency", fmt.Sprint(max(r.o.lanes, 1)), "--start-rate", "2000"}
	for i := range max(r.o.sinks, 1) {
		dir := r.o.storeDir
		if dir == "" || i > 0 {
			dir = filepath.Join(r.dir, fmt.Sprintf("store%d", i))
		}
		r.stores = append(r.stores, dir)
		idle := r.o.idle
		if idle == "" {
			idle = "90s"
		}
		r.sinks = append(r.sinks, newMember(r.t, r.dir, fmt.Sprintf("sink%d", i), r.o.bin, r.env,
			append([]string{"sink", "--store", dir, "--sink-name", fmt.Sprintf("s%d", i), "--listen", "", "--scan-idle", idle}, common...)...))
	}
	for i := range max(r.o.workers, 1) {
		args := append(append([]string{"worker"}, cloud...), common...)
		if r.o.config != "" {
			args = append(args, "--config", r.o.config)
		}
		r.roles = append(r.roles, newMember(r.t, r.dir, fmt.Sprintf("worker%d", i), r.o.bin, r.env, args...))
	}
	for i := range max(r.o.producers, 1) {
		args := append(append([]string{"producer"}, cloud...), common...)
		if r.o.config != "" {
			args = append(args, "--config", r.o.config)
		}
		r.roles = append(r.roles, newMember(r.t, r.dir, fmt.Sprintf("producer%d", i), r.o.bin, append(r.env, "CLOCK="+r.clockFile(i)), args...))
	}
	r.roles = append(r.roles, r.sinks...)
}

// call asks a service, again and again while nobody answers.
func (r *rig) call(limit time.Duration, subject string, request, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(limit)
	for {
		msg, err := r.nc.Request(subject, body, 3*time.Second)
		if err == nil {
			if code := msg.Header.Get("Nats-Service-Error-Code"); code != "" {
				err = &bus.ServiceError{Code: code, Text: msg.Header.Get("Nats-Service-Error")}
				if code != "503" && code != "500" {
					return err
				}
			} else {
				return json.Unmarshal(msg.Data, reply)
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w", subject, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// request asks for a scan of everything and returns its id.
func (r *rig) request() string {
	r.t.Helper()
	var reply record.ScanReply
	if err := r.call(time.Minute, event.SubjectScan, record.ScanRequest{Reason: "chaos"}, &reply); err != nil {
		r.t.Fatal(err)
	}
	return reply.ScanID
}

// state is what the sinks say of a scan; a sink that does not answer or has
// not heard of it says "running".
func (r *rig) state(id string) record.Scan {
	var s record.Scan
	if err := r.call(0, event.SubjectQueryScan, map[string]string{"scan_id": id}, &s); err != nil || s.State == "" {
		return record.Scan{ID: id, State: record.ScanRunning}
	}
	return s
}

// await waits for the end of a scan.
func (r *rig) await(id string, limit time.Duration) (record.Scan, bool) {
	var s record.Scan
	ok := happens(limit, func() bool {
		s = r.state(id)
		return s.State != record.ScanRunning
	})
	return s, ok
}

// awaitFast is await for a scan that takes well under a second.
func (r *rig) awaitFast(id string, limit time.Duration) (record.Scan, bool) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s := r.state(id); s.State != record.ScanRunning {
			return s, true
		}
	}
	return record.Scan{}, false
}

// complete waits for the end of a scan and asks again where it ended in
// another way than complete, as an operator would. It returns every scan.
func (r *rig) complete(id string, limit time.Duration) ([]record.Scan, error) {
	var all []record.Scan
	for range 4 {
		s, ok := r.await(id, limit)
		if !ok {
			return all, fmt.Errorf("scan %s did not end within %s: %+v", id, limit, s)
		}
		all = append(all, s)
		if s.State == record.ScanComplete {
			return all, nil
		}
		r.t.Logf("scan %s ended %s (%s): %+v", s.ID, s.State, s.Reason, failures(&s))
		id = r.request()
	}
	return all, errors.New("no scan became complete in four")
}

func failures(s *record.Scan) (out []string) {
	for _, sc := range s.Scopes {
		for _, f := range sc.Failures {
			out = append(out, sc.Region+": "+f.Error)
		}
	}
	return out
}

// handedOut reports whether a consumer that sink i made after since has handed
// out all results.
func (r *rig) handedOut(i int, since time.Time) bool {
	s, err := r.js.Stream(r.t.Context(), bus.StreamResults)
	if err != nil {
		return false
	}
	list := s.ListConsumers(r.t.Context())
	found := false
	for c := range list.Info() {
		if strings.HasPrefix(c.Name, fmt.Sprintf("sink-s%d--", i)) && c.Created.After(since) {
			found = found || c.NumPending == 0 && c.Delivered.Consumer > 0
		}
	}
	return found && list.Err() == nil
}

// shenscan runs the binary to its end and returns its stdout.
func (r *rig) shenscan(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bins.shenscan, args...)
	cmd.Env, cmd.Dir = r.env, r.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("shenscan %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// faultless scans the fleet in one process that nobody disturbs.
func (r *rig) faultless() map[string]record.Record {
	r.t.Helper()
	out, err := r.shenscan("scan", "--endpoint", r.sim, "--store", filepath.Join(r.dir, "faultless"), "--output", "jsonl", "--start-rate", "2000")
	if err != nil {
		r.t.Fatal(err)
	}
	return r.records(out)
}

// reported stops the sink and returns what its store holds.
func (r *rig) reported(i int) map[string]record.Record {
	r.t.Helper()
	if err := r.sinks[i].terminate(); err != nil {
		r.t.Error(err)
	}
	out, err := r.shenscan("report", "--store", r.stores[i], "--output", "jsonl")
	if err != nil {
		r.t.Fatal(err)
	}
	return r.records(out)
}

// records reads a report. When an instance was seen, and by which scan, is
// dropped: two scans of the same fleet differ in nothing else.
func (r *rig) records(jsonl []byte) map[string]record.Record {
	r.t.Helper()
	out := map[string]record.Record{}
	for dec := json.NewDecoder(bytes.NewReader(jsonl)); ; {
		var rec record.Record
		err := dec.Decode(&rec)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			r.t.Fatal(err)
		}
		rec.ObservedAt, rec.ScanID = time.Time{}, ""
		key := rec.Account + "/" + rec.Region + "/" + rec.InstanceID
		if _, twice := out[key]; twice {
			r.t.Errorf("%s is reported twice", key)
		}
		out[key] = rec
	}
}

// truth compares records with what the simulator knows.
func (r *rig) truth(got map[string]record.Record) {
	r.t.Helper()
	resp, err := http.Get(r.sim + "/_sim/truth")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	n, wrong := 0, 0
	for dec := json.NewDecoder(resp.Body); ; {
		var tr struct {
			Account    string            `json:"account"`
			Region     string            `json:"region"`
			InstanceID string            `json:"instance_id"`
			Verdicts   map[string]string `json:"verdicts"`
		}
		err := dec.Decode(&tr)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.t.Fatal(err)
		}
		n++
		rec := got[tr.Account+"/"+tr.Region+"/"+tr.InstanceID]
		for _, v := range rec.Verdicts {
			if tr.Verdicts[v.Target] == v.Level.String() {
				continue
			}
			if wrong++; wrong <= 3 {
				r.t.Errorf("%s, %s on %s: %s on %s by %s, and in truth %s", rec.InstanceID, rec.OS.Version, rec.InstanceType, v.Level, v.Target, v.Rule, tr.Verdicts[v.Target])
			}
		}
	}
	if n != len(got) || wrong > 0 {
		r.t.Errorf("%d instances exist, %d are recorded, %d verdicts are not the truth", n, len(got), wrong)
	}
}

// change gives n instances another operating system and returns their ids.
func (r *rig) change(records map[string]record.Record, n int) {
	r.t.Helper()
	for key := range records {
		if n == 0 {
			return
		}
		n--
		id := key[strings.LastIndexByte(key, '/')+1:]
		resp, err := http.Post(r.sim+"/_sim/instances/"+id, "application/json", strings.NewReader(`{"os":"centos 5.8"}`))
		if err != nil || resp.StatusCode != http.StatusOK {
			r.t.Fatalf("change %s: %v %v", id, resp, err)
		}
		_ = resp.Body.Close()
	}
}

// levels are a record's verdicts in one line.
func levels(r *record.Record) string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		fmt.Fprintf(&b, "%s=%s ", v.Target, v.Level)
	}
	return b.String()
}

// moved lists the instances whose verdicts differ.
func moved(before, after map[string]record.Record) map[string]bool {
	out := map[string]bool{}
	for key, b := range before {
		if a, ok := after[key]; ok && levels(&a) != levels(&b) {
			out[key] = true
		}
	}
	return out
}

// verdictEvents counts the verdict events of every instance.
func (r *rig) verdictEvents() map[string]int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	out := map[string]int{}
	s, err := r.js.Stream(ctx, bus.StreamEvents)
	if err != nil {
		r.t.Fatal(err)
	}
	info := s.CachedInfo()
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		raw, err := s.GetMsg(ctx, seq)
		if err != nil {
			r.t.Fatal(err)
		}
		if !strings.HasPrefix(raw.Subject, event.SubjectVerdictEvents+".") {
			continue
		}
		var e struct {
			Data event.VerdictChanged `json:"data"`
		}
		if err := json.Unmarshal(raw.Data, &e); err != nil || e.Data.After == nil {
			r.t.Fatalf("event %d: %v", seq, err)
		}
		a := e.Data.After
		out[a.Account+"/"+a.Region+"/"+a.InstanceID]++
	}
	return out
}

// events waits until every expected event is there and then compares: none
// lost, none doubled.
func (r *rig) events(want map[string]bool) {
	r.t.Helper()
	var got map[string]int
	happens(60*time.Second, func() bool {
		got = r.verdictEvents()
		return len(got) >= len(want)
	})
	lost, doubled, stray := 0, 0, 0
	for key := range want {
		if got[key] == 0 {
			lost++
		}
	}
	for key, n := range got {
		if n > 1 {
			doubled++
		}
		if !want[key] {
			stray++
		}
	}
	r.t.Logf("verdict events: %d expected, %d lost, %d doubled, %d stray", len(want), lost, doubled, stray)
	if lost+doubled+stray > 0 || len(want) == 0 {
		r.t.Error("the verdict events are not one for each change")
	}
}

// flow is how much has gone through the pipeline.
type flow struct {
	results     uint64 // messages of the results stream
	pages       uint64 // pages published
	redelivered int64  // page deliveries beyond the first
}

// flow asks the servers, again and again while they are down.
func (r *rig) flow() flow {
	r.t.Helper()
	var f flow
	within(r.t, time.Minute, "NATS says how much has flowed", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Second)
		defer cancel()
		results, err := r.js.Stream(ctx, bus.StreamResults)
		if err != nil {
			return false
		}
		pages, err := r.js.Stream(ctx, bus.StreamPages)
		if err != nil {
			return false
		}
		c, err := pages.Consumer(ctx, bus.ConsumeBulkPages.Name)
		if err != nil {
			return false
		}
		d := c.CachedInfo().Delivered
		f = flow{results.CachedInfo().State.LastSeq, pages.CachedInfo().State.LastSeq, int64(d.Consumer) - int64(d.Stream)}
		return true
	})
	return f
}

// equal compares two reports record by record.
func (r *rig) equal(what string, want, got map[string]record.Record) bool {
	missing, extra, different := 0, 0, 0
	sample := ""
	for key, w := range want {
		g, ok := got[key]
		switch {
		case !ok:
			missing++
			sample = key
		case !sameRecord(&w, &g):
			different++
			sample = fmt.Sprintf("%+v\n%+v", w, g)
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			extra++
			sample = key
		}
	}
	if missing+extra+different == 0 && len(want) > 0 {
		return true
	}
	r.t.Logf("%s: %d records wanted, %d found; %d missing, %d extra, %d different; for example %.2000s", what, len(want), len(got), missing, extra, different, sample)
	return false
}

func sameRecord(a, b *record.Record) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// healthy fails the test for every member that crashed by itself.
func (r *rig) healthy() {
	r.t.Helper()
	for _, m := range append(append([]*member{}, r.nats...), r.roles...) {
		if c := m.crashes(); c != "" {
			r.t.Error(c)
		}
	}
}
