package family_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules/family"
)

func table(tb testing.TB) *family.Table {
	tb.Helper()
	t, err := family.ParseTable(family.Embedded())
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func lines(t *testing.T, name string) [][]string {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		out = append(out, strings.Split(l, "\t"))
	}
	return out
}

// Every known type id resolves to the family that the documentation gives, and
// none to a virtualization that the table or the naming rule contradicts.
func TestEveryKnownType(t *testing.T) {
	tb := table(t)
	listed := map[string]bool{}
	for _, n := range tb.Names() {
		listed[n] = true
	}
	rows := lines(t, "instance_types.tsv")
	virt := map[string]int{}
	for _, c := range rows {
		id, fam := c[0], c[1]
		info := tb.Lookup(id, "")
		if info.Family == "" {
			t.Errorf("%s does not resolve", id)
			continue
		}
		// The documentation writes some ids with their variant.
		if info.Family != fam && !strings.HasPrefix(fam, info.Family+"-") && strings.TrimSuffix(info.Family, "-vws") != strings.SplitN(fam, "-", 2)[0] {
			t.Errorf("%s is of %s, not of %s", id, fam, info.Family)
		}
		if listed[fam] && info.Family != fam {
			t.Errorf("%s is of the listed %s, not of %s", id, fam, info.Family)
		}
		if by := tb.Lookup("", info.Family); by != info {
			t.Errorf("%s: by type %+v, by family %+v", id, info, by)
		}
		virt[info.Virtualization]++
		if want := mustBe(info.Family); want != "" && info.Virtualization != want {
			t.Errorf("%s: %s, must be %s", id, info.Virtualization, want)
		}
	}
	t.Logf("%d types: %v", len(rows), virt)
}

// mustBe is the virtualization where the naming rule or the documentation
// leaves no doubt, written down independently of the table.
func mustBe(fam string) string {
	name := strings.TrimPrefix(fam, "ecs.")
	switch {
	case name == "t1" || name == "s1":
		return family.Xen
	case strings.HasPrefix(name, "ebm"), strings.HasPrefix(name, "scc"):
		return family.Shenlong
	}
	if slices.Contains([]string{"n1", "n2", "n4", "xn4", "mn4", "e3", "e4", "sn1", "sn2", "sn1ne", "sn2ne", "c4", "cm4", "ce4", "g5", "c5", "r5", "g5ne", "ic5", "t5", "se1", "se1ne", "re4"}, name) {
		return family.KVM
	}
	if len(name) >= 2 && strings.ContainsRune("gcr", rune(name[0])) && name[1] >= '6' && name[1] <= '9' {
		return family.Shenlong
	}
	return ""
}

func TestOddIDs(t *testing.T) {
	tb := table(t)
	want := map[string]string{ // family and virtualization; "" for a family that nothing decides
		"ecs.g6.4xlage": "ecs.g6 shenlong", "ecs.g6.8xlage": "ecs.g6 shenlong", "ecs.g6e.4xlage": "ecs.g6e shenlong",
		"ecs.g6e.8xlage": "ecs.g6e shenlong", "ecs.g5.larger": "ecs.g5 kvm", "ecs.n1.samll": "ecs.n1 kvm", "ecs.c9i.lar": "ecs.c9i shenlong",
		"ecs.n1.fake": "ecs.n1 kvm", "ecs.e4.customize": "ecs.e4 kvm", "ecs.ddh6s.custom": "ecs.ddh6s unknown",
		"ecs.g1.c1m1": "ecs.g1 unknown", "ecs.g1.c8m8": "ecs.g1 unknown", "ecs.gn7em-k10.c1m1g1": "ecs.gn7em unknown",
		"ecs.u0.c1m1": "ecs.u0 unknown", "ecs.u0.c1m2": "ecs.u0 unknown", "ecs.u0.c1m8": "ecs.u0 unknown",
		"ecs.video-trans.26xhevc": "ecs.video-trans unknown",
	}
	for _, c := range lines(t, "instance_types_odd.tsv") {
		info := tb.Lookup(c[0], "")
		if got := info.Family + " " + info.Virtualization; got != want[c[0]] {
			t.Errorf("%s: %s, want %s", c[0], got, want[c[0]])
		}
		if _, ok := family.Size(c[0]); ok {
			t.Errorf("%s: its size passes for well formed", c[0])
		}
	}
}

