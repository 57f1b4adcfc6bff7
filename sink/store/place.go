package store

import (
	"fmt"
	"os"
)

// InPlace reports whether the file at the store's path is still the one that is
// open. Where it was deleted, moved or replaced, commits go on into a file that
// nobody will find again.
func (db *DB) InPlace() error {
	there, err := os.Stat(db.o.Path)
	if err != nil {
		return fmt.Errorf("the store's file is gone: %w; stop this process: the store is built again from the results stream at the next start", err)
	}
	open, err := db.file.Stat()
	if err != nil {
		return fmt.Errorf("the store's open file: %w", err)
	}
	if !os.SameFile(there, open) {
		return fmt.Errorf("the file at %s is not the one that this process has open: somebody replaced it; restart this process", db.o.Path)
	}
	return nil
}
