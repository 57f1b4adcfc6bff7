package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/workers"
)

// agentCloud tells of agents.
type agentCloud struct {
	mu     sync.Mutex
	agents map[string]ecs.Agent
	err    error
	asked  map[string]int
	calls  int
	most   int    // ids of one call
	meet   func() // what happens while it is asked
}

func (c *agentCloud) Agents(_ context.Context, _ ecs.Scope, ids []string) (out []ecs.Agent, calls int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.meet != nil {
		c.meet()
	}
	c.most = max(c.most, len(ids))
	for _, id := range ids {
		c.asked[id]++
		if a, there := c.agents[id]; there {
			a.InstanceID = id
			out = append(out, a)
		}
	}
	return out, 1, c.err
}

// consoleCloud has console logs.
type consoleCloud struct {
	mu    sync.Mutex
	logs  map[string]ecs.Console
	err   error
	calls int
}

func (c *consoleCloud) ConsoleOutput(_ context.Context, _ ecs.Scope, id string) (ecs.Console, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	return c.logs[id], c.err
}

// noImages knows no image.
type noImages struct{}

func (noImages) Images(_ context.Context, _ ecs.Scope, ids []string) (out []ecs.Image, err error) {
	for _, id := range ids {
		out = append(out, ecs.Image{ID: id, Facts: rules.ImageFacts{Presence: rules.ImageMissing}})
	}
	return out, nil
}

// beatRig is a worker that asks for heartbeats.
type beatRig struct {
	worker     *workers.Worker
	classifier *rules.Classifier
	cloud      *agentCloud
	memory     *memory
	consoles   consoleCloud
	now        time.Time
	scans      int
}

// ruleset is compiled once for all.
var ruleset = sync.OnceValues(func() (*rules.Ruleset, error) { return catalog.Load() })

const started = "2026-11-01T02:00Z"

var startedAt = time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)

func newBeats(t *testing.T, share float64) *beatRig {
	t.Helper()
	rs, err := ruleset()
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier(nil)
	r := &beatRig{
		classifier: c, cloud: &agentCloud{agents: map[string]ecs.Agent{}, asked: map[string]int{}}, memory: &memory{items: map[string]event.EvidenceItem{}},
		now: startedAt.Add(48 * time.Hour),
	}
	now := func() time.Time { return r.now }
	log := slog.New(slog.DiscardHandler)
	images := workers.NewImageCache(noImages{}, nil, 1000, time.Hour, now, log)
	r.worker = workers.New(c, images, r.memory, nobody{})
	r.worker.Beats = workers.NewHeartbeats(share, r.cloud, r.memory, r.memory, now, log)
	r.worker.Consoles = workers.NewConsoles(share, &r.consoles, r.memory, r.memory, now, log)
	return r
}

// runs is an instance whose verdict on shenlong-7 rests on running there.
func runs(id string) ecs.Instance {
	return ecs.Instance{
		ID: id, Type: "ecs.g7.large", Family: "ecs.g7", OSName: "CentOS  7.4 64位", OSType: "linux", Status: "Running", IoOptimized: rules.Yes,
		CreationTime: "2020-01-01T00:00Z", StartTime: started, Tags: []ecs.Tag{{Key: "env", Value: "prod"}},
	}
}

// scan has a page of a new scan judged and returns the confidence of each
// instance on shenlong-7 and the rule that decided.
func (r *beatRig) scan(t *testing.T, instances ...ecs.Instance) map[string]rules.Verdict {
	t.Helper()
	r.scans++
	return r.page(t, fmt.Sprint("scan-", r.scans), event.KindScan, instances...)
}

func (r *beatRig) page(t *testing.T, scan string, kind event.Kind, instances ...ecs.Instance) map[string]rules.Verdict {
	t.Helper()
	page := &event.InstancesListed{Walk: event.Walk{ScanID: scan, Kind: kind, Scope: scope, Lane: "l", Walk: "w"}}
	page.SetInstances(instances)
	r.memory.other = nil
	if err := r.worker.HandlePage(t.Context(), page, r.now); err != nil {
		t.Fatal(err)
	}
	if len(r.memory.other) != 1 {
		t.Fatalf("%d results of a page", len(r.memory.other))
	}
	m := r.memory.other[0].(*event.InstancesClassified)
	out := map[string]rules.Verdict{}
	for row := range m.Rows.All() {
		f := m.Facts(row.Profile)
		out[row.ID] = r.classifier.Classify(&f).Verdicts[2]
		if len(row.Tags) != 1 || row.CreationTime != "2020-01-01T00:00Z" {
			t.Errorf("the row of %s lost something: %+v", row.ID, row)
		}
	}
	if len(out) != len(instances) {
		t.Errorf("%d of %d instances came out", len(out), len(instances))
	}
	return out
}

