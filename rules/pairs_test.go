package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
)

// source is one piece of evidence about an instance.
type source struct {
	name  string
	put   func(*rules.Facts)
	shown string // how a record shows it: a rule among the findings, or a text in a reason or conflict
	asks  string // the question that it answers; "" for whether the instance boots there at all
	takes string // what of the facts it needs for itself: two that take the same are no pair
}

// speakFor are the sources that say that a move goes well, speakAgainst those
// that say that it does not.
func speakFor() []source {
	offers := func(owner string) func(*rules.Facts) {
		return func(f *rules.Facts) { f.Image.Offered, f.Image.Owner = "ecs.g7 ecs.g8i", owner }
	}
	const siblings = "shenlong-7=8/8 shenlong-8=8/8"
	return []source{
		{"fleet", func(f *rules.Facts) { f.Image.Fleet = siblings }, "observed.fleet", "", "fleet"},
		{"fleet with the image's kernel", func(f *rules.Facts) {
			f.Image.Fleet, f.Image.TagKernelVersion, f.Guest.Kernel = siblings, ownKernel, ownKernel
		}, "observed.fleet", "", "fleet"},
		{"platform of a public image", offers("system"), "platform.offered", "", "platform"},
		{"platform of a custom image", offers("self"), "platform.offered", "", "platform"},
		{"runs on g7", func(f *rules.Facts) { f.InstanceType, f.Running = "ecs.g7.large", rules.Yes }, "observed.running", "", "machine"},
		{"is up on g7", func(f *rules.Facts) { f.InstanceType, f.Running, f.Guest.Up = "ecs.g7.large", rules.Yes, rules.Yes }, "observed.up", "", "machine"},
		{"is up on g8i", func(f *rules.Facts) { f.InstanceType, f.Running, f.Guest.Up = "ecs.g8i.large", rules.Yes, rules.Yes }, "observed.up", "", "machine"},
		{"guest loads virtio", func(f *rules.Facts) { f.Guest.Virtio = rules.Yes }, "virtio at boot", "virtio", "guest virtio"},
		{"image check found virtio", func(f *rules.Facts) { f.Image.CheckVirtio = rules.Yes }, "virtio at boot", "virtio", "check virtio"},
		{"guest loads NVMe", func(f *rules.Facts) { f.Guest.NVMe = rules.Yes }, "NVMe at boot", "nvme", "guest NVMe"},
		{"image check found NVMe", func(f *rules.Facts) { f.Image.CheckNVMe = rules.Yes }, "NVMe at boot", "nvme", "check NVMe"},
		{"instance flag", func(f *rules.Facts) { f.OSNVMe = rules.Yes }, "NVMe at boot", "nvme", "instance flag"},
		{"image flag", func(f *rules.Facts) { f.Image.NVMe = rules.Yes }, "NVMe at boot", "nvme", "image flag"},
		{"guest names no devices", func(f *rules.Facts) { f.Guest.DeviceNames = rules.No }, "device names at boot", "names", ""},
	}
}

func speakAgainst() []source {
	return []source{
		{"platform refuses", func(f *rules.Facts) { f.Image.Refused = "ecs.g7 ecs.g8i" }, "platform.refuses", "", "platform"},
		{"platform asks for a trial", func(f *rules.Facts) { f.Image.Offered = "ecs.g7 ecs.g8i" }, "platform.", "", "platform"},
		{"platform's image check", func(f *rules.Facts) { f.Image.CheckSupported = rules.No }, "platform.check-failed", "", ""},
		{"last start on g7 failed", func(f *rules.Facts) { f.InstanceType, f.Running, f.Guest.Up = "ecs.g7.large", rules.Yes, rules.No }, "observed.failed", "", "machine"},
		{"runs on Xen", func(f *rules.Facts) { f.InstanceType, f.IoOptimized = "ecs.s2.large", rules.No }, "virtio.unverified", "xen", "machine"},
		{"guest loads no virtio", func(f *rules.Facts) { f.Guest.Virtio = rules.No }, "virtio.next-start", "virtio", "guest virtio"},
		{"image check missed virtio", func(f *rules.Facts) { f.Image.CheckVirtio = rules.No }, "virtio", "virtio", "check virtio"},
		{"image is not I/O optimized", func(f *rules.Facts) { f.Image.IoOptimized = rules.No }, "virtio.io-optimized-unsupported", "", ""},
		{"guest loads no NVMe", func(f *rules.Facts) { f.Guest.NVMe = rules.No }, "NVMe", "nvme", "guest NVMe"},
		{"image check missed NVMe", func(f *rules.Facts) { f.Image.CheckNVMe = rules.No }, "NVMe", "nvme", "check NVMe"},
		{"instance flag is off", func(f *rules.Facts) { f.OSNVMe = rules.No }, "NVMe", "nvme", "instance flag"},
		{"image flag is off", func(f *rules.Facts) { f.Image.NVMe = rules.No }, "NVMe", "nvme", "image flag"},
		{"image check found device names", func(f *rules.Facts) { f.Image.CheckFstab = rules.No }, "name", "names", ""},
		{"guest is CentOS 5.8", func(f *rules.Facts) { f.Guest.Release = "CentOS release 5.8 (Final)" }, "5.8", "", ""},
		{"image is CentOS 5.8", func(f *rules.Facts) { f.Image.OSName = "CentOS  5.8 64位" }, "5.8", "", ""},
	}
}

