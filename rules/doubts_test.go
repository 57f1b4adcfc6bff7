package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// A rule that can never fire is named with the one that takes what it matches, and
// one that earlier rules leave something is not.
func TestRulesThatCanNeverFire(t *testing.T) {
	type when = rules.When
	centos, debian := []string{"centos"}, []string{"debian"}
	rule := func(id string, w when) rules.Rule {
		return rules.Rule{ID: id, When: w, Verdicts: everywhere(rules.Compatible)}
	}
	finding := rules.Rule{ID: "finding", Stage: rules.StageFinding, Verdicts: everywhere(rules.Compatible)}
	withdrawn := func(r rules.Rule) rules.Rule { r.Withdrawn = true; return r }
	at := func(stage string, r rules.Rule) rules.Rule { r.Stage = stage; return r }
	kvmOnly := func(r rules.Rule) rules.Rule { r.Verdicts = map[string]string{"kvm": "compatible"}; return r }
	arm := when{Family: centos, Arch: []string{"arm64"}}
	for name, c := range map[string]struct {
		rules []rules.Rule
		want  []string // a rule, and the one that takes what it matches
	}{
		"the same twice":                       {[]rules.Rule{rule("a", when{Version: "7"}), rule("b", when{Version: "7"})}, []string{"b a"}},
		"both behind it":                       {[]rules.Rule{finding, rule("a", when{}), rule("b", when{Version: "7"}), rule("c", when{Version: "8"})}, []string{"b a", "c a"}},
		"behind two that share it":             {[]rules.Rule{rule("a", when{Version: "<6"}), rule("b", when{Version: ">=6 <8"}), rule("c", when{Version: ">=5 <7"})}, []string{"c b"}},
		"the first that leaves nothing":        {[]rules.Rule{rule("a", when{Version: ">=4 <7"}), rule("b", when{Version: ">=5 <9"}), rule("c", when{Version: ">=5 <7"})}, []string{"c a"}},
		"a part is left":                       {[]rules.Rule{rule("a", when{Version: "<6"}), rule("c", when{Version: ">=5 <7"})}, nil},
		"behind one that is of something else": {[]rules.Rule{rule("x", when{Family: debian}), rule("a", when{Version: "7"}), rule("b", when{Version: "7"})}, []string{"b a"}},
		"behind one that is beside it":         {[]rules.Rule{rule("x", when{Version: "3"}), rule("a", when{Version: "7"}), rule("b", when{Version: "7"})}, []string{"b a"}},
		"behind one of another architecture":   {[]rules.Rule{rule("a", arm), rule("b", when{Version: "7"})}, nil},
		"behind one of another edition":        {[]rules.Rule{rule("a", when{Edition: []string{"stream"}}), rule("b", when{Version: "7"})}, nil},
		"behind one of an unknown release":     {[]rules.Rule{rule("a", when{Version: "missing"}), rule("b", when{Version: "7"})}, nil},
		"behind one that is withdrawn":         {[]rules.Rule{withdrawn(rule("a", when{})), rule("b", when{Version: "7"})}, nil},
		"behind one of fewer classes":          {[]rules.Rule{kvmOnly(rule("a", when{Version: "7"})), rule("b", when{Version: "7"})}, nil},
		"an unknown release, behind all":       {[]rules.Rule{rule("v", when{Version: "7"}), rule("a", when{}), rule("b", when{Version: "missing"})}, []string{"b a"}},
		"an unknown release, behind a known":   {[]rules.Rule{rule("a", when{Version: ">=0"}), rule("b", when{Version: "missing"})}, nil},
		"all behind every release":             {[]rules.Rule{rule("a", when{Version: ">=0"}), rule("b", when{})}, nil},
		"all behind all":                       {[]rules.Rule{rule("a", when{Version: "7"}), rule("b", when{}), rule("c", when{})}, []string{"c b"}},
		"all behind all of another stage":      {[]rules.Rule{at(rules.StageNVMe, rule("n", when{})), rule("a", when{Version: ">=0"}), rule("b", when{})}, nil},
		"all behind all that is withdrawn":     {[]rules.Rule{withdrawn(rule("w", when{})), rule("a", when{Version: ">=0"}), rule("b", when{})}, nil},
		"all behind all of an architecture":    {[]rules.Rule{rule("n", arm), rule("a", when{Version: ">=0"}), rule("b", when{})}, nil},
		"all behind all of another family":     {[]rules.Rule{rule("n", when{Family: debian}), rule("a", when{Version: ">=0"}), rule("b", when{})}, nil},
		"an edition behind its family":         {[]rules.Rule{rule("a", when{Family: []string{"other-linux"}}), rule("b", when{Family: []string{"other-linux/scientific"}})}, []string{"b a"}},
		"an edition twice":                     {[]rules.Rule{rule("a", when{Family: []string{"other-linux/scientific"}}), rule("b", when{Family: []string{"other-linux/scientific"}})}, []string{"b a"}},
		"another edition":                      {[]rules.Rule{rule("a", when{Family: []string{"other-linux/el"}}), rule("b", when{Family: []string{"other-linux/scientific"}})}, nil},
		"a family behind its edition":          {[]rules.Rule{rule("a", when{Family: []string{"other-linux/el"}}), rule("b", when{Family: []string{"other-linux"}})}, nil},
		"an edition behind all of Windows":     {[]rules.Rule{rule("a", when{Family: []string{"windows"}}), rule("b", when{Family: []string{"windows-server/core"}})}, []string{"b a"}},
	} {
		var got []string
		for _, p := range own(t, c.rules...).Warnings() {
			if by, ok := strings.CutPrefix(p.Text, "can never fire: "); ok {
				by, _, _ = strings.Cut(by, " ")
				got = append(got, strings.TrimPrefix(p.Part, "rule ")+" "+by)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Conditions on a target's machine hold for families alone, by what they are.
func TestConditionsOnTheMachineOfATarget(t *testing.T) {
	for target, want := range map[string]bool{"ecs.g5": true, "ecs.g6": false, "kvm": false} {
		when := rules.When{Target: &rules.MachineMatch{Virtualization: []string{"kvm"}}}
		if got := fired(t, rules.Definition{}, when, rules.Observation{}, target); got != want {
			t.Errorf("plain KVM, %s: %t", target, got)
		}
	}
	for target, want := range map[string]bool{"ecs.g6.large": true, "ecs.g6.xlarge": true, "ecs.c6.large": false, "ecs.t6.large": false} {
		when := rules.When{Target: &rules.MachineMatch{MemoryMiB: 8192}}
		if got := fired(t, rules.Definition{}, when, rules.Observation{}, target); got != want {
			t.Errorf("8 GiB, %s: %t", target, got)
		}
	}
	source := rules.When{Source: &rules.MachineMatch{NotFamily: []string{"ecs.g5"}}}
	for name, want := range map[string]bool{"": false, "ecs.g5.large": false, "ecs.c5.large": true} {
		if got := fired(t, rules.Definition{}, source, rules.Observation{InstanceType: name}, "kvm"); got != want {
			t.Errorf("from another family than g5, %q: %t", name, got)
		}
	}
}

// It is news whatever of a target was not known.
func TestWhatIsNewsOfATarget(t *testing.T) {
	r := ruleset(t)
	for name, c := range map[string]struct {
		target string
		says   rules.TypeFacts
		want   bool
	}{
		"the same":             {"ecs.g7", rules.TypeFacts{Type: "ecs.g7.large", Family: "ecs.g7", Arch: "x86_64", NVMe: "unsupported", BootModes: []string{"BIOS", "UEFI"}}, false},
		"nothing":              {"ecs.g7", rules.TypeFacts{Type: "ecs.g7.large", Family: "ecs.g7"}, false},
		"the architecture":     {"shenlong-6", rules.TypeFacts{Type: "ecs.g6r.large", Family: "ecs.g6r", Arch: "arm64"}, true},
		"NVMe":                 {"shenlong-6", rules.TypeFacts{Type: "ecs.g6.large", Family: "ecs.g6", NVMe: "required"}, true},
		"the boot modes":       {"shenlong-6", rules.TypeFacts{Type: "ecs.g6.large", Family: "ecs.g6", BootModes: []string{"UEFI"}}, true},
		"of an unlisted type":  {"ecs.zz7", rules.TypeFacts{Type: "ecs.zz7.large", Family: "ecs.zz7"}, false},
		"of another type":      {"ecs.g7.large", rules.TypeFacts{Type: "ecs.g7.xlarge", Family: "ecs.g7", NVMe: "required"}, false},
		"only a contradiction": {"ecs.g8i", rules.TypeFacts{Type: "ecs.g8i.large", Family: "ecs.g8i", NVMe: "unsupported"}, true},
	} {
		target, err := r.ParseTarget(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if _, news := r.Learn(target, []rules.TypeFacts{c.says}); news != c.want {
			t.Errorf("%s: %t", name, news)
		}
	}
}

// What cannot be read is listed, each with why, and what can be is not.
func TestWhatCannotBeRead(t *testing.T) {
	r := ruleset(t)
	for name, c := range map[string]struct {
		facts rules.Facts
		want  []string
	}{
		"nothing is there": {rules.Facts{}, nil},
		"all can be read": {rules.Facts{
			OSName: "CentOS 7.9", OSType: "Linux", InstanceType: "ecs.g6.large", ImageID: "m-bp1xxxxxxxxxxxxxxxxx",
			Image: rules.ImageFacts{OSType: "windows", BootMode: "UEFI-Preferred", Architecture: "x86_64", TagKernelVersion: "3.10.0-957.el7"},
			Guest: rules.GuestFacts{Architecture: "aarch64", Kernel: "3.10.0-957.el7"},
		}, nil},
		"blank": {rules.Facts{OSName: "   "}, nil},
		"none can be": {rules.Facts{
			OSName: "flurb", OSType: "beos", InstanceType: "xyz",
			Image: rules.ImageFacts{OSType: "plan9", BootMode: "floppy", Architecture: "pdp11", TagKernelVersion: "none"},
			Guest: rules.GuestFacts{Architecture: "vax", Kernel: "none"},
		}, []string{"guest.kernel", "image.tag_kernel_version", "os_name", "os_type", "image.os_type", "boot_mode", "guest.architecture", "architecture", "instance_type"}},
		"a type of another family":      {rules.Facts{InstanceType: "ecs.c7.large", InstanceFamily: "ecs.g8i"}, []string{"instance_type"}},
		"a version alone":               {rules.Facts{Guest: rules.GuestFacts{Release: "7.9"}}, nil},
		"a kernel where a name belongs": {rules.Facts{OSName: "3.10.0-957.el7.x86_64"}, nil},
		"a release that never was":      {rules.Facts{OSName: "CentOS 7.99"}, []string{"os_name"}},
		"a text without end":            {rules.Facts{OSName: "CentOS 7.9 " + strings.Repeat("and so on ", 2000)}, []string{"os_name"}},
	} {
		var got []string
		for _, u := range r.Unread(&c.facts) {
			got = append(got, u.Field)
			if u.Text == "" || u.Why == "" {
				t.Errorf("%s: %+v", name, u)
			}
			if family := c.facts.InstanceFamily; u.Field == "instance_type" && strings.Contains(u.Why, "the cloud says") != (family != "") {
				t.Errorf("%s, of family %q: %s", name, family, u.Why)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// An instance whose type and family are of two kinds of machine is on one of the two: that
// it runs proves its system for neither, and what speaks against a move from either counts.
func TestWhatRunsOnOneOfTwoFamiliesProvesNothing(t *testing.T) {
	r := ruleset(t)
	targets := rules.DefaultTargets()
	for _, name := range []string{"ecs.g8i", "ecs.g8i.large", "ecs.c7"} {
		target, err := r.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	c := r.NewClassifier(targets)
	severity := []rules.Level{rules.Compatible, rules.NeedsAction, rules.Unknown, rules.Incompatible}
	worse := func(a, b rules.Level) bool { return slices.Index(severity, a) > slices.Index(severity, b) }
	for _, system := range []string{"CentOS 7.2", "CentOS 5.8", "CentOS 8.4", "Windows Server 2008 R2", "Windows Server 2019", "Ubuntu 14.04", "Debian 6.0.9", "FreeBSD 11.1"} {
		for _, of := range [][2]string{{"ecs.c7.large", "ecs.g8i"}, {"ecs.g8i.large", "ecs.c7"}, {"ecs.t1.small", "ecs.g6"}, {"ecs.c5.large", "ecs.g7"}} {
			on := func(instanceType, instanceFamily string) *rules.Classification {
				facts := rules.Facts{OSName: system, IoOptimized: rules.Yes, Running: rules.Yes, InstanceType: instanceType, InstanceFamily: instanceFamily, Guest: rules.GuestFacts{Up: rules.Yes}}
				if there := c.Host(facts.Hardware()).There(); there != 0 && instanceType != "" && instanceFamily != "" {
					t.Errorf("%v is said to be there already: %b", of, there)
				}
				return c.Classify(&facts)
			}
			got, typed, named := on(of[0], of[1]), on(of[0], ""), on("", of[1])
			for i := range got.Verdicts {
				for _, one := range []*rules.Classification{typed, named} {
					if worse(one.Verdicts[i].Level, got.Verdicts[i].Level) {
						t.Errorf("%s on %v: %s is %s by %s, and %s by %s on one of the two alone", system, of, targets[i].ID, got.Verdicts[i].Level, got.Verdicts[i].Rule, one.Verdicts[i].Level, one.Verdicts[i].Rule)
					}
				}
			}
		}
	}
}

// A machine that runs a system of another architecture is not what it is said to be, or the
// system is not: that it runs proves neither its system nor its drivers, for no target, and
// what is seen to fail on it counts.
func TestWhatRunsOnAnotherArchitectureProvesNothing(t *testing.T) {
	r := ruleset(t)
	targets := rules.DefaultTargets()
	for _, name := range []string{"ecs.g8i", "ecs.g8y", "ecs.g6r", "ecs.g7"} {
		target, err := r.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	c := r.NewClassifier(targets)
	severity := []rules.Level{rules.Compatible, rules.NeedsAction, rules.Unknown, rules.Incompatible}
	milder := func(a, b rules.Level) bool { return slices.Index(severity, a) < slices.Index(severity, b) }
	for _, system := range []string{"CentOS 7.2", "CentOS 5.8", "CentOS 8.4", "Windows Server 2008 R2", "Windows Server 2019", "Ubuntu 16.04", "Debian 6.0.9", "FreeBSD 11.1", "Customized Linux"} {
		for _, of := range [][2]string{{"x86_64", "ecs.g8y.large"}, {"x86_64", "ecs.g6r.large"}, {"arm64", "ecs.g8i.large"}, {"arm64", "ecs.g7.large"}, {"arm64", "ecs.t5-lc1m1.small"}} {
			on := func(running, up rules.Tri) *rules.Classification {
				facts := rules.Facts{OSName: system, IoOptimized: rules.Yes, Running: running, InstanceType: of[1], Guest: rules.GuestFacts{Up: up}}
				facts.Image = rules.ImageFacts{Presence: rules.ImageFound, Architecture: of[0]}
				return c.Classify(&facts)
			}
			stopped := on(rules.No, rules.Unobserved)
			for _, up := range []rules.Tri{rules.Unobserved, rules.Yes, rules.No} {
				for i, running := range on(rules.Yes, up).Verdicts {
					if milder(running.Level, stopped.Verdicts[i].Level) || running.HangsOnUp || running.Level == rules.Compatible && running.Confidence > stopped.Verdicts[i].Confidence {
						t.Errorf("%s for %s on %s, up %v: %s is %s, %s by %s, and %s, %s by %s where it is stopped",
							system, of[0], of[1], up, targets[i].ID, running.Level, running.Confidence, running.Rule, stopped.Verdicts[i].Level, stopped.Verdicts[i].Confidence, stopped.Verdicts[i].Rule)
					}
				}
			}
		}
	}
}

// A boot mode that is none of those that an image can have tells nothing, like none at all:
// a system that starts by BIOS as a rule does not start where there is UEFI alone.
func TestABootModeThatIsNoneTellsNothing(t *testing.T) {
	r := ruleset(t)
	target, err := r.ParseTarget("ecs.g7t")
	if err != nil {
		t.Fatal(err)
	}
	c := r.NewClassifier([]rules.Target{target})
	for mode, told := range map[string]bool{"": false, "Legacy": false, "UEFI-Legacy": false, "none": false, "uefi": true, "UEFI": true, "uefi-preferred": true} {
		v := c.Classify(&rules.Facts{OSName: "CentOS 6.9", Image: rules.ImageFacts{Presence: rules.ImageFound, BootMode: mode}}).Verdicts[0]
		if (v.Rule == "boot.bios-by-rule") == told || (v.Level == rules.Incompatible) == told {
			t.Errorf("boot mode %q: %s by %s", mode, v.Level, v.Rule)
		}
	}
}

// Waivers apply in their order, each to what it names, and none makes a verdict
// worse.
func TestWaiversApplyInTheirOrder(t *testing.T) {
	waived := func(list ...rules.WaiverRule) *rules.Ruleset {
		t.Helper()
		for i := range list {
			list[i].Until, list[i].Reason = "2030-01-01", "r"
		}
		r, err := rules.Compile(rules.Definition{
			Sources: map[string]string{"own": "a trial"}, Waivers: list,
			Rules: []rules.Rule{
				{ID: "runs", Stage: rules.StageObserved, Source: "own", Reason: "r", When: rules.When{Family: []string{"*"}}, Verdicts: everywhere(rules.Compatible)},
				{ID: "os", Stage: rules.StageOS, Source: "own", Reason: "r", When: rules.When{Family: []string{"*"}}, Verdicts: map[string]string{"kvm": "compatible", "shenlong-6": "incompatible"}},
			},
		}, family.Embedded())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, other := rules.WaiveScope{Accounts: []string{"1"}}, rules.WaiveScope{Accounts: []string{"2"}}
	mine := rules.Waivable{Account: "1", Region: "r", InstanceID: "i", ImageID: "m", Today: "2026-01-01"}
	levels := func(r *rules.Ruleset, f rules.Facts, w rules.Waivable) string {
		c := r.NewClassifier(rules.DefaultTargets()[:3])
		var out []string
		for _, v := range c.Waive(c.Classify(&f), w).Verdicts {
			text := v.Level.String()
			if v.Waiver != nil {
				text += " by " + v.Waiver.ID
			}
			out = append(out, text)
		}
		return strings.Join(out, ", ")
	}
	for name, c := range map[string]struct {
		list []rules.WaiverRule
		want string
	}{
		"one":                            {[]rules.WaiverRule{{ID: "a", Scope: one}}, "compatible, compatible by a, compatible by a"},
		"the second, of this account":    {[]rules.WaiverRule{{ID: "a", Scope: other}, {ID: "b", Scope: one}}, "compatible, compatible by b, compatible by b"},
		"the first of two":               {[]rules.WaiverRule{{ID: "a", Scope: one, As: "needs-action"}, {ID: "b", Scope: one}}, "compatible, needs-action by a, needs-action by a"},
		"one that would make it worse":   {[]rules.WaiverRule{{ID: "a", Scope: one, As: "needs-action", Targets: []string{"kvm"}}}, "compatible, incompatible, incompatible"},
		"what is so already":             {[]rules.WaiverRule{{ID: "a", Scope: one, As: "incompatible"}}, "compatible, incompatible, incompatible"},
		"the earlier class alone":        {[]rules.WaiverRule{{ID: "a", Scope: one, Targets: []string{"shenlong-6"}}}, "compatible, compatible by a, incompatible"},
		"the later class, half as mild":  {[]rules.WaiverRule{{ID: "a", Scope: one, As: "unknown", Targets: []string{"shenlong-6"}}, {ID: "b", Scope: one}}, "compatible, unknown by a, unknown by b"},
		"the later class alone":          {[]rules.WaiverRule{{ID: "a", Scope: one, Targets: []string{"shenlong-7"}}}, "compatible, incompatible, incompatible"},
		"as what it is, the later class": {[]rules.WaiverRule{{ID: "a", Scope: one, As: "unknown"}}, "compatible, unknown by a, unknown by a"},
	} {
		if got := levels(waived(c.list...), rules.Facts{OSName: "CentOS 7.9"}, mine); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	// It runs on the 7th generation, which is milder than the 6th without a waiver.
	running := rules.Facts{OSName: "CentOS 7.9", InstanceType: "ecs.g7.large", Running: rules.Yes}
	if got := levels(waived(rules.WaiverRule{ID: "a", Scope: one, As: "needs-action", Targets: []string{"shenlong-6"}}), running, mine); got != "compatible, needs-action by a, compatible" {
		t.Errorf("a class on which it runs: %s", got)
	}
	// A scope may name any two of these, and holds where both do.
	tags := map[string]string{"env": "lab"}
	for name, scope := range map[string]rules.WaiveScope{
		"regions":   {Accounts: []string{"1"}, Regions: []string{"r"}},
		"instances": {Accounts: []string{"1"}, Instances: []string{"i"}},
		"images":    {Accounts: []string{"1"}, Images: []string{"m"}},
		"tags":      {Accounts: []string{"1"}, Tags: tags},
	} {
		tagged := mine
		tagged.Tags = func(key string) (string, bool) { return "lab", key == "env" }
		if got := levels(waived(rules.WaiverRule{ID: "a", Scope: scope}), rules.Facts{OSName: "CentOS 7.9"}, tagged); !strings.Contains(got, "by a") {
			t.Errorf("accounts and %s: %s", name, got)
		}
	}
	for name, c := range map[string]struct {
		want string
		tags map[string]string
		ok   bool
	}{
		"the value":               {"lab", map[string]string{"env": "lab"}, true},
		"another value":           {"lab", map[string]string{"env": "prod"}, false},
		"no such tag":             {"lab", map[string]string{"team": "lab"}, false},
		"any value":               {"*", map[string]string{"env": "prod"}, true},
		"any value of no tag":     {"*", map[string]string{"team": "lab"}, false},
		"an empty value":          {"*", map[string]string{"env": ""}, true},
		"an empty value of a tag": {"lab", map[string]string{"env": ""}, false},
	} {
		w := rules.Waivable{Today: "2026-01-01", Tags: func(key string) (string, bool) { v, ok := c.tags[key]; return v, ok }}
		got := levels(waived(rules.WaiverRule{ID: "a", Scope: rules.WaiveScope{Tags: map[string]string{"env": c.want}}}), rules.Facts{OSName: "CentOS 7.9"}, w)
		if strings.Contains(got, "by a") != c.ok {
			t.Errorf("%s: %s", name, got)
		}
	}
}
