package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = "testdata/sample"

// Of a package whose tests leave out one boundary, that one lives; what nothing
// reaches and what cannot be noticed is told apart from it.
func TestWhatTestsLeaveOutLives(t *testing.T) {
	explained := "internal/tools/mutants/testdata/sample\tSize\tboundary\ta > b\tequal numbers are the same\n"
	got, summary := try(t, options{most: time.Minute, tests: []string{sample}, explained: explained})
	want := []string{
		"lived Grade boundary n < high", "lived Sum boundary value > 0",
		"explained Size boundary a > b", "unreached Never arithmetic a - b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	counts := summary.counts
	if counts["lived"] != 2 || counts["killed"] != 10 || counts["explained"] != 1 || counts["unreached"] != 1 || !summary.broken() || len(summary.stale) > 0 {
		t.Errorf("%+v", summary)
	}
}

// What the tests of one folder do not notice is tried with those of the next.
func TestTestsOfAnotherFolderCount(t *testing.T) {
	got, _ := try(t, options{most: time.Minute, tests: []string{sample, "testdata/sampletest"}})
	want := []string{"lived Sum boundary value > 0", "lived Size boundary a > b", "unreached Never arithmetic a - b"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// What was found out is kept, and only what was not noticed is tried again.
func TestAStoppedRunGoesOn(t *testing.T) {
	folder := t.TempDir()
	first, _ := try(t, options{most: time.Minute, tests: []string{sample}, results: folder})
	kept := filepath.Join(folder, "testdata-sample.tsv")
	lines := readLines(t, kept)
	if len(lines) != 14 {
		t.Fatalf("%d changes are kept: %q", len(lines), lines)
	}
	for i, line := range lines {
		if result, rest, _ := strings.Cut(line, "\t"); result == "killed" && strings.Contains(line, "Size") {
			lines[i] = "stopped\t" + rest // as a mark that it is not tried again
		}
	}
	// The last two were not reached before the run was stopped.
	if err := os.WriteFile(kept, []byte(strings.Join(lines[:12], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	second, _ := try(t, options{most: time.Minute, tests: []string{sample}, results: folder})
	unmarked := slices.DeleteFunc(slices.Clone(second), func(line string) bool { return strings.HasPrefix(line, "stopped") })
	if !slices.Equal(unmarked, first) || len(readLines(t, kept)) != 14 {
		t.Errorf("%q\nfirst %q", second, first)
	}
	third, _ := try(t, options{most: time.Minute, tests: []string{"testdata/sampletest"}, results: folder, retry: true})
	if slices.Contains(third, "lived Grade boundary n < high") || len(third) != len(second)-1 {
		t.Errorf("%q after another test was written, before %q", third, second)
	}
}

// A reason for what a test notices is out of date.
func TestAReasonThatIsOutOfDateIsNamed(t *testing.T) {
	explained := "testdata/sample\tSize\topposite\ta > b\tit does not matter\n" + "testdata/sample\tGone\topposite\ta > b\tit does not matter\n" +
		"testdata/other\tSize\topposite\ta > b\tof another package\n"
	_, summary := try(t, options{most: time.Minute, tests: []string{sample}, explained: explained})
	if want := []string{"Gone\topposite\ta > b", "Size\topposite\ta > b"}; !slices.Equal(summary.stale, want) {
		t.Errorf("%q, want %q", summary.stale, want)
	}
}

// Tests that do not end are ended by the CPU time that they take, and what takes more
// and more memory has a bound, whatever shell the machine has.
func TestTestsRunUnderLimits(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "tests")
	if err := os.WriteFile(bin, []byte("#!/bin/sh\nulimit -t\nulimit -v\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &suite{bin: bin}
	did, err := s.run(test{cpu: 3 * time.Second}, []string{"TestX"})
	if err != nil || did.said != "50\n64000000\n" {
		t.Errorf("%q, %v", did.said, err)
	}
}

// The tables that are kept with this tool can be read, and speak of packages that are there.
func TestTables(t *testing.T) {
	known, err := claims(packagesTable)
	if err != nil {
		t.Fatal(err)
	}
	for folder, claim := range known {
		for _, dir := range append(claim.tests, folder) {
			if _, err := os.Stat(filepath.Join("../../..", dir)); err != nil {
				t.Error(err)
			}
		}
	}
	for line := range strings.Lines(explained) {
		part := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(part) != 5 || len(part[4]) < 20 {
			t.Errorf("explained.tsv: %q is not a package, a function, a kind, a text and a reason", line)
			continue
		}
		if _, ok := known[part[0]]; !ok {
			t.Errorf("explained.tsv explains %s, which packages.tsv does not name", part[0])
		}
	}
	if _, err := claims("rules\trules\tperhaps\n"); err == nil {
		t.Error("a claim that is none was read")
	}
}

func try(t *testing.T, opts options) (unkilled []string, out *summary) {
	t.Helper()
	out, err := run(sample, opts, func(result string, m *mutant) {
		if result != "killed" {
			unkilled = append(unkilled, result+" "+m.function+" "+m.kind+" "+m.text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return unkilled, out
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}
