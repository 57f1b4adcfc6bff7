package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// alert is one thing that somebody must do something about. It fires while
// value stands in relation op to the limit, for as long as pending says; these
// three are in thresholds.yaml.
type alert struct {
	name     string
	severity string // critical: look now; warning: look today
	value    string // PromQL without comparison, so that both dialects can use it
	op       string // ">" or "<"
	limit    float64
	pending  time.Duration
	// noData is what the absence of the value means to Grafana: "" for OK, or
	// Alerting where absence is the trouble.
	noData      string
	summary     string // what is wrong and what to do; Prometheus template
	description string
}

const (
	skippedTicks = `shenscan_schedule_ticks_total{outcome="skipped"}`

	movedNotUp = `shenscan_moved_instances{verdict="compatible", result="not-up"}`

	// pagesStream holds the pages that wait for workers.
	pagesStream = "SHENSCAN_PAGES"

	runbook = "https://github.com/shenscan/shenscan/blob/main/docs/RUNBOOK.md#"

	// lastCompletion is when each account and region was last read to its end.
	lastCompletion = `max by (account, region) (shenscan_scan_last_completion_timestamp_seconds)`
)

// recording is a series that Prometheus keeps because alerts look back on it.
type recording struct{ name, expr string }

var (
	// A scope counts from the moment it was read to its end once: the first
	// scan of a fleet is not a rise. A scope without such instances counts 0.
	legacyByScope = recording{
		"account_region:shenscan_legacy_os_instances:sum",
		"(sum by (account, region) (" + legacies() + ")\n  or 0 * " + lastCompletion + ")\nand on (account, region) " + lastCompletion,
	}
	incompatibleByScope = recording{
		"account_region_target:shenscan_instances_incompatible:sum",
		"(sum by (account, region, target) (" + instances(`verdict="incompatible"`) + ")\n  or 0 * sum by (account, region, target) (" + instances() +
			"))\nand on (account, region) " + lastCompletion,
	}
)

// rise is how much the recorded count grew over its lowest value of the window,
// since the baseline. It outlives the scan that found it, and ends when the count
// falls, when the window has passed, or when a newer baseline takes it for given.
func (r recording) rise(t thresholds) string {
	series := r.name + fmt.Sprintf("{baseline=%q}", t.Baseline)
	return "max without (baseline) (" + series + " - min_over_time(" + series + "[" + t.RiseWindow + "]))"
}

// role is 1 with the name of a role while nothing that is its alone is scraped,
// in whatever way its processes are found.
func role(name, series string) string {
	return fmt.Sprintf(`label_replace(max(absent(%s)), "role", %q, "", "")`, series, name)
}

// alerts are all of them with their values.
func alerts() ([]alert, thresholds) {
	t, err := readThresholds(thresholdsFile)
	if err != nil {
		panic(err) // of a file in this binary, which a test reads
	}
	all := list(t)
	if err := t.apply(all); err != nil {
		panic(err)
	}
	return all, t
}

