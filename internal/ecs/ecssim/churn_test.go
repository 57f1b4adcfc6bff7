package ecssim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// post is a call of the control endpoint.
func post(t testing.TB, s *Server, method, path, in string, out any) int {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+"/_sim/"+path, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s: %v in %s", path, err, b)
		}
	}
	return resp.StatusCode
}

// onKVM finds a running instance on a KVM machine.
func onKVM(t testing.TB, s *Server) string {
	t.Helper()
	sc := s.fleet.scopes[0]
	for i := range sc.n {
		if in := sc.at(i); in.typ.pool == "kvm" && in.status == statusRunning {
			return in.id(sc)
		}
	}
	t.Fatal("no instance on KVM")
	return ""
}

// An image for x86_64 that an Arm machine is said to run cannot run there: it proves nothing.
func TestAnImageOfAnotherArchitectureProvesNothing(t *testing.T) {
	s := start(t, Options{Instances: 20000, Regions: 2})
	sc := s.fleet.scopes[0]
	for i := range sc.n {
		in := sc.at(i)
		if in.typ.pool != "arm8" || in.status != statusRunning {
			continue
		}
		if before := sc.truth(&in); before.Verdicts[3] != "compatible" {
			t.Errorf("an image for Arm: %+v", before.Verdicts)
		}
		if code := post(t, s, "POST", "instances/"+in.id(sc), `{"os":"centos 5.8"}`, nil); code != 200 {
			t.Fatalf("change: %d", code)
		}
		changed := sc.at(i)
		if after := sc.truth(&changed); after.Verdicts[3] != "incompatible" {
			t.Errorf("CentOS 5.8 for x86_64: %+v", after.Verdicts)
		}
		return
	}
	t.Fatal("no running Arm machine of the 8th generation")
}

func TestReplacedImageChangesInstanceImageAndTruth(t *testing.T) {
	s := start(t, Options{Instances: 500, Regions: 1})
	id := onKVM(t, s)
	for _, tt := range []struct{ change, family, version, verdict string }{
		{`{"os":"centos 5.8","image_id":"m-bp1fresh00000000001"}`, "centos", "5.8", "incompatible"},
		{`{"os_name":"CentOS  7.9 64位"}`, "centos", "7.9", "compatible"},
		{`{"os":"sles 11 3"}`, "sles", "11", "compatible"},
	} {
		if code := post(t, s, "POST", "instances/"+id, tt.change, nil); code != 200 {
			t.Fatalf("%s: %d", tt.change, code)
		}
		shown, err := s.Show(id)
		if err != nil || shown.Truth.Family != tt.family || shown.Truth.Version != tt.version || shown.Truth.Verdicts[1] != tt.verdict {
			t.Errorf("%s: %+v, %v", tt.change, shown, err)
		}
		in := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "InstanceIds", `["`+id+`"]`).page(t).Instances.Instance
		if len(in) != 1 || in[0].ImageId != shown.ImageID {
			t.Errorf("%s: listed with %+v, want image %s", tt.change, in, shown.ImageID)
		}
		if r := ask(t, s, "DescribeImages", "RegionId", "cn-hangzhou", "ImageId", shown.ImageID); !strings.Contains(string(r.body), `"TotalCount":1}`) {
			t.Errorf("%s: image %s: %.200s", tt.change, shown.ImageID, r.body)
		}
	}
	for _, tt := range []struct {
		id, change string
		code       int
	}{
		{id, `{"os":"plan9 4"}`, 400},
		{id, `{"image_id":"m-nobody"}`, 400},
		{id, `{"instance_type":"ecs.x.large"}`, 400},
		{id, `{"status":"Lost"}`, 400},
		{id, `{"colour":"red"}`, 400},
		{id, `nonsense`, 400},
		{"i-nobody", `{"gone":true}`, 404},
	} {
		if code := post(t, s, "POST", "instances/"+tt.id, tt.change, nil); code != tt.code {
			t.Errorf("%s: %d, want %d", tt.change, code, tt.code)
		}
	}
}

func TestStatusTypeAndReleaseByHand(t *testing.T) {
	s := start(t, Options{Instances: 500, Regions: 1})
	id := onKVM(t, s)
	if code := post(t, s, "POST", "instances/"+id, `{"status":"Stopped","instance_type":"ecs.g7.large"}`, nil); code != 200 {
		t.Fatal(code)
	}
	p := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "InstanceIds", `["`+id+`"]`).page(t)
	if in := p.Instances.Instance; len(in) != 1 || in[0].Status != "Stopped" || in[0].InstanceTypeFamily != "ecs.g7" {
		t.Errorf("%+v", in)
	}
	if code := post(t, s, "POST", "instances/"+id, `{"gone":true}`, nil); code != 200 {
		t.Fatal(code)
	}
	if got := walk(t, s, "RegionId", "cn-hangzhou"); len(got) != 499 {
		t.Errorf("%d instances left", len(got))
	}
	if code := post(t, s, "GET", "instances/"+id, "", nil); code != 404 {
		t.Errorf("a released instance shows: %d", code)
	}
}

