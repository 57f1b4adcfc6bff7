package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// probed are the calls that reach machines.
func probed(sim *ecssim.Server) (out []string) {
	for _, c := range sim.Stats().Calls {
		if c.Action == "RunCommand" || c.Action == "DescribeInvocationResults" {
			out = append(out, c.Action)
		}
	}
	return out
}

// explained is what explain says of when a machine answered, in JSON and as text;
// nil where that is not asked for.
func explained(t *testing.T, store, id string, wanted bool) *record.GuestEvidence {
	t.Helper()
	if !wanted {
		return nil
	}
	var got record.Explained
	if err := json.Unmarshal([]byte(run(t, env(), "rules", "explain", id, "--store", store, "--output", "json").stdout), &got); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(got.GuestEvidence, func(e record.GuestEvidence) bool { return e.Source == "probe" })
	if i < 0 {
		t.Fatalf("%s: nothing says when it answered: %+v", id, got.GuestEvidence)
	}
	told := &got.GuestEvidence[i]
	if text := run(t, env(), "rules", "explain", id, "--store", store).stdout; told.Heard != nil && !strings.Contains(text, told.Heard.Format(time.RFC3339)+", ") {
		t.Errorf("%s: its age is not shown:\n%s", id, text)
	}
	return told
}

// Nothing runs on any machine unless --probe says so; what machines answered
// then decides in that report and in later ones, and nobody is asked again.
func TestMachinesAreAskedWithProbeAlone(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 150, Regions: 2, Seed: 5, OfflineAgents: 0.1})
	dir := t.TempDir()
	scan := func(more ...string) result {
		t.Helper()
		r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", dir}, more...)...)
		if r.code != 0 {
			t.Fatalf("%v: exit %d: %s", more, r.code, r.stderr)
		}
		return r
	}
	answers := func(r result) (byID map[string]record.Record, evidence []record.Evidence) {
		t.Helper()
		var got struct {
			Instances []record.Record
			Evidence  []record.Evidence
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
			t.Fatal(err)
		}
		byID = map[string]record.Record{}
		for _, x := range got.Instances {
			byID[x.InstanceID] = x
		}
		return byID, got.Evidence
	}
	before, _ := answers(scan("--output", "json"))
	plan := scan("--probe", "--dry-run", "--region", sim.Regions()[0])
	if calls := probed(sim); len(calls) > 0 {
		t.Fatalf("machines were asked though nobody said so: %v", calls)
	}
	for _, want := range []string{"would be asked. Nobody was.", "ecs:RunCommand", "SHA-256", sim.Regions()[0]} {
		if !strings.Contains(plan.stdout, want) {
			t.Errorf("the plan does not say %q:\n%s", want, plan.stdout)
		}
	}
	if strings.Contains(plan.stdout, sim.Regions()[1]) {
		t.Errorf("the plan goes beyond the filter:\n%s", plan.stdout)
	}

	asked, evidence := answers(scan("--probe", "--output", "json"))
	stats := sim.Stats().Commands
	if stats.MostAsked != 1 || len(stats.Contents) != 2 {
		t.Errorf("%+v", stats)
	}
	guests, all := 0, 0
	for id, r := range asked {
		told := explained(t, dir, id, guests < 3 && r.OS.Evidence == rules.EvidenceGuest)
		if r.OS.Evidence == rules.EvidenceGuest {
			guests++
			if told != nil && (told.Heard == nil || told.AgeSeconds == nil || time.Since(*told.Heard).Abs() > time.Hour || told.Cause != "") {
				t.Errorf("%s: %+v", id, told)
			}
		}
		if len(before[id].Verdicts) == 0 {
			t.Errorf("%s was not there before", id)
		}
	}
	for _, e := range evidence {
		if e.Source != "probe" {
			continue
		}
		all += e.Asked
		missing := 0
		for _, s := range e.Skipped {
			missing += s.Count
			if in, _ := lang.Parse("zh"); in.Say(s.Cause) == s.Cause {
				t.Errorf("%q has no Chinese", s.Cause)
			}
		}
		if e.Answered+missing != e.Asked || e.Calls == 0 {
			t.Errorf("%+v", e)
		}
	}
	if guests < 75 || all != 150 {
		t.Errorf("%d machines answered, %d of 150 are accounted for", guests, all)
	}

	later, _ := answers(scan("--output", "json"))
	for id, r := range later {
		if r.OS.Evidence != asked[id].OS.Evidence || r.OS.Version != asked[id].OS.Version {
			t.Errorf("%s is forgotten: %+v, it was %+v", id, r.OS, asked[id].OS)
		}
	}
	scan("--probe")
	if again := sim.Stats().Commands; again.MostAsked != 1 || again.Instances != stats.Instances {
		t.Errorf("asked again: %+v", again)
	}
	for args, want := range map[string]string{"--dry-run": "--probe"} {
		if r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", dir}, strings.Fields(args)...)...); r.code != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d: %s", args, r.code, r.stderr)
		}
	}
}

