package ecsapi

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shenscan/shenscan/rules"
)

// ErrWholeAnswer means that an object is an answer of the API and no item of
// one.
var ErrWholeAnswer = errors.New("it is a whole answer of the API, of which a line takes one instance or image; give the file to scan --from")

// DecodeFacts reads one instance of DescribeInstances or one image of
// DescribeImages as facts. It needs no id; other keys are left alone.
func DecodeFacts(object []byte) (rules.Facts, error) {
	var keys struct {
		Instances, Images, InstanceTypes        jsontext.Value
		InstanceID                              jsontext.Value `json:"InstanceId"`
		InstanceType                            jsontext.Value
		ImageName, ImageFamily, Platform        jsontext.Value
		ImageOwnerAlias, Architecture, BootMode jsontext.Value
		Features, DetectionOptions              jsontext.Value
	}
	if err := unmarshal(object, &keys); err != nil {
		return rules.Facts{}, err
	}
	if keys.Instances != nil || keys.Images != nil || keys.InstanceTypes != nil {
		return rules.Facts{}, ErrWholeAnswer
	}
	image := keys.ImageName != nil || keys.ImageFamily != nil || keys.Platform != nil || keys.ImageOwnerAlias != nil || keys.Architecture != nil ||
		keys.BootMode != nil || keys.Features != nil || keys.DetectionOptions != nil
	var f rules.Facts
	if image {
		var w wireImage
		if err := unmarshal(object, &w); err != nil {
			return f, err
		}
		f.ImageID, f.Image = w.ImageID, w.facts()
	}
	if keys.InstanceID != nil || keys.InstanceType != nil || !image {
		var w wireInstance
		if err := unmarshal(object, &w); err != nil {
			return f, err
		}
		x := w.instance()
		f.OSName, f.OSNameEn, f.OSType, f.ImageID = x.OSName, x.OSNameEn, x.OSType, x.ImageID
		f.Put(x.Hardware())
		if image { // its OSName is that of the instance, its Status too
			f.Image.OSName, f.Image.OSNameEn, f.Image.OSType, f.Image.Status = "", "", "", ""
		}
	}
	return f, nil
}
