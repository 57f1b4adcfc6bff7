package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// TestAnIDInTwoScopesSpeaksAgainstBoth plays a scan that lists an instance in
// two regions, or two accounts, whichever is decided first, with a restart
// between them: both are partial and name it, and nothing is gone in either, not
// even what was found missing before the other one was read.
func TestAnIDInTwoScopesSpeaksAgainstBoth(t *testing.T) {
	both, own, other := machine{id: "i-both", os: "debian 12"}, machine{id: "i-own", os: "debian 12"}, machine{id: "i-other", os: "debian 12"}
	missed := machine{id: "i-missed", os: "centos 5.8"}
	for name, c := range map[string]struct {
		other  ecs.Scope
		where  string
		before []machine // in hangzhou, by the scan before
		there  int       // instances once both were read
	}{
		"two regions":                        {beijing, "cn-beijing", []machine{own}, 4},
		"two accounts":                       {ecs.Scope{Account: "test", Region: "cn-hangzhou"}, "account test, cn-hangzhou", []machine{own}, 4},
		"one of them has missed another one": {beijing, "cn-beijing", []machine{own, missed}, 5},
		"one of them had it the time before": {beijing, "cn-beijing", []machine{both, own, missed}, 5},
	} {
		for _, last := range []ecs.Scope{hangzhou, c.other} {
			t.Run(fmt.Sprint(name, ", ", last, " is read last"), func(t *testing.T) {
				path, j := filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes)
				db, s := open(t, path, j), newStream()
				scan := func(id string, now int64, mine, theirs []machine, last ecs.Scope) record.Scan {
					s.now = now
					reads := [][]event.Message{read(id, hangzhou, now/2, mine...), read(id, c.other, now/2, theirs...)}
					if last == hangzhou {
						reads[0], reads[1] = reads[1], reads[0]
					}
					apply(t, db, s.put(append([]event.Message{planned(id, scanKind, now/2, hangzhou, c.other)}, reads[0]...)...))
					if err := db.Close(); err != nil {
						t.Fatal(err)
					}
					db = open(t, path, j)
					apply(t, db, s.put(reads[1]...))
					if err := db.Check(t.Context()); err != nil {
						t.Error(err)
					}
					got, err := db.Scan(id)
					if err != nil {
						t.Fatal(err)
					}
					return *got
				}
				if got := scan("s1", 50, c.before, []machine{other}, last); got.State != record.ScanComplete {
					t.Fatalf("the scan before: %+v", got)
				}
				whole := db.Summary().Scopes
				got := scan("s2", 500, []machine{both, own}, []machine{both, other}, last)
				if got.State != record.ScanPartial || got.Gone != 0 || db.Summary().Gone != 0 || db.Summary().Instances != c.there {
					t.Errorf("scan %+v, %d instances, %d gone", got, db.Summary().Instances, db.Summary().Gone)
				}
				view, err := db.View(t.Context(), nil, store.Filter{})
				if err != nil {
					t.Fatal(err)
				}
				for moved, err := range view.ChangesOf(t.Context(), &got) {
					if err != nil || moved.InstanceID != "i-both" {
						t.Errorf("listed of the scan although it was taken back: %+v, %v", moved, err)
					}
				}
				if err := view.Close(); err != nil {
					t.Fatal(err)
				}
				for _, sc := range got.Scopes {
					where := c.where
					if sc.Account == c.other.Account && sc.Region == c.other.Region {
						if where = "cn-hangzhou"; c.other.Account != hangzhou.Account {
							where = "account prod, cn-hangzhou"
						}
					}
					says := "instances are listed here and in " + where + " too, 1 of them, such as i-both"
					if sc.Completeness != record.ScopePartial || sc.Gone != 0 || len(sc.Failures) != 1 || !strings.Contains(sc.Failures[0].Error, says) {
						t.Errorf("scope %+v", sc)
					}
				}
				for i, st := range db.Summary().Scopes {
					if st.Completeness != record.ScopePartial || st.LastComplete == nil || !st.LastComplete.Equal(*whole[i].LastComplete) || len(st.Failures) != 1 {
						t.Errorf("standing %+v, before %+v", st, whole[i])
					}
				}
				// It stays so as long as both list it, and no longer.
				if got := scan("s3", 900, []machine{both, own}, []machine{both, other}, last); got.State != record.ScanPartial {
					t.Errorf("both list it still, and the scan is %+v", got)
				}
				if got := scan("s4", 1400, []machine{own}, []machine{both, other}, last); got.State != record.ScanComplete || db.Summary().Instances != 3 {
					t.Errorf("one alone lists it, and the scan is %+v, %d instances", got, db.Summary().Instances)
				}
			})
		}
	}
}

