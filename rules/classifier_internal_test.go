package rules

import (
	"reflect"
	"testing"
)

// Every field of Facts tells two Facts apart, in the hand-written comparison
// as in ==.
func TestSameLooksAtEveryField(t *testing.T) {
	var walk func(base *Facts, v reflect.Value, path string)
	walk = func(base *Facts, v reflect.Value, path string) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+"."+v.Type().Field(i).Name
			old := reflect.New(f.Type()).Elem()
			old.Set(f)
			switch f.Kind() {
			case reflect.Struct:
				walk(base, f, name)
				continue
			case reflect.String:
				f.SetString("x")
			default:
				f.SetUint(1)
			}
			if base.same(&Facts{}) || (&Facts{}).same(base) {
				t.Errorf("%s is not compared", name)
			}
			copied := base.clone()
			if copied != *base || !base.same(&copied) {
				t.Errorf("%s is not cloned", name)
			}
			f.Set(old)
		}
	}
	var f Facts
	walk(&f, reflect.ValueOf(&f).Elem(), "Facts")
	if !f.same(&Facts{}) {
		t.Error("equal facts differ")
	}
}
