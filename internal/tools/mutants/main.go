// Mutants changes one comparison, operator, branch or loop of a package at a
// time and tells which changes the package's own tests do not notice.
//
// All changes are compiled into one test binary and an environment variable
// switches one of them on, so that a change costs a run of the tests that reach
// it and no compilation. What it tells in the end: killed (a test failed), lived
// (none did), stopped (the tests did not end), unreached (no test gets there),
// and explained (it lived, and explained.tsv says why nothing can notice it).
package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed explained.tsv
var explained string

// switches is the file that goes into the package beside its changed files.
//
//go:embed switches.go.txt
var switches string

func main() {
	only := flag.String("only", "", "a regular expression: change only the files whose names match")
	most := flag.Duration("most", time.Minute, "how long the tests of one change may take, by what they take without it; it lived where that is over")
	tests := flag.String("tests", "", "folder whose tests are run, where they are not those of FOLDER")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutants [-only REGEXP] [-most DURATION] [-tests FOLDER] FOLDER")
		os.Exit(2)
	}
	counts, err := run(flag.Arg(0), cmp.Or(*tests, flag.Arg(0)), *only, *most, explained, func(result string, m *mutant) {
		if result == "lived" || result == "unreached" {
			fmt.Printf("%-9s %s:%d:%d %s in %s: %s\n", result, m.file, m.line, m.column, m.kind, m.function, m.text)
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	noticed := counts["killed"] + counts["stopped"]
	tried := noticed + counts["lived"]
	fmt.Printf("%s: %d of %d changes noticed (%.1f %%): %d killed, %d stopped, %d lived; besides %d explained, %d unreached, %d not compiled\n", flag.Arg(0),
		noticed, tried, 100*float64(noticed)/float64(max(tried, 1)), counts["killed"], counts["stopped"], counts["lived"], counts["explained"], counts["unreached"], counts["not compiled"])
	if counts["lived"] > 0 {
		os.Exit(1)
	}
}

// run tries every change, says what came of each, and counts.
func run(dir, tests, only string, most time.Duration, explained string, say func(string, *mutant)) (counts map[string]int, err error) {
	pkg, err := load(dir, only)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	suite := &suite{dir: tests, bin: filepath.Join(work, "package.test"), work: work, most: most}
	dropped, err := suite.build(pkg)
	if err != nil {
		return nil, err
	}
	if err := suite.reach(); err != nil {
		return nil, err
	}
	why := reasons(explained, pkg.path)
	counts = map[string]int{"not compiled": dropped}
	for _, m := range pkg.mutants {
		if m.dropped {
			continue
		}
		result, err := suite.try(m)
		if err != nil {
			return nil, err
		}
		if result == "lived" && why[m.key()] {
			result = "explained"
		}
		counts[result]++
		say(result, m)
	}
	return counts, nil
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

// test is a test function with what it reaches and how long it takes alone.
type test struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// suite is the test binary of a package with all changes in it.
type suite struct {
	dir, bin, work string
	most           time.Duration
	tests          []test // the fastest first
}

// build compiles the binary. Changes that do not compile are dropped.
func (s *suite) build(pkg *source) (dropped int, err error) {
	for range 20 {
		overlay := map[string]string{}
		for name, text := range pkg.files() {
			path := filepath.Join(s.work, name)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return 0, err
			}
			overlay[filepath.Join(pkg.dir, name)] = path
		}
		spec, err := json.Marshal(map[string]any{"Replace": overlay})
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(s.work, "overlay.json"), spec, 0o600); err != nil {
			return 0, err
		}
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", filepath.Join(s.work, "overlay.json"), "-o", s.bin, ".")
		cmd.Dir = s.dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			return dropped, nil
		}
		n := pkg.drop(string(out))
		if n == 0 {
			return 0, fmt.Errorf("compile the tests of %s: %w\n%s", pkg.path, err, out)
		}
		dropped += n
	}
	return 0, fmt.Errorf("the changes of %s do not compile", pkg.path)
}

// reach runs each test alone to see which changes it reaches.
func (s *suite) reach() error {
	cmd := exec.Command(s.bin, "-test.list", "^(Test|Fuzz|Example)")
	cmd.Dir = s.dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the tests: %w", err)
	}
	hits := filepath.Join(s.work, "hits")
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if err := os.WriteFile(hits, nil, 0o600); err != nil {
			return err
		}
		began := time.Now()
		if result, said, err := s.run(5*time.Minute, []string{name}, "MUTANT_HITS="+hits); err != nil || result != "" {
			return errors.Join(fmt.Errorf("%s fails without a change\n%s", name, said), err)
		}
		t := test{name: name, took: time.Since(began), reaches: map[int]bool{}}
		data, err := os.ReadFile(hits)
		if err != nil {
			return err
		}
		for word := range strings.FieldsSeq(string(data)) {
			if id, err := strconv.Atoi(word); err == nil {
				t.reaches[id] = true
			}
		}
		s.tests = append(s.tests, t)
	}
	slices.SortFunc(s.tests, func(a, b test) int { return cmp.Compare(a.took, b.took) })
	return nil
}

// run runs tests by their names. They may take many times as long as they take
// without a change, and as much CPU and memory as keeps the machine usable.
func (s *suite) run(planned time.Duration, names []string, env ...string) (result, said string, err error) {
	limits := fmt.Sprintf(`ulimit -t %d -v 16000000; exec "$0" "$@"`, 10+8*int(planned.Seconds()))
	cmd := exec.Command("sh", "-c", limits, s.bin, "-test.failfast", "-test.short", "-test.timeout", (30*time.Second + 10*planned).String(), "-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return "", "", nil
	case !failed:
		return "", "", err
	case exit.ExitCode() < 0 || bytes.Contains(out, []byte("panic: test timed out")):
		return "stopped", string(out), nil
	}
	return "killed", string(out), nil
}

// try switches one change on and runs the tests that reach it, those that take
// no time together and first.
func (s *suite) try(m *mutant) (string, error) {
	var names []string
	var planned, whole time.Duration
	reached := false
	flush := func() (string, error) {
		if len(names) == 0 {
			return "", nil
		}
		result, _, err := s.run(planned, names, "MUTANT="+strconv.Itoa(m.id))
		names, planned = nil, 0
		return result, err
	}
	for i := range s.tests {
		t := &s.tests[i]
		if !t.reaches[m.id] {
			continue
		}
		reached = true
		if whole += t.took; whole > s.most && whole > t.took {
			break
		}
		if planned > 0 && planned+t.took > time.Second/2 {
			if result, err := flush(); result != "" || err != nil {
				return result, err
			}
		}
		names, planned = append(names, t.name), planned+t.took
	}
	if result, err := flush(); result != "" || err != nil {
		return result, err
	}
	if !reached {
		return "unreached", nil
	}
	return "lived", nil
}
