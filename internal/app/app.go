// Package app wires shenscan together: every run, of one role or of all, of a
// command or of a test, goes through it. It decides which parts live in this
// process and in which order they start and stop, and nothing else.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/files"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/exporter"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/workers"
)

// Role is a part of the pipeline that a process takes.
type Role uint8

// The roles; All is one process that does everything.
const (
	Producer Role = 1 << iota
	Worker
	Sink
	All = Producer | Worker | Sink
)

// String names the roles.
func (r Role) String() string {
	if r == All {
		return "producer, worker and sink"
	}
	var names []string
	for bit, name := range map[Role]string{Producer: "producer", Worker: "worker", Sink: "sink"} {
		if r&bit != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// Schedule is a scan that happens by itself.
type Schedule = config.Schedule

// Options of an App.
type Options struct {
	Roles Role
	NATS  bus.Options
	Cloud ecsapi.Options
	// API replaces the client of the real SDK; tests use it.
	API ecs.API
	// Language is that of pages where a reader neither chose one nor asks for one by
	// the browser; "" is English.
	Language lang.Language
	// Accounts narrows the accounts that there are, by id or name.
	Accounts []string
	Store    string // folder; the file in it is store.db
	// StoreMaxMiB is what that file may grow to; 0 is as much as the disk takes.
	StoreMaxMiB int
	// KeepGone is how long the store remembers an instance that is gone,
	// KeepHistory how many changes of each instance, KeepScans how many ended
	// scans, and as many rescans. 0 is the default of each.
	KeepGone    time.Duration
	KeepHistory int
	KeepScans   int
	// OwnerTags are the tags that name an owner, for the counts of progress;
	// OwnerAccount names the account as the owner of what has none of them.
	OwnerTags    []string
	OwnerAccount bool
	SinkName     string // tells several sinks apart; default the host's name
	Targets      []string
	Rules        []string // overlay files
	// Schedules are all that there are: others that the server fires are ended.
	// Where they are nil, other processes have them, and none is ended.
	Schedules []Schedule
	// DropApplied drops results once they are stored: nobody else reads them.
	DropApplied bool
	// Distributed says that other processes take roles too: image facts and
	// rates are then shared over the bus.
	Distributed bool
	// KeepTypes refreshes the catalogue of instance types beside the store once
	// a day, for plans.
	KeepTypes bool
	// Probe lets machines be asked, with App.Probe; nothing runs on any without
	// it. Prober replaces the options of asking; tests use it.
	Probe  bool
	Prober prober.Options
	// ProbeScans asks, after each whole scan, the machines that ProbeFilter lets
	// through.
	ProbeScans  bool
	ProbeFilter filter.Filter
	// Concurrency bounds lanes and pages handled side by side.
	Concurrency int
	// ScanIdle ends a scan that made no progress for so long.
	ScanIdle time.Duration
	// Evidence says what is asked beyond the listing.
	Evidence EvidenceOptions
	HTTP     HTTPOptions
	Debug    DebugOptions
	Events   EventsOptions
	// Trace says where spans go; nowhere by default.
	Trace trace.Options
	Log   *slog.Logger
	Now   func() time.Time
	// Reread reads the configuration again for a reload; nil where there is none.
	Reread Reread
	// Hangup asks for a reload whenever it is sent to.
	Hangup <-chan os.Signal
}

// App is one process of shenscan.
type App struct {
	o          Options
	log        *slog.Logger
	bus        *bus.Bus
	started    atomic.Bool // its roles are started
	cloud      ecs.API
	client     *ecsapi.Client   // nil in tests that bring their own cloud
	roster     *producer.Roster // nil without a producer
	classifier atomic.Pointer[rules.Classifier]
	worker     *workers.Worker // nil without
	db         *store.DB
	registry   *prometheus.Registry
	scrape     http.Handler // the registry's metrics, and the fleet's where there is a sink
	metrics    *Metrics
	requests   *producer.Requests
	sink       *sink.Sink
	guests     prober.Book      // nil where no machine was ever asked
	probing    *probing         // how asking them goes
	guestsNow  func() time.Time // the clock by which the age of answers counts
	filled     *prober.Filler   // what producers look up of the same machines; nil where guests is
	listener   net.Listener
	debug      net.Listener // of profiles and the level of the log
	snapshots  *snapshots
	plans      answered[*plan.Plan]
	remedies   answered[func(*report.Bucket) string]
	groups     answered[*record.StartGroups]
	access     access // of the page
	closes     []func()

	schedules atomic.Pointer[[]Schedule] // those that the server fires, of a producer

	reloads reloading
	ended   chan struct{} // closed when nobody takes reloads any more
	// Of keepReloading alone, once the process runs.
	settings      Settings
	schedulesOwed bool // the server's schedules may be those of a refused reload
}

// ConfigError is a mistake in flags, environment or files: nothing was tried.
type ConfigError struct{ Err error }

// Error says what is wrong.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// ExitCode is that of wrong usage.
func (e *ConfigError) ExitCode() int { return 2 }

// StoreFile is the file of the store in its folder.
func StoreFile(dir string) string { return filepath.Join(dir, "store.db") }

// New opens everything that the options ask for; nothing runs yet. A failed New closes
// what it opened.
func New(ctx context.Context, options Options) (_ *App, err error) {
	application := &App{o: options, log: options.Log, registry: prometheus.NewRegistry(), reloads: make(reloading), ended: make(chan struct{}), settings: options.Settings()}
	defer func() {
		if err != nil {
			application.Close()
		}
	}()
	classifier, err := Classifier(options.Rules, options.Targets)
	if err != nil {
		return nil, err
	}
	application.classifier.Store(classifier)
	if err := options.Evidence.check(); err != nil {
		return nil, &ConfigError{err}
	}
	if err := checkSchedules(options.Schedules); err != nil {
		return nil, err
	}
	if err := application.openHTTP(); err != nil {
		return nil, err
	}
	if err := application.openDebug(); err != nil {
		return nil, err
	}
	application.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	application.scrape = promhttp.HandlerFor(application.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: application.registry, MaxRequestsInFlight: 8, Timeout: 30 * time.Second})
	application.metrics = newMetrics(application.registry, classifier.Ruleset())
	application.probing = newProbing(application.registry, options.Probe)
	application.metrics.reloadSuccess.Set(1)
	application.metrics.reloadTime.Set(float64(options.Now().Unix()))
	if options.Roles&Sink != 0 {
		if err := application.openStore(ctx); err != nil {
			return nil, err
		}
	}
	if err := options.NATS.Validate(); err != nil {
		return nil, &ConfigError{err}
	}
	tracer, err := trace.Open(ctx, options.Trace)
	if err != nil {
		return nil, &ConfigError{err}
	}
	application.onClose(func() { tracer.Close(ctx) })
	// Producers see to the streams; workers and sinks take them as they are.
	options.NATS.Tracer, options.NATS.Declare = tracer, options.Roles&Producer != 0
	options.NATS.Inbox = cmp.Or(options.NATS.Inbox, inboxes[options.Roles])
	options.NATS.Dir = cmp.Or(options.NATS.Dir, filepath.Join(options.Store, "nats"))
	if application.bus, err = bus.Open(ctx, options.NATS); err != nil {
		return nil, err
	}
	application.onClose(application.bus.Close)
	if err := application.openGuests(ctx); err != nil {
		return nil, err
	}
	if err := application.showLocalNATS(); err != nil {
		return nil, err
	}
	application.bus.OnDead(func(stream string) { application.metrics.dead.WithLabelValues(stream).Inc() })
	if options.Roles&(Producer|Worker) != 0 {
		if err := application.openCloud(ctx); err != nil {
			return nil, err
		}
	}
	if options.Roles&Sink != 0 {
		application.sink = sink.New(application.db, application.bus, sink.Options{
			Name: application.o.SinkName, ScanIdle: options.ScanIdle, EndLost: !options.NATS.Passing, DropApplied: options.DropApplied, Log: application.log, Now: options.Now, OnDay: application.warnOfWaivers,
			OnAborted: func(why sink.Aborted) { application.metrics.aborted.WithLabelValues(string(why)).Inc() },
		})
		eo := exporter.DefaultOptions()
		eo.CaughtUp, eo.Running = application.sink.CaughtUp, application.db.Running
		fleet := exporter.New(application.db, eo)
		application.scrape = fleet.Handler(application.registry, application.log)
	}
	return application, nil
}

// inboxes are the names of the inboxes of each role, whose user alone hears them.
var inboxes = map[Role]string{Producer: bus.InboxProducer, Worker: bus.InboxWorker, Sink: bus.InboxSink, All: bus.InboxProcess}

func (a *App) onClose(f func()) { a.closes = append(a.closes, f) }

// Close releases everything in reverse. It is safe to call twice.
func (a *App) Close() {
	for _, v := range slices.Backward(a.closes) {
		v()
	}
	a.closes = nil
}

// Classifier compiles the built-in rule set with the overlay files and
// prepares it for the targets, the default ones where none are named.
func Classifier(overlays, targets []string) (*rules.Classifier, error) {
	ruleset, err := Ruleset(overlays)
	if err != nil {
		return nil, err
	}
	parsed, err := Targets(ruleset, targets)
	if err != nil {
		return nil, err
	}
	return ruleset.NewClassifier(parsed), nil
}

// Targets are those of the names, each once; the default ones where none is named.
func Targets(ruleset *rules.Ruleset, names []string) ([]rules.Target, error) {
	if len(names) == 0 {
		return rules.DefaultTargets(), nil
	}
	var out []rules.Target
	for _, name := range names {
		target, err := ruleset.ParseTarget(name)
		if err != nil {
			return nil, &ConfigError{fmt.Errorf("--target: %w%s", err, Meant(name, rules.Classes()))}
		}
		if !slices.ContainsFunc(out, func(have rules.Target) bool { return have.ID == target.ID }) {
			out = append(out, target)
		}
	}
	return out, nil
}

// Meant names the word that was meant, where one of those that there are is near.
func Meant(name string, words []string) string {
	if near := filter.Nearest(name, words); strings.Contains(near, "did you mean") {
		return near
	}
	return ""
}

// Ruleset compiles the built-in rule set with the overlay files.
func Ruleset(overlays []string) (*rules.Ruleset, error) {
	docs, err := ReadOverlays(overlays)
	if err != nil {
		return nil, err
	}
	ruleset, err := catalog.Load(docs...)
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("rules: %w", err)}
	}
	return ruleset, nil
}

