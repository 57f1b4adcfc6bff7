package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/family"
)

// Checks that precede every move, and those that precede a move of Windows.
var (
	baseChecks    = [...]string{"restart", "snapshot", "custom-image-trial"}
	windowsChecks = [...]string{"sfc", "remove-security-software"}
)

// The remedies that depend on where the instance runs now.
const (
	stayGen5        = "stay-gen5"
	stayFamily      = "stay-family"
	afterFailedMove = "after-failed-move"
)

// What helps against a platform that refuses a system: having the restriction
// lifted, or another system.
const (
	liftRestriction = "lift-restriction"
	replaceOS       = "replace-os"
)

// checkVersion settles a verdict that rests on a partly known release.
const checkVersion = "confirm-version"

// tracer is told of every rule that was looked at; nil for none.
type tracer func(t *Target, r *rule, what string)

// judged is a rule that fired for a target.
type judged struct {
	rule       *rule
	level      Level
	confidence Confidence
	prefix     string // said before the rule's reason
	hangs      bool   // it would be firmer were the guest known to be up
}

// osJudgement is what the operating system rules say of one candidate.
type osJudgement struct {
	judged
	partial bool // the boundary lies inside what is known
	legacy  bool
}

// judgeOS runs the rules of a stage that judges operating systems for one
// candidate: the first that certainly matches ends it, those that possibly match
// are kept, the worst counts.
func (r *Ruleset) judgeOS(stage string, t *Target, k *candidate, p *profile, tr tracer) osJudgement {
	var out osJudgement
	remaining, n, levels := k.span, 0, Compatible
	confidence := High
	for _, rl := range r.byOS[stage][k.family] {
		if !rl.has[t.Class] {
			continue
		}
		o, why := rl.match.os(k, p, remaining)
		if o != outcomeNo {
			if why = rl.match.machines(p, t); why != "" {
				o = outcomeNo
			}
		}
		if o == outcomeNo {
			trace(tr, t, rl, "no: "+why)
			continue
		}
		level := rl.level[t.Class]
		if n > 0 && level != levels {
			out.partial = true
		}
		confidence = min(confidence, rl.certainty(t.Class, p))
		out.legacy = out.legacy || rl.src.Legacy
		if n == 0 || level.severity() > out.level.severity() {
			out.judged = judged{rule: rl, level: level, confidence: confidence}
			levels = level
		}
		n++
		if o == outcomeCertain {
			trace(tr, t, rl, "matches")
			break
		}
		trace(tr, t, rl, "matches a part of the releases that it may be")
		if versions, versioned := rl.match.releases(k, remaining); versioned {
			remaining = remaining.minus(versions)
		}
		if remaining.empty() {
			break
		}
	}
	out.confidence = confidence
	if out.partial {
		out.confidence = Low
	}
	if k.span != k.stated && out.rule != nil && out.rule.match.versioned && !k.stated.within(out.rule.match.versions) {
		out.confidence = min(out.confidence, Medium) // the release was inferred from the kernel
	}
	return out
}

// certainty is the confidence of a rule's verdict, with what confirms it.
func (r *rule) certainty(c Class, p *profile) Confidence {
	for _, f := range r.confirmed[c] {
		if p.facts[f] == Yes {
			return High
		}
	}
	return r.confidence[c]
}

func trace(tr tracer, t *Target, r *rule, what string) {
	if tr != nil {
		tr(t, r, what)
	}
}

// evaluation is the work of one classification.
type evaluation struct {
	r     *Ruleset
	p     *profile
	id    *identity
	cands []candidate
	tr    tracer
}

