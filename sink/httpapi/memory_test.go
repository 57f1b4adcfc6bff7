package httpapi_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

var (
	_ httpapi.Store     = (*memory)(nil)
	_ httpapi.Rescanner = (*memory)(nil)
)

// memory is a store in memory, sorted by key, that keeps every promise of
// httpapi.Store. It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	recs    []*record.Record
	summary *record.Summary
	history map[string][]record.Change
	scans   []record.Scan
	points  []httpapi.Point
	views   int // that are open

	// OnRescan is called with each request; nil answers that all is well.
	OnRescan func(record.RescanRequest) (record.RescanReply, error)
	// Burndown are the counts at the end of each scan.
	Burndown []record.ProgressPoint
	// Guests is what guests were asked for, by instance.
	Guests map[string][]record.GuestEvidence
	// Outcomes are what became of moves.
	Outcomes record.MoveOutcomes
	// Evidence is what sources of evidence came to.
	Evidence []record.Evidence
	// OnScan is called with each reason; nil answers that all is well.
	OnScan func(reason string) (string, error)
}

// newMemory returns a store that holds the records, which it sorts.
func newMemory(recs []*record.Record, sum *record.Summary, scans []record.Scan, points []httpapi.Point) *memory {
	s := &memory{recs: slices.Clone(recs), summary: sum, history: map[string][]record.Change{}, scans: scans, points: points}
	slices.SortFunc(s.recs, compare)
	return s
}

func compare(a, b *record.Record) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
}

// View implements httpapi.Store.
func (s *memory) View(_ context.Context, f store.Filter) (httpapi.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views++
	made := &view{s: s, f: f, summary: s.summary, all: s.recs}
	for _, r := range s.recs {
		if match(r, &f) {
			made.recs = append(made.recs, r)
		}
	}
	made.recs, made.all = slices.Clone(made.recs), slices.Clone(s.recs)
	return made, nil
}

// view is what the store held.
type view struct {
	s         *memory
	f         store.Filter
	recs, all []*record.Record
	summary   *record.Summary
	closed    bool
}

// Close implements httpapi.View.
func (v *view) Close() error {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	if !v.closed {
		v.closed = true
		v.s.views--
	}
	return nil
}

// Views is how many views are open.
func (s *memory) Views() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.views
}

// Summary counts what the filter lets through.
func (v *view) Summary() *record.Summary {
	if len(v.recs) == len(v.all) {
		return v.summary
	}
	present := slices.DeleteFunc(slices.Clone(v.recs), func(r *record.Record) bool { return r.GoneAt != nil })
	sum := reporttest.Count(present, v.summary.Targets)
	sum.Ruleset, sum.CaughtUp, sum.AsOf, sum.Gone = v.summary.Ruleset, v.summary.CaughtUp, v.summary.AsOf, len(v.recs)-len(present)
	for _, sc := range v.summary.Scopes {
		if (v.f.Account == "" || v.f.Account == sc.Account) && (v.f.Region == "" || v.f.Region == sc.Region) && v.f.Scope.Scope(sc.Account, sc.Region) {
			sum.Scopes = append(sum.Scopes, sc)
		}
	}
	return &sum
}

// Sorted lists in an order.
func (v *view) Sorted(_ context.Context, by store.Sort, after *store.Place, limit int) ([]store.Placed, error) {
	order := func(a, b store.Place) int {
		c := cmp.Compare(a.Value, b.Value)
		if by.Down {
			c = -c
		}
		if c = cmp.Or(c, cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID)); by.Back {
			c = -c
		}
		return c
	}
	var out []store.Placed
	for _, r := range v.recs {
		place := store.Place{Value: value(r, by), Account: r.Account, Region: r.Region, InstanceID: r.InstanceID}
		if after == nil || order(place, *after) > 0 {
			out = append(out, store.Placed{Place: place, Record: r})
		}
	}
	slices.SortFunc(out, func(a, b store.Placed) int { return order(a.Place, b.Place) })
	return out[:min(limit, len(out))], nil
}