func (r *beatRig) item(id string) event.EvidenceItem {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	return r.memory.items[scope.String()+event.EvidenceHeartbeat+id]
}

// heard has an agent that was heard of a while ago.
func (r *beatRig) heard(id string, ago time.Duration) {
	r.cloud.agents[id] = ecs.Agent{Installed: true, Heartbeat: r.now.Add(-ago)}
}

func wantVerdict(t *testing.T, v rules.Verdict, rule string, confidence rules.Confidence) {
	t.Helper()
	if v.Rule != rule || v.Confidence != confidence || v.Level != rules.Compatible {
		t.Errorf("%s by %s, confidence %s; want %s, %s", v.Level, v.Rule, v.Confidence, rule, confidence)
	}
}

func TestHeartbeatsFirmWhatHangsOnThem(t *testing.T) {
	r := newBeats(t, 0.05)
	stopped, named, moved := runs("i-stopped"), runs("i-named"), runs("i-elsewhere")
	stopped.Status = "Stopped"
	named.OSName = "CentOS  7.9 64位"
	moved.Type, moved.Family = "ecs.c5.large", "ecs.c5"
	r.heard("i-up", time.Minute)
	for range 3 {
		got := r.scan(t, runs("i-up"), runs("i-silent"), stopped, named, moved)
		wantVerdict(t, got["i-up"], "observed.up", rules.Medium)
		wantVerdict(t, got["i-silent"], "observed.running", rules.Low)
		wantVerdict(t, got["i-named"], "observed.running", rules.Low)
		if got["i-stopped"].Level != rules.Unknown {
			t.Errorf("a stopped machine is %s", got["i-stopped"].Level)
		}
		r.now = r.now.Add(time.Hour)
	}
	if r.cloud.calls != 1 || r.cloud.asked["i-up"] != 1 || len(r.cloud.asked) != 2 {
		t.Errorf("%d calls for %v; want one for the two whose verdict hangs on it", r.cloud.calls, r.cloud.asked)
	}
}

// What heartbeats tell counts where no logs are read, and the other way round.
func TestHeartbeatsAndConsolesCountAlone(t *testing.T) {
	r := newBeats(t, 0.05)
	r.heard("i-1", time.Minute)
	r.worker.Consoles = nil
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
	r = newBeats(t, 0.05)
	r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Minute), Log: []byte(loggedIn)}}
	r.worker.Beats = nil
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
}

// Rules that come while a page waits for an answer judge the next page: a message names one
// rule set, and one list of targets, for all that it says.
func TestAPageIsJudgedByOneRuleSet(t *testing.T) {
	r := newBeats(t, 0.05)
	rs, err := ruleset()
	if err != nil {
		t.Fatal(err)
	}
	r.heard("i-up", time.Minute)
	r.cloud.meet = func() { r.worker.Use(rs.NewClassifier(rules.DefaultTargets()[:1])) }
	wantVerdict(t, r.scan(t, runs("i-up"), runs("i-silent"))["i-up"], "observed.up", rules.Medium)
	m := r.memory.other[0].(*event.InstancesClassified)
	if len(m.Targets) != len(rules.DefaultTargets()) || len(m.Classes) != 2 {
		t.Errorf("%d targets, %d classes", len(m.Targets), len(m.Classes))
	}
	for _, class := range m.Classes {
		if len(class.Levels) != len(m.Targets) {
			t.Errorf("a class has verdicts on %d of %d targets", len(class.Levels), len(m.Targets))
		}
	}
}

