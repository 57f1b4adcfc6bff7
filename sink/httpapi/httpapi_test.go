package httpapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// world is a server over a made-up fleet.
type world struct {
	store   *memory
	fleet   *reporttest.Fleet
	handler http.Handler
}

func newWorld(t testing.TB, n int, change func(*httpapi.Options)) *world {
	t.Helper()
	f := reporttest.New(n, 5)
	f.Fail()
	running := f.Scan
	running.ID, running.State, running.EndedAt, running.Done = "20261123T012900Z-running", record.ScanRunning, nil, 3
	running.StartedAt = reporttest.Now().Add(-time.Minute)
	running.Scopes, running.Instances, running.Pages = slices.Clone(running.Scopes), 0, 0
	for i := range running.Scopes {
		sc := &running.Scopes[i]
		if i >= running.Done { // not yet
			sc.Completeness, sc.Failures = record.ScopePending, nil
			sc.Instances, sc.Pages = sc.Instances/2*(i%2), sc.Pages/2*(i%2)
		}
		running.Instances += sc.Instances
		running.Pages += sc.Pages
	}
	var points []httpapi.Point
	for i := range 30 {
		points = append(points, httpapi.Point{At: reporttest.Now().AddDate(0, 0, i-30), Instances: n, Legacy: f.Summary.Legacy + (30-i)*n/60, Complete: true})
	}
	w := &world{store: newMemory(f.Records, &f.Summary, []record.Scan{running, f.Scan}, points), fleet: f}
	o := httpapi.Options{
		Store: w.store, Rescanner: w.store, Operator: func(*http.Request) bool { return true }, Version: "test",
		Ready: func() (bool, []string) { return true, nil }, Log: slog.New(slog.DiscardHandler), Now: reporttest.Now,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "shenscan_up 1\n") }),
	}
	if change != nil {
		change(&o)
	}
	h, err := httpapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = h
	return w
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec
}

func (w *world) post(path, media, body string, head ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Content-Type", media)
	for i := 0; i < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return rec
}

type list struct {
	Instances []struct {
		Account, Region string
		InstanceID      string `json:"instance_id"`
		InstanceName    string `json:"instance_name"`
		Legacy          bool
		OS              struct{ Family, Version string }
		Verdicts        []struct{ Target, Verdict string }
	} `json:"instances"`
	NextCursor string `json:"next_cursor"`
	Total      int    `json:"total"`
	PrevCursor string `json:"prev_cursor"`
	Complete   bool   `json:"complete"`
}

func (w *world) list(t *testing.T, query string) list {
	t.Helper()
	rec := w.get("/api/v1/instances?" + query)
	if rec.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
	}
	var l list
	if err := json.Unmarshal(rec.Body.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryOrderPagesThroughEveryInstanceOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 237, nil)
	for _, sort := range []string{"", "id", "name", "type", "os", "verdict"} {
		for _, order := range []string{"", "desc"} {
			t.Run("sort="+sort+"_"+order, func(t *testing.T) {
				seen := map[string]bool{}
				q := url.Values{"limit": {"50"}, "sort": {sort}, "order": {order}}
				for pages := 0; ; pages++ {
					l := w.list(t, q.Encode())
					for _, r := range l.Instances {
						if seen[r.InstanceID] {
							t.Fatalf("%s is listed twice", r.InstanceID)
						}
						seen[r.InstanceID] = true
					}
					if l.NextCursor == "" {
						break
					}
					if pages > 10 {
						t.Fatal("the cursors do not end")
					}
					q.Set("cursor", l.NextCursor)
				}
				if len(seen) != 237 {
					t.Errorf("%d instances came up, want 237", len(seen))
				}
			})
		}
	}
}

func TestEveryOrderListsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300, nil)
	for _, sort := range []string{"os", "verdict"} {
		for _, filter := range []string{"", "os_family=centos", "target=shenlong-7", "target=kvm&os_family=debian", "legacy=true&q=prod", "verdict=unknown"} {
			all := w.list(t, filter+"&limit=500&sort=id").Instances
			up, down := w.list(t, filter+"&limit=500&sort="+sort).Instances, w.list(t, filter+"&limit=500&order=desc&sort="+sort).Instances
			if len(up) != len(all) || len(down) != len(all) || len(all) == 0 {
				t.Errorf("%s by %s: %d up, %d down, %d in all", filter, sort, len(up), len(down), len(all))
			}
		}
	}
}

