package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// Care of the store, from a scan to a page that is lost.
func TestStoreCare(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	sim, err := ecssim.Start(ecssim.Options{Instances: 500, Regions: 2, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	store, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy.db")
	do := func(code int, wants string, args ...string) {
		t.Helper()
		r := run(t, env(), args...)
		if r.code != code || !strings.Contains(r.stdout+r.stderr, wants) {
			t.Errorf("%v: exit code %d, want %d and %q in\n%s%s", args, r.code, code, wants, r.stdout, r.stderr)
		}
	}
	do(1, "nothing was scanned yet", "store", "check", "--store", filepath.Join(store, "none"))
	if _, err := os.Stat(filepath.Join(store, "none")); err == nil {
		t.Error("to check a store made one")
	}
	do(0, "", "scan", "--endpoint", sim.URL, "--store", store, "--output", "csv")
	do(0, "sound; 500 instances", "store", "check", "--store", store)
	do(0, "500 instances", "store", "backup", copied, "--store", store)
	do(1, "already there", "store", "backup", copied, "--store", store)
	do(0, "sound; 500 instances", "store", "check", copied)
	do(2, "not both", "store", "check", copied, "--store", store)
	do(0, "was", "store", "compact", "--store", store)
	do(0, "sound; 500 instances", "store", "check", "--store", store)

	out, link := filepath.Join(t.TempDir(), "fleet.csv"), filepath.Join(t.TempDir(), "link.csv")
	do(0, "", "report", "--store", store, "--output", "csv", "--out", out)
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new report has mode %v, %v", info.Mode(), err)
	}
	if err := os.Symlink(out, link); err != nil {
		t.Fatal(err)
	}
	do(1, "symbolic link", "report", "--store", store, "--output", "csv", "--out", link)

	path := filepath.Join(store, "store.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := []byte(strings.ReplaceAll(string(whole), "i-", "j-"))
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	do(1, "damaged", "store", "check", "--store", store)
	do(1, "damaged", "report", "--store", store, "--output", "csv")
	do(1, "damaged", "store", "compact", "--store", store)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(damaged) {
		t.Errorf("the damaged store was changed, %v", err)
	}
}
