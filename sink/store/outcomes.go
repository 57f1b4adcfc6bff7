package store

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// An instance that is seen on another class of machines than before was moved.
// What was said of that class before is kept, one move of an instance, and held
// against what is seen later: when a scan or rescan of its region has ended. A
// machine that was stopped is no outcome, and neither is one that is gone.

const (
	// sourceMove is where moves stand among the evidence.
	sourceMove = "move"
	// settles is how long an instance must have been seen Running before its
	// silence counts.
	settles = 15 * time.Minute
	// stopsAsking is how long after a move a guest is asked for that nobody could
	// be asked for before.
	stopsAsking = 24 * time.Hour
	// outcomeLife is how long a move is remembered; what it counted for stays.
	outcomeLife = 400 * 24 * time.Hour
)

// scoreKey is under what an outcome is counted.
func scoreKey(o *record.Move) string {
	return o.Target + " " + o.Verdict + " " + string(o.Result)
}

// movedTo is the class to which a row that replaces another moves its instance.
func (p *pager) movedTo(ordinal uint32, c *candidate) (rules.Class, bool) {
	list, hardware := p.db.profs.list, p.db.profs.hardware
	was, is := list[p.ix.at[ordinal].profile].Hardware, list[c.profile].Hardware
	if was == is || hardware[was].InstanceType == hardware[is].InstanceType {
		return 0, false
	}
	before, after := p.j.Machine(hardware[was]), p.j.Machine(hardware[is])
	from, knownBefore := rules.ClassOf(before.Virtualization, before.Generation)
	to, known := rules.ClassOf(after.Virtualization, after.Generation)
	return to, known && (!knownBefore || from != to)
}

// left keeps what was said of an instance before its move; before is its record,
// nil where nobody made it yet. A class that nothing is judged for has no
// outcome.
func (p *pager) left(ordinal uint32, c *candidate, to rules.Class, before *record.Record) (err error) {
	if before == nil {
		if before, err = p.record(ordinal); err != nil {
			return err
		}
	}
	at := slices.IndexFunc(before.Verdicts, func(v rules.Verdict) bool { return v.Target == to.String() })
	if at < 0 {
		return nil
	}
	was, err := p.facts(p.ix.at[ordinal].profile)
	if err != nil {
		return err
	}
	v := &before.Verdicts[at]
	return p.keepOutcome(&record.Move{
		Account: p.sc.Account, Region: p.sc.Region, InstanceID: before.InstanceID, Target: to.String(),
		From: before.InstanceType, To: p.db.profs.hardware[p.db.profs.list[c.profile].Hardware].InstanceType,
		Verdict: v.Level.String(), Confidence: v.Confidence.String(), Rule: v.Rule,
		MovedAt: utc(p.order), Checked: utc(p.order), HeardOf: was.Guest.Up == rules.Yes,
		Result: record.MoveEarly, Why: "it was just moved",
	})
}

// keepOutcome stores an outcome and counts it. One that a later move of the
// instance replaces stays counted where it was told.
func (a *applier) keepOutcome(o *record.Move) error {
	b := a.tx.Bucket(bucketEvidence)
	key := append(evidencePrefix(ecs.Scope{Account: o.Account, Region: o.Region}, sourceMove), o.InstanceID...)
	var had record.Move
	if v := b.Get(key); v != nil {
		if err := format.ReadJSON("move", v, &had); err != nil {
			return err
		}
	}
	if a.db.meta.Outcomes == nil {
		a.db.meta.Outcomes = map[string]int{}
	}
	if had.InstanceID != "" && (had.MovedAt.Equal(o.MovedAt) || !told(had.Result)) {
		if key := scoreKey(&had); a.db.meta.Outcomes[key] > 1 {
			a.db.meta.Outcomes[key]--
		} else {
			delete(a.db.meta.Outcomes, key)
		}
	}
	a.db.meta.Outcomes[scoreKey(o)]++
	if had.Result != o.Result && o.Result == record.MoveNotUp {
		a.out.NotUp = append(a.out.NotUp, *o)
	}
	out, err := format.JSON(o)
	if err != nil {
		return err
	}
	return b.Put(key, out)
}

