package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// Moves are held against what was said before: a guest that is heard of went
// well, one that was heard of before and is silent since did not, and a machine
// that its owner stopped is no outcome.
func TestMovesAreHeldAgainstWhatWasSaid(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	names := []string{"good", "silent", "stopped", "never heard", "gone", "stays"}
	var fleet []machine
	for i, name := range names {
		fleet = append(fleet, machine{id: "i-" + name, os: fmt.Sprintf("CentOS 7.%d", i+4)}) // each of an image of its own
	}
	minute := int64(60)
	scan := func(n int, at int64, fleet []machine, change func(name string, f *rules.Facts, h *rules.Hardware)) []record.Move {
		t.Helper()
		msgs := guestsPage(whole(fmt.Sprintf("s%d", n), hangzhou, at, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
			var i int
			fmt.Sscanf(os, "CentOS 7.%d", &i)
			change(names[i-4], f, h)
		})
		s.now = at + 2
		return apply(t, db, s.put(msgs...)).NotUp
	}
	onSix := func(h *rules.Hardware) { h.InstanceType, h.InstanceFamily = "ecs.g6.large", "ecs.g6" }
	scan(1, 0, fleet, func(name string, f *rules.Facts, _ *rules.Hardware) {
		if name == "never heard" {
			f.Guest.Up = rules.Unobserved
		}
	})
	moved := func(name string, f *rules.Facts, h *rules.Hardware) {
		f.Guest.Up = rules.Unobserved
		if name != "stays" {
			onSix(h)
		}
		if name == "stopped" {
			h.Running = rules.No
		}
	}
	scan(2, 60*minute, fleet, moved)
	score := func() map[string]string {
		t.Helper()
		got, err := db.Outcomes(100)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		counted := 0
		for _, m := range got.Moves {
			out[m.InstanceID[2:]] = m.Verdict + " " + string(m.Result)
			if m.Target != "shenlong-6" || m.From != "ecs.c5.large" || m.To != "ecs.g6.large" {
				t.Errorf("%+v", m)
			}
		}
		for _, s := range got.Scores {
			counted += s.Instances
		}
		if counted != len(got.Moves) {
			t.Errorf("%d counted of %d moves: %+v", counted, len(got.Moves), got.Scores)
		}
		return out
	}
	for name, result := range score() {
		if want := map[bool]string{true: "compatible none", false: "compatible early"}[name == "stopped"]; result != want {
			t.Errorf("at once: %s is %s, want %s", name, result, want)
		}
	}

	// Twenty minutes later somebody asked for heartbeats.
	asked := at(81 * minute)
	s.now = 81 * minute
	apply(t, db, s.put(&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceHeartbeat, At: asked, Items: []event.EvidenceItem{
		{ID: "i-silent", Asked: asked, Heard: at(59 * minute)}, {ID: "i-never heard", Asked: asked, Cause: "it has no agent"}, {ID: "i-gone", Asked: asked, Heard: at(59 * minute)},
	}}))
	left := append([]machine(nil), fleet[:4]...)
	left = append(left, fleet[5])
	loud := scan(3, 82*minute, left, func(name string, f *rules.Facts, h *rules.Hardware) {
		moved(name, f, h)
		if name == "good" {
			f.Guest.Up = rules.Yes
		}
	})
	want := map[string]string{"good": "compatible up", "silent": "compatible not-up", "stopped": "compatible none", "never heard": "compatible running", "gone": "compatible none"}
	for name, result := range want {
		if got := score()[name]; got != result {
			t.Errorf("%s is %q, want %q", name, got, result)
		}
	}
	if len(score()) != len(want) {
		t.Errorf("%v", score())
	}
	if len(loud) != 1 || loud[0].InstanceID != "i-silent" {
		t.Errorf("loud: %+v", loud)
	}
	// What was told stays, and is told once.
	if loud := scan(4, 200*minute, left, moved); len(loud) != 0 || score()["silent"] != "compatible not-up" || score()["good"] != "compatible up" {
		t.Errorf("%v, %+v", score(), loud)
	}
	if waits, err := db.Unsettled(at(0).Add(48*time.Hour), 10); err != nil || len(waits) != 0 {
		t.Errorf("%v wait, %v", waits, err)
	}

	// Moves are remembered for 400 days from when they were last looked at; what
	// they counted for stays. Evidence of that long ago is gone for a year.
	seen := map[string]time.Time{}
	if got, err := db.Outcomes(100); err != nil {
		t.Fatal(err)
	} else {
		for i := range got.Moves {
			seen[got.Moves[i].InstanceID] = got.Moves[i].Checked
		}
	}
	hear := func(now time.Time) {
		t.Helper()
		s.now = now.Unix() - at(0).Unix()
		apply(t, db, s.put(evidenceAt(now, event.EvidenceItem{ID: "m-1", Asked: now, Types: "ecs.g6=1"})))
	}
	hear(seen["i-gone"].AddDate(0, 0, 400))
	if got, err := db.Outcomes(100); err != nil || len(got.Moves) != len(want) {
		t.Errorf("after 400 days: %+v, %v", got.Moves, err)
	}
	hear(seen["i-good"].AddDate(0, 0, 402))
	got, err := db.Outcomes(100)
	if err != nil || len(got.Moves) != 0 {
		t.Errorf("after 402 days: %+v, %v", got.Moves, err)
	}
	counted := 0
	for _, s := range got.Scores {
		counted += s.Instances
	}
	if counted != len(want) {
		t.Errorf("after 402 days %d are counted, want %d: %+v", counted, len(want), got.Scores)
	}
}
