// Package ecssim is a simulator of the ECS, STS and resource directory APIs of
// Alibaba Cloud: strict about what it is asked, deterministic in what it
// answers, and fast enough not to be what a benchmark measures. Its fleet of
// up to ten million instances is computed from a seed and not held in memory.
// It knows the truth about every instance from the labels of its own data
// files; it refuses to know the product's rules, holds nothing of a real
// account, and carries out no action that would change something: a command for
// its guests is answered and nothing is run.
package ecssim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Simulator is the API as an http.Handler. It is safe for concurrent use.
type Simulator struct {
	opt          Options
	fleet        *fleet
	tokens       *tokenBox
	nonces       nonceBox
	faults       faultBox
	quota        quotaBox
	stats        statsBox
	commands     commandBox
	latency      atomic.Pointer[Latency]
	sessionEpoch atomic.Uint32
	serial       atomic.Uint64
	shapes       map[string]*shape
	quirks       atomic.Pointer[quirks] // the contradictions in force
	lists        atomic.Uint64          // lists by token that were answered under one
	struck       sync.Map               // what a contradiction has struck once
	counted      atomic.Uint64          // calls while one is in force
	buffers      sync.Pool
}

// New lays out the fleet. It fails with ErrOptions for options that make no
// sense.
func New(o Options) (*Simulator, error) {
	d, err := loadData()
	if err != nil {
		return nil, err
	}
	if o, err = o.withDefaults(d); err != nil {
		return nil, err
	}
	s := &Simulator{opt: o, fleet: newFleet(d, o)}
	if s.tokens, err = newTokenBox(o.Seed, o.TokenTTL, o.TokenRefuse); err != nil {
		return nil, err
	}
	s.buffers.New = func() any { b := make([]byte, 0, 400<<10); return &b }
	if s.shapes, err = parseShapes(); err != nil {
		return nil, err
	}
	if err := s.Contradict(o.Contradict...); err != nil {
		return nil, err
	}
	s.latency.Store(&o.Latency)
	s.faults.set(o.Seed, o.Faults)
	s.quota.set(o.Quota)
	return s, nil
}

// Accounts are the accounts that the simulator knows.
func (s *Simulator) Accounts() []Account { return append([]Account(nil), s.opt.Keys...) }

// Regions are the ids of the regions, the largest first.
func (s *Simulator) Regions() []string {
	out := make([]string, s.opt.Regions)
	for i := range out {
		out[i] = s.fleet.data.regions[i].id
	}
	return out
}

