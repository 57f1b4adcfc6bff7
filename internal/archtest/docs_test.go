package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A page that says which test shows something names one that is there.
func TestTheTestsThatPagesNameAreThere(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	there := map[string]bool{"TestName": true} // stands for any, in a command
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		body, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(body, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	n := 0
	for _, page := range pages {
		body, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(body), -1) {
			if n++; !there[name] {
				t.Errorf("%s names %s, which is no test", filepath.Base(page), name)
			}
		}
	}
	if n < 100 {
		t.Errorf("the pages name %d tests", n)
	}
}

// docs/METRICS.md names every metric that the code makes, and no other: dashboards
// and alerts are held to that page, so that it is the only list.
func TestThePageOfMetricsNamesEveryMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	told, seen := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(shenscan_[a-z_]+)` ").FindAllStringSubmatch(string(page), -1) {
		told[m[1]] = true
	}
	// A metric is named where it is made: whole, or without its prefix by a function of
	// the exporter that adds it.
	made := regexp.MustCompile(`(?:"shenscan_|\bdesc\(")([a-z_]+)",`)
	for _, folder := range []string{"internal/app", "producer", "sink", "workers"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			body, err := os.ReadFile(path)
			for _, m := range made.FindAllStringSubmatch(string(body), -1) {
				name := "shenscan_" + m[1]
				if !told[name] {
					t.Errorf("%s: docs/METRICS.md does not say what %s means", path, name)
				}
				seen[name] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range told {
		if !seen[name] {
			t.Errorf("docs/METRICS.md: nothing makes %s", name)
		}
	}
}
