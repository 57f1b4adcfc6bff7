package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/workers"
)

// EvidenceOptions say what is asked beyond the listing.
type EvidenceOptions struct {
	// Platform asks on which instance types the platform offers each image.
	Platform bool
	// Templates reads which images the launch templates of a region start.
	Templates bool
	// HeartbeatShare is how many calls may be made for heartbeats for each call
	// that lists the fleet; 0 makes none.
	HeartbeatShare float64
	// ConsoleShare is the same for console logs.
	ConsoleShare float64
}

func (o EvidenceOptions) check() error {
	for _, f := range []struct {
		name  string
		share float64
	}{{"heartbeat-share", o.HeartbeatShare}, {"console-share", o.ConsoleShare}} {
		if f.share < 0 || !(f.share <= 1) { // which a share that is no number is not, either
			return fmt.Errorf("--%s %g: give a percentage between 0 and 100", f.name, 100*f.share)
		}
	}
	return nil
}

// heartbeats are what workers ask which guests are up; nil where nobody is to be
// asked or can be.
func (a *App) heartbeats(kept workers.Kept) *workers.Heartbeats {
	cloud, ok := a.cloud.(ecs.AgentAPI)
	if !ok || a.o.Evidence.HeartbeatShare <= 0 {
		return nil
	}
	return workers.NewHeartbeats(a.o.Evidence.HeartbeatShare, cloud, kept, a.bus, a.o.Now, a.log)
}

// kept is where workers find what earlier scans were answered.
func (a *App) kept() workers.Kept {
	if a.db != nil {
		return storedEvidence{a.db}
	}
	return &askedEvidence{bus: a.bus, now: a.o.Now}
}

// consoles are what workers read console logs with; nil where none are to be read
// or can be.
func (a *App) consoles(kept workers.Kept) *workers.Consoles {
	cloud, ok := a.cloud.(ecs.ConsoleAPI)
	if !ok || a.o.Evidence.ConsoleShare <= 0 {
		return nil
	}
	return workers.NewConsoles(a.o.Evidence.ConsoleShare, cloud, kept, a.bus, a.o.Now, a.log)
}

// imageAPI is what workers ask for images: the cloud, and with it the platform
// where it is to be asked and can be.
func (a *App) imageAPI(kept workers.Kept) (workers.ImageAPI, *workers.Platform) {
	cloud, ok := a.cloud.(workers.PlatformCloud)
	if !ok || !a.o.Evidence.Platform {
		return a.cloud, nil
	}
	p := workers.NewPlatform(a.classifier.Load(), cloud, kept, a.bus, a.o.Now, a.log)
	return p, p
}

// storedEvidence implements workers.Kept over the store of this process.
type storedEvidence struct{ db *store.DB }

// Evidence implements workers.Kept.
func (e storedEvidence) Evidence(_ context.Context, s ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	had, err := e.db.Evidence(s, source, ids)
	out := make(map[string]event.EvidenceItem, len(had))
	for id, item := range had {
		out[id] = item.EvidenceItem
	}
	return out, err
}

// evidenceQuery asks a sink what it keeps.
type evidenceQuery struct {
	Scope  ecs.Scope `json:"scope"`
	Source string    `json:"source"`
	IDs    []string  `json:"ids"`
}

// askedEvidence implements workers.Kept by asking a sink.
type askedEvidence struct {
	bus *bus.Bus
	now func() time.Time

	mu    sync.Mutex
	until time.Time // when a sink is asked again, after none answered
	last  error
}

const (
	// sinkWait is how long a sink is waited for: it may be starting.
	sinkWait = 15 * time.Second
	// sinkPause is how long none is asked after that.
	sinkPause = time.Minute
)

// Evidence implements workers.Kept.
func (e *askedEvidence) Evidence(ctx context.Context, scope ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	e.mu.Lock()
	last, paused := e.last, e.now().Before(e.until)
	e.mu.Unlock()
	if paused {
		return nil, last
	}
	waiting, cancel := context.WithTimeout(ctx, sinkWait)
	defer cancel()
	out, err := backoff.Retry(waiting, func() (out map[string]event.EvidenceItem, err error) {
		ctx, cancel := context.WithTimeout(waiting, 5*time.Second)
		defer cancel()
		err = e.bus.Call(ctx, event.SubjectQueryEvidence, evidenceQuery{scope, source, ids}, &out)
		return out, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(250*time.Millisecond)))
	if err != nil && ctx.Err() == nil {
		e.mu.Lock()
		e.until, e.last = e.now().Add(sinkPause), err
		e.mu.Unlock()
	}
	return out, err
}

// serveEvidence answers workers, also while the store has not caught up: what
// it keeps counts for weeks, and what it lacks is asked for again.
func (a *App) serveEvidence(ctx context.Context) error {
	return a.bus.Serve(ctx, evidenceService, "what was asked for beyond the listing", serviceVersion, 64, []bus.Endpoint{
		endpoint("evidence", event.SubjectQueryEvidence, a.queryEvidence),
	})
}

func (a *App) queryEvidence(ctx context.Context, query evidenceQuery) (any, error) {
	if len(query.IDs) > maxQuery {
		return nil, &bus.ServiceError{Code: "400", Text: "too many ids"}
	}
	return storedEvidence{a.db}.Evidence(ctx, query.Scope, query.Source, query.IDs)
}
