package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// TemplateCloud is what Templates asks of the cloud.
type TemplateCloud interface {
	ecs.TemplateAPI
	Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error)
}

// Kept is where answers of earlier scans are kept, for whichever process needs
// them. What nothing is kept of is absent.
type Kept interface {
	Evidence(ctx context.Context, s ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error)
}

// Templates reads what the launch templates of a scope start: the image of the
// default version of each, and of the latest. A version never changes, so that
// each is asked for once, and its image once a week. What cannot be read is
// announced with its cause, and makes no scan partial. It is safe for concurrent
// use.
type Templates struct {
	cloud TemplateCloud
	kept  Kept
	bus   Publisher
	now   func() time.Time
	log   *slog.Logger
}

// NewTemplates returns a Templates.
func NewTemplates(cloud TemplateCloud, kept Kept, bus Publisher, now func() time.Time, log *slog.Logger) *Templates {
	return &Templates{cloud: cloud, kept: kept, bus: bus, now: now, log: log}
}

const (
	// templatesTime is how long the launch templates of one scope may take: a scan
	// waits for them.
	templatesTime = 2 * time.Minute
	// templatesAtOnce is how many are asked about side by side.
	templatesAtOnce = 4
	// templateMisses is after how many answers that did not come the rest is not
	// asked for.
	templateMisses = 3
	// imageLife is how long what is known of an image counts: its system never
	// changes, and it may be deprecated or deleted.
	imageLife = 7 * 24 * time.Hour
)

// Read asks for the launch templates of a scope and announces them. The error is
// that of ctx or of the bus alone.
func (t *Templates) Read(ctx context.Context, scope ecs.Scope) error {
	asking, cancel := context.WithTimeout(ctx, templatesTime)
	defer cancel()
	listed, err := t.cloud.LaunchTemplates(asking, scope)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		t.log.InfoContext(ctx, "launch templates are not read; what they start is not known", "account", scope.Account, "region", scope.Region, "err", err)
		unread := whyUnread(err)
		unread.ID, unread.Calls = event.UnreadID, 1
		return t.announce(ctx, scope, []event.EvidenceItem{unread})
	}
	items, err := t.read(asking, ctx, scope, listed.List)
	if err != nil {
		return err
	}
	now := t.now().UTC()
	listing := event.EvidenceItem{ID: event.ListingID, Asked: now, Calls: listed.Calls}
	if rest := listed.Counted - len(listed.List); rest > 0 {
		listing.Unlisted = rest
		listing.Cause = fmt.Sprintf("%d launch templates are counted and %d listed", listed.Counted, len(listed.List))
		if len(listed.List) == ecs.MaxTemplates {
			listing.Cause = fmt.Sprintf("only the first %d launch templates of a region are read", ecs.MaxTemplates)
		}
	}
	// Last: whoever reads the listing has read the launch templates.
	return t.announce(ctx, scope, append(items, event.EvidenceItem{ID: event.UnreadID, Asked: now}, listing))
}

