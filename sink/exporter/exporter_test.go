package exporter_test

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/exporter"
	"github.com/shenscan/shenscan/sink/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is a Source that says the same until it is changed.
type fixed struct {
	summary   *record.Summary
	standings *store.Standings
	stats     store.Stats
	outcomes  []record.MoveScore
	asked     int
}

func (f *fixed) Figures() store.Figures {
	if f.standings == nil {
		f.standings = &store.Standings{}
	}
	f.asked++
	return store.Figures{Summary: f.summary, Standings: f.standings, Outcomes: f.outcomes, Stats: f.stats}
}

func small() *fixed {
	end := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	group := func(target, verdict, family, version string, legacy bool, n int) record.Group {
		return record.Group{Account: "prod", Region: "cn-hangzhou", Target: target, Verdict: verdict, OSFamily: family, OSVersion: version, Legacy: legacy, Instances: n}
	}
	return &fixed{
		summary: &record.Summary{
			Instances: 5, Gone: 1, Legacy: 2, Targets: []string{"kvm", "shenlong-7"}, AsOf: end,
			Verdicts:          map[string]map[string]int{"kvm": {"compatible": 5, "unknown": 0}, "shenlong-7": {"compatible": 2, "incompatible": 2, "unknown": 1}},
			Confidence:        map[string]map[string]map[string]int{"shenlong-7": {"compatible": {"high": 5, "medium": 0}}},
			UnknownByQuestion: map[string]map[string]int{"kvm": {"confirm-version": 0, "ask-platform": 0}, "shenlong-7": {"confirm-version": 1, "ask-platform": 0}},
			Groups: []record.Group{
				group("kvm", "compatible", "centos", "5.8", true, 2), group("kvm", "compatible", "debian", "12", false, 2), group("kvm", "compatible", "unknown", "", false, 1),
				group("shenlong-7", "incompatible", "centos", "5.8", true, 2), group("shenlong-7", "compatible", "debian", "12", false, 2), group("shenlong-7", "unknown", "unknown", "", false, 1),
			},
			Scopes: []record.ScopeStatus{
				{Account: "prod", Region: "cn-hangzhou", Instances: 5, Completeness: record.ScopeComplete, LastEnd: &end, LastComplete: &end, Numbers: &record.Numbers{Counted: new(5), Listed: 5, Published: 5, Classified: 5, Stored: 5}},
				{Account: "prod", Region: "cn-beijing", Completeness: record.ScopeFailed, LastEnd: &end},
				{Account: "prod", Region: "cn-new", Completeness: record.ScopePending},
				{AccountName: "lab", Completeness: record.ScopeFailed, LastEnd: &end},
				{Completeness: record.ScopeFailed, LastEnd: &end},
			},
		},
		standings: &store.Standings{
			Waves:  map[store.WaveKey]int{{Account: "prod", Region: "cn-hangzhou", Target: "shenlong-7", Wave: "ready"}: 2, {Account: "prod", Region: "cn-hangzhou", Target: "shenlong-7", Wave: "waived"}: 3},
			Waived: map[store.WaivedKey]int{{Target: "shenlong-7", Verdict: "incompatible"}: 3},
			Owners: &record.Shares{Largest: []record.Share{
				{Name: "", Instances: 1, Targets: map[string]record.Standing{"shenlong-7": {Open: 1}}},
				{Name: "payments", Instances: 4, Targets: map[string]record.Standing{"shenlong-7": {Open: 2}}},
			}},
		},
		outcomes: []record.MoveScore{{Target: "shenlong-7", Verdict: "compatible", Result: record.MoveNotUp, Instances: 1}, {Target: "shenlong-7", Verdict: "compatible", Result: record.MoveUp, Instances: 7}},
		stats: store.Stats{
			Size: 4096, SizeLimit: 1 << 30, Commits: 3, CommitSeconds: 0.5, CommitBuckets: map[float64]uint64{0.01: 1, 0.1: 2, 1: 3},
			Changes: map[store.ChangeKey]uint64{{Target: "kvm", From: "compatible", To: "incompatible"}: 4},
			JudgedAnew: []record.JudgedAnew{
				{Ruleset: "other", Targets: []string{"kvm"}, Pages: 3},
				{Ruleset: "third", Targets: []string{"kvm"}, Pages: 2},
				{Ruleset: "own", Targets: []string{"kvm"}, Pages: 1, Unsound: true},
			},
			Accounts: map[string]store.AccountStatus{"prod": {Duration: 90 * time.Second, FailedRegions: 1}}, Observed: end,
		},
	}
}

