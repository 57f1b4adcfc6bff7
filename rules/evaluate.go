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
func (r *Ruleset) judgeOS(stage string, target *Target, candidate *candidate, profile *profile, tr tracer) osJudgement {
	var out osJudgement
	remaining, matched, levels := candidate.span, 0, Compatible
	confidence := High
	for _, rl := range r.byOS[stage][candidate.family] {
		if !rl.has[target.Class] {
			continue
		}
		outcome, why := rl.match.os(candidate, profile, remaining)
		if outcome != outcomeNo {
			if why = rl.match.machines(profile, target); why != "" {
				outcome = outcomeNo
			}
		}
		if outcome == outcomeNo {
			traceNo(tr, target, rl, why)
			continue
		}
		level := rl.level[target.Class]
		if matched > 0 && level != levels {
			out.partial = true
		}
		confidence = min(confidence, rl.certainty(target.Class, profile))
		out.legacy = out.legacy || rl.src.Legacy
		if matched == 0 || level.severity() > out.level.severity() {
			out.judged = judged{rule: rl, level: level, confidence: confidence}
			levels = level
		}
		matched++
		if outcome == outcomeCertain {
			trace(tr, target, rl, "matches")
			break
		}
		trace(tr, target, rl, "matches a part of the releases that it may be")
		if versions, versioned := rl.match.releases(candidate, remaining); versioned {
			remaining = remaining.minus(versions)
		}
	}
	out.confidence = confidence
	if out.partial {
		out.confidence = Low
	}
	if candidate.span != candidate.stated && out.rule != nil && out.rule.match.versioned && !candidate.stated.within(out.rule.match.versions) {
		out.confidence = min(out.confidence, Medium) // the release was inferred from the kernel
	}
	return out
}

// certainty is the confidence of a rule's verdict, with what confirms it.
func (r *rule) certainty(class Class, p *profile) Confidence {
	for _, f := range r.confirmed[class] {
		if p.facts[f] == Yes {
			return High
		}
	}
	return r.confidence[class]
}

func trace(tr tracer, t *Target, r *rule, what string) {
	if tr != nil {
		tr(t, r, what)
	}
}

