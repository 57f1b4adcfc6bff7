// Package cloudevents turns what Alibaba Cloud says has happened to instances
// into rescans: CloudEvents 1.0 over HTTP, as EventBridge sends them, with a
// shared secret.
//
// An event says where to look, never what is true: which account, region and
// instances, and nothing else of it is used. The cloud is asked anew, so that a
// late, repeated or reordered event does no harm, and a forged one, should the
// secret leak, costs calls of the API and changes no record. An event is
// answered with 200 once its rescan is stored, with 503 where it could not be
// stored (EventBridge then sends it again), and with 200 where there is nothing
// to do, since a refusal would be sent again in vain.
//
// It does not know how rescans are stored, does not verify EventBridge's RSA
// signature (that would need a certificate fetched from the network for a
// sender whose secret was right), and never follows an address in an event.
package cloudevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Request asks for a new look at the instances of one scope.
type Request struct {
	Scope       ecs.Scope
	InstanceIDs []string // 1 to 1,000, each once
	Reason      string
}

// Rescanner stores a request.
type Rescanner interface {
	// Rescan returns the scan's id once the request survives whatever dies
	// afterwards. Any error means that it may not have been stored and that
	// the sender should try again. It is called concurrently.
	Rescan(ctx context.Context, r Request) (scanID string, err error)
}

// Options of a Handler.
type Options struct {
	Secrets   Secrets
	Rescanner Rescanner
	// Account says whether the account with that id is scanned.
	Account  func(ctx context.Context, id string) bool
	MaxBody  int64 // bytes
	MaxBatch int   // events of one request
	// MaxInFlight bounds the requests whose bodies are held at once; more wait.
	MaxInFlight int
	// SourceRate and SourceBurst bound the requests of one remote address.
	SourceRate  float64 // a second
	SourceBurst int
	Gather      time.Duration // how long an event waits for others of its scope
	Repeat      time.Duration // how long, at least, a repeat of an event is recognised
	Timeout     time.Duration // how long storing a rescan may take
	Log         *slog.Logger
	Now         func() time.Time
}

// DefaultOptions fit EventBridge, which sends events of at most 64 KB, one a
// request or in small batches.
func DefaultOptions() Options {
	return Options{
		MaxBody: 1 << 20, MaxBatch: 100, MaxInFlight: 64, SourceRate: 200, SourceBurst: 1000,
		Gather: 100 * time.Millisecond, Repeat: 10 * time.Minute, Timeout: 5 * time.Second, Now: time.Now,
	}
}

// Handler is the endpoint. It is safe for concurrent use.
type Handler struct {
	o Options
	// Apart, so that strangers behind the sender's proxy cannot use up what is
	// the sender's.
	senders, strangers *sources

	slots   chan struct{}
	gather  *gatherer
	metrics *prometheus.CounterVec
	logged  rate.Sometimes // what is wrong is counted each time and logged now and then
}

// New returns the endpoint and registers its metric with reg. Without a secret it is an error:
// anybody could have instances looked at again.
func New(options Options, reg prometheus.Registerer) (*Handler, error) {
	if len(options.Secrets.sums) == 0 {
		return nil, errors.New("cloudevents: no secret; without one there is no endpoint")
	}
	handler := &Handler{
		o: options, senders: newSources(options.SourceRate, options.SourceBurst), strangers: newSources(options.SourceRate, options.SourceBurst),
		slots:   make(chan struct{}, options.MaxInFlight),
		gather:  newGatherer(options),
		metrics: newMetrics(reg), logged: rate.Sometimes{First: 5, Interval: 10 * time.Second},
	}
	return handler, nil
}

// Result says what became of one event.
type Result struct {
	Outcome   Outcome `json:"outcome"`
	Detail    string  `json:"detail,omitempty"`
	ScanID    string  `json:"scan_id,omitempty"`
	Instances int     `json:"instances,omitempty"`
}

// answer is the body of an answer to events that could be read.
type answer struct {
	Title   string   `json:"title,omitempty"` // with a status of 400 or more, as RFC 9457 has it
	Status  int      `json:"status,omitempty"`
	Results []Result `json:"results"`
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodPost {
		head.Set("Allow", http.MethodPost)
		h.refuse(w, r, &requestError{http.StatusMethodNotAllowed, OutcomeRefused, "events are sent with POST"})
		return
	}
	if err := h.admit(r); err != nil {
		h.refuse(w, r, err)
		return
	}
	if !h.enter(r.Context()) {
		h.refuse(w, r, &requestError{http.StatusServiceUnavailable, OutcomeUnavailable, "too many events at once; send them again later"})
		return
	}
	defer h.leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.o.MaxBody))
	if err != nil {
		h.refuse(w, r, h.bodyError(err))
		return
	}
	events, err := read(r.Header, body, h.o.MaxBatch)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.reply(w, h.handle(r.Context(), events))
}

