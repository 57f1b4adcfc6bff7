package rules

import (
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
)

// lint reports rules that judge operating systems and can never fire because earlier ones
// take every release, and rules that overlap without one being the special
// case of the other.
func lint(ruleset *Ruleset) []Problem {
	var out []Problem
	for _, rl := range ruleset.rules {
		if ruleset.byOS[rl.stage] == nil || rl.disabled {
			continue
		}
		if by := ruleset.shadows(rl); by != "" {
			out = append(out, Problem{"rule " + rl.src.ID, "can never fire: " + by + " comes earlier and takes everything it matches"})
			continue
		}
		for _, other := range ruleset.rules[:rl.index] {
			if other.stage == rl.stage && !other.disabled && overlap(other, rl) {
				out = append(out, Problem{"rule " + rl.src.ID, "overlaps " + other.src.ID + ": both match some releases without a condition that tells them apart; the earlier one wins"})
			}
		}
	}
	return out
}

// plainOS says whether a rule looks at family and release alone.
func plainOS(m *matcher) bool {
	return !m.missing && len(m.edition) == 0 && len(m.arch) == 0 && m.kernel == nil && m.kernelNot == nil && m.flavours == nil &&
		len(m.owner) == 0 && len(m.facts) == 0 && m.systems == nil && m.source == nil && m.target == nil
}

func ruleFamilies(matcher *matcher) []string {
	switch {
	case matcher.any:
		return distro.Families()
	case matcher.windows == Yes:
		return []string{distro.WindowsServer, distro.WindowsClient}
	}
	var out []string
	for _, f := range matcher.families {
		out = append(out, f.family+"/"+f.edition)
	}
	return out
}

func covers(matcher *matcher, family string) bool {
	name, _, _ := strings.Cut(family, "/")
	return matcher.any || slices.ContainsFunc(ruleFamilies(matcher), func(f string) bool { return f == family || f == name || f == name+"/" })
}

func sameClasses(a, b *rule) bool {
	for c := range a.has {
		if b.has[c] && !a.has[c] {
			return false
		}
	}
	return true
}

// shadows returns the id of an earlier plain rule after which no release is left
// that rl could match, be it by that rule alone or by it and others before it. It
// returns "" where one is left.
func (r *Ruleset) shadows(rl *rule) string {
	by := ""
	for _, family := range ruleFamilies(&rl.match) {
		left := everything()
		if rl.match.versioned {
			left = rl.match.versions
		}
		took := ""
		for _, earlier := range r.rules[:rl.index] {
			if earlier.stage != rl.stage || earlier.disabled || !plainOS(&earlier.match) || !covers(&earlier.match, family) || !sameClasses(earlier, rl) {
				continue
			}
			if rl.match.missing && earlier.match.versioned {
				continue
			}
			span := everything()
			if earlier.match.versioned {
				span = earlier.match.versions
			}
			if !left.overlaps(span) {
				continue
			}
			took = earlier.src.ID
			if left = left.minus(span); left.empty() {
				break
			}
		}
		// A rule without a range also takes releases that are not known.
		if !left.empty() || !rl.match.versioned && !rl.match.missing && !slices.ContainsFunc(r.rules[:rl.index], func(e *rule) bool {
			return e.stage == rl.stage && !e.disabled && plainOS(&e.match) && !e.match.versioned && covers(&e.match, family)
		}) {
			return ""
		}
		by = took
	}
	return by
}

// overlap says whether two plain rules share releases of a family.
func overlap(earlier, later *rule) bool {
	if !plainOS(&earlier.match) || !plainOS(&later.match) || !earlier.match.versioned || !later.match.versioned || !earlier.match.versions.overlaps(later.match.versions) {
		return false
	}
	return slices.ContainsFunc(ruleFamilies(&later.match), func(family string) bool { return covers(&earlier.match, family) })
}
