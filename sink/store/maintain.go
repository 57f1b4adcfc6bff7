package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/store/format"
)

// Backup writes a consistent copy of the store as of the last commit, while
// work goes on. What it wrote is a store of its own.
func (db *DB) Backup(ctx context.Context, w io.Writer) error {
	return db.view(func(tx *bbolt.Tx) error {
		if _, err := tx.WriteTo(&ctxWriter{ctx, w}); err != nil {
			return fmt.Errorf("back up the store: %w", err)
		}
		return nil
	})
}

type ctxWriter struct {
	ctx context.Context //nolint:containedctx // lives for one call
	w   io.Writer
}

func (w *ctxWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}

// Compact writes the store without free space to dst, which must not exist.
// No commit happens meanwhile.
func (db *DB) Compact(ctx context.Context, dst string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("compact the store: %s is already there; name a new file", dst)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tmp := dst + ".part"
	out, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: db.o.LockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fmt.Errorf("compact the store: %w", noRoom(err))
	}
	err = db.guard(func() error { return bbolt.Compact(out, db.bolt, 16<<20) })
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("compact the store: %w", noRoom(err)), os.Remove(tmp))
	}
	if err := os.Rename(tmp, dst); err != nil {
		return fmt.Errorf("compact the store: %w", err)
	}
	return syncDir(filepath.Dir(dst))
}

// Check reads everything in the store and returns what is wrong with it. The
// pages are checked as they are on disk, so no commit happens meanwhile.
func (db *DB) Check(ctx context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	if err := format.CheckPages(db.o.Path); err != nil {
		return fmt.Errorf("check %s: %w", db.o.Path, err)
	}
	err := db.view(func(tx *bbolt.Tx) error {
		for _, part := range []struct {
			name  []byte
			check func(k, v []byte) error
		}{
			{bucketBlocks, func(_, v []byte) error { return db.checkBlock(v) }},
			{bucketOrders, func(_, v []byte) error { _, err := format.ReadOrders(v); return err }},
			{bucketJournal, func(_, v []byte) error { var s format.Section; return format.ReadSection(v, &s) }},
			{bucketProfiles, func(_, v []byte) error { _, err := format.ReadProfiles(v, nil); return err }},
			{bucketSoftware, func(k, _ []byte) error { return checkSoftware(tx, k) }},
			{bucketHardware, func(_, v []byte) error { _, err := storedHardware(v); return err }},
			{bucketClasses, func(_, v []byte) error { _, err := format.ReadClass(v); return err }},
			{bucketEnded, func(_, v []byte) error { _, err := readEnded(v); return err }},
			{bucketOutbox, func(_, v []byte) error { _, err := readEvents(v); return err }},
			{bucketHistory, checksum},
			{bucketWaived, checksum},
			{bucketScans, checksum},
			{bucketProgress, checksum},
			{bucketScopes, checksum},
			{bucketStrings, checksum},
			{bucketMeta, checksum},
		} {
			var last []byte
			for k, v := range scan(tx.Bucket(part.name), nil) {
				if last != nil && string(k) <= string(last) {
					return fmt.Errorf("%s: %w: key %x is out of order", part.name, ErrCorrupt, k)
				}
				last = append(last[:0], k...)
				if err := part.check(k, v); err != nil {
					return fmt.Errorf("%s %x: %w", part.name, k, err)
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		facts := (&profileTable{db.profs.list, db.profs.hardware}).reader()
		for _, sc := range db.byNo {
			ix := newIndex(db.seed)
			if err := ix.load(tx, sc.no, nil); err != nil {
				return fmt.Errorf("%s: %w", sc.key, err)
			}
			for i := range ix.at {
				if _, err := facts.facts(tx, ix.at[i].profile); err != nil {
					return fmt.Errorf("%s: %w", sc.key, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check %s: %w", db.o.Path, err)
	}
	return nil
}

func checksum(_, v []byte) error {
	_, err := format.Unseal("value", v)
	return err
}

func checkSoftware(tx *bbolt.Tx, k []byte) error {
	id, err := format.Number32(k)
	if err == nil {
		_, err = storedSoftware(tx, id)
	}
	return err
}

// checkBlock decodes every row and makes sure that they are sorted.
func (db *DB) checkBlock(v []byte) error {
	rows, err := format.BlockRows(v, nil)
	if err != nil {
		return err
	}
	last := ""
	for _, row := range rows {
		r, _, err := format.ReadRow(row, db.dict.Words())
		if err != nil {
			return fmt.Errorf("%w: row %.64q: %w", ErrCorrupt, format.RowID(row), err)
		}
		if last != "" && r.ID <= last {
			return fmt.Errorf("%w: row %.64q is out of order", ErrCorrupt, r.ID)
		}
		last = r.ID
	}
	return nil
}
