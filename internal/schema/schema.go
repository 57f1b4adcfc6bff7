// Package schema describes the public JSON objects as JSON Schemas, made from
// the types that they are written from: the instance record and the data of
// events. docs/schema holds the same files, the API serves them, and events name
// theirs as dataschema. A schema allows members that it does not name: newer
// versions may add some.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// Base is what the address of every schema begins with.
const Base = "https://raw.githubusercontent.com/shenscan/shenscan/main/docs/schema/"

// The names of the schemas.
const (
	Record         = "record.v1.json"
	VerdictChanged = "verdict.changed.v1.json"
	Scan           = "scan.v1.json"
)

// kind is what a schema is of.
type kind struct {
	title string
	of    reflect.Type
}

func kinds() map[string]kind {
	return map[string]kind{
		Record:         {"An instance as shenscan's reports, API and events show it", reflect.TypeFor[record.Record]()},
		VerdictChanged: {"The data of dev.shenscan.verdict.changed.v1", reflect.TypeFor[record.VerdictChanged]()},
		Scan:           {"The data of dev.shenscan.scan.<state>.v1", reflect.TypeFor[record.ScanBrief]()},
	}
}

// Names lists the schemas.
func Names() []string { return slices.Sorted(maps.Keys(kinds())) }

// JSON returns the JSON Schema of a name of Names, as a document by itself; any other name is
// an error.
func JSON(name string) ([]byte, error) {
	kind, ok := kinds()[name]
	if !ok {
		return nil, fmt.Errorf("no schema is called %q", name)
	}
	types := NewTypes("#/$defs/")
	types.words = map[reflect.Type][]string{
		reflect.TypeFor[rules.Level]():      {rules.Compatible.String(), rules.NeedsAction.String(), rules.Unknown.String(), rules.Incompatible.String()},
		reflect.TypeFor[rules.Confidence](): {rules.High.String(), rules.Medium.String(), rules.Low.String()},
	}
	root := types.Schema(kind.of)
	out, ok := inDraft(root).(Object)
	if !ok {
		return nil, fmt.Errorf("the schema %s is no object", name)
	}
	out["$schema"], out["$id"], out["title"] = "https://json-schema.org/draft/2020-12/schema", Base+name, kind.title
	out["$defs"] = inDraft(types.Named())
	b, err := json.MarshalIndent(out, "", " ")
	return append(b, '\n'), err
}

// inDraft turns the dialect of OpenAPI 3.0 into that of JSON Schema, which says
// by types what may be null.
func inDraft(v any) any {
	switch v := v.(type) {
	case Object:
		out := Object{}
		for key, x := range v {
			out[key] = inDraft(x)
		}
		if v["nullable"] != true {
			return out
		}
		delete(out, "nullable")
		if kind, ok := out["type"].(string); ok {
			out["type"] = []string{kind, "null"}
			return out
		}
		return Object{"anyOf": []any{out, Object{"type": "null"}}}
	case []Object:
		out := make([]any, len(v))
		for i := range v {
			out[i] = inDraft(v[i])
		}
		return out
	default:
		return v
	}
}
