package main

import (
	"slices"
	"testing"
	"time"
)

// Of a package whose tests leave out one boundary, that one lives; what nothing
// reaches and what cannot be noticed is told apart from it.
func TestWhatTestsLeaveOutLives(t *testing.T) {
	var got []string
	counts, err := run("testdata/sample", "testdata/sample", "", time.Minute, "internal/tools/mutants/testdata/sample\tSize\tboundary\ta > b\tequal numbers are the same\n", func(result string, m *mutant) {
		if result != "killed" {
			got = append(got, result+" "+m.function+" "+m.kind+" "+m.text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"lived Grade boundary n < high", "lived Sum boundary value > 0",
		"explained Size boundary a > b", "unreached Never arithmetic a - b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if counts["lived"] != 2 || counts["killed"] != 10 || counts["explained"] != 1 || counts["unreached"] != 1 {
		t.Errorf("%v", counts)
	}
}
