package exporter

import (
	"bytes"
	"cmp"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// series is the values of the labels of a metric of the fleet, which has so many as
// it has labels.
type series [6]string

const (
	family  = 1
	version = 2
)

// gauges is a metric of the fleet: a series for each of the counts.
func gauges(name, help string, counts map[series]int, labels ...string) *dto.MetricFamily {
	out := &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum()}
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b series) int { return slices.Compare(a[:], b[:]) }) {
		metric := &dto.Metric{Gauge: &dto.Gauge{Value: new(float64(counts[key]))}}
		for i := range labels {
			metric.Label = append(metric.Label, &dto.LabelPair{Name: &labels[i], Value: new(key[i])})
		}
		out.Metric = append(out.Metric, metric)
	}
	return out
}

// maxScrapes bounds concurrent scrapes.
const maxScrapes = 8

// Handler answers scrapes with what gatherer gathers, which is nothing of the store,
// and with the figures of the store at one moment. It speaks the text format alone,
// which every scraper reads, and does not compress: that would cost several
// times what making the text does.
func (c *Collector) Handler(gatherer prometheus.Gatherer, log *slog.Logger) http.Handler {
	slots := make(chan struct{}, maxScrapes)
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
			return
		}
		figures := c.src.Figures()
		own := prometheus.NewRegistry()
		own.MustRegister(scrape{c, &figures})
		all, err := prometheus.Gatherers{gatherer, own}.Gather() // what could be gathered counts
		if err != nil {
			log.Error("some metrics could not be gathered", "err", err)
		}
		var buffer bytes.Buffer
		encoder := expfmt.NewEncoder(&buffer, format)
		for _, f := range append(all, c.fleet(figures.Summary, figures.Standings)...) {
			if len(f.GetMetric()) == 0 {
				continue
			}
			if err := encoder.Encode(f); err != nil {
				log.Error("metric not encoded", "metric", f.GetName(), "err", err)
				http.Error(w, "the metrics could not be encoded", http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", string(format))
		w.Header().Set("Content-Length", strconv.Itoa(buffer.Len()))
		_, _ = buffer.WriteTo(w) // the scraper may have gone away
	})
}

// fleet counts the groups of a summary, once for each summary: a registry would check
// and sort their thousands of series at every scrape.
func (c *Collector) fleet(summary *record.Summary, standing *store.Standings) []*dto.MetricFamily {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != summary {
		all, legacy := make(map[series]int, len(summary.Groups)), map[series]int{}
		for i := range summary.Groups {
			group := &summary.Groups[i]
			k := series{label(group.Account), label(group.OSFamily), label(group.OSVersion), label(group.Region), label(group.Target), label(group.Verdict)}
			all[k] += group.Instances
			if group.Legacy && len(summary.Targets) > 0 && group.Target == summary.Targets[0] { // once, not for each target
				legacy[series{k[0], k[1], k[2], k[3]}] += group.Instances
			}
		}
		c.instances = gauges("shenscan_instances", "Instances by verdict for a target; one that the cloud no longer lists is not counted.",
			bound(all, c.o.MaxSeries, []int{version}, []int{family, version}), "account", "os_family", "os_version", "region", "target", "verdict")
		c.legacy = gauges("shenscan_legacy_os_instances", "Instances whose operating system is on the list of legacy ones.",
			bound(legacy, c.o.MaxSeries, []int{version}, []int{family, version}), "account", "os_family", "os_version", "region")
		c.of = summary
	}
	if c.standing != standing {
		counts := make(map[series]int, len(standing.Waves))
		for k, n := range standing.Waves {
			counts[series{label(k.Account), label(k.Region), label(k.Target), k.Wave}] += n
		}
		c.waves = gauges("shenscan_wave_instances", "Instances by the wave of a plan for a target: what is to be done before they can move.",
			bound(counts, c.o.MaxSeries, []int{1}, []int{0, 1}), "account", "region", "target", "wave")
		c.standing = standing
	}
	return []*dto.MetricFamily{c.instances, c.legacy, c.waves}
}

// bound merges the smallest series, first over the first labels given, until
// there are at most limit, or nothing is left to merge.
func bound(counts map[series]int, limit int, merge ...[]int) map[series]int {
	for _, fields := range merge {
		if len(counts) <= limit {
			break
		}
		keys := slices.SortedFunc(maps.Keys(counts), func(a, b series) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), slices.Compare(a[:], b[:]))
		})
		// What is merged needs room as well: half of it is plenty in practice.
		merged := make(map[series]int, limit)
		for i, key := range keys {
			count := counts[key]
			if i >= limit/2 {
				for _, f := range fields {
					key[f] = other
				}
			}
			merged[key] += count
		}
		counts = merged
	}
	return counts
}
