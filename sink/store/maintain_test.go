package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/store"
)

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onlyFile fails where the folder of path holds anything else.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// TestWhatIsDamagedIsNotCopied damages a value that opening does not read.
func TestWhatIsDamagedIsNotCopied(t *testing.T) {
	t.Parallel()
	path := filled(t)
	b := mustRead(t, path)
	at := bytes.Index(b, []byte(`"cause":"`))
	if at < 0 {
		t.Fatal("no history is in the file")
	}
	for ; at >= 0; at = bytes.Index(b, []byte(`"cause":"`)) {
		b[at+1] ^= 1
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, newJudge("a", oldOnes))
	copied := filepath.Join(t.TempDir(), "copy.db")
	for name, err := range map[string]error{"backup": db.BackupFile(t.Context(), copied), "compact": db.Compact(t.Context(), copied)} {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := db.CompactInPlace(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("compact in place: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(copied); err == nil {
		t.Error("there is a copy")
	}
	onlyFile(t, path)
}

func TestACopyThatLacksSomethingIsNone(t *testing.T) {
	path := filled(t)
	db := open(t, path, newJudge("a", oldOnes))
	dst := filepath.Join(t.TempDir(), "copy.db")
	if err := db.CopyDropping(t.Context(), dst); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dst)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Whoever makes a file while a copy of that name is being written keeps it.
func TestACopyReplacesNothing(t *testing.T) {
	db := fresh(t)
	dst := filepath.Join(t.TempDir(), "copy.db")
	if err := db.CopyBeside(t.Context(), dst, "theirs"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if got := string(mustRead(t, dst)); got != "theirs" {
		t.Errorf("of theirs became %.20q", got)
	}
	onlyFile(t, dst)
}

// A copy has two heads, as every file of the store: where the newer one is damaged the
// other one is of the same content, and not of an empty store.
func TestACopyOutlivesTheLossOfAHead(t *testing.T) {
	whole := joined(t)
	want := lines(all(t, open(t, changed(t, whole, func(*bbolt.Tx) {}), newJudge("a", oldOnes)), store.Filter{}))
	for head := range 2 {
		b := bytes.Clone(whole)
		clear(b[4096*head : 4096*(head+1)])
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines(all(t, open(t, path, newJudge("a", oldOnes)), store.Filter{}))); diff != "" {
			t.Errorf("without head %d: %s", head, diff)
		}
	}
}

// A store that is reached by a link is compacted where it lies: the link leads to the
// new file, and nothing is left of the old one.
func TestALinkToAStoreStaysOne(t *testing.T) {
	t.Parallel()
	path := filled(t)
	link := filepath.Join(t.TempDir(), "store.db")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no links here:", err)
	}
	db := open(t, link, newJudge("a", oldOnes))
	size, err := db.CompactInPlace(t.Context())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Errorf("the file behind it: %v, %v, want %d bytes", info, err, size)
	}
	onlyFile(t, path)
}

func TestCompactInPlace(t *testing.T) {
	t.Parallel()
	path := filled(t)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".compact", []byte("what a killed run left"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, newJudge("a", oldOnes))
	want := lines(all(t, db, store.Filter{}))
	before := db.Size()
	// Somebody waits for the lock meanwhile: what they write must not go to the
	// file that was replaced.
	type opened struct {
		db  *store.DB
		err error
	}
	waiting := make(chan opened, 1)
	go func() {
		next, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes), LockWait: time.Minute})
		waiting <- opened{next, err}
	}()
	size, err := db.CompactInPlace(t.Context())
	if err != nil || size >= before {
		t.Errorf("%d bytes of %d, %v", size, before, err)
	}
	s := stream{id: t0, seq: 1_000_000, now: 1_000_000}
	if _, err := db.Apply(t.Context(), s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, s.now, machine{id: "i-lost"}))); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Errorf("the file that was replaced took something: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	got := <-waiting
	if got.err != nil {
		t.Fatal(got.err)
	}
	defer got.db.Close()
	if diff := cmp.Diff(want, lines(all(t, got.db, store.Filter{}))); diff != "" {
		t.Error(diff)
	}
	apply(t, got.db, s.put(page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, s.now, machine{id: "i-later", os: "debian 7"})))
	if err := got.db.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	db = open(t, path, newJudge("a", oldOnes))
	if found, err := db.Find("i-later"); err != nil || len(found) != 1 {
		t.Errorf("what was written while the file was replaced: %v, %v", found, err)
	}
	onlyFile(t, path)
}

func TestBackupFile(t *testing.T) {
	db := open(t, filled(t), newJudge("a", oldOnes))
	dst := filepath.Join(t.TempDir(), "copy.db")
	if err := db.BackupFile(t.Context(), dst); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dst)
	if info, err := os.Stat(dst); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if diff := cmp.Diff(lines(all(t, db, store.Filter{})), lines(all(t, open(t, dst, newJudge("a", oldOnes)), store.Filter{}))); diff != "" {
		t.Error(diff)
	}
	if err := db.BackupFile(t.Context(), dst); err == nil {
		t.Error("it overwrote a file")
	}
}

// TestWhatIsWrittenToIsInUseAndNotDamaged looks at a file in the middle of a
// commit of another process.
func TestWhatIsWrittenToIsInUseAndNotDamaged(t *testing.T) {
	t.Parallel()
	path := filled(t)
	db := open(t, path, newJudge("a", oldOnes))
	defer db.Close()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 8192), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := useWithin(path, 50*time.Millisecond); !errors.Is(err, store.ErrLocked) || errors.Is(err, store.ErrCorrupt) {
			t.Error(err)
		}
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	path := filled(t)
	before := mustRead(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(path)
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	o := store.Options{Path: path, Classifier: newJudge("b", nil), ReadOnly: true}
	var dbs []*store.DB
	for range 2 { // readers are not in each other's way
		db, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		dbs = append(dbs, db)
	}
	if len(all(t, dbs[0], store.Filter{})) == 0 {
		t.Error("it lists nothing")
	}
	if err := dbs[1].Check(t.Context()); err != nil {
		t.Error(err)
	}
	s := stream{id: t0, seq: 1_000_000, now: 1_000_000}
	if _, err := dbs[0].Apply(t.Context(), s.put(page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, s.now, machine{id: "i-later"}))); err == nil {
		t.Error("it took something")
	}
	if _, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes), LockWait: 50 * time.Millisecond}); err == nil {
		t.Error("a writer came in beside readers")
	}
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the file was changed")
	}
	missing := filepath.Join(t.TempDir(), "none", "store.db")
	if _, err := store.Open(t.Context(), store.Options{Path: missing, Classifier: newJudge("a", oldOnes), ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Dir(missing)); err == nil {
		t.Error("a folder was made")
	}
}
