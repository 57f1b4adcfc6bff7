package ecssim

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"
)

// FuzzQuery asks for instances and images with any parameters: every answer is
// JSON or an error of the API.
func FuzzQuery(f *testing.F) {
	s, err := New(Options{Instances: 300, Regions: 2})
	if err != nil {
		f.Fatal(err)
	}
	sc := s.fleet.scopes[0]
	token := s.tokens.seal(1, 5, 0, time.Now())
	for _, q := range []string{
		"", "MaxResults=100", "PageNumber=99999999999&PageSize=100", "PageNumber=-1", "NextToken=" + token, `InstanceIds=["i-1",""]`, "InstanceIds=null",
		"Filter.1.Key=CreationEndTime&Filter.1.Value=0001-01-01T00:00Z", "ZoneId=x&Status=Running", "ImageId=,,m-1&Status=,", "AdditionalAttributes.1=CURRENT_OS_NVME_SUPPORTED",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		if q, apiErr := s.parseInstanceQuery(params(v)); apiErr == nil {
			if b, apiErr := s.instancesPage(nil, sc, q, "R"); apiErr == nil && !json.Valid(b) {
				t.Errorf("%q: %.300s", raw, b)
			}
		}
		if body, apiErr := s.describeImages(&call{params: params(v), caller: &caller{account: s.opt.Keys[0]}}, sc); apiErr == nil {
			if _, err := json.Marshal(body); err != nil {
				t.Errorf("%q: %v", raw, err)
			}
		}
	})
}

// FuzzInstanceID never finds an instance that is not there.
func FuzzInstanceID(f *testing.F) {
	s, err := New(Options{Instances: 300, Regions: 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("i-bp1000000000000000000")
	f.Fuzz(func(t *testing.T, id string) {
		if sc, i, ok := s.fleet.locate(id); ok && string(sc.appendID(nil, i)) != id {
			t.Errorf("%q is taken for %d", id, i)
		}
	})
}