// Each of these contradicts that the guest is up, and wins.
func TestHeartbeatsThatProveNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		agent *ecs.Agent // heartbeat as far from the last start as it says
		err   error
		start string
		cause string
	}{
		"no_agent":                {agent: &ecs.Agent{}, cause: "no agent"},
		"heartbeat_before_start":  {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(-time.Hour)}, cause: "started after"},
		"in_the_minute_of_start":  {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(59 * time.Second)}, cause: "started after"},
		"silent_for_long":         {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(24 * time.Hour)}, cause: "silent"},
		"of_tomorrow":             {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(72 * time.Hour)}, cause: "future"},
		"of_an_agent_that_is_not": {agent: &ecs.Agent{Heartbeat: startedAt.Add(48 * time.Hour)}, cause: "not there"},
		"left_out":                {cause: "leaves it out"},
		"start_not_told":          {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(48 * time.Hour)}, start: "-", cause: "is not told"},
		"start_no_time":           {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(48 * time.Hour)}, start: "yesterday", cause: "is not told"},
		"start_before_creation":   {agent: &ecs.Agent{Installed: true, Heartbeat: startedAt.Add(48 * time.Hour)}, start: "2019-12-31T23:59Z", cause: "is not told"},
		"denied":                  {err: &ecs.Error{Action: "DescribeCloudAssistantStatus", Class: ecs.Permission, Code: "Forbidden.RAM", Mend: "grant it", Err: errors.New("no")}, cause: "Forbidden.RAM"},
		"no_service":              {err: &ecs.Error{Action: "DescribeCloudAssistantStatus", Class: ecs.RegionClosed, Code: "RegionId.ApiNotSupported", Err: errors.New("no")}, cause: "ApiNotSupported"},
		"garbled":                 {err: &ecs.Error{Action: "DescribeCloudAssistantStatus", Class: ecs.BadAnswer, Err: errors.New("no")}, cause: "bad-answer"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newBeats(t, 0.05)
			if tt.agent != nil {
				r.cloud.agents["i-1"] = *tt.agent
			}
			r.cloud.err = tt.err
			x := runs("i-1")
			if tt.start != "" {
				x.StartTime = strings.Trim(tt.start, "-")
			}
			wantVerdict(t, r.scan(t, x)["i-1"], "observed.running", rules.Low)
			if item := r.item("i-1"); !strings.Contains(item.Cause, tt.cause) {
				t.Errorf("the cause is %q, want %q in it", item.Cause, tt.cause)
			}
		})
	}
}

func TestHeartbeatsOfBeforeTheLastStartAreAskedForAnew(t *testing.T) {
	r := newBeats(t, 0.05)
	r.heard("i-1", time.Minute)
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
	r.now = r.now.Add(2 * time.Hour)
	again := runs("i-1")
	again.StartTime = r.now.Add(-time.Hour).Format("2006-01-02T15:04Z") // and nothing was heard since
	wantVerdict(t, r.scan(t, again)["i-1"], "observed.running", rules.Low)
	r.heard("i-1", time.Minute)
	r.now = r.now.Add(8 * 24 * time.Hour)
	r.heard("i-1", time.Minute)
	if r.cloud.asked["i-1"] != 2 {
		t.Errorf("asked %d times", r.cloud.asked["i-1"])
	}
	r.now = r.now.Add(14 * 24 * time.Hour)
	r.heard("i-1", time.Minute)
	wantVerdict(t, r.scan(t, again)["i-1"], "observed.up", rules.Medium)
}

// Where a call is made anyway it asks for as many as it takes of those whose answers are
// older than a week, and no call is made for these alone.
func TestHeartbeatsAreRenewedWhereACallIsMadeAnyway(t *testing.T) {
	for _, tt := range []struct{ known, due, calls, asked int }{
		{150, 0, 0, 0}, {150, 1, 1, 100}, {150, 100, 1, 100}, {150, 101, 2, 200}, {3, 2, 1, 5},
	} {
		r := newBeats(t, 1)
		r.now = startedAt.Add(20 * 24 * time.Hour)
		var list []ecs.Instance
		for i := range tt.known + tt.due {
			id := fmt.Sprint("i-", i)
			r.heard(id, time.Minute)
			list = append(list, runs(id))
			if i < tt.known {
				r.memory.items[scope.String()+event.EvidenceHeartbeat+id] = event.EvidenceItem{ID: id, Asked: r.now.Add(-8 * 24 * time.Hour), Heard: r.now}
			}
		}
		r.scan(t, list...)
		if r.cloud.calls != tt.calls || len(r.cloud.asked) != tt.asked {
			t.Errorf("%d known, %d not: %d calls for %d instances, want %d for %d", tt.known, tt.due, r.cloud.calls, len(r.cloud.asked), tt.calls, tt.asked)
		}
	}
}

