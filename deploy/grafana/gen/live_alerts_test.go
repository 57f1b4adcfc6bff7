//go:build live

package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/internal/proctest"
)

// hurry is how much faster time passes in the windows of the rules in the second
// part of the test, and hurryFor in their waits. Nothing else is changed.
const (
	hurry    = 60
	hurryFor = 360
)

var (
	window   = regexp.MustCompile(`\[(\d+)([mhd])\]|offset (\d+)([mhd])`)
	staleFor = regexp.MustCompile(`> (93600|15552000)$`) // a scan after a day, knowledge after half a year
)

// hurried is the real rules file with every span of time that much shorter, and
// at least two seconds; a scan and
// knowledge are old after seconds.
func (f *fleet) hurried(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, "prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file promFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	short := func(number, unit string, by int) string {
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		seconds := map[string]int{"m": 60, "h": 3600, "d": 86400}[unit] * n / by
		return strconv.Itoa(max(seconds, 2)) + "s"
	}
	stale := 0
	for i := range file.Groups[0].Rules {
		r := &file.Groups[0].Rules[i]
		r.Expr = window.ReplaceAllStringFunc(r.Expr, func(s string) string {
			m := window.FindStringSubmatch(s)
			if m[1] != "" {
				return "[" + short(m[1], m[2], hurry) + "]"
			}
			return "offset " + short(m[3], m[4], hurry)
		})
		if staleFor.MatchString(r.Expr) {
			stale++
			r.Expr = staleFor.ReplaceAllString(r.Expr, "> 20")
		}
		if r.For != "" {
			r.For = short(r.For[:len(r.For)-1], r.For[len(r.For)-1:], hurryFor)
		}
	}
	if stale != 2 {
		t.Fatalf("%d rules compare with a day and two hours or with half a year, want 2", stale)
	}
	out, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "alerts.yml"), out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// alerting says whether an alert fires, as an error that eventually waits for.
func (f *fleet) alerting(name string, want bool) func() error {
	return func() error {
		n, err := f.ask(`ALERTS{alertname="` + name + `", alertstate="firing"}`)
		if err == nil && (n > 0) != want {
			err = fmt.Errorf("%s: %d fire", name, n)
		}
		return err
	}
}

// simulator changes what the simulated cloud does.
func (f *fleet) simulator(t *testing.T, method, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.sim+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
}

// askForScan asks for a whole scan and does not wait for it.
func (f *fleet) askForScan(t *testing.T) {
	t.Helper()
	f.command(t, f.dir, f.bin, "rescan", "--all", "--no-wait", "--nats-url", f.nats, "--nats-nkey", filepath.Join(f.keys, "operator.nk"))
}

// untilAlert scans again and again until the alerts fire.
func (f *fleet) untilAlert(t *testing.T, names ...string) {
	t.Helper()
	f.askForScan(t)
	for _, name := range names {
		last := time.Now()
		eventually(t, name+" should fire", func() error {
			if time.Since(last) > 3*time.Second {
				f.askForScan(t)
				last = time.Now()
			}
			return f.alerting(name, true)()
		})
	}
}

// scanAnew scans what there is now: a first request may join a scan that began
// before the change at hand, and end partial for what was wrong then.
func (f *fleet) scanAnew(t *testing.T) {
	t.Helper()
	out, err := f.try(t, f.dir, f.bin, f.rescan()...)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 4) {
		t.Fatalf("rescan: %v\n%s", err, out)
	}
	f.rescanAll(t)
}

func (f *fleet) silent(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		eventually(t, name+" should end", f.alerting(name, false))
	}
}

