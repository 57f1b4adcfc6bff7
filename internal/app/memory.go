package app

import (
	"bytes"
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"
)

// LimitMemory sets the soft memory limit and the pace of the Go garbage collector
// until ctx ends.
//
// The limit is base, in bytes. Near it the collector works harder, so that a scan
// of a large fleet does not take twice the memory that it needs. A limit just above
// the live heap would leave the process no time for anything but collecting; so the
// limit is at least four thirds of what is live, and falls back to base when less
// is live. It never exceeds nine tenths of the limit of the container, if there is
// one. With base 0 those nine tenths are the limit, and nothing else is set.
//
// While the heap is smaller than a quarter of the limit, it is not collected:
// otherwise a process that has just started would collect a small heap many times.
//
// An operator's GOMEMLIMIT in the environment replaces all of this, and GOGC the
// rule of the quarter.
func LimitMemory(ctx context.Context, base int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	ceiling := containerMemory(os.ReadFile) / 10 * 9
	if base <= 0 {
		if ceiling > 0 {
			debug.SetMemoryLimit(ceiling)
		}
		return
	}
	now := memoryLimit(base, ceiling, 0, 0)
	debug.SetMemoryLimit(now)
	paced := os.Getenv("GOGC") == ""
	idle, percent := now/4, usualPercent
	if paced {
		percent = gcPercent(idle, 0)
		debug.SetGCPercent(percent)
	}
	go func() {
		usage := memoryUsage()
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			live, other := usage()
			// Setting it stops the world for a moment: not for trifles.
			if want := memoryLimit(base, ceiling, live, other); want > now+now/32 || want < now-now/16 {
				now = want
				debug.SetMemoryLimit(now)
			}
			if want := gcPercent(idle, live); paced && (want > percent+percent/8 || want < percent-percent/8) {
				percent = want
				debug.SetGCPercent(percent)
			}
		}
	}()
}

const (
	usualPercent = 100     // what the runtime begins with
	leastHeap    = 4 << 20 // it does not collect below so many bytes and usualPercent
)

// gcPercent is how much may be allocated between collections, in percent of
// the live bytes: as much as the runtime would let, and so much more that a
// heap below idle bytes is not collected.
func gcPercent(idle, live int64) int {
	if live < leastHeap {
		return int(max(usualPercent, usualPercent*idle/leastHeap))
	}
	return int(max(usualPercent, 100*idle/live-100))
}

// memoryLimit is the limit where live bytes are in use on the heap and other
// ones outside of it, which count as well. A ceiling of 0 is none.
func memoryLimit(base, ceiling, live, other int64) int64 {
	limit := max(base, live+live/3+other)
	if ceiling > 0 {
		limit = min(limit, ceiling)
	}
	return limit
}

// memoryUsage returns a function that tells what the last collection found in
// use, and what the runtime itself takes.
func memoryUsage() func() (live, other int64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	return func() (live, other int64) {
		metrics.Read(samples)
		for i, sample := range samples {
			if sample.Value.Kind() != metrics.KindUint64 { // of a runtime that does not know it
				continue
			}
			switch value := int64(sample.Value.Uint64()); i {
			case 0:
				live = value
			case 1:
				other += value
			default:
				other -= value
			}
		}
		return live, max(other, 0)
	}
}

// containerMemory returns the memory limit of the container that this process
// is in, 0 for none.
func containerMemory(read func(string) ([]byte, error)) int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(path)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		if err != nil || n <= 0 || n >= 1<<60 { // "max", and what version 1 writes for it
			return 0
		}
		return n
	}
	return 0
}
