package bus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// page is a page of n instances such as a fleet has.
func page(number, n int) *event.InstancesListed {
	m := &event.InstancesListed{
		Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: ecs.Scope{Account: "1234567890123456", Region: "cn-hangzhou"}, Lane: "4k-1.0", Walk: "5c-1.0"},
		Page: number, Epoch: 1_763_000_000_000_000_000, Observed: 1_763_000_001_000_000_000,
	}
	instances := make([]ecs.Instance, n)
	for i := range instances {
		instances[i] = ecs.Instance{
			ID: fmt.Sprintf("i-bp67acfmxazb4p%04d", i), Name: fmt.Sprintf("web-%05d", number*100+i), Type: "ecs.g6.large", Family: "ecs.g6",
			ImageID: "centos_7_9_x64_20G_alibase_20220824.vhd", OSName: "CentOS  7.9 64位", OSNameEn: "CentOS  7.9 64 bit", OSType: "linux",
			Status: "Running", Zone: "cn-hangzhou-h", CreationTime: "2021-12-10T04:04Z", NetworkType: "vpc", IoOptimized: rules.Yes, OSNVMe: rules.No,
			CPU: 2, MemoryMiB: 8192, Tags: []ecs.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "payments"}},
		}
	}
	m.SetInstances(instances)
	return m
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPages is what a page costs from a producer through a stream on disk
// to a worker, broker included, in CPU time of the whole process: side by side
// as so many lanes would publish.
func BenchmarkPages(b *testing.B) {
	for _, lanes := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			o := bus.DefaultOptions()
			o.Dir, o.Sync = b.TempDir(), bus.SyncInterval
			bb, err := bus.Open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer bb.Close()
			ctx, stop := context.WithCancel(b.Context())
			var seen atomic.Int64
			all := make(chan struct{})
			var consumer sync.WaitGroup
			consumer.Go(func() {
				err := bb.Consume(ctx, bus.ConsumeBulkPages, func(context.Context, bus.Delivery) error {
					if seen.Add(1) == int64(b.N) {
						close(all)
					}
					return nil
				}, nil)
				if err != nil {
					b.Error(err)
				}
			})
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime()
			var next atomic.Int64
			var producers sync.WaitGroup
			for range lanes {
				producers.Go(func() {
					m := page(0, 100)
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						m.Page = int(i)
						if err := bb.Publish(ctx, m); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			producers.Wait()
			<-all
			b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
			b.StopTimer()
			stop()
			consumer.Wait()
		})
	}
}

// BenchmarkKV compares, in one run, what it costs to read 500 keys of a bucket
// that holds many, at once and one by one, and to read as many that are not
// there.
func BenchmarkKV(b *testing.B) {
	o := bus.DefaultOptions()
	o.Dir, o.Sync = b.TempDir(), bus.SyncInterval
	server, err := bus.Dial(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	kv, err := server.KV(b.Context(), "test", time.Hour, false)
	if err != nil {
		b.Fatal(err)
	}
	const held, asked = 100_000, 500
	writes := make([]bus.Write, 1000)
	for n := 0; n < held; n += len(writes) {
		for i := range writes {
			writes[i] = bus.Write{Key: fmt.Sprintf("1234567890123456.cn-hangzhou.m-%d", n+i), Value: make([]byte, 400), Always: true}
		}
		if _, err := kv.WriteAll(b.Context(), writes); err != nil {
			b.Fatal(err)
		}
	}
	there, absent := make([]string, asked), make([]string, asked)
	for i := range asked {
		there[i], absent[i] = fmt.Sprintf("1234567890123456.cn-hangzhou.m-%d", i*held/asked), fmt.Sprintf("1234567890123456.cn-beijing.m-%d", i)
	}
	for name, read := range map[string]func() error{
		"there":  func() error { _, err := kv.GetAll(b.Context(), there); return err },
		"absent": func() error { _, err := kv.GetAll(b.Context(), absent); return err },
		"single": func() error {
			for _, key := range there {
				if _, _, err := kv.Get(b.Context(), key); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
