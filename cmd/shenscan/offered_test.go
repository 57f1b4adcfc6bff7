package main_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// offeredPlan is what a plan says of the changes that the cloud offers.
type offeredPlan struct {
	Offered *struct {
		Calls, Budget, Offered int
		AfterDisks             int `json:"after_disks"`
		AcrossClusters         int `json:"across_clusters"`
		SoldOut                int `json:"sold_out"`
		NotOffered             int `json:"not_offered"`
		NotKnown               int `json:"not_known"`
		NotAsked               int `json:"not_asked"`
		Failures               []record.Failure
	}
	Waves []struct {
		ID    string
		Items []struct {
			InstanceID string `json:"instance_id"`
			Path       string
			PathNote   string `json:"path_note"`
			Offered    *record.OfferedChange
		}
	}
}

func planOffered(t *testing.T, sim *ecssim.Server, store string, args ...string) (offeredPlan, string) {
	t.Helper()
	return planJSON[offeredPlan](t, sim, store, append([]string{"--target", "ecs.g8i"}, args...)...)
}

func changeCalls(sim *ecssim.Server) int { return callsOf(sim, "DescribeResourcesModification") }

// What the cloud offers is asked of the named waves alone, within the budget, and
// counts before the matrix.
func TestThePlanSaysWhatIsOffered(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 3})
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "json"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	without, _ := planOffered(t, sim, store)
	if n := changeCalls(sim); n != 0 || without.Offered != nil {
		t.Errorf("%d calls that nobody wanted", n)
	}
	ready := 0
	for _, w := range without.Waves {
		if w.ID == "ready" {
			ready = len(w.Items)
		}
	}
	got, _ := planOffered(t, sim, store, "--offered", "ready", "--offered-calls", "5000")
	f := got.Offered
	if asked := f.Offered + f.AfterDisks + f.AcrossClusters + f.SoldOut + f.NotOffered; asked > ready || asked < ready*9/10 || f.NotKnown > ready/20 || f.NotAsked != 0 || f.Calls != changeCalls(sim) || f.Calls > 2*(asked+f.NotKnown) ||
		f.Offered == 0 || f.AfterDisks == 0 || f.NotOffered == 0 {
		t.Errorf("%d of %d were asked about: %+v", asked, ready, f)
	}
	for _, w := range got.Waves {
		for _, it := range w.Items {
			switch own := it.Offered; {
			case own == nil:
			case own.State == record.ChangeNotKnown: // nothing is offered without a move to another cluster, and an empty answer is none
			case (w.ID == "ready") != (own.State == record.ChangeOffered):
				t.Errorf("%s is in %s: %+v", it.InstanceID, w.ID, own)
			case (own.State == record.ChangeRefused) != (it.Path == "new-instance-from-image"), !strings.Contains(it.PathNote, "the cloud "):
				t.Errorf("%s: %+v by %s (%s)", it.InstanceID, own, it.Path, it.PathNote)
			}
		}
	}
	before := changeCalls(sim)
	few, _ := planOffered(t, sim, store, "--offered", "ready,after-checks", "--offered-calls", "7")
	if n := changeCalls(sim) - before; n != 7 || few.Offered.Calls != 7 || few.Offered.NotAsked < ready-7 {
		t.Errorf("%d calls: %+v", n, few.Offered)
	}
	for _, args := range [][]string{{"--offered", "already-there"}, {"--offered", "soon"}, {"--offered", "ready", "--offered-calls", "0"}} {
		if r := run(t, env(), append([]string{"plan", "--store", store}, args...)...); r.code != 2 || !strings.Contains(r.stderr, "--offered") {
			t.Errorf("%v: exit %d, %s", args, r.code, r.stderr)
		}
	}
}

// What is not known is no offer and no refusal, and is named once.
func TestOffersThatAreNotKnown(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 200, Regions: 2, Seed: 3}
	sim := simulator(t, o)
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "json"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for _, c := range []struct{ contradiction, fault, says string }{
		{fault: ecssim.FaultForbidden, says: "ecs:DescribeResourcesModification"},
		{contradiction: ecssim.ChangesErrorAs200.Name, says: "whether changes are offered is not known"},
		{contradiction: ecssim.ChangesEmpty.Name, says: "names no type at all"},
		{contradiction: ecssim.ChangesElsewhere.Name, says: "another zone than that of the instance"},
		{contradiction: ecssim.ChangesFewer.Name},
	} {
		t.Run(c.contradiction+c.fault, func(t *testing.T) {
			bent := simulator(t, o)
			if c.contradiction != "" {
				if err := bent.Contradict(c.contradiction); err != nil {
					t.Fatal(err)
				}
			} else if err := bent.AddFault(ecssim.Fault{Kind: c.fault, Action: "DescribeResourcesModification"}); err != nil {
				t.Fatal(err)
			}
			got, stderr := planOffered(t, bent, store, "--offered", "ready", "--offered-calls", "40")
			f := got.Offered
			switch {
			case c.says == "": // it offers nothing there, which is a plain no
				if f.NotOffered == 0 || f.Offered != 0 || f.NotKnown != 0 {
					t.Errorf("%+v", f)
				}
			case f.NotKnown == 0 || f.Offered+f.NotOffered+f.AfterDisks+f.SoldOut != 0 || len(f.Failures) == 0 || len(f.Failures) > 2 || !strings.Contains(stderr, c.says):
				t.Errorf("%+v\n%s", f, stderr)
			}
			if c.fault == ecssim.FaultForbidden && changeCalls(bent) > 2*16 {
				t.Errorf("%d calls where none is allowed", changeCalls(bent))
			}
		})
	}
}
