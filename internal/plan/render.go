package plan

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

// Formats lists the formats that Write knows.
func Formats() []report.Format {
	return []report.Format{report.Table, report.JSON, report.CSV, report.HTML, report.Markdown}
}

// Write writes a plan in one of Formats; any other is report.ErrFormat.
func Write(w io.Writer, format report.Format, plan *Plan, options report.Options) error {
	return report.Writers{
		report.Table: func(out *bufio.Writer) error {
			writeTable(report.NewScreen(out, options), plan)
			return nil
		},
		report.JSON:     func(out *bufio.Writer) error { return writeJSON(out, plan) },
		report.CSV:      func(out *bufio.Writer) error { return writeCSV(out, plan, options.Excel) },
		report.Markdown: func(out *bufio.Writer) error { return writeMarkdown(out, plan) },
		report.HTML:     func(out *bufio.Writer) error { return writeHTML(out, plan, options.Language) },
	}.Write(w, format, "plan")
}

// writeJSON writes one object. Waves and their items are the last members of
// what they are in, so that what comes before them is encoded as it is and they
// follow one by one.
func writeJSON(out *bufio.Writer, plan *Plan) error {
	head := *plan
	head.Waves = []*Wave{}
	if err := writeOpen(out, &head); err != nil {
		return err
	}
	err := report.WriteList(out, "", sound(slices.Values(plan.Waves)), func(wave *Wave) error { return writeWave(out, wave) })
	fmt.Fprint(out, "}\n")
	return err
}

func writeWave(out *bufio.Writer, wave *Wave) error {
	type shown Wave
	head := struct {
		*shown
		Items []*Item `json:"items"`
	}{(*shown)(wave), []*Item{}}
	if err := writeOpen(out, &head); err != nil {
		return err
	}
	err := report.WriteList(out, "", sound(wave.Items), func(item *Item) error {
		data, err := report.EncodeJSON(item)
		if err != nil {
			return fmt.Errorf("%s: %w", report.Short(item.InstanceID, 64), err)
		}
		_, err = out.Write(data)
		return err
	})
	fmt.Fprint(out, "}")
	return err
}

// sound is a sequence in which nothing fails.
func sound[T any](all iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		all(func(each T) bool { return yield(each, nil) })
	}
}

// writeOpen writes v, whose last member is an empty list, up to that list.
func writeOpen(out *bufio.Writer, v any) error {
	data, err := report.EncodeJSON(v)
	if err != nil {
		return err
	}
	_, err = out.Write(bytes.TrimSuffix(data, []byte("[]}")))
	return err
}

// shownItems is how many instances of a wave the terminal shows.
const shownItems = 5

func writeTable(screen *report.Screen, plan *Plan) {
	say := screen.Say
	fmt.Fprintln(screen, screen.Paint(say("Migration plan to "+report.Clean(plan.Target)), report.Bold))
	screen.Lines(0, say(report.Plural(plan.Instances, "instance", "instances"))+say("; ")+say(plan.Completeness), report.Plain)
	for _, words := range []string{plan.Availability.Words(), plan.Disks.Words(), plan.Offered.Words()} {
		if words != "" { // somebody asked
			screen.Lines(0, say(report.Capital(words))+say("."), report.Dim)
		}
	}
	fmt.Fprintln(screen)
	tab := report.TextTable{Indent: 2, Shrink: []int{2, 0}, Head: report.Head("wave", "instances:", "first owners")}
	if !plan.ByOwner {
		tab.Head = tab.Head[:2]
	}
	for _, wave := range plan.Waves {
		row := []report.Cell{{Text: say(wave.Title), Style: waveStyle(wave.ID)}, report.Figure(wave.Instances), {Text: ownerLine(wave.Owners, 4, screen.Language)}}
		tab.Rows = append(tab.Rows, row[:len(tab.Head)])
	}
	screen.Table(&tab)
	if groups := plan.StartGroups; groups != nil && len(groups.Groups)+len(groups.Unread) > 0 {
		screen.StartGroups(groups, []string{plan.Target}, "--output json")
	}
	for _, wave := range plan.Waves {
		if wave.Instances == 0 || wave.ID == waves.AlreadyThere {
			continue
		}
		screen.Section(wave.Title, report.Plural(wave.Instances, "instance", "instances"))
		screen.Lines(2, say(wave.What), report.Plain)
		for _, s := range wave.Solutions {
			fmt.Fprintf(screen, "  %s %s\n", report.Short(say(s.Name), max(screen.Columns()-24, 16)), screen.Paint(say(s.share()), report.Dim))
		}
		tableItems(screen, wave)
	}
	for _, part := range plan.unasked() {
		screen.Section(part.Title, "")
		for i := range part.Failures[:min(len(part.Failures), shownItems)] {
			f := &part.Failures[i]
			fmt.Fprint(screen, report.Hung("  ", report.ScopeName(f.Account, f.Region)+": "+say(report.FailureHead(f)), screen.Columns()))
			screen.Lines(4, f.Error+" "+say(f.Mend), report.Dim)
		}
		screen.More(len(part.Failures)-shownItems, "more")
	}
	screen.Section("Next", "")
	command := cmp.Or(plan.Command, "shenscan plan --target "+report.Clean(plan.Target))
	fmt.Fprintf(screen, "  %s\n    %s\n", say("Read it, with every step and instance:"), screen.Paint(command+" --out plan.html", report.Cyan))
	fmt.Fprintf(screen, "  %s\n    %s\n", say("Hand it out, a part to each owner:"), screen.Paint(command+" --split-by-owner plan", report.Cyan))
}

