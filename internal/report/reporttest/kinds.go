package reporttest

import (
	"fmt"

	"github.com/shenscan/shenscan/rules"
)

// kind is a sort of instance and how often it occurs.
type kind struct {
	weight int
	image  string
	class  rules.Classification
}

// ReplaceOS is the remedy that always exists.
func ReplaceOS() rules.Remedy {
	return rules.Remedy{
		ID: "replace-os", Text: "Replace the operating system of the system disk with a supported one.",
		Steps:    []string{"Back up the system disk.", "Stop the instance and replace the operating system.", "Install the applications again."},
		Drawback: "Everything on the system disk is lost; applications must be installed again.",
	}
}

// MinorUpgrade is the upgrade to the last minor release.
func MinorUpgrade(to string) rules.Remedy {
	return rules.Remedy{
		ID: "minor-upgrade", To: to, Text: "Upgrade to the last minor release of the same system (" + to + ").",
		Steps:    []string{"Take a snapshot.", "Upgrade to " + to + " with the package manager.", "Restart and verify."},
		Drawback: "The release is past its end of life: no more security updates.",
	}
}

// stayGen5 is the move to an older family.
func stayGen5() rules.Remedy {
	return rules.Remedy{
		ID: "stay-gen5", Families: []string{"ecs.g5", "ecs.c5", "ecs.r5"}, Text: "Stay on a 5th-generation family that is not SHENLONG.",
		Steps: []string{"Change to an instance type of the 5th generation."}, Drawback: "The family will be retired one day.",
	}
}

