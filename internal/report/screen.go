package report

import (
	"bufio"
	"fmt"
	"strings"
)

// Screen writes for a terminal, in the language, the colours and the width of its
// options. Its buffer keeps the first error for whoever flushes it.
type Screen struct {
	*bufio.Writer
	Options

	width int
}

// NewScreen returns a Screen.
func NewScreen(out *bufio.Writer, options Options) *Screen {
	return &Screen{out, options, options.Columns()}
}

// Say is a sentence in the language of the reader.
func (s *Screen) Say(text string) string { return s.Language.Say(text) }

// Paint is a text in a style where colours are shown.
func (s *Screen) Paint(text string, style Style) string { return paint(text, style, s.Color) }

// Lines writes a text on as many lines as it takes, all of them indented.
func (s *Screen) Lines(indent int, text string, style Style) {
	for _, line := range Wrap(text, s.width-indent) {
		fmt.Fprintf(s, "%s%s\n", strings.Repeat(" ", indent), s.Paint(line, style))
	}
}

// Section writes a heading, with a note beside it or, where it does not fit there,
// below.
func (s *Screen) Section(title, note string) {
	title, note = s.Say(title), s.Say(note)
	fmt.Fprintf(s, "\n%s", s.Paint(strings.Join(Wrap(title, s.width), "\n"), Bold))
	if note != "" && Width(title)+2+Width(note) <= s.width {
		fmt.Fprintf(s, "  %s\n", s.Paint(note, Dim))
		return
	}
	fmt.Fprintln(s)
	s.Lines(2, note, Dim)
}

// Table writes a table, whose titles are in English.
func (s *Screen) Table(table *TextTable) {
	table.In = s.Language
	_ = table.Write(s, s.width, s.Color) // see Screen
}

// More says how many are not shown, where there are some.
func (s *Screen) More(n int, what string) {
	if n > 0 {
		s.Lines(2, s.Say(fmt.Sprintf("and %s %s", Number(n), what)), Dim)
	}
}
