package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
)

// An instance that was last seen in the very moment in which a complete scan began is
// there: where the next one does not list it, its producer is asked for it, as for those
// that were seen later, and whoever applied that is told how many questions there are.
func TestWhatWasSeenAsAScanBeganIsAskedFor(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	const n = 3
	var fleet []machine
	for i := range n {
		fleet = append(fleet, machine{id: fmt.Sprint("i-", i), os: "debian 12"})
	}
	first := whole("s1", hangzhou, 10, fleet...)
	first[2].(*event.InstancesClassified).Order = at(10).UnixNano()
	if got, err := db.Apply(t.Context(), s.put(first...)); err != nil || got.Asked != 0 {
		t.Fatalf("%d questions, %v", got.Asked, err)
	}
	s.now = 100
	got, err := db.Apply(t.Context(), s.put(whole("s2", hangzhou, 60, fleet[0])...))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	asked := questions(t, db)
	for _, q := range asked {
		ids = append(ids, q.InstanceIDs...)
	}
	if diff := cmp.Diff([]string{"i-1", "i-2"}, ids); diff != "" || got.Asked != len(asked) {
		t.Errorf("%d questions were told, of %d: %s", got.Asked, len(asked), diff)
	}
}