// A store that holds nothing shows no numbers, and what to do.
func TestEmptyStore(t *testing.T) {
	empty := newMemory(nil, &record.Summary{Targets: reporttest.Targets(), Verdicts: map[string]map[string]int{}, CaughtUp: true}, nil, nil)
	w := newWorld(t, 5, func(o *httpapi.Options) { o.Store = empty })
	for path, want := range map[string]string{
		"/": "No scan has ended yet", "/instances": "There are no instances yet", "/scans": "No scan yet",
	} {
		rec := w.get(path)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: status %d, %q is not said", path, rec.Code, want)
		}
	}
	if body := w.get("/").Body.String(); strings.Contains(body, "Can move to") {
		t.Error("the overview shows counts where nothing was read")
	}
}

func TestOldNumbersAreSaidToBeOld(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		want bool
	}{"fresh": {time.Hour, false}, "old": {50 * time.Hour, true}} {
		w := newWorld(t, 20, func(o *httpapi.Options) { o.Now = func() time.Time { return reporttest.Now().Add(c.age) } })
		for _, path := range []string{"/", "/instances"} {
			if got := strings.Contains(w.get(path).Body.String(), "not read to the end for more than 26 hours"); got != c.want {
				t.Errorf("%s: %s says that numbers are old: %v", name, path, got)
			}
		}
	}
}

func TestTotalIsWhatTheListingHolds(t *testing.T) {
	w := newWorld(t, 400, nil)
	for _, query := range []string{
		"", "legacy=true", "os_family=centos&os_version=5.8", "target=shenlong-7&verdict=incompatible",
		"account=2345678901234567&region=cn-hangzhou", "verdict=incompatible", "q=web", "gone=true", "tag=owner=payments", "os=CentOS+5", "status=stopped&confidence=high",
	} {
		l := w.list(t, query+"&limit=500")
		if l.Total != len(l.Instances) || l.Total == 0 {
			t.Errorf("%q: total %d, %d instances listed (not 0)", query, l.Total, len(l.Instances))
		}
	}
}

func TestCursorOfAnotherDirectionIsRefused(t *testing.T) {
	w := newWorld(t, 100, nil)
	if yes, also := w.list(t, "gone=true").Total, w.list(t, "gone=1").Total; yes != also {
		t.Errorf("gone=true lists %d instances, gone=1 %d", yes, also)
	}
	cursor := w.list(t, "sort=name&limit=10").NextCursor
	if rec := w.get("/api/v1/instances?sort=name&order=desc&cursor=" + cursor); rec.Code != http.StatusBadRequest {
		t.Errorf("status %d, want 400", rec.Code)
	}
}

func TestSortsByVerdictWorstFirst(t *testing.T) {
	w := newWorld(t, 200, nil)
	l := w.list(t, "sort=verdict&target=shenlong-7&limit=200")
	var at []int
	for _, r := range l.Instances {
		at = append(at, slices.Index(report.Levels(), r.Verdicts[2].Verdict))
	}
	if !slices.IsSorted(at) {
		t.Errorf("verdicts are not sorted: %v", at)
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t, 400, nil)
	for _, c := range []struct {
		name, query string
		want        func(r *record.Record) bool
	}{
		{"account_and_region", "account=2345678901234567&region=cn-hangzhou", func(r *record.Record) bool { return r.Account == "2345678901234567" && r.Region == "cn-hangzhou" }},
		{"verdict_on_a_target", "target=kvm&verdict=needs-action", func(r *record.Record) bool { return report.VerdictOn(r, "kvm").Level.String() == "needs-action" }},
		{"verdict_on_any", "verdict=incompatible", func(r *record.Record) bool { return report.WorstVerdict(r).Level.String() == "incompatible" }},
		{"os", "os_family=centos&os_version=5.8", func(r *record.Record) bool { return r.OS.Family == "centos" && r.OS.Version == "5.8" }},
		{"legacy", "legacy=true", func(r *record.Record) bool { return r.Legacy }},
		{"not_legacy", "legacy=false", func(r *record.Record) bool { return !r.Legacy }},
		{"search", "q=%E6%94%AF%E4%BB%98", func(r *record.Record) bool { return strings.Contains(r.InstanceName, "支付") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := 0
			for _, r := range w.fleet.Records {
				if c.want(r) {
					want++
				}
			}
			if got := len(w.list(t, c.query+"&limit=500").Instances); got != want || want == 0 {
				t.Errorf("%d instances, want %d (not 0)", got, want)
			}
		})
	}
}