// list are all of them, the fleet's first, then the scans', then those about
// shenscan itself.
func list(t thresholds) []alert {
	waiting := "max by (stream, consumer) (shenscan_consumer_pending_messages)"
	return []alert{
		{
			name: "ShenscanLegacyInstancesRose", severity: "warning", value: legacyByScope.rise(t),
			summary:     `{{ $labels.account }}/{{ $labels.region }} has {{ $value }} more instances with a legacy OS than at its lowest of the last days: find them on the web page (legacy=true) and stop the image or template that starts them.`,
			description: `Somebody starts new instances with an operating system that does not boot on current instance families. Every one of them is migration work later.`,
		},
		{
			name: "ShenscanIncompatibleInstancesRose", severity: "warning", value: incompatibleByScope.rise(t),
			summary:     `{{ $labels.account }}/{{ $labels.region }} has {{ $value }} more instances that do not boot on {{ $labels.target }} than at its lowest of the last days: look at their reasons on the web page (verdict=incompatible) before anybody moves them.`,
			description: `New instances, or instances whose verdict changed, cannot move to {{ $labels.target }} as they are.`,
		},
		{
			name: "ShenscanUnknownShareHigh", severity: "warning",
			// Much is unknown for the newest class by right, as nobody lists what it
			// accepts. What is unknown even for the target that asks least lacks
			// facts of its own. A target without any unknown has no such series: 0 *.
			value: `min by (account) (
  (sum by (account, target) (` + instances(`verdict="unknown"`) + `) or 0 * sum by (account, target) (` + instances() + `))
  / sum by (account, target) (` + instances() + `)
)`,
			summary:     `{{ $value | humanizePercentage }} of the instances of {{ $labels.account }} have no verdict even for the target that asks least: see which facts are missing with "shenscan report", permit DescribeImages, or waive what you have tested (docs/RULES.md).`,
			description: `Unknown is not compatible: nobody has said that these instances boot anywhere.`,
		},
		{
			name: "ShenscanMovedNotUp", severity: "critical",
			// The score of a store only grows; what it was a day ago was told then.
			value:       "max by (target) (" + movedNotUp + " - min_over_time(" + movedNotUp + "[1d]))",
			summary:     `{{ $value }} instances that were judged compatible with {{ $labels.target }} did not come up after their move in the last day: stop further moves, see "shenscan report --outcomes" for which they are and by which rule, look at their consoles and move them back.`,
			description: `Each is Running for a quarter of an hour, and was heard of before its move and not since, or its console shows that it did not start. A rule or its evidence is wrong, or something else went wrong with the move.`,
		},
		{
			name: "ShenscanScanStale", severity: "warning", value: "time() - " + lastCompletion,
			summary:     `{{ $labels.account }}/{{ $labels.region }} was last read to its end {{ $value | humanizeDuration }} ago: check that a producer runs with a schedule, and run "shenscan doctor".`,
			description: `The counts of this account and region are as old as that. The limit is a daily scan and two hours; a rarer schedule needs a higher one.`,
		},
		{
			name: "ShenscanTicksSkipped", severity: "warning",
			// A counter that was not there a day ago began at its first skip.
			value:       "sum by (schedule) (\n  increase(" + skippedTicks + "[1d]) > 0\n  or (" + skippedTicks + " unless " + skippedTicks + " offset 1d)\n)",
			summary:     `The schedule {{ $labels.schedule }} skipped a scan in the last day, as the one before still ran: look why scans take that long, or let the schedule come more rarely.`,
			description: `Nothing is lost, but what the schedule promises is not kept: the counts are older than it says.`,
		},
		{
			name: "ShenscanScanPartial", severity: "warning", value: "min by (account, region) (shenscan_scan_complete)",
			summary:     `The last scan of {{ $labels.account }}{{ if $labels.region }}/{{ $labels.region }}{{ end }} was not whole: /api/v1/scans names what failed and the mend; then scan again.`,
			description: `Its counts are of what was read. Instances that were not seen are not taken for gone.`,
		},
		{
			name: "ShenscanRegionsFailed", severity: "warning", value: "max by (account) (shenscan_scan_failed_regions)",
			summary:     `{{ $value }} regions of {{ $labels.account }} failed in its last scan: run "shenscan doctor" with its credentials, then scan again.`,
			description: `A failed region is usually a missing permission, an endpoint that cannot be reached, or throttling that did not end.`,
		},
		{
			name: "ShenscanAccountRefused", severity: "critical",
			value: `sum by (account) (increase(shenscan_ecs_requests_total[30m]))
unless on (account) (sum by (account) (increase(shenscan_ecs_requests_total{code="OK"}[30m])) > 0)`,
			summary:     `Not one ECS call of {{ $labels.account }} was answered in half an hour: run "shenscan doctor" with its credentials and mend what it names.`,
			description: `This account is not read at all; the others are. Its instances stay as they were last seen.`,
		},
		{
			name: "ShenscanAccountHoldsScan", severity: "warning", value: "max by (account) (shenscan_scan_account_planning)",
			summary:     `The scan has waited for the regions of {{ $labels.account }} for half an hour: look at its throttling and its credentials, and run "shenscan doctor" with them.`,
			description: `The other accounts are read meanwhile, but the scan does not end, and the next tick of its schedule is skipped.`,
		},
		{
			name: "ShenscanScopesUnlisted", severity: "warning", value: "max by (account) (shenscan_unlisted_scopes)",
			summary:     `{{ $value }} regions of {{ $labels.account }} were scanned before and are not named any more: if they are truly gone, settle it with "shenscan store forget --account {{ $labels.account }}", with --region for one of them.`,
			description: `A region, or its account, that DescribeRegions, the resource directory or the configuration no longer names is not read; what is known of its instances is from before.`,
		},
		{
			name: "ShenscanThrottled", severity: "warning",
			value: `sum by (account) (rate(shenscan_ecs_requests_total{code=~"(?i).*throttl.*"}[15m]))
/ sum by (account) (rate(shenscan_ecs_requests_total[15m]))`,
			summary:     `{{ $value | humanizePercentage }} of the ECS requests of {{ $labels.account }} are throttled: lower --rate or --concurrency, or find who else uses the quota of this account.`,
			description: `Scans slow down and other users of the account's API quota suffer. The adaptive limit alone should keep this below one percent.`,
		},
		{
			name: "ShenscanDown", severity: "critical", noData: "Alerting", value: `(up{job="shenscan"} or absent(up{job="shenscan"}) - 1)`,
			summary:     `shenscan {{ $labels.instance }} is not reached: look whether the process runs and what its last log lines say.`,
			description: `Nothing is scanned, classified or stored by a process that is down. What was acknowledged is kept and goes on when it is back.`,
		},
		{
			name: "ShenscanRoleMissing", severity: "critical",
			value: role("producer", `shenscan_consumer_up{consumer="scans"}`) + "\nor " +
				role("worker", `shenscan_consumer_up{consumer="pages-bulk"}`) + "\nor " + role("sink", "shenscan_caught_up"),
			summary:     `No {{ $labels.role }} is scraped: start one, or mend how Prometheus finds it.`,
			description: `Where Prometheus finds processes by name, one that is gone leaves no target that could be down. Without producers nothing is read, without workers nothing is judged, without sinks nothing is kept.`,
		},
		{
			name: "ShenscanNATSUnreachable", severity: "critical", value: "min by (instance) (shenscan_nats_connected)",
			summary:     `shenscan {{ $labels.instance }} has no connection to NATS: look whether the server runs, and at its log for refused keys.`,
			description: `A process without NATS does nothing. It goes on by itself when it is connected again.`,
		},
		{
			name: "ShenscanNATSNoQuorum", severity: "critical", value: "min(shenscan_nats_quorum and on (instance) (shenscan_nats_connected == 1))",
			summary:     `JetStream does not answer for every stream: bring back the servers of the cluster that are missing, and look at "nats server report jetstream".`,
			description: `A stream without a leader takes and gives nothing. What was acknowledged is kept by the servers that hold it.`,
		},
		{
			name: "ShenscanStreamMissing", severity: "critical", value: "min by (stream) (shenscan_stream_present)",
			summary:     `NATS has no stream {{ $labels.stream }}: start a producer, which makes it, and find out who deleted it.`,
			description: `Producers make a missing stream within seconds. What it held is lost: scans that were under way end aborted and are named, and sinks go on with what they have stored.`,
		},
		{
			name: "ShenscanConsumerDown", severity: "critical", value: "min by (instance, consumer) (shenscan_consumer_up)",
			summary:     `{{ $labels.instance }} cannot read as {{ $labels.consumer }}: its log says why; /readyz says so too.`,
			description: `It tries again every few seconds. Until then the messages of this consumer wait, or others take them.`,
		},
		{
			name: "ShenscanConsumerMadeAgain", severity: "warning", value: "sum by (consumer) (increase(shenscan_consumer_restarts_total[15m]))",
			summary:     `Reading as {{ $labels.consumer }} ended though nobody stopped it and was begun again: find out whether NATS was emptied, restored or lost its disk, and scan again if it was.`,
			description: `A consumer or a whole stream was deleted. shenscan has made it again; what the stream held is lost where the stream was.`,
		},
		{
			name: "ShenscanDeadLetters", severity: "critical", value: `max(shenscan_dead_letters_held)`,
			summary:     `{{ $value }} messages were set aside: "shenscan dead list" shows their causes; mend them, then "shenscan dead retry" or "shenscan dead drop".`,
			description: `A message that cannot be processed holds instances whose verdicts are missing or old. Nothing is dropped: the dead letters keep it.`,
		},
		{
			name: "ShenscanPipelineBehind", severity: "warning",
			value:       "(" + waiting + "\n  and " + waiting + " >= max by (stream, consumer) (shenscan_consumer_pending_messages offset 15m))",
			summary:     `{{ $value }} messages of {{ $labels.stream }} wait for {{ $labels.consumer }} and their number has not fallen for half an hour: start more workers, or look why this consumer stands still.`,
			description: `A large scan makes messages wait, but their number falls. Here it does not.`,
		},
		{
			name: "ShenscanPagesHeld", severity: "warning",
			value: "max by (consumer) (min_over_time(shenscan_consumer_ack_pending_messages{stream=\"" + pagesStream + "\"}[15m]))\n" +
				"unless on () (sum(increase(shenscan_classified_total[15m])) > 0)",
			summary:     `Workers hold {{ $value }} pages of {{ $labels.consumer }} and have classified nothing for a quarter of an hour: look at their logs, and start them again.`,
			description: `A page that a worker holds waits for nobody else. It is delivered again when the worker ends or gives it up.`,
		},
		{
			name: "ShenscanSinkNotCaughtUp", severity: "warning", value: "min by (instance) (shenscan_caught_up)",
			summary:     `The sink {{ $labels.instance }} shows an older state than the results stream holds: look at its commit duration and its disk; ask another sink meanwhile.`,
			description: `A sink that starts anew reads the stream from where it was, or from its beginning. That takes minutes for a million instances, not longer.`,
		},
		{
			name: "ShenscanStoreNearLimit", severity: "critical", value: "shenscan_store_size_bytes / shenscan_store_size_limit_bytes",
			summary:     `The store of {{ $labels.instance }} has used {{ $value | humanizePercentage }} of what it may: stop the sink and run "shenscan store compact", or give it more room.`,
			description: `A store that cannot grow refuses new results; they stay in the results stream until it can.`,
		},
		{
			name: "ShenscanStoreReplaced", severity: "critical", value: "min by (instance) (shenscan_store_in_place)",
			summary:     `The file at the store's path of {{ $labels.instance }} is not the one that it has open: stop the sink, put the right file there, start it.`,
			description: `Somebody moved, deleted or replaced the store under the running sink. What it writes now is lost when it ends.`,
		},
		{
			name: "ShenscanReloadRefused", severity: "warning", value: "min by (instance) (shenscan_reload_success)",
			summary:     `{{ $labels.instance }} refused its last reload and goes on with the configuration of before: "shenscan config check" names every mistake; mend them and reload again.`,
			description: `Rules, waivers, targets, schedules and accounts that were changed since do not count in this process; in others they may, and then two processes judge by different rules.`,
		},
		{
			name: "ShenscanWaiverEnding", severity: "warning", value: "min by (waiver) (shenscan_waiver_end_timestamp_seconds) - time()",
			summary:     `The waiver {{ $labels.waiver }} ends in {{ $value | humanizeDuration }}: do the work that it put off, give it another day with a reason, or take it out of the overlay.`,
			description: `After its last day the verdicts that it set aside count again, in reports, exit codes and alerts.`,
		},
		{
			name: "ShenscanKnowledgeOld", severity: "warning", value: "time() - min(shenscan_knowledge_timestamp_seconds)",
			summary:     `The knowledge of the rule set in use is {{ $value | humanizeDuration }} old: upgrade shenscan, or check its sources and say so in an overlay.`,
			description: `Instance families and operating systems that came since are unknown to it; what it calls compatible may have been withdrawn.`,
		},
	}
}

