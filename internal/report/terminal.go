package report

import (
	"bufio"
	"fmt"
	"io"
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
	w     io.Writer
	r     *Report
	d     *Digest
	o     Options
	width int
}

func writeTerminal(w *bufio.Writer, r *Report, o Options) error {
	screen := &terminal{w: w, r: r, d: NewDigest(&r.Summary), o: o, width: o.Columns()}
	screen.scanned()
	for _, part := range []func() error{screen.verdicts, screen.questions, screen.groups, screen.scopes, screen.startGroups, screen.since} {
		if err := part(); err != nil {
			return err
		}
	}
	screen.failures()
	screen.evidence()
	screen.next()
	return nil
}

// say is a sentence in the language of the report.
func (t *terminal) say(s string) string { return t.o.Language.Say(s) }

func (t *terminal) paint(s string, style Style) string { return Paint(s, style, t.o.Color) }

func (t *terminal) section(title, note string) {
	title, note = t.say(title), t.say(note)
	lines := Wrap(title, t.width)
	fmt.Fprintf(t.w, "\n%s", t.paint(strings.Join(lines, "\n"), Bold))
	switch {
	case note == "":
		fmt.Fprintln(t.w)
	case Width(title)+2+Width(note) <= t.width:
		fmt.Fprintf(t.w, "  %s\n", t.paint(note, Dim))
	default:
		fmt.Fprintln(t.w)
		t.lines(note, Dim)
	}
}

// lines writes a text below a heading.
func (t *terminal) lines(text string, style Style) {
	text = t.say(text)
	for _, line := range Wrap(text, t.width-2) {
		fmt.Fprintf(t.w, "  %s\n", t.paint(line, style))
	}
}

// field writes a labelled line, wrapped under itself.
func (t *terminal) field(label, text string, style Style) {
	label, text = t.say(label), t.say(text)
	for i, line := range Wrap(text, t.width-12) {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(t.w, "%s%s%s\n", label, strings.Repeat(" ", max(0, 12-Width(label))), t.paint(line, style))
	}
}

