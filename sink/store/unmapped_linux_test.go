package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

// Whoever reads a large fleet lets go on the way of what was read of the file: a
// store of many millions would otherwise count as memory of the process whole.
func TestALongWalkUnmapsWhatItRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	db := open(t, path, newJudge("a", oldOnes))
	s := newStream()
	s.now = 1000
	const perPage, pages = 1000, 80
	batch := []event.Message{planned("s1", scanKind, 100, hangzhou), scopePlanned("s1", scanKind, hangzhou, "1", "1.0")}
	for p := range pages {
		var machines []machine
		for i := range perPage {
			machines = append(machines, machine{id: fmt.Sprintf("i-%02d-%04d", p, i), os: "debian 12"})
		}
		batch = append(batch, page("s1", scanKind, hangzhou, "1.0", "1.0", p, 101, machines...))
	}
	apply(t, db, s.put(append(batch, laneEnded("s1", scanKind, hangzhou, "1.0", "1.0", pages))...))
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	rows, most, last := 0, 0, 0
	for _, err := range view.Instances(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; rows%1000 == 0 {
			last = store.Resident(t, path)
			most = max(most, last)
		}
	}
	if rows != perPage*pages || last > most/2 {
		t.Errorf("%d KiB of the store are mapped after %d rows, %d at most before", last, rows, most)
	}
}
