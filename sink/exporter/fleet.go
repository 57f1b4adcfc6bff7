package exporter

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/shenscan/shenscan/internal/record"
)

// series is the values of fleetLabels. Legacy counts have the first four.
type series [6]string

// fleetLabels are in the order of the exposition.
var fleetLabels = [6]string{"account", "os_family", "os_version", "region", "target", "verdict"}

const (
	family       = 1
	version      = 2
	legacyLabels = 4
)

// groups is a metric with thousands of series. What a registry does for each
// series at each scrape (label pairs, checks, sorting) is done when a series
// first appears; a scrape only fills in the numbers.
type groups struct {
	name, help string
	labels     int
	keys       []series // sorted
	pairs      map[series][]*dto.LabelPair
	kept       *dto.MetricFamily
}

// update makes the family anew; what update returned before is not changed.
func (g *groups) update(counts map[series]int) {
	same := len(counts) == len(g.keys)
	for i := 0; same && i < len(g.keys); i++ {
		_, same = counts[g.keys[i]]
	}
	if !same {
		g.keys = slices.SortedFunc(maps.Keys(counts), func(a, b series) int { return slices.Compare(a[:], b[:]) })
		pairs := make(map[series][]*dto.LabelPair, len(counts))
		for _, k := range g.keys {
			if pairs[k] = g.pairs[k]; pairs[k] == nil {
				pairs[k] = g.pair(k)
			}
		}
		g.pairs = pairs
	}
	kind := dto.MetricType_GAUGE
	f := &dto.MetricFamily{Name: &g.name, Help: &g.help, Type: &kind, Metric: make([]*dto.Metric, len(g.keys))}
	metrics, gauges, values := make([]dto.Metric, len(g.keys)), make([]dto.Gauge, len(g.keys)), make([]float64, len(g.keys))
	for i, k := range g.keys {
		values[i] = float64(counts[k])
		gauges[i].Value = &values[i]
		metrics[i].Label, metrics[i].Gauge = g.pairs[k], &gauges[i]
		f.Metric[i] = &metrics[i]
	}
	g.kept = f
}

func (g *groups) pair(k series) []*dto.LabelPair {
	out := make([]*dto.LabelPair, g.labels)
	for i := range out {
		value := strings.Clone(k[i])
		out[i] = &dto.LabelPair{Name: &fleetLabels[i], Value: &value}
	}
	return out
}

// Gatherer adds the counts of the fleet to what g gathers; the Collector is
// registered with g.
func (c *Collector) Gatherer(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		out, err := g.Gather()
		for _, f := range c.fleet(c.src.Summary()) {
			if len(f.Metric) > 0 {
				out = append(out, f)
			}
		}
		slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
		return out, err
	})
}

// fleet counts the groups of a summary, once for each summary.
func (c *Collector) fleet(s *record.Summary) [2]*dto.MetricFamily {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != s {
		all, legacy := make(map[series]int, len(s.Groups)), map[series]int{}
		for i := range s.Groups {
			g := &s.Groups[i]
			k := series{label(g.Account), label(g.OSFamily), label(g.OSVersion), label(g.Region), label(g.Target), label(g.Verdict)}
			all[k] += g.Instances
			if g.Legacy && len(s.Targets) > 0 && g.Target == s.Targets[0] { // once, not for each target
				legacy[series{k[0], k[1], k[2], k[3]}] += g.Instances
			}
		}
		c.instances.update(bound(all, c.o.MaxSeries))
		c.legacy.update(bound(legacy, c.o.MaxSeries))
		c.of = s
	}
	return [2]*dto.MetricFamily{c.instances.kept, c.legacy.kept}
}

// bound merges the smallest series until there are at most limit, or nothing
// is left to merge.
func bound(counts map[series]int, limit int) map[series]int {
	for _, fields := range [][]int{{version}, {family, version}} {
		if len(counts) <= limit {
			break
		}
		keys := slices.SortedFunc(maps.Keys(counts), func(a, b series) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), slices.Compare(a[:], b[:]))
		})
		// What is merged needs room as well: half of it is plenty in practice.
		merged := make(map[series]int, limit)
		for i, k := range keys {
			n := counts[k]
			if i >= limit/2 {
				for _, f := range fields {
					k[f] = other
				}
			}
			merged[k] += n
		}
		counts = merged
	}
	return counts
}
