package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/internal/schema"
)

var update = flag.Bool("update", false, "write docs/schema anew")

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	body, err := schema.JSON(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(schema.Base+name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schema.Base + name)
	if err != nil {
		t.Fatalf("%s is no JSON Schema: %v", name, err)
	}
	return s
}

func valid(t *testing.T, s *jsonschema.Schema, v any) error {
	t.Helper()
	body, ok := v.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// The files in docs/schema are what the types say.
func TestPublishedSchemasAreCurrent(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "schema")
	for _, name := range schema.Names() {
		want, err := schema.JSON(name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // a file of the repository
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types say (%v): run go test ./internal/schema -update", path, err)
		}
	}
}

// What reports, the API and events write is valid by the published schemas, and
// what is not what they say is not.
func TestWhatIsWrittenIsValid(t *testing.T) {
	f := reporttest.New(60, 5)
	rec, changed, scan := compiled(t, schema.Record), compiled(t, schema.VerdictChanged), compiled(t, schema.Scan)
	var lines bytes.Buffer
	if err := report.Write(&lines, report.JSONL, &report.Report{Scan: f.Scan, Summary: f.Summary, Instances: f.All()}, report.Options{Now: reporttest.Now()}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(lines.String()) {
		n++
		if err := valid(t, rec, []byte(line)); err != nil {
			t.Fatalf("record: %v\n%s", err, line)
		}
	}
	if n != 60 {
		t.Errorf("%d records", n)
	}
	for i := range f.Records[:20] {
		if err := valid(t, changed, &record.VerdictChanged{Before: f.Records[i], After: report.Tidy(f.Records[i+1]), Cause: "observation"}); err != nil {
			t.Errorf("verdict changed: %v", err)
		}
	}
	f.Fail()
	if err := valid(t, scan, f.Scan.Brief(4096)); err != nil {
		t.Errorf("scan: %v", err)
	}
	line, _, _ := strings.Cut(lines.String(), "\n")
	for what, broken := range map[string]string{
		"a verdict that does not exist": strings.Replace(line, `"verdict":"compatible"`, `"verdict":"fine"`, 1),
		"an id that is a number":        strings.Replace(line, `"instance_id":"`+f.Records[0].InstanceID+`"`, `"instance_id":7`, 1),
		"a time that is none":           strings.Replace(line, `"observed_at":"2`, `"observed_at":"on Monday 2`, 1),
	} {
		if broken == line {
			t.Errorf("%s: the record has nothing to break", what)
		} else if valid(t, rec, []byte(broken)) == nil {
			t.Errorf("%s is valid", what)
		}
	}
}
