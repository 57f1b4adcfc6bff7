package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// maxStubs bounds the scans of which messages have come but no plan.
const maxStubs = 1024

// scan returns the running scan with the id, or nil where it has ended.
func (a *applier) scan(id string, kind event.Kind) (*scans.Scan, error) {
	state := a.db.running[id]
	if state == nil {
		if a.tx.Bucket(bucketEndedIDs).Get([]byte(id)) != nil {
			return nil, nil
		}
		state = scans.New(id, kind)
		if err := a.dropStub(); err != nil {
			return nil, err
		}
		a.db.running[id] = state
	}
	state.Touched = max(state.Touched, a.msg.Stored)
	a.scans[state] = true
	return state, nil
}

// dropStub forgets the oldest scan without a plan where there are too many.
func (a *applier) dropStub() error {
	var oldest *scans.Scan
	dropped := 0
	for _, state := range a.db.running {
		if !state.Planned {
			dropped++
			if oldest == nil || state.Touched < oldest.Touched {
				oldest = state
			}
		}
	}
	if dropped < maxStubs {
		return nil
	}
	return a.forget(oldest)
}

// forget removes a scan from the running ones.
func (a *applier) forget(state *scans.Scan) error {
	delete(a.db.running, state.ID)
	delete(a.scans, state)
	bucket := a.tx.Bucket(bucketProgress)
	for _, p := range state.Progress {
		delete(a.pages, p)
		if err := bucket.Delete(format.ProgressKey(state.ID, p.No)); err != nil {
			return err
		}
	}
	return a.tx.Bucket(bucketScans).Delete([]byte(state.ID))
}

// progress returns what the scan knows of the scope and marks it to be stored.
func (a *applier) progress(state *scans.Scan, sc *scope) *scans.Scope {
	scope := state.Progress[sc.key]
	if scope == nil {
		scope = scans.NewScope(sc.key, sc.no)
		state.Progress[sc.key] = scope
	}
	a.pages[scope] = state
	return scope
}

// known returns the scan and scope of a control message, or nils where it
// changes nothing.
func (a *applier) known(id string, kind event.Kind, key ecs.Scope) (*scans.Scan, *scans.Scope, error) {
	if !usable(id, key.Account, key.Region) {
		a.out.Invalid++
		return nil, nil, nil
	}
	state, err := a.scan(id, kind)
	if state == nil || err != nil {
		return nil, nil, err
	}
	_, had := a.db.scopes[key]
	sc := a.scope(&event.Walk{Scope: key})
	if !had {
		sc.Unread = state.Kind == event.KindRescan
	} else if state.Kind == event.KindScan {
		a.toldOf(sc)
	}
	return state, a.progress(state, sc), nil
}

// toldOf notes that something of the scope has changed which the next snapshot has
// to show.
func (a *applier) toldOf(sc *scope) {
	if sc.Unread {
		sc.Unread, sc.snap = false, nil
		a.scopes[sc] = true
		a.db.meta.Forgotten = slices.DeleteFunc(slices.Clone(a.db.meta.Forgotten), func(f record.Forgotten) bool { return f.Account == sc.Account && f.Region == sc.Region })
	}
}

func (a *applier) scanPlanned(planned *event.ScanPlanned) error {
	if !usable(planned.ScanID) || planned.Kind != event.KindScan && planned.Kind != event.KindRescan {
		a.out.Invalid++
		return nil
	}
	state, err := a.scan(planned.ScanID, planned.Kind)
	if state == nil || err != nil {
		return err
	}
	plan := *planned
	if len(plan.InstanceIDs) > scans.MaxAsked {
		plan.InstanceIDs = plan.InstanceIDs[:scans.MaxAsked]
		a.out.Invalid++
	}
	plan.Scopes = nil
	for _, scope := range planned.Scopes {
		if usable(scope.Account, scope.Region) {
			plan.Scopes = append(plan.Scopes, scope)
			continue
		}
		a.out.Invalid++
		plan.Failed = append(slices.Clip(plan.Failed), record.Failure{
			Account: scope.Account, Region: scope.Region, API: "shenscan", Class: ecs.BadAnswer.String(),
			Error: fmt.Sprintf("the store cannot keep an account or region of that name: it is empty, longer than %d bytes or has a NUL", maxID),
		})
	}
	if state.TakesPlans() && planned.Kind == event.KindScan {
		if err := a.correctClock(planned.Epoch.UnixNano()); err != nil {
			return err
		}
		a.planScopes(state, &plan)
	}
	if state.Plan(&plan, a.msg.Stored) {
		a.scanEvent(state.Report())
	}
	for _, key := range plan.Scopes {
		if p := state.Progress[key]; p != nil {
			if err := a.decide(state, p); err != nil {
				return err
			}
		}
	}
	return a.maybeEnd(state)
}