// Neither an instance that cannot be asked for nor a call that fails keeps others of the
// page from what their agents tell.
func TestHeartbeatsOfOthersCountWhereOneHasNone(t *testing.T) {
	r := newBeats(t, 1)
	list := []ecs.Instance{runs("i-odd")}
	list[0].StartTime = ""
	for i := range 2 * ecs.MaxAgents {
		id := fmt.Sprint("i-", i)
		r.heard(id, time.Minute)
		list = append(list, runs(id))
	}
	r.cloud.meet = func() {
		if r.cloud.err = nil; r.cloud.calls == 1 {
			r.cloud.err = errors.New("out of reach")
		}
	}
	up := 0
	for _, verdict := range r.scan(t, list...) {
		if verdict.Rule == "observed.up" {
			up++
		}
	}
	if up != ecs.MaxAgents || !strings.Contains(r.item("i-0").Cause, "out of reach") {
		t.Errorf("%d are up, want %d; of i-0 it says %q", up, ecs.MaxAgents, r.item("i-0").Cause)
	}
}

// What was heard counts for 30 days, and is renewed in time where the cloud
// answers.
func TestHeartbeatsGrowOld(t *testing.T) {
	r := newBeats(t, 0.05)
	r.heard("i-1", time.Minute)
	r.scan(t, runs("i-1"))
	r.cloud.err = errors.New("out of reach")
	for day := range 31 {
		r.now = r.now.Add(24 * time.Hour)
		rule, confidence := "observed.up", rules.Medium
		if day >= 29 {
			rule, confidence = "observed.running", rules.Low
		}
		wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], rule, confidence)
	}
	r.cloud.err = nil
	r.heard("i-1", time.Minute)
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
}

// A scan asks with a share of the calls that list it and a hundred more; the next
// one goes on.
func TestHeartbeatsKeepToTheirShareOfCalls(t *testing.T) {
	t.Parallel()
	r := newBeats(t, 0.05)
	const pages, onPage = 200, 300 // 600 calls of the listing
	ids := func(page int) (out []ecs.Instance) {
		for i := range onPage {
			id := fmt.Sprintf("i-%d-%d", page, i)
			r.heard(id, time.Minute)
			out = append(out, runs(id))
		}
		return out
	}
	done := 0
	for scan := range 6 {
		before := r.cloud.calls
		up := 0
		for page := range pages {
			for _, v := range r.page(t, fmt.Sprint("scan-", scan), event.KindScan, ids(page)...) {
				if v.Rule == "observed.up" {
					up++
				}
			}
		}
		calls := r.cloud.calls - before
		if calls > 100+pages*3*5/100 {
			t.Errorf("scan %d: %d calls beside %d", scan, calls, pages*3)
		}
		if done += calls * ecs.MaxAgents; up != min(done, pages*onPage) {
			t.Fatalf("scan %d: %d are known to be up after %d were asked for", scan, up, done)
		}
	}
	if r.cloud.calls != pages*3 || r.cloud.most != ecs.MaxAgents {
		t.Errorf("%d calls of at most %d for %d instances", r.cloud.calls, r.cloud.most, pages*onPage)
	}
	rescans := newBeats(t, 0.05)
	for i := range 100 {
		rescans.page(t, fmt.Sprint("rescan-", i), event.KindRescan, runs(fmt.Sprint("i-", i)))
	}
	if rescans.cloud.calls > 10+5 {
		t.Errorf("%d calls for 100 rescans of one instance each", rescans.cloud.calls)
	}
	if cause := rescans.item("i-99").Cause; !strings.Contains(cause, "share") {
		t.Errorf("the cause is %q", cause)
	}
}

func TestHeartbeatsThatMayNotBeAskedForAreAskedForOnce(t *testing.T) {
	r := newBeats(t, 1)
	r.cloud.err = &ecs.Error{Action: "DescribeCloudAssistantStatus", Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("no")}
	for i := range 5 {
		r.scan(t, runs(fmt.Sprint("i-", i)))
	}
	if r.cloud.calls != 1 {
		t.Errorf("%d calls", r.cloud.calls)
	}
	r.now = r.now.Add(2 * time.Hour)
	r.cloud.err = nil
	r.heard("i-1", time.Minute)
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
}

