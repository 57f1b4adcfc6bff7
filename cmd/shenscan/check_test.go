package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// check says of one instance what a scan says of it, and exits 0 for no verdict
// but compatible.
func TestCheckIsGoOrNoGo(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 200, Regions: 3, Seed: 21})
	scanned := run(t, env(), "scan", "--endpoint", sim.URL, "--store", t.TempDir(), "--target", "shenlong-7", "--output", "jsonl")
	if scanned.code != 0 {
		t.Fatalf("exit %d", scanned.code)
	}
	tried := map[rules.Level]bool{}
	for _, want := range records(t, scanned.stdout) {
		level := want.Verdicts[0].Level
		if tried[level] {
			continue
		}
		tried[level] = true
		r := run(t, env(), "check", want.InstanceID, "--endpoint", sim.URL, "--target", "shenlong-7", "--output", "json")
		code := 3
		if level == rules.Compatible {
			code = 0
		}
		var got record.Record
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != code || got.InstanceID != want.InstanceID || got.Verdicts[0].Level != level {
			t.Errorf("%s: exit %d, want %d; verdict %v, a scan says %s (%v)", want.InstanceID, r.code, code, got.Verdicts, level, err)
		}
		text := run(t, env(), "check", want.InstanceID, "--endpoint", sim.URL, "--target", "shenlong-7", "--region", want.Region)
		if text.code != code || !strings.Contains(text.stdout, "shenlong-7: "+level.String()) || !strings.Contains(text.stdout, want.Region) ||
			!strings.Contains(strings.Join(strings.Fields(text.stdout), " "), "open: Restart the instance before the move and see that it comes back. (restart)") {
			t.Errorf("exit %d: %s", text.code, text.stdout)
		}
	}
	if !tried[rules.Compatible] || len(tried) < 3 {
		t.Fatalf("the fleet has too few verdicts: %v", tried)
	}
	first := records(t, scanned.stdout)[0]
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nobody":        {[]string{"i-bp1nobodyhasthis00", "--target", "shenlong-7"}, 4, "i-bp1nobodyhasthis00"},
		"no target":     {[]string{first.InstanceID}, 2, "--target"},
		"bad target":    {[]string{first.InstanceID, "--target", "shenlong-5"}, 2, "shenlong-5"},
		"no id":         {[]string{"web-1", "--target", "kvm"}, 2, "web-1"},
		"two targets":   {[]string{first.InstanceID, "--target", "shenlong-6", "--target", "shenlong-7"}, 2, "run the command once for each"},
		"wrong region":  {[]string{first.InstanceID, "--target", "kvm", "--region", "cn-nowhere"}, 2, "cn-nowhere"},
		"no such order": {[]string{first.InstanceID, "--target", "kvm", "--output", "csv"}, 2, "csv"},
	} {
		r := run(t, env(), append([]string{"check", "--endpoint", sim.URL}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
			t.Errorf("%s: exit %d: %s", name, r.code, r.stderr)
		}
	}
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Region: first.Region, Action: "DescribeInstances"}); err != nil {
		t.Fatal(err)
	}
	if r := run(t, env(), "check", first.InstanceID, "--endpoint", sim.URL, "--target", "kvm"); r.code != 4 || r.stdout != "" {
		t.Errorf("an instance that could not be read: exit %d, %s", r.code, r.stderr)
	}
}
