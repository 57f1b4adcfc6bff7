package store_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

// story is a few scans and rescans of a small fleet that changes between
// them, as messages in no order, and what must be known once all are in.
type story struct {
	msgs []event.Message
	want map[string]string // account/region/id -> what lines spells
}

func tell(r *rand.Rand) *story {
	st := &story{want: map[string]string{}}
	scopes := []ecs.Scope{hangzhou, {Account: "prod", Region: "cn-beijing"}, {Account: "test", Region: "cn-beijing"}}[:1+r.IntN(3)]
	systems := []string{"centos 5.8", "centos 7.9", "debian 7", "debian 12", ""}
	type seen struct {
		machine
		order int64
		scan  string
	}
	newest := map[string]seen{}
	epochs := map[ecs.Scope][]int64{}
	fleet := map[ecs.Scope]map[string]machine{}
	for _, sc := range scopes {
		fleet[sc] = map[string]machine{}
	}
	now := int64(0)
	for n := range 1 + r.IntN(5) {
		now += 1000
		id := fmt.Sprint("s", n)
		rescan := r.IntN(4) == 0
		kind := event.KindScan
		if rescan {
			kind = event.KindRescan
		}
		epoch := now
		st.msgs = append(st.msgs, planned(id, kind, epoch, scopes...))
		for no, sc := range scopes {
			for i := range 6 { // the fleet moves on
				m := machine{id: fmt.Sprint("i-", 10*no+i), os: systems[r.IntN(len(systems))], name: fmt.Sprint("n", r.IntN(2))}
				switch r.IntN(4) {
				case 0:
					delete(fleet[sc], m.id)
				case 1:
					fleet[sc][m.id] = m
				}
			}
			var lanes []string
			present := slices.Sorted(maps.Keys(fleet[sc]))
			for l := range 1 + r.IntN(2) {
				lane := fmt.Sprint("1.", l)
				lanes = append(lanes, lane)
				pages := 0
				for len(present) > 0 && (l == 1 || r.IntN(3) > 0) {
					k := 1 + r.IntN(len(present))
					now++
					var rows []machine
					for _, id := range present[:k] {
						rows = append(rows, fleet[sc][id])
					}
					present = present[k:]
					st.msgs = append(st.msgs, page(id, kind, sc, lane, "1.0", pages, now, rows...))
					for _, m := range rows {
						newest[sc.String()+" "+m.id] = seen{m, now, id}
					}
					pages++
				}
				st.msgs = append(st.msgs, laneEnded(id, kind, sc, lane, "1.0", pages))
			}
			// What no lane took, the last one does not miss: it is as if gone.
			st.msgs = append(st.msgs, scopePlanned(id, kind, sc, "1", lanes...))
			for _, left := range present {
				delete(fleet[sc], left)
			}
			if !rescan {
				epochs[sc] = append(epochs[sc], epoch)
			}
		}
	}
	for no, sc := range scopes {
		for i := range 6 {
			key := fmt.Sprint(sc, " i-", 10*no+i)
			got, ok := newest[key]
			if !ok {
				continue
			}
			gone := ""
			for _, e := range epochs[sc] {
				if e > got.order {
					gone = fmt.Sprintf(" gone %d", e)
					break
				}
			}
			j := newJudge("a", oldOnes)
			f := facts(got.os)
			cl := j.Classify(&f)
			st.want[key] = fmt.Sprintf("%s %q %s %s %s @%d %s%s", key, got.name, cl.OS.Family, cl.OS.Version, cl.Verdicts[2].Level, got.order, got.scan, gone)
		}
	}
	newStream().put(st.msgs...) // gives the ends of walks their numbers
	return st
}

