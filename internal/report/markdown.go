package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
)

// mdEscaper spells what Markdown or the HTML inside it would read as markup.
var mdEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`,
	"[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`, "@", "&#64;", "://", "&#58;//", "www.", "www&#46;",
)

// MarkdownText returns s as Markdown that shows as exactly that text: no
// markup, no links, no mentions, no line breaks.
func MarkdownText(s string) string { return mdEscaper.Replace(Clean(s)) }

// MarkdownRow writes one row of a Markdown table.
func MarkdownRow(w io.Writer, cells ...string) error {
	var text strings.Builder
	for _, c := range cells {
		text.WriteString("| ")
		text.WriteString(MarkdownText(c))
		text.WriteByte(' ')
	}
	text.WriteString("|\n")
	_, err := io.WriteString(w, text.String())
	return err
}

// MarkdownHead writes the head of a table; a title that ends in ":" is a
// column aligned to the right.
func MarkdownHead(w io.Writer, titles ...string) error {
	var rule strings.Builder
	names := make([]string, len(titles))
	for i, title := range titles {
		name, right := strings.CutSuffix(title, ":")
		names[i] = name
		if right {
			rule.WriteString("| ---: ")
		} else {
			rule.WriteString("| --- ")
		}
	}
	if err := MarkdownRow(w, names...); err != nil {
		return err
	}
	_, err := io.WriteString(w, rule.String()+"|\n")
	return err
}

// MarkdownTable writes a whole table, whose titles are those of MarkdownHead.
func MarkdownTable(w io.Writer, titles []string, rows [][]string) error {
	err := MarkdownHead(w, titles...)
	for _, row := range rows {
		if err == nil {
			err = MarkdownRow(w, row...)
		}
	}
	return err
}

// writeMarkdown writes totals, groups, changes, failures and every instance
// that is not compatible with every target.
func writeMarkdown(out *bufio.Writer, report *Report, options Options) error {
	digest := NewDigest(&report.Summary)
	summary := &report.Summary
	fmt.Fprintf(out, "# shenscan report\n\n")
	fmt.Fprintf(out, "- Made: %s\n- Scan: %s\n", Moment(options.Now), MarkdownText(scanLine(&report.Scan)))
	fmt.Fprintf(out, "- Fleet: %s in %s of %s\n", FleetSize(summary.Instances, digest.Whole),
		Plural(len(digest.Regions), "region", "regions"), Plural(len(digest.Accounts), "account", "accounts"))
	fmt.Fprintf(out, "- Read: %s\n", Completeness(digest.Whole))
	for _, line := range LeftOut(*summary) {
		fmt.Fprintf(out, "- Left out: %s\n", MarkdownText(line))
	}
	fmt.Fprintf(out, "- Legacy operating systems: %s (%s)\n", AtLeast(summary.Legacy, digest.Whole), Percent(summary.Legacy, summary.Instances))
	fmt.Fprintf(out, "- Rules: %s\n", MarkdownText(summary.Ruleset))
	if summary.Rejudging != nil {
		fmt.Fprintf(out, "- %s\n", judgingAnew(summary.Rejudging))
	}

	fmt.Fprintf(out, "\n## Verdicts\n\n")
	if err := mdVerdicts(out, summary); err != nil {
		return err
	}
	if err := mdQuestions(out, summary); err != nil {
		return err
	}
	for _, part := range []struct {
		title   string
		column  string
		buckets []*Bucket
		name    func(*Bucket) string
	}{
		{"By operating system", "operating system", digest.OS, func(b *Bucket) string { return b.OS() + legacyMark(b) }},
		{"By account and region", "account / region", digest.Scopes, func(b *Bucket) string { return b.Account + " / " + b.Region }},
	} {
		fmt.Fprintf(out, "\n## %s\n\n", part.title)
		if err := mdBuckets(out, summary.Targets, part.column, part.buckets, part.name); err != nil {
			return err
		}
	}
	if err := mdStartGroups(out, report); err != nil {
		return err
	}
	if err := mdSince(out, report.Since); err != nil {
		return err
	}
	if err := MarkdownFailures(out, "Not read", report.Failures); err != nil {
		return err
	}
	if err := mdEvidence(out, report, options.Now); err != nil {
		return err
	}
	return mdInstances(out, report)
}

func legacyMark(b *Bucket) string {
	if b.Legacy {
		return " (legacy)"
	}
	return ""
}

