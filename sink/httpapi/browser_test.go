//go:build browser

package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// live serves a fleet and opens a browser.
func live(t *testing.T, n int) (*world, *reporttest.Browser, string) {
	t.Helper()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, n, func(o *httpapi.Options) {
		o.Answers, o.Rules, o.Languages = &later{&w}, rs.Definition, lang.Languages()
		o.NextScan = func() (time.Time, string) { return reporttest.Now().Add(20 * time.Hour), "daily" }
	})
	for i := range 12 {
		at := reporttest.Now().AddDate(0, 0, i-11)
		p := point(uint64(i+1), at, n/3-i*i*n/400, record.Moves{Closed: i * n / 200})
		p.Instances = n
		w.store.Burndown = append(w.store.Burndown, p)
	}
	srv := httptest.NewServer(w.handler)
	t.Cleanup(srv.Close)
	return w, reporttest.NewBrowser(t), srv.URL
}

func rowsOf(t *testing.T, b *reporttest.Browser) []string {
	t.Helper()
	return reporttest.Eval[[]string](t, b, `[...document.querySelectorAll('tr.row')].map(r => r.innerText)`)
}

func TestBrowserFiltersPagesAndOpens(t *testing.T) {
	_, b, url := live(t, 2000)
	b.Open(t, url+"/", "footer")
	b.Click(t, `nav a[href="/instances"]`)
	b.Wait(t, `form[role=search]`)
	if n := len(rowsOf(t, b)); n != 50 {
		t.Fatalf("%d rows on the first page, want 50", n)
	}
	first := rowsOf(t, b)[0]
	b.Click(t, `a[rel=next]`)
	b.Wait(t, `.pager a[rel=prev]`)
	if rowsOf(t, b)[0] == first {
		t.Error("the second page starts like the first")
	}
	b.Set(t, `input[name=os]`, "CentOS 5.8")
	b.Set(t, `select[name=verdict]`, "incompatible")
	b.Press(t, `form[role=search] button[type=submit]`)
	b.Wait(t, `a.chip`)
	for _, row := range rowsOf(t, b) {
		if !strings.Contains(row, "CentOS 5.8") {
			t.Errorf("a row is not CentOS 5.8: %s", row)
		}
	}
	b.Click(t, `thead th:nth-child(2) a`)
	b.Wait(t, `th[aria-sort=ascending]`)
	b.Press(t, `tr.row a`)
	b.Wait(t, `.verdict-card`)
	text := reporttest.Eval[string](t, b, `document.querySelector('main').innerText`)
	for _, want := range []string{"CentOS 5.8", "minor-upgrade to 5.11", "snapshot", "Where it can move", "evidence"} {
		if !strings.Contains(text, want) {
			t.Errorf("the instance's page lacks %q", want)
		}
	}
	b.Sound(t, url)
}

