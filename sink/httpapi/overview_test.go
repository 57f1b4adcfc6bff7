package httpapi_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/sink/httpapi"
)

var linkToList = regexp.MustCompile(`<a[^>]* href="/instances\?([^"]*)"[^>]*>(?:<i[^>]*>[^<]*</i>)?([0-9,]+)`)

// Every count of the overview leads to a list that holds as many.
func TestEveryCountLeadsToItsList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 700, nil)
	body := w.get("/").Body.String()
	links := linkToList.FindAllStringSubmatch(body, -1)
	if len(links) < 100 {
		t.Fatalf("the overview has %d counts that lead to a list, want those of cards and tables", len(links))
	}
	for _, link := range links {
		query := html.UnescapeString(link[1])
		if len(link[2]) >= len("1234567890123456") {
			continue // the name of an account
		}
		want, err := strconv.Atoi(strings.ReplaceAll(link[2], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		if l := w.list(t, query+"&limit=1"); l.Total != want {
			t.Errorf("%s: the overview says %d, the list holds %d", query, want, l.Total)
		}
		if page := w.get("/instances?" + query); page.Code != http.StatusOK {
			t.Errorf("%s: status %d", query, page.Code)
		}
	}
	// What would settle the unknown stands in the card of each target, and adds up.
	asked := 0
	for _, m := range regexp.MustCompile(`<li title="(?:confirm-version|ask-platform|verify-nvme-initramfs|custom-image-trial)">([0-9,]+): `).FindAllStringSubmatch(body, -1) {
		n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		asked += n
	}
	unknown := 0
	for _, target := range reporttest.Targets() {
		unknown += w.list(t, "limit=1&verdict=unknown&target="+target).Total
	}
	if asked != unknown || asked == 0 {
		t.Errorf("questions for %d unknown verdicts, of %d", asked, unknown)
	}
	// Cards of a target add up to all instances.
	for _, target := range reporttest.Targets() {
		sum := 0
		for _, verdict := range []string{"compatible", "needs-action", "incompatible", "unknown"} {
			sum += w.list(t, "limit=1&target="+target+"&verdict="+verdict).Total
		}
		if sum != 700 {
			t.Errorf("the counts of %s add up to %d, want 700", target, sum)
		}
	}
	if !strings.Contains(body, "Compatible, but of low confidence") || !slices.Contains(linksOf(links), "confidence=low&target=kvm&verdict=compatible") {
		t.Error("compatible with low confidence has no total of its own")
	}
}

func linksOf(links [][]string) []string {
	var out []string
	for _, l := range links {
		out = append(out, html.UnescapeString(l[1]))
	}
	return out
}

// The rows of a table of the overview add up to its totals.
func TestRowsOfTheOverviewAddUp(t *testing.T) {
	w := newWorld(t, 300, nil)
	sum := reporttest.Count(w.fleet.Records, reporttest.Targets())
	for _, target := range reporttest.Targets() {
		for verdict, want := range sum.Verdicts[target] {
			bySystem, low := 0, 0
			for i := range sum.Groups {
				if g := &sum.Groups[i]; g.Target == target && g.Verdict == verdict {
					bySystem += g.Instances
					low += g.LowConfidence
				}
			}
			if bySystem != want || low != sum.Confidence[target][verdict]["low"] {
				t.Errorf("%s %s: groups add up to %d (%d low), totals say %d (%d low)", target, verdict, bySystem, low, want, sum.Confidence[target][verdict]["low"])
			}
		}
	}
}

// Nothing on the overview is a calm 0 where nothing was read, or not all.
func TestOverviewSaysWhatItDoesNotKnow(t *testing.T) {
	fleet := func(change func(*record.Summary)) func(*httpapi.Options) {
		f := reporttest.New(30, 1)
		change(&f.Summary)
		return func(o *httpapi.Options) { o.Store = newMemory(f.Records, &f.Summary, nil, nil) }
	}
	none := newMemory(nil, &record.Summary{Targets: reporttest.Targets(), CaughtUp: true, Scopes: []record.ScopeStatus{{Account: "1", Region: "cn-beijing", Completeness: record.ScopeFailed}}}, nil, nil)
	for name, c := range map[string]struct {
		change      func(*httpapi.Options)
		want, never string
	}{
		"catching_up":         {fleet(func(s *record.Summary) { s.CaughtUp = false }), "catching up with what scans have found", ""},
		"one_region_failed":   {fleet(func(s *record.Summary) { s.Scopes[0].Completeness = record.ScopeFailed }), "Of at least 30 instances", "complete: "},
		"never_wholly_read":   {func(o *httpapi.Options) { o.Store = none }, "No instance is known yet, and only 0 of 1 region was read to the end.", "complete: "},
		"everything_was_read": {fleet(func(*record.Summary) {}), "complete: 6 regions read to the end", "at least"},
	} {
		t.Run(name, func(t *testing.T) {
			body := newWorld(t, 3, c.change).get("/").Body.String()
			if !strings.Contains(body, c.want) || c.never != "" && strings.Contains(body, c.never) {
				t.Errorf("the overview lacks %q, or has %q", c.want, c.never)
			}
		})
	}
}

func TestScanNowIsForOperators(t *testing.T) {
	asked := 0
	w := newWorld(t, 5, nil)
	w.store.OnScan = func(string) (string, error) { asked++; return "scan-1", nil }
	if !strings.Contains(w.get("/").Body.String(), `action="/scan"`) {
		t.Error("an operator sees no button")
	}
	const form = "application/x-www-form-urlencoded"
	rec := w.post("/scan", form, "")
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/?asked=scan-1" || asked != 1 {
		t.Fatalf("%d to %q, asked %d times; want one scan and the way back", rec.Code, rec.Header().Get("Location"), asked)
	}
	if body := w.get("/?asked=scan-1").Body.String(); !strings.Contains(body, "scan-1 was asked for") {
		t.Error("the overview does not say that the scan was asked for")
	}
	for name, head := range map[string][]string{"another site": {"Sec-Fetch-Site", "cross-site"}, "another origin": {"Origin", "https://evil.example"}} {
		if rec := w.post("/scan", form, "", head...); rec.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, rec.Code)
		}
	}
	if rec := w.get("/scan"); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, want 405", rec.Code)
	}
	if asked != 1 {
		t.Errorf("%d scans were asked for, want 1", asked)
	}
	reader := newWorld(t, 5, func(o *httpapi.Options) { o.Operator = func(*http.Request) bool { return false } })
	reader.store.OnScan = func(string) (string, error) { asked++; return "scan-1", nil }
	if rec := reader.post("/scan", form, ""); rec.Code != http.StatusForbidden || asked != 1 {
		t.Errorf("a reader: status %d, %d scans; want 403 and no scan", rec.Code, asked)
	}
	if strings.Contains(reader.get("/").Body.String(), `action="/scan"`) {
		t.Error("a reader sees the button")
	}
}

