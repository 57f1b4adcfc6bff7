package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// maxStartGroups bounds how many groups are told apart, and maxStartImages how
// many images of one group: tags are text of other people's.
const (
	maxStartGroups = 10_000
	maxStartImages = 50
)

// StartGroups returns the groups that started instances which the view shows, by
// the tags that the cloud gave these, with the images that they were made from.
func (v *View) StartGroups(ctx context.Context) (*record.StartGroups, error) {
	count := newStartCount(v)
	if err := v.present(ctx, count.take); err != nil {
		return nil, fmt.Errorf("read what started the instances: %w", err)
	}
	return count.list()
}

func newStartCount(v *View) *startCount {
	keys := record.StartTagKeys()
	return &startCount{v: v, keys: keys, values: make([]string, len(keys)), groups: map[startKey]*startGroup{}}
}

type startKey struct {
	scope *scopeSnap
	kind  record.StartGroupKind
	id    string
}

type startGroup struct {
	instances int
	images    map[string]*startImage // by id
}

type startImage struct {
	instances int
	profile   uint32 // of the newest
	created   uint64 // of the same, packed
}

type startCount struct {
	v        *View
	keys     []string
	values   []string // of the keys
	groups   map[startKey]*startGroup
	unlisted int
}

// take counts a row that belongs to a group.
func (c *startCount) take(tx *bbolt.Tx, walk *walker, row *candidateRow) error {
	_, created, err := format.RowTags(row.row, walk.tables().dict.Words(), c.keys, c.values)
	if err != nil {
		return fmt.Errorf("%w: row %.64q: %w", ErrCorrupt, row.id, err)
	}
	kind, id := record.StartGroupOf(c.values)
	if kind == "" {
		return nil
	}
	key := startKey{walk.sc, kind, id}
	group := c.groups[key]
	if group == nil {
		if len(c.groups) == maxStartGroups {
			c.unlisted++
			return nil
		}
		group = &startGroup{images: map[string]*startImage{}}
		c.groups[key] = group
	}
	software, err := walk.facts.softwareOf(tx, row.profile)
	if err != nil {
		return err
	}
	group.instances++
	of := group.images[software.ImageID]
	if of == nil {
		of = &startImage{profile: row.profile, created: created}
		group.images[software.ImageID] = of
	}
	of.instances++
	if created > of.created {
		of.profile, of.created = row.profile, created
	}
	return nil
}

