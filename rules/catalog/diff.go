package catalog

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// Change is one thing in which two rule sets differ.
type Change struct {
	Part string // "rule el6", "remedy replace-os", "family ecs.g8i", "type change ecs.g7", ...
	What string // the field, "" where the part was added or removed
	Old  string // "" where the part is new
	New  string // "" where the part is gone
}

func (c Change) String() string {
	switch {
	case c.What != "":
		return fmt.Sprintf("%s: %s: %s -> %s", c.Part, c.What, or(c.Old), or(c.New))
	case c.Old == "":
		return c.Part + ": added: " + c.New
	}
	return c.Part + ": removed: " + c.Old
}

func or(s string) string { return cmp.Or(s, "(none)") }

// Whole reads a whole rule set, such as the one that another version of the
// binary carries, or lays an overlay over the one of this binary: a document
// that has the rule for operating systems that no rule names is whole. The
// error is an Error.
func Whole(data []byte) (*rules.Ruleset, error) {
	layer, mistakes := decode(1, data)
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	if !slices.ContainsFunc(layer.def.Rules, func(r rules.Rule) bool { return r.ID == "os.unnamed" }) {
		return Load(data)
	}
	ruleset, err := rules.Compile(layer.def, family.Embedded())
	if err != nil {
		return nil, locate(err, [][]byte{data})
	}
	return ruleset, nil
}

// Diff lists in what two rule sets differ, before anything is judged by the
// newer: rules with their boundaries and texts, lists of systems, remedies, checks, sources, ends
// of support, overrides, waivers, families and type changes.
func Diff(older, newer *rules.Ruleset) ([]Change, error) {
	before, err := parts(older)
	if err != nil {
		return nil, err
	}
	after, err := parts(newer)
	if err != nil {
		return nil, err
	}
	var out []Change
	for _, name := range slices.Sorted(keys(before, after)) {
		was, now := before[name], after[name]
		switch {
		case was == nil:
			out = append(out, Change{Part: name, New: summary(now)})
		case now == nil:
			out = append(out, Change{Part: name, Old: summary(was)})
		default:
			for _, field := range slices.Sorted(keys(was, now)) {
				if !reflect.DeepEqual(was[field], now[field]) {
					out = append(out, Change{Part: name, What: field, Old: spell(was[field]), New: spell(now[field])})
				}
			}
		}
	}
	return out, nil
}

func keys[V any](before, after map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range before {
			if !yield(k) {
				return
			}
		}
		for k := range after {
			if _, ok := before[k]; !ok && !yield(k) {
				return
			}
		}
	}
}

// summary says in short what a part is.
func summary(fields map[string]any) string {
	for _, name := range []string{"title", "text", "is", "reason"} {
		if s := spell(fields[name]); s != "" {
			return s
		}
	}
	return spell(fields)
}

// spell writes a value on one line; what is empty is "".
func spell(v any) string {
	if s, ok := v.(string); ok || v == nil {
		return s
	}
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return err.Error()
	}
	flow(&node)
	encoded, err := yaml.Marshal(&node)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(encoded)), " ")
}

func flow(n *yaml.Node) {
	n.Style |= yaml.FlowStyle
	for _, c := range n.Content {
		flow(c)
	}
}

// flatten names the fields of inner objects by their path: "when.version".
func flatten(into map[string]any, path string, fields map[string]any) {
	for name, v := range fields {
		if inner, ok := v.(map[string]any); ok {
			flatten(into, path+name+".", inner)
			continue
		}
		into[path+name] = v
	}
}

// parts takes a rule set apart, each part a set of fields.
func parts(ruleset *rules.Ruleset) (map[string]map[string]any, error) {
	def := ruleset.Definition()
	out := map[string]map[string]any{}
	var failed error
	put := func(name string, v any) {
		encoded, err := yaml.Marshal(v)
		fields := map[string]any{}
		if err == nil {
			err = yaml.Unmarshal(encoded, &fields)
		}
		failed = cmp.Or(failed, err)
		for n := 2; out[name] != nil; n++ { // two overrides of one rule
			name = fmt.Sprintf("%s (%d)", strings.TrimSuffix(name, fmt.Sprintf(" (%d)", n-1)), n)
		}
		out[name] = map[string]any{}
		flatten(out[name], "", fields)
	}
	is := func(name, text string) { out[name] = map[string]any{"is": text} }
	is("rule set as_of", def.AsOf)
	for i := range def.Rules {
		put("rule "+def.Rules[i].ID, &def.Rules[i])
	}
	for name, list := range def.Systems {
		for i := range list {
			e := &list[i]
			is(strings.TrimSpace("systems "+name+": "+strings.Join(e.Family, ", ")+" "+e.Kernel), or(e.Version))
		}
	}
	is("restricted families", strings.Join(def.Restricted, " "))
	for id, m := range def.Remedies {
		put("remedy "+id, m)
	}
	for i := range def.Overrides {
		put("override "+def.Overrides[i].Rule, &def.Overrides[i])
	}
	for i := range def.Waivers {
		put("waiver "+def.Waivers[i].ID, &def.Waivers[i])
	}
	for id, text := range def.Checks {
		is("check "+id, text)
	}
	for id, text := range def.Sources {
		is("source "+id, text)
	}
	for id, day := range def.Dated {
		is("day of source "+id, day)
	}
	for os, releases := range def.EndOfSupport {
		for version, day := range releases {
			is("end of support "+os+" "+version, day)
		}
	}
	table := ruleset.Families()
	for _, name := range table.Names() {
		put("family "+name, table.Lookup("", name))
	}
	for _, name := range table.Sources() {
		is("type change "+name, strings.Join(table.Routes(name).Families(), " "))
	}
	return out, failed
}
