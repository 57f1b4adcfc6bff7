// Package workers turns pages of instances into classified pages: it adds what
// the cloud knows of their images, asks the rule set, and finds out of single
// guests what a verdict hangs on. It lists no instance and stores nothing.
package workers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// Publisher stores a message durably before it returns nil. A repeat of a
// message is harmless.
type Publisher interface {
	Publish(ctx context.Context, m event.Message) error
}

// Images says what is known of images. One comes back for every id, in their
// order: with Presence ImageNotAsked where the lookup failed, which then comes
// with them, and nil for an id that is empty. An error means that nothing could
// be said yet and the page should be tried again.
type Images interface {
	Lookup(ctx context.Context, s ecs.Scope, ids []string) ([]*Image, []record.Failure, error)
}

// Doubter is the ability of Images to take back what the platform said of an
// image where the fleet says otherwise.
type Doubter interface {
	Doubt(ctx context.Context, s ecs.Scope, id string, f rules.ImageFacts) *Image
}

// Observer hears how many instances were classified.
type Observer interface{ Classified(instances int) }

// Worker classifies pages. It is safe for concurrent use once its sources of evidence
// are set.
type Worker struct {
	Platform *Platform   // whose answers are held against the fleet; nil where the platform is not asked
	Beats    *Heartbeats // nil where nobody is asked for heartbeats
	Fleet    *Fleet      // nil where what the fleet tells is kept nowhere
	Consoles *Consoles   // nil where no console logs are read

	images   Images
	bus      Publisher
	reader   atomic.Pointer[outcome.Reader]
	observer Observer
}

// New returns a Worker that classifies with c.
func New(c *rules.Classifier, images Images, bus Publisher, observer Observer) *Worker {
	w := &Worker{images: images, bus: bus, observer: observer}
	w.Use(c)
	return w
}

// Use has pages classified with c from now on; one that is at hand may still be
// classified with the one before, which its result names.
func (w *Worker) Use(c *rules.Classifier) { w.reader.Store(outcome.NewReader(c)) }

// HandlePage classifies one page and publishes the result. stored is the
// broker's time when the page was taken.
func (w *Worker) HandlePage(ctx context.Context, page *event.InstancesListed, stored time.Time) error {
	if err := check(page); err != nil {
		return event.Terminal(err)
	}
	lookup, span := trace.Start(ctx, "look up images")
	images, failures, err := w.images.Lookup(lookup, page.Scope, imageIDs(page.Software))
	span.End(err)
	if err != nil {
		return err
	}
	if err := w.holdAgainstFleet(ctx, page, images); err != nil {
		return err
	}
	if w.Fleet != nil {
		if err := unlessUnread(w.Fleet.add(ctx, page, images), &failures); err != nil {
			return err
		}
	}
	_, span = trace.Start(ctx, "classify", trace.Int("shenscan.instances", page.Rows.Len()))
	reader := w.reader.Load() // one for all of the page
	out, hanging := classify(reader, page, images)
	span.End(nil)
	if w.Beats != nil || w.Consoles != nil {
		if err := w.heard(ctx, reader, page, images, out, hanging, &failures); err != nil {
			return err
		}
	}
	out.Failures = failures
	out.Order = order(page, stored)
	if len(failures) > 0 {
		// Judged without its images, or without what was known before. Another
		// walk of the same scan that had them is to win, also where it was earlier
		// or its page arrived first; otherwise a scan could end complete with less
		// than it knew.
		out.Order = page.Epoch
	}
	if err := w.bus.Publish(ctx, out); err != nil {
		return err
	}
	w.observer.Classified(out.Rows.Len())
	return nil
}

// heard asks for what verdicts of the page hang on, the cheapest first, looks up what is
// kept of the other guests, and judges again where something became known. What cannot be
// read of before is noted in failures.
func (w *Worker) heard(ctx context.Context, reader *outcome.Reader, page *event.InstancesListed, images []*Image, out *event.InstancesClassified, hanging []int, failures *[]record.Failure) error {
	if w.Beats != nil {
		w.Beats.calls.listed(page)
	}
	if w.Consoles != nil {
		w.Consoles.calls.listed(page)
	}
	list, others := hungOf(page, hanging), []hung(nil)
	if w.Consoles != nil {
		others = hungOf(page, beside(page, hanging))
	}
	if len(list) == 0 && len(others) == 0 {
		return nil
	}
	asking, span := trace.Start(ctx, "ask for guests", trace.Int("shenscan.profiles", len(hanging)))
	guests, err := w.ask(asking, page, list, others, failures)
	span.End(err)
	list = append(list, others...)
	if err == nil && len(guests) > 0 {
		judgeAgain(reader, page, images, out, list, guests)
	}
	return err
}

