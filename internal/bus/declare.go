package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errDenied means that the server does not let this user ask.
var errDenied = errors.New("this user is not permitted to ask that")

// denials tells who waits for an answer of the server that there will be none:
// it answers a forbidden request with an error on the connection alone.
type denials struct {
	mu      sync.Mutex
	waiting map[*waiter]struct{}
}

type waiter struct {
	subject string
	cancel  context.CancelCauseFunc
}

// heard is told every error of the connection.
func (d *denials) heard(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.waiting {
		if strings.Contains(err.Error(), strconv.Quote(w.subject)) {
			w.cancel(errDenied)
		}
	}
}

// watch ends the returned context where the server denies a permission on the
// subject; the returned function ends the watch.
func (d *denials) watch(ctx context.Context, subject string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	waits := &waiter{subject, cancel}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[*waiter]struct{}{}
	}
	d.waiting[waits] = struct{}{}
	return ctx, func() {
		d.mu.Lock()
		delete(d.waiting, waits)
		d.mu.Unlock()
		cancel(nil)
	}
}

// noPeers is the server's code for a stream for which too few servers are there.
const noPeers = 10005

// forming says that a cluster did not know all of its servers yet, as while it starts.
func forming(err error) bool { return isAPIError(err, noPeers) }

// noMemory and noStorage are the server's words that it has no room left to set aside.
const (
	noMemory  jetstream.ErrorCode = 10028
	noStorage jetstream.ErrorCode = 10047
)

// untilRoom calls f, which looks a stream up and makes it where it is missing, again for
// two seconds while the server has no room for it: another process may be making it, and
// the server sets its room aside for whoever asks, also where it is there by then.
func untilRoom(ctx context.Context, f func() error) error {
	err := f()
	for try := 0; try < 20 && (isAPIError(err, noMemory) || isAPIError(err, noStorage)); try++ {
		Pause(ctx, 100*time.Millisecond)
		err = f()
	}
	return err
}

// ask calls f, which asks the server on subject, again where no answer comes, until ctx
// ends: a cluster that is asked for the same stream by several processes at once
// answers only some of them, and one that is starting has no room for a stream yet. A
// user that may not ask gets errDenied at once.
func ask[T any](ctx context.Context, conn *Bus, subject string, f func(context.Context) (T, error)) (T, error) {
	var tooFew error // what a cluster said that was forming
	for {
		watched, unwatch := conn.denials.watch(ctx, subject)
		attempt, cancel := context.WithTimeout(watched, 2*time.Second+rand.N(2*time.Second))
		got, err := f(attempt)
		denied := err != nil && errors.Is(context.Cause(watched), errDenied)
		cancel()
		unwatch()
		if denied {
			return got, fmt.Errorf("%w (%s)", errDenied, subject)
		}
		if forming(err) {
			tooFew = err
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !forming(err) {
			if errors.Is(err, context.DeadlineExceeded) {
				err = cmp.Or(tooFew, err)
			}
			return got, err
		}
		conn.log.InfoContext(ctx, "no answer yet, asking again", "subject", subject, "err", err)
		if forming(err) {
			Pause(ctx, 500*time.Millisecond)
		}
	}
}

// declareTime bounds how long Open waits for the streams.
const declareTime = time.Minute

// declare sees to it that the streams are there and are as they must be.
func (b *Bus) declare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, declareTime)
	defer cancel()
	for _, cfg := range declarations(b.o.Limits, b.o.Replicas) {
		var info *jetstream.StreamInfo
		err := untilRoom(ctx, func() (err error) {
			info, err = b.declareOne(ctx, cfg)
			return err
		})
		if err != nil {
			return err
		}
		b.setCreated(cfg.Name, info.Created.UnixNano())
	}
	return nil
}

