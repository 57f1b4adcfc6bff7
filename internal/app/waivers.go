package app

import (
	"fmt"
	"time"

	"github.com/shenscan/shenscan/rules"
)

// soon is how long before its end a waiver is warned of: time enough to move
// what it is about, or to decide anew.
const soon = 14 * 24 * time.Hour

// WaiverNotes says which waivers of a rule set have ended and which end soon. A
// waiver counts on its last day (UTC), and not after.
func WaiverNotes(ruleset *rules.Ruleset, now time.Time) []string {
	var out []string
	for i := range ruleset.Definition().Waivers {
		waiverRule := &ruleset.Definition().Waivers[i]
		last, err := time.Parse(time.DateOnly, waiverRule.Until)
		if err != nil {
			continue // compiling refuses it
		}
		switch left := last.AddDate(0, 0, 1).Sub(now.UTC()); {
		case left <= 0:
			out = append(out, fmt.Sprintf("waiver %s ended on %s: it sets no verdict aside any more", waiverRule.ID, waiverRule.Until))
		case left <= soon:
			out = append(out, fmt.Sprintf("waiver %s ends on %s: from the day after, the verdicts that it sets aside count again", waiverRule.ID, waiverRule.Until))
		}
	}
	return out
}
