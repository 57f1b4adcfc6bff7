package report

import (
	"io"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
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

// paint wraps s in the style's escape sequence when color is on.
func paint(text string, style Style, color bool) string {
	if !color || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}

// Cell is one cell of a text table. Its text is cleaned when it is written.
type Cell struct {
	Text  string
	Style Style
	Right bool // aligned to the right
	// Tail is the end of Text that stays to be seen where Text is cut.
	Tail string
	// Brief stands for Text where the table would not fit otherwise.
	Brief string
}

// Head are the titles of columns; one that ends in ":" is of numbers.
func Head(titles ...string) []Cell {
	cells := make([]Cell, len(titles))
	for i, title := range titles {
		cells[i].Text, cells[i].Right = strings.CutSuffix(title, ":")
	}
	return cells
}

// Figure is a cell of a number.
func Figure(n int) Cell { return Cell{Text: Number(n), Right: true} }

// leastHead is how many columns of what goes before the tail are seen.
const leastHead = 4

// fitted is the text in at most n columns.
func (c *Cell) fitted(n int) string {
	head, ok := strings.CutSuffix(c.Text, c.Tail)
	if c.Tail == "" || !ok || Width(c.Text) <= n || Width(c.Tail)+leastHead > n {
		return Short(c.Text, n)
	}
	return Short(head, n-Width(c.Tail)) + c.Tail
}

// TextTable is a table for a terminal: columns as wide as their widest cell,
// some of them cut when the line would not fit, and where that is not enough
// each row as a few lines in which every cell is named.
type TextTable struct {
	Head []Cell
	Rows [][]Cell
	// Shrink names the columns that may be cut, most expendable first.
	Shrink []int
	Indent int
	// In is the language of the titles; rows are in it already.
	In    lang.Language
	Below []Below
}

// Below is a text under a row.
type Below struct {
	Row  int // index into Rows
	Text string
}

// tableGap separates columns.
const tableGap = 2

// minColumn is the narrowest that a shrunk column gets.
const minColumn = 8

// Write writes the table in at most width columns; 0 is without a limit.
func (t *TextTable) Write(w io.Writer, width int, color bool) error {
	head, rows := t.cleaned()
	gap := tableGap
	widths, fits := t.widths(head, rows, width, gap)
	if !fits {
		brief(rows)
		gap = 1
		widths, fits = t.widths(head, rows, width, gap)
	}
	var text strings.Builder
	if fits && t.Head != nil {
		t.writeRow(&text, head, widths, gap, color)
	}
	for index, row := range rows {
		if fits {
			t.writeRow(&text, row, widths, gap, color)
		} else {
			t.writeStacked(&text, head, row, width, color)
		}
		t.writeBelow(&text, index, width, color)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// writeRow writes a row as columns.
func (t *TextTable) writeRow(builder *strings.Builder, row []Cell, widths []int, gap int, color bool) {
	var line strings.Builder
	line.WriteString(strings.Repeat(" ", t.Indent))
	for c, cell := range row {
		text := cell.fitted(widths[c])
		pad := strings.Repeat(" ", max(0, widths[c]-Width(text)))
		painted := paint(text, cell.Style, color)
		if cell.Right {
			painted = pad + painted
		} else {
			painted += pad
		}
		line.WriteString(painted + strings.Repeat(" ", gap))
	}
	builder.WriteString(strings.TrimRight(line.String(), " "))
	builder.WriteByte('\n')
}

// writeStacked writes a row as its first cell and then each of the others behind the
// title of its column, on as many lines as that takes.
func (t *TextTable) writeStacked(text *strings.Builder, head, row []Cell, width int, color bool) {
	lead := strings.Repeat(" ", t.Indent)
	hang := lead + "  "
	line, used, empty := lead, t.Indent, true
	if len(row) > 0 && row[0].Text == "" { // it goes on from the row above
		line, used = hang, len(hang)
	}
	for column, cell := range row {
		if cell.Text == "" {
			continue
		}
		title := ""
		if column > 0 && column < len(head) && head[column].Text != "" {
			title = strings.ToLower(head[column].Text) + " "
		}
		parts := Wrap(cell.Text, max(width-len(hang)-Width(title), minColumn))
		size := Width(title) + Width(parts[0])
		switch {
		case empty:
		case used+tableGap+size > width || len(parts) > 1:
			text.WriteString(line + "\n")
			line, used = hang, len(hang)
		default:
			line, used = line+strings.Repeat(" ", tableGap), used+tableGap
		}
		line, used, empty = line+paint(title, Dim, color)+paint(parts[0], cell.Style, color), used+size, false
		for _, part := range parts[1:] {
			text.WriteString(line + "\n")
			line, used = hang+strings.Repeat(" ", Width(title))+paint(part, cell.Style, color), width
		}
	}
	text.WriteString(line + "\n")
}

// brief puts the brief texts of cells in the place of the long ones.
func brief(rows [][]Cell) {
	for _, row := range rows {
		for c := range row {
			if row[c].Brief != "" {
				row[c].Text = Short(row[c].Brief, 400)
			}
		}
	}
}

// writeBelow writes the lines that belong under the i-th row.
func (t *TextTable) writeBelow(builder *strings.Builder, i, width int, color bool) {
	for _, line := range t.Below {
		if line.Row == i {
			lead := strings.Repeat(" ", t.Indent+2)
			for n, text := range Wrap(Short(line.Text, 600), width-t.Indent-4) {
				builder.WriteString(lead + indent(n) + paint(text, Dim, color) + "\n")
			}
		}
	}
}

// cleaned returns head and rows with safe texts.
func (t *TextTable) cleaned() (head []Cell, rows [][]Cell) {
	for _, title := range t.Head {
		head = append(head, Cell{Text: Short(t.In.Say(title.Text), 400), Style: Dim, Right: title.Right})
	}
	for _, row := range t.Rows {
		safe := slices.Clone(row)
		for c := range safe {
			safe[c].Text, safe[c].Tail = Short(safe[c].Text, 400), Clean(safe[c].Tail)
		}
		rows = append(rows, safe)
	}
	return head, rows
}

// widths are those of the columns in width columns altogether, and whether they
// are no more than that.
func (t *TextTable) widths(head []Cell, rows [][]Cell, width, gap int) ([]int, bool) {
	var widths, least []int
	widen := func(column, to, atLeast int) {
		if column == len(widths) {
			widths, least = append(widths, 0), append(least, minColumn)
		}
		widths[column], least[column] = max(widths[column], to), max(least[column], atLeast)
	}
	for column, cell := range head {
		widen(column, Width(cell.Text), Width(cell.Text))
	}
	for _, row := range rows {
		for column, cell := range row {
			tail := 0
			if cell.Tail != "" {
				tail = Width(cell.Tail) + leastHead
			}
			widen(column, Width(cell.Text), tail)
		}
	}
	if width <= 0 {
		return widths, true
	}
	over := t.Indent - gap - width
	for _, w := range widths {
		over += w + gap
	}
	for _, column := range t.Shrink {
		if over <= 0 {
			break
		}
		if column >= len(widths) {
			continue
		}
		cut := min(over, max(0, widths[column]-least[column]))
		widths[column] -= cut
		over -= cut
	}
	return widths, over <= 0
}

// Wrap breaks text at spaces, and between Chinese characters, into lines of at
// most width columns; a word that is longer stands alone. 0 is without a limit.
func Wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(Clean(text)) {
		gap := " "
		for _, part := range breakable(word) {
			size := Width(part)
			switch {
			case line == "":
				line, used = part, size
			case width <= 0 || used+len(gap)+size <= width:
				line, used = line+gap+part, used+len(gap)+size
			default:
				lines = append(lines, line)
				line, used = part, size
			}
			gap = ""
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// The marks that a line of Chinese does not begin or end with.
const (
	notFirst = "，。；：？！、）”》…,.;:?!)%"
	notLast  = "（“《("
)

// breakable is a word in the parts between which a line may break: before and
// after each wide character, but for its marks.
func breakable(word string) []string {
	if plain(word) == len(word) {
		return []string{word}
	}
	var out []string
	glued, wasWide := true, false
	for _, char := range word {
		wide := runeWidth(char) == 2
		if !glued && (wide || wasWide) && !strings.ContainsRune(notFirst, char) {
			out = append(out, "")
		}
		if len(out) == 0 {
			out = append(out, "")
		}
		out[len(out)-1] += string(char)
		glued, wasWide = strings.ContainsRune(notLast, char), wide || wasWide && runeWidth(char) == 0
	}
	return out
}

// Hung is text in lines of at most width columns: lead stands before the first,
// as many spaces before the others. 0 is without a limit: one line.
func Hung(lead, text string, width int) string {
	text = Clean(text)
	room := max(width-Width(lead), minColumn)
	if width <= 0 || Width(text) <= room {
		return lead + text + "\n"
	}
	rest := strings.Repeat(" ", Width(lead))
	return lead + strings.Join(Wrap(text, room), "\n"+rest) + "\n"
}

// VersionTail is the end of a system's name that says which version it is, from
// the first word that begins with a digit: what stays where the name is cut.
func VersionTail(name string) string {
	for i := 1; i < len(name); i++ {
		if name[i-1] == ' ' && name[i] >= '0' && name[i] <= '9' {
			return name[i-1:]
		}
	}
	return ""
}
