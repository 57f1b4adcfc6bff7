package plan

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

// sheetRows is how many instances a sheet takes below its head.
const sheetRows = excelize.TotalRows - 1

// sheetHead are the columns of a wave's sheet and their widths in characters.
var sheetHead = []struct {
	title string
	width float64
}{
	{"instance", 26},
	{"name", 28},
	{"account", 20},
	{"zone", 18},
	{"status", 10},
	{"system", 26},
	{"current type", 20},
	{"verdict", 14},
	{"why", 60},
	{"what to do, in order", 60},
	{"before the move, in order", 60},
	{"disks", 60},
	{"offered change", 40},
	{"recommended type", 24},
	{"why this type", 30},
	{"path", 24},
	{"note on the path", 40},
	{"fallback", 24},
	{"window", 24},
	{"note", 40},
	{"done", 8},
}

// sheetNames are titles of waves that fit into the 31 characters of a sheet's
// name.
var sheetNames = map[waves.ID]string{
	waves.Ready: "Ready now", waves.AfterChecks: "Ready after checks", waves.Repair: "Driver or registry repair", waves.MinorUpgrade: "OS minor upgrade",
	waves.ReplaceOS: "OS replacement", waves.StayGen5: "Stay", waves.Unknown: "Unknown", waves.Waived: "Waived", waves.AlreadyThere: "Already there",
}

// writeWorkbook writes a workbook with a sheet a wave, after one that says what
// it is. Rows are streamed; a wave of more than rows of them goes on in a
// further sheet.
func writeWorkbook(w io.Writer, plan *Plan, rows int, in lang.Language) (err error) {
	book := excelize.NewFile()
	defer func() {
		if closed := book.Close(); err == nil {
			err = closed
		}
	}()
	bold, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Color: []string{"E8EDF3"}, Pattern: 1}})
	if err != nil {
		return err
	}
	wrap, err := book.NewStyle(&excelize.Style{Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}})
	if err != nil {
		return err
	}
	if err := book.SetSheetName("Sheet1", in.Say("Plan")); err != nil {
		return err
	}
	if err := writeCover(book, plan, bold, wrap, in); err != nil {
		return err
	}
	for _, wave := range plan.Waves {
		if err := writeSheets(book, wave, rows, bold, wrap, in); err != nil {
			return err
		}
	}
	return book.Write(w)
}

// writeSheets writes the sheets of a wave.
func writeSheets(book *excelize.File, wave *Wave, rows, bold, wrap int, in lang.Language) error {
	next, stop := iter.Pull(wave.Items)
	defer stop()
	for left, part := wave.Instances, 1; left > 0; left, part = left-rows, part+1 {
		name := in.Say(sheetNames[wave.ID])
		if part > 1 {
			name = fmt.Sprintf("%s (%d)", name, part)
		}
		s := sheet{book: book, wave: wave, name: name, bold: bold, wrap: wrap, in: in}
		if err := s.write(next, min(left, rows)); err != nil {
			return fmt.Errorf("sheet %s: %w", name, err)
		}
	}
	return nil
}

