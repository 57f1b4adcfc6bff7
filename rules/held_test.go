package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// An explanation says of each source whether it is in hand, what it says, and
// which verdicts would be others without it.
func TestAnExplanationSaysWhichEvidenceDecides(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	vague := rules.Facts{OSName: "CentOS  7.4 64位", ImageID: "m-1", InstanceType: "ecs.g5.large", IoOptimized: rules.Yes, Running: rules.Yes}
	for name, tt := range map[string]struct {
		change  func(*rules.Facts)
		source  string
		says    string // "" where it is not in hand
		decides string // targets
		names   bool   // the operating system
	}{
		"a name alone":                {func(*rules.Facts) {}, "instance", "CentOS  7.4 64位", "shenlong-6 shenlong-7 shenlong-8", true},
		"nothing of the machine":      {func(*rules.Facts) {}, "machine", "", "", false},
		"no heartbeat":                {func(*rules.Facts) {}, "up", "", "", false},
		"no answer of the platform":   {func(*rules.Facts) {}, "platform", "", "", false},
		"no sibling":                  {func(*rules.Facts) {}, "fleet", "", "", false},
		"the fleet settles":           {func(f *rules.Facts) { f.Image.Fleet = "shenlong-7=8/8 os=centos/7.4/" }, "fleet", "shenlong-7: 8, 8 of them", "shenlong-7", false},
		"a fleet that does not count": {func(f *rules.Facts) { f.Image.Fleet = "shenlong-7=8/8 os=ubuntu/14.04/" }, "fleet", "do not count", "", false},
		"the platform refuses":        {func(f *rules.Facts) { f.Image.Refused = "ecs.g7" }, "platform", "refuses it on 1", "shenlong-7", false},
		"the machine says otherwise": {
			func(f *rules.Facts) { f.Guest.Release, f.Guest.Kernel = "CentOS release 5.8 (Final)", "2.6.18-308.el5" },
			"machine", "CentOS release 5.8 (Final), kernel 2.6.18-308.el5", "shenlong-6 shenlong-7", true,
		},
		"an image with an English name alone": {func(f *rules.Facts) { f.Image.OSNameEn = "CentOS  5.8 64 bit" }, "image", "CentOS  5.8 64 bit", "shenlong-6", true},
		"an image without a name":             {func(f *rules.Facts) { f.Image.Architecture = "i386" }, "image", "names no operating system", "", false},
		"an image that was not asked for":     {func(*rules.Facts) {}, "image", "", "", false},
		"an image that is gone":               {func(f *rules.Facts) { f.Image.Presence = rules.ImageMissing }, "image", "not there any more", "shenlong-6", false},
		"an image that a check of it alone names": {
			func(f *rules.Facts) { f.Image.Presence, f.Image.CheckOSVersion = rules.ImageFound, "CentOS 5.8" },
			"image", "CentOS 5.8", "shenlong-6 shenlong-7", true,
		},
		"a heartbeat on the class": {func(f *rules.Facts) { f.InstanceType, f.Guest.Up = "ecs.g7.large", rules.Yes }, "up", "was heard of", "shenlong-7", false},
		"a start that failed":      {func(f *rules.Facts) { f.InstanceType, f.Guest.Up = "ecs.g7.large", rules.No }, "up", "did not come up", "shenlong-7", false},
	} {
		facts := vague
		tt.change(&facts)
		explained := rs.Explain(&facts, nil)
		if diff := cmp.Diff(rs.NewClassifier(nil).Classify(&facts), explained.Classification); diff != "" {
			t.Errorf("%s: explained otherwise than judged: %s", name, diff)
		}
		i := slices.IndexFunc(explained.Evidence, func(h rules.Held) bool { return h.Source == tt.source })
		if len(explained.Evidence) != 6 || i < 0 {
			t.Fatalf("%s: %+v", name, explained.Evidence)
		}
		held := &explained.Evidence[i]
		if held.Held != (tt.says != "") || held.Says == "" || !strings.Contains(held.Says, tt.says) || held.Identity != tt.names {
			t.Errorf("%s: %+v", name, held)
		}
		for target := range strings.FieldsSeq(tt.decides) {
			if !slices.Contains(held.Decides, target) {
				t.Errorf("%s: does not decide on %s: %+v", name, target, held)
			}
		}
		if tt.decides == "" && len(held.Decides) > 0 {
			t.Errorf("%s: decides on %v", name, held.Decides)
		}
	}
}
