package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/benchmarks/rig"
	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/sink/store"
)

// stricter moves the verdicts of some families.
const stricter = `version: 1
sources:
  bench: This benchmark
rules:
  - id: bench.strict
    title: "What a cautious team tests first"
    stage: os
    when: {family: [%s]}
    verdicts: {kvm: unknown, shenlong-6: unknown, shenlong-7: unknown, shenlong-8: unknown}
    confidence: high
    reason: "Not tested yet."
    source: bench
    fire: ["CentOS 7.9 64位"]
    hold: ["FreeBSD 11.1"]
`

// rules changes the rules of a copy of the store in a process of its own.
func (r *run) rules(ctx context.Context, from, temp string) error {
	dir := filepath.Join(temp, "judged-anew")
	if err := copyStore(from, dir); err != nil {
		return err
	}
	// Most of what fleets run; of ten million, the three million that the goal is
	// about.
	families := "centos, ubuntu, debian, alinux, windows-server, rhel, sles"
	if r.rows > 2*reclassifyMoves {
		families = "centos"
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), fmt.Appendf(nil, stricter, families), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var said strings.Builder
	cmd := rig.Command(ctx, self, "-child", dir)
	cmd.Stdout = &said
	cost, err := measure(cmd)
	if err != nil {
		return err
	}
	most := int64(reclassifyGoal)
	if r.rows > 2*reclassifyMoves {
		most = r.most("reclassify")
	}
	fmt.Printf("Judging anew: %s\n\n%s\n", cost, said.String())
	fmt.Printf("Anonymous memory at most %d MiB; goal %s\n\n", cost.anon, r.goal("reclassify", cost.anon, most, "MiB"))
	if err := r.told(ctx, dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// told measures reports of what that change moved.
func (r *run) told(ctx context.Context, dir string) error {
	fmt.Printf(head, "report --since 720h, of what moved")
	for _, output := range []string{"table", "json", "jsonl", "csv", "html", "markdown"} {
		cost, err := measure(rig.Command(ctx, r.shenscan, "report", "--store", dir, "--rules", filepath.Join(dir, "rules.yaml"), "--since", "720h", "--output", output))
		if err != nil {
			return err
		}
		r.line(output, cost, r.most("report"))
	}
	return nil
}

func copyStore(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// pace is how long the one who takes events waits after each few hundred: to
// read an event takes several times what it takes to write one, and what is
// measured is not that.
const pace = 250 * time.Millisecond

// reclassify judges the store by the rules that lie in it. Meanwhile totals and
// instances are read and events are taken off the outbox.
func reclassify(ctx context.Context, dir string) error {
	app.LimitMemory(ctx, 288<<20) // what the command line has
	now, err := app.Classifier(nil, nil)
	if err != nil {
		return err
	}
	next, err := app.Classifier([]string{filepath.Join(dir, "rules.yaml")}, nil)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{Path: app.StoreFile(dir), Classifier: now})
	if err != nil {
		return err
	}
	defer db.Close()
	before := db.Size()
	done := make(chan struct{})
	var running sync.WaitGroup
	var reads []time.Duration
	var took error
	telling := 0 // reads while what moved was being told
	running.Go(func() { reads, telling, took = readOn(ctx, db, done) })
	events, first, sent := 0, time.Duration(0), error(nil)
	began := time.Now()
	running.Go(func() {
		for {
			entries, err := db.Outbox(0, 256)
			if err == nil && len(entries) > 0 {
				if events == 0 {
					first = time.Since(began)
				}
				events += len(entries)
				err = db.Delivered(entries[len(entries)-1].Key)
			}
			if err != nil {
				sent = err
				return
			}
			select {
			case <-done: // what is left is in the file
				return
			case <-time.After(pace):
			}
		}
	})
	applied, err := db.Reclassify(ctx, next)
	wall := time.Since(began)
	close(done)
	running.Wait()
	if err := errors.Join(err, took, sent); err != nil {
		return err
	}
	fmt.Printf("- %d instances have another verdict, after %.1f s\n", applied.Moved, wall.Seconds())
	fmt.Printf("- %d events were taken off the outbox meanwhile, the first after %.1f s; the others wait in it\n", events, first.Seconds())
	fmt.Printf("- %d times the totals and 100 instances were read meanwhile, %d of them while what moved was being told: p50 %.0f ms, p99 %.0f ms, at most %.0f ms\n",
		len(reads), telling, rig.Milliseconds(reads, 0.5), rig.Milliseconds(reads, 0.99), rig.Milliseconds(reads, 1))
	fmt.Printf("- the file had %d MiB before and %d after\n", before>>20, db.Size()>>20)
	if applied.Moved == 0 || events == 0 {
		return errors.New("nothing moved, or no event came")
	}
	return nil
}

// readOn reads totals and instances of one moment, over and over.
func readOn(ctx context.Context, db *store.DB, done <-chan struct{}) (took []time.Duration, telling int, err error) {
	for {
		began := time.Now()
		view, err := db.View(ctx, nil, store.Filter{})
		if err != nil {
			return took, telling, err
		}
		if view.Summary().Rejudging != nil {
			telling++
		}
		n := 0
		for _, failed := range view.Instances(ctx) {
			if err = failed; err != nil {
				break
			}
			if n++; n == 100 {
				break
			}
		}
		if err := errors.Join(err, view.Close()); err != nil {
			return took, telling, err
		}
		if n == 0 {
			return took, telling, errors.New("no instance was read")
		}
		took = append(took, time.Since(began))
		select {
		case <-done:
			return took, telling, nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// number reads a figure of a metric.
func number(s string) float64 {
	n, _ := strconv.ParseFloat(strings.TrimSpace(s), 64) // 0 where it is none
	return n
}
