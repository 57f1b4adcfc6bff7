package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/sink/store"
)

// mover is a judge that knows two families of machines.
type mover struct{ *judge }

func (m mover) Machine(h rules.Hardware) rules.Machine {
	switch h.InstanceFamily {
	case "ecs.c5":
		return rules.Machine{Family: h.InstanceFamily, Generation: 5, Virtualization: family.KVM}
	case "ecs.g6":
		return rules.Machine{Family: h.InstanceFamily, Generation: 6, Virtualization: family.Shenlong}
	}
	return rules.Machine{}
}

// A machine was moved at 3,601 seconds and is seen Running since. What became of it is told
// once it runs for 15 minutes, by what was heard of its guest and by its console since the move, to the
// second; what is dated ahead of the question by more than clocks differ is not believed.
func TestAMoveIsToldByWhatWasHeardSinceIt(t *testing.T) {
	const moved, told = 3601, 4501 // 15 minutes later
	type heard struct{ asked, heard int64 }
	cases := map[string]struct {
		before  rules.Tri // whether its guest was heard of
		beat    heard
		console heard
		end     string
		later   func(f *rules.Facts, h *rules.Hardware) // what is seen then
		want    record.MoveResult
	}{
		"nobody asked":                   {rules.Yes, heard{}, heard{}, "", nil, record.MoveRunning},
		"silent after 15 minutes":        {rules.Yes, heard{told, moved - 100}, heard{}, "", nil, record.MoveNotUp},
		"asked a second too early":       {rules.Yes, heard{told - 1, moved - 100}, heard{}, "", nil, record.MoveRunning},
		"heard as it moved":              {rules.Yes, heard{told, moved}, heard{}, "", nil, record.MoveUp},
		"heard a second before":          {rules.Yes, heard{told, moved - 1}, heard{}, "", nil, record.MoveNotUp},
		"heard ahead of the question":    {rules.Yes, heard{told, told + 299}, heard{}, "", nil, record.MoveUp},
		"heard too far ahead":            {rules.Yes, heard{told, told + 300}, heard{}, "", nil, record.MoveNotUp},
		"heard, and asked too early":     {rules.Yes, heard{told - 1, moved}, heard{}, "", nil, record.MoveRunning},
		"never heard of":                 {rules.Unobserved, heard{told, 0}, heard{}, "", nil, record.MoveRunning},
		"never heard of before, and now": {rules.Unobserved, heard{told, moved + 5}, heard{}, "", nil, record.MoveUp},
		"login as it moved":              {rules.Yes, heard{}, heard{told, moved}, "login", nil, record.MoveUp},
		"login a second before":          {rules.Yes, heard{}, heard{told, moved - 1}, "login", nil, record.MoveRunning},
		"login ahead of the question":    {rules.Yes, heard{}, heard{told, told + 299}, "login", nil, record.MoveUp},
		"login too far ahead":            {rules.Yes, heard{}, heard{told, told + 300}, "login", nil, record.MoveRunning},
		"panic":                          {rules.Unobserved, heard{}, heard{told, moved}, "panic", nil, record.MoveNotUp},
		"stuck":                          {rules.Unobserved, heard{}, heard{told, moved}, "stuck", nil, record.MoveNotUp},
		"panic, heard of then":           {rules.Yes, heard{told, moved + 5}, heard{told, moved + 5}, "panic", nil, record.MoveNotUp},
		"panic, heard of later":          {rules.Yes, heard{told, moved + 6}, heard{told, moved + 5}, "panic", nil, record.MoveUp},
		"panic before the move":          {rules.Yes, heard{}, heard{told, moved - 1}, "panic", nil, record.MoveRunning},
		"seen to be up":                  {rules.Yes, heard{}, heard{}, "", func(f *rules.Facts, _ *rules.Hardware) { f.Guest.Up = rules.Yes }, record.MoveUp},
		"seen to be down":                {rules.Yes, heard{}, heard{}, "", func(f *rules.Facts, _ *rules.Hardware) { f.Guest.Up = rules.No }, record.MoveNotUp},
		"stopped":                        {rules.Yes, heard{}, heard{}, "", func(_ *rules.Facts, h *rules.Hardware) { h.Running = rules.No }, record.MoveNone},
		"moved to what nobody knows":     {rules.Yes, heard{}, heard{}, "", func(_ *rules.Facts, h *rules.Hardware) { h.InstanceType, h.InstanceFamily = "ecs.x1.large", "ecs.x1" }, record.MoveNone},
		"resized":                        {rules.Yes, heard{told, moved}, heard{}, "", func(_ *rules.Facts, h *rules.Hardware) { h.InstanceType = "ecs.g6.xlarge" }, record.MoveUp},
	}
	for early, at3 := range map[bool]int64{true: told - 1, false: told} {
		db, s := open(t, t.TempDir()+"/store.db", mover{newJudge("a", oldOnes)}), newStream()
		var fleet []machine
		for name := range cases {
			fleet = append(fleet, machine{id: "i-" + name, os: "debian " + name})
		}
		scan := func(id string, epoch int64, change func(name string, f *rules.Facts, h *rules.Hardware)) store.Applied {
			return apply(t, db, s.put(guestsPage(whole(id, hangzhou, epoch, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
				f.Guest.Up = rules.Unobserved
				change(os[len("debian "):], f, h)
			})...))
		}
		onSix := func(h *rules.Hardware) { h.InstanceType, h.InstanceFamily = "ecs.g6.large", "ecs.g6" }
		s.now = 10
		scan("s1", 0, func(name string, f *rules.Facts, _ *rules.Hardware) { f.Guest.Up = cases[name].before })
		s.now = moved + 10
		scan("s2", moved-1, func(_ string, _ *rules.Facts, h *rules.Hardware) { onSix(h) })
		s.now = 5000
		beats := &event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceHeartbeat, At: at(told)}
		logs := &event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceConsole, At: at(told)}
		for name, c := range cases {
			if c.beat.asked != 0 {
				item := event.EvidenceItem{ID: "i-" + name, Asked: at(c.beat.asked)}
				if c.beat.heard != 0 {
					item.Heard = at(c.beat.heard)
				}
				beats.Items = append(beats.Items, item)
			}
			if c.end != "" {
				logs.Items = append(logs.Items, event.EvidenceItem{ID: "i-" + name, Asked: at(c.console.asked), Heard: at(c.console.heard), Console: &event.Console{End: c.end}})
			}
		}
		apply(t, db, s.put(beats, logs))
		got := scan("s3", at3-1, func(name string, f *rules.Facts, h *rules.Hardware) {
			onSix(h)
			if later := cases[name].later; later != nil && !early {
				later(f, h)
			}
		})
		loud, all := map[string]bool{}, outcomes(t, db, store.Filter{})
		for i := range got.NotUp {
			loud[got.NotUp[i].InstanceID] = true
		}
		if len(all.Moves) != len(cases) || all.More != 0 {
			t.Errorf("%d moves of %d, and %d more", len(all.Moves), len(cases), all.More)
		}
		wrong := 0
		for i := range all.Moves {
			m := &all.Moves[i]
			want := cases[m.InstanceID[2:]].want
			if early {
				want = record.MoveEarly
			}
			if m.Result != want || loud[m.InstanceID] != (want == record.MoveNotUp) || !m.MovedAt.Equal(at(moved)) {
				t.Errorf("%s (early: %t) is %s, want %s: %s", m.InstanceID, early, m.Result, want, m.Why)
			}
			if m.Result == record.MoveNotUp {
				wrong++
			}
		}
		if all.Wrong != wrong {
			t.Errorf("%d went otherwise than was said, of %d", all.Wrong, wrong)
		}
		for limit, want := range map[int]int{-1: 0, 0: 0, 1: 1, 7: 7, len(cases): len(cases), 99: len(cases)} {
			view, err := db.View(t.Context(), nil, store.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			few, err := view.Outcomes(t.Context(), limit)
			if err != nil || len(few.Moves) != want || few.More != len(cases)-want || want > 0 && few.Moves[0].InstanceID != all.Moves[0].InstanceID {
				t.Errorf("of at most %d: %d moves, and %d more, %v", limit, len(few.Moves), few.More, err)
			}
			if err := view.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !early {
			continue
		}
		// Those that wait are asked for when they were not seen for 15 minutes, so many at a time.
		for ahead, want := range map[time.Duration]int{900 * time.Second: 0, 900*time.Second + 1: len(cases)} {
			for _, limit := range []int{0, 1, len(cases), 99} {
				waits, err := db.Unsettled(at(at3).Add(ahead), limit)
				if err != nil || len(waits[hangzhou]) != min(limit, want) {
					t.Errorf("%d of at most %d wait %s later, %v", len(waits[hangzhou]), limit, ahead, err)
				}
			}
		}
	}
}

