package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// spare is what a copy leaves free on the disk, in bytes: commits go on.
const spare = 64 << 20

// syncEvery is how many bytes of a copy are written at most before they are on
// the disk. A file system may have the sync of one file wait for what was
// written to others: without this a commit waited for the whole copy.
const syncEvery = 8 << 20

// syncWriter writes to a file and syncs it every so many bytes.
type syncWriter struct {
	file interface {
		io.Writer
		Sync() error
	}
	every, unsynced int
}

func (w *syncWriter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n, err := w.file.Write(b[:min(len(b), w.every-w.unsynced)])
		written, b = written+n, b[n:]
		if err != nil {
			return written, err
		}
		if w.unsynced += n; w.unsynced == w.every {
			if err := w.file.Sync(); err != nil {
				return written, err
			}
			w.unsynced = 0
		}
	}
	return written, nil
}

// Copy is a consistent copy of the store in a file without a name.
type Copy struct {
	*os.File
	Size int64
}

// Close gives the room of the copy back.
func (c *Copy) Close() error {
	err := c.File.Close()
	if gone := os.Remove(c.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone) // where an open file keeps its name
	}
	return err
}

// Snapshot copies the store as of the last commit, while work goes on. The read
// transaction, which keeps freed pages from being used again, lasts as long as
// the local disk takes; whoever reads the copy may then be as slow as they like.
func (db *DB) Snapshot(ctx context.Context) (*Copy, error) {
	need := db.Size() + spare
	if free, known := room(db.file); known && free < need {
		return nil, fmt.Errorf("copy the store: %w: %d bytes are needed beside it and %d are free", ErrFull, need, free)
	}
	file, err := os.CreateTemp(filepath.Dir(db.o.Path), ".snapshot-*")
	if err != nil {
		return nil, fmt.Errorf("copy the store: %w", err)
	}
	out := &Copy{File: file}
	_ = os.Remove(file.Name()) // nothing is left of it whatever ends this process; Close removes it where that fails
	err = db.Backup(ctx, &syncWriter{file: file, every: syncEvery})
	if err == nil {
		out.Size, err = file.Seek(0, 1)
	}
	if err == nil {
		_, err = file.Seek(0, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy the store: %w", noRoom(err)), out.Close())
	}
	return out, nil
}
