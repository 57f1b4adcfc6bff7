package main_test

import (
	"encoding/json"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// endless are contradictions under which a scan may come to no end; mostEndless
// are those that took most calls, and twoEndless is what `go test ./...` tries of
// them: one of each end. make test/contradict tries mostEndless, make contradict all.
var (
	twoEndless  = []string{ecssim.MaxResultsIgnored.Name, ecssim.ThrottleLong.Name}
	mostEndless = []string{"", ecssim.MaxResultsIgnored.Name, ecssim.TokenEndless.Name, ecssim.CountTimes500.Name, ecssim.ThrottleLong.Name}
	endless     = []string{
		"", ecssim.FiltersIgnored.Name, ecssim.FiltersInCounts.Name, ecssim.EndIgnored.Name, ecssim.MaxResultsIgnored.Name, ecssim.PagesByNumber.Name,
		ecssim.TokenEndless.Name, ecssim.TokenEndlessEmpty.Name, ecssim.TokenUnknownCode.Name, ecssim.ListCut.Name, ecssim.RowsLeftOut.Name, ecssim.CountZero.Name, ecssim.CountHigh.Name,
		ecssim.CountHuge.Name, ecssim.CountTimes500.Name, ecssim.CountElsewhere.Name, ecssim.CountMissing.Name, ecssim.PagesRepeated.Name, ecssim.TokenForgets.Name, ecssim.CreatedLater.Name, ecssim.CreatedNever.Name, ecssim.ErrorAs200.Name, ecssim.RevokedMidway.Name, ecssim.IDsIgnored.Name, ecssim.BusyUnknownCodes.Name, ecssim.ThrottleLong.Name,
	}
)

// TestASickRegionIsBounded scans a region of 10,000 instances: at most 4,000
// calls and 45 s, and SIGTERM ends the scan within 10 s in the middle of it.
// Both times are those of a machine with nothing else to do, as `make contradict`
// has it; beside all other tests they are three times as long.
func TestASickRegionIsBounded(t *testing.T) {
	t.Parallel()
	const most = 4000
	names, wholeScan, ending := mostEndless, 3*45*time.Second, 3*10*time.Second
	switch {
	case sampled():
		names = twoEndless
	case *contradictSlow:
		names, wholeScan, ending = endless, 45*time.Second, 10*time.Second
	}
	for _, name := range names {
		t.Run("sick "+name, func(t *testing.T) {
			t.Parallel()
			o := ecssim.Options{Instances: 10_000, Regions: 1, Seed: 9}
			if name == ecssim.CountElsewhere.Name { // the larger one has two thirds
				o.Instances, o.Regions = 15_000, 2
			}
			sim := simulator(t, o)
			if name != "" {
				if err := sim.Contradict(name); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"scan", "--endpoint", sim.URL, "--output", "json", "--compact", "--store"}
			if name != ecssim.ThrottleLong.Name { // which waits for two minutes
				begun := time.Now()
				r := run(t, env(), append(args, t.TempDir())...)
				var o struct{ Scan record.Scan }
				if err := json.Unmarshal([]byte(r.stdout), &o); err != nil && r.code < 2 {
					t.Fatal(err)
				}
				calls := sim.Stats().Total
				t.Logf("exit %d, %s, %d instances, %d calls, %s", r.code, o.Scan.State, o.Scan.Instances, calls, time.Since(begun).Round(100*time.Millisecond))
				if calls > most || time.Since(begun) > wholeScan {
					t.Errorf("%d calls, more than %d, or more than %s", calls, most, wholeScan)
				}
			}
			sim.ResetStats()
			p := start(t, env(), shenscan, append(slices.Clone(args), t.TempDir())...)
			eventually(t, "calls are made", func() bool { return sim.Stats().Total > 3 })
			asked := time.Now()
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.done:
				t.Logf("ended %s after SIGTERM, %d calls", time.Since(asked).Round(10*time.Millisecond), sim.Stats().Total)
			case <-time.After(ending):
				t.Errorf("does not end within %s of SIGTERM", ending)
			}
		})
	}
}
