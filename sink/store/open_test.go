package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

// profiled is the path of a store of n instances, each of a system of its own, where idle
// more of these systems are known that no instance has any more.
func profiled(t *testing.T, n, idle int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	fleet := func(own int) (out []machine) {
		for i := range n + idle {
			out = append(out, machine{id: fmt.Sprintf("i-%04d", i), os: fmt.Sprint("centos 7.", i%own)})
		}
		return out
	}
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 10, fleet(n+idle)...), page("r2", rescanKind, hangzhou, "1.0", "1.0", 0, 20, fleet(n)...)))
	if got := db.Profiles(); got != n+idle {
		t.Fatalf("%d profiles", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whoever opens a store that is there, and closes it again, has not written to it.
func TestOpeningAStoreWritesNothing(t *testing.T) {
	path := profiled(t, 300, 10)
	before := mustRead(t, path)
	db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes)})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, mustRead(t, path)) {
		t.Error("the file is another one")
	}
}

// What no instance has any more is forgotten at the next start, systems and their
// combinations with machines alike, where it is much: 256 and a quarter of all. Where it is
// less, a start writes nothing for it.
func TestWhatNoInstanceHasIsForgottenWhereItIsMuch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		has, idle int
		forgotten bool
	}{{10, 255, false}, {10, 256, true}, {768, 256, true}, {772, 256, false}} {
		path := profiled(t, c.has, c.idle)
		db := open(t, path, newJudge("a", oldOnes))
		want := c.has + c.idle
		if c.forgotten {
			want = c.has
		}
		if got := db.Profiles(); got != want {
			t.Errorf("%d and %d idle: %d profiles, want %d", c.has, c.idle, got, want)
		}
		db = kept(t, db, path)
		// Who has it again is judged as before.
		s := &stream{id: t0, seq: 1_000_000, now: 100}
		apply(t, db, s.put(page("r3", rescanKind, hangzhou, "1.0", "1.0", 0, 30, machine{id: "i-0001", os: fmt.Sprint("centos 7.", c.has+c.idle-1)})))
		if got := kept(t, db, path); idsOf(t, got)[1] != "i-0001" {
			t.Error("the instance is not there")
		}
	}
}

// Of systems that are forgotten the parts are, too.
func TestForgottenSystemsAreNotInTheFile(t *testing.T) {
	for idle, want := range map[int]int{255: 265, 256: 10} {
		path := profiled(t, 10, idle)
		if err := open(t, path, newJudge("a", oldOnes)).Close(); err != nil {
			t.Fatal(err)
		}
		changed(t, mustRead(t, path), func(tx *bbolt.Tx) {
			if got := tx.Bucket([]byte("software")).Stats().KeyN; got != want {
				t.Errorf("10 and %d idle: %d systems, want %d", idle, got, want)
			}
		})
	}
}

// A file in which nothing was ever stored is told as what it is by who may only read it,
// and is made a store by who may write.
func TestAnEmptyFileIsNoStoreToRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	file, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	o := store.Options{Path: path, Classifier: newJudge("a", oldOnes), ReadOnly: true}
	if db, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("%v, %v", db, err)
	}
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1"})...))
	if n := db.Summary().Instances; n != 1 {
		t.Errorf("%d instances", n)
	}
}

// Several processes that start at once, where there is no store yet, make one: none of them
// replaces what another one has written.
func TestProcessesThatStartAtOnceMakeOneStore(t *testing.T) {
	const processes = 4
	for range 5 {
		path := filepath.Join(t.TempDir(), "new", "store.db")
		var all sync.WaitGroup
		for n := range processes {
			all.Go(func() {
				db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes), LockWait: time.Minute})
				if err != nil {
					t.Error(err)
					return
				}
				db.NoSync()
				s := newStream()
				s.seq = db.Position().Seq
				_, err = db.Apply(t.Context(), s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", n, 10, machine{id: fmt.Sprint("i-", n)})))
				if err := errors.Join(err, db.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := idsOf(t, open(t, path, newJudge("a", oldOnes))); len(got) != processes {
			t.Errorf("of %d instances there are %v", processes, got)
		}
		onlyFile(t, path)
	}
}

// A file that is damaged or cut while it is open is told as damaged by whoever reads it or
// writes to it. Nothing panics.
func TestWhatIsDamagedWhileItIsOpenIsTold(t *testing.T) {
	for name, damage := range map[string]func(file *os.File, size int64) error{
		"cut": func(file *os.File, _ int64) error { return file.Truncate(8192) },
		"zeroed": func(file *os.File, size int64) error {
			_, err := file.WriteAt(make([]byte, size-8192), 8192)
			return err
		},
		"overwritten": func(file *os.File, size int64) error {
			_, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, int(size-8192)), 8192)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			if err := os.WriteFile(path, joined(t), 0o600); err != nil {
				t.Fatal(err)
			}
			db := open(t, path, newJudge("a", oldOnes))
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(damage(file, db.Size()), file.Close()); err != nil {
				t.Fatal(err)
			}
			s := &stream{id: t0, seq: 1_000_000, now: 1_000_000}
			var listed error
			for _, err := range db.Instances(t.Context(), store.Filter{}) {
				listed = errors.Join(listed, err)
			}
			_, found := db.Find("i-1")
			_, outbox := db.Outbox(0, 10)
			_, applied := db.Apply(t.Context(), s.put(whole("s9", hangzhou, 999_000, machine{id: "i-9"})...))
			for what, err := range map[string]error{"listing": listed, "finding": found, "the outbox": outbox, "applying": applied, "a check": db.Check(t.Context())} {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := db.Apply(t.Context(), s.put(whole("s9", hangzhou, 999_000, machine{id: "i-9"})...)); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("applying once more: %v", err)
			}
			if err := db.Close(); err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("closing: %v", err)
			}
		})
	}
}

// What finds no room is as if it had never been tried, and the same process goes on: with what
// fits at once, and with what did not fit once there is room.
func TestAStoreThatWasFullGoesOn(t *testing.T) {
	t.Parallel()
	db := freshWith(t, store.Options{MaxSize: 1 << 19})
	s := newStream()
	s.now = 50
	var fleet []machine
	for i := range 20_000 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%05d-of-a-fleet-that-does-not-fit", i), os: "debian 12"})
	}
	tooMuch := s.put(planned("s1", scanKind, 10, hangzhou), page("s1", scanKind, hangzhou, "1.0", "1.0", 0, 11, fleet...))
	for range 2 {
		if _, err := db.Apply(t.Context(), tooMuch); !errors.Is(err, store.ErrFull) {
			t.Fatalf("got %v", err)
		}
		if sum := db.Summary(); sum.Instances != 0 || len(sum.Scopes) != 0 {
			t.Errorf("of what did not fit there are %d instances", sum.Instances)
		}
	}
	fits := []event.Message{planned("s2", scanKind, 10, hangzhou), page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 11, fleet[:10]...)}
	if got := apply(t, db, s.put(fits...)); got.New != 10 {
		t.Errorf("%+v", got)
	}
	checked(t, db)
}

// A store that is only read is not tidied up: that it holds much that no instance needs any
// more is in nobody's way.
func TestAReaderLeavesWhatIsNotNeededAnyMore(t *testing.T) {
	path := profiled(t, 300, 300)
	reader, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := reader.Profiles(); n != 600 || len(idsOf(t, reader)) != 600 {
		t.Errorf("%d profiles", n)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if n := open(t, path, newJudge("a", oldOnes)).Profiles(); n != 300 {
		t.Errorf("who may write leaves %d profiles", n)
	}
}
