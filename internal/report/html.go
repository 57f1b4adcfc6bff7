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
		"leftOut":      func(s record.Summary) []string { return SayAll(in, leftOut(s)) },
		"scope":        func(account, region string) string { return sayScope(in, account, region) },
		"osname":       func(family, version string) string { return say(OSName(family, version)) },
		"failure":      func(f record.Failure) string { return say(FailureHead(&f)) },
		"evidence": func(all []record.Evidence, now time.Time) []EvidenceLine {
			lines := EvidenceLines(all, now)
			for i := range lines {
				lines[i].Source, lines[i].Text, lines[i].Missing = say(lines[i].Source), say(lines[i].Text), SayAll(in, lines[i].Missing)
			}
			return lines
		},
		"change":          func(c record.Change) string { return say(changeLine(&c)) },
		"remedy":          func(m rules.Remedy) string { return say(RemedyLine(&m)) },
		"ostext":          func(s string) string { return say(osText(s)) },
		"listed":          func(d *document) int { return d.Streamed - d.Left },
		"rest":            func(s *Since) int { return s.Listed() - 20 },
		"beyond":          func(s *Since) int { return s.Listed() - keptChanges },
		"scanline":        func(s record.Scan) string { return Clean(say(scanLine(&s))) },
		"cells":           func(t BucketTable, b *Bucket, target string) []Count { return t.Cells(b, target) },
		"means":           func(verdict string) string { return say(means(verdict)) },
		"meansTarget":     func(target string) string { return say(meansTarget(target)) },
		"meansConfidence": func(confidence string) string { return say(meansConfidence(confidence)) },
		"source":          func(s string) []SourcePart { return sourceParts(say(s)) },
		"sign": func(verdict string) string {
			return map[string]string{"incompatible": "✕", "unknown": "?", "needs-action": "!", "compatible": "✓", "running": "…"}[verdict]
		},
		"segments": Segments,
		"starts": func(p *record.StartGroups, targets ...string) StartTable {
			return NewStartTable(p, targets, "--output json", in)
		},
	}
}

