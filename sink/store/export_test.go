package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// NoSync spares tests of other things the wait for the disk.
func (db *DB) NoSync() { db.bolt.NoSync = true }

// CopyDropping makes a checked copy with a writer that loses a key.
func (db *DB) CopyDropping(ctx context.Context, dst string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.copyTo(ctx, dst, func(tmp string) error {
		if err := db.writeDense(tmp); err != nil {
			return err
		}
		out, err := bbolt.Open(tmp, 0o600, nil)
		if err != nil {
			return err
		}
		err = out.Update(func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket(bucketHistory).Cursor().First()
			return tx.Bucket(bucketHistory).Delete(k)
		})
		return errors.Join(err, out.Close())
	})
}

// CopyBeside makes a checked copy while somebody else makes a file of its name.
func (db *DB) CopyBeside(ctx context.Context, dst, theirs string) error {
	return db.locked(func() error {
		return db.copyTo(ctx, dst, func(tmp string) error {
			return errors.Join(db.writeDense(tmp), os.WriteFile(dst, []byte(theirs), 0o600))
		})
	})
}

// Synced writes to a file as a copy of the store is written, with a sync every
// so many bytes.
func Synced(file interface {
	io.Writer
	Sync() error
}, every int,
) io.Writer {
	return &syncWriter{file: file, every: every}
}

// Indexed is how many rows the indexes hold that are in memory.
func (db *DB) Indexed() (n int) {
	_ = db.locked(func() error {
		for _, sc := range db.scopes {
			if sc.ix != nil {
				n += sc.ix.len()
			}
		}
		return nil
	})
	return n
}

// InMemory lists the regions whose index is in memory.
func (db *DB) InMemory() (regions []string) {
	_ = db.locked(func() error {
		for _, sc := range db.scopes {
			if sc.ix != nil {
				regions = append(regions, sc.Region)
			}
		}
		return nil
	})
	slices.Sort(regions)
	return regions
}

// Blocks counts the blocks of rows, and those of their stamps.
func (db *DB) Blocks() (rows, stamps int) {
	_ = db.view(func(tx *bbolt.Tx) error {
		rows, stamps = tx.Bucket(bucketBlocks).Stats().KeyN, tx.Bucket(bucketOrders).Stats().KeyN
		return nil
	})
	return rows, stamps
}

// HeldEvents applies a batch in one transaction, as Apply does, and returns how
// many events it held in memory at most between two messages.
func (db *DB) HeldEvents(batch []event.Received) (most int, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	applier := db.begin()
	err = db.update(func(tx *bbolt.Tx) error {
		applier.tx = tx
		for i := range batch {
			if err := applier.message(&batch[i]); err != nil {
				return err
			}
			most = max(most, len(applier.events))
			db.meta.Stream, db.meta.Seq = batch[i].Stream, batch[i].Seq
		}
		return applier.finish()
	})
	return most, err
}

// BetweenJudges calls fn as if the store were being judged by c: the file is, and
// what readers see is not yet.
func (db *DB) BetweenJudges(c Classifier, fn func()) {
	before := db.judge.Load()
	db.judge.Store(db.o.judge(c))
	defer db.judge.Store(before)
	fn()
}

// Profiles is how many profiles are stored.
func (db *DB) Profiles() int {
	n := 0
	_ = db.view(func(tx *bbolt.Tx) error {
		for _, v := range entries(tx.Bucket(bucketProfiles), nil) {
			part, err := format.ReadProfiles(v, nil)
			if err != nil {
				return err
			}
			for _, p := range part {
				if p.Class != format.NoClass {
					n++
				}
			}
		}
		return nil
	})
	return n
}

// SetFormat makes the file one of another format.
func (db *DB) SetFormat(n int) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.update(func(*bbolt.Tx) error {
		db.meta.Format = n
		return nil
	})
}

