package catalog_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

var update = flag.Bool("update", false, "write docs/rules anew")

func load(t testing.TB, overlays ...string) *rules.Ruleset {
	t.Helper()
	var docs [][]byte
	for _, o := range overlays {
		docs = append(docs, []byte(o))
	}
	r, err := catalog.Load(docs...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDefaultHasNoDoubts(t *testing.T) {
	for _, w := range catalog.Warnings(load(t)) {
		t.Error(w)
	}
}

func TestEveryRuleHasFixturesThatHold(t *testing.T) {
	r := load(t)
	n, failed := r.Test()
	for _, f := range failed {
		t.Error(f)
	}
	def := r.Definition()
	for i := range def.Rules {
		if u := &def.Rules[i]; len(u.Fire) == 0 || len(u.Hold) == 0 {
			t.Errorf("rule %s has no must-fire or no must-not-fire fixture", u.ID)
		}
	}
	t.Logf("%d rules, %d fixtures", len(def.Rules), n)
}

// docs/rules has one page for each rule and none besides, as the rules say
// them. go test -update writes them.
func TestPages(t *testing.T) {
	r := load(t)
	dir := filepath.Join("..", "..", "docs", "rules")
	def := r.Definition()
	want := map[string]string{"README.md": index(def)}
	for i := range def.Rules {
		page, err := catalog.Page(r, def.Rules[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		want[def.Rules[i].ID+".md"] = page
	}
	if *update {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("docs/rules/%s is of no rule", e.Name())
		}
	}
	for name, text := range want {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v; run go test ./rules/catalog -update", err)
		} else if string(b) != text {
			t.Errorf("docs/rules/%s is not what the rule says; run go test ./rules/catalog -update", name)
		}
	}
}

// A page says what each comparison of image, machine and target means: only the
// architecture and the boot mode are one thing of both that differs.
func TestPagesSayWhatIsCompared(t *testing.T) {
	r := load(t)
	def := r.Definition()
	for i := range def.Rules {
		kind := def.Rules[i].When.Mismatch
		page, err := catalog.Page(r, def.Rules[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if differs := strings.Contains(page, "of image or machine is not that of the target"); differs != (kind == "arch" || kind == "boot-mode") {
			t.Errorf("%s compares %q, and its page says of one thing of both that it differs: %t", def.Rules[i].ID, kind, differs)
		}
	}
}

func index(def *rules.Definition) string {
	var b strings.Builder
	b.WriteString("# Rules\n\nEvery reason that shenscan gives, in the order in which they are tried. Written from rules/catalog/catalog.yaml.\n\n")
	classes := rules.Classes()
	b.WriteString("| rule | what | " + strings.Join(classes, " | ") + " | legacy |\n| --- | --- |" + strings.Repeat(" --- |", len(classes)+1) + "\n")
	for i := range def.Rules {
		u := &def.Rules[i]
		legacy := ""
		if u.Legacy {
			legacy = "yes"
		}
		b.WriteString("| [" + u.ID + "](" + u.ID + ".md) | " + u.Title + " |")
		for _, class := range classes {
			b.WriteString(" " + u.Verdicts[class] + " |")
		}
		b.WriteString(" " + legacy + " |\n")
	}
	b.WriteString(`
## Rules of your own

A file given by --rules is laid over these. It may add rules (tried before the built-in ones), override the verdict of a rule,
waive verdicts for some instances until a date, and add instance families:

` + "```yaml\n" + overlay + strings.TrimPrefix(waiver, "version: 1\n") + "```\n" + `
` + "`shenscan rules validate FILE` names every mistake with its line, `shenscan rules test FILE` runs the fixtures, and `shenscan rules schema`" + `
prints the JSON Schema for editors (` + "`# yaml-language-server: $schema=…`" + `). A verdict on a class of SHENLONG is never milder than on the one before it: a rule
that says otherwise is refused, and a waiver that would have that effect is not applied. Rule ids are never used again; a withdrawn rule keeps
its id with ` + "`withdrawn: true`" + `.
`)
	return b.String()
}

const overlay = `version: 1
sources: {ours: "Our own trial of March 2026"}
rules:
  - id: ours.kylin
    title: Kylin V10 on our golden image
    stage: os
    when: {family: [kylin], version: "10"}
    verdicts: {kvm: compatible, shenlong-6: compatible, shenlong-7: unknown}
    confidence: medium
    reason: It was tried on ecs.g6.
    source: ours
    fire: ["Kylin V10"]
    hold: ["Kylin V4"]
overrides:
  - {rule: ubuntu.11, verdicts: {shenlong-6: needs-action, shenlong-7: unknown}, reason: We tried it.}
families:
  - {family: ecs.zz9, generation: 9, virtualization: shenlong, arch: x86_64, vendor: intel, nvme: required}
`

const waiver = `version: 1
waivers:
  - id: lab
    scope: {tags: {env: lab}, accounts: ["111"]}
    rules: [el5.release]
    until: "2026-12-31"
    reason: The lab is shut down at the end of the year.
`

func TestOverlay(t *testing.T) {
	r := load(t, overlay)
	c := r.NewClassifier(nil)
	cl := c.Classify(&rules.Facts{OSName: "Kylin V10"})
	if v := cl.Verdicts[1]; v.Level != rules.Compatible || v.Rule != "ours.kylin" || v.Source != "Our own trial of March 2026" {
		t.Errorf("added rule: %+v", v)
	}
	if v := c.Classify(&rules.Facts{OSName: "Ubuntu 11.04"}).Verdicts[1]; v.Level != rules.NeedsAction || v.Reason != "We tried it." {
		t.Errorf("override: %+v", v)
	}
	if target, err := r.ParseTarget("ecs.zz9.large"); err != nil || target.Class != rules.ClassShenlong8 || target.NVMe != "required" {
		t.Errorf("added family: %+v, %v", target, err)
	}
	// What a row leaves out is what the name says, and no guess: most families are x86.
	for name, arch := range map[string]string{"ecs.g9y": "arm64", "ecs.g9i": "x86_64", "ecs.g8y": "arm64", "ecs.zz8": ""} {
		own := load(t, "version: 1\nfamilies:\n  - {family: "+name+", generation: 9, virtualization: shenlong}\n")
		if target, err := own.ParseTarget(name); err != nil || target.Arch != arch {
			t.Errorf("%s added without its architecture: %+v, %v", name, target, err)
		}
	}
	if load(t).Digest() == r.Digest() || load(t, overlay).Digest() != r.Digest() || len(r.Digest()) != 12 {
		t.Error("the digest does not follow the rules")
	}
}

func TestWaiver(t *testing.T) {
	c := load(t, waiver).NewClassifier(nil)
	if !c.HasWaivers() || load(t).NewClassifier(nil).HasWaivers() {
		t.Error("HasWaivers")
	}
	cl := c.Classify(&rules.Facts{OSName: "CentOS 5.8"})
	lab := func(key string) (string, bool) { return "lab", key == "env" }
	in := rules.Waivable{Account: "111", Tags: lab, Today: "2026-12-31"}
	got := c.Waive(cl, in)
	if got == cl || got.Verdicts[1].Level != rules.Compatible || got.Verdicts[2].Level != rules.Compatible {
		t.Errorf("not waived: %+v", got.Verdicts[1])
	}
	if w := got.Verdicts[1].Waiver; w == nil || w.Was != rules.Incompatible || w.Until != "2026-12-31" || w.ID != "lab" || w.Reason == "" {
		t.Errorf("waiver: %+v", w)
	}
	if cl.Verdicts[1].Level != rules.Incompatible || cl.Verdicts[1].Waiver != nil {
		t.Error("the shared classification was changed")
	}
	for name, w := range map[string]rules.Waivable{
		"another account": {Account: "222", Tags: lab, Today: "2026-12-31"},
		"no tags":         {Account: "111", Today: "2026-12-31"},
		"too late":        {Account: "111", Tags: lab, Today: "2027-01-01"},
	} {
		if c.Waive(cl, w) != cl {
			t.Errorf("%s: waived", name)
		}
	}
	xen := c.Classify(&rules.Facts{OSName: "CentOS 5.8", InstanceType: "ecs.t1.small"})
	if got := c.Waive(xen, in); got.Verdicts[1].Level == rules.Compatible {
		t.Error("a waiver for one rule set another reason aside")
	}
	if n := testing.AllocsPerRun(100, func() { c.Waive(cl, rules.Waivable{Account: "222", Tags: lab, Today: "2026-12-31"}) }); n != 0 {
		t.Errorf("a waiver that does not match costs %v allocations", n)
	}
}

func TestWaiverIsNeverMilderOnALaterClass(t *testing.T) {
	c := load(t, `version: 1
waivers: [{id: w, scope: {accounts: ["1"]}, targets: [shenlong-7, shenlong-8], until: "2030-01-01", reason: r}]
`).NewClassifier(nil)
	got := c.Waive(c.Classify(&rules.Facts{OSName: "CentOS 5.8"}), rules.Waivable{Account: "1", Today: "2026-01-01"})
	for _, v := range got.Verdicts[2:] {
		if v.Level != rules.Incompatible || v.Waiver != nil {
			t.Errorf("%+v", v)
		}
	}
}

// mistakes are documents that must be refused, with the line that is at fault.
var mistakes = []struct {
	name, doc, says string
	line            int
	meaning         bool // the form is right, the meaning is not
}{
	{"unknown field", "version: 1\nruls: []\n", "ruls", 2, false},
	{"wrong version", "version: 2\n", "version is 2", 1, false},
	{"unknown field of a rule", "version: 1\nrules:\n  - id: a\n    colour: red\n", "colour", 4, false},
	{"unknown verdict", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: [centos]}\n    verdicts: {kvm: fine}\n    reason: r\n    source: own\n", `verdict "fine"`, 3, false},
	{"unknown class", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: [centos]}\n    verdicts: {g6: compatible}\n    reason: r\n    source: own\n", `"g6"`, 3, false},
	{"empty family", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: []}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", "when.family is empty", 3, false},
	{"unknown stage", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: late\n    when: {family: [centos]}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", `stage "late"`, 3, false},
	{"bad range", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: [centos], version: \"~5\"}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", "starts with none of", 3, false},
	{"unknown fact", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: finding\n    when: {family: [centos], facts: {mood: [\"yes\"]}}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", `fact "mood"`, 3, false},
	{"unknown family", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: [beos]}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", `family "beos"`, 3, true},
	{"unknown source", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: finding\n    when: {family: [centos]}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: hearsay\n", `source "hearsay"`, 3, true},
	{"unknown remedy", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: finding\n    when: {family: [centos]}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n    remedies: [{id: pray}]\n", `remedy "pray"`, 3, true},
	{"milder on the 7th", "version: 1\nrules:\n  - id: a\n    title: t\n    stage: os\n    when: {family: [kylin]}\n    verdicts: {kvm: unknown, shenlong-6: incompatible, shenlong-7: compatible}\n    reason: r\n    source: own\n", "milder on shenlong-7", 3, true},
	{"taken id", "version: 1\nrules:\n  - id: el6\n    title: t\n    stage: os\n    when: {family: [centos]}\n    verdicts: {kvm: unknown}\n    reason: r\n    source: own\n", "the id is taken", 3, true},
	{"override of nothing", "version: 1\noverrides:\n  - {rule: no.such, verdicts: {kvm: unknown}, reason: r}\n", `no rule "no.such"`, 3, true},
	{"waiver without end", "version: 1\nwaivers:\n  - {id: w, scope: {accounts: [a]}, until: soon, reason: r}\n", `until "soon"`, 3, false},
	{"waiver for all", "version: 1\nwaivers:\n  - {id: w, scope: {}, until: \"2027-01-01\", reason: r}\n", "the scope is empty", 3, false},
	{"bad family row", "version: 1\nfamilies:\n  - {family: ecs.q1, virtualization: bochs}\n", "virtualization", 3, false},
}

func TestMistakesNameTheirLine(t *testing.T) {
	t.Parallel()
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			_, err := catalog.Load([]byte(m.doc))
			var list catalog.Error
			if !errors.As(err, &list) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			if !slices.ContainsFunc(list, func(got catalog.Mistake) bool {
				return got.Line == m.line && got.Document == 1 && strings.Contains(got.Text, m.says)
			}) {
				t.Errorf("got %v, want line %d: …%s…", list, m.line, m.says)
			}
		})
	}
}

func TestNoDocument(t *testing.T) {
	for _, doc := range []string{"", "{", "[]", "version: 1\n---\nversion: 1\n", "a: &a [*a]", strings.Repeat("x", 5<<20)} {
		if _, err := catalog.Load([]byte(doc)); err == nil {
			t.Errorf("%.20q: accepted", doc)
		}
	}
}

func TestWarnings(t *testing.T) {
	doc := `version: 1
rules:
  - {id: one, title: t, stage: os, when: {family: [kylin], version: "<10"}, verdicts: {kvm: unknown, shenlong-6: unknown, shenlong-7: unknown}, reason: r, source: own}
  - {id: two, title: t, stage: os, when: {family: [kylin], version: ">=5 <20"}, verdicts: {kvm: unknown, shenlong-6: unknown, shenlong-7: unknown}, reason: r, source: own}
  - {id: three, title: t, stage: os, when: {family: [kylin], version: ">=6 <19"}, verdicts: {kvm: unknown, shenlong-6: unknown, shenlong-7: unknown}, reason: r, source: own}
`
	got := catalog.Warnings(load(t, doc), []byte(doc))
	var text []string
	for _, w := range got {
		text = append(text, w.Text)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"rule two: overlaps one", "rule three: can never fire"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
	for _, w := range got {
		if w.Line == 0 || w.Document != 1 {
			t.Errorf("%+v has no line", w)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(overlay))
	f.Add([]byte(waiver))
	for _, m := range mistakes {
		f.Add([]byte(m.doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := catalog.Load(doc)
		if err != nil {
			return
		}
		cl := r.NewClassifier(nil).Classify(&rules.Facts{OSName: "CentOS 5.8"})
		for i := 2; i < len(cl.Verdicts); i++ {
			if rules.Worse(cl.Verdicts[i-1].Level, cl.Verdicts[i].Level) != cl.Verdicts[i].Level {
				t.Errorf("milder on %s: %+v", cl.Verdicts[i].Target, cl.Verdicts)
			}
		}
	})
}
