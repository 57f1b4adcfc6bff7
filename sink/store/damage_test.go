package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
)

// filled makes a store with blocks, a journal, history, ended scans and an
// outbox, and returns its path.
func filled(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "store.db")
	db := open(tb, path, newJudge("a", oldOnes))
	r := rand.New(rand.NewPCG(1, 1))
	s := newStream()
	fleet := fleetOf(r, 2000)
	for n := range 3 {
		s.now += 1000
		for i := range fleet {
			if r.IntN(10) == 0 {
				fleet[i].os = fleet[r.IntN(len(fleet))].os
			}
		}
		apply(tb, db, s.put(whole(fmt.Sprint("s", n), hangzhou, s.now-500, fleet...)...))
	}
	apply(tb, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, s.now, machine{id: "i-new", os: "centos 5.8"}, fleet[3])))
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// dense is a filled store without free space.
func dense(tb testing.TB) []byte {
	tb.Helper()
	db := open(tb, filled(tb), newJudge("a", oldOnes))
	path := filepath.Join(tb.TempDir(), "dense.db")
	if err := db.Compact(tb.Context(), path); err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// use reads everything there is and returns the first error.
func use(path string) error { return useWithin(path, 0) }

// useWithin waits so long for whoever else has the file, as long as the store does by
// itself where it is 0.
func useWithin(path string, wait time.Duration) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{Path: path, Classifier: newJudge("a", oldOnes), LockWait: wait})
	if err != nil {
		return err
	}
	defer db.Close()
	db.NoSync()
	if err := db.Check(ctx); err != nil {
		return err
	}
	for _, err := range db.Instances(ctx, store.Filter{Gone: true}) {
		if err != nil {
			return err
		}
	}
	if _, err := db.Find("i-new"); err != nil {
		return err
	}
	if _, err := db.Outbox(0, 1<<20); err != nil {
		return err
	}
	if _, err := db.Scans(100); err != nil {
		return err
	}
	s := stream{id: t0, seq: 1_000_000, now: 1_000_000}
	if _, err := db.Apply(ctx, s.put(whole("s9", hangzhou, 999_000, machine{id: "i-new"})...)); err != nil {
		return err
	}
	return db.Check(ctx)
}

// TestDamageIsFound flips bytes and cuts the file. What is damaged is either
// found or, where it lies in free space, harmless; nothing panics.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	whole := dense(t)
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	found := 0
	path := filepath.Join(t.TempDir(), "store.db")
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 3))
		b := bytes.Clone(whole)
		switch seed % 4 {
		case 0:
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		case 1:
			for range 1 + r.IntN(20) {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
		case 2:
			b = b[:r.IntN(len(b))]
		case 3:
			at := r.IntN(len(b)/4096) * 4096
			clear(b[at : at+4096])
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		err := use(path)
		if err != nil {
			found++
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrNewer) && len(b) > 0 {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		os.Remove(path)
	}
	if found < rounds/3 {
		t.Errorf("only %d of %d damages were found", found, rounds)
	}
	t.Logf("%d of %d damages were found, the others were in free space", found, rounds)
}

// TestFlippedBitInARow makes sure that a bit in a value, which bbolt does not
// notice, is.
func TestFlippedBitInARow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	b := dense(t)
	n := bytes.Count(b, []byte("name of i-bp1"))
	if n == 0 {
		t.Fatal("no name is in the file")
	}
	b[bytes.Index(b, []byte("name of i-bp1"))] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := use(path); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestNotAStore(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "text": "this is no store", "zeros": string(make([]byte, 1<<16))} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := use(path)
			if name != "empty" && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || name != "empty" && string(after) != content {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	for format, want := range map[int]error{99: store.ErrNewer, 3: store.ErrFormat, 2: store.ErrFormat, 1: store.ErrFormat} {
		path := filled(t)
		db := open(t, path, newJudge("a", oldOnes))
		if err := db.SetFormat(format); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		err := use(path)
		if !errors.Is(err, want) {
			t.Errorf("format %d: %v", format, err)
		}
		if errors.Is(want, store.ErrFormat) && !strings.Contains(err.Error(), "scan anew") {
			t.Errorf("format %d: %v does not say what to do", format, err)
		}
	}
}

// TestFullStoreStaysWhole runs into the size limit: the batch is refused as if
// it had never been tried, and goes through once there is room.
func TestFullStoreStaysWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	o := store.Options{Path: path, Classifier: newJudge("a", oldOnes), MaxSize: 1 << 20}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync()
	r := rand.New(rand.NewPCG(1, 1))
	s := newStream()
	var refused []event.Received
	for n := 0; refused == nil && n < 200; n++ {
		s.now += 100
		batch := s.put(page("s1", scanKind, hangzhou, "1.0", "1.0", n, s.now, fleetOf(r, 100)...))
		before := db.Summary()
		if _, err = db.Apply(t.Context(), batch); err != nil {
			refused = batch
			if diff := cmp.Diff(before, db.Summary()); diff != "" {
				t.Error(diff)
			}
		}
	}
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("got %v", err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	had := db.Summary().Instances
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, newJudge("a", oldOnes))
	if got := db.Summary().Instances; got != had {
		t.Errorf("%d instances after reopening, %d before", got, had)
	}
	if got := apply(t, db, refused); got.New != 100 {
		t.Errorf("with room: %+v", got)
	}
}

