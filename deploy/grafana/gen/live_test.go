//go:build live

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/internal/proctest"
)

// The live test runs what deploy/ deploys: the roles as processes with a key
// each, on nats-server.conf, scraped by a real Prometheus with prometheus.yml
// and alerts.yml. Then every panel is asked for, a legacy instance appears, and
// with the same rules in a hurry every other trouble that an alert is for.

// mayBeEmpty are panels that show nothing while all is well.
var mayBeEmpty = []string{"Verdict changes", "Retries", "Owners behind", "Moved in seven days", "Still need work, by owner", "Page and API", "Did it work?", "Machines last asked", "Runs with errors", "Machines of the last run"} // nothing of this fleet moves, and nobody asks its machines

// silentAlerts ask for series that are there only in trouble.
var silentAlerts = []string{
	"ShenscanPipelineBehind", "ShenscanThrottled", "ShenscanAccountRefused", "ShenscanRoleMissing", "ShenscanPagesHeld", "ShenscanWaiverEnding", "ShenscanTicksSkipped", "ShenscanAccountHoldsScan",
}

// notYet are metrics of the table that this fleet cannot show.
var notYet = []string{
	"shenscan_owner_open_instances", "shenscan_http_request_duration_seconds_bucket", "shenscan_ecs_retries_total", "shenscan_verdict_changes_total", "shenscan_cloud_events_total", "shenscan_waiver_end_timestamp_seconds", "shenscan_schedule_ticks_total", "shenscan_scan_regions", "shenscan_scan_account_planning",
	"shenscan_probe_machines", "shenscan_probe_runs_total", "shenscan_probe_last_run_timestamp_seconds",
} // nobody asks machines, no scan runs just then, its schedule comes at night; without a secret nobody takes events, without an overlay there is no waiver, without owner_tag no owner, and nobody asks for pages

// fleet is everything that runs.
type fleet struct {
	dir, bin    string
	nats, sim   string // URLs
	prometheus  string
	metrics     []string                     // addresses of the roles' metrics
	processes   map[string]*proctest.Process // by name
	keys        string
	environment []string
}

// command runs something to its end.
func (f *fleet) command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := f.try(t, dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a command that may fail.
func (f *fleet) try(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), f.environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start runs a process until the test ends. Its output is shown if it fails.
func (f *fleet) start(t *testing.T, label, name string, args ...string) {
	t.Helper()
	f.processes[label] = proctest.Start(t, label, f.dir, f.environment, name, args...)
}

// eventually asks again until ok, for two minutes at most.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	begin := time.Now()
	err := proctest.Until(t, 2*time.Minute, ok)
	if err == nil {
		if strings.HasSuffix(what, " should fire") {
			t.Logf("%s: it does after %s", what, time.Since(begin).Round(100*time.Millisecond))
		}
		return
	}
	t.Fatalf("%s: %v", what, err)
}

func reachable(address string) func() error {
	return func() error { return proctest.Listens(address) }
}

// edit copies a file of deploy with some of its text replaced; what is to be
// replaced must be there.
func (f *fleet) edit(t *testing.T, from, to string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, from))
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(s, replace[i]) {
			t.Fatalf("%s has no %q", from, replace[i])
		}
		s = strings.ReplaceAll(s, replace[i], replace[i+1])
	}
	if err := os.WriteFile(filepath.Join(f.dir, to), []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
}

// setup is what a fleet has otherwise.
type setup struct {
	servers int    // of NATS: one, or a cluster of so many
	cron    string // the schedule's, if not that of deploy/shenscan.yaml
}

func launch(t *testing.T) *fleet { return launchWith(t, setup{servers: 1}) }

// startServer starts a server of NATS, the i-th.
func (f *fleet) startServer(t *testing.T, label string, i int) {
	t.Helper()
	f.start(t, label, filepath.Join(f.dir, "nats-server"), "-c", filepath.Join(f.dir, fmt.Sprintf("nats-server-%d.conf", i)))
}

