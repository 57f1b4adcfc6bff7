package store

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Bounds of what one scan may announce; beyond them a message counts as
// invalid, since memory is kept for each.
const (
	maxPages    = 1 << 20 // of one walk
	maxWalks    = 1 << 16 // of one scope
	maxLanes    = 1 << 14 // of one plan
	maxFailures = 20      // kept of one scope
)

// bitset is a set of small numbers. Its JSON form is base64.
type bitset []byte

func (b bitset) has(n int) bool { return n/8 < len(b) && b[n/8]>>(n%8)&1 == 1 }

// set adds n and reports whether it was not there.
func (b *bitset) set(n int) bool {
	if b.has(n) {
		return false
	}
	if n/8 >= len(*b) {
		*b = append(*b, make([]byte, n/8+1-len(*b))...)
	}
	(*b)[n/8] |= 1 << (n % 8)
	return true
}

func (b bitset) count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// scanState is a scan that runs, or whose first messages overtook its plan.
type scanState struct {
	ID       string                `json:"id"`
	Kind     event.Kind            `json:"kind"`
	Planned  bool                  `json:"planned"`
	Reason   string                `json:"reason"`
	Epoch    time.Time             `json:"epoch"`
	Start    time.Time             `json:"start"`
	Scopes   []ecs.Scope           `json:"scopes"`
	Failed   []record.Failure      `json:"failed"`
	Excluded []record.AccountLabel `json:"excluded,omitempty"`
	New      int                   `json:"new"`
	Changed  int                   `json:"changed"`
	Gone     int                   `json:"gone"`
	Touched  int64                 `json:"touched"`         // broker time of the last message of it
	Asked    []string              `json:"asked,omitempty"` // ids of a rescan, ascending

	progress map[ecs.Scope]*progress
}

// progress is what a scan has committed of one scope.
type progress struct {
	Scope     ecs.Scope           `json:"scope"`
	No        uint32              `json:"no"`
	Plans     map[string]*plan    `json:"plans,omitempty"`
	Walks     []*walk             `json:"walks,omitempty"`
	Refused   []record.Failure    `json:"refused,omitempty"`  // ScopeFailed
	Evidence  []record.Failure    `json:"evidence,omitempty"` // lookups that failed
	Instances int                 `json:"instances"`          // distinct
	Pages     int                 `json:"pages"`              // distinct, over all walks
	Seen      bitset              `json:"seen,omitempty"`     // ordinals, as of the last fold
	State     record.Completeness `json:"state"`
	Check     *check              `json:"check,omitempty"`    // what is asked before anything is gone
	Disputed  []string            `json:"disputed,omitempty"` // plans whose lanes together disagree with the counts
	Doubts    []record.Failure    `json:"doubts,omitempty"`   // what speaks against a whole scope
	Whole     bool                `json:"whole"`              // every page of one plan is in, and nothing is asked any more
	Gone      int                 `json:"gone"`
	Seal      *record.ScanScope   `json:"seal,omitempty"` // fixed once Whole

	seen bitset // ordinals; nil while the index is not in memory
}

// plan is one way in which a scope was cut.
type plan struct {
	Lanes   []string `json:"lanes"`
	Counted *int     `json:"counted,omitempty"` // before it was cut
}

// walk is one attempt to walk one lane.
type walk struct {
	Lane      string          `json:"lane"`
	Name      string          `json:"walk"`
	Got       bitset          `json:"got,omitempty"`  // committed pages
	Lost      bitset          `json:"lost,omitempty"` // dead-lettered pages
	Ended     bool            `json:"ended,omitempty"`
	Announced int             `json:"announced,omitempty"`
	Failure   *record.Failure `json:"failure,omitempty"`
	Losses    *record.Failure `json:"losses,omitempty"`
	Asked     *asked          `json:"asked,omitempty"`

	// What the lane's end announced.
	Counted   *int   `json:"counted,omitempty"`
	Listed    int    `json:"listed,omitempty"`
	Created   int    `json:"created,omitempty"`
	Published int    `json:"published,omitempty"`
	IDs       uint64 `json:"ids,omitempty"`
	// What came of it: rows of its committed pages, and those of them that were
	// stored, with the sum of their ids.
	Classified int    `json:"classified,omitempty"`
	Stored     int    `json:"stored,omitempty"`
	StoredIDs  uint64 `json:"stored_ids,omitempty"`
	Refused    string `json:"refused,omitempty"` // why a row of it could not be stored

	got int
}

