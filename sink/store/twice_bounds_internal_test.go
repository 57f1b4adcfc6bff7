package store

import (
	"slices"
	"testing"
)

// Ids whose hashes begin alike are told apart, also once there was more room made: each is
// found in a second scope.
func TestWhereaboutsOfHashesThatBeginAlike(t *testing.T) {
	w := newWhereabouts()
	alike := func(n uint64) uint64 { return 0xabcd<<48 | n<<20 }
	for n := range uint64(5) {
		w.put(alike(n), uint32(n)+1)
	}
	for n := range uint64(3000) {
		w.put(n<<50|n<<20, 99)
	}
	var want []uint32
	for n := range uint64(5) {
		w.put(alike(n), 50)
		want = append(want, uint32(n)+1)
	}
	if got := w.with(50); !slices.Equal(got, want) {
		t.Errorf("scope 50 shares ids with %v, want %v", got, want)
	}
}

// As many pairs of scopes are remembered as may be, not one more.
func TestPairsKeepToTheirBound(t *testing.T) {
	w := newWhereabouts()
	for n := range uint64(mostPairs + 50) {
		w.put(n<<40, uint32(1+n/100))
		w.put(n<<40, uint32(1000+n%100))
	}
	if len(w.pairs) != mostPairs {
		t.Errorf("%d pairs", len(w.pairs))
	}
}
