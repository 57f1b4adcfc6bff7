package ecssim

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
)

// Bodies of DescribeInstances whose shape the simulator can take on;
// data/bodies/SOURCES.tsv says where each is from.
var (
	//go:embed data/bodies/instances-doc.json
	bodyDocumented []byte
	//go:embed data/bodies/instances-2015.json
	body2015 []byte
	//go:embed data/bodies/instances-2024.json
	body2024 []byte
)

// field is a member of a JSON object, in its place.
type field struct {
	key string
	raw json.RawMessage
}

// shape is the members of an answer and of the instances in it.
type shape struct{ envelope, row []field }

// parseShapes reads the bodies, by the contradiction that shows them.
func parseShapes() (map[Contradiction]*shape, error) {
	out := map[Contradiction]*shape{}
	for shown, body := range map[Contradiction][]byte{BodiesDocumented: bodyDocumented, Bodies2015: body2015, Bodies2024: body2024} {
		var first struct {
			Instances struct{ Instance []json.RawMessage }
		}
		envelope, err := fields(body)
		if err == nil {
			err = json.Unmarshal(body, &first)
		}
		if err != nil || len(first.Instances.Instance) == 0 {
			return nil, fmt.Errorf("ecssim: body of %s: no instance: %w", shown.Name, err)
		}
		row, err := fields(first.Instances.Instance[0])
		if err != nil {
			return nil, fmt.Errorf("ecssim: body of %s: %w", shown.Name, err)
		}
		out[shown] = &shape{envelope, row}
	}
	return out, nil
}

// fields takes an object apart in order.
func fields(object []byte) (out []field, err error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, object); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(&compact)
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		found := field{key: fmt.Sprint(key)}
		if err := dec.Decode(&found.raw); err != nil {
			return nil, err
		}
		out = append(out, found)
	}
	return out, nil
}

// shape is the shape that instances have now; nil is the simulator's own.
func (s *Simulator) shape() *shape {
	if s.quirks.Load() == nil {
		return nil
	}
	for shown, sh := range s.shapes {
		if s.against(shown) {
			return sh
		}
	}
	return nil
}

// ofInstance are the members of an example instance that are the fleet's own;
// the others stay as they are in the example.
var ofInstance = map[string]bool{
	"InstanceId": true, "InstanceName": true, "HostName": true, "RegionId": true, "ZoneId": true, "ImageId": true, "OSName": true, "OSNameEn": true, "OSType": true,
	"InstanceType": true, "InstanceTypeFamily": true, "Status": true, "CreationTime": true, "StartTime": true, "IoOptimized": true, "Cpu": true, "Memory": true, "SerialNumber": true, "ImageOptions": true,
}

// reshape writes an instance that the simulator rendered in the example's
// shape: its members, in their order and of their types.
func (sh *shape) reshape(out, rendered []byte) []byte {
	var own map[string]json.RawMessage
	if err := json.Unmarshal(rendered, &own); err != nil {
		return append(out, rendered...) // an instance that is no JSON on purpose
	}
	out = append(out, '{')
	for i, field := range sh.row {
		out = appendComma(out, i)
		out = append(appendMarshalled(out, field.key), ':')
		if v, ok := own[field.key]; ok && ofInstance[field.key] {
			out = append(out, ofType(v, field.raw)...)
			continue
		}
		out = append(out, field.raw...)
	}
	return append(out, '}')
}

// ofType spells a value as the example does: as a string where that has one.
func ofType(raw, example json.RawMessage) json.RawMessage {
	if len(raw) > 0 && len(example) > 0 && example[0] == '"' && raw[0] != '"' && raw[0] != '{' && raw[0] != '[' {
		return json.RawMessage(strconv.Quote(string(raw)))
	}
	return raw
}

// wrap writes an answer around a list of instances in the example's shape.
func (sh *shape) wrap(out, list []byte, requestID, next string, total, page, size int) []byte {
	out = append(out, '{')
	for i, field := range sh.envelope {
		out = appendComma(out, i)
		out = append(appendMarshalled(out, field.key), ':')
		raw := field.raw
		switch field.key {
		case "Instances":
			out = append(append(append(out, `{"Instance":[`...), list...), `]}`...)
			continue
		case "RequestId":
			raw = json.RawMessage(strconv.Quote(requestID))
		case "NextToken":
			raw = json.RawMessage(strconv.Quote(next))
		case "TotalCount":
			raw = ofType(json.RawMessage(strconv.Itoa(total)), raw)
		case "PageNumber":
			raw = ofType(json.RawMessage(strconv.Itoa(page)), raw)
		case "PageSize":
			raw = ofType(json.RawMessage(strconv.Itoa(size)), raw)
		}
		out = append(out, raw...)
	}
	return append(out, '}')
}
