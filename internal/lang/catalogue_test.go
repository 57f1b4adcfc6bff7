package lang_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/shenscan/shenscan/internal/lang"
)

const root = "../.."

// found is a text in English and where it stands.
type found struct{ text, at string }

// sources are the files of the repository with an ending, tests apart.
func sources(t *testing.T, ending string, below ...string) []string {
	t.Helper()
	var out []string
	for _, dir := range below {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || strings.HasSuffix(d.Name(), "test")):
				return fs.SkipDir
			case strings.HasSuffix(path, ending) && !strings.HasSuffix(path, "_test.go"):
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func place(path string, line int) string {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		rel = path
	}
	return filepath.ToSlash(rel) + ":" + strconv.Itoa(line)
}

// templateTexts are the texts of all templates and scripts of pages.
func templateTexts(t *testing.T) []found {
	t.Helper()
	var out []found
	for _, path := range sources(t, ".html", "internal", "sink") {
		for _, u := range lang.Units(read(t, path)) {
			out = append(out, found{u.English, place(path, u.Line)})
		}
	}
	for _, path := range sources(t, ".js", "internal", "sink") {
		for _, u := range lang.ScriptUnits(read(t, path)) {
			out = append(out, found{u.English, place(path, u.Line)})
		}
	}
	if len(out) < 300 {
		t.Fatalf("only %d texts were found in templates and scripts", len(out))
	}
	return out
}

func entries(t *testing.T) []lang.Entry {
	t.Helper()
	all, err := lang.Entries()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Whoever adds a text to a template or script is told what to add.
func TestEveryTextOfTemplatesAndScriptsIsInChinese(t *testing.T) {
	have := map[string]bool{}
	for _, e := range entries(t) {
		if e.File == "templates" || !strings.Contains(e.English, "{") {
			have[e.English] = true
		}
	}
	told := map[string]bool{}
	for _, f := range templateTexts(t) {
		if !have[f.text] && !told[f.text] {
			told[f.text] = true
			t.Errorf("%s: %q has no Chinese: add a line to internal/lang/zh/templates.tsv (docs/ADDING.md, \"A text\")", f.at, f.text)
		}
	}
}

var holes = regexp.MustCompile(`\{([1-9])[^}]*\}`)

// What a text holds, its translation holds: values in holes, commands, numbers.
func TestChineseHoldsWhatEnglishHolds(t *testing.T) {
	seen := map[string]string{}
	numbers := func(s string) []string {
		var out []string
		for _, m := range holes.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, e := range entries(t) {
		at := "internal/lang/zh/" + e.File + ".tsv:" + strconv.Itoa(e.Line)
		if other := seen[e.English]; other != "" {
			t.Errorf("%s: %q stands in %s, too", at, e.English, other)
		}
		seen[e.English] = at
		if en, zh := numbers(e.English), numbers(e.Chinese); !slices.Equal(en, zh) {
			t.Errorf("%s: English has the holes %v, Chinese %v", at, en, zh)
		}
		if e.File == "templates" && (strings.Contains(e.English, "#}") || strings.Contains(e.Chinese, ":say}")) {
			t.Errorf("%s: templates take {1} alone", at)
		}
		if e.English != strings.TrimSpace(e.English) && e.File == "templates" {
			t.Errorf("%s: spaces around the text", at)
		}
	}
}

// What is said nowhere any more has no line any more: a text of a template is one
// of a template, and the words of a sentence are somewhere in the sources.
func TestNoLineIsLeftOver(t *testing.T) {
	units := map[string]bool{}
	for _, f := range templateTexts(t) {
		units[f.text] = true
	}
	var all strings.Builder
	for _, ending := range []string{".go", ".yaml", ".html", ".js"} {
		for _, path := range sources(t, ending, "cmd", "internal", "producer", "rules", "sink", "workers") {
			all.WriteString(strings.ReplaceAll(read(t, path), `\"`, `"`) + "\n")
		}
	}
	long := regexp.MustCompile(`[A-Za-z]{4,}`)
	words := map[string]bool{}
	for _, word := range long.FindAllString(all.String(), -1) {
		words[strings.ToLower(word)] = true
	}
	statuses := []string{"Bad Request", "Forbidden", "Not Found", "Internal Server Error", "Not Implemented", "Bad Gateway", "Service Unavailable", "Unprocessable Entity", "Method Not Allowed"}
	hole := regexp.MustCompile(`\{[1-9]#?\}`)
	for _, e := range entries(t) {
		if units[e.English] || slices.Contains(statuses, e.English) {
			continue
		}
		used := e.File != "templates" || !strings.Contains(e.English, "{")
		for _, word := range long.FindAllString(hole.ReplaceAllString(strings.Join(variants(e.English), " "), " "), -1) {
			used = used && words[strings.ToLower(word)]
		}
		if !strings.ContainsFunc(hole.ReplaceAllString(e.English, ""), unicode.IsLetter) {
			used = true // marks alone
		}
		if !used {
			t.Errorf("internal/lang/zh/%s.tsv:%d: %q is said nowhere", e.File, e.Line, e.English)
		}
	}
}

// isSentence tells whether a literal of Go is for people: words, not a name, an
// id, a path or a format of a time.
func isSentence(s string) bool {
	words := 0
	for w := range strings.FieldsSeq(s) {
		w = strings.Trim(w, ".,;:()?!\"'")
		if len(w) > 1 && !strings.ContainsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) || r > 127 }) {
			words++
		}
	}
	return words >= 2
}

