// Package workers turns pages of instances into classified pages: it adds what
// the cloud knows of their images and asks the rule set. It reads no instance
// from the cloud and stores nothing.
package workers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/rules"
)

// Publisher stores a message durably before it returns nil. A repeat of a
// message is harmless.
type Publisher interface {
	Publish(ctx context.Context, m event.Message) error
}

// Images says what is known of images. Facts come back for every id, with
// Presence ImageNotAsked where the lookup failed; the failure then comes with
// them. An error means that nothing could be said yet and the page should be
// tried again.
type Images interface {
	Lookup(ctx context.Context, s ecs.Scope, ids []string) (map[string]*rules.ImageFacts, []record.Failure, error)
}

// Observer hears how many instances were classified.
type Observer interface{ Classified(instances int) }

// Worker classifies pages. It is safe for concurrent use.
type Worker struct {
	images     Images
	bus        Publisher
	classifier atomic.Pointer[rules.Classifier]
	observer   Observer
	log        *slog.Logger
}

// New returns a Worker that classifies with c.
func New(c *rules.Classifier, images Images, bus Publisher, observer Observer, log *slog.Logger) *Worker {
	w := &Worker{images: images, bus: bus, observer: observer, log: log}
	w.classifier.Store(c)
	return w
}

// Use swaps the rule set for the pages that follow.
func (w *Worker) Use(c *rules.Classifier) { w.classifier.Store(c) }

// HandlePage classifies one page and publishes the result. stored is the
// broker's time when the page was taken.
func (w *Worker) HandlePage(ctx context.Context, page *event.InstancesListed, stored time.Time) error {
	if err := check(page); err != nil {
		return event.Terminal(err)
	}
	lookup, span := trace.Start(ctx, "look up images")
	images, failures, err := w.images.Lookup(lookup, page.Scope, imageIDs(page.Instances))
	span.End(err)
	if err != nil {
		return err
	}
	c := w.classifier.Load()
	_, span = trace.Start(ctx, "classify", trace.Int("shenscan.instances", len(page.Instances)))
	out := Classify(c, page, images)
	span.End(nil)
	out.Failures = failures
	out.Order = order(page, stored)
	if len(failures) > 0 {
		// Judged without its images. Another walk of the same scan that had
		// them is to win, also where it was earlier or its page arrived first;
		// otherwise a scan could end complete with less than it knew.
		out.Order = page.Epoch
	}
	if err := w.bus.Publish(ctx, out); err != nil {
		return err
	}
	w.observer.Classified(len(out.Rows))
	return nil
}

// order is when the page was observed, held between the broker's time of the
// scan request, before which nothing of the scan was observed, and the
// broker's time of the page, after which nothing was: a producer's clock can
// be wrong by no more than the scan lasts.
func order(page *event.InstancesListed, stored time.Time) int64 {
	return min(max(page.Observed, page.Epoch), max(stored.UnixNano(), page.Epoch))
}

func check(page *event.InstancesListed) error {
	switch {
	case page.ScanID == "" || page.Scope.Account == "" || page.Scope.Region == "":
		return fmt.Errorf("page without scan, account or region (scan %q, scope %s)", page.ScanID, page.Scope)
	case len(page.Instances) > ecs.MaxPage:
		return fmt.Errorf("page %d of scan %s in %s holds %d instances, more than %d", page.Page, page.ScanID, page.Scope, len(page.Instances), ecs.MaxPage)
	}
	for i := range page.Instances {
		if page.Instances[i].ID == "" {
			return fmt.Errorf("page %d of scan %s in %s holds an instance without an id", page.Page, page.ScanID, page.Scope)
		}
	}
	return nil
}

// imageIDs lists the distinct image ids of a page.
func imageIDs(instances []ecs.Instance) []string {
	ids := make([]string, 0, 16)
	seen := make(map[string]struct{}, 16)
	for i := range instances {
		id := instances[i].ImageID
		if id == "" {
			continue
		}
		if _, ok := seen[id]; !ok {
			seen[id] = struct{}{}
			ids = append(ids, id)
		}
	}
	return ids
}

