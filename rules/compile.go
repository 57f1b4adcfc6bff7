package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/version"
)

// Ruleset is a compiled, immutable rule set. It is safe for concurrent use; a
// reload builds another and swaps it whole.
type Ruleset struct {
	def      Definition
	rules    []*rule
	byID     map[string]*rule
	byOS     map[string]map[string][]*rule // rules of the stages that judge systems, by stage and family, in order
	others   []*rule                       // findings and advisories, in order
	families *family.Table
	waivers  []waiver
	digest   string
	warnings []Problem
}

// Problem is a mistake or a doubt about a rule set, with the part that it is
// about ("rule el5.release", "waiver w1", "").
type Problem struct {
	Part string
	Text string
}

func (p Problem) String() string {
	if p.Part == "" {
		return p.Text
	}
	return p.Part + ": " + p.Text
}

// CompileErrors is the error of a rule set that does not compile: every
// mistake.
type CompileErrors []Problem

func (p CompileErrors) Error() string {
	out := make([]string, len(p))
	for i := range p {
		out[i] = p[i].String()
	}
	return "rules: " + strings.Join(out, "; ")
}

// rule is a compiled Rule.
type rule struct {
	src        *Rule
	stage      string
	index      int
	disabled   bool
	level      [classes]Level
	has        [classes]bool
	confidence [classes]Confidence
	confirmed  [classes][]fact // any of these makes the confidence high
	reason     [classes]string
	source     string
	match      matcher
}

// matcher is a compiled When.
type matcher struct {
	any           bool
	windows       Tri
	families      []famEdition
	versioned     bool
	missing       bool
	versions      interval
	edition, arch []string
	kernel        *kernelRange
	flavours      []string
	kernelNot     *version.Key
	owner         []string
	facts         []factMatch
	except        []system
	systems       []system
	mismatch      string
	source        *machineMatcher
	target        *machineMatcher
}

// system is a compiled OSMatch.
type system struct {
	match    matcher
	versions interval
}

type famEdition struct{ family, edition string }

type factMatch struct {
	fact    fact
	allowed [3]bool // by Tri
}

type machineMatcher struct {
	MachineMatch
	generation interval
	ranged     bool
}

// Compile checks def and makes it executable. The error is
// CompileErrors.
func Compile(def Definition, familyTable string) (*Ruleset, error) {
	ruleset := &Ruleset{def: def, byID: map[string]*rule{}}
	ruleset.def.Rules = slices.Clone(def.Rules)
	compiling := compiler{r: ruleset}
	compiling.families(familyTable)
	compiling.support()
	for i := range ruleset.def.Rules {
		ruleset.def.Rules[i].inherit()
		compiling.rule(&ruleset.def.Rules[i])
	}
	for i := range def.Overrides {
		compiling.override(&def.Overrides[i])
	}
	for i := range def.Waivers {
		compiling.waiver(&def.Waivers[i])
	}
	compiling.monotone()
	if len(compiling.problems) > 0 {
		return nil, compiling.problems
	}
	ruleset.index()
	ruleset.warnings = lint(ruleset)
	ruleset.digest = digest(&ruleset.def, familyTable)
	return ruleset, nil
}

// index sorts the rules by what they are tried for.
func (r *Ruleset) index() {
	r.byOS = map[string]map[string][]*rule{StageOS: {}, StageNVMe: {}, StagePlatform: {}}
	for _, rl := range r.rules {
		switch {
		case rl.disabled:
		case r.byOS[rl.stage] != nil:
			for _, f := range distro.Families() {
				if rl.match.mayBe(f) {
					r.byOS[rl.stage][f] = append(r.byOS[rl.stage][f], rl)
				}
			}
		case rl.stage != StageObserved && rl.stage != StageAnswer:
			r.others = append(r.others, rl)
		}
	}
}

// Digest identifies the effective rule set and the code that judges by it: 12
// hex digits. Where two digests are equal, so is every judgement.
func (r *Ruleset) Digest() string { return r.digest }

// Definition is the effective rule set as data. It must not be changed.
func (r *Ruleset) Definition() *Definition { return &r.def }

// Rule returns the rule of that id.
func (r *Ruleset) Rule(id string) (*Rule, bool) {
	rule, ok := r.byID[id]
	if !ok {
		return nil, false
	}
	return rule.src, true
}

// Warnings are rules that overlap or can never fire.
func (r *Ruleset) Warnings() []Problem { return slices.Clone(r.warnings) }

// Families is the table of instance families in force.
func (r *Ruleset) Families() *family.Table { return r.families }

