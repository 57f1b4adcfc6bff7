package rules

import (
	"reflect"
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
