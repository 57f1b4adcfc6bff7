package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Options say where spans go. The OTEL_* variables of the OpenTelemetry
// specification say what Options leave open.
type Options struct {
	// Endpoint is the base URL of an OTLP collector that takes protobuf over
	// HTTP (http://127.0.0.1:4318); /v1/traces is added. Where it is "" and no
	// OTEL_EXPORTER_OTLP_ENDPOINT is set either, tracing is off.
	Endpoint string
	// Ratio of the traces that begin here and are recorded, from 0 to 1. Where
	// a trace began elsewhere, that place has decided. Below 0 the variable
	// OTEL_TRACES_SAMPLER decides, and all are recorded without it.
	Ratio float64
	// Service and Version name this process in its spans.
	Service, Version string
	Log              *slog.Logger
	Getenv           func(string) string // nil reads no variables
}

// Tracer makes spans and sends them. The nil Tracer makes none. It is safe for
// concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	export   *exporter
	client   *client
	log      *slog.Logger
	closed   sync.Once
}

// Open returns a Tracer, or nil where o and the environment name no collector.
// It makes no connection: a collector that is away is no error.
func Open(ctx context.Context, o Options) (*Tracer, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	env := environment{o.Getenv}
	target, err := env.target(o.Endpoint)
	if err != nil || target == nil {
		return nil, err
	}
	if o.Ratio > 1 || o.Ratio != o.Ratio {
		return nil, fmt.Errorf("trace ratio is %v; it is a share from 0 to 1", o.Ratio)
	}
	c, err := newClient(target)
	if err != nil {
		return nil, err
	}
	described, err := describe(ctx, o)
	if err != nil {
		return nil, err
	}
	t := &Tracer{client: c, log: o.Log}
	t.export = &exporter{Exporter: otlptrace.NewUnstarted(c), log: o.Log, endpoint: target.shown()}
	if err := t.export.Start(ctx); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(described),
		sdktrace.WithSpanProcessor(counting{sdktrace.NewBatchSpanProcessor(t.export), &t.export.ended}),
	}
	switch {
	case o.Ratio >= 0:
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Ratio))))
	case o.Getenv("OTEL_TRACES_SAMPLER") == "":
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	}
	t.provider = sdktrace.NewTracerProvider(opts...)
	t.tracer = t.provider.Tracer(scopeName)
	o.Log.Info("tracing is on", "endpoint", target.shown())
	return t, nil
}

// describe names the process. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// win.
func describe(ctx context.Context, o Options) (*resource.Resource, error) {
	host, _ := os.Hostname()
	r, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", o.Service), attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", host+"/"+strconv.Itoa(os.Getpid())),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return r, nil
}

// Close sends what is left and stops. It waits three seconds at most: spans of
// a collector that does not answer are given up. It is safe to call twice, and on nil.
func (t *Tracer) Close(ctx context.Context) {
	if t != nil {
		t.closed.Do(func() { t.flush(ctx) })
	}
}

func (t *Tracer) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	t.client.abandon()
	if lost := t.export.ended.Load() - t.export.sent.Load(); lost > 0 {
		t.log.Warn("spans were not delivered", "spans", lost, "of", t.export.ended.Load(), "err", err)
	}
}

// counting counts the spans that ended, so that Close can say how many got
// lost: the batcher drops what it has no room for without a word.
type counting struct {
	sdktrace.SpanProcessor
	ended *atomic.Int64
}

// OnEnd implements sdktrace.SpanProcessor.
func (c counting) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		c.ended.Add(1)
	}
	c.SpanProcessor.OnEnd(s)
}

// exporter keeps failures to itself: the first of a row of them is logged, and
// nobody waits or fails.
type exporter struct {
	*otlptrace.Exporter
	log         *slog.Logger
	endpoint    string
	failing     atomic.Bool
	ended, sent atomic.Int64
}

// ExportSpans implements sdktrace.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	switch {
	case err == nil:
		e.sent.Add(int64(len(spans)))
		if e.failing.Swap(false) {
			e.log.Info("the collector takes spans again", "endpoint", e.endpoint)
		}
	case !e.failing.Swap(true):
		e.log.Warn("the collector does not take spans; the pipeline goes on without", "endpoint", e.endpoint, "err", err)
	}
	return nil
}

// environment reads the OTEL_* variables.
type environment struct{ get func(string) string }

// otlp returns the variable for traces, else the one for all signals.
func (e environment) otlp(name string) (value, variable string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if v := strings.TrimSpace(e.get(variable)); v != "" {
			return v, variable
		}
	}
	return "", "OTEL_EXPORTER_OTLP_" + name
}

// target says where spans go, nil for nowhere.
func (e environment) target(endpoint string) (*target, error) {
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	whole := false // the URL is that of the traces themselves
	if endpoint == "" {
		var variable string
		endpoint, variable = e.otlp("ENDPOINT")
		whole = variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
		exporters := strings.Split(strings.ReplaceAll(e.get("OTEL_TRACES_EXPORTER"), " ", ""), ",")
		if endpoint == "" || slices.Contains(exporters, "none") {
			return nil, nil
		}
	}
	var errs []error
	t := &target{timeout: 10 * time.Second}
	keep := func(err error) { errs = append(errs, err) }
	keep(t.setURL(endpoint, whole))
	if v, name := e.otlp("PROTOCOL"); v != "" && v != "http/protobuf" {
		keep(fmt.Errorf("%s is %q; shenscan speaks http/protobuf, usually on port 4318", name, v))
	}
	if v, name := e.otlp("HEADERS"); v != "" {
		keep(t.setHeaders(name, v))
	}
	if v, name := e.otlp("TIMEOUT"); v != "" {
		ms, err := strconv.Atoi(v)
		if err != nil || ms <= 0 {
			keep(fmt.Errorf("%s is %q; it is a number of milliseconds", name, v))
		}
		t.timeout = time.Duration(ms) * time.Millisecond
	}
	switch v, name := e.otlp("COMPRESSION"); v {
	case "", "none":
	case "gzip":
		t.gzip = true
	default:
		keep(fmt.Errorf("%s is %q; it is gzip or none", name, v))
	}
	t.ca, _ = e.otlp("CERTIFICATE")
	t.cert, _ = e.otlp("CLIENT_CERTIFICATE")
	t.key, _ = e.otlp("CLIENT_KEY")
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return t, nil
}
