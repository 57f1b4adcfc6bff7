// Package sink keeps what the workers found: it applies results to the store
// in order, emits an event for every change, ends scans that cannot end by
// themselves, and knows whether it has caught up. It asks the cloud nothing.
package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// Options of a Sink.
type Options struct {
	// Name tells several sinks apart; each has a consumer and a store of its
	// own.
	Name string
	// MaxBatch messages, or what arrives within Linger of the first, go into
	// one transaction.
	MaxBatch int
	Linger   time.Duration
	// DropApplied removes from the results stream what the store holds, every
	// dropEvery messages: the server keeps the last ten seconds of a stream in
	// memory. It is for a stream that no other sink will read.
	DropApplied bool
	// ScanIdle ends a scan that made no progress for so long; 0 never does.
	ScanIdle time.Duration
	// LostAfter ends a scan of which nothing was on its way for so long: neither a
	// job nor a page nor a result. 20 s by default, and never where ScanIdle is 0.
	LostAfter time.Duration
	// OnAborted hears of each scan that this sink ends because it cannot go on;
	// nil for nobody.
	OnAborted func(Aborted)
	// EndLost ends the scans that ran when NATS lost its streams and asks for
	// them again. It is for a server that is to keep them.
	EndLost bool
	// OnDay is called when the stored fleet is judged as of a new day, the first
	// one included; nil for nobody.
	OnDay func()
	Log   *slog.Logger
	Now   func() time.Time
}

// Aborted says why a scan cannot go on.
type Aborted string

// The causes.
const (
	AbortedStreams Aborted = "streams-lost" // NATS lost what it held
	AbortedWork    Aborted = "work-lost"    // NATS holds nothing of the scan that anybody could do
	AbortedIdle    Aborted = "idle"         // it made no progress for ScanIdle
)

func (o *Options) fill() {
	if o.LostAfter == 0 {
		o.LostAfter = 20 * time.Second
	}
	if o.OnAborted == nil {
		o.OnAborted = func(Aborted) {}
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = 128
	}
	if o.Linger == 0 {
		o.Linger = 20 * time.Millisecond
	}
}

// dropEvery is how many results are dropped at a time: about 20 MB, some of
// the server's blocks, of which it must write the last one anew.
const dropEvery = 256

// Sink applies the results stream to a store.
type Sink struct {
	o        Options
	db       *store.DB
	bus      *bus.Bus
	drain    chan struct{} // holds one token while the outbox may hold something
	asks     chan struct{} // the same for questions
	moved    chan struct{} // holds one token since a scan moved on
	untold   owed          // a change of rules failed before all that it moved was told
	caughtUp caughtUp
	applied  event.Position // before the batch at hand; for DropApplied
	warned   map[store.JudgedBy]bool
	dropped  uint64
	quiet    quiet

	lostMu sync.Mutex
	lost   []record.Scan // scans to be ended: NATS lost what they had on its way
}

// New returns a Sink; Run does the work.
func New(db *store.DB, b *bus.Bus, o Options) *Sink {
	o.fill()
	return &Sink{o: o, db: db, bus: b, drain: make(chan struct{}, 1), asks: make(chan struct{}, 1), moved: make(chan struct{}, 1), warned: map[store.JudgedBy]bool{}}
}

// CaughtUp reports whether the store holds all that the results stream held a
// moment ago.
func (s *Sink) CaughtUp() bool { return s.caughtUp.Load() }

