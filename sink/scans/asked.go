package scans

import (
	"maps"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// MaxAsked bounds the instances of one rescan: a producer takes half as many.
const MaxAsked = 20_000

// Asked is what a walk of a rescan says of the instances that it asked for, by
// id.
type Asked struct {
	Found    []string `json:"found,omitempty"`
	NotFound []string `json:"not_found,omitempty"`
	NotRead  []string `json:"not_read,omitempty"`
}

// askedOf is what the end of a lane says of instances, nil where it says
// nothing.
func askedOf(ended *event.LaneEnded) *Asked {
	if len(ended.Found)+len(ended.NotFound)+len(ended.NotRead) == 0 {
		return nil
	}
	return &Asked{ended.Found, ended.NotFound, ended.NotRead}
}

// Outcomes says of each instance that a rescan was asked for what became of it.
// One that was seen anywhere is found. Else one that could not be read somewhere
// is not read: only where every place says that it is not there, it is not.
// abort is why the rescan was aborted, else "".
func (s *Scan) Outcomes(abort string) []record.AskedInstance {
	said := make(map[string]record.AskedInstance, len(s.Asked))
	for _, key := range slices.SortedFunc(maps.Keys(s.Progress), ecs.Scope.Compare) {
		for id, here := range s.Progress[key].outcomes() {
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
		askedInstance, ok := said[id]
		switch {
		case !ok && unsure == "":
			askedInstance = record.AskedInstance{Outcome: record.NotRead, Cause: "no account and region was asked for it"}
		case !ok || askedInstance.Outcome == record.NotFound && unsure != "":
			askedInstance = record.AskedInstance{Outcome: record.NotRead, Cause: unsure}
		}
		askedInstance.InstanceID = id
		out = append(out, askedInstance)
	}
	return out
}

// weight orders what several places say of one instance.
func weight(o record.Outcome) int {
	return slices.Index([]record.Outcome{record.NotFound, record.NotRead, record.Found}, o)
}

// outcomes are those of one account and region. Of several walks, one that read
// it counts more than one that could not.
func (p *Scope) outcomes() map[string]record.AskedInstance {
	out := map[string]record.AskedInstance{}
	say := func(ids []string, outcome record.Outcome, cause string) {
		for _, id := range ids {
			had, ok := out[id]
			if !ok || had.Outcome == record.NotRead || outcome == record.Found {
				out[id] = record.AskedInstance{Outcome: outcome, Account: p.Key.Account, Region: p.Key.Region, Cause: cause}
			}
		}
	}
	for _, walk := range p.Walks {
		if walk.Asked == nil {
			continue
		}
		cause := "the region was not read"
		if walk.Failure != nil {
			cause = walk.Failure.Error
		}
		say(walk.Asked.NotRead, record.NotRead, cause)
		switch {
		case !walk.over():
			cause := "it was seen, and what was seen of it was not stored"
			if walk.Losses != nil {
				cause += ": " + walk.Losses.Error
			}
			say(walk.Asked.Found, record.NotRead, cause)
		case !walk.agrees():
			say(walk.Asked.Found, record.NotRead, "it was seen, and what was seen of it may not be stored: "+walk.disagreement())
		default:
			say(walk.Asked.Found, record.Found, "")
		}
		say(walk.Asked.NotFound, record.NotFound, "")
	}
	return out
}

// CountOutcomes counts what became of the instances of a rescan.
func CountOutcomes(all []record.AskedInstance) *record.AskedTotals {
	askedTotals := &record.AskedTotals{Instances: len(all)}
	for i := range all {
		switch all[i].Outcome {
		case record.Found:
			askedTotals.Found++
		case record.NotFound:
			askedTotals.NotFound++
		default:
			askedTotals.NotRead++
		}
	}
	return askedTotals
}
