package report

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// What the terminal shows of long lists; the rest is counted and named.
const (
	termGroups   = 12
	termNarrow   = 8
	termScopes   = 8
	termFailures = 10
	termChanges  = 10
)

// terminal writes the report at a glance.
type terminal struct {
	*Screen
	r *Report
	d *Digest
}

func writeTerminal(w *bufio.Writer, r *Report, o Options) error {
	screen := &terminal{NewScreen(w, o), r, NewDigest(&r.Summary)}
	screen.scanned()
	screen.verdicts()
	screen.questions()
	if err := screen.groups(); err != nil {
		return err
	}
	screen.scopes()
	if err := screen.startGroups(); err != nil {
		return err
	}
	screen.since()
	screen.failures()
	screen.evidence()
	screen.next()
	return nil
}

// lines writes a text below a heading.
func (t *terminal) lines(text string, style Style) {
	t.Lines(2, t.Say(text), style)
}

// field writes a labelled line, wrapped under itself.
func (t *terminal) field(label, text string, style Style) {
	label, text = t.Say(label), t.Say(text)
	for i, line := range Wrap(text, t.width-12) {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(t, "%s%s%s\n", label, strings.Repeat(" ", max(0, 12-Width(label))), t.Paint(line, style))
	}
}

// scanned says what was looked at and how completely.
func (t *terminal) scanned() {
	summary := &t.r.Summary
	fmt.Fprintln(t, t.Paint(t.Say("shenscan: where can these instances move?"), Bold))
	t.field("Scan", scanLine(&t.r.Scan), Plain)
	if t.r.Scan.State == record.ScanAborted && t.r.Scan.Reason != "" {
		t.field("", t.r.Scan.Reason, Red)
	}
	if len(summary.Scopes) > 0 {
		accounts := Plural(len(t.d.Accounts), "account", "accounts")
		if len(t.d.Accounts) == 1 {
			accounts = "account " + Short(t.d.Accounts[0].Account, 64)
		}
		t.field("Fleet", fmt.Sprintf("%s in %s of %s", fleetSize(summary.Instances, t.d.Whole), Plural(len(t.d.Regions), "region", "regions"), accounts), Plain)
	}
	style := Green
	if !t.d.Whole.All() {
		style = Amber
	}
	t.field("Read", Completeness(t.d.Whole), style)
	left := leftOut(*summary)
	for i, line := range left[:min(len(left), termFailures)] {
		label := ""
		if i == 0 {
			label = "Left out"
		}
		t.field(label, line, Amber)
	}
	t.More(len(left)-termFailures, "more: shenscan report --output json")
	if !summary.CaughtUp && len(summary.Scopes) > 0 {
		t.field("", "results are still coming in: numbers will move", Amber)
	}
	if summary.Rejudging != nil {
		t.field("", judgingAnew(summary.Rejudging), Amber)
	}
	if summary.Ruleset != "" {
		t.field("Rules", fmt.Sprintf("%s, as of %s", summary.Ruleset, Moment(summary.AsOf)), Dim)
	}
}

// verdicts is the table of targets and verdicts.
func (t *terminal) verdicts() {
	summary := &t.r.Summary
	if summary.Instances == 0 {
		if t.d.Whole.All() {
			fmt.Fprintln(t, "\n"+t.Say("There are no instances."))
		}
		return
	}
	t.Section("Verdicts", t.note("instances a target"))
	tab := TextTable{Indent: 2, Head: Head("target", "compatible:", "needs-action:", "incompatible:", "unknown:")}
	for _, target := range summary.Targets {
		row := []Cell{{Text: target, Style: Bold}}
		for _, v := range shownLevels() {
			n := summary.Verdicts[target][v]
			cell := verdictCount(v, n)
			cell.Text, cell.Brief = fmt.Sprintf("%s %6s", Number(n), Percent(n, summary.Instances)), Number(n)
			row = append(row, cell)
		}
		tab.Rows = append(tab.Rows, row)
	}
	t.Table(&tab)
	t.lines(legend, Dim)
	style := Green
	if summary.Legacy > 0 {
		style = Amber
	}
	t.lines(fmt.Sprintf("%s of %s run a legacy operating system (%s)",
		atLeast(summary.Legacy, t.d.Whole), Plural(summary.Instances, "instance", "instances"), Percent(summary.Legacy, summary.Instances)), style)
}

// verdictCount is a cell of how many instances have a verdict.
func verdictCount(verdict string, n int) Cell {
	cell := Figure(n)
	if cell.Style = VerdictStyle(verdict); n == 0 {
		cell.Style = Dim
	}
	return cell
}

// legend says what the columns of the verdicts mean.
const legend = "compatible boots as it is, needs-action after the named steps, incompatible does not boot; unknown: what is known does not tell"

// note is what goes beside a heading over counts; it says when they are not
// complete.
func (t *terminal) note(text string) string {
	if t.d.Whole.All() {
		return text
	}
	return text + "; lower bounds"
}