func TestBadQuestionsAreProblems(t *testing.T) {
	w := newWorld(t, 10, nil)
	for name, c := range map[string]struct {
		path   string
		status int
	}{
		"unknown_verdict":       {"/api/v1/instances?verdict=fine", 400},
		"unknown_target":        {"/api/v1/instances?target=mars", 400},
		"limit_too_high":        {"/api/v1/instances?limit=100000", 400},
		"broken_cursor":         {"/api/v1/instances?cursor=%21%21", 400},
		"foreign_cursor":        {"/api/v1/instances?sort=name&cursor=eyJrIjp7fX0", 400},
		"parameter_twice":       {"/api/v1/instances?q=a&q=b", 400},
		"parameter_huge":        {"/api/v1/instances?q=" + strings.Repeat("x", 300), 400},
		"legacy_not_a_boolean":  {"/api/v1/instances?legacy=maybe", 400},
		"gone_not_a_boolean":    {"/api/v1/instances?gone=maybe", 400},
		"order_not_known":       {"/api/v1/instances?sort=name&order=up", 400},
		"os_family_never_seen":  {"/api/v1/instances?os_family=nope", 400},
		"os_version_never_seen": {"/api/v1/instances?os_version=99.99", 400},
		"no_such_instance":      {"/api/v1/instances/i-none", 404},
		"no_such_scan":          {"/api/v1/scans/none", 404},
		"no_such_resource":      {"/api/v2/x", 404},
		"control_characters":    {"/api/v1/instances/%1b%5b31m", 404},
	} {
		t.Run(name, func(t *testing.T) {
			rec := w.get(c.path)
			var p struct {
				Title, Detail string
				Status        int
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
				t.Fatalf("not JSON: %s", rec.Body)
			}
			if rec.Code != c.status || p.Status != c.status || rec.Header().Get("Content-Type") != "application/problem+json" || p.Title == "" || p.Detail == "" {
				t.Errorf("%d %v %+v, want a problem with status %d", rec.Code, rec.Header(), p, c.status)
			}
		})
	}
}

func TestInstanceComesWithItsHistory(t *testing.T) {
	w := newWorld(t, 20, nil)
	first := w.fleet.Records[0]
	w.store.Put(first, &record.Change{At: reporttest.Now(), Cause: "observation", ScanID: "s1"})
	var got struct {
		InstanceID string `json:"instance_id"`
		Verdicts   []any
		History    []record.Change
	}
	rec := w.get("/api/v1/instances/" + first.InstanceID + "?account=" + first.Account + "&region=" + first.Region)
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || got.InstanceID != first.InstanceID || len(got.Verdicts) != len(reporttest.Targets()) || len(got.History) != 1 {
		t.Errorf("%+v, %v from %s", got, err, rec.Body)
	}
}

// What a console log shows is text of a machine: it is shown with its age, escaped
// and cut.
func TestWhatAGuestWasAskedFor(t *testing.T) {
	w := newWorld(t, 20, nil)
	first := w.fleet.Records[0]
	heard, age := reporttest.Now().Add(-time.Hour), int64(3600)
	hostile := `<script>alert(1)</script>` + "\x1b[31m" + strings.Repeat("y", 1000)
	w.store.Guests = map[string][]record.GuestEvidence{first.InstanceID: {
		{Source: "heartbeat", Asked: &heard, Heard: &heard, AgeSeconds: &age},
		{Source: "probe", Asked: &heard, Heard: &heard, AgeSeconds: &age, Cause: hostile},
		{Source: "console", Asked: &heard, Heard: &heard, AgeSeconds: &age, Kernel: hostile, Root: hostile, End: "panic", Excerpt: hostile, Cause: hostile},
	}}
	place := "?account=" + first.Account + "&region=" + first.Region
	page := w.get("/instances/" + first.InstanceID + place).Body.String()
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "\x1b") || strings.Contains(page, strings.Repeat("y", 300)) {
		t.Error("the page shows text of a machine as it is")
	}
	for _, want := range []string{"What its guest was asked for", "&lt;script&gt;alert(1)", "its own answer", "console log", "<strong>panic</strong>", "heartbeat"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	var got struct {
		GuestEvidence []record.GuestEvidence `json:"guest_evidence"`
	}
	rec := w.get("/api/v1/instances/" + first.InstanceID + place)
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || len(got.GuestEvidence) != 3 || *got.GuestEvidence[0].AgeSeconds != 3600 || got.GuestEvidence[2].End != "panic" {
		t.Errorf("%+v, %v from %s", got, err, rec.Body)
	}
}

