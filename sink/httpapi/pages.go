package httpapi

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

//go:embed web
var web embed.FS

// refreshEvery is how often a page that waits for something comes again.
const refreshEvery = 2

// trendPoints is how many points the trend shows at most.
const trendPoints = 90

func parsePages() (*template.Template, error) {
	text, err := web.ReadFile("web/pages.html")
	if err != nil {
		return nil, err
	}
	return report.Templates().Funcs(template.FuncMap{
		"fleet": report.FleetSize, "instancePath": instancePath, "took": took,
		"stateClass": stateClass, "scopeClass": scopeClass,
	}).Parse(string(text))
}

// view is what every page has.
type view struct {
	Title   string
	Nav     string // the name of the entry of Navs that this page belongs to
	Navs    []navEntry
	Style   string
	Version string
	Rules   string // how old the knowledge of the rule set is
	Summary *record.Summary
	Digest  *report.Digest
	Old     string // says that the numbers are old; "" when they are not
	Error   string
	Pending string // what the page waits for; "" when it stands still
	Still   string // the address of the page that stands still
}

// freshFor is how long the numbers of a scope count as fresh: a daily scan and
// two hours, as for the alert.
const freshFor = 26 * time.Hour

// old says which of the scopes were last read too long ago, or "".
func old(now time.Time, scopes []record.ScopeStatus) string {
	var oldest *record.ScopeStatus
	n := 0
	for i := range scopes {
		s := &scopes[i]
		if s.LastComplete == nil || now.Sub(*s.LastComplete) <= freshFor {
			continue
		}
		if n++; oldest == nil || s.LastComplete.Before(*oldest.LastComplete) {
			oldest = s
		}
	}
	if oldest == nil {
		return ""
	}
	return fmt.Sprintf("%s of %s not read to the end for more than %d hours, %s / %s not since %s: what stands here may have changed.",
		report.Number(n), report.Plural(len(scopes), "region was", "regions were"), int(freshFor.Hours()),
		report.Short(oldest.Account, 64), report.Short(oldest.Region, 64), report.Moment(*oldest.LastComplete))
}

type navEntry struct{ Name, Path string }

func (s *server) view(title, at string) view {
	sum := s.o.Store.Summary()
	return view{
		Title: report.Short(title, 80), Nav: at, Old: old(s.o.Now(), sum.Scopes), Style: s.stylePos, Version: s.o.Version, Rules: knowledge(s.rulesAsOf(), s.o.Now()), Summary: sum, Digest: report.NewDigest(sum),
		Navs: []navEntry{{"Overview", "/"}, {"Instances", "/instances"}, {"Scans", "/scans"}},
	}
}

// knowledge says of which day the knowledge of the rule set is.
func knowledge(asOf string, now time.Time) string {
	day, err := time.Parse(time.DateOnly, asOf)
	if err != nil {
		return ""
	}
	days := int(now.Sub(day) / (24 * time.Hour))
	if days < 1 {
		return "of " + asOf
	}
	return fmt.Sprintf("of %s, %s ago", asOf, report.Plural(days, "day", "days"))
}

// page renders a page whole before it is sent.
func (s *server) page(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		s.o.Log.Error("page not rendered", "page", name, "err", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	s.write(w, b.Bytes())
}

// fail shows an error as a page.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := s.fault(r, err)
	s.failWith(w, status, detail)
}

func (s *server) failWith(w http.ResponseWriter, status int, detail string) {
	v := s.view(http.StatusText(status), "")
	v.Error = report.Clean(detail)
	s.page(w, status, "error", v)
}

// nowhere answers for addresses that do not exist.
func (s *server) nowhere(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		problem(w, http.StatusNotFound, "there is no such resource")
		return
	}
	s.failWith(w, http.StatusNotFound, "There is no such page.")
}

// overviewView is the first page.
type overviewView struct {
	view
	OS, Scopes     report.Folded
	Failures       []record.Failure
	Scans, Running []record.Scan
	Trend          *trendView
}

func (s *server) overview(w http.ResponseWriter, r *http.Request) {
	scans, err := s.o.Store.Scans(r.Context(), 5)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	points, err := s.o.Store.Trend(r.Context(), trendPoints)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := overviewView{view: s.view("Overview", "Overview"), Scans: scans, Trend: newTrend(points)}
	for i := range scans {
		if scans[i].State == record.ScanRunning {
			v.Running = append(v.Running, scans[i])
		}
	}
	for i := range v.Summary.Scopes {
		v.Failures = append(v.Failures, v.Summary.Scopes[i].Failures...)
	}
	v.Failures = v.Failures[:min(len(v.Failures), 50)]
	v.OS = report.Fold(report.BucketTable{
		Title: "Operating systems", Column: "operating system", Targets: v.Summary.Targets, Buckets: v.Digest.OS,
		Name: (*report.Bucket).OS, Link: func(b *report.Bucket) string {
			return "/instances?" + url.Values{"os_family": {b.OSFamily}, "os_version": {b.Version}}.Encode()
		},
	}, 12)
	v.Scopes = report.Fold(report.BucketTable{
		Title: "Accounts and regions", Column: "account / region", Targets: v.Summary.Targets, Buckets: v.Digest.Scopes,
		Name: func(b *report.Bucket) string { return report.Short(b.Account, 64) + " / " + report.Short(b.Region, 64) },
		Link: func(b *report.Bucket) string {
			return "/instances?" + url.Values{"account": {b.Account}, "region": {b.Region}}.Encode()
		},
		Status: report.ScopeStatus(v.Summary.Scopes),
	}, 12)
	s.page(w, http.StatusOK, "overview", v)
}

