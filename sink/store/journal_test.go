package store_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A journal that gets long is merged while its scan still runs: every reader would read
// it again, and a restart all of it. What the scan has seen is not lost by that.
func TestALongJournalIsMergedBeforeItsScanEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	apply(t, db, s.put(planned("s1", scanKind, 10, hangzhou), scopePlanned("s1", scanKind, hangzhou, "1", "1.0"),
		page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, machine{id: "i-2"})))
	if rows, _ := db.Blocks(); rows != 0 {
		t.Fatalf("%d blocks while the journal is short", rows)
	}
	db.LengthenJournals()
	apply(t, db, s.put(page("s1", scanKind, hangzhou, "1.0", "1.0", 1, 12, machine{id: "i-1"})))
	if rows, _ := db.Blocks(); rows != 1 {
		t.Errorf("%d blocks once the journal is long", rows)
	}
	db = kept(t, db, path)
	apply(t, db, s.put(laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", 2)))
	if got, err := db.Scan("s1"); err != nil || got.Instances != 2 || got.State != "complete" {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"i-1", "i-2"}, idsOf(t, db)); diff != "" {
		t.Error(diff)
	}
}
