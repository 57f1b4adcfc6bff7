package rules_test

import (
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// An image that is gone could have said more, for instance that virtio is
// missing: a verdict without it is never firm, unless the machine itself was
// asked, or the image's id alone tells what the public image was.
func TestALostImageLeavesNoVerdictFirm(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	firm := map[string]int{}
	for _, row := range rows(t, "os-names.tsv") {
		facts := func(id string, presence rules.ImagePresence) *rules.Facts {
			return &rules.Facts{OSName: row["os_name"], OSType: row["os_type"], ImageID: id, Image: rules.ImageFacts{Presence: presence}}
		}
		asked := facts("m-bp1afe3zfmy1fexv2olt", rules.ImageMissing)
		asked.Guest.Release = row["os_name"]
		for what, f := range map[string]*rules.Facts{
			"lost":              facts("m-bp1afe3zfmy1fexv2olt", rules.ImageMissing),
			"found":             facts("m-bp1afe3zfmy1fexv2olt", rules.ImageFound),
			"a public one lost": facts("centos_7_9_x64_20G_alibase_20220727.vhd", rules.ImageMissing),
			"lost, asked":       asked,
		} {
			cl := c.Classify(f)
			for i := range cl.Verdicts {
				if v := &cl.Verdicts[i]; v.Confidence == rules.High {
					firm[what]++
					if what == "lost" {
						t.Errorf("%q from an image that is gone: %s on %s by %s with confidence high", row["os_name"], v.Level, v.Target, v.Rule)
					}
				}
			}
		}
	}
	for _, what := range []string{"found", "a public one lost", "lost, asked"} {
		if firm[what] == 0 {
			t.Errorf("%s: no verdict is firm, so that nothing is shown of a lost one", what)
		}
	}
}
