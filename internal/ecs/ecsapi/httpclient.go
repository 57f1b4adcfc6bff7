package ecsapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxErrorBody bounds what is read of an answer that is an error.
const maxErrorBody = 64 << 10

// The ways in which an answer is not one.
var (
	errTooLarge    = errors.New("the answer is larger than the bound")
	errRedirect    = errors.New("the endpoint answered with a redirect, which is not followed")
	errContentType = errors.New("the answer is not declared as JSON")
	errCached      = errors.New("the answer comes out of a cache")
	errEmpty       = errors.New("the answer is empty")
)

// exchange is what one HTTP exchange left behind.
type exchange struct {
	status int
	header http.Header
	body   *bytes.Buffer // of a good answer; from bodies, given back by release
	failed []byte        // of an error answer
	err    error         // why there is no answer
}

// bodies are read buffers: a page of 100 instances is 300 KB.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// release gives the body back for use by another call. A rare giant is not kept.
func (x *exchange) release() {
	if x.body != nil && x.body.Cap() <= 1<<20 {
		x.body.Reset()
		bodies.Put(x.body)
	}
	x.body = nil
}

// httpClient is the HTTP client that everything is sent through.
type httpClient struct {
	client  *http.Client
	timeout time.Duration
	maxBody int64
	gzip    bool

	ahead  atomic.Int64 // of the cloud's clock, in nanoseconds
	lookAt atomic.Int64 // when the clock is next compared, Unix seconds
}

// clock compares this machine's clock with the Date of an answer, now and
// then.
func (c *httpClient) clock(header http.Header, now time.Time) {
	if now.Unix() < c.lookAt.Load() {
		return
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		c.ahead.Store(int64(now.Sub(date)))
		c.lookAt.Store(now.Unix() + 10)
	}
}

func (c *httpClient) skew() (time.Duration, bool) {
	return time.Duration(c.ahead.Load()).Round(time.Second), c.lookAt.Load() > 0
}

func newHTTPClient(options *Options, policy dialPolicy) (*httpClient, error) {
	tr, err := newTransport(options, policy)
	if err != nil {
		return nil, err
	}
	return &httpClient{
		client: &http.Client{
			Transport:     tr,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: options.Timeout, maxBody: options.MaxBody, gzip: options.Gzip,
	}, nil
}

func newTransport(options *Options, policy dialPolicy) (*http.Transport, error) {
	tlsConf := &tls.Config{MinVersion: tls.VersionTLS12}
	if options.CAFile != "" {
		pem, err := os.ReadFile(options.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s holds no PEM certificate", options.CAFile)
		}
		tlsConf.RootCAs = pool
	}
	proxy, proxyHosts, err := proxyFunc(options.Proxy)
	if err != nil {
		return nil, err
	}
	checked := &net.Dialer{Timeout: options.ConnectTimeout, KeepAlive: 30 * time.Second, ControlContext: policy.control}
	plain := &net.Dialer{Timeout: options.ConnectTimeout, KeepAlive: 30 * time.Second}
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if proxyHosts[addr] { // the user's own proxy may well have a private address
				return plain.DialContext(ctx, network, addr)
			}
			return checked.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        tlsConf,
		TLSHandshakeTimeout:    options.ConnectTimeout,
		MaxIdleConns:           2 * options.Concurrency,
		MaxIdleConnsPerHost:    options.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		ResponseHeaderTimeout:  options.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              http1,
		ReadBufferSize:         32 << 10,
	}, nil
}

// proxyFunc returns the proxy function for a configured proxy, or that of the
// environment, and the addresses of the proxies it may name.
func proxyFunc(configured string) (func(*http.Request) (*url.URL, error), map[string]bool, error) {
	hosts := map[string]bool{}
	note := func(raw string) (*url.URL, error) {
		if !strings.Contains(raw, "://") {
			raw = "http://" + raw
		}
		address, err := url.Parse(raw)
		if err != nil || address.Hostname() == "" {
			return nil, errors.New("the proxy is not a URL") // the error would quote its password
		}
		port := address.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080"}[address.Scheme]
			if port == "" {
				port = "80"
			}
		}
		hosts[net.JoinHostPort(address.Hostname(), port)] = true
		return address, nil
	}
	if configured != "" {
		address, err := note(configured)
		if err != nil {
			return nil, nil, err
		}
		return direct(http.ProxyURL(address)), hosts, nil
	}
	for _, env := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if raw := os.Getenv(env); raw != "" {
			if _, err := note(raw); err != nil {
				return nil, nil, fmt.Errorf("environment variable %s: %w", env, err)
			}
		}
	}
	return direct(http.ProxyFromEnvironment), hosts, nil
}

// direct keeps loopback endpoints away from the proxy.
func direct(f func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		if isLoopbackHost(r.URL.Hostname()) {
			return nil, nil
		}
		return f(r)
	}
}

func (c *httpClient) close() { c.client.CloseIdleConnections() }

// call sends a request within the time limit and reads the whole answer within the
// size limit into the exchange.
func (c *httpClient) call(req *http.Request, attempt *exchange) error {
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	attempt.err = c.exchange(req.WithContext(ctx), attempt)
	return attempt.err
}

func (c *httpClient) exchange(req *http.Request, attempt *exchange) error {
	if !c.gzip {
		req.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // its text holds the query
		}
		return err
	}
	defer resp.Body.Close()
	attempt.status, attempt.header = resp.StatusCode, resp.Header
	c.clock(resp.Header, time.Now())
	switch {
	case resp.StatusCode >= 400:
		attempt.failed, err = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err != nil {
			attempt.failed = nil
		}
		return statusError(resp.StatusCode)
	case resp.StatusCode >= 300:
		return errRedirect
	case resp.StatusCode != http.StatusOK:
		return statusError(resp.StatusCode)
	}
	if !isJSON(resp.Header.Get("Content-Type")) {
		return fmt.Errorf("%w but as %q", errContentType, clip(resp.Header.Get("Content-Type"), 60))
	}
	// Only a cache says how old an answer is: it tells how things were, and not how they are.
	if age, err := strconv.ParseInt(resp.Header.Get("Age"), 10, 64); err == nil && age > 0 {
		return fmt.Errorf("%w, where it has been for %d seconds", errCached, age)
	}
	if resp.ContentLength > c.maxBody {
		return fmt.Errorf("%w of %d bytes", errTooLarge, c.maxBody)
	}
	return c.read(resp, attempt)
}

func (c *httpClient) read(resp *http.Response, exchange *exchange) error {
	room := 64 << 10 // of an answer of unknown length
	if n := resp.ContentLength; n > 0 {
		room = int(n) + bytes.MinRead + padding
	}
	body := bodies.Get().(*bytes.Buffer)
	body.Grow(room)
	n, err := body.ReadFrom(io.LimitReader(resp.Body, c.maxBody+1))
	switch exchange.body = body; {
	case err == nil && n > c.maxBody:
		err = fmt.Errorf("%w of %d bytes", errTooLarge, c.maxBody)
	case err == nil && n == 0:
		err = errEmpty
	}
	if err != nil {
		exchange.release()
	}
	return err
}

func isJSON(contentType string) bool {
	switch contentType {
	case "application/json;charset=utf-8", "application/json": // what the API sends
		return true
	}
	mt, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mt == "application/json" || mt == "text/json")
}

// statusError is an HTTP status that is not 200.
type statusError int

func (s statusError) Error() string {
	return "HTTP status " + strconv.Itoa(int(s)) + " " + http.StatusText(int(s))
}
