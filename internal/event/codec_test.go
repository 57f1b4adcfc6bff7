package event_test

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

var update = flag.Bool("update", false, "write the golden files")

// fill sets every field below v to a value that differs from field to field.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("s" + strings.Repeat("x", *n%7) + string(rune('a'+*n%26)))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n * 3))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint64:
		v.SetUint(uint64(*n * 3))
	case reflect.Uint8:
		v.SetUint(uint64(1 + *n%2))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(1_700_000_000+*n), 0).UTC()))
			return
		}
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	}
}

func full[T any](t *testing.T) *T {
	t.Helper()
	m := new(T)
	n := 0
	fill(reflect.ValueOf(m).Elem(), &n)
	return m
}

// classified is what testdata holds: its facts were filled as wholes.
func classified(t *testing.T) *event.InstancesClassified {
	whole := full[struct {
		event.Walk
		Page     int
		Order    int64
		Ruleset  string
		Targets  []string
		Facts    []rules.Facts
		Classes  []outcome.Class
		Rows     []event.Row
		Failures []record.Failure
	}](t)
	m := &event.InstancesClassified{
		Walk: whole.Walk, Page: whole.Page, Order: whole.Order, Ruleset: whole.Ruleset, Targets: whole.Targets, Classes: whole.Classes,
		Failures: whole.Failures,
	}
	for i := range whole.Facts {
		m.Software = append(m.Software, whole.Facts[i].Software())
		m.Hardware = append(m.Hardware, whole.Facts[i].Hardware())
		m.Profiles = append(m.Profiles, event.Profile{Software: i, Hardware: i, Class: 1 - i})
	}
	whole.Rows[0].Profile, whole.Rows[1].Profile = 1, 0
	m.Rows = event.RowsOf(whole.Rows)
	return m
}

// listed is what testdata holds.
func listed(t *testing.T) (*event.InstancesListed, []ecs.Instance) {
	whole := full[struct {
		event.Walk
		Page      int
		Epoch     int64
		Observed  int64
		Instances []ecs.Instance
	}](t)
	for i := range whole.Instances { // what is no time is not kept
		whole.Instances[i].StartTime = fmt.Sprintf("2026-11-0%dT04:04Z", i+1)
	}
	m := &event.InstancesListed{Walk: whole.Walk, Page: whole.Page, Epoch: whole.Epoch, Observed: whole.Observed}
	m.SetInstances(whole.Instances)
	return m, whole.Instances
}

// messages has one of every type with every field set, so that a field which
// the encoding forgets is seen.
func messages(t *testing.T) map[string]event.Message {
	page, _ := listed(t)
	return map[string]event.Message{
		"scan_requested":       full[event.ScanRequested](t),
		"scope_job":            full[event.ScopeJob](t),
		"lane_job":             full[event.LaneJob](t),
		"instances_listed":     page,
		"instances_classified": classified(t),
		"scan_planned":         full[event.ScanPlanned](t),
		"scope_planned":        full[event.ScopePlanned](t),
		"lane_ended":           full[event.LaneEnded](t),
		"scope_check":          full[event.ScopeCheck](t),
		"scope_checked":        full[event.ScopeChecked](t),
		"scope_failed":         full[event.ScopeFailed](t),
		"page_failed":          full[event.PageFailed](t),
		"evidence_read":        full[event.EvidenceRead](t),
		"scan_aborted":         full[event.ScanAborted](t),
	}
}

// Each system on each type is a profile, however many instances are of it and in whatever
// order they come.
func TestEachPairOfSystemAndTypeIsOneProfile(t *testing.T) {
	var instances []ecs.Instance
	for i := range 60 {
		instances = append(instances, ecs.Instance{ID: fmt.Sprintf("i-%d", i), ImageID: fmt.Sprintf("m-%d", i%3), Type: fmt.Sprintf("ecs.g%d.large", i%4+i%5)})
	}
	var page event.InstancesListed
	page.SetInstances(instances)
	pairs := map[[2]string]int{}
	for _, x := range instances {
		pairs[[2]string{x.ImageID, x.Type}]++
	}
	if len(page.Profiles) != len(pairs) || len(pairs) == len(instances) {
		t.Errorf("%d profiles of %d pairs", len(page.Profiles), len(pairs))
	}
	if diff := cmp.Diff(instances, page.Instances()); diff != "" {
		t.Errorf("(-instances +of the page)\n%s", diff)
	}
}

func TestInstancesAreTakenApartAndPutTogether(t *testing.T) {
	m, want := listed(t)
	b, err := event.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := event.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.(*event.InstancesListed).Instances()); diff != "" {
		t.Errorf("instances changed (-listed +received):\n%s", diff)
	}
}

