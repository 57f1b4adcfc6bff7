package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// A change of judgement has two parts. In one transaction every profile gets
// its new class: from then on all totals and rows are of the new rule set, and
// what the classes were before is set aside. Then instance by instance, in
// transactions of bounded size that each commit how far they came, what moved
// becomes history and events. Readers and the outbox go on meanwhile; results
// wait. What a process leaves undone the next one goes on with.

// bucketBefore holds, while a change of judgement is being told, what was
// judged before: classes, the classes of profiles, and what waivers made of
// instances.
var bucketBefore = []byte("before")

const (
	beforeClasses  = 'c' // number -> class
	beforeProfiles = 'p' // chunk -> profiles
	beforeWaived   = 'w' // scope, id -> waived verdicts
)

func beforeKey(kind byte, key []byte) []byte { return append([]byte{kind}, key...) }

// rejudging says how far a change of the rule set has been turned into history and
// events. It is stored with every transaction, so that the next process continues.
type rejudging struct {
	Digest  string   `json:"digest"` // of the rule set before
	Targets []string `json:"targets"`
	Today   string   `json:"today"`
	Scope   uint32   `json:"scope"` // where to continue: the number of the scope, and of the row in it
	Row     uint32   `json:"row"`
	Events  int      `json:"events"` // so far
	Rows    int      `json:"rows"`   // looked at so far, of all
	Of      int      `json:"of"`
}

// rejudged returns that progress as reports show it; nil when no change is under way.
func (db *DB) rejudged() *record.Rejudging {
	if rejudging := db.meta.Rejudging; rejudging != nil {
		return &record.Rejudging{Instances: rejudging.Rows, Of: rejudging.Of}
	}
	return nil
}

// setAside copies the classes as they are before the change, so that what moved can
// still be told afterwards.
func (g *grader) setAside() error {
	before, err := g.tx.CreateBucket(bucketBefore)
	if err != nil {
		return err
	}
	for kind, name := range map[byte][]byte{beforeClasses: bucketClasses, beforeProfiles: bucketProfiles, beforeWaived: bucketWaived} {
		for k, v := range entries(g.tx.Bucket(name), nil) {
			if err := before.Put(beforeKey(kind, k), v); err != nil {
				return err
			}
		}
	}
	meta := &g.db.meta
	meta.Rejudging = &rejudging{Digest: meta.Digest, Targets: meta.Targets, Today: meta.Today}
	for _, sc := range g.db.scopes {
		meta.Rejudging.Of += sc.present + sc.gone
	}
	return nil
}

// teller turns a change of the rule set into history and events, instance by
// instance.
type teller struct {
	db      *DB
	old     *judge // the rule set before; nil after a restart, which knows only its verdicts
	classes []outcome.Class
	own     []uint32 // class before, by profile
	ix      *index   // of the scope at hand; nil between scopes: one is in memory at a time
	fold    uint64   // the state of the scope that it is of
	waived  map[uint32]outcome.Class
	told    Applied
	// verdicts are those of the rule set before, by class; see judgedThen.
	verdicts map[outcome.Class][]rules.Verdict
}

// tell completes a change of the rule set. old is the rule set before, or nil after a
// restart: then events name the verdicts before without their reasons. The point of
// progress comes first: where it fails nothing is told, and both are tried again.
func (db *DB) tell(ctx context.Context, old *judge) (Applied, error) {
	t := &teller{db: db, old: old, verdicts: map[outcome.Class][]rules.Verdict{}}
	if err := db.locked(db.pointByRules); err != nil {
		return t.told, err
	}
	if err := db.locked(t.load); err != nil {
		return t.told, err
	}
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return t.told, err
		}
		err := db.locked(func() (err error) { done, err = t.part(); return err })
		if err != nil {
			return t.told, err
		}
	}
	return t.told, nil
}

// locked runs fn as the writer.
func (db *DB) locked(fn func() error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return fn()
}

