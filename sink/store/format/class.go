package format

import (
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/rules"
)

// MaxTargets bounds the targets of a class.
const MaxTargets = 32

// Class is what counts and changes look at: instances of one class count
// alike.
type Class struct {
	Levels    string // one byte for each target, in the classifier's order
	Standings string // the same: one Standing each
	Family    string
	Version   string
	Legacy    bool
}

// Standing is what a plan makes of a verdict.
type Standing struct {
	Wave       int // its place in the order of waves; at most 15
	Confidence rules.Confidence
	Was        rules.Level // the verdict without waivers
}

// Byte is the standing as a class holds it.
func (s Standing) Byte() byte { return byte(s.Wave)<<4 | byte(s.Confidence)&3<<2 | byte(s.Was)&3 }

// Standing is that for the target with a number, and whether the class has one
// for it.
func (c *Class) Standing(target int) (Standing, bool) {
	if target >= len(c.Standings) {
		return Standing{}, false
	}
	b := c.Standings[target]
	return Standing{Wave: int(b >> 4), Confidence: rules.Confidence(b >> 2 & 3), Was: rules.Level(b & 3)}, true
}

// Alike tells whether instances of two classes have the same system and
// verdicts, whatever a plan makes of them.
func (c *Class) Alike(o *Class) bool {
	return c.Levels == o.Levels && c.Family == o.Family && c.Version == o.Version && c.Legacy == o.Legacy
}

// WaivedValue is the value of what a waiver made of an instance's class.
func WaivedValue(c *Class) []byte {
	return Seal(AppendString(AppendString(Start(nil), c.Levels), c.Standings))
}

// ReadWaived puts what WaivedValue wrote into c, the class without it.
func ReadWaived(v []byte, c *Class) error {
	body, err := Unseal("waived verdicts", v)
	if err != nil {
		return err
	}
	d := dec{b: body}
	levels, standings := d.str(), d.str()
	if d.bad || d.more() || len(levels) > MaxTargets || len(standings) > MaxTargets {
		return fmt.Errorf("%w: waived verdicts have another shape", ErrCorrupt)
	}
	c.Levels, c.Standings = levels, standings
	return nil
}

// Level is the verdict for the target with a number; Unknown where the class
// has none for it.
func (c *Class) Level(target int) rules.Level {
	if target >= len(c.Levels) {
		return rules.Unknown
	}
	return rules.Level(c.Levels[target])
}

// OS names the operating system for the history.
func (c *Class) OS() string { return strings.TrimSpace(c.Family + " " + c.Version) }

// ClassValue is the value of a class.
func ClassValue(c *Class) []byte {
	b := Start(nil)
	b = AppendString(b, c.Levels)
	b = AppendString(b, c.Standings)
	b = AppendString(b, c.Family)
	b = AppendString(b, c.Version)
	legacy := byte(0)
	if c.Legacy {
		legacy = 1
	}
	return Seal(append(b, legacy))
}

// ReadClass decodes what ClassValue wrote.
func ReadClass(v []byte) (Class, error) {
	body, err := Unseal("class", v)
	if err != nil {
		return Class{}, err
	}
	d := dec{b: body}
	c := Class{Levels: d.str(), Standings: d.str(), Family: d.str(), Version: d.str(), Legacy: d.byte() == 1}
	if d.bad || d.more() || len(c.Levels) > MaxTargets || len(c.Standings) > MaxTargets {
		return Class{}, fmt.Errorf("%w: class has another shape", ErrCorrupt)
	}
	return c, nil
}
