// Mutants changes one comparison, operator, branch or loop of a package at a
// time and tells which changes the tests do not notice.
//
// All changes are compiled into one test binary and an environment variable
// switches one of them on, so that a change costs a run of the tests that reach
// it and no compilation. What it tells in the end: killed (a test failed),
// stopped (the tests did not end), lived (none noticed), unreached (no test gets
// there), and explained (none noticed, and explained.tsv says why nothing can).
//
// packages.tsv names the packages that are held to it. It fails where a package
// that claims to have no unexplained survivor has one.
package main

import (
	"cmp"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed explained.tsv
var explained string

//go:embed packages.tsv
var packagesTable string

// options are the settings of a run.
type options struct {
	only      string        // regular expression of the names of the files that are changed
	most      time.Duration // CPU time of the tests of one change without it
	tests     []string      // folders whose tests are run, those of the next one only for what lived
	which     string        // regular expression of the names of the tests
	results   string        // folder that keeps what was found out; empty: nothing is kept
	retry     bool          // what is kept as unnoticed is tried again
	explained string        // lines of explained.tsv
}

func main() {
	opts := options{explained: explained}
	flag.StringVar(&opts.only, "only", "", "a regular expression: change only the files whose names match")
	flag.DurationVar(&opts.most, "most", time.Minute, "CPU time that the tests of one change may take, by what they take without it; it lived where that is over")
	tests := flag.String("tests", "", "folders, by commas, whose tests are run, where they are not those of packages.tsv")
	flag.StringVar(&opts.which, "run", "", "a regular expression: run only the tests whose names match, such as those that were written for what lived")
	flag.StringVar(&opts.results, "results", "", "folder that keeps what was found out of each change, so that a stopped run goes on; empty it when the code changed")
	flag.BoolVar(&opts.retry, "retry", false, "try again what -results says was not noticed, with the tests that there are now")
	flag.Parse()
	known, err := claims(packagesTable)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	folders := flag.Args()
	if len(folders) == 0 {
		for _, folder := range slices.Sorted(maps.Keys(known)) {
			if known[folder].none {
				folders = append(folders, folder)
			}
		}
	}
	broken := 0
	for _, folder := range folders {
		folder = filepath.ToSlash(filepath.Clean(folder))
		claim := known[folder]
		opts.tests = claim.tests
		if *tests != "" {
			opts.tests = strings.Split(*tests, ",")
		}
		if len(opts.tests) == 0 {
			opts.tests = []string{folder}
		}
		summary, err := run(folder, opts, func(result string, m *mutant) {
			if unnoticed(result) {
				fmt.Println(describe(result, m))
			}
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(2)
		}
		summary.write(os.Stdout, folder)
		if claim.none && summary.broken() {
			fmt.Printf("%s claims to have no unexplained survivor\n", folder)
			broken++
		}
	}
	if broken > 0 {
		os.Exit(1)
	}
}

func unnoticed(result string) bool { return result == "lived" || result == "unreached" }

func describe(result string, m *mutant) string {
	return fmt.Sprintf("%-9s %s:%d:%d %s in %s: %s", result, m.file, m.line, m.column, m.kind, m.function, m.text)
}

// claim is what packages.tsv says of a package.
type claim struct {
	tests []string
	none  bool // it has no unexplained survivor
}

// claims reads packages.tsv: a folder, the folders of its tests by commas, and
// "none" or "some" for its unexplained survivors.
func claims(text string) (map[string]claim, error) {
	out := map[string]claim{}
	for line := range strings.Lines(text) {
		part := strings.Split(strings.TrimSpace(line), "\t")
		if len(part) != 3 || part[2] != "none" && part[2] != "some" {
			return nil, fmt.Errorf("packages.tsv: %q is not a folder, folders of tests, and none or some", line)
		}
		out[part[0]] = claim{strings.Split(part[1], ","), part[2] == "none"}
	}
	return out, nil
}

// summary is what came of the changes of a package.
type summary struct {
	counts map[string]int
	stale  []string // lines of explained.tsv whose change is noticed, or is not there
}

func (s *summary) broken() bool {
	return s.counts["lived"]+s.counts["unreached"]+len(s.stale) > 0
}

// write tells the score of a folder in one line, and what is out of date in
// explained.tsv.
func (s *summary) write(w io.Writer, folder string) {
	noticed := s.counts["killed"] + s.counts["stopped"]
	tried := noticed + s.counts["lived"] + s.counts["unreached"]
	fmt.Fprintf(w, "%s: %d of %d changes noticed (%.1f %%): %d killed, %d stopped; unexplained survivors %d: %d lived, %d unreached; besides %d explained, %d not compiled\n",
		folder, noticed, tried, 100*float64(noticed)/float64(max(tried, 1)), s.counts["killed"], s.counts["stopped"],
		s.counts["lived"]+s.counts["unreached"], s.counts["lived"], s.counts["unreached"], s.counts["explained"], s.counts["not compiled"])
	for _, line := range s.stale {
		fmt.Fprintf(w, "explained.tsv explains what is noticed or not there: %s\n", line)
	}
}

// run tries every change, says what came of each, and counts.
func run(dir string, opts options, say func(string, *mutant)) (out *summary, err error) {
	pkg, err := load(dir, opts.only)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	kept, err := openLedger(opts.results, dir, opts.retry)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.file.Close()) }()
	var left []*mutant
	for _, m := range pkg.mutants {
		if _, ok := kept.results[m.key()]; !ok {
			left = append(left, m)
		}
	}
	for i, tests := range opts.tests {
		if len(left) == 0 {
			break
		}
		suite := &suite{dir: tests, bin: filepath.Join(work, fmt.Sprintf("package%d.test", i)), work: work, which: cmp.Or(opts.which, "^(Test|Fuzz|Example)"), most: opts.most}
		if err := suite.build(pkg); err != nil {
			return nil, err
		}
		if err := suite.reach(); err != nil {
			return nil, err
		}
		var next []*mutant
		for _, m := range left {
			result, by := "not compiled", ""
			if !m.dropped {
				if result, by, err = suite.try(m); err != nil {
					return nil, err
				}
			}
			m.reached = m.reached || result == "lived"
			if unnoticed(result) && i+1 < len(opts.tests) {
				next = append(next, m)
				continue
			}
			if m.reached && result == "unreached" {
				result = "lived"
			}
			if err := kept.add(m, result, by); err != nil {
				return nil, err
			}
		}
		left = next
	}
	return summarize(pkg, kept.results, opts, say), nil
}