// ReadOverlays returns the texts of overlay files, in their order, as Ruleset lays them over
// the built-in rules. A file that cannot be read is a ConfigError, which names it.
func ReadOverlays(paths []string) (docs [][]byte, err error) {
	for _, path := range paths {
		doc, err := os.ReadFile(path)
		if err != nil {
			return nil, &ConfigError{fmt.Errorf("rules: %w", err)}
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// What the store may be told to remember. Below the least a scan would forget
// what the one before it found; beyond the most the file is no store of a fleet
// any more.
const (
	leastGone, mostGone = time.Hour, 10 * 365 * 24 * time.Hour
	mostHistory         = 1000
	mostScans           = 10_000
)

func (o *Options) checkRetention() error {
	switch {
	case o.KeepGone != 0 && (o.KeepGone < leastGone || o.KeepGone > mostGone):
		return fmt.Errorf("--keep-gone %s: give a time between %s and %s", o.KeepGone, leastGone, mostGone)
	case o.KeepHistory < 0 || o.KeepHistory > mostHistory:
		return fmt.Errorf("--keep-history %d: give a number of changes between 1 and %d", o.KeepHistory, mostHistory)
	case o.KeepScans < 0 || o.KeepScans > mostScans:
		return fmt.Errorf("--keep-scans %d: give a number of scans between 1 and %d", o.KeepScans, mostScans)
	}
	return nil
}

func (a *App) openStore(ctx context.Context) error {
	if err := a.o.checkRetention(); err != nil {
		return &ConfigError{err}
	}
	if err := os.MkdirAll(a.o.Store, 0o700); err != nil {
		return fmt.Errorf("store: %w; name a writable folder with --store", err)
	}
	if who := files.Exposed(a.o.Store); who != "" {
		a.log.Warn("the folder of the store is open to others: it tells of the whole fleet; chmod 0700 closes it", "folder", a.o.Store, "open_to", who)
	}
	db, err := store.Open(ctx, store.Options{
		Path: StoreFile(a.o.Store), Classifier: a.classifier.Load(), Today: a.today, MaxSize: int64(max(a.o.StoreMaxMiB, 0)) << 20,
		GoneRetention: a.o.KeepGone, HistoryPerInstance: a.o.KeepHistory, KeepScans: a.o.KeepScans, OwnerTags: a.o.OwnerTags, OwnerAccount: a.o.OwnerAccount,
	})
	if err != nil {
		return err
	}
	a.db, a.snapshots = db, newSnapshots(a)
	a.registry.MustRegister(a.metrics.storeInPlace)
	a.onClose(func() {
		if err := db.Close(); err != nil {
			a.log.Error("store was not closed cleanly", "err", err)
		}
	})
	if !db.NeedsReclassify() {
		return nil
	}
	if err := db.Switch(ctx, a.classifier.Load()); err != nil {
		return fmt.Errorf("judge the stored fleet by the rule set in use: %w", err)
	}
	a.log.Info("stored fleet judged anew; what moved is told before results are read", "ruleset", a.classifier.Load().Digest())
	return nil
}

// warnOfWaivers says, once a day and when the rules change, which waivers have ended
// and which end soon.
func (a *App) warnOfWaivers() {
	for _, note := range WaiverNotes(a.classifier.Load().Ruleset(), a.o.Now()) {
		a.log.Warn("waiver", "note", note)
	}
}

func (a *App) today() string { return a.o.Now().UTC().Format(time.DateOnly) }

func (a *App) openCloud(ctx context.Context) error {
	if a.o.API != nil {
		a.cloud = a.o.API
		a.roster = producer.NewRoster(fixed(a.o.Accounts), a.cloud, nil, a.o.Now)
		return nil
	}
	options := a.o.Cloud
	options.Observer = a.metrics
	if a.o.Distributed {
		kv, err := a.bus.KV(ctx, "shenscan-rate", time.Hour, true)
		if err != nil {
			return err
		}
		options.Shared = sharedRates{kv}
	}
	client, err := ecsapi.New(options)
	if err != nil {
		return &ConfigError{err}
	}
	a.onClose(client.Close)
	a.cloud, a.client = client, client
	if a.o.Roles&Producer == 0 {
		return nil
	}
	a.roster = producer.NewRoster(client, client, a.o.Accounts, a.o.Now)
	return a.checkAccounts(ctx, a.roster, a.o.Accounts)
}

// Run runs the process's roles until ctx ends or one of them fails, then stops
// all of them.
func (a *App) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	release, err := a.start(ctx, group)
	if err != nil { // what began uses what the caller closes when this returns: it ends first
		group.Go(func() error { return err })
	}
	defer release()
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// start starts what the process does in a group. release gives back what it took.
func (a *App) start(ctx context.Context, group *errgroup.Group) (release func(), err error) {
	release = func() {}
	if a.o.Roles&Producer != 0 {
		if err := a.startProducer(ctx, group); err != nil {
			return release, err
		}
	}
	if a.o.Roles&Worker != 0 {
		if err := a.startWorker(ctx, group); err != nil {
			return release, err
		}
	}
	if a.o.Roles&Sink != 0 {
		taken, err := a.takeSinkName(ctx)
		if err != nil {
			return release, err
		}
		release = taken
		a.startSink(ctx, group)
	}
	if a.o.Roles&(Producer|Worker) != 0 {
		group.Go(func() error { return a.bus.MoveDead(ctx, a.onDead) })
	}
	if a.o.KeepTypes {
		group.Go(func() error { return a.keepTypes(ctx) })
	}
	if a.o.KeepTypes && a.db != nil && a.o.Roles&Producer != 0 { // one that stays
		group.Go(func() error { return a.keepTellingMoves(ctx) })
	}
	if a.o.Probe && a.o.ProbeScans {
		group.Go(func() error { return a.keepProbing(ctx) })
	}
	group.Go(func() error { return a.metrics.watchBus(ctx, a.bus, a.db, 5*time.Second) })
	group.Go(func() error { return a.keepReloading(ctx) })
	group.Go(func() error { return a.serveHTTP(ctx) })
	group.Go(func() error { return a.serveDebug(ctx) })
	a.started.Store(true)
	return release, nil
}

func (a *App) startProducer(ctx context.Context, group *errgroup.Group) error {
	options := producer.DefaultOptions()
	options.Log, options.Now, options.Rate = a.log, a.o.Now, a.o.Cloud.MaxRate
	if a.filled != nil {
		options.Guests = *a.filled
	}
	if cloud, ok := a.cloud.(producer.TemplateCloud); ok && a.o.Evidence.Templates {
		options.Templates = producer.NewTemplates(cloud, a.kept(), a.bus, a.o.Now, a.log)
	}
	produce := producer.New(options, a.cloud, a.roster, a.bus, locator{a.bus})
	kv, err := a.bus.KV(ctx, "shenscan-scans", 7*24*time.Hour, false)
	if err != nil {
		return err
	}
	if a.o.Distributed { // made here for workers, whose user may only look
		if _, err := a.bus.KV(ctx, "shenscan-images", imageTTL, true); err != nil {
			return err
		}
	}
	host, _ := os.Hostname()
	do := producer.DefaultRequestOptions()
	do.Ticked = a.ticked
	a.requests = producer.NewRequests(do, a.roster, a.bus, &running{kv, a.bus, a.o.Now}, fmt.Sprintf("%s/%d/%d", host, os.Getpid(), a.o.Now().UnixNano()))
	if err := a.startSchedules(ctx); err != nil {
		return err
	}
	consume := func(consumer bus.Consumer, handle func(context.Context, bus.Delivery) error) {
		if a.o.Concurrency > 0 && (consumer.Name == bus.ConsumeLanes.Name || consumer.Name == bus.ConsumeScopes.Name) {
			consumer.Concurrency = a.o.Concurrency
		}
		a.bus.Await(consumer.Name)
		group.Go(func() error { return a.bus.Consume(ctx, consumer, handle, a.onDead) })
	}
	consume(bus.ConsumeScans, handler(func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		return produce.HandleScan(ctx, m, d.Stored)
	}))
	consume(bus.ConsumeRescans, handler(func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		return produce.HandleRescan(ctx, m, d.Stored, d.Try())
	}))
	consume(bus.ConsumeScopes, handler(func(ctx context.Context, m *event.ScopeJob, d bus.Delivery) error {
		return produce.HandleScope(ctx, m, d.Try())
	}))
	consume(bus.ConsumeChecks, handler(func(ctx context.Context, m *event.ScopeCheck, d bus.Delivery) error {
		return produce.HandleCheck(ctx, m, d.Try())
	}))
	consume(bus.ConsumeLanes, handler(func(ctx context.Context, m *event.LaneJob, d bus.Delivery) error {
		return produce.HandleLane(ctx, m, d.Try())
	}))
	consume(bus.ConsumeTicks, handler(func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		return a.requests.HandleTick(ctx, m, d.Subject, d.Stored)
	}))
	group.Go(func() error { return a.requests.Run(ctx) })
	a.bus.Await(requestService)
	group.Go(func() error { return a.serveRequests(ctx) })
	return nil
}

