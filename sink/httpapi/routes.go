package httpapi

import (
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
	"github.com/shenscan/shenscan/internal/schema"
)

// param is a query parameter.
type param struct {
	name, text string
	kind       string   // string, integer or boolean
	values     []string // the only ones
	repeated   bool     // may stand several times, or hold several values with commas
}

// route is one resource. What is not in its parameters is refused; the same
// table makes the description of the API.
type route struct {
	method, path, text string
	params             []param
	answer             any    // an example of its type; nil: see media
	body               any    // likewise of what is sent; nil: nothing
	media              string // "" is JSON
	status             int    // 0 is 200
	handle             http.HandlerFunc
	long               bool // bounds itself: an answer as large as the fleet
}

// pattern is the route in the spelling of http.ServeMux.
func (r *route) pattern() string { return r.method + " " + r.path }

func text(name, text string) param { return param{name: name, text: text, kind: "string"} }

// scopeParams are the words of the one filter.
func scopeParams() []param {
	what := map[string]string{
		"account": "only these accounts", "region": "only these regions", "tag": "only with this tag, KEY or KEY=VALUE",
		"family": "only these instance families", "os": "only these operating systems: centos, centos:5, CentOS 5, Windows Server 2003; centos:unknown where no version is known",
		"image": "only made from these images", "status": "only with this status", "up": "only what runs on this class of machines with a guest that was heard of and no other kernel than its image's", "waived": "yes: only with a waived verdict; no: only with one that is not",
		"verdict": "only with this verdict, on the target where one is named, or TARGET=VERDICT", "confidence": "only with this confidence",
		"exclude": "leave out WORD=VALUE or an instance id",
	}
	var out []param
	for _, word := range filter.Words() {
		p := text(word, what[word])
		p.repeated = true
		out = append(out, p)
	}
	return out
}

func listingParams() []param {
	return append(scopeParams(),
		text("target", "with verdict: the verdict on this target; without: ignored"),
		text("os_family", "only this operating system"), text("os_version", "only this version of it; unknown: none is known"),
		param{name: "legacy", text: "only on the legacy list, or only not", kind: "boolean"},
		text("q", "a part of the id or the name, whatever the case"),
		param{name: "gone", text: "gone instances too", kind: "boolean"},
		param{name: "sort", text: "default: account, region, instance id", kind: "string", values: sortKeys()},
		param{name: "order", text: "direction of sort", kind: "string", values: []string{"asc", "desc"}},
		param{name: "limit", text: "instances of a page, at most 500", kind: "integer"},
		text("cursor", "next_cursor or prev_cursor of another page"),
	)
}

// spanParams say which changes are meant.
func spanParams() []param {
	return []param{
		text("since", "what changed after this scan ended, after a time (2026-11-23, 2026-11-23T08:00:00Z), or in so long (24h, 7d)"),
		text("scan", "instead of since: what this scan itself found, whatever came after it"),
		{name: "kind", text: "list only changes of one kind; all are counted", kind: "string", values: report.Kinds()},
	}
}

// scansAnswer lists scans.
type scansAnswer struct {
	Scans []record.Scan `json:"scans"`
}

// trendAnswer lists points of the trend.
type trendAnswer struct {
	Points []Point `json:"points"`
}