func (a *applier) scopePlanned(planned *event.ScopePlanned) error {
	if !scans.ValidPlan(planned) {
		a.out.Invalid++
		return nil
	}
	state, scope, err := a.known(planned.ScanID, planned.Kind, planned.Scope)
	if scope == nil || err != nil {
		return err
	}
	scope.Plan(planned)
	return a.settled(state, scope)
}

func (a *applier) laneEnded(ended *event.LaneEnded) error {
	state, scope, err := a.known(ended.ScanID, ended.Kind, ended.Scope)
	if scope == nil || err != nil {
		return err
	}
	walk := scope.Walk(ended.Lane, ended.Walk)
	if walk == nil || len(ended.Found)+len(ended.NotFound)+len(ended.NotRead) > scans.MaxAsked {
		a.out.Invalid++
		return nil
	}
	walk.End(ended)
	return a.settled(state, scope)
}

func (a *applier) scopeFailed(failed *event.ScopeFailed) error {
	state, scope, err := a.known(failed.ScanID, failed.Kind, failed.Scope)
	if scope == nil || err != nil {
		return err
	}
	scope.Refuse(failed.Failure)
	return a.settled(state, scope)
}

func (a *applier) pageFailed(failed *event.PageFailed) error {
	state, scope, err := a.known(failed.ScanID, failed.Kind, failed.Scope)
	if scope == nil || err != nil {
		return err
	}
	w := scope.Walk(failed.Lane, failed.Walk)
	if w == nil || !w.Lose(failed.Page, failed.Failure) {
		a.out.Invalid++
		return nil
	}
	return a.settled(state, scope)
}

func (a *applier) scanAborted(aborted *event.ScanAborted) error {
	if !usable(aborted.ScanID) {
		a.out.Invalid++
		return nil
	}
	kind := aborted.Kind
	if kind != event.KindRescan {
		kind = event.KindScan
	}
	state, err := a.scan(aborted.ScanID, kind)
	if state == nil || err != nil {
		return err
	}
	if state.Start.IsZero() {
		state.Start = utc(a.msg.Stored)
	}
	reason := aborted.Reason
	if reason == "" {
		reason = "aborted without a reason"
	}
	return a.end(state, reason)
}

// count adds the page to the numbers of its scan.
func (p *pager) count() error {
	if !p.pr.Page(p.m.Lane, p.m.Walk.Walk, p.m.Page, &p.tally) {
		p.out.Invalid++
		return nil
	}
	for _, f := range p.m.Failures {
		p.pr.LookupFailed(f)
	}
	if w := p.pr.Walk(p.m.Lane, p.m.Walk.Walk); !w.Ended {
		return nil
	}
	return p.settled(p.scan, p.pr)
}

// settled decides what a scope has come to, and ends the scan if it was the last one.
func (a *applier) settled(state *scans.Scan, p *scans.Scope) error {
	if err := a.decide(state, p); err != nil {
		return err
	}
	return a.maybeEnd(state)
}

// decide brings the state of a scope up to date. A scope that is complete stays
// complete.
func (a *applier) decide(state *scans.Scan, scope *scans.Scope) error {
	was, open := state.Decide(scope)
	if !open {
		return nil
	}
	a.pages[scope] = state
	sc := a.db.scopes[scope.Key]
	if scope.State == record.ScopeComplete && state.Kind == event.KindScan {
		settled, err := a.settle(state, scope, sc)
		if err != nil {
			return err
		}
		if !settled {
			scope.State = record.ScopePending
		}
	}
	if state.Kind == event.KindScan && scope.State != record.ScopePending && scope.State != was {
		if err := a.dispute(state, scope, sc); err != nil {
			return err
		}
	}
	if scope.State == record.ScopeComplete {
		if state.Kind == event.KindScan && len(scope.Doubts) == 0 {
			if err := a.sweep(state, scope, sc); err != nil {
				return err
			}
			if err := a.takeFleet(state.ID, sc); err != nil {
				return err
			}
		}
		scope.Close()
	}
	if scope.State != record.ScopePending && scope.State != was {
		scope.Decided = a.msg.Stored
		if err := a.judgeOutcomes(sc); err != nil {
			return err
		}
	}
	if scope.State == record.ScopePending || scope.State == was || state.Kind != event.KindScan {
		return nil
	}
	if scope.Emptied && sc.EmptyEpoch == 0 {
		sc.EmptyEpoch = state.Epoch.UnixNano()
	}
	row := scope.Report()
	row.Failures = scope.Failures()
	sc.End(state.ID, state.Epoch.UnixNano(), &row, a.msg.Stored)
	a.scopes[sc] = true
	a.fold[sc] = true
	return nil
}

