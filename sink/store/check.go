package store

import (
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store/format"
)

// check is what is asked about a scope whose lanes have all ended, and what was
// answered. Nothing is gone before that.
type check struct {
	Question string          `json:"question"`
	Plan     string          `json:"plan"`  // whose lanes ended
	Round    int             `json:"round"` // counted from 0
	Missing  int             `json:"missing"`
	Sum      uint64          `json:"sum"` // of event.IDSum over the missing ones
	Parts    int             `json:"parts"`
	Answered bitset          `json:"answered,omitempty"`
	Counted  *int            `json:"counted,omitempty"`
	Found    int             `json:"found,omitempty"`
	Examples []string        `json:"examples,omitempty"`
	Failure  *record.Failure `json:"failure,omitempty"`
}

func (c *check) done() bool { return c.Answered.count() >= c.Parts }

// maxRounds bounds how often a question is asked anew because what it is about
// has changed.
const maxRounds = 16

// askedByID is how many instances were asked for by id.
func (p *progress) askedByID() int {
	if p.Check == nil {
		return 0
	}
	return min(p.Check.Missing, p.Check.Answered.count()*event.MaxCheckIDs)
}

// settle says whether a scope whose lanes have all ended can be decided. What
// speaks against its being whole is in p.Doubts then.
func (a *applier) settle(s *scanState, p *progress, sc *scope) (bool, error) {
	read, _ := p.best()
	c := p.Check
	if c != nil && c.Plan == read.name && !c.done() {
		return false, nil
	}
	missing, err := a.missing(s, sc)
	if err != nil {
		return false, err
	}
	if c == nil || c.Plan != read.name {
		if len(missing) == 0 && (read.lanes == 1 || read.before == nil) {
			return true, nil // its lane was held against the counts already
		}
		a.ask(s, p, &read, missing, 0)
		return false, nil
	}
	doubt := func(format string, args ...any) {
		p.Doubts = addFailure(p.Doubts, record.Failure{
			Account: p.Scope.Account, Region: p.Scope.Region, API: "DescribeInstances", Class: ecs.Contradicted.String(), Error: fmt.Sprintf(format, args...),
			Mend: "nothing is taken for gone here; scan again, and if it stays so, compare with the console and ask the cloud's support",
		})
	}
	switch {
	case c.Failure != nil:
		p.Doubts = addFailure(p.Doubts, *c.Failure)
	case c.Found > 0:
		doubt("%d of %d instances that no list had are there when they are asked for by id, such as %s: the lists were cut short",
			c.Found, c.Missing, strings.Join(c.Examples, ", "))
	case read.disagrees(c.Counted) && len(p.Disputed) == 0:
		a.listAgain(s, p, read.name)
		return false, nil
	case read.disagrees(c.Counted):
		doubt("%d instances are counted before and %d after a listing of %d in %d lanes, of which %d are new", *read.before, *c.Counted, read.Listed, read.lanes, read.created)
	case c.Missing != len(missing) || c.Sum != sumOf(missing):
		if c.Round+1 < maxRounds {
			a.ask(s, p, &read, missing, c.Round+1)
			return false, nil
		}
		doubt("what is missing here changed %d times while it was asked for by id", maxRounds)
	}
	return true, nil
}

// disagrees holds a listing in several lanes against the counts before and
// after it: an instance that is in none of the lanes is in the counts.
func (r *planRead) disagrees(after *int) bool {
	if r.lanes < 2 || r.before == nil || after == nil {
		return false
	}
	return r.Listed < min(*r.before, *after)-r.created || r.Listed > max(*r.before, *after)+r.created
}

// missing lists the instances of the scope that were there before the scan and
// that it has not seen.
func (a *applier) missing(s *scanState, sc *scope) ([]string, error) {
	ix, err := a.index(sc)
	if err != nil {
		return nil, err
	}
	var ids []string
	floor, epoch := sc.floor(), s.Epoch.UnixNano()
	for i := range ix.at {
		if order := ix.at[i].order; order < floor || order >= epoch {
			continue
		}
		row, err := ix.row(a.tx, sc.no, uint32(i))
		if err != nil {
			return nil, err
		}
		ids = append(ids, string(format.RowID(row)))
	}
	return ids, nil
}

func sumOf(ids []string) (sum uint64) {
	for _, id := range ids {
		sum += event.IDSum(id)
	}
	return sum
}

// ask puts a question into the outbox, in parts.
func (a *applier) ask(s *scanState, p *progress, read *planRead, missing []string, round int) {
	c := &check{Plan: read.name, Round: round, Missing: len(missing), Sum: sumOf(missing)}
	c.Question = fmt.Sprintf("%s/%d/%d/%x", read.name, round, c.Missing, c.Sum)
	c.Parts = max(1, (len(missing)+event.MaxCheckIDs-1)/event.MaxCheckIDs)
	p.Check = c
	for part := range c.Parts {
		ids := missing[min(part*event.MaxCheckIDs, len(missing)):min((part+1)*event.MaxCheckIDs, len(missing))]
		a.question(s, p, &event.ScopeCheck{Part: part, Parts: c.Parts, Count: part == 0 && read.lanes > 1 && read.before != nil, InstanceIDs: ids})
	}
}

// listAgain asks for another listing, as one lane, in place of a plan.
func (a *applier) listAgain(s *scanState, p *progress, plan string) {
	p.Disputed = append(p.Disputed, plan)
	p.Check = &check{Question: plan + "/again", Plan: plan, Parts: 1}
	a.question(s, p, &event.ScopeCheck{Parts: 1, Again: true})
}

func (a *applier) question(s *scanState, p *progress, m *event.ScopeCheck) {
	m.ScanID, m.Kind, m.Scope, m.Epoch, m.Question = s.ID, s.Kind, p.Scope, s.Epoch, p.Check.Question
	a.out.Asked++
	a.events = append(a.events, Event{At: a.msg.Position, Index: a.event, Time: utc(a.msg.Stored), Check: m})
	a.event++
}

func (a *applier) scopeChecked(m *event.ScopeChecked) error {
	s, p, err := a.known(m.ScanID, m.Kind, m.Scope)
	if p == nil || err != nil {
		return err
	}
	c := p.Check
	if c == nil || c.Question != m.Question || m.Part < 0 || m.Part >= c.Parts || !c.Answered.set(m.Part) {
		return nil // another sink's question, or a repeat
	}
	c.Found += max(m.Found, 0)
	for _, id := range m.Examples {
		if len(c.Examples) < maxExamples && usable(id) {
			c.Examples = append(c.Examples, id)
		}
	}
	if m.Counted != nil {
		c.Counted = m.Counted
	}
	if c.Failure == nil {
		c.Failure = m.Failure
	}
	if m.Failure != nil && len(p.Disputed) > 0 && p.Disputed[len(p.Disputed)-1] == c.Plan {
		p.Refused = addFailure(p.Refused, *m.Failure) // there will be no other listing
	}
	return a.settled(s, p)
}

// maxExamples is how many instances a cause names.
const maxExamples = 3

// Awaits reports whether a question still waits for an answer.
func (db *DB) Awaits(m *event.ScopeCheck) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.running[m.ScanID]
	if s == nil {
		return false
	}
	p := s.progress[m.Scope]
	return p != nil && !p.Whole && p.Check != nil && p.Check.Question == m.Question && !p.Check.Answered.has(m.Part)
}
