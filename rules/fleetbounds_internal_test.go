package rules

import (
	"strconv"
	"testing"
)

// Two readings may be of one system unless one names what the other excludes.
func TestReadingsThatMayBeOfOneSystem(t *testing.T) {
	for _, c := range []struct {
		a, b OS
		want bool
	}{
		{OS{Family: "centos", Version: "7"}, OS{Family: "centos", Version: "7.4"}, true},
		{OS{Family: "centos", Version: "7.4"}, OS{Family: "centos", Version: "7.4"}, true},
		{OS{Family: "centos"}, OS{Family: "centos", Version: "7.4"}, true},
		{OS{Family: "centos", Version: "7"}, OS{Family: "centos", Version: "70"}, false},
		{OS{Family: "centos"}, OS{Family: "ubuntu"}, false},
		{OS{Family: "centos", Version: "7"}, OS{Family: "unknown"}, true},
		{OS{Family: "centos", Version: "7"}, OS{}, true},
		{OS{Family: "centos", Version: "7"}, OS{Family: "other-linux"}, true},
		{OS{Family: "centos", Version: "7"}, OS{Family: "other-linux", Version: "7"}, false},
		{OS{Family: "ubuntu"}, OS{Family: "other-linux", Version: "7"}, false},
		{OS{Family: "sles", Version: "11", ServicePack: "4"}, OS{Family: "sles", Version: "11", ServicePack: "4"}, true},
		{OS{Family: "sles", Version: "11", ServicePack: "4"}, OS{Family: "sles", Version: "11", ServicePack: "3"}, false},
		{OS{Family: "sles", Version: "11", ServicePack: "4"}, OS{Family: "sles", Version: "11"}, true},
	} {
		if mayBeOne(&c.a, &c.b) != c.want || mayBeOne(&c.b, &c.a) != c.want {
			t.Errorf("%+v and %+v: %t and %t, want %t", c.a, c.b, mayBeOne(&c.a, &c.b), mayBeOne(&c.b, &c.a), c.want)
		}
	}
}

// Of the readings of one image the one that is known best is kept, in whatever
// order they come.
func TestTheBestKnownReadingOfAnImageIsKept(t *testing.T) {
	up := &Facts{Running: Yes, Guest: GuestFacts{Up: Yes}}
	for _, c := range []struct {
		a, b, want OS
	}{
		{OS{Family: "centos"}, OS{Family: "unknown"}, OS{Family: "centos"}},
		{OS{Family: "unknown"}, OS{Family: "centos"}, OS{Family: "centos"}},
		{OS{Family: "centos", Version: "7"}, OS{Family: "centos", Version: "7.4"}, OS{Family: "centos", Version: "7.4"}},
		{OS{Family: "centos", Version: "7.4"}, OS{Family: "centos", Version: "7"}, OS{Family: "centos", Version: "7.4"}},
		{OS{Family: "sles", Version: "11", ServicePack: "4"}, OS{Family: "sles", Version: "11"}, OS{Family: "sles", Version: "11", ServicePack: "4"}},
	} {
		var f ImageFleet
		f.Add(ClassKVM, &c.a, up, 1)
		f.Add(ClassKVM, &c.b, up, 1)
		if f.os != c.want || f.mixed {
			t.Errorf("%+v and %+v: %+v, mixed %t", c.a, c.b, f.os, f.mixed)
		}
	}
}

// Counts of the fleet are read where every part of them makes sense, and else
// nothing of them is.
func TestGarbledCountsOfTheFleetCountForNothing(t *testing.T) {
	os := &OS{Family: "centos", Version: "7.4"}
	own := (&ImageFacts{}).description()
	for text, want := range map[string]Siblings{
		"shenlong-7=3/2": {3, 2},
		"shenlong-7=1/0": {1, 0},
		"shenlong-7=2/2": {2, 2},
		"shenlong-7=" + strconv.Itoa(maxSiblings) + "/1":   {maxSiblings, 1},
		"shenlong-7=" + strconv.Itoa(maxSiblings+1) + "/1": {},
		"shenlong-7=0/0":                   {},
		"shenlong-7=-1/-1":                 {},
		"shenlong-7=3/-1":                  {},
		"shenlong-7=3/4":                   {},
		"shenlong-7=x/0":                   {},
		"shenlong-7=3/x":                   {},
		"shenlong-7=3":                     {},
		"shenlong-7=3/2/1":                 {},
		"shenlong-9=3/2 shenlong-7=3/2":    {},
		"shenlong-7=3/2 shenlong-9=3/2":    {},
		"shenlong-7=3/2 kvm=0/0":           {},
		"shenlong-7=3/2 os=centos/7.4/":    {3, 2},
		"os=centos/7/ shenlong-7=3/2":      {3, 2},
		"shenlong-7=3/2 os=centos/7.5/":    {},
		"shenlong-7=3/2 os=centos/7.4":     {},
		"shenlong-7=3/2 image=" + own:      {3, 2},
		"image=" + own + " shenlong-7=3/2": {3, 2},
		"shenlong-7=3/2 image=other":       {},
	} {
		f := &Facts{Image: ImageFacts{Fleet: text}}
		if got := f.fleet(os)[ClassShenlong7]; got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// The kernel narrows a release of Enterprise Linux down where it is one of it, and
// nothing else.
func TestWhatAKernelNarrowsDown(t *testing.T) {
	for _, c := range []struct {
		family, version, kernel string
		narrowed                bool
	}{
		{"centos", "7", "3.10.0-957.el7.x86_64", true},
		{"other-linux", "7", "3.10.0-957.el7.x86_64", true},
		{"centos", "7", "3.10.0-957.fc20.x86_64", false},
		{"centos", "7", "3.10.0-957", false},
		{"centos", "7", "3.10.0-957.el.x86_64", false},
		{"centos", "7", "2.6.32-754.el6.x86_64", false},
		{"centos", "7", "4.18.0-348.el8.x86_64", false},
		{"centos", "7.2", "3.10.0-957.el7.x86_64", false},
		{"centos", "", "3.10.0-957.el7.x86_64", false},
		{"debian", "7", "3.10.0-957.el7.x86_64", false},
		{"centos", "7", "", false},
	} {
		k := newCandidate(c.family, c.version, "", "", c.kernel)
		if got := k.span != k.stated; got != c.narrowed {
			t.Errorf("%s %s with %s: %v of %v", c.family, c.version, c.kernel, k.span, k.stated)
		}
	}
}

// Counts up to three are exact; more were rounded down, and the kernel is spoken of
// where someone has it.
func TestCountsOfTheFleetAreTold(t *testing.T) {
	for siblings, want := range map[Siblings]string{
		{3, 0}: "3 of the instances of this image ran on kvm with a guest that was heard of. ",
		{4, 0}: "at least 4 of the instances of this image ran on kvm with a guest that was heard of. ",
		{8, 1}: "at least 8 of the instances of this image ran on kvm with a guest that was heard of, 1 of them with the image's own kernel. ",
		{8, 4}: "at least 8 of the instances of this image ran on kvm with a guest that was heard of, at least 4 of them with the image's own kernel. ",
	} {
		if got := siblings.sentence(ClassKVM); got != "When the last complete scan ended, "+want {
			t.Errorf("%+v: %q", siblings, got)
		}
	}
}
