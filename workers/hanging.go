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

// What is asked of single instances whose verdict hangs on it.

// hung is an instance whose verdict hangs on whether its guest is up.
type hung struct {
	id      string
	osType  string
	family  string
	started time.Time // zero where that is not known
	asked   bool      // the machine itself was asked
}

// hungOf lists the instances of some profiles, which are in order.
func hungOf(page *event.InstancesListed, hanging []int) (list []hung) {
	for row := range page.Rows.Heads() {
		if _, there := slices.BinarySearch(hanging, row.Profile); !there {
			continue
		}
		p := &page.Profiles[row.Profile]
		x := hung{id: row.ID, osType: page.Software[p.Software].OSType, family: page.Hardware[p.Hardware].InstanceFamily, asked: page.Software[p.Software].Guest != (rules.GuestFacts{})}
		if row.Started > 0 {
			if at, err := time.Parse("2006-01-02T15:04Z", event.UnpackMinute(row.Started)); err == nil {
				x.started = at
			}
		}
		list = append(list, x)
	}
	return list
}

// withGuests is the page with what became known of guests: rows whose guests are
// known refer to other profiles, of other software. As in any page there is
// nothing that no row refers to, and nothing twice.
func withGuests(page *event.InstancesListed, known map[string]rules.GuestFacts) *event.InstancesListed {
	out := *page
	out.Software = make([]event.Installed, 0, len(page.Software)+len(page.Software)/4)
	out.Hardware = make([]rules.Hardware, 0, len(page.Hardware))
	out.Profiles = make([]event.Profile, 0, len(page.Profiles)+len(page.Profiles)/8)
	// Places in the new page by those in the page, plus one; 0 where no row had it yet.
	hardware, same := make([]int, len(page.Hardware)), make([]int, len(page.Profiles))
	software := map[learntOn]int{} // places by what they were made of: texts are compared where that is new alone
	installed, profiles := map[event.Installed]int{}, make(map[event.Profile]int, len(page.Profiles))
	number := func(had event.Profile, learnt rules.GuestFacts, there bool) int {
		made := learntOn{had.Software, learnt, there}
		place, known := software[made]
		if !known {
			is := page.Software[had.Software]
			if there {
				is.Guest = merge(is.Guest, learnt)
			}
			place = numberOf(installed, &out.Software, is)
			software[made] = place
		}
		if hardware[had.Hardware] == 0 {
			out.Hardware = append(out.Hardware, page.Hardware[had.Hardware])
			hardware[had.Hardware] = len(out.Hardware)
		}
		return numberOf(profiles, &out.Profiles, event.Profile{Software: place, Hardware: hardware[had.Hardware] - 1})
	}
	out.Rows = page.Rows.WithProfiles(func(row event.RowHead) int {
		had := page.Profiles[row.Profile]
		if learnt, there := known[row.ID]; there {
			return number(had, learnt, true)
		}
		if same[row.Profile] == 0 {
			same[row.Profile] = number(had, rules.GuestFacts{}, false) + 1
		}
		return same[row.Profile] - 1
	})
	return &out
}

// learntOn is software of a page and, where something became known of the guest
// that it runs, what.
type learntOn struct {
	software int
	guest    rules.GuestFacts
	learnt   bool
}

// merge adds what became known of a guest. What the machine itself said is of its
// default kernel, and counts more than an older log; what a newer log shows stands
// beside it where it is another.
func merge(guest, learnt rules.GuestFacts) rules.GuestFacts {
	guest.Up = learnt.Up
	switch {
	case guest.Kernel == "":
		guest.Kernel = learnt.Kernel
	case guest.Kernel != learnt.ConsoleKernel:
		guest.ConsoleKernel = learnt.ConsoleKernel
	}
	switch guest.DeviceNames {
	case rules.Unobserved:
		guest.DeviceNames = learnt.DeviceNames
	case rules.No:
		guest.ConsoleNames = learnt.ConsoleNames
	case rules.Yes:
	}
	return guest
}

// numberOf is the place of a value in a list of different ones, to which it is
// added where it is new.
func numberOf[T comparable](numbers map[T]int, list *[]T, value T) int {
	n, known := numbers[value]
	if !known {
		n = len(*list)
		numbers[value] = n
		*list = append(*list, value)
	}
	return n
}

