package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// Without an address of its own serve listens for its user alone, who finds it
// beside the store.
func TestServeIsFoundBesideItsStore(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 50, Regions: 2, Seed: 5})
	store := t.TempDir()
	p := start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", store, "--listen", "")
	eventually(t, "a scan is complete", func() bool { return run(t, env(), "rescan", "--all", "--store", store).code == 0 })
	if r := run(t, env(), "dead", "list", "--store", store); r.code != 0 || !strings.Contains(r.stdout, "CAUSE") {
		t.Errorf("dead list: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	if r := run(t, env(), "dead", "retry", "7", "--store", store); r.code != 1 || !strings.Contains(r.stderr, "7") {
		t.Errorf("retry of a letter that is not there: exit code %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for _, name := range []string{"nats.json", "nats.nk"} {
		if info, err := os.Stat(filepath.Join(store, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	body, err := os.ReadFile(filepath.Join(store, "nats.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), `"url":"`)
	url, _, _ := strings.Cut(rest, `"`)
	if nc, err := natsgo.Connect(url); err == nil {
		nc.Close()
		t.Errorf("%s lets in who has no key", url)
	}
	if r := run(t, env(), "rescan", "--all", "--nats-url", url); r.code != 1 {
		t.Errorf("rescan without the key: exit code %d", r.code)
	}
	p.stop()
	if r := run(t, env(), "rescan", "--all", "--store", store); r.code != 1 || !strings.Contains(r.stderr, "no shenscan runs") {
		t.Errorf("afterwards: exit code %d, %s", r.code, r.stderr)
	}
	if r := run(t, env(), "serve", "--endpoint", sim.URL, "--store", store, "--nats-listen", "0.0.0.0:0"); r.code != 2 || !strings.Contains(r.stderr, "beyond loopback") {
		t.Errorf("beyond loopback: exit code %d, %s", r.code, r.stderr)
	}
}