func TestNaming(t *testing.T) {
	tb := table(t)
	for _, c := range []struct {
		id, family, virt, arch string
		generation             int
	}{
		{"ecs.g8i.large", "ecs.g8i", "shenlong", "x86_64", 8},
		{"ecs.g8y.large", "ecs.g8y", "shenlong", "arm64", 8},
		{"ecs.g6r.large", "ecs.g6r", "shenlong", "arm64", 6},
		{"ecs.g10y.large", "ecs.g10y", "shenlong", "arm64", 10}, // nobody listed it yet
		{"ecs.r11a.4xlarge", "ecs.r11a", "shenlong", "x86_64", 11},
		{"ecs.ebmg9i.48xlarge", "ecs.ebmg9i", "shenlong", "x86_64", 9},
		{"ecs.ebmg5.24xlarge", "ecs.ebmg5", "shenlong", "x86_64", 5}, // pre-6 and yet SHENLONG
		{"ecs.ebmg4.8xlarge", "ecs.ebmg4", "shenlong", "x86_64", 4},
		{"ecs.c1.small", "ecs.c1", "by_io_optimized", "x86_64", 1},
		{"ecs.gn8z.large", "ecs.gn8z", "unknown", "", 0}, // the digit is the GPU's
		{"ecs.d9s.large", "ecs.d9s", "unknown", "", 0},
		{"ecs.e-c1m1.large", "ecs.e", "unknown", "x86_64", 0},
		{"ecs.t5-lc1m1.small", "ecs.t5", "kvm", "x86_64", 5},
		{"ecs.t6-c1m2.large", "ecs.t6", "shenlong", "x86_64", 6},
		{"ecs.re6p-redis.large", "ecs.re6p-redis", "shenlong", "x86_64", 6},
		{"ecs.ebmre6-6t.52xlarge", "ecs.ebmre6-6t", "shenlong", "x86_64", 6},
		{"ecs.vgn6i-m4-vws.xlarge", "ecs.vgn6i-vws", "unknown", "x86_64", 0},
		{"ecs.vgn7i-vws-m8.2xlarge", "ecs.vgn7i-vws", "shenlong", "x86_64", 0},
		{"ecs.g7a-nps1.128xlarge", "ecs.g7a", "shenlong", "x86_64", 7},
		{"ECS.G6.Large", "ecs.g6", "shenlong", "x86_64", 6},
		{"m5.large", "", "unknown", "", 0},
		{"", "", "unknown", "", 0},
		{"ecs..large", "", "unknown", "", 0},
	} {
		i := tb.Lookup(c.id, "")
		if i.Family != c.family || i.Virtualization != c.virt || i.Arch != c.arch || i.Generation != c.generation {
			t.Errorf("%q: got %s %s %s generation %d, want %+v", c.id, i.Family, i.Virtualization, i.Arch, i.Generation, c)
		}
	}
}

func TestVirtByIoOptimized(t *testing.T) {
	tb := table(t)
	for _, c := range []struct {
		id   string
		want [3]string // not observed, no, yes
	}{
		{"ecs.s2.large", [3]string{"unknown", "xen", "kvm"}},
		{"ecs.s1.small", [3]string{"xen", "xen", "xen"}},
		{"ecs.g5.large", [3]string{"kvm", "kvm", "kvm"}},
		{"ecs.g6.large", [3]string{"shenlong", "shenlong", "shenlong"}},
	} {
		i := tb.Lookup(c.id, "")
		for tri, want := range c.want {
			if got := i.Virt(uint8(tri)); got != want {
				t.Errorf("%s with I/O optimized %d: %s, want %s", c.id, tri, got, want)
			}
		}
	}
}

