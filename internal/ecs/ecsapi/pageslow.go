package ecsapi

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// object is a JSON object whose keys are matched by case and of which the
// last of equal keys counts.
type object map[string]json.RawMessage

func (o object) text(key string) (string, error) {
	s, err := textOf(o[key])
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return s, nil
}

func (o object) count(key string) (int32, error) {
	s, err := o.text(key)
	if err != nil || s == "" {
		return 0, err
	}
	n, err := parseInt(s)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	if n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%s: %d is out of range", key, n)
	}
	return int32(n), nil
}

func (o object) tri(key string) (rules.Tri, error) {
	s, err := o.text(key)
	if err != nil {
		return 0, err
	}
	t, ok := parseTri(s)
	if !ok {
		return 0, fmt.Errorf("%s: %w: wanted a boolean", key, errType)
	}
	return t, nil
}

// decodePageSlow reads an answer of DescribeInstances by encoding/json, in
// every spelling that was ever seen. It defines what decodePage means.
func decodePageSlow(body []byte) (*ecs.Page, error) {
	var top object
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	var wrap object
	if raw := top["Instances"]; isNull(raw) {
		return nil, missing("Instances")
	} else if err := json.Unmarshal(raw, &wrap); err != nil {
		return nil, fmt.Errorf("Instances: %w", errType)
	}
	if raw := wrap["Instance"]; isNull(raw) || raw[0] == '"' {
		return nil, missing("Instances.Instance")
	}
	list, err := listOf(wrap["Instance"])
	if err != nil {
		return nil, fmt.Errorf("Instances.Instance: %w", err)
	}
	p := &ecs.Page{Instances: make([]ecs.Instance, len(list))}
	if p.NextToken, err = top.text("NextToken"); err != nil {
		return nil, err
	}
	if p.RequestID, err = top.text("RequestId"); err != nil {
		return nil, err
	}
	for i, raw := range list {
		if p.Instances[i], err = slowInstance(raw); err != nil {
			return nil, fmt.Errorf("instance %d of the page: %w", i, err)
		}
	}
	return p, nil
}

func slowInstance(raw json.RawMessage) (in ecs.Instance, err error) {
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return in, fmt.Errorf("%w: wanted an object", errType)
	}
	for key, to := range map[string]*string{
		"InstanceId": &in.ID, "InstanceName": &in.Name, "InstanceType": &in.Type, "InstanceTypeFamily": &in.Family,
		"ImageId": &in.ImageID, "OSName": &in.OSName, "OSNameEn": &in.OSNameEn, "OSType": &in.OSType, "Status": &in.Status,
		"ZoneId": &in.Zone, "CreationTime": &in.CreationTime, "InstanceNetworkType": &in.NetworkType,
	} {
		if *to, err = o.text(key); err != nil {
			return in, err
		}
	}
	if in.ID == "" {
		return in, missing("InstanceId")
	}
	if in.CPU, err = o.count("Cpu"); err != nil {
		return in, err
	}
	if in.MemoryMiB, err = o.count("Memory"); err != nil {
		return in, err
	}
	if in.IoOptimized, err = o.tri("IoOptimized"); err != nil {
		return in, err
	}
	if in.OSNVMe, err = slowImageOptions(o["ImageOptions"]); err != nil {
		return in, err
	}
	in.Tags, err = slowTags(o["Tags"])
	return in, err
}

func slowImageOptions(raw json.RawMessage) (rules.Tri, error) {
	if isNull(raw) || string(raw) == `""` {
		return rules.Unobserved, nil
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return 0, fmt.Errorf("ImageOptions: %w", errType)
	}
	return o.tri("CurrentOSNVMeSupported")
}

// slowTags takes {"Tag":[...]}, a bare list, one tag, null, "" and {}.
func slowTags(raw json.RawMessage) ([]ecs.Tag, error) {
	if isNull(raw) || string(raw) == `""` {
		return nil, nil
	}
	var wrap object
	if raw[0] == '{' {
		if err := json.Unmarshal(raw, &wrap); err != nil {
			return nil, err
		}
		if len(wrap) == 0 {
			return nil, nil
		}
		if inner, ok := wrap["Tag"]; ok {
			raw = inner
		} else if wrap["TagKey"] == nil && wrap["Key"] == nil {
			return nil, missing("Tags.Tag")
		}
	}
	if isNull(raw) || string(raw) == `""` {
		return nil, nil
	}
	list, err := listOf(raw)
	if err != nil {
		return nil, err
	}
	var tags []ecs.Tag
	for _, item := range list {
		var o object
		if err := json.Unmarshal(item, &o); err != nil {
			return nil, fmt.Errorf("field Tags: %w", errType)
		}
		if len(o) == 0 {
			continue
		}
		var t ecs.Tag
		var err error
		if t.Key, err = o.text(either(o, "TagKey", "Key")); err != nil {
			return nil, err
		}
		if t.Value, err = o.text(either(o, "TagValue", "Value")); err != nil {
			return nil, err
		}
		tags = append(tags, t)
	}
	return tags, nil
}

// either returns the first key that is there.
func either(o object, a, b string) string {
	if _, ok := o[a]; ok {
		return a
	}
	return b
}