// ScopeSize is the number of live instances of an account and region.
func (s *Simulator) ScopeSize(account, region string) int {
	sc := s.fleet.byName[scopeName{account, region}]
	if sc == nil {
		return 0
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	return sc.count() - len(sc.gone)
}

// EachTruth calls fn with what is true of every live instance now, region by
// region, until fn returns an error.
func (s *Simulator) EachTruth(fn func(*Truth) error) error {
	for _, sc := range s.fleet.scopes {
		for i := 0; ; i++ {
			t, end := sc.truthAt(i)
			if end {
				break
			}
			if t == nil {
				continue
			}
			if err := fn(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// truthAt is the truth of instance i; nil for one that was released.
func (sc *scope) truthAt(i int) (t *Truth, end bool) {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if i >= sc.count() {
		return nil, true
	}
	if sc.isGone(i) {
		return nil, false
	}
	in := sc.at(i)
	tr := sc.truth(&in)
	return &tr, false
}

// WriteTruth writes the truth file: one JSON object a line.
func (s *Simulator) WriteTruth(w io.Writer) error {
	var b []byte
	return s.EachTruth(func(t *Truth) error {
		b = appendTruth(b[:0], t)
		_, err := w.Write(b)
		return err
	})
}

// Server is a simulator that listens on a loopback port.
type Server struct {
	*Simulator
	Addr string // "127.0.0.1:40961"
	URL  string // "http://127.0.0.1:40961"

	http *http.Server
	done chan struct{}
}

// Start serves a simulator on a free port of 127.0.0.1.
func Start(o Options) (*Server, error) { return Listen(o, "127.0.0.1:0") }

// Listen serves a simulator on addr.
func Listen(o Options, addr string) (*Server, error) {
	sim, err := New(o)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("ecssim: listen on %s: %w", addr, err)
	}
	s := &Server{Simulator: sim, Addr: l.Addr().String(), done: make(chan struct{})}
	s.URL = "http://" + s.Addr
	s.http = &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // ends with Close
	}()
	return s, nil
}

// Close stops serving at once and waits for the listener to end.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// maxRequest bounds what a request may carry.
const maxRequest = 1 << 20

// ServeHTTP answers one call.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.control(w, r)
		return
	}
	s.stats.begin()
	defer s.stats.end()
	buf, _ := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	c := &call{req: r}
	a := s.answer(c, (*buf)[:0])
	if cap(a.body) <= 1<<20 {
		*buf = a.body[:0]
	}
	s.record(c, &a)
	s.send(w, r, &a)
}

// answer is one answer before it is written.
type answer struct {
	status    int
	body      []byte
	requestID string
	code      string // the API's error code, "" when it went well
	throttled bool
	header    map[string]string
	fault     *Fault
}

// answer works out the answer to a call.
func (s *Simulator) answer(c *call, b []byte) answer {
	a := answer{status: http.StatusOK, requestID: s.requestID()}
	if err := s.read(c); err != nil {
		return a.fail(s, c, b, err)
	}
	who, err := s.authenticate(c)
	if err != nil {
		return a.fail(s, c, b, err)
	}
	c.caller = who
	s.latency.Load().sleep(c.req.Context(), hash(s.fleet.seed, s.serial.Add(1)))
	if left, ok := s.quota.take(c, s.opt.Now()); !ok {
		a.throttled = true
		a.header = map[string]string{"x-ratelimit-user-api": fmt.Sprintf("Limit:%d,Remain:0,TimeLeft:%d", s.quota.limit(c.action), left.Milliseconds())}
		return a.fail(s, c, b, errThrottled())
	}
	a.fault = s.faults.pick(who.account.ID, c.params.get("RegionId"), c.action)
	if err := a.fault.apiError(); err != nil {
		a.throttled = err.code == "Throttling.User"
		return a.fail(s, c, b, err)
	}
	if err := s.contradictCall(c, &a); err != nil {
		return a.fail(s, c, b, err)
	}
	body, err := s.dispatch(c, b, &a)
	if err != nil {
		return a.fail(s, c, b, err)
	}
	a.body = body
	return a
}

// fail turns the answer into an error.
func (a answer) fail(s *Simulator, c *call, b []byte, err *apiError) answer {
	a.status, a.code = err.status, err.code
	a.body = err.body(b, a.requestID, c.req.Host, c.caller, c.action)
	return a
}

// read takes the request apart.
func (s *Simulator) read(c *call) *apiError {
	r := c.req
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return &apiError{405, "UnsupportedHTTPMethod", "This http method is not supported."}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return errInvalid("body")
	}
	c.body = body
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errInvalid("query")
	}
	if len(body) > 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return errInvalid("body")
		}
		for k, v := range form {
			q[k] = append(q[k], v...)
		}
	}
	c.params = params(q)
	if c.action, c.version = r.Header.Get("x-acs-action"), r.Header.Get("x-acs-version"); c.action == "" {
		c.action, c.version = c.params.get("Action"), c.params.get("Version")
	}
	return nil
}

// versionOf is the API version of every action that is answered.
func versionOf(action string) string {
	switch action {
	case "DescribeRegions", "DescribeInstances", "DescribeImages", "DescribeInstanceTypes", "DescribeAvailableResource", actOffered,
		"DescribeCloudAssistantStatus", "RunCommand", "DescribeInvocationResults", actConsole:
		return "2014-05-26"
	case "AssumeRole", "GetCallerIdentity":
		return "2015-04-01"
	case "ListAccounts", "GetResourceDirectory":
		return "2020-03-31"
	}
	return ""
}

