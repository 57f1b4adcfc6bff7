package store

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/store/format"
)

// index holds in memory, for every row of one scope, what is needed to decide
// whether an observation is new, known or stale, so that a page is applied without
// reading rows from the file. A row is known by its ordinal: rows in blocks are
// numbered in the order of their ids, rows that are only in the journal follow in
// the order in which they came.
type index struct {
	seed    maphash.Seed
	bare    bool     // it finds no row by its id and has no slots
	at      []entry  // by ordinal
	class   []uint32 // by ordinal; nil unless waivers give some instances another class than their profile's
	loc     []loc    // by ordinal: where in the journal the row stands; nil while all rows are as their blocks have them
	slots   []uint64 // hash table, open addressing: upper half of the id's hash, and ordinal+1
	names   []string // scan ids
	byName  map[string]uint32
	base    int      // rows that are in blocks
	starts  []uint32 // ordinal of each block's first row
	blocks  [][]byte // keys of the blocks
	journal []uint64 // numbers of the journal entries
	bytes   int      // of the journal
	rows    int      // full rows in the journal
	used    uint64   // the batch that last used the index; evict drops those unused for longest
	newest  int64    // the largest order of any row
}

// entry is one row of an index. Its fields stand together so that looking at a row
// costs one access to memory, which is most of the cost of applying a known row.
type entry struct {
	hash    uint64 // of the id
	content uint64 // of the row
	order   int64
	profile uint32
	scan    uint32 // place in names
}

// loc is a row's place in the journal; the zero value means its block.
type loc struct {
	entry uint32 // place in index.journal, plus one
	off   uint32
}

// long says whether the journal is so long that it is merged into the blocks before the
// scan ends: it is read into memory whole, and by every reader again.
func (ix *index) long() bool {
	return ix.rows > 262144+2*ix.base || ix.bytes > 64<<20+300*ix.base
}

func newIndex(seed maphash.Seed) *index {
	return &index{seed: seed, byName: map[string]uint32{}}
}

func (ix *index) len() int { return len(ix.at) }

func (ix *index) grow(n int) {
	if ix.bare {
		return
	}
	size := max(64, len(ix.slots))
	for size*2 < n*3 {
		size *= 2
	}
	if size == len(ix.slots) {
		return
	}
	ix.slots = make([]uint64, size)
	for i := range ix.at {
		ix.place(ix.at[i].hash, uint32(i))
	}
}

func (ix *index) place(hash uint64, ordinal uint32) {
	if ix.bare {
		return
	}
	mask := uint64(len(ix.slots) - 1)
	at := hash & mask
	for ix.slots[at] != 0 {
		at = (at + 1) & mask
	}
	ix.slots[at] = hash&^0xffffffff | uint64(ordinal) + 1
}

