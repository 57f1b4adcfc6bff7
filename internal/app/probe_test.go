package app_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/rules"
)

// probeState is what the process says of asking machines.
func probeState(t *testing.T, a *app.App) (state record.ProbeState) {
	t.Helper()
	if err := json.NewDecoder(ask(t, a, "/api/v1/probe").Body).Decode(&state); err != nil {
		t.Fatal(err)
	}
	return state
}

// A process that is started with --probe asks the machines of the last scan, also
// where a rescan of a few instances ended after it.
func TestMachinesAreAskedWhereARescanEndedLast(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.HTTP.Listen = "127.0.0.1:0"
	first, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx) }()
	within(t, "it is ready", func() bool { ok, _ := first.Ready(); return ok })
	scan := whole(t, first, "a first look")
	var listed struct{ Instances []record.Record }
	if err := json.NewDecoder(ask(t, first, "/api/v1/instances?limit=1").Body).Decode(&listed); err != nil || len(listed.Instances) != 1 {
		t.Fatalf("%d instances: %v", len(listed.Instances), err)
	}
	one := listed.Instances[0]
	id, err := first.RequestRescan(t.Context(), []string{one.Account}, []string{one.Region}, []string{one.InstanceID}, "a second look")
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the rescan ends", func() bool { s, err := first.Scan(id); return err == nil && s.EndedAt != nil })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	first.Close()

	o.Probe, o.ProbeScans, o.Prober = true, true, impatient()
	second := serve(t, o)
	within(t, "the machines of the scan were asked", func() bool {
		state := probeState(t, second)
		return state.EndedAt != nil && state.ScanID == scan.ID && state.Answered > 0
	})
}

// impatient are the options in use, though answers are looked for at once: the
// simulator's machines have them ready.
func impatient() prober.Options {
	o := prober.DefaultOptions()
	o.PollFirst, o.PollLast = 10*time.Millisecond, 100*time.Millisecond
	return o
}

// afterARun is what a service that asks machines, those that a filter lets through,
// says after the run behind its first scan.
func afterARun(t *testing.T, chosen filter.Values) (state record.ProbeState) {
	t.Helper()
	o := options(t)
	o.HTTP.Listen = "127.0.0.1:0"
	o.Probe, o.ProbeScans, o.Prober = true, true, impatient()
	var err error
	if o.ProbeFilter, err = filter.Parse(chosen); err != nil {
		t.Fatal(err)
	}
	a := serve(t, o)
	scan := whole(t, a, "a first look")
	within(t, "the run ends", func() bool {
		state = probeState(t, a)
		return state.EndedAt != nil && state.ScanID == scan.ID
	})
	return state
}

// A service whose filter has a name that no machine has asks those that its other
// names let through, and says which name it is.
func TestANameThatNoMachineHasIsSaidAfterEachRun(t *testing.T) {
	t.Parallel()
	state := afterARun(t, filter.Values{"os": {"centos", "cntos"}})
	if state.Answered == 0 || len(state.Errors) != 1 || !strings.Contains(state.Errors[0], `--os "cntos"`) || !strings.Contains(state.Errors[0], `"centos"`) {
		t.Errorf("%d answered: %q", state.Answered, state.Errors)
	}
}

// Names that machines have, but none has together, ask nobody, and that is said as
// well.
func TestAFilterThatNobodyPassesIsSaid(t *testing.T) {
	t.Parallel()
	state := afterARun(t, filter.Values{"os": {"centos"}, "exclude": {"os=centos"}})
	if state.Planned != 0 || len(state.Errors) != 1 || !strings.Contains(state.Errors[0], "passes the filter of --probe") {
		t.Errorf("%d planned: %q", state.Planned, state.Errors)
	}
}

// A machine that is silent today and was heard of lately has an answer in use, and
// one whose answer is too old has none, for the cause of today.
func TestAnAnswerOfBeforeIsInUse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	guest := func(id string, heard time.Duration, cause string) prober.Guest {
		g := prober.Guest{Scope: ecs.Scope{Account: "1", Region: "cn-hangzhou"}, ID: id, ImageID: "m-1", Type: "ecs.g5.large", Script: probe.Version, Asked: now, Answered: now, Cause: cause}
		if heard > 0 {
			g.Heard, g.Facts = now.Add(-heard), rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)"}
		}
		return g
	}
	const day = 24 * time.Hour
	waiting := guest("i-5", 0, "")
	waiting.Answered = time.Time{}
	out := &prober.Outcome{
		Plan: &prober.Plan{Kept: []prober.Guest{guest("i-1", 3*day, ""), guest("i-2", 9*day, "silent"), waiting}}, Answered: []prober.Guest{guest("i-3", time.Minute, "")},
		Silent: []prober.Guest{guest("i-4", 40*day, "silent"), guest("i-6", 0, "silent")},
	}
	oldest := now.Add(-9 * day)
	want := []record.Evidence{{
		Source: "probe", Account: "1", Region: "cn-hangzhou", About: "instances", Asked: 6, Answered: 3, Oldest: &oldest,
		Skipped: []record.EvidenceSkipped{{Count: 1, Cause: prober.CauseOpen}, {Count: 2, Cause: "silent"}},
	}}
	if diff := cmp.Diff(want, app.ProbeEvidence(out, now)); diff != "" {
		t.Error(diff)
	}
}
