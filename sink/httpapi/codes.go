package httpapi

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// codesView explains the codes of the rule set.
type codesView struct {
	view
	Def    *rules.Definition
	Listed []*rules.Rule // that are not withdrawn
}

// codeAnswer is what a rule says for a class.
type codeAnswer struct{ Target, Verdict, Confidence string }

func (s *server) codes(w http.ResponseWriter, r *http.Request, stored View) error {
	page := &codesView{view: s.viewOf(r, languageOf(r).Say("Rules"), "Rules", stored.Summary()), Def: s.o.Rules()}
	for i := range page.Def.Rules {
		if rule := &page.Def.Rules[i]; !rule.Withdrawn {
			page.Listed = append(page.Listed, rule)
		}
	}
	s.page(w, r, http.StatusOK, "rules", page)
	return nil
}

// Answers are what a rule says for each class that it judges.
func (v *codesView) Answers(rule *rules.Rule) []codeAnswer {
	var out []codeAnswer
	for _, target := range rules.Classes() {
		if verdict := rule.Verdicts[target]; verdict != "" {
			out = append(out, codeAnswer{target, verdict, cmp.Or(rule.ConfidenceAt[target], rule.Confidence)})
		}
	}
	return out
}

// What is the text of a remedy, which here belongs to no verdict.
func (v *codesView) What(remedy rules.RemedyDef) string {
	return strings.ReplaceAll(remedy.Text, "{to}", v.lang.Say("the release that a verdict names"))
}

// checkTexts writes the checks of a record out.
func (s *server) checkTexts(rec *record.Record) map[string]string {
	out := map[string]string{}
	if s.o.Rules == nil {
		return out
	}
	def := s.o.Rules()
	for i := range rec.Verdicts {
		for _, id := range rec.Verdicts[i].Checks {
			out[id] = def.Checks[id]
		}
	}
	return out
}