func (t *teller) load() error {
	rejudging := t.db.meta.Rejudging
	if t.old != nil && t.old.today != rejudging.Today {
		then := *t.old
		then.today = rejudging.Today
		t.old = &then
	}
	return t.db.view(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketBefore)
		if bucket == nil {
			return fmt.Errorf("%w: what was judged before is missing", ErrCorrupt)
		}
		for _, v := range entries(bucket, []byte{beforeClasses}) {
			class, err := format.ReadClass(v)
			if err != nil {
				return err
			}
			t.classes = append(t.classes, class)
		}
		var part []format.Profile
		for k, value := range entries(bucket, []byte{beforeProfiles}) {
			no, err := format.Number32(k[1:])
			if err != nil {
				return err
			}
			if part, err = format.ReadProfiles(value, part[:0]); err != nil {
				return err
			}
			if len(t.own) != int(no)*format.MaxChunk {
				return fmt.Errorf("%w: profiles are not numbered from 0", ErrCorrupt)
			}
			for _, profile := range part {
				if profile.Class != format.NoClass && int(profile.Class) >= len(t.classes) {
					return fmt.Errorf("%w: a profile had class %d, which is not there", ErrCorrupt, profile.Class)
				}
				t.own = append(t.own, profile.Class)
			}
		}
		return nil
	})
}

// part is one transaction. It ends after TellRows rows whose verdict moved, or after
// a hundred times as many rows, which bounds its memory and how long results wait.
func (t *teller) part() (done bool, err error) {
	db := t.db
	applier := db.begin()
	applier.msg = &event.Received{Position: event.Position{Stream: db.meta.Stream, Seq: db.meta.Seq}, Stored: db.meta.Now}
	applier.judgement = strings.TrimSuffix(db.meta.Digest+"/"+db.meta.Today, "/")
	err = db.update(func(tx *bbolt.Tx) error {
		applier.tx = tx
		rejudging := *db.meta.Rejudging
		applier.event = rejudging.Events
		facts := db.profs.now().reader()
		looked, moved := 0, 0
		for moved < db.o.TellRows && looked < 100*db.o.TellRows {
			sc := t.next(&rejudging)
			if sc == nil {
				done = true
				break
			}
			ix, err := t.index(tx, sc)
			if err != nil {
				return err
			}
			for ; int(rejudging.Row) < len(ix.at) && moved < db.o.TellRows && looked < 100*db.o.TellRows; rejudging.Row++ {
				looked++
				did, err := t.row(applier, sc, ix, rejudging.Row, facts)
				if err != nil {
					return fmt.Errorf("%s: %w", sc.key, err)
				}
				if did {
					moved++
				}
			}
			if int(rejudging.Row) >= len(ix.at) {
				rejudging.Scope, rejudging.Row = sc.no+1, 0
				t.ix, t.waived = nil, nil
			}
		}
		rejudging.Rows, rejudging.Events = rejudging.Rows+looked, applier.event
		db.meta.Rejudging = &rejudging
		if done {
			db.meta.Rejudging = nil
			if err := tx.DeleteBucket(bucketBefore); err != nil {
				return err
			}
		}
		return applier.finish()
	})
	if err != nil {
		return false, fmt.Errorf("tell what a change of judgement moved: %w", err)
	}
	db.count(applier.out)
	t.told.add(applier.out)
	return done, nil
}

// next returns the scope in which to continue.
func (t *teller) next(rj *rejudging) (next *scope) {
	for no, sc := range t.db.byNo {
		if no >= rj.Scope && (next == nil || no < next.no) {
			next = sc
		}
	}
	if next != nil && next.no > rj.Scope {
		rj.Scope, rj.Row = next.no, 0
	}
	return next
}

