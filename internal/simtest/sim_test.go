package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/proctest"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	kept "github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/workers"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed alone, with its log")
	seedsFlag = flag.Int("seeds", few, "how many seeds to run; from 100 on, every other test here runs all of its seeds, too")
	firstFlag = flag.Int("first", 1, "the first of them")
)

// few seeds are what `go test ./...` runs of each test; make test/seeds, which CI
// calls, runs all.
const few = 2

// some is the first few of the seeds, or all of them in a long run.
func some(seeds []uint64) []uint64 {
	if *seedsFlag >= 100 {
		return seeds
	}
	return seeds[:min(few, len(seeds))]
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The server's clock of access times is one goroutine of the process: begun
	// inside a bubble it would hold the bubble for ever.
	ats.Register()
	os.Exit(proctest.Run(m))
}

func TestSeeds(t *testing.T) {
	c := classifier(t)
	if *seedFlag != 0 {
		log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		report(t, *seedFlag, simulate(t, *seedFlag, sound, c, log))
		return
	}
	var struck, rescued, events atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for lane := range 4 {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for seed := *firstFlag + lane; seed < *firstFlag+*seedsFlag; seed += 4 {
					o := simulate(t, uint64(seed), sound, c, slog.New(slog.DiscardHandler))
					report(t, uint64(seed), o)
					struck.Add(int64(o.faults))
					rescued.Add(int64(o.again))
					events.Add(int64(o.events))
				}
			})
		}
	})
	t.Logf("%d seeds from %d, %d faults, %d scans asked for again, %d verdict events", *seedsFlag, *firstFlag, struck.Load(), rescued.Load(), events.Load())
	if least := int64(*seedsFlag) * 20; struck.Load() < least {
		t.Errorf("only %d faults struck, less than %d: the run proves nothing", struck.Load(), least)
	}
}

// failedOnce are seeds that found mistakes in the product: pages whose image
// lookup had failed displaced better ones of the same scan, which was complete;
// and (15, 27, 35) late repeats of an ended scan, dated by a clock that ran
// ahead, displaced what a newer scan had seen.
var failedOnce = []uint64{231, 773, 837, 1207, 2737, 3605, 4743, 15, 27, 35, 543}

func TestSeedsThatFailedOnce(t *testing.T) {
	c := classifier(t)
	for _, seed := range some(failedOnce) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			report(t, seed, simulate(t, seed, sound, c, slog.New(slog.DiscardHandler)))
		})
	}
}

func report(t *testing.T, seed uint64, o outcome) {
	t.Helper()
	if len(o.errs) > 0 {
		t.Errorf("seed %d (repeat with -seed %d): %v", seed, seed, errors.Join(o.errs...))
	}
}

// TestMistakesAreFound puts mistakes into the pipeline that the simulation has
// to find within a few seeds.
func TestMistakesAreFound(t *testing.T) {
	c := classifier(t)
	first := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	for m, seeds := range map[mutant][]uint64{ackBeforeWork: first, lateIsNew: first, endWithoutPage: first, rowLost: first, poorIsNew: first} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds {
				if o := simulate(t, seed, m, c, slog.New(slog.DiscardHandler)); len(o.errs) > 0 {
					t.Logf("found by seed %d: %.300v", seed, o.errs[0])
					return
				}
			}
			t.Errorf("%d seeds did not notice", len(seeds))
		})
	}
}

// TestWalksWithoutTheirImagesYield is the sound product under what the mistake
// poorIsNew is planted into.
func TestWalksWithoutTheirImagesYield(t *testing.T) {
	c := classifier(t)
	for _, seed := range some([]uint64{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			report(t, seed, simulate(t, seed, walkedAgain, c, slog.New(slog.DiscardHandler)))
		})
	}
}

func classifier(t *testing.T) *rules.Classifier {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	return rs.NewClassifier(rules.DefaultTargets())
}

// outcome is what one seed came to.
type outcome struct {
	errs   []error
	faults int
	again  int // scans that had to be asked for again
	events int
}

// start is the time at which every simulation begins: after the fleet was made.
var start = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)

// simulate runs one seed in a bubble of its own.
func simulate(t *testing.T, seed uint64, m mutant, c *rules.Classifier, log *slog.Logger) (o outcome) {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), "simtest-") //nolint:usetesting // in memory where the system has it, which t.TempDir cannot say
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer watch(seed).Stop()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		d := newDice(seed)
		w := &world{dir: dir, dice: d, fleet: newFleet(d), classifier: c, mutant: m, log: log, stages: map[string]*stage{}, ending: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		o = w.run(ctx)
		o.errs, o.faults = append(o.errs, w.errs...), w.faults
		w.close()
		synctest.Wait()
	})
	return o
}

// seedLimit is how long a seed may take by the real clock. One takes less than a
// second, ten under the race detector.
const seedLimit = 3 * time.Minute

// watch ends the process with every stack when a seed stands still: time in a
// bubble goes on only when all wait for time, and not while one waits for a lock
// that a sleeper holds.
func watch(seed uint64) *time.Timer {
	return time.AfterFunc(seedLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("seed %d (repeat with -seed %d) stands still for %s", seed, seed, seedLimit))
	})
}