// Where the filter has a name that the scan saw nowhere, nobody is asked, not even
// those that its other names let through.
func TestANameThatNoMachineHasAsksNobody(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 1, Seed: 5})
	for _, more := range [][]string{{"--tag", "nosuch", "--dry-run"}, {"--os", "centos", "--os", "cntos"}, {"--exclude", "family=ecs.g99"}} {
		r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--probe"}, more...)...)
		if r.code != 2 || !strings.Contains(r.stderr, "has ever seen") || strings.Contains(r.stdout, "would be asked") {
			t.Errorf("%v: exit %d: %s%s", more, r.code, r.stdout, r.stderr)
		}
	}
	if calls := probed(sim); len(calls) > 0 {
		t.Errorf("machines were asked: %v", calls)
	}
}

// A permission that is missing is named, and the scan is as it would be without.
func TestAProbeWithoutPermissionLeavesTheScanWhole(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 1, Seed: 5})
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: "RunCommand"}); err != nil {
		t.Fatal(err)
	}
	r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--probe")
	if r.code != 0 || !strings.Contains(r.stderr, "ram-policy-probe.json") || !strings.Contains(r.stdout, "asking is not possible") {
		t.Errorf("exit %d: %s\n%s", r.code, r.stderr, r.stdout)
	}
}

// A service asks after each scan those that its filter names, is killed while it
// asks, and asks nobody twice when it is back.
func TestAServiceAsksWithinItsFilterAndNobodyTwice(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 5})
	dir := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", dir); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	serve := []string{"serve", "--endpoint", sim.URL, "--store", dir, "--listen", "127.0.0.1:0", "--probe", "--os", "windows-server", "--log-level", "info"}
	if r := run(t, env(), "serve", "--endpoint", sim.URL, "--store", dir, "--os", "windows-server"); r.code != 2 || !strings.Contains(r.stderr, "--probe") {
		t.Fatalf("a filter of nothing: exit %d: %s", r.code, r.stderr)
	}
	p := start(t, env(), shenscan, serve...)
	eventually(t, "machines are asked", func() bool { return sim.Stats().Commands.Instances > 0 })
	p.kill()
	killed := p.output()
	p = start(t, env(), shenscan, serve...)
	eventually(t, "the machines have answered", func() bool {
		return strings.Contains(p.output(), "msg=\"machines were asked\"") && strings.Contains(p.output(), "answered=")
	})
	p.stop()
	if !strings.Contains(p.output(), "script_sha256=") && !strings.Contains(killed, "script_sha256=") {
		t.Errorf("the script is not named:\n%s", p.output())
	}
	if got := sim.Stats().Commands; got.MostAsked != 1 || len(got.Contents) != 1 {
		t.Errorf("%+v", got)
	}
	r := run(t, env(), "report", "--store", dir, "--output", "jsonl")
	guests := 0
	for _, x := range records(t, r.stdout) {
		if x.OS.Evidence != rules.EvidenceGuest {
			continue
		}
		if guests++; x.OS.Family != "windows-server" {
			t.Errorf("%s, which is %s, was asked beyond the filter", x.InstanceID, x.OS.Family)
		}
	}
	if guests == 0 {
		t.Error("no machine's answer is in the store")
	}
}