// checkEveryAlert brings about every trouble that an alert is for, sees the
// alert fire, mends the trouble, and sees the alert end.
func checkEveryAlert(t *testing.T, f *fleet) {
	f.hurried(t)
	small := proctest.FreeAddress(t)
	f.edit(t, "prometheus/prometheus.yml", "prometheus.yml", "15s", "1s", "127.0.0.1:10470", strings.Join(append(f.metrics, small), "\n          - "))
	f.processes["prometheus"].Signal(t, syscall.SIGHUP)
	seen := map[string]bool{"ShenscanLegacyInstancesRose": true, "ShenscanIncompatibleInstancesRose": true} // before
	for _, c := range []struct {
		what   string
		alerts []string
		run    func(t *testing.T, alerts []string)
	}{
		{"a region is not permitted", []string{"ShenscanScanPartial", "ShenscanRegionsFailed"}, f.regionForbidden},
		{"others use up the quota", []string{"ShenscanThrottled"}, f.quotaUsedUp},
		{"instances run systems that nobody knows", []string{"ShenscanUnknownShareHigh"}, f.systemsUnknown},
		{"a message says nothing", []string{"ShenscanDeadLetters"}, f.messageHostile},
		{"no worker takes pages", []string{"ShenscanDown", "ShenscanPipelineBehind", "ShenscanPagesHeld"}, f.workersStopped},
		{"a store may not grow, and a waiver ends", []string{"ShenscanStoreNearLimit", "ShenscanSinkNotCaughtUp", "ShenscanWaiverEnding"}, func(t *testing.T, alerts []string) { f.storeFull(t, small, alerts) }},
		{"a reload is refused", []string{"ShenscanReloadRefused"}, f.reloadRefused},
		{"the store is moved away", []string{"ShenscanStoreReplaced"}, f.storeMoved},
		{"an account is refused", []string{"ShenscanAccountRefused"}, f.accountRefused},
		{"the regions of an account are not told", []string{"ShenscanAccountHoldsScan"}, f.regionsUntold},
		{"a region is not listed any more", []string{"ShenscanScopesUnlisted"}, f.regionUnlisted},
		{"NATS is emptied", []string{
			"ShenscanNATSUnreachable", "ShenscanStreamMissing", "ShenscanConsumerDown", "ShenscanRoleMissing", "ShenscanConsumerMadeAgain",
		}, func(_ *testing.T, alerts []string) { f.natsEmptied(t, alerts) }}, // the new server runs until the whole test ends
		{"knowledge is old", []string{"ShenscanKnowledgeOld"}, func(t *testing.T, alerts []string) {
			eventually(t, alerts[0]+" should fire", f.alerting(alerts[0], true)) // it ends with a newer release alone
		}},
		{"nobody scans", []string{"ShenscanScanStale"}, func(t *testing.T, alerts []string) {
			for _, name := range alerts {
				eventually(t, name+" should fire", f.alerting(name, true))
			}
			f.scanAnew(t)
			f.silent(t, alerts...)
		}},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) { c.run(t, c.alerts) })
		for _, name := range c.alerts {
			seen[name] = true
		}
	}
	for _, a := range allAlerts() {
		switch a.name {
		case "ShenscanNATSNoQuorum", "ShenscanTicksSkipped": // TestDeploymentClusterAlerts brings these about: one server always has a quorum, and the schedule of this fleet comes at night
			continue
		case "ShenscanMovedNotUp": // a move is judged a quarter of an hour after it was seen: the store's tests move the clock
			continue
		}
		if !seen[a.name] {
			t.Errorf("%s was not brought about", a.name)
		}
	}
}

func (f *fleet) regionForbidden(t *testing.T, alerts []string) {
	fleet, err := proctest.Get(f.sim + "/_sim/fleet")
	if err != nil {
		t.Fatal(err)
	}
	var scopes []struct{ Region string }
	if err := json.Unmarshal([]byte(fleet), &scopes); err != nil || len(scopes) < 2 {
		t.Fatalf("fleet: %v: %s", err, fleet)
	}
	f.simulator(t, http.MethodPost, "faults", fmt.Sprintf(`{"kind":"forbidden","action":"DescribeInstances","region":%q}`, scopes[1].Region))
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodDelete, "faults", "")
	f.scanAnew(t)
	f.silent(t, alerts...)
}

func (f *fleet) quotaUsedUp(t *testing.T, alerts []string) {
	f.simulator(t, http.MethodPost, "faults", `{"kind":"throttle","rate":0.4}`)
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodDelete, "faults", "")
	f.scanAnew(t)
	f.silent(t, alerts...)
}

