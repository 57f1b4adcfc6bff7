//go:build live

package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// inCluster is one server's part of a cluster, for the end of nats-server.conf.
func inCluster(i int, routes []string) string {
	urls := make([]string, len(routes))
	for j, r := range routes {
		urls[j] = fmt.Sprintf("%q", "nats://"+r)
	}
	return fmt.Sprintf("\ncluster {\n  name: shenscan\n  listen: %q\n  routes: [%s]\n}\n", routes[i], strings.Join(urls, ", "))
}

// TestDeploymentClusterAlerts runs the roles on three servers, with a schedule that comes
// more often than a scan takes: ticks are skipped. Then two of the servers end,
// and no stream has a leader. When they are back, a whole scan follows.
func TestDeploymentClusterAlerts(t *testing.T) {
	f := launchWith(t, setup{servers: 3, cron: "*/5 * * * * *"})
	f.hurried(t)
	f.processes["prometheus"].Signal(t, syscall.SIGHUP)

	f.simulator(t, http.MethodPost, "latency", `"3s"`)
	const skipped = "ShenscanTicksSkipped"
	eventually(t, skipped+" should fire", f.alerting(skipped, true))
	f.simulator(t, http.MethodPost, "latency", `"0s"`)

	const quorum = "ShenscanNATSNoQuorum"
	for _, label := range []string{"nats-server 1", "nats-server 2"} {
		f.processes[label].Signal(t, os.Interrupt)
	}
	eventually(t, quorum+" should fire", f.alerting(quorum, true))
	for i := 1; i < 3; i++ {
		f.startServer(t, fmt.Sprintf("nats-server %d again", i), i)
	}
	f.silent(t, quorum)
	f.rescanAll(t)
}
