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
	q := r.URL.Query()
	sv, err := s.o.Store.View(r.Context(), Filter{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := &changesView{view: s.viewOf(r, languageOf(r).Say("Changes"), "Changes", sv.Summary()), From: q.Get("since")}
	s.close(sv)
	status := http.StatusOK
	f, err := scopeOf(q)
	if err == nil {
		var rep *report.Report
		var done func()
		if rep, done, err = s.o.Answers.Report(r.Context(), f, nil, v.From); err == nil {
			v.Since = rep.Since
			done()
		}
	}
	if err != nil {
		if status, v.Error = s.fault(r, err); status >= 500 {
			s.failWith(w, r, status, v.Error)
			return
		}
	}
	for _, name := range []string{"account", "region"} {
		for _, value := range q[name] {
			v.Scopes = append(v.Scopes, fact{name, value})
		}
	}
	if v.Since != nil {
		v.Changes = v.Since.First(shownChanges)
		v.More = max(v.Since.Listed()-len(v.Changes), 0)
		api := url.Values{"account": q["account"], "region": q["region"], "since": {v.Since.From()}}
		v.JSON = "/api/v1/changes?" + api.Encode()
	}
	s.page(w, r, status, "changes-page", v)
}

// changePath is the page of the instance that changed.
func changePath(c report.Change) string {
	return "/instances/" + url.PathEscape(c.InstanceID) + "?" + url.Values{"account": {c.Account}, "region": {c.Region}}.Encode()
}