// scrape asks the handler as Prometheus does.
func scrape(tb testing.TB, c *exporter.Collector) string {
	tb.Helper()
	w := httptest.NewRecorder()
	c.Handler(prometheus.NewRegistry(), slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if got := w.Header().Get("Content-Length"); w.Code != http.StatusOK || got != strconv.Itoa(w.Body.Len()) {
		tb.Fatalf("status %d, Content-Length %s of %d bytes", w.Code, got, w.Body.Len())
	}
	return w.Body.String()
}

// gather reads what a scrape answers.
func gather(tb testing.TB, c *exporter.Collector) map[string]*dto.MetricFamily {
	tb.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	got, err := parser.TextToMetricFamilies(strings.NewReader(scrape(tb, c)))
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func TestExposition(t *testing.T) {
	o := exporter.DefaultOptions()
	o.CaughtUp = func() bool { return true }
	path := filepath.Join("testdata", "exposition.prom")
	got := scrape(t, exporter.New(small(), o))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

func TestLint(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(scrape(t, exporter.New(small(), exporter.DefaultOptions())))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func sum(families map[string]*dto.MetricFamily, name string) (total float64, n int) {
	for _, m := range families[name].GetMetric() {
		total += m.GetGauge().GetValue()
		n++
	}
	return total, n
}

func TestSeriesAreBounded(t *testing.T) {
	src := small()
	src.summary.Groups = nil
	for i := range 30_000 {
		src.summary.Groups = append(src.summary.Groups, record.Group{
			Account: fmt.Sprint("a", i%10), Region: fmt.Sprint("r", i%30), Target: "kvm", Verdict: "compatible",
			OSFamily: fmt.Sprint("f", i%40), OSVersion: fmt.Sprint(i), Legacy: true, Instances: 1 + i%7,
		})
	}
	want := 0.0
	for _, g := range src.summary.Groups {
		want += float64(g.Instances)
	}
	families := gather(t, exporter.New(src, exporter.Options{MaxSeries: 1000}))
	for _, name := range []string{"shenscan_instances", "shenscan_legacy_os_instances"} {
		if total, n := sum(families, name); total != want || n > 1000 {
			t.Errorf("%s: %d series with %v instances, want at most 1000 with %v", name, n, total, want)
		}
	}
}

func TestHostileLabels(t *testing.T) {
	src := small()
	for i, s := range []string{"\xff\xfe", "\xff\xff", "a\"b\\c\nd", string(make([]byte, 500)), "名前", ""} {
		src.summary.Groups = append(src.summary.Groups, record.Group{Account: s, Region: s, Target: "kvm", Verdict: "unknown", OSFamily: s, OSVersion: s, Instances: i})
		src.summary.Scopes = append(src.summary.Scopes, record.ScopeStatus{Account: s, Region: s, Completeness: record.ScopeComplete, LastEnd: &src.summary.AsOf, LastComplete: &src.summary.AsOf})
		src.stats.Accounts[s] = store.AccountStatus{}
	}
	got := gather(t, exporter.New(src, exporter.DefaultOptions()))
	var names []string
	for _, m := range got["shenscan_instances"].GetMetric() {
		names = append(names, m.GetLabel()[0].GetValue())
	}
	if !slices.Contains(names, "a\"b\\c\nd") || !slices.Contains(names, "名前") || !slices.Contains(names, "\uFFFD") {
		t.Errorf("accounts came back as %q", names)
	}
}

func TestVanishedGroupsVanish(t *testing.T) {
	src := small()
	c := exporter.New(src, exporter.DefaultOptions())
	gather(t, c)
	next := *src.summary
	next.Groups = next.Groups[:1]
	src.summary = &next
	if _, n := sum(gather(t, c), "shenscan_instances"); n != 1 {
		t.Errorf("%d series are left", n)
	}
}

// What one scrape reads stays as it is while the next is made.
func TestScrapesDoNotShareNumbers(t *testing.T) {
	src := small()
	c := exporter.New(src, exporter.DefaultOptions())
	before := gather(t, c)
	next := *src.summary
	next.Groups = slices.Clone(next.Groups)
	for i := range next.Groups {
		next.Groups[i].Instances += 10
	}
	src.summary = &next
	gather(t, c)
	if total, n := sum(before, "shenscan_instances"); total != 10 || n != 6 {
		t.Errorf("%d series with %v instances, want 6 with 10", n, total)
	}
	if total, n := sum(gather(t, c), "shenscan_instances"); total != 70 || n != 6 {
		t.Errorf("%d series with %v instances, want 6 with 70", n, total)
	}
}

// What one scrape shows is of one moment: the store is asked once.
func TestAScrapeIsOfOneMoment(t *testing.T) {
	src := small()
	scrape(t, exporter.New(src, exporter.DefaultOptions()))
	if src.asked != 1 {
		t.Errorf("a scrape asked for figures %d times", src.asked)
	}
}

func BenchmarkScrape(b *testing.B) {
	src := small()
	src.summary.Groups = nil
	for i := range 5000 {
		src.summary.Groups = append(src.summary.Groups, record.Group{Account: fmt.Sprint(i % 50), Region: fmt.Sprint(i % 25), Target: "kvm", Verdict: "compatible", OSFamily: "centos", OSVersion: fmt.Sprint(i), Instances: 1})
	}
	c := exporter.New(src, exporter.DefaultOptions())
	h := c.Handler(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	for b.Loop() {
		next := *src.summary
		src.summary = &next
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	}
}

// How far a scan is with each account is shown while it runs, and adds up.
func TestAccountsOfScansThatRun(t *testing.T) {
	o := exporter.DefaultOptions()
	o.Running = func() ([]record.Scan, error) {
		return []record.Scan{
			{Kind: "scan", Accounts: []record.ScanAccount{
				{Account: "prod", Regions: 30, Complete: 8, Partial: 1, Failed: 20}, {Account: "slow", Planning: true},
			}},
			{Kind: "rescan", Accounts: []record.ScanAccount{{Account: "prod", Regions: 1}}},
		}, nil
	}
	text := scrape(t, exporter.New(small(), o))
	for _, want := range []string{
		"shenscan_scans_in_progress 1",
		`shenscan_scan_regions{account="prod",state="complete"} 8`, `shenscan_scan_regions{account="prod",state="failed"} 20`,
		`shenscan_scan_regions{account="prod",state="partial"} 1`, `shenscan_scan_regions{account="prod",state="pending"} 1`,
		`shenscan_scan_account_planning{account="slow"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(text, `shenscan_scan_account_planning{account="prod"}`) {
		t.Error("an account whose regions are known is waited for")
	}
	if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}