// A scope whose question is throttled, although the client bore that for a while, is left
// alone for ten minutes: each of a thousand pages would wait as long, and the scan with them.
func TestWhatIsThrottledIsNotAskedForByEveryPage(t *testing.T) {
	r := newBeats(t, 1)
	r.cloud.err = &ecs.Error{Action: "DescribeCloudAssistantStatus", Class: ecs.Throttled, Code: "Throttling.User", Err: errors.New("busy")}
	for i := range 5 {
		r.scan(t, runs(fmt.Sprint("i-", i)))
		if cause := r.item(fmt.Sprint("i-", i)).Cause; !strings.Contains(cause, "Throttling.User") {
			t.Errorf("the cause is %q", cause)
		}
	}
	if r.cloud.calls != 1 {
		t.Errorf("%d calls", r.cloud.calls)
	}
	r.now = r.now.Add(11 * time.Minute)
	r.cloud.err = nil
	r.heard("i-1", time.Minute)
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.up", rules.Medium)
}

func TestHeartbeatsWithoutWhatIsKeptAskNobody(t *testing.T) {
	r := newBeats(t, 1)
	r.heard("i-1", time.Minute)
	r.memory.err = errors.New("no sink")
	wantVerdict(t, r.scan(t, runs("i-1"))["i-1"], "observed.running", rules.Low)
	if r.cloud.calls != 0 {
		t.Errorf("%d calls", r.cloud.calls)
	}
}

const (
	booted   = "[    0.000000] Linux version 3.10.0-693.el7.x86_64 (builder) #1 SMP\n[    0.0] Command line: root=UUID=1114fe9e ro\n"
	loggedIn = booted + "iZbp1 login: "
	panicked = booted + "[    1.6] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
)

// What a console log of the last start shows counts: a login for the instance,
// a failure against it, also where the platform's status says Running.
func TestConsolesTellWhetherALastStartCameUp(t *testing.T) {
	since := startedAt.Add(40 * time.Second)
	for name, tt := range map[string]struct {
		console    ecs.Console
		err        error
		os         string
		level      rules.Level
		rule       string
		confidence rules.Confidence
		cause      string
	}{
		"login":            {console: ecs.Console{Updated: since, Log: []byte(loggedIn)}, level: rules.Compatible, rule: "observed.up", confidence: rules.Medium},
		"panic":            {console: ecs.Console{Updated: since, Log: []byte(panicked)}, level: rules.Unknown, cause: "failed"},
		"panic_of_legacy":  {console: ecs.Console{Updated: since, Log: []byte(strings.ReplaceAll(panicked, "3.10.0-693.el7.x86_64", "2.6.18-308.el5"))}, os: "CentOS  5.8 64位", level: rules.Incompatible, cause: "failed"},
		"login_of_legacy":  {console: ecs.Console{Updated: since, Log: []byte(strings.ReplaceAll(loggedIn, "3.10.0-693.el7.x86_64", "2.6.18-308.el5"))}, os: "CentOS  5.8 64位", level: rules.Compatible, rule: "observed.up", confidence: rules.Low},
		"stuck":            {console: ecs.Console{Updated: since, Log: []byte(booted + "You are in emergency mode. After logging in")}, level: rules.Unknown, cause: "failed"},
		"neither":          {console: ecs.Console{Updated: since, Log: []byte(booted)}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "neither"},
		"login_of_before":  {console: ecs.Console{Updated: startedAt.Add(-time.Minute), Log: []byte(loggedIn)}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "before its last start"},
		"panic_of_before":  {console: ecs.Console{Updated: startedAt.Add(-time.Minute), Log: []byte(panicked)}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "before its last start"},
		"of_tomorrow":      {console: ecs.Console{Updated: startedAt.Add(96 * time.Hour), Log: []byte(loggedIn)}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "before its last start"},
		"time_not_told":    {console: ecs.Console{Log: []byte(loggedIn)}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "before its last start"},
		"login_then_panic": {console: ecs.Console{Updated: since, Log: []byte(loggedIn + "\nKernel panic - not syncing: Fatal exception\n")}, level: rules.Unknown, cause: "failed"},
		"denied":           {err: &ecs.Error{Action: "GetInstanceConsoleOutput", Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("no")}, level: rules.Compatible, rule: "observed.running", confidence: rules.Low, cause: "Forbidden.RAM"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newBeats(t, 0.05)
			r.consoles.logs, r.consoles.err = map[string]ecs.Console{"i-1": tt.console}, tt.err
			x := runs("i-1")
			if tt.os != "" {
				x.OSName = tt.os
			}
			for range 2 { // as read, and as kept
				v := r.scan(t, x)["i-1"]
				if v.Level != tt.level || tt.rule != "" && (v.Rule != tt.rule || v.Confidence != tt.confidence) {
					t.Errorf("%s by %s, confidence %s: %s", v.Level, v.Rule, v.Confidence, v.Reason)
				}
			}
			item := r.memory.items[scope.String()+event.EvidenceConsole+"i-1"]
			if !strings.Contains(item.Cause, tt.cause) || tt.cause == "" && item.Cause != "" {
				t.Errorf("the cause is %q, want %q in it", item.Cause, tt.cause)
			}
			if tt.err == nil && r.consoles.calls != 1 {
				t.Errorf("%d calls", r.consoles.calls)
			}
		})
	}
}

