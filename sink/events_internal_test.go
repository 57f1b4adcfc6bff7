package sink

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/schema"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// The event that is put around data that was encoded before is the one that
// would be encoded in one piece.
func TestAVerdictEventIsOneObject(t *testing.T) {
	rec := func(level rules.Level) *record.Record {
		return &record.Record{
			Account: "1", Region: "cn-hangzhou", InstanceID: `i-"<1>`, Tags: map[string]string{"a": "\u2028"},
			Classification: rules.Classification{Verdicts: []rules.Verdict{{Target: "kvm", Level: level}}},
		}
	}
	changed := &event.VerdictChanged{Before: rec(rules.Compatible), After: rec(rules.Unknown), Cause: "observation"}
	data, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	told := &store.Event{
		At: event.Position{Stream: 1, Seq: 2}, Time: time.Unix(100, 5),
		Change: &store.VerdictEvent{Account: "1", Region: "cn-hangzhou", InstanceID: `i-"<1>`, Data: data},
	}
	got, err := verdictEvent(told, "id")
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: "id", Source: "shenscan/1/cn-hangzhou", Type: typeVerdictChanged, Subject: `i-"<1>`,
		Time: time.Unix(100, 5).UTC(), DataContentType: "application/json", DataSchema: schema.Base + schema.VerdictChanged, Data: changed,
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the event is\n%s\nwant\n%s", got, want)
	}
}
