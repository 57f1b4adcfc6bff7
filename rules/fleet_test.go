package rules_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

const ownKernel, newKernel = "3.10.0-693.el7.x86_64", "3.10.0-1160.el7.x86_64"

// What other instances of the image tell answers an open question, and nothing
// that speaks against it is overruled.
func TestWhatOtherInstancesOfTheImageTell(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier(nil)
	base := func(change func(*rules.Facts)) rules.Facts {
		f := rules.Facts{OSName: "CentOS  7.4 64位", ImageID: "m-1", InstanceType: "ecs.g5.large", IoOptimized: rules.Yes, Running: rules.Yes}
		f.Image.Fleet = "shenlong-7=8/8 shenlong-8=8/8 os=centos/7.4/"
		change(&f)
		return f
	}
	kernels := func(image, runs string) func(*rules.Facts) {
		return func(f *rules.Facts) { f.Image.TagKernelVersion, f.Guest.Kernel = image, runs }
	}
	for name, tt := range map[string]struct {
		facts      rules.Facts
		target     string
		level      rules.Level
		confidence rules.Confidence
		rule       string
	}{
		"it settles what is open":                    {base(func(*rules.Facts) {}), "shenlong-7", rules.Compatible, rules.Low, "observed.fleet"},
		"firmer where the kernel is the image's own": {base(kernels(ownKernel, ownKernel)), "shenlong-7", rules.Compatible, rules.Medium, "observed.fleet-kernel"},
		"another kernel wins":                        {base(kernels(ownKernel, newKernel)), "shenlong-7", rules.Unknown, rules.Low, ""},
		"another system wins":                        {base(func(f *rules.Facts) { f.Guest.Release = "CentOS Linux release 7.2.1511 (Core)" }), "shenlong-7", rules.Unknown, rules.Low, ""},
		"evidence that contradicts itself wins":      {base(func(f *rules.Facts) { f.Image.OSName = "Ubuntu  14.04 64位" }), "shenlong-7", rules.Unknown, rules.Low, ""},
		"another class is not meant":                 {base(func(f *rules.Facts) { f.Image.Fleet = "shenlong-6=8/8" }), "shenlong-7", rules.Unknown, rules.Low, ""},
		"NVMe is a question of its own":              {base(func(*rules.Facts) {}), "shenlong-8", rules.NeedsAction, rules.Low, "nvme.dracut"},
		"the legacy list stands":                     {base(func(f *rules.Facts) { f.OSName, f.Image.Fleet = "CentOS  5.8 64位", "shenlong-7=64/64" }), "shenlong-7", rules.Incompatible, rules.High, ""},
		"what a finding demands stands":              {base(func(f *rules.Facts) { f.InstanceType, f.IoOptimized = "ecs.s2.large", rules.No }), "shenlong-7", rules.NeedsAction, rules.Low, "virtio.unverified"},
		"a refusal stands":                           {base(func(f *rules.Facts) { f.Image.Refused = "ecs.g7" }), "shenlong-7", rules.Incompatible, rules.Medium, "platform.refuses"},
		"garbled counts are none":                    {base(func(f *rules.Facts) { f.Image.Fleet = "shenlong-7=3/9" }), "shenlong-7", rules.Unknown, rules.Low, ""},
	} {
		cl := c.Classify(&tt.facts)
		for _, v := range cl.Verdicts {
			if v.Target != tt.target {
				continue
			}
			if v.Level != tt.level || v.Confidence != tt.confidence || tt.rule != "" && v.Rule != tt.rule {
				t.Errorf("%s: %s (%s) by %s: %s", name, v.Level, v.Confidence, v.Rule, v.Reason)
			}
			if strings.HasPrefix(tt.rule, "observed.fleet") && !strings.Contains(v.Reason, "at least 8") {
				t.Errorf("%s: the number is not told: %s", name, v.Reason)
			}
		}
	}
}

// Only guests that were heard of, on the image's own kernel or one that nobody
// knows, count; and facts do not change with every instance.
func TestCountsOfTheFleet(t *testing.T) {
	up := func(change func(*rules.Facts)) *rules.Facts {
		f := &rules.Facts{Running: rules.Yes, Guest: rules.GuestFacts{Up: rules.Yes}, Image: rules.ImageFacts{Presence: rules.ImageFound, Name: "golden", TagKernelVersion: ownKernel}}
		change(f)
		return f
	}
	vague, known := &rules.OS{Family: "centos"}, &rules.OS{Family: "centos", Version: "7.4"}
	plain := func(*rules.Facts) {}
	var f rules.ImageFleet
	f.Add(rules.ClassShenlong7, vague, up(plain), 5)
	f.Add(rules.ClassShenlong7, known, up(func(f *rules.Facts) { f.Guest.Kernel = ownKernel }), 2)
	f.Add(rules.ClassShenlong7, known, up(func(f *rules.Facts) { f.Guest.Kernel = newKernel }), 100)
	f.Add(rules.ClassShenlong7, known, up(func(f *rules.Facts) { f.Guest.Up = rules.Unobserved }), 100)
	f.Add(rules.ClassShenlong7, known, up(func(f *rules.Facts) { f.Running = rules.No }), 100)
	text := f.Text()
	if want := "shenlong-7=4/2 os=centos/7.4/ image="; !strings.HasPrefix(text, want) {
		t.Errorf("%q, want %q", text, want)
	}
	if got := new(rules.ImageFleet).Text(); got != "" {
		t.Errorf("of none: %q", got)
	}
	for name, add := range map[string]func(f *rules.ImageFleet){
		"another release": func(f *rules.ImageFleet) {
			f.Add(rules.ClassKVM, &rules.OS{Family: "centos", Version: "7.9"}, up(plain), 1)
		},
		"another family": func(f *rules.ImageFleet) { f.Add(rules.ClassKVM, &rules.OS{Family: "ubuntu"}, up(plain), 1) },
		"an image that is described otherwise": func(f *rules.ImageFleet) {
			f.Add(rules.ClassKVM, known, up(func(f *rules.Facts) { f.Image.OSName = "CentOS 6.8" }), 1)
		},
	} {
		mixed := f
		if add(&mixed); mixed.Text() != "" {
			t.Errorf("%s among them: %q", name, mixed.Text())
		}
	}
	// The image was exchanged since for one that is described otherwise.
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier(nil)
	for name, want := range map[string]rules.Level{"golden": rules.Compatible, "another": rules.Unknown} {
		is := rules.Facts{OSName: "CentOS  7.4 64位", Image: rules.ImageFacts{Presence: rules.ImageFound, Name: name, TagKernelVersion: ownKernel, Fleet: text}}
		if v := c.Classify(&is).Verdicts[rules.ClassShenlong7]; v.Level != want {
			t.Errorf("image %s: %s by %s", name, v.Level, v.Rule)
		}
	}
}
