package record

import (
	"bytes"
	"encoding/json"
	"fmt"

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
	// Brief leaves out the rule set, which is that of the whole list.
	Brief bool
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

// bare is a record without its classification: what is named here hides what the
// record has of that name, and is left out itself.
type bare struct {
	*Record

	OS        any `json:"os,omitempty"`
	Legacy    any `json:"legacy,omitempty"`
	Conflicts any `json:"conflicts,omitempty"`
	Verdicts  any `json:"verdicts,omitempty"`
}

// brief is the same without the rule set.
type brief struct {
	bare

	Ruleset any `json:"ruleset,omitempty"`
}

// Append appends the JSON of a record to b, one object on one line and without a line break.
// What records of one classification have in common is encoded once.
func (e *Encoder) Append(b []byte, rec *Record) ([]byte, error) {
	class, err := e.classification(rec)
	if err != nil {
		return nil, err
	}
	return e.Enclose(b, rec, class)
}

// AppendChanged appends the JSON of the data of a verdict event: the records before and after,
// null where there was or is none, and the cause.
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

// Enclose appends an object that has the members of a record, with those in the place
// of its classification that are encoded already, without braces.
func (e *Encoder) Enclose(out []byte, rec *Record, encoded []byte) ([]byte, error) {
	shell := bare{Record: rec}
	if e.Tidy != nil && rec.Tags == nil {
		tidied := *rec
		tidied.Tags = map[string]string{}
		shell.Record = &tidied
	}
	var of any = &shell
	if e.Brief {
		of = &brief{bare: shell}
	}
	data, err := json.Marshal(of)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	// What stands behind it are names and texts, in which quotes are escaped.
	at := bytes.LastIndex(data, []byte(`,"observed_at":`))
	out = append(out, e.escaped(data[:at])...)
	out = append(append(out, ','), encoded...)
	return append(out, e.escaped(data[at:])...), nil
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
