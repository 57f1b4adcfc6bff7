package store

import (
	"context"

	"go.etcd.io/bbolt"
)

// SortedReading is View.Sorted, and how many rows it read.
func (v *View) SortedReading(ctx context.Context, by Sort, after *Place, limit int) ([]Placed, int, error) {
	f, r := v.f, v.reading()
	placed, err := r.sorted(ctx, v.matcher(&f), by, after, limit)
	return placed, r.rows, err
}

// AsWriter calls fn while a writer is at work, which commits meanwhile what readers do not
// see before fn is done.
func (db *DB) AsWriter(commits bool, fn func()) {
	_ = db.locked(func() error {
		if commits {
			seen := db.seen.Add(-1) + 1
			defer db.seen.Store(seen)
		}
		fn()
		return nil
	})
}

// Damage changes what the file holds under an open store.
func (db *DB) Damage(change func(tx *bbolt.Tx) error) error {
	return db.locked(func() error { return db.update(change) })
}