// keptOf adds to items what is kept of instances. Where that cannot be read, ok
// is false and nobody is asked.
func keptOf(ctx context.Context, kept Kept, log *slog.Logger, scope ecs.Scope, source string, list []hung, items map[string]event.EvidenceItem) (ok bool, err error) {
	for part := range slices.Chunk(list, event.MaxEvidence) {
		ids := make([]string, len(part))
		for i := range part {
			ids[i] = part[i].id
		}
		had, err := kept.Evidence(ctx, scope, source, ids)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil { // asking again what is known would cost calls without end
			log.WarnContext(ctx, "evidence that is kept could not be read; verdicts do without it", "source", source, "account", scope.Account, "region", scope.Region, "err", err)
			return false, nil
		}
		for id, item := range had {
			items[id] = keptItem(id, item)
		}
	}
	return true, nil
}

// publishItems announces what became of a lookup.
func publishItems(ctx context.Context, bus Publisher, s ecs.Scope, source string, list []hung, items map[string]event.EvidenceItem, now time.Time) error {
	for part := range slices.Chunk(list, event.MaxEvidence) {
		evidence := &event.EvidenceRead{Scope: s, Source: source, At: now.UTC()}
		for i := range part {
			item := items[part[i].id]
			if item.Kept {
				item = event.EvidenceItem{ID: item.ID, Kept: true, Calls: item.Calls}
			}
			evidence.Items = append(evidence.Items, item)
		}
		if err := bus.Publish(ctx, evidence); err != nil {
			return err
		}
	}
	return nil
}

// denials are the scopes that refuse a question, which is not asked there for a
// while.
type denials struct {
	mu sync.Mutex
	by map[ecs.Scope]denial
}

// of says why a scope is not asked; nil where it may be.
func (d *denials) of(scope ecs.Scope, now time.Time) *event.EvidenceItem {
	d.mu.Lock()
	defer d.mu.Unlock()
	if x, there := d.by[scope]; there && now.Before(x.until) {
		return &x.item
	}
	return nil
}

// add keeps a refusal, and says whether it is the scope's first.
func (d *denials) add(scope ecs.Scope, item event.EvidenceItem, now time.Time) (first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, before := d.by[scope]
	d.by[scope] = denial{item, now.Add(deniedFor)}
	return !before
}

// callShare bounds calls beside others: for each scan, and for all rescans
// together.
type callShare struct {
	share float64 // calls for each of the others
	// free is how many calls are made in a scan whatever the share is: small fleets
	// are listed with a few. Rescans have restFree together.
	free float64

	mu    sync.Mutex
	scans []scanCalls // the youngest last
}

type scanCalls struct {
	scan    string
	allowed float64 // calls that may still be made
}

const (
	restFree = 10
	// mostScans is how many scans are told apart.
	mostScans = 16
)

// budgetOf names what the calls for a page are counted under.
func budgetOf(walk *event.Walk) string {
	if walk.Kind == event.KindRescan {
		return ""
	}
	return walk.ScanID
}

// of finds a scan; the caller holds mu.
func (c *callShare) of(scan string) *scanCalls {
	i := slices.IndexFunc(c.scans, func(s scanCalls) bool { return s.scan == scan })
	if i < 0 {
		if len(c.scans) >= mostScans {
			c.scans = slices.Delete(c.scans, 0, 1)
		}
		free := c.free
		if scan == "" {
			free = restFree
		}
		c.scans = append(c.scans, scanCalls{scan: scan, allowed: free})
		i = len(c.scans) - 1
	}
	return &c.scans[i]
}

// listed counts the calls that a page took.
func (c *callShare) listed(page *event.InstancesListed) {
	calls := (page.Rows.Len() + ecs.MaxPage - 1) / ecs.MaxPage
	c.mu.Lock()
	defer c.mu.Unlock()
	scanCalls := c.of(budgetOf(&page.Walk))
	scanCalls.allowed += float64(calls) * c.share
	if page.Kind == event.KindRescan { // what nobody needed for days is no reason for many at once
		scanCalls.allowed = min(scanCalls.allowed, restFree)
	}
}

// take takes one call, if there is one.
func (c *callShare) take(scan string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	scanCalls := c.of(scan)
	if scanCalls.allowed < 1 {
		return false
	}
	scanCalls.allowed--
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
	failure, ok := errors.AsType[*ecs.Error](err)
	if !ok {
		return item, false
	}
	item.Cause, item.Mend = fmt.Sprintf("%s: %s", failure.Action, failure.Class), failure.Mend
	if failure.Code != "" {
		item.Cause += " (" + failure.Code + ")"
	}
	if failure.Class == ecs.Contradicted { // it says why
		item.Cause += ": " + failure.Err.Error()
	}
	refused = failure.Class == ecs.Permission || failure.Class == ecs.RegionClosed || failure.Class == ecs.Credentials || unknownAction(failure.Code)
	return item, refused
}
