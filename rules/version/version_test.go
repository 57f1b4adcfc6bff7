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
	for _, s := range []string{"", "el5", "5", "generic", "-", "a.b.c"} {
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
