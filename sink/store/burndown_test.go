package store_test

import (
	"fmt"
	"math/rand/v2"
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
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/waves"
	"github.com/shenscan/shenscan/sink/store"
)

func openFor(tb testing.TB, path string, c store.Classifier, owners ...string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{Path: path, Classifier: c, Today: func() string { return "2026-11-23" }, OwnerTags: owners})
	if err != nil {
		tb.Fatal(err)
	}
	db.NoSync()
	tb.Cleanup(func() { db.Close() })
	return db
}

// counted are the counts of a fleet by a name, made from its rows one by one.
func counted(tb testing.TB, db *store.DB, j *judge, name func(*record.Record) string) map[string]record.Share {
	tb.Helper()
	out := map[string]record.Share{}
	for _, r := range all(tb, db, store.Filter{}) {
		if r.GoneAt != nil {
			continue
		}
		share, ok := out[name(r)]
		if !ok {
			share = record.Share{Name: name(r), Targets: map[string]record.Standing{}}
			for _, t := range j.targets {
				st := record.Standing{Verdicts: map[string]int{}, Waves: map[string]int{}}
				for _, l := range []rules.Level{rules.Compatible, rules.NeedsAction, rules.Incompatible, rules.Unknown} {
					st.Verdicts[l.String()] = 0
				}
				for _, w := range waves.All() {
					st.Waves[string(w)] = 0
				}
				share.Targets[t] = st
			}
		}
		share.Instances++
		for i, t := range j.TargetList() {
			st := share.Targets[t.ID]
			v := &r.Verdicts[i]
			wave := waves.Of(v, t.There(r.InstanceType, &rules.Machine{Family: r.InstanceFamily, Generation: r.Generation, Virtualization: r.Virtualization}), false)
			st.Verdicts[v.Level.String()]++
			st.Waves[string(wave)]++
			if wave.Open() {
				st.Open++
			}
			share.Targets[t.ID] = st
		}
		out[name(r)] = share
	}
	return out
}

// latest is the last point of progress, with the one before it.
func latest(tb testing.TB, db *store.DB) (before *record.ProgressPoint, now *record.Progress) {
	tb.Helper()
	points, err := db.Points(2)
	if err != nil || len(points) == 0 {
		tb.Fatalf("points: %v, %v", points, err)
	}
	now, err = db.Progress(points[len(points)-1].Number)
	if err != nil {
		tb.Fatal(err)
	}
	if len(points) == 2 {
		before = &points[0]
	}
	return before, now
}