// writeCover says what the workbook is about.
func writeCover(book *excelize.File, plan *Plan, bold, wrap int, in lang.Language) error {
	out, err := book.NewStreamWriter(in.Say("Plan"))
	if err != nil {
		return err
	}
	if err := out.SetColWidth(1, 1, 28); err != nil {
		return err
	}
	if err := out.SetColWidth(2, 3, 70); err != nil {
		return err
	}
	owner := plan.Owner
	if owner == "" {
		owner = in.Say("all")
	}
	lines := [][]any{
		{in.Say("Migration plan to"), report.Clean(plan.Target)},
		{in.Say("Owner"), owner},
		{in.Say("Made"), report.Moment(plan.MadeAt)},
		{in.Say("Rules"), report.Clean(plan.Ruleset)},
		{in.Say("Records"), in.Say(plan.Completeness)},
		{in.Say("Availability"), report.Clean(in.Say(plan.Availability.Words()))},
		{in.Say("Disks"), report.Clean(in.Say(cmp.Or(plan.Disks.Words(), "they were not asked for; --disks asks")))},
		{in.Say("Offered change"), report.Clean(in.Say(cmp.Or(plan.Offered.Words(), "nobody asked whether they are offered; --offered asks")))},
		{in.Say("Instances"), plan.Instances},
		{},
		{in.Say("Wave"), in.Say("What it is"), in.Say("Instances")},
	}
	head := len(lines) - 1
	for _, wave := range plan.Waves {
		lines = append(lines, []any{in.Say(wave.Title), in.Say(wave.What), wave.Instances})
	}
	for i, line := range lines {
		for c := range line {
			style := wrap
			if c == 0 || i == head {
				style = bold
			}
			line[c] = excelize.Cell{StyleID: style, Value: line[c]}
		}
		if err := out.SetRow(fmt.Sprintf("A%d", i+1), line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// sheet is one sheet of a wave.
type sheet struct {
	book       *excelize.File
	wave       *Wave
	name       string
	bold, wrap int
	in         lang.Language
}

// write writes the next n items.
func (s *sheet) write(next func() (*Item, bool), n int) error {
	if _, err := s.book.NewSheet(s.name); err != nil {
		return err
	}
	out, err := s.book.NewStreamWriter(s.name)
	if err != nil {
		return err
	}
	head := make([]any, len(sheetHead))
	for i, c := range sheetHead {
		if err := out.SetColWidth(i+1, i+1, c.width); err != nil {
			return err
		}
		head[i] = excelize.Cell{StyleID: s.bold, Value: s.in.Say(c.title)}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, XSplit: 1, YSplit: 1, TopLeftCell: "B2", ActivePane: "bottomRight"}); err != nil {
		return err
	}
	if err := out.SetRow("A1", head); err != nil {
		return err
	}
	steps := map[string]string{}
	for i := range n {
		it, ok := next()
		if !ok {
			return fmt.Errorf("%d of %d instances came", i, n)
		}
		if err := out.SetRow(fmt.Sprintf("A%d", i+2), s.row(it, steps)); err != nil {
			return err
		}
	}
	done, err := excelize.ColumnNumberToName(len(sheetHead))
	if err != nil {
		return err
	}
	choice := excelize.NewDataValidation(true)
	choice.SetSqref(fmt.Sprintf("%s2:%s%d", done, done, n+1))
	if err := choice.SetDropList([]string{s.in.Say("no"), s.in.Say("yes")}); err != nil {
		return err
	}
	if err := s.book.AddDataValidation(s.name, choice); err != nil {
		return err
	}
	if err := s.book.AutoFilter(s.name, fmt.Sprintf("A1:%s%d", done, n+1), nil); err != nil {
		return err
	}
	return out.Flush()
}

// row is what sheetHead says of an item. steps are texts that are made already.
func (s *sheet) row(it *Item, steps map[string]string) []any {
	key := strings.Join(it.Solutions, "\n")
	what, ok := steps[key]
	if !ok {
		what = s.wave.steps(it, s.in)
		steps[key] = what
	}
	if alternatives := strings.Join(report.SayAll(s.in, it.Alternatives), s.in.Say(", or ")); alternatives != "" {
		what = strings.TrimSpace(what + "\n" + s.in.Say("Or:") + " " + alternatives)
	}
	why := it.Reason
	if it.Question != "" {
		why = it.Question
	}
	done := "no"
	if s.wave.ID == waves.AlreadyThere {
		done = "yes"
	}
	texts := []string{
		it.InstanceID, it.InstanceName, it.Account, it.place(), it.Status, s.in.Say(it.OS), it.CurrentType, s.in.Say(it.Verdict), s.in.Say(why), what, numbered(report.SayAll(s.in, it.Checklist), "\n"), DiskText(it.Disks, s.in), OfferedText(it.Offered, s.in),
		it.Replacement.Type, s.in.Say(it.Replacement.Why), s.in.Say(string(it.Path)), s.in.Say(it.PathNote), choiceText(sayChoice(s.in, it.Fallback)), it.Window, s.in.Say(it.Note), s.in.Say(done),
	}
	cells := make([]any, len(texts))
	for i, text := range texts {
		cells[i] = excelize.Cell{StyleID: s.wrap, Value: cellText(text)}
	}
	return cells
}

// steps are the solutions of an item with their steps, one below the other.
func (w *Wave) steps(it *Item, in lang.Language) string {
	var lines []string
	for _, name := range it.Solutions {
		lines = append(lines, in.Say(name))
		if s := w.solution(name); s != nil {
			lines = append(lines, numbered(report.SayAll(in, s.Steps), "\n"))
		}
	}
	return strings.Join(lines, "\n")
}

// sayChoice is a choice with its reason in the language.
func sayChoice(in lang.Language, c Choice) Choice {
	c.Why = in.Say(c.Why)
	return c
}

// cellText is what a cell takes: lines without control characters. What is
// longer than a cell may be is cut where it is written.
func cellText(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = report.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
