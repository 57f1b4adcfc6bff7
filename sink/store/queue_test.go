package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// What was published is not kept in the file, as far as it fills a value: an outbox that only
// grew would take the disk in the end. To say it once more writes nothing.
func TestWhatWasPublishedIsNotInTheFile(t *testing.T) {
	t.Parallel()
	for upto, want := range map[uint64]int{0: 3, 63: 3, 64: 2, 127: 2, 128: 1, 130: 0} {
		path := filepath.Join(t.TempDir(), "store.db")
		db, s := open(t, path, newJudge("a", oldOnes)), newStream()
		var plans []event.Message
		for n := range 130 {
			plans = append(plans, planned(fmt.Sprint("s-", n), scanKind, 10, hangzhou))
		}
		apply(t, db, s.put(plans...))
		before := db.Stats().Commits
		for range 2 {
			if err := db.Delivered(upto); err != nil {
				t.Fatal(err)
			}
		}
		if commits := db.Stats().Commits - before; commits != min(upto, 1) {
			t.Errorf("up to %d: %d commits", upto, commits)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		changed(t, mustRead(t, path), func(tx *bbolt.Tx) {
			if got := tx.Bucket([]byte("outbox")).Stats().KeyN; got != want {
				t.Errorf("up to %d: %d values are left, want %d", upto, got, want)
			}
		})
	}
}

// Events of one message are told apart by a number, from 0 on.
func TestEventsOfAMessageAreNumbered(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	messages := whole("s1", hangzhou, 10, machine{id: "i-1"})
	apply(t, db, s.put(append(messages[1:], messages[0])...)) // the plan comes last: the scan starts and ends with it
	events, err := db.Outbox(0, 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, state := range []record.ScanState{record.ScanRunning, record.ScanComplete} {
		if e := events[i]; e.Index != i || e.Scan.State != state || e.At != events[0].At {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

// How far a change of rules is told is counted in all instances, gone ones too.
func TestGoneInstancesAreLookedAtAsWell(t *testing.T) {
	db := rejudged(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	s := newStream()
	s.seq, s.now = 10_000, 2000
	apply(t, db, s.put(whole("s9", hangzhou, 900, machine{id: "i-0-00", os: "debian 12"})...))
	other := newJudge("b", map[string]rules.Level{"debian 12": rules.Incompatible})
	if err := db.Switch(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got := db.Summary().Rejudging; got == nil || got.Of != 30 || db.Summary().Gone != 14 {
		t.Errorf("%+v, %d gone", got, db.Summary().Gone)
	}
	if done, err := db.Reclassify(t.Context(), other); err != nil || done.Moved != 1+10 { // and the ten of the other region
		t.Errorf("%d moved, %v", done.Moved, err)
	}
}

// A process that starts when a waiver has run out tells that it did: what it hid comes back,
// and it is not told as if it had been so before.
func TestAWaiverThatRanOutMeanwhileIsToldAsWhatItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	waiving := newJudge("a", oldOnes)
	waiving.waive, waiving.until = map[string]string{"waive": "yes"}, "2026-11-23"
	if err := rejudged(t, path, waiving).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: waiving, Today: func() string { return "2026-11-24" }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.NoSync()
	done, err := db.Rejudge(t.Context())
	if err != nil || len(done.Changes) != 10 {
		t.Fatalf("%d changes, %v", len(done.Changes), err)
	}
	for _, c := range done.Changes {
		before, after := c.Before.Verdicts[2], c.After.Verdicts[2]
		if before.Level != rules.Compatible || before.Waiver == nil || after.Level != rules.Incompatible || after.Waiver != nil || before.Reason != "a test says so" {
			t.Errorf("%s was %+v and is %+v", c.After.InstanceID, before, after)
		}
	}
}
