package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// Whoever runs on hardware of the target has nothing to move: of a type only that type,
// of a family each of its types, of a class that generation and each later one.
func TestWhoIsThereHasNothingToMove(t *testing.T) {
	g6 := rules.Machine{Family: "ecs.g6", Generation: 6, Virtualization: family.Shenlong}
	g7 := rules.Machine{Family: "ecs.g7", Generation: 7, Virtualization: family.Shenlong}
	g8 := rules.Machine{Family: "ecs.g8i", Generation: 8, Virtualization: family.Shenlong}
	n4 := rules.Machine{Family: "ecs.n4", Generation: 4, Virtualization: family.KVM}
	for _, c := range []struct {
		target rules.Target
		typ    string
		on     rules.Machine
		want   bool
	}{
		{rules.Target{Type: "ecs.g7.large", Family: "ecs.g7", Class: rules.ClassShenlong7}, "ecs.g7.large", g7, true},
		{rules.Target{Type: "ecs.g7.large", Family: "ecs.g7", Class: rules.ClassShenlong7}, "ecs.g7.xlarge", g7, false},
		{rules.Target{Family: "ecs.g7", Class: rules.ClassShenlong7}, "ecs.g7.large", g7, true},
		{rules.Target{Family: "ecs.g7", Class: rules.ClassShenlong7}, "ecs.g8i.large", g8, false},
		{rules.Target{Class: rules.ClassKVM}, "ecs.n4.large", n4, true},
		{rules.Target{Class: rules.ClassKVM}, "ecs.g7.large", g7, false},
		{rules.Target{Class: rules.ClassShenlong7}, "ecs.g6.large", g6, false},
		{rules.Target{Class: rules.ClassShenlong7}, "ecs.g7.large", g7, true},
		{rules.Target{Class: rules.ClassShenlong7}, "ecs.g8i.large", g8, true},
		{rules.Target{Class: rules.ClassShenlong7}, "ecs.n4.large", n4, false},
	} {
		if got := c.target.There(c.typ, &c.on); got != c.want {
			t.Errorf("%s is on %+v: %t", c.typ, c.target, got)
		}
	}
	// The family that the cloud names counts before the one that is known of the type.
	for named, want := range map[string]uint32{"": 0b10, "ecs.g6": 0b01} {
		targets := []rules.Target{{Family: "ecs.g6"}, {Family: "ecs.g7"}}
		if got := rules.There(targets, rules.Hardware{InstanceType: "ecs.g7.large", InstanceFamily: named}, g7); got != want {
			t.Errorf("named %q: %02b, want %02b", named, got, want)
		}
	}
}

// A kernel on the console that is better than the one that the machine answered with
// takes nothing from how firm the worse verdict is.
func TestABetterKernelLeavesTheWorseVerdictFirm(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	facts := rules.Facts{OSName: "CentOS release 5.11 (Final)", Guest: rules.GuestFacts{Release: "CentOS release 5.11 (Final)", Kernel: "2.6.18-348.el5"}}
	alone := c.Classify(&facts)
	facts.Guest.Kernel, facts.Guest.ConsoleKernel = "2.6.18-398.el5", ""
	better := c.Classify(&facts)
	facts.Guest.Kernel, facts.Guest.ConsoleKernel = "2.6.18-348.el5", "2.6.18-398.el5"
	both := c.Classify(&facts)
	was, other, is := &alone.Verdicts[rules.ClassShenlong7], &better.Verdicts[rules.ClassShenlong7], &both.Verdicts[rules.ClassShenlong7]
	if was.Level != rules.Incompatible || !worse(was.Level, other.Level) || other.Confidence >= was.Confidence {
		t.Fatalf("%s, %s confidence, and with the other kernel %s, %s confidence: the test proves nothing", was.Level, was.Confidence, other.Level, other.Confidence)
	}
	if is.Level != was.Level || is.Confidence != was.Confidence {
		t.Errorf("%s, %s confidence, and without the console log %s, %s confidence", is.Level, is.Confidence, was.Level, was.Confidence)
	}
}

// What an advisory tells is of the system that the instance has, not of another one that
// the evidence names as well: it only tells and moves no verdict.
func TestAdvisoriesAreOfTheChosenSystemAlone(t *testing.T) {
	r := ruleset(t)
	c := r.NewClassifier([]rules.Target{target(t, r, "ecs.g8i")})
	for name, want := range map[string]bool{"Windows Server  2019 数据中心版 64位": false, "Debian  12.1 64位": true} {
		facts := rules.Facts{OSName: "Ubuntu  22.04 64位", InstanceType: "ecs.g7.large", Image: rules.ImageFacts{OSName: name}}
		v := c.Classify(&facts).Verdicts[0]
		if got := hasFinding(&v, "rename.nvme"); got != want {
			t.Errorf("%s: told that disks get other names: %t", name, got)
		}
	}
}

// A fixture on which no other rule fires names none.
func TestAFixtureOfNoRuleNamesNone(t *testing.T) {
	failed := rules.FixtureFailure{Rule: "a", Fire: true, Text: "b"}
	if got := failed.String(); got != "rule a must fire on b" {
		t.Error(got)
	}
}

// Of the counts of a fleet an explanation tells beside the fleet alone, of the platform
// whatever it answered, and of a machine's answer only what it said.
func TestEachSourceTellsWhatIsItsOwn(t *testing.T) {
	rs := ruleset(t)
	facts := rules.Facts{
		OSName: "CentOS  7.4 64位", ImageID: "m-1", InstanceType: "ecs.g5.large", Running: rules.Yes,
		Image: rules.ImageFacts{Fleet: "shenlong-7=8/8 os=centos/7.4/", Offered: "ecs.g6", Refused: "ecs.g7"},
		Guest: rules.GuestFacts{Release: "CentOS Linux release 7.4.1708 (Core)", Virtio: rules.Yes, NVMe: rules.No},
	}
	want := map[string][]rules.ClassCount{"fleet": {{Class: "shenlong-7", Up: 8, Own: 8}}}
	got := map[string][]rules.ClassCount{}
	says := map[string]string{}
	for _, held := range rs.Explain(&facts, nil).Evidence {
		if held.Counts != nil {
			got[held.Source] = held.Counts
		}
		says[held.Source] = held.Says
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := says["machine"]; got != "CentOS Linux release 7.4.1708 (Core), virtio at boot: yes, NVMe at boot: no" {
		t.Errorf("the machine says %q", got)
	}
	if got := says["platform"]; !strings.Contains(got, "offers the image on 1 instance families and refuses it on 1") {
		t.Errorf("the platform says %q", got)
	}
}

// A machine has answered where it named its system or its architecture: what a heartbeat
// or a console log shows is no answer of it.
func TestWhatAnAnswerOfAMachineIs(t *testing.T) {
	for name, c := range map[string]struct {
		guest rules.GuestFacts
		want  bool
	}{
		"its system":       {rules.GuestFacts{Release: "CentOS release 5.8 (Final)"}, true},
		"its architecture": {rules.GuestFacts{Architecture: "x86_64"}, true},
		"both":             {rules.GuestFacts{Release: "CentOS release 5.8 (Final)", Architecture: "x86_64"}, true},
		"a heartbeat":      {rules.GuestFacts{Up: rules.Yes}, false},
		"its console log":  {rules.GuestFacts{ConsoleKernel: "2.6.18-274.el5", ConsoleNames: rules.Yes}, false},
	} {
		if got := c.guest.Answered(); got != c.want {
			t.Errorf("%s: answered %t", name, got)
		}
	}
}