func tableItems(screen *report.Screen, wave *Wave) {
	tab := report.TextTable{Indent: 2, Shrink: []int{1, 2}} // the id names an instance as well as its name does
	for item := range wave.Items {
		if len(tab.Rows) == shownItems {
			break
		}
		move := item.CurrentType
		if to := cmp.Or(item.Replacement.Type, item.Fallback.Type, item.CurrentType); to != item.CurrentType {
			move += " -> " + to
		}
		below := func(text string) {
			tab.Below = append(tab.Below, report.Below{Row: len(tab.Rows), Text: text})
		}
		if item.Question != "" {
			below(screen.Say(item.Question))
		}
		if item.Disks != nil && item.Disks.State != record.DisksFit {
			below(disksLine(item, screen.Language))
		}
		if item.Offered != nil && item.Offered.State != record.ChangeOffered {
			below(report.Capital(OfferedText(item.Offered, screen.Language)))
		}
		tab.Rows = append(tab.Rows, []report.Cell{
			{Text: item.InstanceID}, {Text: item.InstanceName}, {Text: screen.Say(item.OS), Tail: report.VersionTail(item.OS)}, {Text: move},
		})
	}
	screen.Table(&tab)
	screen.More(wave.Instances-len(tab.Rows), "more")
}

func waveStyle(id waves.ID) report.Style { return report.VerdictStyle(WaveClass(id)) }

func ownerLine(owners []Owner, n int, in lang.Language) string {
	var parts []string
	for _, o := range owners[:min(len(owners), n)] {
		parts = append(parts, sayOwner(in, o.Name)+" "+report.Number(o.Instances))
	}
	if more := len(owners) - len(parts); more > 0 {
		parts = append(parts, in.Say(report.Plural(more, "other", "others")))
	}
	return strings.Join(parts, ", ")
}

// sayOwner is the name of an owner, or in the language that there is none.
func sayOwner(in lang.Language, name string) string {
	if name == "" {
		return in.Say(ownerName(""))
	}
	return ownerName(name)
}

func ownerName(name string) string {
	if name == "" {
		return "no owner"
	}
	return report.Short(name, 60)
}

var csvHead = []string{
	"wave", "owner", "window", "account", "region", "zone", "instance_id", "instance_name", "status", "os", "legacy", "verdict", "confidence", "rule", "reason",
	"current_type", "replacement_type", "replacement_why", "replacement_availability", "replacement_first_choice", "first_choice_zones",
	"path", "path_note", "fallback_type", "fallback_why", "fallback_availability", "solutions", "steps", "benefits", "drawbacks", "alternatives", "checklist", "disks_state", "disks", "change_state", "change", "question", "note", "done", "completeness",
}