// Of two services on one NATS, each with its store, one asks; it is killed while
// it does, the other goes on, and no machine is asked twice, nor when both are
// back with their answers.
func TestTwoServicesAskEachMachineOnce(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 700, Regions: 3, Seed: 5, OfflineAgents: 0.1, Latency: ecssim.Latency{Kind: "fixed", A: 20 * time.Millisecond}})
	srv, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
		JetStreamMaxStore: 1 << 40, // streams reserve room, and two services that make one at the same moment for a moment twice as much
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	dirs := [2]string{t.TempDir(), t.TempDir()}
	service := func(i int) *process {
		return start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", dirs[i], "--listen", "127.0.0.1:0", "--nats-url", srv.ClientURL(),
			"--sink-name", fmt.Sprint("s", i), "--probe", "--log-level", "info")
	}
	asks := func(p *process) bool { return strings.Contains(p.output(), "machines are asked: a script") }
	services := [2]*process{service(0), service(1)}
	eventually(t, "a service takes a scan", func() bool {
		return run(t, env(), "rescan", "--all", "--nats-url", srv.ClientURL(), "--no-wait").code == 0
	})
	eventually(t, "one of both asks", func() bool { return sim.Stats().Commands.Instances > 0 && (asks(services[0]) || asks(services[1])) })
	first := 0
	if asks(services[1]) {
		first = 1
	}
	if asks(services[0]) && asks(services[1]) {
		t.Error("both ask at the same time")
	}
	services[first].kill()
	midway := sim.Stats().Commands
	other := services[1-first]
	done := func(p *process) bool { return strings.Contains(p.output(), `msg="machines were asked"`) }
	eventually(t, "the other one goes on to the end", func() bool { return done(other) })
	services[first] = service(first)
	eventually(t, "the first one is back and has nobody to ask", func() bool { return done(services[first]) })
	after := sim.Stats().Commands
	if after.MostAsked != 1 || after.Instances <= midway.Instances {
		t.Errorf("%d machines were asked before the kill, %d in all, the most asked one %d times", midway.Instances, after.Instances, after.MostAsked)
	}
	if asks(services[first]) {
		t.Error("the first one asks again when it is back")
	}
	heard := [2]int{}
	for i, p := range services {
		p.stop()
		r := run(t, env(), "report", "--store", dirs[i], "--output", "jsonl")
		for _, x := range records(t, r.stdout) {
			if x.OS.Evidence == rules.EvidenceGuest {
				heard[i]++
			}
		}
	}
	if heard[0] == 0 || heard[0] != heard[1] {
		t.Errorf("the stores know of %v machines by themselves", heard)
	}
	t.Logf("%d machines were asked before the kill, %d in all; answers of %d", midway.Instances, after.Instances, heard[0])
}

// The questions that are listed come with commands that run, and none is made
// up: asked, they settle what they said.
func TestQuestionsThatSettleWhatIsUnknown(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 5})
	dir := t.TempDir()
	unknown := func() (n, certain int) {
		t.Helper()
		r := run(t, env(), "plan", "--settle", "--target", "shenlong-8", "--store", dir, "--output", "json")
		var s struct {
			Unknown, Rest int
			Questions     []struct {
				Ask          string
				Settles, May int
				Commands     []string
			}
		}
		if err := json.Unmarshal([]byte(r.stdout), &s); err != nil || r.code != 0 {
			t.Fatalf("exit %d: %v: %s", r.code, err, r.stderr)
		}
		total := s.Rest
		for _, q := range s.Questions {
			total += q.Settles + q.May
			if q.Ask == "platform" {
				certain = q.Settles
			}
		}
		if total != s.Unknown {
			t.Errorf("%d of %d are accounted for", total, s.Unknown)
		}
		return s.Unknown, certain
	}
	for _, evidence := range []string{"--platform-evidence=false", "--platform-evidence=true"} {
		if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", dir, evidence); r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.stderr)
		}
		if evidence == "--platform-evidence=true" {
			continue
		}
		before, certain := unknown()
		if before == 0 || certain == 0 {
			t.Fatalf("%d are unknown, the platform would settle %d", before, certain)
		}
		defer func() {
			if after, again := unknown(); after >= before || again > 0 {
				t.Errorf("%d were unknown, %d are, and the platform, which was asked, is to settle %d", before, after, again)
			}
		}()
	}
	if r := run(t, env(), "plan", "--settle", "--output", "csv", "--store", dir); r.code != 2 || !strings.Contains(r.stderr, "csv") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	if r := run(t, env(), "plan", "--settle", "--availability", "--store", dir); r.code != 2 || !strings.Contains(r.stderr, "--availability") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
}
