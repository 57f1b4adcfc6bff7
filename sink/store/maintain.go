package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
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

// BackupFile writes a copy of the store to a new file, checks the store and the
// copy, and gives it its name only then. No commit happens meanwhile.
func (db *DB) BackupFile(ctx context.Context, path string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	err := db.copyTo(ctx, path, func(tmp string) error {
		out, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(db.Backup(ctx, out), out.Sync(), out.Close())
	})
	if err != nil {
		return fmt.Errorf("back up the store: %w", err)
	}
	return nil
}

// CompactInPlace puts a copy of the store without free space in its place, after
// it checked both. Another process never sees anything but one or the other.
// The store is to be closed afterwards; it takes nothing more. Where the store's
// path is a link, it stays one, and the file that it leads to is replaced: left where
// it is, it would look whole and grow old. It returns the size of the new file.
func (db *DB) CompactInPlace(ctx context.Context) (int64, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	path, err := filepath.EvalSymlinks(db.o.Path)
	if err != nil {
		return 0, fmt.Errorf("compact the store: %w; it is as it was", err)
	}
	tmp := path + ".compact"
	if err := db.writeChecked(ctx, tmp, db.writeDense); err != nil {
		return 0, fmt.Errorf("compact the store: %w", err)
	}
	was, err := db.file.Stat()
	if err == nil {
		err = keepOwner(tmp, was)
	}
	if err == nil && !replacesOpenFiles {
		db.closed = true
		err = db.shut()
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("compact the store: %w; it is as it was", err), os.Remove(tmp))
	}
	db.broken = errors.New("the store was replaced by its compacted copy")
	info, err := os.Stat(path)
	if err := errors.Join(err, syncDir(filepath.Dir(path))); err != nil {
		return 0, fmt.Errorf("compact the store: it is compacted, but may come back as it was after a power cut: %w", err)
	}
	return info.Size(), nil
}

// copyTo makes a checked copy under a name that nothing has.
func (db *DB) copyTo(ctx context.Context, dst string, write func(tmp string) error) error {
	if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is already there; name a new file", dst), err)
	}
	tmp := dst + ".part"
	if err := db.writeChecked(ctx, tmp, write); err != nil {
		return err
	}
	if err := giveName(tmp, dst); err != nil {
		return errors.Join(err, removeIfThere(tmp))
	}
	return syncDir(filepath.Dir(dst))
}

// writeChecked writes a copy to tmp and holds both sides against each other:
// the store must be sound, and the copy, which is opened anew, sound and of the
// same content. What is not is removed.
func (db *DB) writeChecked(ctx context.Context, tmp string, write func(tmp string) error) (err error) {
	if db.closed {
		return ErrClosed
	}
	if err := db.check(ctx); err != nil {
		return err
	}
	if err := removeIfThere(tmp); err != nil { // what an earlier run left
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(noRoom(err), removeIfThere(tmp))
		}
	}()
	if err := write(tmp); err != nil {
		return err
	}
	o := db.o
	o.Path, o.ReadOnly = tmp, true
	written, err := Open(ctx, o)
	if err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	defer func() { err = errors.Join(err, written.Close()) }()
	if err := written.Check(ctx); err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	have, err := db.content(ctx)
	if err != nil {
		return err
	}
	got, err := written.content(ctx)
	if err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	if !maps.Equal(have, got) {
		return fmt.Errorf("%w: what was written to %s is not what was read", ErrCorrupt, tmp)
	}
	return nil
}

// writeDense writes a copy without free space.
func (db *DB) writeDense(tmp string) error {
	out, err := bbolt.Open(tmp, 0o600, &bbolt.Options{Timeout: db.o.LockWait, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = db.guard(func() error { return bbolt.Compact(out, db.bolt, 16<<20) })
	// A file has two heads, of its last two commits, and falls back to the older
	// where the newer is damaged: that one must not be of an empty store. Each commit
	// syncs all that was written.
	for range 2 {
		if err == nil {
			err = out.Update(func(*bbolt.Tx) error { return nil })
		}
	}
	return errors.Join(err, out.Close())
}

// content tells what each part of the store holds, by a hash over its keys and
// their values.
func (db *DB) content(ctx context.Context) (map[string]uint64, error) {
	out := map[string]uint64{}
	err := db.view(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			hash := crc64.New(crc64.MakeTable(crc64.ECMA))
			var lengths [16]byte
			for key, value := range entries(bucket, nil) {
				binary.LittleEndian.PutUint64(lengths[:], uint64(len(key)))
				binary.LittleEndian.PutUint64(lengths[8:], uint64(len(value)))
				for _, part := range [][]byte{lengths[:], key, value} {
					_, _ = hash.Write(part)
				}
			}
			out[string(name)] = hash.Sum64()
			return nil
		})
	})
	return out, err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Check reads everything in the store and returns what is wrong with it. The
// pages are checked as they are on disk, so no commit happens meanwhile.
func (db *DB) Check(ctx context.Context) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	return db.check(ctx)
}

func (db *DB) check(ctx context.Context) error {
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
			{bucketOutbox, func(_, v []byte) error { _, err := eventQueue.read(v); return err }},
			{bucketQuestions, func(_, v []byte) error { _, err := questionQueue.read(v); return err }},
			{bucketHistory, checksum},
			{bucketWaived, checksum},
			{bucketScans, checksum},
			{bucketProgress, checksum},
			{bucketScopes, checksum},
			{bucketStrings, checksum},
			{bucketEvidence, func(k, v []byte) error { _, _, err := neededLast(k, v); return err }},
			{bucketEndedIDs, func(_, v []byte) error { _, err := readEnded(tx.Bucket(bucketEnded).Get(v)); return err }},
			{bucketPoints, func(_, v []byte) error { return readPoint(v, &record.ProgressPoint{}) }},
			{bucketParts, func(_, v []byte) error { return readParts(v, &pointParts{}) }},
			{bucketMeta, checksum},
		} {
			for key, value := range entries(tx.Bucket(part.name), nil) {
				if err := part.check(key, value); err != nil {
					return fmt.Errorf("%s %x: %w", part.name, key, err)
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return db.checkIndexes(tx)
	})
	if err != nil {
		return fmt.Errorf("check %s: %w", db.o.Path, err)
	}
	return nil
}

// checkIndexes reads the index of every scope and the facts of each of its instances.
func (db *DB) checkIndexes(tx *bbolt.Tx) error {
	facts := db.profs.now().reader()
	for _, sc := range db.byNo {
		ix := newIndex(db.seed)
		if err := ix.load(tx, sc.no, sc.Rows, nil); err != nil {
			return fmt.Errorf("%s: %w", sc.key, err)
		}
		for i := range ix.at {
			if _, err := facts.facts(tx, ix.at[i].profile); err != nil {
				return fmt.Errorf("%s: %w", sc.key, err)
			}
		}
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
		received, _, err := format.ReadRow(row, db.dict.Words())
		if err != nil {
			return fmt.Errorf("%w: row %.64q: %w", ErrCorrupt, format.RowID(row), err)
		}
		if last != "" && received.ID <= last {
			return fmt.Errorf("%w: row %.64q is out of order", ErrCorrupt, received.ID)
		}
		last = received.ID
	}
	return nil
}
