package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestReadyIsTheHealthCheckOfAContainer asks processes that are ready, not ready
// and not there.
func TestReadyIsTheHealthCheckOfAContainer(t *testing.T) {
	t.Parallel()
	why, ready := "", "ok\n"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("%s was asked for", r.URL.Path)
		}
		if why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, ready)
	}))
	defer s.Close()
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 0 || r.stdout+r.stderr != "" {
		t.Errorf("ready: exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	ready = `{"status":"ready"}`
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 0 || r.stdout+r.stderr != "" {
		t.Errorf("ready, with a store: exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	for _, other := range []string{"", "<html>Log in</html>", `{"status":"starting"}`, "[]"} {
		ready = other
		if r := run(t, env(), "ready", "--server", s.URL); r.code != 1 || !strings.Contains(r.stderr, "does not say whether it is ready") {
			t.Errorf("another process, which answers %q: exit %d: %s", other, r.code, r.stderr)
		}
	}
	why = "the stream SHENSCAN_PAGES is missing"
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 1 || !strings.Contains(r.stderr, why) {
		t.Errorf("not ready: exit %d: %s", r.code, r.stderr)
	}
	ready, why = "ok\n", ""
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, s.URL+"/readyz", http.StatusFound)
	}))
	defer door.Close()
	if r := run(t, env(), "ready", "--server", door.URL); r.code != 1 || !strings.Contains(r.stderr, "sends elsewhere") {
		t.Errorf("what stands before another process: exit %d: %s", r.code, r.stderr)
	}
	s.Close()
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 1 || strings.TrimSpace(r.stderr) == "" {
		t.Errorf("not there: exit %d: %s", r.code, r.stderr)
	}
	if r := run(t, env(), "ready", "--server", "10470"); r.code != 2 {
		t.Errorf("no address: exit %d: %s", r.code, r.stderr)
	}
}
