package store

import "context"

// SortedReading is View.Sorted, and how many rows it read.
func (v *View) SortedReading(ctx context.Context, by Sort, after *Place, limit int) ([]Placed, int, error) {
	f, r := v.f, v.reading()
	placed, err := r.sorted(ctx, v.matcher(&f), by, after, limit)
	return placed, r.rows, err
}