// handler adapts a typed handler; a message of another type on its subject is
// somebody's mistake and goes to the dead letters.
func handler[T event.Message](handle func(context.Context, T, bus.Delivery) error) func(context.Context, bus.Delivery) error {
	return func(ctx context.Context, delivery bus.Delivery) error {
		m, ok := delivery.Msg.(T)
		if !ok {
			return event.Terminal(fmt.Errorf("%T on %s, where %T is expected", delivery.Msg, delivery.Subject, m))
		}
		return handle(ctx, m, delivery)
	}
}

// imageTTL is how long image facts are believed: an image changes rarely, its
// checks and status sometimes.
const imageTTL = 6 * time.Hour

func (a *App) startWorker(ctx context.Context, group *errgroup.Group) error {
	var shared workers.SharedImages
	if a.o.Distributed {
		kv, err := a.bus.KV(ctx, "shenscan-images", imageTTL, true)
		if err != nil {
			return err
		}
		shared = &sharedImages{kv, a.o.Now}
	}
	kept := a.kept()
	api, platform := a.imageAPI(kept)
	images := workers.NewImageCache(api, shared, 200_000, imageTTL, a.o.Now, a.log)
	if a.o.ScanIdle > 0 { // what waits for longer is taken for lost
		images.Patience = min(images.Patience, a.o.ScanIdle/3)
	}
	worker := workers.New(a.classifier.Load(), images, a.bus, a.metrics)
	worker.Platform, worker.Fleet, worker.Beats, worker.Consoles = platform, workers.NewFleet(kept, a.log), a.heartbeats(kept), a.consoles(kept)
	a.worker = worker
	for _, c := range []bus.Consumer{bus.ConsumeBulkPages, bus.ConsumeFastPages} {
		a.bus.Await(c.Name)
		group.Go(func() error {
			return a.bus.Consume(ctx, c, handler(func(ctx context.Context, m *event.InstancesListed, d bus.Delivery) error {
				return worker.HandlePage(ctx, m, d.Stored)
			}), a.onDead)
		})
	}
	return nil
}

// takeSinkName makes sure that no other sink has this one's name: their
// consumers, events and metrics could not be told apart.
func (a *App) takeSinkName(ctx context.Context) (release func(), err error) {
	release, err = a.bus.Sole(ctx, event.SubjectSinks+event.Token(a.o.SinkName), a.calledItself())
	if errors.Is(err, bus.ErrTaken) {
		return nil, fmt.Errorf("a sink called %q runs on this NATS already: %w; give each a name of its own with --sink-name", a.o.SinkName, err)
	}
	return release, err
}

// calledItself is what this process calls itself to others that want the same name.
func (a *App) calledItself() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("process %d on %s, started %s", os.Getpid(), host, a.o.Now().UTC().Format(time.RFC3339Nano))
}

func (a *App) startSink(ctx context.Context, group *errgroup.Group) {
	a.bus.Await(bus.FollowerName(a.o.SinkName), queryService, evidenceService)
	group.Go(func() error { return a.sink.Run(ctx) })
	group.Go(func() error { return a.serveQueries(ctx) })
	group.Go(func() error { return a.serveEvidence(ctx) })
	group.Go(func() error { return a.openDoor(ctx) })
	group.Go(func() error { return a.keepReady(ctx) })
}