// ask finds out what guests are up: by a console log only where no heartbeat
// tells. Of those whose verdicts do not hang on it, the others, nobody is asked; what a
// log that is kept showed of them counts all the same.
func (w *Worker) ask(ctx context.Context, page *event.InstancesListed, list, others []hung, failures *[]record.Failure) (map[string]rules.GuestFacts, error) {
	known := map[string]rules.GuestFacts{}
	if w.Beats != nil {
		if err := unlessUnread(w.Beats.look(ctx, page, list, known), failures); err != nil {
			return nil, err
		}
	}
	if w.Consoles != nil {
		families := w.reader.Load().Classifier().Ruleset().Families()
		var read []hung
		for _, x := range list {
			if _, up := known[x.id]; up || x.osType == "windows" || families.Lookup("", x.family).Lifecycle == "retired" {
				others = append(others, x)
			} else {
				read = append(read, x)
			}
		}
		if err := unlessUnread(w.Consoles.look(ctx, page, read, known), failures); err != nil {
			return nil, err
		}
		if err := unlessUnread(w.Consoles.recall(ctx, page.Scope, others, known), failures); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// holdAgainstFleet looks for instances that run on machines of a class on which
// the platform refuses their image: one of the two is wrong, and the instance is
// seen. What the platform said of the image then counts for nothing.
func (w *Worker) holdAgainstFleet(ctx context.Context, page *event.InstancesListed, images []*Image) error {
	doubter, ok := w.images.(Doubter)
	if w.Platform == nil || !ok {
		return nil
	}
	for _, profile := range page.Profiles {
		image, machine := images[profile.Software], &page.Hardware[profile.Hardware]
		if image == nil || image.Facts.Refused == "" || machine.Running != rules.Yes {
			continue
		}
		families := w.reader.Load().Classifier().Ruleset().Families()
		class := families.Lookup(machine.InstanceType, machine.InstanceFamily).Class
		if class == "" || !slices.Contains(image.refusedClasses(families), class) {
			continue
		}
		id := page.Software[profile.Software].ImageID
		why := fmt.Sprintf("the answer for image %s is not believed: it lacks %s and every other family of its class, and an instance of the image is Running on %s", id, machine.InstanceFamily, machine.InstanceType)
		if err := w.Platform.Distrust(ctx, page.Scope, id, why); err != nil {
			return err
		}
		doubted := doubter.Doubt(ctx, page.Scope, id, image.Facts)
		for i := range page.Software { // several systems may be of one image
			if page.Software[i].ImageID == id {
				images[i] = doubted
			}
		}
	}
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
	case page.Rows.Len() > event.MaxInstances:
		return fmt.Errorf("page %d of scan %s in %s holds %d instances, more than %d", page.Page, page.ScanID, page.Scope, page.Rows.Len(), event.MaxInstances)
	case page.Rows.Nameless():
		return fmt.Errorf("page %d of scan %s in %s holds an instance without an id", page.Page, page.ScanID, page.Scope)
	}
	return nil
}

// imageIDs lists the image of each software.
func imageIDs(software []event.Installed) []string {
	ids := make([]string, len(software))
	for i := range software {
		ids[i] = software[i].ImageID
	}
	return ids
}

// Classify judges a page: what its instances have in common, once. images are
// those of its software.
func Classify(r *outcome.Reader, page *event.InstancesListed, images []*Image) *event.InstancesClassified {
	out, _ := classify(r, page, images)
	return out
}

// classify also says which profiles, in order, have a verdict that hangs on
// whether their guests are up.
func classify(reader *outcome.Reader, page *event.InstancesListed, images []*Image) (out *event.InstancesClassified, hanging []int) {
	classifier := reader.Classifier()
	out = &event.InstancesClassified{
		Walk: page.Walk, Page: page.Page, Ruleset: classifier.Digest(), Targets: classifier.Targets(),
		Software: make([]*rules.Facts, len(page.Software)), Hardware: page.Hardware, Profiles: make([]event.Profile, len(page.Profiles)), Rows: page.Rows,
	}
	work := works.Get().(*work)
	defer work.release()
	for i := range page.Software {
		facts, system := images[i].read(classifier, &page.Software[i])
		out.Software[i], work.systems = facts, append(work.systems, system)
	}
	for _, hardware := range page.Hardware {
		work.hosts = append(work.hosts, classifier.Host(hardware))
	}
	for i, profile := range page.Profiles {
		class, hangs := reader.ClassHangs(work.systems[profile.Software], work.hosts[profile.Hardware])
		if hangs {
			hanging = append(hanging, i)
		}
		number, known := work.numbers[class]
		if !known {
			number = len(work.classes)
			work.numbers[class] = number
			work.classes = append(work.classes, class)
		}
		profile.Class = number
		out.Profiles[i] = profile
	}
	out.Classes = make([]outcome.Class, len(work.classes))
	for i, class := range work.classes {
		out.Classes[i] = *class
	}
	return out, hanging
}

// work is what classifying a page takes beside the result: its memory serves for
// one page after the other.
type work struct {
	systems []*rules.System
	hosts   []*rules.Host
	classes []*outcome.Class
	numbers map[*outcome.Class]int // in classes
}

var works = sync.Pool{New: func() any { return &work{numbers: map[*outcome.Class]int{}} }}

func (w *work) release() {
	clear(w.systems)
	clear(w.hosts)
	clear(w.classes)
	clear(w.numbers)
	w.systems, w.hosts, w.classes = w.systems[:0], w.hosts[:0], w.classes[:0]
	works.Put(w)
}
