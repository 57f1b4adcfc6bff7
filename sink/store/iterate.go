package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Filter narrows a View. The zero value asks for every instance that is there.
type Filter struct {
	Account, Region     string
	Target, Verdict     string // Verdict alone means: for any target
	OSFamily, OSVersion string
	Legacy              *bool
	Scope               filter.Filter
	Query               string    // part of an instance's id or name, in any case
	ObservedSince       time.Time // zero: whenever
	Gone                bool      // gone instances too
}

// reading is a way to read the store: with a snapshot, all calls see the store at one
// moment; without, each call has a transaction of its own and sees it as it is then.
type reading struct {
	db   *DB
	snap *snapshot // nil: as it is by then
	view func(fn func(tx *bbolt.Tx) error) error
	rows int // since what was read was let go of
}

// mostMapped is about how many rows stay mapped of those that were read.
const mostMapped = 1 << 16

func (db *DB) reading() *reading { return &reading{db: db, view: db.view} }

// published reads as reading does, and returns when what it saw is what rows and
// totals are read from as well. A commit is in the file a moment before that: who
// is told then that a scan is complete would find none of its instances.
func (db *DB) published() *reading {
	return &reading{db: db, view: func(fn func(tx *bbolt.Tx) error) error {
		number := 0
		err := db.view(func(tx *bbolt.Tx) error {
			number = tx.ID()
			return fn(tx)
		})
		if int64(number) > db.seen.Load() {
			db.mu.Lock()   // its writer holds it until that is done
			db.mu.Unlock() //nolint:staticcheck // nothing is done under it
		}
		return err
	}}
}

func (r *reading) scopes() []*scopeSnap {
	if r.snap != nil {
		return r.snap.scopes
	}
	return r.db.snap.Load().scopes
}

func (r *reading) tables() *tables {
	if r.snap != nil {
		return r.snap.tables
	}
	return r.db.readers.Load()
}

// instances lists what a filter lets through by account, region and id, from behind a
// place if there is one, and at most so many; 0 is all.
func (r *reading) instances(ctx context.Context, matcher *matcher, after *Place, limit int) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		var from ecs.Scope
		if after != nil {
			from = ecs.Scope{Account: after.Account, Region: after.Region}
		}
		left := limit
		for _, sc := range r.scopes() {
			if sc.key.Compare(from) < 0 || !matcher.scope(sc) {
				continue
			}
			walk := &walker{reading: r, m: matcher, sc: sc}
			if sc.key == from {
				walk.after = []byte(after.InstanceID)
			}
			for !walk.done {
				if err := ctx.Err(); err != nil {
					yield(nil, err)
					return
				}
				if err := r.view(walk.step); err != nil {
					yield(nil, fmt.Errorf("read %s: %w", sc.key, err))
					return
				}
				for _, rec := range walk.out {
					if !yield(rec, nil) {
						return
					}
					if left--; left == 0 {
						return
					}
				}
			}
		}
	}
}

// walker reads one scope block by block, all in one transaction.
type walker struct {
	*reading
	m     *matcher
	sc    *scopeSnap
	after []byte // id of the last row that was looked at
	done  bool
	whole bool // it began with the first row
	there int  // rows read so far that are not gone
	out   []*record.Record
	all   bool // the filter lets every row of the scope through, and take does not ask for their class
	// take is called with every row that passes the filter, which is valid during the
	// call; where take is nil, the row's record is appended to out.
	take  func(tx *bbolt.Tx, c *candidateRow) error
	cand  candidateRow
	waive *waivedCursor

	over   *overlay // nil until the first step
	cursor *bbolt.Cursor
	block  block // the next one; its key is nil behind the last
	value  scopeValue
	facts  *factsReader
	rows   [][]byte
}

// block is what stands in the file under one key: rows whose first one has the key's id.
type block struct{ key, value []byte }

// agrees compares how many rows of the whole scope were read with its total, which must be
// the same: a damaged page would otherwise omit instances in silence.
func (w *walker) agrees() error {
	if w.there == w.sc.present {
		return nil
	}
	return fmt.Errorf("%w: %d instances are listed, of %d that are counted; see `shenscan store check`", ErrCorrupt, w.there, w.sc.present)
}

// overlay is what the journal of a scope says beyond its blocks.
type overlay struct {
	starts map[string]uint32
	rows   map[uint32]finding // by ordinal; row is nil where only the stamp moved
	fresh  []freshRow         // rows in no block, by id
}

// step finds the block in which the walk begins, and then reads a block each time. Between
// steps whoever reads may be stopped, and others may read by the same view.
func (w *walker) step(tx *bbolt.Tx) error {
	if w.over == nil {
		return w.open(tx)
	}
	w.out = w.out[:0]
	if w.reading.rows >= mostMapped {
		unmapRead(tx)
		w.reading.rows = 0
	}
	at := w.block
	w.next(w.cursor.Next())
	w.done = w.block.key == nil
	if err := w.emitBlock(tx, at); err != nil {
		return err
	}
	if w.done && w.whole {
		return w.agrees()
	}
	return nil
}

