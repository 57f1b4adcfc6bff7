package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
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
	if hardware[was].InstanceType == hardware[is].InstanceType {
		return 0, false
	}
	before, after := p.j.Machine(hardware[was]), p.j.Machine(hardware[is])
	from, knownBefore := rules.ClassOf(before.Virtualization, before.Generation)
	to, known := rules.ClassOf(after.Virtualization, after.Generation)
	return to, known && (!knownBefore || from != to)
}

// keepMove keeps what was said of an instance before it moved; before is its record,
// nil where nobody made it yet. A class that nothing is judged for has no
// outcome.
func (p *pager) keepMove(ordinal uint32, candidate *candidate, to rules.Class, before *record.Record) (err error) {
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
	verdict := &before.Verdicts[at]
	return p.keepOutcome(&record.Move{
		Account: p.sc.Account, Region: p.sc.Region, InstanceID: before.InstanceID, Target: to.String(),
		From: before.InstanceType, To: p.db.profs.hardware[p.db.profs.list[candidate.profile].Hardware].InstanceType,
		Verdict: verdict.Level.String(), Confidence: verdict.Confidence.String(), Rule: verdict.Rule,
		MovedAt: utc(p.order), Checked: utc(p.order), HeardOf: was.Guest.Up == rules.Yes,
		Result: record.MoveEarly, Why: "it was just moved",
	})
}

// keepOutcome stores an outcome and counts it. One that a later move of the
// instance replaces stays counted where it was told.
func (a *applier) keepOutcome(move *record.Move) error {
	bucket := a.tx.Bucket(bucketEvidence)
	key := append(evidencePrefix(ecs.Scope{Account: move.Account, Region: move.Region}, sourceMove), move.InstanceID...)
	var had record.Move
	if v := bucket.Get(key); v != nil {
		if err := format.ReadJSON("move", v, &had); err != nil {
			return err
		}
	}
	if a.db.meta.Outcomes == nil {
		a.db.meta.Outcomes = map[string]int{}
	}
	if !told(had.Result) { // nor is anything of the zero move counted
		if key := scoreKey(&had); a.db.meta.Outcomes[key] > 1 {
			a.db.meta.Outcomes[key]--
		} else {
			delete(a.db.meta.Outcomes, key)
		}
	}
	a.db.meta.Outcomes[scoreKey(move)]++
	if had.Result != move.Result && move.Result == record.MoveNotUp {
		a.out.NotUp = append(a.out.NotUp, *move)
	}
	return putJSON(bucket, key, move)
}

// told says whether a result is the last word on a move.
func told(r record.MoveResult) bool { return r == record.MoveUp || r == record.MoveNotUp }

