// Package httpapi serves what the sink holds: pages for people, JSON for
// programs, health for supervisors. It reads and never writes the store; what
// it starts is a scan or a rescan, and only where the caller allows that. Every
// number of an answer is of one moment. Its pages work without JavaScript, with
// which they keep themselves current, and load nothing from elsewhere.
package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

// Options say what is served.
type Options struct {
	Store     Store
	Answers   Answers   // nil: no whole answers are given
	Rescanner Rescanner // nil: there is no rescan
	// Operator says whether whoever sent a request may have something done: a
	// rescan, or a copy of the store. Nil: nobody may.
	Operator func(*http.Request) bool
	// Ready tells whether the process serves what it should, and if not, why.
	Ready func() (bool, []string)
	// Snapshot and Types send the whole store and its catalogue of instance types
	// to whoever may start a rescan; nil: they are not served.
	Snapshot, Types http.Handler
	Metrics         http.Handler // nil: /metrics is not served
	// Took hears how long each request took, by the address of its route; nil
	// for nobody.
	Took    func(route string, d time.Duration)
	Version string
	// Reload takes the configuration anew for whoever may have something done; nil:
	// it is not served.
	Reload http.Handler
	// Rules is the rule set, for the page that explains its codes and says of
	// which day its knowledge is; nil: there is no such page.
	Rules func() *rules.Definition
	// NextScan is when a schedule asks for the next scan, and its name; nil, or a
	// name of "": no schedule is known here.
	NextScan func() (at time.Time, name string)
	Log      *slog.Logger
	Now      func() time.Time
	// Languages are those that pages speak, the first where a reader neither chose
	// one nor asks for one by the browser; none: English alone.
	Languages []lang.Language
	// MaxInFlight bounds concurrent requests for pages and API; 0 is 64.
	MaxInFlight int
}

// timeout bounds the work on one request.
const timeout = 20 * time.Second

// maxBody bounds the body of a request, in bytes.
const maxBody = 256 << 10

// server holds what handlers share.
type server struct {
	o      Options
	pages  map[lang.Language]*template.Template
	style  asset
	script asset
	slots  chan struct{}
	long   chan struct{} // for answers as large as the fleet
	// description is that of the API.
	description []byte
}

// New returns the handler for everything the sink serves: the pages, the API and the files that
// they need. Store, Ready, Now and Log of the options are needed; what else is nil is what this
// process does not answer.
func New(options Options) (http.Handler, error) {
	if options.Store == nil || options.Ready == nil || options.Now == nil || options.Log == nil {
		return nil, errors.New("httpapi: Store, Ready, Now and Log are needed")
	}
	if options.MaxInFlight <= 0 {
		options.MaxInFlight = 64
	}
	own, err := web.ReadFile("web/live.js")
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	live := report.Script(string(own))
	s := &server{
		o: options, pages: map[lang.Language]*template.Template{}, slots: make(chan struct{}, options.MaxInFlight), long: make(chan struct{}, longAnswers),
		style: newAsset([]byte(report.Stylesheet()), "css"), script: newAsset([]byte(live), "js"),
	}
	for _, in := range lang.Languages() {
		pages, err := parsePages(in, live)
		if err != nil {
			return nil, fmt.Errorf("httpapi: pages in %s: %w", in, err)
		}
		s.pages[in] = pages
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.answering(s.healthz))
	mux.HandleFunc("GET /readyz", s.answering(s.readyz))
	if options.Metrics != nil {
		mux.Handle("GET /metrics", options.Metrics)
	}
	for _, a := range []asset{s.style, s.script} {
		mux.HandleFunc("GET "+a.path, s.static(a))
	}
	api := s.apiRoutes()
	if s.description, err = describe(api, options.Version); err != nil {
		return nil, fmt.Errorf("httpapi: describe the API: %w", err)
	}
	s.mount(mux, api)
	s.mount(mux, s.pageRoutes())
	mux.HandleFunc("/", s.nowhere)
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		Problem(w, http.StatusForbidden, "the request comes from another site")
	}))
	return secured(s.spoken(origin.Handler(http.MaxBytesHandler(mux, maxBody)))), nil
}

// secured sets the headers that go with every answer.
func secured(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "same-origin")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-store")
		handler.ServeHTTP(w, r)
	})
}

// operator says whether whoever sent r may have something done.
func (s *server) operator(r *http.Request) bool { return s.o.Operator != nil && s.o.Operator(r) }

// OnlyOperators is what others are told.
const OnlyOperators = "only operators may do this: they are the users of --web.config.file whom --operator names, or, where there are no users, whoever comes from this machine"

// trusted answers only those who may change state.
func (s *server) trusted(handler http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.operator(r) {
			Problem(w, http.StatusForbidden, OnlyOperators)
			return
		}
		handler.ServeHTTP(w, r)
	}
}

// bounded gives a request a slot and a deadline, once it is there as a whole: a
// visitor who sends slowly keeps nobody else waiting.
func (s *server) bounded(handler http.Handler) http.Handler {
	inTime := inSlot(s.slots, timeout, "1", "too many requests are being answered; ask again in a second", handler)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			body, err := io.ReadAll(r.Body) // at most maxBody
			if err != nil {
				Problem(w, http.StatusBadRequest, "the body of the request did not arrive as a whole, or is too large")
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		inTime.ServeHTTP(w, r)
	})
}

// inSlot gives a request one of the slots and so much time, or says that all are
// taken and after how many seconds to ask again.
func inSlot(slots chan struct{}, within time.Duration, again, full string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", again)
			Problem(w, http.StatusServiceUnavailable, full)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		handler.ServeHTTP(w, r.WithContext(ctx))
	})
}

// asset is a file that pages load. Its address holds its digest.
type asset struct {
	data        []byte
	path, media string
}

func newAsset(data []byte, kind string) asset {
	sum := sha256.Sum256(data)
	media := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}[kind]
	return asset{data, "/static/" + hex.EncodeToString(sum[:8]) + "." + kind, media}
}

func (s *server) static(asset asset) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", asset.media)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		s.write(w, asset.data)
	}
}

// write sends an answer; a reader who went away is not an error worth more
// than a debug line.
func (s *server) write(w http.ResponseWriter, data []byte) {
	if _, err := w.Write(data); err != nil {
		s.o.Log.Debug("answer not delivered", "err", err)
	}
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return s.json(w, http.StatusOK, map[string]string{"status": "alive", "version": s.o.Version})
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) error {
	if ok, why := s.o.Ready(); !ok {
		return s.json(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reasons": why})
	}
	return s.json(w, http.StatusOK, map[string]string{"status": "ready"})
}
