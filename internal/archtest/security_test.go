package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryThreatHasItsTest holds the threat model of SECURITY.md to tests that
// exist.
func TestEveryThreatHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| --- | --- | --- | --- |\n")
	if !found {
		t.Fatal("SECURITY.md has no threat model")
	}
	named := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		rows++
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test holds: %s", line)
		}
		for _, x := range tests {
			if !hasTest(t, x[1], x[2]) {
				t.Errorf("%s has no %s, which is to hold: %s", x[1], x[2], line)
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows", rows)
	}
}

func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