// apiRoutes are the resources of the API.
func (s *server) apiRoutes() []route {
	target := text("target", "a class, an instance family or a type; default: those of the store")
	target.repeated = true
	span := spanParams()
	limit := param{name: "limit", text: "at most so many, up to 500", kind: "integer"}
	place := []param{text("account", "where several accounts have the id"), text("region", "where several regions have the id")}
	out := []route{
		{method: http.MethodGet, path: "/api/v1/summary", text: "Totals of what the filter lets through, with how complete they are", params: scopeParams(), answer: record.Summary{}, handle: s.answering(s.apiSummary)},
		{method: http.MethodGet, path: "/api/v1/instances", text: "A page of instances", params: listingParams(), answer: instanceList{}, handle: s.answering(s.apiInstances)},
		{method: http.MethodGet, path: "/api/v1/instances/{id}", text: "One instance with its history", params: place, answer: instanceAnswer{}, handle: s.viewing(s.problemOf, s.apiInstance)},
		{method: http.MethodGet, path: "/api/v1/scans", text: "The scans that run, then the last ones", params: []param{limit}, answer: scansAnswer{}, handle: s.viewing(s.problemOf, s.apiScans)},
		{method: http.MethodGet, path: "/api/v1/scans/{id}", text: "One scan", answer: record.Scan{}, handle: s.viewing(s.problemOf, s.apiScan)},
		{method: http.MethodGet, path: "/api/v1/outcomes", text: "What became of instances that moved to another class of machines, beside what was said of it before: the score, and the moves that went otherwise first", params: append(slices.DeleteFunc(scopeParams(), func(p param) bool { return p.name == "up" }), limit), answer: record.MoveOutcomes{}, handle: s.answering(s.apiOutcomes)},
		{method: http.MethodGet, path: "/api/v1/trend", text: "The fleet at the end of each scan, oldest first, as it was judged then", params: []param{limit}, answer: trendAnswer{}, handle: s.viewing(s.problemOf, s.apiTrend)},
		{method: http.MethodGet, path: "/api/v1/openapi.json", text: "This description", media: "application/json", handle: s.apiDescription},
		{method: http.MethodGet, path: "/api/v1/schema/{name}", text: "A JSON Schema that events name as dataschema: " + strings.Join(schema.Names(), ", "), media: "application/schema+json", handle: s.answering(s.apiSchema)},
		{method: http.MethodPost, path: "/api/v1/rescan", text: "Look at instances again; for visitors who may change state", body: record.RescanRequest{}, answer: record.RescanReply{}, status: http.StatusAccepted, handle: s.answering(s.apiRescan)},
	}
	if s.o.Answers != nil {
		out = append(out,
			route{method: http.MethodGet, path: "/api/v1/instances.csv", text: "Every instance as CSV, with how complete the list is", params: append(scopeParams(), target, param{name: "excel", text: "as Excel reads it: with a byte order mark, and long numbers as text", kind: "boolean"}), media: "text/csv", handle: s.answering(s.apiCSV), long: true},
			route{method: http.MethodGet, path: "/api/v1/changes", text: "What changed after a scan or a time, or what one scan found to have changed", params: append(scopeParams()[:2], span...), answer: changesAnswer{}, handle: s.answering(s.apiChanges), long: true},
			route{
				method: http.MethodGet, path: "/api/v1/plan", text: "The migration plan for one target", params: append(scopeParams(), text("target", "where to; default shenlong-6"),
					text("owner_tag", "tag that names an instance's owner; default those by which the last scan counted owners"), param{name: "keep_os", text: "prefer a 5th-generation family over another operating system", kind: "boolean"}),
				answer: plan.Plan{}, handle: s.answering(s.apiPlan), long: true,
			},
			route{
				method: http.MethodGet, path: "/api/v1/remedies", text: "The first remedies of each operating system, the one that fits most instances first",
				params: append(scopeParams(), target), answer: remediesAnswer{}, handle: s.answering(s.apiRemedies), long: true,
			},
			route{
				method: http.MethodGet, path: "/api/v1/progress", text: "The burn-down of one target: what is open, what moved since, and who is behind",
				params: []param{
					text("target", "one of the targets of the store; default shenlong-6"),
					text("since", "a scan, a time or how long before the last point (24h, 7d); default 7d"), limit,
				},
				answer: plan.Progress{}, handle: s.answering(s.apiProgress),
			},
			route{method: http.MethodGet, path: "/api/v1/probe", text: "What asking machines themselves (--probe) comes to in this process: its last run, or the one that goes on", answer: record.ProbeState{}, handle: s.answering(s.apiProbe)},
			route{method: http.MethodGet, path: startGroupsPath, text: "The groups that start new machines (node pools, clusters, scaling groups, launch templates) with the images that they start, the worst first", answer: record.StartGroups{}, handle: s.answering(s.apiStartGroups), long: true},
			route{method: http.MethodGet, path: "/api/v1/explain/{id}", text: "How the verdicts of an instance come about", params: append(place, target), answer: record.Explained{}, handle: s.answering(s.apiExplain)},
		)
	}
	if s.o.Snapshot != nil {
		out = append(out, route{method: http.MethodGet, path: "/api/v1/snapshot", text: "A consistent copy of the store; for visitors who may change state", media: "application/octet-stream", handle: s.trusted(s.o.Snapshot), long: true})
	}
	if s.o.Types != nil {
		out = append(out, route{method: http.MethodGet, path: "/api/v1/instance-types", text: "The catalogue of instance types that plans rest on; for visitors who may change state", media: "application/json", handle: s.trusted(s.o.Types)})
	}
	if s.o.Reload != nil {
		out = append(out, route{method: http.MethodPost, path: ReloadPath, text: "Take rules, targets, waivers, schedules, accounts and log level anew, all or nothing; for visitors who may change state", media: "application/json", handle: s.trusted(s.o.Reload), long: true})
	}
	return out
}

