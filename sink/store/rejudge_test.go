package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// stopsAfter is a context that ends when it was asked so often.
type stopsAfter struct {
	context.Context
	left *int
}

func (c stopsAfter) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

func cut(t *testing.T, after int) context.Context { return stopsAfter{t.Context(), &after} }

// rejudged is a store of 30 machines in two regions, of which 20 are to move, and 10 of
// them are waived where j waives.
func rejudged(t *testing.T, path string, j *judge) *store.DB {
	db := reopen(t, path, j)
	s := newStream()
	s.now = 1000
	for i, sc := range []ecs.Scope{hangzhou, {Account: "prod", Region: "cn-beijing"}} {
		var machines []machine
		for n := range 15 {
			m := machine{id: fmt.Sprintf("i-%d-%02d", i, n), os: []string{"debian 12", "centos 5.8", "debian 13"}[n%3]}
			if n%3 == 1 {
				m.tags = []ecs.Tag{{Key: "waive", Value: "yes"}}
			}
			machines = append(machines, m)
		}
		apply(t, db, s.put(whole(fmt.Sprint("s", i), sc, int64(100+i), machines...)...))
	}
	entries, err := db.Outbox(0, 1000)
	if err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	}
	if err := db.Delivered(entries[len(entries)-1].Key); err != nil {
		t.Fatal(err)
	}
	return db
}

func reopen(t *testing.T, path string, j *judge) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: j, TellRows: 2, Today: func() string { return "2026-11-23" }})
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync()
	t.Cleanup(func() { db.Close() })
	return db
}

