package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// rowsOf lists what a view shows.
func rowsOf(tb testing.TB, v *store.View) []*record.Record {
	tb.Helper()
	var out []*record.Record
	for r, err := range v.Instances(tb.Context()) {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// added is what rows add up to.
func added(rows []*record.Record, targets []string) *record.Summary {
	sum := &record.Summary{
		Instances: len(rows), Targets: targets, Verdicts: map[string]map[string]int{},
		Confidence: map[string]map[string]map[string]int{}, Waived: map[string]int{}, UnknownByQuestion: map[string]map[string]int{},
	}
	for _, target := range targets {
		sum.Verdicts[target] = map[string]int{"compatible": 0, "needs-action": 0, "unknown": 0, "incompatible": 0}
		sum.Confidence[target], sum.Waived[target] = map[string]map[string]int{}, 0
		sum.UnknownByQuestion[target] = record.NoQuestions()
		for level := range sum.Verdicts[target] {
			sum.Confidence[target][level] = map[string]int{"high": 0, "medium": 0, "low": 0}
		}
	}
	groups := map[record.Group]*record.Group{}
	for _, r := range rows {
		if r.Legacy {
			sum.Legacy++
		}
		for _, v := range r.Verdicts {
			sum.Verdicts[v.Target][v.Level.String()]++
			sum.Confidence[v.Target][v.Level.String()][v.Confidence.String()]++
			if v.Level == rules.Unknown {
				sum.UnknownByQuestion[v.Target][string(v.Settles())]++
			}
			if v.Waiver != nil {
				sum.Waived[v.Target]++
			}
			key := record.Group{Account: r.Account, Region: r.Region, Target: v.Target, Verdict: v.Level.String(), OSFamily: r.OS.Family, OSVersion: r.OS.Version, Legacy: r.Legacy}
			g := groups[key]
			if g == nil {
				g = &record.Group{}
				*g = key
				groups[key] = g
			}
			g.Add(1, v.Confidence, v.Waiver != nil)
		}
	}
	for _, g := range groups {
		sum.Groups = append(sum.Groups, *g)
	}
	return sum
}

// judgedAs spells what a classification says of an instance.
func judgedAs(cl *rules.Classification) string {
	var out strings.Builder
	out.WriteString(cl.OS.Family + " " + cl.OS.Version)
	for _, v := range cl.Verdicts {
		fmt.Fprintf(&out, " %s=%s/%s/%v", v.Target, v.Level, v.Confidence, v.Waiver != nil)
	}
	return out.String()
}

// sameGroups holds what a view groups by judgement against its rows.
func sameGroups(t *testing.T, v *store.View, rows []*record.Record) {
	t.Helper()
	alike, err := v.Alike(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[string]int{}, map[string]int{}
	for _, group := range alike {
		got[judgedAs(group.Classification)] += group.Instances
	}
	for _, r := range rows {
		want[judgedAs(&r.Classification)]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows and groups of what is judged alike: %s", diff)
	}
	both, starts, err := v.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got = map[string]int{}
	for _, group := range both {
		got[judgedAs(group.Classification)] += group.Instances
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows and the same groups from one walk with what started the instances: %s", diff)
	}
	alone, err := v.StartGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alone, starts); diff != "" {
		t.Errorf("what started the instances, counted alone and together with what is judged alike: %s", diff)
	}
}

// sameTotals holds the totals of a view against its rows.
func sameTotals(t *testing.T, v *store.View, targets []string, rows []*record.Record) {
	t.Helper()
	sameGroups(t, v, rows)
	got, want := v.Summary(), added(rows, targets)
	if got.Instances != want.Instances || got.Legacy != want.Legacy {
		t.Errorf("totals say %d instances, %d legacy; rows are %d, %d legacy", got.Instances, got.Legacy, want.Instances, want.Legacy)
	}
	if diff := cmp.Diff(want.Verdicts, got.Verdicts); diff != "" {
		t.Errorf("verdicts of rows and totals: %s", diff)
	}
	if diff := cmp.Diff(want.Confidence, got.Confidence); diff != "" {
		t.Errorf("confidence of rows and totals: %s", diff)
	}
	if diff := cmp.Diff(want.Waived, got.Waived); diff != "" {
		t.Errorf("waived rows and totals: %s", diff)
	}
	if diff := cmp.Diff(want.UnknownByQuestion, got.UnknownByQuestion); diff != "" {
		t.Errorf("questions of rows and totals: %s", diff)
	}
	for _, target := range targets {
		asked := 0
		for _, n := range got.UnknownByQuestion[target] {
			asked += n
		}
		if unknown := got.Verdicts[target]["unknown"]; asked != unknown {
			t.Errorf("%s: %d unknown by question, %d in all", target, asked, unknown)
		}
	}
	groups := map[record.Group]bool{}
	for _, g := range got.Groups {
		groups[g] = true
	}
	if len(got.Groups) != len(want.Groups) {
		t.Errorf("%d groups, rows make %d", len(got.Groups), len(want.Groups))
	}
	for _, g := range want.Groups {
		if !groups[g] {
			t.Errorf("no group %+v", g)
		}
	}
	inScopes := 0
	for _, sc := range got.Scopes {
		inScopes += sc.Instances
	}
	if inScopes != len(rows) {
		t.Errorf("scopes hold %d instances, rows are %d", inScopes, len(rows))
	}
	for _, level := range rules.Levels() {
		want, each := 0, map[string]int{}
		for _, r := range rows {
			hit := false
			for _, d := range r.Verdicts {
				if d.Level.AtLeast(level) {
					hit = true
					each[d.Target]++
				}
			}
			if hit {
				want++
			}
		}
		n, byTarget := v.AtLeast(level)
		if n != want {
			t.Errorf("%d instances at least %s, rows are %d", n, level, want)
		}
		if diff := cmp.Diff(each, byTarget); diff != "" {
			t.Errorf("at least %s by target: %s", level, diff)
		}
	}
}

// TestViewAddsUp holds totals, groups, scopes and gates of every kind of view
// against its rows, and its rows against those of every other way to ask.
func TestViewAddsUp(t *testing.T) {
	t.Parallel()
	const seed = 41
	r := rand.New(rand.NewPCG(seed, seed))
	kept := newJudge("a", oldOnes)
	kept.waive, kept.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db := open(t, t.TempDir()+"/store.db", kept)
	s := newStream()
	s.now = 1000
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	other := ecs.Scope{Account: "test", Region: "cn-beijing"}
	tagged := func(fleet []machine) []machine {
		for i := range fleet {
			if r.IntN(5) == 0 {
				fleet[i].tags = []ecs.Tag{{Key: "waive", Value: "yes"}}
			}
		}
		return fleet
	}
	first := tagged(fleetOf(r, 450))
	apply(t, db, s.put(whole("s1", hangzhou, 100, first...)...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, first[:350]...)...)) // 100 are gone
	apply(t, db, s.put(whole("s3", beijing, 200, tagged(fleetOf(r, 350))...)...))
	apply(t, db, s.put(whole("s4", other, 200, tagged(fleetOf(r, 150))...)...))
	apply(t, db, s.put(page("r1", rescanKind, beijing, "1.0", "1.0", 0, 300, tagged(fleetOf(r, 45))...))) // in the journal only

	strict := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible, "ubuntu 22.04": rules.Unknown, "": rules.NeedsAction})
	single := newJudge("a", oldOnes)
	single.targets = []string{"shenlong-7"}
	more := newJudge("c", oldOnes)
	more.targets = append(more.targets, "ecs.g8i", "ecs.g9i")
	ended := newJudge("d", oldOnes)
	ended.waive, ended.until = kept.waive, "2026-01-01"
	waiving := newJudge("e", map[string]rules.Level{"debian 12": rules.Incompatible})
	waiving.waive, waiving.until = kept.waive, kept.until
	legacy := true
	filters := map[string]store.Filter{
		"all": {}, "account": {Account: "prod"}, "region": {Region: "cn-beijing"}, "nowhere": {Region: "eu-central-1"},
		"family": {OSFamily: "debian"}, "version": {OSFamily: "debian", OSVersion: "12"}, "legacy": {Legacy: &legacy},
		"verdict": {Verdict: "incompatible"}, "verdict on a target": {Verdict: "needs-action", Target: "shenlong-7"},
		"text": {Query: "bp1a"}, "since": {ObservedSince: at(250)},
	}
	for _, text := range []string{
		"account=prod", "region=cn-beijing account=prod", "tag=waive=yes", "tag=waive", "os=debian,centos:5", "verdict=incompatible", "verdict=shenlong-7=needs-action",
		"confidence=high", "confidence=low", "waived=yes", "waived=no verdict=incompatible", "status=stopped", "status=Running tag=waive", "image=m-none", "family=ecs.c5", "family=ecs.g6", "exclude=region=cn-hangzhou", "exclude=tag=waive=yes", "exclude=os=debian verdict=incompatible",
		"exclude=" + first[0].id,
	} {
		filters[text] = store.Filter{Scope: scopeOf(t, text)}
	}
	for name, j := range map[string]*judge{"own": nil, "same": kept, "rules": strict, "target": single, "targets": more, "ended waiver": ended, "waiver and rules": waiving} {
		var c store.Classifier
		targets := kept.targets
		if j != nil {
			c, targets = j, j.targets
		}
		whole, err := db.View(t.Context(), c, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		everyone := rowsOf(t, whole)
		if err := whole.Close(); err != nil {
			t.Fatal(err)
		}
		for what, f := range filters {
			t.Run(fmt.Sprintf("%s/%s", name, what), func(t *testing.T) {
				v, err := db.View(t.Context(), c, f)
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				rows := rowsOf(t, v)
				sameTotals(t, v, targets, rows)
				// What a filter lets through is what stands in the rows without it.
				want := 0
				for _, r := range everyone {
					if passes(r, &f) {
						want++
					}
				}
				if len(rows) != want {
					t.Errorf("%d rows, %d of all pass the filter", len(rows), want)
				}
				alike, err := v.Alike(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				counts := map[string]int{}
				for _, a := range alike {
					counts[kind(&record.Record{Classification: *a.Classification})] += a.Instances
				}
				for _, r := range rows {
					counts[kind(r)]--
				}
				for what, n := range counts {
					if n != 0 {
						t.Fatalf("%+d of %s are counted as alike", n, what)
					}
				}
			})
		}
	}
}

// kind is what makes instances count alike.
func kind(r *record.Record) string {
	parts := []string{r.OS.Family, r.OS.Version, strconv.FormatBool(r.Legacy)}
	for _, v := range r.Verdicts {
		parts = append(parts, v.Level.String())
	}
	return strings.Join(parts, " ")
}

// passes is what a filter means, said of a record.
func passes(r *record.Record, f *store.Filter) bool {
	verdict := f.Verdict == ""
	for _, v := range r.Verdicts {
		verdict = verdict || (f.Target == "" || f.Target == v.Target) && v.Level.String() == f.Verdict
	}
	tag := func(k string) (string, bool) { v, ok := r.Tags[k]; return v, ok }
	if !f.Scope.Scope(r.Account, r.Region) || !f.Scope.Judged(&r.Classification, filter.Machine{Family: r.InstanceFamily, Image: r.ImageID}) || !f.Scope.Row(r.InstanceID, r.Status, tag) {
		return false
	}
	return verdict && (f.Account == "" || r.Account == f.Account) && (f.Region == "" || r.Region == f.Region) &&
		(f.OSFamily == "" || r.OS.Family == f.OSFamily) && (f.OSVersion == "" || r.OS.Version == f.OSVersion) &&
		(f.Legacy == nil || r.Legacy == *f.Legacy) && !r.ObservedAt.Before(f.ObservedSince) &&
		(f.Query == "" || holds(r.InstanceID, f.Query) || holds(r.InstanceName, f.Query))
}

// scopeOf reads "word=value word=value".
func scopeOf(t *testing.T, text string) filter.Filter {
	t.Helper()
	v := filter.Values{}
	for part := range strings.FieldsSeq(text) {
		word, value, _ := strings.Cut(part, "=")
		v[word] = append(v[word], value)
	}
	f, err := filter.Parse(v)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func holds(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// TestViewIsOneMoment reads a view while commits and another rule set change
// the store.
func TestViewIsOneMoment(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	r := rand.New(rand.NewPCG(7, 7))
	s := newStream()
	s.now = 1000
	fleet := fleetOf(r, 5000)
	apply(t, db, s.put(whole("s1", hangzhou, 100, fleet...)...))
	v, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	before := v.Summary()
	n := 0
	for _, err := range v.Instances(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 1000 {
			apply(t, db, s.put(whole("s2", hangzhou, 200, append(fleet[4000:], fleetOf(r, 3000)...)...)...))
			if _, err := db.Reclassify(t.Context(), newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d rows of a view of 5000 instances", n)
	}
	sameTotals(t, v, before.Targets, rowsOf(t, v))
	if _, err := v.Scan("s2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a scan that came later: %v", err)
	}
	if _, err := db.Scan("s2"); err != nil {
		t.Error(err)
	}
	now, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if got := now.Summary(); got.Instances != 4000 || got.Ruleset != "b" {
		t.Errorf("a view opened now: %d instances by rule set %s", got.Instances, got.Ruleset)
	}
	sameTotals(t, now, before.Targets, rowsOf(t, now))
	// Closing the store ends views instead of waiting for them.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range now.Instances(t.Context()) {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("rows of a closed store: %v", err)
		}
	}
	if _, err := db.View(t.Context(), nil, store.Filter{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a view of a closed store: %v", err)
	}
}