// startServers starts NATS by nats-server.conf and returns its addresses.
func (f *fleet) startServers(t *testing.T, n int) (addresses []string) {
	t.Helper()
	routes := make([]string, n)
	for i := range routes {
		routes[i] = proctest.FreeAddress(t)
	}
	for i := range n {
		address, more := proctest.FreeAddress(t), ""
		if n > 1 {
			more = inCluster(i, routes)
		}
		conf := fmt.Sprintf("nats-server-%d.conf", i)
		f.edit(t, "nats/nats-server.conf", conf, "0.0.0.0:4222", address, `http: "127.0.0.1:8222"`, "", `"/data"`, fmt.Sprintf("%q", filepath.Join(f.dir, fmt.Sprintf("nats%d", i))),
			"server_name: shenscan", fmt.Sprintf("server_name: shenscan-%d", i), "system_account: SYS\n", "system_account: SYS\n"+more)
		f.startServer(t, fmt.Sprintf("nats-server %d", i), i)
		addresses = append(addresses, address)
	}
	for _, address := range addresses {
		eventually(t, "nats-server", reachable(address))
	}
	// A role gives up on a cluster that takes longer than ten seconds to choose
	// its leader, as it does on a busy machine; what starts roles starts them again.
	for i := range addresses {
		if n == 1 {
			break // it has none
		}
		eventually(t, fmt.Sprintf("nats-server %d knows a leader", i), func() error {
			log := f.processes[fmt.Sprintf("nats-server %d", i)].Output()
			if !strings.Contains(log, "JetStream cluster new metadata leader") && !strings.Contains(log, "Self is new JetStream cluster metadata leader") {
				return errors.New("it does not")
			}
			return nil
		})
	}
	return addresses
}

