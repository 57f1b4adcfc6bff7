package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// alone gives answers as long as no view is open.
type alone struct {
	whole
	store *memory
	asked int
}

func (a *alone) err() error {
	if a.asked++; a.store.Views() > 0 {
		return errors.New("asked while a view is open")
	}
	return nil
}

func (a *alone) Report(ctx context.Context, f filter.Filter, targets []string, span report.ChangeQuery) (*report.Report, func(), error) {
	if err := a.err(); err != nil {
		return nil, nil, err
	}
	return a.whole.Report(ctx, f, targets, span)
}

func (a *alone) Remedies(ctx context.Context) (func(*report.Bucket) string, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.whole.Remedies(ctx)
}

func (a *alone) StartGroups(ctx context.Context) (*record.StartGroups, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.whole.StartGroups(ctx)
}

func (a *alone) Plan(ctx context.Context, f filter.Filter, o httpapi.PlanRequest) (*plan.Plan, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.whole.Plan(ctx, f, o)
}

func (a *alone) Progress(ctx context.Context, target, since string) (*plan.Progress, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.whole.Progress(ctx, target, since)
}

func (a *alone) Explain(ctx context.Context, account, region, id string, targets []string) (*record.Explained, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	return a.whole.Explain(ctx, account, region, id, targets)
}

// Nobody reads the store a second time before the first reading has ended: where the
// writer waits to map a file anew that has grown, the two would wait for each other.
func TestNothingIsAskedWhileAViewIsOpen(t *testing.T) {
	fleet := reporttest.New(60, 5)
	rs, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	at := newMemory(fleet.Records, &fleet.Summary, []record.Scan{fleet.Scan}, nil)
	answers := &alone{whole: whole{fleet}, store: at}
	handler, err := httpapi.New(httpapi.Options{
		Store: at, Answers: answers, Rules: rs.Definition, Rescanner: at, Operator: func(*http.Request) bool { return true }, Version: "test",
		Ready: func() (bool, []string) { return true, nil }, Log: slog.New(slog.DiscardHandler), Now: reporttest.Now, Metrics: http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	id := fleet.Records[0].InstanceID
	asking := map[string]bool{
		"/": true, "/plan": true, "/changes": true, "/rules": false, "/scans": false, "/scans/" + fleet.Scan.ID: false, "/instances": false, "/instances/" + id: false,
		"/api/v1/changes?since=7d": true, "/api/v1/remedies": true, "/api/v1/plan?target=shenlong-7": true, "/api/v1/progress?target=shenlong-6": true, "/api/v1/start-groups": true, "/api/v1/explain/" + id: true, "/api/v1/instances/" + id: false,
	}
	noneMissing(t, httpapi.PagePatterns(everything()), maps.Keys(asking))
	for path, asks := range asking {
		answers.asked = 0
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if got.Code != http.StatusOK || (answers.asked > 0) != asks || at.Views() != 0 {
			t.Errorf("%s: %d after %d questions, and %d views are open: %.300s", path, got.Code, answers.asked, at.Views(), got.Body)
		}
	}
}
