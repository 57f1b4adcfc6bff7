package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/trace"
)

// Client talks to ECS and STS for any number of accounts and regions. It is
// safe for concurrent use. Close frees its idle connections.
type Client struct {
	o        Options
	http     *httpClient
	fixed    *endpoint // Options.Endpoint
	sts      endpoint
	limits   *limiter
	circuits *kept[circuitKey, *circuit]
	signers  *kept[endpoint, *signer]
	accounts atomic.Pointer[AccountSet]
	// throttled holds the headers of the last answer that was throttled.
	throttled atomic.Pointer[http.Header]
	// fewAgents says that a server does not take ecs.MaxAgents ids at once.
	fewAgents atomic.Bool
	offers    offers

	mu        sync.Mutex
	endpoints map[ecs.Scope]string // hosts that DescribeRegions or the SDK named
	regions   map[string]bool      // that DescribeRegions named
}

var _ ecs.API = (*Client)(nil)

// New checks the options, the CA file, the proxy and the environment and
// returns a client. It makes no call.
func New(options Options) (*Client, error) {
	if err := checkDebug(); err != nil {
		return nil, err
	}
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("ecs options: %w", err)
	}
	options.fill()
	client := &Client{
		o:         options,
		endpoints: map[ecs.Scope]string{}, regions: map[string]bool{},
	}
	client.limits = newLimiter(&client.o)
	client.circuits = keep(func(circuitKey) *circuit { return &circuit{after: options.CircuitAfter, pause: options.CircuitPause} })
	client.signers = keep(func(ep endpoint) *signer { return newSigner(client.http, ep, options.UserAgent) })
	policy := dialPolicy{private: options.VPC, fakeIP: options.FakeIP}
	var err error
	sts := "sts.aliyuncs.com"
	if options.VPC { // reached without the Internet
		sts = "sts-vpc." + options.HomeRegion + ".aliyuncs.com"
	}
	if client.sts, err = client.serviceEndpoint(options.STSEndpoint, sts); err != nil {
		return nil, err
	}
	if options.Endpoint != "" {
		ep, err := parseEndpoint(options.Endpoint)
		if err != nil {
			return nil, fmt.Errorf("endpoint: %w", err)
		}
		client.fixed, policy.loopback = &ep, ep.loopback
	}
	policy.loopback = policy.loopback || client.sts.loopback
	if client.http, err = newHTTPClient(&client.o, policy); err != nil {
		return nil, err
	}
	client.accounts.Store(firstAccounts(client))
	return client, nil
}

// Close closes idle connections. Calls in flight are not touched: cancel
// their contexts.
func (c *Client) Close() { c.http.close() }

// ClockSkew returns how far this machine's clock is ahead of the cloud's (to a
// second or so), and false before the first answer.
func (c *Client) ClockSkew() (time.Duration, bool) { return c.http.skew() }

// serviceEndpoint picks the endpoint of a service that is not ECS. A simulator
// on loopback serves them all; a host of ECS knows none of the others.
func (c *Client) serviceEndpoint(configured, def string) (endpoint, error) {
	switch {
	case configured != "":
		def = configured
	case c.o.Endpoint != "":
		if ep, err := parseEndpoint(c.o.Endpoint); err != nil || ep.loopback {
			return ep, err
		}
	}
	return parseEndpoint(def)
}

