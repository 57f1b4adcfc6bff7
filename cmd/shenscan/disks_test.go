package main_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// diskPlan is what a plan says of disks.
type diskPlan struct {
	Disks *struct {
		Calls, Regions, Unasked, Fit, Convert int
		NotKnown                              int `json:"not_known"`
		Failures, Doubts                      []record.Failure
	}
	Waves []struct {
		ID    string
		Items []struct {
			InstanceID string `json:"instance_id"`
			Checklist  []string
			Disks      *record.InstanceDisks

			Replacement struct{ Type string }
		}
	}
}

// convertible are the disks that a family of the 8th generation does not take, by
// instance, in truth.
func convertible(t *testing.T, sim *ecssim.Server) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	if err := sim.EachTruth(func(tr *ecssim.Truth) error {
		out[tr.InstanceID] = []string{}
		for _, d := range tr.Disks {
			if d.Category != "cloud_essd" && d.Category != "cloud_auto" {
				out[tr.InstanceID] = append(out[tr.InstanceID], d.ID)
			}
		}
		slices.Sort(out[tr.InstanceID])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

const blanketCheck = "Convert disks that are not ESSD or ESSD AutoPL; the target takes no others."

// Nobody asks for disks unless told to. Then the plan names of each instance that
// moves to a family which takes ESSDs alone what is to be converted in truth.
func TestThePlanNamesTheDisksToConvert(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 3})
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "json"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	without, _ := planJSON[diskPlan](t, sim, store, "--target", "ecs.g8i")
	if n := callsOf(sim, "DescribeDisks"); n != 0 || without.Disks != nil {
		t.Errorf("%d calls that nobody wanted, %+v", n, without.Disks)
	}
	none, _ := planJSON[diskPlan](t, sim, store, "--target", "shenlong-6", "--disks")
	nowhere := 0 // where it goes is not known, so which disks are taken there is not known either
	for _, w := range none.Waves {
		for _, it := range w.Items {
			if it.Disks != nil {
				nowhere++
			}
			if it.Disks != nil && (it.Replacement.Type != "" || it.Disks.State == record.DisksFit) {
				t.Errorf("%+v for families that take every disk", it)
			}
		}
	}
	if n := callsOf(sim, "DescribeDisks"); n != nowhere || none.Disks == nil || none.Disks.NotKnown != nowhere || nowhere > 5 {
		t.Errorf("%d calls about %d instances, %+v", n, nowhere, none.Disks)
	}
	truth := convertible(t, sim)
	for _, target := range []string{"ecs.g8i", "shenlong-7"} {
		before := callsOf(sim, "DescribeDisks")
		got, _ := planJSON[diskPlan](t, sim, store, "--target", target, "--disks")
		calls := callsOf(sim, "DescribeDisks") - before
		if got.Disks.Calls != calls || calls == 0 || calls > 2*6 || got.Disks.NotKnown != 0 || len(got.Disks.Failures)+len(got.Disks.Doubts) != 0 {
			t.Errorf("%s: %d calls, %+v", target, calls, got.Disks)
		}
		fit, convert := 0, 0
		for _, w := range got.Waves {
			for _, it := range w.Items {
				if it.Disks == nil {
					if slices.Contains(it.Checklist, blanketCheck) {
						t.Errorf("%s: nobody asked about %s", target, it.InstanceID)
					}
					continue
				}
				var named []string
				for _, d := range it.Disks.Disks {
					named = append(named, d.ID)
				}
				slices.Sort(named)
				if want := truth[it.InstanceID]; !slices.Equal(named, want) || (it.Disks.State == record.DisksFit) != (len(want) == 0) || slices.Contains(it.Checklist, blanketCheck) {
					t.Errorf("%s: %s has %v to convert, in truth %v: %+v", target, it.InstanceID, named, want, it.Disks)
				}
				if len(named) == 0 {
					fit++
				} else if convert++; w.ID == "ready" {
					t.Errorf("%s: %s is ready with %v", target, it.InstanceID, named)
				}
			}
		}
		if fit < 50 || convert < 50 || fit != got.Disks.Fit || convert != got.Disks.Convert {
			t.Errorf("%s: %d fit, %d do not, %+v", target, fit, convert, got.Disks)
		}
	}
	few, _ := planJSON[diskPlan](t, sim, store, "--target", "ecs.g8i", "--disks", "--family", "ecs.g6", "--region", "cn-hangzhou")
	if few.Disks.Regions != 1 || few.Disks.Fit+few.Disks.Convert == 0 || few.Disks.Fit+few.Disks.Convert > 60 {
		t.Errorf("%+v", few.Disks)
	}
}

