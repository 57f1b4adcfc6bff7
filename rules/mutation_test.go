package rules_test

import (
	"flag"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// mutant is the rule set with one thing changed.
type mutant struct {
	name string
	def  rules.Definition
	rule string // the rule that was changed, "" for another part
}

const noRelease = "no release lies between the two boundaries"

// equivalent are the mutants that no operating system can tell from the
// original, each with the reason.
var equivalent = map[string]string{
	"rebuilds: version >=6": noRelease, "alinux.modern: version >=1 <5": noRelease,
	"alinux.unmaintained: version >=5 <19": noRelease,
	"alinux.15: version >=14 <16":          noRelease, "alinux.15: version >=15 <17": noRelease, "alinux.17: version >=16 <18": noRelease, "alinux.17: version >=17 <19": noRelease,
	"coreos.fedora: version <89": noRelease, "coreos.container-linux: version >=91": noRelease,
	"opensuse.42: version >=42 <44": noRelease, "opensuse.13: version >=13 <14": noRelease, "opensuse.leap: version >=15 <41": noRelease,
	"nvme.aliyun-linux-5: version >=5 <7": noRelease, "systems nvme-dracut alinux: version >=1 <5": noRelease, "systems accepted sles: version >=14": noRelease,
	"systems accepted-8th opensuse: version >=14 <42": noRelease, "systems accepted-8th opensuse: version >=15 <41": noRelease,
	"os.version-missing: version dropped":                                                "a rule before it takes every release that exists",
	"el5.kernel-new: version >=5.8":                                                      "el5.release comes first and takes 5.8",
	"el5.custom-kernel: version >=5.8 <6":                                                "el5.release comes first and takes 5.8",
	"el5.kernel-old: kernel >=2.6.18-127 <=2.6.18-348":                                   "el5.kernel-oldest comes first and takes 127",
	"nvme.windows-2008: version <2012":                                                   "nothing that rules R2 out is 2008 R2",
	"nvme.windows-2008: family dropped":                                                  "R2 is ruled out of Windows alone",
	"nvme.el6-kernel-old: without rhel":                                                  "its kernel makes it a release before 6.5",
	"nvme.el6-kernel-old: without oracle":                                                "its kernel makes it a release before 6.5",
	"nvme.el6-kernel-old: without other-linux/scientific":                                "its kernel makes it a release before 6.5",
	"nvme.el6-kernel-old: without other-linux/el":                                        "its kernel makes it a release before 6.5",
	"nvme.el-kernel-other: without other-linux/el":                                       "no other rule knows the system before nvme.kernel-old, which says the same",
	"nvme.aliyun-linux-5: version >=4 <6":                                                "nvme-dracut comes first and takes 4",
	"systems accepted-8th centos,rhel,oracle: version >=7.6 <9":                          "accepted comes first and takes 8",
	"systems nvme-dracut centos,rhel,oracle,other-linux/scientific: kernel >=2.6.32-430": "nvme.el6-kernel-old comes first and takes 430",
	"systems nvme-optional windows-server: version >=2008.2 <2012.2":                     "2008 R2 is in the list by itself",
	"nvme.el6-early: version >=6 <6.6":                                                   "nvme-dracut comes first and takes 6.5",
	"nvme.freebsd: version >=11.0":                                                       "nvme-optional comes first and takes 11.0",
	"systems nvme-dracut debian: version >=7 <9":                                         "Debian 8 is in the list on any kernel",
	"systems nvme-dracut ubuntu: version >=12 <13.04":                                    "Ubuntu 12.10 is in the list on any kernel",
	"systems nvme-dracut centos,rhel,oracle,other-linux/scientific: version >=6 <6.6":    "6.5 is in the list on any kernel",
	"systems nvme-initramfs-tools debian: version >=8":                                   "nvme-dracut comes first and takes Debian 8",
	"systems nvme-initramfs-tools ubuntu: version >=15.10":                               "nvme-dracut comes first and takes 15.10",
	"systems nvme-optional oracle: version >=5 <6.5":                                     "nvme.el5 comes first and takes 5",
	"systems nvme-optional oracle: version >=6 <6.6":                                     "nvme-dracut comes first and takes 6.5",
	"systems nvme-optional windows-server: version 2008":                                 "nvme.windows-2008 comes first and takes 2008",
	"systems nvme-optional windows-client: version >=6 <8.1":                             "nvme.windows-client-old comes first and takes Vista",
	"systems nvme-windows windows-server: version >=2012":                                "nvme-optional comes first and takes 2012",
	"systems nvme-windows windows-client: version >=8":                                   "nvme-optional comes first and takes 8",
	"freebsd.patched: version >=10":                                                      "freebsd.old comes first and takes 10",
	"windows.2008: version <2012":                                                        "nothing that rules R2 out is 2008 R2",
	"windows.2008: family dropped":                                                       "R2 is ruled out of Windows alone",
	"platform.supports: mismatch dropped":                                                "no rule of its stage is tried where the platform does not offer the image",
	"platform.supports-custom: mismatch dropped":                                         "no rule of its stage is tried where the platform does not offer the image",
	"coreos.container-linux: version dropped":                                            "coreos.fedora comes first; an unknown version is unknown by either",
}

var everyMutant = flag.Bool("mutants.whole", false, "TestMutants: try every mutant of the rule set, not one in eight")

// The tests of the rules notice every rule that is dropped, every condition
// that is dropped and every boundary that is shifted to the next release. One in
// eight is tried with every change, all of them in CI (make test/mutants).
func TestMutants(t *testing.T) {
	t.Parallel()
	def := *ruleset(t).Definition()
	if got := noticed(t, mutant{name: "the original", def: def}, &def); got != "" {
		t.Fatalf("the original is refused: %s", got)
	}
	list := mutants(&def)
	for i, m := range list {
		if !*everyMutant && i%8 != 0 {
			continue
		}
		if _, ok := equivalent[m.name]; ok {
			continue
		}
		if noticed(t, m, &def) == "" {
			t.Errorf("nobody notices %s", m.name)
		}
	}
	t.Logf("%d mutants", len(list))
}

// noticed says which test turns red, "" for none.
func noticed(t *testing.T, m mutant, original *rules.Definition) string {
	t.Helper()
	r, err := rules.Compile(m.def, family.Embedded())
	if err != nil {
		return err.Error()
	}
	if w := r.Warnings(); len(w) > 0 {
		return w[0].String()
	}
	if diff := fixturesDiffer(t, r, original, m.rule); m.rule != "" && diff != "" { // who notices first as a rule
		return diff
	}
	c := r.NewClassifier(nil)
	for _, b := range neighbours() {
		if diff := b.differs(c); diff != "" {
			return diff
		}
	}
	for _, b := range probed() {
		f := b.o.Facts()
		for i, want := range []string{b.kvm, b.six, b.seven} {
			if c.Classify(&f).Verdicts[i].Level.String() != want {
				return b.o.String()
			}
		}
	}
	if diff := sidesDiffer(t, r); diff != "" {
		return diff
	}
	if diff := boundary2026(t, r); diff != "" {
		return diff
	}
	for _, row := range rows(t, "boundary-cases.tsv") {
		if diff := boundaryDiff(c, row); diff != "" {
			return diff
		}
	}
	return fixturesDiffer(t, r, original, "")
}

// fixturesDiffer names the first fixture of a rule, or of all for "", that does
// not hold.
func fixturesDiffer(t *testing.T, r *rules.Ruleset, original *rules.Definition, rule string) string {
	t.Helper()
	for i := range original.Rules {
		u := &original.Rules[i]
		if rule != "" && u.ID != rule {
			continue
		}
		for _, set := range []struct {
			fire bool
			list []rules.Observation
		}{{true, u.Fire}, {false, u.Hold}} {
			for j := range set.list {
				if fires(t, r, u.ID, &set.list[j]) != set.fire {
					return u.ID + ": " + set.list[j].String()
				}
			}
		}
	}
	return ""
}

func fires(t *testing.T, r *rules.Ruleset, id string, o *rules.Observation) bool {
	t.Helper()
	targets := rules.DefaultTargets()
	if o.Target != "" {
		tg, err := r.ParseTarget(o.Target)
		if err != nil {
			t.Fatal(err)
		}
		targets = []rules.Target{tg}
	}
	f := o.Facts()
	cl := r.Explain(&f, targets).Classification
	for i := range cl.Verdicts {
		if hasFinding(&cl.Verdicts[i], id) {
			return true
		}
	}
	return false
}

func mutants(def *rules.Definition) []mutant {
	var out []mutant
	for i := range def.Rules {
		u := def.Rules[i]
		add := func(what string, change func(*rules.Rule)) {
			changed := u
			change(&changed)
			d := *def
			d.Rules = slices.Clone(def.Rules)
			d.Rules[i] = changed
			out = append(out, mutant{u.ID + ": " + what, d, u.ID})
		}
		add("dropped", func(r *rules.Rule) { r.Withdrawn = true })
		for _, v := range shifted(u.When.Family, u.When.Version) {
			add("version "+v, func(r *rules.Rule) { r.When.Version = v })
		}
		for _, v := range shiftedKernel(u.When.Kernel) {
			add("kernel "+v, func(r *rules.Rule) { r.When.Kernel = v })
		}
		loosened(&u, add)
		switch u.Stage {
		case rules.StageOS:
			reversed(&u, add)
		case rules.StageNVMe, rules.StagePlatform:
			restated(&u, add)
		}
	}
	for name, list := range def.Systems {
		for i := range list {
			add := func(what string, change func([]rules.OSMatch) []rules.OSMatch) {
				d := *def
				d.Systems = maps.Clone(def.Systems)
				d.Systems[name] = change(slices.Clone(list))
				out = append(out, mutant{"systems " + name + " " + strings.Join(list[i].Family, ",") + ": " + what, d, ""})
			}
			add("dropped", func(l []rules.OSMatch) []rules.OSMatch { return slices.Delete(l, i, i+1) })
			for _, v := range shifted(list[i].Family, list[i].Version) {
				add("version "+v, func(l []rules.OSMatch) []rules.OSMatch { l[i].Version = v; return l })
			}
			for _, v := range shiftedKernel(list[i].Kernel) {
				add("kernel "+v, func(l []rules.OSMatch) []rules.OSMatch { l[i].Kernel = v; return l })
			}
			for j, f := range list[i].Family {
				if len(list[i].Family) > 1 {
					add("without "+f, func(l []rules.OSMatch) []rules.OSMatch {
						l[i].Family = slices.Delete(slices.Clone(l[i].Family), j, j+1)
						return l
					})
				}
			}
		}
	}
	return out
}

// restated changes the verdict of a rule on every class to another one.
func restated(u *rules.Rule, add func(string, func(*rules.Rule))) {
	for _, l := range rules.Levels() {
		if l.String() == u.Verdicts["shenlong-8"] {
			continue
		}
		add(l.String(), func(r *rules.Rule) {
			r.Verdicts = maps.Clone(r.Verdicts)
			for class := range r.Verdicts {
				r.Verdicts[class] = l.String()
			}
		})
	}
}

// loosened drops each condition.
func loosened(u *rules.Rule, add func(string, func(*rules.Rule))) {
	if u.When.Version != "" {
		add("version dropped", func(r *rules.Rule) { r.When.Version = "" })
	}
	if u.When.Kernel != "" {
		add("kernel dropped", func(r *rules.Rule) { r.When.Kernel = "" })
	}
	if u.When.KernelNot != "" {
		add("kernel_not dropped", func(r *rules.Rule) { r.When.KernelNot = "" })
	}
	if len(u.When.KernelFlavour) > 0 {
		add("kernel_flavour dropped", func(r *rules.Rule) { r.When.KernelFlavour = nil })
	}
	if len(u.When.Arch) > 0 {
		add("arch dropped", func(r *rules.Rule) { r.When.Arch = nil })
	}
	if len(u.When.Owner) > 0 {
		add("owner dropped", func(r *rules.Rule) { r.When.Owner = nil })
	}
	if u.When.Mismatch != "" {
		add("mismatch dropped", func(r *rules.Rule) { r.When.Mismatch = "" })
	}
	if u.When.Source != nil {
		add("source_machine dropped", func(r *rules.Rule) { r.When.Source = nil })
	}
	if u.When.Target != nil {
		add("target_machine dropped", func(r *rules.Rule) { r.When.Target = nil })
	}
	if !slices.Equal(u.When.Family, []string{"*"}) {
		add("family dropped", func(r *rules.Rule) { r.When.Family = []string{"*"} })
	}
	for name := range u.When.Facts {
		add("fact "+name+" dropped", func(r *rules.Rule) {
			r.When.Facts = maps.Clone(r.When.Facts)
			delete(r.When.Facts, name)
		})
	}
	for i := range u.When.Except {
		add("exception "+strconv.Itoa(i)+" dropped", func(r *rules.Rule) {
			r.When.Except = slices.Delete(slices.Clone(r.When.Except), i, i+1)
		})
	}
	for i, f := range u.When.Family {
		if len(u.When.Family) > 1 {
			add("without "+f, func(r *rules.Rule) { r.When.Family = slices.Delete(slices.Clone(r.When.Family), i, i+1) })
		}
	}
}

// reversed changes every verdict to every other one.
func reversed(u *rules.Rule, add func(string, func(*rules.Rule))) {
	for class, was := range u.Verdicts {
		if class == rules.ClassShenlong8.String() {
			continue // taken over from shenlong-7, which has mutants of its own
		}
		for _, l := range rules.Levels() {
			if l.String() != was {
				add(class+" "+l.String(), func(r *rules.Rule) {
					r.Verdicts = maps.Clone(r.Verdicts)
					r.Verdicts[class] = l.String()
				})
			}
		}
	}
}

// releases are the steps of a line whose releases are no consecutive numbers.
var releases = map[string][]string{
	"windows-server": {"2000", "2003", "2003.2", "2008", "2008.2", "2012", "2012.2", "2016"},
	"windows-client": {"5.1", "6", "7", "8", "8.1", "10"},
}

// shifted moves each bound of a range one release up and down.
func shifted(families []string, rng string) []string {
	if rng == "" || rng == "missing" {
		return nil
	}
	var out []string
	parts := strings.Fields(rng)
	for i, p := range parts {
		op := strings.TrimRight(p, "0123456789.")
		for _, v := range steps(families, p[len(op):]) {
			moved := slices.Clone(parts)
			moved[i] = op + v
			out = append(out, strings.Join(moved, " "))
		}
	}
	return out
}

func steps(families []string, v string) []string {
	if line, ok := releases[families[0]]; ok {
		at := slices.Index(line, v)
		if at < 0 {
			return nil
		}
		var out []string
		if at > 0 {
			out = append(out, line[at-1])
		}
		if at+1 < len(line) {
			out = append(out, line[at+1])
		}
		return out
	}
	nums := strings.Split(v, ".")
	if year, err := strconv.Atoi(nums[0]); err == nil && families[0] == "ubuntu" && len(nums) == 2 { // twice a year
		if nums[1] == "04" {
			return []string{strconv.Itoa(year-1) + ".10", nums[0] + ".10"}
		}
		return []string{nums[0] + ".04", strconv.Itoa(year+1) + ".04"}
	}
	last, err := strconv.Atoi(nums[len(nums)-1])
	if err != nil {
		return nil
	}
	with := func(n int) string {
		return strings.Join(append(slices.Clone(nums[:len(nums)-1]), strconv.Itoa(n)), ".")
	}
	out := []string{with(last + 1)}
	if last > 0 {
		out = append(out, with(last-1))
	}
	return out
}

// shiftedKernel moves each bound of a kernel range one release up and down.
func shiftedKernel(rng string) []string {
	var out []string
	parts := strings.Fields(rng)
	for i, p := range parts {
		at := strings.LastIndexAny(p, "-.")
		n, err := strconv.Atoi(p[at+1:])
		if err != nil || n == 0 {
			continue
		}
		for _, d := range []int{-1, 1} {
			moved := slices.Clone(parts)
			moved[i] = p[:at+1] + strconv.Itoa(n+d)
			out = append(out, strings.Join(moved, " "))
		}
	}
	return out
}
