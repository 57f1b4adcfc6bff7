package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shenscan/shenscan/sink/store"
)

// opened counts how often this process has the file at the path open.
func opened(t *testing.T, path string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this kernel does not tell which files are open")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == path {
			n++
		}
	}
	return n
}

// Who waits for the lock of a file that is replaced, or moved away, meanwhile does not
// go on with that file, in which nobody would find again what is written: it is the
// one that has the name now that is opened, and an error where there is none.
func TestAFileThatIsReplacedWhileItsLockIsWaitedFor(t *testing.T) {
	small := joined(t)
	for name, replace := range map[string]func(path string) error{
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", small, 0o600), os.Rename(path+".new", path))
		},
		"moved away": func(path string) error { return os.Rename(path, path+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			if err := open(t, path, newJudge("a", oldOnes)).Close(); err != nil {
				t.Fatal(err)
			}
			o := store.Options{Path: path, Classifier: newJudge("a", oldOnes), LockWait: time.Minute}
			reading := o
			reading.ReadOnly = true
			reader, err := store.Open(t.Context(), reading) // holds the lock that a writer waits for
			if err != nil {
				t.Fatal(err)
			}
			type opening struct {
				db  *store.DB
				err error
			}
			done := make(chan opening, 1)
			go func() {
				db, err := store.Open(t.Context(), o)
				done <- opening{db, err}
			}()
			deadline := time.Now().Add(time.Minute)
			for waits := 0; waits < 20; time.Sleep(time.Millisecond) { // bbolt has it open while it waits
				if waits++; opened(t, path) < 2 {
					waits = 0
				}
				if time.Now().After(deadline) {
					t.Fatal("nobody waits for the lock")
				}
			}
			if err := errors.Join(replace(path), reader.Close()); err != nil {
				t.Fatal(err)
			}
			got := <-done
			if name == "moved away" {
				if !errors.Is(got.err, fs.ErrNotExist) {
					t.Errorf("got %v", got.err)
				}
				return
			}
			if got.err != nil {
				t.Fatal(got.err)
			}
			if err := errors.Join(got.db.InPlace(), got.db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