func TestBrowserRescanShowsTheNewVerdict(t *testing.T) {
	w, b, url := live(t, 60)
	rec := w.fleet.Records[0]
	for _, r := range w.fleet.Records {
		if r.OS.Family == "centos" && r.OS.Version == "5.8" {
			rec = r
		}
	}
	// The rescan runs until the page was seen waiting, then finds the instance
	// upgraded.
	scan := record.Scan{ID: "rescan-1", Kind: "rescan", State: record.ScanRunning, StartedAt: reporttest.Now(), Regions: 1}
	w.store.OnRescan = func(r record.RescanRequest) (record.RescanReply, error) {
		w.store.PutScan(scan)
		return record.RescanReply{ScanID: scan.ID, Accepted: len(r.InstanceIDs)}, nil
	}
	b.Open(t, url+"/instances/"+rec.InstanceID, "form button")
	b.Press(t, `form[action="/rescan"] button`)
	b.Wait(t, `.banner[role=status]`)
	if got := reporttest.Eval[string](t, b, `document.querySelector('.banner[role=status]').innerText`); !strings.Contains(got, "running") {
		t.Errorf("the page says %q, want that the rescan is running", got)
	}
	after := *rec
	after.OS.Version, after.Legacy, after.ObservedAt, after.ScanID = "5.11", false, reporttest.Now().Add(time.Minute), scan.ID
	after.Verdicts = nil
	for _, target := range reporttest.Targets() {
		after.Verdicts = append(after.Verdicts, reporttest.Verdict(target, rules.Compatible, "el.5.11", "CentOS 5.9 and later boot."))
	}
	w.store.Put(&after, &record.Change{
		At: after.ObservedAt, ScanID: scan.ID, Cause: "observation", OS: "centos 5.11",
		Before: map[string]string{"shenlong-6": "incompatible"}, After: map[string]string{"shenlong-6": "compatible"},
	})
	ended := reporttest.Now()
	scan.State, scan.EndedAt, scan.Done, scan.Instances, scan.Changed = record.ScanComplete, &ended, 1, 1, 1
	w.store.PutScan(scan)
	b.Wait(t, `.banner.ok[role=status]`)
	text := reporttest.Eval[string](t, b, `document.querySelector('main').innerText`)
	for _, want := range []string{"CentOS 5.11", "It changed a verdict", "incompatible -> compatible"} {
		if !strings.Contains(text, want) {
			t.Errorf("after the rescan the page lacks %q", want)
		}
	}
	b.Sound(t, url)
}

func TestBrowserPagesLookAndRead(t *testing.T) {
	w, b, url := live(t, 10_000)
	rec := w.fleet.Records[0]
	for _, r := range w.fleet.Records {
		if len(r.Conflicts) > 0 || r.OS.Version == "5.8" {
			rec = r
			break
		}
	}
	w.store.Put(rec, &record.Change{
		At: reporttest.Now(), ScanID: w.fleet.Scan.ID, Cause: "observation", OS: "centos 5.8",
		Before: map[string]string{"shenlong-6": "unknown"}, After: map[string]string{"shenlong-6": "incompatible"},
	})
	pages := []struct{ name, path string }{
		{"overview", "/"},
		{"instances", "/instances?sort=verdict&target=shenlong-6"},
		{"instances-none", "/instances?q=nothing+like+this"},
		{"instance", "/instances/" + rec.InstanceID},
		{"plan", "/plan?target=shenlong-8&owner_tag=owner"},
		{"plan-wave", "/plan?target=shenlong-8&wave=repair"},
		{"instances-narrowed", "/instances?target=shenlong-8&verdict=compatible&confidence=low&tag=owner%3Dpayments&os=Windows+Server"},
		{"rules", "/rules"},
		{"changes", "/changes?since=7d"},
		{"scans", "/scans"},
		{"scan-running", "/scans/20261123T012900Z-running?refresh=off"},
		{"scan-partial", "/scans/" + w.fleet.Scan.ID},
	}
	noneMissing(t, httpapi.PagePatterns(everything()), func(yield func(string) bool) {
		for _, page := range pages {
			if !yield(page.path) {
				return
			}
		}
	})
	for _, page := range pages {
		for _, in := range lang.Languages() {
			name, mark := page.name, "?"
			if in != lang.English {
				name += "-" + string(in)
			}
			if strings.Contains(page.path, mark) {
				mark = "&"
			}
			t.Run(name, func(t *testing.T) {
				b.Open(t, url+page.path+mark+"lang="+string(in), "footer")
				if got := reporttest.Eval[string](t, b, `document.documentElement.lang`); got != in.Tag() {
					t.Fatalf("the page speaks %s", got)
				}
				b.Looks(t, name)
				if page.name == "overview" || page.name == "instance" || page.name == "plan" {
					b.Print(t, name)
				}
				b.Sound(t, url)
			})
		}
	}
	b.Open(t, url+"/scans/20261123T012900Z-running", "footer")
	b.Sound(t, url)
}

