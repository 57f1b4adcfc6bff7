package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// scansView lists scans.
type scansView struct {
	view
	Scans []*scanRow
}

func (s *server) scans(w http.ResponseWriter, r *http.Request, stored View) error {
	scans, err := stored.Scans(shownScans)
	if err != nil {
		return err
	}
	v := scansView{s.viewOf(r, languageOf(r).Say("Scans"), "Scans", stored.Summary()), s.scanRows(scans)}
	v.current(r, refreshLate)
	s.page(w, r, http.StatusOK, "scans", v)
	return nil
}

// scanView is one scan with its progress.
type scanView struct {
	view
	Scan     *scanRow
	Failures []record.Failure
	Progress string // percent of the regions
	changes  bool   // this process lists changes
}

// GoneIn is the list of what the scan found gone in a place; "" where there is
// none.
func (v *scanView) GoneIn(scope record.ScanScope) string {
	if !v.changes || scope.Gone == 0 {
		return ""
	}
	return address("/changes", nil, "scan", v.Scan.ID, "kind", report.KindGone, "account", scope.Account, "region", scope.Region)
}

func (s *server) scan(w http.ResponseWriter, r *http.Request, stored View) error {
	id := r.PathValue("id")
	scan, err := stored.Scan(id)
	if err != nil {
		return fmt.Errorf("scan %s: %w", report.Short(id, 64), err)
	}
	view := &scanView{view: s.viewOf(r, languageOf(r).Say("Scan")+" "+id, "Scans", stored.Summary()), Scan: s.scanRow(scan), Progress: "0", changes: s.o.Answers != nil}
	if scan.Regions > 0 {
		view.Progress = strconv.FormatFloat(100*float64(scan.Done)/float64(scan.Regions), 'f', 2, 64)
	}
	for i := range scan.Scopes {
		view.Failures = append(view.Failures, scan.Scopes[i].Failures...)
	}
	view.Failures = view.Failures[:min(len(view.Failures), maxFailures)]
	if scan.State == record.ScanRunning && !stale(s.o.Now(), scan.StartedAt) && view.current(r, refreshSoon) {
		view.Pending = "This scan is running; the page refreshes itself."
	}
	s.page(w, r, http.StatusOK, "scan", view)
	return nil
}

// rescanForm takes the button of an instance's page and leads back to it.
func (s *server) rescanForm(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, badQuery("form is not readable"))
		return
	}
	req := record.RescanRequest{
		Account: r.PostForm.Get("account"), Region: r.PostForm.Get("region"),
		InstanceIDs: []string{r.PostForm.Get("instance_id")}, Reason: "web page",
	}
	reply, err := s.rescan(r, req)
	switch {
	case err != nil:
		s.fail(w, r, err)
		return
	case len(reply.Rejected) > 0:
		s.failWith(w, r, http.StatusUnprocessableEntity, "The instance cannot be looked at again: "+reply.Rejected[0].Error)
		return
	}
	q := url.Values{"account": {req.Account}, "region": {req.Region}, "rescan": {reply.ScanID}}
	http.Redirect(w, r, "/instances/"+url.PathEscape(req.InstanceIDs[0])+"?"+q.Encode(), http.StatusSeeOther)
}

// scanForm takes the button of the overview and leads back to it.
func (s *server) scanForm(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.o.Rescanner == nil:
		s.failWith(w, r, http.StatusNotImplemented, "This process cannot start a scan.")
		return
	case !s.operator(r):
		s.failWith(w, r, http.StatusForbidden, report.Capital(OnlyOperators)+".")
		return
	}
	id, err := s.o.Rescanner.Scan(r.Context(), "web page")
	if err != nil {
		s.o.Log.Error("scan not taken", "err", err)
		s.failWith(w, r, http.StatusBadGateway, "The request was not taken: no producer answered; see the log of this process.")
		return
	}
	http.Redirect(w, r, "/?"+url.Values{"asked": {id}}.Encode(), http.StatusSeeOther)
}

// waitFor says on an instance's page how far a rescan of it is.
func (s *server) waitFor(r *http.Request, stored View, instanceView *instanceView, id string) error {
	if len(id) > maxParam {
		return badQuery("rescan id is longer than %d bytes", maxParam)
	}
	scan, err := stored.Scan(id)
	switch {
	case errors.Is(err, ErrNotFound):
		if instanceView.current(r, refreshSoon) {
			instanceView.Pending = "The rescan was taken and will start in a moment."
		}
	case err != nil:
		return err
	case scan.State == record.ScanRunning && !stale(s.o.Now(), scan.StartedAt):
		if instanceView.current(r, refreshSoon) {
			instanceView.Pending = "The rescan is running."
		}
	case scan.State == record.ScanComplete:
		instanceView.Notice = "The rescan is complete: what stands below was seen " + report.Moment(instanceView.Rec.ObservedAt) + "."
		if scan.Changed > 0 {
			instanceView.Notice += " It changed a verdict."
		}
	default:
		instanceView.Error = "The rescan ended " + string(scan.State) + "."
		instanceView.Notice = instanceView.Error + " See scan " + report.Short(id, 64) + " for why."
	}
	return nil
}
