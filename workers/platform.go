package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// PlatformCloud is what Platform asks of the cloud.
type PlatformCloud interface {
	ImageAPI
	ecs.PlatformAPI
}

// Kept is where answers of earlier scans are kept, for whichever process needs
// them. What nothing is kept of is absent.
type Kept interface {
	Evidence(ctx context.Context, s ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error)
}

// Platform looks images up like the cloud itself, and adds on which instance
// families the platform offers them. It asks once for each image of an account
// and region, and for one current public image of each architecture as the
// yardstick; answers serve for 30 days. What it does not get makes no lookup
// fail: it is announced with its cause. It is safe for concurrent use.
type Platform struct {
	asker

	cloud      PlatformCloud
	families   familyTable
	targets    []string // families that targets name
	yardsticks sync.Map // yardstickKey -> *yardstick
}

type yardstickKey struct {
	scope ecs.Scope
	arch  string
}

// yardstick is what this process knows of one: what it learnt may not have
// reached the place where it is kept when the next lookup needs it.
type yardstick struct {
	mu   sync.Mutex // held while the cloud is asked
	item event.EvidenceItem
	at   time.Time
}

// NewPlatform returns a Platform that reduces answers to what the targets of c
// need.
func NewPlatform(c *rules.Classifier, cloud PlatformCloud, kept Kept, bus Publisher, now func() time.Time, log *slog.Logger) *Platform {
	platform := &Platform{asker: asker{kept: kept, bus: bus, now: now, log: log}, cloud: cloud, families: familyTable{c}}
	for _, t := range c.TargetList() {
		if t.Family != "" {
			platform.targets = append(platform.targets, t.Family)
		}
	}
	return platform
}

const (
	// answerLife is how long an answer counts. It is asked for again once within
	// that time, on a day that the image's id decides, so that one thirtieth of
	// the images is asked about a day.
	answerLife = 30
	// askedAtOnce is how many images of one lookup are asked about side by side;
	// the client's rate limit decides how fast.
	askedAtOnce = 8
	// yardstickFor is how long this process remembers a yardstick by itself.
	yardstickFor = time.Hour
)