// An id speaks against every other account and region that has it, and against none that
// has it no more: whatever is found of the others on the way there. The regions are met in the order
// of their first scan.
func TestAnIDSpeaksAgainstEachRegionThatHasIt(t *testing.T) {
	first, second, third := hangzhou, beijing, ecs.Scope{Account: "prod", Region: "cn-shenzhen"}
	m := func(ids ...string) (out []machine) {
		for _, id := range ids {
			out = append(out, machine{id: id, os: "debian 12"})
		}
		return out
	}
	prod := []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}
	scan := func(plan *event.ScanPlanned, reads ...[]event.Message) []event.Message {
		return append([]event.Message{plan}, slices.Concat(reads...)...)
	}
	// moment has what a scan reads observed in the very moment in which it began.
	moment := func(epoch int64, messages []event.Message) []event.Message {
		for _, message := range messages {
			if page, ok := message.(*event.InstancesClassified); ok {
				page.Order = at(epoch).UnixNano()
			}
		}
		return messages
	}
	for name, c := range map[string]struct {
		before [][]event.Message // complete scans, each of one moment
		last   []event.Message
		want   string // how the regions stand
		says   string // of what the last one shares
		gone   int
	}{
		"both of two": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s2", second, 20, m("i-2", "i-b")...)},
			whole("s3", third, 40, m("i-a", "i-b", "i-3")...),
			"cn-beijing 2 partial, cn-hangzhou 2 partial, cn-shenzhen 3 partial", "cn-beijing too, 1 of them, such as i-b; cn-hangzhou too, 1 of them, such as i-a", 0,
		},
		"one from which it is gone, and one more": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s1b", first, 15, m("i-1")...), whole("s2", second, 20, m("i-2", "i-b")...)},
			whole("s3", third, 40, m("i-a", "i-b", "i-3")...),
			"cn-beijing 2 partial, cn-hangzhou 1 complete, cn-shenzhen 3 partial", "cn-beijing too, 1 of them, such as i-b", 1,
		},
		"one that is not named any more, and one more": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s2", second, 20, m("i-2", "i-b")...)},
			scan(about("s3", 40, prod, second, third), read("s3", second, 40, m("i-2", "i-b")...), read("s3", third, 40, m("i-a", "i-b", "i-3")...)),
			"cn-beijing 2 partial, cn-hangzhou 2 failed, cn-shenzhen 3 partial", "cn-beijing too, 1 of them, such as i-b", 0,
		},
		"one that is not read yet, and one more": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s2", second, 20, m("i-2", "i-b")...)},
			scan(planned("s3", scanKind, 40, first, second, third), read("s3", second, 40, m("i-2", "i-b")...), read("s3", third, 40, m("i-a", "i-b", "i-3")...)),
			"cn-beijing 2 partial, cn-hangzhou 2 complete, cn-shenzhen 3 partial", "cn-beijing too, 1 of them, such as i-b", 0,
		},
		"the one behind another from which it is gone": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s1b", first, 15, m("i-1")...), whole("s2", second, 20, m("i-2", "i-a")...)},
			whole("s3", third, 40, m("i-a", "i-3")...),
			"cn-beijing 2 partial, cn-hangzhou 1 complete, cn-shenzhen 2 partial", "cn-beijing too, 1 of them, such as i-a", 1,
		},
		"all that have it": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...), whole("s2", second, 20, m("i-2", "i-a")...)},
			whole("s3", third, 40, m("i-a", "i-3")...),
			"cn-beijing 2 partial, cn-hangzhou 2 partial, cn-shenzhen 2 partial", "cn-beijing too, 1 of them, such as i-a; cn-hangzhou too, 1 of them, such as i-a", 0,
		},
		"several of one, some of them gone": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a", "i-b", "i-c", "i-d", "i-e")...), whole("s2", first, 20, m("i-1", "i-b", "i-c", "i-d", "i-e")...)},
			whole("s3", third, 40, m("i-a", "i-b", "i-c", "i-d", "i-e")...),
			"cn-hangzhou 5 partial, cn-shenzhen 5 partial", "cn-hangzhou too, 4 of them, such as i-b, i-c, i-d", 1,
		},
		"what is seen as scans begin": {
			[][]event.Message{moment(10, whole("s1", first, 10, m("i-1", "i-a")...))},
			moment(40, whole("s3", third, 40, m("i-a", "i-3")...)),
			"cn-hangzhou 2 partial, cn-shenzhen 2 partial", "cn-hangzhou too, 1 of them, such as i-a", 0,
		},
		"of which the scan has heard and does not plan": {
			[][]event.Message{whole("s1", first, 10, m("i-1", "i-a")...)},
			scan(planned("s3", scanKind, 40, third), []event.Message{page("s3", scanKind, first, "1.0", "1.0", 0, 41, m("i-1")...)}, read("s3", third, 40, m("i-a", "i-3")...)),
			"cn-hangzhou 2 partial, cn-shenzhen 2 partial", "cn-hangzhou too, 1 of them, such as i-a", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			for i, messages := range append(c.before, c.last) {
				s.now = int64(20*i + 50)
				apply(t, db, s.put(messages...))
			}
			var got []string
			for _, sc := range db.Summary().Scopes {
				got = append(got, fmt.Sprint(sc.Region, " ", sc.Instances, " ", sc.Completeness))
				if sc.Region == "cn-hangzhou" && sc.LastScan != "s1" && sc.LastScan != "s1b" && sc.LastScan != "s2" && sc.Unlisted == nil {
					t.Errorf("%s was read by %s", sc.Region, sc.LastScan)
				}
			}
			if is := strings.Join(got, ", "); is != c.want || db.Summary().Gone != c.gone {
				t.Errorf("%d gone, %s; want %s", db.Summary().Gone, is, c.want)
			}
			is, err := db.Scan("s3")
			if err != nil {
				t.Fatal(err)
			}
			var says []string
			for _, sc := range is.Scopes {
				for _, f := range sc.Failures {
					if sc.Region == "cn-shenzhen" {
						says = append(says, strings.TrimSuffix(strings.TrimPrefix(f.Error, "instances are listed here and in "), ": an instance is in one region"))
					}
				}
			}
			if diff := cmp.Diff(c.says, strings.Join(says, "; ")); diff != "" {
				t.Error(diff)
			}
			kept(t, db, path)
		})
	}
}

