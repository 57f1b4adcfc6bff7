package rules_test

import (
	"fmt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

func Example() {
	r, err := catalog.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	c := r.NewClassifier(rules.DefaultTargets())
	got := c.Classify(&rules.Facts{OSName: "CentOS  5.8 64位"})
	fmt.Println(got.OS.Family, got.OS.Version, "legacy:", got.Legacy)
	for _, v := range got.Verdicts {
		fmt.Println(v.Target, v.Level, v.Rule)
	}
	// Output:
	// centos 5.8 legacy: true
	// kvm compatible el5.release
	// shenlong-6 incompatible el5.release
	// shenlong-7 incompatible el5.release
	// shenlong-8 incompatible el5.release
}