// enter waits for one of the places for bodies.
func (h *Handler) enter(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (h *Handler) leave() { <-h.slots }

// requestError is why a whole request is refused.
type requestError struct {
	status  int
	outcome Outcome
	detail  string
}

func (e *requestError) Error() string { return e.detail }

func badRequest(format string, args ...any) error {
	return &requestError{http.StatusBadRequest, OutcomeRefused, fmt.Sprintf(format, args...)}
}

// admit lets through who knows the secret and does not ask too often.
func (h *Handler) admit(r *http.Request) error {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	known, limit := h.o.Secrets.admit(r.Header), h.strangers
	if known {
		limit = h.senders
	}
	if !limit.allow(host, h.o.Now()) {
		return &requestError{
			http.StatusTooManyRequests, OutcomeThrottled,
			fmt.Sprintf("more than %g requests a second from one address; send the event again later", h.o.SourceRate),
		}
	}
	if !known {
		return &requestError{
			http.StatusUnauthorized, OutcomeUnauthorized,
			"the secret is missing or wrong: send it as " + tokenHeader + ", which is EventBridge's token, or as Authorization: Bearer",
		}
	}
	return nil
}

func (h *Handler) bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &requestError{http.StatusRequestEntityTooLarge, OutcomeRefused, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	}
	return badRequest("the body could not be read to its end")
}

// refuse answers with a problem (RFC 9457).
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refused := &requestError{http.StatusBadRequest, OutcomeRefused, err.Error()}
	_ = errors.As(err, &refused)
	h.metrics.WithLabelValues(string(refused.outcome)).Inc()
	h.logged.Do(func() {
		h.o.Log.Warn("cloud event refused", "status", refused.status, "reason", refused.detail, "remote", r.RemoteAddr)
	})
	switch refused.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="shenscan events"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	write(w, refused.status, "application/problem+json", struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(refused.status), refused.status, refused.detail})
}

// retryAfter is what a sender is asked to wait, in seconds, where a rescan
// could not be stored.
const retryAfter = 10

// handle interprets events and stores their rescans, the scopes side by side.
// Every event has its result, in order.
func (h *Handler) handle(ctx context.Context, events []readEvent) []Result {
	results := make([]Result, len(events))
	type wanted struct {
		changes []*Change
		results []*Result
	}
	scopes := map[ecs.Scope]*wanted{}
	for index, e := range events {
		change, result := h.interpret(ctx, e)
		results[index] = result
		if change == nil {
			continue
		}
		if scanID, ok := h.gather.repeated(change, h.o.Now()); ok {
			results[index] = Result{Outcome: OutcomeRepeated, ScanID: scanID, Instances: len(change.InstanceIDs)}
			continue
		}
		s := scopes[change.Scope]
		if s == nil {
			s = &wanted{}
			scopes[change.Scope] = s
		}
		s.changes, s.results = append(s.changes, change), append(s.results, &results[index])
	}
	var wait sync.WaitGroup
	for _, s := range scopes {
		wait.Go(func() {
			for i, got := range h.gather.rescan(ctx, s.changes) {
				*s.results[i] = h.stored(s.changes[i], got)
			}
		})
	}
	wait.Wait()
	for i := range results {
		h.metrics.WithLabelValues(string(results[i].Outcome)).Inc()
	}
	return results
}

// interpret says what an event asks for; without a change the result is final.
func (h *Handler) interpret(ctx context.Context, readEvent readEvent) (*Change, Result) {
	err := readEvent.err
	var change *Change
	if err == nil {
		change, err = interpret(&readEvent.Event, func(account string) bool { return h.o.Account(ctx, account) })
	}
	var nothing *NothingToDoError
	switch {
	case err == nil:
		return change, Result{}
	case errors.As(err, &nothing):
		if nothing.Outcome == OutcomeUnknownAccount {
			h.logged.Do(func() { h.o.Log.Warn("cloud event of another account", "reason", nothing.Why) })
		}
		return nil, Result{Outcome: nothing.Outcome, Detail: nothing.Why}
	}
	h.logged.Do(func() { h.o.Log.Warn("cloud event refused", "reason", err.Error()) })
	return nil, Result{Outcome: OutcomeRefused, Detail: err.Error()}
}

func (h *Handler) stored(change *Change, got outcome) Result {
	if got.err != nil {
		h.logged.Do(func() {
			h.o.Log.Error("rescan for a cloud event not stored", "account", change.Scope.Account, "region", change.Scope.Region, "err", got.err)
		})
		return Result{Outcome: OutcomeUnavailable, Detail: "the rescan could not be stored; send the event again"}
	}
	h.o.Log.Debug("cloud event became a rescan", "account", change.Scope.Account, "region", change.Scope.Region, "instances", len(change.InstanceIDs), "reason", change.Reason, "scan", got.scanID)
	return Result{Outcome: OutcomeRescan, ScanID: got.scanID, Instances: len(change.InstanceIDs)}
}

// reply answers with every result. Its status is that of the worst: events that
// can be sent again come before events that are wrong, since a repeat of the
// rest does no harm.
func (h *Handler) reply(w http.ResponseWriter, results []Result) {
	status := http.StatusOK
	for _, result := range results {
		switch {
		case result.Outcome == OutcomeUnavailable:
			status = http.StatusServiceUnavailable
		case result.Outcome == OutcomeRefused && status == http.StatusOK:
			status = http.StatusBadRequest
		}
	}
	body, contentType := answer{Results: results}, "application/json"
	if status != http.StatusOK {
		body.Title, body.Status, contentType = http.StatusText(status), status, "application/problem+json"
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	write(w, status, contentType, body)
}

func write(w http.ResponseWriter, status int, contentType string, body any) {
	encoded, err := json.Marshal(body)
	if err != nil { // cannot happen: strings and numbers
		encoded, status = []byte(`{}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n')) // the sender went away: it sends the event again
}
