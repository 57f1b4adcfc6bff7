package store_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/sink/store"
)

// engines is a judge that knows a family of each class, of which it judges for all but the
// last.
type engines struct{ *judge }

func (e engines) Machine(h rules.Hardware) rules.Machine {
	for i, name := range []string{"ecs.c5", "ecs.g6", "ecs.g7", "ecs.g8"} {
		if h.InstanceFamily == name {
			return rules.Machine{Family: name, Generation: 5 + i, Virtualization: []string{family.KVM, family.Shenlong}[min(i, 1)]}
		}
	}
	return rules.Machine{}
}

// engineStore is a store for such moves: what is called old or down is incompatible with
// all but kvm, and what is called odd is unknown.
func engineStore(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	j := newJudge("a", nil)
	j.old = map[string]rules.Level{}
	for _, n := range []string{"1", "2"} {
		j.old["old "+n], j.old["down "+n], j.old["odd "+n] = rules.Incompatible, rules.Incompatible, rules.Unknown
	}
	o.Path, o.Classifier = filepath.Join(t.TempDir(), "store.db"), engines{j}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync()
	t.Cleanup(func() { db.Close() })
	return db
}

// onMachines is a complete scan of a region in which the instance i-NAME of a system of
// that name runs on a type, with what is known of its guest.
func onMachines(id string, sc ecs.Scope, epoch int64, types map[string]string, up map[string]rules.Tri) []event.Message {
	var fleet []machine
	for _, name := range slices.Sorted(maps.Keys(types)) {
		fleet = append(fleet, machine{id: "i-" + name, os: name})
	}
	return guestsPage(whole(id, sc, epoch, fleet...), func(os string, f *rules.Facts, h *rules.Hardware) {
		f.Guest.Up = up[os]
		h.InstanceType, h.InstanceFamily = types[os], types[os][:strings.LastIndexByte(types[os], '.')]
	})
}

// scoresOf spells counts of outcomes.
func scoresOf(scores []record.MoveScore) (out []string) {
	for _, s := range scores {
		out = append(out, fmt.Sprintf("%s %s %s %d", s.Target, s.Verdict, s.Result, s.Instances))
	}
	return out
}

// movesOf spells moves.
func movesOf(moves []record.Move) (out []string) {
	for i := range moves {
		out = append(out, fmt.Sprintf("%s %s %s", moves[i].InstanceID, moves[i].Verdict, moves[i].Result))
	}
	return out
}

// A move is from one class of machines to another one that is known, and what is kept is
// what was said of the class that it is to: other types of a class, and a class that
// nothing is judged for, are none.
func TestAMoveKeepsWhatWasSaidOfItsClass(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"to another class":        {"ecs.c5.large", "ecs.g6.large", "shenlong-6 incompatible"},
		"back to the first class": {"ecs.g7.large", "ecs.c5.large", "kvm needs-action"},
		"another size":            {"ecs.g6.large", "ecs.g6.xlarge", ""},
		"from an unknown machine": {"ecs.x1.large", "ecs.g6.large", "shenlong-6 incompatible"},
		"to an unknown machine":   {"ecs.c5.large", "ecs.x1.large", ""},
		"to what nobody judges":   {"ecs.c5.large", "ecs.g8.large", ""},
		"nowhere":                 {"ecs.c5.large", "ecs.c5.large", ""},
	} {
		db, s := engineStore(t, store.Options{}), newStream()
		for i, kind := range []string{c.from, c.to} {
			s.now = int64(i)*3600 + 10
			apply(t, db, s.put(onMachines(fmt.Sprint("s", i), hangzhou, s.now-10, map[string]string{"old 1": kind}, map[string]rules.Tri{"old 1": rules.Tri(i)})...))
		}
		var got []string
		for _, m := range outcomes(t, db, store.Filter{}).Moves {
			got = append(got, m.Target+" "+m.Verdict)
		}
		if is := strings.Join(got, ", "); is != c.want {
			t.Errorf("%s: %q is kept, want %q", name, is, c.want)
		}
	}
}

