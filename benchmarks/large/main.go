// Command large measures what a large store takes of those who ask it: plans and
// reports in every format, a change of rules that moves nearly every verdict,
// and copies that are taken while a scan writes. Memory is anonymous memory
// (RssAnon of /proc): the mapped store is apart. The store is filled by a real
// scan of the simulator, once, and kept where -dir names it. A goal that is
// missed fails the run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shenscan/shenscan/benchmarks/rig"
)

func main() {
	r := &run{}
	var child string
	flag.StringVar(&r.shenscan, "shenscan", "bin/shenscan", "binary under test")
	flag.StringVar(&r.old, "old", "", "an older binary, whose plan of a store of its own is measured in turn")
	flag.IntVar(&r.rows, "rows", 1_000_000, "instances of the store")
	flag.StringVar(&r.dir, "dir", "", "folder in which the filled store is kept; none keeps nothing")
	flag.StringVar(&r.only, "only", "plan,report,reclassify,copy", "what to measure")
	flag.StringVar(&child, "child", "", "reclassify this store in this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := errors.New("-rows is at least 1000")
	switch {
	case child != "":
		err = reclassify(ctx, child)
	case r.rows >= 1000:
		err = r.all(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "large:", err)
		os.Exit(1)
	}
}

// run is what is measured.
type run struct {
	shenscan, old string
	rows          int
	dir, only     string
	missed        []string // goals
}

// Goals in MiB of anonymous memory.
const (
	million         = 1_000_000
	planOfMillion   = 400
	ofTenMillion    = 1024
	reclassifyGoal  = 512
	reclassifyMoves = 3 * million // that goal is for so many verdicts
)

// most is the goal of a store of this size, 0 for none.
func (r *run) most(kind string) int64 {
	switch {
	case kind == "plan" && r.rows <= million:
		return planOfMillion
	case r.rows <= 10*million:
		return ofTenMillion
	}
	return 0
}

func (r *run) all(ctx context.Context) (err error) {
	temp, err := os.MkdirTemp("", "shenscan-large-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if r.dir == "" {
		r.dir = temp
	}
	store := filepath.Join(r.dir, "store-"+strconv.Itoa(r.rows))
	if err := r.fill(ctx, r.shenscan, store); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(store, "store.db"))
	if err != nil {
		return err
	}
	fmt.Printf("%s%d instances, %d MiB\n\n", rig.Heading(), r.rows, info.Size()>>20)
	for _, part := range []struct {
		name string
		run  func(context.Context, string, string) error
	}{{"plan", r.plans}, {"report", r.reports}, {"reclassify", r.rules}, {"copy", r.copies}} {
		if !strings.Contains(","+r.only+",", ","+part.name+",") {
			continue
		}
		if err := part.run(ctx, store, temp); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Println()
	}
	if len(r.missed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(r.missed, "; "))
	}
	return nil
}

// goal notes whether a figure is within its bound.
func (r *run) goal(what string, got, most int64, unit string) string {
	switch {
	case most == 0:
		return ""
	case got <= most:
		return fmt.Sprintf("%d %s, reached", most, unit)
	}
	r.missed = append(r.missed, fmt.Sprintf("%s: %d %s, goal %d", what, got, unit, most))
	return fmt.Sprintf("%d %s, **missed**", most, unit)
}

// fill scans a simulated fleet into a store that is not there yet.
func (r *run) fill(ctx context.Context, binary, store string) error {
	if _, err := os.Stat(store); err == nil {
		return nil
	}
	url, stop, err := r.simulate(ctx)
	if err != nil {
		return err
	}
	defer stop()
	cost, err := measure(rig.Command(ctx, binary, "scan", "--endpoint", url, "--store", store+".part", "--start-rate", "100000", "--output", "table"))
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	fmt.Fprintf(os.Stderr, "scan of %d instances: %s\n", r.rows, cost)
	return os.Rename(store+".part", store)
}

func (r *run) simulate(ctx context.Context) (url string, stop func(), err error) {
	return rig.Simulate(ctx, "10", r.shenscan, "--instances", strconv.Itoa(r.rows), "--regions", "20", "--seed", "1")
}

