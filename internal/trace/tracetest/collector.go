// Package tracetest is an OTLP collector for tests: it takes spans as protobuf
// over HTTP and shows them. It keeps everything in memory and forgets nothing.
package tracetest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as the collector got it.
type Span struct {
	Service, Name     string
	Trace, ID, Parent string   // hexadecimal
	Links             []string // ids of the linked spans
	Attrs             map[string]string
	Failed            bool
}

// Collector is an OTLP collector.
type Collector struct {
	URL string

	server  *httptest.Server
	mu      sync.Mutex
	spans   []Span
	headers http.Header
	paths   map[string]int
	refuse  []int // statuses of the next answers
}

// Start starts a collector on a loopback port.
func Start() *Collector {
	collector := &Collector{paths: map[string]int{}}
	collector.server = httptest.NewServer(collector)
	collector.URL = collector.server.URL
	return collector
}

// Close stops it.
func (c *Collector) Close() { c.server.Close() }

// Refuse makes the next answers have these statuses.
func (c *Collector) Refuse(status ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = status
}

// Spans returns what has arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Headers are those of the last request.
func (c *Collector) Headers() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Clone()
}

// Paths counts the requests by path.
func (c *Collector) Paths() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.paths)
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spans, err := decode(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header.Clone()
	c.paths[r.URL.Path]++
	if len(c.refuse) > 0 {
		w.WriteHeader(c.refuse[0])
		c.refuse = c.refuse[1:]
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.spans = append(c.spans, spans...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func decode(r *http.Request) ([]Span, error) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, fmt.Errorf("%s of %q is not OTLP over HTTP", r.Method, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("compressed spans: %w", err)
		}
		body = reader
	}
	raw, err := io.ReadAll(io.LimitReader(body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("read spans: %w", err)
	}
	var data tracepb.TracesData // the same bytes as ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("decode spans: %w", err)
	}
	var out []Span
	for _, rs := range data.GetResourceSpans() {
		service := ""
		for _, kv := range rs.GetResource().GetAttributes() {
			if kv.GetKey() == "service.name" {
				service = kv.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				out = append(out, span(service, s))
			}
		}
	}
	return out, nil
}

func span(service string, sent *tracepb.Span) Span {
	out := Span{
		Service: service, Name: sent.GetName(), Attrs: map[string]string{},
		Trace: hex.EncodeToString(sent.GetTraceId()), ID: hex.EncodeToString(sent.GetSpanId()), Parent: hex.EncodeToString(sent.GetParentSpanId()),
		Failed: sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
	}
	for _, l := range sent.GetLinks() {
		out.Links = append(out.Links, hex.EncodeToString(l.GetSpanId()))
	}
	for _, kv := range sent.GetAttributes() {
		anyValue := kv.GetValue()
		out.Attrs[kv.GetKey()] = anyValue.GetStringValue()
		if anyValue.GetStringValue() == "" {
			out.Attrs[kv.GetKey()] = fmt.Sprint(anyValue.GetIntValue())
		}
	}
	return out
}
