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
	shapes       map[Contradiction]*shape
	quirks       atomic.Pointer[quirks] // the contradictions in force
	lists        atomic.Uint64          // lists by token that were answered under one
	struck       sync.Map               // what a contradiction has struck once
	counted      atomic.Uint64          // calls while one is in force
	buffers      sync.Pool
}

// New lays out the fleet. It fails with ErrOptions for options that make no
// sense.
func New(options Options) (*Simulator, error) {
	data, err := loadData()
	if err != nil {
		return nil, err
	}
	if options, err = options.withDefaults(data); err != nil {
		return nil, err
	}
	simulator := &Simulator{
		opt: options, fleet: newFleet(data, options),
		commands: commandBox{byID: map[string]*invocation{}, byToken: map[string]*invocation{}, asked: map[string]int{}, contents: map[string]int{}},
	}
	if simulator.tokens, err = newTokenBox(options.Seed, options.TokenTTL, options.TokenRefuse); err != nil {
		return nil, err
	}
	simulator.buffers.New = func() any { b := make([]byte, 0, 400<<10); return &b }
	if simulator.shapes, err = parseShapes(); err != nil {
		return nil, err
	}
	if err := simulator.Contradict(options.Contradict...); err != nil {
		return nil, err
	}
	simulator.ResetStats()
	simulator.latency.Store(&options.Latency)
	simulator.faults.set(options.Seed, options.Faults)
	simulator.quota.set(options.Quota)
	return simulator, nil
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
	return sc.size()
}

// EachTruth calls fn with what is true of every live instance now, region by
// region, until fn returns an error.
func (s *Simulator) EachTruth(fn func(*Truth) error) error {
	for _, sc := range s.fleet.scopes {
		for i := 0; ; i++ {
			truth, end := sc.truthAt(i)
			if end {
				break
			}
			if truth == nil {
				continue
			}
			if err := fn(truth); err != nil {
				return err
			}
		}
	}
	return nil
}

// truthAt is the truth of instance i; nil for one that was released.
func (sc *scope) truthAt(instance int) (t *Truth, end bool) {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if instance >= sc.count() {
		return nil, true
	}
	if sc.isGone(instance) {
		return nil, false
	}
	in := sc.at(instance)
	tr := sc.truth(&in)
	return &tr, false
}

// WriteTruth writes the truth file: one JSON object a line.
func (s *Simulator) WriteTruth(w io.Writer) error {
	var b []byte
	return s.EachTruth(func(t *Truth) error {
		b = append(appendMarshalled(b[:0], t), '\n')
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

// Start serves a simulator on a free port of 127.0.0.1 until it is closed.
func Start(o Options) (*Server, error) { return Listen(o, "127.0.0.1:0") }

// Listen serves a simulator on addr, "127.0.0.1:8080", until it is closed. What is wrong with
// the options is ErrOptions.
func Listen(o Options, addr string) (*Server, error) {
	sim, err := New(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("ecssim: listen on %s: %w", addr, err)
	}
	server := &Server{Simulator: sim, Addr: listener.Addr().String(), done: make(chan struct{})}
	server.URL = "http://" + server.Addr
	server.http = &http.Server{Handler: sim, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(server.done)
		_ = server.http.Serve(listener) // ends with Close
	}()
	return server, nil
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
	s.stats.flying(1)
	defer s.stats.flying(-1)
	buf, _ := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	c := &call{req: r}
	answer := s.answer(c, (*buf)[:0])
	if cap(answer.body) <= 1<<20 {
		*buf = answer.body[:0]
	}
	s.record(c, &answer)
	s.send(w, r, &answer)
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
func (s *Simulator) answer(call *call, out []byte) answer {
	said := answer{status: http.StatusOK, requestID: s.requestID()}
	err := s.allow(call, &said)
	if err == nil {
		said.body, err = s.dispatch(call, out, &said)
	}
	if err != nil {
		said.status, said.code = err.status, err.code
		said.body = err.body(out, said.requestID, call.req.Host, call.caller, call.action)
	}
	return said
}

// allow reads a call, and refuses it where its signature, the quota, a fault or a
// contradiction wants that.
func (s *Simulator) allow(call *call, said *answer) (err *apiError) {
	if err = s.read(call); err != nil {
		return err
	}
	who, err := s.authenticate(call)
	if err != nil {
		return err
	}
	call.caller = who
	s.latency.Load().sleep(call.req.Context(), hash(s.fleet.seed, s.serial.Add(1)))
	if refusal := s.quota.take(call, s.opt.Now()); refusal != "" {
		said.throttled, said.header = true, map[string]string{"x-ratelimit-user-api": refusal}
		return errThrottled
	}
	said.fault = s.faults.pick(call.caller.account.ID, call.params.get("RegionId"), call.action)
	if err = said.fault.apiError(); err != nil {
		said.throttled = err.code == "Throttling.User"
		return err
	}
	return s.contradictCall(call, said)
}

// read takes the request apart.
func (s *Simulator) read(call *call) *apiError {
	r := call.req
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return &apiError{405, "UnsupportedHTTPMethod", "This http method is not supported."}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return errInvalid("body")
	}
	call.body = body
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errInvalid("query")
	}
	if len(body) > 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return errInvalid("body")
		}
		for k, v := range form {
			values[k] = append(values[k], v...)
		}
	}
	call.params = params(values)
	if call.action, call.version = r.Header.Get("x-acs-action"), r.Header.Get("x-acs-version"); call.action == "" {
		call.action, call.version = call.params.get("Action"), call.params.get("Version")
	}
	return nil
}

