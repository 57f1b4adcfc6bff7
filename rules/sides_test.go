package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// side is what a stage alone says of a system: whether it starts from NVMe with
// no evidence, with a flag that says so and with the guest's proof, or whether
// the platform accepts it on the 8th generation and on the 9th. I, U, A and C
// are the verdicts; c is compatible with confidence low.
type side struct{ name, kernel, want string }

// nvmeSides are the rows of the NVMe table, both sides of every bound.
func nvmeSides() []side {
	list := []side{
		{"CentOS 4.9", "", "III"},
		{"CentOS 5.11", "", "III"},
		{"CentOS 6.0", "", "III"},
		{"CentOS 6.4", "", "III"},
		{"CentOS 6.5", "", "AcC"},
		{"CentOS 6.10", "", "AcC"},
		{"CentOS 7.9", "", "AcC"},
		{"CentOS 8.4", "", "AcC"},
		{"CentOS 6.4", "2.6.32-430.el6.x86_64", "III"},
		{"CentOS 6.4", "2.6.32-431.el6.x86_64", "AcC"},
		{"CentOS 6.8", "2.6.32-430.el6.x86_64", "III"},
		{"CentOS 6.8", "2.6.32-431.el6.x86_64", "AcC"},
		{"CentOS 6.4", "2.6.39-400.17.1.el6uek.x86_64", "UUC"},
		{"CentOS 6.8", "2.6.39-400.17.1.el6uek.x86_64", "UUC"},
		{"CentOS 6.8", "3.8.13-118.el6uek.x86_64", "AcC"},
		{"CentOS 6.9", "2.6.33", "III"},
		{"CentOS 6.9", "3.2.34-1.el6.elrepo.x86_64", "III"},
		{"CentOS 6.9", "3.3.0-1.el6.elrepo.x86_64", "AcC"},
		{"Anolis OS 7.9", "3.2.0-1", "III"},
		{"", "3.2.34-1.el7.elrepo.x86_64", "III"},
		{"CentOS 5.11", "3.8.13-118.el5uek.x86_64", "III"},
		{"", "2.6.18-398.el5", "III"},
		{"", "2.6.32-358.el6.x86_64", "III"},
		{"", "2.6.32-754.el6.x86_64", "AcC"},
		{"", "2.6.39-400.17.1.el6uek.x86_64", "UUC"},
		{"", "3.10.0-957.el7.x86_64", "AcC"},
		{"", "2.6.32-5-amd64", "III"},
		{"Rocky Linux 8.5", "", "AcC"},
		{"AlmaLinux 9.2", "", "AcC"},
		{"Anolis OS 7.7", "", "AcC"},
		{"Aliyun Linux 1.0", "", "UUC"},
		{"Alibaba Cloud Linux 2.1903", "", "AcC"},
		{"Alibaba Cloud Linux 3", "", "AcC"},
		{"Alibaba Cloud Linux 4", "", "AcC"},
		{"Aliyun Linux 5.7", "", "III"},
		{"Aliyun Linux 6.1", "", "UUC"},
		{"Aliyun Linux 17.1", "", "UUC"},
		{"Fedora 16", "", "UUC"},
		{"Fedora 17", "", "AcC"},
		{"SUSE Linux Enterprise Server 10 SP4", "", "UUC"},
		{"SUSE Linux Enterprise Server 11 SP3", "", "UUC"},
		{"SUSE Linux Enterprise Server 11 SP4", "3.0.75-1-default", "III"},
		{"SUSE Linux Enterprise Server 11 SP4", "3.0.76-1-default", "UUC"},
		{"SUSE Linux Enterprise Server 11 SP4", "3.2.99-1-default", "UUC"},
		{"SUSE Linux Enterprise Server 12", "", "AcC"},
		{"openSUSE 11.4", "3.0.101-1-default", "III"},
		{"openSUSE 12.1", "3.1.0-1-default", "III"},
		{"openSUSE 12.2", "3.4.6-2.10-desktop", "UUC"},
		{"openSUSE 12.3", "", "UUC"},
		{"openSUSE 13.1", "", "AcC"},
		{"Debian 5.0", "", "III"},
		{"Debian 6.0.10", "", "III"},
		{"Debian 6.0.10", "3.16.0-4-amd64", "III"},
		{"Debian 7.0", "", "UUC"},
		{"Debian 7.8", "3.2.0-4-amd64", "III"},
		{"Debian 7.8", "3.3.0-1-amd64", "AcC"},
		{"Debian 8.11", "", "AcC"},
		{"Debian 9.0", "", "ACC"},
		{"Ubuntu 11.10", "", "UUC"},
		{"Ubuntu 11.10", "3.13.0-32-generic", "UUC"},
		{"Ubuntu 12.04", "", "UUC"},
		{"Ubuntu 12.04", "3.2.0-126-generic", "III"},
		{"Ubuntu 12.04", "3.3.0-1-generic", "AcC"},
		{"Ubuntu 12.10", "", "AcC"},
		{"Ubuntu 15.10", "", "AcC"},
		{"Ubuntu 16.04", "", "ACC"},
		{"Ubuntu 20.04", "5.4.0-1100-kvm", "III"},
		{"FreeBSD 10.4", "", "UUC"},
		{"FreeBSD 11.0", "", "UUC"},
		{"FreeBSD 11.1", "", "AAC"},
		{"Windows Server 2003", "", "III"},
		{"Windows Server 2003 R2", "", "III"},
		{"Windows Server 2008 Standard SP2", "", "III"},
		{"Windows Server 2008", "", "III"},
		{"Windows Server 2008 R2", "", "UUC"},
		{"Windows Server 2012 Standard", "", "UUC"},
		{"Windows Server 2012 R2", "", "AAC"},
		{"Windows Server Version 1709", "", "AAC"},
		{"Windows XP", "", "III"},
		{"Windows Vista", "", "III"},
		{"Windows 7", "", "UUC"},
		{"Windows 8", "", "UUC"},
		{"Windows 8.1", "", "AAC"},
		{"openEuler 22.03", "", "UUC"},
		{"CentOS", "", "UUC"},
		{"m-bp1xxxxxxxxxxxxxxxxx", "", "UUC"},
	}
	out := rebuilds(list)
	return append(out, side{"Oracle Linux 6.0", "", "UUC"}, side{"Oracle Linux 6.4", "", "UUC"}, side{"Oracle Linux 5.11", "", "III"},
		side{"Red Hat Enterprise Linux 6.0", "", "III"}, side{"Scientific Linux 6.4", "", "III"})
}

