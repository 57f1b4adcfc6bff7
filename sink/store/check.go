package store

import (
	"slices"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// settle says whether a scope whose lanes have all ended can be decided. Where
// it cannot, the questions whose answers decide it wait to be asked.
func (a *applier) settle(state *scans.Scan, scope *scans.Scope, sc *scope) (bool, error) {
	if scope.AwaitsAnswers() {
		return false, nil
	}
	missing, err := a.missing(state, sc)
	if err != nil {
		return false, err
	}
	settled, questions := state.Settle(scope, missing, sc.Emptied(state.Epoch.UnixNano()))
	for _, q := range questions {
		a.out.Asked++
		a.questions = append(a.questions, Question{Check: q})
	}
	return settled, nil
}

// missing lists the instances of the scope that were there before the scan and
// that it has not seen.
func (a *applier) missing(state *scans.Scan, sc *scope) ([]string, error) {
	var ids []string
	err := a.notSeen(sc, state, func(_ uint32, id []byte) error {
		ids = append(ids, string(id))
		return nil
	})
	return ids, err
}

// notSeen calls do with each instance of the scope that is there and was last
// observed before the scan began, by its ordinal and id.
func (a *applier) notSeen(sc *scope, state *scans.Scan, act func(ordinal uint32, id []byte) error) error {
	ix, err := a.index(sc)
	if err != nil {
		return err
	}
	floor, epoch := sc.Floor(), state.Epoch.UnixNano()
	for i := range ix.at {
		if order := ix.at[i].order; order < floor || order >= epoch {
			continue
		}
		row, err := ix.row(a.tx, sc.no, uint32(i))
		if err != nil {
			return err
		}
		if err := act(uint32(i), format.RowID(row)); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) scopeChecked(checked *event.ScopeChecked) error {
	state, scope, err := a.known(checked.ScanID, checked.Kind, checked.Scope)
	if scope == nil || err != nil {
		return err
	}
	answer := *checked
	answer.Examples = slices.DeleteFunc(slices.Clone(checked.Examples), func(id string) bool { return !usable(id) })
	if !scope.Answer(&answer) {
		return nil
	}
	return a.settled(state, scope)
}

// Awaits reports whether a question still waits for an answer.
func (db *DB) Awaits(scopeCheck *event.ScopeCheck) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	state := db.running[scopeCheck.ScanID]
	if state == nil {
		return false
	}
	p := state.Progress[scopeCheck.Scope]
	return p != nil && p.Awaits(scopeCheck)
}
