package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shenscan/shenscan/benchmarks/rig"
)

// sample is what one run cost.
type sample struct {
	instances int
	wall      time.Duration
	cpu       time.Duration
	rss       int64 // bytes, the mapped store included
	written   int64 // bytes
}

func (s sample) perSecond() float64     { return float64(s.instances) / s.wall.Seconds() }
func (s sample) cpuSeconds() float64    { return s.cpu.Seconds() }
func (s sample) wallSeconds() float64   { return s.wall.Seconds() }
func (s sample) cpuPerMillion() float64 { return s.cpu.Seconds() * 1e6 / float64(s.instances) }
func (s sample) writtenPer() float64    { return float64(s.written) / float64(s.instances) }
func (s sample) rssMiB() float64        { return float64(s.rss) / (1 << 20) }

// measure runs every contestant once a round, so that what else the machine
// does hits all of them alike.
func (b *bench) measure(ctx context.Context, fleet fleet) (map[string][]sample, error) {
	whole, stop, err := b.simulate(ctx, fleet, fleet.instances)
	if err != nil {
		return nil, err
	}
	defer stop()
	small, few := whole, min(b.slow, fleet.instances)
	if few < fleet.instances && !fleet.alone {
		if small, stop, err = b.simulate(ctx, fleet, few); err != nil {
			return nil, err
		}
		defer stop()
	}
	samples := map[string][]sample{}
	for round := range b.rounds {
		for _, contestant := range b.all {
			if !strings.HasPrefix(contestant.name, b.only) || fleet.alone && contestant.name != ours {
				continue
			}
			sim, n := whole, fleet.instances
			if contestant.slow {
				sim, n = small, few
			}
			s, err := b.one(ctx, contestant, sim, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contestant.name, err)
			}
			fmt.Fprintf(os.Stderr, "%s  round %d  %-32s %8.0f instances/s  %7.2f CPU-s per million  %4.0f MiB\n", fleet, round+1, contestant.name, s.perSecond(), s.cpuPerMillion(), s.rssMiB())
			samples[contestant.name] = append(samples[contestant.name], s)
		}
	}
	return samples, nil
}

func (b *bench) simulate(ctx context.Context, f fleet, n int) (url string, stop func(), err error) {
	return rig.Simulate(ctx, "5", b.shenscan, "--instances", strconv.Itoa(n), "--regions", strconv.Itoa(f.regions), "--seed", "1", "--latency", f.latency.String())
}

func (b *bench) one(ctx context.Context, contestant contestant, sim string, n int) (s sample, err error) {
	dir, err := os.MkdirTemp("", "shenscan-bench-")
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args := contestant.args(b, sim, dir)
	cmd := rig.Command(ctx, args[0], args[1:]...)
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
