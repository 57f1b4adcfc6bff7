package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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
	cloud ecs.AgentAPI
	kept  Kept
	bus   Publisher
	now   func() time.Time
	log   *slog.Logger
	calls callShare

	mu     sync.Mutex
	denied map[ecs.Scope]denial
}

// NewHeartbeats returns a Heartbeats that makes at most so many calls for each
// call that lists the fleet, and a few more.
func NewHeartbeats(share float64, cloud ecs.AgentAPI, kept Kept, bus Publisher, now func() time.Time, log *slog.Logger) *Heartbeats {
	return &Heartbeats{cloud: cloud, kept: kept, bus: bus, now: now, log: log, calls: callShare{share: share}, denied: map[ecs.Scope]denial{}}
}

const (
	// beatLife is how long an answer counts, as long as the instance is not
	// started again. From beatSoon on it is asked for again where a call is made
	// anyway, from beatDue on also by a call of its own.
	beatLife = 30 * 24 * time.Hour
	beatDue  = 21 * 24 * time.Hour
	beatSoon = 7 * 24 * time.Hour
	// beatFresh is how old the last heartbeat may be when it is asked for. An
	// agent sends one a minute.
	beatFresh = time.Hour
	// clockOff is how far clocks may be apart.
	clockOff = 5 * time.Minute
)

// Causes for which nothing was heard of a guest.
const (
	causeNoAgent   = "it has no agent of Cloud Assistant that was ever heard of, which is no sign that the guest is not up"
	causeSilent    = "its agent of Cloud Assistant has been silent for more than an hour, which is no sign that the guest is not up"
	causeRestarted = "it was started after its last heartbeat"
	causeFuture    = "its last heartbeat lies in the future"
	causeOddAgent  = "the answer has a heartbeat of an agent that it says is not there"
	causeNoStart   = "when it was started last is not told, so that no heartbeat proves anything"
	causeLeftOut   = "the answer leaves it out"
	causeShare     = "the share of calls for heartbeats is used up"
	mendShare      = "later scans go on where this one stopped; --heartbeat-share sets the share"
)

// hung is an instance whose verdict hangs on whether its guest is up.
type hung struct {
	id      string
	started time.Time // zero where that is not known
}

