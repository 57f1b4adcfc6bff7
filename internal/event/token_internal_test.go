package event

import (
	"strings"
	"testing"
)

// A token of a subject holds letters, digits, hyphens and underscores: what NATS
// gives a meaning (points, stars, angle brackets, blanks) is never among them.
func TestTokensHoldNothingThatSubjectsGiveAMeaning(t *testing.T) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	for c := range 256 {
		if got, want := tokenByte(byte(c)), c < 128 && strings.IndexByte(allowed, byte(c)) >= 0; got != want {
			t.Errorf("%q: %t", rune(c), got)
		}
	}
}

// The largest message that may be sent may be read, and none that is larger.
func TestTheBoundOfMessagesIsTheSameOnBothSides(t *testing.T) {
	message := func(reason int) *ScanRequested { return &ScanRequested{Reason: strings.Repeat("x", reason)} }
	empty, err := Append(nil, message(1))
	if err != nil {
		t.Fatal(err)
	}
	fits := MaxPayload - len(empty) + 1
	largest, err := Append([]byte("before"), message(fits))
	if err != nil || len(largest)-len("before") != MaxPayload {
		t.Fatalf("%d bytes, %v", len(largest), err)
	}
	if _, err := Decode(largest[len("before"):]); err != nil {
		t.Errorf("the largest message is refused: %v", err)
	}
	if _, err := Append(nil, message(fits+1)); err == nil {
		t.Error("a byte more is sent")
	}
	if _, err := Decode(append(largest[len("before"):], ' ')); err == nil {
		t.Error("a byte more is read")
	}
}