// evaluate judges a profile for the targets.
func (r *Ruleset) evaluate(p *profile, id *identity, targets []Target, tr tracer) *Classification {
	e := evaluation{r: r, p: p, id: id, tr: tr}
	e.cands = append(e.cands, newCandidate(p.os.Family, p.os.Version, p.os.ServicePack, p.os.Edition, p.os.Kernel))
	if id.several {
		e.cands = e.cands[:0]
	}
	if !id.settled || id.several {
		for _, a := range id.alts {
			e.cands = append(e.cands, newCandidate(a.family, a.version, a.sp, a.edition, p.os.Kernel))
		}
	}
	conflicts := slices.Clip(id.conflicts)
	for i := range e.cands {
		release := ""
		if older, ok := e.cands[i].olderByKernel(); ok {
			e.cands = append(e.cands, older)
			release = older.version
		} else if release = e.cands[i].newerByKernel(); release == "" {
			continue
		}
		if k := id.kernelConflict(&e.cands[i], release); !slices.Contains(conflicts, k) {
			conflicts = append(conflicts, k)
		}
	}
	for i := range targets {
		conflicts = append(conflicts, targets[i].conflicts...)
	}
	c := &Classification{OS: p.os, Conflicts: conflicts, Verdicts: make([]Verdict, 0, len(targets))}
	for i := range targets {
		c.Verdicts = append(c.Verdicts, e.verdict(&targets[i]))
	}
	six := Target{ID: ClassShenlong6.String(), Class: ClassShenlong6}
	for i := range e.cands {
		c.Legacy = c.Legacy || r.judgeOS(StageOS, &six, &e.cands[i], p, nil).legacy
	}
	return c
}

// os is the judgement of a stage on the operating system: of the chosen
// identity, or of one that contradicts it, whichever is worse.
func (e *evaluation) os(stage string, t *Target) osJudgement {
	out := e.r.judgeOS(stage, t, &e.cands[0], e.p, e.tr)
	if e.p.unsure {
		out.confidence = min(out.confidence, Medium)
	}
	for i := 1; i < len(e.cands); i++ {
		k := &e.cands[i]
		alt := e.r.judgeOS(stage, t, k, e.p, e.tr)
		most := Low
		if k.byKernel {
			most = Medium
		}
		if !k.byKernel || alt.level.severity() > out.level.severity() {
			out.confidence = min(out.confidence, most)
		}
		if alt.level.severity() > out.level.severity() {
			alt.confidence = min(alt.confidence, most)
			alt.legacy = alt.legacy || out.legacy
			alt.prefix = "The running kernel " + e.p.os.Kernel + " belongs to " + osText(k.family, k.version) + ", which is older than the release, and the older of the two counts. "
			if !k.byKernel && !e.id.several {
				alt.prefix = "The evidence contradicts itself, and the worse reading counts: " + osText(e.p.os.Family, e.p.os.Version) + " or " + osText(k.family, k.version) + ". "
			}
			out = alt
		}
	}
	if e.id.several {
		out.prefix = "Several releases are named, and the worst of them counts. " + out.prefix
	}
	return out
}

func osText(family, version string) string {
	if version == "" {
		return family + " of unknown version"
	}
	return family + " " + version
}

// verdict judges one target.
func (e *evaluation) verdict(t *Target) Verdict {
	var found []judged
	partial := false
	observed := e.observed(t)
	if observed != nil {
		found = append(found, *observed)
	}
	runs := observed != nil && observed.level == Compatible // else what was seen speaks against it
	for _, stage := range e.r.stages(t, e.p, runs) {
		o := e.os(stage, t)
		partial = partial || o.partial || e.contradicted() || o.rule != nil && o.rule.match.missing
		if o.rule == nil { // the rule set has no catch-all
			o.judged = judged{rule: unnamed(stage), level: Unknown, confidence: Low}
		}
		if o.partial && o.level != Compatible && e.p.os.Version != "" {
			o.prefix += fmt.Sprintf("Of the release only %q is known, and the worst it can be counts. ", e.p.os.Version)
		}
		found = append(found, e.answered(stage, t, &o))
	}
	for _, rl := range e.r.others {
		if !rl.has[t.Class] {
			continue
		}
		if runs && rl.stage == StageFinding && rl.match.target == nil && rl.match.mismatch == "" {
			trace(e.tr, t, rl, "no: it runs on such a machine already")
			continue
		}
		o, why := rl.match.os(&e.cands[0], e.p, e.cands[0].span)
		if o != outcomeNo {
			if why = rl.match.machines(e.p, t); why != "" {
				o = outcomeNo
			}
		}
		if o == outcomeNo {
			trace(e.tr, t, rl, "no: "+why)
			continue
		}
		trace(e.tr, t, rl, "matches")
		j := judged{rule: rl, level: rl.level[t.Class], confidence: rl.certainty(t.Class, e.p)}
		if rl.match.looksAt(factOutOfSupport) {
			j.prefix = "Standard support of this release ended on " + e.p.support + ". "
		}
		if rl.match.fleet() {
			j.prefix = e.p.siblings(t).sentence(t.Class)
		}
		found = append(found, j)
	}
	return e.assemble(t, found, partial)
}

