//go:build !race

// The race detector makes a sync.Pool lose things at random, so allocations are
// exact without it alone.

package event_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// fleetInstances are 100 instances such as a page of a fleet has.
func fleetInstances() []ecs.Instance {
	instances := make([]ecs.Instance, ecs.MaxPage)
	for i := range instances {
		instances[i] = ecs.Instance{
			ID: fmt.Sprintf("i-bp67acfmxazb4p%04d", i), Name: fmt.Sprintf("web-%05d", i), Type: fmt.Sprintf("ecs.g6.%dxlarge", i%8), Family: "ecs.g6",
			ImageID: fmt.Sprintf("centos_7_%d_x64_20G_alibase_20220824.vhd", i%10), OSName: "CentOS  7.9 64位", OSNameEn: "CentOS  7.9 64 bit", OSType: "linux",
			Status: "Running", Zone: "cn-hangzhou-h", CreationTime: "2021-12-10T04:04Z", NetworkType: "vpc", IoOptimized: rules.Yes, OSNVMe: rules.No,
			CPU: 2, MemoryMiB: 8192, Tags: []ecs.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "payments"}},
		}
	}
	return instances
}

// fleetPage is a page of them.
func fleetPage() *event.InstancesListed {
	m := &event.InstancesListed{
		Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: ecs.Scope{Account: "1234567890123456", Region: "cn-hangzhou"}, Lane: "4k-1.0", Walk: "5c-1.0"},
		Page: 7, Epoch: 1_763_000_000_000_000_000, Observed: 1_763_000_001_000_000_000,
	}
	m.SetInstances(fleetInstances())
	return m
}

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
	// The message, software, machines and profiles; nothing of the rows.
	if n := testing.AllocsPerRun(100, func() { _, err = event.Decode(buf) }); n > 4 || err != nil {
		t.Errorf("a page that is decoded takes %v allocations, want 4 (%v)", n, err)
	}
	// Software, machines, profiles and rows.
	instances := fleetInstances()
	if n := testing.AllocsPerRun(100, func() { m.SetInstances(instances) }); n > 4 {
		t.Errorf("a page that is taken apart takes %v allocations, want 4", n)
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
