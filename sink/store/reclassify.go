package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Reclassify judges every stored instance with classifier and keeps classifier from then on: all
// in one transaction, after which everything that is read is of classifier. Instances that
// are there and whose verdict for a target differs, where both rule sets judge
// that target, then become events and Changes with Cause "ruleset", bit by bit
// (see rejudge.go): Moved of them, of which the first are returned. Calling it
// again with the same rule set, targets and day changes nothing but goes on
// where an error left off.
func (db *DB) Reclassify(ctx context.Context, classifier Classifier) (Applied, error) {
	return db.Judge(ctx, classifier, func() {})
}

// Judge is Reclassify, and calls inUse once everything that is read is of
// classifier. An error from then on says that not all that moved became events
// and Changes yet, and not that another classifier is in use.
func (db *DB) Judge(ctx context.Context, classifier Classifier, inUse func()) (Applied, error) {
	db.writing.Lock()
	defer db.writing.Unlock()
	told, old, err := db.switchTo(ctx, classifier)
	if err != nil {
		return told, err
	}
	inUse()
	if !db.telling() {
		return told, nil
	}
	rest, err := db.tell(ctx, old)
	told.add(&rest)
	return told, err
}

// Switch is the first part of Reclassify: everything that is read is of classifier afterwards,
// and what moved by it is told nobody yet. NeedsReclassify reports true until Reclassify has
// done that.
func (db *DB) Switch(ctx context.Context, classifier Classifier) error {
	db.writing.Lock()
	defer db.writing.Unlock()
	if _, _, err := db.switchTo(ctx, classifier); err != nil {
		return err
	}
	return db.locked(db.pointByRules)
}

func (db *DB) telling() (is bool) {
	_ = db.locked(func() error { is = db.meta.Rejudging != nil; return nil })
	return is
}

// switchTo has everything judged by classifier. What an earlier change left untold, to
// another judgement than classifier's, is told before. It returns by what was judged
// until now.
func (db *DB) switchTo(ctx context.Context, classifier Classifier) (told Applied, old *judge, err error) {
	if n := len(classifier.Targets()); n == 0 || n > format.MaxTargets {
		return told, nil, fmt.Errorf("store: %d targets; name 1 to %d", n, format.MaxTargets)
	}
	judge := db.o.judge(classifier)
	differs := false
	_ = db.locked(func() error {
		if differs = db.differs(judge); !differs {
			db.judge.Store(judge)
		}
		return nil
	})
	if !differs {
		return told, nil, nil
	}
	if db.telling() {
		if told, err = db.tell(ctx, nil); err != nil {
			return told, nil, err
		}
	}
	return told, db.judge.Load(), db.locked(func() error { return db.switchLocked(ctx, judge) })
}

// switchLocked has every profile, and every instance that a waiver touches,
// judged by judge, in one transaction.
func (db *DB) switchLocked(ctx context.Context, judge *judge) error {
	applier := db.begin()
	applier.msg = &event.Received{Position: event.Position{Stream: db.meta.Stream, Seq: db.meta.Seq}, Stored: db.meta.Now}
	applier.j = judge
	db.hold = true // publish nothing: until the end, half of what readers would see is of the old rule set
	defer func() { db.hold = false }()
	err := db.update(func(tx *bbolt.Tx) error {
		applier.tx = tx
		grader := db.regrade(tx, db.judge.Load(), judge)
		grader.waived = func(sc *scope, id []byte, own, class uint32) error {
			return storeWaived(tx, sc.no, id, own, class, grader.is)
		}
		if err := grader.setAside(); err != nil {
			return err
		}
		if err := grader.run(ctx); err != nil {
			return err
		}
		if err := grader.store(); err != nil {
			return err
		}
		grader.countMoves()
		db.meta.Digest, db.meta.Targets, db.meta.Today = judge.Digest(), judge.targets, judge.today
		return applier.finish()
	})
	if err != nil {
		return fmt.Errorf("reclassify: %w", err)
	}
	// The file is judged by judge now; what is in memory follows.
	db.judge.Store(judge)
	if err := db.guard(db.reload); err != nil {
		db.broken = err
		return fmt.Errorf("reclassify: read again: %w", err)
	}
	db.hold = false
	db.publish()
	return nil
}

