package rules

import (
	"cmp"
	"slices"
)

// Waivable is what a waiver's scope looks at.
type Waivable struct {
	Account, Region, InstanceID, ImageID string
	Tags                                 func(key string) (string, bool) // may be nil
	Today                                string                          // RFC 3339 date; rules has no clock
}

// waiver is a compiled WaiverRule.
type waiver struct {
	src *WaiverRule
	as  Level
}

func (c *compiler) waiver(waiverRule *WaiverRule) {
	part := "waiver " + waiverRule.ID
	if !validID(waiverRule.ID) {
		c.bad(part, "id %q: use lower-case letters, digits, dots and dashes", waiverRule.ID)
	}
	if waiverRule.Reason == "" {
		c.bad(part, "no reason is given")
	}
	c.day(part, "until", waiverRule.Until)
	if s := waiverRule.Scope; len(s.Accounts)+len(s.Regions)+len(s.Instances)+len(s.Images)+len(s.Tags) == 0 {
		c.bad(part, "the scope is empty: name accounts, regions, instances, images or tags")
	}
	as, err := ParseLevel(cmp.Or(waiverRule.As, Compatible.String()))
	if err != nil {
		c.bad(part, "%v", err)
	}
	for _, id := range waiverRule.Rules {
		if c.r.byID[id] == nil {
			c.bad(part, "there is no rule %q", id)
		}
	}
	c.r.waivers = append(c.r.waivers, waiver{src: waiverRule, as: as})
}

// HasWaivers says whether any waiver is in force on some day.
func (c *Classifier) HasWaivers() bool { return len(c.r.waivers) > 0 }

// Waive applies the waivers whose scope holds waivable. It returns cl itself, and
// costs nothing, where none does. A waived verdict says what it was, until
// when and why; it is never milder on a class of
// SHENLONG than on the one before it.
func (c *Classifier) Waive(cl *Classification, waivable Waivable) *Classification {
	out := cl
	for i := range c.r.waivers {
		wv := &c.r.waivers[i]
		if waivable.Today > wv.src.Until || !wv.src.Scope.holds(&waivable) {
			continue
		}
		for target := range cl.Verdicts {
			verdict := &out.Verdicts[target]
			if verdict.Waiver != nil || !verdict.Level.AtLeast(wv.as) || verdict.Level == wv.as || !wv.covers(verdict, &c.targets[target]) {
				continue
			}
			if out == cl {
				clone := *cl
				clone.Verdicts = slices.Clone(cl.Verdicts)
				out = &clone
				verdict = &out.Verdicts[target]
			}
			verdict.Waiver = &Waiver{ID: wv.src.ID, Was: verdict.Level, Until: wv.src.Until, Reason: wv.src.Reason}
			verdict.Level = wv.as
		}
	}
	if out != cl {
		c.monotone(out)
	}
	return out
}

func (wv *waiver) covers(verdict *Verdict, t *Target) bool {
	if len(wv.src.Targets) > 0 && !slices.Contains(wv.src.Targets, verdict.Target) && !slices.Contains(wv.src.Targets, t.Class.String()) {
		return false
	}
	if len(wv.src.Rules) == 0 {
		return true
	}
	// Every reason that is worse than what the waiver grants must be named.
	for i := range verdict.Findings {
		f := &verdict.Findings[i]
		if f.Level != wv.as && f.Level.AtLeast(wv.as) && !slices.Contains(wv.src.Rules, f.Rule) {
			return false
		}
	}
	return true
}

func (s *WaiveScope) holds(waivable *Waivable) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	if !in(s.Accounts, waivable.Account) || !in(s.Regions, waivable.Region) || !in(s.Instances, waivable.InstanceID) || !in(s.Images, waivable.ImageID) {
		return false
	}
	for k, want := range s.Tags {
		if waivable.Tags == nil {
			return false
		}
		if got, ok := waivable.Tags(k); !ok || want != "*" && got != want {
			return false
		}
	}
	return true
}

// monotone takes back a waiver that would make a class of SHENLONG milder than
// an earlier one.
func (c *Classifier) monotone(cl *Classification) {
	worst := Compatible
	for class := ClassShenlong6; class < classes; class++ {
		next := worst
		for target := range cl.Verdicts {
			verdict := &cl.Verdicts[target]
			if c.targets[target].Class != class {
				continue
			}
			if verdict.Waiver != nil && !verdict.Level.AtLeast(worst) {
				verdict.Level = worst
				if !verdict.Waiver.Was.AtLeast(worst) {
					verdict.Level = verdict.Waiver.Was
				}
				if verdict.Level == verdict.Waiver.Was {
					verdict.Waiver = nil
				}
			}
			if c.targets[target].Family == "" {
				next = Worse(next, verdict.Level)
			}
		}
		worst = next
	}
}
