package rules_test

import (
	"slices"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// TestPathsAndRemedies holds statements about remedies against what is printed:
// which of them are there, and which must not be.
func TestPathsAndRemedies(t *testing.T) {
	r := ruleset(t)
	for name, tc := range map[string]struct {
		o      rules.Observation
		target string
		has    []string
		not    []string
		checks []string
	}{
		"what is on the 6th generation stays there":           {rules.Observation{OSName: "CentOS 5.8", InstanceType: "ecs.g6.large"}, "shenlong-7", []string{"stay-family"}, []string{"stay-gen5"}, nil},
		"what is on the 5th stays on the 5th":                 {rules.Observation{OSName: "CentOS 5.8", InstanceType: "ecs.g5.large"}, "shenlong-7", []string{"stay-gen5"}, []string{"stay-family"}, nil},
		"Debian before 6.0.9 stays nowhere":                   {rules.Observation{OSName: "Debian 5", InstanceType: "ecs.g5.large"}, "shenlong-6", []string{"replace-os"}, []string{"stay-gen5", "stay-family"}, nil},
		"Gentoo stays nowhere and is upgraded":                {rules.Observation{OSName: "Gentoo 13", InstanceType: "ecs.g5.large"}, "shenlong-6", []string{"upgrade-gentoo"}, []string{"stay-gen5", "stay-family"}, nil},
		"a kernel against hfg6 is updated, or the family":     {rules.Observation{OSName: "CentOS 8.4", Kernel: "4.18.0-305.el8.x86_64"}, "ecs.hfg6", []string{"update-kernel", "other-family"}, []string{"replace-os"}, nil},
		"RHEL before 7.7 on g6 takes a minor upgrade first":   {rules.Observation{OSName: "Red Hat Enterprise Linux 7.6 64位"}, "ecs.g6", []string{"minor-upgrade"}, nil, nil},
		"an idle kernel takes a boot parameter":               {rules.Observation{OSName: "openSUSE 15.1"}, "ecs.n4", []string{"fix-boot-config"}, []string{"replace-os"}, nil},
		"an NVMe driver is offered where there is one":        {rules.Observation{OSName: "CentOS 7.6"}, "ecs.g8i", []string{"install-nvme"}, nil, []string{"verify-nvme-initramfs"}},
		"and not on EL 5":                                     {rules.Observation{OSName: "CentOS 5.11"}, "ecs.g8i", nil, []string{"install-nvme", "set-nvme-flag"}, nil},
		"and not on EL 6.4":                                   {rules.Observation{OSName: "CentOS 6.4"}, "ecs.g8i", nil, []string{"install-nvme", "set-nvme-flag"}, nil},
		"and not on Windows Server 2008":                      {rules.Observation{OSName: "Windows Server 2008 Standard"}, "ecs.g8i", nil, []string{"install-nvme", "set-nvme-flag"}, nil},
		"nor on Windows Server 2012 without the vendor's":     {rules.Observation{OSName: "Windows Server 2012"}, "ecs.g8i", nil, []string{"install-nvme", "set-nvme-flag"}, nil},
		"the flag comes after the driver was verified":        {rules.Observation{OSName: "Ubuntu 22.04"}, "ecs.g8i", []string{"set-nvme-flag"}, nil, []string{"verify-nvme-initramfs"}},
		"disks that get NVMe names are mounted by UUID":       {rules.Observation{OSName: "Ubuntu 22.04", InstanceType: "ecs.g6.large"}, "shenlong-8", nil, nil, []string{"fstab-by-uuid"}},
		"disks that lose their Xen names are mounted by UUID": {rules.Observation{OSName: "CentOS 7.9", InstanceType: "ecs.t1.small"}, "shenlong-7", nil, nil, []string{"fstab-by-uuid"}},
		"FreeBSD mounts by label":                             {rules.Observation{OSName: "FreeBSD 13.0", InstanceType: "ecs.g6.large"}, "ecs.g8i", []string{"apply-freebsd-patch"}, nil, []string{"fstab-by-label"}},
		"Linux that goes back from NVMe has virtio verified":  {rules.Observation{OSName: "CentOS 8.4", InstanceType: "ecs.g8i.large"}, "ecs.g7", nil, nil, []string{"verify-virtio", "fstab-by-uuid"}},
		"RHEL runs on certified families":                     {rules.Observation{OSName: "RHEL 8.6"}, "ecs.g7", nil, nil, []string{"ask-platform"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := tc.o.Facts()
			v := &classifierOf(t, r, tc.target).Classify(&f).Verdicts[0]
			for _, id := range tc.has {
				if !hasRemedy(v, id) {
					t.Errorf("%s by %s lacks %s: %+v", v.Level, v.Rule, id, ids(v))
				}
			}
			for _, id := range tc.not {
				if hasRemedy(v, id) {
					t.Errorf("%s by %s has %s", v.Level, v.Rule, id)
				}
			}
			for _, id := range tc.checks {
				if !slices.Contains(v.Checks, id) {
					t.Errorf("%s by %s lacks the check %s: %v", v.Level, v.Rule, id, v.Checks)
				}
			}
			for _, m := range v.Remedies {
				if m.Benefit == "" || m.Drawback == "" || m.Text == "" {
					t.Errorf("%s has no benefit or drawback: %+v", m.ID, m)
				}
			}
		})
	}
}

func ids(v *rules.Verdict) (out []string) {
	for _, m := range v.Remedies {
		out = append(out, m.ID)
	}
	return out
}
