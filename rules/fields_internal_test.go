package rules

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"
)

// Each field of what is known of a system stands once in the lists that messages
// and the store go by: one that they forgot would be lost on its way.
func TestTheListsHoldEveryFieldOfASystem(t *testing.T) {
	hardware := reflect.TypeFor[Hardware]()
	var visit func(index []int, typ reflect.Type)
	fields := 0
	visit = func(index []int, typ reflect.Type) {
		for i := range typ.NumField() {
			field := typ.Field(i)
			at := append(append([]int{}, index...), i)
			if field.Type.Kind() == reflect.Struct {
				visit(at, field.Type)
				continue
			}
			if _, machine := hardware.FieldByName(field.Name); machine && len(index) == 0 {
				continue
			}
			fields++
			var changed Facts
			value := reflect.ValueOf(&changed).Elem().FieldByIndex(at)
			listed := 0
			if field.Type.Kind() == reflect.String {
				value.SetString("x")
			} else {
				value.SetUint(1)
			}
			for _, text := range changed.Texts() {
				if *text != "" {
					listed++
				}
			}
			for _, tri := range changed.Tris() {
				if *tri != Unobserved {
					listed++
				}
			}
			if listed != 1 && field.Type != reflect.TypeFor[ImagePresence]() {
				t.Errorf("%s.%s stands %d times in Texts and Tris, want once", typ.Name(), field.Name, listed)
			}
		}
	}
	visit(nil, reflect.TypeFor[Facts]())
	if want := len(new(Facts).Texts()) + len(new(Facts).Tris()) + 1; fields != want {
		t.Errorf("%d fields, and %d in the lists with the presence of the image", fields, want)
	}
}

// Each field of an observation, as fixtures and `shenscan classify` spell it, changes
// the facts that it stands for: one that is read and forgotten would let a fixture
// hold, or a user be told something, for another reason than is written there.
func TestEveryFieldOfAnObservationIsAFact(t *testing.T) {
	observation := reflect.TypeFor[Observation]()
	for field := range observation.Fields() {
		var o Observation
		value := reflect.ValueOf(&o).Elem().FieldByIndex(field.Index)
		switch {
		case field.Tag.Get("json") == "-": // what is asked, and no fact
			continue
		case field.Type.Kind() == reflect.String:
			value.SetString("x")
		case field.Type.Kind() == reflect.Bool:
			value.SetBool(true)
		default:
			value.SetUint(uint64(Yes))
		}
		if o.Facts() == (Facts{}) {
			t.Errorf("Observation.%s is in no field that Observation.Facts fills (rules/definition.go)", field.Name)
		}
	}
}

// The schema that editors check rules with offers the facts that a rule may name,
// and no other.
func TestTheSchemaOffersTheFacts(t *testing.T) {
	document, err := os.ReadFile("catalog/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct {
				PropertyNames struct{ Enum []string }
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(document, &schema); err != nil {
		t.Fatal(err)
	}
	offered := schema.Defs["when"].Properties["facts"].PropertyNames.Enum
	if want := slices.Sorted(slices.Values(factNames[:])); !slices.Equal(want, slices.Sorted(slices.Values(offered))) {
		t.Errorf("facts of rules/facts.go: %v\noffered in rules/catalog/schema.json under when, facts: %v", want, offered)
	}
}
