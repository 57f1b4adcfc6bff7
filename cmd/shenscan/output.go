package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/files"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// outputFlags say how results are shown.
type outputFlags struct {
	format, out, failOn string
	compact, excel      bool

	set *pflag.FlagSet // where the flags were given; nil for none
}

func (f *outputFlags) add(cmd *cobra.Command) {
	set := cmd.Flags()
	f.set = set
	f.addFormat(report.Formats())
	set.StringVar(&f.out, "out", "", "write the report to this file instead of stdout; a new file is for its owner alone")
	set.BoolVar(&f.compact, "compact", false, "json and jsonl: rows that refer to a legend of verdicts and remedies, which is printed once")
	f.addExcel(set)
	set.StringVar(&f.failOn, "fail-on", "", "exit with 3 when an instance has this verdict or a worse one on any target: compatible, needs-action, unknown or incompatible")
}

// addFormat adds the flag for one of formats.
func (f *outputFlags) addFormat(formats []report.Format) {
	f.set.StringVar(&f.format, "output", string(report.Table), report.Choice(formats)+"; default what the name of --out ends in, else table")
}

func (f *outputFlags) addExcel(set *pflag.FlagSet) {
	set.BoolVar(&f.excel, "excel", false, "csv as Excel reads it: with a byte order mark, without which it garbles Chinese, and long numbers such as account ids as text")
}

// check reads the flags' values.
func (f *outputFlags) check() (report.Format, *rules.Level, error) {
	f.implied()
	format, err := report.ParseFormat(f.format)
	if err != nil {
		return "", nil, usage(fmt.Errorf("--output: %w%s", err, app.Meant(f.format, report.Names(report.Formats()))))
	}
	if f.set != nil {
		if f.compact && format != report.JSON && format != report.JSONL && config.Typed(f.set, "compact") {
			return "", nil, usage(fmt.Errorf("--compact is for --output json and jsonl, and the output is %s", format))
		}
		if f.excel && format != report.CSV && config.Typed(f.set, "excel") {
			return "", nil, usage(fmt.Errorf("--excel is for --output csv, and the output is %s", format))
		}
	}
	if f.failOn == "" {
		return format, nil, nil
	}
	level, err := rules.ParseLevel(f.failOn)
	if err != nil {
		return "", nil, usage(fmt.Errorf("--fail-on: %w%s", err, app.Meant(f.failOn, report.Levels())))
	}
	return format, &level, nil
}

// notOneOf refuses the value of a flag that takes some words alone, and names the
// one that was meant.
func notOneOf(flag, value string, words ...string) error {
	return usage(fmt.Errorf("--%s %q is none of %s%s", flag, report.Short(value, 40), strings.Join(words, ", "), app.Meant(value, words)))
}

// implied takes the format from the name of the file, where none is named.
func (f *outputFlags) implied() {
	if f.set == nil || f.out == "" || f.set.Changed("output") {
		return
	}
	if format := report.FileFormat(f.out); format != "" {
		f.format = string(format)
	}
}

// write renders r to --out or stdout.
func (f *outputFlags) write(format report.Format, r *report.Report, stdout io.Writer) error {
	return f.writeWith(stdout, func(w io.Writer, o report.Options) error { return report.Write(w, format, r, o) })
}

// languageOf is the language that the flags of a command ask for.
func languageOf(set *pflag.FlagSet) lang.Language {
	if set == nil {
		return lang.English
	}
	name, err := set.GetString("lang")
	if err != nil {
		return lang.English
	}
	in, _ := lang.Parse(name) // it was looked at before the command began
	return in
}

// writeWith renders to --out or stdout. A file appears whole or not at all, and
// is its owner's alone where there was none.
func (f *outputFlags) writeWith(stdout io.Writer, render func(io.Writer, report.Options) error) error {
	options := report.Options{Now: time.Now(), Compact: f.compact, Excel: f.excel, Language: languageOf(f.set)}
	if f.out == "" {
		s := onScreen(stdout)
		options.Width, options.Color = s.width, s.color
		return render(stdout, options)
	}
	if err := files.Write(f.out, func(w io.Writer) error { return render(w, options) }); err != nil {
		return fmt.Errorf("write %s: %w", f.out, err)
	}
	return nil
}

