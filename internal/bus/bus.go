// Package bus carries shenscan's messages over NATS JetStream: it starts the
// embedded server or connects to an external one, declares the streams,
// publishes, consumes and dead-letters. It is the only package that knows
// NATS, and it knows nothing of what a message means.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// Sync says when the embedded server syncs what it acknowledged to disk.
type Sync string

// The sync settings.
const (
	// SyncAlways syncs before every acknowledgement: nothing acknowledged is
	// lost at a power cut. It costs about 2 ms a page.
	SyncAlways Sync = "always"
	// SyncInterval syncs every two minutes in the background: a power cut
	// loses up to that much of what was acknowledged; a killed process loses
	// nothing.
	SyncInterval Sync = "interval"
)

// Options say which server to use and how.
type Options struct {
	// URL of an external server or cluster; "" starts the embedded one.
	URL string
	// Creds is the path of a NATS credentials file, NKey of a file with an
	// nkey seed, CA of a PEM file to trust, Cert and Key of a client
	// certificate.
	Creds, NKey, CA, Cert, Key string
	// Seed is an nkey seed itself, in place of the file.
	Seed string
	// Inbox tells the inboxes of this user from others' (one of the Inbox names);
	// "" for none of its own.
	Inbox string
	// Name of this process in the server's connection list.
	Name string
	// Dir holds the embedded server's streams.
	Dir string
	// Passing says that Dir goes with the server: nothing is left in it for
	// another.
	Passing bool
	// Listen is the embedded server's address ("127.0.0.1:4222"); "" opens no
	// socket.
	Listen string
	// Access of Listen.
	Access Access
	// Sync of the embedded server; SyncAlways by default.
	Sync Sync
	// Replicas of every stream: 1, or 3 on a cluster.
	Replicas int
	// Limits of the streams.
	Limits Limits
	// Declare brings streams that differ to their declaration. Without it this
	// process only makes what is missing, and only where its user may: what
	// workers and sinks need.
	Declare bool
	// SoftStop is how long handlers may finish what they hold after a stop, 0 for 8 s.
	SoftStop time.Duration
	// Tracer makes spans of what is published and consumed; nil for none.
	Tracer *trace.Tracer
	Log    *slog.Logger
}

// DefaultOptions runs the embedded server without a socket.
func DefaultOptions() Options {
	return Options{Name: "shenscan", Sync: SyncAlways, Replicas: 1, Limits: defaultLimits(), Declare: true, Log: slog.New(slog.DiscardHandler)}
}

// Validate reports every mistake in o.
func (o *Options) Validate() error {
	var errs []error
	if o.Sync != SyncAlways && o.Sync != SyncInterval {
		errs = append(errs, fmt.Errorf("--nats-sync %q is none of always, interval", o.Sync))
	}
	if o.Replicas != 1 && o.Replicas != 3 && o.Replicas != 5 {
		errs = append(errs, fmt.Errorf("nats replicas is %d; it is 1, 3 or 5", o.Replicas))
	}
	if o.URL == "" && o.Replicas != 1 {
		errs = append(errs, errors.New("the embedded NATS server has one replica; name a cluster with --nats-url"))
	}
	if o.URL != "" && o.Listen != "" {
		errs = append(errs, errors.New("--nats-listen is the embedded server's and means nothing beside --nats-url"))
	}
	if o.Listen != "" {
		errs = append(errs, checkListen(o.Listen))
	}
	for part := range strings.SplitSeq(o.URL, ",") {
		if part = strings.TrimSpace(part); !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		if _, err := url.Parse(part); err != nil { // which may hold a password
			errs = append(errs, errors.New("--nats-url is not an address such as nats://127.0.0.1:4222; a password in it needs its special characters percent-encoded"))
		}
	}
	return errors.Join(errs...)
}

// Bus is a connection to a server whose streams exist. It is safe for
// concurrent use.
type Bus struct {
	o   Options
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	serverMu sync.Mutex
	server   *server.Server // nil with an external server
	unwell   atomic.Bool    // the embedded server could not write
	untend   func()         // ends tend
	keys     accessKeys
	discard  func() // deletes the streams; nil where they are kept

	bucketsMu sync.Mutex
	buckets   []jetstream.KeyValueConfig // those in use

	watching sync.WaitGroup
	unwatch  context.CancelFunc // ends watch; nil where nobody watches
	suspect  chan struct{}      // holds a token where something seems to be missing

	healthMu sync.Mutex
	health   Health
	whenMade []*madeHook
	created  map[string]int64 // stream name -> unix nanoseconds of its creation

	payloads sync.Pool // *[]byte that messages are encoded into
	queues   sync.Map  // kind of message -> *queue
	denials  denials
	lives    lives
	onBury   func(stream string)
}