// sweep marks as gone what a complete scan did not list: it raises the scope's floor
// to the scan's epoch, and every row last observed before the floor is gone.
func (a *applier) sweep(state *scans.Scan, scope *scans.Scope, sc *scope) error {
	epoch := state.Epoch.UnixNano()
	err := a.notSeen(sc, state, func(ordinal uint32, id []byte) error {
		class := a.db.classAt(sc.ix, ordinal)
		sc.leave(class)
		a.db.went(class, 1)
		sc.gone++
		scope.Gone++
		c := a.db.classes.at(class)
		return a.history(sc, id, &record.Change{At: utc(epoch), ScanID: state.ID, Cause: "gone", Before: a.j.levels(c), OS: c.OS()})
	})
	if err != nil {
		return err
	}
	state.Gone += scope.Gone
	a.out.Gone += scope.Gone
	sc.AddEpoch(epoch)
	a.scopes[sc] = true
	return nil
}

func (a *applier) maybeEnd(state *scans.Scan) error {
	if !state.Ended() {
		return nil
	}
	return a.end(state, "")
}

// end writes the end of a scan. abort says why it was aborted, "" where it was not.
func (a *applier) end(state *scans.Scan, abort string) error {
	final := state.Final(max(a.msg.Stored, state.Start.UnixNano()), abort)
	if state.Kind == event.KindScan {
		if err := a.endScopes(state, &final); err != nil {
			return err
		}
	}
	if err := a.forget(state); err != nil {
		return err
	}
	end := endedScan{Scan: final}
	switch {
	case state.Kind == event.KindRescan:
		end.Outcomes = state.Outcomes(abort)
		end.Asked = scans.CountOutcomes(end.Outcomes)
		final.Asked = end.Asked
	case state.Planned: // a scan whose request was dead-lettered read nothing and is no point of the trend
		end.Trend = a.db.trend(&final, a.j)
	}
	if err := a.storeEnded(&end); err != nil {
		return err
	}
	a.scanEvent(final)
	if state.Kind == event.KindScan && state.Planned {
		if err := a.point(record.PointScan, &final); err != nil {
			return fmt.Errorf("count the progress at the end of scan %s: %w", state.ID, err)
		}
	}
	return nil
}

// endScopes gives accounts, and scopes that were not decided on their own,
// their standing.
func (a *applier) endScopes(state *scans.Scan, final *record.Scan) error {
	epoch := state.Epoch.UnixNano()
	accounts := map[string]*AccountStatus{}
	var unidentified []event.Unidentified
	took := map[string]time.Duration{}
	for _, acc := range final.Accounts {
		took[acc.Account] = time.Duration(acc.Seconds * float64(time.Second))
	}
	for i := range final.Scopes {
		row := &final.Scopes[i]
		if row.Account == "" {
			for _, failure := range row.Failures {
				unidentified = append(unidentified, event.Unidentified{Name: row.AccountName, Failure: failure})
			}
		}
		if !usable(row.Account) {
			continue
		}
		acc := accounts[row.Account]
		if acc == nil {
			acc = &AccountStatus{ScanID: state.ID, Epoch: epoch, EndedAt: *final.EndedAt, Duration: took[row.Account]}
			accounts[row.Account] = acc
		}
		known := a.db.scopes[ecs.Scope{Account: row.Account, Region: row.Region}]
		if unlisted := known != nil && known.Unlisted != 0; !unlisted && (row.Completeness == record.ScopeFailed || row.Completeness == record.ScopePartial) {
			acc.FailedRegions++
		}
		if !usable(row.Region) {
			acc.Failures = append(acc.Failures, row.Failures...)
			continue
		}
		key := ecs.Scope{Account: row.Account, Region: row.Region}
		if p := state.Progress[key]; p != nil && p.State != record.ScopePending {
			continue // its event was published when it was decided
		}
		sc := a.scope(&event.Walk{Scope: key})
		a.toldOf(sc)
		sc.End(state.ID, epoch, row, a.msg.Stored)
		a.scopes[sc] = true
		if sc.ix != nil {
			a.fold[sc] = true
		}
	}
	a.keepUnidentified(state, unidentified, *final.EndedAt)
	for name, acc := range accounts {
		if had, ok := a.db.meta.Accounts[name]; !ok || epoch >= had.Epoch {
			if a.db.meta.Accounts == nil {
				a.db.meta.Accounts = map[string]AccountStatus{}
			}
			a.db.meta.Accounts[name] = *acc
		}
	}
	return nil
}

