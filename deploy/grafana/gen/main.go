// Command gen writes what Prometheus and Grafana show of shenscan: three
// dashboards and one list of alerts in two dialects; and it copies what Kubernetes
// needs beside its manifests. It asks nobody, so that two runs write the same
// bytes.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"go.yaml.in/yaml/v3"
)

func main() {
	out := flag.String("out", "../..", "the deploy folder")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	files, err := render(out)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render returns every generated file by its path in deploy.
func render(deploy string) (map[string][]byte, error) {
	files := map[string][]byte{}
	// Kustomize reads nothing beside or above its own folder.
	for copied, from := range map[string]string{
		"kubernetes/shenscan.yaml": "shenscan.yaml", "kubernetes/nats-server.conf": "nats/nats-server.conf",
	} {
		text, err := os.ReadFile(filepath.Join(deploy, from))
		if err != nil {
			return nil, err
		}
		if from == "nats/nats-server.conf" {
			// Here the kubelet looks at the server's health from outside; networkpolicy.yaml keeps others away.
			inside, outside := []byte(`http: "127.0.0.1:8222"`), []byte(`http: "0.0.0.0:8222"`)
			if !bytes.Contains(text, inside) {
				return nil, fmt.Errorf("%s: no %s", from, inside)
			}
			text = bytes.Replace(text, inside, outside, 1)
		}
		files[copied] = append([]byte("# A copy of deploy/"+from+", made by `make dashboards`; change it there.\n"), text...)
	}
	// The NATS project's chart has a configuration of its own, and takes the accounts.
	conf, err := os.ReadFile(filepath.Join(deploy, "nats/nats-server.conf"))
	if err != nil {
		return nil, err
	}
	_, accounts, found := bytes.Cut(conf, []byte("\naccounts {\n"))
	if !found {
		return nil, errors.New("nats/nats-server.conf: no accounts")
	}
	files["nats/accounts.conf"] = append([]byte("# The accounts of deploy/nats/nats-server.conf, copied by `make dashboards`; change them there.\n# keys.conf lies beside it.\ninclude ./keys.conf\naccounts {\n"), accounts...)
	for name, builder := range map[string]*dashboard.DashboardBuilder{
		"fleet": fleetDashboard(), "scans": scansDashboard(), "pipeline": pipelineDashboard(),
	} {
		board, err := builder.Build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", name, err)
		}
		number(&board)
		text, err := json.MarshalIndent(board, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", name, err)
		}
		files["grafana/dashboards/"+name+".json"] = append(text, '\n')
	}
	for name, content := range map[string]any{
		"prometheus/alerts.yml":                      prometheusRules(),
		"grafana/provisioning/alerting/shenscan.yml": grafanaRules(),
	} {
		text, err := toYAML(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = text
	}
	// A chart reads nothing beside its own folder either.
	files["helm/shenscan/files/alerts.yml"] = files["prometheus/alerts.yml"]
	return files, nil
}

// toYAML writes a file of Prometheus, with the place where it is to be changed at its
// head.
func toYAML(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by `make dashboards` from deploy/grafana/gen/alerts.go; change it there.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// number gives panels the ids that links and alerts need, in reading order.
func number(board *dashboard.Dashboard) {
	id := uint32(0)
	next := func() *uint32 { id++; n := id; return &n }
	for _, p := range board.Panels {
		if p.RowPanel != nil {
			p.RowPanel.Id = *next()
		}
		if p.Panel != nil {
			p.Panel.Id = next()
		}
	}
}
