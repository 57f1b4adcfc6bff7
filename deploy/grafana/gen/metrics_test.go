package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// exported reads from docs/METRICS.md what shenscan's processes export: every
// metric with the labels that a selector may name. Tests of the main module hold
// that page to the code.
var exported = sync.OnceValue(func() map[string][]string {
	page, err := os.ReadFile(filepath.Join(deploy, "../docs/METRICS.md"))
	if err != nil {
		panic(err)
	}
	metrics := map[string][]string{
		// Of the Go and process collectors, and of Prometheus itself.
		"process_cpu_seconds_total":     {},
		"process_resident_memory_bytes": {},
		"go_goroutines":                 {},
		"up":                            {},
		"ALERTS":                        {"alertname", "alertstate"},
	}
	others := len(metrics)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) <= 4 || !strings.HasPrefix(cells[1], " `shenscan_") {
			continue
		}
		name, labels := strings.Trim(cells[1], " `"), strings.FieldsFunc(cells[3], func(r rune) bool { return r == ' ' || r == ',' })
		if strings.TrimSpace(cells[2]) == "histogram" {
			name, labels = name+"_bucket", append(labels, "le")
		}
		metrics[name] = labels
	}
	if len(metrics) == others {
		panic("docs/METRICS.md has no table of metrics")
	}
	return metrics
})

// targetLabels are added by Prometheus when it scrapes.
var targetLabels = []string{"job", "instance"}

// selected is one series selector of an expression.
type selected struct {
	metric string
	labels []string
}

// selectors reads the series selectors of a PromQL expression. It knows the
// few words and the label lists that PromQL has beside metric names; promtool
// and a live Prometheus judge the rest.
func selectors(expr string) (found []selected) {
	keywords := []string{"and", "or", "unless", "offset", "bool", "inf", "nan"}
	lists := []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '"' || c == '\'' || c == '`':
			i = skipString(expr, i)
		case c == '[': // a range or subquery
			i += strings.IndexByte(expr[i:], ']') + 1
		case isWord(c) && (c < '0' || c > '9'):
			start := i
			for i < len(expr) && (isWord(expr[i]) || expr[i] >= '0' && expr[i] <= '9') {
				i++
			}
			word, rest := expr[start:i], strings.TrimLeft(expr[i:], " \n")
			switch {
			case slices.Contains(lists, word):
				i += strings.IndexByte(expr[i:], ')') + 1
			case slices.Contains(keywords, word), strings.HasPrefix(rest, "("), strings.HasPrefix(rest, "by ("), strings.HasPrefix(rest, "without ("):
			case strings.HasPrefix(rest, "{"):
				var labels []string
				labels, i = matchers(expr, strings.IndexByte(expr[i:], '{')+i+1)
				found = append(found, selected{word, labels})
			default:
				found = append(found, selected{metric: word})
			}
		case c >= '0' && c <= '9': // a number or a duration
			for i < len(expr) && (isWord(expr[i]) || expr[i] >= '0' && expr[i] <= '9' || expr[i] == '.') {
				i++
			}
		default:
			i++
		}
	}
	return found
}

func isWord(c byte) bool {
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func skipString(expr string, i int) int {
	for j := i + 1; j < len(expr); j++ {
		if expr[j] == '\\' && expr[i] != '`' {
			j++
			continue
		}
		if expr[j] == expr[i] {
			return j + 1
		}
	}
	return len(expr)
}

// matchers reads label names up to the closing brace; i is behind the opening.
func matchers(expr string, i int) (labels []string, end int) {
	for i < len(expr) && expr[i] != '}' {
		switch {
		case expr[i] == '"':
			i = skipString(expr, i)
		case isWord(expr[i]):
			start := i
			for isWord(expr[i]) {
				i++
			}
			labels = append(labels, expr[start:i])
		default:
			i++
		}
	}
	return labels, i + 1
}

// unknown returns what an expression asks for and shenscan does not export.
func unknown(expr string) (problems []string) {
	for _, s := range selectors(expr) {
		labels, ok := exported()[s.metric]
		for _, r := range []recording{legacyByScope, incompatibleByScope} {
			if s.metric == r.name {
				labels, ok = append(labels, "baseline"), true
			}
		}
		if !ok {
			problems = append(problems, "no metric "+s.metric)
			continue
		}
		for _, l := range s.labels {
			if !slices.Contains(labels, l) && !slices.Contains(targetLabels, l) {
				problems = append(problems, s.metric+" has no label "+l)
			}
		}
	}
	return problems
}

func TestSelectorsAreRead(t *testing.T) {
	for expr, want := range map[string]string{
		`sum by (a, b) (rate(x_total{le="1", y=~"$z}"}[5m])) / 3600`: "x_total[le y]",
		`time() - max(x) by (account)`:                               "x[]",
		`a:b:c and on (q) y{} offset 1h > bool 0.5`:                  "a:b:c[] y[]",
		`histogram_quantile(0.5, x{job=~"$job"}) or vector(0)`:       "x[job]",
		`min_over_time((x and y)[1h:])`:                              "x[] y[]",
	} {
		var got []string
		for _, s := range selectors(expr) {
			got = append(got, s.metric+"["+strings.Join(s.labels, " ")+"]")
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: %s, want %s", expr, g, want)
		}
	}
	for expr, want := range map[string]string{
		`sum(shenscan_instance)`:                "no metric shenscan_instance",
		`shenscan_instances{instance_id="i-1"}`: "shenscan_instances has no label instance_id",
		`shenscan_instances{job="x"} and up`:    "",
	} {
		if got := strings.Join(unknown(expr), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// unasked are metrics that no panel and no alert asks for: others show the same
// more plainly, or they are for those who look closer.
var unasked = []string{
	"shenscan_cloud_events_total", "shenscan_pages_judged_anew_total", "shenscan_reload_success_timestamp_seconds", "shenscan_scan_instances", "shenscan_scan_regions",
	"shenscan_scans_aborted_total", "shenscan_scans_in_progress", "shenscan_store_gone_instances", "shenscan_store_last_observation_timestamp_seconds", "shenscan_unknown_ratio",
}

// A metric is asked for by a panel or an alert, or is known to be for neither.
func TestEveryMetricIsAskedFor(t *testing.T) {
	files, err := render(deploy)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, text := range files {
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r > 'z' || !isWord(byte(r)) }) {
			asked[word] = true
		}
	}
	for metric := range exported() {
		if ours := strings.HasPrefix(metric, "shenscan_"); ours && asked[metric] == slices.Contains(unasked, metric) {
			t.Errorf("%s: asked for is %v", metric, asked[metric])
		}
	}
}
