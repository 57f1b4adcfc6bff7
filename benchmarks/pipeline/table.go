package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is what one fleet gave.
type result struct {
	fleet   fleet
	samples map[string][]sample
}

func (r result) median(name string, of func(sample) float64) float64 {
	values := make([]float64, 0, len(r.samples[name]))
	for _, s := range r.samples[name] {
		values = append(values, of(s))
	}
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 0 {
		return (values[mid-1] + values[mid]) / 2
	}
	return values[mid]
}

// heading says when, where and of what commit.
func heading(ctx context.Context, bench *bench) {
	commit := "unknown commit"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = "commit " + strings.TrimSpace(string(out))
	}
	fmt.Printf("\n## %s, %s\n\n%s/%s, %d CPUs%s, %s. %d rounds, medians. The simulator runs on the same CPUs and is not counted; peak RSS includes the mapped store.\n",
		time.Now().UTC().Format(time.DateOnly), commit, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), runtime.Version(), bench.rounds)
}

// cpuModel is what Linux calls the processor, "" where nobody says.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return " (" + strings.TrimSpace(value) + ")"
		}
	}
	return ""
}

func table(bench *bench, result result) {
	fmt.Printf("\n### %s\n\n", result.fleet)
	if !result.fleet.alone && bench.slow < result.fleet.instances {
		fmt.Printf("What goes through the SDK's own decoding read %d instances.\n\n", bench.slow)
	}
	fmt.Println("| contestant | instances/s | wall s | CPU-s | CPU-s per million | peak RSS MiB | bytes written an instance | shenscan's speed to it | its CPU to shenscan's |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, contestant := range bench.all {
		if len(result.samples[contestant.name]) == 0 {
			continue
		}
		m := func(of func(sample) float64) float64 { return result.median(contestant.name, of) }
		fmt.Printf("| %s: %s | %.0f | %.1f | %.1f | %.2f | %.0f | %.0f | %.2fx | %.2fx |\n", contestant.name, contestant.what,
			m(sample.perSecond), m(sample.wallSeconds), m(sample.cpuSeconds), m(sample.cpuPerMillion), m(sample.rssMiB), m(sample.writtenPer),
			result.median(ours, sample.perSecond)/m(sample.perSecond), m(sample.cpuPerMillion)/result.median(ours, sample.cpuPerMillion))
	}
}

// goals says which of what was aimed at was reached. It judges what was
// measured and nothing else.
func goals(done []result) {
	var lines []string
	add := func(reached bool, format string, args ...any) {
		mark := "not reached"
		if reached {
			mark = "reached"
		}
		lines = append(lines, "- "+mark+": "+fmt.Sprintf(format, args...))
	}
	var small, large result
	for _, r := range done {
		cpu, speed := r.median(ours, sample.cpuPerMillion), r.median(ours, sample.perSecond)
		if b := r.median(aRegion, sample.cpuPerMillion); !math.IsNaN(b/cpu) && r.fleet.latency == 0 {
			add(b/cpu >= 25, "%s: CPU %.1f times less than %s, goal 25", r.fleet, b/cpu, aRegion)
		}
		if b := r.median(aRegion, sample.perSecond); !math.IsNaN(speed/b) && r.fleet.latency == 0 {
			add(speed/b >= 25, "%s: %.1f times the instances a second of %s, goal 25", r.fleet, speed/b, aRegion)
		}
		if c := r.median(ownFetch, sample.perSecond); !math.IsNaN(speed / c) {
			add(speed/c >= 1.5, "%s: %.2f times the instances a second of %s, goal 1.5", r.fleet, speed/c, ownFetch)
		}
		if d := r.median(keptFetch, sample.perSecond); !math.IsNaN(speed / d) {
			add(speed/d >= 1.5, "%s: %.2f times the instances a second of %s, which stores something too, goal 1.5", r.fleet, speed/d, keptFetch)
		}
		if r.fleet.instances == 1_000_000 && !math.IsNaN(cpu) {
			add(cpu <= 13, "%s: %.1f CPU-s, goal at most 13", r.fleet, cpu)
			rss := r.median(ours, sample.rssMiB)
			add(rss < 512, "%s: peak RSS %.0f MiB, goal below 512", r.fleet, rss)
		}
		if r.fleet.regions == 20 && r.fleet.latency == 0 && !math.IsNaN(cpu) {
			switch r.fleet.instances {
			case 100_000:
				small = r
			case 1_000_000:
				large = r
			}
		}
	}
	if off := large.median(ours, sample.cpuPerMillion) / small.median(ours, sample.cpuPerMillion); !math.IsNaN(off) {
		add(off > 0.85 && off < 1.15, "an instance of 1,000,000 costs %.2f times one of 100,000, goal within 15 %%", off)
	}
	if len(lines) > 0 {
		fmt.Printf("\n### Goals\n\n%s\n", strings.Join(lines, "\n"))
	}
}
