package report

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
)

// What the terminal and pages show of groups; JSON and Markdown have all.
const (
	termStarts = 8
	htmlStarts = 200
)

// The heading over groups, and why they matter.
const (
	startTitle = "Groups that start new machines"
	startNote  = "an instance that is moved alone is no migration: its group starts the image named here again"
)

// StartRow is a group in words.
type StartRow struct {
	Group     string // "node pool np0544a6"
	Account   string
	Region    string
	Instances int
	// Starts is the image of its newest instance, with its system.
	Starts string
	// Before says that its other instances are of other images, "" where they are
	// not.
	Before   string
	Verdicts []string // on the targets that were asked for; "" is not known
}

// newStartRow says what a group starts and where that boots, in the language.
func newStartRow(group *record.StartGroup, targets []string, in lang.Language) StartRow {
	row := StartRow{Group: in.Say(group.Kind.Words()) + " " + Short(group.ID, 80), Account: Short(group.Account, 64), Region: Short(group.Region, 64), Instances: group.Instances}
	if group.Name != "" {
		row.Group += " (" + Short(group.Name, 60) + ")"
	}
	var starts []string
	for _, image := range group.Starting() {
		text := Short(image.ImageID, 80) + " (" + in.Say(Short(OSName(image.OS.Family, image.OS.Version), 80)) + ")"
		if image.ImageID == "" {
			text = in.Say("no image: it is chosen with each start")
		}
		if image.Version != "" {
			text = in.Say(image.Version) + in.Say(": ") + text
		}
		starts = append(starts, text)
	}
	if len(starts) == 0 {
		starts = append(starts, in.Say("not known: "+Short(group.Cause, 300)))
	}
	row.Starts = strings.Join(starts, in.Say("; "))
	if others := len(group.Images) - 1 + group.MoreImages; others > 0 && group.Kind != record.LaunchTemplate {
		row.Before = in.Say(fmt.Sprintf("its older instances are of %s", Plural(others, "other image", "other images")))
	}
	for _, target := range targets {
		verdict := ""
		if v := group.On(target); v != nil {
			verdict = v.Verdict.String()
		}
		row.Verdicts = append(row.Verdicts, verdict)
	}
	return row
}

// StartGroups writes the table of groups, the worst first; more is the command that
// lists every one.
func (s *Screen) StartGroups(groups *record.StartGroups, targets []string, more string) {
	s.Section(startTitle, startNote)
	tab := TextTable{Indent: 2, Shrink: []int{0}, Head: Head(append([]string{"group", "instances:"}, targets...)...)}
	for i := range groups.Groups[:min(len(groups.Groups), termStarts)] {
		group := newStartRow(&groups.Groups[i], targets, s.Language)
		row := []Cell{{Text: group.Group}, Figure(group.Instances)}
		for _, verdict := range group.Verdicts {
			row = append(row, Cell{Text: s.Say(verdict), Style: VerdictStyle(verdict)})
		}
		below := group.Account + " / " + group.Region + ": " + group.Starts
		if group.Before != "" {
			below += s.Say("; ") + group.Before
		}
		tab.Below = append(tab.Below, Below{Row: len(tab.Rows), Text: below})
		tab.Rows = append(tab.Rows, row)
	}
	if len(tab.Rows) > 0 {
		s.Table(&tab)
	}
	for _, line := range moreStarts(groups, len(tab.Rows), more) {
		s.Lines(2, s.Say(line), Dim)
	}
}

// moreStarts says what is not listed.
func moreStarts(groups *record.StartGroups, shown int, more string) []string {
	var out []string
	if rest := len(groups.Groups) - shown; rest > 0 {
		out = append(out, fmt.Sprintf("and %s more groups: %s", Number(rest), more))
	}
	if groups.Unlisted > 0 {
		out = append(out, fmt.Sprintf("%s of more groups than are told apart", Plural(groups.Unlisted, "instance is", "instances are")))
	}
	for i := range groups.Unread[:min(len(groups.Unread), maxCauses)] {
		unread := &groups.Unread[i]
		line := fmt.Sprintf("launch templates of %s are not all known: %s", ScopeName(Short(unread.Account, 64), Short(unread.Region, 64)), Short(unread.Cause, 300))
		if unread.Mend != "" {
			line += "; " + Short(unread.Mend, 300)
		}
		out = append(out, line)
	}
	if rest := len(groups.Unread) - maxCauses; rest > 0 {
		out = append(out, fmt.Sprintf("nor those of %s", Plural(rest, "more region", "more regions")))
	}
	return out
}

// none says whether there is nothing to say of groups.
func none(groups *record.StartGroups) bool {
	return groups == nil || len(groups.Groups) == 0 && len(groups.Unread) == 0 && groups.Unlisted == 0
}

// startGroups lists the groups.
func (t *terminal) startGroups() error {
	groups, err := t.r.startGroups()
	if err != nil || none(groups) {
		return err
	}
	t.StartGroups(groups, t.r.Summary.Targets, "shenscan report --output json")
	return nil
}

// startGroups is r.StartGroups, or none.
func (r *Report) startGroups() (*record.StartGroups, error) {
	if r.StartGroups == nil {
		return &record.StartGroups{}, nil
	}
	groups, err := r.StartGroups()
	if err != nil {
		return nil, fmt.Errorf("find the groups that start new machines: %w", err)
	}
	return groups, nil
}

// MarkdownStartGroups writes every group.
func MarkdownStartGroups(out *bufio.Writer, groups *record.StartGroups, targets []string) {
	if none(groups) {
		return
	}
	fmt.Fprintf(out, "\n## %s\n\n%s.\n\n", startTitle, MarkdownText(Capital(startNote)))
	head := append([]string{"group", "account / region", "instances:", "starts"}, targets...)
	var rows [][]string
	for i := range groups.Groups {
		group := newStartRow(&groups.Groups[i], targets, lang.English)
		starts := group.Starts
		if group.Before != "" {
			starts += "; " + group.Before
		}
		rows = append(rows, append([]string{group.Group, group.Account + " / " + group.Region, Number(group.Instances), starts}, group.Verdicts...))
	}
	MarkdownTable(out, head, rows)
	for _, line := range moreStarts(groups, len(groups.Groups), "") {
		fmt.Fprintf(out, "\n%s\n", MarkdownText(Capital(line)+"."))
	}
}

// StartTable is what a page lists of groups.
type StartTable struct {
	Targets []string
	Rows    []StartRow
	Rest    *StartTable // rows that are folded away; nil where none are
	More    []string
}

// Fold leaves the first rows in sight and folds the others away.
func (t *StartTable) Fold(first int) {
	if len(t.Rows) > first {
		t.Rest = &StartTable{Targets: t.Targets, Rows: t.Rows[first:]}
		t.Rows = t.Rows[:first:first]
	}
}

// NewStartTable puts the worst groups into a table; more says where all of them
// are.
func NewStartTable(groups *record.StartGroups, targets []string, more string, in lang.Language) StartTable {
	out := StartTable{Targets: targets}
	if groups == nil {
		return out
	}
	for i := range groups.Groups[:min(len(groups.Groups), htmlStarts)] {
		out.Rows = append(out.Rows, newStartRow(&groups.Groups[i], targets, in))
	}
	out.More = SayAll(in, moreStarts(groups, len(out.Rows), more))
	return out
}
