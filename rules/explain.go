package rules

import "strings"

// Seen is one string that was looked at and what it says.
type Seen struct {
	Field    string   `json:"field"`
	Text     string   `json:"text"`
	Evidence Evidence `json:"evidence"`
	Says     string   `json:"says"`
}

// Considered is one rule that was tried for a target.
type Considered struct {
	Rule    string `json:"rule"`
	Stage   string `json:"stage"`
	Outcome string `json:"outcome"` // "matches", "matches a part …", "no: " and the first condition that does not hold
	Won     bool   `json:"won,omitempty"`
}

// TargetExplanation is what was considered for one target.
type TargetExplanation struct {
	Target     string       `json:"target"`
	Verdict    Level        `json:"verdict"`
	Confidence Confidence   `json:"confidence"`
	Winner     string       `json:"winner"`
	Why        string       `json:"why"`
	Considered []Considered `json:"considered"`
}

// Explanation says how a classification came about.
type Explanation struct {
	Seen           []Seen              `json:"seen"`
	Machine        Machine             `json:"machine"`
	Classification *Classification     `json:"classification"`
	Targets        []TargetExplanation `json:"targets"`
	Evidence       []Held              `json:"evidence"`
	Digest         string              `json:"ruleset"`
}

// Explain classifies facts and keeps account of every rule that was considered.
func (r *Ruleset) Explain(facts *Facts, targets []Target) *Explanation {
	if len(targets) == 0 {
		targets = DefaultTargets()
	}
	id := facts.identify()
	profile := r.profile(facts, &id)
	out := &Explanation{Machine: profile.machine, Digest: r.digest, Targets: make([]TargetExplanation, len(targets))}
	at := map[string]int{}
	for i := range targets {
		at[targets[i].ID] = i
	}
	out.Classification = r.evaluate(&profile, &id, targets, func(t *Target, rl *rule, what string) {
		te := &out.Targets[at[t.ID]]
		for i := range te.Considered {
			if c := &te.Considered[i]; c.Rule == rl.src.ID {
				if what[0] != 'n' { // tried again for a contradicting identity
					c.Outcome = what
				}
				return
			}
		}
		te.Considered = append(te.Considered, Considered{Rule: rl.src.ID, Stage: rl.stage, Outcome: what})
	})
	for i := range out.Targets {
		verdict, te := &out.Classification.Verdicts[i], &out.Targets[i]
		te.Target, te.Verdict, te.Confidence, te.Winner, te.Why = verdict.Target, verdict.Level, verdict.Confidence, verdict.Rule, verdict.Reason
		for j := range te.Considered {
			te.Considered[j].Won = te.Considered[j].Rule == verdict.Rule
		}
	}
	for _, c := range facts.claims(nil) {
		out.Seen = append(out.Seen, Seen{Field: c.field, Text: c.text, Evidence: c.evidence, Says: c.says()})
	}
	out.Evidence = r.held(facts, &profile, targets, out.Classification)
	return out
}

// says is the claim in a few words.
func (c *claim) says() string {
	family := c.Family
	if c.el > 0 {
		family = "an Enterprise Linux kernel"
	}
	var text strings.Builder
	for _, part := range []struct{ label, text string }{{" ", c.Version}, {" service pack ", c.ServicePack}, {" ", c.Edition}, {" ", c.Arch}} {
		if part.text != "" {
			text.WriteString(part.label + part.text)
		}
	}
	for i := range c.Also {
		text.WriteString(" and " + osName(c.Also[i].Family, c.Also[i].Version, c.Also[i].ServicePack))
	}
	family += text.String()
	if c.Unreal {
		family += " (and a version that the table of releases does not list)"
	}
	return family
}
