package rules

import (
	"encoding/json"
	"fmt"
	"slices"
)

// FixtureFailure is a fixture of a rule that does not hold.
type FixtureFailure struct {
	Rule string
	Fire bool // it was to fire and did not; otherwise the reverse
	Text string
}

func (f FixtureFailure) String() string {
	if f.Fire {
		return "rule " + f.Rule + " must fire on " + f.Text
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
				fired, err := r.fires(rl.src.ID, &set.list[i])
				if err != nil {
					failed = append(failed, FixtureFailure{rl.src.ID, set.fire, err.Error()})
				} else if fired != set.fire {
					failed = append(failed, FixtureFailure{rl.src.ID, set.fire, set.list[i].String()})
				}
			}
		}
	}
	return tested, failed
}

// fires says whether a rule is among the findings for any target.
func (r *Ruleset) fires(id string, observation *Observation) (bool, error) {
	targets := DefaultTargets()
	if observation.Target != "" {
		target, err := r.ParseTarget(observation.Target)
		if err != nil {
			return false, fmt.Errorf("fixture: %w", err)
		}
		targets = []Target{target}
	}
	f := observation.Facts()
	ident := f.identify()
	p := r.profile(&f, &ident)
	cl := r.evaluate(&p, &ident, targets, nil)
	for i := range cl.Verdicts {
		if slices.ContainsFunc(cl.Verdicts[i].Findings, func(f Finding) bool { return f.Rule == id }) {
			return true, nil
		}
	}
	return false, nil
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
