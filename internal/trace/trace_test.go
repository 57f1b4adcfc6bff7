package trace_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/internal/trace/tracetest"
)

// What the machine is set up for is not what the tests say.
func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			_ = os.Unsetenv(name)
		}
	}
	proctest.Waits()
	goleak.VerifyTestMain(m)
}

// buffer is a log that may be written side by side.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func setenv(t *testing.T, kv ...string) {
	t.Helper()
	for i := 0; i < len(kv); i += 2 {
		t.Setenv(kv[i], kv[i+1])
	}
}

func collector(t *testing.T) *tracetest.Collector {
	t.Helper()
	c := tracetest.Start()
	t.Cleanup(c.Close)
	return c
}

// opening is held by whoever opens a tracer: the environment is read then, and
// never again.
var opening sync.Mutex

// open opens a tracer with variables of the environment that only it sees, names
// and values by turns, so that tests with several of them run side by side.
func open(t *testing.T, o trace.Options, environ ...string) *trace.Tracer {
	t.Helper()
	o.Service = "test"
	opening.Lock()
	defer opening.Unlock()
	for i := 0; i < len(environ); i += 2 {
		if err := os.Setenv(environ[i], environ[i+1]); err != nil { //nolint:usetesting // t.Setenv is not for tests that run side by side
			t.Fatal(err)
		}
		defer os.Unsetenv(environ[i])
	}
	tr, err := trace.Open(t.Context(), o)
	if err != nil || tr == nil {
		t.Fatalf("Open: %v, tracer %v", err, tr)
	}
	return tr
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestNothingIsSpentWhileTracingIsOff(t *testing.T) {
	var off *trace.Tracer
	ctx, region, failure := t.Context(), "cn-hangzhou", errors.New("x")
	if n := testing.AllocsPerRun(100, func() {
		ctx, span := off.Receive(ctx, trace.Header{}, trace.Consumer, "process", trace.Str("region", region))
		ctx, work := trace.Start(ctx, "classify", trace.Str("region", region), trace.Int("n", len(region)))
		ctx, call := trace.StartClient(ctx, "DescribeInstances", trace.Str("region", region), trace.Int("n", len(region)))
		_, sent := off.Begin(ctx, trace.Producer, "publish", trace.Str("region", region))
		if trace.Of(ctx) != (trace.Header{}) || trace.Current(ctx).Recording() {
			t.Error("there is a trace")
		}
		sent.End(nil)
		call.Set(trace.Str("code", "Throttling"))
		call.End(failure)
		work.Link(span)
		work.End(nil)
		span.End(failure)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	off.Close(t.Context())
	off.Close(t.Context())
}

func BenchmarkOff(b *testing.B) {
	ctx := b.Context()
	var off *trace.Tracer
	b.ReportAllocs()
	for b.Loop() {
		ctx, span := off.Receive(ctx, trace.Header{}, trace.Consumer, "process")
		_, work := trace.Start(ctx, "classify", trace.Int("n", 100))
		_ = trace.Of(ctx)
		work.End(nil)
		span.End(nil)
	}
}

func TestSpansArriveWithTheirParentsLinksAndAttributes(t *testing.T) {
	c := collector(t)
	tr := open(t, trace.Options{Endpoint: c.URL, Ratio: 1, Version: "v1"})
	ctx, root := tr.Begin(t.Context(), trace.Producer, "publish", trace.Str("shenscan.scan", "s-1"), trace.Str("empty", ""))
	header := trace.Of(ctx)
	other, second := tr.Begin(t.Context(), trace.Producer, "publish other")
	_, a := tr.Receive(t.Context(), header, trace.Consumer, "fold a")
	_, b := tr.Receive(t.Context(), trace.Of(other), trace.Consumer, "fold b")
	commitCtx, commit := trace.Join(t.Context(), "commit", []trace.Span{{}, a, b}, trace.Int("messages", 2))
	_, child := trace.Start(commitCtx, "sync", trace.Int("bytes", 7))
	child.End(errors.New("disk full " + strings.Repeat("x", 2000)))
	for _, s := range []trace.Span{commit, a, b, root, second} {
		s.End(nil)
	}
	tr.Close(t.Context())
	got := map[string]tracetest.Span{}
	for _, s := range c.Spans() {
		got[s.Name] = s
	}
	switch {
	case len(got) != 6:
		t.Fatalf("%d spans: %+v", len(got), got)
	case got["publish"].Service != "test" || got["publish"].Attrs["shenscan.scan"] != "s-1" || got["publish"].Parent != "":
		t.Errorf("root %+v", got["publish"])
	case got["fold a"].Parent != got["publish"].ID || got["fold b"].Parent != got["publish other"].ID:
		t.Errorf("folds %+v %+v", got["fold a"], got["fold b"])
	case got["commit"].Parent != got["fold a"].ID || got["commit"].Trace != got["publish"].Trace || got["commit"].Attrs["messages"] != "2":
		t.Errorf("commit %+v", got["commit"])
	case !slices.Equal(got["commit"].Links, []string{got["fold a"].ID, got["fold b"].ID}) || !slices.Contains(got["fold b"].Links, got["commit"].ID):
		t.Errorf("links %+v, %+v", got["commit"].Links, got["fold b"].Links)
	case !got["sync"].Failed || got["sync"].Attrs["bytes"] != "7" || got["sync"].Parent != got["commit"].ID:
		t.Errorf("child %+v", got["sync"])
	}
	if _, ok := got["publish"].Attrs["empty"]; ok {
		t.Error("an empty attribute was sent")
	}
}

func TestHostileTraceHeadersAreIgnored(t *testing.T) {
	c := collector(t)
	tr := open(t, trace.Options{Endpoint: c.URL, Ratio: 1})
	defer tr.Close(t.Context())
	good, _ := tr.Receive(t.Context(), trace.Header{Parent: parent, State: "vendor=1"}, trace.Server, "good")
	if h := trace.Of(good); !strings.HasPrefix(h.Parent, parent[:35]) || h.State != "vendor=1" {
		t.Fatalf("a good parent is not followed: %+v", h)
	}
	for name, h := range map[string]trace.Header{
		"empty":            {Parent: ""},
		"garbage":          {Parent: "garbage"},
		"zero_trace":       {Parent: "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		"zero_span":        {Parent: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		"version_ff":       {Parent: "ff" + parent[2:]},
		"upper_case":       {Parent: strings.ToUpper(parent)},
		"cut_short":        {Parent: parent[:54]},
		"longer_version_0": {Parent: parent + "-00"},
		"megabyte":         {Parent: parent + strings.Repeat("-a", 500_000)},
		"newline":          {Parent: parent[:54] + "\n"},
		"no_hex":           {Parent: strings.Replace(parent, "0af", "xyz", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tracer := range []*trace.Tracer{tr, nil} {
				ctx, span := tracer.Receive(t.Context(), h, trace.Server, name)
				if got := trace.Of(ctx); strings.Contains(got.Parent, "0af7651916cd43dd8448eb211c80319c") {
					t.Errorf("followed: %+v", got)
				}
				span.End(nil)
			}
		})
	}
	for name, state := range map[string]string{"huge": strings.Repeat("a=b,", 1000), "malformed": "a=b=c,,;\x00"} {
		ctx, _ := tr.Receive(t.Context(), trace.Header{Parent: parent, State: state}, trace.Server, name)
		if h := trace.Of(ctx); h.State != "" || h.Parent == "" {
			t.Errorf("%s tracestate is passed on: %+v", name, h)
		}
	}
}

func TestAProcessThatDoesNotTracePassesTheTraceOn(t *testing.T) {
	var off *trace.Tracer
	ctx, span := off.Receive(t.Context(), trace.Header{Parent: parent, State: "a=b"}, trace.Consumer, "process")
	if got := trace.Of(ctx); got.Parent != parent || got.State != "a=b" || span.Recording() {
		t.Errorf("%+v", got)
	}
}

func TestSamplingIsDecidedWhereATraceBegins(t *testing.T) {
	c := collector(t)
	never := open(t, trace.Options{Endpoint: c.URL, Ratio: 0})
	ctx, span := never.Begin(t.Context(), trace.Producer, "unsampled root")
	h := trace.Of(ctx)
	if span.Recording() || !strings.HasSuffix(h.Parent, "-00") {
		t.Errorf("recording %v, header %q: whoever follows must know that nobody records", span.Recording(), h.Parent)
	}
	always := open(t, trace.Options{Endpoint: c.URL, Ratio: 1})
	if _, span := always.Receive(t.Context(), h, trace.Consumer, "of an unsampled parent"); span.Recording() {
		t.Error("recorded below a parent that is not")
	}
	_, span = never.Receive(t.Context(), trace.Header{Parent: parent}, trace.Consumer, "of a sampled parent")
	span.End(nil)
	byEnv := open(t, trace.Options{Endpoint: c.URL, Ratio: -1})
	_, span = byEnv.Begin(t.Context(), trace.Server, "by default")
	span.End(nil)
	for _, tr := range []*trace.Tracer{never, always, byEnv} {
		tr.Close(t.Context())
	}
	var names []string
	for _, s := range c.Spans() {
		names = append(names, s.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"by default", "of a sampled parent"}) {
		t.Errorf("spans %q", names)
	}
}

func TestEnvironmentIsRead(t *testing.T) {
	c := collector(t)
	for name, tc := range map[string]struct {
		endpoint string
		env      []string
		off      bool
		path     string
		err      string
	}{
		"nothing":             {off: true},
		"flag":                {endpoint: c.URL, path: "/v1/traces"},
		"flag_with_path":      {endpoint: c.URL + "/otlp/", path: "/otlp/v1/traces"},
		"base":                {env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", c.URL}, path: "/v1/traces"},
		"traces_as_it_is":     {env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL + "/mine"}, path: "/mine"},
		"disabled":            {endpoint: c.URL, env: []string{"OTEL_SDK_DISABLED", "true"}, off: true},
		"exporter_none":       {env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", c.URL, "OTEL_TRACES_EXPORTER", "none"}, off: true},
		"protocol_grpc":       {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, err: "4318"},
		"no_url":              {endpoint: "secret@collector:4318", err: "not a URL"},
		"bad_timeout":         {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"}, err: "milliseconds"},
		"bad_headers":         {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_HEADERS", "secret"}, err: "key=value"},
		"header_splitting":    {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_HEADERS", "a=secret%0d%0aHost: x"}, err: "key=value"},
		"bad_compression":     {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"}, err: "gzip"},
		"no_such_ca":          {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent"}, err: "certificate authority"},
		"gzip_with_header":    {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Basic%20abc"}, path: "/v1/traces"},
		"userinfo_in_the_url": {endpoint: strings.Replace(c.URL, "//", "//me:secret@", 1), err: "OTEL_EXPORTER_OTLP_HEADERS"},
		"key_in_the_query":    {endpoint: c.URL + "?key=secret", err: "OTEL_EXPORTER_OTLP_HEADERS"},
		"flag_wins":           {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "://secret"}, path: "/v1/traces"},
		"traces_win":          {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_HEADERS", "secret", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b"}, path: "/v1/traces"},
		"insecure_is_grpc":    {env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", c.URL, "OTEL_EXPORTER_OTLP_INSECURE", "false"}, path: "/v1/traces"},
		"protocol_json":       {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}, path: "/v1/traces"},
		"empty_ca":            {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", os.DevNull}, err: "no PEM"},
		"certificate_alone":   {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", os.DevNull}, err: "belong together"},
		"bad_certificate":     {endpoint: c.URL, env: []string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", os.DevNull, "OTEL_EXPORTER_OTLP_CLIENT_KEY", os.DevNull}, err: "CLIENT_CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, tc.env...)
			before := c.Paths()
			var log buffer
			tr, err := trace.Open(t.Context(), trace.Options{
				Endpoint: tc.endpoint, Ratio: 1, Service: "test", Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil && strings.Contains(err.Error(), "secret") || strings.Contains(log.String(), "secret") {
				t.Errorf("a secret is shown: %v %s", err, log.String())
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil || (tr == nil) != tc.off {
				t.Fatalf("tracer %v, error %v", tr, err)
			}
			_, span := tr.Begin(t.Context(), trace.Internal, name)
			span.End(nil)
			tr.Close(t.Context())
			if got := c.Paths()[tc.path] - before[tc.path]; tc.path != "" && got != 1 {
				t.Errorf("%d requests to %s", got, tc.path)
			}
			if name == "gzip_with_header" && (c.Headers().Get("Authorization") != "Basic abc" || c.Headers().Get("Content-Encoding") != "gzip") {
				t.Errorf("headers %v", c.Headers())
			}
		})
	}
}

func TestACollectorThatAsksForPatienceGetsIt(t *testing.T) {
	t.Parallel()
	c := collector(t)
	c.Refuse(http.StatusServiceUnavailable)
	tr := open(t, trace.Options{Endpoint: c.URL, Ratio: 1})
	_, span := tr.Begin(t.Context(), trace.Internal, "once more")
	span.End(nil)
	tr.Close(t.Context())
	if n := len(c.Spans()); n != 1 {
		t.Errorf("%d spans arrived, want 1 after a repeat", n)
	}
}

func TestLostSpansAreCountedAndRedirectsNotFollowed(t *testing.T) {
	elsewhere := collector(t)
	for name, handler := range map[string]http.Handler{
		"refusing":    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
		"redirecting": http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect),
	} {
		srv := httptest.NewServer(handler)
		var log buffer
		tr := open(t, trace.Options{Endpoint: srv.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 3 {
			_, span := tr.Begin(t.Context(), trace.Internal, name)
			span.End(nil)
		}
		tr.Close(t.Context())
		srv.Close()
		if !strings.Contains(log.String(), "spans=3 of=3") || strings.Count(log.String(), "does not take spans") != 1 {
			t.Errorf("%s: log %s", name, log.String())
		}
	}
	if len(elsewhere.Paths()) != 0 {
		t.Error("a redirect was followed")
	}
}

// The client quotes what the collector answers, and reports what it cannot
// read of the environment to standard error by itself.
func TestNothingTheCollectorAnswersIsLogged(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("X-Key"), http.StatusForbidden)
		},
		"busy": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "3600")
			http.Error(w, r.Header.Get("X-Key"), http.StatusServiceUnavailable)
		},
		"busy_for_ever": func(w http.ResponseWriter, r *http.Request) { // the client waits, and Close does not
			w.Header().Set("Retry-After", "99999999999999999")
			http.Error(w, r.Header.Get("X-Key"), http.StatusServiceUnavailable)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := io.WriteString(w, r.Header.Get("X-Key")); err != nil {
					return
				}
			}
		},
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/?"+r.Header.Get("X-Key"), http.StatusTemporaryRedirect)
		},
		"partly": func(w http.ResponseWriter, r *http.Request) { answerPartly(w, 2, r.Header.Get("X-Key")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(answer)
			defer srv.Close()
			var log buffer
			tr := open(t, trace.Options{Endpoint: srv.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(&log, nil))}, "OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
			_, a := tr.Begin(t.Context(), trace.Internal, name)
			_, b := tr.Begin(t.Context(), trace.Internal, name)
			a.End(nil)
			b.End(nil)
			tr.Close(t.Context())
			if got := log.String(); strings.Contains(got, "secret") || !strings.Contains(got, "spans=2 of=2") {
				t.Errorf("log %s", got)
			}
		})
	}
}

func TestTheAuthorityOfTheCollectorIsTheOneNamed(t *testing.T) {
	var arrived atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{0, 1} {
		tr := open(t, trace.Options{Endpoint: srv.URL, Ratio: 1})
		_, span := tr.Begin(t.Context(), trace.Internal, "secured")
		span.End(nil)
		tr.Close(t.Context())
		if got := arrived.Load(); got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
		setenv(t, "OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	}
	if _, err := trace.Open(t.Context(), trace.Options{Endpoint: "http://127.0.0.1:4318"}); err == nil {
		t.Error("a certificate authority for plain http is no error")
	}
}

func answerPartly(w http.ResponseWriter, rejected int64, message string) {
	body, _ := proto.Marshal(&coltracepb.ExportTraceServiceResponse{
		PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: message},
	})
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(body)
}

func TestACollectorThatTakesAPartLosesTheRest(t *testing.T) {
	for name, tc := range map[string]struct {
		rejected int64
		want     string
	}{
		"all_taken":      {0, ""},
		"one_rejected":   {1, "spans=1 of=3"},
		"more_than_sent": {1 << 40, "spans=3 of=3"},
		"less_than_none": {-1, "spans=3 of=3"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				answerPartly(w, tc.rejected, "(0 spans rejected)")
			}))
			defer srv.Close()
			var log buffer
			tr := open(t, trace.Options{Endpoint: srv.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
			for range 3 {
				_, span := tr.Begin(t.Context(), trace.Internal, name)
				span.End(nil)
			}
			tr.Close(t.Context())
			if got := log.String(); !strings.Contains(got, tc.want) || strings.Contains(got, "not delivered") != (tc.want != "") {
				t.Errorf("log %s, want %q", got, tc.want)
			}
		})
	}
}

// A collector that takes the connection and never answers holds nobody up: not
// whoever ends spans, of which there are more than the queue holds, and not
// Close.
func TestASilentCollectorHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	var log buffer
	tr := open(t, trace.Options{
		Endpoint: srv.URL, Ratio: 1, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, "OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")
	for range 20_000 {
		_, span := tr.Begin(t.Context(), trace.Internal, "unheard")
		span.End(nil)
	}
	tr.Close(t.Context())
	if !strings.Contains(log.String(), "of=20000") || strings.Count(log.String(), "WARN") != 1 {
		t.Errorf("log %s", log.String())
	}
}

func TestLogLinesNameTheirTrace(t *testing.T) {
	c := collector(t)
	tr := open(t, trace.Options{Endpoint: c.URL, Ratio: 1})
	defer tr.Close(t.Context())
	var log buffer
	l := slog.New(trace.LogHandler(slog.NewTextHandler(&log, nil))).With("scan", "s-1")
	ctx, span := tr.Begin(t.Context(), trace.Internal, "work")
	defer span.End(nil)
	l.InfoContext(ctx, "inside")
	l.WithGroup("g").InfoContext(context.WithoutCancel(t.Context()), "outside", "k", 1)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if !strings.Contains(lines[0], "scan=s-1 trace_id="+strings.Split(trace.Of(ctx).Parent, "-")[1]+" span_id=") || strings.Contains(lines[1], "trace_id") || !strings.Contains(lines[1], "g.k=1") {
		t.Errorf("lines %q", lines)
	}
}
