package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// FixtureFailure is a fixture of a rule that does not hold.
type FixtureFailure struct {
	Rule string
	Fire bool // it was to fire and did not; otherwise the reverse
	Text string
	// Instead are the rules that did fire, where this one was to and did not.
	Instead []string
}

func (f FixtureFailure) String() string {
	if f.Fire {
		text := "rule " + f.Rule + " must fire on " + f.Text
		if len(f.Instead) > 0 {
			text += ", where these do: " + strings.Join(f.Instead, ", ") + "; of the rules of one stage the first that certainly matches wins"
		}
		return text
	}
	return "rule " + f.Rule + " must not fire on " + f.Text
}

// Test runs the fixtures of every rule: observations on which it must fire,
// and on which it must not. It returns how many there were and what failed.
func (r *Ruleset) Test() (tested int, failed []FixtureFailure) {
	for _, rl := range r.rules {
		if rl.disabled {
			continue
		}
		for _, set := range []struct {
			fire bool
			list []Observation
		}{{true, rl.src.Fire}, {false, rl.src.Hold}} {
			for i := range set.list {
				tested++
				fired, err := r.fired(&set.list[i])
				switch {
				case err != nil:
					failed = append(failed, FixtureFailure{Rule: rl.src.ID, Fire: set.fire, Text: err.Error()})
				case slices.Contains(fired, rl.src.ID) != set.fire:
					failure := FixtureFailure{Rule: rl.src.ID, Fire: set.fire, Text: set.list[i].String()}
					if set.fire {
						failure.Instead = fired
					}
					failed = append(failed, failure)
				}
			}
		}
	}
	return tested, failed
}

// fired are the rules among the findings for any target.
func (r *Ruleset) fired(observation *Observation) (fired []string, err error) {
	targets := DefaultTargets()
	if observation.Target != "" {
		target, err := r.ParseTarget(observation.Target)
		if err != nil {
			return nil, fmt.Errorf("fixture: %w", err)
		}
		targets = []Target{target}
	}
	f := observation.Facts()
	ident := f.identify()
	p := r.profile(&f, &ident)
	cl := r.evaluate(&p, &ident, targets, nil)
	for i := range cl.Verdicts {
		for _, finding := range cl.Verdicts[i].Findings {
			if !slices.Contains(fired, finding.Rule) {
				fired = append(fired, finding.Rule)
			}
		}
	}
	return fired, nil
}

// String is the observation as a person would write it: the bare string, or a
// JSON object.
func (o *Observation) String() string {
	if *o == (Observation{Name: o.Name}) {
		return o.Name
	}
	encoded, err := json.Marshal(o)
	if err != nil {
		return o.Name
	}
	s := string(encoded)
	if o.Target != "" {
		s += " on " + o.Target
	}
	return s
}
