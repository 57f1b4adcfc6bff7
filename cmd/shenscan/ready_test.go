package main_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestReadyIsTheHealthCheckOfAContainer asks processes that are ready, not ready
// and not there.
func TestReadyIsTheHealthCheckOfAContainer(t *testing.T) {
	t.Parallel()
	why := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("%s was asked for", r.URL.Path)
		}
		if why != "" {
			http.Error(w, why, http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 0 || r.stdout+r.stderr != "" {
		t.Errorf("ready: exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	why = "the stream SHENSCAN_PAGES is missing"
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 1 || !strings.Contains(r.stderr, why) {
		t.Errorf("not ready: exit %d: %s", r.code, r.stderr)
	}
	s.Close()
	if r := run(t, env(), "ready", "--server", s.URL); r.code != 1 || strings.TrimSpace(r.stderr) == "" {
		t.Errorf("not there: exit %d: %s", r.code, r.stderr)
	}
	if r := run(t, env(), "ready", "--server", "10470"); r.code != 2 {
		t.Errorf("no address: exit %d: %s", r.code, r.stderr)
	}
}
