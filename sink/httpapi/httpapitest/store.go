// Package httpapitest holds a store in memory, for tests of the pages and for
// whoever wants them without a file. It keeps every promise of httpapi.Store.
package httpapitest

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
)

var (
	_ httpapi.Store     = (*Store)(nil)
	_ httpapi.Rescanner = (*Store)(nil)
)

// Store is a store in memory, sorted by key. It is safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	recs    []*record.Record
	summary *record.Summary
	history map[string][]record.Change
	scans   []record.Scan
	points  []httpapi.Point

	// OnRescan is called with each request; nil answers that all is well.
	OnRescan func(httpapi.RescanRequest) (httpapi.RescanReply, error)
}

// New returns a store that holds the records, which it sorts.
func New(recs []*record.Record, sum *record.Summary, scans []record.Scan, points []httpapi.Point) *Store {
	s := &Store{recs: slices.Clone(recs), summary: sum, history: map[string][]record.Change{}, scans: scans, points: points}
	slices.SortFunc(s.recs, func(a, b *record.Record) int { return compare(key(a), key(b)) })
	return s
}

func key(r *record.Record) httpapi.Key {
	return httpapi.Key{Account: r.Account, Region: r.Region, InstanceID: r.InstanceID}
}

func compare(a, b httpapi.Key) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
}

// Summary returns the totals.
func (s *Store) Summary() *record.Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.summary
}

// Instances lists what matches.
func (s *Store) Instances(ctx context.Context, f httpapi.Filter) iter.Seq2[*record.Record, error] {
	s.mu.Lock()
	recs := slices.Clone(s.recs)
	s.mu.Unlock()
	return func(yield func(*record.Record, error) bool) {
		n := 0
		for _, r := range recs {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if f.After != (httpapi.Key{}) && compare(key(r), f.After) <= 0 || !match(r, &f) {
				continue
			}
			if !yield(r, nil) {
				return
			}
			if n++; n == f.Limit {
				return
			}
		}
	}
}

// Sorted lists in another order.
func (s *Store) Sorted(ctx context.Context, f httpapi.Filter, by httpapi.Order, after *httpapi.Place) ([]httpapi.Placed, error) {
	limit := f.Limit
	f.After, f.Limit = httpapi.Key{}, 0
	order := func(a, b httpapi.Placed) int {
		c := cmp.Compare(a.Place.Value, b.Place.Value)
		if by.Down {
			c = -c
		}
		return cmp.Or(c, compare(a.Place.Key, b.Place.Key))
	}
	var out []httpapi.Placed
	for r, err := range s.Instances(ctx, f) {
		if err != nil {
			return nil, err
		}
		p := httpapi.Placed{Place: httpapi.Place{Value: value(r, by), Key: key(r)}, Record: r}
		if after == nil || order(p, httpapi.Placed{Place: *after}) > 0 {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, order)
	return out[:min(limit, len(out))], nil
}

// value is what a record sorts by.
func value(r *record.Record, by httpapi.Order) string {
	switch by.By {
	case "name":
		return r.InstanceName[:min(128, len(r.InstanceName))]
	case "type":
		return r.InstanceType
	case "class":
		c := httpapi.Class{OSFamily: r.OS.Family, OSVersion: r.OS.Version, Levels: map[string]string{}}
		for i := range r.Verdicts {
			c.Levels[r.Verdicts[i].Target] = r.Verdicts[i].Level.String()
		}
		return by.Class(c)
	}
	return r.InstanceID
}

func match(r *record.Record, f *httpapi.Filter) bool {
	switch {
	case f.Account != "" && r.Account != f.Account, f.Region != "" && r.Region != f.Region,
		f.OSFamily != "" && r.OS.Family != f.OSFamily, f.OSVersion != "" && r.OS.Version != f.OSVersion,
		f.Legacy != nil && r.Legacy != *f.Legacy, !f.Gone && r.GoneAt != nil:
		return false
	}
	tag := func(k string) (string, bool) { v, ok := r.Tags[k]; return v, ok }
	if !f.Scope.Scope(r.Account, r.Region) || !f.Scope.Judged(&r.Classification, r.InstanceFamily) || !f.Scope.Row(r.InstanceID, tag) {
		return false
	}
	if f.Verdict != "" && !slices.ContainsFunc(r.Verdicts, func(v rules.Verdict) bool {
		return (f.Target == "" || v.Target == f.Target) && v.Level.String() == f.Verdict
	}) {
		return false
	}
	if f.Q == "" {
		return true
	}
	q := strings.ToLower(f.Q)
	for _, text := range []string{r.InstanceID, r.InstanceName} {
		if strings.Contains(strings.ToLower(text), q) {
			return true
		}
	}
	return false
}

// Instance finds one instance.
func (s *Store) Instance(_ context.Context, account, region, id string) (*record.Record, []record.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.recs {
		if r.InstanceID == id && (account == "" || r.Account == account) && (region == "" || r.Region == region) {
			return r, slices.Clone(s.history[id]), nil
		}
	}
	return nil, nil, fmt.Errorf("%w", httpapi.ErrNotFound)
}

// Known is what its records name.
func (s *Store) Known() *filter.Known {
	k := &filter.Known{Targets: s.Summary().Targets}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.recs {
		k.Accounts, k.Regions, k.Families = append(k.Accounts, r.Account), append(k.Regions, r.Region), append(k.Families, r.InstanceFamily)
		k.Systems = append(k.Systems, r.OS.Family, r.OS.Family+" "+r.OS.Version)
		for key := range r.Tags {
			k.Tags = append(k.Tags, key)
		}
	}
	return k
}

// Scans returns the newest scans.
func (s *Store) Scans(_ context.Context, limit int) ([]record.Scan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.scans[:min(len(s.scans), limit)]), nil
}

// Scan returns one scan.
func (s *Store) Scan(_ context.Context, id string) (*record.Scan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.scans {
		if s.scans[i].ID == id {
			scan := s.scans[i]
			return &scan, nil
		}
	}
	return nil, fmt.Errorf("%w", httpapi.ErrNotFound)
}

// Trend returns the points.
func (s *Store) Trend(_ context.Context, limit int) ([]httpapi.Point, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.points[max(0, len(s.points)-limit):]), nil
}

// Put replaces an instance and notes what changed.
func (s *Store) Put(rec *record.Record, change *record.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.recs {
		if key(s.recs[i]) == key(rec) {
			s.recs[i] = rec
		}
	}
	if change != nil {
		s.history[rec.InstanceID] = append([]record.Change{*change}, s.history[rec.InstanceID]...)
	}
}

// PutScan replaces a scan, or puts a new one in front.
func (s *Store) PutScan(scan record.Scan) {
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
func (s *Store) Rescan(_ context.Context, r httpapi.RescanRequest) (httpapi.RescanReply, error) {
	if s.OnRescan == nil {
		return httpapi.RescanReply{ScanID: "rescan-1", Accepted: len(r.InstanceIDs)}, nil
	}
	return s.OnRescan(r)
}
