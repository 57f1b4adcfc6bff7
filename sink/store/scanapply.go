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
	s := a.db.running[id]
	if s == nil {
		if a.tx.Bucket(bucketEndedIDs).Get([]byte(id)) != nil {
			return nil, nil
		}
		s = scans.New(id, kind)
		if err := a.dropStub(); err != nil {
			return nil, err
		}
		a.db.running[id] = s
	}
	s.Touched = max(s.Touched, a.msg.Stored)
	a.scans[s] = true
	return s, nil
}

// dropStub forgets the oldest scan without a plan where there are too many.
func (a *applier) dropStub() error {
	var oldest *scans.Scan
	n := 0
	for _, s := range a.db.running {
		if !s.Planned {
			n++
			if oldest == nil || s.Touched < oldest.Touched {
				oldest = s
			}
		}
	}
	if n < maxStubs {
		return nil
	}
	return a.forget(oldest)
}

// forget removes a scan from the running ones.
func (a *applier) forget(s *scans.Scan) error {
	delete(a.db.running, s.ID)
	delete(a.scans, s)
	b := a.tx.Bucket(bucketProgress)
	for _, p := range s.Progress {
		delete(a.pages, p)
		if err := b.Delete(format.ProgressKey(s.ID, p.No)); err != nil {
			return err
		}
	}
	return a.tx.Bucket(bucketScans).Delete([]byte(s.ID))
}

// progress returns what the scan knows of the scope and marks it to be stored.
func (a *applier) progress(s *scans.Scan, sc *scope) *scans.Scope {
	p := s.Progress[sc.key]
	if p == nil {
		p = scans.NewScope(sc.key, sc.no)
		s.Progress[sc.key] = p
	}
	a.pages[p] = s
	return p
}