// read finds out what launch templates start, until asking ends.
func (t *Templates) read(asking, ctx context.Context, scope ecs.Scope, list []ecs.LaunchTemplate) ([]event.EvidenceItem, error) {
	had := t.had(asking, scope, list)
	items := make([]event.EvidenceItem, len(list))
	var (
		group  errgroup.Group
		mu     sync.Mutex
		misses int
		last   event.EvidenceItem
	)
	group.SetLimit(templatesAtOnce)
	for i := range list {
		group.Go(func() error {
			mu.Lock()
			given, why := misses >= templateMisses, last
			mu.Unlock()
			if given {
				items[i] = event.EvidenceItem{ID: list[i].ID, Template: &event.Template{Name: list[i].Name}, Cause: why.Cause, Mend: why.Mend}
				return nil
			}
			before := had[list[i].ID]
			items[i] = t.readOne(asking, scope, &list[i], &before)
			if items[i].Cause != "" {
				mu.Lock()
				misses, last = misses+1, items[i]
				mu.Unlock()
			}
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t.addImages(asking, scope, items)
	return items, ctx.Err()
}

// had are the launch templates as an earlier scan read them.
func (t *Templates) had(ctx context.Context, scope ecs.Scope, list []ecs.LaunchTemplate) map[string]event.EvidenceItem {
	out := map[string]event.EvidenceItem{}
	for part := range slices.Chunk(list, event.MaxEvidence) {
		ids := make([]string, len(part))
		for i := range part {
			ids[i] = part[i].ID
		}
		kept, err := t.kept.Evidence(ctx, scope, event.EvidenceTemplates, ids)
		if err != nil {
			t.log.InfoContext(ctx, "what launch templates started before could not be read; their versions are asked for again", "account", scope.Account, "region", scope.Region, "err", err)
			return out
		}
		maps.Copy(out, kept)
	}
	return out
}

// readOne finds out what the versions of a launch template start. Those that were
// read before are not asked for.
func (t *Templates) readOne(ctx context.Context, scope ecs.Scope, template *ecs.LaunchTemplate, before *event.EvidenceItem) event.EvidenceItem {
	is := &event.Template{Name: template.Name, Versions: []event.TemplateVersion{{Number: template.Default, Default: true, Latest: template.Latest == template.Default}}}
	if template.Latest != template.Default {
		is.Versions = append(is.Versions, event.TemplateVersion{Number: template.Latest, Latest: true})
	}
	now := t.now().UTC()
	item := event.EvidenceItem{ID: template.ID, Template: is, Asked: now}
	fresh := before.Cause == "" && now.Sub(before.Asked) < imageLife && now.Sub(before.Asked) > -time.Hour
	var numbers []int64
	for i := range is.Versions {
		version := &is.Versions[i]
		at := -1
		if before.Template != nil {
			at = slices.IndexFunc(before.Template.Versions, func(v event.TemplateVersion) bool { return v.Number == version.Number })
		}
		if at < 0 {
			numbers = append(numbers, version.Number)
			continue
		}
		version.Image = before.Template.Versions[at].Image
		if fresh {
			version.Facts = before.Template.Versions[at].Facts
		}
	}
	if len(numbers) == 0 && fresh {
		item.Asked = before.Asked
	}
	if len(numbers) > 0 {
		got, err := t.cloud.TemplateVersions(ctx, scope, template.ID, numbers)
		item.Calls = 1
		if err != nil {
			why := whyUnread(err)
			item.Cause, item.Mend, item.Asked, is.Versions = why.Cause, why.Mend, time.Time{}, nil
			return item
		}
		for i := range is.Versions {
			for _, version := range got {
				if version.Number == is.Versions[i].Number {
					is.Versions[i].Image = version.Image
				}
			}
		}
	}
	return item
}

// addImages adds what is known of the images of which nothing is kept. Where that
// cannot be read, they are known by their ids alone.
func (t *Templates) addImages(ctx context.Context, scope ecs.Scope, items []event.EvidenceItem) {
	var ids []string
	for i := range items {
		for _, version := range items[i].Template.Versions {
			if unseen(&version) && !slices.Contains(ids, version.Image) {
				ids = append(ids, version.Image)
			}
		}
	}
	if len(ids) == 0 {
		return
	}
	images, err := t.cloud.Images(ctx, scope, ids)
	facts := make(map[string]rules.ImageFacts, len(images))
	for i := range images {
		facts[images[i].ID] = images[i].Facts
	}
	for i := range items {
		item := &items[i]
		for j := range item.Template.Versions {
			version := &item.Template.Versions[j]
			switch {
			case !unseen(version):
			case err != nil:
				why := whyUnread(err)
				item.Cause, item.Mend = why.Cause, why.Mend
			default:
				if found, there := facts[version.Image]; there {
					version.Facts = found
				}
			}
		}
	}
}

// unseen says whether the image of a version is to be looked up.
func unseen(v *event.TemplateVersion) bool {
	return v.Image != "" && v.Facts.Presence == rules.ImageNotAsked
}

// announce publishes what became of one attempt, all of it of one time.
func (t *Templates) announce(ctx context.Context, scope ecs.Scope, items []event.EvidenceItem) error {
	at := t.now().UTC()
	for part := range slices.Chunk(items, event.MaxEvidence) {
		if err := t.bus.Publish(ctx, &event.EvidenceRead{Scope: scope, Source: event.EvidenceTemplates, At: at, Items: part}); err != nil {
			return err
		}
	}
	return nil
}

// whyUnread says for people why launch templates could not be read.
func whyUnread(err error) event.EvidenceItem {
	refusal, ok := errors.AsType[*ecs.Error](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return event.EvidenceItem{Cause: fmt.Sprintf("they were not read within %s", templatesTime)}
		}
		return event.EvidenceItem{Cause: err.Error()}
	}
	return event.EvidenceItem{Cause: refusal.Cause(), Mend: refusal.Mend}
}
