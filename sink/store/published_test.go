package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
)

// Who is told that a scan is complete finds what it read: totals and rows are not
// of the moment before.
func TestACompleteScanCanBeRead(t *testing.T) {
	db := fresh(t)
	s := newStream()
	for round := range 100 {
		id := fmt.Sprintf("s%03d", round)
		s.now = int64(1000 * (round + 1))
		batch := s.put(whole(id, hangzhou, s.now, machine{id: "i-1", os: "debian 12"})...)
		var looking sync.WaitGroup
		for range 2 {
			looking.Go(func() {
				for t.Context().Err() == nil {
					if scan, err := db.Scan(id); err != nil || scan.State != record.ScanComplete {
						continue
					}
					if at := db.Summary().Scopes[0].LastScan; at != id {
						t.Errorf("scan %s is complete, and the totals are of %q", id, at)
					}
					return
				}
			})
		}
		apply(t, db, batch)
		looking.Wait()
		if t.Failed() {
			return
		}
	}
}
