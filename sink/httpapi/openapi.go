package httpapi

import (
	"encoding/json"
	"errors"
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
	described := &describer{schema.NewTypes("#/components/schemas/")}
	paths := object{}
	for i := range routes {
		route := &routes[i]
		at, ok := paths[route.path].(object)
		if !ok {
			at = object{}
			paths[route.path] = at
		}
		at[strings.ToLower(route.method)] = described.operation(route)
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
		"paths": paths, "components": object{"schemas": described.Named()},
	})
}

type describer struct{ *schema.Types }

var inPath = regexp.MustCompile(`\{(\w+)\}`)

func (d *describer) operation(route *route) object {
	params := []object{}
	for _, m := range inPath.FindAllStringSubmatch(route.path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for i := range route.params {
		param := &route.params[i]
		schema := object{"type": param.kind}
		if len(param.values) > 0 {
			schema["enum"] = param.values
		}
		if param.repeated {
			schema = object{"type": "array", "items": schema}
		}
		params = append(params, object{"name": param.name, "in": "query", "description": param.text, "required": false, "schema": schema})
	}
	content := object{}
	switch {
	case route.answer != nil:
		content["application/json"] = object{"schema": d.Schema(reflect.TypeOf(route.answer))}
	case route.media == "application/json":
		content[route.media] = object{"schema": object{}}
	default:
		content[route.media] = object{"schema": object{"type": "string", "format": "binary"}}
	}
	status := route.status
	if status == 0 {
		status = http.StatusOK
	}
	op := object{
		"summary": route.text, "parameters": params,
		"responses": object{
			strconv.Itoa(status): object{"description": http.StatusText(status), "content": content},
			"default":            object{"description": "a problem", "content": object{"application/problem+json": object{"schema": d.Schema(reflect.TypeFor[problemBody]())}}},
		},
	}
	if route.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.Schema(reflect.TypeOf(route.body))}}}
	}
	return op
}

func (s *server) apiSchema(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if !slices.Contains(schema.Names(), name) {
		return &refusedError{http.StatusNotFound, errors.New("no schema is called " + report.Short(name, 64) + filter.Nearest(name, schema.Names()))}
	}
	body, err := schema.JSON(name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/schema+json")
	s.write(w, body)
	return nil
}

func (s *server) apiDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.write(w, s.description)
}
