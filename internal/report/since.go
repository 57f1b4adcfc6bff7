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

// ChangeQuery says which changes are told. The zero value: those since the scan before
// the last one.
type ChangeQuery struct {
	Since string // those after this scan ended, or after a time
	Scan  string // those that this scan found, and no others
	Kind  string // list only those of this kind; "" is all. The counts are of all
}

// Kinds are the kinds of changes that a list can be narrowed to.
func Kinds() []string { return []string{KindNew, KindGone, KindReturned, KindChanged} }

// The kinds of changes, by which they are counted.
const (
	KindNew      = "new"
	KindGone     = "gone"
	KindReturned = "returned"
	KindChanged  = "changed"
)

// kindOf is how a change is counted.
func kindOf(change *record.Change) string {
	switch change.Cause {
	case WhyAppeared:
		return KindNew
	case WhyGone:
		return KindGone
	case WhyReturned:
		return KindReturned
	}
	return KindChanged
}

// Since says what changed after a scan or a time, or what one scan found.
type Since struct {
	ScanID string    `json:"scan_id,omitempty"` // after which; "" where a time or one scan was named
	Of     string    `json:"of_scan,omitempty"` // the one scan whose findings these are
	At     time.Time `json:"at"`                // when ScanID ended, or Of began, UTC
	Kind   string    `json:"kind,omitempty"`    // the only one that is listed; all are counted
	// New counts instances that appeared. Those of the first reading of a
	// region are in it and Unlisted counts them: they are not listed one by one.
	New      int            `json:"new"`
	Gone     int            `json:"gone"`
	Returned int            `json:"returned"`
	Changed  int            `json:"changed"`  // verdict changes
	Causes   map[string]int `json:"causes"`   // of verdict changes, as Change.Why spells them
	Unlisted int            `json:"unlisted"` // see New
	// Unkept are changes that the scan counted and the store remembers no more.
	Unkept int `json:"unkept,omitempty"`
	// Narrowed says that only some accounts or regions are looked at, and that new
	// instances of first readings, which are counted for whole scans alone, may be
	// missing in New.
	Narrowed bool `json:"narrowed,omitempty"`
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

// why is the cause of a change in a word or two.
func why(change *record.Change) string {
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
// in which no verdict moved are left out. Of head it takes what was asked for.
func NewSince(head Since, changes iter.Seq2[*Change, error]) (*Since, error) {
	since := &Since{ScanID: head.ScanID, Of: head.Of, At: head.At.UTC(), Kind: head.Kind, Narrowed: head.Narrowed, Asked: head.Asked, Causes: map[string]int{}}
	moved := only(changes, (*Change).moved)
	since.Changes = only(moved, func(change *Change) bool { return since.lists(&change.Change) })
	for change, err := range moved {
		if err != nil {
			return nil, err
		}
		kind := kindOf(&change.Change)
		*since.count(kind)++
		if kind == KindChanged {
			since.Causes[why(&change.Change)]++
		}
		if !since.lists(&change.Change) {
			continue
		}
		if since.first = append(since.first, *change); len(since.first) >= 2*keptChanges {
			since.keep()
		}
	}
	since.keep()
	return since, nil
}

// only are the changes that are wanted.
func only(changes iter.Seq2[*Change, error], wanted func(*Change) bool) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		for change, err := range changes {
			if (err != nil || wanted(change)) && !yield(change, err) {
				return
			}
		}
	}
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

// lists says whether a change is of the kind that is listed.
func (s *Since) lists(change *record.Change) bool { return s.Kind == "" || s.Kind == kindOf(change) }

// Listed is how many changes Changes yields.
func (s *Since) Listed() int {
	kinds := Kinds()
	if s.Kind != "" {
		kinds = []string{s.Kind}
	}
	n := 0
	for _, kind := range kinds {
		n += *s.count(kind)
	}
	if slices.Contains(kinds, KindNew) {
		n -= s.Unlisted
	}
	return n
}

// count is the count of one of Kinds.
func (s *Since) count(kind string) *int {
	return map[string]*int{KindNew: &s.New, KindGone: &s.Gone, KindReturned: &s.Returned, KindChanged: &s.Changed}[kind]
}

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
	if s.Of != "" {
		return "Found by scan " + Clean(s.Of) + " (" + Moment(s.At) + ")"
	}
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
	if s.Unkept > 0 {
		text += fmt.Sprintf("; %s more that the scan counted are not remembered any more", Number(s.Unkept))
	}
	if s.Narrowed {
		text += "; new instances of regions read for the first time are not among them"
	}
	return text
}

// From is how a question names the beginning; "" where it names one scan.
func (s *Since) From() string {
	if s.Of != "" {
		return ""
	}
	return cmp.Or(s.ScanID, s.At.Format(time.RFC3339))
}

// Flag is how the command line names the beginning.
func (s *Since) Flag() string {
	if s.Of != "" {
		return "--of-scan " + Clean(s.Of)
	}
	return "--since " + Clean(s.From())
}

// changeLine says in one line why and what a change changed.
func changeLine(c *record.Change) string {
	line := whyLine(c)
	if moved := moves(c); moved != "" {
		return line + "; " + moved
	}
	return line
}

// whyLine is the cause with what was before.
func whyLine(change *record.Change) string {
	line := why(change)
	if change.OSBefore != "" {
		line += ", was " + osText(change.OSBefore)
	}
	if change.TypeBefore != "" {
		line += ", " + Clean(change.TypeBefore) + " -> " + Clean(change.Type)
	}
	return line
}

// moves names the targets whose verdict a change moved: "shenlong-6:
// incompatible -> compatible".
func moves(change *record.Change) string {
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