// fill returns the page with the guests that are known to be up, nil where there
// are none. hanging are the profiles whose verdicts hang on it.
func (h *Heartbeats) fill(ctx context.Context, page *event.InstancesListed, hanging []int) (*event.InstancesListed, error) {
	var list []hung
	for in := page.Rows.Reader(nil); in.Next(); {
		if _, there := slices.BinarySearch(hanging, in.Profile); !there {
			continue
		}
		x := hung{id: in.ID}
		if in.Started > 0 {
			if at, err := time.Parse("2006-01-02T15:04Z", event.UnpackMinute(in.Started)); err == nil {
				x.started = at
			}
		}
		list = append(list, x)
	}
	q := &beatLookup{h: h, page: page, items: make(map[string]event.EvidenceItem, len(list))}
	for part := range slices.Chunk(list, event.MaxEvidence) {
		ids := make([]string, len(part))
		for i := range part {
			ids[i] = part[i].id
		}
		had, err := h.kept.Evidence(ctx, page.Scope, event.EvidenceHeartbeat, ids)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil { // asking again what is known would cost calls without end
			h.log.WarnContext(ctx, "heartbeats that are kept could not be read; verdicts do without them", "account", page.Scope.Account, "region", page.Scope.Region, "err", err)
			return nil, nil
		}
		for id, item := range had {
			q.items[id] = keptItem(id, item)
		}
	}
	if err := q.ask(ctx, list); err != nil {
		return nil, err
	}
	if err := q.publish(ctx, list); err != nil {
		return nil, err
	}
	return q.up(list), nil
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
	h, now := q.h, q.h.now()
	var due, soon []string
	for i := range list {
		x := &list[i]
		item := q.items[x.id]
		if x.started.IsZero() {
			q.items[x.id] = event.EvidenceItem{ID: x.id, Asked: now, Cause: causeNoStart}
			continue
		}
		switch must, may := x.due(&item, now); {
		case must:
			due = append(due, x.id)
		case may:
			soon = append(soon, x.id)
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
		denied := h.isDenied(q.page.Scope)
		switch {
		case denied != nil:
			q.without(chunk, *denied)
			continue
		case !h.calls.take(budgetOf(&q.page.Walk)):
			q.without(chunk, event.EvidenceItem{Cause: causeShare, Mend: mendShare})
			continue
		}
		agents, calls, err := h.cloud.Agents(ctx, q.page.Scope, chunk)
		h.calls.took(budgetOf(&q.page.Walk), calls-1)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			item := h.failed(ctx, q.page.Scope, err)
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
			item.Cause = causeLeftOut
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
		return causeNoAgent
	case age < -clockOff:
		return causeFuture
	case agent.Heartbeat.Before(started.Add(time.Minute)):
		return causeRestarted
	case age > beatFresh:
		return causeSilent
	case !agent.Installed:
		return causeOddAgent
	}
	return ""
}

func (h *Heartbeats) isDenied(s ecs.Scope) *event.EvidenceItem {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d, there := h.denied[s]; there && h.now().Before(d.until) {
		return &d.item
	}
	return nil
}

// failed says why there is no answer. Where the question itself is refused, the
// scope is not asked again for a while.
func (h *Heartbeats) failed(ctx context.Context, s ecs.Scope, err error) event.EvidenceItem {
	item, refused := causeOf(err)
	if !refused {
		h.log.DebugContext(ctx, "heartbeats were not told", "account", s.Account, "region", s.Region, "err", err)
		return item
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, before := h.denied[s]; !before {
		h.log.InfoContext(ctx, "nobody is asked for heartbeats; verdicts do without them", "account", s.Account, "region", s.Region, "err", err)
	}
	h.denied[s] = denial{item, h.now().Add(deniedFor)}
	return item
}

// publish announces what became of the lookup.
func (q *beatLookup) publish(ctx context.Context, list []hung) error {
	for part := range slices.Chunk(list, event.MaxEvidence) {
		m := &event.EvidenceRead{Scope: q.page.Scope, Source: event.EvidenceHeartbeat, At: q.h.now().UTC()}
		for i := range part {
			item := q.items[part[i].id]
			if item.Kept {
				item = event.EvidenceItem{ID: item.ID, Kept: true, Calls: item.Calls}
			}
			m.Items = append(m.Items, item)
		}
		if err := q.h.bus.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// up is the page with the guests that are known to be up; nil where none is.
func (q *beatLookup) up(list []hung) *event.InstancesListed {
	now := q.h.now()
	heard := map[string]bool{}
	for i := range list {
		if item := q.items[list[i].id]; list[i].proves(&item, now) {
			heard[list[i].id] = true
		}
	}
	if len(heard) == 0 {
		return nil
	}
	instances := q.page.Instances()
	for i := range instances {
		x := &instances[i]
		if !heard[x.ID] {
			continue
		}
		var guest rules.GuestFacts
		if x.Guest != nil {
			guest = *x.Guest
		}
		guest.Up = rules.Yes
		x.Guest = &guest
	}
	out := *q.page
	out.SetInstances(instances)
	return &out
}

// callShare bounds calls beside others: for each scan, and for all rescans
// together.
type callShare struct {
	share float64 // calls for each of the others

	mu    sync.Mutex
	scans []scanCalls // the youngest last
}

type scanCalls struct {
	scan    string
	allowed float64 // calls that may still be made
}

const (
	// freeCalls is how many calls are made in a scan whatever the share is: small
	// fleets are listed with a few.
	freeCalls = 10
	// mostScans is how many scans are told apart.
	mostScans = 16
)

// budgetOf names what the calls for a page are counted under.
func budgetOf(w *event.Walk) string {
	if w.Kind == event.KindRescan {
		return ""
	}
	return w.ScanID
}

// of finds a scan; the caller holds mu.
func (c *callShare) of(scan string) *scanCalls {
	i := slices.IndexFunc(c.scans, func(s scanCalls) bool { return s.scan == scan })
	if i < 0 {
		if len(c.scans) >= mostScans {
			c.scans = slices.Delete(c.scans, 0, 1)
		}
		c.scans = append(c.scans, scanCalls{scan: scan, allowed: freeCalls})
		i = len(c.scans) - 1
	}
	return &c.scans[i]
}

// listed counts the calls that a page took.
func (c *callShare) listed(page *event.InstancesListed) {
	calls := (page.Rows.Len() + ecs.MaxPage - 1) / ecs.MaxPage
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(budgetOf(&page.Walk))
	s.allowed += float64(calls) * c.share
	if page.Kind == event.KindRescan { // what nobody needed for days is no reason for many at once
		s.allowed = min(s.allowed, freeCalls)
	}
}

// take takes one call, if there is one.
func (c *callShare) take(scan string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.of(scan)
	if s.allowed < 1 {
		return false
	}
	s.allowed--
	return true
}

// took counts calls that were made beyond those that were taken.
func (c *callShare) took(scan string, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(scan).allowed -= float64(max(calls, 0))
}

// causeOf says for people why a question has no answer, and whether the question
// itself was refused.
func causeOf(err error) (item event.EvidenceItem, refused bool) {
	item.Cause = err.Error()
	e, ok := errors.AsType[*ecs.Error](err)
	if !ok {
		return item, false
	}
	item.Cause, item.Mend = fmt.Sprintf("%s: %s", e.Action, e.Class), e.Mend
	if e.Code != "" {
		item.Cause += " (" + e.Code + ")"
	}
	if e.Class == ecs.Contradicted { // it says why
		item.Cause += ": " + e.Err.Error()
	}
	refused = e.Class == ecs.Permission || e.Class == ecs.RegionClosed || e.Class == ecs.Credentials || unknownAction(e.Code)
	return item, refused
}
