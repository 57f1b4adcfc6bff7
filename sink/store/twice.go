package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// whereabouts knows which scopes have an id in common: an instance is in one
// account and region, and a cloud that lists it in two contradicts itself. It
// remembers the first scope that had an id, by the id's hash, and of ids that more had
// all of them: any two may go on listing it when another one does no more. What it
// finds is held against the rows themselves before it counts.
type whereabouts struct {
	scopes map[uint64]uint32   // by the hash of an id
	shared map[uint64][]uint32 // the same, of ids that several had
	skip   uint64              // ids whose hash has one of these bits are left out
	most   int
	pairs  map[pair]bool
}

// pair is two scopes by their numbers, the lower one first.
type pair struct{ a, b uint32 }

const (
	// mostPlaces bounds the ids that are remembered: of more, every second is.
	mostPlaces = 4_000_000
	// mostPairs bounds the pairs of scopes that have an id in common.
	mostPairs = 10_000
	// mostShared bounds the ids of which more than one scope is remembered, and
	// mostHolders the scopes of each: pairs hold for all ids of two scopes, so that a
	// few of many tell the same.
	mostShared  = 10_000
	mostHolders = 100
)

func newWhereabouts() *whereabouts {
	return &whereabouts{scopes: map[uint64]uint32{}, shared: map[uint64][]uint32{}, most: mostPlaces, pairs: map[pair]bool{}}
}

// put notes that a scope has the id of the hash.
func (w *whereabouts) put(hash uint64, scope uint32) {
	if hash&w.skip != 0 {
		return
	}
	first, known := w.scopes[hash]
	if known {
		w.share(hash, first, scope)
		return
	}
	w.scopes[hash] = scope
	if len(w.scopes) > w.most { // half of the ids are left out from now on
		w.skip = w.skip<<1 | 1
		maps.DeleteFunc(w.scopes, func(hash uint64, _ uint32) bool { return hash&w.skip != 0 })
		maps.DeleteFunc(w.shared, func(hash uint64, _ []uint32) bool { return hash&w.skip != 0 })
	}
}

// share notes that a scope has an id that is known, and that first had it first.
func (w *whereabouts) share(hash uint64, first, scope uint32) {
	holders, shared := w.shared[hash]
	if !shared {
		holders = []uint32{first}
	}
	for _, other := range holders {
		if other != scope && len(w.pairs) < mostPairs {
			w.pairs[pair{min(scope, other), max(scope, other)}] = true
		}
	}
	if !slices.Contains(holders, scope) && len(holders) < mostHolders && (shared || len(w.shared) < mostShared) {
		w.shared[hash] = append(holders, scope)
	}
}

// with lists the scopes that may have an id in common with one.
func (w *whereabouts) with(scope uint32) []uint32 {
	var out []uint32
	for pair := range w.pairs {
		switch scope {
		case pair.a:
			out = append(out, pair.b)
		case pair.b:
			out = append(out, pair.a)
		}
	}
	slices.Sort(out)
	return out
}

func (w *whereabouts) forget(a, b uint32) { delete(w.pairs, pair{min(a, b), max(a, b)}) }

// dispute holds a scope whose lanes have ended against the others: ids that it
// has in common with another, and that are there in both, speak against both.
// One that is still being read says so itself when it is decided; one that was
// complete is so no more, and what it lacked is gone no more.
func (a *applier) dispute(state *scans.Scan, scope *scans.Scope, sc *scope) error {
	for _, no := range a.db.places.with(sc.no) {
		other := a.db.byNo[no]
		if other.Unlisted != 0 {
			continue
		}
		count, examples, err := a.inBoth(state, sc, other)
		if err != nil {
			return err
		}
		if count == 0 {
			continue
		}
		if q := state.Progress[other.key]; state.Plans(other.key) && (q == nil || q.State == record.ScopePending) {
			continue
		}
		scope.Doubt(listedIn(sc, other, count, examples))
		if err := a.doubtElsewhere(state, other, listedIn(other, sc, count, examples)); err != nil {
			return err
		}
	}
	return nil
}

