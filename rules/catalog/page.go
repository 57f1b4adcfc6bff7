package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules"
)

// Page is the page of a rule for a person, in Markdown: what it says, why,
// where from, what to do.
func Page(r *rules.Ruleset, id string) (string, error) {
	u, ok := r.Rule(id)
	if !ok {
		return "", fmt.Errorf("there is no rule %.64q; shenscan rules list shows them", id)
	}
	def := r.Definition()
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n%s\n", u.ID, u.Title, u.Reason)
	verdicts(&b, u)
	fmt.Fprintf(&b, "\n## When it fires\n\n%s\n", stageText[u.Stage])
	for _, l := range conditions(def, &u.When) {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	fmt.Fprintf(&b, "\n## Source\n\n%s\n\nAs of %s.\n", def.Sources[u.Source], def.RuleAsOf(u))
	remedies(&b, def, u)
	if len(u.Checks) > 0 {
		b.WriteString("\n## Checks\n\n")
		for _, c := range u.Checks {
			fmt.Fprintf(&b, "- `%s`: %s\n", c, def.Checks[c])
		}
	}
	fixtures(&b, u)
	return b.String(), nil
}

var stageText = map[string]string{
	rules.StageOS:       "An operating system rule: the first that matches decides; where a boundary lies inside what is known of the release, the worst of the possible ones counts.\n",
	rules.StageNVMe:     "Asked where the target attaches disks by NVMe: the first that matches decides; where a boundary lies inside what is known of the release, the worst of the possible ones counts. It adds its reason to those of the operating system rules.\n",
	rules.StagePlatform: "Asked where the target accepts listed systems only: the first that matches decides, as among the operating system rules, and adds its reason to theirs.\n",
	rules.StageFinding:  "A finding: it adds a reason to what the operating system rules say, may raise the verdict and never lowers it.\n",
	rules.StageAdvisory: "An advisory: it tells something and does not touch the verdict.\n",
	rules.StageAnswer:   "What other instances of the image or the platform itself answered: it takes the place of an operating system or platform rule that leaves a question open, and of no other.\n",
	rules.StageObserved: "An observation: it takes the place of the operating system rules.\n",
}

func verdicts(b *strings.Builder, u *rules.Rule) {
	b.WriteString("\n| target | verdict | confidence | |\n| --- | --- | --- | --- |\n")
	for _, t := range rules.DefaultTargets() {
		v, ok := u.Verdicts[t.ID]
		if !ok {
			continue
		}
		conf := u.Confidence
		if c, ok := u.ConfidenceAt[t.ID]; ok {
			conf = c
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", t.ID, v, conf, u.Reasons[t.ID])
	}
	if u.Legacy {
		b.WriteString("\nThe operating system counts as legacy, whatever the target.\n")
	}
}

// conditions says in words what a rule matches.
func conditions(def *rules.Definition, w *rules.When) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case w.Systems != "":
		for _, e := range def.Systems[w.Systems] {
			text := "system: " + strings.Join(e.Family, ", ")
			if e.Version != "" {
				text += " `" + e.Version + "`"
			}
			if e.Kernel != "" {
				text += " with a known kernel `" + e.Kernel + "`"
			}
			add("%s", text)
		}
	case slices.Equal(w.Family, []string{"*"}):
		add("any operating system")
	default:
		add("family: %s", strings.Join(w.Family, ", "))
	}
	switch w.Version {
	case "":
	case "missing":
		add("the version is not known")
	default:
		add("version: `%s`", w.Version)
	}
	for _, l := range []struct {
		what string
		list []string
	}{{"edition", w.Edition}, {"architecture", w.Arch}, {"kernel flavour", w.KernelFlavour}, {"image owner", w.Owner}} {
		if len(l.list) > 0 {
			add("%s: %s", l.what, strings.Join(l.list, ", "))
		}
	}
	if w.Kernel != "" {
		add("kernel: `%s`", w.Kernel)
	}
	if w.KernelNot != "" {
		add("the kernel is known and is no `%s`", w.KernelNot)
	}
	names := make([]string, 0, len(w.Facts))
	for n := range w.Facts {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		add("%s: %s", strings.ReplaceAll(n, "_", " "), strings.Join(w.Facts[n], " or "))
	}
	for _, e := range w.Except {
		add("not %s `%s`", strings.Join(e.Family, ", "), e.Version)
	}
	switch w.Mismatch {
	case "":
	case "type-change":
		add("no change of the instance type is offered from the machine's family to the target")
	case "to-nvme":
		add("the machine attaches disks by virtio or as Xen does, the target by NVMe")
	case "to-virtio":
		add("the machine attaches disks by NVMe, the target by virtio")
	default:
		add("the %s of image or machine is not that of the target", strings.ReplaceAll(w.Mismatch, "-", " "))
	}
	out = append(out, machine("the machine it runs on", w.Source)...)
	return append(out, machine("the target, a family or type", w.Target)...)
}