func TestOutcomesOfMoves(t *testing.T) {
	w := newWorld(t, 20, nil)
	w.store.Outcomes = record.MoveOutcomes{
		Scores: []record.MoveScore{{Target: "shenlong-7", Verdict: "compatible", Result: record.MoveNotUp, Instances: 1}}, Wrong: 1,
		Moves: []record.Move{{InstanceID: "i-1", Target: "shenlong-7", Verdict: "compatible", Result: record.MoveNotUp}, {InstanceID: "i-2", Result: record.MoveUp}},
	}
	var got record.MoveOutcomes
	rec := w.get("/api/v1/outcomes?limit=1&account=" + w.fleet.Records[0].Account)
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 || got.Wrong != 1 || len(got.Scores) != 1 || len(got.Moves) != 1 || got.Moves[0].InstanceID != "i-1" {
		t.Errorf("%d %+v, %v from %s", rec.Code, got, err, rec.Body)
	}
	for _, query := range []string{"limit=0", "since=7d", "account=none", "verdict=fine"} {
		if rec := w.get("/api/v1/outcomes?" + query); rec.Code != 400 {
			t.Errorf("%s: %d %s", query, rec.Code, rec.Body)
		}
	}
}

func TestRescanOfTheAPI(t *testing.T) {
	const body = `{"instance_ids":["i-abc"],"account":"a","region":"cn-hangzhou"}`
	w := newWorld(t, 5, nil)
	var asked []record.RescanRequest
	w.store.OnRescan = func(r record.RescanRequest) (record.RescanReply, error) {
		asked = append(asked, r)
		return record.RescanReply{ScanID: "r1", Accepted: 1}, nil
	}
	if rec := w.post("/api/v1/rescan", "application/json", body); rec.Code != http.StatusAccepted || !strings.Contains(rec.Body.String(), `"scan_id":"r1"`) || !strings.Contains(rec.Body.String(), `"rejected":[]`) {
		t.Errorf("%d %s, want 202 and the scan's id", rec.Code, rec.Body)
	}
	if len(asked) != 1 || asked[0].Region != "cn-hangzhou" {
		t.Errorf("asked %+v", asked)
	}
	for name, c := range map[string]struct {
		media, body string
		head        []string
		status      int
	}{
		"form_instead_of_json": {"application/x-www-form-urlencoded", "instance_ids=i-1", nil, 415},
		"other_origin":         {"application/json", body, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"other_origin_old":     {"application/json", body, []string{"Origin", "https://evil.example"}, 403},
		"no_instances":         {"application/json", `{}`, nil, 400},
		"unknown_field":        {"application/json", `{"endpoint":"http://127.0.0.1"}`, nil, 400},
		"hostile_id":           {"application/json", `{"instance_ids":["i-1.>"," *"]}`, nil, 400},
		"huge":                 {"application/json", `{"reason":"` + strings.Repeat("x", 300<<10) + `"}`, nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			if rec := w.post("/api/v1/rescan", c.media, c.body, c.head...); rec.Code != c.status {
				t.Errorf("status %d, want %d: %.200s", rec.Code, c.status, rec.Body)
			}
		})
	}
	if len(asked) != 1 {
		t.Errorf("%d requests got through, want 1", len(asked))
	}
	w.store.OnRescan = func(record.RescanRequest) (record.RescanReply, error) {
		return record.RescanReply{}, errors.New("secret of the network")
	}
	if rec := w.post("/api/v1/rescan", "application/json", body); rec.Code != http.StatusBadGateway || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("%d %s, want 502 without the cause", rec.Code, rec.Body)
	}
}

func TestRescanNeedsPermission(t *testing.T) {
	w := newWorld(t, 5, func(o *httpapi.Options) { o.Operator = nil })
	if rec := w.post("/api/v1/rescan", "application/json", `{"instance_ids":["i-1"]}`); rec.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", rec.Code)
	}
	first := w.fleet.Records[0]
	if rec := w.get("/instances/" + first.InstanceID); rec.Code != 200 || strings.Contains(rec.Body.String(), "Rescan this") {
		t.Errorf("status %d, or the button is there", rec.Code)
	}
}

func TestHealthAndReadiness(t *testing.T) {
	ready := true
	w := newWorld(t, 1, func(o *httpapi.Options) {
		o.Ready = func() (bool, []string) { return ready, []string{"NATS is not connected"} }
	})
	if rec := w.get("/healthz"); rec.Code != 200 {
		t.Errorf("healthz %d", rec.Code)
	}
	if rec := w.get("/readyz"); rec.Code != 200 {
		t.Errorf("readyz %d", rec.Code)
	}
	ready = false
	if rec := w.get("/readyz"); rec.Code != 503 || !strings.Contains(rec.Body.String(), "NATS is not connected") || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("readyz %d %s, want 503 with the reason", rec.Code, rec.Body)
	}
	if rec := w.get("/metrics"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "shenscan_up") {
		t.Errorf("metrics %d", rec.Code)
	}
}

