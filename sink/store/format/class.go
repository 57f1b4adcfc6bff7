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
	Levels  string // one byte for each target, in the classifier's order
	Family  string
	Version string
	Legacy  bool
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
	c := Class{Levels: d.str(), Family: d.str(), Version: d.str(), Legacy: d.byte() == 1}
	if d.bad || d.more() || len(c.Levels) > MaxTargets {
		return Class{}, fmt.Errorf("%w: class has another shape", ErrCorrupt)
	}
	return c, nil
}