// keepUnidentified keeps what a scan failed of before it was known of which account. A
// scan that looked at every account knows all of it, but for what a newer one told. One of
// named accounts knows of these alone, and one whose request could not be read of none:
// what was known of the others stays, or a report would be complete without them.
func (a *applier) keepUnidentified(state *scans.Scan, failed []event.Unidentified, at time.Time) {
	var had unidentified
	if a.db.meta.Unidentified != nil {
		had = *a.db.meta.Unidentified
	}
	epoch, all := state.Epoch.UnixNano(), state.Planned && !state.Named
	if state.Planned && epoch < had.Epoch {
		return
	}
	older := epoch < had.Newest
	if !all || older {
		kept := slices.DeleteFunc(slices.Clone(had.Failed), func(was event.Unidentified) bool {
			identified := !older && was.Name != "" && slices.ContainsFunc(state.Accounts, func(x record.AccountLabel) bool { return x.Name == was.Name })
			return identified || slices.ContainsFunc(failed, func(now event.Unidentified) bool {
				return now.Name == was.Name && now.Failure.API == was.Failure.API && now.Failure.Class == was.Failure.Class
			})
		})
		if !all && len(failed) == 0 && len(kept) == len(had.Failed) {
			return
		}
		failed = append(kept, failed...)
	}
	next := &unidentified{ScanID: state.ID, Epoch: had.Epoch, Newest: max(had.Newest, epoch), EndedAt: at, Failed: failed}
	if all { // also where nothing failed: an older scan that ends later says nothing then
		next.Epoch = epoch
	}
	a.db.meta.Unidentified = next
}

// storeScans writes what the running scans have come to.
func (a *applier) storeScans() error {
	bucket := a.tx.Bucket(bucketProgress)
	for scope, state := range a.pages {
		if err := putJSON(bucket, format.ProgressKey(state.ID, scope.No), scope); err != nil {
			return err
		}
	}
	bucket = a.tx.Bucket(bucketScans)
	for state := range a.scans {
		if err := putJSON(bucket, []byte(state.ID), state); err != nil {
			return err
		}
	}
	return nil
}

// endedScan is what is kept of a scan that ended.
type endedScan struct {
	record.Scan
	Trend    *TrendPoint            `json:"trend,omitempty"`
	Outcomes []record.AskedInstance `json:"outcomes,omitempty"` // of a rescan, by id
}

func (a *applier) storeEnded(endedScan *endedScan) error {
	body, err := format.Packed(endedScan)
	if err != nil {
		return err
	}
	key := endedKey(&endedScan.Scan)
	if err := a.tx.Bucket(bucketEnded).Put(key, body); err != nil {
		return err
	}
	if err := a.tx.Bucket(bucketEndedIDs).Put([]byte(endedScan.ID), key); err != nil {
		return err
	}
	return a.trimEnded(key[:1])
}

// ended is when a scan that ended did so, by the broker's clock.
func (a *applier) ended(id string) int64 {
	key := a.tx.Bucket(bucketEndedIDs).Get([]byte(id))
	if len(key) < 9 {
		return math.MaxInt64
	}
	return int64(binary.BigEndian.Uint64(key[1:9]))
}

// endedKey sorts scans before rescans, each by their end.
func endedKey(s *record.Scan) []byte {
	kind := byte('s')
	if s.Kind == string(event.KindRescan) {
		kind = 'z'
	}
	return append(append([]byte{kind}, format.Key64(uint64(s.EndedAt.UnixNano()))...), s.ID...)
}

// trimEnded forgets the oldest scans of a kind beyond KeepScans.
func (a *applier) trimEnded(kind []byte) error {
	bucket, ids := a.tx.Bucket(bucketEnded), a.tx.Bucket(bucketEndedIDs)
	keys := keysOf(bucket, kind)
	old := keys[:max(0, len(keys)-a.db.o.KeepScans)]
	for _, key := range old {
		if err := ids.Delete(key[9:]); err != nil {
			return err
		}
	}
	return deleteKeys(bucket, old)
}

func readEnded(v []byte) (*endedScan, error) {
	e := &endedScan{}
	return e, format.ReadPacked("ended scan", v, 64<<20, e)
}
