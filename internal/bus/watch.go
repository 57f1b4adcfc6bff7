package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// watchEvery is how often the streams and buckets are looked at; after a
	// reconnect and where something is missed it is done at once.
	watchEvery = 5 * time.Second
	// lookTime bounds one look at one stream.
	lookTime = 3 * time.Second
	// staleAfter is when what was seen last says nothing more about now.
	staleAfter = 3 * watchEvery
)

// Health is what the last look at the server showed.
type Health struct {
	Connected bool
	// Quorum says that the server answers for every stream that is there: on a
	// cluster, that each has a leader and so a majority of its replicas.
	Quorum bool
	// Streams holds the state of each stream that is there and answered for.
	Streams map[string]StreamState
	// Missing names the streams that are not there.
	Missing []string
	// Silent names the streams for which nobody answered.
	Silent []string
	at     time.Time
}

// Ready reports whether everything is as it must be, and if not, what is wrong.
func (h *Health) Ready() error {
	switch {
	case !h.Connected:
		return errors.New("not connected to NATS")
	case h.at.IsZero():
		return errors.New("the streams were not looked at yet")
	case time.Since(h.at) > staleAfter:
		return fmt.Errorf("NATS has not answered for %s", time.Since(h.at).Round(time.Second))
	case len(h.Missing) > 0:
		return fmt.Errorf("NATS has no stream %s: a producer makes it again", strings.Join(h.Missing, ", "))
	case !h.Quorum:
		return fmt.Errorf("JetStream does not answer for %s: no leader, or no majority of its replicas", strings.Join(h.Silent, ", "))
	}
	return nil
}

// Health is what the last look at the server showed.
func (b *Bus) Health() Health {
	b.healthMu.Lock()
	defer b.healthMu.Unlock()
	health := b.health
	health.Connected = b.Connected()
	health.Quorum = health.Quorum && health.Connected
	health.Streams = maps.Clone(health.Streams)
	return health
}

// WhenMade calls f whenever the stream of that name is another one than before,
// and once for the one that is there now. Where f fails it is called again at
// the next look. It is to be called before anything is consumed.
func (b *Bus) WhenMade(stream string, f func(context.Context) error) {
	b.healthMu.Lock()
	b.whenMade = append(b.whenMade, &madeHook{stream: stream, call: f})
	b.healthMu.Unlock()
	b.lookSoon()
}

// madeHook is what is to be done for each new stream of a name.
type madeHook struct {
	stream string
	call   func(context.Context) error
	done   int64 // creation time of the stream that it was done for
}

// lookSoon makes the next look happen now.
func (b *Bus) lookSoon() {
	select {
	case b.suspect <- struct{}{}:
	default:
	}
}

// watch looks at the streams and buckets until ctx ends and makes what is
// missing: a server that came back with an empty disk has lost all of them, and
// whoever finds that out and may make them does.
func (b *Bus) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	waitedFor := map[string]bool{}
	for {
		if b.nc.IsConnected() {
			b.look(ctx, waitedFor)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.suspect:
			// What is looked for in vain is not looked for without a break.
			if !Pause(ctx, 250*time.Millisecond) {
				return
			}
		}
	}
}

// look asks for every stream, makes those that are missing, and notes what it
// saw. waitedFor are the streams that another process has to make.
func (b *Bus) look(ctx context.Context, waitedFor map[string]bool) {
	wanted := declarations(b.o.Limits, b.o.Replicas)
	all := make([]seenStream, len(wanted))
	var asking sync.WaitGroup
	for i := range wanted {
		asking.Go(func() { all[i] = b.lookAt(ctx, wanted[i]) })
	}
	asking.Wait()
	if ctx.Err() != nil {
		return
	}
	health := Health{Quorum: true, Streams: map[string]StreamState{}, at: time.Now()}
	for i, state := range all {
		name := wanted[i].Name
		switch {
		case state.err == nil && (state.info.Cluster == nil || state.info.Cluster.Leader != ""):
			health.Streams[name] = stateOf(state.info)
			b.setCreated(name, state.info.Created.UnixNano())
			delete(waitedFor, name)
		case errors.Is(state.err, jetstream.ErrStreamNotFound) || errors.Is(state.err, errDenied):
			health.Missing = append(health.Missing, name)
			if !waitedFor[name] {
				waitedFor[name] = true
				b.log.WarnContext(ctx, "stream is gone; this user may not make it again, waiting for a producer", "stream", name)
			}
		default:
			health.Quorum = false
			health.Silent = append(health.Silent, name)
			b.log.DebugContext(ctx, "stream was not looked at", "stream", name, "err", state.err)
		}
	}
	b.healthMu.Lock()
	b.health = health
	hooks := slices.Clone(b.whenMade)
	b.healthMu.Unlock()
	b.restore(ctx)
	b.callHooks(ctx, hooks, &health)
}

// seenStream is what was seen of a stream.
type seenStream struct {
	info *jetstream.StreamInfo
	err  error
}

// lookAt asks for a stream, and makes it where it is missing.
func (b *Bus) lookAt(ctx context.Context, wanted jetstream.StreamConfig) seenStream {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	stream, err := b.js.Stream(ctx, wanted.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		var made bool
		if stream, made, err = b.make(ctx, wanted); made { // what its scans lack, their sinks find out
			b.log.ErrorContext(ctx, "stream was gone and was made again; what it held is lost", "stream", wanted.Name)
		}
	}
	if err != nil {
		return seenStream{err: err}
	}
	return seenStream{info: stream.CachedInfo()}
}

// callHooks calls what waits for a stream to be made, once for each time it was.
func (b *Bus) callHooks(ctx context.Context, hooks []*madeHook, health *Health) {
	for _, hook := range hooks {
		created := health.Streams[hook.stream].Created
		if created == 0 || created == hook.done {
			continue
		}
		if err := hook.call(ctx); err != nil {
			b.log.WarnContext(ctx, "new stream was not filled yet; trying again", "stream", hook.stream, "err", err)
			continue
		}
		hook.done = created
	}
}

// streamCreated is when the stream was made, as last seen; 0 where it was not.
func (b *Bus) streamCreated(name string) int64 {
	b.healthMu.Lock()
	defer b.healthMu.Unlock()
	return b.created[name]
}

func (b *Bus) setCreated(name string, at int64) {
	b.healthMu.Lock()
	defer b.healthMu.Unlock()
	b.created[name] = at
}
