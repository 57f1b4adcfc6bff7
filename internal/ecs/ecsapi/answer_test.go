package ecsapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/rules"
)

// What is made of the answers of each action, as the calls do it.
var (
	decodeTypes   = decoding((*wireTypes).page)
	decodeStock   = decodingRest(func(w *wireZones, rest present) ([]ecs.ZoneStock, error) { return w.zones("cn-hangzhou", rest) })
	decodeRegions = decodingRest((*wireRegions).regions)
)

func decodeImages(body []byte, region string) (*imageListing, error) {
	return decodingRest(func(w *wireImages, rest present) (*imageListing, error) { return w.listing(region, rest) })(body)
}

func decodeChanges(body []byte) (wireZones, error) {
	return decodingRest((*wireZones).ended)(body)
}

func decodeDisks(body []byte, region string) (*diskAnswer, error) {
	return decoding(func(w *wireDisks) (*diskAnswer, error) { return w.page(region) })(body)
}

func decodeConsole(body []byte, id string) (ecs.Console, error) {
	return decoding(func(w *wireConsole) (ecs.Console, error) { return w.of(id) })(body)
}

func decodeResults(body []byte, invocation string) (resultPage, error) {
	return decoding(func(w *wireResults) (resultPage, error) { return w.page(invocation) })(body)
}

func decodeAgents(body []byte, asked []string) ([]ecs.Agent, error) {
	return decoding(func(w *wireAgents) ([]ecs.Agent, error) { return w.agents(asked) })(body)
}

// unread is for calls whose answer is no matter.
func unread([]byte) (struct{}, error) { return struct{}{}, nil }

// listings returns an answer of each listing from the simulator.
func listings(tb testing.TB) map[string][]byte {
	tb.Helper()
	sim, c := simulate(tb, ecssim.Options{Instances: 4000, Regions: 1, Seed: 3}, nil)
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	out := map[string][]byte{}
	for action, set := range map[string]string{actTypes: "MaxResults=100", actImages: "PageSize=100", actStock: "DestinationResource=InstanceType"} {
		key, value, _ := strings.Cut(set, "=")
		req := ecsRequest(action, "RegionId", s.Region, key, value)
		body, err := ask(tb.Context(), c, s, req, func(body []byte) ([]byte, error) { return bytes.Clone(body), nil })
		if err != nil {
			tb.Fatal(err)
		}
		out[action] = body
	}
	return out
}

// wireAll has every kind of field that an answer may have.
type wireAll struct {
	Text   string
	Whole  int
	Size   int32
	Part   float64
	Yes    rules.Tri
	Maybe  maybe[struct{ Text string }]
	Texts  list[string]
	Within maybe[struct {
		Deeper list[struct {
			ID    string `json:"Id"`
			Lists list[list[int]]
		}]
	}]
}

func TestAnAnswersFieldsMayBeSpeltInManyWays(t *testing.T) {
	type inner = struct{ Text string }
	type deeper = struct {
		ID    string `json:"Id"`
		Lists list[list[int]]
	}
	type within = struct{ Deeper list[deeper] }
	for body, want := range map[string]wireAll{
		`{"Te\u0078t":"escaped \u00e9\n","Whole":"8192.0","Part":1e3,"Yes":"Supported","Maybe":"","Texts":"one"}`: {Text: "escaped é\n", Whole: 8192, Part: 1000, Yes: rules.Yes, Texts: list[string]{"one"}},
		`{"Text":true,"Whole":null,"Size":"4","Part":"0.5","Yes":0,"Maybe":{},"Texts":["a",2,null,""]}`:           {Text: "true", Size: 4, Part: 0.5, Yes: rules.No, Maybe: maybe[inner]{there: true}, Texts: list[string]{"a", "2", "", ""}},
		`{"Within":{"Deeper":{"Id":7,"Lists":[[1,"2"],3,[]]}}} `:                                                  {Within: maybe[within]{there: true, v: within{list[deeper]{{ID: "7", Lists: list[list[int]]{{1, 2}, {3}, {}}}}}}},
		`{"Within":"","Texts":[],"Unknown":{"Text":["deep",{"Whole":[]}]},"Maybe":null,"Yes":"","text":"x"}`:      {Texts: list[string]{}},
		`{"Within":{"Deeper":""},"Code":"200","Message":"whatever","Maybe":{"Text":"a"}}`:                         {Within: maybe[within]{there: true}, Maybe: maybe[inner]{true, inner{"a"}}},
		`{"code":"","message":"success","Text":"` + "\xff" + `"}`:                                                 {Text: "\ufffd"},
	} {
		var got wireAll
		if err := unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(maybe[inner]{}, maybe[within]{})); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

func TestAnAnswerIsRefusedThatCannotBeUnderstood(t *testing.T) {
	for body, want := range map[string]string{
		`{"Within":{"Deeper":[{"Id":{}}]}}`:   "wanted a string",
		`{"Whole":"many"}`:                    "wanted a whole number",
		`{"Whole":1.5}`:                       "wanted a whole number",
		`{"Size":-1}`:                         "not negative",
		`{"Part":"x"}`:                        "wanted a number",
		`{"Yes":"perhaps"}`:                   "wanted a boolean",
		`{"Maybe":[]}`:                        "wanted an object",
		`{"Maybe":3}`:                         "wanted an object",
		`{"Texts":[[]]}`:                      "wanted a string",
		`{"Text":"a"`:                         "unexpected EOF",
		`{"Text":"a",}`:                       "",
		`{"Text":"a"} x`:                      "",
		`{"Text" "a"}`:                        "",
		`{"Text":"a","Text":"b"}`:             "duplicate",
		`[]`:                                  "",
		`3`:                                   "",
		``:                                    "",
		`{"Code":"InternalError","Text":"a"}`: "InternalError",
		`{"code":"Forbidden.RAM","Texts":[]}`: "Forbidden.RAM",
		`{"Message":"you may not look","Texts":[]}`: "you may not look",
		`{"X":` + strings.Repeat("[", 20_000) + "}": "",
	} {
		var v wireAll
		if err := unmarshal([]byte(body), &v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", body, err, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, body := range responses(f, "Describe") {
		if len(body) < 3000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		var all wireAll
		_ = unmarshal(body, &all)
		_, _ = decodeTypes(body)
		_, _ = decodeImages(body, "cn-hangzhou")
		_, _ = decodeStock(body)
		_, _ = decodeRegions(body)
	})
}

// BenchmarkListing compares, in one run, what it costs to read an answer of
// each listing, and to have encoding/json make a map of it.
func BenchmarkListing(b *testing.B) {
	read := map[string]func([]byte) error{
		actTypes:  func(body []byte) error { _, err := decodeTypes(body); return err },
		actImages: func(body []byte) error { _, err := decodeImages(body, "cn-hangzhou"); return err },
		actStock:  func(body []byte) error { _, err := decodeStock(body); return err },
	}
	for action, body := range listings(b) {
		for name, f := range map[string]func([]byte) error{
			"decode": read[action],
			"map":    func(body []byte) error { var v map[string]any; return json.Unmarshal(body, &v) },
		} {
			b.Run(action+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
