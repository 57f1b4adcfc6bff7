package httpapi_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// spoken is a world whose pages speak all languages.
func spoken(t *testing.T, n int) *world {
	t.Helper()
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	w = newWorld(t, n, func(o *httpapi.Options) {
		o.Answers, o.Rules, o.Languages = &later{&w}, rs.Definition, lang.Languages()
	})
	for i, days := range []int{-30, -7, 0} { // a burn-down with something to say
		moves := record.Moves{Closed: i * n / 20, Opened: i, Came: i, Went: i, ClosedByRules: i, OpenedByRules: i + 1}
		w.store.Burndown = append(w.store.Burndown, point(uint64(i+1), reporttest.Now().AddDate(0, 0, days), n/2-moves.Net(), moves))
	}
	return w
}

func (w *world) ask(path string, head ...string) *http.Response {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(head); i += 2 {
		req.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	return rec.Result()
}

func TestThePageSpeaksTheLanguageThatIsAskedFor(t *testing.T) {
	w := spoken(t, 20)
	const chinese = "zh-CN,zh;q=0.9"
	for name, c := range map[string]struct {
		path string
		head []string
		want string
		set  string
	}{
		"nothing is asked for":      {"/", nil, "en", ""},
		"the browser's wish":        {"/", []string{"Accept-Language", chinese}, "zh-CN", ""},
		"a wish that nobody speaks": {"/", []string{"Accept-Language", "fr"}, "en", ""},
		"the address":               {"/?lang=zh", nil, "zh-CN", "zh"},
		"the address over the wish": {"/scans?lang=en", []string{"Accept-Language", chinese}, "en", "en"},
		"the cookie over the wish":  {"/rules", []string{"Cookie", "shenscan_lang=en", "Accept-Language", chinese}, "en", ""},
		"a cookie of nonsense":      {"/instances", []string{"Cookie", "shenscan_lang=xx", "Accept-Language", chinese}, "zh-CN", ""},
		"an error":                  {"/no-such-page", []string{"Accept-Language", chinese}, "zh-CN", ""},
	} {
		t.Run(name, func(t *testing.T) {
			res := w.ask(c.path, c.head...)
			body := bodyOf(t, res)
			if !strings.Contains(body, `<html lang="`+c.want+`">`) {
				t.Errorf("the page begins %.80q, want language %s", body, c.want)
			}
			if res.Header.Get("Vary") != "Accept-Language, Cookie" {
				t.Errorf("Vary is %q", res.Header.Get("Vary"))
			}
			set := ""
			for _, k := range res.Cookies() {
				if set = k.Value; k.Name != "shenscan_lang" || !k.HttpOnly || k.SameSite != http.SameSiteLaxMode {
					t.Errorf("the cookie is %v", k)
				}
			}
			if set != c.set {
				t.Errorf("the cookie is %q, want %q", set, c.set)
			}
			if other := map[string]string{"en": "中文", "zh-CN": "English"}[c.want]; !strings.Contains(body, ">"+other+"</a>") {
				t.Errorf("nothing leads to %s", other)
			}
		})
	}
	if res := w.ask("/?lang=zz"); res.StatusCode != http.StatusBadRequest || !strings.Contains(html.UnescapeString(bodyOf(t, res)), `unknown language "zz": use en or zh`) {
		t.Errorf("a language that nobody speaks is answered with %d", res.StatusCode)
	}
	// The choice does not get in the way of filters.
	if res := w.ask("/instances?lang=zh&verdict=incompatible&limit=5"); res.StatusCode != http.StatusOK {
		t.Errorf("a filter with a language is answered with %d", res.StatusCode)
	}
}

// What programs read is the same in every language, byte for byte.
func TestWhatProgramsReadSpeaksNoLanguage(t *testing.T) {
	w := spoken(t, 60)
	id := w.fleet.Records[0].InstanceID
	paths := []string{
		"/api/v1/summary", "/api/v1/instances?limit=20", "/api/v1/instances/" + id, "/api/v1/instances.csv", "/api/v1/scans", "/api/v1/scans/" + w.fleet.Scan.ID, "/api/v1/outcomes", "/api/v1/trend",
		"/api/v1/changes?since=7d", "/api/v1/plan", "/api/v1/remedies", "/api/v1/progress", "/api/v1/probe", "/api/v1/start-groups", "/api/v1/explain/" + id,
		"/api/v1/openapi.json", "/api/v1/schema/record.v1.json", "/metrics", "/healthz", "/readyz", "/api/v1/nothing",
	}
	noneMissing(t, httpapi.APIPatterns(everything()), slices.Values(paths))
	for _, path := range paths {
		english, chinese := w.ask(path), w.ask(path, "Accept-Language", "zh-CN", "Cookie", "shenscan_lang=zh")
		if a, b := bodyOf(t, english), bodyOf(t, chinese); a != b || english.StatusCode != chinese.StatusCode {
			t.Errorf("%s: Chinese changes the answer:\n%.300s\n%.300s", path, a, b)
		}
		if chinese.Header.Get("Content-Language") != "" || len(chinese.Cookies()) > 0 {
			t.Errorf("%s: the headers know a language", path)
		}
	}
	if res := w.ask("/api/v1/summary?lang=zh"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("the API takes a language: status %d", res.StatusCode)
	}
}

func TestNoEnglishIsLeftOverInTheChinesePage(t *testing.T) {
	t.Parallel()
	w := spoken(t, 400)
	rec := w.fleet.Records[0]
	for _, r := range w.fleet.Records {
		if len(r.Conflicts) > 0 {
			rec = r
			break
		}
	}
	// Beside what the fleet brings along: the scan that runs, the instance that changed,
	// and the source of a system, a code as in JSON, with its call.
	data := append(w.fleet.Words(), "20261123T012900Z-running", "i-1", "image DescribeImages")
	for _, path := range append(w.pages(t), "/instances/"+rec.InstanceID, "/plan", "/plan?wave=repair", "/nowhere") {
		if path == "/rules" {
			continue // it names systems, files and commands: see below
		}
		t.Run(path, func(t *testing.T) {
			for _, left := range reporttest.English(bodyOf(t, w.ask(path, "Accept-Language", "zh")), data...) {
				t.Error(left)
			}
		})
	}
}

func bodyOf(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The page of rules names hundreds of systems, files and commands; a sentence of
// English is what has several small words and nothing Chinese.
func TestNoEnglishSentenceIsLeftOverInTheChinesePageOfRules(t *testing.T) {
	han, small := regexp.MustCompile(`\p{Han}`), regexp.MustCompile(`(?:^| )[a-z][a-z']+`)
	page := reporttest.Texts(bodyOf(t, spoken(t, 5).ask("/rules", "Accept-Language", "zh")))
	n := 0
	for _, s := range page {
		if n++; !han.MatchString(s) && len(small.FindAllString(s, -1)) > 1 {
			t.Errorf("%q is not Chinese", s)
		}
	}
	if n < 2000 {
		t.Errorf("only %d texts were looked at", n)
	}
}
