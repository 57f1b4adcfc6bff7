package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// nameFacts puts a row of names-2.tsv where the API would: a JSON object is an
// observation, an OS name is one, and whatever else a person wrote is a bare
// string.
func nameFacts(tb testing.TB, kind, input string) *rules.Facts {
	tb.Helper()
	if strings.HasPrefix(input, "{") {
		var o rules.Observation
		if err := json.Unmarshal([]byte(input), &o); err != nil {
			tb.Fatalf("%s: %v", input, err)
		}
		f := o.Facts()
		return &f
	}
	return asFacts(kind, input)
}

// milder says whether a level promises more than another.
func milder(a, b rules.Level) bool { return !a.AtLeast(b) }

// Names that were collected after the parser was written, with the verdict that
// each deserves: none may come out milder.
func TestNamesAreNeverTakenForMilder(t *testing.T) {
	for _, file := range []string{"names-2.tsv", "names-3.tsv"} {
		t.Run(file, func(t *testing.T) { neverMilder(t, file) })
	}
}

func neverMilder(t *testing.T, file string) {
	t.Helper()
	c := ruleset(t).NewClassifier(nil)
	all := rows(t, file)
	mild, open, other := 0, 0, 0
	for _, row := range all {
		for _, kind := range []string{"", "os_name", "image_name"} {
			cl := c.Classify(nameFacts(t, kind, row["input"]))
			unknown := false
			for _, target := range []string{"kvm", "shenlong-6"} {
				label, err := rules.ParseLevel(row[target])
				if err != nil {
					t.Fatal(err)
				}
				v := verdict(cl, target)
				if milder(v.Level, label) {
					mild++
					t.Errorf("%s %q as %q on %s: %s %s is %s by %s, labelled %s", row["kind"], row["input"], kind, target, cl.OS.Family, cl.OS.Version, v.Level, v.Rule, label)
				}
				if v.Level == rules.Unknown && label != rules.Unknown {
					unknown = true
				}
				if v.Level != label && v.Level != rules.Unknown && !milder(v.Level, label) {
					t.Logf("%q as %q on %s: %s %s is %s by %s, labelled %s", row["input"], kind, target, cl.OS.Family, cl.OS.Version, v.Level, v.Rule, label)
				}
			}
			if unknown {
				open++
				t.Logf("%q as %q stays unknown: %s %s, labelled %s %s", row["input"], kind, cl.OS.Family, cl.OS.Version, row["family"], row["version"])
			}
			sp := strings.TrimPrefix(row["version"], cl.OS.Version+" sp")
			if row["family"] != "" && (cl.OS.Family != row["family"] || cl.OS.Version != row["version"] && cl.OS.ServicePack != sp) {
				other++
				t.Logf("%q as %q: read as %s %s %s, labelled %s %s", row["input"], kind, cl.OS.Family, cl.OS.Version, cl.OS.ServicePack, row["family"], row["version"])
			}
		}
	}
	if open*100 > 4*3*len(all) {
		t.Errorf("%d of %d readings are left unknown, more than 4 %%", open, 3*len(all))
	}
	t.Logf("%d names, each bare, as an OS name and as an image name: %d verdicts milder, %d left unknown, %d identities differ from the label", len(all), mild, open, other)
}

// Free text that decides the version never gives firm confidence, and what
// contradicts is shown and counts.
func TestConfidenceFollowsTheWeakestClaim(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, k := range []struct {
		o         rules.Observation
		level     rules.Level
		most      rules.Confidence
		conflicts int
	}{
		{rules.Observation{OSName: "CentOS 7.9"}, rules.Compatible, rules.High, 0},
		{rules.Observation{Platform: "CentOS", ImageName: "centos-7.9-base"}, rules.Compatible, rules.Medium, 0},
		{rules.Observation{Platform: "CentOS", ImageName: "centos 5.8"}, rules.Incompatible, rules.Medium, 0},
		{rules.Observation{ImageName: "Windows 2016"}, rules.Compatible, rules.Medium, 0},
		{rules.Observation{OSName: "CentOS 7.9", ImageName: "win2k3"}, rules.Incompatible, rules.Low, 1},
		{rules.Observation{OSName: "CentOS 7.9", ImageName: "CentOS 5.8"}, rules.Incompatible, rules.Low, 1},
		{rules.Observation{OSName: "CentOS 7.9/5.8"}, rules.Incompatible, rules.Low, 2},
		{rules.Observation{OSName: "CentOS 7.9, Ubuntu 10.04"}, rules.Incompatible, rules.Low, 1},
		{rules.Observation{OSName: "Red Hat Enterprise Linux 9.8"}, rules.Compatible, rules.Medium, 0},
		{rules.Observation{OSName: "Red Hat Enterprise Linux 11"}, rules.Unknown, rules.Low, 0},
		{rules.Observation{OSName: "CentOS 7.9", ImageName: "RHEL 11"}, rules.Unknown, rules.Low, 1},
		{rules.Observation{OSName: "CentOS 7.9 " + strings.Repeat("x ", 2000)}, rules.Unknown, rules.Low, 1},
	} {
		f := k.o.Facts()
		cl := c.Classify(&f)
		v := verdict(cl, "shenlong-6")
		if v.Level != k.level || v.Confidence > k.most || len(cl.Conflicts) != k.conflicts {
			t.Errorf("%.100s: %s, %s, conflicts %+v; want %s, at most %s, %d conflicts", k.o.String(), v.Level, v.Confidence, cl.Conflicts, k.level, k.most, k.conflicts)
		}
	}
}