// The files of Prometheus and Grafana, in the order of their keys.
type (
	promFile  struct{ Groups []promGroup }
	promGroup struct {
		Name  string
		Rules []promRule
	}
	promRule struct {
		Record      string `yaml:",omitempty"`
		Alert       string `yaml:",omitempty"`
		Expr        string
		For         string            `yaml:"for,omitempty"`
		Labels      map[string]string `yaml:",omitempty"`
		Annotations map[string]string `yaml:",omitempty"`
	}

	grafanaFile struct {
		APIVersion int `yaml:"apiVersion"`
		Groups     []grafanaGroup
	}
	grafanaGroup struct {
		OrgID    int `yaml:"orgId"`
		Name     string
		Folder   string
		Interval string
		Rules    []grafanaRule
	}
	grafanaRule struct {
		UID          string `yaml:"uid"`
		Title        string
		Condition    string
		Data         []grafanaQuery
		NoDataState  string `yaml:"noDataState"`
		ExecErrState string `yaml:"execErrState"`
		For          string
		Annotations  map[string]string
		Labels       map[string]string
		IsPaused     bool `yaml:"isPaused"`
	}
	grafanaQuery struct {
		RefID             string         `yaml:"refId"`
		RelativeTimeRange grafanaRange   `yaml:"relativeTimeRange"`
		DatasourceUID     string         `yaml:"datasourceUid"`
		Model             map[string]any `yaml:"model"`
	}
	grafanaRange struct{ From, To int }
)

