package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

const (
	imageBatch    = 50 // how many ids one call takes is not documented; 50 are known to work
	imageStatuses = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"
)

// imageQuestion is whose images are asked for.
type imageQuestion struct{ owner, public string }

// imageQuestions are asked one after the other for the images that are not
// found yet. By one document the first one shows all images that the account
// may use, by another images of the marketplace, of the community and of other
// accounts are shown only to those who ask for them.
var imageQuestions = [...]imageQuestion{{}, {owner: "marketplace"}, {owner: "others", public: "true"}, {owner: "others"}}

// Images implements ecs.API: one image for each distinct id, in the order of
// ids. An id that no image can have is never sent; it is missing. Any other is
// missing only after every question was asked for it and no answer gave reason
// to doubt that it was one to the question.
func (c *Client) Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error) {
	lookup := &imageLookup{c: c, scope: s, found: make(map[string]rules.ImageFacts, len(ids))}
	out := make([]ecs.Image, 0, len(ids))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		out = append(out, ecs.Image{ID: id, Facts: rules.ImageFacts{Presence: rules.ImageMissing}})
		if sendableImage(id) {
			lookup.rest = append(lookup.rest, id)
		}
	}
	if err := lookup.run(ctx); err != nil {
		return nil, err
	}
	for i := range out {
		if facts, ok := lookup.found[out[i].ID]; ok {
			out[i].Facts = facts
		}
	}
	return out, nil
}

// imageLookup looks for images until all are found or every question is asked.
type imageLookup struct {
	c     *Client
	scope ecs.Scope
	rest  []string // ids that are not found yet
	found map[string]rules.ImageFacts
	// doubt says why an answer to the question may have left out images that are
	// there.
	doubt string
}

func (l *imageLookup) run(ctx context.Context) error {
	doubt := ""
	for _, imageQuestion := range imageQuestions {
		for again := true; again && len(l.rest) > 0; {
			before := len(l.rest)
			if err := l.ask(ctx, imageQuestion); err != nil {
				return err
			}
			// Some servers look at the first few ids only: what an answer lacks is
			// asked for again, without what it has, until it has none of them.
			again = len(l.rest) < before
		}
		if doubt == "" {
			doubt = l.doubt
		}
	}
	if len(l.rest) == 0 {
		return nil
	}
	if doubt == "" && len(l.found) == 0 {
		var err error
		if doubt, err = l.proof(ctx); err != nil {
			return err
		}
	}
	if doubt == "" {
		return nil
	}
	return &ecs.Error{
		Action: actImages, Scope: l.scope, Class: ecs.Contradicted, Err: fmt.Errorf("%d of the images were not found, but %s", len(l.rest), doubt),
		Mend: "the images count as not read and not as deleted; scan again, and if it stays so, show it to the cloud's support",
	}
}

// proof looks, where nothing was found, for what speaks against that: a region that shows
// nothing to anybody, or an image that it shows and does not find by its id either.
func (l *imageLookup) proof(ctx context.Context) (doubt string, err error) {
	n, some, err := l.c.countImages(ctx, l.scope)
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "the region shows no image at all, not even one of Alibaba Cloud's own", nil
	case !sendableImage(some):
		return "", nil
	}
	got, err := l.c.listImages(ctx, l.scope, imagesRequest(l.scope, imageQuestions[0], []string{some}))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(got.images, func(image ecs.Image) bool { return image.ID == some }) {
		return fmt.Sprintf("the region shows image %s and does not find it by its id either", some), nil
	}
	return "", nil
}

func imagesRequest(scope ecs.Scope, question imageQuestion, ids []string) *request {
	return ecsRequest(actImages, "RegionId", scope.Region, "ImageId", strings.Join(ids, ","), "Status", imageStatuses, "ShowExpired", "true", "PageNumber", "1", "PageSize", "100",
		"ImageOwnerAlias", question.owner, "IsPublic", question.public)
}

