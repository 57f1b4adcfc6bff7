package cloudevents

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shenscan/shenscan/producer"
)

// FuzzEvents reads whatever is sent in any mode. What comes out is an error
// with a status of its own, or changes that hold what Change promises.
func FuzzEvents(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("application/cloudevents+json", "", body)
		f.Add("application/cloudevents-batch+json", "", slices.Concat([]byte("["), body, []byte("]")))
	}
	f.Add("application/json", "ecs:Instance:StateChange", []byte(`{"resourceId":"i-bp1ecr000000005go2go","state":"Running"}`))
	f.Add("application/json", "actiontrail:ActionTrail:ApiCall", []byte(`{"eventName":"RunInstances","serviceName":"Ecs","acsRegion":"cn-hangzhou","responseElements":"{\"InstanceIdSets\":[[[[\"i-bp1ecr000000005go2go\"]]]]}"}`))
	f.Add("application/json", "", []byte(`[{"id":"a","\u0069d":"b"},null,17,{"data_base64":"e30="}]`))
	const account = "1547353256850001"
	scanned := func(id string) bool { return id == account }
	f.Fuzz(func(t *testing.T, contentType, ceType string, body []byte) {
		head := http.Header{"Content-Type": {contentType}}
		if ceType != "" {
			for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "acs.ecs", "Ce-Type": ceType, "Ce-Aliyunaccountid": "1547353256850001", "Ce-Aliyunregionid": "cn-hangzhou"} {
				head.Set(name, value)
			}
		}
		events, err := read(head, body, 100)
		if err != nil {
			if e, ok := errors.AsType[*requestError](err); !ok || e.status < 400 || e.status >= 500 || len(e.detail) > 500 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if len(events) > 100 {
			t.Fatalf("%d events", len(events))
		}
		for _, e := range events {
			if e.err != nil {
				continue
			}
			c, err := interpret(&e.Event, scanned)
			if err != nil {
				if len(err.Error()) > 500 {
					t.Fatalf("%d bytes of error", len(err.Error()))
				}
				continue
			}
			if c.Scope.Account != account || !regionID.MatchString(c.Scope.Region) || len(c.InstanceIDs) == 0 || len(c.InstanceIDs) > maxInstances ||
				len(c.Reason) > 60 || !slices.IsSorted(c.InstanceIDs) || len(slices.Compact(slices.Clone(c.InstanceIDs))) != len(c.InstanceIDs) ||
				slices.ContainsFunc(c.InstanceIDs, func(id string) bool { return !producer.IsInstanceID(id) }) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
