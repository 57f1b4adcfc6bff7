package record

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shenscan/shenscan/rules"
)

// Encoder encodes records as encoding/json does. Nearly all of a record is its
// classification, which instances with the same software on the same machines
// share: it is encoded once. It is for one goroutine, and what records share
// must not change while it is used.
type Encoder struct {
	// Tidy, if it is set, makes what is encoded of a record. It must make the same
	// of classifications that are Shared.
	Tidy func(*Record) *Record
	// Escape, if it is set, is applied to each part that was encoded.
	Escape func([]byte) []byte
	// Most bounds how many classifications are kept, of a few KB each; 4,096
	// unless it is set.
	Most int

	known map[Shared][]byte
}

// Shared tells classifications apart. Two that share their lists, which nobody
// changes, and their operating system are the same.
type Shared struct {
	os                  rules.OS
	legacy              bool
	verdicts            *rules.Verdict
	conflicts           *rules.Conflict
	nVerdict, nConflict int
	null                bool // there is no list of verdicts, not even an empty one
}

// SharedBy is what the record's classification is known by.
func SharedBy(rec *Record) Shared {
	key := Shared{os: rec.OS, legacy: rec.Legacy, nVerdict: len(rec.Verdicts), nConflict: len(rec.Conflicts), null: rec.Verdicts == nil}
	if key.nVerdict > 0 {
		key.verdicts = &rec.Verdicts[0]
	}
	if key.nConflict > 0 {
		key.conflicts = &rec.Conflicts[0]
	}
	return key
}

// head is what stands before the classification in a record, tail what stands
// behind it.
type (
	head struct {
		Account        string            `json:"account"`
		AccountName    string            `json:"account_name"`
		Region         string            `json:"region"`
		Zone           string            `json:"zone"`
		InstanceID     string            `json:"instance_id"`
		InstanceName   string            `json:"instance_name"`
		InstanceType   string            `json:"instance_type"`
		InstanceFamily string            `json:"instance_family"`
		Generation     int               `json:"generation"`
		Virtualization string            `json:"virtualization"`
		Status         string            `json:"status"`
		ImageID        string            `json:"image_id"`
		ImageOwner     string            `json:"image_owner"`
		CPU            int               `json:"cpu"`
		MemoryMiB      int               `json:"memory_mib"`
		NetworkType    string            `json:"network_type,omitempty"`
		Tags           map[string]string `json:"tags"`
	}
	tail struct {
		ObservedAt time.Time  `json:"observed_at"`
		ScanID     string     `json:"scan_id"`
		Ruleset    string     `json:"ruleset"`
		GoneAt     *time.Time `json:"gone_at,omitempty"`
	}
)

// Append appends the JSON of a record.
func (e *Encoder) Append(b []byte, rec *Record) ([]byte, error) {
	class, err := e.classification(rec)
	if err != nil {
		return nil, err
	}
	return e.Enclose(b, rec, class, &tail{rec.ObservedAt, rec.ScanID, rec.Ruleset, rec.GoneAt})
}

// AppendChanged appends the JSON of the data of an event.
func (e *Encoder) AppendChanged(out []byte, changed *VerdictChanged) ([]byte, error) {
	var err error
	for _, part := range []struct {
		name string
		of   *Record
	}{{`{"before":`, changed.Before}, {`,"after":`, changed.After}} {
		out = append(out, part.name...)
		if part.of == nil {
			out = append(out, "null"...)
		} else if out, err = e.Append(out, part.of); err != nil {
			return nil, err
		}
	}
	cause, err := json.Marshal(changed.Cause)
	if err != nil {
		return nil, err
	}
	out = append(append(out, `,"cause":`...), e.escaped(cause)...)
	return append(out, '}'), nil
}

// Enclose appends an object that has the members of a record up to its
// classification, then members that are encoded already, without braces, then
// those of behind, which is a struct.
func (e *Encoder) Enclose(out []byte, rec *Record, encoded []byte, behind any) ([]byte, error) {
	tags := rec.Tags
	if e.Tidy != nil && tags == nil {
		tags = map[string]string{}
	}
	before, err := json.Marshal(&head{
		rec.Account, rec.AccountName, rec.Region, rec.Zone, rec.InstanceID, rec.InstanceName, rec.InstanceType, rec.InstanceFamily, rec.Generation,
		rec.Virtualization, rec.Status, rec.ImageID, rec.ImageOwner, rec.CPU, rec.MemoryMiB, rec.NetworkType, tags,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	after, err := json.Marshal(behind)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	out = append(out, e.escaped(before[:len(before)-1])...)
	out = append(append(out, ','), encoded...)
	return append(append(out, ','), e.escaped(after[1:])...), nil
}

func (e *Encoder) escaped(b []byte) []byte {
	if e.Escape == nil {
		return b
	}
	return e.Escape(b)
}

// classification returns the members of the record's classification, without
// braces.
func (e *Encoder) classification(rec *Record) ([]byte, error) {
	key := SharedBy(rec)
	if b, ok := e.known[key]; ok {
		return b, nil
	}
	if e.Tidy != nil {
		rec = e.Tidy(rec)
	}
	encoded, err := json.Marshal(&rec.Classification)
	if err != nil {
		return nil, fmt.Errorf("encode the classification of %s: %w", rec.InstanceID, err)
	}
	encoded = e.escaped(encoded[1 : len(encoded)-1])
	most := e.Most
	if most == 0 {
		most = 4096
	}
	if e.known == nil || len(e.known) >= most {
		e.known = map[Shared][]byte{}
	}
	e.known[key] = encoded
	return encoded, nil
}