// digest is over the rules, the families and the code that reads names and tries
// rules.
func digest(def *Definition, families string) string {
	hash := sha256.New()
	encoded, err := json.Marshal(def)
	if err != nil { // strings, numbers and maps of strings only
		encoded = []byte(err.Error())
	}
	hash.Write(encoded)
	hash.Write([]byte(families))
	hash.Write(code())
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

type compiler struct {
	r        *Ruleset
	problems CompileErrors
}

func (c *compiler) bad(part, format string, args ...any) {
	c.problems = append(c.problems, Problem{Part: part, Text: fmt.Sprintf(format, args...)})
}

func (c *compiler) families(table string) {
	var builder strings.Builder
	builder.WriteString(table)
	listed, err := family.ParseTable(table)
	if err != nil {
		c.bad("families", "%v", err)
		listed, _ = family.ParseTable("")
	}
	for i := range c.r.def.Families {
		familyRow := &c.r.def.Families[i]
		// What a row leaves out is what the table or, without it, the name says.
		before := listed.Lookup("", familyRow.Family)
		row := []string{
			familyRow.Family, fmt.Sprint(familyRow.Generation), familyRow.Class, familyRow.Virtualization, cmp.Or(familyRow.Arch, before.Arch, family.Unknown), cmp.Or(familyRow.Vendor, before.Vendor, family.Unknown),
			cmp.Or(familyRow.Lifecycle, "current"), cmp.Or(familyRow.NVMe, before.NVMe), cmp.Or(familyRow.Boot, before.Boot), cmp.Or(familyRow.Source, "overlay"), "",
		}
		change := strings.Join(familyRow.TypeChangeTo, " ")
		if familyRow.NoTypeChange {
			change = "none"
		}
		if strings.ContainsAny(strings.Join(row, "")+familyRow.Disks+change, "\t\n\r") {
			c.bad("family "+familyRow.Family, "a value holds a tab or line break")
			continue
		}
		text := "\n" + strings.Join(row, "\t")
		if change != "" {
			text += "\n" + familyRow.Family + "\t" + change
		}
		if familyRow.Disks != "" {
			text += "\n#disks\t" + familyRow.Disks + "\t" + row[9] + "\t" + familyRow.Family
		}
		if _, err := family.ParseTable(text); err != nil {
			c.bad("family "+familyRow.Family, "%v", err)
			continue
		}
		builder.WriteString(text)
	}
	t, err := family.ParseTable(builder.String())
	if err != nil {
		c.bad("families", "%v", err)
		t, _ = family.ParseTable("")
	}
	c.r.families = t
}

// support checks the days of sources and of the lifecycle table.
func (c *compiler) support() {
	for source, day := range c.r.def.Dated {
		if _, ok := c.r.def.Sources[source]; !ok {
			c.bad("", "dated: source %q is not in sources", source)
		}
		c.day("", "dated: "+source+":", day)
	}
	for family, byVersion := range c.r.def.EndOfSupport {
		for v, day := range byVersion {
			c.day("", "end_of_support: "+family+" "+v+":", day)
		}
	}
}

func (c *compiler) day(part, what, day string) {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		c.bad(part, "%s %q is no date such as 2027-03-31", what, day)
	}
}

// inherit gives a class of SHENLONG that the rule does not name what it says of
// the class before it.
func (r *Rule) inherit() {
	for _, m := range []*map[string]string{&r.Verdicts, &r.ConfidenceAt, &r.Reasons} {
		*m = maps.Clone(*m)
	}
	for class := ClassShenlong6 + 1; class < classes; class++ {
		earlier, later := (class - 1).String(), class.String()
		if _, named := r.Verdicts[later]; named {
			continue
		}
		for _, m := range []map[string]string{r.Verdicts, r.ConfidenceAt, r.Reasons} {
			if v, ok := m[earlier]; ok && m[later] == "" {
				m[later] = v
			}
		}
	}
}

func (c *compiler) rule(src *Rule) {
	part := "rule " + src.ID
	out := &rule{src: src, stage: src.Stage, index: len(c.r.rules), disabled: src.Withdrawn}
	switch {
	case !validID(src.ID):
		c.bad(part, "id %q: use lower-case letters, digits, dots and dashes", src.ID)
	case c.r.byID[src.ID] != nil:
		c.bad(part, "the id is used twice")
	}
	switch src.Stage {
	case StageOS, StageNVMe, StagePlatform, StageFinding, StageAdvisory, StageObserved, StageAnswer:
	default:
		c.bad(part, "stage %q is none of %s", src.Stage, strings.ReplaceAll(stageNames, " ", ", "))
	}
	if src.Reason == "" {
		c.bad(part, "no reason is given")
	}
	if s, ok := c.r.def.Sources[src.Source]; ok {
		out.source = s
	} else {
		c.bad(part, "source %q is not in sources", src.Source)
	}
	c.verdicts(part, out)
	c.remedies(part, src)
	c.when(part, &src.When, &out.match)
	c.r.rules = append(c.r.rules, out)
	c.r.byID[src.ID] = out
}

