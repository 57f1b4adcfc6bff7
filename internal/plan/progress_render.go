package plan

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

// ProgressFormats lists the formats that WriteProgress knows.
func ProgressFormats() []report.Format {
	return []report.Format{report.Table, report.JSON, report.CSV, report.Markdown}
}

// WriteProgress renders progress as format.
func WriteProgress(w io.Writer, format report.Format, progress *Progress, options report.Options) error {
	writer := bufio.NewWriterSize(w, 64<<10)
	var err error
	switch format {
	case report.Table:
		err = progress.table(writer, options)
	case report.JSON:
		err = report.WriteJSONLine(writer, progress)
	case report.CSV:
		err = progress.csv(writer)
	case report.Markdown:
		err = progress.markdown(writer)
	default:
		return fmt.Errorf("%w %q: progress is written as table, json, csv or markdown", report.ErrFormat, report.Short(string(format), 40))
	}
	if err == nil {
		err = writer.Flush()
	}
	if err != nil {
		return fmt.Errorf("write %s progress: %w", format, err)
	}
	return nil
}

// Bounds of what the terminal shows.
const (
	shownParts  = 12
	shownPoints = 10
)

func (p *Progress) table(w io.Writer, options report.Options) error {
	width := options.Columns()
	in := options.Language
	bold := func(s string) string { return report.Paint(s, report.Bold, options.Color) }
	for _, line := range report.Wrap(in.Say(p.Sentence), width) {
		fmt.Fprintln(w, bold(line))
	}
	for _, note := range p.Notes {
		for i, line := range report.Wrap(in.Say(note), width-2) {
			fmt.Fprintf(w, "%s%s\n", []string{"- ", "  "}[min(i, 1)], report.Paint(line, report.Amber, options.Color))
		}
	}
	fmt.Fprintln(w)
	if err := p.waveTable(in).Write(w, width, options.Color); err != nil {
		return err
	}
	for _, list := range p.lists() {
		if len(list.parts) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s%s\n", bold(in.Say(list.title)), report.Paint(behindWords(list.parts, in), report.Dim, options.Color))
		if err := partTable(list.name, list.parts[:min(len(list.parts), shownParts)], in).Write(w, width, options.Color); err != nil {
			return err
		}
		if more := len(list.parts) - shownParts; more > 0 {
			fmt.Fprintf(w, "  %s\n", report.Paint(in.Say("and "+report.Number(more)+" more; --output csv has all"), report.Dim, options.Color))
		}
	}
	fmt.Fprintf(w, "\n%s\n", bold(in.Say("Scan by scan")))
	return p.pointTable(shownPoints, in).Write(w, width, options.Color)
}

// partList is one of the ways in which the fleet is divided.
type partList struct {
	title, name string
	parts       []ProgressPart
}

func (p *Progress) lists() []partList {
	return []partList{{"Owners", "owner", p.Owners}, {"Accounts", "account", p.Accounts}, {"Regions", "region", p.Regions}}
}