func TestBackupAndCompact(t *testing.T) {
	path := filled(t)
	db := open(t, path, newJudge("a", oldOnes))
	want := lines(all(t, db, store.Filter{}))
	dir := t.TempDir()
	var b bytes.Buffer
	if err := db.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.db"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context(), filepath.Join(dir, "compact.db")); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context(), filepath.Join(dir, "compact.db")); err == nil {
		t.Error("it overwrote a file")
	}
	for _, name := range []string{"backup.db", "compact.db"} {
		copied := open(t, filepath.Join(dir, name), newJudge("a", oldOnes))
		if diff := cmp.Diff(want, lines(all(t, copied, store.Filter{}))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if copied.Position() != db.Position() {
			t.Errorf("%s is at %v", name, copied.Position())
		}
		if err := copied.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if name == "compact.db" && copied.Size() >= db.Size() {
			t.Errorf("compacting made %d bytes of %d", copied.Size(), db.Size())
		}
	}
}

// TestUnusedProfilesAreForgotten gives every instance an image of its own,
// again and again.
func TestUnusedProfilesAreForgotten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	j := newJudge("a", oldOnes)
	s := newStream()
	var want []string
	for n := range 6 {
		db := open(t, path, j)
		var fleet []machine
		for i := range 300 {
			fleet = append(fleet, machine{id: fmt.Sprintf("i-%04d", i), os: fmt.Sprintf("centos %d.%d", n, i)})
		}
		s.now += 1000
		apply(t, db, s.put(whole(fmt.Sprint("s", n), hangzhou, s.now-500, fleet...)...))
		want = lines(all(t, db, store.Filter{}))
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, path, j)
	if diff := cmp.Diff(want, lines(all(t, db, store.Filter{}))); diff != "" {
		t.Error(diff)
	}
	if n := db.Profiles(); n > 600 {
		t.Errorf("%d profiles are kept for 300 instances", n)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func FuzzJournalEntry(f *testing.F) {
	f.Add([]byte{2, 's', '1', 4, 1, 0, 12, 3, 'i', '-', '1', 0, 0, 1, 1, 1, 1, 2, 2, 0, 1, 2})
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = store.ReadSection(bytes.Clone(b))
	})
}

func FuzzValues(f *testing.F) {
	f.Add([]byte{1, 5, 3, 'i', '-', '1', 0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 's'})
	f.Add([]byte(`{"account":"a","region":"r"}`))
	f.Fuzz(func(_ *testing.T, b []byte) { store.ReadValues(b) })
}
