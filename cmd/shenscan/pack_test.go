package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlanIsHandedOutByOwner makes a pack of a scanned fleet, with windows of the
// configuration file, and refuses what is none.
func TestPlanIsHandedOutByOwner(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	noKeys, dir := []string{"PATH=/usr/bin:/bin", "HOME=" + home}, filepath.Join(home, "store")
	if r := run(t, noKeys, "scan", "--from", saved(t, "DescribeInstances.recorded.troubleshooter.01.json"), "--store", dir, "--output", "csv"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	config := filepath.Join(home, "shenscan.yaml")
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("plan_windows:\n  - {name: pilot, os: [ubuntu], from: 2026-12-01}\n  - {name: the rest}\n")
	pack := filepath.Join(home, "pack")
	r := run(t, noKeys, "plan", "--config", config, "--store", dir, "--target", "shenlong-8", "--split-by-owner", pack)
	if r.code != 0 || !strings.Contains(r.stderr, "24 instances of 1 owner") {
		t.Fatalf("exit %d\n%s", r.code, r.stderr)
	}
	body, err := os.ReadFile(filepath.Join(pack, "owner-account-offline.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if pilot, rest := strings.Count(string(body), `"pilot, from 2026-12-01"`), strings.Count(string(body), ",the rest,"); pilot != 6 || rest != 18 {
		t.Errorf("%d instances in the first window and %d in the second", pilot, rest)
	}
	for _, args := range [][]string{
		{"--split-by-owner", pack}, // it is there
		{"--split-by-owner", pack + "2", "--out", "x"},
		{"--owner-fallback", "me"},
	} {
		if r := run(t, noKeys, append([]string{"plan", "--store", dir}, args...)...); r.code != 2 {
			t.Errorf("%v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	for _, bad := range []string{"- {name: a, tga: [x]}", "- {os: [ubuntu]}", "- {name: a, from: tomorrow}", "- {name: a, from: 2026-12-02, until: 2026-12-01}", "- {name: a, verdict: [fine]}"} {
		write("plan_windows:\n  " + bad + "\n")
		if r := run(t, noKeys, "plan", "--config", config, "--store", dir); r.code != 2 || !strings.Contains(r.stderr, "plan_windows") {
			t.Errorf("%s: exit %d\n%s", bad, r.code, r.stderr)
		}
	}
}
