package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/schema"
)

// object is a JSON object of the description.
type object = schema.Object

// describe makes the OpenAPI description of the routes: addresses, parameters
// and the schemas of answers, from the types that they are encoded from.
func describe(routes []route, version string) ([]byte, error) {
	d := &describer{schema.NewTypes("#/components/schemas/")}
	paths := object{}
	for i := range routes {
		r := &routes[i]
		at, ok := paths[r.path].(object)
		if !ok {
			at = object{}
			paths[r.path] = at
		}
		at[strings.ToLower(r.method)] = d.operation(r)
	}
	if version == "" {
		version = "unknown"
	}
	return json.Marshal(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "shenscan", "version": version,
			"description": "What a sink of shenscan holds. Parameters that a resource does not name are refused; errors are RFC 9457 problems.",
		},
		"paths": paths, "components": object{"schemas": d.Named()},
	})
}

type describer struct{ *schema.Types }

var inPath = regexp.MustCompile(`\{(\w+)\}`)

func (d *describer) operation(r *route) object {
	params := []object{}
	for _, m := range inPath.FindAllStringSubmatch(r.path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for i := range r.params {
		p := &r.params[i]
		schema := object{"type": p.kind}
		if len(p.values) > 0 {
			schema["enum"] = p.values
		}
		if p.repeated {
			schema = object{"type": "array", "items": schema}
		}
		params = append(params, object{"name": p.name, "in": "query", "description": p.text, "required": p.needed, "schema": schema})
	}
	content := object{}
	switch {
	case r.answer != nil:
		content["application/json"] = object{"schema": d.Schema(reflect.TypeOf(r.answer))}
	case r.media == "application/json":
		content[r.media] = object{"schema": object{}}
	default:
		content[r.media] = object{"schema": object{"type": "string", "format": "binary"}}
	}
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	op := object{
		"summary": r.text, "parameters": params,
		"responses": object{
			strconv.Itoa(status): object{"description": http.StatusText(status), "content": content},
			"default":            object{"description": "a problem", "content": object{"application/problem+json": object{"schema": d.Schema(reflect.TypeFor[problemBody]())}}},
		},
	}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.Schema(reflect.TypeOf(r.body))}}}
	}
	return op
}

func (s *server) apiSchema(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !slices.Contains(schema.Names(), name) {
		problem(w, http.StatusNotFound, "no schema is called "+report.Short(name, 64)+filter.Nearest(name, schema.Names()))
		return
	}
	body, err := schema.JSON(name)
	if err != nil {
		s.apiFault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/schema+json")
	s.write(w, body)
}

func (s *server) apiDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.write(w, s.description)
}
