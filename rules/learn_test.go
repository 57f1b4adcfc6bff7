package rules_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// What the API says of types counts beside the table of families; where the two
// disagree the worse counts and both are shown.
func TestLearnedFactsCountAndTheWorseWins(t *testing.T) {
	r := ruleset(t)
	typ := func(id, family, arch, nvme string, modes ...string) rules.TypeFacts {
		return rules.TypeFacts{Type: id, Family: family, Arch: arch, NVMe: nvme, BootModes: modes}
	}
	virtio := rules.Observation{OSName: "CentOS 7.9 64位", BootMode: "BIOS"}
	for _, c := range []struct {
		name, target string
		types        []rules.TypeFacts
		o            rules.Observation
		level        rules.Level
		rule         string // that must have fired, "" for any
		conflict     string // field of the contradiction, "" for none
	}{
		{"nothing_is_said", "ecs.g7", nil, virtio, rules.Compatible, "", ""},
		{"the_same_is_said", "ecs.g7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "unsupported", "BIOS", "UEFI")}, virtio, rules.Compatible, "", ""},
		{"nvme_required_against_the_table", "ecs.g7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "required", "BIOS", "UEFI")}, virtio, rules.NeedsAction, "nvme.dracut", "target NVMe"},
		{"uefi_alone_against_the_table", "ecs.g7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "unsupported", "UEFI")}, virtio, rules.Incompatible, "boot.mode", "target boot modes"},
		{"arm_against_the_table", "ecs.g7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "arm64", "unsupported", "BIOS", "UEFI")}, virtio, rules.Unknown, "arch.unknown", "target architecture"},
		{"nvme_not_required_against_the_table_is_no_relief", "ecs.g8i", []rules.TypeFacts{typ("ecs.g8i.large", "ecs.g8i", "x86_64", "unsupported", "BIOS", "UEFI")}, virtio, rules.NeedsAction, "nvme.dracut", "target NVMe"},
		{"types_of_one_family_that_differ_say_nothing", "ecs.g7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "required", "BIOS", "UEFI"), typ("ecs.g7.xlarge", "ecs.g7", "x86_64", "unsupported", "BIOS", "UEFI")}, virtio, rules.Compatible, "", ""},
		{"another_type_says_nothing_of_this_one", "ecs.g7.large", []rules.TypeFacts{typ("ecs.g7.xlarge", "ecs.g7", "x86_64", "required", "UEFI")}, virtio, rules.Compatible, "", ""},
		{"a_type", "ecs.g7.large", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "required", "BIOS", "UEFI"), typ("ecs.g7.xlarge", "ecs.g7", "x86_64", "unsupported", "BIOS", "UEFI")}, virtio, rules.NeedsAction, "nvme.dracut", "target NVMe"},
		{"a_new_family", "ecs.zz7", []rules.TypeFacts{typ("ecs.zz7.large", "ecs.zz7", "arm64", "unsupported", "UEFI")}, virtio, rules.Incompatible, "boot.mode", ""},
		{"all_types_of_a_class_start_by_uefi_alone", "shenlong-7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "unsupported", "UEFI"), typ("ecs.c7.large", "ecs.c7", "x86_64", "unsupported", "UEFI")}, virtio, rules.Incompatible, "boot.mode", ""},
		{"one_type_of_the_class_starts_by_bios", "shenlong-7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "unsupported", "UEFI"), typ("ecs.c7.large", "ecs.c7", "x86_64", "unsupported", "BIOS", "UEFI")}, virtio, rules.Compatible, "", ""},
		{"all_types_of_a_class_demand_nvme", "shenlong-7", []rules.TypeFacts{typ("ecs.g7.large", "ecs.g7", "x86_64", "required", "BIOS")}, virtio, rules.NeedsAction, "nvme.dracut", ""},
		{"all_types_of_a_class_are_arm", "shenlong-6", []rules.TypeFacts{typ("ecs.g6r.large", "ecs.g6r", "arm64", "unsupported", "UEFI")}, rules.Observation{OSName: "CentOS 7.9 64位", Architecture: "x86_64"}, rules.Incompatible, "arch.mismatch", ""},
		{"types_of_another_class", "shenlong-7", []rules.TypeFacts{typ("ecs.g8i.large", "ecs.g8i", "x86_64", "required", "UEFI")}, virtio, rules.Compatible, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, err := r.ParseTarget(c.target)
			if err != nil {
				t.Fatal(err)
			}
			learned, news := r.Learn(target, c.types)
			f := c.o.Facts()
			cl := r.NewClassifier([]rules.Target{learned}).Classify(&f)
			v := &cl.Verdicts[0]
			if v.Level != c.level || c.rule != "" && !hasFinding(v, c.rule) {
				t.Errorf("%s by %s (%+v), want %s by %s", v.Level, v.Rule, v.Findings, c.level, c.rule)
			}
			if (c.rule != "") != news {
				t.Errorf("news: %v", news)
			}
			shown := ""
			for _, k := range cl.Conflicts {
				if strings.HasPrefix(k.Field, "target ") {
					shown = k.Field
				}
			}
			if shown != c.conflict {
				t.Errorf("the contradiction %q is shown, want %q", shown, c.conflict)
			}
		})
	}
}

// A kernel of another release than the one that is named is shown, an older one
// and one that is too new for any update of it.
func TestAKernelOfAnotherReleaseIsShown(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, k := range []struct {
		o    rules.Observation
		want string
	}{
		{rules.Observation{OSName: "Ubuntu 10.04", ImageKernel: "5.4.0-100-generic"}, "a kernel of ubuntu 20.04"},
		{rules.Observation{OSName: "Debian 6.0.6", ImageKernel: "4.19.0-6-amd64"}, "a kernel of debian 10"},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 11 SP4", ImageKernel: "4.12.14-94-default"}, "a kernel of sles 12.4"},
		{rules.Observation{OSName: "Ubuntu 16.04", Kernel: "3.13.0-32-generic"}, "a kernel of ubuntu 14.04"},
		{rules.Observation{OSName: "Ubuntu 16.04", Kernel: "4.15.0-142-generic"}, ""}, // the kernel of 18.04 is offered to 16.04
		{rules.Observation{OSName: "Debian 9.13", Kernel: "4.19.0-0.bpo.9-amd64"}, ""},
		{rules.Observation{OSName: "CentOS 7.9", Kernel: "5.4.278-1.el7.elrepo.x86_64"}, ""},
		{rules.Observation{OSName: "Alibaba Cloud Linux 3", Kernel: "5.10.134-16.al8.x86_64"}, ""},
		{rules.Observation{OSName: "Ubuntu 20.04"}, ""},
	} {
		f := k.o.Facts()
		got := ""
		for _, x := range c.Classify(&f).Conflicts {
			if x.Field == "kernel" {
				got = x.Other
			}
		}
		if got != k.want {
			t.Errorf("%s: %q is shown, want %q", k.o.String(), got, k.want)
		}
	}
}