// What the vendor's pages of 2026 say of families: rows of several names, the
// class that they count as, and what they demand.
func TestFamiliesOf2026(t *testing.T) {
	tb := table(t)
	n := 0
	for _, c := range lines(t, "families-2026.tsv") {
		for name := range strings.FieldsSeq(c[0]) {
			n++
			i := tb.Lookup("", name)
			if !i.Listed {
				t.Errorf("%s is not in the table", name)
			}
			if strings.HasPrefix(c[2], "shenlong") || c[2] == "kvm" {
				if i.Class != c[2] {
					t.Errorf("%s counts as %s, not %s", name, i.Class, c[2])
				}
			}
			for _, f := range []struct{ what, got, want string }{{"arch", i.Arch, c[3]}, {"vendor", i.Vendor, c[4]}, {"nvme", i.NVMe, c[5]}, {"boot", i.Boot, c[6]}} {
				switch {
				case strings.HasPrefix(f.want, "by "), strings.Contains(f.want, "/"): // the row speaks of several
				case f.what == "boot" && f.want == family.Unknown: // an older page may know
				case f.want == family.Unknown && f.what != "nvme":
					if f.got != "" {
						t.Errorf("%s: %s is %q, which nobody knows", name, f.what, f.got)
					}
				case f.got != f.want:
					t.Errorf("%s: %s %q, want %q", name, f.what, f.got, f.want)
				}
			}
			if c[1] != family.Unknown && !strings.Contains(c[1], "/") && c[1] != strconv.Itoa(i.Generation) {
				t.Errorf("%s: generation %d, want %s", name, i.Generation, c[1])
			}
			if c[7] == "no" && len(tb.Routes(name).Families()) > 0 {
				t.Errorf("%s changes to %v, want none", name, tb.Routes(name).Families())
			}
		}
	}
	if n != 85 {
		t.Errorf("%d families", n)
	}
}

// Every row says which page it is from, and of when that is.
func TestEveryFamilyNamesItsPage(t *testing.T) {
	tb := table(t)
	for _, name := range tb.Names() {
		if i := tb.Lookup("", name); i.AsOf == "" || len(i.Source) < 20 {
			t.Errorf("%s: %q of %q", name, i.Source, i.AsOf)
		}
	}
	if m := tb.Matrix(); m.AsOf == "" || m.Name == "" {
		t.Errorf("the matrix says nothing of itself: %+v", m)
	}
}

// differences names the first row of the vendor's matrix that a table gets
// wrong.
func differences(tb *family.Table, rows [][]string) string {
	for _, c := range rows {
		want := strings.Fields(strings.TrimPrefix(c[1], "none"))
		slices.Sort(want)
		if r := tb.Routes(c[0]); r == nil || !slices.Equal(r.Families(), want) {
			return c[0]
		}
	}
	return ""
}

// Nobody drops, adds or shifts a cell of the matrix unnoticed.
func TestMutantsOfTheMatrix(t *testing.T) {
	rows := lines(t, "type-change-2026.tsv")
	if got := differences(table(t), rows); got != "" || len(rows) != 211 {
		t.Fatalf("%d rows; row %s differs", len(rows), got)
	}
	// Nor a row.
	var sources []string
	for _, c := range rows {
		sources = append(sources, c[0])
	}
	slices.Sort(sources)
	if got := table(t).Sources(); !slices.Equal(got, sources) {
		t.Errorf("the matrix starts from %v, want %v", got, sources)
	}
	n := 0
	for i, c := range rows {
		to := strings.Fields(strings.TrimPrefix(c[1], "none"))
		for cell := range len(to) + 1 {
			changed := append(slices.Clone(to), "ecs.zz9") // a cell too many
			if cell < len(to) {
				changed = slices.Delete(slices.Clone(to), cell, cell+1)
			}
			text := c[0] + "\t" + strings.Join(changed, " ")
			if len(changed) == 0 {
				text = c[0] + "\tnone"
			}
			tb, err := family.ParseTable(text)
			if err != nil {
				t.Fatal(err)
			}
			n++
			if differences(tb, rows[i:i+1]) == "" {
				t.Errorf("nobody notices %s", text)
			}
		}
	}
	t.Logf("%d mutants", n)
}

