// Package producer decides what to look at and reads it from the cloud: it
// turns scan requests into scopes, scopes into lanes and lanes into pages on
// the bus. It classifies nothing and stores nothing; whatever a producer was
// doing when it died, another takes over from the stream.
package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Cloud is what a producer asks of the ECS API; ecs.API satisfies it.
type Cloud interface {
	Regions(ctx context.Context, account string) ([]ecs.Region, error)
	Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error)
	CountInstances(ctx context.Context, s ecs.Scope, q ecs.Query) (int, error)
}

// Publisher stores a message durably before it returns nil. A repeat of a
// message is harmless.
type Publisher interface {
	Publish(ctx context.Context, m event.Message) error
}

// Locator finds where known instances are. An unknown id has no entry.
type Locator interface {
	Locate(ctx context.Context, ids []string) (map[string]ecs.Scope, error)
}

// Options of a Producer.
type Options struct {
	// Accounts are those that a request without accounts means.
	Accounts []string
	// LaneSize is how many instances a lane should hold; larger scopes are
	// cut by creation time into lanes that are walked side by side.
	LaneSize int
	// PagesInFlight is how many pages of one lane may wait for the broker.
	PagesInFlight int
	// PageWait is how long an instance may wait for others to fill a page.
	PageWait time.Duration
	// Restarts bounds how often a lane starts over because its token expired.
	Restarts int
	Log      *slog.Logger
	Now      func() time.Time
}

// DefaultOptions are right for any fleet.
func DefaultOptions() Options {
	return Options{LaneSize: 5000, PagesInFlight: 4, PageWait: 250 * time.Millisecond, Restarts: 3, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// Producer handles scan requests, scope jobs and lane jobs. It is safe for
// concurrent use.
type Producer struct {
	o       Options
	cloud   Cloud
	bus     Publisher
	locator Locator
}

// New returns a Producer. locator may be nil: instances are then looked for
// in every scope.
func New(o Options, cloud Cloud, bus Publisher, locator Locator) *Producer {
	return &Producer{o: o, cloud: cloud, bus: bus, locator: locator}
}

// HandleScan plans a scan: which accounts and regions, handed out as one scope
// job each and then announced as ScanPlanned, so that nobody waits for what a
// dead producer never handed out. epoch is the broker's time of the request.
func (p *Producer) HandleScan(ctx context.Context, req *event.ScanRequested, epoch time.Time) error {
	if err := validate(req); err != nil {
		return event.Terminal(err)
	}
	plan := &event.ScanPlanned{ScanID: req.ScanID, Kind: req.Kind, Reason: req.Reason, Epoch: epoch}
	accounts := req.Accounts
	if len(accounts) == 0 {
		accounts = p.o.Accounts
	}
	for _, account := range accounts {
		if err := p.planAccount(ctx, plan, account, req.Regions); err != nil {
			return err
		}
	}
	for _, s := range plan.Scopes {
		if err := p.bus.Publish(ctx, &event.ScopeJob{ScanID: req.ScanID, Kind: req.Kind, Scope: s, Epoch: epoch}); err != nil {
			return err
		}
	}
	p.o.Log.InfoContext(ctx, "scan planned", "scan", plan.ScanID, "scopes", len(plan.Scopes), "failed", len(plan.Failed))
	return p.bus.Publish(ctx, plan)
}

// planAccount adds the account's regions to plan: those that are wanted, all of
// them where none is named. A failure of the account is part of the plan; only a
// stop is an error.
func (p *Producer) planAccount(ctx context.Context, plan *event.ScanPlanned, account string, wanted []string) error {
	if !slices.Contains(p.o.Accounts, account) {
		plan.Failed = append(plan.Failed, record.Failure{
			Account: account, Class: ecs.BadRequest.String(), Error: fmt.Sprintf("account %q is not configured", account),
			Mend: "name one of: " + strings.Join(p.o.Accounts, ", "),
		})
		return nil
	}
	regions, err := p.cloud.Regions(ctx, account)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		plan.Failed = append(plan.Failed, failure(ecs.Scope{Account: account}, "DescribeRegions", err))
		return nil
	}
	known := map[string]bool{}
	for _, r := range regions {
		known[r.ID] = true
		if len(wanted) == 0 || slices.Contains(wanted, r.ID) {
			plan.Scopes = append(plan.Scopes, ecs.Scope{Account: account, Region: r.ID})
		}
	}
	for _, asked := range wanted {
		if !known[asked] {
			plan.Failed = append(plan.Failed, record.Failure{
				Account: account, Region: asked, API: "DescribeRegions", Class: ecs.RegionClosed.String(),
				Error: fmt.Sprintf("region %q is not among the %d that DescribeRegions names", asked, len(regions)),
				Mend:  "check the spelling, or activate the region for the account",
			})
		}
	}
	return nil
}

// maxIDs bounds one rescan request.
const maxIDs = 10_000

func validate(req *event.ScanRequested) error {
	switch {
	case req.ScanID == "" || len(req.ScanID) > 64:
		return errors.New("scan request without a usable scan id")
	case req.Kind != event.KindScan && req.Kind != event.KindRescan:
		return fmt.Errorf("scan request %s of unknown kind %q", req.ScanID, req.Kind)
	case req.Kind == event.KindRescan && len(req.InstanceIDs) == 0:
		return fmt.Errorf("rescan request %s names no instance", req.ScanID)
	case len(req.InstanceIDs) > maxIDs:
		return fmt.Errorf("rescan request %s names %d instances, more than %d", req.ScanID, len(req.InstanceIDs), maxIDs)
	}
	return nil
}

// failure describes err for people and reports.
func failure(s ecs.Scope, action string, err error) record.Failure {
	f := record.Failure{Account: s.Account, Region: s.Region, API: action, Class: ecs.ClassOf(err).String(), Error: err.Error()}
	if e, ok := errors.AsType[*ecs.Error](err); ok {
		f.API, f.Code, f.Mend, f.RequestID = e.Action, e.Code, e.Mend, e.RequestID
	}
	return f
}