// unspoken are the calls whose texts are for logs, errors and programs.
var unspoken = regexp.MustCompile(`^(errors\.New|fmt\.Errorf|panic|usage|.*\.(Error|Warn|Info|Debug|bad|Errorf|Fatalf)|badQuery|Problem|text|regexp\.MustCompile|errorf|.*\.refuse)$`)

// sentences are the literals of Go that people read.
func sentences(t *testing.T, below ...string) []found {
	t.Helper()
	var out []found
	for _, path := range sources(t, ".go", below...) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				if n.Tag != nil {
					n.Tag = nil
				}
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					if x, ok := f.X.(*ast.Ident); ok {
						name = x.Name + "." + f.Sel.Name
					} else {
						name = "." + f.Sel.Name
					}
				}
				if unspoken.MatchString(name) {
					return false
				}
			case *ast.BasicLit:
				if n.Kind != token.STRING {
					return true
				}
				s, err := strconv.Unquote(n.Value)
				if err == nil && isSentence(s) {
					out = append(out, found{s, place(path, set.Position(n.Pos()).Line)})
				}
			}
			return true
		})
	}
	return out
}

// verb is where Go puts a value into a text.
var verb = regexp.MustCompile(`%[-+# 0-9.\[\]]*[a-zA-Z%]|\n`)

// notForPeople are sentences of Go that no page and no report shows.
func notForPeople(t *testing.T) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(read(t, "testdata/not-for-people.txt")) {
		if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}

// spokenOf are the packages whose sentences reach people.
var spokenOf = []string{"internal/report", "internal/plan", "sink/httpapi", "rules/waves"}

// english are files whose texts are English alone: the description of the API,
// what Markdown says, and the table of progress and of questions to settle.
var english = []string{
	"sink/httpapi/routes.go", "sink/httpapi/openapi.go", "internal/report/markdown.go", "internal/plan/progress_render.go", "internal/plan/settle.go",
}

// Every sentence that Go puts together for people is in the catalogue, at least
// each part of it between the values; rendered pages show the rest.
func TestEverySentenceOfGoIsInChinese(t *testing.T) {
	var all strings.Builder
	for _, e := range entries(t) {
		for _, part := range variants(e.English) {
			all.WriteString(part + "\n")
		}
	}
	catalogue, skipped := all.String(), notForPeople(t)
	used := map[string]bool{}
	for _, f := range sentences(t, spokenOf...) {
		if file, _, _ := strings.Cut(f.at, ":"); slices.Contains(english, file) || strings.HasPrefix(strings.TrimLeft(f.text, "\n"), "#") {
			continue // Markdown, too
		}
		if slices.Contains(skipped, f.text) {
			used[f.text] = true
			continue
		}
		for _, part := range verb.Split(f.text, -1) {
			part = strings.Trim(part, " .,;:()")
			if isSentence(part) && !strings.Contains(catalogue, part) {
				t.Errorf("%s: %q of %q has no Chinese: add the sentence to internal/lang/zh/sentences.tsv, or, where no page and no report shows it, to internal/lang/testdata/not-for-people.txt (docs/ADDING.md, \"A text\")", f.at, part, f.text)
			}
		}
	}
	for _, s := range skipped {
		if !used[s] {
			t.Errorf("testdata/not-for-people.txt: %q is in no package", s)
		}
	}
}

var choice = regexp.MustCompile(`\[([^\[\]]*)\]`)

// variants spells out the choices of an entry.
func variants(s string) []string {
	at := choice.FindStringSubmatchIndex(s)
	if at == nil {
		return []string{s}
	}
	options := strings.Split(s[at[2]:at[3]], "|")
	if len(options) == 1 {
		options = append(options, "")
	}
	var out []string
	for _, o := range options {
		out = append(out, variants(s[:at[0]]+o+s[at[1]:])...)
	}
	return out
}
