package store

import "context"

// SnapshotBesideLittle is Snapshot of a store that is so large that the disk has room
// for its copy, and hardly for anything more.
func (db *DB) SnapshotBesideLittle(ctx context.Context) (*Copy, error) {
	size := db.size.Load()
	defer db.size.Store(size)
	free, _ := room(db.file)
	db.size.Store(free - spare/2)
	return db.Snapshot(ctx)
}
