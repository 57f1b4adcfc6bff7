package event

import (
	"errors"
	"testing"
)

// Stores hold usual texts by their place: none may ever have another, and each
// takes one byte. Who adds one behind them gives messages and stores a new version.
func TestUsualTextsKeepTheirPlaces(t *testing.T) {
	places := []string{
		CauseNoAgent, CauseSilent, CauseRestarted, CauseFuture, CauseOddAgent, CauseNoStart, CauseLeftOut, CauseShare, MendShare,
		CauseConsoleOld, CauseConsoleOpen, CauseConsoleBad, CauseConsoleCall, MendConsole,
	}
	if len(usual) != len(places) || flatVersion != 7 {
		t.Errorf("%d usual texts in version %d, where version 7 has %d: a new version goes with each text that is added", len(usual), flatVersion, len(places))
	}
	for i, text := range places {
		w := &writer{}
		w.usual(text)
		if place := byte(i + 1); len(w.b) != 1 || w.b[0] != place {
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
