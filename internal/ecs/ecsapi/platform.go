package ecsapi

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shenscan/shenscan/internal/ecs"
)

// maxOffered bounds the types of one answer; the catalogue has some thousand.
const maxOffered = 20_000

var _ ecs.PlatformAPI = (*Client)(nil)

// OfferedFamilies implements ecs.PlatformAPI.
func (c *Client) OfferedFamilies(ctx context.Context, scope ecs.Scope, image string) ([]ecs.OfferedFamily, error) {
	if !sendableImage(image) {
		return nil, badRequest(actOffered, scope, fmt.Errorf("no image can have the id %q", clip(image, 60)))
	}
	req := ecsRequest(actOffered, "RegionId", scope.Region, "ImageId", image, "ActionType", "CreateEcs")
	var offered wireOffered
	var list *offeredList
	if err := c.doAside(ctx, scope, req, func(body []byte) (err error) {
		offered, list, err = c.offers.read(body)
		return err
	}); err != nil {
		return nil, err
	}
	if doubt := offered.doubt(list, scope.Region, image); doubt != "" {
		return nil, &ecs.Error{
			Action: actOffered, Scope: scope, Class: ecs.Contradicted, RequestID: clip(offered.RequestID, 64), Err: fmt.Errorf("the answer is not believed: %s", doubt),
			Mend: "verdicts do without it; if it stays so, show it to the cloud's support",
		}
	}
	return list.families, nil
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

// offers reads answers, and remembers what the lists of types in them came to: a
// region has a few of them for all its images, each with a thousand types. A list
// that is known is told by a hash of its text, which takes a tenth of the time
// of reading it. The zero value remembers nothing yet.
type offers struct {
	mu    sync.Mutex
	known map[listText]*offeredList
}

// listText tells the texts of lists apart.
type listText struct {
	hash   uint64
	length int
}

// mostLists bounds what is remembered: about 2 MB.
const mostLists = 512

var listSeed = maphash.MakeSeed()

// read reads an answer and says what its list of types comes to. The list of one
// that was read before is left out of the answer.
func (o *offers) read(body []byte) (answer wireOffered, list *offeredList, err error) {
	answer, text, usual := readOffered(body, func(text listText) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		list = o.known[text]
		return list != nil
	})
	if !usual {
		answer = wireOffered{}
		err := unmarshal(body, &answer)
		return answer, listOf(answer.InstanceTypes.v.InstanceType), err
	}
	if list != nil {
		return answer, list, nil
	}
	list = listOf(answer.InstanceTypes.v.InstanceType)
	if text.length > 0 {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.known == nil || len(o.known) >= mostLists {
			o.known = map[listText]*offeredList{}
		}
		o.known[text] = list
	}
	return answer, list, nil
}

