package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

// answers gives the API whole answers of one moment of the store.
type answers struct{ a *App }

var _ httpapi.Answers = answers{}

// view opens a view for targets, those of the store where none is named.
func (s answers) view(ctx context.Context, chosen filter.Filter, targets []string) (*store.View, error) {
	var classifier store.Classifier
	if len(targets) > 0 {
		ruleset := s.a.storeRules()
		list, err := s.targets(ruleset, targets)
		if err != nil {
			return nil, err
		}
		classifier = ruleset.NewClassifier(list)
	}
	snapshot, err := s.a.db.View(ctx, classifier, store.Filter{Scope: chosen})
	if err != nil {
		return nil, err
	}
	if err := chosen.Check(snapshot.Known()); err != nil {
		return nil, errors.Join(err, snapshot.Close())
	}
	return snapshot, nil
}

// viewOn opens a view that has verdicts on targets. That of the store serves where
// it has them: nothing is judged anew.
func (s answers) viewOn(ctx context.Context, chosen filter.Filter, targets []string) (*store.View, error) {
	own, err := s.view(ctx, chosen, nil)
	if err != nil {
		return nil, err
	}
	_, has, judged := own.Judged()
	if judged && !slices.ContainsFunc(targets, func(target string) bool { return !slices.Contains(has, target) }) {
		return own, nil
	}
	if err := own.Close(); err != nil {
		return nil, err
	}
	return s.view(ctx, chosen, targets)
}

// rulesOf is the rule set of a classifier of the store. What is said beside verdicts
// is said by the rule set that made them: while a change of rules is being told, and
// to whoever still reads the moment before, that is another one than new pages are
// judged by.
func rulesOf(classifier store.Classifier) *rules.Ruleset {
	return classifier.(*rules.Classifier).Ruleset()
}

// storeRules is the rule set that the store's verdicts are of.
func (a *App) storeRules() *rules.Ruleset { return rulesOf(a.db.Classifier()) }

// targets are those that a rule set knows by the names.
func (s answers) targets(ruleset *rules.Ruleset, names []string) ([]rules.Target, error) {
	if len(names) > maxTargets {
		return nil, fmt.Errorf("%w: at most %d targets", httpapi.ErrQuestion, maxTargets)
	}
	var out []rules.Target
	types, err := LoadTypes(s.a.o.Store)
	if err != nil {
		s.a.log.Warn("targets are judged by the table of families alone", "err", err)
	}
	for _, name := range names {
		target, err := ruleset.ParseTarget(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", httpapi.ErrQuestion, err)
		}
		target, _ = ruleset.Learn(target, ecs.TypeFacts(types))
		if !slices.ContainsFunc(out, func(have rules.Target) bool { return have.ID == target.ID }) {
			out = append(out, target)
		}
	}
	return out, nil
}

// maxTargets bounds the targets of one question.
const maxTargets = 8

// Report implements httpapi.Answers.
func (s answers) Report(ctx context.Context, chosen filter.Filter, targets []string, span report.ChangeQuery) (*report.Report, func(), error) {
	view, err := s.view(ctx, chosen, targets)
	if err != nil {
		return nil, nil, err
	}
	done := func() {
		if err := view.Close(); err != nil {
			s.a.log.Error("a view of the store was not closed cleanly", "err", err)
		}
	}
	result, err := viewReport(ctx, view, Question{Filter: store.Filter{Scope: chosen}, Since: span.Since, Of: span.Scan, Kind: span.Kind})
	if err != nil {
		done()
		if errors.Is(err, ErrSince) || errors.Is(err, ErrOfScan) {
			err = fmt.Errorf("%w: %w", httpapi.ErrQuestion, err)
		}
		return nil, nil, err
	}
	result.Summary.CaughtUp = s.a.sink.CaughtUp()
	return result, done, nil
}

// Plan implements httpapi.Answers. The plan is shared, and not to be changed.
func (s answers) Plan(ctx context.Context, chosen filter.Filter, planRequest httpapi.PlanRequest) (*plan.Plan, error) {
	key := func(at store.Moment) answerKey { return s.planKey(at, chosen, planRequest) }
	return s.a.plans.of(ctx, func() answerKey { return key(s.a.db.Moment()) }, func(ctx context.Context) (*plan.Plan, answerKey, error) {
		types := typesVersion(s.a.o.Store)
		whole, at, judged, err := s.buildPlan(ctx, chosen, planRequest)
		k := key(at)
		k.ruleset, k.types = judged, types // the latter as they were before it was made
		return whole, k, err
	})
}

