package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// evidenceReport is what a scan reports of evidence and instances.
type evidenceReport struct {
	Evidence  []record.Evidence `json:"evidence"`
	Instances []record.Record   `json:"instances"`
}

func scanEvidence(t *testing.T, sim *ecssim.Server, store string, args ...string) evidenceReport {
	t.Helper()
	r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", store, "--output", "json", "--launch-templates=false"}, args...)...)
	if r.code != 0 {
		t.Fatalf("exit %d: evidence that is missing makes no scan partial\n%s", r.code, r.stderr)
	}
	var out evidenceReport
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatal(err)
	}
	out.Instances = same(out.Instances)
	return out
}

// Each image of a region is asked about once, for one scan as for the next, and
// the report says how old the answers are.
func TestThePlatformIsAskedOnceForAnImage(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 600, Regions: 4, Seed: 7})
	store := t.TempDir()
	first := scanEvidence(t, sim, store, "--heartbeat-share=0")
	cold := sim.Stats()
	asked := 0
	for _, e := range first.Evidence {
		asked += e.Asked
		if e.Source != "platform" || e.Asked != e.Answered || e.Oldest == nil || e.Calls < e.Asked {
			t.Errorf("%+v", e)
		}
	}
	const yardsticks = 4 * 2 // of two architectures in each region
	if asked == 0 || cold.OfferedAsked < asked || cold.OfferedAsked > asked+yardsticks {
		t.Errorf("%d calls for %d images; want one each, and for the yardsticks", cold.OfferedAsked, asked)
	}
	second := scanEvidence(t, sim, store, "--heartbeat-share=0")
	if n := sim.Stats().OfferedAsked - cold.OfferedAsked; n > asked/10 { // none, but for the turn of a day
		t.Errorf("the second scan made %d calls", n)
	}
	if diff := difference(first.Instances, second.Instances); diff != "" {
		t.Errorf("the second scan says something else (-first +second):\n%.2000s", diff)
	}
	calls := 0
	for _, e := range second.Evidence {
		calls += e.Calls
		if e.Asked != e.Answered {
			t.Errorf("%+v", e)
		}
	}
	if calls > asked/10 {
		t.Errorf("the second report speaks of %d calls", calls)
	}
}

// Answers that are none leave verdicts as they are without asking, and the
// report names the cause.
func TestWhatThePlatformDoesNotSayLeavesVerdictsAsTheyAre(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 250, Regions: 2, Seed: 21}
	without := scanEvidence(t, simulator(t, o), t.TempDir(), "--platform-evidence=false", "--heartbeat-share=0")
	if len(without.Evidence) != 0 {
		t.Errorf("evidence that nobody asked for: %+v", without.Evidence)
	}
	denied := o
	denied.NoPlatform = true
	for name, tt := range map[string]struct {
		options ecssim.Options
		cause   string
	}{
		"denied":                      {denied, "Forbidden.RAM"},
		ecssim.OfferedErrorAs200.Name: {o, "Forbidden.RAM"},
		ecssim.OfferedOfOthers.Name:   {o, "about image"},
		ecssim.OfferedEmpty.Name:      {o, "no instance type at all"},
		ecssim.OfferedCut.Name:        {o, "NextToken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name != "denied" {
				tt.options.Contradict = []string{name}
			}
			sim := simulator(t, tt.options)
			got := scanEvidence(t, sim, t.TempDir(), "--heartbeat-share=0")
			if diff := difference(without.Instances, got.Instances); diff != "" {
				t.Errorf("verdicts differ (-without +with):\n%.2000s", diff)
			}
			for _, e := range got.Evidence {
				named := slices.ContainsFunc(e.Skipped, func(s record.EvidenceSkipped) bool { return strings.Contains(s.Cause, tt.cause) })
				if e.Answered != 0 || !named {
					t.Errorf("%+v does not say %q", e, tt.cause)
				}
			}
			if len(got.Evidence) != 2 {
				t.Errorf("%d rows of evidence; want one a region", len(got.Evidence))
			}
			if name == "denied" {
				if n := sim.Stats().OfferedAsked; n != 0 {
					t.Errorf("%d calls were answered", n)
				}
			}
		})
	}
}

// heartbeats are what a simulator was asked of them.
func heartbeats(sim *ecssim.Server) int { return callsOf(sim, "DescribeCloudAssistantStatus") }

