package ecsapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

func offeredBy(body string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, status, body) }
}

func TestOfferedTypesAreThoseOfADocumentedAnswer(t *testing.T) {
	for name, body := range responses(t, "DescribeImageSupportInstanceTypes.") {
		t.Run(name, func(t *testing.T) { documentedOffer(t, string(body)) })
	}
}

func documentedOffer(t *testing.T, body string) {
	f := newFake(t, map[string]http.HandlerFunc{actOffered: offeredBy(body, 200)})
	got, err := newTestClient(t, f, nil).OfferedFamilies(t.Context(), testScope, "ubuntu_16_0402_64_20G_alibase_20180409.vhd")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ecs.OfferedFamily{{Name: "ecs.t1", Types: 2}}, got); diff != "" {
		t.Error(diff)
	}
	q := f.request().URL.Query()
	for key, want := range map[string]string{"RegionId": testScope.Region, "ImageId": "ubuntu_16_0402_64_20G_alibase_20180409.vhd", "ActionType": "CreateEcs"} {
		if q.Get(key) != want {
			t.Errorf("%s=%q, want %q", key, q.Get(key), want)
		}
	}
}

// usualOffer is an answer as the cloud gives it: a thousand types.
func usualOffer() []byte {
	var b bytes.Buffer
	b.WriteString(`{"RequestId":"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E","RegionId":"cn-hangzhou","ImageId":"m-1","InstanceTypes":{"InstanceType":[`)
	for i := range 1000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"InstanceTypeId":"ecs.g%d.large","InstanceTypeFamily":"ecs.g%d","CpuCoreCount":2,"MemorySize":8.0}`, i, i)
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

func TestUsualOffersAreReadInOnePass(t *testing.T) {
	if m, ok := readOffered(usualOffer()); !ok || m.ImageID != "m-1" || len(m.InstanceTypes) < 50_000 {
		t.Errorf("%v, %+v", ok, m)
	}
	for _, body := range responses(t, "DescribeImageSupportInstanceTypes.") {
		if _, ok := readOffered(body); !ok {
			t.Errorf("left to unmarshal: %s", body)
		}
	}
}

func readOffered(body []byte) (answer wireOffered, ok bool) {
	answer.by = new(offers)
	ok = readWhole(new(pageReader), body, offerMembers, &answer)
	answer.by = nil
	return answer, ok
}

// A list that was read before is told by its text, wherever in an answer it stands
// and whatever else the answer says; any other is read.
func TestListsOfTypesAreReadOnceEach(t *testing.T) {
	var o offers
	families := func(body string) []ecs.OfferedFamily {
		t.Helper()
		answer, err := o.read([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if doubt := answer.doubt("cn-hangzhou", "m-1"); doubt != "" {
			t.Fatal(doubt)
		}
		return answer.list.families
	}
	first := families(string(usualOffer()))
	reads := func() int { return len(o.known) }
	if len(first) != 1000 || reads() != 1 {
		t.Fatalf("%d families, %d lists", len(first), reads())
	}
	_, list, _ := strings.Cut(string(usualOffer()), `"InstanceTypes":`)
	again := families(`{"InstanceTypes":` + strings.TrimSuffix(list, "}") + ` , "ImageId":"m-1"}`)
	if !cmp.Equal(first, again) || reads() != 1 {
		t.Errorf("the same list elsewhere: %d families, %d lists", len(again), reads())
	}
	for _, odd := range []string{
		`[{"InstanceTypeId":"ecs.g1.large","X":{"Y":["]}"]}},{"InstanceTypeId":"ecs.g2.large"}]`, // its text does not end with the first ]}
		`[{"InstanceTypeId":"ecs.g1.large","X":{"Y":["]}"]}},{"InstanceTypeId":"ecs.g2.xlarge"},{"InstanceTypeId":"ecs.g2.large"}]`,
		`[{"InstanceTypeId":"ecs.g1.large"}]`,
		`[{"InstanceTypeId":"ecs.g3.large"}]`,
	} {
		body := `{"ImageId":"m-1","InstanceTypes":{"InstanceType":` + odd + `}}`
		var fresh offers
		want, err := fresh.read([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := families(body); !cmp.Equal(got, want.list.families) {
				t.Errorf("%s: %v, not %v", odd, got, want.list.families)
			}
		}
	}
	// An answer about another image is not believed for its list's sake.
	answer, err := o.read([]byte(strings.Replace(string(usualOffer()), "m-1", "m-2", 1)))
	if err != nil || answer.doubt("cn-hangzhou", "m-1") == "" {
		t.Errorf("an answer about another image is believed, %v", err)
	}
}

// What is remembered of lists is bounded.
func TestListsOfTypesAreForgotten(t *testing.T) {
	var o offers
	for i := range 2*mostLists + 1 {
		if _, err := o.read(fmt.Appendf(nil, `{"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.g%d.large"}]}}`, i)); err != nil {
			t.Fatal(err)
		}
		if len(o.known) > mostLists {
			t.Fatalf("%d lists are remembered", len(o.known))
		}
	}
}

// Whatever is read in one pass, unmarshal reads the same.
func FuzzDecodeOffered(f *testing.F) {
	for _, body := range responses(f, "DescribeImageSupportInstanceTypes.") {
		f.Add(body)
	}
	f.Add([]byte(`{"NextToken":"","InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.\u0067","X":[1,{"a":null}]},{"InstanceTypeFamily":"\xff"}]}} `))
	f.Add([]byte(`{"ImageId":"m","InstanceTypes":{"InstanceType":[{}]},"Code":"","code":"Success"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := readOffered(body)
		if !ok {
			return
		}
		var want wireOffered
		if err := unmarshal(body, &want); errors.Is(err, jsontext.ErrDuplicateName) {
			return
		} else if err != nil {
			t.Fatalf("read what unmarshal refuses (%v): %s", err, body)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(want, want.Ending.TotalCount)); diff != "" {
			t.Fatalf("%s\n%s", body, diff)
		}
	})
}

