package sink

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/schema"
	"github.com/shenscan/shenscan/sink/store"
)

// CloudEvent types that sinks emit.
const (
	typeVerdictChanged = "dev.shenscan.verdict.changed.v1"
	typeScanPrefix     = "dev.shenscan.scan." // + state + ".v1"
)

// cloudEvent is a CloudEvents 1.0 event in structured JSON.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitempty"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema"`
	Data            any       `json:"data,omitempty"`
}

// eventID names the occurrence and is the same whichever sink derives it. A
// change of judgement has no place in the results stream; there the emitter
// makes the id.
func eventID(e *store.Event) string { return fmt.Sprintf("%x-%d-%d", e.At.Stream, e.At.Seq, e.Index) }

func verdictSubject(told *store.VerdictEvent) string {
	return event.SubjectVerdictEvents + "." + event.Token(told.Account) + "." + event.Token(told.Region)
}

// verdictEvent puts the event around its data, which is encoded already.
func verdictEvent(told *store.Event, id string) ([]byte, error) {
	change := told.Change
	around, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: "shenscan/" + change.Account + "/" + change.Region,
		Type: typeVerdictChanged, Subject: change.InstanceID, Time: told.Time.UTC(), DataContentType: "application/json", DataSchema: schema.Base + schema.VerdictChanged,
	})
	if err != nil {
		return nil, err
	}
	return slices.Concat(around[:len(around)-1], []byte(`,"data":`), change.Data, []byte("}")), nil
}

// mostScopes bounds the bytes that the scopes of a scan take in an event. Where
// they take more, the event says how many are left out and where they are.
const mostScopes = 256 << 10

func scanEvent(told *store.Event) (subject string, body []byte, err error) {
	state := string(told.Scan.State)
	if told.Scan.State == record.ScanRunning {
		state = "started"
	}
	body, err = json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: eventID(told), Source: "shenscan", Type: typeScanPrefix + state + ".v1",
		Subject: told.Scan.ID, Time: told.Time.UTC(), DataContentType: "application/json", DataSchema: schema.Base + schema.Scan, Data: told.Scan.Brief(mostScopes),
	})
	return event.SubjectScanEvents + "." + state, body, err
}