// OnDead makes f hear of every message that this process dead-letters. It is
// to be called before anything is consumed.
func (b *Bus) OnDead(f func(stream string)) { b.onBury = f }

// Open starts or connects to the server and creates or checks the streams.
func Open(ctx context.Context, o Options) (*Bus, error) {
	conn, err := Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := conn.declare(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	life, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	conn.unwatch = unwatch
	conn.watching.Go(func() { conn.watch(life) })
	return conn, nil
}

// Dial starts or connects to the server and leaves its streams alone: what a
// caller needs.
func Dial(ctx context.Context, options Options) (_ *Bus, err error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	conn := &Bus{o: options, log: options.Log, created: map[string]int64{}, suspect: make(chan struct{}, 1), onBury: func(string) {}}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	opts, err := conn.connectOptions()
	if err != nil {
		return nil, err
	}
	target := options.URL
	if target == "" {
		conn.o.Limits.PagesBytes = min(conn.o.Limits.PagesBytes, embeddedPages)
		if conn.o.Listen == "" {
			conn.o.Access = AccessOpen // there is no listener
		} else if conn.keys, err = newAccessKeys(); err != nil {
			return nil, err
		}
		if err := conn.startServer(conn.o.Listen); err != nil {
			return nil, err
		}
		opts = append(opts, nats.InProcessServer(inProcess{conn}))
		if conn.o.Access != AccessOpen {
			opts = append(opts, conn.asOwner())
		}
		target = nats.DefaultURL
	}
	if conn.nc, err = nats.Connect(target, opts...); err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w; check --nats-url and the credentials", redact(target), err)
	}
	// A write that nobody answers is forgotten after its time, and there is room for those
	// of every bucket: what waits would make the writes of all of them fail.
	if conn.js, err = jetstream.New(conn.nc, jetstream.WithPublishAsyncTimeout(manyTime), jetstream.WithPublishAsyncMaxPending(1<<16)); err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	if conn.server != nil && options.Passing {
		conn.discard = func() { conn.discardStreams(ctx) }
	}
	if conn.server != nil {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var tending sync.WaitGroup
		tending.Go(func() { conn.tend(ctx) })
		conn.untend = func() { cancel(); tending.Wait() }
	}
	return conn, nil
}

// embeddedPages bounds the pages that wait in the embedded server: producers
// and workers are one process there, so that more would only be memory. Below
// 32 MiB the server also writes blocks of 4 MiB instead of 8, several of which
// it holds.
const embeddedPages = 31 << 20

// startServer starts the embedded server, on a socket where listen is not "".
func (b *Bus) startServer(listen string) error {
	if err := os.MkdirAll(b.o.Dir, 0o700); err != nil {
		return fmt.Errorf("embedded NATS: %w", err)
	}
	opts := &server.Options{
		ServerName: "shenscan", JetStream: true, StoreDir: b.o.Dir,
		DontListen: listen == "", NoSigs: true, NoLog: true,
		SyncAlways: b.o.Sync == SyncAlways, MaxPayload: serverPayload,
		JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: b.o.Limits.MaxStore,
	}
	if listen != "" {
		host, port, err := splitAddr(listen)
		if err != nil {
			return err
		}
		opts.Host, opts.Port = host, port
	}
	b.restrict(opts)
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("embedded NATS in %s: %w", b.o.Dir, err)
	}
	b.serverMu.Lock()
	b.server = srv
	b.serverMu.Unlock()
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		return fmt.Errorf("embedded NATS in %s was not ready in 20 s; is another shenscan using the folder or %s taken?", b.o.Dir, b.o.Listen)
	}
	if !srv.JetStreamEnabled() {
		return fmt.Errorf("embedded NATS in %s: JetStream did not start; is the folder writable?", b.o.Dir)
	}
	return nil
}

func (b *Bus) connectOptions() ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(b.o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.RetryOnFailedConnect(false), nats.Timeout(5 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.log.Warn("disconnected from NATS", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info("reconnected to NATS")
			b.lookSoon() // it may have come back without what it had
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.denials.heard(err)
			b.log.Warn("NATS refused something", "err", err)
		}),
	}
	if b.o.Creds != "" {
		opts = append(opts, nats.UserCredentials(b.o.Creds))
	}
	if b.o.NKey != "" {
		nkey, err := nats.NkeyOptionFromSeed(b.o.NKey)
		if err != nil {
			return nil, fmt.Errorf("nkey of NATS: %w", err)
		}
		opts = append(opts, nkey)
	}
	if b.o.Seed != "" {
		seed, err := seedOption(b.o.Seed)
		if err != nil {
			return nil, err
		}
		opts = append(opts, seed)
	}
	if b.o.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(inboxPrefix+b.o.Inbox))
	}
	if b.o.Cert != "" {
		opts = append(opts, nats.ClientCert(b.o.Cert, b.o.Key))
	}
	if b.o.CA != "" {
		opts = append(opts, nats.RootCAs(b.o.CA))
	}
	return opts, nil
}

