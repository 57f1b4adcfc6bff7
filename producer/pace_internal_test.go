package producer

import (
	"fmt"
	"testing"
)

// Side by side of an account is as much as it serves in ten seconds, and one at
// the least; without a ceiling, all.
func TestAnAccountHasTurnsForTenSeconds(t *testing.T) {
	for rate, want := range map[float64]int{0.05: 1, 0.1: 1, 0.5: 5, 2: 20} {
		p, turns := (&paces{rate: rate}).of("1"), 0
		for p.another() {
			turns++
		}
		if turns != want {
			t.Errorf("%g calls a second: %d turns, want %d", rate, turns, want)
		}
	}
	if p := (&paces{}).of("1"); p != nil {
		t.Errorf("an account without a ceiling has one: %+v", p)
	}
}

// What is remembered of accounts is bounded: messages name them.
func TestPacesAreBounded(t *testing.T) {
	ps := &paces{rate: 1}
	first := ps.of("0")
	for i := range maxPaces {
		ps.of(fmt.Sprint(i))
	}
	if len(ps.m) != maxPaces || ps.of("0") != first {
		t.Errorf("%d accounts are remembered, and the first anew: %t", len(ps.m), ps.of("0") != first)
	}
	if ps.of("one more"); len(ps.m) != 1 {
		t.Errorf("%d accounts are remembered after one too many", len(ps.m))
	}
}
