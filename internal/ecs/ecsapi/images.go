package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

const (
	imageBatch    = 50 // how many ids one call takes is not documented; 50 are known to work
	imageStatuses = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"
	maxImageID    = 200
)

// Images implements ecs.API: one image for each distinct id, in the order of
// ids. An id that no image can have is never sent; it is missing.
func (c *Client) Images(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error) {
	out := make([]ecs.Image, 0, len(ids))
	at := make(map[string]int, len(ids))
	var ask []string
	for _, id := range ids {
		if _, dup := at[id]; dup {
			continue
		}
		at[id] = len(out)
		out = append(out, ecs.Image{ID: id, Facts: rules.ImageFacts{Presence: rules.ImageMissing}})
		if sendableImage(id) {
			ask = append(ask, id)
		}
	}
	for len(ask) > 0 {
		n := min(len(ask), imageBatch)
		found, err := c.imageBatch(ctx, s, ask[:n])
		if err != nil {
			return nil, err
		}
		for _, img := range found {
			if i, asked := at[img.ID]; asked { // others were not asked for
				out[i] = img
			}
		}
		ask = ask[n:]
	}
	return out, nil
}

// sendableImage reports whether an id may go into the comma-joined parameter.
func sendableImage(id string) bool {
	if id == "" || len(id) > maxImageID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// imageBatch looks up ids in one call. When the API refuses the batch because
// of one of its ids, the halves are asked alone.
func (c *Client) imageBatch(ctx context.Context, s ecs.Scope, ids []string) ([]ecs.Image, error) {
	req := newRequest(ecsVersion, actImages)
	req.set("RegionId", s.Region)
	req.set("ImageId", strings.Join(ids, ","))
	req.set("Status", imageStatuses)
	req.set("ShowExpired", "true")
	req.set("PageNumber", "1")
	req.set("PageSize", "100")
	var found []ecs.Image
	err := c.do(ctx, s, req, func(body []byte) (err error) {
		found, err = decodeImages(body, true)
		return err
	})
	if e, ok := errors.AsType[*ecs.Error](err); ok && e.Class == ecs.BadRequest && strings.Contains(e.Code, "ImageId") {
		if len(ids) == 1 {
			return nil, nil // no image can have this id
		}
		half := len(ids) / 2
		a, err := c.imageBatch(ctx, s, ids[:half])
		if err != nil {
			return nil, err
		}
		b, err := c.imageBatch(ctx, s, ids[half:])
		return append(a, b...), err
	}
	return found, err
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
		Items maybe[struct{ Item list[detection] }]
	}]
	Tags maybe[struct {
		Tag list[struct{ TagKey, TagValue string }]
	}]
}

// detection is one item of an image check.
type detection struct{ Name, Value, RiskCode string }

// wireImages is an answer of DescribeImages.
type wireImages struct {
	TotalCount *int
	Images     maybe[struct{ Image list[wireImage] }]
}

// decodeImages reads an answer of DescribeImages; whole means that the answer
// must hold all the images that it counts.
func decodeImages(body []byte, whole bool) ([]ecs.Image, error) {
	var m wireImages
	if err := unmarshal(body, &m); err != nil {
		return nil, err
	}
	items := m.Images.v.Image
	if items == nil {
		return nil, missing("Images.Image")
	}
	if whole && m.TotalCount != nil && *m.TotalCount > len(items) {
		return nil, fmt.Errorf("the answer counts %d images and holds %d", *m.TotalCount, len(items))
	}
	out := make([]ecs.Image, len(items))
	for i := range items {
		if items[i].ImageID == "" {
			return nil, missing("ImageId")
		}
		out[i] = ecs.Image{ID: items[i].ImageID, Facts: items[i].facts()}
	}
	return out, nil
}

func (w *wireImage) facts() rules.ImageFacts {
	f := rules.ImageFacts{
		Presence: rules.ImageFound,
		Name:     w.ImageName, Family: w.ImageFamily, Platform: w.Platform,
		OSName: w.OSName, OSNameEn: w.OSNameEn, OSType: w.OSType,
		Architecture: w.Architecture, BootMode: w.BootMode,
		Owner: w.ImageOwnerAlias, Status: w.Status,
		IoOptimized: w.IsSupportIoOptimized,
		NVMe:        checked(w.Features.v.NvmeSupport),
	}
	for _, d := range w.DetectionOptions.v.Items.v.Item {
		d.into(&f)
	}
	for _, t := range w.Tags.v.Tag {
		switch t.TagKey { // set by Alibaba Cloud after a passed image check
		case "acs:ecs:image:osVersion":
			f.TagOSVersion = t.TagValue
		case "acs:ecs:image:kernelVersion":
			f.TagKernelVersion = t.TagValue
		}
	}
	return f
}

// into files one check under its fact. The items are called "Virtio" by ECS
// and "GUESTOS.Virtio" by the migration service.
func (d detection) into(f *rules.ImageFacts) {
	name := strings.ToLower(d.Name)
	name = strings.TrimPrefix(name, "guestos.")
	result := checked(d.Value)
	if result == rules.Unobserved && d.Value == "" && d.RiskCode != "" {
		result = rules.No // a risk was found and no value given
	}
	switch name {
	case "virtio":
		f.CheckVirtio = result
	case "nvme":
		f.CheckNVMe = result
	case "xen":
		f.CheckXen = result
	case "fstab":
		f.CheckFstab = result
	case "grub":
		f.CheckGRUB = result
	case "supportmocinstancetypes":
		f.CheckSupported = result
	case "osversion":
		f.CheckOSVersion = d.Value
	case "kernelversion":
		f.CheckKernel = d.Value
	}
}

// checked reads the result of a check; a word that is not known is not
// observed.
func checked(s string) rules.Tri {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "supported", "installed", "normal", "ok", "passed", "pass", "true", "yes", "required":
		return rules.Yes
	case "unsupported", "notsupported", "notinstalled", "abnormal", "failed", "fail", "illegal", "error", "false", "no":
		return rules.No
	}
	return rules.Unobserved
}
