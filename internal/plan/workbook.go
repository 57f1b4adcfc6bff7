package plan

import (
	"cmp"
	"errors"
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

// workbook writes the sheets of a plan.
type workbook struct {
	*excelize.File

	plan       *Plan
	bold, wrap int // styles
	in         lang.Language
}

// writeWorkbook writes a workbook with a sheet a wave, after one that says what
// it is. Rows are streamed; a wave of more than rows of them goes on in a
// further sheet.
func writeWorkbook(w io.Writer, plan *Plan, rows int, in lang.Language) (err error) {
	book := &workbook{File: excelize.NewFile(), plan: plan, in: in}
	defer func() { err = errors.Join(err, book.Close()) }()
	if book.bold, err = book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Color: []string{"E8EDF3"}, Pattern: 1}}); err != nil {
		return err
	}
	if book.wrap, err = book.NewStyle(&excelize.Style{Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}}); err != nil {
		return err
	}
	if err := book.cover(); err != nil {
		return err
	}
	for _, wave := range plan.Waves {
		if err := book.sheets(wave, rows); err != nil {
			return err
		}
	}
	return book.Write(w)
}

// sheets writes the sheets of a wave.
func (b *workbook) sheets(wave *Wave, rows int) error {
	next, stop := iter.Pull(wave.Items)
	defer stop()
	for left, part := wave.Instances, 1; left > 0; left, part = left-rows, part+1 {
		name := b.in.Say(sheetNames[wave.ID])
		if part > 1 {
			name = fmt.Sprintf("%s (%d)", name, part)
		}
		if err := b.sheet(wave, name, next, min(left, rows)); err != nil {
			return fmt.Errorf("sheet %s: %w", name, err)
		}
	}
	return nil
}

// cover says what the workbook is about.
func (b *workbook) cover() error {
	say, plan := b.in.Say, b.plan
	if err := b.SetSheetName("Sheet1", say("Plan")); err != nil {
		return err
	}
	out, err := b.NewStreamWriter(say("Plan"))
	if err != nil {
		return err
	}
	if err := errors.Join(out.SetColWidth(1, 1, 28), out.SetColWidth(2, 3, 70)); err != nil {
		return err
	}
	lines := [][]any{
		{say("Migration plan to"), report.Clean(plan.Target)},
		{say("Owner"), cmp.Or(plan.Owner, say("all"))},
		{say("Made"), report.Moment(plan.MadeAt)},
		{say("Rules"), report.Clean(plan.Ruleset)},
		{say("Records"), say(plan.Completeness)},
		{say("Availability"), report.Clean(say(plan.Availability.Words()))},
		{say("Disks"), report.Clean(say(cmp.Or(plan.Disks.Words(), "they were not asked for; --disks asks")))},
		{say("Offered change"), report.Clean(say(cmp.Or(plan.Offered.Words(), "nobody asked whether they are offered; --offered asks")))},
		{say("Instances"), plan.Instances},
		{},
		{say("Wave"), say("What it is"), say("Instances")},
	}
	head := len(lines) - 1
	for _, wave := range plan.Waves {
		lines = append(lines, []any{say(wave.Title), say(wave.What), wave.Instances})
	}
	for i, line := range lines {
		for c := range line {
			style := b.wrap
			if c == 0 || i == head {
				style = b.bold
			}
			line[c] = excelize.Cell{StyleID: style, Value: line[c]}
		}
		if err := out.SetRow(fmt.Sprintf("A%d", i+1), line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// sheet writes the next n items of a wave.
func (b *workbook) sheet(wave *Wave, name string, next func() (*Item, bool), n int) error {
	if _, err := b.NewSheet(name); err != nil {
		return err
	}
	out, err := b.NewStreamWriter(name)
	if err != nil {
		return err
	}
	head := make([]any, len(sheetHead))
	for i, c := range sheetHead {
		if err := out.SetColWidth(i+1, i+1, c.width); err != nil {
			return err
		}
		head[i] = excelize.Cell{StyleID: b.bold, Value: b.in.Say(c.title)}
	}
	panes := &excelize.Panes{Freeze: true, XSplit: 1, YSplit: 1, TopLeftCell: "B2", ActivePane: "bottomRight"}
	if err := errors.Join(out.SetPanes(panes), out.SetRow("A1", head)); err != nil {
		return err
	}
	steps := map[string]string{}
	for i := range n {
		item, ok := next()
		if !ok {
			return fmt.Errorf("%d of %d instances came", i, n)
		}
		if err := out.SetRow(fmt.Sprintf("A%d", i+2), b.row(wave, item, steps)); err != nil {
			return err
		}
	}
	done, err := excelize.ColumnNumberToName(len(sheetHead))
	if err != nil {
		return err
	}
	choice := excelize.NewDataValidation(true)
	choice.SetSqref(fmt.Sprintf("%s2:%s%d", done, done, n+1))
	return errors.Join(choice.SetDropList([]string{b.in.Say("no"), b.in.Say("yes")}), b.AddDataValidation(name, choice),
		b.AutoFilter(name, fmt.Sprintf("A1:%s%d", done, n+1), nil), out.Flush())
}

// row is what sheetHead says of an item. steps are texts that are made already.
func (b *workbook) row(wave *Wave, item *Item, steps map[string]string) []any {
	say := b.in.Say
	key := strings.Join(item.Solutions, "\n")
	what, ok := steps[key]
	if !ok {
		what = wave.steps(item, b.in)
		steps[key] = what
	}
	if alternatives := strings.Join(report.SayAll(b.in, item.Alternatives), say(", or ")); alternatives != "" {
		what = strings.TrimSpace(what + "\n" + say("Or:") + " " + alternatives)
	}
	done := "no"
	if wave.ID == waves.AlreadyThere {
		done = "yes"
	}
	fallback := item.Fallback
	fallback.Why = say(fallback.Why)
	texts := []string{
		item.InstanceID, item.InstanceName, item.Account, item.place(), item.Status, say(item.OS), item.CurrentType, say(item.Verdict), say(cmp.Or(item.Question, item.Reason)), what, numbered(report.SayAll(b.in, item.Checklist), "\n"), DiskText(item.Disks, b.in), OfferedText(item.Offered, b.in),
		item.Replacement.Type, say(item.Replacement.Why), say(string(item.Path)), say(item.PathNote), choiceText(fallback), item.Window, say(item.Note), say(done),
	}
	cells := make([]any, len(texts))
	for i, text := range texts {
		cells[i] = excelize.Cell{StyleID: b.wrap, Value: cellText(text)}
	}
	return cells
}

// steps are the solutions of an item with their steps, one below the other.
func (w *Wave) steps(item *Item, in lang.Language) string {
	var lines []string
	for _, name := range item.Solutions {
		lines = append(lines, in.Say(name))
		if s := w.solution(name); s != nil {
			lines = append(lines, numbered(report.SayAll(in, s.Steps), "\n"))
		}
	}
	return strings.Join(lines, "\n")
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