func (w *walk) done() bool {
	return w.Ended && w.Failure == nil && w.got >= w.Announced && w.agrees()
}

// failed says that the walk is over and did not read the lane.
func (w *walk) failed() bool {
	if !w.Ended || w.Failure == nil && len(w.Lost) == 0 && w.agrees() {
		return false
	}
	in := 0
	for i := range w.Announced {
		if w.Got.has(i) || w.Lost.has(i) {
			in++
		}
	}
	return in >= w.Announced && !w.done()
}

// agrees reports whether all stages of a walk whose pages are all committed had
// the same instances. Before that nothing can be said.
func (w *walk) agrees() bool {
	if !w.Ended || w.got < w.Announced {
		return true
	}
	return w.Listed == w.Published && w.Published == w.Classified && w.Classified == w.Stored && w.IDs == w.StoredIDs
}

// disagreement says which stages of a walk do not agree, or "".
func (w *walk) disagreement() string {
	if w.agrees() {
		return ""
	}
	numbers := fmt.Sprintf("lane %s: %d instances listed, %d published, %d classified, %d stored", w.Lane, w.Listed, w.Published, w.Classified, w.Stored)
	switch {
	case w.Refused != "":
		return numbers + "; " + w.Refused
	case w.Listed == w.Published && w.Published == w.Classified && w.Classified == w.Stored:
		return numbers + ", but not the same ones"
	}
	return numbers
}

// contradiction is the disagreement of the walk as a cause.
func (w *walk) contradiction(s ecs.Scope) *record.Failure {
	text := w.disagreement()
	if text == "" {
		return nil
	}
	return &record.Failure{
		Account: s.Account, Region: s.Region, API: "shenscan", Class: ecs.Contradicted.String(), Error: text,
		Mend: "scan again; if it stays so, a part of shenscan loses instances: report it with this text",
	}
}

func (p *progress) walk(lane, name string) *walk {
	for _, w := range p.Walks {
		if w.Name == name && w.Lane == lane {
			return w
		}
	}
	if len(p.Walks) >= maxWalks {
		return nil
	}
	w := &walk{Lane: lane, Name: name}
	p.Walks = append(p.Walks, w)
	return w
}

// tally is what a page brought to the store.
type tally struct {
	rows, stored int
	ids          uint64 // sum over the stored ones
	refused      string // why a row could not be stored
}

// page notes a committed page and reports whether it may be counted at all. A
// repeat of a page adds nothing.
func (p *progress) page(lane, name string, page int, t *tally) bool {
	w := p.walk(lane, name)
	if w == nil || page < 0 || page >= maxPages {
		return false
	}
	if w.Got.set(page) {
		p.Pages++
		w.Classified += t.rows
		w.Stored += t.stored
		w.StoredIDs += t.ids
		if w.Refused == "" {
			w.Refused = t.refused
		}
		if !w.Ended || page < w.Announced {
			w.got++
		}
	}
	return true
}

func (w *walk) end(m *event.LaneEnded) {
	if m.Pages < 0 || m.Pages > maxPages || w.done() {
		return
	}
	// A walk that said both is taken at its good word.
	if w.Ended && m.Failure != nil && w.Failure == nil {
		return
	}
	w.Ended, w.Announced, w.Failure = true, m.Pages, m.Failure
	w.Counted, w.Listed, w.Created, w.Published, w.IDs = m.Counted, m.Listed, m.Created, m.Instances, m.IDs
	w.Asked = askedOf(m)
	w.recount()
}

func (w *walk) recount() {
	w.got = 0
	for i := range w.Announced {
		if w.Got.has(i) {
			w.got++
		}
	}
	if !w.Ended {
		w.got = w.Got.count()
	}
}

