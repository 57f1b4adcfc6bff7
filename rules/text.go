package rules

import (
	"cmp"
	"fmt"
	"slices"
)

// severity orders the levels: incompatible, unknown, needs-action, compatible.
func (l Level) severity() int {
	switch l {
	case Incompatible:
		return 3
	case NeedsAction:
		return 1
	case Compatible:
		return 0
	default:
		return 2
	}
}

// Worse returns the more severe of two levels.
func Worse(level, b Level) Level {
	if b.severity() > level.severity() {
		return b
	}
	return level
}

// AtLeast says whether l is as severe as floor or more.
func (l Level) AtLeast(floor Level) bool { return l.severity() >= floor.severity() }

// Levels lists the levels, the mildest first.
func Levels() []Level { return []Level{Compatible, NeedsAction, Unknown, Incompatible} }

// How records spell the values, each at its own number.
var (
	levelNames      = [...]string{Unknown: "unknown", Compatible: "compatible", NeedsAction: "needs-action", Incompatible: "incompatible"}
	confidenceNames = [...]string{Low: "low", Medium: "medium", High: "high"}
	evidenceNames   = [...]string{EvidenceNone: "", EvidenceName: "name", EvidenceInstance: "instance", EvidenceImage: "image", EvidenceGuest: "guest"}
	triNames        = [...]string{Unobserved: "unobserved", No: "no", Yes: "yes"}
)

// name is the one of a value; what has none is called as the zero value is.
func name[T ~uint8](names []string, value T) string {
	if int(value) >= len(names) {
		value = 0
	}
	return names[value]
}

// value is the one with a name; of lists the names for the error.
func value[T ~uint8](names []string, what, text, of string) (T, error) {
	if i := slices.Index(names, text); i >= 0 {
		return T(i), nil
	}
	return 0, fmt.Errorf("%s%q is none of %s", what, text, of)
}

// String is the level as records spell it.
func (l Level) String() string { return name(levelNames[:], l) }

// ParseLevel reads what String writes.
func ParseLevel(text string) (Level, error) {
	return value[Level](levelNames[:], "verdict ", text, "compatible, needs-action, unknown, incompatible")
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}

// String is the confidence as records spell it.
func (c Confidence) String() string { return name(confidenceNames[:], c) }

// ParseConfidence reads what String writes.
func ParseConfidence(text string) (Confidence, error) {
	return value[Confidence](confidenceNames[:], "confidence ", text, "low, medium, high")
}

// MarshalText implements encoding.TextMarshaler.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Confidence) UnmarshalText(b []byte) (err error) {
	*c, err = ParseConfidence(string(b))
	return err
}

// String is the evidence as records spell it; "" for none.
func (e Evidence) String() string { return name(evidenceNames[:], e) }

// ParseEvidence reads what String writes.
func ParseEvidence(text string) (Evidence, error) {
	return value[Evidence](evidenceNames[:], "evidence ", text, "guest, image, instance, name")
}

// MarshalText implements encoding.TextMarshaler.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Evidence) UnmarshalText(b []byte) (err error) {
	*e, err = ParseEvidence(string(b))
	return err
}

// String is "yes", "no" or "unobserved".
func (t Tri) String() string { return name(triNames[:], t) }

// ParseTri reads "yes", "no", "unobserved" and "".
func ParseTri(text string) (Tri, error) {
	return value[Tri](triNames[:], "", cmp.Or(text, triNames[Unobserved]), "yes, no, unobserved")
}

// MarshalText implements encoding.TextMarshaler.
func (t Tri) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Tri) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTri(string(b))
	return err
}