// traceNo traces a rule that does not count, and puts together why only where
// somebody is told.
func traceNo(tr tracer, t *Target, r *rule, why ...string) {
	if tr != nil {
		tr(t, r, "no: "+strings.Join(why, ""))
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
func (r *Ruleset) evaluate(profile *profile, id *identity, targets []Target, tr tracer) *Classification {
	work := evaluation{r: r, p: profile, id: id, tr: tr}
	work.cands = append(work.cands, newCandidate(profile.os.Family, profile.os.Version, profile.os.ServicePack, profile.os.Edition, profile.os.Kernel))
	if id.several {
		work.cands = work.cands[:0]
	}
	if !id.settled || id.several {
		for _, a := range id.alts {
			work.cands = append(work.cands, newCandidate(a.family, a.version, a.sp, a.edition, profile.os.Kernel))
		}
	}
	if id.otherKernel != "" {
		for _, named := range work.cands {
			console := newCandidate(named.family, named.version, named.sp, named.edition, id.otherKernel)
			console.byConsole = true
			work.cands = append(work.cands, console)
		}
	}
	conflicts := slices.Clip(id.conflicts)
	for i := range work.cands {
		release := ""
		if older, ok := work.cands[i].olderByKernel(); ok {
			work.cands = append(work.cands, older)
			release = older.version
		} else if release = work.cands[i].newerByKernel(); release == "" {
			continue
		}
		if k := id.kernelConflict(&work.cands[i], release); !slices.Contains(conflicts, k) {
			conflicts = append(conflicts, k)
		}
	}
	if profile.otherArch() {
		conflicts = append(conflicts, Conflict{Field: "arch", Chosen: profile.machine.Arch, Other: profile.os.Arch, Evidence: profile.archFrom, Text: profile.os.Arch})
	}
	conflicts = profile.said.conflicts(conflicts)
	for i := range targets {
		conflicts = append(conflicts, targets[i].conflicts...)
	}
	classification := &Classification{OS: profile.os, Conflicts: conflicts, Verdicts: make([]Verdict, 0, len(targets))}
	for i := range targets {
		classification.Verdicts = append(classification.Verdicts, work.verdict(&targets[i]))
	}
	six := Target{ID: ClassShenlong6.String(), Class: ClassShenlong6}
	for i := range work.cands {
		classification.Legacy = classification.Legacy || r.judgeOS(StageOS, &six, &work.cands[i], profile, nil).legacy
	}
	return classification
}

// os is the judgement of a stage on the operating system: of the chosen
// identity, or of one that contradicts it, whichever is worse.
func (e *evaluation) os(stage string, target *Target) osJudgement {
	out := e.r.judgeOS(stage, target, &e.cands[0], e.p, e.tr)
	if e.p.unsure {
		out.confidence = min(out.confidence, Medium)
	}
	if e.p.otherArch() { // the machine decides, and something is wrong with what is known
		out.confidence = min(out.confidence, Low)
	}
	for i := 1; i < len(e.cands); i++ {
		candidate := &e.cands[i]
		alt := e.r.judgeOS(stage, target, candidate, e.p, e.tr)
		if candidate.contradicts() || alt.level.severity() > out.level.severity() {
			out.confidence = min(out.confidence, candidate.most())
		}
		if alt.level.severity() > out.level.severity() {
			alt.confidence, alt.prefix = min(alt.confidence, candidate.most()), e.worse(candidate)
			out = alt
		} else if candidate.byConsole && alt.level == out.level {
			out.confidence = min(out.confidence, alt.confidence)
		}
	}
	if e.id.several {
		out.prefix = "Several releases are named, and the worst of them counts. " + out.prefix
	}
	return out
}

// matching is the first identity that a rule matches, whatever the target: one
// that contradicts the chosen one counts where the rule speaks against a move. nil
// and why the chosen one does not match where there is none.
func (e *evaluation) matching(rl *rule) (of *candidate, why string) {
	for i := range e.cands {
		outcome, no := rl.match.os(&e.cands[i], e.p, e.cands[i].span)
		switch {
		case outcome != outcomeNo:
			return &e.cands[i], ""
		case i == 0:
			why = no
		}
		if rl.stage != StageFinding {
			break
		}
	}
	return nil, why
}

// worse says why another identity than the chosen one counts.
func (e *evaluation) worse(candidate *candidate) string {
	switch {
	case candidate.byKernel:
		return "The running kernel " + candidate.source + " belongs to " + osText(candidate.family, candidate.version) + ", which is older than the release, and the older of the two counts. "
	case candidate.byConsole:
		return "The machine answered that it starts the kernel " + e.p.os.Kernel + ", and its console log, which is newer, shows " + candidate.source + ": the worse of the two counts. "
	case e.id.several:
		return ""
	}
	return "The evidence contradicts itself, and the worse reading counts: " + osText(e.p.os.Family, e.p.os.Version) + " or " + osText(candidate.family, candidate.version) + ". "
}

func osText(family, version string) string {
	if version == "" {
		return family + " of unknown version"
	}
	return family + " " + version
}

// verdict judges one target.
func (e *evaluation) verdict(target *Target) Verdict {
	var found []judged
	partial := false
	observed := e.observed(target)
	if observed != nil {
		found = append(found, *observed)
	}
	runs := observed != nil && observed.level == Compatible // else what was seen speaks against it
	for _, stage := range e.r.stages(target, e.p, runs) {
		osJudgement := e.os(stage, target)
		partial = partial || osJudgement.partial || e.contradicted() || osJudgement.rule != nil && osJudgement.rule.match.missing
		if osJudgement.rule == nil { // the rule set has no catch-all
			osJudgement.judged = judged{rule: unnamed(stage), level: Unknown, confidence: Low}
		}
		if osJudgement.partial && e.p.os.Version != "" {
			osJudgement.prefix += fmt.Sprintf("Of the release only %q is known, and the worst it can be counts. ", e.p.os.Version)
		}
		found = append(found, e.answered(stage, target, &osJudgement))
	}
	for _, rl := range e.r.others {
		if !rl.has[target.Class] {
			continue
		}
		of, why := e.matching(rl)
		if of != nil {
			if why = rl.match.machines(e.p, target); why != "" {
				of = nil
			}
		}
		if of == nil {
			traceNo(e.tr, target, rl, why)
			continue
		}
		trace(e.tr, target, rl, "matches")
		finding := judged{rule: rl, level: rl.level[target.Class], confidence: rl.certainty(target.Class, e.p)}
		if of != &e.cands[0] {
			finding.confidence, finding.prefix = min(finding.confidence, of.most()), e.worse(of)
		}
		if runs && rl.disproved(target) {
			finding.level = Compatible
			finding.prefix = fmt.Sprintf("It runs on such a machine, which contradicts this and counts for more; alone it would be %s. ", rl.level[target.Class])
		}
		if rl.match.mismatch == "arch" && e.p.twoArchs && e.p.machine.Arch == "" {
			finding.confidence = Low
			finding.prefix = "The evidence contradicts itself, and the worse reading counts: " + arm + " or x86_64. "
		}
		if rl.match.looksAt(factOutOfSupport) {
			finding.prefix = "Standard support of this release ended on " + e.p.support + ". "
		}
		if rl.match.fleet() {
			finding.prefix = e.p.siblings(target).sentence(target.Class)
		}
		found = append(found, finding)
	}
	return e.assemble(target, found, partial)
}

// disproved says whether an instance that runs on the target disproves the rule:
// a finding about the system on any machine of the class, and not about its next
// start from a virtio disk.
func (r *rule) disproved(target *Target) bool {
	return r.stage == StageFinding && r.match.target == nil && r.match.mismatch == "" && (!r.src.NextStart || target.AttachesNVMe())
}

// answered is a stage's judgement, or what other instances of the image or the
// platform itself answered where the stage leaves the question open. Where the
// two answer differently the worse counts, and the reason names the milder one.
// The platform goes by the name of a system, so that what it says of one whose
// release is not known is no answer; instances of a class say nothing of which
// systems one of its families accepts. NVMe is a question of its own, which
// neither answers: the initramfs of each machine is its own.
func (e *evaluation) answered(stage string, target *Target, osJudgement *osJudgement) judged {
	if osJudgement.level != Unknown || stage == StageNVMe || e.contradicted() {
		return osJudgement.judged
	}
	named := e.p.os.Family != distro.Unknown && (e.p.os.Family != distro.OtherLinux || e.p.os.Version != "")
	byName, bySiblings := named && !osJudgement.rule.match.missing, stage == StageOS || target.Family == ""
	siblings, platform := (*rule)(nil), (*rule)(nil)
	for _, rl := range e.r.rules {
		of := &platform
		if rl.match.fleet() {
			of = &siblings
		}
		if rl.stage != StageAnswer || rl.disabled || !rl.has[target.Class] || of == &siblings && !bySiblings || of == &platform && !byName {
			continue
		}
		out, why := rl.match.os(&e.cands[0], e.p, e.cands[0].span)
		if out == outcomeCertain {
			why = rl.match.machines(e.p, target)
		}
		switch {
		case out != outcomeCertain || why != "":
			traceNo(e.tr, target, rl, why)
		case *of == nil:
			trace(e.tr, target, rl, "matches")
			*of = rl
		default:
			traceNo(e.tr, target, rl, (*of).id(), " answers it")
		}
	}
	counts, other := siblings, platform
	if counts == nil || other != nil && other.level[target.Class].severity() > counts.level[target.Class].severity() {
		counts, other = other, counts
	}
	if counts == nil {
		return osJudgement.judged
	}
	out := judged{
		rule: counts, level: counts.level[target.Class], confidence: counts.confidence[target.Class],
		prefix: fmt.Sprintf("By its operating system alone it would be %s (%s). ", osJudgement.level, osJudgement.rule.id()),
	}
	if other != nil && other.level[target.Class] != out.level {
		out.confidence = min(out.confidence, other.confidence[target.Class])
		out.prefix += fmt.Sprintf("Two answers contradict each other, and the worse counts: %s says %s. ", other.id(), other.level[target.Class])
	}
	if counts == siblings {
		out.prefix += e.p.siblings(target).sentence(target.Class)
	}
	return out
}

// contradicted says whether an identity contradicts the chosen one.
func (e *evaluation) contradicted() bool {
	return slices.ContainsFunc(e.cands[1:], func(k candidate) bool { return k.contradicts() })
}

// stages are those that judge the operating system for the target. An instance
// that was observed on the target's class needs no judgement of its release
// there; that the platform accepts it is seen for the class and the family where
// it runs, not for other families.
func (r *Ruleset) stages(target *Target, profile *profile, observed bool) []string {
	out := make([]string, 0, 3)
	if !observed {
		out = append(out, StageOS)
	}
	if target.AttachesNVMe() {
		out = append(out, StageNVMe)
	}
	if (target.Class == ClassShenlong8 || slices.Contains(r.def.Restricted, target.Family)) && (!observed || target.Family != "" && !profile.isThere(target)) {
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
// is seen that its last start there failed, that is the finding. A system that is told to
// be built for another architecture than the machine's is not proved by it.
func (e *evaluation) observed(target *Target) *judged {
	class, ok := e.p.machine.class()
	same := ok && class == target.Class || target.Family != "" && e.p.isThere(target)
	if !e.p.running || !same {
		return nil
	}
	for _, rl := range e.r.rules {
		if rl.stage != StageObserved || rl.disabled || !rl.has[target.Class] {
			continue
		}
		if o, _ := rl.match.os(&e.cands[0], e.p, e.cands[0].span); o != outcomeCertain {
			continue
		}
		if rl.level[target.Class] == Compatible && e.p.otherArch() {
			traceNo(e.tr, target, rl, "arch")
			return nil
		}
		trace(e.tr, target, rl, "matches")
		out := &judged{rule: rl, level: rl.level[target.Class], confidence: rl.confidence[target.Class]}
		if out.level != Compatible {
			return out
		}
		if os := e.os(StageOS, target); os.level != Compatible {
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
func (e *evaluation) assemble(target *Target, found []judged, confirm bool) Verdict {
	slices.SortStableFunc(found, func(a, b judged) int {
		if d := b.level.severity() - a.level.severity(); d != 0 {
			return d
		}
		return stageOrder(a.rule.stage) - stageOrder(b.rule.stage)
	})
	verdict := Verdict{Target: target.ID, Remedies: []Remedy{}, Checks: make([]string, 0, 8)}
	verdict.Checks = append(verdict.Checks, baseChecks[:]...)
	if isWindows(e.p.os.Family) {
		verdict.Checks = append(verdict.Checks, windowsChecks[:]...)
	}
	for i := range found {
		finding := &found[i]
		verdict.Findings = append(verdict.Findings, Finding{
			Rule: finding.rule.src.ID, Level: finding.level, Confidence: finding.confidence, Reason: finding.prefix + finding.rule.reason[target.Class], Source: finding.rule.source,
		})
		for _, k := range finding.rule.src.Checks {
			if !slices.Contains(verdict.Checks, k) {
				verdict.Checks = append(verdict.Checks, k)
			}
		}
		if finding.level != Compatible {
			e.remedies(&verdict, target, finding.rule)
		}
	}
	if confirm && !slices.Contains(verdict.Checks, checkVersion) {
		verdict.Checks = append(verdict.Checks, checkVersion)
	}
	f := &verdict.Findings[0]
	verdict.Level, verdict.Confidence, verdict.Rule, verdict.Reason, verdict.Source = f.Level, f.Confidence, f.Rule, f.Reason, f.Source
	verdict.HangsOnUp = found[0].hangs
	verdict.Confidence = rests(found)
	e.prefer(&verdict)
	e.stays(&verdict, target)
	return verdict
}

// rests is how firmly everything that fired carries the verdict, which is the
// first of it. One that says that the instance boots, as it is or once something
// was done, is no firmer than the weakest of what says that nothing else is in
// its way.
func rests(found []judged) Confidence {
	out := found[0].confidence
	if level := found[0].level; level == Incompatible || level == Unknown {
		return out
	}
	for i := range found {
		if found[i].level == Compatible && found[i].rule.stage != StageAdvisory {
			out = min(out, found[i].confidence)
		}
	}
	return out
}

// prefer puts a newer system before the lifting of a restriction where the
// system is past its support: what is to be replaced anyway is not worth a
// request that cannot be taken back.
func (e *evaluation) prefer(verdict *Verdict) {
	if e.p.facts[factOutOfSupport] != Yes {
		return
	}
	lift := slices.IndexFunc(verdict.Remedies, func(m Remedy) bool { return m.ID == liftRestriction })
	replace := slices.IndexFunc(verdict.Remedies, func(m Remedy) bool { return m.ID == replaceOS })
	if lift >= 0 && lift < replace {
		m := verdict.Remedies[replace]
		verdict.Remedies = slices.Insert(slices.Delete(verdict.Remedies, replace, replace+1), lift, m)
	}
}

func stageOrder(stage string) int { return strings.Index(stageNames, stage) }

// remedies adds what helps against a rule on a target.
func (e *evaluation) remedies(verdict *Verdict, target *Target, rl *rule) {
	for i := range rl.src.Remedies {
		remedyUse := &rl.src.Remedies[i]
		if slices.Contains(remedyUse.NotFor, e.p.os.Family) || len(remedyUse.Targets) > 0 && !slices.Contains(remedyUse.Targets, target.Class.String()) {
			continue
		}
		if remedyUse.ID == stayGen5 && (target.Class == ClassKVM || e.p.os.Arch == "arm64" || e.p.machine.Virtualization == family.Shenlong) {
			continue // there is no Arm family of the 5th generation, and what runs on SHENLONG stays there
		}
		if slices.ContainsFunc(verdict.Remedies, func(m Remedy) bool { return m.ID == remedyUse.ID && m.To == remedyUse.To }) {
			continue
		}
		remedyDef := e.r.def.Remedies[remedyUse.ID]
		text := remedyDef.Text
		if remedyUse.To != "" {
			text = strings.ReplaceAll(text, "{to}", remedyUse.To)
		}
		if remedyUse.Note != "" {
			text += " " + remedyUse.Note
		}
		verdict.Remedies = append(verdict.Remedies, Remedy{ID: remedyUse.ID, To: remedyUse.To, Families: remedyDef.Families, Text: text, Steps: remedyDef.Steps, Benefit: remedyDef.Benefit, Drawback: remedyDef.Drawback})
	}
}

// stays adds what depends on where the instance runs: on SHENLONG it can stay
// there, which is the way out of any move that it does not survive; on the
// target itself it may have been moved already and not come back.
func (e *evaluation) stays(verdict *Verdict, t *Target) {
	id := stayFamily
	if e.p.isThere(t) {
		id = afterFailedMove
	}
	d, ok := e.r.def.Remedies[id]
	if ok && verdict.Level != Compatible && e.p.machine.Virtualization == family.Shenlong {
		verdict.Remedies = append(verdict.Remedies, Remedy{ID: id, Text: d.Text, Steps: d.Steps, Benefit: d.Benefit, Drawback: d.Drawback})
	}
}
