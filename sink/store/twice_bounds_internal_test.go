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

// Of an id that more scopes have than are remembered, and of more ids than are, pairs are
// still found with the first of them.
func TestSharedIDsKeepToTheirBounds(t *testing.T) {
	w := newWhereabouts()
	for scope := range uint32(mostHolders + 5) {
		w.put(7<<40, scope+1)
	}
	if got := len(w.shared[7<<40]); got != mostHolders {
		t.Errorf("%d scopes of an id are remembered", got)
	}
	if got := w.with(mostHolders + 5); len(got) != mostHolders || got[0] != 1 {
		t.Errorf("the last scope shares the id with %d", len(got))
	}
	w = newWhereabouts()
	for n := range uint64(mostShared + 5) {
		w.put(n<<40, 1)
		w.put(n<<40, 2)
		w.put(n<<40, 1)
	}
	w.put((mostShared+4)<<40, 3)
	if got := w.with(3); len(w.shared) != mostShared || !slices.Equal(got, []uint32{1}) {
		t.Errorf("%d ids are shared, and the last one with %v", len(w.shared), got)
	}
}

// Where ids are left out for want of room, what more than one scope has of them goes too,
// and that of the others stays.
func TestIDsThatAreLeftOutAreSharedByNobody(t *testing.T) {
	w := newWhereabouts()
	w.most = 3
	for _, scope := range []uint32{1, 2} {
		w.put(2, scope)
		w.put(3, scope)
	}
	w.put(4, 1)
	w.put(6, 1)
	if len(w.shared) != 1 || !slices.Equal(w.shared[2], []uint32{1, 2}) {
		t.Errorf("shared are %v", w.shared)
	}
}