// A log that is not read is no answer, and says why.
func TestAConsoleIsNotReadWhereTheStartIsNotKnown(t *testing.T) {
	for _, start := range []string{"", "yesterday", "2019-12-31T23:59Z"} {
		r := newBeats(t, 0.05)
		r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Minute), Log: []byte(loggedIn)}}
		x := runs("i-1")
		x.StartTime = start
		wantVerdict(t, r.scan(t, x)["i-1"], "observed.running", rules.Low)
		if item := r.memory.items[scope.String()+event.EvidenceConsole+"i-1"]; r.consoles.calls != 0 || !strings.Contains(item.Cause, "started last is not told") {
			t.Errorf("started %q: %d calls, the cause is %q", start, r.consoles.calls, item.Cause)
		}
	}
}

func TestConsolesAreReadOnlyWhereNothingElseTells(t *testing.T) {
	r := newBeats(t, 0.05)
	r.consoles.logs = map[string]ecs.Console{}
	windows, retired := runs("i-windows"), runs("i-retired")
	windows.OSName, windows.OSType = "Windows Server  2012 标准版 64位中文版", "windows"
	retired.Type, retired.Family = "ecs.n1.small", "ecs.n1"
	r.heard("i-heard", time.Minute)
	r.scan(t, runs("i-heard"), windows, retired)
	if r.consoles.calls != 0 {
		t.Errorf("%d logs were read", r.consoles.calls)
	}
	again := runs("i-1")
	r.consoles.logs["i-1"] = ecs.Console{Updated: startedAt.Add(time.Minute), Log: []byte(panicked)}
	r.scan(t, again)
	r.now = r.now.Add(2 * time.Hour)
	again.StartTime = r.now.Add(-time.Hour).Format("2006-01-02T15:04Z") // it was mended and started
	r.consoles.logs["i-1"] = ecs.Console{Updated: r.now.Add(-time.Hour + time.Minute), Log: []byte(loggedIn)}
	wantVerdict(t, r.scan(t, again)["i-1"], "observed.up", rules.Medium)
	if r.consoles.calls != 2 {
		t.Errorf("%d logs were read", r.consoles.calls)
	}
	many := make([]ecs.Instance, 300)
	for i := range many {
		many[i] = runs(fmt.Sprint("i-many-", i))
	}
	before := r.consoles.calls
	r.scan(t, many...)
	if n := r.consoles.calls - before; n > 10+1 {
		t.Errorf("%d calls beside three", n)
	}
}