// maxCommon is how many ids that two scopes have in common are looked up for
// the examples of a cause.
const maxCommon = 1000

// inBoth counts the instances that are there in both scopes, and names some. It
// forgets a pair that has no id in common.
func (a *applier) inBoth(state *scans.Scan, one, other *scope) (count int, examples []string, err error) {
	index, err := a.index(one)
	if err != nil {
		return 0, nil, err
	}
	otherIndex, err := a.index(other)
	if err != nil {
		return 0, nil, err
	}
	if index.len() > otherIndex.len() {
		one, other, index, otherIndex = other, one, otherIndex, index
	}
	since, sinceOther := since(state, one), since(state, other)
	common := false
	for i := range index.at {
		ordinal, found := otherIndex.find(index.at[i].hash)
		if !found {
			continue
		}
		common = true
		if index.at[i].order < since || otherIndex.at[ordinal].order < sinceOther {
			continue
		}
		if count++; count <= maxCommon {
			row, err := index.row(a.tx, one.no, uint32(i))
			if err != nil {
				return 0, nil, err
			}
			examples = append(examples, string(format.RowID(row)))
		}
	}
	if !common {
		a.db.places.forget(one.no, other.no)
	}
	slices.Sort(examples)
	return count, examples[:min(len(examples), 3)], nil
}

// since is how old an observation in the scope may be that a scan is held
// against: its own where it reads the scope, else that of whatever is there.
func since(s *scans.Scan, sc *scope) int64 {
	if s.Plans(sc.key) {
		return s.Epoch.UnixNano()
	}
	return sc.Floor()
}

// listedIn is what speaks against a scope.
func listedIn(sc, other *scope, n int, examples []string) record.Failure {
	where := other.Region
	if other.Account != sc.Account {
		where = "account " + other.Account + ", " + where
	}
	return record.Failure{
		Account: sc.Account, Region: sc.Region, API: "DescribeInstances", Class: ecs.Contradicted.String(),
		Error: fmt.Sprintf("instances are listed here and in %s too, %d of them, such as %s: an instance is in one region", where, n, strings.Join(examples, ", ")),
		Mend:  "nothing is taken for gone in either; scan again, and if it stays so, compare with the console and ask the cloud's support",
	}
}

// doubtElsewhere notes what speaks against a scope that was decided.
func (a *applier) doubtElsewhere(state *scans.Scan, sc *scope, failure record.Failure) error {
	a.scopes[sc] = true
	if !state.Plans(sc.key) { // another scan read it
		sc.Doubt(failure)
		return nil
	}
	scope := state.Progress[sc.key] // which has decided it, as dispute looked up
	whole := scope.State == record.ScopeComplete
	if !scope.Doubt(failure) {
		return nil
	}
	a.pages[scope] = state
	if whole {
		if err := a.unsweep(state, scope, sc); err != nil {
			return err
		}
	}
	row := scope.Report()
	sc.End(state.ID, state.Epoch.UnixNano(), &row, a.msg.Stored)
	return nil
}

// unsweep takes back that a scan was complete: what it found missing is there.
func (a *applier) unsweep(state *scans.Scan, scope *scans.Scope, sc *scope) error {
	epoch := state.Epoch.UnixNano()
	if sc.Floor() != epoch || !sc.DropEpoch(epoch) {
		return nil // a later scan has decided
	}
	err := a.notSeen(sc, state, func(ordinal uint32, id []byte) error {
		class := a.db.classAt(sc.ix, ordinal)
		sc.gone--
		sc.enter(class)
		a.came(class)
		c := a.db.classes.at(class)
		return a.history(sc, id, &record.Change{At: utc(epoch), ScanID: state.ID, Cause: "returned", After: a.j.levels(c), OS: c.OS()})
	})
	if err != nil {
		return err
	}
	state.Gone -= scope.Gone
	scope.Ungone()
	return nil
}
