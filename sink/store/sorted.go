package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// SortBy is the value by which Sorted orders instances.
type SortBy int

// Orders of a listing.
const (
	SortByID  SortBy = iota
	SortByKey        // account, region and id, as Instances does
	SortByName
	SortByType
	SortByClass // the value that Sort.Class gives
)

// Sort is an order of instances. Where two have the same value, their keys
// decide, upwards in either direction, so that the order is total.
type Sort struct {
	By   SortBy
	Down bool
	// Back reverses the whole order, keys included. With a place it lists what stands
	// before that place, the nearest first.
	Back bool
	// Class returns the value of all instances of one class, for SortByClass. It is
	// called a few times for each class.
	Class func(*Class) string
}

// Class is what instances have in common that count alike.
type Class struct {
	OSFamily, OSVersion string
	Levels              map[string]rules.Level // by target
}

// Place is where an instance stands in a Sort.
type Place struct {
	Value                       string // at most maxSortValue bytes of it
	Account, Region, InstanceID string
}

// Placed is an instance with its place.
type Placed struct {
	Place  Place
	Record *record.Record
}

const (
	maxSortValue = 128    // bytes of a name that count for the order: cursors carry them
	maxSorted    = 10_000 // instances that one call of Sorted returns at most
)

// Sorted returns the first instances of an order that the view shows, at most
// limit, from behind a place if there is one. It reads the rows of the scopes in
// question once at most, looks at no more than their heads, and holds no more
// than twice what it returns.
func (v *View) Sorted(ctx context.Context, by Sort, after *Place, limit int) ([]Placed, error) {
	f := v.f
	return v.reading().sorted(ctx, v.matcher(&f), by, after, limit)
}

func (r *reading) sorted(ctx context.Context, matcher *matcher, by Sort, after *Place, limit int) ([]Placed, error) {
	limit = max(1, min(limit, maxSorted))
	if by.By == SortByKey && !by.Back {
		return r.byKey(ctx, matcher, after, limit)
	}
	sorting := &sorter{reading: r, m: matcher, by: by, limit: limit, after: after}
	if by.By == SortByClass {
		sorting.m.rank = func(c *outcome.Class) string { return by.Class(sorting.m.describe(c)) }
		if done, err := sorting.first(ctx); err != nil || done {
			return sorting.placed, err
		}
	}
	for _, sc := range sorting.m.scopes(sorting.scopes()) {
		if err := sorting.scope(ctx, sc); err != nil {
			return nil, fmt.Errorf("read %s: %w", sc.key, err)
		}
	}
	sorting.trim()
	return sorting.render()
}

// byKey lists instances in the order of their keys, in which they are stored.
func (r *reading) byKey(ctx context.Context, matcher *matcher, after *Place, limit int) ([]Placed, error) {
	out := []Placed{}
	for rec, err := range r.instances(ctx, matcher, after, limit) {
		if err != nil {
			return nil, err
		}
		out = append(out, Placed{Place{Account: rec.Account, Region: rec.Region, InstanceID: rec.InstanceID}, rec})
	}
	return out, nil
}

// sorter keeps the first rows of an order while it reads rows in any order.
type sorter struct {
	*reading
	m      *matcher
	by     Sort
	limit  int
	after  *Place
	at     *scopeSnap  // the scope that is being read
	rows   []sortedRow // those that may be among the first, in any order
	last   *sortedRow  // the last one of the first, as far as is known; nil while there are too few
	placed []Placed
}

// candidateRow is a row that passed the filter.
type candidateRow struct {
	finding
	id, name []byte
	profile  uint32
	rank     string // what its class sorts by
	class    *outcome.Class
}

// sortedRow is a copy of such a row, which outlives the transaction.
type sortedRow struct {
	value string
	sc    *scopeSnap
	id    []byte // within row
	row   []byte
	stamp format.Stamp
}

// trim sorts the rows and drops those behind the first ones.
func (s *sorter) trim() {
	slices.SortFunc(s.rows, func(a, b sortedRow) int {
		return s.turned(cmp.Or(s.direction(cmp.Compare(a.value, b.value)), a.sc.key.Compare(b.sc.key), bytes.Compare(a.id, b.id)))
	})
	if len(s.rows) >= s.limit {
		clear(s.rows[s.limit:])
		s.rows = s.rows[:s.limit]
		last := s.rows[s.limit-1]
		s.last = &last
	}
}

func (s *sorter) turned(c int) int {
	if s.by.Back {
		return -c
	}
	return c
}

func (s *sorter) direction(c int) int {
	if s.by.Down {
		return -c
	}
	return c
}

// behind reports whether one row comes after another in the order.
func (s *sorter) behind(value, id []byte, value2 string, scope ecs.Scope, id2 string) bool {
	return s.turned(cmp.Or(s.direction(compareText(value, value2)), s.at.key.Compare(scope), compareText(id, id2))) > 0
}

