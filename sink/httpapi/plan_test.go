package httpapi_test

import (
	"html"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// everyPage is a world in which every page is served.
func everyPage(t testing.TB, n int) *world {
	t.Helper()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, n, func(o *httpapi.Options) { o.Answers, o.Rules = &later{&w}, rs.Definition })
	return w
}

// pages are addresses of every page there is, some of them in several forms. A new
// page has its address here: what is true of every page is then tried on it.
func (w *world) pages(t testing.TB) []string {
	t.Helper()
	out := []string{
		"/", "/instances", "/instances?verdict=incompatible&target=shenlong-6&os=CentOS", "/instances?q=nothing", "/instances/" + w.fleet.Records[0].InstanceID,
		"/scans", "/scans/" + w.fleet.Scan.ID, "/scans/20261123T012900Z-running",
		"/changes?since=7d", "/changes?scan=" + w.fleet.Scan.ID, "/plan?target=shenlong-8&owner_tag=owner", "/plan?target=shenlong-8&wave=replace-os", "/rules",
	}
	noneMissing(t, httpapi.PagePatterns(everything()), slices.Values(out))
	return out
}

// everything are options by which every page is served; nothing answers there.
func everything() httpapi.Options {
	return httpapi.Options{Answers: whole{}, Rules: func() *rules.Definition { return nil }}
}

// noneMissing fails where no address leads to one of the patterns: a test that says
// something of every page would say it of those alone that it knows.
func noneMissing(t testing.TB, patterns []string, addresses iter.Seq[string]) {
	t.Helper()
	mux := http.NewServeMux()
	missing := map[string]bool{}
	for _, pattern := range patterns {
		mux.Handle(pattern, http.NotFoundHandler())
		missing[pattern] = true
	}
	for address := range addresses {
		_, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, address, http.NoBody))
		delete(missing, pattern)
	}
	for pattern := range missing {
		t.Errorf("no address of %s is tried here", pattern)
	}
}

var linkToWave = regexp.MustCompile(`<td class="n"><a href="(/plan\?[^"#]*)#list">([0-9,]+)</a>`)

