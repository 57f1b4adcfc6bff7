package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// codesView explains the codes of the rule set.
type codesView struct {
	view
	Rules    []codeRule
	Remedies []codeRemedy
	Checks   []fact
	Waivers  []rules.WaiverRule
}

type codeRule struct {
	ID, Title, Reason, Source string
	AsOf                      string
	Legacy                    bool
	Answers                   []codeAnswer
}

// codeAnswer is what a rule says for a class.
type codeAnswer struct{ Target, Verdict, Confidence string }

type codeRemedy struct {
	ID string
	rules.RemedyDef
}

func (s *server) codes(w http.ResponseWriter, r *http.Request, sv View) error {
	s.page(w, r, http.StatusOK, "rules", newCodes(s.viewOf(r, languageOf(r).Say("Rules"), "Rules", sv.Summary()), s.o.Rules()))
	return nil
}

func newCodes(view view, def *rules.Definition) *codesView {
	out := &codesView{view: view, Waivers: def.Waivers}
	for i := range def.Rules {
		rule := &def.Rules[i]
		if rule.Withdrawn {
			continue
		}
		code := codeRule{ID: rule.ID, Title: rule.Title, Reason: rule.Reason, Source: def.Sources[rule.Source], AsOf: def.RuleAsOf(rule), Legacy: rule.Legacy}
		for _, target := range rules.Classes() {
			if verdict := rule.Verdicts[target]; verdict != "" {
				confidence := rule.Confidence
				if at := rule.ConfidenceAt[target]; at != "" {
					confidence = at
				}
				code.Answers = append(code.Answers, codeAnswer{target, verdict, confidence})
			}
		}
		out.Rules = append(out.Rules, code)
	}
	for _, id := range slices.Sorted(maps.Keys(def.Remedies)) {
		remedy := def.Remedies[id]
		remedy.Text = strings.ReplaceAll(remedy.Text, "{to}", view.lang.Say("the release that a verdict names")) // here is no verdict
		out.Remedies = append(out.Remedies, codeRemedy{id, remedy})
	}
	for _, id := range slices.Sorted(maps.Keys(def.Checks)) {
		out.Checks = append(out.Checks, fact{id, def.Checks[id]})
	}
	return out
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
