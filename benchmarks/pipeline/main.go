// Command pipeline runs shenscan and the loops that a person would write
// instead side by side on the same simulated fleet, alternating, and prints a
// table of medians and ratios. Every contestant is a process of its own, so
// that CPU time, peak memory and bytes written are its own; the simulator is
// another. It is a benchmark and measures nothing but loopback.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// contestant is one way to read the fleet.
type contestant struct {
	name, what string
	// share of the fleet's instances it gets: the slow ones run on a smaller
	// fleet, and every figure is per instance.
	small bool
	args  func(b *bench, sim, dir string) []string
}

var contestants = []contestant{
	{"shenscan", "scan: pages through JetStream on file storage, classified, committed to bbolt with sync", false, scanArgs("interval")},
	{"shenscan, every message synced", "the same, and every acknowledged message synced to disk", false, scanArgs("always")},
	{"(a) one loop", "the SDK's DescribeInstances, region after region; OS names in memory, nothing stored", true, childArgs("sequential")},
	{"(b) goroutine a region", "the SDK's DescribeInstances, regions side by side; nothing stored", true, childArgs("regions")},
	{"(c) as (b), our fetch", "regions side by side with shenscan's fetch and decoding; nothing stored", false, childArgs("raw")},
}

func scanArgs(sync string) func(*bench, string, string) []string {
	return func(b *bench, sim, dir string) []string {
		return []string{b.shenscan, "scan", "--endpoint", sim, "--store", dir, "--nats-sync", sync, "--start-rate", "100000", "--output", "table", "--out", filepath.Join(dir, "report.txt")}
	}
}

func childArgs(mode string) func(*bench, string, string) []string {
	return func(b *bench, sim, _ string) []string { return []string{b.self, "-child", mode, "-endpoint", sim} }
}

type bench struct {
	self, shenscan string
	large, small   int
	regions        int
	rounds         int
	latency        time.Duration
	only           string
}

// sample is what one run cost.
type sample struct {
	instances int
	wall      time.Duration
	cpu       time.Duration
	rss       int64 // bytes
	written   int64 // bytes
}

func main() {
	b := &bench{}
	var child, endpoint, out string
	flag.StringVar(&child, "child", "", "run one baseline in this process: sequential, regions or raw")
	flag.StringVar(&endpoint, "endpoint", "", "simulator for -child")
	flag.StringVar(&b.shenscan, "shenscan", "bin/shenscan", "binary under test")
	flag.IntVar(&b.large, "instances", 200_000, "instances for shenscan and (c)")
	flag.IntVar(&b.small, "small", 20_000, "instances for the slow baselines")
	flag.IntVar(&b.regions, "regions", 20, "regions of the fleet")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; every contestant runs once a round")
	flag.DurationVar(&b.latency, "latency", 0, "latency of every ECS call")
	flag.StringVar(&b.only, "only", "", "run the contestants whose name begins with this")
	flag.StringVar(&out, "out", "", "append the table to this file too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, b, child, endpoint, out); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, child, endpoint, out string) (err error) {
	if child != "" {
		return baseline(ctx, child, endpoint)
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.shenscan, err = filepath.Abs(b.shenscan); err != nil {
		return err
	}
	samples, err := b.measure(ctx)
	if err != nil {
		return err
	}
	w := io.Writer(os.Stdout)
	if out != "" {
		f, err := os.OpenFile(out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = io.MultiWriter(w, f)
	}
	b.table(w, samples)
	return nil
}

// measure runs every contestant once a round, so that what else the machine
// does hits all of them alike.
func (b *bench) measure(ctx context.Context) (map[string][]sample, error) {
	large, stopLarge, err := b.simulate(ctx, b.large)
	if err != nil {
		return nil, err
	}
	defer stopLarge()
	small, stopSmall, err := b.simulate(ctx, b.small)
	if err != nil {
		return nil, err
	}
	defer stopSmall()
	samples := map[string][]sample{}
	for round := range b.rounds {
		for _, c := range contestants {
			if !strings.HasPrefix(c.name, b.only) {
				continue
			}
			sim, n := large, b.large
			if c.small {
				sim, n = small, b.small
			}
			s, err := b.one(ctx, c, sim, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d  %-32s %8.0f instances/s  %7.2f CPU-s per million\n", round+1, c.name, s.perSecond(), s.cpuPerMillion())
			samples[c.name] = append(samples[c.name], s)
		}
	}
	return samples, nil
}

// simulate starts the simulator as a process and returns its URL.
func (b *bench) simulate(ctx context.Context, n int) (url string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, b.shenscan, "simulate", "--listen", "127.0.0.1:0", "--instances", fmt.Sprint(n),
		"--regions", fmt.Sprint(b.regions), "--seed", "1", "--latency", b.latency.String())
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the simulator: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the simulator said nothing: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

func (b *bench) one(ctx context.Context, c contestant, sim string, n int) (s sample, err error) {
	dir, err := os.MkdirTemp("", "shenscan-bench-")
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args := c.args(b, sim, dir)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "ALIBABA_CLOUD_ACCESS_KEY_ID="+ecssim.DemoAccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET="+ecssim.DemoAccessKeySecret)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%w: %s", err, stderr.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return sample{}, errors.New("this system does not tell what a process cost")
	}
	return sample{
		instances: n, wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		rss: usage.Maxrss << 10, written: usage.Oublock * 512,
	}, nil
}

func (s sample) perSecond() float64     { return float64(s.instances) / s.wall.Seconds() }
func (s sample) cpuPerMillion() float64 { return s.cpu.Seconds() * 1e6 / float64(s.instances) }
func (s sample) writtenPer() float64    { return float64(s.written) / float64(s.instances) }
func (s sample) rssMiB() float64        { return float64(s.rss) / (1 << 20) }

func median(samples []sample, of func(sample) float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (b *bench) table(w io.Writer, samples map[string][]sample) {
	ours := samples[contestants[0].name]
	fmt.Fprintf(w, "\n### %s, %s/%s, %d CPUs, %s\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	fmt.Fprintf(w, "%d instances in %d regions (slow baselines: %d), %s a call, %d rounds, medians. The simulator runs on the same CPUs and is not counted.\n\n", b.large, b.regions, b.small, b.latency, b.rounds)
	fmt.Fprintln(w, "| contestant | instances/s | CPU-s per million | peak RSS MiB | bytes written an instance | shenscan's speed to it | its CPU to shenscan's |")
	fmt.Fprintln(w, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, c := range contestants {
		s, ok := samples[c.name]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "| %s: %s | %.0f | %.2f | %.0f | %.0f | %.2fx | %.2fx |\n", c.name, c.what,
			median(s, sample.perSecond), median(s, sample.cpuPerMillion), median(s, sample.rssMiB), median(s, sample.writtenPer),
			median(ours, sample.perSecond)/median(s, sample.perSecond), median(s, sample.cpuPerMillion)/median(ours, sample.cpuPerMillion))
	}
}