// A log of the last start counts for 30 days also where it cannot be read again: that a
// start failed must not be forgotten because a call does.
func TestALogCountsWhileItCannotBeReadAgain(t *testing.T) {
	for name, err := range map[string]error{
		"fails":        errors.New("out of reach"),
		"is_of_before": nil,
		"denied":       &ecs.Error{Action: "GetInstanceConsoleOutput", Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("no")},
	} {
		r := newBeats(t, 0.05)
		r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Minute), Log: []byte(panicked)}}
		r.scan(t, runs("i-1"))
		r.consoles.logs, r.consoles.err = nil, err
		for day := range 31 {
			r.now = r.now.Add(24 * time.Hour)
			level := rules.Unknown
			if day >= 30 {
				level = rules.Compatible
			}
			if v := r.scan(t, runs("i-1"), runs("i-2"))["i-1"]; v.Level != level {
				t.Errorf("%s: %s after %d days by %s, want %s", name, v.Level, day+1, v.Rule, level)
			}
			cause := r.memory.items[scope.String()+event.EvidenceConsole+"i-1"].Cause
			if kept := strings.Contains(cause, "failed"); kept != (level == rules.Unknown) {
				t.Errorf("%s: the cause is %q after %d days", name, cause, day+1)
			}
		}
	}
}

// What a log of the last start showed counts as long as it is kept, also where the verdict
// hangs on it no more: where another name makes it compatible, where the machine is said to
// run Windows, where it was stopped, as before a move, and where a heartbeat tells that the
// guest is up, and not of which kernel.
func TestALogThatIsKeptCountsWhateverElseIsTold(t *testing.T) {
	const legacy = "2.6.18-308.el5"
	old := func(log string) string { return strings.ReplaceAll(log, "3.10.0-693.el7.x86_64", legacy) }
	for name, tt := range map[string]struct {
		log  string
		then func(r *beatRig, x *ecs.Instance)
		want rules.GuestFacts
	}{
		"newer_name":       {old(loggedIn), func(_ *beatRig, x *ecs.Instance) { x.OSName = "Ubuntu  24.04 64位" }, rules.GuestFacts{Kernel: legacy, Up: rules.Yes}},
		"start_fails":      {panicked, func(_ *beatRig, x *ecs.Instance) { x.OSName = "Ubuntu  24.04 64位" }, rules.GuestFacts{Kernel: "3.10.0-693.el7.x86_64", Up: rules.No}},
		"windows":          {old(loggedIn), func(_ *beatRig, x *ecs.Instance) { x.OSType = "windows" }, rules.GuestFacts{Kernel: legacy, Up: rules.Yes}},
		"heartbeat":        {old(loggedIn), func(r *beatRig, _ *ecs.Instance) { r.heard("i-1", time.Minute) }, rules.GuestFacts{Kernel: legacy, Up: rules.Yes}},
		"failed_and_heard": {panicked, func(r *beatRig, _ *ecs.Instance) { r.heard("i-1", time.Minute) }, rules.GuestFacts{Kernel: "3.10.0-693.el7.x86_64", Up: rules.Yes}},
		"started_since": {old(loggedIn), func(r *beatRig, x *ecs.Instance) {
			x.OSName, x.StartTime = "Ubuntu  24.04 64位", r.now.Format("2006-01-02T15:04Z")
		}, rules.GuestFacts{}},
		"stopped":        {old(loggedIn), func(_ *beatRig, x *ecs.Instance) { x.OSName, x.Status = "Ubuntu  24.04 64位", "Stopped" }, rules.GuestFacts{Kernel: legacy}},
		"failed_stopped": {panicked, func(_ *beatRig, x *ecs.Instance) { x.Status = "Stopped" }, rules.GuestFacts{Kernel: "3.10.0-693.el7.x86_64"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newBeats(t, 0.05)
			r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Hour), Log: []byte(tt.log)}}
			x := runs("i-1")
			r.scan(t, x)
			r.now = r.now.Add(10 * 24 * time.Hour) // the agent is asked again
			tt.then(r, &x)
			other := x // of the same kind, and no log is kept of it
			other.ID = "i-2"
			r.consoles.err = errors.New("out of reach")
			r.scan(t, x, other)
			page := r.memory.other[0].(*event.InstancesClassified)
			for row := range page.Rows.All() {
				want := tt.want
				if row.ID == other.ID {
					want = rules.GuestFacts{}
				}
				if got := page.Software[page.Profiles[row.Profile].Software].Guest; got != want {
					t.Errorf("of %s is known %+v, want %+v", row.ID, got, want)
				}
			}
		})
	}
}

