package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// target is a collector.
type target struct {
	url           *url.URL
	headers       http.Header
	timeout       time.Duration
	gzip          bool
	ca, cert, key string // PEM files
}

// shown is the URL without what may be secret.
func (t *target) shown() string { return t.url.Redacted() }

func (t *target) setURL(endpoint string, whole bool) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The text is not shown: it may hold a password.
		return errors.New("the OTLP endpoint is not a URL such as http://127.0.0.1:4318")
	}
	if !whole {
		u = u.JoinPath("v1", "traces")
	}
	t.url = u
	return nil
}

// setHeaders reads "key=value,key=value", values percent-encoded as in W3C
// baggage. A mistake is told without the values, which are often keys.
func (t *target) setHeaders(variable, list string) error {
	t.headers = http.Header{}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || key == "" || err != nil || strings.ContainsAny(key+value, "\r\n") {
			return fmt.Errorf("%s is not a list of key=value, separated by commas", variable)
		}
		t.headers.Set(key, value)
	}
	return nil
}

// client sends spans as protobuf over HTTP. It stands in for
// otlptracehttp, which links gRPC for its messages: the body of
// ExportTraceServiceRequest is that of TracesData, byte for byte, since both
// hold repeated ResourceSpans as field 1.
type client struct {
	t       *target
	http    *http.Client
	stopped chan struct{}
}

func newClient(t *target) (*client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.ca != "" {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fmt.Errorf("tracing: certificate authority of the collector: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tracing: %s holds no PEM certificate", t.ca)
		}
	}
	if t.cert != "" || t.key != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fmt.Errorf("tracing: client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &client{
		t: t, stopped: make(chan struct{}),
		http: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
				MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
			},
			// A collector that sends us elsewhere would get the headers' keys there.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// abandon ends what is under way. It is called once.
func (c *client) abandon() {
	close(c.stopped)
	c.http.CloseIdleConnections()
}

// UploadTraces implements otlptrace.Client. A collector that asks for patience
// gets it, within the timeout.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	if c.t.gzip {
		if body, err = compressed(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.timeout)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-c.stopped:
			cancel()
		case <-done:
		}
	}()
	for wait := time.Second; ; wait *= 2 {
		again, err := c.post(ctx, body)
		if err == nil || again < 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(wait, again)):
		}
	}
}

func compressed(body []byte) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress spans: %w", err)
	}
	return b.Bytes(), nil
}

// post sends body once. again is how long to wait before the next attempt,
// negative where none is worth it.
func (c *client) post(ctx context.Context, body []byte) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.t.url.String(), bytes.NewReader(body))
	if err != nil {
		return -1, fmt.Errorf("ask the collector: %w", err)
	}
	maps.Copy(req.Header, c.t.headers)
	req.Header.Set("Content-Type", "application/x-protobuf")
	if c.t.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// The URL in the text of url.Error may hold a password.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return -1, fmt.Errorf("send spans: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), 60)) * time.Second, fmt.Errorf("send spans: the collector answered %s", resp.Status)
	}
	return -1, fmt.Errorf("send spans: the collector answered %s", resp.Status)
}
