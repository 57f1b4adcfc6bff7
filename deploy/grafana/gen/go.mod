// Writes the Grafana dashboards and alert rules of this folder's parent (make
// dashboards) and tests the files of deploy/.
module github.com/shenscan/shenscan/deploy/grafana/gen

go 1.26.0

require (
	github.com/grafana/grafana-foundation-sdk/go v0.0.18
	github.com/shenscan/shenscan v0.0.0
	go.yaml.in/yaml/v3 v3.0.6
)

// For internal/proctest alone, which imports nothing beyond the standard library.
replace github.com/shenscan/shenscan => ../../..
