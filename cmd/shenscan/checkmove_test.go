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

// A verdict that is compatible is no go where the disks of the instance or the offer
// of the cloud speak against the move, or where either was asked for and is not known.
func TestCheckAsksForTheMove(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 3})
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", "ecs.g8i", "--output", "jsonl")
	if scanned.code != 0 {
		t.Fatal(scanned.stderr)
	}
	convert := convertible(t, sim)
	check := func(rec *record.Record, args ...string) result {
		return run(t, env(), append([]string{"check", rec.InstanceID, "--endpoint", sim.URL, "--region", rec.Region, "--target", "ecs.g8i"}, args...)...)
	}
	codes := map[int]int{}
	var first *record.Record
	all := records(t, scanned.stdout)
	for i := range all {
		rec := &all[i]
		if rec.Verdicts[0].Level != rules.Compatible || rec.Generation >= 8 || codes[0] > 1 && codes[3] > 1 || codes[0]+codes[3] > 12 {
			continue
		}
		if first == nil {
			first = rec
		}
		r := check(rec, "--disks", "--offered", "--output", "json")
		codes[r.code]++
		var got struct {
			record.Record

			Disks   *record.InstanceDisks
			Offered *record.OfferedChange
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.InstanceID != rec.InstanceID || got.Verdicts[0].Level != rules.Compatible || got.Disks == nil || got.Offered == nil {
			t.Fatalf("exit %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
		}
		var named []string
		for _, disk := range got.Disks.Disks {
			named = append(named, disk.ID)
		}
		slices.Sort(named)
		if !slices.Equal(named, convert[rec.InstanceID]) {
			t.Errorf("%s has %v to convert, in truth %v", rec.InstanceID, named, convert[rec.InstanceID])
		}
		want := 0
		switch {
		case len(named) > 0 || got.Offered.Against():
			want = 3
		case got.Offered.State != record.ChangeOffered:
			want = 4
		}
		if r.code != want || (r.stderr == "") != (want == 0) {
			t.Errorf("exit %d, want %d for %+v and %+v: %s", r.code, want, got.Disks, got.Offered, r.stderr)
		}
	}
	if codes[0] == 0 || codes[3] == 0 {
		t.Fatalf("the fleet has too few answers: %v", codes)
	}
	for _, call := range sim.Stats().Calls {
		if call.Action == "DescribeDisks" && call.Calls != codes[0]+codes[3]+codes[4] {
			t.Errorf("%d calls for the disks of %v instances", call.Calls, codes)
		}
	}
	if r := check(first); r.code != 0 || strings.Contains(r.stdout, "disks: ") {
		t.Errorf("asked for nothing more: exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for _, action := range []string{"DescribeDisks", "DescribeResourcesModification"} {
		if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	if r := check(first, "--disks", "--offered"); r.code != 4 || !strings.Contains(r.stdout, "ecs:DescribeDisks") || !strings.Contains(r.stderr, "ecs:DescribeResourcesModification") {
		t.Errorf("not permitted: exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
}