func (b *Bus) declareOne(ctx context.Context, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	stream, err := ask(ctx, b, "$JS.API.STREAM.INFO."+want.Name, func(ctx context.Context) (jetstream.Stream, error) {
		return b.js.Stream(ctx, want.Name)
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if stream, err = b.create(ctx, want); err != nil {
			return nil, err
		}
		return stream.CachedInfo(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for stream %s: %w; JetStream must be enabled and this user allowed to ask for it", want.Name, err)
	}
	info := stream.CachedInfo()
	diffs := differences(info, &want)
	if len(diffs) == 0 {
		return info, nil
	}
	if !b.o.Declare {
		return info, b.tolerate(ctx, want.Name, diffs)
	}
	return b.change(ctx, info, &want, diffs)
}

// make makes a stream that is not there, and says whether it was this process that did.
func (b *Bus) make(ctx context.Context, want jetstream.StreamConfig) (stream jetstream.Stream, made bool, err error) {
	stream, err = ask(ctx, b, "$JS.API.STREAM.CREATE."+want.Name, func(ctx context.Context) (jetstream.Stream, error) {
		return b.js.CreateStream(ctx, want)
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // somebody else did at the same time
		stream, err = b.js.Stream(ctx, want.Name)
		return stream, false, err
	}
	return stream, err == nil, err
}

// create makes a stream that is not there. Where this user may not, it waits
// for somebody who may.
func (b *Bus) create(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, _, err := b.make(ctx, want)
	switch {
	case err == nil:
		return stream, nil
	case !errors.Is(err, errDenied):
		return nil, fmt.Errorf("create stream %s: %w; JetStream must be enabled and have room for %d replicas", want.Name, err, want.Replicas)
	}
	b.log.WarnContext(ctx, "a stream is missing and this user may not create it; waiting for a producer to do so", "stream", want.Name)
	for Pause(ctx, 250*time.Millisecond) {
		if stream, err := b.js.Stream(ctx, want.Name); err == nil {
			return stream, nil
		}
	}
	return nil, fmt.Errorf("stream %s does not exist and this user may not create it: %w; start a producer or `shenscan serve` first, whose user may", want.Name, err)
}

// tolerate refuses a stream that this process cannot work with, and leaves any
// other difference to the producers.
func (b *Bus) tolerate(ctx context.Context, name string, diffs []difference) error {
	for _, d := range diffs {
		if d.essential {
			return fmt.Errorf("stream %s has %s and shenscan needs %s: %w; %s", name, d.was(), d.wanted(), errMismatch, mendByProducer(d))
		}
	}
	b.log.InfoContext(ctx, "a stream differs from what this process would declare; it is left as it is", "stream", name, "differences", describe(diffs))
	return nil
}

func mendByProducer(d difference) string {
	if d.refusal != "" {
		return d.mend
	}
	return "start a producer or `shenscan serve` of this version first: it changes the stream"
}

// errMismatch means that a stream is not what shenscan needs.
var errMismatch = errors.New("the stream was made by somebody else or by another version")

// change brings a stream to its declaration, or refuses without touching it
// where NATS cannot or where stored messages would be lost. Settings that
// shenscan has no word on, such as placement, stay.
func (b *Bus) change(ctx context.Context, info *jetstream.StreamInfo, want *jetstream.StreamConfig, diffs []difference) (*jetstream.StreamInfo, error) {
	var refusals []error
	for _, d := range diffs {
		if d.refusal != "" {
			refusals = append(refusals, fmt.Errorf("stream %s has %s and is to have %s, %s; nothing was changed: %s", want.Name, d.was(), d.wanted(), d.refusal, d.mend))
		}
	}
	if err := errors.Join(refusals...); err != nil {
		return nil, err
	}
	cfg := overlay(info.Config, want)
	stream, err := ask(ctx, b, "$JS.API.STREAM.UPDATE."+want.Name, func(ctx context.Context) (jetstream.Stream, error) {
		return b.js.UpdateStream(ctx, cfg)
	})
	switch {
	case errors.Is(err, errDenied):
		b.log.WarnContext(ctx, "this user may not change streams", "stream", want.Name)
		return info, b.tolerate(ctx, want.Name, diffs)
	case err != nil:
		return nil, fmt.Errorf("change stream %s (%s): %w; nothing was changed: %s", want.Name, describe(diffs), err, mendByHand(want.Name))
	}
	b.log.InfoContext(ctx, "stream was changed", "stream", want.Name, "differences", describe(diffs))
	return stream.CachedInfo(), nil
}

// overlay is have with what shenscan declares.
func overlay(have jetstream.StreamConfig, want *jetstream.StreamConfig) jetstream.StreamConfig {
	have.Description, have.Subjects = want.Description, want.Subjects
	have.Retention, have.Discard, have.Storage = want.Retention, want.Discard, want.Storage
	have.MaxMsgs, have.MaxBytes, have.MaxAge = want.MaxMsgs, want.MaxBytes, want.MaxAge
	have.MaxMsgSize, have.MaxMsgsPerSubject = want.MaxMsgSize, want.MaxMsgsPerSubject
	have.Replicas, have.AllowDirect = want.Replicas, want.AllowDirect
	have.AllowRollup, have.AllowMsgSchedules = want.AllowRollup, want.AllowMsgSchedules
	if want.Duplicates > 0 {
		have.Duplicates = want.Duplicates
	}
	return have
}

// difference is one setting of a stream that is not as declared.
type difference struct {
	field, have, want string
	essential         bool   // shenscan does not work with it
	refusal           string // why it is not changed in place, "" where it is
	mend              string // what to do then
}

func (d difference) was() string    { return d.field + " " + d.have }
func (d difference) wanted() string { return d.field + " " + d.want }

func describe(diffs []difference) string {
	parts := make([]string, len(diffs))
	for i, d := range diffs {
		parts[i] = d.field + " " + d.have + " -> " + d.want
	}
	return strings.Join(parts, ", ")
}

func mendByHand(stream string) string {
	return fmt.Sprintf("let the workers and sinks empty it, stop every shenscan process, keep a copy with `nats stream backup %[1]s DIR`, delete it with `nats stream rm %[1]s` and start a producer, which makes it anew", stream)
}

// differences compares a stream with its declaration.
func differences(info *jetstream.StreamInfo, want *jetstream.StreamConfig) []difference {
	have := &info.Config
	var out []difference
	add := func(field string, h, w any, more difference) {
		if hs, ws := fmt.Sprint(h), fmt.Sprint(w); hs != ws {
			more.field, more.have, more.want = field, hs, ws
			out = append(out, more)
		}
	}
	fixed := difference{essential: true, refusal: "which NATS does not change in place", mend: mendByHand(want.Name)}
	add("storage", have.Storage, want.Storage, fixed)
	if have.Retention == jetstream.WorkQueuePolicy || want.Retention == jetstream.WorkQueuePolicy {
		add("retention", have.Retention, want.Retention, fixed)
	} else {
		add("retention", have.Retention, want.Retention, difference{})
	}
	missing := slices.ContainsFunc(want.Subjects, func(s string) bool { return !slices.Contains(have.Subjects, s) })
	add("subjects", sorted(have.Subjects), sorted(want.Subjects), difference{essential: missing})
	add("discard", have.Discard, want.Discard, difference{})
	out = append(out, limits(info, want)...)
	if want.Duplicates > 0 {
		add("duplicate window", have.Duplicates, want.Duplicates, difference{})
	}
	lowered := difference{}
	if want.Replicas < have.Replicas {
		lowered = difference{
			refusal: "which would take safety away",
			mend:    fmt.Sprintf("start with --nats-replicas %d, or lower them by hand: `nats stream edit %s --replicas=%d`", have.Replicas, want.Name, want.Replicas),
		}
	}
	add("replicas", have.Replicas, want.Replicas, lowered)
	add("direct reads", have.AllowDirect, want.AllowDirect, difference{})
	add("rollups", have.AllowRollup, want.AllowRollup, difference{})
	add("schedules", have.AllowMsgSchedules, want.AllowMsgSchedules, difference{essential: want.AllowMsgSchedules})
	return out
}

// limits compares what bounds a stream. A lower limit that would make the
// server delete stored messages is refused.
func limits(info *jetstream.StreamInfo, want *jetstream.StreamConfig) []difference {
	have, state := &info.Config, &info.State
	drops := want.Discard == jetstream.DiscardOld // with DiscardNew what is stored stays
	now := info.TimeStamp
	oldest := time.Duration(0)
	if state.Msgs > 0 && !now.IsZero() {
		oldest = now.Sub(state.FirstTime)
	}
	var out []difference
	add := func(field, option string, h, w int64, text func(int64) string, loses bool) {
		h, w = max(h, 0), max(w, 0) // the server says -1 for unlimited
		if h == w {
			return
		}
		d := difference{field: field, have: "unlimited", want: "unlimited"}
		if h > 0 {
			d.have = text(h)
		}
		if w > 0 {
			d.want = text(w)
		}
		if loses && w > 0 && (h == 0 || w < h) {
			d.refusal = "which would delete messages that it holds"
			d.mend = fmt.Sprintf("let every sink catch up and lower it by hand (`nats stream edit %s --%s=%s`), or start with the old limit", want.Name, option, d.want)
		}
		out = append(out, d)
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	age := func(n int64) string { return time.Duration(n).String() }
	add("max messages", "max-msgs", have.MaxMsgs, want.MaxMsgs, count, drops && state.Msgs > uint64(max(want.MaxMsgs, 0)))
	add("max bytes", "max-bytes", have.MaxBytes, want.MaxBytes, count, drops && state.Bytes > uint64(max(want.MaxBytes, 0)))
	add("max age", "max-age", int64(have.MaxAge), int64(want.MaxAge), age, oldest > want.MaxAge)
	add("max messages a subject", "max-msgs-per-subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, count, drops && state.Msgs > state.NumSubjects)
	add("max message size", "max-msg-size", int64(have.MaxMsgSize), int64(want.MaxMsgSize), count, false)
	return out
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
