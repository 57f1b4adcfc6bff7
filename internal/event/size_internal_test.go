package event

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
)

// What a page takes is never counted too small, least of all where its rows have many
// short words: it would be published with more bytes than it was held to.
func TestRowsAreNoLongerThanTheyAreCounted(t *testing.T) {
	const head = 8 // the numbers of rows and of words
	page := NewPageWriter()
	defer page.Close()
	for i := range 300 {
		page.Add(&ecs.Instance{ID: fmt.Sprint("i-", i), Tags: []ecs.Tag{{Key: fmt.Sprint("k", i), Value: fmt.Sprint("v", i)}}})
		if rows := page.rows.rows(); len(rows.s) > page.rows.size()+head {
			t.Fatalf("%d rows take %d bytes, and %d are counted", i+1, len(rows.s), page.rows.size())
		}
	}
}
