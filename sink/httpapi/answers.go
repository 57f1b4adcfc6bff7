package httpapi

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// ErrQuestion marks an error of the one who asks.
var ErrQuestion = errBadQuery

// Answers gives whole answers, each of one moment of the store. An error that
// wraps ErrQuestion or filter.Error is a mistake of the one who asks.
type Answers interface {
	// Report is what the store holds, judged for the targets, those of the store
	// where none is named, with the changes of a span. It can be read until done is
	// called.
	Report(ctx context.Context, f filter.Filter, targets []string, span report.ChangeQuery) (r *report.Report, done func(), err error)
	// Plan is the migration plan for one target.
	Plan(ctx context.Context, f filter.Filter, o PlanRequest) (*plan.Plan, error)
	// Remedies are the first remedies of the fleet's operating systems, in words,
	// with the split where they are several.
	Remedies(ctx context.Context) (func(*report.Bucket) string, error)
	// StartGroups are the groups that start new machines, the worst first. The caller
	// does not change them.
	StartGroups(ctx context.Context) (*record.StartGroups, error)
	// Probe is what asking machines themselves comes to in this process.
	Probe() record.ProbeState
	// Progress is the burn-down of one target, compared with the point that since
	// names; "" is a week before.
	Progress(ctx context.Context, target, since string) (*plan.Progress, error)
	// Explain says how the verdicts of an instance come about, or ErrNotFound.
	Explain(ctx context.Context, account, region, id string, targets []string) (*record.Explained, error)
}

// PlanRequest says what to plan.
type PlanRequest struct {
	Target   string
	OwnerTag string
	KeepOS   bool
}

// changesAnswer is what changed, with every change.
type changesAnswer struct {
	report.Since
	Changes []changeRow `json:"changes"`
}

// changeRow is a change with the word for its cause.
type changeRow struct {
	report.Change
	Why string `json:"why"`
}

// Bounds of answers that are as large as the fleet.
const (
	longAnswers = 4                // at a time: each keeps the pages of its moment
	longTime    = 5 * time.Minute  // for one of them
	longStill   = 30 * time.Second // that a reader may take nothing
)

// oneOf gives a request one of the few places for answers that are as large as
// the fleet.
func (s *server) oneOf(handler http.Handler) http.Handler {
	patiently := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(&patient{w, http.NewResponseController(w)}, r)
	})
	return inSlot(s.long, longTime, "10", "too many answers as large as the fleet are being given; ask again in some seconds", patiently)
}

