package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/shenscan/shenscan"

// pkg is what go list says of one package.
type pkg struct {
	ImportPath string
	Doc        string   // first sentence of the package comment
	Imports    []string // direct, of code that ships
	Deps       []string // all, direct or not
}

// path is where the package lies in the repository.
func (p pkg) path() string { return ours(p.ImportPath) }

// ours returns an import path of this module as a path in the repository, and
// "" for any other.
func ours(importPath string) string {
	if importPath == module {
		return "."
	}
	rest, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// matches reports whether pattern covers path.
func matches(pattern, path string) bool {
	base, deep := strings.CutSuffix(pattern, "/...")
	return path == base || deep && strings.HasPrefix(path, base+"/")
}

func anyMatches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// layerOf returns the longest row that covers path.
func layerOf(layers []layer, path string) (best layer, ok bool) {
	for _, l := range layers {
		if matches(l.path, path) && (!ok || len(l.path) > len(best.path)) {
			best, ok = l, true
		}
	}
	return best, ok
}

// check returns one line for each breach of the tables.
func check(layers []layer, p pkg) (breaches []string) {
	breach := func(format string, args ...any) {
		breaches = append(breaches, p.path()+": "+fmt.Sprintf(format, args...))
	}
	row, ok := layerOf(layers, p.path())
	if !ok {
		breach("no row of the import table covers it: add one that says what it may import")
	}
	for _, imported := range p.Imports {
		switch path := ours(imported); {
		case path != "":
			if ok && !anyMatches(row.may, path) {
				breach("imports %s; %s may import only %s", path, row.path, row.may)
			}
		case standard(imported):
			if matches("rules/...", p.path()) && anyMatches(impure, imported) {
				breach("imports %s; rules are pure", imported)
			}
		default:
			breaches = append(breaches, checkLibrary(p, imported)...)
		}
	}
	for _, u := range unlinked {
		if anyMatches(u.owners, p.path()) && !owns(u.library, p.path()) {
			if i := slices.IndexFunc(p.Deps, func(d string) bool { return strings.HasPrefix(d, u.library) }); i >= 0 {
				breach("links %s through what it imports", p.Deps[i])
			}
		}
	}
	if p.Doc == "" {
		breach("has no package comment: say what it is and what it refuses to do")
	}
	return breaches
}

func owns(library, path string) bool {
	return slices.ContainsFunc(libraries, func(l ownership) bool { return l.library == library && anyMatches(l.owners, path) })
}

func checkLibrary(p pkg, imported string) []string {
	for _, l := range libraries {
		if !strings.HasPrefix(imported, l.library) {
			continue
		}
		if !anyMatches(l.owners, p.path()) {
			return []string{fmt.Sprintf("%s: imports %s, which only %s may", p.path(), imported, l.owners)}
		}
		return nil
	}
	return []string{fmt.Sprintf("%s: imports %s, which nobody owns: add it to the table of libraries", p.path(), imported)}
}

// list asks go for every package of the module. It walks the tree first: go
// test then knows what the answer depends on, and runs the test anew when a
// file changes.
func list(t *testing.T) []pkg {
	t.Helper()
	if err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,Deps", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImportsFollowTheTable(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 5 {
		t.Fatalf("go list named %d packages; the table was not checked", len(pkgs))
	}
	table := layers(t)
	for _, p := range pkgs {
		for _, b := range check(table, p) {
			t.Error(b)
		}
	}
}