const startGroupsPath = "/api/v1/start-groups"

// ReloadPath is where a process takes its configuration anew.
const ReloadPath = "/-/reload"

// pageRoutes are the pages for people.
func (s *server) pageRoutes() []route {
	refresh := text("refresh", "")
	out := []route{
		{method: http.MethodGet, path: "/{$}", params: []param{refresh, text("asked", "")}, handle: s.viewing(s.fail, s.overview)},
		{method: http.MethodGet, path: "/instances", params: append(listingParams(), refresh), handle: s.instances},
		{method: http.MethodGet, path: "/instances/{id}", params: []param{text("account", ""), text("region", ""), text("rescan", ""), refresh}, handle: s.viewing(s.fail, s.instance)},
		{method: http.MethodGet, path: "/scans", params: []param{refresh}, handle: s.viewing(s.fail, s.scans)},
		{method: http.MethodGet, path: "/scans/{id}", params: []param{refresh}, handle: s.viewing(s.fail, s.scan)},
		{method: http.MethodPost, path: "/rescan", handle: s.rescanForm},
		{method: http.MethodPost, path: "/scan", handle: s.scanForm},
	}
	if s.o.Answers != nil {
		out = append(out, route{method: http.MethodGet, path: "/changes", params: append(scopeParams()[:2], spanParams()...), handle: s.changes, long: true})
		out = append(out, route{method: http.MethodGet, path: "/plan", params: planParams(), handle: s.planPage, long: true})
	}
	if s.o.Rules != nil {
		out = append(out, route{method: http.MethodGet, path: "/rules", handle: s.viewing(s.fail, s.codes)})
	}
	return out
}

// mount adds routes, and an answer to other methods on their paths.
func (s *server) mount(mux *http.ServeMux, routes []route) {
	methods := map[string][]string{}
	for i := range routes {
		route := &routes[i]
		methods[route.path] = append(methods[route.path], route.method)
		if route.method == http.MethodGet {
			methods[route.path] = append(methods[route.path], http.MethodHead)
		}
		handler := s.asked(route)
		if route.long {
			handler = s.oneOf(handler)
		} else {
			handler = s.bounded(handler)
		}
		mux.Handle(route.pattern(), s.timed(route.path, handler))
	}
	for path, allowed := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			s.refuse(w, r, http.StatusMethodNotAllowed, r.Method+" is not what this address answers; it answers "+strings.Join(allowed, ", "))
		})
	}
}

// timed measures how long a route takes, whatever comes of it.
func (s *server) timed(route string, handler http.Handler) http.Handler {
	if s.o.Took == nil {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		defer func() { s.o.Took(route, time.Since(began)) }()
		handler.ServeHTTP(w, r)
	})
}

// refuse answers a program with a problem, and a person with a page.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == ReloadPath {
		Problem(w, status, detail)
		return
	}
	s.failWith(w, r, status, report.Capital(detail)+".")
}

// asked refuses parameters that the route does not know: a misspelt one would
// otherwise be a filter that is silently not in force.
func (s *server) asked(rt *route) http.Handler {
	names := make([]string, len(rt.params))
	for i := range rt.params {
		names[i] = rt.params[i].name
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			s.refuse(w, r, http.StatusBadRequest, "the query cannot be read: "+err.Error())
			return
		}
		for name, values := range query {
			at := slices.Index(names, name)
			switch {
			case at < 0:
				s.refuse(w, r, http.StatusBadRequest, "parameter "+report.Short(name, 40)+" is not known here"+filter.Nearest(name, names))
				return
			case !rt.params[at].repeated && len(values) > 1:
				s.refuse(w, r, http.StatusBadRequest, "parameter "+name+" stands twice")
				return
			}
			if _, err := strconv.ParseBool(values[0]); rt.params[at].kind == "boolean" && values[0] != "" && err != nil {
				s.refuse(w, r, http.StatusBadRequest, name+" is true or false")
				return
			}
			if name == "order" && values[0] != "" && !slices.Contains(rt.params[at].values, values[0]) {
				s.refuse(w, r, http.StatusBadRequest, "order is one of "+strings.Join(rt.params[at].values, ", "))
				return
			}
		}
		rt.handle(w, r)
	})
}
