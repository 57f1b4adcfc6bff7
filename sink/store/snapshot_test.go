package store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/shenscan/shenscan/sink/store"
)

// disk is a file of which it is counted how much is not yet synced.
type disk struct {
	bytes.Buffer
	unsynced, most, syncs int
	full                  int // syncs that succeed; 0: all
}

var errDisk = errors.New("the disk is gone")

func (d *disk) Write(b []byte) (int, error) {
	d.unsynced += len(b)
	d.most = max(d.most, d.unsynced)
	return d.Buffer.Write(b)
}

func (d *disk) Sync() error {
	d.unsynced = 0
	if d.syncs++; d.syncs == d.full {
		return errDisk
	}
	return nil
}

// A commit may have to wait for what a copy has written and not synced: that is
// bounded, whatever the sizes in which it is written.
func TestACopyIsSyncedBitByBit(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 1000)
	for _, size := range []int{1, 7, 100, 101, 250, len(want)} {
		d := &disk{}
		w := store.Synced(d, 100)
		for from := 0; from < len(want); from += size {
			part := want[from:min(from+size, len(want))]
			if n, err := w.Write(part); n != len(part) || err != nil {
				t.Fatalf("%d of %d bytes, %v", n, len(part), err)
			}
		}
		if !bytes.Equal(d.Bytes(), want) || d.most != 100 || d.syncs != 100 {
			t.Errorf("in parts of %d: %d bytes, at most %d not synced, %d syncs", size, d.Len(), d.most, d.syncs)
		}
	}
	if _, err := store.Synced(&disk{full: 2}, 100).Write(want); !errors.Is(err, errDisk) {
		t.Errorf("a disk that fails: %v", err)
	}
}
