package report

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// recordEncoder encodes records as WriteJSONLine and writeValue would. Nearly
// all of a record is its classification, which instances with the same software
// on the same machines share: it is encoded once.
type recordEncoder struct {
	known map[shared][]byte
	b     []byte
}

// shared tells classifications apart. Two that share their lists, which nobody
// changes, and their operating system are the same.
type shared struct {
	os                  rules.OS
	legacy              bool
	verdicts            *rules.Verdict
	conflicts           *rules.Conflict
	nVerdict, nConflict int
}

// maxClassifications bounds how many classifications are kept, of a few KB each.
const maxClassifications = 4096

// recordHead is what stands before the classification in a record, recordTail
// what stands behind it.
type (
	recordHead struct {
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
	recordTail struct {
		ObservedAt time.Time  `json:"observed_at"`
		ScanID     string     `json:"scan_id"`
		Ruleset    string     `json:"ruleset"`
		GoneAt     *time.Time `json:"gone_at,omitempty"`
	}
)

// encode returns the JSON of a record, valid until the next call.
func (e *recordEncoder) encode(rec *record.Record) ([]byte, error) {
	class, err := e.classification(rec)
	if err != nil {
		return nil, err
	}
	e.b, err = enclose(e.b[:0], rec, class, &recordTail{rec.ObservedAt, rec.ScanID, rec.Ruleset, rec.GoneAt})
	return e.b, err
}

// enclose appends an object of a record's head, what was encoded of its
// classification, and a tail.
func enclose(b []byte, rec *record.Record, class []byte, tail any) ([]byte, error) {
	head := recordHead{
		rec.Account, rec.AccountName, rec.Region, rec.Zone, rec.InstanceID, rec.InstanceName, rec.InstanceType, rec.InstanceFamily, rec.Generation,
		rec.Virtualization, rec.Status, rec.ImageID, rec.ImageOwner, rec.CPU, rec.MemoryMiB, rec.NetworkType, rec.Tags,
	}
	if head.Tags == nil {
		head.Tags = map[string]string{}
	}
	before, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	after, err := json.Marshal(tail)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	b = append(b, escapeJSON(before[:len(before)-1])...)
	b = append(append(b, ','), class...)
	return append(append(b, ','), escapeJSON(after[1:])...), nil
}

// sharedBy is what a record's classification is known by.
func sharedBy(rec *record.Record) shared {
	key := shared{os: rec.OS, legacy: rec.Legacy, nVerdict: len(rec.Verdicts), nConflict: len(rec.Conflicts)}
	if key.nVerdict > 0 {
		key.verdicts = &rec.Verdicts[0]
	}
	if key.nConflict > 0 {
		key.conflicts = &rec.Conflicts[0]
	}
	return key
}

// classification returns the fields of the record's classification, without
// braces.
func (e *recordEncoder) classification(rec *record.Record) ([]byte, error) {
	key := sharedBy(rec)
	if b, ok := e.known[key]; ok {
		return b, nil
	}
	encoded, err := json.Marshal(&Tidy(rec).Classification)
	if err != nil {
		return nil, fmt.Errorf("encode the classification of %s: %w", rec.InstanceID, err)
	}
	encoded = escapeJSON(encoded[1 : len(encoded)-1])
	if e.known == nil || len(e.known) >= maxClassifications {
		e.known = map[shared][]byte{}
	}
	e.known[key] = encoded
	return encoded, nil
}
