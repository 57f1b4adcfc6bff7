package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// SIGHUP takes the configuration anew, refuses a wrong one as a whole, and ends
// nothing.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 2, Seed: 5})
	home, page := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	file, rules := filepath.Join(home, "shenscan.yaml"), filepath.Join(home, "rules.yaml")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, "version: 1\n")
	write(file, "rules: ["+rules+"]\nlog_level: warn\n")
	p := start(t, env(), shenscan, "serve", "--config", file, "--endpoint", sim.URL, "--store", t.TempDir(), "--listen", page)
	eventually(t, "it is up", func() bool { return strings.Contains(p.output(), "is running") })
	hangup := func() {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write(rules, "version: 1\nwaivers:\n  - {id: shop, scope: {regions: [cn-hangzhou]}, until: \"2999-12-31\", reason: the work is planned}\n")
	write(file, "rules: ["+rules+"]\nlog_level: info\nscan_idle: 5m\n")
	hangup()
	eventually(t, "the waiver counts", func() bool {
		return strings.Contains(scrape(t, "http://"+page), `shenscan_waiver_end_timestamp_seconds{waiver="shop"}`)
	})
	eventually(t, "the log says what changed", func() bool {
		log := p.output()
		return strings.Contains(log, "waivers added: shop") && strings.Contains(log, "log level warn is info") && strings.Contains(log, "waits_for_restart=--scan-idle")
	})
	write(file, "rules: ["+rules+"]\nstroe: x\n")
	hangup()
	eventually(t, "the log says why it is refused", func() bool {
		return strings.Contains(p.output(), "everything stays as it was") && strings.Contains(p.output(), "stroe")
	})
	if m := scrape(t, "http://"+page); !strings.Contains(m, "shenscan_reload_success 0") || !strings.Contains(m, `{waiver="shop"}`) {
		t.Error("a refused reload is not shown, or changed something")
	}
	p.stop()
}

func TestConfigCheckAndShow(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", `store: /var/lib/shenscan
nats_url: nats://user:hunter2@127.0.0.1:4222
output: json
accounts:
  - {role_arn: "acs:ram::1234567890123456:role/shenscan", external_id: hunter3}
schedules:
  - {name: nightly, cron: "0 0 3 * * *", zone: Asia/Shanghai}
`)
	r := run(t, env("SHENSCAN_RATE=5"), "config", "show", "--config", good, "--start-rate", "2")
	for _, want := range []string{
		"store: /var/lib/shenscan # file " + good, "# environment SHENSCAN_RATE", "start_rate: \"2\" # flag", "scan_idle: 15m0s # default",
		"nightly", "Asia/Shanghai", "external_id: <secret>", "nats://***@127.0.0.1:4222",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("it does not show %q", want)
		}
	}
	if r.code != 0 || strings.Contains(r.stdout, "hunter") {
		t.Errorf("exit %d, or a secret is shown:\n%s", r.code, r.stdout)
	}
	// What it shows is a file that can be used again.
	again := run(t, env(), "config", "show", "--config", write("again.yaml", r.stdout))
	if again.code != 0 || !strings.Contains(again.stdout, "store: /var/lib/shenscan") {
		t.Errorf("exit %d: %s", again.code, again.stderr)
	}
	if r := run(t, env(), "config", "check", "--config", good); r.code != 0 || !strings.Contains(r.stdout, "1 schedule, 1 account") {
		t.Errorf("exit %d: %s", r.code, r.stdout)
	}
	for name, tc := range map[string]struct{ file, want string }{
		"a cron that no server takes":      {"schedules: [{name: x, cron: \"0 0 99 * * *\"}]", "\"x\""},
		"rules that are not there":         {"rules: [/nonexistent.yaml]", "/nonexistent.yaml"},
		"a role that is none":              {"accounts: [{role_arn: nobody}]", "role_arn"},
		"a value of another command":       {"offline: perhaps", "offline"},
		"a value of this command":          {"concurrency: many", "concurrency"},
		"a setting that nothing reads":     {"stroe: x", "stroe"},
		"a page that everybody may read":   {"listen: 0.0.0.0:1", "--insecure-listen"},
		"a retention that forgets at once": {"keep_gone: 1s", "--keep-gone"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, env(), "config", "check", "--config", write("bad.yaml", tc.file+"\n"))
			if r.code != 2 || !strings.Contains(r.stderr, tc.want) {
				t.Errorf("exit %d: %s", r.code, r.stderr)
			}
		})
	}
	if r := run(t, env(), "config", "check", "sevre"); r.code != 2 || !strings.Contains(r.stderr, `"serve"`) {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
}
