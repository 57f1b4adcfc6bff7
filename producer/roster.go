package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
)

// Accounts lists every account that there is to look at. Where it returns an
// error, some may be missing from the list.
type Accounts interface {
	Accounts(ctx context.Context) ([]ecs.Account, error)
}

// AllAccounts is what Accounts may say beside: whether it lists every account
// that somebody wants to be scanned. One that was scanned before and is not
// listed is then told of, until it is settled.
type AllAccounts interface {
	AllAccounts() bool
}

// Roster knows which accounts there are and which regions each of them has. It
// asks anew for every scan, so that an account which joined the resource
// directory is scanned without a restart, and remembers the last answer for
// requests, which are checked against it. It is safe for concurrent use.
type Roster struct {
	regions func(ctx context.Context, account string) ([]ecs.Region, error)
	now     func() time.Time

	mu       sync.Mutex
	source   Accounts
	uses     int      // how often source was replaced
	wanted   []string // ids or names; empty: all
	whole    bool     // what source lists are all accounts that there are
	last     []ecs.Account
	at       time.Time
	regionOf map[string]regionList
}

type regionList struct {
	regions []ecs.Region
	at      time.Time
}

// NewRoster returns a Roster of the accounts of source, narrowed to the wanted
// ones where any are named.
func NewRoster(source Accounts, cloud Cloud, wanted []string, now func() time.Time) *Roster {
	r := &Roster{regions: cloud.Regions, now: now, regionOf: map[string]regionList{}}
	r.Use(source, wanted)
	return r
}

// Use makes the accounts those of another source, narrowed to the wanted ones;
// what was remembered of the one before is forgotten. A plan that is being made
// is of the one that it asked.
func (r *Roster) Use(source Accounts, wanted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.source, r.wanted, r.whole = source, wanted, false
	r.uses++
	if all, ok := source.(AllAccounts); ok && len(wanted) == 0 {
		r.whole = all.AllAccounts()
	}
	r.last, r.at, r.regionOf = nil, time.Time{}, map[string]regionList{}
}

// named says whether it is narrowed to accounts that somebody named.
func (r *Roster) named() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wanted) > 0
}

// Accounts asks which accounts there are. The error is what kept some of them
// from being listed; those that were listed before are then among the accounts
// all the same.
func (r *Roster) Accounts(ctx context.Context) ([]ecs.Account, error) {
	listed, _, err := r.list(ctx)
	return listed, err
}

// list is Accounts, and whether there are no others.
func (r *Roster) list(ctx context.Context) (listed []ecs.Account, whole bool, err error) {
	r.mu.Lock()
	source, uses, wanted := r.source, r.uses, r.wanted
	whole = r.whole
	r.mu.Unlock()
	listed, err = source.Accounts(ctx)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uses != uses { // replaced meanwhile: what it lists is nothing to remember
		return narrow(listed, wanted), whole, err
	}
	if err != nil {
		for _, a := range r.last {
			if a.ID != "" && !slices.ContainsFunc(listed, func(b ecs.Account) bool { return b.ID == a.ID }) {
				listed = append(listed, a)
			}
		}
	} else {
		r.at = r.now()
	}
	r.last = listed
	return narrow(listed, wanted), whole, err
}

// called are the ids and names by which accounts are called.
func called(listed []ecs.Account) (names []string) {
	for _, a := range listed {
		names = append(names, a.ID, a.Name)
	}
	return names
}

var errNotThere = errors.New("no configured account and no member of the resource directory is called")

// narrow keeps the wanted accounts. One that is not there any more is named.
func narrow(listed []ecs.Account, wanted []string) []ecs.Account {
	if len(wanted) == 0 {
		return slices.Clone(listed)
	}
	var out []ecs.Account
	for _, name := range wanted {
		i := slices.IndexFunc(listed, func(a ecs.Account) bool { return isCalled(a, name) })
		if i < 0 {
			out = append(out, ecs.Account{Name: name, Err: fmt.Errorf("%w %q%s", errNotThere, name, filter.Nearest(name, called(listed)))})
			continue
		}
		out = append(out, listed[i])
	}
	return out
}

func isCalled(a ecs.Account, name string) bool { return name != "" && (a.ID == name || a.Name == name) }

// How old an answer may be that a request is checked against. What it does not
// know is asked for anew, but not more often than every askAgain.
const (
	fresh    = 10 * time.Minute
	askAgain = 10 * time.Second
)