// ask asks a question for the rest, in batches.
func (l *imageLookup) ask(ctx context.Context, imageQuestion imageQuestion) error {
	rest := l.rest
	l.rest, l.doubt = nil, ""
	for len(rest) > 0 {
		n := min(len(rest), imageBatch)
		if err := l.batch(ctx, imageQuestion, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// batch asks a question for ids in one call. When the API refuses it because of
// one of the ids, the halves are asked alone.
func (l *imageLookup) batch(ctx context.Context, imageQuestion imageQuestion, ids []string) error {
	got, err := l.c.listImages(ctx, l.scope, imagesRequest(l.scope, imageQuestion, ids))
	if e, ok := errors.AsType[*ecs.Error](err); ok && e.Class == ecs.BadRequest && strings.Contains(e.Code, "ImageId") {
		if len(ids) == 1 {
			return nil // no image can have this id
		}
		half := len(ids) / 2
		if err := l.batch(ctx, imageQuestion, ids[:half]); err != nil {
			return err
		}
		return l.batch(ctx, imageQuestion, ids[half:])
	}
	if err != nil {
		return err
	}
	l.take(got, ids)
	return nil
}

// take files an answer for ids.
func (l *imageLookup) take(got *imageListing, ids []string) {
	unasked := 0
	for _, img := range got.images {
		if slices.Contains(ids, img.ID) {
			l.found[img.ID] = img.Facts
		} else {
			unasked++
		}
	}
	before := len(l.rest)
	for _, id := range ids {
		if _, ok := l.found[id]; !ok {
			l.rest = append(l.rest, id)
		}
	}
	switch lacking := len(l.rest) - before; {
	case lacking == 0:
	case unasked > 0:
		l.doubt = fmt.Sprintf("an answer holds %d images that were not asked for and lacks %d that were", unasked, lacking)
	case got.total > len(got.images):
		l.doubt = fmt.Sprintf("an answer counts %d images and holds %d", got.total, len(got.images))
	case got.cut != "":
		l.doubt = "an answer is not all: " + got.cut
	}
}

// listImages asks for images of a scope.
func (c *Client) listImages(ctx context.Context, scope ecs.Scope, req *request) (*imageListing, error) {
	return ask(ctx, c, scope, req, decodingRest(func(w *wireImages, rest present) (*imageListing, error) { return w.listing(scope.Region, rest) }))
}

// countImages asks how many images the region has. some is the id of one of them, where
// the answer has one.
func (c *Client) countImages(ctx context.Context, scope ecs.Scope) (n int, some string, err error) {
	got, err := c.listImages(ctx, scope, ecsRequest(actImages, "RegionId", scope.Region, "PageNumber", "1", "PageSize", "1"))
	if err != nil {
		return 0, "", err
	}
	if len(got.images) > 0 {
		some = got.images[0].ID
	}
	return max(got.total, len(got.images)), some, nil
}

// wireImage is one image of DescribeImages.
type wireImage struct {
	ImageID                            string `json:"ImageId"`
	ImageName, ImageFamily             string
	Platform, OSName, OSNameEn, OSType string
	Architecture, BootMode             string
	ImageOwnerAlias, Status            string
	IsSupportIoOptimized               rules.Tri
	Features                           maybe[struct{ NvmeSupport string }]
	DetectionOptions                   maybe[struct {
		Status string
		Items  maybe[struct{ Item list[detection] }]
	}]
	Tags maybe[struct {
		Tag list[struct{ TagKey, TagValue string }]
	}]
}

// detection is one item of an image check.
type detection struct{ Name, Value, RiskCode, RiskLevel string }

// imageListing is what an answer of DescribeImages says.
type imageListing struct {
	images []ecs.Image
	total  int    // TotalCount, ecs.NoCount where there is none
	cut    string // why there may be others
}

// wireImages is an answer of DescribeImages.
type wireImages struct {
	RegionID string `json:"RegionId"`
	Ending   ending `json:",inline"`
	Images   maybe[struct{ Image list[wireImage] }]
}

// listing is what an answer about a region says.
func (w *wireImages) listing(region string, rest present) (*imageListing, error) {
	if w.Images.v.Image == nil {
		return nil, missing("Images.Image")
	}
	if w.RegionID != "" && w.RegionID != region {
		return nil, fmt.Errorf("the images are of region %q", clip(w.RegionID, 60))
	}
	images, err := imagesOf(w.Images.v.Image)
	if err != nil {
		return nil, err
	}
	cut, err := w.Ending.cut(rest, len(images), "images")
	if err != nil {
		return nil, err
	}
	out := &imageListing{images, orNone(w.Ending.TotalCount), cut}
	facts := make(map[string]rules.ImageFacts, len(out.images))
	for _, image := range out.images {
		if had, twice := facts[image.ID]; twice && had != image.Facts {
			return nil, fmt.Errorf("image %q comes twice, and says something else each time", clip(image.ID, 60))
		}
		facts[image.ID] = image.Facts
	}
	return out, nil
}

func imagesOf(items []wireImage) ([]ecs.Image, error) {
	out := make([]ecs.Image, len(items))
	for i := range items {
		if items[i].ImageID == "" {
			return nil, missing("ImageId")
		}
		facts, err := items[i].facts()
		if err != nil {
			return nil, err
		}
		out[i] = ecs.Image{ID: items[i].ImageID, Facts: facts}
	}
	return out, nil
}

// facts are what the image says of itself. The error is a text that is there twice and not
// the same: which of the two is true is not known.
func (w *wireImage) facts() (imageFacts rules.ImageFacts, err error) {
	imageFacts = rules.ImageFacts{
		Presence: rules.ImageFound,
		Name:     w.ImageName, Family: w.ImageFamily, Platform: w.Platform,
		OSName: w.OSName, OSNameEn: w.OSNameEn, OSType: w.OSType,
		Architecture: w.Architecture, BootMode: w.BootMode,
		Owner: w.ImageOwnerAlias, Status: w.Status,
		IoOptimized: w.IsSupportIoOptimized,
		NVMe:        checked(w.Features.v.NvmeSupport),
	}
	said := map[string]string{}
	say := func(what string, fact *string, text string) {
		if had, there := said[what]; there && had != text {
			err = fmt.Errorf("image %q has the %s twice, and it says something else each time", clip(w.ImageID, 60), what)
		}
		said[what], *fact = text, text
	}
	done := map[string]bool{}
	check := w.DetectionOptions.v
	open := check.Status != "" && !strings.EqualFold(check.Status, "Finished")
	for _, d := range check.Items.v.Item {
		// The items are called "Virtio" by ECS and "GUESTOS.Virtio" by the migration service.
		switch name := strings.TrimPrefix(strings.ToLower(d.Name), "guestos."); name {
		case "osversion":
			say("check "+name, &imageFacts.CheckOSVersion, d.Value)
		case "kernelversion":
			say("check "+name, &imageFacts.CheckKernel, d.Value)
		default:
			d.into(name, &imageFacts, open, done[name])
			done[name] = true
		}
	}
	for _, t := range w.Tags.v.Tag {
		switch strings.ToLower(t.TagKey) { // set by Alibaba Cloud after a passed image check
		case "acs:ecs:image:osversion":
			say("tag acs:ecs:image:osVersion", &imageFacts.TagOSVersion, t.TagValue)
		case "acs:ecs:image:kernelversion":
			say("tag acs:ecs:image:kernelVersion", &imageFacts.TagKernelVersion, t.TagValue)
		}
	}
	return imageFacts, err
}

// result is what the check found. One that found a risk found nothing good, and of one that
// is open, that has not come to its end, nothing good is known yet.
func (d detection) result(open bool) rules.Tri {
	result := checked(d.Value)
	switch risk := d.risk(); {
	case risk && result == rules.Unobserved && d.Value == "":
		return rules.No // a risk was found and no value given
	case (risk || open) && result == rules.Yes:
		return rules.Unobserved
	}
	return result
}

// risk says whether the check found a risk, by its code or by its level alone.
func (d detection) risk() bool {
	switch strings.ToLower(strings.TrimSpace(d.RiskLevel)) {
	case "", "none", "no", "normal":
		return d.RiskCode != ""
	}
	return true
}

// into files one check under its fact. Of one that is there again the worse result counts:
// a driver that one of two checks did not find is not proved.
func (d detection) into(name string, imageFacts *rules.ImageFacts, open, again bool) {
	result := d.result(open)
	if check := map[string]*rules.Tri{
		"virtio": &imageFacts.CheckVirtio, "nvme": &imageFacts.CheckNVMe, "xen": &imageFacts.CheckXen, "fstab": &imageFacts.CheckFstab,
		"grub": &imageFacts.CheckGRUB, "supportmocinstancetypes": &imageFacts.CheckSupported,
	}[name]; check != nil && (!again || *check != rules.No && result != rules.Yes) {
		*check = result
	}
}

// checked reads the result of a check, however its words are joined; a word that is not
// known is not observed.
func checked(s string) rules.Tri {
	switch word := strings.Map(func(char rune) rune {
		if strings.ContainsRune(" _-", char) {
			return -1
		}
		return char
	}, strings.ToLower(strings.TrimSpace(s))); word {
	case "supported", "installed", "normal", "ok", "passed", "pass", "true", "yes", "required":
		return rules.Yes
	case "unsupported", "uninstalled", "missing", "absent", "abnormal", "failed", "fail", "illegal", "invalid", "error", "false", "no",
		"notsupported", "notinstalled", "notdetected", "notfound", "notpassed", "notenabled":
		return rules.No
	}
	return rules.Unobserved
}
