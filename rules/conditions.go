package rules

import (
	"slices"
	"sort"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

func (c *compiler) when(part string, w *When, m *matcher) {
	if w.Systems != "" {
		list, ok := c.r.def.Systems[w.Systems]
		switch {
		case !ok:
			c.bad(part, "systems %q is not in systems", w.Systems)
		case len(w.Family) > 0 || w.Version != "":
			c.bad(part, "systems stands in place of family and version")
		}
		m.systems = c.systems(part, list)
	} else if len(w.Family) == 0 {
		c.bad(part, "when.family is empty: write \"*\" for every operating system")
	}
	c.osFamilies(part, w.Family, m)
	m.except = c.systems(part, w.Except)
	c.versions(part, w, m)
	m.edition, m.arch, m.owner, m.flavours = w.Edition, w.Arch, w.Owner, w.KernelFlavour
	c.facts(part, w, m)
	switch w.Mismatch {
	case "", "arch", "boot-mode", "to-nvme", "to-virtio", "type-change", "platform-offers", "platform-refuses", "fleet-up", "fleet-kernel":
	default:
		c.bad(part, "mismatch %q is none of arch, boot-mode, to-nvme, to-virtio, type-change, platform-offers, platform-refuses, fleet-up, fleet-kernel", w.Mismatch)
	}
	m.mismatch = w.Mismatch
	m.source = c.machine(part, w.Source)
	m.target = c.machine(part, w.Target)
}

// systems compiles a list of operating systems.
func (c *compiler) systems(part string, list []OSMatch) []system {
	var out []system
	for i := range list {
		e := &list[i]
		var x system
		c.osFamilies(part, e.Family, &x.match)
		var err error
		if x.versions, err = parseRange(e.Version); err != nil {
			c.bad(part, "%v: %v", e.Family, err)
		}
		if e.Kernel != "" {
			k, err := parseKernelRange(e.Kernel)
			if err != nil {
				c.bad(part, "%v: kernel: %v", e.Family, err)
			}
			x.match.kernel = &k
		}
		out = append(out, x)
	}
	return out
}

func (c *compiler) osFamilies(part string, list []string, m *matcher) {
	known := distro.Families()
	for _, f := range list {
		switch f {
		case "*":
			m.any = true
		case "windows":
			m.windows = Yes
		case "not-windows":
			m.windows = No
		default:
			name, edition, _ := strings.Cut(f, "/")
			if !slices.Contains(known, name) {
				c.bad(part, "family %q is not known", name)
			}
			m.families = append(m.families, famEdition{name, edition})
		}
	}
}

func (c *compiler) versions(part string, w *When, m *matcher) {
	var err error
	switch w.Version {
	case "":
	case "missing":
		m.missing = true
	default:
		m.versioned = true
		if m.versions, err = parseRange(w.Version); err != nil {
			c.bad(part, "version: %v", err)
		}
	}
	if w.Kernel != "" {
		k, err := parseKernelRange(w.Kernel)
		if err != nil {
			c.bad(part, "kernel: %v", err)
		}
		m.kernel = &k
	}
	if w.KernelNot != "" {
		k, n := version.Parse(w.KernelNot)
		if n == 0 {
			c.bad(part, "kernel_not: %q has no version", w.KernelNot)
		}
		m.kernelNot = &k
	}
}

func (c *compiler) facts(part string, w *When, m *matcher) {
	names := make([]string, 0, len(w.Facts))
	for name := range w.Facts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		f, ok := factNamed(name)
		if !ok {
			c.bad(part, "fact %q is none of %s", name, strings.Join(factNames[:], ", "))
			continue
		}
		fm := factMatch{fact: f}
		for _, v := range w.Facts[name] {
			t, err := ParseTri(v)
			if err != nil {
				c.bad(part, "fact %s: %v", name, err)
			}
			fm.allowed[t] = true
		}
		m.facts = append(m.facts, fm)
	}
}

func (c *compiler) machine(part string, w *MachineMatch) *machineMatcher {
	if w == nil {
		return nil
	}
	m := &machineMatcher{MachineMatch: *w}
	if w.Generation != "" {
		g, err := parseRange(w.Generation)
		if err != nil {
			c.bad(part, "generation: %v", err)
		}
		m.generation, m.ranged = g, true
	}
	return m
}