func TestUnknownFamilies(t *testing.T) {
	tb := table(t)
	for name, want := range map[string][4]string{ // class, arch, nvme, vendor
		"ecs.g10y":  {"shenlong-8", "arm64", "unknown", "arm"},
		"ecs.r11a":  {"shenlong-8", "x86_64", "unknown", "amd"},
		"ecs.g6xyz": {"shenlong-6", "", "unsupported", ""}, // no letter of it is known
		"ecs.g7x":   {"shenlong-7", "", "unknown", ""},
		"ecs.g9yne": {"shenlong-8", "arm64", "unknown", "arm"},
		"ecs.c9ry":  {"shenlong-8", "", "unknown", ""},
		"ecs.g8hy":  {"shenlong-8", "", "unknown", ""},
		"ecs.g9ine": {"shenlong-8", "x86_64", "unknown", "intel"},
		"ecs.r9ap":  {"shenlong-8", "x86_64", "unknown", "amd"},
		"ecs.c9h":   {"shenlong-8", "x86_64", "unknown", "hygon"},
		"ecs.g9nex": {"shenlong-8", "x86_64", "unknown", "intel"},
		"ecs.c5q":   {"kvm", "x86_64", "unsupported", "intel"},
		"ecs.i6":    {"shenlong-8", "", "unknown", ""},
		"ecs.gn10x": {"shenlong-8", "", "unknown", ""},
		"ecs.u3":    {"shenlong-8", "", "unknown", ""},
		"ecs.az9":   {"shenlong-8", "", "unknown", ""}, // the first letter and the last: a name of a family, of which nothing else is known
		"ecs.foo":   {"", "", "unknown", ""},
	} {
		i := tb.Lookup("", name)
		if got := [4]string{i.Class, i.Arch, i.NVMe, i.Vendor}; got != want || i.Listed {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A type that is named after another family than the cloud names tells of no machine, unless
// nothing hangs on which of the two it is.
func TestATypeOfAnotherFamilyIsOfNone(t *testing.T) {
	tb := table(t)
	nowhere := family.Info{Virtualization: family.Unknown, NVMe: family.Unknown, Boot: family.Unknown, Disks: family.Unknown}
	nvme, xen := nowhere, nowhere
	nvme.NVMe, xen.Virtualization = family.Perhaps, family.Xen
	for _, c := range []struct {
		instanceType, family string
		want                 family.Info
	}{
		{"ecs.c7.6xlarge", "ecs.g8i", nvme},
		{"ecs.g8i.large", "ecs.c5", nvme},
		{"ecs.g8i.large", "ecs.g8y", nvme}, // of another architecture
		{"ecs.t1.small", "ecs.n4", xen},    // on another hypervisor
		{"ecs.n4.small", "ecs.t1", xen},
		{"ecs.c7se.large", "ecs.g6", nvme},  // of the 7th generation, and by NVMe alone
		{"ecs.c9it.large", "ecs.g6", nvme},  // of a later one, of whose disks nothing is said
		{"ecs.c4.large", "ecs.c5", nowhere}, // of another generation, and else alike
		{"ecs.c7.6xlarge", "ecs.g6", nowhere},
		{"ecs.c7.6xlarge", "the best", nowhere},
	} {
		if got := tb.Lookup(c.instanceType, c.family); got != c.want {
			t.Errorf("%q of %q: %+v", c.instanceType, c.family, got)
		}
	}
	for _, c := range []struct{ instanceType, family, want string }{
		{"ecs.c7.6xlarge", "ecs.c7", "ecs.c7"},
		{"ecs.c7.6xlarge", "", "ecs.c7"},
		{"", "ecs.c7", "ecs.c7"},
		{"ECS.C7.6xlarge", " ecs.c7 ", "ecs.c7"},
		{"ecs.c7.6xlarge", "ecs.g7", "ecs.g7"},
		{"ecs.vgn6i-m16-vws.5xlarge", "ecs.vgn6i-vws", "ecs.vgn6i-vws"},
		{"ecs.s6-c1m1.small", "ecs.s6", "ecs.s6"},
		{"no type at all", "ecs.c7", "ecs.c7"},
	} {
		if got := tb.Lookup(c.instanceType, c.family); got.Family != c.want {
			t.Errorf("%q of %q: %+v", c.instanceType, c.family, got)
		}
	}
	for _, name := range tb.Names() { // families have types that are named after them
		if got := tb.Lookup(name+".large", name); got.Family != name {
			t.Errorf("%s.large of %s is of %q", name, name, got.Family)
		}
	}
}

// What the vendor's catalogue has is a type, however odd its size.
func TestEverySizeOfTheCatalogueIsOne(t *testing.T) {
	for _, c := range lines(t, "instance_types.tsv") {
		if _, ok := family.Size(c[0]); !ok && c[2] == "listed" {
			t.Errorf("%s passes for misspelt", c[0])
		}
	}
}

func TestBadTable(t *testing.T) {
	for _, text := range []string{
		"ecs.x1\t1\t2", "x1\t1\t\tkvm\tx86_64\tintel\tcurrent\tunknown\tunknown\ts\t", "ecs.x1\tg6", "x1\tnone", "#page\tk\tsoon\tname", "#page\tk",
		"ecs.x1\tone\t\tkvm\tx86_64\tintel\tcurrent\tunknown\tunknown\ts\t", "ecs.x1\t1\t\tbochs\tx86_64\tintel\tcurrent\tunknown\tunknown\ts\t",
		"ecs.x1\t1\tshenlong-9\tkvm\tx86_64\tintel\tcurrent\tunknown\tunknown\ts\t",
	} {
		if _, err := family.ParseTable(text); err == nil {
			t.Errorf("%q: accepted", text)
		}
		if _, err := family.ParseTable("# a comment\n" + text); err == nil || !strings.Contains(err.Error(), "line 2:") {
			t.Errorf("%q in the second line: %v", text, err)
		}
	}
}

// A row keeps the note beside its page, and generations have two digits.
func TestRowsOfATable(t *testing.T) {
	row := func(generation, note string) string {
		return "ecs.x1\t" + generation + "\tkvm\tkvm\tx86_64\tintel\tcurrent\tunknown\tunknown\tp\t" + note
	}
	for note, want := range map[string]string{"": "the page", "says its row": "the page; says its row"} {
		tb, err := family.ParseTable("#page\tp\t2026-11-01\tthe page\n" + row("99", note))
		if err != nil {
			t.Fatal(err)
		}
		if info := tb.Lookup("", "ecs.x1"); info.Source != want || info.AsOf != "2026-11-01" || info.Generation != 99 {
			t.Errorf("%+v is of %q, want %q", info, info.Source, want)
		}
	}
	for _, generation := range []string{"-1", "100"} {
		if _, err := family.ParseTable(row(generation, "")); err == nil {
			t.Errorf("generation %s is taken", generation)
		}
	}
}

// A change of the type is offered where the matrix names it, to any variant of the
// family, and to a class where it is offered to a family of it. A family that the
// matrix does not name is promised none.
func TestRoutesOfTheMatrix(t *testing.T) {
	tb, err := family.ParseTable(family.Embedded() + "\necs.g5\tecs.g7\necs.c5\tnone")
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string][4]bool{"ecs.g5": {true, true, false, false}, "ecs.g5-c1m2": {true, true, false, false}, "ecs.c5": {}, "ecs.zz9": {}} {
		routes := tb.Routes(from)
		got := [4]bool{routes.ToFamily("ecs.g7-c1m2"), routes.ToClass(family.Shenlong7), routes.ToFamily("ecs.g8i"), routes.ToClass(family.Shenlong8)}
		if got != want {
			t.Errorf("%s changes to g7, its class, g8i, its class: %v, want %v", from, got, want)
		}
	}
}

func FuzzLookup(f *testing.F) {
	for _, s := range []string{"ecs.g6.large", "ecs.e-c1m1.large", "ecs.vgn6i-m4-vws.xlarge", "ecs.ebmre6-6t.52xlarge", "ecs.-.", "ecs.g99999999999999999999.large"} {
		f.Add(s)
	}
	tb := table(f)
	f.Fuzz(func(t *testing.T, s string) {
		i := tb.Lookup(s, "")
		if again := tb.Lookup("", i.Family); i.Family != "" && again != i {
			t.Errorf("%q: %+v, its family %+v", s, i, again)
		}
		if upper := tb.Lookup(strings.ToUpper(s), ""); isASCII(s) && upper != i {
			t.Errorf("%q: case matters", s)
		}
		family.Size(s)
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// What the naming rule decides ends exactly where the naming page ends.
func TestNamingAtItsBounds(t *testing.T) {
	nothing, err := family.ParseTable("")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		family     string
		generation int
		nvme       string
		arch       string
	}{
		"ecs.g4.large":           {"ecs.g4", 0, "unknown", ""},
		"ecs.g5.large":           {"ecs.g5", 5, "unsupported", "x86_64"},
		"ecs.g6.large":           {"ecs.g6", 6, "unsupported", "x86_64"},
		"ecs.g7.large":           {"ecs.g7", 7, "unknown", "x86_64"},
		"ecs.g20.large":          {"ecs.g20", 20, "unknown", "x86_64"},
		"ecs.g21.large":          {"ecs.g21", 0, "unknown", ""},
		"ecs.z9.large":           {"ecs.z9", 0, "unknown", ""},
		"ecs.a0-z9.large":        {"ecs.a0", 0, "unknown", ""},
		"ecs.g7y.large":          {"ecs.g7y", 7, "unknown", "arm64"},
		"ecs.g100.large":         {"ecs.g100", 0, "unknown", ""}, // no generation of today, and not the tenth
		"ecs.7g.large":           {"", 0, "unknown", ""},
		"ecs.{7.large":           {"", 0, "unknown", ""},
		"ecs.g7{.large":          {"", 0, "unknown", ""},
		"ecs.g7:.large":          {"", 0, "unknown", ""},
		"ecs.g7/.large":          {"", 0, "unknown", ""},
		"ecs.g7`.large":          {"", 0, "unknown", ""},
		"ecs." + big(60):         {"ecs." + big(60), 0, "unknown", ""},
		"ecs." + big(61):         {"", 0, "unknown", ""},
		"ecs.ebmg7.large":        {"ecs.ebmg7", 7, "unknown", "x86_64"},
		"ecs.sccg6.large":        {"ecs.sccg6", 6, "unsupported", "x86_64"},
		"ecs.ebm.large":          {"ecs.ebm", 0, "unknown", ""},
		"ecs.ebmgn9q.large":      {"ecs.ebmgn9q", 0, "unknown", ""}, // the digit is the GPU's, so that no vendor is certain
		"ecs.g8ih.large":         {"ecs.g8ih", 8, "unknown", "x86_64"},
		"ecs.g7-c1m2-vws.large":  {"ecs.g7-vws", 7, "unknown", "x86_64"},
		"ecs.video-trans.2xhevc": {"ecs.video-trans", 0, "unknown", ""},
	} {
		got := nothing.Lookup(id, "")
		if got.Family != want.family || got.Generation != want.generation || got.NVMe != want.nvme || got.Arch != want.arch {
			t.Errorf("%s: family %q, generation %d, NVMe %s, architecture %q; want %+v", id, got.Family, got.Generation, got.NVMe, got.Arch, want)
		}
	}
}

// big is a name of n letters.
func big(n int) string { return strings.Repeat("a", n) }

func TestSizeAtItsBounds(t *testing.T) {
	for id, want := range map[string]int{
		"ecs.g6.nano": 1, "ecs.n1.tiny": 1, "ecs.t1.xsmall": 1, "ecs.n1.small": 1, "ecs.n1.medium": 1,
		"ecs.g6.large": 2, "ecs.g6.xlarge": 4, "ecs.g6.1xlarge": 4, "ecs.g6.26xlarge": 104, "ecs.g6.999xlarge": 3996, " ECS.G6.2XLARGE ": 8, "ecs.e.large": 2,
		"ecs.g6.0xlarge": 0, "ecs.g6.-1xlarge": 0, "ecs.g6.1000xlarge": 0, "ecs.g6.2": 0, "ecs.g6.xxlarge": 0, "ecs.g6": 0, "ecs..large": 0, "ecs.large": 0, "": 0, "g6.large": 0,
	} {
		if got, ok := family.Size(id); got != want || ok != (want > 0) {
			t.Errorf("%q: %d vCPUs, well formed %v; want %d", id, got, ok, want)
		}
	}
}

// Which disks a family takes follows from its generation, unless a page says it of the
// family itself; of one whose generation is not known nothing follows.
func TestDisksThatFamiliesTake(t *testing.T) {
	tb := table(t)
	for name, want := range map[string]string{
		"ecs.g5": family.AnyDisks, "ecs.g6": family.AnyDisks, "ecs.g6e": family.ESSD, "ecs.ebmg6e": family.Unknown, "ecs.g7": family.ESSD, "ecs.g8i": family.ESSD, "ecs.u2a": family.ESSD,
		"ecs.u1": family.ESSDEntry, "ecs.u1-c1m2": family.ESSDEntry, "ecs.u2i": family.ESSDEntry,
		"ecs.gn7i": family.Unknown, "ecs.e": family.Unknown, "ecs.zz9": family.Unknown, "ecs.g10i": family.ESSD, "": family.Unknown,
	} {
		if info := tb.Lookup("", name); info.Disks != want {
			t.Errorf("%s takes %q, want %q", name, info.Disks, want)
		}
	}
	for _, line := range []string{"#disks\tessd\tp\tecs.zz", "#disks\tfloppy\tp\tecs.u1", "#disks\tessd"} {
		if _, err := family.ParseTable(family.Embedded() + "\n" + line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