// judgeOutcomes holds the moves of a scope against what is seen now.
func (a *applier) judgeOutcomes(sc *scope) error {
	prefix := evidencePrefix(sc.key, sourceMove)
	var open []record.Move
	for move, err := range moves(a.tx.Bucket(bucketEvidence), prefix) {
		if err != nil {
			return err
		}
		if !told(move.Result) {
			open = append(open, move)
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
		move := open[i]
		if err := a.judgeOutcome(sc, ix, &move); err != nil {
			return fmt.Errorf("hold the move of %s against what is seen: %w", move.InstanceID, err)
		}
		if move != open[i] {
			if err := a.keepOutcome(&move); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) judgeOutcome(sc *scope, ix *index, move *record.Move) error {
	ordinal, found := ix.findID([]byte(move.InstanceID))
	if !found || ix.at[ordinal].order < sc.Floor() {
		move.Running, move.Result, move.Why = nil, record.MoveNone, "it is not there any more"
		return nil
	}
	facts, err := a.facts(ix.at[ordinal].profile)
	if err != nil {
		return err
	}
	at := utc(ix.at[ordinal].order)
	move.Checked = at
	switch {
	case facts.InstanceType != move.To && !a.onClass(&facts, move.Target):
		move.Running, move.Result, move.Why = nil, record.MoveNone, "it was moved on"
	case facts.Running != rules.Yes:
		move.Running, move.Result, move.Why = nil, record.MoveNone, "it is not Running"
	case facts.Guest.Up == rules.Yes:
		move.Running = cmp.Or(move.Running, &at)
		move.Result, move.Why = record.MoveUp, "its guest was heard of after the move"
	case move.Running == nil:
		move.Running, move.Result, move.Why = &at, record.MoveEarly, "it is seen Running for the first time"
	case at.Sub(*move.Running) < settles:
		move.Result, move.Why = record.MoveEarly, "it is Running for too short a time to tell"
	case facts.Guest.Up == rules.No:
		move.Result, move.Why = record.MoveNotUp, fmt.Sprintf("it is Running since %s, and the console log of its last start ends in a panic, an emergency shell or before the kernel", move.Running.Format(time.RFC3339))
	default:
		return a.judgeSilence(sc.key, move)
	}
	return nil
}

// onClass says whether the machine of the facts is of a class.
func (a *applier) onClass(f *rules.Facts, class string) bool {
	m := a.j.Machine(f.Hardware())
	c, known := rules.ClassOf(m.Virtualization, m.Generation)
	return known && c.String() == class
}

// judgeSilence tells a guest that does not answer any more, or whose console log
// shows that it did not start, from one that was never heard of or not asked for.
func (a *applier) judgeSilence(key ecs.Scope, move *record.Move) error {
	beat, err := a.evidenceOf(key, event.EvidenceHeartbeat, move.InstanceID)
	if err != nil {
		return err
	}
	log, err := a.evidenceOf(key, event.EvidenceConsole, move.InstanceID)
	if err != nil {
		return err
	}
	end := ""
	if log.Console != nil && !log.Heard.Before(move.MovedAt) && log.Heard.Before(log.Asked.Add(clockOff)) { // else it is of before the move
		end = log.Console.End
	}
	asked := beat.Asked.Sub(*move.Running) >= settles
	switch {
	case (end == consolePanic || end == consoleStuck) && !beat.Heard.After(log.Heard):
		move.Result, move.Why = record.MoveNotUp, fmt.Sprintf("it is Running since %s, and its console log of %s shows that it did not start (%s)", move.Running.Format(time.RFC3339), log.Heard.UTC().Format(time.RFC3339), end)
	case end == consoleLogin:
		move.Result, move.Why = record.MoveUp, "its console log reached login after the move"
	case asked && !beat.Heard.Before(move.MovedAt) && beat.Heard.Before(beat.Asked.Add(clockOff)):
		move.Result, move.Why = record.MoveUp, "its guest was heard of after the move"
	case asked && move.HeardOf:
		move.Result, move.Why = record.MoveNotUp, fmt.Sprintf("it is Running since %s, its guest was heard of before the move and not since (asked at %s)", move.Running.Format(time.RFC3339), beat.Asked.UTC().Format(time.RFC3339))
	case !move.HeardOf:
		move.Result, move.Why = record.MoveRunning, "it is Running; its guest was never heard of, so that its silence tells nothing"
	default:
		move.Result, move.Why = record.MoveRunning, "it is Running; nobody asked for a heartbeat since the move"
	}
	return nil
}

// How a console log ends, as its evidence spells it.
const (
	consoleLogin = "login"
	consolePanic = "panic"
	consoleStuck = "stuck"
)

// evidenceOf is what is kept of one instance, the zero value where nothing is.
func (a *applier) evidenceOf(key ecs.Scope, source, id string) (item StoredEvidence, err error) {
	if v := a.tx.Bucket(bucketEvidence).Get(append(evidencePrefix(key, source), id...)); v != nil {
		item, err = readEvidence(v)
	}
	return item, err
}

// clockOff is how far clocks may be apart.
const clockOff = 5 * time.Minute

// moves reads the moves below a prefix of keys; nil is all of them.
func moves(bucket *bbolt.Bucket, prefix []byte) iter.Seq2[record.Move, error] {
	return func(yield func(record.Move, error) bool) {
		for key, value := range entries(bucket, prefix) {
			if !isMove(key) {
				continue
			}
			var move record.Move
			err := format.ReadJSON("move", value, &move)
			if !yield(move, err) || err != nil {
				return
			}
		}
	}
}

// isMove says whether a key of the evidence is that of a move.
func isMove(key []byte) bool {
	part := bytes.SplitN(key, []byte{0}, 4)
	return len(part) == 4 && string(part[2]) == sourceMove
}

// scores are the counts of outcomes, by target, what was said and what was seen.
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

// Outcomes returns the score and at most so many moves of what the view shows: of
// the instances that its accounts, regions and other words of the filter let
// through as they are now. The score of everything counts moves that are
// forgotten, too; a narrowed one counts those that are known.
func (v *View) Outcomes(ctx context.Context, limit int) (*record.MoveOutcomes, error) {
	limit = max(limit, 0)
	all := v.f.Everything()
	counts := map[string]int{}
	out := &record.MoveOutcomes{Moves: []record.Move{}}
	kept := func() {
		slices.SortFunc(out.Moves, func(a, b record.Move) int {
			return cmp.Or(otherwise(&b)-otherwise(&a), b.MovedAt.Compare(a.MovedAt), cmp.Compare(a.InstanceID, b.InstanceID))
		})
		first := min(len(out.Moves), limit)
		out.More += len(out.Moves) - first
		out.Moves = out.Moves[:first]
	}
	f := v.f
	f.Gone = true // a move is told of an instance that is gone, too
	matcher := v.matcher(&f)
	err := v.view(func(tx *bbolt.Tx) error {
		for move, err := range moves(tx.Bucket(bucketEvidence), nil) {
			if err = cmp.Or(err, ctx.Err()); err != nil {
				return err
			}
			if passes, err := v.moved(tx, matcher, &move); err != nil || !passes {
				if err != nil {
					return err
				}
				continue
			}
			counts[scoreKey(&move)]++
			if out.Moves = append(out.Moves, move); len(out.Moves) >= 2*limit+100 {
				kept()
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what became of moves: %w", err)
	}
	kept()
	if out.Scores = scores(counts); all {
		out.Scores = v.snap.outcomes
	}
	for _, s := range out.Scores {
		if s.Verdict == rules.Compatible.String() && s.Result == record.MoveNotUp {
			out.Wrong += s.Instances
		}
	}
	return out, nil
}

// moved says whether the view shows the instance of a move.
func (v *View) moved(tx *bbolt.Tx, matcher *matcher, move *record.Move) (bool, error) {
	key := ecs.Scope{Account: move.Account, Region: move.Region}
	if !v.f.within(key) {
		return false, nil
	}
	if v.f.scopesOnly() {
		return true, nil
	}
	for _, sc := range v.snap.scopes {
		if sc.key != key {
			continue
		}
		found, err := lookup(tx, sc.no, []string{move.InstanceID})
		row, known := found[move.InstanceID]
		if err != nil || !known {
			return false, err
		}
		shown := false
		before := move.InstanceID[:max(0, len(move.InstanceID)-1)]
		walk := &walker{reading: v.reading(), m: matcher, sc: sc, after: []byte(before), take: func(*bbolt.Tx, *candidateRow) error { shown = true; return nil }}
		if err := walk.begin(tx); err != nil {
			return false, err
		}
		err = walk.emit(tx, []byte(move.InstanceID), row)
		return shown, err
	}
	return false, nil
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
	out, count := map[ecs.Scope][]string{}, 0
	err := db.view(func(tx *bbolt.Tx) error {
		for move, err := range moves(tx.Bucket(bucketEvidence), nil) {
			if err != nil {
				return err
			}
			if count >= limit {
				return nil
			}
			waits := move.Result == record.MoveEarly || move.Result == record.MoveRunning && move.HeardOf && now.Sub(move.MovedAt) < stopsAsking
			if waits && now.Sub(move.Checked) > settles {
				key := ecs.Scope{Account: move.Account, Region: move.Region}
				out[key] = append(out[key], move.InstanceID)
				count++
			}
		}
		return nil
	})
	return out, err
}
