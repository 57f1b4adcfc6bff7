// Package report turns what the store holds into something a person or a
// program reads: a terminal page, JSON, JSON lines, CSV, Markdown or one
// self-contained HTML file. It reads instances as a stream and never holds a
// fleet in memory as records. It decides nothing: verdicts, counts and their
// completeness come from its caller, and everything that came from the cloud
// is shown as text, whatever it contains.
package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
)

// Format is an output format.
type Format string

// The formats that Write knows.
const (
	Table    Format = "table"
	JSON     Format = "json"
	JSONL    Format = "jsonl"
	CSV      Format = "csv"
	Markdown Format = "markdown"
	HTML     Format = "html"
)

// Formats lists every format in the order in which help texts name them.
func Formats() []Format { return []Format{Table, JSON, JSONL, CSV, HTML, Markdown} }

// ErrFormat is returned for an output format that does not exist.
var ErrFormat = errors.New("unknown output format")

// ParseFormat reads a format's name; "md" and "text" are understood too.
func ParseFormat(text string) (Format, error) {
	format := Format(strings.ToLower(strings.TrimSpace(text)))
	switch {
	case slices.Contains(Formats(), format):
		return format, nil
	case format == "md":
		return Markdown, nil
	case format == "text":
		return Table, nil
	}
	return "", fmt.Errorf("%w %q: use %s", ErrFormat, Short(text, 40), Choice(Formats()))
}

// FileFormat is the format of a file whose name ends in one that ParseFormat reads,
// or in .htm; "" where it ends in none.
func FileFormat(name string) Format {
	ending := strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	if ending == "htm" {
		return HTML
	}
	format, err := ParseFormat(ending)
	if err != nil {
		return ""
	}
	return format
}

// Names are formats as a command line spells them.
func Names(formats []Format) []string {
	names := make([]string, len(formats))
	for i, format := range formats {
		names[i] = string(format)
	}
	return names
}

// Choice names several formats as help texts do: "table, json or csv".
func Choice(formats []Format) string {
	names := Names(formats)
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Report is what is shown. Counts come from Summary; Scan, when it has an ID,
// is the scan that the report is about.
type Report struct {
	Scan     record.Scan
	Summary  record.Summary
	Failures []record.Failure
	// Evidence says what was known beyond the listing, by source, account and
	// region.
	Evidence []record.Evidence
	// Instances yields every instance, sorted by account, region and instance
	// id. It may be ranged over more than once and is left early when a format
	// has seen enough. Nil stands for no instances.
	Instances iter.Seq2[*record.Record, error]
	// Alike counts the instances by what was judged of them, which is quicker than
	// to look at each. Nil stands for Instances.
	Alike func() ([]record.Alike, error)
	// StartGroups finds the groups that start new machines. Nil stands for none.
	StartGroups func() (*record.StartGroups, error)
	Since       *Since // nil: there is nothing to compare with
	Hints       Hints
}

// Options says how to show it.
type Options struct {
	Color bool      // ANSI colours (table only)
	Width int       // columns of the terminal, 0 for 100 (table only)
	Now   time.Time // when the report is made
	Rows  int       // instances in the table, about, 0 for 250,000 (html only)
	// Compact has rows refer to a legend (json and jsonl only).
	Compact bool
	// Excel writes CSV as Excel reads it: see WriteCSV.
	Excel bool
	// Language is that of what people read; "" is English. What programs read
	// stays as it is.
	Language lang.Language
}

// Columns is how wide a text for a terminal is.
func (o Options) Columns() int {
	switch {
	case o.Width <= 0:
		return 100
	case o.Width < 40:
		return 40
	case o.Width > 160:
		return 160
	}
	return o.Width
}

// Write renders report as format. An error of w, or of the stream of instances, is
// returned and what was written until then is not a whole report.
func Write(w io.Writer, format Format, report *Report, options Options) error {
	return Writers{
		Table:    func(out *bufio.Writer) error { return writeTerminal(out, report, options) },
		JSON:     func(out *bufio.Writer) error { return writeJSON(out, report, options.Compact) },
		JSONL:    func(out *bufio.Writer) error { return writeJSONL(out, report, options.Compact) },
		CSV:      func(out *bufio.Writer) error { return writeCSV(out, report, options.Excel) },
		Markdown: func(out *bufio.Writer) error { return writeMarkdown(out, report, options) },
		HTML:     func(out *bufio.Writer) error { return writeHTML(out, report, options) },
	}.Write(w, format, "report")
}

// Writers write one thing, each in a format.
type Writers map[Format]func(*bufio.Writer) error

// Write writes the thing, which is called what, in a format. Its buffer keeps the
// first error of w, so that writers look at errors only to end early.
func (ws Writers) Write(w io.Writer, format Format, what string) error {
	write := ws[format]
	if write == nil {
		return fmt.Errorf("%w %q for the %s: use one of %v", ErrFormat, Short(string(format), 40), what, slices.Sorted(maps.Keys(ws)))
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write %s %s: %w", format, what, err)
	}
	return nil
}

// instances are those of r.Instances, none where it is nil; an error says what was
// read.
func (r *Report) instances() iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		if r.Instances == nil {
			return
		}
		for rec, err := range r.Instances {
			if err != nil {
				err = fmt.Errorf("read instances: %w", err)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}