// endpointOf returns where a scope's ECS is: the configured endpoint, or what
// DescribeRegions named, or what the SDK knows.
func (c *Client) endpointOf(scope ecs.Scope) (endpoint, error) {
	if c.fixed != nil {
		return *c.fixed, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	host := c.endpoints[scope]
	if host == "" {
		var err error
		if host, err = sdkEndpoint(scope.Region, c.o.VPC); err != nil {
			return endpoint{}, err
		}
		if len(c.endpoints) < maxEndpoints {
			c.endpoints[scope] = host
		}
	}
	if !cloudHost(host, c.o.AllowHosts) {
		return endpoint{}, fmt.Errorf("the endpoint %q of region %s is not a host of Alibaba Cloud", clip(host, 60), scope.Region)
	}
	return endpoint{host: host}, nil
}

// maxEndpoints bounds what is remembered of scopes that a message named.
const maxEndpoints = 10000

// call is one call with its retries.
type call struct {
	c      *Client
	scope  ecs.Scope
	ring   *keyring
	signer *signer
	req    *request
	decode func(body []byte) error // an error means that the answer is none

	started    time.Time
	bo         *backoff.ExponentialBackOff
	attempts   int
	bad        int
	throttles  int
	refreshed  bool
	sincePause time.Time
	queued     time.Duration // spent waiting for the limiter
}

// maxBadAnswers bounds how often a call is made whose answers are unreadable: on
// a bad line several in a row are cut short, and one given up fails its lane.
const maxBadAnswers = 5

// asidePart is which part of the time that a call bears being throttled one bears that only
// gathers evidence: several such follow each other while a scan makes no progress. It is
// longer than the minute that quotas are counted in.
const asidePart = 4

// ask calls an ECS action in a scope, at its endpoint and with the keys of its account,
// and returns what decode makes of the answer. An error of decode means that it is none.
func ask[T any](ctx context.Context, c *Client, scope ecs.Scope, req *request, decode func(body []byte) (T, error)) (T, error) {
	var none T
	if !regionID.MatchString(scope.Region) { // names come with messages, too
		return none, badRequest(req.action, scope, errors.New("that is no region id"))
	}
	ring, err := c.accounts.Load().ring(ctx, scope.Account)
	if err != nil {
		return none, err
	}
	ep, err := c.endpointOf(scope)
	if err != nil {
		return none, badRequest(req.action, scope, err)
	}
	return askAt(ctx, c, ep, ring, scope, req, decode)
}

// askAt is ask at an endpoint and with keys of one's own choice.
func askAt[T any](ctx context.Context, c *Client, ep endpoint, ring *keyring, scope ecs.Scope, req *request, decode func(body []byte) (T, error)) (T, error) {
	var out, none T
	err := c.at(ctx, ep, call{scope: scope, ring: ring, req: req, decode: func(body []byte) (err error) {
		out, err = decode(body)
		return err
	}})
	if err != nil {
		return none, err
	}
	return out, nil
}

// asItIs reads an answer that is a T.
func asItIs[T any](body []byte) (answer T, err error) {
	err = unmarshal(body, &answer)
	return answer, err
}

// decoding reads an answer that is a W and what read makes of it.
func decoding[W, T any](read func(*W) (T, error)) func(body []byte) (T, error) {
	return decodingRest(func(answer *W, _ present) (T, error) { return read(answer) })
}

// decodingRest is decoding for a read that looks at the other members of the answer, too.
func decodingRest[W, T any](read func(*W, present) (T, error)) func(body []byte) (T, error) {
	return func(body []byte) (T, error) {
		var answer W
		rest, err := unmarshalRest(body, &answer)
		if err != nil {
			var none T
			return none, err
		}
		return read(&answer, rest)
	}
}

// badRequest is a call that is not made because it makes no sense.
func badRequest(action string, scope ecs.Scope, err error) error {
	return &ecs.Error{Action: action, Scope: scope, Class: ecs.BadRequest, Err: err}
}

// notBelieved is an answer that contradicts the question or itself; mend says what does
// without it.
func notBelieved(action string, scope ecs.Scope, requestID, mend, format string, args ...any) *ecs.Error {
	return &ecs.Error{
		Action: action, Scope: scope, Class: ecs.Contradicted, RequestID: clip(requestID, 64), Err: fmt.Errorf(format, args...),
		Mend: mend + "; if it stays so, show it to the cloud's support",
	}
}

// at runs a call at an endpoint.
func (c *Client) at(ctx context.Context, ep endpoint, call call) error {
	cb := c.circuits.get(circuitKey{call.scope, call.req.aside})
	if last := cb.allow(time.Now()); last != nil {
		return &ecs.Error{Action: call.req.action, Scope: call.scope, Class: ecs.ClassOf(last), Err: fmt.Errorf("%w, the last: %w", ErrGivenUp, last)}
	}
	call.c, call.signer, call.started = c, c.signers.get(ep), time.Now()
	// Full jitter: anything up to the interval, which doubles.
	call.bo = &backoff.ExponentialBackOff{InitialInterval: c.o.BackoffBase / 2, MaxInterval: c.o.BackoffMax / 2, Multiplier: 2, RandomizationFactor: 1}
	err := call.run(ctx)
	if e, ok := errors.AsType[*ecs.Error](err); ok || err == nil {
		cb.done(time.Now(), e)
	} else {
		cb.abandon()
	}
	return err
}

// run attempts the call until it succeeds or may not be repeated.
func (k *call) run(ctx context.Context) error {
	for {
		keys, err := k.ring.get(ctx)
		if err != nil {
			return k.noKeys(ctx, err)
		}
		queued := time.Now()
		bucket, grant, err := k.c.limits.wait(ctx, limitKey{k.scope.Account, k.scope.Region, k.req.action})
		if held, ok := errors.AsType[*closedError](err); ok {
			return k.heldBack(held)
		}
		if err != nil {
			return k.gaveUp(err)
		}
		k.queued += time.Since(queued)
		traced, span := trace.StartClient(ctx, k.req.action, trace.Str("shenscan.account", k.scope.Account),
			trace.Str("shenscan.region", k.scope.Region), trace.Int("shenscan.attempt", k.attempts+1))
		failure, hint := k.attempt(traced, keys)
		endSpan(span, failure)
		if failure == nil {
			bucket.succeeded(ctx, grant)
			return nil
		}
		if ctx.Err() != nil {
			return k.gaveUp(ctx.Err())
		}
		if failure.Class == ecs.Throttled {
			bucket.refused(ctx, grant, hint)
			if hint > k.c.o.ThrottleWait {
				bucket.closeUntil(time.Now().Add(hint))
			}
		}
		if failure.Class == ecs.Credentials {
			k.ring.refused(keys)
		}
		wait, again := k.retry(failure, hint)
		if !again {
			return sayUntil(failure, hint)
		}
		k.c.o.Observer.Retry(k.scope.Account, k.scope.Region, k.req.action, codeLabel(failure))
		if err := sleepUntil(ctx, time.Now().Add(wait), nil); err != nil {
			return k.gaveUp(err)
		}
	}
}

// heldBack is the failure of a call that was not made, because one before it was
// asked to wait for longer than a call may.
func (k *call) heldBack(held *closedError) error {
	return &ecs.Error{
		Action: k.req.action, Scope: k.scope, Class: ecs.Throttled, Err: held,
		Mend: "scan again then; to wait for so long, raise --throttle-wait",
	}
}

// sayUntil adds to the failure of a call that is not made again how long the API
// asked to wait.
func sayUntil(failure *ecs.Error, hint time.Duration) *ecs.Error {
	if hint > 0 {
		failure.Err = fmt.Errorf("%w (the API asks to wait for %s, until %s)", failure.Err, hint.Round(time.Millisecond), time.Now().Add(hint).UTC().Format(time.RFC3339))
	}
	return failure
}

// endSpan ends the span of one exchange with the code and the class of its
// failure. The cloud's own text stays out: it may quote what we sent.
func endSpan(span trace.Span, failure *ecs.Error) {
	if failure == nil {
		span.End(nil)
		return
	}
	if !span.Recording() {
		return
	}
	span.Set(trace.Str("error.type", failure.Class.String()), trace.Str("shenscan.code", failure.Code), trace.Int("http.response.status_code", failure.Status))
	span.End(errors.New(failure.Class.String()))
}

// gaveUp says that the caller's context ended the call. It is no *ecs.Error:
// the cloud did nothing wrong.
func (k *call) gaveUp(err error) error {
	return fmt.Errorf("%s in %s: %w", k.req.action, k.scope, err)
}

func (k *call) noKeys(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return k.gaveUp(ctx.Err())
	}
	if _, ok := errors.AsType[*ecs.Error](err); ok { // AssumeRole says more than this could
		return err
	}
	return &ecs.Error{Action: k.req.action, Scope: k.scope, Class: ecs.Credentials, Err: err}
}