// trendView is the line of legacy counts over time.
type trendView struct{ Points, Label, From, To string }

func newTrend(points []Point) *trendView {
	if len(points) < 2 {
		return nil
	}
	first, last := points[0], points[len(points)-1]
	span := last.At.Sub(first.At).Seconds()
	high := 1
	for _, p := range points {
		high = max(high, p.Legacy)
	}
	coords := make([]string, len(points))
	for i, p := range points {
		x := 100 * float64(i) / float64(len(points)-1)
		if span > 0 {
			x = 100 * p.At.Sub(first.At).Seconds() / span
		}
		coords[i] = fmt.Sprintf("%.2f,%.2f", x, 38-36*float64(p.Legacy)/float64(high))
	}
	label := func(p Point) string { return p.At.UTC().Format("2006-01-02") + ": " + report.Number(p.Legacy) }
	return &trendView{
		Points: strings.Join(coords, " "), From: label(first), To: label(last),
		Label: fmt.Sprintf("Legacy instances over time, from %s to %s", label(first), label(last)),
	}
}

func instancePath(rec *record.Record) string {
	return "/instances/" + url.PathEscape(rec.InstanceID) + "?" + url.Values{"account": {rec.Account}, "region": {rec.Region}}.Encode()
}

// instanceView is the page of one instance.
type instanceView struct {
	view
	Rec       *record.Record
	History   []record.Change
	Facts     []fact
	Tags      []fact
	Evidence  string
	Answers   []report.Answer
	CanRescan bool
	Notice    string
	JSON      string
}

type fact struct{ Name, Value string }

func (s *server) instance(w http.ResponseWriter, r *http.Request) {
	rec, history, err := s.find(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := instanceView{
		view: s.view(rec.InstanceID, "Instances"), Rec: rec, History: history,
		Facts: facts(rec), Tags: tags(rec.Tags), Evidence: evidence(rec.OS.Evidence.String()), Answers: report.Answers(rec),
		CanRescan: s.o.Rescanner != nil && s.operator(r),
		JSON:      "/api/v1" + instancePath(rec),
	}
	if id := r.URL.Query().Get("rescan"); id != "" {
		if err := s.waitFor(w, r, &v, id); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.page(w, http.StatusOK, "instance", v)
}

// evidence says where an identity came from.
func evidence(kind string) string {
	switch kind {
	case "guest":
		return "guest: the machine itself was asked"
	case "image":
		return "image: DescribeImages of the image it was made from"
	case "instance":
		return "instance: DescribeInstances; copied when the instance was made, blind to upgrades since"
	case "name":
		return "name: read from an image id or a bare string"
	}
	return "none: nothing names its operating system"
}

func facts(rec *record.Record) []fact {
	var out []fact
	add := func(name string, parts ...string) {
		var have []string
		for _, p := range parts {
			if p != "" && p != "0" {
				have = append(have, report.Short(p, 200))
			}
		}
		if len(have) > 0 {
			out = append(out, fact{name, strings.Join(have, ", ")})
		}
	}
	add("name", rec.InstanceName)
	add("zone", rec.Zone)
	size := ""
	if rec.CPU > 0 {
		size = fmt.Sprintf("%d vCPU, %s MiB", rec.CPU, report.Number(rec.MemoryMiB))
	}
	generation := ""
	if rec.Generation > 0 {
		generation = "generation " + strconv.Itoa(rec.Generation)
	}
	add("type", rec.InstanceType, size)
	add("family", rec.InstanceFamily, generation, rec.Virtualization)
	add("status", rec.Status)
	add("image", rec.ImageID, rec.ImageOwner)
	return out
}

func tags(all map[string]string) []fact {
	out := make([]fact, 0, len(all))
	for k, v := range all {
		out = append(out, fact{report.Short(k, 80), report.Short(v, 200)})
	}
	slices.SortFunc(out, func(a, b fact) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func took(s record.Scan) string {
	if s.EndedAt == nil {
		return ""
	}
	return report.Span(s.EndedAt.Sub(s.StartedAt))
}

// stateClass lends a scan's state the look of a verdict.
func stateClass(state record.ScanState) string {
	switch state {
	case record.ScanComplete:
		return "compatible"
	case record.ScanPartial:
		return "needs-action"
	case record.ScanAborted:
		return "incompatible"
	default:
		return "running"
	}
}

func scopeClass(c record.Completeness) string {
	switch c {
	case record.ScopeComplete:
		return "compatible"
	case record.ScopePartial:
		return "needs-action"
	case record.ScopeFailed:
		return "incompatible"
	default:
		return "running"
	}
}

// refresh lets the browser ask again soon, unless the reader stopped that.
func refresh(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Query().Get("refresh") == "off" {
		return false
	}
	w.Header().Set("Refresh", strconv.Itoa(refreshEvery))
	return true
}

// still is the address of the page without refreshing.
func still(r *http.Request) string {
	q := r.URL.Query()
	q.Set("refresh", "off")
	return r.URL.Path + "?" + q.Encode()
}

// stale tells whether a running scan has been silent for so long that waiting
// for it is no use.
func stale(now, started time.Time) bool { return now.Sub(started) > 24*time.Hour }

func (s *server) rulesAsOf() string {
	if s.o.RulesAsOf == nil {
		return ""
	}
	return s.o.RulesAsOf()
}
