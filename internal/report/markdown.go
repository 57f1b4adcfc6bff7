package report

import (
	"bufio"
	"fmt"
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

// MarkdownRow is one row of a Markdown table.
func MarkdownRow(cells ...string) string {
	var text strings.Builder
	for _, c := range cells {
		text.WriteString("| " + MarkdownText(c) + " ")
	}
	return text.String() + "|\n"
}

// MarkdownHead is the head of a table; a title that ends in ":" is a column
// aligned to the right.
func MarkdownHead(titles ...string) string {
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
	return MarkdownRow(names...) + rule.String() + "|\n"
}

// MarkdownTable writes a whole table, whose titles are those of MarkdownHead.
func MarkdownTable(w *bufio.Writer, titles []string, rows [][]string) {
	fmt.Fprint(w, MarkdownHead(titles...))
	for _, row := range rows {
		fmt.Fprint(w, MarkdownRow(row...))
	}
}

// writeMarkdown writes totals, groups, changes, failures and every instance
// that is not compatible with every target.
func writeMarkdown(out *bufio.Writer, report *Report, options Options) error {
	digest := NewDigest(&report.Summary)
	summary := &report.Summary
	fmt.Fprintf(out, "# shenscan report\n\n")
	fmt.Fprintf(out, "- Made: %s\n- Scan: %s\n", Moment(options.Now), MarkdownText(scanLine(&report.Scan)))
	fmt.Fprintf(out, "- Fleet: %s in %s of %s\n", fleetSize(summary.Instances, digest.Whole),
		Plural(len(digest.Regions), "region", "regions"), Plural(len(digest.Accounts), "account", "accounts"))
	fmt.Fprintf(out, "- Read: %s\n", Completeness(digest.Whole))
	for _, line := range leftOut(*summary) {
		fmt.Fprintf(out, "- Left out: %s\n", MarkdownText(line))
	}
	fmt.Fprintf(out, "- Legacy operating systems: %s (%s)\n", atLeast(summary.Legacy, digest.Whole), Percent(summary.Legacy, summary.Instances))
	fmt.Fprintf(out, "- Rules: %s\n", MarkdownText(summary.Ruleset))
	if summary.Rejudging != nil {
		fmt.Fprintf(out, "- %s\n", judgingAnew(summary.Rejudging))
	}

	fmt.Fprintf(out, "\n## Verdicts\n\n")
	mdVerdicts(out, summary)
	mdQuestions(out, summary)
	fmt.Fprintf(out, "\n## By operating system\n\n")
	mdBuckets(out, summary.Targets, "operating system", digest.OS, func(b *Bucket) string { return b.OS() + legacyMark(b) })
	fmt.Fprintf(out, "\n## By account and region\n\n")
	mdBuckets(out, summary.Targets, "account / region", digest.Scopes, func(b *Bucket) string { return b.Account + " / " + b.Region })
	groups, err := report.startGroups()
	if err != nil {
		return err
	}
	MarkdownStartGroups(out, groups, summary.Targets)
	if err := mdSince(out, report.Since); err != nil {
		return err
	}
	MarkdownFailures(out, "Not read", report.Failures)
	mdEvidence(out, report, options.Now)
	return mdInstances(out, report)
}

func legacyMark(b *Bucket) string {
	if b.Legacy {
		return " (legacy)"
	}
	return ""
}

func mdVerdicts(w *bufio.Writer, summary *record.Summary) {
	var rows [][]string
	for _, target := range summary.Targets {
		row := []string{target}
		for _, v := range Levels() {
			n := summary.Verdicts[target][v]
			row = append(row, Number(n)+" ("+Percent(n, summary.Instances)+")")
		}
		rows = append(rows, row)
	}
	MarkdownTable(w, []string{"target", "incompatible:", "unknown:", "needs-action:", "compatible:"}, rows)
}

// mdQuestions writes what would settle the unknown.
func mdQuestions(w *bufio.Writer, summary *record.Summary) {
	open := openQuestions(summary)
	if len(open) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", unknownBy)
	head := []string{"question"}
	for _, target := range summary.Targets {
		head = append(head, target+":")
	}
	var rows [][]string
	for _, q := range open {
		row := []string{string(q) + ": " + meansQuestion(q)}
		for _, target := range summary.Targets {
			row = append(row, Number(summary.UnknownByQuestion[target][string(q)]))
		}
		rows = append(rows, row)
	}
	MarkdownTable(w, head, rows)
}

func mdBuckets(w *bufio.Writer, targets []string, column string, buckets []*Bucket, name func(*Bucket) string) {
	var rows [][]string
	for _, bucket := range buckets {
		row := []string{name(bucket), Number(bucket.Instances)}
		for _, target := range targets {
			row = append(row, countsLine(bucket.Verdicts[target]))
		}
		rows = append(rows, row)
	}
	MarkdownTable(w, append([]string{column, "instances:"}, targets...), rows)
}

// countsLine lists a target's verdicts, worst first: "incompatible 3, compatible 1".
func countsLine(byVerdict map[string]int) string {
	var parts []string
	for _, v := range Levels() {
		if n := byVerdict[v]; n > 0 {
			parts = append(parts, v+" "+Number(n))
		}
	}
	return strings.Join(parts, ", ")
}

func mdSince(w *bufio.Writer, since *Since) error {
	if since == nil {
		return nil
	}
	fmt.Fprintf(w, "\n## %s\n\n%s.\n\n", MarkdownText(since.Title()), MarkdownText(since.Words()))
	if since.Listed() == 0 {
		return nil
	}
	fmt.Fprint(w, MarkdownHead("when", "account / region", "instance", "name", "operating system", "why", "verdicts"))
	for change, err := range since.Changes {
		if err != nil {
			return err
		}
		row := MarkdownRow(Moment(change.At), change.Account+" / "+change.Region, change.InstanceID, Short(change.InstanceName, 120), osText(change.OS), whyLine(&change.Change), moves(&change.Change))
		if _, err := w.WriteString(row); err != nil {
			return err
		}
	}
	return nil
}

// MarkdownFailures lists failures under a title, nothing where there are none.
func MarkdownFailures(w *bufio.Writer, title string, failures []record.Failure) {
	if len(failures) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", title)
	var rows [][]string
	for i := range failures {
		f := &failures[i]
		rows = append(rows, []string{ScopeName(f.Account, f.Region), FailureHead(f), f.Error, f.Mend})
	}
	MarkdownTable(w, []string{"where", "what", "error", "mend"}, rows)
}

func mdInstances(w *bufio.Writer, report *Report) error {
	fmt.Fprintf(w, "\n## Instances that are not compatible everywhere\n\n")
	head := []string{"account / region", "instance", "name", "type", "operating system"}
	head = append(head, report.Summary.Targets...)
	fmt.Fprint(w, MarkdownHead(append(head, "why", "remedies")...))
	fine := 0
	for rec, err := range report.instances() {
		if err != nil {
			return err
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
		if _, err := w.WriteString(MarkdownRow(append(row, worst.Reason, remedyList(worst.Remedies))...)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s compatible everywhere and not listed here (`--output csv` lists every one).\n", Plural(fine, "instance is", "instances are"))
	return err
}