// attempt performs one exchange. The duration is the API's retry hint.
func (k *call) attempt(ctx context.Context, keys *Keys) (*ecs.Error, time.Duration) {
	k.attempts++
	begun := time.Now()
	k.req.asked = begun
	exchange, err := k.signer.send(ctx, k.req, keys)
	took := time.Since(begun)
	defer exchange.release()
	if err == nil {
		if err = k.decode(exchange.body.Bytes()); err == nil {
			k.c.o.Observer.Request(k.scope.Account, k.scope.Region, k.req.action, "", took)
			return nil, 0
		}
	}
	failure := k.explain(exchange, err)
	if failure != nil && ctx.Err() != nil { // not a failure of the cloud
		return failure, 0
	}
	k.c.o.Observer.Request(k.scope.Account, k.scope.Region, k.req.action, codeLabel(failure), took)
	if failure == nil {
		return nil, 0
	}
	if failure.Class == ecs.Throttled && exchange.header != nil {
		k.c.throttled.Store(&exchange.header)
	}
	return failure, retryHint(exchange.header, time.Now())
}

// explain makes the *ecs.Error of a failed exchange; nil when the failure is
// the expected answer.
func (k *call) explain(exchange *exchange, err error) *ecs.Error {
	if exchange.body != nil { // a 200 that could not be decoded
		if f, ok := parseFailure(exchange.body.Bytes()); ok && !meansSuccess(f.Code) { // an error that came as a 200
			exchange.failed = append([]byte(nil), exchange.body.Bytes()...)
			exchange.err = faultError(f.Message)
		} else {
			e := &ecs.Error{Action: k.req.action, Scope: k.scope, Class: ecs.BadAnswer, Status: exchange.status, Err: err}
			e.RequestID = clip(exchange.header.Get("X-Acs-Request-Id"), 64)
			return e
		}
	}
	if errors.Is(exchange.err, context.DeadlineExceeded) { // of the exchange, not of the caller
		exchange.err = fmt.Errorf("%w within %s", errTimeout, k.c.o.Timeout)
	}
	failure := toError(k.req, k.scope, exchange, err, time.Now())
	if k.req.expected != "" && failure.Code == k.req.expected {
		return nil
	}
	return failure
}