// Images implements ImageAPI. Where answers of before cannot be read, the error is an
// unread, and the images come with it.
func (p *Platform) Images(ctx context.Context, scope ecs.Scope, ids []string) ([]ecs.Image, error) {
	images, err := p.cloud.Images(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	var lost error
	for part := range slices.Chunk(images, event.MaxEvidence/2) {
		switch err := p.fill(ctx, scope, part); {
		case isUnread(err):
			lost = err
		case err != nil:
			return nil, err
		}
	}
	return images, lost
}

// fill adds the platform's answers to images.
func (p *Platform) fill(ctx context.Context, scope ecs.Scope, images []ecs.Image) error {
	lookup := &platformLookup{p: p, scope: scope, said: map[string]event.EvidenceItem{}}
	var ids []string
	archs := map[string]bool{}
	for i := range images {
		if imageFacts := &images[i].Facts; imageFacts.Presence == rules.ImageFound {
			ids = append(ids, images[i].ID)
			if imageFacts.Architecture != "" {
				archs[imageFacts.Architecture] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	all := ids
	for _, arch := range slices.Sorted(maps.Keys(archs)) {
		all = append(all, event.YardstickPrefix+arch)
	}
	had, err := p.known(ctx, scope, event.EvidencePlatform, all)
	if err != nil {
		return err
	}
	for _, arch := range slices.Sorted(maps.Keys(archs)) {
		if err := lookup.yardstick(ctx, arch, had); err != nil {
			return err
		}
	}
	if err := lookup.ask(ctx, ids, had); err != nil {
		return err
	}
	if err := p.publish(ctx, scope, event.EvidencePlatform, all, lookup.said); err != nil {
		return err
	}
	type answers struct{ image, yardstick string }
	type meaning struct{ offered, refused string }
	means := map[answers]meaning{} // images have a few different answers
	for i := range images {
		imageFacts := &images[i].Facts
		if imageFacts.Presence != rules.ImageFound {
			continue
		}
		said, yardstick := lookup.said[images[i].ID], lookup.said[event.YardstickPrefix+imageFacts.Architecture]
		key := answers{said.Usable(), yardstick.Usable()}
		is, known := means[key]
		if !known {
			offered, refused := said.Families(yardstick)
			is = meaning{p.reduce(offered), p.reduce(refused)}
			means[key] = is
		}
		imageFacts.Offered, imageFacts.Refused = is.offered, is.refused
	}
	return nil
}

// platformLookup is one lookup of some images of a scope.
type platformLookup struct {
	p     *Platform
	scope ecs.Scope
	said  map[string]event.EvidenceItem
}

// yardstick makes known what others are compared with, which lookups side by
// side ask for once.
func (q *platformLookup) yardstick(ctx context.Context, arch string, had map[string]event.EvidenceItem) error {
	key, id := yardstickKey{q.scope, arch}, event.YardstickPrefix+arch
	kept, _ := q.p.yardsticks.LoadOrStore(key, &yardstick{})
	y := kept.(*yardstick)
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.at.IsZero() && q.p.now().Sub(y.at) < yardstickFor {
		q.said[id] = keptItem(id, y.item)
		return nil
	}
	if err := q.ask(ctx, []string{id}, had); err != nil {
		return err
	}
	y.item, y.at = q.said[id], q.p.now()
	return nil
}

// ask takes what is kept and asks the cloud for the rest: for the first alone,
// since what refuses that refuses all.
func (q *platformLookup) ask(ctx context.Context, ids []string, had map[string]event.EvidenceItem) error {
	var open []string
	for _, id := range ids {
		if item, known := had[id]; known && !due(id, &item, q.p.now()) {
			q.said[id] = item
		} else {
			open = append(open, id)
		}
	}
	got := make([]event.EvidenceItem, len(open))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(askedAtOnce)
	for i, id := range open {
		if i == 0 {
			got[i] = q.renew(ctx, id, had[id])
			continue
		}
		group.Go(func() error {
			got[i] = q.renew(asking, id, had[id])
			return asking.Err()
		})
	}
	err := cmp.Or(group.Wait(), ctx.Err())
	for i, id := range open {
		q.said[id] = got[i]
	}
	return err
}

// renew asks the cloud. An answer that could not be renewed counts as long as it
// would have.
func (q *platformLookup) renew(ctx context.Context, id string, had event.EvidenceItem) event.EvidenceItem {
	got := q.askOne(ctx, id)
	if age := q.p.now().Sub(had.Asked); got.Cause != "" && had.Types != "" && had.Cause == "" && age >= -clockAhead && age < answerLife*24*time.Hour {
		calls := got.Calls
		got = keptItem(id, had)
		got.Calls = calls
	}
	got.ID = id
	return got
}

// clockAhead is how far from now an answer may be dated by another clock.
const clockAhead = time.Hour

// due says whether an answer is to be asked for (again): one that is not there,
// one whose day has come since, and one that could not be had an hour ago.
func due(id string, item *event.EvidenceItem, now time.Time) bool {
	if item.Asked.IsZero() || item.Asked.After(now.Add(clockAhead)) {
		return true
	}
	day := func(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }
	next := day(item.Asked) + 1
	turn := int64(event.IDSum(id) % answerLife)
	next += (turn - next%answerLife + answerLife) % answerLife
	return day(now) >= next
}

// askOne asks the cloud about one image, or about the yardstick of an
// architecture.
func (q *platformLookup) askOne(ctx context.Context, id string) event.EvidenceItem {
	platform, scope := q.p, q.scope
	if denied := platform.refuses(scope); denied != nil {
		return *denied
	}
	item := event.EvidenceItem{Image: id}
	if arch, is := strings.CutPrefix(id, event.YardstickPrefix); is {
		image, err := platform.newest(ctx, scope, arch)
		item.Calls++
		if err != nil {
			return q.failed(ctx, item, err)
		}
		if item.Image = image; image == "" {
			item.Asked, item.Cause = platform.now(), fmt.Sprintf("there is no current public image for %s in the region, so that refusals are not told from what is not sold", arch)
			return item
		}
	}
	offered, err := platform.cloud.OfferedFamilies(ctx, scope, item.Image)
	item.Calls++
	if err != nil {
		return q.failed(ctx, item, err)
	}
	item.Asked, item.Types = platform.now(), platform.families.count(offered)
	if item.Types == "" {
		item.Cause = "the answer names no instance family that is known"
	}
	if item.Image == id {
		item.Image = ""
	}
	return item
}

// failed says why there is no answer.
func (q *platformLookup) failed(ctx context.Context, item event.EvidenceItem, err error) event.EvidenceItem {
	why, refused := q.p.failed(ctx, q.scope, err, "where the platform offers images")
	item.Cause, item.Mend = why.Cause, why.Mend
	if e, ok := errors.AsType[*ecs.Error](err); ok && ctx.Err() == nil && !refused && (e.Class == ecs.Contradicted || e.Class == ecs.BadRequest) {
		item.Asked = q.p.now() // the same question has the same answer: not before its day
	}
	return item
}

// unknownAction says whether a code means that there is no such action.
func unknownAction(code string) bool {
	return code == "InvalidAction.NotFound" || code == "UnsupportedOperation" || code == "InvalidVersion"
}

// newest chooses the newest public image of a system that every family of
// today takes.
func (p *Platform) newest(ctx context.Context, s ecs.Scope, arch string) (id string, err error) {
	images, err := p.cloud.SystemImages(ctx, s, arch)
	if err != nil {
		return "", err
	}
	best := 0
	for i := range images {
		rank := p.families.rank(&images[i])
		if rank > best || rank == best && rank > 0 && images[i].ID > id {
			id, best = images[i].ID, rank
		}
	}
	return id, nil
}

// Distrust takes back what the platform said of an image: the fleet says
// otherwise.
func (p *Platform) Distrust(ctx context.Context, scope ecs.Scope, image, why string) error {
	p.log.WarnContext(ctx, "the platform's answer for an image is not believed", "account", scope.Account, "region", scope.Region, "image", image, "cause", why)
	now := p.now().UTC()
	return p.bus.Publish(ctx, &event.EvidenceRead{Scope: scope, Source: event.EvidencePlatform, At: now, Items: []event.EvidenceItem{
		{ID: image, Asked: now, Cause: why, Mend: "verdicts do without it; if it stays so, show it to the cloud's support"},
	}})
}

// familyTable is what the rules know of families.
type familyTable struct{ c *rules.Classifier }

// count writes down on how many types of which families an image is offered, those
// of families that nobody knows left out.
func (t familyTable) count(offered []ecs.OfferedFamily) string {
	var text strings.Builder
	for _, family := range offered {
		if !t.c.Ruleset().Families().Lookup("", family.Name).Listed {
			continue
		}
		if text.Len() > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(family.Name + "=" + strconv.Itoa(family.Types))
	}
	return text.String()
}

// rank orders public images by how surely every family of today takes them; 0
// is no yardstick.
func (t familyTable) rank(img *ecs.Image) int {
	classification := t.c.Classify(&rules.Facts{ImageID: img.ID, Image: img.Facts})
	release := func(least int) bool {
		major, _, _ := strings.Cut(classification.OS.Version, ".")
		n, err := strconv.Atoi(major)
		return err == nil && n >= least
	}
	switch {
	case classification.OS.Family == "alinux" && release(3) && !release(17): // Aliyun Linux 17.1 came before
		return 3
	case classification.OS.Family == "ubuntu" && release(22), classification.OS.Family == "debian" && release(12):
		return 2
	case classification.OS.Family == "anolis" && release(8), classification.OS.Family == "rocky" && release(9), classification.OS.Family == "almalinux" && release(9):
		return 1
	}
	return 0
}

// reduce keeps of a list of families what targets need: those that targets
// name, and one of each class, whose families are all alike where rules speak of
// the class. A family of whose generation nothing is known speaks for no class.
func (p *Platform) reduce(families []string) string {
	var out []string
	classes := map[string]string{}
	for _, name := range families {
		if slices.Contains(p.targets, name) {
			out = append(out, name)
		}
		info := p.families.c.Ruleset().Families().Lookup("", name)
		if info.Generation == 0 || info.Class == "" || info.Lifecycle == "retired" {
			continue
		}
		if had := classes[info.Class]; had == "" || moreTypical(name, had) {
			classes[info.Class] = name
		}
	}
	out = append(out, slices.Collect(maps.Values(classes))...)
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// moreTypical prefers the general families, so that the same one stands for a
// class as long as it can: the shortest name, of these the one with a g.
func moreTypical(left, right string) bool {
	general := func(name string) int {
		if strings.HasPrefix(name, "ecs.g") {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(len(left), len(right)), cmp.Compare(general(left), general(right)), cmp.Compare(left, right)) < 0
}
