//go:build chaos

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// What operators do to a service, and what befalls it, seen from outside: each
// left it standing still in silence once, or counted twice, or wrong.

// simulate changes what the simulated cloud does.
func (r *rig) simulate(method, path, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.sim+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
}

// scopes are the accounts and regions of the simulated cloud that have instances.
func (r *rig) scopes() (out []struct{ Account, Region string }) {
	r.t.Helper()
	fleet, err := proctest.Get(r.sim + "/_sim/fleet")
	if err != nil {
		r.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(fleet), &out); err != nil || len(out) == 0 {
		r.t.Fatalf("no fleet: %v", err)
	}
	return out
}

// page is one answer of a role's HTTP listener.
func (r *rig) page(listen, path string) string {
	r.t.Helper()
	body, err := proctest.Get("http://" + listen + path)
	if err != nil {
		r.t.Fatal(err)
	}
	return body
}

// anotherSink is a sink beside the rig's, with a page.
func (r *rig) anotherSink(name string, args ...string) (*member, string) {
	r.t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(r.t))
	m := newMember(r.t, r.dir, name, bins.shenscan, r.env, append([]string{
		"sink", "--nats-url", r.natsURL, "--sink-name", name, "--store", filepath.Join(r.dir, name), "--listen", listen, "--log-level", "info",
		"--nats-replicas", strconv.Itoa(max(1, r.o.nodes)),
	}, args...)...)
	r.roles = append(r.roles, m)
	return m, listen
}

// instead ends the roles of a kind for good and starts others in their place.
func (r *rig) instead(kind string, args ...string) {
	r.t.Helper()
	for i, m := range r.roles {
		if !strings.HasPrefix(m.name, kind) {
			continue
		}
		if err := m.terminate(); err != nil {
			r.t.Error(err)
		}
		r.roles[i] = newMember(r.t, r.dir, m.name+"-again", r.o.bin, m.env, append(slices.Clone(m.args), args...)...)
	}
}

// nobodyRestarted fails the test for every role that ended by itself.
func (r *rig) nobodyRestarted() {
	r.t.Helper()
	for _, m := range r.roles {
		if m.own > 0 {
			r.t.Errorf("%s ended %d times by itself:\n%s", m.name, m.own, tail(m.log, 1000))
		}
	}
}

// exitCode is that of a command which ended, 0 where it succeeded.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// TestQuorumIsLost takes two of three servers away in the middle of a scan, twice,
// and brings them back: the scan goes on, whichever server had whose consumer.
func TestQuorumIsLost(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 120 * time.Millisecond, lanes: 1, workers: 2, nodes: 3})
	disturbed(t, r, func(string) {
		_, listen := r.anotherSink("watched")
		ready := func() error { _, err := proctest.Get("http://" + listen + "/readyz"); return err }
		within(t, time.Minute, "the second sink is ready", func() bool { return ready() == nil })
		for _, pair := range [][]*member{{r.nats[1], r.nats[2]}, {r.nats[0], r.nats[1]}} {
			was := r.flow().results
			within(t, time.Minute, "results flow", func() bool { return r.flow().results > was+5 })
			for _, node := range pair {
				node.stop(syscall.SIGKILL)
			}
			lost := time.Now()
			within(t, time.Minute, "the loss of the quorum shows", func() bool { return ready() != nil })
			time.Sleep(time.Until(lost.Add(time.Duration(6+r.rng.IntN(6)) * time.Second))) // elections fail, and everybody notices
			for _, node := range pair {
				node.revive(t)
			}
			within(t, time.Minute, "all is well again", func() bool { return ready() == nil })
		}
		was := r.flow().results
		within(t, 90*time.Second, "results flow again", func() bool { return r.flow().results > was+5 })
	})
	r.nobodyRestarted()
}

