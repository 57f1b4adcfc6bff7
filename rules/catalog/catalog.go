// Package catalog reads rule sets: the one that the binary carries and the
// overlay files of a user. It decodes strictly and says in which line a
// mistake is. It judges nothing; package rules does.
package catalog

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

//go:embed catalog.yaml
var embedded []byte

//go:embed schema.json
var schema []byte

// maxDocument bounds a rule file, in bytes.
const maxDocument = 4 << 20

// Document is the rule set that the binary carries, as YAML.
func Document() []byte { return bytes.Clone(embedded) }

// Schema is the JSON Schema of rule files.
func Schema() []byte { return bytes.Clone(schema) }

// Mistake is one thing that is wrong in a rule file.
type Mistake struct {
	Document int // 0 the embedded one, 1 the first overlay
	Line     int // 1-based, 0 when the mistake has no place
	Text     string
}

// Error is every mistake of a rule set.
type Error []Mistake

func (e Error) Error() string {
	out := make([]string, len(e))
	for index, mistake := range e {
		where := "rules"
		if mistake.Document > 0 {
			where = "rules overlay " + strconv.Itoa(mistake.Document)
		}
		if mistake.Line > 0 {
			where += " line " + strconv.Itoa(mistake.Line)
		}
		out[index] = where + ": " + mistake.Text
	}
	return strings.Join(out, "\n")
}

// Default is the rule set that the binary carries. It is read once in the life of
// a process, which takes some 20 ms of CPU time.
var Default = sync.OnceValues(func() (*rules.Ruleset, error) { return compile(nil) })

// Load is the rule set that the binary carries with a user's overlays laid
// over it, the later ones on top. The error is an Error.
func Load(overlays ...[]byte) (*rules.Ruleset, error) {
	if len(overlays) == 0 {
		return Default()
	}
	return compile(overlays)
}

