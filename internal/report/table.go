package report

import (
	"io"
	"strings"
)

// Style is how a cell looks on a terminal with colours.
type Style string

// The styles. They repeat what the text says and never say more.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Amber  Style = "33"
	Violet Style = "35"
	Cyan   Style = "36"
)

// VerdictStyle is the style of a verdict.
func VerdictStyle(verdict string) Style {
	switch verdict {
	case "incompatible":
		return Red
	case "needs-action":
		return Amber
	case "compatible":
		return Green
	case "unknown":
		return Violet
	}
	return Plain
}

// Paint wraps s in the style's escape sequence when color is on.
func Paint(s string, style Style, color bool) string {
	if !color || style == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(style) + "m" + s + "\x1b[0m"
}

// Cell is one cell of a text table. Its text is cleaned when it is written.
type Cell struct {
	Text  string
	Style Style
	Right bool // aligned to the right
	// Tail is the end of Text that stays to be seen where Text is cut.
	Tail string
}

// fitted is the text in at most n columns.
func (c *Cell) fitted(n int) string {
	const least = 4 // columns of what goes before the tail
	head, ok := strings.CutSuffix(c.Text, c.Tail)
	if c.Tail == "" || !ok || Width(c.Text) <= n || Width(c.Tail)+least > n {
		return Short(c.Text, n)
	}
	return Short(head, n-Width(c.Tail)) + c.Tail
}

// TextTable is a table for a terminal: columns as wide as their widest cell,
// the widest column shortened when the line would not fit.
type TextTable struct {
	Head []Cell
	Rows [][]Cell
	// Shrink names the columns that may be cut, most expendable first.
	Shrink []int
	Indent int
	Below  []Below
}

// Below is a line of text under a row.
type Below struct {
	Row  int // index into Rows
	Text string
}

// tableGap separates columns.
const tableGap = 2

// minColumn is the narrowest that a shrunk column gets.
const minColumn = 8

// Write writes the table in at most width columns, if its fixed columns allow.
func (t *TextTable) Write(w io.Writer, width int, color bool) error {
	rows := t.cleaned()
	widths := t.widths(rows, width)
	var b strings.Builder
	for i, row := range rows {
		var line strings.Builder
		line.WriteString(strings.Repeat(" ", t.Indent))
		for c, cell := range row {
			text := cell.fitted(widths[c])
			pad := strings.Repeat(" ", max(0, widths[c]-Width(text)))
			style := cell.Style
			if i == 0 && t.Head != nil {
				style = Dim
			}
			painted := Paint(text, style, color)
			if cell.Right {
				painted = pad + painted
			} else {
				painted += pad
			}
			line.WriteString(painted + strings.Repeat(" ", tableGap))
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
		t.writeBelow(&b, i, width, color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeBelow writes the lines that belong under the i-th written row.
func (t *TextTable) writeBelow(b *strings.Builder, i, width int, color bool) {
	if t.Head != nil {
		i--
	}
	for _, line := range t.Below {
		if line.Row == i {
			indent := t.Indent + 2
			b.WriteString(strings.Repeat(" ", indent) + Paint(Short(line.Text, width-indent), Dim, color) + "\n")
		}
	}
}

// cleaned returns head and rows as one list with safe texts.
func (t *TextTable) cleaned() [][]Cell {
	rows := make([][]Cell, 0, len(t.Rows)+1)
	if t.Head != nil {
		rows = append(rows, t.Head)
	}
	rows = append(rows, t.Rows...)
	out := make([][]Cell, len(rows))
	for i, row := range rows {
		out[i] = make([]Cell, len(row))
		for c, cell := range row {
			cell.Text, cell.Tail = Short(cell.Text, 400), Clean(cell.Tail)
			out[i][c] = cell
		}
	}
	return out
}

func (t *TextTable) widths(rows [][]Cell, width int) []int {
	var widths []int
	for _, row := range rows {
		for c, cell := range row {
			if c == len(widths) {
				widths = append(widths, 0)
			}
			widths[c] = max(widths[c], Width(cell.Text))
		}
	}
	total := t.Indent
	for _, w := range widths {
		total += w + tableGap
	}
	over := total - tableGap - width
	for _, c := range t.Shrink {
		if over <= 0 || c >= len(widths) {
			break
		}
		cut := min(over, max(0, widths[c]-minColumn))
		widths[c] -= cut
		over -= cut
	}
	return widths
}

// Wrap breaks text at spaces into lines of at most width columns.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(Clean(text)) {
		switch {
		case line == "":
			line = word
		case Width(line)+1+Width(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
