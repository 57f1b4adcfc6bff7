package trace

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

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
}

// Tracer makes spans and sends them. The nil Tracer makes none. It is safe for
// concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	export   *exporter
	client   otlptrace.Client
	log      *slog.Logger
	closed   sync.Once
}

// Open returns a Tracer, or nil where options and the environment name no collector.
// It makes no connection: a collector that is away is no error.
func Open(ctx context.Context, options Options) (*Tracer, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	endpoint, err := target(options.Endpoint)
	if err != nil || endpoint == nil {
		return nil, err
	}
	if options.Ratio > 1 || options.Ratio != options.Ratio {
		return nil, fmt.Errorf("trace ratio is %v; it is a share from 0 to 1", options.Ratio)
	}
	described, err := describe(ctx, options)
	if err != nil {
		return nil, err
	}
	tracer := &Tracer{client: newClient(endpoint), log: options.Log}
	tracer.export = &exporter{Exporter: otlptrace.NewUnstarted(tracer.client), log: options.Log, endpoint: endpoint.String()}
	if err := tracer.export.Start(ctx); err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(described),
		sdktrace.WithSpanProcessor(counting{sdktrace.NewBatchSpanProcessor(tracer.export), &tracer.export.ended}),
	}
	switch {
	case options.Ratio >= 0:
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(options.Ratio))))
	case os.Getenv("OTEL_TRACES_SAMPLER") == "":
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	}
	tracer.provider = sdktrace.NewTracerProvider(opts...)
	tracer.tracer = tracer.provider.Tracer(scopeName)
	options.Log.Info("tracing is on", "endpoint", tracer.export.endpoint)
	return tracer, nil
}

// describe names the process. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// win.
func describe(ctx context.Context, options Options) (*resource.Resource, error) {
	host, _ := os.Hostname()
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", options.Service), attribute.String("service.version", options.Version),
			attribute.String("service.instance.id", host+"/"+strconv.Itoa(os.Getpid())),
		),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return described, nil
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
	t.export.failing.Store(true) // what fails from here on is counted below
	_ = t.client.Stop(ctx)       // ends what is still under way; its only error is that the time is over
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
func (c counting) OnEnd(readOnlySpan sdktrace.ReadOnlySpan) {
	if readOnlySpan.SpanContext().IsSampled() {
		c.ended.Add(1)
	}
	c.SpanProcessor.OnEnd(readOnlySpan)
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
	lost := rejected(err, len(spans))
	e.sent.Add(int64(len(spans) - lost))
	switch {
	case lost > 0 && !e.failing.Swap(true):
		e.log.Warn("the collector does not take spans; the pipeline goes on without", "endpoint", e.endpoint, "err", reason(err))
	case lost == 0 && e.failing.Swap(false):
		e.log.Info("the collector takes spans again", "endpoint", e.endpoint)
	}
	return nil
}
