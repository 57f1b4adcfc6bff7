package workers

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// Fleet adds to images what their instances told of them when the last complete
// scan before this one had ended: the same on all pages of a scan. It is safe
// for concurrent use and bounded.
type Fleet struct {
	kept Kept
	log  *slog.Logger

	mu    sync.Mutex
	scans []*fleetTold // the oldest first
}

// fleetTold is what images are told of in one scan of a scope.
type fleetTold struct {
	scope ecs.Scope
	scan  string

	mu     sync.Mutex
	images map[string]*toldOf
	lost   error // an unread, where some of them could not be looked up
}

// toldOf is what is told of one image, and the image with it.
type toldOf struct {
	text       string
	base, with *Image
}

const (
	// fleetLife is how old a count may be when a scan begins.
	fleetLife = 30 * 24 * time.Hour
	// maxFleetScans is of how many scans of scopes is remembered what was told.
	maxFleetScans = 64
	// fleetBatch is how many images are looked up at once, each of them twice: as
	// it was counted last, and before.
	fleetBatch = 100
)

// NewFleet returns a Fleet.
func NewFleet(kept Kept, log *slog.Logger) *Fleet {
	return &Fleet{kept: kept, log: log}
}

// add replaces in images, those of the page's software, what the fleet tells
// more of. What cannot be looked up is left out for the whole scan: an image is
// judged alike on all of its pages. Where what is kept cannot be read, the error is an
// unread, for every page of the scan, and all else is done.
func (f *Fleet) add(ctx context.Context, page *event.InstancesListed, images []*Image) error {
	told := f.of(page)
	told.mu.Lock()
	defer told.mu.Unlock()
	var missing []string
	for i := range page.Software {
		id := page.Software[i].ImageID
		if images[i] != nil && told.images[id] == nil && !slices.Contains(missing, id) {
			missing = append(missing, strings.Clone(id)) // it is a part of a message
		}
	}
	for part := range slices.Chunk(missing, fleetBatch) {
		if err := f.look(ctx, page, told, part); err != nil {
			return err
		}
	}
	for i := range page.Software {
		if images[i] != nil {
			images[i] = told.images[page.Software[i].ImageID].on(images[i])
		}
	}
	return told.lost
}

// of is what is remembered for the page's scan. A rescan is small, and there may
// be many: nothing is remembered of it.
func (f *Fleet) of(page *event.InstancesListed) *fleetTold {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.scans, func(told *fleetTold) bool { return told.scope == page.Scope && told.scan == page.ScanID }); i >= 0 {
		return f.scans[i]
	}
	told := &fleetTold{scope: page.Scope, scan: page.ScanID, images: map[string]*toldOf{}}
	if page.Kind == event.KindRescan {
		return told
	}
	if len(f.scans) >= maxFleetScans {
		f.scans = slices.Delete(f.scans, 0, 1)
	}
	f.scans = append(f.scans, told)
	return told
}

// look looks images up. The caller holds the lock of told.
func (f *Fleet) look(ctx context.Context, page *event.InstancesListed, told *fleetTold, ids []string) error {
	both := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		both = append(both, id, event.EarlierPrefix+id)
	}
	had, err := f.kept.Evidence(ctx, page.Scope, event.EvidenceFleet, both)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		told.lost = unreadOf(page.Scope, event.EvidenceFleet, err)
		f.log.WarnContext(ctx, "what instances tell of their images could not be looked up; verdicts of this scan do without", "scan", page.ScanID, "account", page.Scope.Account, "region", page.Scope.Region, "images", len(ids), "err", err)
		had = nil
	}
	began := time.Unix(0, page.Epoch)
	for _, id := range ids {
		is := &toldOf{}
		for _, key := range [...]string{id, event.EarlierPrefix + id} {
			if item, known := had[key]; known && !item.Asked.After(began) {
				if began.Sub(item.Asked) < fleetLife {
					is.text = item.Fleet
				}
				break
			}
		}
		told.images[id] = is
	}
	return nil
}

// on is the image with what is told of it.
func (t *toldOf) on(image *Image) *Image {
	if t.text == "" || image.Facts.Presence == rules.ImageNotAsked {
		return image
	}
	if t.base != image {
		facts := image.Facts
		facts.Fleet = t.text
		t.base, t.with = image, &Image{Facts: facts}
	}
	return t.with
}
