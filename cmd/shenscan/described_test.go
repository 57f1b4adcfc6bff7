package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// described is a running service with what it says of its own API.
type described struct {
	page string
	doc  *openapi3.T
}

// describe reads the description of a service. Every object of it gets to allow
// only what it names, so that an answer with a member that nothing describes is
// noticed; the description itself leaves room for newer versions.
func describe(t *testing.T, page string) *described {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(body(t, page+"/api/v1/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	no := false
	for _, schema := range doc.Components.Schemas {
		if value := schema.Value; len(value.Properties) > 0 && value.AdditionalProperties.Schema == nil {
			value.AdditionalProperties.Has = &no
		}
	}
	return &described{page, doc}
}

// body is the answer to a GET that is answered.
func body(t *testing.T, address string) []byte {
	t.Helper()
	resp, err := http.Get(address) //nolint:gosec // an address of this test
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v: %.300s", address, resp.StatusCode, err, b)
	}
	return b
}

// call is a request to a resource. The answer must be what the operation of the
// description says of that status.
type call struct {
	of, path   string // as described, as asked
	method     string // as asked
	described  string // the method whose description holds; "" is method
	vars       map[string]string
	send       string // JSON
	status     int
	undescribe bool // the request is none that the description allows
}

func (d *described) check(t *testing.T, c call) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.method, d.page+c.path, strings.NewReader(c.send))
	if err != nil {
		t.Fatal(err)
	}
	if c.send != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	item := d.doc.Paths.Value(c.of)
	if item == nil {
		t.Fatalf("%s is not described", c.of)
	}
	if c.described == "" {
		c.described = c.method
	}
	operation := item.GetOperation(c.described)
	if operation == nil {
		t.Fatalf("%s %s is not described", c.described, c.of)
	}
	in := &openapi3filter.RequestValidationInput{
		Request: req, PathParams: c.vars, QueryParams: req.URL.Query(),
		Route: &routers.Route{Spec: d.doc, Path: c.of, PathItem: item, Method: c.described, Operation: operation},
	}
	err = openapi3filter.ValidateRequest(t.Context(), in)
	if !c.undescribe && err != nil {
		t.Errorf("%s %s is not what the description allows: %.500v", c.method, c.path, err)
	}
	req.Body = io.NopCloser(strings.NewReader(c.send)) // the validator has read it
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != c.status {
		t.Errorf("%s %s: %d, want %d: %.300s", c.method, c.path, resp.StatusCode, c.status, answer)
		return
	}
	if c.status >= 400 && resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %d as %s", c.method, c.path, c.status, resp.Header.Get("Content-Type"))
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	out.SetBodyBytes(answer)
	if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
		t.Errorf("%s %s: the answer is not as described: %.2000v", c.method, c.path, err)
	}
}