// moves are the events of the outbox, with what they say in one line each.
func moves(t *testing.T, db *store.DB) []string {
	entries, err := db.Outbox(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range entries {
		e := &entries[i]
		if e.Index != i {
			t.Errorf("event %d has the index %d", i, e.Index)
		}
		if e.Change != nil {
			change := told(t, e)
			before, after := change.Before, change.After
			out = append(out, fmt.Sprintf("%s %s: %s by %s, %s by %s", e.Judgement, after.InstanceID, before.Verdicts[2].Level, before.Ruleset, after.Verdicts[2].Level, after.Ruleset))
		}
	}
	return out
}

// A change of judgement that is cut off anywhere, again and again, by ends of
// processes, tells what it would have told in one go; all that is read is of
// the new judgement from the beginning, and nothing is applied before the end.
func TestChangeOfJudgementIsToldToItsEnd(t *testing.T) {
	t.Parallel()
	stricter := func() *judge {
		return newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	}
	waiving := func(j *judge) *judge {
		j.waive, j.until = map[string]string{"waive": "yes"}, "2026-12-31"
		return j
	}
	for name, c := range map[string]struct {
		from, to func() *judge
		want     map[string]int
		moved    int
	}{
		"stricter":        {from: func() *judge { return newJudge("a", oldOnes) }, to: stricter, want: map[string]int{"incompatible": 10, "needs-action": 10, "compatible": 10, "unknown": 0}, moved: 20},
		"waivers_come":    {from: func() *judge { return newJudge("a", oldOnes) }, to: func() *judge { return waiving(newJudge("b", oldOnes)) }, want: map[string]int{"compatible": 30, "incompatible": 0, "needs-action": 0, "unknown": 0}, moved: 10},
		"waivers_go":      {from: func() *judge { return waiving(newJudge("a", oldOnes)) }, to: func() *judge { return newJudge("b", oldOnes) }, want: map[string]int{"compatible": 20, "incompatible": 10, "needs-action": 0, "unknown": 0}, moved: 10},
		"waivers_and_all": {from: func() *judge { return waiving(newJudge("a", oldOnes)) }, to: func() *judge { return waiving(stricter()) }, want: map[string]int{"incompatible": 10, "compatible": 20, "needs-action": 0, "unknown": 0}, moved: 10},
	} {
		t.Run(name, func(t *testing.T) {
			whole := rejudged(t, filepath.Join(t.TempDir(), "store.db"), c.from())
			done, err := whole.Reclassify(t.Context(), c.to())
			if err != nil || done.Moved != c.moved || len(done.Changes) != c.moved {
				t.Fatalf("%d moved, %d changes, %v", done.Moved, len(done.Changes), err)
			}
			want := moves(t, whole)
			if len(want) != c.moved || whole.Summary().Rejudging != nil || whole.NeedsReclassify() {
				t.Errorf("%d events, %+v", len(want), whole.Summary().Rejudging)
			}
			if n := whole.Indexed(); n > 0 { // ten million rows would be half a gigabyte
				t.Errorf("the index of %d rows stayed in memory", n)
			}

			path := filepath.Join(t.TempDir(), "store.db")
			db := rejudged(t, path, c.from())
			if err := db.Switch(t.Context(), c.to()); err != nil {
				t.Fatal(err)
			}
			told := 0
			for cuts := 0; ; cuts++ {
				if diff := cmp.Diff(c.want, db.Summary().Verdicts["shenlong-7"]); diff != "" {
					t.Fatalf("after %d cuts: %s", cuts, diff)
				}
				counted := map[string]int{"compatible": 0, "incompatible": 0, "needs-action": 0, "unknown": 0}
				for _, r := range all(t, db, store.Filter{}) {
					counted[r.Verdicts[2].Level.String()]++
				}
				if diff := cmp.Diff(c.want, counted); diff != "" {
					t.Fatalf("rows after %d cuts: %s", cuts, diff)
				}
				if !db.NeedsReclassify() {
					break
				}
				at := db.Summary().Rejudging
				if at == nil || at.Of != 30 || at.Instances < told || cuts == 0 && at.Instances != 0 || cuts > 30 {
					t.Fatalf("after %d cuts: %+v", cuts, at)
				}
				told = at.Instances
				if _, err := db.Apply(t.Context(), newStream().put(planned("s9", scanKind, 900))); !errors.Is(err, store.ErrReclassify) {
					t.Fatalf("results were taken meanwhile: %v", err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				db = reopen(t, path, c.to())
				if _, err := db.Reclassify(cut(t, 1), c.to()); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if n := db.Indexed(); n > 0 {
					t.Errorf("the index of %d rows stayed in memory half-way", n)
				}
			}
			if told == 0 {
				t.Error("it was never cut off half-way")
			}
			got := moves(t, db)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if err := db.Check(t.Context()); err != nil {
				t.Error(err)
			}
			for _, id := range []string{"i-0-00", "i-1-13"} {
				if diff := cmp.Diff(historyOf(t, whole, id), historyOf(t, db, id)); diff != "" {
					t.Errorf("history of %s: %s", id, diff)
				}
			}
		})
	}
}

// The change that brings other rules may put the targets in another order. What moved is
// what a target says, wherever it stands: a move that is not told stays unknown, and one
// that is none would be in the history of every instance.
func TestWhatMovedGoesByTheNamesOfTargets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		targets        []string
		milder         string
		moved, history int
	}{
		"nothing":                     {[]string{"shenlong-7", "shenlong-6", "kvm"}, "kvm", 0, 0},
		"in_one_place_the_same_level": {[]string{"shenlong-7", "shenlong-6", "kvm"}, "shenlong-7", 10, 1},
		"a_target_goes":               {[]string{"kvm", "shenlong-7"}, "kvm", 0, 1},
		"a_target_comes":              {[]string{"kvm", "shenlong-6", "shenlong-7", "shenlong-8"}, "kvm", 0, 1},
		"another_target":              {[]string{"kvm", "shenlong-6", "shenlong-8"}, "kvm", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
			before := len(historyOf(t, db, "i-0-01"))
			to := newJudge("b", oldOnes)
			to.targets, to.milder = c.targets, c.milder
			done, err := db.Reclassify(t.Context(), to)
			if err != nil || len(done.Changes) != c.moved {
				t.Errorf("%d changes, %v; want %d", len(done.Changes), err, c.moved)
			}
			if got := len(historyOf(t, db, "i-0-01")) - before; got != c.history {
				t.Errorf("%d changes in the history of a machine, want %d", got, c.history)
			}
		})
	}
}