// value is what a record sorts by.
func value(entry *record.Record, by store.Sort) string {
	switch by.By {
	case store.SortByName:
		return entry.InstanceName[:min(128, len(entry.InstanceName))]
	case store.SortByType:
		return entry.InstanceType
	case store.SortByID:
		return entry.InstanceID
	case store.SortByClass:
		class := store.Class{OSFamily: entry.OS.Family, OSVersion: entry.OS.Version, Levels: map[string]rules.Level{}}
		for i := range entry.Verdicts {
			class.Levels[entry.Verdicts[i].Target] = entry.Verdicts[i].Level
		}
		return by.Class(&class)
	case store.SortByKey:
	}
	return ""
}

func match(entry *record.Record, wanted *store.Filter) bool {
	switch {
	case wanted.Account != "" && entry.Account != wanted.Account, wanted.Region != "" && entry.Region != wanted.Region,
		wanted.OSFamily != "" && entry.OS.Family != wanted.OSFamily, wanted.OSVersion != "" && entry.OS.Version != wanted.OSVersion && (wanted.OSVersion != filter.NoVersion || entry.OS.Version != ""),
		wanted.Legacy != nil && entry.Legacy != *wanted.Legacy, !wanted.Gone && entry.GoneAt != nil:
		return false
	}
	tag := func(k string) (string, bool) { v, ok := entry.Tags[k]; return v, ok }
	if !wanted.Scope.Scope(entry.Account, entry.Region) || !wanted.Scope.Judged(&entry.Classification, filter.Machine{Family: entry.InstanceFamily, Image: entry.ImageID}) || !wanted.Scope.Row(entry.InstanceID, entry.Status, tag) {
		return false
	}
	if wanted.Verdict != "" && !slices.ContainsFunc(entry.Verdicts, func(v rules.Verdict) bool {
		return (wanted.Target == "" || v.Target == wanted.Target) && v.Level.String() == wanted.Verdict
	}) {
		return false
	}
	if wanted.Query == "" {
		return true
	}
	q := strings.ToLower(wanted.Query)
	for _, text := range []string{entry.InstanceID, entry.InstanceName} {
		if strings.Contains(strings.ToLower(text), q) {
			return true
		}
	}
	return false
}

// Instance finds one instance.
func (v *view) Instance(account, region, id string) (*record.Record, []record.Change, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for _, r := range v.all {
		if r.InstanceID == id && (account == "" || r.Account == account) && (region == "" || r.Region == region) {
			return r, slices.Clone(v.s.history[id]), nil
		}
	}
	return nil, nil, fmt.Errorf("%w", httpapi.ErrNotFound)
}

// Explain tells that the findings of a record are what was considered.
func (v *view) Explain(account, region, id string) (*rules.Explanation, error) {
	entry, _, err := v.Instance(account, region, id)
	if err != nil {
		return nil, err
	}
	out := &rules.Explanation{Classification: &entry.Classification, Digest: entry.Ruleset, Seen: []rules.Seen{{Field: "os_name", Text: entry.OS.Family + " " + entry.OS.Version, Evidence: entry.OS.Evidence, Says: entry.OS.Family}}}
	for i := range entry.Verdicts {
		x := &entry.Verdicts[i]
		te := rules.TargetExplanation{Target: x.Target, Verdict: x.Level, Confidence: x.Confidence, Winner: x.Rule, Why: x.Reason}
		for i, f := range x.Findings {
			te.Considered = append(te.Considered, rules.Considered{Rule: f.Rule, Stage: "os", Outcome: "matches", Won: i == 0})
		}
		out.Targets = append(out.Targets, te)
	}
	return out, nil
}

