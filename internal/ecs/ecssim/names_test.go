package ecssim

import (
	"slices"
	"testing"
)

// A share of machines shows other names than what runs in them: what the API
// shows follows the label, what the guest says what is in it. Public images are
// what they say.
func TestNamesThatDoNotTellWhatRuns(t *testing.T) {
	right, err := New(Options{Instances: 8000, Regions: 3, Images: 1200, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	off, err := New(Options{Instances: 8000, Regions: 3, Images: 1200, Seed: 3, WrongNames: 0.3})
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]Truth{}
	_ = right.EachTruth(func(tr *Truth) error { before[tr.InstanceID] = *tr; return nil })
	counts := map[string]int{}
	_ = off.EachTruth(func(tr *Truth) error {
		was := before[tr.InstanceID]
		if was.Guest.Names != "right" && was.Guest.Names != "vague" {
			t.Fatalf("without the flag %s has names that are %s", tr.InstanceID, was.Guest.Names)
		}
		if was.Guest.Names == "right" {
			counts[tr.Guest.Names]++
		}
		sc, i, _ := off.fleet.locate(tr.InstanceID)
		in := sc.at(i)
		g := sc.guest(&in)
		says, shown := g.kind.release(), in.slot.kind.release()
		if in.slot.public && (in.slot.inside != nil || !slices.Contains(in.slot.kind.imageIDs, in.slot.imageID)) {
			t.Errorf("public image %s is labelled %s", in.slot.imageID, shown)
		}
		switch tr.Guest.Names {
		case "wrong", "stale":
			if says == shown {
				t.Errorf("%s shows %s, which it is, and counts as %s", tr.InstanceID, shown, tr.Guest.Names)
			}
		case "right":
			if says != shown {
				t.Errorf("%s shows %s and is %s", tr.InstanceID, shown, says)
			}
		}
		if g.kind.family != tr.Guest.Family || in.slot.kind.family != tr.Family || g.kind.osType() != in.slot.kind.osType() || g.kind.arch != in.slot.kind.arch && !in.slot.kind.vague() {
			t.Errorf("%s: guest %+v, label %+v", tr.InstanceID, g.kind, in.slot.kind)
		}
		return nil
	})
	all := counts["right"] + counts["vague"] + counts["wrong"] + counts["stale"]
	changed := float64(all-counts["right"]) / float64(all)
	if changed < 0.2 || changed > 0.35 || counts["vague"] == 0 || counts["wrong"] == 0 || counts["stale"] == 0 {
		t.Errorf("%.2f of the names do not tell: %v", changed, counts)
	}
}