// Every resource of a running service answers as its description says: what is
// asked well, with every parameter, and what is asked wrongly.
func TestTheServiceAnswersAsDescribed(t *testing.T) {
	t.Parallel()
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	for _, binary := range []string{"text/csv", "application/octet-stream"} { // described as bytes
		openapi3filter.RegisterBodyDecoder(binary, openapi3filter.FileBodyDecoder)
	}
	sim := simulator(t, ecssim.Options{Instances: 300, Regions: 3, Seed: 12})
	store := t.TempDir()
	for range 2 { // so that something changed
		if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "csv"); r.code != 0 {
			t.Fatalf("exit %d", r.code)
		}
	}
	page := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	start(t, env(), shenscan, "serve", "--endpoint", sim.URL, "--store", store, "--listen", strings.TrimPrefix(page, "http://"))
	eventually(t, "serve is ready", func() bool { return status(page+"/readyz") == http.StatusOK })
	d := describe(t, page)

	var list struct{ Instances []record.Record }
	up := slices.IndexFunc(rules.Classes(), func(class string) bool { // where guests were heard of
		if err := json.Unmarshal(body(t, page+"/api/v1/instances?limit=1&up="+class), &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Instances) > 0
	})
	if up < 0 {
		t.Fatal("no guest was heard of")
	}
	var scans struct{ Scans []record.Scan }
	if err := json.Unmarshal(body(t, page+"/api/v1/scans?limit=1"), &scans); err != nil {
		t.Fatal(err)
	}
	one := list.Instances[0]
	ids := map[string]string{
		"/api/v1/instances/{id}": one.InstanceID, "/api/v1/explain/{id}": one.InstanceID, "/api/v1/scans/{id}": scans.Scans[0].ID, "/api/v1/schema/{name}": "record.v1.json",
	}
	// A value of every parameter that lets something through.
	values := map[string]string{
		"account": one.Account, "region": one.Region, "family": one.InstanceFamily, "image": one.ImageID, "status": one.Status, "os": one.OS.Family,
		"verdict": one.Verdicts[0].Level.String(), "confidence": one.Verdicts[0].Confidence.String(), "waived": "no", "exclude": "i-nobody", "target": one.Verdicts[0].Target,
		"os_family": one.OS.Family, "os_version": one.OS.Version, "legacy": strconv.FormatBool(one.Legacy), "q": one.InstanceID, "gone": "false", "sort": "name", "order": "desc", "limit": "5",
		"since": "7d", "scan": scans.Scans[0].ID, "kind": "new", "owner_tag": "team", "keep_os": "true", "excel": "true", "up": rules.Classes()[up],
	}
	for key, value := range one.Tags {
		values["tag"] = key + "=" + value
	}
	needed := map[string]bool{"since": true}
	instead := map[string]string{"scan": "since"} // a parameter that takes the place of another
	bodies := map[string]string{"/api/v1/rescan": fmt.Sprintf(`{"account":%q,"region":%q,"instance_ids":[%q],"reason":"a test"}`, one.Account, one.Region, one.InstanceID)}
	for path, item := range d.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			t.Run(method+path, func(t *testing.T) {
				at, vars, nobody := path, map[string]string{}, ""
				for _, p := range operation.Parameters {
					if p.Value.In == "path" {
						vars[p.Value.Name] = ids[path]
						at, nobody = strings.ReplaceAll(path, "{"+p.Value.Name+"}", ids[path]), strings.ReplaceAll(path, "{"+p.Value.Name+"}", "i-nobody")
					}
				}
				with := func(query url.Values) string {
					if len(query) == 0 {
						return at
					}
					return at + "?" + query.Encode()
				}
				status := http.StatusOK
				if operation.Responses.Status(http.StatusAccepted) != nil {
					status = http.StatusAccepted
				}
				good := call{of: path, method: method, vars: vars, send: bodies[path], status: status}
				least, whole := url.Values{}, url.Values{}
				queries := []url.Values{least, whole}
				for _, p := range operation.Parameters {
					name := p.Value.Name
					if p.Value.In != "query" || name == "cursor" {
						continue
					}
					value := values[name]
					if value == "" {
						t.Fatalf("no value of parameter %s", name)
					}
					if other := instead[name]; other != "" {
						queries = append(queries, url.Values{name: {value}})
						continue
					}
					whole.Set(name, value)
					if needed[name] && (p.Value.Required || path == "/api/v1/changes") { // one of two, there
						least.Set(name, value)
					}
				}
				for _, query := range queries {
					c := good
					c.path = with(query)
					d.check(t, c)
				}
				wrong := good
				wrong.undescribe = true
				if method == http.MethodGet {
					unknown := url.Values{"nonsense": {"1"}}
					for name := range least {
						unknown.Set(name, least.Get(name))
					}
					wrong.path, wrong.status = with(unknown), http.StatusBadRequest
					d.check(t, wrong)
				}
				wrong.path, wrong.status, wrong.method, wrong.described = at, http.StatusMethodNotAllowed, http.MethodDelete, method
				d.check(t, wrong)
				if nobody != "" {
					wrong.path, wrong.status, wrong.method = nobody, http.StatusNotFound, method
					d.check(t, wrong)
				}
			})
		}
	}
	for path, method := range map[string]string{
		"/api/v1/summary?region=cn-hangzou": http.MethodGet, "/api/v1/summary?verdict=incompatable": http.MethodGet, "/api/v1/instances?limit=0": http.MethodGet, "/api/v1/instances?cursor=x": http.MethodGet,
		"/api/v1/instances.csv?target=shenlong-5": http.MethodGet, "/api/v1/changes": http.MethodGet, "/api/v1/changes?since=nonsense": http.MethodGet, "/api/v1/plan?target=shenlong-5": http.MethodGet,
		"/api/v1/plan?os=centso": http.MethodGet, "/api/v1/progress?target=nowhere": http.MethodGet, "/api/v1/trend?limit=x": http.MethodGet, "/api/v1/remedies?region=cn-hangzou": http.MethodGet, "/api/v1/rescan": http.MethodPost,
	} {
		of, _, _ := strings.Cut(path, "?")
		send := ""
		if method == http.MethodPost {
			send = `{"instance_ids":[]}`
		}
		d.check(t, call{of: of, path: path, method: method, send: send, status: http.StatusBadRequest, undescribe: true})
	}
	t.Run("totals", func(t *testing.T) { totalsAddUp(t, page, store, &one, values["tag"]) })
}

