package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/producer"
)

// fixed are accounts by their ids.
type fixed []string

// Accounts implements producer.Accounts.
func (f fixed) Accounts(context.Context) ([]ecs.Account, error) {
	out := make([]ecs.Account, len(f))
	for i, id := range f {
		out[i] = ecs.Account{ID: id, Name: id}
	}
	return out, nil
}

// checkAccounts looks, at a start and before a reload, whether there is any account to look at, and
// whether those that were asked for exist. What passes by itself (a resource
// directory that is down) ends no process: every scan asks anew, and names what
// it could not list.
func (a *App) checkAccounts(ctx context.Context, roster *producer.Roster, wanted []string) error {
	accounts, err := roster.Accounts(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.log.Warn("not every account could be listed; each scan asks again and is partial until they are", "err", err)
	}
	usable := 0
	var lost []ecs.Account
	for _, account := range accounts {
		switch {
		case account.Excluded:
			a.log.Info("account is excluded", "account", account.String())
		case account.Err != nil && account.ID == "" && slices.Contains(wanted, account.Name) && err == nil && !isCloud(account.Err):
			return &ConfigError{fmt.Errorf("--account %s: %w", account.Name, account.Err)}
		case account.Err != nil:
			lost = append(lost, account)
			err = errors.Join(err, account.Err)
		default:
			usable++
		}
	}
	switch {
	case usable > 0 || passes(err):
		for _, x := range lost {
			a.log.Warn("account cannot be looked at now", "account", x.String(), "err", x.Err)
		}
		return nil
	case len(lost) == 1 && ecs.ClassOf(lost[0].Err) == ecs.Credentials:
		return lost[0].Err // it says what to do
	case err != nil:
		return fmt.Errorf("find out which accounts to scan: %w", err)
	}
	return &ConfigError{errors.New("every account is excluded by accounts.exclude: nothing is left to scan")}
}

func isCloud(err error) bool {
	_, ok := errors.AsType[*ecs.Error](err)
	return ok
}

// passes says that a service may wait for what failed: it is the network's or
// the API's doing, and not that of keys or permissions.
func passes(err error) bool {
	if err == nil {
		return false
	}
	class := ecs.ClassOf(err)
	return isCloud(err) && (class == ecs.Transient || class == ecs.Throttled || class == ecs.BadAnswer)
}

// accountIDs are the ids of the accounts that may be looked at.
func (a *App) accountIDs(ctx context.Context) ([]string, error) {
	accounts, err := a.roster.Accounts(ctx)
	var ids []string
	for _, x := range accounts {
		if x.ID != "" && x.Err == nil && !x.Excluded {
			ids = append(ids, x.ID)
		}
	}
	return ids, err
}

var _ producer.Accounts = fixed(nil)