// Verdicts that rest on an instance that is Running are firmer where its guest
// was heard of, and nobody is asked twice.
func TestHeartbeatsFirmVerdictsThatHangOnThem(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 700, Regions: 3, Seed: 7, OfflineAgents: 0.2})
	store := t.TempDir()
	without := scanEvidence(t, sim, t.TempDir(), "--platform-evidence=false", "--heartbeat-share=0")
	if n := heartbeats(sim); n != 0 {
		t.Errorf("%d calls for heartbeats though nobody is to be asked", n)
	}
	first := scanEvidence(t, sim, store, "--platform-evidence=false", "--heartbeat-share=100")
	cold := heartbeats(sim)
	second := scanEvidence(t, sim, store, "--platform-evidence=false", "--heartbeat-share=100")
	if n := heartbeats(sim) - cold; cold == 0 || n != 0 {
		t.Errorf("%d calls in the first scan and %d in the second", cold, n)
	}
	told := 0
	for i := range second.Instances {
		for j, v := range second.Instances[i].Verdicts {
			was := first.Instances[i].Verdicts[j]
			switch {
			case strings.HasPrefix(v.Rule, "observed.fleet"):
				if told++; was.Level != rules.Unknown || v.Level != rules.Compatible {
					t.Errorf("%s on %s is %s by %s and was %s", second.Instances[i].InstanceID, v.Target, v.Level, v.Rule, was.Level)
				}
			case v.Level != was.Level && was.Level != rules.Unknown, v.Rule != was.Rule && was.Level != rules.Unknown:
				t.Errorf("%s on %s is %s by %s and was %s by %s", second.Instances[i].InstanceID, v.Target, v.Level, v.Rule, was.Level, was.Rule)
			}
		}
	}
	if told == 0 {
		t.Error("what the fleet tells of images settles nothing in the second scan")
	}
	listsWhatItCounts(t, store, second.Instances)
	firmer := 0
	for i, x := range first.Instances {
		for j, v := range x.Verdicts {
			was := without.Instances[i].Verdicts[j]
			if v.Level != was.Level {
				t.Errorf("%s on %s is %s and was %s without heartbeats", x.InstanceID, v.Target, v.Level, was.Level)
			}
			if v.Rule == "observed.up" && v.Confidence > was.Confidence {
				firmer++
			} else if v.Confidence != was.Confidence {
				t.Errorf("%s on %s: confidence %s by %s, it was %s by %s", x.InstanceID, v.Target, v.Confidence, v.Rule, was.Confidence, was.Rule)
			}
		}
	}
	asked, answered, skipped := 0, 0, 0
	for _, e := range first.Evidence {
		if e.Source == "fleet" { // counted at the end of the scan, for the next
			continue
		}
		if e.Source != "heartbeat" || e.About != "instances" {
			t.Errorf("%+v", e)
		}
		asked, answered = asked+e.Asked, answered+e.Answered
		for _, s := range e.Skipped {
			skipped += s.Count
		}
	}
	if firmer == 0 || answered == 0 || skipped == 0 || asked != answered+skipped {
		t.Errorf("%d verdicts are firmer; of %d instances %d were heard of and %d were not", firmer, asked, answered, skipped)
	}
	t.Logf("%d calls for %d instances, %d heard of, %d verdicts firmer", cold, asked, answered, firmer)
}

// listsWhatItCounts says that the number in the reason of the fleet leads to as
// many instances: all of the image that run on the class and were heard of.
func listsWhatItCounts(t *testing.T, store string, recs []record.Record) {
	t.Helper()
	looked := 0
	for i := range recs {
		if looked == 3 || !slices.ContainsFunc(recs[i].Verdicts, func(v rules.Verdict) bool { return strings.HasPrefix(v.Rule, "observed.fleet") }) {
			continue
		}
		looked++
		var explained record.Explained
		r := run(t, env(), "rules", "explain", recs[i].InstanceID, "--store", store, "--output", "json")
		if err := json.Unmarshal([]byte(r.stdout), &explained); err != nil || len(explained.Siblings) == 0 {
			t.Fatalf("exit %d: %v: %+v", r.code, err, explained.Siblings)
		}
		text := run(t, env(), "rules", "explain", recs[i].InstanceID, "--store", store).stdout
		_, command, _ := strings.Cut(text, " now: shenscan ")
		command, _, _ = strings.Cut(command, "\n")
		if list := records(t, run(t, env(), strings.Fields(command)...).stdout); len(list) != explained.Siblings[0].Now {
			t.Errorf("%s: %d are listed: %+v", command, len(list), explained.Siblings[0])
		}
		for _, s := range explained.Siblings {
			args := []string{"report", "--store", store, "--output", "jsonl"}
			for word, value := range s.Filter {
				args = append(args, "--"+word, value)
			}
			list := records(t, run(t, env(), args...).stdout)
			if len(list) != s.Now || s.Now < s.Counted || s.Counted <= 3 && s.Now != s.Counted || s.Note != "" {
				t.Errorf("%d are listed on %s: %+v", len(list), s.Class, s)
			}
			for _, x := range list {
				if x.ImageID != recs[i].ImageID || x.Region != recs[i].Region || x.Status != "Running" {
					t.Errorf("%s is listed: %s, %s, %s", x.InstanceID, x.ImageID, x.Region, x.Status)
				}
			}
		}
	}
	if looked == 0 {
		t.Error("no verdict is the fleet's")
	}
}

