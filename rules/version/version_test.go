package version_test

import (
	"os"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/version"
)

func pairs(t *testing.T, name string) [][2]string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out [][2]string
	for l := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n") {
		if a, c, ok := strings.Cut(l, " < "); ok && l[0] != '#' {
			out = append(out, [2]string{a, c})
		}
	}
	return out
}

func TestOrder(t *testing.T) {
	for _, p := range pairs(t, "order.txt") {
		a, _ := version.Parse(p[0])
		b, _ := version.Parse(p[1])
		if a.Cmp(b) != -1 || b.Cmp(a) != 1 || a.Cmp(a) != 0 {
			t.Errorf("%s is not before %s", p[0], p[1])
		}
	}
}

func TestKernelOrder(t *testing.T) {
	for _, p := range pairs(t, "kernels.txt") {
		a, b := version.ParseKernel(p[0]), version.ParseKernel(p[1])
		if !a.OK || !b.OK {
			t.Errorf("%v is not read", p)
		}
		if version.CmpKernel(a, b) != -1 || version.CmpKernel(b, a) != 1 || version.CmpKernel(a, a) != 0 {
			t.Errorf("%s is not before %s", p[0], p[1])
		}
	}
}

func TestParseKernel(t *testing.T) {
	for _, c := range []struct{ in, tag, flavour string }{
		{"2.6.18-398.el5xen", "el5", "xen"},
		{"2.6.18-398.EL5PAE", "el5", "pae"},
		{"2.6.39-300.17.1.el5uek", "el5", "uek"},
		{"4.18.0-240.22.1.el8_3.x86_64", "el8_3", ""},
		{"4.19.91-23.al7.x86_64", "al7", ""},
		{"5.4.0-74-generic", "", "generic"},
		{"11.2-RELEASE-p9", "", "release"},
		{"2.6.18-348", "", ""},
		{"kernel-xen-2.6.18-398.el5", "el5", "xen"},
		{"kernel-uek-2.6.39-400.17.1.el6", "el6", "uek"},
		{"linux-image-2.6.26-2-xen-amd64", "", "xen"},
		{"vmlinuz-2.6.18-398.el5xen", "el5", "xen"},
		{"Linux 2.6.18-398.el5xen #1 SMP", "el5", "xen"},
		{"Linux db01 2.6.18-398.el5 #1 SMP", "el5", ""},
		{"Linux 5.8-web 2.6.18-398.el5xen #1 SMP", "el5", "xen"},
		{"Linux version 2.6.18-398.el5 (mockbuild@builder)", "el5", ""},
	} {
		if k := version.ParseKernel(c.in); !k.OK || k.Tag != c.tag || k.Flavour != c.flavour {
			t.Errorf("%s: %+v", c.in, k)
		}
	}
	for _, s := range []string{"", "el5", "5", "generic", "-", "a.b.c", "5.x", "7.el", "Darwin"} {
		if version.ParseKernel(s).OK {
			t.Errorf("%q passes for a kernel release", s)
		}
	}
}

func TestNext(t *testing.T) {
	for _, c := range []struct{ in, want string }{{"5", "6"}, {"5.8", "5.9"}, {"6.0.9", "6.0.10"}} {
		k, n := version.Parse(c.in)
		if want, _ := version.Parse(c.want); k.Next(n) != want {
			t.Errorf("after %s comes %v", c.in, k.Next(n))
		}
	}
}

// What has no number comes before nothing: everything may follow it.
func TestNothingFollowsAVersionWithoutNumbers(t *testing.T) {
	biggest, _ := version.Parse("99999999999.99999999999.99999999999.99999999999")
	for _, n := range []int{0, -1} {
		if got := (version.Key{}).Next(n); got != biggest {
			t.Errorf("Next(%d) is %v", n, got)
		}
	}
	if got := (version.Key{1, 2, 3, 4}).Next(9); got != (version.Key{1, 2, 3, 5}) {
		t.Errorf("Next(9) is %v", got)
	}
}