// dispatch answers the action. Whatever would change something is refused as
// RAM refuses it.
func (s *Simulator) dispatch(call *call, out []byte, answer *answer) ([]byte, *apiError) {
	action, implemented := actions[call.action]
	switch {
	case call.action == "":
		return nil, errMissing("Action")
	case !implemented && isRead(call.action):
		return nil, &apiError{404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."}
	case !implemented:
		return nil, errForbidden
	case call.version != action.version:
		return nil, &apiError{400, "InvalidVersion", "Specified parameter Version is not valid."}
	}
	if err := call.params.known(call.action, action.params); err != nil {
		return nil, err
	}
	var sc *scope
	if !action.everywhere {
		region := call.params.get("RegionId")
		if region == "" {
			return nil, errMissing("RegionId")
		}
		if sc = s.fleet.byName[scopeName{call.caller.account.ID, region}]; sc == nil {
			return nil, &apiError{404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."}
		}
	}
	if call.action == actInstances {
		return s.describeInstances(call, sc, out, answer)
	}
	body, err := action.handle(s, call, sc)
	if err != nil {
		return nil, err
	}
	if s.against(action.errorAs200.contradiction) {
		body = action.errorAs200.body()
	}
	body["RequestId"] = answer.requestID
	return appendMarshalled(out, body), nil
}

// isRead says whether an action only reads.
func isRead(action string) bool {
	return strings.HasPrefix(action, "Describe") || strings.HasPrefix(action, "List") || strings.HasPrefix(action, "Get")
}

// describeInstances answers DescribeInstances.
func (s *Simulator) describeInstances(call *call, sc *scope, out []byte, answer *answer) ([]byte, *apiError) {
	instanceQuery, err := s.parseInstanceQuery(call.params)
	if err != nil {
		return nil, err
	}
	denied := answer.fault != nil && answer.fault.Kind == FaultEmpty
	s.bend(instanceQuery, call.params)
	switch {
	case call.params.bool("DryRun") && (denied || s.against(RevokedMidway)):
		return nil, errForbidden
	case call.params.bool("DryRun"):
		return nil, &apiError{400, "DryRunOperation", "Request validation has been passed with DryRun flag set."}
	case denied:
		return emptyPage(out, instanceQuery, answer.requestID), nil
	}
	if body := s.contradictList(out, sc, instanceQuery, answer.requestID); body != nil {
		return body, nil
	}
	body, err := s.instancesPage(out, s.elsewhere(sc, instanceQuery), instanceQuery, answer.requestID)
	if err != nil {
		return nil, err
	}
	return s.bendList(answer, instanceQuery, body), nil
}

// requestID makes the next request id.
func (s *Simulator) requestID() string {
	n := s.serial.Add(1)
	return strings.ToUpper(string(appendUUID(nil, hash(s.fleet.seed, 'r', n), hash(n, s.fleet.seed))))
}

// send writes the answer, or what a fault that has struck makes of it.
func (s *Simulator) send(w http.ResponseWriter, r *http.Request, answer *answer) {
	header := w.Header()
	header.Set("Content-Type", "application/json;charset=utf-8")
	header.Set("x-acs-request-id", answer.requestID)
	for k, v := range answer.header {
		header.Set(k, v)
	}
	if answer.fault != nil && answer.fault.send(w, r, answer) {
		return
	}
	if s.opt.Gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		answer.body = gzipped(answer.body)
	}
	if answer.status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(answer.body)))
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // the client went away: nothing to do about it
}

func gzipped(body []byte) []byte {
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	_, _ = compressed.Write(body) // memory takes everything
	_ = compressed.Close()
	return out.Bytes()
}
