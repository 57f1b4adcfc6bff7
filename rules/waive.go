package rules

import (
	"slices"
	"time"
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

func (c *compiler) waiver(w *WaiverRule) {
	part := "waiver " + w.ID
	if !validID(w.ID) {
		c.bad(part, "id %q: use lower-case letters, digits, dots and dashes", w.ID)
	}
	if w.Reason == "" {
		c.bad(part, "no reason is given")
	}
	if _, err := time.Parse(time.DateOnly, w.Until); err != nil {
		c.bad(part, "until %q is no date such as 2027-03-31", w.Until)
	}
	if s := w.Scope; len(s.Accounts)+len(s.Regions)+len(s.Instances)+len(s.Images)+len(s.Tags) == 0 {
		c.bad(part, "the scope is empty: name accounts, regions, instances, images or tags")
	}
	as, err := ParseLevel(or(w.As, Compatible.String()))
	if err != nil {
		c.bad(part, "%v", err)
	}
	for _, id := range w.Rules {
		if c.r.byID[id] == nil {
			c.bad(part, "there is no rule %q", id)
		}
	}
	c.r.waivers = append(c.r.waivers, waiver{src: w, as: as})
}

// HasWaivers says whether any waiver is in force on some day.
func (c *Classifier) HasWaivers() bool { return len(c.r.waivers) > 0 }

// Waive applies the waivers whose scope holds w. It returns cl itself, and
// costs nothing, where none does. A waived verdict says what it was, until
// when and why; it is never milder on a class of
// SHENLONG than on the one before it.
func (c *Classifier) Waive(cl *Classification, w Waivable) *Classification {
	out := cl
	for i := range c.r.waivers {
		wv := &c.r.waivers[i]
		if w.Today > wv.src.Until || !wv.src.Scope.holds(&w) {
			continue
		}
		for j := range cl.Verdicts {
			v := &out.Verdicts[j]
			if v.Waiver != nil || !v.Level.AtLeast(wv.as) || v.Level == wv.as || !wv.covers(v, &c.targets[j]) {
				continue
			}
			if out == cl {
				clone := *cl
				clone.Verdicts = slices.Clone(cl.Verdicts)
				out = &clone
				v = &out.Verdicts[j]
			}
			v.Waiver = &Waiver{ID: wv.src.ID, Was: v.Level, Until: wv.src.Until, Reason: wv.src.Reason}
			v.Level = wv.as
		}
	}
	if out != cl {
		c.monotone(out)
	}
	return out
}

func (wv *waiver) covers(v *Verdict, t *Target) bool {
	if len(wv.src.Targets) > 0 && !slices.Contains(wv.src.Targets, v.Target) && !slices.Contains(wv.src.Targets, t.Class.String()) {
		return false
	}
	if len(wv.src.Rules) == 0 {
		return true
	}
	// Every reason that is worse than what the waiver grants must be named.
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Level != wv.as && f.Level.AtLeast(wv.as) && !slices.Contains(wv.src.Rules, f.Rule) {
			return false
		}
	}
	return true
}

func (s *WaiveScope) holds(w *Waivable) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	if !in(s.Accounts, w.Account) || !in(s.Regions, w.Region) || !in(s.Instances, w.InstanceID) || !in(s.Images, w.ImageID) {
		return false
	}
	for k, want := range s.Tags {
		if w.Tags == nil {
			return false
		}
		if got, ok := w.Tags(k); !ok || want != "*" && got != want {
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
		for j := range cl.Verdicts {
			v := &cl.Verdicts[j]
			if c.targets[j].Class != class {
				continue
			}
			if v.Waiver != nil && !v.Level.AtLeast(worst) {
				v.Level = worst
				if !v.Waiver.Was.AtLeast(worst) {
					v.Level = v.Waiver.Was
				}
				if v.Level == v.Waiver.Was {
					v.Waiver = nil
				}
			}
			if c.targets[j].Family == "" {
				next = Worse(next, v.Level)
			}
		}
		worst = next
	}
}