// places are where the parts of a page stand in it. One string finds most of
// them; where it does not tell two apart, the page is searched.
type places struct {
	software map[string]int // by image id
	hardware map[string]int // by instance type
	profiles map[uint32]int // by both places
	systems  []*rules.System
	hosts    []*rules.Host
}

var pool = sync.Pool{New: func() any {
	return &places{software: map[string]int{}, hardware: map[string]int{}, profiles: map[uint32]int{}}
}}

// find returns the place of what same recognises among n parts, or -1.
func find(by map[string]int, key string, n int, same func(i int) bool) int {
	at, ok := by[key]
	switch {
	case !ok:
		return -1
	case same(at):
		return at
	}
	for i := range n {
		if same(i) {
			return i
		}
	}
	return -1
}

// Classify judges a page: equal facts are judged once.
func Classify(c *rules.Classifier, page *event.InstancesListed, images map[string]*rules.ImageFacts) *event.InstancesClassified {
	n := len(page.Instances)
	out := &event.InstancesClassified{
		Walk: page.Walk, Page: page.Page, Ruleset: c.Digest(), Targets: c.Targets(),
		Software: make([]rules.Facts, 0, len(images)), Rows: make([]event.Row, n), Profiles: make([]event.Profile, 0, n), Hardware: make([]rules.Hardware, 0, n),
	}
	at := pool.Get().(*places)
	defer func() {
		clear(at.software)
		clear(at.hardware)
		clear(at.profiles)
		at.systems, at.hosts = at.systems[:0], at.hosts[:0]
		pool.Put(at)
	}()
	for i := range page.Instances {
		x := &page.Instances[i]
		sw := find(at.software, x.ImageID, len(out.Software), func(i int) bool {
			f := &out.Software[i]
			return f.ImageID == x.ImageID && f.OSName == x.OSName && f.OSNameEn == x.OSNameEn && f.OSType == x.OSType
		})
		if sw < 0 {
			sw = len(out.Software)
			at.software[x.ImageID] = sw
			f := rules.Facts{OSName: x.OSName, OSNameEn: x.OSNameEn, OSType: x.OSType, ImageID: x.ImageID}
			if image := images[x.ImageID]; image != nil {
				f.Image = *image
			}
			out.Software = append(out.Software, f)
			at.systems = append(at.systems, c.System(&f))
		}
		on := rules.Hardware{InstanceType: x.Type, InstanceFamily: x.Family, IoOptimized: x.IoOptimized, OSNVMe: x.OSNVMe, Running: running(x.Status)}
		hw := find(at.hardware, x.Type, len(out.Hardware), func(i int) bool { return out.Hardware[i] == on })
		if hw < 0 {
			hw = len(out.Hardware)
			at.hardware[x.Type] = hw
			out.Hardware = append(out.Hardware, on)
			at.hosts = append(at.hosts, c.Host(on))
		}
		pair := uint32(sw)<<16 | uint32(hw) // a page has at most ecs.MaxPage of each
		p, ok := at.profiles[pair]
		if !ok {
			p = len(out.Profiles)
			at.profiles[pair] = p
			_, levels := c.Judge(at.systems[sw], at.hosts[hw])
			out.Profiles = append(out.Profiles, event.Profile{Software: sw, Hardware: hw, Levels: levels})
		}
		out.Rows[i] = event.Row{
			ID: x.ID, Name: x.Name, Zone: x.Zone, Status: x.Status, CreationTime: x.CreationTime,
			NetworkType: x.NetworkType, CPU: x.CPU, MemoryMiB: x.MemoryMiB, Tags: x.Tags, Profile: p,
		}
	}
	return out
}

// running says whether the instance runs. A stopped one may be one that no
// longer boots, so it proves nothing.
func running(status string) rules.Tri {
	switch status {
	case "Running":
		return rules.Yes
	case "":
		return rules.Unobserved
	}
	return rules.No
}
