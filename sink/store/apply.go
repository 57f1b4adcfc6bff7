package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Change is a verdict change of an instance that was there before.
type Change struct {
	At     event.Position
	Index  int // within the message at that position
	Before *record.Record
	After  *record.Record
	Cause  string // observation or ruleset
}

// Applied says what Apply or Reclassify did.
type Applied struct {
	Moved   int              // instances whose verdict changed; Changes holds the first of them
	Changes []Change         // in the order of the results stream
	Scans   []record.Scan    // that started or ended, in that order
	Asked   int              // questions for producers that arose
	Rows    int              // rows applied or found to be known already
	New     int              // instances seen for the first time
	Stale   int              // rows older than what is known
	Same    int              // rows that were stored already, unchanged
	Gone    int              // instances found missing
	NotUp   []record.Move    // moves that were found not to have come up
	Invalid int              // rows or messages that cannot be stored, and were skipped
	Anew    map[JudgedBy]int // pages that this store judged again, by the rule set and targets that had judged them
	Skipped int              // messages at or before the checkpoint

	verdicts map[ChangeKey]uint64 // that changed
}

// mostTold bounds the changes that Apply and Reclassify return. All of them are
// events.
const mostTold = 1000

// changed notes a change.
func (a *Applied) changed(change *Change) {
	a.Moved++
	if len(a.Changes) < mostTold {
		a.Changes = append(a.Changes, *change)
	}
	if a.verdicts == nil {
		a.verdicts = map[ChangeKey]uint64{}
	}
	was := map[string]rules.Level{}
	for _, v := range change.Before.Verdicts {
		was[v.Target] = v.Level
	}
	for _, v := range change.After.Verdicts {
		if from, ok := was[v.Target]; ok && from != v.Level {
			a.verdicts[ChangeKey{v.Target, from.String(), v.Level.String()}]++
		}
	}
}

func (a *Applied) add(applied *Applied) {
	a.Moved += applied.Moved
	a.Changes = append(a.Changes, applied.Changes[:min(len(applied.Changes), mostTold-len(a.Changes))]...)
	a.Scans = append(a.Scans, applied.Scans...)
	a.Asked += applied.Asked
	a.Rows += applied.Rows
	a.New += applied.New
	a.Stale += applied.Stale
	a.Same += applied.Same
	a.Gone += applied.Gone
	a.Invalid += applied.Invalid
	a.NotUp = append(a.NotUp, applied.NotUp...)
	a.Skipped += applied.Skipped
	for by, pages := range applied.Anew {
		if a.Anew == nil {
			a.Anew = map[JudgedBy]int{}
		}
		a.Anew[by] += pages
	}
}

// clockTolerance is how far broker times of different streams may differ
// before one counts as from the future.
const clockTolerance = int64(5e9)

// Apply stores a batch of the results stream, in the order of its positions,
// together with the position reached: in one transaction, or in several
// where it has more than TxRows rows. Messages at or before the checkpoint are
// skipped, so that a batch may be applied again after a crash. What an error
// leaves unapplied is as if it had never been tried; the same batch may be
// applied again.
func (db *DB) Apply(ctx context.Context, batch []event.Received) (Applied, error) {
	db.writing.Lock()
	defer db.writing.Unlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	var done Applied
	if db.needsReclassify(db.judge.Load()) {
		return done, fmt.Errorf("%w: call Reclassify first", ErrReclassify)
	}
	for len(batch) > 0 {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		messages, rows := 0, 0
		for messages < len(batch) && rows < db.o.TxRows {
			if m, ok := batch[messages].Msg.(*event.InstancesClassified); ok {
				rows += m.Rows.Len()
			}
			messages++
		}
		part, err := db.applyPart(batch[:messages])
		if err != nil {
			return done, err
		}
		done.add(part)
		batch = batch[messages:]
	}
	return done, nil
}

// applyPart is one transaction.
func (db *DB) applyPart(batch []event.Received) (*Applied, error) {
	applier := db.begin()
	if !slices.ContainsFunc(batch, func(m event.Received) bool { return !db.applied(m.Position) }) {
		applier.out.Skipped = len(batch)
		return applier.out, nil
	}
	err := db.update(func(tx *bbolt.Tx) error {
		applier.tx = tx
		for i := range batch {
			if db.applied(batch[i].Position) {
				applier.out.Skipped++
				continue
			}
			if err := applier.message(&batch[i]); err != nil {
				return fmt.Errorf("apply message %d: %w", batch[i].Seq, err)
			}
			db.meta.Stream, db.meta.Seq = batch[i].Stream, batch[i].Seq
		}
		return applier.finish()
	})
	if err != nil {
		return nil, err
	}
	db.count(applier.out)
	db.evict()
	return applier.out, nil
}

func (db *DB) applied(at event.Position) bool {
	return at.Stream == db.meta.Stream && at.Seq <= db.meta.Seq
}

