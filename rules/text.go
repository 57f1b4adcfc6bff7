package rules

import "fmt"

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

// String is the level as records spell it.
func (l Level) String() string {
	switch l {
	case Compatible:
		return "compatible"
	case NeedsAction:
		return "needs-action"
	case Incompatible:
		return "incompatible"
	default:
		return "unknown"
	}
}

// ParseLevel reads what String writes.
func ParseLevel(text string) (Level, error) {
	for _, l := range Levels() {
		if text == l.String() {
			return l, nil
		}
	}
	return Unknown, fmt.Errorf("verdict %q is none of compatible, needs-action, unknown, incompatible", text)
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}

// String is the confidence as records spell it.
func (c Confidence) String() string {
	switch c {
	case High:
		return "high"
	case Medium:
		return "medium"
	default:
		return "low"
	}
}

// ParseConfidence reads what String writes.
func ParseConfidence(text string) (Confidence, error) {
	for _, c := range []Confidence{Low, Medium, High} {
		if text == c.String() {
			return c, nil
		}
	}
	return Low, fmt.Errorf("confidence %q is none of low, medium, high", text)
}

// MarshalText implements encoding.TextMarshaler.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Confidence) UnmarshalText(b []byte) (err error) {
	*c, err = ParseConfidence(string(b))
	return err
}

// String is the evidence as records spell it; "" for none.
func (e Evidence) String() string {
	switch e {
	case EvidenceName:
		return "name"
	case EvidenceInstance:
		return "instance"
	case EvidenceImage:
		return "image"
	case EvidenceGuest:
		return "guest"
	default:
		return ""
	}
}

// ParseEvidence reads what String writes.
func ParseEvidence(text string) (Evidence, error) {
	for e := EvidenceNone; e <= EvidenceGuest; e++ {
		if text == e.String() {
			return e, nil
		}
	}
	return EvidenceNone, fmt.Errorf("evidence %q is none of guest, image, instance, name", text)
}

// MarshalText implements encoding.TextMarshaler.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Evidence) UnmarshalText(b []byte) (err error) {
	*e, err = ParseEvidence(string(b))
	return err
}

// String is "yes", "no" or "unobserved".
func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unobserved"
	}
}

// ParseTri reads "yes", "no", "unobserved" and "".
func ParseTri(text string) (Tri, error) {
	switch text {
	case "yes":
		return Yes, nil
	case "no":
		return No, nil
	case "unobserved", "":
		return Unobserved, nil
	}
	return Unobserved, fmt.Errorf("%q is none of yes, no, unobserved", text)
}

// MarshalText implements encoding.TextMarshaler.
func (t Tri) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Tri) UnmarshalText(b []byte) (err error) {
	*t, err = ParseTri(string(b))
	return err
}
