package producer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/trace"
)

// HandleRescan looks at the named instances now. Where an instance is comes
// from the request, else from what is known already, else every scope is
// asked. try names this delivery of the request.
func (p *Producer) HandleRescan(ctx context.Context, req *event.ScanRequested, epoch time.Time, try string) error {
	if err := validate(req); err != nil {
		return event.Terminal(err)
	}
	plan := &event.ScanPlanned{ScanID: req.ScanID, Kind: event.KindRescan, Reason: req.Reason, Epoch: epoch, InstanceIDs: req.InstanceIDs}
	byScope, err := p.locate(ctx, req, plan)
	if err != nil {
		return err
	}
	plan.Scopes = slices.SortedFunc(maps.Keys(byScope), compareScopes)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, s := range plan.Scopes {
		group.Go(func() error { return p.rescanScope(gctx, req, s, byScope[s], epoch, try) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// Announced last: another attempt may look elsewhere, and nobody then waits
	// for the scopes of this one.
	return p.announce(ctx, plan)
}

// locate finds the scopes to ask for the request's instances.
func (p *Producer) locate(ctx context.Context, req *event.ScanRequested, plan *event.ScanPlanned) (map[ecs.Scope][]string, error) {
	byScope := map[ecs.Scope][]string{}
	if len(req.Accounts) == 1 && len(req.Regions) == 1 {
		byScope[ecs.Scope{Account: req.Accounts[0], Region: req.Regions[0]}] = req.InstanceIDs
		return byScope, nil
	}
	unknown := req.InstanceIDs
	if p.locator != nil {
		known, err := p.locator.Locate(ctx, req.InstanceIDs)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		p.unlocated.tell(ctx, p.o.Log, req.ScanID, err)
		unknown = nil
		for _, id := range req.InstanceIDs {
			if s, ok := known[id]; ok && allowed(req, s) {
				byScope[s] = append(byScope[s], id)
			} else {
				unknown = append(unknown, id)
			}
		}
	}
	if len(unknown) == 0 {
		return byScope, nil
	}
	accounts, failed, err := p.accountsOf(ctx, req)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	plan.Failed = failed
	err = p.planAccounts(ctx, accounts.ids, req.Regions, func(_ context.Context, _ string, is planned) error {
		mu.Lock()
		defer mu.Unlock()
		plan.Failed = append(plan.Failed, is.failed...)
		for _, s := range is.scopes {
			byScope[s] = append(byScope[s], unknown...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(plan.Failed, func(a, b record.Failure) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return byScope, nil
}

// unlocated tells of rescans whose instances could not be looked up in a store: of
// the first of each cause, and how many there were when it is over. While a sink
// lags or restarts each rescan is one.
type unlocated struct {
	mu      sync.Mutex
	cause   string // "" while they are looked up
	rescans int
}

func (u *unlocated) tell(ctx context.Context, log *slog.Logger, scan string, err error) {
	cause := ""
	if err != nil {
		cause = err.Error()
	}
	u.mu.Lock()
	was, rescans := u.cause, u.rescans
	if cause == was {
		u.rescans++
	} else {
		u.cause, u.rescans = cause, 1
	}
	u.mu.Unlock()
	if cause == was {
		return
	}
	if was != "" {
		log.InfoContext(ctx, "rescans asked every scope, since their instances could not be looked up", "rescans", rescans, "err", was)
	}
	if cause != "" {
		log.WarnContext(ctx, "known instances cannot be looked up; rescans ask every scope until a sink answers", "scan", scan, "err", err)
	}
}

func allowed(req *event.ScanRequested, s ecs.Scope) bool {
	return (len(req.Accounts) == 0 || slices.Contains(req.Accounts, s.Account)) &&
		(len(req.Regions) == 0 || slices.Contains(req.Regions, s.Region))
}

// rescanScope reads the instances and says of each whether it was found.
func (p *Producer) rescanScope(ctx context.Context, req *event.ScanRequested, scope ecs.Scope, ids []string, epoch time.Time, try string) error {
	walk := event.Walk{ScanID: req.ScanID, Kind: event.KindRescan, Scope: scope, Lane: try + ".0", Walk: try + ".0"}
	planned := &event.ScopePlanned{ScanID: req.ScanID, Kind: event.KindRescan, Scope: scope, Plan: try, Lanes: []string{walk.Lane}}
	ended := &event.LaneEnded{ScanID: req.ScanID, Kind: event.KindRescan, Scope: scope, Lane: walk.Lane, Walk: walk.Walk}
	got := p.lookUp(ctx, scope, ids, math.MaxInt)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := p.fill(ctx, scope, got.found); got.err == nil {
		got.err = err
	}
	for page := range slices.Chunk(got.found, ecs.MaxPage) {
		m := &event.InstancesListed{Walk: walk, Page: ended.Pages, Epoch: epoch.UnixNano(), Observed: got.observed.UnixNano()}
		m.SetInstances(page)
		if err := p.bus.Publish(ctx, m); err != nil {
			return err
		}
		ended.Pages++
		ended.Instances += len(page)
	}
	for i := range got.found {
		ended.Found = append(ended.Found, got.found[i].ID)
		ended.IDs += event.IDSum(got.found[i].ID)
	}
	ended.NotFound, ended.NotRead = got.absent, got.unread
	ended.Listed = len(got.found)
	ended.Failure = failureOf(scope, "DescribeInstances", got.err)
	if err := p.bus.Publish(ctx, ended); err != nil {
		return err
	}
	return p.bus.Publish(ctx, planned)
}

// lookedUp is what asking for instances by their ids came to: each of them is
// in one of the lists.
type lookedUp struct {
	found    []ecs.Instance
	observed time.Time // when the first of them was
	absent   []string  // not there, and asking is allowed
	unread   []string
	err      error // why the unread were not read
}

// lookUp asks for instances by their ids, ecs.MaxPage a call, until it has read
// enough. What a page lacks was asked for until an answer held none of it and is
// absent; where an answer contradicts itself or the question, it is unread.
func (p *Producer) lookUp(ctx context.Context, scope ecs.Scope, ids []string, enough int) lookedUp {
	var all lookedUp
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(4)
	for chunk := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), ecs.MaxPage) {
		group.Go(func() error {
			mu.Lock()
			done := len(all.found) >= enough
			mu.Unlock()
			if done {
				return nil
			}
			got := p.lookUpChunk(ctx, scope, chunk)
			mu.Lock()
			defer mu.Unlock()
			all.add(&got)
			return nil
		})
	}
	_ = group.Wait() // errors stand in all
	slices.Sort(all.absent)
	slices.Sort(all.unread)
	slices.SortFunc(all.found, func(a, b ecs.Instance) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (l *lookedUp) add(lookedUp *lookedUp) {
	if len(lookedUp.found) > 0 && (l.observed.IsZero() || lookedUp.observed.Before(l.observed)) {
		l.observed = lookedUp.observed
	}
	l.found, l.absent, l.unread = append(l.found, lookedUp.found...), append(l.absent, lookedUp.absent...), append(l.unread, lookedUp.unread...)
	if l.err == nil {
		l.err = lookedUp.err
	}
}

func (p *Producer) lookUpChunk(ctx context.Context, scope ecs.Scope, chunk []string) lookedUp {
	fetch, span := trace.Start(ctx, "fetch page", trace.Int("shenscan.instances", len(chunk)))
	page, err := p.cloud.Instances(fetch, scope, ecs.Query{InstanceIDs: chunk})
	span.End(err)
	if err != nil {
		return lookedUp{unread: chunk, err: err}
	}
	out := lookedUp{observed: p.o.Now().Add(-time.Since(page.Asked))}
	if page.Doubt != nil {
		out.err = page.Doubt
	}
	missing := make(map[string]bool, len(chunk))
	for _, id := range chunk {
		missing[id] = true
	}
	for i := range page.Instances {
		instance := &page.Instances[i]
		if missing[instance.ID] {
			delete(missing, instance.ID)
			out.found = append(out.found, *instance)
		} else if !slices.Contains(chunk, instance.ID) {
			out.err = &ecs.Error{
				Action: "DescribeInstances", Scope: scope, Class: ecs.Contradicted, RequestID: page.RequestID,
				Err:  fmt.Errorf("asked for %d instances by id, the answer holds %.64q, which is none of them", len(chunk), instance.ID),
				Mend: "ask again; look at what stands between shenscan and the API if it stays so",
			}
		}
	}
	left := slices.DeleteFunc(slices.Clone(chunk), func(id string) bool { return !missing[id] })
	if out.err != nil {
		out.unread = left
	} else {
		out.absent = left
	}
	return out
}

// failureOf is what a report says of err, nil where there is none.
func failureOf(scope ecs.Scope, action string, err error) *record.Failure {
	if err == nil {
		return nil
	}
	f := failure(scope, action, err)
	return &f
}