// The overview follows a scan without being loaded again, says when nobody
// answers, and finds back.
func TestBrowserOverviewFollowsAScan(t *testing.T) {
	w := newWorld(t, 200, nil)
	var broken atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(rw, "no", http.StatusBadGateway)
			return
		}
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	b := reporttest.NewBrowser(t)
	b.Open(t, srv.URL+"/", "footer")
	reporttest.Eval[bool](t, b, `(window.same = true, document.querySelector('.legend').open = true)`)
	has := func(text string) string {
		return fmt.Sprintf(`document.querySelector('main').innerText.includes(%q) && window.same`, text)
	}
	running := w.fleet.Scan
	running.ID, running.State, running.EndedAt, running.Regions, running.Done, running.Instances = "20261123T012900Z-running", record.ScanRunning, nil, 6, 5, 123
	w.store.PutScan(running)
	b.Until(t, has("5 of 6 regions, 123 instances so far"))
	if !reporttest.Eval[bool](t, b, `document.querySelector('.legend').open`) {
		t.Error("what the reader unfolded was folded again")
	}
	broken.Store(true)
	b.Until(t, has("shenscan did not answer since"))
	broken.Store(false)
	running.Done = 6
	w.store.PutScan(running)
	b.Until(t, has("6 of 6 regions"))
	b.Until(t, `!document.querySelector('#unreached') && window.same`)
	// The machine slept, and wakes: the page asks at once, whatever its timer.
	running.Instances = 456
	w.store.PutScan(running)
	reporttest.Eval[bool](t, b, `dispatchEvent(new Event('online'))`)
	b.Until(t, has("456 instances so far"))
}

// Without JavaScript the pages are whole, and the overview comes again.
func TestBrowserWithoutScripts(t *testing.T) {
	w, b, url := live(t, 300)
	b.Scripts(t, false)
	b.Open(t, url+"/", "footer")
	running := w.fleet.Scan
	running.ID, running.State, running.EndedAt, running.Regions, running.Done, running.Instances = "20261123T012900Z-running", record.ScanRunning, nil, 6, 5, 123
	w.store.PutScan(running)
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if strings.Contains(reporttest.Eval[string](t, b, `document.body ? document.body.innerText : ''`), "123 instances so far") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the overview does not come again by itself")
		}
	}
	b.Open(t, url+"/instances?os=CentOS+5.8", "footer")
	if n := len(rowsOf(t, b)); n == 0 {
		t.Error("no instance is listed")
	}
	b.Open(t, url+"/plan?wave=unknown", "footer")
	b.Wait(t, ".item")
	b.Sound(t, url)
}

func TestBrowserEmptyAndOldPages(t *testing.T) {
	empty := newMemory(nil, &record.Summary{Targets: reporttest.Targets(), Verdicts: map[string]map[string]int{}, CaughtUp: true}, nil, nil)
	for name, change := range map[string]func(*httpapi.Options){
		"overview-empty": func(o *httpapi.Options) { o.Store = empty },
		"overview-old":   func(o *httpapi.Options) { o.Now = func() time.Time { return reporttest.Now().Add(72 * time.Hour) } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 500, change)
			srv := httptest.NewServer(w.handler)
			t.Cleanup(srv.Close)
			b := reporttest.NewBrowser(t)
			b.Open(t, srv.URL+"/", "footer")
			b.Looks(t, name)
			b.Sound(t, srv.URL)
		})
	}
}

func TestBrowserHostileNamesAreText(t *testing.T) {
	_, b, url := live(t, len(reporttest.Hostile()))
	b.Open(t, url+"/instances?limit=500", "footer")
	text := reporttest.Eval[string](t, b, `[...document.querySelectorAll('td.cut')].map(c => c.textContent).join('\n')`)
	for _, want := range []string{`<script>document.title='owned'</script>`, `=cmd|'/c calc'!A0`, report.Clean("\x1b[31mred"), `\u202egnp.exe`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown as text", want)
		}
	}
	if title := reporttest.Eval[string](t, b, `document.title`); !strings.HasPrefix(title, "Instances") {
		t.Errorf("the title became %q", title)
	}
	b.Sound(t, url)
}

