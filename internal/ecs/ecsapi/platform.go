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
func (c *Client) OfferedTypes(ctx context.Context, scope ecs.Scope, image string) ([]ecs.OfferedType, error) {
	if !sendableImage(image) {
		return nil, badRequest(actOffered, scope, fmt.Errorf("no image can have the id %q", clip(image, 60)))
	}
	req := newRequest(ecsVersion, actOffered)
	req.set("RegionId", scope.Region)
	req.set("ImageId", image)
	req.set("ActionType", "CreateEcs")
	var offered wireOffered
	if err := c.doAside(ctx, scope, req, func(body []byte) error {
		var usual bool
		if offered, usual = readOffered(body); usual {
			return nil
		}
		offered = wireOffered{}
		return unmarshal(body, &offered)
	}); err != nil {
		return nil, err
	}
	out, doubt := offered.types(scope.Region, image)
	if doubt != "" {
		return nil, &ecs.Error{
			Action: actOffered, Scope: scope, Class: ecs.Contradicted, RequestID: clip(offered.RequestID, 64), Err: fmt.Errorf("the answer is not believed: %s", doubt),
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
	InstanceTypes maybe[struct{ InstanceType list[wireOfferedType] }]
}

type wireOfferedType struct {
	InstanceTypeID     string `json:"InstanceTypeId"`
	InstanceTypeFamily string
}

// readOffered reads the usual shape of an answer, which names a thousand types,
// in one pass, as the page reader does. false leaves it to unmarshal, which is
// ten times slower. The strings are parts of one copy of the answer.
func readOffered(body []byte) (wireOffered wireOffered, usual bool) {
	n, all := len(body), string(body)
	b := make([]byte, n+padding)
	copy(b, body)
	text := func(i int, into *string) int {
		end := plainEnd(b, i+1)
		if b[i] != '"' || b[end] != '"' || !valid(b, i+1, end) {
			return -1
		}
		*into = all[i+1 : end]
		return end + 1
	}
	types := make(list[wireOfferedType], 0, n/100)
	offered := func(i int) int {
		var t wireOfferedType
		var seen uint32
		i = object(b, i, func(key []byte, i int) int {
			field := 0
			switch string(key) {
			case "InstanceTypeId":
				field, i = 1, text(i, &t.InstanceTypeID)
			case "InstanceTypeFamily":
				field, i = 2, text(i, &t.InstanceTypeFamily)
			default:
				return skipValue(b, i, 4)
			}
			if !once(&seen, field) {
				return -1
			}
			return i
		})
		types = append(types, t)
		return i
	}
	var seen uint32
	end := object(b, skipSpace(b, 0), func(key []byte, i int) int {
		field := 0
		switch string(key) {
		case "InstanceTypes":
			field, i = 1, object(b, i, func(key []byte, i int) int {
				if string(key) != "InstanceType" || !once(&seen, 2) {
					return -1
				}
				return array(b, i, offered)
			})
			wireOffered.InstanceTypes.there, wireOffered.InstanceTypes.v.InstanceType = true, types
		case "RequestId":
			field, i = 3, text(i, &wireOffered.RequestID)
		case "RegionId":
			field, i = 4, text(i, &wireOffered.RegionID)
		case "ImageId":
			field, i = 5, text(i, &wireOffered.ImageID)
		case "NextToken":
			field, i = 6, text(i, &wireOffered.NextToken)
		default: // it may say that the call failed
			return -1
		}
		if !once(&seen, field) {
			return -1
		}
		return i
	})
	return wireOffered, end >= 0 && skipSpace(b, end) == n && len(types) > 0
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
	for _, wireOfferedType := range named {
		family := wireOfferedType.InstanceTypeFamily
		if at := strings.LastIndexByte(wireOfferedType.InstanceTypeID, '.'); family == "" && at > 0 {
			family = wireOfferedType.InstanceTypeID[:at]
		}
		if !strings.HasPrefix(family, "ecs.") || !strings.HasPrefix(wireOfferedType.InstanceTypeID, "ecs.") || !sendableImage(wireOfferedType.InstanceTypeID) || !sendableImage(family) {
			return nil, fmt.Sprintf("%q of family %q is no instance type", clip(wireOfferedType.InstanceTypeID, 60), clip(wireOfferedType.InstanceTypeFamily, 60))
		}
		if !strings.HasPrefix(wireOfferedType.InstanceTypeID, family) { // a few are called otherwise: ecs.vgn6i-m16-vws.5xlarge is of ecs.vgn6i-vws
			odd++
		}
		if !seen[wireOfferedType.InstanceTypeID] {
			seen[wireOfferedType.InstanceTypeID] = true
			out = append(out, ecs.OfferedType{ID: wireOfferedType.InstanceTypeID, Family: family})
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
func (c *Client) SystemImages(ctx context.Context, scope ecs.Scope, arch string) ([]ecs.Image, error) {
	var out []ecs.Image
	for page := 1; page <= systemImagePages; page++ {
		req := newRequest(ecsVersion, actImages)
		req.set("RegionId", scope.Region)
		req.set("ImageOwnerAlias", "system")
		req.set("Architecture", arch)
		req.set("Status", "Available")
		req.set("PageNumber", fmt.Sprint(page))
		req.set("PageSize", "100")
		var got *imageListing
		if err := c.doAside(ctx, scope, req, func(body []byte) (err error) {
			got, err = decodeImages(body, scope.Region)
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