// WhileCaughtUp runs f, again and again, with a context that lives as long as
// the store has caught up, until ctx ends: a store that lacks what the stream
// holds would answer wrongly.
func (s *Sink) WhileCaughtUp(ctx context.Context, f func(context.Context) error) error {
	for {
		if !s.caughtUp.await(ctx, true) {
			return nil
		}
		while, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- f(while) }()
		behind := make(chan struct{})
		go func() { defer close(behind); s.caughtUp.await(while, false) }()
		var err error
		select {
		case err = <-ended:
			stop()
		case <-behind:
			stop()
			err = <-ended
		}
		<-behind
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// caughtUp is a truth that others wait for.
type caughtUp struct {
	now     atomic.Bool
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
}

func (c *caughtUp) Load() bool { return c.now.Load() }

func (c *caughtUp) Store(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Swap(now) != now && c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// await waits until it is as wanted, and reports false where ctx ended first.
func (c *caughtUp) await(ctx context.Context, want bool) bool {
	for {
		c.mu.Lock()
		if c.now.Load() == want {
			c.mu.Unlock()
			return true
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// Moved is sent to when the store holds another state of a scan. It is for one
// receiver.
func (s *Sink) Moved() <-chan struct{} { return s.moved }

// Run applies results, emits events and watches scans until ctx ends.
func (s *Sink) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	s.mayHold() // what an earlier process left
	group.Go(func() error { return s.follow(ctx) })
	group.Go(func() error { return s.emit(ctx) })
	group.Go(func() error { return s.watch(ctx) })
	group.Go(func() error { return s.keepDay(ctx) })
	return group.Wait()
}

func (s *Sink) follow(ctx context.Context) error {
	following := bus.Follow{Name: s.o.Name, MaxBatch: s.o.MaxBatch, Linger: s.o.Linger, Replaced: s.noteLost, Back: s.startOver, Gap: func(missed uint64) {
		s.o.Log.Error("results were dropped before this sink read them; scan again, or restore a backup of another sink", "missed", missed)
	}}
	wait := retryWaits()
	for {
		began := s.o.Now()
		err := s.settle(ctx) // results wait for it
		if err == nil {
			err = s.bus.FollowResults(ctx, following, s.db.Position(), s.apply)
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, store.ErrCorrupt) {
			return err
		}
		// A full disk, a lost broker and a stream that was made anew pass; what
		// was not committed is read again.
		s.caughtUp.Store(false)
		s.o.Log.Error("results were not applied; trying again", "err", err)
		if !bus.Pause(ctx, after(wait, s.o.Now().Sub(began))) {
			return nil
		}
	}
}

// after is how long to wait after a try that lasted so long: one of more than a minute
// went well for a while, and what ended it is no repeat of what was waited for before.
func after(wait *backoff.ExponentialBackOff, lasted time.Duration) time.Duration {
	if lasted > time.Minute {
		wait.Reset()
	}
	return wait.NextBackOff()
}

// retryWaits are how long to wait between tries, from a tenth of a second to five.
func retryWaits() *backoff.ExponentialBackOff {
	return bus.RetryWaits(100*time.Millisecond, 5*time.Second)
}

func (s *Sink) apply(ctx context.Context, batch []event.Received) error {
	// A stop does not interrupt a commit: the batch is in hand.
	applied, err := s.db.Apply(context.WithoutCancel(ctx), batch)
	if err != nil {
		s.mayHold() // a part of the batch may be in
		return err
	}
	for i := range applied.Scans {
		sc := &applied.Scans[i]
		s.o.Log.InfoContext(ctx, "scan moved on", "scan", sc.ID, "state", sc.State, "kind", sc.Kind, "instances", sc.Instances, "gone", sc.Gone, "changed", sc.Changed)
		s.logScopes(ctx, sc)
	}
	s.warnNotUp(ctx, applied.NotUp)
	s.warnAnew(ctx, applied.Anew)
	if len(applied.Scans) > 0 {
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
	if len(applied.Changes)+len(applied.Scans)+applied.Asked > 0 {
		s.mayHold()
	}
	if s.o.DropApplied {
		s.drop(ctx)
	}
	return nil
}

// warnNotUp says aloud which instances did not come up after a move: where they
// were judged compatible, a rule or its evidence is wrong.
func (s *Sink) warnNotUp(ctx context.Context, moves []record.Move) {
	for i := range moves {
		move := &moves[i]
		log := s.o.Log.With("account", move.Account, "region", move.Region, "instance", move.InstanceID, "from", move.From, "to", move.To, "target", move.Target, "verdict", move.Verdict, "confidence", move.Confidence, "rule", move.Rule, "cause", move.Why)
		if move.Verdict == rules.Compatible.String() {
			log.ErrorContext(ctx, "AN INSTANCE THAT WAS JUDGED COMPATIBLE DID NOT COME UP AFTER ITS MOVE: look at its console, move it back, and stop moves that rest on the same rule")
		} else {
			log.ErrorContext(ctx, "an instance did not come up after its move, as was to be feared")
		}
	}
}

// warnAnew logs, once each, whose pages are judged anew.
func (s *Sink) warnAnew(ctx context.Context, anew map[store.JudgedBy]int) {
	for by := range anew {
		switch {
		case s.warned[by]:
		case by.Unsound:
			s.o.Log.ErrorContext(ctx, "pages came with verdicts that no rule set gives; they are judged anew: look for what else publishes on the results stream", "ruleset", by.Ruleset)
		default:
			s.o.Log.WarnContext(ctx, "a worker judges by another rule set or for other targets; its pages are judged anew: give workers and sinks the same --rules and --target",
				"ruleset", by.Ruleset, "targets", by.Targets, "own_ruleset", s.db.Summary().Ruleset)
		}
		s.warned[by] = true
	}
}

// logScopes logs what each stage of a scan that ended had of its scopes: those
// that are not complete as a warning.
func (s *Sink) logScopes(ctx context.Context, scan *record.Scan) {
	if scan.State == record.ScanRunning || scan.Kind != string(event.KindScan) {
		return
	}
	for i := range scan.Scopes {
		scanScope := &scan.Scopes[i]
		level, counted := slog.LevelInfo, "not told"
		if scanScope.Completeness != record.ScopeComplete {
			level = slog.LevelWarn
		}
		if scanScope.Counted != nil {
			counted = strconv.Itoa(*scanScope.Counted)
		}
		attrs := []any{
			"scan", scan.ID, "account", scanScope.Account, "region", scanScope.Region, "completeness", scanScope.Completeness, "counted", counted, "listed", scanScope.Listed,
			"published", scanScope.Published, "classified", scanScope.Classified, "stored", scanScope.Stored, "gone", scanScope.Gone, "asked_by_id", scanScope.AskedByID,
		}
		if len(scanScope.Failures) > 0 {
			attrs = append(attrs, "cause", scanScope.Failures[0].Error)
		}
		s.o.Log.Log(ctx, level, "scope ended", attrs...)
	}
}

// drop drops what was applied before the batch at hand. What is not dropped only takes memory.
func (s *Sink) drop(ctx context.Context) {
	now := s.db.Position()
	if s.applied.Stream != now.Stream {
		s.applied, s.dropped = event.Position{Stream: now.Stream}, 0
	}
	if s.applied.Seq >= s.dropped+dropEvery {
		if err := s.bus.DropResults(ctx, s.applied); err != nil {
			s.o.Log.DebugContext(ctx, "applied results were not dropped", "err", err)
		}
		s.dropped = s.applied.Seq
	}
	s.applied = now
}

// mayHold says that the store may hold events or questions that nobody published yet.
func (s *Sink) mayHold() {
	for _, waits := range []chan struct{}{s.drain, s.asks} {
		select {
		case waits <- struct{}{}:
		default:
		}
	}
}

// emit publishes what waits in the store: events in order, and beside them questions for
// producers. A scan ends when its questions are answered, so that no question waits for
// an event that has no room, or whose stream is away.
func (s *Sink) emit(ctx context.Context) error {
	emitter := s.bus.NewEmitter()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.publish(ctx, s.asks, "questions", s.ask) })
	group.Go(func() error {
		return s.publish(ctx, s.drain, "events", func(ctx context.Context) error { return s.empty(ctx, emitter) })
	})
	return group.Wait()
}

// publish calls all, which publishes all that waits, whenever something may. What cannot
// be published or taken off now, for want of a stream or of room, is tried again: results
// are stored meanwhile.
func (s *Sink) publish(ctx context.Context, waits <-chan struct{}, what string, all func(context.Context) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-waits:
		}
		for wait := retryWaits(); ; {
			err := all(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			if errors.Is(err, store.ErrCorrupt) {
				return err
			}
			s.o.Log.Error("events or questions were not published; trying again", "what", what, "err", err)
			bus.Pause(ctx, wait.NextBackOff())
		}
	}
}

// ask puts to producers the questions that wait.
func (s *Sink) ask(ctx context.Context) error {
	for {
		questions, err := s.db.Questions(256)
		if err != nil {
			return fmt.Errorf("read questions: %w", err)
		}
		if len(questions) == 0 {
			return nil
		}
		for _, q := range questions {
			if !s.db.Awaits(q.Check) {
				continue // answered, or its scan has ended
			}
			switch err := s.bus.Publish(ctx, q.Check); {
			case bus.IsRefused(err): // its scope stays undecided, and the scan ends for want of progress
				s.o.Log.ErrorContext(ctx, "question cannot be put to a producer", "scan", q.Check.ScanID, "account", q.Check.Scope.Account, "region", q.Check.Scope.Region, "err", err)
			case err != nil:
				return fmt.Errorf("put a question to a producer: %w", err)
			}
		}
		if err := s.db.QuestionsPut(questions[len(questions)-1].Key); err != nil {
			return fmt.Errorf("forget questions that were asked: %w", err)
		}
	}
}

// empty publishes the events that wait.
func (s *Sink) empty(ctx context.Context, emitter *bus.Emitter) error {
	for {
		entries, err := s.db.Outbox(0, 256)
		if err != nil {
			return fmt.Errorf("read outbox: %w", err)
		}
		if len(entries) == 0 {
			return nil
		}
		for i := range entries {
			// A judgement that was followed by another is told of and forgotten before
			// that: told of again after a crash it would be one more occurrence.
			if i > 0 && entries[i].Judgement != entries[i-1].Judgement {
				if err := s.delivered(entries[i-1].Key); err != nil {
					return err
				}
			}
			if err := s.emitOrBury(ctx, emitter, &entries[i]); err != nil {
				return err
			}
		}
		if err := s.delivered(entries[len(entries)-1].Key); err != nil {
			return err
		}
	}
}

func (s *Sink) delivered(upto uint64) error {
	if err := s.db.Delivered(upto); err != nil {
		return fmt.Errorf("empty outbox: %w", err)
	}
	return nil
}

// emitOrBury publishes one entry of the outbox. An event that would be refused
// however often it is published becomes a dead letter with the cause, and those
// behind it go on.
func (s *Sink) emitOrBury(ctx context.Context, emitter *bus.Emitter, told *store.Event) error {
	subject, body, err := s.emitOne(ctx, emitter, told)
	if err == nil || !bus.IsRefused(err) {
		return err
	}
	s.o.Log.ErrorContext(ctx, "event cannot be published and is set aside; see `shenscan dead list`", "subject", subject, "bytes", len(body), "err", err)
	return s.bus.BuryEvent(ctx, s.o.Name, subject, eventID(told), body, err)
}

func (s *Sink) emitOne(ctx context.Context, emitter *bus.Emitter, told *store.Event) (subject string, body []byte, err error) {
	switch {
	case told.Change != nil && told.Judgement != "":
		r := told.Change
		subject = verdictSubject(r)
		err := emitter.EmitJudged(ctx, subject, told.Judgement, r.Account+"-"+r.Region+"-"+r.InstanceID, func(id string) ([]byte, error) {
			var err error
			body, err = verdictEvent(told, id)
			return body, err
		})
		return subject, body, err
	case told.Change != nil:
		subject = verdictSubject(told.Change)
		body, err = verdictEvent(told, eventID(told))
	case told.Scan != nil:
		subject, body, err = scanEvent(told)
	default:
		return "", nil, nil
	}
	if err != nil {
		return subject, nil, fmt.Errorf("encode event: %w", err)
	}
	return subject, body, emitter.Emit(ctx, subject, told.At, told.Index, body)
}

// watch looks every second whether the store has caught up, and now and then
// for scans that stand still.
func (s *Sink) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	progress := map[string]standing{}
	var seen marks
	for {
		s.look(ctx, progress, &seen)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// standing is how far a scan was and since when.
type standing struct {
	pages, done, asked int
	since              time.Time
}

// marks are where the results stream ended a while ago: a store that holds
// those messages keeps up with what arrives.
type marks struct {
	old, young mark
	// older says that the stream ended before the store. Where it does so twice in a row
	// it is an older copy, of which the store has not read what is new.
	older bool
}

type mark struct {
	event.Position
	at time.Time
}

// caughtUpWithin is how far a store that has caught up may be behind; it is
// behind by twice that at most.
const caughtUpWithin = 5 * time.Second

// reached says whether a store at pos has caught up with a stream that ends at
// end now.
func (m *marks) reached(pos, end event.Position, now time.Time) bool {
	if m.young.Stream != end.Stream {
		m.old, m.young = mark{}, mark{end, now}
	} else if now.Sub(m.young.at) >= caughtUpWithin {
		m.old, m.young = m.young, mark{end, now}
	}
	if end.Seq == 0 {
		return true
	}
	if pos.Stream != end.Stream {
		return false
	}
	return pos.Seq >= end.Seq || m.old.Stream == end.Stream && pos.Seq >= m.old.Seq
}

func (s *Sink) look(ctx context.Context, progress map[string]standing, seen *marks) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	before := s.db.Position()
	st, err := s.bus.State(ctx, bus.StreamResults)
	pos := s.db.Position()
	was := seen.older
	seen.older = before.Stream == st.Created && before.Seq > st.LastSeq && st.LastSeq > 0 // 0 where err is not nil
	s.caughtUp.Store(err == nil && !(was && seen.older) && seen.reached(pos, event.Position{Stream: st.Created, Seq: st.LastSeq}, s.o.Now()))
	if err == nil {
		s.endLost(ctx)
	}
	if s.o.ScanIdle <= 0 || !s.caughtUp.Load() {
		return
	}
	scans, err := s.db.Running()
	if err != nil {
		s.o.Log.Error("scans were not read", "err", err)
		return
	}
	running := map[string]bool{}
	lost := sync.OnceValue(func() bool {
		at, nothing := s.nothingOnItsWay(ctx)
		return s.quiet.since(at, nothing, s.o.Now()) >= s.o.LostAfter/2
	})
	for _, scan := range scans {
		running[scan.ID] = true
		was, ok := progress[scan.ID]
		asked := 0
		for i := range scan.Scopes {
			asked += scan.Scopes[i].AskedByID
		}
		now := standing{scan.Pages, scan.Done, asked, s.o.Now()}
		if !ok || was.pages != now.pages || was.done != now.done || was.asked != now.asked {
			progress[scan.ID] = now
			continue
		}
		switch stands := now.since.Sub(was.since); {
		case stands > s.o.ScanIdle:
			s.abort(ctx, &scan, AbortedIdle, fmt.Sprintf("no progress for %s: its jobs or pages were lost, or no producer or worker runs", s.o.ScanIdle))
		case stands >= s.o.LostAfter/2 && lost():
			s.abort(ctx, &scan, AbortedWork, "its jobs or pages were lost: NATS holds none that are still to be done, and every result is stored")
		default:
			continue
		}
		progress[scan.ID] = now
	}
	for id := range progress {
		if !running[id] {
			delete(progress, id)
		}
	}
}

// nothingOnItsWay says whether a scan that runs by the store can go on no more, and
// the position at which that is so. Whoever does a job stores what comes of it
// before the job leaves its stream. The streams are looked at in that order, and the
// store last: what is in none of them then, and in no transaction since, was lost.
func (s *Sink) nothingOnItsWay(ctx context.Context) (at event.Position, nothing bool) {
	at = s.db.Position()
	if waits, err := s.db.Questions(1); err != nil || len(waits) > 0 {
		return at, false
	}
	for _, stream := range []string{bus.StreamWork, bus.StreamPages} {
		if st, err := s.bus.State(ctx, stream); err != nil || st.Messages > 0 {
			return at, false
		}
	}
	st, err := s.bus.State(ctx, bus.StreamResults)
	return at, err == nil && st.Created == at.Stream && st.LastSeq <= at.Seq && s.db.Position() == at
}

// quiet is since when nothing was on its way.
type quiet struct {
	at   event.Position
	from time.Time
}

// since returns for how long nothing has been on its way and nothing arrived.
func (q *quiet) since(at event.Position, nothing bool, now time.Time) time.Duration {
	switch {
	case !nothing:
		*q = quiet{}
		return 0
	case q.from.IsZero() || q.at != at:
		*q = quiet{at, now}
	}
	return now.Sub(q.from)
}

// again ends the id of a scan that is run for the second and last time.
const again = "-again"

// noteLost notes the scans that run by the store while the results stream is
// another one than the store has read: a server that came back empty has lost
// what was on its way. It is asked before anything of the new stream is read:
// what processes still hold of a lost scan soon arrives there.
func (s *Sink) noteLost(ctx context.Context) {
	if !s.o.EndLost {
		return
	}
	scans, err := s.db.Running()
	if err != nil {
		s.o.Log.ErrorContext(ctx, "scans were not read", "err", err)
		return
	}
	s.lostMu.Lock()
	defer s.lostMu.Unlock()
	for i := range scans {
		known := func(sc record.Scan) bool { return sc.ID == scans[i].ID }
		if !slices.ContainsFunc(s.lost, known) {
			s.lost = append(s.lost, scans[i])
		}
	}
}

// startOver reads the results stream from its start, since it ends before what the
// store has of it: numbers that were applied are those of other results now, which the
// store would take for repeats. Repeats change nothing.
func (s *Sink) startOver(ctx context.Context, ends uint64) error {
	s.caughtUp.Store(false)
	s.o.Log.ErrorContext(ctx, "NATS came back from an older copy; all results are read again, running scans may be aborted, and verdict events may be missing or come again: scan again", "stream_ends", ends, "applied", s.db.Position().Seq)
	s.noteLost(ctx)
	if err := s.db.StartOver(); err != nil {
		return fmt.Errorf("begin the results stream again: %w", err)
	}
	return nil
}

// endLost ends the scans that noteLost noted.
func (s *Sink) endLost(ctx context.Context) {
	s.lostMu.Lock()
	defer s.lostMu.Unlock()
	for len(s.lost) > 0 && s.abort(ctx, &s.lost[0], AbortedStreams, "NATS lost its streams while it ran: what was on its way is gone") {
		s.lost = s.lost[1:]
	}
}

// abort ends a scan whose jobs or pages were lost and asks for it again. Every
// sink says the same, and repeats are one.
func (s *Sink) abort(ctx context.Context, scan *record.Scan, cause Aborted, reason string) (said bool) {
	s.o.Log.WarnContext(ctx, "scan cannot go on and is aborted", "scan", scan.ID, "reason", reason)
	if err := s.bus.Publish(ctx, &event.ScanAborted{ScanID: scan.ID, Kind: event.Kind(scan.Kind), Reason: reason}); err != nil {
		s.o.Log.ErrorContext(ctx, "abort was not published", "scan", scan.ID, "err", err)
		return false
	}
	s.o.OnAborted(cause)
	if scan.Kind != string(event.KindScan) || strings.Contains(scan.ID, again) {
		return true
	}
	req := &event.ScanRequested{
		ScanID: scan.ID + again, Kind: event.KindScan,
		Reason: "again, since " + scan.ID + " was lost",
	}
	for _, scope := range scan.Scopes {
		req.Accounts = append(req.Accounts, scope.Account)
		req.Regions = append(req.Regions, scope.Region)
	}
	slices.Sort(req.Accounts)
	slices.Sort(req.Regions)
	req.Accounts, req.Regions = slices.Compact(req.Accounts), slices.Compact(req.Regions)
	if err := s.bus.Publish(ctx, req); err != nil {
		s.o.Log.ErrorContext(ctx, "scan was not asked for again", "scan", scan.ID, "err", err)
	}
	return true
}