func machine(what string, m *rules.MachineMatch) []string {
	if m == nil {
		return nil
	}
	var out []string
	add := func(format string, args ...any) { out = append(out, what+": "+fmt.Sprintf(format, args...)) }
	for _, l := range []struct {
		what string
		list []string
	}{{"", m.Family}, {"virtualization ", m.Virtualization}, {"NVMe system disk ", m.NVMe}, {"CPU vendor ", m.Vendor}, {"CPU architecture ", m.Arch}} {
		if len(l.list) > 0 {
			add("%s%s", l.what, strings.Join(l.list, ", "))
		}
	}
	if len(m.NotFamily) > 0 {
		add("none of %s", strings.Join(m.NotFamily, ", "))
	}
	if len(m.BootModes) > 0 {
		add("boots by nothing but %s", strings.Join(m.BootModes, " and "))
	}
	if m.Generation != "" {
		add("generation `%s`", m.Generation)
	}
	if m.Unlisted {
		add("not in the table of families")
	}
	if m.MemoryMiB > 0 {
		add("at least %d MiB of memory", m.MemoryMiB)
	}
	return out
}

func remedies(b *strings.Builder, def *rules.Definition, u *rules.Rule) {
	if len(u.Remedies) == 0 {
		return
	}
	b.WriteString("\n## Remedies\n")
	for _, use := range u.Remedies {
		d := def.Remedies[use.ID]
		to := ""
		if use.To != "" {
			to = " to " + use.To
		}
		fmt.Fprintf(b, "\n### %s%s\n\n%s\n", use.ID, to, strings.TrimSpace(strings.ReplaceAll(d.Text, "{to}", use.To)+" "+use.Note))
		if len(use.Targets) > 0 {
			fmt.Fprintf(b, "\nFor %s.\n", strings.Join(use.Targets, " and "))
		}
		if len(use.NotFor) > 0 {
			fmt.Fprintf(b, "\nNot for %s.\n", strings.Join(use.NotFor, ", "))
		}
		if len(d.Families) > 0 {
			fmt.Fprintf(b, "\nFamilies: %s.\n", strings.Join(d.Families, ", "))
		}
		if len(d.Steps) > 0 {
			b.WriteByte('\n')
		}
		for i, s := range d.Steps {
			fmt.Fprintf(b, "%d. %s\n", i+1, s)
		}
		if d.Benefit != "" {
			fmt.Fprintf(b, "\nBenefit: %s\n", d.Benefit)
		}
		if d.Drawback != "" {
			fmt.Fprintf(b, "\nDrawback: %s\n", d.Drawback)
		}
	}
}

func fixtures(b *strings.Builder, u *rules.Rule) {
	for _, set := range []struct {
		title string
		list  []rules.Observation
	}{{"Fires on", u.Fire}, {"Does not fire on", u.Hold}} {
		if len(set.list) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n", set.title)
		for i := range set.list {
			fmt.Fprintf(b, "- `%s`\n", set.list[i].String())
		}
	}
}