// cost is what a process took.
type cost struct {
	wall, cpu time.Duration
	anon      int64 // MiB of anonymous memory at most
	written   int64 // bytes to stdout
}

func (c cost) String() string {
	return fmt.Sprintf("%.1f s, %.1f CPU-s, %d MiB", c.wall.Seconds(), c.cpu.Seconds(), c.anon)
}

// counter counts and forgets.
type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// measure runs a command to its end.
func measure(cmd *exec.Cmd) (cost, error) {
	var out counter
	var stderr strings.Builder
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	anon, watched := make(chan int64, 1), make(chan struct{})
	go func() { anon <- watchAnon(cmd.Process.Pid, watched) }()
	err := cmd.Wait()
	close(watched)
	c := cost{wall: time.Since(began), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), anon: <-anon, written: int64(out)}
	if err != nil {
		return c, fmt.Errorf("%s: %w: %.2000s", strings.Join(cmd.Args[1:], " "), err, stderr.String())
	}
	return c, nil
}

// watchAnon is the most anonymous memory that the process held, in MiB.
func watchAnon(pid int, done <-chan struct{}) (most int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		most = max(most, rig.Memory(pid, "RssAnon")>>10)
		select {
		case <-done:
			return most
		case <-tick.C:
		}
	}
}

const head = "| %s | wall s | CPU-s | MiB out | anonymous MiB at most | goal |\n| --- | ---: | ---: | ---: | ---: | --- |\n"

func (r *run) line(name string, c cost, most int64) {
	fmt.Printf("| %s | %.1f | %.1f | %d | %d | %s |\n", name, c.wall.Seconds(), c.cpu.Seconds(), c.written>>20, c.anon, r.goal(name, c.anon, most, "MiB"))
}

func (r *run) plans(ctx context.Context, store, _ string) error {
	fmt.Printf(head, "plan --target shenlong-7")
	if r.old != "" {
		theirs := store + "-old"
		if err := r.fill(ctx, r.old, theirs); err != nil {
			return err
		}
		for range 3 {
			for _, x := range []struct {
				name, binary, store string
				most                int64
			}{{"table, -old", r.old, theirs, 0}, {"table", r.shenscan, store, r.most("plan")}} {
				cost, err := measure(rig.Command(ctx, x.binary, "plan", "--store", x.store, "--target", "shenlong-7"))
				if err != nil {
					return err
				}
				r.line(x.name, cost, x.most)
			}
		}
	}
	for _, args := range [][]string{
		{"--output", "table"},
		{"--output", "json"},
		{"--output", "csv"},
		{"--output", "html"},
		{"--output", "markdown"},
		{"--output", "csv", "--owner-tag", "owner"},
		{"--settle"},
	} {
		cost, err := measure(rig.Command(ctx, r.shenscan, append([]string{"plan", "--store", store, "--target", "shenlong-7"}, args...)...))
		if err != nil {
			return err
		}
		r.line(strings.Join(args, " "), cost, r.most("plan"))
	}
	return nil
}

func (r *run) reports(ctx context.Context, store, temp string) error {
	fmt.Printf(head, "report")
	rules := filepath.Join(temp, "rules.yaml")
	if err := os.WriteFile(rules, fmt.Appendf(nil, stricter, "centos"), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--output", "table"},
		{"--output", "json"},
		{"--output", "json", "--compact"},
		{"--output", "jsonl"},
		{"--output", "jsonl", "--compact"},
		{"--output", "csv"},
		{"--output", "csv", "--excel"},
		{"--output", "html"},
		{"--output", "markdown"},
		{"--since", "1h", "--output", "json"},
		{"--target", "ecs.g8i", "--os", "centos", "--output", "csv"},
		{"--rules", rules, "--output", "table"},
	} {
		cost, err := measure(rig.Command(ctx, r.shenscan, append([]string{"report", "--store", store}, args...)...))
		if err != nil {
			return err
		}
		r.line(strings.ReplaceAll(strings.Join(args, " "), rules, "FILE"), cost, r.most("report"))
	}
	return nil
}