func TestBrowserFilterOver100000Instances(t *testing.T) {
	w, b, url := live(t, 100_000)
	const question = "/instances?q=web-prod&verdict=incompatible&sort=name"
	// The best of a few: other work on the machine is not what is measured.
	best := time.Hour
	for range 5 {
		start := time.Now()
		if rec := w.get(question); rec.Code != 200 {
			t.Fatalf("status %d", rec.Code)
		}
		best = min(best, time.Since(start))
	}
	start := time.Now()
	b.Open(t, url+question, "footer")
	t.Logf("filter and sort over 100,000 instances: answered in %v, once %v until the page stood", best.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	// `make bench-filters` holds the 300 ms of an idle machine; one that is busy
	// or slow takes several times as long. More than this is another kind of search.
	if best > 5*time.Second {
		t.Errorf("the live table took %v to answer, want about 300 ms", best)
	}
}

// A click is not lost where a newer page comes between its press and its release:
// a press on a window in the background brings it to ask for one.
func TestBrowserKeepsAClick(t *testing.T) {
	w := spoken(t, 50)
	var answered atomic.Int64 // requests of the script for a newer page
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.handler.ServeHTTP(rw, r)
		if r.Header.Get("Sec-Fetch-Dest") == "empty" {
			answered.Add(1)
		}
	}))
	t.Cleanup(srv.Close)
	b := reporttest.NewBrowser(t)
	const mark, marked = `document.querySelector('main').dataset.old = '1'; true`, `!!document.querySelector('main[data-old]')`
	for _, c := range []struct{ link, leadsTo string }{
		{`a.lang[hreflang="zh-CN"]`, `html[lang="zh-CN"] footer`},
		{`main a[href^="/instances"]`, `nav a[href="/instances"][aria-current=page]`},
	} {
		b.Open(t, srv.URL+"/", "footer")
		reporttest.Eval[bool](t, b, mark)
		before := answered.Load() // the press itself can bring the page to ask
		b.ClickSlowly(t, c.link, func() {
			reporttest.Eval[bool](t, b, `dispatchEvent(new Event('focus'))`)
			for begun := time.Now(); answered.Load() == before; time.Sleep(time.Millisecond) {
				if time.Since(begun) > time.Minute {
					t.Fatal("the page did not ask for a newer one")
				}
			}
			// Long enough for the page to put in what came, if it does.
			reporttest.Eval[bool](t, b, `new Promise(done => setTimeout(() => done(true), 200))`)
			if !reporttest.Eval[bool](t, b, marked) {
				t.Fatalf("the page changed under a pressed button on %s: the click is lost", c.link)
			}
		})
		b.Wait(t, c.leadsTo)
	}
	// Where nothing is pressed, what came is put in place.
	b.Open(t, srv.URL+"/", "footer")
	reporttest.Eval[bool](t, b, mark)
	reporttest.Eval[bool](t, b, `dispatchEvent(new Event('focus'))`)
	b.Until(t, `!(`+marked+`)`)
}

// Whoever chooses a language keeps it from page to page, and what the script puts
// on the page is in it.
func TestBrowserKeepsTheLanguage(t *testing.T) {
	w := spoken(t, 50)
	var broken atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(rw, "no", http.StatusBadGateway)
			return
		}
		w.handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	b := reporttest.NewBrowser(t)
	b.Open(t, srv.URL+"/", "footer")
	b.Click(t, `a.lang[hreflang="zh-CN"]`)
	b.Wait(t, `html[lang="zh-CN"] footer`)
	b.Click(t, `nav a[href="/scans"]`)
	b.Wait(t, `html[lang="zh-CN"] nav a[href="/scans"][aria-current=page]`)
	broken.Store(true)
	reporttest.Eval[bool](t, b, `dispatchEvent(new Event('online'))`)
	b.Until(t, `document.querySelector('main').innerText.includes('shenscan 没有响应')`)
	broken.Store(false)
	b.Until(t, `!document.querySelector('#unreached')`)
	b.Click(t, `a.lang[hreflang="en"]`)
	b.Wait(t, `html[lang="en"] footer`)
}
