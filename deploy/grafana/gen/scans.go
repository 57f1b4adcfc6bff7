package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// scansDashboard answers whether the numbers can be trusted: how old and how
// whole the last scans are, and what the cloud answered.
func scansDashboard() *dashboard.DashboardBuilder {
	const requests = "shenscan_ecs_requests_total"
	ecs := func(by string, matchers ...string) string {
		return "sum by (" + by + ") (rate(" + selector(requests, append([]string{ofAccount, ofRegion}, matchers...)...) + "[$__rate_interval]))"
	}
	quantile := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le, action) (rate(shenscan_ecs_request_duration_seconds_bucket{" + ofRegion + "}[$__rate_interval])))"
	}
	return board("shenscan-scans", "shenscan / Scan health", "How old and how whole the last scans are, and how the ECS API answered them.", "7d").
		WithVariable(choice("account", "Account", "shenscan_scan_complete")).
		WithVariable(choice("region", "Region", "shenscan_scan_complete")).
		WithRow(dashboard.NewRowBuilder("Completeness")).
		WithPanel(figure("Scopes", "Accounts and regions of which a scan has ended.", units.Short, 6, steps("text"),
			query{"count(" + once("account, region", "shenscan_scan_complete", ofAccount, ofRegion) + ")", "scopes"})).
		WithPanel(figure("Scopes not whole", "Accounts and regions whose last scan could not read everything. Their counts are of what was read.", units.Short, 6, steps("green", from(1, "red")),
			query{"count(" + once("account, region", "shenscan_scan_complete", ofAccount, ofRegion) + ") - sum(" + once("account, region", "shenscan_scan_complete", ofAccount, ofRegion) + ")", "not whole"})).
		WithPanel(figure("Failed regions", "Regions that the last scan of each account could not read.", units.Short, 6, steps("green", from(1, "red")),
			query{"sum(" + once("account", "shenscan_scan_failed_regions", ofAccount) + ")", "failed"})).
		WithPanel(figure("Longest scan", "The last scan that took longest, of the chosen accounts.", units.Seconds, 6, steps("text"),
			query{"max(" + once("account", "shenscan_scan_duration_seconds", ofAccount) + ")", "duration"}).
			Links(page("Scans", "/scans"))).
		WithPanel(bars("Age of the last complete scan", "The twenty accounts and regions that were read to their end longest ago.", units.Seconds, 12,
			query{"topk(20, time() - " + once("account, region", "shenscan_scan_last_completion_timestamp_seconds", ofAccount, ofRegion) + ")", "{{account}} {{region}}"})).
		WithPanel(lines("Scan duration", "How long the last scan of each account took.", units.Seconds, 12,
			query{once("account", "shenscan_scan_duration_seconds", ofAccount), "{{account}}"})).
		WithRow(dashboard.NewRowBuilder("ECS API")).
		WithPanel(lines("Requests by action", "Requests to the ECS API, retries included.", units.RequestsPerSecond, 12,
			query{ecs("action"), "{{action}}"})).
		WithPanel(lines("Requests by answer", "Requests to the ECS API by the code of their answer.", units.RequestsPerSecond, 12,
			query{ecs("code"), "{{code}}"})).
		WithPanel(lines("Duration", "How long the ECS API takes to answer: half of the requests, and all but one in a hundred.", units.Seconds, 12,
			query{quantile("0.5"), "{{action}} median"}, query{quantile("0.99"), "{{action}} 99th percentile"})).
		WithPanel(lines("Rate limit", "Requests a second that shenscan allows itself; it falls when the API throttles and recovers afterwards.", units.RequestsPerSecond, 12,
			query{"max by (account, region, action) (shenscan_ecs_rate_limit{" + ofAccount + ", " + ofRegion + "})", "{{account}} {{region}} {{action}}"})).
		WithPanel(lines("Retries", "Requests that were sent again after a throttled or failed answer.", units.RequestsPerSecond, 24,
			query{"sum by (account, region, action) (rate(shenscan_ecs_retries_total{" + ofAccount + ", " + ofRegion + "}[$__rate_interval]))", "{{account}} {{region}} {{action}}"})).
		WithRow(dashboard.NewRowBuilder("Asking machines")).
		WithPanel(figure("Machines last asked", "How long ago the last run of `--probe` ended, of all processes; no data where none has `--probe`, or none has run yet.", units.Seconds, 6, steps("text"),
			query{"time() - max(shenscan_probe_last_run_timestamp_seconds > 0)", "ended"})).
		WithPanel(figure("Runs with errors", "Runs of `--probe` in the last day that could not ask some machines, had not all answers in time, or whose filter names nobody; /api/v1/probe says why.", units.Short, 6, steps("green", from(1, "red")),
			query{`sum(increase(shenscan_probe_runs_total{outcome="error"}[1d]))`, "errors"}).
			Links(page("Probe", "/api/v1/probe"))).
		WithPanel(lines("Machines of the last run", "Machines of the last run of `--probe` of each process, or of the one that goes on, by what became of them: planned, kept (asked lately), skipped (they cannot be asked), asked, answered, silent, refused by the cloud, waiting.", units.Short, 12,
			query{"max by (instance, result) (shenscan_probe_machines)", "{{instance}} {{result}}"}))
}
