package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// pipelineDashboard answers whether shenscan itself is well: what waits, what
// failed, how fast the store commits and what the processes use.
func pipelineDashboard() *dashboard.DashboardBuilder {
	const job = `job=~"$job"`
	commit := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (le, instance) (rate(shenscan_store_commit_duration_seconds_bucket{" + job + "}[$__rate_interval])))"
	}
	return board("shenscan-pipeline", "shenscan / Pipeline", "What waits in the streams, what could not be processed, and how the store and the processes do.", "6h").
		WithVariable(choice("job", "Job", "shenscan_build_info")).
		WithRow(dashboard.NewRowBuilder("Flow")).
		WithPanel(figure("Processes up", "Processes of shenscan that Prometheus reaches.", units.Short, 6, steps("red", from(1, "green")),
			query{"sum(up{" + job + "})", "up"})).
		WithPanel(figure("Sinks caught up", "1 when every sink has applied all results that were waiting when it started and since.", units.Short, 6, steps("red", from(1, "green")),
			query{"min(shenscan_caught_up{" + job + "})", "caught up"})).
		WithPanel(figure("Waiting messages", "Messages that wait for a consumer, over all streams.", units.Short, 6, steps("text"),
			query{"sum(max by (stream, consumer) (shenscan_consumer_pending_messages{" + job + "}))", "waiting"})).
		WithPanel(figure("Dead letters", "Messages that were set aside and wait for `shenscan dead retry` or `drop`.", units.Short, 6, steps("green", from(1, "red")),
			query{"max(shenscan_dead_letters_held{" + job + "})", "dead letters"})).
		WithPanel(lines("Waiting messages by consumer", "Messages of each stream that its consumer has not been given yet.", units.Short, 12,
			query{"max by (stream, consumer) (shenscan_consumer_pending_messages{" + job + "})", "{{stream}} {{consumer}}"})).
		WithPanel(lines("Unacknowledged messages by consumer", "Messages that a consumer holds and has not acknowledged.", units.Short, 12,
			query{"max by (stream, consumer) (shenscan_consumer_ack_pending_messages{" + job + "})", "{{stream}} {{consumer}}"})).
		WithPanel(lines("Classified", "Instances classified a second, by process.", units.OpsPerSecond, 12,
			query{"sum by (instance) (rate(shenscan_classified_total{" + job + "}[$__rate_interval]))", "{{instance}}"})).
		WithPanel(lines("Dead letters by stream", "Messages set aside an hour.", units.Short, 6,
			query{"sum by (stream) (increase(shenscan_dead_letters_total{" + job + "}[1h]))", "{{stream}}"})).
		WithPanel(lines("Stream size", "Bytes that each stream holds. A full stream of pages makes producers wait.", units.BytesIEC, 6,
			query{"max by (stream) (shenscan_stream_bytes{" + job + "})", "{{stream}}"})).
		WithRow(dashboard.NewRowBuilder("NATS")).
		WithPanel(figure("Connected", "1 while every process is connected to NATS.", units.Short, 6, steps("red", from(1, "green")),
			query{"min(shenscan_nats_connected{" + job + "})", "connected"})).
		WithPanel(figure("Quorum", "1 while JetStream answers for every stream: each has a leader.", units.Short, 6, steps("red", from(1, "green")),
			query{"min(shenscan_nats_quorum{" + job + "})", "quorum"})).
		WithPanel(figure("Streams missing", "Streams that NATS does not have; they are made again within seconds.", units.Short, 6, steps("green", from(1, "red")),
			query{"count(max by (stream) (shenscan_stream_present{" + job + "})) - sum(max by (stream) (shenscan_stream_present{" + job + "}))", "missing"})).
		WithPanel(figure("Consumers down", "Consumers that some process does not read as now.", units.Short, 6, steps("green", from(1, "red")),
			query{"count(shenscan_consumer_up{" + job + "}) - sum(shenscan_consumer_up{" + job + "})", "down"})).
		WithPanel(lines("Consumers begun again", "How often an hour reading as a consumer ended though nobody stopped it.", units.Short, 24,
			query{"sum by (consumer) (increase(shenscan_consumer_restarts_total{" + job + "}[1h]))", "{{consumer}}"})).
		WithRow(dashboard.NewRowBuilder("Store")).
		WithPanel(lines("Commit duration", "How long a transaction of the store takes, sync included: half of them, and all but one in a hundred.", units.Seconds, 12,
			query{commit("0.5"), "{{instance}} median"}, query{commit("0.99"), "{{instance}} 99th percentile"})).
		WithPanel(lines("File size", "Size of the store's file, and what it may grow to by its limit or its disk.", units.BytesIEC, 6,
			query{"shenscan_store_size_bytes{" + job + "}", "{{instance}}"}, query{"shenscan_store_size_limit_bytes{" + job + "}", "{{instance}} limit"})).
		WithPanel(lines("Instances in the store", "Instances that each sink holds, gone ones apart. Sinks that have caught up agree.", units.Short, 6,
			query{"shenscan_store_instances{" + job + "}", "{{instance}}"})).
		WithPanel(lines("Disk", "Part of what the store's file may grow to, by its limit or its disk, that it has taken. A full store keeps results waiting in the stream.", units.PercentUnit, 12,
			query{"shenscan_store_size_bytes{" + job + "} / shenscan_store_size_limit_bytes{" + job + "}", "{{instance}}"}).Max(1)).
		WithPanel(lines("Page and API", "How long requests to the page and the API take, by address: all but one in twenty.", units.Seconds, 12,
			query{"histogram_quantile(0.95, sum by (le, route) (rate(shenscan_http_request_duration_seconds_bucket{" + job + "}[$__rate_interval])))", "{{route}}"})).
		WithRow(dashboard.NewRowBuilder("Processes")).
		WithPanel(lines("CPU", "CPU time used a second, by process.", units.Short, 8,
			query{"rate(process_cpu_seconds_total{" + job + "}[$__rate_interval])", "{{instance}}"})).
		WithPanel(lines("Memory", "Resident memory by process, the mapped store included.", units.BytesIEC, 8,
			query{"process_resident_memory_bytes{" + job + "}", "{{instance}}"})).
		WithPanel(lines("Goroutines", "Goroutines by process. A steady rise is a leak.", units.Short, 8,
			query{"go_goroutines{" + job + "}", "{{instance}}"})).
		WithPanel(rows("Versions", "What runs where: version, Go version and rule set of every process.", units.Short, 24,
			map[string]string{"instance": "Process", "version": "Version", "goversion": "Go", "ruleset": "Rule set", "Value": "Processes"},
			query{"sum by (instance, version, goversion, ruleset) (shenscan_build_info{" + job + "})", ""}))
}