// A reader who has the page as it is gets no second copy.
func TestUnchangedPagesAreNotSentAgain(t *testing.T) {
	w := newWorld(t, 20, nil)
	tag := w.get("/").Header().Get("ETag")
	again := func() int {
		req, rec := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		req.Header.Set("If-None-Match", tag)
		w.handler.ServeHTTP(rec, req)
		return rec.Code
	}
	if code := again(); tag == "" || code != http.StatusNotModified {
		t.Errorf("the same page again: %d with tag %q, want 304", code, tag)
	}
	ended := w.fleet.Scan
	ended.ID, ended.State = "20261123T013500Z-next", record.ScanRunning
	w.store.PutScan(ended)
	if code := again(); code != http.StatusOK {
		t.Errorf("after a scan began: %d, want 200", code)
	}
}

// The pages of a listing lead forth and back through the same instances.
func TestPreviousLeadsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 237, nil)
	for _, sort := range []string{"", "place", "id", "name", "type", "os", "verdict"} {
		for _, order := range []string{"", "desc"} {
			query := "limit=50&sort=" + sort + "&order=" + order
			var pages []list
			cursor := ""
			for len(pages) < 10 {
				l := w.list(t, query+"&cursor="+cursor)
				pages = append(pages, l)
				if cursor = l.NextCursor; cursor == "" {
					break
				}
			}
			if len(pages) != 5 || pages[0].PrevCursor != "" {
				t.Fatalf("%s: %d pages, want 5, of which the first has none before it", query, len(pages))
			}
			for i := len(pages) - 1; i > 0; i-- {
				back := w.list(t, query+"&cursor="+pages[i].PrevCursor)
				if len(back.Instances) != len(pages[i-1].Instances) || back.Instances[0].InstanceID != pages[i-1].Instances[0].InstanceID || (back.PrevCursor == "") != (i == 1) || back.NextCursor == "" {
					t.Errorf("%s: before page %d stands another page than %d", query, i+1, i)
				}
			}
		}
	}
}

func TestOverviewShowsWhatEvidenceIsMissing(t *testing.T) {
	w := newWorld(t, 30, nil)
	if page := w.get("/").Body.String(); strings.Contains(page, `id="evidence"`) {
		t.Error("a section without evidence")
	}
	asked := reporttest.Now().AddDate(0, 0, -12)
	w.store.Evidence = []record.Evidence{
		{Source: "platform", Account: "1", Region: "cn-beijing", About: "images", Asked: 7, Answered: 5, Calls: 2, Oldest: &asked, Skipped: []record.EvidenceSkipped{
			{Count: 2, Cause: "<b>denied</b>", Mend: "grant it"},
		}},
	}
	page := w.get("/").Body.String()
	for _, want := range []string{"answers for 5 of 7 images, the oldest 12 days old, 2 calls", "2 of 7 images in 1 / cn-beijing: &lt;b&gt;denied&lt;/b&gt;; grant it"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
