package ecssim

import (
	"testing"
	"time"
)

// BenchmarkPage renders one page of 100 instances in a region of a million.
func BenchmarkPage(b *testing.B) {
	s, err := New(Options{Instances: 1_000_000, Regions: 1})
	if err != nil {
		b.Fatal(err)
	}
	sc := s.fleet.scopes[0]
	q := &instanceQuery{to: -1, size: 100}
	buf := make([]byte, 0, 400<<10)
	size := 0
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		q.token = s.tokens.seal(hash(q.hash, uint64(sc.index)), n%9000*100, time.Now())
		out, apiErr := s.instancesPage(buf[:0], sc, q, "00000000-0000-0000-0000-000000000000")
		if apiErr != nil {
			b.Fatal(apiErr)
		}
		size += len(out)
	}
	b.ReportMetric(float64(size)/float64(b.N), "B/page")
}
