package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

//go:embed web
var web embed.FS

// How often a page comes again, in seconds: one that waits for something, and
// one that only stays current.
const (
	refreshSoon = 3
	refreshLate = 30
)

// maxFailures bounds the failures that a page lists.
const maxFailures = 100

// firstFailures are those of the overview that are not folded.
const firstFailures = 5

// trendPoints is how many points the trend shows at most.
const trendPoints = 90

func parsePages(in lang.Language, live string) (*template.Template, error) {
	text, err := web.ReadFile("web/pages.html")
	if err != nil {
		return nil, err
	}
	return report.Templates(in).Funcs(template.FuncMap{
		"instancePath": instancePath,
		"changePath":   func(c report.Change) string { return instanceAddress(c.Account, c.Region, c.InstanceID) },
		"placePath":    func(account, region string) string { return listAddress("account", account, "region", region) },
		"took":         func(s record.Scan) string { return in.Say(took(s)) },
		"stateClass":   stateClass,
		"texts":        func() string { return in.Script(live) },
	}).Parse(in.Template(string(text)))
}

// view is what every page has.
type view struct {
	lang    lang.Language
	Other   []otherLanguage // that the page may be read in
	Title   string
	Nav     string // the name of the entry of Navs that this page belongs to
	Navs    []navEntry
	Style   string
	Script  string
	Version string
	Rules   string // how old the knowledge of the rule set is
	HasRule bool   // the codes of the rule set have a page
	Summary *record.Summary
	Digest  *report.Digest
	Old     string // says that the numbers are old; "" when they are not
	Earlier string // says which numbers the last scan did not bring; "" when it brought all
	Error   string
	Pending string // what the page waits for; "" when it stands still
	Still   string // the address of the page that stands still
	Refresh int    // seconds until the page comes again; 0: never
}

// current lets a page come again after some seconds, unless its reader stopped
// that.
func (v *view) current(r *http.Request, seconds int) bool {
	if r.URL.Query().Get("refresh") == "off" {
		return false
	}
	v.Refresh, v.Still = seconds, still(r)
	return true
}

// freshFor is how long the numbers of a scope count as fresh: a daily scan and
// two hours, as for the alert.
const freshFor = 26 * time.Hour

// old says which of the scopes were last read too long ago, or "".
func old(now time.Time, scopes []record.ScopeStatus) string {
	var oldest *record.ScopeStatus
	n := 0
	for i := range scopes {
		scopeStatus := &scopes[i]
		if scopeStatus.LastComplete == nil || now.Sub(*scopeStatus.LastComplete) <= freshFor {
			continue
		}
		if n++; oldest == nil || scopeStatus.LastComplete.Before(*oldest.LastComplete) {
			oldest = scopeStatus
		}
	}
	if oldest == nil {
		return ""
	}
	return fmt.Sprintf("%s of %s not read to the end for more than %d hours, %s / %s not since %s: what stands here may have changed.",
		report.Number(n), report.Plural(len(scopes), "region was", "regions were"), int(freshFor.Hours()),
		report.Short(oldest.Account, 64), report.Short(oldest.Region, 64), report.Moment(*oldest.LastComplete))
}

// earlier says which numbers are of a scan before the last one, since that one did
// not read their region to its end; "" where there are none.
func earlier(scopes []record.ScopeStatus) string {
	var oldest time.Time
	n, never := 0, 0
	for i := range scopes {
		switch scope := &scopes[i]; {
		case scope.Completeness == record.ScopeComplete:
		case scope.LastComplete == nil:
			never++
		default:
			if n++; oldest.IsZero() || scope.LastComplete.Before(oldest) {
				oldest = *scope.LastComplete
			}
		}
	}
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("%s by the last scan: their numbers are, wholly or in part, of earlier ones, the oldest read to the end at %s.", report.Plural(n, "region was not read to the end", "regions were not read to the end"), report.Moment(oldest))
	if never > 0 {
		text += fmt.Sprintf(" %s read to the end.", report.Plural(never, "region was never", "regions were never"))
	}
	return text
}

type navEntry struct{ Name, Path string }

