package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Bounds of what is asked and answered about disks.
const (
	maxDiskPages  = 100_000 // of one region
	idleDiskPages = 3       // pages in a row that bring no disk; the list is taken to have no end then
	maxDiskWord   = 40      // bytes of a category, a type and a device
	fewInstances  = 1000    // that are asked about one by one, whatever number of disks the region says that it has
	maxAttached   = 64      // instances that one disk is attached to; the documents allow 16
)

var _ ecs.DiskAPI = (*Client)(nil)

// InstanceDisks implements ecs.DiskAPI. A region of a hundred thousand disks is
// two hundred calls, so for a few instances each is asked about by itself. What
// decides is how many disks there are, which takes a call and is what a list is
// held to afterwards.
func (c *Client) InstanceDisks(ctx context.Context, scope ecs.Scope, instances []string, each func(*ecs.Disk)) (ecs.DiskListing, error) {
	lister := diskLister{c: c, scope: scope, each: each, seen: map[uint64]uint64{}}
	err := lister.ask(ctx, instances)
	return ecs.DiskListing{Calls: lister.calls, Doubt: lister.doubt}, err
}

// diskLister asks for the disks of one scope.
type diskLister struct {
	c     *Client
	scope ecs.Scope
	each  func(*ecs.Disk)
	calls int
	seen  map[uint64]uint64 // hashes of what was said of disks, by those of their ids: a region has millions
	doubt *ecs.Error        // the first
}

