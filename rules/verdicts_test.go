package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// compiled is a rule set of a test's own with parts beside its rules.
func compiled(t *testing.T, def rules.Definition, list ...rules.Rule) *rules.Ruleset {
	t.Helper()
	def.Sources = map[string]string{"own": "a trial"}
	for i := range list {
		rule := &list[i]
		rule.Source, rule.Reason = "own", "It is said by "+rule.ID+"."
		if len(rule.When.Family) == 0 {
			rule.When.Family = []string{"*"}
		}
	}
	def.Rules = list
	r, err := rules.Compile(def, family.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func saying(id, stage string, level rules.Level, when rules.When) rules.Rule {
	return rules.Rule{ID: id, Stage: stage, When: when, Verdicts: everywhere(level), Confidence: "high"}
}

// checked counts how often a verdict asks to confirm the release.
func checked(v *rules.Verdict) (n int) {
	for _, check := range v.Checks {
		if check == string(rules.QuestionVersion) {
			n++
		}
	}
	return n
}

// A verdict asks once for the release where more than one may be meant, at whatever
// stage, and not where it is known.
func TestTheReleaseIsAskedForWhereItIsNotKnown(t *testing.T) {
	all := func(stage string) rules.Rule { return saying(stage+".all", stage, rules.Compatible, rules.When{}) }
	split := func(stage string) []rules.Rule {
		return []rules.Rule{
			saying(stage+".early", stage, rules.Unknown, rules.When{Family: []string{"centos"}, Version: "<7.6"}),
			saying(stage+".late", stage, rules.Compatible, rules.When{Family: []string{"centos"}, Version: ">=7.6"}),
			all(stage),
		}
	}
	asking := all(rules.StageFinding)
	asking.Checks = []string{"confirm-version"}
	def := rules.Definition{Checks: map[string]string{"confirm-version": "Which release is it?"}}
	whole := []rules.Rule{all(rules.StageOS), all(rules.StageNVMe), all(rules.StagePlatform)}
	for name, c := range map[string]struct {
		rules []rules.Rule
		o     rules.Observation
		want  int
	}{
		"known":                         {whole, rules.Observation{OSName: "CentOS 7.9"}, 0},
		"partly known, equal for all":   {whole, rules.Observation{OSName: "CentOS 7"}, 0},
		"open at the first stage":       {append(split(rules.StageOS), whole[1:]...), rules.Observation{OSName: "CentOS 7"}, 1},
		"open at a later stage":         {append(split(rules.StageNVMe), whole[0], whole[2]), rules.Observation{OSName: "CentOS 7"}, 1},
		"contradicted":                  {whole, rules.Observation{OSName: "CentOS 7.9", ImageName: "centos 7.8"}, 1},
		"missing":                       {append([]rules.Rule{saying("missing", rules.StageOS, rules.Unknown, rules.When{Version: "missing"})}, whole...), rules.Observation{OSName: "CentOS"}, 1},
		"no rule names it":              {whole[1:], rules.Observation{OSName: "CentOS 7.9"}, 0},
		"a rule asks for it":            {append([]rules.Rule{asking}, whole...), rules.Observation{OSName: "CentOS 7.9"}, 1},
		"a rule asks and it is open":    {append(append([]rules.Rule{asking}, split(rules.StageOS)...), whole[1:]...), rules.Observation{OSName: "CentOS 7"}, 1},
		"an old kernel contradicts it":  {whole, rules.Observation{OSName: "Ubuntu 16.04", Kernel: "3.13.0-32-generic"}, 0},
		"several releases may be meant": {whole, rules.Observation{OSName: "CentOS 6.5 or 7.9"}, 1},
	} {
		v := judge(t, compiled(t, def, c.rules...), c.o, "shenlong-8")
		if got := checked(v); got != c.want {
			t.Errorf("%s: asked %d times, want %d: %+v", name, got, c.want, v.Checks)
		}
	}
	r := compiled(t, def, append(split(rules.StageOS), whole[1:]...)...)
	const part = `Of the release only "7" is known`
	if v := judge(t, r, rules.Observation{OSName: "CentOS 7"}, "shenlong-6"); !strings.Contains(v.Reason, part) {
		t.Errorf("%q does not say %q", v.Reason, part)
	}
	for _, name := range []string{"CentOS 7.2", "CentOS 6 or 7"} {
		if v := judge(t, r, rules.Observation{OSName: name}, "shenlong-6"); strings.Contains(v.Reason, "Of the release only") {
			t.Errorf("%s: %q", name, v.Reason)
		}
	}
	if v := judge(t, ruleset(t), rules.Observation{OSName: "CentOS 7.9", ImageName: "ubuntu"}, "shenlong-6"); !strings.Contains(v.Reason, "centos 7.9 or ubuntu of unknown version") {
		t.Errorf("%q", v.Reason)
	}
}

// An instance that runs on the target disproves what is said of its system there,
// and neither advice nor what is said of single families.
func TestWhatRunsDisprovesFindingsAlone(t *testing.T) {
	r := compiled(t, rules.Definition{},
		saying("os", rules.StageOS, rules.Compatible, rules.When{}), saying("platform", rules.StagePlatform, rules.Compatible, rules.When{}),
		saying("nvme", rules.StageNVMe, rules.Compatible, rules.When{}),
		saying("runs", rules.StageObserved, rules.Compatible, rules.When{}),
		saying("advice", rules.StageAdvisory, rules.Compatible, rules.When{}),
		saying("everywhere", rules.StageFinding, rules.NeedsAction, rules.When{}),
		saying("family", rules.StageFinding, rules.NeedsAction, rules.When{Target: &rules.MachineMatch{Family: []string{"ecs.g7"}}}),
	)
	v := judge(t, r, rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g7.large", Running: rules.Yes}, "ecs.g7")
	for _, f := range v.Findings {
		disproved := strings.Contains(f.Reason, "It runs on such a machine")
		if want := f.Rule == "everywhere"; disproved != want {
			t.Errorf("%s is disproved: %t: %s", f.Rule, disproved, f.Reason)
		}
		if want := map[string]rules.Level{"family": rules.NeedsAction}[f.Rule]; f.Level != max(want, rules.Compatible) {
			t.Errorf("%s says %s", f.Rule, f.Level)
		}
	}
	if len(v.Findings) != 4 {
		t.Errorf("%+v", v.Findings)
	}
}

// The platform answers of a system that has a name; where the platform and other
// instances answer alike those are named, and where they differ the worse counts.
func TestAnswersOfThePlatformAndOfOtherInstances(t *testing.T) {
	set := func(platform, fleet string, byPlatform, byFleet rules.Confidence) *rules.Ruleset {
		answer := func(id, mismatch, level string, confidence rules.Confidence) rules.Rule {
			return rules.Rule{ID: id, Stage: rules.StageAnswer, When: rules.When{Mismatch: mismatch}, Verdicts: map[string]string{"shenlong-7": level}, Confidence: confidence.String()}
		}
		return compiled(t, rules.Definition{},
			answer("fleet", "fleet-up", fleet, byFleet), answer("platform", "platform-offers", platform, byPlatform),
			saying("el6", rules.StageOS, rules.Unknown, rules.When{Family: []string{"centos"}, Version: "6"}),
			saying("missing", rules.StageOS, rules.Unknown, rules.When{Family: []string{"debian"}, Version: "missing"}),
			saying("os", rules.StageOS, rules.Unknown, rules.When{}), saying("pl", rules.StagePlatform, rules.Compatible, rules.When{}),
		)
	}
	both := set("compatible", "compatible", rules.Low, rules.High)
	for name, c := range map[string]struct {
		o    rules.Observation
		want string
	}{
		"a family and a release":     {rules.Observation{OSName: "CentOS 7.4"}, "platform"},
		"a family of no release":     {rules.Observation{OSName: "CentOS"}, "platform"},
		"a release that is missing":  {rules.Observation{OSName: "Debian"}, "missing"},
		"nothing":                    {rules.Observation{}, "os"},
		"Linux":                      {rules.Observation{OSName: "Customized Linux"}, "os"},
		"a Linux of another make":    {rules.Observation{OSName: "Scientific Linux 7.4"}, "platform"},
		"two names that contradict":  {rules.Observation{OSName: "CentOS 7.4", ImageName: "centos 7.2"}, "os"},
		"another family of machines": {rules.Observation{OSName: "CentOS 7.4", Offered: "ecs.g6"}, "os"},
	} {
		if c.o.Offered == "" {
			c.o.Offered = "ecs.g7"
		}
		if v := judge(t, both, c.o, "shenlong-7"); v.Rule != c.want {
			t.Errorf("%s: by %s, want %s", name, v.Rule, c.want)
		}
	}
	answered := rules.Observation{OSName: "CentOS 7.4", Offered: "ecs.g7", Fleet: "shenlong-7=5/0"}
	const contradict = "Two answers contradict each other"
	v := judge(t, both, answered, "shenlong-7")
	if v.Rule != "fleet" || v.Confidence != rules.High || strings.Contains(v.Reason, contradict) || !strings.Contains(v.Reason, "it would be unknown (os)") {
		t.Errorf("both say the same: %s with %s confidence by %s: %s", v.Level, v.Confidence, v.Rule, v.Reason)
	}
	v = judge(t, set("needs-action", "compatible", rules.Low, rules.High), answered, "shenlong-7")
	if v.Rule != "platform" || v.Level != rules.NeedsAction || v.Confidence != rules.Low || !strings.Contains(v.Reason, contradict+", and the worse counts: fleet says compatible") {
		t.Errorf("the platform says worse: %s with %s confidence by %s: %s", v.Level, v.Confidence, v.Rule, v.Reason)
	}
	v = judge(t, set("compatible", "needs-action", rules.Low, rules.High), answered, "shenlong-7")
	if v.Rule != "fleet" || v.Level != rules.NeedsAction || v.Confidence != rules.Low || !strings.Contains(v.Reason, "platform says compatible") {
		t.Errorf("the instances say worse: %s with %s confidence by %s: %s", v.Level, v.Confidence, v.Rule, v.Reason)
	}
	// Instances of a class say nothing of which systems one of its families accepts.
	if v := judge(t, both, rules.Observation{OSName: "CentOS 7.4", Fleet: "shenlong-7=5/0"}, "ecs.g7"); v.Rule != "fleet" {
		t.Errorf("of whether it boots on a family: by %s", v.Rule)
	}
}

// Where an instance runs its release is not judged; whether the platform accepts
// it is judged for other families of the class, and not for its own.
func TestThePlatformIsAskedForOtherFamiliesThanItsOwn(t *testing.T) {
	r := compiled(t, rules.Definition{},
		saying("os", rules.StageOS, rules.Compatible, rules.When{}), saying("nvme", rules.StageNVMe, rules.Compatible, rules.When{}),
		saying("platform", rules.StagePlatform, rules.Unknown, rules.When{}), saying("runs", rules.StageObserved, rules.Compatible, rules.When{}),
	)
	for name, c := range map[string]struct {
		o      rules.Observation
		target string
		want   []string
	}{
		"its own family":             {rules.Observation{InstanceType: "ecs.g8i.large", Running: rules.Yes}, "ecs.g8i", []string{"runs", "nvme"}},
		"another of its class":       {rules.Observation{InstanceType: "ecs.g8i.large", Running: rules.Yes}, "ecs.c8i", []string{"runs", "nvme", "platform"}},
		"its class":                  {rules.Observation{InstanceType: "ecs.g8i.large", Running: rules.Yes}, "shenlong-8", []string{"runs", "nvme"}},
		"stopped on its own family":  {rules.Observation{InstanceType: "ecs.g8i.large"}, "ecs.g8i", []string{"os", "nvme", "platform"}},
		"another class":              {rules.Observation{InstanceType: "ecs.g8i.large", Running: rules.Yes}, "shenlong-7", []string{"os"}},
		"no machine that is known":   {rules.Observation{Running: rules.Yes}, "shenlong-8", []string{"os", "nvme", "platform"}},
		"a class without such lists": {rules.Observation{InstanceType: "ecs.g8i.large"}, "ecs.g7", []string{"os"}},
	} {
		c.o.OSName = "CentOS 7.9"
		var got []string
		for _, f := range judge(t, r, c.o, c.target).Findings {
			got = append(got, f.Rule)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// That an instance runs is firm only where its system alone would boot there, or
// where its guest was heard of and the system is not known to be refused.
func TestHowFirmItIsThatAnInstanceRuns(t *testing.T) {
	for name, c := range map[string]struct {
		os    rules.Level
		up    rules.Tri
		want  rules.Confidence
		hangs bool
	}{
		"would boot":                     {rules.Compatible, rules.Unobserved, rules.High, false},
		"is not known, heard of":         {rules.Unknown, rules.Yes, rules.High, false},
		"is not known, not heard of":     {rules.Unknown, rules.Unobserved, rules.Low, true},
		"needs something, heard of":      {rules.NeedsAction, rules.Yes, rules.High, false},
		"needs something, did not start": {rules.NeedsAction, rules.No, rules.Low, false},
		"is refused, heard of":           {rules.Incompatible, rules.Yes, rules.Low, false},
		"is refused, not heard of":       {rules.Incompatible, rules.Unobserved, rules.Low, true},
	} {
		r := compiled(t, rules.Definition{}, saying("os", rules.StageOS, c.os, rules.When{}), saying("runs", rules.StageObserved, rules.Compatible, rules.When{}))
		v := judge(t, r, rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g7.large", Running: rules.Yes, Up: c.up}, "shenlong-7")
		if v.Level != rules.Compatible || v.Confidence != c.want || v.HangsOnUp != c.hangs {
			t.Errorf("a system that %s: %s with %s confidence, hangs %t", name, v.Level, v.Confidence, v.HangsOnUp)
		}
		if told := strings.Contains(v.Reason, "By its operating system alone it would be "+c.os.String()+" (os)"); told != (c.os != rules.Compatible) {
			t.Errorf("a system that %s: %s", name, v.Reason)
		}
	}
	none := compiled(t, rules.Definition{}, saying("runs", rules.StageObserved, rules.Compatible, rules.When{}))
	if v := judge(t, none, rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g7.large", Running: rules.Yes}, "shenlong-7"); !strings.Contains(v.Reason, "unknown (none)") {
		t.Errorf("no rule names the system: %s", v.Reason)
	}
}

// Of findings that are equally bad that of the earlier stage comes first.
func TestFindingsComeInTheOrderOfTheirStages(t *testing.T) {
	r := compiled(t, rules.Definition{},
		saying("advice", rules.StageAdvisory, rules.Compatible, rules.When{}), saying("finding", rules.StageFinding, rules.Compatible, rules.When{}),
		saying("platform", rules.StagePlatform, rules.Compatible, rules.When{}), saying("nvme", rules.StageNVMe, rules.Compatible, rules.When{}),
		saying("os", rules.StageOS, rules.Compatible, rules.When{}), saying("worse", rules.StageFinding, rules.NeedsAction, rules.When{}),
	)
	var got []string
	for _, f := range judge(t, r, rules.Observation{OSName: "CentOS 7.9"}, "shenlong-8").Findings {
		got = append(got, f.Rule)
	}
	if want := []string{"worse", "os", "nvme", "platform", "finding", "advice"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Every remedy of every rule is offered once, but for those that do not help there.
func TestRemediesOfSeveralRules(t *testing.T) {
	def := rules.Definition{Remedies: map[string]rules.RemedyDef{
		"stay-gen5": {Text: "Stay."}, "one": {Text: "Do one."}, "two": {Text: "Go to {to}."}, "three": {Text: "Do three."}, "four": {Text: "Do four."},
		"stay-family": {Text: "Stay there."},
	}}
	first, second := saying("first", rules.StageOS, rules.NeedsAction, rules.When{}), saying("second", rules.StageFinding, rules.NeedsAction, rules.When{})
	first.Remedies = []rules.RemedyUse{{ID: "stay-gen5"}, {ID: "four", NotFor: []string{"centos"}}, {ID: "one"}, {ID: "two", To: "7.9", Note: "It is supported."}}
	second.Remedies = []rules.RemedyUse{{ID: "one"}, {ID: "two", To: "7.9"}, {ID: "two", To: "8"}, {ID: "three", Targets: []string{"shenlong-7"}}, {ID: "four"}}
	r := compiled(t, def, first, second)
	for name, c := range map[string]struct {
		o      rules.Observation
		target string
		want   []string
	}{
		"on plain KVM": {rules.Observation{InstanceType: "ecs.g5.large"}, "shenlong-6", []string{"Stay.", "Do one.", "Go to 7.9. It is supported.", "Go to 8.", "Do four."}},
		"to plain KVM": {rules.Observation{InstanceType: "ecs.g5.large"}, "kvm", []string{"Do one.", "Go to 7.9. It is supported.", "Go to 8.", "Do four."}},
		"on SHENLONG":  {rules.Observation{InstanceType: "ecs.g6.large"}, "shenlong-7", []string{"Do one.", "Go to 7.9. It is supported.", "Go to 8.", "Do three.", "Do four.", "Stay there."}},
	} {
		c.o.OSName = "CentOS 7.9"
		var got []string
		for _, m := range judge(t, r, c.o, c.target).Remedies {
			got = append(got, m.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	fine := compiled(t, def, saying("os", rules.StageOS, rules.Compatible, rules.When{}))
	bare := compiled(t, rules.Definition{}, saying("os", rules.StageOS, rules.Incompatible, rules.When{}))
	for name, r := range map[string]*rules.Ruleset{"nothing is in its way": fine, "the rule set has no remedy": bare} {
		if v := judge(t, r, rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.g6.large"}, "shenlong-7"); len(v.Remedies) > 0 {
			t.Errorf("%s: %+v", name, v.Remedies)
		}
	}
}

// An explanation lists each rule once, by what it came to for the identity that it
// matched, and names the winner and what was read.
func TestAnExplanationListsEachRuleOnce(t *testing.T) {
	r := own(t,
		rules.Rule{ID: "eight", When: rules.When{Version: "8"}, Verdicts: everywhere(rules.Incompatible)},
		rules.Rule{ID: "six", When: rules.When{Version: "6"}, Verdicts: everywhere(rules.Compatible)},
		rules.Rule{ID: "seven", When: rules.When{Version: "7"}, Verdicts: everywhere(rules.Compatible)},
	)
	f := (&rules.Observation{OSName: "CentOS 7.9", ImageName: "centos 8.2", Kernel: "3.10.0-1160.el7.x86_64"}).Facts()
	targets := rules.DefaultTargets()[:2]
	e := r.Explain(&f, targets)
	for i, te := range e.Targets {
		outcomes := map[string]string{}
		for _, c := range te.Considered {
			if _, twice := outcomes[c.Rule]; twice {
				t.Errorf("%s is listed twice for %s", c.Rule, te.Target)
			}
			outcomes[c.Rule] = c.Outcome
			if want := c.Rule == "eight"; c.Won != want {
				t.Errorf("%s won for %s: %t", c.Rule, te.Target, c.Won)
			}
		}
		if outcomes["eight"] != "matches" || outcomes["seven"] != "matches" || outcomes["six"] != "no: version" {
			t.Errorf("%s: %v", te.Target, outcomes)
		}
		if te.Target != targets[i].ID || te.Winner != "eight" || te.Verdict != rules.Incompatible || te.Why == "" {
			t.Errorf("%+v", te)
		}
	}
	said := map[string]string{}
	for _, s := range e.Seen {
		said[s.Field] = s.Says
	}
	if said["os_name"] != "centos 7.9" || said["image_name"] != "centos 8.2" || said["guest.kernel"] != "an Enterprise Linux kernel 7" {
		t.Errorf("%q", said)
	}
}

// Fixtures of rules that never fire are not tried, and all others are counted.
func TestFixturesAreCounted(t *testing.T) {
	fires := []rules.Observation{{OSName: "CentOS 7.9"}, {OSName: "CentOS 7.8"}}
	off := rules.Rule{ID: "off", Withdrawn: true, Verdicts: everywhere(rules.Compatible), Fire: fires}
	on := rules.Rule{ID: "on", Verdicts: everywhere(rules.Compatible), Fire: fires, Hold: []rules.Observation{{OSName: "Debian 9"}, {OSName: "CentOS 7.7"}}}
	n, failed := own(t, off, on).Test()
	if n != 4 || len(failed) != 1 || failed[0].Fire || failed[0].Text != `{"os_name":"CentOS 7.7"}` {
		t.Errorf("%d fixtures, %+v", n, failed)
	}
}

// fired says whether a finding fires for one target.
func fired(t *testing.T, def rules.Definition, when rules.When, o rules.Observation, target string) bool {
	t.Helper()
	o.OSName = "CentOS 7.9"
	r := compiled(t, def, saying("os", rules.StageOS, rules.Compatible, rules.When{}), saying("nvme", rules.StageNVMe, rules.Compatible, rules.When{}), saying("platform", rules.StagePlatform, rules.Compatible, rules.When{}), saying("it", rules.StageFinding, rules.NeedsAction, when))
	return hasFinding(judge(t, r, o, target), "it")
}

// What a machine proves of the drivers follows from what it is, and from nothing
// that is not known of it.
func TestWhatMachinesProve(t *testing.T) {
	def := rules.Definition{Families: []rules.FamilyRow{
		{Family: "ecs.q8", Generation: 8, Virtualization: "shenlong", NVMe: "unknown"},
		{Family: "ecs.q7", Generation: 7, Virtualization: "shenlong", NVMe: "unknown"},
		{Family: "ecs.r8", Generation: 8, Virtualization: "shenlong", NVMe: "unsupported"},
		{Family: "ecs.qn", Class: "shenlong-8", Virtualization: "shenlong", NVMe: "unknown"},
		{Family: "ecs.qv", Class: "shenlong-8", Virtualization: "shenlong", NVMe: "unsupported"},
	}}
	fact := func(name string) rules.When { return rules.When{Facts: map[string][]string{name: {"yes"}}} }
	for _, c := range []struct {
		o                 rules.Observation
		xen, virtio, nvme bool
	}{
		{rules.Observation{IoOptimized: rules.No}, true, false, false},
		{rules.Observation{IoOptimized: rules.Yes}, false, false, false},
		{rules.Observation{InstanceType: "ecs.g6.large", IoOptimized: rules.No}, false, true, false},
		{rules.Observation{InstanceType: "ecs.t1.small"}, true, false, false},
		{rules.Observation{InstanceType: "ecs.g5.large"}, false, true, false},
		{rules.Observation{InstanceType: "ecs.g7.large"}, false, true, false},
		{rules.Observation{InstanceType: "ecs.g8i.large"}, false, false, true},
		{rules.Observation{InstanceType: "ecs.q8.large"}, false, false, true},
		{rules.Observation{InstanceType: "ecs.q7.large"}, false, true, false},
		{rules.Observation{InstanceType: "ecs.r8.large"}, false, true, false},
		{rules.Observation{InstanceType: "ecs.qn.large"}, false, false, false},
		{rules.Observation{InstanceType: "ecs.qv.large"}, false, true, false},
	} {
		c.o.Running = rules.Yes
		xen, virtio, nvme := fired(t, def, fact("xen_source"), c.o, "kvm"), fired(t, def, fact("virtio"), c.o, "kvm"), fired(t, def, fact("runs_on_nvme"), c.o, "kvm")
		if xen != c.xen || virtio != c.virtio || nvme != c.nvme {
			t.Errorf("%s: Xen %t, virtio %t, NVMe %t", c.o.String(), xen, virtio, nvme)
		}
		c.o.Running = rules.No
		if fired(t, def, fact("virtio"), c.o, "kvm") || fired(t, def, fact("runs_on_nvme"), c.o, "kvm") {
			t.Errorf("%s proves a driver, and does not run", c.o.String())
		}
	}
	c := ruleset(t).NewClassifier(nil)
	for name, retired := range map[string]bool{"ecs.t1.small": true, "ecs.g7.large": false} {
		if m := c.Machine(rules.Hardware{InstanceType: name}); m.Retired != retired {
			t.Errorf("%s is retired: %t", name, m.Retired)
		}
	}
}

// A class is offered where one of its families is, whatever stands beside it that
// nobody knows the generation of.
func TestFamiliesOfNoKnownGenerationSayNothingOfAClass(t *testing.T) {
	offers := rules.When{Mismatch: "platform-offers"}
	for offered, want := range map[string]bool{"ecs.g7": true, "ecs.xyz ecs.g7": true, "ecs.xyz": false, "ecs.g6": false} {
		if got := fired(t, rules.Definition{}, offers, rules.Observation{Offered: offered}, "shenlong-7"); got != want {
			t.Errorf("%q: %t", offered, got)
		}
	}
}

// Machines that a rule tells apart have numbers of their own, wherever it stands
// among the rules.
func TestMachinesThatARuleTellsApartHaveTheirOwnNumbers(t *testing.T) {
	r := compiled(t, rules.Definition{},
		saying("os", rules.StageOS, rules.Compatible, rules.When{}),
		saying("c5", rules.StageFinding, rules.NeedsAction, rules.When{Source: &rules.MachineMatch{Family: []string{"ecs.c5"}}}),
	)
	c := r.NewClassifier(rules.DefaultTargets()[:1])
	var f rules.Facts
	pair := func(name string) uint64 { return rules.Pair(c.System(&f), c.Host(rules.Hardware{InstanceType: name})) }
	if pair("ecs.c5.large") == pair("ecs.g5.large") {
		t.Error("c5 and g5 share a number")
	}
	if pair("ecs.g5.large") != pair("ecs.r5.large") {
		t.Error("g5 and r5, which no rule tells apart, have numbers of their own")
	}
}

// A row of one's own says which disks its family takes, in place of what the table or
// its generation says.
func TestAFamilyRowSaysWhichDisksItTakes(t *testing.T) {
	def := rules.Definition{Families: []rules.FamilyRow{
		{Family: "ecs.q7", Generation: 7, Virtualization: "shenlong"},
		{Family: "ecs.q8", Generation: 8, Virtualization: "shenlong", Disks: "any"},
		{Family: "ecs.qn", Virtualization: "shenlong"},
		{Family: "ecs.u1", Class: "shenlong-7", Virtualization: "unknown"},
		{Family: "ecs.u2i", Generation: 8, Virtualization: "shenlong", Disks: "unknown"},
	}}
	for target, want := range map[string]string{"ecs.q7": "essd", "ecs.q8": "any", "ecs.qn": "unknown", "ecs.u1": "essd+entry", "ecs.u2i": "unknown"} {
		for _, disks := range []string{"any", "essd", "essd+entry", "unknown"} {
			when := rules.When{Target: &rules.MachineMatch{Disks: []string{disks}}}
			if got := fired(t, def, when, rules.Observation{}, target); got != (disks == want) {
				t.Errorf("%s takes %s: %t, want %s", target, disks, got, want)
			}
		}
	}
}