func mdVerdicts(w io.Writer, summary *record.Summary) error {
	var rows [][]string
	for _, target := range summary.Targets {
		row := []string{target}
		for _, v := range Levels() {
			n := summary.Verdicts[target][v]
			row = append(row, Number(n)+" ("+Percent(n, summary.Instances)+")")
		}
		rows = append(rows, row)
	}
	return MarkdownTable(w, []string{"target", "incompatible:", "unknown:", "needs-action:", "compatible:"}, rows)
}

// mdQuestions writes what would settle the unknown.
func mdQuestions(w io.Writer, summary *record.Summary) error {
	open := openQuestions(summary)
	if len(open) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n## %s\n\n", unknownBy)
	head := []string{"question"}
	for _, target := range summary.Targets {
		head = append(head, target+":")
	}
	var rows [][]string
	for _, q := range open {
		row := []string{string(q) + ": " + MeansQuestion(q)}
		for _, target := range summary.Targets {
			row = append(row, Number(summary.UnknownByQuestion[target][string(q)]))
		}
		rows = append(rows, row)
	}
	return MarkdownTable(w, head, rows)
}

func mdBuckets(w io.Writer, targets []string, column string, buckets []*Bucket, name func(*Bucket) string) error {
	var rows [][]string
	for _, bucket := range buckets {
		row := []string{name(bucket), Number(bucket.Instances)}
		for _, target := range targets {
			row = append(row, CountsLine(bucket.Verdicts[target]))
		}
		rows = append(rows, row)
	}
	return MarkdownTable(w, append([]string{column, "instances:"}, targets...), rows)
}

// CountsLine lists a target's verdicts, worst first: "incompatible 3, compatible 1".
func CountsLine(byVerdict map[string]int) string {
	var parts []string
	for _, v := range Levels() {
		if n := byVerdict[v]; n > 0 {
			parts = append(parts, v+" "+Number(n))
		}
	}
	return strings.Join(parts, ", ")
}

func mdSince(w io.Writer, since *Since) error {
	if since == nil {
		return nil
	}
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", MarkdownText(since.Title()), MarkdownText(since.Words()))
	if since.Listed() == 0 {
		return nil
	}
	if err := MarkdownHead(w, "when", "account / region", "instance", "name", "operating system", "why", "verdicts"); err != nil {
		return err
	}
	for change, err := range since.Changes {
		if err != nil {
			return err
		}
		if err := MarkdownRow(w, Moment(change.At), change.Account+" / "+change.Region, change.InstanceID, Short(change.InstanceName, 120), OSText(change.OS), whyLine(&change.Change), Moves(&change.Change)); err != nil {
			return err
		}
	}
	return nil
}

// MarkdownFailures lists failures under a title, nothing where there are none.
func MarkdownFailures(w io.Writer, title string, failures []record.Failure) error {
	if len(failures) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n## %s\n\n", title)
	var rows [][]string
	for i := range failures {
		f := &failures[i]
		rows = append(rows, []string{ScopeName(f.Account, f.Region), FailureHead(f), f.Error, f.Mend})
	}
	return MarkdownTable(w, []string{"where", "what", "error", "mend"}, rows)
}

func mdInstances(w io.Writer, report *Report) error {
	fmt.Fprintf(w, "\n## Instances that are not compatible everywhere\n\n")
	head := []string{"account / region", "instance", "name", "type", "operating system"}
	head = append(head, report.Summary.Targets...)
	if err := MarkdownHead(w, append(head, "why", "remedies")...); err != nil {
		return err
	}
	fine := 0
	for rec, err := range report.instances() {
		if err != nil {
			return fmt.Errorf("read instances: %w", err)
		}
		worst := WorstVerdict(rec)
		if worst == nil || worst.Level.String() == "compatible" {
			fine++
			continue
		}
		row := []string{rec.Account + " / " + rec.Region, rec.InstanceID, Short(rec.InstanceName, 120), rec.InstanceType, OSName(rec.OS.Family, rec.OS.Version)}
		for _, target := range report.Summary.Targets {
			text := ""
			if v := VerdictOn(rec, target); v != nil {
				text = v.Level.String()
			}
			row = append(row, text)
		}
		if err := MarkdownRow(w, append(row, worst.Reason, remedyList(worst.Remedies))...); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s compatible everywhere and not listed here (`--output csv` lists every one).\n", Plural(fine, "instance is", "instances are"))
	return err
}
