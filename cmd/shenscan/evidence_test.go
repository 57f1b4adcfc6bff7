package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// evidenceReport is what a scan reports of evidence and instances.
type evidenceReport struct {
	Evidence  []record.Evidence `json:"evidence"`
	Instances []record.Record   `json:"instances"`
}

func scanEvidence(t *testing.T, sim *ecssim.Server, store string, args ...string) evidenceReport {
	t.Helper()
	r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", store, "--output", "json"}, args...)...)
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
	sim := simulator(t, ecssim.Options{Instances: 1500, Regions: 4, Seed: 7})
	store := t.TempDir()
	first := scanEvidence(t, sim, store)
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
	second := scanEvidence(t, sim, store)
	if n := sim.Stats().OfferedAsked - cold.OfferedAsked; n > asked/10 { // none, but for the turn of a day
		t.Errorf("the second scan made %d calls", n)
	}
	if diff := cmp.Diff(first.Instances, second.Instances); diff != "" {
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
	o := ecssim.Options{Instances: 600, Regions: 2, Seed: 21}
	without := scanEvidence(t, simulator(t, o), t.TempDir(), "--platform-evidence=false")
	if len(without.Evidence) != 0 {
		t.Errorf("evidence that nobody asked for: %+v", without.Evidence)
	}
	denied := o
	denied.NoPlatform = true
	for name, tt := range map[string]struct {
		options ecssim.Options
		cause   string
	}{
		"denied":                 {denied, "Forbidden.RAM"},
		ecssim.OfferedErrorAs200: {o, "Forbidden.RAM"},
		ecssim.OfferedOfOthers:   {o, "about image"},
		ecssim.OfferedEmpty:      {o, "no instance type at all"},
		ecssim.OfferedCut:        {o, "NextToken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name != "denied" {
				tt.options.Contradict = []string{name}
			}
			sim := simulator(t, tt.options)
			got := scanEvidence(t, sim, t.TempDir())
			if diff := cmp.Diff(without.Instances, got.Instances); diff != "" {
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
