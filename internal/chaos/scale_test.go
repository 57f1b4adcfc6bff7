//go:build scale

package chaos

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/record"
)

// TestProcessesScale measures what more processes bring where calls take long
// and the quota is high: 1, 2 and 4 producers that walk lanes, and 1, 2 and 4
// workers that have to look up the images of nearly every page. What is
// measured is the middle of a scan, instances stored a second; the beginning,
// in which scopes are cut, and the last lanes are in the time of the whole.
func TestProcessesScale(t *testing.T) {
	const latency = 100 * time.Millisecond
	table := []string{fmt.Sprintf("%-28s %11s %9s %9s  %s", "", "instances/s", "a process", "machine", "whole scan; CPU seconds in it")}
	measure := func(what string, n int, first float64, o setup) float64 {
		m := scanRate(t, o)
		if first == 0 {
			first = m.rate
		}
		share := m.rate / first / float64(n)
		table = append(table, fmt.Sprintf("%-28s %11.0f %8.0f%% %8.0f%%  %s", what, m.rate, 100*share, 100*m.busy, m.rest))
		if share < 0.9 && m.busy < 0.8 {
			t.Errorf("%s: %.0f %% of one's throughput each, though the machine was busy for %.0f %% only", what, 100*share, 100*m.busy)
		}
		return first
	}
	first := 0.0
	for _, n := range []int{1, 2, 4} {
		first = measure(fmt.Sprintf("%d producers of 2 lanes", n), n, first, setup{instances: 100_000, latency: latency, lanes: 2, producers: n, workers: 1})
	}
	// One worker handles eight pages side by side. At 100 ms a lookup that is
	// 80 pages a second, more than two cores serve for four workers: here the
	// lookup takes a second.
	first = 0
	for _, n := range []int{1, 2, 4} {
		first = measure(fmt.Sprintf("%d workers, images in 1 s", n), n, first, setup{instances: 120_000, images: 24_000, imageDelay: 900 * time.Millisecond, latency: latency, lanes: 48, producers: 1, workers: n})
	}
	// Where images are known, as nearly always, one worker is enough for this
	// machine and more bring nothing.
	for _, n := range []int{1, 4} {
		measure(fmt.Sprintf("%d workers, images known", n), 1, 0, setup{instances: 100_000, latency: latency, lanes: 16, producers: 1, workers: n})
	}
	t.Logf("%s a call, %d cores that run the simulator and NATS as well\n%s", latency, runtime.NumCPU(), strings.Join(table, "\n"))
}

type scaled struct {
	rate float64 // instances a second
	busy float64 // share of the machine's CPU, whoever used it
	rest string
}

func scanRate(t *testing.T, o setup) scaled {
	t.Helper()
	r := newRig(t, 11, o)
	r.start()
	r.slow()
	cpu := map[string]float64{}
	began := time.Now()
	id := r.request()
	stored := func() float64 { return float64(r.state(id).Instances) }
	reach := func(share float64) time.Time {
		within(t, 5*time.Minute, "instances flow", func() bool { return stored() >= share*float64(o.instances) })
		return time.Now()
	}
	from, idle, at := reach(0.2), idleSeconds(t), stored()
	to := reach(0.8)
	moved := stored() - at
	busy := 1 - (idleSeconds(t)-idle)/to.Sub(from).Seconds()/float64(runtime.NumCPU())
	if scans, err := r.complete(id, 5*time.Minute); err != nil || len(scans) != 1 || scans[0].State != record.ScanComplete || scans[0].Instances != o.instances {
		t.Fatalf("scan: %v %+v", err, scans)
	}
	whole := time.Since(began)
	for _, m := range append(append([]*member{r.simulator}, r.nats...), r.roles...) {
		cpu[strings.TrimRight(m.name, "0123456789")] += m.cpuSeconds(t)
	}
	rest := []string{fmt.Sprintf("%.1f s:", whole.Seconds())}
	for _, role := range []string{"producer", "worker", "sink", "nats", "simulator"} {
		rest = append(rest, fmt.Sprintf("%s %.1f", role, cpu[role]))
	}
	for stream, name := range map[string]string{bus.StreamWork: bus.ConsumeLanes.Name, bus.StreamPages: bus.ConsumeBulkPages.Name} {
		c, err := r.js.Consumer(t.Context(), stream, name)
		if err != nil {
			t.Fatal(err)
		}
		d := c.CachedInfo().Delivered
		t.Logf("%d producers, %d workers: %s: %d deliveries of %d messages", o.producers, o.workers, name, d.Consumer, d.Stream)
	}
	for _, m := range append(append([]*member{}, r.roles...), r.nats...) {
		m.stop(9)
	}
	r.simulator.stop(9)
	return scaled{moved / to.Sub(from).Seconds(), busy, strings.Join(rest, " ")}
}

// idleSeconds is how long the machine's CPUs had nothing to do since it began.
func idleSeconds(t *testing.T) float64 {
	t.Helper()
	body, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	_, idle, _ := strings.Cut(strings.TrimSpace(string(body)), " ")
	s, err := strconv.ParseFloat(idle, 64)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cpuSeconds is the CPU time of the process that runs now.
func (m *member) cpuSeconds(t *testing.T) float64 {
	t.Helper()
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(body), ") ") // the name may hold anything
	ticks := 0.0
	for _, f := range strings.Fields(after)[11:13] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return ticks / 100
}
