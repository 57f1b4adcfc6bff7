package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// A console log that shows another kernel than the machine answered with is a
// conflict that is named, and of the two the worse counts, whichever it is.
func TestOfTwoKernelsTheWorseCounts(t *testing.T) {
	r := ruleset(t)
	targets := append(rules.DefaultTargets(), target(t, r, "ecs.hfg6"), target(t, r, "ecs.g8i"))
	c := r.NewClassifier(targets)
	differ := 0
	for _, system := range []struct {
		release string
		kernels []string
	}{
		{"CentOS release 5.11 (Final)", []string{"2.6.18-398.el5", "2.6.18-348.el5", "2.6.18-274.el5", "2.6.18-398.el5xen", "4.19.100"}},
		{"CentOS release 6.10 (Final)", []string{"2.6.32-754.el6.x86_64", "2.6.32-358.el6.x86_64"}},
		{"CentOS Linux release 7.9.2009 (Core)", []string{"3.10.0-1160.el7.x86_64", "3.10.0-327.el7.x86_64", "2.6.32-754.el6.x86_64"}},
		{"CentOS Linux release 8.5.2111", []string{"4.18.0-193.el8.x86_64", "4.18.0-348.el8.x86_64"}},
		{"Ubuntu 20.04.6 LTS", []string{"5.4.0-216-generic", "5.4.0-1100-kvm", "3.2.0-126-generic"}},
		{"Debian GNU/Linux 7 (wheezy)", []string{"3.2.0-6-amd64", "3.16.0-0.bpo.4-amd64", "2.6.32-5-amd64"}},
	} {
		for _, answered := range system.kernels {
			for _, shown := range system.kernels {
				facts := rules.Facts{OSName: system.release, InstanceType: "ecs.g6.large", Guest: rules.GuestFacts{Release: system.release, Kernel: answered}}
				alone := c.Classify(&facts)
				facts.Guest.Kernel = shown
				other := c.Classify(&facts)
				facts.Guest.Kernel, facts.Guest.ConsoleKernel = answered, shown
				both := c.Classify(&facts)
				named := slices.ContainsFunc(both.Conflicts, func(k rules.Conflict) bool {
					return k.Field == "kernel" && k.Chosen == answered && k.Other == shown && k.Text == "the console log"
				})
				if named != (shown != answered) || both.OS.Kernel != answered {
					t.Errorf("%s, %s and %s on the console: named as a conflict: %t; kernel %s", system.release, answered, shown, named, both.OS.Kernel)
				}
				for i := range targets {
					at := fmt.Sprintf("%s, %s and %s on the console, on %s", system.release, answered, shown, targets[i].ID)
					a, b, v := &alone.Verdicts[i], &other.Verdicts[i], &both.Verdicts[i]
					if want := rules.Worse(a.Level, b.Level); v.Level != want {
						t.Errorf("%s: %s (%s), want %s", at, v.Level, v.Rule, want)
					}
					if a.Level == b.Level && v.Confidence > min(a.Confidence, b.Confidence) {
						t.Errorf("%s: %s confidence, and %s and %s alone", at, v.Confidence, a.Confidence, b.Confidence)
					}
					if worse(b.Level, a.Level) {
						differ++
						if !strings.Contains(v.Reason, shown) || v.Confidence > rules.Medium {
							t.Errorf("%s: %s confidence, %s", at, v.Confidence, v.Reason)
						}
					}
				}
			}
		}
	}
	if differ < 20 {
		t.Errorf("in %d cases alone the kernel of the console log is the worse", differ)
	}
}

// Where nothing else tells the kernel, that of the console log does, and it is no
// image's own kernel that another one runs beside.
func TestAKernelOfTheConsoleLogAlone(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	facts := rules.Facts{OSName: "CentOS  5.10 64位", Guest: rules.GuestFacts{Kernel: "unreadable", ConsoleKernel: "2.6.18-274.el5"}}
	cl := c.Classify(&facts)
	if cl.OS.Kernel != "2.6.18-274.el5" || cl.Verdicts[rules.ClassShenlong6].Level != rules.Incompatible {
		t.Errorf("%+v, %s", cl.OS, cl.Verdicts[rules.ClassShenlong6].Level)
	}
	claimed := rules.Facts{
		OSName: "CentOS  7.9 64位", InstanceType: "ecs.g7.large", Running: rules.Yes,
		Image: rules.ImageFacts{NVMe: rules.Yes, TagKernelVersion: "3.10.0-1160.el7.x86_64"}, Guest: rules.GuestFacts{Kernel: "3.10.0-1160.el7.x86_64", Up: rules.Yes},
	}
	if !claimed.TellsOfImage() {
		t.Error("the image's own kernel tells nothing of it")
	}
	claimed.Guest.ConsoleKernel = "3.10.0-957.el7.x86_64"
	if claimed.TellsOfImage() {
		t.Error("an instance tells of its image while its console log shows another kernel")
	}
}