// addsUp compares a point with the rows, part by part, and with the one before it.
func addsUp(tb testing.TB, db *store.DB, j *judge, what string) {
	tb.Helper()
	before, now := latest(tb, db)
	everything := counted(tb, db, j, func(*record.Record) string { return "" })[""]
	if now.Instances != everything.Instances {
		tb.Fatalf("%s: %d instances, the rows are %d", what, now.Instances, everything.Instances)
	}
	if now.Instances > 0 {
		if diff := cmp.Diff(everything.Targets, now.On); diff != "" {
			tb.Fatalf("%s: totals are not the sum of the rows: %s", what, diff)
		}
	}
	for dimension, of := range map[string]struct {
		shares record.Shares
		name   func(*record.Record) string
	}{
		"accounts": {now.Accounts, func(r *record.Record) string { return r.Account }},
		"regions":  {now.Regions, func(r *record.Record) string { return r.Region }},
		"owners": {*now.Owners, func(r *record.Record) string {
			if r.Tags["team"] != "" {
				return r.Tags["team"]
			}
			return r.Tags["owner"]
		}},
	} {
		want := counted(tb, db, j, of.name)
		got := map[string]record.Share{}
		for _, s := range of.shares.Largest {
			if s.Instances > 0 {
				got[s.Name] = s
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			tb.Fatalf("%s: %s: %s", what, dimension, diff)
		}
	}
	if before == nil {
		return
	}
	for _, t := range j.targets {
		moves, then := now.Moves[t], before.On[t]
		if !slices.Contains(before.Targets, t) {
			continue
		}
		if got := then.Open + moves.Net(); got != now.On[t].Open {
			tb.Fatalf("%s: %s: %d were open, what moved makes it %d, and %d are: %+v", what, t, then.Open, got, now.On[t].Open, moves)
		}
	}
}

// TestProgressAddsUp lets a fleet of three regions live for a while, with
// repairs, rescans, scans that fail, waivers, other rules, other owners and
// restarts, and holds every point of progress against the rows themselves.
func TestProgressAddsUp(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 15
	}
	scopes := []ecs.Scope{hangzhou, {Account: "prod", Region: "cn-beijing"}, {Account: "test", Region: "cn-beijing"}}
	systems := []string{"centos 5.8", "centos 7.9", "debian 7", "debian 12", ""}
	waiving := newJudge("c", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-12-31"
	narrower := newJudge("d", map[string]rules.Level{"debian 12": rules.Incompatible})
	narrower.targets, narrower.milder = []string{"shenlong-7", "kvm"}, "shenlong-7"
	judges := []*judge{newJudge("a", oldOnes), newJudge("b", map[string]rules.Level{"debian 12": rules.NeedsAction}), waiving, narrower}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 21))
		path, j := filepath.Join(t.TempDir(), "store.db"), judges[0]
		db := openFor(t, path, j, "team", "owner")
		s := newStream()
		s.now = 1_000_000
		fleet := map[ecs.Scope]map[string]machine{}
		for _, sc := range scopes {
			fleet[sc] = map[string]machine{}
		}
		for step := range 12 {
			what := fmt.Sprintf("seed %d step %d", seed, step)
			for no, sc := range scopes {
				for i := range 8 {
					id := fmt.Sprint("i-", 10*no+i)
					switch r.IntN(5) {
					case 0:
						delete(fleet[sc], id)
					case 1:
						m := machine{id: id, os: systems[r.IntN(len(systems))]}
						for _, tag := range []string{"owner", "waive", "team"} {
							if r.IntN(3) > 0 {
								m.tags = append(m.tags, ecs.Tag{Key: tag, Value: []string{"yes", "a", ""}[r.IntN(3)]})
							}
						}
						fleet[sc][id] = m
					}
				}
			}
			rows := func(sc ecs.Scope) (out []machine) {
				for _, m := range fleet[sc] {
					out = append(out, m)
				}
				slices.SortFunc(out, func(a, b machine) int { return strings.Compare(a.id, b.id) })
				return out
			}
			s.now += 1000
			id := fmt.Sprint("s", step)
			switch r.IntN(6) {
			case 0: // other rules, perhaps of a new process
				j = judges[r.IntN(len(judges))]
				if r.IntN(2) == 0 {
					if err := db.Close(); err != nil {
						t.Fatal(err)
					}
					db = openFor(t, path, j, "team", "owner")
				}
				if _, err := db.Reclassify(t.Context(), j); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if points, err := db.Points(1); err != nil || len(points) == 0 || points[0].Kind != record.PointRules {
					continue // nothing to compare, or nothing moved
				}
				addsUp(t, db, j, what+", other rules")
			case 1: // a rescan, which ends no scan
				sc := scopes[r.IntN(len(scopes))]
				apply(t, db, s.put(page(id, rescanKind, sc, "1.0", "1.0", 0, s.now, rows(sc)...)))
			default:
				var msgs []event.Message
				some := scopes[r.IntN(len(scopes)):]
				msgs = append(msgs, planned(id, event.KindScan, s.now, some...))
				failed := 0
				for _, sc := range some {
					if r.IntN(6) == 0 {
						failed++
						msgs = append(msgs, &event.ScopeFailed{ScanID: id, Kind: event.KindScan, Scope: sc, Failure: record.Failure{Account: sc.Account, Region: sc.Region, Error: "refused"}})
						continue
					}
					msgs = append(msgs, scopePlanned(id, event.KindScan, sc, "1", "1.0"))
					if list := rows(sc); len(list) > 0 {
						msgs = append(msgs, page(id, event.KindScan, sc, "1.0", "1.0", 0, s.now+1, list...), laneEnded(id, event.KindScan, sc, "1.0", "1.0", 1))
					} else {
						msgs = append(msgs, laneEnded(id, event.KindScan, sc, "1.0", "1.0", 0))
					}
				}
				s.now += 10
				apply(t, db, s.put(msgs...))
				_, now := latest(t, db)
				if now.ScanID != id || (now.State == record.ScanPartial) != (failed > 0) || failed > 0 && now.CarriedScopes == 0 {
					t.Fatalf("%s: the last point is of %s, %s, %d carried; %d scopes failed", what, now.ScanID, now.State, now.CarriedScopes, failed)
				}
				addsUp(t, db, j, what)
			}
		}
		if err := db.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An owner is counted whole under its name, or not under it at all, however many owners