// answered is a stage's judgement, or what other instances of the image or the
// platform itself answered where the stage leaves the question open. The
// platform goes by the name of a system, so that what it says of one whose
// release is not known is no answer; instances of a class say nothing of which
// systems one of its families accepts. NVMe is a question of its own, which
// neither answers: the initramfs of each machine is its own.
func (e *evaluation) answered(stage string, t *Target, o *osJudgement) judged {
	if o.level != Unknown || stage == StageNVMe || e.contradicted() {
		return o.judged
	}
	named := e.p.os.Family != distro.Unknown && (e.p.os.Family != distro.OtherLinux || e.p.os.Version != "")
	byName, bySiblings := named && !o.rule.match.missing, stage == StageOS || t.Family == ""
	for _, rl := range e.r.rules {
		fleet := rl.match.fleet()
		if rl.stage != StageAnswer || rl.disabled || !rl.has[t.Class] || fleet && !bySiblings || !fleet && !byName {
			continue
		}
		if out, why := rl.match.os(&e.cands[0], e.p, e.cands[0].span); out != outcomeCertain {
			trace(e.tr, t, rl, "no: "+why)
			continue
		}
		if why := rl.match.machines(e.p, t); why != "" {
			trace(e.tr, t, rl, "no: "+why)
			continue
		}
		trace(e.tr, t, rl, "matches")
		out := judged{
			rule: rl, level: rl.level[t.Class], confidence: rl.confidence[t.Class],
			prefix: fmt.Sprintf("By its operating system alone it would be %s (%s). ", o.level, o.rule.id()),
		}
		if fleet {
			out.prefix += e.p.siblings(t).sentence(t.Class)
		}
		return out
	}
	return o.judged
}

// contradicted says whether an identity contradicts the chosen one.
func (e *evaluation) contradicted() bool {
	return slices.ContainsFunc(e.cands[1:], func(k candidate) bool { return !k.byKernel })
}

// stages are those that judge the operating system for the target. An instance
// that was observed on the target's class needs no judgement of its release
// there; that the platform accepts it is seen for the class and the family where
// it runs, not for other families.
func (r *Ruleset) stages(t *Target, p *profile, observed bool) []string {
	out := make([]string, 0, 3)
	if !observed {
		out = append(out, StageOS)
	}
	if t.AttachesNVMe() {
		out = append(out, StageNVMe)
	}
	if (t.Class == ClassShenlong8 || slices.Contains(r.def.Restricted, t.Family)) && (!observed || t.Family != "" && !p.isThere(t)) {
		out = append(out, StagePlatform)
	}
	return out
}

// unnamed stands in for a catch-all where a user's rule set has none.
func unnamed(stage string) *rule {
	const reason = "No rule names this operating system."
	return &rule{src: &Rule{ID: "none"}, stage: stage, reason: [...]string{reason, reason, reason, reason}}
}

// observed is the finding that the instance already runs on the target's class
// or family, if it does: that proves its system there and nowhere else. Where it
// is seen that its last start there failed, that is the finding.
func (e *evaluation) observed(t *Target) *judged {
	class, ok := e.p.machine.class()
	same := ok && class == t.Class || t.Family != "" && e.p.isThere(t)
	if !e.p.running || !same {
		return nil
	}
	for _, rl := range e.r.rules {
		if rl.stage != StageObserved || rl.disabled || !rl.has[t.Class] {
			continue
		}
		if o, _ := rl.match.os(&e.cands[0], e.p, e.cands[0].span); o != outcomeCertain {
			continue
		}
		trace(e.tr, t, rl, "matches")
		out := &judged{rule: rl, level: rl.level[t.Class], confidence: rl.confidence[t.Class]}
		if out.level != Compatible {
			return out
		}
		if os := e.os(StageOS, t); os.level != Compatible {
			if os.level == Incompatible || e.p.facts[factGuestUp] != Yes {
				out.confidence = Low
			}
			out.hangs = e.p.facts[factGuestUp] == Unobserved
			out.prefix = fmt.Sprintf("By its operating system alone it would be %s (%s). ", os.level, os.rule.id())
		}
		return out
	}
	return nil
}

func (r *rule) id() string {
	if r == nil {
		return "none"
	}
	return r.src.ID
}

