package catalog_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/catalog"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	base := load(t)
	if got, err := catalog.Diff(base, load(t)); err != nil || len(got) != 0 {
		t.Errorf("a rule set differs from itself: %v, %v", got, err)
	}
	document := string(catalog.Document())
	changed := document
	for _, r := range [][2]string{
		{`version: ">=7 <7.6"`, `version: ">=7 <7.5"`},
		{`version: ">=7.6 <8"}`, `version: ">=7.5 <8"}`}, // a list of systems
		{`version: ">=7.6 <8"}` + "\n    verdicts", `version: ">=7.5 <8"}` + "\n    verdicts"},
		{"Restart the instance before the move and see", "Restart it and see"},
		{`"15.0": "2026-09-30"`, `"15.0": "2027-09-30"`},
	} {
		if !strings.Contains(changed, r[0]) {
			t.Fatalf("the document does not hold %q", r[0])
		}
		changed = strings.Replace(changed, r[0], r[1], 1)
	}
	changed += `
families:
  - {family: ecs.zz9, generation: 9, virtualization: shenlong, type_change_to: [ecs.g8i]}
`
	newer, err := catalog.Whole([]byte(changed))
	if err != nil {
		t.Fatal(err)
	}
	list, err := catalog.Diff(base, newer)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range list {
		lines = append(lines, c.String())
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"systems accepted-8th: centos, rhel, oracle: is: >=7.6 <8 -> >=7.5 <8", "rule el7.early: when.version: >=7 <7.6 -> >=7 <7.5", "check restart: is: Restart the instance", "end of support freebsd 15.0: is: 2026-09-30 -> 2027-09-30",
		"family ecs.zz9: added", "type change ecs.zz9: added: ecs.g8i",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if len(list) != 7 {
		t.Errorf("%d differences, want 7:\n%s", len(list), text)
	}
	over, err := catalog.Whole([]byte(overlay))
	if err != nil {
		t.Fatal(err)
	}
	list, err = catalog.Diff(base, over)
	if err != nil || len(list) != 4 { // a source, a rule, an override, a family
		t.Errorf("an overlay: %v, %v", list, err)
	}
	back, err := catalog.Diff(over, base)
	if err != nil || len(back) != len(list) {
		t.Errorf("the other way round: %v, %v", back, err)
	}
}
