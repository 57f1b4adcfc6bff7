package main_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// TestASlowRateStoresEverything scans more regions than a second's calls reach.
func TestASlowRateStoresEverything(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 20, Seed: 5})
	r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--output", "jsonl", "--rate", "10")
	if got := records(t, r.stdout); r.code != 0 || len(got) != 60 {
		t.Errorf("exit %d, %d of 60 instances", r.code, len(got))
	}
}

// TestWhatIsRememberedIsNeverNothing refuses a number that would mean the default.
func TestWhatIsRememberedIsNeverNothing(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--keep-history", "--keep-scans", "--keep-gone"} {
		if r := run(t, env(), "serve", "--store", t.TempDir(), flag, "0"); r.code != 2 || !strings.Contains(r.stderr, flag) {
			t.Errorf("%s 0: exit %d: %s", flag, r.code, r.stderr)
		}
	}
}