// A move that another one replaces before it was told is counted no more, and one that was
// told stays counted; nothing is counted of no instance. What is narrowed counts the moves that
// are known.
func TestAMoveIsCountedOnce(t *testing.T) {
	db, s := engineStore(t, store.Options{}), newStream()
	for i, c := range []struct {
		types  map[string]string
		up     map[string]rules.Tri
		all    []string
		narrow []string
	}{
		{types: map[string]string{"old 1": "ecs.c5.large", "new 1": "ecs.c5.large", "new 2": "ecs.c5.large"}},
		{types: map[string]string{"old 1": "ecs.g6.large", "new 1": "ecs.g6.large", "new 2": "ecs.g6.large"}, all: []string{"shenlong-6 compatible early 2", "shenlong-6 incompatible early 1"}},
		{
			types: map[string]string{"old 1": "ecs.g7.large", "new 1": "ecs.g6.large", "new 2": "ecs.g7.large"}, up: map[string]rules.Tri{"new 1": rules.Yes},
			all: []string{"shenlong-6 compatible up 1", "shenlong-7 compatible early 1", "shenlong-7 incompatible early 1"},
		},
		{
			types:  map[string]string{"old 1": "ecs.g7.large", "new 1": "ecs.g7.large", "new 2": "ecs.g7.large"},
			all:    []string{"shenlong-6 compatible up 1", "shenlong-7 compatible early 1", "shenlong-7 compatible running 1", "shenlong-7 incompatible running 1"},
			narrow: []string{"shenlong-7 compatible early 1", "shenlong-7 compatible running 1", "shenlong-7 incompatible running 1"},
		},
	} {
		s.now = int64(i)*3600 + 10
		apply(t, db, s.put(onMachines(fmt.Sprint("s", i), hangzhou, s.now-10, c.types, c.up)...))
		if diff := cmp.Diff(c.all, scoresOf(outcomes(t, db, store.Filter{}).Scores)); diff != "" {
			t.Errorf("after scan %d: %s", i, diff)
		}
		if diff := cmp.Diff(c.all, scoresOf(db.Figures().Outcomes)); diff != "" {
			t.Errorf("figures after scan %d: %s", i, diff)
		}
		if c.narrow == nil {
			c.narrow = c.all
		}
		if diff := cmp.Diff(c.narrow, scoresOf(outcomes(t, db, store.Filter{Account: "prod"}).Scores)); diff != "" {
			t.Errorf("of an account after scan %d: %s", i, diff)
		}
	}
}

