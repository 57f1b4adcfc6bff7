package producer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/trace"
)

// RequestError is a request that the caller has to change or repeat later.
type RequestError struct {
	Code string // "400", "429", "503"
	Text string
}

func (e *RequestError) Error() string { return e.Text }

// Running remembers, for all processes, which scan of a scope runs.
type Running interface {
	// Claim returns the id of the running scan of key, or makes id that scan
	// and returns it. Where nobody says whether the scan of before still runs it
	// is an UnknownError.
	Claim(ctx context.Context, key, id string) (string, error)
}

// UnknownError says that a scan of the same was asked for before, and that nobody
// says whether it still runs.
type UnknownError struct {
	ScanID string
}

// Error says so.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("scan %s of the same was asked for before, and no sink says whether it still runs: ask again when a sink has caught up", e.ScanID)
}

// RequestOptions bound what callers may ask.
type RequestOptions struct {
	CallerRate  float64 // requests a second of one caller
	CallerBurst int
	MaxCallers  int           // callers remembered
	Gather      time.Duration // how long a rescan waits for company before it is stored
	ClaimWait   time.Duration // how long a scan waits for a sink to say whether the one before still runs
	Now         func() time.Time
	// Ticked hears what came of a tick of a schedule.
	Ticked func(schedule string, t Tick)
}

// Tick is what came of a tick of a schedule.
type Tick string

// What may come of a tick.
const (
	TickStarted Tick = "started" // a scan began
	TickJoined  Tick = "joined"  // a scan that somebody else asked for runs and does what the tick wants
	TickSkipped Tick = "skipped" // the scan of an earlier tick of the schedule still runs
)

// DefaultRequestOptions let a caller ask for a whole fleet at once, but not for
// ever.
func DefaultRequestOptions() RequestOptions {
	return RequestOptions{CallerRate: 500, CallerBurst: 20_000, MaxCallers: 10_000, Gather: 2 * time.Millisecond, ClaimWait: 10 * time.Second, Now: time.Now, Ticked: func(string, Tick) {}}
}

// Requests takes requests from callers and stores them before it answers. Rescans
// that arrive together are stored as one, equal instances merged: a sync to
// disk then serves hundreds of callers. It is safe for concurrent use; Run
// must be running.
type Requests struct {
	o       RequestOptions
	roster  *Roster
	bus     Publisher
	running Running
	salt    string
	waiting chan *asked

	mu      sync.Mutex
	callers map[string]*rate.Limiter
	count   int
}

type asked struct {
	req    *event.ScanRequested
	span   trace.Span // of the caller's request
	answer chan answered
}

type answered struct {
	scanID string
	err    error
}

// NewRequests returns a Requests. salt tells this process's scan ids from others'.
func NewRequests(o RequestOptions, roster *Roster, bus Publisher, running Running, salt string) *Requests {
	return &Requests{o: o, roster: roster, bus: bus, running: running, salt: salt, waiting: make(chan *asked, 1024), callers: map[string]*rate.Limiter{}}
}

// Scan handles a request on shenscan.scan, a record.ScanRequest as JSON. It returns when the
// scan is stored and cannot be lost any more; where one of the same accounts and regions runs,
// the reply names that one. What is wrong with a request is a RequestError, whose code is one
// of HTTP.
func (q *Requests) Scan(ctx context.Context, body []byte) (*record.ScanReply, error) {
	var request record.ScanRequest
	if err := decode(body, &request); err != nil {
		return nil, err
	}
	accounts, err := q.resolve(ctx, request.Accounts, request.Regions)
	if err != nil {
		return nil, err
	}
	slices.Sort(request.Regions)
	req := &event.ScanRequested{
		Kind: event.KindScan, Accounts: accounts, Regions: slices.Compact(request.Regions),
		Reason: clip(request.Reason), ScanID: q.newID(event.KindScan),
	}
	id, err := q.claim(ctx, req)
	if err != nil {
		return nil, &RequestError{"503", err.Error()}
	}
	if id == req.ScanID {
		if err := q.bus.Publish(ctx, req); err != nil {
			return nil, &RequestError{"503", err.Error()}
		}
	}
	return &record.ScanReply{ScanID: id}, nil
}