// dispatch answers the action. Whatever would change something is refused as
// RAM refuses it.
func (s *Simulator) dispatch(c *call, b []byte, a *answer) ([]byte, *apiError) {
	v := versionOf(c.action)
	switch {
	case c.action == "":
		return nil, errMissing("Action")
	case v == "" && isRead(c.action):
		return nil, &apiError{404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."}
	case v == "":
		return nil, errForbidden()
	case c.version != v:
		return nil, &apiError{400, "InvalidVersion", "Specified parameter Version is not valid."}
	}
	if err := c.params.known(c.action); err != nil {
		return nil, err
	}
	switch c.action {
	case "DescribeRegions":
		return s.describeRegions(c, a.requestID)
	case "DescribeInstanceTypes":
		return s.describeInstanceTypes(c, a.requestID)
	case "AssumeRole":
		return s.assumeRole(c, a.requestID)
	case "GetCallerIdentity":
		return s.callerIdentity(c, a.requestID), nil
	case "ListAccounts":
		return s.listAccounts(c, a.requestID)
	case "GetResourceDirectory":
		return s.resourceDirectory(a.requestID), nil
	}
	region := c.params.get("RegionId")
	if region == "" {
		return nil, errMissing("RegionId")
	}
	sc := s.fleet.byName[scopeName{c.caller.account.ID, region}]
	if sc == nil {
		return nil, errRegion()
	}
	switch c.action {
	case "DescribeImages":
		s.stats.images(c.caller.account.ID, region, c.params.get("ImageId"))
		return s.describeImages(b, sc, c.params, a.requestID)
	case actOffered:
		return s.describeImageSupport(c, b, sc, a.requestID)
	case "DescribeAvailableResource":
		return s.describeAvailableResource(c, sc, a.requestID)
	case "DescribeCloudAssistantStatus":
		return s.describeAgents(sc, c.params, b, a.requestID)
	case actConsole:
		return s.consoleOutput(sc, c.params, b, a.requestID)
	case "RunCommand":
		return s.runCommand(c, sc, b, a.requestID)
	case "DescribeInvocationResults":
		return s.describeResults(sc, c.params, b, a.requestID)
	}
	return s.describeInstances(c, b, sc, a)
}

// isRead says whether an action only reads.
func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "List") || strings.HasPrefix(action, "Get")
}

func (s *Simulator) describeInstances(c *call, b []byte, sc *scope, a *answer) ([]byte, *apiError) {
	q, err := parseInstanceQuery(c.params, s.filterOrder())
	if err != nil {
		return nil, err
	}
	denied := a.fault != nil && a.fault.Kind == FaultEmpty
	s.bend(q, c.params)
	switch {
	case c.params.bool("DryRun") && (denied || s.against(RevokedMidway)):
		return nil, errForbidden()
	case c.params.bool("DryRun"):
		return nil, errDryRun()
	case denied:
		return emptyPage(b, q, a.requestID), nil
	}
	if body := s.contradictList(b, sc, q, a.requestID); body != nil {
		return body, nil
	}
	body, err := s.instancesPage(b, s.elsewhere(sc, q), q, a.requestID)
	if err != nil {
		return nil, err
	}
	return s.bendList(a, q, body), nil
}

// requestID makes the next request id.
func (s *Simulator) requestID() string {
	n := s.serial.Add(1)
	return strings.ToUpper(string(appendUUID(nil, hash(s.fleet.seed, 'r', n), hash(n, s.fleet.seed))))
}

// send writes the answer, bent by its fault.
func (s *Simulator) send(w http.ResponseWriter, r *http.Request, a *answer) {
	h := w.Header()
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("x-acs-request-id", a.requestID)
	for k, v := range a.header {
		h.Set(k, v)
	}
	if a.fault != nil && a.fault.send(w, r, a) {
		return
	}
	if s.opt.Gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		_, err := zw.Write(a.body)
		if err = errors.Join(err, zw.Close()); err == nil {
			h.Set("Content-Encoding", "gzip")
			a.body = z.Bytes()
		}
	}
	if a.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client went away: nothing to do about it
}

// duplicateRate is the share of pages that repeat an instance.
func (s *Simulator) duplicateRate() float64 {
	return max(s.opt.DuplicateRate, s.faults.rate(FaultDuplicate))
}
