package store_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// Who is told that a scan is complete finds what it read: totals and rows are not
// of the moment before.
func TestACompleteScanCanBeRead(t *testing.T) {
	t.Parallel()
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

// Whoever reads scans waits for the writer where it read what the totals do not show yet,
// and only then: a long transaction of the writer keeps nobody waiting.
func TestScansWaitForTheWriterOnlyUntilTheyAreShown(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"})...))
	var shown atomic.Bool
	answers := make(chan bool, 1)
	read := func() {
		if _, err := db.Scan("s1"); err != nil {
			t.Error(err)
		}
		answers <- shown.Load()
	}
	db.AsWriter(false, func() {
		go read()
		select {
		case <-answers:
		case <-time.After(10 * time.Second):
			t.Error("a reader waits for a writer that has not committed")
		}
	})
	db.AsWriter(true, func() {
		go read()
		for range 10_000 { // time enough for a reader that does not wait
			runtime.Gosched()
		}
		shown.Store(true)
	})
	if !<-answers {
		t.Error("a reader that read a commit did not wait until it was shown")
	}
}
