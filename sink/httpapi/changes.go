package httpapi

import (
	"net/http"
	"net/url"

	"github.com/shenscan/shenscan/internal/report"
)

// shownChanges is how many changes the page lists, the gravest first.
const shownChanges = 200

// changesView is what changed since a scan or a time.
type changesView struct {
	view
	Since   *report.Since // nil: there is nothing to compare with
	Changes []report.Change
	More    int // that are not listed
	From    string
	Scopes  []fact // that were asked for beside it
	JSON    string
}

// changes shows what got worse, what came and what went.
func (s *server) changes(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	sv, err := s.o.Store.View(r.Context(), Filter{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	view := &changesView{view: s.viewOf(r, languageOf(r).Say("Changes"), "Changes", sv.Summary()), From: values.Get("since")}
	s.close(sv)
	status := http.StatusOK
	chosen, err := scopeOf(values)
	if err == nil {
		var rep *report.Report
		var done func()
		if rep, done, err = s.o.Answers.Report(r.Context(), chosen, nil, view.From); err == nil {
			view.Since = rep.Since
			done()
		}
	}
	if err != nil {
		if status, view.Error = s.fault(r, err); status >= 500 {
			s.failWith(w, r, status, view.Error)
			return
		}
	}
	for _, name := range []string{"account", "region"} {
		for _, value := range values[name] {
			view.Scopes = append(view.Scopes, fact{name, value})
		}
	}
	if view.Since != nil {
		view.Changes = view.Since.First(shownChanges)
		view.More = max(view.Since.Listed()-len(view.Changes), 0)
		api := url.Values{"account": values["account"], "region": values["region"], "since": {view.Since.From()}}
		view.JSON = "/api/v1/changes?" + api.Encode()
	}
	s.page(w, r, status, "changes-page", view)
}

// changePath is the page of the instance that changed.
func changePath(c report.Change) string {
	return "/instances/" + url.PathEscape(c.InstanceID) + "?" + url.Values{"account": {c.Account}, "region": {c.Region}}.Encode()
}