// Known is what its records name.
func (v *view) Known() *filter.Known {
	known := &filter.Known{Targets: v.summary.Targets}
	for i := range v.summary.Scopes {
		known.Accounts, known.Regions = append(known.Accounts, v.summary.Scopes[i].Account), append(known.Regions, v.summary.Scopes[i].Region)
	}
	for _, entry := range v.all {
		known.Accounts, known.Regions, known.Families = append(known.Accounts, entry.Account), append(known.Regions, entry.Region), append(known.Families, entry.InstanceFamily)
		known.Systems = append(known.Systems, entry.OS.Family, entry.OS.Family+" "+entry.OS.Version)
		for key := range entry.Tags {
			known.Tags = append(known.Tags, key)
		}
	}
	for _, list := range []*[]string{&known.Accounts, &known.Regions, &known.Families, &known.Systems, &known.Tags} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return known
}

// Scans returns the newest scans.
func (v *view) Scans(limit int) ([]record.Scan, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return slices.Clone(v.s.scans[:min(len(v.s.scans), limit)]), nil
}

// Scan returns one scan.
func (v *view) Scan(id string) (*record.Scan, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for i := range v.s.scans {
		if v.s.scans[i].ID == id {
			scan := v.s.scans[i]
			return &scan, nil
		}
	}
	return nil, fmt.Errorf("%w", httpapi.ErrNotFound)
}

// Trend returns the points.
func (v *view) Trend(limit int) ([]httpapi.Point, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return slices.Clone(v.s.points[max(0, len(v.s.points)-limit):]), nil
}

// GuestEvidence is what the store was given for the instance.
func (v *view) GuestEvidence(_, _, id string, _ time.Time) ([]record.GuestEvidence, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return slices.Clone(v.s.Guests[id]), nil
}

// Outcomes are those that the store was given.
func (v *view) Outcomes(_ context.Context, limit int) (*record.MoveOutcomes, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	out := v.s.Outcomes
	out.Moves = slices.Clone(out.Moves[:min(len(out.Moves), limit)])
	return &out, nil
}

// Evidence is what the store was given.
func (v *view) Evidence(time.Time) ([]record.Evidence, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return slices.Clone(v.s.Evidence), nil
}

// Points are those that the store was given.
func (v *view) Points(n int) ([]record.ProgressPoint, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	return slices.Clone(v.s.Burndown[max(0, len(v.s.Burndown)-n):]), nil
}

// Progress is a point without parts.
func (v *view) Progress(number uint64) (*record.Progress, error) {
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for i := range v.s.Burndown {
		if v.s.Burndown[i].Number == number {
			return &record.Progress{ProgressPoint: v.s.Burndown[i]}, nil
		}
	}
	return nil, fmt.Errorf("%w", httpapi.ErrNotFound)
}

// Put replaces an instance and notes what changed.
func (s *memory) Put(rec *record.Record, change *record.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.recs {
		if compare(s.recs[i], rec) == 0 {
			s.recs[i] = rec
		}
	}
	if change != nil {
		s.history[rec.InstanceID] = append([]record.Change{*change}, s.history[rec.InstanceID]...)
	}
}

// PutScan replaces a scan, or puts a new one in front.
func (s *memory) PutScan(scan record.Scan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.scans {
		if s.scans[i].ID == scan.ID {
			s.scans[i] = scan
			return
		}
	}
	s.scans = append([]record.Scan{scan}, s.scans...)
}

// Rescan passes a request to OnRescan.
func (s *memory) Rescan(_ context.Context, request record.RescanRequest) (record.RescanReply, error) {
	if s.OnRescan == nil {
		return record.RescanReply{ScanID: "rescan-1", Accepted: len(request.InstanceIDs)}, nil
	}
	return s.OnRescan(request)
}

// Scan passes a request to OnScan.
func (s *memory) Scan(_ context.Context, reason string) (string, error) {
	if s.OnScan == nil {
		return "20261123T013000Z-asked", nil
	}
	return s.OnScan(reason)
}