func launchWith(t *testing.T, o setup) *fleet {
	t.Helper()
	f := &fleet{dir: t.TempDir(), processes: map[string]*proctest.Process{}}
	root, err := filepath.Abs(filepath.Join(deploy, ".."))
	if err != nil {
		t.Fatal(err)
	}
	f.bin, f.keys = filepath.Join(f.dir, "shenscan"), filepath.Join(f.dir, "keys")
	f.command(t, root, "go", "build", "-o", f.bin, "./cmd/shenscan")
	f.command(t, root, "go", "build", "-o", filepath.Join(f.dir, "nats-server"), "github.com/nats-io/nats-server/v2")
	f.command(t, root, filepath.Join(root, "deploy/nats/keys.sh"), f.keys)

	simAddress := proctest.FreeAddress(t)
	f.nats, f.sim = "nats://"+strings.Join(f.startServers(t, o.servers), ",nats://"), "http://"+simAddress
	f.start(t, "simulate", f.bin, "simulate", "--listen", simAddress, "--instances", "2000", "--regions", "4", "--no-platform") // which would settle what an alert on unknown systems waits for
	eventually(t, "simulator", reachable(simAddress))

	f.environment = []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=LTAISIMULATORDEMO", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=shenscan-simulator-demo-secret"}
	const nightly = `"0 0 3 * * *"`
	cron := nightly
	if o.cron != "" {
		cron = fmt.Sprintf("%q", o.cron)
	}
	f.edit(t, "shenscan.yaml", "shenscan.yaml", nightly, cron)
	// The producer first: it alone may make the streams.
	for _, role := range []string{"producer", "sink", "worker", "worker"} {
		address := proctest.FreeAddress(t)
		args := []string{
			role, "--config", filepath.Join(f.dir, "shenscan.yaml"), "--nats-replicas", strconv.Itoa(o.servers), "--nats-url", f.nats, "--nats-nkey", filepath.Join(f.keys, role+".nk"), "--listen", address,
		}
		if role == "sink" {
			args = append(args, "--store", filepath.Join(f.dir, "store"))
		} else {
			args = append(args, "--endpoint", f.sim)
		}
		f.start(t, fmt.Sprintf("%s %d", role, len(f.metrics)), f.bin, args...)
		f.metrics = append(f.metrics, address)
		eventually(t, role, func() error { _, err := proctest.Get("http://" + address + "/readyz"); return err })
	}

	f.edit(t, "prometheus/alerts.yml", "alerts.yml")
	f.edit(t, "prometheus/prometheus.yml", "prometheus.yml", "15s", "1s", "127.0.0.1:10470", strings.Join(f.metrics, "\n          - "))
	address := proctest.FreeAddress(t)
	f.prometheus = "http://" + address
	f.start(t, "prometheus", "prometheus", "--config.file", filepath.Join(f.dir, "prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(f.dir, "prometheus"), "--web.listen-address", address)
	// A rate needs a sample from before the scan.
	eventually(t, "prometheus", func() error {
		n, err := f.ask("up == 1")
		if err == nil && n < len(f.metrics) {
			err = fmt.Errorf("%d of %d processes were scraped", n, len(f.metrics))
		}
		return err
	})
	return f
}

// rescanAll asks for a whole scan, as the operator, and waits for it.
func (f *fleet) rescan() []string {
	return []string{"rescan", "--all", "--nats-url", f.nats, "--nats-nkey", filepath.Join(f.keys, "operator.nk")}
}

func (f *fleet) rescanAll(t *testing.T) {
	t.Helper()
	t.Log(strings.TrimSpace(f.command(t, f.dir, f.bin, f.rescan()...)))
}

// ask returns how many series an expression has now.
func (f *fleet) ask(expr string) (int, error) {
	body, err := proctest.Get(f.prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return 0, err
	}
	n := 0
	for _, r := range answer.Data.Result {
		if r.Value[1] != "NaN" {
			n++
		}
	}
	return n, nil
}

func TestDeploymentShowsAndAlerts(t *testing.T) {
	f := launch(t)
	// Twice: the second scan is what moves the counters that the first brings.
	f.rescanAll(t)
	eventually(t, "first scan", func() error {
		n, err := f.ask("count(shenscan_scan_complete) and count(shenscan_ecs_requests_total)")
		if err == nil && n == 0 {
			err = fmt.Errorf("was not scraped")
		}
		return err
	})
	f.rescanAll(t)
	for _, address := range f.metrics {
		body, err := proctest.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		check.Stdin = strings.NewReader(body)
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
	t.Run("metrics", func(t *testing.T) { checkExported(t, f) })
	t.Run("panels", func(t *testing.T) { checkPanels(t, f) })
	t.Run("alerts", func(t *testing.T) { checkAlerts(t, f) })
	t.Run("every_alert", func(t *testing.T) { checkEveryAlert(t, f) })
	for label, process := range f.processes {
		for line := range strings.Lines(process.Output()) {
			// Workers and sinks try to make a stream that is missing; a producer does.
			if strings.Contains(strings.ToLower(line), "permissions violation") && !strings.Contains(line, "$JS.API.STREAM.CREATE.") {
				t.Errorf("%s was refused something on the bus: %s", label, line)
			}
		}
	}
}

var sample = regexp.MustCompile(`^([a-z0-9_]+)(?:\{(.*)\})? `)

// checkExported compares the table of docs/METRICS.md with what is exported.
func checkExported(t *testing.T, f *fleet) {
	real := map[string][]string{}
	label := regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
	for _, address := range f.metrics {
		body, err := proctest.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
			m := sample.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			labels := []string{}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				labels = append(labels, l[1])
			}
			slices.Sort(labels)
			real[m[1]] = labels
		}
	}
	for metric, labels := range exported() {
		want := slices.Sorted(slices.Values(labels))
		if got, ok := real[metric]; !ok && metric != "up" && metric != "ALERTS" && !slices.Contains(notYet, metric) {
			t.Errorf("%s is not exported", metric)
		} else if ok && !slices.Equal(got, want) {
			t.Errorf("%s has the labels %v, the table says %v", metric, got, want)
		}
	}
}

// checkPanels asks for every query of every panel.
func checkPanels(t *testing.T, f *fleet) {
	variables := strings.NewReplacer("$__rate_interval", "5m", "$account", ".*", "$region", ".*", "$target", ".*", "$job", ".*")
	asked := 0
	for name, board := range dashboards(t) {
		for _, p := range board.Panels {
			for _, target := range p.Targets {
				asked++
				expr := variables.Replace(target.Expr)
				if slices.Contains(mayBeEmpty, p.Title) {
					if _, err := f.ask(expr); err != nil {
						t.Errorf("%s: %s: %v", name, p.Title, err)
					}
					continue
				}
				eventually(t, name+": "+p.Title+": "+expr, func() error {
					n, err := f.ask(expr)
					if err == nil && n == 0 {
						err = fmt.Errorf("no series")
					}
					return err
				})
			}
		}
	}
	if asked < 30 {
		t.Errorf("%d queries were asked", asked)
	}
}

