package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// own compiles a rule set of a test's own, whose rules say what they say of every
// class unless they name classes.
func own(t *testing.T, list ...rules.Rule) *rules.Ruleset {
	t.Helper()
	for i := range list {
		rule := &list[i]
		rule.Title, rule.Source = rule.ID, "own"
		if rule.Stage == "" {
			rule.Stage = rules.StageOS
		}
		if rule.Reason == "" {
			rule.Reason = "It is said by " + rule.ID + "."
		}
		if len(rule.When.Family) == 0 {
			rule.When.Family = []string{"centos"}
		}
	}
	r, err := rules.Compile(rules.Definition{Version: 1, Sources: map[string]string{"own": "a trial"}, Rules: list}, family.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everywhere is a verdict on all classes.
func everywhere(level rules.Level) map[string]string {
	out := map[string]string{}
	for _, class := range rules.Classes() {
		out[class] = level.String()
	}
	return out
}

// Of several rules that may be meant and are equally bad, the one that stands
// first is named; the worst of all is, wherever it stands.
func TestTheFirstOfTheWorstRulesIsNamed(t *testing.T) {
	r := own(t,
		rules.Rule{ID: "early", When: rules.When{Version: "<5.3"}, Verdicts: everywhere(rules.Unknown), Confidence: "high"},
		rules.Rule{ID: "middle", When: rules.When{Version: ">=5.3 <5.8"}, Verdicts: everywhere(rules.Unknown), Confidence: "high"},
		rules.Rule{ID: "late", When: rules.When{Version: ">=5.8"}, Verdicts: everywhere(rules.Compatible), Confidence: "high"},
	)
	for name, want := range map[string]string{"CentOS 5": "early", "CentOS 5.3": "middle", "CentOS 5.9": "late"} {
		if v := judge(t, r, rules.Observation{OSName: name}, "shenlong-6"); v.Rule != want {
			t.Errorf("%s: %s, want %s", name, v.Rule, want)
		}
	}
}

// That a boundary lies inside what is known makes a verdict less firm only where
// the two sides of it differ.
func TestABoundaryBetweenEqualVerdictsMakesNothingUnsure(t *testing.T) {
	early := rules.Rule{ID: "early", When: rules.When{Version: "<5.8"}, Verdicts: everywhere(rules.Incompatible), Confidence: "high"}
	late := rules.Rule{ID: "late", When: rules.When{Version: ">=5.8"}, Verdicts: everywhere(rules.Incompatible), Confidence: "high"}
	if v := judge(t, own(t, early, late), rules.Observation{OSName: "CentOS 5"}, "shenlong-6"); v.Confidence != rules.High {
		t.Errorf("both sides are incompatible, with %s confidence", v.Confidence)
	}
	late.Verdicts = everywhere(rules.Compatible)
	if v := judge(t, own(t, early, late), rules.Observation{OSName: "CentOS 5"}, "shenlong-6"); v.Confidence != rules.Low || v.Level != rules.Incompatible {
		t.Errorf("the sides differ: %s with %s confidence", v.Level, v.Confidence)
	}
}

// A release that was inferred from the kernel is no firmer than medium where the
// verdict rests on it, and as firm as the rule where the rule is about all that
// the name leaves open.
func TestAReleaseReadFromItsKernelIsNoFirmerThanMedium(t *testing.T) {
	split := own(t,
		rules.Rule{ID: "early", When: rules.When{Version: "<7.6"}, Verdicts: everywhere(rules.Unknown), Confidence: "high"},
		rules.Rule{ID: "late", When: rules.When{Version: ">=7.6"}, Verdicts: everywhere(rules.Compatible), Confidence: "high"},
	)
	whole := own(t, rules.Rule{ID: "all", When: rules.When{Version: ">=7"}, Verdicts: everywhere(rules.Compatible), Confidence: "high"})
	of9 := rules.Observation{OSName: "CentOS 7", Kernel: "3.10.0-1160.el7.x86_64"}
	if v := judge(t, split, of9, "shenlong-6"); v.Rule != "late" || v.Confidence != rules.Medium {
		t.Errorf("the kernel decides: %s with %s confidence", v.Rule, v.Confidence)
	}
	if v := judge(t, whole, of9, "shenlong-6"); v.Confidence != rules.High {
		t.Errorf("every release 7 is meant: %s confidence", v.Confidence)
	}
	if v := judge(t, split, rules.Observation{OSName: "CentOS 7.9"}, "shenlong-6"); v.Confidence != rules.High {
		t.Errorf("the name says it: %s confidence", v.Confidence)
	}
	// A rule set without a catch-all says that it does not know.
	if v := judge(t, own(t, rules.Rule{ID: "six", When: rules.When{Version: "<7"}, Verdicts: everywhere(rules.Compatible)}), of9, "shenlong-6"); v.Level != rules.Unknown || v.Rule != "none" {
		t.Errorf("no rule names it: %s by %s", v.Level, v.Rule)
	}
}

// A rule that says nothing of a class leaves it to the next one.
func TestARuleWithoutAVerdictForAClassIsPassedBy(t *testing.T) {
	r := own(t,
		rules.Rule{ID: "kvm", Verdicts: map[string]string{"kvm": "compatible"}},
		rules.Rule{ID: "all", Verdicts: everywhere(rules.Incompatible)},
	)
	for target, want := range map[string]string{"kvm": "kvm", "shenlong-6": "all", "shenlong-8": "all"} {
		if v := judge(t, r, rules.Observation{OSName: "CentOS 7.9"}, target); v.Rule != want {
			t.Errorf("%s: %s, want %s", target, v.Rule, want)
		}
	}
}

// What confirms a rule makes it high, and only where it was seen.
func TestARuleIsHighOnlyWhereItIsConfirmed(t *testing.T) {
	r := own(t, rules.Rule{
		ID: "virtio", Verdicts: everywhere(rules.Compatible), Confidence: "low",
		ConfirmedBy: map[string][]string{"shenlong-6": {"virtio_of_guest"}},
	})
	for name, c := range map[string]struct {
		virtio rules.Tri
		target string
		want   rules.Confidence
	}{
		"confirmed":                  {rules.Yes, "shenlong-6", rules.High},
		"denied":                     {rules.No, "shenlong-6", rules.Low},
		"not looked at":              {rules.Unobserved, "shenlong-6", rules.Low},
		"confirmed of another class": {rules.Yes, "kvm", rules.Low},
	} {
		if v := judge(t, r, rules.Observation{OSName: "CentOS 7.9", Virtio: c.virtio}, c.target); v.Confidence != c.want {
			t.Errorf("%s: %s, want %s", name, v.Confidence, c.want)
		}
	}
}

// Of names that contradict each other every one is held against the kernel.
func TestEveryNameIsHeldAgainstTheKernel(t *testing.T) {
	f := (&rules.Observation{OSName: "Ubuntu 20.04", ImageName: "ubuntu 22.04", Kernel: "5.4.0-1-generic"}).Facts()
	cl := ruleset(t).NewClassifier(nil).Classify(&f)
	if !slices.ContainsFunc(cl.Conflicts, func(k rules.Conflict) bool {
		return k.Field == "kernel" && k.Chosen == "ubuntu 22.04" && k.Other == "a kernel of ubuntu 20.04"
	}) {
		t.Errorf("the second name has an older kernel: %+v", cl.Conflicts)
	}
}

// The reason says what the worse reading rests on: a kernel, a second name, or one
// of several that one name lists.
func TestTheReasonNamesWhatTheWorseReadingRestsOn(t *testing.T) {
	const kernel, contradiction, several = "The running kernel", "The evidence contradicts itself", "Several releases are named"
	for _, c := range []struct {
		o    rules.Observation
		has  []string
		not  []string
		also string // a release that the conflicts show
	}{
		{rules.Observation{OSName: "Ubuntu 16.04", Kernel: "2.6.32-21-generic"}, []string{kernel + " 2.6.32-21-generic belongs to ubuntu 10.04"}, []string{contradiction, several}, ""},
		{rules.Observation{OSName: "Ubuntu 16.04", ImageName: "ubuntu 10.04"}, []string{contradiction, "ubuntu 16.04 or ubuntu 10.04"}, []string{kernel, several}, "10.04"},
		{rules.Observation{OSName: "CentOS 6.5 or 7.9"}, []string{several}, []string{kernel, contradiction}, "6.5"},
		{rules.Observation{OSName: "CentOS 6.5 or 7.9", ImageName: "centos 5.8"}, []string{several}, []string{kernel, contradiction}, "5.8"},
	} {
		f := c.o.Facts()
		cl := ruleset(t).NewClassifier(nil).Classify(&f)
		reason := cl.Verdicts[rules.ClassShenlong7].Reason
		for _, text := range c.has {
			if !strings.Contains(reason, text) {
				t.Errorf("%s: %q does not say %q", c.o.String(), reason, text)
			}
		}
		for _, text := range c.not {
			if strings.Contains(reason, text) {
				t.Errorf("%s: %q says %q", c.o.String(), reason, text)
			}
		}
		if c.also != "" && !slices.ContainsFunc(cl.Conflicts, func(k rules.Conflict) bool { return k.Other == c.also }) {
			t.Errorf("%s: the conflicts do not show %s: %+v", c.o.String(), c.also, cl.Conflicts)
		}
	}
}

// Systems and machines that rules cannot tell apart have one number, whatever
// they were read from; a system whose evidence contradicts itself is alone.
func TestWhatIsJudgedAlikeHasOneNumber(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	pair := func(o rules.Observation) uint64 {
		f := o.Facts()
		return rules.Pair(c.System(&f), c.Host(f.Hardware()))
	}
	if a, b := pair(rules.Observation{OSName: "CentOS 7.9 64位"}), pair(rules.Observation{OSName: "CentOS 7.9 64 bit"}); a != b {
		t.Errorf("one system that is spelled in two ways: %x and %x", a, b)
	}
	if a, b := pair(rules.Observation{OSName: "CentOS 7.9", ImageName: "centos 7.8"}), pair(rules.Observation{OSName: "CentOS 7.9", ImageName: "centos 7.8 x"}); a == b {
		t.Error("two contradictions share a number")
	}
	if a, b := pair(rules.Observation{OSName: "CentOS 7.9"}), pair(rules.Observation{OSName: "CentOS 5.8"}); a == b {
		t.Error("two releases share a number")
	}
}

// Every mistake of a rule set is named, not only the first of its kind.
func TestEveryMistakeIsNamed(t *testing.T) {
	both := func(value string) map[string]string { return map[string]string{"g6": value, "g7": value} }
	centos := []string{"centos"}
	def := rules.Definition{
		Sources: map[string]string{"own": "a trial"},
		Systems: map[string][]rules.OSMatch{"two": {{Family: centos, Version: "7"}}},
		Families: []rules.FamilyRow{
			{Family: "ecs.q1", Virtualization: "bochs"},
			{Family: "ecs.q2", Virtualization: "bochs"},
			{Family: "ecs.q3", Virtualization: "shen\nlong"},
			{Family: "ecs.q4", Virtualization: "shen\tlong"},
		},
		Rules: []rules.Rule{
			{
				ID: "a", Stage: rules.StageOS, Source: "own", Reason: "r", Verdicts: both("compatible"), ConfidenceAt: both("high"), Reasons: both("s"),
				ConfirmedBy: map[string][]string{"g6": nil, "g7": nil},
				When:        rules.When{Family: centos, Facts: map[string][]string{"mood": {"yes"}, "smell": {"yes"}}},
			},
			{ID: "b", Stage: rules.StageOS, Source: "own", Reason: "r", Verdicts: everywhere(rules.Unknown), When: rules.When{Systems: "two", Family: centos}},
			{ID: "c", Stage: rules.StageOS, Source: "own", Reason: "r", Verdicts: everywhere(rules.Unknown), When: rules.When{Systems: "two", Version: "7"}},
			{ID: "d", Stage: rules.StageOS, Source: "own", Reason: "r", Verdicts: everywhere(rules.Unknown), When: rules.When{Family: centos, Version: "7"}},
		},
		Overrides: []rules.Override{
			{Rule: "d", Reason: "r"},
			{Rule: "d", Reason: "r", Confidence: "sure"},
			{Rule: "d", Confidence: "high"},
		},
	}
	_, err := rules.Compile(def, family.Embedded())
	if err == nil {
		t.Fatal("it compiles")
	}
	for text, n := range map[string]int{
		`family ecs.q1: `: 1, `family ecs.q2: `: 1, `family ecs.q3: a value holds`: 1, `family ecs.q4: a value holds`: 1,
		`verdicts: "g6"`: 1, `verdicts: "g7"`: 1, `confidence_at: "g6"`: 1, `confidence_at: "g7"`: 1, `confirmed_by: "g6"`: 1, `confirmed_by: "g7"`: 1,
		`reasons: "g6"`: 1, `reasons: "g7"`: 1, `fact "mood"`: 1, `fact "smell"`: 1,
		`rule b: systems stands in place`: 1, `rule c: systems stands in place`: 1,
		`nothing is overridden`: 1, `confidence "sure"`: 1, `override d: no reason is given`: 1, `systems stands in place`: 2,
	} {
		if got := strings.Count(err.Error(), text); got != n {
			t.Errorf("%q is said %d times, want %d: %v", text, got, n, err)
		}
	}
}

// An override says what it names and makes no later class of SHENLONG milder than
// an earlier one; what it does not name stays where nothing speaks against it.
func TestAnOverrideChangesWhatItNames(t *testing.T) {
	compile := func(rule rules.Rule, o rules.Override) (*rules.Ruleset, error) {
		rule.ID, rule.Stage, rule.Source, rule.Reason, o.Rule, o.Reason = "a", rules.StageOS, "own", "r", "a", "o"
		rule.When.Family = []string{"centos"}
		return rules.Compile(rules.Definition{
			Sources: map[string]string{"own": "a trial"},
			Rules: []rules.Rule{rule, {
				ID: "z", Stage: rules.StageOS, Source: "own", Reason: "r", When: rules.When{Family: []string{"*"}}, Verdicts: everywhere(rules.Unknown),
			}},
			Overrides: []rules.Override{o},
		}, family.Embedded())
	}
	for name, c := range map[string]struct {
		rule rules.Rule
		o    rules.Override
		want map[string]string // class -> verdict, confidence and rule
	}{
		"a later class is no milder": {
			rules.Rule{Verdicts: everywhere(rules.Compatible)},
			rules.Override{Verdicts: map[string]string{"shenlong-6": "needs-action"}},
			map[string]string{"kvm": "compatible medium a", "shenlong-6": "needs-action medium a", "shenlong-7": "needs-action medium a"},
		},
		"what is worse on a later class stays": {
			rules.Rule{Verdicts: map[string]string{"shenlong-6": "compatible", "shenlong-7": "incompatible"}},
			rules.Override{Verdicts: map[string]string{"shenlong-6": "needs-action"}},
			map[string]string{"kvm": "unknown medium z", "shenlong-6": "needs-action medium a", "shenlong-7": "incompatible medium a"},
		},
		"the confidence alone": {
			rules.Rule{Verdicts: map[string]string{"kvm": "compatible", "shenlong-6": "incompatible"}},
			rules.Override{Confidence: "high"},
			map[string]string{"kvm": "compatible high a", "shenlong-6": "incompatible high a", "shenlong-7": "incompatible high a"},
		},
		"disabled": {
			rules.Rule{Verdicts: everywhere(rules.Compatible)},
			rules.Override{Disabled: true},
			map[string]string{"kvm": "unknown medium z", "shenlong-6": "unknown medium z"},
		},
		"a withdrawn rule stays withdrawn": {
			rules.Rule{Verdicts: everywhere(rules.Compatible), Withdrawn: true},
			rules.Override{Confidence: "high"},
			map[string]string{"shenlong-6": "unknown medium z"},
		},
	} {
		r, err := compile(c.rule, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for target, want := range c.want {
			v := judge(t, r, rules.Observation{OSName: "CentOS 7.9"}, target)
			if got := v.Level.String() + " " + v.Confidence.String() + " " + v.Rule; got != want {
				t.Errorf("%s: %s on %s, want %s", name, got, target, want)
			}
		}
	}
	// A mistake of the rule is told, whatever an override changes beside it.
	milder := rules.Rule{Verdicts: map[string]string{"kvm": "compatible", "shenlong-6": "incompatible", "shenlong-7": "compatible"}}
	for _, o := range []rules.Override{{Confidence: "high"}, {Disabled: true}, {Verdicts: map[string]string{"shenlong-8": "incompatible"}}, {Verdicts: map[string]string{"kvm": "needs-action"}}} {
		if _, err := compile(milder, o); err == nil || !strings.Contains(err.Error(), "milder on shenlong-7") {
			t.Errorf("a rule that is milder on a later class, with %+v: %v", o, err)
		}
	}
	if _, err := compile(rules.Rule{Verdicts: everywhere(rules.Incompatible)}, rules.Override{Verdicts: map[string]string{"shenlong-7": "compatible"}}); err == nil || !strings.Contains(err.Error(), "milder on shenlong-7") {
		t.Errorf("a later class that is made milder: %v", err)
	}
}

// A rule that speaks of the last classes alone keeps its verdict there when it is
// overridden for machines before them.
func TestAnOverrideOfOneClassLeavesAClassWithoutANeighbourAlone(t *testing.T) {
	r, err := rules.Compile(rules.Definition{
		Sources: map[string]string{"own": "a trial"},
		Rules: []rules.Rule{
			{ID: "a", Stage: rules.StageOS, Source: "own", Reason: "r", When: rules.When{Family: []string{"centos"}}, Verdicts: everywhere(rules.Compatible)},
			{ID: "f", Stage: rules.StageFinding, Source: "own", Reason: "r", When: rules.When{Family: []string{"centos"}}, Verdicts: map[string]string{"kvm": "needs-action", "shenlong-8": "needs-action"}},
		},
		Overrides: []rules.Override{{Rule: "f", Verdicts: map[string]string{"kvm": "compatible"}, Reason: "o"}},
	}, family.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]rules.Level{"kvm": rules.Compatible, "shenlong-8": rules.NeedsAction} {
		v := judge(t, r, rules.Observation{OSName: "CentOS 7.9"}, target)
		if !slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == "f" && f.Level == want }) {
			t.Errorf("%s: %+v, want f to say %s", target, v.Findings, want)
		}
	}
	if v := judge(t, r, rules.Observation{OSName: "CentOS 7.9"}, "shenlong-7"); hasFinding(v, "f") {
		t.Errorf("it says something of shenlong-7: %+v", v.Findings)
	}
}