func (s *server) viewOf(r *http.Request, title, at string, sum *record.Summary) view {
	page := view{
		lang: languageOf(r), Other: s.other(r),
		Title: report.Short(title, 120), Nav: at, Old: old(s.o.Now(), sum.Scopes), Earlier: earlier(sum.Scopes), Style: s.style.path, Script: s.script.path, Version: s.o.Version, Summary: sum, Digest: report.NewDigest(sum),
		Navs: []navEntry{{"Overview", "/"}, {"Instances", "/instances"}, {"Scans", "/scans"}},
	}
	if s.o.Answers != nil {
		page.Navs = append(page.Navs, navEntry{"Changes", "/changes"}, navEntry{"Plan", "/plan"})
	}
	if s.o.Rules != nil {
		page.Navs, page.HasRule = append(page.Navs, navEntry{"Rules", "/rules"}), true
		page.Rules = knowledge(s.o.Rules().AsOf, s.o.Now())
	}
	return page
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

// page renders a page whole before it is sent. A reader who has it already is
// told so.
func (s *server) page(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var buffer bytes.Buffer
	if err := s.pages[languageOf(r)].ExecuteTemplate(&buffer, name, data); err != nil {
		s.o.Log.Error("page not rendered", "page", name, "err", err)
		http.Error(w, languageOf(r).Say("the page could not be rendered"), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		sum := sha256.Sum256(buffer.Bytes())
		tag := `"` + hex.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	s.write(w, buffer.Bytes())
}

// fail shows an error as a page.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, detail := s.fault(r, err)
	s.failWith(w, r, status, detail)
}

// failWith needs no store: it may be what failed.
func (s *server) failWith(w http.ResponseWriter, r *http.Request, status int, detail string) {
	v := s.viewOf(r, languageOf(r).Say(http.StatusText(status)), "", &record.Summary{CaughtUp: true})
	v.Error = report.Clean(detail)
	s.page(w, r, status, "error", v)
}

// nowhere answers for addresses that do not exist.
func (s *server) nowhere(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		Problem(w, http.StatusNotFound, "there is no such resource")
		return
	}
	s.failWith(w, r, http.StatusNotFound, "There is no such page.")
}

// overviewView is the first page.
type overviewView struct {
	view
	Headline     string
	Cards        []report.Card
	LegacyLink   string
	OS, Scopes   report.Folded
	Failures     []record.Failure
	MoreFailures []record.Failure // folded: those on top are enough to begin with
	Failed       int              // failures in all
	Evidence     []record.Evidence
	Groups       *report.StartTable // what starts new machines; nil where there is none, or a scan runs
	Now          time.Time
	Scans        []*scanRow
	Running      []record.Scan
	Trend        *trendView
	Burndown     []burndown
	Taken        string // the scan that was just asked for
	Next         *time.Time
	NextName     string
	Schedules    bool // whether it is known when scans are asked for
	CanScan      bool
}

// lastBegan is when the newest whole scan of scans began; a day ago where there
// is none.
func lastBegan(scans []record.Scan, now time.Time) time.Time {
	for i := range scans {
		if scans[i].Kind == "scan" && scans[i].State != record.ScanRunning {
			return scans[i].StartedAt
		}
	}
	return now.AddDate(0, 0, -1)
}

// listAddress is the address of a listing.
func listAddress(pairs ...string) string { return address("/instances", nil, pairs...) }

func (s *server) overview(w http.ResponseWriter, r *http.Request, stored View) error {
	scans, err := stored.Scans(5)
	if err != nil {
		return err
	}
	points, err := stored.Trend(trendPoints)
	if err != nil {
		return err
	}
	view := overviewView{view: s.viewOf(r, languageOf(r).Say("Overview"), "Overview", stored.Summary()), Scans: s.scanRows(scans), Trend: newTrend(points)}
	view.Headline = report.Headline(view.Summary)
	view.Cards = report.Cards(view.Summary, func(c report.Selection) string {
		return listAddress("target", c.Target, "verdict", c.Verdict, "confidence", c.Confidence)
	}, func(target string) string { return listAddress("target", target, "waived", "yes") })
	view.LegacyLink = listAddress("legacy", "true")
	if view.Burndown, err = newBurndown(stored, view.Summary.Targets, s.o.Now()); err != nil {
		return err
	}
	view.CanScan = s.o.Rescanner != nil && s.operator(r)
	if s.o.NextScan != nil {
		if at, name := s.o.NextScan(); name != "" {
			view.Next, view.NextName, view.Schedules = &at, report.Short(name, 60), true
		}
	}
	for i := range scans {
		if scans[i].State == record.ScanRunning {
			view.Running = append(view.Running, scans[i])
		}
	}
	if asked := r.URL.Query().Get("asked"); asked != "" && len(asked) <= maxParam {
		if _, err := stored.Scan(asked); errors.Is(err, ErrNotFound) {
			view.Taken = report.Short(asked, 64)
		}
	}
	soon := refreshLate
	if len(view.Running) > 0 || view.Taken != "" || !view.Summary.CaughtUp {
		soon = refreshSoon
	}
	view.current(r, soon)
	view.foldFailures()
	view.Now = s.o.Now()
	if view.Evidence, err = stored.Evidence(lastBegan(scans, view.Now)); err != nil {
		return err
	}
	s.close(stored)
	if err := s.tables(r, &view); err != nil {
		return err
	}
	s.page(w, r, http.StatusOK, "overview", view)
	return nil
}

// foldFailures takes the failures of all scopes: the first ones to be shown at once, more to
// be unfolded, and no more than maxFailures.
func (v *overviewView) foldFailures() {
	for i := range v.Summary.Scopes {
		v.Failures = append(v.Failures, v.Summary.Scopes[i].Failures...)
	}
	v.Failed = len(v.Failures)
	v.Failures = v.Failures[:min(len(v.Failures), maxFailures)]
	first := min(len(v.Failures), firstFailures)
	v.Failures, v.MoreFailures = v.Failures[:first:first], v.Failures[first:]
}

// tables fills in the tables of the overview from its summary, with what this process is
// asked for beside the view, which is closed by then.
func (s *server) tables(r *http.Request, view *overviewView) (err error) {
	table := func(title, column string, buckets []*report.Bucket, name func(*report.Bucket) string, words func(*report.Bucket) []string) report.BucketTable {
		return report.BucketTable{
			Title: title, Column: column, Targets: view.Summary.Targets, Buckets: buckets, Name: name,
			Link: func(b *report.Bucket) string { return listAddress(words(b)...) },
			Count: func(b *report.Bucket, c report.Selection) string {
				return listAddress(append(words(b), "target", c.Target, "verdict", c.Verdict, "confidence", c.Confidence)...)
			},
		}
	}
	view.OS = report.Fold(table("Operating systems", "operating system", view.Digest.OS, (*report.Bucket).OS, func(b *report.Bucket) []string {
		return []string{"os_family", b.OSFamily, "os_version", cmp.Or(b.Version, filter.NoVersion), "legacy", strconv.FormatBool(b.Legacy)}
	}), 12)
	if s.o.Answers != nil && len(view.Running) == 0 && view.Summary.CaughtUp { // else each commit of the scan counts them anew
		if view.OS.First.Remedies, err = s.o.Answers.Remedies(r.Context()); err != nil {
			return err
		}
		view.OS.Rest.Remedies = view.OS.First.Remedies
		groups, err := s.o.Answers.StartGroups(r.Context())
		if err != nil {
			return err
		}
		if table := report.NewStartTable(groups, view.Summary.Targets, startGroupsPath, languageOf(r)); len(table.Rows)+len(table.More) > 0 {
			table.Fold(12)
			view.Groups = &table
		}
	}
	scopes := table("Accounts and regions", "account / region", view.Digest.Scopes,
		func(b *report.Bucket) string { return report.Short(b.Account, 64) + " / " + report.Short(b.Region, 64) },
		func(b *report.Bucket) []string { return []string{"account", b.Account, "region", b.Region} })
	scopes.Status = report.ScopeStatus(view.Summary.Scopes)
	view.Scopes = report.Fold(scopes, 12)
	return nil
}

// trendView is the line of legacy counts over time.
type trendView struct{ Points, Label, From, To string }

func newTrend(points []Point) *trendView {
	if len(points) < 2 {
		return nil
	}
	line, _ := polyline(points, 38, 36, func(p *Point) (time.Time, int) { return p.At, p.Legacy })
	label := func(p Point) string { return p.At.UTC().Format("2006-01-02") + ": " + report.Number(p.Legacy) }
	from, to := label(points[0]), label(points[len(points)-1])
	return &trendView{Points: line, From: from, To: to, Label: fmt.Sprintf("Legacy instances over time, from %s to %s", from, to)}
}

// polyline is the line of some points in a picture 100 wide, where 0 is at the base
// and the highest of them so much above, and what that one is.
func polyline[T any](points []T, base, height float64, of func(*T) (time.Time, int)) (line string, high int) {
	first, _ := of(&points[0])
	last, _ := of(&points[len(points)-1])
	high = 1
	for i := range points {
		_, n := of(&points[i])
		high = max(high, n)
	}
	coords := make([]string, len(points))
	for i := range points {
		at, n := of(&points[i])
		x := 100 * float64(i) / float64(len(points)-1)
		if span := last.Sub(first).Seconds(); span > 0 {
			x = 100 * at.Sub(first).Seconds() / span
		}
		coords[i] = fmt.Sprintf("%.2f,%.2f", x, base-height*float64(n)/float64(high))
	}
	return strings.Join(coords, " "), high
}

// instanceAddress is the page of an instance.
func instanceAddress(account, region, id string) string {
	return "/instances/" + url.PathEscape(id) + "?" + url.Values{"account": {account}, "region": {region}}.Encode()
}

func instancePath(rec *record.Record) string {
	return instanceAddress(rec.Account, rec.Region, rec.InstanceID)
}

// instanceView is the page of one instance.
type instanceView struct {
	view
	Rec       *record.Record
	History   []record.Change
	Facts     []fact
	Evidence  string
	Answers   []report.Answer
	Settle    []settling
	Checks    map[string]string // texts by id
	Explained *rules.Explanation
	Asked     []record.GuestEvidence
	Siblings  *siblings
	Counted   []fact // by class, the list of the instances that the fleet's counts are of
	Plans     []fact // addresses of its steps by target
	CanRescan bool
	Notice    string
	JSON      string
}

type fact struct{ Name, Value string }

func (s *server) instance(w http.ResponseWriter, r *http.Request, stored View) error {
	rec, history, err := s.find(r, stored)
	if err != nil {
		return err
	}
	view := instanceView{
		view: s.viewOf(r, rec.InstanceID, "Instances", stored.Summary()), Rec: rec, History: history,
		Facts: facts(rec, languageOf(r)), Evidence: evidence(rec.OS.Evidence.String()), Answers: worst(report.Answers(rec)),
		CanRescan: s.o.Rescanner != nil && s.operator(r),
		JSON:      "/api/v1" + instancePath(rec),
		Checks:    s.checkTexts(rec),
	}
	if rec.InstanceName != "" {
		view.Title = report.Short(rec.InstanceID+" "+rec.InstanceName, 120)
	}
	view.Settle = settle(rec, view.Checks)
	if view.Explained, err = stored.Explain(rec.Account, rec.Region, rec.InstanceID); err != nil {
		return err
	}
	for i := range view.Explained.Evidence {
		for _, count := range view.Explained.Evidence[i].Counts {
			view.Counted = append(view.Counted, fact{count.Class, listAddress("account", rec.Account, "region", rec.Region, "image", rec.ImageID, "up", count.Class)})
		}
	}
	if view.Asked, err = stored.GuestEvidence(rec.Account, rec.Region, rec.InstanceID, s.o.Now()); err != nil {
		return err
	}
	if view.Siblings, err = s.siblings(r.Context(), rec); err != nil {
		return err
	}
	if s.o.Answers != nil && rec.GoneAt == nil {
		for i := range rec.Verdicts {
			target := rec.Verdicts[i].Target
			q := url.Values{"target": {target}, "account": {rec.Account}, "region": {rec.Region}, "instance": {rec.InstanceID}}
			view.Plans = append(view.Plans, fact{target, "/plan?" + q.Encode()})
		}
	}
	if id := r.URL.Query().Get("rescan"); id != "" {
		if err := s.waitFor(r, stored, &view, id); err != nil {
			return err
		}
	}
	s.page(w, r, http.StatusOK, "instance", view)
	return nil
}

// worst puts the answers in the order in which they are read: what stands in the
// way before what does not.
func worst(answers []report.Answer) []report.Answer {
	levels := report.Levels() // the worst first
	slices.SortStableFunc(answers, func(a, b report.Answer) int {
		return cmp.Compare(slices.Index(levels, a.Level.String()), slices.Index(levels, b.Level.String()))
	})
	return answers
}

// settling is what would settle a question about an instance.
type settling struct{ Target, Verdict, Why, Check, Text string }

// settle lists what would make a verdict surer: the checks of those that are
// unknown or of low confidence.
func settle(rec *record.Record, texts map[string]string) []settling {
	var out []settling
	for i := range rec.Verdicts {
		verdict := &rec.Verdicts[i]
		if verdict.Level != rules.Unknown && verdict.Confidence != rules.Low {
			continue
		}
		settled := settling{Target: verdict.Target, Verdict: verdict.Level.String(), Why: verdict.Reason, Check: string(verdict.Settles())}
		if settled.Text = texts[settled.Check]; settled.Text == "" {
			settled.Check, settled.Text = string(rules.QuestionTrial), cmp.Or(texts[string(rules.QuestionTrial)], "Start a test instance of the target from a custom image and see whether it boots.")
		}
		if at := slices.IndexFunc(out, func(o settling) bool {
			return o.Check == settled.Check && o.Why == settled.Why && o.Verdict == settled.Verdict
		}); at >= 0 {
			out[at].Target += ", " + settled.Target
			continue
		}
		out = append(out, settled)
	}
	return out
}

// siblings are the other instances of an image.
type siblings struct {
	Image, Link string
	N           int // with this one
	Cards       []report.Card
	Rows        []*record.Record
}

// shownSiblings bounds the siblings that are named.
const shownSiblings = 10

// siblings finds the instances that were made from the same image, nil where
// there are none.
func (s *server) siblings(ctx context.Context, rec *record.Record) (*siblings, error) {
	chosen, err := filter.Parse(filter.Values{"image": {rec.ImageID}})
	if rec.ImageID == "" || err != nil || strings.Contains(rec.ImageID, ",") {
		return nil, nil // no image, or a name that no filter can hold
	}
	stored, err := s.o.Store.View(ctx, store.Filter{Scope: chosen})
	if err != nil {
		return nil, fmt.Errorf("instances of image %s: %w", report.Short(rec.ImageID, 64), err)
	}
	defer s.close(stored)
	sum := stored.Summary()
	if sum.Instances < 2 {
		return nil, nil
	}
	out := &siblings{Image: rec.ImageID, N: sum.Instances, Link: listAddress("image", rec.ImageID)}
	out.Cards = report.Cards(sum, func(c report.Selection) string {
		return listAddress("image", rec.ImageID, "target", c.Target, "verdict", c.Verdict, "confidence", c.Confidence)
	}, nil)
	l := listing{Sort: worstFirst}
	rows, err := stored.Sorted(ctx, l.order(), nil, shownSiblings+1)
	if err != nil {
		return nil, fmt.Errorf("instances of image %s: %w", report.Short(rec.ImageID, 64), err)
	}
	for _, row := range rows {
		itself := row.Record.Account == rec.Account && row.Record.Region == rec.Region && row.Record.InstanceID == rec.InstanceID
		if !itself && len(out.Rows) < shownSiblings {
			out.Rows = append(out.Rows, row.Record)
		}
	}
	return out, nil
}

// evidence says where an identity came from.
func evidence(kind string) string {
	return cmp.Or(map[string]string{
		"guest":    "guest: the machine itself was asked",
		"image":    "image: DescribeImages of the image it was made from",
		"instance": "instance: DescribeInstances; copied when the instance was made, blind to upgrades since",
		"name":     "name: read from an image id or a bare string",
	}[kind], "none: nothing names its operating system")
}

func facts(rec *record.Record, in lang.Language) []fact {
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
		generation = in.Say("generation " + strconv.Itoa(rec.Generation))
	}
	add("type", rec.InstanceType, size)
	add("family", rec.InstanceFamily, generation, rec.Virtualization)
	add("status", rec.Status)
	add("image", rec.ImageID, rec.ImageOwner)
	return out
}

func took(scan record.Scan) string {
	if scan.EndedAt == nil {
		return ""
	}
	return report.Span(scan.EndedAt.Sub(scan.StartedAt))
}

// stateClass lends the state of a scan or of a scope the look of a verdict.
func stateClass(state any) string {
	look := map[string]string{
		string(record.ScanComplete): "compatible", string(record.ScanPartial): "needs-action", string(record.ScanAborted): "incompatible", string(record.ScopeFailed): "incompatible",
	}
	return cmp.Or(look[fmt.Sprint(state)], "running")
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