// redact drops user and password from a URL, or a comma-separated list of
// them.
func redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, p := range parts {
		if u, err := url.Parse(strings.TrimSpace(p)); err == nil {
			u.User = nil
			parts[i] = u.String()
		} else {
			parts[i] = "<unreadable URL>"
		}
	}
	return strings.Join(parts, ",")
}

// Close disconnects and stops the embedded server. It is safe to call twice.
func (b *Bus) Close() {
	if b.untend != nil {
		b.untend()
		b.untend = nil
	}
	if b.unwatch != nil {
		b.unwatch()
		b.watching.Wait()
	}
	if b.nc != nil {
		if b.discard != nil {
			b.discard()
		}
		b.nc.Close()
		b.nc = nil
	}
	if srv := b.embedded(); srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		b.serverMu.Lock()
		b.server = nil
		b.serverMu.Unlock()
	}
}

// discardStreams deletes the streams. A server that shuts down writes the state of each
// one and waits for its consumers in turn, which takes longer than a small scan.
func (b *Bus) discardStreams(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	names := b.js.StreamNames(ctx)
	for name := range names.Name() {
		if err := b.js.DeleteStream(ctx, name); err != nil {
			b.log.Debug("delete stream", "stream", name, "err", err)
			return
		}
	}
}

// Connected reports whether the connection is up and the embedded server, if
// it is that, takes what is published.
func (b *Bus) Connected() bool { return b.nc != nil && b.nc.IsConnected() && !b.unwell.Load() }

// Publish stores message in its stream and returns when the server acknowledged it.
// Outages and full streams are waited out until ctx ends; a repeat within the
// stream's duplicate window is stored once.
func (b *Bus) Publish(ctx context.Context, message event.Message) error {
	buf, ok := b.payloads.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer b.payloads.Put(buf)
	// The connection copies what it is given before it returns, also where it
	// is down and keeps it for later.
	payload, err := event.Append((*buf)[:0], message)
	if err != nil {
		return err
	}
	*buf = payload
	subject, id := event.Route(message)
	ctx, span := b.traceSend(ctx, message, subject, id)
	err = b.publish(ctx, &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{}}, id)
	span.End(err)
	return err
}

func (b *Bus) publish(ctx context.Context, msg *nats.Msg, id string, extra ...jetstream.PublishOpt) error {
	opts := append([]jetstream.PublishOpt{jetstream.WithMsgID(id)}, extra...)
	setTrace(ctx, msg.Header)
	wait := RetryWaits(50*time.Millisecond, 2*time.Second)
	publication := publication{queue: b.queueFor(msg.Subject)}
	defer publication.end()
	for {
		if err := publication.wait(ctx); err != nil {
			return fmt.Errorf("publish %s on %s, whose stream is full: %w", id, msg.Subject, err)
		}
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := b.js.PublishMsg(attempt, msg, opts...)
		cancel()
		if err == nil {
			publication.accepted()
			return nil
		}
		if ctx.Err() != nil || !retryable(err) {
			return fmt.Errorf("publish %s on %s: %w", id, msg.Subject, err)
		}
		b.log.DebugContext(ctx, "publish is tried again", "message", id, "subject", msg.Subject, "err", err)
		next := wait.NextBackOff()
		switch {
		case isAPIError(err, streamFull):
			if !publication.refused() {
				continue
			}
			next = min(next, 400*time.Millisecond) // workers make room all the time
		case errors.Is(err, jetstream.ErrNoStreamResponse):
			b.lookSoon()
		}
		if !Pause(ctx, next) {
			return fmt.Errorf("publish %s on %s: %w", id, msg.Subject, err)
		}
	}
}

// retryable tells outages and back-pressure from refusals that will not pass.
func retryable(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence && (api.Code == 503 || api.ErrorCode == streamFull) // 503: no leader, no space
	}
	return !errors.Is(err, nats.ErrMaxPayload) && !errors.Is(err, nats.ErrConnectionClosed) &&
		!errors.Is(err, nats.ErrPermissionViolation) && !errors.Is(err, nats.ErrInvalidMsg) && !errors.Is(err, nats.ErrBadSubject)
}