func (ix *index) find(hash uint64) (uint32, bool) {
	if len(ix.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(ix.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := ix.slots[at]
		if s == 0 {
			return 0, false
		}
		if s>>32 == hash>>32 {
			if i := uint32(s) - 1; ix.at[i].hash == hash {
				return i, true
			}
		}
	}
}

// add appends a row that is not in the index.
func (ix *index) add(hash, content uint64, order int64, profile, scan uint32) uint32 {
	ordinal := uint32(len(ix.at))
	ix.newest = max(ix.newest, order)
	ix.grow(len(ix.at) + 1)
	if len(ix.at) == cap(ix.at) { // append grows large slices by a quarter, which would copy millions of rows several times
		ix.at = slices.Grow(ix.at, max(256, len(ix.at)))
	}
	ix.at = append(ix.at, entry{hash, content, order, profile, scan})
	if ix.loc != nil {
		ix.loc = append(ix.loc, loc{})
	}
	ix.place(hash, ordinal)
	return ordinal
}

func (ix *index) setLoc(ordinal uint32, l loc) {
	if ix.loc == nil {
		ix.loc = make([]loc, len(ix.at), cap(ix.at))
	}
	ix.loc[ordinal] = l
}

func (ix *index) where(ordinal uint32) loc {
	if ix.loc == nil {
		return loc{}
	}
	return ix.loc[ordinal]
}

func (ix *index) name(scan string) uint32 {
	if n, ok := ix.byName[scan]; ok {
		return n
	}
	n := uint32(len(ix.names))
	ix.names = append(ix.names, scan)
	ix.byName[scan] = n
	return n
}

// hashes returns the two hashes of an encoded row.
func (ix *index) hashes(row []byte) (id, content uint64) {
	return maphash.Bytes(ix.seed, format.RowID(row)), maphash.Bytes(ix.seed, row)
}

// mostReserved bounds the rows for which memory is taken before they are read:
// how many there are comes from the file.
const mostReserved = 4 << 20

// load fills the index from the scope's blocks, which hold the given number of
// rows, and from its journal. It calls seen, unless that is nil, with every row that
// a journal entry names and the scan that observed it.
func (ix *index) load(tx *bbolt.Tx, scope uint32, rows int, seen func(scan string, ordinal uint32)) error {
	if n := min(rows, mostReserved); n > 0 { // an index that grows by doubling leaves twice itself behind
		ix.at = make([]entry, 0, n)
		ix.grow(n)
	}
	if err := ix.loadBlocks(tx, scope); err != nil {
		return err
	}
	if ix.base != rows {
		return fmt.Errorf("%w: its blocks hold %d rows, of %d that were written", ErrCorrupt, ix.base, rows)
	}
	return ix.loadJournal(tx, scope, seen)
}

func (ix *index) loadBlocks(tx *bbolt.Tx, scope uint32) error {
	prefix := format.Key32(scope)
	var rows [][]byte
	names := make([]uint32, 0, 4)
	for key, v := range entries(tx.Bucket(bucketBlocks), prefix) {
		var orders format.Orders
		var err error
		if rows, orders, err = readBlock(tx, key, v, rows); err != nil {
			return err
		}
		if len(rows) == 0 || !bytes.Equal(format.RowID(rows[0]), key[4:]) {
			return fmt.Errorf("block %x: %w: it does not begin with the row that it is named after", key, ErrCorrupt)
		}
		names = names[:0]
		for _, s := range orders.Scans {
			names = append(names, ix.name(s))
		}
		ix.blocks = append(ix.blocks, append([]byte(nil), key...))
		ix.starts = append(ix.starts, uint32(len(ix.at)))
		ix.grow(len(ix.at) + len(rows))
		for i, row := range rows {
			profile, ok := format.RowProfile(row)
			if !ok {
				return fmt.Errorf("block %x: %w: row has another shape", key, ErrCorrupt)
			}
			h, c := ix.hashes(row)
			ix.add(h, c, orders.At(i), profile, names[orders.Scan(i)])
		}
	}
	ix.base = len(ix.at)
	return nil
}

// readBlock reads the block with a key, in the memory of rows, and when each of its
// rows was observed.
func readBlock(tx *bbolt.Tx, key, value []byte, rows [][]byte) ([][]byte, format.Orders, error) {
	rows, err := format.BlockRows(value, rows[:0])
	if err != nil {
		return nil, format.Orders{}, fmt.Errorf("block %x: %w", key, err)
	}
	orders, err := format.ReadOrders(tx.Bucket(bucketOrders).Get(key))
	if err != nil || orders.Len != len(rows) {
		return nil, orders, fmt.Errorf("orders %x: %w", key, format.OrCorrupt(err, "orders do not fit their block"))
	}
	return rows, orders, nil
}

func (ix *index) loadJournal(tx *bbolt.Tx, scope uint32, seen func(string, uint32)) error {
	var section format.Section
	for key, value := range entries(tx.Bucket(bucketJournal), format.Key32(scope)) {
		if err := format.ReadSection(value, &section); err != nil {
			return fmt.Errorf("journal %x: %w", key, err)
		}
		number, err := format.JournalNumber(key)
		if err != nil {
			return err
		}
		ix.journal = append(ix.journal, number)
		ix.bytes += len(value)
		ix.rows += len(section.Rows)
		name := ix.name(section.Scan)
		for i, row := range section.Rows {
			profile, ok := format.RowProfile(row)
			if !ok {
				return fmt.Errorf("journal %x: %w: row has another shape", key, ErrCorrupt)
			}
			h, c := ix.hashes(row)
			ord := section.Ordinals[i]
			switch {
			case int(ord) < len(ix.at) && ix.at[ord].hash == h:
				ix.set(ord, c, section.Order, profile, name)
			case int(ord) == len(ix.at):
				ix.add(h, c, section.Order, profile, name)
			default:
				return fmt.Errorf("journal %x: %w: row %d is another instance", key, ErrCorrupt, ord)
			}
			ix.setLoc(ord, loc{uint32(len(ix.journal)), section.Offsets[i]})
			if seen != nil {
				seen(section.Scan, ord)
			}
		}
		for _, ord := range section.Seen {
			if int(ord) >= len(ix.at) {
				return fmt.Errorf("journal %x: %w: no row %d", key, ErrCorrupt, ord)
			}
			ix.saw(ord, section.Order, name)
			if seen != nil {
				seen(section.Scan, ord)
			}
		}
	}
	return nil
}

// saw notes that a scan observed the row as it is known. The time of observation
// only moves forward. Where two scans observed the row at the same time, the one
// with the larger id counts, so that the result does not depend on which message
// came first.
func (ix *index) saw(ordinal uint32, order int64, scan uint32) {
	e := &ix.at[ordinal]
	if order > e.order || order == e.order && ix.names[scan] > ix.names[e.scan] {
		e.order, e.scan = order, scan
		ix.newest = max(ix.newest, order)
	}
}

// set replaces what the index knows of a row.
func (ix *index) set(ordinal uint32, content uint64, order int64, profile, scan uint32) {
	ix.saw(ordinal, order, scan)
	ix.at[ordinal].content, ix.at[ordinal].profile = content, profile
}

// row returns the encoded row; it is valid as long as the transaction.
func (ix *index) row(tx *bbolt.Tx, scope, ordinal uint32) ([]byte, error) {
	if loc := ix.where(ordinal); loc.entry != 0 {
		value := tx.Bucket(bucketJournal).Get(format.JournalKey(scope, ix.journal[loc.entry-1]))
		if value == nil {
			return nil, fmt.Errorf("%w: a journal entry is missing", ErrCorrupt)
		}
		return format.RowAt(value, loc.off)
	}
	if int(ordinal) >= ix.base {
		return nil, fmt.Errorf("%w: row %d is in no block and no journal", ErrCorrupt, ordinal)
	}
	at, begins := slices.BinarySearch(ix.starts, ordinal)
	if !begins {
		at--
	}
	rows, err := format.BlockRows(tx.Bucket(bucketBlocks).Get(ix.blocks[at]), nil)
	if err != nil {
		return nil, err
	}
	if i := int(ordinal - ix.starts[at]); i < len(rows) {
		return rows[i], nil
	}
	return nil, fmt.Errorf("%w: a block is shorter than its index", ErrCorrupt)
}

func (ix *index) findID(id []byte) (uint32, bool) { return ix.find(maphash.Bytes(ix.seed, id)) }
