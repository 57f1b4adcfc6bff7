package store_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/rules/waves"
	"github.com/shenscan/shenscan/sink/store"
)

// judgedPage is a page of one machine with centos 5.8, which the store's own
// rule set finds incompatible, and with what a worker says of it.
func judgedPage(change func(*event.InstancesClassified)) *event.InstancesClassified {
	m := page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 101, machine{id: "i-1", os: "centos 5.8"})
	m.Classes = []outcome.Class{{Levels: "\x01\x01\x01", Standings: ready, Family: "worker", Version: "1"}}
	change(m)
	return m
}

// ready is the standing of a compatible instance, for each of three targets.
var ready = strings.Repeat(string([]byte{outcome.Standing{Wave: waves.Ready.Number(), Confidence: rules.High, Was: rules.Compatible}.Byte()}), 3)

// What a worker says is stored where it has the store's rule set and targets,
// and then without a look at it; all else is judged by the store and counted.
func TestVerdictsOfWorkers(t *testing.T) {
	own := []string{"kvm", "shenlong-6", "shenlong-7"}
	for name, c := range map[string]struct {
		change func(*event.InstancesClassified)
		taken  bool
		anew   record.JudgedAnew
	}{
		"same":            {change: func(*event.InstancesClassified) {}, taken: true},
		"another_ruleset": {change: func(m *event.InstancesClassified) { m.Ruleset = "b" }, anew: record.JudgedAnew{Ruleset: "b", Targets: own}},
		"no_ruleset":      {change: func(m *event.InstancesClassified) { m.Ruleset = "" }, anew: record.JudgedAnew{Targets: own}},
		"fewer_targets": {change: func(m *event.InstancesClassified) {
			m.Targets, m.Classes[0].Levels, m.Classes[0].Standings = own[:2], m.Classes[0].Levels[:2], ready[:2]
		}, anew: record.JudgedAnew{Ruleset: "a", Targets: own[:2]}},
		"targets_in_another_order": {
			change: func(m *event.InstancesClassified) { m.Targets = []string{"shenlong-6", "kvm", "shenlong-7"} },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: []string{"shenlong-6", "kvm", "shenlong-7"}},
		},
		"too_few_verdicts": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Levels = m.Classes[0].Levels[:2] },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"too_many_verdicts": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Levels += m.Classes[0].Levels[:1] },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_such_verdict": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Levels = "\x01\x01\x04" },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_standings": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Standings = "" },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"standing_of_another_verdict": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Levels = "\x01\x01\x02" },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_such_wave": {
			change: func(m *event.InstancesClassified) {
				m.Classes[0].Standings = ready[:2] + string([]byte{outcome.Standing{Wave: len(waves.All()), Confidence: rules.High, Was: rules.Compatible}.Byte()})
			},
			anew: record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"waived_by_a_worker": {
			change: func(m *event.InstancesClassified) {
				m.Classes[0].Standings = ready[:2] + string([]byte{outcome.Standing{Wave: waves.Waived.Number(), Confidence: rules.High, Was: rules.Compatible}.Byte()})
			},
			anew: record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_such_class": {
			change: func(m *event.InstancesClassified) { m.Profiles[0].Class = 1 },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_class": {
			change: func(m *event.InstancesClassified) { m.Classes = nil },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"no_family": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Family = "" },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
		"endless_version": {
			change: func(m *event.InstancesClassified) { m.Classes[0].Version = string(make([]byte, 65)) },
			anew:   record.JudgedAnew{Ruleset: "a", Targets: own, Unsound: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db := open(t, path, newJudge("a", oldOnes))
			s := newStream()
			s.now = 1000
			// As it travels: whatever Encode writes of it, Decode reads.
			sent, err := event.Encode(judgedPage(c.change))
			if err != nil {
				t.Fatal(err)
			}
			arrived, err := event.Decode(sent)
			if err != nil {
				t.Fatalf("a page whose verdicts are wrong is a page all the same: %v", err)
			}
			apply(t, db, s.put(planned("s1", scanKind, 100, hangzhou), arrived))
			clear(sent) // what is kept is no part of the message
			var anew []record.JudgedAnew
			if !c.taken {
				c.anew.Pages = 1
				anew = append(anew, c.anew)
			}
			if diff := cmp.Diff(anew, db.Summary().JudgedAnew); diff != "" {
				t.Error(diff)
			}
			want := map[string]int{"compatible": 0, "needs-action": 0, "unknown": 0, "incompatible": 1}
			if c.taken {
				want["compatible"], want["incompatible"] = 1, 0
			}
			for range 2 {
				sum := db.Summary()
				if diff := cmp.Diff(want, sum.Verdicts["shenlong-7"]); diff != "" {
					t.Error(diff)
				}
				if family := sum.Groups[0].OSFamily; (family == "worker") != c.taken {
					t.Errorf("family %q", family)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = open(t, path, newJudge("a", oldOnes)) // and what is stored stays
			}
		})
	}
}

