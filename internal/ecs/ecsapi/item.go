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
	var facts rules.Facts
	if image {
		var w wireImage
		if err := unmarshal(object, &w); err != nil {
			return facts, err
		}
		facts.ImageID, facts.Image = w.ImageID, w.facts()
	}
	if keys.InstanceID != nil || keys.InstanceType != nil || !image {
		var instance wireInstance
		if err := unmarshal(object, &instance); err != nil {
			return facts, err
		}
		x := instance.instance()
		facts.OSName, facts.OSNameEn, facts.OSType, facts.ImageID = x.OSName, x.OSNameEn, x.OSType, x.ImageID
		facts.Put(x.Hardware())
		if image { // its OSName is that of the instance, its Status too
			facts.Image.OSName, facts.Image.OSNameEn, facts.Image.OSType, facts.Image.Status = "", "", "", ""
		}
	}
	return facts, nil
}
