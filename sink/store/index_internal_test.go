package store

import (
	"encoding/binary"
	"hash/maphash"
	"testing"
	"unsafe"
)

// What a row takes in an index is what docs/PERFORMANCE.md says of a change of
// rules: 32 bytes where rows are only gone through, and 44 to 56 where they are
// found by their ids, to which the class that a waiver may change adds 4 and the
// place in the journal 8.
func TestARowOfAnIndexTakesFewBytes(t *testing.T) {
	var ix index
	if class, place := unsafe.Sizeof(ix.class[0]), unsafe.Sizeof(ix.loc[0]); class != 4 || place != 8 {
		t.Errorf("a class takes %d bytes and a place in the journal %d", class, place)
	}
	for _, rows := range []int{65_536, 87_381, 87_382, 100_000, 200_000} {
		for _, bare := range []bool{true, false} {
			ix := newIndex(maphash.MakeSeed())
			ix.bare = bare
			ix.at = make([]entry, 0, rows) // as load reserves it
			ix.grow(rows)
			for i := range rows {
				var id [8]byte
				binary.LittleEndian.PutUint64(id[:], uint64(i))
				ix.add(maphash.Bytes(ix.seed, id[:]), 0, 0, 0, 0)
			}
			least, most := 44, 56
			if bare {
				least, most = 32, 32
			}
			took := cap(ix.at)*int(unsafe.Sizeof(entry{})) + len(ix.slots)*int(unsafe.Sizeof(uint64(0)))
			if took < least*rows || took > most*rows {
				t.Errorf("%d rows take %d bytes each, not %d to %d (bare: %t)", rows, took/rows, least, most, bare)
			}
		}
	}
}

// A journal is merged into the blocks when it is long in rows or in bytes, each by what
// the blocks hold already.
func TestAJournalIsLongByWhatIsInBlocks(t *testing.T) {
	for _, c := range []struct {
		rows, bytes, base int
		want              bool
	}{
		{262_144, 64 << 20, 0, false},
		{262_145, 0, 0, true},
		{0, 64<<20 + 1, 0, true},
		{262_144 + 2000, 64<<20 + 300_000, 1000, false},
		{262_144 + 2001, 0, 1000, true},
		{0, 64<<20 + 300_001, 1000, true},
	} {
		if got := (&index{rows: c.rows, bytes: c.bytes, base: c.base}).long(); got != c.want {
			t.Errorf("%d rows of %d bytes beside %d in blocks are long: %t", c.rows, c.bytes, c.base, got)
		}
	}
}