// The summary and the figures of the store name whose pages it judges anew, a
// bounded number of them.
func TestPagesJudgedAnewAreNamed(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(planned("s1", scanKind, 100, hangzhou)))
	apply(t, db, s.put(judgedPage(func(m *event.InstancesClassified) { m.Ruleset = "b" }), judgedPage(func(m *event.InstancesClassified) { m.Ruleset = "b" })))
	apply(t, db, s.put(judgedPage(func(m *event.InstancesClassified) { m.Classes = nil })))
	targets := []string{"kvm", "shenlong-6", "shenlong-7"}
	want := []record.JudgedAnew{{Ruleset: "a", Targets: targets, Pages: 1, Unsound: true}, {Ruleset: "b", Targets: targets, Pages: 2}}
	if diff := cmp.Diff(want, db.Summary().JudgedAnew); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, db.Stats().JudgedAnew); diff != "" {
		t.Error(diff)
	}
	for i := range 40 {
		apply(t, db, s.put(judgedPage(func(m *event.InstancesClassified) { m.Ruleset = string(make([]byte, 300+i)) + string(rune('a'+i)) })))
		apply(t, db, s.put(judgedPage(func(m *event.InstancesClassified) { m.Ruleset = "c" + string(rune('a'+i)) })))
	}
	pages := map[string]int{}
	for _, by := range db.Summary().JudgedAnew {
		pages[by.Ruleset] += by.Pages
		if len(by.Ruleset) > 200 {
			t.Errorf("%d bytes of a name", len(by.Ruleset))
		}
	}
	total := 0
	for n := range maps.Values(pages) {
		total += n
	}
	if total != 83 || len(pages) > 18 || pages["others"] == 0 {
		t.Errorf("%d pages by %d rule sets, %d by others", total, len(pages), pages["others"])
	}
}

// Of sixteen rule sets of workers each is named, and only what is beyond stands together:
// who rolls a new version out to that many sees which ones are behind.
func TestSixteenRuleSetsAreNamed(t *testing.T) {
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes)), newStream()
	s.now = 1000
	apply(t, db, s.put(planned("s1", scanKind, 100, hangzhou)))
	var want []string
	for i := range 16 {
		want = append(want, fmt.Sprintf("b%02d", i))
	}
	of := func(ruleset string) event.Message {
		return judgedPage(func(m *event.InstancesClassified) { m.Ruleset = ruleset })
	}
	var pages []event.Message
	for _, ruleset := range want {
		pages = append(pages, of(ruleset))
	}
	named := func() (out []string) {
		for _, by := range db.Summary().JudgedAnew {
			out = append(out, by.Ruleset)
		}
		return out
	}
	apply(t, db, s.put(pages...))
	if diff := cmp.Diff(want, named()); diff != "" {
		t.Errorf("of one batch: %s", diff)
	}
	apply(t, db, s.put(of("c"), of(want[0])))
	if diff := cmp.Diff(append(want, "others"), named()); diff != "" {
		t.Errorf("and one more: %s", diff)
	}
}

// A worker's verdict outlives restarts, and a rule set's own only until another
// one comes: then all is judged by that, whoever judged before.
func TestReclassifyJudgesWhatWorkersJudged(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	s := newStream()
	s.now = 1000
	apply(t, db, s.put(planned("s1", scanKind, 100, hangzhou), judgedPage(func(*event.InstancesClassified) {})))
	if got := db.Summary().Verdicts["shenlong-7"]["compatible"]; got != 1 {
		t.Fatalf("%d compatible", got)
	}
	done, err := db.Reclassify(t.Context(), newJudge("b", oldOnes))
	if err != nil {
		t.Fatal(err)
	}
	if got := db.Summary().Verdicts["shenlong-7"]["incompatible"]; got != 1 || len(done.Changes) != 1 {
		t.Errorf("%d incompatible, %d changes", got, len(done.Changes))
	}
}

var _ store.Classifier = (*judge)(nil)