var errTimeout = errors.New("no whole answer")

// codeLabel is what metrics call a failure: the API's code, or the class.
func codeLabel(failure *ecs.Error) string {
	if failure == nil {
		return ""
	}
	if failure.Code == "" {
		return failure.Class.String()
	}
	if _, known := codes[failure.Code]; known || failure.Class == ecs.Throttled {
		return failure.Code
	}
	return "other" // the label is a bounded set
}

// retry says whether the call may be attempted again, and when; hint is how
// long the API asked to wait.
func (k *call) retry(e *ecs.Error, hint time.Duration) (wait time.Duration, again bool) {
	options := &k.c.o
	switch e.Class {
	case ecs.Throttled: // the limiter does the waiting
		k.throttles++
		k.attempts--
		if k.throttles == 1 {
			k.sincePause = time.Now()
		}
		bears := options.MaxThrottled
		if k.req.aside { // a scan does not wait as long for what it can do without
			bears /= asidePart
		}
		return 0, hint <= options.ThrottleWait && k.throttles <= options.MaxThrottles && time.Since(k.sincePause) < bears
	case ecs.Credentials: // once with fresh keys
		again = !k.refreshed
		k.refreshed = true
		return 0, again
	case ecs.BadAnswer:
		if k.bad++; k.bad >= maxBadAnswers {
			return 0, false
		}
	case ecs.Transient:
	default:
		return 0, false
	}
	wait = max(k.bo.NextBackOff(), hint)
	if k.attempts >= options.MaxAttempts || time.Since(k.started)-k.queued+wait > options.MaxRetryTime {
		return 0, false
	}
	return wait, true
}