// claim makes req the running scan of what it is about, or finds the one that runs.
// A sink that has just started answers soon; whoever was given the id of a scan
// that may have ended would take its report for what there is now.
func (q *Requests) claim(ctx context.Context, req *event.ScanRequested) (string, error) {
	for began := time.Now(); ; {
		id, err := q.running.Claim(ctx, req.ScopeKey(), req.ScanID)
		if _, unknown := errors.AsType[*UnknownError](err); !unknown || time.Since(began) >= q.o.ClaimWait {
			return id, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(min(q.o.ClaimWait, 250*time.Millisecond)):
		}
	}
}

// instanceID is the shape of an ECS instance id; what does not have it is
// never sent to the cloud.
var instanceID = regexp.MustCompile(`^(i|eci|hbm|AY)-?[A-Za-z0-9]{6,60}$`)

// IsInstanceID reports whether s has the shape of an ECS instance id.
func IsInstanceID(s string) bool { return instanceID.MatchString(s) }

// Rescan handles a request on shenscan.rescan, a record.RescanRequest as JSON, and returns when
// it is stored. An id that cannot be one is rejected by itself, in the reply; what is wrong with
// the whole is a RequestError. Nothing is accepted of a caller that asks too often.
func (q *Requests) Rescan(ctx context.Context, body []byte, caller string) (*record.RescanReply, error) {
	if !q.allow(caller) {
		return nil, &RequestError{"429", fmt.Sprintf("more than %g requests a second from one caller; wait and ask again", q.o.CallerRate)}
	}
	var request record.RescanRequest
	if err := decode(body, &request); err != nil {
		return nil, err
	}
	reply := &record.RescanReply{Rejected: []record.Rejected{}}
	var ids []string
	for _, id := range request.InstanceIDs {
		switch {
		case !IsInstanceID(id):
			reply.Rejected = append(reply.Rejected, record.Rejected{InstanceID: clip(id), Error: "not an instance id: it looks like i-bp67acfmxazb4p0001"})
		case len(ids) == maxIDs:
			reply.Rejected = append(reply.Rejected, record.Rejected{InstanceID: id, Error: fmt.Sprintf("one request takes at most %d instances", maxIDs)})
		case !slices.Contains(ids[max(0, len(ids)-64):], id):
			ids = append(ids, id)
		}
	}
	if len(request.InstanceIDs) == 0 {
		return nil, &RequestError{"400", `instance_ids is empty; send {"instance_ids":["i-…"]}`}
	}
	reply.Accepted = len(ids)
	if len(ids) == 0 {
		return reply, nil
	}
	req := &event.ScanRequested{Kind: event.KindRescan, InstanceIDs: ids, Reason: clip(request.Reason)}
	var err error
	if req.Accounts, err = q.resolve(ctx, some(request.Account), some(request.Region)); err != nil {
		return nil, err
	}
	req.Regions = some(request.Region)
	a := &asked{req: req, span: trace.Current(ctx), answer: make(chan answered, 1)}
	select {
	case q.waiting <- a:
	case <-ctx.Done():
		return nil, &RequestError{"503", "shenscan is stopping"}
	}
	select {
	case got := <-a.answer:
		if got.err != nil {
			return nil, &RequestError{"503", got.err.Error()}
		}
		reply.ScanID = got.scanID
		return reply, nil
	case <-ctx.Done():
		return nil, &RequestError{"503", "shenscan is stopping"}
	}
}

