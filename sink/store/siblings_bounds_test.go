package store_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// A machine that tells nothing of its image, and stands before one that does, keeps
// nobody from hearing the other: what is not heard leaves verdicts unknown.
func TestAMachineThatTellsNothingSilencesNoOther(t *testing.T) {
	const silent, telling = "CentOS 7.4", "Ubuntu 14.04"
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(f *rules.Facts, h *rules.Hardware){
		"both tell":          func(*rules.Facts, *rules.Hardware) {},
		"it is stopped":      func(_ *rules.Facts, h *rules.Hardware) { h.Running = rules.No },
		"it did not come up": func(f *rules.Facts, _ *rules.Hardware) { f.Guest.Up = rules.No },
		"it has no image":    func(f *rules.Facts, _ *rules.Hardware) { f.ImageID = "" },
		"its type is not known": func(_ *rules.Facts, h *rules.Hardware) {
			h.InstanceType, h.InstanceFamily = "ecs.none.large", "ecs.none"
		},
		"it is there no more": nil,
	} {
		t.Run(name, func(t *testing.T) {
			db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
			both := []machine{{id: "i-1", os: silent}, {id: "i-2", os: telling}}
			count := func(scan string, epoch int64, fleet ...machine) {
				msgs := guestsPage(whole(scan, hangzhou, epoch, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
					if os == silent && change != nil {
						change(f, h)
					}
				})
				// In the very moment in which the scan begins, as a fast answer is.
				msgs[2].(*event.InstancesClassified).Order = at(epoch).UnixNano()
				s.now = epoch + 2
				apply(t, db, s.put(msgs...))
			}
			count("s1", 10, both...)
			if change == nil {
				count("s2", 20, both[1])
			}
			for os, want := range map[string]bool{silent: name == "both tell", telling: true} {
				id := facts(os).ImageID
				had, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{id})
				if err != nil || strings.HasPrefix(had[id].Fleet, "kvm=1/0 ") != want {
					t.Errorf("%s tells %+v, %v", os, had[id], err)
				}
			}
			if unnamed, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{""}); err != nil || unnamed[""].Scan != "" {
				t.Errorf("of no image: %+v, %v", unnamed, err)
			}
		})
	}
}