// applier is one transaction of Apply.
type applier struct {
	db    *DB
	tx    *bbolt.Tx
	j     *judge
	out   *Applied
	msg   *event.Received
	event int // events of this message so far

	judgement string // the digest of the rule set whose changes are being told; "" while observations are applied

	moves []*record.Moves // by target: verdicts that changed since the last point of the burn-down

	pages     map[*scans.Scope]*scans.Scan // scopes whose progress has to be stored
	scans     map[*scans.Scan]bool         // scans that have to be stored
	scopes    map[*scope]bool              // scopes that have to be stored
	fold      map[*scope]bool              // scopes whose journal is long enough to be merged into the blocks
	events    []Event
	questions []Question
	reader    *factsReader
	row       []byte // the encoding of the current row
	buf       []byte
	batch     []candidate
	in        event.RowReader

	software, hardware, profiles []uint32 // the store's numbers for those of the current page, by their place in it
	classes                      []uint32 // the same for its classes, plus one; 0: not numbered yet
}

func (db *DB) begin() *applier {
	db.batch++
	a := &applier{
		db: db, j: db.judge.Load(), out: &Applied{},
		pages: map[*scans.Scope]*scans.Scan{}, scans: map[*scans.Scan]bool{}, scopes: map[*scope]bool{}, fold: map[*scope]bool{},
	}
	a.countMoves(db.meta.Targets)
	return a
}

func (a *applier) message(received *event.Received) error {
	if err := a.apply(received); err != nil || len(a.events) < mostHeld {
		return err
	}
	return a.flushEvents()
}

func (a *applier) apply(received *event.Received) error {
	a.msg, a.event = received, 0
	// The broker's clock only goes forward, unless somebody corrected it.
	if now := a.db.meta.Now; received.Stored > now || received.Stored > 0 && received.Stored < now-clockTolerance {
		a.db.meta.Now = received.Stored
	}
	switch message := received.Msg.(type) {
	case *event.InstancesClassified:
		return a.page(message)
	case *event.ScanPlanned:
		return a.scanPlanned(message)
	case *event.ScopePlanned:
		return a.scopePlanned(message)
	case *event.LaneEnded:
		return a.laneEnded(message)
	case *event.ScopeChecked:
		return a.scopeChecked(message)
	case *event.ScopeFailed:
		return a.scopeFailed(message)
	case *event.PageFailed:
		return a.pageFailed(message)
	case *event.EvidenceRead:
		return a.evidenceRead(message)
	case *event.ScanAborted:
		return a.scanAborted(message)
	}
	a.out.Invalid++ // a kind of message that does not belong on the results stream
	return nil
}

// finish writes everything that the messages changed except the rows of pages, which
// are written as they come.
func (a *applier) finish() error {
	for sc := range a.fold {
		if err := a.foldScope(sc); err != nil {
			return err
		}
	}
	if len(a.fold) > 0 {
		unmapRead(a.tx) // a journal is read once
	}
	if err := a.flushWords(); err != nil {
		return err
	}
	if err := errors.Join(a.db.classes.store(a.tx), a.db.profs.store(a.tx)); err != nil {
		return err
	}
	scopes := a.tx.Bucket(bucketScopes)
	for sc := range a.scopes {
		sc.snap = nil
		if err := putJSON(scopes, format.Key32(sc.no), &sc.scopeValue); err != nil {
			return err
		}
	}
	if err := a.storeScans(); err != nil {
		return err
	}
	if err := questionQueue.put(a.tx, &a.db.meta, a.questions, nil); err != nil {
		return err
	}
	return a.flushEvents()
}

func (a *applier) flushWords() error {
	b := a.tx.Bucket(bucketStrings)
	for n, entry := range a.db.dict.Fresh() {
		if err := b.Put(format.Key32(n), format.Sealed(entry)); err != nil {
			return err
		}
	}
	a.db.dict.Stored()
	return nil
}

// scope returns the scope of the key, making it where it is new.
func (a *applier) scope(walk *event.Walk) *scope {
	if sc := a.db.scopes[walk.Scope]; sc != nil {
		return sc
	}
	sc := &scope{no: uint32(len(a.db.byNo) + 1), key: walk.Scope, counts: map[uint32]int{}}
	sc.Account, sc.Region, sc.Label = walk.Scope.Account, walk.Scope.Region, a.db.meta.Labels[walk.Scope.Account]
	a.db.scopes[sc.key] = sc
	a.db.byNo[sc.no] = sc
	a.scopes[sc] = true
	return sc
}

// index brings the scope's index into memory.
func (a *applier) index(sc *scope) (*index, error) {
	if sc.ix == nil {
		ix, err := a.db.loadIndex(a.tx, sc)
		if err != nil {
			return nil, err
		}
		sc.ix = ix
	}
	sc.ix.used = a.db.batch
	sc.snap, sc.owned = nil, nil
	return sc.ix, nil
}

