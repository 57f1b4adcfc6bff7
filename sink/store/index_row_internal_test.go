package store

import (
	"errors"
	"hash/maphash"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/store/format"
)

// A row that the file does not have any more, or never had, is told as damage.
func TestARowThatIsNotInTheFileIsDamage(t *testing.T) {
	file, err := bbolt.Open(filepath.Join(t.TempDir(), "store.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ix := newIndex(maphash.MakeSeed())
	ix.base, ix.starts, ix.blocks = 2, []uint32{0}, [][]byte{[]byte("block")}
	err = file.Update(func(tx *bbolt.Tx) error {
		blocks, err := tx.CreateBucket(bucketBlocks)
		if err != nil {
			return err
		}
		if err := blocks.Put(ix.blocks[0], format.AppendBlock(nil, [][]byte{[]byte("row")})); err != nil {
			return err
		}
		if row, err := ix.row(tx, 1, 0); err != nil || string(row) != "row" {
			t.Errorf("%q, %v", row, err)
		}
		for ordinal, why := range map[uint32]string{1: "shorter than its index", 2: "in no block and no journal"} {
			if row, err := ix.row(tx, 1, ordinal); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), why) {
				t.Errorf("row %d: %q, %v", ordinal, row, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
