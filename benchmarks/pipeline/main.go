// Command pipeline runs shenscan and the loops that a person would write
// instead side by side on the same simulated fleets, alternating, and prints a
// table of medians and ratios for every fleet, and what they say of the goals.
// Every contestant is a process of its own, so that CPU time, peak memory and
// bytes written are its own; the simulator is another. It is a benchmark and
// measures nothing but loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contestant is one way to read the fleet.
type contestant struct {
	name, what string
	// slow ones read a smaller fleet; every figure is per instance.
	slow bool
	args func(b *bench, sim, dir string) []string
}

const (
	ours      = "shenscan"
	oneLoop   = "(a) one loop"
	aRegion   = "(b) goroutine a region"
	ownFetch  = "(c) as (b), our fetch"
	keptFetch = "(d) as (c), kept in bbolt"
	everySync = "shenscan, every message synced"
)

func contestants(peers []string) []contestant {
	out := []contestant{
		{ours, "scan: pages through JetStream on file storage, classified, committed to bbolt with sync", false, scanArgs("interval")},
		{everySync, "the same, and every acknowledged message synced to disk", false, scanArgs("always")},
		{oneLoop, "the SDK's DescribeInstances, region after region; OS names in memory, nothing stored", true, childArgs("sequential")},
		{aRegion, "the SDK's DescribeInstances, regions side by side; nothing stored", true, childArgs("regions")},
		{ownFetch, "regions side by side with shenscan's fetch and decoding; nothing stored", false, childArgs("raw")},
		{keptFetch, "the same, and each page's OS names in bbolt by one synced transaction; no verdict, no message, no restart", false, childArgs("kept")},
	}
	for _, p := range peers {
		name, command, _ := strings.Cut(p, "=")
		out = append(out, contestant{name, "`" + strings.ReplaceAll(command, "|", `\|`) + "`", true, func(_ *bench, sim, dir string) []string {
			return []string{"env", "ENDPOINT=" + sim, "DIR=" + dir, "sh", "-c", command}
		}})
	}
	return out
}

func scanArgs(sync string) func(*bench, string, string) []string {
	return func(b *bench, sim, dir string) []string {
		return []string{b.shenscan, "scan", "--endpoint", sim, "--store", dir, "--nats-sync", sync, "--start-rate", "100000", "--output", "table", "--out", filepath.Join(dir, "report.txt")}
	}
}

func childArgs(mode string) func(*bench, string, string) []string {
	return func(b *bench, sim, dir string) []string {
		return []string{b.self, "-child", mode, "-endpoint", sim, "-dir", dir}
	}
}

// fleet is one situation: how many instances in how many regions, and how long
// a call takes.
type fleet struct {
	instances, regions int
	latency            time.Duration
	alone              bool // shenscan alone, without the baselines
}

func (f fleet) String() string {
	return fmt.Sprintf("%d instances in %d regions, %s a call", f.instances, f.regions, f.latency)
}

// fleets reads "200000/20/0s,200000/20/50ms,1000000/1/0s/alone".
func fleets(s string) ([]fleet, error) {
	var out []fleet
	for one := range strings.SplitSeq(s, ",") {
		parts := strings.Split(one, "/")
		if len(parts) != 3 && (len(parts) != 4 || parts[3] != "alone") {
			return nil, fmt.Errorf("fleet %q is not INSTANCES/REGIONS/LATENCY with /alone behind it or not", one)
		}
		var f fleet
		var err [3]error
		f.instances, err[0] = strconv.Atoi(parts[0])
		f.regions, err[1] = strconv.Atoi(parts[1])
		f.latency, err[2] = time.ParseDuration(parts[2])
		if err := errors.Join(err[:]...); err != nil {
			return nil, fmt.Errorf("fleet %q: %w", one, err)
		}
		f.alone = len(parts) == 4
		out = append(out, f)
	}
	return out, nil
}

type bench struct {
	self, shenscan string
	slow           int // instances for the slow contestants
	rounds         int
	only           string
	all            []contestant
}

func main() {
	b := &bench{}
	var child, endpoint, dir, list string
	var peers []string
	flag.StringVar(&child, "child", "", "run one baseline in this process: sequential, regions, raw or kept")
	flag.StringVar(&endpoint, "endpoint", "", "simulator for -child")
	flag.StringVar(&dir, "dir", "", "folder for what -child kept writes")
	flag.StringVar(&b.shenscan, "shenscan", "bin/shenscan", "binary under test")
	flag.StringVar(&list, "fleets", "200000/20/0s,200000/20/50ms,200000/1/0s,1000000/20/0s,100000/20/0s/alone,1000000/1/0s/alone",
		"fleets to measure, each INSTANCES/REGIONS/LATENCY, with /alone behind it for shenscan alone")
	flag.IntVar(&b.slow, "slow", 8_000, "instances for what goes through the SDK's own decoding")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds; every contestant runs once a round")
	flag.StringVar(&b.only, "only", "", "run the contestants whose name begins with this")
	flag.Func("peer", "NAME=COMMAND: a further contestant, a shell command that lists the fleet at $ENDPOINT (and may write to $DIR); may be given again", func(v string) error {
		peers = append(peers, v)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b.all = contestants(peers)
	if err := run(ctx, b, child, endpoint, dir, list); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bench *bench, child, endpoint, dir, list string) error {
	if child != "" {
		return baseline(ctx, child, endpoint, dir)
	}
	situations, err := fleets(list)
	if err != nil {
		return err
	}
	if bench.self, err = os.Executable(); err != nil {
		return err
	}
	if bench.shenscan, err = filepath.Abs(bench.shenscan); err != nil {
		return err
	}
	heading(ctx, bench)
	var done []result
	for _, fleet := range situations {
		samples, err := bench.measure(ctx, fleet)
		if err != nil {
			return fmt.Errorf("%s: %w", fleet, err)
		}
		done = append(done, result{fleet, samples})
		table(bench, done[len(done)-1])
	}
	goals(done)
	return nil
}
