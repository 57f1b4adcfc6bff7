package ecsapi

import (
	"cmp"
	"errors"

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
	GoesOn               bool // it says in other words that there are more instances
}

// ErrFailedCall means that a saved answer is that of a call that failed.
var ErrFailedCall = errFailure

// ErrNoAnswer means that a JSON object is neither an answer of the API nor an
// item of one.
var ErrNoAnswer = errors.New("neither an answer of DescribeInstances, DescribeImages or DescribeInstanceTypes nor an instance, image or instance type of one")

// DecodeSaved reads one JSON object, an answer or an item of one, in any of the
// spellings that a live answer may have. Other keys are left alone.
func DecodeSaved(object []byte) (*Saved, error) {
	keys, err := unmarshalRest(object, new(struct{}))
	if err != nil {
		return nil, err
	}
	out := new(Saved)
	switch {
	case keys.any("Instances", "Images", "InstanceTypes"):
		err = out.answer(object, keys)
	case keys.any("InstanceId") && keys.any("InstanceType", "ImageId"):
		var item wireInstance
		err = unmarshal(object, &item)
		out.add(&item)
	case keys.any("InstanceTypeId"):
		var item wireType
		if err = unmarshal(object, &item); err == nil {
			out.Types, err = typesOf([]wireType{item})
		}
	case keys.any("ImageId") && keys.any("ImageName", "OSName", "Platform"):
		var item wireImage
		if err = unmarshal(object, &item); err == nil {
			out.Images, err = imagesOf([]wireImage{item})
		}
	case keys.any("RequestId"):
		out.Foreign = true
	default:
		err = ErrNoAnswer
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// answer reads a whole answer.
func (s *Saved) answer(object []byte, keys present) (err error) {
	if keys.any("Instances") {
		var answer struct {
			Listing              wireListing `json:",inline"`
			PageNumber, PageSize int
		}
		rest, err := unmarshalRest(object, &answer)
		if err != nil {
			return err
		}
		more, err := goesOn(rest)
		if err != nil {
			return err
		}
		listing := &answer.Listing
		if listing.Instances.v.Instance == nil {
			return missing("Instances.Instance")
		}
		s.Listing = &SavedListing{orNone(listing.TotalCount), answer.PageNumber, answer.PageSize, *cmp.Or(listing.NextToken, new(string)), more}
		for i := range listing.Instances.v.Instance {
			s.add(&listing.Instances.v.Instance[i])
		}
	}
	if keys.any("Images") {
		var m wireImages
		if err := unmarshal(object, &m); err != nil {
			return err
		}
		if m.Images.v.Image == nil {
			return missing("Images.Image")
		}
		if s.Images, err = imagesOf(m.Images.v.Image); err != nil {
			return err
		}
	}
	if keys.any("InstanceTypes") {
		page, err := decoding((*wireTypes).page)(object)
		s.Types = page.types
		return err
	}
	return nil
}

func (s *Saved) add(wireInstance *wireInstance) {
	if !usableID(wireInstance.ID) {
		s.Nameless++
		return
	}
	s.Instances = append(s.Instances, SavedInstance{wireInstance.Region, wireInstance.instance()})
}
