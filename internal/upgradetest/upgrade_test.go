//go:build upgrade

package upgradetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/proctest"
)

var (
	oldBinary = flag.String("old", "", "the binary that runs before the upgrade, such as the last release's")
	newBinary = flag.String("new", "", "the binary that runs after it")
	server    = flag.String("nats-server", "", "the binary of nats-server")
)

const instances = 300

// roles are in the order in which docs/OPERATIONS.md has them upgraded: who
// reads a message is then never older than who wrote it.
var roles = []string{"sink", "worker", "producer"}

// mix says which roles run the new version.
type mix struct{ sink, worker, producer bool }

func (m mix) of(role string) bool {
	return map[string]bool{"sink": m.sink, "worker": m.worker, "producer": m.producer}[role]
}

func (m mix) String() string {
	var words []string
	for _, role := range roles {
		words = append(words, map[bool]string{true: "new", false: "old"}[m.of(role)]+" "+role)
	}
	return strings.Join(words, ", ")
}

// inOrder says whether nobody reads what a newer version wrote.
func (m mix) inOrder() bool { return (m.sink || !m.worker && !m.producer) && (m.worker || !m.producer) }

// walk visits every mix, one role at a time: the upgrade in its order, the
// downgrade in its reverse, then the mixes that only a wrong order brings about.
var walk = []mix{
	{},
	{sink: true},
	{sink: true, worker: true},
	{sink: true, worker: true, producer: true},
	{sink: true, worker: true},
	{sink: true},
	{},
	{producer: true},
	{worker: true, producer: true},
	{worker: true},
	{},
	{producer: true},
	{sink: true, producer: true},
	{sink: true, worker: true, producer: true},
}

// environment lets a process ask the simulated cloud.
var environment = []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=LTAISIMULATORDEMO", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=shenscan-simulator-demo-secret", "SHENSCAN_LOG_LEVEL=info"}

func start(t *testing.T, dir, name string, args ...string) *proctest.Process {
	t.Helper()
	return proctest.Start(t, filepath.Base(name)+" "+args[0], dir, environment, name, args...)
}

// pipeline is NATS, a cloud, and one process of each role.
type pipeline struct {
	dir, nats, cloud string
	running          map[string]*proctest.Process
	at               map[string]string
	now              mix
}

func (p *pipeline) binary(isNew bool) string {
	if isNew {
		return *newBinary
	}
	return *oldBinary
}

// begin starts a role in a version, in place of the one that runs.
func (p *pipeline) begin(t *testing.T, role string, isNew bool) {
	t.Helper()
	if was := p.running[role]; was != nil {
		was.Stop(t)
	}
	p.at[role] = proctest.FreeAddress(t)
	args := []string{role, "--nats-url", p.nats, "--listen", p.at[role]}
	if role == "sink" {
		args = append(args, "--store", filepath.Join(p.dir, "store"), "--sink-name", "a")
	} else {
		args = append(args, "--endpoint", p.cloud)
	}
	p.running[role] = start(t, p.dir, p.binary(isNew), args...)
}

// ready waits until every role is.
func (p *pipeline) ready(t *testing.T) error {
	t.Helper()
	for _, role := range roles {
		err := proctest.Until(t, 30*time.Second, func() error { _, err := proctest.Get("http://" + p.at[role] + "/readyz"); return err })
		if err != nil {
			return fmt.Errorf("the %s is not ready: %w", role, err)
		}
	}
	return nil
}