// countMoves counts what the rules opened and closed, on targets that both judge.
func (g *grader) countMoves() {
	db := g.db
	for target := range db.meta.Moves {
		if !slices.Contains(g.j.targets, target) {
			delete(db.meta.Moves, target)
		}
	}
	for t, target := range g.j.targets {
		was := slices.Index(db.meta.Targets, target)
		if was < 0 {
			continue
		}
		moves := db.movesOn(target)
		for pair, n := range g.moves {
			switch wasOpen, isOpen := open(db.classes.at(pair[0]), was), open(g.is.at(pair[1]), t); {
			case wasOpen && !isOpen:
				moves.ClosedByRules += n
			case !wasOpen && isOpen:
				moves.OpenedByRules += n
			}
		}
	}
}

// Rejudge is Reclassify by the classifier in use: the day may be another one.
func (db *DB) Rejudge(ctx context.Context) (Applied, error) {
	return db.Reclassify(ctx, db.judge.Load().Classifier)
}

// Preview is what a rule set would move.
type Preview struct {
	Instances int               // judged
	Changed   int               // of them, with another verdict for some target
	Moves     map[ChangeKey]int // instances by target and verdicts
	Examples  []Change          // up to the limit
}

// Preview judges every stored instance with classifier and changes nothing. It returns
// up to limit examples.
func (db *DB) Preview(ctx context.Context, classifier Classifier, limit int) (*Preview, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, ErrClosed
	}
	out := &Preview{Moves: map[ChangeKey]int{}}
	judge := db.o.judge(classifier)
	err := db.view(func(tx *bbolt.Tx) error {
		grader := db.regrade(tx, db.judge.Load(), judge)
		grader.limit = limit
		grader.changed = func(was, is *outcome.Class, before, after *record.Record) {
			out.Changed++
			for t, target := range judge.targets {
				if o := slices.Index(db.meta.Targets, target); o >= 0 {
					if from, to := was.Level(o), is.Level(t); from != to {
						out.Moves[ChangeKey{target, from.String(), to.String()}]++
					}
				}
			}
			if before != nil {
				out.Examples = append(out.Examples, Change{Before: before, After: after, Cause: "ruleset"})
			}
		}
		err := grader.run(ctx)
		out.Instances = grader.instances
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return out, nil
}

// grader judges stored instances with another classifier.
type grader struct {
	db        *DB
	tx        *bbolt.Tx
	old, j    *judge
	is        *classes          // the classes by the new rule set
	moves     map[[2]uint32]int // how many instances, gone ones apart, go from one class to another
	own       []uint32          // by profile: its class by the new rule set
	facts     *factsReader
	instances int
	limit     int // how many records to make at most
	// changed is called for every instance, gone ones apart, whose verdict differs for
	// some target. before and after are nil beyond the limit.
	changed func(was, is *outcome.Class, before, after *record.Record)
	// waived is called with the class of every instance that a waiver may concern.
	waived func(sc *scope, id []byte, own, class uint32) error
}

func (db *DB) regrade(tx *bbolt.Tx, old, j *judge) *grader {
	return &grader{
		db: db, tx: tx, old: old, j: j, is: newClasses(), moves: map[[2]uint32]int{}, own: make([]uint32, len(db.profs.list)),
		facts: db.profs.now().reader(),
	}
}

func (g *grader) run(ctx context.Context) error {
	for id := range g.own {
		if g.own[id] = format.NoClass; g.db.profs.list[id].Class == format.NoClass {
			continue
		}
		facts, err := g.facts.facts(g.tx, uint32(id))
		if err != nil {
			return err
		}
		g.own[id] = g.is.number(g.j.classOf(g.j.Classify(&facts), facts.Hardware()))
	}
	scopes := slices.SortedFunc(maps.Values(g.db.scopes), func(a, b *scope) int { return a.key.Compare(b.key) })
	for _, sc := range scopes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.scope(sc); err != nil {
			return fmt.Errorf("%s: %w", sc.key, err)
		}
	}
	return nil
}

func (g *grader) scope(sc *scope) error {
	ix, err := g.db.outline(g.tx, sc)
	if err != nil {
		return err
	}
	floor := sc.Floor()
	for i := range ix.at {
		order := ix.at[i].order
		if err := g.row(sc, ix, uint32(i), order >= floor); err != nil {
			return err
		}
	}
	return nil
}

