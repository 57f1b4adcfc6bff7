package httpapi_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// whole answers from a made-up fleet.
type whole struct{ fleet *reporttest.Fleet }

func (w whole) Report(_ context.Context, f filter.Filter, _ []string, span report.ChangeQuery) (*report.Report, func(), error) {
	if err := f.Check(&filter.Known{Accounts: []string{"1"}, Regions: []string{"cn-hangzhou"}}); err != nil {
		return nil, nil, err
	}
	r := &report.Report{Scan: w.fleet.Scan, Summary: w.fleet.Summary, Instances: w.fleet.All()}
	changes := func(yield func(*report.Change, error) bool) {
		yield(&report.Change{Account: "1", Region: "cn-hangzhou", InstanceID: "i-1", Change: record.Change{
			At: reporttest.Now(), Cause: "observation", Before: map[string]string{"kvm": "compatible"}, After: map[string]string{"kvm": "unknown"},
		}}, nil)
	}
	var err error
	r.Since, err = report.NewSince(report.Since{Of: span.Scan, At: reporttest.Now().Add(-time.Hour), Kind: span.Kind, Asked: span != report.ChangeQuery{}}, changes)
	return r, func() {}, err
}

func (w whole) Remedies(context.Context) (func(*report.Bucket) string, error) {
	r := &report.Report{Summary: w.fleet.Summary, Instances: w.fleet.All()}
	return r.FirstRemedies()
}

func (whole) Probe() record.ProbeState {
	at := reporttest.Now()
	return record.ProbeState{State: record.ProbeIdle, ScanID: "s", StartedAt: &at, EndedAt: &at, Planned: 3, Asked: 2, Answered: 1, Silent: 2, Evidence: []record.Evidence{}, Errors: []string{"RunCommand: throttled"}}
}

func (w whole) StartGroups(context.Context) (*record.StartGroups, error) {
	return w.fleet.Started(), nil
}

func (w whole) Plan(_ context.Context, _ filter.Filter, o httpapi.PlanRequest) (*plan.Plan, error) {
	rs, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	t, err := rs.ParseTarget(o.Target)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", httpapi.ErrQuestion, err)
	}
	var owners []string
	if o.OwnerTag != "" {
		owners = append(owners, o.OwnerTag)
	}
	return plan.Build(w.fleet.All(), plan.Options{Target: t, OwnerTags: owners, Families: rs.Families(), Rules: rs, Now: reporttest.Now(), Summary: &w.fleet.Summary})
}

func (w whole) Progress(_ context.Context, target, _ string) (*plan.Progress, error) {
	return plan.NewProgress(points{}, target, plan.Beginning{}, reporttest.Now())
}

// points are two moments of a fleet of ten.
type points struct{}

func (points) Points(int) ([]record.ProgressPoint, error) {
	at := reporttest.Now()
	return []record.ProgressPoint{point(1, at.Add(-plan.Week), 5, record.Moves{}), point(2, at, 3, record.Moves{Closed: 2})}, nil
}

func (p points) Progress(number uint64) (*record.Progress, error) {
	all, _ := p.Points(2)
	out := &record.Progress{ProgressPoint: all[number-1]}
	whole := record.Shares{Names: 1, Largest: []record.Share{{Name: "1", Instances: 10, Targets: out.On}}}
	out.Accounts, out.Regions = whole, whole
	return out, nil
}

func point(number uint64, at time.Time, open int, m record.Moves) record.ProgressPoint {
	return record.ProgressPoint{
		Number: number, At: at, Kind: record.PointScan, ScanID: "s", State: record.ScanComplete, Targets: []string{"shenlong-6"}, Instances: 10, OwnerTags: []string{}, Carried: []record.CarriedScope{},
		On: map[string]record.Standing{"shenlong-6": {Open: open, Verdicts: map[string]int{"compatible": 10 - open, "incompatible": open}, Waves: map[string]int{"ready": 10 - open, "replace-os": open}}}, Moves: map[string]record.Moves{"shenlong-6": m},
	}
}