// Whatever stands in the way, a plan is made, names the cause, and says of no
// instance that it has nothing to convert which has.
func TestDisksThatAreNotKnown(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 300, Regions: 2, Seed: 3}
	sim := simulator(t, o)
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "json"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	truth := convertible(t, sim)
	for _, c := range []struct {
		name           string
		contradiction  string
		fault          string
		failed, doubts bool
		says           string // on stderr
		convert        bool   // some are found all the same
	}{
		{name: "forbidden", fault: ecssim.FaultForbidden, failed: true, says: "ecs:DescribeDisks"},
		{name: "garbled", fault: ecssim.FaultMalformed, failed: true, says: "disks not asked for"},
		{name: ecssim.DisksErrorAs200.Name, contradiction: ecssim.DisksErrorAs200.Name, failed: true, says: "disks not asked for"},
		{name: ecssim.DisksEmpty.Name, contradiction: ecssim.DisksEmpty.Name, doubts: true, says: "by the count and 0 by the list"},
		{name: ecssim.DisksCut.Name, contradiction: ecssim.DisksCut.Name, doubts: true, says: "by the count and", convert: true},
		{name: ecssim.DisksTwice.Name, contradiction: ecssim.DisksTwice.Name, doubts: true, says: "twice, and not as the same", convert: true},
		{name: ecssim.DisksOfOthers.Name, contradiction: ecssim.DisksOfOthers.Name},
		{name: ecssim.DisksElsewhere.Name, contradiction: ecssim.DisksElsewhere.Name, doubts: true, says: "of another region"},
		{name: ecssim.DisksUnknown.Name, contradiction: ecssim.DisksUnknown.Name},
	} {
		t.Run(c.name, func(t *testing.T) {
			bent := simulator(t, o)
			if c.contradiction != "" {
				if err := bent.Contradict(c.contradiction); err != nil {
					t.Fatal(err)
				}
			}
			if c.fault != "" {
				if err := bent.AddFault(ecssim.Fault{Kind: c.fault, Action: "DescribeDisks"}); err != nil {
					t.Fatal(err)
				}
			}
			got, stderr := planJSON[diskPlan](t, bent, store, "--target", "ecs.g8i", "--disks")
			if (len(got.Disks.Failures) > 0) != c.failed || (len(got.Disks.Doubts) > 0) != c.doubts || !strings.Contains(stderr, c.says) || (got.Disks.Convert > 0) != c.convert {
				t.Errorf("%+v\n%s", got.Disks, stderr)
			}
			advised := 0
			for _, w := range got.Waves {
				for _, it := range w.Items {
					blanket := slices.Contains(it.Checklist, blanketCheck)
					if blanket {
						advised++
					}
					if it.Disks != nil && it.Disks.State == record.DisksFit && len(truth[it.InstanceID]) > 0 || it.Disks != nil && it.Disks.State == record.DisksNotKnown && !blanket {
						t.Errorf("%s: %+v, in truth %v", it.InstanceID, it.Disks, truth[it.InstanceID])
					}
				}
			}
			if advised == 0 || got.Disks.NotKnown == 0 {
				t.Errorf("the advice is missing: %+v", got.Disks)
			}
		})
	}
}
