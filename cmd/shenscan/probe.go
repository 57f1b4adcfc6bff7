package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer/prober"
)

// probeFlags let machines be asked.
type probeFlags struct{ on, dryRun bool }

func (f *probeFlags) add(cmd *cobra.Command) {
	f.addOn(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "with --probe: print what would be asked of whom and what that needs, and ask nobody")
	needs(cmd.Flags(), []string{"probe"}, "dry-run")
}

// addOn adds what a process takes that goes on.
func (f *probeFlags) addOn(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.on, "probe", false, "ask the machines themselves, those that the filter lets through: one fixed script that only reads, run by Cloud Assistant as root or SYSTEM; needs deploy/ram-policy-probe.json")
}

// check refuses what makes no sense together.
func (f *probeFlags) check(options *app.Options, from bool) error {
	switch {
	case f.dryRun && !f.on: // as the environment or the file has it
		return usage(errors.New("--dry-run is about --probe; give both"))
	case !f.on:
		return nil
	case from:
		return usage(errors.New("--probe asks machines through the cloud, which --from does not read; give one of them"))
	}
	options.Probe = true
	return nil
}

// writeProbePlan says what a probe would ask.
func writeProbePlan(w io.Writer, plan *prober.Plan) error {
	type group struct {
		scope    ecs.Scope
		platform string
	}
	ask := map[group][]string{}
	for i := range plan.Ask {
		candidate := &plan.Ask[i]
		script, _ := probe.ScriptFor(candidate.OSType)
		g := group{candidate.Scope, script.Platform}
		ask[g] = append(ask[g], candidate.ID)
	}
	screen := onScreen(w)
	line := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		body := strings.TrimLeft(text, " ")
		screen.say(text[:len(text)-len(body)], body)
	}
	line("%d machines would be asked. Nobody was.", len(plan.Ask))
	line("")
	line("It needs, in each account (deploy/ram-policy-probe.json):")
	for _, a := range ecsapi.Actions() {
		if a.Probe {
			line("  %s", a.Permission)
		}
	}
	line("")
	line("What runs there, as root or SYSTEM, and only reads:")
	for _, osType := range []string{"linux", "windows"} {
		s, _ := probe.ScriptFor(osType)
		line("  %-7s  %d bytes, SHA-256 %s", s.Platform, len(s.Content), s.Digest)
	}
	groups := slices.SortedFunc(maps.Keys(ask), func(a, b group) int {
		return cmp.Or(strings.Compare(a.scope.String(), b.scope.String()), strings.Compare(a.platform, b.platform))
	})
	for _, g := range groups {
		ids := ask[g]
		line("")
		line("%s, %s: %d machines, %d calls of RunCommand at least", report.Clean(g.scope.String()), g.platform, len(ids), (len(ids)+ecs.MaxCommandInstances-1)/ecs.MaxCommandInstances)
		for _, id := range ids {
			line("  %s", report.Clean(id))
		}
	}
	answered := 0
	causes := map[string]int{}
	for i := range plan.Kept {
		if c := plan.Kept[i].Cause; c != "" {
			causes[c]++
		} else {
			answered++
		}
	}
	for cause, list := range plan.Not {
		causes[cause] += len(list)
	}
	if answered+len(causes) > 0 {
		line("")
	}
	if answered > 0 {
		line("%d machines were asked lately and are not asked again.", answered)
	}
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		line("%d are not asked: %s.", causes[cause], cause)
	}
	return screen.err
}
