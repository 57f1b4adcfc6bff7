package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/benchmarks/rig"
)

// commits are the commits of the store by how long they took, as /metrics has them.
type commits struct {
	bounds []float64 // seconds
	within []float64 // commits at most that long
}

func readCommits(ctx context.Context, served *rig.Served) (c commits, err error) {
	var page strings.Builder
	if _, err := served.Get(ctx, "/metrics", &page); err != nil {
		return c, err
	}
	for line := range strings.Lines(page.String()) {
		if rest, ok := strings.CutPrefix(line, `shenscan_store_commit_duration_seconds_bucket{le="`); ok {
			bound, value, _ := strings.Cut(rest, `"} `)
			if bound != "+Inf" {
				c.bounds, c.within = append(c.bounds, number(bound)), append(c.within, number(value))
			}
		}
	}
	if len(c.bounds) == 0 {
		return c, errors.New("the metrics know no commits")
	}
	return c, nil
}

// since is the number of commits after those of before, and the time that 99 in
// a hundred of them took at most, in milliseconds: as far as the metric tells,
// the upper bound of its bucket and what a straight line in it says.
func (c commits) since(before commits) (n, p99, bound float64) {
	last := len(c.bounds) - 1
	n = c.within[last] - before.within[last]
	under := 0.0
	for i := range c.bounds {
		here := c.within[i] - before.within[i]
		if here >= 0.99*n {
			from := 0.0
			if i > 0 {
				from = c.bounds[i-1]
			}
			return n, 1e3 * (from + (c.bounds[i]-from)*(0.99*n-under)/max(here-under, 1)), 1e3 * c.bounds[i]
		}
		under = here
	}
	return n, 1e3 * c.bounds[last], 1e3 * c.bounds[last]
}

// copies takes copies of the store one after the other while a scan writes, and
// compares the commits of that scan with those of scans without.
func (r *run) copies(ctx context.Context, from, temp string) error {
	dir := filepath.Join(temp, "served")
	if err := copyStore(from, dir); err != nil {
		return err
	}
	endpoint, end, err := r.simulate(ctx)
	if err != nil {
		return err
	}
	defer end()
	served, err := rig.Serve(ctx, r.shenscan, dir, endpoint)
	if err != nil {
		return err
	}
	defer func() { _ = served.Stop() }() // the figures are there; how it ended does not change them
	fmt.Printf("| scan of all instances | s | commits | p99 of a commit, ms | its bucket ends at | copies | MiB of the file after |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	var without, with []float64
	for round := range 4 {
		copying := round%2 == 1
		p99, err := r.scanOnce(ctx, served, copying)
		if err != nil {
			return err
		}
		if copying {
			with = append(with, p99)
		} else if round > 0 {
			without = append(without, p99)
		}
	}
	fmt.Println()
	fmt.Printf("- p99 of a commit with copies: at most %.0f ms, goal %s\n", slices.Max(with), r.goal("p99 of a commit with copies", int64(slices.Max(with)), int64(2*max(without[0], 1)), "ms"))
	taken := filepath.Join(temp, "copy")
	if err := os.MkdirAll(taken, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(taken, "store.db"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := served.Get(ctx, "/api/v1/snapshot", file); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Close(), served.Stop()); err != nil {
		return err
	}
	end()
	var sums [2]string
	for i, store := range []string{dir, taken} {
		sum := sha256.New()
		cmd := rig.Command(ctx, r.shenscan, "report", "--store", store, "--output", "jsonl")
		cmd.Stdout = sum
		if _, err := measure(cmd); err != nil {
			return err
		}
		sums[i] = hex.EncodeToString(sum.Sum(nil))
	}
	if sums[0] != sums[1] {
		return errors.New("the report of the copy is another one than that of the store at rest")
	}
	fmt.Printf("- report --output jsonl of the last copy and of the store at rest: equal (sha256 %.12s…)\n", sums[0])
	return os.RemoveAll(dir)
}

// scanOnce scans everything, with copies one after the other or without.
func (r *run) scanOnce(ctx context.Context, served *rig.Served, copying bool) (p99 float64, err error) {
	before, err := readCommits(ctx, served)
	if err != nil {
		return 0, err
	}
	taken := 0
	took, err := served.Rescan(ctx, func(ctx context.Context) error {
		for copying && ctx.Err() == nil {
			if _, err := served.Get(ctx, "/api/v1/snapshot", io.Discard); err != nil {
				return err
			}
			taken++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	after, err := readCommits(ctx, served)
	if err != nil {
		return 0, err
	}
	if copying && taken == 0 {
		return 0, errors.New("no copy was taken during the scan")
	}
	n, p99, bound := after.since(before)
	info, err := os.Stat(filepath.Join(served.Dir, "store.db"))
	if err != nil {
		return 0, err
	}
	fmt.Printf("| copies %v | %.0f | %.0f | %.0f | %.0f | %d | %d |\n", copying, took.Seconds(), n, p99, bound, taken, info.Size()>>20)
	return p99, nil
}