// some is a list of s, an empty one where there is none.
func some(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// resolve refuses accounts and regions that are not there, before anything is
// stored: a misspelt name becomes nothing. It returns the accounts' ids.
func (q *Requests) resolve(ctx context.Context, accounts, regions []string) ([]string, error) {
	ids, err := q.roster.Resolve(ctx, accounts, regions)
	if err == nil {
		return ids, nil
	}
	if re, ok := errors.AsType[*RequestError](err); ok {
		return nil, re
	}
	return nil, &RequestError{"503", err.Error()}
}

// Run stores what Rescan gathers, those who ask within Options.Gather together, until ctx ends.
// Without it no Rescan returns.
func (q *Requests) Run(ctx context.Context) error {
	for {
		var batch []*asked
		select {
		case <-ctx.Done():
			return nil
		case a := <-q.waiting:
			batch = append(batch, a)
		}
		timer := time.NewTimer(q.o.Gather)
	gather:
		for ids := len(batch[0].req.InstanceIDs); ids < maxIDs/2; {
			select {
			case a := <-q.waiting:
				batch = append(batch, a)
				ids += len(a.req.InstanceIDs)
			case <-timer.C:
				break gather
			}
		}
		timer.Stop()
		q.storeBatch(ctx, batch)
	}
}

// storeBatch stores one request for each narrowing (account, region) in the batch.
func (q *Requests) storeBatch(ctx context.Context, batch []*asked) {
	groups := map[string][]*asked{}
	for _, a := range batch {
		key := fmt.Sprintf("%q%q", a.req.Accounts, a.req.Regions)
		groups[key] = append(groups[key], a)
	}
	for _, group := range groups {
		for len(group) > 0 {
			merged, n := merge(group)
			merged.ScanID = q.newID(event.KindRescan)
			err := q.publishMerged(ctx, &merged, group[:n])
			for _, a := range group[:n] {
				a.answer <- answered{merged.ScanID, err}
			}
			group = group[n:]
		}
	}
}

// merge makes one request of the first n of a group: as many as have no more than maxIDs
// together, and one at least.
func merge(group []*asked) (merged event.ScanRequested, n int) {
	merged = *group[0].req
	merged.InstanceIDs = nil
	seen := map[string]bool{}
	for _, a := range group {
		if len(seen)+len(a.req.InstanceIDs) > maxIDs { // never the first: Rescan takes no more
			break
		}
		for _, id := range a.req.InstanceIDs {
			if !seen[id] {
				seen[id] = true
				merged.InstanceIDs = append(merged.InstanceIDs, id)
			}
		}
		n++
	}
	return merged, n
}

// publishMerged stores what several callers asked for at once; its span is
// linked with theirs.
func (q *Requests) publishMerged(ctx context.Context, merged *event.ScanRequested, group []*asked) error {
	var spans []trace.Span
	for _, a := range group {
		if a.span.Recording() {
			spans = append(spans, a.span)
		}
	}
	ctx, span := trace.Join(ctx, "store rescans", spans, trace.Int("shenscan.requests", len(group)), trace.Int("shenscan.instances", len(merged.InstanceIDs)))
	err := q.bus.Publish(ctx, merged)
	span.End(err)
	return err
}

func (q *Requests) newID(kind event.Kind) string {
	q.mu.Lock()
	q.count++
	n := q.count
	q.mu.Unlock()
	return event.NewScanID(kind, q.o.Now(), fmt.Sprintf("%s/%d", q.salt, n))
}

func (q *Requests) allow(caller string) bool {
	q.mu.Lock()
	limiter, ok := q.callers[caller]
	if !ok {
		if len(q.callers) >= q.o.MaxCallers {
			clear(q.callers) // forgetting is kinder than refusing strangers
		}
		limiter = rate.NewLimiter(rate.Limit(q.o.CallerRate), q.o.CallerBurst)
		q.callers[caller] = limiter
	}
	q.mu.Unlock()
	return limiter.AllowN(q.o.Now(), 1)
}

// decode reads a request strictly: a misspelt key would silently widen it.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &RequestError{"400", "request is not the JSON it should be: " + err.Error()}
	}
	if dec.More() {
		return &RequestError{"400", "request has more after its JSON object"}
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), 200)] }

// HandleTick turns a tick of a schedule into its scan. The scan is named after
// the tick, so that it happens once however many producers hear of it.
func (q *Requests) HandleTick(ctx context.Context, template *event.ScanRequested, schedule string, tick time.Time) error {
	if template.Kind != event.KindScan {
		return event.Terminal(errors.New("schedule " + schedule + " holds no scan request"))
	}
	req := *template
	req.ScanID = event.NewScanID(event.KindScan, tick, "schedule/"+schedule)
	// By id it is the same scan as one that somebody asks for; what cannot be
	// found now, the scan itself names.
	if ids, err := q.roster.Resolve(ctx, template.Accounts, nil); err == nil {
		req.Accounts = ids
	}
	// A sink that is busy for a moment costs no scan: the next tick can be a day away.
	id, err := q.claim(ctx, &req)
	if unknown, ok := errors.AsType[*UnknownError](err); ok {
		id, err = unknown.ScanID, nil // it may run, and the next tick comes
	}
	if err != nil {
		return err
	}
	switch {
	case id == req.ScanID:
		if err := q.bus.Publish(ctx, &req); err != nil {
			return err
		}
		q.o.Ticked(schedule, TickStarted)
	case event.SameSalt(id, req.ScanID):
		q.o.Ticked(schedule, TickSkipped) // it is not piled upon
	default:
		q.o.Ticked(schedule, TickJoined)
	}
	return nil
}