// loadIndex reads the index of a scope and what the running scans have seen of
// it.
func (db *DB) loadIndex(tx *bbolt.Tx, sc *scope) (*index, error) {
	marks := map[string]*scans.Scope{}
	for id, s := range db.running {
		if scope := s.Progress[sc.key]; scope != nil {
			scope.SeenNow = append(scans.Set(nil), scope.Seen...)
			if scope.SeenNow == nil {
				scope.SeenNow = scans.Set{}
			}
			marks[id] = scope
		}
	}
	return db.readIndex(tx, sc, newIndex(db.seed), func(scan string, ordinal uint32) {
		if p := marks[scan]; p != nil {
			p.SeenNow.Add(int(ordinal))
		}
	})
}

func (db *DB) readIndex(tx *bbolt.Tx, sc *scope, ix *index, seen func(scan string, ordinal uint32)) (*index, error) {
	if err := ix.load(tx, sc.no, sc.Rows, seen); err != nil {
		return nil, fmt.Errorf("index of %s: %w", sc.key, err)
	}
	if db.waived() {
		return ix, db.loadWaived(tx, sc, ix)
	}
	return ix, nil
}

// waived says whether waivers are in use, or the stored verdicts were made with
// them.
func (db *DB) waived() bool { return db.judge.Load().waivers || db.meta.Today != "" }

// outline is the index of a scope for those who go through all its rows once and
// keep nothing of it: where no waiver is to be found by an instance's id, it
// takes half the memory.
func (db *DB) outline(tx *bbolt.Tx, sc *scope) (*index, error) {
	ix := newIndex(db.seed)
	ix.bare = !db.waived() && (db.meta.Rejudging == nil || db.meta.Rejudging.Today == "")
	return db.readIndex(tx, sc, ix, nil)
}

// drop removes the index of a scope from memory; it can be read again.
func (db *DB) drop(sc *scope) {
	sc.ix = nil
	for _, s := range db.running {
		if p := s.Progress[sc.key]; p != nil {
			p.SeenNow = nil
		}
	}
}

// evict drops the indexes that were not used for longest until the rest is
// within IndexRows.
func (db *DB) evict() {
	for {
		total := 0
		var oldest *scope
		for _, sc := range db.scopes {
			if sc.ix == nil {
				continue
			}
			total += sc.ix.len()
			if sc.ix.used != db.batch && (oldest == nil || sc.ix.used < oldest.ix.used) {
				oldest = sc
			}
		}
		if total <= db.o.IndexRows || oldest == nil {
			return
		}
		db.drop(oldest)
	}
}

// profilesOf numbers the profiles of a page. A new one has the class that the
// worker gave it, or that this store's own rule set gives where that is not to
// be taken.
func (a *applier) profilesOf(classified *event.InstancesClassified) ([]uint32, error) {
	profiles := a.db.profs
	a.software, a.hardware = a.software[:0], a.hardware[:0]
	for i := range classified.Software {
		a.software = append(a.software, profiles.softwareOf(classified.Software[i]))
	}
	for i := range classified.Hardware {
		a.hardware = append(a.hardware, profiles.hardwareOf(classified.Hardware[i]))
	}
	a.profiles = a.profiles[:0]
	taken := a.takes(classified)
	for i := range classified.Profiles {
		profile := &classified.Profiles[i]
		software, hardware := a.software[profile.Software], a.hardware[profile.Hardware]
		a.profiles = append(a.profiles, profiles.number(software, hardware, func() uint32 {
			if taken {
				return a.taken(classified, profile.Class)
			}
			h := classified.Hardware[profile.Hardware]
			judged := a.j.Judge(a.j.System(classified.Software[profile.Software]), a.j.Host(h))
			return a.db.classes.number(a.j.classOf(judged, h))
		}))
	}
	return a.profiles, profiles.storeParts(a.tx)
}

// judgeRow classifies one instance and applies the waivers to it.
func (j *judge) judgeRow(sc *scopeValue, row *event.Row, facts *rules.Facts) *rules.Classification {
	cl := j.Classify(facts)
	if !j.waivers {
		return cl
	}
	return j.Waive(cl, rules.Waivable{
		Account: sc.Account, Region: sc.Region, InstanceID: row.ID, ImageID: facts.ImageID, Today: j.today,
		Tags: tagsOf(row),
	})
}

// tagsOf looks up tags of a row.
func tagsOf(row *event.Row) func(key string) (string, bool) {
	return func(key string) (string, bool) {
		for i := range row.Tags {
			if row.Tags[i].Key == key {
				return row.Tags[i].Value, true
			}
		}
		return "", false
	}
}

// history appends a change of an instance and forgets the oldest ones.
func (a *applier) history(sc *scope, id []byte, change *record.Change) error {
	bucket := a.tx.Bucket(bucketHistory)
	prefix := format.HistoryPrefix(sc.no, id)
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("history of %s: %w", id, err)
	}
	keys := keysOf(bucket, prefix)
	if err := deleteKeys(bucket, keys[:max(0, len(keys)-a.db.o.HistoryPerInstance+1)]); err != nil {
		return err
	}
	a.db.meta.History++
	return bucket.Put(append(prefix, format.Key64(a.db.meta.History)...), format.Sealed(body))
}