// datasourceUID is the data source that provisioning makes; Grafana's alert
// rules cannot take it from a variable.
const datasourceUID = "shenscan-prometheus"

func (a alert) annotations() map[string]string {
	return map[string]string{
		"summary":     a.summary,
		"description": a.description,
		"runbook_url": runbook + strings.ToLower(a.name),
	}
}

func prometheusRules() promFile {
	group := promGroup{Name: "shenscan"}
	all, t := alerts()
	for _, r := range []recording{legacyByScope, incompatibleByScope} {
		group.Rules = append(group.Rules, promRule{Record: r.name, Expr: r.expr, Labels: map[string]string{"baseline": t.Baseline}})
	}
	for _, a := range all {
		// In brackets: "unless" and "or" bind less than the comparison.
		group.Rules = append(group.Rules, promRule{
			Alert:  a.name,
			Expr:   "(\n" + a.value + "\n) " + a.op + " " + number10(a.limit),
			For:    duration(a.pending),
			Labels: map[string]string{"severity": a.severity}, Annotations: a.annotations(),
		})
	}
	return promFile{[]promGroup{group}}
}

// grafanaRules are the same alerts as rules that Grafana evaluates itself: A
// asks Prometheus, B compares. Grafana keeps the compared number in $values,
// where Prometheus has $value.
func grafanaRules() grafanaFile {
	group := grafanaGroup{OrgID: 1, Name: "shenscan", Folder: "shenscan", Interval: "1m"}
	evaluator := map[string]string{">": "gt", "<": "lt"}
	all, _ := alerts()
	for _, a := range all {
		annotations := a.annotations()
		for k, text := range annotations {
			annotations[k] = strings.ReplaceAll(text, "$value ", "$values.A.Value ")
		}
		group.Rules = append(group.Rules, grafanaRule{
			UID: strings.ToLower(a.name), Title: a.name, Condition: "B",
			NoDataState: cmp.Or(a.noData, "OK"), ExecErrState: "Error", For: cmp.Or(duration(a.pending), "0s"),
			Annotations: annotations, Labels: map[string]string{"severity": a.severity},
			Data: []grafanaQuery{
				{RefID: "A", RelativeTimeRange: grafanaRange{From: 3600}, DatasourceUID: datasourceUID, Model: map[string]any{
					"refId": "A", "expr": a.value, "instant": true, "range": false, "intervalMs": 60000, "maxDataPoints": 43200,
				}},
				{RefID: "B", DatasourceUID: "__expr__", Model: map[string]any{
					"refId": "B", "type": "threshold", "expression": "A",
					"conditions": []any{map[string]any{"evaluator": map[string]any{"type": evaluator[a.op], "params": []float64{a.limit}}}},
				}},
			},
		})
	}
	return grafanaFile{1, []grafanaGroup{group}}
}
