package ecsapi

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// listings returns an answer of each listing from the simulator, at most one
// page of it.
func listings(tb testing.TB) map[string][]byte {
	tb.Helper()
	sim, c := simulate(tb, ecssim.Options{Instances: 4000, Regions: 1, Seed: 3}, nil)
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	out := map[string][]byte{}
	get := func(action string, set ...string) {
		req := newRequest(ecsVersion, action)
		req.set("RegionId", s.Region)
		for i := 0; i < len(set); i += 2 {
			req.set(set[i], set[i+1])
		}
		if err := c.do(tb.Context(), s, req, func(body []byte) error {
			out[action] = append([]byte(nil), body...)
			return nil
		}); err != nil {
			tb.Fatal(err)
		}
	}
	get(actTypes, "MaxResults", "100")
	get(actImages, "PageSize", "100")
	get(actStock, "DestinationResource", "InstanceType")
	return out
}

// agree checks that a body read lean says what encoding/json alone reads in it.
func agree[T any](t *testing.T, body []byte) {
	t.Helper()
	var want, got T
	wantErr, err := json.Unmarshal(body, &want), unmarshal(body, &got)
	if (wantErr == nil) != (err == nil) {
		t.Fatalf("lean: %v, whole: %v", err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(want, got) {
		t.Fatalf("lean %+v\nwhole %+v", got, want)
	}
}

func agreeOnAll(t *testing.T, body []byte) {
	t.Helper()
	agree[wireTypes](t, body)
	agree[wireImages](t, body)
	agree[wireStock](t, body)
	agree[struct{ Images map[string]json.RawMessage }](t, body)
}

func TestLeanSaysWhatTheWholeAnswerSays(t *testing.T) {
	for name, body := range responses(t, "Describe") {
		t.Run(name, func(t *testing.T) { agreeOnAll(t, body) })
	}
	for action, body := range listings(t) {
		t.Run(action, func(t *testing.T) {
			agreeOnAll(t, body)
			for name, keys := range map[string]keySet{actTypes: keysOf(reflect.TypeFor[wireTypes]()), actImages: keysOf(reflect.TypeFor[wireImages]())} {
				if got := len(lean(body, keys)); name == action && got > len(body)/2 {
					t.Errorf("%d of %d bytes are left", got, len(body))
				}
			}
		})
	}
}

func FuzzLean(f *testing.F) {
	for _, seed := range []string{
		`{"TotalCount":1,"Images":{"Image":[{"ImageId":"a","X":{"ImageId":"b"},"TAGS":{"Tag":[{"TagKey":"k","y":[1,{"z":null}]}]}}]}}`,
		`{"\u0049mages":{"Image":{"ImageId":"a"}}} `, `{"Images":{"Image":[{"ImageId":"a"},]}}`, `{"Image\u017f":1,"Imageſ":{"Image":""},"K":[]}`,
		`{"NextToken":3,"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"t","CpuCoreCount":"2","MemorySize":0.5,"SupportedBootModes":{"SupportedBootMode":"UEFI"}}]}}`,
		`{"AvailableZones":{"AvailableZone":[{"ZoneId":"z","AvailableResources":{"AvailableResource":{"SupportedResources":""}}}]},"a":[[[]]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(agreeOnAll)
}

// BenchmarkListing compares, in one run, what it costs to read an answer of
// each listing with and without what nobody reads of it.
func BenchmarkListing(b *testing.B) {
	for action, body := range listings(b) {
		var keys keySet
		var whole func([]byte) error
		switch action {
		case actTypes:
			keys, whole = keysOf(reflect.TypeFor[wireTypes]()), func(body []byte) error { _, _, err := decodeTypes(body); return err }
		case actImages:
			keys, whole = keysOf(reflect.TypeFor[wireImages]()), func(body []byte) error { _, err := decodeImages(body, false); return err }
		case actStock:
			keys, whole = keysOf(reflect.TypeFor[wireStock]()), func(body []byte) error { _, err := decodeStock(body); return err }
		}
		b.Logf("%s: %d bytes, lean %d", action, len(body), len(lean(body, keys)))
		for name, f := range map[string]func() error{
			"decode": func() error { return whole(body) },
			"lean":   func() error { lean(body, keys); return nil },
			"any":    func() error { var v any; return json.Unmarshal(body, &v) },
		} {
			b.Run(action+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
