package store_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

var evidenceScope = hangzhou

func evidenceAt(at time.Time, items ...event.EvidenceItem) *event.EvidenceRead {
	return &event.EvidenceRead{Scope: evidenceScope, Source: event.EvidencePlatform, At: at, Items: items}
}

func evidenceOf(t *testing.T, db *store.DB, f store.Filter, began time.Time) []record.Evidence {
	t.Helper()
	v, err := db.View(t.Context(), nil, f)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	rows, err := v.Evidence(began)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// What a later call answered beside others, which it is counted for, takes nothing
// from the calls that were made before in the same scan.
func TestCallsThatWereMadeStayCounted(t *testing.T) {
	db, s := fresh(t), newStream()
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	again := at.Add(time.Minute)
	apply(t, db, s.put(
		evidenceAt(at, event.EvidenceItem{ID: "m-1", Calls: 1, Cause: "throttled"}),
		evidenceAt(again, event.EvidenceItem{ID: "m-2", Asked: again, Calls: 1, Types: "ecs.g6=1"}, event.EvidenceItem{ID: "m-1", Asked: again, Types: "ecs.g6=1"}),
	))
	if rows := evidenceOf(t, db, store.Filter{}, at); len(rows) != 1 || rows[0].Calls != 2 || rows[0].Answered != 2 {
		t.Errorf("%+v", rows)
	}
}

func TestEvidenceIsKeptAndSummedUp(t *testing.T) {
	db, s := fresh(t), newStream()
	asked := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	now := asked.AddDate(0, 0, 20)
	apply(t, db, s.put(
		evidenceAt(asked, event.EvidenceItem{ID: "m-1", Asked: asked, Calls: 1, Types: "ecs.g6=2"}),
		evidenceAt(asked, event.EvidenceItem{ID: "m-old", Asked: asked, Calls: 1, Types: "ecs.g6=2"}), // nothing runs of it any more
		evidenceAt(now,
			event.EvidenceItem{ID: "m-1", Kept: true},
			event.EvidenceItem{ID: "m-2", Asked: now, Calls: 1, Types: "ecs.g6=2 ecs.g7=1"},
			event.EvidenceItem{ID: "m-3", Calls: 1, Cause: "denied", Mend: "grant it"},
			event.EvidenceItem{ID: "m-4", Cause: "denied", Mend: "grant it"},
			event.EvidenceItem{ID: event.YardstickPrefix + "x86_64", Image: "aliyun", Asked: now, Calls: 2, Types: "ecs.g6=2"},
		)))
	want := []record.Evidence{{
		Source: "platform", Account: "prod", Region: "cn-hangzhou", About: "images", Asked: 4, Answered: 2, Calls: 4, Oldest: &asked,
		Skipped: []record.EvidenceSkipped{{Count: 2, Cause: "denied", Mend: "grant it"}},
	}}
	if diff := cmp.Diff(want, evidenceOf(t, db, store.Filter{}, now.Add(-time.Minute))); diff != "" {
		t.Error(diff)
	}
	if rows := evidenceOf(t, db, store.Filter{Region: "cn-beijing"}, now); len(rows) != 0 {
		t.Errorf("evidence of another region: %+v", rows)
	}
	had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-1", "m-2", "m-5"})
	if err != nil || len(had) != 2 || had["m-1"].Types != "ecs.g6=2" || !had["m-1"].Asked.Equal(asked) || had["m-1"].Kept {
		t.Errorf("%+v, %v", had, err)
	}
	if other, err := db.Evidence(evidenceScope, "heartbeat", []string{"m-1"}); err != nil || len(other) != 0 {
		t.Errorf("another source has %+v, %v", other, err)
	}
}

func TestLateEvidenceIsIgnored(t *testing.T) {
	db, s := fresh(t), newStream()
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	young := event.EvidenceItem{ID: "m-1", Asked: at.Add(time.Hour), Calls: 1, Types: "ecs.g7=1"}
	old := event.EvidenceItem{ID: "m-1", Asked: at, Calls: 1, Types: "ecs.g6=1"}
	apply(t, db, s.put(evidenceAt(at.Add(time.Hour), young), evidenceAt(at, old), evidenceAt(at.Add(time.Hour), young)))
	had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-1"})
	if err != nil || had["m-1"].Types != "ecs.g7=1" {
		t.Errorf("%+v, %v; want the newest answer", had, err)
	}
	if rows := evidenceOf(t, db, store.Filter{}, at); len(rows) != 1 || rows[0].Asked != 1 || rows[0].Calls != 1 {
		t.Errorf("%+v", rows)
	}
}

// What a clock that runs ahead dated gives way to the next answer of a clock that does
// not, and where that answer kept no image, the one before stays.
func TestEvidenceOfATimeToComeGivesWay(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 1000
	ahead, now := at(1000+365*86400), at(2000)
	apply(t, db, s.put(evidenceAt(ahead,
		event.EvidenceItem{ID: "m-1", Asked: ahead, Calls: 1, Types: "ecs.g6=1"},
		event.EvidenceItem{ID: "m-2", Asked: ahead, Calls: 1, Types: "ecs.g6=1"},
		event.EvidenceItem{ID: "m-3", Asked: ahead, Calls: 1, Types: "ecs.g6=1"})))
	s.now = 2000
	apply(t, db, s.put(evidenceAt(now,
		event.EvidenceItem{ID: "m-1", Asked: now, Calls: 1, Types: "ecs.g7=1"},
		event.EvidenceItem{ID: "m-2", Kept: true})))
	had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-1", "m-2", "m-3"})
	if err != nil || had["m-1"].Types != "ecs.g7=1" || had["m-2"].Types != "ecs.g6=1" {
		t.Errorf("%+v, %v", had, err)
	}
	for id, want := range map[string]time.Time{"m-1": now, "m-2": now, "m-3": now.Add(-1)} {
		if is := had[id]; !is.Seen.Equal(want) || is.Tried.After(now) {
			t.Errorf("%s was needed at %s and tried at %s; want %s", id, is.Seen, is.Tried, want)
		}
	}
	// A clock that runs ahead by minutes is none that is wrong, and its answer the newest.
	apply(t, db, s.put(evidenceAt(now.Add(5*time.Minute), event.EvidenceItem{ID: "m-1", Asked: now, Types: "ecs.g8=1"}), evidenceAt(now, event.EvidenceItem{ID: "m-1", Asked: now, Types: "ecs.g7=1"})))
	if had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-1"}); err != nil || had["m-1"].Types != "ecs.g8=1" {
		t.Errorf("%+v, %v", had, err)
	}
}

