package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
)

// DebugOptions are a second listener for whoever looks into a running process:
// profiles, and the level of its log. It is there when asked for, on loopback
// alone.
type DebugOptions struct {
	Listen string         // "" for none
	Level  *slog.LevelVar // what the log goes by
}

// openDebug takes the listening socket.
func (a *App) openDebug() error {
	debugOptions := a.o.Debug
	if debugOptions.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(debugOptions.Listen)
	if err != nil {
		return &ConfigError{fmt.Errorf("--debug-listen %q: %w", debugOptions.Listen, err)}
	}
	if !bus.Loopback(host) {
		return &ConfigError{fmt.Errorf("--debug-listen %s: profiles and the level of the log are for this machine alone; name a loopback address such as 127.0.0.1:10479", debugOptions.Listen)}
	}
	listener, err := net.Listen("tcp", debugOptions.Listen)
	if err != nil {
		return fmt.Errorf("--debug-listen: %w; name another port", err)
	}
	a.debug = listener
	a.onClose(func() { _ = listener.Close() })
	return nil
}

func (a *App) serveDebug(ctx context.Context) error {
	if a.debug == nil {
		return nil
	}
	srv := a.server(debugHandler(a.o.Debug.Level, a.log), 10*time.Minute) // a profile may be asked for over minutes
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(a.debug); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return fmt.Errorf("serve %s: %w", a.o.Debug.Listen, err)
	}
	return nil
}

// debugHandler serves profiles of the process and, where level is not nil, reads and
// sets the level of its log. It answers requests that name a loopback host, so that a
// page of the web in a browser of this machine cannot ask under a name of its own.
func debugHandler(level *slog.LevelVar, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if level != nil {
		mux.HandleFunc("GET /log-level", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, strings.ToLower(level.Level().String()))
		})
		mux.HandleFunc("PUT /log-level", func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64))
			var to slog.Level
			if err == nil {
				err = to.UnmarshalText([]byte(strings.TrimSpace(string(text))))
			}
			if err != nil {
				http.Error(w, "the body is one of debug, info, warn and error", http.StatusBadRequest)
				return
			}
			was := level.Level()
			level.Set(to)
			log.Log(r.Context(), max(was, to, slog.LevelWarn), "level of the log was changed", "from", was, "to", to)
		})
	}
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !bus.Loopback(askedHost(r)) {
			http.Error(w, "ask under a loopback address", http.StatusForbidden)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}
