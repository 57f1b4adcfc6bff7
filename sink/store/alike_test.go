package store_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// forgetful judges as the real classifier does whose memory is full: what it reads
// again has another number, and is judged anew.
type forgetful struct {
	*judge
	read *atomic.Uint64
}

func (f forgetful) Classify(facts *rules.Facts) *rules.Classification {
	return new(*f.judge.Classify(facts))
}

func (f forgetful) Judge(s *rules.System, h *rules.Host) *rules.Classification {
	return new(*f.judge.Judge(s, h))
}

func (f forgetful) Pair(*rules.System, *rules.Host) uint64 { return f.read.Add(1) }

// A fleet of more systems than a classifier remembers is counted like any other: what
// was forgotten in between is judged twice, and each instance is counted once.
func TestWhatWasForgottenIsCountedOnce(t *testing.T) {
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	for name, j := range map[string]*judge{"without waivers": newJudge("a", oldOnes), "with waivers": waiving} {
		t.Run(name, func(t *testing.T) {
			db, s := open(t, filepath.Join(t.TempDir(), "store.db"), forgetful{j, new(atomic.Uint64)}), newStream()
			s.now = 50
			old := machine{os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}}
			var fleet []machine
			for _, id := range []string{"i-1", "i-2", "i-3", "i-4", "i-5", "i-6"} {
				old.id = id
				fleet = append(fleet, old, machine{id: id + "b", os: "centos 5.8"}, machine{id: id + "c", os: "debian 12"})
			}
			apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
			// The same system on machines that rules cannot tell apart.
			other := page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 20, machine{id: "i-7", os: "centos 5.8"}, machine{id: "i-8", os: "debian 12"})
			for i := range other.Hardware {
				other.Hardware[i].InstanceType = "ecs.c5.xlarge"
			}
			apply(t, db, s.put(other))
			view, err := db.View(t.Context(), nil, store.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			defer view.Close()
			rows := rowsOf(t, view)
			if len(rows) != 20 {
				t.Fatalf("%d rows", len(rows))
			}
			sameGroups(t, view, rows)
		})
	}
}

// Instances that share a waived judgement are one group, as others are: a fleet with one
// waiver for all would be listed instance by instance, of ten million in memory.
func TestWaivedInstancesAreGroupedToo(t *testing.T) {
	j := newJudge("a", oldOnes)
	j.waive, j.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), j), newStream()
	s.now = 50
	var fleet []machine
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		waived := machine{id: id, os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}}
		fleet = append(fleet, waived, machine{id: id + "b", os: "centos 5.8"}, machine{id: id + "c", os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	alike, err := view.Alike(t.Context())
	if err != nil || len(alike) != 3 {
		t.Fatalf("%d groups, %v", len(alike), err)
	}
	for _, group := range alike {
		if group.Instances != 3 {
			t.Errorf("%d instances are %s", group.Instances, judgedAs(group.Classification))
		}
	}
}