// systemsUnknown takes the names of the systems from a fifth of the fleet. The
// fleet as it is raises nothing, though much of it is unknown for the newest class.
func (f *fleet) systemsUnknown(t *testing.T, alerts []string) {
	truth, err := proctest.Get(f.sim + "/_sim/truth")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(truth) {
		var one struct {
			InstanceID string `json:"instance_id"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.InstanceID == "" {
			t.Fatalf("truth: %v: %s", err, line)
		}
		ids = append(ids, one.InstanceID)
	}
	some := ids[:len(ids)/5]
	become := func(change string) {
		for _, id := range some {
			f.simulator(t, http.MethodPost, "instances/"+id, change)
		}
	}
	f.scanAnew(t)
	f.silent(t, alerts...)
	become(`{"os_name":"Customized Linux"}`)
	f.untilAlert(t, alerts...)
	become(`{"os":"centos 7.9","instance_type":"ecs.g6.large"}`)
	f.scanAnew(t)
	f.silent(t, alerts...)
}

func (f *fleet) messageHostile(t *testing.T, alerts []string) {
	f.publish(t, "producer.nk", "shenscan.pages.bulk.account.region", "no page of any version")
	f.untilAlert(t, alerts...)
	as := []string{"--nats-url", f.nats, "--nats-nkey", filepath.Join(f.keys, "operator.nk")}
	list := f.command(t, f.dir, f.bin, append([]string{"dead", "list", "--output", "jsonl"}, as...)...)
	for line := range strings.Lines(list) {
		var one struct{ ID uint64 }
		if err := json.Unmarshal([]byte(line), &one); err != nil || one.ID == 0 {
			t.Fatalf("dead list: %v: %s", err, line)
		}
		f.command(t, f.dir, f.bin, append([]string{"dead", "drop", strconv.FormatUint(one.ID, 10)}, as...)...)
	}
	f.silent(t, alerts...)
}

func (f *fleet) workersStopped(t *testing.T, alerts []string) {
	both := []*proctest.Process{f.processes["worker 2"], f.processes["worker 3"]}
	signal := func(s os.Signal) {
		for _, p := range both {
			p.Signal(t, s)
		}
	}
	// Of a scan that is under way the stopped ones may hold every page that is
	// left: none would wait, and every further request would join it. They may
	// hold 16, which is more than this fleet fills where calls are quick: slow
	// ones fill a page each.
	f.scanAnew(t)
	f.simulator(t, http.MethodPost, "latency", `"400ms"`)
	signal(syscall.SIGSTOP)
	goOn := sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	defer goOn() // also when the test fails
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodPost, "latency", `"0s"`)
	goOn()
	f.silent(t, "ShenscanPipelineBehind", "ShenscanPagesHeld")
	// The small sink is not started yet: that one process is down is true.
	eventually(t, "the workers should be up", func() error {
		n, err := f.ask(`up{job="shenscan"} == 0`)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d processes are down, want the one that is not started", n)
		}
		return err
	})
}

func (f *fleet) storeFull(t *testing.T, address string, alerts []string) {
	waiver := filepath.Join(f.dir, "waiver.yaml")
	text := fmt.Sprintf("version: 1\nwaivers:\n  - {id: until-tomorrow, scope: {regions: [cn-none]}, until: %q, reason: the work is planned}\n", time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly))
	if err := os.WriteFile(waiver, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start(t, "small sink", f.bin, "sink", "--rules", waiver, "--config", filepath.Join(f.dir, "shenscan.yaml"), "--nats-url", f.nats,
		"--nats-nkey", filepath.Join(f.keys, "sink.nk"), "--listen", address, "--sink-name", "small",
		"--store", filepath.Join(f.dir, "small"), "--store-max-mib", "1")
	f.untilAlert(t, alerts...)  // a sink that lacks only the last few hundred messages counts as caught up
	f.silent(t, "ShenscanDown") // every process is reached
	f.processes["small sink"].Signal(t, os.Interrupt)
	f.silent(t, alerts...)
}

func (f *fleet) storeMoved(t *testing.T, alerts []string) {
	path := filepath.Join(f.dir, "store", "store.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, alerts[0]+" should fire", f.alerting(alerts[0], true))
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	f.silent(t, alerts...)
}

// reloadRefused lets the sink read a configuration with a mistake, and then the
// right one again.
func (f *fleet) reloadRefused(t *testing.T, alerts []string) {
	path := filepath.Join(f.dir, "shenscan.yaml")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(config []byte) {
		if err := os.WriteFile(path, config, 0o600); err != nil {
			t.Fatal(err)
		}
		f.processes["sink 1"].Signal(t, syscall.SIGHUP)
	}
	reload(append(bytes.Clone(right), "\nno_such_setting: 1\n"...))
	eventually(t, alerts[0]+" should fire", f.alerting(alerts[0], true))
	reload(right)
	f.silent(t, alerts...)
}

func (f *fleet) accountRefused(t *testing.T, alerts []string) {
	f.simulator(t, http.MethodPost, "faults", `{"kind":"forbidden"}`)
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodDelete, "faults", "")
	f.scanAnew(t)
	f.silent(t, alerts...)
}

// regionsUntold throttles the call that names an account's regions.
func (f *fleet) regionsUntold(t *testing.T, alerts []string) {
	f.simulator(t, http.MethodPost, "faults", `{"kind":"throttle","action":"DescribeRegions","rate":1}`)
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodDelete, "faults", "")
	f.scanAnew(t)
	f.silent(t, alerts...)
}

// regionUnlisted leaves a region out of DescribeRegions, and lists it again.
func (f *fleet) regionUnlisted(t *testing.T, alerts []string) {
	f.simulator(t, http.MethodPost, "contradictions", `["region-vanishes"]`)
	f.untilAlert(t, alerts...)
	f.simulator(t, http.MethodPost, "contradictions", `[]`)
	f.scanAnew(t)
	f.silent(t, alerts...)
}

// natsEmptied stops the server, deletes what it held, and starts it again while
// no producer can make the streams.
func (f *fleet) natsEmptied(t *testing.T, alerts []string) {
	producer, server := f.processes["producer 0"], f.processes["nats-server 0"]
	server.Signal(t, os.Interrupt)
	eventually(t, alerts[0]+" should fire", f.alerting(alerts[0], true))
	producer.Signal(t, syscall.SIGSTOP)
	goOn := sync.OnceFunc(func() { producer.Signal(t, syscall.SIGCONT) })
	defer goOn() // also when the test fails
	if err := os.RemoveAll(filepath.Join(f.dir, "nats0")); err != nil {
		t.Fatal(err)
	}
	f.startServer(t, "nats-server again", 0)
	for _, name := range alerts[1:4] {
		eventually(t, name+" should fire", f.alerting(name, true))
	}
	goOn()
	eventually(t, alerts[4]+" should fire", f.alerting(alerts[4], true))
	for _, address := range f.metrics {
		eventually(t, address+" should be ready again", func() error { _, err := proctest.Get("http://" + address + "/readyz"); return err })
	}
	f.scanAnew(t)
	f.silent(t, alerts...)
}

// publish sends one message as one of the users of nats-server.conf, in NATS's
// own protocol: nothing of shenscan would send what this test sends.
func (f *fleet) publish(t *testing.T, key, subject, payload string) {
	t.Helper()
	seed, err := os.ReadFile(filepath.Join(f.keys, key))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimSpace(string(seed)))
	if err != nil || len(raw) != 36 { // two bytes of kind, the seed, two of a checksum
		t.Fatalf("%s is no nkey: %v", key, err)
	}
	private := ed25519.NewKeyFromSeed(raw[2:34])
	conf, err := os.ReadFile(filepath.Join(f.keys, "keys.conf"))
	if err != nil {
		t.Fatal(err)
	}
	public := regexp.MustCompile(`PRODUCER_KEY: "(U[A-Z2-7]+)"`).FindStringSubmatch(string(conf))
	if public == nil {
		t.Fatalf("no key of the producer in %s", conf)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.nats, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	var info struct{ Nonce string }
	if !lines.Scan() || json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "INFO ")), &info) != nil || info.Nonce == "" {
		t.Fatalf("nats-server greets with %q, %v", lines.Text(), lines.Err())
	}
	signature := base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(info.Nonce)))
	fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"go\",\"version\":\"test\",\"protocol\":1,\"nkey\":%q,\"sig\":%q}\r\n", public[1], signature)
	fmt.Fprintf(conn, "PUB %s %d\r\n%s\r\nPING\r\n", subject, len(payload), payload)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "PONG"):
			return
		case strings.HasPrefix(line, "-ERR"):
			t.Fatalf("nats-server: %s", line)
		}
	}
	t.Fatalf("nats-server went away: %v", lines.Err())
}
