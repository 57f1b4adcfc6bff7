package ecsapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
)

// maxOffered bounds the types of one answer; the catalogue has some thousand.
const maxOffered = 20_000

var _ ecs.PlatformAPI = (*Client)(nil)

// OfferedTypes implements ecs.PlatformAPI.
func (c *Client) OfferedTypes(ctx context.Context, s ecs.Scope, image string) ([]ecs.OfferedType, error) {
	if !sendableImage(image) {
		return nil, badRequest(actOffered, s, fmt.Errorf("no image can have the id %q", clip(image, 60)))
	}
	req := newRequest(ecsVersion, actOffered)
	req.set("RegionId", s.Region)
	req.set("ImageId", image)
	req.set("ActionType", "CreateEcs")
	var m wireOffered
	if err := c.doAside(ctx, s, req, func(body []byte) error {
		m = wireOffered{}
		return unmarshal(body, &m)
	}); err != nil {
		return nil, err
	}
	out, doubt := m.types(s.Region, image)
	if doubt != "" {
		return nil, &ecs.Error{
			Action: actOffered, Scope: s, Class: ecs.Contradicted, RequestID: clip(m.RequestID, 64), Err: fmt.Errorf("the answer is not believed: %s", doubt),
			Mend: "verdicts do without it; if it stays so, show it to the cloud's support",
		}
	}
	return out, nil
}

// wireOffered is an answer of DescribeImageSupportInstanceTypes.
type wireOffered struct {
	RequestID     string `json:"RequestId"`
	RegionID      string `json:"RegionId"`
	ImageID       string `json:"ImageId"`
	NextToken     string
	TotalCount    count
	InstanceTypes maybe[struct {
		InstanceType list[struct {
			InstanceTypeID     string `json:"InstanceTypeId"`
			InstanceTypeFamily string
		}]
	}]
}

// types are the types that the answer names, each once; doubt says what speaks
// against it: an answer about something else or only a part of one says nothing
// of what it does not name.
func (m *wireOffered) types(region, image string) (out []ecs.OfferedType, doubt string) {
	named := m.InstanceTypes.v.InstanceType
	switch {
	case m.ImageID != "" && m.ImageID != image:
		return nil, fmt.Sprintf("it is about image %q", clip(m.ImageID, 60))
	case m.RegionID != "" && m.RegionID != region:
		return nil, fmt.Sprintf("it is about region %q", clip(m.RegionID, 60))
	case len(named) == 0:
		return nil, "it names no instance type at all"
	case m.NextToken != "":
		return nil, "it goes on under a NextToken, which the action does not take"
	case m.TotalCount.orNone() > len(named):
		return nil, fmt.Sprintf("it counts %d instance types and names %d", m.TotalCount.n, len(named))
	case len(named) > maxOffered:
		return nil, fmt.Sprintf("it names %d instance types", len(named))
	}
	seen, odd := make(map[string]bool, len(named)), 0
	for _, t := range named {
		family := t.InstanceTypeFamily
		if at := strings.LastIndexByte(t.InstanceTypeID, '.'); family == "" && at > 0 {
			family = t.InstanceTypeID[:at]
		}
		if !strings.HasPrefix(family, "ecs.") || !strings.HasPrefix(t.InstanceTypeID, "ecs.") || !sendableImage(t.InstanceTypeID) || !sendableImage(family) {
			return nil, fmt.Sprintf("%q of family %q is no instance type", clip(t.InstanceTypeID, 60), clip(t.InstanceTypeFamily, 60))
		}
		if !strings.HasPrefix(t.InstanceTypeID, family) { // a few are called otherwise: ecs.vgn6i-m16-vws.5xlarge is of ecs.vgn6i-vws
			odd++
		}
		if !seen[t.InstanceTypeID] {
			seen[t.InstanceTypeID] = true
			out = append(out, ecs.OfferedType{ID: t.InstanceTypeID, Family: family})
		}
	}
	if odd > len(named)/10 {
		return nil, fmt.Sprintf("%d of its %d instance types are not of the families that it gives them", odd, len(named))
	}
	return out, ""
}

// systemImagePages bounds the listing of public images: the newest stand on the
// first pages.
const systemImagePages = 3

// SystemImages implements ecs.PlatformAPI.
func (c *Client) SystemImages(ctx context.Context, s ecs.Scope, arch string) ([]ecs.Image, error) {
	var out []ecs.Image
	for page := 1; page <= systemImagePages; page++ {
		req := newRequest(ecsVersion, actImages)
		req.set("RegionId", s.Region)
		req.set("ImageOwnerAlias", "system")
		req.set("Architecture", arch)
		req.set("Status", "Available")
		req.set("PageNumber", fmt.Sprint(page))
		req.set("PageSize", "100")
		var got *imageListing
		if err := c.doAside(ctx, s, req, func(body []byte) (err error) {
			got, err = decodeImages(body, s.Region)
			return err
		}); err != nil {
			return nil, err
		}
		for _, img := range got.images { // what a server makes of filters is its own affair
			if f := &img.Facts; f.Owner == "system" && f.Status == "Available" && f.Architecture == arch {
				out = append(out, img)
			}
		}
		if len(got.images) < 100 {
			break
		}
	}
	return out, nil
}
