package report

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// Since says what changed after a scan or a time.
type Since struct {
	ScanID string    `json:"scan_id,omitempty"` // "" where a time was named
	At     time.Time `json:"at"`                // when that scan ended, UTC
	// New counts instances that appeared. Those of the first reading of a
	// region are in it and Unlisted counts them: they are not listed one by one.
	New      int            `json:"new"`
	Gone     int            `json:"gone"`
	Returned int            `json:"returned"`
	Changed  int            `json:"changed"`  // verdict changes
	Causes   map[string]int `json:"causes"`   // of verdict changes, as Change.Why spells them
	Unlisted int            `json:"unlisted"` // see New
	// Progress says for each target how many instances still need work and how
	// many did then, where that was counted and the whole fleet is shown.
	Progress []string `json:"progress,omitempty"`
	// Changes lists every change, by account, region and instance.
	Changes iter.Seq2[*Change, error] `json:"-"`
	// Asked is true where somebody named ScanID or At: formats that hold one
	// table then list the changes instead of the instances.
	Asked bool `json:"-"`

	first []Change // the gravest, for a page
}

// Change is a change of one instance.
type Change struct {
	Account      string `json:"account"`
	Region       string `json:"region"`
	InstanceID   string `json:"instance_id"`
	InstanceName string `json:"instance_name"`
	record.Change
}

// The words for why something changed.
const (
	WhyOS       = "OS"
	WhyType     = "type"
	WhyFacts    = "facts" // what its image, disks or tags say
	WhyRules    = "rules"
	WhyAppeared = "appeared"
	WhyGone     = "gone"
	WhyReturned = "returned"
)

// Why is the cause of a change in a word or two.
func Why(change *record.Change) string {
	switch change.Cause {
	case "ruleset":
		return WhyRules
	case "observation":
		switch {
		case change.OSBefore != "" && change.TypeBefore != "":
			return WhyOS + " and " + WhyType
		case change.OSBefore != "":
			return WhyOS
		case change.TypeBefore != "":
			return WhyType
		}
		return WhyFacts
	}
	return Clean(change.Cause)
}

// keptChanges bounds the changes that a page or a terminal can show.
const keptChanges = 1000

// NewSince counts what changes yields and remembers the gravest of it. Entries
// in which no verdict moved are left out.
func NewSince(scanID string, at time.Time, changes iter.Seq2[*Change, error]) (*Since, error) {
	since := &Since{ScanID: scanID, At: at.UTC(), Causes: map[string]int{}}
	since.Changes = func(yield func(*Change, error) bool) {
		for change, err := range changes {
			if err == nil && !change.moved() {
				continue
			}
			if !yield(change, err) {
				return
			}
		}
	}
	for change, err := range since.Changes {
		if err != nil {
			return nil, err
		}
		switch change.Cause {
		case WhyAppeared:
			since.New++
		case WhyGone:
			since.Gone++
		case WhyReturned:
			since.Returned++
		default:
			since.Changed++
			since.Causes[Why(&change.Change)]++
		}
		if since.first = append(since.first, *change); len(since.first) >= 2*keptChanges {
			since.keep()
		}
	}
	since.keep()
	return since, nil
}

// keep sorts and cuts what a page can show.
func (s *Since) keep() {
	slices.SortFunc(s.first, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.gravity(), b.gravity()), b.At.Compare(a.At), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
	})
	s.first = slices.Clip(s.first[:min(len(s.first), keptChanges)])
}

// First are the n gravest changes: what got worse, then what is new and not
// compatible, then the rest, the newest first.
func (s *Since) First(n int) []Change { return s.first[:min(n, len(s.first))] }

// Listed is how many changes Changes yields.
func (s *Since) Listed() int { return s.New - s.Unlisted + s.Gone + s.Returned + s.Changed }

// moved tells whether the change is news: a verdict moved on a target that was
// judged before and after, or the instance came or went.
func (c *Change) moved() bool {
	if c.Cause != "observation" && c.Cause != "ruleset" {
		return true
	}
	for target, before := range c.Before {
		if after, ok := c.After[target]; ok && after != before {
			return true
		}
	}
	return false
}

// gravity orders changes, the gravest first.
func (c *Change) gravity() int {
	worst := func(m map[string]string) int {
		for i, level := range Levels() {
			for _, v := range m {
				if v == level {
					return i
				}
			}
		}
		return len(Levels())
	}
	before, after := worst(c.Before), worst(c.After)
	switch {
	case c.Cause == WhyGone:
		return 30
	case c.Cause == WhyAppeared || c.Cause == WhyReturned:
		return 10 + after
	case after < before:
		return after
	case after > before:
		return 20
	}
	return 5
}

// Title names what the changes are counted from.
func (s *Since) Title() string {
	if s.ScanID == "" {
		return "Changed since " + Moment(s.At)
	}
	return "Changed since scan " + Clean(s.ScanID) + " (" + Moment(s.At) + ")"
}

// Words counts the changes in one sentence.
func (s *Since) Words() string {
	parts := []string{Number(s.New) + " new", Number(s.Gone) + " gone"}
	if s.Returned > 0 {
		parts = append(parts, Number(s.Returned)+" back")
	}
	changed := Plural(s.Changed, "verdict change", "verdict changes")
	if s.Changed > 0 {
		var by []string
		for _, why := range slices.SortedFunc(maps.Keys(s.Causes), func(a, b string) int {
			return cmp.Or(cmp.Compare(s.Causes[b], s.Causes[a]), strings.Compare(a, b))
		}) {
			by = append(by, fmt.Sprintf("%s by %s", Number(s.Causes[why]), why))
		}
		changed += " (" + strings.Join(by, ", ") + ")"
	}
	text := strings.Join(append(parts, changed), ", ")
	if s.Unlisted > 0 {
		text += fmt.Sprintf("; %s of the new ones are of regions read for the first time and are not listed", Number(s.Unlisted))
	}
	return text
}

// From is how a question names the beginning.
func (s *Since) From() string {
	if s.ScanID == "" {
		return s.At.Format(time.RFC3339)
	}
	return s.ScanID
}

// Flag is how the command line names the beginning.
func (s *Since) Flag() string {
	if s.ScanID == "" {
		return "--since " + s.At.Format(time.RFC3339)
	}
	return "--since " + Clean(s.ScanID)
}

// ChangeLine says in one line why and what a change changed.
func ChangeLine(c *record.Change) string {
	line := whyLine(c)
	if moves := Moves(c); moves != "" {
		return line + "; " + moves
	}
	return line
}

// whyLine is the cause with what was before.
func whyLine(change *record.Change) string {
	line := Why(change)
	if change.OSBefore != "" {
		line += ", was " + OSText(change.OSBefore)
	}
	if change.TypeBefore != "" {
		line += ", " + Clean(change.TypeBefore) + " -> " + Clean(change.Type)
	}
	return line
}

// Moves names the targets whose verdict a change moved: "shenlong-6:
// incompatible -> compatible".
func Moves(change *record.Change) string {
	var order, on []string // a move and its targets
	at := map[string]int{}
	for _, target := range sortedKeys(change.Before, change.After) {
		before, after := change.Before[target], change.After[target]
		var move string
		switch {
		case before == after:
			continue
		case before == "":
			move = after
		case after == "":
			move = "was " + before
		default:
			move = before + " -> " + after
		}
		if i, ok := at[move]; ok {
			on[i] += ", " + target
			continue
		}
		at[move] = len(order)
		order, on = append(order, move), append(on, target)
	}
	for i, move := range order {
		order[i] = Clean(on[i] + ": " + move)
	}
	return strings.Join(order, "; ")
}