func TestALogIsReadAlsoBehindOneThatIsKept(t *testing.T) {
	r := newBeats(t, 0.05)
	r.consoles.logs = map[string]ecs.Console{"i-2": {Updated: startedAt.Add(time.Minute), Log: []byte(loggedIn)}}
	r.scan(t, runs("i-1"))
	wantVerdict(t, r.scan(t, runs("i-1"), runs("i-2"))["i-2"], "observed.up", rules.Medium)
}

// A log that is newer than the machine's own answer and shows another kernel, or a
// root named by device, stands beside that answer; an older one counts for nothing
// against it.
func TestAConsoleThatIsNewerThanTheAnswer(t *testing.T) {
	written := startedAt.Add(time.Hour)
	byDevice := strings.ReplaceAll(loggedIn, "root=UUID=1114fe9e", "root=/dev/vda1")
	const answered, shown = "3.10.0-693.21.1.el7.x86_64", "3.10.0-693.el7.x86_64"
	for name, tt := range map[string]struct {
		guest    rules.GuestFacts
		log      string
		answered time.Time // zero: not known
		want     rules.GuestFacts
	}{
		"newer":          {rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered}, loggedIn, written.Add(-time.Minute), rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered, ConsoleKernel: shown, Up: rules.Yes}},
		"older":          {rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered}, loggedIn, written.Add(time.Minute), rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered, Up: rules.Yes}},
		"same_moment":    {rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered}, loggedIn, written, rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered, Up: rules.Yes}},
		"not_known_when": {rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered}, loggedIn, time.Time{}, rules.GuestFacts{Release: "CentOS 7.4", Kernel: answered, ConsoleKernel: shown, Up: rules.Yes}},
		"the_same":       {rules.GuestFacts{Release: "CentOS 7.4", Kernel: shown}, loggedIn, written.Add(-time.Minute), rules.GuestFacts{Release: "CentOS 7.4", Kernel: shown, Up: rules.Yes}},
		"none_answered":  {rules.GuestFacts{Release: "CentOS 7.4"}, loggedIn, written.Add(-time.Minute), rules.GuestFacts{Release: "CentOS 7.4", Kernel: shown, Up: rules.Yes}},
		"not_asked":      {rules.GuestFacts{}, loggedIn, time.Time{}, rules.GuestFacts{Kernel: shown, Up: rules.Yes}},
		"named_newer":    {rules.GuestFacts{Kernel: shown, DeviceNames: rules.No}, byDevice, written.Add(-time.Minute), rules.GuestFacts{Kernel: shown, DeviceNames: rules.No, ConsoleNames: rules.Yes, Up: rules.Yes}},
		"named_older":    {rules.GuestFacts{Kernel: shown, DeviceNames: rules.No}, byDevice, written.Add(time.Minute), rules.GuestFacts{Kernel: shown, DeviceNames: rules.No, Up: rules.Yes}},
		"named_both":     {rules.GuestFacts{Kernel: shown, DeviceNames: rules.Yes}, byDevice, written.Add(-time.Minute), rules.GuestFacts{Kernel: shown, DeviceNames: rules.Yes, Up: rules.Yes}},
		"named_mapper":   {rules.GuestFacts{Kernel: shown}, strings.ReplaceAll(byDevice, "vda1", "mapper/centos-root"), written.Add(-time.Minute), rules.GuestFacts{Kernel: shown, Up: rules.Yes}},
		"named_alone":    {rules.GuestFacts{Kernel: shown}, byDevice, written.Add(-time.Minute), rules.GuestFacts{Kernel: shown, DeviceNames: rules.Yes, Up: rules.Yes}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newBeats(t, 0.05)
			r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: written, Log: []byte(tt.log)}}
			if !tt.answered.IsZero() {
				r.memory.items[scope.String()+event.EvidenceProbe+"i-1"] = event.EvidenceItem{Asked: tt.answered, Heard: tt.answered}
			}
			x := runs("i-1")
			if tt.guest != (rules.GuestFacts{}) {
				x.Guest = &tt.guest
			}
			for range 2 { // as read, and as kept
				r.scan(t, x)
				page := r.memory.other[0].(*event.InstancesClassified)
				if got := page.Software[0].Guest; len(page.Software) != 1 || got != tt.want {
					t.Errorf("%d systems, %+v", len(page.Software), got)
				}
			}
		})
	}
}
