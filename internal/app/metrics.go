package app

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
)

// Metrics are what the running pipeline counts; the fleet's own numbers come
// from the store. Labels are bounded: accounts, regions, actions and codes of
// the API, never an instance.
type Metrics struct {
	requests   *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	retries    *prometheus.CounterVec
	rate       *prometheus.GaugeVec
	classified prometheus.Counter
	dead       *prometheus.CounterVec
	pending    *prometheus.GaugeVec
	ackPending *prometheus.GaugeVec
	ticks      *prometheus.CounterVec
	aborted    *prometheus.CounterVec
	deadHeld   prometheus.Gauge
	// Of the page and the API, by the address of the route.
	requestSeconds *prometheus.HistogramVec
	streamBytes    *prometheus.GaugeVec

	connected     prometheus.Gauge
	quorum        prometheus.Gauge
	streamPresent *prometheus.GaugeVec
	consumerUp    *prometheus.GaugeVec
	restarts      *prometheus.CounterVec
	restartsSeen  map[string]uint64 // for watchBus alone
	storeInPlace  prometheus.Gauge

	knowledge     *knowledge
	reloadSuccess prometheus.Gauge
	reloadTime    prometheus.Gauge
}

// newMetrics registers the pipeline's metrics with reg, and what the rule set
// says of its own age and of its waivers.
func newMetrics(reg prometheus.Registerer, ruleset *rules.Ruleset) *Metrics {
	made := promauto.With(reg)
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return made.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return made.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return made.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	metrics := &Metrics{
		requests: counters("shenscan_ecs_requests_total", "Calls of the ECS API by account, region, action and the API's code (OK when it answered).", "account", "region", "action", "code"),
		seconds: made.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shenscan_ecs_request_duration_seconds", Help: "How long one call of the ECS API took, the wait for the rate limit apart.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"region", "action"}),
		retries:    counters("shenscan_ecs_retries_total", "Calls of the ECS API that were tried again.", "account", "region", "action"),
		rate:       gauges("shenscan_ecs_rate_limit", "Calls a second that the adaptive limiter allows now.", "account", "region", "action"),
		classified: made.NewCounter(prometheus.CounterOpts{Name: "shenscan_classified_total", Help: "Instances classified by this process, repeats included."}),
		dead:       counters("shenscan_dead_letters_total", "Messages that this process dead-lettered.", "stream"),
		pending:    gauges("shenscan_consumer_pending_messages", "Messages that wait for a consumer.", "stream", "consumer"),
		ackPending: gauges("shenscan_consumer_ack_pending_messages", "Messages delivered to a consumer and not acknowledged yet.", "stream", "consumer"),
		ticks:      counters("shenscan_schedule_ticks_total", "Ticks of schedules that this process took: started a scan, joined one that ran, or skipped because the schedule's own scan still ran.", "schedule", "outcome"),
		aborted:    counters("shenscan_scans_aborted_total", "Scans that this sink ended because they could not go on, by cause: streams-lost (NATS came back without its streams), work-lost (NATS held no job and no page that was still to be done) or idle (no progress for --scan-idle).", "cause"),
		requestSeconds: made.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shenscan_http_request_duration_seconds", Help: "How long requests to the page and the API took, by the address of the route.",
			Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"route"}),
		deadHeld:      gauge("shenscan_dead_letters_held", "Dead letters that wait for `shenscan dead retry` or `drop`."),
		streamBytes:   gauges("shenscan_stream_bytes", "Bytes that a stream holds.", "stream"),
		connected:     gauge("shenscan_nats_connected", "1 while this process is connected to NATS."),
		quorum:        gauge("shenscan_nats_quorum", "1 while JetStream answers for every stream that is there: each has a leader."),
		streamPresent: gauges("shenscan_stream_present", "1 while NATS has the stream, 0 while it is missing; absent while nobody answers.", "stream"),
		consumerUp:    gauges("shenscan_consumer_up", "1 while this process reads as the consumer, 0 while it makes it again.", "consumer"),
		restarts:      counters("shenscan_consumer_restarts_total", "How often reading as a consumer ended though nobody stopped it, and was begun again.", "consumer"),
		reloadSuccess: gauge("shenscan_reload_success", "1 while the configuration in use is that of the last start or reload, 0 after a reload that was refused."),
		reloadTime:    gauge("shenscan_reload_success_timestamp_seconds", "When the configuration was last taken, at the start or by a reload."),
		restartsSeen:  map[string]uint64{},
		storeInPlace:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "shenscan_store_in_place", Help: "1 while the file at the store's path is the one that this process has open."}),
	}
	// A counter that is absent until its first event hides that event from rate().
	for _, stream := range []string{bus.StreamWork, bus.StreamPages, bus.StreamResults} {
		metrics.dead.WithLabelValues(stream)
	}
	for _, cause := range []sink.Aborted{sink.AbortedStreams, sink.AbortedWork, sink.AbortedIdle} {
		metrics.aborted.WithLabelValues(string(cause))
	}
	metrics.knowledge = newKnowledge(ruleset)
	reg.MustRegister(metrics.knowledge)
	return metrics
}

// mostWaivers bounds the series of waivers: those that end first are shown.
const mostWaivers = 1000

// knowledge tells of the rule set in use, which a reload replaces.
type knowledge struct {
	atomic.Pointer[rules.Ruleset]
	build, asOf, waiver *prometheus.Desc
}

