package exporter

import (
	"bytes"
	"cmp"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// series is the values of fleetLabels. Legacy counts have the first four.
type series [6]string

const (
	family  = 1
	version = 2
)

// groups is a metric with thousands of series. What a registry does for each
// series at each scrape (label pairs, checks, sorting, escaping) is done when a
// series first appears; a scrape fills in the numbers.
type groups struct {
	head   string // its HELP and TYPE
	name   string
	labels []string
	keys   []series // sorted
	lines  map[series][]byte
	text   []byte // of the last update; never changed
}

func newGroups(name, help string, labels ...string) groups {
	return groups{head: "# HELP " + name + " " + help + "\n# TYPE " + name + " gauge\n", name: name, labels: labels}
}

// update writes the metric anew.
func (g *groups) update(counts map[series]int) {
	same := len(counts) == len(g.keys)
	for i := 0; same && i < len(g.keys); i++ {
		_, same = counts[g.keys[i]]
	}
	if !same {
		g.keys = slices.SortedFunc(maps.Keys(counts), func(a, b series) int { return slices.Compare(a[:], b[:]) })
		lines := make(map[series][]byte, len(counts))
		for _, k := range g.keys {
			if lines[k] = g.lines[k]; lines[k] == nil {
				lines[k] = g.line(k)
			}
		}
		g.lines = lines
	}
	if len(g.keys) == 0 {
		g.text = nil
		return
	}
	text := append(make([]byte, 0, len(g.text)+1024), g.head...)
	for _, k := range g.keys {
		text = append(text, g.lines[k]...)
		text = strconv.AppendInt(text, int64(counts[k]), 10)
		text = append(text, '\n')
	}
	g.text = text
}

// line is what stands before the number of a series.
func (g *groups) line(series series) []byte {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	b := append([]byte(g.name), '{')
	for i, name := range g.labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, name...), `="`...)
		b = append(append(b, escape.Replace(series[i])...), '"')
	}
	return append(b, "} "...)
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
		for _, f := range all {
			if err := encoder.Encode(f); err != nil {
				log.Error("metric not encoded", "metric", f.GetName(), "err", err)
				http.Error(w, "the metrics could not be encoded", http.StatusInternalServerError)
				return
			}
		}
		parts := append([][]byte{buffer.Bytes()}, c.fleet(figures.Summary, figures.Standings)...)
		length := 0
		for _, part := range parts {
			length += len(part)
		}
		w.Header().Set("Content-Type", string(format))
		w.Header().Set("Content-Length", strconv.Itoa(length))
		for _, part := range parts {
			if _, err := w.Write(part); err != nil {
				return // the scraper went away
			}
		}
	})
}

// fleet counts the groups of a summary, once for each summary, and returns
// them in the text format.
func (c *Collector) fleet(summary *record.Summary, standing *store.Standings) [][]byte {
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
		c.instances.update(bound(all, c.o.MaxSeries, []int{version}, []int{family, version}))
		c.legacy.update(bound(legacy, c.o.MaxSeries, []int{version}, []int{family, version}))
		c.of = summary
	}
	if c.standing != standing {
		counts := make(map[series]int, len(standing.Waves))
		for k, n := range standing.Waves {
			counts[series{label(k.Account), label(k.Region), label(k.Target), k.Wave}] += n
		}
		c.waves.update(bound(counts, c.o.MaxSeries, []int{1}, []int{0, 1}))
		c.standing = standing
	}
	return [][]byte{c.instances.text, c.legacy.text, c.waves.text}
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
