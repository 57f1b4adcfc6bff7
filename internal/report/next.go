package report

import (
	"fmt"
	"strings"
)

// Step is something to do next.
type Step struct{ Why, Command string }

// everyInstance is the command that leads to every instance.
const everyInstance = "shenscan report --output html --out report.html"

// NextSteps derives from a report what its reader can do now, most urgent
// first: read what was not read, settle what is not known, plan the moves.
func NextSteps(r *Report) []Step {
	d := NewDigest(&r.Summary)
	var out []Step
	if !d.Whole.All() || len(r.Failures) > 0 {
		why := "Find out why some regions were not read, then scan again:"
		if d.Whole.Scopes == 0 {
			why = "Nothing was read yet. Check credentials and permissions, then scan:"
		}
		out = append(out, Step{why, "shenscan doctor && shenscan scan"})
	}
	if r.Summary.Instances == 0 {
		return out
	}
	total := Counts(r.Summary.Verdicts)
	if target, n := hardest(r.Summary.Targets, total, "incompatible", "needs-action"); n > 0 {
		out = append(out, Step{
			fmt.Sprintf("%s cannot move to %s as they are. Plan the work, wave by wave:", Plural(n, "instance", "instances"), target),
			"shenscan plan --target " + target + " --output html --out plan.html",
		})
	}
	if target, n := hardest(r.Summary.Targets, total, "unknown"); n > 0 {
		out = append(out, Step{
			fmt.Sprintf("For %s the verdict on %s is unknown. See which fact would settle one:", Plural(n, "instance", "instances"), target),
			"shenscan rules explain INSTANCE_ID",
		})
	}
	out = append(out, Step{"Look at every instance, filter and sort:", everyInstance})
	if total.Of("incompatible", "needs-action") > 0 {
		out = append(out, Step{"After a repair, look at that instance again:", "shenscan rescan INSTANCE_ID"})
	}
	return out
}

// hardest is the target on which most instances have one of the verdicts.
func hardest(targets []string, total Counts, verdicts ...string) (target string, n int) {
	for _, t := range targets {
		sum := 0
		for _, v := range verdicts {
			sum += total[t][v]
		}
		if sum > n {
			target, n = t, sum
		}
	}
	return strings.TrimSpace(Clean(target)), n
}
