package httpapi

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// shownChanges is how many changes the page lists, the gravest first.
const shownChanges = 200

// changesView is what changed since a scan or a time, or what one scan found.
type changesView struct {
	view
	Since   *report.Since // nil: there is nothing to compare with
	Changes []report.Change
	More    int         // that are not listed
	From    string      // since when, as it was asked
	Kinds   []kindCount // each with the list of it
	Scopes  []fact      // that were asked for beside it
	JSON    string
}

// kindCount counts changes of one kind; "" is all of them.
type kindCount struct {
	Kind, Link string
	N          int
	On         bool // it is what is listed
}

// changes shows what got worse, what came and what went.
func (s *server) changes(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	stored, err := s.o.Store.View(r.Context(), store.Filter{})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	view := &changesView{view: s.viewOf(r, languageOf(r).Say("Changes"), "Changes", stored.Summary()), From: values.Get("since")}
	s.close(stored)
	status := http.StatusOK
	chosen, err := scopeOf(values)
	span, spanErr := spanOf(values)
	if err = cmp.Or(err, spanErr); err == nil {
		var rep *report.Report
		var done func()
		if rep, done, err = s.o.Answers.Report(r.Context(), chosen, nil, span); err == nil {
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
		view.list(values)
	}
	s.page(w, r, status, "changes-page", view)
}

// list fills in what is listed, and the addresses of other lists of it.
func (v *changesView) list(values url.Values) {
	since := v.Since
	v.Changes = since.First(shownChanges)
	v.More = max(since.Listed()-len(v.Changes), 0)
	if since.Of != "" {
		v.Title = report.Short(v.lang.Say("Changes")+": "+v.lang.Say("scan")+" "+since.Of, 120)
	}
	scopes := url.Values{"account": values["account"], "region": values["region"]}
	list := func(path, kind string) string {
		return address(path, scopes, "scan", since.Of, "since", since.From(), "kind", kind)
	}
	for _, kind := range append([]string{""}, report.Kinds()...) {
		of := *since
		of.Kind = kind
		if n := of.Listed(); n > 0 || kind == since.Kind {
			v.Kinds = append(v.Kinds, kindCount{Kind: kind, Link: list("/changes", kind), N: n, On: kind == since.Kind})
		}
	}
	v.JSON = list("/api/v1/changes", since.Kind)
}

// scanRow is a scan with what it found, each count with its list.
type scanRow struct {
	record.Scan
	Found                  []foundCount // new, gone, changed
	Whole, Partial, Failed int          // accounts and regions, by what came of them
}

// Running says whether the scan has not ended.
func (r *scanRow) Running() bool { return r.State == record.ScanRunning }

// Nothing says whether the scan has ended and read nothing: what it counted is not
// none, but not known.
func (r *scanRow) Nothing() bool { return !r.Running() && r.Instances == 0 && r.Whole+r.Partial == 0 }

// foundCount is a count of changes of one kind that a scan found.
type foundCount struct {
	Kind, Link string
	N          int
	Open       bool // the scan runs: more may come
	Unknown    bool // nothing was read
}

// scanRows are scans as their table shows them.
func (s *server) scanRows(scans []record.Scan) []*scanRow {
	rows := make([]*scanRow, len(scans))
	for i := range scans {
		rows[i] = s.scanRow(&scans[i])
	}
	return rows
}

func (s *server) scanRow(scan *record.Scan) *scanRow {
	row := &scanRow{Scan: *scan, Found: s.found(scan)}
	for i := range scan.Scopes {
		switch scan.Scopes[i].Completeness {
		case record.ScopeComplete:
			row.Whole++
		case record.ScopePartial:
			row.Partial++
		case record.ScopeFailed:
			row.Failed++
		case record.ScopePending:
		}
	}
	if row.Nothing() {
		for i := range row.Found {
			row.Found[i].Unknown = true
		}
	}
	return row
}

// found counts what a scan found. A count leads to its list where this process
// has one.
func (s *server) found(scan *record.Scan) []foundCount {
	out := []foundCount{{Kind: report.KindNew, N: scan.New}, {Kind: report.KindGone, N: scan.Gone}, {Kind: report.KindChanged, N: scan.Changed}}
	for i := range out {
		count := &out[i]
		count.Open = scan.State == record.ScanRunning
		if s.o.Answers != nil && count.N > 0 {
			count.Link = address("/changes", nil, "scan", scan.ID, "kind", count.Kind)
		}
	}
	return out
}
