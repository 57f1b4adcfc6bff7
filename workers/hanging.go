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
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// What is asked of single instances whose verdict hangs on it.

// hung is an instance whose verdict hangs on whether its guest is up, or of which a log
// may be kept that tells more of it.
type hung struct {
	id      string
	profile int
	osType  string
	family  string
	started time.Time // zero where that is not known
	asked   bool      // the machine itself was asked
	runs    bool
}

// hungOf lists the instances of some profiles, which are in order.
func hungOf(page *event.InstancesListed, hanging []int) (list []hung) {
	for row := range page.Rows.Heads() {
		if _, there := slices.BinarySearch(hanging, row.Profile); !there {
			continue
		}
		p := &page.Profiles[row.Profile]
		x := hung{id: row.ID, profile: row.Profile, osType: page.Software[p.Software].OSType, family: page.Hardware[p.Hardware].InstanceFamily, asked: page.Software[p.Software].Guest != (rules.GuestFacts{}), runs: page.Hardware[p.Hardware].Running == rules.Yes}
		if row.Started > 0 {
			if at, err := time.Parse("2006-01-02T15:04Z", event.UnpackMinute(row.Started)); err == nil {
				x.started = at
			}
		}
		list = append(list, x)
	}
	return list
}

// beside lists the profiles of a page, in order, without some.
func beside(page *event.InstancesListed, without []int) (profiles []int) {
	for i := range page.Profiles {
		if _, there := slices.BinarySearch(without, i); !there {
			profiles = append(profiles, i)
		}
	}
	return profiles
}

// judgeAgain judges those of the hung instances of a classified page anew whose guests are
// known now. Their profiles are of other software then, and have the places of those that no
// row refers to any more: most rows, and all that was judged of the others, stay as they are.
// Where two of them become one, the second is left as it was, and no row refers to it.
func judgeAgain(reader *outcome.Reader, page *event.InstancesListed, images []*Image, out *event.InstancesClassified, list []hung, known map[string]rules.GuestFacts) {
	again := &learnt{
		reader: reader, page: page, images: images, out: out,
		profiles: newPlaces(&out.Profiles), software: newPlaces(&out.Software), systems: map[event.Installed]readSystem{}, numbers: map[event.Profile]int{},
	}
	again.free(list, known)
	type place struct { // of a row, whose id alone may stand twice in a page
		id      string
		profile int
	}
	moved := map[place]int{} // the rows that refer to other profiles now
	for i := range list {
		if guest, there := known[list[i].id]; there {
			if number := again.number(page.Profiles[list[i].profile], guest); number != list[i].profile {
				moved[place{list[i].id, list[i].profile}] = number
			}
		}
	}
	if len(moved) == 0 {
		return
	}
	out.Rows = page.Rows.WithProfiles(func(row event.RowHead) int {
		if number, there := moved[place{row.ID, row.Profile}]; there {
			return number
		}
		return row.Profile
	})
}

// learnt puts into a classified page what became known of guests.
type learnt struct {
	reader   *outcome.Reader
	page     *event.InstancesListed
	images   []*Image
	out      *event.InstancesClassified
	profiles *places[event.Profile]
	software *places[*rules.Facts]
	systems  map[event.Installed]readSystem
	numbers  map[event.Profile]int // of profiles that have no class yet
}

// readSystem is a system, and its number in the page.
type readSystem struct {
	number int
	system *rules.System
}

// free frees the places of what no row refers to any more.
func (l *learnt) free(list []hung, known map[string]rules.GuestFacts) {
	for i := range list {
		l.profiles.taken[list[i].profile] = false
	}
	for i := range list {
		if _, there := known[list[i].id]; !there {
			l.profiles.taken[list[i].profile] = true
		}
	}
	clear(l.software.taken)
	for i := range l.page.Profiles {
		if l.profiles.taken[i] {
			l.software.taken[l.page.Profiles[i].Software] = true
		}
	}
}

// number judges a profile with what is known of its guest, and returns its number.
func (l *learnt) number(had event.Profile, guest rules.GuestFacts) int {
	is, judge := l.page.Software[had.Software], l.reader.Classifier()
	is.Guest = merge(is.Guest, guest)
	on, there := l.systems[is]
	if !there {
		facts, system := l.images[had.Software].read(judge, &is)
		on = readSystem{l.software.put(facts), system}
		l.systems[is] = on
	}
	profile := event.Profile{Software: on.number, Hardware: had.Hardware}
	number, there := l.numbers[profile]
	if !there {
		judged, class := profile, *l.reader.Class(on.system, judge.Host(l.page.Hardware[had.Hardware]))
		if judged.Class = slices.Index(l.out.Classes, class); judged.Class < 0 {
			judged.Class = len(l.out.Classes)
			l.out.Classes = append(l.out.Classes, class)
		}
		number = l.profiles.put(judged)
		l.numbers[profile] = number
	}
	return number
}

// places are those of a list, some of which are taken.
type places[T any] struct {
	list  *[]T
	taken []bool
	next  int // all before it are taken
}

// newPlaces returns the places of a list, all of which are taken.
func newPlaces[T any](list *[]T) *places[T] {
	return &places[T]{list: list, taken: slices.Repeat([]bool{true}, len(*list))}
}

