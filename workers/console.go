package workers

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/rules"
)

// Consoles reads the console logs of instances whose verdict hangs on whether
// their guest is up and of which no heartbeat tells: the kernel, and whether the
// last start came to a login, panicked or got stuck. A log is read once a start,
// for a share of the calls that list the fleet. Only what was read of it and the
// one line that tells its end is kept. It is safe for concurrent use.
type Consoles struct {
	asker

	cloud ecs.ConsoleAPI
	calls callShare
}

// NewConsoles returns a Consoles that makes at most so many calls for each call
// that lists the fleet, and a few more.
func NewConsoles(share float64, cloud ecs.ConsoleAPI, kept Kept, bus Publisher, now func() time.Time, log *slog.Logger) *Consoles {
	return &Consoles{asker: asker{kept: kept, bus: bus, now: now, log: log}, cloud: cloud, calls: callShare{share: share, free: freeConsoles}}
}

// freeConsoles is how many calls are made in a scan whatever the share is.
const freeConsoles = 10

// consoleRetry is how old a log may be that showed no end before it is read
// again: the start may have gone on.
const consoleRetry = 24 * time.Hour

// kernelNames begin the names that the kernel numbers disks by.
var kernelNames = []string{"xvd", "vd", "sd", "hd", "nvme"}

