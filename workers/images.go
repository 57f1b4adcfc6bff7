package workers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// ImageAPI looks images up in the cloud; ecs.API satisfies it. Every id comes
// back, unknown ones as ImageMissing.
type ImageAPI interface {
	Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error)
}

// SharedImages keeps image facts for every worker process, so that an image is
// asked for once and not once a process.
type SharedImages interface {
	// Claim returns what is known of ids, and which of the others this process
	// shall ask for, at most so many; it reserves those for a short time.
	Claim(ctx context.Context, s ecs.Scope, ids []string, most int) (known map[string]rules.ImageFacts, claimed []string, err error)
	Put(ctx context.Context, s ecs.Scope, images []ecs.Image) error
	// Release gives claims up after a failed lookup.
	Release(ctx context.Context, s ecs.Scope, ids []string) error
}

// ImageCache answers from memory, from what other workers learnt, and last
// from the cloud; concurrent pages that need the same image ask once. It is
// safe for concurrent use and bounded.
type ImageCache struct {
	// Patience is how long pages wait for a scope whose lookups are throttled. Then they
	// are judged without the images, and the scan says so.
	Patience time.Duration

	api    ImageAPI
	shared SharedImages // nil in a single process
	max    int
	ttl    time.Duration
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	young   map[imageKey]*Image // generations: when young is full it becomes old
	old     map[imageKey]*Image
	pending map[imageKey]chan struct{} // closed when the lookup ended
	slow    map[ecs.Scope]*throttling
}

type imageKey struct {
	scope ecs.Scope
	id    string
}

// Image is what is known of an image.
type Image struct {
	Facts rules.ImageFacts

	until time.Time
	// failed is why the image could not be asked for; it is then known only for
	// a short time.
	failed *record.Failure
	// last are the last readings of systems whose guests are known and not known.
	last [2]atomic.Pointer[reading]
	// refused are the classes on which the platform refuses the image.
	refused atomic.Pointer[[]string]
}

// reading is how a classifier read a system that was made from an image. What
// DescribeInstances says of such systems hardly ever differs.
type reading struct {
	by     *rules.Classifier
	facts  *rules.Facts
	system *rules.System
}

// read puts together what is known of a system that was made from the image,
// which may be nil, and reads it. The facts are shared.
func (m *Image) read(classifier *rules.Classifier, installed *event.Installed) (*rules.Facts, *rules.System) {
	if m == nil {
		f := &rules.Facts{OSName: installed.OSName, OSNameEn: installed.OSNameEn, OSType: installed.OSType, ImageID: installed.ImageID, Guest: installed.Guest}
		return f, classifier.System(f)
	}
	last := &m.last[0]
	if installed.Guest != (rules.GuestFacts{}) {
		last = &m.last[1]
	}
	if r := last.Load(); r != nil && r.by == classifier && r.facts.ImageID == installed.ImageID && r.facts.OSName == installed.OSName && r.facts.OSNameEn == installed.OSNameEn && r.facts.OSType == installed.OSType && r.facts.Guest == installed.Guest {
		return r.facts, r.system
	}
	facts := &rules.Facts{OSName: installed.OSName, OSNameEn: installed.OSNameEn, OSType: installed.OSType, ImageID: installed.ImageID, Image: m.Facts, Guest: installed.Guest}
	share(facts)
	r := &reading{classifier, facts, classifier.System(facts)}
	last.Store(r)
	return r.facts, r.system
}

// share gives equal texts of images and systems, which may be parts of a message,
// one place in memory of their own.
func share(facts *rules.Facts) {
	for _, text := range facts.Texts() {
		if text == &facts.ImageID || text == &facts.Image.Name { // hardly ever those of another
			*text = strings.Clone(*text)
		} else {
			*text = unique.Make(*text).Value()
		}
	}
}

// refusedClasses are the classes of which the platform offers the image on no
// family.
func (m *Image) refusedClasses(table *family.Table) []string {
	if known := m.refused.Load(); known != nil {
		return *known
	}
	var out []string
	for name := range strings.FieldsSeq(m.Facts.Refused) {
		out = append(out, table.Lookup("", name).Class)
	}
	for name := range strings.FieldsSeq(m.Facts.Offered) {
		class := table.Lookup("", name).Class
		out = slices.DeleteFunc(out, func(c string) bool { return c == class })
	}
	m.refused.Store(&out)
	return out
}

// NewImageCache returns a cache of at most about limit images that are looked
// up again after ttl.
func NewImageCache(api ImageAPI, shared SharedImages, limit int, ttl time.Duration, now func() time.Time, log *slog.Logger) *ImageCache {
	return &ImageCache{
		Patience: defaultPatience, api: api, shared: shared, max: max(limit/2, 1), ttl: ttl, now: now, log: log,
		young: map[imageKey]*Image{}, old: map[imageKey]*Image{}, pending: map[imageKey]chan struct{}{}, slow: map[ecs.Scope]*throttling{},
	}
}