// What an older system of the same name and number may be counts only where no other
// text has the full name of the newer one.
func TestTheOlderOfTwoSystemsOfOneName(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, k := range []struct {
		o     rules.Observation
		level rules.Level
	}{
		{rules.Observation{OSName: "SUSE 12.3"}, rules.Incompatible},
		{rules.Observation{OSName: "SUSE 11"}, rules.Incompatible},
		{rules.Observation{Platform: "SUSE", ImageName: "suse12"}, rules.Incompatible},
		{rules.Observation{OSName: "SUSE 12 SP3"}, rules.Compatible},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 12 SP3 64位", ImageName: "suse12"}, rules.Compatible},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 12 SP3 64位", ImageName: "suse11"}, rules.Incompatible},
		{rules.Observation{Platform: "SUSE", ImageID: "suse11sp3_64_20G_aliaegis_20150428.vhd", ImageName: "suse11"}, rules.Compatible},
		{rules.Observation{Platform: "SUSE", ImageName: "suse12.3-base"}, rules.Incompatible},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 11 64位", ImageName: "suse12.3-base"}, rules.Incompatible},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 12 SP3 64位", ImageName: "suse12.3-base, openSUSE 12.2"}, rules.Incompatible},
		{rules.Observation{OSName: "SUSE Linux Enterprise Server 12 SP3 64位", ImageName: "suse12.3-base"}, rules.Compatible},
		{rules.Observation{Platform: "SUSE", ImageID: "sles_12_sp3_x64_20G_alibase_20190101.vhd", ImageName: "suse 12.3"}, rules.Compatible},
		{rules.Observation{ImageName: "redhat7.3 32位"}, rules.Incompatible},
		{rules.Observation{Platform: "RedHat", ImageName: "redhat7.3 32位"}, rules.Incompatible},
		{rules.Observation{OSName: "Red Hat Enterprise Linux 7.3 64位", ImageName: "redhat7.3 32位"}, rules.Compatible},
		{rules.Observation{OSName: "Red Hat Linux 7.3 64位", ImageName: "Red Hat Enterprise Linux 7.3"}, rules.Incompatible},
	} {
		f := k.o.Facts()
		cl := c.Classify(&f)
		if v := verdict(cl, "shenlong-6"); v.Level != k.level {
			t.Errorf("%s: %s by %s, conflicts %+v; want %s", k.o.String(), v.Level, v.Rule, cl.Conflicts, k.level)
		}
	}
}

// Names that none of the other files has, each with what it says
// and the verdict on every class: none may come out otherwise.
func TestNamesComeOutAsTheyDeserve(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, row := range append(rows(t, "names-4.tsv"), rows(t, "names-5.tsv")...) {
		for _, kind := range []string{"", "os_name"} {
			cl := c.Classify(asFacts(kind, row["input"]))
			version := cl.OS.Version
			if cl.OS.ServicePack != "" {
				version += " sp" + cl.OS.ServicePack
			}
			if cl.OS.Family != row["family"] || version != row["version"] {
				t.Errorf("%q as %q: read as %s %s, it is %s %s", row["input"], kind, cl.OS.Family, version, row["family"], row["version"])
			}
			for i := range cl.Verdicts {
				if v := &cl.Verdicts[i]; v.Level.String() != row[v.Target] {
					t.Errorf("%q as %q on %s: %s by %s, it is %s", row["input"], kind, v.Target, v.Level, v.Rule, row[v.Target])
				}
			}
		}
	}
}

// A kernel of Linux runs under no Windows and no FreeBSD: the name is of what the
// machine was before, or of another one.
func TestALinuxKernelUnderAnotherSystem(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	for _, k := range []struct {
		o         rules.Observation
		level     rules.Level
		conflicts int
	}{
		{rules.Observation{OSName: "Windows Server 2019", Kernel: "2.6.32-38-server"}, rules.Unknown, 1},
		{rules.Observation{OSName: "Windows Server 2019", ImageKernel: "5.15.0-91-generic"}, rules.Unknown, 1},
		{rules.Observation{OSName: "Windows 10", ConsoleKernel: "6.1.0-18-amd64"}, rules.Unknown, 1},
		{rules.Observation{OSName: "FreeBSD 13.2", Kernel: "5.15.0-91-generic"}, rules.Unknown, 1},
		{rules.Observation{OSName: "Windows Server 2003", Kernel: "5.15.0-91-generic"}, rules.Incompatible, 1},
		{rules.Observation{OSName: "Windows Server 2019", Kernel: "10.0.17763"}, rules.Compatible, 0},
		{rules.Observation{OSName: "Windows Server 2012 R2", Kernel: "6.3.9600"}, rules.Compatible, 0},
		{rules.Observation{OSName: "Windows Server 2008 R2", ImageKernel: "6.1.7601"}, rules.Compatible, 0},
		{rules.Observation{OSName: "FreeBSD 13.2", Kernel: "13.2-RELEASE-p4"}, rules.NeedsAction, 0},
		{rules.Observation{OSName: "FreeBSD 12.1", Kernel: "12.1-STABLE"}, rules.NeedsAction, 0},
		{rules.Observation{OSName: "Debian 12", Kernel: "6.1.0-18-amd64"}, rules.Compatible, 0},
		{rules.Observation{OSName: "CentOS 7.9", Kernel: "5.2.3790"}, rules.Incompatible, 1},
		{rules.Observation{OSName: "CentOS 7.9", ImageKernel: "10.0.14393"}, rules.Compatible, 1},
	} {
		f := k.o.Facts()
		cl := c.Classify(&f)
		if v := verdict(cl, "shenlong-6"); v.Level != k.level || len(cl.Conflicts) != k.conflicts {
			t.Errorf("%s: %s by %s, conflicts %+v; want %s, %d conflicts", k.o.String(), v.Level, v.Rule, cl.Conflicts, k.level, k.conflicts)
		}
	}
}
