package ecsapi

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Saved is what a saved JSON object holds: an answer of DescribeInstances,
// DescribeImages or DescribeInstanceTypes, or a single item of one.
type Saved struct {
	Instances []SavedInstance
	Images    []ecs.Image
	Types     []ecs.InstanceType
	// Listing is what an answer of DescribeInstances says beside its rows; nil
	// for a single instance, which says of no other one whether it is there.
	Listing *SavedListing
	// Nameless is how many instances are left out because their id is none.
	Nameless int
	// Foreign means that the object is an answer of another action, of which
	// nothing is read.
	Foreign bool
}

// SavedInstance is an instance and the region that its row names, "" for none.
type SavedInstance struct {
	Region string
	ecs.Instance
}

// SavedListing is what an answer of DescribeInstances says of itself.
type SavedListing struct {
	Total                int // TotalCount, ecs.NoCount where there is none
	PageNumber, PageSize int // 0 where there is none
	NextToken            string
}

// ErrFailedCall means that a saved answer is that of a call that failed.
var ErrFailedCall = errFailure

// ErrNoAnswer means that a JSON object is neither an answer of the API nor an
// item of one.
var ErrNoAnswer = errors.New("neither an answer of DescribeInstances, DescribeImages or DescribeInstanceTypes nor an instance, image or instance type of one")

// DecodeSaved reads one JSON object, an answer or an item of one, in any of the
// spellings that a live answer may have. Other keys are left alone.
func DecodeSaved(object []byte) (*Saved, error) {
	var keys struct {
		Instances, Images, InstanceTypes jsontext.Value
		RequestID                        jsontext.Value `json:"RequestId"`
		InstanceID                       jsontext.Value `json:"InstanceId"`
		InstanceTypeID                   jsontext.Value `json:"InstanceTypeId"`
		ImageID                          jsontext.Value `json:"ImageId"`
		ImageName, OSName, Platform      jsontext.Value
		InstanceType                     jsontext.Value
	}
	if err := unmarshal(object, &keys); err != nil {
		return nil, err
	}
	answer := keys.Instances != nil || keys.Images != nil || keys.InstanceTypes != nil
	switch {
	case answer:
		return decodeSavedAnswer(object, keys.Instances != nil, keys.Images != nil, keys.InstanceTypes != nil)
	case keys.InstanceID != nil && (keys.InstanceType != nil || keys.ImageID != nil):
		var item wireInstance
		if err := unmarshal(object, &item); err != nil {
			return nil, err
		}
		out := new(Saved)
		out.add(&item)
		return out, nil
	case keys.InstanceTypeID != nil:
		var item wireType
		if err := unmarshal(object, &item); err != nil {
			return nil, err
		}
		types, err := typesOf([]wireType{item})
		return &Saved{Types: types}, err
	case keys.ImageID != nil && (keys.ImageName != nil || keys.OSName != nil || keys.Platform != nil):
		var item wireImage
		if err := unmarshal(object, &item); err != nil {
			return nil, err
		}
		images, err := imagesOf([]wireImage{item})
		return &Saved{Images: images}, err
	case keys.RequestID != nil:
		return &Saved{Foreign: true}, nil
	}
	return nil, ErrNoAnswer
}

func decodeSavedAnswer(object []byte, instances, images, types bool) (*Saved, error) {
	out := new(Saved)
	if instances {
		var answer struct {
			Listing              wireListing `json:",inline"`
			PageNumber, PageSize int
		}
		if err := unmarshal(object, &answer); err != nil {
			return nil, err
		}
		if answer.Listing.Instances.v.Instance == nil {
			return nil, missing("Instances.Instance")
		}
		savedListing := &SavedListing{Total: answer.Listing.TotalCount.orNone(), PageNumber: answer.PageNumber, PageSize: answer.PageSize}
		if answer.Listing.NextToken != nil {
			savedListing.NextToken = *answer.Listing.NextToken
		}
		out.Listing = savedListing
		for i := range answer.Listing.Instances.v.Instance {
			out.add(&answer.Listing.Instances.v.Instance[i])
		}
	}
	var err error
	if images {
		var m wireImages
		if err := unmarshal(object, &m); err != nil {
			return nil, err
		}
		if m.Images.v.Image == nil {
			return nil, missing("Images.Image")
		}
		if out.Images, err = imagesOf(m.Images.v.Image); err != nil {
			return nil, err
		}
	}
	if types {
		if out.Types, _, err = decodeTypes(object); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Saved) add(wireInstance *wireInstance) {
	if !usableID(wireInstance.InstanceID) {
		s.Nameless++
		return
	}
	s.Instances = append(s.Instances, SavedInstance{wireInstance.RegionID, wireInstance.instance()})
}
