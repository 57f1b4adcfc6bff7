// Command page measures what readers of a running shenscan wait for, over real
// HTTP, at rest and while a scan of the whole fleet writes: a scrape of
// /metrics every 250 ms, and every order of the live table under every kind of
// filter. The simulator runs on the same CPUs, at the lowest priority, and is
// not what is measured.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"net/url"
	"os"
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
	flag.StringVar(&r.shenscan, "shenscan", "bin/shenscan", "binary under test")
	flag.IntVar(&r.instances, "instances", 1_000_000, "instances of the fleet")
	flag.IntVar(&r.regions, "regions", 20, "regions of the fleet")
	flag.StringVar(&r.latency, "latency", "", "latency of every ECS call, such as 50ms")
	flag.IntVar(&r.scrapes, "scrapes", 200, "scrapes at rest")
	flag.IntVar(&r.rounds, "rounds", 3, "times that every question is asked at rest; 0 leaves the live table out")
	flag.IntVar(&r.scans, "scans", 1, "scans during which questions are asked")
	flag.DurationVar(&r.within, "within", 0, "ask every kind of filter alone, and fail where the middle answer took longer; 0 leaves that out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.all(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// run is what is measured.
type run struct {
	shenscan           string
	instances, regions int
	latency            string
	scrapes, rounds    int
	scans              int
	within             time.Duration

	served *rig.Served
}

func (r *run) all(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "shenscan-page-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	args := []string{"--instances", strconv.Itoa(r.instances), "--regions", strconv.Itoa(r.regions)}
	if r.latency != "" {
		args = append(args, "--latency", r.latency)
	}
	endpoint, stop, err := rig.Simulate(ctx, "19", r.shenscan, args...)
	if err != nil {
		return err
	}
	defer stop()
	if r.served, err = rig.Serve(ctx, r.shenscan, filepath.Join(dir, "store"), endpoint); err != nil {
		return err
	}
	defer func() { _ = r.served.Stop() }() // the figures are there; how it ended does not change them
	took, err := r.served.Rescan(ctx, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	fmt.Printf("%s%d instances in %d regions; the first scan took %s. Times in ms.\n\n", rig.Heading(), r.instances, r.regions, took.Round(time.Second))
	if r.within > 0 {
		return r.filters(ctx)
	}
	if err := r.metrics(ctx); err != nil {
		return err
	}
	if r.rounds > 0 {
		if err := r.table(ctx); err != nil {
			return err
		}
	}
	if peak := rig.Memory(r.served.PID, "VmHWM"); peak > 0 {
		fmt.Printf("Peak resident memory of serve: %d kB\n", peak)
	} else {
		fmt.Println("Peak resident memory of serve: not known")
	}
	return nil
}

// get asks and reads the whole answer.
func (r *run) get(ctx context.Context, path string) ([]byte, error) {
	var body bytes.Buffer
	_, err := r.served.Get(ctx, path, &body)
	return body.Bytes(), err
}

// times are how long answers took.
type times []time.Duration

func (t times) at(part float64) float64 { return rig.Milliseconds(t, part) }

// metrics scrapes at rest, then during a scan. Before each scrape it asks for
// an answer that costs nothing, which tells what the machine itself makes
// every reader wait.
func (r *run) metrics(ctx context.Context) error {
	var bytes int
	scrape := func(into, least *times, n int) func(context.Context) error {
		return func(ctx context.Context) error {
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for range n {
				began := time.Now()
				if _, err := r.get(ctx, "/healthz"); err != nil {
					return err
				}
				*least = append(*least, time.Since(began))
				began = time.Now()
				body, err := r.get(ctx, "/metrics")
				if err != nil {
					return err
				}
				*into, bytes = append(*into, time.Since(began)), len(body)
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-tick.C:
				}
			}
			return nil
		}
	}
	var rest, busy, restLeast, busyLeast times
	if err := scrape(&rest, &restLeast, r.scrapes)(ctx); err != nil {
		return err
	}
	took, err := r.served.Rescan(ctx, scrape(&busy, &busyLeast, 1<<30))
	if err != nil {
		return err
	}
	fmt.Printf("| one scrape every 250 ms | answers | p50 | p99 | max |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, line := range []struct {
		what string
		times
	}{
		{"/healthz at rest", restLeast},
		{fmt.Sprintf("/metrics (%d kB) at rest", bytes>>10), rest},
		{"/healthz during a scan", busyLeast},
		{"/metrics during a scan of " + took.Round(time.Second).String(), busy},
	} {
		fmt.Printf("| %s | %d | %.1f | %.1f | %.1f |\n", line.what, len(line.times), line.at(0.5), line.at(0.99), line.at(1))
	}
	fmt.Println()
	return nil
}

// question is an order and a filter of the live table.
type question struct{ order, filter string }

// questions are every order that the table offers under every kind of filter:
// what matches much, little, nothing, by what is counted and by what is not.
func (r *run) questions(ctx context.Context) ([]question, error) {
	body, err := r.get(ctx, "/api/v1/instances?limit=1&legacy=true")
	if err != nil {
		return nil, err
	}
	var list struct {
		Instances []struct {
			Account, Region string
			InstanceID      string `json:"instance_id"`
			OS              struct{ Family, Version string }
		}
	}
	if err := json.Unmarshal(body, &list); err != nil || len(list.Instances) == 0 {
		return nil, fmt.Errorf("no legacy instance in %.200s: %w", body, err)
	}
	one := list.Instances[0]
	filters := []string{
		"", "q=prod", "q=" + url.QueryEscape(one.InstanceID), "q=nothing+is+called+that", "verdict=incompatible", "target=shenlong-7&verdict=unknown",
		"os_family=" + one.OS.Family + "&os_version=" + url.QueryEscape(one.OS.Version), "legacy=true&q=prod", "region=" + one.Region, "gone=true",
	}
	var out []question
	for _, order := range []string{"place", "id", "name", "type", "os", "verdict"} {
		for _, direction := range []string{"", "desc"} {
			if order == "place" && direction != "" {
				continue // the order of keys has one direction
			}
			for _, filter := range filters {
				out = append(out, question{"sort=" + order + "&order=" + direction, filter})
			}
		}
	}
	return out, nil
}

// ask asks for the first page and, where there is one, for the next.
func (r *run) ask(ctx context.Context, question question, into map[question]*times) error {
	path := "/instances?" + question.order + "&" + question.filter
	for range 2 {
		began := time.Now()
		body, err := r.get(ctx, path)
		if err != nil {
			return err
		}
		if into[question] == nil {
			into[question] = &times{}
		}
		*into[question] = append(*into[question], time.Since(began))
		_, link, ok := strings.Cut(string(body), `rel="next" href="`)
		if !ok {
			return nil
		}
		link, _, _ = strings.Cut(link, `"`)
		path = html.UnescapeString(link)
	}
	return nil
}

// table asks every question at rest, then during scans.
func (r *run) table(ctx context.Context) error {
	questions, err := r.questions(ctx)
	if err != nil {
		return err
	}
	rest, busy := map[question]*times{}, map[question]*times{}
	for range r.rounds {
		for _, q := range questions {
			if err := r.ask(ctx, q, rest); err != nil {
				return err
			}
		}
	}
	printTable("at rest", questions, rest)
	next := 0
	var took time.Duration
	for range r.scans {
		d, err := r.served.Rescan(ctx, func(ctx context.Context) error {
			for ; ; next++ {
				// 37 has no factor in common with the number of questions, so
				// that a short scan meets all kinds of them.
				if err := r.ask(ctx, questions[next*37%len(questions)], busy); err != nil {
					return err
				}
			}
		})
		if err != nil {
			return err
		}
		took += d
	}
	printTable(fmt.Sprintf("during %d scans of %s", r.scans, (took/time.Duration(r.scans)).Round(time.Second)), questions, busy)
	return nil
}

// filters asks for the page of every filter that people can set, worst first,
// and for the one before the second.
func (r *run) filters(ctx context.Context) error {
	body, err := r.get(ctx, "/api/v1/instances?limit=1&sort=verdict")
	if err != nil {
		return err
	}
	var list struct {
		Instances []struct {
			Region         string
			InstanceFamily string            `json:"instance_family"`
			ImageID        string            `json:"image_id"`
			Tags           map[string]string `json:"tags"`
		} `json:"instances"`
	}
	if err := json.Unmarshal(body, &list); err != nil || len(list.Instances) == 0 {
		return fmt.Errorf("no instance in %.200s: %w", body, err)
	}
	one := list.Instances[0]
	asked := []string{
		"", "verdict=incompatible&target=shenlong-8", "verdict=compatible&target=shenlong-8&confidence=low", "confidence=medium", "waived=yes", "os=CentOS+5",
		"os=Windows+Server", "legacy=true", "status=Stopped", "status=Running&verdict=unknown", "family=" + one.InstanceFamily, "image=" + url.QueryEscape(one.ImageID),
		"region=" + one.Region, "q=prod", "q=nothing+is+called+that", "gone=true", "exclude=status=Stopped",
	}
	for key, value := range one.Tags {
		asked = append(asked, "tag="+url.QueryEscape(key), "tag="+url.QueryEscape(key+"="+value))
		break
	}
	fmt.Printf("| filter of the page, worst first, and back | answers | p50 | max |\n| --- | ---: | ---: | ---: |\n")
	var slow []string
	for _, filter := range asked {
		var took times
		for range max(r.rounds, 3) {
			path := "/instances?" + filter
			for _, link := range []string{`rel="next" href="`, `rel="prev" href="`, ""} {
				began := time.Now()
				body, err := r.get(ctx, path)
				if err != nil {
					return err
				}
				took = append(took, time.Since(began))
				_, after, ok := strings.Cut(string(body), link)
				if !ok || link == "" {
					break
				}
				after, _, _ = strings.Cut(after, `"`)
				path = html.UnescapeString(after)
			}
		}
		fmt.Printf("| %s | %d | %.0f | %.0f |\n", filter, len(took), took.at(0.5), took.at(1))
		if took.at(0.5) > float64(r.within.Milliseconds()) {
			slow = append(slow, filter)
		}
	}
	if len(slow) > 0 {
		return fmt.Errorf("%d filters took longer than %v: %s", len(slow), r.within, strings.Join(slow, ", "))
	}
	return nil
}

// printTable shows a line for each order, over all filters.
func printTable(when string, questions []question, all map[question]*times) {
	fmt.Printf("| live table, %s | answers | p50 | p99 | max | slowest filter |\n| --- | ---: | ---: | ---: | ---: | --- |\n", when)
	var order string
	var sum, total times
	worst, slowest := 0.0, ""
	flush := func() {
		if len(sum) > 0 {
			fmt.Printf("| %s | %d | %.0f | %.0f | %.0f | %s |\n", order, len(sum), sum.at(0.5), sum.at(0.99), sum.at(1), slowest)
		}
		sum, worst, slowest = nil, 0, ""
	}
	for _, question := range questions {
		if question.order != order {
			flush()
			order = question.order
		}
		t := all[question]
		if t == nil {
			continue
		}
		sum, total = append(sum, *t...), append(total, *t...)
		if m := t.at(1); m > worst {
			worst, slowest = m, question.filter
		}
	}
	flush()
	fmt.Printf("| all | %d | %.0f | %.0f | %.0f | |\n\n", len(total), total.at(0.5), total.at(0.99), total.at(1))
}