// decide says how the scope stands by what is known now.
func (p *progress) decide() record.Completeness {
	type standing struct{ done, failed bool }
	lanes := map[string]standing{}
	for _, w := range p.Walks {
		s := lanes[w.Lane]
		s.done = s.done || w.done()
		s.failed = s.failed || w.failed()
		lanes[w.Lane] = s
	}
	outstanding, read, plans := false, p.Pages > 0, 0
	for name, plan := range p.Plans {
		if slices.Contains(p.Disputed, name) {
			continue
		}
		plans++
		open := 0
		whole := true
		for _, lane := range plan.Lanes {
			s := lanes[lane]
			read = read || s.done
			whole = whole && s.done
			if !s.done && !s.failed {
				open++
			}
		}
		if whole {
			return record.ScopeComplete
		}
		outstanding = outstanding || open > 0
	}
	switch {
	case outstanding || plans == 0 && len(p.Refused) == 0:
		return record.ScopePending
	case read:
		return record.ScopePartial
	}
	return record.ScopeFailed
}

// failures lists why the scope is not whole.
func (p *progress) failures() []record.Failure {
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
		for _, w := range p.Walks {
			if !done[w.Lane] {
				add(w.Failure)
				add(w.Losses)
				add(w.contradiction(p.Scope))
			}
		}
		for i := range p.Refused {
			add(&p.Refused[i])
		}
	}
	for i := range p.Doubts {
		add(&p.Doubts[i])
	}
	for i := range p.Evidence {
		add(&p.Evidence[i])
	}
	slices.SortFunc(out, compareFailures)
	return out
}

// numbers are what each stage had of the scope.
func (p *progress) numbers() record.Numbers {
	best, _ := p.best()
	if c := p.Check; c != nil && c.Counted != nil && c.Plan == best.name {
		best.Counted = c.Counted
	}
	return best.Numbers
}

// planRead is what was read by one plan.
type planRead struct {
	record.Numbers
	name    string
	lanes   int
	before  *int // counted before the scope was cut
	created int  // of the listed, since the scan was asked for
}

// best is the reading of the plan that is whole and not disputed, and true; or
// else the one that came furthest, by the best walk of each lane.
func (p *progress) best() (out planRead, whole bool) {
	best := map[string]*walk{}
	for _, w := range p.Walks {
		if had := best[w.Lane]; had == nil || !had.done() && (w.done() || w.Stored > had.Stored) {
			best[w.Lane] = w
		}
	}
	for i, name := range slices.Sorted(maps.Keys(p.Plans)) {
		plan := p.Plans[name]
		n, all := planRead{Numbers: record.Numbers{Counted: plan.Counted}, name: name, lanes: len(plan.Lanes), before: plan.Counted}, !slices.Contains(p.Disputed, name)
		for _, lane := range plan.Lanes {
			w := best[lane]
			if w == nil {
				all = false
				continue
			}
			all = all && w.done()
			n.Listed += w.Listed
			n.created += w.Created
			n.Published += w.Published
			n.Classified += w.Classified
			n.Stored += w.Stored
			if len(plan.Lanes) == 1 && w.Counted != nil {
				n.Counted = w.Counted
			}
		}
		if i == 0 || all && !whole || all == whole && n.Stored > out.Stored {
			out, whole = n, all
		}
	}
	return out, whole
}

// report is the scope as the scan shows it.
func (p *progress) report() record.ScanScope {
	if p.Seal != nil {
		return *p.Seal
	}
	return record.ScanScope{
		Account: p.Scope.Account, Region: p.Scope.Region, Completeness: p.State, Numbers: p.numbers(),
		AskedByID: p.askedByID(), Instances: p.Instances, Pages: p.Pages, Gone: p.Gone, Failures: p.failures(),
	}
}

// addFailure keeps f unless the list has it or is full.
func addFailure(list []record.Failure, f record.Failure) []record.Failure {
	f.RequestID = "" // differs between repeats of one failure
	if len(list) >= maxFailures || slices.Contains(list, f) {
		return list
	}
	list = append(list, f)
	slices.SortFunc(list, compareFailures)
	return list
}