// open finds the block in which the walk begins.
func (w *walker) open(tx *bbolt.Tx) (err error) {
	w.whole = len(w.after) == 0
	if err := w.begin(tx); err != nil {
		return err
	}
	if w.over, err = readOverlay(tx, w.sc.no); err != nil {
		return err
	}
	w.cursor = tx.Bucket(bucketBlocks).Cursor()
	key, value := seekBlock(w.cursor, w.sc.no, w.after)
	if key == nil {
		key, value = w.cursor.Seek(format.Key32(w.sc.no))
	}
	w.next(key, value)
	return nil
}

// next holds the block that is read next, if it is one of the scope.
func (w *walker) next(key, value []byte) {
	if w.block = (block{}); bytes.HasPrefix(key, format.Key32(w.sc.no)) {
		w.block = block{key, value}
	}
}

// begin reads what is known of the scope, what waivers changed, and the profiles as they
// are published, which include those of the transaction.
func (w *walker) begin(tx *bbolt.Tx) error {
	if waived := newWaivedCursor(tx, w.sc.no, w.after); waived.k != nil {
		w.waive = waived
	}
	w.facts = w.tables().profs.readers.Load().reader()
	return format.ReadJSON("scope", tx.Bucket(bucketScopes).Get(format.Key32(w.sc.no)), &w.value)
}

// seekBlock finds the block in which the row with an id stands, if there is such a row: a
// block's key is the id of its first row, so that it is the last one whose key is not
// above the id. Where all of the scope are, the key is nil.
func seekBlock(cursor *bbolt.Cursor, scope uint32, id []byte) (key, value []byte) {
	target := format.RowKey(scope, id)
	if key, value = cursor.Seek(target); !bytes.Equal(key, target) {
		key, value = prev(cursor, key)
	}
	if !bytes.HasPrefix(key, target[:4]) {
		return nil, nil
	}
	return key, value
}

func prev(cursor *bbolt.Cursor, at []byte) (k, v []byte) {
	if at == nil {
		return cursor.Last()
	}
	return cursor.Prev()
}

// emitBlock hands on the rows of one block with the fresh ones that stand before them, and
// behind the last block all that are left.
func (w *walker) emitBlock(tx *bbolt.Tx, at block) error {
	var orders format.Orders
	w.rows = w.rows[:0]
	if at.key != nil {
		var err error
		if w.rows, orders, err = readBlock(tx, at.key, at.value, w.rows); err != nil {
			return err
		}
		w.reading.rows += len(w.rows)
	}
	start := w.over.starts[string(at.key)]
	for i, row := range w.rows {
		place := finding{row, format.Stamp{Order: orders.At(i), Scan: orders.Scans[orders.Scan(i)]}}
		if x, ok := w.over.rows[start+uint32(i)]; ok {
			if x.row != nil {
				place.row = x.row
			}
			place.stamp = place.stamp.Later(x.stamp.Order, x.stamp.Scan)
		}
		id := format.RowID(place.row)
		if err := w.emitFresh(tx, id); err != nil {
			return err
		}
		if err := w.emit(tx, id, place); err != nil {
			return err
		}
	}
	if w.done {
		return w.emitFresh(tx, nil)
	}
	return nil
}

// emitFresh hands on the fresh rows before an id; nil is all that are left.
func (w *walker) emitFresh(tx *bbolt.Tx, before []byte) error {
	for len(w.over.fresh) > 0 && (before == nil || bytes.Compare(w.over.fresh[0].id, before) < 0) {
		row := w.over.fresh[0]
		w.over.fresh = w.over.fresh[1:]
		if err := w.emit(tx, row.id, w.over.rows[row.ordinal]); err != nil {
			return err
		}
	}
	return nil
}

// emit hands on a row if it passes the filter and was not handed on before.
func (w *walker) emit(tx *bbolt.Tx, id []byte, finding finding) error {
	if bytes.Compare(id, w.after) <= 0 {
		return nil
	}
	w.after = append(w.after[:0], id...)
	if finding.stamp.Order >= w.value.Floor() {
		w.there++
	}
	if finding.stamp.Order < w.m.since || !w.m.f.Gone && finding.stamp.Order < w.value.Floor() {
		return nil
	}
	_, name, profile := format.RowHead(finding.row)
	if w.all {
		w.cand = candidateRow{finding: finding, id: id, name: name, profile: profile}
		return w.take(tx, &w.cand)
	}
	fit, err := w.fit(tx, finding, profile, id)
	if err != nil {
		return err
	}
	if !fit.pass || !w.m.text(id, name) {
		return nil
	}
	if w.take != nil {
		w.cand = candidateRow{finding: finding, id: id, name: name, profile: profile, rank: fit.rank, class: &fit.class}
		return w.take(tx, &w.cand)
	}
	r, err := w.render(tx, finding)
	if err == nil {
		w.out = append(w.out, r)
	}
	return err
}