// patient lets an answer take as long as its reader takes something of it.
type patient struct {
	http.ResponseWriter
	ctl *http.ResponseController
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write sends a part.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.ctl.SetWriteDeadline(time.Now().Add(longStill)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// scopeOf reads the words of the filter.
func scopeOf(values url.Values) (filter.Filter, error) { return filter.Parse(filter.Values(values)) }

// spanOf reads which changes are meant.
func spanOf(values url.Values) (report.ChangeQuery, error) {
	span := report.ChangeQuery{Since: values.Get("since"), Scan: values.Get("scan"), Kind: values.Get("kind")}
	switch {
	case len(span.Since) > maxParam || len(span.Scan) > maxParam:
		return span, badQuery("since and scan have at most %d bytes", maxParam)
	case span.Since != "" && span.Scan != "":
		return span, badQuery("since is what changed after a scan, scan what that scan found: name one of them")
	case span.Kind != "" && !slices.Contains(report.Kinds(), span.Kind):
		return span, badQuery("kind %q is not known; it is one of %s%s", report.Short(span.Kind, 40), strings.Join(report.Kinds(), ", "), filter.Nearest(span.Kind, report.Kinds()))
	}
	return span, nil
}

// several reads a parameter that may hold several values.
func several(q url.Values, name string) []string {
	var out []string
	for _, list := range q[name] {
		for value := range strings.SplitSeq(list, ",") {
			if value = strings.TrimSpace(value); value != "" && len(value) <= maxParam && len(out) < 64 {
				out = append(out, value)
			}
		}
	}
	return out
}

// stream sends an answer that may be as large as the fleet. What fails when a
// part is sent ends the connection, so that nobody takes the part for all.
func (s *server) stream(w http.ResponseWriter, r *http.Request, media string, write func(io.Writer) error) {
	w.Header().Set("Content-Type", media)
	if err := write(w); err != nil {
		if r.Context().Err() == nil {
			s.o.Log.Error("answer ended early", "path", r.URL.Path, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// reported answers with the report of what the filter of a request lets through.
func (s *server) reported(r *http.Request, targets []string, span report.ChangeQuery, answer func(*report.Report) error) error {
	chosen, err := scopeOf(r.URL.Query())
	if err != nil {
		return err
	}
	rep, done, err := s.o.Answers.Report(r.Context(), chosen, targets, span)
	if err != nil {
		return err
	}
	defer done()
	return answer(rep)
}

func (s *server) apiCSV(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	return s.reported(r, several(values, "target"), report.ChangeQuery{}, func(rep *report.Report) error {
		w.Header().Set("Content-Disposition", `attachment; filename="instances.csv"`)
		options := report.Options{Now: s.o.Now(), Excel: isTrue(values.Get("excel"))}
		s.stream(w, r, "text/csv; charset=utf-8", func(w io.Writer) error { return report.Write(w, report.CSV, rep, options) })
		return nil
	})
}

func (s *server) apiChanges(w http.ResponseWriter, r *http.Request) error {
	span, err := spanOf(r.URL.Query())
	switch {
	case err != nil:
		return err
	case span.Since == "" && span.Scan == "":
		return badQuery("name since, a scan or a time after which, or scan, whose own changes are meant")
	}
	return s.reported(r, nil, span, func(rep *report.Report) error {
		s.stream(w, r, "application/json", func(w io.Writer) error { return report.WriteChanges(w, rep.Since) })
		return nil
	})
}

func (s *server) apiPlan(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	chosen, err := scopeOf(values)
	if err != nil {
		return err
	}
	planRequest := PlanRequest{Target: cmp.Or(values.Get("target"), "shenlong-6"), OwnerTag: values.Get("owner_tag")}
	if keep := values.Get("keep_os"); keep != "" {
		if planRequest.KeepOS, err = strconv.ParseBool(keep); err != nil {
			return badQuery("keep_os is true or false")
		}
	}
	whole, err := s.o.Answers.Plan(r.Context(), chosen, planRequest)
	if err != nil {
		return err
	}
	s.stream(w, r, "application/json", func(w io.Writer) error { return plan.Write(w, report.JSON, whole, report.Options{Now: s.o.Now()}) })
	return nil
}

// remediesAnswer lists the first remedies of operating systems.
type remediesAnswer struct {
	Systems []report.SystemRemedies `json:"systems"`
}

func (s *server) apiRemedies(w http.ResponseWriter, r *http.Request) error {
	return s.reported(r, several(r.URL.Query(), "target"), report.ChangeQuery{}, func(rep *report.Report) error {
		systems, err := rep.Remedies()
		return s.answer(w, remediesAnswer{systems}, err)
	})
}

func (s *server) apiProgress(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	target := cmp.Or(values.Get("target"), "shenlong-6")
	progress, err := s.o.Answers.Progress(r.Context(), target, values.Get("since"))
	if err != nil {
		return err
	}
	limit, err := limitOf(values, maxLimit)
	if err != nil {
		return err
	}
	progress.Points = progress.Points[max(0, len(progress.Points)-limit):]
	return s.json(w, http.StatusOK, progress)
}

// apiProbe says how asking machines goes.
func (s *server) apiProbe(w http.ResponseWriter, _ *http.Request) error {
	return s.json(w, http.StatusOK, s.o.Answers.Probe())
}

// apiStartGroups lists what starts new machines.
func (s *server) apiStartGroups(w http.ResponseWriter, r *http.Request) error {
	groups, err := s.o.Answers.StartGroups(r.Context())
	return s.answer(w, groups, err)
}

func (s *server) apiExplain(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	id := r.PathValue("id")
	if !instanceID.MatchString(id) {
		return badQuery("%q is not an instance id", report.Short(id, 64))
	}
	explanation, err := s.o.Answers.Explain(r.Context(), values.Get("account"), values.Get("region"), id, several(values, "target"))
	return s.answer(w, explanation, err)
}