// ask asks about each instance, or for the whole region.
func (l *diskLister) ask(ctx context.Context, instances []string) error {
	counted := ecs.NoCount
	if len(instances) > 1 {
		var err error
		if counted, err = l.count(ctx); err != nil {
			return err
		}
	}
	pages := (counted + ecs.DiskPage - 1) / ecs.DiskPage
	if len(instances) > 1 && len(instances) > min(pages, fewInstances) {
		return l.region(ctx, counted)
	}
	for _, id := range instances {
		if err := l.of(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// count asks how many disks the region has. Beside a page number TotalCount means
// something, which it does not beside a token.
func (l *diskLister) count(ctx context.Context) (int, error) {
	page, err := l.call(ctx, "PageNumber", "1", "PageSize", "1")
	if err != nil {
		return 0, err
	}
	return page.total, nil
}

// of asks for the disks of one instance.
func (l *diskLister) of(ctx context.Context, instance string) error {
	if !usableID(instance) {
		return badRequest(actDisks, l.scope, fmt.Errorf("no instance can have the id %q", clip(instance, 60)))
	}
	total := ecs.NoCount
	found := map[string]bool{}
	last, err := l.chain(ctx, instance, func(page *diskAnswer, first bool) (fresh int) {
		if first {
			total = page.total
		}
		for i := range page.disks {
			disk := &page.disks[i]
			if !slices.Contains(disk.Instances, instance) {
				l.doubted(page, fmt.Sprintf("disk %s is in the answer about instance %s and is not attached to it", disk.ID, clip(instance, 60)))
			}
			if !found[disk.ID] {
				found[disk.ID] = true
				fresh++
			}
		}
		l.take(page)
		return fresh
	})
	if err == nil && len(found) < total {
		l.doubted(last, fmt.Sprintf("instance %s has %d disks by the count and %d by the list", clip(instance, 60), total, len(found)))
	}
	return err
}

// region lists all disks of the region and holds the list to the count.
func (l *diskLister) region(ctx context.Context, counted int) error {
	last, err := l.chain(ctx, "", func(page *diskAnswer, _ bool) int { return l.take(page) })
	if err != nil {
		return err
	}
	return l.hold(ctx, last, counted)
}

// chain reads a list to its end, that of an instance or, without one, of the region. read
// says how many disks a page brings that were on none before.
func (l *diskLister) chain(ctx context.Context, instance string, read func(page *diskAnswer, first bool) (fresh int)) (last *diskAnswer, err error) {
	token, idle := "", 0
	for range maxDiskPages {
		page, err := l.call(ctx, "InstanceId", instance, "MaxResults", strconv.Itoa(ecs.DiskPage), "NextToken", token)
		if err != nil {
			return nil, err
		}
		if page.token == token && token != "" {
			break
		}
		if idle++; read(page, token == "") > 0 {
			idle = 0
		}
		if page.token == "" {
			if page.more {
				l.doubted(page, "it says that there are more disks, and not where")
			}
			return page, nil
		}
		if idle == idleDiskPages {
			break
		}
		token = page.token
	}
	return nil, &ecs.Error{Action: actDisks, Scope: l.scope, Class: ecs.BadAnswer, Err: errors.New("the list of disks does not end")}
}

// hold doubts a list that the count contradicts. Disks come and go while they are
// listed, so it must be short of what was counted before and of what is counted now,
// or longer than both.
func (l *diskLister) hold(ctx context.Context, last *diskAnswer, counted int) error {
	listed := len(l.seen)
	if counted == ecs.NoCount || listed == counted {
		return nil
	}
	now, err := l.count(ctx)
	switch {
	case err != nil:
		return err
	case now == ecs.NoCount:
		now = counted
	}
	if few, many := min(counted, now), max(counted, now); listed < few || listed > many {
		if listed > many {
			few = many
		}
		l.doubted(last, fmt.Sprintf("the region has %d disks by the count and %d by the list", few, listed))
	}
	return nil
}

func (l *diskLister) call(ctx context.Context, pairs ...string) (page *diskAnswer, err error) {
	req := asideRequest(actDisks, "RegionId", l.scope.Region)
	req.set(pairs...)
	page, err = ask(ctx, l.c, l.scope, req, decodingRest(func(w *wireDisks, rest present) (*diskAnswer, error) {
		page, err := w.page(l.scope.Region)
		if err == nil {
			page.more, err = goesOn(rest)
		}
		return page, err
	}))
	l.calls++
	if err == nil && page.odd != "" {
		l.doubted(page, page.odd)
	}
	return page, err
}

// take hands on the disks that were not heard of before and says how many they
// are. One that comes twice is the same both times, or is doubted and handed on
// again.
func (l *diskLister) take(page *diskAnswer) (fresh int) {
	for i := range page.disks {
		disk := &page.disks[i]
		id, said := maphash.String(diskSeed, disk.ID), hashDisk(disk)
		switch was, again := l.seen[id]; {
		case !again:
			l.seen[id] = said
			fresh++
		case was == said:
			continue
		default:
			l.doubted(page, fmt.Sprintf("disk %s stands in the list twice, and not as the same", disk.ID))
		}
		l.each(disk)
	}
	return fresh
}

var diskSeed = maphash.MakeSeed()

// hashDisk tells what is said of a disk from what else could be said of it.
func hashDisk(d *ecs.Disk) uint64 {
	return maphash.String(diskSeed, strings.Join(append([]string{d.Category, d.Kind, strconv.Itoa(d.SizeGiB)}, d.Instances...), "\x00"))
}

func (l *diskLister) doubted(page *diskAnswer, why string) {
	if l.doubt != nil {
		return
	}
	l.doubt = notBelieved(actDisks, l.scope, page.requestID, "disks that it names are as it says, and no instance is said to need none converted", "the answer is not believed: %s", why)
}

// diskAnswer is an answer of DescribeDisks.
type diskAnswer struct {
	disks     []ecs.Disk
	token     string
	total     int
	requestID string
	more      bool   // it says that there are more
	odd       string // what is wrong with rows that are left out
}

// wireDisks is the same as it is sent.
type wireDisks struct {
	RequestID  string `json:"RequestId"`
	NextToken  string
	TotalCount count
	Disks      maybe[struct{ Disk list[wireDisk] }]
}

type wireDisk struct {
	ID             string `json:"DiskId"`
	RegionID       string `json:"RegionId"`
	ZoneID         string `json:"ZoneId"`
	InstanceID     string `json:"InstanceId"`
	Category, Type string
	Device, Status string
	Size           count
	Attachments    maybe[struct{ Attachment list[wireAttached] }]
	MountInstances maybe[struct{ MountInstance list[wireAttached] }]
}

// wireAttached is an instance that a disk is attached to.
type wireAttached struct {
	InstanceID string `json:"InstanceId"`
	Device     string
}

func (w *wireDisks) page(region string) (*diskAnswer, error) {
	if w.Disks.v.Disk == nil {
		return nil, missing("Disks.Disk")
	}
	page := &diskAnswer{token: w.NextToken, total: orNone(w.TotalCount), requestID: clip(w.RequestID, 64)}
	for i := range w.Disks.v.Disk {
		row := &w.Disks.v.Disk[i]
		disk := row.disk()
		switch {
		case isForeign(row.RegionID, row.ZoneID, region):
			page.odd = "it lists disks of another region"
		case !sendableImage(row.ID): // ids of disks are made of the same characters
			page.odd = fmt.Sprintf("%q is no id of a disk", clip(row.ID, 60))
		case len(disk.Instances) > maxAttached:
			page.odd = fmt.Sprintf("disk %s is attached to %d instances", row.ID, len(disk.Instances))
		case strings.EqualFold(row.Status, "In_use") && len(disk.Instances) == 0:
			page.odd = fmt.Sprintf("disk %s is in use, and of which instance is not said", row.ID)
		default:
			page.disks = append(page.disks, disk)
		}
	}
	return page, nil
}

// disk is what a row says. A disk that may be attached to several instances says
// so beside the member that names one.
func (w *wireDisk) disk() ecs.Disk {
	out := ecs.Disk{ID: w.ID, Category: clip(strings.ToLower(w.Category), maxDiskWord), Kind: clip(strings.ToLower(w.Type), maxDiskWord), Device: clip(w.Device, maxDiskWord), SizeGiB: max(w.Size.v, 0)}
	if w.InstanceID != "" {
		out.Instances = append(out.Instances, w.InstanceID)
	}
	for _, list := range [][]wireAttached{w.Attachments.v.Attachment, w.MountInstances.v.MountInstance} {
		for _, at := range list {
			if at.InstanceID == "" || slices.Contains(out.Instances, at.InstanceID) {
				continue
			}
			out.Instances = append(out.Instances, at.InstanceID)
			if out.Device == "" {
				out.Device = clip(at.Device, maxDiskWord)
			}
		}
	}
	return out
}