// Whoever judges ten million instances anew needs the rows of one region at a
// time: what a scan that runs had brought into memory of the others is half a
// gigabyte that nobody reads until all is told.
func TestChangeOfJudgementLetsGoOfIndexes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	stricter := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	db := rejudged(t, path, newJudge("a", oldOnes))
	s := newStream()
	s.seq, s.now = 10_000, 2000
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	apply(t, db, s.put(planned("s9", scanKind, 900, hangzhou, beijing),
		page("s9", scanKind, hangzhou, "1.0", "1.0", 0, 901, machine{id: "i-0-00", os: "debian 13"}),
		page("s9", scanKind, beijing, "1.0", "1.0", 0, 901, machine{id: "i-1-00", os: "debian 13"})))
	if db.Indexed() != 30 {
		t.Fatalf("%d rows are indexed: the run proves nothing", db.Indexed())
	}
	if err := db.Switch(t.Context(), stricter); err != nil {
		t.Fatal(err)
	}
	if n := db.Indexed(); n > 0 {
		t.Errorf("the index of %d rows stayed in memory when everything was judged", n)
	}
	if _, err := db.Reclassify(cut(t, 2), stricter); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := db.Indexed(); n > 0 {
		t.Errorf("the index of %d rows stayed in memory half-way", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, path, stricter)
	if n := db.Indexed(); n > 0 {
		t.Errorf("the next process read the index of %d rows into memory", n)
	}
	if _, err := db.Reclassify(t.Context(), stricter); err != nil {
		t.Fatal(err)
	}
	// The scan goes on where it was.
	apply(t, db, s.put(page("s9", scanKind, hangzhou, "1.0", "1.0", 1, 902, machine{id: "i-0-01", os: "debian 13"})))
	if got := db.Indexed(); got != 15 {
		t.Errorf("%d rows are indexed when one region is written again", got)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// countsJudgements counts what it is asked.
type countsJudgements struct {
	*judge
	asked *int
}

func (c countsJudgements) Classify(f *rules.Facts) *rules.Classification {
	*c.asked++
	return c.judge.Classify(f)
}

func (c countsJudgements) Judge(s *rules.System, m *rules.Host) *rules.Classification {
	*c.asked++
	return c.judge.Judge(s, m)
}

// Until a change of judgement shows, readers go by the one before: by the other,
// each of them would judge every row of the fleet for its totals.
func TestReadersGoByTheJudgementThatShows(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	asked := 0
	db.BetweenJudges(countsJudgements{newJudge("b", nil), &asked}, func() {
		view, err := db.View(t.Context(), nil, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		if sum := view.Summary(); sum.Ruleset != "a" || sum.Verdicts["shenlong-7"]["incompatible"] != 10 {
			t.Errorf("by rule set %s: %v", sum.Ruleset, sum.Verdicts["shenlong-7"])
		}
		for r, err := range view.Instances(t.Context()) {
			if err != nil || r.Ruleset != "a" {
				t.Fatalf("%+v, %v", r, err)
			}
		}
	})
	if asked > 0 {
		t.Errorf("the judgement that does not show yet was asked %d times", asked)
	}
}

func historyOf(t *testing.T, db *store.DB, id string) []record.Change {
	t.Helper()
	region := map[byte]string{'0': "cn-hangzhou", '1': "cn-beijing"}[id[2]]
	found, err := db.Get("prod", region, id)
	if err != nil {
		t.Fatal(err)
	}
	return found.History
}

// A change that comes while another is being told waits for it: the events of
// an instance are a chain without a gap.
func TestChangesOfJudgementFollowEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	b := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	c := newJudge("c", map[string]rules.Level{"debian 12": rules.NeedsAction})
	db := rejudged(t, path, newJudge("a", oldOnes))
	if _, err := db.Reclassify(cut(t, 4), b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, path, c)
	if _, err := db.Reclassify(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	entries, err := db.Outbox(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]*record.Record{}
	for i := range entries {
		change := told(t, &entries[i])
		if before := last[change.After.InstanceID]; before != nil && (before.Ruleset != change.Before.Ruleset || before.Verdicts[2].Level != change.Before.Verdicts[2].Level) {
			t.Errorf("%s went on from %s by %s, and was %s by %s", change.After.InstanceID, change.Before.Verdicts[2].Level, change.Before.Ruleset, before.Verdicts[2].Level, before.Ruleset)
		}
		last[change.After.InstanceID] = change.After
	}
	for id, r := range last {
		if r.Ruleset != "c" {
			t.Errorf("%s ends by %s", id, r.Ruleset)
		}
	}
	if len(entries) != 40 || len(last) != 20 {
		t.Errorf("%d events of %d instances", len(entries), len(last))
	}
}

// A process that ends right after everything was judged anew leaves a point of
// progress to be written, and the next one writes it before it tells what moved.
func TestAnEndedProcessOwesThePointOfOtherRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := rejudged(t, path, newJudge("a", oldOnes))
	before, err := db.Points(10)
	if err != nil || len(before) == 0 {
		t.Fatal(len(before), err)
	}
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	if err := db.TurnAlone(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, path, other)
	for range 2 { // the second time there is nothing left to do
		inUse := 0
		if _, err := db.Judge(t.Context(), other, func() { inUse++ }); err != nil || inUse != 1 {
			t.Fatal(inUse, err)
		}
		points, err := db.Points(10)
		if err != nil || len(points) != len(before)+1 {
			t.Fatalf("%d points after %d: %v", len(points), len(before), err)
		}
		last := points[len(points)-1]
		if moves := last.Moves["shenlong-7"]; last.Kind != record.PointRules || last.Ruleset != "b" || moves.OpenedByRules != 10 {
			t.Errorf("the last point is %+v", last)
		}
	}
}

// A point of progress that an ended process owes is written also where the next one
// judges by yet other rules: each change of rules has its point.
func TestEachChangeOfRulesHasItsPoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := rejudged(t, path, newJudge("a", oldOnes))
	before, err := db.Points(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.TurnAlone(t.Context(), newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	third := newJudge("c", oldOnes)
	db = reopen(t, path, third)
	if _, err := db.Reclassify(t.Context(), third); err != nil {
		t.Fatal(err)
	}
	points, err := db.Points(10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range points[len(before):] {
		got = append(got, fmt.Sprint(p.Ruleset, " opened ", p.Moves["shenlong-7"].OpenedByRules, " closed ", p.Moves["shenlong-7"].ClosedByRules))
	}
	if diff := cmp.Diff([]string{"b opened 10 closed 0", "c opened 0 closed 10"}, got); diff != "" {
		t.Error(diff)
	}
}

// Where telling fails, the other rules are in use all the same, and who waits for them
// hears of it before that.
func TestOtherRulesAreInUseBeforeWhatMovedIsTold(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	ctx, stop := context.WithCancel(t.Context())
	_, err := db.Judge(ctx, other, func() {
		defer stop()
		if got := db.Summary().Ruleset; got != "b" || db.Classifier() != store.Classifier(other) || db.Summary().Rejudging == nil {
			t.Errorf("totals are of %s, told: %t", got, db.Summary().Rejudging == nil)
		}
	})
	if !errors.Is(err, context.Canceled) || !db.NeedsReclassify() {
		t.Fatalf("telling did not fail: %v", err)
	}
	if done, err := db.Rejudge(t.Context()); err != nil || done.Moved != 20 || db.NeedsReclassify() {
		t.Errorf("%d moved, %v", done.Moved, err)
	}
	// Where it fails before that, nobody is told so.
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Judge(stopped, newJudge("c", oldOnes), func() { t.Error("a judgement that failed is in use") }); err == nil || db.Summary().Ruleset != "b" {
		t.Errorf("%v, by %s", err, db.Summary().Ruleset)
	}
}

// A store that was judged with waivers shows them until other rules are in use, also to a
// process whose rules have none: what it counts before, and tells to have moved, is what
// the file says.
func TestWaiversOfTheFileCountUntilOtherRulesAreInUse(t *testing.T) {
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	path := filepath.Join(t.TempDir(), "store.db")
	if err := rejudged(t, path, waiving).Close(); err != nil {
		t.Fatal(err)
	}
	none := newJudge("b", oldOnes)
	db := reopen(t, path, none)
	if got := db.Summary().Verdicts["shenlong-7"]; got["compatible"] != 30 || got["incompatible"] != 0 || !db.NeedsReclassify() {
		t.Errorf("before other rules are in use: %v", got)
	}
	preview, err := db.Preview(t.Context(), none, 99)
	if err != nil || preview.Changed != 10 || preview.Moves[store.ChangeKey{Target: "shenlong-7", From: "compatible", To: "incompatible"}] != 10 {
		t.Errorf("%+v, %v", preview, err)
	}
	done, err := db.Reclassify(t.Context(), none)
	if err != nil || done.Moved != 10 {
		t.Errorf("%d moved, %v", done.Moved, err)
	}
	for _, line := range moves(t, db) {
		if !strings.HasSuffix(line, ": compatible by a, incompatible by b") {
			t.Error(line)
		}
	}
	if got := db.Summary().Verdicts["shenlong-7"]; got["compatible"] != 20 || got["incompatible"] != 10 {
		t.Errorf("after it: %v", got)
	}
	checked(t, db)
	changed(t, compacted(t, db), func(tx *bbolt.Tx) {
		if n := tx.Bucket([]byte("waived")).Stats().KeyN; n != 0 {
			t.Errorf("%d waived verdicts are left in the file", n)
		}
	})
}

// Who has everything judged by other rules, and leaves the telling to later, is told where
// it failed, and sees what the rules moved in the progress at once.
func TestATurnToOtherRulesIsInTheProgressAtOnce(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	none := newJudge("b", nil)
	none.targets = nil
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Switch(t.Context(), none); err == nil {
		t.Error("a rule set without targets is in use")
	}
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
	if err := db.Switch(stopped, other); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	before, err := db.Points(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Switch(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	points, err := db.Points(10)
	if err != nil || len(points) != len(before)+1 {
		t.Fatalf("%d points after %d: %v", len(points), len(before), err)
	}
	if last := points[len(points)-1]; last.Kind != record.PointRules || last.Ruleset != "b" || last.Moves["shenlong-7"].OpenedByRules != 10 {
		t.Errorf("the last point is %+v", last)
	}
}

// acts is a context that does something when it is asked for the n-th time.
type acts struct {
	context.Context
	left *int
	do   func()
}

func (c acts) Err() error {
	if *c.left--; *c.left == 0 {
		c.do()
	}
	return c.Context.Err()
}

// A region that is forgotten while it is told what other rules moved is told no more of,
// and the others are told to their end.
func TestARegionThatIsForgottenMeanwhileIsToldNoMore(t *testing.T) {
	for _, region := range []string{"cn-hangzhou", "cn-beijing"} { // the one at hand, and the one behind it
		db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
		other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "centos 5.8": rules.NeedsAction})
		if err := db.Switch(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		third := 3
		done, err := db.Reclassify(acts{t.Context(), &third, func() {
			if _, err := db.Forget(t.Context(), "prod", region, at(5000)); err != nil {
				t.Error(err)
			}
		}}, other)
		want := map[string]int{"cn-hangzhou": 10, "cn-beijing": 10}
		want[region] = map[string]int{"cn-hangzhou": 4}[region] // two in each of two parts
		if err != nil || done.Moved != want["cn-hangzhou"]+want["cn-beijing"] || db.NeedsReclassify() {
			t.Errorf("%s: %d moved, %v", region, done.Moved, err)
		}
		got := map[string]int{}
		for _, change := range done.Changes {
			got[change.After.Region]++
		}
		for region, n := range want {
			if got[region] != n {
				t.Errorf("of %s %d are told, want %d", region, got[region], n)
			}
		}
		checked(t, db)
	}
}
