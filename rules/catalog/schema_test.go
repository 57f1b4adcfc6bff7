package catalog_test

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(catalog.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("rules.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("rules.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON turns a YAML document into what a JSON Schema looks at.
func asJSON(t *testing.T, doc []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCatalogIsOfItsSchema(t *testing.T) {
	s := compiledSchema(t)
	document, err := os.ReadFile("catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(asJSON(t, document)); err != nil {
		t.Error(err)
	}
	for name, doc := range map[string]string{"overlay": overlay, "waiver": waiver} {
		if err := s.Validate(asJSON(t, []byte(doc))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the decoder refuses the schema refuses as well, where the form alone
// tells.
func TestSchemaRefuses(t *testing.T) {
	s := compiledSchema(t)
	for _, m := range mistakes {
		if m.meaning {
			continue
		}
		if err := s.Validate(asJSON(t, []byte(m.doc))); err == nil {
			t.Errorf("%s: the schema accepts it", m.name)
		}
	}
}

// The schema names exactly the fields that the decoder knows.
func TestSchemaNamesEveryField(t *testing.T) {
	var schema struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(catalog.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		v    any
		have map[string]any
	}{
		{"document", rules.Definition{}, schema.Properties},
		{"rule", rules.Rule{}, schema.Defs["rule"].Properties},
		{"when", rules.When{}, schema.Defs["when"].Properties},
		{"machine", rules.MachineMatch{}, schema.Defs["machine"].Properties},
		{"remedy", rules.RemedyDef{}, schema.Defs["remedy"].Properties},
		{"remedyUse", rules.RemedyUse{}, schema.Defs["remedyUse"].Properties},
		{"override", rules.Override{}, schema.Defs["override"].Properties},
		{"waiver", rules.WaiverRule{}, schema.Defs["waiver"].Properties},
		{"familyRow", rules.FamilyRow{}, schema.Defs["familyRow"].Properties},
		{"facts", rules.Observation{}, schema.Defs["facts"].Properties},
	} {
		var want, have []string
		for field := range reflect.TypeOf(c.v).Fields() {
			tag, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			want = append(want, tag)
		}
		for k := range c.have {
			have = append(have, k)
		}
		slices.Sort(want)
		slices.Sort(have)
		if !slices.Equal(want, have) {
			t.Errorf("%s: the decoder knows %v, the schema %v", c.name, want, have)
		}
	}
}

func TestSchemaNamesTheClasses(t *testing.T) {
	var doc struct {
		Defs struct {
			Class struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(catalog.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(doc.Defs.Class.Enum, rules.Classes()) {
		t.Errorf("the schema names %v, the classes are %v", doc.Defs.Class.Enum, rules.Classes())
	}
}
