package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// An instance that moved between two scans is known with what was said before;
// one that its owner stopped is no outcome.
func TestWhatBecameOfInstancesThatMoved(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 120, Regions: 1, Seed: 5})
	dir := t.TempDir()
	scan := func() []record.Record {
		t.Helper()
		r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", dir, "--output", "jsonl")
		if r.code != 0 {
			t.Fatalf("exit %d: %s", r.code, r.stderr)
		}
		return records(t, r.stdout)
	}
	outcomes := func() (o record.MoveOutcomes) {
		t.Helper()
		r := run(t, env(), "report", "--outcomes", "--store", dir, "--output", "json")
		if err := json.Unmarshal([]byte(r.stdout), &o); err != nil || r.code != 0 {
			t.Fatalf("exit %d: %v: %s", r.code, err, r.stderr)
		}
		return o
	}
	var moved []record.Record
	for _, rec := range scan() {
		if rec.Virtualization == "kvm" && rec.Status == "Running" && rec.OS.Arch == "x86_64" && len(moved) < 2 {
			moved = append(moved, rec)
		}
	}
	if len(moved) < 2 || len(outcomes().Moves) != 0 {
		t.Fatalf("%d to move, %+v", len(moved), outcomes())
	}
	for i, status := range []string{"Running", "Stopped"} {
		if err := sim.Apply(moved[i].InstanceID, ecssim.Change{InstanceType: "ecs.g6.large", Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	scan()
	o := outcomes()
	if len(o.Moves) != 2 || o.Wrong != 0 {
		t.Fatalf("%+v", o)
	}
	for _, m := range o.Moves {
		want := map[string]record.MoveResult{moved[0].InstanceID: record.MoveEarly, moved[1].InstanceID: record.MoveNone}[m.InstanceID]
		was := moved[0]
		if m.InstanceID == moved[1].InstanceID {
			was = moved[1]
		}
		if m.Result != want && (want != record.MoveEarly || m.Result != record.MoveUp) || m.Verdict != was.Verdicts[1].Level.String() || m.From != was.InstanceType || m.To != "ecs.g6.large" {
			t.Errorf("%+v, want %s; it was %s", m, want, was.Verdicts[1].Level)
		}
	}
	// An instance whose verdict hangs on it was asked for a heartbeat, which is shown
	// with its age.
	hangs := slices.IndexFunc(scan(), func(rec record.Record) bool {
		return slices.ContainsFunc(rec.Verdicts, func(v rules.Verdict) bool { return v.Rule == "observed.up" })
	})
	if hangs < 0 {
		t.Fatal("no instance is known to be up")
	}
	if r := run(t, env(), "rules", "explain", scan()[hangs].InstanceID, "--store", dir); r.code != 0 || !strings.Contains(r.stdout, "heartbeat ") || !strings.Contains(r.stdout, " ago") {
		t.Errorf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	r := run(t, env(), "report", "--outcomes", "--store", dir)
	if r.code != 0 || !strings.Contains(r.stdout, moved[0].InstanceID) || !strings.Contains(r.stdout, "JUDGED BEFORE") {
		t.Errorf("exit %d:\n%s", r.code, r.stdout)
	}
	if r := run(t, env(), "report", "--outcomes", "--store", dir, "--output", "csv"); r.code != 2 {
		t.Errorf("csv: exit %d", r.code)
	}
}
