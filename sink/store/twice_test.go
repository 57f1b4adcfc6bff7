package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

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