// Doubt takes back what the platform said of an image, for every process.
func (c *ImageCache) Doubt(ctx context.Context, scope ecs.Scope, id string, imageFacts rules.ImageFacts) *Image {
	imageFacts.Offered, imageFacts.Refused = "", ""
	images := []ecs.Image{{ID: id, Facts: imageFacts}}
	c.store(scope, images)
	if c.shared != nil {
		c.publish(ctx, scope, images)
	}
	return &Image{Facts: imageFacts}
}

// Len is the number of images held, those about to be forgotten included.
func (c *ImageCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

// Lookup implements Images.
func (c *ImageCache) Lookup(ctx context.Context, scope ecs.Scope, ids []string) ([]*Image, []record.Failure, error) {
	out := make([]*Image, len(ids))
	for {
		failures, mine, waits := c.known(scope, ids, out)
		if len(mine)+len(waits) == 0 {
			return out, failures, nil
		}
		if len(mine) > 0 {
			err := c.fetch(ctx, scope, mine)
			c.done(scope, mine)
			if err != nil {
				return nil, nil, err
			}
		}
		for _, wait := range waits {
			select {
			case <-wait:
			case <-ctx.Done():
				return nil, nil, ctx.Err()
			}
		}
		// A lookup that somebody else made may have failed; then it is ours.
	}
}

// known fills in what is known. mine are the ids that the caller shall ask for
// now, waits the lookups of others to wait for.
func (c *ImageCache) known(scope ecs.Scope, ids []string, out []*Image) (failures []record.Failure, mine []string, waits []chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for i, id := range ids {
		if id == "" || out[i] != nil {
			continue
		}
		key := imageKey{scope, id}
		if e, ok := c.get(key); ok && now.Before(e.until) {
			out[i] = e
			continue
		}
		if wait, busy := c.pending[key]; !busy {
			c.pending[key] = make(chan struct{})
			mine = append(mine, id)
		} else if !slices.Contains(mine, id) {
			waits = append(waits, wait)
		}
	}
	for _, e := range out {
		if e != nil && e.failed != nil {
			return append(failures, *e.failed), mine, waits
		}
	}
	return nil, mine, waits
}

// get finds key in either generation; the caller holds mu.
func (c *ImageCache) get(key imageKey) (*Image, bool) {
	image, ok := c.young[key]
	if !ok {
		if image, ok = c.old[key]; ok {
			c.put(key, image)
		}
	}
	return image, ok
}

// put stores key; the caller holds mu.
func (c *ImageCache) put(key imageKey, image *Image) {
	if len(c.young) >= c.max {
		c.old, c.young = c.young, make(map[imageKey]*Image, c.max/8)
	}
	c.young[key] = image
}

// done lets those go on that wait for what another lookup has asked for. Whoever asks
// calls it whatever came of that, or they would wait without end.
func (c *ImageCache) done(scope ecs.Scope, ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		k := imageKey{scope, id}
		close(c.pending[k])
		delete(c.pending, k)
	}
}

// store keeps what the cloud said of images of a scope until it is to be asked
// again.
func (c *ImageCache) store(scope ecs.Scope, images []ecs.Image) {
	c.remember(scope, images, c.ttl, nil)
}

// remember keeps images for a while, with what of them could not be found out.
func (c *ImageCache) remember(scope ecs.Scope, images []ecs.Image, ttl time.Duration, failed *record.Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, img := range images {
		c.put(imageKey{scope, img.ID}, &Image{Facts: img.Facts, until: c.now().Add(ttl), failed: failed})
	}
}

const (
	// pollEvery is how often images are looked for that another process asks for;
	// after claimWait this process asks for them itself.
	pollEvery = 50 * time.Millisecond
	claimWait = 20 * time.Second
	// claimBatch is how many images are asked for before what is learnt is
	// shared: as many as one call of DescribeImages takes.
	claimBatch = 50
)

