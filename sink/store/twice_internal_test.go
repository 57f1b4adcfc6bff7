package store

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWhereaboutsFindWhatTwoScopesShare puts ids of several scopes, some of them
// in two, and remembers no more of them than it may.
func TestWhereaboutsFindWhatTwoScopesShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, tc := range map[string]struct{ ids, shared, most int }{
		"one shared":                   {20_000, 1, mostPlaces},
		"none shared":                  {20_000, 0, mostPlaces},
		"some shared, of far too many": {50_000, 200, 2_000},
		"a hash of zero is an id, too": {0, 1, mostPlaces},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWhereabouts()
			w.most = tc.most
			for i := range tc.ids {
				w.put(r.Uint64(), uint32(i%7+1))
			}
			for range tc.shared {
				h := r.Uint64()
				if tc.ids == 0 {
					h = 0
				}
				w.put(h, 3)
				w.put(h, 3) // again, as one scope has it
				w.put(h, 5)
			}
			want := []uint32(nil)
			if tc.shared > 0 {
				want = []uint32{5}
			}
			if got := w.with(3); !slices.Equal(got, want) {
				t.Errorf("scope 3 shares ids with %v", got)
			}
			if n := len(w.scopes); n > tc.most || n < min(tc.ids, tc.most/4) {
				t.Errorf("%d ids are remembered, of %d and at most %d", n, tc.ids, tc.most)
			}
			w.forget(5, 3)
			if got := w.with(5); got != nil {
				t.Errorf("after they were forgotten, scope 5 shares ids with %v", got)
			}
		})
	}
}
