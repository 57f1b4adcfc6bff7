package store

import (
	"cmp"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

func compareFailures(a, b record.Failure) int {
	return cmp.Or(
		cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.API, b.API),
		cmp.Compare(a.Class, b.Class), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Error, b.Error),
		cmp.Compare(a.Mend, b.Mend), cmp.Compare(a.RequestID, b.RequestID))
}

func compareScopes(a, b ecs.Scope) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
}

func newScan(id string, kind event.Kind) *scanState {
	return &scanState{ID: id, Kind: kind, progress: map[ecs.Scope]*progress{}}
}

// plan takes an announcement of the scan's scopes and reports whether it is the
// first. A request that was delivered twice is announced twice: the scopes of
// the first announcement count, and the earliest epoch, since no page of the
// scan was observed before it.
func (s *scanState) plan(m *event.ScanPlanned, stored int64) bool {
	first := !s.Planned
	if first || m.Epoch.Before(s.Epoch) {
		s.Epoch = m.Epoch.UTC()
	}
	if first {
		s.Kind, s.Reason, s.Failed = m.Kind, m.Reason, m.Failed
		s.Asked = slices.Compact(slices.Sorted(slices.Values(m.InstanceIDs)))
		s.Scopes = slices.Clone(m.Scopes)
		slices.SortFunc(s.Scopes, compareScopes)
		s.Scopes = slices.Compact(s.Scopes)
		s.Start = s.Epoch
		if s.Start.IsZero() || s.Start.Unix() <= 0 {
			s.Start = utc(stored)
		}
	}
	s.Planned = true
	return first
}

// ended says whether every planned scope is decided.
func (s *scanState) ended() bool {
	if !s.Planned {
		return false
	}
	for _, sc := range s.Scopes {
		if p := s.progress[sc]; p == nil || p.State == record.ScopePending {
			return false
		}
	}
	return true
}

// report is the scan as it stands.
func (s *scanState) report() record.Scan {
	out := record.Scan{
		ID: s.ID, Kind: string(s.Kind), State: record.ScanRunning, Reason: s.Reason, StartedAt: s.Start,
		Regions: len(s.Scopes) + len(s.Failed), Gone: s.Gone, New: s.New, Changed: s.Changed, Scopes: []record.ScanScope{},
		Excluded: s.Excluded,
	}
	for _, sc := range s.Scopes {
		row := record.ScanScope{Account: sc.Account, Region: sc.Region, Completeness: record.ScopePending}
		if p := s.progress[sc]; p != nil {
			row = p.report()
		}
		if row.Completeness != record.ScopePending {
			out.Done++
		}
		out.Instances += row.Instances
		out.Pages += row.Pages
		out.Scopes = append(out.Scopes, row)
	}
	for _, f := range s.Failed {
		out.Done++
		out.Scopes = append(out.Scopes, record.ScanScope{Account: f.Account, Region: f.Region, Completeness: record.ScopeFailed, Failures: []record.Failure{f}})
	}
	slices.SortStableFunc(out.Scopes, func(a, b record.ScanScope) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return out
}

// final is the scan at its end. abort is the reason of an aborted one.
func (s *scanState) final(end int64, abort string) record.Scan {
	out := s.report()
	at := utc(end)
	out.EndedAt = &at
	out.State = record.ScanComplete
	for i := range out.Scopes {
		sc := &out.Scopes[i]
		if abort != "" && sc.Completeness == record.ScopePending {
			sc.Completeness = record.ScopeFailed
			if sc.Pages > 0 {
				sc.Completeness = record.ScopePartial
			}
			sc.Failures = append(sc.Failures, record.Failure{
				Account: sc.Account, Region: sc.Region, API: "scan", Class: "aborted", Error: abort, Mend: "start another scan",
			})
		}
		if sc.Completeness == record.ScopePartial || sc.Completeness == record.ScopeFailed {
			out.State = record.ScanPartial
		}
	}
	if abort != "" {
		out.State, out.Reason, out.Done = record.ScanAborted, abort, out.Regions
	}
	return out
}
