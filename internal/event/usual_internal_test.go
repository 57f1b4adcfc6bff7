package event

import (
	"errors"
	"testing"
)

// Stores hold usual texts by their place: none may ever have another, and each
// takes one byte.
func TestUsualTextsKeepTheirPlaces(t *testing.T) {
	for text, place := range map[string]byte{CauseNoAgent: 1, CauseNoStart: 6, CauseShare: 8, MendShare: 9, CauseConsoleOld: 10, MendConsole: 14} {
		w := &writer{}
		w.usual(text)
		if len(w.b) != 1 || w.b[0] != place {
			t.Errorf("%q is spelt %v, not by its place %d", text, w.b, place)
		}
	}
	for _, text := range append(usual[:], "", "another") {
		w := &writer{}
		w.usual(text)
		r := &reader{s: string(w.b)}
		if got := r.usual(); got != text || r.end() != nil {
			t.Errorf("%q comes back as %q, %v", text, got, r.err)
		}
	}
	r := &reader{s: string([]byte{byte(len(usual) + 1)})}
	if got := r.usual(); got != "" || !errors.Is(r.end(), ErrMalformed) {
		t.Errorf("a place behind the last is %q, %v", got, r.err)
	}
}