// totalsAddUp asks for totals and rows by every word of the filter: they add up,
// and are those of the report.
func totalsAddUp(t *testing.T, page, store string, one *record.Record, tag string) {
	for _, query := range []string{
		"", "region=" + one.Region, "account=" + one.Account + "&os=" + one.OS.Family, "tag=" + url.QueryEscape(tag), "family=" + one.InstanceFamily, "image=" + one.ImageID,
		"status=Stopped", "verdict=shenlong-8=incompatible", "verdict=unknown,incompatible&confidence=high", "verdict=kvm=incompatible", "confidence=low", "waived=no&exclude=os=centos:5",
		"waived=yes", "exclude=" + one.InstanceID, "exclude=region=" + one.Region + "&verdict=shenlong-7=compatible",
	} {
		var sum record.Summary
		if err := json.Unmarshal(body(t, page+"/api/v1/summary?"+query), &sum); err != nil {
			t.Fatal(err)
		}
		var rows struct {
			Instances []*record.Record
			Total     int
		}
		if err := json.Unmarshal(body(t, page+"/api/v1/instances?limit=500&"+query), &rows); err != nil {
			t.Fatal(err)
		}
		if rows.Total != sum.Instances || len(rows.Instances) != sum.Instances {
			t.Errorf("%q: %d rows, %d listed as the total, %d in the totals", query, len(rows.Instances), rows.Total, sum.Instances)
		}
		if diff := cmp.Diff(counted(sum.Targets, rows.Instances), sum.Verdicts); diff != "" {
			t.Errorf("%q: rows and totals: %s", query, diff)
		}
		legacy := 0
		for _, r := range rows.Instances {
			if r.Legacy {
				legacy++
			}
		}
		if legacy != sum.Legacy {
			t.Errorf("%q: %d legacy rows, %d in the totals", query, legacy, sum.Legacy)
		}
		if !strings.Contains(query, "&") {
			continue
		}
		args := []string{"report", "--store", store, "--output", "json"}
		asked, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		for word := range asked {
			args = append(args, "--"+word, asked.Get(word))
		}
		var reported struct{ Summary json.RawMessage }
		if err := json.Unmarshal([]byte(run(t, env(), args...).stdout), &reported); err != nil {
			t.Fatal(err)
		}
		var theirs record.Summary
		if err := json.Unmarshal(reported.Summary, &theirs); err != nil {
			t.Fatal(err)
		}
		theirs.AsOf, theirs.CaughtUp = sum.AsOf, sum.CaughtUp // the rescan that was asked for above may end in between
		if diff := cmp.Diff(theirs, sum); diff != "" {
			t.Errorf("%q: totals of the report (-) and of the API (+): %s", query, diff)
		}
	}
	var none record.Summary
	if err := json.Unmarshal(body(t, page+"/api/v1/summary?status=Stopped&exclude=status=Stopped"), &none); err != nil {
		t.Fatal(err)
	}
	if none.Instances != 0 || len(none.Scopes) != 3 {
		t.Errorf("under a filter that lets none through there are %d instances; its scopes are %v", none.Instances, none.Scopes)
	}
}
