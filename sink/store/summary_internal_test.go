package store

import (
	"testing"
	"time"
)

// A commit that takes exactly as long as a bound of the histogram is one of at most that
// long, as whoever reads the metric takes it, and one that takes longer is not.
func TestACommitIsCountedByItsBound(t *testing.T) {
	for i, bound := range commitBounds {
		var c commitStats
		exact := time.Duration(bound * float64(time.Second))
		c.observe(exact)
		if c.buckets[i].Load() != 1 {
			t.Errorf("a commit of %s is not one of at most %v seconds", exact, bound)
		}
		c.observe(exact + 1)
		if c.buckets[i].Load() != 1 || c.count.Load() != 2 {
			t.Errorf("a commit of %s is one of at most %v seconds", exact+1, bound)
		}
	}
}
