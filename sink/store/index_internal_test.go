package store

import (
	"hash/maphash"
	"runtime"
	"testing"
	"unsafe"
)

// What a row takes in an index is what docs/PERFORMANCE.md says of a change of
// rules: 32 bytes where rows are only gone through, and 51 to 73 where they are
// found by their ids, to which the class that a waiver may change adds 4 and the
// place in the journal 8.
func TestARowOfAnIndexTakesFewBytes(t *testing.T) {
	var ix index
	if class, place := unsafe.Sizeof(ix.class[0]), unsafe.Sizeof(ix.loc[0]); class != 4 || place != 8 {
		t.Errorf("a class takes %d bytes and a place in the journal %d", class, place)
	}
	for _, rows := range []int{65_536, 87_381, 114_000, 200_000} {
		for _, bare := range []bool{true, false} {
			ix, least, most := newIndex(maphash.MakeSeed()), 51, 73
			if bare {
				ix.byHash, least, most = nil, 32, 32
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ix.reserve(rows)
			for i := range rows {
				ix.add(uint64(i)*0x9E3779B97F4A7C15, 0, 0, 0, 0)
			}
			runtime.ReadMemStats(&after)
			if took := int(after.TotalAlloc-before.TotalAlloc) / rows; took < least || took > most {
				t.Errorf("%d rows take %d bytes each, not %d to %d (bare: %t)", rows, took, least, most, bare)
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
