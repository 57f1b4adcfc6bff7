package store_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
)

// A sink that was away reads at once what changed meanwhile. However much that
// is, few of the changes are in memory at a time, and each is an event, in the
// order in which it happened.
func TestACatchUpHoldsFewChanges(t *testing.T) {
	t.Parallel()
	const perPage, pages = 400, 8
	fleet := func(scan string, seconds int64, os string) (out []event.Message) {
		for p := range pages {
			var machines []machine
			for i := range perPage {
				machines = append(machines, machine{id: fmt.Sprintf("i-%02d-%03d", p, i), os: os})
			}
			out = append(out, page(scan, scanKind, hangzhou, "1.0", "1.0", p, seconds, machines...))
		}
		return out
	}
	told := func(t *testing.T, entries int, read func(after uint64, limit int) (ids []string, last uint64)) {
		t.Helper()
		after, n := uint64(0), 0
		for {
			ids, last := read(after, 500)
			if len(ids) == 0 {
				break
			}
			for _, id := range ids {
				if want := fmt.Sprintf("i-%02d-%03d", n/perPage, n%perPage); id != want {
					t.Fatalf("event %d tells of %s, want %s", n, id, want)
				}
				n++
			}
			after = last
		}
		if n != entries {
			t.Errorf("%d events, want %d", n, entries)
		}
	}
	s := newStream()
	first := s.put(append([]event.Message{planned("s1", scanKind, 100, hangzhou)}, fleet("s1", 101, "debian 12")...)...)
	then := s.put(append([]event.Message{planned("s2", scanKind, 200, hangzhou)}, fleet("s2", 201, "centos 5.8")...)...)
	t.Run("what Apply returns", func(t *testing.T) {
		db := fresh(t)
		apply(t, db, first)
		begun, err := db.Outbox(0, 10)
		if err != nil || len(begun) != 1 {
			t.Fatalf("%d events, %v", len(begun), err)
		}
		got := apply(t, db, then)
		if got.Moved != perPage*pages || len(got.Changes) > 1000 {
			t.Errorf("%d moved, %d of them in memory", got.Moved, len(got.Changes))
		}
		told(t, perPage*pages, func(after uint64, limit int) (ids []string, last uint64) {
			events, err := db.Outbox(after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				if last = events[i].Key; events[i].Change != nil {
					ids = append(ids, events[i].Change.InstanceID)
				}
			}
			return ids, last
		})
		counted := uint64(0)
		for key, n := range db.Stats().Changes {
			if key.Target == "shenlong-7" {
				counted += n
			}
		}
		if counted != perPage*pages {
			t.Errorf("%d changes are counted", counted)
		}
	})
	t.Run("what a transaction holds", func(t *testing.T) {
		db := fresh(t)
		apply(t, db, first)
		held, err := db.HeldEvents(then)
		if err != nil || held > 1024 || held < perPage {
			t.Errorf("%d events in memory at a time, %v", held, err)
		}
		events, err := db.Outbox(0, 2*perPage*pages)
		if err != nil || len(events) != perPage*pages+2 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}