// A message that has a route and is not among those that the tests here send could
// be published and then refused by everybody who receives it.
func TestEveryMessageIsSentHere(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "route.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var routed, sent []string
	for _, decl := range file.Decls {
		if method, ok := decl.(*ast.FuncDecl); ok && method.Name.Name == "route" {
			routed = append(routed, types.ExprString(method.Recv.List[0].Type))
		}
	}
	for _, m := range messages(t) {
		sent = append(sent, strings.Replace(fmt.Sprintf("%T", m), "event.", "", 1))
	}
	slices.Sort(routed)
	slices.Sort(sent)
	if diff := cmp.Diff(routed, sent); diff != "" {
		t.Errorf("messages with a route (-) and those that are sent in tests (+):\n%s", diff)
	}
}

func TestEveryFieldSurvivesTheWire(t *testing.T) {
	for name, m := range messages(t) {
		t.Run(name, func(t *testing.T) {
			b, err := event.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := event.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("message changed on the wire (-sent +received):\n%s", diff)
			}
		})
	}
}

// What a store keeps of an item has every field and the dates beside it, and
// nothing that is cut short or too long is read.
func TestEveryFieldOfEvidenceIsKept(t *testing.T) {
	want := full[event.EvidenceItem](t)
	seen := time.Date(2026, 11, 1, 3, 0, 0, 5, time.UTC)
	b := event.AppendEvidence(nil, want, seen, time.Time{})
	var gotSeen, gotTried time.Time
	got, err := event.DecodeEvidence(b, &gotSeen, &gotTried)
	if err != nil || !gotSeen.Equal(seen) || !gotTried.IsZero() {
		t.Fatalf("%v, %v, %v", gotSeen, gotTried, err)
	}
	if diff := cmp.Diff(*want, got); diff != "" {
		t.Errorf("item changed (-kept +read):\n%s", diff)
	}
	for n := range b {
		if _, err := event.DecodeEvidence(b[:n], &gotSeen, &gotTried); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("cut after %d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := event.DecodeEvidence(append(b, 0), &gotSeen, &gotTried); !errors.Is(err, event.ErrMalformed) {
		t.Errorf("a byte too many: %v", err)
	}
}

// TestGoldenMessages reads what was written before: a stream may still hold it.
// From the first release on, a change of the encoding adds goldens beside those
// that are there; until then -update writes them anew.
func TestGoldenMessages(t *testing.T) {
	for name, m := range messages(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".hex")
			if *update {
				b, err := event.Encode(m)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(hex.EncodeToString(b)+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b, err := hex.DecodeString(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := event.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Errorf("a message that was written before is read differently (-then +now):\n%s", diff)
			}
		})
	}
}

// More different words than have a number are written and read all the same,
// and none of a message is left for the next.
func TestMoreWordsThanHaveANumber(t *testing.T) {
	for _, n := range []int{1, 500, 2000} {
		m, instances := listed(t)
		instances[0].Tags = nil
		for i := range n {
			instances[0].Tags = append(instances[0].Tags, ecs.Tag{Key: fmt.Sprint("key-", i), Value: fmt.Sprint("value-", i)})
		}
		instances[1].Tags = slices.Clone(instances[0].Tags)
		m.SetInstances(instances)
		b, err := event.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(instances, got.(*event.InstancesListed).Instances()); diff != "" {
			t.Errorf("%d words (-sent +received):\n%s", n, diff)
		}
	}
}

func TestFactsEncodingCoversEveryField(t *testing.T) {
	f := full[rules.Facts](t)
	got, err := event.DecodeFacts(event.AppendFacts(nil, f))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*f, got); diff != "" {
		t.Errorf("facts changed (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := event.Encode(classified(t))
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), good...)
	newer[1] = 9
	older := append([]byte(nil), good...)
	older[1]--
	for name, tc := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":                  {nil, event.ErrMalformed},
		"not json":                 {[]byte("hello"), event.ErrMalformed},
		"unknown type":             {[]byte(`{"type":"x","v":1,"data":{}}`), event.ErrMalformed},
		"no version":               {[]byte(`{"type":"lane.job","data":{}}`), event.ErrMalformed},
		"newer control message":    {[]byte(`{"type":"lane.job","v":2,"data":{}}`), event.ErrNewer},
		"newer flat message":       {newer, event.ErrNewer},
		"older flat message":       {older, event.ErrMalformed},
		"cut short":                {good[:len(good)/2], event.ErrMalformed},
		"bytes after the end":      {append(append([]byte(nil), good...), 0), event.ErrMalformed},
		"too large":                {make([]byte, event.MaxPayload+1), event.ErrMalformed},
		"word not spelt out":       {append([]byte{'L', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0), event.ErrMalformed},
		"row of no profile":        {[]byte{'L', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, event.ErrMalformed},
		"word of no row":           {[]byte{'L', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 'i', 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0}, event.ErrMalformed},
		"count beyond the message": {append([]byte{'L', 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0xff, 0xff, 0xff, 0xff, 0x7f), event.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := event.Decode(tc.b); !errors.Is(err, tc.want) {
				t.Errorf("Decode = %v, %v; want %v", m, err, tc.want)
			}
		})
	}
}