// ReadSection and ReadRow are what reads the journal.
func ReadSection(v []byte) error {
	var s format.Section
	v = format.Sealed(v)
	if err := format.ReadSection(v, &s); err != nil {
		return err
	}
	for i, row := range s.Rows {
		if _, _, err := format.ReadRow(row, format.Words{"\x00\x00\x00\x00word"}); err != nil {
			return err
		}
		if got, err := format.RowAt(v, s.Offsets[i]); err != nil || string(got) != string(row) {
			panic("a row is not where its section says")
		}
	}
	return nil
}

// ReadValues decodes a value as everything that a value can be.
func ReadValues(v []byte) {
	v = format.Sealed(v)
	if rows, err := format.BlockRows(v, nil); err == nil {
		for _, row := range rows {
			_, _, _ = format.ReadRow(row, nil)
			_, _ = format.RowProfile(row)
			_, _, _ = format.FindRow(v, format.RowID(row))
		}
	}
	if o, err := format.ReadOrders(v); err == nil {
		for i := range o.Len {
			_ = o.At(i)
			_ = o.Scans[o.Scan(i)]
		}
	}
	_, _ = format.ReadProfiles(v, nil)
	_, _ = format.ReadClass(v)
	_, _ = storedHardware(v)
	_, _ = eventQueue.read(v)
	_, _ = readEnded(v)
	var s scopeValue
	_ = format.ReadJSON("scope", v, &s)
}

// Instances lists what a filter lets through, as one moment of the store shows it.
func (db *DB) Instances(ctx context.Context, f Filter) iter.Seq2[*record.Record, error] {
	return db.InstancesAfter(ctx, f, nil, 0)
}

// InstancesAfter lists at most so many of them, from behind one of them.
func (db *DB) InstancesAfter(ctx context.Context, f Filter, after *record.Record, limit int) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		view, err := db.View(ctx, nil, Filter{})
		if err != nil {
			yield(nil, err)
			return
		}
		defer view.Close()
		var place *Place
		if after != nil {
			place = &Place{Account: after.Account, Region: after.Region, InstanceID: after.InstanceID}
		}
		for r, err := range view.reading().instances(ctx, view.matcher(&f), place, limit) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// Sorted is View.Sorted at the moment of the call.
func (db *DB) Sorted(ctx context.Context, f Filter, by Sort, after *Place, limit int) ([]Placed, error) {
	view, err := db.View(ctx, nil, f)
	if err != nil {
		return nil, err
	}
	placed, err := view.Sorted(ctx, by, after, limit)
	return placed, errors.Join(err, view.Close())
}

// TurnAlone has everything judged by c, and does nothing of what follows, as a
// process that ends then.
func (db *DB) TurnAlone(ctx context.Context, c Classifier) error {
	return db.locked(func() error { return db.switchLocked(ctx, db.o.judge(c)) })
}

// Trend returns the fleet's totals at the end of the last n scans, the oldest
// first.
func (db *DB) Trend(n int) ([]TrendPoint, error) { return db.reading().trend(n) }

// Facts returns the raw facts of the instance with the id, the first one where
// several accounts or regions have it, or ErrNotFound.
func (db *DB) Facts(instanceID string) (*rules.Facts, error) {
	facts, _, err := db.Found("", "", instanceID)
	return facts, err
}

// ChangesSince is View.ChangesSince, each piece as the store is by then.
func (db *DB) ChangesSince(ctx context.Context, since time.Time) iter.Seq2[*Moved, error] {
	return db.reading().changesSince(ctx, since, func(*scopeSnap) bool { return true })
}

// Stats returns figures as of the last commit. It reads no file.
func (db *DB) Stats() Stats { return db.stats(db.snap.Load()) }

// Compact writes the store without free space to dst, which must not exist,
// as BackupFile does.
func (db *DB) Compact(ctx context.Context, dst string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.copyTo(ctx, dst, db.writeDense); err != nil {
		return fmt.Errorf("compact the store: %w", err)
	}
	return nil
}
