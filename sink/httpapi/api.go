package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// problemBody is an RFC 9457 problem.
type problemBody struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Problem answers with what went wrong, as RFC 9457 has it.
func Problem(w http.ResponseWriter, status int, detail string) {
	var buffer bytes.Buffer
	body := problemBody{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: report.Clean(detail)}
	if err := report.WriteJSONLine(&buffer, body); err != nil { // cannot happen: strings and a number
		buffer.WriteString("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(buffer.Bytes()) // the reader went away
}

// refusedError is why something is not done, with the status of the answer.
type refusedError struct {
	status int
	error
}

// fault turns an error into a status and what may be said of it.
func (s *server) fault(r *http.Request, err error) (status int, detail string) {
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.status, refused.Error()
	}
	switch {
	case errors.Is(err, errBadQuery), isFilter(err):
		return http.StatusBadRequest, err.Error()
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, err.Error()
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, "the request was given up" // by who asked: nobody reads this
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "the store did not answer in time; narrow the filter or ask again"
	}
	s.o.Log.Error("request failed", "path", r.URL.Path, "err", err)
	return http.StatusInternalServerError, "the request could not be answered; the log of this process says why"
}

func isFilter(err error) bool {
	_, ok := errors.AsType[*filter.Error](err)
	return ok
}

// json answers with v. It is encoded before anything is sent, so that an error
// is still a whole answer.
func (s *server) json(w http.ResponseWriter, status int, v any) error {
	var buffer bytes.Buffer
	if err := report.WriteJSONLine(&buffer, v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	s.write(w, buffer.Bytes())
	return nil
}

// answer answers with what was found, unless that failed.
func (s *server) answer(w http.ResponseWriter, found any, err error) error {
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, found)
}

// answering is the handler of a resource whose errors are answered with a
// problem. A resource that returns one has sent nothing.
func (s *server) answering(resource func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := resource(w, r); err != nil {
			s.problemOf(w, r, err)
		}
	}
}

func (s *server) problemOf(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := s.fault(r, err)
	Problem(w, status, detail)
}

// viewing is the handler of what reads one moment of the whole store. Its errors
// are answered by failed.
func (s *server) viewing(failed func(http.ResponseWriter, *http.Request, error), show func(http.ResponseWriter, *http.Request, View) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		view, err := s.o.Store.View(r.Context(), store.Filter{})
		if err == nil {
			defer s.close(view)
			err = show(w, r, view)
		}
		if err != nil {
			failed(w, r, err)
		}
	}
}

// narrowed calls do with a view of what a filter lets through, whose names the
// store knows.
func (s *server) narrowed(r *http.Request, chosen filter.Filter, do func(View) error) error {
	view, err := s.o.Store.View(r.Context(), store.Filter{Scope: chosen})
	if err != nil {
		return err
	}
	defer s.close(view)
	if err := chosen.Check(view.Known()); err != nil {
		return err
	}
	return do(view)
}

func (s *server) apiSummary(w http.ResponseWriter, r *http.Request) error {
	chosen, err := scopeOf(r.URL.Query())
	if err != nil {
		return err
	}
	return s.narrowed(r, chosen, func(view View) error {
		return s.json(w, http.StatusOK, report.TidySummary(*view.Summary()))
	})
}

// close lets the moment of a view go.
func (s *server) close(v View) {
	if err := v.Close(); err != nil {
		s.o.Log.Error("a view of the store was not closed cleanly", "err", err)
	}
}

// instanceList is the answer of /api/v1/instances. Complete is false when some
// account or region was not read to its end, so that instances may be missing.
// Total is how many match the filter.
type instanceList struct {
	Instances  []*record.Record `json:"instances"`
	Total      int              `json:"total"`
	NextCursor string           `json:"next_cursor,omitempty"`
	PrevCursor string           `json:"prev_cursor,omitempty"`
	Complete   bool             `json:"complete"`
	AsOf       time.Time        `json:"as_of"`
}

func (s *server) apiInstances(w http.ResponseWriter, r *http.Request) error {
	listing, err := parseListing(r.URL.Query())
	if err != nil {
		return err
	}
	listed, err := s.listed(r, listing)
	if err != nil {
		return err
	}
	out := instanceList{
		Instances: make([]*record.Record, 0, len(listed.rows)), NextCursor: listed.next, PrevCursor: listed.prev,
		Total: listed.total, Complete: report.NewDigest(listed.summary).Whole.All(), AsOf: listed.summary.AsOf,
	}
	for _, rec := range listed.rows {
		out.Instances = append(out.Instances, report.Tidy(rec))
	}
	return s.json(w, http.StatusOK, out)
}

// instanceAnswer is a record with its verdict history.
type instanceAnswer struct {
	*record.Record
	History []record.Change `json:"history"`
	// GuestEvidence is what its guest was asked for.
	GuestEvidence []record.GuestEvidence `json:"guest_evidence"`
}