// milderCounts is where what speaks for a move counts for more, and why. In every
// other pair the worse counts.
var milderCounts = []struct {
	pro, con []string
	why      string
}{
	{
		[]string{"runs on g7", "is up on g7", "is up on g8i"},
		[]string{"platform's image check", "image check missed virtio", "image is not I/O optimized", "image check found device names", "guest is CentOS 5.8", "image is CentOS 5.8"},
		"an instance that runs on a class proves its system for that class, whatever was said of its image or name",
	},
	{[]string{"is up on g7", "runs on g7", "is up on g8i"}, []string{"platform asks for a trial"}, "the instance itself is the trial"},
	{[]string{"is up on g8i"}, []string{"image check missed NVMe", "instance flag is off", "image flag is off"}, "it starts from NVMe now, which is stronger than checks and flags"},
	{[]string{"is up on g8i"}, []string{"guest loads no virtio"}, "machines of this class need no virtio to start"},
	{[]string{"guest loads virtio"}, []string{"image check missed virtio"}, "the machine knows its initramfs better than a check of its image"},
	{[]string{"guest names no devices"}, []string{"image check found device names"}, "the machine knows its files better than a check of its image"},
	{[]string{"guest loads NVMe"}, []string{"image check missed NVMe", "instance flag is off", "image flag is off"}, "the machine's own proof is the strongest"},
	{[]string{"image check found NVMe"}, []string{"instance flag is off", "image flag is off"}, "a check has looked, a flag is set by people"},
	{[]string{"instance flag"}, []string{"image flag is off"}, "the flag of the instance is nearer to it than that of its image"},
}

// Where two pieces of evidence contradict each other the worse counts, but for
// pairs that are named with their reason; either way the record shows both, and a
// claim that is contradicted is no firmer than medium.
func TestOfTwoThatContradictTheWorseCounts(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	allowed, used := map[string]bool{}, map[string]bool{}
	for _, m := range milderCounts {
		for _, pro := range m.pro {
			for _, con := range m.con {
				allowed[pro+" against "+con] = true
			}
		}
	}
	for _, system := range []string{"CentOS  7.4 64位", "CentOS  7.9 64位", "Ubuntu  20.04 64位"} {
		for _, class := range []rules.Class{rules.ClassShenlong7, rules.ClassShenlong8} {
			of := func(puts ...func(*rules.Facts)) (*rules.Classification, *rules.Verdict) {
				f := &rules.Facts{OSName: system, ImageID: "m-1", InstanceType: "ecs.g5.large", Image: rules.ImageFacts{Presence: rules.ImageFound, Owner: "self"}}
				for _, put := range puts {
					put(f)
				}
				cl := c.Classify(f)
				return cl, &cl.Verdicts[class]
			}
			_, nothing := of()
			for _, pro := range speakFor() {
				proAlone, alone := of(pro.put)
				if pro.asks == "" && !shows(proAlone, alone, pro.shown) {
					continue // it is about another class
				}
				for _, con := range speakAgainst() {
					if pro.takes != "" && pro.takes == con.takes || pro.asks != "" && pro.asks != con.asks {
						continue
					}
					_, against := of(con.put)
					stake, contradicts := raised(nothing, against, con.shown)
					if !contradicts {
						continue
					}
					cl, both := of(pro.put, con.put)
					pair := pro.name + " against " + con.name
					at := fmt.Sprintf("%s, %s on %s", pair, system, class)
					if worse(stake, both.Level) {
						used[pair] = true
						if !allowed[pair] {
							t.Errorf("%s: %s (%s) by %s, and %s is at stake: the milder counts", at, both.Level, both.Confidence, both.Rule, stake)
						}
					}
					for _, s := range []source{pro, con} {
						if !shows(cl, both, s.shown) {
							t.Errorf("%s: the record does not show that %s", at, s.name)
						}
					}
					if pro.asks == "" && both.Level == rules.Compatible && both.Confidence > rules.Medium {
						t.Errorf("%s: compatible, %s", at, both.Confidence)
					}
				}
			}
		}
	}
	for pair := range allowed {
		if !used[pair] {
			t.Errorf("%s: the milder does not count", pair)
		}
	}
}

// raised is the worst that a source says by itself.
func raised(nothing, v *rules.Verdict, mark string) (worst rules.Level, found bool) {
	worst = rules.Compatible
	for _, f := range v.Findings {
		if f.Level != rules.Compatible && (strings.HasPrefix(f.Rule, mark) || strings.Contains(f.Reason, mark) || !hasFinding(nothing, f.Rule)) {
			worst, found = rules.Worse(worst, f.Level), true
		}
	}
	return worst, found
}

// worse says whether one level is worse than another.
func worse(a, b rules.Level) bool { return rules.Worse(a, b) == a && a != b }

// shows says whether a record shows what has the mark.
func shows(cl *rules.Classification, v *rules.Verdict, mark string) bool {
	return strings.Contains(v.Reason, mark) || cl.OS.Version == mark ||
		slices.ContainsFunc(v.Findings, func(f rules.Finding) bool {
			return strings.HasPrefix(f.Rule, mark) || strings.Contains(f.Reason, mark)
		}) ||
		slices.ContainsFunc(cl.Conflicts, func(k rules.Conflict) bool {
			return strings.Contains(k.Field+k.Chosen+k.Text, mark)
		})
}
