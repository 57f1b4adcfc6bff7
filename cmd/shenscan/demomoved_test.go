package main_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// digits are those of base 64 in testdata/demo-before.txt.
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// before are the verdicts on the demo's instances before there was a class
// shenlong-8, in the order of the report. What was said of shenlong-7 was said of
// the 7th generation and later.
type before []int

func readBefore(t *testing.T, instances int) before {
	t.Helper()
	body, err := os.ReadFile("testdata/demo-before.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out before
	for line := range strings.Lines(string(body)) {
		if line[0] == '#' {
			continue
		}
		for _, c := range strings.TrimSpace(line) {
			out = append(out, strings.IndexRune(digits, c))
		}
	}
	if len(out) != instances || slices.Min(out) < 0 {
		t.Fatalf("testdata/demo-before.txt tells of %d instances, of %d", len(out), instances)
	}
	return out
}

// on is the verdict that instance i had on a target.
func (b before) on(target string, i int) string {
	shift := map[string]int{"kvm": 4, "shenlong-6": 2}[target] // what is on neither is on shenlong-7
	return rules.Level(b[i] >> shift & 3).String()
}

// was spells the verdicts that a group had before, the best first; it is
// "the same" where none moved.
func was(counts map[string]int, now string) string {
	if len(counts) == 1 && counts[now] > 0 {
		return "the same"
	}
	var out []string
	for _, level := range []string{"compatible", "needs-action", "incompatible", "unknown"} {
		if n := counts[level]; n > 0 {
			out = append(out, fmt.Sprintf("%s %d", level, n))
		}
	}
	return strings.Join(out, ", ")
}

// whyMoved says why a verdict by a rule of today was another one before, by the
// rule and the verdict of then.
var whyMoved = map[string]map[string]string{
	"debian.6-8":                   {"compatible": ownClass},
	"el5.early":                    {"compatible": "on kvm everything was compatible; virtio in the release is asked for now, and the worst release that it can be counts"},
	"el6":                          {"compatible": ownClass},
	"el7.early":                    {"compatible": ownClass},
	"nvme.dracut":                  {"compatible": nvmeCounts},
	"nvme.el5":                     {"compatible": noDriver, "unknown": noDriver},
	"nvme.el6-early":               {"compatible": noDriver, "unknown": noDriver},
	"nvme.initramfs-tools":         {"compatible": nvmeCounts},
	"nvme.windows":                 {"compatible": nvmeCounts},
	"nvme.windows-2008":            {"needs-action": noDriver},
	"nvme.windows-2008-r2-unknown": {"needs-action": noDriver},
	"nvme.windows-back":            {"compatible": "the way back from NVMe to virtio counts now, and so does that a family of the newest class proves no virtio"},
	"opensuse.13":                  {"compatible": ownClass},
	"opensuse.42":                  {"compatible": ownClass},
	"os.unidentified":              {"compatible": ownClass},
	"os.unnamed":                   {"compatible": ownClass},
	"os.version-missing":           {"compatible": ownClass},
	"platform.not-listed":          {"compatible": listedOnly, "needs-action": listedOnly, "unknown": listedOnly},
	"platform.refuses":             {"compatible": refusedNow, "needs-action": refusedNow, "unknown": refusedNow},
	"platform.supports":            {"unknown": "the platform is asked now, and offers the public image there"},
	"platform.supports-custom": {
		"compatible": "the class takes listed systems only, which leaves the system open; the platform's answer for a custom image settles it as far as a trial",
		"unknown":    "the platform is asked now, and offers the custom image there; a trial is left",
	},
	"ubuntu.11":         {"unknown": "its kernel has virtio; the list, which is silent on it, is about SHENLONG and not about kvm"},
	"virtio.unverified": {"unknown": "what was open about the system is settled (by the platform's answer, or on kvm by virtio in its kernel); what is left is the driver"},
	"windows.2008":      {"needs-action": "its condition stands in a list about the 6th generation; the 7th demands more, and no source says whether it starts there"},
	"windows.2012":      {"compatible": ownClass},
}

const (
	ownClass   = "an instance that runs proves the class where it runs now, not the older ones too"
	nvmeCounts = "the 8th generation and later is a class of its own now, and its disks are attached by NVMe"
	noDriver   = "the 8th generation and later is a class of its own now; for its NVMe disks the system has no driver"
	listedOnly = "the 8th generation and later is a class of its own now, which takes listed systems only"
	refusedNow = "the platform is asked now, and does not offer the image there"
)

// whyGroup says why the instances of a group moved, "" where none did.
func whyGroup(t *testing.T, rule, now string, counts map[string]int) string {
	t.Helper()
	var out []string
	for _, level := range []string{"compatible", "needs-action", "incompatible", "unknown"} {
		if counts[level] == 0 || level == now {
			continue
		}
		why := whyMoved[rule][level]
		if why == "" {
			t.Errorf("nobody says why %s by %s was %s before", now, rule, level)
		}
		if !slices.Contains(out, why) {
			out = append(out, why)
		}
	}
	return strings.Join(out, "; ")
}