// fetch makes ids known, through the shared cache where there is one.
func (c *ImageCache) fetch(ctx context.Context, scope ecs.Scope, ids []string) error {
	if c.shared == nil {
		return c.ask(ctx, scope, ids, false)
	}
	give := c.now().Add(claimWait)
	for {
		known, claimed, err := c.shared.Claim(ctx, scope, ids, claimBatch)
		ids = c.take(scope, ids, known)
		if err != nil {
			c.log.WarnContext(ctx, "shared image cache is out of reach; the cloud is asked", "account", scope.Account, "region", scope.Region, "err", err)
			return c.ask(ctx, scope, ids, false)
		}
		if len(claimed) > 0 {
			if err := c.ask(ctx, scope, claimed, true); err != nil {
				return err
			}
			ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(claimed, id) })
			give = c.now().Add(claimWait)
		}
		switch {
		case len(ids) == 0:
			return nil
		case len(claimed) > 0:
			continue
		case c.now().After(give):
			return c.ask(ctx, scope, ids, false)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

func (c *ImageCache) release(ctx context.Context, scope ecs.Scope, ids []string) {
	if err := c.shared.Release(ctx, scope, ids); err != nil {
		c.log.InfoContext(ctx, "claims of images were not given up; they lapse", "account", scope.Account, "region", scope.Region, "images", len(ids), "err", err)
	}
}

// take stores what is known and returns the ids that are not.
func (c *ImageCache) take(scope ecs.Scope, ids []string, known map[string]rules.ImageFacts) (rest []string) {
	var got []ecs.Image
	for _, id := range ids {
		if f, ok := known[id]; ok {
			got = append(got, ecs.Image{ID: id, Facts: f})
		} else {
			rest = append(rest, id)
		}
	}
	c.store(scope, got)
	return rest
}

// publish shares what this process learnt.
func (c *ImageCache) publish(ctx context.Context, scope ecs.Scope, images []ecs.Image) {
	if err := c.shared.Put(ctx, scope, images); err != nil {
		c.log.WarnContext(ctx, "image facts were not shared", "account", scope.Account, "region", scope.Region, "err", err)
	}
}

// defaultPatience is a third of the time after which a scan without progress ends by default.
const defaultPatience = 5 * time.Minute

// throttling is that lookups of a scope are throttled.
type throttling struct {
	since   time.Time       // when the first began that was
	until   time.Time       // before which nobody asks, once pages have waited for long enough
	failure *record.Failure // of the last
}

// busy is why a scope is not asked now; nil where it is.
func (c *ImageCache) busy(scope ecs.Scope) *record.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slow := c.slow[scope]; slow != nil && c.now().Before(slow.until) {
		return slow.failure
	}
	return nil
}

// waits says whether a page is to wait after a lookup that began then; failure is what
// became of it. A throttled one is waited for; once that has taken as long as pages wait, the
// scope is left alone for a while: a call bears it for minutes, and so would each page.
func (c *ImageCache) waits(scope ecs.Scope, began time.Time, failure *record.Failure) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failure == nil || failure.Class != ecs.Throttled.String() {
		delete(c.slow, scope)
		return false
	}
	slow := c.slow[scope]
	if slow == nil {
		slow = &throttling{since: began}
		c.slow[scope] = slow
	}
	if c.now().Sub(slow.since) < c.Patience {
		return true
	}
	slow.until, slow.failure = c.now().Add(throttledFor), failure
	return false
}

// failureTTL is how long a lookup that failed is not tried again: the pages of
// a scope whose images are out of reach must not each pay for the retries.
const failureTTL = time.Minute

// ask asks the cloud. A refusal, an outage that outlasted the client's retries, and
// throttling that outlasts the pages' patience become image facts that say so: the instance's own OS name is
// evidence still, and the scan names the failure. What was claimed for all processes is
// shared with them, or given up where the lookup failed.
func (c *ImageCache) ask(ctx context.Context, scope ecs.Scope, ids []string, claimed bool) error {
	if failure := c.busy(scope); failure != nil {
		if claimed {
			c.release(context.WithoutCancel(ctx), scope, ids)
		}
		c.without(scope, ids, failure)
		return nil
	}
	began := c.now()
	images, err := c.api.Images(ctx, scope, ids)
	if lost, is := errors.AsType[*unread](err); is { // all but what was known before is there
		c.waits(scope, began, nil)
		if claimed {
			c.release(context.WithoutCancel(ctx), scope, ids)
		}
		c.remember(scope, images, failureTTL, &lost.Failure)
		return nil
	}
	if err == nil {
		c.waits(scope, began, nil)
		c.store(scope, images)
		if claimed {
			c.publish(ctx, scope, images)
		}
		return nil
	}
	if claimed {
		c.release(context.WithoutCancel(ctx), scope, ids)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failure := record.Failure{Account: scope.Account, Region: scope.Region, API: "DescribeImages", Class: ecs.ClassOf(err).String(), Error: err.Error()}
	if e, ok := errors.AsType[*ecs.Error](err); ok {
		failure.Code, failure.Mend, failure.RequestID = e.Code, e.Mend, e.RequestID
	}
	if c.waits(scope, began, &failure) {
		return event.RetryAfter(err, 10*time.Second)
	}
	c.log.WarnContext(ctx, "images could not be looked up", "account", scope.Account, "region", scope.Region, "images", len(ids), "err", err)
	c.without(scope, ids, &failure)
	return nil
}

// without makes known for a short time that images could not be asked for.
func (c *ImageCache) without(scope ecs.Scope, ids []string, failure *record.Failure) {
	unknown := make([]ecs.Image, len(ids))
	for i, id := range ids {
		unknown[i].ID = id
	}
	c.remember(scope, unknown, failureTTL, failure)
}