// Where a scan that was complete is so no more, whatever it found missing is there again: also
// what was seen in the very moment in which it, or the one before, began.
func TestWhatADoubtedScanMissedIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	then := func(epoch int64, messages []event.Message) []event.Message {
		for _, message := range messages {
			if page, ok := message.(*event.InstancesClassified); ok {
				page.Order = at(epoch).UnixNano()
			}
		}
		return messages
	}
	s.now = 50
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 5, machine{id: "i-old"})))
	apply(t, db, s.put(then(10, whole("s1", hangzhou, 10, machine{id: "i-then"}, machine{id: "i-both"}))...))
	apply(t, db, s.put(planned("s2", scanKind, 20, hangzhou, beijing)))
	apply(t, db, s.put(then(20, read("s2", hangzhou, 20, machine{id: "i-both"}))...))
	if sum := db.Summary(); sum.Instances != 1 || sum.Gone != 2 {
		t.Fatalf("%d instances, %d gone", sum.Instances, sum.Gone)
	}
	apply(t, db, s.put(read("s2", beijing, 20, machine{id: "i-both"})...))
	if sum := db.Summary(); sum.Instances != 3 || sum.Gone != 1 {
		t.Errorf("%d instances, %d gone", sum.Instances, sum.Gone)
	}
	db = kept(t, db, path)
	for id, want := range map[string]string{"i-old": "gone", "i-then": "gone returned", "i-both": ""} {
		found, err := db.Get("prod", "cn-hangzhou", id)
		if err != nil {
			t.Fatal(err)
		}
		var causes []string
		for _, change := range found.History {
			causes = append(causes, change.Cause)
		}
		if got := strings.Join(causes, " "); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// A region that is still being read says itself what speaks against it, once it is decided
// and all is known: until then no part of it is told, and no other region that lists an id
// is passed over.
func TestARegionThatIsBeingReadSaysItselfWhatItShares(t *testing.T) {
	shenzhen := ecs.Scope{Account: "prod", Region: "cn-shenzhen"}
	m := func(ids ...string) (out []machine) {
		for _, id := range ids {
			out = append(out, machine{id: id, os: "debian 12"})
		}
		return out
	}
	for name, begun := range map[string][]event.Message{
		"a part of it was read":         {scopePlanned("s3", scanKind, beijing, "1", "1.0"), page("s3", scanKind, beijing, "1.0", "1.0", 0, 41, m("i-a")...)},
		"a rescan has seen an instance": {page("r1", rescanKind, beijing, "1.0", "1.0", 0, 41, m("i-a")...)},
		"nothing of it was read":        nil,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			db, s := open(t, path, newJudge("a", oldOnes)), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", beijing, 10, m("i-a", "i-b")...)...)) // the first of them by number
			apply(t, db, s.put(whole("s2", shenzhen, 10, m("i-c")...)...))
			apply(t, db, s.put(append([]event.Message{planned("s3", scanKind, 40, beijing, hangzhou)}, begun...)...))
			apply(t, db, s.put(read("s3", hangzhou, 40, m("i-a", "i-b", "i-c")...)...))
			standing := func() (out []string) {
				for _, sc := range db.Summary().Scopes {
					line := []string{sc.Region + " " + string(sc.Completeness)}
					for _, f := range sc.Failures {
						_, says, _ := strings.Cut(f.Error, "listed here and in ")
						says, _, _ = strings.Cut(says, ": an instance")
						line = append(line, says)
					}
					out = append(out, strings.Join(line, "; "))
				}
				return out
			}
			want := []string{
				"cn-beijing complete",
				"cn-hangzhou partial; cn-shenzhen too, 1 of them, such as i-c",
				"cn-shenzhen partial; cn-hangzhou too, 1 of them, such as i-c",
			}
			if diff := cmp.Diff(want, standing()); diff != "" {
				t.Errorf("while it is read: %s", diff)
			}
			apply(t, db, s.put(scopePlanned("s3", scanKind, beijing, "1", "1.0"), page("s3", scanKind, beijing, "1.0", "1.0", 0, 41, m("i-a")...),
				page("s3", scanKind, beijing, "1.0", "1.0", 1, 42, m("i-b")...), laneEnded("s3", scanKind, beijing, "1.0", "1.0", 2)))
			want[0] = "cn-beijing partial; cn-hangzhou too, 2 of them, such as i-a, i-b"
			want[1] = "cn-hangzhou partial; cn-beijing too, 2 of them, such as i-a, i-b; cn-shenzhen too, 1 of them, such as i-c"
			if diff := cmp.Diff(want, standing()); diff != "" {
				t.Errorf("once it is read: %s", diff)
			}
			kept(t, db, path)
		})
	}
}