// fit returns the matcher's decision about a row.
func (w *walker) fit(tx *bbolt.Tx, finding finding, profile uint32, id []byte) (*fit, error) {
	got, err := w.judged(tx, finding, profile, id)
	if err != nil {
		return nil, err
	}
	if got.pass && !w.rowPasses(finding, id) {
		return &fit{class: got.class}, nil
	}
	return got, nil
}

// judged is that decision by how the row is judged and by its machine: by the stored
// class, or where that is of another judge by its facts, each profile once unless a
// waiver may be for this row alone.
func (w *walker) judged(tx *bbolt.Tx, finding finding, profile uint32, id []byte) (*fit, error) {
	if !w.m.foreign {
		got, err := w.m.fit(profile, w.waive, id)
		if err != nil {
			return nil, err
		}
		if !got.pass {
			return got, nil
		}
		if passes, err := w.machinePasses(tx, profile); err != nil || !passes {
			return &fit{class: got.class}, err
		}
		return got, nil
	}
	if w.m.j.waivers {
		row, facts, err := w.facts.instance(tx, finding.row, w.tables().dict.Words())
		if err != nil {
			return nil, err
		}
		return w.m.judge(w.m.j.judgeRow(&w.value, &row, &facts), &facts), nil
	}
	if got := w.m.judged.at(profile); got != nil {
		return got, nil
	}
	facts, err := w.facts.facts(tx, profile)
	if err != nil {
		return nil, err
	}
	got := w.m.judge(w.m.j.Classify(&facts), &facts)
	w.m.judged.put(profile, got)
	return got, nil
}

// machinePasses says whether the instances of a profile pass by their machine and image,
// which their class does not tell.
func (w *walker) machinePasses(tx *bbolt.Tx, profile uint32) (bool, error) {
	scope := &w.m.f.Scope
	if !scope.ByMachine() {
		return true, nil
	}
	known := w.m.onto.at(profile)
	if known == notAsked {
		var facts rules.Facts // read only if the filter asks for it, since its software is in the file
		if _, there := w.facts.classOf(profile); scope.BySoftware() || !there {
			var err error
			if facts, err = w.facts.facts(tx, profile); err != nil {
				return false, err
			}
		} else {
			facts.Put(w.facts.hardware[w.facts.list[profile].Hardware])
		}
		if known = fails; scope.Machine(w.m.machine(&facts)) {
			known = passes
		}
		w.m.onto.put(profile, known)
	}
	return known == passes, nil
}

// rowPasses says whether a row passes by its id, its status and its tags.
func (w *walker) rowPasses(finding finding, id []byte) bool {
	scope := &w.m.f.Scope
	if !scope.ByRow() {
		return true
	}
	words := w.tables().dict.Words()
	return scope.Row(string(id), format.RowStatus(finding.row, words), func(key string) (string, bool) {
		var value [1]string
		found, _, err := format.RowTags(finding.row, words, []string{key}, value[:])
		return value[0], found > 0 && err == nil
	})
}

// render makes the record of a row.
func (w *walker) render(tx *bbolt.Tx, finding finding) (*record.Record, error) {
	row, facts, err := w.facts.instance(tx, finding.row, w.tables().dict.Words())
	if err != nil {
		return nil, err
	}
	return w.m.j.render(&w.value, &row, &facts, finding.stamp), nil
}

// readOverlay reads the journal of a scope. What it returns is a copy.
func readOverlay(tx *bbolt.Tx, scope uint32) (*overlay, error) {
	out := &overlay{rows: map[uint32]finding{}}
	prefix := format.Key32(scope)
	var section format.Section
	for _, v := range entries(tx.Bucket(bucketJournal), prefix) {
		if err := format.ReadSection(v, &section); err != nil {
			return nil, err
		}
		for i, row := range section.Rows {
			o := section.Ordinals[i]
			out.rows[o] = finding{bytes.Clone(row), out.rows[o].stamp.Later(section.Order, section.Scan)}
		}
		for _, o := range section.Seen {
			place := out.rows[o]
			place.stamp = place.stamp.Later(section.Order, section.Scan)
			out.rows[o] = place
		}
	}
	if len(out.rows) == 0 {
		return out, nil
	}
	var err error
	if out.starts, err = blockStarts(tx, prefix); err != nil {
		return nil, err
	}
	base := uint32(0)
	for _, v := range entries(tx.Bucket(bucketOrders), prefix) {
		orders, err := format.ReadOrders(v)
		if err != nil {
			return nil, err
		}
		base += uint32(orders.Len)
	}
	for ord, f := range out.rows {
		if ord >= base {
			out.fresh = append(out.fresh, freshRow{ord, format.RowID(f.row), f.row})
		}
	}
	slices.SortFunc(out.fresh, func(a, b freshRow) int { return cmp.Or(bytes.Compare(a.id, b.id), cmp.Compare(a.ordinal, b.ordinal)) })
	return out, nil
}
