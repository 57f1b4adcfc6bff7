package store_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/shenscan/shenscan/sink/store"
)

// A disk without room, one where this user has none left and the limit of the file are
// all told as ErrFull, with what to do; what is none of these stays what it is.
func TestEveryLackOfRoomIsTold(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT, berrors.ErrMaxSizeReached} {
		if got := store.NoRoom(fmt.Errorf("write: %w", err)); !errors.Is(got, store.ErrFull) || !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	for _, err := range []error{nil, os.ErrPermission, syscall.EIO} {
		if got := store.NoRoom(err); !errors.Is(got, err) || errors.Is(got, store.ErrFull) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// How large the file may get is what the disk has left beside it, or the limit where
// that is less.
func TestTheLimitOfTheFileIsTheSmallerOne(t *testing.T) {
	for _, c := range []struct {
		most   int64
		byDisk bool
	}{{0, true}, {1 << 62, true}, {8 << 20, false}} {
		db := freshWith(t, store.Options{MaxSize: c.most})
		got := db.Stats()
		if got.Size <= 0 || got.SizeLimit <= got.Size {
			t.Fatalf("a limit of %d: %d bytes of %d", c.most, got.Size, got.SizeLimit)
		}
		if byDisk := got.SizeLimit != c.most; byDisk != c.byDisk {
			t.Errorf("a limit of %d: %d", c.most, got.SizeLimit)
		}
	}
}
