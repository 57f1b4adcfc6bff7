package event_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// Heads are those of the rows, and other profiles leave all else as it is: with
// words in the table and beside it, times that are none, and numbers of any size.
func TestHeadsAreThoseOfTheRows(t *testing.T) {
	var rows []event.Row
	for i := range 700 {
		row := event.Row{ID: fmt.Sprintf("i-%d", i), Zone: fmt.Sprintf("z%d", i), Status: "Running", CPU: int32(i), MemoryMiB: 1 << 30, Profile: i * i, CreationTime: "2017-12-10T04:04Z"}
		if i%3 == 0 {
			row.CreationTime = "some day"
		} else {
			row.Started = uint64(i) << 20
		}
		for k := range i % 4 {
			row.Tags = append(row.Tags, ecs.Tag{Key: fmt.Sprint("k", k), Value: fmt.Sprint("v", i, k)})
		}
		rows = append(rows, row)
	}
	encoded := event.RowsOf(rows)
	n := 0
	for head := range encoded.Heads() {
		if row := rows[n]; head.ID != row.ID || head.Profile != row.Profile || head.Started != row.Started {
			t.Fatalf("row %d: %+v, not %+v", n, head, row)
		}
		n++
	}
	if n != len(rows) {
		t.Errorf("%d of %d rows", n, len(rows))
	}
	other := encoded.WithProfiles(func(head event.RowHead) int { return 1_000_000 - head.Profile })
	for i := range rows {
		rows[i].Profile = 1_000_000 - rows[i].Profile
	}
	if !other.Equal(event.RowsOf(rows)) || other.Len() != len(rows) {
		t.Error("other profiles make other rows")
	}
	for range encoded.Heads() { // whoever stops is left alone
		break
	}
	for range (event.Rows{}).Heads() {
		t.Error("no rows have one")
	}
}
