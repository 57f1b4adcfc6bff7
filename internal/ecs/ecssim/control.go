package ecssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// control serves /_sim/ to this machine only. Answers are JSON; a wrong
// request is 400 with {"error": ...}.
//
//	GET    /_sim/stats                  what was asked so far (Stats)
//	DELETE /_sim/stats                  forget it
//	GET    /_sim/fleet                  accounts, regions and sizes
//	GET    /_sim/truth                  the truth now, JSON lines
//	GET    /_sim/instances/{id}         truth, image, type and status of one
//	POST   /_sim/instances/{id}         Change
//	POST   /_sim/churn                  ChurnPlan, answers ChurnReport
//	GET    /_sim/faults                 the faults in force
//	POST   /_sim/faults                 adds one Fault
//	DELETE /_sim/faults                 ends them all
//	GET    /_sim/contradictions         the names of those in force
//	POST   /_sim/contradictions         names, instead of those in force
//	POST   /_sim/latency                "50ms" and the other forms of ParseLatency, as a JSON string
//	POST   /_sim/quota                  Quota
//	POST   /_sim/tokens/expire          every NextToken given out so far is refused
//	POST   /_sim/tokens/refuse          {"every": n}: every n-th NextToken presented is refused
//	POST   /_sim/sessions/expire        every assumed role's keys so far are refused
func (s *Simulator) control(w http.ResponseWriter, r *http.Request) {
	if s.opt.NoControl || !fromLoopback(r) {
		http.NotFound(w, r)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Stats()) })
	mux.HandleFunc("DELETE /_sim/stats", func(w http.ResponseWriter, _ *http.Request) { s.ResetStats(); reply(w, struct{}{}) })
	mux.HandleFunc("GET /_sim/fleet", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.scopeSizes()) })
	mux.HandleFunc("GET /_sim/truth", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jsonl")
		_ = s.WriteTruth(w) // the reader went away
	})
	mux.HandleFunc("GET /_sim/instances/{id}", answerWith(func(r *http.Request) (any, error) { return s.Show(r.PathValue("id")) }))
	mux.HandleFunc("POST /_sim/instances/{id}", handle(func(r *http.Request, c Change) (any, error) { return struct{}{}, s.Apply(r.PathValue("id"), c) }))
	mux.HandleFunc("POST /_sim/churn", handle(func(_ *http.Request, p ChurnPlan) (any, error) { return s.Churn(p) }))
	mux.HandleFunc("GET /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.faults.list()) })
	mux.HandleFunc("POST /_sim/faults", handle(func(_ *http.Request, f Fault) (any, error) { return struct{}{}, s.AddFault(f) }))
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, _ *http.Request) { s.ClearFaults(); reply(w, struct{}{}) })
	mux.HandleFunc("GET /_sim/contradictions", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.quirks.Load().names()) })
	mux.HandleFunc("POST /_sim/contradictions", handle(func(_ *http.Request, names []string) (any, error) { return struct{}{}, s.Contradict(names...) }))
	mux.HandleFunc("POST /_sim/latency", handle(func(_ *http.Request, l Latency) (any, error) { s.SetLatency(l); return struct{}{}, nil }))
	mux.HandleFunc("POST /_sim/quota", handle(func(_ *http.Request, q Quota) (any, error) { return struct{}{}, s.SetQuota(q) }))
	mux.HandleFunc("POST /_sim/tokens/expire", func(w http.ResponseWriter, _ *http.Request) { s.ExpireTokens(); reply(w, struct{}{}) })
	mux.HandleFunc("POST /_sim/tokens/refuse", handle(func(_ *http.Request, v struct {
		Every int `json:"every"`
	},
	) (any, error) {
		s.RefuseTokens(v.Every)
		return struct{}{}, nil
	}))
	mux.HandleFunc("POST /_sim/sessions/expire", func(w http.ResponseWriter, _ *http.Request) { s.ExpireSessions(); reply(w, struct{}{}) })
	mux.ServeHTTP(w, r)
}

// AddFault puts a fault in force, behind those that are.
func (s *Simulator) AddFault(fault Fault) error {
	if err := fault.validate(); err != nil {
		return err
	}
	s.faults.add(fault)
	return nil
}

// ClearFaults ends every fault.
func (s *Simulator) ClearFaults() { s.faults.set(s.opt.Seed, nil) }

// SetLatency changes how long answers take.
func (s *Simulator) SetLatency(l Latency) { s.latency.Store(&l) }

// SetQuota replaces the quota; its windows begin anew.
func (s *Simulator) SetQuota(quota Quota) error {
	if err := quota.validate(); err != nil {
		return err
	}
	s.quota.set(quota)
	return nil
}

// ExpireTokens refuses every NextToken given out so far.
func (s *Simulator) ExpireTokens() { s.tokens.epoch.Add(1) }

// RefuseTokens refuses every n-th NextToken presented; 0 none.
func (s *Simulator) RefuseTokens(n int) { s.tokens.refuse.Store(int64(n)) }

// ExpireSessions refuses the keys of every role assumed so far.
func (s *Simulator) ExpireSessions() { s.sessionEpoch.Add(1) }

// fromLoopback says whether a request comes from this machine.
func fromLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// scopeSize is one row of GET /_sim/fleet.
type scopeSize struct {
	Account   string `json:"account"`
	Region    string `json:"region"`
	Instances int    `json:"instances"`
	Images    int    `json:"images"`
}

func (s *Simulator) scopeSizes() []scopeSize {
	out := make([]scopeSize, 0, len(s.fleet.scopes))
	for _, sc := range s.fleet.scopes {
		sc.mu.RLock()
		out = append(out, scopeSize{sc.account.ID, sc.region.id, sc.count() - len(sc.gone), len(sc.images)})
		sc.mu.RUnlock()
	}
	return out
}

// Shown is one instance as GET /_sim/instances/{id} shows it.
type Shown struct {
	Truth        Truth     `json:"truth"`
	ImageID      string    `json:"image_id"`
	OSName       string    `json:"os_name"`
	InstanceType string    `json:"instance_type"`
	IoOptimized  bool      `json:"io_optimized"`
	Status       string    `json:"status"`
	CreationTime time.Time `json:"creation_time"`
}

// Show is what is true of one live instance now; ErrNoInstance where there is none.
func (s *Simulator) Show(id string) (*Shown, error) {
	sc, instance, ok := s.fleet.locate(id)
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	if !sc.live(instance) {
		return nil, fmt.Errorf("%w: %s", ErrNoInstance, id)
	}
	in := sc.at(instance)
	return &Shown{
		Truth: sc.truth(&in), ImageID: in.slot.imageID, OSName: in.slot.kind.osName, InstanceType: in.typ.id, IoOptimized: in.ioOptimized,
		Status: in.status.String(), CreationTime: time.Unix(in.minute*60, 0).UTC(),
	}, nil
}

// handle decodes a JSON request strictly.
func handle[T any](fn func(*http.Request, T) (any, error)) http.HandlerFunc {
	return answerWith(func(r *http.Request) (any, error) {
		var in T
		dec := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrOptions, strings.TrimPrefix(r.URL.Path, "/_sim/"), err)
		}
		return fn(r, in)
	})
}

// answerWith answers what fn returns, or its error.
func answerWith(fn func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := fn(r)
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, out)
	}
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, ErrNoInstance) {
		status = http.StatusNotFound
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()}) // the caller went away
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller went away
}