func (w whole) Explain(_ context.Context, _, _, id string, _ []string) (*record.Explained, error) {
	if id != w.fleet.Records[0].InstanceID {
		return nil, httpapi.ErrNotFound
	}
	rs, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	return &record.Explained{Explanation: *rs.Explain(&rules.Facts{OSName: "CentOS 5.8"}, rules.DefaultTargets()), GuestEvidence: []record.GuestEvidence{}, Siblings: []record.Siblings{}}, nil
}

func apiWorld(t *testing.T) *world {
	t.Helper()
	var w *world
	w = newWorld(t, 60, func(o *httpapi.Options) {
		o.Answers = &later{&w}
		o.Snapshot = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("store")) })
	})
	return w
}

// later answers from a world that is made after it.
type later struct{ w **world }

func (l *later) Report(ctx context.Context, f filter.Filter, targets []string, span report.ChangeQuery) (*report.Report, func(), error) {
	return whole{(*l.w).fleet}.Report(ctx, f, targets, span)
}

func (l *later) Remedies(ctx context.Context) (func(*report.Bucket) string, error) {
	return whole{(*l.w).fleet}.Remedies(ctx)
}

func (l *later) Probe() record.ProbeState { return whole{(*l.w).fleet}.Probe() }

func (l *later) StartGroups(ctx context.Context) (*record.StartGroups, error) {
	return whole{(*l.w).fleet}.StartGroups(ctx)
}

func (l *later) Plan(ctx context.Context, f filter.Filter, o httpapi.PlanRequest) (*plan.Plan, error) {
	return whole{(*l.w).fleet}.Plan(ctx, f, o)
}

func (l *later) Progress(ctx context.Context, target, since string) (*plan.Progress, error) {
	return whole{(*l.w).fleet}.Progress(ctx, target, since)
}

func (l *later) Explain(ctx context.Context, account, region, id string, targets []string) (*record.Explained, error) {
	return whole{(*l.w).fleet}.Explain(ctx, account, region, id, targets)
}

// The description of the API is a valid OpenAPI document, names every resource,
// and every answer is what it says.
func TestOpenAPI(t *testing.T) {
	w := apiWorld(t)
	rec := w.get("/api/v1/openapi.json")
	doc, err := openapi3.NewLoader().LoadFromData(rec.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: "http://shenscan.example"}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	first := w.fleet.Records[0].InstanceID
	examples := map[string]string{
		"/api/v1/instances": "/api/v1/instances?limit=20&sort=verdict&target=kvm", "/api/v1/instances/{id}": "/api/v1/instances/" + first,
		"/api/v1/scans/{id}": "/api/v1/scans/" + w.fleet.Scan.ID, "/api/v1/explain/{id}": "/api/v1/explain/" + first, "/api/v1/changes": "/api/v1/changes?since=7d",
		"/api/v1/plan": "/api/v1/plan?target=shenlong-7&keep_os=true", "/api/v1/schema/{name}": "/api/v1/schema/record.v1.json",
	}
	for path, item := range doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		t.Run(path, func(t *testing.T) {
			address := examples[path]
			if address == "" {
				address = path
			}
			req := httptest.NewRequest(http.MethodGet, "http://shenscan.example"+address, nil)
			at, vars, err := router.FindRoute(req)
			if err != nil {
				t.Fatal(err)
			}
			in := &openapi3filter.RequestValidationInput{Request: req, PathParams: vars, Route: at}
			if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			answer := w.get(address)
			if answer.Code != http.StatusOK {
				t.Fatalf("%d: %.300s", answer.Code, answer.Body)
			}
			if !strings.HasPrefix(answer.Header().Get("Content-Type"), "application/json") {
				return
			}
			out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: answer.Code, Header: answer.Header()}
			out.SetBodyBytes(answer.Body.Bytes())
			if err := openapi3filter.ValidateResponse(t.Context(), out); err != nil {
				t.Errorf("%.2000v", err)
			}
		})
	}
	for _, path := range []string{"/api/v1/plan", "/api/v1/progress", "/api/v1/changes", "/api/v1/instances.csv", "/api/v1/trend", "/api/v1/snapshot", "/api/v1/explain/{id}", "/api/v1/openapi.json", "/api/v1/rescan"} {
		if doc.Paths.Value(path) == nil {
			t.Errorf("%s is not described", path)
		}
	}
}