// list lists the groups that were counted and the launch templates, the worst
// first.
func (c *startCount) list() (*record.StartGroups, error) {
	out, err := c.judge()
	if err != nil {
		return nil, err
	}
	if err := c.v.addTemplates(out); err != nil {
		return nil, fmt.Errorf("read what launch templates start: %w", err)
	}
	slices.SortFunc(out.Groups, func(a, b record.StartGroup) int {
		return cmp.Or(worst(&b)-worst(&a), cmp.Compare(b.Instances, a.Instances),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// judge judges the images, each by itself.
func (c *startCount) judge() (*record.StartGroups, error) {
	out := &record.StartGroups{Groups: make([]record.StartGroup, 0, len(c.groups)), Unlisted: c.unlisted}
	err := c.v.view(func(tx *bbolt.Tx) error {
		facts := c.v.snap.tables.profs.readers.Load().reader()
		judged := map[uint32]*rules.Classification{}
		for key, group := range c.groups {
			listed := record.StartGroup{Kind: key.kind, ID: key.id, Account: key.scope.key.Account, Region: key.scope.key.Region, Instances: group.instances}
			for id, of := range group.images {
				if judged[of.profile] == nil {
					installed, err := facts.facts(tx, of.profile)
					if err != nil {
						return err
					}
					judged[of.profile] = c.v.j.ofImage(&installed)
				}
				image := judgedImage(id, judged[of.profile])
				image.Instances = of.instances
				if of.created > 0 {
					image.Newest = event.UnpackMinute(of.created)
				}
				listed.Images = append(listed.Images, image)
			}
			slices.SortFunc(listed.Images, func(a, b record.StartImage) int {
				return cmp.Or(cmp.Compare(b.Newest, a.Newest), severity(&b)-severity(&a), cmp.Compare(a.ImageID, b.ImageID))
			})
			listed.MoreImages = max(0, len(listed.Images)-maxStartImages)
			listed.Images = listed.Images[:len(listed.Images)-listed.MoreImages]
			out.Groups = append(out.Groups, listed)
		}
		return nil
	})
	return out, err
}

// templateNews is what is kept of the launch templates of a scope.
type templateNews struct {
	listing, unread StoredEvidence
	templates       map[string]StoredEvidence
}

// addTemplates adds the launch templates as they were listed last. A filter that is
// about instances leaves them out: they have none of what it asks for.
func (v *View) addTemplates(out *record.StartGroups) error {
	if !v.f.scopesOnly() {
		return nil
	}
	news := map[ecs.Scope]*templateNews{}
	err := v.view(func(tx *bbolt.Tx) error {
		for _, sc := range v.snap.scopes {
			if !v.f.within(sc.key) {
				continue
			}
			prefix := evidencePrefix(sc.key, event.EvidenceTemplates)
			for key, value := range entries(tx.Bucket(bucketEvidence), prefix) {
				is, err := readEvidence(value)
				if err != nil {
					return err
				}
				of := news[sc.key]
				if of == nil {
					of = &templateNews{templates: map[string]StoredEvidence{}}
					news[sc.key] = of
				}
				switch id := string(key[len(prefix):]); id {
				case event.ListingID:
					of.listing = is
				case event.UnreadID:
					of.unread = is
				default:
					of.templates[id] = is
				}
			}
		}
		return nil
	})
	for key, of := range news {
		for id, is := range of.templates {
			if of.listing.Seen.IsZero() || is.Seen.Before(of.listing.Seen) || is.Template == nil {
				continue // it is not there any more
			}
			out.Groups = append(out.Groups, v.j.template(key, id, &is))
		}
		if unread := of.notKnown(key); unread != nil {
			out.Unread = append(out.Unread, *unread)
		}
	}
	slices.SortFunc(out.Unread, func(a, b record.StartUnread) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return err
}

// notKnown says what is not known of the launch templates of a scope: where the
// last attempt failed, or the list was cut.
func (n *templateNews) notKnown(key ecs.Scope) *record.StartUnread {
	why := &n.listing
	if n.unread.Cause != "" {
		why = &n.unread
	}
	if why.Cause == "" {
		return nil
	}
	out := &record.StartUnread{Account: key.Account, Region: key.Region, Cause: why.Cause, Mend: why.Mend}
	if at := n.listing.Asked; !at.IsZero() {
		out.AsOf = &at
	}
	return out
}

// template judges what a launch template starts.
func (j *judge) template(key ecs.Scope, id string, is *StoredEvidence) record.StartGroup {
	out := record.StartGroup{Kind: record.LaunchTemplate, ID: id, Name: is.Template.Name, Account: key.Account, Region: key.Region, Images: []record.StartImage{}, Cause: is.Cause}
	for i := range is.Template.Versions {
		version := &is.Template.Versions[i]
		image := record.StartImage{Verdicts: []record.ImageVerdict{}}
		if version.Image != "" {
			image = judgedImage(version.Image, j.Classify(&rules.Facts{ImageID: version.Image, Image: version.Facts}))
		}
		image.Version = record.VersionName(version.Number, version.Default, version.Latest)
		out.Images = append(out.Images, image)
	}
	return out
}

// worst sums up the verdicts of the worst image that a group starts.
func worst(g *record.StartGroup) int {
	most, images := 0, g.Starting()
	for i := range images {
		most = max(most, severity(&images[i]))
	}
	return most
}

// ofImage judges what runs on an instance as the next machine of its image would
// run it: what is known of the one machine does not come with the image.
func (j *judge) ofImage(installed *rules.Facts) *rules.Classification {
	facts := *installed.Software()
	facts.Guest = rules.GuestFacts{}
	return j.Classify(&facts)
}

func judgedImage(id string, classification *rules.Classification) record.StartImage {
	out := record.StartImage{ImageID: id, OS: classification.OS, Legacy: classification.Legacy, Verdicts: make([]record.ImageVerdict, len(classification.Verdicts))}
	for i := range classification.Verdicts {
		v := &classification.Verdicts[i]
		out.Verdicts[i] = record.ImageVerdict{Target: v.Target, Verdict: v.Level, Confidence: v.Confidence, Rule: v.Rule, Reason: v.Reason}
	}
	return out
}

// severity sums up the verdicts of an image on all targets.
func severity(image *record.StartImage) int {
	sum := 0
	for i := range image.Verdicts {
		for _, level := range []rules.Level{rules.NeedsAction, rules.Unknown, rules.Incompatible} {
			if image.Verdicts[i].Verdict.AtLeast(level) {
				sum++
			}
		}
	}
	return sum
}