func TestParseTakesNumbersApart(t *testing.T) {
	for in, want := range map[string]struct {
		key version.Key
		n   int
	}{
		"":                        {},
		"V":                       {},
		"V10":                     {version.Key{10}, 1},
		"2008r2":                  {version.Key{2008, 2}, 2},
		"1465.8.0":                {version.Key{1465, 8}, 3},
		"1.2.3.4.5":               {version.Key{1, 2, 3, 4}, 4},
		"/0:9":                    {version.Key{0, 9}, 2},
		"214748362":               {version.Key{214748362}, 1},
		"2147483639":              {version.Key{2147483639}, 1}, // the last that is told apart with any digit behind it
		"2147483640":              {version.Key{1<<31 - 1}, 1},
		"99999999999999999999.10": {version.Key{1<<31 - 1, 10}, 2},
	} {
		if key, n := version.Parse(in); key != want.key || n != want.n {
			t.Errorf("%q: %v and %d numbers, not %v and %d", in, key, n, want.key, want.n)
		}
	}
}

func TestKernelsAreTakenApart(t *testing.T) {
	for in, want := range map[string]version.Kernel{
		"2.6.18-348.18.1.el5":  {Base: version.Key{2, 6, 18}, Release: [6]uint32{348, 18, 1}, N: 3, Tag: "el5", OK: true},
		"4.18.0-1.2.3.4.5.6.7": {Base: version.Key{4, 18, 0}, Release: [6]uint32{1, 2, 3, 4, 5, 6}, N: 6, OK: true},
		"4.18.0-1.2.3.4.5.6":   {Base: version.Key{4, 18, 0}, Release: [6]uint32{1, 2, 3, 4, 5, 6}, N: 6, OK: true},
		"1.2.3.4":              {Base: version.Key{1, 2, 3, 4}, OK: true},
		"5.4":                  {Base: version.Key{5, 4}, OK: true},
		"5.4.":                 {Base: version.Key{5, 4}, OK: true},
		"5.4.0--74-generic":    {Base: version.Key{5, 4, 0}, Release: [6]uint32{74}, N: 1, Flavour: "generic", OK: true},
		"4.18.0-240.22.1.EL8_3.X86_64": {
			Base: version.Key{4, 18, 0}, Release: [6]uint32{240, 22, 1}, N: 3, Tag: "el8_3", OK: true,
		},
		"3.0.101-63-xenU":     {Base: version.Key{3, 0, 101}, Release: [6]uint32{63}, N: 1, Flavour: "xen", OK: true},
		"4.4.0-21-xenial":     {Base: version.Key{4, 4, 0}, Release: [6]uint32{21}, N: 1, Flavour: "xenial", OK: true},
		"2.6.18.8":            {Base: version.Key{2, 6, 18}, Release: [6]uint32{8}, N: 1, OK: true}, // a patch of 2.6.18, older than 2.6.18-348
		"2.6.32.12-0.7-xen":   {Base: version.Key{2, 6, 32}, Release: [6]uint32{12, 0, 7}, N: 3, Flavour: "xen", OK: true},
		"2.6.0.1-1.2.3.4.5.6": {Base: version.Key{2, 6}, Release: [6]uint32{1, 1, 2, 3, 4, 5}, N: 6, OK: true},
		"2.6.18.0":            {Base: version.Key{2, 6, 18}, OK: true},
		"v3.10.0":             {Base: version.Key{3, 10}, OK: true},
		`"2.6.18-308.el5"`:    {Base: version.Key{2, 6, 18}, Release: [6]uint32{308}, N: 1, Tag: "el5", OK: true},
		"'2.6.18-308.el5'":    {Base: version.Key{2, 6, 18}, Release: [6]uint32{308}, N: 1, Tag: "el5", OK: true},
		"kernel=2.6.18-308":   {Base: version.Key{2, 6, 18}, Release: [6]uint32{308}, N: 1, OK: true},
		"(3.10.0)":            {Base: version.Key{3, 10}, OK: true},
		"nov3.10.0":           {},
		"[    0.000000] Linux version 3.10.0-1160.el7":                      {Base: version.Key{3, 10}, Release: [6]uint32{1160}, N: 1, Tag: "el7", OK: true},
		"CentOS release 5.8 (Final) Kernel 2.6.18-308.el5 on an x86_64":     {Base: version.Key{2, 6, 18}, Release: [6]uint32{308}, N: 1, Tag: "el5", OK: true},
		"CentOS Linux release 7.9.2009 (Core) Kernel 3.10.0-1160.el7 on an": {Base: version.Key{3, 10}, Release: [6]uint32{1160}, N: 1, Tag: "el7", OK: true},
		"Linux version 3.2.0 (gcc version 4.1.2-54)":                        {Base: version.Key{3, 2}, OK: true},
		"[ 1.0] Linux version 3.2.0 (gcc 4.1.2-54)":                         {Base: version.Key{3, 2}, OK: true},
		"Kernel panic 3.10.0":                                               {Base: version.Key{3, 10}, OK: true},
		"Kernel: 3.10.0":                                                    {Base: version.Key{3, 10}, OK: true},
		"5.8 kernel 3.10.0":                                                 {Base: version.Key{3, 10}, OK: true},
		"Linux 5.4.0":                                                       {Base: version.Key{5, 4, 0}, OK: true},
		"FreeBSD host 11.2 x":                                               {Base: version.Key{11, 2}, OK: true},
		"FreeBSD 9.1 11.2 x":                                                {Base: version.Key{11, 2}, OK: true}, // the host is called 9.1
		"Darwin 9.1 11.2 x":                                                 {Base: version.Key{9, 1}, OK: true},
		"4.18.0-1.el_8":                                                     {Base: version.Key{4, 18, 0}, Release: [6]uint32{1}, N: 1, Flavour: "el", OK: true},
		"4.18.0-1.Zz9":                                                      {Base: version.Key{4, 18, 0}, Release: [6]uint32{1}, N: 1, Tag: "zz9", OK: true},
	} {
		if got := version.ParseKernel(in); got != want {
			t.Errorf("%q: %+v, not %+v", in, got, want)
		}
	}
	long := strings.Repeat("x", 250)
	if !version.ParseKernel(long+" 4.18").OK || version.ParseKernel(long+"xxxx 4.18 4.19").OK {
		t.Error("other than the first 256 bytes are read")
	}
}

