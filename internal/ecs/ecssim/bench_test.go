package ecssim

import (
	"net/http"
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
		q.token = s.tokens.seal(hash(q.hash, uint64(sc.index)), n%9000*100, 0, time.Now())
		out, apiErr := s.instancesPage(buf[:0], sc, q, "00000000-0000-0000-0000-000000000000")
		if apiErr != nil {
			b.Fatal(apiErr)
		}
		size += len(out)
	}
	b.ReportMetric(float64(size)/float64(b.N), "B/page")
}

// discard is a ResponseWriter that only counts.
type discard struct {
	h http.Header
	n int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { d.n += len(b); return len(b), nil }

// BenchmarkCall is a whole signed call without the network: signature, quota,
// statistics and the page.
func BenchmarkCall(b *testing.B) {
	at := time.Now()
	s, err := New(Options{Instances: 1_000_000, Regions: 18, Now: func() time.Time { return at }})
	if err != nil {
		b.Fatal(err)
	}
	reqs := make([]*http.Request, 5000)
	for i := range reqs {
		reqs[i] = signed(b, "http://127.0.0.1", "2014-05-26", "DescribeInstances", demoKeys(), pairs([]string{"RegionId", "cn-hangzhou", "MaxResults", "100"}))
		reqs[i].Body = http.NoBody
		reqs[i].RemoteAddr = "127.0.0.1:1"
	}
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(reqs) == 0 {
			s.nonces = nonceBox{} // the same requests again
		}
		s.ServeHTTP(w, reqs[n%len(reqs)])
	}
	if got := s.Stats(); len(got.Calls) != 1 || got.Calls[0].Code != "" {
		b.Fatalf("calls %+v", got.Calls)
	}
	b.ReportMetric(float64(w.n)/float64(b.N), "B/page")
}