// memory is a folder without a disk behind it, where there is one: what a
// simulation syncs is never read again after a power cut.
func memory() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// run is the story of every seed: scan under faults, change the fleet, scan
// under faults again, let every late repeat arrive, look.
func (w *world) run(ctx context.Context) (o outcome) {
	for round := range 2 {
		stop := make(chan struct{})
		restarts := make(chan struct{})
		go func() { defer close(restarts); w.restart(ctx, round, stop) }()
		again, err := w.scan(ctx, fmt.Sprintf("s-%d", round), stop, restarts)
		o.again += again
		if err != nil {
			o.errs = append(o.errs, err)
			break
		}
		o.errs = append(o.errs, w.compare(ctx, fmt.Sprintf("after scan %d", round))...)
		if round == 0 {
			w.fleet.change(w.dice.roll("change"))
			w.dice.loud()
		}
	}
	w.lastRepeats()
	w.settle(ctx)
	o.errs = append(o.errs, w.compare(ctx, "after every late repeat")...)
	final, err := w.levels(ctx)
	if err != nil {
		return outcome{errs: append(o.errs, err)}
	}
	w.close()
	var errs []error
	o.events, errs = w.chains(ctx, final)
	o.errs = append(o.errs, errs...)
	return o
}

// scan asks for a scan until one is complete: under faults at first, without
// them when that did not do.
func (w *world) scan(ctx context.Context, name string, stop chan struct{}, restarts <-chan struct{}) (again int, err error) {
	defer func() {
		close(stop)
		<-restarts
	}()
	for try := range 5 {
		if try == 3 {
			w.dice.quiet()
		}
		id := fmt.Sprintf("%s-%d", name, try)
		if err := w.publish(ctx, &event.ScanRequested{ScanID: id, Kind: event.KindScan}); err != nil {
			return again, err
		}
		s, err := w.await(ctx, id, 25*time.Minute)
		if err != nil {
			return again, err
		}
		if s.State == record.ScanComplete {
			return again, nil
		}
		again++
		if s.State == record.ScanAborted {
			w.fail("scan %s had to be aborted: %s: %+v", id, s.Reason, s.Scopes)
		}
		time.Sleep(2 * time.Minute) // a failed look at images is remembered for one
		w.log.Warn("scan is asked for again", "scan", id, "state", s.State, "reason", s.Reason, "scopes", fmt.Sprintf("%+v", s.Scopes))
	}
	return again, errors.New("no scan became complete, though the faults had ended")
}

// publish outlasts restarts of the server.
func (w *world) publish(ctx context.Context, m event.Message) error {
	for {
		w.mu.Lock()
		b := w.bus
		w.mu.Unlock()
		err := b.Publish(ctx, m)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func (w *world) await(ctx context.Context, id string, limit time.Duration) (*record.Scan, error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		w.mu.Lock()
		db := w.db
		w.mu.Unlock()
		s, err := db.Scan(id)
		switch {
		case err == nil && s.State != record.ScanRunning:
			return s, nil
		case err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrClosed):
			return nil, fmt.Errorf("look at scan %s: %w", id, err)
		}
	}
	return nil, fmt.Errorf("scan %s did not end within %s", id, limit)
}

// restart stops and starts stages, and now and then everything, until told to
// stop.
func (w *world) restart(ctx context.Context, round int, stop <-chan struct{}) {
	r := w.dice.roll(fmt.Sprintf("restart/%d", round))
	for n := range 2 + r.IntN(5) {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(r.Int64N(int64(12 * time.Second)))):
		}
		w.struck()
		name := []string{"producer", "worker", "sink", "sink", "everything"}[r.IntN(5)]
		w.log.Info("restart", "stage", name, "n", n)
		var err error
		if name == "everything" {
			w.close()
			err = w.open(ctx)
		} else {
			w.stopStage(name)
			time.Sleep(time.Duration(r.Int64N(int64(20 * time.Second))))
			err = w.startStage(ctx, name)
		}
		if err != nil {
			w.fail("start %s again: %w", name, err)
			return
		}
	}
}

