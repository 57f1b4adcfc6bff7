package plan

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

// Offered is what the cloud said about changing instances of some waves to the
// types that are recommended for them.
type Offered struct {
	AskedAt  time.Time        `json:"asked_at"`
	Waves    []waves.ID       `json:"waves"`
	Budget   int              `json:"budget"` // calls that were allowed
	Calls    int              `json:"calls"`  // of DescribeResourcesModification, repeats of failed ones apart
	Failures []record.Failure `json:"failures"`
	// What came of it, in instances.
	Offered        int `json:"offered"`
	AfterDisks     int `json:"after_disks"`
	AcrossClusters int `json:"across_clusters"`
	SoldOut        int `json:"sold_out"`
	NotOffered     int `json:"not_offered"`
	NotKnown       int `json:"not_known"`
	NotAsked       int `json:"not_asked"` // the budget was used up

	scopes map[ecs.Scope]map[string]*record.OfferedChange
}

const actChanges = "DescribeResourcesModification"

// Bounds of asking.
const (
	changeCalls   = 16
	changeTimeout = 2 * time.Minute // for one call with its retries
)

// AskedWaves are those whose instances can be asked about: they move.
func AskedWaves() []waves.ID {
	return slices.DeleteFunc(waves.All(), func(id waves.ID) bool { return id == waves.AlreadyThere || id == waves.StayGen5 })
}

// question is one instance and the type that it is to be changed to.
type question struct {
	scope ecs.Scope
	zone  string
	id    string
	own   *record.OfferedChange
}

// AskOffered asks of each instance of the waves whether the change to its
// recommended type is offered, within a budget of calls. The error is ctx's, or
// what the records gave.
func AskOffered(ctx context.Context, cloud ecs.ChangeAPI, o Options, records iter.Seq2[*record.Record, error], which []waves.ID, budget int) (*Offered, error) {
	out := &Offered{AskedAt: o.Now.UTC(), Waves: which, Budget: budget, Failures: []record.Failure{}, scopes: map[ecs.Scope]map[string]*record.OfferedChange{}}
	asks, err := out.questions(o, records)
	if err != nil {
		return nil, err
	}
	asker := changeAsker{cloud: cloud, out: out, closed: map[ecs.Scope]bool{}, failed: map[ecs.Scope]bool{}}
	var group errgroup.Group
	group.SetLimit(changeCalls)
	for _, ask := range asks {
		group.Go(func() error {
			asker.settle(ctx, ask)
			return nil
		})
	}
	_ = group.Wait() // no call returns one
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ask which changes are offered: %w", err)
	}
	out.Failures = merge(out.Failures, scopesOf(out.scopes))
	return out, nil
}

// questions are those that the budget allows, in the order of the records; the
// instances behind them are noted as not asked about.
func (f *Offered) questions(o Options, records iter.Seq2[*record.Record, error]) (asks []question, err error) {
	b := newBuilder(o)
	unasked := map[string]*record.OfferedChange{}
	for each, err := range b.candidates(records) {
		if err != nil {
			return nil, err
		}
		rec, scope := each.rec, each.scope()
		to := b.chooser.replacement(rec).Type
		if each.there || !slices.Contains(f.Waves, each.id) || to == "" || to == rec.InstanceType {
			continue
		}
		own := unasked[to] // what is said of those that are not asked about is the same
		if own == nil || len(asks) < f.Budget {
			own = &record.OfferedChange{Type: to, State: record.ChangeUnasked, AskedAt: f.AskedAt}
		}
		if f.scopes[scope] == nil {
			f.scopes[scope] = map[string]*record.OfferedChange{}
		}
		f.scopes[scope][strings.Clone(rec.InstanceID)] = own // a record's texts are one with its row, which would be kept
		if len(asks) < f.Budget {
			asks = append(asks, question{scope, rec.Zone, rec.InstanceID, own})
		} else {
			unasked[to] = own
		}
	}
	return asks, nil
}

// changeAsker asks, and counts what it may still ask.
type changeAsker struct {
	cloud  ecs.ChangeAPI
	mu     sync.Mutex
	out    *Offered
	closed map[ecs.Scope]bool // nobody is asked there any more
	failed map[ecs.Scope]bool // a failure of it is named already
}

// may takes a call from the budget.
func (a *changeAsker) may(scope ecs.Scope) (ok, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed[scope] || a.out.Calls >= a.out.Budget {
		return false, a.closed[scope]
	}
	a.out.Calls++
	return true, false
}