// checkAlerts lets legacy instances appear and waits for the alert; the alerts
// of a healthy shenscan must be silent, and Grafana's expressions must work.
func checkAlerts(t *testing.T, f *fleet) {
	firing := func(name string) (int, error) {
		return f.ask(`ALERTS{alertname="` + name + `", alertstate="firing"}`)
	}
	for _, a := range allAlerts() {
		if n, err := firing(a.name); err != nil || n > 0 {
			t.Errorf("%s fires on a healthy fleet (%d, %v)", a.name, n, err)
		}
	}
	body := strings.NewReader(`{"born": 400}`)
	resp, err := http.Post(f.sim+"/_sim/churn", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("churn: %s", answer)
	}
	f.rescanAll(t)
	rose := []string{"ShenscanLegacyInstancesRose", "ShenscanIncompatibleInstancesRose"}
	for _, name := range rose {
		eventually(t, name, func() error {
			n, err := firing(name)
			if err == nil && n == 0 {
				err = fmt.Errorf("silent")
			}
			return err
		})
	}
	// Who takes the rises for given begins another baseline, and they end.
	_, values := alerts()
	f.edit(t, "prometheus/alerts.yml", "alerts.yml", "baseline: "+values.Baseline, "baseline: another", fmt.Sprintf("baseline=%q", values.Baseline), `baseline="another"`)
	f.processes["prometheus"].Signal(t, syscall.SIGHUP)
	for _, name := range rose {
		eventually(t, name+" should end", f.alerting(name, false))
	}
	f.edit(t, "prometheus/alerts.yml", "alerts.yml") // as it was
	f.processes["prometheus"].Signal(t, syscall.SIGHUP)
	var rules grafanaFile
	text, err := os.ReadFile(filepath.Join(deploy, "grafana/provisioning/alerting/shenscan.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules.Groups[0].Rules {
		expr := rule.Data[0].Model["expr"].(string)
		eventually(t, rule.Title+": "+expr, func() error {
			n, err := f.ask(expr)
			if err == nil && n == 0 && !slices.Contains(silentAlerts, rule.Title) {
				err = fmt.Errorf("no data")
			}
			return err
		})
	}
}

// Every command line of Compose, Kubernetes and systemd has flags that exist.
func TestDeploymentCommandLines(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "shenscan")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/shenscan")
	build.Dir = filepath.Join(deploy, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	lines := 0
	check := func(where string, args []string) {
		lines++
		if out, err := exec.CommandContext(t.Context(), bin, append(slices.Clone(args), "--help")...).CombinedOutput(); err != nil {
			t.Errorf("%s: shenscan %s: %v\n%s", where, strings.Join(args, " "), err, out)
		}
	}
	units, _ := filepath.Glob(filepath.Join(deploy, "systemd/*.service"))
	for _, path := range units {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart="); ok {
				check(path, strings.Fields(command)[1:])
			}
		}
	}
	// Compose and Kubernetes: a list under "command" or "args" whose first word
	// is a role.
	var walk func(where string, n any)
	walk = func(where string, n any) {
		switch n := n.(type) {
		case map[string]any:
			for key, value := range n {
				var args []string
				if list, ok := value.([]any); ok && (key == "command" || key == "args") {
					for _, v := range list {
						args = append(args, fmt.Sprint(v))
					}
				}
				if len(args) > 0 && slices.Contains([]string{"serve", "producer", "worker", "sink"}, args[0]) {
					check(where, args)
				}
				walk(where, value)
			}
		case []any:
			for _, v := range n {
				walk(where, v)
			}
		}
	}
	manifests, _ := filepath.Glob(filepath.Join(deploy, "kubernetes/*.yaml"))
	for _, path := range append(manifests, filepath.Join(deploy, "compose.yaml")) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var doc any
			if err := dec.Decode(&doc); err != nil {
				if err != io.EOF {
					t.Errorf("%s: %v", path, err)
				}
				break
			}
			walk(path, doc)
		}
	}
	if lines != 10 {
		t.Errorf("%d command lines were found, want 4 units, 3 services and 3 manifests", lines)
	}
}

// What Compose mounts is there, or is made by the commands in its comment.
func TestDeploymentComposeFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(deploy, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	made := []string{"./events-secret", "./nats/keys/keys.conf", "./nats/keys/producer.nk", "./nats/keys/worker.nk", "./nats/keys/sink.nk"}
	for _, m := range regexp.MustCompile(`\./[a-z./-]+`).FindAllString(string(text), -1) {
		if slices.Contains(made, m) {
			continue
		}
		if _, err := os.Stat(filepath.Join(deploy, m)); err != nil {
			t.Errorf("compose.yaml: %v", err)
		}
	}
}
