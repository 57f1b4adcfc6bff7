package rules

import (
	"reflect"
	"testing"
)

// eachField sets every field below v, one at a time, and calls check.
func eachField(v reflect.Value, path string, check func(name string)) {
	for i := range v.NumField() {
		f, name := v.Field(i), path+"."+v.Type().Field(i).Name
		old := reflect.New(f.Type()).Elem()
		old.Set(f)
		switch f.Kind() {
		case reflect.Struct:
			eachField(f, name, check)
			continue
		case reflect.String:
			f.SetString("x")
		default:
			f.SetUint(1)
		}
		check(name)
		f.Set(old)
	}
}

// Every field of Facts tells two Facts apart, in the hand-written comparisons
// of its two halves as in ==, and belongs to one half.
func TestSameLooksAtEveryField(t *testing.T) {
	var f Facts
	eachField(reflect.ValueOf(&f).Elem(), "Facts", func(name string) {
		h, none := f.Hardware(), Hardware{}
		software := !f.sameSoftware(&Facts{}) && !(&Facts{}).sameSoftware(&f)
		hardware := !h.same(&none) && !none.same(&h)
		if software == hardware {
			t.Errorf("%s: software differs: %t, hardware differs: %t", name, software, hardware)
		}
		if copied := f.clone(); copied != f {
			t.Errorf("%s is not cloned", name)
		}
		whole := *f.Software()
		if whole.Put(h); whole != f {
			t.Errorf("%s is lost between the halves", name)
		}
	})
	if h := f.Hardware(); !f.sameSoftware(&Facts{}) || !h.same(&Hardware{}) {
		t.Error("equal facts differ")
	}
}