func kinds() []kind {
	system := func(family, version, edition string) rules.OS {
		return rules.OS{Family: family, Version: version, Edition: edition, Arch: "x86_64", Evidence: rules.EvidenceImage}
	}
	same := func(level rules.Level, rule, reason string, remedies ...rules.Remedy) []rules.Verdict {
		var out []rules.Verdict
		for _, target := range Targets() {
			out = append(out, Verdict(target, level, rule, reason, remedies...))
		}
		return out
	}
	split := func(kvm, six, seven rules.Level, rule, reason string, remedies ...rules.Remedy) []rules.Verdict {
		text := func(l rules.Level) string {
			if l == rules.Compatible {
				return "Nothing is known that stands in the way."
			}
			return reason
		}
		mend := func(l rules.Level) []rules.Remedy {
			if l == rules.Compatible || l == rules.Unknown {
				return nil
			}
			return remedies
		}
		return []rules.Verdict{
			Verdict("kvm", kvm, rule, text(kvm), mend(kvm)...),
			Verdict("shenlong-6", six, rule, text(six), mend(six)...),
			Verdict("shenlong-7", seven, rule, text(seven), mend(seven)...),
			Verdict("shenlong-8", seven, rule, text(seven), mend(seven)...),
		}
	}
	kinds := []kind{
		{30, "aliyun_3_x64_20G_alibase_20240819.vhd", rules.Classification{OS: system("alinux", "3", ""), Verdicts: same(rules.Compatible, "alinux.3", "Alibaba Cloud Linux 3 boots on SHENLONG.")}},
		{20, "centos_7_9_x64_20G_alibase_20220824.vhd", rules.Classification{OS: system("centos", "7.9", ""), Verdicts: same(rules.Compatible, "el.7", "CentOS 7.6 and later boot everywhere.")}},
		{8, "ubuntu_22_04_x64_20G_alibase_20230208.vhd", rules.Classification{OS: system("ubuntu", "22.04", ""), Verdicts: same(rules.Compatible, "ubuntu.16", "Ubuntu 16.04 and later boot everywhere.")}},
		{6, "win2019_64_dtc_1809_zh-cn_40G.vhd", rules.Classification{OS: system("windows-server", "2019", "Datacenter"), Verdicts: same(rules.Compatible, "windows.2012r2", "Windows Server 2012 R2 and later boot everywhere.")}},
		{7, "centos_6_10_x64_20G_alibase_20200319.vhd", rules.Classification{OS: system("centos", "6.10", ""), Verdicts: split(rules.Compatible, rules.Compatible, rules.Unknown, "el.6", "No source says whether CentOS 6 boots on the 7th generation.")}},
		{6, "centos5u8_64_20G_alibase_20131121.vhd", rules.Classification{OS: system("centos", "5.8", ""), Legacy: true, Verdicts: split(rules.Compatible, rules.Incompatible, rules.Incompatible, "el.5.8", "CentOS 5.8 and earlier do not boot on SHENLONG.", MinorUpgrade("5.11"), ReplaceOS(), stayGen5())}},
		{3, "debian606_64_20G_aliaegis_20130816.vhd", rules.Classification{OS: system("debian", "6.0.6", ""), Legacy: true, Verdicts: split(rules.NeedsAction, rules.Incompatible, rules.Incompatible, "debian.6.0.9", "Debian earlier than 6.0.9 does not boot on SHENLONG.", MinorUpgrade("6.0.10"), ReplaceOS())}},
		{2, "ubuntu1004_64_20G_aliaegis_20130816.vhd", rules.Classification{OS: system("ubuntu", "10.04", ""), Legacy: true, Verdicts: split(rules.Compatible, rules.Incompatible, rules.Incompatible, "ubuntu.10", "Ubuntu 10 and earlier do not boot on SHENLONG.", ReplaceOS(), stayGen5())}},
		{2, "gentoo13_64_20G_aliaegis_20130816.vhd", rules.Classification{OS: system("gentoo", "13", ""), Legacy: true, Verdicts: split(rules.NeedsAction, rules.Incompatible, rules.Incompatible, "gentoo", "Gentoo images of Alibaba Cloud support only Xen.", ReplaceOS())}},
		{3, "win2003_32_ent_sp2_cn_40G.vhd", rules.Classification{OS: system("windows-server", "2003", "Enterprise"), Legacy: true, Verdicts: split(rules.NeedsAction, rules.Incompatible, rules.Incompatible, "windows.2003", "Windows Server 2003 and earlier do not boot on SHENLONG.", ReplaceOS(), stayGen5())}},
		{4, "win2008_32_stand_sp2_cn_40G.vhd", rules.Classification{OS: system("windows-server", "2008", "Standard"), Legacy: true, Verdicts: split(rules.Compatible, rules.NeedsAction, rules.NeedsAction, "windows.2008", "Windows Server 2008 Standard boots on SHENLONG once the Xen entries of its registry are cleared.", rules.Remedy{ID: "clear-xen-registry", Text: "Clear the Xen entries of the registry.", Steps: []string{"Take a snapshot.", "Delete the value hide_devices."}})}},
		{2, "freebsd1101_64_30G_alibase_20170622.vhd", rules.Classification{OS: system("freebsd", "11.1", ""), Legacy: true, Verdicts: split(rules.Compatible, rules.NeedsAction, rules.NeedsAction, "freebsd.11", "FreeBSD 11 and 12 need a patch.", rules.Remedy{ID: "apply-freebsd-patch", Text: "Install the FreeBSD patch."})}},
		{2, "m-bp1custom0000000001", rules.Classification{
			OS: rules.OS{Family: "unknown", Evidence: rules.EvidenceNone}, Verdicts: same(rules.Unknown, "version.missing", "The operating system is not known."),
			Conflicts: []rules.Conflict{{Field: "family", Chosen: "unknown", Other: "centos", Evidence: rules.EvidenceName, Text: "<b>CentOS</b> \x1b[1m"}},
		}},
		{3, "m-bp1custom0000000002", rules.Classification{OS: rules.OS{Family: "other-linux", Evidence: rules.EvidenceInstance}, Verdicts: same(rules.Unknown, "version.missing", "The version is not known, and it decides.")}},
	}
	for i := range kinds {
		for j := range kinds[i].class.Verdicts {
			verdict := &kinds[i].class.Verdicts[j]
			verdict.Rule += fmt.Sprintf(".%d", j+1)
			switch kinds[i].class.OS.Family {
			case "windows-server":
				verdict.Confidence = rules.Low
			case "freebsd":
				verdict.Confidence = rules.Medium
			}
		}
	}
	return kinds
}