// Of several regions that list an instance any two go on speaking against each other,
// whichever had it first or last, when another one is no more.
func TestRegionsThatGoOnListingAnInstanceAreNotComplete(t *testing.T) {
	shenzhen := ecs.Scope{Account: "prod", Region: "cn-shenzhen"}
	all := []ecs.Scope{hangzhou, beijing, shenzhen}
	for _, lost := range all {
		t.Run(lost.Region, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 50
			scan := func(n int, scope ecs.Scope) {
				apply(t, db, s.put(whole(fmt.Sprint("s", n), scope, int64(10*n), machine{id: "i-a", os: "debian 12"})...))
			}
			for n, scope := range all {
				scan(n+1, scope)
			}
			if _, err := db.Forget(t.Context(), lost.Account, lost.Region, at(60)); err != nil {
				t.Fatal(err)
			}
			rest := slices.DeleteFunc(slices.Clone(all), func(scope ecs.Scope) bool { return scope == lost })
			for n, scope := range []ecs.Scope{rest[0], rest[1], rest[0]} {
				scan(n+4, scope)
				for _, is := range db.Summary().Scopes {
					if is.Completeness != record.ScopePartial || len(is.Failures) == 0 {
						t.Errorf("after scan %d %s is %s, with %d causes", n+4, is.Region, is.Completeness, len(is.Failures))
					}
				}
			}
		})
	}
}
