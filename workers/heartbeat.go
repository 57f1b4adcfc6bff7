package workers

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// Heartbeats asks which guests were heard of since they started, by the
// heartbeats that their agent of Cloud Assistant sends. It asks only for
// instances whose verdict hangs on it, for a share of the calls that list the
// fleet, and remembers the answers for 30 days. What it does not get leaves
// verdicts as they are and is announced with its cause; that nothing was heard
// does not mean that a guest is not up. It is safe for concurrent use.
type Heartbeats struct {
	asker

	cloud ecs.AgentAPI
	calls callShare
}

// NewHeartbeats returns a Heartbeats that makes at most so many calls for each
// call that lists the fleet, and a few more.
func NewHeartbeats(share float64, cloud ecs.AgentAPI, kept Kept, bus Publisher, now func() time.Time, log *slog.Logger) *Heartbeats {
	return &Heartbeats{asker: asker{kept: kept, bus: bus, now: now, log: log}, cloud: cloud, calls: callShare{share: share, free: freeBeats}}
}

const (
	// beatLife is how long an answer counts, as long as the instance is not
	// started again. From beatSoon on it is asked for again where a call is made
	// anyway, from beatDue on also by a call of its own.
	beatLife = 30 * 24 * time.Hour
	beatDue  = 21 * 24 * time.Hour
	beatSoon = 7 * 24 * time.Hour
	// freeBeats is how many calls are made in a scan whatever the share is: a page
	// of each region of a small fleet.
	freeBeats = 100
	// beatFresh is how old the last heartbeat may be when it is asked for. An
	// agent sends one a minute.
	beatFresh = time.Hour
	// clockOff is how far clocks may be apart.
	clockOff = 5 * time.Minute
)

// look finds out which guests are up, and says so of them in known.
func (h *Heartbeats) look(ctx context.Context, page *event.InstancesListed, list []hung, known map[string]rules.GuestFacts) error {
	items, err := h.known(ctx, page.Scope, event.EvidenceHeartbeat, idsOf(list))
	if err != nil {
		return err
	}
	lookup := &beatLookup{h, page, items}
	if err := lookup.ask(ctx, list); err != nil {
		return err
	}
	if err := h.publish(ctx, page.Scope, event.EvidenceHeartbeat, idsOf(list), items); err != nil {
		return err
	}
	now := h.now()
	for i := range list {
		if item := items[list[i].id]; list[i].proves(&item, now) {
			known[list[i].id] = rules.GuestFacts{Up: rules.Yes}
		}
	}
	return nil
}

// beatLookup is one page's.
type beatLookup struct {
	h     *Heartbeats
	page  *event.InstancesListed
	items map[string]event.EvidenceItem // kept ones, and then those of this lookup
}

// proves says whether an answer proves that the guest came up after the last
// start, which is known to the minute.
func (x *hung) proves(item *event.EvidenceItem, now time.Time) bool {
	age := now.Sub(item.Asked)
	return item.Cause == "" && !x.started.IsZero() && age < beatLife && age > -clockOff && !item.Heard.Before(x.started.Add(time.Minute))
}

// due says whether an instance is worth a call, and whether it is to be asked
// for where a call is made anyway.
func (x *hung) due(item *event.EvidenceItem, now time.Time) (due, soon bool) {
	age := now.Sub(item.Asked)
	due = item.Asked.IsZero() || age > beatDue || age < -clockOff || item.Asked.Before(x.started)
	return due, due || age > beatSoon
}

// ask asks for as many instances as the share of calls allows.
func (q *beatLookup) ask(ctx context.Context, list []hung) error {
	heartbeats, now := q.h, q.h.now()
	var due, soon []string
	for i := range list {
		hung := &list[i]
		item := q.items[hung.id]
		if hung.started.IsZero() {
			q.items[hung.id] = event.EvidenceItem{ID: hung.id, Asked: now, Cause: event.CauseNoStart}
			continue
		}
		switch must, may := hung.due(&item, now); {
		case must:
			due = append(due, hung.id)
		case may:
			soon = append(soon, hung.id)
		}
	}
	if len(due) == 0 {
		return nil
	}
	room := (len(due)+ecs.MaxAgents-1)/ecs.MaxAgents*ecs.MaxAgents - len(due)
	ids := append(due, soon[:min(room, len(soon))]...)
	started := make(map[string]time.Time, len(list))
	for i := range list {
		started[list[i].id] = list[i].started
	}
	for chunk := range slices.Chunk(ids, ecs.MaxAgents) {
		denied := heartbeats.refuses(q.page.Scope)
		switch {
		case denied != nil:
			q.without(chunk, *denied)
			continue
		case !heartbeats.calls.take(budgetOf(&q.page.Walk)):
			q.without(chunk, event.EvidenceItem{Cause: event.CauseShare, Mend: event.MendShare})
			continue
		}
		agents, calls, err := heartbeats.cloud.Agents(ctx, q.page.Scope, chunk)
		heartbeats.calls.took(budgetOf(&q.page.Walk), calls-1)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			item, _ := heartbeats.failed(ctx, q.page.Scope, err, "heartbeats")
			item.Calls = calls
			q.without(chunk, item)
			continue
		}
		q.answered(chunk, agents, started, calls)
	}
	return nil
}

// without says why some instances have no answer. What is kept of them still
// counts.
func (q *beatLookup) without(ids []string, why event.EvidenceItem) {
	for _, id := range ids {
		if item, there := q.items[id]; there && item.Cause == "" {
			item.Calls = why.Calls
			q.items[id] = item
		} else {
			item := why
			item.ID = id
			q.items[id] = item
		}
		why.Calls = 0 // they are those of the whole
	}
}

// answered takes an answer.
func (q *beatLookup) answered(ids []string, agents []ecs.Agent, started map[string]time.Time, calls int) {
	by := make(map[string]*ecs.Agent, len(agents))
	for i := range agents {
		by[agents[i].InstanceID] = &agents[i]
	}
	now := q.h.now()
	for _, id := range ids {
		item := event.EvidenceItem{ID: id, Asked: now.UTC(), Calls: calls}
		calls = 0
		agent := by[id]
		if agent == nil {
			item.Cause = event.CauseLeftOut
		} else {
			item.Heard = agent.Heartbeat
			item.Cause = silence(agent, started[id], now)
		}
		q.items[id] = item
	}
}

// silence is why an agent proves nothing; "" where it proves that the guest is
// up.
func silence(agent *ecs.Agent, started, now time.Time) string {
	age := now.Sub(agent.Heartbeat)
	switch {
	case agent.Heartbeat.IsZero():
		return event.CauseNoAgent
	case age < -clockOff:
		return event.CauseFuture
	case agent.Heartbeat.Before(started.Add(time.Minute)):
		return event.CauseRestarted
	case age > beatFresh:
		return event.CauseSilent
	case !agent.Installed:
		return event.CauseOddAgent
	}
	return ""
}