// What went otherwise than was said comes first, and of it what was said to be compatible;
// then the moves that were made last, and those with the lower id. Of a few moves it is told
// how many more there are. A filter finds a move in whichever region it is, and none of an
// instance that is forgotten.
func TestWhatWentOtherwiseThanWasSaidComesFirst(t *testing.T) {
	db, s := engineStore(t, store.Options{GoneRetention: time.Hour}), newStream()
	regions := map[ecs.Scope][]string{hangzhou: {"good 1", "bad 2", "old 1", "down 1", "odd 2", "gone 1"}, beijing: {"good 2", "bad 1", "old 2", "down 2", "odd 1"}}
	later := map[string]bool{"bad 2": true, "old 2": true, "good 1": true}
	up := map[string]rules.Tri{}
	for i := range 4 {
		for sc, names := range regions {
			types := map[string]string{}
			for _, name := range names {
				if types[name] = "ecs.c5.large"; i > 1 || i == 1 && !later[name] {
					types[name] = "ecs.g6.large"
				}
				if i == 3 {
					up[name] = rules.Yes
					if strings.HasPrefix(name, "bad") || strings.HasPrefix(name, "down") {
						up[name] = rules.No
					}
				}
			}
			if i == 3 {
				delete(types, "gone 1")
			}
			s.now = int64(i)*7200 + 10
			apply(t, db, s.put(onMachines(fmt.Sprint("s", i, sc.Region), sc, s.now-10, types, up)...))
		}
	}
	want := []string{
		"i-bad 2 compatible not-up", "i-bad 1 compatible not-up",
		"i-old 2 incompatible up", "i-odd 1 unknown up", "i-odd 2 unknown up", "i-old 1 incompatible up",
		"i-good 1 compatible up", "i-down 1 incompatible not-up", "i-down 2 incompatible not-up", "i-gone 1 compatible none", "i-good 2 compatible up",
	}
	got := outcomes(t, db, store.Filter{})
	if diff := cmp.Diff(want, movesOf(got.Moves)); diff != "" || got.Wrong != 2 || got.More != 0 {
		t.Errorf("%d are wrong, %d more: %s", got.Wrong, got.More, diff)
	}
	few, err := viewOf(t, db, store.Filter{}).Outcomes(t.Context(), 3)
	if diff := cmp.Diff(want[:3], movesOf(few.Moves)); diff != "" || few.More != len(want)-3 || err != nil {
		t.Errorf("%d more than three, %v: %s", few.More, err, diff)
	}
	for system, want := range map[string][]string{"bad": want[:2], "odd": want[3:5], "gone": want[9:10], "none": nil} {
		if diff := cmp.Diff(want, movesOf(outcomes(t, db, store.Filter{OSFamily: system}).Moves)); diff != "" {
			t.Errorf("%s: %s", system, diff)
		}
	}
	// An hour later the instance that is gone is forgotten, and its move is told of its region alone.
	s.now = 7 * 7200
	apply(t, db, s.put(onMachines("s9", hangzhou, s.now-10, map[string]string{"good 1": "ecs.g6.large"}, nil)...))
	if _, err := db.Find("i-gone 1"); err == nil {
		t.Fatal("the instance is not forgotten")
	}
	for _, system := range []string{"gone", "bad", "good", "down", "odd", "old"} {
		if got := movesOf(outcomes(t, db, store.Filter{OSFamily: system}).Moves); slices.Contains(got, "i-gone 1 compatible none") {
			t.Errorf("of %s: %v", system, got)
		}
	}
	if got := outcomes(t, db, store.Filter{Region: "cn-hangzhou"}); !slices.Contains(movesOf(got.Moves), "i-gone 1 compatible none") {
		t.Errorf("of its region: %v", movesOf(got.Moves))
	}
}

// An instance that is moved on to a class that nothing is judged for has no outcome, though
// it runs; one that is seen at the moment at which a complete scan began is there, and has one.
func TestAMoveThatIsMovedOnHasNoOutcome(t *testing.T) {
	db, s := engineStore(t, store.Options{}), newStream()
	var last []event.Message
	for i, types := range []map[string]string{
		{"on 1": "ecs.c5.large", "stays 1": "ecs.c5.large"},
		{"on 1": "ecs.g6.large", "stays 1": "ecs.g6.large"},
		{"on 1": "ecs.g8.large", "stays 1": "ecs.g6.large"},
	} {
		s.now = int64(i)*3600 + 10
		last = onMachines(fmt.Sprint("s", i), hangzhou, s.now-10, types, map[string]rules.Tri{"on 1": []rules.Tri{rules.Yes, rules.Unobserved, rules.Yes}[i], "stays 1": []rules.Tri{rules.Yes, rules.Unobserved, rules.No}[i]})
		if i == 2 {
			last[2].(*event.InstancesClassified).Order = t0 + (s.now-10)*second
		}
		apply(t, db, s.put(last...))
	}
	if diff := cmp.Diff([]string{"i-stays 1 compatible not-up", "i-on 1 compatible none"}, movesOf(outcomes(t, db, store.Filter{}).Moves)); diff != "" {
		t.Error(diff)
	}
}