// SayAll is every sentence of a list in the language.
func SayAll(in lang.Language, list []string) []string {
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
	left := 0.0
	for _, verdict := range []string{"compatible", "needs-action", "unknown", "incompatible"} { // as a road from green to red
		n := byVerdict[verdict]
		if n == 0 || total <= 0 {
			continue
		}
		w := 100 * float64(n) / float64(total)
		out = append(out, Segment{verdict, fmt.Sprintf("%.2f", left), fmt.Sprintf("%.2f", w)})
		left += w
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
	Share         string  // of all
	Low, Medium   int     // of them, with less than high confidence
	Link          string  // where N leads; "" nowhere
	LowLink, Mild string  // where Low and Medium lead
	Asked         []Asked // of those that are unknown, what would settle them
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
func Cards(summary *record.Summary, link func(Selection) string, waived func(target string) string) []Card {
	if link == nil {
		link = func(Selection) string { return "" }
	}
	var out []Card
	for _, target := range summary.Targets {
		card := Card{Target: target, Segments: Segments(summary.Verdicts[target], summary.Instances), Waived: summary.Waived[target]}
		if waived != nil {
			card.Link = waived(target)
		}
		for _, verdict := range shownLevels() {
			count, sure := summary.Verdicts[target][verdict], summary.Confidence[target][verdict]
			var asked []Asked
			if verdict == rules.Unknown.String() {
				asked = askedOn(summary, target)
			}
			card.Counts = append(card.Counts, Count{
				Asked: asked, Verdict: verdict, N: count, Share: Percent(count, summary.Instances), Low: sure["low"], Medium: sure["medium"],
				Link: link(Selection{target, verdict, ""}), LowLink: link(Selection{target, verdict, "low"}), Mild: link(Selection{target, verdict, "medium"}),
			})
		}
		out = append(out, card)
	}
	return out
}

// shownLevels are the verdicts in the order in which people ask for them.
func shownLevels() []string { return []string{"compatible", "needs-action", "incompatible", "unknown"} }

// Headline says in one sentence what a summary comes to on the strictest
// target.
func Headline(summary *record.Summary) string {
	whole := wholeOf(summary.Scopes)
	switch {
	case whole.Scopes == 0 || len(summary.Targets) == 0:
		return "Nothing was read yet: no number here means zero."
	case summary.Instances == 0 && whole.All():
		return "No instance was found in " + Plural(whole.Scopes, "region", "regions") + ", all read to the end."
	case summary.Instances == 0:
		return fmt.Sprintf("No instance is known yet, and only %s of %s read to the end.", Number(whole.Complete), Plural(whole.Scopes, "region was", "regions were"))
	}
	target := summary.Targets[len(summary.Targets)-1]
	counts, low := summary.Verdicts[target], summary.Confidence[target]["compatible"]["low"]
	sure := ""
	if low > 0 {
		sure = fmt.Sprintf(" (%s of them by a verdict of low confidence)", Number(low))
	}
	of := "Of"
	if !whole.All() {
		of = "Of at least"
	}
	line := fmt.Sprintf("%s %s, %s as they are on %s%s", of, Plural(summary.Instances, "instance", "instances"),
		Plural(counts["compatible"], "boots", "boot"), Short(target, 40), sure)
	line += fmt.Sprintf(", %s action first, %s not boot there and of %s it is not known.",
		Plural(counts["needs-action"], "needs", "need"), Plural(counts["incompatible"], "does", "do"), Number(counts["unknown"]))
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
func (t *BucketTable) Cells(bucket *Bucket, target string) []Count {
	var out []Count
	for _, verdict := range Levels() {
		n := bucket.Verdicts[target][verdict]
		if n == 0 {
			continue
		}
		count := Count{Verdict: verdict, N: n, Low: bucket.Low[target][verdict]}
		if t.Count != nil {
			count.Link, count.LowLink = t.Count(bucket, Selection{target, verdict, ""}), t.Count(bucket, Selection{target, verdict, "low"})
		}
		out = append(out, count)
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

// Fold splits table after n rows.
func Fold(table BucketTable, n int) Folded {
	n = min(n, len(table.Buckets))
	rest := table
	rest.Title += ", the rest"
	table.Buckets, rest.Buckets = table.Buckets[:n], table.Buckets[n:]
	unlisted := max(0, len(rest.Buckets)-maxFolded)
	rest.Buckets = rest.Buckets[:len(rest.Buckets)-unlisted]
	return Folded{table, rest, unlisted}
}

// ScopeStatus says how completely a scope was read.
func ScopeStatus(scopes []record.ScopeStatus) func(*Bucket) string {
	status := map[[2]string]string{}
	for i := range scopes {
		scopeStatus := &scopes[i]
		var ended time.Time
		if scopeStatus.LastEnd != nil {
			ended = *scopeStatus.LastEnd
		}
		status[[2]string{scopeStatus.Account, scopeStatus.Region}] = fmt.Sprintf("%s, %s", scopeStatus.Completeness, Moment(ended))
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
	var keys []Encoded
	for _, verdict := range rec.Verdicts {
		bare := verdict
		bare.Target, bare.Rule, bare.Findings = "", "", nil
		key := Content(bare)
		if at := slices.Index(keys, key); at >= 0 {
			out[at].On += ", " + verdict.Target
			continue
		}
		keys = append(keys, key)
		out = append(out, Answer{verdict, verdict.Target})
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
	Starts                        StartTable
	Top                           []*record.Record
	Streamed                      int // instances read
	Left                          int // of them, that the table leaves out
}

// writeHTML writes one file that holds everything it needs. The instances are
// read once and kept compressed until the totals above them are written.
func writeHTML(out *bufio.Writer, report *Report, options Options) error {
	encoder, err := newEncoder(report.Summary.Targets, options.Rows)
	if err != nil {
		return err
	}
	encoder.book.in = options.Language
	for rec, err := range report.instances() {
		if err != nil {
			return err
		}
		if err := encoder.add(rec); err != nil {
			return err
		}
	}
	css, js := asset("style.css"), Script(asset("report.js"))
	blocks, rows, err := encoder.blocks()
	if err != nil {
		return err
	}
	groups, err := report.startGroups()
	if err != nil {
		return err
	}
	doc := newDocument(report, options, encoder)
	doc.Starts = NewStartTable(groups, report.Summary.Targets, "--output json", options.Language)
	doc.Left = encoder.total - rows
	doc.CSP, doc.CSS, doc.JS = Inline(css, js), template.CSS(css), template.JS(js)
	page, err := Templates(options.Language).Funcs(template.FuncMap{"texts": func() string { return options.Language.Script(js) }}).Parse(options.Language.Template(asset("report.html")))
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	for _, part := range []func() error{
		func() error { return page.ExecuteTemplate(out, "report-head", doc) },
		func() error { return encoder.copyTo(out, blocks) },
		func() error { return page.ExecuteTemplate(out, "report-foot", doc) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func newDocument(report *Report, options Options, encoder *encoder) *document {
	digest := NewDigest(&report.Summary)
	table := func(title, column string, buckets []*Bucket, name func(*Bucket) string) BucketTable {
		return BucketTable{Title: title, Column: column, Targets: report.Summary.Targets, Buckets: buckets, Name: name}
	}
	os := table("By operating system", "operating system", digest.OS, (*Bucket).OS)
	os.Remedies = func(b *Bucket) string { return Short(encoder.remedies.of(b), 160) }
	scopes := table("By account and region", "account / region", digest.Scopes, func(b *Bucket) string { return ScopeName(Short(b.Account, 64), Short(b.Region, 64)) })
	scopes.Status = ScopeStatus(report.Summary.Scopes)
	return &document{
		Now: options.Now, Report: report, Summary: &report.Summary, Digest: digest, Headline: Headline(&report.Summary), Cards: Cards(&report.Summary, nil, nil), Next: slices.DeleteFunc(nextSteps(report), func(s Step) bool { return s.all }),
		OS:       Fold(os, 15),
		Regions:  Fold(table("By region", "region", digest.Regions, func(b *Bucket) string { return Short(b.Region, 64) }), 10),
		Families: Fold(table("By instance family", "family", encoder.families.sorted(), func(b *Bucket) string { return Short(b.Family, 64) }), 10),
		Scopes:   Fold(scopes, 10),
		Top:      encoder.worst.list(), Streamed: encoder.total,
	}
}