// assemble makes the verdict of everything that fired, the worst first.
func (e *evaluation) assemble(t *Target, found []judged, confirm bool) Verdict {
	slices.SortStableFunc(found, func(a, b judged) int {
		if d := b.level.severity() - a.level.severity(); d != 0 {
			return d
		}
		return stageOrder(a.rule.stage) - stageOrder(b.rule.stage)
	})
	v := Verdict{Target: t.ID, Remedies: []Remedy{}, Checks: make([]string, 0, 8)}
	v.Checks = append(v.Checks, baseChecks[:]...)
	if isWindows(e.p.os.Family) {
		v.Checks = append(v.Checks, windowsChecks[:]...)
	}
	for i := range found {
		j := &found[i]
		v.Findings = append(v.Findings, Finding{
			Rule: j.rule.src.ID, Level: j.level, Confidence: j.confidence, Reason: j.prefix + j.rule.reason[t.Class], Source: j.rule.source,
		})
		for _, k := range j.rule.src.Checks {
			if !slices.Contains(v.Checks, k) {
				v.Checks = append(v.Checks, k)
			}
		}
		if j.level != Compatible {
			e.remedies(&v, t, j.rule)
		}
	}
	if confirm && !slices.Contains(v.Checks, checkVersion) {
		v.Checks = append(v.Checks, checkVersion)
	}
	f := &v.Findings[0]
	v.Level, v.Confidence, v.Rule, v.Reason, v.Source = f.Level, f.Confidence, f.Rule, f.Reason, f.Source
	v.HangsOnUp = found[0].hangs
	if v.Level == Compatible { // no firmer than the weakest of what it rests on
		for i := range found {
			if found[i].rule.stage != StageAdvisory {
				v.Confidence = min(v.Confidence, found[i].confidence)
			}
		}
	}
	e.prefer(&v)
	e.stays(&v, t)
	return v
}

// prefer puts a newer system before the lifting of a restriction where the
// system is past its support: what is to be replaced anyway is not worth a
// request that cannot be taken back.
func (e *evaluation) prefer(v *Verdict) {
	if e.p.facts[factOutOfSupport] != Yes {
		return
	}
	lift := slices.IndexFunc(v.Remedies, func(m Remedy) bool { return m.ID == liftRestriction })
	replace := slices.IndexFunc(v.Remedies, func(m Remedy) bool { return m.ID == replaceOS })
	if lift >= 0 && lift < replace {
		m := v.Remedies[replace]
		v.Remedies = slices.Insert(slices.Delete(v.Remedies, replace, replace+1), lift, m)
	}
}

func stageOrder(stage string) int {
	return strings.Index("observed answer os nvme platform finding advisory", stage)
}

// remedies adds what helps against a rule on a target.
func (e *evaluation) remedies(v *Verdict, t *Target, rl *rule) {
	for i := range rl.src.Remedies {
		u := &rl.src.Remedies[i]
		if slices.Contains(u.NotFor, e.p.os.Family) || len(u.Targets) > 0 && !slices.Contains(u.Targets, t.Class.String()) {
			continue
		}
		if u.ID == stayGen5 && (t.Class == ClassKVM || e.p.os.Arch == "arm64" || e.p.machine.Virtualization == family.Shenlong) {
			continue // there is no Arm family of the 5th generation, and what runs on SHENLONG stays there
		}
		if slices.ContainsFunc(v.Remedies, func(m Remedy) bool { return m.ID == u.ID && m.To == u.To }) {
			continue
		}
		d := e.r.def.Remedies[u.ID]
		text := d.Text
		if u.To != "" {
			text = strings.ReplaceAll(text, "{to}", u.To)
		}
		if u.Note != "" {
			text += " " + u.Note
		}
		v.Remedies = append(v.Remedies, Remedy{ID: u.ID, To: u.To, Families: d.Families, Text: text, Steps: d.Steps, Benefit: d.Benefit, Drawback: d.Drawback})
	}
}

// stays adds what depends on where the instance runs: on SHENLONG it can stay
// there, which is the way out of any move that it does not survive; on the
// target itself it may have been moved already and not come back.
func (e *evaluation) stays(v *Verdict, t *Target) {
	id := stayFamily
	if e.p.isThere(t) {
		id = afterFailedMove
	}
	d, ok := e.r.def.Remedies[id]
	if ok && v.Level != Compatible && e.p.machine.Virtualization == family.Shenlong {
		v.Remedies = append(v.Remedies, Remedy{ID: id, Text: d.Text, Steps: d.Steps, Benefit: d.Benefit, Drawback: d.Drawback})
	}
}