func (g *grader) row(sc *scope, ix *index, ordinal uint32, there bool) error {
	was, own := g.db.classAt(ix, ordinal), g.own[ix.at[ordinal].profile]
	is := own
	if g.j.waivers || ix.class != nil {
		row, facts, err := g.instance(sc, ix, ordinal)
		if err != nil {
			return err
		}
		if g.j.waivers {
			is = g.is.number(g.j.classOf(g.j.judgeRow(&sc.scopeValue, &row, &facts), facts.Hardware()))
		}
		if g.waived != nil {
			if err := g.waived(sc, []byte(row.ID), own, is); err != nil {
				return err
			}
		}
	}
	if !there {
		return nil
	}
	g.instances++
	g.moves[[2]uint32{was, is}]++
	oldClass, newClass := g.db.classes.at(was), g.is.at(is)
	if g.changed == nil || !verdictMoved(g.db.meta.Targets, g.j.targets, oldClass, newClass) {
		return nil
	}
	var before, after *record.Record
	if g.limit > 0 {
		g.limit--
		row, facts, err := g.instance(sc, ix, ordinal)
		if err != nil {
			return err
		}
		st := format.Stamp{Order: ix.at[ordinal].order, Scan: ix.names[ix.at[ordinal].scan]}
		before, after = g.before(sc, &row, &facts, oldClass, st), g.j.render(&sc.scopeValue, &row, &facts, st)
	}
	g.changed(oldClass, newClass, before, after)
	return nil
}

// instance reads a row with its facts.
func (g *grader) instance(sc *scope, ix *index, ordinal uint32) (row event.Row, facts rules.Facts, err error) {
	enc, err := ix.row(g.tx, sc.no, ordinal)
	if err != nil {
		return row, facts, err
	}
	return g.facts.instance(g.tx, enc, g.db.dict.Words())
}

// before is the record as it was judged.
func (g *grader) before(sc *scope, row *event.Row, facts *rules.Facts, was *outcome.Class, st format.Stamp) *record.Record {
	m := &g.db.meta
	then := judgedThen{by: g.old, digest: m.Digest, targets: m.Targets}
	if g.old.today != m.Today {
		then.by = nil
	}
	return then.record(g.j, &sc.scopeValue, row, facts, was, st)
}

// judgedThen is a judgement of the past: its digest and targets, and by what it
// was made, where that is still at hand.
type judgedThen struct {
	by      *judge
	digest  string
	targets []string
	// verdicts are those of classes, where their reasons are not known any more:
	// records share them.
	verdicts map[outcome.Class][]rules.Verdict
}

// record is the record as it was judged. Where that rule set is no longer at
// hand, its verdicts are known but not their reasons; now says the rest.
func (then judgedThen) record(now *judge, sc *scopeValue, row *event.Row, facts *rules.Facts, was *outcome.Class, st format.Stamp) *record.Record {
	if then.by != nil && then.by.Digest() == then.digest && slices.Equal(then.by.targets, then.targets) {
		return then.by.render(sc, row, facts, st)
	}
	entry := now.render(sc, row, facts, st)
	entry.Ruleset = then.digest
	entry.Classification = rules.Classification{OS: rules.OS{Family: was.Family, Version: was.Version}, Legacy: was.Legacy, Verdicts: then.verdicts[*was]}
	if entry.Verdicts == nil {
		entry.Verdicts = then.verdictsOf(was)
		if then.verdicts != nil {
			then.verdicts[*was] = entry.Verdicts
		}
	}
	return entry
}

// verdictsOf are the verdicts of a class, without their reasons.
func (then judgedThen) verdictsOf(class *outcome.Class) []rules.Verdict {
	out := make([]rules.Verdict, len(then.targets))
	for t, target := range then.targets {
		out[t] = rules.Verdict{
			Target: target, Level: class.Level(t), Reason: "judged by rule set " + then.digest + ", which is no longer in use",
			Remedies: []rules.Remedy{}, Checks: []string{},
		}
	}
	return out
}

// store writes the new classes of all profiles.
func (g *grader) store() error {
	if err := g.tx.DeleteBucket(bucketClasses); err != nil {
		return err
	}
	if _, err := g.tx.CreateBucket(bucketClasses); err != nil {
		return err
	}
	if err := g.is.store(g.tx); err != nil {
		return err
	}
	bucket := g.tx.Bucket(bucketProfiles)
	part := make([]format.Profile, 0, format.MaxChunk)
	for from := 0; from < len(g.own); from += format.MaxChunk {
		part = part[:0]
		for id := from; id < min(from+format.MaxChunk, len(g.own)); id++ {
			is := g.db.profs.list[id]
			is.Class = g.own[id]
			part = append(part, is)
		}
		if err := bucket.Put(format.Key32(uint32(from/format.MaxChunk)), format.ProfilesValue(part)); err != nil {
			return err
		}
	}
	return nil
}
