package catalog_test

import (
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

func TestDefaultCompiles(t *testing.T) {
	r, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range catalog.Warnings(r) {
		t.Error(w)
	}
	c := r.NewClassifier(nil)
	cl := c.Classify(&rules.Facts{Name: "CentOS  5.8 64位"})
	t.Logf("%+v", cl)
}
