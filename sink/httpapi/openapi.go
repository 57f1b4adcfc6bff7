package httpapi

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object of the description.
type object = map[string]any

// describe makes the OpenAPI description of the routes: addresses, parameters
// and the schemas of answers, from the types that they are encoded from.
func describe(routes []route, version string) ([]byte, error) {
	d := &describer{schemas: object{}, seen: map[reflect.Type]string{}}
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
		"paths": paths, "components": object{"schemas": d.schemas},
	})
}

type describer struct {
	schemas object
	seen    map[reflect.Type]string
}

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
		content["application/json"] = object{"schema": d.schema(reflect.TypeOf(r.answer))}
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
			"default":            object{"description": "a problem", "content": object{"application/problem+json": object{"schema": d.schema(reflect.TypeFor[problemBody]())}}},
		},
	}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(r.body))}}}
	}
	return op
}

// schema describes how encoding/json writes a type.
func (d *describer) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := d.schema(t.Elem())
		if ref, ok := s["$ref"]; ok {
			s = object{"allOf": []object{{"$ref": ref}}}
		}
		s["nullable"] = true
		return s
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": d.schema(t.Elem()), "nullable": true}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem()), "nullable": true}
	case reflect.Struct:
		return d.ref(t)
	default:
		return object{}
	}
}

// ref names the schema of a struct, once.
func (d *describer) ref(t reflect.Type) object {
	name, ok := d.seen[t]
	if !ok {
		name = t.Name()
		if _, taken := d.schemas[name]; taken {
			pkg := t.PkgPath()
			name = pkg[strings.LastIndex(pkg, "/")+1:] + "." + name
		}
		d.seen[t] = name
		d.schemas[name] = object{} // a type may hold itself
		props, required := object{}, []string{}
		d.fields(t, props, &required)
		s := object{"type": "object", "properties": props}
		if len(required) > 0 {
			s["required"] = required
		}
		d.schemas[name] = s
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (d *describer) fields(t reflect.Type, props object, required *[]string) {
	for f := range fieldsOf(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				d.fields(inner, props, required)
				continue
			}
		}
		if tag == "-" || !f.IsExported() {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		if _, outer := props[tag]; outer {
			continue // the outer field is the one that is written
		}
		props[tag] = d.schema(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, tag)
		}
	}
}

// fieldsOf ranges over the fields of a struct, its own before those of what it
// embeds.
func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, embedded := range []bool{false, true} {
			for f := range t.Fields() {
				if f.Anonymous == embedded && !yield(f) {
					return
				}
			}
		}
	}
}

func (s *server) apiDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.write(w, s.description)
}