// acceptedSides are the systems that the platform accepts, both sides of every
// bound: on the 8th generation, on the 9th.
func acceptedSides() []side {
	return rebuilds([]side{
		{"Alibaba Cloud Linux 4", "", "CC"},
		{"Alibaba Cloud Linux 3", "", "CC"},
		{"Alibaba Cloud Linux 2.1903", "", "cU"},
		{"Aliyun Linux 5.7", "", "UU"},
		{"Aliyun Linux 1.0", "", "UU"},
		{"Anolis OS 8.6", "", "CC"},
		{"Anolis OS 7.9", "", "UU"},
		{"CentOS 7.5", "", "UU"},
		{"CentOS 7.6", "", "cU"},
		{"CentOS 7.9", "", "cU"},
		{"CentOS 8.0", "", "CC"},
		{"Rocky Linux 8.5", "", "CC"},
		{"AlmaLinux 9.2", "", "CC"},
		{"Ubuntu 17.10", "", "UU"},
		{"Ubuntu 18.04", "", "cU"},
		{"Ubuntu 18.10", "", "UU"},
		{"Ubuntu 19.10", "", "UU"},
		{"Ubuntu 20.04", "", "CC"},
		{"Debian 9.0", "", "UU"},
		{"Debian 10.2", "", "cU"},
		{"Debian 11", "", "CC"},
		{"SUSE Linux Enterprise Server 12 SP4", "", "UU"},
		{"SUSE Linux Enterprise Server 12 SP5", "", "cU"},
		{"SUSE Linux Enterprise Server 14", "", "UU"},
		{"SUSE Linux Enterprise Server 15", "", "CC"},
		{"openSUSE 15.0", "", "cU"},
		{"openSUSE 42.3", "", "UU"},
		{"Fedora 31", "", "UU"},
		{"", "5.6.6-300.fc32.x86_64", "cU"},
		{"FreeBSD 12.4", "", "UU"},
		{"FreeBSD 13.0", "", "cU"},
		{"Windows Server 2012 Standard", "", "UU"},
		{"Windows Server 2012 R2", "", "cU"},
		{"Windows Server 2016", "", "CC"},
		{"Windows Server Version 1709", "", "CC"},
		{"Windows 10", "", "UU"},
		{"openEuler 22.03", "", "UU"},
		{"CentOS", "", "UU"},
	})
}