// A guest that nobody could be asked for is asked for within a day of its move, where it was
// heard of before.
func TestAMoveIsAskedForWithinADay(t *testing.T) {
	db, s := open(t, t.TempDir()+"/store.db", mover{newJudge("a", oldOnes)}), newStream()
	for i, epoch := range []int64{0, 3600, 7200} {
		s.now = epoch + 10
		apply(t, db, s.put(guestsPage(whole(fmt.Sprint("s", i), hangzhou, epoch, machine{id: "i-heard", os: "debian 1"}, machine{id: "i-never", os: "debian 2"}), func(os string, f *rules.Facts, h *rules.Hardware) {
			if f.Guest.Up = rules.Unobserved; i == 0 && os == "debian 1" {
				f.Guest.Up = rules.Yes
			}
			if i > 0 {
				h.InstanceType, h.InstanceFamily = "ecs.g6.large", "ecs.g6"
			}
		})...))
	}
	for seconds, want := range map[int64][]string{3601 + 86400: nil, 3601 + 86399: {"i-heard"}} {
		waits, err := db.Unsettled(at(seconds), 9)
		if diff := cmp.Diff(want, waits[hangzhou]); diff != "" || err != nil {
			t.Errorf("at %d: %s, %v", seconds, diff, err)
		}
	}
}