// scan asks for a whole scan in a version and waits for it.
func (p *pipeline) scan(t *testing.T, isNew bool) error {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), p.binary(isNew), "rescan", "--all", "--nats-url", p.nats, "--wait", "20s").CombinedOutput()
	if want := fmt.Sprintf(" complete: %d instances", instances); err == nil && !strings.Contains(string(out), want) {
		err = fmt.Errorf("it does not say %q", want)
	}
	if err != nil {
		return fmt.Errorf("rescan --all: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

var held = regexp.MustCompile(`(?m)^shenscan_dead_letters_held ([0-9.e+]+)$`)

// sound says what is wrong with what the pipeline holds: instances are missing,
// or messages were set aside.
func (p *pipeline) sound() error {
	body, err := proctest.Get("http://" + p.at["sink"] + "/api/v1/summary")
	if err != nil {
		return err
	}
	var summary struct{ Instances, Gone int }
	if err := json.Unmarshal([]byte(body), &summary); err != nil {
		return err
	}
	if summary.Instances != instances || summary.Gone != 0 {
		return fmt.Errorf("the store has %d instances and %d gone, want %d and none", summary.Instances, summary.Gone, instances)
	}
	metrics, err := proctest.Get("http://" + p.at["producer"] + "/metrics")
	if err != nil {
		return err
	}
	if m := held.FindStringSubmatch(metrics); m == nil || m[1] != "0" {
		return fmt.Errorf("dead letters are held: %v", m)
	}
	return nil
}

func TestVersionsSideBySide(t *testing.T) {
	if *oldBinary == "" || *newBinary == "" || *server == "" {
		t.Fatal("name the binaries: make test/upgrade OLD=…")
	}
	p := &pipeline{dir: t.TempDir(), running: map[string]*proctest.Process{}, at: map[string]string{}}
	natsAt, cloudAt := proctest.FreeAddress(t), proctest.FreeAddress(t)
	p.nats, p.cloud = "nats://"+natsAt, "http://"+cloudAt
	conf := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, max_file_store: 20GB }\n", natsAt, filepath.Join(p.dir, "nats"))
	if err := os.WriteFile(filepath.Join(p.dir, "nats.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, p.dir, *server, "-c", filepath.Join(p.dir, "nats.conf"))
	start(t, p.dir, *newBinary, "simulate", "--listen", cloudAt, "--instances", fmt.Sprint(instances), "--regions", "3")
	for _, at := range []string{natsAt, cloudAt} {
		if err := proctest.Until(t, 30*time.Second, func() error { return proctest.Listens(at) }); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[mix]bool{}
	for i, m := range walk {
		for _, role := range []string{"producer", "worker", "sink"} {
			if i == 0 || m.of(role) != p.now.of(role) {
				p.begin(t, role, m.of(role))
			}
		}
		p.now = m
		seen[m] = true
		err := errors.Join(p.ready(t), p.scan(t, m.producer))
		if err == nil {
			err = p.sound()
		}
		switch {
		case err == nil:
			t.Logf("%s: whole", m)
		case m.inOrder():
			t.Errorf("%s: %v\n%s", m, err, p.logs())
		case strings.Contains(err.Error(), "503"), strings.Contains(err.Error(), "newer"):
			t.Logf("%s: stands still and says so: %v", m, err) // enforced
		default:
			t.Errorf("%s, which is out of order, neither works nor says why: %v\n%s", m, err, p.logs())
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d of 8 mixes were tried", len(seen))
	}
	p.running["sink"].Stop(t)
	p.stores(t)
}

func (p *pipeline) logs() string {
	var b strings.Builder
	for _, role := range roles {
		lines := strings.Split(p.running[role].Output(), "\n")
		fmt.Fprintf(&b, "--- %s\n%s\n", role, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return b.String()
}

// stores reads the store, which both versions wrote, with each: it is sound, or
// the older one says that a newer wrote it.
func (p *pipeline) stores(t *testing.T) {
	t.Helper()
	for _, isNew := range []bool{true, false} {
		out, err := exec.CommandContext(t.Context(), p.binary(isNew), "store", "check", "--store", filepath.Join(p.dir, "store")).CombinedOutput()
		whole := err == nil && strings.Contains(string(out), fmt.Sprintf("sound; %d instances", instances))
		if refused := !isNew && err != nil && strings.Contains(string(out), "newer"); !whole && !refused {
			t.Errorf("store check (new: %v): %v: %s", isNew, err, out)
		}
	}
}
