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
	Scans []record.Scan
}

func (s *server) scans(w http.ResponseWriter, r *http.Request) {
	scans, err := s.o.Store.Scans(r.Context(), shownScans)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.page(w, http.StatusOK, "scans", scansView{s.view("Scans", "Scans"), scans})
}

// scanView is one scan with its progress.
type scanView struct {
	view
	Scan     *record.Scan
	Failures []record.Failure
	Progress string // percent of the regions
}

func (s *server) scan(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	scan, err := s.o.Store.Scan(r.Context(), id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("scan %s: %w", report.Short(id, 64), err))
		return
	}
	v := scanView{view: s.view("Scan "+id, "Scans"), Scan: scan, Progress: "0"}
	if scan.Regions > 0 {
		v.Progress = strconv.FormatFloat(100*float64(scan.Done)/float64(scan.Regions), 'f', 2, 64)
	}
	for i := range scan.Scopes {
		v.Failures = append(v.Failures, scan.Scopes[i].Failures...)
	}
	v.Failures = v.Failures[:min(len(v.Failures), 100)]
	if scan.State == record.ScanRunning && !stale(s.o.Now(), scan.StartedAt) && refresh(w, r) {
		v.Pending, v.Still = "This scan is running; the page refreshes itself.", still(r)
	}
	s.page(w, http.StatusOK, "scan", v)
}

// rescanForm takes the button of an instance's page and leads back to it.
func (s *server) rescanForm(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, badQuery("form is not readable"))
		return
	}
	req := RescanRequest{
		Account: r.PostForm.Get("account"), Region: r.PostForm.Get("region"),
		InstanceIDs: []string{r.PostForm.Get("instance_id")}, Reason: "web page",
	}
	reply, status, err := s.rescan(r, req)
	switch {
	case err != nil && status == 0:
		s.fail(w, r, err)
		return
	case err != nil:
		s.failWith(w, status, err.Error())
		return
	case len(reply.Rejected) > 0:
		s.failWith(w, http.StatusUnprocessableEntity, "The instance cannot be looked at again: "+reply.Rejected[0].Error)
		return
	}
	q := url.Values{"account": {req.Account}, "region": {req.Region}, "rescan": {reply.ScanID}}
	http.Redirect(w, r, "/instances/"+url.PathEscape(req.InstanceIDs[0])+"?"+q.Encode(), http.StatusSeeOther)
}

// waitFor says on an instance's page how far a rescan of it is.
func (s *server) waitFor(w http.ResponseWriter, r *http.Request, v *instanceView, id string) error {
	if len(id) > maxParam {
		return badQuery("rescan id is longer than %d bytes", maxParam)
	}
	scan, err := s.o.Store.Scan(r.Context(), id)
	switch {
	case errors.Is(err, ErrNotFound):
		if refresh(w, r) {
			v.Pending, v.Still = "The rescan was taken and will start in a moment.", still(r)
		}
	case err != nil:
		return err
	case scan.State == record.ScanRunning && !stale(s.o.Now(), scan.StartedAt):
		if refresh(w, r) {
			v.Pending, v.Still = "The rescan is running.", still(r)
		}
	case scan.State == record.ScanComplete:
		v.Notice = "The rescan is complete: what stands below was seen " + report.Moment(v.Rec.ObservedAt) + "."
		if scan.Changed > 0 {
			v.Notice += " It changed a verdict."
		}
	default:
		v.Error = "The rescan ended " + string(scan.State) + "."
		v.Notice = v.Error + " See scan " + report.Short(id, 64) + " for why."
	}
	return nil
}