// put puts a value in the first place that is not taken, or behind the last, and returns its
// number.
func (p *places[T]) put(value T) int {
	for p.next < len(p.taken) && p.taken[p.next] {
		p.next++
	}
	if p.next == len(*p.list) {
		*p.list = append(*p.list, value)
	}
	(*p.list)[p.next] = value
	p.next++
	return p.next - 1
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

// asker is what it takes to ask the cloud about single things, and not again what
// is known.
type asker struct {
	kept Kept
	bus  Publisher
	now  func() time.Time
	log  *slog.Logger

	mu     sync.Mutex
	denied map[ecs.Scope]denial
}

// denial is why a scope is not asked for a while.
type denial struct {
	item  event.EvidenceItem
	until time.Time
}

// deniedFor is how long a scope that refuses a question is not asked it, throttledFor how
// long one is left alone that is busy although the client waited for it.
const (
	deniedFor    = time.Hour
	throttledFor = 10 * time.Minute
)

// unread is that something kept of earlier scans could not be read. What speaks against a
// verdict may be there, so that the scan names it and is not complete.
type unread struct{ record.Failure }

func (u *unread) Error() string { return u.Failure.Error }

func unreadOf(scope ecs.Scope, source string, err error) error {
	return &unread{record.Failure{
		Account: scope.Account, Region: scope.Region, API: "shenscan", Class: ecs.Transient.String(),
		Error: fmt.Sprintf("what earlier scans found out (%s) could not be read, and verdicts do without it: %v", source, err),
		Mend:  "see that a sink runs and that its store can be read (shenscan doctor), then scan again",
	}}
}

func isUnread(err error) bool {
	_, is := errors.AsType[*unread](err)
	return is
}

// unlessUnread returns err, or notes in failures that something kept could not be read and
// returns nil: what is judged is judged without it.
func unlessUnread(err error, failures *[]record.Failure) error {
	lost, is := errors.AsType[*unread](err)
	if !is {
		return err
	}
	if !slices.Contains(*failures, lost.Failure) {
		*failures = append(*failures, lost.Failure)
	}
	return nil
}

// known returns what is kept of some ids. Where that cannot be read, the error is an unread,
// and nobody is to be asked: asking again what is known would cost calls without end.
func (a *asker) known(ctx context.Context, scope ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	items := make(map[string]event.EvidenceItem, len(ids))
	for part := range slices.Chunk(ids, event.MaxEvidence) {
		had, err := a.kept.Evidence(ctx, scope, source, part)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			a.log.WarnContext(ctx, "evidence that is kept could not be read; verdicts do without it", "source", source, "account", scope.Account, "region", scope.Region, "err", err)
			return nil, unreadOf(scope, source, err)
		}
		for id, item := range had {
			items[id] = keptItem(id, item)
		}
	}
	return items, nil
}

func keptItem(id string, item event.EvidenceItem) event.EvidenceItem {
	item.ID, item.Kept, item.Calls = id, true, 0
	return item
}

// publish announces what became of a lookup.
func (a *asker) publish(ctx context.Context, scope ecs.Scope, source string, ids []string, items map[string]event.EvidenceItem) error {
	for part := range slices.Chunk(ids, event.MaxEvidence) {
		evidence := &event.EvidenceRead{Scope: scope, Source: source, At: a.now().UTC()}
		for _, id := range part {
			item := items[id]
			if item.Kept {
				item = event.EvidenceItem{ID: id, Kept: true, Calls: item.Calls}
			}
			evidence.Items = append(evidence.Items, item)
		}
		if err := a.bus.Publish(ctx, evidence); err != nil {
			return err
		}
	}
	return nil
}

// refuses says why a scope is not asked; nil where it may be.
func (a *asker) refuses(scope ecs.Scope) *event.EvidenceItem {
	a.mu.Lock()
	defer a.mu.Unlock()
	if denied, there := a.denied[scope]; there && a.now().Before(denied.until) {
		return &denied.item
	}
	return nil
}

// failed says why there is no answer, and whether the question itself was refused:
// then the scope is not asked for evidence again for a while, which is logged the first
// time.
func (a *asker) failed(ctx context.Context, scope ecs.Scope, err error, evidence string) (item event.EvidenceItem, refused bool) {
	item, refused = causeOf(err)
	if ctx.Err() != nil {
		return item, refused
	}
	if !refused {
		a.log.DebugContext(ctx, "a question has no answer", "account", scope.Account, "region", scope.Region, "err", err)
		return item, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.denied == nil {
		a.denied = map[ecs.Scope]denial{}
	}
	quiet := deniedFor
	if ecs.ClassOf(err) == ecs.Throttled {
		quiet = throttledFor
	}
	if _, before := a.denied[scope]; !before {
		a.log.InfoContext(ctx, "evidence may not be asked for; verdicts do without it", "evidence", evidence, "account", scope.Account, "region", scope.Region, "err", err)
	}
	a.denied[scope] = denial{item, a.now().Add(quiet)}
	return item, true
}

// idsOf are the ids of instances.
func idsOf(list []hung) []string {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	return ids
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
	item.Cause, item.Mend = failure.Cause(), failure.Mend
	refused = failure.Class == ecs.Permission || failure.Class == ecs.RegionClosed || failure.Class == ecs.Credentials || failure.Class == ecs.Throttled || unknownAction(failure.Code)
	return item, refused
}
