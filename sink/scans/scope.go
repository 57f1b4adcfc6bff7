package scans

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Bounds of what is kept of one scope in one scan. What is beyond them counts as
// invalid, since memory is kept for each.
const (
	maxWalks    = 1 << 16
	maxLanes    = 1 << 14 // of one plan
	maxPlans    = 20
	maxFailures = 20
)

// Scope is what a scan has committed of one account and region.
type Scope struct {
	Key       ecs.Scope           `json:"scope"`
	No        uint32              `json:"no"` // by which the caller knows the scope
	Plans     map[string]*Plan    `json:"plans,omitempty"`
	Walks     []*Walk             `json:"walks,omitempty"`
	Refused   []record.Failure    `json:"refused,omitempty"`  // by ScopeFailed
	Evidence  []record.Failure    `json:"evidence,omitempty"` // lookups of images and types that failed
	Instances int                 `json:"instances"`          // distinct
	Pages     int                 `json:"pages"`              // distinct, over all walks
	Seen      Set                 `json:"seen,omitempty"`     // ordinals of the instances seen, as of the last fold
	State     record.Completeness `json:"state"`
	Check     *Check              `json:"check,omitempty"`    // what is asked before anything is gone
	Disputed  []string            `json:"disputed,omitempty"` // plans whose lanes together disagree with the counts
	Doubts    []record.Failure    `json:"doubts,omitempty"`   // what speaks against a whole scope
	Emptied   bool                `json:"emptied,omitempty"`  // all its instances were missing at once, which is one of them
	Whole     bool                `json:"whole"`              // every page of one plan is in, and nothing is asked any more
	Gone      int                 `json:"gone"`               // instances that the scan found missing
	Seal      *record.ScanScope   `json:"seal,omitempty"`     // the report, fixed once Whole
	Decided   int64               `json:"decided,omitempty"`  // broker's time when State was last decided, unix nanoseconds

	// SeenNow are the ordinals of the instances seen, as the caller's index in
	// memory numbers them; nil while there is none.
	SeenNow Set `json:"-"`
}

// Plan is one way in which a scope was cut into lanes. A scope whose plan was
// announced twice may have two: one of them must be whole.
type Plan struct {
	Lanes   []string `json:"lanes"`
	Counted *int     `json:"counted,omitempty"` // instances that the API counted before it was cut
}

// NewScope returns a scope of which nothing is known yet.
func NewScope(key ecs.Scope, no uint32) *Scope {
	return &Scope{Key: key, No: no, State: record.ScopePending}
}

// Plan notes one way in which the scope was cut. It reports whether the
// announcement is valid. What was said first of a plan counts.
func (p *Scope) Plan(planned *event.ScopePlanned) bool {
	if !ValidPlan(planned) {
		return false
	}
	if p.Plans == nil {
		p.Plans = map[string]*Plan{}
	}
	if _, known := p.Plans[planned.Plan]; !known && len(p.Plans) < maxPlans {
		p.Plans[planned.Plan] = &Plan{planned.Lanes, planned.Counted}
	}
	return true
}

// ValidPlan reports whether a plan has lanes, and no more than are kept.
func ValidPlan(m *event.ScopePlanned) bool { return len(m.Lanes) > 0 && len(m.Lanes) <= maxLanes }

// Walk returns the walk of a lane, new where it is not known, or nil where there
// are too many.
func (p *Scope) Walk(lane, name string) *Walk {
	for _, w := range p.Walks {
		if w.Name == name && w.Lane == lane {
			return w
		}
	}
	if len(p.Walks) >= maxWalks {
		return nil
	}
	w := &Walk{Lane: lane, Name: name}
	p.Walks = append(p.Walks, w)
	return w
}

// Tally is what the caller stored of one page.
type Tally struct {
	Rows, Stored int
	IDs          uint64 // sum of event.IDSum over the stored rows
	Refused      string // why a row could not be stored
}

// Page notes a committed page and reports whether it may be counted at all. A
// repeat of a page adds nothing.
func (p *Scope) Page(lane, walk string, page int, tally *Tally) bool {
	w := p.Walk(lane, walk)
	if w == nil || page < 0 || page >= maxPages {
		return false
	}
	if w.Got.Add(page) {
		p.Pages++
		w.Classified += tally.Rows
		w.Stored += tally.Stored
		w.StoredIDs += tally.IDs
		w.Refused = cmp.Or(w.Refused, tally.Refused)
		if !w.Ended || page < w.Announced {
			w.committed++
		}
	}
	return true
}

// LookupFailed notes that images or types of the scope could not be read.
func (p *Scope) LookupFailed(f record.Failure) { p.Evidence = addFailure(p.Evidence, f) }

// Refuse notes that the scope, or a part of it, could not be listed.
func (p *Scope) Refuse(f record.Failure) { p.Refused = addFailure(p.Refused, f) }

// Recount counts the committed pages anew, as is needed when the scope was read
// from its JSON form.
func (p *Scope) Recount() {
	for _, w := range p.Walks {
		w.recount()
	}
}

