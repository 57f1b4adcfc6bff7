package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/rules"
)

// namedServer reads --server. The user and password of an address go to that
// address alone, and never unencrypted over a network.
func namedServer(address string) (*localServer, error) {
	link, err := url.Parse(address)
	if err != nil || link.Host == "" || link.Scheme != "http" && link.Scheme != "https" {
		return nil, &ConfigError{errors.New("--server: name the address of a shenscan's page, such as http://127.0.0.1:10470 or https://user:password@shenscan.example")}
	}
	if link.Scheme == "http" && !bus.Loopback(link.Hostname()) {
		return nil, &ConfigError{fmt.Errorf("--server %s: a store is read over https, or over http from this machine", link.Redacted())}
	}
	return &localServer{URL: strings.TrimRight(link.String(), "/")}, nil
}

// shown is the address without a password.
func (s *localServer) shown() string {
	address, err := url.Parse(s.URL)
	if err != nil {
		return "the server"
	}
	return address.Redacted()
}

// copyFrom fetches a copy of the store and opens it. types is the folder of the
// catalogue of instance types, "" to fetch that too.
func copyFrom(ctx context.Context, server *localServer, types string, classifier *rules.Classifier) (_ *Held, err error) {
	temp, err := os.MkdirTemp("", "shenscan-copy-")
	if err != nil {
		return nil, fmt.Errorf("copy the store of a running process: %w; name a writable folder with TMPDIR", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := server.fetch(ctx, pathSnapshot, StoreFile(temp)); err != nil {
		return nil, err
	}
	if types == "" {
		if err := server.fetch(ctx, pathTypes, typesFile(temp)); err != nil {
			return nil, err
		}
		types = temp
	}
	db, err := openStoreFile(ctx, StoreFile(temp), classifier, 0)
	if err != nil {
		return nil, fmt.Errorf("copy of the store of %s: %w", server.shown(), err)
	}
	return &Held{DB: db, Dir: types, From: server.shown(), temp: temp}, nil
}

// fetch gets one file, whole or not at all.
func (s *localServer) fetch(ctx context.Context, path, to string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	const preparing = 10 * time.Minute // a large store is copied first
	idle := time.AfterFunc(preparing, func() { cancel(errors.New("nothing came for too long")) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", s.shown(), err)
	}
	if s.Key != "" {
		req.Header.Set("Authorization", "Bearer "+s.Key)
	}
	client := http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSHandshakeTimeout: slowest},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the shenscan that holds the store: %w", errors.Join(err, context.Cause(ctx)))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s answers %s to GET %s: %s", s.shown(), resp.Status, path, strings.TrimSpace(string(said)))
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy the store of %s: %w", s.shown(), err)
	}
	n, err := io.Copy(out, &watched{resp.Body, idle})
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy the store of %s to %s: %w; name a folder with room with TMPDIR", s.shown(), filepath.Dir(to), errors.Join(err, context.Cause(ctx)))
	}
	if resp.ContentLength >= 0 && n != resp.ContentLength {
		return fmt.Errorf("copy the store of %s: %d of %d bytes came", s.shown(), n, resp.ContentLength)
	}
	return nil
}

// watched puts off the end of patience with every read.
type watched struct {
	io.Reader
	idle *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	w.idle.Reset(2 * slowest)
	return w.Reader.Read(p)
}
