package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exported is what shenscan's processes export: every metric with the labels
// that a selector may name. docs/METRICS.md says what each means.
var exported = map[string][]string{
	"shenscan_instances":                                {"account", "region", "target", "verdict", "os_family", "os_version"},
	"shenscan_legacy_os_instances":                      {"account", "region", "os_family", "os_version"},
	"shenscan_wave_instances":                           {"account", "region", "target", "wave"},
	"shenscan_owner_open_instances":                     {"owner", "target"},
	"shenscan_waived_instances":                         {"target", "verdict"},
	"shenscan_moved_instances":                          {"target", "verdict", "result"},
	"shenscan_confidence_instances":                     {"target", "verdict", "confidence"},
	"shenscan_unknown_instances":                        {"target", "question"},
	"shenscan_http_request_duration_seconds_bucket":     {"route", "le"},
	"shenscan_scan_last_completion_timestamp_seconds":   {"account", "region"},
	"shenscan_scan_complete":                            {"account", "region"},
	"shenscan_scan_instances":                           {"account", "region", "stage"},
	"shenscan_scan_duration_seconds":                    {"account"},
	"shenscan_scans_in_progress":                        {},
	"shenscan_scan_regions":                             {"account", "state"},
	"shenscan_scan_account_planning":                    {"account"},
	"shenscan_scan_failed_regions":                      {"account"},
	"shenscan_unlisted_scopes":                          {"account"},
	"shenscan_verdict_changes_total":                    {"target", "from", "to"},
	"shenscan_pages_judged_anew_total":                  {"reason"},
	"shenscan_ecs_requests_total":                       {"account", "region", "action", "code"},
	"shenscan_ecs_request_duration_seconds_bucket":      {"region", "action", "le"},
	"shenscan_ecs_rate_limit":                           {"account", "region", "action"},
	"shenscan_ecs_retries_total":                        {"account", "region", "action"},
	"shenscan_classified_total":                         {},
	"shenscan_dead_letters_total":                       {"stream"},
	"shenscan_cloud_events_total":                       {"outcome"},
	"shenscan_schedule_ticks_total":                     {"schedule", "outcome"},
	"shenscan_scans_aborted_total":                      {"cause"},
	"shenscan_dead_letters_held":                        {},
	"shenscan_stream_bytes":                             {"stream"},
	"shenscan_consumer_pending_messages":                {"stream", "consumer"},
	"shenscan_consumer_ack_pending_messages":            {"stream", "consumer"},
	"shenscan_nats_connected":                           {},
	"shenscan_nats_quorum":                              {},
	"shenscan_stream_present":                           {"stream"},
	"shenscan_consumer_up":                              {"consumer"},
	"shenscan_consumer_restarts_total":                  {"consumer"},
	"shenscan_store_in_place":                           {},
	"shenscan_store_commit_duration_seconds_bucket":     {"le"},
	"shenscan_store_size_bytes":                         {},
	"shenscan_store_size_limit_bytes":                   {},
	"shenscan_store_instances":                          {},
	"shenscan_store_gone_instances":                     {},
	"shenscan_store_last_observation_timestamp_seconds": {},
	"shenscan_unknown_ratio":                            {"target"},
	"shenscan_caught_up":                                {},
	"shenscan_knowledge_timestamp_seconds":              {},
	"shenscan_waiver_end_timestamp_seconds":             {"waiver"},
	"shenscan_reload_success":                           {},
	"shenscan_reload_success_timestamp_seconds":         {},
	"shenscan_probe_machines":                           {"result"},
	"shenscan_probe_runs_total":                         {"outcome"},
	"shenscan_probe_last_run_timestamp_seconds":         {},
	"shenscan_build_info":                               {"version", "goversion", "ruleset"},
	// Of the Go and process collectors, and of Prometheus itself.
	"process_cpu_seconds_total":     {},
	"process_resident_memory_bytes": {},
	"go_goroutines":                 {},
	"up":                            {},
	"ALERTS":                        {"alertname", "alertstate"},
}

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
		labels, ok := exported[s.metric]
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

func TestMetricsAreDocumented(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(deploy, "../docs/METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for line := range strings.Lines(string(guide)) {
		if cells := strings.Split(line, "|"); len(cells) > 4 && strings.HasPrefix(cells[1], " `shenscan_") {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[3])
		}
	}
	for metric, labels := range exported {
		name := strings.TrimSuffix(metric, "_bucket")
		labels = slices.DeleteFunc(slices.Clone(labels), func(l string) bool { return l == "le" })
		got, ok := documented[name]
		if want := strings.Join(labels, ", "); strings.HasPrefix(name, "shenscan_") && (!ok || got != want) {
			t.Errorf("docs/METRICS.md: %s has the labels %q (%v), want %q", name, got, ok, want)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/METRICS.md: %s is not exported", name)
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
	for metric := range exported {
		if ours := strings.HasPrefix(metric, "shenscan_"); ours && asked[metric] == slices.Contains(unasked, metric) {
			t.Errorf("%s: asked for is %v", metric, asked[metric])
		}
	}
}
