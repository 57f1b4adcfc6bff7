package main_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/trace/tracetest"
)

// A scan by four processes, nats-server apart, is one trace: from the caller's
// request over each page to the commit that holds it.
func TestAScanIsOneTraceAcrossProcesses(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 600, Regions: 6, Seed: 3})
	collector := tracetest.Start()
	defer collector.Close()
	url := nats(t)
	common := []string{"--nats-url", url, "--log-level", "info", "--log-format", "json"}
	sinkProc := start(t, env("SHENSCAN_OTLP_ENDPOINT="+collector.URL), shenscan, append([]string{"sink", "--store", t.TempDir(), "--listen", ""}, common...)...)
	worker := start(t, env("OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL), shenscan, append([]string{"worker", "--endpoint", sim.URL}, common...)...)
	producerProc := start(t, env(), shenscan, append([]string{"producer", "--endpoint", sim.URL, "--otlp-endpoint", collector.URL}, common...)...)
	eventually(t, "the producer answers", func() bool { return run(t, env(), "rescan", "--all", "--nats-url", url).code == 0 })
	for _, p := range []*process{producerProc, worker, sinkProc} {
		p.stop() // what is left is sent
	}
	spans := collector.Spans()
	byID := map[string]tracetest.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	way := func(s tracetest.Span) []string { // names from the root down
		var names []string
		for ok := true; ok; s, ok = byID[s.Parent] {
			names = append(names, strings.TrimPrefix(s.Service, "shenscan-")+": "+s.Name)
		}
		slices.Reverse(names)
		return names
	}
	want := []string{
		"producer: answer shenscan.scan", "producer: publish scan.requested", "producer: process scan.requested",
		"producer: publish scope.job", "producer: process scope.job", "producer: publish lane.job", "producer: process lane.job",
		"producer: publish instances.listed", "worker: process instances.listed", "worker: publish instances.classified",
		"sink: fold instances.classified",
	}
	count := map[string]int{}
	traces := map[string]bool{}
	for _, s := range spans {
		count[s.Name]++
		for key, value := range s.Attrs {
			if strings.Contains(value, ecssim.DemoAccessKeySecret) || strings.Contains(value, ecssim.DemoAccessKeyID) {
				t.Errorf("%s holds a key in %s", s.Name, key)
			}
		}
		if s.Name != "fold instances.classified" {
			continue
		}
		traces[s.Trace] = true
		if got := way(s); !slices.Equal(got, want) {
			t.Fatalf("the way of a page is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		committed := slices.ContainsFunc(s.Links, func(id string) bool {
			c := byID[id]
			return c.Name == "commit results" && slices.Contains(c.Links, s.ID)
		})
		if !committed || s.Attrs["shenscan.scan"] == "" || s.Attrs["shenscan.account"] == "" || s.Attrs["shenscan.region"] == "" || s.Attrs["shenscan.instances"] == "" {
			t.Errorf("committed %v: %+v", committed, s)
		}
	}
	if len(traces) != 1 || count["fold instances.classified"] == 0 || count["fold instances.classified"] != count["publish instances.listed"] {
		t.Errorf("%d traces; spans %v", len(traces), count)
	}
	for _, name := range []string{"DescribeInstances", "DescribeImages", "DescribeRegions", "fetch page", "look up images", "classify", "cut scope", "commit results", "fold scan.planned"} {
		if count[name] == 0 {
			t.Errorf("no span %q in %v", name, count)
		}
	}
	id := ""
	for id = range traces { //nolint:revive // the only one
	}
	if !strings.Contains(producerProc.output(), `"trace_id":"`+id+`"`) {
		t.Errorf("no line of the producer's log names the trace %s:\n%s", id, producerProc.output())
	}
}

// A collector that takes every request and answers none changes nothing.
func TestASilentCollectorDoesNotDisturbAScan(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	sim := simulator(t, ecssim.Options{Instances: 500, Regions: 4, Seed: 3})
	quiet := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--output", "jsonl")
	traced := run(t, env("OTEL_EXPORTER_OTLP_ENDPOINT="+silent.URL), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--output", "jsonl")
	if quiet.code != 0 || traced.code != 0 || len(records(t, traced.stdout)) != 500 || !strings.Contains(traced.stderr, "spans were not delivered") {
		t.Errorf("exit %d and %d, %d records", quiet.code, traced.code, len(records(t, traced.stdout)))
	}
	// The exporter writes headers that it cannot read to standard error, unless it is kept from it.
	unread := env("OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=b", "OTEL_EXPORTER_OTLP_HEADERS=hush-hush")
	away := run(t, unread, "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--otlp-endpoint", "http://127.0.0.1:1", "--output", "jsonl")
	if away.code != 0 || len(records(t, away.stdout)) != 500 || strings.Contains(away.stderr, "hush-hush") {
		t.Errorf("collector away: exit %d, %d records, %s", away.code, len(records(t, away.stdout)), away.stderr)
	}
	if wrong := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--otlp-endpoint", "collector:4318"); wrong.code != 2 {
		t.Errorf("no URL: exit %d, want 2", wrong.code)
	}
}