// and classes there are: of more than 65,536 owners with a class the last were counted
// apart, so that what one of them had open was too little.
func TestAnOwnerOfManyClassesIsCountedWhole(t *testing.T) {
	t.Parallel()
	j := newJudge("a", oldOnes)
	db := openFor(t, filepath.Join(t.TempDir(), "store.db"), j, "team")
	s := newStream()
	s.now = 1000
	systems := []string{"centos 5.8", "centos 7.9", "debian 7"}
	const owners = 22_000 // each with an instance of every system
	msgs := []event.Message{planned("s1", event.KindScan, s.now, hangzhou), scopePlanned("s1", event.KindScan, hangzhou, "1", "1.0")}
	pages := 0
	for of, os := range systems {
		for from := 0; from < owners; from += 500 {
			var list []machine
			for i := from; i < from+500; i++ {
				list = append(list, machine{id: fmt.Sprintf("i-%d-%05d", of, i), os: os, tags: []ecs.Tag{{Key: "team", Value: fmt.Sprintf("team-%05d", i)}}})
			}
			if from == owners-500 { // the largest, which is named, behind the others
				for i := range 100 {
					list = append(list, machine{id: fmt.Sprintf("i-%d-x%04d", of, i), os: os, tags: []ecs.Tag{{Key: "team", Value: "team-21999"}}})
				}
			}
			slices.SortFunc(list, func(a, b machine) int { return strings.Compare(a.id, b.id) })
			msgs = append(msgs, page("s1", event.KindScan, hangzhou, "1.0", "1.0", pages, s.now+1, list...))
			pages++
		}
	}
	apply(t, db, s.put(append(msgs, laneEnded("s1", event.KindScan, hangzhou, "1.0", "1.0", pages))...))
	_, now := latest(t, db)
	at := slices.IndexFunc(now.Owners.Largest, func(share record.Share) bool { return share.Name == "team-21999" })
	if at < 0 || now.Owners.Largest[at].Instances != 3*101 {
		t.Fatalf("the largest owner, of %d instances, is %+v", 3*101, now.Owners.Largest[max(at, 0)])
	}
}

// TestOwnersBeyondTheLargestAddUp has more owners than a point names.
func TestOwnersBeyondTheLargestAddUp(t *testing.T) {
	db := openFor(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes), "team")
	s := newStream()
	s.now = 1000
	var list []machine
	for i := range 300 {
		for n := range 1 + i%3 {
			list = append(list, machine{id: fmt.Sprintf("i-%03d-%d", i, n), os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: fmt.Sprintf("team-%03d", i)}}})
		}
	}
	slices.SortFunc(list, func(a, b machine) int { return strings.Compare(a.id, b.id) })
	apply(t, db, s.put(whole("s1", hangzhou, 100, list...)...))
	_, now := latest(t, db)
	if now.Owners.Names != 300 || len(now.Owners.Largest) != 200 || now.Owners.Rest == nil {
		t.Fatalf("%d names, %d of them named, rest %v", now.Owners.Names, len(now.Owners.Largest), now.Owners.Rest)
	}
	sum := now.Owners.Rest.Targets["shenlong-6"].Open
	for _, o := range now.Owners.Largest {
		if o.Instances < 2 {
			t.Errorf("%s has %d and is named, while one with more is not", o.Name, o.Instances)
		}
		sum += o.Targets["shenlong-6"].Open
	}
	if sum != now.On["shenlong-6"].Open || sum != len(list) {
		t.Errorf("owners add up to %d, all are %d", sum, now.On["shenlong-6"].Open)
	}
}