func TestStrayImportsAreFound(t *testing.T) {
	const doc = "Package x is documented."
	table := layers(t)
	for name, tc := range map[string]struct {
		path    string
		imports []string
		deps    []string
		doc     string
		want    string // part of the one breach; "" for none
	}{
		"a_stage_on_another":              {path: "producer", imports: []string{module + "/workers"}, want: "imports workers"},
		"a_stage_on_its_nouns":            {path: "workers", imports: []string{module + "/internal/event", module + "/rules", "time"}},
		"a_date_in_rules":                 {path: "rules", imports: []string{"time"}},
		"a_context_in_rules":              {path: "rules", imports: []string{"context"}, want: "rules are pure"},
		"a_file_in_rules":                 {path: "rules/identity", imports: []string{"os"}, want: "rules are pure"},
		"yaml_in_the_catalog":             {path: "rules/catalog", imports: []string{"go.yaml.in/yaml/v3"}},
		"yaml_in_rules":                   {path: "rules", imports: []string{"go.yaml.in/yaml/v3"}, want: "which only"},
		"opentelemetry_in_a_stage":        {path: "workers", imports: []string{"go.opentelemetry.io/otel/trace"}, want: "which only"},
		"opentelemetry_in_its_owner":      {path: "internal/trace", imports: []string{"go.opentelemetry.io/otel/trace"}},
		"nats_in_a_stage":                 {path: "sink", imports: []string{"github.com/nats-io/nats.go"}, want: "which only"},
		"bbolt_in_its_owner":              {path: "sink/store", imports: []string{"go.etcd.io/bbolt"}, deps: []string{"go.etcd.io/bbolt"}},
		"bbolt_in_the_bytes_of_the_store": {path: "sink/store/format", imports: []string{"go.etcd.io/bbolt"}, want: "which only"},
		"the_store_in_its_bytes":          {path: "sink/store/format", imports: []string{module + "/sink/store"}, want: "imports sink/store"},
		"bbolt_in_the_exporter":           {path: "sink/exporter", imports: []string{"go.etcd.io/bbolt"}, want: "which only"},
		"metrics_in_rules":                {path: "rules", imports: []string{"github.com/prometheus/client_golang/prometheus"}, want: "which only"},
		"metrics_in_the_cloud_seam":       {path: "internal/ecs", imports: []string{"github.com/prometheus/client_golang/prometheus"}, want: "which only"},
		"the_simulator_on_rules":          {path: "internal/ecs/ecssim", imports: []string{module + "/rules"}, want: "imports rules"},
		"a_library_without_an_owner":      {path: "internal/app", imports: []string{"example.com/new"}, want: "nobody owns"},
		"a_package_without_a_row":         {path: "util", want: "no row"},
		"a_package_without_comment":       {path: "producer", doc: "-", want: "no package comment"},
		"the_sdk_linked_by_detour":        {path: "workers", deps: []string{"github.com/alibabacloud-go/tea/tea"}, want: "links github.com/alibabacloud-go"},
	} {
		t.Run(name, func(t *testing.T) {
			p := pkg{ImportPath: module + "/" + tc.path, Imports: tc.imports, Deps: tc.deps, Doc: doc}
			if tc.doc == "-" {
				p.Doc = ""
			}
			got := check(table, p)
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("breaches %q, want none", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("breaches %q, want one with %q", got, tc.want)
			}
		})
	}
}

func TestRulesHaveNoClock(t *testing.T) {
	read := 0
	if err := fs.WalkDir(os.DirFS("../../rules"), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile("../../rules/" + path)
		if err != nil {
			return err
		}
		read++
		if found := clock.Find(text); found != nil {
			t.Errorf("rules/%s: uses %s; today's date is an argument", path, found)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if read == 0 || !clock.MatchString("if time.Now().Before(t) {") || clock.MatchString("time.Parse(time.DateOnly, s)") {
		t.Errorf("%d files were read, or the pattern is wrong", read)
	}
}

// What no package does need not be allowed: a row says what the packages are like.
func TestEveryRowIsUsed(t *testing.T) {
	pkgs, table := list(t), layers(t)
	for _, l := range table {
		covered := false
		needed := map[string]bool{}
		for _, p := range pkgs {
			if row, ok := layerOf(table, p.path()); !ok || row.path != l.path {
				continue
			}
			covered = true
			for _, imported := range p.Imports {
				for _, may := range l.may {
					needed[may] = needed[may] || matches(may, ours(imported))
				}
			}
		}
		if !covered {
			t.Errorf("%s: the row covers no package: remove it", l.path)
		}
		for _, may := range l.may {
			if !needed[may] {
				t.Errorf("%s: nothing there imports %s: leave it out of the row", l.path, may)
			}
		}
	}
}
