package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// HTTPOptions say where the page, the API and the metrics are served.
type HTTPOptions struct {
	Listen    string // "" for none
	WebConfig string // exporter-toolkit's TLS and basic auth file
	Insecure  bool   // beyond loopback without authentication
	// Operators are the users of WebConfig who may have something done; others of
	// them read.
	Operators []string
	// Hosts are names by which the page is known, apart from those of loopback;
	// they count where whoever comes from this machine is an operator.
	Hosts []string
}

// ErrInsecureListen is returned where the page would be open to the network
// without authentication.
var ErrInsecureListen = errors.New("refusing to listen beyond loopback without authentication")

// access is who may do what on the page.
type access struct {
	web       config.WebAccess
	loopback  bool // nobody else can connect
	operators []string
	hosts     []string
}

// check refuses a listener that anybody could use, and says who may do what.
func (o HTTPOptions) check() (access, error) {
	var allowed access
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return allowed, &ConfigError{fmt.Errorf("--listen %q: %w", o.Listen, err)}
	}
	if o.WebConfig != "" {
		if allowed.web, err = config.ReadWebAccess(o.WebConfig); err != nil {
			return allowed, &ConfigError{err}
		}
	}
	allowed.loopback, allowed.operators, allowed.hosts = bus.Loopback(host), o.Operators, o.Hosts
	if !allowed.web.Asks() && !allowed.loopback && !o.Insecure {
		return allowed, &ConfigError{fmt.Errorf("%w: --listen is %s; name a --web.config.file with users, or say --insecure-listen", ErrInsecureListen, o.Listen)}
	}
	for _, name := range o.Operators {
		if !allowed.web.Certificates && !slices.Contains(allowed.web.Users, name) {
			return allowed, &ConfigError{fmt.Errorf("--operator %q is none of the users of --web.config.file: %v", name, allowed.web.Users)}
		}
	}
	return allowed, nil
}

// operator says whether whoever sent r may have something done. Where visitors
// are asked who they are, the server has found that out already.
func (a *access) operator(r *http.Request) bool {
	if !a.web.Asks() {
		return a.loopback
	}
	if user, _, ok := r.BasicAuth(); ok && slices.Contains(a.web.Users, user) {
		return slices.Contains(a.operators, user)
	}
	if a.web.Certificates && len(a.web.Users) == 0 && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return slices.Contains(a.operators, r.TLS.VerifiedChains[0][0].Subject.CommonName)
	}
	return false
}

// knownHost refuses requests for another host's page where whoever comes from
// this machine is an operator: a web site can have a browser on this machine
// connect here under its own name.
func (a *access) knownHost(next http.Handler) http.Handler {
	if a.web.Asks() || !a.loopback {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := askedHost(r)
		if host != "" && !bus.Loopback(host) && !slices.ContainsFunc(a.hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
			http.Error(w, "this is not the page of that host; where a proxy passes it on, name the host with --allow-host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// openHTTP takes the listening socket, so that a taken port is an error at
// start.
func (a *App) openHTTP() error {
	if a.o.HTTP.Listen == "" {
		return nil
	}
	access, err := a.o.HTTP.check()
	if err != nil {
		return err
	}
	a.access = access
	listener, err := net.Listen("tcp", a.o.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w; another shenscan may be running, name another port", err)
	}
	a.listener = listener
	a.onClose(func() { _ = listener.Close() })
	return nil
}

// Listening is the address of the page, "" where there is none.
func (a *App) Listening() string {
	if a.listener == nil {
		return ""
	}
	scheme := "http://"
	if a.o.HTTP.WebConfig != "" {
		scheme = "" // the file decides between http and https
	}
	return scheme + a.listener.Addr().String()
}

// NATSURL is where the embedded NATS listens, or the external server.
func (a *App) NATSURL() string { return a.bus.ClientURL() }

func (a *App) serveHTTP(ctx context.Context) error {
	if a.listener == nil {
		return nil
	}
	handler, err := a.handler(a.scrape)
	if err != nil {
		return err
	}
	if handler, err = a.withEvents(a.access.knownHost(handler)); err != nil {
		return err
	}
	srv := a.server(handler, 2*time.Minute)
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			_ = srv.Close()
		}
	})
	systemd := false
	flags := &web.FlagConfig{WebSystemdSocket: &systemd, WebListenAddresses: &[]string{a.o.HTTP.Listen}, WebConfigFile: &a.o.HTTP.WebConfig}
	err = web.Serve(a.listener, srv, flags, a.log)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve %s: %w", a.o.HTTP.Listen, err)
}

// server answers with handler; writing an answer may take so long.
func (a *App) server(handler http.Handler, writing time.Duration) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: writing, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// askedHost is the host that a request names.
func askedHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return strings.Trim(host, "[]")
}

// handler serves the whole page where there is a store, and metrics and health
// alone elsewhere.
func (a *App) handler(metrics http.Handler) (http.Handler, error) {
	if a.sink != nil {
		version, _ := Version()
		return httpapi.New(httpapi.Options{
			Store: pageStore{a}, Answers: answers{a}, Rescanner: pageRescanner{a.bus}, Operator: a.access.operator,
			Rules: func() *rules.Definition { return a.storeRules().Definition() },
			Ready: func() (bool, []string) {
				why := a.notReady()
				return len(why) == 0, why
			},
			Snapshot: a.snapshots, Types: http.HandlerFunc(a.types),
			Took: func(route string, d time.Duration) {
				a.metrics.requestSeconds.WithLabelValues(route).Observe(d.Seconds())
			},
			Languages: a.languages(),
			Metrics:   metrics, Version: version, Reload: reloadHandler{a}, NextScan: a.nextScan, Log: a.log, Now: a.o.Now,
		})
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ok, why := a.Ready(); !ok {
			http.Error(w, why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("POST "+httpapi.ReloadPath, func(w http.ResponseWriter, r *http.Request) {
		if !a.access.operator(r) {
			httpapi.Problem(w, http.StatusForbidden, httpapi.OnlyOperators)
			return
		}
		reloadHandler{a}.ServeHTTP(w, r)
	})
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// Ready says whether this process does what it is for, and if not, why: NATS
// answers and has every stream, this process reads as each of its consumers,
// and its store is the file that others find, holding all that it should.
func (a *App) Ready() (bool, string) {
	why := a.notReady()
	return len(why) == 0, strings.Join(why, "; ")
}

func (a *App) notReady() (why []string) {
	if !a.started.Load() {
		why = append(why, "it is still starting")
	}
	for _, name := range a.bus.Awaited() {
		why = append(why, "has not begun: "+name)
	}
	health := a.bus.Health()
	if err := health.Ready(); err != nil {
		why = append(why, err.Error())
	}
	lives := a.bus.Lives()
	for _, name := range slices.Sorted(maps.Keys(lives)) {
		if life := lives[name]; !life.Up {
			why = append(why, fmt.Sprintf("nothing is read as consumer %s: %v", name, life.Err))
		}
	}
	if a.sink == nil {
		return why
	}
	if err := a.db.InPlace(); err != nil {
		why = append(why, err.Error())
	}
	if !a.sink.CaughtUp() {
		why = append(why, "the store is still catching up with the results stream")
	}
	return why
}

// languages are those that pages speak, that of the options first.
func (a *App) languages() []lang.Language {
	out := lang.Languages()
	if at := slices.Index(out, a.o.Language); at > 0 {
		out[0], out[at] = out[at], out[0]
	}
	return out
}
