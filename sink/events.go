package sink

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// CloudEvent types that sinks emit.
const (
	TypeVerdictChanged = "dev.shenscan.verdict.changed.v1"
	TypeScanPrefix     = "dev.shenscan.scan." // + state + ".v1"
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
	Data            any       `json:"data"`
}

// eventID is the same whichever sink derives the event. A change of rule set
// has no place in the results stream; there the rule set and the instance name
// the event.
func eventID(e *store.Event) string {
	if e.Ruleset != "" && e.Change != nil {
		r := e.Change.After
		return fmt.Sprintf("ruleset-%s-%s-%s-%s", e.Ruleset, r.Account, r.Region, r.InstanceID)
	}
	return fmt.Sprintf("%x-%d-%d", e.At.Stream, e.At.Seq, e.Index)
}

func verdictEvent(e *store.Event) (subject string, body []byte, err error) {
	r := e.Change.After
	body, err = json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: eventID(e), Source: "shenscan/" + r.Account + "/" + r.Region,
		Type: TypeVerdictChanged, Subject: r.InstanceID, Time: e.Time.UTC(), DataContentType: "application/json", Data: e.Change,
	})
	return event.SubjectVerdictEvents + "." + event.Token(r.Account) + "." + event.Token(r.Region), body, err
}

func scanEvent(e *store.Event) (subject string, body []byte, err error) {
	state := string(e.Scan.State)
	if e.Scan.State == record.ScanRunning {
		state = "started"
	}
	body, err = json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: eventID(e), Source: "shenscan", Type: TypeScanPrefix + state + ".v1",
		Subject: e.Scan.ID, Time: e.Time.UTC(), DataContentType: "application/json", Data: e.Scan,
	})
	return event.SubjectScanEvents + "." + state, body, err
}