// jumble repeats some messages and mixes all.
func (st *story) jumble(r *rand.Rand) []event.Message {
	out := slices.Clone(st.msgs)
	for range r.IntN(len(out) + 1) {
		out = append(out, st.msgs[r.IntN(len(st.msgs))])
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// standing is what must not depend on the order of arrival.
func standing(tb testing.TB, db *store.DB) []string {
	tb.Helper()
	scans, err := db.Scans(100)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, s := range scans {
		line := fmt.Sprintf("%s %s %s regions %d/%d instances %d pages %d", s.ID, s.Kind, s.State, s.Done, s.Regions, s.Instances, s.Pages)
		var scopes strings.Builder
		for _, sc := range s.Scopes {
			fmt.Fprintf(&scopes, " [%s/%s %s %d %d]", sc.Account, sc.Region, sc.Completeness, sc.Instances, sc.Pages)
		}
		out = append(out, line+scopes.String())
	}
	slices.Sort(out)
	return out
}

// TestAnyOrderGivesTheSameStore is the promise that everything else rests on:
// every permutation and repetition of the messages, in batches of any size,
// ends in the same rows, and the rows are those that a plain model expects.
func TestAnyOrderGivesTheSameStore(t *testing.T) {
	t.Parallel()
	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 7))
		st := tell(r)
		var wantScans []string
		for variant := range 3 {
			msgs := slices.Clone(st.msgs)
			if variant > 0 {
				msgs = st.jumble(r)
			}
			db := fresh(t)
			s := newStream()
			s.now = 1_000_000
			for len(msgs) > 0 {
				n := 1 + r.IntN(len(msgs))
				apply(t, db, s.put(msgs[:n]...))
				msgs = msgs[n:]
			}
			check(t, db, st, fmt.Sprintf("seed %d variant %d", seed, variant))
			got := standing(t, db)
			if variant == 0 {
				wantScans = got
			}
			if diff := cmp.Diff(wantScans, got); diff != "" {
				t.Fatalf("seed %d variant %d: scans depend on the order: %s", seed, variant, diff)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// check compares the store with the story and with itself.
func check(tb testing.TB, db *store.DB, st *story, what string) {
	tb.Helper()
	want := slices.Sorted(maps.Values(st.want))
	recs := all(tb, db, store.Filter{})
	got := lines(recs)
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatalf("%s: %s", what, diff)
	}
	counts := map[string]int{}
	here, gone := 0, 0
	for _, r := range recs {
		f, err := db.Get(r.Account, r.Region, r.InstanceID)
		if err != nil {
			tb.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(r, f.Record); diff != "" {
			tb.Fatalf("%s: Get and Instances differ: %s", what, diff)
		}
		if r.GoneAt != nil {
			gone++
			continue
		}
		here++
		for _, v := range r.Verdicts {
			counts[r.Account+"/"+r.Region+" "+v.Target+" "+v.Level.String()+" "+r.OS.Family+" "+r.OS.Version]++
		}
	}
	groups := map[string]int{}
	sum := db.Summary()
	for _, g := range sum.Groups {
		groups[g.Account+"/"+g.Region+" "+g.Target+" "+g.Verdict+" "+g.OSFamily+" "+g.OSVersion] += g.Instances
	}
	if diff := cmp.Diff(counts, groups); diff != "" {
		tb.Fatalf("%s: the summary is not the sum of the rows: %s", what, diff)
	}
	if sum.Instances != here || sum.Gone != gone {
		tb.Fatalf("%s: summary says %d and %d gone, the rows %d and %d", what, sum.Instances, sum.Gone, here, gone)
	}
}

// TestReopenAfterEveryBatch is the same with the process replaced at random
// moments, and each batch applied again after it, as after a kill between the
// commit and the acknowledgement.
func TestReopenAfterEveryBatch(t *testing.T) {
	t.Parallel()
	for seed := range 40 {
		r := rand.New(rand.NewPCG(uint64(seed), 9))
		st := tell(r)
		path := filepath.Join(t.TempDir(), "store.db")
		j := newJudge("a", oldOnes)
		db := open(t, path, j)
		s := newStream()
		s.now = 1_000_000
		news := 0
		var changes []store.Change
		for msgs := st.jumble(r); len(msgs) > 0; {
			n := 1 + r.IntN(min(len(msgs), 6))
			batch := s.put(msgs[:n]...)
			msgs = msgs[n:]
			got := apply(t, db, batch)
			news, changes = news+got.New, append(changes, got.Changes...)
			before, summary := lines(all(t, db, store.Filter{})), db.Summary()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = open(t, path, j)
			if diff := cmp.Diff(before, lines(all(t, db, store.Filter{}))); diff != "" {
				t.Fatalf("seed %d: rows after reopening: %s", seed, diff)
			}
			if diff := cmp.Diff(summary, db.Summary()); diff != "" {
				t.Fatalf("seed %d: summary after reopening: %s", seed, diff)
			}
			if again := apply(t, db, batch); again.Rows+again.New+len(again.Changes)+len(again.Scans) != 0 {
				t.Fatalf("seed %d: the batch again did something: %+v", seed, again)
			}
		}
		check(t, db, st, fmt.Sprint("seed ", seed))
		if err := db.Check(t.Context()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		events, err := db.Outbox(0, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		ids := map[string]bool{}
		for _, e := range events {
			if e.Change != nil && found < len(changes) {
				is := &changes[found]
				want, err := json.Marshal(&event.VerdictChanged{Before: is.Before, After: is.After, Cause: is.Cause})
				if err != nil {
					t.Fatal(err)
				}
				if string(e.Change.Data) != string(want) || e.At != is.At || e.Index != is.Index {
					t.Fatalf("seed %d: the event of change %d says\n%s\nwant\n%s", seed, found, e.Change.Data, want)
				}
			}
			if e.Change != nil {
				found++
			}
			id := fmt.Sprint(e.At, e.Index)
			if ids[id] {
				t.Fatalf("seed %d: two events are named %s", seed, id)
			}
			ids[id] = true
		}
		if found != len(changes) {
			t.Fatalf("seed %d: %d changes were reported, %d are in the outbox", seed, len(changes), found)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
