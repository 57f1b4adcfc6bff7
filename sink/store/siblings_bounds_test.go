package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
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
		"it is built for Arm": func(f *rules.Facts, _ *rules.Hardware) {
			f.Image.Presence, f.Image.Architecture = rules.ImageFound, "arm64"
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

// What the instances of many images tell follows each other image by image: the newest
// count, the one before it for scans that began earlier, once that nothing is told any more,
// and then nothing. Images of which nothing is told stand between them.
func TestCountsOfManyImagesFollowEachOther(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	var fleet []machine
	for i := range 8 {
		fleet = append(fleet, machine{id: fmt.Sprint("i-a", i), os: fmt.Sprint("CentOS 7.", i)}, machine{id: fmt.Sprint("i-b", i), os: fmt.Sprintf("Ubuntu %d.04", 14+i)})
	}
	for i, want := range []string{"s0=kvm=1/0, ", "s1=kvm=1/0, s0=kvm=1/0", "s2=, s1=kvm=1/0", ", ", "s4=kvm=1/0, "} {
		scan := fmt.Sprint("s", i)
		s.now = int64(10*i + 2)
		apply(t, db, s.put(guestsPage(whole(scan, hangzhou, int64(10*i), fleet...), func(os string, f *rules.Facts, _ *rules.Hardware) {
			if i == 2 || i == 3 {
				f.Guest.Up = rules.No
			}
			if strings.HasPrefix(os, "Ubuntu") { // which runs another kernel than its image's
				f.Image.TagKernelVersion, f.Guest.Kernel = "3.13.0-24", "4.4.0-210"
			}
		})...))
		for _, m := range fleet {
			id := facts(m.os).ImageID
			had, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{id, event.EarlierPrefix + id})
			if err != nil {
				t.Fatal(err)
			}
			says := func(is store.StoredEvidence) string {
				if is.Scan == "" {
					return ""
				}
				count, _, _ := strings.Cut(is.Fleet, " ")
				return is.Scan + "=" + count
			}
			want := want
			if strings.HasPrefix(m.os, "Ubuntu") {
				want = ", "
			}
			if got := says(had[id]) + ", " + says(had[event.EarlierPrefix+id]); got != want {
				t.Errorf("after %s %s tells %q, want %q", scan, m.os, got, want)
			}
		}
	}
}

// A count of which the newer one was forgotten stands for nothing any more, and keeps no
// other from being taken.
func TestACountWithoutItsNewerOneIsForgotten(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	s.now = 5
	var left []event.EvidenceItem
	for i := range 8 {
		left = append(left, event.EvidenceItem{ID: fmt.Sprint(event.EarlierPrefix, "m-", i), Asked: at(1), Fleet: "kvm=1/0", Scan: "s0"})
	}
	apply(t, db, s.put(&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceFleet, At: at(2), Items: left}))
	s.now = 12
	machines := []machine{{id: "i-1", os: "CentOS 7.4"}, {id: "i-2", os: "CentOS 7.5"}}
	apply(t, db, s.put(guestsPage(whole("s1", hangzhou, 10, machines...), func(string, *rules.Facts, *rules.Hardware) {})...))
	for i := range left {
		if had, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{left[i].ID}); err != nil || len(had) != 0 {
			t.Errorf("%s: %+v, %v", left[i].ID, had, err)
		}
	}
	for _, m := range machines {
		id := facts(m.os).ImageID
		if had, err := db.Evidence(hangzhou, event.EvidenceFleet, []string{id}); err != nil || had[id].Scan != "s1" {
			t.Errorf("%s: %+v, %v", id, had, err)
		}
	}
}