func newKnowledge(ruleset *rules.Ruleset) *knowledge {
	known := &knowledge{
		build:  prometheus.NewDesc("shenscan_build_info", "A metric with the value 1 that names the version, the Go version and the rule set in use.", []string{"version", "goversion", "ruleset"}, nil),
		asOf:   prometheus.NewDesc("shenscan_knowledge_timestamp_seconds", "The day that the knowledge of the rule set in use is of.", nil, nil),
		waiver: prometheus.NewDesc("shenscan_waiver_end_timestamp_seconds", "When a waiver of the rule set in use stops to count.", []string{"waiver"}, nil),
	}
	known.Store(ruleset)
	return known
}

func constant(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Describe implements prometheus.Collector.
func (k *knowledge) Describe(out chan<- *prometheus.Desc) {
	out <- k.build
	out <- k.asOf
	out <- k.waiver
}

// Collect implements prometheus.Collector.
func (k *knowledge) Collect(out chan<- prometheus.Metric) {
	ruleset := k.Load()
	version, _ := Version()
	out <- constant(k.build, 1, version, runtime.Version(), ruleset.Digest())
	if day, err := time.Parse(time.DateOnly, ruleset.Definition().AsOf); err == nil {
		out <- constant(k.asOf, float64(day.Unix()))
	}
	ends := map[string]time.Time{}
	for _, w := range ruleset.Definition().Waivers {
		if day, err := time.Parse(time.DateOnly, w.Until); err == nil {
			ends[w.ID] = day.AddDate(0, 0, 1) // it counts on its last day
		}
	}
	ids := slices.SortedFunc(maps.Keys(ends), func(a, b string) int {
		return cmp.Or(ends[a].Compare(ends[b]), strings.Compare(a, b))
	})
	for _, id := range ids[:min(len(ids), mostWaivers)] {
		out <- constant(k.waiver, float64(ends[id].Unix()), id)
	}
}

// Request counts one call of the ECS API.
func (m *Metrics) Request(account, region, action, code string, duration time.Duration) {
	if code == "" {
		code = "OK"
	}
	m.requests.WithLabelValues(account, region, action, code).Inc()
	m.seconds.WithLabelValues(region, action).Observe(duration.Seconds())
}

// Retry counts one call that is tried again.
func (m *Metrics) Retry(account, region, action, _ string) {
	m.retries.WithLabelValues(account, region, action).Inc()
}

// Rate shows what the limiter allows, in calls a second.
func (m *Metrics) Rate(account, region, action string, perSecond float64) {
	m.rate.WithLabelValues(account, region, action).Set(perSecond)
}

// Classified counts instances.
func (m *Metrics) Classified(n int) { m.classified.Add(float64(n)) }

// watchBus keeps the gauges of the broker, and of the store where this process
// has one, current until ctx ends.
func (m *Metrics) watchBus(ctx context.Context, conn *bus.Bus, db *store.DB, interval time.Duration) error {
	return every(ctx, interval, func() {
		m.lookAtBus(ctx, conn)
		if db != nil {
			m.storeInPlace.Set(oneIf(db.InPlace() == nil))
		}
	})
}

// every calls do now and after each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (m *Metrics) lookAtBus(ctx context.Context, conn *bus.Bus) {
	m.lookAtHealth(conn)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	consumers, err := conn.Consumers(ctx)
	m.pending.Reset()
	m.ackPending.Reset()
	if err != nil {
		return // a number that was not read is absent, never zero
	}
	for _, c := range consumers {
		m.pending.WithLabelValues(c.Stream, c.Consumer).Set(float64(c.Pending))
		m.ackPending.WithLabelValues(c.Stream, c.Consumer).Set(float64(c.AckPending))
	}
}

// lookAtHealth shows what the bus itself saw last.
func (m *Metrics) lookAtHealth(conn *bus.Bus) {
	health := conn.Health()
	m.connected.Set(oneIf(health.Connected))
	m.quorum.Set(oneIf(health.Quorum))
	m.streamPresent.Reset()
	m.streamBytes.Reset()
	for _, stream := range health.Missing {
		m.streamPresent.WithLabelValues(stream).Set(0)
	}
	for stream, state := range health.Streams {
		m.streamPresent.WithLabelValues(stream).Set(1)
		m.streamBytes.WithLabelValues(stream).Set(float64(state.Bytes))
		if stream == bus.StreamDead {
			m.deadHeld.Set(float64(state.Messages))
		}
	}
	for consumer, life := range conn.Lives() {
		m.consumerUp.WithLabelValues(consumer).Set(oneIf(life.Up))
		m.restarts.WithLabelValues(consumer).Add(float64(life.Restarts - m.restartsSeen[consumer]))
		m.restartsSeen[consumer] = life.Restarts
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// releaseVersion and releaseRevision are set by the linker in a release
// (.goreleaser.yaml, deploy/Dockerfile), where the build sees no repository.
var releaseVersion, releaseRevision string

// Version is the version of the binary and the revision it was built from: what
// the release gave it, else what the build recorded.
func Version() (version, revision string) {
	if releaseVersion != "" {
		return releaseVersion, releaseRevision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", ""
	}
	version = info.Main.Version
	for _, buildSetting := range info.Settings {
		switch buildSetting.Key {
		case "vcs.revision":
			revision = buildSetting.Value
		case "vcs.modified":
			if dirty, _ := strconv.ParseBool(buildSetting.Value); dirty {
				revision += "+dirty"
			}
		}
	}
	return version, revision
}