// Answers about heartbeats that are none leave verdicts as they are without
// asking, and the report names the cause.
func TestWhatNoHeartbeatSaysLeavesVerdictsAsTheyAre(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 350, Regions: 2, Seed: 21}
	without := scanEvidence(t, simulator(t, o), t.TempDir(), "--platform-evidence=false", "--heartbeat-share=0")
	for name, cause := range map[string]string{
		"denied": "Forbidden.RAM", ecssim.AgentsOfOthers.Name: "bad-answer", ecssim.AgentsAhead.Name: "future", ecssim.AgentsNowhere.Name: "RegionId.ApiNotSupported",
	} {
		t.Run(name, func(t *testing.T) {
			options := o
			if name != "denied" {
				options.Contradict = []string{name}
			}
			sim := simulator(t, options)
			if name == "denied" {
				if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: "DescribeCloudAssistantStatus"}); err != nil {
					t.Fatal(err)
				}
			}
			got := scanEvidence(t, sim, t.TempDir(), "--platform-evidence=false")
			if diff := difference(without.Instances, got.Instances); diff != "" {
				t.Errorf("verdicts differ (-without +with):\n%.2000s", diff)
			}
			for _, e := range got.Evidence {
				named := slices.ContainsFunc(e.Skipped, func(s record.EvidenceSkipped) bool { return strings.Contains(s.Cause, cause) })
				if e.Answered != 0 || !named {
					t.Errorf("%+v does not say %q", e, cause)
				}
			}
			if len(got.Evidence) != 2 {
				t.Errorf("%d rows of evidence; want one a region", len(got.Evidence))
			}
		})
	}
}

// A machine that is Running and whose last start failed is taken for compatible
// with the class it is on by its status alone; its console says otherwise, and
// wins. Nothing is read unless somebody turns it on.
func TestAFailedStartOnTheConsoleWinsOverRunning(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 500, Regions: 2, Seed: 7, FailedStarts: 0.3}
	sim := simulator(t, o)
	read := func() int { return callsOf(sim, "GetInstanceConsoleOutput") }
	without := scanEvidence(t, sim, t.TempDir(), "--platform-evidence=false", "--heartbeat-share=0")
	if n := read(); n != 0 {
		t.Errorf("%d console logs were read though nobody asked for it", n)
	}
	store := t.TempDir()
	args := []string{"--platform-evidence=false", "--heartbeat-share=100", "--console-share=100"}
	var with evidenceReport
	for range 6 { // one instance a call: a share of all calls is a few scans' worth
		with = scanEvidence(t, sim, store, args...)
	}
	failed := map[string]bool{}
	if err := sim.EachTruth(func(x *ecssim.Truth) error {
		failed[x.InstanceID] = x.Guest.Failed
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refuted, firmer := 0, 0
	for i, x := range with.Instances {
		for j, v := range x.Verdicts {
			was := without.Instances[i].Verdicts[j]
			switch {
			case slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == "observed.failed" }):
				refuted++
				if !failed[x.InstanceID] || v.Level == rules.Compatible || was.Rule != "observed.running" {
					t.Errorf("%s on %s: %s by %s, it was %s by %s", x.InstanceID, v.Target, v.Level, v.Rule, was.Level, was.Rule)
				}
			case v.Rule == "observed.up":
				firmer++
				if failed[x.InstanceID] {
					t.Errorf("%s is taken for up", x.InstanceID)
				}
			}
		}
	}
	if refuted == 0 || firmer == 0 || read() == 0 {
		t.Errorf("%d verdicts refuted, %d firmer, %d logs read", refuted, firmer, read())
	}
	t.Logf("%d verdicts refuted, %d firmer, %d logs read", refuted, firmer, read())
}
