package cloudevents

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Event is a CloudEvent 1.0: its attributes by name and its data as JSON.
type Event struct {
	Attributes map[string]string
	Data       json.RawMessage // nil for none
}

// ID tells an event from the others of its source.
func (e *Event) ID() string { return e.Attributes["id"] }

// Source is who sent the event first, such as acs.ecs.
func (e *Event) Source() string { return e.Attributes["source"] }

// Type is what has happened, such as ecs:Instance:StateChange.
func (e *Event) Type() string { return e.Attributes["type"] }

// Subject is what it happened to; "" where the event does not say.
func (e *Event) Subject() string { return e.Attributes["subject"] }

// readEvent is one event of a request, or why it is none.
type readEvent struct {
	Event
	err error
}

// Bounds of an event.
const (
	maxAttribute  = 1024 // bytes of one attribute's value
	maxAttributes = 64
	maxDepth      = 32 // of nested JSON; the deepest recorded event has 5
)

// read finds the events of a request in any of the modes of the CloudEvents
// HTTP binding: structured, batched, and binary. EventBridge's HTTP target
// sends the whole event as the body; since the content type it sends with it is
// not documented, application/json is read as structured or batched where no
// ce- header says otherwise.
//
// Source: github.com/cloudevents/spec, cloudevents/bindings/http-protocol-binding.md
// and cloudevents/formats/json-format.md, version 1.0.2.
func read(head http.Header, body []byte, maxBatch int) ([]readEvent, error) {
	media, params, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil {
		return nil, unsupported("the content type is missing or wrong")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, unsupported("the character set is not utf-8")
	}
	if encoding := head.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, unsupported("the body is compressed")
	}
	switch {
	case media == "application/cloudevents+json":
		return structured(body)
	case media == "application/cloudevents-batch+json":
		return batched(body, maxBatch)
	case head.Get("Ce-Specversion") != "":
		return binary(head, media, body)
	case media == "application/json" && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")):
		return batched(body, maxBatch)
	case media == "application/json":
		return structured(body)
	}
	return nil, unsupported("an event is application/cloudevents+json, application/cloudevents-batch+json, or has ce- headers")
}

func unsupported(detail string) error {
	return &requestError{http.StatusUnsupportedMediaType, OutcomeRefused, detail}
}

func structured(body []byte) ([]readEvent, error) {
	if err := check(body); err != nil {
		return nil, badRequest("the body is not the JSON it should be: %v", err)
	}
	event, err := decode(body)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	return []readEvent{{Event: event}}, nil
}

func batched(body []byte, maxBatch int) ([]readEvent, error) {
	if err := check(body); err != nil {
		return nil, badRequest("the body is not the JSON it should be: %v", err)
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil || raw == nil {
		return nil, badRequest("a batch is a JSON array of events")
	}
	if len(raw) > maxBatch {
		return nil, &requestError{http.StatusRequestEntityTooLarge, OutcomeRefused, fmt.Sprintf("the batch holds %d events, and at most %d are taken", len(raw), maxBatch)}
	}
	events := make([]readEvent, len(raw))
	for i := range raw {
		events[i].Event, events[i].err = decode(raw[i])
	}
	return events, nil
}

// binary reads attributes from ce- headers and data from the body.
func binary(head http.Header, media string, body []byte) ([]readEvent, error) {
	event := Event{Attributes: map[string]string{}}
	for name, values := range head {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return nil, badRequest("the header %.60q is there %d times", name, len(values))
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			return nil, badRequest("the header %.60q is not percent-encoded as it should be", name)
		}
		event.Attributes[attribute] = value
	}
	if len(bytes.TrimSpace(body)) > 0 {
		if media != "application/json" && !strings.HasSuffix(media, "+json") {
			return nil, unsupported("the data of an event is JSON")
		}
		if err := check(body); err != nil {
			return nil, badRequest("the body is not the JSON it should be: %v", err)
		}
		event.Data = body
	}
	if err := event.validate(); err != nil {
		return nil, badRequest("%v", err)
	}
	return []readEvent{{Event: event}}, nil
}

// decode reads an event in the JSON format; check has passed it. Names are
// compared exactly: "ID" is not "id".
func decode(body []byte) (Event, error) {
	event := Event{Attributes: map[string]string{}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return event, errors.New("an event is a JSON object")
	}
	if len(fields) > maxAttributes {
		return event, fmt.Errorf("the event has %d attributes, and at most %d are taken", len(fields), maxAttributes)
	}
	event.Data = fields["data"]
	delete(fields, "data")
	for name, raw := range fields {
		switch raw[0] {
		case 'n': // null: as if it were absent
		case '{', '[':
			return event, fmt.Errorf("the attribute %.60q is no plain value", name)
		case '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return event, fmt.Errorf("the attribute %.60q: %w", name, err)
			}
			event.Attributes[name] = s
		default: // a number or a boolean, as extensions may have; required attributes are strings
			if required(name) {
				return event, fmt.Errorf("the attribute %q is not a string", name)
			}
			event.Attributes[name] = string(raw)
		}
	}
	if b64, ok := event.Attributes["data_base64"]; ok {
		delete(event.Attributes, "data_base64")
		if event.Data != nil {
			return event, errors.New("the event has both data and data_base64")
		}
		data, err := base64.StdEncoding.DecodeString(b64)
		if err != nil {
			return event, errors.New("data_base64 is not base64")
		}
		if err := check(data); err != nil {
			return event, fmt.Errorf("data_base64 is not JSON: %w", err)
		}
		event.Data = data
	}
	return event, event.validate()
}

func required(name string) bool {
	return name == "specversion" || name == "id" || name == "source" || name == "type"
}

func (e *Event) validate() error {
	if v := e.Attributes["specversion"]; v != "1.0" {
		if v == "" {
			return errors.New("there is no specversion: this is not a CloudEvent; let the EventBridge target send the complete event")
		}
		return fmt.Errorf("the specversion is %.20q, and 1.0 is understood", v)
	}
	for name, value := range e.Attributes {
		if len(value) > maxAttribute || len(name) > maxAttribute {
			return fmt.Errorf("the attribute %.60q has more than %d bytes", name, maxAttribute)
		}
		if !utf8.ValidString(value) {
			return fmt.Errorf("the attribute %.60q is not UTF-8", name)
		}
		if required(name) && value == "" {
			return fmt.Errorf("the attribute %s is empty", name)
		}
	}
	for _, name := range []string{"id", "source", "type"} {
		if e.Attributes[name] == "" {
			return fmt.Errorf("the attribute %s is missing", name)
		}
	}
	return nil
}

// check refuses JSON that two readers could understand in two ways, or that is
// made to hurt: invalid UTF-8, a name twice in one object, deep nesting,
// anything behind the value.
func check(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	type level struct {
		names map[string]bool // of an object; nil in an array
		name  bool            // a name comes next
	}
	var stack []level
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return errors.New("it ends too early")
		}
		if err != nil {
			return err
		}
		top := len(stack) - 1
		if s, ok := token.(string); ok && top >= 0 && stack[top].name {
			if stack[top].names[s] {
				return fmt.Errorf("%.60q is there twice", s)
			}
			stack[top].names[s] = true
			stack[top].name = false
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == maxDepth {
				return fmt.Errorf("it is nested more than %d deep", maxDepth)
			}
			l := level{}
			if token == json.Delim('{') {
				l = level{names: map[string]bool{}, name: true}
			}
			stack = append(stack, l)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
			top--
		}
		if top < 0 {
			break
		}
		stack[top].name = stack[top].names != nil
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind it")
	}
	return nil
}
