package scans

import (
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// maxRounds bounds how often a question is asked anew because what it is about
// has changed.
const maxRounds = 16

// manyAtOnce is from how many instances on it is doubted that all instances of a
// scope are gone at once: an answer that is empty for another reason would take a
// whole region out of every total.
const manyAtOnce = 20

// maxExamples is how many instances a cause names.
const maxExamples = 3

// Check is what is asked about a scope whose lanes have all ended, and what was
// answered: whether the instances that no listing had are still there, and how
// many the API counts now. Nothing is gone before it is answered.
type Check struct {
	Question string          `json:"question"`
	Plan     string          `json:"plan"`               // whose lanes ended
	Round    int             `json:"round"`              // counted from 0
	Missing  int             `json:"missing"`            // instances that are asked for by id
	Sum      uint64          `json:"sum"`                // of event.IDSum over them
	Parts    int             `json:"parts"`              // messages of the question
	Answered Set             `json:"answered,omitempty"` // numbers of the parts that were answered
	Counted  *int            `json:"counted,omitempty"`  // instances of the scope by the API's count
	Found    int             `json:"found,omitempty"`    // of the missing ones, there after all
	Examples []string        `json:"examples,omitempty"` // ids of up to three of them
	Failure  *record.Failure `json:"failure,omitempty"`  // why it could not be answered
}

func (c *Check) done() bool { return c.Answered.Len() >= c.Parts }

// askedByID is how many instances were asked for by id.
func (p *Scope) askedByID() int {
	if p.Check == nil {
		return 0
	}
	return min(p.Check.Missing, p.Check.Answered.Len()*event.MaxCheckIDs)
}

// Awaits reports whether the question still waits for an answer.
func (p *Scope) Awaits(m *event.ScopeCheck) bool {
	c := p.Check
	return !p.Whole && c != nil && c.Question == m.Question && !c.Answered.Has(m.Part)
}

// AwaitsAnswers reports whether a question about the plan that was read is
// open, so that the scope cannot be settled yet.
func (p *Scope) AwaitsAnswers() bool {
	read, _ := p.best()
	return p.Check != nil && p.Check.Plan == read.plan && !p.Check.done()
}

// Settle says whether a scope of the scan whose lanes have all ended can be
// decided, given the ids of the instances that were there before the scan and
// that it has not seen. Where it cannot, it returns the questions whose answers
// decide it. What speaks against the scope's being whole is in Doubts then. empty
// says that the scan before found no instance of the scope either.
func (s *Scan) Settle(scope *Scope, missing []string, empty bool) (settled bool, questions []*event.ScopeCheck) {
	read, _ := scope.best()
	check := scope.Check
	if check == nil || check.Plan != read.plan {
		if len(missing) == 0 && (read.lanes == 1 || read.before == nil) && scope.twice(&read) == 0 {
			return true, nil // its lane was held against the counts already
		}
		return false, s.ask(scope, &read, missing, 0)
	}
	mend := "nothing is taken for gone here; scan again, and if it stays so, compare with the console and ask the cloud's support"
	doubt := func(format string, args ...any) {
		scope.Doubts = addFailure(scope.Doubts, record.Failure{
			Account: scope.Key.Account, Region: scope.Key.Region, API: "DescribeInstances", Class: ecs.Contradicted.String(), Error: fmt.Sprintf(format, args...), Mend: mend,
		})
	}
	switch {
	case check.Failure != nil:
		scope.Doubts = addFailure(scope.Doubts, *check.Failure)
	case check.Found > 0:
		doubt("at least %d of %d instances that no list had are there when they are asked for by id, such as %s: the lists were cut short",
			check.Found, check.Missing, strings.Join(check.Examples, ", "))
	case (read.disagrees(check.Counted) || scope.twice(&read) > 0) && len(scope.Disputed) == 0:
		return false, s.listAgain(scope, read.plan)
	case scope.twice(&read) > 0:
		doubt("of %d instances that are listed, %d were listed before, as others of the same list", read.Listed, scope.twice(&read))
	case read.disagrees(check.Counted):
		doubt("%d instances are counted before and %d after a listing of %d in %d lanes, of which %d are new", *read.before, *check.Counted, read.Listed, read.lanes, read.created)
	case check.Missing != len(missing) || check.Sum != sumOf(missing):
		if check.Round+1 < maxRounds {
			return false, s.ask(scope, &read, missing, check.Round+1)
		}
		doubt("what is missing here changed %d times while it was asked for by id", maxRounds)
	case read.Listed == 0 && len(missing) >= manyAtOnce && !empty:
		// Lists, counts and ids agree, and so they do where what may be seen was
		// narrowed: a second scan has to find the same.
		scope.Emptied = true
		mend = "nothing is taken for gone here; if they were released, scan again: a second scan that finds none of them takes them for gone. If not, look at what the scanning role may see (a policy for one resource group, another account's key)"
		doubt("all %d instances that were here before are gone at once", len(missing))
	}
	return true, nil
}

// disagrees holds a listing in several lanes against the counts before and
// after it: an instance that is in none of the lanes is in the counts.
func (r *reading) disagrees(after *int) bool {
	if r.lanes < 2 || r.before == nil || after == nil {
		return false
	}
	return r.Listed < min(*r.before, *after)-r.created || r.Listed > max(*r.before, *after)+r.created
}

// twice is how many of the instances that were read are another one again, at least:
// lanes leave no instance to two of them, and what stands twice in a sum hides one
// that stands nowhere.
func (p *Scope) twice(read *reading) int { return max(0, read.Stored-p.Instances) }

func sumOf(ids []string) (sum uint64) {
	for _, id := range ids {
		sum += event.IDSum(id)
	}
	return sum
}

// ask notes a question about the missing instances and returns its parts.
func (s *Scan) ask(scope *Scope, read *reading, missing []string, round int) []*event.ScopeCheck {
	check := &Check{Plan: read.plan, Round: round, Missing: len(missing), Sum: sumOf(missing)}
	check.Question = fmt.Sprintf("%s/%d/%d/%x", read.plan, round, check.Missing, check.Sum)
	check.Parts = max(1, (len(missing)+event.MaxCheckIDs-1)/event.MaxCheckIDs)
	scope.Check = check
	parts := make([]*event.ScopeCheck, check.Parts)
	for part := range parts {
		first := min(part*event.MaxCheckIDs, len(missing))
		parts[part] = s.question(scope, &event.ScopeCheck{
			Part: part, Parts: check.Parts, Count: part == 0 && read.lanes > 1 && read.before != nil,
			InstanceIDs: missing[first:min(first+event.MaxCheckIDs, len(missing))],
		})
	}
	return parts
}

// listAgain asks for another listing, as one lane, in place of a plan.
func (s *Scan) listAgain(scope *Scope, plan string) []*event.ScopeCheck {
	scope.Disputed = append(scope.Disputed, plan)
	scope.Check = &Check{Question: plan + "/again", Plan: plan, Parts: 1}
	return []*event.ScopeCheck{s.question(scope, &event.ScopeCheck{Parts: 1, Again: true})}
}

// question completes a part of the question that the scope's Check names.
func (s *Scan) question(scope *Scope, part *event.ScopeCheck) *event.ScopeCheck {
	part.ScanID, part.Kind, part.Scope, part.Epoch, part.Question = s.ID, s.Kind, scope.Key, s.Epoch, scope.Check.Question
	return part
}

// Answer notes an answer. It reports whether it belongs to the question that is
// open and was not given before.
func (p *Scope) Answer(scopeChecked *event.ScopeChecked) bool {
	check := p.Check
	if check == nil || check.Question != scopeChecked.Question || scopeChecked.Part < 0 || scopeChecked.Part >= check.Parts || !check.Answered.Add(scopeChecked.Part) {
		return false // another sink's question, or a repeat
	}
	check.Found += max(scopeChecked.Found, 0)
	check.Examples = append(check.Examples, scopeChecked.Examples[:min(len(scopeChecked.Examples), maxExamples-len(check.Examples))]...)
	if scopeChecked.Counted != nil {
		check.Counted = scopeChecked.Counted
	}
	if check.Failure == nil {
		check.Failure = scopeChecked.Failure
	}
	if scopeChecked.Failure != nil && len(p.Disputed) > 0 && p.Disputed[len(p.Disputed)-1] == check.Plan {
		p.Refuse(*scopeChecked.Failure) // there will be no other listing
	}
	return true
}
