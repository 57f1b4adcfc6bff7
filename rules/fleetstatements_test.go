package rules_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// TestWhatTheFleetKnows holds each statement about what other instances of an
// image tell of it: what counts, for how much, and what it never overrules.
func TestWhatTheFleetKnows(t *testing.T) {
	r := ruleset(t)
	c := r.NewClassifier(nil)
	type siblings struct {
		n      int
		up     rules.Tri // a heartbeat or a console log that reached login
		kernel string
		class  rules.Class
	}
	heard := func(n int, kernel string) siblings { return siblings{n, rules.Yes, kernel, rules.ClassShenlong7} }
	centos := "CentOS  7.4 64位"
	for name, tc := range map[string]struct {
		others     []siblings
		osName     string // of the image and the instance; "" is CentOS 7.4
		kernel     string // that the instance runs
		refused    string
		level      rules.Level
		confidence rules.Confidence
		rule       string
	}{
		"without others the system is open":                     {nil, "", "", "", rules.Unknown, rules.Low, ""},
		"one that is up on the class is evidence for the image": {[]siblings{heard(1, "")}, "", "", "", rules.Compatible, rules.Low, "observed.fleet"},
		"three that are Running and not heard of are none":      {[]siblings{{3, rules.Unobserved, ownKernel, rules.ClassShenlong7}}, "", ownKernel, "", rules.Unknown, rules.Low, ""},
		"nor are three whose console shows a panic":             {[]siblings{{3, rules.No, ownKernel, rules.ClassShenlong7}}, "", ownKernel, "", rules.Unknown, rules.Low, ""},
		"Running ones add nothing to one that was heard of":     {[]siblings{heard(1, ownKernel), {9, rules.Unobserved, ownKernel, rules.ClassShenlong7}}, "", ownKernel, "", rules.Compatible, rules.Low, "observed.fleet"},
		"three on the image's own kernel are medium":            {[]siblings{heard(3, ownKernel)}, "", ownKernel, "", rules.Compatible, rules.Medium, "observed.fleet-kernel"},
		"two are low": {[]siblings{heard(2, ownKernel)}, "", ownKernel, "", rules.Compatible, rules.Low, "observed.fleet"},
		"a hundred whose kernel nobody knows are low":                 {[]siblings{heard(100, "")}, "", ownKernel, "", rules.Compatible, rules.Low, "observed.fleet"},
		"three are low for an instance whose own kernel is not known": {[]siblings{heard(3, ownKernel)}, "", "", "", rules.Compatible, rules.Low, "observed.fleet"},
		"a guest that was updated since is told nothing":              {[]siblings{heard(3, ownKernel)}, "", newKernel, "", rules.Unknown, rules.Low, ""},
		"others that were updated since tell nothing":                 {[]siblings{heard(3, newKernel)}, "", ownKernel, "", rules.Unknown, rules.Low, ""},
		"another class tells nothing of this one":                     {[]siblings{{9, rules.Yes, ownKernel, rules.ClassShenlong6}, {9, rules.Yes, ownKernel, rules.ClassShenlong8}}, "", ownKernel, "", rules.Unknown, rules.Low, ""},
		"a system that the legacy list names stays incompatible":      {[]siblings{heard(64, "")}, "CentOS  5.8 64位", "", "", rules.Incompatible, rules.High, "el5.release"},
		"and so does Windows Server 2003":                             {[]siblings{heard(64, "")}, "Windows Server  2003 R2 企业版 32位中文版", "", "", rules.Incompatible, rules.High, "windows.old"},
		"what the platform refuses in so many words stays so":         {[]siblings{heard(64, ownKernel)}, "", ownKernel, "ecs.g7", rules.Incompatible, rules.Medium, "platform.refuses"},
		"a system that is compatible by itself needs no other's word": {[]siblings{heard(3, "")}, "CentOS  7.9 64位", "", "", rules.Compatible, rules.Medium, "el7.late"},
		"it needs no source but the fleet: an unread name is settled": {[]siblings{heard(2, "")}, "Customized Linux", "", "", rules.Compatible, rules.Low, "observed.fleet"},
		"one alone settles no system whose release nothing names":     {[]siblings{heard(1, "")}, "CentOS 64位", "", "", rules.Unknown, rules.Low, ""},
		"two settle it": {[]siblings{heard(2, "")}, "CentOS 64位", "", "", rules.Compatible, rules.Low, "observed.fleet"},
		"three that are up make no more than low of an unread kernel": {[]siblings{heard(3, "")}, "", "", "", rules.Compatible, rules.Low, "observed.fleet"},
		"one that is up and one that is not are one":                  {[]siblings{heard(1, ""), {1, rules.No, "", rules.ClassShenlong7}}, "", "", "", rules.Compatible, rules.Low, "observed.fleet"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.osName == "" {
				tc.osName = centos
			}
			// All are of one image, which has a kernel of its own.
			facts := rules.Facts{OSName: tc.osName, ImageID: "m-1", Running: rules.Yes, InstanceType: "ecs.g5.large", IoOptimized: rules.Yes}
			facts.Image = rules.ImageFacts{Presence: rules.ImageFound, OSName: tc.osName, TagKernelVersion: ownKernel}
			if tc.osName != centos {
				facts.Image.TagKernelVersion = "" // it is another system's
			}
			var told rules.ImageFleet
			for _, s := range tc.others {
				other := facts
				other.Guest.Up, other.Guest.Kernel = s.up, s.kernel
				told.Add(s.class, &c.Classify(&other).OS, &other, s.n)
			}
			facts.Guest.Kernel, facts.Image.Refused, facts.Image.Fleet = tc.kernel, tc.refused, told.Text()
			v := c.Classify(&facts).Verdicts[rules.ClassShenlong7]
			if v.Level != tc.level || v.Confidence != tc.confidence || tc.rule != "" && v.Rule != tc.rule {
				t.Errorf("%s (%s) by %s, not %s (%s) by %s: %s", v.Level, v.Confidence, v.Rule, tc.level, tc.confidence, tc.rule, v.Reason)
			}
			if strings.HasPrefix(v.Rule, "observed.fleet") && !strings.Contains(v.Reason, "of the instances of this image ran on shenlong-7") {
				t.Errorf("the number is not told: %s", v.Reason)
			}
		})
	}
}
