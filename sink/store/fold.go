package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// folder merges the journal of a scope into its blocks.
type folder struct {
	a       *applier
	sc      *scope
	ix      *index
	blocks  *bbolt.Bucket
	stamps  *bbolt.Bucket
	journal *bbolt.Bucket
	fresh   []journalRow // rows that are in no block yet, by id
	values  [][]byte     // of the journal, by place in ix.journal
	moved   []uint32     // old ordinals in their new order
	cutoff  int64        // instances that are gone since before this time are forgotten
	names   []string

	rows     [][]byte // of the block being built
	ordinals []uint32
	orders   []int64
	scans    []uint32
	old      [][]byte
}

type freshRow struct {
	ordinal uint32
	id, row []byte
}

// journalRow refers to a row in the journal. A region may have a million of them,
// so that only its place is kept and its bytes are looked up when they are needed.
type journalRow struct {
	head    uint64 // eight bytes of the id, from where ids differ
	ordinal uint32
	entry   uint32 // place in folder.values
	off     uint32 // of the row in it
}

// at returns the encoded row; collect has checked it.
func (f *folder) at(r *journalRow) []byte {
	row, _ := format.RowAt(f.values[r.entry], r.off)
	return row
}

func (f *folder) freshRow(r *journalRow) freshRow {
	row := f.at(r)
	return freshRow{r.ordinal, format.RowID(row), row}
}

// foldScope writes the scope's rows and stamps into its blocks in one sorted
// pass, deletes its journal and drops its index.
func (a *applier) foldScope(sc *scope) error {
	ix, err := a.index(sc)
	if err != nil {
		return err
	}
	f := &folder{
		a: a, sc: sc, ix: ix, names: ix.names, cutoff: a.db.meta.Now - int64(a.db.o.GoneRetention),
		blocks: a.tx.Bucket(bucketBlocks), stamps: a.tx.Bucket(bucketOrders), journal: a.tx.Bucket(bucketJournal),
	}
	if err := f.run(); err != nil {
		return fmt.Errorf("fold %s: %w", sc.key, err)
	}
	return nil
}

func (f *folder) run() error {
	if err := f.collect(); err != nil {
		return err
	}
	// Everything is read before anything is written: bbolt's values are valid only
	// until the transaction changes the bucket.
	for i := range f.ix.blocks {
		if err := f.block(i); err != nil {
			return err
		}
	}
	if len(f.ix.blocks) == 0 {
		if err := f.first(f.take(nil)); err != nil {
			return err
		}
	}
	for _, number := range f.ix.journal {
		if err := f.journal.Delete(format.JournalKey(f.sc.no, number)); err != nil {
			return err
		}
	}
	f.remap()
	f.sc.Prune(f.cutoff)
	f.sc.Fold++
	f.sc.Rows = len(f.moved)
	f.a.scopes[f.sc] = true
	f.a.db.drop(f.sc)
	return nil
}

// collect finds the rows that are in no block yet, and sorts them by id.
func (f *folder) collect() error {
	n := f.ix.len() - f.ix.base
	if n == 0 {
		return nil
	}
	f.fresh = make([]journalRow, 0, n)
	f.values = make([][]byte, len(f.ix.journal))
	for base := f.ix.base; base < f.ix.len(); base++ {
		loc := f.ix.where(uint32(base))
		if loc.entry == 0 {
			return fmt.Errorf("%w: row %d is in no block and no journal", ErrCorrupt, base)
		}
		if f.expired(uint32(base)) {
			f.sc.gone--
			continue
		}
		at := loc.entry - 1
		if f.values[at] == nil {
			f.values[at] = f.journal.Get(format.JournalKey(f.sc.no, f.ix.journal[at]))
		}
		if _, err := format.RowAt(f.values[at], loc.off); err != nil {
			return err
		}
		f.fresh = append(f.fresh, journalRow{ordinal: uint32(base), entry: at, off: loc.off})
	}
	f.sort()
	return nil
}

// sort sorts the fresh rows by id. Comparing numbers made of the first eight
// bytes in which ids differ is several times cheaper than comparing ids.
func (f *folder) sort() {
	if len(f.fresh) < 2 {
		return
	}
	first := format.RowID(f.at(&f.fresh[0]))
	same := len(first)
	for i := range f.fresh[1:] {
		id := format.RowID(f.at(&f.fresh[i+1]))
		n := 0
		for n < same && n < len(id) && id[n] == first[n] {
			n++
		}
		same = n
	}
	for i := range f.fresh {
		var b [8]byte
		copy(b[:], format.RowID(f.at(&f.fresh[i]))[same:])
		f.fresh[i].head = binary.BigEndian.Uint64(b[:])
	}
	slices.SortFunc(f.fresh, func(a, b journalRow) int {
		if a.head != b.head {
			if a.head < b.head {
				return -1
			}
			return 1
		}
		return bytes.Compare(format.RowID(f.at(&a)), format.RowID(f.at(&b)))
	})
}

// expired says whether an instance is gone for so long that it is forgotten.
func (f *folder) expired(ordinal uint32) bool {
	at, gone := f.sc.GoneAt(f.ix.at[ordinal].order)
	return gone && at < f.cutoff
}

// take removes and returns the fresh rows before the id; nil means all.
func (f *folder) take(before []byte) []journalRow {
	n := len(f.fresh)
	if before != nil {
		n, _ = slices.BinarySearchFunc(f.fresh, before, func(r journalRow, id []byte) int { return bytes.Compare(format.RowID(f.at(&r)), id) })
	}
	out := f.fresh[:n]
	f.fresh = f.fresh[n:]
	return out
}

