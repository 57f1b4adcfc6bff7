package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
)

// planScopes holds the plan of a scan against the scopes that are known. What
// was there and is not named any more is added to the plan's failures: nobody
// looked at it, and what is known of it stays as it was. A failure of a whole
// account is one of each of its scopes.
func (a *applier) planScopes(state *scans.Scan, plan *event.ScanPlanned) {
	planned := make(map[ecs.Scope]bool, len(plan.Scopes))
	for _, key := range plan.Scopes {
		planned[key] = true
	}
	accounts := make(map[string]*event.PlannedAccount, len(plan.Accounts))
	for i := range plan.Accounts {
		accounts[plan.Accounts[i].ID] = &plan.Accounts[i]
	}
	a.keepLabels(state, plan)
	whole := map[string]record.Failure{} // failures of whole accounts
	for _, f := range plan.Failed {
		if acc := accounts[f.Account]; acc != nil && acc.AllRegions && f.Region == "" {
			whole[f.Account] = f
		}
	}
	spread := map[string]bool{}
	var failed []record.Failure
	for _, sc := range a.db.scopes {
		acc := accounts[sc.Account]
		if label := a.db.meta.Labels[sc.Account]; sc.Label != label {
			sc.Label, sc.snap = label, nil
			a.scopes[sc] = true
		}
		switch {
		case sc.Unread || plan.Epoch.UnixNano() < sc.StatusEpoch:
		case planned[sc.key]:
			a.unlisted(sc, 0)
		case acc == nil && plan.AllAccounts && !state.Names(sc.Account) && !isLabelled(state.Excluded, sc.Account):
			since := a.unlisted(sc, plan.Epoch.UnixNano())
			failed = append(failed, unlistedFailure(sc, "ListAccounts", "the account is not configured any more and no member of the resource directory", since))
		case acc == nil:
		case acc.Excluded:
			a.unlisted(sc, plan.Epoch.UnixNano())
		case acc.AllRegions && acc.Listed:
			since := a.unlisted(sc, plan.Epoch.UnixNano())
			failed = append(failed, unlistedFailure(sc, "DescribeRegions", "DescribeRegions does not name the region any more", since))
		default:
			if f, ok := whole[sc.Account]; ok {
				f.Region = sc.Region
				failed = append(failed, f)
				spread[sc.Account] = true
			}
		}
	}
	slices.SortFunc(failed, scans.CompareFailures)
	plan.Failed = slices.DeleteFunc(slices.Clone(plan.Failed), func(f record.Failure) bool { return f.Region == "" && spread[f.Account] })
	plan.Failed = append(plan.Failed, failed...)
	slices.SortStableFunc(plan.Failed, func(a, b record.Failure) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
}

func isLabelled(list []record.AccountLabel, account string) bool {
	return slices.ContainsFunc(list, func(x record.AccountLabel) bool { return x.Account == account })
}

// unlisted notes since when a scope is not named any more, 0 where it is, and
// returns it.
func (a *applier) unlisted(sc *scope, epoch int64) (since time.Time) {
	if epoch == 0 && sc.Unlisted != 0 || epoch != 0 && sc.Unlisted == 0 {
		sc.Unlisted, sc.snap = epoch, nil
		a.scopes[sc] = true
	}
	return utc(sc.Unlisted)
}

func unlistedFailure(sc *scope, api, what string, since time.Time) record.Failure {
	last := "it was never read to its end"
	if sc.Status != nil && sc.Status.LastComplete != nil {
		last = "it was last read to its end at " + sc.Status.LastComplete.Format(time.RFC3339)
	}
	return record.Failure{
		Account: sc.Account, Region: sc.Region, API: api, Class: ecs.RegionClosed.String(),
		Error: fmt.Sprintf("%s, since the scan of %s; its %d instances are kept as they were: %s", what, since.Format(time.RFC3339), sc.present, last),
		Mend:  fmt.Sprintf("once it is truly gone: shenscan store forget --account %s --region %s", sc.Account, sc.Region),
	}
}

// keepLabels remembers what people call the accounts, and which of them are
// left alone.
func (a *applier) keepLabels(state *scans.Scan, plan *event.ScanPlanned) {
	labels := maps.Clone(a.db.meta.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for _, acc := range plan.Accounts {
		if !usable(acc.ID) || len(acc.Name) > maxID {
			a.out.Invalid++
			continue
		}
		if acc.Excluded && !isLabelled(state.Excluded, acc.ID) {
			state.Excluded = append(state.Excluded, record.AccountLabel{Account: acc.ID, Name: acc.Name})
		}
		if acc.Name == "" {
			delete(labels, acc.ID)
		} else {
			labels[acc.ID] = acc.Name
		}
	}
	a.db.meta.Labels, a.db.meta.Excluded = labels, state.Excluded
}
