package ecsapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/rules"
)

// node is a JSON value as encoding/json reads it.
type node struct {
	text    string // of a string, number or boolean
	null    bool
	list    []node
	members []namedNode
	kind    byte // '"', '[' or '{'
}

type namedNode struct {
	key string
	node
}

// readNode reads one value, by the tokens of encoding/json.
func readNode(d *json.Decoder) (n node, err error) {
	t, err := d.Token()
	if err != nil {
		return n, err
	}
	switch t := t.(type) {
	case string:
		return node{kind: '"', text: t}, nil
	case json.Number:
		return node{kind: '"', text: t.String()}, nil
	case bool:
		return node{kind: '"', text: strconv.FormatBool(t)}, nil
	case nil:
		return node{kind: '"', null: true}, nil
	case json.Delim:
		n.kind = byte(t)
		for d.More() {
			var m namedNode
			if n.kind == '{' {
				key, err := d.Token()
				if err != nil {
					return n, err
				}
				m.key = key.(string)
			}
			if m.node, err = readNode(d); err != nil {
				return n, err
			}
			if n.kind == '{' {
				n.members = append(n.members, m)
			} else {
				n.list = append(n.list, m.node)
			}
		}
		_, err = d.Token()
		return n, err
	}
	return n, errors.New("a token of an unknown kind")
}

