package simtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/workers"
)

// mutant names a mistake put into the pipeline on purpose, to see that the
// simulation finds it.
type mutant string

const (
	sound          mutant = ""
	ackBeforeWork  mutant = "a page is acknowledged and then forgotten"
	lateIsNew      mutant = "a late repeat counts as new"
	endWithoutPage mutant = "an announced page is never published"
	rowLost        mutant = "a row is left out of its page"
	poorIsNew      mutant = "a page without its images counts as new"
	// walkedAgain is no mistake but what poorIsNew needs to strike: pages are
	// walked again while their images cannot be looked up.
	walkedAgain mutant = "pages are walked again without their images"
)

// world is one shenscan with everything it talks to.
type world struct {
	dir        string
	dice       *dice
	fleet      *fleet
	classifier *rules.Classifier
	mutant     mutant
	log        *slog.Logger

	producers []string // names of the stages; nil for one that has no schedule

	bus    *bus.Bus
	db     *store.DB
	stages map[string]*stage
	late   sync.WaitGroup // repeats on their way; added to under mu, until ended
	ending chan struct{}  // closed when they may not be on their way any longer

	mu sync.Mutex
	// dropped are the pages that the mutant producerDrops has lost.
	dropped map[event.Walk]*event.InstancesListed

	ended  bool
	errs   []error
	faults int
}

// stage is one part of the pipeline, which can be stopped and started.
type stage struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.errs) < 20 {
		w.errs = append(w.errs, fmt.Errorf(format, args...))
	}
}

func (w *world) struck() {
	w.mu.Lock()
	w.faults++
	w.mu.Unlock()
}

// open starts the server and every stage.
func (w *world) open(ctx context.Context) error {
	o := bus.DefaultOptions()
	o.Dir, o.Sync, o.Log = filepath.Join(w.dir, "nats"), bus.SyncInterval, w.log
	// Nothing may age: the server holds the age of what it finds at its start
	// against its clock of access times, which is outside of the bubble.
	const never = 100 * 365 * 24 * time.Hour
	o.Limits = bus.Limits{MaxStore: 8 << 30, PagesBytes: 64 << 20, Results: 256 << 20, ResultsAge: never, EventsAge: never}
	b, err := bus.Open(ctx, o)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.bus = b
	w.mu.Unlock()
	for _, name := range append([]string{"sink", "worker"}, w.producerNames()...) {
		if err := w.startStage(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) startStage(ctx context.Context, name string) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &stage{cancel: cancel}
	w.stages[name] = s
	run := func(f func(context.Context) error) {
		s.done.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				w.fail("%s ended: %w", name, err)
			}
		})
	}
	switch name {
	case "producer", "producer2":
		w.startProducer(run)
		if w.producers != nil {
			return w.startSchedule(ctx, name, run)
		}
	case "worker":
		w.startWorker(run)
	case "sink":
		db, err := store.Open(ctx, store.Options{Path: filepath.Join(w.dir, "store.db"), Classifier: w.classifier})
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.db = db
		w.mu.Unlock()
		sk := sink.New(db, w.bus, sink.Options{Name: "sim", ScanIdle: 6 * time.Minute, Log: w.log, Now: time.Now})
		run(sk.Run)
	}
	return nil
}

func (w *world) stopStage(name string) {
	s := w.stages[name]
	if s == nil {
		return
	}
	delete(w.stages, name)
	s.cancel()
	s.done.Wait()
	if name == "sink" {
		if err := w.db.Close(); err != nil {
			w.fail("close store: %w", err)
		}
	}
}

// close stops everything; late repeats are let go first.
func (w *world) close() {
	for _, name := range append(w.producerNames(), "worker", "sink") {
		w.stopStage(name)
	}
	if w.bus != nil {
		w.bus.Close()
	}
}

// clock is a producer's own idea of the time. In every other seed it is wrong
// by up to six hours, and is set anew now and then while the process runs. The
// others use theirs for durations alone, and those run on a clock that nobody
// sets.
func (w *world) clock() func() time.Time {
	r := w.dice.roll("clock")
	if w.dice.seed%2 == 0 {
		return time.Now
	}
	var mu sync.Mutex
	var wrong time.Duration
	var until time.Time
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.After(until) {
			w.struck()
			wrong = time.Duration(r.Int64N(int64(12*time.Hour))) - 6*time.Hour
			until = now.Add(time.Duration(r.Int64N(int64(4 * time.Minute))))
		}
		return now.Add(wrong)
	}
}

func (w *world) producerNames() []string {
	if w.producers == nil {
		return []string{"producer"}
	}
	return slices.Clone(w.producers)
}