func validID(text string) bool {
	for i := 0; i < len(text); i++ {
		ch := text[i]
		if (ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && (ch != '.' && ch != '-' || i == 0) {
			return false
		}
	}
	return text != "" && len(text) <= 64
}

// byClass calls set with what a rule says for each class that it names.
func byClass[T any](c *compiler, part, field string, said map[string]T, set func(class Class, value T)) {
	for name, value := range said {
		if class, ok := parseClass(name); ok {
			set(class, value)
		} else {
			c.bad(part, "%s: %q is none of %s", field, name, ClassList())
		}
	}
}

// confidence is what a text says, and a mistake where it says none.
func (c *compiler) confidence(part, text string) Confidence {
	conf, err := ParseConfidence(text)
	if err != nil {
		c.bad(part, "%v", err)
	}
	return conf
}

func (c *compiler) verdicts(part string, out *rule) {
	everywhere := c.confidence(part, cmp.Or(out.src.Confidence, "medium"))
	for class := range classes {
		out.confidence[class], out.reason[class] = everywhere, out.src.Reason
	}
	byClass(c, part, "confidence_at", out.src.ConfidenceAt, func(class Class, value string) { out.confidence[class] = c.confidence(part, value) })
	byClass(c, part, "confirmed_by", out.src.ConfirmedBy, func(class Class, facts []string) {
		for _, f := range facts {
			known, ok := factNamed(f)
			if !ok {
				c.bad(part, "confirmed_by: fact %q is none of %s", f, strings.Join(factNames[:], ", "))
			}
			out.confirmed[class] = append(out.confirmed[class], known)
		}
	})
	if len(out.src.Verdicts) == 0 {
		c.bad(part, "no verdicts are given")
	}
	c.setVerdicts(part, out, out.src.Verdicts)
	byClass(c, part, "reasons", out.src.Reasons, func(class Class, value string) { out.reason[class] = value })
}

func (c *compiler) setVerdicts(part string, out *rule, verdicts map[string]string) {
	byClass(c, part, "verdicts", verdicts, func(class Class, value string) {
		level, err := ParseLevel(value)
		if err != nil {
			c.bad(part, "%v", err)
		}
		if out.stage == StageAdvisory && level != Compatible {
			c.bad(part, "an advisory does not touch the verdict: its verdicts are compatible")
		}
		out.level[class], out.has[class] = level, true
	})
}

func (c *compiler) remedies(part string, src *Rule) {
	for _, remedyUse := range src.Remedies {
		if _, ok := c.r.def.Remedies[remedyUse.ID]; !ok {
			c.bad(part, "remedy %q is not in remedies", remedyUse.ID)
		}
		for _, t := range remedyUse.Targets {
			if _, ok := parseClass(t); !ok {
				c.bad(part, "remedy %s: target %q is none of %s", remedyUse.ID, t, ClassList())
			}
		}
	}
	for _, k := range src.Checks {
		if _, ok := c.r.def.Checks[k]; !ok {
			c.bad(part, "check %q is not in checks", k)
		}
	}
}

func (c *compiler) override(change *Override) {
	part := "override " + change.Rule
	rule, ok := c.r.byID[change.Rule]
	if !ok {
		c.bad(part, "there is no rule %q", change.Rule)
		return
	}
	if change.Reason == "" {
		c.bad(part, "no reason is given")
	}
	rule.disabled = rule.disabled || change.Disabled
	c.setVerdicts(part, rule, change.Verdicts)
	// What it makes worse on a class it makes no better on later ones. A rule that is
	// milder on a later class all by itself stays so, and is refused.
	_, changed := change.Verdicts[ClassShenlong6.String()]
	for class := ClassShenlong6 + 1; class < classes; class++ {
		if _, named := change.Verdicts[class.String()]; named {
			changed = true
		} else if changed && rule.has[class-1] {
			rule.level[class] = Worse(rule.level[class], rule.level[class-1])
		}
	}
	for name := range change.Verdicts {
		if class, ok := parseClass(name); ok {
			rule.reason[class] = change.Reason
		}
	}
	if change.Confidence != "" {
		conf := c.confidence(part, change.Confidence)
		for i := range rule.confidence {
			rule.confidence[i] = conf
		}
	}
	if len(change.Verdicts) == 0 && change.Confidence == "" && !change.Disabled {
		c.bad(part, "nothing is overridden: give verdicts, confidence or disabled")
	}
}

// monotone holds every rule to "never milder on a later class of SHENLONG than
// on an earlier one".
func (c *compiler) monotone() {
	for _, rule := range c.r.rules {
		for later := ClassShenlong6 + 1; later < classes; later++ {
			earlier := later - 1
			switch {
			case rule.has[later] && !rule.has[earlier] && rule.stage == StageOS:
				c.bad("rule "+rule.src.ID, "has a verdict for %s and none for %s", later, earlier)
			case rule.has[earlier] && Worse(rule.level[earlier], rule.level[later]) != rule.level[later]:
				c.bad("rule "+rule.src.ID, "is milder on %s (%s) than on %s (%s)", later, rule.level[later], earlier, rule.level[earlier])
			}
		}
	}
}
