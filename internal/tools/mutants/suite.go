package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// switches is the file that goes into the package beside its changed files.
//
//go:embed switches.go.txt
var switches string

// test is a test function with what it reaches and what it takes alone. Of CPU
// and of the clock: what is waited for, or lost to other work on the machine, is
// only in the second.
type test struct {
	name       string
	cpu, clock time.Duration
	reaches    map[int]bool
}

// suite is the test binary of a folder with all changes of the package in it.
type suite struct {
	dir, bin, work string
	which          string // regular expression of the names of the tests
	most           time.Duration
	tests          []test // those that take the least CPU first
}

// build compiles the binary. Changes that do not compile are dropped. Tests of what
// only the unchanged program has, such as its allocations, leave themselves out by
// the build tag "mutants".
func (s *suite) build(pkg *source) error {
	for range 20 {
		overlay := map[string]string{}
		for name, text := range pkg.files() {
			path := filepath.Join(s.work, name)
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
			overlay[filepath.Join(pkg.dir, name)] = path
		}
		spec, err := json.Marshal(map[string]any{"Replace": overlay})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.work, "overlay.json"), spec, 0o600); err != nil {
			return err
		}
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-tags=mutants", "-overlay", filepath.Join(s.work, "overlay.json"), "-o", s.bin, ".")
		cmd.Dir = s.dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if pkg.drop(string(out)) == 0 {
			return fmt.Errorf("compile the tests of %s in %s: %w\n%s", pkg.path, s.dir, err, out)
		}
	}
	return fmt.Errorf("the changes of %s do not compile", pkg.path)
}

// reach runs each test alone to see which changes it reaches.
func (s *suite) reach() error {
	cmd := exec.Command(s.bin, "-test.list", s.which)
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
		did, err := s.run(test{cpu: 5 * time.Minute, clock: 5 * time.Minute}, []string{name}, "MUTANT_HITS="+hits)
		if err != nil || did.result != "" {
			return errors.Join(fmt.Errorf("%s of %s fails without a change\n%s", name, s.dir, did.said), err)
		}
		t := test{name: name, cpu: did.cpu, clock: time.Since(began), reaches: map[int]bool{}}
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
	slices.SortFunc(s.tests, func(a, b test) int { return cmp.Compare(a.cpu, b.cpu) })
	return nil
}

// outcome is what a run of tests came to: "killed", "stopped", or nothing.
type outcome struct {
	result, said string
	cpu          time.Duration
}

// run runs tests by their names. They may take many times as long as they take
// without a change, on a machine that does other work as well, and as much CPU
// and memory as keeps it usable.
func (s *suite) run(planned test, names []string, env ...string) (outcome, error) {
	limits := fmt.Sprintf(`ulimit -t %d; ulimit -v 64000000; exec "$0" "$@"`, 20+10*int(planned.cpu.Seconds()))
	cmd := exec.Command("sh", "-c", limits, s.bin, "-test.failfast", "-test.short", "-test.timeout", (time.Minute + 10*planned.clock).String(), "-test.run", "^("+strings.Join(names, "|")+")$")
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	did := outcome{said: string(out)}
	if cmd.ProcessState != nil {
		did.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
	case !failed:
		return did, err
	case exit.ExitCode() < 0 || bytes.Contains(out, []byte("panic: test timed out")):
		did.result = "stopped"
	default:
		did.result = "killed"
	}
	return did, nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// by names the test that noticed a change: the one that failed, or those that
// ran where none says so.
func (o *outcome) by(names []string) string {
	if match := failed.FindStringSubmatch(o.said); match != nil {
		return match[1]
	}
	return strings.Join(names, "|")
}

// try switches one change on and runs the tests that reach it, those that take
// no time together and first.
func (s *suite) try(change *mutant) (result, by string, err error) {
	var names []string
	var planned test
	var whole time.Duration
	flush := func() error {
		if len(names) == 0 {
			return nil
		}
		did, err := s.run(planned, names, "MUTANT="+strconv.Itoa(change.id))
		if result = did.result; result != "" {
			by = did.by(names)
		}
		names, planned = nil, test{}
		return err
	}
	result = "unreached"
	for i := range s.tests {
		t := &s.tests[i]
		if !t.reaches[change.id] {
			continue
		}
		if whole += t.cpu; whole > s.most && whole > t.cpu {
			break
		}
		if planned.cpu > 0 && planned.cpu+t.cpu > time.Second/2 {
			if err := flush(); result != "" || err != nil {
				return result, by, err
			}
		}
		names, planned.cpu, planned.clock, result = append(names, t.name), planned.cpu+t.cpu, planned.clock+t.clock, "lived"
	}
	if len(names) > 0 {
		if err := flush(); result != "" || err != nil {
			return result, by, err
		}
		result = "lived"
	}
	return result, by, nil
}