// writeTable writes a table whose cells are never cut; columns that hold whole numbers
// alone stand on the right.
func writeTable(out io.Writer, head []string, rows [][]string) error {
	tab := report.TextTable{Head: cells(head...)}
	for _, row := range rows {
		tab.Rows = append(tab.Rows, cells(row...))
	}
	for column := range head {
		number := func(row []string) bool { _, err := strconv.ParseUint(row[column], 10, 64); return err == nil }
		if len(rows) == 0 || slices.ContainsFunc(rows, func(row []string) bool { return !number(row) }) {
			continue
		}
		tab.Head[column].Right = true
		for _, row := range tab.Rows {
			row[column].Right = true
		}
	}
	screen := onScreen(out)
	screen.show(&tab)
	return screen.err
}

// verdictExit is exit code 3 where --fail-on asks for it. It counts the
// instances that the report shows, on the targets that it shows.
func verdictExit(view *store.View, at *rules.Level) error {
	if at == nil {
		return nil
	}
	found, byTarget := view.AtLeast(*at)
	if found == 0 {
		return nil
	}
	sum := view.Summary()
	var each []string
	for _, target := range sum.Targets {
		if hit := byTarget[target]; hit > 0 {
			each = append(each, fmt.Sprintf("%s on %s", report.Number(hit), report.Clean(target)))
		}
	}
	return &exitError{exitFailOn, fmt.Errorf("%s of %s are %s or worse on a target: %s (--fail-on)", report.Number(found), report.Plural(sum.Instances, "instance", "instances"), *at, strings.Join(each, ", "))}
}

// unreadExit is exit code 4 where some account or region of what the store was
// asked for was not read to its end, or none ever was.
func unreadExit(summary *record.Summary) error {
	if len(summary.Scopes) == 0 {
		return &exitError{exitPartial, errors.New("nothing of what was asked for was ever read: the store knows no account or region of it; run `shenscan scan`")}
	}
	var errs []error
	bad := 0
	for i := range summary.Scopes {
		sc := &summary.Scopes[i]
		if sc.Completeness == record.ScopeComplete {
			continue
		}
		bad++
		if bad > 20 {
			continue
		}
		where := sc.Account
		if sc.Region != "" {
			where += "/" + sc.Region
		}
		if len(sc.Failures) == 0 {
			errs = append(errs, errors.New(report.Clean(where+": no scan of it has ended")))
		}
		for _, f := range sc.Failures {
			errs = append(errs, errors.New(oneLine(f)))
		}
	}
	if bad == 0 {
		return nil
	}
	if bad > 20 {
		errs = append(errs, fmt.Errorf("and %d more, listed in the report", bad-20))
	}
	what := fmt.Errorf("partial: %d of %s were not read to the end; the report is of what was read", bad, report.Plural(len(summary.Scopes), "account and region", "accounts and regions"))
	return &exitError{exitPartial, errors.Join(append([]error{what}, errs...)...)}
}

// partialExit is exit code 4, or 1 where nothing at all was read.
func partialExit(scan *record.Scan) error {
	if scan.State == record.ScanComplete {
		return nil
	}
	read, bad := 0, 0
	for _, sc := range scan.Scopes {
		if len(sc.Failures) > 0 {
			bad++
		}
		if sc.Completeness == record.ScopeComplete || sc.Pages > 0 {
			read++
		}
	}
	failures := failuresOf(scan)
	what := fmt.Errorf("scan %s ended %s: %d of %s not whole", scan.ID, scan.State, bad, report.Plural(len(scan.Scopes), "account and region is", "accounts and regions are"))
	if scan.State == record.ScanAborted {
		what = fmt.Errorf("scan %s was aborted: %s", scan.ID, scan.Reason)
	}
	errs := []error{what}
	for i, failure := range failures {
		if i == 20 {
			errs = append(errs, fmt.Errorf("and %d more, listed in the report", len(failures)-i))
			break
		}
		errs = append(errs, errors.New(oneLine(failure)))
	}
	code := exitPartial
	if read == 0 {
		code = exitFailed
	}
	return &exitError{code, errors.Join(errs...)}
}

func failuresOf(s *record.Scan) []record.Failure {
	var out []record.Failure
	for _, sc := range s.Scopes {
		out = append(out, sc.Failures...)
	}
	return out
}

func oneLine(failure record.Failure) string {
	msg := failure.Error
	where := failure.Account
	if failure.Region != "" {
		where += "/" + failure.Region
	}
	if where == "" { // it is nobody's own: the call says what failed
		where = failure.API
	}
	if where != "" {
		msg = where + ": " + msg
	}
	if failure.Mend != "" && !strings.Contains(failure.Error, failure.Mend) {
		msg += "; " + failure.Mend
	}
	return report.Clean(msg)
}

func asECS(err error) (*ecs.Error, bool) { return errors.AsType[*ecs.Error](err) }
