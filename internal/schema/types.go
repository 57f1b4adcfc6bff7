package schema

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// Object is a JSON object of a schema.
type Object = map[string]any

// Types describes Go types as encoding/json writes them, in the dialect of
// OpenAPI 3.0. Structs are named, and described once.
type Types struct {
	prefix  string // of references to named schemas
	schemas Object
	seen    map[reflect.Type]string
	words   map[reflect.Type][]string // that there are, of types that are written as one of a few words
}

// NewTypes returns Types whose references begin with prefix.
func NewTypes(prefix string) *Types {
	return &Types{prefix: prefix, schemas: Object{}, seen: map[reflect.Type]string{}}
}

// Named are the schemas that references name.
func (d *Types) Named() Object { return d.schemas }

// Schema describes how encoding/json writes a type.
func (d *Types) Schema(goType reflect.Type) Object {
	switch {
	case d.words[goType] != nil:
		return Object{"type": "string", "enum": d.words[goType]}
	case goType == reflect.TypeFor[time.Time]():
		return Object{"type": "string", "format": "date-time"}
	case goType.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return Object{"type": "string"}
	case goType.Implements(reflect.TypeFor[json.Marshaler]()):
		return Object{}
	}
	switch goType.Kind() {
	case reflect.Pointer:
		s := d.Schema(goType.Elem())
		if ref, ok := s["$ref"]; ok {
			s = Object{"allOf": []Object{{"$ref": ref}}}
		}
		s["nullable"] = true
		return s
	case reflect.Bool:
		return Object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return Object{"type": "number"}
	case reflect.String:
		return Object{"type": "string"}
	case reflect.Slice, reflect.Array:
		return Object{"type": "array", "items": d.Schema(goType.Elem()), "nullable": true}
	case reflect.Func:
		if goType.CanSeq() { // an array that is never held as a whole
			return Object{"type": "array", "items": d.Schema(goType.In(0).In(0))}
		}
		return Object{}
	case reflect.Map:
		return Object{"type": "object", "additionalProperties": d.Schema(goType.Elem()), "nullable": true}
	case reflect.Struct:
		return d.ref(goType)
	default:
		return Object{}
	}
}

// ref names the schema of a struct, once.
func (d *Types) ref(goType reflect.Type) Object {
	name, ok := d.seen[goType]
	if !ok {
		name = goType.Name()
		if _, taken := d.schemas[name]; taken {
			pkg := goType.PkgPath()
			name = pkg[strings.LastIndex(pkg, "/")+1:] + "." + name
		}
		d.seen[goType] = name
		d.schemas[name] = Object{} // a type may hold itself
		props, required := Object{}, []string{}
		d.fields(goType, props, &required)
		s := Object{"type": "object", "properties": props}
		if len(required) > 0 {
			s["required"] = required
		}
		d.schemas[name] = s
	}
	return Object{"$ref": d.prefix + name}
}

func (d *Types) fields(t reflect.Type, props Object, required *[]string) {
	for structField := range fieldsOf(t) {
		tag, options, _ := strings.Cut(structField.Tag.Get("json"), ",")
		if structField.Anonymous && tag == "" {
			inner := structField.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct {
				d.fields(inner, props, required)
				continue
			}
		}
		if tag == "-" || !structField.IsExported() {
			continue
		}
		if tag == "" {
			tag = structField.Name
		}
		if _, outer := props[tag]; outer {
			continue // the outer field is the one that is written
		}
		props[tag] = d.Schema(structField.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, tag)
		}
	}
}

// fieldsOf ranges over the fields of a struct, its own before those of what it
// embeds.
func fieldsOf(goType reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, embedded := range []bool{false, true} {
			for f := range goType.Fields() {
				if f.Anonymous == embedded && !yield(f) {
					return
				}
			}
		}
	}
}
