package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
)

// A rescan that finds everything as it was allocates for pages and for the
// transaction, not for instances.
func TestAllocationsOfAnUnchangedRescan(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes))
	s := newStream()
	const runs, instances = 10, 2000
	machines := make([]machine, instances)
	for i := range machines {
		machines[i] = machine{id: fmt.Sprintf("i-%06d", i), os: "debian 12"}
	}
	batches := make([][]event.Received, runs+2)
	for i := range batches {
		s.now = int64(1000 * (i + 1))
		var pages []event.Message
		for from := 0; from < instances; from += 100 {
			pages = append(pages, page(fmt.Sprint("s", i), scanKind, hangzhou, "1.0", "1.0", from/100, int64(1000*i), machines[from:from+100]...))
		}
		batches[i] = s.put(pages...)
	}
	apply(t, db, batches[0])
	next := 1
	n := testing.AllocsPerRun(runs, func() {
		got, err := db.Apply(t.Context(), batches[next])
		if err != nil || got.Same != instances {
			t.Fatalf("%+v %v", got, err)
		}
		next++
	})
	if n/instances > 0.5 {
		t.Errorf("%.2f allocations an instance", n/instances)
	}
}
