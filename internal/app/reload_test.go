package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// never is a cron that no test lives to see.
const never = "0 0 0 1 1 *"

// configured is a process whose configuration can be changed while it runs.
type configured struct {
	*app.App
	t    *testing.T
	sim  *ecssim.Server
	mu   sync.Mutex
	next app.Settings
	err  error
}

// change changes the configuration.
func (c *configured) change(f func(s *app.Settings)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.next)
}

// reconfigurable runs a process on a fleet of three accounts, which has scanned
// once.
func reconfigurable(t *testing.T) *configured { return reconfigurableBehind(t, nil) }

// reconfigurableBehind is the same where every call of the cloud goes through front,
// unless it is nil.
func reconfigurableBehind(t *testing.T, front func(cloud http.Handler) http.Handler) *configured {
	t.Helper()
	sim, err := ecssim.Start(ecssim.Options{Instances: 90, Regions: 2, Accounts: 3, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	o := options(t)
	o.Cloud.Endpoint = sim.URL
	if front != nil {
		door := httptest.NewServer(front(sim.Simulator))
		t.Cleanup(door.Close)
		o.Cloud.Endpoint = door.URL
	}
	for _, a := range sim.Accounts()[1:] {
		o.Cloud.Accounts = append(o.Cloud.Accounts, ecsapi.Account{RoleARN: "acs:ram::" + a.ID + ":role/shenscan"})
	}
	o.Schedules = []app.Schedule{{Name: "nightly", Cron: never}}
	o.HTTP.Listen, o.Debug.Level = "127.0.0.1:0", &slog.LevelVar{}
	c := &configured{t: t, sim: sim, next: o.Settings()}
	o.Reread = func(context.Context) (app.Settings, []string, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.next, []string{"--listen"}, c.err
	}
	c.App = serve(t, o)
	return c
}

func (c *configured) get(path string, into any) {
	c.t.Helper()
	resp, err := http.Get(c.Listening() + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, body)
	}
	if text, ok := into.(*string); ok {
		*text = string(body)
	} else if err := json.Unmarshal(body, into); err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
}

func (c *configured) scans() []record.Scan {
	var got struct{ Scans []record.Scan }
	c.get("/api/v1/scans", &got)
	return got.Scans
}

func (c *configured) ended(n int) func() bool {
	return func() bool {
		done := 0
		for _, s := range c.scans() {
			if s.State != record.ScanRunning && s.Kind == "scan" {
				done++
			}
		}
		return done >= n
	}
}

func (c *configured) metrics() string {
	var text string
	c.get("/metrics", &text)
	return text
}

// waived counts the verdicts that are set aside.
func (c *configured) waived() int {
	var got struct{ Instances []*record.Record }
	c.get("/api/v1/instances?limit=500", &got)
	n := 0
	for _, i := range got.Instances {
		for _, v := range i.Verdicts {
			if v.Waiver != nil {
				n++
			}
		}
	}
	return n
}

func overlay(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// waiveAll sets everything aside that is not compatible.
func waiveAll(regions []string) string {
	return "version: 1\nwaivers:\n  - {id: all, scope: {regions: [" + strings.Join(regions, ", ") + "]}, as: compatible, until: \"2999-12-31\", reason: a test}\n"
}

func TestReloadTakesEverythingAnew(t *testing.T) {
	t.Parallel()
	c := reconfigurable(t)
	within(t, "the first scan ends", c.ended(1))
	if n := c.waived(); n != 0 {
		t.Fatalf("%d verdicts are set aside before", n)
	}
	gone, kept := c.sim.Accounts()[1], c.sim.Accounts()[2]
	c.change(func(s *app.Settings) {
		s.Rules = []string{overlay(t, waiveAll(c.sim.Regions()))}
		s.Configured = []ecsapi.Account{{Name: "shop", RoleARN: "acs:ram::" + kept.ID + ":role/shenscan"}}
		s.Schedules = []app.Schedule{{Name: "hourly", Cron: never}}
		s.Level = slog.LevelDebug
		s.OwnerTags = []string{"team"}
	})
	done, err := c.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(done.Changed, "\n")
	for _, want := range []string{
		"rule set ", "waivers added: all", "instances have other verdicts", "schedules added: hourly", "schedules removed: nightly",
		"accounts added: shop", "log level info is debug", "owners are counted by team",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the answer does not say %q:\n%s", want, told)
		}
	}
	if len(done.Restart) != 1 || done.Restart[0] != "--listen" {
		t.Errorf("what waits for a restart: %v", done.Restart)
	}
	if c.waived() == 0 {
		t.Error("no verdict is set aside: the stored fleet was not judged anew")
	}
	m := c.metrics()
	for _, want := range []string{`shenscan_waiver_end_timestamp_seconds{waiver="all"}`, "shenscan_reload_success 1"} {
		if !strings.Contains(m, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// The schedule that is new ticks at once, and scans the accounts that there are now.
	within(t, "the new schedule's scan ends", c.ended(2))
	for _, s := range c.scans() {
		if s.Reason != "schedule hourly" {
			continue
		}
		for _, x := range s.Scopes {
			if x.Account == gone.ID && x.Listed > 0 {
				t.Errorf("an account that left the configuration was scanned: %+v", x)
			}
		}
	}
	if !strings.Contains(c.metrics(), "shenscan_owner_open_instances{") {
		t.Error("no owners are counted by the tag that came")
	}
	again, err := c.Reload(t.Context())
	if err != nil || len(again.Changed) != 0 {
		t.Errorf("a reload of the same changes %v, %v", again, err)
	}
}

// A reload of which anything is wrong changes nothing, whatever else is right.
func TestARefusedReloadLeavesEverything(t *testing.T) {
	t.Parallel()
	c := reconfigurable(t)
	within(t, "the first scan ends", c.ended(1))
	before := c.metrics()
	ruleset := before[strings.Index(before, "shenscan_build_info{"):]
	ruleset = ruleset[:strings.IndexByte(ruleset, '\n')]
	good := overlay(t, waiveAll(c.sim.Regions()))
	start := c.next
	for name, spoil := range map[string]func(s *app.Settings){
		"rules that do not compile":    func(s *app.Settings) { s.Rules = []string{overlay(t, "version: 1\nrules: [{id: x}]\n")} },
		"a rule file that is gone":     func(s *app.Settings) { s.Rules = []string{"/nonexistent/rules.yaml"} },
		"a target that does not exist": func(s *app.Settings) { s.Targets = []string{"shenlong-5"} },
		"a schedule without a name":    func(s *app.Settings) { s.Schedules = append(s.Schedules, app.Schedule{Cron: never}) },
		"a schedule that stands twice": func(s *app.Settings) { s.Schedules = append(s.Schedules, s.Schedules[0]) },
		"a zone that does not exist":   func(s *app.Settings) { s.Schedules[0].Zone = "Asia/Atlantis" },
		"a cron that only the server judges": func(s *app.Settings) {
			s.Schedules = append(s.Schedules, app.Schedule{Name: "z", Cron: "0 0 99 * * *"})
		},
		"an account that stands twice":       func(s *app.Settings) { s.Configured = append(s.Configured, s.Configured[0]) },
		"a wanted account that nobody knows": func(s *app.Settings) { s.Accounts = []string{"nobody"} },
	} {
		t.Run(name, func(t *testing.T) {
			c.change(func(s *app.Settings) {
				*s = start
				s.Rules, s.Level = []string{good}, slog.LevelDebug
				s.Schedules = []app.Schedule{{Name: "hourly", Cron: never}}
				s.Configured = start.Configured[:1:1]
				spoil(s)
			})
			if _, err := c.Reload(t.Context()); err == nil {
				t.Fatal("it was taken")
			}
			m := c.metrics()
			if !strings.Contains(m, "shenscan_reload_success 0") || !strings.Contains(m, ruleset) || strings.Contains(m, `schedule="hourly"`) {
				t.Errorf("something of it counts:\n%s", m[strings.Index(m, "shenscan_reload"):][:200])
			}
			if c.waived() != 0 {
				t.Error("the stored fleet was judged anew")
			}
		})
	}
	// What was refused does not come back by itself: the schedule that was there
	// is still the one that the server has.
	c.change(func(s *app.Settings) { *s = start })
	done, err := c.Reload(t.Context())
	if err != nil || len(done.Changed) != 0 {
		t.Errorf("the configuration as it was is a change: %v, %v", done, err)
	}
	if m := c.metrics(); !strings.Contains(m, "shenscan_reload_success 1") || strings.Contains(m, `shenscan_schedule_ticks_total{outcome="started",schedule="hourly"}`) {
		t.Error("a refused schedule ticked, or success is not shown again")
	}
}

// Several who ask at once are served one after the other; what counts in the end
// is the last configuration, whole.
func TestReloadsAreTakenOneAfterTheOther(t *testing.T) {
	t.Parallel()
	c := reconfigurable(t)
	within(t, "the first scan ends", c.ended(1))
	waive, none := overlay(t, waiveAll(c.sim.Regions())), c.next
	var askers sync.WaitGroup
	for i := range 8 {
		askers.Go(func() {
			c.change(func(s *app.Settings) {
				if *s = none; i%2 == 0 {
					s.Rules, s.Schedules = []string{waive}, []app.Schedule{{Name: "b", Cron: never}, {Name: "c", Cron: never}}
				}
			})
			if _, err := c.Reload(t.Context()); err != nil {
				t.Errorf("reload %d: %v", i, err)
			}
		})
	}
	askers.Wait()
	c.change(func(s *app.Settings) { *s = none; s.Rules = []string{waive} })
	if _, err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.waived() == 0 || !strings.Contains(c.metrics(), `{waiver="all"}`) {
		t.Error("the last one does not count")
	}
}

// An account that leaves the configuration in the middle of a scan is read to
// its end by that scan, and is not in the next. No instance is listed before the
// account has left.
func TestAScanEndsWithTheAccountsThatItBeganWith(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	leave := sync.OnceFunc(func() { close(left) })
	t.Cleanup(leave)
	c := reconfigurableBehind(t, func(cloud http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("x-acs-action") == "DescribeInstances" {
				select {
				case <-left:
				case <-r.Context().Done():
				}
			}
			cloud.ServeHTTP(w, r)
		})
	})
	leaving := c.sim.Accounts()[1].ID
	within(t, "the scan is planned", func() bool {
		s := c.scans()
		return len(s) > 0 && len(s[0].Scopes) > 0
	})
	c.change(func(s *app.Settings) { s.Configured = s.Configured[1:] })
	if _, err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.ended(1)() {
		t.Fatal("the scan ended before the account left: the test shows nothing")
	}
	leave()
	within(t, "the scan ends", c.ended(1))
	listed := 0
	for _, s := range c.scans() {
		if s.State != record.ScanComplete {
			t.Errorf("the scan is %s: %+v", s.State, s.Scopes)
		}
		for _, x := range s.Scopes {
			if x.Account == leaving {
				listed += x.Listed
			}
		}
	}
	if listed == 0 {
		t.Error("the account that left was not read")
	}
}

func TestReloadOverHTTP(t *testing.T) {
	t.Parallel()
	c := reconfigurable(t)
	post := func(site string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.Listening()+"/-/reload", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := post("same-origin"); code != http.StatusOK || !strings.Contains(body, `"changed":[]`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := post("cross-site"); code != http.StatusForbidden {
		t.Errorf("another site reloads: %d %s", code, body)
	}
	c.mu.Lock()
	c.err = &app.ConfigError{Err: errors.New("shenscan.yaml:3: no setting is called \"stroe\"")}
	c.mu.Unlock()
	if code, body := post("same-origin"); code != http.StatusUnprocessableEntity || !strings.Contains(body, "stroe") || !strings.Contains(body, "stays as it was") {
		t.Errorf("a wrong file: %d %s", code, body)
	}
	var text string
	if resp, err := http.Get(c.Listening() + "/-/reload"); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v %v %s", resp, err, text)
	} else {
		_ = resp.Body.Close()
	}
}

// A role without a store takes its configuration anew as well, from operators.
func TestAWorkerReloads(t *testing.T) {
	t.Parallel()
	server, err := bus.Open(t.Context(), bus.Options{Dir: t.TempDir(), Name: "server", Listen: "127.0.0.1:0", Declare: true, Replicas: 1, Sync: bus.SyncInterval, Limits: bus.DefaultOptions().Limits, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	o := options(t)
	o.Roles, o.Distributed, o.NATS.URL, o.HTTP.Listen = app.Worker, true, server.ClientURL(), "127.0.0.1:0"
	next := o.Settings()
	o.Reread = func(context.Context) (app.Settings, []string, error) { return next, nil, nil }
	a := serve(t, o)
	next.Rules = []string{overlay(t, waiveAll([]string{"cn-hangzhou"}))}
	resp, err := http.Post(a.Listening()+"/-/reload", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "waivers added: all") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}