// block writes one block anew if rows of it changed or new ones belong into it, and
// its stamps if only those moved.
func (f *folder) block(i int) error {
	key := f.ix.blocks[i]
	lo, hi := f.ix.starts[i], uint32(f.ix.base)
	var before []byte
	if i+1 < len(f.ix.blocks) {
		hi, before = f.ix.starts[i+1], f.ix.blocks[i+1][4:]
	}
	fresh := f.take(before)
	dirty := len(fresh) > 0
	for o := lo; o < hi && !dirty; o++ {
		dirty = f.ix.where(o).entry != 0 || f.sc.gone > 0 && f.expired(o)
	}
	if !dirty {
		f.ordinals = f.ordinals[:0]
		for o := lo; o < hi; o++ {
			f.ordinals = append(f.ordinals, o)
		}
		return f.writeStamps(key, f.ordinals)
	}
	return f.rebuild(key, lo, fresh)
}

// rebuild merges a block with changed and fresh rows.
func (f *folder) rebuild(key []byte, lo uint32, fresh []journalRow) error {
	var err error
	if f.old, err = format.BlockRows(f.blocks.Get(key), f.old[:0]); err != nil {
		return err
	}
	merged := make([]freshRow, 0, len(f.old)+len(fresh))
	for i, row := range f.old {
		ordinal := lo + uint32(i)
		if f.expired(ordinal) {
			f.sc.gone--
			if err := f.forget(format.RowID(row)); err != nil {
				return err
			}
			continue
		}
		if l := f.ix.where(ordinal); l.entry != 0 {
			if row, err = f.ix.row(f.a.tx, f.sc.no, ordinal); err != nil {
				return err
			}
		}
		id := format.RowID(row)
		for len(fresh) > 0 && bytes.Compare(format.RowID(f.at(&fresh[0])), id) < 0 {
			merged, fresh = append(merged, f.freshRow(&fresh[0])), fresh[1:]
		}
		merged = append(merged, freshRow{ordinal, id, row})
	}
	for i := range fresh {
		merged = append(merged, f.freshRow(&fresh[i]))
	}
	return f.write(key, merged)
}

// first writes the blocks of a scope that has none yet.
func (f *folder) first(fresh []journalRow) error {
	parts := (len(fresh) + format.MaxBlock - 1) / format.MaxBlock
	rows := make([]freshRow, 0, format.MaxBlock)
	for p := range parts {
		rows = rows[:0]
		for i := p * len(fresh) / parts; i < (p+1)*len(fresh)/parts; i++ {
			rows = append(rows, f.freshRow(&fresh[i]))
		}
		if err := f.write(nil, rows); err != nil {
			return err
		}
	}
	return nil
}

// forget removes an instance's history, and what waivers made of its verdict.
func (f *folder) forget(id []byte) error {
	bucket := f.a.tx.Bucket(bucketHistory)
	var keys [][]byte
	for k := range entries(bucket, format.HistoryPrefix(f.sc.no, id)) {
		keys = append(keys, append([]byte(nil), k...))
	}
	for _, k := range keys {
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	return f.a.tx.Bucket(bucketWaived).Delete(format.RowKey(f.sc.no, id))
}

// write stores rows as one block or several equal ones, in place of the block
// at key.
func (f *folder) write(key []byte, rows []freshRow) error {
	parts := (len(rows) + format.MaxBlock - 1) / format.MaxBlock
	kept := false
	for p := range parts {
		part := rows[p*len(rows)/parts : (p+1)*len(rows)/parts]
		f.rows, f.ordinals = f.rows[:0], f.ordinals[:0]
		size := 16
		for _, freshRow := range part {
			f.rows = append(f.rows, freshRow.row)
			f.ordinals = append(f.ordinals, freshRow.ordinal)
			size += len(freshRow.row) + 2
		}
		k := format.RowKey(f.sc.no, part[0].id)
		kept = kept || bytes.Equal(k, key)
		if err := f.blocks.Put(k, format.AppendBlock(make([]byte, 0, size), f.rows)); err != nil {
			return err
		}
		if err := f.writeStamps(k, f.ordinals); err != nil {
			return err
		}
	}
	if key == nil || kept {
		return nil
	}
	if err := f.blocks.Delete(key); err != nil {
		return err
	}
	return f.stamps.Delete(key)
}

// writeStamps stores the stamps of a block, unless the file has the same already.
func (f *folder) writeStamps(key []byte, ordinals []uint32) error {
	f.orders, f.scans = f.orders[:0], f.scans[:0]
	for _, o := range ordinals {
		f.orders = append(f.orders, f.ix.at[o].order)
		f.scans = append(f.scans, f.ix.at[o].scan)
	}
	f.moved = append(f.moved, ordinals...)
	v := format.AppendOrders(make([]byte, 0, 64+8*len(ordinals)), f.orders, f.scans, f.names)
	if bytes.Equal(v, f.stamps.Get(key)) {
		return nil
	}
	return f.stamps.Put(key, v)
}

// remap renumbers the sets of seen rows of the running scans, since folding has
// given the rows new ordinals.
func (f *folder) remap() {
	for _, state := range f.a.db.running {
		scope := state.Progress[f.sc.key]
		if scope == nil || scope.SeenNow == nil {
			continue
		}
		var next scans.Set
		if !scope.Whole {
			for i, old := range f.moved {
				if scope.SeenNow.Has(int(old)) {
					next.Add(i)
				}
			}
		}
		scope.Seen, scope.SeenNow = next, nil
		f.a.pages[scope] = state
	}
}
