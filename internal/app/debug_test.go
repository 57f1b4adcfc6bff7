package app_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/app"
)

func TestDebugListenerIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.com:0", "127.0.0.1"} {
		o := options(t)
		o.Debug.Listen = listen
		a, err := app.New(t.Context(), o)
		if a != nil {
			a.Close()
		}
		if wrong := (*app.ConfigError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "--debug-listen") {
			t.Errorf("%s: %v", listen, err)
		}
	}
	if a := serve(t, options(t)); a.Debugging() != "" {
		t.Errorf("nobody asked for %s", a.Debugging())
	}
}

func TestDebugListenerShowsProfilesAndSetsTheLogLevel(t *testing.T) {
	t.Parallel()
	o := options(t)
	level := &slog.LevelVar{}
	level.Set(slog.LevelWarn)
	o.Debug = app.DebugOptions{Listen: "127.0.0.1:0", Level: level}
	a := serve(t, o)
	ask := func(method, path, body string, change func(*http.Request)) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, a.Debugging()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(req)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(answer))
	}
	if status, answer := ask("GET", "/debug/pprof/goroutine?debug=1", "", nil); status != 200 || !strings.Contains(answer, "goroutine profile") {
		t.Errorf("goroutines: %d %.80s", status, answer)
	}
	if status, answer := ask("GET", "/log-level", "", nil); status != 200 || answer != "warn" {
		t.Errorf("level: %d %s", status, answer)
	}
	for _, c := range []struct {
		body   string
		change func(*http.Request)
		status int
		level  slog.Level
	}{
		{"loud", nil, 400, slog.LevelWarn},
		{"debug", func(r *http.Request) { r.Host = "rebound.example.com" }, 403, slog.LevelWarn},
		{"debug", func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }, 403, slog.LevelWarn},
		{"debug", nil, 200, slog.LevelDebug},
		{"info\n", nil, 200, slog.LevelInfo},
	} {
		if status, answer := ask("PUT", "/log-level", c.body, c.change); status != c.status || level.Level() != c.level {
			t.Errorf("%q: %d %s, level %s; want %d and %s", c.body, status, answer, level.Level(), c.status, c.level)
		}
	}
}
