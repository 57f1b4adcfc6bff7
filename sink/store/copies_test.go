package store_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/sink/store"
)

// A snapshot is read from its first byte, is as long as it says, and is a store with
// all that was committed; nothing of it stays in the folder.
func TestASnapshotIsAWholeStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2"})...))
	copied, err := db.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 20, machine{id: "i-3"}))) // is not in it
	b, err := io.ReadAll(copied)
	if err := errors.Join(err, copied.Close()); err != nil || int64(len(b)) != copied.Size {
		t.Fatalf("%d bytes of %d, %v", len(b), copied.Size, err)
	}
	onlyFile(t, path)
	there := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(there, b, 0o600); err != nil {
		t.Fatal(err)
	}
	other := open(t, there, newJudge("a", oldOnes))
	checked(t, other)
	if diff := cmp.Diff([]string{"i-1", "i-2"}, idsOf(t, other)); diff != "" {
		t.Error(diff)
	}
}

// A snapshot that cannot be made is told as that, and leaves nothing: the caller went
// away, the folder is gone, or the disk has less room than commits need beside it.
func TestASnapshotThatCannotBeMadeLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "store.db")
	db := open(t, path, newJudge("a", oldOnes))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if copied, err := db.Snapshot(gone); copied != nil || err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("for nobody: %v, %v", copied, err)
	}
	onlyFile(t, path)
	// The copy itself would fit, and commits would not any more.
	if copied, err := db.SnapshotBesideLittle(t.Context()); copied != nil || !errors.Is(err, store.ErrFull) {
		t.Errorf("beside little room: %v, %v", copied, err)
	}
	onlyFile(t, path)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if copied, err := db.Snapshot(t.Context()); copied != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its folder: %v, %v", copied, err)
	}
}
