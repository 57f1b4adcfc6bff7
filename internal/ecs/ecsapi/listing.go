package ecsapi

import (
	"cmp"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// listing is what an answer of DescribeInstances says.
type listing struct {
	instances []ecs.Instance // those of the region that was asked for
	next      string         // NextToken
	chained   bool           // there is a NextToken, be it empty
	requestID string
	total     int  // TotalCount, ecs.NoCount where there is none
	foreign   int  // rows that are not here because they say that they are of another region
	nameless  int  // rows that are not here because their id is none
	more      bool // it says that there are more
}

// rows is how many rows the answer had.
func (l *listing) rows() int { return len(l.instances) + l.foreign + l.nameless }

// decodeListing reads an answer of DescribeInstances for a region. The page
// reader does nearly all of them; what surprises it is read by unmarshal, which
// takes every spelling that was ever seen and knows what is wrong with the rest.
func decodeListing(body []byte, region string) (*listing, error) {
	reader := pageReaders.Get().(*pageReader)
	defer pageReaders.Put(reader)
	if answer, ok := reader.page(body, region); ok {
		return answer, nil
	}
	return decodeOddListing(body, region)
}

// wireListing is an answer of DescribeInstances.
type wireListing struct {
	NextToken  *string
	RequestID  string `json:"RequestId"`
	TotalCount count
	Instances  maybe[struct{ Instance list[wireInstance] }]
}

// wireInstance is an instance, with what an answer spells otherwise.
type wireInstance struct {
	ecs.Instance `json:",inline"`
	Region       string `json:"RegionId"`
	ImageOptions maybe[struct{ CurrentOSNVMeSupported rules.Tri }]
	Tags         wireTags
}

func decodeOddListing(body []byte, region string) (*listing, error) {
	var wire wireListing
	rest, err := unmarshalRest(body, &wire)
	if err != nil {
		return nil, err
	}
	if wire.Instances.v.Instance == nil {
		return nil, missing("Instances.Instance")
	}
	answer := &listing{
		next: *cmp.Or(wire.NextToken, new(string)), chained: wire.NextToken != nil, requestID: wire.RequestID, total: orNone(wire.TotalCount),
	}
	if answer.more, err = goesOn(rest); err != nil {
		return nil, err
	}
	for i := range wire.Instances.v.Instance {
		wireInstance := &wire.Instances.v.Instance[i]
		switch {
		case isForeign(wireInstance.Region, wireInstance.Zone, region):
			answer.foreign++
		case !usableID(wireInstance.ID):
			answer.nameless++
		default:
			answer.instances = append(answer.instances, wireInstance.instance())
		}
	}
	return answer, nil
}

func (w *wireInstance) instance() ecs.Instance {
	w.OSNVMe, w.Instance.Tags = w.ImageOptions.v.CurrentOSNVMeSupported, w.Tags
	return w.Instance
}

// wireTags are spelt {"Tag":[...]}, or as a bare list or a bare tag.
type wireTags []ecs.Tag

// wireTag is one tag, in the present spelling and an older one.
type wireTag struct{ TagKey, Key, TagValue, Value string }

// UnmarshalJSONFrom reads the tags.
func (t *wireTags) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	var tags list[wireTag]
	if decoder.PeekKind() == '{' {
		var m struct {
			Tag  list[wireTag]
			Bare wireTag `json:",inline"`
		}
		if err := json.UnmarshalDecode(decoder, &m); err != nil {
			return err
		}
		tags = append(m.Tag, m.Bare)
	} else if err := json.UnmarshalDecode(decoder, &tags); err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	*t = nil
	for _, w := range tags {
		if w != (wireTag{}) {
			*t = append(*t, ecs.Tag{Key: cmp.Or(w.TagKey, w.Key), Value: cmp.Or(w.TagValue, w.Value)})
		}
	}
	return nil
}
