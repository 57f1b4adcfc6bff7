package report

import (
	"fmt"

	"github.com/shenscan/shenscan/internal/record"
)

// judgingAnew says how far it is known what another judgement moved.
func judgingAnew(r *record.Rejudging) string {
	return fmt.Sprintf("judging anew, %d %%: the verdicts here are those of the present rules; which of them changed, and their events, follow", r.Percent())
}

// leftOut names, a line each, what somebody decided not to look at: accounts
// that the configuration excludes, and what was settled as truly gone.
func leftOut(summary record.Summary) []string {
	var out []string
	for _, accountLabel := range summary.Excluded {
		name := accountLabel.Account
		if accountLabel.Name != "" {
			name += " (" + Clean(accountLabel.Name) + ")"
		}
		out = append(out, "account "+name+" is excluded by the configuration (accounts.exclude)")
	}
	for _, x := range summary.Forgotten {
		out = append(out, fmt.Sprintf("%s was forgotten on %s, with %s", ScopeName(x.Account, x.Region), Moment(x.At), Plural(x.Instances, "instance", "instances")))
	}
	return out
}
