package report

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

//go:embed web
var web embed.FS

// Stylesheet is the style of every page, report and live.
func Stylesheet() string { return asset("style.css") }

// asset reads an embedded file; a missing one is a mistake of the build.
func asset(name string) string {
	data, err := web.ReadFile("web/" + name)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// Templates returns the parts that pages are made of in a language, to which a
// caller adds its own by way of the same language. Every function in it cleans
// what it shows.
func Templates(in lang.Language) *template.Template {
	return template.Must(template.New("report").Funcs(funcs(in)).Parse(in.Template(asset("parts.html"))))
}

// Inline is the policy for a page that consists of one style and one script
// inside it: nothing else runs, and nothing is loaded or sent.
func Inline(css, js string) string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	script := "'none'"
	if js != "" {
		script = hash(js)
	}
	return "default-src 'none'; style-src " + hash(css) + "; script-src " + script + "; img-src data:; base-uri 'none'; form-action 'none'"
}

func funcs(in lang.Language) template.FuncMap {
	say := func(s string) string { return in.Say(s) }
	return template.FuncMap{
		"lang":  in.Tag,
		"say":   func(v any) string { return Clean(in.Say(fmt.Sprint(v))) },
		"clean": Clean, "short": Short, "number": Number, "percent": Percent, "moment": func(t any) template.HTML { return momentTag(in, t) },
		"plural": func(n int, one, many string) string { return say(Plural(n, one, many)) },
		"levels": Levels, "verdictOn": VerdictOn,
		"completeness": func(w Whole) string { return say(Completeness(w)) },
		"leftOut":      func(s record.Summary) []string { return sayAll(in, LeftOut(s)) },
		"scope":        func(account, region string) string { return sayScope(in, account, region) },
		"osname":       func(family, version string) string { return say(OSName(family, version)) },
		"failure":      func(f record.Failure) string { return say(FailureHead(&f)) },
		"evidence": func(all []record.Evidence, now time.Time) []EvidenceLine {
			lines := EvidenceLines(all, now)
			for i := range lines {
				lines[i].Source, lines[i].Text, lines[i].Missing = say(lines[i].Source), say(lines[i].Text), sayAll(in, lines[i].Missing)
			}
			return lines
		},
		"change":          func(c record.Change) string { return say(ChangeLine(&c)) },
		"remedy":          func(m rules.Remedy) string { return say(RemedyLine(&m)) },
		"ostext":          func(s string) string { return say(OSText(s)) },
		"listed":          func(d *document) int { return d.Streamed - d.Left },
		"rest":            func(s *Since) int { return s.Listed() - 20 },
		"beyond":          func(s *Since) int { return s.Listed() - keptChanges },
		"scanline":        func(s record.Scan) string { return Clean(say(scanLine(&s))) },
		"cells":           func(t BucketTable, b *Bucket, target string) []Count { return t.Cells(b, target) },
		"means":           func(verdict string) string { return say(Means(verdict)) },
		"meansTarget":     func(target string) string { return say(MeansTarget(target)) },
		"meansConfidence": func(confidence string) string { return say(MeansConfidence(confidence)) },
		"source":          func(s string) []SourcePart { return SourceParts(say(s)) },
		"sign": func(verdict string) string {
			return map[string]string{"incompatible": "✕", "unknown": "?", "needs-action": "!", "compatible": "✓", "running": "…"}[verdict]
		},
		"segments": Segments,
	}
}

// sayAll is every sentence of a list in the language.
func sayAll(in lang.Language, list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = in.Say(s)
	}
	return out
}

// sayScope names an account and region in the language; their ids stay.
func sayScope(in lang.Language, account, region string) string {
	name := ScopeName(account, region)
	if account != "" && region != "" && account != ecs.BaseCredentials {
		return name
	}
	return in.Say(name)
}

// Script is the script of a page or a file with what all of them share: the
// reader's own time beside UTC.
func Script(own string) string { return asset("moments.js") + own }

// momentTag is a time with what a script needs to add the reader's own.
func momentTag(in lang.Language, t any) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t != nil {
			at = *t
		}
	}
	if at.IsZero() {
		return template.HTML(in.Say("never")) // of the catalogue
	}
	return template.HTML(`<time datetime="` + at.UTC().Format(time.RFC3339) + `">` + Moment(at) + `</time>`) // digits and letters alone
}

// Segment is a part of a bar, in percent.
type Segment struct {
	Name string
	X, W string
}

// Segments lays verdicts side by side, compatible first.
func Segments(byVerdict map[string]int, total int) []Segment {
	var out []Segment
	x := 0.0
	for _, v := range []string{"compatible", "needs-action", "unknown", "incompatible"} { // as a road from green to red
		n := byVerdict[v]
		if n == 0 || total <= 0 {
			continue
		}
		w := 100 * float64(n) / float64(total)
		out = append(out, Segment{v, fmt.Sprintf("%.2f", x), fmt.Sprintf("%.2f", w)})
		x += w
	}
	return out
}