func TestEvidenceThatCannotBeKeptIsLeftOut(t *testing.T) {
	db, s := fresh(t), newStream()
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", 70<<10)
	done := apply(t, db, s.put(evidenceAt(at,
		event.EvidenceItem{ID: "", Asked: at, Types: "ecs.g6=1"},
		event.EvidenceItem{ID: "m\x001", Asked: at, Types: "ecs.g6=1"},
		event.EvidenceItem{ID: long, Asked: at},
		event.EvidenceItem{ID: "m-2", Cause: long},
		event.EvidenceItem{ID: "m-3", Asked: at, Types: "ecs.g6=1"},
	)))
	if done.Invalid != 4 {
		t.Errorf("%d items were left out; want 4", done.Invalid)
	}
	if rows := evidenceOf(t, db, store.Filter{}, at); len(rows) != 1 || rows[0].Asked != 1 {
		t.Errorf("%+v", rows)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Beside evidence stand moves of instances, which the store alone finds out. A message
// that says to be of them takes the place of none: a move that could not be read would
// end the sink.
func TestNoMessageIsOfAMove(t *testing.T) {
	db, s := fresh(t), newStream()
	apply(t, db, s.put(whole("s1", evidenceScope, 10, machine{id: "i-1"})...))
	evidence := evidenceAt(at(20), event.EvidenceItem{ID: "i-1", Asked: at(20)})
	evidence.Source = "move"
	if done := apply(t, db, s.put(evidence)); done.Invalid != 1 {
		t.Errorf("%+v", done)
	}
	s.now = 100
	apply(t, db, s.put(whole("s2", evidenceScope, 90, machine{id: "i-1"})...)) // which looks at moves
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEvidenceOfAForgottenAccountGoesWithIt(t *testing.T) {
	db, s := fresh(t), newStream()
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	apply(t, db, s.put(append(whole("s1", evidenceScope, 10, machine{id: "i-1", os: "centos 5.8"}), evidenceAt(at, event.EvidenceItem{ID: "m-1", Asked: at, Types: "ecs.g6=1"}))...))
	if _, err := db.Forget(t.Context(), evidenceScope.Account, "", at); err != nil {
		t.Fatal(err)
	}
	if had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-1"}); err != nil || len(had) != 0 {
		t.Errorf("%+v, %v", had, err)
	}
}

// Evidence is kept as long as somebody needed it in the last 45 days, the end of
// that time included; what is older goes once a day, when evidence comes.
func TestEvidenceThatNobodyNeedsIsForgotten(t *testing.T) {
	db, s := fresh(t), newStream()
	const day = int64(24 * 60 * 60)
	hear := func(now int64, ids ...string) {
		t.Helper()
		s.now = now
		items := make([]event.EvidenceItem, len(ids))
		for i, id := range ids {
			items[i] = event.EvidenceItem{ID: id, Asked: at(now), Types: "ecs.g6=1"}
		}
		apply(t, db, s.put(evidenceAt(at(now), items...)))
	}
	holds := func(when string, want ...string) {
		t.Helper()
		had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-before", "m-edge", "m-new"})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(had)); !slices.Equal(got, want) {
			t.Errorf("%s: %q is kept, want %q", when, got, want)
		}
	}
	hear(-1, "m-before")
	hear(0, "m-edge")
	hear(45*day-1, "m-new")
	holds("45 days after the first", "m-before", "m-edge", "m-new")
	hear(46*day-2, "m-new")
	holds("a second less than a day later", "m-before", "m-edge", "m-new")
	hear(46*day-1, "m-new")
	holds("a day later", "m-new")
}

// The last second of the 45 days still counts.
func TestEvidenceOfTheLastSecondIsKept(t *testing.T) {
	db, s := fresh(t), newStream()
	const day = int64(24 * 60 * 60)
	for _, came := range []struct {
		now, needed int64
		id          string
	}{{0, -1, "m-before"}, {0, 0, "m-edge"}, {45 * day, 45 * day, "m-new"}} {
		s.now = came.now
		apply(t, db, s.put(evidenceAt(at(came.needed), event.EvidenceItem{ID: came.id, Asked: at(came.needed), Types: "ecs.g6=1"})))
	}
	had, err := db.Evidence(evidenceScope, event.EvidencePlatform, []string{"m-before", "m-edge", "m-new"})
	if _, edge := had["m-edge"]; err != nil || len(had) != 2 || !edge {
		t.Errorf("%+v, %v; want what was needed 45 days ago, and not what was needed a second before", had, err)
	}
}

// What a machine answered is told with its age while it counts, and with why it
// does not where it does not. A time to come has no age.
func TestAnAnswerOfAMachineHasAnAge(t *testing.T) {
	db, s := fresh(t), newStream()
	asked := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	answers := map[string]bool{"counts": true, "untold": true, "ahead": true, "silent now": true}
	var fleet []machine
	var names []string
	for name := range answers {
		names = append(names, name)
	}
	names = append(names, "other image", "other type", "too old", "never answered")
	for _, name := range names {
		fleet = append(fleet, machine{id: "i-" + name, os: name})
	}
	apply(t, db, s.put(guestsPage(whole("s1", hangzhou, s.now-10, fleet...), func(name string, f *rules.Facts, h *rules.Hardware) {
		f.Guest.Up, f.ImageID, h.InstanceType = rules.Unobserved, "m-1", "ecs.g5.large"
		if answers[name] {
			f.Guest.Release = "CentOS Linux release 7.9.2009 (Core)"
		}
	})...))
	item := func(name string) event.EvidenceItem {
		return event.EvidenceItem{ID: "i-" + name, Asked: asked, Heard: asked, Image: "m-1", Types: "ecs.g5.large"}
	}
	otherImage, otherType, ahead, silent, never := item("other image"), item("other type"), item("ahead"), item("silent now"), item("never answered")
	otherImage.Image, otherType.Types, ahead.Heard = "m-0", "ecs.c4.large", asked.AddDate(1, 0, 0)
	silent.Cause, never.Cause, never.Heard = "its agent is silent", "its agent is silent", time.Time{}
	evidence := &event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceProbe, At: asked, Items: []event.EvidenceItem{
		item("counts"), otherImage, otherType, item("too old"), ahead, silent, never,
	}}
	apply(t, db, s.put(evidence))
	now := asked.Add(9 * 24 * time.Hour)
	week := int64(9 * 24 * 3600)
	for name, want := range map[string]struct {
		age           *int64
		cause, unused string
	}{
		"counts": {&week, "", ""}, "untold": {nil, "not told when", ""}, "ahead": {nil, "", ""}, "silent now": {&week, "its agent is silent", ""}, "never answered": {nil, "its agent is silent", ""},
		"other image": {&week, "", "of another image"}, "other type": {&week, "", "of another instance type"}, "too old": {&week, "", "too old"},
	} {
		got, err := db.GuestEvidence(hangzhou, "i-"+name, now)
		if err != nil || len(got) != 1 || got[0].Source != "probe" || !strings.Contains(got[0].Cause, want.cause) || want.cause == "" && got[0].Cause != "" || !strings.Contains(got[0].Unused, want.unused) || want.unused == "" && got[0].Unused != "" || !cmp.Equal(got[0].AgeSeconds, want.age) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if rows := evidenceOf(t, db, store.Filter{}, asked.Add(-time.Minute)); len(rows) != 0 {
		t.Errorf("the store counts what the run that asks counts: %+v", rows)
	}
}