// scanned says what was looked at and how completely.
func (t *terminal) scanned() {
	summary := &t.r.Summary
	fmt.Fprintln(t.w, t.paint(t.say("shenscan: where can these instances move?"), Bold))
	t.field("Scan", scanLine(&t.r.Scan), Plain)
	if t.r.Scan.State == record.ScanAborted && t.r.Scan.Reason != "" {
		t.field("", t.r.Scan.Reason, Red)
	}
	if len(summary.Scopes) > 0 {
		accounts := Plural(len(t.d.Accounts), "account", "accounts")
		if len(t.d.Accounts) == 1 {
			accounts = "account " + Short(t.d.Accounts[0].Account, 64)
		}
		t.field("Fleet", fmt.Sprintf("%s in %s of %s", FleetSize(summary.Instances, t.d.Whole), Plural(len(t.d.Regions), "region", "regions"), accounts), Plain)
	}
	style := Green
	if !t.d.Whole.All() {
		style = Amber
	}
	t.field("Read", Completeness(t.d.Whole), style)
	left := LeftOut(*summary)
	for i, line := range left[:min(len(left), termFailures)] {
		label := ""
		if i == 0 {
			label = "Left out"
		}
		t.field(label, line, Amber)
	}
	t.more(len(left)-termFailures, "more: shenscan report --output json")
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
func (t *terminal) verdicts() error {
	summary := &t.r.Summary
	if summary.Instances == 0 {
		if t.d.Whole.All() {
			fmt.Fprintln(t.w, "\n"+t.say("There are no instances."))
		}
		return nil
	}
	t.section("Verdicts", t.note("instances a target"))
	tab := TextTable{Indent: 2, In: t.o.Language, Head: []Cell{{Text: "target"}}}
	order := []string{"compatible", "needs-action", "incompatible", "unknown"}
	for _, v := range order {
		tab.Head = append(tab.Head, Cell{Text: v, Right: true})
	}
	for _, target := range summary.Targets {
		row := []Cell{{Text: target, Style: Bold}}
		for _, v := range order {
			n := summary.Verdicts[target][v]
			style := VerdictStyle(v)
			if n == 0 {
				style = Dim
			}
			row = append(row, Cell{Text: fmt.Sprintf("%s %6s", Number(n), Percent(n, summary.Instances)), Brief: Number(n), Style: style, Right: true})
		}
		tab.Rows = append(tab.Rows, row)
	}
	if err := tab.Write(t.w, t.width, t.o.Color); err != nil {
		return err
	}
	t.lines(legend, Dim)
	style := Green
	if summary.Legacy > 0 {
		style = Amber
	}
	t.lines(fmt.Sprintf("%s of %s run a legacy operating system (%s)",
		AtLeast(summary.Legacy, t.d.Whole), Plural(summary.Instances, "instance", "instances"), Percent(summary.Legacy, summary.Instances)), style)
	return nil
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
	t.section("Operating systems to look at", t.note("worst first, * legacy"))
	most := termGroups
	if t.width < wideEnough {
		most = termNarrow // each takes two lines
	}
	shown := all[:min(len(all), most)]
	remedies, err := t.r.remedies()
	if err != nil {
		return err
	}
	if err := t.groupTable(shown, remedies); err != nil {
		return err
	}
	t.more(len(all)-len(shown), "more operating systems: shenscan report --output html --out report.html")
	return nil
}

// wideEnough is the width from which a remedy has a column of its own; below
// it stands on a line of its own.
const wideEnough = 110

func (t *terminal) groupTable(shown []*Bucket, remedies remedyCounts) error {
	wide := t.width >= wideEnough
	tab := TextTable{Indent: 2, In: t.o.Language, Shrink: []int{0}, Head: []Cell{{Text: "operating system"}, {Text: "instances", Right: true}}}
	for _, target := range t.r.Summary.Targets {
		tab.Head = append(tab.Head, Cell{Text: target})
	}
	if wide {
		tab.Shrink = []int{len(tab.Head), 0}
		tab.Head = append(tab.Head, Cell{Text: "first remedy"})
	}
	for _, bucket := range shown {
		name := t.say(bucket.OS())
		if bucket.Legacy {
			name += " *"
		}
		// Two groups of one system are told apart by the version.
		row := []Cell{{Text: name, Tail: VersionTail(name)}, {Text: Number(bucket.Instances), Right: true}}
		for _, target := range t.r.Summary.Targets {
			verdict, n := bucket.Verdicts.Worst(target)
			text := t.say(verdict)
			if n < bucket.Instances {
				text += " " + Number(n)
			}
			row = append(row, Cell{Text: text, Style: VerdictStyle(verdict)})
		}
		if wide {
			row = append(row, Cell{Text: t.say(remedies.of(bucket))})
		} else if m := remedies.of(bucket); m != "" {
			tab.Below = append(tab.Below, Below{Row: len(tab.Rows), Text: t.say("first remedy: ") + t.say(m)})
		}
		tab.Rows = append(tab.Rows, row)
	}
	return tab.Write(t.w, t.width, t.o.Color)
}

func (t *terminal) more(n int, what string) {
	if n > 0 {
		t.lines(fmt.Sprintf("and %s %s", Number(n), what), Dim)
	}
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
func (t *terminal) scopes() error {
	status := map[string]record.ScopeStatus{}
	for _, s := range t.r.Summary.Scopes {
		status[s.Account+"/"+s.Region] = s
	}
	several := len(t.d.Accounts) > 1
	tab := TextTable{Indent: 2, In: t.o.Language, Shrink: []int{0}, Head: []Cell{{Text: "region"}}}
	if several {
		tab.Shrink = []int{1, 0}
		tab.Head = append(tab.Head, Cell{Text: "account"})
	}
	tab.Head = append(tab.Head, []Cell{
		{Text: "instances", Right: true},
		{Text: "incompatible", Right: true},
		{Text: "needs-action", Right: true},
		{Text: "unknown", Right: true},
		{Text: "read"},
	}...)
	for _, bucket := range t.d.Scopes[:min(len(t.d.Scopes), termScopes)] {
		scopeStatus := status[bucket.Account+"/"+bucket.Region]
		row := []Cell{{Text: bucket.Region}}
		if several {
			row = append(row, Cell{Text: bucket.Account, Style: Dim})
		}
		row = append(row, Cell{Text: Number(bucket.Instances), Right: true})
		for _, v := range []string{"incompatible", "needs-action", "unknown"} {
			n := bucket.Verdicts.Of(v)
			style := VerdictStyle(v)
			if n == 0 {
				style = Dim
			}
			row = append(row, Cell{Text: Number(n), Style: style, Right: true})
		}
		style, word := Plain, string(scopeStatus.Completeness)
		if scopeStatus.Completeness != record.ScopeComplete {
			style = Amber
		}
		if word == "" {
			word = "not known"
		}
		tab.Rows = append(tab.Rows, append(row, Cell{Text: t.say(word), Style: style}))
	}
	if len(tab.Rows) == 0 {
		return nil
	}
	t.section("Accounts and regions", t.note("worst first, counted on the hardest target"))
	if err := tab.Write(t.w, t.width, t.o.Color); err != nil {
		return err
	}
	t.more(len(t.d.Scopes)-len(tab.Rows), "more regions")
	return nil
}

// next says what to do now, as commands.
func (t *terminal) next() {
	t.section("Next", "")
	for _, step := range NextSteps(t.r) {
		t.lines(step.Why, Plain)
		fmt.Fprintf(t.w, "    %s\n", t.paint(step.Command, Cyan))
	}
}
