package ecsapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// measured is the contract of a simulator, and how many calls it took.
func measured(t *testing.T, contradict ...string) (*ecs.Contract, int) {
	t.Helper()
	sim, c := simulate(t, ecssim.Options{Instances: 3000, Regions: 4, Images: 900, Accounts: 2, Seed: 9, Contradict: contradict}, func(o *Options) {
		o.Directory.RoleName = "shenscan"
	})
	regions := sim.Regions()
	got, err := c.Contract(t.Context(), ecs.Scope{Account: ecssim.DemoAccountID, Region: regions[0]}, ecs.Scope{Account: ecssim.DemoAccountID, Region: regions[3]})
	if err != nil {
		t.Fatal(err)
	}
	return got, sim.Stats().Total
}

func TestTheContractOfTheSimulatorIsWhatShenscanAssumes(t *testing.T) {
	got, calls := measured(t)
	for _, q := range ecs.ContractQuestions() {
		if a := got.Answer(q.ID); q.Assumed != "" && a != q.Assumed {
			t.Errorf("%s: %q, assumed is %q", q.ID, a, q.Assumed)
		}
	}
	if calls > 30 {
		t.Errorf("%d calls", calls)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"i-", "m-bp", ecssim.DemoAccountID, "cn-", ecssim.DemoAccessKeyID} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is in the contract: %s", secret, text)
		}
	}
	if names, err := ecssim.ContradictionsOf(got); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
}

// What a contract says is what the simulator does that takes it on: measured
// again, its answers are the same.
func TestTheSimulatorKeepsTheContractsThatItTakesOn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		ecssim.BoundsExclusive.Name, ecssim.BoundsHalfOpen.Name, ecssim.BoundsAfter.Name, ecssim.FiltersPositional.Name, ecssim.FiltersRefused.Name, ecssim.FiltersIgnored.Name, ecssim.FiltersInCounts.Name,
		ecssim.CountMissing.Name, ecssim.MaxResultsIgnored.Name, ecssim.TokenAfterLast.Name, ecssim.RowsOfOtherRegions.Name, ecssim.IDsCapped.Name, ecssim.IDsEmpty.Name, ecssim.ImagesCapped.Name, ecssim.ImagesByAlias.Name,
	} {
		t.Run(name, func(t *testing.T) {
			seen, _ := measured(t, name)
			names, err := ecssim.ContradictionsOf(seen)
			if err != nil || !slices.Equal(names, []string{name}) {
				t.Fatalf("the contract tells %v: %v", names, err)
			}
			again, _ := measured(t, names...)
			if diff := cmp.Diff(seen, again); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Contracts of testdata/contracts were measured on real accounts, or are what
// the documents say: the simulator must be able to keep each.
func TestTheSimulatorKeepsTheContractsThatAreKnown(t *testing.T) {
	files, err := filepath.Glob("testdata/contracts/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no contract: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ecs.ParseContract(b)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		names, err := ecssim.ContradictionsOf(want)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, _ := measured(t, names...)
		for _, q := range ecs.ContractQuestions() {
			if a := want.Answer(q.ID); a != "" && a != got.Answer(q.ID) {
				t.Errorf("%s: %s is %q, the simulator's is %q", file, q.ID, a, got.Answer(q.ID))
			}
		}
	}
}

func TestAContractThatIsNoneIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON": "x", "no answers": `{"day":"2026-11-29"}`, "a question that nobody asks": `{"answers":[{"question":"colour","answer":"red"}]}`,
	} {
		if _, err := ecs.ParseContract([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := &ecs.Contract{Answers: []ecs.ContractAnswer{{Question: ecs.QuestionStart, Answer: "sometimes"}}}
	if _, err := ecssim.ContradictionsOf(c); err == nil {
		t.Error("an answer that is not simulated is taken on")
	}
}