func writeCSV(w *bufio.Writer, plan *Plan, excel bool) error {
	return report.WriteCSV(w, excel, csvHead, func(write func([]string) error) error {
		for _, wave := range plan.Waves {
			for item := range wave.Items {
				if err := write(csvRow(plan, wave, item)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func csvRow(plan *Plan, wave *Wave, item *Item) []string {
	var steps, benefits, drawbacks []string
	for _, name := range item.Solutions {
		if solution := wave.solution(name); solution != nil {
			steps = append(steps, solution.Steps...)
			if solution.Benefit != "" {
				benefits = append(benefits, solution.Name+": "+solution.Benefit)
			}
			if solution.Drawback != "" {
				drawbacks = append(drawbacks, solution.Name+": "+solution.Drawback)
			}
		}
	}
	disks, change := cmp.Or(item.Disks, &record.InstanceDisks{}), cmp.Or(item.Offered, &record.OfferedChange{}) // "" where nobody asked
	return []string{
		string(wave.ID), item.Owner, item.Window, item.Account, item.Region, item.Zone, item.InstanceID, item.InstanceName, item.Status, item.OS, strconv.FormatBool(item.Legacy),
		item.Verdict, item.Confidence, item.Rule, item.Reason, item.CurrentType, item.Replacement.Type, item.Replacement.Why,
		item.Replacement.Availability, item.Replacement.FirstChoice, strings.Join(item.Replacement.Zones, " "), string(item.Path), item.PathNote,
		item.Fallback.Type, item.Fallback.Why, item.Fallback.Availability, strings.Join(item.Solutions, "; "), numbered(steps, " "), strings.Join(benefits, "; "), strings.Join(drawbacks, "; "), strings.Join(item.Alternatives, "; "), numbered(item.Checklist, " "),
		disks.State, DiskText(item.Disks, lang.English), change.State, OfferedText(item.Offered, lang.English), item.Question, item.Note, "", plan.Completeness,
	}
}

func numbered(steps []string, between string) string {
	lines := make([]string, len(steps))
	for i, s := range steps {
		lines[i] = fmt.Sprintf("%d) %s", i+1, s)
	}
	return strings.Join(lines, between)
}

// solution finds a solution of the wave by name.
func (w *Wave) solution(name string) *Solution {
	at := slices.IndexFunc(w.Solutions, func(s *Solution) bool { return s.Name == name })
	if at < 0 {
		return nil
	}
	return w.Solutions[at]
}

func writeMarkdown(w *bufio.Writer, plan *Plan) error {
	text := report.MarkdownText
	disks := ""
	if plan.Disks != nil {
		disks = "- Disks: " + text(plan.Disks.Words()) + "\n"
	}
	if plan.Offered != nil {
		disks += "- Changes: " + text(plan.Offered.Words()) + "\n"
	}
	fmt.Fprintf(w, "# Migration plan to %s\n\n- Made: %s\n- Instances: %s\n- Records: %s\n- Availability: %s\n%s- Rules: %s\n\n",
		text(plan.Target), report.Moment(plan.MadeAt), report.Number(plan.Instances), plan.Completeness, text(plan.Availability.Words()), disks, text(plan.Ruleset))
	var rows [][]string
	for _, wave := range plan.Waves {
		rows = append(rows, []string{wave.Title, report.Number(wave.Instances), ownerLine(wave.Owners, 8, lang.English)})
	}
	report.MarkdownTable(w, []string{"wave", "instances:", "owners"}, rows)
	for _, part := range plan.unasked() {
		report.MarkdownFailures(w, part.Title, part.Failures)
	}
	report.MarkdownStartGroups(w, plan.StartGroups, []string{plan.Target})
	for _, wave := range plan.Waves {
		if wave.Instances == 0 {
			continue
		}
		fmt.Fprintf(w, "\n## %s (%s)\n\n%s\n", wave.Title, report.Number(wave.Instances), text(wave.What))
		if wave.ID == waves.AlreadyThere {
			continue
		}
		for _, solution := range wave.Solutions {
			fmt.Fprintf(w, "\n### %s (%s)\n\n%s\n\n", text(solution.Name), solution.share(), text(solution.Text))
			for i, step := range solution.Steps {
				fmt.Fprintf(w, "%d. %s\n", i+1, text(step))
			}
			if solution.Benefit != "" {
				fmt.Fprintf(w, "\nBenefit: %s\n", text(solution.Benefit))
			}
			if solution.Drawback != "" {
				fmt.Fprintf(w, "\nDrawback: %s\n", text(solution.Drawback))
			}
		}
		for i, list := range checklists(wave) {
			fmt.Fprintf(w, "\n### Checklist %d before the move (%s)\n\n", i+1, report.Plural(list.N, "instance", "instances"))
			for _, c := range list.Checks {
				fmt.Fprintf(w, "- [ ] %s\n", text(c))
			}
		}
		if routes := routes(wave); len(routes) > 0 {
			fmt.Fprintf(w, "\n### How they get there\n\n")
			for _, r := range routes {
				fmt.Fprintf(w, "- %s, %s: %s\n", r.Path, report.Plural(r.N, "instance", "instances"), text(r.Note))
			}
		}
		if err := mdItems(w, wave, plan.ByOwner); err != nil {
			return err
		}
	}
	return nil
}

// unasked is what could not be asked, or is not believed, under a title.
type unasked struct {
	Title    string
	Failures []record.Failure
}

func (p *Plan) unasked() (out []unasked) {
	add := func(title string, failures []record.Failure) {
		if len(failures) > 0 {
			out = append(out, unasked{title, failures})
		}
	}
	if p.Availability != nil {
		add("Availability not checked", p.Availability.Failures)
	}
	if p.Disks != nil {
		add("Disks not asked for", p.Disks.Failures)
		add("Disks that may not be all", p.Disks.Doubts)
	}
	if p.Offered != nil {
		add("Changes not known", p.Offered.Failures)
	}
	return out
}

// mdItems writes the rows of a wave, a table for each owner where it is divided by
// them. A row names its checklist by number: the lists stand once, above.
func mdItems(w *bufio.Writer, wave *Wave, byOwner bool) error {
	owner := "\x00" // the name of none, so that the first row begins a table
	numbers := map[string]string{}
	for i, list := range checklists(wave) {
		numbers[strings.Join(list.Checks, "\n")] = strconv.Itoa(i + 1)
	}
	for item := range wave.Items {
		if item.Owner != owner {
			owner = item.Owner
			title := "Instances"
			if byOwner {
				title += " of " + report.MarkdownText(ownerName(owner))
			}
			fmt.Fprintf(w, "\n### %s\n\n%s", title, report.MarkdownHead("instance", "name", "account / zone", "system", "type", "replacement", "path", "fallback", "window", "solutions", "checklist:", "why"))
		}
		why := cmp.Or(item.Question, item.Reason)
		if item.Note != "" {
			why += " " + item.Note
		}
		if text := disksLine(item, lang.English); text != "" {
			why += " " + text
		}
		if text := OfferedText(item.Offered, lang.English); text != "" {
			why += " " + report.Capital(text) + "."
		}
		row := report.MarkdownRow(item.InstanceID, report.Short(item.InstanceName, 120), item.Account+" / "+item.place(), item.OS, item.CurrentType, choiceText(item.Replacement),
			string(item.Path), choiceText(item.Fallback), item.Window, solutionText(item, lang.English), numbers[strings.Join(item.Checklist, "\n")], why)
		if _, err := w.WriteString(row); err != nil {
			return err
		}
	}
	return nil
}

// share says how many need the solution.
func (s *Solution) share() string {
	if s.Instances == 0 {
		return "an alternative"
	}
	return "for " + report.Plural(s.Instances, "instance", "instances")
}

func solutionText(item *Item, in lang.Language) string {
	text := strings.Join(report.SayAll(in, item.Solutions), in.Say(", then "))
	if len(item.Alternatives) > 0 {
		if text != "" {
			text += in.Say("; ")
		}
		text += in.Say("or ") + strings.Join(report.SayAll(in, item.Alternatives), in.Say(", or "))
	}
	return text
}

func choiceText(choice Choice) string {
	switch {
	case choice.Type == "":
		return choice.Why
	case choice.Why == "":
		return choice.Type
	}
	return choice.Type + " (" + choice.Why + ")"
}

// checkedList is a checklist and how many instances share it.
type checkedList struct {
	Checks []string
	N      int
}

// checklists are the different checklists of a wave, in the order of its items.
func checklists(wave *Wave) []*checkedList {
	if wave.ID == waves.AlreadyThere {
		return nil
	}
	var out []*checkedList
	at := map[string]*checkedList{}
	for _, item := range wave.alike() {
		key := strings.Join(item.Checklist, "\n")
		if at[key] == nil {
			at[key] = &checkedList{Checks: item.Checklist}
			out = append(out, at[key])
		}
		at[key].N += item.N
	}
	return out
}

// place is the zone, which names its region, or the region.
func (item *Item) place() string {
	if item.Zone != "" {
		return item.Zone
	}
	return item.Region
}

// route is a path with its note and how many instances take it.
type route struct {
	Path Path
	Note string
	N    int
}

// shownRoutes bounds the paths that are listed one by one.
const shownRoutes = 20

// routes are the different paths of a wave, the commonest first.
func routes(wave *Wave) []route {
	var out []route
	for _, item := range wave.alike() {
		if item.Path == "" {
			continue
		}
		at := slices.IndexFunc(out, func(r route) bool { return r.Path == item.Path && r.Note == item.PathNote })
		if at < 0 {
			out = append(out, route{Path: item.Path, Note: item.PathNote})
			at = len(out) - 1
		}
		out[at].N += item.N
	}
	slices.SortStableFunc(out, func(a, b route) int { return b.N - a.N })
	if len(out) <= shownRoutes {
		return out
	}
	rest := route{Path: "other", Note: report.Plural(len(out)-shownRoutes, "more way", "more ways") + ", named with each instance in the CSV and JSON plan"}
	for _, r := range out[shownRoutes:] {
		rest.N += r.N
	}
	return append(out[:shownRoutes:shownRoutes], rest)
}
