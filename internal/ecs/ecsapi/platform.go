package ecsapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	req := asideRequest(actOffered, "RegionId", scope.Region, "ImageId", image, "ActionType", "CreateEcs")
	answer, err := ask(ctx, c, scope, req, c.offers.read)
	if err != nil {
		return nil, err
	}
	if doubt := answer.doubt(scope.Region, image); doubt != "" {
		return nil, notBelieved(actOffered, scope, answer.RequestID, "verdicts do without it", "the answer is not believed: %s", doubt)
	}
	return answer.list.families, nil
}

// wireOffered is an answer of DescribeImageSupportInstanceTypes.
type wireOffered struct {
	RequestID     string `json:"RequestId"`
	RegionID      string `json:"RegionId"`
	ImageID       string `json:"ImageId"`
	Ending        ending `json:",inline"`
	InstanceTypes jsontext.Value
	rest          present      // members that are not usual
	list          *offeredList // what they come to
	by            *offers      // that reads the answer
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

// offerMembers are those of the usual answer: any other may say that the call failed.
var offerMembers = membersOf(anyKey,
	member[wireOffered]{key: "RequestId", read: func(r *pageReader, o *wireOffered) { o.RequestID = r.own() }},
	member[wireOffered]{key: "RegionId", read: func(r *pageReader, o *wireOffered) { o.RegionID = r.own() }},
	member[wireOffered]{key: "ImageId", read: func(r *pageReader, o *wireOffered) { o.ImageID = r.own() }},
	member[wireOffered]{key: "NextToken", read: func(r *pageReader, o *wireOffered) { o.Ending.NextToken = r.own() }},
	member[wireOffered]{key: "InstanceTypes", read: func(r *pageReader, o *wireOffered) {
		from := r.place
		// Where a known list ends is found without a look at what is in it: the same text
		// was read as a whole before.
		if end := bytes.Index(r.text[from:], endOfTypes); end >= 0 {
			r.place += end + len(endOfTypes)
			if o.list = o.by.get(textOf(r.text[from:r.place])); o.list != nil {
				return
			}
		}
		r.place = from
		r.place = r.behind(r.place, deepest)
		o.InstanceTypes = r.text[from:r.place]
	}},
)

// endOfTypes is how a list of types ends, in which no other list is.
var endOfTypes = []byte("]}")

func textOf(list []byte) listText { return listText{maphash.Bytes(listSeed, list), len(list)} }

// get returns what a list came to; nil where it is not known.
func (o *offers) get(text listText) *offeredList {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[text]
}

// read reads an answer.
func (o *offers) read(body []byte) (answer wireOffered, err error) {
	answer.by = o
	reader := pageReaders.Get().(*pageReader)
	whole := readWhole(reader, body, offerMembers, &answer)
	reader.texts.Reset()
	pageReaders.Put(reader)
	if !whole {
		answer = wireOffered{}
		rest, err := unmarshalRest(body, &answer)
		if err != nil {
			return answer, err
		}
		answer.rest = rest
	}
	spelt, text := answer.InstanceTypes, textOf(answer.InstanceTypes)
	answer.InstanceTypes = nil // it lies in the answer, whose memory is used again
	if answer.list == nil {
		answer.list = o.get(text)
	}
	if answer.list != nil {
		return answer, nil
	}
	var types maybe[struct{ InstanceType list[wireOfferedType] }]
	if text.length > 0 {
		if err := json.Unmarshal(spelt, &types, spellings); err != nil {
			return answer, err
		}
	}
	answer.list = listOf(types.v.InstanceType)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil || len(o.known) >= mostLists {
		o.known = map[listText]*offeredList{}
	}
	o.known[text] = answer.list
	return answer, nil
}

// doubt says what speaks against an answer, besides its list of types: one about
// something else, or only a part of one, says nothing of what it does not name.
func (m *wireOffered) doubt(region, image string) string {
	list := m.list
	switch {
	case m.ImageID != "" && m.ImageID != image:
		return fmt.Sprintf("it is about image %q", clip(m.ImageID, 60))
	case m.RegionID != "" && m.RegionID != region:
		return fmt.Sprintf("it is about region %q", clip(m.RegionID, 60))
	case list.named == 0:
		return "it names no instance type at all"
	}
	cut, err := m.Ending.cut(m.rest, list.named, "instance types")
	if err != nil {
		return err.Error()
	}
	return cmp.Or(cut, list.doubt)
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
		req := asideRequest(actImages, "RegionId", scope.Region, "ImageOwnerAlias", "system", "Architecture", arch, "Status", "Available", "PageNumber", strconv.Itoa(page), "PageSize", "100")
		got, err := c.listImages(ctx, scope, req)
		if err != nil {
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