// readSlow does what unmarshal does, in the plainest way.
func readSlow(body []byte, v any) error {
	if !json.Valid(body) {
		return errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	n, err := readNode(d)
	if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return n.into(reflect.ValueOf(v).Elem())
}

func (n *node) into(v reflect.Value) error {
	t := v.Type()
	v.SetZero()
	if n.kind == '"' && (n.null || n.text == "") {
		return nil
	}
	isScalar := t == reflect.TypeFor[rules.Tri]() || t.Kind() == reflect.String || t.Kind() == reflect.Int || t.Kind() == reflect.Float64
	if isScalar && n.kind != '"' {
		return errType
	}
	switch {
	case t == reflect.TypeFor[rules.Tri]():
		tri, ok := parseTri(n.text)
		if !ok {
			return errType
		}
		v.Set(reflect.ValueOf(tri))
	case t.Kind() == reflect.String:
		v.SetString(n.text)
	case t.Kind() == reflect.Int:
		i, err := parseInt(n.text)
		if err != nil {
			return errType
		}
		v.SetInt(i)
	case t.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			return errType
		}
		v.SetFloat(f)
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return n.into(v.Elem())
	case t.Kind() == reflect.Slice:
		items := n.list
		if n.kind != '[' {
			items = []node{*n}
		}
		v.Set(reflect.MakeSlice(t, len(items), len(items)))
		for i := range items {
			if err := items[i].into(v.Index(i)); err != nil {
				return err
			}
		}
	default:
		if n.kind != '{' {
			return errType
		}
		for _, m := range n.members {
			for i := range t.NumField() {
				name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
				if name == "" {
					name = t.Field(i).Name
				}
				if lowASCII(m.key) == lowASCII(name) {
					if err := m.into(v.Field(i)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func lowASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, s)
}

// wireAll has every kind of field that an answer may have.
type wireAll struct {
	Text   string
	Whole  int
	Part   float64
	Yes    rules.Tri
	Maybe  *struct{ Text string }
	Texts  []string
	Within struct {
		Deeper []struct {
			ID    string `json:"Id"`
			Lists [][]int
		}
	}
}

func agree[T any](t *testing.T, body []byte) {
	t.Helper()
	var want, got T
	wantErr, err := readSlow(body, &want), unmarshal(body, &got)
	if (wantErr == nil) != (err == nil) {
		t.Fatalf("%v, want %v", err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(want, got) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func agreeOnAll(t *testing.T, body []byte) {
	t.Helper()
	agree[wireAll](t, body)
	agree[wireTypes](t, body)
	agree[wireImages](t, body)
	agree[wireStock](t, body)
}

// listings returns an answer of each listing from the simulator.
func listings(tb testing.TB) map[string][]byte {
	tb.Helper()
	sim, c := simulate(tb, ecssim.Options{Instances: 4000, Regions: 1, Seed: 3}, nil)
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	out := map[string][]byte{}
	for action, set := range map[string]string{actTypes: "MaxResults=100", actImages: "PageSize=100", actStock: "DestinationResource=InstanceType"} {
		req := newRequest(ecsVersion, action)
		req.set("RegionId", s.Region)
		key, value, _ := strings.Cut(set, "=")
		req.set(key, value)
		if err := c.do(tb.Context(), s, req, func(body []byte) error {
			out[action] = bytes.Clone(body)
			return nil
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

func TestAnswersAreReadAsEncodingJSONReadsThem(t *testing.T) {
	for name, body := range responses(t, "Describe") {
		t.Run(name, func(t *testing.T) { agreeOnAll(t, body) })
	}
	for action, body := range listings(t) {
		t.Run(action, func(t *testing.T) { agreeOnAll(t, body) })
	}
	for _, body := range oddAnswers {
		t.Run(body, func(t *testing.T) { agreeOnAll(t, []byte(body)) })
	}
}

var oddAnswers = []string{
	`{"text":"lower","TEXT":"upper","Te\u0078t":"escaped \u00e9\n","Whole":"8192.0","Part":1e3,"Yes":"Supported","Maybe":"","Texts":"one"}`,
	`{"Text":true,"Whole":null,"Part":"0.5","Yes":0,"Maybe":{},"Texts":["a",2,null,""],"Within":{"Deeper":{"Id":7,"Lists":[[1,"2"],3,[]]}}} `,
	`{"Within":"","Texts":[],"Unknown":{"Text":["deep",{"Whole":[]}]},"Maybe":null,"Yes":""}`,
	`{"Within":{"Deeper":[{"Id":"a"},{"Id":"b"}]},"Within":{"Deeper":[]}}`,
	`{"Texts":["a"],"Texts":null,"Maybe":{"Text":"a"},"Maybe":null,"Within":{"Deeper":[{"Id":"a"}]},"Within":{}}`,
	`{"Text":[]}`, `{"Whole":"x"}`, `{"Whole":1.5}`, `{"Part":"x"}`, `{"Yes":"perhaps"}`, `{"Maybe":[]}`, `{"Within":{"Deeper":{"Id":{}}}}`, `{"Maybe":3}`,
	`{"Text":"a",}`, `{"Text":"a"} x`, `{"Text":"a"`, `{"Text" "a"}`, `{"Text":"\x"}`, `{"Unknown":[1,}`, `[]`, `null`, `""`, `3`, ``, `{"Te` + "\xff" + `xt":"` + "\xff\xfe" + `"}`,
	`{"Texts":["a" "b"]}`, `{"Texts":[,]}`, `{1:2}`, `{"Te\qxt":1}`,
	`{"TotalCount":1,"Images":{"Image":[{"ImageId":"a","X":{"ImageId":"b"},"TAGS":{"Tag":[{"TagKey":"k","y":[1,{"z":null}]}]}}]}}`,
	`{"NextToken":3,"InstanceTypes":{"InstanceType":[{"InstanceTypeId":"t","CpuCoreCount":"2","MemorySize":0.5,"SupportedBootModes":{"SupportedBootMode":"UEFI"}}]}}`,
	`{"AvailableZones":{"AvailableZone":[{"ZoneId":"z","AvailableResources":{"AvailableResource":{"SupportedResources":""}}}]},"a":[[[]]]}`,
}

func TestAnAnswerSaysWhatIsWrongWithIt(t *testing.T) {
	for body, want := range map[string]string{
		`{"Within":{"Deeper":[{"Id":{}}]}}`: "Within: Deeper: Id: a value of an unexpected type: wanted a string",
		`{"Whole":"many"}`:                  "Whole: a value of an unexpected type: wanted a whole number",
		`{"Text":"a"`:                       "not JSON: unexpected end of JSON input",
		`{"X":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}": "the answer nests too deeply",
	} {
		var v wireAll
		if err := unmarshal([]byte(body), &v); err == nil || err.Error() != want {
			t.Errorf("%.60s: %v, want %s", body, err, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range oddAnswers {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) < maxDepth {
			agreeOnAll(t, body)
		}
	})
}

// BenchmarkListing compares, in one run, what it costs to read an answer of
// each listing, and to have encoding/json make a map of it.
func BenchmarkListing(b *testing.B) {
	read := map[string]func([]byte) error{
		actTypes:  func(body []byte) error { _, _, err := decodeTypes(body); return err },
		actImages: func(body []byte) error { _, err := decodeImages(body, false); return err },
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