func (w *world) startProducer(run func(func(context.Context) error)) {
	o := producer.DefaultOptions()
	o.LaneSize, o.Log, o.Now = 120, w.log, w.clock()
	o.PageWait = []time.Duration{0, 20 * time.Millisecond, o.PageWait}[w.dice.roll("page wait").IntN(3)]
	p := producer.New(o, w.fleet, producer.NewRoster(w.fleet, w.fleet, nil, w.clock()), lossy{w}, located{w})
	consume(w, run, bus.ConsumeScans, func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		return p.HandleScan(ctx, m, d.Stored)
	})
	consume(w, run, bus.ConsumeRescans, func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		return p.HandleRescan(ctx, m, d.Stored, d.Try())
	})
	consume(w, run, bus.ConsumeScopes, func(ctx context.Context, m *event.ScopeJob, d bus.Delivery) error {
		return p.HandleScope(ctx, m, d.Try())
	})
	consume(w, run, bus.ConsumeChecks, func(ctx context.Context, m *event.ScopeCheck, d bus.Delivery) error {
		return p.HandleCheck(ctx, m, d.Try())
	})
	consume(w, run, bus.ConsumeLanes, func(ctx context.Context, m *event.LaneJob, d bus.Delivery) error {
		return p.HandleLane(ctx, m, d.Try())
	})
	run(func(ctx context.Context) error { return w.bus.MoveDead(ctx, w.onDead) })
}

func (w *world) startWorker(run func(func(context.Context) error)) {
	images := workers.NewImageCache(w.fleet, nil, 1000, time.Hour, time.Now, w.log)
	wk := workers.New(w.classifier, images, lossy{w}, nobody{})
	poor := workers.New(w.classifier, blind{}, lossy{w}, nobody{})
	for _, c := range []bus.Consumer{bus.ConsumeBulkPages, bus.ConsumeFastPages} {
		consume(w, run, c, func(ctx context.Context, m *event.InstancesListed, d bus.Delivery) error {
			err := wk.HandlePage(ctx, m, d.Stored)
			if err == nil && (w.mutant == walkedAgain || w.mutant == poorIsNew) {
				w.walkAgainWithoutImages(poor, m, d.Stored)
			}
			return err
		})
	}
}

// blind knows no image and cannot ask for any.
type blind struct{}

// Lookup implements workers.Images.
func (blind) Lookup(_ context.Context, s ecs.Scope, ids []string) ([]*workers.Image, []record.Failure, error) {
	return make([]*workers.Image, len(ids)), []record.Failure{{Account: s.Account, Region: s.Region, API: "DescribeImages", Error: "the dice say so"}}, nil
}

// walkAgainWithoutImages gives some pages to a worker once more, as another walk
// of their lane, while images cannot be looked up: so late that their scan has
// mostly ended, for it would be partial otherwise. What comes of them is dated by
// the product itself.
func (w *world) walkAgainWithoutImages(poor *workers.Worker, m *event.InstancesListed, stored time.Time) {
	r := w.dice.roll("without images/" + m.ScanID + m.Lane)
	if m.Kind != event.KindScan || r.IntN(4) != 0 {
		return
	}
	again := *m
	again.Walk.Walk += "-poor"
	w.later(5*time.Minute+time.Duration(r.Int64N(int64(5*time.Minute))), func(ctx context.Context) {
		_ = poor.HandlePage(ctx, &again, stored) // the server may be down: then nothing was walked again
	})
}

type nobody struct{}

// Classified implements workers.Observer.
func (nobody) Classified(int) {}

// located finds instances in the store, as producers do by asking a sink.
type located struct{ w *world }

// Locate implements producer.Locator.
func (l located) Locate(_ context.Context, ids []string) (map[string]ecs.Scope, error) {
	out := map[string]ecs.Scope{}
	l.w.mu.Lock()
	db := l.w.db
	l.w.mu.Unlock()
	for _, id := range ids {
		found, err := db.Find(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err // the sink is away
		}
		if len(found) == 1 {
			out[id] = ecs.Scope{Account: found[0].Record.Account, Region: found[0].Record.Region}
		}
	}
	return out, nil
}

