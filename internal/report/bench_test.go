package report_test

import (
	"io"
	"testing"

	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
)

// BenchmarkWrite renders 10,000 instances in every format.
func BenchmarkWrite(b *testing.B) {
	f := reporttest.New(10_000, 5)
	r := &report.Report{Scan: f.Scan, Summary: f.Summary, Instances: f.All()}
	for _, format := range report.Formats() {
		b.Run(string(format), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := report.Write(io.Discard, format, r, options()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/instance")
		})
	}
}