// rebuilds adds the other builds of Enterprise Linux where they are judged as
// CentOS is.
func rebuilds(list []side) []side {
	for _, b := range slices.Clone(list) {
		rest, ok := strings.CutPrefix(b.name, "CentOS ")
		if !ok {
			continue
		}
		for _, name := range []string{"Red Hat Enterprise Linux ", "Oracle Linux ", "Scientific Linux "} {
			early := (rest == "6.0" || rest == "6.4") && b.kernel == ""
			if name == "Oracle Linux " && early || name == "Scientific Linux " && (len(b.want) == 2 || rest[0] == '8') {
				continue // Oracle may run UEK; Scientific Linux is not among the systems that are accepted, and ended with release 7
			}
			list = append(list, side{name + rest, b.kernel, b.want})
		}
	}
	return list
}

// says is what the rules of a stage say of facts on a target of the classifier.
func says(r *rules.Ruleset, c *rules.Classifier, o rules.Observation, target, stage string) string {
	f := o.Facts()
	for _, f := range verdict(c.Classify(&f), target).Findings {
		u, ok := r.Rule(f.Rule)
		if !ok || u.Stage != stage {
			continue
		}
		letter := map[rules.Level]string{rules.Incompatible: "I", rules.Unknown: "U", rules.NeedsAction: "A", rules.Compatible: "C"}[f.Level]
		if f.Level == rules.Compatible && f.Confidence == rules.Low {
			letter = "c"
		}
		return letter
	}
	return "-"
}

// sidesDiffer names the first system that the stages judge otherwise.
func sidesDiffer(t *testing.T, r *rules.Ruleset) string {
	t.Helper()
	c := classifierOf(t, r, "ecs.g8i", "ecs.g9i", "ecs.g7t")
	for _, s := range nvmeSides() {
		var said strings.Builder
		for _, o := range []rules.Observation{{}, {ImageNVMe: rules.Yes}, {NVMe: rules.Yes}} {
			o.OSName, o.Kernel = s.name, s.kernel
			said.WriteString(says(r, c, o, "ecs.g8i", rules.StageNVMe))
		}
		got := said.String()
		if got != s.want {
			return s.name + " " + s.kernel + " from NVMe: " + got + ", want " + s.want
		}
	}
	own := rules.Observation{OSName: "CentOS 7.9", ImageNVMe: rules.Yes, Kernel: "3.10.0-1160.el7.x86_64", ImageKernel: "3.10.0-1160.el7.x86_64"}
	if got := says(r, c, own, "ecs.g8i", rules.StageNVMe); got != "C" {
		return "the kernel of the image: " + got
	}
	for _, s := range acceptedSides() {
		var said strings.Builder
		for _, target := range []string{"ecs.g8i", "ecs.g9i"} {
			said.WriteString(says(r, c, rules.Observation{OSName: s.name, Kernel: s.kernel}, target, rules.StagePlatform))
		}
		got := said.String()
		if got != s.want {
			return s.name + " accepted: " + got + ", want " + s.want
		}
	}
	for _, s := range biosSides() {
		f := (&rules.Observation{OSName: s.name, Kernel: s.kernel}).Facts()
		if got := hasFinding(verdict(c.Classify(&f), "ecs.g7t"), "boot.bios-by-rule"); got != (s.want == "I") {
			return s.name + " on a family that starts by UEFI alone: by rule it starts by BIOS: " + map[bool]string{true: "yes", false: "no"}[got]
		}
	}
	return ""
}

// biosSides are the systems that start by BIOS as a rule, and their neighbours.
func biosSides() []side {
	return rebuilds([]side{
		{"CentOS 4.9", "", "I"},
		{"CentOS 6.10", "", "I"},
		{"", "2.6.32-754.el6.x86_64", "I"},
		{"CentOS 7.0", "", "C"},
		{"Windows Server 2003 R2", "", "I"},
		{"Windows Server 2008 Standard", "", "C"},
		{"Windows XP", "", "I"},
		{"Windows Vista", "", "C"},
		{"Debian 6.0.10", "", "C"},
	})
}

func TestSides(t *testing.T) {
	if diff := sidesDiffer(t, ruleset(t)); diff != "" {
		t.Error(diff)
	}
}
