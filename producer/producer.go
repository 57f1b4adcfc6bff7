// Package producer decides what to look at and reads it from the cloud: it
// turns scan requests into scopes, scopes into lanes and lanes into pages on
// the bus. It classifies nothing and stores nothing; whatever a producer was
// doing when it died, another takes over from the stream.
package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// pager is a Cloud that can also be asked, by the number of a page, how far the
// listing of a scope reaches on the page of its n-th instance; ecs.NoCount where
// that is not known.
type pager interface {
	ListsUpTo(ctx context.Context, s ecs.Scope, n int) (int, error)
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

// Guests knows what machines themselves answered. Fill sets Guest of those of
// which it is known and still believed.
type Guests interface {
	Fill(ctx context.Context, s ecs.Scope, instances []ecs.Instance) error
}

// Options of a Producer.
type Options struct {
	// LaneSize is how many instances a lane should hold; larger scopes are
	// cut by creation time into lanes that are walked side by side.
	LaneSize int
	// PagesInFlight is how many pages of one lane may wait for the broker.
	PagesInFlight int
	// PageWait is how long an instance may wait for others to fill a page.
	PageWait time.Duration
	// Rate is the ceiling of calls a second of an account, 0 where there is none.
	// No more scopes and lanes of an account are worked on side by side than
	// it serves: a token grows old while its call waits for its turn.
	Rate float64
	// Restarts bounds how often a lane starts over because its token expired.
	Restarts int
	// Guests knows what machines themselves answered; nil where none was asked.
	Guests Guests
	// Templates reads what launch templates start; nil where they are left alone.
	Templates *Templates
	Log       *slog.Logger
	Now       func() time.Time
}

// DefaultOptions are right for any fleet.
func DefaultOptions() Options {
	return Options{LaneSize: 5000, PagesInFlight: 4, PageWait: time.Second, Restarts: 3, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// Producer handles scan requests, scope jobs and lane jobs. It is safe for
// concurrent use.
type Producer struct {
	o       Options
	cloud   Cloud
	roster  *Roster
	bus     Publisher
	locator Locator
	paces   paces
	// spendings are what lanes took of the calls that they may make.
	spendings spendings
	unlocated unlocated
}

// New returns a Producer. A request without accounts means those of the
// roster. locator may be nil: instances are then looked for in every scope.
func New(o Options, cloud Cloud, roster *Roster, bus Publisher, locator Locator) *Producer {
	return &Producer{o: o, cloud: cloud, roster: roster, bus: bus, locator: locator, paces: paces{rate: o.Rate}}
}

// HandleScan plans a scan. It is announced (ScanPlanned) as soon as its accounts
// are known; the regions of an account are handed out as one scope job each and
// then announced, so that nobody waits for what a dead producer never handed
// out. epoch is the broker's time of the request.
func (p *Producer) HandleScan(ctx context.Context, req *event.ScanRequested, epoch time.Time) error {
	if err := validate(req); err != nil {
		return event.Terminal(err)
	}
	accounts, failed, err := p.accountsOf(ctx, req)
	if err != nil {
		return err
	}
	part := func(name string) *event.ScanPlanned {
		return &event.ScanPlanned{ScanID: req.ScanID, Kind: req.Kind, Reason: req.Reason, Epoch: epoch, Part: name, More: true}
	}
	head := part("accounts")
	head.Failed, head.Unidentified, head.Accounts, head.Named = failed, accounts.unidentified, accounts.planned, accounts.named
	at := map[string]event.PlannedAccount{}
	for i := range head.Accounts {
		x := &head.Accounts[i]
		at[x.ID] = *x
		x.Pending = slices.Contains(accounts.ids, x.ID)
	}
	if err := p.announce(ctx, head); err != nil {
		return err
	}
	// Side by side, and each handed out and announced as soon as it is known: one
	// account that is throttled holds up nobody.
	var scopes, failures atomic.Int64
	err = p.planAccounts(ctx, accounts.ids, req.Regions, func(ctx context.Context, id string, is planned) error {
		for _, s := range is.scopes {
			if err := p.bus.Publish(ctx, &event.ScopeJob{ScanID: req.ScanID, Kind: req.Kind, Scope: s, Epoch: epoch}); err != nil {
				return err
			}
		}
		scopes.Add(int64(len(is.scopes)))
		failures.Add(int64(len(is.failed)))
		account := part("account-" + id)
		x := at[id]
		x.Listed = is.listed
		account.Scopes, account.Failed, account.Accounts = is.scopes, is.failed, []event.PlannedAccount{x}
		return p.announce(ctx, account)
	})
	if err != nil {
		return err
	}
	p.o.Log.InfoContext(ctx, "scan planned", "scan", req.ScanID, "scopes", scopes.Load(), "failed", len(failed)+int(failures.Load()))
	end := part("end")
	end.More, end.AllAccounts = false, accounts.all
	return p.announce(ctx, end)
}

// announce publishes an announcement in as many messages as it takes.
func (p *Producer) announce(ctx context.Context, plan *event.ScanPlanned) error {
	for _, part := range plan.Parts() {
		if err := p.bus.Publish(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// meant are the accounts that a request means.
type meant struct {
	ids     []string // to be looked at
	planned []event.PlannedAccount
	all     bool // there is no other account
	named   bool // somebody named them
	// unidentified are those that have a name and whose id could not be found out.
	unidentified []event.Unidentified
}

// accountsOf says which accounts a request means, and what is wrong with the
// others. Only a stop is an error.
func (p *Producer) accountsOf(ctx context.Context, req *event.ScanRequested) (out meant, failed []record.Failure, err error) {
	accounts, whole, err := p.roster.list(ctx)
	if ctx.Err() != nil {
		return out, nil, ctx.Err()
	}
	out.all = err == nil && len(req.Accounts) == 0 && whole
	out.named = len(req.Accounts) > 0 || p.roster.named()
	if err != nil {
		// What was not listed is not known by its id: the failure is nobody's own.
		failed = append(failed, failure(ecs.Scope{}, "ListAccounts", fmt.Errorf("not every account could be listed: %w", err)))
	}
	wanted := func(a ecs.Account) bool {
		return len(req.Accounts) == 0 || slices.ContainsFunc(req.Accounts, func(name string) bool { return isCalled(a, name) })
	}
	for _, account := range accounts {
		switch {
		case account.ID == "":
			out.all = false // it may be any
		case wanted(account) || account.Excluded:
			out.planned = append(out.planned, event.PlannedAccount{ID: account.ID, Name: label(account), Excluded: account.Excluded, AllRegions: len(req.Regions) == 0})
		}
		switch {
		case !wanted(account) || account.Excluded:
		case account.Err != nil:
			cause := failure(ecs.Scope{Account: account.ID}, "GetCallerIdentity", fmt.Errorf("account %s: %w", account, account.Err))
			failed = append(failed, cause)
			if account.ID == "" && account.Name != ecs.BaseCredentials {
				out.unidentified = append(out.unidentified, event.Unidentified{Name: account.Name, Failure: cause})
			}
		default:
			out.ids = append(out.ids, account.ID)
		}
	}
	for _, name := range req.Accounts {
		if !slices.ContainsFunc(accounts, func(a ecs.Account) bool { return isCalled(a, name) }) {
			failed = append(failed, record.Failure{
				API: "ListAccounts", Class: ecs.BadRequest.String(), Error: fmt.Sprintf("no account is called %q", name),
				Mend: "correct the accounts of the schedule, or wait until the accounts can be listed",
			})
		}
	}
	return out, failed, nil
}

// label is what people call the account, "" where they call it by its id.
func label(account ecs.Account) string {
	if account.Name == account.ID {
		return ""
	}
	return clip(account.Name)
}

// accountsAtOnce bounds how many accounts are planned side by side. Most of the
// time of each is spent waiting for an answer.
const accountsAtOnce = 64

// planned is what planning one account came to.
type planned struct {
	scopes []ecs.Scope
	listed bool
	failed []record.Failure
}

// planAccounts finds the regions of the accounts, side by side, and passes those
// of each on as soon as they are known. A failure of an account is part of what
// is passed on; only a stop and what pass returns is an error.
func (p *Producer) planAccounts(ctx context.Context, accounts, wanted []string, pass func(context.Context, string, planned) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(accountsAtOnce)
	for _, account := range accounts {
		group.Go(func() error {
			is := p.planAccount(ctx, account, wanted)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return pass(ctx, account, is)
		})
	}
	return group.Wait()
}

func compareScopes(a, b ecs.Scope) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
}

// planAccount finds the account's regions among the wanted ones, all where none
// are named.
func (p *Producer) planAccount(ctx context.Context, account string, wanted []string) planned {
	regions, err := p.roster.Regions(ctx, account)
	if err != nil && len(regions) == 0 {
		return planned{failed: []record.Failure{failure(ecs.Scope{Account: account}, "DescribeRegions", err)}}
	}
	var scopes []ecs.Scope
	var failed []record.Failure
	known := map[string]bool{}
	for _, region := range regions {
		if !known[region.ID] && (len(wanted) == 0 || slices.Contains(wanted, region.ID)) {
			scopes = append(scopes, ecs.Scope{Account: account, Region: region.ID})
		}
		known[region.ID] = true
	}
	notKnown := func(region string) bool { return !known[region] }
	if err != nil && (len(wanted) == 0 || slices.ContainsFunc(wanted, notKnown)) {
		failed = append(failed, failure(ecs.Scope{Account: account}, "DescribeRegions", err))
	}
	for _, asked := range wanted {
		if notKnown(asked) && err == nil {
			failed = append(failed, record.Failure{
				Account: account, API: "DescribeRegions", Class: ecs.RegionClosed.String(),
				Error: fmt.Sprintf("region %q is not among the %d that DescribeRegions names", asked, len(regions)),
				Mend:  "check the spelling, or activate the region for the account",
			})
		}
	}
	slices.SortFunc(scopes, compareScopes)
	return planned{scopes, err == nil, failed}
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
	cause := record.Failure{Account: s.Account, Region: s.Region, API: action, Class: ecs.ClassOf(err).String(), Error: err.Error()}
	if e, ok := errors.AsType[*ecs.Error](err); ok {
		cause.API, cause.Code, cause.Mend, cause.RequestID = e.Action, e.Code, e.Mend, e.RequestID
	}
	return cause
}
