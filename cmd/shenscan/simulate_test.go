package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every flag of the simulator that makes no sense is wrong usage.
func TestFlagsOfTheSimulatorThatMakeNoSenseAreWrongUsage(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"simulate --wrong-names 2", "simulate --wrong-names NaN", "simulate --offline-agents -1", "simulate --failed-starts 1.5",
		"simulate --instances 0", "simulate --instances 10000001", "simulate --regions 500", "simulate --accounts 0", "simulate --images 100000000",
		"simulate --latency soon", "simulate --fault kind=none", "simulate --fault kind=throttle,rate=2", "simulate --fault kind=throttle,rate=NaN",
		"simulate --quota DescribeInstances", "simulate --contradict none", "simulate --contract NONE", "simulate --listen 0.0.0.0:0",
		"demo --instances -1", "demo --regions 500",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(strings.ReplaceAll(line, "NONE", filepath.Join(t.TempDir(), "none")))
			if args[0] == "demo" {
				args = append(args, "--out", filepath.Join(t.TempDir(), "report.html"))
			}
			if r := run(t, env(), args...); r.code != 2 || r.stdout != "" {
				t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}