// settle waits until nothing is on its way any more: no job and no page waits,
// and the sink has applied and emitted everything.
func (w *world) settle(ctx context.Context) {
	for range 6000 {
		if w.idle(ctx) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	w.fail("what was on its way did not arrive within twenty minutes")
}

func (w *world) idle(ctx context.Context) bool {
	for _, name := range []string{bus.StreamWork, bus.StreamPages} {
		if st, err := w.bus.State(ctx, name); err != nil || st.Messages > 0 {
			return false
		}
	}
	st, err := w.bus.State(ctx, bus.StreamResults)
	if err != nil || w.db.Position().Seq != st.LastSeq {
		return false
	}
	events, err := w.db.Outbox(0, 1)
	if err != nil || len(events) > 0 {
		return false
	}
	questions, err := w.db.Questions(1)
	return err == nil && len(questions) == 0
}

// stored are the instances that the store holds, gone ones included.
func (w *world) stored(ctx context.Context) (list []*record.Record, err error) {
	view, err := w.db.View(ctx, nil, store.Filter{Gone: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	for r, err := range view.Instances(ctx) {
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// levels are the verdicts that the store holds, by instance.
func (w *world) levels(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	list, err := w.stored(ctx)
	for _, r := range list {
		out[r.InstanceID] = verdicts(r)
	}
	return out, err
}

func verdicts(r *record.Record) string {
	var b strings.Builder
	for _, v := range r.Verdicts {
		fmt.Fprintf(&b, "%s=%s ", v.Target, v.Level)
	}
	return b.String()
}

// compare holds the store against the fleet.
func (w *world) compare(ctx context.Context, when string) (errs []error) {
	bad := func(format string, args ...any) {
		if len(errs) < 10 {
			errs = append(errs, fmt.Errorf(when+": "+format, args...))
		}
	}
	want := w.expected()
	there, gone := 0, 0
	list, err := w.stored(ctx)
	if err != nil {
		return append(errs, err)
	}
	for _, r := range list {
		if r.GoneAt != nil {
			gone++
			if !w.fleet.gone[r.InstanceID] {
				bad("%s is taken for gone and is there", r.InstanceID)
			}
			continue
		}
		there++
		e, ok := want[r.InstanceID]
		if !ok {
			bad("%s is recorded and not there", r.InstanceID)
		} else if got := line(r.InstanceName, r.Status, r.ImageID, r.InstanceType, r.Zone, verdicts(r), r.Tags["n"]); got != e {
			bad("%s is recorded as\n%s, and is\n%s", r.InstanceID, got, e)
		}
	}
	if there != len(want) || gone > len(w.fleet.gone) {
		bad("%d instances recorded and %d gone; the fleet has %d and lost %d", there, gone, len(want), len(w.fleet.gone))
	}
	if s := w.db.Summary(); s.Instances != there || s.Gone != gone {
		bad("the summary counts %d instances and %d gone, the records are %d and %d", s.Instances, s.Gone, there, gone)
	}
	return errs
}

func line(parts ...string) string { return strings.Join(parts, "|") }

// expected is what a sound scan records of every instance.
func (w *world) expected() map[string]string {
	out := map[string]string{}
	for _, list := range w.fleet.scopes {
		listed := &event.InstancesListed{}
		listed.SetInstances(list)
		images := make([]*workers.Image, len(listed.Software))
		for i, s := range listed.Software {
			if facts := w.fleet.images[s.ImageID]; facts != nil {
				images[i] = &workers.Image{Facts: *facts}
			}
		}
		page := workers.Classify(kept.NewReader(w.classifier), listed, images)
		i := 0
		for row := range page.Rows.All() {
			var b strings.Builder
			class := &page.Classes[page.Profiles[row.Profile].Class]
			for t, name := range page.Targets {
				fmt.Fprintf(&b, "%s=%s ", name, class.Level(t))
			}
			x := &list[i]
			i++
			out[x.ID] = line(x.Name, x.Status, x.ImageID, x.Type, x.Zone, b.String(), x.Tags[0].Value)
		}
	}
	return out
}

// chains reads the verdict events and follows each instance through them: the
// first starts from what was known, each goes on where the one before ended,
// and the last ends with what the store holds. A lost or a doubled event breaks
// a chain.
func (w *world) chains(ctx context.Context, final map[string]string) (n int, errs []error) {
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: filepath.Join(w.dir, "nats"), DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		return 0, []error{err}
	}
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		return 0, []error{err}
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, []error{err}
	}
	s, err := js.Stream(ctx, bus.StreamEvents)
	if err != nil {
		return 0, []error{err}
	}
	last := map[string]string{}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		raw, err := s.GetMsg(ctx, seq)
		if err != nil {
			return n, append(errs, fmt.Errorf("event %d of %+v: %w", seq, s.CachedInfo().State, err))
		}
		if !strings.HasPrefix(raw.Subject, event.SubjectVerdictEvents+".") {
			continue
		}
		n++
		var e struct {
			Data event.VerdictChanged `json:"data"`
		}
		if err := json.Unmarshal(raw.Data, &e); err != nil {
			return n, append(errs, err)
		}
		id, before, after := e.Data.After.InstanceID, verdicts(e.Data.Before), verdicts(e.Data.After)
		if was, ok := last[id]; ok && was != before {
			errs = append(errs, fmt.Errorf("event %d of %s starts from %q, the one before ended with %q", seq, id, before, was))
		}
		if before == after {
			errs = append(errs, fmt.Errorf("event %d of %s changes nothing", seq, id))
		}
		last[id] = after
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if last[id] != final[id] && !w.fleet.gone[id] {
			errs = append(errs, fmt.Errorf("the last event of %s says %q, the store %q", id, last[id], final[id]))
		}
	}
	return n, errs[:min(len(errs), 5)]
}

var _ ecs.API = (*fleet)(nil)