// look reads logs, and says in known what they show.
func (c *Consoles) look(ctx context.Context, page *event.InstancesListed, list []hung, known map[string]rules.GuestFacts) error {
	if len(list) == 0 {
		return nil
	}
	items, err := c.known(ctx, page.Scope, event.EvidenceConsole, idsOf(list))
	if err != nil {
		return err
	}
	answered, lost := c.answered(ctx, page.Scope, list)
	if lost != nil && !isUnread(lost) {
		return lost
	}
	got := make([]event.EvidenceItem, len(list))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	for i := range list {
		hung := &list[i]
		had := items[hung.id]
		if !c.due(hung, &had) {
			if got[i] = had; had.Asked.IsZero() { // no log was ever read, which is no answer
				got[i] = event.EvidenceItem{Asked: c.now().UTC(), Cause: event.CauseLogNoStart}
			}
			continue
		}
		group.Go(func() error {
			got[i] = c.read(asking, &page.Walk, hung, had)
			return asking.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range list {
		got[i].ID = list[i].id
		items[list[i].id] = got[i]
		c.shows(&list[i], &got[i], answered[list[i].id], known)
	}
	if err := c.publish(ctx, page.Scope, event.EvidenceConsole, idsOf(list), items); err != nil {
		return err
	}
	return lost
}

// recall says in known what logs that are kept show of instances of which none is read
// now: that another name makes a verdict firm, that a heartbeat tells whether the guest is
// up, or that it was stopped since takes back nothing of what its last start showed.
func (c *Consoles) recall(ctx context.Context, scope ecs.Scope, list []hung, known map[string]rules.GuestFacts) error {
	items, err := c.known(ctx, scope, event.EvidenceConsole, idsOf(list))
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(x hung) bool { return items[x.id].Console == nil })
	answered, lost := c.answered(ctx, scope, kept)
	if lost != nil && !isUnread(lost) {
		return lost
	}
	for i := range kept {
		item := items[kept[i].id]
		c.shows(&kept[i], &item, answered[kept[i].id], known)
	}
	return lost
}

// answered is when machines answered that were asked themselves; zero where that
// is not known, so that their logs count as newer.
func (c *Consoles) answered(ctx context.Context, scope ecs.Scope, list []hung) (map[string]time.Time, error) {
	list = slices.DeleteFunc(slices.Clone(list), func(x hung) bool { return !x.asked })
	out := map[string]time.Time{}
	items, err := c.known(ctx, scope, event.EvidenceProbe, idsOf(list))
	for id, item := range items {
		out[id] = item.Heard
	}
	return out, err
}

// due says whether a log is worth a call.
func (c *Consoles) due(hung *hung, had *event.EvidenceItem) bool {
	age := c.now().Sub(had.Asked)
	switch {
	case hung.started.IsZero():
		return false // no log can be told from one of before
	case had.Asked.IsZero(), had.Asked.Before(hung.started), age < -clockOff, age > beatDue:
		return true
	}
	return age > consoleRetry && (had.Console == nil || had.Console.End == probe.BootOpen.String())
}

// read reads one log. What was read of the last start before counts on where that fails, is
// refused or brings an older log: a start that failed would pass for one that did not.
func (c *Consoles) read(ctx context.Context, walk *event.Walk, hung *hung, had event.EvidenceItem) event.EvidenceItem {
	without := func(why event.EvidenceItem) event.EvidenceItem {
		if !hung.told(&had, c.now()) {
			return why
		}
		had.Calls = why.Calls
		return had
	}
	if denied := c.refuses(walk.Scope); denied != nil {
		return without(*denied)
	}
	if !c.calls.take(budgetOf(walk)) {
		if had.Kept {
			return had
		}
		return event.EvidenceItem{Cause: event.CauseConsoleCall, Mend: event.MendConsole}
	}
	console, err := c.cloud.ConsoleOutput(ctx, walk.Scope, hung.id)
	if err != nil {
		item, _ := c.failed(ctx, walk.Scope, err, "console logs")
		item.Calls = 1
		return without(item)
	}
	item := event.EvidenceItem{Asked: c.now().UTC(), Heard: console.Updated, Calls: 1}
	if !hung.wrote(console.Updated, c.now()) {
		item.Cause = event.CauseConsoleOld
		return without(item)
	}
	r := probe.ReadConsole(console.Log)
	item.Console = &event.Console{Kernel: r.Kernel, Root: r.Root, End: r.End.String(), Excerpt: r.Excerpt}
	switch r.End {
	case probe.BootOpen:
		item.Cause = event.CauseConsoleOpen
	case probe.BootPanic, probe.BootStuck:
		item.Cause = event.CauseConsoleBad
	case probe.BootLogin:
	}
	return item
}

// wrote says whether a log was written to since the last start, both of which
// are known to the minute at best. A log of before would have to end in the very
// minute of the start, and in a login.
func (x *hung) wrote(updated, now time.Time) bool {
	return !x.started.IsZero() && !updated.Before(x.started) && updated.Before(now.Add(clockOff))
}

// told says whether a log was read that tells of the last start.
func (x *hung) told(item *event.EvidenceItem, now time.Time) bool {
	age := now.Sub(item.Asked)
	return item.Console != nil && age <= beatLife && age >= -clockOff && !item.Asked.Before(x.started) && x.wrote(item.Heard, now)
}

// shows says in known what a log shows of the guest as it is now; whether it is up, only
// where no heartbeat told. answered is when the machine itself did.
func (c *Consoles) shows(hung *hung, item *event.EvidenceItem, answered time.Time, known map[string]rules.GuestFacts) {
	if !hung.told(item, c.now()) {
		return
	}
	facts := rules.GuestFacts{Kernel: item.Console.Kernel}
	if device := strings.TrimPrefix(item.Console.Root, "/dev/"); device != item.Console.Root && slices.ContainsFunc(kernelNames, func(name string) bool { return strings.HasPrefix(device, name) }) {
		facts.DeviceNames = rules.Yes
	}
	if hung.asked && item.Heard.After(answered) {
		facts.ConsoleKernel, facts.ConsoleNames = facts.Kernel, facts.DeviceNames
	}
	switch end := probe.ParseBootEnd(item.Console.End); {
	case !hung.runs, end == probe.BootOpen: // it is not up, whether or not it was
	case end == probe.BootLogin:
		facts.Up = rules.Yes
	default:
		facts.Up = rules.No
	}
	if heard := known[hung.id].Up; heard != rules.Unobserved {
		facts.Up = heard
	}
	if facts != (rules.GuestFacts{}) {
		known[hung.id] = facts
	}
}
