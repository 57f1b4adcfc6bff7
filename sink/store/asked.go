package store

import (
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// maxAsked bounds the instances of one rescan: a producer takes half as many.
const maxAsked = 20_000

// asked is what a walk of a rescan says of the instances that it asked for.
type asked struct {
	Found    []string `json:"found,omitempty"`
	NotFound []string `json:"not_found,omitempty"`
	NotRead  []string `json:"not_read,omitempty"`
}

func askedOf(m *event.LaneEnded) *asked {
	if len(m.Found)+len(m.NotFound)+len(m.NotRead) == 0 {
		return nil
	}
	return &asked{m.Found, m.NotFound, m.NotRead}
}

// in says that every page that the walk announced is committed.
func (w *walk) in() bool { return w.Ended && w.got >= w.Announced }

// outcomes says of each instance that a rescan was asked for what became of it.
// One that was seen anywhere is found. Else one that could not be read somewhere
// is not read: only where every place says that it is not there, it is not.
func (s *scanState) outcomes(abort string) []record.AskedInstance {
	said := make(map[string]record.AskedInstance, len(s.Asked))
	scopes := make([]ecs.Scope, 0, len(s.progress))
	for key := range s.progress {
		scopes = append(scopes, key)
	}
	slices.SortFunc(scopes, compareScopes)
	for _, key := range scopes {
		for id, here := range s.progress[key].outcomes() {
			had, ok := said[id]
			switch {
			case !ok || weight(here.Outcome) > weight(had.Outcome):
				said[id] = here
			case here.Outcome == record.NotFound && had.Outcome == record.NotFound:
				had.Account, had.Region = "", ""
				said[id] = had
			}
		}
	}
	unsure := abort
	if unsure == "" && len(s.Failed) > 0 {
		unsure = s.Failed[0].Error
	}
	out := make([]record.AskedInstance, 0, len(s.Asked))
	for _, id := range s.Asked {
		o, ok := said[id]
		switch {
		case !ok && unsure == "":
			o = record.AskedInstance{Outcome: record.NotRead, Cause: "no account and region was asked for it"}
		case !ok || o.Outcome == record.NotFound && unsure != "":
			o = record.AskedInstance{Outcome: record.NotRead, Cause: unsure}
		}
		o.InstanceID = id
		out = append(out, o)
	}
	return out
}

func weight(o record.Outcome) int {
	switch o {
	case record.Found:
		return 3
	case record.NotRead:
		return 2
	case record.NotFound:
		return 1
	}
	return 0
}

// outcomes are those of one account and region. Of several walks, one that read
// it counts more than one that could not.
func (p *progress) outcomes() map[string]record.AskedInstance {
	out := map[string]record.AskedInstance{}
	say := func(ids []string, o record.Outcome, cause string) {
		for _, id := range ids {
			had, ok := out[id]
			if !ok || had.Outcome == record.NotRead || o == record.Found {
				out[id] = record.AskedInstance{Outcome: o, Account: p.Scope.Account, Region: p.Scope.Region, Cause: cause}
			}
		}
	}
	for _, w := range p.Walks {
		if w.Asked == nil {
			continue
		}
		cause := "the region was not read"
		if w.Failure != nil {
			cause = w.Failure.Error
		}
		say(w.Asked.NotRead, record.NotRead, cause)
		if w.in() {
			say(w.Asked.Found, record.Found, "")
		} else {
			cause := "it was seen, and what was seen of it was not stored"
			if w.Losses != nil {
				cause += ": " + w.Losses.Error
			}
			say(w.Asked.Found, record.NotRead, cause)
		}
		say(w.Asked.NotFound, record.NotFound, "")
	}
	return out
}

func countOutcomes(all []record.AskedInstance) *record.AskedTotals {
	t := &record.AskedTotals{Instances: len(all)}
	for i := range all {
		switch all[i].Outcome {
		case record.Found:
			t.Found++
		case record.NotFound:
			t.NotFound++
		default:
			t.NotRead++
		}
	}
	return t
}

// Asked returns what a rescan that ended came to for each of the instances. One
// that it was not asked for is not read. It returns ErrNotFound where no rescan
// of that id is remembered as ended.
func (db *DB) Asked(scanID string, ids []string) ([]record.AskedInstance, error) {
	var ended *endedScan
	err := db.view(func(tx *bbolt.Tx) (err error) {
		if key := tx.Bucket(bucketEndedIDs).Get([]byte(scanID)); scanID != "" && key != nil {
			ended, err = readEnded(tx.Bucket(bucketEnded).Get(key))
		}
		return err
	})
	if err == nil && (ended == nil || ended.Kind != string(event.KindRescan)) {
		err = fmt.Errorf("ended rescan %.64q: %w", scanID, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	out := make([]record.AskedInstance, 0, len(ids))
	for _, id := range ids {
		i, ok := slices.BinarySearchFunc(ended.Outcomes, id, func(o record.AskedInstance, id string) int { return strings.Compare(o.InstanceID, id) })
		switch {
		case ok:
			out = append(out, ended.Outcomes[i])
		case ended.State == record.ScanAborted:
			out = append(out, record.AskedInstance{InstanceID: id, Outcome: record.NotRead, Cause: ended.Reason})
		default:
			out = append(out, record.AskedInstance{InstanceID: id, Outcome: record.NotRead, Cause: "the rescan was not asked for it"})
		}
	}
	return out, nil
}