// The number of a tag is its first.
func TestTagsAreTakenApart(t *testing.T) {
	for in, want := range map[string]struct {
		name   string
		number uint32
	}{"4.18.0-1.el8_3": {"el", 8}, "2.6.18-398.el5xen": {"el", 5}, "4.19.91-23.al7.x86_64": {"al", 7}, "5.4.0-74-generic": {"", 0}} {
		if name, number := version.ParseKernel(in).TagNumber(); name != want.name || number != want.number {
			t.Errorf("%s: %q and %d", in, name, number)
		}
	}
}

// A release with more numbers is after the one that it begins with, and tags and
// flavours order nothing.
func TestKernelsOfOneReleaseAreEqual(t *testing.T) {
	same := [2]version.Kernel{version.ParseKernel("2.6.18-398.el5xen"), version.ParseKernel("2.6.18-398.el6")}
	if version.CmpKernel(same[0], same[1]) != 0 {
		t.Errorf("%+v and %+v are not equal", same[0], same[1])
	}
	more := version.ParseKernel("2.6.18-398.0.0.0.0.1")
	if version.CmpKernel(same[0], more) != -1 || version.CmpKernel(more, same[0]) != 1 {
		t.Errorf("%+v is not before %+v", same[0], more)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("5.8", "5.10")
	f.Add("2008r2", "2008")
	f.Add("99999999999999999999", "1")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, _ := version.Parse(a)
		y, _ := version.Parse(b)
		if x.Cmp(y) != -y.Cmp(x) {
			t.Errorf("keys of %q and %q", a, b)
		}
		p, q := version.ParseKernel(a), version.ParseKernel(b)
		if version.CmpKernel(p, q) != -version.CmpKernel(q, p) {
			t.Errorf("kernels %q and %q", a, b)
		}
	})
}
