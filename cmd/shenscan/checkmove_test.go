package main_test

import (
	"encoding/json"
	"os"
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
	if n := callsOf(sim, "DescribeDisks"); n != codes[0]+codes[3]+codes[4] {
		t.Errorf("%d calls for the disks of %v instances", n, codes)
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
	var said struct {
		NotFoundOut []string `json:"not_found_out"`
	}
	r := check(first, "--disks", "--offered", "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil || len(said.NotFoundOut) != 2 || !strings.Contains(said.NotFoundOut[1], "ecs:DescribeResourcesModification") {
		t.Errorf("not permitted: %v, %s", err, r.stdout)
	}
}

// Of an instance that is on the target there is no move to ask about, and of a target
// that takes every disk no disk; neither is a question that stays open.
func TestCheckAsksNothingThatNeedsNoAnswer(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 2, Seed: 3})
	for _, c := range []struct {
		target, says string
		flags        []string
		there        bool
	}{
		{"ecs.g8i", "it is there already, and nothing was asked about a move", []string{"--disks", "--offered"}, true},
		{"ecs.g6", "disks: not asked for, since no page names a kind that the target does not take", []string{"--disks"}, false},
	} {
		scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", c.target, "--output", "jsonl")
		all := records(t, scanned.stdout)
		at := slices.IndexFunc(all, func(r record.Record) bool {
			return r.Verdicts[0].Level == rules.Compatible && (r.InstanceFamily == c.target) == c.there
		})
		if at < 0 {
			t.Fatalf("no instance for %s: exit %d, %s", c.target, scanned.code, scanned.stderr)
		}
		r := run(t, env(), append([]string{"check", all[at].InstanceID, "--endpoint", sim.URL, "--region", all[at].Region, "--target", c.target}, c.flags...)...)
		if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, c.says) {
			t.Errorf("%s: exit %d, %s%s", c.target, r.code, r.stdout, r.stderr)
		}
	}
	if n := callsOf(sim, "DescribeDisks", "DescribeResourcesModification"); n != 0 {
		t.Errorf("%d calls about moves that nobody makes", n)
	}
}

// A cloud that does not answer about the move within --wait takes nothing from the
// verdict, which is in hand.
func TestCheckKeepsTheVerdictWhereTheMoveIsNotAnswered(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 100, Regions: 1, Seed: 3})
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", "ecs.g8i", "--output", "jsonl")
	all := records(t, scanned.stdout)
	at := slices.IndexFunc(all, func(r record.Record) bool { return r.Verdicts[0].Level == rules.Compatible && r.Generation < 8 })
	if at < 0 {
		t.Fatalf("exit %d, %s", scanned.code, scanned.stderr)
	}
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultHang, Action: "DescribeDisks"}); err != nil {
		t.Fatal(err)
	}
	r := run(t, env(), "check", all[at].InstanceID, "--endpoint", sim.URL, "--target", "ecs.g8i", "--disks", "--wait", "8s")
	if r.code != 4 || !strings.Contains(r.stdout, "ecs.g8i: compatible") || !strings.Contains(r.stderr, "the cloud did not answer within 8s") {
		t.Errorf("exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
}

// A verdict that rests on less than was asked is none to go by: an image that could not
// be read may say that the instance does not boot there.
func TestCheckDoesNotPassOnHalfOfTheFacts(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 200, Regions: 1, Seed: 3})
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", "ecs.g7", "--output", "jsonl")
	all := records(t, scanned.stdout)
	at := slices.IndexFunc(all, func(r record.Record) bool {
		v := &r.Verdicts[0]
		offered := slices.ContainsFunc(v.Findings, func(f rules.Finding) bool { return f.Rule == "platform.offered" })
		return v.Level == rules.Compatible && !strings.HasPrefix(v.Rule, "platform.") && r.Generation < 7 && offered
	})
	if at < 0 {
		t.Fatalf("exit %d, %s", scanned.code, scanned.stderr)
	}
	check := func(args ...string) result {
		return run(t, env(), append([]string{"check", all[at].InstanceID, "--endpoint", sim.URL, "--target", "ecs.g7"}, args...)...)
	}
	if r := check(); r.code != 0 {
		t.Fatalf("exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for action, without := range map[string][]string{"DescribeImages": nil, "DescribeImageSupportInstanceTypes": {"--platform-evidence=false"}} {
		sim.ClearFaults()
		if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Action: action}); err != nil {
			t.Fatal(err)
		}
		r := check()
		if r.code != 4 || !strings.Contains(r.stdout, "compatible") || !strings.Contains(r.stderr, "this was not found out") || !strings.Contains(r.stderr, "ecs:"+action) {
			t.Errorf("%s: exit %d, %s%s", action, r.code, r.stdout, r.stderr)
		}
		if r := check(without...); without != nil && r.code != 0 {
			t.Errorf("%s, which nobody asked for: exit %d, %s%s", action, r.code, r.stdout, r.stderr)
		}
	}
	sim.ClearFaults()
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultHang, Action: "DescribeInstances"}); err != nil {
		t.Fatal(err)
	}
	if r := check("--wait", "4s"); r.code != 4 || !strings.Contains(r.stderr, "nothing was heard of it within 4s") {
		t.Errorf("not read in time: exit %d, %s%s", r.code, r.stdout, r.stderr)
	}
}

// A check that is interrupted while it asks about the move says that, and nothing of
// what it did not find out.
func TestCheckIsInterruptedWhileItAsksAboutTheMove(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 100, Regions: 1, Seed: 3})
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", "ecs.g8i", "--output", "jsonl")
	all := records(t, scanned.stdout)
	at := slices.IndexFunc(all, func(r record.Record) bool { return r.Verdicts[0].Level == rules.Compatible && r.Generation < 8 })
	if at < 0 {
		t.Fatalf("exit %d, %s", scanned.code, scanned.stderr)
	}
	for _, action := range []string{"DescribeInstanceTypes", "DescribeDisks", "DescribeResourcesModification"} {
		sim.ClearFaults()
		if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultHang, Action: action}); err != nil {
			t.Fatal(err)
		}
		before := callsOf(sim, action)
		p := start(t, env(), shenscan, "check", all[at].InstanceID, "--endpoint", sim.URL, "--target", "ecs.g8i", "--disks", "--offered")
		eventually(t, "it asks "+action, func() bool { return callsOf(sim, action) > before })
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		<-p.done
		if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.output(), "check was interrupted") || strings.Contains(p.output(), "found out") {
			t.Errorf("%s: exit %d: %s", action, code, p.output())
		}
	}
}
