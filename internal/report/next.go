package report

import (
	"fmt"
	"slices"
	"strings"
)

// Step is something to do next.
type Step struct {
	Why, Command string
	all          bool // leads to every instance
}

// Hints make the commands of the next steps fit the reader's situation.
type Hints struct {
	// Store is the folder of the store, "" where commands find it by
	// themselves.
	Store string
	// Keep is the command that makes that store, where there is none yet: that
	// of a demo is gone when it ends.
	Keep string
	// Again is the command that filled the store, where that was not a scan of the
	// cloud: no next step may then ask the cloud.
	Again string
	// Rules, Targets and Narrow are the flags that were given, as they are given to
	// commands that shall be about the same.
	Rules, Targets, Narrow string
}

// with adds the store and other words to a command.
func (h *Hints) with(command string, rest ...string) string {
	if h.Store != "" {
		command += " --store " + Quoted(h.Store)
	}
	words := slices.DeleteFunc(rest, func(word string) bool { return word == "" })
	return strings.Join(append([]string{command}, words...), " ")
}

// Quoted is a word for a shell.
func Quoted(text string) string {
	if text = Clean(text); text == "" || text[0] == '=' || strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("/._-+:,@%=", r) && (r < '0' || r > 'z' || r > '9' && r < 'A' || r > 'Z' && r < 'a')
	}) {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

// nextSteps derives from a report what its reader can do now, most urgent
// first: read what was not read, settle what is not known, plan the moves.
func nextSteps(report *Report) []Step {
	digest, hints := NewDigest(&report.Summary), &report.Hints
	var out []Step
	if hints.Keep != "" {
		out = append(out, Step{Why: "This store goes with the demo. Keep one for the commands below:", Command: hints.Keep})
	}
	if !digest.Whole.All() || len(report.Failures) > 0 {
		why := "Find out why some regions were not read, then scan again:"
		if digest.Whole.Scopes == 0 {
			why = "Nothing was read yet. Check credentials and permissions, then scan:"
		}
		command := "shenscan doctor && " + hints.with("shenscan scan")
		if hints.Again != "" {
			why, command = "Not everything was read, see above. When that is mended:", hints.Again
		}
		out = append(out, Step{Why: why, Command: command})
	}
	if report.Summary.Instances == 0 {
		return out
	}
	total := Counts(report.Summary.Verdicts)
	if target, n := total.hardest(report.Summary.Targets, "incompatible", "needs-action"); n > 0 {
		out = append(out, Step{
			Why:     fmt.Sprintf("%s cannot move to %s as they are. Plan the work, wave by wave:", Plural(n, "instance", "instances"), Clean(target)),
			Command: hints.with("shenscan plan", hints.Rules, "--target "+Clean(target), hints.Narrow, "--out plan.html"),
		})
	}
	if target, n := total.hardest(report.Summary.Targets, "unknown"); n > 0 {
		out = append(out, Step{
			Why:     fmt.Sprintf("For %s the verdict on %s is unknown. See which fact would settle one:", Plural(n, "instance", "instances"), Clean(target)),
			Command: hints.with("shenscan plan --settle", hints.Rules, "--target "+Clean(target), hints.Narrow),
		})
	}
	out = append(out, Step{Why: "Look at every instance, filter and sort:", Command: hints.with("shenscan report", hints.Rules, hints.Targets, hints.Narrow, "--out report.html"), all: true})
	if total.Of("incompatible", "needs-action") > 0 && hints.Keep == "" && hints.Again == "" && len(digest.Scopes) > 0 {
		out = append(out, Step{
			Why:     "After a repair, read that region again (a running `shenscan serve` looks at one instance: shenscan rescan INSTANCE_ID):",
			Command: hints.with("shenscan scan", "--region "+Short(digest.Scopes[0].Region, 64)),
		})
	}
	return out
}