// A root that a newer console log shows to be named by device counts, whatever the
// machine answered before, and both are shown.
func TestADeviceNameOnTheConsoleCounts(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	facts := rules.Facts{OSName: "CentOS  7.9 64位", Guest: rules.GuestFacts{DeviceNames: rules.No, ConsoleNames: rules.Yes}}
	cl := c.Classify(&facts)
	if v := cl.Verdicts[rules.ClassShenlong7]; v.Level != rules.NeedsAction || v.Rule != "boot.device-names" {
		t.Errorf("%s by %s", v.Level, v.Rule)
	}
	if want := []rules.Conflict{{Field: "device names at boot", Chosen: "yes", Other: "no", Evidence: rules.EvidenceGuest, Text: "the guest"}}; !slices.Equal(cl.Conflicts, want) {
		t.Errorf("%+v", cl.Conflicts)
	}
}

// What speaks against a move on a machine of one kind counts for each of the
// systems that the evidence names, not for the first alone.
func TestFindingsCountForEachIdentity(t *testing.T) {
	r := ruleset(t)
	names := []string{
		"CentOS  7.9 64位", "CentOS  6.9 64位", "CentOS  5.11 64位", "Ubuntu  20.04 64位", "Ubuntu  22.04 64位", "Windows Server  2003 R2 企业版 SP2 64位", "Windows Server  2019 数据中心版 64位",
		"SUSE Linux Enterprise Server 15 SP2", "SUSE Linux Enterprise Server 12 SP5", "openSUSE 15.2", "openSUSE 15.1", "Red Hat Enterprise Linux 7.6", "Red Hat Enterprise Linux 8.6", "Alibaba Cloud Linux  2.1903 LTS 64位",
		"Debian  11.1 64位",
	}
	findings := 0
	for _, id := range []string{"ecs.g7t", "ecs.g6a", "ecs.ebmg6a", "ecs.hfg6", "ecs.g6", "ecs.n4", "ecs.g8i", "ecs.g9i", "kvm", "shenlong-7"} {
		to := target(t, r, id)
		c := r.NewClassifier([]rules.Target{to})
		for _, chosen := range names {
			for _, other := range names {
				facts := rules.Facts{OSName: chosen, InstanceType: "ecs.n1.small", Guest: rules.GuestFacts{DeviceNames: rules.Yes, SecuritySoft: rules.Yes}}
				first := c.Classify(&facts).Verdicts[0]
				facts.Image.Name = other
				both := c.Classify(&facts).Verdicts[0]
				facts.OSName = ""
				second := c.Classify(&facts).Verdicts[0]
				want := rules.Worse(first.Level, second.Level)
				if both.Level != want && worse(want, both.Level) {
					t.Errorf("%s and %s on %s: %s by %s, and %s by %s and %s by %s alone", chosen, other, id, both.Level, both.Rule, first.Level, first.Rule, second.Level, second.Rule)
				}
				for _, f := range second.Findings {
					if f.Level == rules.Compatible || hasFinding(&first, f.Rule) || !slices.ContainsFunc(findingRules, func(rule string) bool { return rule == f.Rule }) {
						continue
					}
					findings++
					if !hasFinding(&both, f.Rule) {
						t.Errorf("%s and %s on %s: %s does not fire", chosen, other, id, f.Rule)
					}
				}
			}
		}
	}
	if findings < 100 {
		t.Errorf("%d findings are of the second system alone", findings)
	}
}

// findingRules judge some systems on some machines.
var findingRules = []string{"boot.bios-by-rule", "amd.rome", "rhel.policy", "kernel.hfg6-suse", "kernel.e5-idle-sles", "kernel.e5-idle-opensuse", "windows.security-software", "boot.device-names", "windows.xen-residue"}

func target(t *testing.T, r *rules.Ruleset, id string) rules.Target {
	t.Helper()
	to, err := r.ParseTarget(id)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// A kernel of another make names no system where something else does: it can be
// installed anywhere, and the worse reading counts.
func TestAKernelOfAnotherMakeSettlesNothing(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, named := range []string{"Debian 6.0.8", "CentOS  5.8 64位", "Windows Server  2003 R2 企业版 SP2 64位", "Gentoo 13 64bit", "FreeBSD 10.1", "openSUSE 12.3"} {
		for _, kernel := range []string{"5.10.134-16.3.al8.x86_64", "4.19.91-27.al7.x86_64", "5.10.134-13.an8.x86_64", "6.8.5-301.fc40.x86_64"} {
			cl := c.Classify(&rules.Facts{OSName: named, Guest: rules.GuestFacts{Kernel: kernel}})
			if v := cl.Verdicts[rules.ClassShenlong6]; v.Level != rules.Incompatible || v.Confidence > rules.Low || !slices.ContainsFunc(cl.Conflicts, func(k rules.Conflict) bool { return k.Field == "family" }) {
				t.Errorf("%s with kernel %s: %s (%s) by %s, %+v", named, kernel, v.Level, v.Confidence, v.Rule, cl.Conflicts)
			}
		}
	}
	cl := c.Classify(&rules.Facts{OSName: "Debian 6.0.8", Guest: rules.GuestFacts{Release: "Alibaba Cloud Linux release 3 (Soaring Falcon)", Kernel: "5.10.134-16.3.al8.x86_64"}})
	if v := cl.Verdicts[rules.ClassShenlong6]; v.Level != rules.Compatible || v.Confidence != rules.High {
		t.Errorf("the machine's own release: %s (%s) by %s", v.Level, v.Confidence, v.Rule)
	}
}