// known returns the scan and scope of a control message, or nils where it
// changes nothing.
func (a *applier) known(id string, kind event.Kind, key ecs.Scope) (*scans.Scan, *scans.Scope, error) {
	if !usable(id, key.Account, key.Region) {
		a.out.Invalid++
		return nil, nil, nil
	}
	s, err := a.scan(id, kind)
	if s == nil || err != nil {
		return nil, nil, err
	}
	_, had := a.db.scopes[key]
	sc := a.scope(&event.Walk{Scope: key})
	if !had {
		sc.Unread = s.Kind == event.KindRescan
	} else if s.Kind == event.KindScan {
		a.toldOf(sc)
	}
	return s, a.progress(s, sc), nil
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

func (a *applier) scanPlanned(m *event.ScanPlanned) error {
	if !usable(m.ScanID) || m.Kind != event.KindScan && m.Kind != event.KindRescan {
		a.out.Invalid++
		return nil
	}
	s, err := a.scan(m.ScanID, m.Kind)
	if s == nil || err != nil {
		return err
	}
	plan := *m
	if len(plan.InstanceIDs) > scans.MaxAsked {
		plan.InstanceIDs = plan.InstanceIDs[:scans.MaxAsked]
		a.out.Invalid++
	}
	plan.Scopes = nil
	for _, k := range m.Scopes {
		if usable(k.Account, k.Region) {
			plan.Scopes = append(plan.Scopes, k)
			continue
		}
		a.out.Invalid++
		plan.Failed = append(slices.Clip(plan.Failed), record.Failure{
			Account: k.Account, Region: k.Region, API: "shenscan", Class: ecs.BadAnswer.String(),
			Error: fmt.Sprintf("the store cannot keep an account or region of that name: it is empty, longer than %d bytes or has a NUL", maxID),
		})
	}
	if s.TakesPlans() && m.Kind == event.KindScan {
		a.planScopes(s, &plan)
	}
	if s.Plan(&plan, a.msg.Stored) {
		a.scanEvent(s.Report())
	}
	for _, key := range plan.Scopes {
		if p := s.Progress[key]; p != nil {
			if err := a.decide(s, p); err != nil {
				return err
			}
		}
	}
	return a.maybeEnd(s)
}

func (a *applier) scopePlanned(m *event.ScopePlanned) error {
	if !scans.ValidPlan(m) {
		a.out.Invalid++
		return nil
	}
	s, p, err := a.known(m.ScanID, m.Kind, m.Scope)
	if p == nil || err != nil {
		return err
	}
	p.Plan(m)
	return a.settled(s, p)
}

func (a *applier) laneEnded(m *event.LaneEnded) error {
	s, p, err := a.known(m.ScanID, m.Kind, m.Scope)
	if p == nil || err != nil {
		return err
	}
	w := p.Walk(m.Lane, m.Walk)
	if w == nil || len(m.Found)+len(m.NotFound)+len(m.NotRead) > scans.MaxAsked {
		a.out.Invalid++
		return nil
	}
	w.End(m)
	return a.settled(s, p)
}

func (a *applier) scopeFailed(m *event.ScopeFailed) error {
	s, p, err := a.known(m.ScanID, m.Kind, m.Scope)
	if p == nil || err != nil {
		return err
	}
	p.Refuse(m.Failure)
	return a.settled(s, p)
}

func (a *applier) pageFailed(m *event.PageFailed) error {
	s, p, err := a.known(m.ScanID, m.Kind, m.Scope)
	if p == nil || err != nil {
		return err
	}
	w := p.Walk(m.Lane, m.Walk)
	if w == nil || !w.Lose(m.Page, m.Failure) {
		a.out.Invalid++
		return nil
	}
	return a.settled(s, p)
}

func (a *applier) scanAborted(m *event.ScanAborted) error {
	if !usable(m.ScanID) {
		a.out.Invalid++
		return nil
	}
	kind := m.Kind
	if kind != event.KindRescan {
		kind = event.KindScan
	}
	s, err := a.scan(m.ScanID, kind)
	if s == nil || err != nil {
		return err
	}
	if s.Start.IsZero() {
		s.Start = utc(a.msg.Stored)
	}
	reason := m.Reason
	if reason == "" {
		reason = "aborted without a reason"
	}
	return a.end(s, reason)
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
func (a *applier) settled(s *scans.Scan, p *scans.Scope) error {
	if err := a.decide(s, p); err != nil {
		return err
	}
	return a.maybeEnd(s)
}

// decide brings the state of a scope up to date. A scope that is complete stays
// complete.
func (a *applier) decide(s *scans.Scan, p *scans.Scope) error {
	was, open := s.Decide(p)
	if !open {
		return nil
	}
	a.pages[p] = s
	sc := a.db.scopes[p.Key]
	if p.State == record.ScopeComplete && s.Kind == event.KindScan {
		settled, err := a.settle(s, p, sc)
		if err != nil {
			return err
		}
		if !settled {
			p.State = record.ScopePending
		}
	}
	if s.Kind == event.KindScan && p.State != record.ScopePending && p.State != was {
		if err := a.dispute(s, p, sc); err != nil {
			return err
		}
	}
	if p.State == record.ScopeComplete {
		if s.Kind == event.KindScan && len(p.Doubts) == 0 {
			if err := a.sweep(s, p, sc); err != nil {
				return err
			}
			if err := a.takeFleet(s.ID, sc); err != nil {
				return err
			}
		}
		p.Close()
	}
	if p.State != record.ScopePending && p.State != was {
		p.Decided = a.msg.Stored
		if err := a.judgeOutcomes(sc); err != nil {
			return err
		}
	}
	if p.State == record.ScopePending || p.State == was || s.Kind != event.KindScan {
		return nil
	}
	row := p.Report()
	row.Failures = p.Failures()
	sc.End(s.ID, s.Epoch.UnixNano(), &row, a.msg.Stored)
	a.scopes[sc] = true
	a.fold[sc] = true
	return nil
}

// sweep marks as gone what a complete scan did not list: it raises the scope's floor
// to the scan's epoch, and every row last observed before the floor is gone.
func (a *applier) sweep(s *scans.Scan, p *scans.Scope, sc *scope) error {
	ix, err := a.index(sc)
	if err != nil {
		return err
	}
	floor, epoch := sc.Floor(), s.Epoch.UnixNano()
	for i := range ix.at {
		order := ix.at[i].order
		if order < floor || order >= epoch {
			continue
		}
		ordinal := uint32(i)
		class := a.db.classAt(ix, ordinal)
		row, err := ix.row(a.tx, sc.no, ordinal)
		if err != nil {
			return err
		}
		sc.leave(class)
		a.db.went(class, 1)
		sc.gone++
		p.Gone++
		c := a.db.classes.at(class)
		if err := a.history(sc, format.RowID(row), &record.Change{At: utc(epoch), ScanID: s.ID, Cause: "gone", Before: a.j.levels(c), OS: c.OS()}); err != nil {
			return err
		}
	}
	s.Gone += p.Gone
	a.out.Gone += p.Gone
	sc.AddEpoch(epoch)
	a.scopes[sc] = true
	return nil
}

func (a *applier) maybeEnd(s *scans.Scan) error {
	if !s.Ended() {
		return nil
	}
	return a.end(s, "")
}

// end writes the end of a scan. abort says why it was aborted, "" where it was not.
func (a *applier) end(s *scans.Scan, abort string) error {
	final := s.Final(max(a.msg.Stored, s.Start.UnixNano()), abort)
	if s.Kind == event.KindScan {
		if err := a.endScopes(s, &final); err != nil {
			return err
		}
	}
	if err := a.forget(s); err != nil {
		return err
	}
	end := endedScan{Scan: final}
	switch {
	case s.Kind == event.KindRescan:
		end.Outcomes = s.Outcomes(abort)
		end.Asked = scans.CountOutcomes(end.Outcomes)
		final.Asked = end.Asked
	case s.Planned: // a scan whose request was dead-lettered read nothing and is no point of the trend
		end.Trend = a.db.trend(&final, a.j)
	}
	if err := a.storeEnded(&end); err != nil {
		return err
	}
	a.scanEvent(final)
	if s.Kind == event.KindScan && s.Planned {
		if err := a.point(record.PointScan, &final); err != nil {
			return fmt.Errorf("count the progress at the end of scan %s: %w", s.ID, err)
		}
	}
	return nil
}

// endScopes gives accounts, and scopes that were not decided on their own,
// their standing.
func (a *applier) endScopes(s *scans.Scan, final *record.Scan) error {
	epoch := s.Epoch.UnixNano()
	accounts := map[string]*AccountStatus{}
	took := map[string]time.Duration{}
	for _, acc := range final.Accounts {
		took[acc.Account] = time.Duration(acc.Seconds * float64(time.Second))
	}
	for i := range final.Scopes {
		row := &final.Scopes[i]
		if !usable(row.Account) {
			continue
		}
		acc := accounts[row.Account]
		if acc == nil {
			acc = &AccountStatus{ScanID: s.ID, Epoch: epoch, EndedAt: *final.EndedAt, Duration: took[row.Account]}
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
		if p := s.Progress[key]; p != nil && p.State != record.ScopePending {
			continue // its event was published when it was decided
		}
		sc := a.scope(&event.Walk{Scope: key})
		a.toldOf(sc)
		sc.End(s.ID, epoch, row, a.msg.Stored)
		a.scopes[sc] = true
		if sc.ix != nil {
			a.fold[sc] = true
		}
	}
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

// storeScans writes what the running scans have come to.
func (a *applier) storeScans() error {
	b := a.tx.Bucket(bucketProgress)
	for p, s := range a.pages {
		v, err := format.JSON(p)
		if err != nil {
			return err
		}
		if err := b.Put(format.ProgressKey(s.ID, p.No), v); err != nil {
			return err
		}
	}
	b = a.tx.Bucket(bucketScans)
	for s := range a.scans {
		v, err := format.JSON(s)
		if err != nil {
			return err
		}
		if err := b.Put([]byte(s.ID), v); err != nil {
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

func (a *applier) storeEnded(e *endedScan) error {
	body, err := format.Packed(e)
	if err != nil {
		return err
	}
	key := endedKey(&e.Scan)
	if err := a.tx.Bucket(bucketEnded).Put(key, body); err != nil {
		return err
	}
	if err := a.tx.Bucket(bucketEndedIDs).Put([]byte(e.ID), key); err != nil {
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
	b, ids := a.tx.Bucket(bucketEnded), a.tx.Bucket(bucketEndedIDs)
	var keys [][]byte
	for k := range scan(b, kind) {
		keys = append(keys, append([]byte(nil), k...))
	}
	for n := len(keys) - a.db.o.KeepScans; n > 0; n-- {
		if err := b.Delete(keys[0]); err != nil {
			return err
		}
		if err := ids.Delete(keys[0][9:]); err != nil {
			return err
		}
		keys = keys[1:]
	}
	return nil
}

func readEnded(v []byte) (*endedScan, error) {
	e := &endedScan{}
	return e, format.ReadPacked("ended scan", v, 64<<20, e)
}