func TestControlMessagesTolerateNewOptionalFields(t *testing.T) {
	m, err := event.Decode([]byte(`{"type":"scan.aborted","v":1,"data":{"scan_id":"s-1","reason":"r","later":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&event.ScanAborted{ScanID: "s-1", Reason: "r"}, m); diff != "" {
		t.Error(diff)
	}
}

func TestRouteIsDeterministicAndDistinct(t *testing.T) {
	seen := map[string]string{}
	for name, m := range messages(t) {
		subject, id := event.Route(m)
		again, idAgain := event.Route(m)
		if subject != again || id != idAgain || subject == "" || id == "" {
			t.Errorf("%s: Route = %q %q, then %q %q", name, subject, id, again, idAgain)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s share the id %q", name, other, id)
		}
		seen[id] = name
	}
}

func TestTokenKeepsStringsApart(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"", "_", "a", "a.b", "a*b", "a>b", "a b", "=2E", "a=2Eb", "中文", "cn-hangzhou", "1234567890123456"} {
		token := event.Token(s)
		if strings.ContainsAny(token, ".*> \t") || token == "" {
			t.Errorf("Token(%q) = %q is not one subject token", s, token)
		}
		if other, ok := seen[token]; ok {
			t.Errorf("%q and %q share the token %q", s, other, token)
		}
		seen[token] = s
	}
}

func TestErrorsDecideFates(t *testing.T) {
	cause := errors.New("cause")
	if err := event.Terminal(cause); !event.IsTerminal(err) || !errors.Is(err, cause) {
		t.Errorf("Terminal: %v", err)
	}
	if event.IsTerminal(cause) {
		t.Error("a plain error is terminal")
	}
	if d, ok := event.RetryDelay(event.RetryAfter(cause, time.Second)); !ok || d != time.Second {
		t.Errorf("RetryDelay = %v %v", d, ok)
	}
}

func FuzzDecode(f *testing.F) {
	for _, path := range golden(f) {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		b, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := event.Decode(b)
		if err != nil {
			if !errors.Is(err, event.ErrMalformed) && !errors.Is(err, event.ErrNewer) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		again, err := event.Encode(m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		twice, err := event.Decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(m, twice, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0)); diff != "" {
			t.Fatalf("message changed (-was +is):\n%s", diff)
		}
	})
}

func golden(f *testing.F) []string {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.hex"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no golden messages", err)
	}
	return paths
}

func BenchmarkEncodePage(b *testing.B) {
	m := &event.InstancesClassified{Targets: []string{"kvm", "shenlong-6", "shenlong-7"}}
	for range 40 {
		m.Software = append(m.Software, &rules.Facts{OSName: "CentOS  7.6 64位", OSNameEn: "CentOS  7.6 64 bit", ImageID: "centos_7_06_64_20G_alibase_20190218.vhd"})
		m.Hardware = append(m.Hardware, rules.Hardware{InstanceType: "ecs.g6.large"})
		m.Profiles = append(m.Profiles, event.Profile{Software: len(m.Profiles), Hardware: len(m.Profiles), Class: len(m.Profiles)})
		m.Classes = append(m.Classes, outcome.Class{Levels: "\x01\x01\x01", Standings: "\x09\x09\x09", Family: "centos", Version: "7.6"})
	}
	var rows []event.Row
	for i := range 100 {
		rows = append(rows, event.Row{ID: "i-bp67acfmxazb4p0001", Name: "web-01", Zone: "cn-hangzhou-b", Status: "Running", CreationTime: "2017-12-10T04:04Z", Tags: []ecs.Tag{{Key: "env", Value: "prod"}}, Profile: i % 40})
	}
	m.Rows, m.Failures = event.RowsOf(rows), []record.Failure{}
	b.ReportAllocs()
	for b.Loop() {
		payload, err := event.Encode(m)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := event.Decode(payload); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(payload)))
	}
}