func (s answers) planKey(at store.Moment, chosen filter.Filter, planRequest httpapi.PlanRequest) answerKey {
	return answerKey{
		Moment: at, ruleset: s.a.db.Classifier().Digest(), types: typesVersion(s.a.o.Store),
		target: planRequest.Target, filter: chosen.Key(), owners: planRequest.OwnerTag, keepOS: planRequest.KeepOS,
	}
}

// Probe implements httpapi.Answers.
func (s answers) Probe() record.ProbeState { return s.a.probing.State() }

// StartGroups implements httpapi.Answers. What it returns is shared, and not to be
// changed.
func (s answers) StartGroups(ctx context.Context) (*record.StartGroups, error) {
	key := s.remediesKey
	return s.a.groups.of(ctx, func() answerKey { return key(s.a.db.Moment()) }, func(ctx context.Context) (*record.StartGroups, answerKey, error) {
		view, err := s.view(ctx, filter.Filter{}, nil)
		if err != nil {
			return nil, answerKey{}, err
		}
		groups, err := view.StartGroups(ctx)
		if err != nil {
			return nil, answerKey{}, errors.Join(err, view.Close())
		}
		// As the report has it: a list that is empty, and not none.
		groups.Groups, groups.Unread = append([]record.StartGroup{}, groups.Groups...), append([]record.StartUnread{}, groups.Unread...)
		return groups, key(view.Moment()), view.Close()
	})
}

func (s answers) remediesKey(at store.Moment) answerKey {
	return answerKey{Moment: at, ruleset: s.a.db.Classifier().Digest()}
}

// Remedies implements httpapi.Answers.
func (s answers) Remedies(ctx context.Context) (func(*report.Bucket) string, error) {
	key := s.remediesKey
	return s.a.remedies.of(ctx, func() answerKey { return key(s.a.db.Moment()) }, func(ctx context.Context) (func(*report.Bucket) string, answerKey, error) {
		view, err := s.view(ctx, filter.Filter{}, nil)
		if err != nil {
			return nil, answerKey{}, err
		}
		r := report.Report{Summary: *view.Summary(), Alike: func() ([]record.Alike, error) { return view.Alike(ctx) }}
		first, err := r.FirstRemedies()
		return first, key(view.Moment()), errors.Join(err, view.Close())
	})
}

