package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// Resident is how many KiB of a mapped file count as memory of this process.
func Resident(t *testing.T, path string) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this kernel does not tell how much of a mapping is in memory")
	}
	if err != nil {
		t.Fatal(err)
	}
	_, mapping, found := strings.Cut(string(maps), path)
	if !found {
		t.Fatalf("%s is not mapped", path)
	}
	rss := regexp.MustCompile(`Rss: +(\d+) kB`).FindStringSubmatch(mapping)
	if rss == nil {
		t.Skip("this kernel does not tell what is resident")
	}
	kib, err := strconv.Atoi(rss[1])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

func TestWhatWasReadIsUnmappedAndCanBeReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if err := db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucket(bucketBlocks)
		if err != nil {
			return err
		}
		return bucket.Put([]byte("k"), want)
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bbolt.Tx) error {
		value := tx.Bucket(bucketBlocks).Get([]byte("k"))
		if !bytes.Equal(value, want) {
			t.Error("another value than was stored")
		}
		if kib := Resident(t, path); kib < len(want)>>10 {
			t.Errorf("%d KiB are mapped after %d were read", kib, len(want)>>10)
		}
		unmapRead(tx)
		if kib := Resident(t, path); kib > len(want)>>12 {
			t.Errorf("%d KiB are still mapped", kib)
		}
		if !bytes.Equal(value, want) {
			t.Error("another value once it was unmapped")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
