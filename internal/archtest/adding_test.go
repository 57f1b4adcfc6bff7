package archtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// addingRow is a row of a table in docs/ADDING.md: file, word.
var addingRow = regexp.MustCompile("^\\| ([^ |]+) \\| `([^`]+)` \\|")

// addingPath is a file or folder that the text of docs/ADDING.md names, from the top
// of the repository.
var addingPath = regexp.MustCompile("`((?:cmd|deploy|docs|internal|rules|sink|workers)/[\\w./-]+)`")

// The recipes of docs/ADDING.md name every place of their examples: somebody
// who follows one and misses nothing in it has missed nothing at all.
func TestRecipesNameEveryPlace(t *testing.T) {
	const root = "../.."
	doc, err := os.ReadFile(filepath.Join(root, "docs/ADDING.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]map[string]bool{} // word: files
	for line := range strings.Lines(string(doc)) {
		if m := addingRow.FindStringSubmatch(line); m != nil {
			if named[m[2]] == nil {
				named[m[2]] = map[string]bool{}
			}
			named[m[2]][m[1]] = true
		}
	}
	recipes := strings.Split(string(doc), "\n## ")[1:]
	for i, recipe := range recipes {
		if !strings.HasPrefix(recipe, fmt.Sprintf("%d. ", i+1)) || !slices.ContainsFunc(strings.Split(recipe, "\n"), addingRow.MatchString) {
			t.Errorf("docs/ADDING.md: recipe %d has another number or no example: %.40q", i+1, recipe)
		}
	}
	if len(recipes) == 0 {
		t.Fatal("docs/ADDING.md has no recipe")
	}
	for _, m := range addingPath.FindAllStringSubmatch(string(doc), -1) {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("docs/ADDING.md sends its reader to %s, which is not there", m[1])
		}
	}
	found := map[string]map[string]bool{}
	words := map[string]*regexp.Regexp{}
	for word := range named {
		found[word] = map[string]bool{}
		// A word ends where neither a letter nor what joins the parts of an id follows.
		words[word] = regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(word) + `($|[^\w-])`)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if slices.Contains([]string{".git", "testdata", "bin", "build", "dist", "node_modules"}, name) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Dir(path) == filepath.Clean(root) { // the demo and others write their reports there
			return nil
		}
		if !slices.Contains([]string{".conf", ".go", ".html", ".js", ".json", ".md", ".ps1", ".service", ".sh", ".tf", ".tpl", ".tsv", ".yaml", ".yml"}, filepath.Ext(name)) || strings.HasSuffix(name, "_test.go") || name == "CHANGELOG.md" || name == "ADDING.md" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for word, pattern := range words {
			if bytes.Contains(b, []byte(word)) && pattern.Match(b) {
				found[word][filepath.ToSlash(rel)] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range slices.Sorted(maps.Keys(named)) {
		for _, file := range slices.Sorted(maps.Keys(found[word])) {
			if !named[word][file] {
				t.Errorf("docs/ADDING.md: %s stands in %s too, which the recipe does not name", word, file)
			}
		}
		for _, file := range slices.Sorted(maps.Keys(named[word])) {
			if !found[word][file] {
				t.Errorf("docs/ADDING.md: %s does not stand in %s", word, file)
			}
		}
	}
}
