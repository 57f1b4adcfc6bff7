package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// TestASlowRateStoresEverything scans more regions than a second's calls reach. Its
// scan begins before other tests do: nothing else takes as long, and it waits for
// its rate.
func TestASlowRateStoresEverything(t *testing.T) {
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 20, Seed: 5})
	out := filepath.Join(t.TempDir(), "report.jsonl")
	scan := start(t, env(), shenscan, "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--output", "jsonl", "--out", out, "--rate", "10")
	t.Parallel()
	<-scan.done
	report, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := records(t, string(report)); scan.err != nil || len(got) != 60 {
		t.Errorf("%v, %d of 60 instances", scan.err, len(got))
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
