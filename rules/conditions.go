package rules

import (
	"maps"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// mismatches are what a rule can compare; see mismatch.
var mismatches = [...]string{"arch", "arch-not-told", "boot-mode", "boot-mode-not-told", "to-nvme", "to-virtio", "type-change", "platform-offers", "platform-refuses", "fleet-up", "fleet-settles", "fleet-kernel"}

func (c *compiler) when(part string, conditions *When, matcher *matcher) {
	if conditions.Systems != "" {
		list, ok := c.r.def.Systems[conditions.Systems]
		switch {
		case !ok:
			c.bad(part, "systems %q is not in systems", conditions.Systems)
		case len(conditions.Family) > 0 || conditions.Version != "":
			c.bad(part, "systems stands in place of family and version")
		}
		matcher.systems = c.systems(part, list)
	} else if len(conditions.Family) == 0 {
		c.bad(part, "when.family is empty: write \"*\" for every operating system")
	}
	c.osFamilies(part, conditions.Family, matcher)
	matcher.except = c.systems(part, conditions.Except)
	c.versions(part, conditions, matcher)
	matcher.edition, matcher.arch, matcher.owner, matcher.flavours = conditions.Edition, conditions.Arch, conditions.Owner, conditions.KernelFlavour
	c.facts(part, conditions, matcher)
	if conditions.Mismatch != "" && !slices.Contains(mismatches[:], conditions.Mismatch) {
		c.bad(part, "mismatch %q is none of %s", conditions.Mismatch, strings.Join(mismatches[:], ", "))
	}
	matcher.mismatch = conditions.Mismatch
	matcher.source = c.machine(part, conditions.Source)
	matcher.target = c.machine(part, conditions.Target)
}

// systems compiles a list of operating systems.
func (c *compiler) systems(part string, list []OSMatch) []system {
	var out []system
	for i := range list {
		osMatch := &list[i]
		var listed system
		c.osFamilies(part, osMatch.Family, &listed.match)
		var err error
		if listed.versions, err = parseRange(osMatch.Version); err != nil {
			c.bad(part, "%v: %v", osMatch.Family, err)
		}
		if osMatch.Kernel != "" {
			kernelRange, err := parseKernelRange(osMatch.Kernel)
			if err != nil {
				c.bad(part, "%v: kernel: %v", osMatch.Family, err)
			}
			listed.match.kernel = &kernelRange
		}
		out = append(out, listed)
	}
	return out
}

func (c *compiler) osFamilies(part string, list []string, matcher *matcher) {
	known := distro.Families()
	for _, field := range list {
		switch field {
		case "*":
			matcher.any = true
		case "windows":
			matcher.windows = Yes
		case "not-windows":
			matcher.windows = No
		default:
			name, edition, _ := strings.Cut(field, "/")
			if !slices.Contains(known, name) {
				c.bad(part, "family %q is not known", name)
			}
			matcher.families = append(matcher.families, famEdition{name, edition})
		}
	}
}

// versions compiles the conditions on the version of the system and of its
// kernel.
func (c *compiler) versions(part string, when *When, matcher *matcher) {
	var err error
	switch when.Version {
	case "":
	case "missing":
		matcher.missing = true
	default:
		matcher.versioned = true
		if matcher.versions, err = parseRange(when.Version); err != nil {
			c.bad(part, "version: %v", err)
		}
	}
	if when.Kernel != "" {
		kernelRange, err := parseKernelRange(when.Kernel)
		if err != nil {
			c.bad(part, "kernel: %v", err)
		}
		matcher.kernel = &kernelRange
	}
	if when.KernelNot != "" {
		bound, n := version.Parse(when.KernelNot)
		if n == 0 {
			c.bad(part, "kernel_not: %q has no version", when.KernelNot)
		}
		matcher.kernelNot = &bound
	}
}

func (c *compiler) facts(part string, when *When, matcher *matcher) {
	for _, name := range slices.Sorted(maps.Keys(when.Facts)) {
		fact, ok := factNamed(name)
		if !ok {
			c.bad(part, "fact %q is none of %s", name, strings.Join(factNames[:], ", "))
			continue
		}
		fm := factMatch{fact: fact}
		for _, v := range when.Facts[name] {
			tri, err := ParseTri(v)
			if err != nil {
				c.bad(part, "fact %s: %v", name, err)
			}
			fm.allowed[tri] = true
		}
		matcher.facts = append(matcher.facts, fm)
	}
}

func (c *compiler) machine(part string, machineMatch *MachineMatch) *machineMatcher {
	if machineMatch == nil {
		return nil
	}
	matcher := &machineMatcher{MachineMatch: *machineMatch}
	if machineMatch.Generation != "" {
		interval, err := parseRange(machineMatch.Generation)
		if err != nil {
			c.bad(part, "generation: %v", err)
		}
		matcher.generation, matcher.ranged = interval, true
	}
	return matcher
}