// index reads the rows of the scope, and what waivers had made of its instances.
// They stay until all of it is told: until then nothing is applied to it. Only
// it may be forgotten meanwhile.
func (t *teller) index(tx *bbolt.Tx, sc *scope) (*index, error) {
	if t.ix != nil && t.fold == sc.Fold {
		return t.ix, nil
	}
	t.ix = nil // before the next one is read
	ix, err := t.db.outline(tx, sc)
	if err != nil {
		return nil, err
	}
	if err := t.waivers(tx, sc, ix); err != nil {
		return nil, err
	}
	t.fold, t.ix = sc.Fold, ix
	return ix, nil
}

// waivers reads what waivers had made of instances of the scope.
func (t *teller) waivers(tx *bbolt.Tx, sc *scope, ix *index) error {
	t.waived = map[uint32]outcome.Class{}
	prefix := beforeKey(beforeWaived, format.Key32(sc.no))
	for k, value := range entries(tx.Bucket(bucketBefore), prefix) {
		if ordinal, ok := ix.findID(k[len(prefix):]); ok {
			class, err := t.before(ix.at[ordinal].profile)
			if err != nil {
				return err
			}
			if err := format.ReadWaived(value, &class); err != nil {
				return err
			}
			t.waived[ordinal] = class
		}
	}
	return nil
}

// before is what the class of a profile was. Every row had one: nothing was applied
// since. An instance without would be one whose change nobody hears of.
func (t *teller) before(profile uint32) (class outcome.Class, err error) {
	if int(profile) >= len(t.own) || t.own[profile] == format.NoClass {
		return class, fmt.Errorf("%w: what profile %d was judged before is missing", ErrCorrupt, profile)
	}
	return t.classes[t.own[profile]], nil
}

// row records what became of one instance, and reports whether a verdict moved.
func (t *teller) row(applier *applier, sc *scope, ix *index, ordinal uint32, facts *factsReader) (bool, error) {
	db, at := t.db, &ix.at[ordinal]
	if at.order < sc.Floor() {
		return false, nil
	}
	was, waived := t.waived[ordinal]
	if !waived {
		var err error
		if was, err = t.before(at.profile); err != nil {
			return false, err
		}
	}
	is, rejudging := db.classes.at(db.classAt(ix, ordinal)), db.meta.Rejudging
	moved := verdictMoved(rejudging.Targets, db.meta.Targets, &was, is)
	if !moved && was.SameSystem(is) && sameTargets(rejudging.Targets, db.meta.Targets) {
		return false, nil
	}
	enc, err := ix.row(applier.tx, sc.no, ordinal)
	if err != nil {
		return false, err
	}
	row, told, err := facts.instance(applier.tx, enc, db.dict.Words())
	if err != nil {
		return false, err
	}
	if moved {
		stamp := format.Stamp{Order: at.order, Scan: ix.names[at.scan]}
		before := judgedThen{t.old, rejudging.Digest, rejudging.Targets, t.verdicts}.record(applier.j, &sc.scopeValue, &row, &told, &was, stamp)
		after := judgedThen{by: applier.j, digest: db.meta.Digest, targets: db.meta.Targets}.record(applier.j, &sc.scopeValue, &row, &told, is, stamp)
		applier.changed(before, after, "ruleset")
	}
	return true, applier.history(sc, format.RowID(enc), &record.Change{
		At: utc(db.meta.Now), ScanID: "", Cause: "ruleset", OS: is.OS(),
		Before: levelsOf(rejudging.Targets, &was), After: levelsOf(db.meta.Targets, is),
	})
}

// sameTargets says whether two lists name the same targets, which each of them names once.
func sameTargets(before, after []string) bool {
	return len(before) == len(after) && !slices.ContainsFunc(after, func(target string) bool { return !slices.Contains(before, target) })
}

// verdictMoved says whether a verdict differs for a target that both classes
// have.
func verdictMoved(before, after []string, was, is *outcome.Class) bool {
	for t, target := range after {
		if o := slices.Index(before, target); o >= 0 && was.Level(o) != is.Level(t) {
			return true
		}
	}
	return false
}