func compile(overlays [][]byte) (*rules.Ruleset, error) {
	var mistakes Error
	layers := make([]layer, len(overlays))
	for i, data := range overlays {
		l, bad := decode(i+1, data)
		layers[i], mistakes = l, append(mistakes, bad...)
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	base, mistakes := decode(0, embedded)
	for i := range layers {
		mistakes = append(mistakes, merge(&base, &layers[i], i+1)...)
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	ruleset, err := rules.Compile(base.def, family.Embedded())
	if err != nil {
		return nil, locate(err, overlays)
	}
	return ruleset, nil
}

// Warnings are the doubts about a rule set, with the lines of its documents.
func Warnings(ruleset *rules.Ruleset, overlays ...[]byte) []Mistake {
	places := placesOf(overlays)
	var out []Mistake
	for _, p := range ruleset.Warnings() {
		at := places[p.Part]
		out = append(out, Mistake{at.document, at.line, p.String()})
	}
	return out
}

// layer is a decoded document.
type layer struct {
	def  rules.Definition
	data []byte
}

// place is where a part of a rule set is written.
type place struct{ document, line int }

// locate adds lines to the problems that rules.Compile found.
func locate(err error, overlays [][]byte) error {
	var problems rules.CompileErrors
	if !errors.As(err, &problems) {
		return err
	}
	places := placesOf(overlays)
	var out Error
	for _, p := range problems {
		at := places[p.Part]
		out = append(out, Mistake{at.document, at.line, p.String()})
	}
	return out
}

// decode reads one document. Unknown fields are mistakes.
func decode(number int, data []byte) (layer layer, mistakes Error) {
	layer.data = data
	if len(data) > maxDocument {
		return layer, Error{{number, 0, fmt.Sprintf("%d bytes are more than the %d a rule file may have", len(data), maxDocument)}}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&layer.def); err != nil {
		if errors.Is(err, io.EOF) {
			return layer, Error{{number, 0, "the file is empty"}}
		}
		return layer, decodeMistakes(number, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		mistakes = append(mistakes, Mistake{number, 0, "the file holds more than one document"})
	}
	if layer.def.Version != 1 {
		mistakes = append(mistakes, Mistake{number, 1, fmt.Sprintf("version is %d; this binary reads version 1", layer.def.Version)})
	}
	return layer, mistakes
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

// withoutPackage leaves the types of Go out of what the YAML decoder says.
var withoutPackage = strings.NewReplacer(" in type rules.", " in ", " into rules.", " into ")

// decodeMistakes takes the lines out of what the YAML decoder says.
func decodeMistakes(number int, err error) Error {
	lines := []string{err.Error()}
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines = te.Errors
	}
	var out Error
	for _, l := range lines {
		mistake := Mistake{Document: number, Text: withoutPackage.Replace(strings.TrimPrefix(l, "yaml: "))}
		if g := yamlLine.FindStringSubmatch(l); g != nil {
			mistake.Line, _ = strconv.Atoi(g[1])
			mistake.Text = withoutPackage.Replace(g[2])
		}
		out = append(out, mistake)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Line < out[j].Line })
	return out
}

// placesOf says where the parts of the embedded rule set and of overlays are
// written; where two write the same part, it is the last. It reads the
// documents again, which costs as much as loading them: few loads need it.
func placesOf(overlays [][]byte) map[string]place {
	places := map[string]place{}
	locateParts(0, embedded, places)
	for i, data := range overlays {
		locateParts(i+1, data, places)
	}
	return places
}

// locateParts notes the lines of rules, overrides, waivers and families.
func locateParts(number int, data []byte, places map[string]place) {
	var root yaml.Node
	if yaml.Unmarshal(data, &root) != nil || len(root.Content) == 0 {
		return
	}
	lists := map[string]struct{ what, id string }{
		"rules": {"rule ", "id"}, "overrides": {"override ", "rule"}, "waivers": {"waiver ", "id"}, "families": {"family ", "family"},
	}
	for key, list := range pairs(root.Content[0]) {
		entry, ok := lists[key.Value]
		if !ok {
			continue
		}
		for _, item := range list.Content {
			id := ""
			for name, value := range pairs(item) {
				if name.Value == entry.id {
					id = value.Value
				}
			}
			places[entry.what+id] = place{number, item.Line}
		}
	}
}

// pairs are the keys of a mapping with their values.
func pairs(mapping *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := range len(mapping.Content) / 2 {
			if !yield(mapping.Content[2*i], mapping.Content[2*i+1]) {
				return
			}
		}
	}
}

// merge lays an overlay over a definition: its rules come first, so that they
// win.
func merge(base, top *layer, number int) (mistakes Error) {
	def, over := &base.def, &top.def
	def.Sources = mergeMap(def.Sources, over.Sources)
	def.Dated = mergeMap(def.Dated, over.Dated)
	def.Remedies = mergeMap(def.Remedies, over.Remedies)
	def.Checks = mergeMap(def.Checks, over.Checks)
	def.EndOfSupport = mergeMap(def.EndOfSupport, over.EndOfSupport)
	have := map[string]bool{}
	for i := range def.Rules {
		have[def.Rules[i].ID] = true
	}
	var places map[string]place
	for i := range over.Rules {
		if id := over.Rules[i].ID; have[id] {
			if places == nil {
				places = map[string]place{}
				locateParts(number, top.data, places)
			}
			mistakes = append(mistakes, Mistake{number, places["rule "+id].line, "rule " + id + ": the id is taken; use overrides to change that rule"})
		}
	}
	def.Systems = mergeMap(def.Systems, over.Systems)
	def.Restricted = append(slices.Clone(def.Restricted), over.Restricted...)
	def.Rules = append(append([]rules.Rule(nil), over.Rules...), def.Rules...)
	def.Overrides = append(def.Overrides, over.Overrides...)
	def.Waivers = append(def.Waivers, over.Waivers...)
	def.Families = append(def.Families, over.Families...)
	return mistakes
}

func mergeMap[V any](a, after map[string]V) map[string]V {
	out := map[string]V{}
	maps.Copy(out, a)
	maps.Copy(out, after)
	return out
}