// told says whether a result is the last word on a move.
func told(r record.MoveResult) bool { return r == record.MoveUp || r == record.MoveNotUp }

// judgeOutcomes holds the moves of a scope against what is seen now.
func (a *applier) judgeOutcomes(sc *scope) error {
	prefix := evidencePrefix(sc.key, sourceMove)
	var open []record.Move
	for _, v := range scan(a.tx.Bucket(bucketEvidence), prefix) {
		var o record.Move
		if err := format.ReadJSON("move", v, &o); err != nil {
			return err
		}
		if !told(o.Result) {
			open = append(open, o)
		}
	}
	if len(open) == 0 {
		return nil
	}
	ix, err := a.index(sc)
	if err != nil {
		return err
	}
	for i := range open {
		o := open[i]
		if err := a.judgeOutcome(sc, ix, &o); err != nil {
			return fmt.Errorf("hold the move of %s against what is seen: %w", o.InstanceID, err)
		}
		if o != open[i] {
			if err := a.keepOutcome(&o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) judgeOutcome(sc *scope, ix *index, o *record.Move) error {
	ordinal, found := ix.findID([]byte(o.InstanceID))
	if !found || ix.at[ordinal].order < sc.Floor() {
		o.Running, o.Result, o.Why = nil, record.MoveNone, "it is not there any more"
		return nil
	}
	facts, err := a.facts(ix.at[ordinal].profile)
	if err != nil {
		return err
	}
	at := utc(ix.at[ordinal].order)
	o.Checked = at
	switch {
	case facts.InstanceType != o.To && !a.onClass(&facts, o.Target):
		o.Running, o.Result, o.Why = nil, record.MoveNone, "it was moved on"
	case facts.Running != rules.Yes:
		o.Running, o.Result, o.Why = nil, record.MoveNone, "it is not Running"
	case facts.Guest.Up == rules.Yes:
		o.Running = cmp.Or(o.Running, &at)
		o.Result, o.Why = record.MoveUp, "its guest was heard of after the move"
	case o.Running == nil:
		o.Running, o.Result, o.Why = &at, record.MoveEarly, "it is seen Running for the first time"
	case at.Sub(*o.Running) < settles:
		o.Result, o.Why = record.MoveEarly, "it is Running for too short a time to tell"
	default:
		return a.judgeSilence(sc.key, o)
	}
	return nil
}

// onClass says whether the machine of the facts is of a class.
func (a *applier) onClass(f *rules.Facts, class string) bool {
	m := a.j.Machine(f.Hardware())
	c, known := rules.ClassOf(m.Virtualization, m.Generation)
	return known && c.String() == class
}

// judgeSilence tells a guest that does not answer any more from one that was
// never heard of or not asked for.
func (a *applier) judgeSilence(key ecs.Scope, o *record.Move) error {
	var beat StoredEvidence
	if v := a.tx.Bucket(bucketEvidence).Get(append(evidencePrefix(key, event.EvidenceHeartbeat), o.InstanceID...)); v != nil {
		if err := format.ReadJSON("evidence", v, &beat); err != nil {
			return err
		}
	}
	asked := beat.Asked.Sub(*o.Running) >= settles
	switch {
	case asked && !beat.Heard.Before(o.MovedAt) && beat.Heard.Before(beat.Asked.Add(clockOff)):
		o.Result, o.Why = record.MoveUp, "its guest was heard of after the move"
	case asked && o.HeardOf:
		o.Result, o.Why = record.MoveNotUp, fmt.Sprintf("it is Running since %s, its guest was heard of before the move and not since (asked at %s)", o.Running.Format(time.RFC3339), beat.Asked.UTC().Format(time.RFC3339))
	case !o.HeardOf:
		o.Result, o.Why = record.MoveRunning, "it is Running; its guest was never heard of, so that its silence tells nothing"
	default:
		o.Result, o.Why = record.MoveRunning, "it is Running; nobody asked for a heartbeat since the move"
	}
	return nil
}

// clockOff is how far clocks may be apart.
const clockOff = 5 * time.Minute

// pruneMoves forgets moves that lie long back.
func pruneMoves(b *bbolt.Bucket, now time.Time) error {
	var old [][]byte
	for k, v := range scan(b, nil) {
		if !isMove(k) {
			continue
		}
		var o record.Move
		if err := format.ReadJSON("move", v, &o); err != nil {
			return err
		}
		if now.Sub(o.Checked) > outcomeLife {
			old = append(old, bytes.Clone(k))
		}
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// isMove says whether a key of the evidence is that of a move.
func isMove(key []byte) bool {
	part := bytes.SplitN(key, []byte{0}, 4)
	return len(part) == 4 && string(part[2]) == sourceMove
}

// OutcomeScores counts outcomes, by target, what was said and what was seen.
func (db *DB) OutcomeScores() []record.MoveScore {
	db.mu.Lock()
	defer db.mu.Unlock()
	return scores(db.meta.Outcomes)
}

func scores(counts map[string]int) []record.MoveScore {
	out := make([]record.MoveScore, 0, len(counts))
	for key, n := range counts {
		if part := strings.Fields(key); len(part) == 3 {
			out = append(out, record.MoveScore{Target: part[0], Verdict: part[1], Result: record.MoveResult(part[2]), Instances: n})
		}
	}
	slices.SortFunc(out, func(a, b record.MoveScore) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Result, b.Result))
	})
	return out
}

// Outcomes returns the score and at most so many moves.
func (db *DB) Outcomes(limit int) (*record.MoveOutcomes, error) {
	out := &record.MoveOutcomes{Scores: db.OutcomeScores(), Moves: []record.Move{}}
	for _, s := range out.Scores {
		if s.Verdict == rules.Compatible.String() && s.Result == record.MoveNotUp {
			out.Wrong += s.Instances
		}
	}
	err := db.view(func(tx *bbolt.Tx) error {
		for k, v := range scan(tx.Bucket(bucketEvidence), nil) {
			if !isMove(k) {
				continue
			}
			var o record.Move
			if err := format.ReadJSON("move", v, &o); err != nil {
				return err
			}
			out.Moves = append(out.Moves, o)
		}
		return nil
	})
	slices.SortFunc(out.Moves, func(a, b record.Move) int {
		return cmp.Or(otherwise(&b)-otherwise(&a), b.MovedAt.Compare(a.MovedAt), cmp.Compare(a.InstanceID, b.InstanceID))
	})
	if n := max(limit, 0); len(out.Moves) > n {
		out.More, out.Moves = len(out.Moves)-n, out.Moves[:n]
	}
	return out, err
}

// otherwise is 1 for what went otherwise than was said.
func otherwise(o *record.Move) int {
	wrong := o.Verdict == rules.Compatible.String() && o.Result == record.MoveNotUp
	late := (o.Verdict == rules.Incompatible.String() || o.Verdict == rules.Unknown.String()) && o.Result == record.MoveUp
	switch {
	case wrong:
		return 2
	case late:
		return 1
	}
	return 0
}

// Unsettled are at most limit instances whose moves wait to be told and that were
// not seen for a while.
func (db *DB) Unsettled(now time.Time, limit int) (map[ecs.Scope][]string, error) {
	out, n := map[ecs.Scope][]string{}, 0
	err := db.view(func(tx *bbolt.Tx) error {
		for k, v := range scan(tx.Bucket(bucketEvidence), nil) {
			if n >= limit {
				return nil
			}
			if !isMove(k) {
				continue
			}
			var o record.Move
			if err := format.ReadJSON("move", v, &o); err != nil {
				return err
			}
			waits := o.Result == record.MoveEarly || o.Result == record.MoveRunning && o.HeardOf && now.Sub(o.MovedAt) < stopsAsking
			if waits && now.Sub(o.Checked) > settles {
				key := ecs.Scope{Account: o.Account, Region: o.Region}
				out[key] = append(out[key], o.InstanceID)
				n++
			}
		}
		return nil
	})
	return out, err
}
