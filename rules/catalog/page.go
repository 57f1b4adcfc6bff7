package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules"
)

// Page is the page of a rule for a person, in Markdown: what it says, why,
// where from, what to do.
func Page(ruleset *rules.Ruleset, id string) (string, error) {
	rule, ok := ruleset.Rule(id)
	if !ok {
		return "", fmt.Errorf("there is no rule %.64q; shenscan rules list shows them", id)
	}
	def := ruleset.Definition()
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n\n%s\n\n%s\n", rule.ID, rule.Title, rule.Reason)
	verdicts(&text, rule)
	fmt.Fprintf(&text, "\n## When it fires\n\n%s\n", stageText[rule.Stage])
	for _, l := range conditions(def, &rule.When) {
		fmt.Fprintf(&text, "- %s\n", l)
	}
	fmt.Fprintf(&text, "\n## Source\n\n%s\n\nAs of %s.\n", def.Sources[rule.Source], def.RuleAsOf(rule))
	remedies(&text, def, rule)
	if len(rule.Checks) > 0 {
		text.WriteString("\n## Checks\n\n")
		for _, c := range rule.Checks {
			fmt.Fprintf(&text, "- `%s`: %s\n", c, def.Checks[c])
		}
	}
	fixtures(&text, rule)
	return text.String(), nil
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

func verdicts(text *strings.Builder, rule *rules.Rule) {
	text.WriteString("\n| target | verdict | confidence | |\n| --- | --- | --- | --- |\n")
	for _, target := range rules.DefaultTargets() {
		verdict, ok := rule.Verdicts[target.ID]
		if !ok {
			continue
		}
		conf := rule.Confidence
		if c, ok := rule.ConfidenceAt[target.ID]; ok {
			conf = c
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s |\n", target.ID, verdict, conf, rule.Reasons[target.ID])
	}
	if rule.Legacy {
		text.WriteString("\nThe operating system counts as legacy, whatever the target.\n")
	}
}

// conditions says in words what a rule matches.
func conditions(def *rules.Definition, when *rules.When) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch {
	case when.Systems != "":
		for _, osMatch := range def.Systems[when.Systems] {
			text := "system: " + strings.Join(osMatch.Family, ", ")
			if osMatch.Version != "" {
				text += " `" + osMatch.Version + "`"
			}
			if osMatch.Kernel != "" {
				text += " with a known kernel `" + osMatch.Kernel + "`"
			}
			add("%s", text)
		}
	case slices.Equal(when.Family, []string{"*"}):
		add("any operating system")
	default:
		add("family: %s", strings.Join(when.Family, ", "))
	}
	switch when.Version {
	case "":
	case "missing":
		add("the version is not known")
	default:
		add("version: `%s`", when.Version)
	}
	for _, l := range []struct {
		what string
		list []string
	}{{"edition", when.Edition}, {"architecture", when.Arch}, {"kernel flavour", when.KernelFlavour}, {"image owner", when.Owner}} {
		if len(l.list) > 0 {
			add("%s: %s", l.what, strings.Join(l.list, ", "))
		}
	}
	if when.Kernel != "" {
		add("kernel: `%s`", when.Kernel)
	}
	if when.KernelNot != "" {
		add("the kernel is known and is no `%s`", when.KernelNot)
	}
	names := make([]string, 0, len(when.Facts))
	for n := range when.Facts {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		add("%s: %s", strings.ReplaceAll(n, "_", " "), strings.Join(when.Facts[n], " or "))
	}
	for _, e := range when.Except {
		add("not %s `%s`", strings.Join(e.Family, ", "), e.Version)
	}
	switch when.Mismatch {
	case "":
	case "type-change":
		add("no change of the instance type is offered from the machine's family to the target")
	case "to-nvme":
		add("the machine attaches disks by virtio or as Xen does, the target by NVMe")
	case "to-virtio":
		add("the machine attaches disks by NVMe, the target by virtio")
	case "arch-not-told":
		add("the target is Arm, and neither image nor machine tells what the system is built for")
	case "boot-mode-not-told":
		add("the image starts by UEFI alone, and nothing tells the boot modes of the target, a family that the machine is not on")
	case "platform-offers":
		add("the platform names the target among the types for the image")
	case "platform-refuses":
		add("the platform does not name the target among the types for the image, and names it for a current one of its own")
	case "fleet-up":
		add("other instances of the image are up on the class of the target")
	case "fleet-settles":
		add("other instances of the image are up on the class of the target: one, or two where neither a name nor the image's kernel tells the release")
	case "fleet-kernel":
		add("three other instances of the image or more are up on the class of the target with the image's own kernel")
	default:
		add("the %s of image or machine is not that of the target", strings.ReplaceAll(when.Mismatch, "-", " "))
	}
	out = append(out, machine("the machine it runs on", when.Source)...)
	return append(out, machine("the target, a family or type", when.Target)...)
}

func machine(what string, machineMatch *rules.MachineMatch) []string {
	if machineMatch == nil {
		return nil
	}
	var out []string
	add := func(format string, args ...any) { out = append(out, what+": "+fmt.Sprintf(format, args...)) }
	for _, l := range []struct {
		what string
		list []string
	}{{"", machineMatch.Family}, {"virtualization ", machineMatch.Virtualization}, {"NVMe system disk ", machineMatch.NVMe}, {"CPU vendor ", machineMatch.Vendor}, {"CPU architecture ", machineMatch.Arch}, {"disks that it takes: ", machineMatch.Disks}} {
		if len(l.list) > 0 {
			add("%s%s", l.what, strings.Join(l.list, ", "))
		}
	}
	if len(machineMatch.NotFamily) > 0 {
		add("none of %s", strings.Join(machineMatch.NotFamily, ", "))
	}
	if len(machineMatch.BootModes) > 0 {
		add("boots by nothing but %s", strings.Join(machineMatch.BootModes, " and "))
	}
	if machineMatch.Generation != "" {
		add("generation `%s`", machineMatch.Generation)
	}
	if machineMatch.Unlisted {
		add("not in the table of families")
	}
	if machineMatch.MemoryMiB > 0 {
		add("at least %d MiB of memory", machineMatch.MemoryMiB)
	}
	return out
}

func remedies(text *strings.Builder, def *rules.Definition, rule *rules.Rule) {
	if len(rule.Remedies) == 0 {
		return
	}
	text.WriteString("\n## Remedies\n")
	for _, use := range rule.Remedies {
		remedyDef := def.Remedies[use.ID]
		to := ""
		if use.To != "" {
			to = " to " + use.To
		}
		fmt.Fprintf(text, "\n### %s%s\n\n%s\n", use.ID, to, strings.TrimSpace(strings.ReplaceAll(remedyDef.Text, "{to}", use.To)+" "+use.Note))
		if len(use.Targets) > 0 {
			fmt.Fprintf(text, "\nFor %s.\n", strings.Join(use.Targets, " and "))
		}
		if len(use.NotFor) > 0 {
			fmt.Fprintf(text, "\nNot for %s.\n", strings.Join(use.NotFor, ", "))
		}
		if len(remedyDef.Families) > 0 {
			fmt.Fprintf(text, "\nFamilies: %s.\n", strings.Join(remedyDef.Families, ", "))
		}
		if len(remedyDef.Steps) > 0 {
			text.WriteByte('\n')
		}
		for i, s := range remedyDef.Steps {
			fmt.Fprintf(text, "%d. %s\n", i+1, s)
		}
		if remedyDef.Benefit != "" {
			fmt.Fprintf(text, "\nBenefit: %s\n", remedyDef.Benefit)
		}
		if remedyDef.Drawback != "" {
			fmt.Fprintf(text, "\nDrawback: %s\n", remedyDef.Drawback)
		}
	}
}

func fixtures(text *strings.Builder, rule *rules.Rule) {
	for _, set := range []struct {
		title string
		list  []rules.Observation
	}{{"Fires on", rule.Fire}, {"Does not fire on", rule.Hold}} {
		if len(set.list) == 0 {
			continue
		}
		fmt.Fprintf(text, "\n## %s\n\n", set.title)
		for i := range set.list {
			fmt.Fprintf(text, "- `%s`\n", set.list[i].String())
		}
	}
}