// troubled are the OS buckets that are legacy or not compatible somewhere.
func (t *terminal) troubled() []*Bucket {
	var out []*Bucket
	for _, b := range t.d.OS {
		if b.Legacy || b.Verdicts.Of("incompatible", "unknown", "needs-action") > 0 {
			out = append(out, b)
		}
	}
	return out
}

// groups is the table of operating systems that stand in the way.
func (t *terminal) groups() error {
	all := t.troubled()
	if len(all) == 0 {
		return nil
	}
	t.Section("Operating systems to look at", t.note("worst first, * legacy"))
	most := termGroups
	if t.width < wideEnough {
		most = termNarrow // each takes two lines
	}
	shown := all[:min(len(all), most)]
	remedies, err := t.r.remedies()
	if err != nil {
		return err
	}
	t.groupTable(shown, remedies)
	t.More(len(all)-len(shown), "more operating systems: shenscan report --output html --out report.html")
	return nil
}

// wideEnough is the width from which a remedy has a column of its own; below
// it stands on a line of its own.
const wideEnough = 110

func (t *terminal) groupTable(shown []*Bucket, remedies remedyCounts) {
	wide := t.width >= wideEnough
	tab := TextTable{Indent: 2, Shrink: []int{0}, Head: Head(append([]string{"operating system", "instances:"}, t.r.Summary.Targets...)...)}
	if wide {
		tab.Shrink = []int{len(tab.Head), 0}
		tab.Head = append(tab.Head, Cell{Text: "first remedy"})
	}
	for _, bucket := range shown {
		name := t.Say(bucket.OS())
		if bucket.Legacy {
			name += " *"
		}
		// Two groups of one system are told apart by the version.
		row := []Cell{{Text: name, Tail: VersionTail(name)}, Figure(bucket.Instances)}
		for _, target := range t.r.Summary.Targets {
			verdict, n := bucket.Verdicts.Worst(target)
			text := t.Say(verdict)
			if n < bucket.Instances {
				text += " " + Number(n)
			}
			row = append(row, Cell{Text: text, Style: VerdictStyle(verdict)})
		}
		if wide {
			row = append(row, Cell{Text: t.Say(remedies.of(bucket))})
		} else if m := remedies.of(bucket); m != "" {
			tab.Below = append(tab.Below, Below{Row: len(tab.Rows), Text: t.Say("first remedy: ") + t.Say(m)})
		}
		tab.Rows = append(tab.Rows, row)
	}
	t.Table(&tab)
}

// namedFamilies is how many instance families a remedy in a few words names.
const namedFamilies = 6

// RemedyLine is a remedy in a few words: "minor-upgrade to 5.11".
func RemedyLine(remedy *rules.Remedy) string {
	switch {
	case remedy.To != "":
		return remedy.ID + " to " + remedy.To
	case len(remedy.Families) > namedFamilies:
		return fmt.Sprintf("%s on %d families", remedy.ID, len(remedy.Families))
	case len(remedy.Families) > 0:
		return remedy.ID + ": " + strings.Join(remedy.Families, ", ")
	}
	return remedy.ID
}

// scopes lists the accounts and regions with the most trouble, and every one
// that was not read whole.
func (t *terminal) scopes() {
	status := map[string]record.ScopeStatus{}
	for _, s := range t.r.Summary.Scopes {
		status[s.Account+"/"+s.Region] = s
	}
	several := len(t.d.Accounts) > 1
	tab := TextTable{Indent: 2, Shrink: []int{0}, Head: Head("region", "account", "instances:", "incompatible:", "needs-action:", "unknown:", "read")}
	if several {
		tab.Shrink = []int{1, 0}
	} else {
		tab.Head = slices.Delete(tab.Head, 1, 2)
	}
	for _, bucket := range t.d.Scopes[:min(len(t.d.Scopes), termScopes)] {
		scopeStatus := status[bucket.Account+"/"+bucket.Region]
		row := []Cell{{Text: bucket.Region}}
		if several {
			row = append(row, Cell{Text: bucket.Account, Style: Dim})
		}
		row = append(row, Figure(bucket.Instances))
		for _, v := range []string{"incompatible", "needs-action", "unknown"} {
			row = append(row, verdictCount(v, bucket.Verdicts.Of(v)))
		}
		style, word := Plain, string(scopeStatus.Completeness)
		if scopeStatus.Completeness != record.ScopeComplete {
			style = Amber
		}
		if word == "" {
			word = "not known"
		}
		tab.Rows = append(tab.Rows, append(row, Cell{Text: t.Say(word), Style: style}))
	}
	if len(tab.Rows) == 0 {
		return
	}
	t.Section("Accounts and regions", t.note("worst first, counted on the hardest target"))
	t.Table(&tab)
	t.More(len(t.d.Scopes)-len(tab.Rows), "more regions")
}

// next says what to do now, as commands.
func (t *terminal) next() {
	t.Section("Next", "")
	for _, step := range nextSteps(t.r) {
		t.lines(step.Why, Plain)
		fmt.Fprintf(t, "    %s\n", t.Paint(step.Command, Cyan))
	}
}
