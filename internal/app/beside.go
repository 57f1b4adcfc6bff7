package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/files"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// The paths that a process which holds a store answers those who may read all
// of it.
const (
	pathSnapshot = "/api/v1/snapshot"
	pathTypes    = "/api/v1/instance-types"
)

// localServerFile is where the process that holds a store says how to ask it. Only its
// own user may read the file.
func localServerFile(dir string) string { return filepath.Join(dir, "server.json") }

// localServer is how commands on the same machine ask the process that holds a store.
type localServer struct {
	URL string `json:"url"`
	Key string `json:"key"`
	PID int    `json:"pid"`
}

// slowest is how long a reader of a snapshot may stand still.
const slowest = 30 * time.Second

// snapshots answers with copies of the store, one at a time: each takes as much
// room on the disk as the store.
type snapshots struct {
	a    *App
	slot chan struct{}
}

func newSnapshots(a *App) *snapshots { return &snapshots{a, make(chan struct{}, 1)} }

// ServeHTTP sends a copy of the store.
func (s *snapshots) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wait := time.NewTimer(slowest)
	defer wait.Stop()
	select {
	case s.slot <- struct{}{}:
		defer func() { <-s.slot }()
	case <-wait.C:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "another copy of the store is being sent", http.StatusServiceUnavailable)
		return
	case <-r.Context().Done():
		return
	}
	ctl := http.NewResponseController(w)
	if err := ctl.SetWriteDeadline(time.Time{}); err != nil {
		s.a.log.Debug("no write deadline of its own", "err", err)
	}
	copied, err := s.a.db.Snapshot(r.Context())
	if err != nil {
		s.a.log.Error("store not copied", "err", err)
		http.Error(w, "the store could not be copied; the log of the process that holds it says why", http.StatusInternalServerError)
		return
	}
	defer copied.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="shenscan-store.db"`)
	w.Header().Set("Content-Length", strconv.FormatInt(copied.Size, 10))
	for {
		if err := ctl.SetWriteDeadline(time.Now().Add(slowest)); err != nil {
			s.a.log.Debug("no write deadline of its own", "err", err)
		}
		if _, err := io.CopyN(w, copied, 1<<20); err != nil {
			if !errors.Is(err, io.EOF) {
				s.a.log.Debug("copy of the store not delivered", "err", err)
			}
			return
		}
	}
}

// types sends the catalogue of instance types that plans need.
func (a *App) types(w http.ResponseWriter, _ *http.Request) {
	body, err := os.ReadFile(typesFile(a.o.Store))
	if errors.Is(err, os.ErrNotExist) {
		body, err = []byte("[]"), nil
	}
	if err != nil {
		a.log.Error("instance types not read", "err", err)
		http.Error(w, "the catalogue of instance types could not be read; the log of this process says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		a.log.Debug("answer not delivered", "err", err)
	}
}

// openDoor serves copies of the store to commands on the same machine that may
// read the private file beside the store.
func (a *App) openDoor(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { // no loopback: the process does its work without
		a.log.Warn("commands cannot read the store beside this process", "err", err)
		return nil
	}
	opened := localServer{URL: "http://" + listener.Addr().String(), Key: rand.Text(), PID: os.Getpid()}
	mux := http.NewServeMux()
	mux.Handle("GET "+pathSnapshot, a.snapshots)
	mux.HandleFunc("GET "+pathTypes, a.types)
	srv := a.server(keyed(opened.Key, mux), slowest)
	if err := writeLocalServer(a.o.Store, &opened); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() {
		if err := os.Remove(localServerFile(a.o.Store)); err != nil {
			a.log.Warn("the file that names this process was not removed", "err", err)
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // a copy can be asked for again
	defer stop()
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve copies of the store: %w", err)
	}
	return nil
}

// keyed lets through who knows the key.
func keyed(key string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(got), []byte(key)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the key of the file beside the store is wanted", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeLocalServer(dir string, d *localServer) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := files.WritePrivate(localServerFile(dir), body); err != nil {
		return fmt.Errorf("name this process beside its store: %w", err)
	}
	return nil
}

// Place says where a store is: in a folder, in a file of another name, or with
// a process that serves it.
type Place struct {
	Dir    string
	File   string // instead of the folder
	Server string // "" for the folder, or whoever holds it
}

// Held is an open store, or an open copy of one that a running process holds.
type Held struct {
	*store.DB
	Dir  string // where its catalogue of instance types lies
	From string // the process that it is a copy of, "" for the store itself
	temp string
}

// Close lets go of the store and removes the copy.
func (h *Held) Close() error {
	err := h.DB.Close()
	if h.temp != "" {
		err = errors.Join(err, os.RemoveAll(h.temp))
	}
	return err
}

// OpenStore opens an existing store to read it with a rule set and targets of
// the caller's choice, the built-in ones where none are named. Where a running
// process holds it, or one is named, it opens a copy of that process's last
// commit.
func OpenStore(ctx context.Context, at Place, overlays, targets []string) (*Held, error) {
	classifier, err := Classifier(overlays, targets)
	if err != nil {
		return nil, err
	}
	if at.Server != "" {
		server, err := namedServer(at.Server)
		if err != nil {
			return nil, err
		}
		return copyFrom(ctx, server, "", classifier)
	}
	path, dir := at.File, filepath.Dir(at.File)
	if path == "" {
		path, dir = StoreFile(at.Dir), at.Dir
	}
	if at.File == "" {
		if held := beside(ctx, at.Dir, classifier); held != nil {
			return held, nil
		}
	}
	db, err := openStoreFile(ctx, path, classifier, 0)
	if err == nil {
		return &Held{DB: db, Dir: dir}, nil
	}
	if !errors.Is(err, store.ErrLocked) || at.File != "" {
		return nil, err
	}
	server, serverErr := readLocalServer(at.Dir)
	if serverErr != nil {
		return nil, errors.Join(err, serverErr)
	}
	return copyFrom(ctx, server, at.Dir, classifier)
}

// beside opens the store of a process that says how to ask it: such a process
// holds the store for as long as it runs, so that waiting for it to let go would
// make every command slower and no command right. It is nil where there is none,
// and where it gives no copy: it may be about to end.
func beside(ctx context.Context, dir string, classifier *rules.Classifier) *Held {
	server, err := readLocalServer(dir)
	if err != nil {
		return nil
	}
	const once = time.Nanosecond // the lock is tried, and not waited for
	db, err := openStoreFile(ctx, StoreFile(dir), classifier, once)
	if err == nil { // it was killed
		return &Held{DB: db, Dir: dir}
	}
	if !errors.Is(err, store.ErrLocked) {
		return nil
	}
	held, err := copyFrom(ctx, server, dir, classifier)
	if err != nil {
		return nil
	}
	return held
}

// readLocalServer reads how to ask the process that holds the store in dir.
func readLocalServer(dir string) (*localServer, error) {
	body, err := files.ReadPrivate(localServerFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("the process that holds it does not serve it: another command reads it, or an older shenscan runs; wait for it, or name a server with --server")
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("the process that holds it serves it to its own user alone: %w; run this as that user, or name its page with --server", err)
	}
	if err != nil {
		return nil, err
	}
	d := &localServer{}
	if err := json.Unmarshal(body, d); err != nil || !strings.HasPrefix(d.URL, "http://127.0.0.1:") {
		return nil, fmt.Errorf("%s does not say how to ask the process that holds the store: %w", localServerFile(dir), errors.Join(err, errDoor))
	}
	return d, nil
}

var errDoor = errors.New("it names no address on this machine")
