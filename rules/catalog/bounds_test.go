package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// Who wrote a rule file reads which file is at fault, where, and every mistake in
// the order of its lines.
func TestMistakesAreWrittenWithTheirPlace(t *testing.T) {
	for want, mistake := range map[string]catalog.Mistake{
		"rules: a":                  {Text: "a"},
		"rules line 1: b":           {Line: 1, Text: "b"},
		"rules overlay 1: c":        {Document: 1, Text: "c"},
		"rules overlay 2 line 7: d": {Document: 2, Line: 7, Text: "d"},
	} {
		if got := (catalog.Error{mistake}).Error(); got != want {
			t.Errorf("%+v is written %q", mistake, got)
		}
	}
	_, err := catalog.Load([]byte("version: 1\n"), []byte("version: 1\nruls: &a {id: x, colour: red, shape: round}\nrulz: []\nrules: [*a]\n"))
	want := `rules overlay 2 line 2: field ruls not found in Definition
rules overlay 2 line 2: field colour not found in Rule
rules overlay 2 line 2: field shape not found in Rule
rules overlay 2 line 3: field rulz not found in Definition`
	if err == nil {
		t.Fatal("taken")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A fixture has two forms, and a mistake in it is named by what it is in.
	_, err = catalog.Load([]byte("version: 1\nrules:\n  - {id: a, fire: [{os_nam: x, colour: red}], hold: [[]]}\n"))
	if err == nil {
		t.Fatal("a fixture with fields that nobody knows is taken")
	}
	want = `rules overlay 1 line 3: field os_nam not found in observation
rules overlay 1 line 3: field colour not found in observation
rules overlay 1 line 3: cannot unmarshal !!seq into observation`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whoever misspells a stage is told of every one that there is.
func TestAStageThatNobodyKnowsNamesAllThatThereAre(t *testing.T) {
	_, err := catalog.Load([]byte("version: 1\nrules:\n  - {id: a.b, title: a, stage: quux, when: {family: [centos]}, verdicts: {kvm: compatible}, reason: a, source: legacy-page, fire: [CentOS 7], hold: [Debian 9]}\n"))
	if err == nil {
		t.Fatal("taken")
	}
	for _, stage := range []string{rules.StageOS, rules.StageNVMe, rules.StagePlatform, rules.StageFinding, rules.StageAdvisory, rules.StageObserved, rules.StageAnswer} {
		if !slices.Contains(strings.FieldsFunc(err.Error(), func(char rune) bool { return char == ' ' || char == ',' }), stage) {
			t.Errorf("%s is not named: %v", stage, err)
		}
	}
}

// A file of the largest size is read, and of a larger one nothing.
func TestTheLargestRuleFile(t *testing.T) {
	largest := []byte("#" + strings.Repeat("\n", 4<<20-1))
	for says, data := range map[string][]byte{"rules overlay 1: the file is empty": largest, "rules overlay 1: 4194305 bytes are more than the 4194304 a rule file may have": append(largest, '\n')} {
		if _, err := catalog.Load(data); err == nil || err.Error() != says {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
}

// Doubts have a line wherever the part that they are about is written, and none
// where a file that holds nothing is named beside it.
func TestDoubtsNameTheFileThatHoldsThePart(t *testing.T) {
	rule := func(id, versions string) string {
		return "\n  - {title: t, id: " + id + ", stage: os, when: {family: [kylin], version: \"" + versions + "\"}, verdicts: {kvm: unknown, shenlong-6: unknown, shenlong-7: unknown}, reason: r, source: own}"
	}
	document := "version: 1\nrules:" + rule("wide", "<10") + rule("narrow", "<9") + "\n"
	set := load(t, document)
	for name, others := range map[string][]string{"empty": {""}, "a list": {"[a]"}, "broken": {"{", "a: &a [*a]"}, "a text": {"rules"}} {
		overlays := [][]byte{}
		for _, other := range others {
			overlays = append(overlays, []byte(other))
		}
		got := catalog.Warnings(set, append(overlays, []byte(document))...)
		if len(got) != 1 || got[0].Document != len(others)+1 || got[0].Line != 4 {
			t.Errorf("%s before it: %+v, want one in line 4 of document %d", name, got, len(others)+1)
		}
	}
}

// Two overrides of one rule are two differences.
func TestEveryOverrideIsADifference(t *testing.T) {
	over, err := catalog.Whole([]byte(`version: 1
overrides:
  - {rule: ubuntu.11, verdicts: {shenlong-7: unknown}, reason: one}
  - {rule: ubuntu.11, verdicts: {shenlong-7: unknown}, reason: two}
  - {rule: ubuntu.11, verdicts: {shenlong-7: unknown}, reason: three}
`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := catalog.Diff(load(t), over)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, change := range list {
		got = append(got, change.Part+" "+change.New)
	}
	if diff := cmp.Diff([]string{"override ubuntu.11 one", "override ubuntu.11 (2) two", "override ubuntu.11 (3) three"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A page of a rule of one's own has no heading above nothing and no gap where a
// remedy has no steps.
func TestPagesOfRulesOfOnesOwn(t *testing.T) {
	page, err := catalog.Page(load(t, `version: 1
remedies:
  wait: {text: Wait for it., benefit: Nothing is to be done.}
  act: {text: Act., steps: [Begin., End.]}
rules:
  - {id: ours, title: t, stage: finding, when: {family: [kylin]}, verdicts: {kvm: unknown}, reason: r, source: own, remedies: [{id: wait}, {id: act}], hold: ["Ubuntu 20.04"]}
`), "ours")
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n## Remedies\n\n### wait\n\nWait for it.\n\nBenefit: Nothing is to be done.\n\n### act\n\nAct.\n\n1. Begin.\n2. End.\n"; !strings.Contains(page, want) {
		t.Errorf("no %q in:\n%s", want, page)
	}
	if strings.Contains(page, "## Fires on") || !strings.Contains(page, "## Does not fire on") {
		t.Errorf("a rule with one kind of fixtures:\n%s", page)
	}
}