func TestPagesAreWholeAndLocked(t *testing.T) {
	w := everyPage(t, 120)
	first := w.fleet.Records[0]
	says := map[string]string{}
	for _, path := range w.pages(t) {
		says[path] = "<footer>"
	}
	maps.Copy(says, map[string]string{
		"/":                                      "Where can these instances move?",
		"/instances?os_family=centos":            "CentOS 5.8",
		"/instances?verdict=nonsense":            "is not one of",
		"/instances/" + first.InstanceID:         first.InstanceID,
		"/instances/i-none":                      "not found",
		"/scans":                                 "running",
		"/scans/20261123T012900Z-running":        "refreshes itself",
		"/scans/none":                            "not found",
		"/no/such/page":                          "There is no such page.",
		"/instances?q=" + url.QueryEscape("<b>"): "&lt;b&gt;",
	})
	for path, want := range says {
		rec := w.get(path)
		if !strings.Contains(rec.Body.String(), want) || !strings.Contains(rec.Body.String(), "</html>") {
			t.Errorf("%s (%d) lacks %q or its end", path, rec.Code, want)
		}
		csp := rec.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, rec.Header())
		}
		if n := strings.Count(rec.Body.String(), "<script src=\"/static/"); n != 1 || strings.Count(rec.Body.String(), "<script") != n {
			t.Errorf("%s has another script than that of every page", path)
		}
		for _, bad := range []string{" style=\"", " onclick", "<img"} {
			if strings.Contains(rec.Body.String(), bad) {
				t.Errorf("%s contains %s", path, bad)
			}
		}
	}
	const again = `<noscript><meta http-equiv="refresh"`
	for path, want := range map[string]bool{
		"/": true, "/?refresh=off": false, "/scans/20261123T012900Z-running": true, "/scans/20261123T012900Z-running?refresh=off": false,
		"/scans/" + w.fleet.Scan.ID: false, "/instances/" + first.InstanceID: false,
	} {
		if body := w.get(path).Body.String(); strings.Contains(body, again) != want || strings.Contains(body, `data-refresh="0"`) == want {
			t.Errorf("%s comes again: %v, want %v, with JavaScript and without", path, !want, want)
		}
	}
}

func TestHostileRecordsOnPages(t *testing.T) {
	w := newWorld(t, len(reporttest.Hostile()), nil)
	pages := []string{"/", "/instances?limit=500", "/instances?q=" + url.QueryEscape(`"><script>`)}
	for _, r := range w.fleet.Records {
		pages = append(pages, "/instances/"+r.InstanceID)
	}
	for _, path := range pages {
		body := w.get(path).Body.String()
		if strings.Count(body, "<script") != 1 {
			t.Errorf("%s has a script more", path)
		}
		for _, bad := range []string{"<script>", "<img", "\x1b", "\u202e", "\u009b", "\x00"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
	}
}

func TestTooManyRequestsAreTurnedAway(t *testing.T) {
	release, inside := make(chan struct{}), make(chan struct{})
	w := newWorld(t, 5, func(o *httpapi.Options) { o.MaxInFlight = 1 })
	w.store.OnRescan = func(record.RescanRequest) (record.RescanReply, error) {
		close(inside)
		<-release
		return record.RescanReply{}, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.post("/api/v1/rescan", "application/json", `{"instance_ids":["i-1"]}`)
	}()
	<-inside
	if rec := w.get("/api/v1/summary"); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, want 503 with Retry-After", rec.Code)
	}
	if rec := w.get("/healthz"); rec.Code != 200 {
		t.Errorf("healthz %d while busy, want 200", rec.Code)
	}
	close(release)
	<-done
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	if _, err := httpapi.New(httpapi.Options{}); err == nil {
		t.Error("New without a store returned no error")
	}
}

// BenchmarkFilter is the live table's question over 100,000 instances.
func BenchmarkFilter(b *testing.B) {
	w := newWorld(b, 100_000, nil)
	for b.Loop() {
		if rec := w.get("/instances?q=web-prod&sort=name&verdict=incompatible"); rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}

// Every page says of which day the knowledge behind the verdicts is.
func TestPagesSayHowOldTheKnowledgeIs(t *testing.T) {
	day := reporttest.Now().AddDate(0, 0, -28).Format(time.DateOnly)
	w := newWorld(t, 3, func(o *httpapi.Options) { o.Rules = func() *rules.Definition { return &rules.Definition{AsOf: day} } })
	for _, path := range []string{"/", "/instances", "/scans"} {
		if body := w.get(path).Body.String(); !strings.Contains(body, "of "+day+", 28 days ago") {
			t.Errorf("%s does not say that the knowledge is of %s", path, day)
		}
	}
}