// consume runs a consumer whose handler fails, hangs and repeats itself as the
// dice say.
func consume[T event.Message](w *world, run func(func(context.Context) error), c bus.Consumer, h func(context.Context, T, bus.Delivery) error) {
	handle := func(ctx context.Context, d bus.Delivery) error {
		m, ok := d.Msg.(T)
		if !ok {
			return event.Terminal(fmt.Errorf("%T on %s", d.Msg, d.Subject))
		}
		_, id := event.Route(m)
		r := w.dice.roll("handle/" + c.Name + "/" + id)
		switch {
		case w.dice.strikes(r, 0.03):
			w.struck()
			return errors.New("the dice end this delivery before its work")
		case w.dice.strikes(r, 0.02):
			w.struck()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(r.Int64N(int64(50 * time.Second)))):
			}
		}
		if w.mutant == ackBeforeWork && c.Name == bus.ConsumeBulkPages.Name && r.IntN(8) == 0 {
			return nil
		}
		err := h(ctx, m, d)
		if err == nil && w.dice.strikes(r, 0.03) {
			w.struck()
			return errors.New("the dice end this delivery after its work")
		}
		return err
	}
	run(func(ctx context.Context) error { return w.bus.Consume(ctx, c, handle, w.onDead) })
}

// onDead tells the sink what a dead letter means, as internal/app does.
func (w *world) onDead(ctx context.Context, d bus.Dead) error {
	f := record.Failure{API: "shenscan", Class: "dead-letter", Error: d.Cause}
	switch m := d.Msg.(type) {
	case *event.InstancesListed:
		return w.current().Publish(ctx, &event.PageFailed{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Lane: m.Lane, Walk: m.Walk.Walk, Page: m.Page, Failure: f})
	case *event.LaneJob:
		return w.current().Publish(ctx, &event.LaneEnded{ScanID: m.ScanID, Kind: event.KindScan, Scope: m.Scope, Lane: m.Lane, Walk: "dead", Failure: &f})
	case *event.ScopeCheck:
		return w.current().Publish(ctx, &event.ScopeChecked{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Question: m.Question, Part: m.Part, Failure: &f})
	case *event.ScopeJob:
		return w.current().Publish(ctx, &event.ScopeFailed{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Failure: f})
	case *event.ScanRequested:
		return w.current().Publish(ctx, &event.ScanAborted{ScanID: m.ScanID, Kind: m.Kind, Reason: "the request was dead-lettered: " + d.Cause})
	}
	return nil
}

// lossy is the bus as producers and workers see it: it delays, repeats long
// after the duplicate window, and fails after it has stored.
type lossy struct{ w *world }

// Publish implements producer.Publisher and workers.Publisher.
func (l lossy) Publish(ctx context.Context, m event.Message) error {
	w := l.w
	subject, id := event.Route(m)
	r := w.dice.roll("publish/" + subject + "/" + id)
	if w.dice.strikes(r, 0.1) {
		w.struck()
		select { // pages overtake each other
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(r.Int64N(int64(4 * time.Second)))):
		}
	}
	if page, ok := m.(*event.InstancesListed); ok && page.Kind == event.KindScan {
		switch {
		case w.mutant == endWithoutPage && r.IntN(8) == 0:
			return nil
		case w.mutant == rowLost && r.IntN(4) == 0 && page.Rows.Len() > 1:
			short := *page
			short.SetInstances(page.Instances()[1:])
			m = &short
		}
	}
	if page, ok := m.(*event.InstancesClassified); ok && w.mutant == poorIsNew && len(page.Failures) > 0 {
		page.Order = time.Now().UnixNano()
	}
	m, lost := w.discard(m)
	if lost {
		return nil
	}
	if err := w.current().Publish(ctx, m); err != nil {
		return err
	}
	if w.dice.strikes(r, 0.08) || w.mutant == lateIsNew && r.IntN(4) == 0 {
		w.struck()
		w.repeatLater(m, r)
	}
	if w.dice.strikes(r, 0.01) {
		w.struck()
		return errors.New("the dice lose this acknowledgement")
	}
	return nil
}

// current is the bus of the server that runs now.
func (w *world) current() *bus.Bus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bus
}

// lastRepeats lets the repeats that are on their way arrive now. No more leave:
// a WaitGroup must not be added to while it is waited for.
func (w *world) lastRepeats() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	close(w.ending)
	w.late.Wait()
}

// repeatLater publishes m once more: soon, or when its id is long forgotten.
func (w *world) repeatLater(m event.Message, r *rand.Rand) {
	w.later(time.Duration(r.Int64N(int64(8*time.Minute))), func(ctx context.Context) {
		if page, ok := m.(*event.InstancesClassified); ok && w.mutant == lateIsNew {
			fresh := *page
			fresh.Order = time.Now().UnixNano()
			fresh.ScanID += "-late" // the store dates a page of an ended scan by itself
			fresh.Page += 1000      // an id of its own
			m = &fresh
		}
		_ = w.current().Publish(ctx, m) // the server may be down: then nothing was repeated
	})
}

// later does something when that time has passed, or when all late things are to
// happen.
func (w *world) later(after time.Duration, do func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.late.Go(func() {
		select {
		case <-w.ending:
		case <-time.After(after):
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		do(ctx)
	})
}
