package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/shenscan/shenscan/sink/store"
)

// What is remembered of the past is what the options say: GoneRetention,
// HistoryPerInstance and KeepScans, each with less and with more.
func TestRetentionIsAsItIsSet(t *testing.T) {
	const day = 86400
	remember := func(t *testing.T, o store.Options) (gone, history, scans int) {
		t.Helper()
		o.Path, o.Classifier = filepath.Join(t.TempDir(), "store.db"), newJudge("one", nil)
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		s := newStream()
		// Instance i-0 is gone after the first day; i-1 comes and goes.
		for n := range 12 {
			there := []machine{{id: "i-2", os: "debian 12"}}
			if n == 0 {
				there = append(there, machine{id: "i-0", os: "debian 12"})
			}
			if n%2 == 0 {
				there = append(there, machine{id: "i-1", os: "debian 12"})
			}
			s.now = int64(n+1) * day
			apply(t, db, s.put(whole(fmt.Sprintf("s%d", n), hangzhou, int64(n+1)*day-10, there...)...))
		}
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		ended, err := db.Scans(100)
		if err != nil {
			t.Fatal(err)
		}
		found, err := db.Find("i-1")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return db.Summary().Gone, len(found[0].History), len(ended)
	}
	for name, c := range map[string]struct {
		options              store.Options
		gone, history, scans int
	}{
		"the defaults":               {store.Options{}, 2, 11, 12},
		"GoneRetention of five days": {store.Options{GoneRetention: 5 * day * time.Second}, 1, 11, 12},
		"HistoryPerInstance of 3":    {store.Options{HistoryPerInstance: 3}, 2, 3, 12},
		"KeepScans of 4":             {store.Options{KeepScans: 4}, 2, 11, 4},
	} {
		t.Run(name, func(t *testing.T) {
			gone, history, scans := remember(t, c.options)
			if gone != c.gone || history != c.history || scans != c.scans {
				t.Errorf("%d gone instances, %d changes and %d scans are remembered, want %d, %d and %d", gone, history, scans, c.gone, c.history, c.scans)
			}
		})
	}
}