func TestParametersThatNothingReads(t *testing.T) {
	w := apiWorld(t)
	for path, want := range map[string]string{
		"/api/v1/instances?verdcit=unknown":    `did you mean \"verdict\"`,
		"/api/v1/trend?region=cn-hangzhou":     "region is not known here",
		"/api/v1/summary?region=cn-hangzou":    `did you mean \"cn-hangzhou\"`,
		"/api/v1/summary?verdict=bad":          "is not one of",
		"/api/v1/trend?limt=3":                 `did you mean \"limit\"`,
		"/api/v1/trend?limit=0":                "limit",
		"/api/v1/scans?limit=2&limit=3":        "twice",
		"/api/v1/changes":                      "since",
		"/api/v1/changes?since=7d&verdict=x":   "verdict is not known here",
		"/api/v1/plan?keep_os=perhaps":         "keep_os",
		"/api/v1/instances?region=cn-hangzou":  `did you mean \"cn-hangzhou\"`,
		"/api/v1/instances?account=nobody":     "is no account",
		"/api/v1/instances?confidence=hihg":    `did you mean \"high\"`,
		"/api/v1/instances?exclude=regoin=x":   `did you mean \"region\"`,
		"/api/v1/instances.csv?region=nowhere": "is no region",
		"/api/v1/explain/i-1?x=1":              "x is not known here",
		"/api/v1/instances?a;b=c":              "cannot be read",
	} {
		rec := w.get(path)
		if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	for path, want := range map[string]string{"/instances?verdcit=unknown": "verdict", "/instances?region=cn-hangzou": "cn-hangzhou", "/scans?x=1": "is not known here"} {
		if rec := w.get(path); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}

func TestOtherMethods(t *testing.T) {
	w := apiWorld(t)
	for path, method := range map[string]string{
		"/api/v1/summary": http.MethodPost, "/api/v1/instances/i-1": http.MethodDelete, "/api/v1/rescan": http.MethodGet, "/api/v1/snapshot": http.MethodPut, "/instances": http.MethodPost,
	} {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") == "" {
			t.Errorf("%s %s: %d, Allow %q", method, path, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

// The words of the filter mean in a listing what they mean to commands.
func TestListingByTheOneFilter(t *testing.T) {
	w := newWorld(t, 400, nil)
	for _, query := range []string{
		"os=centos:5", "os=debian,ubuntu", "verdict=shenlong-7=incompatible", "verdict=unknown,incompatible", "confidence=high", "exclude=os=centos",
		"region=cn-hangzhou&region=cn-beijing", "family=" + w.fleet.Records[0].InstanceFamily, "verdict=compatible&confidence=high&exclude=region=cn-hangzhou",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := filter.Parse(filter.Values(q))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, r := range w.fleet.Records {
			if f.Scope(r.Account, r.Region) && f.Judged(&r.Classification, filter.Machine{Family: r.InstanceFamily, Image: r.ImageID}) {
				want++
			}
		}
		if got := len(w.list(t, query+"&limit=500").Instances); got != want || want == 0 {
			t.Errorf("%s: %d instances, want %d (not 0)", query, got, want)
		}
	}
}

func TestWholeAnswers(t *testing.T) {
	w := apiWorld(t)
	rec := w.get("/api/v1/instances.csv?region=cn-hangzhou")
	reader := csv.NewReader(rec.Body)
	reader.FieldsPerRecord = -1
	if lines, err := reader.ReadAll(); err != nil || len(lines) < 61 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	var changes struct {
		Changed int
		Changes []struct{ Why string }
	}
	if err := json.Unmarshal(w.get("/api/v1/changes?since=1h").Body.Bytes(), &changes); err != nil || changes.Changed != 1 || len(changes.Changes) != 1 || changes.Changes[0].Why != report.WhyFacts {
		t.Errorf("%+v, %v", changes, err)
	}
	if rec := w.get("/api/v1/explain/i-nobody"); rec.Code != http.StatusNotFound {
		t.Errorf("status %d", rec.Code)
	}
	closed := newWorld(t, 5, func(o *httpapi.Options) {
		o.Operator, o.Snapshot = nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the store was sent to a stranger") })
	})
	if rec := closed.get("/api/v1/snapshot"); rec.Code != http.StatusForbidden {
		t.Errorf("a stranger asks for the store: %d", rec.Code)
	}
}
