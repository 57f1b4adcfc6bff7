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

// WriteProgress writes progress in one of ProgressFormats; any other is report.ErrFormat.
func WriteProgress(w io.Writer, format report.Format, progress *Progress, options report.Options) error {
	return report.Writers{
		report.Table: func(out *bufio.Writer) error {
			progress.table(report.NewScreen(out, options))
			return nil
		},
		report.JSON: func(out *bufio.Writer) error { return report.WriteJSONLine(out, progress) },
		report.CSV:  func(out *bufio.Writer) error { return progress.csv(out) },
		report.Markdown: func(out *bufio.Writer) error {
			progress.markdown(out)
			return nil
		},
	}.Write(w, format, "progress")
}

// Bounds of what the terminal shows.
const (
	shownParts  = 12
	shownPoints = 10
)

func (p *Progress) table(screen *report.Screen) {
	in := screen.Language
	screen.Lines(0, in.Say(p.Sentence), report.Bold)
	for _, note := range p.Notes {
		for i, line := range report.Wrap(in.Say(note), screen.Columns()-2) {
			fmt.Fprintf(screen, "%s%s\n", []string{"- ", "  "}[min(i, 1)], screen.Paint(line, report.Amber))
		}
	}
	fmt.Fprintln(screen)
	screen.Table(p.waveTable(in))
	for _, list := range p.lists() {
		if len(list.parts) == 0 {
			continue
		}
		screen.Section(list.title, behindWords(list.parts))
		screen.Table(partTable(list.name, list.parts[:min(len(list.parts), shownParts)], in))
		screen.More(len(list.parts)-shownParts, "more; --output csv has all")
	}
	screen.Section("Scan by scan", "")
	screen.Table(p.pointTable(shownPoints, in))
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
func behindWords(parts []ProgressPart) string {
	n := 0
	for i := range parts {
		if parts[i].Behind {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return report.Number(n) + " behind: some are open, and no fewer than there were"
}

// waveTable counts the waves now and then.
func (p *Progress) waveTable(in lang.Language) *report.TextTable {
	textTable := &report.TextTable{Indent: 2, Shrink: []int{0}, Head: report.Head("wave", "now:")}
	if p.Then != nil {
		textTable.Head = report.Head("wave", "now:", "then:", "change:")
	}
	for _, id := range waves.All() {
		now := p.Now.Waves[string(id)]
		row := []report.Cell{{Text: in.Say(id.Title()), Style: waveStyle(id)}, report.Figure(now)}
		if p.Then != nil {
			then := p.Then.Waves[string(id)]
			row = append(row, report.Figure(then), right(signed(now-then)))
		}
		textTable.Rows = append(textTable.Rows, row)
	}
	return textTable
}

// right is a cell of a text beside numbers.
func right(s string) report.Cell { return report.Cell{Text: s, Right: true} }

func partTable(name string, parts []ProgressPart, in lang.Language) *report.TextTable {
	textTable := &report.TextTable{Indent: 2, Shrink: []int{5, 0}, Head: report.Head(name, "instances:", "open:", "then:", "change:", "")}
	for i := range parts {
		part := &parts[i]
		note, style := part.Note, report.Dim
		if part.Behind {
			note, style = "behind", report.Red
		}
		textTable.Rows = append(textTable.Rows, []report.Cell{
			{Text: part.title(in)}, report.Figure(part.Instances), report.Figure(part.Open), right(in.Say(known(part.Then, report.Number))), right(in.Say(known(part.Change, signed))), {Text: in.Say(note), Style: style},
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

func (p *Progress) pointTable(n int, in lang.Language) *report.TextTable {
	textTable := &report.TextTable{
		Indent: 2, Shrink: []int{1}, Head: report.Head("when", "what", "instances:", "open:", "mended:", "new:", "gone:", "worse:", "by rules:", "by evidence:"),
	}
	for _, mark := range p.Points[max(0, len(p.Points)-n):] {
		what := string(mark.State)
		if mark.Kind == "rules" {
			what = "other rules"
		}
		moves := &mark.Moves
		textTable.Rows = append(textTable.Rows, []report.Cell{
			{Text: report.Moment(mark.At)},
			{Text: in.Say(what)},
			report.Figure(mark.Instances), report.Figure(mark.Open),
			report.Figure(moves.Closed), report.Figure(moves.Came), report.Figure(moves.Went), report.Figure(moves.Opened),
			right(signed(moves.OpenedByRules - moves.ClosedByRules)), right(signed(moves.OpenedByEvidence - moves.ClosedByEvidence)),
		})
	}
	return textTable
}

func (p *Progress) csv(w io.Writer) error {
	head := []string{"target", "by", "name", "instances", "open", "then", "change", "behind", "note", "at", "then_at"}
	for _, id := range waves.All() {
		head = append(head, string(id))
	}
	rows := [][]string{head}
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
			rows = append(rows, row)
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}

func (p *Progress) markdown(w *bufio.Writer) {
	fmt.Fprintf(w, "# Progress to %s\n\n%s\n\n", report.MarkdownText(p.Target), report.MarkdownText(p.Sentence))
	for _, note := range p.Notes {
		fmt.Fprintf(w, "- %s\n", report.MarkdownText(note))
	}
	markdownTable(w, "Waves", p.waveTable(lang.English))
	for _, list := range p.lists() {
		if len(list.parts) > 0 {
			markdownTable(w, list.title, partTable(list.name, list.parts, lang.English))
		}
	}
	markdownTable(w, "Scan by scan", p.pointTable(len(p.Points), lang.English))
}

func markdownTable(w *bufio.Writer, title string, textTable *report.TextTable) {
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
	report.MarkdownTable(w, titles, rows)
}
