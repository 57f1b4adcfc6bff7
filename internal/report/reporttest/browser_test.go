//go:build browser

package reporttest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A fault that shows in one view alone is found there, whatever the views before
// it have shown.
func TestBrowserLooksFindsWhatOneViewAloneShows(t *testing.T) {
	faults := map[string]struct{ style, body, finding string }{
		"contrast":              {`p { color: #888 }`, ``, "page-1440-light: color-contrast"},
		"contrast in the dark":  {`@media (prefers-color-scheme: dark) { p { background: #222 } }`, ``, "page-1440-dark: color-contrast"},
		"contrast on a tablet":  {`@media (max-width: 800px) and (min-width: 700px) { p { color: #888 } }`, ``, "page-768-light: color-contrast"},
		"contrast by telephone": {`@media (max-width: 500px) and (prefers-color-scheme: dark) { p { color: #888 } }`, ``, "page-390-dark: color-contrast"},
		"a link like its text":  {`@media (prefers-color-scheme: dark) { a { color: #222; text-decoration: none } }`, `<p>Some words <a href="#x">and a link</a> and more words.</p>`, "page-1440-dark: link-in-text-block"},
		"a field without label": {`input { display: none } @media (max-width: 500px) { input { display: block } }`, `<input>`, "page-390-dark: label"},
		"a part that scrolls":   {`div { display: flex; width: 700px; overflow: auto } i { flex: 0 0 750px } b { flex: 0 0 100px } @media (min-width: 1000px) { div { width: 1000px } } @media (max-width: 500px) { div { display: none } }`, `<div><i>near</i><b>far</b></div>`, "page-768-light: scrollable-region-focusable"},
		"too wide":              {`@media (min-width: 1000px) and (max-width: 1100px) { p { width: 1200px } }`, ``, "page-1024-dark is "},
		"too wide in the dark":  {`@media (prefers-color-scheme: dark) { p { width: 1921px } }`, ``, "page-1920-dark is "},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault := faults[r.URL.Query().Get("fault")]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><head><title>A page</title><meta name="viewport" content="width=device-width, initial-scale=1"><style>body { background: #fff; color: #000; margin: 0 }` +
			fault.style + `</style></head><body><main><h1>A page</h1><p>Words.</p>` + fault.body + `</main><footer></footer></body></html>`))
	}))
	t.Cleanup(srv.Close)
	b := NewBrowser(t)
	for name, fault := range faults {
		b.Open(t, srv.URL+"/?fault="+strings.ReplaceAll(name, " ", "+"), "footer")
		found := b.look(t, "page")
		if !strings.Contains(strings.Join(found, "\n"), fault.finding) {
			t.Errorf("%s: found %q, want %q", name, found, fault.finding)
		}
	}
	b.Open(t, srv.URL+"/?fault=none", "footer")
	if found := b.look(t, "page"); len(found) > 0 {
		t.Errorf("a sound page is faulted: %q", found)
	}
}