func compareText(a []byte, right string) int {
	switch {
	case string(a) < right:
		return -1
	case string(a) == right:
		return 0
	}
	return 1
}

// scope reads one scope.
func (s *sorter) scope(ctx context.Context, sc *scopeSnap) error {
	s.at = sc
	walk := &walker{reading: s.reading, m: s.m, sc: sc, take: s.take}
	byID := s.by.By == SortByID && !s.by.Down && !s.by.Back
	if byID && s.after != nil && s.after.Value != "" {
		walk.after = []byte(s.after.Value[:len(s.after.Value)-1]) // just before it
	}
	for !walk.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.view(walk.step); err != nil {
			return err
		}
		if byID && s.last != nil && string(walk.after) > s.last.value {
			return nil // rows come in the order of the listing here, so the rest would not be kept either
		}
	}
	return nil
}

// take keeps the row if it belongs to the first ones.
func (s *sorter) take(tx *bbolt.Tx, candidateRow *candidateRow) error {
	var value []byte
	switch s.by.By {
	case SortByID:
		value = candidateRow.id
	case SortByKey:
	case SortByName:
		value = candidateRow.name[:min(len(candidateRow.name), maxSortValue)]
	case SortByType:
		t, err := s.tables().profs.readers.Load().instanceType(candidateRow.profile)
		if err != nil {
			return err
		}
		return s.offer(candidateRow, []byte(t[:min(len(t), maxSortValue)]))
	case SortByClass:
		return s.offer(candidateRow, []byte(candidateRow.rank))
	}
	return s.offer(candidateRow, value)
}

// offer keeps the row unless it comes behind those that are known to be the first.
func (s *sorter) offer(candidateRow *candidateRow, value []byte) error {
	if s.after != nil && !s.behind(value, candidateRow.id, s.after.Value, ecs.Scope{Account: s.after.Account, Region: s.after.Region}, s.after.InstanceID) ||
		s.last != nil && s.behind(value, candidateRow.id, s.last.value, s.last.sc.key, string(s.last.id)) {
		return nil
	}
	row := bytes.Clone(candidateRow.row)
	s.rows = append(s.rows, sortedRow{value: string(value), sc: s.at, id: format.RowID(row), row: row, stamp: candidateRow.stamp})
	if len(s.rows) >= 2*s.limit {
		s.trim()
	}
	return nil
}

// first reads the rows of the value that the page begins with in the order of
// their keys, where there are so many of them that this ends soon. It reports
// whether they fill the page.
func (s *sorter) first(ctx context.Context) (bool, error) {
	if s.by.Back || !s.m.classed() || s.m.f.Gone {
		return false, nil // counts do not tell how many pass
	}
	scopes := s.m.scopes(s.scopes())
	counts := map[string]int{}
	for _, sc := range scopes {
		for i := range sc.counts {
			if f := s.m.known(&sc.counts[i].Class); f.pass {
				counts[f.rank] += sc.counts[i].n
			}
		}
	}
	value, ok := "", false
	for v := range counts {
		if s.after != nil && s.direction(cmp.Compare(v, s.after.Value)) < 0 {
			continue
		}
		if !ok || s.direction(cmp.Compare(v, value)) < 0 {
			value, ok = v, true
		}
	}
	if counts[value] < 4*s.limit {
		return false, nil
	}
	after := s.after
	if after != nil && after.Value != value {
		after = nil
	}
	s.m.narrow(&value)
	defer s.m.narrow(nil)
	for entry, err := range s.reading.instances(ctx, s.m, after, s.limit) {
		if err != nil {
			return false, err
		}
		s.placed = append(s.placed, Placed{Place{value, entry.Account, entry.Region, entry.InstanceID}, entry})
	}
	if len(s.placed) == s.limit {
		return true, nil
	}
	s.placed = nil
	return false, nil
}

// render returns the records of the rows that were kept, in order.
func (s *sorter) render() ([]Placed, error) {
	out := make([]Placed, 0, len(s.rows))
	err := s.view(func(tx *bbolt.Tx) error {
		walkers := map[*scopeSnap]*walker{}
		for i := range s.rows {
			sortedRow := &s.rows[i]
			walk := walkers[sortedRow.sc]
			if walk == nil {
				walk = &walker{reading: s.reading, m: s.m, sc: sortedRow.sc}
				if err := walk.begin(tx); err != nil {
					return err
				}
				walkers[sortedRow.sc] = walk
			}
			rec, err := walk.render(tx, finding{sortedRow.row, sortedRow.stamp})
			if err != nil {
				return fmt.Errorf("instance %.64q in %s: %w", sortedRow.id, sortedRow.sc.key, err)
			}
			out = append(out, Placed{Place{sortedRow.value, rec.Account, rec.Region, rec.InstanceID}, rec})
		}
		return nil
	})
	return out, err
}
