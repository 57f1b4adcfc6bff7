package scans

import (
	"cmp"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Scan is a scan or rescan that runs, or whose first messages overtook its
// plan.
type Scan struct {
	ID      string           `json:"id"`
	Kind    event.Kind       `json:"kind"`
	Planned bool             `json:"planned"`
	Reason  string           `json:"reason"`
	Epoch   time.Time        `json:"epoch"` // no page of it was observed before
	Start   time.Time        `json:"start"`
	Scopes  []ecs.Scope      `json:"scopes"` // planned, by account and region
	Failed  []record.Failure `json:"failed"` // accounts and regions that could not be planned
	// Unidentified names the accounts of which those among Failed are whose id could
	// not be found out.
	Unidentified []event.Unidentified  `json:"unidentified,omitempty"`
	Excluded     []record.AccountLabel `json:"excluded,omitempty"`
	New          int                   `json:"new"`
	Changed      int                   `json:"changed"`
	Gone         int                   `json:"gone"`
	Open         bool                  `json:"open,omitempty"`     // parts of the announcement are still to come
	Named        bool                  `json:"named,omitempty"`    // it is about accounts that somebody named, and no others
	Accounts     []record.AccountLabel `json:"accounts,omitempty"` // that the announcement named, by id
	Awaited      []string              `json:"awaited,omitempty"`  // of them, those whose regions are not known yet
	Touched      int64                 `json:"touched"`            // broker's time of its last message, unix nanoseconds
	Asked        []string              `json:"asked,omitempty"`    // ids of a rescan, ascending

	Progress map[ecs.Scope]*Scope `json:"-"`
}

// New returns a scan of which nothing but its id is known.
func New(id string, kind event.Kind) *Scan {
	return &Scan{ID: id, Kind: kind, Progress: map[ecs.Scope]*Scope{}}
}

// TakesPlans says whether an announcement adds to what the scan is about: its
// last part has not come.
func (s *Scan) TakesPlans() bool { return !s.Planned || s.Open }

// Plan takes an announcement of the scan's scopes, or a part of it, and reports
// whether it is the first. A request that was delivered twice is announced
// twice: what came until the announcement ended counts, and the earliest epoch,
// since no page of the scan was observed before it. stored is the broker's time
// of the message, in unix nanoseconds.
func (s *Scan) Plan(planned *event.ScanPlanned, stored int64) bool {
	first := !s.Planned
	if first || planned.Epoch.Before(s.Epoch) {
		s.Epoch = planned.Epoch.UTC()
	}
	if first {
		s.Kind, s.Reason = planned.Kind, planned.Reason
		s.Start = s.Epoch
		if s.Start.IsZero() || s.Start.Unix() <= 0 {
			s.Start = unixNano(stored)
		}
	}
	if s.TakesPlans() {
		s.Asked = slices.Compact(slices.Sorted(slices.Values(append(s.Asked, planned.InstanceIDs...))))
		for _, f := range planned.Failed {
			if !slices.Contains(s.Failed, f) {
				s.Failed = append(s.Failed, f)
			}
		}
		for _, u := range planned.Unidentified {
			if !slices.Contains(s.Unidentified, u) {
				s.Unidentified = append(s.Unidentified, u)
			}
		}
		s.Named = s.Named || planned.Named
		s.Scopes = append(s.Scopes, planned.Scopes...)
		slices.SortFunc(s.Scopes, ecs.Scope.Compare)
		s.Scopes = slices.Compact(s.Scopes)
		for i := range planned.Accounts {
			s.account(&planned.Accounts[i])
		}
		if s.Open = planned.More; !s.Open {
			s.Awaited = nil
		}
	}
	s.Planned = true
	return first
}

// account notes what the announcement says of one account.
func (s *Scan) account(plannedAccount *event.PlannedAccount) {
	if plannedAccount.Excluded {
		return
	}
	at, found := slices.BinarySearchFunc(s.Accounts, plannedAccount.ID, func(x record.AccountLabel, id string) int { return cmp.Compare(x.Account, id) })
	if !found {
		s.Accounts = slices.Insert(s.Accounts, at, record.AccountLabel{Account: plannedAccount.ID, Name: plannedAccount.Name})
	}
	at, awaited := slices.BinarySearch(s.Awaited, plannedAccount.ID)
	switch {
	case awaited && !plannedAccount.Pending:
		s.Awaited = slices.Delete(s.Awaited, at, at+1)
	case !awaited && !found && plannedAccount.Pending:
		s.Awaited = slices.Insert(s.Awaited, at, plannedAccount.ID)
	}
}

// Names says whether the announcement named the account as one to be looked at.
func (s *Scan) Names(account string) bool {
	_, found := slices.BinarySearchFunc(s.Accounts, account, func(x record.AccountLabel, id string) int { return cmp.Compare(x.Account, id) })
	return found
}

// Plans reports whether the scope is one of those that the scan is to read.
// Before the plan has come none is.
func (s *Scan) Plans(key ecs.Scope) bool {
	_, found := slices.BinarySearchFunc(s.Scopes, key, ecs.Scope.Compare)
	return s.Planned && found
}

// Decide brings the standing of a scope up to date and returns what it was. A
// scope that is whole, or not planned, stays as it is: the second result is
// false. A scope whose listing is complete is not whole yet: see Settle and
// Scope.Close.
func (s *Scan) Decide(scope *Scope) (was record.Completeness, open bool) {
	was = scope.State
	if scope.Whole || !s.Plans(scope.Key) {
		return was, false
	}
	scope.State = scope.standing()
	return was, true
}

// Ended says whether every planned scope is decided.
func (s *Scan) Ended() bool {
	if s.TakesPlans() {
		return false
	}
	for _, key := range s.Scopes {
		if p := s.Progress[key]; p == nil || p.State == record.ScopePending {
			return false
		}
	}
	return true
}

// Report is the scan as it stands.
func (s *Scan) Report() record.Scan {
	out := record.Scan{
		ID: s.ID, Kind: string(s.Kind), State: record.ScanRunning, Reason: s.Reason, StartedAt: s.Start,
		Regions: len(s.Scopes) + len(s.Failed), Gone: s.Gone, New: s.New, Changed: s.Changed, Scopes: []record.ScanScope{},
		Excluded: s.Excluded,
	}
	for _, key := range s.Scopes {
		row := record.ScanScope{Account: key.Account, Region: key.Region, Completeness: record.ScopePending}
		if p := s.Progress[key]; p != nil {
			row = p.Report()
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
		out.Scopes = append(out.Scopes, record.ScanScope{Account: f.Account, AccountName: s.unidentified(f), Region: f.Region, Completeness: record.ScopeFailed, Failures: []record.Failure{f}})
	}
	slices.SortStableFunc(out.Scopes, func(a, b record.ScanScope) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	out.Accounts = s.accounts(out.Scopes)
	return out
}

// unidentified is the name of the account that a failure is of, where its id could not
// be found out, "" of any other failure.
func (s *Scan) unidentified(f record.Failure) string {
	for _, u := range s.Unidentified {
		if u.Failure == f {
			return u.Name
		}
	}
	return ""
}

// accounts sums the scopes, which are sorted, up by account.
func (s *Scan) accounts(scopes []record.ScanScope) []record.ScanAccount {
	var out []record.ScanAccount
	at := map[string]int{}
	for _, accountLabel := range s.Accounts {
		at[accountLabel.Account] = len(out)
		_, awaited := slices.BinarySearch(s.Awaited, accountLabel.Account)
		out = append(out, record.ScanAccount{Account: accountLabel.Account, Name: accountLabel.Name, Planning: awaited})
	}
	for i := range scopes {
		sc := &scopes[i]
		n, ok := at[sc.Account]
		if !ok {
			n = len(out)
			at[sc.Account] = n
			out = append(out, record.ScanAccount{Account: sc.Account})
		}
		acc := &out[n]
		acc.Regions++
		acc.Instances += sc.Instances
		switch sc.Completeness {
		case record.ScopeComplete:
			acc.Complete++
		case record.ScopePartial:
			acc.Partial++
		case record.ScopeFailed:
			acc.Failed++
		case record.ScopePending: // in none of the three yet
		}
		if p := s.Progress[ecs.Scope{Account: sc.Account, Region: sc.Region}]; p != nil && p.Decided > 0 {
			acc.Seconds = max(acc.Seconds, unixNano(p.Decided).Sub(s.Start).Seconds())
		}
	}
	return out
}

// Final is the scan at its end, in unix nanoseconds. abort is the reason of an
// aborted one, else "".
func (s *Scan) Final(end int64, abort string) record.Scan {
	out := s.Report()
	at := unixNano(end)
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
		if sc.Completeness != record.ScopeComplete {
			out.State = record.ScanPartial
		}
	}
	out.Accounts = s.accounts(out.Scopes)
	if abort != "" {
		out.State, out.Reason, out.Done = record.ScanAborted, abort, out.Regions
	}
	return out
}