func (s *server) apiInstance(w http.ResponseWriter, r *http.Request, view View) error {
	rec, history, err := s.find(r, view)
	if err != nil {
		return err
	}
	asked, err := view.GuestEvidence(rec.Account, rec.Region, rec.InstanceID, s.o.Now())
	if err != nil {
		return err
	}
	for i := range asked {
		asked[i].Cause = report.Short(asked[i].Cause, 200)
	}
	return s.json(w, http.StatusOK, instanceAnswer{report.Tidy(rec), report.OrEmpty(history), asked})
}

// find looks up the instance that the address names.
func (s *server) find(r *http.Request, view View) (*record.Record, []record.Change, error) {
	id, values := r.PathValue("id"), r.URL.Query()
	if len(id) > maxParam {
		return nil, nil, badQuery("instance id is longer than %d bytes", maxParam)
	}
	rec, history, err := view.Instance(values.Get("account"), values.Get("region"), id)
	if err != nil {
		return nil, nil, fmt.Errorf("instance %s: %w", report.Short(id, 64), err)
	}
	return rec, history, nil
}

// shownScans is how many scans a listing holds when nothing else is asked.
const shownScans = 50

func (s *server) apiScans(w http.ResponseWriter, r *http.Request, view View) error {
	limit, err := limitOf(r.URL.Query(), shownScans)
	if err != nil {
		return err
	}
	scans, err := view.Scans(limit)
	return s.answer(w, scansAnswer{report.OrEmpty(scans)}, err)
}

// apiOutcomes holds moves against what was said before them.
func (s *server) apiOutcomes(w http.ResponseWriter, r *http.Request) error {
	chosen, err := scopeOf(r.URL.Query())
	if err != nil {
		return err
	}
	if chosen.ByUp() {
		return badQuery("up does not narrow outcomes, which are told by what became of each move")
	}
	limit, err := limitOf(r.URL.Query(), shownMoves)
	if err != nil {
		return err
	}
	return s.narrowed(r, chosen, func(view View) error {
		moves, err := view.Outcomes(r.Context(), limit)
		return s.answer(w, moves, err)
	})
}

// shownMoves is how many moves are shown where nobody says how many.
const shownMoves = 100

// limitOf reads limit.
func limitOf(q url.Values, def int) (int, error) {
	text := q.Get("limit")
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badQuery("limit is a number from 1 to %d", maxLimit)
	}
	return n, nil
}

func (s *server) apiScan(w http.ResponseWriter, r *http.Request, view View) error {
	scan, err := view.Scan(r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("scan %s: %w", report.Short(r.PathValue("id"), 64), err)
	}
	return s.json(w, http.StatusOK, scan)
}

func (s *server) apiTrend(w http.ResponseWriter, r *http.Request, view View) error {
	limit, err := limitOf(r.URL.Query(), trendPoints)
	if err != nil {
		return err
	}
	points, err := view.Trend(limit)
	return s.answer(w, trendAnswer{report.OrEmpty(points)}, err)
}

// maxRescan bounds the instances of one request.
const maxRescan = 1000

// instanceID is what may be asked about as an instance, stored or not. Of what a rescan
// names the producer sends to the cloud only what looks like an id there, and names the rest
// (producer.IsInstanceID, which is narrower).
var instanceID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (s *server) apiRescan(w http.ResponseWriter, r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &refusedError{http.StatusUnsupportedMediaType, errors.New("send application/json")}
	}
	var req record.RescanRequest
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return badQuery("body is not a rescan request: %v", err)
	}
	reply, err := s.rescan(r, req)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusAccepted, reply)
}

// rescan checks a request and passes it on.
func (s *server) rescan(r *http.Request, req record.RescanRequest) (reply record.RescanReply, err error) {
	switch {
	case s.o.Rescanner == nil:
		return reply, &refusedError{http.StatusNotImplemented, errors.New("this process cannot start a rescan")}
	case !s.operator(r):
		return reply, &refusedError{http.StatusForbidden, errors.New(OnlyOperators)}
	case len(req.InstanceIDs) == 0 || len(req.InstanceIDs) > maxRescan:
		return reply, badQuery("name 1 to %d instance_ids", maxRescan)
	case len(req.Account) > maxParam || len(req.Region) > maxParam || len(req.Reason) > maxParam:
		return reply, badQuery("account, region and reason have at most %d bytes", maxParam)
	}
	for _, id := range req.InstanceIDs {
		if !instanceID.MatchString(id) {
			return reply, badQuery("%q is not an instance id", report.Short(id, 64))
		}
	}
	if reply, err = s.o.Rescanner.Rescan(r.Context(), req); err != nil {
		s.o.Log.Error("rescan not taken", "err", err)
		return reply, &refusedError{http.StatusBadGateway, errors.New("the request was not taken: no producer answered; see the log of this process")}
	}
	reply.Rejected = report.OrEmpty(reply.Rejected)
	return reply, nil
}