// known returns the accounts that may be looked at, from memory where it is
// younger than age.
func (r *Roster) known(ctx context.Context, age time.Duration) ([]ecs.Account, error) {
	r.mu.Lock()
	young := r.now().Sub(r.at) < age
	accounts := narrow(r.last, r.wanted)
	r.mu.Unlock()
	if young {
		return accounts, nil
	}
	return r.Accounts(ctx)
}

// Find returns the account with that id or name. Whoever asks for one that is
// not there gets a *RequestError.
func (r *Roster) Find(ctx context.Context, name string) (ecs.Account, error) {
	var accounts []ecs.Account
	var err error
	for _, age := range []time.Duration{fresh, askAgain} {
		if accounts, err = r.known(ctx, age); ctx.Err() != nil {
			return ecs.Account{}, ctx.Err()
		}
		i := slices.IndexFunc(accounts, func(a ecs.Account) bool { return isCalled(a, name) && !errors.Is(a.Err, errNotThere) })
		switch {
		case i < 0:
		case accounts[i].Excluded:
			return ecs.Account{}, &RequestError{"400", fmt.Sprintf("account %s is excluded by accounts.exclude", accounts[i])}
		case accounts[i].ID != "":
			return accounts[i], nil
		case age == askAgain:
			return ecs.Account{}, &RequestError{"503", fmt.Sprintf("account %s could not be identified: %v", accounts[i], accounts[i].Err)}
		}
	}
	if err != nil {
		return ecs.Account{}, &RequestError{"503", fmt.Sprintf("account %q is not known, and the accounts could not be listed: %v", clip(name), err)}
	}
	var names []string
	for _, a := range accounts {
		if a.Err == nil && !a.Excluded {
			names = append(names, a.ID, a.Name)
		}
	}
	return ecs.Account{}, &RequestError{"400", fmt.Sprintf("no account is called %q%s", clip(name), filter.Nearest(name, names))}
}

// CheckRegion returns a *RequestError where none of the accounts has the
// region. An account whose regions cannot be read now proves nothing.
func (r *Roster) CheckRegion(ctx context.Context, accounts []string, region string) error {
	all := map[string]bool{}
	var unread error
	for _, account := range accounts {
		regions, err := r.regionsOf(ctx, account, region)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // there may be others
			unread = err
		}
		for _, there := range regions {
			if there.ID == region {
				return nil
			}
			all[there.ID] = true
		}
	}
	if unread != nil {
		return &RequestError{"503", fmt.Sprintf("whether there is a region %q could not be checked: %v", clip(region), unread)}
	}
	return &RequestError{"400", fmt.Sprintf("no region is called %q%s", clip(region), filter.Nearest(region, slices.Collect(maps.Keys(all))))}
}

// regionsOf returns the regions of an account, from memory where that knows
// the wanted one.
func (r *Roster) regionsOf(ctx context.Context, account, wanted string) ([]ecs.Region, error) {
	r.mu.Lock()
	had, ok := r.regionOf[account]
	r.mu.Unlock()
	age := askAgain
	if slices.ContainsFunc(had.regions, func(there ecs.Region) bool { return there.ID == wanted }) {
		age = fresh
	}
	if ok && r.now().Sub(had.at) < age {
		return had.regions, nil
	}
	return r.Regions(ctx, account)
}

// Regions asks which regions an account has. That it has none is no answer. Where there
// are regions beside an error, they may not be all.
func (r *Roster) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	regions, err := r.regions(ctx, account)
	if err != nil {
		return regions, err
	}
	if len(regions) == 0 {
		return nil, &ecs.Error{
			Action: "DescribeRegions", Scope: ecs.Scope{Account: account}, Class: ecs.BadAnswer,
			Err:  errors.New("the answer names no region at all"),
			Mend: "every account has regions: ask again, and look whether the endpoint is that of Alibaba Cloud",
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.regionOf[account] = regionList{regions, r.now()}
	return regions, nil
}

// Resolve checks the accounts and regions of a request and turns names of
// accounts into ids. It returns a *RequestError for what is not there.
func (r *Roster) Resolve(ctx context.Context, accounts, regions []string) (ids []string, err error) {
	for _, name := range accounts {
		account, err := r.Find(ctx, name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, account.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(regions) == 0 {
		return ids, nil
	}
	of := ids
	if len(of) == 0 {
		known, err := r.known(ctx, fresh)
		if err != nil && len(known) == 0 {
			return nil, &RequestError{"503", fmt.Sprintf("the accounts could not be listed: %v", err)}
		}
		for _, a := range known {
			if a.ID != "" && a.Err == nil && !a.Excluded {
				of = append(of, a.ID)
			}
		}
	}
	for _, region := range regions {
		if err := r.CheckRegion(ctx, of, region); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
