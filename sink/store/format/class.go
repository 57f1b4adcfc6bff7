package format

import (
	"fmt"

	"github.com/shenscan/shenscan/rules/outcome"
)

// MaxTargets bounds the targets of a class.
const MaxTargets = 32

// WaivedValue is the value of what a waiver made of an instance's class.
func WaivedValue(c *outcome.Class) []byte {
	return Seal(AppendString(AppendString(Start(nil), c.Levels), c.Standings))
}

// ReadWaived puts what WaivedValue wrote into class, the class without it.
func ReadWaived(v []byte, class *outcome.Class) error {
	body, err := Unseal("waived verdicts", v)
	if err != nil {
		return err
	}
	d := dec{b: body}
	levels, standings := d.str(), d.str()
	if d.bad || d.more() || len(levels) > MaxTargets || len(standings) > MaxTargets {
		return fmt.Errorf("%w: waived verdicts have another shape", ErrCorrupt)
	}
	class.Levels, class.Standings = levels, standings
	return nil
}

// ClassValue is the value of a class.
func ClassValue(class *outcome.Class) []byte {
	b := Start(nil)
	b = AppendString(b, class.Levels)
	b = AppendString(b, class.Standings)
	b = AppendString(b, class.Family)
	b = AppendString(b, class.Version)
	legacy := byte(0)
	if class.Legacy {
		legacy = 1
	}
	return Seal(append(b, legacy))
}

// ReadClass decodes what ClassValue wrote.
func ReadClass(v []byte) (outcome.Class, error) {
	body, err := Unseal("class", v)
	if err != nil {
		return outcome.Class{}, err
	}
	d := dec{b: body}
	class := outcome.Class{Levels: d.str(), Standings: d.str(), Family: d.str(), Version: d.str(), Legacy: d.byte() == 1}
	if d.bad || d.more() || len(class.Levels) > MaxTargets || len(class.Standings) > MaxTargets {
		return outcome.Class{}, fmt.Errorf("%w: class has another shape", ErrCorrupt)
	}
	return class, nil
}