// readOffered reads the usual shape of an answer, which names a thousand types,
// in one pass, as the page reader does. false leaves it to unmarshal, which is
// ten times slower. It passes over a list of types whose text is known, and says
// which text it had: none where the list does not end where the first list of
// anything in it does.
func readOffered(body []byte, known func(listText) bool) (wireOffered wireOffered, text listText, usual bool) {
	size := len(body)
	b := body[:min(size+padding, cap(body))]
	if len(b) < size+padding {
		b = append(make([]byte, 0, size+padding), body...)[:size+padding]
	}
	clear(b[size:])
	all := "" // a copy of the answer, for the strings of a list
	str := func(i int, into *string) int {
		end := plainEnd(b, i+1)
		if b[i] != '"' || b[end] != '"' || !valid(b, i+1, end) {
			return -1
		}
		if all != "" {
			*into = all[i+1 : end]
		} else {
			*into = string(b[i+1 : end])
		}
		return end + 1
	}
	var types list[wireOfferedType]
	passed := false
	offered := func(i int) int {
		var t wireOfferedType
		var seen uint32
		i = object(b, i, func(key []byte, i int) int {
			field := 0
			switch string(key) {
			case "InstanceTypeId":
				field, i = 1, str(i, &t.InstanceTypeID)
			case "InstanceTypeFamily":
				field, i = 2, str(i, &t.InstanceTypeFamily)
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
	typeList := func(i int) int {
		begin, length := i, bytes.Index(b[i:size], []byte("]}"))+2
		if length >= 2 {
			text = listText{maphash.Bytes(listSeed, b[i:i+length]), length}
			if known(text) {
				passed = true
				return i + length
			}
		}
		types, all = make(list[wireOfferedType], 0, size/100), string(body)
		var seen uint32
		end := object(b, i, func(key []byte, i int) int {
			if string(key) != "InstanceType" || !once(&seen, 1) {
				return -1
			}
			return array(b, i, offered)
		})
		if end-begin != length {
			text = listText{}
		}
		return end
	}
	var seen uint32
	end := object(b, skipSpace(b, 0), func(key []byte, i int) int {
		field := 0
		switch string(key) {
		case "InstanceTypes":
			field, i = 1, typeList(i)
			wireOffered.InstanceTypes.there, wireOffered.InstanceTypes.v.InstanceType = true, types
		case "RequestId":
			field, i = 2, str(i, &wireOffered.RequestID)
		case "RegionId":
			field, i = 3, str(i, &wireOffered.RegionID)
		case "ImageId":
			field, i = 4, str(i, &wireOffered.ImageID)
		case "NextToken":
			field, i = 5, str(i, &wireOffered.NextToken)
		default: // it may say that the call failed
			return -1
		}
		if !once(&seen, field) {
			return -1
		}
		return i
	})
	return wireOffered, text, end >= 0 && skipSpace(b, end) == size && (passed || len(types) > 0)
}

// doubt says what speaks against an answer, besides its list of types: one about
// something else, or only a part of one, says nothing of what it does not name.
func (m *wireOffered) doubt(list *offeredList, region, image string) string {
	switch {
	case m.ImageID != "" && m.ImageID != image:
		return fmt.Sprintf("it is about image %q", clip(m.ImageID, 60))
	case m.RegionID != "" && m.RegionID != region:
		return fmt.Sprintf("it is about region %q", clip(m.RegionID, 60))
	case list.named == 0:
		return "it names no instance type at all"
	case m.NextToken != "":
		return "it goes on under a NextToken, which the action does not take"
	case m.TotalCount.orNone() > list.named:
		return fmt.Sprintf("it counts %d instance types and names %d", m.TotalCount.n, list.named)
	}
	return list.doubt
}

// offeredList is what a list of types comes to.
type offeredList struct {
	named    int                 // how many it has
	families []ecs.OfferedFamily // of the types that it has, each once
	doubt    string              // what speaks against it
}

func listOf(named []wireOfferedType) *offeredList {
	list := &offeredList{named: len(named)}
	if len(named) > maxOffered {
		list.doubt = fmt.Sprintf("it names %d instance types", len(named))
		return list
	}
	seen, counts, odd := make(map[string]bool, len(named)), map[string]int{}, 0
	for _, offered := range named {
		family := offered.InstanceTypeFamily
		if at := strings.LastIndexByte(offered.InstanceTypeID, '.'); family == "" && at > 0 {
			family = offered.InstanceTypeID[:at]
		}
		if !strings.HasPrefix(family, "ecs.") || !strings.HasPrefix(offered.InstanceTypeID, "ecs.") || !sendableImage(offered.InstanceTypeID) || !sendableImage(family) {
			list.doubt = fmt.Sprintf("%q of family %q is no instance type", clip(offered.InstanceTypeID, 60), clip(offered.InstanceTypeFamily, 60))
			return list
		}
		if !strings.HasPrefix(offered.InstanceTypeID, family) { // a few are called otherwise: ecs.vgn6i-m16-vws.5xlarge is of ecs.vgn6i-vws
			odd++
		}
		if !seen[offered.InstanceTypeID] {
			seen[offered.InstanceTypeID] = true
			counts[family]++
		}
	}
	if odd > len(named)/10 {
		list.doubt = fmt.Sprintf("%d of its %d instance types are not of the families that it gives them", odd, len(named))
	}
	for _, family := range slices.Sorted(maps.Keys(counts)) {
		list.families = append(list.families, ecs.OfferedFamily{Name: strings.Clone(family), Types: counts[family]})
	}
	return list
}

// systemImagePages bounds the listing of public images: the newest stand on the
// first pages.
const systemImagePages = 3

// SystemImages implements ecs.PlatformAPI.
func (c *Client) SystemImages(ctx context.Context, scope ecs.Scope, arch string) ([]ecs.Image, error) {
	var out []ecs.Image
	for page := 1; page <= systemImagePages; page++ {
		req := ecsRequest(actImages, "RegionId", scope.Region, "ImageOwnerAlias", "system", "Architecture", arch, "Status", "Available", "PageNumber", fmt.Sprint(page), "PageSize", "100")
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