func TestChurn(t *testing.T) {
	s := start(t, Options{Instances: 2000, Regions: 3, Seed: 4})
	before := map[string]string{}
	_ = s.EachTruth(func(tr *Truth) error { before[tr.InstanceID] = tr.Region; return nil })
	var r ChurnReport
	if code := post(t, s, "POST", "churn", `{"born":30,"gone":40,"stopped":10,"started":10,"reimaged":20,"retyped":15}`, &r); code != 200 {
		t.Fatal(code)
	}
	if len(r.Born) != 30 || len(r.Gone) != 40 || len(r.Stopped) != 10 || len(r.Started) != 10 || len(r.Reimaged) != 20 || len(r.Retyped) != 15 {
		t.Errorf("%+v", r)
	}
	listed := map[string]bool{}
	for _, region := range s.Regions() {
		ids := walk(t, s, "RegionId", region)
		for id := range union(t, ids) {
			listed[id] = true
		}
		first := ask(t, s, "DescribeInstances", "RegionId", region, "PageNumber", "1", "PageSize", "10").page(t)
		if first.TotalCount != len(ids) || s.ScopeSize(DemoAccountID, region) != len(ids) {
			t.Errorf("%s: TotalCount %d, %d listed", region, first.TotalCount, len(ids))
		}
	}
	if len(listed) != 1990 {
		t.Errorf("%d listed, want 1990", len(listed))
	}
	for _, id := range r.Born {
		if !listed[id] || before[id] != "" {
			t.Errorf("born %s: listed %v", id, listed[id])
		}
	}
	for _, id := range r.Gone {
		if listed[id] {
			t.Errorf("gone %s is listed", id)
		}
	}
	after := 0
	_ = s.EachTruth(func(tr *Truth) error {
		after++
		if !listed[tr.InstanceID] {
			t.Errorf("truth has %s", tr.InstanceID)
		}
		return nil
	})
	if after != 1990 {
		t.Errorf("%d in the truth", after)
	}
	if code := post(t, s, "POST", "churn", `{"region":"cn-atlantis","born":1}`, nil); code != 400 {
		t.Errorf("unknown region: %d", code)
	}
}

func TestControlEndpoint(t *testing.T) {
	s := start(t, Options{Instances: 300, Regions: 2})
	var sizes []scopeSize
	if post(t, s, "GET", "fleet", "", &sizes); len(sizes) != 2 {
		t.Errorf("fleet %+v", sizes)
	}
	ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou")
	var st Stats
	if post(t, s, "GET", "stats", "", &st); st.Total != 1 || len(st.Calls) != 1 || st.Calls[0].Region != "cn-hangzhou" || st.PeakInFlight != 1 || len(st.Seconds[DemoAccountID]) != 1 {
		t.Errorf("stats %+v", st)
	}
	for _, tt := range []struct {
		method, path, in string
		code             int
	}{
		{"DELETE", "stats", "", 200},
		{"POST", "faults", `{"kind":"html-503","action":"DescribeImages"}`, 200},
		{"POST", "faults", `{"kind":"flood"}`, 400},
		{"GET", "faults", "", 200},
		{"POST", "latency", `"uniform:1ms-2ms"`, 200},
		{"POST", "latency", `"soon"`, 400},
		{"POST", "quota", `{"calls":100,"window":"1s"}`, 200},
		{"POST", "quota", `{"calls":-1}`, 400},
		{"POST", "tokens/expire", "", 200},
		{"POST", "tokens/refuse", `{"every":3}`, 200},
		{"POST", "sessions/expire", "", 200},
		{"GET", "nothing", "", 404},
	} {
		if code := post(t, s, tt.method, tt.path, tt.in, nil); code != tt.code {
			t.Errorf("%s %s %s: %d, want %d", tt.method, tt.path, tt.in, code, tt.code)
		}
	}
	if r := ask(t, s, "DescribeImages", "RegionId", "cn-hangzhou"); r.status != 503 {
		t.Errorf("fault set by hand: %d", r.status)
	}
	resp, err := http.Get(s.URL + "/_sim/truth")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var want bytes.Buffer
	got, _ := io.ReadAll(resp.Body)
	if err := s.WriteTruth(&want); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("truth over HTTP differs (%v)", err)
	}
	closed := start(t, Options{Instances: 10, Regions: 1, NoControl: true})
	if code := post(t, closed, "GET", "stats", "", nil); code != 404 {
		t.Errorf("without control: %d", code)
	}
}
