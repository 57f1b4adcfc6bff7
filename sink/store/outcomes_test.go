package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

// outcomes are those that a filter lets through.
func outcomes(t *testing.T, db *store.DB, f store.Filter) *record.MoveOutcomes {
	t.Helper()
	view, err := db.View(t.Context(), nil, f)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }()
	got, err := view.Outcomes(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Moves are held against what was said before: a guest that is heard of went
// well, one that was heard of before and is silent since did not, and a machine
// that its owner stopped is no outcome.
func TestMovesAreHeldAgainstWhatWasSaid(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	names := []string{"good", "silent", "stopped", "never heard", "gone", "stays", "panics", "stuck", "login", "old log"}
	var fleet []machine
	systems := []string{"CentOS 7.4", "CentOS 7.5", "CentOS 7.6", "CentOS 7.7", "CentOS 7.8", "CentOS 7.9", "CentOS 6.5", "CentOS 6.8", "CentOS 6.9", "CentOS 6.10"}
	for i, name := range names {
		fleet = append(fleet, machine{id: "i-" + name, os: systems[i]}) // each of an image of its own
	}
	minute := int64(60)
	scan := func(n int, at int64, fleet []machine, change func(name string, f *rules.Facts, h *rules.Hardware)) []record.Move {
		t.Helper()
		msgs := guestsPage(whole(fmt.Sprintf("s%d", n), hangzhou, at, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
			change(names[slices.Index(systems, os)], f, h)
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
		got := outcomes(t, db, store.Filter{})
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
	left := slices.Delete(slices.Clone(fleet), 4, 5)
	var logs []event.EvidenceItem
	for id, end := range map[string]string{"stuck": "stuck", "login": "login", "old log": "panic"} {
		written := at(61 * minute)
		if id == "old log" {
			written = at(59 * minute)
		}
		logs = append(logs, event.EvidenceItem{ID: "i-" + id, Asked: asked, Heard: written, Console: &event.Console{End: end}})
	}
	apply(t, db, s.put(&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceConsole, At: asked, Items: logs}))
	loud := scan(3, 82*minute, left, func(name string, f *rules.Facts, h *rules.Hardware) {
		moved(name, f, h)
		switch name {
		case "good":
			f.Guest.Up = rules.Yes
		case "panics":
			f.Guest.Up = rules.No
		}
	})
	// A move is none of the evidence that is summed up, and hides none that stands behind it.
	apply(t, db, s.put(evidenceAt(asked, event.EvidenceItem{ID: "m-1", Asked: asked})))
	if rows := evidenceOf(t, db, store.Filter{}, asked); len(rows) != 4 || rows[3].Source != event.EvidencePlatform {
		t.Errorf("sums of evidence beside moves: %+v", rows)
	}
	want := map[string]string{
		"good": "compatible up", "silent": "compatible not-up", "stopped": "compatible none", "never heard": "compatible running", "gone": "compatible none",
		"panics": "compatible not-up", "stuck": "compatible not-up", "login": "compatible up", "old log": "compatible running",
	}
	for id, want := range map[string]record.GuestEvidence{
		"i-silent": {Source: event.EvidenceHeartbeat}, "i-stuck": {Source: event.EvidenceConsole, End: "stuck"},
	} {
		got, err := db.GuestEvidence(hangzhou, id, asked)
		if err != nil || len(got) != 1 || got[0].Source != want.Source || got[0].End != want.End || got[0].AgeSeconds == nil || *got[0].AgeSeconds != int64(asked.Sub(*got[0].Heard).Seconds()) {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	for name, result := range want {
		if got := score()[name]; got != result {
			t.Errorf("%s is %q, want %q", name, got, result)
		}
	}
	if len(score()) != len(want) {
		t.Errorf("%v", score())
	}
	var told []string
	for i := range loud {
		told = append(told, loud[i].InstanceID)
	}
	if slices.Sort(told); !slices.Equal(told, []string{"i-panics", "i-silent", "i-stuck"}) {
		t.Errorf("loud: %v", told)
	}
	// What is narrowed is of one moment: the score is that of the moves.
	for name, tt := range map[string]struct {
		values filter.Values
		moves  int
	}{
		"region":         {filter.Values{"region": {"cn-hangzhou"}}, 9},
		"another region": {filter.Values{"region": {"cn-beijing"}}, 0},
		"a status":       {filter.Values{"status": {"Starting"}}, 0},
		"system":         {filter.Values{"os": {"centos:7.5"}}, 1},
		"excluded":       {filter.Values{"exclude": {"i-silent"}}, 8},
	} {
		scope, err := filter.Parse(tt.values)
		if err != nil {
			t.Fatal(err)
		}
		got, counted := outcomes(t, db, store.Filter{Scope: scope}), 0
		for _, s := range got.Scores {
			counted += s.Instances
		}
		if len(got.Moves) != tt.moves || counted != tt.moves {
			t.Errorf("%s: %d moves, %d counted, want %d", name, len(got.Moves), counted, tt.moves)
		}
	}
	if got := db.Figures().Outcomes; len(got) == 0 {
		t.Error("no score is published")
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
	for _, move := range outcomes(t, db, store.Filter{}).Moves {
		seen[move.InstanceID] = move.Checked
	}
	hear := func(now time.Time) {
		t.Helper()
		s.now = now.Unix() - at(0).Unix()
		apply(t, db, s.put(evidenceAt(now, event.EvidenceItem{ID: "m-1", Asked: now, Types: "ecs.g6=1"})))
	}
	hear(seen["i-gone"].AddDate(0, 0, 400))
	if got := outcomes(t, db, store.Filter{}); len(got.Moves) != len(want) {
		t.Errorf("after 400 days: %+v", got.Moves)
	}
	hear(seen["i-good"].AddDate(0, 0, 402))
	got := outcomes(t, db, store.Filter{})
	if len(got.Moves) != 0 {
		t.Errorf("after 402 days: %+v", got.Moves)
	}
	counted := 0
	for _, s := range got.Scores {
		counted += s.Instances
	}
	if counted != len(want) {
		t.Errorf("after 402 days %d are counted, want %d: %+v", counted, len(want), got.Scores)
	}
}
