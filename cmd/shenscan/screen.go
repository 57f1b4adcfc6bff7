package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/shenscan/shenscan/internal/report"
)

// screen is where people read: a terminal, or whatever COLUMNS says it is as
// wide as. The first error of writing stays, and nothing is written after it, so
// that callers look once.
type screen struct {
	out io.Writer
	// width is in columns; 0 where nobody reads lines of a bounded length.
	width int
	color bool
	err   error
}

// The widths that texts are made for; a narrower terminal breaks the lines.
const (
	leastColumns = 40
	mostColumns  = 160
)

// onScreen finds out how wide w is and whether it shows colours.
func onScreen(w io.Writer) *screen {
	shown := &screen{out: w}
	under := w
	if masked, ok := w.(maskWriter); ok {
		under = masked.Writer
	}
	if file, ok := under.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		shown.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			shown.width = columns
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		shown.width = n
	}
	if shown.width > 0 {
		shown.width = min(max(shown.width, leastColumns), mostColumns)
	}
	return shown
}

// say writes a text behind lead, its other lines set in as far as the first.
func (s *screen) say(lead, text string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.out, report.Hung(lead, text, s.width))
	}
}

// show writes a table.
func (s *screen) show(t *report.TextTable) {
	if s.err == nil {
		s.err = t.Write(s.out, s.width, s.color)
	}
}

// cells are those of a row of a table.
func cells(texts ...string) []report.Cell {
	out := make([]report.Cell, len(texts))
	for i, text := range texts {
		out[i].Text = text
	}
	return out
}

// helpOnScreen breaks the lines of help for a terminal that is narrower.
func helpOnScreen(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		out := cmd.OutOrStdout()
		screen := onScreen(out)
		if screen.width == 0 {
			help(cmd, args)
			return
		}
		var text strings.Builder
		cmd.SetOut(&text)
		help(cmd, args)
		cmd.SetOut(out)
		_, _ = io.WriteString(out, reflow(text.String(), screen.width))
	})
}

// reflow breaks the lines of a help text: paragraphs anew, what stands in a
// column under itself, and commands never, so that they can be copied.
func reflow(text string, width int) string {
	var builder strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for at := 0; at < len(lines); at++ {
		line := lines[at]
		body := strings.TrimLeft(line, " ")
		switch {
		case report.Width(line) <= width && (body != line || body == ""), strings.HasPrefix(body, "shenscan "):
			builder.WriteString(line + "\n")
		case body != line:
			lead, text := columns(line)
			if report.Width(lead) > width/2 {
				builder.WriteString(strings.TrimRight(lead, " ") + "\n")
				lead = strings.Repeat(" ", 10)
			}
			builder.WriteString(report.Hung(lead, text, width))
		default:
			first := at
			for at+1 < len(lines) && lines[at+1] != "" && lines[at+1][0] != ' ' {
				at++
			}
			builder.WriteString(report.Hung("", strings.Join(lines[first:at+1], " "), width))
		}
	}
	return builder.String()
}

// columns takes a line of a list apart: what is named, up to where the text about
// it begins, and that text.
func columns(line string) (lead, text string) {
	body := strings.TrimLeft(line, " ")
	margin := len(line) - len(body)
	at := strings.Index(body, "  ")
	if at < 0 {
		return line[:margin], body
	}
	text = strings.TrimLeft(body[at:], " ")
	return line[:len(line)-len(text)], text
}
