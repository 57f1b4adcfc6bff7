package catalog_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// ruleText is a text in English and where it stands.
type ruleText struct{ text, at string }

// ruleTexts are the texts of the rule set.
func ruleTexts(t *testing.T) []ruleText {
	t.Helper()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	def := rs.Definition()
	var out []ruleText
	add := func(at string, texts ...string) {
		for _, s := range texts {
			if s != "" {
				out = append(out, ruleText{strings.ReplaceAll(s, "{to}", "5.11"), at})
			}
		}
	}
	for id, m := range def.Remedies {
		add("remedy "+id, m.Text, m.Benefit, m.Drawback)
		add("remedy "+id, m.Steps...)
	}
	for id, s := range def.Checks {
		add("check "+id, s)
	}
	for id, s := range def.Sources {
		add("source "+id, s)
	}
	for i := range def.Rules {
		u := &def.Rules[i]
		add("rule "+u.ID, u.Title, u.Reason)
		for _, s := range u.Reasons {
			add("rule "+u.ID, s)
		}
		for _, m := range u.Remedies {
			add("rule "+u.ID, m.Note)
		}
	}
	return out
}

func TestEveryTextOfTheRuleSetIsInChinese(t *testing.T) {
	told := map[string]bool{}
	for _, f := range ruleTexts(t) {
		if !lang.Chinese.Knows(f.text) && !told[f.text] {
			told[f.text] = true
			t.Errorf("%s: %q has no Chinese: add a line to internal/lang/zh/rules.tsv (docs/ADDING.md, \"A text\")", f.at, f.text)
		}
	}
}

// What the rules put together of their texts is Chinese as a whole: for every
// observation of the rule set's own fixtures and for names that tell half, on
// every target.
func TestEveryReasonIsInChinese(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	targets := rules.DefaultTargets()
	for _, name := range []string{"ecs.g8i", "ecs.g8y", "ecs.hfg6", "ecs.g6a", "ecs.ebmg6a", "ecs.g9z", "ecs.i4", "ecs.c6"} {
		target, err := rs.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	classifier := rs.NewClassifier(targets)
	var facts []rules.Facts
	def := rs.Definition()
	for i := range def.Rules {
		for _, o := range slices.Concat(def.Rules[i].Fire, def.Rules[i].Hold) {
			facts = append(facts, o.Facts())
		}
	}
	told := map[string]bool{}
	check := func(what, s string) {
		if s != "" && !lang.Chinese.Knows(s) && !told[s] {
			told[s] = true
			t.Errorf("%s: %q has no Chinese: add what is missing of it to internal/lang/zh/rules.tsv", what, s)
		}
	}
	n := 0
	for i := range facts {
		f := &facts[i]
		c := classifier.Classify(f)
		for i := range c.Verdicts {
			v := &c.Verdicts[i]
			for j := range v.Findings {
				n++
				check(v.Findings[j].Rule, v.Findings[j].Reason)
			}
			for j := range v.Remedies {
				check(v.Remedies[j].ID, v.Remedies[j].Text)
			}
		}
		for _, te := range rs.Explain(f, targets[:4]).Targets {
			for _, k := range te.Considered {
				check("outcome of "+k.Rule, k.Outcome)
			}
		}
	}
	if n < 5000 {
		t.Fatalf("only %d findings were looked at", n)
	}
}

// A text and its translation name the same numbers, versions and commands: what
// is certain in one is not something else in the other.
func TestChineseOfRulesNamesTheSameThings(t *testing.T) {
	exact := regexp.MustCompile(`[0-9][0-9A-Za-z.]*[0-9A-Za-z]|[0-9]|[A-Za-z_./+-]*[_/=][A-Za-z0-9_./=+-]*`)
	all, err := lang.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.File != "rules" {
			continue
		}
		for _, thing := range exact.FindAllString(e.English, -1) {
			thing = strings.TrimRight(strings.TrimSuffix(thing, "th"), ".,;")
			number := map[string]string{"4": "四", "5": "五", "6": "六", "7": "七", "8": "八"}[thing]
			if !strings.Contains(e.Chinese, thing) && (number == "" || !strings.Contains(e.Chinese, "第"+number+"代")) && thing != "/" {
				t.Errorf("rules.tsv:%d: %q is not in the Chinese of %q", e.Line, thing, e.English)
			}
		}
	}
}
