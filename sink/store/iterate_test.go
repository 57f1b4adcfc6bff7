package store_test

import (
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// someAfter lists at most so many instances behind one of them, gone ones included.
func someAfter(tb testing.TB, db *store.DB, f store.Filter, after *record.Record, limit int) []*record.Record {
	tb.Helper()
	f.Gone = true
	var out []*record.Record
	for r, err := range db.InstancesAfter(tb.Context(), f, after, limit) {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