// standing says how the listing of the scope stands by what is known now.
func (p *Scope) standing() record.Completeness {
	type lane struct{ done, failed bool }
	lanes := map[string]lane{}
	for _, walk := range p.Walks {
		l := lanes[walk.Lane]
		l.done = l.done || walk.done()
		l.failed = l.failed || walk.failed()
		lanes[walk.Lane] = l
	}
	outstanding, read, counts := false, p.Pages > 0, false
	for name, plan := range p.Plans {
		if slices.Contains(p.Disputed, name) {
			continue
		}
		counts = true
		open := 0
		whole := true
		for _, name := range plan.Lanes {
			l := lanes[name]
			read = read || l.done
			whole = whole && l.done
			if !l.done && !l.failed {
				open++
			}
		}
		if whole {
			return record.ScopeComplete
		}
		outstanding = outstanding || open > 0
	}
	switch {
	case outstanding || !counts && len(p.Refused) == 0:
		return record.ScopePending
	case read:
		return record.ScopePartial
	}
	return record.ScopeFailed
}

// Failures lists why the scope is not whole, at most 20 causes.
func (p *Scope) Failures() []record.Failure {
	var out []record.Failure
	add := func(f *record.Failure) {
		if f != nil && len(out) < maxFailures && !slices.Contains(out, *f) {
			out = append(out, *f)
		}
	}
	if !p.Whole {
		done := map[string]bool{}
		for _, w := range p.Walks {
			if w.done() {
				done[w.Lane] = true
			}
		}
		for _, walk := range p.Walks {
			if !done[walk.Lane] {
				add(walk.Failure)
				add(walk.Losses)
				add(walk.contradiction(p.Key))
			}
		}
		for i := range p.Refused {
			add(&p.Refused[i])
		}
	}
	for _, f := range slices.Concat(p.Doubts, p.Evidence) {
		add(&f)
	}
	slices.SortFunc(out, CompareFailures)
	return out
}

// numbers are what each stage had of the scope.
func (p *Scope) numbers() record.Numbers {
	best, _ := p.best()
	if c := p.Check; c != nil && c.Counted != nil && c.Plan == best.plan {
		best.Counted = c.Counted
	}
	return best.Numbers
}

// reading is what was read by one plan.
type reading struct {
	record.Numbers
	plan    string
	lanes   int
	before  *int // counted before the scope was cut
	created int  // of the listed, since the scan was asked for
}

// best is the reading of the plan that is whole and not disputed, and true; or
// else the one that came furthest, by the best walk of each lane.
func (p *Scope) best() (out reading, whole bool) {
	best := map[string]*Walk{}
	for _, w := range p.Walks {
		if had := best[w.Lane]; had == nil || !had.done() && (w.done() || w.Stored > had.Stored) {
			best[w.Lane] = w
		}
	}
	for i, name := range slices.Sorted(maps.Keys(p.Plans)) {
		plan := p.Plans[name]
		r := reading{Numbers: record.Numbers{Counted: plan.Counted}, plan: name, lanes: len(plan.Lanes), before: plan.Counted}
		all := !slices.Contains(p.Disputed, name)
		for _, lane := range plan.Lanes {
			walk := best[lane]
			if walk == nil {
				all = false
				continue
			}
			all = all && walk.done()
			r.Listed += walk.Listed
			r.created += walk.Created
			r.Published += walk.Published
			r.Classified += walk.Classified
			r.Stored += walk.Stored
			if len(plan.Lanes) == 1 && walk.Counted != nil {
				r.Counted = walk.Counted
			}
		}
		if i == 0 || all && !whole || all == whole && r.Stored > out.Stored {
			out, whole = r, all
		}
	}
	return out, whole
}

// Report is the scope as the scan shows it.
func (p *Scope) Report() record.ScanScope {
	if p.Seal != nil {
		return *p.Seal
	}
	return record.ScanScope{
		Account: p.Key.Account, Region: p.Key.Region, Completeness: p.State, Numbers: p.numbers(),
		AskedByID: p.askedByID(), Instances: p.Instances, Pages: p.Pages, Gone: p.Gone, Failures: p.Failures(),
	}
}

// Doubt notes what speaks against the scope, also where it was whole already,
// and reports whether that is new.
func (p *Scope) Doubt(f record.Failure) bool {
	known := len(p.Doubts)
	if p.Doubts = addFailure(p.Doubts, f); len(p.Doubts) == known {
		return false
	}
	if p.Seal != nil {
		p.State = record.ScopePartial
		p.Seal.Completeness, p.Seal.Failures = p.State, p.Failures()
	}
	return true
}

// Ungone takes back that the scan found instances missing.
func (p *Scope) Ungone() {
	p.Gone = 0
	if p.Seal != nil {
		p.Seal.Gone = 0
	}
}

// Close makes the scope whole: nothing is outstanding or asked any more. What
// speaks against it makes it partial, and its report is fixed.
func (p *Scope) Close() {
	p.Whole = true
	if len(p.Evidence) > 0 || len(p.Doubts) > 0 {
		p.State = record.ScopePartial
	}
	seal := p.Report()
	p.Seal = &seal
}

// addFailure keeps failure unless the list has it or is full.
func addFailure(list []record.Failure, failure record.Failure) []record.Failure {
	failure.RequestID = "" // differs between repeats of one failure
	if len(list) >= maxFailures || slices.Contains(list, failure) {
		return list
	}
	list = append(list, failure)
	slices.SortFunc(list, CompareFailures)
	return list
}

// CompareFailures is the order of causes in a report.
func CompareFailures(a, b record.Failure) int {
	return cmp.Or(
		cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.API, b.API),
		cmp.Compare(a.Class, b.Class), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Error, b.Error),
		cmp.Compare(a.Mend, b.Mend), cmp.Compare(a.RequestID, b.RequestID))
}