// TestScanIntoARelativeFolder scans into ./x, is killed in the middle of a second
// scan, and scans there again: the folder of the embedded NATS lies in the store's,
// and nothing takes it for another one's.
func TestScanIntoARelativeFolder(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 5_000, latency: 400 * time.Millisecond})
	before := r.faultless()
	scan := []string{"scan", "--endpoint", r.sim, "--store", "./x", "--output", "jsonl", "--start-rate", "2000"}
	for _, when := range []string{"at first", "after a kill"} {
		out, err := r.shenscan(scan...)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if !r.equal(when, before, r.records(out)) {
			t.Errorf("%s: the store is not what a fault-free run's is", when)
		}
		if when != "at first" {
			break
		}
		r.slow()
		m := newMember(t, r.dir, "scan", bins.shenscan, r.env, append(scan, "--concurrency", "1")...)
		time.Sleep(1500 * time.Millisecond) // of twenty seconds
		m.stop(syscall.SIGKILL)
		<-m.done
		r.simulate(http.MethodPost, "latency", `"0s"`)
		if m.starts != 1 || m.own != 0 {
			t.Errorf("the scan that was to be killed had ended by itself: the run proves nothing")
		}
	}
}

// TestASinkThatLagsIsAskedNothing has a second sink that never catches up, while a
// schedule comes more often than a scan takes. Nobody hears from it that a scan or
// an instance is not there, and no tick takes its word for the end of a scan.
func TestASinkThatLagsIsAskedNothing(t *testing.T) {
	config := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(config, []byte("schedules:\n  - name: often\n    cron: \"*/3 * * * * *\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, seed(t), setup{instances: 20_000, latency: 150 * time.Millisecond, lanes: 2, producers: 2, workers: 2, config: config})
	before := r.faultless()
	r.start()
	first := ""
	within(t, 2*time.Minute, "a first scan ends", func() bool {
		for _, s := range r.scanEvents() {
			if s.State == record.ScanComplete {
				first = s.ID
			}
		}
		return first != ""
	})
	lags, listen := r.anotherSink("lags", "--store-max-mib", "1")
	within(t, time.Minute, "the store of the second sink is full", func() bool { return strings.Contains(tail(lags.log, 20_000), "results were not applied") })
	if metrics := r.page(listen, "/metrics"); !strings.Contains(metrics, "shenscan_caught_up 0") {
		t.Error("the second sink says that it has caught up: the run proves nothing")
	}
	r.slow()
	known := ""
	for key := range before {
		known = key[strings.LastIndexByte(key, '/')+1:]
		break
	}
	for range 150 {
		var s record.Scan
		if err := r.call(20*time.Second, event.SubjectQueryScan, map[string]string{"scan_id": first}, &s); err != nil || s.State != record.ScanComplete {
			t.Fatalf("scan %s is said to be %s: %v", first, s.State, err)
		}
		var one struct {
			NotFound []string `json:"not_found"`
		}
		if err := r.call(20*time.Second, event.SubjectQueryInstance, map[string]string{"instance_id": known}, &one); err != nil || len(one.NotFound) > 0 {
			t.Fatalf("instance %s is said not to be there: %v %v", known, one.NotFound, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if _, err := r.shenscan("rescan", "i-bp1nobodyhasthis0", "--nats-url", r.natsURL); exitCode(t, err) != 4 {
		t.Errorf("rescan of an instance that is nowhere: %v, want exit code 4", err)
	}
	skipped := 0
	for _, m := range r.roles {
		body, err := os.ReadFile(m.log)
		if err != nil {
			t.Fatal(err)
		}
		skipped += strings.Count(string(body), "tick of a schedule is left out")
	}
	if skipped == 0 {
		t.Error("no tick was left out: the run proves nothing")
	}
	// No two scans of the fleet at once.
	ended := map[string]time.Time{}
	var scans []record.Scan
	for _, s := range r.scanEvents() {
		if s.EndedAt != nil {
			ended[s.ID] = *s.EndedAt
		} else {
			scans = append(scans, s)
		}
	}
	slices.SortFunc(scans, func(a, b record.Scan) int { return a.StartedAt.Compare(b.StartedAt) })
	for i := range scans[1:] {
		if end, ok := ended[scans[i].ID]; !ok || scans[i+1].StartedAt.Before(end) {
			t.Errorf("scan %s began at %s, before %s had ended (%s)", scans[i+1].ID, scans[i+1].StartedAt, scans[i].ID, end)
		}
	}
	t.Logf("%d scans one after the other, %d ticks left out", len(scans), skipped)
	r.healthy()
}

// scanEvents are the events of scans that the stream holds, rescans left out.
func (r *rig) scanEvents() (out []record.Scan) {
	s, err := r.js.Stream(r.t.Context(), bus.StreamEvents)
	if err != nil {
		return nil
	}
	info := s.CachedInfo()
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		raw, err := s.GetMsg(r.t.Context(), seq, jetstream.WithGetMsgSubject("shenscan.events.scan.>"))
		if err != nil {
			break // none is left
		}
		seq = raw.Sequence
		var e struct {
			Data record.Scan `json:"data"`
		}
		if err := json.Unmarshal(raw.Data, &e); err != nil {
			r.t.Fatalf("event %d: %v", seq, err)
		}
		if e.Data.Kind == string(event.KindScan) {
			out = append(out, e.Data)
		}
	}
	return out
}

// TestAnAccountIsOneWhateverItIsCalled scans with the keys of the environment, then
// with the same account named in the file, then under another name, then as a member
// of the resource directory: every instance is there once. Then a region is not listed any more, and is settled.
func TestAnAccountIsOneWhateverItIsCalled(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1})
	before := r.faultless()
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(r.dir, "keys.json")
	if err := os.WriteFile(keys, fmt.Appendf(nil, `{"access_key_id":%q,"access_key_secret":%q}`, ecssim.DemoAccessKeyID, ecssim.DemoAccessKeySecret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop", "plant", ""} {
		config := filepath.Join(r.dir, name+".yaml")
		text := fmt.Sprintf("accounts:\n  - name: %s\n    access_key_file: %s\n", name, keys)
		if name == "" { // as a member of the directory, which names it as it likes
			text = "resource_directory:\n  role_name: shenscan\n"
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.instead("producer", "--config", config)
		r.instead("worker", "--config", config)
		scans, err := r.complete(r.request(), 2*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scans {
			if s.New+s.Gone+s.Changed > 0 || s.Instances != len(before) || len(s.Accounts) != 1 || name != "" && s.Accounts[0].Name != name {
				t.Errorf("called %s: %d instances, %d new, %d gone, %d changed, accounts %+v", name, s.Instances, s.New, s.Gone, s.Changed, s.Accounts)
			}
		}
	}
	r.simulate(http.MethodPost, "contradictions", `["region-vanishes"]`)
	s, ok := r.await(r.request(), 2*time.Minute)
	if !ok || s.State != record.ScanPartial {
		t.Fatalf("a region is not listed any more, and the scan is %s", s.State)
	}
	var account, region string
	for _, scope := range s.Scopes {
		if scope.Completeness != record.ScopeComplete {
			account, region = scope.Account, scope.Region
		}
	}
	if err := r.sinks[0].terminate(); err != nil {
		t.Error(err)
	}
	out, err := r.shenscan("report", "--store", r.stores[0], "--output", "jsonl")
	if code := exitCode(t, err); code != 4 {
		t.Errorf("report of a store of which a region is not read any more: exit code %d, want 4", code)
	}
	got := r.records(out)
	delete(got, "//") // the last line, which says what was not read
	if len(got) != len(before) {
		t.Errorf("%d instances in the store, %d exist", len(got), len(before))
	}
	for key := range before {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is not in the store", key)
			break
		}
	}
	if out, err := r.shenscan("store", "forget", "--store", r.stores[0], "--account", account, "--region", region); err != nil {
		t.Fatalf("forget %s/%s: %v %s", account, region, err, out)
	}
	r.sinks[0].revive(t)
	if s, ok = r.await(r.request(), 2*time.Minute); !ok || s.State != record.ScanComplete {
		t.Errorf("after the region was settled the scan is %s: %v", s.State, failures(&s))
	}
	r.healthy()
}

// TestOneAccountHoldsUpNobody has four accounts, of which one is not answered when
// its regions are asked for: the others are read to their end meanwhile, and the
// scan says whom it waits for. Then every region of it is refused, and counts.
func TestOneAccountHoldsUpNobody(t *testing.T) {
	config := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(config, []byte("resource_directory:\n  role_name: shenscan\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, seed(t), setup{instances: 4000, workers: 1, accounts: 4, config: config})
	r.start()
	_, listen := r.anotherSink("watched")
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	slow, regions := "", 0
	for _, scope := range r.scopes() {
		slow = max(slow, scope.Account)
	}
	for _, scope := range r.scopes() {
		if scope.Account == slow {
			regions++
		}
	}
	r.simulate(http.MethodPost, "faults", fmt.Sprintf(`{"kind":"throttle","action":"DescribeRegions","account":%q,"rate":1}`, slow))
	id := r.request()
	within(t, time.Minute, "the other accounts are read to their end while one is not answered", func() bool {
		s := r.state(id)
		whole := 0
		for _, a := range s.Accounts {
			if a.Account != slow && a.Regions > 0 && a.Complete == a.Regions {
				whole++
			}
			if a.Account == slow && !a.Planning {
				t.Fatalf("the account that is not answered is %+v", a)
			}
		}
		return s.State == record.ScanRunning && whole == 3
	})
	if metrics := r.page(listen, "/metrics"); !strings.Contains(metrics, fmt.Sprintf("shenscan_scan_account_planning{account=%q} 1", slow)) {
		t.Error("the metrics do not say which account the scan waits for")
	}
	r.simulate(http.MethodDelete, "faults", "")
	if s, ok := r.await(id, 2*time.Minute); !ok || s.State != record.ScanComplete {
		t.Errorf("the scan is %s: %v", s.State, failures(&s))
	}
	r.simulate(http.MethodPost, "faults", fmt.Sprintf(`{"kind":"forbidden","action":"DescribeInstances","account":%q}`, slow))
	s, ok := r.await(r.request(), 2*time.Minute)
	if !ok || s.State != record.ScanPartial {
		t.Errorf("an account is refused, and the scan is %s", s.State)
	}
	for _, a := range s.Accounts {
		if want := map[bool]int{true: regions}[a.Account == slow]; a.Failed < want || a.Failed != a.Regions-a.Complete-a.Partial {
			t.Errorf("account %s: %d regions, %d complete, %d partial, %d failed; want at least %d failed", a.Account, a.Regions, a.Complete, a.Partial, a.Failed, want)
		}
	}
	r.nobodyRestarted()
	r.healthy()
}

// TestNothingMisspeltBecomesState asks for what is not there, on every way: it is
// refused by name, and neither the streams nor the store have anything of it.
func TestNothingMisspeltBecomesState(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1})
	r.start()
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	before := r.ends()
	for name, ask := range map[string]struct {
		subject string
		request any
	}{
		"an account":             {event.SubjectScan, record.ScanRequest{Accounts: []string{"shpo"}}},
		"a region":               {event.SubjectScan, record.ScanRequest{Regions: []string{"cn-hangzou"}}},
		"a key":                  {event.SubjectScan, map[string]any{"acounts": []string{"shop"}}},
		"an account of a rescan": {event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{"i-bp1nobodyhasthis0"}, Account: "shpo"}},
		"a region of a rescan":   {event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{"i-bp1nobodyhasthis0"}, Region: "cn-hangzou"}},
		"no instance":            {event.SubjectRescan, record.RescanRequest{}},
	} {
		var reply json.RawMessage
		err := r.call(0, ask.subject, ask.request, &reply)
		var refused *bus.ServiceError
		if !errors.As(err, &refused) || refused.Code != "400" {
			t.Errorf("%s that is misspelt: %v %s, want code 400", name, err, reply)
		}
	}
	var reply record.RescanReply
	if err := r.call(0, event.SubjectRescan, record.RescanRequest{InstanceIDs: []string{"prod-web-1"}}, &reply); err != nil || reply.ScanID != "" || len(reply.Rejected) != 1 {
		t.Errorf("a name in place of an instance's id: %+v, %v", reply, err)
	}
	for _, flags := range [][]string{{"--all", "--region", "cn-hangzou"}, {"--all", "--account", "shpo"}, {"--region", "cn-hangzou", "i-bp1nobodyhasthis0"}} {
		out, err := r.shenscan(append([]string{"rescan", "--nats-url", r.natsURL}, flags...)...)
		if exitCode(t, err) == 0 {
			t.Errorf("rescan %v is taken: %s", flags, out)
		}
	}
	if after := r.ends(); after != before {
		t.Errorf("the streams end at %v, before at %v", after, before)
	}
	r.healthy()
}

// ends are where the streams of jobs, pages and results end.
func (r *rig) ends() (out [3]uint64) {
	r.t.Helper()
	for i, name := range []string{bus.StreamWork, bus.StreamPages, bus.StreamResults} {
		s, err := r.js.Stream(r.t.Context(), name)
		if err != nil {
			r.t.Fatal(err)
		}
		out[i] = s.CachedInfo().State.LastSeq
	}
	return out
}

// TestDeadLettersFromNoneOn lists the dead letters of a service that never had one,
// then has a rescan die that no caller could have asked for: it is listed and can be
// dropped, and is no point of the trend.
func TestDeadLettersFromNoneOn(t *testing.T) {
	r := newRig(t, seed(t), setup{instances: 2000, workers: 1})
	r.start()
	_, listen := r.anotherSink("watched")
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	dead := func(args ...string) string {
		t.Helper()
		out, err := r.shenscan(append([]string{"dead"}, append(args, "--nats-url", r.natsURL)...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if list := dead("list", "--output", "jsonl"); list != "" {
		t.Errorf("dead letters before a message was ever dead: %s", list)
	}
	points := func() int { return strings.Count(r.page(listen, "/api/v1/trend"), `"scan_id"`) }
	within(t, time.Minute, "the scan is a point of the trend", func() bool { return points() == 1 })
	rescan := &event.ScanRequested{ScanID: "r-20260101T000000-dead", Kind: event.KindRescan} // it names no instance
	payload, err := event.Encode(rescan)
	if err != nil {
		t.Fatal(err)
	}
	subject, msgID := event.Route(rescan)
	if _, err := r.nc.RequestMsg(&nats.Msg{Subject: subject, Data: payload, Header: nats.Header{"Nats-Msg-Id": {msgID}}}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	var letter struct {
		ID    uint64 `json:"id"`
		Cause string `json:"cause"`
	}
	within(t, time.Minute, "the rescan is a dead letter", func() bool {
		list := dead("list", "--output", "jsonl")
		return list != "" && json.Unmarshal([]byte(list), &letter) == nil && strings.Contains(letter.Cause, "names no instance")
	})
	within(t, time.Minute, "the rescan has ended", func() bool {
		s := r.state(rescan.ScanID)
		return s.State == record.ScanAborted || s.State == record.ScanPartial
	})
	dead("drop", strconv.FormatUint(letter.ID, 10))
	if list := dead("list", "--output", "jsonl"); list != "" {
		t.Errorf("dead letters after the only one was dropped: %s", list)
	}
	if _, err := r.complete(r.request(), 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "the second scan is a point of the trend", func() bool { return points() >= 2 })
	if n := points(); n != 2 {
		t.Errorf("%d points of the trend, want those of the two scans", n)
	}
	r.healthy()
}