// The waves of the page add up to the fleet, and each leads to as many
// instances, page by page.
func TestWavesLeadToTheirInstances(t *testing.T) {
	w := everyPage(t, 230)
	body := w.get("/plan?target=shenlong-7").Body.String()
	sum := 0
	for _, link := range linkToWave.FindAllStringSubmatch(body, -1) {
		want, err := strconv.Atoi(strings.ReplaceAll(link[2], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		sum += want
		listed := 0
		for next := html.UnescapeString(link[1]); next != ""; {
			page := w.get(next).Body.String()
			listed += strings.Count(page, `<div class="card verdict-card item">`)
			next = ""
			if m := regexp.MustCompile(`rel="next" href="([^"#]*)`).FindStringSubmatch(page); m != nil {
				next = html.UnescapeString(m[1])
			}
		}
		if listed != want {
			t.Errorf("%s: %d instances are listed, the wave has %d", link[1], listed, want)
		}
	}
	if sum != 230 {
		t.Errorf("the waves hold %d instances, want 230", sum)
	}
}

func TestStepsOfOneInstance(t *testing.T) {
	w := everyPage(t, 200)
	for _, r := range w.fleet.Records {
		if r.OS.Version != "5.8" {
			continue
		}
		page := w.get("/instances/" + r.InstanceID).Body.String()
		at := "/plan?" + url.Values{"target": {"shenlong-6"}, "account": {r.Account}, "region": {r.Region}, "instance": {r.InstanceID}}.Encode()
		if !strings.Contains(page, html.EscapeString(at)) {
			t.Fatalf("the page of %s does not lead to its steps", r.InstanceID)
		}
		steps := w.get(at).Body.String()
		for _, want := range []string{"minor-upgrade to 5.11", "Upgrade to 5.11 with the package manager.", "Checklist", r.InstanceID, "/rules#rule-el.5.8"} {
			if !strings.Contains(steps, want) {
				t.Errorf("the steps of %s lack %q", r.InstanceID, want)
			}
		}
		return
	}
	t.Fatal("no instance has CentOS 5.8")
}

// The page of an instance says everything that is known of it, in place.
func TestInstancePageExplains(t *testing.T) {
	w := everyPage(t, 300)
	seen := map[string]bool{}
	for _, r := range w.fleet.Records {
		if seen[r.OS.Family] {
			continue
		}
		seen[r.OS.Family] = true
		page := w.get("/instances/" + r.InstanceID + "?account=" + r.Account + "&region=" + r.Region).Body.String()
		want := []string{
			"How the verdicts come about", "decides", "Before the move:", "Create snapshots of all disks right before the move.", "Of the same image",
			html.EscapeString("/instances?" + url.Values{"image": {r.ImageID}}.Encode()), `href="https://www.alibabacloud.com/help/en/ecs/" rel="noreferrer"`,
		}
		if r.OS.Family == "unknown" || r.OS.Family == "windows-server" {
			want = append(want, "What would settle it")
		}
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("the page of %s (%s) lacks %q", r.InstanceID, r.OS.Family, text)
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d systems were looked at, want more", len(seen))
	}
}

// Every rule, remedy and check that a page leads to is explained.
func TestCodesLeadToTheirMeaning(t *testing.T) {
	w := everyPage(t, 5)
	page := w.get("/rules").Body.String()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	def := rs.Definition()
	for i := range def.Rules {
		if !def.Rules[i].Withdrawn && !strings.Contains(page, `id="rule-`+def.Rules[i].ID+`"`) {
			t.Errorf("rule %s is not explained", def.Rules[i].ID)
		}
	}
	for id := range def.Checks {
		if !strings.Contains(page, `id="check-`+id+`"`) {
			t.Errorf("check %s is not explained", id)
		}
	}
	for id := range def.Remedies {
		if !strings.Contains(page, `id="remedy-`+id+`"`) {
			t.Errorf("remedy %s is not explained", id)
		}
	}
}

func TestPlanPageTakesQuestionsApart(t *testing.T) {
	w := everyPage(t, 20)
	for path, status := range map[string]int{
		"/plan": 200, "/plan?target=mars": 400, "/plan?wave=none": 400, "/plan?from=-1": 400, "/plan?verdict=fine": 400, "/plan?nonsense=1": 400,
	} {
		if rec := w.get(path); rec.Code != status || !strings.Contains(rec.Body.String(), "</html>") {
			t.Errorf("%s: status %d, want %d and a whole page", path, rec.Code, status)
		}
	}
	hostile := everyPage(t, len(reporttest.Hostile()))
	for _, path := range []string{"/plan?wave=ready", "/plan?wave=unknown", "/plan?owner=-", "/plan?owner=" + url.QueryEscape(`"><script>alert(1)</script>`)} {
		rec := hostile.get(path)
		body := rec.Body.String()
		for _, bad := range []string{"<script>", "<img", "\x1b", "\u202e", "\u009b", "\x00"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %q", path, bad)
			}
		}
		if rec.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, rec.Code)
		}
	}
}

// The page of an instance begins with what stands in the way: the worst verdict
// comes first, and all of them stand in one line above.
func TestTheWorstVerdictComesFirst(t *testing.T) {
	w := everyPage(t, 200)
	for _, r := range w.fleet.Records {
		if r.OS.Version != "5.8" { // boots on kvm alone
			continue
		}
		page := w.get("/instances/" + r.InstanceID).Body.String()
		_, cards, _ := strings.Cut(page, "Where it can move")
		bad, good := strings.Index(cards, "v-incompatible"), strings.Index(cards, "v-compatible")
		if bad < 0 || good < 0 || bad > good {
			t.Errorf("%s: incompatible at %d, compatible at %d", r.InstanceID, bad, good)
		}
		head, _, _ := strings.Cut(page, "Where it can move")
		for _, target := range reporttest.Targets() {
			if !strings.Contains(head, "<code>"+target+"</code>") {
				t.Errorf("%s does not stand above the cards", target)
			}
		}
		return
	}
	t.Fatal("no instance has CentOS 5.8")
}

// Texts of the rule set have no holes on the page of codes.
func TestCodesHaveNoHoles(t *testing.T) {
	if page := everyPage(t, 5).get("/rules").Body.String(); strings.Contains(page, "{to}") || !strings.Contains(page, "the release that a verdict names") {
		t.Error("the text of a remedy has a hole")
	}
}

// The foot of each page says of which day the knowledge of the rules is, and no more.
func TestFootSaysHowOldTheRulesAre(t *testing.T) {
	foot := regexp.MustCompile(`whose knowledge is of \d{4}-\d{2}-\d{2}[^.<]{0,20}\. The same as JSON`)
	w := everyPage(t, 5)
	for _, path := range w.pages(t) {
		if page := w.get(path).Body.String(); !foot.MatchString(page) {
			_, rest, _ := strings.Cut(page, "<footer>")
			t.Errorf("%s: %.300s", path, rest)
		}
	}
}