// TestAnOwnerWithAnotherNameIsHandedOver renames a team: nothing was mended.
func TestAnOwnerWithAnotherNameIsHandedOver(t *testing.T) {
	db := openFor(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes), "team")
	s := newStream()
	s.now = 1000
	of := func(team string) []machine {
		return []machine{{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: team}}}, {id: "i-2", os: "centos 5.8", tags: []ecs.Tag{{Key: "team", Value: team}}}}
	}
	apply(t, db, s.put(whole("s1", hangzhou, 100, of("blue")...)...))
	apply(t, db, s.put(whole("s2", hangzhou, 200, of("green")...)...))
	_, now := latest(t, db)
	if diff := cmp.Diff([]record.Handover{{From: "blue", To: "green", Instances: 2}}, now.Handovers); diff != "" || now.HandedOver != 2 {
		t.Errorf("%d: %s", now.HandedOver, diff)
	}
	if m := now.Moves["shenlong-6"]; m.Closed != 0 || m.Opened != 0 || now.On["shenlong-6"].Open != 2 {
		t.Errorf("%+v, %d open", m, now.On["shenlong-6"].Open)
	}
}

// TestOldPointsAreThinnedOut keeps one point a day of what is long ago, and what
// moved on that day with it.
func TestOldPointsAreThinnedOut(t *testing.T) {
	t.Parallel()
	db := openFor(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes), "team")
	s := newStream()
	system := []string{"centos 5.8", "debian 12"}
	scans := 260
	var at []string // the days of the scans
	for i := range scans {
		s.now += 8 * 3600
		at = append(at, time.Unix(0, t0+s.now*second).UTC().Format(time.DateOnly))
		apply(t, db, s.put(whole(fmt.Sprintf("s%03d", i), hangzhou, s.now-10, machine{id: "i-1", os: system[i%2]})...))
	}
	points, err := db.Points(1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(points) >= scans || len(points) < 200 {
		t.Fatalf("%d points of %d scans are kept", len(points), scans)
	}
	closed, opened, days := 0, 0, map[string]int{}
	for i, p := range points {
		closed, opened = closed+p.Moves["shenlong-6"].Closed, opened+p.Moves["shenlong-6"].Opened
		if i < len(points)-200 {
			days[p.At.Format(time.DateOnly)]++
		}
	}
	if closed != scans/2 || opened != scans/2-1 {
		t.Errorf("%d closed and %d opened are told of, of %d scans", closed, opened, scans)
	}
	want := map[string]int{}
	for _, day := range at[:scans-200] {
		if want[day] = 1; day == at[scans-200] {
			delete(want, day) // the last point of it is among the newest
		}
	}
	if diff := cmp.Diff(want, days); diff != "" {
		t.Errorf("points of days long ago: %s", diff)
	}
}

// TestWhatIsLearntIsNotMended moves an instance by what becomes known of it, and
// then by what was done to it.
func TestWhatIsLearntIsNotMended(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	answered := rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: "3.10.0-1160.el7.x86_64", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes}
	broken := answered
	broken.Virtio = rules.No
	n := 0
	for _, step := range []struct {
		what  string
		guest rules.GuestFacts
		want  record.Moves
	}{
		{"nobody knows it", rules.GuestFacts{}, record.Moves{Came: 1}},
		{"the machine answers for the first time", answered, record.Moves{ClosedByEvidence: 1}},
		{"its answer is too old to count", rules.GuestFacts{}, record.Moves{OpenedByEvidence: 1}},
		{"it answers again", answered, record.Moves{ClosedByEvidence: 1}},
		{"somebody took its driver away", broken, record.Moves{Opened: 1}},
		{"somebody put it back", answered, record.Moves{Closed: 1}},
	} {
		n++
		s.now += 1000
		apply(t, db, s.put(guestsPage(whole(fmt.Sprintf("s%d", n), hangzhou, s.now-10, machine{id: "i-1", os: "a system of our own"}), func(_ string, f *rules.Facts, _ *rules.Hardware) {
			f.Guest = step.guest
		})...))
		_, now := latest(t, db)
		if got := now.Moves["shenlong-6"]; got != step.want {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
	}
}
