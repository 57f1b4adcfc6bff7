//go:build !race && !mutants

// The race detector makes a sync.Pool lose things at random, and functions that
// internal/tools/mutants changed are not inlined any more, which moves values to the
// heap: allocations are exact without both alone.

package event_test

import (
	"testing"

	"github.com/shenscan/shenscan/internal/event"
)

// What a page costs on its way is held in allocations, which are exact, and
// not in time.
func TestAllocationsOfAPage(t *testing.T) {
	m := fleetPage()
	buf, err := event.Append(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { buf, err = event.Append(buf[:0], m) }); n != 0 || err != nil {
		t.Errorf("a page that is encoded into used bytes takes %v allocations, want none (%v)", n, err)
	}
	// The message and its reader, software, machines and profiles; nothing of the rows.
	if n := testing.AllocsPerRun(100, func() { _, err = event.Decode(buf) }); n > 5 || err != nil {
		t.Errorf("a page that is decoded takes %v allocations, want 5 (%v)", n, err)
	}
	// Software, machines, profiles and rows, and a key of the map for each software:
	// nothing for an instance.
	instances := fleetInstances()
	if n, most := testing.AllocsPerRun(100, func() { m.SetInstances(instances) }), 4+len(m.Software); n > float64(most) {
		t.Errorf("a page that is taken apart takes %v allocations, want %d", n, most)
	}
}

func BenchmarkTakeApart(b *testing.B) {
	instances := fleetInstances()
	var m event.InstancesListed
	b.ReportAllocs()
	for b.Loop() {
		m.SetInstances(instances)
	}
}

func BenchmarkEncodeListed(b *testing.B) {
	m := fleetPage()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = event.Append(buf[:0], m); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeListed(b *testing.B) {
	buf, err := event.Encode(fleetPage())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