// Selection is what a count is of; the page of a service leads from it to the
// list.
type Selection struct{ Target, Verdict, Confidence string }

// Count is a number of instances with one verdict on one target.
type Count struct {
	Verdict       string
	N             int
	Share         string // of all
	Low, Medium   int    // of them, with less than high confidence
	Link          string // where N leads; "" nowhere
	LowLink, Mild string // where Low and Medium lead
}

// Card is a target with its counts.
type Card struct {
	Target   string
	Segments []Segment
	Counts   []Count
	Waived   int
	Link     string // where Waived leads
}

// Cards are the totals of a summary, a card a target. link may be nil.
func Cards(s *record.Summary, link func(Selection) string, waived func(target string) string) []Card {
	if link == nil {
		link = func(Selection) string { return "" }
	}
	var out []Card
	for _, target := range s.Targets {
		c := Card{Target: target, Segments: Segments(s.Verdicts[target], s.Instances), Waived: s.Waived[target]}
		if waived != nil {
			c.Link = waived(target)
		}
		for _, verdict := range shownLevels() {
			n, sure := s.Verdicts[target][verdict], s.Confidence[target][verdict]
			c.Counts = append(c.Counts, Count{
				Verdict: verdict, N: n, Share: Percent(n, s.Instances), Low: sure["low"], Medium: sure["medium"],
				Link: link(Selection{target, verdict, ""}), LowLink: link(Selection{target, verdict, "low"}), Mild: link(Selection{target, verdict, "medium"}),
			})
		}
		out = append(out, c)
	}
	return out
}

// shownLevels are the verdicts in the order in which people ask for them.
func shownLevels() []string { return []string{"compatible", "needs-action", "incompatible", "unknown"} }

// Headline says in one sentence what a summary comes to on the strictest
// target.
func Headline(s *record.Summary) string {
	w := wholeOf(s.Scopes)
	switch {
	case w.Scopes == 0 || len(s.Targets) == 0:
		return "Nothing was read yet: no number here means zero."
	case s.Instances == 0 && w.All():
		return "No instance was found in " + Plural(w.Scopes, "region", "regions") + ", all read to the end."
	case s.Instances == 0:
		return fmt.Sprintf("No instance is known yet, and only %s of %s read to the end.", Number(w.Complete), Plural(w.Scopes, "region was", "regions were"))
	}
	target := s.Targets[len(s.Targets)-1]
	c, low := s.Verdicts[target], s.Confidence[target]["compatible"]["low"]
	sure := ""
	if low > 0 {
		sure = fmt.Sprintf(" (%s of them by a verdict of low confidence)", Number(low))
	}
	of := "Of"
	if !w.All() {
		of = "Of at least"
	}
	line := fmt.Sprintf("%s %s, %s as they are on %s%s", of, Plural(s.Instances, "instance", "instances"),
		Plural(c["compatible"], "boots", "boot"), Short(target, 40), sure)
	line += fmt.Sprintf(", %s action first, %s not boot there and of %s it is not known.",
		Plural(c["needs-action"], "needs", "need"), Plural(c["incompatible"], "does", "do"), Number(c["unknown"]))
	return line
}

// BucketTable is a table of buckets on a page.
type BucketTable struct {
	Title, Column string
	Targets       []string
	Buckets       []*Bucket
	Name          func(*Bucket) string
	Link          func(*Bucket) string            // where the name leads; nil: nowhere
	Count         func(*Bucket, Selection) string // where a count leads; nil: nowhere
	Remedies      func(*Bucket) string            // nil: no such column
	Status        func(*Bucket) string            // nil: no such column
}

// Cells are the counts of a bucket on a target, worst last.
func (t *BucketTable) Cells(b *Bucket, target string) []Count {
	var out []Count
	for _, verdict := range Levels() {
		n := b.Verdicts[target][verdict]
		if n == 0 {
			continue
		}
		c := Count{Verdict: verdict, N: n, Low: b.Low[target][verdict]}
		if t.Count != nil {
			c.Link, c.LowLink = t.Count(b, Selection{target, verdict, ""}), t.Count(b, Selection{target, verdict, "low"})
		}
		out = append(out, c)
	}
	return out
}

// Folded is a table of which only the first rows stand open.
type Folded struct {
	First, Rest BucketTable
	Unlisted    int // rows beyond what a page can show
}

// maxFolded bounds the rows that fold open.
const maxFolded = 500

