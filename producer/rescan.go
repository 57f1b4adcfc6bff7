package producer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// HandleRescan looks at the named instances now. Where an instance is comes
// from the request, else from what is known already, else every scope is
// asked. try names this delivery of the request.
func (p *Producer) HandleRescan(ctx context.Context, req *event.ScanRequested, epoch time.Time, try string) error {
	if err := validate(req); err != nil {
		return event.Terminal(err)
	}
	plan := &event.ScanPlanned{ScanID: req.ScanID, Kind: event.KindRescan, Reason: req.Reason, Epoch: epoch}
	byScope, err := p.locate(ctx, req, plan)
	if err != nil {
		return err
	}
	for s := range byScope {
		plan.Scopes = append(plan.Scopes, s)
	}
	slices.SortFunc(plan.Scopes, func(a, b ecs.Scope) int {
		if a.Account != b.Account {
			if a.Account < b.Account {
				return -1
			}
			return 1
		}
		if a.Region < b.Region {
			return -1
		}
		return 1
	})
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
	return p.bus.Publish(ctx, plan)
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
		if err != nil {
			p.o.Log.WarnContext(ctx, "known instances could not be looked up; every scope is asked", "scan", req.ScanID, "err", err)
		}
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
	accounts := req.Accounts
	if len(accounts) == 0 {
		accounts = p.o.Accounts
	}
	everywhere := &event.ScanPlanned{}
	for _, account := range accounts {
		if err := p.planAccount(ctx, everywhere, account, req.Regions); err != nil {
			return nil, err
		}
	}
	plan.Failed = everywhere.Failed
	for _, s := range everywhere.Scopes {
		byScope[s] = append(byScope[s], unknown...)
	}
	return byScope, nil
}

func allowed(req *event.ScanRequested, s ecs.Scope) bool {
	return (len(req.Accounts) == 0 || slices.Contains(req.Accounts, s.Account)) &&
		(len(req.Regions) == 0 || slices.Contains(req.Regions, s.Region))
}

// rescanScope reads the instances in calls of up to a page each, side by side.
func (p *Producer) rescanScope(ctx context.Context, req *event.ScanRequested, s ecs.Scope, ids []string, epoch time.Time, try string) error {
	w := event.Walk{ScanID: req.ScanID, Kind: event.KindRescan, Scope: s, Lane: try + ".0", Walk: try + ".0"}
	planned := &event.ScopePlanned{ScanID: req.ScanID, Kind: event.KindRescan, Scope: s, Plan: try, Lanes: []string{w.Lane}}
	ended := &event.LaneEnded{ScanID: req.ScanID, Kind: event.KindRescan, Scope: s, Lane: w.Lane, Walk: w.Walk}
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for chunk := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), ecs.MaxPage) {
		group.Go(func() error {
			fetch, span := trace.Start(gctx, "fetch page", trace.Int("shenscan.instances", len(chunk)))
			page, err := p.cloud.Instances(fetch, s, ecs.Query{InstanceIDs: chunk})
			span.End(err)
			if err != nil {
				return err
			}
			found := map[string]bool{}
			for i := range page.Instances {
				found[page.Instances[i].ID] = true
			}
			m := &event.InstancesListed{Walk: w, Epoch: epoch.UnixNano(), Observed: p.o.Now().Add(-time.Since(page.Asked)).UnixNano()}
			m.SetInstances(page.Instances)
			mu.Lock()
			for _, id := range chunk {
				if !found[id] && page.Doubt == nil {
					ended.NotFound = append(ended.NotFound, id)
				}
			}
			if len(page.Instances) > 0 {
				m.Page = ended.Pages
				ended.Pages++
				ended.Instances += len(page.Instances)
			}
			mu.Unlock()
			if len(page.Instances) > 0 {
				if err := p.bus.Publish(gctx, m); err != nil {
					return busError{err}
				}
			}
			if page.Doubt != nil {
				return page.Doubt
			}
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bus, ok := errors.AsType[busError](err); ok {
		return bus.error
	}
	if err != nil {
		f := failure(s, "DescribeInstances", err)
		ended.Failure = &f
	}
	if err := p.bus.Publish(ctx, ended); err != nil {
		return err
	}
	return p.bus.Publish(ctx, planned)
}

// busError marks an error of the bus among those of the cloud.
type busError struct{ error }