// behindWords says how many parts are behind.
func behindWords(parts []ProgressPart, in lang.Language) string {
	n := 0
	for i := range parts {
		if parts[i].Behind {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return "  " + in.Say(report.Number(n)+" behind: some are open, and no fewer than there were")
}

// waveTable counts the waves now and then.
func (p *Progress) waveTable(in lang.Language) *report.TextTable {
	textTable := &report.TextTable{Indent: 2, In: in, Shrink: []int{0}, Head: []report.Cell{{Text: "wave"}, right("now")}}
	if p.Then != nil {
		textTable.Head = append(textTable.Head, right("then"), right("change"))
	}
	for _, id := range waves.All() {
		now := p.Now.Waves[string(id)]
		row := []report.Cell{{Text: in.Say(id.Title()), Style: waveStyle(id)}, right(report.Number(now))}
		if p.Then != nil {
			then := p.Then.Waves[string(id)]
			row = append(row, right(report.Number(then)), right(signed(now-then)))
		}
		textTable.Rows = append(textTable.Rows, row)
	}
	return textTable
}

// right is a cell of a number.
func right(s string) report.Cell { return report.Cell{Text: s, Right: true} }

func partTable(name string, parts []ProgressPart, in lang.Language) *report.TextTable {
	textTable := &report.TextTable{
		Indent: 2, In: in, Shrink: []int{5, 0},
		Head: []report.Cell{{Text: name}, right("instances"), right("open"), right("then"), right("change"), {Text: ""}},
	}
	for i := range parts {
		part := &parts[i]
		note, style := part.Note, report.Dim
		if part.Behind {
			note, style = "behind", report.Red
		}
		textTable.Rows = append(textTable.Rows, []report.Cell{
			{Text: part.title(in)}, right(report.Number(part.Instances)), right(report.Number(part.Open)), right(in.Say(known(part.Then, report.Number))), right(in.Say(known(part.Change, signed))), {Text: in.Say(note), Style: style},
		})
	}
	return textTable
}

func (p *ProgressPart) title(in lang.Language) string {
	if p.Rest {
		return in.Say("all others")
	}
	return sayOwner(in, p.Name)
}

func known(n *int, spell func(int) string) string {
	if n == nil {
		return "not known"
	}
	return spell(*n)
}

func signed(n int) string {
	if n > 0 {
		return "+" + report.Number(n)
	}
	return report.Number(n)
}

// last are the newest points, at most n.
func (p *Progress) last(n int) []ProgressMark { return p.Points[max(0, len(p.Points)-n):] }

func (p *Progress) pointTable(n int, in lang.Language) *report.TextTable {
	textTable := &report.TextTable{
		Indent: 2, In: in, Shrink: []int{1},
		Head: []report.Cell{{Text: "when"}, {Text: "what"}, right("instances"), right("open"), right("mended"), right("new"), right("gone"), right("worse"), right("by rules"), right("by evidence")},
	}
	for _, progressMark := range p.last(n) {
		what := string(progressMark.State)
		if progressMark.Kind == "rules" {
			what = "other rules"
		}
		textTable.Rows = append(textTable.Rows, []report.Cell{
			{Text: report.Moment(progressMark.At)},
			{Text: in.Say(what)},
			right(report.Number(progressMark.Instances)), right(report.Number(progressMark.Open)), right(report.Number(progressMark.Moves.Closed)), right(report.Number(progressMark.Moves.Came)),
			right(report.Number(progressMark.Moves.Went)), right(report.Number(progressMark.Moves.Opened)), right(signed(progressMark.Moves.OpenedByRules - progressMark.Moves.ClosedByRules)),
			right(signed(progressMark.Moves.OpenedByEvidence - progressMark.Moves.ClosedByEvidence)),
		})
	}
	return textTable
}

func (p *Progress) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"target", "by", "name", "instances", "open", "then", "change", "behind", "note", "at", "then_at"}
	for _, id := range waves.All() {
		head = append(head, string(id))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	then := ""
	if p.Then != nil {
		then = p.Then.At.Format(time.RFC3339)
	}
	all := ProgressPart{Instances: p.Now.Instances, Open: p.Now.Open, Waves: p.Now.Waves, Note: strings.Join(append([]string{p.Sentence}, p.Notes...), " ")}
	if p.Then != nil {
		all.Then, all.Change = &p.Then.Open, &p.Change
	}
	lists := slices.Insert(p.lists(), 0, partList{name: "all", parts: []ProgressPart{all}})
	for _, list := range lists {
		for i := range list.parts {
			part := &list.parts[i]
			name := part.Name
			if part.Rest {
				name = "all others"
			}
			row := []string{p.Target, list.name, report.FormulaSafe(name), strconv.Itoa(part.Instances), strconv.Itoa(part.Open), known(part.Then, strconv.Itoa), known(part.Change, strconv.Itoa), strconv.FormatBool(part.Behind), report.FormulaSafe(part.Note), p.Now.At.Format(time.RFC3339), then}
			for _, id := range waves.All() {
				row = append(row, strconv.Itoa(part.Waves[string(id)]))
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func (p *Progress) markdown(w io.Writer) error {
	fmt.Fprintf(w, "# Progress to %s\n\n%s\n\n", report.MarkdownText(p.Target), report.MarkdownText(p.Sentence))
	for _, note := range p.Notes {
		fmt.Fprintf(w, "- %s\n", report.MarkdownText(note))
	}
	if err := markdownTable(w, "Waves", p.waveTable(lang.English)); err != nil {
		return err
	}
	for _, list := range p.lists() {
		if len(list.parts) == 0 {
			continue
		}
		if err := markdownTable(w, list.title, partTable(list.name, list.parts, lang.English)); err != nil {
			return err
		}
	}
	return markdownTable(w, "Scan by scan", p.pointTable(len(p.Points), lang.English))
}

func markdownTable(w io.Writer, title string, textTable *report.TextTable) error {
	fmt.Fprintf(w, "\n## %s\n\n", title)
	var titles []string
	for _, cell := range textTable.Head {
		if cell.Right {
			cell.Text += ":"
		}
		titles = append(titles, cell.Text)
	}
	var rows [][]string
	for _, row := range textTable.Rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, cell.Text)
		}
		rows = append(rows, cells)
	}
	return report.MarkdownTable(w, titles, rows)
}