// settle finds out the state of one change. What is not offered where the instance
// is may be by a move to another cluster, which is asked for before it is refused.
func (a *changeAsker) settle(ctx context.Context, ask question) {
	own := ask.own
	for _, across := range []bool{false, true} {
		ok, closed := a.may(ask.scope)
		switch {
		case closed:
			own.State, own.Why = record.ChangeNotKnown, "its region could not be asked"
			return
		case !ok && across:
			own.State, own.Why = record.ChangeRefused, "whether it is offered by a move to another cluster was not asked"
			return
		case !ok:
			return
		}
		call, cancel := context.WithTimeout(ctx, changeTimeout)
		types, err := a.cloud.TypeChanges(call, ask.scope, ecs.ChangeQuery{Instance: ask.id, Zone: ask.zone, AcrossClusters: across})
		cancel()
		if err != nil {
			own.State, own.Why = record.ChangeNotKnown, "the cloud did not answer, or its answer is contradicted"
			a.fail(ask.scope, err)
			return
		}
		change, offered := types[own.Type]
		switch {
		case !offered:
			own.State = record.ChangeRefused
			continue
		case change.Stock == ecs.SoldOut:
			own.State = record.ChangeSoldOut
		case change.Odd != "":
			own.State, own.Why = record.ChangeNotKnown, "no document says what its status means: "+change.Odd
		case change.AfterDisks:
			own.State = record.ChangeDisks
		case across:
			own.State = record.ChangeClusters
		default:
			own.State = record.ChangeOffered
		}
		return
	}
}

// fail names the first failure of a scope, and asks there no more where every
// question would fail alike.
func (a *changeAsker) fail(scope ecs.Scope, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch ecs.ClassOf(err) {
	case ecs.Permission, ecs.Credentials, ecs.RegionClosed:
		a.closed[scope] = true
	case ecs.Transient, ecs.Throttled, ecs.TokenExpired, ecs.BadRequest, ecs.BadAnswer, ecs.Contradicted: // of this one instance, or of this moment
	}
	if !a.failed[scope] {
		a.failed[scope] = true
		a.out.Failures = append(a.out.Failures, failureOf(actChanges, scope, err))
	}
}

// Of is what was said of the instance; nil where it was not to be asked about.
func (f *Offered) Of(account, region, id string) *record.OfferedChange {
	if f == nil {
		return nil
	}
	return f.scopes[ecs.Scope{Account: account, Region: region}][id]
}

// count notes what came of it for one instance that is planned.
func (f *Offered) count(own *record.OfferedChange) {
	if own == nil {
		return
	}
	counts := map[string]*int{
		record.ChangeOffered: &f.Offered, record.ChangeDisks: &f.AfterDisks, record.ChangeClusters: &f.AcrossClusters,
		record.ChangeSoldOut: &f.SoldOut, record.ChangeRefused: &f.NotOffered, record.ChangeUnasked: &f.NotAsked,
	}
	*cmp.Or(counts[own.State], &f.NotKnown)++
}

// path is how the instance gets there by what the cloud said, which counts before
// the vendor's matrix; where the two differ the note says so.
func offeredPath(own *record.OfferedChange, path Path, note string) (Path, string) {
	if own == nil {
		return path, note
	}
	switch own.State {
	case record.ChangeOffered, record.ChangeDisks, record.ChangeClusters, record.ChangeSoldOut:
		if path == TypeChange {
			return path, note + "; the cloud offers it, too"
		}
		return TypeChange, note + "; the cloud offers it all the same, which counts"
	case record.ChangeRefused:
		if path == TypeChange {
			return NewInstance, note + "; the cloud does not offer it, which counts"
		}
		return NewInstance, note + "; the cloud does not offer it either"
	}
	return path, note
}

// offeredChecks are what is to be done before the move about what the cloud said.
func offeredChecks(own *record.OfferedChange, takes string, checks []string) []string {
	if own == nil {
		return checks
	}
	add := map[string]string{record.ChangeDisks: cmp.Or(diskAdvice[takes], essdDisks), record.ChangeClusters: acrossClusters, record.ChangeSoldOut: soldOutNow, record.ChangeRefused: notOffered}[own.State]
	if add == "" {
		return checks
	}
	return append(slices.Clone(checks), add)
}

// Words says in one sentence what was asked and what came of it.
func (f *Offered) Words() string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf("changes as of %s, in %s of DescribeResourcesModification: offered for %s, after a change of disks for %s, across clusters for %s, sold out for %s, not offered for %s, not known for %s, not asked for %s",
		report.Moment(f.AskedAt), report.Plural(f.Calls, "call", "calls"), report.Plural(f.Offered, "instance", "instances"),
		report.Number(f.AfterDisks), report.Number(f.AcrossClusters), report.Number(f.SoldOut), report.Number(f.NotOffered), report.Number(f.NotKnown), report.Number(f.NotAsked))
}

// OfferedText says in words what the cloud said of an instance; "" where it was not
// to be asked.
func OfferedText(own *record.OfferedChange, in lang.Language) string {
	if own == nil {
		return ""
	}
	text := map[string]string{
		record.ChangeOffered:  "the cloud offers the change to %s",
		record.ChangeDisks:    "the cloud offers the change to %s once its disks are of another category",
		record.ChangeClusters: "the cloud offers the change to %s by a move to another cluster of the zone",
		record.ChangeSoldOut:  "the cloud offers the change to %s, which is sold out",
		record.ChangeRefused:  "the cloud does not offer the change to %s",
		record.ChangeUnasked:  "whether the cloud offers the change to %s was not asked: the calls that were allowed are used up",
	}[own.State]
	if text == "" {
		text = "whether the cloud offers the change to %s is not known"
	}
	said := []string{in.Say(fmt.Sprintf(text, own.Type))}
	if own.Why != "" {
		said = append(said, in.Say(own.Why))
	}
	return strings.Join(said, in.Say("; "))
}