func BenchmarkKnownOffered(b *testing.B) {
	body := usualOffer()
	var o offers
	for b.Loop() {
		if _, err := o.read(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOffered(b *testing.B) {
	body := usualOffer()
	for b.Loop() {
		var o offers
		if _, err := o.read(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOfferedTypesDoubtsWhatContradictsItself(t *testing.T) {
	const types = `"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"ecs.g6.large","InstanceTypeFamily":"ecs.g6"}]}`
	for name, tt := range map[string]struct{ body, want string }{
		"another_image":        {`{"ImageId":"m-2","RegionId":"cn-hangzhou",` + types + `}`, `about image "m-2"`},
		"another_region":       {`{"ImageId":"m-1","RegionId":"cn-beijing",` + types + `}`, `about region "cn-beijing"`},
		"an_empty_list":        {`{"ImageId":"m-1","InstanceTypes":{"InstanceType":[]}}`, "no instance type at all"},
		"no_list":              {`{"ImageId":"m-1"}`, "no instance type at all"},
		"a_token":              {`{"ImageId":"m-1",` + types + `,"NextToken":"AAA"}`, "goes on"},
		"a_count_of_more":      {`{"ImageId":"m-1",` + types + `,"TotalCount":700}`, "counts 700"},
		"a_type_of_no_family":  {strings.Replace(`{"ImageId":"m-1",`+types+`}`, `"ecs.g6.large"`, `"ecs.g7.large"`, 1), "not of the families"},
		"something_else":       {strings.Replace(`{"ImageId":"m-1",`+types+`}`, `"ecs.g6.large"`, `"large"`, 1), "is no instance type"},
		"a_family_with_spaces": {strings.ReplaceAll(`{"ImageId":"m-1",`+types+`}`, "ecs.g6", "ecs.g6 ecs.g7"), "is no instance type"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actOffered: offeredBy(tt.body, 200)})
			got, err := newTestClient(t, f, nil).OfferedFamilies(t.Context(), testScope, "m-1")
			if ecs.ClassOf(err) != ecs.Contradicted || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v; want a contradiction that says %q", got, err, tt.want)
			}
			if n := f.count(actOffered); n != 1 {
				t.Errorf("asked %d times; an answer that contradicts itself is not asked for again", n)
			}
		})
	}
}

func TestOfferedTypesNamesTheMissingPermissionAndTheUnknownAction(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		status int
		class  ecs.Class
	}{
		"denied":        {`{"Code":"Forbidden.RAM","Message":"no"}`, 403, ecs.Permission},
		"denied_as_200": {`{"Code":"Forbidden.RAM","Message":"no","InstanceTypes":{"InstanceType":[]}}`, 200, ecs.Permission},
		"unknown":       {`{"Code":"InvalidAction.NotFound","Message":"no"}`, 404, ecs.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actOffered: offeredBy(tt.body, tt.status)})
			_, err := newTestClient(t, f, nil).OfferedFamilies(t.Context(), testScope, "m-1")
			if ecs.ClassOf(err) != tt.class {
				t.Errorf("%v is %s; want %s", err, ecs.ClassOf(err), tt.class)
			}
			if tt.class == ecs.Permission && !strings.Contains(err.Error(), "ecs:DescribeImageSupportInstanceTypes") {
				t.Errorf("%v does not name the permission", err)
			}
		})
	}
}

// Calls that only gather evidence fail on their own account: the listing of
// their region goes on.
func TestFailedEvidenceDoesNotHoldTheListingUp(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{
		actOffered: offeredBy(`{"Code":"InternalError","Message":"no"}`, 500),
		actImages:  garbage(200, "application/json", `{"TotalCount":0,"Images":{"Image":[]}}`),
	})
	c := newTestClient(t, f, func(o *Options) { o.MaxAttempts, o.CircuitAfter, o.CircuitPause = 1, 2, time.Hour })
	for range 5 {
		if _, err := c.OfferedFamilies(t.Context(), testScope, "m-1"); err == nil {
			t.Fatal("no error")
		}
	}
	if n := f.count(actOffered); n != 2 {
		t.Errorf("asked %d times; a region that fails twice in a row is left alone", n)
	}
	if _, _, err := c.countImages(t.Context(), testScope); err != nil {
		t.Errorf("the region itself: %v", err)
	}
}

func TestSystemImagesAreTheOnesAskedFor(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actImages: garbage(200, "application/json", `{"TotalCount":4,"Images":{"Image":[
		{"ImageId":"a","ImageOwnerAlias":"system","Status":"Available","Architecture":"x86_64"},
		{"ImageId":"b","ImageOwnerAlias":"self","Status":"Available","Architecture":"x86_64"},
		{"ImageId":"c","ImageOwnerAlias":"system","Status":"Deprecated","Architecture":"x86_64"},
		{"ImageId":"d","ImageOwnerAlias":"system","Status":"Available","Architecture":"arm64"}]}}`)})
	got, err := newTestClient(t, f, nil).SystemImages(t.Context(), testScope, "x86_64")
	if err != nil || len(got) != 1 || got[0].ID != "a" {
		t.Errorf("%+v, %v; want image a alone", got, err)
	}
}