// buildPlan makes a plan and says of which moment it is, and by which rule set.
func (s answers) buildPlan(ctx context.Context, chosen filter.Filter, planRequest httpapi.PlanRequest) (_ *plan.Plan, at store.Moment, judged string, err error) {
	named, err := s.targets(s.a.storeRules(), []string{planRequest.Target})
	if err != nil {
		return nil, at, "", err
	}
	names := []string{named[0].ID}
	if named[0].ID != "kvm" {
		names = append(names, "kvm") // whether an instance can stay on the 5th generation
	}
	view, err := s.viewOn(ctx, chosen, names)
	if err != nil {
		return nil, at, "", err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	ruleset := rulesOf(view.Classifier())
	to, err := s.targets(ruleset, names[:1])
	if err != nil {
		return nil, at, "", err
	}
	types, err := LoadTypes(s.a.o.Store)
	if err != nil {
		return nil, at, "", err
	}
	var owners []string
	if planRequest.OwnerTag != "" {
		owners = []string{planRequest.OwnerTag}
	}
	options, err := PlanOptions(ctx, view, ruleset, to[0], owners, false, s.a.o.Now())
	if err != nil {
		return nil, at, "", err
	}
	options.Types, options.KeepOS = types, planRequest.KeepOS
	whole, err := plan.Build(view.Instances(ctx), options)
	return whole, view.Moment(), ruleset.Digest(), err
}

// PlanOptions are those of a plan of what a view shows. Where neither tags name owners
// nor accounts are the owners, they are those by which the last scan counted.
func PlanOptions(ctx context.Context, view *store.View, ruleset *rules.Ruleset, to rules.Target, owners []string, byAccount bool, now time.Time) (plan.Options, error) {
	options := plan.Options{
		Target: to, Families: ruleset.Families(), Rules: ruleset, OwnerTags: owners, OwnerAccount: byAccount,
		Checks: ruleset.Definition().Checks, Now: now.UTC(), Summary: view.Summary(),
	}
	var err error
	if len(owners) == 0 && !byAccount {
		if options.OwnerTags, options.OwnerAccount, err = plan.Owners(view); err != nil {
			return options, err
		}
	}
	options.StartGroups, err = view.StartGroups(ctx)
	return options, err
}

// Progress implements httpapi.Answers.
func (s answers) Progress(_ context.Context, target, since string) (*plan.Progress, error) {
	progress, err := StoreProgress(s.a.db, target, since, s.a.o.Now().UTC())
	switch {
	case errors.Is(err, plan.ErrNoProgress):
		return nil, fmt.Errorf("%w: %w", httpapi.ErrNotFound, err)
	case errors.Is(err, plan.ErrNotJudged), errors.Is(err, plan.ErrNoSuchPoint), errors.Is(err, ErrSince):
		return nil, fmt.Errorf("%w: %w", httpapi.ErrQuestion, err)
	}
	return progress, err
}

// StoreProgress is the burn-down of one target, compared with the point that
// since names: a scan, a time, or how long before the newest point; "" is a week.
func StoreProgress(src plan.ProgressSource, target, since string, now time.Time) (*plan.Progress, error) {
	var from plan.Beginning
	if ago, ok := parseAgo(since); ok {
		from.Ago = max(ago, 1)
	} else if at, ok := parseTime(since, now); ok {
		if err := notYet(since, at, now); err != nil {
			return nil, err
		}
		from.At = at
	} else {
		from.Scan = since
	}
	return plan.NewProgress(src, target, from, now)
}

// Explain implements httpapi.Answers.
func (s answers) Explain(ctx context.Context, account, region, id string, targets []string) (*record.Explained, error) {
	judged := s.a.db.Classifier()
	if len(targets) == 0 {
		targets = judged.Targets()
	}
	list, err := s.targets(rulesOf(judged), targets)
	if err != nil {
		return nil, err
	}
	explained, err := StoredExplanation(ctx, s.a.db, rulesOf(judged), list, account, region, id, s.a.o.Now())
	return explained, notFound(err)
}

// StoredExplanation says how the verdicts of a stored instance come about.
func StoredExplanation(ctx context.Context, db *store.DB, ruleset *rules.Ruleset, targets []rules.Target, account, region, id string, now time.Time) (*record.Explained, error) {
	facts, in, err := db.Found(account, region, id)
	if err != nil {
		return nil, err
	}
	asked, err := db.GuestEvidence(in, id, now)
	if err != nil {
		return nil, err
	}
	out := &record.Explained{Explanation: *ruleset.Explain(facts, targets), GuestEvidence: asked, Siblings: []record.Siblings{}}
	for i := range out.Evidence {
		for _, count := range out.Evidence[i].Counts {
			list, err := siblingsNow(ctx, db, in, facts.ImageID, count)
			if err != nil {
				return nil, err
			}
			out.Siblings = append(out.Siblings, list)
		}
	}
	return out, nil
}

// siblingsNow says which filter lists the instances that the fleet counts for an
// image on a class, and how many there are now.
func siblingsNow(ctx context.Context, db *store.DB, in ecs.Scope, image string, count rules.ClassCount) (record.Siblings, error) {
	out := record.Siblings{Class: count.Class, Counted: count.Up, Filter: map[string]string{"account": in.Account, "region": in.Region, "image": image, "up": count.Class}}
	values := filter.Values{}
	for word, value := range out.Filter {
		values[word] = []string{value}
	}
	chosen, err := filter.Parse(values)
	if err != nil { // a name that no filter can hold
		out.Note = err.Error()
		return out, nil
	}
	view, err := db.View(ctx, nil, store.Filter{Scope: chosen})
	if err != nil {
		return out, fmt.Errorf("the instances of image %.64q: %w", image, err)
	}
	out.Now = view.Summary().Instances
	if err := view.Close(); err != nil {
		return out, fmt.Errorf("the instances of image %.64q: %w", image, err)
	}
	if out.Now < out.Counted {
		out.Note = "counted when a scan had listed all of the region; since then some were moved, stopped, released, or were not heard of again"
	}
	return out, nil
}