// summarize counts what is known of each change, and compares it with what is explained.
func summarize(pkg *source, results map[string]string, opts options, say func(string, *mutant)) *summary {
	why := reasons(opts.explained, pkg.path)
	out := &summary{counts: map[string]int{}}
	for _, m := range pkg.mutants {
		result := results[m.key()]
		if unnoticed(result) && why[m.key()] {
			result = "explained"
			delete(why, m.key())
		}
		out.counts[result]++
		say(result, m)
	}
	if opts.only == "" {
		out.stale = slices.Sorted(maps.Keys(why))
	}
	return out
}

// reasons finds the explained changes of a package. A line is a package, a
// function, a kind, the text of the change's place, and why nothing notices it.
func reasons(explained, pkg string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(explained) {
		if part := strings.Split(strings.TrimRight(line, "\n"), "\t"); len(part) == 5 && strings.HasSuffix(pkg, "/"+part[0]) {
			out[strings.Join(part[1:4], "\t")] = true
		}
	}
	return out
}

// ledger keeps what was found out of each change, a line each: the result, the
// test that noticed, the place, and the change's key.
type ledger struct {
	results map[string]string
	file    *os.File
}

func openLedger(folder, pkg string, retry bool) (*ledger, error) {
	out := &ledger{results: map[string]string{}}
	path := os.DevNull
	if folder != "" {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		path = filepath.Join(folder, strings.ReplaceAll(filepath.ToSlash(filepath.Clean(pkg)), "/", "-")+".tsv")
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimRight(line, "\n"), "\t", 4)
		if len(part) != 4 {
			return nil, fmt.Errorf("%s: %q is no result of a change", path, line)
		}
		out.results[part[3]] = part[0] // of two lines the later one counts
	}
	if retry {
		maps.DeleteFunc(out.results, func(_, result string) bool { return unnoticed(result) })
	}
	out.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return out, err
}

func (l *ledger) add(m *mutant, result, by string) error {
	l.results[m.key()] = result
	_, err := fmt.Fprintf(l.file, "%s\t%s\t%s:%d:%d\t%s\n", result, cmp.Or(by, "-"), m.file, m.line, m.column, m.key())
	return err
}