// Fold splits t after n rows.
func Fold(t BucketTable, n int) Folded {
	n = min(n, len(t.Buckets))
	rest := t
	rest.Title += ", the rest"
	t.Buckets, rest.Buckets = t.Buckets[:n], t.Buckets[n:]
	unlisted := max(0, len(rest.Buckets)-maxFolded)
	rest.Buckets = rest.Buckets[:len(rest.Buckets)-unlisted]
	return Folded{t, rest, unlisted}
}

// ScopeStatus says how completely a scope was read.
func ScopeStatus(scopes []record.ScopeStatus) func(*Bucket) string {
	status := map[[2]string]string{}
	for i := range scopes {
		s := &scopes[i]
		var ended time.Time
		if s.LastEnd != nil {
			ended = *s.LastEnd
		}
		status[[2]string{s.Account, s.Region}] = fmt.Sprintf("%s, %s", s.Completeness, Moment(ended))
	}
	return func(b *Bucket) string {
		if s := status[[2]string{b.Account, b.Region}]; s != "" {
			return s
		}
		return "not known"
	}
}

// Answer is a verdict and the targets that it holds for.
type Answer struct {
	rules.Verdict
	On string // the targets
}

// Answers are a record's verdicts, those of one content once.
func Answers(rec *record.Record) []Answer {
	var out []Answer
	var keys []string
	for _, v := range rec.Verdicts {
		bare := v
		bare.Target, bare.Rule, bare.Findings = "", "", nil
		key := content(bare)
		if at := slices.Index(keys, key); at >= 0 {
			out[at].On += ", " + v.Target
			continue
		}
		keys = append(keys, key)
		out = append(out, Answer{v, v.Target})
	}
	return out
}

// document is what the report's templates see.
type document struct {
	CSP                           string
	CSS                           template.CSS
	JS                            template.JS
	Now                           time.Time
	Report                        *Report
	Summary                       *record.Summary
	Digest                        *Digest
	Headline                      string
	Cards                         []Card
	LegacyLink                    string
	Next                          []Step
	OS, Regions, Families, Scopes Folded
	Top                           []*record.Record
	Streamed                      int // instances read
	Left                          int // of them, that the table leaves out
}

// writeHTML writes one file that holds everything it needs. The instances are
// read once and kept compressed until the totals above them are written.
func writeHTML(w *bufio.Writer, r *Report, o Options) error {
	e, err := newEncoder(r.Summary.Targets, o.Rows)
	if err != nil {
		return err
	}
	e.book.in = o.Language
	for rec, err := range r.instances() {
		if err != nil {
			return fmt.Errorf("read instances: %w", err)
		}
		if err := e.add(rec); err != nil {
			return err
		}
	}
	css, js := asset("style.css"), Script(asset("report.js"))
	blocks, rows, err := e.blocks()
	if err != nil {
		return err
	}
	doc := newDocument(r, o, e)
	doc.Left = e.total - rows
	doc.CSP, doc.CSS, doc.JS = Inline(css, js), template.CSS(css), template.JS(js)
	page, err := Templates(o.Language).Funcs(template.FuncMap{"texts": func() string { return o.Language.Script(js) }}).Parse(o.Language.Template(asset("report.html")))
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	for _, part := range []func() error{
		func() error { return page.ExecuteTemplate(w, "report-head", doc) },
		func() error { return e.copyTo(w, blocks) },
		func() error { return page.ExecuteTemplate(w, "report-foot", doc) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func newDocument(r *Report, o Options, e *encoder) *document {
	d := NewDigest(&r.Summary)
	table := func(title, column string, buckets []*Bucket, name func(*Bucket) string) BucketTable {
		return BucketTable{Title: title, Column: column, Targets: r.Summary.Targets, Buckets: buckets, Name: name}
	}
	os := table("By operating system", "operating system", d.OS, (*Bucket).OS)
	os.Remedies = func(b *Bucket) string { return Short(e.remedies.of(b), 160) }
	scopes := table("By account and region", "account / region", d.Scopes, func(b *Bucket) string { return ScopeName(Short(b.Account, 64), Short(b.Region, 64)) })
	scopes.Status = ScopeStatus(r.Summary.Scopes)
	return &document{
		Now: o.Now, Report: r, Summary: &r.Summary, Digest: d, Headline: Headline(&r.Summary), Cards: Cards(&r.Summary, nil, nil), Next: slices.DeleteFunc(NextSteps(r), func(s Step) bool { return s.all }),
		OS:       Fold(os, 15),
		Regions:  Fold(table("By region", "region", d.Regions, func(b *Bucket) string { return Short(b.Region, 64) }), 10),
		Families: Fold(table("By instance family", "family", e.families.sorted(), func(b *Bucket) string { return Short(b.Family, 64) }), 10),
		Scopes:   Fold(scopes, 10),
		Top:      e.worst.list(), Streamed: e.total,
	}
}
