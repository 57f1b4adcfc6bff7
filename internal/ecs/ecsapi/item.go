package ecsapi

import (
	"errors"

	"github.com/shenscan/shenscan/rules"
)

// ErrWholeAnswer means that an object is an answer of the API and no item of
// one.
var ErrWholeAnswer = errors.New("it is a whole answer of the API, of which a line takes one instance or image; give the file to scan --from")

// DecodeFacts reads one instance of DescribeInstances or one image of
// DescribeImages as facts. It needs no id; other keys are left alone.
func DecodeFacts(object []byte) (rules.Facts, error) {
	keys, err := unmarshalRest(object, new(struct{}))
	if err != nil {
		return rules.Facts{}, err
	}
	if keys.any("Instances", "Images", "InstanceTypes") {
		return rules.Facts{}, ErrWholeAnswer
	}
	var facts rules.Facts
	image := keys.any("ImageName", "ImageFamily", "Platform", "ImageOwnerAlias", "Architecture", "BootMode", "Features", "DetectionOptions")
	if image {
		var w wireImage
		if err := unmarshal(object, &w); err != nil {
			return facts, err
		}
		imageFacts, err := w.facts()
		if err != nil {
			return facts, err
		}
		facts.ImageID, facts.Image = w.ImageID, imageFacts
	}
	if !image || keys.any("InstanceId", "InstanceType") {
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
